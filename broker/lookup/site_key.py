"""The site's key, under which all kept bodies are encrypted, and when one may be made: never beside kept data."""

import secrets
from pathlib import Path

from broker.errors import Misconfigured
from broker.lookup.files import PRIVATE, others_may_read, write_new

SITE_KEY = "site.key"
SIZE = 32  # bytes: AES-256


def site_key(data: Path, elsewhere: Path | None = None) -> bytes:
    """Return the 32 bytes of the site's key; make it, and the data folder, where neither holds anything yet.

    It stands in the data folder, or in the file `elsewhere`. Raises Misconfigured where the key is missing beside kept
    data (a new one could open nothing of it), is of another length, or may be read by every user of the machine.
    """
    path = elsewhere or data / SITE_KEY
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(data, path)
        if others_may_read(path):
            raise Misconfigured("every user of the machine may read it", where=str(path), hint=f"chmod 600 {path}")
        key = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"can't be read or made ({error.strerror})", where=str(path)) from None
    if len(key) != SIZE:
        raise Misconfigured(f"is not a key of {SIZE} bytes", where=str(path), hint="put the file back from the backup")
    return key


def _make(data: Path, path: Path) -> None:
    if any(entry.suffix in (".db", ".sqlite", ".sqlite3") or entry.name == "bodies" for entry in data.iterdir()):
        why = "is missing, and what is kept beside it can only be read with it"
        raise Misconfigured(why, where=str(path), hint="put the file back from the backup")
    try:
        write_new(path, secrets.token_bytes(SIZE), mode=PRIVATE)
    except FileExistsError:  # another process was first: its key counts
        return
