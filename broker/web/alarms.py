"""The alarms that belong to no message, as operators are told of them: `/conditions` at the socket."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from broker.diagnosis.conditions import Condition
from broker.web import shapes

Alarms = Callable[[], Awaitable[Sequence[Condition]]]


def alarm_routes(alarms: Alarms) -> list[web.RouteDef]:
    """Return the route that tells what `alarms` finds."""

    async def tell(_request: web.Request) -> web.Response:
        return web.json_response([shapes.condition(one) for one in await alarms()])

    return [web.get("/conditions", tell)]
