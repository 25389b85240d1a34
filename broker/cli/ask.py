"""Asks the running broker over its socket; where none runs, reads the store itself, which changes nothing."""

import http.client
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from broker.cli import exits
from broker.cli.over_socket import OverSocket
from broker.errors import BrokerError, Misconfigured

_PATIENCE = 10.0  # seconds


class Unreachable(BrokerError):
    """Neither a running broker nor a store answered."""

    exit_code = exits.UNREACHABLE


class Where(Protocol):
    """Where the broker is: `places.Places`, or its whole settings."""

    @property
    def data(self) -> Path:
        """Return the folder of the store."""

    @property
    def addresses(self) -> Path:
        """Return the folder of the address records."""

    @property
    def processes(self) -> Path | None:
        """Return the folder of the process files, or None for those that come with the software."""

    @property
    def socket(self) -> Path:
        """Return the operators' socket."""


def ask(where: Where, what: str, **how: str | int) -> Any:
    """Return one of the answers of `web.looking`, as JSON; an id that nothing carries is None or empty.

    Raises Unreachable.
    """
    return _ask(where, what, **how)[0]


def status(where: Where) -> Any:
    """Return the answer to `status`, with whether a broker runs and the disk's free bytes. Raises Unreachable."""
    told, runs = _ask(where, "status")
    disk = shutil.disk_usage(where.data)
    return told | {"running": runs, "disk": {"free": disk.free, "total": disk.total}}


def readiness(where: Where) -> int | None:
    """Return the HTTP status of the running broker's own readiness, or None where none answers at its socket."""
    connection = OverSocket(where.socket, patience=_PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def journey(where: Where, id: str) -> list[Any]:
    """Return what is known of the messages that carry `id`. Raises Unreachable."""
    return list(ask(where, "journey", id=id) or ())


def queue(where: Where, limit: int) -> list[Any]:
    """Return what is not finished. Raises Unreachable."""
    return list(ask(where, "queue", limit=limit))


def _ask(where: Where, what: str, **how: str | int) -> tuple[Any, bool]:
    """Return the answer, and whether a running broker gave it."""
    connection = OverSocket(where.socket, patience=_PATIENCE)
    try:
        connection.request("GET", f"/{what}?{urlencode(how)}")
        answer = connection.getresponse()
        body = answer.read()
    except (FileNotFoundError, ConnectionRefusedError):
        import asyncio  # slow to load, and a running broker needs none here

        return asyncio.run(_read_store(where, what, **how)), False
    except PermissionError:
        raise Unreachable(
            "the broker's socket is for its own user alone", hint=f"run as the owner of {where.socket}"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"the broker did not answer ({type(error).__name__})", hint="look at its log") from None
    finally:
        connection.close()
    if answer.status not in (200, 404):
        raise Unreachable("the broker could not answer", hint="look at its log")
    return json.loads(body), True


async def _read_store(where: Where, what: str, **how: str | int) -> Any:
    # Only here: these are slow to load, and a running broker has them.
    from broker.lookup.clock import SystemClock
    from broker.lookup.names import FileNames
    from broker.store.schema import DATABASE
    from broker.store.sqlite import open_reader
    from broker.web.looking import ANSWERS, Operators

    if not (where.data / DATABASE).exists():
        raise Unreachable("no broker runs, and there is no store", hint=f"looked in {where.data}")
    store = await open_reader(where.data, site_key=None)  # what is asked of stands outside the bodies
    try:
        operators = Operators(store, addresses=FileNames(where.addresses), clock=SystemClock(), cancels=_cancels(where))
        return await ANSWERS[what](operators, {key: str(value) for key, value in how.items()})
    finally:
        await store.close()


def _cancels(where: Where) -> Callable[[str, str], bool]:
    """Return who can say what cancels a visit; the process files are read when it is first asked."""

    def cancels(process: str, function: str) -> bool:
        from broker.lookup.process_files import ProcessFiles
        from broker.lookup.shipped import shipped

        try:
            return ProcessFiles(where.processes or shipped("processes")).current().cancels(process, function)
        except Misconfigured:  # whoever looks why the broker does not start is still to be answered
            return False

    return cancels
