"""What each event means for a delivery's clocks, ball and cause."""

from dataclasses import replace
from datetime import timedelta

import pytest

from broker import progress
from broker.diagnosis import causes
from broker.errors import Unaddressable
from broker.lifecycle import IllegalMove, Outcome, Receipt, StopPoint, Transport
from broker.message import Ball, Code, Delivery, Held, Owed, PartyRef, Verdict
from broker.retry import BackOff, Chase, ReceiptPolicy, ReceiptStep
from tests.unit.values import START, delivery, envelope, message

POLICY = ReceiptPolicy()
PACE = BackOff()
HOUR = timedelta(hours=1)
E31 = Code(code="E31", oid="2.16.578.1.12.4.1.1.8221", text="")
X99 = Code(code="X99", oid="2.16.578.1.12.4.1.1.8221", text="")


def begun(owed: Owed = Owed.ALWAYS) -> Delivery:
    return progress.begin(
        id="d-1", message=message(owed=owed), receiver=PartyRef(her=8000201, organisation_her=8000200), policy=POLICY
    )


def sealed() -> Delivery:
    return progress.sealed(begun(), envelope(), now=START)


def sent(copies: int = 1) -> Delivery:
    return progress.sent(sealed(), envelope(copies=copies), now=START)


def acknowledged(after: timedelta = timedelta()) -> Delivery:
    return progress.acknowledged(sent(), message(), POLICY, now=START + after)


def test_custody_starts_both_clocks() -> None:
    fresh = begun()
    assert (fresh.transport_due, fresh.receipt_due) == (START, START + timedelta(minutes=15))
    assert fresh.due == START
    assert fresh.state.stop_point is StopPoint.K2


def test_a_message_that_is_owed_no_receipt_has_no_receipt_clock() -> None:
    assert begun(Owed.NEVER).receipt_due is None
    assert begun(Owed.NEVER).state.receipt is Receipt.NOT_OWED


def test_what_is_parked_keeps_its_stop_point_and_looks_again_by_itself() -> None:
    parked = progress.parked(
        begun(), Unaddressable("no agreement", error_id="MB-2002"), addressed=False, pace=PACE, jitter=0.0, now=START
    )
    assert (parked.state.stop_point, parked.cause, parked.ball) == (StopPoint.K2, "MB-2002", Ball.PERSON)
    assert parked.transport_due == START + timedelta(seconds=30)
    own_key = progress.parked(
        parked, Unaddressable("no key", error_id="MB-4104"), addressed=True, pace=PACE, jitter=0.0, now=START
    )
    assert own_key.state.stop_point is StopPoint.K3
    assert own_key.transport_due == START + timedelta(minutes=1)


def test_a_copy_waits_for_its_acknowledgment_and_the_last_one_then_gives_up() -> None:
    assert sent(1).transport_due == START + timedelta(minutes=5)
    last = sent(4)
    assert last.transport_due == START + timedelta(minutes=5)
    assert progress.copies_used_up(envelope(copies=4), now=START)
    assert not progress.copies_used_up(envelope(copies=3), now=START)
    gone = progress.abandoned(last, now=START + timedelta(minutes=5))
    assert (gone.state.transport, gone.state.outcome, gone.ball) == (Transport.ABANDONED, Outcome.OPEN, Ball.PERSON)
    assert gone.transport_due is None
    assert gone.receipt_due is not None  # a late receipt is still waited for


def test_persist_duration_ends_the_copies_whatever_is_left_of_them() -> None:
    assert progress.copies_used_up(envelope(copies=1), now=START + timedelta(days=2))


def test_a_failure_that_nobody_can_have_read_spends_nothing() -> None:
    failed = progress.failed(sealed(), causes.NOT_REACHED, pace=PACE, jitter=0.0, now=START)
    assert failed.state.transport is Transport.WAITING
    assert failed.transport_due == START + timedelta(seconds=30)


