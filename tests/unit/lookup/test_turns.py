"""Pieces of work take turns: one, then a few turns of the loop for what is short; first come, first served."""

import asyncio
from itertools import pairwise

from broker.lookup.turns import LIGHT, Turns


class Loop:
    """Counts the turns of the event loop while it is looked at."""

    def __init__(self) -> None:
        self.turn = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next)

    def _next(self) -> None:
        self.turn += 1
        if self.turn < 100:
            self._loop.call_soon(self._next)


async def piece(turns: Turns, loop: Loop, name: str, told: list[tuple[str, int]]) -> None:
    await turns()
    told.append((name, loop.turn))


async def test_whoever_comes_alone_is_not_kept() -> None:
    turns, loop, told = Turns(), Loop(), list[tuple[str, int]]()
    await piece(turns, loop, "a", told)
    assert told == [("a", 0)]
    for _ in range(2 * LIGHT):
        await asyncio.sleep(0)  # one turn of the loop
    before = loop.turn
    await piece(turns, loop, "b", told)
    assert told[-1] == ("b", before)


async def test_between_two_pieces_the_loop_turns_and_they_keep_their_order() -> None:
    turns, loop, told = Turns(), Loop(), list[tuple[str, int]]()
    await asyncio.gather(*(piece(turns, loop, name, told) for name in "abcde"))
    assert [name for name, _ in told] == list("abcde")
    gaps = [later - earlier for (_, earlier), (_, later) in pairwise(told)]
    assert all(gap > LIGHT for gap in gaps), gaps
    assert all(gap <= LIGHT + 2 for gap in gaps), gaps  # and nobody waits for longer than that


async def test_who_is_cancelled_while_waiting_costs_the_others_nothing() -> None:
    turns, loop, told = Turns(), Loop(), list[tuple[str, int]]()
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(piece(turns, loop, name, told)) for name in "abcd"]
        await asyncio.sleep(0)  # all four have asked for their turn
        waiting[1].cancel()
        waiting[2].cancel()
    assert [name for name, _ in told] == ["a", "d"]
    assert told[1][1] - told[0][1] <= LIGHT + 2
