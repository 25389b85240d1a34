"""A peer that behaves as badly as a test says: one behaviour, on loopback, over HTTP or TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(behave: Peer, tls: ssl.SSLContext | None = None, at: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve one behaviour, and give its endpoint; its tasks end with the test."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(served, at, 0, ssl=tls, limit=2**26)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"{'https' if tls else 'http'}://{at}:{port}/ebms"
