"""A folder of TOML files, one value a file: what is read anew, and what stays when a file goes bad.

A file is read again when its bytes, or those of a file that it names, have changed. One that can't be read keeps its
last good value and is named; it never takes the others with it.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

from broker.errors import Misconfigured

T = TypeVar("T")

Load = Callable[[str], bytes]  # the bytes of a file by its path relative to the folder; raises OSError
Read = Callable[[str, str, Load], T]  # text, the file's name in error texts, Load; raises Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[T]):
    """What a look at the folder gave, by file name. The value of a file that has a problem is its last good one."""

    values: Mapping[str, T]
    problems: Mapping[str, Misconfigured]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading(Generic[T]):
    value: T | None
    problem: Misconfigured | None
    digests: Mapping[str, bytes | None]  # of the file and all that it names; None: could not be read


class Folder(Generic[T]):
    """The files of one folder, with memory. `look` belongs to one thread at a time."""

    def __init__(self, folder: Path, read: Read[T]) -> None:
        self._folder, self._read = folder, read
        self._readings: dict[str, _Reading[T]] = {}

    def look(self) -> Found[T]:
        """Return the present values. Raises OSError where the folder itself can't be read; the memory stays then."""
        # Hidden files are what editors leave while they write.
        names = sorted(path.name for path in self._folder.iterdir() if _is_record(path))
        self._readings = {name: self._reading(name, self._readings.get(name)) for name in names}
        return Found(
            values={name: reading.value for name, reading in self._readings.items() if reading.value is not None},
            problems={name: reading.problem for name, reading in self._readings.items() if reading.problem is not None},
        )

    def _reading(self, name: str, last: _Reading[T] | None) -> _Reading[T]:
        if last is not None and all(self._digest(each) == digest for each, digest in last.digests.items()):
            return last
        digests: dict[str, bytes | None] = {name: None}

        def load(relative: str) -> bytes:
            digests[relative] = None
            data = (self._folder / relative).read_bytes()
            digests[relative] = sha256(data).digest()
            return data

        source = f"{self._folder.name}/{name}"
        kept = last.value if last is not None else None
        try:
            return _Reading(value=self._read(load(name).decode("utf-8"), source, load), problem=None, digests=digests)
        except Misconfigured as problem:
            return _Reading(value=kept, problem=problem, digests=digests)
        except UnicodeDecodeError as error:
            why = f"not UTF-8 at byte {error.start}"
        except OSError as error:
            why = f"can't be read ({error.strerror})"
        return _Reading(value=kept, problem=Misconfigured(why, where=source, hint="mend the file"), digests=digests)

    def _digest(self, relative: str) -> bytes | None:
        try:
            return sha256((self._folder / relative).read_bytes()).digest()
        except OSError:
            return None


def _is_record(path: Path) -> bool:
    return path.suffix == ".toml" and not path.name.startswith(".") and path.is_file()


_LOOKING = threading.Lock()


def look_now(look: Callable[[], bool]) -> bool:
    """Look, and say whether anything has changed. No two threads look at once."""
    with _LOOKING:
        return look()


async def keep_looking(look: Callable[[], bool], *, interval: timedelta, changed: Callable[[], None]) -> None:
    """Look every `interval` for ever, in a thread, and call `changed` on the loop after a look that says true."""
    while True:
        await asyncio.sleep(interval.total_seconds())
        if await asyncio.to_thread(look_now, look):
            changed()
