"""Opening and closing: one process, the right key, no way back, nothing left lying about."""

import asyncio
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from broker.errors import Misconfigured, StoreBroken, StoreBusy
from broker.message import EventKind
from broker.store import schema
from broker.store.sqlite import SqliteStore, open_reader, open_store
from tests.store import values
from tests.store.values import OURS, SITE_KEY


async def _open(folder: Path, site_key: bytes = SITE_KEY) -> SqliteStore:
    return await open_store(folder, site_key=site_key, on_broken=lambda error: None)


async def test_a_second_opener_is_refused_with_a_sentence(tmp_path: Path) -> None:
    first = await _open(tmp_path)
    with pytest.raises(Misconfigured, match="another process has this store open") as told:
        await _open(tmp_path)
    assert told.value.hint
    await first.close()
    second = await _open(tmp_path)
    await second.close()


async def test_another_process_is_refused_and_its_lock_dies_with_it(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from broker.store.sqlite import open_store\n"
        "async def main():\n"
        "    await open_store(Path(sys.argv[1]), site_key=bytes(range(32)), on_broken=print)\n"
        "    print('open', flush=True); await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    other = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert other.stdout is not None
    try:
        assert await asyncio.to_thread(other.stdout.readline) == b"open\n"
        with pytest.raises(Misconfigured, match="another process"):
            await _open(tmp_path)
    finally:
        other.kill()
        await asyncio.to_thread(other.wait)
        other.stdout.close()
    await (await _open(tmp_path)).close()


async def test_closing_ends_every_thread_and_may_be_done_twice(tmp_path: Path) -> None:
    before = threading.active_count()
    store = await _open(tmp_path)
    await store.accept(values.taken())
    await store.close()
    await store.close()
    names = [thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio")]
    assert len(names) <= before
    with pytest.raises(StoreBusy, match="stopping"):
        await store.accept(values.taken())
    with pytest.raises(StoreBusy, match="stopping"):
        await store.queue(limit=1)


def test_a_process_that_fails_ends_though_its_store_was_never_closed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from broker.store.sqlite import open_store\n"
        "async def main():\n"
        "    await open_store(Path(sys.argv[1]), site_key=bytes(range(32)), on_broken=print)\n"
        "    raise SystemExit(3)\n"
        "asyncio.run(main())"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], timeout=30).returncode == 3


async def test_what_waits_when_the_store_closes_is_written_first(tmp_path: Path) -> None:
    store = await _open(tmp_path)
    writes = [values.taken() for _ in range(300)]
    async with asyncio.TaskGroup() as tasks:
        for one in writes:
            tasks.create_task(store.accept(one))
        await asyncio.sleep(0)  # all of them stand in the queue
        await store.close()
    store = await _open(tmp_path)
    for one in writes:
        assert await store.outbound(OURS, one.messages[0].msg_id) is not None
    await store.close()


async def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    store = await _open(tmp_path)
    small, large, came = values.taken(b"small"), values.taken(b"x" * 300_000), values.arrived()
    await store.accept(small)
    await store.accept(large)
    await store.receive(came)
    await store.close()
    assert not (tmp_path / "store.sqlite-wal").exists()  # a clean stop leaves no log behind
    store = await _open(tmp_path)
    assert await store.body(small.messages[0].body) == b"small"
    assert await store.body(large.messages[0].body) == b"x" * 300_000
    assert await store.item(came.new_items[0].id) == (came.messages[0], came.new_items[0])
    await store.close()


def _modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


async def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    store = await _open(tmp_path / "store")
    await store.accept(values.taken(b"x" * 300_000))
    modes = _modes(tmp_path)
    await store.close()
    assert len(modes) >= 6
    assert {name for name, mode in modes.items() if mode & 0o077} == set()


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33)])
async def test_a_site_key_of_the_wrong_size_is_refused(tmp_path: Path, key: bytes) -> None:
    with pytest.raises(Misconfigured, match="the key has"):
        await _open(tmp_path, key)
    assert _modes(tmp_path) == {}


async def test_another_site_key_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    store = await _open(tmp_path)
    await store.accept(values.taken())
    await store.close()
    with pytest.raises(Misconfigured, match="not the one that this store was made with"):
        await _open(tmp_path, bytes(32))
    with pytest.raises(Misconfigured, match="not the one that this store was made with"):
        await open_reader(tmp_path, site_key=bytes(32))
    store = await _open(tmp_path)
    assert len(await store.queue(limit=9)) == 1
    await store.close()


