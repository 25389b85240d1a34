"""The way in, in the order it goes: receive, authorise, open, answer; then hand over, and the receipt back.

One answer per envelope, one transaction. Everything is looked at first; then bytes, answer and what follows are
committed at once; then we reply. A crash before the commit costs nothing: the sender still has the duty.
"""

from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from cryptography.x509 import Certificate

from broker import effects, questions, telemetry
from broker.arrivals import Came, apprec_came, document_came, event_of, policy_of
from broker.diagnosis import causes
from broker.envelope import ebms, mime
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import match_parts, parse_header
from broker.envelope.ebms_parse import parse as parse_envelope
from broker.envelope.fault import FaultCode, build_fault
from broker.envelope.names import cid
from broker.envelope.signature import Verified, is_signed, sign_envelope, verify_envelope
from broker.envelope.xml import Xml, parse
from broker.envelope.xmldsig import SHA256
from broker.errors import (
    CannotOpen,
    Inconsistent,
    MustUnderstand,
    NotTrusted,
    Postponed,
    Refused,
    TimeToLiveExpired,
    TransportFailed,
    ValueNotRecognized,
)
from broker.message import (
    Answer,
    Changes,
    Digest,
    EventKind,
    Kind,
    NewBody,
    NewEvent,
    ReceivedEnvelope,
    Signal,
)
from broker.opening import Opened, open_, refuse_xml_encryption, require_sender
from broker.ports import BodyDamaged, Doors, Stale
from broker.receipts.acknowledgment import SignalForm, build_acknowledgment, digests
from broker.receipts.message_error import build_message_error
from broker.receipts.signals import check_signal
from broker.retry import back_off
from broker.routing import choose, trust
from broker.routing.party import Agreement, Directory
from broker.routing.profile import DEFAULT, Profile
from broker.routing.trust import signature_policy
from broker.sealing.keys import KeyPair
from broker.trusted import kept, trust_signer

RACES = 8
# What is told why it is not taken; all else is a signal, or nothing that the MSH has.
_ANSWERED = (ebms.Kind.USER_MESSAGE, ebms.Kind.PING, ebms.Kind.STATUS_REQUEST)


# --- receive ---


async def receive(content_type: str, body: bytes, doors: Doors, *, transfer_encoding: str = "") -> Answer:
    """Answer one POST of a partner, having committed whatever the answer promises.

    `transfer_encoding` is a Content-Transfer-Encoding among the headers of HTTP, where some peers put it.
    Never raises but StoreBroken: a fault of the message is a signal, a fault of ours is 503 without one.
    """
    try:
        for _ in range(RACES):
            try:
                return await _receive(content_type, body, transfer_encoding, doors)
            except Stale:
                continue  # the same envelope, or its delivery, was written by another task: decide anew
        return Answer(status=503, content_type="", body=b"")
    except Postponed as why:
        telemetry.receive_postponed(why)
        return Answer(status=503, content_type="", body=b"")


async def _receive(content_type: str, body: bytes, transfer_encoding: str, doors: Doors) -> Answer:
    at = doors.clock.now()
    directory = doors.addresses.current()
    try:
        limit = doors.site.max_envelope
        xml, entity = await doors.work(len(body), _read, content_type, body, transfer_encoding, limit)
        header = parse_header(xml)
    except Refused as why:
        telemetry.inbound_refused(code=why.code, why=why.why, location=why.location)
        return _fault(why)
    envelope: ebms.Envelope | None = None
    try:
        envelope = parse_envelope(xml, header=header)
        match_parts(envelope.manifest, [part.content_id for part in entity.parts])
        came = _under_agreement(envelope, xml, entity, directory, at, doors)
    except MustUnderstand as why:
        telemetry.inbound_refused(code=why.code, why=why.why, location=why.location)
        return _fault(why)
    except Refused as why:
        telemetry.inbound_refused(code=why.code, why=why.why, location=why.location)
        if envelope is not None and envelope.status_request is not None:
            return questions.unauthorized(envelope, at, doors)
        if header.kind not in _ANSWERED:
            return _nothing_to_say()  # a fault in a signal is never answered by a signal
        return _told_at_once(header, why, directory, doors, at)
    if envelope.kind in (ebms.Kind.ACKNOWLEDGMENT, ebms.Kind.MESSAGE_ERROR):
        return await _signal(came, doors)
    if envelope.kind in (ebms.Kind.PING, ebms.Kind.STATUS_REQUEST):
        return await questions.answer(came, doors)
    if envelope.kind is ebms.Kind.PONG:
        telemetry.pong(party=came.from_her, eb_id=header.ref_to_message_id)
    if envelope.kind is not ebms.Kind.USER_MESSAGE:
        if envelope.kind is ebms.Kind.STATUS_RESPONSE:
            await questions.told_us(came, doors)
        return _nothing_to_say()
    try:
        came = _as_agreed(came, doors)
    except Refused as why:
        return await _refuse(came, why, EventKind.INBOUND_REJECTED, doors)
    try:
        verified, path = await doors.work(came.size, _verify, came)
        return await _opened(replace(came, signer=verified.certificate if verified else None), verified, path, doors)
    except CannotOpen as why:
        held = doors.holds.until(came.from_her, came.at) is not None  # it was the one too many
        return await _refuse(came, why, EventKind.SECURITY, doors, error_id=causes.SENDER_HELD if held else None)
    except NotTrusted as why:
        return await _refuse(came, why, EventKind.SECURITY, doors)


