"""What a simulator remembers: one JSON line for each thing done, fsynced before the next is begun.

It is the EPJ's own word, written without asking the broker, and so what the broker's word is held against. It keeps
digests, ids and codes; the documents themselves are not in it.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A document that was posted, and the broker's answer (`status` is HTTP's)."""

    at: str
    case: str
    sha256: str  # of the bytes posted, reckoned here
    size: int
    status: int
    id: str | None = None
    msg_id: str | None = None
    told_sha256: str | None = None  # what the broker says that it took
    replayed: bool = False
    error_id: str | None = None
    accepted: bool | None = None  # of a problem: whether the broker took anything
    faults: tuple[str, ...] = ()  # the rules that a 422 names


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A document that came by the inbox, as its bytes were when they were stored here."""

    at: str
    item: str
    msg_id: str
    sender_her: int
    receiver_her: int
    sha256: str
    size: int
    owed: bool  # an AppRec is owed


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict given on a received document."""

    at: str
    item: str
    msg_id: str
    status: str
    codes: tuple[str, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One event of the feed."""

    at: str
    offset: int
    type: str
    msg_id: str | None = None
    item: str | None = None
    error_id: str | None = None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """Outcomes that were confirmed to the broker, up to and with this offset."""

    at: str
    through: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An answer that an EPJ should never get. The demo does not pass with one of these."""

    at: str
    where: str
    status: int
    error_id: str | None = None


Entry = Posted | Received | Judged | Heard | Confirmed | Trouble
_KINDS: dict[str, type[Entry]] = {
    "posted": Posted,
    "received": Received,
    "judged": Judged,
    "heard": Heard,
    "confirmed": Confirmed,
    "trouble": Trouble,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Ledger:
    """The ledger of one simulator, open for writing."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_torn_end(path)
        self._file = path.open("ab", buffering=0)

    def write(self, entry: Entry) -> None:
        """Append one entry and fsync it."""
        line = json.dumps({"what": _NAMES[type(entry)], **asdict(entry)}, ensure_ascii=False)
        self._file.write(line.encode() + b"\n")
        os.fsync(self._file.fileno())

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def read_ledger(path: Path) -> Iterator[Entry]:
    """Yield the entries in the order they were written; none for a ledger not begun. A torn last line is left out."""
    if not path.exists():
        return
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    for line in whole.splitlines():
        yield _entry(json.loads(line))


def _entry(fields: dict[str, Any]) -> Entry:
    kind = _KINDS[fields.pop("what")]
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return kind(**(fields | lists))


def _drop_torn_end(path: Path) -> None:
    """Cut off what a killed process left half written, so that the next entry begins a line of its own."""
    if path.exists():
        content = path.read_bytes()
        kept = content.rfind(b"\n") + 1
        if kept < len(content):
            os.truncate(path, kept)
