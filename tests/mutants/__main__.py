"""Signed messages, mutated: `python -m tests.mutants [--count 100000] [--seed N] [--short]` prints what became of them.

A mutant is believed when it is read, when Manifest and parts match, and when its signature holds by the original's
certificate. None may be believed that means something else than the original; judge.py says what that is. libxmlsec1 is
asked of every believed one, and the xmlsec1 program of some. SABOTAGE=name plants one of sabotage.SABOTAGES in these
processes: then some must be found. `--number N` with the seed makes one mutant again, and shows it.
"""

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

from tests.mutants.judge import ACCEPTED, LAYERS, Believed, changes, judge
from tests.mutants.originals import originals
from tests.mutants.run import OPERATORS, Finding, Tally, mutant, run
from tests.mutants.sabotage import SABOTAGES

COUNT, SHORT = 100_000, 5_000
ASKED, ASKED_SHORT = 600, 200  # of the xmlsec1 program: it takes a process each
FEW = 1_000
KEPT = Path(".work/mutants")
SHOWN = 10

# Floors: a harness whose mutants all die at the door, or are all the same, sees nothing.
REACHED = 0.50  # of all mutants come as far as the signature; usual are 70 %
OF_OPERATOR = 0.80  # of its share of the mutants each operator makes
OF_HARMLESS = 0.40  # of what a harmless operator makes is believed; usual are 80 %
OF_LAYER = 0.002  # of all mutants each layer refuses; usual are 1 % and more


def controls() -> list[str]:
    """Return what is wrong with the originals: the sound ones are believed, and the ill-signed ones are not."""
    wrong = []
    for one in originals():
        became = judge(one, one.message.wire())
        if isinstance(became, Believed) == bool(one.flaw):
            wrong.append(f"original {one.name}: {'is believed' if one.flaw else f'refused: {became}'}")
        elif isinstance(became, Believed):
            wrong += [f"original {one.name}: {change}" for change in changes(one, became)]
    return wrong


def run_all(count: int, seed: int, *, planted: str, asked: int) -> Tally:
    """Judge the mutants 0 to `count`, in as many processes as there are cores, two at most; a few in this one."""
    if count < FEW:
        return run(range(count), seed, planted, asked)
    workers = min(os.cpu_count() or 1, 2)
    shares = [range(first, count, workers) for first in range(workers)]
    tally = Tally()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for one in pool.map(run, shares, repeat(seed), repeat(planted), repeat(asked // workers)):
            tally.add(one)
    return tally


def below_floor(tally: Tally, count: int, asked: int) -> list[str]:
    """Return which floors the run is below."""
    wrong = []
    made = sum(tally.by_layer.values()) - tally.of_layer("not made")
    reached = made - tally.of_layer("reader") - tally.of_layer("structure")
    if made < count * 0.98:
        wrong.append(f"{made} mutants were made, of {count}")
    if reached < made * REACHED:
        wrong.append(f"{reached} of {made} mutants came as far as the signature")
    for operator in OPERATORS:
        ours = tally.made(operator.name) - tally.by_layer[operator.name, "not made"]
        if ours < int(count / len(OPERATORS)) * OF_OPERATOR:
            wrong.append(f"{operator.name}: {ours} mutants")
        if operator.harmless and tally.by_layer[operator.name, ACCEPTED] < ours * OF_HARMLESS:
            wrong.append(f"{operator.name}: {tally.by_layer[operator.name, ACCEPTED]} of {ours} believed")
    wrong += [
        f"{layer}: refused {tally.of_layer(layer)}" for layer in LAYERS if tally.of_layer(layer) < count * OF_LAYER
    ]
    if tally.asked < asked * 0.9:
        wrong.append(f"xmlsec1 was asked {tally.asked} times, not {asked}")
    return wrong


def show(tally: Tally) -> str:
    """Return the table: a line an operator, a column for each that refused, and the sums."""
    columns = ("believed", *LAYERS)
    keys = (ACCEPTED, *LAYERS)
    lines = [f"{'(* mostly harmless)':62}{'mutants':>8}" + "".join(f"{name:>12}" for name in columns)]
    for one in OPERATORS:
        name = one.name + " *" * one.harmless
        cells = "".join(f"{tally.by_layer[one.name, key] or '':>12}" for key in keys)
        lines.append(f"{name:62}{tally.made(one.name) - tally.by_layer[one.name, 'not made']:8}{cells}")
    sums = "".join(f"{tally.of_layer(key):12}" for key in keys)
    lines.append(f"{'all':62}{sum(tally.by_layer.values()) - tally.of_layer('not made'):8}{sums}")
    return "\n".join(lines)


def _told(finding: Finding, seed: int, *, keep: bool) -> str:
    told = f"{finding}, seed {seed} number {finding.number}"
    if not keep:
        return told
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{seed}-{finding.number}"
    path.write_bytes(f"Content-Type: {finding.wire.content_type}\r\n\r\n".encode() + finding.wire.body)
    return f"{told}; kept as {path}"


def main(arguments: Sequence[str]) -> int:
    """Run, print the table; return 0 when nothing was found and the floors hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--number", type=int, default=-1)
    given = parser.parse_args(arguments)
    planted = os.environ.get("SABOTAGE", "")
    if planted and planted not in SABOTAGES:
        parser.error(f"sabotages: {', '.join(SABOTAGES)}")
    seed = given.seed or (1 if given.short else secrets.randbits(30) + 1)
    if given.number >= 0:
        return _again(seed, given.number)
    count, asked = given.count or (SHORT if given.short else COUNT), ASKED_SHORT if given.short else ASKED
    asked = min(asked, count // 20)
    print(f"seed {seed}: {count} mutants, {len(OPERATORS)} operators, {len(originals())} originals", flush=True)
    wrong = controls()
    tally = run_all(count, seed, planted=planted, asked=asked)
    print(show(tally))
    made = sum(tally.by_layer.values()) - tally.of_layer("not made")
    reached = made - tally.of_layer("reader") - tally.of_layer("structure")
    believed = tally.of_layer(ACCEPTED)
    print(f"{made} mutants, {reached} as far as the signature, {believed} believed; the same again: {tally.digest}")
    print(f"of the believed, libxmlsec1 agrees with all but those named below; xmlsec1 was asked of {tally.asked}")
    print(f"of the believed, {tally.sync_reply} with eb:SyncReply come or gone, which no ebMS signature covers")
    for why, times in tally.excused.items():
        print(f"of the believed, {times} that differ in no meaning: {why}")
    print(f"{len(tally.findings)} believed that mean something else, or fell over")
    wrong += [_told(one, seed, keep=not planted) for one in tally.findings]
    wrong += [f"xmlsec1 refuses what we believe: {one}" for one in tally.disagreements]
    wrong += below_floor(tally, count, asked)
    for one in wrong[:SHOWN]:
        print(f"FAILED {one}")
    if len(wrong) > SHOWN:
        print(f"FAILED {len(wrong) - SHOWN} more")
    return 1 if wrong else 0


def _again(seed: int, number: int) -> int:
    made = mutant(seed, number)
    if made is None:
        print("no such mutant")
        return 1
    became = judge(made.original, made.wire)
    sys.stdout.flush()
    sys.stdout.buffer.write(f"Content-Type: {made.wire.content_type}\r\n\r\n".encode() + made.wire.body + b"\n")
    print(f"{' + '.join(made.operators)}, of {made.original.name}")
    print("; ".join(changes(made.original, became)) or "believed" if isinstance(became, Believed) else became)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
