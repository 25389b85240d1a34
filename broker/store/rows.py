"""How our values stand in rows: the one place that knows both."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
Row: TypeAlias = Mapping[str, Any]
T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC. Raises TypeError on a datetime without a zone."""
    return (time - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """Return the UTC datetime of `micros`."""
    return _EPOCH + value * _MICROSECOND


def _micros(time: datetime | None) -> int | None:
    return None if time is None else micros(time)


def _instant(value: int | None) -> datetime | None:
    return None if value is None else instant(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[T]):
    """One table: the columns that hold the value, and the two ways between."""

    name: str
    columns: tuple[str, ...]
    write: Callable[[T], dict[str, Value]]
    read: Callable[[Row], T]

    def insert(self, *more: str) -> str:
        """Return the INSERT of one value, with a named parameter a column; `more` are columns beside the value's."""
        columns = (*self.columns, *more)
        names, values = ", ".join(columns), ", ".join(f":{column}" for column in columns)
        return f"INSERT INTO {self.name} ({names}) VALUES ({values})"  # noqa: S608 - names are this file's constants

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


def _codes(codes: tuple[Code, ...]) -> str:
    return json.dumps([[code.code, code.oid, code.text] for code in codes], ensure_ascii=False)


def write_digests(digests: tuple[Digest, ...]) -> str:
    """Return digests as the JSON that stands in a row."""
    return json.dumps([[digest.uri, digest.method, digest.value.hex()] for digest in digests])


def read_digests(text: str) -> tuple[Digest, ...]:
    """Return the digests of `write_digests`."""
    return tuple(Digest(uri=uri, method=method, value=bytes.fromhex(value)) for uri, method, value in json.loads(text))


def _write_message(message: Message) -> dict[str, Value]:
    return {column: getattr(message, column) for column in MESSAGE.columns}


def _read_message(row: Row) -> Message:
    known = {"direction": Direction(row["direction"]), "kind": Kind(row["kind"]), "owed": Owed(row["owed"])}
    return Message(**{**row, **known, "at": instant(row["at"])})


MESSAGE: Table[Message] = Table(
    name="message",
    columns=(
        *("id", "direction", "kind", "sender_her", "sender_organisation_her", "msg_id", "type", "gen_date", "process"),
        *("function", "conversation_id", "ref_to_parent", "owed", "sha256", "size", "body", "at", "client"),
        *("answers_item", "original_msg_id", "key_sha256"),
    ),
    write=lambda message: {**_write_message(message), "at": micros(message.at)},
    read=_read_message,
)


def _write_delivery(delivery: Delivery) -> dict[str, Value]:
    return {
        "id": delivery.id,
        "message_id": delivery.message_id,
        "receiver_her": delivery.receiver_her,
        "receiver_organisation_her": delivery.receiver_organisation_her,
        "receiver_person": delivery.receiver_person,
        "transport": delivery.state.transport,
        "receipt": delivery.state.receipt,
        "outcome": delivery.state.outcome,
        "stop_point": delivery.state.stop_point,
        "version": delivery.version,
        "ball": delivery.ball,
        "cause": delivery.cause,
        "transport_due": _micros(delivery.transport_due),
        "receipt_due": _micros(delivery.receipt_due),
        "alarms": delivery.alarms,
        "chases": delivery.chases,
        "renewals": delivery.renewals,
        "failures": delivery.failures,
        "envelope": delivery.envelope,
        "codes": _codes(delivery.codes),
        "late": delivery.late,
        "receipt_message": delivery.receipt_message,
        "confirmed_at": _micros(delivery.confirmed_at),
        "closed_because": delivery.closed_because,
        "held": delivery.held,
        "leased_until": _micros(delivery.leased_until),
        "updated_at": _micros(delivery.updated_at),
    }


def _read_delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        message_id=row["message_id"],
        receiver_her=row["receiver_her"],
        receiver_organisation_her=row["receiver_organisation_her"],
        receiver_person=bool(row["receiver_person"]),
        state=State(
            transport=Transport(row["transport"]),
            receipt=Receipt(row["receipt"]),
            outcome=Outcome(row["outcome"]),
            stop_point=StopPoint(row["stop_point"]),
        ),
        version=row["version"],
        ball=Ball(row["ball"]),
        cause=row["cause"],
        transport_due=_instant(row["transport_due"]),
        receipt_due=_instant(row["receipt_due"]),
        alarms=row["alarms"],
        chases=row["chases"],
        renewals=row["renewals"],
        failures=row["failures"],
        envelope=row["envelope"],
        codes=tuple(Code(code=code, oid=oid, text=text) for code, oid, text in json.loads(row["codes"])),
        late=bool(row["late"]),
        receipt_message=row["receipt_message"],
        confirmed_at=_instant(row["confirmed_at"]),
        closed_because=row["closed_because"],
        held=Held(row["held"]) if row["held"] else None,
        leased_until=_instant(row["leased_until"]),
        updated_at=_instant(row["updated_at"]),
    )


DELIVERY: Table[Delivery] = Table(
    name="delivery",
    columns=(
        *("id", "message_id", "receiver_her", "receiver_organisation_her", "receiver_person", "transport", "receipt"),
        *("outcome", "stop_point", "version", "ball", "cause", "transport_due", "receipt_due", "alarms", "chases"),
        *("renewals", "failures", "envelope", "codes", "late", "receipt_message", "confirmed_at", "closed_because"),
        *("held", "leased_until", "updated_at"),
    ),
    write=_write_delivery,
    read=_read_delivery,
)


