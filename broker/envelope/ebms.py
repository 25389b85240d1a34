"""The envelope of ebMS 2.0 as values: what a header may say. ebms_parse.py reads it, ebms_build.py writes it."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.envelope.xmldsig import Reference

MSH_SERVICE = "urn:oasis:names:tc:ebxml-msg:service"
ERROR_CONTEXT = "urn:oasis:names:tc:ebxml-msg:service:errors"
ACTOR_TO_PARTY_MSH = "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"
VERSION = "2.0"


class Kind(StrEnum):
    """What an envelope is. Of a signal the value is its eb:Action under the MSH's own Service (ebMS 2.0, 3.1.4)."""

    USER_MESSAGE = "UserMessage"
    ACKNOWLEDGMENT = "Acknowledgment"
    MESSAGE_ERROR = "MessageError"
    PING = "Ping"
    PONG = "Pong"
    STATUS_REQUEST = "StatusRequest"
    STATUS_RESPONSE = "StatusResponse"


_SIGNALS = {str(kind): kind for kind in Kind if kind is not Kind.USER_MESSAGE}


class Severity(StrEnum):
    """How bad an eb:Error is (4.2.3.2.4): a Warning leaves the message in force."""

    WARNING = "Warning"
    ERROR = "Error"


class MessageStatus(StrEnum):
    """What an MSH knows of a message it was asked about (7.3.3)."""

    UNAUTHORIZED = "UnAuthorized"
    NOT_RECOGNIZED = "NotRecognized"
    RECEIVED = "Received"
    PROCESSED = "Processed"
    FORWARDED = "Forwarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyId:
    """One name of a party; in the sector `type` is HER, and there is one."""

    value: str
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A text for people, or the JSON of HIS 1210, in a language. Some peers leave the language out."""

    text: str
    lang: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """eb:MessageHeader (3.1). Times are aware, in UTC."""

    from_: tuple[PartyId, ...]
    to: tuple[PartyId, ...]
    from_role: str | None = None
    to_role: str | None = None
    cpa_id: str
    conversation_id: str
    service: str
    service_type: str | None = None
    action: str
    message_id: str
    timestamp: datetime
    ref_to_message_id: str | None = None
    time_to_live: datetime | None = None
    duplicate_elimination: bool = False
    descriptions: tuple[Description, ...] = ()

    @property
    def kind(self) -> Kind | None:
        """What it heads; None for the MSH's own Service with an Action that the standard does not have."""
        if self.service != MSH_SERVICE:
            return Kind.USER_MESSAGE
        return _SIGNALS.get(self.action)

    @property
    def from_her(self) -> int | None:
        """The sender's HER-id, where that is what it is named by, and alone."""
        return her_id(self.from_)

    @property
    def to_her(self) -> int | None:
        """The receiver's HER-id, where that is what it is named by, and alone."""
        return her_id(self.to)


@dataclass(frozen=True, slots=True, kw_only=True)
class AckRequested:
    """A wish for an Acknowledgment from the receiving party's MSH (6.3.1)."""

    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgment:
    """The word of the receiving MSH that it has the envelope (6.3.2), with the digests of what it got.

    References that were read carry URI, method and digest only.
    """

    timestamp: datetime
    ref_to_message_id: str
    from_: tuple[PartyId, ...] = ()
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EbError:
    """One eb:Error (4.2.3.2). `location` is an XPath into the envelope, or a cid: URI."""

    code: str
    severity: Severity
    location: str | None = None
    description: str | None = None
    context: str = ERROR_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorList:
    """What was wrong with a message (4.2.3)."""

    errors: tuple[EbError, ...]

    @property
    def highest_severity(self) -> Severity:
        """Found from the errors: what peers write here is at times wrong."""
        return Severity.ERROR if any(one.severity == Severity.ERROR for one in self.errors) else Severity.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequest:
    """A question about a message that was sent (7.2)."""

    ref_to_message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResponse:
    """The answer to a StatusRequest (7.3): `timestamp` is when the message came."""

    ref_to_message_id: str
    status: MessageStatus
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A SOAP envelope of ebMS 2.0 without its signature. `manifest` names the parts by Content-ID, in order."""

    header: Header
    sync_reply: bool = False
    ack_requested: AckRequested | None = None
    acknowledgment: Acknowledgment | None = None
    error_list: ErrorList | None = None
    manifest: tuple[str, ...] = ()
    status_request: StatusRequest | None = None
    status_response: StatusResponse | None = None

    @property
    def kind(self) -> Kind | None:
        """What it is, as its header says."""
        return self.header.kind


def her_id(ids: tuple[PartyId, ...]) -> int | None:
    """Return the HER-id of a party that is named by one PartyId of type HER, and by nothing else (HIS 1037)."""
    if len(ids) != 1 or ids[0].type != "HER":
        return None
    value = ids[0].value
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 and value[0] != "0" else None


def her_party(her: int) -> tuple[PartyId, ...]:
    """Return the names of a party in a header, from its HER-id."""
    return (PartyId(value=str(her), type="HER"),)


def system_description(
    *, msh: str, msh_version: str, system: str | None = None, system_version: str | None = None
) -> Description:
    """Return which software sends, as JSON in a Description (HIS 1210:2018), with the EPJ's name where it is known."""
    facts = {"MSH-system": msh, "MSH-versjon": msh_version, "fagsystem": system, "fagsystem-versjon": system_version}
    known = {name: value for name, value in facts.items() if value is not None}
    return Description(text=json.dumps(known, ensure_ascii=False), lang="NO")
