"""One broker, its EPJ and all peers as processes, with a party and an agreement for every row of the matrix."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from broker.demo.cases import FJORDVIK
from broker.demo.children import Child
from broker.demo.documents import Unit
from broker.demo.questions import Questions, Way
from broker.demo.site import DemoSite, _free_ports
from broker.demo.start import start_broker, start_simulator, until_ready
from broker.lookup.clock import SystemClock
from broker.lookup.new_keys import new_keys
from broker.lookup.randomness import SystemRandomness
from tests.interop.peers.site import Plan, Site, Terms
from tests.interop.peers.xmldsig import Key
from tests.rig.ledgers import Tail
from tests.rig.letters import letter
from tests.rig.sites import quick_sites

ENGINES = ("ebms-core", "nav", "nhn", "hermes", "nhs")
_FIRST_HER = 8_200_000
_GLANCE = 0.05  # seconds between looks at logs and ledgers
_READY_WITHIN = 40.0
PROFILES = Path(__file__).parents[2] / "profiles"
_SETTINGS = """
[timeouts]
post = "PT20S"

[tls]
ca = "../tls.crt"
"""


class Wrong(Exception):
    """A row is not as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What stands in the broker's own record of the party."""

    cpa: str | None = None  # another than the peer's
    retries: int = 4
    interval: float = 0.8  # seconds
    persist: float = 60.0
    switches: frozenset[str] = frozenset()
    payloads: int = 1


