"""Harness: the real broker and scripted peers, one process each, and what each side says in the end.

    python -m tests.interop [--engine NAME] [--case WORDS] [--short] [--folder FOLDER]

Every row of matrix.py is a party and an agreement of its own. First all rows run side by side in which nobody is
killed; then the large ones; then those whose peer is killed; then those whose broker is. Prints both sides' states
and the seconds of each row. Red where a row is not as it should be or did not run, and below the floor of rows.
SABOTAGE=ack-without-actor or deaf-to-5xx plants a fault in the broker, SABOTAGE=lax-peer one in the peers.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from broker.demo.site import hold
from tests.interop.matrix import FLOOR, TURNS, Row, chosen, rows
from tests.interop.world import ENGINES, Grave, Stage, World, Wrong

SABOTAGES = ("ack-without-actor", "deaf-to-5xx", "lax-peer")
_ROW_WITHIN = 100.0  # seconds
_SIDE_BY_SIDE = 60  # rows that run at one time


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a row ended: `wrong` is "" where all held."""

    row: Row
    ours: str
    theirs: str
    seconds: float
    wrong: str


async def run(folder: Path, wanted: Sequence[Row]) -> tuple[list[Result], list[str]]:
    """Run rows. Returns how they ended, in their order, and what broke in a peer itself."""
    results: dict[int, Result] = {}
    # What a planted fault keeps from coming will not come, however long it is waited for.
    patience = 0.25 if os.environ.get("SABOTAGE") else 1.0
    world = World(folder, [row.place for row in wanted], patience=patience)
    ports = sorted(terms.port for terms in world.terms)
    print(
        f"{len(wanted)} rows, nothing drawn by lot; broker {world.site.partner}, peers {ports[0]} to {ports[-1]}",
        flush=True,
    )
    async with world:
        turns = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def one(index: int, grave: Grave | None) -> None:
            async with turns:
                results[index] = await _row(world, index, wanted[index], grave)

        for turn in TURNS:
            mine = [index for index, row in enumerate(wanted) if row.turn == turn]
            graves = _graves(world, turn, [(wanted[index].place.engine, world.terms[index].her) for index in mine])
            await asyncio.gather(*(one(index, graves.get(wanted[index].place.engine)) for index in mine))
            print(f"turn {turn}: {len(mine)} rows", flush=True)
    broke = [f"the script of {peer.engine} broke: {why}" for peer in world.peers.values() for why in peer.broke]
    return [results[index] for index in sorted(results)], broke


async def _row(world: World, index: int, row: Row, grave: Grave | None) -> Result:
    stage, began, wrong = Stage(world, index, row.place), time.monotonic(), ""
    stage.grave = grave
    try:
        async with asyncio.timeout(_ROW_WITHIN):
            await row.case(stage)
    except Wrong as why:
        wrong = str(why)
    except Exception as why:  # any failure is one red row, not the end of the table
        wrong = f"{type(why).__name__}: {why}"
    finally:
        if grave is not None and not stage.buried:
            await grave.leave()
    way = stage.way
    got = len(stage.at_epj())
    ours = f"{way.transport}/{way.outcome} {way.stop_point}" if way else f"{got} received"
    return Result(row=row, ours=ours, theirs=stage.state(), seconds=time.monotonic() - began, wrong=wrong)


def _graves(world: World, turn: str, parties: Sequence[tuple[str, int]]) -> dict[str, Grave]:
    """Return where the rows of each engine meet, in a turn in which somebody is killed."""
    engines = [engine for engine, _ in parties]
    if turn == "broker":
        return dict.fromkeys(engines, Grave(len(engines), world.kill_broker, world.start_broker))
    if turn != "peer":
        return {}
    hers = [her for _, her in parties]
    return {
        one: Grave(engines.count(one), partial(world.kill_peer, one), partial(world.restart_peer, one, hers))
        for one in set(engines)
    }


def show(results: Sequence[Result]) -> None:
    """Print the table."""
    print(f"{'engine':10} {'case':32} {'mode':22} {'ours':28} {'theirs':44} seconds")
    for one in results:
        row = one.row
        theirs = one.theirs if len(one.theirs) <= 44 else one.theirs[:41] + "..."
        line = f"{row.place.engine:10} {row.name:32} {row.mode:22} {one.ours:28} {theirs:44} {one.seconds:5.1f}"
        print(line + ("  RED" if one.wrong else ""))
        if one.wrong:
            print(f"{'':10} {one.wrong[:600]}")


def short(all_: Sequence[Row]) -> list[Row]:
    """Return a crossed subset: every case once, the engines in turn, and every engine there and back in every mode."""
    found: dict[tuple[str, str], Row] = {}
    for row in all_:
        key = (row.name, f"{row.place.engine} {row.mode}" if "receipted" in row.name else "")
        known = found.get(key)
        used = [one.place.engine for one in found.values()]
        if known is None or used.count(row.place.engine) < used.count(known.place.engine) - 1:
            found[key] = row
    return list(found.values())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop")
    parser.add_argument("--engine", default="", choices=("", *ENGINES))
    parser.add_argument("--case", default="")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    sabotage = os.environ.get("SABOTAGE", "")
    if sabotage and sabotage not in SABOTAGES:
        print(f"SABOTAGE must be one of {', '.join(SABOTAGES)}")
        return 2
    everything = rows()
    wanted = chosen(short(everything) if given.short else everything, engine=given.engine, case=given.case)
    whole = not (given.engine or given.case)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="interop-") as made:
        folder = (given.folder or Path(made) / "sites").resolve()
        with hold(folder):
            results, complaints = asyncio.run(run(folder, wanted))
    show(results)
    red = [one for one in results if one.wrong]
    complaints += [f"{one.row.place.engine}, {one.row.name}, {one.row.mode}" for one in red]
    if len(results) < len(wanted):
        complaints.append(f"only {len(results)} of {len(wanted)} rows ran")
    if whole and len(results) < FLOOR:
        complaints.append(f"only {len(results)} rows; the floor is {FLOOR}")
    print(f"{len(results)} rows, {len(red)} of them red; {time.monotonic() - began:.0f} s")
    for line in complaints:
        print(f"RED: {line}")
    print("red" if complaints else "green")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
