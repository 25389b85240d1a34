"""The one that writes: what shares a commit, where its statements run, and when each is told.

Closures that wait are a group: one transaction, one fsync. The statements of small ones run on the event loop; COMMIT,
which waits for the disk, is the thread's. (Each statement lets go of the interpreter's lock and takes it back: in a
thread of its own a write stood in line for it a hundred times, beside a busy loop longer than for the disk.) Whatever
is large, or fails, the thread does from the beginning, each closure under a savepoint of its own. The connection is
always in one hand: the loop's, or with a `_Turn` the thread's.

What is urgent begins as soon as the connection is free, and takes with it whatever waits. While the disk is quick its
COMMIT too is made on the loop, and at once: to the thread and back it is further than to the disk. The rest waits a
little for others to share its commit: each commit costs, and what is urgent waits for the end of the one before.

Nobody is told of success before the COMMIT has returned. All checkpoints are made by the thread too: one checkpointing
connection avoids the WAL-reset fault of SQLite 3.7.0 to 3.51.2, and an error of a checkpoint made explicitly is seen,
where one of an automatic checkpoint is not.
"""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from broker.ports import Stale
from broker.store.faults import Fate, Impossible, broken, busy, fate, stopping
from broker.store.schema import BUSY_TIMEOUT

P = ParamSpec("P")
T = TypeVar("T")

GROUP = 32  # closures in one commit: so many keep the event loop for 10 ms at most
WAL_LIMIT = 16 * 1024 * 1024  # bytes of log before a checkpoint; a restart reads at most this much again
TIGHT_WAL = 1024 * 1024  # bytes of log that are worth a checkpoint when the disk has no room to spare
CHECKPOINT_WAIT = 100  # ms that a reader may hold up a checkpoint, and all who write with it
SCRUB_WAIT = 2000  # ms the same, where a key was erased and must not stay in the log
SCRUB_AGAIN = 1.0  # seconds until that is tried again
QUICK = 0.005  # seconds that a COMMIT takes at most on average, where the event loop makes it
SLOW_FOR = 60.0  # seconds for which the thread makes all, where it took longer


