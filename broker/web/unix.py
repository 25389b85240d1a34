"""The socket through which this machine's operators ask the running broker: for the owner of the data folder alone."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.errors import Misconfigured

_LONGEST = 107  # bytes of a path in sockaddr_un (unix(7)), its closing zero not counted


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Give an address of the socket at `path` that fits into a socket address, by way of its open folder if need be."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def bound(path: Path) -> socket.socket:
    """Return a socket bound to `path`, in the place of one that an earlier process left there. Raises Misconfigured.

    Only the owner may open it (0600), from its first moment on. The caller holds the store, so no other broker has it.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        with reachable(path) as address:
            made.bind(address)
    except OSError as error:
        made.close()
        raise Misconfigured(f"the operators' socket can't be made ({error.strerror})", where=str(path)) from None
    finally:
        os.umask(before)
    return made


def removed(path: Path) -> None:
    """Take the socket away, so that nobody waits at it."""
    path.unlink(missing_ok=True)


def connected(path: Path, timeout: float) -> socket.socket:
    """Return a connection to the socket at `path`. Raises OSError, as when no broker listens there."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout)
    try:
        with reachable(path) as address:
            made.connect(address)
    except OSError:
        made.close()
        raise
    return made