def test_an_acknowledgment_that_overtook_the_record_of_our_copy_stands() -> None:
    first = progress.acknowledged(sealed(), message(), POLICY, now=START)
    then = progress.sent(first, envelope(copies=1), now=START)
    assert then.state.transport is Transport.ACKNOWLEDGED
    assert then.transport_due is None
    late = progress.failed(first, causes.TIMED_OUT_AFTER, pace=PACE, jitter=0.0, now=START)
    assert late.transport_due is None
    assert late.cause is None


def test_an_acknowledgment_stops_resends_and_lets_the_receipt_be_chased() -> None:
    acked = acknowledged()
    assert acked.transport_due is None
    assert acked.state.outcome is Outcome.OPEN
    alarmed = replace(acked, alarms=3)
    step = progress.next_receipt_step(alarmed, message(), POLICY)
    assert (step.step, step.at) == (ReceiptStep.CHASE, START + 24 * HOUR)


def test_chase_hours_before_the_acknowledgment_are_skipped() -> None:
    assert acknowledged(after=50 * HOUR).chases == 2


def test_without_a_receipt_owed_the_acknowledgment_completes() -> None:
    done = progress.acknowledged(begun(Owed.NEVER), message(owed=Owed.NEVER), POLICY, now=START)
    assert done.state.outcome is Outcome.COMPLETED
    assert done.due is None


def test_a_refusal_stops_every_clock_and_a_late_receipt_still_completes() -> None:
    refused = progress.refused(sent(), causes.MESSAGE_ERROR, now=START)
    assert (refused.due, refused.ball) == (None, Ball.PERSON)
    late = progress.receipted(refused, Verdict.OK, (), receipt_message="m-2", now=START)
    assert late.state.outcome is Outcome.COMPLETED


def test_a_chase_makes_a_new_envelope_and_keeps_receipt_state_and_stop_point() -> None:
    due = replace(acknowledged(), alarms=3)
    chased = progress.clock_struck(due, message(), POLICY, ReceiptStep.CHASE, now=START + 24 * HOUR)
    assert (chased.envelope, chased.chases, chased.state.transport) == (None, 1, Transport.WAITING)
    assert (chased.state.receipt, chased.state.stop_point) == (Receipt.AWAITED, StopPoint.K6)
    assert chased.transport_due == START + 24 * HOUR


def test_where_a_person_asks_the_chase_sends_nothing() -> None:
    policy = ReceiptPolicy(chase=Chase.ASK)
    asked = progress.clock_struck(acknowledged(), message(), policy, ReceiptStep.CHASE, now=START + 24 * HOUR)
    assert (asked.state.transport, asked.ball, asked.cause) == (
        Transport.ACKNOWLEDGED,
        Ball.PERSON,
        causes.ASK_THE_RECEIVER,
    )


def test_the_deadline_makes_it_overdue_for_the_epj_and_a_late_receipt_completes_as_late() -> None:
    overdue = progress.clock_struck(acknowledged(), message(), POLICY, ReceiptStep.DEADLINE, now=START + 96 * HOUR)
    assert (overdue.state.receipt, overdue.ball, overdue.due) == (Receipt.OVERDUE, Ball.EPJ, None)
    assert overdue.state.outcome is Outcome.OPEN
    late = progress.receipted(overdue, Verdict.OK, (), receipt_message="m-2", now=START + 99 * HOUR)
    assert (late.state.outcome, late.late) == (Outcome.COMPLETED, True)


def test_a_receipt_owed_on_error_only_lapses_at_the_deadline() -> None:
    quiet = progress.clock_struck(
        acknowledged(), message(owed=Owed.ON_ERROR), POLICY, ReceiptStep.DEADLINE, now=START + 96 * HOUR
    )
    assert (quiet.state.receipt, quiet.state.outcome) == (Receipt.NOT_OWED, Outcome.COMPLETED)


