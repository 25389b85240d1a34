"""From the EPJ's POST to custody, and the EPJ's word that it has read the outcome.

What the document itself decides is checked here, inside the POST; what the world decides parks after 202.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from broker import effects, progress, telemetry
from broker.diagnosis import causes
from broker.errors import (
    Conflict,
    Denied,
    KeyReused,
    StoreBusy,
    Unaddressable,
)
from broker.lifecycle import ItemEvent, ItemStage, StopPoint, advance_item
from broker.message import (
    Changes,
    Client,
    Delivery,
    Direction,
    EventKind,
    InboxItem,
    Message,
    NewBody,
    NewEvent,
    Owed,
    PartyRef,
)
from broker.ports import Doors, Stale
from broker.routing import choose
from broker.routing.party import Directory, PartyKind
from broker.validation import sentences
from broker.validation.documents import DocumentRefused, Judged, judge

RACES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message in our custody: body and record are on disk."""

    message: Message
    deliveries: tuple[Delivery, ...]
    replayed: bool


async def accept(raw: bytes, client: Client, doors: Doors, key: str | None = None) -> Taken:
    """Take a document into custody, and return only when it is on disk.

    The same bytes again give the same answer, under the same `key` (the client's own Idempotency-Key) or none. Raises
    Denied (a HER-id that is not the client's), DocumentRefused with every fault, Conflict (another document under this
    MsgId), KeyReused (another under this key), StoreBusy (nothing was taken).
    """
    digest = sha256(raw).digest()
    named = sha256(key.encode()).digest() if key is not None else None
    if named is not None and (before := await _under_key(named, digest, client, doors)) is not None:
        return before
    try:
        checked = await validate(raw, client, doors)
    except DocumentRefused as why:
        await _refused_at_door(why, client, doors)
        raise
    for _ in range(RACES):
        known = await doors.store.outbound(checked.who.sender.her, checked.who.msg_id)
        if known is not None:
            if known.message.sha256 != digest or known.message.client != client.name:
                raise Conflict(
                    "another document was taken under this MsgId",
                    hint="give the new document a MsgId of its own; to repeat, post exactly the same bytes",
                )
            return Taken(message=known.message, deliveries=known.deliveries, replayed=True)
        message, changes = await _custody(checked, raw, digest, client, doors)
        message = replace(message, key_sha256=named)
        try:
            await doors.store.accept(replace(changes, messages=(message,)))
        except Stale:
            if named is not None:  # it may be the key that another request has just taken
                await _under_key(named, digest, client, doors)
            continue
        telemetry.recorded(changes.events, changes.attempts)
        doors.wake()
        return Taken(message=message, deliveries=changes.deliveries, replayed=False)
    raise StoreBusy("this MsgId is being taken by other requests", error_id=causes.UNEXPECTED, hint="post again")


