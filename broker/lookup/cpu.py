"""A small pool of threads for CPU work: signatures, ciphers and XML let go of the interpreter's lock while they run.

Its own, and not `concurrent.futures`: that pool's future, with a lock and a condition each, and its chain to the event
loop's future cost as much as a small piece of work.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[], Any]
    future: asyncio.Future[Any]


class CpuPool:
    """The port Cpu. It belongs to one event loop, that of its first call."""

    def __init__(self, threads: int) -> None:
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, name=f"cpu_{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()
        self._closed = False

    def __call__(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return what `work` returns, or raise what it raises. To be called on the event loop, and not after `close`.

        What is cancelled before it began is not done.
        """
        if self._closed:
            raise RuntimeError("the pool takes no more work")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Job(partial(work, *args, **kwargs), future))
        return future

    def close(self) -> None:
        """Take no more work; return when what runs has ended. What had not begun is cancelled."""
        self._closed = True
        with contextlib.suppress(Empty):
            while True:
                if (job := self._queue.get_nowait()) is not None:
                    job.future.cancel()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    # --- in the threads ---

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.future.cancelled():
                continue
            try:
                done = partial(_succeeded, job.future, job.work())
            except BaseException as error:  # whatever it is, the waiter is told
                done = partial(_failed, job.future, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
                job.future.get_loop().call_soon_threadsafe(done)
            del job, done  # what it holds may be large, and the next may be long in coming


def _succeeded(future: asyncio.Future[T], result: T) -> None:
    if not future.done():  # its waiter was cancelled
        future.set_result(result)


def _failed(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
