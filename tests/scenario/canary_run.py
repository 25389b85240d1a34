"""Harness: documents with a canary in every text go through three real brokers; then the canaries are looked for.

    python -m tests.scenario.canary_run FOLDER [--short]

Numbers, tokens and keys go in whatever a caller decides: paths, queries, headers, envelopes. The words of documents
may be in the documents that the API gives back, and nowhere else: not in a log, another answer, a metric, a file
at rest, or what the CLI says; after success and after every kind of fault, one of them a kill. Prints what it did and
fails below a floor. SABOTAGE=body-in-log (a broker that prints what it takes), base64-at-rest or name-in-answer
plants what must be found; --short makes one round trip only, which is enough to see that it is.
"""

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp

from broker.demo.cases import DALBYGDA, FJORDVIK, PORTAL
from broker.demo.children import Child, stop_all
from broker.demo.documents import Unit
from broker.demo.questions import Questions
from broker.demo.site import DemoSite, hold, make_sites
from broker.demo.start import start_broker, until_ready
from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness
from tests.alerts.sinks import Posts, webhook_server
from tests.scenario.canaries import Cage, Sighting, sightings
from tests.scenario.planted import Planted, Planter
from tests.scenario.secrets import Secrets

SABOTAGES = ("body-in-log", "base64-at-rest", "name-in-answer")
FLOOR = {
    "canaries": 1000,
    "secrets": 350,
    "alerts": 1,
    "canaries that came over": 150,
    "answers": 400,
    "refusals": 250,
    "round trips": 9,
    "files": 12,
    "log lines": 200,
}
_MADE_BY_US = ("broker.toml", "clients.toml", "addresses", "processes", "keys", "epj", "epj.json")
_WITHIN = 40.0


@dataclass
class Record:
    """All that the brokers said, but for the documents that they are asked for."""

    answers: list[tuple[str, bytes]] = field(default_factory=list)
    documents: list[bytes] = field(default_factory=list)
    refusals: int = 0

    def keep(self, what: str, status: int, headers: str, body: bytes, *, document: bool) -> None:
        self.answers.append((f"answer to {what}: headers", headers.encode()))
        self.refusals += status >= 400
        if document and status == 200:
            self.documents.append(body)
        else:
            self.answers.append((f"answer to {what}", body))


class Epj:
    """One client of one broker, every answer of which is kept."""

    def __init__(self, site: DemoSite, unit: Unit, token: str, record: Record) -> None:
        self.site, self.unit, self._record = site, unit, record
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})

    async def close(self) -> None:
        await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        *,
        content_type: str = "application/xml",
        base: str | None = None,
        document: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        given = dict(headers or {}) | ({} if content is None else {"Content-Type": content_type})
        url = f"{base or self.site.api}{path}"
        async with self._session.request(
            method, url, data=content, headers=given, skip_auto_headers=["User-Agent"]
        ) as answer:
            body = await answer.read()
        self._record.keep(f"{method} {path}", answer.status, str(answer.headers), body, document=document)
        told = json.loads(body) if "json" in answer.headers.get("Content-Type", "") else {}
        return answer.status, told

    async def post(self, planted: Planted) -> str:
        status, told = await self.ask("POST", "/api/v1/messages", planted.content)
        if status != 202:
            raise AssertionError(f"{planted.name} was answered with {status}: {told.get('faults')}")
        identifier: str = told["id"]
        return identifier

    async def until(self, what: str, look: Callable[[], Any]) -> Any:
        """Look until there is something to see, at most 40 seconds."""
        try:
            async with asyncio.timeout(_WITHIN):
                while True:
                    if seen := await look():
                        return seen
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not within {_WITHIN:.0f} s: {what}") from None

    async def arrival(self, msg_id: str) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            _, told = await self.ask("GET", "/api/v1/inbox")
            return next((item for item in told["items"] if item["msgId"] == msg_id), None)

        found: dict[str, Any] = await self.until(f"{msg_id} in the inbox", look)
        return found

    async def outcome(self, id: str) -> str:
        async def look() -> str | None:
            _, told = await self.ask("GET", f"/api/v1/messages/{id}")
            return told["receivers"][0]["outcome"] if told["receivers"][0]["outcome"] != "open" else None

        found: str = await self.until(f"{id} ended", look)
        return found


