"""The embedded store: one folder, one process, one writer. Composes the parts; the contract stands in ports.Store."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from broker.alerts import Alert
from broker.errors import Misconfigured, StoreBroken
from broker.message import Changes, NewBody, NewEvent
from broker.ports import Claimed
from broker.store import claim
from broker.store.apply import apply, insert_events
from broker.store.bodies import KEY_SIZE, SMALL, SealedBody, Vault, fsync_folder
from broker.store.faults import Fate, broken, busy, fate, full
from broker.store.reads import READERS, Readers, SqliteReads
from broker.store.rows import micros
from broker.store.schema import (
    BODIES,
    DATABASE,
    check_site_key,
    check_store_key,
    check_version,
    connect,
    migrate,
    read_only,
    take_lock,
)
from broker.store.told import keep
from broker.store.writer import Writer

if TYPE_CHECKING:
    from broker.telemetry import Write

RESERVE = 64 * 1024 * 1024  # bytes kept free for what partners send and for outcomes, when nothing new is taken
_LOOK_AGAIN = 1.0  # seconds between two looks at the free space
_FEW = 20  # events of a write whose statements take a millisecond or two
_QUICK = 0.001  # seconds for a claim; it takes longer where many hundred counterparts wait

# Erase the keys, and the bytes that stand in rows; return the files.
_ERASE = """
UPDATE body SET wrapped = NULL, sealed = NULL, file = NULL, erased_at = ?
WHERE id = ? AND erased_at IS NULL"""
_FILE_OF = """
SELECT file FROM body WHERE id = ?1 AND erased_at IS NULL AND NOT EXISTS (SELECT 1 FROM owed WHERE body = ?1)"""

# A row that is written to prove that writing works.
_PROVE = """
INSERT INTO meta (name, value) VALUES ('ready', X'00')
ON CONFLICT (name) DO UPDATE SET value = CASE value WHEN X'00' THEN X'01' ELSE X'00' END"""


_A = TypeVar("_A")
_R = TypeVar("_R")


class SqliteStore(SqliteReads):
    """`ports.Store` on SQLite. Made by `open_store`, ended by `close`."""

    def __init__(
        self,
        *,
        folder: Path,
        lock: int,
        db: sqlite3.Connection,
        writer: Writer,
        readers: Readers,
        vault: Vault,
        reserve: int,
        told: Callable[[Sequence[NewEvent]], None],
    ) -> None:
        super().__init__(readers, vault)
        self._told = told
        self._folder, self._lock, self._db, self._writer, self._reserve = folder, lock, db, writer, reserve
        self._looked_at, self._room = float("-inf"), True
        self._claims_are_quick = True

    async def close(self) -> None:
        """Write what waits, then end all threads and free the lock. May be called twice."""
        await super().close()  # first: no reader is in the way of the last checkpoint
        await self._writer.stop()
        if self._writer.broken:
            _leave_the_log(self._db, self._folder / DATABASE)
        else:
            self._db.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def accept(self, changes: Changes) -> None:
        self._keep_reserve()
        await self._write(changes, urgent=True)  # the EPJ waits for it

    async def receive(self, changes: Changes) -> None:
        await self._write(changes)

    async def record(self, changes: Changes) -> None:
        await self._write(changes)

    async def claim(
        self,
        *,
        now: datetime,
        until: datetime,
        limit: int,
        per_lane: int,
        busy: Mapping[int, int],
        closed: Collection[int],
    ) -> Claimed:
        busy = dict(busy)  # as they are now: the caller's may change before the writer comes to it
        closed = frozenset(closed)

        def work(db: sqlite3.Connection) -> Claimed:
            began = time.monotonic()
            claimed = claim.claim(db, now=now, until=until, limit=limit, per_lane=per_lane, busy=busy, closed=closed)
            self._claims_are_quick = time.monotonic() - began < _QUICK
            return claimed

        return await self._timed("claim", work, small=self._claims_are_quick)

    async def erase(self, *, bodies: Sequence[tuple[str, NewEvent]], now: datetime) -> tuple[NewEvent, ...]:
        def work(db: sqlite3.Connection) -> list[tuple[str | None, NewEvent]]:
            erased: list[tuple[str | None, NewEvent]] = []
            for body, event in bodies:
                for (file,) in db.execute(_FILE_OF, (body,)).fetchall():
                    db.execute(_ERASE, (micros(now), body))
                    insert_events(db, [event])
                    erased.append((file, event))
            return erased

        erased = await self._timed("erase", work, scrub=True)
        await self._remove(file for file, _ in erased)
        return tuple(event for _, event in erased)

    async def ready(self) -> None:
        self._keep_reserve()
        await self._timed("proof", lambda db: db.execute(_PROVE).close())

    async def keep_alerts(self, alerts: Sequence[Alert], *, forgotten: Sequence[str] = ()) -> None:
        """Write what people know of now; forget what is over. Raises StoreBusy, StoreBroken."""
        await self._timed("alerts", partial(keep, alerts=alerts, forgotten=forgotten))

    async def _write(self, changes: Changes, *, urgent: bool = False) -> None:
        """Seal the bodies, away from the writer, then write all in one transaction."""
        self._has_reserve()
        bodies, answer = list(changes.bodies), None
        if changes.received is not None:
            answer = f"{changes.received.evidence}/answer"  # beside it in the index; a random id is on another page
            bodies.append(NewBody(id=answer, content=changes.received.answer.body))
        sealed: tuple[SealedBody, ...]
        if sum(len(body.content) for body in bodies) <= SMALL:
            sealed, small = self._vault.seal(bodies), len(changes.events) <= _FEW
        else:
            sealed, small = await self._files(self._vault.seal, bodies), False
        try:
            write = partial(apply, changes=changes, bodies=sealed, answer=answer)
            await self._timed("changes", write, small=small, urgent=urgent)
        except StoreBroken:
            raise  # nobody knows whether a row names the files
        except Exception:
            await self._remove(body.file for body in sealed)
            raise
        self._told(changes.events)

    async def _timed(
        self,
        write: "Write",
        work: Callable[[sqlite3.Connection], _R],
        *,
        scrub: bool = False,
        small: bool = True,
        urgent: bool = False,
    ) -> _R:
        """Have the writer do it, and count how long that took."""
        from broker.telemetry import written  # slow to load, and a store that is only read counts nothing

        began = time.monotonic()
        try:
            return await self._writer.run(work, scrub=scrub, small=small, urgent=urgent)
        finally:
            written(write, seconds=time.monotonic() - began)

    async def _remove(self, files: Iterable[str | None]) -> None:
        names = [name for name in files if name is not None]
        if names:
            await self._files(self._vault.remove, names)

    async def _files(self, work: Callable[[_A], _R], argument: _A) -> _R:
        """Return what `work` returns, run in a thread. Raises StoreBusy or StoreBroken for an OSError."""
        try:
            return await asyncio.to_thread(work, argument)
        except OSError as error:
            if fate(error) is Fate.FULL:
                raise full() from error
            self._writer.break_down(error)
            raise broken(error) from error

    def _keep_reserve(self) -> None:
        """Raise StoreBusy while the disk has less room than the reserve."""
        if not self._has_reserve():
            raise full()

    def _has_reserve(self) -> bool:
        """Say whether the disk has the room of the reserve, and where not, let the log take little of what is left.

        A log that has filled the disk can't be shortened any more: a checkpoint needs room in the database. Looks at
        most once a second.
        """
        if time.monotonic() >= self._looked_at + _LOOK_AGAIN:
            disk = os.statvfs(self._folder)
            self._room = disk.f_bavail * disk.f_frsize >= self._reserve
            self._looked_at = time.monotonic()
        if not self._room:
            self._writer.save_room()
        return self._room


async def open_store(
    folder: Path,
    *,
    site_key: bytes,
    on_broken: Callable[[BaseException], None],
    reserve: int = RESERVE,
    told: Callable[[Sequence[NewEvent]], None] = lambda _: None,
    apart: float = 0.0,
) -> SqliteStore:
    """Open the store in `folder`, made where there is none; all leases of an earlier process are freed.

    `site_key` is 32 bytes. `on_broken` is called once, in the event loop, when a write or fsync failed for another
    reason than a full disk: the process must end then. `reserve` is the free space in bytes below which `accept`
    refuses. `told` is called in the event loop with the events of each commit, and must not raise. Commits for which
    no EPJ waits begin `apart` seconds from the last one, or later. Raises Misconfigured (another process has it, wrong
    key, newer schema), StoreBusy, StoreBroken.
    """
    check_site_key(site_key)
    lock = await asyncio.to_thread(_lock, folder)
    try:
        db, vault = await asyncio.to_thread(_open, folder, site_key)
    except BaseException:
        os.close(lock)
        raise
    writer = Writer(db, wal=folder / f"{DATABASE}-wal", on_broken=on_broken, apart=apart)
    readers = Readers(writer.break_down)
    store = SqliteStore(
        folder=folder, lock=lock, db=db, writer=writer, readers=readers, vault=vault, reserve=reserve, told=told
    )
    writer.start()
    try:
        await readers.open(read_only(folder / DATABASE), READERS)
    except BaseException:
        await store.close()
        raise
    return store


async def open_reader(folder: Path, *, site_key: bytes | None) -> SqliteReads:
    """Open an existing store to look at it, while no broker runs. Raises Misconfigured, StoreBroken.

    Nothing is written and no lock is held: a broker may start meanwhile. Without the site key all can be read but
    bodies: each of them is BodyDamaged.
    """
    if site_key is not None:
        check_site_key(site_key)
    path = folder / DATABASE
    if not path.exists():
        raise Misconfigured("there is no store", where=str(folder), hint="`broker serve` makes it")
    await asyncio.to_thread(_check, path, site_key)
    readers = Readers(lambda error: None)
    try:
        await readers.open(read_only(path), 1)
    except sqlite3.Error as error:
        await readers.close()
        raise broken(error) from error
    return SqliteReads(readers, Vault(folder / BODIES, site_key or bytes(KEY_SIZE)))


def _lock(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return take_lock(folder)


def _open(folder: Path, site_key: bytes) -> tuple[sqlite3.Connection, Vault]:
    """Make or open the database and the folder of bodies, and bring both into the state of a fresh start."""
    path, bodies = folder / DATABASE, folder / BODIES
    vault = Vault(bodies, site_key)
    try:
        bodies.mkdir(mode=0o700, exist_ok=True)
        db = connect(path)
        try:
            check_version(db, path)
            migrate(db)
            check_store_key(db, site_key, path, make=True)
            claim.free_leases(db)
            vault.sweep({row[0] for row in db.execute("SELECT file FROM body WHERE file IS NOT NULL")})
        except BaseException:
            db.close()
            raise
        fsync_folder(folder)
    except (sqlite3.Error, OSError) as error:
        if (kind := fate(error)) in (Fate.FULL, Fate.LOCKED):
            raise busy(kind) from error
        raise broken(error) from error
    return db, vault


def _leave_the_log(db: sqlite3.Connection, path: Path) -> None:
    """Close the writing connection of a broken store, but not as the last.

    The last to close makes a checkpoint of its own, whose errors nobody sees, and then removes the log: after a failed
    fsync that log may be all there is. A connection that only reads can do neither.
    """
    try:
        with closing(sqlite3.connect(read_only(path), uri=True)) as last:
            last.execute("PRAGMA schema_version").fetchone()
            db.close()
    except sqlite3.Error:  # the disk is gone, and the log with it
        db.close()


def _check(path: Path, site_key: bytes | None) -> None:
    """Raise unless this program, and this key where one is given, can read the database."""
    try:
        with closing(sqlite3.connect(read_only(path), uri=True)) as db:
            check_version(db, path)
            if site_key is not None:
                check_store_key(db, site_key, path, make=False)
    except sqlite3.Error as error:
        raise broken(error) from error
