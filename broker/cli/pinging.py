"""An ebMS Ping (ebMS 2.0, 8.1): whether a partner's message service answers us, and not its port alone.

It is not signed, and nothing is kept of it on our side. Many systems give no Pong, or give it later as a POST of its
own: neither is a fault.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from broker.config import Settings
from broker.diagnosis import CAUSES
from broker.envelope import mime
from broker.envelope.ebms import MSH_SERVICE, Envelope, Header, Kind, her_party
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse as parse_envelope
from broker.envelope.fault import parse_fault
from broker.envelope.xml import MB, parse
from broker.errors import BrokerError, TransportFailed
from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness
from broker.message import Text
from broker.ports import Carrier, TransportReply
from broker.routing.party import Agreement, Directory

_MOST: Final = 300  # characters of a partner's own words that are shown


class Heard(StrEnum):
    """What came for a Ping."""

    PONG = "pong"
    LATER = "later"  # taken, and nothing said: the Pong may come as a POST of its own
    ERROR = "message-error"
    FAULT = "soap-fault"
    OTHER = "other"  # an HTTP answer that is none of these
    NOTHING = "nothing"  # no HTTP answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came, and how fast."""

    heard: Heard
    id: str  # eb:MessageId of the Ping
    took: float  # seconds
    status: int | None = None  # of HTTP
    codes: tuple[str, ...] = ()
    said: str | None = None  # the partner's own words: who its MSH is, or what is wrong
    error_id: str | None = None  # why there was no HTTP answer


def agreement_for(settings: Settings, directory: Directory, her: int, ours: int | None = None) -> Agreement | None:
    """Return the agreement to ping a partner under: that with `ours`, or the first with any of ours."""
    hers = sorted(settings.hosted) if ours is None else [ours]
    return next((agreed for each in hers if (agreed := directory.agreement(each, her)) is not None), None)


async def ping(
    carrier: Carrier, settings: Settings, directory: Directory, agreement: Agreement, endpoint: str, within: timedelta
) -> Answer:
    """Send a Ping to the partner of the agreement, as its profile wants it, and return what came. Never raises."""
    from broker import __version__
    from broker.daemon import SOFTWARE

    her, id = agreement.theirs, f"{SystemRandomness().id()}@{settings.host}"
    profile = directory.profile(her)
    header = Header(
        from_=her_party(agreement.ours),
        to=her_party(her),
        cpa_id=agreement.cpa_id,
        conversation_id=id,
        service=MSH_SERVICE,
        service_type=profile.signal_service_type,
        action=Kind.PING,
        message_id=id,
        timestamp=SystemClock().now(),
        descriptions=profile.descriptions(software=SOFTWARE, version=__version__),
    )
    sent = mime.build(build(Envelope(header=header, sync_reply=agreement.sync)), (), boundary="", root_id=id)
    begun = time.monotonic()
    try:
        reply = await carrier.post(endpoint, content_type=sent.content_type, body=sent.body, timeout=within)
    except TransportFailed as why:
        return Answer(heard=Heard.NOTHING, id=id, took=time.monotonic() - begun, error_id=why.error_id)
    return _read(reply, id, time.monotonic() - begun)


def _read(reply: TransportReply, id: str, took: float) -> Answer:
    heard, codes, said = _heard(reply, id)
    return Answer(heard=heard, id=id, took=took, status=reply.status, codes=codes, said=said and said[:_MOST])


def _heard(reply: TransportReply, id: str) -> tuple[Heard, tuple[str, ...], str | None]:
    if not reply.body:
        return Heard.LATER if reply.status < 300 else Heard.OTHER, (), None
    try:
        xml = parse(mime.read(reply.content_type, reply.body).root.body, max_bytes=MB)
        if (fault := parse_fault(xml)) is not None:
            return Heard.FAULT, (), fault.text
        envelope = parse_envelope(xml)
    except BrokerError:
        return Heard.OTHER, (), None
    if envelope.header.ref_to_message_id != id:
        return Heard.OTHER, (), None
    if envelope.error_list is not None:
        first = envelope.error_list.errors[0]
        words = " ".join(filter(None, (first.location, first.description)))
        return Heard.ERROR, tuple(one.code for one in envelope.error_list.errors), words or None
    if envelope.kind is Kind.PONG:
        return Heard.PONG, (), "; ".join(one.text for one in envelope.header.descriptions) or None
    return Heard.OTHER, (), None


def in_words(answer: Answer, *, sync: bool) -> tuple[Text, Text | None]:
    """Return what came as a sentence, and what to do, if anything."""
    status = answer.status
    if answer.heard is Heard.PONG:
        return Text(nb="svarte med Pong", en="answered with a Pong"), None
    if answer.heard is Heard.LATER:
        taken = Text(nb=f"tok imot (HTTP {status})", en=f"took it (HTTP {status})")
        if sync:
            nb, en = f"{taken.nb} uten å svare", f"{taken.en} and said nothing"
            act = Text(nb="mange systemer svarer ikke på Ping", en="many systems leave a Ping unanswered")
            return Text(nb=nb, en=en), act
        nb, en = f"{taken.nb}; Pong kommer for seg selv", f"{taken.en}; the Pong comes by itself"
        act = Text(
            nb=f"se etter inbound.pong med eb_id {answer.id} i brokerens logg",
            en=f"look for inbound.pong with eb_id {answer.id} in the broker's log",
        )
        return Text(nb=nb, en=en), act
    if answer.heard is Heard.ERROR:
        codes = ", ".join(answer.codes)
        act = Text(nb="se docs/partners.md, «Å lese et avslag»", en='see docs/partners.md, "Reading a refusal"')
        return Text(nb=f"avviste med {codes}", en=f"refused it with {codes}"), act
    if answer.heard is Heard.FAULT:
        act = Text(nb="se docs/partners.md, «Å lese et avslag»", en='see docs/partners.md, "Reading a refusal"')
        return Text(nb=f"svarte med SOAP Fault (HTTP {status})", en=f"answered with a SOAP Fault (HTTP {status})"), act
    if answer.heard is Heard.OTHER:
        act = Text(
            nb="kontroller stien i endepunktet; en mellomtjener kan ha svart",
            en="check the path of the endpoint; a proxy may have answered",
        )
        return Text(nb=f"svarte HTTP {status} uten Pong", en=f"answered HTTP {status} without a Pong"), act
    known = CAUSES[answer.error_id or ""]
    return Text(nb=f"{known.name.nb} ({known.id})", en=f"{known.name.en} ({known.id})"), known.act
