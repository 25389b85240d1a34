"""A broker in the place of one of the two engines of the captures, under the agreement that they ran under."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.x509 import Certificate

from broker import inbound, outbound, progress
from broker.message import Changes, Delivery, Digest, EventKind, NewEvent
from broker.ports import TransportReply
from broker.routing.party import Agreement, Directory, Party, PartyKind, Switch, Terms
from broker.sealing.certificates import Use
from tests.certificates import key_pair
from tests.scenario.pair import FJORDVIK, LEASE, Clock, Keys, Randomness, Side, open_side
from tests.store import values

A, B = 8141253, 79768
ROLES = {A: "Behandler", B: "Register"}
ENDPOINT = "https://engine.example/ebms"

# By the CPAId of a capture: in what its agreement differs from the usual. Payloads go in plaintext under all of them.
VARIANTS: dict[str, dict[str, Any]] = {
    "interop:1": {},
    "interop:sync": {"sync": True},
    "interop:unsigned": {"signed": False, "ack_signed": False},
    "interop:best-effort": {"ack_requested": False, "ack_signed": False},
}


NOTHING = TransportReply(status=204, content_type="", body=b"")


@dataclass
class Replay:
    """A carrier that answers with what a test says, and keeps what went out."""

    reply: TransportReply = NOTHING
    posted: list[bytes] = field(default_factory=list)

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        assert endpoint == ENDPOINT, "a signal goes to the agreement's endpoint, and nowhere else"
        self.posted.append(body)
        return self.reply


@dataclass
class Engine:
    """One broker, and the wire to its partner."""

    side: Side
    wire: Replay
    clock: Clock
    partner: int

    async def given(self, content_type: str, body: bytes) -> tuple[int, bytes]:
        """Give it an envelope; return the HTTP status, and what it says, in the answer or by a POST."""
        answer = await inbound.receive(content_type, body, self.side.doors)
        said = [body for body in await self.step() if not body.startswith(b"--")]  # an AppRec is no signal
        assert not (said and answer.body), "it answers once"
        return answer.status, answer.body or (said[0] if said else b"")

    async def step(self) -> list[bytes]:
        """Send what is due; return it."""
        now, before = self.clock.now(), len(self.wire.posted)
        claimed = await self.side.store.claim(now=now, until=now + LEASE, limit=9, per_lane=9, busy={}, closed=())
        for work in claimed.work:
            await outbound.proceed(work, self.side.doors)
        for signal in claimed.signals:
            await inbound.send_signal(signal, self.side.doors)
        return self.wire.posted[before:]

    async def plant(self, eb_id: str, cpa_id: str, digests: tuple[Digest, ...]) -> Delivery:
        """Let a document of ours stand in the store as the envelope that a capture is about, and be sent."""
        terms = VARIANTS[cpa_id]
        taken = values.taken(to=self.partner, sender_her=self.side.her, at=self.clock.now())
        (delivery,) = taken.deliveries
        await self.side.store.accept(taken)
        kept = values.body(b"sealed")
        envelope = values.envelope(
            delivery,
            kept,
            eb_id=eb_id,
            cpa_id=cpa_id,
            from_her=self.side.her,
            digests=digests,
            ack_requested=terms.get("ack_requested", True),
            ack_signed=terms.get("ack_signed", True),
            sync=terms.get("sync", False),
            timestamp=self.clock.now(),
            persist_until=self.clock.now() + timedelta(days=1),
        )
        after = progress.sealed(delivery, envelope, now=self.clock.now())
        told = values.event(EventKind.SEALED, message_id=delivery.message_id, delivery_id=delivery.id)
        changes = Changes(events=(told,), bodies=(kept,), envelopes=(envelope,), advanced=(after,))
        await self.side.store.record(changes)
        await self.step()
        return await self.delivery(after.id)

    async def delivery(self, id: str) -> Delivery:
        work = await self.side.store.work(id)
        assert work is not None
        return work.delivery

    async def events(self, kinds: Any) -> list[NewEvent]:
        return [stored.event for stored in await self.side.store.events(kinds=kinds, after=0, limit=99)]


def directory_of(hosted: int, partner: int, cpa_id: str, signer: Certificate) -> Directory:
    """Return both records, with the agreement in the partner's."""
    terms = Terms(
        service="Interop",
        service_type="string",
        actions={"Foresporsel": "Foresporsel", "Notat": "Svar"},
        our_role=ROLES.get(hosted),
        their_role=ROLES.get(partner),
    )
    agreement = Agreement(
        cpa_id=cpa_id,
        ours=hosted,
        theirs=partner,
        encrypted=False,
        retry_interval=timedelta(seconds=5),
        processes={"HELSEFAGLIG": terms} if hosted in ROLES else {},
        **VARIANTS[cpa_id],
    )
    there = Party(
        her_id=partner,
        name="The engine",
        kind=PartyKind.EPJ,
        organisation_number=None,
        endpoint=ENDPOINT,
        signing=(signer,),
        agreements=(agreement,),
        switches=frozenset({Switch.PLAINTEXT}),
    )
    here = Party(her_id=hosted, name="Ours", kind=PartyKind.EPJ, organisation_number=None)
    return Directory(parties={hosted: here, partner: there})


@asynccontextmanager
async def engine(
    folder: Path, *, hosted: int, partner: int, cpa_id: str, signer: Certificate, at: datetime
) -> AsyncIterator[Engine]:
    """Give a broker that hosts one HER-id and has this agreement with the other, at a moment."""
    clock, wire = Clock(), Replay()
    clock.time = at
    directory = directory_of(hosted, partner, cpa_id, signer)
    side = await open_side(folder, FJORDVIK, directory, clock, wire, Randomness(1))
    try:
        keys = Keys({hosted: key_pair("interop", Use.SIGN)}, {hosted: key_pair("interop", Use.ENCRYPT)})
        site = replace(side.doors.site, hosted={hosted: "314159265"})
        side = replace(side, her=hosted, doors=replace(side.doors, site=site, keys=keys))
        yield Engine(side=side, wire=wire, clock=clock, partner=partner)
    finally:
        await side.store.close()
