"""Many who wait share one fsync, and where their statements run. Figures are printed, not judged."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from broker.ports import Claimed
from broker.store import claim
from broker.store.sqlite import SqliteStore
from broker.store.writer import Job, Told
from tests.store import values


@pytest.mark.parametrize("waiters", [1, 16])
async def test_those_who_wait_together_share_a_commit(
    store: SqliteStore, waiters: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    groups: list[int] = []
    commit = store._writer._commit

    def counted(group: Sequence[Job], told: list[Told] | None) -> list[Told]:
        groups.append(len(group))
        return commit(group, told)

    monkeypatch.setattr(store._writer, "_commit", counted)
    writes = iter([values.taken(bytes(10_000)) for _ in range(800)])

    async def wait_each() -> None:
        for one in writes:
            await store.accept(one)

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