@dataclass
class PeerProcess:
    """One engine's process, and what it has told."""

    engine: str
    folder: Path
    config: Path
    process: asyncio.subprocess.Process | None = None
    told: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    changed: dict[int, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    done: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    listening: asyncio.Task[None] | None = None
    broke: list[str] = field(default_factory=list)  # what it could not do; it should be nothing
    _orders: int = 0

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Start it, and wait until it listens."""
        self.ready.clear()
        log = os.open(self.folder / "peer.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.interop.peers", "--config", str(self.config),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, limit=2**24,
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
        self.listening = tasks.create_task(self._listen(self.process))
        await asyncio.wait_for(self.ready.wait(), _READY_WITHIN)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if not line.endswith(b"\n"):
                break  # cut off by a kill: it was never told
            entry = json.loads(line)
            if entry["what"] == "ready":
                self.ready.set()
            elif entry["what"] == "done":
                self.done.pop(entry["order"]).set_result(entry["said"])
            elif entry["what"] == "broke":
                self.broke.append(entry["why"])
            else:
                self.told[entry["party"]].append(entry)
                self.changed[entry["party"]].set()

    async def order(self, her: int, do: str, **what: Any) -> Any:
        """Give an order, and return what it had to say."""
        assert self.process is not None
        assert self.process.stdin is not None
        self._orders += 1
        answer = self.done[self._orders] = asyncio.get_running_loop().create_future()
        self.process.stdin.write(json.dumps({"order": self._orders, "party": her, "do": do, **what}).encode() + b"\n")
        return await asyncio.wait_for(answer, 30)

    async def kill(self) -> None:
        """Kill -9."""
        assert self.process is not None
        assert self.listening is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        await self.listening

    async def stop(self) -> None:
        """Ask it to end, and end it where it does not."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), 5)
        except TimeoutError:
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a row asks for: an engine, what both sides agreed, and what each has written down of it."""

    engine: str
    sync: bool = False
    signed: bool = True
    ack: bool = True
    plan: Plan = field(default=Plan())
    ours: Ours = field(default=Ours())
    theirs: Mapping[str, Any] = field(default_factory=dict)  # of Terms


class World:
    """Everything that is started in it is stopped when it is left. A row's place is told by its number."""

    def __init__(self, folder: Path, places: Sequence[Place], *, patience: float = 1.0) -> None:
        self._folder, self._places, self.patience = folder, places, patience
        _make_server_certificate(folder)
        self.site: DemoSite = quick_sites(folder, settings=_SETTINGS)[FJORDVIK]
        ours = {urlsplit(url).port for url in (self.site.api, self.site.partner)}  # nobody listens there yet
        free = _free_ports(int.from_bytes(SystemRandomness().bytes(4)), len(places) + len(ours))
        ports = [port for port in free if port not in ours][: len(places)]
        self.terms = [
            self._terms(number, place, port) for number, (place, port) in enumerate(zip(places, ports, strict=True))
        ]
        self.peers: dict[str, PeerProcess] = {}
        self.heard: dict[int, asyncio.Event] = defaultdict(asyncio.Event)  # what the broker's log says of a party
        self.epj = Tail(self.site.ledger)
        self._broker: Child | None = None
        self._simulator: Child | None = None
        self._opened = AsyncExitStack()
        self._tasks: asyncio.TaskGroup | None = None
        self._following: asyncio.Task[None] | None = None
        self.questions: Questions
        self.session: aiohttp.ClientSession

    def _terms(self, number: int, place: Place, port: int) -> Terms:
        index = ENGINES.index(place.engine)
        her = _FIRST_HER + index * 1000 + number + 1
        base = Terms(
            her=her,
            organisation=_FIRST_HER + index * 1000,
            ours=self.site.unit.her,
            our_organisation=self.site.unit.organisation_her,
            cpa=f"interop:{her}",
            port=port,
            url=f"{self.site.partner}/ebms",
            sync=place.sync,
            signed=place.signed,
            encrypted=place.signed,
            ack=place.ack,
            plan=place.plan,
        )
        return replace(base, **place.theirs)

    async def __aenter__(self) -> "World":
        for engine in ENGINES:
            if any(place.engine == engine for place in self._places):
                self._make_peer(engine)
        try:
            await self._start()
        except BaseException:
            await self._opened.aclose()
            raise
        return self

    async def _start(self) -> None:
        self._tasks = await self._opened.enter_async_context(asyncio.TaskGroup())
        self._opened.push_async_callback(self._stop)
        self.questions = Questions(self.site.api, self.site.token)
        self._opened.push_async_callback(self.questions.close)
        headers = {"Authorization": f"Bearer {self.site.token}", "Content-Type": "application/xml"}
        session = aiohttp.ClientSession(self.site.api, headers=headers, timeout=aiohttp.ClientTimeout(total=60))
        self.session = await self._opened.enter_async_context(session)
        (self.site.folder / "hold").mkdir()
        await asyncio.gather(self.start_broker(), *(peer.start(self._tasks) for peer in self.peers.values()))
        self._simulator = await start_simulator(self.site)
        self._following = self._tasks.create_task(self._follow())

    async def __aexit__(self, *_: object) -> None:
        await self._opened.__aexit__(None, None, None)

    async def _stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
        children = [child for child in (self._broker, self._simulator) if child is not None]
        await asyncio.gather(*(child.stop() for child in children), *(peer.stop() for peer in self.peers.values()))

    # --- what is written before the start ---

    def _make_peer(self, engine: str) -> None:
        index = ENGINES.index(engine)
        folder = self._folder / "peers" / engine
        folder.mkdir(parents=True)
        number, now = f"90000100{index}", SystemClock().now()
        for name in ("keys", "others"):
            new_keys(folder / name, organisation=number, name=engine, now=now, bits=2048)
        own, other = folder / "keys" / number, folder / "others" / number
        ours = next((self.site.folder / "keys").iterdir())
        mine = [index for index, place in enumerate(self._places) if place.engine == engine]
        site = Site(
            engine=engine,
            folder=str(folder / "memory"),
            signing=_key(own, "signing"),
            encryption=_key(own, "encryption"),
            other=_key(other, "signing"),
            tls=_key(self._folder, "tls"),
            our_signing=ours / "signing.crt",
            our_encryption=ours / "encryption.crt",
            parties=tuple(self.terms[index] for index in mine),
        )
        site.write(folder / "peer.json")
        self.peers[engine] = PeerProcess(engine, folder, folder / "peer.json")
        self._write_organisation(engine, index, number, own)
        for index in mine:
            self._write_record(self._places[index], self.terms[index])

    def _write_organisation(self, engine: str, index: int, number: str, keys: Path) -> None:
        addresses, her = self.site.folder / "addresses", _FIRST_HER + index * 1000
        for use in ("signing", "encryption"):
            (addresses / f"{engine}-{use}.crt").write_bytes((keys / f"{use}.crt").read_bytes())
        _write(
            addresses / f"{engine}.toml",
            f"her_id = {her}",
            f'name = "{engine}"',
            'kind = "organisation"',
            f'organisation_number = "{number}"',
            f'signing = ["{engine}-signing.crt"]',
            f'encryption = ["{engine}-encryption.crt"]',
        )

    def _write_record(self, place: Place, terms: Terms) -> None:
        ours = place.ours
        switches = sorted(ours.switches | (frozenset() if terms.encrypted else {"plaintext-in"}))
        _write(
            self.site.folder / "addresses" / f"{place.engine}-{terms.her}.toml",
            f"her_id = {terms.her}",
            f'name = "{place.engine} {terms.her}"',
            'kind = "epj"',
            f"parent = {terms.organisation}",
            f'endpoint = "http{"s" if terms.tls else ""}://127.0.0.1:{terms.port}/ebms"',
            f'profile = "{place.engine}"',
            f"switches = {json.dumps(switches)}",
            "[[agreement]]",
            f"with = {terms.ours}",
            f'cpa_id = "{ours.cpa or terms.cpa}"',
            f"retries = {ours.retries}",
            f'retry_interval = "PT{ours.interval}S"',
            f'persist_duration = "PT{ours.persist}S"',
            f"sync = {_flag(terms.sync)}",
            f"signed = {_flag(terms.signed)}",
            f"encrypted = {_flag(terms.encrypted)}",
            f"ack_requested = {_flag(terms.ack)}",
            f"payloads = {ours.payloads}" if ours.payloads > 1 else "",
            'chase = "none"',
        )

    # --- life and death ---

    async def start_broker(self) -> None:
        """Start the broker, and wait until it is ready."""
        self._broker = await start_broker(self.site, module="tests.interop.broker")
        await until_ready(self._broker, self.questions)

    async def kill_broker(self) -> None:
        """Kill -9."""
        assert self._broker is not None
        os.killpg(self._broker.pid, signal.SIGKILL)
        await self._broker.ended()

    async def kill_peer(self, engine: str) -> None:
        """Kill -9."""
        await self.peers[engine].kill()

    async def restart_peer(self, engine: str, hers: Collection[int]) -> None:
        """Start it again as an engine that holds nothing back for those parties."""
        peer = self.peers[engine]
        config = json.loads(peer.config.read_text("utf-8"))
        for party in config["parties"]:
            if party["her"] in hers:
                party["plan"]["hold"] = ""
        peer.config.write_text(json.dumps(config), "utf-8")
        assert self._tasks is not None
        await peer.start(self._tasks)

    async def _follow(self) -> None:
        """Wake who waits for a party, when the broker's log names it or the EPJ's ledger grows."""
        read, grown = 0, 0
        mark = b'"party": '
        while True:
            await asyncio.sleep(_GLANCE)
            for child in (self._broker, self._simulator):
                if child is self._simulator and child is not None:
                    child.alive()
            if self.site.broker_log.exists():
                lines, read = await asyncio.to_thread(_new_lines, self.site.broker_log, read)
                for line in lines:
                    _, found, rest = line.partition(mark)
                    if found:
                        self.heard[int(rest.split(b",")[0].rstrip(b"}"))].set()
            if len(self.epj.look()) > grown:
                grown = len(self.epj.entries)
                for event in list(self.heard.values()):
                    event.set()


Meanwhile = Callable[[], Awaitable[None]]


class Stage:
    """A row's own view: its party at the peer, its deliveries at the broker, its documents at the EPJ."""

    def __init__(self, world: World, number: int, place: Place) -> None:
        self.world, self.place, self.terms = world, place, world.terms[number]
        self.peer = world.peers[place.engine]
        self.her = self.terms.her
        self.id = self.msg_id = self.eb_id = ""
        self.way: Way | None = None
        self.sha256 = ""
        self.grave: Grave | None = None
        self.buried = False

    # --- our side ---

    async def post(self, *, size: int = 0) -> None:
        """Post a letter to the peer, as the EPJ."""
        self.msg_id, content = await asyncio.to_thread(partial(letter, self.world.site.unit, self._unit(), size=size))
        async with self.world.session.post("/api/v1/messages", data=content) as answer:
            told = await answer.json()
            if answer.status != 202:
                raise Wrong(f"the post was answered with {answer.status}: {told}")
        self.id, self.sha256 = told["id"], told["sha256"]

    async def ours(self, *, transport: str, outcome: str | None = None, within: float = 30.0) -> Way:
        """Wait until our delivery stands so."""
        heard, end = self.world.heard[self.her], _time() + within * self.world.patience
        while True:
            heard.clear()
            way = await self.world.questions.way(self.id)
            assert way is not None
            self.way = way
            if way.transport == transport and outcome in (None, way.outcome):
                return way
            if (left := end - _time()) <= 0:
                raise Wrong(f"ours is {way.transport}/{way.outcome} {way.error_id}, not {transport}/{outcome or 'any'}")
            await _woken(heard, min(left, 2.0))

    async def attempts(self) -> list[str]:
        """Return the results of our tries at the transport."""
        return list(await self.world.questions.attempts(self.id))

    async def tried(self, count: int, *, within: float = 20.0) -> None:
        """Wait until we have tried so often."""
        heard, end = self.world.heard[self.her], _time() + within * self.world.patience
        while len(tries := await self.attempts()) < count:
            if _time() > end:
                raise Wrong(f"we tried {len(tries)} times, not {count}")
            heard.clear()
            await _woken(heard, 1.0)

    async def received(self, msg_id: str, *, within: float = 30.0) -> dict[str, Any]:
        """Wait until our EPJ has a document of the peer."""
        heard, end = self.world.heard[self.her], _time() + within * self.world.patience
        while not (found := self.at_epj(msg_id)):
            if _time() > end:
                raise Wrong("our EPJ did not get the document")
            heard.clear()
            await _woken(heard, 1.0)
        return found[0]

    def at_epj(self, msg_id: str | None = None) -> list[dict[str, Any]]:
        """Return what our EPJ has got from the peer."""
        return [
            entry
            for entry in self.world.epj.look()
            if entry["what"] == "received" and entry["sender_her"] == self.her and msg_id in (None, entry["msg_id"])
        ]

    async def payloads(self, item: str) -> list[bytes]:
        """Return what came beside the document."""
        async with self.world.session.get(f"/api/v1/inbox/{item}") as answer:
            numbers = [one["number"] for one in (await answer.json())["payloads"]]
        found = []
        for number in numbers:
            async with self.world.session.get(f"/api/v1/inbox/{item}/payload?number={number}") as answer:
                found.append(await answer.read())
        return found

    async def command(self, *words: str) -> dict[str, Any]:
        """Run a command of the broker that says one thing in JSON."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "broker", *words, "--config", str(self.world.site.config), "--json",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complained = await asyncio.wait_for(process.communicate(), 40)
        if process.returncode:
            raise Wrong(f"broker {words[0]} ended with {process.returncode}: {said.decode()} {complained.decode()}")
        told: dict[str, Any] = json.loads(said)
        return told

    # --- their side ---

    def told(self, what: str, **facts: Any) -> list[dict[str, Any]]:
        """Return what the peer has told of that kind."""
        return [
            entry
            for entry in self.peer.told[self.her]
            if entry["what"] == what and all(entry.get(key) == value for key, value in facts.items())
        ]

    async def theirs(self, what: str, *, count: int = 1, within: float = 30.0, **facts: Any) -> dict[str, Any]:
        """Wait until the peer has told so much of that kind. Returns the last of them."""
        changed, end = self.peer.changed[self.her], _time() + within * self.world.patience
        while len(found := self.told(what, **facts)) < count:
            if (left := end - _time()) <= 0:
                last = [{key: value for key, value in entry.items() if key not in _LONG} for entry in self.told(what)]
                raise Wrong(f"the peer told {len(found)} of {count} {what} {facts}; all of them: {last[-3:]}")
            changed.clear()
            await _woken(changed, left)
        return found[count - 1]

    async def send(self, *, twist: str = "", size: int = 0) -> None:
        """Let the peer send a letter to us."""
        self.msg_id, content = await asyncio.to_thread(partial(letter, self._unit(), self.world.site.unit, size=size))
        file = self.peer.folder / f"letter-{self.msg_id}.xml"
        await asyncio.to_thread(file.write_bytes, content)
        self.eb_id = await self.order("send", file=str(file), twist=twist)

    async def order(self, do: str, **what: Any) -> Any:
        """Give the peer an order."""
        return await self.peer.order(self.her, do, **what)

    def state(self) -> str:
        """Return the state of the last message at the peer, whichever way it went."""
        found: dict[str, str] = {}
        for entry in self.peer.told[self.her]:
            if entry["what"] in {"in", "processed", "out", "state"}:
                found[f"{'in' if entry['what'] in {'in', 'processed'} else 'out'} {entry['id']}"] = str(entry["state"])
        return ", ".join(f"{key.partition(' ')[0]} {state}" for key, state in found.items()) or "-"

    def profile(self) -> dict[str, Any]:
        """Return what the profile of the engine says, which the record names."""
        return tomllib.loads((PROFILES / f"{self.place.engine}.toml").read_text("utf-8"))

    def hold(self, moment: str) -> Path:
        """Let our broker stand still before, or after, it commits what this party sends. Returns what marks it."""
        (self.world.site.folder / "hold" / f"{self.her}.{moment}").touch()
        return self.world.site.folder / "hold" / f"{self.her}.{moment}.reached"

    def busy(self, times: int) -> None:
        """Let our broker's store be busy for the next of what this party sends."""
        (self.world.site.folder / "hold" / f"{self.her}.busy").write_text(str(times))

    def let_go(self) -> None:
        """Hold no more."""
        for path in (self.world.site.folder / "hold").glob(f"{self.her}.*"):
            path.unlink()

    async def dead_and_back(self, meanwhile: Meanwhile | None = None) -> None:
        """Wait until this row's side of the kill is dead, and back; `meanwhile` is done while it is dead."""
        assert self.grave is not None
        self.buried = True
        await self.grave.arrive(meanwhile)

    def _unit(self) -> Unit:
        name = self.place.engine
        organisation = self.terms.organisation
        return Unit(her=self.her, name=name, organisation_her=organisation, organisation_name=name)


class Grave:
    """Where rows meet whose broker, or peer, is to be killed: when all are there that will come, it is."""

    def __init__(self, rows: int, kill: Meanwhile, back: Meanwhile) -> None:
        self._expected, self._kill, self._back = rows, kill, back
        self._there, self._over = 0, asyncio.Event()
        self._meanwhile: list[Meanwhile] = []
        self._ended: list[BaseException | None] = []

    async def arrive(self, meanwhile: Meanwhile | None = None) -> None:
        """Wait until it was killed and is back."""
        self._there += 1
        mine = len(self._meanwhile)
        if meanwhile is not None:
            self._meanwhile.append(meanwhile)
        await self._look()
        await self._over.wait()
        if meanwhile is not None and (wrong := self._ended[mine]) is not None:
            raise wrong

    async def leave(self) -> None:
        """Say that a row will not come."""
        self._expected -= 1
        await self._look()

    async def _look(self) -> None:
        if self._there and self._there == self._expected and not self._over.is_set():
            try:
                await self._kill()
                self._ended = await asyncio.gather(*(one() for one in self._meanwhile), return_exceptions=True)
            finally:
                await self._back()
                self._over.set()


async def eventually(true: Callable[[], bool], what: str, *, within: float = 20.0) -> None:
    """Wait until something is true that tells nobody."""
    end = _time() + within
    while not await asyncio.to_thread(true):
        if _time() > end:
            raise Wrong(f"never happened: {what}")
        await asyncio.sleep(_GLANCE)


_LONG = {"digests", "sha256", "file", "expires", "conversation"}


async def _woken(event: asyncio.Event, within: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), within)
    except TimeoutError:
        return


def _new_lines(path: Path, start: int) -> tuple[list[bytes], int]:
    with path.open("rb") as log:
        log.seek(start)
        whole, newline, _ = log.read().rpartition(b"\n")
    return whole.splitlines(), start + len(whole) + len(newline)


def _time() -> float:
    return asyncio.get_running_loop().time()


def _key(folder: Path, use: str) -> Key:
    return Key(key=folder / f"{use}.pem", certificate=folder / f"{use}.crt")


def _make_server_certificate(folder: Path) -> None:
    """Make the peers' TLS certificate for 127.0.0.1, which the broker's settings name."""
    key, certificate = str(folder / "tls.pem"), str(folder / "tls.crt")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(line for line in lines if line) + "\n", "utf-8")
