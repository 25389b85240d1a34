"""`broker certificates`: how long ours and our partners' last, and what fails when. Reads files, asks no daemon."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from broker.cli.common import CONFIG, JSON_LINES, Said, console, print_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate
    from rich.console import Console

    from broker.cli.words import Language
    from broker.config import Settings
    from broker.diagnosis.forecast import Forecast, Held
    from broker.errors import Misconfigured

WARNING: Final = 1
CRITICAL: Final = 2  # as Nagios and Icinga read it; a wrong setting ends with the same

# Bokmål, English.
_WORDS: Final = {
    "level": ("nivå", "level"),
    "holder": ("hvem", "who"),
    "organisation": ("org.nr", "org. no"),
    "use": ("bruk", "use"),
    "state": ("er", "is"),
    "left": ("dager", "days"),
    "until": ("gyldig til", "valid to"),
    "subject": ("navn i sertifikatet", "name in the certificate"),
    "source": ("fil", "file"),
    "when": ("Når det går ut", "When it ends"),
    "over": ("Nå", "Now"),
    "do": ("Gjør dette", "Do this"),
    "lasts": ("varer i {} dager", "lasts {} days"),
    "none": ("ingenting som kan brukes", "nothing that can be used"),
    "fine": ("Alle varer lenge nok.", "All of them last long enough."),
    "problem": ("FEIL", "FAULT"),
    "own": ("oss", "us"),
    "level.0": ("ok", "ok"),
    "level.1": ("bestill", "order"),
    "level.2": ("snart", "soon"),
    "level.3": ("HASTER", "URGENT"),
    "use.signing": ("signering", "signing"),
    "use.encryption": ("kryptering", "encryption"),
    "use.tls": ("TLS", "TLS"),
    "state.used": ("i bruk", "in use"),
    "state.kept": ("beholdt", "kept"),
    "state.ended": ("utløpt", "ended"),
    "state.unusable": ("ubrukelig", "unusable"),
    "from": ("fra", "from"),
}
_STYLES: Final = ("green", "", "yellow", "bold red")


@click.command("certificates")
@click.option("--warning", type=click.IntRange(0, 3650), default=30, show_default=True, help="Days: exit code 1.")
@click.option("--critical", type=click.IntRange(0, 3650), default=7, show_default=True, help="Days: exit code 2.")
@CONFIG
@JSON_LINES
@click.pass_obj
def certificates(said: Said, warning: int, critical: int, config: Path, as_json: bool) -> None:
    """Show every certificate, ours and our partners': days left, what is used now, what fails when it ends.

    A next certificate that is in place counts. Sixty days before the end it is time to order. No daemon need run.

    \b
    Exit codes, as monitors read them: 0 fine, 1 within --warning, 2 within --critical or over.

    \b
    Example: broker certificates --warning 45
    """
    from broker.config import load

    if critical > warning:
        raise click.UsageError("--critical must be no more days than --warning")
    seen = Seen.of(load(config), warning=warning, critical=critical)
    if as_json:
        print_lines(seen.lines())
    else:
        seen.show(console(), said.language)
    sys.exit(seen.exit_code)


class Seen:
    """All certificates at one moment."""

    def __init__(self, forecasts: "Sequence[Forecast]", problems: "Sequence[Misconfigured]", at: "datetime") -> None:
        self._forecasts, self._problems, self._at = forecasts, problems, at

    @classmethod
    def of(cls, settings: "Settings", *, warning: int, critical: int) -> "Seen":
        """Read keys, address records and the doors' certificates. Raises Misconfigured for the passphrase."""
        from broker import telemetry
        from broker.cli.check import address_files
        from broker.config import passphrase
        from broker.diagnosis.forecast import Own, Thresholds, forecast
        from broker.errors import Unaddressable
        from broker.lookup.clock import SystemClock
        from broker.lookup.key_files import KeyFiles
        from broker.routing.party import Directory
        from broker.sealing.certificates import Use

        telemetry.configure("critical")  # what is wrong is printed here
        keys = KeyFiles(settings.keys, settings.hosted, passphrase=passphrase(settings))
        addresses, _ = address_files(settings)
        try:
            directory = addresses.current()
        except Unaddressable:  # it stands in the problems of `addresses`
            directory = Directory(parties={}, complete=False)
        own = [
            Own(
                number=each.number,
                name=each.name,
                hers=each.hers,
                signing=keys.generations(each.number, Use.SIGN),
                encryption=keys.generations(each.number, Use.ENCRYPT),
            )
            for each in settings.organisation
        ]
        doors, faults = _doors(settings)
        at = SystemClock().now()
        thresholds = Thresholds(order=max(60, warning), soon=warning, urgent=critical)
        found = forecast(own, directory, doors=doors, at=at, thresholds=thresholds)
        return cls(found, (*keys.problems, *addresses.problems, *faults), at)

    @property
    def exit_code(self) -> int:
        """Return 0, 1 or 2 by the worst that was found; a file that can't be read is worth a warning."""
        worst = max((int(each.level) for each in self._forecasts), default=0)
        return CRITICAL if worst == 3 else WARNING if worst == 2 or self._problems else 0

    def lines(self) -> "Iterator[dict[str, Any]]":
        """Give all of it for programs: a holder a line, then a file that can't be read a line."""
        yield from (_holder(each, self._at) for each in self._forecasts)
        yield from ({"where": each.where, "why": each.why, "hint": each.hint} for each in self._problems)

    def show(self, console: "Console", language: "Language") -> None:
        """Print a table, the nearest end first, and then what fails and what to do."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        wide = console.width >= 140
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("level", "holder", "use", "state", "left", "until", *(("subject", "source") if wide else ())):
            table.add_column(
                _say(column, language),
                justify="right" if column == "left" else "left",
                no_wrap=column in ("level", "use", "state", "until"),
            )
        for each in self._forecasts:
            level = _say(f"level.{int(each.level)}", language)
            shared = (
                f"[{style}]{level}[/]" if (style := _STYLES[each.level]) else level,
                escape(_who(each) if wide else each.holder),
                _say(f"use.{each.purpose}", language),
            )
            if not each.held:
                table.add_row(*shared, "-", "-", "-")
            for number, held in enumerate(each.held):
                row = _cells(held, language)
                wider = (escape(_name(held.certificate)), escape(held.source)) if wide else ()
                table.add_row(*(shared if number == 0 else ("", "", "")), *row, *wider)
        console.print(table)
        for problem in self._problems:
            console.print(f"[bold red]{_say('problem', language)}[/]  {escape(_sentence(problem))}")
        if all(each.act is None for each in self._forecasts) and not self._problems:
            console.print(_say("fine", language))
        for each in self._forecasts:
            if each.act is not None:
                self._explain(each, console, language)

    def _explain(self, each: "Forecast", console: "Console", language: "Language") -> None:
        from rich.markup import escape
        from rich.padding import Padding

        left = each.days_left(self._at)
        lasts = _say("none", language) if left is None else _say("lasts", language).format(left)
        assert each.act is not None  # asked by `show`
        fails, act = (each.fails.nb, each.act.nb) if language == "nb" else (each.fails.en, each.act.en)
        style = _STYLES[each.level] or "bold"
        head = f"[{style}]{escape(_who(each))}, {_say(f'use.{each.purpose}', language)}: {lasts}[/]"
        console.print(head)
        for line in (
            f"{_say('over' if left is None else 'when', language)}: {escape(fails)}.",
            f"{_say('do', language)}: {escape(act)}.",
        ):
            console.print(Padding(line, (0, 0, 0, 2)))


def _doors(settings: "Settings") -> "tuple[dict[str, tuple[str, Certificate]], list[Misconfigured]]":
    from broker.errors import Misconfigured
    from broker.sealing.certificates import load_certificates

    found: dict[str, tuple[str, Certificate]] = {}
    faults: list[Misconfigured] = []
    for name, door in (("partner", settings.partner), ("epj", settings.epj), ("tls", settings.tls)):
        if door.certificate is None:
            continue
        try:
            found[name] = (door.certificate.name, load_certificates(door.certificate.read_bytes())[0])
        except OSError as error:
            why = f"can't be read ({error.strerror})"
            faults.append(Misconfigured(why, where=f"{name}.certificate", hint=f"looked for {door.certificate}"))
        except ValueError as error:
            faults.append(Misconfigured(str(error), where=f"{name}.certificate"))
    return found, faults


def _holder(each: "Forecast", at: "datetime") -> dict[str, Any]:
    from broker.sealing.certificates import fingerprint, organisation_number

    return {
        "own": each.own,
        "holder": each.holder,
        "herId": each.her_id,
        "organisationNumber": each.organisation,
        "use": each.purpose,
        "level": each.level.name.lower(),
        "daysLeft": each.days_left(at),
        "lastsUntil": each.lasts_until.isoformat() if each.lasts_until else None,
        "serves": list(each.serves),
        "fails": {"nb": each.fails.nb, "en": each.fails.en},
        "act": {"nb": each.act.nb, "en": each.act.en} if each.act else None,
        "certificates": [
            {
                "subject": held.certificate.subject.rfc4514_string(),
                "issuer": held.certificate.issuer.rfc4514_string(),
                "organisationNumber": organisation_number(held.certificate),
                "serial": f"{held.certificate.serial_number:x}",
                "sha256": fingerprint(held.certificate),
                "state": held.state,
                "from": held.begins.isoformat(),
                "until": held.certificate.not_valid_after_utc.isoformat(),
                "daysLeft": held.days_left,
                "source": held.source,
            }
            for held in each.held
        ],
    }


def _cells(held: "Held", language: "Language") -> tuple[str, str, str]:
    dated = f"{_say('from', language)} {held.begins:%F}"
    state = dated if held.state == "next" else _say(f"state.{held.state}", language)
    return state, str(held.days_left), f"{held.certificate.not_valid_after_utc:%F}"


def _who(each: "Forecast") -> str:
    number = each.organisation if each.own else f"HER-id {each.her_id}"
    return f"{each.holder} ({number})" if number else each.holder


def _name(certificate: "Certificate") -> str:
    from cryptography.x509.oid import NameOID

    from broker.sealing.certificates import organisation_number

    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    number = organisation_number(certificate)
    shown = str(names[0].value) if names else certificate.subject.rfc4514_string()
    return f"{shown}, {number}" if number else shown


def _sentence(problem: "Misconfigured") -> str:
    return f"{problem.why} ({problem.hint})" if problem.hint else problem.why


def _say(key: str, language: "Language") -> str:
    return _WORDS[key][0 if language == "nb" else 1]
