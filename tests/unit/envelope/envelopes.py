"""One envelope of every kind, and a way to change the writing of one: where the tests of ebMS start."""

from dataclasses import replace
from datetime import UTC, datetime

from broker.envelope import xml
from broker.envelope.ebms import (
    MSH_SERVICE,
    Acknowledgment,
    AckRequested,
    EbError,
    Envelope,
    ErrorList,
    Header,
    Kind,
    MessageStatus,
    Severity,
    StatusRequest,
    StatusResponse,
    her_party,
    system_description,
)
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse
from broker.envelope.xmldsig import C14N, EBMS_XPATH, ENVELOPED, SHA256, XPATH, Reference

ACTOR = ' SOAP:actor="urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"'
AT = datetime(2026, 11, 22, 1, 0, 0, tzinfo=UTC)
MESSAGE = Header(
    from_=her_party(8000101),
    to=her_party(8000202),
    from_role="Kommune",
    to_role="Fastlege",
    cpa_id="fjordvik:dalbygda:1",
    conversation_id="c-1",
    service="Dialog",
    service_type="string",
    action="Melding",
    message_id="m-1@fjordvik.example",
    timestamp=AT,
    ref_to_message_id="m-0@fjordvik.example",
    time_to_live=AT.replace(hour=2),
    duplicate_elimination=True,
    descriptions=(system_description(msh="DigiHelse", msh_version="0.1.0", system="EPJ"),),
)
USER = Envelope(header=MESSAGE, ack_requested=AckRequested(signed=True), manifest=("p-1@fjordvik.example", "p 2@x"))


def signal(kind: Kind, **rest: str | None) -> Header:
    return replace(
        MESSAGE,
        service=MSH_SERVICE,
        service_type=None,
        action=kind,
        from_role=None,
        to_role=None,
        **rest,  # type: ignore[arg-type] # text
    )


WHOLE = Reference(
    uri="", digest_method=SHA256, digest_value=b"w" * 32, transforms=(ENVELOPED, XPATH, C14N), xpath=EBMS_XPATH
)
PART = Reference(uri="cid:p-1@x", digest_method=SHA256, digest_value=b"p" * 32)
ACKNOWLEDGMENT = Acknowledgment(
    timestamp=AT, ref_to_message_id="m-1@x", from_=her_party(8000202), references=(WHOLE, PART)
)
ERRORS = ErrorList(
    errors=(
        EbError(code="MimeProblem", severity=Severity.WARNING, location="cid:x", description="MIME part not found."),
        EbError(code="Unknown", severity=Severity.ERROR),
    )
)

ALL = {
    Kind.USER_MESSAGE: USER,
    Kind.ACKNOWLEDGMENT: Envelope(header=signal(Kind.ACKNOWLEDGMENT), acknowledgment=ACKNOWLEDGMENT),
    Kind.MESSAGE_ERROR: Envelope(header=signal(Kind.MESSAGE_ERROR), error_list=ERRORS),
    Kind.PING: Envelope(header=signal(Kind.PING), sync_reply=True),
    Kind.PONG: Envelope(header=signal(Kind.PONG)),
    Kind.STATUS_REQUEST: Envelope(
        header=signal(Kind.STATUS_REQUEST), status_request=StatusRequest(ref_to_message_id="m-1@x")
    ),
    Kind.STATUS_RESPONSE: Envelope(
        header=signal(Kind.STATUS_RESPONSE),
        status_response=StatusResponse(ref_to_message_id="m-1@x", status=MessageStatus.RECEIVED, timestamp=AT),
    ),
}


def read(data: bytes) -> Envelope:
    return parse(xml.parse(data, max_bytes=1_000_000))


def changed(before: str, after: str, envelope: Envelope = USER) -> bytes:
    text = build(envelope).decode()
    assert text.count(before) == 1, f"{before} stands there {text.count(before)} times"
    return text.replace(before, after).encode()
