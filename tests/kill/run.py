"""One run: two brokers and their EPJs as processes, and brokers killed at moments that their logs tell."""

import asyncio
import os
import random
import re
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from broker.demo.cases import DALBYGDA, FJORDVIK, UNITS
from broker.demo.children import Child, stop_all
from broker.demo.questions import Questions
from broker.demo.simulator import Rule
from broker.demo.site import DemoSite, make_sites, write_orders
from broker.demo.start import start_broker, start_simulator, until_ready
from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness
from tests.kill.autopsy import STOP_POINTS, stop_points
from tests.kill.ledgers import Books
from tests.kill.load import Post, make_posts

SIDES = (FJORDVIK, DALBYGDA)
_GLANCE = 0.005  # seconds between looks at a log
_LOOK = 0.2  # seconds between looks at the ledgers
_MOMENT_WITHIN = 4.0  # seconds for the moment to come; else it is killed anyway


class Tail:
    """What a log has got since it was last looked at."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def events(self) -> list[str]:
        """Return the names of the events in whole new lines."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as log:
            log.seek(self._read)
            whole, _, _ = log.read().rpartition(b"\n")
        self._read += len(whole) + (1 if whole else 0)
        return [name.decode() for name in re.findall(rb'"event": "([^"]+)"', whole)]


class Run:
    """Everything that is started in it is stopped when it is left."""

    def __init__(self, folder: Path, *, messages: int, kills: int, seed: int, module: str, patience: float) -> None:
        self._random, self._kills, self._module, self._patience = random.Random(seed), kills, module, patience
        now, randomness = SystemClock().now(), SystemRandomness()
        self._sites = {
            key: site for key, site in make_sites(folder, now=now, randomness=randomness).items() if key in SIDES
        }
        self.posts = make_posts(messages, new_id=randomness.id, now=now, seed=self._random)
        self._left = {side: [post for post in self.posts if post.sender == side] for side in SIDES}
        self._tails = {side: Tail(site.broker_log) for side, site in self._sites.items()}
        self._brokers: dict[str, Child] = {}
        self._simulators: list[Child] = []
        self._opened = AsyncExitStack()
        self.killed: Counter[str] = Counter()  # by side
        self.amid = 0  # kills with something between 202 and outcome
        self.last: Counter[str] = Counter()  # kills by the stop-point of the last commit
        self.at: Counter[str] = Counter()  # kills by every stop-point that something stood at, or was last committed
        self.told_by_log = 0  # kills at the moment that was asked for

    async def __aenter__(self) -> "Run":
        for side, site in self._sites.items():
            rules = {post.msg_id: post.rule or Rule() for post in self.posts if post.receiver == side}
            write_orders(site, rules)
            for post in self._left[side]:
                (site.drafts / f"{post.name}.xml").write_bytes(post.content)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(stop_all([*self._simulators, *self._brokers.values()]))
        await self._opened.aclose()

    async def go(self) -> None:
        """Kill for the first half with signals in the HTTP answer, and for the second with signals of their own."""
        victims = self._victims()
        moments = self._moments(len(victims))
        half = len(victims) // 2
        for sync, part in ((True, slice(0, half)), (False, slice(half, None))):
            for site in self._sites.values():
                _agree(site, sync=sync)
            await asyncio.gather(*map(self._start, SIDES))
            if not self._simulators:
                self._simulators = list(await asyncio.gather(*map(start_simulator, self._sites.values())))
            for victim, moment in zip(victims[part], moments[part], strict=True):
                self._lay_out(cycles=len(victims) - self.killed.total())
                await self._kill(victim, moment)
                if self.killed.total() % 10 == 0:
                    print(f"{self.killed.total()} kills", flush=True)
            laid_out = [post for post in self.posts if post not in self._left[post.sender]]
            if not await self._settled(laid_out):
                return
            await stop_all(list(self._brokers.values()))
            self._brokers.clear()

    def books(self) -> Books:
        """Return the ledgers as they stand."""
        return Books({side: site.ledger for side, site in self._sites.items()})

    # --- who, and when ---

    def _victims(self) -> list[str]:
        victims = [SIDES[number % 2] for number in range(self._kills)]
        self._random.shuffle(victims)
        return victims

    def _moments(self, count: int) -> list[tuple[str, int]]:
        """Return for each kill an event, and the how-manieth of it in the victim's log is waited for."""
        kinds = list(dict.fromkeys(STOP_POINTS))
        every = [kinds[number % len(kinds)] for number in range(count)]
        self._random.shuffle(every)
        return [(kind, self._random.randint(1, 4)) for kind in every]

    def _lay_out(self, *, cycles: int) -> None:
        """Put this cycle's share into the outboxes."""
        for side, site in self._sites.items():
            left = self._left[side]
            share = -(-len(left) // cycles)
            for post in left[:share]:
                (site.drafts / f"{post.name}.xml").rename(site.outbox / f"{post.name}.xml")
            del left[:share]

    async def _kill(self, victim: str, moment: tuple[str, int]) -> None:
        broker, (kind, count) = self._brokers.pop(victim), moment
        tail = self._tails[victim]
        tail.events()
        loop = asyncio.get_running_loop()
        end, seen = loop.time() + _MOMENT_WITHIN, 0
        while seen < count and loop.time() < end:
            seen += tail.events().count(kind)
            broker.alive()
            await asyncio.sleep(_GLANCE)
        os.killpg(broker.pid, signal.SIGKILL)
        await broker.ended()
        self.told_by_log += seen >= count
        self.killed[victim] += 1
        self.amid += self.books().amid() > 0
        last, standing = await asyncio.to_thread(stop_points, self._sites[victim].folder / "data")
        self.last[last or "another"] += 1
        self.at.update(standing | ({last} if last else frozenset()))
        await self._start(victim)

    async def _start(self, side: str) -> None:
        site = self._sites[side]
        self._brokers[side] = await start_broker(site, module=self._module)
        asks = Questions(site.api, site.token)
        try:
            await until_ready(self._brokers[side], asks)
        finally:
            await asks.close()

    # --- the end ---

    async def _settled(self, posts: Sequence[Post]) -> bool:
        """Wait until all of these have ended. Returns False where no ledger has grown for as long as patience lasts."""
        loop = asyncio.get_running_loop()
        size, end = -1, loop.time() + self._patience
        while not await asyncio.to_thread(lambda: self.books().settled(posts)):
            grown = sum(site.ledger.stat().st_size for site in self._sites.values() if site.ledger.exists())
            if grown != size:
                size, end = grown, loop.time() + self._patience
            if loop.time() > end:
                return False
            for child in (*self._brokers.values(), *self._simulators):
                child.alive()
            await asyncio.sleep(_LOOK)
        return True


def _agree(site: DemoSite, *, sync: bool) -> None:
    """Write into the partner's record how signals come."""
    ours = site.unit.her
    theirs = next(unit.her for key, unit in UNITS.items() if key in SIDES and unit.her != ours)
    (path,) = site.folder.glob(f"addresses/*-{theirs}.toml")
    text = path.read_text("utf-8")
    path.write_text(re.sub(r"^sync = .*$", f"sync = {str(sync).lower()}", text, flags=re.MULTILINE), "utf-8")
