"""When a piece of CPU work gets its turn of the event loop: one piece, then a few turns for all that is short.

Whatever becomes ready in one turn of the loop runs before anything is read from a socket. Without turns a claim of
eight deliveries is eight pieces of a millisecond in one turn, and each of the five turns that a post needs to its 202
may be such a one.
"""

import asyncio
from collections import deque

LIGHT = 3  # turns of the loop between two pieces: the most that a post takes from its bytes to its write


class Turns:
    """The port Doors.turn of one process."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._light = 0  # turns that are still to go by before the next piece

    async def __call__(self) -> None:
        """Return when the caller may compute for about a millisecond: at once, unless others do. First come first."""
        loop = asyncio.get_running_loop()
        if self._light == 0:
            self._light = 1 + LIGHT
            loop.call_soon(self._turned, loop)
            return
        mine = loop.create_future()
        self._waiting.append(mine)
        await mine

    def _turned(self, loop: asyncio.AbstractEventLoop) -> None:
        self._light -= 1
        if self._light == 0:
            while self._waiting:
                first = self._waiting.popleft()
                if not first.done():  # its waiter was cancelled
                    first.set_result(None)
                    self._light = 1 + LIGHT
                    break
        if self._light:
            loop.call_soon(self._turned, loop)
