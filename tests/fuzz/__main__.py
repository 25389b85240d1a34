"""Fuzzes every reader, by Hypothesis and by atheris, each in a process of its own.

    python -m tests.fuzz [--minutes 60] [--seed N] [--targets mime,cms]

Prints executions and the seed for each; ends with 1 for a bug, or for less executions than the floor. What showed a
bug is kept in tests/fuzz/found/TARGET and is a test from then on. SABOTAGE=name plants one of sabotage.NAMES.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.sabotage import NAMES
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

FOUND = Path(__file__).parent / "found"
# Executions a second, of a machine that does much else beside; usual are 500 and 5,000 and more.
FLOORS = {"hypothesis": 5, "atheris": 20}
GRACE = 60.0  # seconds beyond its time that a run may take to end; shrinking a bug takes some


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of one target under one engine."""

    target: str
    engine: str
    seed: int
    seconds: float
    executed: int
    bug: str = ""
    input: bytes = b""


def main(arguments: Sequence[str]) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbits(30) + 1)
    parser.add_argument("--targets", default=",".join(TARGETS))
    given = parser.parse_args(arguments)
    sabotage, targets = os.environ.get("SABOTAGE", ""), given.targets.split(",")
    if sabotage not in NAMES or not set(targets) <= set(TARGETS):
        parser.error(f"targets: {', '.join(TARGETS)}; sabotages: {', '.join(filter(None, NAMES))}")
    engines = ["hypothesis", *(["atheris"] if find_spec("atheris") else [])]
    side_by_side = min(os.cpu_count() or 1, 2)
    seconds = given.minutes * 60 * side_by_side / len(targets) / len(engines)
    print(f"seed {given.seed}; {len(targets)} targets under {' and '.join(engines)}, {seconds:.0f} s each")
    runs = [(target, engine) for target in targets for engine in engines]
    with ThreadPoolExecutor(side_by_side) as pool:
        ran = list(pool.map(lambda run: _run(run[0], run[1], seconds, given.seed), runs))
    wrong = [complaint for each in ran for complaint in _complaints(each, keep=not sabotage)]
    if "atheris" not in engines and _has_atheris():
        wrong.append("atheris is not installed, and this platform has it")
    print(f"{sum(each.executed for each in ran)} executions, {len(wrong)} wrong")
    for complaint in wrong:
        print(f"  {complaint}")
    return 1 if wrong else 0


def _has_atheris() -> bool:
    """Say whether the lock installs atheris here: there are wheels for Linux on x86-64 only."""
    return (sys.platform, platform.machine()) == ("linux", "x86_64") and sys.version_info < (3, 15)


def _run(target: str, engine: str, seconds: float, seed: int) -> Ran:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"tests.fuzz.by_{engine}", target, str(seconds), str(seed)]
        began = time.monotonic()
        try:
            done = subprocess.run(
                [*command, folder] if engine == "atheris" else command,
                capture_output=True,
                timeout=seconds + GRACE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            spent = time.monotonic() - began
            return Ran(target=target, engine=engine, seed=seed, seconds=spent, executed=0, bug="did not end")
        spent = time.monotonic() - began
        read = _by_atheris if engine == "atheris" else _by_hypothesis
        executed, bug, input = read(done, Path(folder))
    ran = Ran(target=target, engine=engine, seed=seed, seconds=spent, executed=executed, bug=bug, input=input)
    print(f"{'!' if bug else ' '} {target:9} {engine:11} {executed:9} executions in {spent:6.1f} s  {bug}", flush=True)
    return ran


def _by_hypothesis(done: subprocess.CompletedProcess[bytes], _: Path) -> tuple[int, str, bytes]:
    lines = done.stdout.splitlines()
    if not lines or not lines[-1].startswith(b"{"):
        return 0, f"ended with {done.returncode}: {done.stderr[-300:]!r}", b""
    told = json.loads(lines[-1])
    return int(told["executed"]), str(told.get("bug", "")), bytes.fromhex(told.get("input", ""))


def _by_atheris(done: subprocess.CompletedProcess[bytes], folder: Path) -> tuple[int, str, bytes]:
    figures = dict(re.findall(rb"stat::(\w+):\s+(\d+)", done.stderr))
    executed = int(figures.get(b"number_of_executed_units", 0))
    kept = sorted(path for path in folder.iterdir() if not path.name.startswith("slow-unit"))
    if done.returncode == 0 and not kept:
        return executed, "", b""
    told = done.stdout + done.stderr
    said = re.findall(rb"=== Uncaught Python exception: ===\s*(.*)|ERROR: libFuzzer: (.*)", told)
    bug = b"; ".join(part for pair in said for part in pair if part).decode(errors="replace")[:300]
    return executed, bug or f"ended with {done.returncode}", kept[0].read_bytes() if kept else b""


def _complaints(ran: Ran, *, keep: bool) -> list[str]:
    name = f"{ran.target} under {ran.engine}"
    if ran.bug:
        where = ""
        if keep and ran.input:
            path = FOUND / ran.target / hashlib.sha256(ran.input).hexdigest()[:16]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(ran.input)
            where = f"; kept as {path.relative_to(FOUND.parent.parent.parent)}"
        return [f"{name}: {ran.bug}{where}"]
    floor = int(FLOORS[ran.engine] * ran.seconds)
    return [f"{name}: {ran.executed} executions, and the floor is {floor}"] if ran.executed < floor else []


if __name__ == "__main__":
    if not all(seeds(target) for target in TARGETS):
        sys.exit("the corpus is empty: python -m tests.fuzz.seeds")
    sys.exit(main(sys.argv[1:]))
