"""What a partner's word does to a delivery, as one write: used where the word comes in the HTTP answer to our own POST
and where it comes as a POST of its own. Pure.
"""

from dataclasses import replace
from datetime import datetime

from broker import progress
from broker.lifecycle import Event, ItemEvent, Outcome, StopPoint, advance_item, allows
from broker.message import Changes, Envelope, EventKind, InboxItem, Kind, NewEvent, Work
from broker.retry import ReceiptPolicy


def event(
    kind: EventKind,
    work: Work,
    now: datetime,
    *,
    feed: bool = False,
    error_id: str | None = None,
    codes: tuple[str, ...] = (),
    eb_id: str | None = None,
    stop_point: StopPoint | None = None,
    client: str | None = None,
    why: str | None = None,
) -> NewEvent:
    """Return an event about this delivery. An AppRec of ours is no news to the EPJ's feed but by its inbox item."""
    return NewEvent(
        kind=kind,
        at=now,
        her=work.message.sender_her,
        feed=feed and work.message.kind is Kind.DOCUMENT,
        message_id=work.message.id,
        delivery_id=work.delivery.id,
        item_id=work.message.answers_item,
        msg_id=work.message.msg_id,
        counterpart=work.delivery.receiver_her,
        stop_point=stop_point or work.delivery.state.stop_point,
        error_id=error_id,
        codes=codes,
        eb_id=eb_id or work.delivery.envelope,
        client=client,
        why=why,
    )


def acknowledged(
    work: Work, envelope: Envelope, item: InboxItem | None, policy: ReceiptPolicy, now: datetime
) -> Changes:
    """The Acknowledgment of `envelope` (the current one or an earlier one) holds.

    `item` is the inbox item that this message answers, if it is an AppRec: its receipt is then delivered (M9).
    """
    told = event(EventKind.ACKNOWLEDGED, work, now, feed=True, eb_id=envelope.eb_id, stop_point=StopPoint.K6)
    changes = taken(work, replace(envelope, acknowledged_at=now), item, policy, now)
    return replace(changes, events=(told, *changes.events))


def taken(work: Work, envelope: Envelope, item: InboxItem | None, policy: ReceiptPolicy, now: datetime) -> Changes:
    """`envelope` is with the partner's MSH, by its Acknowledgment or, where none is agreed, by its HTTP answer.

    It may tell no event of its own. `item` as in `acknowledged`.
    """
    used = (envelope,)
    if not allows(work.delivery.state, Event.ACKNOWLEDGED):
        return Changes(events=(), advanced=(work.delivery,), used=used)
    delivery = progress.acknowledged(work.delivery, work.message, policy, now=now)
    events: list[NewEvent] = []
    if delivery.state.outcome is Outcome.COMPLETED and work.delivery.state.outcome is Outcome.OPEN:
        events.append(event(EventKind.COMPLETED, work, now, feed=True, stop_point=delivery.state.stop_point))
    items: tuple[InboxItem, ...] = ()
    if item is not None and item.apprec_message == work.message.id:
        items = (replace(item, stage=advance_item(item.stage, ItemEvent.RECEIPT_DELIVERED), updated_at=now),)
        events.append(
            NewEvent(
                kind=EventKind.RECEIPT_DELIVERED,
                at=now,
                her=item.receiver_her,
                feed=True,
                message_id=item.message_id,
                item_id=item.id,
                counterpart=item.sender_her,
                stop_point=StopPoint.M9,
            )
        )
    return Changes(events=tuple(events), advanced=(delivery,), used=used, items=items)


def refused(work: Work, envelope: Envelope, error_id: str, codes: tuple[str, ...], now: datetime) -> Changes:
    """The partner's MSH, or its HTTP server, says never. After an Acknowledgment or a receipt it changes no state."""
    current = work.delivery.envelope == envelope.eb_id
    counts = current and allows(work.delivery.state, Event.REFUSED)
    told = event(EventKind.REFUSED, work, now, feed=counts, error_id=error_id, codes=codes, eb_id=envelope.eb_id)
    delivery = progress.refused(work.delivery, error_id, now=now) if counts else work.delivery
    return Changes(events=(told,), advanced=(delivery,), used=(envelope,))
