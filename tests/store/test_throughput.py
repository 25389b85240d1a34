"""Many who wait share one fsync, and where their statements run. Figures are printed, not judged."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from broker.ports import Claimed
from broker.store import claim
from broker.store.sqlite import SqliteStore, open_store
from broker.store.writer import GROUP, Job, Told
from tests.store import values


def groups_of(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many closures each commit from now on has, a list that grows."""
    groups: list[int] = []
    by_thread, by_loop = store._writer._commit, store._writer._run

    def counted(group: Sequence[Job], told: list[Told] | None) -> list[Told]:
        groups.append(len(group))
        return by_thread(group, told)

    def run(group: Sequence[Job], *, commit: bool) -> list[Told] | None:
        told = by_loop(group, commit=commit)
        if commit and told is not None:
            groups.append(len(group))
        return told

    monkeypatch.setattr(store._writer, "_commit", counted)
    monkeypatch.setattr(store._writer, "_run", run)
    return groups


def nothing(_: sqlite3.Connection) -> None:
    return None


@pytest.mark.parametrize("waiters", [1, 16])
async def test_those_who_wait_together_share_a_commit(
    store: SqliteStore, waiters: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = groups_of(store, monkeypatch)
    writes = iter([values.taken(bytes(10_000)) for _ in range(800)])

    async def wait_each() -> None:
        for one in writes:
            await store.record(one)

    start = time.perf_counter()
    await asyncio.gather(*(wait_each() for _ in range(waiters)))
    took = time.perf_counter() - start
    with capsys.disabled():
        print(f"\n  {waiters:2} waiters, 10 KB: {800 / took:.0f} writes/s in {len(groups)} commits", end="")
    assert sum(groups) == 800
    assert max(groups) <= waiters
    assert len(groups) == 800 if waiters == 1 else len(groups) < 400


async def test_small_writes_run_on_the_event_loop_and_the_rest_in_the_thread(store: SqliteStore) -> None:
    def where(_: sqlite3.Connection) -> str:
        return threading.current_thread().name

    writer = store._writer
    together = [writer.run(where), writer.run(where)]
    assert await asyncio.gather(*together) == ["MainThread"] * 2
    assert await writer.run(where, small=False) == "store writer"
    assert await writer.run(where, scrub=True) == "store writer"
    # One that is not small takes the others of its group with it: they are one transaction.
    mixed = [writer.run(where), writer.run(where, small=False)]
    assert await asyncio.gather(*mixed) == ["store writer"] * 2


async def test_what_is_urgent_is_committed_on_the_event_loop_while_the_disk_is_quick(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[str] = []
    writer = store._writer

    def traced(statement: str) -> None:
        if statement == "COMMIT":
            places.append(threading.current_thread().name)

    writer._db.set_trace_callback(traced)
    await writer.run(nothing)
    monkeypatch.setattr("broker.store.writer.QUICK", 0.0)
    turns: list[None] = []
    asyncio.get_running_loop().call_soon(turns.append, None)
    await writer.run(nothing, urgent=True)
    assert not turns  # it was done before anything else
    await writer.run(nothing, urgent=True)  # the one before was slow
    monkeypatch.setattr(writer, "_slow_until", 0.0)
    await asyncio.gather(writer.run(nothing), writer.run(nothing, urgent=True))
    assert places == ["store writer", "MainThread", "store writer", "MainThread"]
    monkeypatch.setattr(writer, "_slow_until", 0.0)
    await asyncio.gather(writer.run(nothing, small=False), writer.run(nothing, urgent=True))
    assert places[4:] == ["store writer"]


async def test_a_claim_that_takes_long_is_the_threads_until_one_is_quick_again(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[str] = []
    whole, slow = claim.claim, True

    def claimed(db: sqlite3.Connection, **asked: Any) -> Claimed:
        places.append(threading.current_thread().name)
        if slow:
            threading.Event().wait(0.01)
        return whole(db, **asked)

    monkeypatch.setattr(claim, "claim", claimed)

    async def ask() -> None:
        await store.claim(now=values.NOW, until=values.NOW, limit=1, per_lane=1, busy={}, closed=())

    await ask()
    await ask()
    slow = False
    await ask()
    await ask()
    assert places == ["MainThread", "store writer", "store writer", "MainThread"]


async def test_what_is_urgent_does_not_wait_and_takes_with_it_what_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = 0.3
    store = await open_store(tmp_path / "apart", site_key=values.SITE_KEY, on_broken=lambda error: None, apart=apart)
    writer, groups, begun = store._writer, groups_of(store, monkeypatch), list[sqlite3.Connection]()

    start = time.perf_counter()
    await writer.run(nothing)  # the first since long ago is not kept
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run(begun.append))
        tasks.create_task(writer.run(begun.append))
        for _ in range(5):
            await asyncio.sleep(0)  # a turn of the loop: in the second they would begin, were they not kept
        assert not begun
        assert groups == [1]
        await writer.run(nothing, urgent=True)
    assert groups == [1, 3]
    assert time.perf_counter() - start < apart / 2
    start = time.perf_counter()
    await asyncio.gather(*(writer.run(nothing) for _ in range(5)))
    assert groups == [1, 3, 5]
    assert time.perf_counter() - start > apart / 2
    # What is more than one group is begun after it, where it is urgent.
    await asyncio.gather(*(writer.run(nothing) for _ in range(GROUP + 3)), writer.run(nothing, urgent=True))
    assert groups == [1, 3, 5, GROUP, 4]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run(nothing))
        await asyncio.sleep(0)  # the task has asked for its write
        await store.close()  # what waits is written
    assert groups == [1, 3, 5, GROUP, 4, 1]


async def test_only_what_the_epj_waits_for_is_urgent(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    run = store._writer.run

    async def watched(*args: Any, urgent: bool = False, **kwargs: Any) -> Any:
        seen.append(urgent)
        return await run(*args, urgent=urgent, **kwargs)

    monkeypatch.setattr(store._writer, "run", watched)
    await store.accept(values.taken())
    await store.record(values.taken())
    assert seen == [True, False]
