"""EIO at each fsync of each thread: after it no promise is given; the broker ends, says why, and comes back whole."""

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from broker.demo.children import Child, Died
from broker.demo.questions import Questions
from broker.demo.site import DemoSite
from broker.demo.start import start_broker, until_ready
from tests.disk.bench import Bench, until
from tests.disk.traced import Call, Fault, Traced

HELD = 1.0  # seconds that the failing call takes: what was promised before it is out by then
DRAIN = 0.4
ENDS_WITHIN = 30.0
WRITER = "store writer"


@dataclass
class Swept:
    """The points that were hit, and what was wrong."""

    hit: list[str] = field(default_factory=list)
    clean: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    redundant: list[str] = field(default_factory=list)  # see _of_sqlite_alone
    slowest: float = 0.0  # seconds from a fault to the end of the process


async def under_load(bench: Bench, swept: Swept, fault: Fault) -> bool:
    """Run the subject with one fault under load. Returns whether the fault was reached."""
    bench.load()
    run = bench.traced(bench.ours)
    broker = await run.start(fault=fault)
    await _until_over(fault.name, bench, run, broker)
    ended, code = time.time(), await broker.stop(within=ENDS_WITHIN)
    failed, name = run.failed(), fault.name
    if failed is None:
        swept.clean.append(name)
        if code != 0:
            swept.wrong.append(f"{name}: ended with {code}, and no fault was planted yet; see {run.log}")
        return False
    swept.slowest = max(swept.slowest, 0.0 if _of_sqlite_alone(failed) else ended - failed.ended)
    _judge(name, run, failed, code, swept)
    if _of_sqlite_alone(failed):
        return True  # it went on to the end, as it may
    # One thread writes; while it is held, nothing new can be promised. Another thread's fault is known when it returns.
    since = failed.began if failed.thread == WRITER else failed.ended
    swept.wrong += [f"{name}: {promise}" for promise in bench.promises(after=since + DRAIN)]
    return True


async def first_start(bench: Bench, swept: Swept, fault: Fault) -> bool:
    """Start a broker that has nothing yet, with one fault; then start it again. Returns whether it was reached."""
    site, name = bench.third, f"first start: {fault.name}"
    shutil.rmtree(site.folder / "data", ignore_errors=True)
    run = bench.traced(site)
    broker = await run.start(fault=fault)
    questions = Questions(site.api, site.token)
    try:
        async with asyncio.timeout(ENDS_WITHIN):
            while not _ended(broker):
                if await questions.ready():
                    break
                await asyncio.sleep(0.05)
    finally:
        await questions.close()
        code = await broker.stop(within=ENDS_WITHIN)
    failed = run.failed()
    if failed is None:
        swept.clean.append(name)
        return False
    _judge(name, run, failed, code, swept)
    await _comes_back(site)
    return True


async def _comes_back(site: DemoSite) -> None:
    again = await start_broker(site)
    questions = Questions(site.api, site.token)
    try:
        await until_ready(again, questions)
    finally:
        await questions.close()
        await again.stop()


def _judge(name: str, run: Traced, failed: Call, code: int, swept: Swept) -> None:
    path = failed.paths[0].rpartition("/")[2]
    if _of_sqlite_alone(failed):
        swept.redundant.append(f"{name} ({path})")
        ours = any(call.name == "fsync" and call.paths == failed.paths for call in run.calls())
        if code != 0 or not ours:
            swept.wrong.append(
                f"{name}: ended with {code}; the folder was {'' if ours else 'not '}fsynced by ourselves"
            )
        return
    swept.hit.append(f"{name} ({path})")
    if code not in (1, 2):
        swept.wrong.append(f"{name}: ended with exit code {code}")
    said = run.log.read_text("utf-8", "replace")
    if not any(words in said for words in ("SQLITE_IOERR", "EIO", "Input/output error")):
        swept.wrong.append(f"{name}: did not say why it ended; see {run.log}")


async def _until_over(name: str, bench: Bench, run: Traced, broker: Child) -> None:
    """Wait until the broker has ended by itself, or has done all that there is to do."""
    began = time.monotonic()
    failed: Call | None = None
    while not _ended(broker):
        failed = failed or run.failed()
        if failed is not None and _of_sqlite_alone(failed):
            if bench.settled():
                return
        elif failed is not None and time.time() > failed.ended + ENDS_WITHIN:
            raise AssertionError(f"{name}: did not end within {ENDS_WITHIN:.0f} s of the fault")
        if failed is None and bench.settled():
            return
        if time.monotonic() - began > 90:
            raise AssertionError(f"{name}: {len(bench.books.open())} letters have not ended, and it has not ended")
        await asyncio.sleep(0.1)


def _of_sqlite_alone(call: Call) -> bool:
    """Say whether the call is SQLite's own for the folder that it made a file in. It looks at no error of that.

    It need not: the store fsyncs the folder itself when it opens, with the log's name in it, and looks.
    """
    return call.name == "fdatasync" and call.on("/data")


def _ended(child: Child) -> bool:
    try:
        child.alive()
    except Died:
        return True
    return False


async def sweep(bench: Bench, swept: Swept, threads: Sequence[tuple[str, str]], *, only: Sequence[int] = ()) -> None:
    """Go through every n of every (thread, call) until a run is clean; or through the ns in `only`."""
    for thread, call in threads:
        held = HELD if thread == WRITER else 0.0
        for nth in only or range(1, 1000):
            if not await under_load(bench, swept, Fault(thread=thread, call=call, nth=nth, held=held)):
                break


async def ends_whole(bench: Bench) -> list[str]:
    """Start the subject without a fault, and let all come to its end. Returns what does not balance."""
    broker = await start_broker(bench.ours)
    try:
        await until("all letters came to their end", bench.settled, within=90)
        return bench.books.complaints()
    finally:
        await broker.stop()
