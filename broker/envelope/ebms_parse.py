"""Reading an ebMS 2.0 envelope. It decides what a peer may write and still be understood, and the code it gets if not.

Order, blanks, missing actors, bare ids and every spelling of a time that the field sends are taken. What changes the
meaning is refused: a second element of a name, an element of ebMS where it does not belong, a module that we lack.
Only direct children are looked at, so an element hidden elsewhere is not seen at all.
"""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta, timezone

from lxml import etree

from broker.envelope.ebms import (
    ACTOR_TO_PARTY_MSH,
    ERROR_CONTEXT,
    VERSION,
    Acknowledgment,
    AckRequested,
    Description,
    EbError,
    Envelope,
    ErrorList,
    Header,
    Kind,
    MessageStatus,
    PartyId,
    Severity,
    StatusRequest,
    StatusResponse,
)
from broker.envelope.names import EB, XLINK, XML, content_id, ds, eb, soap
from broker.envelope.xml import Xml, children, decode_base64, local, location, only_child, required_child, text
from broker.envelope.xmldsig import ACTOR_NEXT, ACTOR_NEXT_MSH, Reference
from broker.errors import Inconsistent, MimeProblem, MustUnderstand, NotSupported, OtherXml, ValueNotRecognized

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:(Z)|([+-])(\d\d):(\d\d))?", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_MAX_ID = 256  # characters; the standard has no limit, an index wants one
_FOR_US = {None, "", ACTOR_NEXT, ACTOR_NEXT_MSH, ACTOR_TO_PARTY_MSH}
_HEADERS = {
    *(eb(name) for name in ("MessageHeader", "SyncReply", "AckRequested", "Acknowledgment", "ErrorList")),
    ds("Signature"),
}
_OF_HANDLERS = {eb("AckRequested"), eb("Acknowledgment")}  # what the next handler may be asked, or say
_BODIES = {eb("Manifest"), eb("StatusRequest"), eb("StatusResponse")}


def parse_header(document: Xml) -> Header:
    """Return the MessageHeader alone, so that a refusal of the rest can be answered to its sender.

    Raises OtherXml, Inconsistent or NotSupported, with the place.
    """
    header, _ = _halves(document.root)
    return _message_header(required_child(header, eb("MessageHeader")))


def parse(document: Xml, *, header: Header | None = None) -> Envelope:
    """Return what an envelope says. It is not believed before its signature is verified over the same document.

    `header` is what `parse_header` said of the same document, where it was asked before.

    Raises OtherXml (the schema does not allow it), Inconsistent (it contradicts itself), NotSupported (MessageOrder,
    nextMSH, another version), MustUnderstand (a SOAP header that we do not know), ValueNotRecognized (an Action that
    the MSH does not have) or MimeProblem (a Manifest that names something else than a part), with the place.
    """
    soap_header, body = _halves(document.root)
    _refuse_unknown_headers(soap_header)
    if header is None:
        header = _message_header(required_child(soap_header, eb("MessageHeader")))
    _refuse_unknown(body, _BODIES)
    envelope = Envelope(
        header=header,
        sync_reply=only_child(soap_header, eb("SyncReply")) is not None,
        ack_requested=_ack_requested(only_child(soap_header, eb("AckRequested"))),
        acknowledgment=_acknowledgment(only_child(soap_header, eb("Acknowledgment"))),
        error_list=_error_list(only_child(soap_header, eb("ErrorList"))),
        manifest=_manifest(only_child(body, eb("Manifest"))),
        status_request=_status_request(only_child(body, eb("StatusRequest"))),
        status_response=_status_response(only_child(body, eb("StatusResponse"))),
    )
    _check_kind(envelope)
    return envelope


def match_parts(manifest: Iterable[str], parts: Collection[str]) -> None:
    """Check that the Manifest and the MIME parts name each other, all and once. Both are Content-IDs.

    Raises MimeProblem, with the `cid:` URI: a part that is only in one of the two would be lost, or never signed for.
    """
    named = list(manifest)
    for name in named:
        if name not in parts:
            raise MimeProblem("the Manifest names a part that is not there", location=f"cid:{name}")
        if named.count(name) > 1:
            raise MimeProblem("the Manifest names a part twice", location=f"cid:{name}")
    for name in parts:
        if name not in named:
            raise MimeProblem("a part that the Manifest does not name", location=f"cid:{name}")


def _halves(root: etree._Element) -> tuple[etree._Element, etree._Element]:
    if root.tag != soap("Envelope"):
        raise OtherXml("not a SOAP 1.1 Envelope")
    if [child.tag for child in root] != [soap("Header"), soap("Body")]:
        raise OtherXml("not one SOAP:Header followed by one SOAP:Body")
    return root[0], root[1]


