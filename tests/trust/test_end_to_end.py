"""Two real brokers on sockets, and a real responder on loopback: what a path, and its revocation, do to messages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from unittest import mock

import pytest
from cryptography.x509 import Certificate

from broker import retention
from broker.errors import TransportFailed
from broker.lifecycle import Transport
from broker.lookup.revocation import RevocationServices
from broker.message import Delivery, EventKind, Statement
from broker.ports import Carrier, Keeping, TransportReply
from broker.sealing.certificates import fingerprint
from broker.sealing.revocation import Source, standing
from tests.causes.bench import MSG_ID, Bench, bench
from tests.scenario.pair import DALBYGDA, FJORDVIK, Revocation, dialogue, pair
from tests.trust.authority import Authority, authority, keys_of, pair_of, trusts_by_path
from tests.trust.pki import Held

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class _LosesAnswers:
    """A carrier whose answers are lost while it `loses`."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier, self.loses = carrier, True

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        reply = await self._carrier.post(endpoint, content_type=content_type, body=body, timeout=timeout)
        if self.loses:
            raise TransportFailed("reset", error_id="MB-3205", maybe_read=True)
        return reply


class Scene:
    """Left sends to right, who trusts left by path."""

    def __init__(self, at: Bench, ca: Authority, signer: Held) -> None:
        self.at, self.ca, self.signer = at, ca, signer

    @property
    def services(self) -> RevocationServices:
        asked = self.at.right.doors.revocation
        assert isinstance(asked, Revocation)
        assert isinstance(asked.services, RevocationServices)
        return asked.services

    def signs_with(self, held: Held) -> None:
        keys_of(self.at.left).signing_pairs[FJORDVIK] = pair_of(held)

    async def send(self, number: int = 1) -> str:
        id = await self.at.views.post(dialogue(f"{MSG_ID[:-1]}{number}"))
        await self.at.brokers.run()
        return id

    async def delivery(self, id: str) -> Delivery:
        ((found, *_),) = [await self.at.left.store.find(id, hers=None)]
        return found.deliveries[0]


@asynccontextmanager
async def scene(folder: Path, *, only: str = "both") -> AsyncIterator[Scene]:
    async with bench(folder) as at, authority(at.brokers.clock, only=only) as (ca, revocation):
        made = Scene(at, ca, ca.issue())
        made.signs_with(made.signer)
        trusts_by_path(at.right, FJORDVIK, ca, revocation)
        yield made


@pytest.mark.parametrize("only", ["ocsp", "crl"])
async def test_what_is_good_comes_in_the_service_is_asked_once_and_its_word_is_kept(tmp_path: Path, only: str) -> None:
    async with scene(tmp_path, only="ocsp") as run:
        if only == "crl":
            run.ca.only = "crl"
            run.signer = run.ca.issue()
            run.signs_with(run.signer)
        for number in (1, 2, 3):
            assert (await run.delivery(await run.send(number))).state.transport is Transport.ACKNOWLEDGED
        assert sorted(run.ca.asked) == sorted(["ocsp", only])  # for the intermediate, and for the leaf
        store = run.at.right.store
        inbox = await run.at.right.inbox()
        assert len(inbox) == 3
        kept = [await store.statements(message.id) for message, _ in inbox]
        assert [len(said) for said in kept] == [2, 2, 2]
        assert len({said.body for each in kept for said in each}) == 2  # each response once, for three messages
        about = run.signer.certificate
        (one,) = [said for said in kept[0] if said.certificate == fingerprint(about)]
        response = await store.body(one.body)
        assert sha256(response).digest() == one.sha256
        at = run.at.brokers.clock.now()
        found = standing(Source(one.source), response, about, run.ca.issuer.certificate, at)
        assert found.revoked_at is None
        assert one.source == only


