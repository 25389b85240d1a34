"""Reading an ebMS 2.0 envelope. It decides what a peer may write and still be understood, and the code it gets if not.

Order, blanks, missing actors, bare ids and every spelling of a time that the field sends are taken. What changes the
meaning is refused: a second element of a name, an element of ebMS where it does not belong, a module that we lack.
Only direct children are looked at, so an element hidden elsewhere is not seen at all.
"""

import re
from collections.abc import Collection, Iterable, Sequence
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
from broker.envelope.names import XLINK, XML, content_id, ds, eb, soap
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
_IN_HEADER = ("From", "To", "CPAId", "ConversationId", "Service", "Action", "MessageData")  # each once
_MESSAGE_HEADER = {eb(name) for name in (*_IN_HEADER, "DuplicateElimination", "Description")}
_MESSAGE_DATA = {eb(name) for name in ("MessageId", "Timestamp", "RefToMessageId", "TimeToLive")}
_PARTY = {eb("PartyId"), eb("Role")}
_MESSAGE_ORDER, _TYPE, _VERSION = eb("MessageOrder"), eb("type"), eb("version")
_ACTOR, _MUST_UNDERSTAND = soap("actor"), soap("mustUnderstand")
_ENVELOPE, _HALVES = soap("Envelope"), [soap("Header"), soap("Body")]
_OF_EBMS = eb("")  # how every name of ebMS begins


def parse_header(document: Xml) -> Header:
    """Return the MessageHeader alone, so that a refusal of the rest can be answered to its sender.

    Raises OtherXml, Inconsistent or NotSupported, with the place.
    """
    header, _ = _halves(document.root)
    return _message_header(_Children(header).required("MessageHeader"))