async def _under_key(named: bytes, digest: bytes, client: Client, doors: Doors) -> Taken | None:
    """Return what the client posted under this key. Raises KeyReused where those were other bytes, Denied."""
    known = await doors.store.outbound_by_key(client.name, named)
    if known is None:
        return None
    if known.message.sha256 != digest:
        raise KeyReused("another document was taken under this Idempotency-Key", hint="give each document its own")
    if known.message.sender_her not in client.hers:
        raise Denied(known.message.sender_her)
    return Taken(message=known.message, deliveries=known.deliveries, replayed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Whom a document is from and to, and its id: of a MsgHead and of an AppRec alike."""

    sender: PartyRef
    receivers: tuple[PartyRef, ...]
    msg_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A document without faults."""

    judged: Judged
    who: Who
    unreachable: Unaddressable | None  # no address registry could answer: the receiver is unproven, and parks after 202


async def validate(raw: bytes, client: Client, doors: Doors) -> Checked:
    """Check all that the document itself decides; alone it is the dry run.

    Nothing is kept of it. Raises Denied before anything is looked up, and DocumentRefused with every fault.
    """
    now = doors.clock.now()
    directory: Directory | None = None
    unreachable: Unaddressable | None = None
    try:
        directory = doors.addresses.current()
    except Unaddressable as why:
        unreachable = why
    judged = await doors.urgent(len(raw), _judge, raw, doors, directory, now)
    who = _who(judged)
    if who is not None and who.sender.her not in client.hers:
        raise Denied(who.sender.her)
    faults = judged.faults
    if directory is not None and who is not None:
        try:
            unknown = [receiver.her for receiver in who.receivers if not _is_party(directory, receiver.her)]
        except Unaddressable as why:
            unknown, unreachable = [], why
        faults += (sentences.fault("receiver.unknown", line=None, path="MsgHead/MsgInfo/Receiver"),) * len(unknown)
    if faults or who is None:
        raise DocumentRefused(faults)
    return Checked(judged=judged, who=who, unreachable=unreachable)


def _judge(raw: bytes, doors: Doors, directory: Directory | None, now: datetime) -> Judged:
    return judge(
        raw,
        schemas=doors.schemas(),
        processes=doors.processes(),
        codes=doors.codes,
        environment=doors.site.environment,
        kind_of=directory.kind_of if directory is not None else _unknown_kind,
        at=now,
    )


def _unknown_kind(_her: int) -> PartyKind | None:
    return None


def _is_party(directory: Directory, her: int) -> bool:
    """Say whether a HER-id takes messages. Raises Unaddressable where its record may be the one that can't be read."""
    if not choose.known(directory, her):
        return False
    party = directory.party(her)
    return party is not None and party.active and party.kind is not PartyKind.ORGANISATION


async def _refused_at_door(why: DocumentRefused, client: Client, doors: Doors) -> None:
    """Leave a record without a body: which rules, by which client."""
    now, rules = doors.clock.now(), tuple(sorted({fault.rule for fault in why.faults}))
    event = NewEvent(kind=EventKind.REFUSED_AT_DOOR, at=now, her=None, codes=rules, client=client.name)
    changes = Changes(events=(event,))
    await doors.store.record(changes)
    telemetry.recorded(changes.events, changes.attempts)


async def _custody(
    checked: Checked, raw: bytes, digest: bytes, client: Client, doors: Doors
) -> tuple[Message, Changes]:
    now = doors.clock.now()
    judged, who = checked.judged, checked.who
    assert judged.process is not None  # a document without faults has one
    assert judged.function is not None
    answered = await _answered(judged, who, doors)
    body = NewBody(id=doors.randomness.id(), content=raw)
    head = judged.head
    message = Message(
        id=doors.randomness.id(),
        direction=Direction.OUT,
        kind=judged.kind,
        sender_her=who.sender.her,
        sender_organisation_her=who.sender.organisation_her,
        msg_id=who.msg_id,
        type=head.type if head else "APPREC",
        gen_date=head.gen_date if head else now.isoformat(),
        # A receipt goes by the process, and in the conversation, of what it answers.
        process=answered[0].process if answered else judged.process.name,
        function=answered[0].function if answered else judged.function.key,
        conversation_id=(
            answered[0].conversation_id if answered else (head and head.ref_to_conversation) or who.msg_id
        ),
        ref_to_parent=head.ref_to_parent if head else None,
        owed=Owed.NEVER if answered else judged.owed,
        sha256=digest,
        size=len(raw),
        body=body.id,
        at=now,
        client=client.name,
        answers_item=answered[1].id if answered else None,
        original_msg_id=judged.apprec.original_id if judged.apprec else None,
    )
    deliveries = tuple(
        progress.begin(
            id=doors.randomness.id(),
            message=message,
            receiver=receiver,
            policy=judged.process.receipt,
            cause=checked.unreachable,
        )
        for receiver in who.receivers
    )
    event = NewEvent(
        kind=EventKind.ACCEPTED,
        at=now,
        her=message.sender_her,
        message_id=message.id,
        msg_id=message.msg_id,
        stop_point=StopPoint.K2,
        client=client.name,
    )
    items: tuple[InboxItem, ...] = ()
    if answered is not None and judged.apprec is not None:
        moved = replace(
            answered[1],
            stage=advance_item(answered[1].stage, ItemEvent.JUDGED),
            verdict=judged.apprec.status,
            apprec_message=message.id,
            updated_at=now,
        )
        items = (moved,)
    return message, Changes(events=(event,), bodies=(body,), messages=(message,), deliveries=deliveries, items=items)


async def _answered(judged: Judged, who: Who, doors: Doors) -> tuple[Message, InboxItem] | None:
    """Return what a ready-made AppRec answers.

    Raises DocumentRefused where nothing waits for it, Conflict where a receipt was given before.
    """
    if judged.apprec is None:
        return None
    found = await doors.store.inbound(sender_her=who.receivers[0].her, msg_id=judged.apprec.original_id)
    if found is None or found[1] is None or found[1].receiver_her != who.sender.her:
        raise DocumentRefused((sentences.fault("apprec.unmatched", line=None, path="AppRec/OriginalMsgId"),))
    message, item = found[0], found[1]
    if item.stage not in (ItemStage.WAITING, ItemStage.STORED):
        raise Conflict("a receipt was given for this document before", hint="the first one stands")
    return message, item


def _who(judged: Judged) -> Who | None:
    """Return None where the document does not say so much."""
    if judged.head is not None:
        head = judged.head
        return Who(sender=head.sender, receivers=(head.receiver, *head.other_receivers), msg_id=head.msg_id)
    receipt = judged.apprec
    if receipt is None or receipt.sender is None or receipt.receiver is None:
        return None
    return Who(sender=receipt.sender, receivers=(receipt.receiver,), msg_id=receipt.id)


async def confirm(client: Client, through: int, doors: Doors) -> int:
    """Confirm the outcomes that the client has read in its feed up to offset `through` (K8). Returns how many."""
    for _ in range(RACES):
        now = doors.clock.now()
        settled = await doors.store.unconfirmed(client.hers, through=through)
        if not settled:
            return 0
        events = tuple(
            effects.event(EventKind.CONFIRMED, work, now, client=client.name, stop_point=StopPoint.K8)
            for work in settled
        )
        advanced = tuple(progress.confirmed(work.delivery, now=now) for work in settled)
        try:
            await doors.store.record(Changes(events=events, advanced=advanced))
        except Stale:
            continue
        return len(settled)
    raise StoreBusy("outcomes kept changing meanwhile", error_id=causes.UNEXPECTED, hint="confirm again")
