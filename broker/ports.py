"""The doors of the stories, as Protocols: everything that they ask of the world goes through one of these.

An adapter may raise only what its method names. Nothing here has behaviour but `Doors`, which holds them together.
"""

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, ParamSpec, Protocol, TypeVar

from broker.holds import Holds
from broker.message import (
    Attempt,
    Changes,
    Client,
    Delivery,
    Envelope,
    EventKind,
    InboxItem,
    KeptStatement,
    Kind,
    Message,
    NewEvent,
    PartnerHold,
    Payload,
    ReceivedEnvelope,
    Signal,
    Statement,
    StoredEvent,
    WakeState,
    Work,
)
from broker.retry import BackOff

if TYPE_CHECKING:  # they load the libraries of XML and cryptography, which the command line can do without
    from cryptography.x509 import Certificate

    from broker.routing.party import Directory
    from broker.routing.process import Processes
    from broker.sealing.keys import KeyPair
    from broker.validation.codes import Codes
    from broker.validation.xsd import SchemaSet

P = ParamSpec("P")
T = TypeVar("T")


class Stale(Exception):
    """What was read has changed meanwhile, or a unique key was taken by another. Read again and decide again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What a claim handed out. Both kinds are leased; a restart of the process frees all leases."""

    work: tuple[Work, ...]
    signals: tuple[Signal, ...]


class Keeping(StrEnum):
    """What a body is kept for: each has a time of its own in the settings."""

    SENT = "sent"  # a document of ours
    RECEIVED = "received"  # a document that came in
    RECEIPTS = "receipts"  # an AppRec, either way
    ENVELOPES = "envelopes"  # sealed bytes
    EVIDENCE = "evidence"  # the signed SOAP part of what came in
    ANSWERS = "answers"  # recorded answers and signals: no health data, kept for a partner that asks again


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One body that is kept, and of what. `ended_at` is None while anybody is owed it, or has not collected it."""

    place: int
    body: str
    size: int  # bytes
    keeping: Keeping
    since: datetime | None
    ended_at: datetime | None
    message_id: str | None
    msg_id: str | None
    delivery_id: str | None
    her: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One message with its deliveries, as the API shows it."""

    message: Message
    deliveries: tuple[Delivery, ...]


