"""All cases against the real daemon, while healthy documents come in: it answers each, and nobody else notices.

Two brokers of the demo; Fjordvik's gets the rubbish at both doors, and posts what is healthy to Dalbygda's. LONG=1
sends every XML case to both doors; else every third goes to the partners' as well.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from broker.demo.cases import DALBYGDA, FJORDVIK
from broker.demo.children import Child, stop_all
from broker.demo.questions import Questions
from broker.demo.site import DemoSite
from broker.demo.start import start_broker, until_ready
from tests.rig.letters import letter
from tests.rig.sites import quick_sites
from tests.rubbish import http_cases
from tests.rubbish.case import WORD, Case
from tests.rubbish.crowd import Crowd
from tests.rubbish.raw import Answer, exchange, request
from tests.rubbish.readers import MIB, all_cases, forget_peak, memory
from tests.rubbish.traps import Trap, trapped

LONG = bool(os.environ.get("LONG"))
RATE = 25.0  # healthy documents a second
READ = 3  # seconds that a body may stand still, by the settings of this run
HEALTHY = 1_000
DOORS = ("epj", "partner", "http", "crowd")  # what may be run alone
FLOOR_CASES, FLOOR_CROWD = 365, 850
P99 = 0.250  # seconds, of the answer to a healthy document
BUSY = 4.0  # how many times a busy machine's delay may come into one answer
AWAKE = 0.020  # seconds that a timer is late on a machine that has nothing else to do
QUIET = 200  # healthy documents before the storm
ANSWERED = 15.0  # seconds, of the answer to rubbish: what was sent slowly not counted
CEILING_MEMORY, PER_BYTE = 96 * MIB, 8  # over what was there before; healthy traffic goes on meanwhile
FLOOR_MEMORY = 60 * MIB  # a broker that is up
SILENT = 45.0  # seconds after which nobody who was silent may still be connected
_SETTINGS = f"[timeouts]\nread = 'PT{READ}S'\n"
_PARTNER, _EPJ = "/ebms", "/api/v1/messages"


def run(sabotage: str, only: frozenset[str]) -> bool:
    """Return whether the daemon answered everything as it should, and nobody else noticed."""
    with tempfile.TemporaryDirectory() as folder, trapped() as trap:
        return asyncio.run(_run(Path(folder), trap, sabotage, only))


async def _run(folder: Path, trap: Trap, sabotage: str, only: frozenset[str]) -> bool:
    print(f"== daemon: {RATE:.0f} healthy documents a second, p99 under {P99 * 1000:.0f} ms; memory under")
    print(f"   {CEILING_MEMORY // MIB} MiB + {PER_BYTE} x size over the start, and {FLOOR_MEMORY // MIB} MiB in all")
    sites = quick_sites(folder, settings=_SETTINGS)
    site = sites[FJORDVIK]
    async with AsyncExitStack() as opened:
        brokers = [
            await start_broker(site, module="tests.rubbish.sabotage" if sabotage else "broker"),
            await start_broker(sites[DALBYGDA]),
        ]
        opened.push_async_callback(stop_all, brokers)
        asks = [Questions(each.api, each.token) for each in (site, sites[DALBYGDA])]
        for broker, questions in zip(brokers, asks, strict=True):
            opened.push_async_callback(questions.close)
            await until_ready(broker, questions)
        storm = _Storm(site, brokers[0], trap)
        await storm.run(only)
        storm.check_log()
        way = await storm.one_more(asks[0], sites[DALBYGDA])
    return storm.told(way, only)


@dataclass
class _Storm:
    site: DemoSite
    broker: Child
    trap: Trap
    wrong: list[str] = field(default_factory=list)
    count: Counter[str] = field(default_factory=Counter)
    crowd: Crowd = field(default_factory=Crowd)
    quiet: "Health" = field(default_factory=lambda: Health())
    health: "Health" = field(default_factory=lambda: Health())
    statuses: Counter[str] = field(default_factory=Counter)
    most: int = 0
    longest: float = 0.0
    silent: float = 0.0

    async def run(self, only: frozenset[str]) -> None:
        """Let everything come at once: the healthy, the silent, the slow, and one case after another."""
        healthy = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.rubbish.healthy", self.site.api, self.site.token, str(RATE)),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await _until(healthy, QUIET)
            healthy.send_signal(signal.SIGUSR1)
            self.quiet = await _told_by(healthy)
            async with asyncio.TaskGroup() as tasks:
                gathering = tasks.create_task(self._gather(only))
                for door, port in self._ports().items():
                    if not only or "http" in only:
                        await self._http_cases(door, port)
                    if not only or door in only:
                        await self._cases(door, port)
                await gathering
                if not only or "crowd" in only:
                    await self._knock()  # when nobody else must get in
                await _until(healthy, HEALTHY if not only else HEALTHY // 10)
        finally:
            healthy.send_signal(signal.SIGTERM)
            self.health = await _told_by(healthy)
            await healthy.wait()
        self.statuses = Counter(self.health.statuses)

    def _ports(self) -> dict[str, int]:
        return {
            "epj": int(self.site.api.rpartition(":")[2]),
            "partner": int(self.site.partner.rpartition(":")[2]),
        }

    # --- the crowd ---

    async def _gather(self, only: frozenset[str]) -> None:
        """Hold connections at both doors, and see that each is ended."""
        if only and "crowd" not in only:
            return
        posting = f"POST {_EPJ} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.site.token}\r\n"
        posting += "Content-Type: application/xml\r\nContent-Length: 100000\r\n\r\n"
        envelope = f"POST {_PARTNER} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 100000\r\n\r\n"
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as tasks:
            for door, port in self._ports().items():
                body = (posting if door == "epj" else envelope).encode()
                for _ in range(70):
                    tasks.create_task(self.crowd.stay(f"silent at {door}", port, b""))
                    tasks.create_task(self.crowd.stay(f"slow head at {door}", port, b"GET / HTTP/1.1\r\n", b"X" * 500))
                    tasks.create_task(self.crowd.stay(f"slow body at {door}", port, body, b"x" * 500))
        self.silent = loop.time() - began

    async def _knock(self) -> None:
        """Knock at the partners' door more often than there is room behind it."""
        port = self._ports()["partner"]
        knocking = [asyncio.ensure_future(self.crowd.stay("too many at partner", port, b"GET")) for _ in range(450)]  # noqa: TID251 - ended below
        done, rest = await asyncio.wait(knocking, timeout=3.0)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        if len(done) < 50:
            self.wrong.append(f"{len(rest)} connections were held at a door of 400")

    # --- the cases ---

    async def _http_cases(self, door: str, port: int) -> None:
        path, media_type = (_EPJ, "application/xml") if door == "epj" else (_PARTNER, "text/xml")
        for http in http_cases.cases(path, media_type, self.site.token):
            answer = await self._sent(
                f"{door}, HTTP, {http.name}", port, http.data, finish=http.finish, rest=0.5 if http.closes else 0.0
            )
            self._judge_http(f"{door}, HTTP, {http.name}", http, answer)

    async def _cases(self, door: str, port: int) -> None:
        path = _EPJ if door == "epj" else _PARTNER
        for case in _of_door(door):
            data = request(path, case.make(self.trap.names), self._headers(door, case))
            answer = await self._sent(f"{door}, {case.group}, {case.name}", port, data)
            if answer.status not in (400, 403, 413, 415, 422, 431):
                self.wrong.append(f"{door}, {case.group}, {case.name}: {answer.status}")

    def _headers(self, door: str, case: Case) -> list[tuple[str, str]]:
        if door == "epj":
            return [("Authorization", f"Bearer {self.site.token}"), ("Content-Type", "application/xml")]
        return [("Content-Type", case.content_type if case.reader == "mime" else "text/xml")]

    async def _sent(self, name: str, port: int, data: bytes, *, finish: bool = False, rest: float = 0.0) -> Answer:
        """Send one case, and look at what it cost."""
        forget_peak(self.broker.pid)
        before = memory(self.broker.pid, "VmRSS")
        answer = await exchange(port, data, finish=finish, rest=rest)
        self.broker.alive()
        peak = memory(self.broker.pid, "VmHWM")
        grown = peak - before
        self.count[name.partition(",")[0]] += 1
        self.most, self.longest = max(self.most, grown), max(self.longest, answer.seconds)
        said = []
        if grown > CEILING_MEMORY + PER_BYTE * len(data):
            said.append(f"took {grown / MIB:.0f} MiB")
        if peak < FLOOR_MEMORY:
            said.append(f"a peak of {peak / MIB:.0f} MiB cannot be")
        if answer.seconds > ANSWERED:
            said.append(f"answered after {answer.seconds:.1f} s")
        if WORD.encode() in answer.body or WORD in answer.head:
            said.append("the answer repeats what was sent")
        if answer.status > 0 and "server: digihelse" not in answer.head.lower():
            said.append("the answer is not in our words")
        said += self.trap.complaints()
        self.wrong += [f"{name}: {complaint}" for complaint in said]
        cost = f"{len(data) / 1e6:6.2f} MB {peak / MIB:6.0f} MiB (+{grown / MIB:5.1f}) {answer.seconds:6.3f} s"
        print(f"{'!' if said else ' '} {name:62.62} {cost}  {answer.status or 'closed'} {_told(answer)}")
        return answer

    def _judge_http(self, name: str, http: http_cases.HttpCase, answer: Answer) -> None:
        if answer.status not in http.may:
            self.wrong.append(f"{name}: {answer.status}, not one of {sorted(http.may)}")
        elif http.closes and not (answer.closed or "connection: close" in answer.head.lower()):
            self.wrong.append(f"{name}: the connection stays open")
        elif answer.more and http.closes:
            self.wrong.append(f"{name}: {answer.more} answers more to what was smuggled")

    # --- the end ---

    def check_log(self) -> None:
        """See that no fault of ours was met, and nothing of what came was written down."""
        log = self.site.broker_log.read_text("utf-8")
        faults = [line for line in log.splitlines() if '"event": "unexpected"' in line or "Traceback" in line]
        if faults:
            self.wrong.append(f"{len(faults)} faults of ours in the log; the first: {faults[0][:300]}")
        if WORD in log:
            self.wrong.append("the log repeats what was sent")

    async def one_more(self, asks: Questions, receiver: DemoSite) -> str:
        """Post one document when all is over, and return how far it came within a minute."""
        _, content = letter(self.site.unit, receiver.unit)
        data = request(_EPJ, content, self._headers("epj", _of_door("epj").__next__()))
        answer = await exchange(self._ports()["epj"], data)
        came = "not taken"
        if answer.status == 202:
            id = json.loads(answer.body)["id"]
            for _ in range(300):
                way = await asks.way(id)
                came = way.transport if way else "unknown"
                if came == "Acknowledged":
                    break
                await asyncio.sleep(0.2)  # until a deadline: the broker has no bell for this
        return came

    def told(self, way: str, only: frozenset[str]) -> bool:
        """Print what was done; return whether all is well."""
        wrong, health = self.wrong, self.health
        taken = self.statuses["202"]
        print(f"{self.count.total()} cases: {', '.join(f'{number} at {door}' for door, number in self.count.items())}")
        print(f"most memory {self.most / MIB:.0f} MiB over the start, longest answer {self.longest:.1f} s")
        for (kind, end), number in sorted(self.crowd.ended.items()):
            print(f"  {number} {kind}: {end}; the longest held {self.crowd.longest.get(kind, 0.0):.1f} s")
        print(
            f"healthy: {taken} taken of {self.statuses.total()}, p50 {health.p50 * 1000:.0f} ms, "
            f"p99 {health.p99 * 1000:.0f} ms, most {health.most * 1000:.0f} ms; before the storm "
            f"p50 {self.quiet.p50 * 1000:.0f} ms, p99 {self.quiet.p99 * 1000:.0f} ms"
        )
        print(f"one more, when all was over: {way}")
        if (taken < HEALTHY and not only) or taken != self.statuses.total():
            wrong.append(f"healthy documents: {dict(self.statuses)}")
        # A machine that is busy with something else keeps everybody waiting, and a mere timer too.
        limit = max(P99 + BUSY * max(health.late - AWAKE, 0.0), BUSY * self.quiet.p99)
        if limit > P99:
            print(f"the machine is busy (a timer is {health.late * 1000:.0f} ms late): p99 under {limit * 1000:.0f} ms")
        if health.p99 > limit:
            wrong.append(f"p99 of healthy documents is {health.p99 * 1000:.0f} ms")
        if way != "Acknowledged":
            wrong.append(f"the last document is {way}")
        if not only and self.count.total() < FLOOR_CASES:
            wrong.append(f"{self.count.total()} cases, and the floor is {FLOOR_CASES}")
        if not only or "crowd" in only:
            self._judge_crowd()
        print(f"{len(wrong)} wrong")
        for complaint in wrong[:20]:
            print(f"  {complaint}")
        return not wrong

    def _judge_crowd(self) -> None:
        if self.crowd.came.total() < FLOOR_CROWD:
            self.wrong.append(f"{self.crowd.came.total()} in the crowd, and the floor is {FLOOR_CROWD}")
        if self.silent > SILENT:
            self.wrong.append(f"the silent were held for {self.silent:.0f} s")
        for (kind, end), number in self.crowd.ended.items():
            if kind.startswith("slow body") and end != "408":
                self.wrong.append(f"{number} {kind} were answered with {end}")
            if kind.startswith(("silent", "slow head")) and end not in ("closed", "400", "408"):
                self.wrong.append(f"{number} {kind} were answered with {end}")


