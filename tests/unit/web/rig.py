"""Both doors behind a real listener and over a real store, with stories that the test writes itself."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp

from broker.errors import Unaddressable
from broker.lookup.cpu import CpuPool
from broker.lookup.randomness import SystemRandomness
from broker.message import Client
from broker.ports import Doors, Site
from broker.retry import BackOff
from broker.routing.party import Directory, Party, PartyKind
from broker.routing.process import Processes
from broker.store.sqlite import SqliteStore, open_store
from broker.web.app import make_epj_app, make_partner_app
from broker.web.bodies import Pace, Room
from broker.web.listen import listening
from broker.web.waiting import Bell
from tests.unit.web.values import NOW, OURS, THEIRS

TOKEN, OTHER_TOKEN = "token-of-fjordvik", "token-of-another"
CLIENT = Client(name="epj-fjordvik", hers=frozenset({OURS}))
OTHER = Client(name="epj-other", hers=frozenset({8000301}))
XML = {"Content-Type": "application/xml"}


@dataclass
class Clock:
    time: datetime = NOW

    def now(self) -> datetime:
        return self.time


@dataclass
class Records:
    known: bool = True

    def current(self) -> Directory:
        if not self.known:
            raise Unaddressable("no address records yet", error_id="MB-2004")
        party = Party(her_id=THEIRS, name="Dalbygda legesenter", kind=PartyKind.EPJ, organisation_number=None)
        return Directory(parties={THEIRS: party})


class Tokens:
    def by_token(self, token: str) -> Client | None:
        return {TOKEN: CLIENT, OTHER_TOKEN: OTHER}.get(token)

    def by_certificate(self, der: bytes, at: datetime) -> Client | None:
        return None


@dataclass
class Rig:
    store: SqliteStore
    doors: Doors
    clock: Clock
    records: Records
    room: Room
    bell: Bell
    epj: str = ""
    partner: str = ""
    session: aiohttp.ClientSession = field(init=False)

    async def ask(
        self, method: str, path: str, *, token: str | None = TOKEN, door: str = "epj", **more: Any
    ) -> "Reply":
        headers = ({"Authorization": f"Bearer {token}"} if token else {}) | more.pop("headers", {})
        base = self.epj if door == "epj" else self.partner
        async with self.session.request(method, base + path, headers=headers, **more) as response:
            return Reply(response.status, response.headers, await response.read())


@dataclass
class Reply:
    status: int
    headers: Any
    body: bytes

    def json(self) -> dict[str, Any]:
        import json

        return cast(dict[str, Any], json.loads(self.body))


@asynccontextmanager
async def rig(
    folder: Path, *, pace: Pace | None = None, room: Room | None = None, max_document: int = 35 * 1024 * 1024
) -> AsyncIterator[Rig]:
    """Give both doors on free ports of loopback."""
    bell = Bell()
    store = await open_store(folder, site_key=bytes(32), on_broken=lambda _: None, reserve=0, told=bell.ring)
    cpu = CpuPool(1)
    clock, records, room = Clock(), Records(), room or Room()
    unused: Any = None
    doors = Doors(
        site=Site(
            environment="test",
            hosted={OURS: "987654321"},
            host="fjordvik.example",
            software="digihelse-broker",
            version="0",
            back_off=BackOff(),
            timeout=timedelta(seconds=1),
            max_document=max_document,
            max_envelope=52 * 1024 * 1024,
        ),
        store=store,
        carrier=unused,
        addresses=records,
        processes=lambda: Processes(by_name={}),
        codes=unused,
        schemas=unused,
        keys=unused,
        clock=clock,
        randomness=SystemRandomness(),
        revocation=unused,
        cpu=cpu,
        wake=lambda: None,
    )
    made = Rig(store=store, doors=doors, clock=clock, records=records, room=room, bell=bell)
    epj = make_epj_app(doors, Tokens(), room=room, pace=pace, bell=bell)
    partner = make_partner_app(doors, room=room, pace=pace)
    try:
        async with (
            listening(epj, host="127.0.0.1", port=0, grace=1) as epj_port,
            listening(partner, host="127.0.0.1", port=0, grace=1) as partner_port,
            aiohttp.ClientSession() as session,
        ):
            made.epj, made.partner = f"http://127.0.0.1:{epj_port}", f"http://127.0.0.1:{partner_port}"
            made.session = session
            yield made
    finally:
        await store.close()
        cpu.close()


def story(answer: object) -> Callable[..., Awaitable[Any]]:
    """Return a story that gives `answer`, or raises it; the arguments of its calls stand in `.calls`."""

    async def told(*arguments: object, **_named: object) -> object:
        told.calls.append(arguments)  # type: ignore[attr-defined]  # set below
        if isinstance(answer, BaseException):
            raise answer
        return answer

    told.calls = []  # type: ignore[attr-defined]  # what the story was asked
    return told
