"""The EPJ's door: the HTTP API of a fagsystem. It authenticates, hands over to the stories, and shows what they say.

A client knows only its own HER-ids; anything else is answered as if it were not there.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from broker import handover, intake
from broker.diagnosis import CAUSES, causes
from broker.envelope.xml import parse
from broker.errors import Conflict, Unknown
from broker.message import InboxItem, Message
from broker.ports import Clients, Doors, Wakes
from broker.receipts.apprec import parse as parse_apprec
from broker.validation.documents import DocumentRefused
from broker.web import inputs, shapes
from broker.web.authentication import client_of
from broker.web.bodies import MAX_DOCUMENT, MAX_JSON, Pace, read_body
from broker.web.frame import CLIENT, SHARE
from broker.web.operations import OPERATIONS, PREFIX, Operation
from broker.web.problems import Problem, Stop, problem_of, stop
from broker.web.views import MessageViews
from broker.web.waiting import Bell

T = TypeVar("T")

_XML: Final = frozenset({"application/xml", "text/xml"})
_JSON: Final = frozenset({"application/json"})


class EpjDoor:
    """The handlers of the API, in the order of a message's life."""

    def __init__(
        self,
        doors: Doors,
        clients: Clients,
        *,
        pace: Pace,
        limit: int = MAX_DOCUMENT,
        bell: Bell | None = None,
        wakes: Wakes | None = None,
    ) -> None:
        self._doors, self._clients, self._pace, self._limit = doors, clients, pace, limit
        self._bell, self._wakes = bell or Bell(), wakes
        self._views = MessageViews(doors)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the API."""
        return [_route(each, getattr(self, each.handler)) for each in OPERATIONS]

    def middleware(self) -> Middleware:
        """Return the middleware that knows the client; before it, nothing of the API is looked at."""

        @web.middleware
        async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(f"{PREFIX}/"):
                request[CLIENT] = client_of(request, self._clients, self._doors.clock.now())
            return await handler(request)

        return authenticated

    # --- out ---

    async def post(self, request: web.Request) -> web.Response:
        """Take a document into custody."""
        raw = await self._xml(request)
        taken = await intake.accept(raw, request[CLIENT], self._doors, inputs.idempotency_key(request))
        headers = {"Location": f"{PREFIX}/messages/{taken.message.id}"}
        if taken.replayed:
            headers["Idempotency-Replayed"] = "true"
        return _json(shapes.taken(taken), status=202, headers=headers)

    async def validate(self, request: web.Request) -> web.Response:
        """Say what a post would be told, and keep nothing."""
        raw = await self._xml(request)
        return _json(shapes.checked(await intake.validate(raw, request[CLIENT], self._doors)))

    async def message(self, request: web.Request) -> web.Response:
        """Show where a message stands, at each receiver."""
        return _json(await self._views.show(request.match_info["id"], request[CLIENT]))

    async def message_events(self, request: web.Request) -> web.Response:
        """Show all that happened to a message."""
        found = await self._views.find(request.match_info["id"], request[CLIENT])
        history = await self._doors.store.history(found.message.id)
        return _json({"events": [shapes.event(event) for event in history]})

    async def attempts(self, request: web.Request) -> web.Response:
        """Show every try at the transport."""
        found = await self._views.find(request.match_info["id"], request[CLIENT])
        tries = await self._doors.store.attempts(found.message.id)
        return _json({"attempts": [shapes.attempt(tried) for tried in tries]})

    async def document(self, request: web.Request) -> web.Response:
        """Give the document back, byte for byte."""
        found = await self._views.find(request.match_info["id"], request[CLIENT])
        return await self._verbatim(found.message, None)

    async def apprecs(self, request: web.Request) -> web.Response:
        """Give the AppRecs that decided, as they came."""
        found = await self._views.find(request.match_info["id"], request[CLIENT])
        given = []
        for delivery in found.deliveries:
            if delivery.receipt_message is None:
                continue
            receipt = await self._views.receipt(delivery.receipt_message)
            if receipt is None:
                continue
            document = await self._body(receipt, None)
            read = await self._doors.cpu(lambda raw: parse_apprec(parse(raw, max_bytes=len(raw))), document)
            given.append(shapes.apprec(delivery.receiver_her, document, read))
        return _json({"appRecs": given})

    # --- in ---

    async def inbox(self, request: web.Request) -> web.Response:
        """List what came for the client's HER-ids, in the order it came."""
        hers, wait = inputs.hers(request, request[CLIENT]), inputs.wait(request)
        look = partial(
            self._doors.store.inbox,
            hers,
            unread=inputs.unread_only(request),
            after=request.query.get("after"),
            limit=inputs.page_size(request),
        )
        found = await self._soon(look, hers, wait)
        items = [shapes.item(item, message, await self._doors.store.payloads(message.id)) for message, item in found]
        return _json({"items": items})

    async def item(self, request: web.Request) -> web.Response:
        """Show one inbox item."""
        message, item = await self._own_item(request)
        return _json(shapes.item(item, message, await self._doors.store.payloads(message.id)))

    async def item_document(self, request: web.Request) -> web.Response:
        """Give the received document, byte for byte as the sender's system made it."""
        return await self._verbatim(*await self._own_item(request))

    async def item_payload(self, request: web.Request) -> web.Response:
        """Give what came beside the document in the same envelope, as it was once opened."""
        number = inputs.number(request)
        message, item = await self._own_item(request)
        payloads = await self._doors.store.payloads(message.id)
        payload = next((one for one in payloads if one.number == number), None)
        if payload is None:
            raise Unknown("no such payload")
        digest = base64.b64encode(payload.sha256).decode()
        return web.Response(
            body=await self._body(replace(message, body=payload.body), item),
            content_type="application/octet-stream",  # what the sender called it is no promise
            headers={"Content-Digest": f"sha-256=:{digest}:"},
        )

    async def stored(self, request: web.Request) -> web.Response:
        """The EPJ has stored the document (M7)."""
        await handover.stored(request.match_info["id"], request[CLIENT], self._doors)
        return web.Response(status=204)

    async def verdict(self, request: web.Request) -> web.Response:
        """The EPJ's verdict (M8), from which the AppRec is built."""
        given = inputs.given_verdict(await self._small(request))
        try:
            answered = await handover.verdict(
                request.match_info["id"], given.verdict, given.errors, request[CLIENT], self._doors
            )
        except (Conflict, DocumentRefused) as error:
            raise Stop(_of_a_verdict(problem_of(error))) from None
        said = {
            "itemId": answered.item.id,
            "appRecMessageId": answered.apprec_message,
            "replayed": answered.replayed,
        }
        return _json(said, status=202)

    # --- the feed ---

    async def feed(self, request: web.Request) -> web.Response:
        """Give the events of the client's HER-ids after an offset. Reading proves nothing; see `confirm`."""
        after, wait, hers = inputs.offset(request), inputs.wait(request), request[CLIENT].hers
        look = partial(self._doors.store.feed, hers, after=after, limit=inputs.page_size(request))
        events = await self._soon(look, hers, wait)
        following = events[-1].offset if events else after
        return _json({"events": [shapes.event(event) for event in events], "next": following})

    async def confirm(self, request: web.Request) -> web.Response:
        """The EPJ has taken in the outcomes up to an offset (K8)."""
        through = inputs.through(await self._small(request))
        return _json({"confirmed": await intake.confirm(request[CLIENT], through, self._doors)})

    async def webhook(self, request: web.Request) -> web.Response:
        """Show how the client's webhook stands."""
        state = self._wakes.state_of(request[CLIENT].name) if self._wakes else None
        if state is None:
            raise Unknown("the client has no webhook", hint="the municipality sets it in webhooks.to")
        return _json(shapes.wake(state))

    # --- what the handlers share ---

    async def _soon(
        self, look: Callable[[], Awaitable[tuple[T, ...]]], hers: Collection[int], wait: float
    ) -> tuple[T, ...]:
        """Return what `look` finds, waiting up to `wait` seconds for the first of it."""
        if not wait:
            return await look()
        deadline = asyncio.get_running_loop().time() + wait
        with self._bell.waiter(hers) as waiter:
            while not (found := await look()) and await waiter.until(deadline):
                pass
            return found

    async def _xml(self, request: web.Request) -> bytes:
        _, body = await read_body(request, request[SHARE], limit=self._limit, types=_XML, pace=self._pace)
        return body

    async def _small(self, request: web.Request) -> bytes:
        _, body = await read_body(request, request[SHARE], limit=MAX_JSON, types=_JSON, pace=self._pace)
        return body

    async def _own_item(self, request: web.Request) -> tuple[Message, InboxItem]:
        found = await self._doors.store.item(request.match_info["id"])
        if found is None or found[1].receiver_her not in request[CLIENT].hers:
            raise Unknown("no such inbox item")
        return found

    async def _verbatim(self, message: Message, item: InboxItem | None) -> web.Response:
        digest = base64.b64encode(message.sha256).decode()
        return web.Response(
            body=await self._body(message, item),
            content_type="application/xml",  # no charset: the document's own declaration holds
            headers={"Content-Digest": f"sha-256=:{digest}:"},
        )

    async def _body(self, message: Message, item: InboxItem | None) -> bytes:
        try:
            return await handover.content_of(message, item, self._doors)
        except KeyError:
            raise stop(
                410,
                causes.NOT_FOUND,
                "Innholdet er slettet etter oppbevaringstiden.",
                "The content was erased when its time was over.",
            ) from None


def _route(of: Operation, handler: Callable[[web.Request], Awaitable[web.Response]]) -> web.RouteDef:
    # A MsgId may hold anything but a slash, braces included; "validate" is a resource of its own.
    path = of.path.replace("{id}", "{id:(?!validate$)[^/]+}")
    return web.get(path, handler, allow_head=False) if of.method == "GET" else web.post(path, handler)


def _of_a_verdict(problem: Problem) -> Problem:
    """The same status, with the words that fit a verdict instead of a document."""
    error_id = causes.OTHER_VERDICT if problem.status == 409 else causes.VERDICT_REFUSED
    return Problem(
        status=problem.status,
        error_id=error_id,
        detail=problem.detail if problem.faults else CAUSES[error_id].name,
        faults=problem.faults,
    )


def _json(said: shapes.Json, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=shapes.written(said),
        status=status,
        content_type="application/json",
        headers=headers,
    )
