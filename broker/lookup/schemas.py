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

    def __init__(self, files: Mapping[str, bytes], *, threads: int = 1) -> None:
        """Compile the sets of `threads` threads, the event loop's among them, 2 ms each.

        Raises Misconfigured where the files are no schemas.

        To be made before any other thread parses: lxml tells libxml2 where to find an imported schema by one setting
        for the whole process, and every parser puts it back when it ends. An import that is skipped for it is no
        error, and the set would then refuse every document.
        """
        first = SchemaSet.from_bytes(files)
        self._spare = [first, *(first.clone() for _ in range(threads - 1))]
        self._own = threading.local()

    def __call__(self) -> SchemaSet:
        """Return the calling thread's set. Raises LookupError in one thread more than the sets were made for."""
        own: SchemaSet | None = getattr(self._own, "set", None)
        if own is None:
            own = self._own.set = self._spare.pop()
        return own
