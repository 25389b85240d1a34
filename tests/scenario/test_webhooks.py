"""A real daemon wakes its EPJ: configured by the municipality, verified by the receiver, shown to the client."""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from broker.demo.children import stop_all
from broker.demo.questions import Questions
from broker.demo.site import DemoSite
from broker.demo.start import start_broker, start_simulator, until_ready
from tests.rig.letters import letter
from tests.rig.sites import quick_sites

pytestmark = pytest.mark.timeout(120)

SECRET = bytes(range(32))


@dataclass
class Epj:
    """The receiver. What does not verify is not taken, as in a real one."""

    url: str = ""
    woken: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), request.headers
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = base64.b64encode(hmac.digest(SECRET, content, hashlib.sha256)).decode()
        if f"v1,{wanted}" not in headers["webhook-signature"].split(" "):
            self.refused += 1
            return web.Response(status=401)
        async with self.came:
            self.woken.append(json.loads(body))
            self.came.notify_all()
        return web.Response(status=204)

    async def until(self, kind: str) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [event for wake in self.woken for event in wake["data"]["events"] if event["type"] == kind]

        async with asyncio.timeout(60), self.came:
            await self.came.wait_for(lambda: bool(found()))
        return found()[0]


@asynccontextmanager
async def epj() -> AsyncIterator[Epj]:
    made = Epj()
    app = web.Application()
    app.add_routes([web.post("/wake", made.take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/wake"
        yield made
    finally:
        await runner.cleanup()


def _wake(site: DemoSite, url: str) -> None:
    """Set up a webhook for the site's guest."""
    (site.folder / "wake.secret").write_text(f"whsec_{base64.b64encode(SECRET).decode()}\n")
    with site.config.open("a", encoding="utf-8") as config:
        config.write('\n[webhooks]\nnetworks = ["127.0.0.0/8"]\n\n[[webhooks.to]]\n')
        config.write(f'client = "guest"\nurl = "{url}"\nsecret = "wake.secret"\n')


async def test_an_epj_is_woken_for_a_document_and_for_an_outcome(tmp_path: Path) -> None:
    sites = quick_sites(tmp_path)
    ours, theirs = sites["fjordvik"], sites["dalbygda"]
    assert ours.guest is not None
    assert theirs.guest is not None
    children = []
    async with epj() as receiver:
        _wake(ours, receiver.url)
        try:
            for site in (ours, theirs):
                children.append(await start_broker(site))
            children.append(await start_simulator(theirs))
            for child, site in zip(children, (ours, theirs), strict=False):
                questions = Questions(site.api, site.token)
                await until_ready(child, questions)
                await questions.close()
            async with aiohttp.ClientSession() as session:
                _, incoming = letter(theirs.guest, ours.guest)
                await _post(session, theirs, theirs.guest_token, incoming)
                item = await receiver.until("inbox.document")
                assert await _get(session, ours, f"inbox/{item['itemId']}")
                _, outgoing = letter(ours.guest, theirs.unit)
                posted = await _post(session, ours, ours.guest_token, outgoing)
                outcome = await receiver.until("message.apprec_ok")
                assert outcome["messageId"] == posted
                state = await _get(session, ours, "webhook")
            shown = await _command("webhooks", "--config", str(ours.config))
        finally:
            await stop_all(children)
        assert state["state"] == "ok"
        assert shown == (0, f"guest  {receiver.url.removesuffix('/wake')}  ok\n")
        assert receiver.woken[0]["type"] == "broker.started"
        assert receiver.refused == 0
        # Thin: nothing but ids and kinds, and nothing of it in the log but that it works.
        keys = {key for wake in receiver.woken for event in wake["data"]["events"] for key in event}
        assert keys == {"type", "herId", "messageId", "deliveryId", "itemId"}
    log = ours.broker_log.read_text("utf-8")
    assert '"event": "webhook.state"' in log
    assert "/wake" not in log
    assert base64.b64encode(SECRET).decode() not in log


async def _post(session: aiohttp.ClientSession, site: DemoSite, token: str | None, raw: bytes) -> str:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/xml"}
    async with session.post(f"{site.api}/api/v1/messages", data=raw, headers=headers) as answer:
        assert answer.status == 202, await answer.text()
        return str((await answer.json())["id"])


async def _command(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broker", "--lang", "en", *arguments), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def _get(session: aiohttp.ClientSession, site: DemoSite, path: str) -> Any:
    headers = {"Authorization": f"Bearer {site.guest_token}"}
    async with session.get(f"{site.api}/api/v1/{path}", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()
