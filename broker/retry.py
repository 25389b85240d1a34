"""Pure: when to send again, when to chase a receipt, when to give up.

Two clocks. The *transport* clock runs from the envelope's Timestamp and resends the same envelope until it is
acknowledged. The *receipt* clock runs from custody and asks for the application receipt. Design, decision 6.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Chase(StrEnum):
    """How a missing receipt is asked for."""

    NONE = "none"
    REPEAT = "repeat"  # the same document in a new envelope
    ASK = "ask"  # a person asks


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """The pace of tries that spend no Retry, and of what is parked."""

    first: timedelta = timedelta(seconds=30)
    most: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptPolicy:
    """When a missing receipt is noticed, asked for, and taken for a negative one. All count from custody."""

    alarms: tuple[timedelta, ...] = (timedelta(minutes=15), timedelta(hours=4), timedelta(hours=24))
    chase: Chase = Chase.REPEAT
    chase_at: tuple[timedelta, ...] = (timedelta(hours=24), timedelta(hours=48), timedelta(hours=72))
    overdue: timedelta = timedelta(hours=96)
    duplicate_codes: frozenset[str] = frozenset({"E10", "T99", "X99"})


@dataclass(frozen=True, slots=True)
class Resend:
    """Send the same envelope again at `due`."""

    due: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No copy is left: give up at `due`, when the last one has had its full wait."""

    due: datetime


def after_copy(
    *, copies: int, retries: int, interval: timedelta, now: datetime, persist_until: datetime
) -> Resend | GiveUp:
    """Return what follows the copy just sent (the `copies`-th that the partner may have read).

    Retries are re-sends: retries=3 puts four copies on the wire, and the last gets its full interval too
    (ebMS 2.0, 6.4.3). Nothing is sent again after PersistDuration.
    """
    due = now + interval
    if copies <= retries and due < persist_until:
        return Resend(due)
    return GiveUp(min(due, persist_until))


def back_off(policy: BackOff, failures: int, jitter: float) -> timedelta:
    """Return the wait after the `failures`-th failure in a row (1 = first).

    `jitter` is in 0..1 and takes up to a quarter off, so that many deliveries do not come back at one instant.
    """
    wait = policy.first
    for _ in range(failures - 1):
        if wait >= policy.most:
            break
        wait *= 2
    return min(wait, policy.most) * (1 - jitter / 4)


class ReceiptStep(StrEnum):
    """What the receipt clock asks for."""

    ALARM = "alarm"
    CHASE = "chase"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Next:
    """The receipt clock's next step and its time."""

    step: ReceiptStep
    at: datetime


def receipt_step(policy: ReceiptPolicy, *, custody: datetime, alarms: int, chases: int, chasing: bool) -> Next:
    """Return the earliest step not yet taken.

    `alarms` and `chases` count those behind us (taken or skipped); `chasing` is whether a chase may be made now, which
    is only after the Acknowledgment.
    """
    steps = [Next(ReceiptStep.DEADLINE, custody + policy.overdue)]
    if alarms < len(policy.alarms):
        steps.append(Next(ReceiptStep.ALARM, custody + policy.alarms[alarms]))
    if chasing and policy.chase is not Chase.NONE and chases < len(policy.chase_at):
        steps.append(Next(ReceiptStep.CHASE, custody + policy.chase_at[chases]))
    return min(steps, key=lambda step: step.at)


def chases_behind(policy: ReceiptPolicy, *, custody: datetime, now: datetime) -> int:
    """Return how many chase hours have passed at `now`: those before the Acknowledgment are skipped, not made up."""
    return sum(1 for hour in policy.chase_at if custody + hour <= now)
