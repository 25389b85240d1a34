"""The EPJ's door of a real broker, with messages in every state, for who wants to try all of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from broker import handover
from broker.message import Client, Text, Verdict, Wake, WakeState
from broker.receipts.apprec import GivenError
from broker.web.app import make_epj_app
from broker.web.listen import listening
from broker.web.waiting import Bell
from tests.scenario.pair import FJORDVIK, START, dialogue, pair

TOKEN = "token-of-the-test"
DALBYGDA = 8000201


@dataclass(frozen=True, slots=True)
class _Tokens:
    client: Client

    def by_token(self, token: str) -> Client | None:
        return self.client if token == TOKEN else None

    def by_certificate(self, der: bytes, at: datetime) -> Client | None:
        return None


class _Wakes:
    def state_of(self, client: str) -> WakeState | None:
        return WakeState(
            client=client,
            origin="https://epj.example:443",
            state=Wake.FAILING,
            tried_at=START,
            status=500,
            failures=2,
            next_at=START,
            waiting=1,
            why=Text(nb="mottakeren svarte 500", en="the receiver answered 500"),
        )

    def states(self) -> tuple[WakeState, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where the door is, and what stands behind it."""

    url: str
    known: Path  # JSON: ids of messages and of inbox items
    letters: Path  # a folder of documents that may be posted


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    """Give the door. Nobody is kept waiting at it: what waits is answered at once."""
    async with pair(folder / "stores") as brokers:
        left, right = brokers.left, brokers.right
        error = GivenError(code="E35", details="Ukjent")
        messages = [(await left.post(dialogue(f"out-{number}"))).message.id for number in range(3)]
        for number in range(6):
            await right.post(dialogue(f"in-{number}", sender=DALBYGDA, receiver=FJORDVIK))
        await brokers.run()
        accepted, rejected, *_ = [item.id for _, item in await right.inbox()]
        await handover.verdict(accepted, Verdict.OK, (), right.client, right.doors)
        await handover.verdict(rejected, Verdict.REJECTED, (error,), right.client, right.doors)
        items = [item.id for _, item in await left.inbox()]
        await handover.stored(items[0], left.client, left.doors)
        await handover.verdict(items[1], Verdict.OK, (), left.client, left.doors)
        await brokers.run()
        messages += [(await left.post(dialogue("out-waiting"))).message.id, "out-1", "in-1"]
        known = folder / "known.json"
        known.write_text(json.dumps({"messages": messages, "items": items}), "utf-8")
        letters = folder / "letters"
        letters.mkdir()
        for number in range(8):
            (letters / f"{number}.xml").write_bytes(dialogue(f"posted-{number}"))
        bell = Bell()
        bell.close()
        app = make_epj_app(left.doors, _Tokens(left.client), bell=bell, wakes=_Wakes())
        async with listening(app, host="127.0.0.1", port=0, grace=1) as port:
            yield Served(url=f"http://127.0.0.1:{port}", known=known, letters=letters)
