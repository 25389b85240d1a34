"""What the engines of the field really put on the wire: each is taken, or refused with its reason."""

import base64
import gzip
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker import inbound
from broker.envelope import ebms, xml
from broker.envelope.ebms import Kind
from broker.envelope.ebms_build import build
from broker.envelope.fault import FaultCode, parse_fault
from broker.envelope.signature import sign_envelope
from broker.lifecycle import Transport
from broker.message import EventKind
from broker.ports import TransportReply
from broker.sealing.certificates import Use
from tests.scenario.forge import BOUNDARY, Draft, sealed
from tests.scenario.pair import DALBYGDA, FJORDVIK, LEASE, START, Caught, Pair, Side, dialogue, pair, side_key
from tests.scenario.test_agreements import LEFT, draft, error_of, given, read, whys
from tests.scenario.test_questions import question, sent


def resigned(change: Callable[[Draft], Draft]) -> Callable[[Draft], Caught]:
    return lambda original: change(original).signed(LEFT).entity()


def on_the_wire(old: bytes, new: bytes) -> Callable[[Draft], Caught]:
    def change(original: Draft) -> Caught:
        entity = original.entity()
        assert old in entity.body
        return replace(entity, body=entity.body.replace(old, new))

    return change


def typed(where: str, by: str) -> Callable[[Draft], Caught]:
    def change(original: Draft) -> Caught:
        entity = original.entity()
        content_type, count = re.subn(where, by, entity.content_type)
        assert count == 1
        return replace(entity, content_type=content_type)

    return change


def odd_boundary(original: Draft) -> Caught:
    """As the Java engine writes it."""
    entity, odd = original.entity(), "-=34c74f2e-512a-469c-b7af-b413c938fe71=-"
    return replace(
        entity,
        content_type=entity.content_type.replace(BOUNDARY, odd),
        body=entity.body.replace(BOUNDARY.encode(), odd.encode()),
    )


def carriage_returns(original: Draft) -> Caught:
    """base64 with &#13; at the ends of its lines, which stays in the text when the XML is read."""

    def broken(found: re.Match[str]) -> str:
        lines = re.findall(".{1,76}", found[2])
        return found[1] + "&#13;\n".join(lines) + found[3]

    pattern = r"(<ds:(?:SignatureValue|X509Certificate|Modulus)>)([^<]*)(</ds:)"
    root, count = re.subn(pattern, broken, original.root)
    assert count == 3
    return replace(original, root=root).entity()


def key_info_turned(original: Draft) -> Caught:
    """X509Data before KeyValue, and a KeyName in front of both."""
    return original.edit(
        "(<ds:KeyInfo>)(<ds:KeyValue>.*</ds:KeyValue>)(<ds:X509Data>.*</ds:X509Data>)(</ds:KeyInfo>)",
        r"\1<ds:KeyName>k</ds:KeyName>\3\2\4",
    ).entity()


def header(where: str, by: str) -> Callable[[Draft], Caught]:
    return resigned(lambda original: original.edit(where, by))


DOCUMENT = dialogue("22222222-0000-4000-8000-000000000001")
RECEIVER = side_key(DALBYGDA, Use.ENCRYPT).certificate

TAKEN: dict[str, Callable[[Draft], Caught]] = {
    "no start": typed('; start="[^"]*"', ""),
    "Content-Id": on_the_wire(b"Content-ID:", b"Content-Id:"),
    "odd boundary": odd_boundary,
    "carriage returns in base64": carriage_returns,
    "KeyInfo in another order": key_info_turned,
    "bare UUID as MessageId": header("(<eb:MessageId>)[^<]*", r"\g<1>5e8764cb-3a19-4e7e-9c7d-0b6f4c0a8d11"),
    "Timestamp without a zone": header("(<eb:Timestamp>)[^<]*", r"\g<1>2026-11-22T12:00:00"),
    "Timestamp with an offset": header("(<eb:Timestamp>)[^<]*", r"\g<1>2026-11-22T13:00:00+01:00"),
    "Timestamp with seven decimals": header("(<eb:Timestamp>)[^<]*", r"\g<1>2026-11-22T12:00:00.1234567Z"),
    "no actor on AckRequested": header(r'(<eb:AckRequested [^>]*?) SOAP:actor="[^"]*"', r"\1"),
    "mustUnderstand true": header('(<eb:AckRequested [^>]*?SOAP:mustUnderstand=)"1"', r'\1"true"'),
    "no TimeToLive": header("<eb:TimeToLive>[^<]*</eb:TimeToLive>", ""),
    "a header of someone else": resigned(
        lambda o: o.last_in_header('<t:Trace xmlns:t="urn:trace" SOAP:mustUnderstand="0">x</t:Trace>')
    ),
    "BER of OpenSSL": lambda o: o.carrying(indefinite(o.payload)).signed(LEFT).entity(),
    "gzip inside the ciphertext": lambda o: (
        o.carrying(sealed(gzip.compress(DOCUMENT, mtime=0), RECEIVER)).signed(LEFT).entity()
    ),
}


def indefinite(der: bytes) -> bytes:
    """Return a ContentInfo with its outermost length left open, as streaming writers do (X.690 8.1.3.6)."""
    start = 2 + (der[1] & 0x7F)
    assert der[0] == 0x30
    assert der[1] > 0x80
    return b"\x30\x80" + der[start:] + b"\x00\x00"


