"""Harness: two brokers are killed before and after every store write and every door call, and the ledgers must balance.

    python -m tests.scenario.points [--short | --journey NAME] [--seed N]

Journeys lead through the whole lifecycle, and scripts tell one broker of a message's fate in every order; each is run
once whole and then again for each of its points, with the broker killed there and opened again on its files, and for
pairs of points. The short form samples: all that a transition needs, and the rest by a seed, which is printed. Prints
what it executed and which transitions were killed at, and fails below its floors; of one journey alone it takes every
point, and asks for no more than that. SABOTAGE=name plants a fault.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from broker import telemetry
from tests.scenario.balance import complaints
from tests.scenario.broken_brokers import SABOTAGES
from tests.scenario.journeys import journeys
from tests.scenario.mortal import Edge, Knife, Point, all_edges
from tests.scenario.orders import Listening, Stage, scripts
from tests.scenario.world import World

# Arrows that nothing in the program can take, and why. One that is taken all the same is red too: then it is a lie.
UNREACHED: dict[tuple[str, str, str], str] = {
    ("transport", "sent", "abandoned"): "giving up is a step of its own, and a delivery has one step at a time",
    ("item", "stored", "stored"): "said again, it is answered without a write",
    ("item", "stored", "judged"): "said again, it is answered without a write",
    ("item", "stored", "receipted"): "said again, it is answered without a write",
}
FLOORS = {
    "one": {"runs": 40, "kills": 40, "journeys": 1, "scripts": 0, "transitions": 5},
    "short": {"runs": 420, "kills": 300, "journeys": 70, "scripts": 60, "transitions": 103},
    "full": {"runs": 16_000, "kills": 14_000, "journeys": 70, "scripts": 2_500, "transitions": 103},
}
PLAN = {
    "one": (10**9, 0, 0, 0),
    "short": (190, 50, 90, 80),
    "full": (10**9, 1_500, 10**9, 3_000),
}  # points, pairs, scripts, points in scripts
_TELL = 1000  # runs between two lines of progress


@dataclass(frozen=True, slots=True)
class Task:
    """One run: which journey or script, and where the knife falls."""

    kind: str  # journey, script
    index: int
    cuts: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of one run."""

    task: Task
    name: str
    points: tuple[Point, ...]  # all of a run without a kill, else those where the knife fell
    kills: int
    complaints: tuple[str, ...]


_STAGE: list[Stage] = []  # made once, before the processes are forked


def run(task: Task, *, folder: Path, sabotage: str) -> Done:
    """Do one run in a folder of its own."""
    place = Path(tempfile.mkdtemp(dir=folder))
    wrap, spoiled = SABOTAGES[sabotage]
    try:
        with spoiled():
            return asyncio.run(_run(task, place, wrap))
    finally:
        shutil.rmtree(place)


async def _run(task: Task, folder: Path, wrap: object) -> Done:
    knife = Knife(task.cuts)
    world: World
    if task.kind == "journey":
        world = World(folder, journeys()[task.index], knife, wrap=wrap)  # type: ignore[arg-type] # as SABOTAGES has it
        name = world.journey.name
    else:
        script = scripts()[task.index]
        world, name = Listening(folder, script, _STAGE[0], knife, wrap=wrap), script.name  # type: ignore[arg-type] # as above
    async with world:
        try:
            await world.live()
            knife.sheathed = True
            found = await (world.complaints() if isinstance(world, Listening) else complaints(world))
        except Exception as fault:
            found = [f"{type(fault).__name__}: {fault}"]
    points = [point for point in knife.points if not task.cuts or point.number in task.cuts]
    return Done(task=task, name=name, points=tuple(points), kills=knife.kills, complaints=tuple(found))


