"""The soak itself: two brokers under a steady load, and a fault at each beat that is mended before the next."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from broker.demo.cases import DALBYGDA, FJORDVIK
from broker.demo.children import Child, stop_all
from broker.demo.questions import Questions
from broker.demo.site import DemoSite
from broker.demo.start import start_broker, start_simulator, until_ready
from tests.disk.bench import until
from tests.disk.full import can_mount, fill, free, small_disk
from tests.rig.ledgers import Books
from tests.rig.letters import LARGE, lay_out
from tests.rig.sites import quick_sites
from tests.rig.wire import Wire, wire
from tests.soak.watch import MB, Sample, look

RESERVE = 16 * MB
_SETTINGS = f"[limits]\nreserve = {RESERVE}"
_LARGE_EVERY = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how often a fault, how much load. Seconds."""

    seconds: float
    beat: float
    between: float  # two letters, one each way
    disk: int  # bytes
    settle: float = 120.0


@dataclass
class Run:
    """What was done and seen."""

    samples: list[Sample] = field(default_factory=list)
    faults: list[tuple[float, str]] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    letters: int = 0
    wrong: list[str] = field(default_factory=list)


class Soak:
    """One run. What is watched is the broker of Fjordvik, `ours`."""

    def __init__(self, plan: Plan, ours: DemoSite, theirs: DemoSite, line: Wire) -> None:
        self._plan, self._ours, self._theirs, self._line = plan, ours, theirs, line
        self._books = Books.of((ours, theirs))
        self._children: dict[str, Child] = {}
        self._began = time.monotonic()
        self.run = Run()

    async def go(self) -> Run:
        try:
            await self._start(self._ours)
            await self._start(self._theirs)
            for site in (self._ours, self._theirs):
                self._children[f"epj {site.key}"] = await start_simulator(site)
            self._began = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._load())
                tasks.create_task(self._watch())
                tasks.create_task(self._faults())
            await self._settled()
        finally:
            await stop_all([*self._children.values()])
        return self.run

    # --- the load, and the look ---

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    async def _load(self) -> None:
        while self._now < self._plan.seconds:
            for sender, receiver in ((self._ours, self._theirs), (self._theirs, self._ours)):
                self.run.letters += 1
                size = LARGE if self.run.letters % _LARGE_EVERY == 0 else 0
                self._books.laid.append((lay_out(sender, receiver, size=size), sender.key, receiver.key))
            await asyncio.sleep(self._plan.between)

    async def _watch(self) -> None:
        done = {self._ours.key: 0, self._theirs.key: 0}
        while self._now < self._plan.seconds:
            seen = look(self._children[self._ours.key].pid, self._ours.folder / "data", self._now)
            if seen is not None:
                self.run.samples.append(seen)
            for site in (self._ours, self._theirs):
                entries = self._books.tails[site.key].look()
                for entry in entries[done[site.key] :]:
                    if entry["what"] == "posted":  # else the simulator lists ever more files
                        (site.outbox / f"{entry['case']}.xml").unlink(missing_ok=True)
                done[site.key] = len(entries)
            await asyncio.sleep(0.5)

    async def _settled(self) -> None:
        try:
            await until("every letter came to its end", lambda: not self._books.open(), within=self._plan.settle)
        except AssertionError as late:
            self.run.wrong.append(f"{late}; {len(self._books.open())} are open")
        self.run.wrong += self._books.complaints()[:20]

    # --- the faults ---

    async def _faults(self) -> None:
        """One a beat. The watched broker is killed in the first half only: what it holds is then its own, grown up."""
        early = (self._kill_ours, self._partner_down, self._disk_nearly_full, self._kill_theirs, self._partner_slow)
        late = (self._partner_slow, self._kill_theirs, self._disk_nearly_full, self._partner_says_503, self._kill_epj)
        beats = int(self._plan.seconds / self._plan.beat)
        for number in range(1, beats):
            await asyncio.sleep(max(number * self._plan.beat - self._now, 0))
            first_half = (number + 1) * self._plan.beat <= self._plan.seconds / 2
            faults: tuple[Callable[[], Awaitable[None]], ...] = early if first_half else late
            fault = faults[(number - 1) % len(faults)]
            name = fault.__name__.strip("_").replace("_", " ")
            if fault == self._disk_nearly_full and (lack := can_mount()):
                self.run.skipped.add(f"{name}, for {lack}")
                continue
            self.run.faults.append((self._now, name))
            await fault()

    @property
    def _while(self) -> float:
        return self._plan.beat / 3

    async def _kill_ours(self) -> None:
        await self._kill(self._ours)

    async def _kill_theirs(self) -> None:
        await self._kill(self._theirs)

    async def _kill(self, site: DemoSite) -> None:
        os.killpg(self._children[site.key].pid, signal.SIGKILL)
        await self._children[site.key].ended()
        await self._start(site)

    async def _kill_epj(self) -> None:
        name = f"epj {self._ours.key}"
        os.killpg(self._children[name].pid, signal.SIGKILL)
        await self._children[name].ended()
        self._children[name] = await start_simulator(self._ours)

    async def _partner_down(self) -> None:
        await self._children[self._theirs.key].stop()
        await asyncio.sleep(self._while)
        await self._start(self._theirs)

    async def _partner_slow(self) -> None:
        self._line.slow[self._theirs.key] = self._while / 2
        await asyncio.sleep(self._while)
        self._line.slow.clear()

    async def _partner_says_503(self) -> None:
        self._line.down.add(self._theirs.key)
        await asyncio.sleep(self._while)
        self._line.down.clear()

    async def _disk_nearly_full(self) -> None:
        data = self._ours.folder / "data"
        fill(data, leave=RESERVE // 2)
        await asyncio.sleep(self._while)
        free(data)

    async def _start(self, site: DemoSite) -> None:
        module = "tests.soak.broker" if site is self._ours else "broker"
        self._children[site.key] = child = await start_broker(site, module=module)
        questions = Questions(site.api, site.token)
        try:
            await until_ready(child, questions)
        finally:
            await questions.close()


async def soak(folder: Path, plan: Plan) -> Run:
    """Make the sites in `folder`, and go through the plan."""
    sites = quick_sites(folder, settings=_SETTINGS)
    ours, theirs = sites[FJORDVIK], sites[DALBYGDA]
    with ExitStack() as stack:
        if can_mount() is None:
            stack.enter_context(small_disk(ours.folder / "data", size=plan.disk))
        async with wire({site.key: site for site in (ours, theirs)}) as line:
            return await Soak(plan, ours, theirs, line).go()
