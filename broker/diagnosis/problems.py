"""Which open deliveries are a problem, and which of them are one and the same: groups, not messages. Pure.

What stands at the same stop-point, for the same cause, towards the same counterpart, is one problem, whether it is one
message or ten thousand. What only waits as it should is none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.diagnosis import causes
from broker.diagnosis.catalogue import CAUSES
from broker.diagnosis.standing import NOT_COLLECTED, error_id_of
from broker.lifecycle import State, StopPoint
from broker.message import Ball, Delivery, Message, Text

# Until then a partner's Acknowledgment, or a turn in our own queue, is not missed: deadline K6 of the daily follow-up.
PATIENCE: Final = timedelta(minutes=15)
COLLECTED_WITHIN: Final = NOT_COLLECTED  # an EPJ that polls has stored what came, and read its outcomes

# The edges between the ages that `queue --shape` counts by: minutes, hours and days as people think of them.
AGES: Final = (
    *(timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4)),
    *(timedelta(days=1), timedelta(days=3)),
)

# What is no fault as long as it does not last.
_WAITING: Final = frozenset({None, causes.ACKNOWLEDGMENT_AWAITED, causes.RECEIPT_AWAITED})
_NO_CAUSE: Final = "-"
_QUEUED: Final = Text(nb="i kø for lenge", en="queued for too long")
_LATE: Final = Text(nb="applikasjonskvitteringen er sen", en="the application receipt is late")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemKey:
    """What the messages of one problem have in common. As text: K4:MB-3202:8000123, with - for no error id."""

    stop_point: StopPoint
    error_id: str | None
    counterpart: int  # HER-id; of ours where our own EPJ is waited for

    def __str__(self) -> str:
        return f"{self.stop_point}:{self.error_id or _NO_CAUSE}:{self.counterpart}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many deliveries are alike in all of this: what the store counts."""

    state: State
    cause: str | None  # as recorded; see `standing.error_id_of`
    ball: Ball
    counterpart: int
    old: bool  # taken longer than PATIENCE ago
    alarmed: bool  # an alarm about its receipt was given
    count: int
    oldest: datetime  # when the first of them was taken
    next_at: datetime | None  # when the first of them is due

    @property
    def key(self) -> ProblemKey:
        """Return the group that they belong to."""
        error_id = error_id_of(self.cause, self.state)
        return ProblemKey(stop_point=self.state.stop_point, error_id=error_id, counterpart=self.counterpart)

    @property
    def troubled(self) -> bool:
        """Say whether they are more than deliveries that wait as they should."""
        error_id = self.key.error_id
        if self.ball is Ball.PERSON or error_id not in _WAITING:
            return True
        return self.alarmed if error_id == causes.RECEIPT_AWAITED else self.old


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One group of messages that stand alike. `name` says the cause, `act` what to do."""

    key: ProblemKey
    ball: Ball
    name: Text
    act: Text | None
    count: int
    oldest: datetime
    next_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncollected:
    """What waits for one EPJ of ours: documents (M6) that it has not stored, or outcomes (K7) it has not confirmed."""

    her: int
    stop_point: StopPoint
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """When a counterpart last acknowledged an envelope of ours, and when a message of its last came."""

    acknowledged_at: datetime | None = None
    heard_at: datetime | None = None


def read_key(text: str) -> ProblemKey | None:
    """Return the key that a person typed, or None where it is none."""
    parts = text.strip().split(":")
    if len(parts) != 3 or not parts[2].isdecimal() or parts[0].upper() not in set(StopPoint):
        return None
    error_id = None if parts[1] == _NO_CAUSE else parts[1].upper()
    return ProblemKey(stop_point=StopPoint(parts[0].upper()), error_id=error_id, counterpart=int(parts[2]))


def tally(delivery: Delivery, message: Message, *, now: datetime) -> Tally:
    """Return the tally of one delivery alone: what the store's own counting must agree with."""
    return Tally(
        state=delivery.state,
        cause=delivery.cause,
        ball=delivery.ball,
        counterpart=delivery.receiver_her,
        old=message.at < now - PATIENCE,
        alarmed=delivery.alarms > 0,
        count=1,
        oldest=message.at,
        next_at=delivery.due,
    )


def problems(
    tallies: Iterable[Tally], uncollected: Iterable[Uncollected] = (), *, now: datetime
) -> tuple[Problem, ...]:
    """Return the problems: what waits for a person first, then the oldest."""
    found: dict[ProblemKey, Problem] = {}
    for each in (_problem(each) for each in tallies if each.troubled):
        found[each.key] = _together(found[each.key], each) if each.key in found else each
    for waiting in uncollected:
        if waiting.oldest < now - COLLECTED_WITHIN:
            one = _not_collected(waiting)
            found[one.key] = one
    return tuple(sorted(found.values(), key=lambda each: (each.ball is not Ball.PERSON, each.oldest, str(each.key))))


def alike(tallies: Iterable[Tally]) -> Mapping[ProblemKey, int]:
    """Return how many deliveries stand at each key, troubled or not."""
    counts: dict[ProblemKey, int] = {}
    for each in tallies:
        counts[each.key] = counts.get(each.key, 0) + each.count
    return counts


def key_of(delivery: Delivery) -> ProblemKey:
    """Return the group that a delivery would belong to."""
    error_id = error_id_of(delivery.cause, delivery.state)
    return ProblemKey(stop_point=delivery.state.stop_point, error_id=error_id, counterpart=delivery.receiver_her)


def _problem(of: Tally) -> Problem:
    known = CAUSES.get(of.key.error_id) if of.key.error_id else None
    name = known.name if known else _QUEUED
    return Problem(
        key=of.key,
        ball=of.ball,
        name=_LATE if of.key.error_id == causes.RECEIPT_AWAITED else name,
        act=known.act if known else None,
        count=of.count,
        oldest=of.oldest,
        next_at=of.next_at,
    )


def _not_collected(of: Uncollected) -> Problem:
    outcomes = of.stop_point is not StopPoint.M6
    cause = CAUSES[causes.EPJ_NOT_CONFIRMING if outcomes else causes.EPJ_NOT_COLLECTING]
    return Problem(
        key=ProblemKey(stop_point=of.stop_point, error_id=cause.id, counterpart=of.her),
        ball=cause.ball,
        name=cause.name,
        act=cause.act,
        count=of.count,
        oldest=of.oldest,
        next_at=None,
    )


def _together(one: Problem, other: Problem) -> Problem:
    times = [time for time in (one.next_at, other.next_at) if time is not None]
    return replace(
        one,
        # Where one of them needs a person, the problem does.
        ball=Ball.PERSON if Ball.PERSON in (one.ball, other.ball) else one.ball,
        count=one.count + other.count,
        oldest=min(one.oldest, other.oldest),
        next_at=min(times, default=None),
    )
