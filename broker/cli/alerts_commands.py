"""`broker alerts test`: proves that the channels of [alerts] reach somebody, before a problem has to."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker.cli import exits
from broker.cli.common import CONFIG
from broker.cli.words import Language

if TYPE_CHECKING:
    from broker.alerts import Notice
    from broker.watch import Telling


@click.group()
def alerts() -> None:
    """Alerts by mail and webhook: the [alerts] of the settings."""


@alerts.command()
@CONFIG
def test(config: Path) -> None:
    """Send a notice that says that it is a test, over each channel, and say how each took it.

    \b
    Example: broker alerts test
    """
    import asyncio

    from broker.config import load
    from broker.daemon import telling

    sys.exit(asyncio.run(_try(telling(load(config)))))


async def _try(whom: "Telling") -> int:
    """Return the exit code: 1 where a channel did not take it, or where there is none."""
    from broker.alerts import AlertFailed

    if not whom.channels:
        click.echo("no channel: write mail_to, mail_from and smtp_host, or webhook, under [alerts]")
        return exits.PROBLEM
    failed = 0
    for channel in whom.channels:
        try:
            await channel.send(_notice(whom.host, "nb" if whom.language == "nb" else "en"))
        except AlertFailed as why:
            failed += 1
            click.echo(f"{channel.name}: {why.why}")
        else:
            click.echo(f"{channel.name}: sent")
    return exits.PROBLEM if failed else exits.OK


def _notice(host: str, language: Language) -> "Notice":
    from broker.alerts import Notice
    from broker.lookup.clock import SystemClock

    words = {
        "nb": ("prøvevarsel", "Dette er en prøve fra meldingsmegleren. Ingenting er galt."),
        "en": ("test", "This is a test of the message broker. Nothing is wrong."),
    }
    subject, text = words[language]
    return Notice(at=SystemClock().now(), opened=(), closed=(), subject=f"[{host}] {subject}", text=f"{text}\n")
