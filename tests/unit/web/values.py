"""Synthetic messages, deliveries and inbox items that the tests of web and diagnosis share."""

from datetime import UTC, datetime, timedelta

from broker.lifecycle import ItemStage, Outcome, Receipt, State, StopPoint, Transport
from broker.message import Ball, Delivery, Direction, Envelope, InboxItem, Kind, Message, Owed

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OURS, THEIRS = 8000101, 8000201


def message(**changes: object) -> Message:
    """Return a document in custody since ten o'clock UTC."""
    values: dict[str, object] = {
        "id": "0192f0c0-0000-7000-8000-000000000001",
        "direction": Direction.OUT,
        "kind": Kind.DOCUMENT,
        "sender_her": OURS,
        "sender_organisation_her": None,
        "msg_id": "5d6e0f2a-msg",
        "type": "DIALOG_HELSEFAGLIG",
        "gen_date": "2026-11-21T11:00:00+01:00",
        "process": "DIALOG_HELSEFAGLIG",
        "function": "Foresporsel",
        "conversation_id": "c-1",
        "ref_to_parent": None,
        "owed": Owed.ALWAYS,
        "sha256": bytes(32),
        "size": 1234,
        "body": "b-1",
        "at": NOW - timedelta(hours=2),
        "client": "epj-fjordvik",
    }
    return Message(**(values | changes))  # type: ignore[arg-type]  # builder: each test names only what it is about


def state(
    transport: Transport = Transport.WAITING,
    receipt: Receipt = Receipt.AWAITED,
    outcome: Outcome = Outcome.OPEN,
    stop_point: StopPoint = StopPoint.K2,
) -> State:
    """Return a state by its four words."""
    return State(transport=transport, receipt=receipt, outcome=outcome, stop_point=stop_point)


def delivery(**changes: object) -> Delivery:
    """Return a delivery that is queued."""
    values: dict[str, object] = {
        "id": "0192f0c0-0000-7000-8000-0000000000d1",
        "message_id": "0192f0c0-0000-7000-8000-000000000001",
        "receiver_her": THEIRS,
        "receiver_organisation_her": None,
        "receiver_person": False,
        "state": state(),
        "version": 1,
        "ball": Ball.US,
    }
    return Delivery(**(values | changes))  # type: ignore[arg-type]  # builder


def envelope(**changes: object) -> Envelope:
    """Return an envelope of which no copy is sent yet."""
    values: dict[str, object] = {
        "eb_id": "0192f0c0-eb@fjordvik.example",
        "delivery_id": "0192f0c0-0000-7000-8000-0000000000d1",
        "cpa_id": "fjordvik:dalbygda",
        "from_her": OURS,
        "to_her": THEIRS,
        "content_type": "multipart/related",
        "body": "b-2",
        "digests": (),
        "ack_signed": True,
        "sync": False,
        "retries": 3,
        "interval": timedelta(minutes=5),
        "timestamp": NOW,
        "persist_until": NOW + timedelta(days=2),
    }
    return Envelope(**(values | changes))  # type: ignore[arg-type]  # builder


def item(**changes: object) -> InboxItem:
    """Return an inbox item that waits for the EPJ."""
    values: dict[str, object] = {
        "id": "0192f0c0-0000-7000-8000-0000000000f1",
        "message_id": "0192f0c0-0000-7000-8000-000000000009",
        "receiver_her": OURS,
        "sender_her": THEIRS,
        "cpa_id": "fjordvik:dalbygda",
        "stage": ItemStage.WAITING,
        "version": 1,
        "received_at": NOW - timedelta(minutes=5),
    }
    return InboxItem(**(values | changes))  # type: ignore[arg-type]  # builder
