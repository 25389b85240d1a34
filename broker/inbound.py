"""The way in, in the order it goes: receive, authorise, open, answer; then hand over, and the receipt back.

One answer per envelope, one transaction. Everything is looked at first; then bytes, answer and what follows are
committed at once; then we reply. A crash before the commit costs nothing: the sender still has the duty.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cryptography.x509 import Certificate

from broker import effects, telemetry
from broker.arrivals import Came, apprec_came, document_came, event_of, policy_of
from broker.diagnosis import causes
from broker.envelope import ebms, mime
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import match_parts, parse_header
from broker.envelope.ebms_parse import parse as parse_envelope
from broker.envelope.fault import FaultCode, build_fault
from broker.envelope.signature import WITH_SHA1, Verified, sign_envelope, verify_document, verify_envelope
from broker.envelope.xml import Xml, parse
from broker.errors import (
    CannotOpen,
    Inconsistent,
    MimeProblem,
    MustUnderstand,
    NotTrusted,
    Postponed,
    Refused,
    SenderHeld,
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
    PartyRef,
    ReceivedEnvelope,
    Signal,
)
from broker.ports import BodyDamaged, Doors, Stale
from broker.receipts.acknowledgment import answer_header, build_acknowledgment, digests
from broker.receipts.message_error import build_message_error
from broker.receipts.signals import check_signal
from broker.retry import back_off
from broker.routing import choose, trust
from broker.routing.party import Directory, Switch, Trust
from broker.routing.trust import signature_policy
from broker.sealing import cms
from broker.sealing.keys import KeyPair
from broker.trusted import kept, trust_signal
from broker.validation.documents import Judged, judge
from broker.validation.sentences import fault

RACES = 8
SMALL = 64 * 1024  # bytes: to read less takes less time than to hand it to a thread


# --- receive ---


async def receive(content_type: str, body: bytes, doors: Doors) -> Answer:
    """Answer one POST of a partner, having committed whatever the answer promises.

    Never raises but StoreBroken: a fault of the message is a signal, a fault of ours is 503 without one.
    """
    try:
        for _ in range(RACES):
            try:
                return await _receive(content_type, body, doors)
            except Stale:
                continue  # the same envelope, or its delivery, was written by another task: decide anew
        return Answer(status=503, content_type="", body=b"")
    except Postponed as why:
        telemetry.receive_postponed(why)
        return Answer(status=503, content_type="", body=b"")


async def _receive(content_type: str, body: bytes, doors: Doors) -> Answer:
    at = doors.clock.now()
    directory = doors.addresses.current()
    try:
        if len(body) <= SMALL:
            xml, entity = _read(content_type, body, doors.site.max_envelope)
        else:
            xml, entity = await doors.cpu(_read, content_type, body, doors.site.max_envelope)
        header = parse_header(xml)
    except Refused as why:
        telemetry.inbound_refused(code=why.code, why=why.why, location=why.location)
        return _fault(why)
    try:
        envelope = parse_envelope(xml, header=header)
        match_parts(envelope.manifest, [part.content_id for part in entity.parts])
        came = _under_agreement(envelope, xml, entity, directory, at, doors)
    except MustUnderstand as why:
        telemetry.inbound_refused(code=why.code, why=why.why, location=why.location)
        return _fault(why)
    except Refused as why:
        telemetry.inbound_refused(code=why.code, why=why.why, location=why.location)
        if header.kind is not ebms.Kind.USER_MESSAGE:
            return _nothing_to_say()  # a fault in a signal is never answered by a signal
        return _told_at_once(header, why, doors, at)
    if envelope.kind in (ebms.Kind.ACKNOWLEDGMENT, ebms.Kind.MESSAGE_ERROR):
        return await _signal(came, doors)
    if envelope.kind is ebms.Kind.PING:
        return _pong(header, doors, at)
    if envelope.kind is not ebms.Kind.USER_MESSAGE:
        return _nothing_to_say()
    try:
        came = _as_agreed(came, doors)
    except Refused as why:
        return await _refuse(came, why, EventKind.INBOUND_REJECTED, doors)
    try:
        verified, path = await doors.cpu(_verify, came)
        return await _opened(replace(came, signer=verified.certificate), verified, path, doors)
    except CannotOpen as why:
        held = doors.holds.until(came.from_her, came.at) is not None  # it was the one too many
        return await _refuse(came, why, EventKind.SECURITY, doors, error_id=causes.SENDER_HELD if held else None)
    except NotTrusted as why:
        return await _refuse(came, why, EventKind.SECURITY, doors)


def _read(content_type: str, body: bytes, limit: int) -> tuple[Xml, mime.Parts]:
    entity = mime.read(content_type, body)
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
        parts=entity.parts,
        from_her=from_her,
        to_her=to_her,
        agreement=choose.agreement_of(directory, cpa_id=header.cpa_id, receiver=to_her, sender=from_her),
        process=None,
        function=None,
        directory=directory,
        at=at,
    )


def _as_agreed(came: Came, doors: Doors) -> Came:
    """Check what the header alone shows against the agreement. Raises with the ebMS code and the element."""
    envelope, header = came.envelope, came.envelope.header
    if header.time_to_live is not None and header.time_to_live <= came.at:
        raise TimeToLiveExpired(
            "the message came after its TimeToLive", location="//Header/MessageHeader/MessageData/TimeToLive"
        )
    if envelope.sync_reply is not came.agreement.sync:
        raise Inconsistent("SyncReply is not as agreed", location="//Header/SyncReply")
    if envelope.ack_requested is None or not envelope.ack_requested.signed:
        raise Inconsistent("a signed Acknowledgment must be asked for", location="//Header/AckRequested")
    if len(came.parts) != 1:
        raise Inconsistent("exactly one payload is needed", location="//Body/Manifest")
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


def _verify(came: Came) -> tuple[Verified, tuple[Certificate, ...]]:
    """Authenticate: a signature over every part, by a certificate that the sender's record pins, or that has a path to
    a root and names the sender's organisation. Returns the path too; () where it is pinned.
    """
    verified = verify_envelope(
        came.xml,
        {part.content_id: part.body for part in came.parts},
        trusted=trust.signers(came.directory, came.from_her, came.xml, came.at),
        policy=signature_policy(came.directory, came.from_her, came.at),
    )
    return verified, trust.path_of(came.directory, came.from_her, verified, came.at)


async def _opened(came: Came, verified: Verified, path: tuple[Certificate, ...], doors: Doors) -> Answer:
    """Signature and sender hold. Tell a duplicate, open, look into the document, and commit what follows."""
    key_digests = digests(verified.references)
    if verified.uses_sha1:
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
    opened, judged, answer = await doors.cpu(_look_into, came, verified, key, doors)
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
    if judged.kind is Kind.APPREC:
        changes = await apprec_came(came, judged, opened, doors)
    else:
        changes = await document_came(came, judged, opened, doors)
    statements, responses = await kept(said, received.evidence, doors)
    changes = replace(
        changes,
        received=received,
        statements=statements,
        bodies=(*changes.bodies, evidence, *responses),
        signals=(*changes.signals, *_later(came, doors)),
    )
    return await _commit(came, changes, answer, doors)


def _look_into(came: Came, verified: Verified, key: KeyPair, doors: Doors) -> tuple[bytes, Judged, Answer]:
    """Open the document, and make the Acknowledgment that goes out once all is committed."""
    opened, judged = _open(came, doors)
    _require_sender(came, judged)
    return opened, judged, _acknowledge(came, verified, key, doors)


def _open(came: Came, doors: Doors) -> tuple[bytes, Judged]:
    """Decrypt and read. Raises CannotOpen for every fault before the document can be read, SenderHeld after too many.

    The count is kept here, in the thread that decrypts: were it kept on the loop, as many as wait for a thread would
    be opened before the first of them is counted.
    """
    if (end := doors.holds.until(came.from_her, came.at)) is not None:
        why = "too many ciphertexts of this sender did not open"
        raise SenderHeld(why, error_id=causes.SENDER_HELD, hint=f"held until {end:%F %T} UTC")
    try:
        content = _decrypt(came, doors)
        judged = judge(
            content,
            schemas=doors.schemas(),
            processes=doors.processes(),
            codes=doors.codes,
            environment=doors.site.environment,
            kind_of=came.directory.kind_of,
            at=came.at,
        )
        if _sender_of(judged) is None:
            raise CannotOpen("what was opened does not say who it is from")
        return content, _own_signature(came, content, judged)
    except CannotOpen:
        doors.holds.failed(came.from_her, came.at)
        raise


def _decrypt(came: Came, doors: Doors) -> bytes:
    payload = came.parts[0].body
    if not cms.looks_like_cms(payload):
        raise CannotOpen("plaintext where ciphertext is agreed")
    party = came.directory.party(came.from_her)
    opened = cms.open_(
        payload,
        doors.keys.opening(came.to_her),
        random=doors.randomness.bytes,
        allow_3des=party is not None and Switch.TRIPLE_DES in party.switches,
    )
    if opened.cipher is cms.Cipher.TRIPLE_DES_CBC:
        telemetry.outdated("3des", party=came.from_her)
    if not mime.looks_like_gzip(opened.content):
        return opened.content
    try:
        return mime.gunzip(opened.content)
    except MimeProblem:  # by now every fault is the one fault
        raise CannotOpen("what was opened does not unpack") from None


def _sender_of(judged: Judged) -> PartyRef | None:
    """Return the sender that a document names, if it can be read at all."""
    document = judged.head or judged.apprec
    return None if document is None or document.receiver is None else document.sender


def _own_signature(came: Came, content: bytes, judged: Judged) -> Judged:
    """Look at the document's own signature, where there is one; an absent one is fine.

    Where the process agrees on one it is the sender's, and a broken one is the one fault: raises CannotOpen. Where it
    does not, a broken one is a fault of the document.
    """
    if judged.head is None or not judged.head.signed:
        return judged
    xml = parse(content, max_bytes=len(content))
    agreed = judged.process is not None and judged.process.sign_document
    try:
        if agreed:
            trusted: Sequence[Certificate] = choose.signers(came.directory, came.from_her, came.at)
            if came.directory.trust(came.from_her) is Trust.PATH:  # the one whose path and revocation were judged
                trusted = (came.signer,) if came.signer else ()
            verify_document(xml, trusted=trusted, policy=signature_policy(came.directory, came.from_her, came.at))
        else:
            verify_document(xml, trusted=None, policy=WITH_SHA1)
    except NotTrusted:
        if agreed:
            raise CannotOpen("the document's own signature does not hold") from None
        broken = fault("document.signature", line=None, path="/MsgHead/Signature")
        return replace(judged, faults=(*judged.faults, broken))
    return judged


def _require_sender(came: Came, judged: Judged) -> None:
    """Check that who is authorised for the envelope is who the document is from. Raises NotTrusted."""
    sender = _sender_of(judged)
    if sender is None or sender.her != came.from_her:
        raise NotTrusted("the document names another sender than the envelope")


def _same(one: tuple[Digest, ...], other: tuple[Digest, ...]) -> bool:
    return {(digest.uri, digest.value) for digest in one} == {(digest.uri, digest.value) for digest in other}


# --- answer ---


def _acknowledge(came: Came, verified: Verified, key: KeyPair, doors: Doors) -> Answer:
    envelope = build_acknowledgment(
        came.envelope.header,
        verified.references,
        message_id=_signal_id(doors),
        timestamp=came.at,
        descriptions=_descriptions(doors),
    )
    return _as_answer(sign_envelope(build(envelope), {}, key))


def _as_answer(envelope: bytes) -> Answer:
    return Answer(status=200, content_type="text/xml; charset=UTF-8", body=envelope)


def _signal_id(doors: Doors) -> str:
    return f"{doors.randomness.id()}@{doors.site.host}"


def _descriptions(doors: Doors) -> tuple[ebms.Description, ...]:
    return (ebms.system_description(msh=doors.site.software, msh_version=doors.site.version),)


def _later(came: Came, doors: Doors) -> tuple[Signal, ...]:
    """Return the signal to be POSTed, where signals do not go in the HTTP answer."""
    if came.agreement.sync:
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
    changes = Changes(events=(event_of(EventKind.DUPLICATE, came),), signals=_later(came, doors))
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


def _told_at_once(header: ebms.Header, why: Refused, doors: Doors, at: datetime) -> Answer:
    """Refuse where no agreement gives an address to trust: the answer goes back the way the question came."""
    error = build_message_error(
        header, why, message_id=_signal_id(doors), timestamp=at, descriptions=_descriptions(doors)
    )
    return _as_answer(build(error))


def _pong(header: ebms.Header, doors: Doors, at: datetime) -> Answer:
    """Answer a Ping (ebMS 2.0, 8.2): it says that we are here, and nothing else."""
    pong = answer_header(
        header, ebms.Kind.PONG, message_id=_signal_id(doors), timestamp=at, ref_to_message_id=header.message_id
    )
    return _as_answer(build(ebms.Envelope(header=pong)))


async def _refuse(came: Came, why: Refused, kind: EventKind, doors: Doors, *, error_id: str | None = None) -> Answer:
    """Refuse with a signed MessageError; what looks at signature, certificate or ciphertext is told without detail.

    Nothing of a refused envelope is remembered: the same one, mended or not, is judged afresh.
    """
    error = build_message_error(
        came.envelope.header, why, message_id=_signal_id(doors), timestamp=came.at, descriptions=_descriptions(doors)
    )
    answer = _as_answer(await doors.cpu(sign_envelope, build(error), {}, doors.keys.signing(came.to_her, came.at)))
    event = event_of(kind, came, why=why.why, codes=(why.code,), error_id=error_id)
    return await _commit(came, Changes(events=(event,), signals=_later(came, doors)), answer, doors)


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
        signal = await doors.cpu(
            check_signal,
            came.envelope,
            came.xml,
            sent=sent,
            trusted=lambda xml: trust.signers(came.directory, sent.to_her, xml, came.at),
            policy=signature_policy(came.directory, sent.to_her, came.at),
            channel_trusted=False,
        )
        await trust_signal(signal, came.directory, sent.to_her, came.at, doors)
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
