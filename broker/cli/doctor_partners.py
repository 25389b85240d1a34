"""What `broker check` says of partners: where the way to each endpoint ends: name, address, TLS, ebMS Ping."""

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import Final

from broker.cli.check import address_files
from broker.cli.doctor import Result, fault, note, ok
from broker.cli.pinging import Heard, agreement_for, ping
from broker.cli.way import Agreed, Stopped, walk
from broker.config import Settings
from broker.daemon import client_tls
from broker.message import Text
from broker.ports import Carrier
from broker.routing.choose import plain_http_allowed, tls_pins
from broker.routing.party import Directory
from broker.routing.records import is_loopback
from broker.telemetry import origin
from broker.transport.https import https_carrier

_AT_ONCE: Final = 32
_PINGED: Final = 3  # HER-ids behind one endpoint that are tried
_WITHIN: Final = timedelta(seconds=5)


async def partners_answer(settings: Settings) -> list[Result]:
    """Ask every endpoint of an active partner once, all of them side by side, and say where each stops."""
    directory, tls = address_files(settings)[0].current(), client_tls(settings)
    whose: dict[str, list[int]] = defaultdict(list)
    for her, party in sorted(directory.parties.items()):
        endpoint = directory.endpoint(her)
        if party.active and her not in settings.hosted and endpoint is not None:
            whose[endpoint].append(her)
    few, pins = asyncio.Semaphore(_AT_ONCE), tls_pins(directory)
    shows = settings.tls.certificate is not None

    async def one(carrier: Carrier, endpoint: str, hers: list[int]) -> list[Result]:
        async with few:
            who = f"{origin(endpoint)} ({', '.join(map(str, hers[:3])) + (', ...' if len(hers) > 3 else '')})"
            way = await walk(endpoint, tls.of(directory, endpoint))
            if isinstance(way, Stopped):
                text = Text(nb=f"{who}: {way.text.nb}", en=f"{who}: {way.text.en}")
                return [fault("partners", text, way.act)]
            line = _line(way, pinned=endpoint in pins, shows=shows)
            found = [_plain(who, endpoint)] if way is None and not is_loopback(endpoint) else []
            heard = await _heard(carrier, settings, directory, endpoint, hers)
            return [ok("partners", f"{who} {heard.nb}; {line.nb}", f"{who} {heard.en}; {line.en}"), *found]

    async with (
        https_carrier(
            tls=lambda url: tls.of(directory, url), allow_plain=lambda url: plain_http_allowed(directory, url)
        ) as carrier,
        asyncio.TaskGroup() as tasks,
    ):
        asked = [tasks.create_task(one(carrier, endpoint, hers), name="partner") for endpoint, hers in whose.items()]
    return [result for task in asked for result in task.result()]


async def _heard(carrier: Carrier, settings: Settings, directory: Directory, endpoint: str, hers: list[int]) -> Text:
    """Return what the first HER-ids behind an endpoint make of a Ping: the best of it."""
    taken = False
    # Agreements stand with those that send, not with the organisation above them.
    for her in hers[:_PINGED]:
        agreement = agreement_for(settings, directory, her)
        if agreement is None:
            continue
        answer = await ping(carrier, settings, directory, agreement, endpoint, _WITHIN)
        if answer.heard is Heard.PONG:
            return Text(nb="svarer, også på ebMS Ping", en="answers, and answers an ebMS Ping")
        taken |= answer.heard is Heard.LATER and not agreement.sync
    if taken:
        nb, en = (
            "svarer, og tar imot ebMS Ping (Pong kommer for seg selv)",
            "takes an ebMS Ping (its Pong comes by itself)",
        )
        return Text(nb=nb, en=f"answers, and {en}")
    return Text(nb="svarer, men ikke på ebMS Ping", en="answers, but not an ebMS Ping")


def _line(way: Agreed | None, *, pinned: bool, shows: bool) -> Text:
    """Return what is between us: TLS or none, whether its key is pinned, whether we would show a certificate."""
    if way is None:
        return Text(nb="ukryptert HTTP", en="plain HTTP")
    nb, en = [way.version], [way.version]
    if pinned:
        nb, en = [*nb, "festet nøkkel"], [*en, "pinned key"]
    if shows:
        nb, en = [*nb, "vårt klientsertifikat tilbys"], [*en, "our client certificate is offered"]
    return Text(nb=", ".join(nb), en=", ".join(en))


def _plain(who: str, endpoint: str) -> Result:
    return note(
        "partners",
        Text(nb=f"{who}: ukryptert HTTP ut av denne maskinen", en=f"{who}: plain HTTP beyond this machine"),
        Text(
            nb="oppføringen tillater det (plain-http): bare der en kryptert tunnel ligger under",
            en="its record allows it (plain-http): right only where an encrypted tunnel lies below",
        ),
    )
