"""The simulator behaves as an EPJ should: nothing lost, nothing doubled, and its ledger tells what happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from broker.demo.ledger import Confirmed, Heard, Judged, Ledger, Posted, Received, Trouble, read_ledger
from broker.demo.simulator import Orders, Rule, Simulator
from broker.lookup.clock import SystemClock
from tests.unit.demo.fake_api import FakeApi

E = TypeVar("E")


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def url(api: FakeApi) -> AsyncIterator[str]:
    server = TestServer(api.app())
    await server.start_server()
    yield str(server.make_url("/"))
    await server.close()


def orders(folder: Path, url: str, token: str, **rules: Rule) -> Orders:
    made = Orders(name=token, api=url, token=token, folder=folder / token, poll=0.01, rules=rules)
    for place in (made.outbox, made.drafts):
        place.mkdir(parents=True, exist_ok=True)
    return made


@asynccontextmanager
async def running(given: Orders) -> AsyncIterator[Simulator]:
    headers = {"Authorization": f"Bearer {given.token}"}
    with Ledger(given.ledger) as ledger:
        async with aiohttp.ClientSession(given.api, headers=headers) as session:
            simulator = Simulator(given, ledger, session, SystemClock())
            simulator.remember()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(simulator.run())
                yield simulator
                simulator.stop()


def entries(given: Orders, kind: type[E]) -> list[E]:
    return [entry for entry in read_ledger(given.ledger) if isinstance(entry, kind)]


def xml(msg_id: str) -> bytes:
    return f"<MsgHead><MsgId>{msg_id}</MsgId><Text>blåbær</Text></MsgHead>".encode("latin-1")


async def test_a_document_goes_over_and_its_verdict_comes_home_and_is_confirmed(
    api: FakeApi, url: str, tmp_path: Path
) -> None:
    a, b = orders(tmp_path, url, "token-a"), orders(tmp_path, url, "token-b")
    (a.outbox / "first.xml").write_bytes(xml("m1"))
    async with running(a), running(b):
        await api.until(lambda: api.confirmed.get(8000101) == 1)
        await api.until(lambda: bool(entries(a, Confirmed)))
    (posted,) = entries(a, Posted)
    (received,) = entries(b, Received)
    assert posted.sha256 == posted.told_sha256 == received.sha256 == sha256(xml("m1")).hexdigest()
    (heard,) = entries(a, Heard)
    assert (heard.type, heard.msg_id) == ("message.apprec_ok", "m1")
    assert not entries(a, Trouble) + entries(b, Trouble)


async def test_a_rule_rejects_with_a_code(api: FakeApi, url: str, tmp_path: Path) -> None:
    a = orders(tmp_path, url, "token-a")
    b = orders(tmp_path, url, "token-b", m1=Rule(status="Rejected", codes=("E35",), details="ukjent her"))
    (a.outbox / "first.xml").write_bytes(xml("m1"))
    async with running(a), running(b):
        await api.until(lambda: any(heard.codes == ("E35",) for heard in entries(a, Heard)))
    assert api.items["item-0"].verdict == {
        "appRecStatus": "Rejected",
        "appRecErrorList": [{"errorCode": "E35", "details": "ukjent her"}],
    }


async def test_a_withheld_verdict_waits_until_the_feed_asks_for_it(api: FakeApi, url: str, tmp_path: Path) -> None:
    a, b = orders(tmp_path, url, "token-a"), orders(tmp_path, url, "token-b", m1=Rule(withhold=True))
    (a.outbox / "1.xml").write_bytes(xml("m1"))
    (a.outbox / "2.xml").write_bytes(xml("m2"))
    async with running(a), running(b):
        await api.until(lambda: len(entries(b, Judged)) == 1)
        assert api.items["item-0"].state == "stored"
        api.chase("m1")
        await api.until(lambda: len(entries(b, Judged)) == 2)
    assert [judged.msg_id for judged in entries(b, Judged)] == ["m2", "m1"]


async def test_an_answer_is_posted_when_its_question_is_judged_and_not_before(
    api: FakeApi, url: str, tmp_path: Path
) -> None:
    a, b = orders(tmp_path, url, "token-a"), orders(tmp_path, url, "token-b", m1=Rule(reply="answer.xml"))
    (a.outbox / "question.xml").write_bytes(xml("m1"))
    (b.drafts / "answer.xml").write_bytes(xml("m2"))
    async with running(b), running(a):
        await api.until(lambda: len(entries(a, Received)) == 1)
    assert [posted.case for posted in entries(b, Posted)] == ["answer"]
    assert not list(b.drafts.iterdir())


async def test_a_broker_that_is_unwell_is_asked_again_and_nothing_doubles(
    api: FakeApi, url: str, tmp_path: Path
) -> None:
    api.unwell = 7
    a, b = orders(tmp_path, url, "token-a"), orders(tmp_path, url, "token-b")
    (a.outbox / "first.xml").write_bytes(xml("m1"))
    async with running(a), running(b):
        await api.until(lambda: bool(entries(a, Heard)))
    assert api.unwell == 0
    assert len(entries(a, Posted)) == len(entries(b, Received)) == len(entries(b, Judged)) == 1


async def test_a_broker_that_is_not_there_is_waited_for(tmp_path: Path, unused_tcp_port: int) -> None:
    a = orders(tmp_path, f"http://127.0.0.1:{unused_tcp_port}", "token-a")
    (a.outbox / "first.xml").write_bytes(xml("m1"))
    api = FakeApi()
    async with running(a):
        server = TestServer(api.app(), port=unused_tcp_port)
        await server.start_server()
        await api.until(lambda: bool(entries(a, Posted)))
    await server.close()
    assert api.posts == 1


async def test_a_second_run_goes_on_from_the_ledger(api: FakeApi, url: str, tmp_path: Path) -> None:
    a, b = orders(tmp_path, url, "token-a"), orders(tmp_path, url, "token-b", m1=Rule(withhold=True))
    (a.outbox / "first.xml").write_bytes(xml("m1"))
    async with running(a), running(b):
        await api.until(lambda: bool(entries(b, Received)) and api.items["item-0"].state == "stored")
    with a.ledger.open("ab") as torn:
        torn.write(b'{"what": "posted", "at"')
    api.chase("m1")
    async with running(a), running(b):
        await api.until(lambda: bool(entries(a, Heard)))
    assert api.posts == 1
    assert len(entries(b, Received)) == len(entries(b, Judged)) == 1


async def test_a_refused_document_stands_in_the_ledger_with_its_rules(api: FakeApi, url: str, tmp_path: Path) -> None:
    a = orders(tmp_path, url, "token-a")
    (a.outbox / "bad.xml").write_bytes(b"<MsgHead/>")
    async with running(a):
        await api.until(lambda: bool(entries(a, Posted)))
    (posted,) = entries(a, Posted)
    assert (posted.status, posted.accepted, posted.faults) == (422, False, ("xsd.missing-element",))


async def test_an_answer_that_should_not_be_is_trouble_in_the_ledger(api: FakeApi, url: str, tmp_path: Path) -> None:
    a, b = orders(tmp_path, url, "token-a"), orders(tmp_path, url, "token-b")
    (a.outbox / "first.xml").write_bytes(xml("m1"))
    async with running(a):
        await api.until(lambda: "item-0" in api.items)
        api.items["item-0"].verdict = {"appRecStatus": "Rejected"}
        async with running(b):
            await api.until(lambda: bool(entries(b, Trouble)))
    (trouble,) = entries(b, Trouble)
    assert (trouble.status, trouble.error_id) == (409, "MB-1009")
