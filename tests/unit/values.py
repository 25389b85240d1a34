"""Values that tests start from. All ids are synthetic."""

from datetime import UTC, datetime, timedelta

from broker.lifecycle import State, first_state
from broker.message import Ball, Delivery, Direction, Envelope, Kind, Message, Owed

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def message(*, owed: Owed = Owed.ALWAYS, kind: Kind = Kind.DOCUMENT, at: datetime = START) -> Message:
    """A document of HER 8000101 to HER 8000201, in custody at `at`."""
    return Message(
        id="m-1",
        direction=Direction.OUT,
        kind=kind,
        sender_her=8000101,
        sender_organisation_her=8000100,
        msg_id="6c6f1f0e-0000-4000-8000-000000000001",
        type="DIALOG_HELSEFAGLIG",
        gen_date="2026-11-22T12:00:00Z",
        process="DIALOG_HELSEFAGLIG",
        function="Dialog",
        conversation_id="c-1",
        ref_to_parent=None,
        owed=owed,
        sha256=b"\0" * 32,
        size=1000,
        body="b-1",
        at=at,
        client="epj",
    )


def delivery(*, state: State | None = None, owed: bool = True) -> Delivery:
    """A delivery of that message, just taken."""
    return Delivery(
        id="d-1",
        message_id="m-1",
        receiver_her=8000201,
        receiver_organisation_her=8000200,
        receiver_person=False,
        state=state or first_state(receipt_awaited=owed),
        version=0,
        ball=Ball.US,
        transport_due=START,
    )


def envelope(*, copies: int = 0, retries: int = 3, at: datetime = START) -> Envelope:
    """An envelope of that delivery: every 5 minutes, for two days."""
    return Envelope(
        eb_id="e-1@test",
        delivery_id="d-1",
        cpa_id="cpa-1",
        from_her=8000101,
        to_her=8000201,
        content_type="multipart/related",
        body="b-2",
        digests=(),
        ack_signed=True,
        sync=True,
        retries=retries,
        interval=timedelta(minutes=5),
        timestamp=at,
        persist_until=at + timedelta(days=2),
        copies=copies,
    )
