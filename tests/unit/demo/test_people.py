"""The persons of the demo are synthetic and their numbers are right."""

from datetime import date

import pytest

from broker.demo import people
from broker.demo.people import Person, spoiled, synthetic_number

PERSONS = [value for value in vars(people).values() if isinstance(value, Person)]


def holds(number: str) -> bool:
    """Check both digits the other way round: with the check digit's own weight 1, each sum is divisible by 11."""
    digits = [int(digit) for digit in number]
    first = sum(d * w for d, w in zip(digits[:10], (3, 7, 6, 1, 8, 9, 4, 5, 2, 1), strict=True))
    second = sum(d * w for d, w in zip(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1), strict=True))
    return first % 11 == 0 and second % 11 == 0


@pytest.mark.parametrize("person", PERSONS, ids=lambda person: person.given)
def test_a_person_has_a_synthetic_number_of_the_right_day_with_right_check_digits(person: Person) -> None:
    assert len(person.number) == 11
    assert int(person.number[2:4]) == person.born.month + 80
    assert int(person.number[:2]) == person.born.day
    assert holds(person.number)


def test_no_two_persons_share_a_number() -> None:
    assert len({person.number for person in PERSONS}) == len(PERSONS) >= 5


def test_every_serial_of_a_day_gives_a_number_that_holds() -> None:
    numbers = {synthetic_number(date(2001, 2, 3), serial) for serial in range(450)}
    assert len(numbers) > 300
    assert all(holds(number) for number in numbers)


def test_a_serial_beyond_the_last_is_an_error() -> None:
    with pytest.raises(ValueError, match="no valid number"):
        synthetic_number(date(1950, 1, 1), 500)


def test_a_spoiled_number_does_not_hold() -> None:
    assert not any(holds(spoiled(person.number)) for person in PERSONS)
