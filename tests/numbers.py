"""Synthetic fødselsnummer and D-numbers for tests, with valid check digits."""

from itertools import count

_K1 = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_K2 = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def number(
    day: int, month: int, year: int, *, added: int = 80, d_number: bool = False, remainder: int = 0, first: int = 100
) -> str:
    """Return the first number of that day whose check digits exist; `added` to the month makes it synthetic.

    `remainder` is what the sum with k1 leaves (0 before 2032, 0 to 3 after), `first` the lowest individual number.
    """
    for individual in count(first):
        digits = f"{day + 40 * d_number:02}{month + added:02}{year % 100:02}{individual}"
        k1 = (remainder - _weighed(_K1, digits)) % 11
        k2 = -_weighed(_K2, f"{digits}{k1}") % 11 if k1 < 10 else 10
        if k2 < 10:
            return f"{digits}{k1}{k2}"
    raise AssertionError


def unborn() -> str:
    """Return a number that is not synthetic and that nobody has: of a day in 2039."""
    return number(31, 12, 2039, added=0, first=500)


def _weighed(weights: tuple[int, ...], digits: str) -> int:
    return sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=True))
