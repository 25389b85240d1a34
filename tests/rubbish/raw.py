"""HTTP as bytes: what is sent is what was written, and the answer is read while it is still being sent."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

_PIECE = 256 * 1024
_HEAD = 64 * 1024  # more than any answer has before its body
_TRIES = 3
_RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: 0 for a connection that was closed or reset without a word, -1 for nothing within the time."""

    status: int
    head: str
    body: bytes
    seconds: float
    closed: bool = False  # the connection was closed behind the answer
    more: int = 0  # further answers on the same connection


def request(path: str, body: bytes, headers: Sequence[tuple[str, str]], *, method: str = "POST") -> bytes:
    """Return a whole request with its length."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + body


async def exchange(port: int, data: bytes, *, within: float = 20.0, finish: bool = False, rest: float = 1.0) -> Answer:
    """Send `data` on a connection of its own and return the first answer.

    `finish` ends our side after the last byte. Behind the answer, what else comes within `rest` seconds is counted.
    A server that closes while we still send resets the connection, and its answer may be lost on our side (RFC 9112,
    9.6): that is tried again. One that has no word to say says none in the last try either.
    """
    for _ in range(_TRIES - 1):
        if (answer := await _exchange(port, data, within, finish, rest)).head != _RESET:
            return answer
    return await _exchange(port, data, within, finish, rest)


async def _exchange(port: int, data: bytes, within: float, finish: bool, rest: float) -> Answer:
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_HEAD)
    sending = asyncio.ensure_future(_send(writer, data, finish=finish))  # noqa: TID251 - ended below
    try:
        async with asyncio.timeout(within):
            status, head, body = await _answer(reader)
        spent = time.monotonic() - began
        closed, further = (True, b"") if status == 0 else await _rest(reader, rest)
        return Answer(status=status, head=head, body=body, seconds=spent, closed=closed, more=further.count(b"HTTP/1."))
    except TimeoutError:
        return Answer(status=-1, head="", body=b"", seconds=time.monotonic() - began)
    finally:
        sending.cancel()
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()


async def _send(writer: asyncio.StreamWriter, data: bytes, *, finish: bool) -> None:
    with suppress(ConnectionError):
        for at in range(0, len(data), _PIECE):
            writer.write(data[at : at + _PIECE])
            await writer.drain()
        if finish:
            writer.write_eof()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if head.startswith("HTTP/1.1 100"):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(fields.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return 0, "", b""
    except ConnectionError:
        return 0, _RESET, b""
    return int(head.split(" ", 2)[1]), head, body


async def _rest(reader: asyncio.StreamReader, within: float) -> tuple[bool, bytes]:
    """Return whether the connection is closed within a time, and what came until then."""
    came = b""
    try:
        async with asyncio.timeout(within):
            while piece := await reader.read(_PIECE):
                came += piece
    except TimeoutError:
        return False, came
    except ConnectionError:
        return True, came
    return True, came
