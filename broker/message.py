"""What we carry, as frozen values: documents, messages, deliveries, envelopes, inbox items, events. No behaviour.

All instants are aware datetimes in UTC. HER-ids are positive integers (int32). Ids of ours are opaque strings of
36 characters. `eb_id` is always an eb:MessageId, `msg_id` a MsgHead/MsgId or AppRec/Id.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from broker.lifecycle import ItemStage, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One sentence in bokmål and in English. Holds no value out of a message body."""

    nb: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a document: where, why, and what to do. Never what stood there."""

    rule: str  # stable id of the rule, such as "xsd.missing-element" or "profile.conversation-ref"
    line: int | None
    path: str  # element names only
    reason: Text
    hint: Text
    apprec: str = "T02"  # the code of list 8221 that a receiver would answer with


class Direction(StrEnum):
    """Seen from this broker."""

    OUT = "out"
    IN = "in"


class Kind(StrEnum):
    """What a message is: a business document, or the receipt of one."""

    DOCUMENT = "document"
    APPREC = "apprec"


class Owed(StrEnum):
    """When the receiver owes an AppRec (MsgHead/Ack, code list 7304: J, F, N)."""

    ALWAYS = "J"
    ON_ERROR = "F"
    NEVER = "N"


class Ball(StrEnum):
    """Who must act next."""

    US = "us"
    PARTNER = "partner"
    EPJ = "epj"
    PERSON = "person"


class Held(StrEnum):
    """What a person's hold stands on: this delivery alone, or everything to its counterpart."""

    DELIVERY = "delivery"
    PARTNER = "partner"


class Verdict(StrEnum):
    """AppRec Status (code list 8258), in the words of EDI 2.0; the values on the wire are 1, 2 and 3."""

    OK = "Ok"
    REJECTED = "Rejected"
    PARTIAL = "OkErrorInMessagePart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An EPJ system that calls the API: what its token is bound to, and what partners are told that it is."""

    name: str
    hers: frozenset[int]
    system: str | None = None  # fagsystem and fagsystem-versjon of HIS 1210; None: not told
    system_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRef:
    """Who a document names as sender or receiver, on two levels (HIS 1153)."""

    her: int  # the communication party: level 2, or level 1 where the document has no other
    organisation_her: int | None  # level 1
    person: bool = False  # level 2 is a health professional, not a service


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Document of a MsgHead, by its shape alone."""

    namespace: str  # of the first element in Content; "" for a file reference
    name: str  # local name of that element
    msg_type: str  # RefDoc/MsgType/@V: XML, A or REF
    mime_type: str
    size: int  # decoded bytes of a Base64Container, else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentHead:
    """What MsgInfo says, and the shape of the documents below it. No name, number or text of a patient."""

    msg_id: str
    type: str  # MsgInfo/Type/@V, code list 8279
    gen_date: str  # as it stands
    sender: PartyRef
    receiver: PartyRef
    other_receivers: tuple[PartyRef, ...] = ()
    ack: Owed | None = None
    ref_to_parent: str | None = None
    ref_to_conversation: str | None = None
    processing_status: str | None = None  # P, D or T (list 8113)
    parts: tuple[Part, ...] = ()
    content: str = ""  # what the Dialogmelding holds: "Foresporsel", "Notat" or ""
    code: str = field(default="", repr=False)  # V of the first TypeForesp or TemaKodet; as it stands, so never shown
    signed: bool = False  # a ds:Signature of the document's own is present

    @property
    def dialogue(self) -> str:
        """Return the namespace of the business document, which stands in the first Document."""
        return self.parts[0].namespace if self.parts else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded error of an AppRec. Its free text (OT) is health data and stays in the AppRec's own body."""

    code: str
    oid: str
    text: str  # the code list's own text, looked up by us, or "" for a foreign code


