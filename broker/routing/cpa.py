"""What an agreement file says, in its own terms: the bytes of a CPA 2.0 to a `Cpa`. It decides what can be read at all.

Nothing here knows what this broker can keep: that is `routing.cpa_terms`. The files of the field do not hold to the
schema, so none is asked for: attributes may lack their prefix, ids may be no NCName or stand in both parties, elements
and attributes that nobody knows are passed by and named (`Cpa.unknown`). What would leave a doubt is an error: an id
that means two things, a reference that leads nowhere, a number that is none. Each names file, line and element.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

from cryptography.x509 import Certificate, load_der_x509_certificate

from broker.envelope import xml
from broker.envelope.names import ds
from broker.errors import MalformedXml, Misconfigured
from broker.routing.cpa_unknown import Unknown, unknown
from broker.routing.tables import duration

T = TypeVar("T")

CPPA: Final = "http://www.oasis-open.org/committees/ebxml-cppa/schema/cpp-cpa-2_0.xsd"
MAX_BYTES: Final = 4_000_000  # thirty times the largest of the field
_MAX_ID: Final = 1000  # characters of an id, a name or an address


class Often(StrEnum):
    """When a thing is asked for (CPPA 2.0, 8.4.22)."""

    ALWAYS = "always"
    NEVER = "never"
    PER_MESSAGE = "perMessage"


class SyncReply(StrEnum):
    """What comes in the HTTP answer (CPPA 2.0, 8.4.22.1)."""

    NONE = "none"
    MSH_SIGNALS = "mshSignalsOnly"
    SIGNALS = "signalsOnly"
    RESPONSE = "responseOnly"
    SIGNALS_AND_RESPONSE = "signalsAndResponse"


@dataclass(frozen=True, slots=True, kw_only=True)
class CpaPartyId:
    """One name of a party."""

    type: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One ThisPartyActionBinding: a message that a party sends, or takes, in a role."""

    id: str
    name: str  # Action of the header
    other: str | None  # OtherPartyActionBinding: the id of its counterpart
    package: str
    non_repudiation: bool  # isNonRepudiationRequired
    confidential: str  # none, transient, persistent, transient-and-persistent
    channels: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One CollaborationRole: what a party does under one Service."""

    process: str  # ProcessSpecification: name and version
    name: str  # Role of the header
    service: str
    service_type: str
    application_certificate: str | None  # certId: what payloads are encrypted to
    sends: tuple[Action, ...]
    takes: tuple[Action, ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One DeliveryChannel with its MessagingCharacteristics."""

    id: str
    transport: str
    exchange: str
    sync_reply: SyncReply
    ack_requested: Often
    ack_signed: Often
    duplicate_elimination: Often
    actor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """One Transport: how a party is reached."""

    id: str
    protocol: str  # of the receiver, else of the sender: HTTP, SMTP, AMQP
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One side of a DocExchange: ebXMLSenderBinding or ebXMLReceiverBinding. None: it says nothing."""

    reliable: bool = False  # ReliableMessaging stands there
    retries: int | None = None
    interval: timedelta | None = None
    order: str | None = None  # MessageOrderSemantics
    persist: timedelta | None = None
    hash: str | None = None  # HashFunction
    signature: str | None = None  # SignatureAlgorithm: its w3c attribute, else its text
    signing: str | None = None  # certId
    envelope: str | None = None  # DigitalEnvelopeProtocol
    encryption: str | None = None  # EncryptionAlgorithm: its w3c attribute, else its text
    encrypts_to: str | None = None  # certId


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One DocExchange."""

    id: str
    sender: Binding
    receiver: Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class CpaParty:
    """One PartyInfo. Ids count within it."""

    name: str
    ids: tuple[CpaPartyId, ...]
    default_channel: str
    overrides: Mapping[str, str]  # OverrideMshActionBinding: action -> channelId
    roles: tuple[Role, ...]
    certificates: Mapping[str, Certificate]
    channels: Mapping[str, Channel]
    transports: Mapping[str, Transport]
    exchanges: Mapping[str, Exchange]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpa:
    """One agreement file."""

    cpa_id: str
    version: str
    status: str
    starts: datetime
    ends: datetime
    parties: tuple[CpaParty, CpaParty]
    packages: frozenset[str]
    unknown: tuple[Unknown, ...]
    source: str


