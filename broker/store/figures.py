"""What is counted for alerts and metrics, and what people have been told: the SQL, and rows into values."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from broker.alerts import Alert, Group
from broker.diagnosis import causes
from broker.lifecycle import Receipt, StopPoint, Transport
from broker.message import Ball, Text
from broker.store.rows import instant, micros

# Open deliveries that stand alike, and when the first of them was taken: `seq` is the order of commits.
GROUPS: Final = """
SELECT g.stop_point, g.cause, g.transport, g.receipt, g.ball, g.alarmed, g.receiver_her, g.count, m.at
FROM (
    SELECT stop_point, cause, transport, receipt, ball, alarms > 0 AS alarmed, receiver_her, count(*) AS count,
        min(seq), message_id
    FROM delivery WHERE outcome = 'open'
    GROUP BY stop_point, cause, transport, receipt, ball, alarmed, receiver_her
) AS g JOIN message AS m ON m.id = g.message_id"""

# Items that the EPJ has not stored, by whose they are.
INBOX: Final = "SELECT receiver_her, count(*), min(received_at) FROM item WHERE stage = 'waiting' GROUP BY receiver_her"

# What people were told of, oldest first.
ALERTS: Final = """
SELECT problem, name_nb, name_en, ball, count, oldest, opened_at, gone_at, closed_at, told
FROM alert ORDER BY opened_at, problem"""
_KEEP: Final = """
INSERT INTO alert (problem, name_nb, name_en, ball, count, oldest, opened_at, gone_at, closed_at, told)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (problem) DO UPDATE SET
    count = excluded.count, gone_at = excluded.gone_at, closed_at = excluded.closed_at, told = excluded.told"""
_FORGET: Final = "DELETE FROM alert WHERE problem = ?"

# What the state itself says where no cause is recorded.
_BY_TRANSPORT: Final = {
    Transport.WAITING: None,
    Transport.SENT: causes.ACKNOWLEDGMENT_AWAITED,
    Transport.ACKNOWLEDGED: causes.RECEIPT_AWAITED,
    Transport.REFUSED: causes.HTTP_REFUSED,
    Transport.ABANDONED: causes.GAVE_UP,
}


def read_group(row: Sequence[Any]) -> Group:
    """Return a row of GROUPS as a value."""
    stop_point, cause, transport, receipt, ball, alarmed, her, count, at = row
    overdue = causes.RECEIPT_OVERDUE if receipt == Receipt.OVERDUE else None
    return Group(
        stop_point=stop_point,
        error_id=cause or overdue or _BY_TRANSPORT[Transport(transport)],
        her=her,
        ball=Ball(ball),
        count=count,
        oldest=instant(at),
        alarmed=bool(alarmed),
    )


def read_inbox(row: Sequence[Any]) -> Group:
    """Return a row of INBOX as a value."""
    her, count, oldest = row
    return Group(
        stop_point=StopPoint.M6,
        error_id=causes.EPJ_NOT_COLLECTING,
        her=her,
        ball=Ball.EPJ,
        count=count,
        oldest=instant(oldest),
    )


def read_alert(row: Sequence[Any]) -> Alert:
    """Return a row of ALERTS as a value."""
    problem, nb, en, ball, count, oldest, opened_at, gone_at, closed_at, told = row
    return Alert(
        problem=problem,
        name=Text(nb=nb, en=en),
        ball=Ball(ball),
        count=count,
        oldest=instant(oldest),
        opened_at=instant(opened_at),
        gone_at=None if gone_at is None else instant(gone_at),
        closed_at=None if closed_at is None else instant(closed_at),
        told=frozenset(json.loads(told)),
    )


def keep(db: sqlite3.Connection, alerts: Iterable[Alert], forgotten: Iterable[str]) -> None:
    """Write these alerts as they are now, and forget those of which everybody knows the end."""
    db.executemany(
        _KEEP,
        (
            (
                alert.problem,
                alert.name.nb,
                alert.name.en,
                alert.ball,
                alert.count,
                micros(alert.oldest),
                micros(alert.opened_at),
                None if alert.gone_at is None else micros(alert.gone_at),
                None if alert.closed_at is None else micros(alert.closed_at),
                json.dumps(sorted(alert.told)),
            )
            for alert in alerts
        ),
    )
    db.executemany(_FORGET, ((problem,) for problem in forgotten))
