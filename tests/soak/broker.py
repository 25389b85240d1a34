"""The broker of the soak: the real one; or, with SABOTAGE=leak-memory or leak-handles, one that never lets go."""

import os
import sys

from broker import intake
from broker.cli.main import main
from broker.intake import Taken
from broker.message import Client
from broker.ports import Doors

_accept = intake.accept
_kept: list[object] = []


async def _leaking_memory(raw: bytes, client: Client, doors: Doors, key: str | None = None) -> Taken:
    _kept.append(os.urandom(500_000))
    return await _accept(raw, client, doors, key)


async def _leaking_handles(raw: bytes, client: Client, doors: Doors, key: str | None = None) -> Taken:
    _kept.append(os.open("/dev/null", os.O_RDONLY))
    return await _accept(raw, client, doors, key)


_SABOTAGES = {"leak-memory": _leaking_memory, "leak-handles": _leaking_handles}

if __name__ == "__main__":
    if leak := _SABOTAGES.get(os.environ.get("SABOTAGE", "")):
        intake.accept = leak
    sys.exit(main())
