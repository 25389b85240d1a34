"""Agreements without signatures, without encryption, without Acknowledgments: what goes, what is taken, what is not."""

import gzip
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker import handover, inbound, intake
from broker.envelope import ebms, ebms_parse, mime, xml
from broker.envelope.ebms_build import build
from broker.lifecycle import ItemStage, Outcome, Receipt, StopPoint, Transport
from broker.message import Answer, EventKind, Verdict
from broker.sealing.certificates import Use
from broker.sealing.keys import KeyPair
from tests.scenario.agreed import BEST_EFFORT, PLAIN, UNSIGNED, agree
from tests.scenario.forge import Draft, take
from tests.scenario.pair import DALBYGDA, FJORDVIK, Keys, Pair, dialogue, pair, side_key

LEFT = side_key(FJORDVIK, Use.SIGN)
TO_LEFT, TO_RIGHT = f"http://127.0.0.1/{FJORDVIK}", f"http://127.0.0.1/{DALBYGDA}"


@pytest.fixture
async def brokers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    """Signals as POSTs of their own, unless a test asks for both ways."""
    async with pair(tmp_path, sync=getattr(request, "param", "async") == "sync") as both:
        yield both


BOTH_WAYS = pytest.mark.parametrize("brokers", ["sync", "async"], indirect=True)


class NoKeys(Keys):
    """Opens nothing: whoever asks for the key fails the test."""

    def opening(self, her_id: int) -> tuple[KeyPair, ...]:
        raise AssertionError(f"the private key of {her_id} was asked for")


def without_key(brokers: Pair) -> None:
    keys = brokers.right.doors.keys
    assert isinstance(keys, Keys)
    brokers.right.doors = replace(brokers.right.doors, keys=NoKeys(keys.signing_pairs, keys.opening_pairs))


def edit(where: str, by: str) -> Callable[[Draft], Draft]:
    return lambda draft: draft.edit(where, by)


async def draft(brokers: Pair, msg_id: str = "22222222-0000-4000-8000-000000000001") -> Draft:
    """Return what the left would send, taken off the wire."""
    brokers.wire.plan = ["catch"]
    await brokers.left.post(dialogue(msg_id))
    await brokers.run(only=brokers.left)
    return take(brokers.wire.caught.pop())


async def given(brokers: Pair, forged: Draft) -> Answer:
    """Give the right broker an envelope; return the signal that it answers with, whichever way."""
    entity = forged.entity()
    answer = await inbound.receive(entity.content_type, entity.body, brokers.right.doors)
    if brokers.sync or answer.body:
        return answer
    before = len(brokers.wire.log)
    await brokers.run(only=brokers.right)
    sent = [body for endpoint, body in brokers.wire.log[before:] if endpoint == TO_LEFT]
    return replace(answer, content_type="text/xml", body=sent[0]) if sent else answer


def read(answer: Answer) -> ebms.Envelope:
    return ebms_parse.parse(xml.parse(mime.read(answer.content_type, answer.body).root.body, max_bytes=10**6))


def error_of(answer: Answer) -> tuple[str, str | None]:
    errors = read(answer).error_list
    assert errors is not None
    (error,) = errors.errors
    return error.code, error.location


async def whys(brokers: Pair) -> list[str | None]:
    kinds = [EventKind.SECURITY, EventKind.INBOUND_REJECTED]
    return [stored.event.why for stored in await brokers.right.store.events(kinds=kinds, after=0, limit=99)]


async def home_again(brokers: Pair, taken: intake.Taken) -> None:
    """Let the right EPJ say yes, and check that it comes home."""
    ((_, item),) = await brokers.right.inbox()
    await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()
    done = await brokers.left.delivery(taken)
    assert (done.state.receipt, done.state.outcome) == (Receipt.OK, Outcome.COMPLETED)
    answered = await brokers.right.store.item(item.id)
    assert answered is not None
    assert answered[1].stage is ItemStage.RECEIPTED


# --- unsigned ---


