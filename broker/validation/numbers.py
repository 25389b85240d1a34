"""Fødselsnummer and D-number: is the number possible, and is it synthetic? It decides nothing else about a person.

Eleven digits: day, month, year, individual number, two check digits (k1 over nine digits, k2 over ten, both mod 11).
A D-number has 40 added to its day. A synthetic number has 80, 65 or 40 added to its month: the test series of
Skatteetaten, of NHN and of Dolly. Nothing here is ever shown: a number goes in, a verdict comes out.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date

_K1 = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)  # the last weight is that of the check digit itself
_K2 = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
_SYNTHETIC_MONTHS = (80, 65, 40)
_D_NUMBER_DAY = 40
_LEAP_YEAR = 2000  # which century a number is of, is not told by all series: 29 February is let through

# From this day numbers are given out whose k1 sum leaves 1, 2 or 3 as well as 0; the old ones stay valid
# (skatteetaten.no, nytt fødselsnummer 2032). That it is k1 alone is our reading.
NEW_SERIES_FROM = date(2032, 1, 1)
_OLD_REMAINDERS = frozenset({0})
_NEW_REMAINDERS = frozenset({0, 1, 2, 3})


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """What a number is. A number that is not possible is not synthetic either."""

    possible: bool
    synthetic: bool


def look_at(number: str, *, on: date) -> NumberFacts:
    """Return whether `number` can be a fødselsnummer or D-number on the day `on`, and whether it is synthetic."""
    if len(number) != 11 or not (number.isascii() and number.isdecimal()):
        return NumberFacts(possible=False, synthetic=False)
    digits = tuple(map(int, number))
    month = int(number[2:4])
    added = next((added for added in _SYNTHETIC_MONTHS if month > added), 0)
    possible = _check_digits_hold(digits, on) and _day_exists(int(number[:2]), month - added)
    return NumberFacts(possible=possible, synthetic=possible and added > 0)


def _check_digits_hold(digits: tuple[int, ...], on: date) -> bool:
    remainders = _NEW_REMAINDERS if on >= NEW_SERIES_FROM else _OLD_REMAINDERS
    first = sum(weight * digit for weight, digit in zip(_K1, digits[:10], strict=True)) % 11
    second = sum(weight * digit for weight, digit in zip(_K2, digits, strict=True)) % 11
    return first in remainders and second == 0


def _day_exists(day: int, month: int) -> bool:
    real_day = day - _D_NUMBER_DAY if day > _D_NUMBER_DAY else day
    return 1 <= month <= 12 and 1 <= real_day <= monthrange(_LEAP_YEAR, month)[1]
