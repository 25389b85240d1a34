from datetime import date, timedelta

import pytest

from broker.validation.numbers import NEW_SERIES_FROM, NumberFacts, look_at
from tests.numbers import number, unborn

TODAY = date(2026, 11, 20)
SYNTHETIC = NumberFacts(possible=True, synthetic=True)
IMPOSSIBLE = NumberFacts(possible=False, synthetic=False)


@pytest.mark.parametrize("added", [80, 65, 40])
@pytest.mark.parametrize("d_number", [False, True])
@pytest.mark.parametrize(("day", "month"), [(1, 1), (31, 12), (29, 2)])
def test_the_synthetic_series_are_known_by_their_month(added: int, d_number: bool, day: int, month: int) -> None:
    assert look_at(number(day, month, 1987, added=added, d_number=d_number), on=TODAY) == SYNTHETIC


def test_a_number_without_anything_added_is_not_synthetic() -> None:
    assert look_at(unborn(), on=TODAY) == NumberFacts(possible=True, synthetic=False)


@pytest.mark.parametrize("place", range(11))
def test_one_wrong_digit_makes_it_impossible(place: int) -> None:
    right = number(14, 3, 1941)
    for digit in set("0123456789") - {right[place]}:
        assert look_at(right[:place] + digit + right[place + 1 :], on=TODAY) == IMPOSSIBLE


@pytest.mark.parametrize(("day", "month", "added"), [(30, 2, 80), (31, 4, 80), (0, 1, 80), (1, 0, 80), (1, 13, 80)])
def test_a_day_that_does_not_exist_makes_it_impossible(day: int, month: int, added: int) -> None:
    assert look_at(number(day, month, 1987, added=added), on=TODAY) == IMPOSSIBLE


def test_only_eleven_plain_digits_are_a_number() -> None:
    right = number(14, 3, 1941)
    for wrong in ("", right[:-1], f"{right}0", f" {right}", right.replace("1", "١"), right[:-1] + "x"):
        assert look_at(wrong, on=TODAY) == IMPOSSIBLE


@pytest.mark.parametrize("remainder", [1, 2, 3])
def test_the_new_series_is_possible_from_its_first_day(remainder: int) -> None:
    new = number(14, 3, 1941, remainder=remainder)
    assert look_at(new, on=NEW_SERIES_FROM - timedelta(days=1)) == IMPOSSIBLE
    assert look_at(new, on=NEW_SERIES_FROM) == SYNTHETIC


def test_the_old_series_stays_possible_and_no_other_remainder_does() -> None:
    assert look_at(number(14, 3, 1941), on=NEW_SERIES_FROM) == SYNTHETIC
    assert look_at(number(14, 3, 1941, remainder=4), on=NEW_SERIES_FROM) == IMPOSSIBLE