def read_cpa(data: bytes, *, source: str) -> Cpa:
    """Return the agreement in `data`. `source` names the file in error texts. Raises Misconfigured."""
    try:
        document = xml.parse(data, max_bytes=MAX_BYTES)
    except MalformedXml as fault:
        where = f"{source}, line {fault.line}" if fault.line else source
        raise Misconfigured(fault.why, where=where, hint="ask the partner for the file as it was made") from None
    root = _Node(document.root, source)
    if root.name == "CollaborationProtocolProfile" and root.ours:
        root.fail("is the profile of one party (CPP)", "import the agreement that was made of two profiles (CPA)")
    if root.name != "CollaborationProtocolAgreement" or not root.ours:
        root.fail("is no CollaborationProtocolAgreement of CPPA 2.0", "import a CPA 2.0")
    starts, ends = root.one("Start"), root.one("End")
    cpa = Cpa(
        cpa_id=root.must("cpaid"),
        version=root.must("version"),
        status=root.one("Status").must("value"),
        starts=starts.instant(),
        ends=ends.instant(),
        parties=_parties(root),
        packages=frozenset(one.must("id") for one in root.all("Packaging")),
        unknown=tuple(unknown(document.root, cppa=CPPA)),
        source=source,
    )
    if cpa.starts >= cpa.ends:
        ends.fail("lies before Start", "ask the partner for an agreement with a time between")
    return cpa


# --- reading ---


class _Node:
    """One element, with what is needed to name it in an error."""

    def __init__(self, element: Any, source: str) -> None:
        self._element, self._source = element, source
        self.name, self.line = xml.local(element), int(element.sourceline or 0)
        self.ours = str(element.tag) == f"{{{CPPA}}}{self.name}"

    def fail(self, why: str, hint: str) -> NoReturn:
        raise Misconfigured(f"{self.name} {why}", where=f"{self._source}, line {self.line}", hint=hint)

    def all(self, name: str) -> "list[_Node]":
        return [_Node(each, self._source) for each in xml.children(self._element, f"{{{CPPA}}}{name}")]

    def maybe(self, name: str) -> "_Node | None":
        found = self.all(name)
        if len(found) > 1:
            found[1].fail("stands twice", f"{self.name} has one {name}")
        return found[0] if found else None

    def one(self, name: str) -> "_Node":
        found = self.maybe(name)
        if found is None:
            self.fail(f"has no {name}", "ask the partner for the whole file")
        return found

    def get(self, name: str) -> str | None:
        """Return an attribute, with CPPA's prefix as the schema wants it, or without."""
        value = self._element.get(f"{{{CPPA}}}{name}", self._element.get(name))
        if value is not None and len(value) > _MAX_ID:
            self.fail(f"has a {name} of more than {_MAX_ID} characters", "ask the partner for a shorter one")
        return value.strip() if value is not None else None

    def must(self, name: str) -> str:
        value = self.get(name)
        if not value:
            self.fail(f"has no {name}", f'write {name}="..."')
        return value

    def text(self) -> str:
        if len(self._element):
            self.fail("holds elements, and should hold a value", "ask the partner for the file as it was made")
        value = (self._element.text or "").strip()
        if not value or len(value) > _MAX_ID:
            self.fail("holds no value" if not value else "holds too much", "ask the partner for the whole file")
        return value

    def whole(self) -> int:
        value = self.text()
        if not re.fullmatch(r"\+?[0-9]{1,4}", value):
            self.fail("is no whole number from 0 to 9999", "write such as 3")
        return int(value)

    def duration(self) -> timedelta:
        value = self.text()
        found = duration(value)
        if found is None:
            self.fail("is no duration of days, hours, minutes and seconds", "write such as PT5M; months have no length")
        if not found:
            self.fail("is a duration of nothing", "write such as PT5M")
        return found

    def instant(self) -> datetime:
        """Return an xs:dateTime in UTC; without a zone it is UTC, as for all of ebXML."""
        value = self.text()
        try:
            if not re.fullmatch(
                r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-].{5})?", value
            ):
                raise ValueError
            read = datetime.fromisoformat(value)
            return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("is no time", "write such as 2026-01-01T00:00:00Z")

    def word(self, name: str, kind: type[Often] | type[SyncReply], default: str) -> Any:
        value = self.get(name) or default
        if value not in {member.value for member in kind}:
            self.fail(f"has a {name} that CPPA 2.0 does not know", "write " + ", ".join(kind))
        return kind(value)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.get(name)
        if value not in (None, "true", "false", "1", "0"):
            self.fail(f"has a {name} that is neither true nor false", f'write {name}="true" or "false"')
        return default if value is None else value in ("true", "1")

    def certificate(self) -> Certificate:
        """Return the first X509Certificate of a Certificate element; others are its issuers."""
        for info in xml.children(self._element, ds("KeyInfo")):
            for data in xml.children(info, ds("X509Data")):
                for held in xml.children(data, ds("X509Certificate")):
                    try:
                        return load_der_x509_certificate(xml.decode_base64(held.text or ""))
                    except (ValueError, binascii.Error):
                        self.fail("holds no readable certificate", "ask the partner for the file as it was made")
        return self.fail("has no KeyInfo/X509Data/X509Certificate", "ask the partner for the certificate")