def _read(content_type: str, body: bytes, transfer_encoding: str, limit: int) -> tuple[Xml, mime.Parts]:
    entity = mime.read(content_type, body, transfer_encoding=transfer_encoding)
    return parse(entity.root.body, max_bytes=limit), entity


def _under_agreement(
    envelope: ebms.Envelope, xml: Xml, entity: mime.Parts, directory: Directory, at: datetime, doors: Doors
) -> Came:
    """Find the agreement that the header names. Raises Inconsistent or ValueNotRecognized with the place."""
    header = envelope.header
    from_her, to_her = header.from_her, header.to_her
    for side, her in (("From", from_her), ("To", to_her)):
        if her is None:  # HIS 1037, errata 2: exactly one PartyId, a HER-id
            raise Inconsistent("exactly one PartyId of type HER is needed", location=f"//Header/MessageHeader/{side}")
    assert from_her is not None
    assert to_her is not None
    if not doors.site.hosts(to_her):
        raise ValueNotRecognized("the receiver is not served here", location="//Header/MessageHeader/To/PartyId")
    return Came(
        envelope=envelope,
        xml=xml,
        root=entity.root.body,
        # In the order of the Manifest, which is signed; the order in MIME is not.
        parts=tuple(sorted(entity.parts, key=lambda part: envelope.manifest.index(part.content_id))),
        from_her=from_her,
        to_her=to_her,
        agreement=choose.agreement_of(directory, cpa_id=header.cpa_id, receiver=to_her, sender=from_her, at=at),
        process=None,
        function=None,
        directory=directory,
        at=at,
    )


def _as_agreed(came: Came, doors: Doors) -> Came:
    """Check what the header alone shows against the agreement. Raises with the ebMS code and the element."""
    envelope, header = came.envelope, came.envelope.header
    choose.require_in_force(came.agreement, header.timestamp)
    if header.time_to_live is not None and header.time_to_live <= came.at:
        raise TimeToLiveExpired(
            "the message came after its TimeToLive", location="//Header/MessageHeader/MessageData/TimeToLive"
        )
    if envelope.sync_reply is not came.agreement.sync:
        raise Inconsistent("SyncReply is not as agreed", location="//Header/SyncReply")
    _require_wish(envelope, came.agreement)
    most = came.agreement.payloads
    if not 1 <= len(came.parts) <= most:
        needed = "exactly one payload is" if most == 1 else f"one payload at least and {most} at most are"
        hint = "payloads in the [[agreement]] says how many one envelope may carry"
        raise Inconsistent(f"{needed} agreed", hint=hint, location="//Body/Manifest")
    named = choose.function_named(
        doors.processes(),
        came.agreement,
        service=header.service,
        action=header.action,
        from_role=header.from_role,
        to_role=header.to_role,
    )
    if named is not None:
        return replace(came, process=named[0], function=named[1])
    raise ValueNotRecognized(
        "no agreed process has this Service, Action and Role", location="//Header/MessageHeader/Action"
    )


