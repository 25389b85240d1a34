"""The listeners behind which the doors stand: what aiohttp may do with a connection, before any request is ours."""

import ssl
from asyncio import BaseTransport, Transport, get_running_loop
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import http_parser, web

from broker import telemetry
from broker.diagnosis import causes
from broker.errors import Misconfigured
from broker.web.bodies import MAX_HEADERS
from broker.web.frame import dress
from broker.web.problems import as_response, stop

_HANDSHAKE: Final = 10.0  # seconds; asyncio's own minute lets silent connections gather
MOST_CONNECTIONS: Final = 400  # of one listener: two of them leave files enough to the store under a limit of 1024

_LIMITS: Final[dict[str, Any]] = {
    "access_log": None,  # its lines hold addresses with ids in them
    "auto_decompress": False,  # a coded body is refused, never unpacked
    "max_line_size": MAX_HEADERS,
    "max_field_size": MAX_HEADERS,
    "max_headers": 100,
    "keepalive_timeout": 30.0,  # also how long a new connection may take until its first headers are whole
    "lingering_time": 5.0,  # how long a refused body may still come, so that its sender reads our answer
}


def require_c_parser() -> None:
    """Raises Misconfigured where aiohttp would read HTTP with its Python parser, which is laxer and slow."""
    if not hasattr(http_parser, "HttpRequestParserC"):
        raise Misconfigured(
            "the compiled HTTP parser is missing", where="aiohttp", hint="install a wheel of aiohttp for this platform"
        )


@asynccontextmanager
async def listening(
    app: web.Application, *, host: str, port: int, tls: ssl.SSLContext | None = None, grace: float = 20.0
) -> AsyncIterator[int]:
    """Serve `app`, and give the port (of use for port 0).

    In the end no new connection is taken, and requests under way have `grace` seconds to finish. Raises Misconfigured
    when the address can't be bound.
    """
    require_c_parser()
    runner = _Runner(app, handle_signals=False, shutdown_timeout=grace)
    await runner.setup()
    assert runner.server is not None  # set up just now
    try:
        try:
            listener = await get_running_loop().create_server(
                runner.server, host, port, ssl=tls, backlog=128, ssl_handshake_timeout=_HANDSHAKE if tls else None
            )
        except OSError as error:
            raise Misconfigured(
                f"cannot listen ({error.strerror})", where=f"{host}:{port}", hint="choose a free port of this machine"
            ) from None
        try:
            yield int(listener.sockets[0].getsockname()[1])
        finally:
            listener.close()
    finally:
        await runner.cleanup()


class _Connection(web.RequestHandler):
    """One connection, counted; what is no HTTP is answered in our words: aiohttp's own would quote what came."""

    __slots__ = ("_others",)

    def __init__(self, server: "_Server", **limits: Any) -> None:
        super().__init__(server, loop=get_running_loop(), **limits)
        self._others = server

    def connection_made(self, transport: BaseTransport) -> None:
        if len(self._others.connections) >= MOST_CONNECTIONS:
            telemetry.turned_away(door="http", status=0, error_id=causes.NOT_ACCEPTING, request=None)
            assert isinstance(transport, Transport)
            transport.abort()
            return
        super().connection_made(transport)

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """End this connection; a request under way has `timeout` seconds.

        One that was accepted while the others were told to close still waits for its first request: nothing of it
        would be read any more, and aiohttp would wait for it all the same.
        """
        self.close()
        await super().shutdown(timeout)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        why = stop(400, causes.BAD_REQUEST, "Dette er ikke HTTP som leses her.", "This is no HTTP that is read here.")
        telemetry.turned_away(door="http", status=400, error_id=causes.BAD_REQUEST, request=None)
        response = as_response(why.problem, language="nb", request_id=None)
        dress(response)
        response.force_close()
        return response


class _Server(web.Server):
    def __init__(self, like: web.Server) -> None:
        super().__init__(like.request_handler, request_factory=like.request_factory)

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, **_LIMITS)


class _Runner(web.AppRunner):
    """aiohttp has no public way to put another connection class behind an application; a test guards this one."""

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server())
