"""What partners' clocks say: a carrier that notes the HTTP Date of each answer beside our own time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker import telemetry
from broker.ports import Carrier, Clock, TransportReply

_FRESH: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PartnerClocks:
    """Carries as the carrier below does."""

    carrier: Carrier
    clock: Clock
    _noted: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)  # ours and theirs, by origin

    def offsets(self) -> Mapping[str, timedelta]:
        """Return our time less theirs, by origin, of the last hour: what a clock was before that is past."""
        now = self.clock.now()
        return {origin: ours - theirs for origin, (ours, theirs) in self._noted.items() if abs(now - ours) < _FRESH}

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        """POST as the carrier does, and note what time it is there. Raises TransportFailed."""
        reply = await self.carrier.post(endpoint, content_type=content_type, body=body, timeout=timeout)
        if reply.date is not None:
            self._noted[telemetry.origin(endpoint)] = (self.clock.now(), reply.date)
        return reply
