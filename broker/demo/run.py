"""`broker demo`: three brokers, a simulator beside each, every case there and back, and an exit code that means it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp

from broker.demo.cases import DALBYGDA, Case, make_cases
from broker.demo.children import Child, Died, stop_all
from broker.demo.guest import prepare
from broker.demo.ledger import Entry, Posted, read_ledger
from broker.demo.questions import Questions, Unexpected, Way
from broker.demo.screen import Ended, Screen
from broker.demo.site import DemoSite, hold, make_sites, write_orders
from broker.demo.start import NotReady, start_broker, start_simulator, until_ready
from broker.demo.verdict import Asked, complaints, strays, told
from broker.errors import Misconfigured
from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness

_GLANCE = 0.25  # seconds between looks at the ledgers and the API
_SETTLED_WITHIN = 50.0
_FELT_WITHIN = 30.0  # until a stopped partner has been tried
_AGREED_WITHIN = 10.0  # until the receiver's side knows that its receipt is home


def main(stay: bool, folder: Path | None) -> int:
    """Run the demo in `folder` (default .demo). Returns 0 where every case ended as it should, else 1.

    With `stay` the brokers and simulators go on until Ctrl-C.
    """
    screen = Screen()
    try:
        return asyncio.run(_until_told_to_stop(stay, (folder or Path(".demo")).resolve(), screen))
    except* (Died, NotReady, Misconfigured, Unexpected, aiohttp.ClientError, OSError) as group:
        error = group.exceptions[0]
        screen.say(f"Demoen stoppet: {error}", f"The demo stopped: {error}")
    return 1


async def _until_told_to_stop(stay: bool, folder: Path, screen: Screen) -> int:
    """Run the demo; Ctrl-C, SIGTERM and a closed terminal end it in order, however often they come."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        showing = tasks.create_task(_show(stay, folder, screen), name="demo")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Only the first one counts: another must not break off the stopping.
            loop.add_signal_handler(number, lambda: showing.cancelling() or showing.cancel())
    return 130 if showing.cancelled() else showing.result()


async def _show(stay: bool, folder: Path, screen: Screen) -> int:
    async with Show(folder, screen) as show:
        return await show.run(stay=stay)


