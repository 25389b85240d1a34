"""The way out, in the order it goes: address and seal, deliver, await the receipt. (`intake` came before.)

Functions here ask the doors and put together what the pure packages decide; each ends in one write. Nothing waits in
memory for anything that matters: between two writes the process may die, and the next claim goes on from the last.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from broker import effects, progress, telemetry
from broker.diagnosis import CAUSES, causes
from broker.envelope import ebms, mime
from broker.envelope.ebms_build import build
from broker.envelope.names import DS
from broker.envelope.signature import sign_document, sign_with_references
from broker.envelope.xmldsig import Reference
from broker.errors import (
    Inconsistent,
    NotTrusted,
    OwnKeyUnusable,
    Postponed,
    Refused,
    RevocationUnknown,
    StoreBusy,
    TransportFailed,
)
from broker.lifecycle import Event, Outcome, Receipt, StopPoint, Transport, allows
from broker.message import (
    Changes,
    Envelope,
    EventKind,
    Held,
    Kind,
    NewBody,
    PartnerHold,
    Work,
)
from broker.ports import BodyDamaged, Doors, Stale, TransportReply
from broker.receipts.acknowledgment import digests
from broker.receipts.no_signal import NoSignal, what_came
from broker.receipts.signals import read_signal
from broker.retry import ReceiptStep
from broker.routing import choose, trust
from broker.routing.choose import Route
from broker.routing.party import Directory
from broker.routing.trust import signature_policy
from broker.sealing import cms
from broker.sealing.keys import KeyPair
from broker.tries import Change, acknowledged, clock_policy, copy_sent, refused, taken, try_failed
from broker.trusted import trust_receiver, trust_signer

# A write that lost its race is decided anew; more than a few losses in a row mean a fault of ours.
RACES = 8


# --- the steps of a leased delivery ---


async def proceed(work: Work, doors: Doors) -> None:
    """Take every step that is due for this leased delivery, each ending in one write; the last gives the lease back."""
    current: Work | None = work
    while current is not None:
        delivery, now = current.delivery, doors.clock.now()
        if delivery.receipt_due is not None and delivery.receipt_due <= now:
            current = await await_receipt(current, doors)
        elif (hold := await doors.store.partner_hold(delivery.receiver_her)) is not None:
            current = await _record(current, _keep_back(hold, doors), doors)
        elif current.envelope is None:
            current = await seal(current, doors)
        else:
            current = await deliver(current, doors)


async def postpone(work: Work, doors: Doors) -> None:
    """A step failed for a reason that we did not foresee: look again later, and let it be seen."""

    async def change(work: Work) -> Changes | None:
        now = doors.clock.now()
        delivery = progress.failed(
            work.delivery,
            causes.UNEXPECTED,
            pace=doors.site.back_off,
            jitter=doors.randomness.jitter(),
            now=now,
            ball=CAUSES[causes.UNEXPECTED].ball,
        )
        return Changes(
            events=(effects.event(EventKind.FAILED, work, now, error_id=causes.UNEXPECTED),), advanced=(delivery,)
        )

    await _record(work, change, doors)


async def _record(work: Work, change: Change, doors: Doors) -> Work | None:
    """Write what `change` makes of the delivery as it stands now; after a lost race, of the one that won.

    Returns the delivery for its next step, or None when nothing is due: the lease is then given back in that write.
    Where another's word came first there is nothing to write, and the lease ends by itself.
    """
    for _ in range(RACES):
        changes = await change(work)
        now = doors.clock.now()
        if changes is None:
            return None
        delivery = changes.advanced[0]
        more = delivery.due is not None and delivery.due <= now
        if not more:
            delivery = replace(delivery, leased_until=None)
        try:
            await doors.store.record(replace(changes, advanced=(delivery,)))
        except Stale:
            fresh = await doors.store.work(work.delivery.id)
            assert fresh is not None
            work = fresh
            continue
        telemetry.recorded(changes.events, changes.attempts)
        if not more:
            return None
        envelope = next(iter((*changes.envelopes, *changes.used)), None)
        if delivery.envelope is None:
            envelope = None
        return replace(
            work,
            delivery=replace(delivery, version=delivery.version + 1),
            envelope=envelope or (work.envelope if delivery.envelope else None),
        )
    raise StoreBusy("a delivery kept changing while its step was recorded", error_id=causes.UNEXPECTED)


async def seal(work: Work, doors: Doors) -> Work | None:
    """Choose the way, sign, encrypt and wrap: after this the bytes are fixed, and a resend sends the same."""
    message, delivery, now = work.message, work.delivery, doors.clock.now()
    addressed = False
    try:
        process, function = doors.processes().named(message.process, message.function)
        route = choose.route_back if message.kind is Kind.APPREC else choose.route
        way = route(
            doors.addresses.current(),
            process=process,
            function=function,
            sender=message.sender_her,
            receiver=delivery.receiver_her,
            now=now,
        )
        await trust_receiver(way, delivery.receiver_her, now, doors)
        addressed = True
        key = doors.keys.signing(message.sender_her, now)
        document = await doors.store.body(message.body)
        answers = await _answers(work, doors)
    except Postponed as why:
        return await _record(
            work, _park(why, addressed=addressed and isinstance(why, OwnKeyUnusable), doors=doors), doors
        )
    except BodyDamaged:
        return await _record(work, _hold(causes.BODY_DAMAGED, doors), doors)
    except KeyError:  # an AppRec that was asked for again, after its time
        return await _record(work, _hold(causes.BODY_ERASED, doors), doors)
    envelope, body = await doors.work(
        len(document),
        _seal,
        work,
        way,
        key,
        document,
        answers,
        sign=process.sign_document and message.kind is Kind.DOCUMENT,
        doors=doors,
        now=now,
    )

    async def change(work: Work) -> Changes | None:
        if work.envelope is not None or not allows(work.delivery.state, Event.SEALED):
            return None  # a receipt or a person came first
        delivery = progress.sealed(work.delivery, envelope, now=now)
        events = (
            effects.event(EventKind.ADDRESSED, work, now, stop_point=StopPoint.K3),
            effects.event(EventKind.SEALED, work, now, eb_id=envelope.eb_id, stop_point=StopPoint.K4),
        )
        return Changes(events=events, bodies=(body,), envelopes=(envelope,), advanced=(delivery,))

    return await _record(work, change, doors)


async def _answers(work: Work, doors: Doors) -> str | None:
    """Return the eb:MessageId of what this message answers, where we have it: RefToMessageId (ebMS 2.0, 3.1.6.3).

    Of an AppRec it is the envelope that brought its document, of a business answer the one that brought the document
    that RefToParent names, from the party that it goes to. A chase may have brought it again: the last counts.
    """
    message = work.message
    if message.answers_item is not None:
        return await doors.store.last_envelope(message.answers_item)
    if message.ref_to_parent is None:
        return None
    known = await doors.store.inbound(sender_her=work.delivery.receiver_her, msg_id=message.ref_to_parent)
    if known is None or known[1] is None or known[1].receiver_her != message.sender_her:
        return None
    return await doors.store.last_envelope(known[1].id)


def _seal(
    work: Work,
    way: Route,
    key: KeyPair,
    document: bytes,
    answers: str | None,
    *,
    sign: bool,
    doors: Doors,
    now: datetime,
) -> tuple[Envelope, NewBody]:
    message, site, random = work.message, doors.site, doors.randomness
    if sign and DS.encode() not in document:  # a document that is signed already is left alone
        document = sign_document(document, key)
    content_id, eb_id = f"{random.id()}@{site.host}", f"{random.id()}@{site.host}"
    agreement, headers, profile = way.agreement, way.headers, way.profile
    cipher = cms.Cipher(agreement.cipher)
    if way.recipient is None:
        sealed, part = document, mime.plaintext(content_id, document, encoding=profile.payload_encoding)
    else:
        sealed = cms.seal(
            document,
            way.recipient,
            random=random.bytes,
            key_transport=cms.KeyTransport(agreement.key_transport),
            cipher=cipher,
        )
        part = mime.ciphertext(
            content_id, sealed, authenticated=cipher.authenticated, encoding=profile.payload_encoding
        )
    persist_until = now + agreement.persist_duration
    envelope = ebms.Envelope(
        header=ebms.Header(
            from_=ebms.her_party(message.sender_her),
            to=ebms.her_party(work.delivery.receiver_her),
            from_role=headers.from_role,
            to_role=headers.to_role,
            cpa_id=agreement.cpa_id,
            conversation_id=message.conversation_id,
            service=headers.service,
            service_type=headers.service_type,
            action=headers.action,
            message_id=eb_id,
            timestamp=now,
            ref_to_message_id=answers,
            # TimeToLive must end before PersistDuration does (ebMS 2.0, 6.4.6): one second before.
            time_to_live=persist_until - timedelta(seconds=1),
            duplicate_elimination=agreement.ack_requested,
            descriptions=profile.descriptions(
                software=site.software,
                version=site.version,
                client=doors.client(message.client) if message.client else None,
            ),
        ),
        ack_requested=ebms.AckRequested(signed=agreement.ack_signed) if agreement.ack_requested else None,
        sync_reply=agreement.sync,
        manifest=(content_id,),
    )
    soap, references = build(envelope, actor=profile.actor), tuple[Reference, ...]()
    if agreement.signed:
        soap, references = sign_with_references(soap, {content_id: sealed}, key)
    entity = mime.build(
        soap, (part,), boundary=random.bytes(16).hex(), root_id=eb_id, root_encoding=profile.root_encoding
    )
    body = NewBody(id=random.id(), content=entity.body)
    return Envelope(
        eb_id=eb_id,
        delivery_id=work.delivery.id,
        cpa_id=agreement.cpa_id,
        from_her=message.sender_her,
        to_her=work.delivery.receiver_her,
        content_type=entity.content_type,
        body=body.id,
        digests=digests(references),
        ack_requested=agreement.ack_requested,
        ack_signed=agreement.ack_signed,
        sync=agreement.sync,
        retries=agreement.retries,
        interval=agreement.retry_interval,
        timestamp=now,
        persist_until=persist_until,
    ), body


def _park(why: Postponed, *, addressed: bool, doors: Doors) -> Change:
    async def change(work: Work) -> Changes | None:
        now = doors.clock.now()
        if work.delivery.state.transport is not Transport.WAITING or work.delivery.state.outcome is not Outcome.OPEN:
            return None
        delivery = progress.parked(
            work.delivery, why, addressed=addressed, pace=doors.site.back_off, jitter=doors.randomness.jitter(), now=now
        )
        event = effects.event(
            EventKind.PARKED, work, now, error_id=why.error_id, why=why.why, stop_point=delivery.state.stop_point
        )
        return Changes(events=(event,), advanced=(delivery,))

    return change


def _keep_back(hold: PartnerHold, doors: Doors) -> Change:
    async def change(work: Work) -> Changes | None:
        now = doors.clock.now()
        delivery = progress.held_back(work.delivery, Held.PARTNER, now=now)
        if delivery.held is None:
            return None
        told = effects.event(EventKind.HELD, work, now, error_id=progress.HELD, why=hold.why)
        return Changes(events=(replace(told, actor=hold.actor),), advanced=(delivery,))

    return change


def _hold(error_id: str, doors: Doors) -> Change:
    async def change(work: Work) -> Changes | None:
        now = doors.clock.now()
        event = effects.event(EventKind.PARKED, work, now, error_id=error_id)
        return Changes(events=(event,), advanced=(progress.held(work.delivery, error_id, now=now),))

    return change


async def deliver(work: Work, doors: Doors) -> Work | None:
    """Send the stored bytes once more, and take in what comes back in the same answer."""
    envelope, started = work.envelope, doors.clock.now()
    assert envelope is not None
    if progress.copies_used_up(envelope, now=started):
        return await _record(work, _abandon(doors), doors)
    try:
        directory = doors.addresses.current()
        endpoint = choose.endpoint(directory, envelope.to_her)
        body = await doors.store.body(envelope.body)
    except Postponed as why:
        return await _record(work, try_failed(why.error_id, None, started, "", doors), doors)
    except BodyDamaged:
        return await _record(work, _hold(causes.BODY_DAMAGED, doors), doors)
    try:
        reply = await doors.carrier.post(
            endpoint, content_type=envelope.content_type, body=body, timeout=doors.site.timeout
        )
    except TransportFailed as why:
        if not why.maybe_read:
            return await _record(work, try_failed(why.error_id, None, started, endpoint, doors), doors)
        return await _record(work, copy_sent(why.error_id, None, started, endpoint, doors), doors)
    return await _record(work, await _judge_reply(work, envelope, reply, directory, started, endpoint, doors), doors)


BACKING_OFF = frozenset({408, 425, 429, 503})  # the peer says "not now": no copy counts as read


async def _judge_reply(
    work: Work,
    envelope: Envelope,
    reply: TransportReply,
    directory: Directory,
    started: datetime,
    endpoint: str,
    doors: Doors,
) -> Change:
    """Decide what an HTTP answer means. Only a signal that verifies moves more than the transport clock."""
    status = reply.status
    if status in BACKING_OFF:
        return try_failed(causes.ASKED_TO_WAIT, status, started, endpoint, doors)
    if status >= 500:
        return copy_sent(_named(reply, causes.SERVER_ERROR), status, started, endpoint, doors)
    if status >= 300:
        page = what_came(reply.content_type, reply.body) is NoSignal.PAGE
        return refused(causes.HTML_REFUSED if page else causes.HTTP_REFUSED, status, started, endpoint, doors)
    if not reply.body:
        if not envelope.ack_requested:
            return taken(status, started, endpoint, doors)
        # Nothing to say is right where signals are agreed to come later, and a copy spent where not.
        cause = causes.NO_SIGNAL if envelope.sync else causes.ACKNOWLEDGMENT_AWAITED
        return copy_sent(cause, status, started, endpoint, doors)
    try:
        now = doors.clock.now()
        signal = await doors.work(
            len(reply.body),
            read_signal,
            reply.content_type,
            reply.body,
            sent=envelope,
            trusted=lambda xml: trust.signers(directory, envelope.to_her, xml, now),
            policy=signature_policy(directory, envelope.to_her, now),
            # An unsigned MessageError counts in the answer of a peer whose TLS certificate we checked.
            channel_trusted=endpoint.startswith("https:") and directory.profile(envelope.to_her).unsigned_errors,
        )
        await trust_signer(signal.verified, directory, envelope.to_her, now, doors)
    except RevocationUnknown as why:  # the peer gives its recorded answer again to our next copy
        return copy_sent(why.error_id, status, started, endpoint, doors)
    except (NotTrusted, Inconsistent) as why:
        telemetry.signal_refused(work.message.id, envelope.eb_id, why)
        return copy_sent(causes.ACKNOWLEDGMENT_NOT_TRUSTED, status, started, endpoint, doors, forged=why.why)
    except Refused as why:  # no signal at all: a page in HTML, an answer cut off
        telemetry.signal_refused(work.message.id, envelope.eb_id, why)
        if not envelope.ack_requested and what_came(reply.content_type, reply.body) is NoSignal.OTHER:
            return taken(status, started, endpoint, doors)
        return copy_sent(_named(reply, causes.NO_SIGNAL), status, started, endpoint, doors)
    if signal.acknowledges:
        return acknowledged(status, started, endpoint, doors)
    if signal.refuses:
        return refused(causes.message_error_id(signal.codes[0]), status, started, endpoint, doors, codes=signal.codes)
    if not envelope.ack_requested:
        return taken(status, started, endpoint, doors, warnings=signal.codes)
    return copy_sent(causes.NO_SIGNAL, status, started, endpoint, doors)


def _named(reply: TransportReply, otherwise: str) -> str:
    """Return the cause that an answer without a signal is to be called by."""
    return _NO_SIGNALS.get(what_came(reply.content_type, reply.body), otherwise)


_NO_SIGNALS = {NoSignal.PAGE: causes.HTML_ANSWERED, NoSignal.FAULT: causes.SOAP_FAULT}


def _abandon(doors: Doors) -> Change:
    async def change(work: Work) -> Changes | None:
        if not allows(work.delivery.state, Event.ABANDONED):
            return None
        now = doors.clock.now()
        event = effects.event(EventKind.ABANDONED, work, now, error_id=progress.GAVE_UP, feed=True)
        return Changes(events=(event,), advanced=(progress.abandoned(work.delivery, now=now),))

    return change


# --- the receipt's own clock ---

_STEP_EVENTS = {ReceiptStep.ALARM: EventKind.ALARM, ReceiptStep.CHASE: EventKind.CHASED}


async def await_receipt(work: Work, doors: Doors) -> Work | None:
    """Take the receipt clock's step: tell, ask again with the same document, or call it overdue."""

    async def change(work: Work) -> Changes | None:
        now = doors.clock.now()
        if work.delivery.receipt_due is None or work.delivery.receipt_due > now:
            return None  # the receipt came first
        policy = clock_policy(work, doors)
        step = progress.next_receipt_step(work.delivery, work.message, policy).step
        delivery = progress.clock_struck(work.delivery, work.message, policy, step, now=now)
        deadline = EventKind.OVERDUE if delivery.state.receipt is Receipt.OVERDUE else EventKind.LAPSED
        kind = _STEP_EVENTS.get(step, deadline)
        event = effects.event(kind, work, now, error_id=delivery.cause, feed=True)
        return Changes(events=(event,), advanced=(delivery,))

    return await _record(work, change, doors)
