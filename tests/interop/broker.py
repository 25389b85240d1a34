"""The real broker, with a door that blocks where a row says so, and with the planted faults of SABOTAGE.

What a party sends is stopped by a file `hold/HER.before` or `hold/HER.after` just before, or just after, it is
committed (`.reached` beside it says that it stands there, and only a kill ends it); `hold/HER.busy` says how many times
it finds the store busy.
"""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from broker.cli.main import main
from broker.diagnosis import causes
from broker.envelope import ebms_build
from broker.envelope.ebms import Acknowledgment
from broker.errors import StoreBusy
from broker.message import Changes
from broker.ports import TransportReply
from broker.store.sqlite import SqliteStore
from broker.transport.https import HttpsCarrier

HOLD = Path("hold")
_REAL = SqliteStore.receive


async def _receive(store: SqliteStore, changes: Changes) -> None:
    await asyncio.to_thread(_be_busy, changes)
    await _stand(changes, "before")
    await _REAL(store, changes)
    await _stand(changes, "after")


def _be_busy(changes: Changes) -> None:
    if changes.received is None or not (path := HOLD / f"{changes.received.from_her}.busy").exists():
        return
    left = int(path.read_text())
    if left > 1:
        path.write_text(str(left - 1))
    else:
        path.unlink()
    raise StoreBusy("the disk is full, says a row", error_id=causes.UNEXPECTED)


async def _stand(changes: Changes, moment: str) -> None:
    if changes.received is None:
        return
    wanted = HOLD / f"{changes.received.from_her}.{moment}"
    if await asyncio.to_thread(wanted.exists):
        await asyncio.to_thread(wanted.with_suffix(f".{moment}.reached").touch)
        await asyncio.Event().wait()


def _acknowledgment(values: Acknowledgment, actor: str) -> str:
    return _REAL_ACKNOWLEDGMENT(values, actor="")


async def _deaf_post(carrier: HttpsCarrier, *where: Any, **what: Any) -> TransportReply:
    reply = await _REAL_POST(carrier, *where, **what)
    return replace(reply, status=400) if reply.status >= 500 else reply


_REAL_ACKNOWLEDGMENT = ebms_build._acknowledgment
_REAL_POST = HttpsCarrier.post

if __name__ == "__main__":
    patch.object(SqliteStore, "receive", _receive).start()
    match os.environ.get("SABOTAGE", ""):
        case "ack-without-actor":
            patch.object(ebms_build, "_acknowledgment", _acknowledgment).start()
        case "deaf-to-5xx":
            patch.object(HttpsCarrier, "post", _deaf_post).start()
    sys.exit(main())