class Store(Protocol):
    """What is kept. Five writes, each one transaction that is fsynced when the call returns; reads are named queries.

    Every write raises StoreBusy when the disk is full (nothing was written) and ends the process by StoreBroken on
    any other failure of a write or fsync.
    """

    # writes
    async def accept(self, changes: Changes) -> None:
        """Write a message in custody, or a refusal at the door. Raises Stale if (sender HER-id, MsgId) is taken."""

    async def receive(self, changes: Changes) -> None:
        """Write what an incoming envelope caused. Raises Stale on a taken key or a changed version."""

    async def claim(
        self,
        *,
        now: datetime,
        until: datetime,
        limit: int,
        per_lane: int,
        busy: Mapping[int, int],
        closed: Collection[int],
    ) -> Claimed:
        """Lease due work until `until`: per counterpart at most `per_lane` less those in `busy`, none of `closed`."""

    async def record(self, changes: Changes) -> None:
        """Write the outcome of a step or of a word from an EPJ. Raises Stale on a changed version."""

    async def erase(self, *, bodies: Sequence[tuple[str, NewEvent]], now: datetime) -> tuple[NewEvent, ...]:
        """Erase the keys of these bodies, and so the bodies, but of none that is still owed.

        Each comes with the event that tells of it; returns those of the bodies that were erased.
        """

    # reads
    async def body(self, body: str) -> bytes:
        """Return the bytes as they were given. Raises KeyError (unknown or erased) or BodyDamaged."""

    async def next_due(self, *, closed: Collection[int]) -> datetime | None:
        """Return when the next work falls due (what is leased: not before its lease ends), or None."""

    async def outbound(self, sender_her: int, msg_id: str) -> Delivered | None:
        """Return what was taken under (sender HER-id, MsgId)."""

    async def outbound_by_key(self, client: str, key_sha256: bytes) -> Delivered | None:
        """Return what this client posted under the Idempotency-Key of this digest."""

    async def find(self, id: str, *, hers: Collection[int] | None) -> tuple[Delivered, ...]:
        """Return messages by any id: ours, MsgId, delivery, item or eb:MessageId; only of `hers` where given."""

    async def work(self, delivery_id: str) -> Work | None:
        """Return a delivery as it stands now."""

    async def work_by_envelope(self, eb_id: str) -> tuple[Work, Envelope] | None:
        """Return the delivery that an envelope of ours belongs to (current or earlier), and that envelope."""

    async def work_by_receipt(self, *, sender_her: int, msg_id: str, receiver_her: int) -> Work | None:
        """Return the delivery that an AppRec from `receiver_her` about `msg_id` answers."""

    async def received(self, *, from_her: int, cpa_id: str, eb_id: str) -> ReceivedEnvelope | None:
        """Return an acknowledged incoming envelope by its first key."""

    async def statement(self, sha256: bytes) -> str | None:
        """Return the body that holds the response of this digest, or None where there is none, or it is erased."""

    async def statements(self, message_id: str) -> tuple[KeptStatement, ...]:
        """Return what revocation services said of those who signed the envelopes of a message that came in."""

    async def inbound(
        self, *, sender_her: int, msg_id: str, kind: Kind = Kind.DOCUMENT
    ) -> tuple[Message, InboxItem | None] | None:
        """Return a received document, or AppRec, by its second key."""

    async def item(self, item_id: str) -> tuple[Message, InboxItem] | None:
        """Return one inbox item."""

    async def payloads(self, message_id: str) -> tuple[Payload, ...]:
        """Return what came in one envelope beside a document, in the order of the Manifest."""

    async def last_envelope(self, item_id: str) -> str | None:
        """Return the eb:MessageId of the last envelope that an inbox item came in, where it is known."""

    async def inbox(
        self, hers: Collection[int], *, unread: bool, after: str | None, limit: int
    ) -> tuple[tuple[Message, InboxItem], ...]:
        """Return inbox items in the order they came; `unread` leaves out what the EPJ has stored or judged."""

    async def attempts(self, message_id: str) -> tuple[Attempt, ...]:
        """Return all tries of a message's deliveries, oldest first; the store numbers them from 1 by delivery."""

    async def history(self, message_id: str) -> tuple[StoredEvent, ...]:
        """Return all events of a message, oldest first."""

    async def feed(self, hers: Collection[int], *, after: int, limit: int) -> tuple[StoredEvent, ...]:
        """Return feed events with a higher offset; every lower one is settled when one is visible."""

    async def unconfirmed(self, hers: Collection[int], *, through: int) -> tuple[Work, ...]:
        """Return settled deliveries whose outcome stands in the feed at or below `through` and is not confirmed."""

    async def partner_hold(self, her: int) -> PartnerHold | None:
        """Return the hold on a counterpart."""

    async def partner_holds(self) -> tuple[PartnerHold, ...]:
        """Return the holds on all counterparts."""

    async def open_to(self, her: int, *, after: str | None, limit: int) -> tuple[Work, ...]:
        """Return open deliveries to a counterpart, oldest first, those that stand behind the delivery `after`."""

    async def left_held(self, *, limit: int) -> tuple[Work, ...]:
        """Return deliveries that are held with their counterpart, though its hold has ended."""

    async def kept(self, *, after: int, limit: int) -> tuple[Kept, ...]:
        """Return bodies that are not erased, in the order they came; `after` is the place of the last one."""

    async def queue(self, *, limit: int) -> tuple[Work, ...]:
        """Return deliveries that are not finished, those that wait for a person first, then the oldest."""

    async def events(self, *, kinds: Collection[EventKind], after: int, limit: int) -> tuple[StoredEvent, ...]:
        """Return events of these kinds with a higher offset, for operators."""

    async def ready(self) -> None:
        """Prove that a write and its fsync pass. Raises StoreBusy or StoreBroken."""


