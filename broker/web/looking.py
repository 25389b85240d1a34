"""What operators are told: any message by any id with its history, what is open, its problems, partners, events.

Reads, and no bodies. The running broker answers by these over its socket; where none runs, the command line asks the
same of the store itself, and so nothing here may load a web server.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from broker import __version__
from broker.diagnosis import CAUSES, Standing, stand, stand_item
from broker.diagnosis.problems import (
    AGES,
    Contact,
    Problem,
    ProblemKey,
    Tally,
    Uncollected,
    alike,
    key_of,
    problems,
    read_key,
)
from broker.errors import Unaddressable
from broker.lifecycle import Outcome
from broker.message import (
    Attempt,
    Ball,
    EventKind,
    InboxItem,
    KeptStatement,
    Kind,
    Message,
    PartnerHold,
    StoredEvent,
    Text,
    Work,
)
from broker.ports import Clock, Delivered
from broker.web import shapes

MOST_MESSAGES: Final = 20  # of one answer; a conversation may have more
MOST_WAITING: Final = 1000
MOST_EVENTS: Final = 1000
_SHOWN: Final = 5  # problems on the one screen
_HOUR: Final = timedelta(hours=1)
_QUEUED: Final = Text(nb="i kø", en="queued")

# What one wants to know the last time of.
_LAST: Final = {
    "accepted": EventKind.ACCEPTED,
    "acknowledged": EventKind.ACKNOWLEDGED,
    "receipted": EventKind.RECEIPT_OK,
    "received": EventKind.INBOX_DOCUMENT,
}
# What one wants to know the number of.
_COUNTED: Final = _LAST | {"rejected": EventKind.RECEIPT_REJECTED, "stored": EventKind.STORED}


class Named(Protocol):
    """A party, as far as its name goes."""

    @property
    def name(self) -> str:
        """Return what it is called."""


class Names(Protocol):
    """The parties by HER-id: `routing.party.Directory`, or what the command line reads of the same files."""

    def party(self, her_id: int, /) -> Named | None:
        """Return the party, or None for one without a record."""


class Known(Protocol):
    """The address records: `ports.Addresses`, or what the command line reads of the same files."""

    def current(self) -> Names:
        """Return the records as they are now. Raises Unaddressable."""


class Reads(Protocol):
    """What is asked of the store: a part of `ports.Store`, so that a store open for reading alone will do."""

    async def find(self, id: str, *, hers: Collection[int] | None) -> tuple[Delivered, ...]:
        """See `ports.Store`."""

    async def work(self, delivery_id: str) -> Work | None:
        """See `ports.Store`."""

    async def inbound(
        self, *, sender_her: int, msg_id: str, kind: Kind = Kind.DOCUMENT
    ) -> tuple[Message, InboxItem | None] | None:
        """See `ports.Store`."""

    async def attempts(self, message_id: str) -> tuple[Attempt, ...]:
        """See `ports.Store`."""

    async def statements(self, message_id: str) -> tuple[KeptStatement, ...]:
        """See `ports.Store`."""

    async def history(self, message_id: str) -> tuple[StoredEvent, ...]:
        """See `ports.Store`."""

    async def queue(self, *, limit: int) -> tuple[Work, ...]:
        """See `ports.Store`."""

    async def partner_holds(self) -> tuple[PartnerHold, ...]:
        """See `ports.Store`."""

    async def open_to(self, her: int, *, after: str | None, limit: int) -> tuple[Work, ...]:
        """See `ports.Store`."""

    async def tallies(self, *, now: datetime) -> tuple[Tally, ...]:
        """See `store.overview`."""

    async def uncollected(self) -> tuple[Uncollected, ...]:
        """See `store.overview`."""

    async def members(self, key: ProblemKey, tallies: Collection[Tally], *, limit: int) -> tuple[Work, ...]:
        """See `store.overview`."""

    async def shape(self, *, now: datetime) -> Mapping[int, tuple[int, ...]]:
        """See `store.overview`."""

    async def contacts(self) -> Mapping[int, Contact]:
        """See `store.overview`."""

    async def latest(self, kinds: Collection[EventKind]) -> Mapping[EventKind, datetime]:
        """See `store.overview`."""

    async def since(self, at: datetime) -> Mapping[EventKind, int]:
        """See `store.overview`."""

    async def all_events(self, *, after: int, limit: int) -> tuple[StoredEvent, ...]:
        """See `store.overview`."""


class Operators:
    """The answers, as JSON."""

    def __init__(
        self,
        store: Reads,
        *,
        addresses: Known,
        clock: Clock,
        cancels: Callable[[str, str], bool],
        closed: Callable[[], Collection[int]] | None = None,
        exceptions: Callable[[int], list[shapes.Json]] = lambda _her: [],
    ) -> None:
        """`cancels` says of a process and its function whether that cancels a visit.

        `closed` returns the counterparts whose lanes are closed for now, and `exceptions` the outdated algorithms that
        a counterpart's record lets in, with their uses, where a broker runs that knows.
        """
        self._store, self._addresses, self._now = store, addresses, clock.now
        self._cancels, self._closed, self._exceptions = cancels, closed, exceptions

    async def journey(self, id: str) -> list[shapes.Json]:
        """Return every message that carries the id, each with receivers, events and attempts; at most 20."""
        found = await self._store.find(id, hers=None)
        still = any(one.state.outcome is Outcome.OPEN for each in found for one in each.deliveries)
        counts = alike(await self._tallies()) if still else {}
        return [await self._journey(one, counts) for one in found[:MOST_MESSAGES]]

    async def queue(self, limit: int) -> list[shapes.Json]:
        """Return what is not finished, that which waits for a person first."""
        return [self._waiting(work) for work in await self._store.queue(limit=min(limit, MOST_WAITING))]

    async def problems(self) -> list[shapes.Json]:
        """Return the problems: groups of messages that stand alike, those for a person first."""
        return [self._problem(each) for each in await self._problems(await self._tallies())]

    async def problem(self, id: str, limit: int) -> shapes.Json | None:
        """Return one problem with its messages, oldest first; None where nothing stands there, or it is no such id."""
        key = read_key(id)
        if key is None:
            return None
        tallies = await self._tallies()
        members = await self._store.members(key, tallies, limit=min(limit, MOST_WAITING))
        known = {each.key: each for each in await self._problems(tallies)}
        if key in known:
            told = self._problem(known[key])
        elif members:  # they wait as they should, and are no problem yet
            told = self._problem(_calm(key, [each for each in tallies if each.key == key]))
        else:
            return None
        return told | {"messages": [self._waiting(work) for work in members]}

    async def status(self) -> shapes.Json:
        """Return the one screen: what is open, who has the ball, what needs a person, when anything last moved."""
        now = self._now()
        tallies, uncollected = await self._tallies(), await self._store.uncollected()
        found = problems(tallies, uncollected, now=now)
        still = [each for each in tallies if each.state.outcome is Outcome.OPEN]
        counts = await self._store.since(now - _HOUR)
        last = await self._store.latest(list(_LAST.values()))
        return {
            "version": __version__,
            "at": shapes.instant(now),
            "open": sum(each.count for each in still),
            "oldestAt": _instant(min((each.oldest for each in still), default=None)),
            "nextAttemptAt": _instant(min((each.next_at for each in still if each.next_at), default=None)),
            "balls": {ball: sum(each.count for each in still if each.ball is ball) for ball in Ball},
            "needPerson": sum(each.count for each in found if each.ball is Ball.PERSON),
            "uncollected": [
                {
                    "herId": each.her,
                    "name": self._name(each.her),
                    "stopPoint": each.stop_point,
                    "count": each.count,
                    "oldestAt": shapes.instant(each.oldest),
                }
                for each in uncollected
            ],
            "problemCount": len(found),
            "problems": [self._problem(each) for each in found[:_SHOWN]],
            "lastHour": {name: counts.get(kind, 0) for name, kind in _COUNTED.items()},
            "last": {name: _instant(last.get(kind)) for name, kind in _LAST.items()},
            "closedLanes": [self._who(her) for her in sorted(self._closed())] if self._closed else None,
        }

    async def shape(self) -> list[shapes.Json]:
        """Return how many are open by counterpart and age; most first."""
        counts = await self._store.shape(now=self._now())
        return [
            self._who(her)
            | {
                "total": sum(ages),
                "ages": [
                    {"within": int(AGES[place].total_seconds()) if place < len(AGES) else None, "count": count}
                    for place, count in enumerate(ages)
                ],
            }
            for her, ages in sorted(counts.items(), key=lambda each: (-sum(each[1]), each[0]))
        ]

    async def partners(self) -> list[shapes.Json]:
        """Return every counterpart that we have sent to or heard from: those with something open first."""
        tallies = [each for each in await self._tallies() if each.state.outcome is Outcome.OPEN]
        contacts = await self._store.contacts()
        closed = self._closed() if self._closed else None
        held = {hold.her for hold in await self._store.partner_holds()}
        told = []
        for her in {each.counterpart for each in tallies} | contacts.keys() | held:
            lane = "held" if her in held else None if closed is None else "closed" if her in closed else "open"
            mine = [each for each in tallies if each.counterpart == her]
            contact = contacts.get(her, Contact())
            told.append(
                self._who(her)
                | {
                    "open": sum(each.count for each in mine),
                    "troubled": sum(each.count for each in mine if each.troubled),
                    "oldestAt": _instant(min((each.oldest for each in mine), default=None)),
                    "nextAttemptAt": _instant(min((each.next_at for each in mine if each.next_at), default=None)),
                    "lastAcknowledgedAt": _instant(contact.acknowledged_at),
                    "lastHeardAt": _instant(contact.heard_at),
                    "lane": lane,
                    "exceptions": self._exceptions(her),
                }
            )
        return sorted(told, key=lambda each: (-each["troubled"], -each["open"], each["herId"]))

    async def agreement(self, ours: int, theirs: int) -> shapes.Json:
        """Return what is open from `ours` to `theirs`, and under which CPAId it is sealed, if it is."""
        found = await self._store.open_to(theirs, after=None, limit=MOST_WAITING)
        return {
            "open": [
                {
                    "deliveryId": work.delivery.id,
                    "messageId": work.message.id,
                    "msgId": work.message.msg_id,
                    "kind": work.message.kind,
                    "type": work.message.type,
                    "transport": work.delivery.state.transport,
                    "cpaId": work.envelope.cpa_id if work.envelope else None,
                }
                for work in found
                if work.message.sender_her == ours
            ],
            "more": len(found) == MOST_WAITING,
        }

    async def events(self, after: int, limit: int) -> list[shapes.Json]:
        """Return what is written down with a higher offset; a negative `after` means so many of the last."""
        found = await self._store.all_events(after=after, limit=min(limit, MOST_EVENTS))
        return [_event(each) for each in found]

    async def _tallies(self) -> tuple[Tally, ...]:
        return await self._store.tallies(now=self._now())

    async def _problems(self, tallies: Collection[Tally]) -> tuple[Problem, ...]:
        return problems(tallies, await self._store.uncollected(), now=self._now())

    async def _journey(self, one: Delivered, counts: Mapping[ProblemKey, int]) -> shapes.Json:
        message = one.message
        if shapes.outgoing(message):
            works = [work for delivery in one.deliveries if (work := await self._store.work(delivery.id)) is not None]
            standings = [self._stand(work) for work in works]
            receivers = [
                shapes.receiver(work.delivery, standing)
                | self._receiver(work.delivery.receiver_her)
                | _group(work, counts)
                for work, standing in zip(works, standings, strict=True)
            ]
        else:
            received = await self._store.inbound(
                sender_her=message.sender_her, msg_id=message.msg_id, kind=message.kind
            )
            item = received[1] if received else None
            standings = [self._stand_item(item, message)] if item else []
            receivers = [
                shapes.received_by(item, standing) | self._receiver(item.receiver_her) for standing in standings if item
            ]
        told = shapes.message(message, standings[0] if len(standings) == 1 else None, receivers)
        return told | {
            "kind": message.kind,
            "function": message.function,
            "senderName": self._name(message.sender_her),
            "client": message.client,
            "events": [_event(event) for event in await self._store.history(message.id)],
            "attempts": [shapes.attempt(attempt) for attempt in await self._store.attempts(message.id)],
            "revocation": [_said(each) for each in await self._store.statements(message.id)],
        }

    def _waiting(self, work: Work) -> shapes.Json:
        message, standing = work.message, self._stand(work)
        return shapes.receiver(work.delivery, standing) | {
            "messageId": message.id,
            "msgId": message.msg_id,
            "kind": message.kind,
            "type": message.type,
            "receivedAt": shapes.instant(message.at),
            "senderHerId": message.sender_her,
            "senderName": self._name(message.sender_her),
            **self._receiver(work.delivery.receiver_her),
        }

    def _stand(self, work: Work) -> Standing:
        return stand(
            work.delivery,
            work.message,
            name=self._known(work.delivery.receiver_her),
            now=self._now(),
            envelope=work.envelope,
        )

    def _stand_item(self, item: InboxItem, message: Message) -> Standing:
        return stand_item(
            item,
            message,
            name=self._known(message.sender_her),
            now=self._now(),
            cancellation=self._cancels(message.process, message.function),
        )

    def _name(self, her: int) -> str:
        return self._known(her) or "?"

    def _known(self, her: int) -> str:
        try:
            party = self._addresses.current().party(her)
        except Unaddressable:
            party = None
        return party.name if party else ""

    def _problem(self, of: Problem) -> shapes.Json:
        return {
            "id": str(of.key),
            "stopPoint": of.key.stop_point,
            "errorId": of.key.error_id,
            **self._who(of.key.counterpart),
            "cause": _text(of.name),
            "act": _text(of.act) if of.act else None,
            "ball": of.ball,
            "count": of.count,
            "oldestAt": shapes.instant(of.oldest),
            "nextAttemptAt": _instant(of.next_at),
        }

    def _who(self, her: int) -> shapes.Json:
        return {"herId": her, "name": self._name(her)}

    def _receiver(self, her: int) -> shapes.Json:
        return {"receiverName": self._name(her)}


def _said(statement: KeptStatement) -> shapes.Json:
    """Return what a revocation service said of the sender's certificate, or of its issuer's, without the response."""
    return {
        "certificate": statement.certificate,
        "source": statement.source,
        "fetchedAt": shapes.instant(statement.fetched_at),
        "sha256": statement.sha256.hex(),
    }


def _event(of: StoredEvent) -> shapes.Json:
    return shapes.event(of) | {"ebMessageId": of.event.eb_id, "why": of.event.why, "actor": of.event.actor}


def _group(work: Work, counts: Mapping[ProblemKey, int]) -> shapes.Json:
    """Return the group that an open delivery stands in, and how many others do."""
    if work.delivery.state.outcome is not Outcome.OPEN:
        return {"problem": None, "alike": 0}
    key = key_of(work.delivery)
    return {"problem": str(key), "alike": max(0, counts.get(key, 0) - 1)}


def _calm(key: ProblemKey, tallies: Collection[Tally]) -> Problem:
    """Return what waits as it should in the shape of a problem, for who asks for it by name."""
    cause = CAUSES.get(key.error_id) if key.error_id else None
    return Problem(
        key=key,
        ball=next(each.ball for each in tallies),
        name=cause.name if cause else _QUEUED,
        act=None,
        count=sum(each.count for each in tallies),
        oldest=min(each.oldest for each in tallies),
        next_at=min((each.next_at for each in tallies if each.next_at), default=None),
    )


def _instant(at: datetime | None) -> str | None:
    return shapes.instant(at) if at else None


def _text(text: Text) -> shapes.Json:
    return {"nb": text.nb, "en": text.en}


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.removeprefix("-").isdecimal() and len(text) < 19 else otherwise


Asked = Mapping[str, str]

# What may be asked, by name: the path at the socket.
ANSWERS: Final[Mapping[str, Callable[[Operators, Asked], Awaitable[Any]]]] = {
    "status": lambda operators, _: operators.status(),
    "problems": lambda operators, _: operators.problems(),
    "problem": lambda operators, asked: operators.problem(
        asked.get("id", ""), _number(asked.get("limit"), MOST_WAITING)
    ),
    "journey": lambda operators, asked: operators.journey(asked.get("id", "")),
    "queue": lambda operators, asked: operators.queue(_number(asked.get("limit"), MOST_WAITING)),
    "shape": lambda operators, _: operators.shape(),
    "partners": lambda operators, _: operators.partners(),
    "agreement": lambda operators, asked: operators.agreement(
        _number(asked.get("ours"), 0), _number(asked.get("theirs"), 0)
    ),
    "events": lambda operators, asked: operators.events(
        _number(asked.get("after"), -MOST_WAITING), _number(asked.get("limit"), MOST_EVENTS)
    ),
}