def _refuse_unknown_headers(soap_header: etree._Element) -> None:
    for entry in soap_header:
        if entry.tag == eb("MessageOrder"):
            raise NotSupported("MessageOrder is not supported", location=location(entry))
        # Looked for before they are counted: one for the next handler may stand beside one for the receiving party.
        if entry.tag in _OF_HANDLERS and entry.get(soap("actor")) == ACTOR_NEXT_MSH:
            raise NotSupported("nextMSH is not supported", location=location(entry))
        if entry.tag in _HEADERS:
            continue
        if entry.get(soap("actor")) in _FOR_US and _boolean(entry, soap("mustUnderstand")):
            raise MustUnderstand("a SOAP header that must be understood is not known", location=location(entry))
    _refuse_unknown(soap_header, _HEADERS)


def _message_header(element: etree._Element) -> Header:
    _check_version(element)
    if element.get(soap("actor")) in {ACTOR_NEXT, ACTOR_NEXT_MSH}:
        raise Inconsistent("a MessageHeader for someone on the way", location=location(element))
    known = ("From", "To", "CPAId", "ConversationId", "Service", "Action", "MessageData")
    _refuse_unknown(element, {eb(name) for name in (*known, "DuplicateElimination", "Description")})
    sender, receiver, cpa_id, conversation_id, service, action, data = (
        required_child(element, eb(name)) for name in known
    )
    _refuse_unknown(data, {eb(name) for name in ("MessageId", "Timestamp", "RefToMessageId", "TimeToLive")})
    from_, from_role = _party(sender)
    to, to_role = _party(receiver)
    live = only_child(data, eb("TimeToLive"))
    return Header(
        from_=from_,
        to=to,
        from_role=from_role,
        to_role=to_role,
        cpa_id=_value(cpa_id),
        conversation_id=_value(conversation_id),
        service=_typed(service),
        service_type=service.get(eb("type")),
        action=_value(action),
        message_id=_value(required_child(data, eb("MessageId"))),
        timestamp=_time(required_child(data, eb("Timestamp"))),
        ref_to_message_id=_optional(data, "RefToMessageId"),
        time_to_live=None if live is None else _time(live),
        duplicate_elimination=only_child(element, eb("DuplicateElimination")) is not None,
        descriptions=tuple(
            Description(text=text(one), lang=one.get(f"{{{XML}}}lang")) for one in children(element, eb("Description"))
        ),
    )


def _party(element: etree._Element) -> tuple[tuple[PartyId, ...], str | None]:
    _refuse_unknown(element, {eb("PartyId"), eb("Role")})
    required = children(element, eb("PartyId"))
    if not required:
        raise OtherXml("PartyId is missing", location=f"{location(element)}/PartyId")
    return tuple(PartyId(value=_typed(one), type=one.get(eb("type"))) for one in required), _optional(element, "Role")


def _ack_requested(element: etree._Element | None) -> AckRequested | None:
    if element is None:
        return None
    _check_version(element)
    _check_actor(element)
    signed = _boolean(element, eb("signed"))
    if signed is None:
        raise OtherXml("AckRequested without eb:signed", location=f"{location(element)}/@signed")
    return AckRequested(signed=signed)


def _acknowledgment(element: etree._Element | None) -> Acknowledgment | None:
    if element is None:
        return None
    _check_version(element)
    _check_actor(element)
    sender = only_child(element, eb("From"))
    return Acknowledgment(
        timestamp=_time(required_child(element, eb("Timestamp"))),
        ref_to_message_id=_value(required_child(element, eb("RefToMessageId"))),
        from_=() if sender is None else _party(sender)[0],
        references=tuple(_acknowledged(one) for one in children(element, ds("Reference"))),
    )


def _acknowledged(element: etree._Element) -> Reference:
    """Return what a copied ds:Reference says. Peers indent it anew and lose prefixes: only its values count."""
    method = required_child(element, ds("DigestMethod")).get("Algorithm") or ""
    value = required_child(element, ds("DigestValue"))
    try:
        digest = decode_base64(text(value))
    except ValueError:
        raise OtherXml("a DigestValue that is not base64", location=location(value)) from None
    return Reference(uri=element.get("URI") or "", digest_method=method, digest_value=digest)


def _error_list(element: etree._Element | None) -> ErrorList | None:
    if element is None:
        return None
    _check_version(element)
    errors = tuple(_error(one) for one in children(element, eb("Error")))
    if not errors:
        raise OtherXml("an ErrorList without errors", location=location(element))
    return ErrorList(errors=errors)


def _error(element: etree._Element) -> EbError:
    code = element.get(eb("errorCode"))
    severity = element.get(eb("severity"))
    if not code or severity not in set(Severity):
        raise OtherXml("an Error without errorCode or severity", location=location(element))
    description = only_child(element, eb("Description"))
    return EbError(
        code=code,
        severity=Severity(severity),
        location=element.get(eb("location")),
        description=None if description is None else text(description),
        context=element.get(eb("codeContext")) or ERROR_CONTEXT,
    )


def _manifest(element: etree._Element | None) -> tuple[str, ...]:
    if element is None:
        return ()
    _check_version(element)
    references = children(element, eb("Reference"))
    if not references:
        raise OtherXml("a Manifest without References", location=location(element))
    return tuple(_part(one) for one in references)


def _part(element: etree._Element) -> str:
    href = element.get(f"{{{XLINK}}}href")
    if href is None:
        raise OtherXml("a Reference without xlink:href", location=location(element))
    name = content_id(href.strip())
    if name is None:
        raise MimeProblem("a Reference to something that is not a part of this message", location=location(element))
    return name


