"""The schemas as files, and one compiled set a thread: schema objects are not shared between threads."""

import threading
from collections.abc import Mapping
from pathlib import Path

from broker.errors import Misconfigured
from broker.validation.xsd import SchemaSet


def schema_files(folder: Path) -> Mapping[str, bytes]:
    """Return every schema below `folder` by its path relative to it, such as `kith/types.xsd`. Raises Misconfigured."""
    try:
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.xsd"))}
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where=str(folder)) from None
    if not found:
        raise Misconfigured("there is no schema", where=str(folder), hint="name the folder of the schemas")
    return found


class ThreadSchemas:
    """What `Doors.schemas` is: called in a thread, it returns that thread's own set."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Compile the first set. Raises Misconfigured where the files are no schemas."""
        self._lock = threading.Lock()  # libxml2 compiles schemas with state that threads share
        self._first = SchemaSet.from_bytes(files)
        self._own = threading.local()

    def __call__(self) -> SchemaSet:
        """Return the calling thread's set, compiled on its first call (2 ms)."""
        own: SchemaSet | None = getattr(self._own, "set", None)
        if own is None:
            with self._lock:
                own = self._own.set = self._first.clone()
        return own
