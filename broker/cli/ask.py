"""Asks the running broker over its socket; where none runs, reads the store itself, which changes nothing."""

import asyncio
import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from broker.cli import exits
from broker.config import Settings
from broker.errors import BrokerError
from broker.web.unix import connected

_PATIENCE = 10.0  # seconds


class Unreachable(BrokerError):
    """Neither a running broker nor a store answered."""

    exit_code = exits.UNREACHABLE


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("broker", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = connected(self._path, _PATIENCE)


def journey(settings: Settings, id: str) -> list[Any]:
    """Return what is known of the messages that carry `id`: the answer of `web.operator`. Raises Unreachable."""
    return _ask(settings, "journey", id=id)


def queue(settings: Settings, limit: int) -> list[Any]:
    """Return what is not finished: the answer of `web.operator`. Raises Unreachable."""
    return _ask(settings, "queue", limit=limit)


def _ask(settings: Settings, what: str, **how: str | int) -> list[Any]:
    connection = _OverSocket(settings.socket)
    try:
        connection.request("GET", f"/{what}?{urlencode(how)}")
        answer = connection.getresponse()
        body = answer.read()
    except (FileNotFoundError, ConnectionRefusedError):
        return asyncio.run(_read_store(settings, what, **how))
    except PermissionError:
        raise Unreachable(
            "the broker's socket is for its own user alone", hint=f"run as the owner of {settings.socket}"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"the broker did not answer ({type(error).__name__})", hint="look at its log") from None
    finally:
        connection.close()
    if answer.status not in (200, 404):
        raise Unreachable("the broker could not answer", hint="look at its log")
    found = json.loads(body)
    return found if isinstance(found, list) else []


async def _read_store(settings: Settings, what: str, **how: str | int) -> list[Any]:
    # Only here: these are slow to load, and a running broker has them.
    from broker import telemetry
    from broker.lookup.address_files import AddressFiles
    from broker.lookup.clock import SystemClock
    from broker.lookup.site_key import SITE_KEY, site_key
    from broker.store.sqlite import open_reader
    from broker.web.operator import Operators

    if not (settings.data / SITE_KEY).exists():
        raise Unreachable("no broker runs, and there is no store", hint=f"looked in {settings.data}")
    telemetry.configure("critical")  # the answer is all that is printed
    store = await open_reader(settings.data, site_key=site_key(settings.data))
    try:
        operators = Operators(store, addresses=AddressFiles(settings.addresses), clock=SystemClock())
        return await (operators.journey(str(how["id"])) if what == "journey" else operators.queue(int(how["limit"])))
    finally:
        await store.close()
