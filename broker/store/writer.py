"""The one thread that writes: what shares a commit, and when each is told.

Closures from the event loop are drained in groups and committed with one fsync. Where one of a group fails, all of it
is undone and done again, each under a savepoint of its own; to set them from the start costs as much as a statement
each, and nearly all groups are whole. Nobody is told of success before the COMMIT has returned. All checkpoints are
made here too: one checkpointing connection avoids the WAL-reset fault of SQLite 3.7.0 to 3.51.2, and an error of a
checkpoint made explicitly is seen, where one of an automatic checkpoint is not.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from broker.ports import Stale
from broker.store.faults import Fate, Impossible, broken, busy, fate, stopping
from broker.store.schema import BUSY_TIMEOUT

T = TypeVar("T")

GROUP = 200  # closures in one commit; measured: more wins nothing
WAL_LIMIT = 16 * 1024 * 1024  # bytes of log before a checkpoint; a restart reads at most this much again
TIGHT_WAL = 1024 * 1024  # bytes of log that are worth a checkpoint when the disk has no room to spare
CHECKPOINT_WAIT = 100  # ms that a reader may hold up a checkpoint, and all who write with it
SCRUB_WAIT = 2000  # ms the same, where a key was erased and must not stay in the log
SCRUB_AGAIN = 1.0  # seconds until that is tried again


@dataclass(frozen=True, slots=True)
class Job:
    """One closure, and who waits for it. `scrub`: tell only after the log has been truncated."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    scrub: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What one waiter is told."""

    job: Job
    result: Any = None
    error: Exception | None = None


