"""A mail server and a webhook that keep what they are given, and can be told to refuse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiohttp import web


@dataclass
class Mails:
    """What came by SMTP. `answer` is what the end of a mail is answered with."""

    port: int = 0
    raw: list[bytes] = field(default_factory=list)
    answer: str = "250 kept"

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(one, policy=policy.default) for one in self.raw]


@asynccontextmanager
async def mail_server() -> AsyncIterator[Mails]:
    """Speak as much SMTP (RFC 5321) as takes one mail."""
    kept = Mails()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        try:
            say("220 sink")
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    say("354 go on")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    if kept.answer.startswith("250"):
                        kept.raw.append(content[:-5])
                    say(kept.answer)
                elif verb == b"QUIT":
                    say("221 bye")
                    break
                else:
                    say("250 well")
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # a client that does not like what it is told hangs up, with our answers unread
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    kept.port = server.sockets[0].getsockname()[1]
    async with server:
        yield kept


@dataclass
class Posts:
    """What came by HTTP. `status` is what each POST is answered with."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200


@asynccontextmanager
async def webhook_server() -> AsyncIterator[Posts]:
    """Take every POST."""
    kept = Posts()

    async def take(request: web.Request) -> web.Response:
        content = await request.read()
        if 200 <= kept.status < 300:
            kept.bodies.append(content)
            kept.headers.append(dict(request.headers))
        return web.Response(status=kept.status)

    app = web.Application()
    app.add_routes([web.post("/hook", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        kept.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield kept
    finally:
        await runner.cleanup()
