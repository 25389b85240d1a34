"""Connections that are held and not used: silent ones, and ones that bring a byte at a time. Each notes its end."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

_STEP = 0.5  # seconds between two bytes


@dataclass
class Crowd:
    """What became of those that came. Ends by kind and by what was heard last ("closed", "408", "refused")."""

    came: Counter[str] = field(default_factory=Counter)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    longest: dict[str, float] = field(default_factory=dict)  # seconds that one of a kind was held

    async def stay(self, kind: str, port: int, opening: bytes, drip: bytes = b"") -> None:
        """Connect, send `opening`, then a byte of `drip` at a time, until the other side ends it."""
        loop = asyncio.get_running_loop()
        self.came[kind] += 1
        began = loop.time()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            self.ended[kind, "refused"] += 1
            return
        dripping = asyncio.ensure_future(_drip(writer, opening, drip))  # noqa: TID251 - ended below
        try:
            heard = await reader.read(4096)
        except ConnectionError:
            heard = b""
        finally:
            dripping.cancel()
            writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
        self.ended[kind, heard[9:12].decode("latin-1") or "closed"] += 1
        self.longest[kind] = max(self.longest.get(kind, 0.0), loop.time() - began)


async def _drip(writer: asyncio.StreamWriter, opening: bytes, drip: bytes) -> None:
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        writer.write(opening)
        for number in range(len(drip)):
            due: asyncio.Future[None] = loop.create_future()
            loop.call_later(_STEP, due.cancel)
            with suppress(asyncio.CancelledError):
                await due
            if writer.is_closing():
                return
            writer.write(drip[number : number + 1])
            await writer.drain()