class Show:
    """One run of the demo: what is started in it is stopped when it is left."""

    def __init__(self, folder: Path, screen: Screen) -> None:
        self._folder, self._screen = folder, screen
        self._now = SystemClock().now
        self._new_id = SystemRandomness().id
        self._cases: tuple[Case, ...] = ()
        self._sites: dict[str, DemoSite] = {}
        self._brokers: dict[str, Child] = {}
        self._simulators: list[Child] = []
        self._asks: dict[str, Questions] = {}
        self._ways: dict[str, Way | None] = {}
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> "Show":
        self._opened.enter_context(hold(self._folder))
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_all([*self._simulators, *self._brokers.values()])
        await self._opened.aclose()

    async def run(self, *, stay: bool) -> int:
        """Start everything, send every case, judge. Returns the exit code."""
        say, started = self._screen.say, self._now()
        say("Lager nøkler, sertifikater og innstillinger …", "Making keys, certificates and settings …")
        self._sites = make_sites(self._folder, now=started, randomness=SystemRandomness())
        self._cases = make_cases(self._new_id, started)
        for site in self._sites.values():
            write_orders(site, {case.msg_id: case.rule for case in self._cases if case.receiver == site.key})
            self._asks[site.key] = Questions(site.api, site.token)
            self._opened.push_async_callback(self._asks[site.key].close)
        say("Starter tre meglere …", "Starting three brokers …")
        await asyncio.gather(*(self._start_broker(site) for site in self._sites.values()))
        with self._screen:
            await self._play()
        ended = await self._judge()
        self._screen.end(ended)
        odd = strays(self._cases, [self._ledger(site) for site in self._sites])
        for line in odd:
            say(line, line)
        well = not odd and not any(one.complaints for one in ended)
        good = sum(1 for one in ended if not one.complaints)
        spent = (self._now() - started).total_seconds()
        say(
            f"{good} av {len(ended)} endte som de skal, på {spent:.0f} s. Logger og journaler: {self._folder}",
            f"{good} of {len(ended)} ended as they should, in {spent:.0f} s. Logs and ledgers: {self._folder}",
        )
        if stay:
            # Told to stop is how staying ends; the exit code is that of the cases.
            with suppress(asyncio.CancelledError):
                await self._stay()
        return 0 if well else 1

    # --- the play ---

    async def _play(self) -> None:
        for case in self._cases:
            if not case.while_down:
                self.hand_over(case)
        for site in self._sites.values():
            self._simulators.append(await start_simulator(site))
        early = [case for case in self._cases if not case.while_down and not case.rule.withhold]
        await self._watch(lambda: all(map(self._settled, early)), within=_SETTLED_WITHIN)
        await self._while_a_partner_is_down([case for case in self._cases if case.while_down])
        await self._watch(lambda: all(map(self._settled, self._cases)), within=_SETTLED_WITHIN)

    async def _while_a_partner_is_down(self, cases: Sequence[Case]) -> None:
        """Stop Dalbygda's broker, let Fjordvik's EPJ post to it, and start it again when the lack has been felt."""
        code = await self._brokers.pop(DALBYGDA).stop()
        if code != 0:
            self._screen.say(
                f"Dalbygdas megler stoppet med {code}, ikke 0", f"Dalbygda's broker stopped with {code}, not 0"
            )
        for case in cases:
            self.hand_over(case)
        felt: set[str] = set()

        async def look() -> None:
            for case in cases:
                way = self._ways.get(case.name)
                if way is not None and "failed" in await self._asks[case.sender].attempts(way.id):
                    felt.add(case.name)

        await self._watch(lambda: len(felt) == len(cases), within=_FELT_WITHIN, also=look)
        await self._start_broker(self._sites[DALBYGDA])

    def hand_over(self, case: Case) -> None:
        """Lay a document where its EPJ finds it: in the outbox, or with the drafts where it answers another."""
        site = self._sites[case.sender]
        draft = site.drafts / f"{case.name}.xml"
        draft.write_bytes(case.content)
        if case.answers is None:
            draft.rename(site.outbox / draft.name)

    def _settled(self, case: Case) -> bool:
        if case.name not in self._ways:
            return False
        way = self._ways[case.name]
        return way is None or (way.outcome != "open" and way.stop_point == "K8")

    async def _watch(
        self, done: Callable[[], bool], *, within: float, also: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Look again and again, and show it, until `done` or `within` seconds have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while True:
                    await self._look()
                    if also is not None:
                        await also()
                    self._screen.show(self._cases, self._ways)
                    if done():
                        return
                    await asyncio.sleep(_GLANCE)

    async def _look(self) -> None:
        for child in (*self._brokers.values(), *self._simulators):
            child.alive()
        for site in self._sites:
            for entry in self._ledger(site):
                if isinstance(entry, Posted):
                    # A broker that is stopped just now keeps what it said last.
                    with suppress(aiohttp.ClientError, TimeoutError):
                        self._ways[entry.case] = await self._asks[site].way(entry.id) if entry.id else None

    # --- the judging ---

    async def _judge(self) -> list[Ended]:
        """Judge, and again for a while: the receiver's side learns last that its receipt came home."""
        ended: list[Ended] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(_AGREED_WITHIN):
                while not ended or any(one.complaints for one in ended):
                    ended = [await self._ended(case) for case in self._cases]
                    await asyncio.sleep(_GLANCE)
        return ended

    async def _ended(self, case: Case) -> Ended:
        ledgers = told(case, self._ledger(case.sender), self._ledger(case.receiver))
        sender, receiver = self._asks[case.sender], self._asks[case.receiver]
        way = await sender.way(case.msg_id)
        item = ledgers.received[0].item if ledgers.received else None
        question = None
        if case.answers is not None:
            question = await self._asks[case.receiver].way(case.answers)
        asked = Asked(
            way=way,
            attempts=await sender.attempts(way.id) if way else (),
            arrival=await receiver.arrival(item) if item else None,
            posted_bytes=await sender.posted_bytes(way.id) if way else None,
            arrived_bytes=await receiver.arrived_bytes(item) if item else None,
            question_conversation=question.conversation if question else None,
        )
        return Ended(case=case, told=ledgers, asked=asked, complaints=complaints(case, ledgers, asked))

    def _ledger(self, site: str) -> list[Entry]:
        return list(read_ledger(self._sites[site].ledger))

    # --- the processes ---

    async def _start_broker(self, site: DemoSite) -> None:
        self._brokers[site.key] = await start_broker(site)
        await until_ready(self._brokers[site.key], self._asks[site.key])

    # --- staying ---

    async def _stay(self) -> None:
        lines = prepare(self._folder, self._sites, new_id=self._new_id, now=self._now())
        self._screen.say("\nAlt står og går. Ctrl-C stopper det.\n", "\nEverything is up. Ctrl-C stops it.\n")
        for site in self._sites.values():
            self._screen.say(f"  {site.name}: {site.api}", f"  {site.name}: {site.api}")
        self._screen.say("\nPrøv selv:\n", "\nTry it:\n")
        for line in lines:
            self._screen.say(line, line)
        while True:
            for child in (*self._brokers.values(), *self._simulators):
                child.alive()
            await asyncio.sleep(1)
