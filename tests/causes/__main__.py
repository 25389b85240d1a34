"""Harness: every cause is produced for real, and must be called by its name everywhere.

    python -m tests.causes [--only WORD]

Prints the table: what was done, error id, who has the ball, seconds. Below the floors it is red. SABOTAGE=swap-causes
gives every cause its neighbour's id, all-unexpected calls everything MB-9102, operators-differ lets the socket say
something else than the API, one-language leaves the English out: each must be red.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from broker import telemetry
from tests.causes import alarms, at_home, by_path, on_the_wire, receipts
from tests.causes.sabotage import planted
from tests.causes.told import Case, Wrong, faults_of

CASES = (*at_home.CASES, *on_the_wire.CASES, *receipts.CASES, *alarms.CASES, *by_path.CASES)
FLOOR, FLOOR_OF_IDS = 84, 75


async def judge(case: Case, folder: Path) -> list[str]:
    """Produce one cause. Returns what is wrong with what was told of it."""
    try:
        async with asyncio.timeout(30):
            told = await case.produce(folder)
    except (Wrong, AssertionError, TimeoutError) as error:
        return [f"{type(error).__name__}: {error}"]
    return faults_of(case, told)


def run(cases: Sequence[Case], *, sabotage: str) -> bool:
    """Produce the causes, with this fault planted or none, and print the table. Returns whether all was right."""
    began, red, ids = time.monotonic(), 0, set[str]()
    with planted(sabotage), tempfile.TemporaryDirectory(prefix="causes-") as made:
        for number, case in enumerate(cases):
            folder, at = Path(made) / str(number), time.monotonic()
            folder.mkdir()
            wrong = asyncio.run(judge(case, folder))
            ids.add(case.error_id)
            took = time.monotonic() - at
            print(f"{case.error_id}  {case.ball:8} {took:4.1f} s  {case.name}", flush=True)
            for line in wrong:
                print(f"         WRONG: {line}", flush=True)
            red += bool(wrong)
    print(f"{len(cases)} causes produced, {len(ids)} error ids, {red} wrong, {time.monotonic() - began:.0f} s")
    if len(cases) == len(CASES) and (len(cases) < FLOOR or len(ids) < FLOOR_OF_IDS):
        print(f"WRONG: the floors are {FLOOR} causes and {FLOOR_OF_IDS} error ids")
        red += 1
    print("red" if red else "green")
    return not red


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.causes")
    parser.add_argument("--only", default="", help="a word of the causes to produce, or an error id")
    given = parser.parse_args()
    telemetry.configure("critical")
    cases = [case for case in CASES if given.only in f"{case.error_id} {case.name}"]
    return 0 if run(cases, sabotage=os.environ.get("SABOTAGE", "")) else 1


if __name__ == "__main__":
    sys.exit(main())
