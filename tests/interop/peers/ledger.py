"""A peer's memory: one JSON line an entry, fsynced before anyone is told, and read again after a kill."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

Entry = dict[str, Any]


class Ledger:
    """Appends; what is written is printed too, so that the harness hears of it. Bytes lie in files beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "ledger.jsonl"
        self._file: BinaryIO | None = None
        self.written = asyncio.Event()  # set by every entry

    def entries(self) -> Iterator[Entry]:
        """Yield what an earlier life has written; a line cut off by a kill was never told, and is left out."""
        if self._path.exists():
            whole, _, rest = self._path.read_bytes().rpartition(b"\n")
            if rest:
                os.truncate(self._path, len(whole) + 1 if whole else 0)
            for line in whole.splitlines():
                yield json.loads(line)

    def write(self, what: str, **facts: Any) -> Entry:
        """Write an entry, and have it on disk when this returns."""
        entry: Entry = {"what": what, **facts}
        if self._file is None:
            self._file = self._path.open("ab")
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        tell(entry)
        self.written.set()
        return entry

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            self._file.close()

    def keep(self, name: str, content: bytes) -> None:
        """Keep bytes under a name, on disk when this returns."""
        path = self._path.with_name(name)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def kept(self, name: str) -> bytes:
        """Return the bytes under a name."""
        return self._path.with_name(name).read_bytes()


def tell(entry: Entry) -> None:
    """Tell the harness, over the control pipe."""
    sys.stdout.write(json.dumps(entry) + "\n")
    sys.stdout.flush()
