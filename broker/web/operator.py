"""The socket at which a running broker answers this machine's operators. What it answers stands in `web.looking`."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from broker import telemetry
from broker.errors import BrokerError
from broker.ports import Doors
from broker.routing.findings import exceptions
from broker.web.alarms import Alarms, alarm_routes
from broker.web.looking import ANSWERS, Operators, Reads
from broker.web.shapes import Json
from broker.web.unix import bound, removed


def make_operator_app(
    doors: Doors,
    reads: Reads,
    *,
    closed: Callable[[], Collection[int]] | None = None,
    alarms: Alarms | None = None,
) -> web.Application:
    """Return the application behind the socket of a running broker. `reads`, `closed`: see `Operators`."""

    def cancels(process: str, function: str) -> bool:
        return doors.processes().cancels(process, function)

    def exempted(her: int) -> list[Json]:
        return [
            {
                "switch": each.switch,
                "until": each.until.isoformat(),
                "daysLeft": each.days_left,
                "uses": telemetry.uses(each.switch.removesuffix("-in"), her),
                "text": {"nb": each.text.nb, "en": each.text.en},
            }
            for each in exceptions(doors.addresses.current(), her, doors.clock.now().date())
        ]

    operators = Operators(
        reads, addresses=doors.addresses, clock=doors.clock, cancels=cancels, closed=closed, exceptions=exempted
    )
    return operator_app(operators, alarms)


def operator_app(operators: Operators, alarms: Alarms | None = None) -> web.Application:
    """Return the application that gives these answers, one path each; 404 where nothing carries the id asked for."""

    async def answer(request: web.Request) -> web.Response:
        answers = ANSWERS.get(request.match_info["what"])
        if answers is None:
            return web.json_response(None, status=404)
        told = await answers(operators, request.query)
        found = told if request.query.get("id") else True
        return web.json_response(told, status=200 if found else 404)

    @web.middleware
    async def plainly(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except BrokerError as error:
            return web.json_response({"why": error.why}, status=503)

    app = web.Application(middlewares=[plainly])
    app.add_routes([*(alarm_routes(alarms) if alarms else ()), web.get("/{what}", answer)])
    return app


@asynccontextmanager
async def operator_socket(app: web.Application, path: Path) -> AsyncIterator[None]:
    """Answer operators at the socket `path`, which is gone in the end. Raises Misconfigured where it can't be made."""
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, bound(path)).start()
        yield
    finally:
        await runner.cleanup()
        removed(path)
