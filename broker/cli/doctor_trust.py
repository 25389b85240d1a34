"""What `broker check` says of revocation: whether the services answer for every certificate that we seal to by path."""

import asyncio
from collections import defaultdict
from datetime import datetime
from ipaddress import ip_network
from typing import Final

from cryptography.x509 import Certificate

from broker.cli.check import address_files
from broker.cli.doctor import Result, fault, note, ok
from broker.config import Settings
from broker.errors import NotTrusted, PartnerUnusable, RevocationUnknown, Unaddressable
from broker.lookup.anchors import read_anchors
from broker.lookup.clock import SystemClock
from broker.lookup.revocation import RevocationServices, hosts_of
from broker.message import Text
from broker.routing import choose
from broker.routing.party import Trust
from broker.sealing.certificates import Use
from broker.transport.fetch import http_fetch

_AT_ONCE: Final = 8


async def revocation_answers(settings: Settings, now: datetime) -> list[Result]:
    """Ask for every path that we would seal to now, once. Faults of the path itself are told with the records."""
    anchors = read_anchors(settings.trust.roots, settings.trust.intermediates)
    directory = address_files(settings)[0].current()
    whose: dict[tuple[Certificate, ...], list[int]] = defaultdict(list)
    for her, party in sorted(directory.parties.items()):
        if party.active and her not in settings.hosted and directory.trust(her) is Trust.PATH:
            try:
                certificate = choose.recipient(directory, her, now)
                whose[choose.path(directory, her, certificate, Use.ENCRYPT, now)].append(her)
            except (NotTrusted, PartnerUnusable, Unaddressable):
                continue
    few = asyncio.Semaphore(_AT_ONCE)
    async with http_fetch(
        hosts=settings.trust.revocation_hosts or hosts_of(anchors),
        networks=tuple(ip_network(each) for each in settings.trust.networks),
        timeout=settings.trust.timeout,
    ) as fetch:
        services = RevocationServices(fetch, clock=SystemClock(), longest=settings.trust.longest)

        async def one(path: tuple[Certificate, ...], hers: list[int]) -> Result:
            who = ", ".join(map(str, hers[:3])) + (", ..." if len(hers) > 3 else "")
            async with few:
                try:
                    await services.require_good(path, now)
                except (NotTrusted, RevocationUnknown) as why:
                    text = Text(nb=f"HER-id {who}: {why.why}", en=f"HER-id {who}: {why.why}")
                    act = Text(nb=why.hint, en=why.hint) if why.hint else None
                    return fault("revocation", text, act)
            return ok("revocation", f"HER-id {who}: ikke trukket tilbake", f"HER-id {who}: not revoked")

        return list(await asyncio.gather(*(one(path, hers) for path, hers in whose.items())))


def path_trust(settings: Settings) -> list[Result]:
    """Say which roots are trusted, where any are, and what they allow to be asked."""
    anchors = read_anchors(settings.trust.roots, settings.trust.intermediates)
    if not anchors.roots:
        return []
    hosts = sorted(settings.trust.revocation_hosts or hosts_of(anchors))
    names = ", ".join(sorted(one.subject.rfc4514_string() for one in anchors.roots))
    told = Text(
        nb=f"{len(anchors.roots)} røtter ({names}); tilbaketrekking spørres hos {', '.join(hosts) or 'ingen'}",
        en=f"{len(anchors.roots)} roots ({names}); revocation is asked of {', '.join(hosts) or 'nobody'}",
    )
    if hosts:
        return [ok("trust", told.nb, told.en)]
    act = Text(
        nb="nevn utstedernes maskiner i trust.revocation_hosts", en="name the issuers' hosts in trust.revocation_hosts"
    )
    return [note("trust", told, act)]
