"""Values to be stored. All parties and ids are made up; HER-ids 80002xx are ours, 80003xx are partners'."""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from broker.lifecycle import ItemStage, Outcome, Receipt, State, StopPoint, Transport, first_state
from broker.message import (
    Answer,
    Attempt,
    Ball,
    Changes,
    Delivery,
    Digest,
    Direction,
    Envelope,
    EventKind,
    InboxItem,
    Kind,
    Message,
    NewBody,
    NewEvent,
    Owed,
    ReceivedEnvelope,
    Signal,
    Verdict,
)
from broker.store.rows import Table

OURS, OURS_TOO, PARTNER, PARTNER_TOO = 8000201, 8000202, 8000301, 8000302
NOW = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SITE_KEY = bytes(range(32))

_numbers: Iterator[int] = count(1)


def new_id() -> str:
    """Return an id that no other value has; its first eight characters are its own too."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"value {next(_numbers)}"))


def row(table: Table[Any], value: Any) -> dict[str, Any]:
    """Return the value as it stands in the table, by column."""
    return dict(zip(table.columns, table.write(value), strict=True))


def body(content: bytes = b"<MsgHead/>") -> NewBody:
    return NewBody(id=new_id(), content=content)


def message(kept: NewBody, **given: Any) -> Message:
    values: dict[str, Any] = {
        "id": new_id(),
        "direction": Direction.OUT,
        "kind": Kind.DOCUMENT,
        "sender_her": OURS,
        "sender_organisation_her": 8000200,
        "msg_id": new_id(),
        "type": "DIALOG_NOTAT",
        "gen_date": "2026-03-02T10:30:00",
        "process": "KLINISK",
        "function": "Svar",
        "conversation_id": new_id(),
        "ref_to_parent": None,
        "owed": Owed.ALWAYS,
        "sha256": hashlib.sha256(kept.content).digest(),
        "size": len(kept.content),
        "body": kept.id,
        "at": NOW,
        "client": "epj",
    }
    return Message(**values | given)


def apprec(kept: NewBody, answered: Message, **given: Any) -> Message:
    """Return an AppRec that came in from the partner about `answered`."""
    values: dict[str, Any] = {
        "direction": Direction.IN,
        "kind": Kind.APPREC,
        "sender_her": PARTNER,
        "type": "APPREC",
        "owed": Owed.NEVER,
        "original_msg_id": answered.msg_id,
        "client": None,
    }
    return message(kept, **values | given)


def delivery(of: Message, **given: Any) -> Delivery:
    values: dict[str, Any] = {
        "id": new_id(),
        "message_id": of.id,
        "receiver_her": PARTNER,
        "receiver_organisation_her": 8000300,
        "receiver_person": False,
        "state": first_state(receipt_awaited=True),
        "version": 1,
        "ball": Ball.US,
        "transport_due": NOW,
        "receipt_due": NOW + 15 * MINUTE,
    }
    return Delivery(**values | given)


def envelope(of: Delivery, kept: NewBody, **given: Any) -> Envelope:
    values: dict[str, Any] = {
        "eb_id": f"{new_id()}@example.invalid",
        "delivery_id": of.id,
        "cpa_id": "cpa-1",
        "from_her": OURS,
        "to_her": of.receiver_her,
        "content_type": "multipart/related",
        "body": kept.id,
        "digests": (Digest(uri="", method="sha256", value=b"\x00\xff"), Digest(uri="cid:1", method="x", value=b"")),
        "ack_signed": True,
        "sync": False,
        "retries": 3,
        "interval": timedelta(minutes=5, microseconds=1),
        "timestamp": NOW,
        "persist_until": NOW + timedelta(days=1),
    }
    return Envelope(**values | given)


def attempt(of: Envelope, number: int = 1, **given: Any) -> Attempt:
    values: dict[str, Any] = {
        "delivery_id": of.delivery_id,
        "eb_id": of.eb_id,
        "number": number,
        "started_at": NOW + number * MINUTE,
        "ended_at": NOW + number * MINUTE + timedelta(seconds=1),
        "endpoint": "https://partner.example.invalid/ebms",
        "http_status": 503,
        "result": "failed",
        "error_id": "MB-3211",
    }
    return Attempt(**values | given)


def item(of: Message, **given: Any) -> InboxItem:
    values: dict[str, Any] = {
        "id": new_id(),
        "message_id": of.id,
        "receiver_her": OURS,
        "sender_her": PARTNER,
        "cpa_id": "cpa-1",
        "stage": ItemStage.WAITING,
        "version": 1,
        "received_at": NOW,
    }
    return InboxItem(**values | given)


def received(evidence: NewBody, of: InboxItem | None = None, **given: Any) -> ReceivedEnvelope:
    values: dict[str, Any] = {
        "from_her": PARTNER,
        "cpa_id": "cpa-1",
        "eb_id": f"{new_id()}@partner.example.invalid",
        "digests": (Digest(uri="", method="sha256", value=b"\x01"),),
        "received_at": NOW,
        "evidence": evidence.id,
        "answer": Answer(status=200, content_type="text/xml", body=b"<Acknowledgment/>"),
        "item_id": of.id if of else None,
    }
    return ReceivedEnvelope(**values | given)


def signal(kept: NewBody, **given: Any) -> Signal:
    values: dict[str, Any] = {
        "id": new_id(),
        "to_her": PARTNER,
        "ref_eb_id": "eb-1",
        "content_type": "text/xml",
        "body": kept.id,
        "due": NOW,
    }
    return Signal(**values | given)


def event(kind: EventKind, **given: Any) -> NewEvent:
    values: dict[str, Any] = {"kind": kind, "at": NOW, "her": OURS}
    return NewEvent(**values | given)


def about(kind: EventKind, told: Message, of: Delivery | None = None, **given: Any) -> NewEvent:
    """Return a feed event of the message's sender."""
    values = {"her": told.sender_her, "feed": True, "message_id": told.id, "msg_id": told.msg_id}
    return event(kind, **values | {"delivery_id": of.id if of else None} | given)


