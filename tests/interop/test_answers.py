"""What our broker answers to every captured message, under the engine's agreement, and what it makes of every answer.

The payloads of the captures are no documents of the sector. So a message that verifies is refused all the same, when
its payload is read: the reason that is written down for the operator says how far it came, and the partner is not told.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker import acts
from broker.acts import By
from broker.envelope import ebms, ebms_parse, mime, xml
from broker.envelope.ebms import Kind, MessageStatus
from broker.envelope.signature import is_signed, verify_envelope
from broker.lifecycle import Transport
from broker.message import Delivery, Digest, EventKind
from broker.ports import TransportReply
from broker.receipts.acknowledgment import digests
from broker.sealing.certificates import Use
from tests.certificates import key_pair
from tests.interop.capture import FOLDER, MAX_BYTES, body_of, certificate, load
from tests.interop.engine import A, B, Engine, engine

READ = "what was opened does not say who it is from"  # agreement and signature hold, and it was opened
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A capture that comes to us, and what we answer. `why` is written down and not told."""

    name: str
    status: int
    says: Kind | None
    code: str | None = None  # of a MessageError, or the status of a StatusResponse
    signed: bool = False
    why: str | None = None


MESSAGES = (
    Row(name="message-signed", status=204, says=Kind.MESSAGE_ERROR, code="SecurityFailure", signed=True, why=READ),
    Row(name="message-signed-svar", status=204, says=Kind.MESSAGE_ERROR, code="SecurityFailure", signed=True, why=READ),
    Row(name="message-unsigned", status=204, says=Kind.MESSAGE_ERROR, code="SecurityFailure", why=READ),
    Row(name="message-best-effort", status=204, says=Kind.MESSAGE_ERROR, code="SecurityFailure", signed=True, why=READ),
    Row(name="sync-message-signed", status=200, says=Kind.MESSAGE_ERROR, code="SecurityFailure", signed=True, why=READ),
    Row(
        name="handmade-message-accepted",
        status=204,
        says=Kind.MESSAGE_ERROR,
        code="SecurityFailure",
        signed=True,
        why=READ,
    ),
    Row(
        name="handmade-message-payload-changed",
        status=204,
        says=Kind.MESSAGE_ERROR,
        code="SecurityFailure",
        signed=True,
        why="a part was changed after signing: the digest differs",
    ),
    Row(name="ping", status=204, says=Kind.PONG),
    Row(name="sync-ping", status=200, says=Kind.PONG),
    Row(name="statusrequest", status=204, says=Kind.STATUS_RESPONSE, code=MessageStatus.NOT_RECOGNIZED),
    Row(name="pong", status=204, says=None),
)

# Signals about a message of ours: the capture of that message, where there is one, and where the delivery then stands.
SIGNALS = {
    "acknowledgment-signed": ("message-signed", Transport.ACKNOWLEDGED, EventKind.ACKNOWLEDGED, None),
    "acknowledgment-unsigned": ("message-unsigned", Transport.ACKNOWLEDGED, EventKind.ACKNOWLEDGED, None),
    "handmade-message-accepted-acknowledgment": (
        "handmade-message-accepted",
        Transport.ACKNOWLEDGED,
        EventKind.ACKNOWLEDGED,
        None,
    ),
    "handmade-acknowledgment-accepted": (
        "message-signed-svar",
        Transport.ACKNOWLEDGED,
        EventKind.ACKNOWLEDGED,
        None,
    ),
    **{
        f"messageerror-{code}": (
            None,
            Transport.SENT,
            EventKind.SECURITY,
            "a MessageError without a signature, on a channel that proves nothing",
        )
        for code in ("inconsistent", "mimeproblem", "notsupported", "securityfailure", "timetoliveexpired")
    },
    "statusresponse": (None, Transport.SENT, EventKind.STATUS_TOLD, "not signed: it proves nothing"),
    "statusresponse-notrecognized": (None, Transport.SENT, EventKind.STATUS_TOLD, "not signed: it proves nothing"),
}

