"""What the gauges show is what stands in the store."""

from pathlib import Path

from broker.message import Ball
from broker.telemetry import REGISTRY
from tests.alerts.rig import site


def metric(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_the_gauges_show_what_stands_in_the_store(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.stall(3, cause="MB-2003", ball=Ball.PERSON)
        here.clock.later(minutes=10)
        await here.stall(2)
        await here.stall(1, cause=None, ball=Ball.US)
        here.clock.later(minutes=10)
        await here.watch.look()
        assert metric("broker_deliveries_open", stage="K2") == 6
        assert metric("broker_deliveries_open", stage="K6") == 0
        assert metric("broker_oldest_open_age_seconds", stage="K2") == 1200
        assert metric("broker_deliveries_by_ball", ball="person") == 3
        assert metric("broker_problem_deliveries", error_id="MB-3202") == 2
        assert metric("broker_problems_open", error_id="MB-2003") == 1
        assert metric("broker_problems_open", error_id="-") is None  # queued for ten minutes is no problem yet
        assert (metric("broker_disk_free_bytes") or 0) > 0
        assert metric("broker_measured_timestamp_seconds") == here.clock.now().timestamp()
        await here.mend()
        here.clock.later(minutes=1)
        await here.watch.look()
        assert metric("broker_deliveries_open", stage="K2") == 0
        assert metric("broker_problems_open", error_id="MB-2003") is None


async def test_a_closed_lane_is_told_as_what_closed_it(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.stall(40, cause="MB-3215")
        await here.stall(2)
        await here.watch.look()
    assert metric("broker_problem_deliveries", error_id="MB-3202") == 42
    assert metric("broker_problem_deliveries", error_id="MB-3215") is None


async def test_what_a_person_holds_is_no_problem(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.stall(1, cause="MB-5001", ball=Ball.PERSON)
        await here.watch.look()
    assert metric("broker_problems_open", error_id="MB-5001") is None
    assert metric("broker_deliveries_by_ball", ball="person") == 1


async def test_a_look_never_fails_on_an_empty_store(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.watch.look()
    assert metric("broker_inbox_waiting") == 0
    assert metric("broker_inbox_oldest_age_seconds") == 0