def _require_wish(envelope: ebms.Envelope, agreement: Agreement) -> None:
    """Check what sort of Acknowledgment is asked for (6.3.1). DuplicateElimination may be there or not: copies are
    told from messages all the same, and agreements that leave it to each message are common.
    """
    wish = envelope.ack_requested
    if wish is None and agreement.ack_requested:
        raise Inconsistent("an Acknowledgment must be asked for", location="//Header/AckRequested")
    if wish is not None and not agreement.ack_requested:
        raise Inconsistent("no Acknowledgment is agreed", location="//Header/AckRequested")
    if wish is not None and wish.signed is not agreement.ack_signed:
        kind = "a signed" if agreement.ack_signed else "an unsigned"
        raise Inconsistent(f"{kind} Acknowledgment must be asked for", location="//Header/AckRequested/@signed")


def _verify(came: Came) -> tuple[Verified | None, tuple[Certificate, ...]]:
    """Authenticate: a signature over every part, by a certificate that the sender's record pins, or that has a path to
    a root and names the sender's organisation. Returns the path too; () where it is pinned.

    None where no signature is agreed and none is there. One that is there must hold, whatever is agreed: a broken one
    is no better than what it was meant to keep out.
    """
    refuse_xml_encryption(came.parts)  # its signature, over the plaintext, would tell nothing
    if not came.agreement.signed and not is_signed(came.xml):
        return None, ()
    verified = verify_envelope(
        came.xml,
        {part.content_id: part.body for part in came.parts},
        trusted=trust.signers(came.directory, came.from_her, came.xml, came.at),
        policy=signature_policy(came.directory, came.from_her, came.at),
    )
    return verified, trust.path_of(came.directory, came.from_her, verified, came.at)


async def _opened(came: Came, verified: Verified | None, path: tuple[Certificate, ...], doors: Doors) -> Answer:
    """Signature and sender hold. Tell a duplicate, open, look into the document, and commit what follows."""
    # Without a signature the bytes of the parts are all there is to tell a duplicate from another message by.
    key_digests = digests(verified.references) if verified else _digests_of(came.parts)
    if verified is not None and verified.uses_sha1:
        telemetry.outdated("sha1", party=came.from_her)
    try:
        known = await doors.store.received(from_her=came.from_her, cpa_id=came.agreement.cpa_id, eb_id=came.eb_id)
    except BodyDamaged:
        return await _answer_damaged(came, doors)
    if known is not None:
        if _same(known.digests, key_digests):
            return await _again(came, known, doors)
        raise NotTrusted("another content under a known eb:MessageId")
    # By our time of receipt: whoever stole a key chooses the Timestamp.
    said = await doors.revocation.require_good(path, came.at) if path else ()
    key = doors.keys.signing(came.to_her, came.at)
    opened, answer = await doors.work(came.size, _look_into, came, verified, key, doors)
    received = ReceivedEnvelope(
        from_her=came.from_her,
        cpa_id=came.agreement.cpa_id,
        eb_id=came.eb_id,
        digests=key_digests,
        received_at=came.at,
        evidence=doors.randomness.id(),
        answer=answer,
    )
    evidence = NewBody(id=received.evidence, content=came.root)
    if opened.judged.kind is Kind.APPREC:
        changes = await apprec_came(came, opened.judged, opened.document, doors)
    else:
        changes = await document_came(came, opened.judged, opened.document, opened.others, doors)
    statements, responses = await kept(said, received.evidence, doors)
    received = replace(received, item_id=next((event.item_id for event in changes.events if event.item_id), None))
    changes = replace(
        changes,
        received=received,
        statements=statements,
        bodies=(*changes.bodies, evidence, *responses),
        signals=(*changes.signals, *_later(came, answer, doors)),
    )
    return await _commit(came, changes, answer, doors)


def _digests_of(parts: tuple[mime.Part, ...]) -> tuple[Digest, ...]:
    return tuple(Digest(uri=cid(part.content_id), method=SHA256, value=sha256(part.body).digest()) for part in parts)


def _look_into(came: Came, verified: Verified | None, key: KeyPair, doors: Doors) -> tuple[Opened, Answer]:
    """Open the document, and make the Acknowledgment that goes out once all is committed."""
    opened = open_(came, verified, doors)
    require_sender(came, opened.judged)
    return opened, _acknowledge(came, verified, key, doors)


