"""What a request may bring, and for how long: types, sizes, coding, pace, and memory for all requests together."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from typing import Final, Self

from aiohttp import ClientPayloadError, StreamReader, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from broker import telemetry
from broker.diagnosis import causes
from broker.web.problems import Stop, stop

MB: Final = 1024 * 1024
MAX_DOCUMENT: Final = 35 * MB  # at the EPJ door; design.md, decision 17
MAX_ENVELOPE: Final = 52 * MB  # a 35 MB document after CMS and base64; design.md, decision 17
MAX_JSON: Final = 64 * 1024  # a verdict with every code of list 8221 and a page of text
MAX_HEADERS: Final = 8 * 1024  # all together; design.md, decision 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How slow a body may come, in seconds."""

    idle: float = 15.0  # between two pieces
    whole: float = 300.0  # for all of it: 52 MB at 1.4 Mbit/s
    slowest: float = 1000.0  # bytes a second on the average, once `idle` has passed: a drip holds no connection


class Room:
    """The memory that all bodies under way may take together. A share grows only by what has really come in."""

    def __init__(self, total: int = 256 * MB) -> None:
        self._total, self._taken = total, 0

    @property
    def taken(self) -> int:
        """Return how many bytes are held now."""
        return self._taken

    def share(self) -> "Share":
        """Return the share of one request."""
        return Share(self)

    def take(self, count: int) -> None:
        """Hold `count` bytes more (or less). Raises Stop (503) when there is no room; nothing is held then."""
        if self._taken + count > self._total:
            raise stop(
                503,
                causes.NOT_ACCEPTING,
                "For mange store forespørsler er underveis. Ingenting er tatt imot.",
                "Too many large requests are under way. Nothing was taken.",
                retryable=True,
            )
        self._taken += count
        telemetry.holding(self._taken)


class Share:
    """What one request holds of the room; all of it is given back in the end."""

    def __init__(self, room: Room) -> None:
        self._room, self.held = room, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.held:
            self._room.take(-self.held)

    def grow(self, count: int) -> None:
        """Hold `count` bytes more. Raises Stop (503) when there is no room."""
        self._room.take(count)
        self.held += count


async def read_body(
    request: web.Request, share: Share, *, limit: int, types: Collection[str], pace: Pace
) -> tuple[str, bytes]:
    """Return Content-Type as it stands, and the whole body, never transcoded or unpacked.

    Raises Stop: 400 (broken or doubtful framing), 408 (too slow), 413, 415, 503 (no room).
    """
    content_type = _content_type(request, types)
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    try:
        body = await _pieces(request.content, share, limit, pace)
    except TimeoutError:
        raise stop(
            408,
            causes.TOO_SLOW,
            "Kroppen kom for langsomt. Ingenting er tatt imot.",
            "The body came too slowly. Nothing was taken.",
            retryable=True,
        ) from None
    except (HttpProcessingError, ClientPayloadError, web.RequestPayloadError, ConnectionError):
        raise _broken() from None  # the cause may quote the bytes
    if length is not None and len(body) != length:
        raise _broken()
    return content_type, body


async def _pieces(content: StreamReader, share: Share, limit: int, pace: Pace) -> bytes:
    pieces: list[bytes] = []
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        if content.is_eof():  # all of it is here, and nothing is waited for
            piece = content.read_nowait()
        else:
            by_now = began + min(pace.idle + share.held / pace.slowest, pace.whole)
            async with asyncio.timeout_at(min(clock() + pace.idle, by_now)):
                piece = await content.readany()
        share.grow(len(piece))
        if share.held > limit:
            raise _too_large(limit)
        pieces.append(piece)
        if content.at_eof():
            return b"".join(pieces)


def check_headers(request: web.Request) -> None:
    """Raises Stop (431) where all headers together are larger than we read."""
    size = len(request.raw_path) + 4 * len(request.raw_headers) + sum(map(len, chain(*request.raw_headers)))
    if size > MAX_HEADERS:
        raise stop(
            431,
            causes.BAD_REQUEST,
            f"Hodet er for stort; grensen er {MAX_HEADERS // 1024} KiB.",
            f"The header is too large; the limit is {MAX_HEADERS // 1024} KiB.",
        )


def _content_type(request: web.Request, types: Collection[str]) -> str:
    given = request.headers.getall(hdrs.CONTENT_TYPE, [])
    if len(given) > 1:
        raise stop(400, causes.BAD_REQUEST, "Content-Type står mer enn én gang.", "Content-Type stands more than once.")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() != "identity":
        raise stop(
            415,
            causes.WRONG_MEDIA_TYPE,
            "Content-Encoding tas ikke imot; send kroppen ukomprimert.",
            "No Content-Encoding is taken; send the body uncompressed.",
        )
    if not given or given[0].partition(";")[0].strip().lower() not in types:
        wanted = ", ".join(sorted(types))
        raise stop(
            415,
            causes.WRONG_MEDIA_TYPE,
            f"Content-Type må være en av: {wanted}.",
            f"Content-Type must be one of: {wanted}.",
        )
    return given[0]


def _too_large(limit: int) -> Stop:
    size = f"{limit // MB} MB" if limit >= MB else f"{limit // 1024} KiB"
    return stop(413, causes.TOO_LARGE, f"Grensen er {size}.", f"The limit is {size}.")


def _broken() -> Stop:
    return stop(
        400,
        causes.BAD_REQUEST,
        "Kroppen er ikke hel. Ingenting er tatt imot.",
        "The body is not whole. Nothing was taken.",
    )
