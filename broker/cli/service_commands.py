"""The commands of who runs the machine: check, backup, restore. Each loads what it needs when it runs."""

import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from broker.cli import exits
from broker.cli.common import CONFIG, JSON_LINES, PIPED, Said, print_lines
from broker.cli.words import Language

if TYPE_CHECKING:
    from broker.cli.doctor import Result

_DEFAULT: Final = "broker.toml"
_SHOW: Final = "?"  # what --config is without a file's name


@click.command()
@click.option(
    "--config",
    is_flag=False,
    flag_value=_SHOW,
    envvar="BROKER_CONFIG",
    default=_DEFAULT,
    show_default=True,
    help="The settings file; without a name: show the settings and where each comes from, as --settings does.",
)
@click.option("--settings", "show", is_flag=True, help="Show every setting and where it comes from, secrets masked.")
@click.option("--health", is_flag=True, help="Only ask the running broker whether it takes messages; for containers.")
@click.option("--offline", is_flag=True, help="Leave the partners' endpoints alone.")
@JSON_LINES
@click.pass_obj
def check(said: Said, config: str, show: bool, health: bool, offline: bool, as_json: bool) -> None:
    """Examine the installation: keys, certificates, disk, clock, store, ports, records and partners' endpoints.

    Each fault comes with what to do. Exits with 1 where there is one, 2 where the settings are wrong, and with
    --health 5 where no broker answers.

    \b
    Example: broker check --config /etc/digihelse-broker/broker.toml
    """
    if config == _SHOW:
        show, config = True, os.environ.get("BROKER_CONFIG", _DEFAULT)
    if health:
        sys.exit(_health(Path(config)))
    if show:
        _show_settings(Path(config), as_json=as_json)
        return
    from broker.cli.doctor import Mark, examine

    found = examine(Path(config), partners=not offline)
    if as_json:
        print_lines(each.as_json() for each in found)
    else:
        _show_found(found, said.language)
    faults = [each for each in found if each.mark is Mark.FAULT]
    sys.exit(exits.USAGE if any(each.check == "settings" for each in faults) else exits.PROBLEM if faults else exits.OK)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--with-keys", is_flag=True, help="Put the site key and the private keys in it: then it is a secret.")
@CONFIG
@JSON_LINES
def backup(folder: Path, with_keys: bool, config: Path, as_json: bool) -> None:
    """Copy store, settings, records and clients into the new FOLDER, while the broker runs, and verify the copy.

    The site key is not in it unless asked for. Without that key nothing in a backup can be read: keep it elsewhere.

    \b
    Example: broker backup /var/backups/broker-2026-11-22
    """
    from broker.cli.backup import back_up

    made = back_up(config, folder, with_keys=with_keys).as_json()
    if as_json:
        print_lines([made])
    else:
        click.echo("\n".join(f"{what}: {value}" for what, value in made.items()))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--verify", "only", is_flag=True, help="Only read the backup from end to end.")
@CONFIG
@JSON_LINES
def restore(folder: Path, only: bool, config: Path, as_json: bool) -> None:
    """Verify the backup FOLDER, then put it where the settings say. Nothing that is there is replaced.

    Digests, the database and, where the site key is at hand, every body are read. Exits with 1 where it is damaged.

    \b
    Example: broker restore --verify /var/backups/broker-2026-11-22
    """
    from broker.cli.backup import restore as put_back
    from broker.cli.backup import verified_by

    if only:
        made, told = verified_by(folder, config).as_json(), dict[str, str]()
    else:
        backup, told = put_back(folder, config)
        made = backup.as_json()
    if as_json:
        print_lines([made | {"restored": told}])
    else:
        click.echo("\n".join(f"{what}: {value}" for what, value in (made | told).items()))


COMMANDS: Final = (check, backup, restore)


def _health(config: Path) -> int:
    from broker.cli.ask import readiness
    from broker.cli.places import find_places

    match readiness(find_places(config, os.environ)):
        case None:
            return exits.UNREACHABLE
        case 200:
            return exits.OK
        case _:
            return exits.PROBLEM


def _show_settings(config: Path, *, as_json: bool) -> None:
    from broker.cli.origins import origins

    found = origins(config)
    if as_json:
        print_lines({"key": each.key, "value": each.value, "source": each.source} for each in found)
        return
    wide = max(len(each.key) for each in found)
    for each in found:
        click.echo(f"{each.key:{wide}}  {each.value}  ({each.source})")


def _show_found(found: "list[Result]", language: Language) -> None:
    from broker.cli.doctor import Mark

    words = {Mark.OK: ("ok", "green"), Mark.NOTE: ("merk" if language == "nb" else "note", "yellow")}
    fault = ("FEIL" if language == "nb" else "FAULT", "red")
    wide = max(len(each.check) for each in found)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED
    for each in found:
        word, colour = words.get(each.mark, fault)
        mark = f"{word:5}" if "NO_COLOR" in os.environ else click.style(f"{word:5}", fg=colour)
        text = each.text.nb if language == "nb" else each.text.en
        lines = _wrapped(text, columns - wide - 8)
        if each.act is not None:
            act = _wrapped(each.act.nb if language == "nb" else each.act.en, columns - wide - 11)
            lines += [f"{'  ' if number else '->'} {line}" for number, line in enumerate(act)]
        click.echo(f"{mark} {each.check:{wide}}  {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{'':{wide + 8}}{line}")


def _wrapped(text: str, width: int) -> list[str]:
    # A path or a command's word stays whole, that it may be copied.
    return textwrap.wrap(text, max(width, 30), break_long_words=False, break_on_hyphens=False)