# HTTP answers to a message of ours: where the delivery then stands, and by what cause.
ANSWERS = {
    "message-signed": (Transport.SENT, "MB-3206"),
    "sync-message-signed": (Transport.ACKNOWLEDGED, None),
    "sync-ping": (Transport.SENT, "MB-3214"),  # a Pong is no word about a message
    "fault-no-channel": (Transport.SENT, "MB-3311"),
    "fault-soapaction": (Transport.SENT, "MB-3311"),
    "fault-unknown-cpa": (Transport.SENT, "MB-3311"),
}
ASKED = "sync-statusresponse"  # and this one answers a question of ours


def header_of(name: str) -> ebms.Header:
    return ebms_parse.parse_header(load(name).envelope)


def other(her: int) -> int:
    return A + B - her


def signer(her: int) -> str:
    return "a" if her == A else "b"


def opened(tmp_path: Path, header: ebms.Header) -> AbstractAsyncContextManager[Engine]:
    """Give a broker in the place of the party that a capture went to, a second after it was written."""
    assert header.to_her is not None
    partner = other(header.to_her)
    return engine(
        tmp_path,
        hosted=header.to_her,
        partner=partner,
        cpa_id=header.cpa_id,
        signer=certificate(signer(partner)),
        at=header.timestamp + SECOND,
    )


def read(body: bytes) -> tuple[ebms.Envelope, xml.Xml]:
    document = xml.parse(mime.read("text/xml", body).root.body, max_bytes=MAX_BYTES)
    return ebms_parse.parse(document), document


def test_every_capture_is_answered_or_is_an_answer() -> None:
    there = {path.name for path in FOLDER.iterdir() if path.suffix in {".request", ".response"}}
    requests = {f"{row.name}.request" for row in MESSAGES} | {f"{name}.request" for name in SIGNALS}
    answers = {f"{name}.response" for name in (*ANSWERS, ASKED)}
    assert requests | answers == there
    print(f"captures answered: {len(requests)}, answers read: {len(answers)} (at least 22 and 7)")
    assert len(requests) >= 22
    assert len(answers) >= 7


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row.name)
async def test_our_answer_to_a_capture(row: Row, tmp_path: Path) -> None:
    header = header_of(f"{row.name}.request")
    async with opened(tmp_path, header) as ours:
        status, said = await ours.given(*body_of(f"{row.name}.request"))
        assert status == row.status
        refused = await ours.events([EventKind.SECURITY, EventKind.INBOUND_REJECTED])
        assert [event.why for event in refused] == ([row.why] if row.why else [])
        if row.says is None:
            assert said == b""
            return
        envelope, document = read(said)
        assert envelope.kind is row.says
        assert envelope.header.ref_to_message_id == header.message_id
        assert (envelope.header.from_her, envelope.header.to_her) == (header.to_her, header.from_her)
        assert (envelope.header.cpa_id, envelope.header.conversation_id) == (header.cpa_id, header.conversation_id)
        assert is_signed(document) is row.signed
        if row.signed:
            verify_envelope(document, {}, trusted=[key_pair("interop", Use.SIGN).certificate])
        if envelope.error_list is not None:
            (error,) = envelope.error_list.errors
            assert (error.code, error.location, error.description) == (row.code, None, None)
        if envelope.status_response is not None:
            assert envelope.status_response.status == row.code


async def planted(ours: Engine, eb_id: str, cpa_id: str, message: str | None) -> Delivery:
    """Put the message that a capture is about into the store, with the digests that it was signed with."""
    signed: tuple[Digest, ...] = ()
    if message is not None and is_signed((capture := load(f"{message}.request")).envelope):
        trusted = [certificate("a"), certificate("b")]
        signed = digests(verify_envelope(capture.envelope, capture.parts, trusted=trusted).references)
    return await ours.plant(eb_id, cpa_id, signed)


