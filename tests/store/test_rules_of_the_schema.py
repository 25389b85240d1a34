"""The database refuses what the program must never do: every CHECK, every trigger, every foreign key."""

import itertools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from broker.lifecycle import Event as Happening
from broker.lifecycle import ItemStage, Outcome, Receipt, State, StopPoint, Transport, advance, allows, first_state
from broker.message import Ball, Direction, EventKind, KeptStatement, Kind, Owed, PartnerHold, Verdict
from broker.store import schema
from broker.store.rows import ATTEMPT, DELIVERY, ENVELOPE, EVENT, HOLD, ITEM, MESSAGE, SIGNAL, STATEMENT
from broker.store.sqlite import SqliteStore
from tests.store import values
from tests.store.values import NOW

Rule = tuple[str, str]  # table, and the name or text of the rule


def _rules() -> set[Rule]:
    """Return every CHECK of the schema, by table and in the words of the error it gives."""
    found = set()
    with closing(_empty()) as db:
        for table, text in db.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE '%CHECK%'"
        ):
            for check in re.finditer(r'(?:CONSTRAINT "([^"]+)" )?CHECK \(', text):
                depth = end = 1
                while depth:
                    depth += {"(": 1, ")": -1}.get(text[check.end() + end - 1], 0)
                    end += 1
                found.add((table, check[1] or text[check.end() : check.end() + end - 2]))
    return found


def _empty() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    schema.migrate(db)
    return db


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """One row in every table, in no particular state but an allowed one."""
    with closing(_empty()) as made:
        for table in ROWS:
            _insert(made, table, {})
        yield made


_kept = values.body()
_out = values.message(_kept, id="out", body="body")
_in = values.message(_kept, id="in", body="body", direction=Direction.IN)
_apprec = values.apprec(_kept, _out, id="apprec", body="body")
_delivery = values.delivery(_out, id="delivery")
_envelope = values.envelope(_delivery, _kept, body="body", eb_id="envelope")
ROWS: dict[str, dict[str, Any]] = {
    "body": {"id": "body", "size": 1, "wrapped": b"key", "sealed": b"bytes", "file": None, "erased_at": None},
    "message": values.row(MESSAGE, _out),
    "delivery": values.row(DELIVERY, _delivery),
    "envelope": values.row(ENVELOPE, _envelope),
    "attempt": values.row(ATTEMPT, values.attempt(_envelope)),
    "item": values.row(ITEM, values.item(_out, id="item")),
    "received": {
        "from_her": 8000301,
        "cpa_id": "cpa-1",
        "eb_id": "eb",
        "digests": "[]",
        "received_at": 0,
        "status": 200,
        "evidence": "body",
        "content_type": "text/xml",
        "answer": "body",
        "item_id": "item",
    },
    "signal": values.row(SIGNAL, values.signal(_kept, id="signal", body="body")),
    "statement": values.row(
        STATEMENT,
        KeptStatement(
            evidence="body", certificate="0" * 64, source="crl", fetched_at=NOW, sha256=bytes(32), body="body"
        ),
    ),
    "event": values.row(EVENT, values.event(EventKind.PARKED)),
    "payload": {
        "message_id": "out",
        "number": 1,
        "content_id": "a@b",
        "content_type": "application/pdf",
        "size": 1,
        "sha256": bytes(32),
        "body": "body",
    },
    "alert": {
        "problem": "K5:MB-3202:8000301",
        "name_nb": "n",
        "name_en": "e",
        "ball": "partner",
        "count": 1,
        "oldest": 0,
        "opened_at": 0,
        "gone_at": None,
        "closed_at": None,
        "told": "[]",
    },
    "hold": values.row(HOLD, PartnerHold(her=8000301, at=NOW, actor="kari", why="they restore from backup")),
}
# What every further row of a table needs to be another row.
ANOTHER: dict[str, dict[str, Any]] = {
    "body": {"id": "body 2"},
    "message": {"id": "message 2", "msg_id": "another"},
    "delivery": {"id": "delivery 2", "receiver_her": 8000302},
    "envelope": {"eb_id": "envelope 2"},
    "item": {"id": "item 2", "receiver_her": 8000202},
    "received": {"eb_id": "eb 2"},
    "signal": {"id": "signal 2"},
    "statement": {"certificate": "1" * 64},
    "payload": {"number": 2},
    "alert": {"problem": "K5:MB-3203:8000301"},
    "hold": {"her": 8000302},
}
_ERASED = {"wrapped": None, "sealed": None, "file": None, "erased_at": 1}
_CLOSED = {"outcome": "closed", "closed_because": "by telephone"}

