"""The real broker, with a door that blocks where a row says so, and with the planted faults of SABOTAGE.

A file `hold/HER.before` or `hold/HER.after` in the broker's folder stops what that party sent just before, or just
after, it is committed; `.reached` beside it says that it stands there. Only a kill ends it.
"""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from broker.cli.main import main
from broker.envelope import ebms_build
from broker.message import Changes
from broker.ports import TransportReply
from broker.store.sqlite import SqliteStore
from broker.transport.https import HttpsCarrier

HOLD = Path("hold")
_REAL = SqliteStore.receive


async def _receive(store: SqliteStore, changes: Changes) -> None:
    await _stand(changes, "before")
    await _REAL(store, changes)
    await _stand(changes, "after")


async def _stand(changes: Changes, moment: str) -> None:
    if changes.received is None:
        return
    wanted = HOLD / f"{changes.received.from_her}.{moment}"
    if await asyncio.to_thread(wanted.exists):
        await asyncio.to_thread(wanted.with_suffix(f".{moment}.reached").touch)
        await asyncio.Event().wait()


def _entry(parent: Any, name: str, *, actor: str | None = None) -> Any:
    return _REAL_ENTRY(parent, name, actor=None if name == "Acknowledgment" else actor)


async def _deaf_post(carrier: HttpsCarrier, *where: Any, **what: Any) -> TransportReply:
    reply = await _REAL_POST(carrier, *where, **what)
    return replace(reply, status=400) if reply.status >= 500 else reply


_REAL_ENTRY = ebms_build._entry
_REAL_POST = HttpsCarrier.post

if __name__ == "__main__":
    patch.object(SqliteStore, "receive", _receive).start()
    match os.environ.get("SABOTAGE", ""):
        case "ack-without-actor":
            patch.object(ebms_build, "_entry", _entry).start()
        case "deaf-to-5xx":
            patch.object(HttpsCarrier, "post", _deaf_post).start()
    sys.exit(main())
