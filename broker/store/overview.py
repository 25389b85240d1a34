"""What operators ask of all messages at once: counts instead of messages, so that a hundred thousand answer as fast."""
# ruff: noqa: S608 - what is put together here is column names and other constants of this package

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from broker.diagnosis.problems import AGES, PATIENCE, Contact, ProblemKey, Tally, Uncollected
from broker.lifecycle import Outcome, Receipt, State, StopPoint, Transport
from broker.message import Ball, EventKind, StoredEvent, Work
from broker.store.rows import STORED_EVENT, WORK, instant, micros, read_stored_events, read_work

MOST_UNCONFIRMED: Final = 5000  # outcomes that are looked at: more than these are counted no further

_ALIKE = "d.stop_point, d.transport, d.receipt, d.outcome, d.cause, d.ball, d.receiver_her"
_COUNTED = "count(*), min(m.at), min(coalesce(min(d.transport_due, d.receipt_due), d.transport_due, d.receipt_due))"

# What is open, counted by all that makes two deliveries alike.
OPEN = f"""
SELECT {_ALIKE}, m.at < :patience, d.alarms > 0, {_COUNTED}
FROM delivery AS d JOIN message AS m ON m.id = d.message_id
WHERE d.outcome = 'open' GROUP BY {_ALIKE}, m.at < :patience, d.alarms > 0"""

# Outcomes that no EPJ has confirmed, the oldest first; those that a person must see to are counted as what is open is.
_UNCONFIRMED = """
FROM (
    SELECT * FROM delivery WHERE settled_seq IS NOT NULL AND confirmed_at IS NULL ORDER BY settled_seq LIMIT :most
) AS d JOIN message AS m ON m.id = d.message_id
WHERE m.direction = 'out' AND m.kind = 'document' AND d.outcome <> 'open'"""
SETTLED_FOR_A_PERSON = f"""
SELECT {_ALIKE}, m.at < :patience, d.alarms > 0, {_COUNTED} {_UNCONFIRMED} AND d.ball = 'person'
    AND d.outcome <> 'closed'
GROUP BY {_ALIKE}, m.at < :patience, d.alarms > 0"""
UNCONFIRMED = f"""
SELECT m.sender_her, 'K7', count(*), min(coalesce(d.updated_at, m.at)) {_UNCONFIRMED} AND d.ball <> 'person'
GROUP BY m.sender_her"""

# Documents that an EPJ has not stored.
UNREAD = """
SELECT receiver_her, 'M6', count(*), min(received_at) FROM item WHERE stage = 'waiting' GROUP BY receiver_her"""

# The deliveries of one problem. `raw` lists what the tallies of the problem have recorded: cause, transport, receipt.
_MEMBERS = f"""
SELECT {WORK}
FROM delivery AS d JOIN message AS m ON m.id = d.message_id LEFT JOIN envelope AS e ON e.eb_id = d.envelope
WHERE {{which}} AND d.receiver_her = :her AND d.stop_point = :stop_point
    AND (coalesce(d.cause, ''), d.transport, d.receipt) IN (
        SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:raw)
    )
ORDER BY d.seq LIMIT :limit"""
OPEN_MEMBERS = _MEMBERS.format(which="d.outcome = 'open'")
SETTLED_MEMBERS = _MEMBERS.format(
    which="d.settled_seq IS NOT NULL AND d.confirmed_at IS NULL AND d.ball = 'person' AND d.outcome <> 'open'"
)

# Open deliveries by counterpart and age.
SHAPE = f"""
SELECT d.receiver_her, CASE {" ".join(f"WHEN m.at > :edge{n} THEN {n}" for n in range(len(AGES)))} ELSE {len(AGES)} END,
    count(*)
FROM delivery AS d JOIN message AS m ON m.id = d.message_id
WHERE d.outcome = 'open' GROUP BY 1, 2"""

# For each counterpart the newest of something: one step of an index a counterpart.
_NEWEST = """
WITH RECURSIVE lane (her) AS (
    SELECT min({lane}) FROM {table} WHERE {only}
    UNION ALL
    SELECT (SELECT min({lane}) FROM {table} WHERE {only} AND {lane} > lane.her)
    FROM lane WHERE lane.her IS NOT NULL
)
SELECT her, (SELECT max({at}) FROM {table} WHERE {lane} = lane.her AND {only}) FROM lane WHERE her IS NOT NULL"""
ACKNOWLEDGED = _NEWEST.format(lane="to_her", table="envelope", only="acknowledged_at IS NOT NULL", at="acknowledged_at")
HEARD = _NEWEST.format(lane="sender_her", table="message", only="direction = 'in'", at="at")

# When something last happened, by kind.
LATEST = """
SELECT kind.value, (SELECT at FROM event WHERE kind = kind.value ORDER BY seq DESC LIMIT 1)
FROM json_each(:kinds) AS kind"""

# How often each kind of thing has happened since an instant: looks back from the newest, no further than that instant.
SINCE = """
SELECT kind, count(*) FROM event NOT INDEXED -- by offset: an index of kinds would be read whole
WHERE seq > coalesce((SELECT seq FROM event WHERE at < :since ORDER BY seq DESC LIMIT 1), 0) GROUP BY kind"""