@dataclass(frozen=True, slots=True)
class Job:
    """One closure, and who waits for it."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    scrub: bool  # tell only after the log has been truncated
    small: bool  # to be run on the event loop
    urgent: bool  # to begin as soon as the connection is free


@dataclass(frozen=True, slots=True)
class Told:
    """What one waiter is told."""

    job: Job
    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Turn:
    """The connection, handed to the thread: with a group whose statements have run, or (None) have yet to run."""

    group: Sequence[Job]
    told: list[Told] | None


class Writer:
    """Owns the writing connection from `start` to `stop`."""

    def __init__(
        self, db: sqlite3.Connection, *, wal: Path, on_broken: Callable[[BaseException], None], apart: float
    ) -> None:
        self._db, self._wal, self._on_broken, self._apart = db, wal, on_broken, apart
        self._jobs: deque[Job] = deque()
        self._turns: SimpleQueue[_Turn | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()  # cleared from the first job on until the thread has given the connection back
        self._idle.set()
        self._later: asyncio.TimerHandle | None = None  # while a group waits for more to share its commit
        self._begun = float("-inf")  # the loop's time at the last one
        self._took = 0.0  # seconds, mean of the last COMMITs on the loop
        self._slow_until = float("-inf")  # the loop's time until which it makes none
        self._thread = threading.Thread(target=self._serve, name="store writer", daemon=True)
        self._broken: BaseException | None = None
        self._stopping = False
        self._checkpoint_at = WAL_LIMIT
        self._tight = False  # the disk has no room to spare, and the log may hold many copies of a page
        self._scrub_at: float | None = None  # set while an erased key may still stand in the log
        self._timer: asyncio.TimerHandle | None = None  # the loop's: for then

    def start(self) -> None:
        """Start the thread."""
        self._wait_for_locks(0)  # on the event loop nothing is waited for
        self._thread.start()

    async def run(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        scrub: bool = False,
        small: bool = True,
        urgent: bool = False,
    ) -> T:
        """Return what `work` returns, once it is committed and fsynced. `work` must bear to be run again.

        `small`: it takes a fraction of a millisecond. `urgent`: it begins as soon as the connection is free. Raises
        Stale (a unique key is taken), Impossible (a rule of the schema), StoreBusy, StoreBroken, or what `work` raised;
        in all these cases but StoreBroken nothing was written.
        """
        if self._broken is not None:
            raise broken(self._broken)
        if self._stopping:
            raise stopping()
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.append(Job(work, future, scrub, small, urgent))
        waits_for_company = urgent and self._later is not None
        if self._idle.is_set() or waits_for_company:
            self._idle.clear()
            if urgent and self._is_quick():
                self._begin()
            else:
                self._plan()
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
            await self._idle.wait()
            self._turns.put(None)
            await asyncio.to_thread(self._thread.join)

    # --- in the event loop ---

    def _plan(self) -> None:
        """Let the next group begin: now if it is urgent or there is enough for one, else `apart` from the last one.

        Now is the next turn of the loop: whoever comes in this one shares the commit, those too who are told only now.
        """
        self._forget_plan()
        wait = self._begun + self._apart - self._loop.time()
        if wait <= 0 or len(self._jobs) >= GROUP or any(job.urgent for job in self._jobs):
            self._loop.call_soon(self._begin)
        else:
            self._later = self._loop.call_later(wait, self._begin)

    def _forget_plan(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _is_quick(self) -> bool:
        """Say whether the disk is so quick that the event loop may wait for it."""
        return self._loop.time() >= self._slow_until

    def _begin(self) -> None:
        """Hand the thread the next group; if it is small, its statements have run, or all is done already."""
        self._forget_plan()
        if self._broken is not None:
            return
        self._begun = self._loop.time()
        group = [self._jobs.popleft() for _ in range(min(GROUP, len(self._jobs)))]
        small = all(job.small and not job.scrub for job in group)
        here = any(job.urgent for job in group) and self._is_quick() and not self._wants_checkpoint()
        try:
            told = self._run(group, commit=here) if small else None
        except sqlite3.Error as error:
            self._end(error, group)
            return
        if here and told is not None:
            self._back(told)
        else:
            self._turns.put(_Turn(group, told))

    def _back(self, told: Sequence[Told]) -> None:
        """The connection is free: tell, and go on."""
        _resolve(told)
        if self._scrub_at is not None and self._timer is None:
            self._timer = self._loop.call_later(SCRUB_AGAIN, self._again)
        if self._jobs:
            self._plan()
        else:
            self._idle.set()

    def _again(self) -> None:
        """Have the log truncated, where an erased key may still stand in it; a thread at work does it by itself."""
        self._timer = None
        if self._idle.is_set() and not self._stopping and self._broken is None:
            self._idle.clear()
            self._turns.put(_Turn((), None))

    def _run(self, group: Sequence[Job], *, commit: bool) -> list[Told] | None:
        """Run the closures in a transaction, and commit it or leave it open.

        Return None where something is wrong, for the thread to find out what.

        To have them run once more is what `work` must bear. Raises what makes the store BROKEN: done again it may not
        show, and the store would go on.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            told = [Told(job, result=job.work(self._db)) for job in group]
            if commit:
                self._commit_here()
            return told
        except sqlite3.Error as error:
            if fate(error) is Fate.BROKEN:
                raise
            return None
        except Exception:  # the closure's own refusal, such as Stale
            return None

    def _commit_here(self) -> None:
        """COMMIT on the event loop, which stands still for it; where that takes long, the thread has the next ones."""
        began = time.perf_counter()
        self._db.execute("COMMIT")
        self._took += (time.perf_counter() - began - self._took) / 16
        if self._took > QUICK:
            self._slow_until, self._took = self._begun + SLOW_FOR, 0.0

    def _end(self, error: BaseException, group: Sequence[Job]) -> None:
        """Take nothing more: first the process is told, then `group` and all who wait."""
        if self._broken is None:
            self._broken = error
            self._on_broken(error)
        jobs = [*group, *self._jobs]
        self._jobs.clear()
        self._idle.set()
        _resolve([Told(job, error=broken(error)) for job in jobs])

    # --- in the thread ---

    def _serve(self) -> None:
        while (turn := self._turns.get()) is not None:
            try:
                told = self._commit(turn.group, turn.told) if turn.group else []
                if any(job.scrub for job in turn.group):
                    self._scrub(wait=SCRUB_WAIT)
                if self._wants_checkpoint():
                    self._call(_resolve, told)
                    self._make_checkpoint()
                    told = []
                self._tight = False
                self._call(self._back, told)
            except Exception as error:  # whatever it is, nobody must wait for ever
                self._call(self._end, error, turn.group)
                return
        if self._broken is None:
            try:
                self._checkpoint(wait=CHECKPOINT_WAIT)
            except Exception as error:  # the log stays, and is whole
                self._call(self._end, error, ())

    def _call(self, told: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        self._loop.call_soon_threadsafe(partial(told, *args, **kwargs))

    def _wants_checkpoint(self) -> bool:
        if self._scrub_at is not None:
            return time.monotonic() >= self._scrub_at
        return self._log_size() >= (TIGHT_WAL if self._tight else self._checkpoint_at)

    def _make_checkpoint(self) -> None:
        if self._scrub_at is not None:
            self._scrub(wait=0)
        else:
            self._checkpoint(wait=CHECKPOINT_WAIT)

    def _commit(self, group: Sequence[Job], told: list[Told] | None = None) -> list[Told]:
        """Commit what was run, or run it and commit it. Raises what makes the store BROKEN."""
        try:
            if told is None:
                told = self._run_apart(group)
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

    def _run_apart(self, group: Sequence[Job]) -> list[Told]:
        """Run the closures, each under its own savepoint: the failure of one undoes nothing of the others."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")  # of what failed on the event loop
        self._wait_for_locks(BUSY_TIMEOUT)
        try:
            self._db.execute("BEGIN IMMEDIATE")
        finally:
            self._wait_for_locks(0)
        return [self._attempt(job) for job in group]

    def _attempt(self, job: Job) -> Told:
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

    def _scrub(self, *, wait: int) -> None:
        """Truncate the log; where a reader is in the way for `wait` ms, again a little later."""
        self._checkpoint(wait=wait)
        self._scrub_at = time.monotonic() + SCRUB_AGAIN if self._log_size() else None

    def _checkpoint(self, *, wait: int) -> None:
        """Copy the log into the database and truncate it; a reader that is in the way for `wait` ms leaves it long."""
        self._wait_for_locks(wait)
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            if fate(error) is not Fate.FULL:  # a full disk leaves the log as it is, and whole
                raise
        finally:
            self._wait_for_locks(0)
        self._checkpoint_at = self._log_size() + WAL_LIMIT

    def _log_size(self) -> int:
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def _wait_for_locks(self, ms: int) -> None:
        self._db.execute(f"PRAGMA busy_timeout = {ms}")


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
