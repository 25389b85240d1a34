"""What operators see of the webhooks, over the socket of the running broker; without one there is nothing to see."""

from aiohttp import web

from broker.ports import Wakes
from broker.web import shapes


def add_webhooks(app: web.Application, wakes: Wakes) -> None:
    """Let the operators' application answer `/webhooks`: how each stands."""

    async def webhooks(_request: web.Request) -> web.Response:
        return web.json_response([{"client": state.client} | shapes.wake(state) for state in wakes.states()])

    app.router.add_get("/webhooks", webhooks)
