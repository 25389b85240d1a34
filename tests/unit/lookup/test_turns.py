"""Pieces of work take turns: a few of one kind, then turns of the loop for what is short; no kind waits for ever."""

import asyncio
from itertools import groupby, pairwise

from broker.lookup.turns import LIGHT, ROW, TOGETHER, Turns


class Loop:
    """Counts the turns of the event loop while it is looked at."""

    def __init__(self) -> None:
        self.turn = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next)

    def _next(self) -> None:
        self.turn += 1
        if self.turn < 1000:
            self._loop.call_soon(self._next)


Told = list[tuple[str, int]]  # who had its turn, and in which of the loop


async def piece(turns: Turns, loop: Loop, name: str, told: Told) -> None:
    """One piece; the kind is the first letter of its name."""
    await turns(name[0])
    told.append((name, loop.turn))


async def all_of(names: list[str]) -> Told:
    turns, loop, told = Turns(), Loop(), Told()
    await asyncio.gather(*(piece(turns, loop, name, told) for name in names))
    return told


def many(kind: str, count: int) -> list[str]:
    return [f"{kind}{number}" for number in range(count)]


async def test_whoever_comes_alone_is_not_kept() -> None:
    turns, loop, told = Turns(), Loop(), Told()
    await piece(turns, loop, "a", told)
    assert told == [("a", 0)]
    for _ in range(2 * LIGHT):
        await asyncio.sleep(0)  # one turn of the loop
    before = loop.turn
    await piece(turns, loop, "b", told)
    assert told[-1] == ("b", before)


async def test_a_few_of_a_kind_go_together_and_then_the_loop_turns() -> None:
    told = await all_of(many("a", 3 * TOGETHER))
    assert [name for name, _ in told] == many("a", 3 * TOGETHER)
    # The very first came alone, and was not kept.
    at = [(turn, len(list(group))) for turn, group in groupby(turn for _, turn in told)]
    assert [count for _, count in at] == [1, TOGETHER, TOGETHER, TOGETHER - 1]
    gaps = {later[0] - earlier[0] for earlier, later in pairwise(at)}
    assert gaps <= {LIGHT + 1, LIGHT + 2}, gaps  # and nobody waits for longer than that


async def test_kinds_are_not_mixed_and_go_round() -> None:
    mixed = [name for pair in zip(many("a", 6), many("b", 6), strict=True) for name in pair]
    told = await all_of(mixed)
    assert [name for name, _ in told] == ["a0", *many("b", 6), *many("a", 6)[1:]]  # a0 came alone
    for _, group in groupby(told, key=lambda one: one[1]):
        assert len({name[0] for name, _ in group}) == 1


async def test_no_kind_waits_for_more_than_a_row_of_another() -> None:
    told = [name for name, _ in await all_of([*many("a", 1 + 3 * ROW), "b", *many("c", 2)])]
    # a0 came alone; then a row of a, of b and of c, and so on.
    assert told.index("b") == 1 + ROW
    assert told[2 + ROW : 4 + ROW] == many("c", 2)
    assert [name for name in told if name[0] == "a"] == many("a", 1 + 3 * ROW)


async def test_who_comes_for_ever_does_not_keep_the_others() -> None:
    turns, loop, told = Turns(), Loop(), Told()

    async def again_and_again() -> None:
        for name in many("a", 10 * ROW):
            await piece(turns, loop, name, told)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(2 * TOGETHER):
            tasks.create_task(again_and_again())
        await asyncio.sleep(0)  # all have asked for their turn
        await piece(turns, loop, "b", told)
        assert len(told) <= 2 + ROW


async def test_who_is_cancelled_while_waiting_costs_the_others_nothing() -> None:
    turns, loop, told = Turns(), Loop(), Told()
    async with asyncio.TaskGroup() as tasks:
        names = ["a", *many("b", 2 * TOGETHER), "c"]
        waiting = [tasks.create_task(piece(turns, loop, name, told)) for name in names]
        await asyncio.sleep(0)  # all have asked for their turn
        for one in waiting[1:-1]:
            one.cancel()
    assert [name for name, _ in told] == ["a", "c"]
    assert told[1][1] - told[0][1] <= LIGHT + 2
