"""What a delivery becomes after an event: state, clocks, ball and cause together. Pure.

`lifecycle` decides which states there are; this file decides what each event means for the two clocks and for who has
the ball, so that no story can move a state and forget a clock. Every function returns a new value and raises
IllegalMove where the lifecycle forbids the event.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import wraps
from typing import ParamSpec

from broker.errors import Postponed
from broker.lifecycle import Event, Outcome, Receipt, Transport, advance, allows, first_state
from broker.message import Ball, Code, Delivery, Envelope, Held, Kind, Message, Owed, PartyRef, Verdict
from broker.retry import (
    BackOff,
    Chase,
    Next,
    ReceiptPolicy,
    ReceiptStep,
    after_copy,
    back_off,
    chases_behind,
    receipt_step,
)

WAITS_FOR_ACKNOWLEDGMENT = "MB-3206"
WAITS_FOR_RECEIPT = "MB-3400"
GAVE_UP = "MB-3216"
REJECTED = "MB-3401"
OVERDUE = "MB-3402"
SAYS_DUPLICATE = "MB-3404"
CONTRADICTED = "MB-3405"
HELD_BY_ASKING = "MB-3406"
HELD = "MB-5001"

_P = ParamSpec("_P")

VERDICT_EVENTS = {
    Verdict.OK: Event.RECEIPT_OK,
    Verdict.PARTIAL: Event.RECEIPT_PARTIAL,
    Verdict.REJECTED: Event.RECEIPT_REJECTED,
}
_VERDICT_STATES = {Verdict.OK: Receipt.OK, Verdict.PARTIAL: Receipt.PARTIAL, Verdict.REJECTED: Receipt.REJECTED}


def _keeps_a_hold(step: Callable[_P, Delivery]) -> Callable[_P, Delivery]:
    """Return the step with a person's hold kept, whatever the step does; or ended, where there is nothing left to hold.

    So a copy that was under way when the person said stop does not set the delivery going again.
    """

    @wraps(step)
    def kept(*args: _P.args, **kwargs: _P.kwargs) -> Delivery:
        delivery = step(*args, **kwargs)
        if delivery.held is None:
            return delivery
        if not _goes_out(delivery):
            return replace(delivery, held=None)
        return replace(delivery, cause=HELD, ball=Ball.PERSON, transport_due=None)

    return kept


def begin(
    *, id: str, message: Message, receiver: PartyRef, policy: ReceiptPolicy, cause: Postponed | None = None
) -> Delivery:
    """Return a delivery as it stands when custody begins: due at once, both clocks set."""
    state = first_state(receipt_awaited=message.owed is not Owed.NEVER)
    delivery = Delivery(
        id=id,
        message_id=message.id,
        receiver_her=receiver.her,
        receiver_organisation_her=receiver.organisation_her,
        receiver_person=receiver.person,
        state=state,
        version=0,
        ball=Ball.US,
        cause=cause.error_id if cause else None,
        transport_due=message.at,
        updated_at=message.at,
    )
    return _with_receipt_clock(delivery, message, policy)


@_keeps_a_hold
def parked(
    delivery: Delivery, why: Postponed, *, addressed: bool, pace: BackOff, jitter: float, now: datetime
) -> Delivery:
    """Nothing could be sealed: wait, and look again. `addressed` when only our own key is missing (K3 passed)."""
    failures = delivery.failures + 1
    return replace(
        delivery,
        state=advance(delivery.state, Event.ADDRESSED) if addressed else delivery.state,
        cause=why.error_id,
        ball=Ball.PERSON,
        failures=failures,
        transport_due=now + back_off(pace, failures, jitter),
        updated_at=now,
    )


@_keeps_a_hold
def sealed(delivery: Delivery, envelope: Envelope, *, now: datetime) -> Delivery:
    """An envelope stands on disk: send it at once."""
    state = advance(advance(delivery.state, Event.ADDRESSED), Event.SEALED)
    return replace(
        delivery,
        state=state,
        envelope=envelope.eb_id,
        cause=None,
        ball=Ball.US,
        failures=0,
        transport_due=now,
        updated_at=now,
    )


@_keeps_a_hold
def sent(
    delivery: Delivery,
    envelope: Envelope,
    *,
    now: datetime,
    cause: str = WAITS_FOR_ACKNOWLEDGMENT,
    ball: Ball = Ball.PARTNER,
) -> Delivery:
    """A copy went out that the partner may have read; `envelope.copies` counts it already.

    An Acknowledgment, a refusal or a receipt that came first keeps its clock and its word.
    """
    state = advance(delivery.state, Event.SENT)
    if state.transport is not Transport.SENT or state.outcome is not Outcome.OPEN:
        return replace(delivery, state=state, updated_at=now)
    following = after_copy(
        copies=envelope.copies,
        retries=envelope.retries,
        interval=envelope.interval,
        now=now,
        persist_until=envelope.persist_until,
    )
    return replace(
        delivery,
        state=state,
        cause=cause,
        ball=ball,
        failures=0,
        transport_due=following.due,
        updated_at=now,
    )


def sent_for_good(delivery: Delivery, envelope: Envelope, *, now: datetime) -> Delivery:
    """A copy was taken and no Acknowledgment is agreed: it is not sent again, and its AppRec is waited for."""
    after = sent(delivery, envelope, now=now, cause=WAITS_FOR_RECEIPT)
    return replace(after, transport_due=None)


@_keeps_a_hold
def failed(
    delivery: Delivery, error_id: str, *, pace: BackOff, jitter: float, now: datetime, ball: Ball = Ball.PARTNER
) -> Delivery:
    """No copy can have been read: back off; no Retry is spent. `ball`: who can mend it."""
    if not _goes_out(delivery):
        return replace(delivery, updated_at=now)  # the word that overtook us stands
    failures = delivery.failures + 1
    return replace(
        delivery,
        cause=error_id,
        ball=ball,
        failures=failures,
        transport_due=now + back_off(pace, failures, jitter),
        updated_at=now,
    )


@_keeps_a_hold
def acknowledged(delivery: Delivery, message: Message, policy: ReceiptPolicy, *, now: datetime) -> Delivery:
    """An Acknowledgment of one of its envelopes holds. Chase hours that passed before it are skipped.

    A receipt that overtook it keeps its word: who has the ball, and why.
    """
    state = advance(delivery.state, Event.ACKNOWLEDGED)
    if delivery.state.outcome is not Outcome.OPEN or delivery.cause == SAYS_DUPLICATE:
        return replace(delivery, state=state, failures=0, transport_due=None, updated_at=now)
    overdue = state.receipt is Receipt.OVERDUE and state.outcome is Outcome.OPEN
    settled = replace(
        delivery,
        state=state,
        cause=OVERDUE if overdue else None,
        ball=Ball.EPJ if overdue else Ball.PARTNER,
        failures=0,
        transport_due=None,
        chases=max(delivery.chases, chases_behind(policy, custody=message.at, now=now)),
        updated_at=now,
    )
    return _with_receipt_clock(settled, message, policy)


@_keeps_a_hold
def refused(delivery: Delivery, error_id: str, *, now: datetime) -> Delivery:
    """The partner's word is never: resends, chase and receipt clock stop; a person has the ball."""
    return _held(replace(delivery, state=advance(delivery.state, Event.REFUSED), receipt_due=None), error_id, now)


