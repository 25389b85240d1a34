"""What an error of SQLite or of the file system means: the one place where it is judged."""

import errno
import sqlite3
from enum import Enum, auto

from broker.diagnosis.causes import DISK_FULL, NOT_ACCEPTING, STORE_LOCKED
from broker.errors import BrokerError, StoreBroken, StoreBusy


class Impossible(BrokerError):
    """The database refused what the program must never do. Nothing was written; it is a fault in the program."""


class Fate(Enum):
    """What follows from an error."""

    TAKEN = auto()  # a unique key is taken: Stale
    FORBIDDEN = auto()  # a CHECK, trigger or foreign key refused it
    PROGRAM = auto()  # wrong SQL or parameters: the write is undone, the error is shown as it is
    FULL = auto()  # no room; nothing was written, and the store goes on
    LOCKED = auto()  # another process holds the database; nothing was written
    BROKEN = auto()  # nothing is certain any more


_FATES = {
    sqlite3.SQLITE_CONSTRAINT: Fate.FORBIDDEN,
    sqlite3.SQLITE_FULL: Fate.FULL,
    sqlite3.SQLITE_BUSY: Fate.LOCKED,
    sqlite3.SQLITE_ERROR: Fate.PROGRAM,
    sqlite3.SQLITE_MISMATCH: Fate.PROGRAM,
    sqlite3.SQLITE_RANGE: Fate.PROGRAM,
    sqlite3.SQLITE_TOOBIG: Fate.PROGRAM,
}
_TAKEN = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}
# Out of file handles is no fault of the disk either: nothing was taken, and it passes.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}


def fate(error: sqlite3.Error | OSError) -> Fate:
    """Return what `error` means. What is not known by name is BROKEN."""
    if isinstance(error, OSError):
        return Fate.FULL if error.errno in _NO_ROOM else Fate.BROKEN
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # the module's own complaints carry no code
    return Fate.TAKEN if code in _TAKEN else _FATES.get(code & 0xFF, Fate.BROKEN)


def busy(kind: Fate) -> StoreBusy:
    """Return the refusal for a full or locked store."""
    if kind is Fate.LOCKED:
        why = "another process holds the database"
        return StoreBusy(why, error_id=STORE_LOCKED, hint="end the other program that has the store's file open")
    return full()


def full() -> StoreBusy:
    """Return the refusal for a full disk."""
    return StoreBusy("the disk of the store is full", error_id=DISK_FULL, hint="make room; it goes on by itself")


def stopping() -> StoreBusy:
    """Return the refusal for a store that is closing."""
    return StoreBusy("the store is stopping", error_id=NOT_ACCEPTING, hint="try again when the broker is up")


def broken(cause: BaseException) -> StoreBroken:
    """Return the error of a store that takes nothing more."""
    return StoreBroken(f"a write to the store failed: {type(cause).__name__}: {cause}", hint="see the disk's own log")