def _same(one: tuple[Digest, ...], other: tuple[Digest, ...]) -> bool:
    return {(digest.uri, digest.value) for digest in one} == {(digest.uri, digest.value) for digest in other}


# --- answer ---


def _acknowledge(came: Came, verified: Verified | None, key: KeyPair, doors: Doors) -> Answer:
    """Return the Acknowledgment, signed where that is agreed; under best effort none, and HTTP 204 is all."""
    if not came.agreement.ack_requested:
        return _nothing_to_say()
    envelope = build_acknowledgment(
        came.envelope.header,
        verified.references if verified else (),
        message_id=_signal_id(doors),
        timestamp=came.at,
        form=_form(came.profile, doors),
    )
    told = build(envelope, actor=came.profile.actor)
    return _as_answer(sign_envelope(told, {}, key) if came.agreement.ack_signed else told)


def _as_answer(envelope: bytes) -> Answer:
    return Answer(status=200, content_type="text/xml; charset=UTF-8", body=envelope)


def _signal_id(doors: Doors) -> str:
    return f"{doors.randomness.id()}@{doors.site.host}"


def _form(profile: Profile, doors: Doors) -> SignalForm:
    return profile.signals(software=doors.site.software, version=doors.site.version)


def _later(came: Came, answer: Answer, doors: Doors) -> tuple[Signal, ...]:
    """Return the signal to be POSTed, where there is one and signals do not go in the HTTP answer."""
    if came.agreement.sync or not answer.body:
        return ()
    return (
        Signal(
            id=doors.randomness.id(),
            to_her=came.from_her,
            ref_eb_id=came.eb_id,
            content_type="text/xml; charset=UTF-8",
            body=doors.randomness.id(),
            due=came.at,
        ),
    )


async def _commit(came: Came, changes: Changes, answer: Answer, doors: Doors) -> Answer:
    """Write everything at once, then give the answer where it is due."""
    kept = tuple(NewBody(id=signal.body, content=answer.body) for signal in changes.signals)
    await doors.store.receive(replace(changes, bodies=(*changes.bodies, *kept)))
    telemetry.recorded(changes.events, changes.attempts)
    doors.wake()
    return answer if came.agreement.sync else _nothing_to_say()


async def _again(came: Came, known: ReceivedEnvelope, doors: Doors) -> Answer:
    """A duplicate gets the recorded answer again: the same bytes."""
    changes = Changes(events=(event_of(EventKind.DUPLICATE, came),), signals=_later(came, known.answer, doors))
    return await _commit(came, changes, known.answer, doors)


async def _answer_damaged(came: Came, doors: Doors) -> Answer:
    """The recorded answer has rotted, and no other may be given in its place: a person is told; the peer asks again."""
    why = "the recorded answer is damaged"
    changes = Changes(events=(event_of(EventKind.PARKED, came, why=why, error_id=causes.BODY_DAMAGED),))
    await doors.store.receive(changes)
    telemetry.recorded(changes.events, changes.attempts)
    return Answer(status=503, content_type="", body=b"")


def _nothing_to_say() -> Answer:
    return Answer(status=204, content_type="", body=b"")


def _fault(why: Refused) -> Answer:
    """Nothing to answer in ebMS: a SOAP Fault, and 400, which means never send this again."""
    code = FaultCode.MUST_UNDERSTAND if isinstance(why, MustUnderstand) else FaultCode.CLIENT
    return Answer(status=400, content_type="text/xml; charset=UTF-8", body=build_fault(code, why.why))


def _told_at_once(header: ebms.Header, why: Refused, directory: Directory, doors: Doors, at: datetime) -> Answer:
    """Refuse where no agreement gives an address to trust: the answer goes back the way the question came."""
    form = _form(DEFAULT if header.from_her is None else directory.profile(header.from_her), doors)
    error = build_message_error(header, why, message_id=_signal_id(doors), timestamp=at, form=form)
    return _as_answer(build(error))


