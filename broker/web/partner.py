"""The partner's door: one address that takes ebMS 2.0 envelopes and gives the answer that the story has committed."""

from typing import Final

from aiohttp import web

from broker import inbound
from broker.ports import Doors
from broker.web.bodies import MAX_ENVELOPE, Pace, read_body
from broker.web.frame import SHARE
from broker.web.problems import RETRY_AFTER

PATH: Final = "/ebms"
# ebMS 2.0, 2.1.2: an envelope alone is text/xml, with payloads multipart/related. SOAPAction is not looked at: what
# peers write there differs more than it tells.
_TYPES: Final = frozenset({"text/xml", "multipart/related"})


class PartnerDoor:
    """Takes one envelope a request. A transient fault of ours is 503: peers take 4xx for never."""

    def __init__(self, doors: Doors, *, pace: Pace, limit: int = MAX_ENVELOPE) -> None:
        self._doors, self._pace, self._limit = doors, pace, limit

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this door."""
        return [web.post(PATH, self.receive)]

    async def receive(self, request: web.Request) -> web.Response:
        """Take an envelope and answer with what stands in the store for it."""
        content_type, body = await read_body(request, request[SHARE], limit=self._limit, types=_TYPES, pace=self._pace)
        encoding = request.headers.get("Content-Transfer-Encoding", "")
        answer = await inbound.receive(content_type, body, self._doors, transfer_encoding=encoding)
        headers: dict[str, str] = {}
        if answer.body:
            # ebMS 2.0, B.2.2: quotes included; some peers compare the exact string.
            headers["SOAPAction"] = '"ebXML"'
            headers["Content-Type"] = answer.content_type
        if answer.status == 503:
            headers["Retry-After"] = str(RETRY_AFTER)
        return web.Response(status=answer.status, body=answer.body or None, headers=headers)
