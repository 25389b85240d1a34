"""What the demo asks of the brokers, over the same HTTP API as everyone: where a message stands, and its bytes."""

import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from broker.message import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where one message stands, by the sender's broker."""

    id: str
    stop_point: str
    sentence: Text
    transport: str  # Unconfirmed, Acknowledged, Rejected, Abandoned
    apprec: str | None  # Ok, Rejected, OkErrorInMessagePart, or None for none yet
    outcome: str  # open, completed, rejected, closed
    codes: tuple[str, ...]
    error_id: str | None
    conversation: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What the receiver's broker says of the same message."""

    item: str
    state: str  # waiting, stored, judged, receipted
    conversation: str
    sha256: str


class Unexpected(Exception):
    """A broker answered with a status that it should not."""


class Questions:
    """One client of one broker."""

    def __init__(self, api: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._session = aiohttp.ClientSession(api, headers=headers, timeout=aiohttp.ClientTimeout(total=20))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def ready(self) -> bool:
        """Say whether the broker answers that it is ready."""
        try:
            async with self._session.get("/readyz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def way(self, id: str) -> Way | None:
        """Return where a message of one receiver stands, or None for an id that the broker does not know."""
        told = await self._json(f"/api/v1/messages/{id}")
        if told is None:
            return None
        (receiver,) = told["receivers"]
        return Way(
            id=told["id"],
            stop_point=receiver["stopPoint"],
            sentence=Text(nb=receiver["sentence"]["nb"], en=receiver["sentence"]["en"]),
            transport=receiver["transportDeliveryState"],
            apprec=receiver["appRecStatus"],
            outcome=receiver["outcome"],
            codes=tuple(code["errorCode"] for code in receiver["codes"]),
            error_id=receiver["errorId"],
            conversation=told["conversationId"],
            sha256=told["sha256"],
        )

    async def attempts(self, id: str) -> tuple[str, ...]:
        """Return the results of all tries at the transport, oldest first."""
        told = await self._json(f"/api/v1/messages/{id}/attempts")
        return () if told is None else tuple(attempt["result"] for attempt in told["attempts"])

    async def posted_bytes(self, id: str) -> bytes | None:
        """Return the document as the broker holds it."""
        return await self._bytes(f"/api/v1/messages/{id}/document")

    async def arrival(self, item: str) -> Arrival | None:
        """Return an inbox item."""
        told = await self._json(f"/api/v1/inbox/{item}")
        if told is None:
            return None
        return Arrival(item=told["id"], state=told["state"], conversation=told["conversationId"], sha256=told["sha256"])

    async def arrived_bytes(self, item: str) -> bytes | None:
        """Return the document of an inbox item."""
        return await self._bytes(f"/api/v1/inbox/{item}/document")

    async def _json(self, path: str) -> dict[str, Any] | None:
        content = await self._bytes(path)
        if content is None:
            return None
        told: dict[str, Any] = json.loads(content)
        return told

    async def _bytes(self, path: str) -> bytes | None:
        async with self._session.get(path) as answer:
            content = await answer.read()
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise Unexpected(f"GET {path} was answered with {answer.status}")
        return content
