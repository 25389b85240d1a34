"""How long bodies are kept after the duty has ended, and their erasure: by key, in small writes, each with an event.

What is still owed, or not yet collected by its EPJ, is never taken; the database refuses it too.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from broker import telemetry
from broker.message import EventKind, NewEvent
from broker.ports import Clock, Keeping, Kept, Store

PAGE: Final = 1000  # bodies looked at in one question
AT_ONCE: Final = 100  # bodies erased in one write: each write ends with the log truncated
AGES: Final = (1, 7, 30, 90)  # days: where one column of ages ends and the next begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long each kind is kept after its end. What has no entry is kept for good."""

    times: Mapping[Keeping, timedelta]

    def due(self, kept: Kept, now: datetime) -> bool:
        """Say whether its time is over."""
        time = self.times.get(kept.keeping)
        return time is not None and kept.ended_at is not None and kept.ended_at + time <= now


class Looks(Protocol):
    """What is asked of the store: a part of `ports.Store`, so that a store open for reading alone will do."""

    async def kept(self, *, after: int, limit: int) -> tuple[Kept, ...]:
        """See `ports.Store`."""


@dataclass(slots=True)
class Line:
    """What is kept of one kind."""

    keeping: Keeping
    keeps: timedelta | None  # after its end; None: for good
    ages: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))  # bodies, by days since they came
    bodies: int = 0
    size: int = 0  # bytes
    owed: int = 0  # bodies that somebody is owed, or has not collected
    due: int = 0  # bodies that the next run erases
    due_size: int = 0  # bytes


async def report(store: Looks, policy: Policy, now: datetime) -> tuple[Line, ...]:
    """Return what is kept, by kind and age, and what a run now would erase. Changes nothing."""
    lines = {keeping: Line(keeping, policy.times.get(keeping)) for keeping in Keeping}
    async for page in _pages(store):
        for kept in page:
            line = lines[kept.keeping]
            line.bodies, line.size = line.bodies + 1, line.size + kept.size
            days = (now - kept.since).days if kept.since else 0
            line.ages[sum(days >= bound for bound in AGES)] += 1
            line.owed += kept.ended_at is None and kept.keeping is not Keeping.ANSWERS
            if policy.due(kept, now):
                line.due, line.due_size = line.due + 1, line.due_size + kept.size
    return tuple(lines.values())


async def erase_due(
    store: Store, clock: Clock, policy: Policy, *, actor: str = "broker", why: str | None = None
) -> Mapping[Keeping, int]:
    """Erase every body whose time is over, and return how many of each kind. Raises StoreBusy, StoreBroken.

    `actor` and `why` stand in the events, which outlive the bodies.
    """
    erased: dict[Keeping, int] = {}
    now = clock.now()
    async for page in _pages(store):
        due = [kept for kept in page if policy.due(kept, now)]
        for start in range(0, len(due), AT_ONCE):
            some = [(kept, _event(kept, policy, actor, why, now)) for kept in due[start : start + AT_ONCE]]
            told = await store.erase(bodies=[(kept.body, event) for kept, event in some], now=now)
            telemetry.recorded(told)
            went = {id(event) for event in told}
            for kept, event in some:
                if id(event) in went:
                    erased[kept.keeping] = erased.get(kept.keeping, 0) + 1
    return erased


async def _pages(store: Looks) -> AsyncIterator[tuple[Kept, ...]]:
    after = 0
    while page := await store.kept(after=after, limit=PAGE):
        yield page
        after = page[-1].place


def _event(kept: Kept, policy: Policy, actor: str, why: str | None, now: datetime) -> NewEvent:
    days = policy.times[kept.keeping].days
    return NewEvent(
        kind=EventKind.ERASED,
        at=now,
        her=kept.her,
        message_id=kept.message_id,
        delivery_id=kept.delivery_id,
        msg_id=kept.msg_id,
        codes=(kept.keeping,),
        why=why or f"kept {days} days after its end",
        actor=actor,
    )
