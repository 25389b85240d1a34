"""`broker ping`: an ebMS Ping to one partner under our agreement with it, and what came, in words."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from broker.cli import exits
from broker.cli.common import CONFIG, JSON_LINES, Said, fail, print_lines

if TYPE_CHECKING:
    from broker.cli.pinging import Answer
    from broker.cli.way import Agreed, Stopped
    from broker.config import Settings
    from broker.message import Text
    from broker.routing.party import Agreement, Directory

_WITHIN: Final = timedelta(seconds=20)


@click.command()
@click.argument("her", type=int)
@click.option("--from", "ours", type=int, help="A HER-id of ours; else the first that has an agreement with HER.")
@CONFIG
@JSON_LINES
@click.pass_obj
def ping(said: Said, her: int, ours: int | None, config: Path, as_json: bool) -> None:
    """Send an ebMS Ping to the partner HER and say what came: name, address, TLS, HTTP, Pong and who it is from.

    It needs no running broker, is not signed, and leaves nothing in the store. Exits with 0 for a Pong, or where it
    comes later as agreed; 1 for anything else; 3 where HER has no record; 6 where there is no agreement or endpoint.

    \b
    Example: broker ping 8000201 --from 8000101
    """
    from broker import telemetry
    from broker.cli.check import address_files
    from broker.config import load

    telemetry.configure("critical")  # what is wrong is said in the answer
    settings = load(config)
    directory = address_files(settings)[0].current()
    agreement, endpoint = _way_to(settings, directory, her, ours)
    told = asyncio.run(_asked(settings, directory, agreement, endpoint))
    if as_json:
        print_lines([told])
    else:
        _show(told, said.language)
    sys.exit(exits.OK if told["ok"] else exits.PROBLEM)


def _way_to(settings: "Settings", directory: "Directory", her: int, ours: int | None) -> "tuple[Agreement, str]":
    from broker.cli.pinging import agreement_for

    if directory.party(her) is None:
        fail(f"HER-id {her} has no address record (run: broker addresses check)", exits.NOT_FOUND)
    if ours is not None and ours not in settings.hosted:
        fail(f"HER-id {ours} is not hosted here (see [[organisation]] in the settings)", exits.USAGE)
    agreement = agreement_for(settings, directory, her, ours)
    if agreement is None:
        with_whom = "any of ours" if ours is None else str(ours)
        hint = "add [[agreement]] to its record, or import a CPA"
        fail(f"HER-id {her} has no agreement with {with_whom} ({hint})", exits.REFUSED)
    endpoint = directory.endpoint(her)
    if endpoint is None:
        fail(f"HER-id {her} has no endpoint (add endpoint to its record)", exits.REFUSED)
    return agreement, endpoint


async def _asked(settings: "Settings", directory: "Directory", agreement: "Agreement", endpoint: str) -> dict[str, Any]:
    from broker.cli.pinging import ping as send
    from broker.cli.way import Stopped, walk
    from broker.daemon import client_tls
    from broker.routing.choose import plain_http_allowed, tls_pins
    from broker.transport.https import https_carrier

    tls = client_tls(settings)
    way = await walk(endpoint, tls.of(directory, endpoint))
    answer = None
    if not isinstance(way, Stopped):
        async with https_carrier(
            tls=lambda url: tls.of(directory, url), allow_plain=lambda url: plain_http_allowed(directory, url)
        ) as carrier:
            answer = await send(carrier, settings, directory, agreement, endpoint, _WITHIN)
    party = directory.party(agreement.theirs)
    return {
        "herId": agreement.theirs,
        "name": party.name if party else None,
        "from": agreement.ours,
        "cpaId": agreement.cpa_id,
        "profile": directory.profile(agreement.theirs).name,
        "endpoint": endpoint,
        "pinned": endpoint in tls_pins(directory),
        "clientCertificate": settings.tls.certificate is not None,
        **_told(way, answer, sync=agreement.sync),
    }


def _told(way: "Stopped | Agreed | None", answer: "Answer | None", *, sync: bool) -> dict[str, Any]:
    from broker.cli.pinging import Heard, in_words
    from broker.cli.way import Agreed, Stopped

    tls = way.as_json() if isinstance(way, Agreed) else None
    if answer is None:
        assert isinstance(way, Stopped)
        return {"tls": None, "answer": "nothing", "ok": False, "text": _both(way.text), "act": _both(way.act)}
    text, act = in_words(answer, sync=sync)
    return {
        "tls": tls,
        "answer": answer.heard,
        "ok": answer.heard is Heard.PONG or (answer.heard is Heard.LATER and not sync),
        "id": answer.id,
        "status": answer.status,
        "milliseconds": round(answer.took * 1000),
        "codes": list(answer.codes),
        "said": answer.said,
        "text": _both(text),
        "act": _both(act) if act else None,
    }


def _both(text: "Text") -> dict[str, str]:
    return {"nb": text.nb, "en": text.en}


_LABELS: Final = {
    "endpoint": ("Endepunkt", "Endpoint"),
    "agreement": ("Avtale", "Agreement"),
    "certificate": ("Sertifikat", "Certificate"),
    "until": ("til", "until"),
    "key": ("Nøkkel", "Key"),
    "pinned": ("festet", "pinned"),
    "not pinned": ("ikke festet", "not pinned"),
    "ours": ("vårt klientsertifikat tilbys", "our client certificate is offered"),
    "plain": ("ukryptert HTTP", "plain HTTP"),
    "says": ("Sier", "Says"),
    "act": ("Gjør", "Do"),
}


def _show(told: dict[str, Any], language: str) -> None:
    def say(word: str) -> str:
        nb, en = _LABELS[word]
        return nb if language == "nb" else en

    def line(label: str, text: str) -> None:
        click.echo(f"{label:<12} {_printable(text)}")

    line(say("endpoint"), told["endpoint"])
    line(say("agreement"), f"{told['cpaId']} ({told['from']} - {told['herId']}), profile {told['profile']}")
    if (tls := told["tls"]) is not None:
        ours = f", {say('ours')}" if told["clientCertificate"] else ""
        line("TLS", f"{tls['version']}, {tls['cipher']}{ours}")
        line(say("certificate"), f"{tls['subject']}, {say('until')} {tls['ends'][:10]}")
        line(say("key"), f"{tls['pin']} ({say('pinned' if told['pinned'] else 'not pinned')})")
    elif told["endpoint"].startswith("http:"):
        line("TLS", say("plain"))
    took = f", {told['milliseconds']} ms" if "milliseconds" in told else ""
    status = f", HTTP {told['status']}" if told.get("status") and "HTTP" not in told["text"][language] else ""
    line(f"{told['herId']}", f"{told['text'][language]}{status}{took}")
    if told.get("said"):
        line(say("says"), told["said"])
    if told.get("act"):
        line(say("act"), told["act"][language])


def _printable(text: str) -> str:
    """Return the text without what could steer a terminal: some of it is the partner's."""
    return "".join(each if each.isprintable() else "?" for each in text)
