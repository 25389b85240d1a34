"""A sender whose ciphertexts keep not opening is held, for an hour and by itself."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.holds import LIMIT, SPAN, Holds

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HER, OTHER = 8000101, 8000201


def fail(holds: Holds, times: int, *, at: datetime = NOW, every: timedelta = timedelta(0)) -> datetime | None:
    """Count so many that did not open, and return what the last of them brought."""
    end = None
    for number in range(times):
        end = holds.failed(HER, at + number * every)
    return end


def test_twenty_in_an_hour_hold_nobody() -> None:
    holds = Holds()
    assert fail(holds, LIMIT) is None
    assert holds.until(HER, NOW) is None


def test_one_more_than_twenty_holds_the_sender_for_an_hour_and_nobody_else() -> None:
    holds = Holds()
    assert fail(holds, LIMIT + 1) == NOW + SPAN
    assert holds.until(HER, NOW + SPAN - timedelta(microseconds=1)) == NOW + SPAN
    assert holds.all(NOW) == {HER: NOW + SPAN}
    assert holds.all(NOW + SPAN) == {}
    assert holds.until(HER, NOW + SPAN) is None
    assert holds.until(OTHER, NOW) is None


@pytest.mark.parametrize(("every", "held"), [(SPAN / LIMIT, False), (SPAN / LIMIT - timedelta(seconds=1), True)])
def test_what_lies_an_hour_back_counts_no_more(every: timedelta, held: bool) -> None:
    assert (fail(Holds(), LIMIT + 1, every=every) is not None) is held


def test_after_a_hold_the_count_begins_anew() -> None:
    holds = Holds()
    fail(holds, LIMIT + 1)
    later = NOW + SPAN
    assert fail(holds, LIMIT, at=later) is None
    assert holds.failed(HER, later) == later + SPAN


def test_a_sender_that_fails_for_ever_is_remembered_in_bounded_room() -> None:
    holds = Holds()
    fail(holds, 1000, every=SPAN)
    assert [len(lately) for lately in holds._failed.values()] == [LIMIT + 1]
