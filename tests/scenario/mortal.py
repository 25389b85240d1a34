"""A broker that can be killed at any word it says to the world: every store write and every door call is a point.

A kill is a BaseException that ends whatever runs; the broker's files are copied as they lie at that moment, and a new
broker is opened on the copy, as after a kill -9. Whoever waited for the dead one's answer gets none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, Protocol
from unittest.mock import patch

from broker import effects, handover, intake, progress
from broker.lifecycle import ITEM_TRANSITIONS, TRANSITIONS, Event, ItemEvent, ItemStage, State
from broker.lifecycle import advance as real_advance
from broker.lifecycle import advance_item as real_advance_item
from broker.message import Changes
from broker.ports import Addresses, Claimed, Keys, Store, TransportReply
from broker.routing.party import Directory
from broker.sealing.keys import KeyPair


class Killed(BaseException):
    """The process of this side is gone."""

    def __init__(self, side: str) -> None:
        super().__init__(side)
        self.side = side


class Edge(NamedTuple):
    """One arrow of the lifecycle: what moves (transport, receipt or item), by which event, from where to where."""

    part: str
    event: str
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.part}: {self.source} --{self.event}--> {self.target}"


def all_edges() -> frozenset[Edge]:
    """Return every arrow of the tables in broker.lifecycle."""
    found = set()
    for event, move in TRANSITIONS.items():
        found |= {Edge("transport", event, source, target) for source, target in move.transport.items()}
        found |= {Edge("receipt", event, source, target) for source, target in move.receipt.items()}
    for item_event, moves in ITEM_TRANSITIONS.items():
        found |= {Edge("item", item_event, source, target) for source, target in moves.items()}
    return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One place where a broker can be killed."""

    number: int
    side: str
    door: str  # "store.accept", "carrier.post" ...
    moment: str  # before, after
    edges: frozenset[Edge]  # what the write that stands here commits, or has committed

    @property
    def writes(self) -> bool:
        """Say whether a store write stands here."""
        return self.door in _WRITES

    def __str__(self) -> str:
        return f"{self.moment} {self.side}'s {self.door} (point {self.number})"


_WRITES = frozenset({"store.accept", "store.receive", "store.claim", "store.record"})


class Knife:
    """Counts the points of one run, and kills at those that it is told."""

    def __init__(self, cuts: frozenset[int] = frozenset()) -> None:
        self.cuts, self.points, self.kills = cuts, list[Point](), 0
        self.sheathed = False  # while the ledgers are looked at, nobody dies
        self._moves: list[Edge] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note every move of the lifecycle, so that each write knows which ones it commits."""

        def advance(state: State, event: Event) -> State:
            after = real_advance(state, event)
            self._moves.append(Edge("transport", event, state.transport, after.transport))
            self._moves.append(Edge("receipt", event, state.receipt, after.receipt))
            return after

        def advance_item(stage: ItemStage, event: ItemEvent) -> ItemStage:
            after = real_advance_item(stage, event)
            self._moves.append(Edge("item", event, stage, after))
            return after

        with (
            patch.object(progress, "advance", advance),
            patch.object(effects, "advance_item", advance_item),
            patch.object(handover, "advance_item", advance_item),
            patch.object(intake, "advance_item", advance_item),
        ):
            yield

    def taken(self) -> frozenset[Edge]:
        """Return the moves noted since the last write, and forget them."""
        taken = frozenset(self._moves)
        self._moves.clear()
        return taken


class Life:
    """One process: from its start until it is killed."""

    def __init__(self, side: str, knife: Knife) -> None:
        self.side, self.knife, self.dead = side, knife, False

    def at(self, door: str, moment: str, edges: frozenset[Edge] = frozenset()) -> None:
        """Pass a point. Raises Killed where the knife falls, and ever after."""
        if not self.dead and not self.knife.sheathed:
            point = Point(number=len(self.knife.points), side=self.side, door=door, moment=moment, edges=edges)
            self.knife.points.append(point)
            if point.number in self.knife.cuts:
                self.dead, self.knife.kills = True, self.knife.kills + 1
        if self.dead:
            raise Killed(self.side)

    @contextmanager
    def around(self, door: str, edges: frozenset[Edge] = frozenset()) -> Iterator[None]:
        """Pass a point before a call and one after it, also where it raises what its door may raise."""
        self.at(door, "before", edges)
        try:
            yield
        except Exception:
            self.at(door, "after")
            raise
        self.at(door, "after", edges)


class MortalStore:
    """A store whose writes, and whose reading of bodies, are points. Its other reads only notice that one is dead."""

    def __init__(self, inner: Store, life: Life) -> None:
        self._inner, self._life = inner, life

    async def accept(self, changes: Changes) -> None:
        await self._write("accept", changes)

    async def receive(self, changes: Changes) -> None:
        await self._write("receive", changes)

    async def record(self, changes: Changes) -> None:
        await self._write("record", changes)

    async def _write(self, name: str, changes: Changes) -> None:
        with self._life.around(f"store.{name}", self._life.knife.taken()):
            await getattr(self._inner, name)(changes)

    async def claim(self, **asked: Any) -> Claimed:
        self._life.knife.taken()
        with self._life.around("store.claim"):
            return await self._inner.claim(**asked)

    async def body(self, body: str) -> bytes:
        with self._life.around("store.body"):
            return await self._inner.body(body)

    def __getattr__(self, name: str) -> Any:
        if self._life.dead:
            raise Killed(self._life.side)
        return getattr(self._inner, name)


class PostFrom(Protocol):
    """The wire, as one side sees it."""

    async def __call__(self, side: str, endpoint: str, content_type: str, body: bytes) -> TransportReply: ...


class MortalCarrier:
    """A carrier whose POST is a point. What the other side did with it stays done."""

    def __init__(self, post: PostFrom, life: Life) -> None:
        self._post, self._life = post, life

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        with self._life.around("carrier.post"):
            return await self._post(self._life.side, endpoint, content_type, body)


class MortalAddresses:
    """Address records whose reading is a point."""

    def __init__(self, inner: Addresses, life: Life) -> None:
        self._inner, self._life = inner, life

    def current(self) -> Directory:
        with self._life.around("addresses.current"):
            return self._inner.current()


class MortalKeys:
    """Keys whose reading is a point."""

    def __init__(self, inner: Keys, life: Life) -> None:
        self._inner, self._life = inner, life

    def signing(self, her_id: int, at: Any) -> KeyPair:
        with self._life.around("keys.signing"):
            return self._inner.signing(her_id, at)

    def opening(self, her_id: int) -> tuple[KeyPair, ...]:
        with self._life.around("keys.opening"):
            return self._inner.opening(her_id)
