"""What MSHs ask each other beside messages: Ping, and Message Status (ebMS 2.0, 7 and 8). Both ways.

None of it moves a message. An answer goes where the agreement says that signals go, and to nobody else.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker import effects, telemetry
from broker.arrivals import Came, event_of
from broker.envelope import ebms, mime
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse as parse_envelope
from broker.envelope.signature import Verified, is_signed, sign_envelope, verify_envelope
from broker.envelope.xml import MB, Xml, parse
from broker.errors import Inconsistent, NotTrusted, Refused
from broker.lifecycle import ItemStage
from broker.message import Answer, Changes, EventKind, NewBody, Signal, Work
from broker.message import Envelope as Sent
from broker.ports import BodyDamaged, Doors
from broker.receipts.acknowledgment import answer_header, check_about
from broker.routing import choose, trust
from broker.routing.party import Directory
from broker.routing.profile import DEFAULT, Profile
from broker.routing.trust import signature_policy
from broker.trusted import trust_signer

_TYPE: Final = "text/xml; charset=UTF-8"


# --- what a partner asks ---


async def answer(came: Came, doors: Doors) -> Answer:
    """Answer a Ping or a StatusRequest of a party that we have an agreement with: at once, or by a POST of its own.

    A Pong says that we are here, and nothing else (8.2). A status is told of the asker's own envelopes alone; a
    question that comes signed must hold, and is answered signed.
    """
    signed = False
    if came.envelope.kind is ebms.Kind.PING:
        kind = EventKind.PINGED
        told = build(ebms.Envelope(header=_header(came.envelope.header, came.profile, came.at, doors)))
    else:
        kind = EventKind.PARTNER_ASKED
        try:
            signed = await _holds(came.xml, came.directory, came.from_her, came.at, doors)
            status = await _status(came, doors)
        except NotTrusted as why:
            telemetry.inbound_refused(code=why.code, why=why.why, location=why.location)
            status = _unauthorized(came.envelope)
        header = _header(came.envelope.header, came.profile, came.at, doors)
        told = build(ebms.Envelope(header=header, status_response=status))
    if signed:
        told = await doors.cpu(sign_envelope, told, {}, doors.keys.signing(came.to_her, came.at))
    if came.agreement.sync:
        return Answer(status=200, content_type=_TYPE, body=told)
    body = NewBody(id=doors.randomness.id(), content=told)
    signal = Signal(
        id=doors.randomness.id(),
        to_her=came.from_her,
        ref_eb_id=came.eb_id,
        content_type=_TYPE,
        body=body.id,
        due=came.at,
    )
    changes = Changes(events=(event_of(kind, came),), bodies=(body,), signals=(signal,))
    await doors.store.receive(changes)
    telemetry.recorded(changes.events, changes.attempts)
    doors.wake()
    return Answer(status=204, content_type="", body=b"")


def unauthorized(envelope: ebms.Envelope, at: datetime, doors: Doors) -> Answer:
    """Answer a StatusRequest of a party that we have no agreement with (7.1.2): that, and not whether we know more."""
    header = _header(envelope.header, DEFAULT, at, doors)
    told = ebms.Envelope(header=header, status_response=_unauthorized(envelope))
    return Answer(status=200, content_type=_TYPE, body=build(told))


def _header(asked: ebms.Header, profile: Profile, at: datetime, doors: Doors) -> ebms.Header:
    kind = ebms.Kind.PONG if asked.kind is ebms.Kind.PING else ebms.Kind.STATUS_RESPONSE
    return answer_header(
        asked,
        kind,
        message_id=f"{doors.randomness.id()}@{doors.site.host}",
        timestamp=at,
        ref_to_message_id=asked.message_id,
        form=profile.signals(software=doors.site.software, version=doors.site.version),
    )


def _unauthorized(envelope: ebms.Envelope) -> ebms.StatusResponse:
    assert envelope.status_request is not None
    about = envelope.status_request.ref_to_message_id
    return ebms.StatusResponse(ref_to_message_id=about, status=ebms.MessageStatus.UNAUTHORIZED)


async def _status(came: Came, doors: Doors) -> ebms.StatusResponse:
    """Return how an envelope of the asker stands here.

    Received: we hold it, and its EPJ has not said that it has it. Processed: stored or judged by the EPJ, or done with
    by ourselves, as an AppRec is. What we refused is not kept, and not recognized.
    """
    assert came.envelope.status_request is not None
    eb_id = came.envelope.status_request.ref_to_message_id
    try:
        known = await doors.store.received(from_her=came.from_her, cpa_id=came.agreement.cpa_id, eb_id=eb_id)
    except BodyDamaged:  # it stands there, though what we answered to it has rotted
        return ebms.StatusResponse(ref_to_message_id=eb_id, status=ebms.MessageStatus.RECEIVED)
    if known is None:
        return ebms.StatusResponse(ref_to_message_id=eb_id, status=ebms.MessageStatus.NOT_RECOGNIZED)
    found = await doors.store.item(known.item_id) if known.item_id else None
    waits = found is not None and found[1].stage is ItemStage.WAITING
    status = ebms.MessageStatus.RECEIVED if waits else ebms.MessageStatus.PROCESSED
    return ebms.StatusResponse(ref_to_message_id=eb_id, status=status, timestamp=known.received_at)


async def _holds(xml: Xml, directory: Directory, her: int, at: datetime, doors: Doors) -> bool:
    """Say whether an envelope without parts is signed.

    Raises NotTrusted where it is, and does not hold, RevocationUnknown where nobody says whether it does.
    """
    if not is_signed(xml):
        return False

    def verify() -> Verified:
        trusted = trust.signers(directory, her, xml, at)
        return verify_envelope(xml, {}, trusted=trusted, policy=signature_policy(directory, her, at))

    await trust_signer(await doors.cpu(verify), directory, her, at, doors)
    return True


# --- what we ask a partner ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a partner says of an envelope of ours. `status` None: the answer comes later, as a POST of its own."""

    eb_id: str
    partner: int
    status: ebms.MessageStatus | None
    received_at: datetime | None = None
    signed: bool = False