FORBIDDEN: list[tuple[str, dict[str, Any]]] = [
    ("body", {"size": -1}),
    *(
        ("body", {column: value})
        for column, value in (("wrapped", None), ("sealed", None), ("file", "f"), ("erased_at", 1))
    ),
    *(("body", _ERASED | {column: b"x"}) for column in ("wrapped", "sealed")),
    ("body", _ERASED | {"file": "f"}),
    *(("message", {column: "?"}) for column in ("direction", "kind", "owed")),
    *(("message", {column: 0}) for column in ("sender_her", "sender_organisation_her")),
    ("message", {"msg_id": ""}),
    *(("envelope", {"ack_requested": value, "ack_signed": 0}) for value in (-1, 2)),
    ("envelope", {"ack_requested": 0, "ack_signed": 1}),
    ("payload", {"number": 0}),
    ("payload", {"size": -1}),
    ("payload", {"sha256": b"short"}),
    ("message", {"sha256": b"short"}),
    ("message", {"size": -1}),
    ("message", {"key_sha256": b"short"}),
    ("message", {"kind": "apprec", "owed": "J", "original_msg_id": "m"}),
    ("message", {"kind": "apprec", "owed": "N"}),
    ("message", {"original_msg_id": "m"}),
    ("message", {"answers_item": "item"}),
    ("message", {"kind": "apprec", "owed": "N", "original_msg_id": "m", "answers_item": "item", "direction": "in"}),
    *(("delivery", _CLOSED | {column: "?"}) for column in ("transport", "receipt", "stop_point", "ball")),
    ("delivery", {"outcome": "?"}),
    ("delivery", {"receiver_her": 0}),
    ("delivery", {"receiver_organisation_her": 0}),
    *(("delivery", {column: 2}) for column in ("receiver_person", "late")),
    *(("delivery", {column: -1}) for column in ("alarms", "chases", "renewals", "failures")),
    ("delivery", {"codes": "{}"}),
    ("delivery", {"outcome": "completed"}),
    ("delivery", {"transport_due": None, "receipt_due": None}),
    ("delivery", {"receipt": "ok", "outcome": "completed"}),
    ("delivery", {"outcome": "closed"}),
    ("delivery", {"confirmed_at": 1}),
    ("delivery", {"held": "delivery"}),
    ("hold", {"her": 0}),
    ("hold", {"why": ""}),
    *(("envelope", {column: 0}) for column in ("from_her", "to_her")),
    *(("envelope", {column: 2}) for column in ("ack_signed", "sync")),
    *(("envelope", {column: -1}) for column in ("retries", "interval", "copies")),
    ("envelope", {"digests": "{}"}),
    ("attempt", {"result": "?"}),
    *(("item", {column: 0}) for column in ("receiver_her", "sender_her")),
    *(("item", {column: "?"}) for column in ("stage", "verdict")),
    ("item", {"codes_sha256": b"short"}),
    ("item", {"stage": "judged"}),
    ("item", {"verdict": "Ok"}),
    ("item", {"stage": "receipted", "verdict": "Ok"}),
    ("received", {"from_her": 0}),
    ("received", {"digests": "{}"}),
    ("signal", {"to_her": 0}),
    ("signal", {"tries": -1}),
    ("statement", {"certificate": "short"}),
    ("statement", {"source": "?"}),
    ("statement", {"sha256": b"short"}),
    ("event", {"her": 0}),
    ("event", {"feed": 2}),
    ("event", {"codes": "{}"}),
    ("event", {"feed": 1, "her": None}),
    ("alert", {"ball": "?"}),
    ("alert", {"count": 0}),
    ("alert", {"closed_at": 1}),
    ("alert", {"told": "{}"}),
]


