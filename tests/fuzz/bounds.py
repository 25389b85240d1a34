"""What one input may cost, and a count of how many were tried."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

SLOWEST = 2.0  # seconds of CPU for one input; inputs are some 10 KB
MEMORY = 512 * 1024 * 1024  # bytes that a fuzzing process may ever have had
_MOST = 1_000_000  # bytes of an input: growth without end is the fuzzer's, not the reader's


class Costly(AssertionError):
    """An input took more time or memory than any may."""


@dataclass
class Guarded:
    """A target that counts, and raises Costly."""

    target: Callable[[bytes], None]
    executed: int = 0
    slowest: float = 0.0

    def __call__(self, data: bytes) -> None:
        if len(data) > _MOST:
            return
        self.executed += 1
        began = time.thread_time()
        self.target(data)
        spent = time.thread_time() - began
        self.slowest = max(self.slowest, spent)
        if spent > SLOWEST:
            raise Costly(f"{spent:.1f} s for {len(data)} bytes")
        if self.executed % 256 == 0 and self.peak() > MEMORY:
            raise Costly(f"{self.peak() // 2**20} MiB")

    def peak(self) -> int:
        """Return the most memory that this process has had, in bytes."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def guarded(target: Callable[[bytes], None]) -> Guarded:
    """Return `target` under its bounds."""
    return Guarded(target)
