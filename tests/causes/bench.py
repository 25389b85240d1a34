"""Two brokers on real sockets: the way out is the real carrier, and the partner is right's own door or a bad peer."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from broker.envelope import mime
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse_header
from broker.envelope.signature import sign_envelope
from broker.envelope.xml import parse
from broker.errors import Refused
from broker.ports import Carrier, TransportReply
from broker.receipts.message_error import build_message_error
from broker.routing.party import Party
from broker.sealing.certificates import Use
from broker.transport.https import https_carrier, loopback_only
from broker.web.app import make_partner_app
from broker.web.bodies import Room
from broker.web.listen import listening
from tests.causes.told import Told, Views, views
from tests.rig.peers import Peer
from tests.scenario.pair import (
    DALBYGDA,
    FJORDVIK,
    Clock,
    Pair,
    Randomness,
    Side,
    Wire,
    dialogue,
    directory_of,
    open_side,
    side_key,
)

MSG_ID = "66666666-0000-4000-8000-000000000001"


@dataclass
class Line:
    """The carrier of both sides; a case may put another in its place."""

    carrier: Carrier

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        return await self.carrier.post(endpoint, content_type=content_type, body=body, timeout=timeout)


@dataclass
class Bench:
    """What a case works with. Left is the broker that is looked at."""

    brokers: Pair
    views: Views
    line: Line

    @property
    def left(self) -> Side:
        return self.brokers.left

    @property
    def right(self) -> Side:
        return self.brokers.right

    def towards(self, endpoint: str) -> None:
        """Let left's record of right name another endpoint."""
        self.organisation(endpoint=endpoint)

    def organisation(self, **changes: object) -> None:
        """Change left's record of right's organisation: endpoint and certificates stand there."""
        self._change(DALBYGDA // 100 * 100, **changes)

    def unit(self, **changes: object) -> None:
        """Change left's record of right's unit: kind, agreements, whether it is active."""
        self._change(DALBYGDA, **changes)

    def agreement(self, **changes: object) -> None:
        """Change the agreement, in left's record alone."""
        known = self.left.addresses.directory.parties[DALBYGDA].agreements
        self.unit(agreements=tuple(replace(each, **changes) for each in known))  # type: ignore[arg-type]  # by name

    def without_agreement(self) -> None:
        """Take the agreement away from both of left's records."""
        self.unit(agreements=())
        self._change(FJORDVIK, agreements=())

    def without(self, her: int) -> None:
        """Take a record away from left."""
        directory = self.left.addresses.directory
        parties = {each: party for each, party in directory.parties.items() if each != her}
        self.left.addresses.directory = replace(directory, parties=parties)

    def _change(self, her: int, **changes: object) -> None:
        directory = self.left.addresses.directory
        party: Party = replace(directory.parties[her], **changes)  # type: ignore[arg-type]  # by name
        self.left.addresses.directory = replace(directory, parties={**directory.parties, her: party})

    def patience(self, seconds: float) -> None:
        """Let left wait so long for an answer."""
        self.left.doors = replace(
            self.left.doors, site=replace(self.left.doors.site, timeout=timedelta(seconds=seconds))
        )

    async def sent(self, raw: bytes | None = None) -> Told:
        """Post a letter, let all that is due happen, and return what is told of it."""
        id = await self.views.post(raw or dialogue(MSG_ID))
        await self.brokers.run()
        return await self.views.message(id)


@asynccontextmanager
async def bench(
    folder: Path,
    *,
    reserve: int = 0,
    tls: ssl.SSLContext | None = None,
    door: ssl.SSLContext | None = None,
    plain: bool = True,
    sync: bool = True,
) -> AsyncIterator[Bench]:
    """Give two brokers with an agreement. Left reaches right by the real carrier, at right's real door.

    `reserve`: bytes of the disk that left leaves alone. `tls`: left's context as a client, `door`: right's as a server.
    """
    clock, directory = Clock(), directory_of((FJORDVIK, DALBYGDA), sync=sync)
    allow: Callable[[str], bool] = loopback_only if plain else _never
    async with https_carrier(tls=None if tls is None else lambda _: tls, allow_plain=allow) as carrier:
        line = Line(carrier)
        left = await open_side(folder / "left", FJORDVIK, directory, clock, line, Randomness(1), reserve)
        right = await open_side(folder / "right", DALBYGDA, directory, clock, line, Randomness(2))
        partner = make_partner_app(right.doors, room=Room())
        try:
            async with (
                listening(partner, host="127.0.0.1", port=0, tls=door, grace=1) as port,
                views(left, folder) as seen,
            ):
                brokers = Pair(clock=clock, wire=Wire(), left=left, right=right, sync=sync)
                made = Bench(brokers=brokers, views=seen, line=line)
                made.towards(f"{'https' if door else 'http'}://127.0.0.1:{port}/ebms")
                yield made
        finally:
            await left.store.close()
            await right.store.close()


def _never(_url: str) -> bool:
    return False


# --- bad peers ---


async def request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read one request. Returns its Content-Type and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return headers["content-type"], await reader.readexactly(int(headers["content-length"]))


def answering(status: str, body: bytes = b"", content_type: str = "text/plain", date: datetime | None = None) -> Peer:
    """Return a server that reads the request and gives this answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close"]
    if date is not None:
        lines.append(f"Date: {date:%a, %d %b %Y %H:%M:%S GMT}")
    answer = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return behave


def refusing(code: str) -> Peer:
    """Return a message service that refuses every envelope with a MessageError of this code, signed by right."""
    why = type("Why", (Refused,), {"code": code})("it does not suit us")

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        content_type, body = await request(reader)
        root = mime.read(content_type, body).root.body
        header = parse_header(parse(root, max_bytes=10**7))
        error = build_message_error(header, why, message_id=f"error@b{DALBYGDA}.test", timestamp=header.timestamp)
        signed = sign_envelope(build(error), {}, side_key(DALBYGDA, Use.SIGN))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(signed))
        writer.write(signed)
        await writer.drain()

    return behave
