"""An ebMS Ping (ebMS 2.0, 8.1): whether a partner's message service answers us, and not its port alone.

It is not signed, and nothing is kept of it on our side. Many systems give no Pong: that is no fault.
"""

from datetime import timedelta
from typing import Final

from broker.config import Settings
from broker.envelope import mime
from broker.envelope.ebms import MSH_SERVICE, Envelope, Header, Kind, her_party
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse as parse_envelope
from broker.envelope.xml import MB, parse
from broker.errors import BrokerError
from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness
from broker.ports import Carrier
from broker.routing.party import Directory

_WITHIN: Final = timedelta(seconds=5)


async def answers_ping(carrier: Carrier, settings: Settings, directory: Directory, her: int) -> bool:
    """Ping the endpoint of a partner under its first agreement with one of ours; say whether our Pong came."""
    party, endpoint = directory.party(her), directory.endpoint(her)
    agreements = party.agreements if party is not None else ()
    agreement = next((each for each in agreements if each.ours in settings.hosted), None)
    if agreement is None or endpoint is None:
        return False
    id = f"{SystemRandomness().id()}@{settings.host}"
    header = Header(
        from_=her_party(agreement.ours),
        to=her_party(her),
        cpa_id=agreement.cpa_id,
        conversation_id=id,
        service=MSH_SERVICE,
        action=Kind.PING,
        message_id=id,
        timestamp=SystemClock().now(),
    )
    ping = mime.build(build(Envelope(header=header, sync_reply=agreement.sync)), (), boundary="", root_id=id)
    try:
        reply = await carrier.post(endpoint, content_type=ping.content_type, body=ping.body, timeout=_WITHIN)
        root = mime.read(reply.content_type, reply.body).root
        pong = parse_envelope(parse(root.body, max_bytes=MB))
    except BrokerError:
        return False
    return pong.kind is Kind.PONG and pong.header.ref_to_message_id == id
