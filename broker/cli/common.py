"""What the commands have in common: their options, how they print, and how they end when something is wrong."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from broker.cli.words import Language

if TYPE_CHECKING:
    from rich.console import Console

PIPED: Final = 200  # columns: piped output is for programs that look at lines, and none is broken

CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="BROKER_CONFIG",
    default=Path("broker.toml"),
    show_default=True,
    help="The settings file; BROKER_CONFIG names it too.",
)
JSON_LINES = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line, for programs.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the options before the command said."""

    language: Language


def console() -> "Console":
    """Return what to print tables on: as wide as the terminal, or as PIPED where there is none."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPED, highlight=False, soft_wrap=False)


def print_lines(values: Iterable[object]) -> None:
    """Print each value as one line of JSON."""
    import json

    for value in values:
        click.echo(json.dumps(value, ensure_ascii=False))


def fail(why: str, code: int) -> NoReturn:
    """Say on stderr what is wrong, in one sentence, and end with that exit code."""
    click.echo(f"broker: {why}", err=True)
    sys.exit(code)
