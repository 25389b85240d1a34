"""A webhook as its receiver meets it: signed, thin, tried again, and never in the way of a message."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from broker.errors import Misconfigured
from broker.lookup.randomness import SystemRandomness
from broker.lookup.webhook_secrets import read_secrets
from broker.message import EventKind, NewEvent, Wake, WakeState
from broker.retry import BackOff
from broker.transport.webhooks import MOST, Target, Webhooks, signature, webhook_session

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OURS = 8000101
SECRET, NEXT = bytes(range(32)), bytes(range(1, 33))
LOOPBACK = (ip_network("127.0.0.0/8"),)


class Clock:
    """Moves by itself as the real one does, from a day of the test's own."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self._loop.time() - self._began)


@dataclass(frozen=True)
class Got:
    """One POST, as it came."""

    id: str
    stamp: str
    signatures: str
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """An EPJ's endpoint, which answers as it is told: 200 when nothing is left in `answers`."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    followed: int = 0  # requests to where a redirect leads
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        headers = request.headers
        assert headers["Content-Type"] == "application/json"
        post = Got(
            headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], await request.read()
        )
        async with self.came:
            self.got.append(post)
            self.came.notify_all()
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": "/other"} if status == 307 else {})

    async def other(self, _request: web.Request) -> web.Response:
        self.followed += 1
        return web.Response()

    async def until(self, count: int) -> Got:
        async with asyncio.timeout(20), self.came:
            await self.came.wait_for(lambda: len(self.got) >= count)
        return self.got[count - 1]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.add_routes([web.post("/wake", receiver.take), web.post("/other", receiver.other)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/wake"
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def waking(*targets: Target, hers: tuple[int, ...] = (OURS,), first: float = 0.05) -> AsyncIterator[Webhooks]:
    """Run webhooks; plain HTTP to this machine is permitted."""
    async with webhook_session(LOOPBACK) as session:
        made = Webhooks(
            targets,
            hers=lambda _: hers,
            session=session,
            networks=LOOPBACK,
            clock=Clock(),
            randomness=SystemRandomness(),
            back_off=BackOff(first=timedelta(seconds=first), most=timedelta(seconds=first * 4)),
        )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.run())
            yield made
            running.cancel()


def _target(receiver: Receiver, *secrets: bytes) -> Target:
    return Target(client="epj", url=receiver.url, secrets=secrets or (SECRET,))


def _event(kind: EventKind = EventKind.INBOX_DOCUMENT, **about: Any) -> NewEvent:
    values: dict[str, Any] = {"kind": kind, "at": NOW, "her": OURS, "feed": True, "message_id": "m-1"}
    return NewEvent(**(values | about))


async def _stands(webhooks: Webhooks, wanted: Callable[[WakeState], bool], client: str = "epj") -> WakeState:
    """Return the state of a webhook, once it is as wanted."""
    async with asyncio.timeout(20):
        while True:
            state = webhooks.state_of(client)
            if state is not None and wanted(state):
                return state
            await asyncio.sleep(0.005)


def _signed(post: Got, secret: bytes) -> str:
    """What Standard Webhooks says the signature is, computed without our code."""
    digest = hmac.digest(secret, post.id.encode() + b"." + post.stamp.encode() + b"." + post.body, hashlib.sha256)
    return f"v1,{base64.standard_b64encode(digest).decode('ascii')}"


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    said = signature([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_start_and_each_thing_to_do_wake_the_receiver_signed() -> None:
    async with receiving() as receiver, waking(_target(receiver)) as webhooks:
        first = await receiver.until(1)
        assert first.said["type"] == "broker.started"
        await _stands(webhooks, lambda state: state.state is Wake.OK)
        webhooks.heard((_event(item_id="i-1", msg_id="secret-of-a-document", counterpart=8000201),))
        second = await receiver.until(2)
    assert second.said["type"] == "feed.changed"
    assert second.said["data"] == {
        "events": [
            {"type": "inbox.document", "herId": OURS, "messageId": "m-1", "deliveryId": None, "itemId": "i-1"},
        ],
        "more": 0,
    }
    for post in (first, second):
        assert post.signatures == _signed(post, SECRET)
        assert abs(int(post.stamp) - NOW.timestamp()) < 60
        changed = Got(post.id, post.stamp, post.signatures, post.body.replace(b"m", b"n"))
        assert changed.signatures != _signed(changed, SECRET)
    assert first.id != second.id


async def test_while_secrets_change_both_sign() -> None:
    async with receiving() as receiver, waking(_target(receiver, NEXT, SECRET)):
        post = await receiver.until(1)
    assert post.signatures.split(" ") == [_signed(post, NEXT), _signed(post, SECRET)]


async def test_a_wake_that_fails_comes_again_under_the_same_id_and_what_came_meanwhile_after_it() -> None:
    async with receiving() as receiver, waking(_target(receiver)) as webhooks:
        receiver.answers += [500, 307, 503]
        await receiver.until(1)
        state = await _stands(webhooks, lambda state: state.failures >= 1)
        assert state.state is Wake.FAILING
        assert state.why is not None
        assert state.next_at is not None
        webhooks.heard((_event(),))
        last = await receiver.until(5)
        await _stands(webhooks, lambda state: state.state is Wake.OK)
        tried = receiver.got
    assert len({post.id for post in tried[:4]}) == len({post.body for post in tried[:4]}) == 1
    assert all(post.signatures == _signed(post, SECRET) for post in tried)
    assert last.id != tried[0].id
    assert last.said["type"] == "feed.changed"
    assert receiver.followed == 0  # a redirect is a failure


async def test_what_is_refused_for_good_is_disabled_and_shown() -> None:
    async with receiving() as receiver, waking(_target(receiver)) as webhooks:
        receiver.answers += [410]
        state = await _stands(webhooks, lambda state: state.state is Wake.DISABLED)
        webhooks.heard((_event(),))
        assert (state.status, state.next_at) == (410, None)
        assert webhooks.state_of("epj") == state  # and nothing gathers
        assert len(receiver.got) == 1


async def test_a_burst_is_one_wake_and_names_no_more_than_a_hundred() -> None:
    async with receiving() as receiver, waking(_target(receiver)) as webhooks:
        await receiver.until(1)
        await _stands(webhooks, lambda state: state.state is Wake.OK)
        webhooks.heard([_event(message_id=f"m-{number}") for number in range(MOST + 900)])
        post = await receiver.until(2)
    assert len(post.said["data"]["events"]) == MOST
    assert post.said["data"]["more"] == 900
    assert len(receiver.got) == 2


async def test_what_is_nothing_to_do_or_another_clients_wakes_nobody() -> None:
    async with receiving() as receiver, waking(_target(receiver)) as webhooks:
        await receiver.until(1)
        await _stands(webhooks, lambda state: state.state is Wake.OK)
        webhooks.heard((_event(EventKind.SENT), _event(her=8000301), _event(feed=False)))
        assert webhooks.states()[0].waiting == 0
        webhooks.heard((_event(EventKind.RECEIPT_OK, message_id="m-2"),))
        assert [one["messageId"] for one in (await receiver.until(2)).said["data"]["events"]] == ["m-2"]


async def test_a_receiver_that_never_answers_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.transport.webhooks.TIMEOUT", 0.2)
    silent = socket.create_server(("127.0.0.1", 0))  # the system takes the connections, and nobody reads them
    mute = Target(client="mute", url=f"http://127.0.0.1:{silent.getsockname()[1]}/wake", secrets=(SECRET,))
    with silent:
        async with receiving() as receiver, waking(mute, _target(receiver)) as webhooks:
            loop = asyncio.get_running_loop()
            began = loop.time()
            for _ in range(1000):
                webhooks.heard((_event(),))
            assert loop.time() - began < 0.5  # what a commit waits for
            assert (await receiver.until(1)).said["data"]["more"] == 1000 - MOST
            state = await _stands(webhooks, lambda state: state.state is Wake.FAILING, client="mute")
            assert state.why is not None
            assert state.why.en == "the receiver did not answer in time"


async def test_an_address_that_is_not_permitted_is_shown_with_what_to_do() -> None:
    target = Target(client="epj", url="https://10.0.0.5/wake", secrets=(SECRET,))
    async with waking(target) as webhooks:
        state = await _stands(webhooks, lambda state: state.state is Wake.FAILING)
    assert state.why is not None
    assert "webhooks.networks" in state.why.nb
    assert state.origin == "https://10.0.0.5:443"


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ("whsec_" + base64.b64encode(SECRET).decode() + "\n", 1),
        (f"whsec_{base64.b64encode(NEXT).decode()}\nwhsec_{base64.b64encode(SECRET).decode()}\n", 2),
    ],
)
def test_secrets_are_read_from_a_file(content: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(content)
    found = read_secrets(tmp_path / "secret", where="here")
    assert len(found) == count
    assert found[-1] == SECRET


@pytest.mark.parametrize(
    "content", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_æ", "whsec_!!", "whsec_c2hvcnQ=\n" * 3]
)
def test_a_secret_that_is_none_is_named_but_not_repeated(content: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(content)
    with pytest.raises(Misconfigured) as told:
        read_secrets(tmp_path / "secret", where="webhooks.to[1].secret")
    assert told.value.where == "webhooks.to[1].secret"
    assert "whsec_" in told.value.hint
    assert not re.search(r"MfKQ|c2hv", f"{told.value}{told.value.hint}")