class Run:
    """One run of the harness."""

    def __init__(self, folder: Path, *, sabotage: str, short: bool) -> None:
        self._folder, self._sabotage, self._short = folder, sabotage, short
        self._record = Record()
        self._cage = Cage()
        now = SystemClock().now()
        self._planter = Planter(self._cage, SystemRandomness().id, now)
        self._sites = make_sites(folder, now=now, randomness=SystemRandomness())
        self._secrets = Secrets(self._cage)
        self._alerts = Posts()
        self._brokers: dict[str, Child] = {}
        self._round_trips = 0

    async def sightings(self) -> list[Sighting]:
        """Do it all, and return every canary that is where it must not be."""
        async with self._clients() as (here, there, portal), webhook_server() as self._alerts:
            for site in self._sites.values():
                with site.config.open("a", encoding="utf-8") as config:
                    config.write(f'\n[alerts]\nwebhook = "{self._alerts.url}"\nafter = "PT0.1S"\n')
            await asyncio.gather(*map(self._start, self._sites))
            try:
                await self._round_trip(here, there, self._planter.clinical(here.unit, there.unit), "Ok")
                if not self._short:
                    await self._all_else(here, there, portal)
                self._plant()
                seen = list(sightings(self._cage, self._places()))
            finally:
                await stop_all(list(self._brokers.values()))
        return [*seen, *sightings(self._cage, self._at_rest())]

    def report(self) -> dict[str, int]:
        """Return how much was done, by the names of FLOOR."""
        return {
            "canaries": len(self._cage.cores),
            "secrets": self._secrets.made,
            "alerts": len(self._alerts.bodies),
            "canaries that came over": self._travelled(),
            "answers": len(self._record.answers),
            "refusals": self._record.refusals,
            "round trips": self._round_trips,
            "files": sum(1 for _ in self._at_rest()),
            "log lines": sum(site.broker_log.read_bytes().count(b"\n") for site in self._sites.values()),
        }

    # --- what is done ---

    async def _all_else(self, here: Epj, there: Epj, portal: Epj) -> None:
        latin = self._planter.clinical(there.unit, here.unit, encoding="ISO-8859-1")
        await self._round_trip(there, here, latin, "Rejected")
        await self._round_trip(here, there, self._planter.old(here.unit, there.unit), "OkErrorInMessagePart")
        large = self._planter.clinical(here.unit, there.unit, size=600_000)
        await self._round_trip(here, there, large, "Ok")
        await self._round_trip(portal, here, self._planter.on_behalf(portal.unit, here.unit), "Rejected")
        await self._round_trip(here, portal, self._planter.appointment(here.unit, portal.unit), "Ok")
        await self._refused(here, there)
        await self._ill_mannered(here, there)
        await self._with_secrets(here)
        await self._killed(here, there)
        await self._round_trip(there, here, self._planter.clinical(there.unit, here.unit), "Ok")
        await self._looked_at(here, there)

    async def _start(self, key: str) -> None:
        leaky = self._sabotage == "body-in-log"
        broker = await start_broker(self._sites[key], module="tests.scenario.leaky_broker" if leaky else "broker")
        self._brokers[key] = broker
        asks = Questions(self._sites[key].api, "")
        try:
            await until_ready(broker, asks)
        finally:
            await asks.close()

    async def _round_trip(self, sender: Epj, receiver: Epj, planted: Planted, verdict: str) -> None:
        id = await sender.post(planted)
        await self._answered(sender, receiver, planted, verdict, id)

    async def _answered(self, sender: Epj, receiver: Epj, planted: Planted, verdict: str, id: str) -> None:
        item = await receiver.arrival(planted.msg_id)
        path = f"/api/v1/inbox/{item['id']}"
        await receiver.ask("GET", path)
        await receiver.ask("GET", f"{path}/document", document=True)
        if sha256(self._record.documents[-1]).digest() != sha256(planted.content).digest():
            raise AssertionError(f"{planted.name} did not come over as it was posted")
        await receiver.ask("POST", f"{path}/stored")
        errors = [] if verdict == "Ok" else [{"errorCode": "E35", "details": self._planter.details(planted.name)}]
        said = json.dumps({"appRecStatus": verdict, "appRecErrorList": errors}, ensure_ascii=False).encode()
        for content in (self._nonsense(), said, said, self._nonsense("Ok")):
            await receiver.ask("POST", f"{path}/apprec", content, content_type="application/json")
        wanted = "rejected" if verdict == "Rejected" else "completed"
        if await sender.outcome(id) != wanted:
            raise AssertionError(f"{planted.name} did not end {wanted}")
        for part in ("", "/events", "/attempts"):
            await sender.ask("GET", f"/api/v1/messages/{id}{part}")
        for part in ("/document", "/apprec"):
            await sender.ask("GET", f"/api/v1/messages/{id}{part}", document=True)
        self._round_trips += 1

    def _nonsense(self, status: str = "Rejected") -> bytes:
        """Return a verdict that no one can act on: an unknown code, or another verdict than before."""
        code, details = self._cage.mint("unknown errorCode"), self._cage.mint("details that are refused")
        errors = [{"errorCode": code, "details": details}]
        return json.dumps({"appRecStatus": status, "appRecErrorList": errors}, ensure_ascii=False).encode()

    async def _refused(self, here: Epj, there: Epj) -> None:
        """Post what must be refused, in both languages, and ask for the dry run of the same."""
        for planted in self._planter.broken(here.unit, there.unit):
            for path in ("/api/v1/messages", "/api/v1/messages/validate"):
                for language in ("nb", "en"):
                    status, told = await here.ask("POST", path, planted.content, headers={"Accept-Language": language})
                    if status != 422:
                        raise AssertionError(f"{planted.name} was answered with {status}: {told.get('detail')}")

    async def _ill_mannered(self, here: Epj, there: Epj) -> None:
        """Ask for what may not be, at both doors."""
        own = self._planter.clinical(here.unit, there.unit)
        theirs = self._planter.clinical(there.unit, here.unit)
        await here.ask("POST", "/api/v1/messages", theirs.content)  # 403: another's HER-id
        await here.ask("POST", "/api/v1/messages", own.content, headers={"Authorization": "Bearer nobody"})
        await here.ask("POST", "/api/v1/messages", own.content, content_type="text/plain")
        await here.ask("POST", "/api/v1/messages", own.content, headers={"Content-Encoding": "gzip"})
        await here.ask("PUT", "/api/v1/messages", own.content)
        await here.ask("POST", "/api/v1/messages/validate", own.content)
        id = await here.post(own)
        await here.ask("POST", "/api/v1/messages", own.content)
        await here.ask("POST", "/api/v1/messages", own.content.replace(b"</MsgHead>", b" </MsgHead>"))  # 409
        await self._answered(here, there, own, "Ok", id)
        await here.ask("POST", "/api/v1/events/confirm", self._nonsense(), content_type="application/json")
        door = here.site.partner
        raw = self._planter.clinical(there.unit, here.unit).content
        encoded = base64.encodebytes(raw)
        boundary = (
            b"--x\r\nContent-Type: text/xml\r\nContent-ID: <a>\r\n\r\n<Envelope/>\r\n--x\r\nContent-ID: <b>\r\n"
            b"Content-Transfer-Encoding: base64\r\nContent-Type: application/pkcs7-mime\r\n\r\n"
            + encoded
            + b"\r\n--x--\r\n"
        )
        for content_type, content in (
            ("text/xml", raw),
            ("application/xml", raw),
            ('multipart/related; type="text/xml"; start="<a>"; boundary=x', boundary),
            ('multipart/related; type="text/xml"; boundary=y', boundary),
            (f'multipart/related; boundary="{self._cage.mint("boundary").encode("ascii", "ignore").decode()}"', raw),
        ):
            await here.ask(
                "POST", "/ebms", content, base=door, content_type=content_type, headers={"SOAPAction": '"ebXML"'}
            )

    async def _with_secrets(self, here: Epj) -> None:
        """Send numbers, tokens and keys in whatever a caller decides, to both doors."""
        for request in self._secrets.requests(rounds=5):
            await here.ask(
                request.method,
                request.path,
                request.content,
                content_type=request.content_type,
                base=here.site.partner if request.to_partner_door else None,
                headers=request.headers,
            )

    async def _killed(self, here: Epj, there: Epj) -> None:
        """Kill the receiver's broker in the middle of its work, post to it while it is gone, and start it again."""
        broker = self._brokers.pop(DALBYGDA)
        os.killpg(broker.pid, signal.SIGKILL)
        await broker.ended()
        planted = self._planter.clinical(here.unit, there.unit)
        id = await here.post(planted)

        async def tried() -> bool:
            _, told = await here.ask("GET", f"/api/v1/messages/{id}/attempts")
            return any(attempt["result"] == "failed" for attempt in told["attempts"])

        async def alerted() -> bool:
            return bool(self._alerts.bodies)

        await here.until("a failed attempt", tried)
        await here.until("an alert", alerted)
        await self._start(DALBYGDA)
        await self._answered(here, there, planted, "Ok", id)

    async def _looked_at(self, *clients: Epj) -> None:
        for client in clients:
            _, told = await client.ask("GET", "/api/v1/events?after=0&limit=1000")
            through = json.dumps({"through": told["next"]}).encode()
            await client.ask("POST", "/api/v1/events/confirm", through, content_type="application/json")
            await client.ask("GET", "/api/v1/inbox?unread=true")
            for path in ("/metrics", "/healthz", "/readyz"):
                for base in (client.site.api, client.site.partner):
                    await client.ask("GET", path, base=base)
            events = {event["msgId"] for event in told["events"] if event["msgId"]}
            looks = [("queue",), ("queue", "--json"), ("status",), ("problems", "--json"), ("partners",)]
            looks += [("events", "--last", "1000", "--json"), ("queue", "--shape")]
            for msg_id in sorted(events)[:3]:
                looks += [("show", msg_id), ("attempts", msg_id)]
            for arguments in looks:
                await self._said_by_cli(client.site, arguments)

    async def _said_by_cli(self, site: DemoSite, arguments: Sequence[str]) -> None:
        command = (sys.executable, "-m", "broker", *arguments, "--config", str(site.config))
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        if process.returncode not in (0, 1):
            raise AssertionError(f"broker {arguments[0]} ended with {process.returncode}: {said.decode()}")
        self._record.answers.append((f"broker {' '.join(arguments)}", said))

    # --- where it is looked ---

    def _plant(self) -> None:
        """Plant what SABOTAGE asks for; the search must find it."""
        document = self._record.documents[0]
        if self._sabotage == "base64-at-rest":
            (self._sites[FJORDVIK].folder / "data" / "forgotten.tmp").write_bytes(base64.b64encode(document))
        if self._sabotage == "name-in-answer":
            self._record.answers.append(("answer to nothing", document[1000:2000]))

    def _places(self) -> Iterator[tuple[str, bytes]]:
        yield from self._record.answers
        yield from (("alert", body) for body in self._alerts.bodies)
        yield from self._at_rest()

    def _at_rest(self) -> Iterator[tuple[str, bytes]]:
        """Yield every file that a broker has written: logs, store, bodies, and whatever else there is."""
        for site in self._sites.values():
            for path in sorted(site.folder.rglob("*")):
                if path.is_file() and path.relative_to(site.folder).parts[0] not in _MADE_BY_US:
                    yield str(path.relative_to(self._folder)), path.read_bytes()

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[tuple[Epj, Epj, Epj]]:
        here, there, portal = (self._sites[key] for key in (FJORDVIK, DALBYGDA, PORTAL))
        made = [Epj(site, site.unit, site.token, self._record) for site in (here, there, portal)]
        try:
            yield made[0], made[1], made[2]
        finally:
            for one in made:
                await one.close()

    def _travelled(self) -> int:
        """Return how many canaries came over in documents: proof that there was something to hide."""
        joined = [content.replace(b"\n", b"") for content in self._record.documents]
        return sum(any(core.encode() in content for content in joined) for core in self._cage.cores)


def main() -> int:
    """Run the harness in the folder named by the first argument."""
    sabotage = os.environ.get("SABOTAGE", "")
    if sabotage and sabotage not in SABOTAGES:
        print(f"SABOTAGE must be one of {', '.join(SABOTAGES)}")
        return 2
    folder, short = Path(sys.argv[1]).resolve(), "--short" in sys.argv
    with hold(folder):
        run = Run(folder, sabotage=sabotage, short=short)
        found = asyncio.run(run.sightings())
        done = run.report()
    low = [] if short else [name for name, least in FLOOR.items() if done[name] < least]
    for name, count in done.items():
        print(f"{name}: {count}" + ("" if short else f" (at least {FLOOR[name]})"))
    for sighting in found:
        print(f"SEEN: {sighting.field!r} as {sighting.form} in {sighting.place}")
    for name in low:
        print(f"TOO FEW: {name}")
    print("red" if found or low else "green: no canary outside the documents")
    return 1 if found or low else 0


if __name__ == "__main__":
    sys.exit(main())