def _status_request(element: etree._Element | None) -> StatusRequest | None:
    if element is None:
        return None
    _check_version(element)
    return StatusRequest(ref_to_message_id=_value(required_child(element, eb("RefToMessageId"))))


def _status_response(element: etree._Element | None) -> StatusResponse | None:
    if element is None:
        return None
    _check_version(element)
    status = element.get(eb("messageStatus"))
    if status not in set(MessageStatus):
        raise OtherXml("a StatusResponse without a known messageStatus", location=location(element))
    came = only_child(element, eb("Timestamp"))
    return StatusResponse(
        ref_to_message_id=_value(required_child(element, eb("RefToMessageId"))),
        status=MessageStatus(status),
        timestamp=None if came is None else _time(came),
    )


def _check_kind(envelope: Envelope) -> None:
    """Check that the Action and the elements that are there tell of the same thing."""
    kind = envelope.kind
    if kind is None:
        raise ValueNotRecognized("the MSH has no such Action", location="//Header/MessageHeader/Action")
    needed = {
        Kind.ACKNOWLEDGMENT: (envelope.acknowledgment, "//Header/Acknowledgment"),
        Kind.MESSAGE_ERROR: (envelope.error_list, "//Header/ErrorList"),
        Kind.STATUS_REQUEST: (envelope.status_request, "//Body/StatusRequest"),
        Kind.STATUS_RESPONSE: (envelope.status_response, "//Body/StatusResponse"),
    }
    if kind in needed and needed[kind][0] is None:
        raise Inconsistent(f"{kind} without its element", location=needed[kind][1])
    # 6.3.1.4: never asked of a signal, or two engines would acknowledge each other's acknowledgments for ever.
    if envelope.ack_requested is not None and kind in {Kind.ACKNOWLEDGMENT, Kind.MESSAGE_ERROR}:
        raise Inconsistent("a signal that asks for an Acknowledgment", location="//Header/AckRequested")
    for status, owner in (
        (envelope.status_request, Kind.STATUS_REQUEST),
        (envelope.status_response, Kind.STATUS_RESPONSE),
    ):
        if status is not None and kind != owner:
            raise Inconsistent(f"{owner} under another Action", location=f"//Body/{owner}")


def _check_version(element: etree._Element) -> None:
    version = element.get(eb("version"))
    if version is None:
        raise OtherXml(f"{local(element)} without eb:version", location=f"{location(element)}/@version")
    if version.strip() != VERSION:
        raise NotSupported("a version of ebMS other than 2.0", location=f"{location(element)}/@version")


def _check_actor(element: etree._Element) -> None:
    # Absent means toPartyMSH (6.3.1.1); some peers leave it out.
    if element.get(soap("actor")) not in {None, "", ACTOR_TO_PARTY_MSH}:
        raise Inconsistent("an actor that the element cannot have", location=f"{location(element)}/@actor")


def _refuse_unknown(parent: etree._Element, known: Collection[str]) -> None:
    """Refuse elements of ebMS that do not belong under `parent`. Those of others are theirs, and passed over."""
    for child in parent:
        if child.tag not in known and etree.QName(child).namespace == EB:
            raise OtherXml(f"{local(child)} does not belong here", location=location(child))


def _boolean(element: etree._Element, name: str) -> bool | None:
    value = element.get(name)
    if value is None:
        return None
    # SOAP 1.1 knows 0 and 1 only; a peer's published sample has "true".
    if value.strip() not in {"0", "1", "true", "false"}:
        raise OtherXml(
            "an attribute that is not true or false", location=f"{location(element)}/@{etree.QName(name).localname}"
        )
    return value.strip() in {"1", "true"}


def _optional(parent: etree._Element, name: str) -> str | None:
    element = only_child(parent, eb(name))
    return None if element is None else _value(element)


def _value(element: etree._Element) -> str:
    value = text(element)
    if not value or len(value) > _MAX_ID:
        raise OtherXml(f"{local(element)} is empty, or over {_MAX_ID} characters", location=location(element))
    return value


def _typed(element: etree._Element) -> str:
    """Return a PartyId or Service. Without eb:type it must be a URI (3.1.1.1, 3.1.4.1)."""
    value = _value(element)
    if element.get(eb("type")) is None and not _URI.match(value):
        raise Inconsistent(f"{local(element)} without eb:type is not a URI", location=location(element))
    return value


def _time(element: etree._Element) -> datetime:
    """Return an xs:dateTime in UTC. Without a zone it is UTC, as the standard demands of all (3.1.6.2)."""
    found = _TIME.fullmatch(text(element))
    if found is None:
        raise OtherXml(f"{local(element)} is not a time", location=location(element))
    year, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = found.groups()
    offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes)) if sign else timedelta()
    try:
        local_time = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second),
            int((fraction or "0")[:6].ljust(6, "0")),
            timezone(-offset if sign == "-" else offset),
        )
        return local_time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise OtherXml(f"{local(element)} is not a time", location=location(element)) from None