async def _signed_before_and_received_after(run: Scene) -> Delivery:
    """Left signs while its certificate is good; right receives it when it is revoked."""
    clock = run.at.brokers.clock
    run.ca.up = False
    id = await run.send()
    assert (await run.delivery(id)).cause == "MB-3211"
    run.ca.revoked[run.signer] = clock.now() + MINUTE
    run.ca.up = True
    await run.at.brokers.pass_time(HOUR)
    return await run.delivery(id)


async def test_what_a_revoked_key_signed_is_refused_for_good_whatever_its_timestamp_says(tmp_path: Path) -> None:
    async with scene(tmp_path) as run:
        delivery = await _signed_before_and_received_after(run)
        assert (delivery.state.transport, delivery.cause) == (Transport.REFUSED, "MB-3302")
        assert await run.at.right.inbox() == ()
        told = await run.at.right.store.events(kinds=[EventKind.SECURITY], after=0, limit=10)
        assert [each.event.why for each in told] == ["the certificate is revoked"]


async def test_a_broker_that_goes_by_the_clock_of_the_message_is_seen(tmp_path: Path) -> None:
    async with scene(tmp_path) as run:
        signed_at, services = run.at.brokers.clock.now(), run.services

        async def by_the_timestamp(path: tuple[Certificate, ...], _at: datetime) -> tuple[Statement, ...]:
            return await RevocationServices.require_good(services, path, signed_at)

        with mock.patch.object(services, "require_good", by_the_timestamp):
            delivery = await _signed_before_and_received_after(run)
        assert delivery.state.transport is Transport.ACKNOWLEDGED  # the test above would be red


async def test_what_came_before_the_revocation_stays_and_its_copy_gets_the_same_answer(tmp_path: Path) -> None:
    async with scene(tmp_path) as run:
        run.at.line.carrier = lost = _LosesAnswers(run.at.line.carrier)
        id = await run.send()
        run.ca.revoked[run.signer] = run.at.brokers.clock.now() + MINUTE
        lost.loses = False
        await run.at.brokers.pass_time(3 * HOUR)
        assert (await run.delivery(id)).state.transport is Transport.ACKNOWLEDGED
        assert len(await run.at.right.inbox()) == 1


async def test_a_service_that_is_down_postpones_alarms_and_the_peers_copy_gets_through(tmp_path: Path) -> None:
    async with scene(tmp_path) as run:
        services = run.services
        run.ca.up = False
        id = await run.send()
        assert (await run.delivery(id)).cause == "MB-3211"  # it was asked to wait
        assert await run.at.right.inbox() == ()
        assert services.silent().keys() == {"127.0.0.1"}
        asked = len(run.ca.asked)
        await run.at.brokers.run()
        assert len(run.ca.asked) == asked  # left alone
        run.ca.up = True
        await run.at.brokers.pass_time(HOUR)
        assert (await run.delivery(id)).state.transport is Transport.ACKNOWLEDGED
        ((message, _),) = await run.at.right.inbox()
        assert len(await run.at.right.store.statements(message.id)) == 2
        assert services.silent() == {}


async def test_the_word_of_a_service_is_erased_with_the_evidence_and_no_sooner(tmp_path: Path) -> None:
    async with scene(tmp_path) as run:
        await run.send(1)
        await run.at.brokers.pass_time(30 * MINUTE)
        await run.send(2)
        store, clock = run.at.right.store, run.at.brokers.clock
        ((first, _), (second, _)) = await run.at.right.inbox()
        bodies = {said.body for said in await store.statements(first.id)}
        assert bodies == {said.body for said in await store.statements(second.id)}
        policy = retention.Policy(times={Keeping.EVIDENCE: HOUR})
        clock.time += HOUR - MINUTE  # the first envelope is past its time, the second is not
        await retention.erase_due(store, clock, policy)
        assert [len(await store.body(body)) > 100 for body in bodies] == [True, True]
        clock.time += HOUR
        await retention.erase_due(store, clock, policy)
        for body in bodies:
            with pytest.raises(KeyError):
                await store.body(body)


