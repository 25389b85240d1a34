"""HTTP as an EPJ system speaks it, in few instructions: what the load costs is not the broker's doing.

One keep-alive connection a task that asks at the same time; Content-Length both ways, as our own server writes it.
"""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit


class Refused(Exception):
    """An answer with another status than the one that was waited for."""


class Client:
    """A client of one broker's API."""

    def __init__(self, api: str, token: str) -> None:
        address = urlsplit(api)
        self._host, self._port = address.hostname or "", address.port or 80
        self._fixed = f"Host: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(
        self, method: str, path: str, *, wanted: int, content: bytes = b"", content_type: str = "application/xml"
    ) -> bytes:
        """Return the body of an answer of status `wanted`. Raises Refused for another."""
        reader, writer = await self._connection()
        head = f"{method} {path} HTTP/1.1\r\n{self._fixed}"
        if content:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
        writer.write(f"{head}\r\n".encode() + content)
        lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next(int(line[16:]) for line in lines if line.lower().startswith(b"content-length: "))
        body = await reader.readexactly(length) if length else b""
        self._free.append((reader, writer))
        if (status := int(lines[0].split()[1])) != wanted:
            raise Refused(f"{method} {path}: {status} {body.decode()}")
        return body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection that the broker has not closed meanwhile, as it does with idle ones."""
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    async def json(self, method: str, path: str, *, wanted: int = 200, said: object = None) -> Any:
        """Return the JSON that an answer of status `wanted` holds. Raises Refused for another."""
        content = b"" if said is None else json.dumps(said).encode()
        return json.loads(await self.ask(method, path, wanted=wanted, content=content, content_type="application/json"))

    async def close(self) -> None:
        """Close the connections."""
        for _, writer in self._free:
            writer.close()
            await writer.wait_closed()
