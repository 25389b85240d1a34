"""`broker hold|release|retry|close|retention`: what a person does, over the running broker's socket.

Who did it is the user whom the kernel names at the other end of the socket; why is `--reason`. Both stand in the
history. `retention` only looks, unless `--run` is given.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from broker.cli.common import CONFIG, JSON_LINES, print_lines
from broker.cli.words import Language

if TYPE_CHECKING:
    from broker.config import Settings

_REASON = click.option(
    "--reason", required=True, help="Why, in a few words; name no patients. It stays in the history."
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_PARTNER = click.option("--partner", type=int, help="A counterpart's HER-id, in the place of an ID.")
_RATE = click.option(
    "--rate", type=click.FloatRange(0.01, 1000), default=2.0, show_default=True, help="How many a second."
)

# Norwegian and English of what is printed; the counted thing first.
_SAID: Final[dict[str, tuple[str, str]]] = {
    "hold": ("{n} holdt tilbake", "{n} held back"),
    "release": ("{n} sluppet", "{n} released"),
    "retry": ("{n} prøves på nytt", "{n} to be sent again"),
    "close": ("{n} lukket", "{n} closed"),
    "would": ("Ingenting er gjort. Det ville blitt: {what}", "Nothing was done. It would be: {what}"),
    "deliveries": ("leveringer", "deliveries"),
    "delivery": ("levering", "delivery"),
    "partner": ("motpart {her}", "counterpart {her}"),
    "later": (", også det som kommer senere", ", and what comes later"),
    "already": ("{n} var det fra før", "{n} stood so before"),
    "skipped": ("{n} ikke: {why}", "{n} not: {why}"),
    "hold before": ("motparten var holdt fra før", "the counterpart was held before"),
    "release before": ("motparten var ikke holdt", "the counterpart was not held"),
    "over": (", fordelt på {seconds} s", ", spread over {seconds} s"),
    "kind": ("slag", "kind"),
    "keeps": ("lagres", "keeps"),
    "size": ("plass", "size"),
    "older": ("eldre", "older"),
    "owed": ("skyldes", "owed"),
    "next": ("slettes", "goes"),
    "good": ("alltid", "for good"),
    "will": ("Neste gang slettes {n} ({size}).", "The next run erases {n} ({size})."),
    "erased": ("Slettet: {what}", "Erased: {what}"),
    "none": ("ingenting", "nothing"),
    "status None": (
        "Motpart {her} er spurt om {id}. Svaret kommer for seg: se `broker show` om litt.",
        "Counterpart {her} was asked about {id}. Its answer comes by itself: see `broker show` in a while.",
    ),
    "status Received": (
        "Motpart {her} har mottatt {id}, men sier ikke at den er behandlet.",
        "Counterpart {her} has received {id}, and does not say that it was processed.",
    ),
    "status Processed": ("Motpart {her} har behandlet {id}.", "Counterpart {her} has processed {id}."),
    "status Forwarded": ("Motpart {her} har sendt {id} videre.", "Counterpart {her} has forwarded {id}."),
    "status NotRecognized": ("Motpart {her} kjenner ikke {id}.", "Counterpart {her} does not know {id}."),
    "status UnAuthorized": (
        "Motpart {her} vil ikke svare om {id}: den godtar ikke spørsmålet under avtalen.",
        "Counterpart {her} will not tell about {id}: it does not take the question under the agreement.",
    ),
    "status at": ("Mottatt der: {at}", "Received there: {at}"),
    "status unsigned": (
        "Svaret er ikke signert, og beviser ingenting.",
        "The answer is not signed, and proves nothing.",
    ),
    "sent": ("dokumenter ut", "documents out"),
    "received": ("dokumenter inn", "documents in"),
    "receipts": ("kvitteringer", "receipts"),
    "envelopes": ("konvolutter", "envelopes"),
    "evidence": ("signaturer inn", "signatures in"),
    "answers": ("svar", "answers"),
}


@click.command()
@click.argument("id", required=False)
@_PARTNER
@_REASON
@_DRY_RUN
@CONFIG
@JSON_LINES
@click.pass_context
def hold(ctx: click.Context, /, id: str | None, partner: int | None, **how: Any) -> None:
    """Keep back a message by any ID, or all that goes to a counterpart. Receipt deadlines go on.

    \b
    Example: broker hold --partner 8000123 --reason "they restore from backup until noon"
    """
    _order(ctx, "hold", {"id": id, "partner": partner}, **how)


@click.command()
@click.argument("id", required=False)
@_PARTNER
@_RATE
@_REASON
@_DRY_RUN
@CONFIG
@JSON_LINES
@click.pass_context
def release(ctx: click.Context, /, id: str | None, partner: int | None, rate: float, **how: Any) -> None:
    """Let go what `hold` kept back. What waits for a counterpart goes out a few a second.

    \b
    Example: broker release --partner 8000123 --reason "they are up again"
    """
    _order(ctx, "release", {"id": id, "partner": partner}, rate=rate, **how)


@click.command()
@click.argument("id", required=False)
@click.option("--problem", help="All that stand alike, named as in K4:MB-3202:8000123, in the place of an ID.")
@_RATE
@_REASON
@_DRY_RUN
@CONFIG
@JSON_LINES
@click.pass_context
def retry(ctx: click.Context, /, id: str | None, problem: str | None, rate: float, **how: Any) -> None:
    """Send a message once more now, or all of a problem, a few a second.

    What waits or was sent goes as it is; what was refused, given up or acknowledged goes in a new envelope.

    \b
    Example: broker retry --problem K4:MB-3202:8000123 --reason "their firewall is open again" --dry-run
    """
    _order(ctx, "retry", {"id": id, "problem": problem}, rate=rate, **how)


@click.command()
@click.argument("id")
@_REASON
@_DRY_RUN
@CONFIG
@JSON_LINES
@click.pass_context
def close(ctx: click.Context, /, id: str, **how: Any) -> None:
    """End the duty for a message: it is not sent again, and its EPJ is told so with the reason.

    \b
    Example: broker close 0199f3a2-7c11 --reason "settled by telephone with the ward"
    """
    _order(ctx, "close", {"id": id}, **how)


@click.command("message-status")
@click.argument("id")
@_REASON
@CONFIG
@JSON_LINES
@click.pass_context
def message_status(ctx: click.Context, /, id: str, reason: str, config: Path, as_json: bool) -> None:
    """Ask the partner's message service whether it has a message of ours (ebMS Message Status).

    What it says moves nothing: only an Acknowledgment and an application receipt do. Not every engine answers.

    \b
    Example: broker message-status 0199f3a2-7c11 --reason "the ward says that nothing came"
    """
    from broker.cli.order import give
    from broker.config import load

    told = give(load(config).socket, "message-status", _given({"id": id}, reason, {}))
    if as_json:
        print_lines([told])
        return
    language = _language(ctx)
    named = {"her": told["partner"], "id": told["ebMessageId"], "at": told["receivedAt"]}
    click.echo(_word(f"status {told['status']}", language).format(**named))
    if told["receivedAt"]:
        click.echo("  " + _word("status at", language).format(**named))
    if told["status"] is not None and not told["signed"]:
        click.echo("  " + _word("status unsigned", language))


@click.command()
@click.option("--run", is_flag=True, help="Erase now what the next run would.")
@click.option("--reason", help="Why, for --run.")
@click.option("--dry-run", is_flag=True, help="With --run: only look.")
@CONFIG
@JSON_LINES
@click.pass_context
def retention(ctx: click.Context, run: bool, reason: str | None, dry_run: bool, config: Path, as_json: bool) -> None:
    """Show what bodies are kept, by kind and age in days, and how many of them the next run erases.

    To erase is to erase a body's key. What is still owed, or not collected by its EPJ, is never erased.

    \b
    Example: broker retention --json
    """
    from broker.config import load

    settings, language = load(config), _language(ctx)
    if run and not dry_run:
        if not reason:
            raise click.UsageError("--run needs --reason")
        from broker.cli.order import give

        erased = give(settings.socket, "retention", _given({}, reason, {}))
        if as_json:
            print_lines([erased])
        else:
            what = ", ".join(f"{count} {_word(kind, language)}" for kind, count in erased["erased"].items())
            click.echo(_word("erased", language).format(what=what or _word("none", language)))
        return
    lines = _kept(settings)
    if as_json:
        print_lines(lines)
    else:
        _show_kept(lines, language)


COMMANDS: Final[Sequence[click.Command]] = (hold, release, retry, close, message_status, retention)


def _order(
    ctx: click.Context,
    name: str,
    target: dict[str, Any],
    *,
    reason: str,
    dry_run: bool,
    config: Path,
    as_json: bool,
    rate: float | None = None,
) -> None:
    named = {key: value for key, value in target.items() if value is not None}
    if len(named) != 1:
        options = " or ".join("an ID" if key == "id" else f"--{key}" for key in target)
        raise click.UsageError(f"give {options}: one of them")
    from broker.cli.order import give
    from broker.config import load

    more: dict[str, Any] = {"dryRun": dry_run} | ({} if rate is None else {"rate": rate})
    done = give(load(config).socket, name, _given(named, reason, more))
    if as_json:
        print_lines([done])
    else:
        _show(done, _language(ctx))


def _given(named: dict[str, Any], reason: str, more: dict[str, Any]) -> dict[str, Any]:
    # Who stands behind sudo is a claim of this process alone; the broker notes it as one.
    claim = {"claim": os.environ["SUDO_USER"]} if os.environ.get("SUDO_USER") else {}
    return {**named, "reason": reason, **more, **claim}


def _show(done: dict[str, Any], language: Language) -> None:
    def say(key: str, **values: object) -> str:
        return _word(key, language).format(**values)

    count = done["count"]
    what = say(done["act"], n=f"{count} {say('delivery' if count == 1 else 'deliveries')}")
    if done["partner"] is not None:
        what = say("partner", her=done["partner"]) + ": " + what
        what += say("later") if done["act"] == "hold" else ""
    if done["seconds"]:
        what += say("over", seconds=f"{done['seconds']:.0f}")
    click.echo(say("would", what=what) if done["dryRun"] else what)
    if done["unchanged"]:
        click.echo("  " + say(f"{done['act']} before"))
    if done["already"]:
        click.echo("  " + say("already", n=done["already"]))
    for each in done["skipped"]:
        click.echo("  " + say("skipped", n=each["count"], why=each["why"]))
    for id in done["deliveries"]:
        click.echo(f"  {id}")
    if count > len(done["deliveries"]):
        click.echo("  ...")


def _kept(settings: "Settings") -> list[dict[str, Any]]:
    """Ask the running broker; where none runs, count in the store itself, which changes nothing."""
    from broker.cli.order import NoBroker, give
    from broker.lookup.site_key import SITE_KEY

    try:
        lines: list[dict[str, Any]] = give(settings.socket, "retention")
    except NoBroker:
        if not (settings.data / SITE_KEY).exists():
            raise
        import asyncio

        return asyncio.run(_count(settings))
    return lines


async def _count(settings: "Settings") -> list[dict[str, Any]]:
    from broker.config import retention_policy
    from broker.lookup.clock import SystemClock
    from broker.lookup.site_key import site_key
    from broker.store.sqlite import open_reader
    from broker.web.operator_acts import retention_report

    store = await open_reader(settings.data, site_key=site_key(settings.data))
    try:
        return await retention_report(store, retention_policy(settings), SystemClock())
    finally:
        await store.close()


def _show_kept(lines: list[dict[str, Any]], language: Language) -> None:
    heads = [_word(key, language) for key in ("keeps", "size")] + ["<1 d", "<7 d", "<30 d", "<90 d"]
    heads += [_word(key, language) for key in ("older", "owed", "next")]
    click.echo(_row([_word("kind", language), *heads]))
    for line in lines:
        keeps = line["keepsDays"]
        click.echo(
            _row(
                [
                    _word(line["kind"], language),
                    _word("good", language) if keeps is None else f"{keeps:g} d",
                    _size(line["bytes"]),
                    *(str(count) for count in line["ages"]),
                    str(line["owed"]),
                    str(line["due"]),
                ]
            )
        )
    count, size = sum(line["due"] for line in lines), sum(line["dueBytes"] for line in lines)
    click.echo(_word("will", language).format(n=count, size=_size(size)))


def _row(cells: Sequence[str]) -> str:
    return cells[0].ljust(15) + "".join(
        cell.rjust(width) for cell, width in zip(cells[1:], (9, 9, *[6] * 4, 6, 8, 8), strict=True)
    )


def _size(size: int) -> str:
    power, unit = next(((power, unit) for power, unit in ((9, "GB"), (6, "MB")) if size >= 10**power), (3, "kB"))
    return f"{size / 10**power:.1f} {unit}"


def _word(key: str, language: Language) -> str:
    return _SAID[key][0 if language == "nb" else 1]


def _language(ctx: click.Context) -> Language:
    spoken: Language = ctx.obj.language
    return spoken