def parse(document: Xml, *, header: Header | None = None) -> Envelope:
    """Return what an envelope says. It is not believed before its signature is verified over the same document.

    `header` is what `parse_header` said of the same document, where it was asked before.

    Raises OtherXml (the schema does not allow it), Inconsistent (it contradicts itself), NotSupported (MessageOrder,
    nextMSH, another version), MustUnderstand (a SOAP header that we do not know), ValueNotRecognized (an Action that
    the MSH does not have) or MimeProblem (a Manifest that names something else than a part), with the place.
    """
    soap_header, body = _halves(document.root)
    _refuse_headers(soap_header)
    entries = _Children(soap_header, known=_HEADERS)
    if header is None:
        header = _message_header(entries.required("MessageHeader"))
    content = _Children(body, known=_BODIES)
    envelope = Envelope(
        header=header,
        sync_reply=entries.only("SyncReply") is not None,
        ack_requested=_ack_requested(entries.only("AckRequested")),
        acknowledgment=_acknowledgment(entries.only("Acknowledgment")),
        error_list=_error_list(entries.only("ErrorList")),
        manifest=_manifest(content.only("Manifest")),
        status_request=_status_request(content.only("StatusRequest")),
        status_response=_status_response(content.only("StatusResponse")),
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
    if root.tag != _ENVELOPE:
        raise OtherXml("not a SOAP 1.1 Envelope")
    if [child.tag for child in root] != _HALVES:
        raise OtherXml("not one SOAP:Header followed by one SOAP:Body")
    return root[0], root[1]


class _Children:
    """The ebMS elements directly under one, by name. It is gone through once; where they stand makes no difference.

    With `known`, elements of ebMS that do not belong there are refused. Those of others are theirs, and passed over.
    """

    def __init__(self, parent: etree._Element, *, known: Collection[str] | None = None) -> None:
        self._parent = parent
        self._by_name: dict[str, list[etree._Element]] = {}
        for child in parent:
            self._by_name.setdefault(str(child.tag), []).append(child)
        for name, found in self._by_name.items():
            if known is not None and name not in known and name.startswith(_OF_EBMS):
                raise OtherXml(f"{local(found[0])} does not belong here", location=location(found[0]))

    def all(self, name: str) -> Sequence[etree._Element]:
        return self._by_name.get(eb(name), ())

    def only(self, name: str) -> etree._Element | None:
        found = self.all(name)
        if len(found) > 1:
            raise Inconsistent(f"more than one {name}", location=location(found[0]))
        return found[0] if found else None

    def required(self, name: str) -> etree._Element:
        found = self.only(name)
        if found is None:
            raise OtherXml(f"{name} is missing", location=f"{location(self._parent)}/{name}")
        return found

    def optional_value(self, name: str) -> str | None:
        found = self.only(name)
        return None if found is None else _value(found)


def _refuse_headers(soap_header: etree._Element) -> None:
    for entry in soap_header:
        if entry.tag == _MESSAGE_ORDER:
            raise NotSupported("MessageOrder is not supported", location=location(entry))
        # Looked for before they are counted: one for the next handler may stand beside one for the receiving party.
        if entry.tag in _OF_HANDLERS and entry.get(_ACTOR) == ACTOR_NEXT_MSH:
            raise NotSupported("nextMSH is not supported", location=location(entry))
        if entry.tag in _HEADERS:
            continue
        if entry.get(_ACTOR) in _FOR_US and _boolean(entry, _MUST_UNDERSTAND):
            raise MustUnderstand("a SOAP header that must be understood is not known", location=location(entry))


def _message_header(element: etree._Element) -> Header:
    _check_version(element)
    if element.get(_ACTOR) in {ACTOR_NEXT, ACTOR_NEXT_MSH}:
        raise Inconsistent("a MessageHeader for someone on the way", location=location(element))
    said = _Children(element, known=_MESSAGE_HEADER)
    sender, receiver, cpa_id, conversation_id, service, action, message_data = map(said.required, _IN_HEADER)
    data = _Children(message_data, known=_MESSAGE_DATA)
    from_, from_role = _party(sender)
    to, to_role = _party(receiver)
    live = data.only("TimeToLive")
    return Header(
        from_=from_,
        to=to,
        from_role=from_role,
        to_role=to_role,
        cpa_id=_value(cpa_id),
        conversation_id=_value(conversation_id),
        service=_typed(service),
        service_type=service.get(_TYPE),
        action=_value(action),
        message_id=_value(data.required("MessageId")),
        timestamp=_time(data.required("Timestamp")),
        ref_to_message_id=data.optional_value("RefToMessageId"),
        time_to_live=None if live is None else _time(live),
        duplicate_elimination=said.only("DuplicateElimination") is not None,
        descriptions=tuple(
            Description(text=text(one), lang=one.get(f"{{{XML}}}lang")) for one in said.all("Description")
        ),
    )


def _party(element: etree._Element) -> tuple[tuple[PartyId, ...], str | None]:
    said = _Children(element, known=_PARTY)
    names = said.all("PartyId")
    if not names:
        raise OtherXml("PartyId is missing", location=f"{location(element)}/PartyId")
    return tuple(PartyId(value=_typed(one), type=one.get(_TYPE)) for one in names), said.optional_value("Role")


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
    said = _Children(element)
    sender = said.only("From")
    return Acknowledgment(
        timestamp=_time(said.required("Timestamp")),
        ref_to_message_id=_value(said.required("RefToMessageId")),
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
    return StatusRequest(ref_to_message_id=_value(_Children(element).required("RefToMessageId")))


def _status_response(element: etree._Element | None) -> StatusResponse | None:
    if element is None:
        return None
    _check_version(element)
    status = element.get(eb("messageStatus"))
    if status not in set(MessageStatus):
        raise OtherXml("a StatusResponse without a known messageStatus", location=location(element))
    said = _Children(element)
    came = said.only("Timestamp")
    return StatusResponse(
        ref_to_message_id=_value(said.required("RefToMessageId")),
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
    version = element.get(_VERSION)
    if version is None:
        raise OtherXml(f"{local(element)} without eb:version", location=f"{location(element)}/@version")
    if version.strip() != VERSION:
        raise NotSupported("a version of ebMS other than 2.0", location=f"{location(element)}/@version")


def _check_actor(element: etree._Element) -> None:
    # Absent means toPartyMSH (6.3.1.1); some peers leave it out.
    if element.get(_ACTOR) not in {None, "", ACTOR_TO_PARTY_MSH}:
        raise Inconsistent("an actor that the element cannot have", location=f"{location(element)}/@actor")


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


def _value(element: etree._Element) -> str:
    value = text(element)
    if not value or len(value) > _MAX_ID:
        raise OtherXml(f"{local(element)} is empty, or over {_MAX_ID} characters", location=location(element))
    return value


def _typed(element: etree._Element) -> str:
    """Return a PartyId or Service. Without eb:type it must be a URI (3.1.1.1, 3.1.4.1)."""
    value = _value(element)
    if element.get(_TYPE) is None and not _URI.match(value):
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
