"""The breaker, and the loop's two promises: a full lane hides no other, and a story that fails takes nothing along."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from broker import outbound
from broker.errors import TransportFailed
from broker.message import Work
from broker.ports import Claimed, TransportReply
from broker.worker import Breaker, BreakerPolicy, BrokenCircuit, Limits, Worker
from tests.scenario.pair import Clock, pair
from tests.unit.values import delivery, message

ENDPOINT = "http://127.0.0.1:9/ebms"


@dataclass
class Flaky:
    """A carrier that does as told."""

    does: list[int | None] = field(default_factory=list)
    tried: int = 0

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        self.tried += 1
        status = self.does.pop(0)
        if status is None:
            raise TransportFailed("refused", error_id="MB-3202", maybe_read=False)
        return TransportReply(status=status, content_type="", body=b"")


async def post(circuit: BrokenCircuit) -> int:
    reply = await circuit.post(ENDPOINT, content_type="text/xml", body=b"", timeout=timedelta(seconds=1))
    return reply.status


async def test_the_breaker_opens_after_failures_in_a_row_and_one_probe_decides() -> None:
    clock, carrier = Clock(), Flaky([None, 503, None, None, 204, None])
    breaker = Breaker(policy=BreakerPolicy(failures=3, closed_for=timedelta(minutes=1)), clock=clock)
    circuit = BrokenCircuit(carrier, breaker)
    with pytest.raises(TransportFailed, match="refused"):
        await post(circuit)
    assert await post(circuit) == 503
    assert not breaker.closed(ENDPOINT)
    with pytest.raises(TransportFailed, match="refused"):
        await post(circuit)
    assert breaker.closed("http://127.0.0.1:9/other")  # the origin counts, not the path
    with pytest.raises(TransportFailed, match="left alone") as why:
        await post(circuit)
    assert (why.value.error_id, why.value.maybe_read, carrier.tried) == ("MB-3215", False, 3)
    assert breaker.opens() == clock.now() + timedelta(minutes=1)
    assert breaker.rests() == {"http://127.0.0.1:9": clock.now() + timedelta(minutes=1)}
    clock.time += timedelta(minutes=1)
    with pytest.raises(TransportFailed, match="refused"):
        await post(circuit)  # the probe failed
    assert breaker.closed(ENDPOINT)
    clock.time += timedelta(minutes=1)
    assert await post(circuit) == 204
    with pytest.raises(TransportFailed, match="refused"):
        await post(circuit)
    assert not breaker.closed(ENDPOINT)  # counted afresh
    assert breaker.rests() == {}


@dataclass
class OneLane:
    """A store that hands out two deliveries of one lane, once, and notes what the worker asks it."""

    work: list[Work]
    asked: list[set[int]] = field(default_factory=list)
    claims: int = 0
    claimed: asyncio.Event = field(default_factory=asyncio.Event)

    async def claim(
        self, *, now: datetime, until: datetime, limit: int, per_lane: int, busy: Mapping[int, int], closed: Any
    ) -> Claimed:
        self.claims += 1
        given, self.work = tuple(self.work), []
        return Claimed(work=given, signals=())

    async def next_due(self, *, closed: Collection[int]) -> datetime | None:
        self.asked.append(set(closed))
        self.claimed.set()
        return None


async def test_a_full_lane_hides_no_other_and_a_failing_story_takes_nothing_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, postponed = asyncio.Event(), []

    async def proceed(work: Work, doors: object) -> None:
        await released.wait()
        raise RuntimeError("a fault of ours")

    async def postpone(work: Work, doors: object) -> None:
        postponed.append(work.delivery.id)

    monkeypatch.setattr(outbound, "proceed", proceed)
    monkeypatch.setattr(outbound, "postpone", postpone)
    async with pair(tmp_path) as both:
        work = [Work(message=message(), delivery=replace(delivery(), id=f"d-{n}"), envelope=None) for n in (1, 2)]
        store = OneLane(work)
        doors = replace(both.left.doors, store=cast(Any, store))
        worker = Worker(
            doors,
            Breaker(policy=BreakerPolicy(), clock=both.clock),
            Limits(deliveries=10, per_lane=2),
            asyncio.Event(),
        )
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(worker.run())
            await store.claimed.wait()
            assert store.asked[-1] == {8000201}  # the full lane
            released.set()
            while len(postponed) < 2:
                store.claimed.clear()
                await store.claimed.wait()
            worker.stop()
            await running
        assert sorted(postponed) == ["d-1", "d-2"]
        assert dict(worker.busy) == {}