# All that is written down, by offset.
ALL_EVENTS = f"SELECT {STORED_EVENT} FROM event AS v WHERE v.seq > :after ORDER BY v.seq LIMIT :limit"
BEFORE_LAST = "SELECT coalesce((SELECT seq FROM event ORDER BY seq DESC LIMIT 1 OFFSET :count), 0)"


class Rows(Protocol):
    """Where rows come from: `reads.Readers`."""

    async def rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        """Return the rows. Raises StoreBroken or StoreBusy."""


class Overview:
    """The answers, over `self._readers`."""

    _readers: Rows

    async def tallies(self, *, now: datetime) -> tuple[Tally, ...]:
        """Return all open deliveries, and settled ones that wait for a person, counted by what they have in common."""
        given = {"patience": micros(now - PATIENCE)}
        rows = [
            *await self._readers.rows(OPEN, given),
            *await self._readers.rows(SETTLED_FOR_A_PERSON, given | {"most": MOST_UNCONFIRMED}),
        ]
        return tuple(_tally(row) for row in rows)

    async def uncollected(self) -> tuple[Uncollected, ...]:
        """Return what waits for our own EPJ systems, by HER-id of ours and stop-point."""
        rows = [
            *await self._readers.rows(UNREAD, {}),
            *await self._readers.rows(UNCONFIRMED, {"most": MOST_UNCONFIRMED}),
        ]
        return tuple(
            Uncollected(her=her, stop_point=StopPoint(point), count=count, oldest=instant(oldest))
            for her, point, count, oldest in rows
        )

    async def members(self, key: ProblemKey, tallies: Collection[Tally], *, limit: int) -> tuple[Work, ...]:
        """Return the deliveries that `tallies` counted under the key, oldest first, at most `limit`."""
        found: list[Work] = []
        mine = [each for each in tallies if each.key == key]
        for query, chosen in (
            (OPEN_MEMBERS, [each for each in mine if each.state.outcome is Outcome.OPEN]),
            (SETTLED_MEMBERS, [each for each in mine if each.state.outcome is not Outcome.OPEN]),
        ):
            if chosen:
                raw = sorted({(each.cause or "", each.state.transport, each.state.receipt) for each in chosen})
                given = {"her": key.counterpart, "stop_point": key.stop_point, "raw": json.dumps(raw), "limit": limit}
                found += [read_work(row)[0] for row in await self._readers.rows(query, given)]
        return tuple(found[:limit])

    async def shape(self, *, now: datetime) -> Mapping[int, tuple[int, ...]]:
        """Return how many are open by counterpart, in one number an age: under each of AGES, and above the last."""
        edges = {f"edge{number}": micros(now - age) for number, age in enumerate(AGES)}
        counts: dict[int, list[int]] = {}
        for her, age, count in await self._readers.rows(SHAPE, edges):
            counts.setdefault(her, [0] * (len(AGES) + 1))[age] = count
        return {her: tuple(each) for her, each in counts.items()}

    async def contacts(self) -> Mapping[int, Contact]:
        """Return the last contact with every counterpart that ever answered or wrote."""
        acknowledged = {her: instant(at) for her, at in await self._readers.rows(ACKNOWLEDGED, {})}
        heard = {her: instant(at) for her, at in await self._readers.rows(HEARD, {})}
        return {
            her: Contact(acknowledged_at=acknowledged.get(her), heard_at=heard.get(her))
            for her in sorted(acknowledged.keys() | heard.keys())
        }

    async def latest(self, kinds: Collection[EventKind]) -> Mapping[EventKind, datetime]:
        """Return when each kind of event last happened; those that never did are left out."""
        rows = await self._readers.rows(LATEST, {"kinds": json.dumps(list(kinds))})
        return {EventKind(kind): instant(at) for kind, at in rows if at is not None}

    async def since(self, at: datetime) -> Mapping[EventKind, int]:
        """Return how many events of each kind came at or after an instant."""
        return {EventKind(kind): count for kind, count in await self._readers.rows(SINCE, {"since": micros(at)})}

    async def all_events(self, *, after: int, limit: int) -> tuple[StoredEvent, ...]:
        """Return events with a higher offset; a negative `after` means so many of the last ones."""
        if after < 0:
            ((after,),) = await self._readers.rows(BEFORE_LAST, {"count": -after})
        return read_stored_events(await self._readers.rows(ALL_EVENTS, {"after": after, "limit": limit}))


def _tally(row: Sequence[Any]) -> Tally:
    stop_point, transport, receipt, outcome, cause, ball, her, old, alarmed, count, oldest, due = row
    return Tally(
        state=State(
            transport=Transport(transport),
            receipt=Receipt(receipt),
            outcome=Outcome(outcome),
            stop_point=StopPoint(stop_point),
        ),
        cause=cause,
        ball=Ball(ball),
        counterpart=her,
        old=bool(old),
        alarmed=bool(alarmed),
        count=count,
        oldest=instant(oldest),
        next_at=None if due is None else instant(due),
    )
