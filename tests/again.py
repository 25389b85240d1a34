"""For harnesses that judge times: the machine is shared, so a red counts when it comes three times in a row."""

import subprocess
from collections.abc import Callable

Done = subprocess.CompletedProcess[str]


def red_only_if_it_repeats(run: Callable[[], Done], *, tries: int = 3) -> Done:
    """Return the first green run, or the last red one. Every run is printed."""
    for left in reversed(range(tries)):
        done = run()
        print(done.stdout)
        if done.returncode == 0 or not left:
            return done
        print(f"red; {left} more to see whether it repeats")
    raise AssertionError("no tries")
