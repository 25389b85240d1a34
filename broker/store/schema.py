"""How a store's database is opened: the lock, the settings of SQLite, the numbered migrations, the right site key."""

import errno
import fcntl
import os
import re
import sqlite3
from importlib import resources
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.errors import Misconfigured
from broker.ports import BodyDamaged
from broker.store.bodies import KEY_SIZE, decrypt, encrypt

DATABASE, BODIES, LOCK = "store.sqlite", "bodies", "lock"
BUSY_TIMEOUT = 5000  # ms; only a foreign program can hold the database
_KEY_CHECK = "site key"


def take_lock(folder: Path) -> int:
    """Return the handle of the lock that only one process holds. Raises Misconfigured where another has it."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise Misconfigured(
            "another process has this store open",
            where=str(folder),
            hint="one broker a store: stop the other one, or give this one a folder of its own",
        ) from error
    return handle


def check_site_key(site_key: bytes) -> None:
    """Raise Misconfigured unless the key has the right size."""
    if len(site_key) != KEY_SIZE:
        raise Misconfigured(f"the key has {len(site_key)} bytes", where="site key", hint=f"it must have {KEY_SIZE}")


def connect(path: Path) -> sqlite3.Connection:
    """Return the writing connection, in no transaction. It is used by one thread at a time."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # SQLite gives its log the same mode
    os.close(handle)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":  # it fails without an error
        db.close()
        raise OSError(errno.EIO, "SQLite could not make its write-ahead log; is the folder on a network file system?")
    for setting in (
        "synchronous = FULL",  # NORMAL loses the last commits at a power cut, and in groups it wins nothing
        "wal_autocheckpoint = 0",  # the writer makes its checkpoints itself: an automatic one hides its errors
        "secure_delete = ON",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        f"busy_timeout = {BUSY_TIMEOUT}",
    ):
        db.execute(f"PRAGMA {setting}")
    return db


def read_only(path: Path) -> str:
    """Return the URI under which SQLite opens the database for reading alone."""
    return f"{path.absolute().as_uri()}?mode=ro"


def migrate(db: sqlite3.Connection) -> None:
    """Bring the schema to the newest version, one transaction a step."""
    steps = _migrations()
    for number in range(_version(db) + 1, len(steps) + 1):
        try:
            db.executescript(f"BEGIN IMMEDIATE;\n{steps[number]}\nPRAGMA user_version = {number};\nCOMMIT;")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def check_version(db: sqlite3.Connection, path: Path) -> None:
    """Raise Misconfigured where a newer program wrote the schema."""
    at, newest = _version(db), len(_migrations())
    if at > newest:
        raise Misconfigured(
            f"the store was written by a newer broker: its schema is version {at}, this one knows {newest}",
            where=str(path),
            hint="run the newer version, or restore a backup from before it; there is no way back",
        )


def newest_version() -> int:
    """Return the version of the schema that this program writes."""
    return len(_migrations())


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _migrations() -> dict[int, str]:
    """Return the migrations by number, 1 and up without a gap."""
    folder = resources.files("broker.store") / "sql"
    files = [file for file in folder.iterdir() if re.fullmatch(r"\d{4}_\w+\.sql", file.name)]
    found = {int(file.name[:4]): file for file in files}
    assert sorted(found) == list(range(1, len(files) + 1)), "a number is missing, or used twice"
    return {number: found[number].read_text("utf-8") for number in sorted(found)}


def check_store_key(db: sqlite3.Connection, site_key: bytes, path: Path, *, make: bool) -> None:
    """Raise Misconfigured unless `site_key` is the one that the store was made with.

    `make`: a store that has none yet gets it now, which is before its first body.
    """
    row = db.execute("SELECT value FROM meta WHERE name = ?", (_KEY_CHECK,)).fetchone()
    if row is None:
        if make:
            value = encrypt(AESGCM(site_key), b"", bound_to=_KEY_CHECK)
            db.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (_KEY_CHECK, value))
        return
    try:
        decrypt(AESGCM(site_key), row[0], bound_to=_KEY_CHECK)
    except BodyDamaged as error:
        raise Misconfigured(
            "the site key is not the one that this store was made with",
            where=str(path),
            hint="find the right key: without it no body can be read",
        ) from error
