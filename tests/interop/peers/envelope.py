"""ebMS 2.0 envelopes as engines write and read them: elements of any style out, and a loose look at what came in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from tests.interop.peers.wire import Broken
from tests.interop.peers.xmldsig import DS, SOAP, Reference, references, signature_of

EB = "http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd"
XLINK = "http://www.w3.org/1999/xlink"
XML = "http://www.w3.org/XML/1998/namespace"
MSH = "urn:oasis:names:tc:ebxml-msg:service"
ERRORS = "urn:oasis:names:tc:ebxml-msg:service:errors"
TO_PARTY_MSH = "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"
NEXT = "http://schemas.xmlsoap.org/soap/actor/next"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How an engine writes envelopes."""

    soap: str = "SOAP"
    eb: str = "eb"
    ds_on_top: bool = False  # xmlns:ds on the Envelope
    indent: bool = False
    time: str = "%Y-%m-%dT%H:%M:%SZ"
    milliseconds: bool = False  # .123Z
    id: str = "{id}@peer.invalid"
    signal_service_type: str = ""
    ref_in_acknowledgment: bool = True  # in MessageData
    actor: bool = True  # on Acknowledgment and AckRequested
    description: str = ""  # HIS 1210, on everything
    error_lang: str = "en-US"


def instant(style: Style, at: datetime) -> str:
    """Return a time as the engine writes it."""
    at = at.astimezone(UTC)
    return (
        at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
        if style.milliseconds
        else at.strftime(style.time)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What MessageHeader says, as text."""

    sender: str
    receiver: str
    cpa: str
    conversation: str
    service: str
    service_type: str = ""
    action: str
    id: str
    timestamp: str
    ref: str = ""
    ttl: str = ""
    from_role: str = ""
    to_role: str = ""
    duplicate_elimination: bool = False


class Builder:
    """One envelope in the making."""

    def __init__(self, style: Style, header: Header) -> None:
        self._style = style
        names = {style.soap: SOAP} | ({"ds": DS} if style.ds_on_top else {}) | {style.eb: EB, "xlink": XLINK}
        self.root = etree.Element(f"{{{SOAP}}}Envelope", nsmap=names)
        self.header = etree.SubElement(self.root, f"{{{SOAP}}}Header")
        self.body = etree.SubElement(self.root, f"{{{SOAP}}}Body")
        self._message_header(header)

    def _message_header(self, given: Header) -> None:
        element = self.entry(self.header, "MessageHeader")
        for name, her, role in (("From", given.sender, given.from_role), ("To", given.receiver, given.to_role)):
            side = add(element, name)
            add(side, "PartyId", her).set(eb("type"), "HER")
            if role:
                add(side, "Role", role)
        add(element, "CPAId", given.cpa)
        add(element, "ConversationId", given.conversation)
        service = add(element, "Service", given.service)
        if given.service_type:
            service.set(eb("type"), given.service_type)
        add(element, "Action", given.action)
        data = add(element, "MessageData")
        add(data, "MessageId", given.id)
        add(data, "Timestamp", given.timestamp)
        if given.ref:
            add(data, "RefToMessageId", given.ref)
        if given.ttl:
            add(data, "TimeToLive", given.ttl)
        if given.duplicate_elimination:
            add(element, "DuplicateElimination")
        if self._style.description:
            add(element, "Description", self._style.description).set(f"{{{XML}}}lang", "NO")

    def entry(self, parent: etree._Element, name: str, *, actor: str = "", **more: str) -> etree._Element:
        """Add an element of ebMS with its version; in the header it must be understood."""
        element = add(parent, name)
        attributes = {eb(key): value for key, value in more.items()} | {eb("version"): "2.0"}
        if actor:
            attributes[f"{{{SOAP}}}actor"] = actor
        if parent is self.header:
            attributes[f"{{{SOAP}}}mustUnderstand"] = "1"
        for key, value in attributes.items():
            element.set(key, value)
        return element

    def ack_requested(self, *, signed: bool) -> None:
        self.entry(
            self.header, "AckRequested", actor=TO_PARTY_MSH if self._style.actor else "", signed=str(signed).lower()
        )

    def sync_reply(self) -> None:
        self.entry(self.header, "SyncReply", actor=NEXT)

    def acknowledgment(
        self, *, at: str, ref: str, sender: str, copied: Sequence[Reference], actor: bool | None = None
    ) -> None:
        wanted = self._style.actor if actor is None else actor
        element = self.entry(self.header, "Acknowledgment", actor=TO_PARTY_MSH if wanted else "")
        add(element, "Timestamp", at)
        add(element, "RefToMessageId", ref)
        add(add(element, "From"), "PartyId", sender).set(eb("type"), "HER")
        for one in copied:
            element.append(etree.fromstring(etree.tostring(one.element, with_tail=False)))  # noqa: TID251

    def errors(self, *told: "Error") -> None:
        element = self.entry(self.header, "ErrorList", highestSeverity="Error")
        for one in told:
            error = add(element, "Error")
            error.set(eb("codeContext"), ERRORS)
            error.set(eb("errorCode"), one.code)
            if one.location:
                error.set(eb("location"), one.location)
            error.set(eb("severity"), "Error")
            if one.text:
                add(error, "Description", one.text).set(f"{{{XML}}}lang", self._style.error_lang)

    def status_request(self, ref: str) -> None:
        add(self.entry(self.body, "StatusRequest"), "RefToMessageId", ref)

    def status_response(self, ref: str, status: str, at: str) -> None:
        element = self.entry(self.body, "StatusResponse", messageStatus=status)
        add(element, "RefToMessageId", ref)
        if at:
            add(element, "Timestamp", at)

    def manifest(self, cids: Sequence[str]) -> None:
        manifest = self.entry(self.body, "Manifest")
        for cid in cids:
            reference = add(manifest, "Reference")
            reference.set(f"{{{XLINK}}}href", f"cid:{cid}")
            reference.set(f"{{{XLINK}}}type", "simple")

    def bytes(self) -> bytes:
        if self._style.indent:
            # Java indents anew, and keeps the blanks that stand in a copied ds:Transform beside its own.
            blanks = [(one, one.text or "", one[0].tail) for one in self.root.iter(f"{{{DS}}}Transform") if len(one)]
            etree.indent(self.root, space="    ")
            for transform, text, tail in blanks:
                transform.text = text + (transform.text or "")
                transform[0].tail = tail or transform[0].tail
        return etree.tostring(self.root)


class Error(Exception):
    """An eb:Error, as it is told."""

    def __init__(self, *, code: str, location: str = "", text: str = "") -> None:
        super().__init__(code)
        self.code, self.location, self.text = code, location, text


def eb(name: str) -> str:
    return f"{{{EB}}}{name}"


def add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, eb(name))
    element.text = text
    return element


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an engine makes of an envelope, found wherever it stands, as engines search."""

    root: etree._Element
    sender: str
    receiver: str
    from_role: str
    cpa: str
    conversation: str
    service: str
    service_type: str
    action: str
    id: str
    timestamp: str
    ref: str
    ttl: str
    duplicate_elimination: bool
    sync_reply: bool
    message_order: bool
    ack_requested: etree._Element | None
    acknowledgment: etree._Element | None
    errors: tuple[str, ...]
    manifest: tuple[str, ...]
    status_request: str
    status: str
    signed: bool

    @property
    def kind(self) -> str:
        """The Action of a signal; "" for a business message."""
        return self.action if self.service == MSH else ""

    @property
    def acknowledged(self) -> str:
        return "" if self.acknowledgment is None else self.acknowledgment.findtext(eb("RefToMessageId")) or ""

    @property
    def acknowledged_references(self) -> list[Reference]:
        return [] if self.acknowledgment is None else references(self.acknowledgment)

    @property
    def actor(self) -> str:
        return "" if self.acknowledgment is None else self.acknowledgment.get(f"{{{SOAP}}}actor") or ""


def look(data: bytes) -> Seen:
    """Read an envelope. Raises Broken for what is no XML, has a DOCTYPE, or lacks what every engine needs."""
    try:
        root = etree.fromstring(data, _PARSER)  # noqa: TID251 - a peer has a parser of its own
    except etree.XMLSyntaxError:
        raise Broken("no XML") from None
    if b"<!DOCTYPE" in data[:4096]:
        raise Broken("a DOCTYPE")
    header = next(root.iter(eb("MessageHeader")), None)
    data_ = None if header is None else header.find(eb("MessageData"))
    if header is None or data_ is None:
        raise Broken("no MessageHeader")
    service = header.find(eb("Service"))

    def said(path: str) -> str:
        return (header.findtext("/".join(eb(name) for name in path.split("/"))) or "").strip()

    def first(name: str) -> etree._Element | None:
        return next(root.iter(eb(name)), None)

    request, response = first("StatusRequest"), first("StatusResponse")
    return Seen(
        root=root,
        sender=said("From/PartyId"),
        receiver=said("To/PartyId"),
        from_role=said("From/Role"),
        cpa=said("CPAId"),
        conversation=said("ConversationId"),
        service=said("Service"),
        service_type="" if service is None else service.get(eb("type")) or "",
        action=said("Action"),
        id=said("MessageData/MessageId"),
        timestamp=said("MessageData/Timestamp"),
        ref=said("MessageData/RefToMessageId"),
        ttl=said("MessageData/TimeToLive"),
        duplicate_elimination=header.find(eb("DuplicateElimination")) is not None,
        sync_reply=first("SyncReply") is not None,
        message_order=first("MessageOrder") is not None,
        ack_requested=first("AckRequested"),
        acknowledgment=first("Acknowledgment"),
        errors=tuple(one.get(eb("errorCode")) or "" for one in root.iter(eb("Error"))),
        manifest=tuple(
            (one.get(f"{{{XLINK}}}href") or "").removeprefix("cid:")
            for manifest in root.iter(eb("Manifest"))
            for one in manifest.findall(eb("Reference"))
        ),
        status_request="" if request is None else request.findtext(eb("RefToMessageId")) or "",
        status="" if response is None else response.get(eb("messageStatus")) or "",
        signed=signature_of(root) is not None,
    )


def past(text: str, now: datetime) -> bool:
    """Say whether a time that is told has come; one without a zone is UTC."""
    told = datetime.fromisoformat(text[:19] + "+00:00")
    return told <= now
