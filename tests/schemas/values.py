"""Texts at the edges of each simple type: some good, some bad; the published schemas say which."""

from collections.abc import Sequence
from typing import Any

_DATES = ("2026-02-28", "2024-02-29Z", "2026-02-28+01:00", "2026-02-29", "2026-2-8", "28.02.2026", "-0001-01-01")
_TIMES = (
    "2026-02-28T12:00:00", "2026-02-28T12:00:00Z", "2026-02-28T12:00:00.1234567+01:00", "2026-02-28T24:00:00",
    "2026-02-28T25:00:00", "2026-02-30T12:00:00", "2026-02-28 12:00:00", "2026-02-28T12:00", "T12:00:00",
    "2026-02-28T12:00:00+15:00",
)  # fmt: skip
_BY_TYPE: dict[str, tuple[str, ...]] = {
    "string": ("", "x", " x  y ", "æøå", "1"),
    "token": ("", "x", " x  y ", "æøå"),
    "dateTime": ("", *_TIMES, "2026-02-28"),
    "date": ("", *_DATES, "2026-02-28T12:00:00"),
    "time": ("12:00:00", "12:00:00Z", "12:00"),
    "gYear": ("2026", "26", "2026Z"),
    "gYearMonth": ("2026-02", "2026-13"),
    "integer": ("0", "-1", "+1", "", "1.0", "x", " 7 ", "123456789012345678901234567890"),
    "base64Binary": ("", "QQ==", "QUI=", "QUJD", "QU JD", "Q", "QQ=", "æ", "=", "FF"),
    "anyURI": ("", "urn:example:x", "mailto:a@example.org", "#x", "a b", "%zz", "http://[", ":"),
    "ID": ("a", "_1", "", "1", "a b", "a:b"),
}
_OIDS = (
    "1", "1.2", "2.16.578.1.12.4.1.1.9051", " 1.2 ", "", ".1", "1.", "1..2", "a", "1.2.a", "1 2", "1" * 30, "٣", "-1",
)  # fmt: skip
_SAMPLE = {
    "string": "x", "token": "x", "dateTime": "2026-02-28T12:00:00", "date": "2026-02-28", "integer": "1",
    "base64Binary": "QUJD", "anyURI": "urn:example:x", "ID": "a", "boolean": "true", "double": "1", "decimal": "1",
    "NMTOKEN": "x",
}  # fmt: skip


def sample(of_type: Any) -> str:
    """Return a text that is valid by the type."""
    return "1.2" if _is_oid(of_type) else _SAMPLE[_leaves(of_type)[0]]


def candidates(of_type: Any, fixed: str | None) -> Sequence[str]:
    """Return texts to try: the edges of the type, and for a fixed value that value and others."""
    if _is_oid(of_type):
        return _OIDS
    found = [text for leaf in _leaves(of_type) for text in _BY_TYPE[leaf]]
    return tuple(dict.fromkeys([*found, *([fixed, f" {fixed}", fixed.upper()] if fixed is not None else [])]))


def _is_oid(of_type: Any) -> bool:
    return str(of_type.local_name) == "oid"


def _leaves(of_type: Any) -> list[str]:
    """Return the built-in types that a simple type, or simple content, comes down to."""
    if getattr(of_type, "member_types", None):
        return [leaf for member in of_type.member_types for leaf in _leaves(member)]
    simple = of_type.content if of_type.is_complex() else of_type
    while simple.local_name not in _SAMPLE and simple.local_name not in _BY_TYPE:
        simple = simple.base_type
    return [str(simple.local_name)]
