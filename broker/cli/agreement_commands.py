"""`broker agreements`: what a CPA says in words, what it would change, and taking it into use.

The commands read the same files as the broker, and write into its folder of agreements alone; a running broker sees
what is new there by itself. Only what waits is asked of the broker, or of its store.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from broker.cli import exits
from broker.cli.common import CONFIG, JSON_LINES, Said, fail, print_lines

if TYPE_CHECKING:
    from broker.cli.words import Language
    from broker.message import Text
    from broker.routing.agreement_words import Difference
    from broker.routing.cpa import Cpa
    from broker.routing.cpa_terms import Agreed, Remark

_SHOWN: Final = 20  # messages by their ids

# Bokmål, English.
_WORDS: Final = {
    "agreement": ("Avtale", "Agreement"),
    "between": ("mellom", "between"),
    "party": ("part", "party"),
    "channel": ("kanal", "channel"),
    "terms": ("Vilkår", "Terms"),
    "resend": ("sending", "sending"),
    "remarks": ("Merk", "Note"),
    "same": ("Ingen forskjeller.", "No differences."),
    "differs": ("Dette endres fra avtalen som er i bruk", "What changes from the agreement in use"),
    "compared": ("Forskjeller", "Differences"),
    "conflicts": ("STRID med adressepostene", "CONFLICT with the address records"),
    "parks": (
        "Så lenge det står, forsegles ingenting til motparten; meldinger venter.",
        "While this stands nothing is sealed for the partner; messages wait.",
    ),
    "waiting": ("Meldinger som venter", "Messages that wait"),
    "unsealed": ("ikke forseglet: får de nye vilkårene", "not sealed: get the new terms"),
    "sealed": ("forseglet: sendes byte for byte som de er", "sealed: sent byte for byte as they are"),
    "acknowledged": (
        "framme, venter på applikasjonskvittering: en purring får de nye vilkårene",
        "there, waiting for the application receipt: a chase gets the new terms",
    ),
    "unasked": ("Ingen broker eller lager kunne spørres om dem.", "Neither a broker nor its store could be asked."),
    "more": ("og flere", "and more"),
    "not.taken": ("Ikke tatt i bruk. Ta den i bruk med --take.", "Not taken into use. Do that with --take."),
    "taken": ("Tatt i bruk", "Taken into use"),
    "already": ("Er i bruk alt.", "Is in use already."),
    "remove": ("Fjern nå [[agreement]] med with = {} fra {}", "Now remove the [[agreement]] with = {} from {}"),
    "retired": ("Ute av bruk", "Out of use"),
    "until": ("det som er sendt under den, tas imot til", "what was sent under it is taken until"),
    "none": ("Ingen importerte avtaler.", "No imported agreements."),
    "in.record": ("Avtalen er ikke importert; den står i", "The agreement is not imported; it stands in"),
    "state.used": ("i bruk", "in use"),
    "state.next": ("fra Start", "from Start"),
    "state.replaced": ("avløst", "replaced"),
    "state.retired": ("tatt ut", "retired"),
    "state.ended": ("utløpt", "ended"),
    "state.refused": ("kan ikke brukes", "can't be used"),
    "state.conflict": ("i strid", "conflict"),
}


@click.group("agreements")
def agreements() -> None:
    """Agreements with partners, from CPA 2.0 files: shown in words, compared, taken into use."""


@agreements.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--take", is_flag=True, help="Take it into use; without this nothing is changed.")
@click.option(
    "--process",
    "named",
    multiple=True,
    metavar="NAME=SERVICE",
    help="The process NAME is what the file calls SERVICE; repeatable.",
)
@CONFIG
@JSON_LINES
@click.pass_obj
def import_(said: Said, file: Path, take: bool, named: tuple[str, ...], config: Path, as_json: bool) -> None:
    """Show what the CPA in FILE says, what it would change, and which messages wait; with --take, take it into use.

    Exits with 1 where it contradicts the address records, with 2 where this broker can't keep it.

    \b
    Example: broker agreements import dalbygda.xml --process DIALOG=Interop --take
    """
    from broker.cli.agreement_desk import Desk
    from broker.errors import Misconfigured

    desk = Desk.of(config)
    content, cpa = desk.read(file)
    services = _services(named)
    try:
        found = desk.agreed(cpa, services)
    except Misconfigured:
        if not as_json:
            click.echo("\n".join(_file(cpa, said.language)))
        raise
    used, conflicts = desk.used(found), desk.conflicts(found)
    waiting = desk.waiting(found)
    changed = desk.changes(found, used)
    remarks = (*found.remarks, *desk.own_remarks(found))
    taken = None
    if take and not desk.is_used(content, services, used):
        desk.require_not_over(cpa)
        taken = desk.take(content, found, services)
    if as_json:
        print_lines(
            [
                {
                    **_json(found, remarks),
                    "changes": [_difference(each) for each in changed],
                    "conflicts": [_both(text) for text in conflicts],
                    "waiting": waiting,
                    "taken": taken.source if taken else None,
                }
            ]
        )
    else:
        lines = [*_file(cpa, said.language), *_agreed(found, remarks, said.language)]
        lines += _changes("differs", changed, said.language)
        lines += _waiting(waiting, said.language)
        lines += _conflicts(conflicts, said.language)
        if taken is not None:
            lines.append(f"{_say('taken', said.language)}: {taken.source}")
            if (table := desk.table(found)) is not None:
                lines.append(_say("remove", said.language).format(*table))
        else:
            lines.append(_say("already" if take else "not.taken", said.language))
        click.echo("\n".join(lines))
    sys.exit(exits.PROBLEM if conflicts else exits.OK)


@agreements.command("list")
@CONFIG
@JSON_LINES
@click.pass_obj
def list_(said: Said, config: Path, as_json: bool) -> None:
    """List all imported agreements, and which of them are in use. Exits with 1 where one can't be kept, or conflicts.

    \b
    Example: broker agreements list
    """
    from broker.cli.agreement_desk import Desk

    desk = Desk.of(config)
    listed = desk.listed()
    if as_json:
        print_lines(
            {
                "cpaId": taken.cpa.cpa_id,
                "state": state,
                "ours": version.pair[0] if version else None,
                "theirs": version.pair[1] if version else None,
                "starts": taken.cpa.starts.isoformat(),
                "ends": taken.cpa.ends.isoformat(),
                "takenAt": taken.taken_at.isoformat(),
                "retiredAt": taken.retired_at.isoformat() if taken.retired_at else None,
                "file": taken.file,
                "sha256": taken.sha256,
            }
            for taken, version, state in listed
        )
    else:
        for taken, version, state in listed:
            pair = "{} - {}".format(*version.pair) if version else "?"
            state = _say(f"state.{state}", said.language)
            click.echo(f"{state:16} {pair:20} {taken.cpa.starts:%F} - {taken.cpa.ends:%F}  {taken.cpa.cpa_id}")
        if not listed:
            click.echo(_say("none", said.language))
    for problem in desk.problems:
        click.echo(f"broker: {problem.why} ({problem.hint})", err=True)
    bad = desk.problems or any(state in ("refused", "conflict") for _, _, state in listed)
    sys.exit(exits.PROBLEM if bad else exits.OK)


@agreements.command("show")
@click.argument("what", metavar="CPAID|HER")
@CONFIG
@JSON_LINES
@click.pass_obj
def show(said: Said, what: str, config: Path, as_json: bool) -> None:
    """Show an agreement in words, by its CPAId, or those of a HER-id that are in use: who, what, how, until when.

    Exits with 1 where it contradicts the address records.

    \b
    Example: broker agreements show 8000201
    """
    from broker.cli.agreement_desk import Desk

    desk = Desk.of(config)
    found = desk.named(what)
    if not found:
        source = desk.record_of(what)
        fail(f"{_say('in.record', said.language)} {source}" if source else "no such agreement", exits.NOT_FOUND)
    conflicts = [text for each in found if desk.in_use(each) for text in desk.conflicts(each.agreed)]
    for each in found:
        remarks = (*each.agreed.remarks, *desk.own_remarks(each.agreed))
        mine = desk.conflicts(each.agreed) if desk.in_use(each) else ()
        if as_json:
            state = desk.state(each)
            print_lines([{**_json(each.agreed, remarks), "state": state, "conflicts": [_both(text) for text in mine]}])
        else:
            lines = [*_file(each.taken.cpa, said.language), *_agreed(each.agreed, remarks, said.language)]
            lines += _conflicts(mine, said.language)
            lines.append(_say(f"state.{desk.state(each)}", said.language))
            click.echo("\n".join(lines))
    sys.exit(exits.PROBLEM if conflicts else exits.OK)


@agreements.command("compare")
@click.argument("old")
@click.argument("new")
@CONFIG
@JSON_LINES
@click.pass_obj
def compare(said: Said, old: str, new: str, config: Path, as_json: bool) -> None:
    """Show in what the agreements OLD and NEW differ, each a file or the CPAId of an imported one.

    \b
    Example: broker agreements compare nav:qass:1 nav-qass-2.xml
    """
    from broker.cli.agreement_desk import Desk
    from broker.routing.agreement_words import differences

    desk = Desk.of(config)
    first, second = (desk.either(each) for each in (old, new))
    if first is None or second is None:
        fail("neither a file nor the CPAId of an imported agreement", exits.NOT_FOUND)
    found = differences(first, second)
    if as_json:
        print_lines(_difference(each) for each in found)
    else:
        click.echo("\n".join(_changes("compared", found, said.language) or [_say("same", said.language)]))


@agreements.command("retire")
@click.argument("cpa_id", metavar="CPAID")
@CONFIG
@JSON_LINES
@click.pass_obj
def retire(said: Said, cpa_id: str, config: Path, as_json: bool) -> None:
    """Take an imported agreement out of use; what was sent under it is taken until its PersistDuration is over.

    \b
    Example: broker agreements retire nav:qass:1
    """
    from broker.cli.agreement_desk import Desk

    desk = Desk.of(config)
    ended = desk.retire(cpa_id)
    if not ended:
        fail("no agreement with this CPAId is in use", exits.NOT_FOUND)
    for taken, until in ended:
        if as_json:
            print_lines([{"cpaId": cpa_id, "file": taken.file, "takenUntil": until.isoformat()}])
        else:
            line = f"{_say('until', said.language)} {until:%Y-%m-%d %H:%M} UTC"
            click.echo(f"{_say('retired', said.language)}: {taken.source}; {line}")


# --- words ---


def _services(named: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in named:
        process, equals, service = one.partition("=")
        if not (process and equals and service):
            raise click.UsageError("--process is NAME=SERVICE, such as DIALOG=Interop")
        found[process] = service
    return found


def _file(cpa: "Cpa", language: "Language") -> list[str]:
    """Return what the file says, whatever we can keep of it."""
    lines = [
        f"{_say('agreement', language)} {cpa.cpa_id} ({cpa.source}, CPA {cpa.version}, {cpa.status})",
        f"  {cpa.starts:%Y-%m-%d %H:%M} - {cpa.ends:%Y-%m-%d %H:%M} UTC",
    ]
    for party in cpa.parties:
        names = ", ".join(f"{one.type or '?'} {one.value}" for one in party.ids)
        lines.append(f"  {_say('party', language)}: {party.name} ({names})")
        for channel in party.channels.values():
            transport = party.transports[channel.transport]
            where = ", ".join(transport.endpoints) or "-"
            lines.append(f"    {_say('channel', language)} {channel.id}: {transport.protocol or '?'} {where}")
    return lines


def _agreed(found: "Agreed", remarks: "Iterable[Remark]", language: "Language") -> list[str]:
    from broker.routing.agreement_words import retries, terms

    lines = [f"{_say('terms', language)}:"]
    lines += [f"  {_in(each.name, language)}: {_in(each.value, language)}" for each in terms(found)]
    lines.append(f"  {_say('resend', language)}: {_in(retries(found.agreement), language)}")
    told = [f"  - {_in(each.text, language)}" for each in remarks]
    return [*lines, f"{_say('remarks', language)}:", *told] if told else lines


def _changes(head: str, found: "Iterable[Difference]", language: "Language") -> list[str]:
    lines = [
        f"  {_in(each.name, language)}: {_in(each.old, language) if each.old else '-'}"
        f" -> {_in(each.new, language) if each.new else '-'}"
        for each in found
    ]
    return [f"{_say(head, language)}:", *lines] if lines else []


def _conflicts(found: "Iterable[Text]", language: "Language") -> list[str]:
    lines = [f"  - {_in(text, language)}" for text in found]
    return [f"{_say('conflicts', language)}:", *lines, f"  {_say('parks', language)}"] if lines else []


def _waiting(waiting: Mapping[str, Any] | None, language: "Language") -> list[str]:
    lines = [f"{_say('waiting', language)}:"]
    if waiting is None:
        return [*lines, f"  {_say('unasked', language)}"]
    for key in ("unsealed", "sealed", "acknowledged"):
        of = waiting[key]
        ids = ", ".join(each["msgId"] for each in of[:_SHOWN])
        lines.append(f"  {len(of)} {_say(key, language)}{f': {ids}' if ids else ''}")
    return [*lines, f"  {_say('more', language)}"] if waiting["more"] else lines


def _json(found: "Agreed", remarks: "Iterable[Remark]") -> dict[str, Any]:
    from broker.routing.agreement_words import terms

    return {
        "cpaId": found.agreement.cpa_id,
        "ours": found.agreement.ours,
        "theirs": found.agreement.theirs,
        "status": found.cpa.status,
        "terms": [{"key": each.key, "name": _both(each.name), "value": _both(each.value)} for each in terms(found)],
        "remarks": [{"slug": each.slug, "text": _both(each.text)} for each in remarks],
    }


def _difference(of: "Difference") -> dict[str, Any]:
    return {
        "key": of.key,
        "name": _both(of.name),
        "old": _both(of.old) if of.old else None,
        "new": _both(of.new) if of.new else None,
    }


def _both(text: "Text") -> dict[str, str]:
    return {"nb": text.nb, "en": text.en}


def _in(text: "Text", language: "Language") -> str:
    return text.nb if language == "nb" else text.en


def _say(key: str, language: "Language") -> str:
    return _WORDS[key][0 if language == "nb" else 1]
