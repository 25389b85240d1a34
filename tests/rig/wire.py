"""The wire between brokers, as a proxy that writes down what passes, and can misbehave where it is told to."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from broker.demo.site import DemoSite

_ACTION = re.compile(rb"Action>([^<]+)<")
_CONVERSATION = re.compile(rb"ConversationId>([^<]+)<")
_ACKNOWLEDGES = re.compile(rb"<(?:\w+:)?Acknowledgment[\s>]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One POST from a broker to another. Times are seconds of the system clock, sizes bytes."""

    to: str
    began: float
    ended: float
    size: int
    action: str
    conversation: str  # in letters of these harnesses, the MsgId of the first
    status: int
    acknowledged: bool


@dataclass
class Wire:
    """What passed, and how it goes on: `slow` holds answers back for so many seconds, by the site they come from."""

    passed: list[Passed] = field(default_factory=list)
    slow: dict[str, float] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    port: int = 0

    def endpoint(self, site: DemoSite) -> str:
        """Return the address under which the site's broker is reached by this wire."""
        return f"http://127.0.0.1:{self.port}/{site.key}/ebms"


@asynccontextmanager
async def wire(sites: Mapping[str, DemoSite]) -> AsyncIterator[Wire]:
    """Give a wire to all of `sites`, and lay all their address records on it."""
    line = Wire()
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=60), connector=aiohttp.TCPConnector(limit=0, force_close=True)
    ) as session:

        async def carry(request: web.Request) -> web.Response:
            key, began = request.match_info["site"], time.time()
            body = await request.read()
            if key in line.down:
                raise web.HTTPServiceUnavailable
            try:
                status, headers, answer = await _forward(session, sites[key], request, body)
            except (aiohttp.ClientError, TimeoutError):
                _cut(request)
                raise web.HTTPBadGateway from None  # nobody is there any more to read it
            if wait := line.slow.get(key):
                await asyncio.sleep(wait)
            action, conversation = (pattern.search(body[:20_000]) for pattern in (_ACTION, _CONVERSATION))
            line.passed.append(
                Passed(
                    to=key,
                    began=began,
                    ended=time.time(),
                    size=len(body),
                    action=action[1].decode() if action else "",
                    conversation=conversation[1].decode() if conversation else "",
                    status=status,
                    acknowledged=_ACKNOWLEDGES.search(answer) is not None,
                )
            )
            return web.Response(status=status, body=answer, headers=headers)

        app = web.Application(client_max_size=60_000_000)
        app.router.add_post("/{site}/ebms", carry)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            door = web.TCPSite(runner, "127.0.0.1", 0)
            await door.start()
            line.port = urlsplit(f"//{_address(runner)}").port or 0
            for site in sites.values():
                for other in sites.values():
                    redirect(site, f"{other.partner}/ebms", line.endpoint(other))
            yield line
        finally:
            await runner.cleanup()


def redirect(site: DemoSite, old: str, new: str) -> None:
    """Replace an endpoint in the site's address records."""
    for record in (site.folder / "addresses").glob("*.toml"):
        record.write_text(record.read_text("utf-8").replace(f'"{old}"', f'"{new}"'), "utf-8")


async def _forward(
    session: aiohttp.ClientSession, site: DemoSite, request: web.Request, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    kept = {
        name: request.headers[name] for name in ("Content-Type", "SOAPAction", "Content-ID") if name in request.headers
    }
    async with session.post(f"{site.partner}/ebms", data=body, headers=kept) as answer:
        content = await answer.read()
        back = {name: answer.headers[name] for name in ("Content-Type", "SOAPAction") if name in answer.headers}
        return answer.status, back if content else {}, content


def _cut(request: web.Request) -> None:
    """End the connection without an answer, as a broker does that is gone."""
    if request.transport is not None:
        request.transport.abort()


def _address(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"{host}:{port}"
