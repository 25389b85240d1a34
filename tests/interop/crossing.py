"""Rows of options in which every two values of different options meet: far fewer than all combinations, and no less."""

import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

Options = Mapping[str, Sequence[Any]]
Row = dict[str, Any]
_Place = tuple[str, int]  # an option, and which of its values


def crossing(options: Options, *, at_least: int, seed: str) -> list[Row]:
    """Return rows of one value for each option: every pair of values is in one of them. The same for the same seed."""
    chance = random.Random(seed)
    rows: list[dict[str, int]] = []
    left = sorted(_pairs(options))
    missing = set(left)
    while missing or len(rows) < at_least:
        row: dict[str, int] = {}
        if missing:
            left = [pair for pair in left if pair in missing]
            row = dict(chance.choice(left))
        for name in chance.sample(sorted(options), len(options)):
            if name not in row:
                row[name] = max(
                    range(len(options[name])),
                    key=lambda value: (_gain(missing, row, (name, value)), chance.random()),
                )
        missing -= set(combinations(sorted(row.items()), 2))
        rows.append(row)
    return [{name: options[name][value] for name, value in sorted(row.items())} for row in rows]


def pairs_met(options: Options, rows: Sequence[Row]) -> tuple[int, int]:
    """Return how many pairs of values meet in the rows, and how many there are."""
    found: set[tuple[_Place, _Place]] = set()
    for row in rows:
        places = sorted((name, list(options[name]).index(value)) for name, value in row.items())
        found |= {(one, other) for one, other in combinations(places, 2)}
    return len(found), len(_pairs(options))


def _pairs(options: Options) -> set[tuple[_Place, _Place]]:
    return {
        ((one, i), (other, j))
        for one, other in combinations(sorted(options), 2)
        for i in range(len(options[one]))
        for j in range(len(options[other]))
    }


def _gain(missing: set[tuple[_Place, _Place]], row: Mapping[str, int], place: _Place) -> int:
    return sum(1 for other in row.items() if (min(other, place), max(other, place)) in missing)
