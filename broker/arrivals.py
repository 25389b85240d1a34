"""What an opened document or AppRec leads to, as one write: the inbox, a negative AppRec, or an outcome of ours.

Signature and sender hold by now, and the sender is about to be told so by an Acknowledgment.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from cryptography.x509 import Certificate

from broker import effects, progress
from broker.diagnosis import causes
from broker.envelope import ebms, mime
from broker.envelope.xml import Xml
from broker.lifecycle import Event, ItemStage, Outcome, StopPoint, allows
from broker.message import (
    Changes,
    Direction,
    EventKind,
    InboxItem,
    Kind,
    Message,
    NewBody,
    NewEvent,
    Owed,
    PartyRef,
    Payload,
    Verdict,
    Work,
)
from broker.ports import Doors
from broker.receipts import apprec
from broker.receipts.apprec import GivenError
from broker.replies import ERROR_LIST, apprec_of
from broker.retry import ReceiptPolicy
from broker.routing import choose
from broker.routing.party import Agreement, Directory
from broker.routing.process import Function, Process
from broker.routing.profile import Profile
from broker.validation.documents import Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """An envelope taken apart, under an agreement, before its signature is believed."""

    envelope: ebms.Envelope
    xml: Xml
    root: bytes
    parts: tuple[mime.Part, ...]
    from_her: int
    to_her: int
    agreement: Agreement
    process: Process | None  # by Service, Action and Roles of the header; None for a signal
    function: Function | None
    directory: Directory
    at: datetime
    signer: Certificate | None = None  # by whose key the envelope is signed, once that holds

    @property
    def eb_id(self) -> str:
        return self.envelope.header.message_id

    @property
    def size(self) -> int:
        """How many bytes it has, less what MIME adds."""
        return len(self.root) + sum(len(part.body) for part in self.parts)

    @property
    def profile(self) -> Profile:
        """How the sender's engine wants to be answered."""
        return self.directory.profile(self.from_her)


def event_of(
    kind: EventKind,
    came: Came,
    *,
    feed: bool = False,
    message: Message | None = None,
    item: InboxItem | None = None,
    why: str | None = None,
    codes: tuple[str, ...] = (),
    stop_point: StopPoint | None = None,
    error_id: str | None = None,
) -> NewEvent:
    return NewEvent(
        kind=kind,
        at=came.at,
        her=came.to_her,
        feed=feed,
        message_id=message.id if message else (item.message_id if item else None),
        item_id=item.id if item else None,
        msg_id=message.msg_id if message else None,
        counterpart=came.from_her,
        stop_point=stop_point,
        error_id=error_id,
        codes=codes,
        eb_id=came.eb_id,
        why=why,
    )


# --- a document came ---


async def document_came(
    came: Came, judged: Judged, content: bytes, others: tuple[tuple[mime.Part, bytes], ...], doors: Doors
) -> Changes:
    """Return what a document leads to. `others` came in the same envelope, and stay with it: parts, and opened."""
    head = judged.head
    assert head is not None
    digest = sha256(content).digest()
    known = await doors.store.inbound(sender_her=came.from_her, msg_id=head.msg_id)
    if known is not None:
        beside = tuple(sha256(opened).digest() for _, opened in others)
        same = known[0].sha256 == digest and beside == tuple(
            payload.sha256 for payload in await doors.store.payloads(known[0].id)
        )
        return await _known_document(came, known[0], known[1], doors, same=same)
    body = NewBody(id=doors.randomness.id(), content=content)
    # A document that no process knows (T10) is answered by the process that its envelope names.
    process, function = judged.process or came.process, judged.function or came.function
    assert process is not None
    assert function is not None
    message = Message(
        id=doors.randomness.id(),
        direction=Direction.IN,
        kind=Kind.DOCUMENT,
        sender_her=came.from_her,
        sender_organisation_her=head.sender.organisation_her,
        msg_id=head.msg_id,
        type=head.type,
        gen_date=head.gen_date,
        process=process.name,
        function=function.key,
        conversation_id=came.envelope.header.conversation_id,
        ref_to_parent=head.ref_to_parent,
        owed=judged.owed,
        sha256=digest,
        size=len(content),
        body=body.id,
        at=came.at,
    )
    item = InboxItem(
        id=doors.randomness.id(),
        message_id=message.id,
        receiver_her=came.to_her,
        sender_her=came.from_her,
        cpa_id=came.agreement.cpa_id,
        stage=ItemStage.WAITING,
        version=0,
        received_at=came.at,
        updated_at=came.at,
    )
    kept, payloads = [body], list[Payload]()
    for number, (part, opened) in enumerate(others, start=1):
        beside_it = NewBody(id=doors.randomness.id(), content=opened)
        kept.append(beside_it)
        payload = Payload(
            message_id=message.id,
            number=number,
            content_id=part.content_id,
            content_type=part.content_type,
            size=len(opened),
            sha256=sha256(opened).digest(),
            body=beside_it.id,
        )
        payloads.append(payload)
    came_in = Changes(events=(), bodies=tuple(kept), messages=(message,), payloads=tuple(payloads), new_items=(item,))
    codes = _machine_codes(judged, came)
    if not codes:
        told = event_of(EventKind.INBOX_DOCUMENT, came, feed=True, message=message, item=item, stop_point=StopPoint.M6)
        return replace(came_in, events=(told,))
    rejected = event_of(
        EventKind.INBOUND_REJECTED, came, message=message, item=item, codes=tuple(c.code for c in codes)
    )
    item = replace(item, stage=ItemStage.JUDGED, verdict=Verdict.REJECTED)
    if message.owed is Owed.NEVER:
        return replace(came_in, events=(rejected,), new_items=(item,))
    receipt = await doors.work(
        len(content), apprec_of, message, item, content, Verdict.REJECTED, codes, came.directory, doors, came.at
    )
    return replace(
        came_in,
        events=(rejected,),
        bodies=(*kept, *receipt.bodies),
        messages=(message, *receipt.messages),
        deliveries=receipt.deliveries,
        new_items=(replace(item, apprec_message=receipt.messages[0].id),),
    )