@_keeps_a_hold
def abandoned(delivery: Delivery, *, now: datetime) -> Delivery:
    """Retries or PersistDuration are used up. The receipt clock goes on: a late receipt still completes."""
    return _held(replace(delivery, state=advance(delivery.state, Event.ABANDONED)), GAVE_UP, now)


def held(delivery: Delivery, error_id: str, *, now: datetime) -> Delivery:
    """Nothing more can be done without a person (damaged body, unknown process): the transport clock stops."""
    return _held(delivery, error_id, now)


@_keeps_a_hold
def receipted(
    delivery: Delivery, verdict: Verdict, codes: tuple[Code, ...], *, receipt_message: str, now: datetime
) -> Delivery:
    """The first receipt from the right party decides, late or not."""
    state = advance(delivery.state, VERDICT_EVENTS[verdict])
    return replace(
        delivery,
        state=state,
        cause=REJECTED if verdict is Verdict.REJECTED else None,
        ball=Ball.EPJ,
        codes=codes,
        late=delivery.state.receipt is Receipt.OVERDUE,
        receipt_message=receipt_message,
        transport_due=None,
        receipt_due=None,
        updated_at=now,
    )


def may_be_receipted(delivery: Delivery, verdict: Verdict) -> bool:
    """Say whether a verdict would be the first."""
    return allows(delivery.state, VERDICT_EVENTS[verdict])


def repeats(delivery: Delivery, verdict: Verdict, codes: tuple[Code, ...]) -> bool:
    """Say whether a later receipt says the same as the one that decided."""
    return delivery.state.receipt is _VERDICT_STATES[verdict] and sorted(c.code for c in codes) == sorted(
        c.code for c in delivery.codes
    )


def says_duplicate(delivery: Delivery, verdict: Verdict, codes: tuple[Code, ...], policy: ReceiptPolicy) -> bool:
    """Say whether a first negative receipt, to a document sent anew, only means that they have it already."""
    return (
        delivery.renewals > 0
        and verdict is Verdict.REJECTED
        and bool(codes)
        and delivery.cause != SAYS_DUPLICATE
        and all(code.code in policy.duplicate_codes for code in codes)
    )


def duplicate_word(delivery: Delivery, *, now: datetime) -> Delivery:
    """The receiver says "we have it already" to a repeat: no verdict; a person finds out what became of the first."""
    return _held(replace(delivery, receipt_due=None), SAYS_DUPLICATE, now)


def contradicted(delivery: Delivery, *, now: datetime) -> Delivery:
    """A second, different verdict changes no state; it is marked, so that a person sees it."""
    return replace(delivery, cause=CONTRADICTED, ball=Ball.PERSON, updated_at=now)