@pytest.fixture(name="both")
async def fixture_both(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as made:
        yield made


@pytest.fixture(name="in_posts")
async def fixture_in_posts(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path, sync=False) as made:
        yield made


@pytest.mark.parametrize("name", TAKEN)
async def test_what_peers_really_send_is_taken(name: str, both: Pair) -> None:
    entity = TAKEN[name](await draft(both))
    answer = await inbound.receive(entity.content_type, entity.body, both.right.doors)
    assert read(answer).kind is Kind.ACKNOWLEDGMENT, await whys(both)
    ((message, _),) = await both.right.inbox()
    assert await both.right.store.body(message.body) == DOCUMENT


async def test_an_envelope_alone_in_base64_by_its_http_header_is_read(both: Pair) -> None:
    raw = base64.encodebytes(question(Kind.PING))
    answer = await inbound.receive("text/xml", raw, both.right.doors, transfer_encoding="base64")
    assert (answer.status, read(answer).kind) == (200, Kind.PONG)
    assert (await inbound.receive("text/xml", raw, both.right.doors)).status == 400


async def test_xml_encryption_is_named_and_not_opened(both: Pair) -> None:
    encrypted = (
        b'<?xml version="1.0"?><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#">'
        b'<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/>'
        b'<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey>'
        b"<ds:KeyInfo><ds:KeyName>CN=party-a, O=Interop</ds:KeyName></ds:KeyInfo>"
        b"<xenc:CipherData><xenc:CipherValue>AAAA</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>"
        b"<xenc:CipherData><xenc:CipherValue>AAAA</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
    )
    original = await draft(both)
    # The engine signs the plaintext: its signature does not fit what is seen here.
    assert error_of(await given(both, original.carrying(encrypted))) == ("SecurityFailure", None)
    (why,) = await whys(both)
    assert why is not None
    assert why.startswith('XML Encryption with aes256-cbc, for "CN=party-a, O=Interop"')
    assert await both.right.inbox() == ()


# --- signals ---


async def test_a_header_that_must_be_understood_and_is_not_is_a_soap_fault(both: Pair) -> None:
    unknown = '<t:Trace xmlns:t="urn:trace" SOAP:mustUnderstand="1">x</t:Trace>'
    entity = (await draft(both)).last_in_header(unknown).signed(LEFT).entity()
    answer = await inbound.receive(entity.content_type, entity.body, both.right.doors)
    fault = parse_fault(xml.parse(answer.body, max_bytes=10**5))
    assert answer.status == 400
    assert fault is not None
    assert fault.code is FaultCode.MUST_UNDERSTAND


@pytest.mark.parametrize(
    ("change", "location"),
    [
        (
            lambda o: o.last_in_header('<eb:MessageOrder eb:version="2.0" SOAP:mustUnderstand="1"/>'),
            "//Header/MessageOrder",
        ),
        (lambda o: o.put("actor:toPartyMSH", "actor:nextMSH"), "//Header/AckRequested"),
    ],
    ids=["MessageOrder", "nextMSH"],
)
async def test_a_module_that_we_lack_is_not_supported(
    both: Pair, change: Callable[[Draft], Draft], location: str
) -> None:
    forged = change(await draft(both))
    entity = replace(forged, root=re.sub("<ds:Signature>.*</ds:Signature>", "", forged.root, flags=re.DOTALL)).entity()
    answer = await inbound.receive(entity.content_type, entity.body, both.right.doors)
    assert error_of(answer) == ("NotSupported", location)


class Impatient:
    """Carries to the right, and brings the signal that it was to POST in the answer."""

    def __init__(self, right: Side) -> None:
        self._right = right

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        answer = await inbound.receive(content_type, body, self._right.doors)
        assert (answer.status, answer.body) == (204, b"")
        now, store = self._right.doors.clock.now(), self._right.store
        claimed = await store.claim(now=now, until=now + LEASE, limit=9, per_lane=9, busy={}, closed=())
        (signal,) = claimed.signals
        return TransportReply(status=200, content_type=signal.content_type, body=await store.body(signal.body))


async def test_an_acknowledgment_in_the_answer_counts_though_a_post_was_agreed(in_posts: Pair) -> None:
    """It verifies: how it came is no reason to send the document again."""
    both = in_posts
    both.left.doors = replace(both.left.doors, carrier=Impatient(both.right))
    taken = await both.left.post(dialogue("22222222-0000-4000-8000-000000000002"))
    await both.run(only=both.left)
    assert (await both.left.delivery(taken)).state.transport is Transport.ACKNOWLEDGED


async def test_a_warning_leaves_the_message_in_force(both: Pair) -> None:
    message, eb_id = await sent(both)
    warning = ebms.Envelope(
        header=ebms.Header(
            from_=ebms.her_party(DALBYGDA),
            to=ebms.her_party(FJORDVIK),
            cpa_id="cpa-1",
            conversation_id="c",
            service=ebms.MSH_SERVICE,
            action=Kind.MESSAGE_ERROR,
            message_id="w@test",
            timestamp=START,
            ref_to_message_id=eb_id,
        ),
        error_list=ebms.ErrorList(errors=(ebms.EbError(code="Unknown", severity=ebms.Severity.WARNING),)),
    )
    raw = sign_envelope(build(warning), {}, side_key(DALBYGDA, Use.SIGN))
    before = await both.left.store.work_by_envelope(eb_id)
    assert (await inbound.receive("text/xml", raw, both.left.doors)).status == 204
    assert await both.left.store.work_by_envelope(eb_id) == before
    events = [stored.event for stored in await both.left.store.history(message)]
    assert [event.codes for event in events if event.kind is EventKind.FAILED] == [("Unknown",)]
