"""A broker's HTTP API in memory: two parties, no envelope, no retries. Just enough to see what a simulator does."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from aiohttp import web

TOKENS = {"token-a": 8000101, "token-b": 8000201}


@dataclass
class Item:
    id: str
    msg_id: str
    sender: int
    receiver: int
    content: bytes
    state: str = "waiting"
    verdict: dict[str, Any] | None = None


@dataclass
class FakeApi:
    """`unwell` answers of 503 are given before anything is served; `chase` asks for a receipt."""

    items: dict[str, Item] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    confirmed: dict[int, int] = field(default_factory=dict)
    unwell: int = 0
    posts: int = 0
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what the simulators do by themselves, at most 10 seconds; looks at each request."""
        async with asyncio.timeout(10):
            while not holds():
                self._asked.clear()
                await self._asked.wait()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._sometimes_unwell])
        app.add_routes(
            [
                web.post("/api/v1/messages", self.post),
                web.get("/api/v1/inbox", self.inbox),
                web.get("/api/v1/inbox/{id}/document", self.document),
                web.post("/api/v1/inbox/{id}/stored", self.stored),
                web.post("/api/v1/inbox/{id}/apprec", self.apprec),
                web.get("/api/v1/events", self.feed),
                web.post("/api/v1/events/confirm", self.confirm),
            ]
        )
        return app

    def tell(self, her: int, kind: str, **facts: Any) -> None:
        self.events.append({"offset": len(self.events) + 1, "her": her, "type": kind, **facts})

    def chase(self, msg_id: str) -> None:
        for item in self.items.values():
            if item.msg_id == msg_id:
                self.tell(item.receiver, "inbox.receipt_requested", itemId=item.id, msgId=msg_id)

    @web.middleware
    async def _sometimes_unwell(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self._asked.set()
        if self.unwell > 0:
            self.unwell -= 1
            return web.json_response({"accepted": False}, status=503)
        response: web.StreamResponse = await handler(request)
        return response

    def her(self, request: web.Request) -> int:
        return TOKENS[request.headers["Authorization"].removeprefix("Bearer ")]

    async def post(self, request: web.Request) -> web.Response:
        self.posts += 1
        content = await request.read()
        found = re.search(rb"<MsgId>([^<]+)</MsgId>", content)
        if found is None:
            return web.json_response(
                {"errorId": "MB-1001", "accepted": False, "faults": [{"rule": "xsd.missing-element"}]}, status=422
            )
        msg_id = found[1].decode()
        sender = self.her(request)
        receiver = next(her for her in TOKENS.values() if her != sender)
        known = next((item for item in self.items.values() if item.msg_id == msg_id), None)
        item = known or Item(f"item-{len(self.items)}", msg_id, sender, receiver, content)
        self.items[item.id] = item
        digest = sha256(content).hexdigest()
        answer = {"id": f"m-{item.id}", "msgId": msg_id, "sha256": digest, "replayed": known is not None}
        return web.json_response(answer, status=202)

    async def inbox(self, request: web.Request) -> web.Response:
        her = self.her(request)
        waiting = [item for item in self.items.values() if item.receiver == her and item.state == "waiting"]
        listed = [
            {
                "id": item.id,
                "msgId": item.msg_id,
                "senderHerId": item.sender,
                "receiverHerId": item.receiver,
                "appRecOwed": True,
            }
            for item in waiting
        ]
        return web.json_response({"items": listed})

    async def document(self, request: web.Request) -> web.Response:
        return web.Response(body=self.items[request.match_info["id"]].content, content_type="application/xml")

    async def stored(self, request: web.Request) -> web.Response:
        item = self.items[request.match_info["id"]]
        item.state = "stored" if item.state == "waiting" else item.state
        return web.Response(status=204)

    async def apprec(self, request: web.Request) -> web.Response:
        item = self.items[request.match_info["id"]]
        verdict = await request.json()
        if item.verdict not in (None, verdict):
            return web.json_response({"errorId": "MB-1009"}, status=409)
        replayed = item.verdict is not None
        item.verdict, item.state = verdict, "receipted"
        if not replayed:
            kind = {"Ok": "message.apprec_ok"}.get(verdict["appRecStatus"], "message.apprec_rejected")
            codes = [error["errorCode"] for error in verdict["appRecErrorList"]]
            self.tell(item.sender, kind, msgId=item.msg_id, codes=codes)
        return web.json_response({"itemId": item.id, "appRecMessageId": "x", "replayed": replayed}, status=202)

    async def feed(self, request: web.Request) -> web.Response:
        her, after = self.her(request), int(request.query["after"])
        seen = [event for event in self.events if event["her"] == her and event["offset"] > after]
        return web.json_response({"events": seen[: int(request.query["limit"])], "next": after})

    async def confirm(self, request: web.Request) -> web.Response:
        through = (await request.json())["through"]
        self.confirmed[self.her(request)] = through
        return web.json_response({"confirmed": 1})
