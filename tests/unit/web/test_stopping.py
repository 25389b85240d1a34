"""A stop is not held up by who has nothing to finish."""

import asyncio
import socket

from aiohttp import web

from broker.web import listen


async def test_a_connection_accepted_while_the_door_closes_does_not_hold_up_the_stop() -> None:
    ours, theirs = socket.socketpair()

    async def comes_late(_: web.Application) -> None:
        assert runner.server is not None
        await asyncio.get_running_loop().connect_accepted_socket(runner.server, ours)
        theirs.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    app = web.Application()
    app.on_shutdown.append(comes_late)  # between the word to all connections and the wait for them
    runner = listen._Runner(app, handle_signals=False, shutdown_timeout=30)
    await runner.setup()
    with theirs:
        async with asyncio.timeout(5):
            await runner.cleanup()