def taken(content: bytes = b"<MsgHead/>", *, to: int = PARTNER, **given: Any) -> Changes:
    """Return what accept writes for one document to one receiver; `given` are values of the message."""
    kept = body(content)
    told = message(kept, **given)
    return Changes(
        events=(about(EventKind.ACCEPTED, told),),
        bodies=(kept,),
        messages=(told,),
        deliveries=(delivery(told, receiver_her=to),),
    )


def arrived(content: bytes = b"<MsgHead/>", *, to: int = OURS, **given: Any) -> Changes:
    """Return what receive writes for one document that came in; `given` are values of the message."""
    kept, evidence = body(content), body(b"<Envelope/>")
    values: dict[str, Any] = {"direction": Direction.IN, "sender_her": PARTNER, "client": None}
    told = message(kept, **values | given)
    one = item(told, receiver_her=to, sender_her=told.sender_her)
    return Changes(
        events=(event(EventKind.INBOX_DOCUMENT, her=to, feed=True, message_id=told.id, item_id=one.id),),
        bodies=(kept, evidence),
        messages=(told,),
        new_items=(one,),
        received=received(evidence, one),
    )


def sealed(before: Delivery, content: bytes = b"sealed", **given: Any) -> tuple[Changes, Delivery, Envelope]:
    """Return what record writes when an envelope is made, the delivery as it then stands, and the envelope."""
    kept = body(content)
    made = envelope(before, kept)
    after = replace(
        before,
        state=replace(before.state, stop_point=StopPoint.K4),
        envelope=made.eb_id,
        leased_until=None,
        updated_at=NOW,
        **given,
    )
    changes = Changes(
        events=(event(EventKind.SEALED, message_id=before.message_id, delivery_id=before.id, eb_id=made.eb_id),),
        bodies=(kept,),
        advanced=(after,),
        envelopes=(made,),
    )
    return changes, replace(after, version=before.version + 1), made


def state(
    transport: Transport, receipt: Receipt, outcome: Outcome = Outcome.OPEN, stop_point: StopPoint = StopPoint.K4
) -> State:
    return State(transport=transport, receipt=receipt, outcome=outcome, stop_point=stop_point)


def closing(of: Delivery) -> Changes:
    """Return what ends a delivery, so that nobody is owed its body."""
    ended = replace(
        of,
        state=replace(of.state, outcome=Outcome.CLOSED),
        closed_because="by telephone",
        transport_due=None,
        receipt_due=None,
    )
    told = event(EventKind.CLOSED, message_id=of.message_id, delivery_id=of.id)
    return Changes(events=(told,), advanced=(ended,))


def erasing(*bodies: str) -> list[tuple[str, NewEvent]]:
    """Return what `erase` is told to erase, each with its event."""
    return [(one, event(EventKind.ERASED, message_id=f"of {one}")) for one in bodies]


def judged(before: InboxItem, **given: Any) -> InboxItem:
    values: dict[str, Any] = {"stage": ItemStage.JUDGED, "verdict": Verdict.OK, "codes_sha256": bytes(32)}
    return replace(before, **values | given)
