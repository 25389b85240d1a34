"""What operators see: any message by any id, with its whole history, and what is not finished. Reads, and no bodies.

The running broker answers over a Unix socket; where none runs, the command line asks the same of the store itself.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from broker.diagnosis import CAUSES, Standing, stand, stand_item
from broker.errors import BrokerError, Unaddressable
from broker.message import Attempt, InboxItem, Kind, Message, StoredEvent, Work
from broker.ports import Addresses, Clock, Delivered, Doors
from broker.web import shapes
from broker.web.unix import bound, removed

MOST_MESSAGES: Final = 20  # of one answer; a conversation may have more
MOST_WAITING: Final = 1000


class Reads(Protocol):
    """What is asked of the store: a part of `ports.Store`, so that a store open for reading alone will do."""

    async def find(self, id: str, *, hers: Collection[int] | None) -> tuple[Delivered, ...]:
        """See `ports.Store`."""

    async def work(self, delivery_id: str) -> Work | None:
        """See `ports.Store`."""

    async def inbound(
        self, *, sender_her: int, msg_id: str, kind: Kind = Kind.DOCUMENT
    ) -> tuple[Message, InboxItem | None] | None:
        """See `ports.Store`."""

    async def attempts(self, message_id: str) -> tuple[Attempt, ...]:
        """See `ports.Store`."""

    async def history(self, message_id: str) -> tuple[StoredEvent, ...]:
        """See `ports.Store`."""

    async def queue(self, *, limit: int) -> tuple[Work, ...]:
        """See `ports.Store`."""


class Operators:
    """The answers, as JSON."""

    def __init__(self, store: Reads, *, addresses: Addresses, clock: Clock) -> None:
        self._store, self._addresses, self._now = store, addresses, clock.now

    async def journey(self, id: str) -> list[shapes.Json]:
        """Return every message that carries the id, each with receivers, events and attempts; at most 20."""
        found = await self._store.find(id, hers=None)
        return [await self._journey(one) for one in found[:MOST_MESSAGES]]

    async def queue(self, limit: int) -> list[shapes.Json]:
        """Return what is not finished, that which waits for a person first."""
        return [self._waiting(work) for work in await self._store.queue(limit=min(limit, MOST_WAITING))]

    async def _journey(self, one: Delivered) -> shapes.Json:
        message = one.message
        if shapes.outgoing(message):
            works = [work for delivery in one.deliveries if (work := await self._store.work(delivery.id)) is not None]
            standings = [self._stand(work) for work in works]
            receivers = [
                shapes.receiver(work.delivery, standing) | self._more(standing, work.delivery.receiver_her)
                for work, standing in zip(works, standings, strict=True)
            ]
        else:
            received = await self._store.inbound(
                sender_her=message.sender_her, msg_id=message.msg_id, kind=message.kind
            )
            item = received[1] if received else None
            standings = (
                [stand_item(item, message, name=self._name(message.sender_her), now=self._now())] if item else []
            )
            receivers = [
                shapes.received_by(item, standing) | self._more(standing, item.receiver_her)
                for standing in standings
                if item
            ]
        told = shapes.message(message, standings[0] if len(standings) == 1 else None, receivers)
        return told | {
            "kind": message.kind,
            "function": message.function,
            "senderName": self._name(message.sender_her),
            "client": message.client,
            "events": [
                shapes.event(event) | {"ebMessageId": event.event.eb_id, "why": event.event.why}
                for event in await self._store.history(message.id)
            ],
            "attempts": [shapes.attempt(attempt) for attempt in await self._store.attempts(message.id)],
        }

    def _waiting(self, work: Work) -> shapes.Json:
        message, standing = work.message, self._stand(work)
        return shapes.receiver(work.delivery, standing) | {
            "messageId": message.id,
            "msgId": message.msg_id,
            "kind": message.kind,
            "type": message.type,
            "receivedAt": shapes.instant(message.at),
            "senderHerId": message.sender_her,
            "senderName": self._name(message.sender_her),
            **self._more(standing, work.delivery.receiver_her),
        }

    def _stand(self, work: Work) -> Standing:
        return stand(
            work.delivery,
            work.message,
            name=self._name(work.delivery.receiver_her),
            now=self._now(),
            envelope=work.envelope,
        )

    def _name(self, her: int) -> str:
        try:
            party = self._addresses.current().party(her)
        except Unaddressable:
            party = None
        return party.name if party else "?"

    def _more(self, standing: Standing, receiver: int) -> shapes.Json:
        cause = CAUSES.get(standing.error_id) if standing.error_id else None
        return {
            "receiverName": self._name(receiver),
            "cause": {"nb": cause.name.nb, "en": cause.name.en} if cause else None,
            "act": {"nb": standing.act.nb, "en": standing.act.en} if standing.act else None,
        }


def make_operator_app(doors: Doors) -> web.Application:
    """Return the application behind the socket of a running broker."""
    return operator_app(Operators(doors.store, addresses=doors.addresses, clock=doors.clock))


def operator_app(operators: Operators) -> web.Application:
    """Return the application that gives these answers: `/journey?id=` and `/queue?limit=`."""

    async def journey(request: web.Request) -> web.Response:
        found = await operators.journey(request.query.get("id", ""))
        return web.json_response(found, status=200 if found else 404)

    async def queue(request: web.Request) -> web.Response:
        limit = request.query.get("limit", "")
        return web.json_response(await operators.queue(int(limit) if limit.isdecimal() else MOST_WAITING))

    @web.middleware
    async def plainly(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except BrokerError as error:
            return web.json_response({"why": error.why}, status=503)

    app = web.Application(middlewares=[plainly])
    app.add_routes([web.get("/journey", journey), web.get("/queue", queue)])
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