def _machine_codes(judged: Judged, came: Came) -> tuple[GivenError, ...]:
    """Return what a machine decides about a document (design, decision 9): codes with our own sentence, or none."""
    assert judged.head is not None
    named = {judged.head.receiver.her, *(other.her for other in judged.head.other_receivers)}
    errors: dict[str, str] = {}
    if came.to_her not in named:
        errors["E21"] = ""
    for fault in judged.rejected_for:  # what is wrong with the patient's number, the EPJ judges
        place = f" (linje {fault.line})" if fault.line else ""
        errors.setdefault(fault.apprec, f"{fault.reason.nb}{place}")
    return tuple(GivenError(code=code, details=details) for code, details in errors.items())


async def _known_document(came: Came, message: Message, item: InboxItem | None, doors: Doors, *, same: bool) -> Changes:
    """The same document in a new envelope: a new Acknowledgment, no second item, the recorded AppRec again."""
    if not same:
        # Its AppRec would name the first document; so none is sent, and a person looks.
        why = "another content under a known MsgId"
        return Changes(events=(event_of(EventKind.SECURITY, came, message=message, item=item, why=why),))
    duplicate = event_of(EventKind.DUPLICATE, came, message=message, item=item)
    if item is None or message.owed is Owed.NEVER:
        return Changes(events=(duplicate,))
    if item.apprec_message is None:
        asked = event_of(EventKind.RECEIPT_REQUESTED, came, feed=True, message=message, item=item)
        return Changes(events=(duplicate, asked))
    found = await doors.store.find(item.apprec_message, hers=None)
    receipt = found[0]
    under_way = next((one for one in receipt.deliveries if one.state.outcome is Outcome.OPEN), None)
    if under_way is not None:
        if not allows(under_way.state, Event.RENEWED):
            return Changes(events=(duplicate,))  # it is on its way already
        # We gave it up, or it was refused; now its receiver asks for it.
        work = Work(message=receipt.message, delivery=under_way, envelope=None)
        renewed = effects.event(EventKind.RENEWED, work, came.at)
        return Changes(events=(duplicate, renewed), advanced=(progress.renewed(under_way, now=came.at),))
    first = receipt.deliveries[0]
    again = progress.begin(
        id=doors.randomness.id(),
        message=replace(receipt.message, at=came.at),
        receiver=PartyRef(
            her=first.receiver_her, organisation_her=first.receiver_organisation_her, person=first.receiver_person
        ),
        policy=doors.processes().by_name[message.process].receipt,
    )
    return Changes(events=(duplicate,), deliveries=(again,))


# --- an AppRec came ---


