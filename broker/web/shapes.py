"""How our values look in JSON: the API's nouns and spellings, those of NHN's EDI 2.0 where it has a word."""

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from broker.diagnosis import Standing
from broker.lifecycle import ItemStage, Receipt, Transport
from broker.message import (
    Attempt,
    Delivery,
    Direction,
    EventKind,
    InboxItem,
    Message,
    Owed,
    Payload,
    StoredEvent,
    Text,
    WakeState,
)

if TYPE_CHECKING:  # slow to load, and the command line shows neither
    from broker.diagnosis.conditions import Condition
    from broker.intake import Checked, Taken
    from broker.receipts.apprec import AppRec

Json = dict[str, Any]

_JSON: Final = json.JSONEncoder(ensure_ascii=False)
_STEERING: Final = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

TRANSPORT_STATES: Final = {
    Transport.WAITING: "Unconfirmed",
    Transport.SENT: "Unconfirmed",
    Transport.ACKNOWLEDGED: "Acknowledged",
    Transport.REFUSED: "Rejected",
    Transport.ABANDONED: "Abandoned",
}
APPREC_STATES: Final = {Receipt.OK: "Ok", Receipt.REJECTED: "Rejected", Receipt.PARTIAL: "OkErrorInMessagePart"}


def taken(of: "Taken") -> Json:
    """Return the answer to a post."""
    return {
        "id": of.message.id,
        "msgId": of.message.msg_id,
        "sha256": of.message.sha256.hex(),
        "receivedAt": instant(of.message.at),
        "receivers": [
            {"receiverHerId": delivery.receiver_her, "deliveryId": delivery.id} for delivery in of.deliveries
        ],
        "replayed": of.replayed,
    }


def checked(of: "Checked") -> Json:
    """Return the answer to a dry run that found no fault."""
    judged = of.judged
    return {
        "ok": True,
        "type": judged.head.type if judged.head else "APPREC",
        "process": judged.process.name if judged.process else None,
        "function": judged.function.name if judged.function else None,
        "receivers": [{"receiverHerId": party.her} for party in of.who.receivers],
    }


def message(of: Message, standing: Standing | None, receivers: Sequence[Json]) -> Json:
    """Return one message with its receivers. `standing` is that of the receiver that has come least far."""
    return {
        "id": of.id,
        "msgId": of.msg_id,
        "direction": of.direction,
        "type": of.type,
        "process": of.process,
        "conversationId": of.conversation_id,
        "sha256": of.sha256.hex(),
        "size": of.size,
        "receivedAt": instant(of.at),
        "senderHerId": of.sender_her,
        "stopPoint": standing.stop_point if standing else None,
        "sentence": _text(standing.sentence) if standing else None,
        "receivers": list(receivers),
    }


def receiver(of: Delivery, standing: Standing) -> Json:
    """Return how one delivery of a message stands."""
    return {
        "receiverHerId": of.receiver_her,
        "deliveryId": of.id,
        "transportDeliveryState": TRANSPORT_STATES[of.state.transport],
        "appRecStatus": APPREC_STATES.get(of.state.receipt),
        "receiptState": of.state.receipt,
        "outcome": of.state.outcome,
        "stopPoint": standing.stop_point,
        "sentence": _text(standing.sentence),
        "errorId": standing.error_id,
        "cause": _text(standing.cause) if standing.cause else None,
        "act": _text(standing.act) if standing.act else None,
        "nextAttemptAt": instant(standing.next_at) if standing.next_at else None,
        "ball": standing.ball,
        "late": of.late,
        "codes": [{"errorCode": code.code, "oid": code.oid, "text": code.text} for code in of.codes],
        "appRecId": of.receipt_message,
        "closedBecause": of.closed_because,
    }


def received_by(of: InboxItem, standing: Standing) -> Json:
    """Return how a received message stands at the one of ours that it came to."""
    return {
        "receiverHerId": of.receiver_her,
        "itemId": of.id,
        "state": of.stage,
        "appRecStatus": of.verdict,
        "stopPoint": standing.stop_point,
        "sentence": _text(standing.sentence),
        "errorId": standing.error_id,
        "cause": _text(standing.cause) if standing.cause else None,
        "act": _text(standing.act) if standing.act else None,
        "ball": standing.ball,
        "appRecId": of.apprec_message,
    }


