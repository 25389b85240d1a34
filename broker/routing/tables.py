"""TOML text to values: every mistake named by file and line, or by file and key, together with the right form.

It knows no key of any file. A key that nobody asked for is a mistake too: a misspelt one would silently do nothing.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, NoReturn, TypeVar

from broker.errors import Misconfigured

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

MAX_INT32 = 2**31 - 1  # the type of a HER-id in the address registry's own schema

_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?)?")


def read_toml(text: str, *, source: str) -> "Table":
    """Return the table of a whole file. Raises Misconfigured with the line of a syntax error."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        said = str(fault)
        line = re.search(r"at line (\d+)", said)
        where = f"{source}, line {line[1] if line else len(text.splitlines()) or 1}"  # or it stops at the end
        what = re.sub(r" ?\(at .*\)$", "", said)
        raise Misconfigured(f"not TOML: {what}", where=where, hint="see https://toml.io for the syntax") from None
    except RecursionError:
        raise Misconfigured("not TOML: nested too deeply", where=source, hint="no file here nests deeply") from None
    return Table(values, source=source)


def duration(value: str) -> timedelta | None:
    """Return an ISO 8601 duration of weeks, days, hours, minutes and seconds, or None where it is not one.

    Years and months are left out: they have no fixed length.
    """
    found = _DURATION.fullmatch(value)
    if found is None or not any(found.groups()):
        return None
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:5])
    micros = int((found[6] or "0").ljust(6, "0"))
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=micros)
    except OverflowError:
        return None


class Table:
    """One table of a file. Each key is asked for once, by its type; `done` refuses what is left."""

    def __init__(
        self, values: Mapping[str, Any], *, source: str, path: str = "", elsewhere: Mapping[str, str] | None = None
    ) -> None:
        self._values, self._source, self._path = dict(values), source, path
        self._elsewhere = dict(elsewhere or {})  # keys that stand under another path than this table's
        self._asked: set[str] = set()

    def over(self, defaults: "Table") -> "Table":
        """Return this table with what it lacks taken from `defaults`; a mistake there is still named there."""
        lacking = {key: value for key, value in defaults._values.items() if key not in self._values}
        return Table(
            {**lacking, **self._values},
            source=self._source,
            path=self._path,
            elsewhere={key: defaults._at(key) for key in lacking},
        )

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not empty, unless the default is."""
        return self._get(key, default, 'a text, such as key = "text"', _text_or(default))

    def whole(self, key: str, default: int | None = None, *, least: int = 0, most: int = MAX_INT32) -> int:
        """Return a whole number from `least` to `most`, both included."""
        form = f"a whole number from {least} to {most}, without quotes"
        return self._get(key, default, form, lambda value: _whole(value, least, most))

    def wholes(self, key: str, *, least: int = 0, most: int = MAX_INT32) -> tuple[int, ...]:
        """Return a list of whole numbers from `least` to `most`, both included."""
        form = f"a list of whole numbers from {least} to {most}, such as [{least}, {least + 1}]"
        return self._get(key, None, form, lambda value: _wholes(value, least, most))

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        return self._get(key, default, "true or false", lambda value: value if isinstance(value, bool) else None)

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a list of texts, each once."""
        return self._get(key, default, 'a list of different texts, such as ["a", "b"]', _texts)

    def choice(self, key: str, kind: type[E], default: E | None = None) -> E:
        """Return one of the values of `kind`."""
        form = "one of " + ", ".join(f'"{member.value}"' for member in kind)
        return self._get(key, default, form, lambda value: _member(kind, value))

    def choice_or_none(self, key: str, kind: type[E]) -> E | None:
        """Return one of the values of `kind`, or None where the key is missing."""
        self._asked.add(key)
        return self.choice(key, kind) if key in self._values else None

    def day(self, key: str) -> date:
        """Return a day."""
        return self._get(key, None, "a day, without quotes, such as 2027-06-30", _day)

    def duration(self, key: str, default: timedelta | None = None) -> timedelta:
        """Return a duration that is longer than zero."""
        return self._get(key, default, 'an ISO 8601 duration longer than zero, such as "PT15M"', _positive)

    def durations(self, key: str, default: tuple[timedelta, ...] | None = None) -> tuple[timedelta, ...]:
        """Return durations, each longer than the one before."""
        return self._get(key, default, 'a rising list of ISO 8601 durations, such as ["PT15M", "PT4H"]', _rising)

    def table(self, key: str) -> "Table":
        """Return the table of that name; an empty one where it is missing."""
        none: dict[str, Any] = {}
        value = self._get(key, none, f"a table: [{self._at(key)}]", _table)
        return Table(value, source=self._source, path=self._at(key))

    def tables(self, key: str) -> tuple["Table", ...]:
        """Return the tables of a list of tables, none where it is missing."""
        form = f"a list of tables: [[{self._at(key)}]]"
        nothing: list[dict[str, Any]] = []
        values = self._get(key, nothing, form, lambda value: value if _all(value, dict) else None)
        return tuple(
            Table(value, source=self._source, path=f"{self._at(key)}[{number}]")
            for number, value in enumerate(values, start=1)
        )

    def values(self) -> dict[str, Any]:
        """Return all keys and values as they stand, for a reader that checks them itself."""
        return dict(self._values)

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys."""
        return tuple(self._values)

    def done(self) -> None:
        """Raise Misconfigured for a key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                raise Misconfigured("no such key", where=self._where(key), hint=f"the keys here are: {known}")

    def wrong(self, key: str, form: str) -> NoReturn:
        """Raise Misconfigured: the value of `key` is not of that form."""
        raise Misconfigured(f"must be {form}", where=self._where(key), hint=f"write {form}")

    def _get(self, key: str, default: T | None, form: str, read: Callable[[Any], T | None]) -> T:
        self._asked.add(key)
        if key not in self._values:
            if default is None:
                raise Misconfigured("is missing", where=self._where(key), hint=f"write {form}")
            return default
        found = read(self._values[key])
        if found is None:
            self.wrong(key, form)
        return found

    def _at(self, key: str) -> str:
        return self._elsewhere.get(key) or (f"{self._path}.{key}" if self._path else key)

    def _where(self, key: str) -> str:
        return f"{self._source}: {self._at(key)}"


def _table(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _all(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _text_or(default: str | None) -> Callable[[Any], str | None]:
    return lambda value: value if isinstance(value, str) and (value or default == "") else None


def _whole(value: Any, least: int, most: int) -> int | None:
    # True and false are numbers to Python, and not to TOML.
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None


def _wholes(value: Any, least: int, most: int) -> tuple[int, ...] | None:
    whole = _all(value, int) and all(_whole(item, least, most) is not None for item in value)
    return tuple(value) if whole else None


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(value) if _all(value, str) and len(set(value)) == len(value) else None


def _member(kind: type[E], value: Any) -> E | None:
    return next((member for member in kind if member.value == value), None)


def _day(value: Any) -> date | None:
    # A time of day is a date to Python too.
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _positive(value: Any) -> timedelta | None:
    found = duration(value) if isinstance(value, str) else None
    return found if found else None


def _rising(value: Any) -> tuple[timedelta, ...] | None:
    found = [_positive(item) for item in value] if isinstance(value, list) else [None]
    whole = tuple(item for item in found if item is not None)
    return whole if len(whole) == len(found) and all(before < after for before, after in pairwise(whole)) else None
