"""The EPJ systems of the benchmark, each a process of its own: one posts and waits for receipts, one judges.

    python -m tests.bench.load sender API TOKEN closed IN_FLIGHT WARM SECONDS
    python -m tests.bench.load sender API TOKEN open RATE WARM SECONDS
    python -m tests.bench.load receiver API TOKEN

The sender holds so many exchanges in flight, or posts at a rate (at random instants, whatever the answers do; latency
counts from the instant). An exchange is whole when the sender's feed tells of its receipt. It writes "begin" and "end"
as the measured seconds begin and end, and then one line of JSON. The receiver works until SIGTERM.
"""

import asyncio
import json
import random
import selectors
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness
from tests.bench.client import Client
from tests.bench.documents import Documents

LOOK = 0.05  # seconds between two looks at the feed or the inbox, when there was nothing
PAGE = 100
JUDGES = 8  # documents that the receiver has in hand at once
_RECEIPTED = "message.apprec_ok"
_RANDOM = SystemRandomness()
_PATIENCE = 60.0  # seconds for the last exchanges to come home


class Sender:
    """One EPJ that posts."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._documents = Documents(SystemClock().now())
        self._posted: dict[str, float] = {}  # MsgId -> when it was to be posted
        self._home: asyncio.Queue[None] = asyncio.Queue()
        self.accepted: list[tuple[float, float]] = []  # when, and the latency
        self.receipted: list[tuple[float, float]] = []
        self._stopping = False

    async def post(self, due: float) -> None:
        msg_id = _RANDOM.id()
        self._posted[msg_id] = due
        content = self._documents.with_id(msg_id)
        await self._client.ask("POST", "/api/v1/messages", wanted=202, content=content)
        now = time.monotonic()
        self.accepted.append((now, now - due))

    async def follow(self, offset: int) -> None:
        """Read the feed from `offset` on, until stopped and nothing is out any more."""
        while not self._stopping or self._posted:
            told = await self._client.json("GET", f"/api/v1/events?after={offset}&limit={PAGE}")
            now, offset = time.monotonic(), told["next"]
            for event in told["events"]:
                if event["type"] == _RECEIPTED and (due := self._posted.pop(event["msgId"], None)) is not None:
                    self.receipted.append((now, now - due))
                    self._home.put_nowait(None)
            if len(told["events"]) < PAGE:
                await asyncio.sleep(LOOK)

    async def newest(self) -> int:
        """Return the end of the feed."""
        offset = 0
        while (told := await self._client.json("GET", f"/api/v1/events?after={offset}&limit=1000"))["events"]:
            offset = told["next"]
        return offset

    async def closed(self, in_flight: int, end: float) -> None:
        """Keep `in_flight` exchanges going until `end`."""

        async def one() -> None:
            while time.monotonic() < end:
                await self.post(time.monotonic())
                await self._home.get()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(one())

    async def open(self, rate: float, end: float, seed: int) -> None:
        """Post `rate` a second until `end`, at random instants, whatever the answers do."""
        instants, due = random.Random(seed), time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            while (due := due + instants.expovariate(rate)) < end:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                tasks.create_task(self.post(due))

    def stop(self) -> None:
        self._stopping = True


async def send(client: Client, how: str, amount: float, warm: float, seconds: float) -> dict[str, Any]:
    """Return what was measured between `warm` and `warm + seconds` from now."""
    sender = Sender(client)
    offset = await sender.newest()
    begin = time.monotonic() + warm
    end = begin + seconds

    async def tell() -> None:
        for word, at in (("begin", begin), ("end", end)):
            await asyncio.sleep(at - time.monotonic())
            print(word, flush=True)

    async with asyncio.timeout(warm + seconds + _PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(tell())
        tasks.create_task(sender.follow(offset))
        await (sender.closed(int(amount), end) if how == "closed" else sender.open(amount, end, seed=int(amount)))
        sender.stop()
    accepted, receipted = _within(sender.accepted, begin, end), _within(sender.receipted, begin, end)
    return {
        "rate": len(receipted) / seconds,
        "exchanges": len(receipted),
        "accepts": len(accepted),
        "accept_ms": _shape(accepted),
        "receipt_ms": _shape(receipted),
    }


def _within(found: Sequence[tuple[float, float]], begin: float, end: float) -> list[float]:
    return [latency for at, latency in found if begin <= at < end]


def _shape(latencies: Sequence[float]) -> dict[str, float]:
    """Return median and 99th percentile in milliseconds."""
    if len(latencies) < 2:
        return {}
    cuts = statistics.quantiles(latencies, n=100)
    return {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000}


async def judge(client: Client) -> None:
    """Take what comes and approve it, until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    verdict = {"appRecStatus": "Ok", "appRecErrorList": []}

    async def one(item: str) -> None:
        async with hands:
            await client.ask("GET", f"/api/v1/inbox/{item}/document", wanted=200)
            await client.json("POST", f"/api/v1/inbox/{item}/apprec", wanted=202, said=verdict)

    hands = asyncio.Semaphore(JUDGES)
    while not stopping.is_set():
        told = await client.json("GET", f"/api/v1/inbox?unread=true&limit={PAGE}")
        async with asyncio.TaskGroup() as tasks:
            for item in told["items"]:
                tasks.create_task(one(item["id"]))
        if len(told["items"]) < PAGE:
            await asyncio.sleep(LOOK)


async def main(arguments: Sequence[str]) -> None:
    role, api, token, *rest = arguments
    client = Client(api, token)
    try:
        if role == "receiver":
            await judge(client)
        else:
            how, amount, warm, seconds = rest
            print(json.dumps(await send(client, how, float(amount), float(warm), float(seconds))), flush=True)
    finally:
        await client.close()


def _loop() -> asyncio.AbstractEventLoop:
    """Return an event loop that wakes when asked to: epoll sleeps in whole milliseconds, rounded up."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(main(sys.argv[1:]))
