"""Harness: every chain gets its verdict, and the sentence that an operator needs.

    python -m tests.trust [--only WORD]

Prints the table: verdict, name, sentence. Below the floor it is red. SABOTAGE=ignore-revocation trusts what is revoked,
trust-by-name takes look-alike organisations for their model, clock-of-the-message judges by the sender's Timestamp:
each must be red.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from tests.trust.bench import judge, planted
from tests.trust.cases import CASES, Case

FLOOR = 100


def run(cases: Sequence[Case], *, sabotage: str) -> bool:
    """Judge every case, with this fault planted or none, and print the table. Returns whether all was right."""
    began, red, seen = time.monotonic(), 0, {"trusted": 0, "refused": 0, "postponed": 0}
    with planted(sabotage):
        for case in cases:
            scene = case.scene()
            at = scene.stamped if sabotage == "clock-of-the-message" else scene.received
            verdict, sentence = judge(scene, at=at)
            seen[verdict] += 1
            print(f"{verdict:9}  {case.name:52}  {sentence}", flush=True)
            if verdict != case.verdict or case.says not in sentence:
                red += 1
                print(f"           WRONG: it should be {case.verdict}: ...{case.says}...", flush=True)
    counted = ", ".join(f"{count} {verdict}" for verdict, count in seen.items())
    print(f"{len(cases)} chains ({counted}), {red} wrong, {time.monotonic() - began:.0f} s")
    if len(CASES) < FLOOR or len({case.name for case in CASES}) < len(CASES):
        print(f"WRONG: the floor is {FLOOR} chains, each with a name of its own")
        red += 1
    print("red" if red else "green")
    return not red


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust")
    parser.add_argument("--only", default="", help="a word of the chains to judge")
    given = parser.parse_args()
    cases = [case for case in CASES if given.only in case.name]
    return 0 if run(cases, sabotage=os.environ.get("SABOTAGE", "")) else 1


if __name__ == "__main__":
    sys.exit(main())
