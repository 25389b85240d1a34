"""The names of parties out of their address records, and nothing else: quick, for who only wants to be told them.

The records themselves are `lookup.address_files`. A file that can't be read, or says nothing of a name, is passed by:
`broker addresses check` names what is wrong with it.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from broker.errors import Unaddressable

_NO_REGISTRY = "MB-2004"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedParty:
    """A party by its name."""

    name: str


class FileNames:
    """The names of a folder of records. Each file is read once; one is understood when its party is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts: list[str] | None = None
        self._known: dict[int, NamedParty | None] = {}

    def current(self) -> "FileNames":
        """Return this. Raises Unaddressable (MB-2004) where the folder can't be read."""
        if self._texts is None:
            try:
                files = sorted(path for path in self._folder.iterdir() if path.suffix == ".toml" and path.is_file())
                self._texts = [path.read_text("utf-8", errors="replace") for path in files]
            except OSError:
                raise Unaddressable("the address records can't be read", error_id=_NO_REGISTRY) from None
        return self

    def party(self, her_id: int) -> NamedParty | None:
        """Return the party of a HER-id, or None."""
        if her_id not in self._known:
            self._known[her_id] = self._look(her_id)
        return self._known[her_id]

    def _look(self, her_id: int) -> NamedParty | None:
        for text in self._texts or ():
            if str(her_id) not in text:
                continue
            try:
                record = tomllib.loads(text)
            except tomllib.TOMLDecodeError:
                continue
            if record.get("her_id") == her_id and isinstance(record.get("name"), str):
                return NamedParty(name=record["name"])
        return None
