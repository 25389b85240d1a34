"""Kill -9 in the middle of writing, again and again: everything that was reported written must be there.

    python -m tests.store.kill                                    10 kills, a few seconds
    KILLS=1000 python -m tests.store.kill                         the long form
    SABOTAGE=reply-before-commit python -m tests.store.kill       must fail: waiters are told before the COMMIT

A kill proves the order of commit and answer, not fsync: the page cache outlives a process. Failed fsyncs have a test
of their own in test_disk_faults.py.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from broker.store import writer
from broker.store.sqlite import SqliteStore, open_store
from tests.store import values
from tests.store.values import OURS, SITE_KEY

TASKS = 8
SIZES = (100, 20_000, 300_000)  # bytes: in the row, in the row, in a file
LEAST_PER_KILL = 5  # reported writes; fewer would prove nothing


def content(name: str) -> bytes:
    """Return the document of this name; it can be made again to compare."""
    size = SIZES[sum(name.encode()) % len(SIZES)]
    return (name.encode() * (size // len(name) + 1))[:size]


async def write(folder: Path, turn: int, report: int) -> None:
    """Write until killed. What the store has confirmed goes to the pipe `report`, a line each."""
    store = await open_store(folder, site_key=SITE_KEY, on_broken=lambda error: os._exit(9))

    async def task(number: int) -> None:
        for count in range(1_000_000):
            name = f"{turn}-{number}-{count}"
            changes = values.taken(content(name), msg_id=name)
            await store.accept(changes)
            os.write(report, f"accepted {name}\n".encode())
            sealed, _, made = values.sealed(changes.deliveries[0], content(name))
            await store.record(sealed)
            os.write(report, f"sealed {made.eb_id} {name}\n".encode())

    await asyncio.gather(*(task(number) for number in range(TASKS)))


def reply_before_commit() -> None:
    """The planted fault: all are told as soon as the closures of their group have run, and the thread commits it."""
    run, commit = writer.Writer._run, writer.Writer._commit

    def told_early(self: writer.Writer, group: Sequence[writer.Job], *, commit: bool) -> list[writer.Told] | None:
        told = run(self, group, commit=False)
        writer._resolve(told or [])
        return None if commit else told  # on the event loop nobody would hear of it before the COMMIT

    def late(self: writer.Writer, group: Sequence[writer.Job], told: list[writer.Told] | None = None) -> Any:
        threading.Event().wait(0.01)
        return commit(self, group, told)

    writer.Writer._run = told_early  # type: ignore[method-assign] # the fault to be found
    writer.Writer._commit = late  # type: ignore[method-assign]


def start(folder: Path, turn: int) -> tuple[int, int]:
    """Fork a process that writes. Returns its id, and the pipe of its reports."""
    values._numbers = iter(range(turn * 10**9, (turn + 1) * 10**9))  # ids of its own
    reports, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reports)
        try:
            if os.environ.get("SABOTAGE") == "reply-before-commit":
                reply_before_commit()
            asyncio.run(write(folder, turn, report))
        finally:
            os._exit(1)
    os.close(report)
    return pid, reports


def kill_after(pid: int, reports: int, lines: int) -> list[str]:
    """Kill the process once it has reported so many lines, and return all that it reported."""
    text = b""
    killed = False
    while piece := os.read(reports, 65536):
        text += piece
        if not killed and text.count(b"\n") >= lines:
            os.kill(pid, signal.SIGKILL)
            killed = True
    os.close(reports)
    os.waitpid(pid, 0)
    return text.decode().splitlines()


async def lost(store: SqliteStore, line: str) -> bool:
    """Say whether something that was reported is not there, or not whole."""
    what, *ids = line.split()
    try:
        if what == "accepted":
            found = await store.outbound(OURS, ids[0])
            return found is None or await store.body(found.message.body) != content(ids[0])
        known = await store.work_by_envelope(ids[0])
        return known is None or await store.body(known[1].body) != content(ids[1])
    except KeyError:
        return True


async def check(folder: Path, lines: list[str]) -> list[str]:
    """Open the store again and return what is lost; the database and the folder of bodies must be whole too."""
    store = await open_store(folder, site_key=SITE_KEY, on_broken=lambda error: os._exit(9))
    try:
        missing = [line for line in lines if await lost(store, line)]
        whole = await store._writer.run(lambda db: db.execute("PRAGMA quick_check").fetchall())
        named = await store._writer.run(
            lambda db: db.execute("SELECT count(*) FROM body WHERE file IS NOT NULL").fetchone()[0]
        )
        files = len(os.listdir(folder / "bodies"))
        return missing + [str(row) for row in whole if row != ("ok",)] + (["files"] if files != named else [])
    finally:
        await store.close()


def main() -> int:
    """Run the harness. Returns 0 when nothing was lost and enough was written."""
    kills, seed = int(os.environ.get("KILLS", "10")), int(os.environ.get("SEED", "1"))
    chance = random.Random(seed)
    reported: list[str] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for turn in range(kills):
            lines = kill_after(*start(folder, turn), chance.randint(LEAST_PER_KILL, 150))
            missing += asyncio.run(check(folder, lines))
            reported += lines
        missing += asyncio.run(check(folder, reported))
    enough = len(reported) >= kills * LEAST_PER_KILL and kills > 0
    print(f"{kills} kills (seed {seed}), {len(reported)} writes reported, {len(missing)} lost or damaged")
    for line in missing[:5]:
        print("  lost:", line)
    if not enough:
        print("  too little was written to prove anything")
    return 0 if enough and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
