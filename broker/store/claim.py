"""What is handed out next: which lanes, and how much of each.

A lane is a counterpart. Only lanes that have something ready are looked at, by jumping through an index from one
counterpart to the next; what waits for a closed or full lane is never read, be it a million.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.message import Signal, Work
from broker.ports import Claimed
from broker.store import queries
from broker.store.rows import SIGNAL, micros, read_work


@dataclass(frozen=True, slots=True, order=True)
class _Candidate:
    """Something ready. The order is the order of handing out: lanes with fewer in work first, then the oldest."""

    ahead: int  # in work in its lane, or chosen from it before this one
    ready: int
    id: str
    signal: bool


def claim(
    db: sqlite3.Connection,
    *,
    now: datetime,
    until: datetime,
    limit: int,
    per_lane: int,
    busy: Mapping[int, int],
    closed: Collection[int],
) -> Claimed:
    """Lease at most `limit` of what is ready, as `Store.claim` says. The caller holds the transaction."""
    at = micros(now)
    lanes: dict[int, int] = {}  # lane -> when its first is ready
    for statement in (queries.DELIVERY_LANES, queries.SIGNAL_LANES):
        for her, ready in db.execute(statement):
            if ready <= at and her not in closed and busy.get(her, 0) < per_lane:
                lanes[her] = min(ready, lanes.get(her, ready))
    # Every lane's first comes before any lane's second, so more than `limit` lanes need not be looked into.
    heads = sorted(lanes, key=lambda her: (busy.get(her, 0), lanes[her]))[:limit]
    candidates = sorted(found for her in heads for found in _lane(db, her, at, busy.get(her, 0), per_lane))[:limit]
    deliveries = [candidate.id for candidate in candidates if not candidate.signal]
    signals = [candidate.id for candidate in candidates if candidate.signal]
    work: tuple[Work, ...] = ()
    leased: tuple[Signal, ...] = ()
    if deliveries:
        ids = json.dumps(deliveries)
        db.execute(queries.LEASE_DELIVERIES, (micros(until), ids))
        work = tuple(read_work(row)[0] for row in db.execute(queries.LEASED_WORK, (ids,)))
    if signals:
        ids = json.dumps(signals)
        db.execute(queries.LEASE_SIGNALS, (micros(until), ids))
        leased = SIGNAL.all(db.execute(queries.LEASED_SIGNALS, (ids,)))
    return Claimed(work=work, signals=leased)


def _lane(db: sqlite3.Connection, her: int, at: int, busy: int, per_lane: int) -> list[_Candidate]:
    """Return what fills the free slots of one lane, deliveries and signals by age."""
    free = per_lane - busy
    found = [(*row, False) for row in db.execute(queries.READY_DELIVERIES, (her, at, free))]
    found += [(*row, True) for row in db.execute(queries.READY_SIGNALS, (her, at, free))]
    return [_Candidate(busy + n, ready, id, signal) for n, (ready, id, signal) in enumerate(sorted(found)[:free])]


def free_leases(db: sqlite3.Connection) -> None:
    """End every lease."""
    db.execute(queries.FREE_DELIVERIES)
    db.execute(queries.FREE_SIGNALS)
