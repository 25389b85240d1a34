"""Which deliveries are a problem, which are one and the same, and in which order people see them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.diagnosis.problems import (
    COLLECTED_WITHIN,
    ProblemKey,
    Tally,
    Uncollected,
    alike,
    key_of,
    problems,
    read_key,
    tally,
)
from broker.lifecycle import Outcome, Receipt, State, StopPoint, Transport
from broker.message import Ball
from tests.store import values

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def alike_ones(**given: Any) -> Tally:
    told: dict[str, Any] = {
        "state": State(
            transport=Transport.SENT, receipt=Receipt.AWAITED, outcome=Outcome.OPEN, stop_point=StopPoint.K5
        ),
        "cause": "MB-3210",
        "ball": Ball.PARTNER,
        "counterpart": 8000301,
        "old": True,
        "alarmed": False,
        "count": 1,
        "oldest": NOW - HOUR,
        "next_at": NOW + HOUR,
    }
    return Tally(**told | given)


def test_ten_thousand_that_stand_alike_are_one_problem() -> None:
    found = problems(
        [alike_ones(count=9_999), alike_ones(old=False, oldest=NOW - 3 * HOUR, next_at=NOW + 2 * HOUR)], now=NOW
    )
    (one,) = found
    assert str(one.key) == "K5:MB-3210:8000301"
    assert (one.count, one.oldest, one.next_at) == (10_000, NOW - 3 * HOUR, NOW + HOUR)
    assert one.name.nb
    assert one.name.en
    assert one.act is not None


@pytest.mark.parametrize(
    "other",
    [
        {"counterpart": 8000302},
        {"cause": "MB-3202"},
        {"state": replace(alike_ones().state, stop_point=StopPoint.K4)},
    ],
)
def test_another_counterpart_cause_or_stop_point_is_another_problem(other: dict[str, Any]) -> None:
    assert len(problems([alike_ones(), alike_ones(**other)], now=NOW)) == 2


@pytest.mark.parametrize(
    ("given", "troubled"),
    [
        ({"cause": "MB-3206", "old": False}, False),
        ({"cause": "MB-3206", "old": True}, True),
        ({"cause": "MB-3400", "old": True, "alarmed": False}, False),
        ({"cause": "MB-3400", "old": True, "alarmed": True}, True),
        ({"cause": "MB-3202", "old": False}, True),
        ({"cause": "MB-3206", "old": False, "ball": Ball.PERSON}, True),
    ],
)
def test_what_only_waits_as_it_should_is_no_problem(given: dict[str, Any], troubled: bool) -> None:
    assert bool(problems([alike_ones(**given)], now=NOW)) is troubled


def test_what_waits_for_a_person_comes_first_and_then_the_oldest() -> None:
    found = problems(
        [
            alike_ones(counterpart=1, oldest=NOW - 2 * HOUR),
            alike_ones(counterpart=2, oldest=NOW - 3 * HOUR),
            alike_ones(counterpart=3, ball=Ball.PERSON, oldest=NOW - HOUR),
        ],
        now=NOW,
    )
    assert [each.key.counterpart for each in found] == [3, 2, 1]


def test_a_group_needs_a_person_where_one_of_it_does() -> None:
    (one,) = problems([alike_ones(), alike_ones(ball=Ball.PERSON)], now=NOW)
    assert one.ball is Ball.PERSON


def test_an_epj_that_does_not_collect_is_a_problem_after_a_while() -> None:
    in_time = Uncollected(her=8000201, stop_point=StopPoint.M6, count=3, oldest=NOW - COLLECTED_WITHIN)
    assert problems([], [in_time], now=NOW) == ()
    (late,) = problems([], [in_time], now=NOW + timedelta(seconds=1))
    assert (late.key.stop_point, late.key.counterpart, late.count, late.ball) == (StopPoint.M6, 8000201, 3, Ball.EPJ)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("K4:MB-3202:8000123", ProblemKey(stop_point=StopPoint.K4, error_id="MB-3202", counterpart=8000123)),
        (" k4:mb-3202:8000123\n", ProblemKey(stop_point=StopPoint.K4, error_id="MB-3202", counterpart=8000123)),
        ("K2:-:8000123", ProblemKey(stop_point=StopPoint.K2, error_id=None, counterpart=8000123)),
        ("K9:MB-3202:8000123", None),
        ("K4:MB-3202:x", None),
        ("K4:MB-3202", None),
        ("", None),
    ],
)
def test_a_problem_is_named_by_what_its_messages_have_in_common(text: str, key: ProblemKey | None) -> None:
    assert read_key(text) == key
    if key is not None:
        assert read_key(str(key)) == key


def test_one_delivery_and_its_tally_belong_to_the_same_group() -> None:
    one = values.message(values.body(), at=NOW)
    delivery = values.delivery(one, cause="MB-3202")
    counted = tally(delivery, one, now=NOW)
    assert counted.key == key_of(delivery)
    assert alike([counted, counted]) == {counted.key: 2}
