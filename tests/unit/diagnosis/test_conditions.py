"""Alarms that belong to no message: when they hold, and when not."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from broker.diagnosis import CAUSES, causes
from broker.diagnosis.conditions import Condition, Facts, Term, conditions, silent, weekday_time

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
GB = 10**9
PARTNER = 8000201


def found(**more: object) -> list[tuple[str, str]]:
    values: dict[str, object] = {"now": NOW, "free": 100 * GB, "reserve": GB}
    return [(one.error_id, one.about) for one in conditions(Facts(**(values | more)))]  # type: ignore[arg-type]  # names


def test_all_is_well() -> None:
    own = Term(whose="900000101", own=True, ends=NOW + 31 * DAY)
    partner = Term(whose="8000201", own=False, ends=NOW + 15 * DAY)
    near = {"a": timedelta(seconds=100), "b": timedelta(seconds=-100)}
    assert found(terms=(own, partner), offsets=near) == []


@pytest.mark.parametrize(("free", "expected"), [(GB - 1, "MB-6003"), (GB, "MB-6005"), (4 * GB - 1, "MB-6005")])
def test_a_disk_that_fills(free: int, expected: str) -> None:
    assert found(free=free) == [(expected, "")]


def test_our_clock_is_compared_with_most_partners() -> None:
    late = timedelta(minutes=-10)
    assert found(offsets={"a": late}) == [(causes.CLOCK_OFF, "")]
    assert found(offsets={"a": late, "b": timedelta(), "c": HOUR}) == []
    assert found(offsets={"a": late, "b": late, "c": timedelta()}) == [(causes.CLOCK_OFF, "")]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (Term(whose="1", own=True, ends=NOW + 29 * DAY), causes.OWN_EXPIRES_SOON),
        (Term(whose="1", own=True, ends=NOW - HOUR), causes.OWN_EXPIRED),
        (Term(whose="1", own=True, ends=None, error_id=causes.OWN_MISSING), causes.OWN_MISSING),
        (Term(whose="1", own=False, ends=NOW + 13 * DAY), causes.PARTNER_EXPIRES_SOON),
        (Term(whose="1", own=False, ends=NOW - HOUR), causes.PARTNER_EXPIRED),
    ],
)
def test_a_certificate_that_ends(term: Term, expected: str) -> None:
    assert found(terms=(term,)) == [(expected, "1")]


def test_bad_files_held_senders_and_resting_hosts() -> None:
    later = NOW + HOUR
    told = found(bad_files=("x.toml",), held={PARTNER: later}, resting={"https://x": later})
    assert told == [("MB-3215", "https://x"), ("MB-3501", "8000201"), ("MB-9001", "x.toml")]


def test_an_alarm_says_what_it_is_in_both_languages() -> None:
    (alarm,) = conditions(Facts(now=NOW, free=0, reserve=GB))
    assert (alarm.cause, alarm.act, alarm.ball) == (CAUSES["MB-6003"].name, CAUSES["MB-6003"].act, "person")
    assert alarm.sentence.nb == "Disken til lageret er full; ingenting nytt tas imot: 0 MB."
    assert alarm.sentence.en == "The disk of the store is full; nothing new is taken: 0 MB."


# --- silence ---


def office_hours(days: int, *, begin: datetime = MONDAY) -> list[datetime]:
    """Every second hour from 7 to 15 UTC on weekdays."""
    dates = [begin + day * DAY for day in range(days)]
    return [date + hour * HOUR for date in dates if date.weekday() < 5 for hour in (7, 9, 11, 13, 15)]


def quiet(times: list[datetime], now: datetime) -> tuple[Condition, ...]:
    return silent({PARTNER: times}, now, tz=UTC)


def test_a_night_and_a_weekend_are_no_silence() -> None:
    times = office_hours(12)  # until Friday 13 November at 15
    assert quiet(times, datetime(2026, 11, 16, 8, tzinfo=UTC)) == ()
    assert quiet(times, datetime(2026, 11, 16, 23, tzinfo=UTC)) == ()


def test_two_days_without_a_word_are() -> None:
    times = office_hours(12)
    (alarm,) = quiet(times, datetime(2026, 11, 17, 16, tzinfo=UTC))
    assert (alarm.error_id, alarm.about, alarm.since) == (causes.PARTNER_SILENT, str(PARTNER), times[-1])


def test_who_never_had_a_habit_is_never_silent() -> None:
    assert quiet(office_hours(4), NOW) == ()
    assert quiet([], NOW) == ()
    assert quiet(office_hours(12, begin=MONDAY - 60 * DAY), NOW) == ()  # it ended long ago: someone has been told


def test_one_outage_teaches_nothing() -> None:
    times = [time for time in office_hours(19) if not 4 <= time.day <= 10]  # silent for a week once
    assert quiet(times, datetime(2026, 11, 24, 16, tzinfo=UTC)) != ()


def test_a_partner_that_sends_seldom_may_be_silent_longer() -> None:
    weekly = [MONDAY - 21 * DAY + week * 7 * DAY + hour * HOUR for week in range(6) for hour in (8, 9)]
    assert quiet(weekly[:8], MONDAY + 7 * DAY) == ()


def test_weekday_time_leaves_out_the_weekend() -> None:
    friday = datetime(2026, 11, 6, 12, tzinfo=UTC)
    assert weekday_time(friday, friday + 3 * DAY, UTC) == DAY
    oslo = ZoneInfo("Europe/Oslo")
    assert weekday_time(datetime(2026, 10, 23, 22, tzinfo=UTC), datetime(2026, 10, 26, 0, tzinfo=UTC), oslo) == HOUR
    assert weekday_time(NOW, NOW, UTC) == timedelta()