@BOTH_WAYS
async def test_an_unsigned_agreement_goes_there_and_back_in_plaintext(brokers: Pair) -> None:
    agree(brokers, UNSIGNED, switches=PLAIN)
    without_key(brokers)
    raw = dialogue("22222222-0000-4000-8000-000000000002")
    taken = await brokers.left.post(raw)
    await brokers.run()
    sent = await brokers.left.delivery(taken)
    assert (sent.state.transport, sent.state.receipt) == (Transport.ACKNOWLEDGED, Receipt.AWAITED)
    ((message, _),) = await brokers.right.inbox()
    assert await brokers.right.store.body(message.body) == raw
    await home_again(brokers, taken)
    assert not [body for _, body in brokers.wire.log if b"Signature" in body or b"pkcs7" in body]


async def test_an_unsigned_message_is_refused_where_signatures_are_agreed(brokers: Pair) -> None:
    agree(brokers, {"encrypted": False}, switches=PLAIN)
    answer = await given(brokers, (await draft(brokers)).unsigned())
    assert error_of(answer) == ("SecurityFailure", None)
    assert await brokers.right.inbox() == ()


async def test_ciphertext_under_an_unsigned_agreement_is_refused_before_the_key_is_asked_for(brokers: Pair) -> None:
    original = await draft(brokers)
    agree(brokers, UNSIGNED, switches=PLAIN)
    without_key(brokers)
    unsigned = original.unsigned().put('eb:signed="true"', 'eb:signed="false"')
    for forged in (unsigned, unsigned.signed(LEFT)):
        assert error_of(await given(brokers, forged)) == ("SecurityFailure", None)
    assert await whys(brokers) == ["ciphertext under an agreement without signatures is not opened"] * 2


async def test_plaintext_is_taken_only_where_the_record_allows_it(brokers: Pair) -> None:
    agree(brokers, UNSIGNED, switches=PLAIN)
    original = await draft(brokers)
    parties = dict(brokers.right.addresses.directory.parties)
    parties[FJORDVIK] = replace(parties[FJORDVIK], switches=frozenset())
    brokers.right.addresses.directory = replace(brokers.right.addresses.directory, parties=parties)
    assert error_of(await given(brokers, original)) == ("SecurityFailure", None)
    assert await whys(brokers) == ["plaintext where ciphertext is agreed"]
    agree(brokers, switches=PLAIN)
    assert read(await given(brokers, original)).kind is ebms.Kind.ACKNOWLEDGMENT


async def test_a_broken_signature_is_refused_also_where_none_is_agreed(brokers: Pair) -> None:
    agree(brokers, UNSIGNED, switches=PLAIN)
    original = await draft(brokers)
    conversation = original.value("eb:ConversationId")
    forged = original.signed(LEFT).put(conversation, "another-conversation")
    assert error_of(await given(brokers, forged)) == ("SecurityFailure", None)
    assert error_of(await given(brokers, original.signed(side_key(DALBYGDA, Use.SIGN)))) == ("SecurityFailure", None)
    assert await brokers.right.inbox() == ()
    assert read(await given(brokers, original.signed(LEFT))).kind is ebms.Kind.ACKNOWLEDGMENT


@BOTH_WAYS
async def test_a_duplicate_under_an_unsigned_agreement_is_known_by_the_bytes_of_its_parts(brokers: Pair) -> None:
    agree(brokers, UNSIGNED, switches=PLAIN)
    original = await draft(brokers)
    first = await given(brokers, original)
    assert await given(brokers, original) == first
    assert read(first).kind is ebms.Kind.ACKNOWLEDGMENT
    other = original.carrying(original.payload.replace(b"tur", b"bar"))
    assert error_of(await given(brokers, other)) == ("SecurityFailure", None)
    assert await whys(brokers) == ["another content under a known eb:MessageId"]
    assert len(await brokers.right.inbox()) == 1


async def test_what_nobody_signed_cannot_have_a_partner_held(brokers: Pair) -> None:
    agree(brokers, UNSIGNED, switches=PLAIN)
    original = await draft(brokers)
    for number in range(25):
        rubbish = original.carrying(b"<rubbish/>").put("<eb:MessageId>", f"<eb:MessageId>{number}-")
        assert error_of(await given(brokers, rubbish)) == ("SecurityFailure", None)
    assert brokers.right.doors.holds.until(FJORDVIK, brokers.clock.now()) is None
    assert read(await given(brokers, original)).kind is ebms.Kind.ACKNOWLEDGMENT


# --- signed, and not encrypted ---


