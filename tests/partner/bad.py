"""Three bad partners: at one nobody answers, one sends a byte a second, one says 200 and HTML."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from broker.demo.documents import Unit
from broker.demo.site import DemoSite
from broker.lookup.clock import SystemClock
from broker.lookup.new_keys import new_keys

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_SLOW = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 4000\r\n\r\n"
_HTML = b"<html><body><h1>Velkommen</h1></body></html>"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(_HTML)


def _unit(her: int, name: str) -> Unit:
    return Unit(her=her, name=name, organisation_her=her // 100 * 100, organisation_name=f"{name} kommune")


DEAD, SLOW, HTML = _unit(8000401, "Død"), _unit(8000501, "Treg"), _unit(8000601, "Nettside")


@dataclass
class Bad:
    """What the bad partners have had to do with."""

    dead: str  # endpoints
    slow: str
    html: str
    held: int = 0  # requests that the slow one is answering now
    most_held: int = 0
    html_given: int = 0


@asynccontextmanager
async def bad_partners() -> AsyncIterator[Bad]:
    """Serve the slow one and the one with HTML, and keep an address at which nobody listens."""
    with closing(socket.socket()) as kept:
        kept.bind(("127.0.0.1", 0))  # bound, and not listening: every connection is refused

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _request(reader)
            seen.held += 1
            seen.most_held = max(seen.most_held, seen.held)
            try:
                writer.write(_SLOW)
                for _ in range(4000):
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(1)
            finally:
                seen.held -= 1
                writer.close()

        async def html(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _request(reader)
            writer.write(_ANSWER + _HTML)
            await writer.drain()
            seen.html_given += 1
            writer.close()

        servers = [await asyncio.start_server(_quiet(each), "127.0.0.1", 0) for each in (slow, html)]
        slow_port, html_port = (server.sockets[0].getsockname()[1] for server in servers)
        seen = Bad(
            dead=_endpoint(kept.getsockname()[1]),
            slow=_endpoint(slow_port),
            html=_endpoint(html_port),
        )
        try:
            yield seen
        finally:
            for server in servers:
                server.close()


def introduce(bad: Bad, site: DemoSite) -> None:
    """Write the bad partners into a site's address records, each with certificates and an agreement of its own."""
    for unit, endpoint in ((DEAD, bad.dead), (SLOW, bad.slow), (HTML, bad.html)):
        number = f"9{unit.organisation_her:08d}"
        keys, addresses = site.folder / "bad", site.folder / "addresses"
        new_keys(keys, organisation=number, name=unit.organisation_name, now=SystemClock().now(), bits=2048)
        for use in ("signing", "encryption"):
            name = f"{unit.organisation_her}-{use}.crt"
            (addresses / name).write_bytes((keys / number / f"{use}.crt").read_bytes())
        _write(
            addresses / f"{unit.organisation_her}.toml",
            f"her_id = {unit.organisation_her}",
            f'name = "{unit.organisation_name}"',
            'kind = "organisation"',
            f'organisation_number = "{number}"',
            f'endpoint = "{endpoint}"',
            f'signing = ["{unit.organisation_her}-signing.crt"]',
            f'encryption = ["{unit.organisation_her}-encryption.crt"]',
        )
        _write(
            addresses / f"{unit.her}.toml",
            f"her_id = {unit.her}",
            f'name = "{unit.name}"',
            'kind = "epj"',
            f"parent = {unit.organisation_her}",
            "[[agreement]]",
            f"with = {site.unit.her}",
            f'cpa_id = "bad:{unit.her}"',
            "retries = 200",
            'retry_interval = "PT2S"',
            'persist_duration = "PT30M"',
            "sync = true",
        )


def _write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}/ebms"


async def _request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            await reader.readexactly(int(value))


def _quiet(serve: Serve) -> Serve:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)

    return served
