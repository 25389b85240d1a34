"""What the shell offers when one presses the tabulator after an id: read of the store, quickly, and never an error."""

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

from broker.errors import BrokerError

_MOST: Final = 20

# The newest open deliveries' messages, where nothing is typed yet.
_OPEN: Final = """
SELECT DISTINCT message_id FROM (SELECT message_id FROM delivery WHERE outcome = 'open' ORDER BY urgency LIMIT 20)"""

# Ids of ours, MsgIds and envelopes that begin with what is typed.
_BEGUN: Final = """
SELECT * FROM (SELECT id FROM message WHERE id >= :typed AND id < :typed || char(0x10FFFF) LIMIT 20)
UNION SELECT * FROM (SELECT msg_id FROM message WHERE msg_id >= :typed AND msg_id < :typed || char(0x10FFFF) LIMIT 20)
UNION SELECT * FROM (SELECT id FROM delivery WHERE id >= :typed AND id < :typed || char(0x10FFFF) LIMIT 20)
UNION SELECT * FROM (SELECT eb_id FROM envelope WHERE eb_id >= :typed AND eb_id < :typed || char(0x10FFFF) LIMIT 20)
LIMIT 20"""


def ids(context: click.Context, parameter: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Return ids of messages that begin so; those of open ones where nothing is typed."""
    from click.shell_completion import CompletionItem

    config = context.params.get("config") or os.environ.get("BROKER_CONFIG") or "broker.toml"
    return [CompletionItem(id) for id in _ids(Path(config), typed)]


def problem_ids(context: click.Context, parameter: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Return the ids of problems that begin so."""
    from click.shell_completion import CompletionItem

    from broker.cli.ask import ask
    from broker.cli.places import find_places

    config = context.params.get("config") or os.environ.get("BROKER_CONFIG") or "broker.toml"
    try:
        found = ask(find_places(Path(config), os.environ), "problems")
    except BrokerError:
        return []  # a shell that completes is no place for an error: the command itself will say it
    return [
        CompletionItem(each["id"], help=each["cause"]["en"]) for each in found if each["id"].startswith(typed.upper())
    ][:_MOST]


def error_ids(context: click.Context, parameter: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Return the ids of the catalogue that begin so."""
    from click.shell_completion import CompletionItem

    from broker.diagnosis import CAUSES

    return [CompletionItem(cause.id, help=cause.name.en) for cause in CAUSES.values() if cause.id.startswith(typed)]


def _ids(config: Path, typed: str) -> list[str]:
    import sqlite3

    from broker.cli.places import find_places

    try:
        path = find_places(config, os.environ).data / "store.sqlite"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as db:
            rows = db.execute(_BEGUN, {"typed": typed}) if typed else db.execute(_OPEN)
            return sorted(str(row[0]) for row in rows)
    except (BrokerError, sqlite3.Error):
        return []