def test_we_have_it_already_is_no_verdict_but_only_once_and_only_after_a_chase() -> None:
    before = acknowledged()
    assert not progress.says_duplicate(before, Verdict.REJECTED, (X99,), POLICY)
    # Hours that were only skipped are no chase: nothing was sent anew.
    assert not progress.says_duplicate(replace(before, chases=2), Verdict.REJECTED, (X99,), POLICY)
    chased = replace(before, renewals=1)
    assert progress.says_duplicate(chased, Verdict.REJECTED, (X99,), POLICY)
    assert not progress.says_duplicate(chased, Verdict.REJECTED, (X99, E31), POLICY)
    assert not progress.says_duplicate(chased, Verdict.REJECTED, (), POLICY)
    assert not progress.says_duplicate(chased, Verdict.OK, (), POLICY)
    asked = progress.duplicate_word(chased, now=START)
    assert (asked.state, asked.ball, asked.receipt_due) == (chased.state, Ball.PERSON, None)
    assert not progress.says_duplicate(asked, Verdict.REJECTED, (X99,), POLICY)


def test_the_first_verdict_decides() -> None:
    decided = progress.receipted(acknowledged(), Verdict.REJECTED, (E31,), receipt_message="m-2", now=START)
    assert decided.state.outcome is Outcome.REJECTED
    assert progress.repeats(decided, Verdict.REJECTED, (E31,))
    assert not progress.repeats(decided, Verdict.REJECTED, (X99,))
    assert not progress.repeats(decided, Verdict.OK, ())
    assert not progress.may_be_receipted(decided, Verdict.OK)
    with pytest.raises(IllegalMove):
        progress.receipted(decided, Verdict.OK, (), receipt_message="m-3", now=START)
    marked = progress.contradicted(decided, now=START)
    assert (marked.state, marked.cause) == (decided.state, causes.RECEIPT_CONTRADICTS)


def test_the_causes_that_progress_names_are_those_of_the_catalogue() -> None:
    assert progress.WAITS_FOR_ACKNOWLEDGMENT == causes.ACKNOWLEDGMENT_AWAITED
    assert progress.GAVE_UP == causes.GAVE_UP
    assert progress.REJECTED == causes.RECEIPT_REJECTED
    assert progress.OVERDUE == causes.RECEIPT_OVERDUE
    assert progress.SAYS_DUPLICATE == causes.RECEIPT_SAYS_DUPLICATE
    assert progress.HELD_BY_ASKING == causes.ASK_THE_RECEIVER


def test_a_fresh_delivery_starts_where_the_lifecycle_says() -> None:
    assert delivery().state == begun().state


def test_a_copy_that_fails_after_the_receipt_sets_no_clock_going() -> None:
    done = progress.receipted(sent(), Verdict.OK, (), receipt_message="r-1", now=START)
    assert progress.failed(done, "MB-3202", pace=PACE, jitter=0.0, now=START).due is None


def test_a_hold_stops_the_transport_clock_alone_and_survives_every_step() -> None:
    held = progress.held_back(sent(), Held.DELIVERY, now=START)
    assert (held.transport_due, held.receipt_due) == (None, sent().receipt_due)
    steps = [
        progress.sent(held, envelope(copies=2), now=START),
        progress.failed(held, "MB-3202", pace=PACE, jitter=0.0, now=START),
        progress.clock_struck(held, message(), POLICY, ReceiptStep.ALARM, now=START),
        progress.clock_struck(held, message(), POLICY, ReceiptStep.DEADLINE, now=START),
        progress.sealed(progress.held_back(begun(), Held.PARTNER, now=START), envelope(), now=START),
    ]
    assert {(step.cause, step.ball, step.transport_due) for step in steps} == {("MB-5001", Ball.PERSON, None)}


def test_a_hold_ends_where_nothing_is_left_to_hold() -> None:
    held = progress.held_back(sent(), Held.DELIVERY, now=START)
    ends = [
        progress.acknowledged(held, message(), POLICY, now=START),
        progress.refused(held, "MB-3212", now=START),
        progress.abandoned(held, now=START),
        progress.receipted(held, Verdict.OK, (), receipt_message="r-1", now=START),
        progress.closed(held, message(), "by telephone", now=START),
        progress.held_back(acknowledged(), Held.DELIVERY, now=START),
    ]
    assert [end.held for end in ends] == [None] * len(ends)
    assert progress.refused(held, "MB-3212", now=START).cause == "MB-3212"
