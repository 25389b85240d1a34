"""What one write does to the tables, statement by statement, within a transaction that the caller holds.

Each statement lets another thread have the interpreter's lock, several times. So there are few: what has no rows costs
none, and several rows of a table go in together.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Generic, TypeVar

from broker.lifecycle import Outcome
from broker.message import Changes, Delivery, Envelope, NewEvent, ReceivedEnvelope, Signal
from broker.ports import Stale
from broker.store.bodies import SealedBody
from broker.store.faults import Impossible
from broker.store.rows import (
    ATTEMPT,
    DELIVERY,
    ENVELOPE,
    EVENT,
    HOLD,
    ITEM,
    MESSAGE,
    PAYLOAD,
    SIGNAL,
    STATEMENT,
    Value,
    insert,
    micros,
    write_digests,
)

T = TypeVar("T")
Rows = Iterable[tuple[Value, ...]]

TOGETHER = 8  # rows in one INSERT; there is a text of it for each number up to this


class Insert(Generic[T]):
    """The INSERT of values into one table."""

    def __init__(self, table: str, columns: Sequence[str], write: Callable[[T], tuple[Value, ...]]) -> None:
        self._write = write
        self._texts = tuple(insert(table, columns, rows=rows) for rows in range(1, TOGETHER + 1))

    def __call__(self, db: sqlite3.Connection, values: Sequence[T]) -> int:
        """Write the values, and return the place of the last."""
        last = 0
        for start in range(0, len(values), TOGETHER):
            part = values[start : start + TOGETHER]
            cells = [cell for value in part for cell in self._write(value)]
            last = db.execute(self._texts[len(part) - 1], cells).lastrowid or 0
        return last


_BODY = ("id", "size", "wrapped", "sealed", "file")
_RECEIVED = (
    *("from_her", "cpa_id", "eb_id", "digests", "received_at", "evidence", "status", "content_type", "answer"),
    "item_id",
)

_insert_bodies: Insert[SealedBody] = Insert("body", _BODY, attrgetter(*_BODY))
_insert_received: Insert[tuple[Value, ...]] = Insert("received", _RECEIVED, lambda row: row)
# `settled_seq` is the feed event that tells the outcome.
_insert_deliveries: Insert[tuple[Value, ...]] = Insert("delivery", (*DELIVERY.columns, "settled_seq"), lambda row: row)
insert_events = Insert(EVENT.name, EVENT.columns, EVENT.write)
_insert_messages = Insert(MESSAGE.name, MESSAGE.columns, MESSAGE.write)
_insert_payloads = Insert(PAYLOAD.name, PAYLOAD.columns, PAYLOAD.write)
_insert_envelopes = Insert(ENVELOPE.name, ENVELOPE.columns, ENVELOPE.write)
_insert_items = Insert(ITEM.name, ITEM.columns, ITEM.write)
_insert_attempts = Insert(ATTEMPT.name, ATTEMPT.columns, ATTEMPT.write)
_insert_signals = Insert(SIGNAL.name, SIGNAL.columns, SIGNAL.write)
_insert_holds = Insert(HOLD.name, HOLD.columns, HOLD.write)
_insert_statements = Insert(STATEMENT.name, STATEMENT.columns, STATEMENT.write)

# The delivery as it shall be, if it still is as it was read. What is open was so before, so that the columns of an
# outcome stand as they are, and with them the indexes of what is open.
_ADVANCE_OPEN = DELIVERY.numbered("""
UPDATE delivery SET
    version = version + 1,
    transport = :transport, receipt = :receipt, stop_point = :stop_point, ball = :ball,
    cause = :cause, transport_due = :transport_due, receipt_due = :receipt_due, alarms = :alarms, chases = :chases,
    renewals = :renewals, failures = :failures, envelope = :envelope, codes = :codes, late = :late,
    held = :held, leased_until = :leased_until, updated_at = :updated_at
WHERE id = :id AND version = :version AND outcome = 'open'""")

# As above, with an outcome. The event that first told this outcome is kept.
_ADVANCE_SETTLED = DELIVERY.numbered(
    """
UPDATE delivery SET
    version = version + 1,
    transport = :transport, receipt = :receipt, outcome = :outcome, stop_point = :stop_point, ball = :ball,
    cause = :cause, transport_due = :transport_due, receipt_due = :receipt_due, alarms = :alarms, chases = :chases,
    renewals = :renewals, failures = :failures, envelope = :envelope, codes = :codes, late = :late,
    receipt_message = :receipt_message, confirmed_at = :confirmed_at, closed_because = :closed_because,
    held = :held, leased_until = :leased_until, updated_at = :updated_at,
    settled_seq = CASE WHEN outcome = :outcome THEN settled_seq ELSE :settled_seq END
