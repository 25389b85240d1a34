"""What a real Java engine put on the wire is read, verified or refused as it should be."""

import pytest

from broker.envelope import ebms_build, ebms_parse, xml
from broker.envelope.ebms import Kind, MessageStatus, Severity
from broker.envelope.fault import FaultCode, parse_fault
from broker.envelope.signature import verify_envelope
from broker.errors import NotSupported, NotTrusted
from tests.interop.capture import FOLDER, MAX_BYTES, body_of, certificate, load

A, B = 8141253, 79768

SIGNED = {
    "message-signed.request": ("a", 1),
    "message-best-effort.request": ("a", 1),
    "sync-message-signed.request": ("a", 1),
    "message-signed-svar.request": ("b", 1),
    "handmade-message-accepted.request": ("a", 1),
    "acknowledgment-signed.request": ("b", 0),
    "sync-message-signed.response": ("b", 0),
    "handmade-acknowledgment-accepted.request": ("a", 0),
    "handmade-message-accepted-acknowledgment.request": ("b", 0),
}

KINDS = {
    "message-signed.request": Kind.USER_MESSAGE,
    "message-unsigned.request": Kind.USER_MESSAGE,
    "message-best-effort.request": Kind.USER_MESSAGE,
    "message-signed-svar.request": Kind.USER_MESSAGE,
    "sync-message-signed.request": Kind.USER_MESSAGE,
    "handmade-message-accepted.request": Kind.USER_MESSAGE,
    "handmade-message-payload-changed.request": Kind.USER_MESSAGE,
    "acknowledgment-signed.request": Kind.ACKNOWLEDGMENT,
    "acknowledgment-unsigned.request": Kind.ACKNOWLEDGMENT,
    "sync-message-signed.response": Kind.ACKNOWLEDGMENT,
    "handmade-acknowledgment-accepted.request": Kind.ACKNOWLEDGMENT,
    "handmade-message-accepted-acknowledgment.request": Kind.ACKNOWLEDGMENT,
    "ping.request": Kind.PING,
    "sync-ping.request": Kind.PING,
    "pong.request": Kind.PONG,
    "sync-ping.response": Kind.PONG,
    "statusrequest.request": Kind.STATUS_REQUEST,
    "statusresponse.request": Kind.STATUS_RESPONSE,
    "statusresponse-notrecognized.request": Kind.STATUS_RESPONSE,
    "sync-statusresponse.response": Kind.STATUS_RESPONSE,
    "messageerror-inconsistent.request": Kind.MESSAGE_ERROR,
    "messageerror-mimeproblem.request": Kind.MESSAGE_ERROR,
    "messageerror-notsupported.request": Kind.MESSAGE_ERROR,
    "messageerror-securityfailure.request": Kind.MESSAGE_ERROR,
    "messageerror-timetoliveexpired.request": Kind.MESSAGE_ERROR,
}

FAULTS = {"fault-no-channel.response", "fault-soapaction.response", "fault-unknown-cpa.response"}
EMPTY = {"message-signed.response"}


def test_every_capture_is_put_to_the_test() -> None:
    there = {path.name for path in FOLDER.iterdir() if path.suffix in {".request", ".response"}}
    assert there == KINDS.keys() | FAULTS | EMPTY


@pytest.mark.parametrize("name", SIGNED)
def test_a_signed_capture_verifies_by_its_sender_and_by_no_one_else(name: str) -> None:
    capture = load(name)
    signer, parts = SIGNED[name]
    verified = verify_envelope(capture.envelope, capture.parts, trusted=[certificate("a"), certificate("b")])
    assert verified.certificate == certificate(signer)
    assert [one.uri for one in verified.references] == ["", *(f"cid:{name}" for name in capture.parts)]
    assert len(capture.parts) == parts
    with pytest.raises(NotTrusted):
        verify_envelope(capture.envelope, capture.parts, trusted=[certificate("ab".replace(signer, ""))])


@pytest.mark.parametrize("name", sorted(KINDS.keys() - SIGNED.keys() - {"handmade-message-payload-changed.request"}))
def test_an_unsigned_capture_is_not_trusted(name: str) -> None:
    capture = load(name)
    with pytest.raises(NotTrusted, match="not signed"):
        verify_envelope(capture.envelope, capture.parts, trusted=[certificate("a"), certificate("b")])


