"""A broker under strace: what it asks of the disk, by thread, and faults planted into it."""

import asyncio
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from broker.demo.children import Child
from broker.demo.site import DemoSite
from tests.disk.broker import BURN

HIGH = 2000  # more calls than any thread makes by itself
_LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+).*?<(\d+\.\d+)>$")
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(.*)$")
_PATH = re.compile(r'<([^>]*)>|"([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call: when it began and ended (seconds of the system clock), of which thread, on which paths."""

    name: str
    thread: str
    paths: tuple[str, ...]
    began: float
    ended: float
    injected: bool

    def on(self, ending: str) -> bool:
        """Say whether the (first) path ends like this."""
        return self.paths[0].removesuffix(" (deleted)").endswith(ending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """EIO for the `nth` `call` (fsync or fdatasync) of the thread `thread`, held for a while before it fails."""

    thread: str
    call: str
    nth: int
    held: float = 0.0  # seconds

    @property
    def name(self) -> str:
        """Return what it is called in reports."""
        return f"{self.thread}, {self.call} {self.nth}"


def can_trace() -> str | None:
    """Return why strace can't be used here, or None."""
    return None if shutil.which("strace") else "strace is not installed"


class Traced:
    """One run of a site's broker under strace."""

    def __init__(self, site: DemoSite, number: int) -> None:
        self._site = site
        folder = site.folder / "traced"
        folder.mkdir(exist_ok=True)
        self._trace, self._threads = folder / f"{number}.trace", folder / f"{number}.threads"
        self.log = folder / f"{number}.log"
        self._ended: int | None = None
        self._child: Child | None = None

    async def start(self, *, fault: Fault | None = None, slow: float = 0.0) -> Child:
        """Start the broker: with a fault, or with a disk whose every fsync takes `slow` seconds, or neither."""
        trace = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-y",
            "-ttt",
            "-T",
            "-qq",
            "-e",
            "signal=none",
            "-o",
            str(self._trace),
        ]
        trace += ["-e", "trace=fsync,fdatasync,rename,renameat,renameat2"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
        environment["DISK_THREADS"] = str(self._threads)
        if fault is not None:
            held = f"delay_enter={int(fault.held * 1e6)}" if fault.held else "delay_exit=1"
            trace += ["-e", f"inject={fault.call}:error=EIO:{held}:when={HIGH + fault.nth}"]
            environment |= {"DISK_THREAD": fault.thread, "DISK_CALL": fault.call, "DISK_BURN": str(HIGH)}
        elif slow:
            trace += ["-e", f"inject=fsync,fdatasync:delay_enter={int(slow * 1e6)}"]
        output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *trace,
                sys.executable,
                "-m",
                "tests.disk.broker",
                "serve",
                "--config",
                str(self._site.config),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(output)
        self._child = Child(f"traced broker {self._site.key}", process, self.log)
        return self._child

    def calls(self) -> list[Call]:
        """Return all calls that have ended, in the order in which they ended; the empty ones are left out."""
        return [call for call in _calls(self._trace, _names(self._threads)) if not call.on(f"/{BURN}")]

    def failed(self) -> Call | None:
        """Return the call that the fault was planted into, once it has returned."""
        return next((call for call in self.calls() if call.injected), None)


def by_thread(calls: list[Call]) -> Counter[tuple[str, str]]:
    """Count fsync and fdatasync by thread: strace counts the two apart."""
    return Counter((call.thread, call.name) for call in calls if "sync" in call.name)


def _names(path: Path) -> dict[int, str]:
    if not path.exists():
        return {}
    return {int(line.split(" ", 1)[0]): line.split(" ", 1)[1] for line in path.read_text().splitlines()}


def _calls(path: Path, names: dict[int, str]) -> Iterator[Call]:
    if not path.exists():
        return
    begun: dict[str, tuple[float, str]] = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        if not (found := _LINE.match(line)):
            continue
        thread, at, said = found[1], float(found[2]), found[3]
        if said.endswith("<unfinished ...>"):
            begun[thread] = (at, said.removesuffix("<unfinished ...>").rstrip())
            continue
        if (resumed := _RESUMED.match(said)) and thread in begun:
            at, start = begun.pop(thread)
            said = start + resumed[1].lstrip() if start.endswith(("(", ", ")) else start + resumed[1]
        if call := _CALL.match(said):
            yield Call(
                name=call[1],
                thread=names.get(int(thread), thread),
                paths=tuple(one or other for one, other in _PATH.findall(call[2])) or ("",),
                began=at,
                ended=at + float(call[4]),
                injected="(INJECTED)" in said,
            )
