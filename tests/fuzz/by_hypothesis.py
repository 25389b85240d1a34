"""One target under Hypothesis: mutants of the corpus until the time is over. Prints one line of JSON.

    python -m tests.fuzz.by_hypothesis TARGET SECONDS SEED

A mutant that shows a bug is made as small as it can be, and told.
"""

import json
import os
import sys
import time

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.bounds import Costly, guarded
from tests.fuzz.mutate import mutants
from tests.fuzz.sabotage import plant
from tests.fuzz.seeds import seeds, words
from tests.fuzz.targets import TARGETS


class TooDear(KeyboardInterrupt):
    """Ends a round at once, as only an interrupt does: to make a dear input smaller would take for ever."""


ROUND = 400  # examples; then Hypothesis begins anew with another seed


def main(target: str, seconds: float, first_seed: int) -> int:
    """Run until the time is over or a bug is found; return 1 for a bug."""
    plant(os.environ.get("SABOTAGE", ""))
    one = guarded(TARGETS[target])
    strategy = mutants(seeds(target), words(target))
    until, rounds = time.monotonic() + seconds, 0
    last: list[bytes] = [b""]
    while time.monotonic() < until:

        @seed(first_seed + rounds)
        @settings(
            max_examples=ROUND,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def look(data: bytes) -> None:
            if time.monotonic() > until:
                return
            last[0] = data
            try:
                one(data)
            except Costly as costly:
                raise TooDear(str(costly)) from None

        rounds += 1
        try:
            look()
        except (Exception, TooDear) as bug:
            told = {"bug": f"{type(bug).__name__}: {bug}"[:300], "input": last[0].hex(), "executed": one.executed}
            print(json.dumps(told), flush=True)
            return 1
    print(json.dumps({"executed": one.executed, "slowest": one.slowest, "peak": one.peak()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
