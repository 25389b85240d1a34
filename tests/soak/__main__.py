"""Harness: a steady load, a fault at each beat, and in the second half nothing that the broker holds may grow.

    python -m tests.soak [--minutes 30] [--short] [--picture FILE.svg] [--folder FOLDER]

Bars of the second half, for the broker of Fjordvik, which is killed in the first half only: memory grows less than
5 MB in 10 minutes (the straight line through all samples); handles and threads differ by 5 at most between the first
and the last third (medians). Of the whole run: the log of the store stays under 64 MB, and every letter ends once.
`--short` runs the same for a minute and a bit, with bars that fit so short a time; they are printed.
SABOTAGE=leak-memory or leak-handles plants what must be seen.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from broker.demo.site import hold
from tests.soak.plot import picture
from tests.soak.run import Plan, Run, soak
from tests.soak.watch import MB, Sample, slope

# A gate that skips in silence is none.
MUST_RUN = any(os.environ.get(name) for name in ("CI", "DIGIHELSE_REFERENCE"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """What the second half may do at most."""

    growth: float  # bytes in 10 minutes
    drift: float  # handles, threads
    log: int  # bytes
    samples: int  # at least
    faults: int  # at least
    letters: int  # at least


def _long(minutes: float) -> tuple[Plan, Bars]:
    seconds = minutes * 60
    plan = Plan(seconds=seconds, beat=30, between=0.5, disk=1500 * MB, settle=300)
    least = int(seconds / 30 * 0.8)
    return plan, Bars(
        growth=5 * MB, drift=5, log=64 * MB, samples=int(seconds / 2), faults=least, letters=int(seconds * 3)
    )


# A process that has just begun still grows into its caches: 20 MB in the 35 s that are looked at.
SHORT = (
    Plan(seconds=70, beat=7, between=0.35, disk=300 * MB),
    Bars(growth=20 * MB * 600 / 35, drift=8, log=64 * MB, samples=50, faults=7, letters=200),
)


def judge(run: Run, plan: Plan, bars: Bars) -> tuple[list[str], list[str]]:
    """Return what is to be said of a run, and what is wrong with it."""
    half = [sample for sample in run.samples if sample.at >= plan.seconds / 2]
    said, wrong = [], list(run.wrong)
    if len({sample.pid for sample in half}) != 1:
        wrong.append("the watched broker was not one process in the second half")
    for what, done, least in (
        ("samples", len(run.samples), bars.samples),
        ("faults", len(run.faults), bars.faults),
        ("letters", run.letters, bars.letters),
    ):
        said.append(f"{done} {what} (at least {least})")
        if done < least:
            wrong.append(f"only {done} {what}")
    growth, log = slope(half) * 600, max((sample.log for sample in run.samples), default=0)
    measured = [
        ("MB of memory in 10 minutes", growth / MB, bars.growth / MB),
        ("handles more or less", _drift([sample.handles for sample in half]), bars.drift),
        ("threads more or less", _drift([sample.threads for sample in half]), bars.drift),
        ("MB of log", log / MB, bars.log / MB),
    ]
    for what, value, most in measured:
        said.append(f"{value:.1f} {what} (at most {most:.0f})")
        if value > most:
            wrong.append(f"{value:.1f} {what}, at most {most:.0f}")
    said.append(_span(half))
    return said, wrong


def _drift(values: Sequence[int]) -> float:
    third = len(values) // 3
    return abs(median(values[-third:]) - median(values[:third])) if third else 0.0


def _span(samples: Sequence[Sample]) -> str:
    if not samples:
        return "no samples in the second half"
    memory, handles, threads = (
        (min(values), max(values))
        for values in zip(*((each.memory // MB, each.handles, each.threads) for each in samples), strict=True)
    )
    return f"second half, from and to: memory {memory} MB, handles {handles}, threads {threads}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--picture", type=Path, help="where to draw the run")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    plan, bars = SHORT if given.short else _long(given.minutes)
    if os.environ.get("SABOTAGE"):
        plan = replace(plan, seconds=36, settle=1)  # long enough for a planted leak to be seen; the floors fall too
    with tempfile.TemporaryDirectory(prefix="soak-") as made:
        folder = ((given.folder or Path(made)) / "sites").resolve()
        with hold(folder):
            run = asyncio.run(soak(folder, plan))
    said, wrong = judge(run, plan, bars)
    if given.picture:
        title = f"{plan.seconds:.0f} s, {run.letters} letters, {len(run.faults)} faults"
        given.picture.write_text(picture(title, run.samples, run.faults), "utf-8")
        said.append(f"drawn in {given.picture}")
    for at, name in run.faults:
        print(f"  {at:6.1f} s: {name}")
    for name in sorted(run.skipped):
        print(f"SKIPPED: {name}")
        wrong += [f"{name} was skipped"] if MUST_RUN else []
    for line in [*said, *(f"WRONG: {one}" for one in wrong), "red" if wrong else "green"]:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
