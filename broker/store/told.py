"""What people have been told of: the SQL, and rows into values and back."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from broker.alerts import Alert
from broker.message import Ball, Text
from broker.store.rows import instant, micros

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
