"""The command that shows how the clients' webhooks stand: which of them fail, why, and when they are tried again."""

import sys
from pathlib import Path
from typing import Any

import click

from broker.cli import exits
from broker.cli.common import CONFIG, JSON_LINES, Said, print_lines

_STATES = {
    "never": ("ikke brukt ennå", "not used yet"),
    "ok": ("ok", "ok"),
    "failing": ("feiler", "failing"),
    "disabled": ("avslått av mottakeren (410)", "disabled by the receiver (410)"),
}


@click.command()
@CONFIG
@JSON_LINES
@click.pass_obj
def webhooks(said: Said, config: Path, as_json: bool) -> None:
    """Show how the webhooks stand. The broker must be running.

    Exits with 1 where one fails or is disabled.

    \b
    Example: broker webhooks --json
    """
    from broker.config import load

    found = _ask(load(config).socket)
    if as_json:
        print_lines(found)
    else:
        english = said.language == "en"
        for one in found:
            click.echo(_line(one, english))
        if not found:
            click.echo("No webhook is set up." if english else "Ingen webhook er satt opp.")
    sys.exit(exits.PROBLEM if any(one["state"] in ("failing", "disabled") for one in found) else exits.OK)


def _line(one: dict[str, Any], english: bool) -> str:
    parts = [f"{one['client']}  {one['origin']}  {_STATES[one['state']][english]}"]
    if one["why"]:
        parts.append(one["why"]["en" if english else "nb"])
    if one["nextAttemptAt"]:
        parts.append(f"{'again at' if english else 'på nytt'} {one['nextAttemptAt']}")
    if one["waiting"]:
        parts.append(f"{one['waiting']} {'waiting' if english else 'venter'}")
    return "; ".join(parts)


def _ask(socket: Path) -> list[dict[str, Any]]:
    import http.client
    import json

    from broker.cli.ask import Unreachable
    from broker.web.unix import connected

    connection = http.client.HTTPConnection("broker")
    try:
        connection.sock = connected(socket, 10.0)
        connection.request("GET", "/webhooks")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        raise Unreachable("no running broker answers", hint=f"looked at {socket}; start it first") from None
    finally:
        connection.close()
    found: list[dict[str, Any]] = json.loads(body)
    return found
