"""The long poll: an answer as soon as there is one, for many clients at once, and none that holds up a stop."""

import asyncio
import time

import aiohttp
import pytest

from broker.message import Changes, EventKind
from broker.web.app import make_epj_app
from broker.web.listen import listening
from tests.unit.web.rig import OTHER_TOKEN, TOKEN, Rig, Tokens
from tests.unit.web.test_api import _came, _told

INBOX, FEED = "/api/v1/inbox", "/api/v1/events"


async def _until(doors: Rig, waiting: int) -> None:
    """Return once so many requests wait."""
    async with asyncio.timeout(20):
        while doors.bell.waiting < waiting:  # noqa: ASYNC110 - the bell tells nobody that it is waited for
            await asyncio.sleep(0.005)


async def test_an_inbox_that_is_empty_answers_as_soon_as_something_comes(doors: Rig) -> None:
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(doors.ask("GET", f"{INBOX}?wait=PT30S"))
        await _until(doors, 1)
        _, item = await _came(doors)
    assert [one["id"] for one in asked.result().json()["items"]] == [item.id]
    assert doors.bell.waiting == 0


async def test_the_feed_waits_too_and_by_its_own_offset(doors: Rig) -> None:
    await _came(doors)
    seen = (await doors.ask("GET", f"{FEED}?wait=30")).json()["next"]  # there is something: at once
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(doors.ask("GET", f"{FEED}?after={seen}&wait=30"))
        await _until(doors, 1)
        await _came(doors, number="8")
    said = asked.result().json()
    assert [event["type"] for event in said["events"]] == ["inbox.document"]
    assert said["next"] > seen


async def test_nothing_within_the_time_is_an_empty_answer(doors: Rig) -> None:
    began = time.monotonic()
    reply = await doors.ask("GET", f"{INBOX}?wait=1")
    assert reply.json() == {"items": []}
    assert 0.9 < time.monotonic() - began < 5


async def test_what_comes_for_another_wakes_nobody(doors: Rig) -> None:
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        theirs = tasks.create_task(doors.ask("GET", f"{INBOX}?wait=PT2S", token=OTHER_TOKEN))
        ours = tasks.create_task(doors.ask("GET", f"{INBOX}?wait=PT30S"))
        await _until(doors, 2)
        await _came(doors)
        assert len((await ours).json()["items"]) == 1
        assert not theirs.done()
    assert theirs.result().json() == {"items": []}


async def test_an_event_that_is_not_what_was_asked_for_lets_the_client_wait_on(doors: Rig) -> None:
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(doors.ask("GET", f"{INBOX}?wait=PT30S"))
        await _until(doors, 1)
        await doors.store.record(Changes(events=(_told(EventKind.ACKNOWLEDGED, message_id="x"),)))
        await _came(doors)
    assert len(asked.result().json()["items"]) == 1


@pytest.mark.parametrize("wait", ["61", "-1", "1.5", "PT1M", "PT5", "30S", "", "x"])
async def test_a_time_that_cannot_be_waited_is_named(doors: Rig, wait: str) -> None:
    for path in (INBOX, FEED):
        reply = await doors.ask("GET", f"{path}?wait={wait}", headers={"Accept-Language": "en"})
        assert reply.status == 400
        assert "wait must be whole seconds from 0 to 60" in reply.json()["detail"]


async def test_two_hundred_wait_for_nothing_and_all_hear_of_it_at_once(doors: Rig) -> None:
    count = 200
    await _came(doors)
    after = (await doors.ask("GET", FEED)).json()["next"]
    url, headers = f"{doors.epj}{FEED}?after={after}&wait=60", {"Authorization": f"Bearer {TOKEN}"}

    async def ask(session: aiohttp.ClientSession) -> int:
        async with session.get(url, headers=headers) as response:
            return len((await response.json())["events"])

    async with (
        asyncio.timeout(60),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        asyncio.TaskGroup() as tasks,
    ):
        asked = [tasks.create_task(ask(session)) for _ in range(count)]
        await _until(doors, count)
        spent = time.process_time()
        await asyncio.sleep(0.5)  # the span over which it is measured what they cost
        idle = (time.process_time() - spent) * 2
        began = time.monotonic()
        await _came(doors, number="8")
        assert await asyncio.gather(*asked) == [1] * count
        print(f"{count} waiting: {idle:.3f} s of CPU a second; all answered in {time.monotonic() - began:.2f} s")
    assert idle < 0.2


async def test_a_stop_ends_every_wait_at_once(doors: Rig) -> None:
    app = make_epj_app(doors.doors, Tokens(), bell=doors.bell)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        async with listening(app, host="127.0.0.1", port=0, grace=15) as port:
            doors.epj = f"http://127.0.0.1:{port}"
            asked = tasks.create_task(doors.ask("GET", f"{INBOX}?wait=60"))
            await _until(doors, 1)
            began = time.monotonic()
        assert time.monotonic() - began < 10  # of the 15 that a request under way may take, and the 60 asked for
    assert (asked.result().status, asked.result().json()) == (200, {"items": []})