class BodyDamaged(Exception):
    """A kept body does not authenticate: bit rot. It must not be sent on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportReply:
    """What came back for a POST, unjudged. The body is cut at the limit of an envelope."""

    status: int
    content_type: str
    body: bytes
    date: datetime | None = None  # what the partner's clock said (HTTP Date)


class Carrier(Protocol):
    """Sends stored bytes. Judges nothing."""

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        """POST an ebMS entity. Raises TransportFailed with `maybe_read`."""


class Addresses(Protocol):
    """The address records."""

    def current(self) -> "Directory":
        """Return the last good directory. Raises Unaddressable where no registry could answer yet."""


class Clients(Protocol):
    """The EPJ systems that may call the API."""

    def by_token(self, token: str) -> Client | None:
        """Return the client of a bearer token, or None. Compares hashes in constant time."""

    def by_certificate(self, der: bytes, at: datetime) -> Client | None:
        """Return the client of a certificate that TLS has verified, or None; also None where it is over at `at`."""


class Wakes(Protocol):
    """The webhooks of the clients."""

    def state_of(self, client: str) -> WakeState | None:
        """Return how a client's webhook stands, or None where it has none."""

    def states(self) -> tuple[WakeState, ...]:
        """Return how all webhooks stand."""


class Keys(Protocol):
    """Our own keys, by organisation."""

    def signing(self, her_id: int, at: datetime) -> "KeyPair":
        """Return the key that `her_id` signs with. Raises OwnKeyUnusable with the reason."""

    def opening(self, her_id: int) -> "tuple[KeyPair, ...]":
        """Return every key that may open what was sealed for `her_id`, newest first."""


class Revocation(Protocol):
    """The services that say which certificates are revoked."""

    async def require_good(self, path: "tuple[Certificate, ...]", at: datetime) -> tuple[Statement, ...]:
        """Return what was said of each certificate of a path but its root: none was revoked at `at`.

        Raises NotTrusted where one was, RevocationUnknown where nobody could say.
        """


class Clock(Protocol):
    """The time of day."""

    def now(self) -> datetime:
        """Return the time in UTC."""


class Randomness(Protocol):
    """Unpredictable values."""

    def id(self) -> str:
        """Return a new UUID as 36 characters; ids sort by the time they were made."""

    def bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""

    def jitter(self) -> float:
        """Return a number in 0..1."""


SMALL = 32 * 1024  # bytes: to judge, seal or open so much takes about a millisecond


class Cpu(Protocol):
    """Runs CPU work off the event loop, in a small pool."""

    def __call__(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return what `work` returns, or raise what it raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What this broker is: fixed from start to stop."""

    environment: Literal["test", "production"]
    hosted: Mapping[int, str]  # HER-id -> organisation number; all others are partners
    host: str  # the right side of our eb:MessageIds
    software: str  # name in Description (HIS 1210) and in AppRec/SoftwareName
    version: str
    back_off: BackOff
    timeout: timedelta  # for one POST to a partner
    max_document: int  # bytes
    max_envelope: int  # bytes

    def hosts(self, her_id: int) -> bool:
        """Say whether `her_id` is served by this broker."""
        return her_id in self.hosted


def _nobody(_name: str) -> Client | None:
    return None


async def _at_once(_kind: Hashable) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """All doors of one broker."""

    site: Site
    store: Store
    carrier: Carrier
    addresses: Addresses
    processes: "Callable[[], Processes]"
    codes: "Codes"
    schemas: "Callable[[], SchemaSet]"  # the calling thread's own: schema objects are not shared between threads
    keys: Keys
    clock: Clock
    randomness: Randomness
    revocation: Revocation
    cpu: Cpu
    wake: Callable[[], None]  # tells the worker that something may be due
    client: Callable[[str], Client | None] = _nobody  # the EPJ system of that name, if there is one
    holds: Holds = field(default_factory=Holds)  # whose ciphertexts are not opened for now
    turn: Callable[[Hashable], Awaitable[None]] = _at_once  # returns when small work of a kind may have the event loop

    async def work(self, size: int, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` returns, or raise what it raises: in its turn, on the event loop, if it is SMALL.

        A document of 10 KB is judged in 0.2 ms, sealed in 0.5. On a busy machine it waits longer than that for a thread
        to take it, and again for the event loop to hear of it; and thread and loop take the interpreter's lock from
        each other all the while.
        """
        if size <= SMALL:
            await self.turn(work)
        return await self.urgent(size, work, *args, **kwargs)

    async def urgent(self, size: int, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `work`, but before all that waits for its turn: for the EPJ's post, which has not been promised yet."""
        if size <= SMALL:
            return work(*args, **kwargs)
        return await self.cpu(work, *args, **kwargs)