async def test_a_stranger_with_a_good_certificate_of_the_same_issuer_is_refused(tmp_path: Path) -> None:
    async with scene(tmp_path) as run:
        run.signs_with(run.ca.issue(number="271828182"))
        assert (await run.delivery(await run.send())).cause == "MB-3302"
        told = await run.at.right.store.events(kinds=[EventKind.SECURITY], after=0, limit=10)
        assert ["does not name the organisation" in str(each.event.why) for each in told] == [True]
        assert run.ca.asked == []  # a stranger makes us ask nobody


async def test_sealing_waits_for_the_service_and_stops_at_a_revoked_certificate(tmp_path: Path) -> None:
    async with bench(tmp_path) as at, authority(at.brokers.clock) as (ca, revocation):
        theirs = ca.issue(encrypts=True)
        endpoint = at.left.addresses.directory.parties[DALBYGDA // 100 * 100].endpoint
        signer = ca.issue()
        keys_of(at.right).signing_pairs[DALBYGDA] = pair_of(signer)
        keys_of(at.right).opening_pairs[DALBYGDA] = pair_of(theirs)
        trusts_by_path(at.left, DALBYGDA, ca, revocation, encryption=(theirs.certificate,), endpoint=endpoint)
        run = Scene(at, ca, signer)
        ca.up = False
        first = await run.send(1)
        assert (await run.delivery(first)).cause == "MB-2023"
        ca.up = True
        await at.brokers.pass_time(HOUR)
        # Sealed, opened there, and the Acknowledgment's signer judged by path as well.
        assert (await run.delivery(first)).state.transport is Transport.ACKNOWLEDGED
        at.brokers.clock.time += 2 * HOUR  # what was said before holds no more
        ca.revoked[theirs] = at.brokers.clock.now() - MINUTE
        second = await run.send(2)
        stopped = await run.delivery(second)
        assert (stopped.cause, stopped.envelope) == ("MB-2022", None)


async def test_an_acknowledgment_by_a_revoked_key_is_not_believed(tmp_path: Path) -> None:
    async with bench(tmp_path) as at, authority(at.brokers.clock) as (ca, revocation):
        signer, theirs = ca.issue(), ca.issue(encrypts=True)
        keys_of(at.right).signing_pairs[DALBYGDA] = pair_of(signer)
        keys_of(at.right).opening_pairs[DALBYGDA] = pair_of(theirs)
        trusts_by_path(at.left, DALBYGDA, ca, revocation, encryption=(theirs.certificate,))
        ca.revoked[signer] = at.brokers.clock.now() - MINUTE
        delivery = await Scene(at, ca, signer).delivery(await Scene(at, ca, signer).send())
        assert (delivery.state.transport, delivery.cause) == (Transport.SENT, "MB-3214")


async def test_an_acknowledgment_that_comes_while_the_service_is_down_comes_again(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path, sync=False) as brokers, authority(brokers.clock) as (ca, revocation):
        left, right = brokers.left, brokers.right
        signer, theirs = ca.issue(), ca.issue(encrypts=True)
        keys_of(right).signing_pairs[DALBYGDA] = pair_of(signer)
        keys_of(right).opening_pairs[DALBYGDA] = pair_of(theirs)
        trusts_by_path(left, DALBYGDA, ca, revocation, encryption=(theirs.certificate,))
        taken = await left.post(dialogue(MSG_ID))
        await brokers.run(only=left)
        ca.up = False
        await brokers.run(only=right)
        assert (await left.delivery(taken)).state.transport is Transport.SENT  # 503 to the signal: it is not judged
        ca.up = True
        await brokers.pass_time(10 * MINUTE, step=MINUTE)
        assert (await left.delivery(taken)).state.transport is Transport.ACKNOWLEDGED
        assert len(await right.inbox()) == 1