def attempt(of: Attempt) -> Json:
    """Return one try at the transport."""
    return {
        "deliveryId": of.delivery_id,
        "ebMessageId": of.eb_id,
        "number": of.number,
        "startedAt": instant(of.started_at),
        "endedAt": instant(of.ended_at),
        "endpoint": of.endpoint,
        "httpStatus": of.http_status,
        "result": of.result,
        "errorId": of.error_id,
    }


def event(of: StoredEvent) -> Json:
    """Return one event, as it stands in the feed and in a message's history."""
    told = of.event
    return {
        "offset": of.offset,
        "at": instant(told.at),
        "type": told.kind,
        "messageId": told.message_id,
        "msgId": told.msg_id,
        "herId": told.her,
        "counterpartHerId": told.counterpart,
        "deliveryId": told.delivery_id,
        "itemId": told.item_id,
        "stopPoint": told.stop_point,
        "errorId": told.error_id,
        "codes": list(told.codes),
        # A person's own words, to the EPJ: why its message was closed. All other reasons are for operators alone.
        "reason": told.why if told.kind is EventKind.CLOSED else None,
    }


def item(of: InboxItem, about: Message, payloads: Sequence[Payload] = ()) -> Json:
    """Return one inbox item."""
    unjudged = of.stage in (ItemStage.WAITING, ItemStage.STORED)
    return {
        "id": of.id,
        "receiverHerId": of.receiver_her,
        "senderHerId": of.sender_her,
        "msgId": about.msg_id,
        "type": about.type,
        "process": about.process,
        "function": about.function,
        "conversationId": about.conversation_id,
        "refToParent": about.ref_to_parent,
        "receivedAt": instant(of.received_at),
        "size": about.size,
        "sha256": about.sha256.hex(),
        "state": of.stage,
        "appRecOwed": about.owed is not Owed.NEVER and unjudged,
        "payloads": [
            {
                "number": one.number,
                "contentType": one.content_type,
                "size": one.size,
                "sha256": one.sha256.hex(),
            }
            for one in payloads
        ],
    }


def apprec(receiver_her: int, document: bytes, read: "AppRec") -> Json:
    """Return one AppRec as it came, with its errors; `details` is the receiver's free text."""
    return {
        "receiverHerId": receiver_her,
        "status": read.status,
        "document": base64.b64encode(document).decode(),
        "errors": [
            {"errorCode": error.code, "oid": error.oid, "text": error.text, "details": error.detail}
            for error in read.errors
        ],
    }


def condition(of: "Condition") -> Json:
    """Return an alarm that belongs to no message."""
    return {
        "errorId": of.error_id,
        "about": of.about,
        "since": instant(of.since) if of.since else None,
        "sentence": _text(of.sentence),
        "cause": _text(of.cause),
        "act": _text(of.act),
        "ball": of.ball,
    }


def wake(of: WakeState) -> Json:
    """Return how a webhook stands."""
    return {
        "origin": of.origin,
        "state": of.state,
        "triedAt": instant(of.tried_at) if of.tried_at else None,
        "httpStatus": of.status,
        "failures": of.failures,
        "nextAttemptAt": instant(of.next_at) if of.next_at else None,
        "waiting": of.waiting,
        "why": _text(of.why) if of.why else None,
    }


def written(said: Json) -> bytes:
    """Return JSON in UTF-8, readable to people. A receiver's free text may hold anything: what would steer a terminal,
    break a line or turn it about stands there as an escape, which means the same.
    """
    text = _JSON.encode(said)
    if not text.isascii() or "\x7f" in text:
        text = _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode()


def instant(at: datetime) -> str:
    """Return RFC 3339 in UTC, with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def outgoing(of: Message) -> bool:
    """Say whether the message was posted here."""
    return of.direction is Direction.OUT


def _text(text: Text) -> Json:
    return {"nb": text.nb, "en": text.en}