def test_the_capture_whose_payload_was_changed_is_not_trusted() -> None:
    capture = load("handmade-message-payload-changed.request")
    with pytest.raises(NotTrusted, match="a part was changed"):
        verify_envelope(capture.envelope, capture.parts, trusted=[certificate("a")])


@pytest.mark.parametrize("name", KINDS)
def test_a_capture_is_read_as_what_it_is(name: str) -> None:
    capture = load(name)
    envelope = ebms_parse.parse(capture.envelope)
    assert envelope.kind == KINDS[name]
    assert {envelope.header.from_her, envelope.header.to_her} == {A, B}
    assert ebms_parse.parse_header(capture.envelope) == envelope.header
    ebms_parse.match_parts(envelope.manifest, capture.parts)


@pytest.mark.parametrize("name", KINDS)
def test_what_was_read_of_a_capture_can_be_written_and_read_again(name: str) -> None:
    envelope = ebms_parse.parse(load(name).envelope)
    again = ebms_parse.parse(xml.parse(ebms_build.build(envelope), max_bytes=MAX_BYTES))
    assert again == envelope


def test_the_acknowledgment_of_the_engine_carries_the_digests_of_the_message() -> None:
    message = load("message-signed.request")
    sent = verify_envelope(message.envelope, message.parts, trusted=[certificate("a")])
    acknowledgment = ebms_parse.parse(load("acknowledgment-signed.request").envelope).acknowledgment
    assert acknowledgment is not None
    assert acknowledgment.ref_to_message_id == ebms_parse.parse(message.envelope).header.message_id
    told = {(one.uri, one.digest_method, one.digest_value) for one in acknowledgment.references}
    assert told == {(one.uri, one.digest_method, one.digest_value) for one in sent.references}


@pytest.mark.parametrize(
    ("name", "code", "location"),
    [
        ("inconsistent", "Inconsistent", "//Header/MessageHeader/DuplicateElimination"),
        ("notsupported", "NotSupported", "//Header/MessageOrder"),
        ("securityfailure", "SecurityFailure", "//Header/Signature"),
        ("timetoliveexpired", "TimeToLiveExpired", "//Header/MessageHeader/MessageData/TimeToLive"),
    ],
)
def test_the_errors_of_the_engine_are_read(name: str, code: str, location: str) -> None:
    errors = ebms_parse.parse(load(f"messageerror-{name}.request").envelope).error_list
    assert errors is not None
    assert errors.highest_severity == Severity.ERROR
    assert [(one.code, one.location) for one in errors.errors] == [(code, location)]


def test_a_mime_problem_names_the_part() -> None:
    errors = ebms_parse.parse(load("messageerror-mimeproblem.request").envelope).error_list
    assert errors is not None
    assert errors.errors[0].code == "MimeProblem"
    assert str(errors.errors[0].location).startswith("cid:")


def test_the_status_of_a_message_is_read() -> None:
    known = ebms_parse.parse(load("statusresponse.request").envelope).status_response
    unknown = ebms_parse.parse(load("statusresponse-notrecognized.request").envelope).status_response
    assert known is not None
    assert known.status == MessageStatus.RECEIVED
    assert known.timestamp is not None
    assert unknown is not None
    assert unknown.status == MessageStatus.NOT_RECOGNIZED


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_soap_fault_is_read_as_one(name: str) -> None:
    _, body = body_of(name)
    document = xml.parse(body, max_bytes=MAX_BYTES)
    fault = parse_fault(document)
    assert fault is not None
    assert fault.code == FaultCode.CLIENT
    assert fault.text


def test_what_is_no_fault_is_none() -> None:
    assert parse_fault(load("ping.request").envelope) is None


def test_one_changed_byte_of_a_header_breaks_the_signature() -> None:
    _, body = body_of("acknowledgment-signed.request")
    changed = xml.parse(body.replace(b"interop:1", b"interop:2"), max_bytes=MAX_BYTES)
    with pytest.raises(NotTrusted, match="the digest differs"):
        verify_envelope(changed, {}, trusted=[certificate("b")])


def test_message_order_is_not_supported() -> None:
    _, body = body_of("ping.request")
    order = b'<eb:MessageOrder eb:version="2.0" soap:mustUnderstand="1"/></soap:Header>'
    with pytest.raises(NotSupported) as refusal:
        ebms_parse.parse(xml.parse(body.replace(b"</soap:Header>", order), max_bytes=MAX_BYTES))
    assert refusal.value.location == "//Header/MessageOrder"
