"""When the disk is full or fails: what is promised then, by real faults where they can be made."""

import asyncio
import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from broker.errors import StoreBroken, StoreBusy
from broker.message import Changes, EventKind
from broker.store import writer
from broker.store.sqlite import SqliteStore, open_store
from tests.store import values
from tests.store.values import MINUTE, NOW, OURS, SITE_KEY

LARGE = 300_000  # bytes: a body of its own file


async def _tried(store: SqliteStore, size: int) -> Changes | None:
    """Return what was accepted, or None where the store was full."""
    changes = values.taken(os.urandom(size))
    try:
        await store.accept(changes)
    except StoreBusy:
        return None
    return changes


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def _all_there(store: SqliteStore, accepted: list[Changes]) -> None:
    for changes in accepted:
        found = await store.outbound(OURS, changes.messages[0].msg_id)
        assert found is not None
        assert await store.body(found.message.body) == changes.bodies[0].content


# --- full ---


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder]).returncode:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", folder], check=True)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as opened:
        while True:
            opened.write(bytes(4096))


@pytest.mark.parametrize("size", [100, 60_000, LARGE])
async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(
    small_disk: Path, broken: list[BaseException], size: int
) -> None:
    store = await open_store(small_disk / "store", site_key=SITE_KEY, on_broken=broken.append, reserve=0)
    accepted = [changes for _ in range(3) if (changes := await _tried(store, size))]
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        _fill(filler)
    refused = 0
    while refused < 5:
        told = await asyncio.gather(*(_tried(store, size) for _ in range(8)))
        accepted += [changes for changes in told if changes]
        refused += told.count(None)
    assert len(await store.queue(limit=1000)) == len(accepted)
    files = len(list((small_disk / "store" / "bodies").iterdir()))
    assert files == (len(accepted) if size == LARGE else 0)  # nothing is left of what was refused
    filler.unlink()
    for _ in range(5):
        changes = await _tried(store, size)
        assert changes is not None
        accepted.append(changes)
    await store.ready()
    await _all_there(store, accepted)
    await store.close()
    assert broken == []
    store = await open_store(small_disk / "store", site_key=SITE_KEY, on_broken=broken.append, reserve=0)
    await _all_there(store, accepted)
    await store.close()