@pytest.mark.parametrize("zipped", [False, True], ids=["as it is", "gzip"])
async def test_plaintext_under_a_pkcs7_label_is_judged_by_what_it_is(brokers: Pair, zipped: bool) -> None:
    original = await draft(brokers)
    document = dialogue("22222222-0000-4000-8000-000000000003")
    part = replace(original.parts[0], body=gzip.compress(document, mtime=0) if zipped else document)
    forged = replace(original, parts=(part,)).signed(LEFT)
    assert "pkcs7" in part.content_type
    assert error_of(await given(brokers, forged)) == ("SecurityFailure", None)
    assert await whys(brokers) == ["plaintext where ciphertext is agreed"]
    agree(brokers, switches=PLAIN)
    assert read(await given(brokers, forged)).kind is ebms.Kind.ACKNOWLEDGMENT
    ((message, _),) = await brokers.right.inbox()
    assert await brokers.right.store.body(message.body) == document


async def test_a_signed_agreement_without_encryption_sends_plaintext_and_signs_for_it(brokers: Pair) -> None:
    agree(brokers, {"encrypted": False}, switches=PLAIN)
    taken = await brokers.left.post(dialogue("22222222-0000-4000-8000-000000000004"))
    await brokers.run()
    await home_again(brokers, taken)


async def test_what_is_not_allowed_to_go_in_plaintext_goes_encrypted_whatever_the_agreement_says(brokers: Pair) -> None:
    agree(brokers, {"encrypted": False})
    taken = await brokers.left.post(dialogue("22222222-0000-4000-8000-000000000005"))
    await brokers.run()
    assert "pkcs7" in next(body.decode() for endpoint, body in brokers.wire.log if endpoint == TO_RIGHT)
    await home_again(brokers, taken)


# --- what is asked for, against what is agreed ---


def unasked(original: Draft) -> Draft:
    return original.edit("<eb:AckRequested [^>]*/>", "")


SYNC = (
    '<eb:SyncReply eb:version="2.0" SOAP:mustUnderstand="1" SOAP:actor="http://schemas.xmlsoap.org/soap/actor/next"/>'
)


def turned(original: Draft) -> Draft:
    """Ask for the other way of answering."""
    if SYNC_REPLY.search(original.root):
        return original.edit(SYNC_REPLY.pattern, "")
    return original.put("<eb:AckRequested", f"{SYNC}<eb:AckRequested")


SYNC_REPLY = re.compile("<eb:SyncReply [^>]*/>")


@BOTH_WAYS
@pytest.mark.parametrize(
    ("change", "location"),
    [
        (edit("<eb:AckRequested [^>]*/>", ""), "//Header/AckRequested"),
        (edit('eb:signed="true"', 'eb:signed="false"'), "//Header/AckRequested/@signed"),
        (turned, "//Header/SyncReply"),
    ],
    ids=["no AckRequested", "signed=false", "SyncReply"],
)
async def test_what_is_against_the_agreement_is_inconsistent_at_its_element(
    brokers: Pair, change: Callable[[Draft], Draft], location: str
) -> None:
    forged = change(await draft(brokers))
    assert error_of(await given(brokers, forged.signed(LEFT))) == ("Inconsistent", location)


async def test_an_acknowledgment_that_is_not_agreed_is_inconsistent(brokers: Pair) -> None:
    original = await draft(brokers)
    agree(brokers, BEST_EFFORT)
    assert error_of(await given(brokers, original)) == ("Inconsistent", "//Header/AckRequested")


async def test_an_unsigned_acknowledgment_counts_only_where_it_is_agreed(brokers: Pair) -> None:
    agree(brokers, {"ack_signed": False})
    taken = await brokers.left.post(dialogue("22222222-0000-4000-8000-000000000006"))
    await brokers.run()
    assert (await brokers.left.delivery(taken)).state.transport is Transport.ACKNOWLEDGED
    assert [body for _, body in brokers.wire.log if b"Acknowledgment>" in body and b"<ds:Signature>" in body] == []


# --- best effort ---


