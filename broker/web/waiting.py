"""Who waits for something new of a HER-id, and the bell that wakes them. Only that there is something is told."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from broker.message import NewEvent


class Bell:
    """Rung after a commit. Those who wait cost nothing until it rings for one of theirs; `close` wakes all of them."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[Waiter]] = {}
        self.listeners: list[Callable[[Iterable[NewEvent]], None]] = []  # told of every commit, before anyone wakes
        self.closed = False

    @property
    def waiting(self) -> int:
        """Return how many wait."""
        return len(set().union(*self._waiting.values()))

    def ring(self, events: Iterable[NewEvent]) -> None:
        """Wake those who wait for the HER-ids in whose feed these committed events stand."""
        told = tuple(events)
        for listener in self.listeners:
            listener(told)
        for her in {event.her for event in told if event.feed and event.her is not None}:
            for waiter in self._waiting.get(her, ()):
                waiter.wake()

    def close(self) -> None:
        """Let nobody wait any more: the process stops."""
        self.closed = True
        for waiters in self._waiting.values():
            for waiter in waiters:
                waiter.wake()

    @contextmanager
    def waiter(self, hers: Collection[int]) -> Iterator["Waiter"]:
        """Give one who is woken by what comes from now on. Ask the store after this, so that nothing falls between."""
        made = Waiter(self)
        for her in hers:
            self._waiting.setdefault(her, set()).add(made)
        try:
            yield made
        finally:
            for her in hers:
                others = self._waiting[her]
                others.discard(made)
                if not others:
                    del self._waiting[her]


class Waiter:
    """One who waits."""

    def __init__(self, bell: Bell) -> None:
        self._bell, self._rung = bell, asyncio.Event()

    def wake(self) -> None:
        """End the present wait, or the next one."""
        self._rung.set()

    async def until(self, deadline: float) -> bool:
        """Wait until woken, and say so; False when the loop's clock has come to `deadline`, or the process stops."""
        if self._bell.closed:
            return False
        try:
            async with asyncio.timeout_at(deadline):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return not self._bell.closed