async def test_what_finds_room_is_written_though_another_of_its_group_finds_none(
    store: SqliteStore, broken: list[BaseException]
) -> None:
    accepted = [changes for _ in range(20) if (changes := await _tried(store, 1000))]
    used = await store._writer.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await store._writer.run(lambda db: db.execute(f"PRAGMA max_page_count = {used + 20}").fetchone())
    told = await asyncio.gather(*(_tried(store, 200_000 if n == 2 else 100) for n in range(5)))
    assert [changes is not None for changes in told] == [True, True, False, True, True]
    accepted += [changes for changes in told if changes]
    await store._writer.run(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
    assert await _tried(store, 200_000) is not None
    await _all_there(store, accepted)
    assert broken == []


async def test_the_reserve_is_kept_for_what_comes_and_for_outcomes(tmp_path: Path) -> None:
    store = await open_store(tmp_path, site_key=SITE_KEY, on_broken=lambda error: None, reserve=10**18)
    with pytest.raises(StoreBusy, match="full"):
        await store.accept(values.taken())
    with pytest.raises(StoreBusy, match="full"):
        await store.ready()
    came = values.arrived()
    await store.receive(came)
    stored = replace(came.new_items[0], updated_at=NOW)
    await store.record(Changes(events=(values.event(EventKind.STORED),), items=(stored,)))
    await store.close()


async def test_the_free_space_is_looked_at_once_a_second(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []
    look = os.statvfs

    def counted(path: Path) -> os.statvfs_result:
        looks.append(path)
        return look(path)

    monkeypatch.setattr("broker.store.sqlite.os.statvfs", counted)
    now = [100.0]
    monkeypatch.setattr("broker.store.sqlite.time.monotonic", lambda: now[0])
    for now[0] in (100.0, 100.5, 100.9, 101.0, 101.5, 102.0):
        await store.accept(values.taken())
    assert len(looks) == 3


async def test_a_foreign_program_that_holds_the_database_makes_it_busy_not_broken(
    store: SqliteStore, tmp_path: Path, broken: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BUSY_TIMEOUT", 20)
    with closing(sqlite3.connect(tmp_path / "store" / "store.sqlite", isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="another process holds"):
            await store.accept(values.taken())
        foreign.execute("ROLLBACK")
    await store.accept(values.taken())
    assert broken == []


# --- failing ---


async def test_a_write_that_fails_otherwise_ends_all_writing(
    store: SqliteStore, broken: list[BaseException], tmp_path: Path
) -> None:
    """The log may not grow (EFBIG): a write error that is no full disk."""
    accepted = [changes for _ in range(5) if (changes := await _tried(store, 1000))]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = (tmp_path / "store" / "store.sqlite-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + 100_000, hard))
    try:
        told = await asyncio.gather(
            *(store.accept(values.taken(os.urandom(50_000))) for _ in range(20)), return_exceptions=True
        )
        claimed = await asyncio.gather(
            store.claim(now=NOW, until=NOW + MINUTE, limit=9, per_lane=9, busy={}, closed=()), return_exceptions=True
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {type(one) for one in told} <= {type(None), StoreBroken}
    assert isinstance(told[-1], StoreBroken)
    assert isinstance(claimed[0], StoreBroken)
    assert len(broken) == 1
    for refused in (store.accept(values.taken()), store.record(values.taken()), store.ready()):
        with pytest.raises(StoreBroken, match="a write to the store failed"):
            await refused  # there is room again, but nothing is certain any more
    await _all_there(store, accepted)
    assert len(broken) == 1


@pytest.mark.parametrize("size", [LARGE])
async def test_a_failed_fsync_of_a_body_ends_all_writing(
    store: SqliteStore, broken: list[BaseException], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "planted")

    monkeypatch.setattr("broker.store.bodies.os.fsync", fail)
    with pytest.raises(StoreBroken, match="planted"):
        await store.accept(values.taken(bytes(size)))
    monkeypatch.undo()
    assert [str(error) for error in broken] == ["[Errno 5] planted"]
    with pytest.raises(StoreBroken):
        await store.accept(values.taken())
    assert await store.queue(limit=9) == ()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
async def test_no_room_for_a_body_refuses_and_leaves_nothing(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, broken: list[BaseException]
) -> None:
    files: list[int] = []
    fsync = os.fsync

    def fail(handle: int) -> None:
        files.append(handle)
        if len(files) == 2:
            raise OSError(number, "planted")
        fsync(handle)

    monkeypatch.setattr("broker.store.bodies.os.fsync", fail)
    first, second = values.taken(bytes(LARGE)), values.taken(bytes(LARGE))
    both = Changes(
        events=(*first.events, *second.events),
        bodies=(*first.bodies, *second.bodies),
        messages=(*first.messages, *second.messages),
    )
    with pytest.raises(StoreBusy):
        await store.accept(both)
    monkeypatch.undo()
    assert _names(tmp_path / "store" / "bodies") == set()
    await store.accept(both)
    assert broken == []


async def test_a_refused_write_takes_its_files_with_it(store: SqliteStore, tmp_path: Path) -> None:
    await store.accept(values.taken(msg_id="taken"))
    told = await asyncio.gather(
        *(store.accept(values.taken(bytes(LARGE), msg_id="taken")) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(one, Exception) for one in told)
    assert _names(tmp_path / "store" / "bodies") == set()


@pytest.mark.parametrize("small", [True, False])
async def test_an_error_of_the_disk_within_a_statement_is_not_tried_again(
    store: SqliteStore, broken: list[BaseException], small: bool
) -> None:
    tries = 0

    def fails_once(_: sqlite3.Connection) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
            raise error

    with pytest.raises(StoreBroken):
        await store._writer.run(fails_once, small=small)
    assert (tries, len(broken)) == (1, 1)
    with pytest.raises(StoreBroken):
        await store.accept(values.taken())


async def test_a_fault_of_the_writer_itself_leaves_nobody_waiting(
    store: SqliteStore, broken: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._writer, "_commit", lambda *_: 1 / 0)
    monkeypatch.setattr(store._writer, "_slow_until", inf)  # what is urgent too is committed by the thread
    told = await asyncio.wait_for(
        asyncio.gather(*(store.accept(values.taken()) for _ in range(5)), return_exceptions=True), 10
    )
    assert [type(one) for one in told] == [StoreBroken] * 5
    assert [type(error) for error in broken] == [ZeroDivisionError]


async def test_a_damaged_page_ends_the_store_when_it_is_read(tmp_path: Path, broken: list[BaseException]) -> None:
    store = await open_store(tmp_path, site_key=SITE_KEY, on_broken=broken.append)
    for _ in range(50):
        await store.accept(values.taken())
    await store.close()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'delivery'").fetchone()
    store = await open_store(tmp_path, site_key=SITE_KEY, on_broken=broken.append)
    with (tmp_path / "store.sqlite").open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(StoreBroken, match="malformed"):
        await store.queue(limit=9)
    assert len(broken) == 1
    with pytest.raises(StoreBroken):
        await store.accept(values.taken())
    await store.close()


_CHILD = """
import asyncio, sys
from pathlib import Path
from broker.errors import StoreBroken
from broker.store.sqlite import open_store
from tests.store import values

async def main():
    told = []
    store = await open_store(Path(sys.argv[1]), site_key=values.SITE_KEY, on_broken=told.append)
    failures = 0
    try:
        for n in range(12):
            try:
                await store.accept(values.taken(bytes(300_000 if n % 4 == 3 else 100), msg_id=f"{n}"))
            except StoreBroken:
                failures += 1
            else:
                print("kept", n, flush=True)
                assert not failures, "something was taken after a failed fsync"
    finally:
        await store.close()
    print("failed", failures, len(told), flush=True)

try:
    asyncio.run(main())
except StoreBroken:
    print("failed to open", flush=True)
"""


@pytest.mark.parametrize("nth", [int(n) for n in os.environ.get("FSYNC_POINTS", "1 3 6 11").split()])
async def test_no_write_is_reported_after_a_failed_fsync(tmp_path: Path, nth: int) -> None:
    """The n-th fsync of each thread fails (EIO): what was reported is there, and nothing more is taken."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: no fault can be put into a system call")
    command = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"inject=fsync,fdatasync:error=EIO:when={nth}"]
    folder = tmp_path / "store"
    child = await asyncio.to_thread(_run, [*command, sys.executable, "-c", _CHILD, str(folder)])
    lines = child.stdout.splitlines()
    if child.returncode and not lines:
        pytest.skip(f"strace cannot trace here: {child.stderr[-200:]}")
    assert lines, child.stderr
    kept = [line.split()[1] for line in lines if line.startswith("kept")]
    last = lines[-1].split()
    assert last[0] == "failed", child.stderr
    assert last == ["failed", "to", "open"] or (len(kept) + int(last[1]) == 12 and last[2] == "1"), lines
    store = await open_store(folder, site_key=SITE_KEY, on_broken=lambda error: None)
    for name in kept:
        found = await store.outbound(OURS, name)
        assert found is not None
        assert len(await store.body(found.message.body)) == found.message.size
    await store.close()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


# --- growing ---


async def test_the_log_does_not_grow_without_end(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "WAL_LIMIT", 500_000)
    store._writer._checkpoint_at = 500_000
    sizes = []
    for _ in range(60):
        await store.accept(values.taken(os.urandom(50_000)))
        sizes.append((tmp_path / "store" / "store.sqlite-wal").stat().st_size)
    assert max(sizes) < 1_000_000
    assert min(sizes[20:]) < 200_000
