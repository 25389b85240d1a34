"""What one write does to the tables, statement by statement, within a transaction that the caller holds."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from broker.lifecycle import Outcome
from broker.message import Changes, Delivery, NewEvent, ReceivedEnvelope
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
    micros,
    write_digests,
)

_NEW_BODY = "INSERT INTO body (id, size, wrapped, sealed, file) VALUES (?, ?, ?, ?, ?)"

# `settled_seq` is the feed event that tells the outcome.
_NEW_DELIVERY = DELIVERY.insert("settled_seq")
_NEW_EVENT, _NEW_MESSAGE, _NEW_ENVELOPE = EVENT.insert(), MESSAGE.insert(), ENVELOPE.insert()
_NEW_ITEM, _NEW_ATTEMPT, _NEW_SIGNAL = ITEM.insert(), ATTEMPT.insert(), SIGNAL.insert()
_NEW_STATEMENT = STATEMENT.insert()
_NEW_PAYLOAD = PAYLOAD.insert()
_NEW_HOLD, _END_HOLD = HOLD.insert(), "DELETE FROM hold WHERE her = :her"

# The delivery as it shall be, if it still is as it was read. The event that first told this outcome is kept.
_ADVANCE = """
UPDATE delivery SET
    version = version + 1,
    transport = :transport, receipt = :receipt, outcome = :outcome, stop_point = :stop_point, ball = :ball,
    cause = :cause, transport_due = :transport_due, receipt_due = :receipt_due, alarms = :alarms, chases = :chases,
    renewals = :renewals, failures = :failures, envelope = :envelope, codes = :codes, late = :late,
    receipt_message = :receipt_message, confirmed_at = :confirmed_at, closed_because = :closed_because,
    held = :held, leased_until = :leased_until, updated_at = :updated_at,
    settled_seq = CASE WHEN outcome = :outcome THEN settled_seq ELSE :settled_seq END
WHERE id = :id AND version = :version"""

# The envelope's use; its bytes never change.
_USE = "UPDATE envelope SET copies = :copies, acknowledged_at = :acknowledged_at WHERE eb_id = :eb_id"

# The item as it shall be, if it still is as it was read.
_ADVANCE_ITEM = """
UPDATE item SET
    version = version + 1,
    stage = :stage, verdict = :verdict, codes_sha256 = :codes_sha256, apprec_message = :apprec_message,
    updated_at = :updated_at
WHERE id = :id AND version = :version"""

# The signal as it shall be; whoever writes it has done with it, so its lease ends.
_USE_SIGNAL = "UPDATE signal SET due = :due, tries = :tries, leased_until = NULL WHERE id = :id"

_NEW_RECEIVED = """
INSERT INTO received
    (from_her, cpa_id, eb_id, digests, received_at, evidence, status, content_type, answer, item_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def apply(db: sqlite3.Connection, changes: Changes, bodies: Sequence[SealedBody], answer: str | None) -> None:
    """Write all of `changes`, whose bodies are `bodies`; `answer` is the body id of the recorded answer.

    Raises Stale on a changed version, Impossible on a write without an event, sqlite3.Error; the caller rolls back.
    """
    if not changes.events:
        raise Impossible("a write without an event")
    # In the order in which rows refer to each other.
    told = [(db.execute(_NEW_EVENT, EVENT.write(event)).lastrowid, event) for event in changes.events]
    db.executemany(_NEW_BODY, ((body.id, body.size, body.wrapped, body.sealed, body.file) for body in bodies))
    db.executemany(_NEW_MESSAGE, map(MESSAGE.write, changes.messages))
    db.executemany(_NEW_PAYLOAD, map(PAYLOAD.write, changes.payloads))
    db.executemany(_NEW_DELIVERY, (_delivery(delivery, told) for delivery in changes.deliveries))
    db.executemany(_NEW_ENVELOPE, map(ENVELOPE.write, changes.envelopes))
    db.executemany(_NEW_ITEM, map(ITEM.write, changes.new_items))
    _compare_and_set(db, _ADVANCE, (_delivery(delivery, told) for delivery in changes.advanced))
    _compare_and_set(db, _USE, map(ENVELOPE.write, changes.used))
    _compare_and_set(db, _ADVANCE_ITEM, map(ITEM.write, changes.items))
    db.executemany(_NEW_ATTEMPT, map(ATTEMPT.write, changes.attempts))
    db.executemany(_NEW_SIGNAL, map(SIGNAL.write, changes.signals))
    _compare_and_set(db, _USE_SIGNAL, map(SIGNAL.write, changes.signalled))
    db.executemany(_NEW_HOLD, map(HOLD.write, changes.holds))
    _compare_and_set(db, _END_HOLD, ({"her": her} for her in changes.unheld))
    if changes.received is not None:
        db.execute(_NEW_RECEIVED, _received(changes.received, answer))
    db.executemany(_NEW_STATEMENT, map(STATEMENT.write, changes.statements))


def _delivery(delivery: Delivery, told: Iterable[tuple[int | None, NewEvent]]) -> dict[str, Value]:
    """Return the row of `delivery`; if it is settled, with the place in the feed of the last event that tells of it."""
    settled = delivery.state.outcome is not Outcome.OPEN
    places = [place for place, event in told if settled and event.feed and _tells_of(event, delivery)]
    return {**DELIVERY.write(delivery), "settled_seq": places[-1] if places else None}


def _tells_of(event: NewEvent, delivery: Delivery) -> bool:
    if event.delivery_id is None:
        return event.message_id == delivery.message_id
    return event.delivery_id == delivery.id


def _compare_and_set(db: sqlite3.Connection, statement: str, rows: Iterable[Mapping[str, Value]]) -> None:
    """Update one row for each of `rows`. Raises Stale where it is not there, or no longer as it was read."""
    for row in rows:
        if db.execute(statement, row).rowcount != 1:
            raise Stale("the row has changed since it was read")


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
