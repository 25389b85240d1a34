"""What `broker check` says of partners: where the way to each endpoint ends: name, address, TLS, ebMS Ping."""

import asyncio
import socket
import ssl
from collections import defaultdict
from typing import Final
from urllib.parse import urlsplit

from broker.cli.doctor import Result, fault, ok
from broker.cli.doctor_ping import answers_ping
from broker.config import Settings
from broker.lookup.address_files import AddressFiles
from broker.message import Text
from broker.ports import Carrier
from broker.routing.choose import plain_http_allowed
from broker.telemetry import origin
from broker.transport.https import https_carrier

_STEP: Final = 5.0  # seconds for each of name, address and TLS
_AT_ONCE: Final = 32
_PINGED: Final = 3  # HER-ids behind one endpoint that are tried


async def partners_answer(settings: Settings) -> list[Result]:
    """Ask every endpoint of an active partner once, all of them side by side, and say where each stops."""
    directory = AddressFiles(settings.addresses).current()
    whose: dict[str, list[int]] = defaultdict(list)
    for her, party in sorted(directory.parties.items()):
        endpoint = directory.endpoint(her)
        if party.active and her not in settings.hosted and endpoint is not None:
            whose[origin(endpoint)].append(her)
    few, tls = asyncio.Semaphore(_AT_ONCE), ssl.create_default_context()

    async def one(carrier: Carrier, endpoint: str, hers: list[int]) -> Result:
        async with few:
            who = f"{endpoint} ({', '.join(map(str, hers[:3])) + (', ...' if len(hers) > 3 else '')})"
            if found := await _lacks(endpoint, who, tls):
                return found
            # Agreements stand with those that send, not with the organisation above them.
            for her in hers[:_PINGED]:
                if await answers_ping(carrier, settings, directory, her):
                    return ok(
                        "partners", f"{who} svarer, også på ebMS Ping", f"{who} answers, and answers an ebMS Ping"
                    )
            return ok("partners", f"{who} svarer, men ikke på ebMS Ping", f"{who} answers, but not an ebMS Ping")

    async with (
        https_carrier(tls=tls, allow_plain=lambda url: plain_http_allowed(directory, url)) as carrier,
        asyncio.TaskGroup() as tasks,
    ):
        asked = [tasks.create_task(one(carrier, endpoint, hers), name=endpoint) for endpoint, hers in whose.items()]
    return [task.result() for task in asked]


async def _lacks(endpoint: str, who: str, tls: ssl.SSLContext) -> Result | None:
    """Return where the way to an endpoint ends, or None where it does not."""
    parts = urlsplit(endpoint)
    host, port = parts.hostname or "", parts.port or 443
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_STEP):
            await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return fault(
            "partners",
            Text(nb=f"{who}: navnet finnes ikke i DNS", en=f"{who}: the name is not found in DNS"),
            Text(
                nb="rett endepunktet, eller se på maskinens DNS", en="mend the endpoint, or look at this machine's DNS"
            ),
        )
    try:
        async with asyncio.timeout(_STEP):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return fault(
            "partners",
            Text(nb=f"{who}: ingen svarer på porten", en=f"{who}: nobody answers at the port"),
            Text(nb="se på brannmuren, og spør motparten", en="look at the firewall, and ask the partner"),
        )
    writer.close()
    if parts.scheme == "https":
        try:
            async with asyncio.timeout(_STEP):
                _, writer = await asyncio.open_connection(host, port, ssl=tls)
            writer.close()
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message
            return fault(
                "partners",
                Text(
                    nb=f"{who}: TLS-sertifikatet holder ikke ({why})",
                    en=f"{who}: the TLS certificate does not hold ({why})",
                ),
                Text(nb="be motparten fornye det", en="ask the partner to renew it"),
            )
        except (OSError, TimeoutError):
            return fault(
                "partners",
                Text(nb=f"{who}: TLS kommer ikke i stand", en=f"{who}: TLS could not be agreed"),
                Text(nb="motparten må tilby TLS 1.2 eller nyere", en="the partner must offer TLS 1.2 or newer"),
            )
    return None
