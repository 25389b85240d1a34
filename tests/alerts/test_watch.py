"""What the gauges show is what stands in the store; and an alert and the API name the same error."""

from dataclasses import replace
from pathlib import Path

from broker.diagnosis import stand
from broker.lifecycle import Outcome, Receipt, StopPoint, Transport
from broker.message import Ball, Changes, EventKind
from broker.store.figures import GROUPS
from broker.telemetry import REGISTRY
from tests.alerts.rig import PARTNER, site
from tests.store import values


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


STATES = [
    (transport, receipt, point)
    for transport, point in (
        (Transport.WAITING, StopPoint.K2),
        (Transport.SENT, StopPoint.K5),
        (Transport.ACKNOWLEDGED, StopPoint.K6),
        (Transport.REFUSED, StopPoint.K5),
        (Transport.ABANDONED, StopPoint.K5),
    )
    for receipt in (Receipt.AWAITED, Receipt.OVERDUE)
]


async def test_an_alert_and_the_api_name_the_same_error(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        wanted = {}
        for number, (transport, receipt, point) in enumerate(STATES):
            body = values.body(b"x")
            message = values.message(body)
            delivery = values.delivery(message, receiver_her=PARTNER + number)
            state = replace(delivery.state, transport=transport, receipt=receipt, stop_point=point)
            delivery = replace(delivery, state=state)
            assert state.outcome is Outcome.OPEN
            await here.store.record(
                Changes(
                    events=(values.event(kind=EventKind.ACCEPTED),),
                    bodies=(body,),
                    messages=(message,),
                    deliveries=(delivery,),
                )
            )
            wanted[delivery.receiver_her] = stand(delivery, message, name="", now=here.clock.now()).error_id
        figures = await here.store.figures()
        assert {group.her: group.error_id for group in figures.groups} == wanted
    assert len(wanted) == len(STATES)


async def test_counting_reads_what_is_open_and_nothing_else(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.stall(10)
        plan = await here.store._readers.rows(f"EXPLAIN QUERY PLAN {GROUPS}", {})
    assert any("delivery_open" in str(row[-1]) for row in plan)


async def test_a_look_never_fails_on_an_empty_store(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.watch.look()
    assert metric("broker_inbox_waiting") == 0
    assert metric("broker_inbox_oldest_age_seconds") == 0
