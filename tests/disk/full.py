"""A disk of 20 MB that another program fills: nothing new is taken, what is owed still goes, and then it goes on."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import aiohttp

from broker.demo.questions import Questions
from broker.demo.site import DemoSite
from broker.demo.start import start_broker, until_ready
from tests.disk.bench import Bench, until
from tests.rig.letters import LARGE, letter

MB = 1024 * 1024
DISK = 20 * MB
RESERVE = 6 * MB  # what the broker keeps for what it owes; in the settings of the sites of this harness
SETTINGS = f"[limits]\nreserve = {RESERVE}"
_FILLER = "filled-by-another-program"


def can_mount() -> str | None:
    """Return why no disk of its own can be made here, or None."""
    return None if os.geteuid() == 0 else "a disk of its own takes root"


@dataclass
class Filled:
    """What was done, and what was wrong."""

    refused: int = 0  # 503 with accepted: false
    owed: int = 0  # letters of the partner that were acknowledged, judged and receipted meanwhile
    after: int = 0  # taken again, by the same process
    wrong: list[str] = field(default_factory=list)


@contextmanager
def small_disk(folder: Path, *, size: int = DISK) -> Iterator[None]:
    """Put an empty disk of `size` bytes in the place of `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, leave: int) -> None:
    """Let another program take all but `leave` bytes of the disk."""
    disk = os.statvfs(folder)
    size = disk.f_bavail * disk.f_frsize - leave
    path = folder / _FILLER
    take = f"import os, sys; f = os.open({str(path)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND); "
    take += f"[os.write(f, bytes(4096)) for _ in range({max(size, 0)} // 4096)]"
    subprocess.run(["python3", "-c", take], check=leave > 0, capture_output=True)


def free(folder: Path) -> None:
    """Give the room back."""
    (folder / _FILLER).unlink()


async def filled(bench: Bench, *, rounds: int) -> Filled:
    """Fill the subject's disk to its reserve, then wholly, and free it each time."""
    seen, data = Filled(), bench.ours.folder / "data"
    with small_disk(data):
        broker = await start_broker(bench.ours)
        questions = Questions(bench.ours.api, bench.ours.token)
        try:
            await until_ready(broker, questions)
            bench.lay(out=2, back=1)
            await until("letters on an empty disk came to their end", bench.settled)
            for _ in range(rounds):
                await _to_the_reserve(bench, seen, data)
                await _wholly(bench, seen, data)
                broker.alive()
            seen.wrong += bench.books.complaints()
        finally:
            await questions.close()
            code = await broker.stop()
        if code != 0:
            seen.wrong.append(f"the broker ended with {code}")
    return seen


async def _to_the_reserve(bench: Bench, seen: Filled, data: Path) -> None:
    """Half of the reserve is left: nothing new is taken, and what the partner sends is acknowledged and receipted."""
    await _refused(bench, seen, data, leave=RESERVE // 2, size=0)
    await _refused(bench, seen, data, leave=RESERVE // 2, size=LARGE)
    before = len(bench.books.laid)
    bench.lay(out=0, back=5)
    bench.lay(out=0, back=1, size=LARGE)
    await until("what the partner sent to a full disk was receipted from the reserve", bench.settled, within=30)
    seen.owed += len(bench.books.laid) - before
    await _goes_on(bench, seen, data)


async def _wholly(bench: Bench, seen: Filled, data: Path) -> None:
    """Not a block is left: everything is refused, nothing is promised, and nothing breaks."""
    await _refused(bench, seen, data, leave=0, size=0)
    # The partner's letters wait with the partner, who still has the duty.
    bench.lay(out=0, back=2)
    bench.lay(out=0, back=1, size=LARGE)
    await _refused(bench, seen, data, leave=0, size=LARGE)
    await _goes_on(bench, seen, data)


async def _refused(bench: Bench, seen: Filled, data: Path, *, leave: int, size: int) -> None:
    """Post while the other program takes what the broker gives back, until every post is refused, one after another."""
    refused = 0
    async with asyncio.timeout(20):
        while refused < 5:
            fill(data, leave=leave)
            status = await _post(bench.ours, bench, seen, size=size)
            refused = refused + 1 if status == 503 else 0
            await asyncio.sleep(0.3)


async def _goes_on(bench: Bench, seen: Filled, data: Path) -> None:
    free(data)
    async with asyncio.timeout(10):
        while True:
            if await _post(bench.ours, bench, seen, size=0) == 202:
                break
            await asyncio.sleep(0.2)
    bench.lay(out=2, back=2)
    await until("letters came to their end when there was room again", bench.settled)
    seen.after += 5


async def _post(site: DemoSite, bench: Bench, seen: Filled, *, size: int) -> int:
    """Post one letter as a client of the same unit. Returns the status; what is taken must come to its end as well."""
    msg_id, content = letter(site.unit, bench.theirs.unit, size=size)
    headers = {"Authorization": f"Bearer {site.token}", "Content-Type": "application/xml"}
    async with (
        aiohttp.ClientSession(site.api, headers=headers) as session,
        session.post("/api/v1/messages", data=content) as answer,
    ):
        told = await answer.json(content_type=None)
    if answer.status == 503:
        seen.refused += 1
        if told.get("accepted") is not False:
            seen.wrong.append(f"a post to a full disk was told accepted: {told.get('accepted')}")
    elif answer.status == 202:
        bench.books.laid.append((msg_id, site.key, bench.theirs.key))
        bench.books.by_hand[msg_id] = {"status": answer.status, "sha256": sha256(content).hexdigest()}
    else:
        seen.wrong.append(f"a post was answered with {answer.status}")
    return answer.status