class Harness:
    """One run of all of it."""

    def __init__(self, form: str, seed: int, sabotage: str, names: Collection[str]) -> None:
        self._journeys = [index for index, journey in enumerate(journeys()) if journey.name in names]
        self._form, self._random, self._sabotage = form, random.Random(seed), sabotage
        self.done: list[Done] = []

    def go(self) -> None:
        """Run everything that the plan has."""
        singles, pairs, told, told_points = PLAN[self._form]
        with tempfile.TemporaryDirectory(dir=_memory()) as folder:
            _STAGE[:] = [asyncio.run(Stage.made(Path(folder) / "stage"))] if told else []
            with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
                work = partial(run, folder=Path(folder), sabotage=self._sabotage)

                def all_of(tasks: Sequence[Task]) -> list[Done]:
                    first = len(self.done)
                    for done in pool.map(work, tasks, chunksize=4):
                        self.done.append(done)
                        if len(self.done) % _TELL == 0:
                            red = sum(bool(one.complaints) for one in self.done)
                            print(f"{len(self.done)} runs, {red} of them red", flush=True)
                    return self.done[first:]

                whole = all_of([Task("journey", index) for index in self._journeys])
                orders = [Task("script", index) for index in range(len(scripts()))] if told else []
                spoken = all_of(self._some(orders, told))
                all_of(self._cuts(whole, singles))
                all_of(self._cuts(spoken, told_points))
                all_of(self._pairs(whole, pairs))

    def _some(self, tasks: Sequence[Task], count: int) -> list[Task]:
        return list(tasks) if len(tasks) <= count else self._random.sample(tasks, count)

    def _cuts(self, whole: Iterable[Done], count: int) -> list[Task]:
        """Return runs with one kill: first those that each arrow needs, then others until there are `count`."""
        every = [(done.task, point) for done in whole for point in done.points]
        self._random.shuffle(every)
        chosen: dict[Task, None] = {}
        needed = {(edge, moment) for edge in all_edges() for moment in ("before", "after")} - self._covered()
        for task, point in every:
            new = {(edge, point.moment) for edge in point.edges} & needed
            if new:
                needed -= new
                chosen[Task(task.kind, task.index, frozenset({point.number}))] = None
        # What stands on disk changes at writes and POSTs, so most of a sample is taken there.
        every.sort(key=lambda one: not (one[1].writes or one[1].door == "carrier.post") and self._random.random() < 0.8)
        for task, point in every:
            if len(chosen) >= count:
                break
            chosen[Task(task.kind, task.index, frozenset({point.number}))] = None
        return list(chosen)

    def _pairs(self, whole: Sequence[Done], count: int) -> list[Task]:
        """Return runs with two kills, the second soon after the first."""
        tasks = []
        for _ in range(count):
            done = self._random.choice(whole)
            first = self._random.choice(done.points).number
            tasks.append(Task("journey", done.task.index, frozenset({first, first + self._random.randint(1, 40)})))
        return tasks

    def _covered(self) -> set[tuple[Edge, str]]:
        return {
            (edge, point.moment) for done in self.done if done.kills for point in done.points for edge in point.edges
        }

    # --- what came of it ---

    def report(self) -> list[str]:
        """Print what was executed, and return what makes it red."""
        killed = [point for done in self.done if done.kills for point in done.points]
        covered = self._covered()
        edges = {edge for edge, moment in covered if moment == "after" and (edge, "before") in covered}
        counts = {
            "runs": len(self.done),
            "kills": sum(done.kills for done in self.done),
            "journeys": len({done.task.index for done in self.done if done.task.kind == "journey"}),
            "scripts": len({done.task.index for done in self.done if done.task.kind == "script"}),
            "transitions": len(edges),
        }
        there = sum(len(done.points) for done in self.done if not done.task.cuts)
        print(f"points in the runs without a kill: {there}")
        for door, count in sorted(Counter(f"{point.moment} {point.door}" for point in killed).items()):
            print(f"  killed {door}: {count}")
        for name, count in counts.items():
            print(f"{name}: {count} (at least {FLOORS[self._form][name]})")
        red = [f"TOO FEW {name}: {count}" for name, count in counts.items() if count < FLOORS[self._form][name]]
        red += self._transitions(edges) if self._form != "one" else []
        for done in self.done:
            where = ", ".join(map(str, done.points)) if done.task.cuts else "no kill"
            red += [f"{done.name} ({where}): {complaint}" for complaint in done.complaints]
        return red

    def _transitions(self, edges: set[Edge]) -> list[str]:
        every = all_edges()
        excused = {edge: why for edge in every for key, why in UNREACHED.items() if _fits(edge, key)}
        print(f"transitions of the lifecycle killed before and after: {len(edges)} of {len(every)}")
        for edge in sorted(excused):
            print(f"  not reached: {edge} ({excused[edge]})")
        seen = {edge for done in self.done for point in done.points for edge in point.edges}
        return [
            *(f"NO KILL AT {edge}" for edge in sorted(every - edges - set(excused))),
            *(f"REACHED after all: {edge}" for edge in sorted(seen & set(excused))),
        ]


def _fits(edge: Edge, key: tuple[str, str, str]) -> bool:
    return all(wanted in ("*", is_) for wanted, is_ in zip(key, edge[:3], strict=True))


def _memory() -> str | None:
    """Return a folder in memory where there is one: a kill leaves what was written, with or without an fsync."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main() -> int:
    """Run the harness. Returns 0 where all ledgers balance."""
    parser = argparse.ArgumentParser()
    every = [journey.name for journey in journeys()]
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--journey", choices=every)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sabotage = os.environ.get("SABOTAGE", "")
    if sabotage not in SABOTAGES:
        print(f"SABOTAGE must be one of {', '.join(name for name in SABOTAGES if name)}")
        return 2
    telemetry.configure("critical")
    form, started = "one" if given.journey else "short" if given.short else "full", time.monotonic()
    harness = Harness(form, given.seed, sabotage, [given.journey] if given.journey else every)
    harness.go()
    print(f"every commit point, {form} form, seed {given.seed}, {time.monotonic() - started:.0f} s")
    red = harness.report()
    for line in red[:40]:
        print(f"RED: {line}")
    print(f"red: {len(red)} complaints" if red else "green: every ledger balances")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