class Writer:
    """Owns the writing connection from `start` to `stop`."""

    def __init__(self, db: sqlite3.Connection, *, wal: Path, on_broken: Callable[[BaseException], None]) -> None:
        self._db, self._wal, self._on_broken = db, wal, on_broken
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name="store writer", daemon=True)
        self._broken: BaseException | None = None
        self._stopping = False
        self._checkpoint_at = WAL_LIMIT
        self._tight = False  # the disk has no room to spare, and the log may hold many copies of a page
        self._scrub_at: float | None = None  # set while an erased key may still stand in the log

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T], *, scrub: bool = False) -> T:
        """Return what `work` returns, once it is committed and fsynced. `work` must bear to be run again.

        Raises Stale (a unique key is taken), Impossible (a rule of the schema), StoreBusy, StoreBroken, or what
        `work` raised; in all these cases but StoreBroken nothing was written.
        """
        if self._broken is not None:
            raise broken(self._broken)
        if self._stopping:
            raise stopping()
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Job(work, future, scrub))
        return await future

    @property
    def broken(self) -> bool:
        """Say whether a write or fsync failed, so that nothing more is taken."""
        return self._broken is not None

    def break_down(self, error: BaseException) -> None:
        """Take nothing more, for `error`, which happened outside the thread. To be called in the event loop."""
        self._end(error, ())

    def save_room(self) -> None:
        """Keep the log short for now: the disk is nearly full. Costs a checkpoint after the next commit, if any."""
        self._tight = True

    async def stop(self) -> None:
        """Write what waits, and end the thread."""
        if not self._stopping:
            self._stopping = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    # --- in the thread ---

    def _serve(self) -> None:
        going = True
        while going:
            group, going = self._next_group()
            try:
                told = self._commit(group) if group else []
                if any(job.scrub for job in group):
                    self._checkpoint(wait=SCRUB_WAIT)
                    self._scrub_at = time.monotonic() + SCRUB_AGAIN if self._log_size() else None
                self._tell(told)
                if self._scrub_at is not None and time.monotonic() >= self._scrub_at:
                    self._checkpoint(wait=0)
                    self._scrub_at = time.monotonic() + SCRUB_AGAIN if self._log_size() else None
                elif self._log_size() >= (TIGHT_WAL if self._tight else self._checkpoint_at):
                    self._checkpoint(wait=CHECKPOINT_WAIT)
                self._tight = False
            except Exception as error:  # whatever it is, nobody must wait for ever
                self._give_up(error, group)
                return
        if self._broken is None:
            try:
                self._checkpoint(wait=CHECKPOINT_WAIT)
            except Exception as error:  # the log stays, and is whole
                self._give_up(error, [])

    def _next_group(self) -> tuple[list[Job], bool]:
        """Return the jobs that wait (at least one, unless stopping or a scrub is due) and whether to go on."""
        group: list[Job] = []
        with contextlib.suppress(Empty):
            job = self._queue.get(timeout=None if self._scrub_at is None else SCRUB_AGAIN)
            while job is not None:
                group.append(job)
                if len(group) == GROUP:
                    return group, True
                job = self._queue.get_nowait()
            return group, False
        return group, True

    def _commit(self, group: Sequence[Job]) -> list[Told]:
        """Run and commit the group. Raises what makes the store BROKEN."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            told = self._run(group)
            if told is None:
                self._db.execute("ROLLBACK")
                self._db.execute("BEGIN IMMEDIATE")
                told = [self._run_apart(job) for job in group]
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            kind = fate(error)
            if kind is Fate.FULL and len(group) > 1:  # what is small may still find room
                return [told for job in group for told in self._commit([job])]
            self._tight |= kind is Fate.FULL
            if kind in (Fate.FULL, Fate.LOCKED):
                return [Told(job, error=busy(kind)) for job in group]
            raise
        return told

    def _run(self, group: Sequence[Job]) -> list[Told] | None:
        """Run the closures, and return None where one failed for a reason of its own."""
        try:
            return [Told(job, result=job.work(self._db)) for job in group]
        except sqlite3.Error as error:
            _job_error(error)
        except Exception:  # the closure's own refusal, such as Stale
            return None
        return None

    def _run_apart(self, job: Job) -> Told:
        """Run one closure under its own savepoint: the failure of one undoes nothing of the others."""
        self._db.execute("SAVEPOINT job")
        try:
            told = Told(job, result=job.work(self._db))
        except sqlite3.Error as error:
            told = Told(job, error=_job_error(error))
        except Exception as error:  # the closure's own refusal, such as Stale
            told = Told(job, error=error)
        if told.error is not None:
            self._db.execute("ROLLBACK TO job")
        self._db.execute("RELEASE job")
        return told

    def _checkpoint(self, *, wait: int) -> None:
        """Copy the log into the database and truncate it; a reader that is in the way for `wait` ms leaves it long."""
        self._db.execute(f"PRAGMA busy_timeout = {wait}")
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            if fate(error) is not Fate.FULL:  # a full disk leaves the log as it is, and whole
                raise
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
        self._checkpoint_at = self._log_size() + WAL_LIMIT

    def _log_size(self) -> int:
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def _give_up(self, error: Exception, group: Sequence[Job]) -> None:
        self._loop.call_soon_threadsafe(self._end, error, group)

    def _tell(self, told: Sequence[Told]) -> None:
        if told:
            self._loop.call_soon_threadsafe(_resolve, told)

    # --- in the event loop ---

    def _end(self, error: BaseException, group: Sequence[Job]) -> None:
        """Take nothing more: first the process is told, then `group` and all who wait in the queue."""
        if self._broken is None:
            self._broken = error
            self._on_broken(error)
        jobs: list[Job | None] = [*group]
        with contextlib.suppress(Empty):
            while True:
                jobs.append(self._queue.get_nowait())
        _resolve([Told(job, error=broken(error)) for job in jobs if job is not None])


def _job_error(error: sqlite3.Error) -> Exception:
    """Return what the closure's waiter is told. Raises what concerns the whole transaction."""
    match fate(error):
        case Fate.TAKEN:
            return Stale(str(error))
        case Fate.FORBIDDEN:
            return Impossible(f"the store refused a write: {error}")
        case Fate.PROGRAM:
            return error
        case _:
            raise error


def _resolve(told: Sequence[Told]) -> None:
    for one in told:
        if one.job.future.done():  # its waiter was cancelled; the write stands all the same
            continue
        if one.error is not None:
            one.job.future.set_exception(one.error)
        else:
            one.job.future.set_result(one.result)