async def apprec_came(came: Came, judged: Judged, content: bytes, doors: Doors) -> Changes:
    receipt = judged.apprec
    assert receipt is not None
    message = Message(
        id=doors.randomness.id(),
        direction=Direction.IN,
        kind=Kind.APPREC,
        sender_her=came.from_her,
        sender_organisation_her=receipt.sender.organisation_her if receipt.sender else None,
        msg_id=receipt.id,
        type="APPREC",
        gen_date=receipt.gen_date,
        process=came.process.name if came.process else "",
        function=came.function.key if came.function else "",
        conversation_id=came.envelope.header.conversation_id,
        ref_to_parent=None,
        owed=Owed.NEVER,
        sha256=sha256(content).digest(),
        size=len(content),
        body=doors.randomness.id(),
        at=came.at,
        original_msg_id=receipt.original_id,
    )
    body = NewBody(id=message.body, content=content)
    kept = Changes(events=(), bodies=(body,), messages=(message,))
    if judged.faults or not _is_for(came, receipt.receiver):
        why = "unreadable by its schema" if judged.faults else "it names another receiver than the envelope"
        return replace(kept, events=(event_of(EventKind.RECEIPT_UNMATCHED, came, message=message, why=why),))
    work = await doors.store.work_by_receipt(
        sender_her=came.to_her, msg_id=receipt.original_id, receiver_her=came.from_her
    )
    if work is None:
        return replace(kept, events=await _about_nothing(came, message, doors))
    repeated = await doors.store.inbound(sender_her=came.from_her, msg_id=receipt.id, kind=Kind.APPREC)
    if repeated is not None and not await _set_aside(repeated[0], doors):
        # The same AppRec once more, in a new envelope: it says nothing new. Another under its id is a forgery.
        same = repeated[0].sha256 == message.sha256
        kind = EventKind.RECEIPT_REPEATED if same else EventKind.SECURITY
        return Changes(
            events=(effects.event(kind, work, came.at, why=None if same else "another AppRec under a known id"),)
        )
    codes = apprec.codes(receipt, doors.codes.texts(ERROR_LIST))
    plain = tuple(code.code for code in codes)
    if not progress.may_be_receipted(work.delivery, receipt.status):
        if progress.repeats(work.delivery, receipt.status, codes):
            return replace(kept, events=(effects.event(EventKind.RECEIPT_REPEATED, work, came.at, codes=plain),))
        marked = progress.contradicted(work.delivery, now=came.at)
        told = effects.event(
            EventKind.RECEIPT_CONTRADICTS, work, came.at, feed=True, codes=plain, error_id=progress.CONTRADICTED
        )
        return replace(kept, events=(told,), advanced=(marked,))
    if progress.says_duplicate(work.delivery, receipt.status, codes, policy_of(work, came, doors)):
        waiting = progress.duplicate_word(work.delivery, now=came.at)
        told = effects.event(
            EventKind.RECEIPT_DUPLICATE_WORD, work, came.at, feed=True, codes=plain, error_id=progress.SAYS_DUPLICATE
        )
        return replace(kept, events=(told,), advanced=(waiting,))
    decided = progress.receipted(work.delivery, receipt.status, codes, receipt_message=message.id, now=came.at)
    kind = {
        Verdict.OK: EventKind.RECEIPT_OK,
        Verdict.PARTIAL: EventKind.RECEIPT_PARTIAL,
        Verdict.REJECTED: EventKind.RECEIPT_REJECTED,
    }[receipt.status]
    told = effects.event(kind, work, came.at, feed=True, codes=plain, stop_point=StopPoint.K7, error_id=decided.cause)
    return replace(kept, events=(told,), advanced=(decided,))


def _is_for(came: Came, named: PartyRef | None) -> bool:
    """Say whether the receiver that an AppRec names is To: the party itself, or its organisation (older writers)."""
    return named is not None and named.her in {party.her_id for party in came.directory.lineage(came.to_her)}


async def _set_aside(receipt: Message, doors: Doors) -> bool:
    """Say whether an AppRec went to the work list when it came: it settled nothing, so the next is no repeat."""
    history = await doors.store.history(receipt.id)
    return any(stored.event.kind is EventKind.RECEIPT_UNMATCHED for stored in history)


async def _about_nothing(came: Came, receipt: Message, doors: Doors) -> tuple[NewEvent, ...]:
    """Tell of an AppRec that answers nothing which was sent to its sender: unknown, or sent to someone else."""
    assert receipt.original_msg_id is not None
    told = event_of(EventKind.RECEIPT_UNMATCHED, came, message=receipt, why="nothing of ours waits for it")
    answered = await doors.store.outbound(came.to_her, receipt.original_msg_id)
    if answered is None or answered.message.kind is not Kind.DOCUMENT:
        return (told,)
    # It stands in the history of the message that it was to settle, so that whoever looks there sees it.
    why = "a receipt from a party that the message was not sent to"
    alarm = event_of(EventKind.SECURITY, came, message=answered.message, why=why, error_id=causes.RECEIPT_WRONG_PARTY)
    return (told, alarm)


def policy_of(work: Work, came: Came, doors: Doors) -> ReceiptPolicy:
    """Return the receipt policy in force for the delivery that the partner's word is about."""
    return choose.policy_in_force(doors.processes(), came.directory, work.message, work.delivery)