# --- what stands in the store ---


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBody:
    """Bytes to be kept encrypted: a document, an envelope, a recorded answer. Health data unless proven otherwise."""

    id: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One document on its way, either way. Fixed once it is written."""

    id: str
    direction: Direction
    kind: Kind
    sender_her: int
    sender_organisation_her: int | None
    msg_id: str
    type: str
    gen_date: str
    process: str  # name of the process file it goes by
    function: str  # key of the function within it
    conversation_id: str  # eb:ConversationId
    ref_to_parent: str | None
    owed: Owed
    sha256: bytes
    size: int  # bytes
    body: str  # id of the body
    at: datetime  # custody (out) or reception (in)
    client: str | None = None  # who posted it
    answers_item: str | None = None  # the inbox item that this AppRec answers
    original_msg_id: str | None = None  # OriginalMsgId/Id of an AppRec
    key_sha256: bytes | None = None  # of the Idempotency-Key that the client gave


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one receiver: what is claimed, sent and receipted. Changed by compare-and-set on `version`."""

    id: str
    message_id: str
    receiver_her: int  # the counterpart: its lane
    receiver_organisation_her: int | None
    receiver_person: bool
    state: State
    version: int
    ball: Ball
    cause: str | None = None  # error id of diagnosis, why it stands where it stands
    transport_due: datetime | None = None  # when the transport side acts next
    receipt_due: datetime | None = None  # when the receipt side acts next: alarm, chase, overdue
    alarms: int = 0  # receipt alarms given so far
    chases: int = 0  # chase hours behind us: chased, or skipped because they came before the Acknowledgment
    renewals: int = 0  # times that the document went into another envelope, by a chase or a person
    failures: int = 0  # tries in a row that spent nothing; drives the back-off
    envelope: str | None = None  # eb_id of the current envelope
    codes: tuple[Code, ...] = ()  # of the AppRec that decided
    late: bool = False  # the receipt came after its deadline
    receipt_message: str | None = None  # our id of the AppRec that decided
    confirmed_at: datetime | None = None
    closed_because: str | None = None
    held: Held | None = None  # a person keeps it back: nothing goes out until it is released
    leased_until: datetime | None = None
    updated_at: datetime | None = None

    @property
    def due(self) -> datetime | None:
        """Return when anything is due, or None where a person or the EPJ is waited for."""
        times = [time for time in (self.transport_due, self.receipt_due) if time is not None]
        return min(times) if times else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One verified ds:Reference: what was signed, by value."""

    uri: str
    method: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A sealed envelope: fixed bytes, agreement and certificate; a resend sends the same again."""

    eb_id: str
    delivery_id: str
    cpa_id: str
    from_her: int
    to_her: int
    content_type: str
    body: str  # id of the bytes
    digests: tuple[Digest, ...]
    ack_signed: bool  # the Acknowledgment must be signed and carry our digests
    sync: bool  # signals are agreed to come in the HTTP answer
    retries: int
    interval: timedelta
    timestamp: datetime
    persist_until: datetime
    ack_requested: bool = True  # False: best effort, where the HTTP answer is all that comes
    copies: int = 0  # copies that the partner may have read
    acknowledged_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at the transport."""

    delivery_id: str
    eb_id: str
    number: int
    started_at: datetime
    ended_at: datetime
    endpoint: str  # scheme://host:port/path
    http_status: int | None
    result: str  # acknowledged, sent, refused, failed
    error_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxItem:
    """A received document that waits for an EPJ, and what the EPJ said of it."""

    id: str
    message_id: str
    receiver_her: int
    sender_her: int  # the authorised From, to whom an AppRec goes
    cpa_id: str
    stage: ItemStage
    version: int
    received_at: datetime
    verdict: Verdict | None = None
    codes_sha256: bytes | None = None  # digest of verdict and codes, to tell a repeat from another verdict
    apprec_message: str | None = None  # our id of the AppRec that answers it
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What came in one envelope beside the document of a message: opened, and handed over as it is."""

    message_id: str
    number: int  # 1 for the first after the document, in the order of the Manifest
    content_id: str
    content_type: str  # as the partner labelled it
    size: int  # bytes
    sha256: bytes
    body: str  # id of the bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer as it was, or will be, given."""

    status: int
    content_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEnvelope:
    """An envelope that we acknowledged, by its first key, with the answer that a duplicate gets again."""

    from_her: int
    cpa_id: str
    eb_id: str
    digests: tuple[Digest, ...]  # of the verified references; what tells a duplicate from a forgery
    received_at: datetime
    evidence: str  # body id of the SOAP part as received
    answer: Answer
    item_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a revocation service said of one certificate: the response as it came, and when we fetched it."""

    certificate: str  # SHA-256 in hex
    source: str  # "ocsp" or "crl"
    fetched_at: datetime
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStatement:
    """A statement that an incoming envelope was judged by. Many envelopes may share one body: a CRL holds for a day."""

    evidence: str  # body id of the envelope's own evidence
    certificate: str
    source: str
    fetched_at: datetime
    sha256: bytes  # of the response
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """An Acknowledgment or MessageError that goes as a POST of its own, from committed bytes."""

    id: str
    to_her: int
    ref_eb_id: str
    content_type: str
    body: str  # id of the bytes
    due: datetime | None  # None: delivered or given up; the peer's next copy fetches it
    tries: int = 0


class EventKind(StrEnum):
    """The closed list of things that are written down about a message. Names are those of the API's feed."""

    ACCEPTED = "message.accepted"
    ADDRESSED = "message.addressed"
    SEALED = "message.sealed"
    PARKED = "message.parked"
    SENT = "message.sent"
    FAILED = "message.attempt_failed"
    ACKNOWLEDGED = "message.transport_acked"
    REFUSED = "message.transport_rejected"
    ABANDONED = "message.gave_up"
    RENEWED = "message.renewed"
    ALARM = "message.receipt_late"
    CHASED = "message.chased"
    OVERDUE = "message.overdue"
    LAPSED = "message.lapsed"
    RECEIPT_OK = "message.apprec_ok"
    RECEIPT_PARTIAL = "message.apprec_partial"
    RECEIPT_REJECTED = "message.apprec_rejected"
    RECEIPT_REPEATED = "message.apprec_repeated"
    RECEIPT_CONTRADICTS = "message.apprec_contradicts"
    RECEIPT_DUPLICATE_WORD = "message.apprec_says_duplicate"
    RECEIPT_UNMATCHED = "worklist.apprec_unmatched"
    COMPLETED = "message.completed"
    CLOSED = "message.closed"
    CONFIRMED = "message.confirmed"
    HELD = "message.held"
    RELEASED = "message.released"
    RETRIED = "message.retried"
    ERASED = "message.erased"
    PARTNER_HELD = "partner.held"
    PARTNER_RELEASED = "partner.released"
    INBOX_DOCUMENT = "inbox.document"
    RECEIPT_REQUESTED = "inbox.receipt_requested"
    STORED = "inbox.stored"
    JUDGED = "inbox.judged"
    RECEIPT_DELIVERED = "inbox.receipt_delivered"
    INBOUND_REJECTED = "inbound.rejected"
    REFUSED_AT_DOOR = "door.refused"
    DUPLICATE = "inbound.duplicate"
    SIGNAL_SENT = "inbound.signal_sent"
    SIGNAL_DROPPED = "inbound.signal_dropped"
    SECURITY = "security"
    PINGED = "partner.pinged"
    PARTNER_ASKED = "partner.asked_status"
    STATUS_ASKED = "message.asked_status"
    STATUS_TOLD = "message.status_told"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """One line of history. With a `her` and `feed` it stands in the feed of that HER-id's client."""

    kind: EventKind
    at: datetime
    her: int | None  # the HER-id of ours that it concerns
    feed: bool = False
    message_id: str | None = None
    delivery_id: str | None = None
    item_id: str | None = None
    msg_id: str | None = None
    counterpart: int | None = None
    stop_point: str | None = None
    error_id: str | None = None
    codes: tuple[str, ...] = ()
    eb_id: str | None = None
    client: str | None = None
    why: str | None = None  # an operator's sentence; holds no value out of a message body
    actor: str | None = None  # who of our own people did it


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event with its place in the order of commits. Offsets rise; gaps mean nothing."""

    offset: int
    event: NewEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerHold:
    """A person's word that nothing goes to a counterpart until the hold is released."""

    her: int
    at: datetime
    actor: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one write does, all of it or nothing. `advanced` and `items` carry the version that they were read at."""

    events: tuple[NewEvent, ...]  # never empty: what is not worth an event is not worth a write
    bodies: tuple[NewBody, ...] = ()
    messages: tuple[Message, ...] = ()
    payloads: tuple[Payload, ...] = ()
    deliveries: tuple[Delivery, ...] = ()  # new ones
    advanced: tuple[Delivery, ...] = ()  # known ones, as they shall be
    envelopes: tuple[Envelope, ...] = ()  # new ones
    used: tuple[Envelope, ...] = ()  # known ones: copies and acknowledged_at as they shall be
    attempts: tuple[Attempt, ...] = ()
    new_items: tuple[InboxItem, ...] = ()
    items: tuple[InboxItem, ...] = ()  # known ones, as they shall be
    signals: tuple[Signal, ...] = ()  # new ones
    signalled: tuple[Signal, ...] = ()  # known ones, as they shall be
    received: ReceivedEnvelope | None = None
    statements: tuple[KeptStatement, ...] = ()  # on whose word the signer of `received` was not revoked
    holds: tuple[PartnerHold, ...] = ()  # new ones
    unheld: tuple[int, ...] = ()  # counterparts whose hold ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One delivery with all that a step needs, leased to the worker that holds it."""

    message: Message
    delivery: Delivery
    envelope: Envelope | None


class Wake(StrEnum):
    """How a client's webhook stands."""

    NEVER = "never"  # nothing was sent yet
    OK = "ok"
    FAILING = "failing"
    DISABLED = "disabled"  # the receiver said 410


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeState:
    """What is known of a client's webhook: never its path, which may be a secret."""

    client: str
    origin: str  # scheme://host:port
    state: Wake
    tried_at: datetime | None
    status: int | None  # HTTP, of the last try
    failures: int  # in a row
    next_at: datetime | None
    waiting: int  # events that the next wake will name
    why: Text | None
