"""Orders over the operators' socket: understood or refused in one sentence, and signed with the user's own name."""

import asyncio
import json
import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from broker.cli.order import NoBroker, NotFound, NotPossible, Wrong, give
from broker.message import EventKind
from broker.ports import Keeping
from broker.retention import Policy
from broker.web.operator import make_operator_app, operator_socket
from broker.web.operator_acts import add_acts
from tests.scenario.pair import DALBYGDA, Pair, dialogue, pair

POLICY = Policy(times={Keeping.ENVELOPES: timedelta(days=10)})
WHO = pwd.getpwuid(os.getuid()).pw_name
Give = Callable[..., Awaitable[Any]]


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as both:
        yield both


@pytest.fixture
async def order(brokers: Pair, tmp_path: Path) -> AsyncIterator[Give]:
    """Give orders to the left broker, as the command line does."""
    app = make_operator_app(brokers.left.doors, brokers.left.store)
    add_acts(app, brokers.left.doors, POLICY)
    path = tmp_path / "operator.sock"

    async def given(what: str, order: dict[str, Any] | None = None) -> Any:
        return await asyncio.to_thread(give, path, what, order)

    async with operator_socket(app, path):
        yield given


async def test_an_act_is_signed_by_the_user_whom_the_kernel_names(brokers: Pair, order: Give) -> None:
    taken = await brokers.left.post(dialogue("1"))
    done = await order("hold", {"id": taken.message.id, "reason": "wait for the ward", "claim": "kari"})
    assert (done["act"], done["count"], done["dryRun"]) == ("hold", 1, False)
    assert done["deliveries"] == [taken.deliveries[0].id]
    await order("release", {"id": taken.message.id, "reason": "go on"})
    (journey,) = await order(f"journey?id={taken.message.id}")
    told = [(each["type"], each["actor"], each["why"]) for each in journey["events"] if each["actor"]]
    assert told == [
        (EventKind.HELD, f"{WHO} (says kari)", "wait for the ward"),
        (EventKind.RELEASED, WHO, "go on"),
    ]


async def test_a_dry_run_changes_nothing(brokers: Pair, order: Give) -> None:
    taken = await brokers.left.post(dialogue("1"))
    before = await brokers.left.store.history(taken.message.id)
    for what in ("hold", "retry", "close"):
        done = await order(what, {"id": taken.message.id, "reason": "r", "dryRun": True})
        assert (done["dryRun"], done["count"]) == (True, 1)
    done = await order("hold", {"partner": DALBYGDA, "reason": "r", "dryRun": True})
    assert (done["dryRun"], done["count"], done["partner"]) == (True, 1, DALBYGDA)
    assert await order("holds") == []
    assert await brokers.left.store.history(taken.message.id) == before


async def test_a_counterpart_is_held_and_shown_so(brokers: Pair, order: Give) -> None:
    await brokers.left.post(dialogue("1"))
    done = await order("hold", {"partner": DALBYGDA, "reason": "backup"})
    assert done["count"] == 1
    (held,) = await order("holds")
    assert (held["herId"], held["actor"], held["reason"]) == (DALBYGDA, WHO, "backup")
    (partner,) = await order("partners")
    assert (partner["herId"], partner["lane"]) == (DALBYGDA, "held")
    (waits,) = await order("queue?limit=9")
    assert (waits["errorId"], waits["ball"]) == ("MB-5001", "person")
    done = await order("release", {"partner": DALBYGDA, "reason": "they are up", "rate": 10})
    assert done["count"] == 1
    assert await order("holds") == []


@pytest.mark.parametrize(
    ("what", "asked", "error", "words"),
    [
        ("hold", {"id": "x"}, Wrong, "reason"),
        ("hold", {"id": "x", "reason": ""}, Wrong, "reason"),
        ("hold", {"reason": "r"}, Wrong, "name what"),
        ("hold", {"id": "x", "partner": 1, "reason": "r"}, Wrong, "name what"),
        ("hold", {"problem": "K4:MB-3202:1", "reason": "r"}, Wrong, "name what"),
        ("close", {"partner": 8000201, "reason": "r"}, Wrong, "name what"),
        ("hold", {"partner": "8000201", "reason": "r"}, Wrong, "whole number"),
        ("hold", {"partner": True, "reason": "r"}, Wrong, "whole number"),
        ("hold", {"partner": 99999999999, "reason": "r"}, Wrong, "whole number"),
        ("hold", {"id": 7, "reason": "r"}, Wrong, "text"),
        ("hold", {"id": "x", "reason": "r", "force": 1}, Wrong, "key"),
        ("hold", {"id": "x", "reason": "r", "dryRun": "yes"}, Wrong, "dryRun"),
        ("retry", {"problem": "K4", "reason": "r"}, Wrong, "K4:MB-3202"),
        ("retry", {"problem": "K4:MB-3202:8000201", "reason": "r", "rate": 0}, Wrong, "rate"),
        ("retry", {"problem": "K4:MB-3202:8000201", "reason": "r", "rate": True}, Wrong, "rate"),
        ("retry", {"problem": "K4:MB-3202:8000201", "reason": "r"}, NotFound, "nothing stands so"),
        ("hold", {"id": "nothing-of-the-kind", "reason": "r"}, NotFound, "no message"),
        ("hold", {"partner": 8999999, "reason": "r"}, NotFound, "no address record"),
        ("retention", {}, Wrong, "reason"),
    ],
)
async def test_a_wrong_order_is_refused_in_one_sentence(
    order: Give, what: str, asked: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await order(what, asked)


async def test_what_is_not_possible_as_things_stand_is_said(brokers: Pair, order: Give) -> None:
    taken = await brokers.left.post(dialogue("1"))
    await order("close", {"id": taken.message.id, "reason": "r"})
    with pytest.raises(NotPossible, match="it has ended"):
        await order("retry", {"id": taken.message.id, "reason": "r"})


async def test_retention_is_shown_and_run(brokers: Pair, order: Give) -> None:
    taken = await brokers.left.post(dialogue("1"))
    await brokers.run()
    await order("close", {"id": taken.message.id, "reason": "r"})
    brokers.clock.time += timedelta(days=11)
    lines = {line["kind"]: line for line in await order("retention")}
    assert (lines["envelopes"]["due"], lines["envelopes"]["keepsDays"]) == (1, 10)
    assert (lines["sent"]["due"], lines["sent"]["owed"], lines["sent"]["keepsDays"]) == (0, 1, None)
    assert await order("retention", {"reason": "the disk is small"}) == {"erased": {"envelopes": 1}}
    (journey,) = await order(f"journey?id={taken.message.id}")
    told = [each for each in journey["events"] if each["type"] == EventKind.ERASED]
    assert [(each["actor"], each["why"], each["codes"]) for each in told] == [(WHO, "the disk is small", ["envelopes"])]


async def test_acts_are_taken_at_the_socket_alone(brokers: Pair) -> None:
    app = make_operator_app(brokers.left.doors, brokers.left.store)
    add_acts(app, brokers.left.doors, POLICY)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        reader, writer = await asyncio.open_connection(host, port)
        body = json.dumps({"id": "x", "reason": "r"})
        head = f"POST /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        assert b"operators' socket alone" in await reader.read()
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()


def test_without_a_broker_nobody_acts(tmp_path: Path) -> None:
    with pytest.raises(NoBroker, match="only a running one can act"):
        give(tmp_path / "operator.sock", "hold", {"id": "x", "reason": "r"})
