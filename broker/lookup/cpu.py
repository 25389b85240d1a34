"""A small pool of threads for CPU work: signatures, ciphers and XML let go of the interpreter's lock while they run."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class CpuPool:
    """The port Cpu."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="cpu")

    def __call__(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return what `work` returns, or raise what it raises. To be called on the event loop."""
        return asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))

    def close(self) -> None:
        """Take no more work; return when what runs has ended. What had not begun is cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)
