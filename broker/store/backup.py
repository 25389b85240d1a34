"""Copies a store while a broker writes to it, and says whether a copy is whole. Bodies stay sealed throughout.

The database is copied first, at one instant, by SQLite's own backup. A body's file is on disk before the row that names
it, so every file of the copy is there, but for those that were erased meanwhile: these are erased in the copy too.
"""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.errors import BrokerError, Misconfigured
from broker.ports import BodyDamaged
from broker.store.bodies import Vault, fsync_folder
from broker.store.faults import broken
from broker.store.rows import micros
from broker.store.schema import BODIES, BUSY_TIMEOUT, DATABASE, check_store_key, check_version, read_only

# The bodies that stand in files, those that can be opened, and how many messages there are.
_FILES: Final = "SELECT id, file FROM body WHERE file IS NOT NULL ORDER BY seq"
_BODIES: Final = "SELECT id, wrapped, sealed, file FROM body WHERE erased_at IS NULL ORDER BY seq"
_MESSAGES: Final = "SELECT count(*) FROM message"
_ERASED: Final = "SELECT 1 FROM body WHERE id = ? AND erased_at IS NOT NULL"
_ERASE: Final = "UPDATE body SET wrapped = NULL, sealed = NULL, file = NULL, erased_at = ? WHERE id = ?"


class Damaged(BrokerError):
    """A store, or the copy of one, is not whole."""

    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a copied store holds, in numbers."""

    schema: int
    messages: int
    bodies: int  # that are not erased
    opened: int = 0  # bodies that were opened with the site key, to prove that they can be


def copy_store(folder: Path, to: Path, *, now: datetime) -> None:
    """Copy the store in `folder` into the empty folder `to`, and put it on disk.

    A broker may run on it meanwhile. Raises Misconfigured where there is no store, Damaged where a body's file is
    missing, StoreBroken, OSError.
    """
    path, bodies = folder / DATABASE, to / BODIES
    if not path.exists():
        raise Misconfigured("there is no store", where=str(folder), hint="`broker serve` makes it")
    bodies.mkdir(mode=0o700)
    os.close(os.open(to / DATABASE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_reading(path)) as source, closing(_writing(to / DATABASE)) as copy:
            source.backup(copy)  # in one step: other writers would make it begin again
            for id, file in copy.execute(_FILES).fetchall():
                try:
                    copy_file(folder / BODIES / file, bodies / file)
                except FileNotFoundError:
                    if source.execute(_ERASED, (id,)).fetchone() is None:
                        raise Damaged(f"the file of body {id} is missing", hint="see `broker check`") from None
                    _erase(copy, id, now)
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()  # one file, without a log beside it
    except sqlite3.Error as error:
        raise broken(error) from error
    for made in (bodies, to):
        fsync_folder(made)


def _erase(copy: sqlite3.Connection, id: str, now: datetime) -> None:
    """Erase what the store itself has erased meanwhile, even where it was still owed at the moment of the copy."""
    (guard,) = copy.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'body_owed'").fetchone()
    copy.execute("DROP TRIGGER body_owed")
    copy.execute(_ERASE, (micros(now), id))
    copy.execute(guard)


def inspect_store(folder: Path, *, site_key: bytes | None) -> Contents:
    """Read a store that no broker runs on, from end to end; with the site key every body is opened too.

    Raises Damaged, Misconfigured (a newer broker wrote it, or another site key).
    """
    path = folder / DATABASE
    if not path.exists():
        raise Damaged("there is no store", hint=f"looked in {folder}")
    try:
        with closing(_reading(path)) as db:
            said = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if said != "ok":
                raise Damaged("the database is damaged", hint="take another backup; SQLite says that it is not whole")
            if db.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise Damaged("rows of the database name others that are not there", hint="take another backup")
            check_version(db, path)
            if site_key is not None:
                check_store_key(db, site_key, path, make=False)
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            messages = int(db.execute(_MESSAGES).fetchone()[0])
            bodies, opened = _bodies(db, folder / BODIES, site_key)
    except sqlite3.Error as error:
        raise Damaged(f"the database can't be read ({type(error).__name__})", hint="take another backup") from error
    return Contents(schema=version, messages=messages, bodies=bodies, opened=opened)


def _bodies(db: sqlite3.Connection, folder: Path, site_key: bytes | None) -> tuple[int, int]:
    count = opened = 0
    vault = Vault(folder, site_key) if site_key is not None else None
    for id, wrapped, sealed, file in db.execute(_BODIES):
        count += 1
        if file is not None and not (folder / file).exists():
            raise Damaged(f"the file of body {id} is missing", hint="take another backup")
        if vault is not None:
            try:
                vault.open(id, wrapped=wrapped, sealed=sealed, file=file)
            except BodyDamaged:
                raise Damaged(f"body {id} can't be opened", hint="take another backup") from None
            opened += 1
    return count, opened


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(read_only(path), uri=True, timeout=BUSY_TIMEOUT / 1000)


def _writing(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    for setting in ("synchronous = FULL", "secure_delete = ON"):
        db.execute(f"PRAGMA {setting}")
    return db


def copy_file(source: Path, to: Path, *, mode: int = 0o600) -> None:
    """Copy a file that does not change to a place where none is, and put it on disk. Raises OSError."""
    with open(source, "rb") as given:
        handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(handle, "wb") as taken:
            os.fchmod(handle, mode)  # whatever the umask says
            shutil.copyfileobj(given, taken, 1024 * 1024)
            taken.flush()
            os.fsync(handle)
