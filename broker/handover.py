"""Handing over: an EPJ stores what came for it, gives its verdict, and the AppRec goes back."""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from broker import telemetry
from broker.diagnosis import causes
from broker.errors import (
    Conflict,
    StoreBusy,
    Unknown,
)
from broker.lifecycle import ITEM_STOP_POINTS, ItemEvent, ItemStage, advance_item
from broker.message import (
    Changes,
    Client,
    EventKind,
    InboxItem,
    Message,
    NewEvent,
    Owed,
    Verdict,
)
from broker.ports import BodyDamaged, Doors, Stale
from broker.receipts.apprec import GivenError
from broker.replies import ERROR_LIST, apprec_of
from broker.routing.party import ReceiptOn
from broker.validation import sentences
from broker.validation.documents import DocumentRefused

RACES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An EPJ's verdict, and the AppRec that carries it."""

    item: InboxItem
    apprec_message: str | None
    replayed: bool


async def stored(item_id: str, client: Client, doors: Doors) -> InboxItem:
    """The EPJ says that the document is stored (M7). Raises Unknown for an item that is not the client's."""
    for _ in range(RACES):
        message, item = await _own_item(item_id, client, doors)
        now = doors.clock.now()
        if item.stage is not ItemStage.WAITING:
            return item
        moved = replace(item, stage=advance_item(item.stage, ItemEvent.STORED), updated_at=now)
        told = _item_event(EventKind.STORED, message, moved, now, client)
        party = doors.addresses.current().party(item.receiver_her)
        changes = Changes(events=(told,), items=(moved,))
        if party is not None and party.receipt_on is ReceiptOn.STORED and message.owed is Owed.ALWAYS:
            moved = _with_verdict(moved, Verdict.OK, (), now)
            changes = await _with_receipt(message, moved, Verdict.OK, (), told, doors, now)
        try:
            await doors.store.record(changes)
        except Stale:
            continue
        telemetry.recorded(changes.events, changes.attempts)
        doors.wake()
        return replace(changes.items[0], version=item.version + 1)
    raise StoreBusy("the item kept changing", error_id=causes.UNEXPECTED, hint="try again")


async def verdict(
    item_id: str, given: Verdict, errors: tuple[GivenError, ...], client: Client, doors: Doors
) -> Answered:
    """Record the EPJ's verdict (M8) and take its AppRec into custody. A verdict implies stored.

    Raises Unknown, Conflict (another verdict stands, or no receipt is owed), DocumentRefused (a rejection without
    errors, an unknown code).
    """
    _check_verdict(given, errors, doors)
    digest = _digest(given, errors)
    for _ in range(RACES):
        message, item = await _own_item(item_id, client, doors)
        now = doors.clock.now()
        if item.stage in (ItemStage.JUDGED, ItemStage.RECEIPTED):
            if item.codes_sha256 == digest:
                return Answered(item=item, apprec_message=item.apprec_message, replayed=True)
            raise Conflict("another verdict was given for this document", hint="the first verdict stands")
        if message.owed is Owed.NEVER:
            raise Conflict("no application receipt is owed for this document", hint="confirm it as stored instead")
        moved = _with_verdict(item, given, errors, now)
        told = _item_event(EventKind.JUDGED, message, moved, now, client, codes=tuple(error.code for error in errors))
        changes = await _with_receipt(message, moved, given, errors, told, doors, now)
        try:
            await doors.store.record(changes)
        except Stale:
            continue
        telemetry.recorded(changes.events, changes.attempts)
        doors.wake()
        return Answered(item=changes.items[0], apprec_message=changes.items[0].apprec_message, replayed=False)
    raise StoreBusy("the item kept changing", error_id=causes.UNEXPECTED, hint="try again")


async def content_of(message: Message, item: InboxItem | None, doors: Doors) -> bytes:
    """Return the document as it was given. Raises KeyError (erased), or BodyDamaged, of which a person is then told."""
    try:
        return await doors.store.body(message.body)
    except BodyDamaged:
        history = await doors.store.history(message.id)
        if not any(stored.event.error_id == causes.BODY_DAMAGED for stored in history):  # once is enough
            event = NewEvent(
                kind=EventKind.PARKED,
                at=doors.clock.now(),
                her=item.receiver_her if item is not None else message.sender_her if message.client else None,
                message_id=message.id,
                item_id=item.id if item is not None else None,
                msg_id=message.msg_id,
                error_id=causes.BODY_DAMAGED,
            )
            await doors.store.record(Changes(events=(event,)))
            telemetry.recorded((event,), ())
        raise


def _with_verdict(item: InboxItem, given: Verdict, errors: tuple[GivenError, ...], now: datetime) -> InboxItem:
    return replace(
        item,
        stage=advance_item(item.stage, ItemEvent.JUDGED),
        verdict=given,
        codes_sha256=_digest(given, errors),
        updated_at=now,
    )


def _digest(given: Verdict, errors: tuple[GivenError, ...]) -> bytes:
    """Return what tells a repeated verdict from another one, without keeping its free text."""
    said = "\0".join([given, *(f"{error.code}\1{error.details}" for error in errors)])
    return sha256(said.encode()).digest()


def _check_verdict(given: Verdict, errors: tuple[GivenError, ...], doors: Doors) -> None:
    """Raises DocumentRefused where the AppRec could not be built: with every fault, in both languages."""
    known = doors.codes.texts(ERROR_LIST)
    broken = []
    if given is not Verdict.OK and not errors:
        broken.append("verdict.no-error")
    if given is Verdict.OK and errors:
        broken.append("verdict.error-on-approval")
    if any(error.code not in known for error in errors):
        broken.append("verdict.unknown-code")
    faults = tuple(sentences.fault(rule, line=None, path="appRecErrorList") for rule in broken)
    if faults:
        raise DocumentRefused(faults)


async def _own_item(item_id: str, client: Client, doors: Doors) -> tuple[Message, InboxItem]:
    found = await doors.store.item(item_id)
    if found is None or found[1].receiver_her not in client.hers:
        raise Unknown("no such inbox item", hint="list the inbox: GET /api/v1/inbox")
    return found


def _item_event(
    kind: EventKind, message: Message, item: InboxItem, now: datetime, client: Client, codes: tuple[str, ...] = ()
) -> NewEvent:
    return NewEvent(
        kind=kind,
        at=now,
        her=item.receiver_her,
        message_id=message.id,
        item_id=item.id,
        msg_id=message.msg_id,
        counterpart=item.sender_her,
        stop_point=ITEM_STOP_POINTS[item.stage],
        codes=codes,
        client=client.name,
    )


async def _with_receipt(
    message: Message,
    item: InboxItem,
    given: Verdict,
    errors: tuple[GivenError, ...],
    told: NewEvent,
    doors: Doors,
    now: datetime,
) -> Changes:
    """Put the verdict and the AppRec that carries it into one write."""
    content = await content_of(message, item, doors)
    directory = doors.addresses.current()
    receipt = await doors.work(len(content), apprec_of, message, item, content, given, errors, directory, doors, now)
    moved = replace(item, apprec_message=receipt.messages[0].id)
    return replace(receipt, events=(told,), items=(moved,))
