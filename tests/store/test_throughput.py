"""Many who wait share one fsync. The figure is printed, not judged: this machine is not yours."""

import asyncio
import time
from collections.abc import Sequence

import pytest

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
