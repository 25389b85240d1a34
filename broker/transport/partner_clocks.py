"""What partners' clocks say: a carrier that notes the HTTP Date of each answer beside our own time."""

from dataclasses import dataclass, field
from datetime import timedelta

from broker import telemetry
from broker.ports import Carrier, Clock, TransportReply


@dataclass(frozen=True, slots=True)
class PartnerClocks:
    """Carries as the carrier below does. `offsets` holds our time less theirs, by origin: the latest of each."""

    carrier: Carrier
    clock: Clock
    offsets: dict[str, timedelta] = field(default_factory=dict)

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        """POST as the carrier does, and note what time it is there. Raises TransportFailed."""
        reply = await self.carrier.post(endpoint, content_type=content_type, body=body, timeout=timeout)
        if reply.date is not None:
            self.offsets[telemetry.origin(endpoint)] = self.clock.now() - reply.date
        return reply