async def test_a_newer_schema_is_refused_with_a_sentence(tmp_path: Path) -> None:
    await (await _open(tmp_path)).close()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    for opening in (_open(tmp_path), open_reader(tmp_path, site_key=SITE_KEY)):
        with pytest.raises(Misconfigured, match="written by a newer broker: its schema is version 99"):
            await opening


async def test_an_older_schema_is_brought_up_and_a_failing_step_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await _open(tmp_path)).close()
    known = schema._migrations()
    newest = len(known)
    steps = known | {
        newest + 1: "CREATE TABLE extra (id TEXT) STRICT;",
        newest + 2: "CREATE TABLE half (id); NONSENSE;",
    }
    monkeypatch.setattr(schema, "_migrations", lambda: steps)
    with pytest.raises(StoreBroken, match="NONSENSE"):
        await _open(tmp_path)
    del steps[newest + 2]
    store = await _open(tmp_path)
    await store.accept(values.taken())
    await store.close()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (newest + 1,)
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    assert "extra" in tables
    assert "half" not in tables


def test_migrations_are_numbered_without_a_gap_and_travel_with_the_package() -> None:
    files = sorted(file.name for file in (resources.files("broker.store") / "sql").iterdir())
    assert files[0] == "0001_first.sql"
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))


async def test_what_is_no_database_is_refused_and_the_lock_is_freed(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"something else entirely, but long enough to be looked at" * 50)
    with pytest.raises(StoreBroken, match="not a database"):
        await _open(tmp_path)
    (tmp_path / "store.sqlite").unlink()
    await (await _open(tmp_path)).close()


async def test_files_that_no_row_names_are_swept_at_the_start(tmp_path: Path) -> None:
    store = await _open(tmp_path)
    kept = values.taken(b"x" * 300_000)
    await store.accept(kept)
    await store.close()
    named = {path.name for path in (tmp_path / "bodies").iterdir()}
    (tmp_path / "bodies" / ("ab" * 16)).write_bytes(b"left over")  # a crash between file and commit
    (tmp_path / "bodies" / ("cd" * 16 + ".part")).write_bytes(b"left over")
    store = await _open(tmp_path)
    assert {path.name for path in (tmp_path / "bodies").iterdir()} == named
    assert await store.body(kept.messages[0].body) == b"x" * 300_000
    await store.close()


# --- looking at a store while no broker runs ---


@pytest.mark.parametrize("crashed", [False, True])
async def test_a_reader_sees_all_and_changes_nothing(tmp_path: Path, crashed: bool) -> None:
    folder = tmp_path / "store"
    store = await _open(folder)
    changes = values.taken(b"x" * 300_000)
    await store.accept(changes)
    if crashed:  # what a killed process leaves behind: a log that no checkpoint has emptied
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        folder = copy
        assert (folder / "store.sqlite-wal").stat().st_size > 0
    await store.close()
    before = (folder / "store.sqlite").read_bytes()
    reader = await open_reader(folder, site_key=SITE_KEY)
    found = await reader.outbound(OURS, changes.messages[0].msg_id)
    assert found is not None
    assert await reader.body(found.message.body) == b"x" * 300_000
    assert not hasattr(reader, "accept")
    await reader.close()
    assert (folder / "store.sqlite").read_bytes() == before
    store = await _open(folder)
    assert len(await store.queue(limit=9)) == 1
    await store.close()


async def test_a_broker_may_start_while_a_reader_looks(tmp_path: Path) -> None:
    await (await _open(tmp_path)).close()
    reader = await open_reader(tmp_path, site_key=SITE_KEY)
    store = await _open(tmp_path)
    await store.accept(values.taken())
    assert len(await reader.queue(limit=9)) == 1
    await reader.close()
    await store.accept(values.taken())
    await store.close()


async def test_there_is_nothing_to_look_at_where_there_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="there is no store"):
        await open_reader(tmp_path / "none", site_key=SITE_KEY)
    assert not (tmp_path / "none").exists()


async def test_ready_writes_and_leaves_no_trace_in_the_history(store: SqliteStore) -> None:
    await store.ready()
    await store.ready()
    assert await store.events(kinds=list(EventKind), after=0, limit=9) == ()
