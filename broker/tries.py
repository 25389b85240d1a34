"""What one try at the transport becomes, as a write: a copy that went, a try that failed, a word in the answer.

Each function returns the change to a delivery, which is made of the delivery as it then stands: another's word may come
first.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from broker import effects, progress
from broker.diagnosis import CAUSES, causes
from broker.errors import Unaddressable
from broker.lifecycle import StopPoint
from broker.message import Attempt, Ball, Changes, EventKind, Owed, Work
from broker.ports import Doors
from broker.retry import ReceiptPolicy
from broker.routing import choose
from broker.routing.party import Directory

Change = Callable[[Work], Awaitable[Changes | None]]
BEST_EFFORT = "no Acknowledgment is agreed: the HTTP answer is all that comes"


def _mender(error_id: str) -> Ball:
    """Return who can mend what stands in the way; what the EPJ would do to a new document, a person does here."""
    known = CAUSES.get(error_id)
    ball = known.ball if known else Ball.PARTNER
    return Ball.PERSON if ball is Ball.EPJ else ball


def _attempt(
    work: Work, result: str, status: int | None, error_id: str | None, started: datetime, endpoint: str, now: datetime
) -> Attempt:
    assert work.envelope is not None
    return Attempt(
        delivery_id=work.delivery.id,
        eb_id=work.envelope.eb_id,
        number=0,
        started_at=started,
        ended_at=now,
        endpoint=endpoint,
        http_status=status,
        result=result,
        error_id=error_id,
    )


def copy_sent(
    cause: str, status: int | None, started: datetime, endpoint: str, doors: Doors, *, forged: str | None = None
) -> Change:
    """A copy went out, and no signal to be believed came back. `forged` says why, where one came all the same."""

    async def change(work: Work) -> Changes | None:
        assert work.envelope is not None
        now = doors.clock.now()
        envelope = replace(work.envelope, copies=work.envelope.copies + 1)
        delivery = progress.sent(work.delivery, envelope, now=now, cause=cause, ball=_mender(cause))
        fine = cause == causes.ACKNOWLEDGMENT_AWAITED
        error_id = None if fine else cause
        events = [
            effects.event(EventKind.SENT, work, now, error_id=error_id, eb_id=envelope.eb_id, stop_point=StopPoint.K5)
        ]
        if forged is not None:
            events.append(
                effects.event(EventKind.SECURITY, work, now, why=forged, error_id=cause, eb_id=envelope.eb_id)
            )
        attempt = _attempt(work, "sent", status, error_id, started, endpoint, now)
        return Changes(events=tuple(events), advanced=(delivery,), used=(envelope,), attempts=(attempt,))

    return change


def try_failed(error_id: str, status: int | None, started: datetime, endpoint: str, doors: Doors) -> Change:
    async def change(work: Work) -> Changes | None:
        now = doors.clock.now()
        delivery = progress.failed(
            work.delivery,
            error_id,
            pace=doors.site.back_off,
            jitter=doors.randomness.jitter(),
            now=now,
            ball=_mender(error_id),
        )
        event = effects.event(EventKind.FAILED, work, now, error_id=error_id)
        return Changes(
            events=(event,),
            advanced=(delivery,),
            attempts=(_attempt(work, "failed", status, error_id, started, endpoint, now),),
        )

    return change


def taken(status: int, started: datetime, endpoint: str, doors: Doors, *, warnings: tuple[str, ...] = ()) -> Change:
    """Best effort: no Acknowledgment is agreed, so 2xx is all that there will be, and nothing is sent again.

    Where an AppRec is owed it alone can tell that the document arrived. Where none is, this ends it.
    """

    async def change(work: Work) -> Changes | None:
        assert work.envelope is not None
        now = doors.clock.now()
        envelope = replace(work.envelope, copies=work.envelope.copies + 1)
        attempt = _attempt(work, "sent", status, None, started, endpoint, now)
        told = effects.event(
            EventKind.SENT, work, now, eb_id=envelope.eb_id, stop_point=StopPoint.K5, why=BEST_EFFORT, codes=warnings
        )
        if work.message.owed is Owed.ALWAYS:
            delivery = progress.sent_for_good(work.delivery, envelope, now=now)
            return Changes(events=(told,), advanced=(delivery,), used=(envelope,), attempts=(attempt,))
        passed = replace(work, delivery=progress.sent(work.delivery, envelope, now=now), envelope=envelope)
        item = await doors.store.item(work.message.answers_item) if work.message.answers_item else None
        changes = effects.taken(passed, envelope, item[1] if item else None, clock_policy(work, doors), now)
        return replace(changes, events=(told, *changes.events), attempts=(attempt,))

    return change


def acknowledged(status: int, started: datetime, endpoint: str, doors: Doors) -> Change:
    async def change(work: Work) -> Changes | None:
        assert work.envelope is not None
        now = doors.clock.now()
        # The copy and its acknowledgment are one record: K5 and K6 pass together when the signal comes at once.
        envelope = replace(work.envelope, copies=work.envelope.copies + 1)
        passed = replace(work, delivery=progress.sent(work.delivery, envelope, now=now), envelope=envelope)
        item = await doors.store.item(work.message.answers_item) if work.message.answers_item else None
        changes = effects.acknowledged(passed, envelope, item[1] if item else None, clock_policy(work, doors), now)
        return replace(changes, attempts=(_attempt(work, "acknowledged", status, None, started, endpoint, now),))

    return change


def refused(
    error_id: str, status: int, started: datetime, endpoint: str, doors: Doors, codes: tuple[str, ...] = ()
) -> Change:
    async def change(work: Work) -> Changes | None:
        assert work.envelope is not None
        now = doors.clock.now()
        envelope = replace(work.envelope, copies=work.envelope.copies + 1)
        passed = replace(work, delivery=progress.sent(work.delivery, envelope, now=now), envelope=envelope)
        changes = effects.refused(passed, envelope, error_id, codes, now)
        return replace(changes, attempts=(_attempt(work, "refused", status, error_id, started, endpoint, now),))

    return change


def clock_policy(work: Work, doors: Doors) -> ReceiptPolicy:
    """Return the receipt policy in force for this delivery."""
    directory: Directory | None = None
    with suppress(Unaddressable):
        directory = doors.addresses.current()
    return choose.policy_in_force(doors.processes(), directory, work.message, work.delivery)
