"""A broker with a planted fault, by SABOTAGE: it promises first, and writes a moment later. `make kill` must see it."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import patch

from broker.cli.main import main
from broker.message import Changes
from broker.store.sqlite import SqliteStore

LATER = 2.0  # seconds: less than the first chase, so that a kill finds something promised and not written
_under_way: set[asyncio.Task[None]] = set()


Write = Callable[[SqliteStore, Changes], Coroutine[Any, Any, None]]


def deferring(write: Write) -> Write:
    """Return a write that returns at once, and is done a moment later."""

    async def at_once(store: SqliteStore, changes: Changes) -> None:
        loop = asyncio.get_running_loop()

        async def write_it() -> None:
            await write(store, changes)

        def begin() -> None:
            task = loop.create_task(write_it())
            _under_way.add(task)
            task.add_done_callback(_under_way.discard)

        loop.call_later(LATER, begin)

    return at_once


if __name__ == "__main__":
    if os.environ["SABOTAGE"] == "ack-before-commit":
        patch.object(SqliteStore, "receive", deferring(SqliteStore.receive)).start()
    else:
        patch.object(SqliteStore, "accept", deferring(SqliteStore.accept)).start()
    sys.exit(main())
