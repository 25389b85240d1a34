"""Gives the running broker an order over its socket. There is no other way to act: the store has one writer."""

import http.client
import json
from pathlib import Path
from typing import Any

from broker.cli import exits
from broker.cli.over_socket import OverSocket
from broker.errors import BrokerError

_PATIENCE = 120.0  # seconds: a group of very many is written a page at a time


class NoBroker(BrokerError):
    """No running broker could be asked."""

    exit_code = exits.UNREACHABLE


class NotFound(BrokerError):
    """The broker knows nothing of that name."""

    exit_code = exits.NOT_FOUND


class NotPossible(BrokerError):
    """The broker could do it to none of what was named."""

    exit_code = exits.REFUSED


class Wrong(BrokerError):
    """The order itself is wrong."""

    exit_code = exits.USAGE


def give(path: Path, what: str, order: dict[str, Any] | None = None) -> Any:
    """POST an order to the socket at `path`, or GET where there is none, and return the answer.

    Raises NoBroker, NotFound, NotPossible or Wrong, each with the broker's own sentence.
    """
    connection = OverSocket(path, patience=_PATIENCE)
    try:
        if order is None:
            connection.request("GET", f"/{what}")
        else:
            connection.request("POST", f"/{what}", json.dumps(order), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoBroker("no broker runs here, and only a running one can act", hint=f"looked for {path}") from None
    except PermissionError:
        raise NoBroker("the broker's socket is for its own user alone", hint=f"run as the owner of {path}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NoBroker(f"the broker did not answer ({type(error).__name__})", hint="look at its log") from None
    finally:
        connection.close()
    if answer.status == 200:
        return said
    why, hint = str(said.get("why", "the broker could not answer")), str(said.get("hint", ""))
    raise {400: Wrong, 404: NotFound, 409: NotPossible}.get(answer.status, NoBroker)(why, hint=hint)
