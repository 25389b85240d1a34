"""The two clocks."""

from datetime import timedelta

import pytest

from broker.retry import (
    BackOff,
    Chase,
    GiveUp,
    Next,
    ReceiptPolicy,
    ReceiptStep,
    Resend,
    after_copy,
    back_off,
    chases_behind,
    receipt_step,
)
from tests.unit.values import START

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def copy(copies: int, *, retries: int = 3, persist: timedelta = timedelta(days=2)) -> Resend | GiveUp:
    return after_copy(copies=copies, retries=retries, interval=5 * MINUTE, now=START, persist_until=START + persist)


def test_retries_are_resends_so_three_put_four_copies_on_the_wire() -> None:
    assert [type(copy(count)) for count in (1, 2, 3, 4)] == [Resend, Resend, Resend, GiveUp]


def test_the_last_copy_gets_its_full_interval_too() -> None:
    assert copy(4) == GiveUp(START + 5 * MINUTE)


def test_nothing_is_sent_again_after_persist_duration() -> None:
    assert copy(1, persist=3 * MINUTE) == GiveUp(START + 3 * MINUTE)


def test_the_back_off_doubles_up_to_its_most_and_never_overflows() -> None:
    policy = BackOff(first=timedelta(seconds=30), most=15 * MINUTE)
    waits = [back_off(policy, failures, 0.0) for failures in (1, 2, 3, 6, 100_000)]
    assert waits == [timedelta(seconds=30), MINUTE, 2 * MINUTE, 15 * MINUTE, 15 * MINUTE]


def test_jitter_takes_at_most_a_quarter() -> None:
    assert back_off(BackOff(first=40 * MINUTE, most=40 * MINUTE), 1, 1.0) == 30 * MINUTE


@pytest.mark.parametrize(
    ("alarms", "chases", "chasing", "expected"),
    [
        (0, 0, False, Next(ReceiptStep.ALARM, START + 15 * MINUTE)),
        (1, 0, False, Next(ReceiptStep.ALARM, START + 4 * HOUR)),
        (3, 0, False, Next(ReceiptStep.DEADLINE, START + 96 * HOUR)),
        (3, 0, True, Next(ReceiptStep.CHASE, START + 24 * HOUR)),
        (3, 1, True, Next(ReceiptStep.CHASE, START + 48 * HOUR)),
        (3, 3, True, Next(ReceiptStep.DEADLINE, START + 96 * HOUR)),
    ],
)
def test_the_receipt_clock_takes_the_earliest_step_that_is_ahead(
    alarms: int, chases: int, chasing: bool, expected: Next
) -> None:
    step = receipt_step(ReceiptPolicy(), custody=START, alarms=alarms, chases=chases, chasing=chasing)
    assert step == expected


def test_a_policy_without_chase_never_chases() -> None:
    step = receipt_step(ReceiptPolicy(chase=Chase.NONE), custody=START, alarms=3, chases=0, chasing=True)
    assert step.step is ReceiptStep.DEADLINE


def test_chase_hours_that_have_passed_are_skipped_not_made_up() -> None:
    assert [chases_behind(ReceiptPolicy(), custody=START, now=START + hours * HOUR) for hours in (1, 24, 50, 99)] == [
        0,
        1,
        2,
        3,
    ]