def _of_door(door: str) -> Iterator[Case]:
    """Yield the cases that a door can be sent: documents to the EPJ's, MIME to the partners', XML to both."""
    xml = 0
    for case in all_cases():
        xml += case.reader == "xml"
        if {
            "document": door == "epj" and bool(case.refused),
            "mime": door == "partner" and "\n" not in case.content_type,
            "xml": door == "epj" or LONG or xml % 3 == 0,
        }.get(case.reader, False):
            yield case


def _told(answer: Answer) -> str:
    if answer.body.startswith(b"{"):
        return str(json.loads(answer.body).get("errorId"))
    return answer.body.partition(b"<faultstring>")[2].partition(b"</")[0].decode()[:50]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the healthy were told, and how soon, in seconds."""

    statuses: dict[str, int] = field(default_factory=dict)
    p50: float = 0.0
    p99: float = 0.0
    most: float = 0.0
    late: float = 0.0  # of their own process


async def _told_by(healthy: asyncio.subprocess.Process) -> Health:
    assert healthy.stdout is not None
    async with asyncio.timeout(60):
        while not (line := await healthy.stdout.readline()).startswith(b"{"):
            pass
    return Health(**json.loads(line))


async def _until(healthy: asyncio.subprocess.Process, number: int) -> None:
    """Wait until so many healthy documents have been answered."""
    assert healthy.stdout is not None
    async with asyncio.timeout(120):
        while line := await healthy.stdout.readline():
            if line.strip().isdigit() and int(line) >= number:
                return