@pytest.mark.parametrize("name", SIGNALS)
async def test_what_a_captured_signal_does(name: str, tmp_path: Path) -> None:
    message, stands, kind, why = SIGNALS[name]
    envelope = ebms_parse.parse(load(f"{name}.request").envelope)
    about = envelope.status_response or envelope.header
    async with opened(tmp_path, envelope.header) as ours:
        delivery = await planted(ours, about.ref_to_message_id or "", envelope.header.cpa_id, message)
        assert delivery.state.transport is Transport.SENT
        assert await ours.given(*body_of(f"{name}.request")) == (204, b"")
        assert (await ours.delivery(delivery.id)).state.transport is stands
        (event,) = await ours.events([kind])
        assert event.why == why
        if envelope.status_response is not None:
            assert event.codes == (envelope.status_response.status,)


def reply_of(name: str) -> TransportReply:
    status = int((FOLDER / name).read_bytes().split(b" ", 2)[1])
    content_type, body = body_of(name)
    return TransportReply(status=status, content_type=content_type, body=body)


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_a_captured_answer_does(name: str, tmp_path: Path) -> None:
    stands, cause = ANSWERS[name]
    cpa_id = "interop:sync" if name.startswith("sync") else "interop:1"
    message = name if name.endswith("signed") else "message-signed"
    sent = header_of(f"{message}.request")
    at = sent.timestamp + SECOND
    async with engine(tmp_path, hosted=A, partner=B, cpa_id=cpa_id, signer=certificate("b"), at=at) as ours:
        ours.wire.reply = reply_of(f"{name}.response")
        delivery = await planted(ours, sent.message_id, cpa_id, message)
        assert (delivery.state.transport, delivery.cause) == (stands, cause)


async def test_a_captured_status_answers_our_question(tmp_path: Path) -> None:
    header = header_of(f"{ASKED}.response")
    async with opened(tmp_path, header) as ours:
        delivery = await planted(ours, header_of("sync-message-signed.request").message_id, header.cpa_id, None)
        ours.wire.reply = reply_of(f"{ASKED}.response")
        told = await acts.message_status(delivery.id, By(actor="kari", reason="is it there?"), ours.side.doors)
        assert (told.status, told.signed, told.partner) == (MessageStatus.RECEIVED, False, B)
        (event,) = await ours.events([EventKind.STATUS_TOLD])
        assert event.codes == ("Received",)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("inconsistent", "MB-3305"),
        ("mimeproblem", "MB-3308"),
        ("notsupported", "MB-3306"),
        ("securityfailure", "MB-3302"),
        ("timetoliveexpired", "MB-3303"),
    ],
)
async def test_an_unsigned_error_counts_in_the_answer_over_tls(name: str, cause: str, tmp_path: Path) -> None:
    header = header_of(f"messageerror-{name}.request")
    async with opened(tmp_path, header) as ours:
        content_type, body = body_of(f"messageerror-{name}.request")
        ours.wire.reply = TransportReply(status=200, content_type=content_type, body=body)
        delivery = await planted(ours, header.ref_to_message_id or "", header.cpa_id, None)
        assert (delivery.state.transport, delivery.cause) == (Transport.REFUSED, cause)


async def test_the_engines_message_is_refused_before_it_is_opened_where_the_record_wants_ciphertext(
    tmp_path: Path,
) -> None:
    header = header_of("message-signed.request")
    async with opened(tmp_path, header) as ours:
        directory = ours.side.addresses.directory
        partner = replace(directory.parties[A], switches=frozenset())
        ours.side.addresses.directory = replace(directory, parties={**directory.parties, A: partner})
        status, said = await ours.given(*body_of("message-signed.request"))
        assert (status, read(said)[0].kind) == (204, Kind.MESSAGE_ERROR)
        (event,) = await ours.events([EventKind.SECURITY])
        assert event.why == "plaintext where ciphertext is agreed"
