"""The system's randomness, and the ids made of it: the only place that asks for either."""

import secrets
import threading
import time

_DRAW = 512  # bytes for 64 ids: to ask the system costs more than the id


class SystemRandomness:
    """The port Randomness. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._drawn = b""

    def id(self) -> str:
        """Return a UUID of version 7 (RFC 9562, 5.7) as 36 characters; later ones sort after earlier ones.

        The 12 bits after the version count within a millisecond; where they run out, or the system's clock goes back,
        the id runs ahead of the clock rather than out of order. The last 62 bits are unpredictable.
        """
        with self._lock:
            tick = max((time.time_ns() // 1_000_000) << 12, self._last + 1)
            self._last = tick
            if not self._drawn:
                self._drawn = secrets.token_bytes(_DRAW)
            drawn, self._drawn = self._drawn[:8], self._drawn[8:]
        milliseconds, count = tick >> 12, tick & 0xFFF
        random = int.from_bytes(drawn) >> 2
        value = f"{milliseconds << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | random:032x}"
        return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"

    def bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""
        return secrets.token_bytes(count)

    def jitter(self) -> float:
        """Return a number from 0 up to 1."""
        return secrets.randbits(53) / 2**53
