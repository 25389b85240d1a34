"""When a piece of CPU work gets its turn of the event loop: a few of one kind, then some turns for all that is short.

Whatever becomes ready in one turn of the loop runs before anything is read from a socket. Without turns a claim of
eight deliveries is eight pieces of a millisecond in one turn, and each of the five turns that a post needs to its 202
may be such a one.

Pieces of one kind (those that run the same function) follow each other: the second finds the code and the tables of
the first still in the processor's caches. Kind after kind costs a fifth more CPU for a whole exchange.
"""

import asyncio
from collections import deque
from collections.abc import Hashable

TOGETHER = 3  # pieces at once: they keep the loop for 2 ms or so
ROW = 15  # pieces of one kind before another one's come: fewer are half as warm, more let the others wait
LIGHT = 6  # turns of the loop after that: one more than a post takes from its bytes to its 202


class Turns:
    """The port Doors.turn of one process."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}  # by kind; whose row it is comes first
        self._row = 0  # pieces of that kind that have had their turn
        self._light = 0  # turns that are still to go by before the next pieces

    async def __call__(self, kind: Hashable) -> None:
        """Return when the caller may compute for about a millisecond: at once, unless others do.

        Within a kind first come is first; the kinds go round, so that none waits for more than a ROW of each other.
        """
        loop = asyncio.get_running_loop()
        if self._light == 0:
            self._light = 1 + LIGHT
            loop.call_soon(self._turned, loop)
            return
        mine = loop.create_future()
        self._waiting.setdefault(kind, deque()).append(mine)
        await mine

    def _turned(self, loop: asyncio.AbstractEventLoop) -> None:
        self._light -= 1
        if self._light == 0 and self._let_go():
            self._light = 1 + LIGHT
        if self._light:
            loop.call_soon(self._turned, loop)

    def _let_go(self) -> bool:
        """Let the next few of one kind go on. Returns whether there were any."""
        gone = 0
        while self._waiting and not gone:
            kind, line = next(iter(self._waiting.items()))
            while line and gone < TOGETHER and self._row < ROW:
                first = line.popleft()
                if not first.done():  # its waiter was cancelled
                    first.set_result(None)
                    self._row += 1
                    gone += 1
            if not line or self._row == ROW:
                del self._waiting[kind]
                self._row = 0
                if line:
                    self._waiting[kind] = line  # behind the others
        return gone > 0
