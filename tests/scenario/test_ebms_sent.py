"""What a message service sends, and makes of the answers, as ebMS 2.0 asks: docs/conformance/ebms names each test.

What goes out is caught on the wire, and looked at as it is.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import Certificate

from broker import handover, inbound
from broker.envelope import ebms, mime, xml
from broker.envelope.ebms import EbError, ErrorList, Kind, Severity
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse
from broker.envelope.signature import Verified, sign_envelope, verify_envelope
from broker.envelope.xmldsig import Reference
from broker.errors import MimeProblem
from broker.intake import Taken
from broker.lifecycle import Outcome, Transport
from broker.message import Verdict
from broker.receipts.acknowledgment import build_acknowledgment
from broker.receipts.message_error import build_message_error
from broker.sealing import cms
from tests.scenario.forge import Draft
from tests.scenario.pair import DALBYGDA, FJORDVIK, START, Caught, Pair, dialogue, pair
from tests.scenario.scenes import LEFT, MSG_ID, OTHER_MSG_ID, RIGHT, RIGHT_OPENS, caught

MAX_BYTES = 1_000_000
ID = re.compile(r"[^@\s<>]+@[\w.-]+", re.ASCII)  # the addr-spec of RFC 2822, as far as ids need it


@dataclass(frozen=True)
class Sent:
    """An entity on the wire, taken apart."""

    envelope: ebms.Envelope
    document: xml.Xml
    parts: dict[str, bytes]

    def verified(self, certificate: Certificate) -> Verified:
        return verify_envelope(self.document, self.parts, trusted=[certificate])


def apart(content_type: str, body: bytes) -> Sent:
    entity = mime.read(content_type, body)
    document = xml.parse(entity.root.body, max_bytes=MAX_BYTES)
    return Sent(parse(document), document, {part.content_id: part.body for part in entity.parts})


def sent(draft: Draft) -> Sent:
    entity = draft.entity()
    return apart(entity.content_type, entity.body)


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two brokers whose signals go as messages of their own."""
    async with pair(tmp_path, sync=False) as both:
        yield both