def _parties(root: _Node) -> tuple[CpaParty, CpaParty]:
    found = root.all("PartyInfo")
    if len(found) != 2:
        root.fail(f"has {len(found)} PartyInfo", "an agreement is between two")
    first, second = (_party(one) for one in found)
    if {(one.type, one.value) for one in first.ids} & {(one.type, one.value) for one in second.ids}:
        found[1].fail("has a PartyId of the other party", "an agreement is between two")
    for node, mine, other in ((found[0], first, second), (found[1], second, first)):
        there = {action.id for role in other.roles for action in (*role.sends, *role.takes)}
        for role in mine.roles:
            for action in (*role.sends, *role.takes):
                if action.other is not None and action.other not in there:
                    why = f"line {action.line}: OtherPartyActionBinding names no action of the other party"
                    node.fail(f"is broken at {why}", "ask the partner for the whole file")
    return first, second


def _party(node: _Node) -> CpaParty:
    certificates = _by_id(node.all("Certificate"), "certId", _Node.certificate)
    transports = _by_id(node.all("Transport"), "transportId", _transport)
    exchanges = _by_id(node.all("DocExchange"), "docExchangeId", lambda one: _exchange(one, certificates))
    channels = _by_id(node.all("DeliveryChannel"), "channelId", lambda one: _channel(one, transports, exchanges))
    default = node.must("defaultMshChannelId")
    overrides = {one.must("action"): one.must("channelId") for one in node.all("OverrideMshActionBinding")}
    for channel in (default, *overrides.values()):
        _must_be(node, channel, channels, "channel")
    ids = tuple(CpaPartyId(type=one.get("type") or "", value=one.text()) for one in node.all("PartyId"))
    if not ids:
        node.fail("has no PartyId", "ask the partner for the whole file")
    return CpaParty(
        name=node.get("partyName") or "",
        ids=ids,
        default_channel=default,
        overrides=overrides,
        roles=tuple(_role(one, channels, certificates) for one in node.all("CollaborationRole")),
        certificates=certificates,
        channels=channels,
        transports=transports,
        exchanges=exchanges,
        line=node.line,
    )


def _role(node: _Node, channels: Mapping[str, Channel], certificates: Mapping[str, Certificate]) -> Role:
    process, service = node.maybe("ProcessSpecification"), node.one("ServiceBinding")
    named = service.one("Service")
    references = node.all("ApplicationCertificateRef")
    for each in references:
        _must_be(each, each.must("certId"), certificates, "certificate")
    return Role(
        process=" ".join(filter(None, (process.get("name"), process.get("version")))) if process else "",
        name=node.one("Role").must("name"),
        service=named.text(),
        service_type=named.get("type") or "",
        application_certificate=references[0].must("certId") if references else None,
        sends=tuple(_action(one, channels) for one in service.all("CanSend")),
        takes=tuple(_action(one, channels) for one in service.all("CanReceive")),
        line=node.line,
    )


def _action(node: _Node, channels: Mapping[str, Channel]) -> Action:
    if node.all("CanReceive") or node.all("CanSend"):  # CPPA 2.0, 8.4.5
        why = "holds the answer that comes in the same HTTP exchange, which this broker does not have"
        node.fail(why, "ask for an agreement where each message goes by itself")
    binding, other = node.one("ThisPartyActionBinding"), node.maybe("OtherPartyActionBinding")
    asked = binding.maybe("BusinessTransactionCharacteristics")
    named = [one.text() for one in binding.all("ChannelId")]
    if not named:
        binding.fail("has no ChannelId", "ask the partner for the whole file")
    for channel in named:
        _must_be(binding, channel, channels, "channel")
    return Action(
        id=binding.get("id") or "",
        name=binding.must("action"),
        other=other.text() if other else None,
        package=binding.get("packageId") or "",
        non_repudiation=asked.flag("isNonRepudiationRequired", default=False) if asked else False,
        confidential=(asked.get("isConfidential") if asked else None) or "none",
        channels=tuple(named),
        line=binding.line,
    )


