"""The two doors as applications: which routes, middlewares and limits make up each."""

import asyncio
import json
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from aiohttp import web

from broker import telemetry
from broker.diagnosis import causes
from broker.errors import BrokerError
from broker.ports import Clients, Doors, Wakes
from broker.web import docs, openapi
from broker.web.bodies import Pace, Room
from broker.web.epj import EpjDoor
from broker.web.frame import Frame
from broker.web.operations import OPEN
from broker.web.partner import PartnerDoor
from broker.web.waiting import Bell

_PROVEN_FOR: Final = timedelta(seconds=1)  # a proof of the store costs an fsync: at most one a second


def make_epj_app(
    doors: Doors,
    clients: Clients,
    *,
    room: Room | None = None,
    pace: Pace | None = None,
    bell: Bell | None = None,
    wakes: Wakes | None = None,
) -> web.Application:
    """Return the application of the EPJ's door: the API, health, readiness and metrics.

    Who waits for something new is woken by `bell`, and sent away when the door closes.
    """
    bell = bell or Bell()
    door = EpjDoor(doors, clients, pace=pace or Pace(), limit=doors.site.max_document, bell=bell, wakes=wakes)
    frame = Frame(door="epj", doors=doors, room=room or Room())
    app = web.Application(middlewares=[frame.middleware(), door.middleware()])
    health = _Open(doors)
    app.add_routes(door.routes())

    async def send_away(_app: web.Application) -> None:
        bell.close()

    app.on_shutdown.append(send_away)
    app.add_routes(web.route(each.method, each.path, getattr(health, each.handler)) for each in OPEN)
    return app


def make_partner_app(doors: Doors, *, room: Room | None = None, pace: Pace | None = None) -> web.Application:
    """Return the application of the partners' door: the ebMS endpoint and nothing about us but that we live."""
    door = PartnerDoor(doors, pace=pace or Pace(), limit=doors.site.max_envelope)
    frame = Frame(door="partner", doors=doors, room=room or Room())
    app = web.Application(middlewares=[frame.middleware()])
    app.add_routes(door.routes())
    app.add_routes([web.get("/healthz", _Open(doors).alive)])
    return app


def readiness(doors: Doors) -> list[web.RouteDef]:
    """Return the route of readiness alone, for the operators' socket: it is there whatever the doors demand."""
    return [web.get("/readyz", _Open(doors).ready)]


class _Open:
    """What is answered to anybody."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._proving = asyncio.Lock()
        self._proven_at: datetime | None = None
        self._checks: dict[str, str] = {}

    async def alive(self, _request: web.Request) -> web.Response:
        """The loop turns."""
        return web.json_response({"status": "alive"})

    async def ready(self, _request: web.Request) -> web.Response:
        """The store writes, and there are address records."""
        async with self._proving:
            now = self._doors.clock.now()
            if self._proven_at is None or not timedelta() <= now - self._proven_at < _PROVEN_FOR:
                self._checks = await self._look()
                self._proven_at = now
        well = all(said == "ok" for said in self._checks.values())
        return web.json_response(
            {"status": "ready" if well else "not ready", "checks": self._checks}, status=200 if well else 503
        )

    async def _look(self) -> dict[str, str]:
        checks = {"store": "ok", "addresses": "ok"}
        try:
            await self._doors.store.ready()
        except BrokerError:
            checks["store"] = causes.NOT_ACCEPTING
        try:
            self._doors.addresses.current()
        except BrokerError:
            checks["addresses"] = causes.REGISTRY_UNAVAILABLE
        return checks

    async def openapi(self, _request: web.Request) -> web.Response:
        """The API's description, for programs."""
        return web.Response(body=_described(), content_type="application/json")

    async def docs(self, _request: web.Request) -> web.Response:
        """The API's description, for people."""
        return web.Response(
            body=_page(), headers={"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": docs.POLICY}
        )

    async def metrics(self, _request: web.Request) -> web.Response:
        """All metrics, as Prometheus reads them."""
        return web.Response(
            body=telemetry.exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )


@cache
def _described() -> bytes:
    return json.dumps(openapi.document(), ensure_ascii=False).encode()


@cache
def _page() -> bytes:
    return docs.page(openapi.document()).encode()
