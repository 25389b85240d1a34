"""Two sites of which the first one's broker is traced: letters both ways, by simulators with ledgers of their own."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from broker.demo.cases import DALBYGDA, FJORDVIK
from broker.demo.children import Child, stop_all
from broker.demo.site import DemoSite
from broker.demo.start import start_broker, start_simulator
from tests.disk.traced import Traced
from tests.rig.ledgers import Books, seconds
from tests.rig.letters import LARGE, lay_out
from tests.rig.sites import quick_sites
from tests.rig.wire import Wire, wire

WITHIN = 60.0  # seconds for whatever is waited for


@dataclass
class Bench:
    """The subject `ours` (Fjordvik), its healthy partner `theirs` (Dalbygda), and a third site to start anew."""

    ours: DemoSite
    theirs: DemoSite
    third: DemoSite
    wire: Wire
    books: Books
    children: list[Child] = field(default_factory=list)
    runs: int = 0

    def traced(self, site: DemoSite) -> Traced:
        """Return a new run of a site's broker, not started."""
        self.runs += 1
        return Traced(site, self.runs)

    def lay(self, *, out: int, back: int, size: int = 0) -> None:
        """Lay letters out, from the subject and to it."""
        for count, sender, receiver in ((out, self.ours, self.theirs), (back, self.theirs, self.ours)):
            for _ in range(count):
                self.books.laid.append((lay_out(sender, receiver, size=size), sender.key, receiver.key))

    def load(self) -> None:
        """Lay out what passes every kind of write: small and large, both ways."""
        self.lay(out=2, back=2)
        self.lay(out=1, back=1, size=LARGE)

    def settled(self) -> bool:
        """Say whether all that was laid out has ended."""
        return not self.books.open()

    def promises(self, *, after: float) -> Iterator[str]:
        """Yield each promise that the subject's broker gave later than `after` (seconds of the system clock)."""
        tail = self.books.tails[self.ours.key]
        for kind in ("posted", "judged"):
            for entry in tail.of(kind, since=after):
                if entry.get("status") != 503:
                    yield f"{kind} was answered at {seconds(entry):.3f}"
        for passed in self.wire.passed:
            if passed.to == self.ours.key and passed.acknowledged and passed.ended > after:
                yield f"an Acknowledgment at {passed.ended:.3f}"
            if passed.to == self.theirs.key and passed.action == "Apprec" and passed.began > after:
                yield f"an AppRec at {passed.began:.3f}"


@asynccontextmanager
async def bench(folder: Path, *, settings: str = "") -> AsyncIterator[Bench]:
    """Give a bench, with the partner's broker and both simulators running and the subject's broker not started."""
    sites = quick_sites(folder, settings=settings)
    ours, theirs = sites[FJORDVIK], sites[DALBYGDA]
    async with wire({site.key: site for site in (ours, theirs)}) as line:
        built = Bench(
            ours=ours,
            theirs=theirs,
            third=next(site for key, site in sites.items() if key not in (FJORDVIK, DALBYGDA)),
            wire=line,
            books=Books.of((ours, theirs)),
        )
        try:
            built.children.append(await start_broker(theirs))
            built.children += [await start_simulator(site) for site in (ours, theirs)]
            yield built
        finally:
            await stop_all(built.children)


async def until(what: str, done: Callable[[], bool], *, within: float = WITHIN) -> None:
    """Look again and again. Raises AssertionError, naming `what`, when it has taken longer than `within` seconds."""
    end = time.monotonic() + within
    while not done():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:.0f} s: {what}")
        await asyncio.sleep(0.1)
