"""Harness: the disk fails, is full, and forgets, and the broker keeps its promises or ends.

    python -m tests.disk [--all] [--only faults|full|rot] [--folder FOLDER]

1. On a slow disk under strace, every promise (202, Acknowledgment) must come after the fsyncs that it rests on.
2. EIO at fsyncs and fdatasyncs, of which there is a list by thread from 1: after it no promise; the broker ends, says
   why, and comes back whole. `--all` goes through every (thread, call, n) until a run is clean; else a few.
3. A disk of 20 MB, filled by another program: 503 with `accepted: false`; what is owed still goes; then on, unstarted.
4. One bit of every kind of kept body is turned: noticed at read, held for a person, never sent on.

Needs strace, and root for the disk of its own; where they are missing that is printed, and red under CI.
SABOTAGE=ack-before-commit, reply-before-fsync, skip-dir-fsync or trust-damaged plants what must be seen.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from broker.demo.site import hold
from tests.disk.bench import bench
from tests.disk.faults import HELD, WRITER, Swept, ends_whole, first_start, sweep, under_load
from tests.disk.full import SETTINGS, can_mount, filled
from tests.disk.order import Ordered, ordered
from tests.disk.rot import rotten
from tests.disk.traced import Fault, can_trace

# A gate that skips in silence is none.
MUST_RUN = any(os.environ.get(name) for name in ("CI", "DIGIHELSE_REFERENCE"))
POOL, MAIN = "uvloop", "MainThread"
FLOOR = {"promises": 9, "with files": 2, "points": 6}
ALL_FLOOR = {"promises": 27, "with files": 6, "points": 45}
_SHORT = (
    Fault(thread=WRITER, call="fdatasync", nth=5, held=HELD),
    Fault(thread=WRITER, call="fdatasync", nth=14, held=HELD),
    Fault(thread=MAIN, call="fdatasync", nth=1),
    Fault(thread=POOL, call="fsync", nth=2),
)
_TRIES = 4  # a post that shares its commit with something large is committed by the thread, and such is chance
_SHORT_FIRST = (Fault(thread=MAIN, call="fsync", nth=1), Fault(thread=POOL, call="fdatasync", nth=5))


async def _faults(folder: Path, *, whole: bool, say: Callable[[str], None]) -> list[str]:
    async with bench(folder) as built:
        seen = await ordered(built, rounds=3 if whole else 1)
        _tell(seen, say)
        swept = Swept()
        if seen.wrong and os.environ.get("SABOTAGE"):
            return seen.wrong  # seen already
        if whole:
            # Which of a pool's threads does a job is chance: they are one.
            pools = {(POOL if thread.startswith(f"{POOL}_") else thread, call) for thread, call in seen.threads}
            await sweep(built, swept, sorted(pools))
            for thread, call in sorted(pools):
                nth = 1
                while await first_start(built, swept, Fault(thread=thread, call=call, nth=nth)):
                    nth += 1
        else:
            for fault in _SHORT:
                for _ in range(_TRIES):
                    if await under_load(built, swept, fault):
                        break
            for fault in _SHORT_FIRST:
                await first_start(built, swept, fault)
        unbalanced = await ends_whole(built)
        say(f"EIO at {len(swept.hit)} points, at the latest {swept.slowest:.1f} s before the process had ended:")
        for point in swept.hit:
            say(f"  {point}")
        say(f"EIO for a folder, which SQLite ignores and we have fsynced ourselves: {len(swept.redundant)} points")
        for point in swept.redundant:
            say(f"  {point}")
        say(f"not reached any more, so clean: {'; '.join(swept.clean) or 'none'}")
        say(f"{len(built.books.laid)} letters through all of this, {len(unbalanced)} complaints of the ledgers")
        short = _below(
            ALL_FLOOR if whole else FLOOR,
            {"promises": seen.promises, "with files": seen.with_files, "points": len(swept.hit) + len(swept.redundant)},
        )
        return [*seen.wrong, *swept.wrong, *unbalanced, *short]


def _tell(seen: Ordered, say: Callable[[str], None]) -> None:
    say(f"{seen.promises} promises held against the fsyncs before them, {seen.with_files} of them with files")
    for (thread, call), count in sorted(seen.threads.items()):
        say(f"  {thread}: {count} {call}")


def _below(floor: dict[str, int], done: dict[str, int]) -> list[str]:
    return [f"only {done[name]} {name}, floor {least}" for name, least in floor.items() if done[name] < least]


async def _full(folder: Path, *, whole: bool, say: Callable[[str], None]) -> list[str]:
    async with bench(folder, settings=SETTINGS) as built:
        seen = await filled(built, rounds=5 if whole else 1)
    say(f"a full disk: {seen.refused} posts refused with accepted: false, {seen.owed} letters of the partner receipted")
    say(f"from the reserve, {seen.after} letters taken when there was room again, by the same process")
    done = {"refused": seen.refused, "owed": seen.owed, "after": seen.after}
    return [*seen.wrong, *_below({"refused": 20, "owed": 6, "after": 10}, done)]


async def _rot(folder: Path, *, whole: bool, say: Callable[[str], None]) -> list[str]:
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    seen = await rotten(folder, seed=seed, places=10 if whole else 1)
    say(f"seed {seed}: {seen.bits} bits of one body turned one by one, each noticed or named below")
    say(f"{len(seen.turned)} turned in the life of a message, with another beside it that must not suffer")
    return [*seen.wrong, *_below({"bits": 900, "turned": 28}, {"bits": seen.bits, "turned": len(seen.turned)})]


PARTS = {"faults": (_faults, can_trace), "full": (_full, can_mount), "rot": (_rot, lambda: None)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.disk")
    parser.add_argument("--all", action="store_true", help="every point of the sweep, more rounds of the rest")
    parser.add_argument("--only", choices=[*PARTS], action="append", help="this part, and not the others")
    parser.add_argument("--folder", type=Path, help="where the sites are made, and left to be looked at")
    given = parser.parse_args()
    began = time.monotonic()
    wrong: list[str] = []

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="disk-") as made:
        for name, (part, lacking) in PARTS.items():
            if given.only and name not in given.only:
                continue
            if lack := lacking():
                say(f"SKIPPED: {name}, for {lack}")
                wrong += [f"{name} was skipped"] if MUST_RUN else []
                continue
            folder = ((given.folder or Path(made)) / name).resolve()
            with hold(folder):
                try:
                    wrong += asyncio.run(part(folder, whole=given.all, say=say))
                except (AssertionError, TimeoutError) as late:
                    wrong.append(f"{name}: {type(late).__name__} {late}")
    for line in wrong[:40]:
        say(f"WRONG: {line}")
    say(f"red: {len(wrong)}" if wrong else "green")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
