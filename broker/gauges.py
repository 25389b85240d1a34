"""What stands now, as numbers for Prometheus: every label is from a closed list, and none names a message or party."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from prometheus_client import Gauge

from broker.alerts import Group
from broker.diagnosis.conditions import Facts
from broker.diagnosis.problems import Tally, Uncollected
from broker.lifecycle import Outcome, StopPoint
from broker.message import Ball
from broker.telemetry import REGISTRY

_OPEN = Gauge("broker_deliveries_open", "Open deliveries, by the last checkpoint passed", ["stage"], registry=REGISTRY)
_OLDEST = Gauge(
    "broker_oldest_open_age_seconds", "Age of the oldest open delivery at a checkpoint", ["stage"], registry=REGISTRY
)
_BALL = Gauge(
    "broker_deliveries_by_ball",
    "Open deliveries, and others that wait for a person, by who must act next",
    ["ball"],
    registry=REGISTRY,
)
_PROBLEMS = Gauge(
    "broker_problems_open", "Problems (stop-point, error id, counterpart), by error id", ["error_id"], registry=REGISTRY
)
_PROBLEM_DELIVERIES = Gauge(
    "broker_problem_deliveries", "Deliveries and documents that stand in a problem", ["error_id"], registry=REGISTRY
)
_INBOX = Gauge("broker_inbox_waiting", "Documents that no EPJ has stored", registry=REGISTRY)
_INBOX_OLDEST = Gauge("broker_inbox_oldest_age_seconds", "Age of the oldest of these", registry=REGISTRY)
_LANES = Gauge("broker_lanes_resting", "Endpoints whose lanes are closed now", registry=REGISTRY)
_DISK = Gauge("broker_disk_free_bytes", "Free space where the store is", registry=REGISTRY)
_RESERVE = Gauge("broker_disk_reserve_bytes", "Free space below which nothing new is taken", registry=REGISTRY)
_EXPIRY = Gauge(
    "broker_certificate_expiry_timestamp_seconds",
    "When the first certificate in use ends; 0 where one is missing or unusable",
    ["owner"],
    registry=REGISTRY,
)
_MEASURED = Gauge("broker_measured_timestamp_seconds", "When these numbers were taken", registry=REGISTRY)

# Outgoing deliveries stand at no other.
STAGES: Final = tuple(point for point in StopPoint if point.startswith("K"))


def show(
    tallies: Iterable[Tally], uncollected: Iterable[Uncollected], troubled: Iterable[Group], *, now: datetime
) -> None:
    """Show what stands in the store, at the time `now`; `troubled` are the problems that it makes."""
    count: Counter[str] = Counter()
    balls: Counter[Ball] = Counter()
    oldest: dict[str, datetime] = {}
    for tally in tallies:
        balls[tally.ball] += tally.count
        if tally.state.outcome is Outcome.OPEN:
            stage = tally.state.stop_point
            count[stage] += tally.count
            oldest[stage] = min(tally.oldest, oldest.get(stage, tally.oldest))
    inbox = [each for each in uncollected if each.stop_point is StopPoint.M6]
    for stage in STAGES:
        _OPEN.labels(stage=stage).set(count[stage])
        _OLDEST.labels(stage=stage).set(_age(oldest.get(stage), now))
    for ball in Ball:
        _BALL.labels(ball=ball).set(balls[ball])
    problems: Counter[str] = Counter()
    deliveries: Counter[str] = Counter()
    for group in troubled:
        problems[group.error_id or "-"] += 1
        deliveries[group.error_id or "-"] += group.count
    _PROBLEMS.clear()
    _PROBLEM_DELIVERIES.clear()
    for error_id, number in problems.items():
        _PROBLEMS.labels(error_id=error_id).set(number)
        _PROBLEM_DELIVERIES.labels(error_id=error_id).set(deliveries[error_id])
    _INBOX.set(sum(each.count for each in inbox))
    _INBOX_OLDEST.set(_age(min((each.oldest for each in inbox), default=None), now))
    _MEASURED.set(now.timestamp())


def surroundings(facts: Facts) -> None:
    """Show what stands around the store: bytes of disk, endpoints left alone, when the first certificates end.

    0 where one of them can't be used even now.
    """
    _DISK.set(facts.free)
    _RESERVE.set(facts.reserve)
    _LANES.set(len(facts.resting))
    for owner, own in (("own", True), ("partner", False)):
        ends = [0.0 if term.ends is None else term.ends.timestamp() for term in facts.terms if term.own is own]
        if ends:
            _EXPIRY.labels(owner=owner).set(min(ends))


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