def _channel(node: _Node, transports: Mapping[str, Transport], exchanges: Mapping[str, Exchange]) -> Channel:
    said = node.one("MessagingCharacteristics")
    channel = Channel(
        id=node.must("channelId"),
        transport=node.must("transportId"),
        exchange=node.must("docExchangeId"),
        sync_reply=said.word("syncReplyMode", SyncReply, SyncReply.NONE),
        ack_requested=said.word("ackRequested", Often, Often.PER_MESSAGE),
        ack_signed=said.word("ackSignatureRequested", Often, Often.PER_MESSAGE),
        duplicate_elimination=said.word("duplicateElimination", Often, Often.PER_MESSAGE),
        actor=said.get("actor"),
    )
    _must_be(node, channel.transport, transports, "transport")
    _must_be(node, channel.exchange, exchanges, "DocExchange")
    return channel


def _transport(node: _Node) -> Transport:
    receiver, sender = node.maybe("TransportReceiver"), node.maybe("TransportSender")
    protocols = [side.one("TransportProtocol").text() for side in (receiver, sender) if side is not None]
    return Transport(
        id=node.must("transportId"),
        protocol=protocols[0] if protocols else "",
        endpoints=tuple(one.must("uri") for one in receiver.all("Endpoint")) if receiver else (),
    )


def _exchange(node: _Node, certificates: Mapping[str, Certificate]) -> Exchange:
    sender, receiver = node.maybe("ebXMLSenderBinding"), node.maybe("ebXMLReceiverBinding")
    return Exchange(
        id=node.must("docExchangeId"),
        sender=_binding(sender, "SenderNonRepudiation", "SenderDigitalEnvelope", certificates),
        receiver=_binding(receiver, "ReceiverNonRepudiation", "ReceiverDigitalEnvelope", certificates),
    )


def _binding(node: _Node | None, proof: str, envelope: str, certificates: Mapping[str, Certificate]) -> Binding:
    if node is None:
        return Binding()
    reliable, persist = node.maybe("ReliableMessaging"), node.maybe("PersistDuration")
    signed, sealed = node.maybe(proof), node.maybe(envelope)
    return Binding(
        reliable=reliable is not None,
        retries=_of(reliable, "Retries", _Node.whole),
        interval=_of(reliable, "RetryInterval", _Node.duration),
        order=_of(reliable, "MessageOrderSemantics", _Node.text),
        persist=persist.duration() if persist else None,
        hash=_of(signed, "HashFunction", _Node.text),
        signature=_of(signed, "SignatureAlgorithm", _algorithm),
        signing=_of(signed, "SigningCertificateRef", lambda one: _certificate_id(one, certificates)),
        envelope=_of(sealed, "DigitalEnvelopeProtocol", _Node.text),
        encryption=_of(sealed, "EncryptionAlgorithm", _algorithm),
        encrypts_to=_of(sealed, "EncryptionCertificateRef", lambda one: _certificate_id(one, certificates)),
    )


def _algorithm(node: _Node) -> str:
    # Seen in the field: the oid of rsa-sha1 beside the w3c name of rsa-sha256. The oid is never read.
    return node.get("w3c") or node.text()


def _certificate_id(node: _Node, certificates: Mapping[str, Certificate]) -> str:
    return _must_be(node, node.must("certId"), certificates, "certificate")


def _of(node: _Node | None, name: str, read: Callable[[_Node], T]) -> T | None:
    found = node.maybe(name) if node is not None else None
    return read(found) if found is not None else None


def _by_id(nodes: list[_Node], key: str, read: Callable[[_Node], T]) -> dict[str, T]:
    """Return what the elements say, by id. The same said twice is said once; two things under one id are a doubt."""
    found: dict[str, T] = {}
    for node in nodes:
        id, value = node.must(key), read(node)
        if found.setdefault(id, value) != value:
            node.fail(f"has the {key} of another one that says otherwise", "ask the partner for one of each id")
    return found


def _must_be(node: _Node, id: str, there: Mapping[str, object], what: str) -> str:
    if id not in there:
        node.fail(f"names a {what} that the party does not have", "ask the partner for the whole file")
    return id


# --- its channels ---


def usable_channels(party: CpaParty, names: Iterable[str]) -> list[Channel]:
    """Return those of a party's channels that this broker can use, in the order of preference."""
    return [party.channels[name] for name in names if over_http(party, party.channels[name])]


def over_http(party: CpaParty, channel: Channel) -> bool:
    """Say whether a channel goes over HTTP, and so can be used."""
    transport = party.transports[channel.transport]
    return transport.protocol.upper().startswith("HTTP") and (
        not transport.endpoints or any(_is_http(each) for each in transport.endpoints)
    )


def address(party: CpaParty, channel: Channel) -> str | None:
    """Return the first http(s) address of a channel."""
    return next((each for each in party.transports[channel.transport].endpoints if _is_http(each)), None)


def _is_http(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
