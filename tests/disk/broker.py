"""The broker of the disk harness: the real one, with named threads, one of them made to stand out; or sabotaged.

`strace` counts calls by thread, and can't be told which thread to fail. So the thread (or each of the pool) named
DISK_THREAD makes DISK_BURN empty calls of DISK_CALL when it begins: a fault at a number that no other thread reaches
is then its own alone. DISK_THREADS is a file that gets a line "thread id, name" for each thread.

SABOTAGE plants a fault.
"""

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from broker import inbound
from broker.arrivals import Came
from broker.cli.main import main
from broker.message import Answer, Changes, NewBody
from broker.store import bodies, schema, sqlite

BURN = "burn"  # the name of the file on which empty calls are made


def stand_out(names: Path, *, thread: str, call: str, burn: int) -> None:
    """Write down the name of each thread, and let `thread` make its empty calls."""
    run, empty = threading.Thread.run, os.fdatasync if call == "fdatasync" else os.fsync

    def begin(name: str) -> None:
        with names.open("a") as file:
            file.write(f"{threading.get_native_id()} {name}\n")
        if name == thread or name.startswith(f"{thread}_"):
            handle = os.open(names.with_name(BURN), os.O_RDWR | os.O_CREAT)
            for _ in range(burn):
                empty(handle)
            os.close(handle)

    def named(self: threading.Thread) -> None:
        begin(self.name)
        run(self)

    threading.Thread.run = named  # type: ignore[method-assign] # every thread begins there
    begin(threading.current_thread().name)


def _ack_before_commit() -> None:
    async def commit(came: Came, changes: Changes, answer: Answer, doors: Any) -> Answer:
        kept = tuple(NewBody(id=signal.body, content=answer.body) for signal in changes.signals)
        write = doors.store.receive(replace(changes, bodies=(*changes.bodies, *kept)))
        behind.add(asyncio.get_running_loop().create_task(write))
        return answer

    behind: set[asyncio.Task[None]] = set()
    inbound._commit = commit


def _reply_before_fsync() -> None:
    connect = schema.connect

    def careless(path: Path) -> sqlite3.Connection:
        db = connect(path)
        db.execute("PRAGMA synchronous = OFF")
        return db

    vars(sqlite)["connect"] = careless


def _skip_dir_fsync() -> None:
    bodies.fsync_folder = lambda folder: None


SABOTAGES: dict[str, Callable[[], None]] = {
    "ack-before-commit": _ack_before_commit,
    "reply-before-fsync": _reply_before_fsync,
    "skip-dir-fsync": _skip_dir_fsync,
}

if __name__ == "__main__":
    if plant := SABOTAGES.get(os.environ.get("SABOTAGE", "")):
        plant()
    stand_out(
        Path(os.environ["DISK_THREADS"]),
        thread=os.environ.get("DISK_THREAD", ""),
        call=os.environ.get("DISK_CALL", ""),
        burn=int(os.environ.get("DISK_BURN", "0")),
    )
    sys.exit(main())