def _insert(db: sqlite3.Connection, table: str, given: dict[str, Any]) -> None:
    row = ROWS[table] | given
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{column}' for column in row)})", row)


def test_every_check_refuses_what_it_is_there_for() -> None:
    refused = set()
    for table, given in FORBIDDEN:
        with closing(_empty()) as db:
            for needed in ROWS:
                _insert(db, needed, {})
            db.execute("DROP TRIGGER delivery_new")  # it would be the first to refuse
            with pytest.raises(sqlite3.IntegrityError, match="CHECK") as told:
                _insert(db, table, ANOTHER.get(table, {}) | given)
            refused.add((table, str(told.value).removeprefix("CHECK constraint failed: ")))
            _insert(db, table, ANOTHER.get(table, {}))  # the row is fine but for what was changed
    assert refused == _rules()
    assert len(refused) > 40


BY_TRIGGER: list[tuple[str, str]] = [
    ("UPDATE body SET wrapped = x'00'", "a body is erased once, never changed"),
    ("UPDATE body SET wrapped = NULL, sealed = NULL, erased_at = 1", "a body that is still owed is not erased"),
    ("UPDATE message SET at = 0", "a message never changes"),
    ("DELETE FROM message", "a message is never deleted"),
    ("UPDATE delivery SET version = version + 1, receiver_her = 1", "a delivery never changes its message or receiver"),
    ("DELETE FROM delivery", "a delivery is never deleted"),
    ("UPDATE delivery SET late = 1", "every change takes the next version"),
    ("UPDATE delivery SET late = 1, version = version + 2", "every change takes the next version"),
    (
        "UPDATE delivery SET version = version + 1, receipt = 'ok', outcome = 'completed', receipt_message = 'out'",
        "only an AppRec that came in is a receipt",
    ),
    ("UPDATE envelope SET ack_requested = 0, ack_signed = 0", "a sealed envelope never changes"),
    ("UPDATE payload SET size = 2", "a payload never changes"),
    ("DELETE FROM payload", "a payload is never deleted"),
    ("UPDATE envelope SET body = 'other'", "a sealed envelope never changes"),
    ("UPDATE envelope SET copies = -1", "a copy is not unsent, an acknowledgment not taken back"),
    ("UPDATE item SET version = version + 1, receiver_her = 1", "an item never changes its message or receiver"),
    ("UPDATE item SET stage = 'stored'", "every change takes the next version"),
    ("UPDATE received SET status = 500", "what was answered never changes"),
    ("DELETE FROM received", "what was answered is never forgotten"),
    ("UPDATE statement SET fetched_at = 1", "what a service said never changes"),
    ("DELETE FROM statement", "what a service said is never forgotten"),
    ("UPDATE signal SET body = 'other'", "a signal never changes its bytes"),
    ("UPDATE event SET why = 'other'", "history never changes"),
    ("DELETE FROM event", "history is never deleted"),
    (
        "INSERT INTO delivery SELECT seq + 1, id || '2', message_id, 1, 1, 0, transport, 'ok', 'completed', stop_point,"
        " version, ball, cause, transport_due, receipt_due, alarms, chases, renewals, failures, envelope, codes, late,"
        " 'out',"
        " confirmed_at, closed_because, leased_until, updated_at, settled_seq, held FROM delivery",
        "a new delivery is neither receipted nor confirmed",
    ),
]
# These need a history first.
BY_TRIGGER_AFTER: list[tuple[str, str, str]] = [
    (
        "UPDATE delivery SET version = version + 1, receipt = 'ok', outcome = 'completed', receipt_message = 'apprec'",
        "UPDATE delivery SET version = version + 1, receipt = 'rejected', outcome = 'rejected'",
        "the first verdict decides",
    ),
    (
        "UPDATE delivery SET version = version + 1, outcome = 'closed', closed_because = 'by telephone'",
        "UPDATE delivery SET version = version + 1, outcome = 'open'",
        "what a person closed stays closed",
    ),
    (
        "UPDATE envelope SET copies = 1, acknowledged_at = 1",
        "UPDATE envelope SET acknowledged_at = NULL",
        "a copy is not unsent, an acknowledgment not taken back",
    ),
    (
        "UPDATE item SET version = version + 1, stage = 'judged', verdict = 'Ok'",
        "UPDATE item SET version = version + 1, verdict = 'Rejected'",
        "a verdict never changes",
    ),
    (
        "INSERT INTO body (id, size, wrapped, sealed) VALUES ('nobody''s', 1, x'01', x'02')",
        "UPDATE body SET id = 'b', wrapped = NULL, sealed = NULL, erased_at = 1 WHERE id = 'nobody''s'",
        "a body is erased once, never changed",
    ),
    (
        "INSERT INTO body (id, size, erased_at) VALUES ('nobody''s', 1, 1)",
        "UPDATE body SET erased_at = 2 WHERE id = 'nobody''s'",
        "a body is erased once, never changed",
    ),
]