async def all_on_the_wire(brokers: Pair) -> list[Caught]:
    """Let a message be sent, acknowledged, answered by a receipt and that acknowledged; return all four."""
    seen: list[Caught] = []
    post = brokers.wire.post

    async def watched(endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> object:
        seen.append(Caught(endpoint, content_type, body))
        return await post(endpoint, content_type=content_type, body=body, timeout=timeout)

    brokers.wire.post = watched  # type: ignore[method-assign, assignment] # a witness
    await brokers.left.post(dialogue(MSG_ID))
    await brokers.run()
    ((_, item),) = await brokers.right.inbox()
    await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()
    assert len(seen) == 4
    return seen


# --- the header -------------------------------------------------------------------------------------------------------


async def test_from_and_to_are_the_her_ids_of_sender_and_receiver(brokers: Pair) -> None:
    header = sent(await caught(brokers, brokers.left, dialogue(MSG_ID))).envelope.header
    assert header.from_ == (ebms.PartyId(value=str(FJORDVIK), type="HER"),)
    assert header.to == (ebms.PartyId(value=str(DALBYGDA), type="HER"),)


async def test_the_cpa_id_is_that_of_the_agreement(brokers: Pair) -> None:
    header = sent(await caught(brokers, brokers.left, dialogue(MSG_ID))).envelope.header
    agreement = brokers.left.doors.addresses.current().agreement(FJORDVIK, DALBYGDA)
    assert agreement is not None
    assert header.cpa_id == agreement.cpa_id == "cpa-1"


async def test_a_conversation_keeps_its_id_through_acknowledgment_and_receipt(brokers: Pair) -> None:
    on_the_wire = [apart(one.content_type, one.body).envelope for one in await all_on_the_wire(brokers)]
    assert [one.kind for one in on_the_wire] == [Kind.USER_MESSAGE, Kind.ACKNOWLEDGMENT] * 2
    assert len({one.header.conversation_id for one in on_the_wire}) == 1
    ((message, _),) = await brokers.right.inbox(unread=False)
    assert message.conversation_id == on_the_wire[0].header.conversation_id


async def test_two_conversations_have_two_ids(brokers: Pair) -> None:
    drafts = [await caught(brokers, brokers.left, dialogue(one)) for one in (MSG_ID, OTHER_MSG_ID)]
    assert len({draft.value("eb:ConversationId") for draft in drafts}) == 2


async def test_a_service_that_is_no_uri_has_its_type(brokers: Pair) -> None:
    header = sent(await caught(brokers, brokers.left, dialogue(MSG_ID))).envelope.header
    assert ":" not in header.service
    assert header.service_type == "string"


async def test_every_message_has_an_id_of_its_own_in_the_form_of_mail(brokers: Pair) -> None:
    headers = [apart(one.content_type, one.body).envelope.header for one in await all_on_the_wire(brokers)]
    assert len({header.message_id for header in headers}) == len(headers)
    assert [header.message_id for header in headers if not ID.fullmatch(header.message_id)] == []


async def test_the_timestamp_is_when_the_envelope_was_made(brokers: Pair) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    assert sent(draft).envelope.header.timestamp == START
    assert f"<eb:Timestamp>{START:%Y-%m-%dT%H:%M:%SZ}</eb:Timestamp>" in draft.root


async def test_a_first_message_refers_to_none(brokers: Pair) -> None:
    assert "RefToMessageId" not in (await caught(brokers, brokers.left, dialogue(MSG_ID))).root


async def test_time_to_live_leaves_room_for_every_copy_and_ends_before_the_memory_does(brokers: Pair) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    header = sent(draft).envelope.header
    agreement = brokers.left.doors.addresses.current().agreement(FJORDVIK, DALBYGDA)
    assert agreement is not None
    assert header.time_to_live is not None
    assert header.time_to_live > header.timestamp + (agreement.retries + 1) * agreement.retry_interval
    assert header.time_to_live < header.timestamp + agreement.persist_duration
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", draft.value("eb:TimeToLive"))


async def test_a_message_asks_for_what_reliable_messaging_needs(brokers: Pair) -> None:
    envelope = sent(await caught(brokers, brokers.left, dialogue(MSG_ID))).envelope
    assert envelope.header.duplicate_elimination
    assert envelope.ack_requested == ebms.AckRequested(signed=True)


async def test_no_signal_asks_for_an_acknowledgment(brokers: Pair) -> None:
    on_the_wire = await all_on_the_wire(brokers)
    asking = [b"AckRequested" in one.body for one in on_the_wire]
    assert asking == [True, False, True, False]


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_sync_reply_stands_where_it_is_agreed_and_nowhere_else(sync: bool, tmp_path: Path) -> None:
    async with pair(tmp_path, sync=sync) as brokers:
        draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
        assert draft.root.count("<eb:SyncReply ") == (1 if sync else 0)


# --- the package and its signature ------------------------------------------------------------------------------------


async def test_a_signal_goes_as_the_envelope_alone(brokers: Pair) -> None:
    on_the_wire = await all_on_the_wire(brokers)
    assert [one.content_type.partition(";")[0] for one in on_the_wire] == ["multipart/related", "text/xml"] * 2


async def test_the_manifest_names_the_payload_and_nothing_else(brokers: Pair) -> None:
    message = sent(await caught(brokers, brokers.left, dialogue(MSG_ID)))
    assert message.envelope.manifest == tuple(message.parts)
    assert len(message.parts) == 1


async def test_the_signature_refers_to_the_envelope_and_to_what_the_manifest_names(brokers: Pair) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    message = sent(draft)
    whole, payload = message.verified(LEFT.certificate).references
    (href,) = re.findall(r'xlink:href="([^"]*)"', draft.root)
    assert (whole.uri, payload.uri) == ("", href)
    assert payload.digest_value == hashlib.sha256(draft.payload).digest()


async def test_the_payload_is_sealed_before_it_is_signed(brokers: Pair) -> None:
    raw = dialogue(MSG_ID)
    draft = await caught(brokers, brokers.left, raw)
    assert draft.parts[0].media_type == "application/pkcs7-mime"
    opened = cms.open_(draft.payload, (RIGHT_OPENS,), random=brokers.left.doors.randomness.bytes)
    assert opened.content == raw
    # What is signed is the ciphertext: anyone can verify, and nobody but the receiver reads.
    assert sent(draft).verified(LEFT.certificate).references[1].digest_value == hashlib.sha256(draft.payload).digest()


async def test_our_acknowledgment_is_signed_and_repeats_the_references(brokers: Pair) -> None:
    message, acknowledgment = [apart(one.content_type, one.body) for one in (await all_on_the_wire(brokers))[:2]]
    acknowledgment.verified(RIGHT.certificate)
    signed = message.verified(LEFT.certificate).references
    told = acknowledgment.envelope.acknowledgment
    assert told is not None
    assert [(one.uri, one.digest_method, one.digest_value) for one in told.references] == [
        (one.uri, one.digest_method, one.digest_value) for one in signed
    ]
    assert told.timestamp == START
    assert told.ref_to_message_id == message.envelope.header.message_id


# --- what is made of the answers --------------------------------------------------------------------------------------


async def waits_for(brokers: Pair) -> tuple[Taken, ebms.Header]:
    """Let left send a message that nobody answers; return it, and its header."""
    brokers.wire.plan = ["catch"]
    taken = await brokers.left.post(dialogue(MSG_ID))
    await brokers.run()
    one = brokers.wire.caught.pop()
    return taken, apart(one.content_type, one.body).envelope.header


async def say(brokers: Pair, envelope: ebms.Envelope) -> None:
    """Let right say something to left, signed."""
    answer = await inbound.receive("text/xml", sign_envelope(build(envelope), {}, RIGHT), brokers.left.doors)
    assert answer.status == 204


@pytest.mark.parametrize("severity", Severity)
async def test_a_message_error_ends_the_message_and_a_warning_does_not(severity: Severity, brokers: Pair) -> None:
    taken, header = await waits_for(brokers)
    error = build_message_error(header, MimeProblem("x"), message_id="e@x", timestamp=START)
    errors = ErrorList(errors=(EbError(code="MimeProblem", severity=severity),))
    await say(brokers, replace(error, error_list=errors))
    told = await brokers.left.delivery(taken)
    refused = severity is Severity.ERROR
    assert told.state.transport is (Transport.REFUSED if refused else Transport.SENT)
    brokers.wire.plan = ["catch"]
    await brokers.pass_time(timedelta(minutes=5))
    assert len(brokers.wire.caught) == (0 if refused else 1)


async def test_a_message_that_nobody_acknowledged_is_told_to_the_application(brokers: Pair) -> None:
    brokers.wire.plan = ["lose"] * 4
    taken = await brokers.left.post(dialogue(MSG_ID))
    await brokers.run()
    await brokers.pass_time(timedelta(minutes=25), step=timedelta(minutes=1))
    (feed,) = [
        stored.event
        for stored in await brokers.left.store.feed({FJORDVIK}, after=0, limit=100)
        if stored.event.kind == "message.gave_up"
    ]
    assert (feed.msg_id, feed.counterpart) == (MSG_ID, DALBYGDA)
    # Which of the two it is, the attempts say: the copies may have been read, and no Acknowledgment came.
    attempts = await brokers.left.store.attempts(taken.message.id)
    assert [(one.result, one.error_id) for one in attempts] == [("sent", "MB-3205")] * 4
    assert feed.error_id == "MB-3216"
    brokers.wire.down.add(f"http://127.0.0.1/{DALBYGDA}")
    never = await brokers.left.post(dialogue(OTHER_MSG_ID))
    await brokers.run()
    (attempt,) = await brokers.left.store.attempts(never.message.id)
    assert (attempt.result, attempt.error_id) == ("failed", "MB-3202")  # this one was never transmitted


async def test_copies_are_a_retry_interval_apart(brokers: Pair) -> None:
    brokers.wire.plan = ["lose"] * 4
    taken = await brokers.left.post(dialogue(MSG_ID))
    await brokers.run()
    await brokers.pass_time(timedelta(minutes=25), step=timedelta(seconds=30))
    started = [one.started_at for one in await brokers.left.store.attempts(taken.message.id)]
    assert started == [START + number * timedelta(minutes=5) for number in range(4)]


async def test_an_acknowledgment_after_giving_up_still_counts(brokers: Pair) -> None:
    taken, header = await waits_for(brokers)
    brokers.wire.plan = ["lose"] * 3
    await brokers.pass_time(timedelta(minutes=25), step=timedelta(minutes=1))
    assert (await brokers.left.delivery(taken)).state.transport is Transport.ABANDONED
    await say(brokers, await _acknowledgment(brokers, taken, header))
    told = await brokers.left.delivery(taken)
    assert (told.state.transport, told.state.outcome) == (Transport.ACKNOWLEDGED, Outcome.OPEN)


async def test_a_second_acknowledgment_changes_nothing(brokers: Pair) -> None:
    taken, header = await waits_for(brokers)
    acknowledgment = await _acknowledgment(brokers, taken, header)
    await say(brokers, acknowledgment)
    first = await brokers.left.delivery(taken)
    assert first.state.transport is Transport.ACKNOWLEDGED
    brokers.clock.time += timedelta(hours=1)
    again = replace(acknowledgment, header=replace(acknowledgment.header, message_id="another@x"))
    for one in (acknowledgment, again):
        await say(brokers, one)
        assert await brokers.left.delivery(taken) == first


async def _acknowledgment(brokers: Pair, taken: Taken, header: ebms.Header) -> ebms.Envelope:
    work = await brokers.left.store.work(taken.deliveries[0].id)
    assert work is not None
    assert work.envelope is not None
    references = [
        Reference(uri=one.uri, digest_method=one.method, digest_value=one.value) for one in work.envelope.digests
    ]
    return build_acknowledgment(header, references, message_id="a@x", timestamp=START)


ANSWERS = {
    200: Transport.SENT,  # a web page: the server has it, and no handler has said a word
    301: Transport.REFUSED,
    400: Transport.REFUSED,
    404: Transport.REFUSED,
    408: Transport.WAITING,
    429: Transport.WAITING,
    500: Transport.SENT,
    503: Transport.WAITING,
}


async def test_what_an_http_answer_means(brokers: Pair) -> None:
    for number, (status, transport) in enumerate(ANSWERS.items()):
        brokers.wire.plan = [status]
        taken = await brokers.left.post(dialogue(f"22222222-0000-4000-8000-0000000002{number:02}"))
        await brokers.run()
        told = await brokers.left.delivery(taken)
        assert told.state.transport is transport, status
        assert (told.transport_due is None) is (transport is Transport.REFUSED), status
        assert told.state.outcome is Outcome.OPEN
    assert brokers.wire.log == []