async def ask(work: Work, sent: Sent, actor: str, why: str, doors: Doors) -> Told:
    """Ask the partner how an envelope of ours stands (7.1.1), and write down that we did, and what it said.

    The question is signed where the agreement has signatures. Raises Postponed where the partner can't be reached, and
    Refused where its answer is none.
    """
    at = doors.clock.now()
    directory = doors.addresses.current()
    agreement = directory.agreement(sent.from_her, sent.to_her)
    if agreement is None or agreement.cpa_id != sent.cpa_id:
        raise Inconsistent("its agreement is not in force any more, and no other party can be asked")
    endpoint, profile = choose.endpoint(directory, sent.to_her), directory.profile(sent.to_her)
    eb_id = f"{doors.randomness.id()}@{doors.site.host}"
    header = ebms.Header(
        from_=ebms.her_party(sent.from_her),
        to=ebms.her_party(sent.to_her),
        cpa_id=sent.cpa_id,
        conversation_id=eb_id,  # a conversation of its own: it is about a message, and no part of its exchange
        service=ebms.MSH_SERVICE,
        service_type=profile.signal_service_type,
        action=ebms.Kind.STATUS_REQUEST,
        message_id=eb_id,
        timestamp=at,
        descriptions=profile.descriptions(software=doors.site.software, version=doors.site.version),
    )
    asked = build(
        ebms.Envelope(
            header=header,
            sync_reply=agreement.sync,
            status_request=ebms.StatusRequest(ref_to_message_id=sent.eb_id),
        )
    )
    if agreement.signed:
        asked = await doors.cpu(sign_envelope, asked, {}, doors.keys.signing(sent.from_her, at))
    told = replace(effects.event(EventKind.STATUS_ASKED, work, at, eb_id=sent.eb_id, why=why), actor=actor)
    await _write(Changes(events=(told,)), doors)
    reply = await doors.carrier.post(endpoint, content_type=_TYPE, body=asked, timeout=doors.site.timeout)
    if reply.status >= 300:
        raise Refused(f"the partner answered HTTP {reply.status}", hint="not every engine has Message Status")
    if not reply.body:
        return Told(eb_id=sent.eb_id, partner=sent.to_her, status=None)
    xml = parse(mime.read(reply.content_type, reply.body).root.body, max_bytes=MB)
    return await _take(parse_envelope(xml), xml, work, sent, directory, doors)


async def told_us(came: Came, doors: Doors) -> None:
    """Write down a StatusResponse that came as a POST. One about nothing of ours, or a forged one, is passed over."""
    assert came.envelope.status_response is not None
    found = await doors.store.work_by_envelope(came.envelope.status_response.ref_to_message_id)
    try:
        if found is None:
            raise Inconsistent("a StatusResponse about a message that is not ours", location="//Body/StatusResponse")
        await _take(came.envelope, came.xml, *found, came.directory, doors)
    except Refused as why:
        telemetry.inbound_refused(code=why.code, why=why.why, location=why.location)


async def _take(envelope: ebms.Envelope, xml: Xml, work: Work, sent: Sent, directory: Directory, doors: Doors) -> Told:
    at, response = doors.clock.now(), envelope.status_response
    if response is None:
        raise Inconsistent("the partner's answer is no StatusResponse", hint="not every engine has Message Status")
    if response.ref_to_message_id != sent.eb_id:
        raise Inconsistent("a StatusResponse about another message", location="//Body/StatusResponse/RefToMessageId")
    # MessageData refers to the question, and that is not kept: parties and agreement are what must be right.
    check_about(replace(envelope.header, ref_to_message_id=None), sent)
    signed = await _holds(xml, directory, sent.to_her, at, doors)
    why = "signed" if signed else "not signed: it proves nothing"
    event = effects.event(EventKind.STATUS_TOLD, work, at, eb_id=sent.eb_id, codes=(response.status,), why=why)
    await _write(Changes(events=(event,)), doors)
    return Told(
        eb_id=sent.eb_id,
        partner=sent.to_her,
        status=response.status,
        received_at=response.timestamp,
        signed=signed,
    )


async def _write(changes: Changes, doors: Doors) -> None:
    await doors.store.record(changes)
    telemetry.recorded(changes.events, changes.attempts)
