"""The command line. Each command loads what it needs when it runs, so that `broker --help` is there at once.

Exit codes: 0 ok, 1 a problem was found, 2 the command line or a setting is wrong, 3 not found, 5 nothing to ask,
6 not possible as things stand.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from broker.cli import act_commands, exits, reading_commands, service_commands
from broker.cli.agreement_commands import agreements
from broker.cli.alerts_commands import alerts
from broker.cli.algorithms_command import algorithms
from broker.cli.certificate_commands import certificates
from broker.cli.common import CONFIG, Said, console, fail
from broker.cli.ping_command import ping
from broker.cli.webhook_commands import webhooks
from broker.cli.words import language

if TYPE_CHECKING:
    from datetime import datetime

    from broker.config import Settings
    from broker.errors import BrokerError

F = TypeVar("F", bound=Callable[..., Any])

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


class _Broker(click.Group):
    """Says what is wrong in one sentence, and exits with the code that it means."""

    def invoke(self, ctx: click.Context) -> Any:
        from broker.errors import BrokerError

        try:
            return super().invoke(ctx)
        except BrokerError as error:
            _tell(error)
        except BaseExceptionGroup as group:
            # A door that can't be opened ends the tasks that run already: their group carries the reason.
            told, rest = group.split(BrokerError)
            if told is None or rest is not None:
                raise
            _tell(_first(told))


@click.group(cls=_Broker, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="digihelse-broker", prog_name="broker")
@click.option("--lang", type=click.Choice(["nb", "en"]), help="Language of answers; else by the system's locale.")
@click.pass_context
def main(ctx: click.Context, lang: str | None) -> None:
    """A message broker for dialogue in municipal health care: not sent until its application receipt is home.

    \b
    Exit codes: 0 ok, 1 a problem was found, 2 wrong command line or setting,
                3 not found, 5 neither broker nor store could be asked,
                6 not possible as things stand.
    """
    ctx.obj = Said(language=language(os.environ, lang))


@main.command()
@CONFIG
def serve(config: Path) -> None:
    """Run the broker until SIGTERM or Ctrl-C.

    \b
    Example: broker serve --config /etc/broker/broker.toml
    """
    import uvloop

    from broker.config import load
    from broker.daemon import serve as run

    sys.exit(uvloop.run(run(load(config), lambda: load(config))))


@main.command()
@click.option("--stay", is_flag=True, help="Leave it running, with addresses to try.")
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder to make the sites in.")
def demo(stay: bool, folder: Path | None) -> None:
    """Show the whole path: three brokers with simulated EPJ systems, on this machine alone.

    \b
    Example: broker demo --stay
    """
    from broker.demo.run import main as run

    sys.exit(run(stay, folder))


for _command in (*reading_commands.COMMANDS, *act_commands.COMMANDS, *service_commands.COMMANDS):
    main.add_command(_command)


@main.group()
def addresses() -> None:
    """Address records."""


@addresses.command("check")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@CONFIG
@_JSON
@click.pass_obj
def check(said: Said, folder: Path | None, config: Path, as_json: bool) -> None:
    """Read all address records and name what is wrong, or soon will be: those of FOLDER, else of the settings.

    Exits with 1 where anything would stop a message.

    \b
    Example: broker addresses check addresses/
    """
    from broker.cli.check import Checked, show_checked

    checked = Checked.of_folder(folder) if folder else Checked.of_settings(_load(config))
    if as_json:
        _print_json(checked.as_json())
    else:
        show_checked(checked, console(), said.language)
    sys.exit(exits.PROBLEM if checked.bad else exits.OK)


@main.group()
def keys() -> None:
    """Our own keys."""


@keys.command("new")
@click.option("--organisation", help="Organisation number; else every one of the settings.")
@click.option("--bits", type=click.Choice(["2048", "3072", "4096"]), default="3072", show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), default=730, show_default=True, help="How long they are valid.")
@click.option(
    "--from",
    "starts",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Day from which they sign; else at once.",
)
@CONFIG
@_JSON
def new(organisation: str | None, bits: str, days: int, starts: "datetime | None", config: Path, as_json: bool) -> None:
    """Make a signing and an encryption key, each with a self-signed certificate, and the site's key where it lacks.

    What is there already stays: new keys are another generation beside it.

    \b
    Example: broker keys new --organisation 900000101 --from 2027-01-15
    """
    from broker.cli.make import make_keys

    made = make_keys(_load(config), organisation=organisation, bits=int(bits), days=days, starts=starts)
    if as_json:
        _print_json(made)
    else:
        for each in made:
            click.echo("\n".join(f"{what}: {path}" for what, path in each.items()))


@main.group()
def clients() -> None:
    """EPJ systems that may call the API."""


@clients.command("add")
@click.argument("name")
@click.option("--her", "hers", type=int, multiple=True, required=True, help="A HER-id that it speaks for; repeatable.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Its client certificate (PEM), which it shows instead of a token.",
)
@CONFIG
@_JSON
def add(name: str, hers: tuple[int, ...], certificate: Path | None, config: Path, as_json: bool) -> None:
    """Add the client NAME and print its token, once: only its hash is kept. With --certificate it has no token.

    \b
    Example: broker clients add "EPJ Fjordvik" --her 8000102 --her 8000103
    """
    from broker.cli.make import make_certificate_client, make_client

    if certificate is not None:
        found = make_certificate_client(_load(config), name=name, hers=hers, certificate=certificate)
        if as_json:
            _print_json({"name": name, "hers": sorted(hers), "certificateSha256": found})
        else:
            click.echo(f"SHA-256 {found}")
        return
    token = make_client(_load(config), name=name, hers=hers)
    if as_json:
        _print_json({"name": name, "hers": sorted(hers), "token": token})
    else:
        click.echo(token)
        click.echo("Keep it now: it can't be shown again.", err=True)


main.add_command(agreements)
main.add_command(certificates)
main.add_command(alerts)
main.add_command(webhooks)
main.add_command(ping)
main.add_command(algorithms)


def _load(config: Path) -> "Settings":
    from broker.config import load

    return load(config)


def _print_json(value: object) -> None:
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _first(group: "BaseExceptionGroup[BrokerError]") -> "BrokerError":
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def _tell(error: "BrokerError") -> NoReturn:
    fail(error.why + (f" ({error.hint})" if error.hint else ""), getattr(error, "exit_code", exits.USAGE))
