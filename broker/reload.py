"""SIGHUP: which settings may change while the broker runs, and that a bad file changes nothing.

Records, processes, keys and clients are looked at every few seconds anyway; here they are looked at now. Settings are
validated as at the start. What can't change in a running process keeps its old value, and is named.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from broker import telemetry
from broker.config import Settings
from broker.errors import Misconfigured
from broker.lookup.folder import look_now
from broker.lookup.systemd import Notifier

# Tables and keys that a running broker can be given anew.
LIVE: Final = ("log", "workers.concurrency", "workers.per_lane", "workers.poll", "breaker")


class Watched(Protocol):
    """Files that are read anew: records, processes, keys, clients."""

    problems: tuple[Misconfigured, ...]

    def look(self) -> bool:
        """Read what has changed. Never raises; what is wrong stands in `problems`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloading:
    """What a reload asks, and what it turns."""

    started: Settings  # what the process was started with
    load: Callable[[], Settings]  # raises Misconfigured
    files: Sequence[Watched]
    apply: Callable[[Settings], None]  # raises Misconfigured before it has changed anything
    notifier: Notifier
    wake: Callable[[], None]

    async def run(self, now: Settings) -> Settings:
        """Read everything anew and return the settings that now count: `now`, where the new ones do not hold."""
        self.notifier.reloading()
        try:
            new = await asyncio.to_thread(self.load)
            self.apply(new)
        except Misconfigured as fault:
            telemetry.record_bad(fault.where, why=fault.why)
            told, new = f"not reloaded, the old settings count: {fault.why}", now
        else:
            late = [key for key in _differing(self.started, new) if not _is_live(key)]
            telemetry.records_reloaded("settings", count=sum(map(_is_live, _differing(now, new))))
            for key in late:
                telemetry.record_bad(key, why="changed, and counts from the next start")
            told = f"reloaded; from the next start: {', '.join(late)}" if late else "reloaded"
        for files in self.files:
            await asyncio.to_thread(look_now, files.look)
        bad = [problem for files in self.files for problem in files.problems]
        if bad:
            told += f"; {len(bad)} files are bad and their last good ones count, first: {bad[0].why}"
        self.wake()
        self.notifier.ready(told)
        return new


def _is_live(key: str) -> bool:
    return any(key == live or key.startswith(f"{live}.") for live in LIVE)


def _differing(old: Settings, new: Settings) -> list[str]:
    return sorted(_differences(old.model_dump(), new.model_dump()))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the keys whose values differ, with dots between table and key."""
    for key in old.keys() | new.keys():
        was, is_ = old.get(key), new.get(key)
        if isinstance(was, Mapping) and isinstance(is_, Mapping):
            yield from _differences(was, is_, f"{above}{key}.")
        elif was != is_:
            yield f"{above}{key}"