def _write_envelope(envelope: Envelope) -> dict[str, Value]:
    return {column: getattr(envelope, column) for column in ENVELOPE.columns} | {
        "digests": write_digests(envelope.digests),
        "interval": envelope.interval // _MICROSECOND,
        "timestamp": micros(envelope.timestamp),
        "persist_until": micros(envelope.persist_until),
        "acknowledged_at": _micros(envelope.acknowledged_at),
    }


def _read_envelope(row: Row) -> Envelope:
    decoded = {
        "digests": read_digests(row["digests"]),
        "ack_signed": bool(row["ack_signed"]),
        "ack_requested": bool(row["ack_requested"]),
        "sync": bool(row["sync"]),
        "interval": row["interval"] * _MICROSECOND,
        "timestamp": instant(row["timestamp"]),
        "persist_until": instant(row["persist_until"]),
        "acknowledged_at": _instant(row["acknowledged_at"]),
    }
    return Envelope(**{**row, **decoded})


ENVELOPE: Table[Envelope] = Table(
    name="envelope",
    columns=(
        *("eb_id", "delivery_id", "cpa_id", "from_her", "to_her", "content_type", "body", "digests", "ack_signed"),
        *("ack_requested", "sync", "retries", "interval", "timestamp", "persist_until", "copies", "acknowledged_at"),
    ),
    write=_write_envelope,
    read=_read_envelope,
)


def _write_attempt(attempt: Attempt) -> dict[str, Value]:
    times: dict[str, Value] = {"started_at": micros(attempt.started_at), "ended_at": micros(attempt.ended_at)}
    return {column: getattr(attempt, column) for column in ATTEMPT.columns} | times


def _read_attempt(row: Row) -> Attempt:
    times = {"started_at": instant(row["started_at"]), "ended_at": instant(row["ended_at"])}
    return Attempt(**{**row, **times})


# The number is no column: it is given when the row is read.
ATTEMPT: Table[Attempt] = Table(
    name="attempt",
    columns=("delivery_id", "eb_id", "started_at", "ended_at", "endpoint", "http_status", "result", "error_id"),
    write=_write_attempt,
    read=_read_attempt,
)


def _write_item(item: InboxItem) -> dict[str, Value]:
    times = {"received_at": micros(item.received_at), "updated_at": _micros(item.updated_at)}
    return {column: getattr(item, column) for column in ITEM.columns} | times


def _read_item(row: Row) -> InboxItem:
    decoded = {
        "stage": ItemStage(row["stage"]),
        "verdict": Verdict(row["verdict"]) if row["verdict"] else None,
        "received_at": instant(row["received_at"]),
        "updated_at": _instant(row["updated_at"]),
    }
    return InboxItem(**{**row, **decoded})


ITEM: Table[InboxItem] = Table(
    name="item",
    columns=(
        *("id", "message_id", "receiver_her", "sender_her", "cpa_id", "stage", "version", "received_at", "verdict"),
        *("codes_sha256", "apprec_message", "updated_at"),
    ),
    write=_write_item,
    read=_read_item,
)

PAYLOAD: Table[Payload] = Table(
    name="payload",
    columns=("message_id", "number", "content_id", "content_type", "size", "sha256", "body"),
    write=lambda payload: {column: getattr(payload, column) for column in PAYLOAD.columns},
    read=lambda row: Payload(**row),
)

SIGNAL: Table[Signal] = Table(
    name="signal",
    columns=("id", "to_her", "ref_eb_id", "content_type", "body", "due", "tries"),
    write=lambda signal: {column: getattr(signal, column) for column in SIGNAL.columns} | {"due": _micros(signal.due)},
    read=lambda row: Signal(**{**row, "due": _instant(row["due"])}),
)


def _write_event(event: NewEvent) -> dict[str, Value]:
    decoded: dict[str, Value] = {"at": micros(event.at), "codes": json.dumps(event.codes, ensure_ascii=False)}
    return {column: getattr(event, column) for column in EVENT.columns} | decoded


def _read_event(row: Row) -> NewEvent:
    decoded = {
        "kind": EventKind(row["kind"]),
        "at": instant(row["at"]),
        "feed": bool(row["feed"]),
        "codes": tuple(json.loads(row["codes"])),
    }
    return NewEvent(**{**row, **decoded})


EVENT: Table[NewEvent] = Table(
    name="event",
    columns=(
        *("kind", "at", "her", "feed", "message_id", "delivery_id", "item_id", "msg_id", "counterpart", "stop_point"),
        *("error_id", "codes", "eb_id", "client", "why", "actor"),
    ),
    write=_write_event,
    read=_read_event,
)

HOLD: Table[PartnerHold] = Table(
    name="hold",
    columns=("her", "at", "actor", "why"),
    write=lambda hold: {"her": hold.her, "at": micros(hold.at), "actor": hold.actor, "why": hold.why},
    read=lambda row: PartnerHold(**{**row, "at": instant(row["at"])}),
)

STATEMENT: Table[KeptStatement] = Table(
    name="statement",
    columns=("evidence", "certificate", "source", "fetched_at", "sha256", "body"),
    write=lambda said: (
        {column: getattr(said, column) for column in STATEMENT.columns} | {"fetched_at": micros(said.fetched_at)}
    ),
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
