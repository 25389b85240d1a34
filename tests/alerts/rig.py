"""A store with deliveries that stand as the test says, and a watch over it with a clock that the test moves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from broker.diagnosis.conditions import Facts
from broker.lifecycle import Event, advance
from broker.message import Ball, Changes, Delivery, EventKind
from broker.routing.party import Directory, Party, PartyKind
from broker.store.sqlite import SqliteStore, open_store
from broker.watch import Around, Channel, Telling, Watch
from tests.store import values
from tests.store.values import NOW, OURS, PARTNER, SITE_KEY

DOWN = "MB-3202"


@dataclass
class Clock:
    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def later(self, **span: float) -> None:
        self.time += timedelta(**span)


class Records:
    def current(self) -> Directory:
        names = {PARTNER: "Dalbygda legesenter"}
        return Directory(
            parties={
                her: Party(her_id=her, name=name, kind=PartyKind.EPJ, organisation_number=None)
                for her, name in names.items()
            }
        )


@dataclass
class Site:
    """One broker's store and its watch. `restart` is what a restart of the process does to both."""

    folder: Path
    channels: tuple[Channel, ...]
    clock: Clock = field(default_factory=Clock)
    around: Facts = field(default_factory=lambda: Facts(now=NOW, free=10**9, reserve=0))
    store: SqliteStore = field(init=False)
    watch: Watch = field(init=False)

    async def start(self) -> None:
        self.store = await open_store(self.folder, site_key=SITE_KEY, on_broken=lambda _: None, reserve=0)
        around = Around(addresses=Records(), clock=self.clock, facts=self._facts)
        self.watch = Watch(self.store, around, Telling(channels=self.channels, host="broker.example"))

    async def _facts(self) -> Facts:
        return replace(self.around, now=self.clock.now())

    async def restart(self) -> None:
        await self.store.close()
        await self.start()

    async def stall(self, count: int, *, cause: str | None = DOWN, ball: Ball = Ball.PARTNER, **more: Any) -> None:
        """Put so many deliveries into the store that stand for this cause, taken now."""
        for first in range(0, count, 1000):
            body = values.body(b"x")
            made = []
            for _ in range(min(1000, count - first)):
                message = values.message(body, at=self.clock.now())
                state = {"cause": cause, "ball": ball, "transport_due": self.clock.now()} | more
                made.append((message, values.delivery(message, **state)))
            await self.store.record(
                Changes(
                    events=(values.event(kind=EventKind.ACCEPTED),),
                    bodies=(body,),
                    messages=tuple(message for message, _ in made),
                    deliveries=tuple(delivery for _, delivery in made),
                )
            )

    async def mend(self) -> None:
        """Close all that is open."""
        while works := await self.store.queue(limit=1000):
            await self.store.record(
                Changes(events=(values.event(kind=EventKind.CLOSED),), advanced=tuple(map(_closed, works_of(works))))
            )


def works_of(works: Any) -> list[Delivery]:
    return [work.delivery for work in works]


def _closed(delivery: Delivery) -> Delivery:
    return replace(
        delivery, state=advance(delivery.state, Event.CLOSED), transport_due=None, receipt_due=None, closed_because="x"
    )


@asynccontextmanager
async def site(folder: Path, *channels: Channel, **more: Any) -> AsyncIterator[Site]:
    """Give a site that has been started."""
    made = Site(folder=folder, channels=channels, **more)
    await made.start()
    try:
        yield made
    finally:
        await made.store.close()


__all__ = ["NOW", "OURS", "PARTNER", "Site", "site"]