def test_every_trigger_refuses_what_it_is_there_for() -> None:
    refused = set()
    for before, statement, why in [("", *one) for one in BY_TRIGGER] + BY_TRIGGER_AFTER:
        with closing(_empty()) as db:
            for table in ROWS:
                _insert(db, table, {})
            _insert(db, "message", values.row(MESSAGE, _apprec))
            db.execute(before)
            with pytest.raises(sqlite3.IntegrityError, match=why):
                db.execute(statement)
            refused.add(why)
    with closing(_empty()) as db:
        texts = "".join(row[0] for row in db.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'"))
    assert refused == set(re.findall(r"RAISE\(ABORT, '([^']+)'\)", texts))


@pytest.mark.parametrize(
    ("table", "given"),
    [
        ("message", {"body": "nothing"}),
        ("delivery", {"message_id": "nothing"}),
        ("envelope", {"delivery_id": "nothing"}),
        ("envelope", {"body": "nothing"}),
        ("attempt", {"eb_id": "nothing"}),
        ("attempt", {"delivery_id": "nothing"}),
        ("item", {"message_id": "nothing"}),
        ("item", {"apprec_message": "nothing"}),
        ("received", {"evidence": "nothing"}),
        ("received", {"answer": "nothing"}),
        ("received", {"item_id": "nothing"}),
        ("signal", {"body": "nothing"}),
        ("event", {"kind": "nothing"}),
    ],
)
def test_nothing_refers_to_what_is_not_there(db: sqlite3.Connection, table: str, given: dict[str, Any]) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        _insert(db, table, ANOTHER.get(table, {}) | given)


def test_a_delivery_sends_only_what_was_sealed_for_it(db: sqlite3.Connection) -> None:
    _insert(db, "delivery", ANOTHER["delivery"])
    db.execute("UPDATE delivery SET version = version + 1, envelope = 'envelope' WHERE id = 'delivery'")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        db.execute("UPDATE delivery SET version = version + 1, envelope = 'envelope' WHERE id = 'delivery 2'")


def test_one_message_is_not_on_its_way_twice_to_one_receiver(db: sqlite3.Connection) -> None:
    again = ANOTHER["delivery"] | {"receiver_her": _delivery.receiver_her}
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        _insert(db, "delivery", again)
    db.execute("UPDATE delivery SET version = version + 1, outcome = 'closed', closed_because = 'by telephone'")
    _insert(db, "delivery", again)


LISTS = [
    ("message", "direction", Direction),
    ("message", "kind", Kind),
    ("message", "owed", Owed),
    ("delivery", "transport", Transport),
    ("delivery", "receipt", Receipt),
    ("delivery", "outcome", Outcome),
    ("delivery", "ball", Ball),
    ("item", "stage", ItemStage),
    ("item", "verdict", Verdict),
]


@pytest.mark.parametrize(("table", "column", "names"), LISTS)
def test_a_list_of_states_is_that_of_the_program(table: str, column: str, names: type[Direction]) -> None:
    (rule,) = (rule for owner, rule in _rules() if owner == table and rule.startswith(f"{column} IN ("))
    assert re.findall(r"'([^']*)'", rule) == [name.value for name in names]


def test_the_stop_points_are_those_that_a_delivery_can_reach() -> None:
    (rule,) = (rule for owner, rule in _rules() if owner == "delivery" and rule.startswith("stop_point IN ("))
    assert re.findall(r"'([^']*)'", rule) == [point for point in StopPoint if point.startswith("K")]


def test_the_kinds_of_event_are_those_of_the_program(db: sqlite3.Connection) -> None:
    assert {row[0] for row in db.execute("SELECT name FROM event_kind")} == set(EventKind)


def _reachable() -> set[State]:
    """Return every state that the lifecycle can lead to."""
    found = {first_state(receipt_awaited=awaited) for awaited in (True, False)}
    fresh = set(found)
    while fresh:
        fresh = {advance(state, event) for state in fresh for event in Happening if allows(state, event)} - found
        found |= fresh
    return found


def test_the_database_knows_the_outcome_that_the_lifecycle_knows() -> None:
    """All combinations of transport, receipt and outcome: what can be reached is allowed, and no more but 'closed'."""
    reachable = {(state.transport, state.receipt, state.outcome) for state in _reachable()}
    allowed = set()
    for transport, receipt, outcome in itertools.product(Transport, Receipt, Outcome):
        with closing(_empty()) as db:
            for table in ("body", "message", "delivery"):
                _insert(db, table, {})
            _insert(db, "message", values.row(MESSAGE, _apprec))
            try:
                db.execute(
                    "UPDATE delivery SET version = version + 1, transport = ?, receipt = ?, outcome = ?,"
                    " receipt_message = 'apprec', closed_because = 'why'",
                    (transport, receipt, outcome),
                )
            except sqlite3.IntegrityError:
                continue
            allowed.add((transport, receipt, outcome))
    assert reachable <= allowed
    assert {state for state in allowed - reachable if state[2] is not Outcome.CLOSED} == set()
    assert len(reachable) > 30


async def test_every_column_of_a_value_is_kept(store: SqliteStore) -> None:
    """A field that the tables forgot would come back as its default: so no field here has its default."""
    changes = values.taken(ref_to_parent="parent", client="epj", sender_organisation_her=8000200)
    (told,), (one,) = changes.messages, changes.deliveries
    one = replace(
        one,
        receiver_person=True,
        ball=Ball.PERSON,
        cause="MB-3211",
        alarms=1,
        chases=2,
        renewals=1,
        failures=3,
        late=True,
        state=values.state(Transport.SENT, Receipt.OVERDUE, Outcome.CLOSED, StopPoint.K5),
        closed_because="handled by telephone",
        leased_until=NOW,
        updated_at=NOW,
        version=7,
    )
    filled = values.event(
        EventKind.PARKED,
        feed=True,
        message_id=told.id,
        delivery_id=one.id,
        item_id="i",
        msg_id=told.msg_id,
        counterpart=8000301,
        stop_point="K2",
        error_id="MB-2002",
        codes=("E10",),
        eb_id="eb",
        client="epj",
        why="no agreement",
    )
    await store.accept(replace(changes, deliveries=(one,), events=(filled,)))
    found = await store.outbound(told.sender_her, told.msg_id)
    assert found is not None
    assert (found.message, found.deliveries) == (told, (one,))
    assert [stored.event for stored in await store.history(told.id)] == [filled]
