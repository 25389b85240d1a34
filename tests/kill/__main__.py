"""Harness: the real daemons under load, killed with kill -9 again and again; afterwards the EPJs' ledgers balance.

    python -m tests.kill [--short] [--seed N] [--folder FOLDER]

Two brokers and two simulated EPJs, each a process of its own; the EPJs' ledgers are fsynced and are all that is
judged. Every kill is aimed at a moment in the victim's log. Prints the seed and what it executed, and fails below its
floors. SABOTAGE=ack-before-commit or reply-before-fsync starts brokers that promise what is not written yet.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from broker.demo.site import hold
from broker.lookup.randomness import SystemRandomness
from tests.kill.autopsy import STOP_POINTS
from tests.kill.ledgers import Books
from tests.kill.run import SIDES, Run

SABOTAGES = ("ack-before-commit", "reply-before-fsync")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How much is done, and the least that must have been."""

    messages: int
    kills: int
    a_side: int
    amid: int
    each_stop_point: int
    patience: float  # seconds without a new entry in a ledger, after which nothing more is hoped for


SHORT = Form(messages=60, kills=6, a_side=3, amid=3, each_stop_point=0, patience=40.0)
FULL = Form(messages=2000, kills=100, a_side=40, amid=60, each_stop_point=3, patience=110.0)
_BROKEN_PATIENCE = 15.0  # what a planted fault has lost will not come, however long it is waited for


async def killed(run: Run) -> None:
    async with run:
        await run.go()


def shown(run: Run, books: Books, form: Form) -> list[str]:
    """Print what was executed, and return what there is too little of."""
    counts: list[tuple[str, int, int]] = [
        ("documents taken", len(books.taken), form.messages),
        ("kills", run.killed.total(), form.kills),
        *((f"kills of {side}", run.killed[side], form.a_side) for side in SIDES),
        ("kills with something between 202 and outcome", run.amid, form.amid),
        *((f"kills at {point}", run.at[point], form.each_stop_point) for point in sorted(set(STOP_POINTS.values()))),
    ]
    for name, count, floor in counts:
        last = f", the last commit in {run.last[name[-2:]]}" if name.startswith("kills at") else ""
        print(f"{name}: {count} (at least {floor}){last}")
    print(f"kills at the moment aimed at: {run.told_by_log}")
    print(
        "K3 is committed on its own only where a key of ours is missing: the harness of every commit point kills there"
    )
    for name, count in books.counts().items():
        print(f"in the ledgers, {name}: {count}")
    return [f"TOO FEW {name}: {count}" for name, count, floor in counts if count < floor]


def main() -> int:
    """Run the harness. Returns 0 where the ledgers balance."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=int.from_bytes(SystemRandomness().bytes(3)))
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    sabotage = os.environ.get("SABOTAGE", "")
    if sabotage and sabotage not in SABOTAGES:
        print(f"SABOTAGE must be one of {', '.join(SABOTAGES)}")
        return 2
    form, started = SHORT if given.short else FULL, time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        folder = (given.folder or Path(made) / "kill").resolve()
        with hold(folder):
            print(f"kill, {'short' if given.short else 'full'} form, seed {given.seed}", flush=True)
            run = Run(
                folder,
                messages=form.messages,
                kills=form.kills,
                seed=given.seed,
                module="tests.kill.spoiled_broker" if sabotage else "broker",
                patience=_BROKEN_PATIENCE if sabotage else form.patience,
            )
            asyncio.run(killed(run))
            books = run.books()
            red = [*shown(run, books, form), *books.complaints(run.posts)]
    print(f"{time.monotonic() - started:.0f} s")
    for line in red[:40]:
        print(f"RED: {line}")
    print(f"red: {len(red)} complaints" if red else "green: every 202 ended once")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
