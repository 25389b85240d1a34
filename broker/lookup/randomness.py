"""The system's randomness, and the ids made of it: the only place that asks for either."""

import secrets
import threading
import time
import uuid


class SystemRandomness:
    """The port Randomness. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def id(self) -> str:
        """Return a UUID of version 7 (RFC 9562, 5.7) as 36 characters; later ones sort after earlier ones.

        The 12 bits after the version count within a millisecond; where they run out, or the system's clock goes back,
        the id runs ahead of the clock rather than out of order. The last 62 bits are unpredictable.
        """
        with self._lock:
            tick = max((time.time_ns() // 1_000_000) << 12, self._last + 1)
            self._last = tick
        milliseconds, count = tick >> 12, tick & 0xFFF
        value = milliseconds << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | secrets.randbits(62)
        return str(uuid.UUID(int=value))

    def bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""
        return secrets.token_bytes(count)

    def jitter(self) -> float:
        """Return a number from 0 up to 1."""
        return secrets.randbits(53) / 2**53