async def _refuse(came: Came, why: Refused, kind: EventKind, doors: Doors, *, error_id: str | None = None) -> Answer:
    """Refuse with a signed MessageError; what looks at signature, certificate or ciphertext is told without detail.

    Nothing of a refused envelope is remembered: the same one, mended or not, is judged afresh.
    """
    form = _form(came.profile, doors)
    error = build_message_error(came.envelope.header, why, message_id=_signal_id(doors), timestamp=came.at, form=form)
    signal = build(error)
    if came.agreement.signed:
        signal = await doors.cpu(sign_envelope, signal, {}, doors.keys.signing(came.to_her, came.at))
    answer = _as_answer(signal)
    event = event_of(kind, came, why=why.why, codes=(why.code,), error_id=error_id)
    return await _commit(came, Changes(events=(event,), signals=_later(came, answer, doors)), answer, doors)


# --- a signal came as a POST of its own ---


async def _signal(came: Came, doors: Doors) -> Answer:
    """Match an Acknowledgment or MessageError to what we sent. A signal is never answered by a signal."""
    about = came.envelope.acknowledgment or came.envelope.header
    found = await doors.store.work_by_envelope(about.ref_to_message_id or "")
    if found is None:
        telemetry.inbound_refused(code="ValueNotRecognized", why="a signal for a message that is not ours", location="")
        return _nothing_to_say()
    work, sent = found
    try:
        signal = await doors.work(
            came.size,
            check_signal,
            came.envelope,
            came.xml,
            sent=sent,
            trusted=lambda xml: trust.signers(came.directory, sent.to_her, xml, came.at),
            policy=signature_policy(came.directory, sent.to_her, came.at),
            channel_trusted=False,
        )
        await trust_signer(signal.verified, came.directory, sent.to_her, came.at, doors)
    except Refused as why:
        event = effects.event(
            EventKind.SECURITY, work, came.at, why=why.why, error_id=causes.ACKNOWLEDGMENT_NOT_TRUSTED
        )
        changes = Changes(events=(event,))
        await doors.store.receive(changes)
        telemetry.recorded(changes.events, changes.attempts)
        return _nothing_to_say()
    if signal.acknowledges and sent.acknowledged_at is not None:
        changes = Changes(events=(effects.event(EventKind.DUPLICATE, work, came.at, eb_id=sent.eb_id),))
    elif signal.acknowledges:
        item = await doors.store.item(work.message.answers_item) if work.message.answers_item else None
        changes = effects.acknowledged(work, sent, item[1] if item else None, policy_of(work, came, doors), came.at)
    elif signal.refuses:
        error_id = causes.message_error_id(signal.codes[0])
        changes = effects.refused(work, sent, error_id, signal.codes, came.at)
    else:
        changes = Changes(events=(effects.event(EventKind.FAILED, work, came.at, codes=signal.codes),))
    await doors.store.receive(changes)
    telemetry.recorded(changes.events, changes.attempts)
    doors.wake()
    return _nothing_to_say()


async def send_signal(signal: Signal, doors: Doors) -> None:
    """POST a committed Acknowledgment or MessageError. Tried again on a failed connection only; never acknowledged."""
    now = doors.clock.now()
    tries = signal.tries + 1
    kind = EventKind.SIGNAL_DROPPED
    due: datetime | None = None
    error_id: str | None = None
    try:
        endpoint = choose.endpoint(doors.addresses.current(), signal.to_her)
        body = await doors.store.body(signal.body)
        reply = await doors.carrier.post(
            endpoint, content_type=signal.content_type, body=body, timeout=doors.site.timeout
        )
        # Whatever the peer said, it had the bytes; if it wants them again, its next copy fetches them.
        kind = EventKind.SIGNAL_SENT if reply.status < 300 else EventKind.SIGNAL_DROPPED
    except Postponed as why:
        if not (isinstance(why, TransportFailed) and why.maybe_read):
            kind = EventKind.FAILED
            due = now + back_off(doors.site.back_off, tries, doors.randomness.jitter())
    except BodyDamaged:
        error_id = causes.BODY_DAMAGED  # dropped: the peer's next copy is answered from the record of its first
    event = NewEvent(kind=kind, at=now, her=None, counterpart=signal.to_her, eb_id=signal.ref_eb_id, error_id=error_id)
    await doors.store.record(Changes(events=(event,), signalled=(replace(signal, due=due, tries=tries),)))