WHERE id = :id AND version = :version""",
    "settled_seq",
)

# The envelope's use; its bytes never change.
_USE = "UPDATE envelope SET copies = ?, acknowledged_at = ? WHERE eb_id = ?"

# The item as it shall be, if it still is as it was read.
_ADVANCE_ITEM = ITEM.numbered("""
UPDATE item SET
    version = version + 1,
    stage = :stage, verdict = :verdict, codes_sha256 = :codes_sha256, apprec_message = :apprec_message,
    updated_at = :updated_at
WHERE id = :id AND version = :version""")

# The signal as it shall be; whoever writes it has done with it, so its lease ends.
_USE_SIGNAL = "UPDATE signal SET due = ?, tries = ?, leased_until = NULL WHERE id = ?"

_END_HOLD = "DELETE FROM hold WHERE her = ?"


def apply(db: sqlite3.Connection, changes: Changes, bodies: Sequence[SealedBody], answer: str | None) -> None:
    """Write all of `changes`, whose bodies are `bodies`; `answer` is the body id of the recorded answer.

    Raises Stale on a changed version, Impossible on a write without an event, sqlite3.Error; the caller rolls back.
    """
    if not changes.events:
        raise Impossible("a write without an event")
    # In the order in which rows refer to each other.
    last = insert_events(db, changes.events)
    _insert_bodies(db, bodies)
    _insert_messages(db, changes.messages)
    _insert_payloads(db, changes.payloads)
    _insert_deliveries(db, [_settled(delivery, changes.events, last) for delivery in changes.deliveries])
    _insert_envelopes(db, changes.envelopes)
    _insert_items(db, changes.new_items)
    for delivery in changes.advanced:
        _advance(db, delivery, changes.events, last)
    _compare_and_set(db, _USE, map(_use, changes.used))
    _compare_and_set(db, _ADVANCE_ITEM, map(ITEM.write, changes.items))
    _insert_attempts(db, changes.attempts)
    _insert_signals(db, changes.signals)
    _compare_and_set(db, _USE_SIGNAL, map(_use_signal, changes.signalled))
    _insert_holds(db, changes.holds)
    _compare_and_set(db, _END_HOLD, ((her,) for her in changes.unheld))
    if changes.received is not None:
        _insert_received(db, [_received(changes.received, answer)])
    _insert_statements(db, changes.statements)


def _advance(db: sqlite3.Connection, delivery: Delivery, events: Sequence[NewEvent], last: int) -> None:
    """Raises Stale where the delivery is not as it was read."""
    if delivery.state.outcome is Outcome.OPEN:
        _compare_and_set(db, _ADVANCE_OPEN, [DELIVERY.write(delivery)])
    else:
        _compare_and_set(db, _ADVANCE_SETTLED, [_settled(delivery, events, last)])


def _settled(delivery: Delivery, events: Sequence[NewEvent], last: int) -> tuple[Value, ...]:
    """Return the row of `delivery`; if it is settled, with the place in the feed of the last event that tells of it.

    `last` is the place of the last of `events`; the others' come before it without a gap, for one thread writes.
    """
    place: int | None = None
    if delivery.state.outcome is not Outcome.OPEN:
        told = enumerate(events, start=last - len(events) + 1)
        place = max((place for place, event in told if event.feed and _tells_of(event, delivery)), default=None)
    return (*DELIVERY.write(delivery), place)


def _tells_of(event: NewEvent, delivery: Delivery) -> bool:
    if event.delivery_id is None:
        return event.message_id == delivery.message_id
    return event.delivery_id == delivery.id


def _compare_and_set(db: sqlite3.Connection, statement: str, rows: Rows) -> None:
    """Update one row for each of `rows`. Raises Stale where it is not there, or no longer as it was read."""
    for row in rows:
        if db.execute(statement, row).rowcount != 1:
            raise Stale("the row has changed since it was read")


def _use(envelope: Envelope) -> tuple[Value, ...]:
    acknowledged_at = envelope.acknowledged_at
    return (envelope.copies, None if acknowledged_at is None else micros(acknowledged_at), envelope.eb_id)


def _use_signal(signal: Signal) -> tuple[Value, ...]:
    return (None if signal.due is None else micros(signal.due), signal.tries, signal.id)


def _received(received: ReceivedEnvelope, answer: str | None) -> tuple[Value, ...]:
    return (
        received.from_her,
        received.cpa_id,
        received.eb_id,
        write_digests(received.digests),
        micros(received.received_at),
        received.evidence,
        received.answer.status,
        received.answer.content_type,
        answer,
        received.item_id,
    )
