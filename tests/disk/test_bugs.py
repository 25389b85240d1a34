"""What the disk harness found, each as small as it can be shown."""

import asyncio
import errno
import io
import json
import os
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from broker import telemetry
from broker.errors import StoreBroken
from broker.lookup import files
from broker.store import sqlite, writer
from broker.store.bodies import fsync_folder
from broker.store.sqlite import SqliteStore, open_store
from tests.disk.rot import Turn, _told, received_document, recorded_answer, signal
from tests.scenario.pair import Pair, pair
from tests.store import values
from tests.store.values import SITE_KEY


async def _open(folder: Path, told: list[BaseException] | None = None) -> SqliteStore:
    return await open_store(folder, site_key=SITE_KEY, on_broken=(told if told is not None else []).append, reserve=0)


async def test_the_log_stays_short_while_only_what_is_owed_is_written(tmp_path: Path) -> None:
    """Nothing new is posted to a full disk; yet what partners send must not grow the log until nothing can be done."""
    store = await open_store(tmp_path, site_key=SITE_KEY, on_broken=lambda error: None, reserve=1 << 60)
    for _ in range(60):
        await store.receive(values.arrived(os.urandom(100_000)))
    assert (tmp_path / "store.sqlite-wal").stat().st_size < 2 * writer.TIGHT_WAL
    await store.close()


def test_a_store_that_broke_says_by_name_what_the_disk_said() -> None:
    lines = io.StringIO()
    telemetry.configure("error", lines)
    telemetry.store_broken(OSError(errno.EIO, "words that may quote a path"))
    (line,) = map(json.loads, lines.getvalue().splitlines())
    assert (line["why"], line["error"]) == ("EIO", "OSError")
    assert "words" not in lines.getvalue()


async def test_an_error_of_the_last_checkpoint_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[BaseException] = []
    store = await _open(tmp_path, told)
    await store.accept(values.taken())

    def fails(self: writer.Writer, *, wait: int) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
        raise error

    monkeypatch.setattr(writer.Writer, "_checkpoint", fails)
    await store.close()
    await asyncio.sleep(0)
    assert [type(error) for error in told] == [sqlite3.OperationalError]
    assert (tmp_path / "store.sqlite-wal").stat().st_size > 0  # a second try would have removed it


async def test_a_store_that_broke_keeps_its_log(tmp_path: Path) -> None:
    store = await _open(tmp_path)
    kept = values.taken()
    await store.accept(kept)
    store._writer.break_down(OSError(errno.EIO, "fsync of a body"))
    with pytest.raises(StoreBroken):
        await store.accept(values.taken())
    await store.close()
    assert (tmp_path / "store.sqlite-wal").stat().st_size > 0
    again = await _open(tmp_path)
    assert await again.outbound(values.OURS, kept.messages[0].msg_id) is not None
    await again.close()


async def test_a_disk_with_no_room_to_spare_gets_back_what_the_log_takes(tmp_path: Path) -> None:
    store = await _open(tmp_path)
    for _ in range(20):
        await store.accept(values.taken(os.urandom(100_000)))
    log = tmp_path / "store.sqlite-wal"
    assert log.stat().st_size > writer.TIGHT_WAL
    store._writer.save_room()
    await store.accept(values.taken())
    await store.accept(values.taken())  # the checkpoint came after the commit before
    assert log.stat().st_size < writer.TIGHT_WAL
    await store.close()


async def test_the_name_of_the_log_is_on_disk_before_the_first_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite fsyncs the folder when it makes its log, and ignores what comes of that; so we do, and look."""
    await (await _open(tmp_path)).close()
    assert not (tmp_path / "store.sqlite-wal").exists()
    seen: list[bool] = []

    def looked(folder: Path) -> None:
        seen.append((folder / "store.sqlite-wal").exists())
        fsync_folder(folder)

    monkeypatch.setattr(sqlite, "fsync_folder", looked)
    store = await _open(tmp_path)
    assert seen == [True]
    await store.close()


def test_a_key_whose_fsync_failed_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(handle: int) -> None:
        raise OSError(errno.EIO, "fsync")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="fsync"):
        files.write_new(tmp_path / "site.key", bytes(32), mode=files.PRIVATE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("case", "sync"),
    [(received_document, True), (recorded_answer, True), (signal, False)],
)
async def test_what_has_rotted_is_told_of_and_not_sent(
    case: Callable[[Pair, Turn, int], Awaitable[list[str]]], sync: bool, tmp_path: Path
) -> None:
    async with pair(tmp_path, sync=sync) as both:
        assert await case(both, Turn(folder=tmp_path, place=0.5), 0) == []


async def test_a_signal_that_has_rotted_is_not_tried_for_ever(tmp_path: Path) -> None:
    async with pair(tmp_path, sync=False) as both:
        assert await signal(both, Turn(folder=tmp_path, place=0.5), 0) == []
        told = await _told(both.right)
        await both.pass_time(timedelta(minutes=4), step=timedelta(minutes=1))  # before the next copy asks again
        assert await _told(both.right) == told == 1
