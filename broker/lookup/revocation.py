"""Whether certificates are revoked, by the word of their issuers' services. It decides whom to ask, when to ask again,
and what it means that nobody answers.

An answer holds until its nextUpdate, though no longer than a setting says. A service that failed is left alone for a
few seconds, so that a partner's resends do not all wait for it; while it fails it is named by `silent`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Protocol
from urllib.parse import urlsplit

from cryptography.x509 import Certificate

from broker.diagnosis.causes import REVOCATION_UNKNOWN
from broker.errors import NotTrusted, RevocationUnknown
from broker.message import Statement
from broker.ports import Clock
from broker.sealing.certificates import fingerprint
from broker.sealing.paths import Anchors
from broker.sealing.revocation import NoAnswer, Place, Source, Standing, ocsp_question, places, standing

REST: Final = timedelta(seconds=10)  # that a service which failed is left alone
_REMEMBERED: Final = timedelta(hours=1)  # that a failure is told of, if nobody has asked since
_KNOWN: Final = 4096  # answers that are kept in memory; a partner has one or two


class Fetch(Protocol):
    """Asks a service over the network."""

    def allowed(self, url: str) -> bool:
        """Say whether the service may be asked."""

    async def __call__(self, url: str, *, question: bytes | None) -> bytes:
        """Return what a GET, or a POST of an OCSP question, is answered with. Raises OSError."""


@dataclass(frozen=True, slots=True)
class _Known:
    standing: Standing
    statement: Statement
    until: datetime


@dataclass(frozen=True, slots=True)
class _List:
    content: bytes
    fetched: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class _Silence:
    since: datetime
    last: datetime


class RevocationServices:
    """The port Revocation over HTTP."""

    def __init__(self, fetch: Fetch, *, clock: Clock, longest: timedelta) -> None:
        """`longest`: for how long an answer is relied on, whatever its nextUpdate says."""
        self._fetch, self._clock, self._longest = fetch, clock, longest
        self._known: dict[str, _Known] = {}  # by SHA-256 of the certificate
        self._lists: dict[str, _List] = {}  # by address
        # By address where it did not answer, by address and certificate where its answer was no use.
        self._silent: dict[tuple[str, str], _Silence] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def silent(self) -> Mapping[str, datetime]:
        """Return the hosts of services that do not answer, or not to be believed, since when."""
        now, found = self._clock.now(), dict[str, datetime]()
        self._silent = {key: each for key, each in self._silent.items() if now - each.last < _REMEMBERED}
        for (url, _), silence in self._silent.items():
            found[_host(url)] = min(silence.since, found.get(_host(url), silence.since))
        return found

    async def require_good(self, path: tuple[Certificate, ...], at: datetime) -> tuple[Statement, ...]:
        """Return what was said of each certificate of a path but its root: none was revoked at `at`.

        Raises NotTrusted where one was, RevocationUnknown (MB-2023) where nobody could say.
        """
        said = []
        for certificate, issuer in reversed(tuple(pairwise(path))):  # the issuer's own standing first
            known = await self._ask(certificate, issuer)
            if known.standing.revoked(at):
                what = "the certificate" if certificate == path[0] else "an intermediate certificate"
                raise NotTrusted(f"{what} is revoked", hint=f"since {known.standing.revoked_at:%F %T} UTC")
            said.append(known.statement)
        return tuple(said)

    async def _ask(self, certificate: Certificate, issuer: Certificate) -> _Known:
        key = fingerprint(certificate) + fingerprint(issuer)
        async with self._asking[key]:  # who comes meanwhile takes the answer of the first
            known = self._known.get(key)
            if known is None or known.until <= self._clock.now():
                known = await self._anew(certificate, issuer)
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[key] = known
            return known

    async def _anew(self, certificate: Certificate, issuer: Certificate) -> _Known:
        named = places(certificate)
        if not named:
            raise NotTrusted("a certificate does not say where its revocation can be asked for")
        allowed = [place for place in named if self._fetch.allowed(place.url)]
        if not allowed:
            hosts = ", ".join(sorted({_host(place.url) for place in named}))
            raise RevocationUnknown(
                "no revocation service of a certificate may be asked",
                error_id=REVOCATION_UNKNOWN,
                hint=f"add to [trust] revocation_hosts, if it is the issuer's: {hosts}",
            )
        faults = []
        for place in allowed:
            now, host = self._clock.now(), _host(place.url)
            down, useless = (place.url, ""), (place.url, fingerprint(certificate))
            known = [each for each in (self._silent.get(down), self._silent.get(useless)) if each is not None]
            if any(now < each.last + REST for each in known):
                faults.append(f"{host}: left alone for a moment after it failed")
                continue
            try:
                content, fetched = await self._response(place, certificate, issuer, now)
                # In a thread: a list may have a hundred thousand entries.
                found = await asyncio.to_thread(standing, place.source, content, certificate, issuer, now)
            except (OSError, NoAnswer) as why:
                self._lists.pop(place.url, None)
                key = down if isinstance(why, OSError) else useless
                since = min((each.since for each in known), default=now)
                self._silent[key] = _Silence(since, self._clock.now())
                faults.append(f"{host}: {why}")
                continue
            self._silent.pop(down, None)
            self._silent.pop(useless, None)
            until = min(found.until or now, fetched + self._longest)
            if place.source is Source.CRL:
                self._lists[place.url] = _List(content, fetched, until)
            said = Statement(
                certificate=fingerprint(certificate), source=place.source, fetched_at=fetched, content=content
            )
            return _Known(found, said, until)
        raise RevocationUnknown(
            f"no revocation service could say whether a certificate is revoked ({'; '.join(faults)})",
            error_id=REVOCATION_UNKNOWN,
            hint="look at the way to the issuer's service: broker check",
        )

    async def _response(
        self, place: Place, certificate: Certificate, issuer: Certificate, now: datetime
    ) -> tuple[bytes, datetime]:
        if place.source is Source.OCSP:
            return await self._fetch(place.url, question=ocsp_question(certificate, issuer)), now
        listed = self._lists.get(place.url)
        if listed is not None and listed.until > now:
            return listed.content, listed.fetched  # one list stands for all certificates of its issuer
        return await self._fetch(place.url, question=None), now


def hosts_of(anchors: Anchors) -> frozenset[str]:
    """Return the hosts of the services that our own roots and intermediates name."""
    return frozenset(
        _host(place.url) for certificate in (*anchors.roots, *anchors.intermediates) for place in places(certificate)
    )


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()
