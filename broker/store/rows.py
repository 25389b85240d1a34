"""How our values stand in rows: the one place that knows both."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar

from broker.lifecycle import ItemStage, Outcome, Receipt, State, StopPoint, Transport
from broker.message import (
    Attempt,
    Ball,
    Code,
    Delivery,
    Digest,
    Direction,
    Envelope,
    EventKind,
    Held,
    InboxItem,
    KeptStatement,
    Kind,
    Message,
    NewEvent,
    Owed,
    PartnerHold,
    Payload,
    Signal,
    StoredEvent,
    Verdict,
    Work,
)
from broker.ports import Keeping, Kept

Value: TypeAlias = int | str | bytes | None
T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY, _SECOND = 86_400, 1_000_000  # seconds, microseconds
_MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC. Raises TypeError on a datetime without a zone."""
    since = time - _EPOCH
    return (since.days * _DAY + since.seconds) * _SECOND + since.microseconds


def instant(value: int) -> datetime:
    """Return the UTC datetime of `micros`."""
    return _EPOCH + timedelta(0, 0, value)


def _micros(time: datetime | None) -> int | None:
    return None if time is None else micros(time)


def _instant(value: int | None) -> datetime | None:
    return None if value is None else instant(value)


def insert(table: str, columns: Sequence[str], *, rows: int) -> str:
    """Return the INSERT of so many rows at once."""
    values = ", ".join([f"({', '.join('?' * len(columns))})"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"  # noqa: S608 - names are constants of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[T]):
    """One table: the columns that hold the value, and the two ways between.

    What is written has its columns' order and types that SQLite knows: a name for each value, and an enum or a bool
    where a string or a number would do, cost more than the statement they are for.
    """

    name: str
    columns: tuple[str, ...]
    write: Callable[[T], tuple[Value, ...]]
    read: Callable[[dict[str, Any]], T]

    def numbered(self, statement: str, *more: str) -> str:
        """Return a statement that names columns (:version) with the places that they have in what is written."""
        places = {column: place for place, column in enumerate((*self.columns, *more), start=1)}
        return re.sub(r":(\w+)", lambda named: f"?{places[named[1]]}", statement)

    def of(self, alias: str) -> str:
        """Return the columns as a SELECT list."""
        return ", ".join(f"{alias}.{column}" for column in self.columns)

    def all(self, rows: Iterable[Sequence[Any]]) -> tuple[T, ...]:
        """Return the values of rows that were selected by `of`."""
        return tuple(self.read(dict(zip(self.columns, row, strict=True))) for row in rows)

    def take(self, row: Sequence[Any], start: int) -> tuple[T | None, int]:
        """Return the value that starts at `start` of a joined row (None where the join found none) and its end."""
        end = start + len(self.columns)
        found = row[start] is not None
        return (self.read(dict(zip(self.columns, row[start:end], strict=True))) if found else None), end


def _by_name(kind: type[E]) -> dict[str, E]:
    """Return an enum's members by their values."""
    return {member.value: member for member in kind}


_DIRECTIONS, _KINDS, _OWED = _by_name(Direction), _by_name(Kind), _by_name(Owed)
_BALLS, _HELD, _EVENT_KINDS = _by_name(Ball), _by_name(Held), _by_name(EventKind)
_STAGES, _VERDICTS = _by_name(ItemStage), _by_name(Verdict)


def _listed(text: str) -> list[Any]:
    """Return a list out of a row; most are empty."""
    return [] if text == "[]" else list(json.loads(text))


def _codes(codes: tuple[Code, ...]) -> str:
    return json.dumps([[code.code, code.oid, code.text] for code in codes], ensure_ascii=False) if codes else "[]"


def write_digests(digests: tuple[Digest, ...]) -> str:
    """Return digests as the JSON that stands in a row."""
    return json.dumps([[digest.uri, digest.method, digest.value.hex()] for digest in digests])


def read_digests(text: str) -> tuple[Digest, ...]:
    """Return the digests of `write_digests`."""
    return tuple(Digest(uri=uri, method=method, value=bytes.fromhex(value)) for uri, method, value in json.loads(text))


# Of each table first the columns that hold what stands in the value, then those that are put in other words.

_MESSAGE = (
    *("id", "sender_her", "sender_organisation_her", "msg_id", "type", "gen_date", "process", "function"),
    *("conversation_id", "ref_to_parent", "sha256", "size", "body", "client", "answers_item", "original_msg_id"),
    "key_sha256",
)
_as_it_stands_in_message = attrgetter(*_MESSAGE)


def _write_message(message: Message) -> tuple[Value, ...]:
    return (
        *_as_it_stands_in_message(message),
        message.direction.value,
        message.kind.value,
        message.owed.value,
        micros(message.at),
    )


def _read_message(row: dict[str, Any]) -> Message:
    row["direction"] = _DIRECTIONS[row["direction"]]
    row["kind"] = _KINDS[row["kind"]]
    row["owed"] = _OWED[row["owed"]]
    row["at"] = instant(row["at"])
    return Message(**row)


MESSAGE: Table[Message] = Table(
    name="message",
    columns=(*_MESSAGE, "direction", "kind", "owed", "at"),
    write=_write_message,
    read=_read_message,
)

_DELIVERY = (
    *("id", "message_id", "receiver_her", "receiver_organisation_her", "version", "cause", "alarms", "chases"),
    *("renewals", "failures", "envelope", "receipt_message", "closed_because"),
)
_as_it_stands_in_delivery = attrgetter(*_DELIVERY)


def _write_delivery(delivery: Delivery) -> tuple[Value, ...]:
    state = delivery.state
    return (
        *_as_it_stands_in_delivery(delivery),
        int(delivery.receiver_person),
        state.transport.value,
        state.receipt.value,
        state.outcome.value,
        state.stop_point.value,
        delivery.ball.value,
        _micros(delivery.transport_due),
        _micros(delivery.receipt_due),
        _codes(delivery.codes),
        int(delivery.late),
        _micros(delivery.confirmed_at),
        delivery.held.value if delivery.held else None,
        _micros(delivery.leased_until),
        _micros(delivery.updated_at),
    )


@cache
def _state(transport: str, receipt: str, outcome: str, stop_point: str) -> State:
    return State(
        transport=Transport(transport),
        receipt=Receipt(receipt),
        outcome=Outcome(outcome),
        stop_point=StopPoint(stop_point),
    )


def _read_delivery(row: dict[str, Any]) -> Delivery:
    row["receiver_person"] = bool(row["receiver_person"])
    row["state"] = _state(row.pop("transport"), row.pop("receipt"), row.pop("outcome"), row.pop("stop_point"))
    row["ball"] = _BALLS[row["ball"]]
    row["codes"] = tuple(Code(code=code, oid=oid, text=text) for code, oid, text in _listed(row["codes"]))
    row["late"] = bool(row["late"])
    row["held"] = _HELD[row["held"]] if row["held"] else None
    for column in ("transport_due", "receipt_due", "confirmed_at", "leased_until", "updated_at"):
        row[column] = _instant(row[column])
    return Delivery(**row)


DELIVERY: Table[Delivery] = Table(
    name="delivery",
    columns=(
        *(*_DELIVERY, "receiver_person", "transport", "receipt", "outcome", "stop_point", "ball", "transport_due"),
        *("receipt_due", "codes", "late", "confirmed_at", "held", "leased_until", "updated_at"),
    ),
    write=_write_delivery,
    read=_read_delivery,
)

_ENVELOPE = ("eb_id", "delivery_id", "cpa_id", "from_her", "to_her", "content_type", "body", "retries", "copies")
_as_it_stands_in_envelope = attrgetter(*_ENVELOPE)


def _write_envelope(envelope: Envelope) -> tuple[Value, ...]:
    return (
        *_as_it_stands_in_envelope(envelope),
        write_digests(envelope.digests),
        int(envelope.ack_signed),
        int(envelope.ack_requested),
        int(envelope.sync),
        envelope.interval // _MICROSECOND,
        micros(envelope.timestamp),
        micros(envelope.persist_until),
        _micros(envelope.acknowledged_at),
    )


def _read_envelope(row: dict[str, Any]) -> Envelope:
    row["digests"] = read_digests(row["digests"])
    row["interval"] = row["interval"] * _MICROSECOND
    for column in ("ack_signed", "ack_requested", "sync"):
        row[column] = bool(row[column])
    for column in ("timestamp", "persist_until", "acknowledged_at"):
        row[column] = _instant(row[column])
    return Envelope(**row)


ENVELOPE: Table[Envelope] = Table(
    name="envelope",
    columns=(
        *(*_ENVELOPE, "digests", "ack_signed", "ack_requested", "sync", "interval", "timestamp", "persist_until"),
        "acknowledged_at",
    ),
    write=_write_envelope,
    read=_read_envelope,
)

_ATTEMPT = ("delivery_id", "eb_id", "endpoint", "http_status", "result", "error_id")
_as_it_stands_in_attempt = attrgetter(*_ATTEMPT)


def _read_attempt(row: dict[str, Any]) -> Attempt:
    row["started_at"], row["ended_at"] = instant(row["started_at"]), instant(row["ended_at"])
    return Attempt(**row)


# The number is no column: it is given when the row is read.
ATTEMPT: Table[Attempt] = Table(
    name="attempt",
    columns=(*_ATTEMPT, "started_at", "ended_at"),
    write=lambda attempt: (*_as_it_stands_in_attempt(attempt), micros(attempt.started_at), micros(attempt.ended_at)),
    read=_read_attempt,
)

_ITEM = ("id", "message_id", "receiver_her", "sender_her", "cpa_id", "version", "codes_sha256", "apprec_message")
_as_it_stands_in_item = attrgetter(*_ITEM)


def _write_item(item: InboxItem) -> tuple[Value, ...]:
    return (
        *_as_it_stands_in_item(item),
        item.stage.value,
        item.verdict.value if item.verdict else None,
        micros(item.received_at),
        _micros(item.updated_at),
    )


def _read_item(row: dict[str, Any]) -> InboxItem:
    row["stage"] = _STAGES[row["stage"]]
    row["verdict"] = _VERDICTS[row["verdict"]] if row["verdict"] else None
    row["received_at"], row["updated_at"] = instant(row["received_at"]), _instant(row["updated_at"])
    return InboxItem(**row)


ITEM: Table[InboxItem] = Table(
    name="item",
    columns=(*_ITEM, "stage", "verdict", "received_at", "updated_at"),
    write=_write_item,
    read=_read_item,
)

_PAYLOAD = ("message_id", "number", "content_id", "content_type", "size", "sha256", "body")

PAYLOAD: Table[Payload] = Table(
    name="payload", columns=_PAYLOAD, write=attrgetter(*_PAYLOAD), read=lambda row: Payload(**row)
)

_SIGNAL = ("id", "to_her", "ref_eb_id", "content_type", "body", "tries")
_as_it_stands_in_signal = attrgetter(*_SIGNAL)

SIGNAL: Table[Signal] = Table(
    name="signal",
    columns=(*_SIGNAL, "due"),
    write=lambda signal: (*_as_it_stands_in_signal(signal), _micros(signal.due)),
    read=lambda row: Signal(**{**row, "due": _instant(row["due"])}),
)

_EVENT = (
    *("her", "message_id", "delivery_id", "item_id", "msg_id", "counterpart", "error_id", "eb_id", "client", "why"),
    "actor",
)
_as_it_stands_in_event = attrgetter(*_EVENT)


def _write_event(event: NewEvent) -> tuple[Value, ...]:
    return (
        *_as_it_stands_in_event(event),
        event.kind.value,
        micros(event.at),
        int(event.feed),
        None if event.stop_point is None else str(event.stop_point),
        json.dumps(event.codes, ensure_ascii=False) if event.codes else "[]",
    )


def _read_event(row: dict[str, Any]) -> NewEvent:
    row["kind"] = _EVENT_KINDS[row["kind"]]
    row["at"] = instant(row["at"])
    row["feed"] = bool(row["feed"])
    row["codes"] = tuple(_listed(row["codes"]))
    return NewEvent(**row)


EVENT: Table[NewEvent] = Table(
    name="event",
    columns=(*_EVENT, "kind", "at", "feed", "stop_point", "codes"),
    write=_write_event,
    read=_read_event,
)

HOLD: Table[PartnerHold] = Table(
    name="hold",
    columns=("her", "at", "actor", "why"),
    write=lambda hold: (hold.her, micros(hold.at), hold.actor, hold.why),
    read=lambda row: PartnerHold(**{**row, "at": instant(row["at"])}),
)

_STATEMENT = ("evidence", "certificate", "source", "sha256", "body")
_as_it_stands_in_statement = attrgetter(*_STATEMENT)

STATEMENT: Table[KeptStatement] = Table(
    name="statement",
    columns=(*_STATEMENT, "fetched_at"),
    write=lambda said: (*_as_it_stands_in_statement(said), micros(said.fetched_at)),
    read=lambda row: KeptStatement(**{**row, "fetched_at": instant(row["fetched_at"])}),
)

# The SELECT lists of what is read together, and how they are read back.
WORK = f"{MESSAGE.of('m')}, {DELIVERY.of('d')}, {ENVELOPE.of('e')}"
RECEIVED_DOCUMENT = f"{MESSAGE.of('m')}, {ITEM.of('i')}"
STORED_EVENT = f"v.seq, {EVENT.of('v')}"


def read_work(row: Sequence[Any]) -> tuple[Work, int]:
    """Return what WORK selected, and where it ended."""
    message, end = MESSAGE.take(row, 0)
    delivery, end = DELIVERY.take(row, end)
    envelope, end = ENVELOPE.take(row, end)
    assert message is not None
    assert delivery is not None  # only the envelope is joined loosely
    return Work(message=message, delivery=delivery, envelope=envelope), end


def read_attempt(row: Sequence[Any]) -> Attempt:
    """Return what ATTEMPT's columns and a number after them selected."""
    return ATTEMPT.read(dict(zip((*ATTEMPT.columns, "number"), row, strict=True)))


def read_received_document(row: Sequence[Any]) -> tuple[Message, InboxItem | None]:
    """Return what RECEIVED_DOCUMENT selected."""
    message, end = MESSAGE.take(row, 0)
    item, _ = ITEM.take(row, end)
    assert message is not None
    return message, item


def read_stored_events(rows: Iterable[Sequence[Any]]) -> tuple[StoredEvent, ...]:
    """Return what STORED_EVENT selected."""
    return tuple(
        StoredEvent(offset=row[0], event=EVENT.read(dict(zip(EVENT.columns, row[1:], strict=True)))) for row in rows
    )


def read_kept(row: Sequence[Any]) -> Kept:
    """Return what KEPT selected."""
    place, body, size, keeping, since, ended_at, message_id, msg_id, delivery_id, her = row
    return Kept(
        place=place,
        body=body,
        size=size,
        keeping=Keeping(keeping),
        since=_instant(since),
        ended_at=_instant(ended_at),
        message_id=message_id,
        msg_id=msg_id,
        delivery_id=delivery_id,
        her=her,
    )