@BOTH_WAYS
async def test_best_effort_is_sent_once_and_waits_for_the_receipt(brokers: Pair) -> None:
    agree(brokers, BEST_EFFORT)
    taken = await brokers.left.post(dialogue("22222222-0000-4000-8000-000000000007"))
    await brokers.run()
    await brokers.pass_time(timedelta(hours=1), step=timedelta(minutes=5))
    sent = await brokers.left.delivery(taken)
    assert (sent.state.transport, sent.state.receipt) == (Transport.SENT, Receipt.AWAITED)
    assert (sent.state.stop_point, sent.cause, sent.transport_due) == (StopPoint.K5, "MB-3400", None)
    assert [endpoint for endpoint, _ in brokers.wire.log] == [TO_RIGHT]
    await home_again(brokers, taken)


async def test_best_effort_without_a_receipt_owed_ends_at_the_http_answer(brokers: Pair) -> None:
    agree(brokers, BEST_EFFORT)
    taken = await brokers.left.post(dialogue("22222222-0000-4000-8000-000000000008", ack="N"))
    await brokers.run()
    done = await brokers.left.delivery(taken)
    assert (done.state.outcome, done.state.receipt) == (Outcome.COMPLETED, Receipt.NOT_OWED)
    assert "message.transport_acked" not in await brokers.left.kinds(taken.message.id)


async def test_best_effort_is_sent_again_after_a_fault_of_the_server_and_never_after_2xx(brokers: Pair) -> None:
    agree(brokers, BEST_EFFORT)
    brokers.wire.plan = [500]
    taken = await brokers.left.post(dialogue("22222222-0000-4000-8000-000000000009"))
    await brokers.run()
    assert (await brokers.left.delivery(taken)).cause == "MB-3218"
    await brokers.pass_time(timedelta(hours=2), step=timedelta(minutes=5))
    assert len([endpoint for endpoint, _ in brokers.wire.log if endpoint == TO_RIGHT]) == 1
    await home_again(brokers, taken)


async def test_best_effort_without_a_receipt_is_overdue_like_any_other(brokers: Pair) -> None:
    agree(brokers, BEST_EFFORT)
    taken = await brokers.left.post(dialogue("22222222-0000-4000-8000-00000000000a"))
    await brokers.run()
    await brokers.pass_time(timedelta(hours=97), step=timedelta(hours=1))
    overdue = await brokers.left.delivery(taken)
    assert (overdue.state.receipt, overdue.state.outcome) == (Receipt.OVERDUE, Outcome.OPEN)
    assert len([endpoint for endpoint, _ in brokers.wire.log if endpoint == TO_RIGHT]) == 1


async def test_a_message_error_under_best_effort_still_refuses(brokers: Pair) -> None:
    agree(brokers, BEST_EFFORT)
    taken = await brokers.left.post(dialogue("22222222-0000-4000-8000-00000000000b"))
    parties = dict(brokers.right.addresses.directory.parties)
    parties[FJORDVIK // 100 * 100] = replace(
        parties[FJORDVIK // 100 * 100], signing=(side_key(DALBYGDA, Use.SIGN).certificate,)
    )
    brokers.right.addresses.directory = replace(brokers.right.addresses.directory, parties=parties)
    await brokers.run()
    refused = await brokers.left.delivery(taken)
    assert (refused.state.transport, refused.cause) == (Transport.REFUSED, "MB-3302")


async def test_an_unsigned_acknowledgment_that_nobody_asked_for_moves_nothing(brokers: Pair) -> None:
    """Anybody could have written it."""
    agree(brokers, BEST_EFFORT)
    taken = await brokers.left.post(dialogue("22222222-0000-4000-8000-00000000000c"))
    await brokers.run()
    eb_id = (await brokers.left.delivery(taken)).envelope
    assert eb_id is not None
    acknowledgment = ebms.Envelope(
        header=ebms.Header(
            from_=ebms.her_party(DALBYGDA),
            to=ebms.her_party(FJORDVIK),
            cpa_id="cpa-1",
            conversation_id="c",
            service=ebms.MSH_SERVICE,
            action=ebms.Kind.ACKNOWLEDGMENT,
            message_id="forged@test",
            timestamp=brokers.clock.now(),
            ref_to_message_id=eb_id,
        ),
        acknowledgment=ebms.Acknowledgment(timestamp=brokers.clock.now(), ref_to_message_id=eb_id),
    )
    answer = await inbound.receive("text/xml", build(acknowledgment), brokers.left.doors)
    assert answer.status == 204
    assert (await brokers.left.delivery(taken)).state.transport is Transport.SENT
    assert "security" in await brokers.left.kinds(taken.message.id)