def next_receipt_step(delivery: Delivery, message: Message, policy: ReceiptPolicy) -> Next:
    """Return what the receipt clock asks for next, and when."""
    chasing = delivery.state.transport is Transport.ACKNOWLEDGED
    return receipt_step(policy, custody=message.at, alarms=delivery.alarms, chases=delivery.chases, chasing=chasing)


@_keeps_a_hold
def clock_struck(
    delivery: Delivery, message: Message, policy: ReceiptPolicy, step: ReceiptStep, *, now: datetime
) -> Delivery:
    """The receipt clock's step was taken: return the delivery with that step behind it and the clock set anew."""
    if step is ReceiptStep.ALARM:
        return _with_receipt_clock(replace(delivery, alarms=delivery.alarms + 1, updated_at=now), message, policy)
    if step is ReceiptStep.CHASE:
        counted = replace(delivery, chases=delivery.chases + 1, updated_at=now)
        if policy.chase is Chase.ASK:
            return _with_receipt_clock(replace(counted, ball=Ball.PERSON, cause=HELD_BY_ASKING), message, policy)
        return _with_receipt_clock(renewed(counted, now=now), message, policy)
    if message.owed is Owed.ON_ERROR:
        state = advance(delivery.state, Event.LAPSED)
        return replace(delivery, state=state, receipt_due=None, updated_at=now)
    return replace(
        delivery,
        state=advance(delivery.state, Event.OVERDUE),
        cause=OVERDUE,
        ball=Ball.EPJ,
        receipt_due=None,
        updated_at=now,
    )


def renewed(delivery: Delivery, *, now: datetime) -> Delivery:
    """The same document goes in a new envelope. Receipt state, custody clock and furthest stop-point stay."""
    return replace(
        delivery,
        state=advance(delivery.state, Event.RENEWED),
        envelope=None,
        renewals=delivery.renewals + 1,
        cause=None,
        ball=Ball.US,
        failures=0,
        transport_due=now,
        updated_at=now,
    )


# --- what a person does ---


@_keeps_a_hold
def held_back(delivery: Delivery, on: Held, *, now: datetime) -> Delivery:
    """A person keeps it back: the transport clock stops, the receipt's goes on. Not held where nothing would go out."""
    return replace(delivery, held=on, failures=0, updated_at=now)


def released(delivery: Delivery, envelope: Envelope | None, *, at: datetime, now: datetime) -> Delivery:
    """The hold ends: it goes out at `at`. A copy whose time ran out meanwhile is followed by a new envelope."""
    return _out_again(replace(delivery, held=None, cause=None), envelope, at=at, now=now)


def retried(delivery: Delivery, envelope: Envelope | None, *, at: datetime, now: datetime) -> Delivery:
    """It goes out at `at`: what waits or was sent as it is, what stopped or arrived in a new envelope.

    Raises IllegalMove where its outcome is decided.
    """
    if _goes_out(delivery):
        return _out_again(delivery, envelope, at=at, now=now)
    return replace(renewed(delivery, now=now), transport_due=at)


def closed(delivery: Delivery, message: Message, why: str, *, now: datetime) -> Delivery:
    """A person ends the duty. The EPJ is told, and confirms as it does any outcome."""
    return replace(
        delivery,
        state=advance(delivery.state, Event.CLOSED),
        closed_because=why,
        cause=None,
        ball=Ball.EPJ if message.kind is Kind.DOCUMENT else Ball.US,
        held=None,
        transport_due=None,
        receipt_due=None,
        failures=0,
        updated_at=now,
    )


def _out_again(delivery: Delivery, envelope: Envelope | None, *, at: datetime, now: datetime) -> Delivery:
    if envelope is not None and copies_used_up(envelope, now=at):
        return replace(renewed(abandoned(delivery, now=now), now=now), transport_due=at)
    return replace(delivery, ball=Ball.US, failures=0, transport_due=at, updated_at=now)


def confirmed(delivery: Delivery, *, now: datetime) -> Delivery:
    """The EPJ has confirmed the outcome (K8)."""
    return replace(delivery, state=advance(delivery.state, Event.CONFIRMED), confirmed_at=now, updated_at=now)


def copies_used_up(envelope: Envelope, *, now: datetime) -> bool:
    """Say whether the envelope may not be sent again: every copy sent and waited for, or PersistDuration over."""
    return envelope.copies > envelope.retries or now >= envelope.persist_until


def _held(delivery: Delivery, error_id: str, now: datetime) -> Delivery:
    return replace(
        delivery, cause=error_id, ball=Ball.PERSON, transport_due=None, held=None, failures=0, updated_at=now
    )


def _goes_out(delivery: Delivery) -> bool:
    """Say whether the transport side has anything left to do by itself."""
    return delivery.state.outcome is Outcome.OPEN and delivery.state.transport in (Transport.WAITING, Transport.SENT)


def _with_receipt_clock(delivery: Delivery, message: Message, policy: ReceiptPolicy) -> Delivery:
    if delivery.state.outcome is not Outcome.OPEN or delivery.state.receipt is not Receipt.AWAITED:
        return replace(delivery, receipt_due=None)
    return replace(delivery, receipt_due=next_receipt_step(delivery, message, policy).at)
