"""A broker with a fault that must cost it dearly: `python -m tests.bench.slow_broker serve ...`, by SABOTAGE.

slow-key-load reads the private key from its file for every signature; fsync-per-statement waits for the disk at each
SQL statement.
"""

import os
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from broker.cli.main import main
from broker.lookup.key_containers import load_key_file
from broker.lookup.key_files import KeyFiles
from broker.sealing.keys import KeyPair
from broker.store import sqlite, writer


def slow_key_load() -> None:
    """Load the key anew whenever it is asked for, with all its checks."""
    kept = KeyFiles.signing

    def signing(self: KeyFiles, her_id: int, at: datetime) -> KeyPair:
        pair = kept(self, her_id, at)
        path = next(path for path, known in self._loaded.items() if known[0].pair is pair)
        return load_key_file(path, ())[0]

    KeyFiles.signing = signing  # type: ignore[method-assign]


class _EachFsynced:
    """A connection that puts something on disk after every statement, as if each were committed by itself."""

    def __init__(self, db: sqlite3.Connection, beside: Path) -> None:
        self._db = db
        self._file = os.open(beside, os.O_WRONLY | os.O_CREAT, 0o600)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        done = self._db.execute(sql, parameters)
        os.pwrite(self._file, os.urandom(4096), 0)
        os.fsync(self._file)
        return done

    def executemany(self, sql: str, rows: Iterable[Any]) -> None:
        for row in rows:
            self.execute(sql, row)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def fsync_per_statement() -> None:
    """Give the writer a connection that waits for the disk at each statement."""

    class Writer(writer.Writer):
        def __init__(self, db: sqlite3.Connection, *, wal: Path, **rest: Any) -> None:
            super().__init__(_EachFsynced(db, wal.with_suffix(".fsynced")), wal=wal, **rest)  # type: ignore[arg-type]

    sqlite.Writer = Writer  # type: ignore[attr-defined]


if __name__ == "__main__":
    {"slow-key-load": slow_key_load, "fsync-per-statement": fsync_per_statement}[os.environ["SABOTAGE"]]()
    main()
