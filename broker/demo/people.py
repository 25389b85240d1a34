"""Synthetic persons, and the numbers that belong to them. Nobody here exists.

A synthetic fødselsnummer has 80 added to its month, as in the national test register; its check digits are right.
"""

from dataclasses import dataclass
from datetime import date

_FIRST_WEIGHTS = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_SECOND_WEIGHTS = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
SYNTHETIC_MONTH = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Someone that a document is about, or who writes it."""

    given: str
    family: str
    born: date
    number: str  # fødselsnummer, 11 digits
    phone: str  # digits


def synthetic_number(born: date, serial: int) -> str:
    """Return the first valid synthetic fødselsnummer of a person born on `born`, counting up from `serial` (0..499).

    Raises ValueError where the day has no valid number left at or above `serial`.
    """
    # Individual numbers 500-999 belong to births of 2000-2039, 000-499 to those of 1900-1999.
    century = 500 if born.year >= 2000 else 0
    day = f"{born.day:02}{born.month + SYNTHETIC_MONTH:02}{born.year % 100:02}"
    for individual in range(serial, 500):
        number = _with_check_digits(f"{day}{century + individual:03}")
        if number is not None:
            return number
    raise ValueError(f"no valid number at or above {serial} for that day")


def spoiled(number: str) -> str:
    """Return `number` with its last check digit wrong: what a slip of the finger makes."""
    return number[:-1] + str((int(number[-1]) + 1) % 10)


def _with_check_digits(nine: str) -> str | None:
    """Return the number with both check digits (modulo 11), or None where a digit would have to be 10."""
    first = _check_digit(nine, _FIRST_WEIGHTS)
    if first is None:
        return None
    second = _check_digit(f"{nine}{first}", _SECOND_WEIGHTS)
    return None if second is None else f"{nine}{first}{second}"


def _check_digit(digits: str, weights: tuple[int, ...]) -> int | None:
    remainder = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11
    digit = 0 if remainder == 0 else 11 - remainder
    return None if digit == 10 else digit


def _person(given: str, family: str, born: date, serial: int, phone: str) -> Person:
    return Person(given=given, family=family, born=born, number=synthetic_number(born, serial), phone=phone)


AASE = _person("Åse", "Bjørkelund", date(1941, 3, 17), 120, "99900101")
KARE = _person("Kåre", "Sæterøy", date(1936, 11, 2), 310, "99900102")
DAUGHTER = _person("Ingrid", "Bjørkelund Næss", date(1968, 7, 29), 44, "99900103")
STRANGER = _person("Øystein", "Fjærvik", date(1952, 1, 8), 205, "99900104")
NURSE = _person("Guro", "Håvardstad", date(1984, 5, 30), 12, "99900105")
