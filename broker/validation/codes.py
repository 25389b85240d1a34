"""Code lists: TOML text to values. It decides nothing but what a list file may say.

A list that is not complete (of a large or unpublished list only what we have met) never calls a code unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.envelope.msghead import token
from broker.errors import Misconfigured
from broker.routing.tables import read_toml

OID_ROOT = "2.16.578.1.12.4.1.1."  # all national code lists; the number of the list follows


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """One national code list. `codes`: code (V) to the list's own text (DN)."""

    number: str
    title: str
    source: str
    complete: bool
    codes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """All code lists, by number."""

    lists: Mapping[str, CodeList]

    def texts(self, number: str) -> Mapping[str, str]:
        """Return the codes of a list with their texts; nothing for a list that is not here."""
        found = self.lists.get(number)
        return found.codes if found else {}

    def unknown(self, number: str, code: str) -> bool:
        """Say whether the list is here, whole, and without that code."""
        found = self.lists.get(number)
        return found is not None and found.complete and code not in found.codes


def read_codes(files: Mapping[str, str]) -> Codes:
    """Return the lists that the texts of `files` (by name) describe. Raises Misconfigured with the place."""
    lists: dict[str, CodeList] = {}
    for source, text in sorted(files.items()):
        file = read_toml(text, source=source)
        table = file.table("codes")
        found = CodeList(
            number=file.text("number"),
            title=file.text("title"),
            source=file.text("source"),
            complete=file.flag("complete", True),
            codes={code: table.text(code) for code in table.names()},
        )
        file.done()
        if not found.number.isdecimal():
            file.wrong("number", 'the number of a code list, such as "8221"')
        if found.number in lists:
            raise Misconfigured(
                "another file has this list", where=f"{source}: number", hint="keep one file for each list"
            )
        lists[found.number] = found
    return Codes(lists=lists)


def list_number(oid: str | None) -> str:
    """Return the number of the code list that S names (`2.16.578.1.12.4.1.1.7601`), or "" where it names none."""
    value = token(oid)
    number = value.removeprefix(OID_ROOT)
    return number if number != value and number.isdecimal() else ""
