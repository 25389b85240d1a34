"""Planted faults: brokers that break one promise each. A harness that stays green with one of these proves nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from broker import inbound
from broker.arrivals import Came, event_of
from broker.message import Answer, Changes, EventKind, ReceivedEnvelope
from broker.ports import Claimed, Doors, Store
from broker.store import claim
from tests.scenario import world
from tests.scenario.mortal import Life

Wrap = Callable[[Store, Life], Store]


class Deferring:
    """Says of one write that it is done, and does it when the worker next looks: promised before it is on disk."""

    def __init__(self, inner: Store, write: str) -> None:
        self._inner, self._write, self._waiting = inner, write, list[Changes]()

    async def claim(self, **asked: Any) -> Claimed:
        while self._waiting:
            await getattr(self._inner, self._write)(self._waiting.pop(0))
        return await self._inner.claim(**asked)

    def __getattr__(self, name: str) -> Any:
        return self._later if name == self._write else getattr(self._inner, name)

    async def _later(self, changes: Changes) -> None:
        self._waiting.append(changes)


class Splitting:
    """Writes what is told and what is so in two transactions."""

    def __init__(self, inner: Store, life: Life) -> None:
        self._inner, self._life = inner, life

    async def receive(self, changes: Changes) -> None:
        if any(event.feed for event in changes.events):
            await self._inner.record(Changes(events=changes.events))
            self._life.at("store.receive", "amid")
            changes = replace(changes, events=(replace(changes.events[0], feed=False),))
        await self._inner.receive(changes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@contextmanager
def _leases_outlive_us() -> Iterator[None]:
    with patch.object(claim, "free_leases", lambda db: None), patch.object(world, "LEASE", timedelta(days=10_000)):
        yield


@contextmanager
def _answers_anew() -> Iterator[None]:
    async def again(came: Came, known: ReceivedEnvelope, doors: Doors) -> Answer:
        answer = replace(known.answer, body=known.answer.body.replace(b"</", b" </", 1))
        event, later = event_of(EventKind.DUPLICATE, came), inbound._later(came, answer, doors)
        return await inbound._commit(came, Changes(events=(event,), signals=later), answer, doors)

    with patch.object(inbound, "_again", again):
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _as_is(store: Store, _: Life) -> Store:
    return store


# name -> how the store is wrapped, what else is spoiled
SABOTAGES: dict[str, tuple[Wrap, Callable[[], Any]]] = {
    "": (_as_is, _nothing),
    "ack-before-commit": (lambda store, _: Deferring(store, "receive"), _nothing),
    "reply-before-commit": (lambda store, _: Deferring(store, "accept"), _nothing),
    "told-before-recorded": (Splitting, _nothing),
    "forget-lease": (_as_is, _leases_outlive_us),
    "answer-anew": (_as_is, _answers_anew),
}
