"""Writing an ebMS 2.0 envelope. It decides the one form in which we say each thing: the one that every engine takes.

Elements stand in the order of the schema, because one engine checks it before all else; `actor` is written, because
another one ignores an Acknowledgment without it; the prefix of SOAP is bound on the document element.
"""

from datetime import UTC, datetime

from lxml import etree

from broker.envelope.ebms import (
    ACTOR_TO_PARTY_MSH,
    VERSION,
    Acknowledgment,
    EbError,
    Envelope,
    ErrorList,
    Header,
    PartyId,
)
from broker.envelope.names import DS, EB, SOAP, XLINK, XML, cid, eb, soap
from broker.envelope.xmldsig import ACTOR_NEXT, append_reference

_PREFIXES = {"SOAP": SOAP, "eb": EB, "ds": DS, "xlink": XLINK}


def build(envelope: Envelope, *, actor: bool = True) -> bytes:
    """Return the envelope in UTF-8, unsigned. The caller has seen to it that the values agree with each other.

    `actor` false leaves toPartyMSH unsaid on AckRequested and Acknowledgment, which means the same (6.3.1.1).
    """
    to_party = ACTOR_TO_PARTY_MSH if actor else None
    root = etree.Element(soap("Envelope"), nsmap=_PREFIXES)
    header = etree.SubElement(root, soap("Header"))
    _message_header(header, envelope.header)
    if envelope.sync_reply:
        _entry(header, "SyncReply", actor=ACTOR_NEXT)
    if envelope.ack_requested is not None:
        wish = _entry(header, "AckRequested", actor=to_party)
        wish.set(eb("signed"), "true" if envelope.ack_requested.signed else "false")
    if envelope.acknowledgment is not None:
        _acknowledgment(header, envelope.acknowledgment, to_party)
    if envelope.error_list is not None:
        _error_list(header, envelope.error_list)
    body = etree.SubElement(root, soap("Body"))
    if envelope.manifest:
        manifest = _versioned(body, "Manifest")
        for name in envelope.manifest:
            part = etree.SubElement(manifest, eb("Reference"))
            part.set(f"{{{XLINK}}}type", "simple")
            part.set(f"{{{XLINK}}}href", cid(name))
    if envelope.status_request is not None:
        _text(_versioned(body, "StatusRequest"), "RefToMessageId", envelope.status_request.ref_to_message_id)
    if envelope.status_response is not None:
        answer = _versioned(body, "StatusResponse")
        answer.set(eb("messageStatus"), envelope.status_response.status)
        _text(answer, "RefToMessageId", envelope.status_response.ref_to_message_id)
        if envelope.status_response.timestamp is not None:
            _text(answer, "Timestamp", stamp(envelope.status_response.timestamp))
    return etree.tostring(root, encoding="utf-8")


def stamp(moment: datetime) -> str:
    """Return a time as we write it: UTC with Z, milliseconds only where there are any."""
    moment = moment.astimezone(UTC)
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _message_header(parent: etree._Element, values: Header) -> None:
    header = _entry(parent, "MessageHeader")
    _party(header, "From", values.from_, values.from_role)
    _party(header, "To", values.to, values.to_role)
    _text(header, "CPAId", values.cpa_id)
    _text(header, "ConversationId", values.conversation_id)
    _text(header, "Service", values.service, type_=values.service_type)
    _text(header, "Action", values.action)
    data = etree.SubElement(header, eb("MessageData"))
    _text(data, "MessageId", values.message_id)
    _text(data, "Timestamp", stamp(values.timestamp))
    if values.ref_to_message_id is not None:
        _text(data, "RefToMessageId", values.ref_to_message_id)
    if values.time_to_live is not None:
        _text(data, "TimeToLive", stamp(values.time_to_live))
    if values.duplicate_elimination:
        etree.SubElement(header, eb("DuplicateElimination"))
    for description in values.descriptions:
        _text(header, "Description", description.text).set(f"{{{XML}}}lang", description.lang or "en")


def _party(parent: etree._Element, name: str, ids: tuple[PartyId, ...], role: str | None) -> None:
    party = etree.SubElement(parent, eb(name))
    for one in ids:
        _text(party, "PartyId", one.value, type_=one.type)
    if role is not None:
        _text(party, "Role", role)


def _acknowledgment(parent: etree._Element, values: Acknowledgment, actor: str | None) -> None:
    element = _entry(parent, "Acknowledgment", actor=actor)
    _text(element, "Timestamp", stamp(values.timestamp))
    _text(element, "RefToMessageId", values.ref_to_message_id)
    if values.from_:
        _party(element, "From", values.from_, None)
    for reference in values.references:
        append_reference(element, reference)


def _error_list(parent: etree._Element, values: ErrorList) -> None:
    element = _entry(parent, "ErrorList")
    element.set(eb("highestSeverity"), values.highest_severity)
    for one in values.errors:
        _error(element, one)


def _error(parent: etree._Element, values: EbError) -> None:
    element = etree.SubElement(parent, eb("Error"))
    element.set(eb("codeContext"), values.context)
    element.set(eb("errorCode"), values.code)
    element.set(eb("severity"), values.severity)
    if values.location:
        element.set(eb("location"), values.location)
    if values.description:
        _text(element, "Description", values.description).set(f"{{{XML}}}lang", "en")


def _entry(parent: etree._Element, name: str, *, actor: str | None = None) -> etree._Element:
    entry = _versioned(parent, name)
    entry.set(soap("mustUnderstand"), "1")
    if actor is not None:
        entry.set(soap("actor"), actor)
    return entry


def _versioned(parent: etree._Element, name: str) -> etree._Element:
    element = etree.SubElement(parent, eb(name))
    element.set(eb("version"), VERSION)
    return element


def _text(parent: etree._Element, name: str, value: str, *, type_: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, eb(name))
    element.text = value
    if type_ is not None:
        element.set(eb("type"), type_)
    return element
