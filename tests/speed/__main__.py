"""How fast the commands that look are over many messages: each as a whole process, and its answer in the daemon.

Time is that of the processor (what the process and its threads used), the best of a few: other work on the machine
changes it little. Prints a table, and ends with 1 when anything takes longer than it may, is measured fewer times than
the floor, or loads what a command that only looks has no need of. SABOTAGE=one-by-one answers `problems` message by
message; SABOTAGE=heavy loads the web server first. Each must turn it red.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from broker.diagnosis.problems import problems, tally
from broker.lookup.address_files import AddressFiles
from broker.lookup.clock import SystemClock
from broker.lookup.site_key import site_key
from broker.store.sqlite import open_reader
from broker.web.looking import ANSWERS, Operators, Reads
from broker.web.operator import operator_app, operator_socket
from tests.speed.fill import fill, first_open

PROCESS, ANSWER = 0.500, 0.100  # seconds of processor time
PARTS = ("alone", "socket", "daemon")
FLOOR = 7  # measured figures of each part
HEAVY = ("aiohttp", "pydantic_settings", "pydantic", "lxml", "xmlschema", "structlog")

_ASK = """
import sys
{first}
from broker.cli.main import main
try:
    main({arguments})
finally:
    print(",".join(sorted({heavy} & set(sys.modules))), file=sys.stderr)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that was measured."""

    what: str
    seconds: float
    most: float
    loaded: str = ""  # of HEAVY

    @property
    def good(self) -> bool:
        """Say whether it was fast enough, and loaded nothing that it need not."""
        return self.seconds <= self.most and not self.loaded


async def one_by_one(store: Reads) -> int:
    """The planted fault: problems out of every open delivery, one after the other."""
    now = SystemClock().now()
    listed = await store.queue(limit=1_000_000)
    works = [work for each in listed if (work := await store.work(each.delivery.id)) is not None]
    return len(problems((tally(work.delivery, work.message, now=now) for work in works), now=now))


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[tuple[Reads, Operators]]:
    """Answer at the socket, as the daemon does."""
    store = await open_reader(folder / "data", site_key=site_key(folder / "data"))
    try:
        operators = Operators(
            store,
            addresses=AddressFiles(folder / "addresses"),
            clock=SystemClock(),
            cancels=lambda *_: False,
            closed=lambda: set(),
        )
        async with operator_socket(operator_app(operators), folder / "data" / "operator.sock"):
            yield store, operators
    finally:
        await store.close()


async def answered(what: str, answer: Callable[[], Awaitable[object]], times: int) -> Figure:
    """Measure one answer within the daemon."""
    best = float("inf")
    for _ in range(times):
        before = time.process_time()
        await answer()
        best = min(best, time.process_time() - before)
    return Figure(what=f"daemon {what}", seconds=best, most=ANSWER)


def asked(folder: Path, part: str, times: int, most: float, arguments: Sequence[str]) -> Figure:
    """Measure one command as a whole process."""
    first = "import aiohttp" if os.environ.get("SABOTAGE") == "heavy" else ""
    script = _ASK.format(first=first, arguments=list(arguments), heavy=set(HEAVY))
    best, loaded = float("inf"), ""
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run(
            [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ran.returncode in (0, 1), ran.stderr
        assert ran.stdout
        loaded = ran.stderr.strip()
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return Figure(what=f"{part} {' '.join(arguments)}", seconds=best, most=most, loaded=loaded)


async def measure(folder: Path, parts: Sequence[str], times: int, most: float) -> list[Figure]:
    """Return the figures of these parts over the store in `folder`, each the best of some times."""
    message, envelope = first_open(folder)
    commands = [
        *[("status",), ("problems",), ("show", message), ("queue", "--shape"), ("queue",), ("partners",)],
        ("trace", envelope),
    ]
    questions: list[tuple[str, Mapping[str, str]]] = [
        *[("status", {}), ("problems", {}), ("journey", {"id": message}), ("shape", {}), ("partners", {})],
        *[("queue", {"limit": "100"}), ("events", {"after": "-20"})],
    ]
    figures = [asked(folder, "alone", times, most, each) for each in commands] if "alone" in parts else []
    async with daemon(folder) as (store, operators):
        if "socket" in parts:
            figures += [await asyncio.to_thread(asked, folder, "socket", times, most, each) for each in commands]
        for what, how in questions if "daemon" in parts else ():
            if what == "problems" and os.environ.get("SABOTAGE") == "one-by-one":
                figures.append(await answered(what, partial(one_by_one, store), times))
            else:
                figures.append(await answered(what, partial(ANSWERS[what], operators, how), times))
    return figures


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3, help="Each figure is the best of so many.")
    parser.add_argument("--slack", type=float, default=1, help="How often the limit of a process, on a busy machine.")
    parser.add_argument("--part", choices=PARTS, action="append", help="Else all three.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        still = fill(Path(folder), messages=arguments.messages, now=SystemClock().now())
        print(f"{arguments.messages} messages, {still} open; processor time, best of {arguments.times}")
        parts = arguments.part or PARTS
        figures = asyncio.run(measure(Path(folder), parts, arguments.times, PROCESS * arguments.slack))
    for each in figures:
        verdict = "ok" if each.good else "TOO SLOW" if not each.loaded else f"LOADS {each.loaded}"
        print(f"{each.what[:40]:40} {each.seconds * 1000:6.0f} ms of {each.most * 1000:.0f}   {verdict}")
    bad = [each for each in figures if not each.good]
    floor = FLOOR * len(parts)
    print(f"{len(figures)} figures (floor {floor}), {len(bad)} bad")
    return 1 if bad or len(figures) < floor or still < arguments.messages // 25 else 0


if __name__ == "__main__":
    sys.exit(main())
