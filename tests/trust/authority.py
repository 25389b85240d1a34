"""A certification authority that answers on loopback, as the real ones do over the network: OCSP and CRL over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

from aiohttp import web
from cryptography.x509 import ocsp

from broker.lookup.revocation import RevocationServices
from broker.ports import Clock as Now
from broker.routing.party import Directory, Trust
from broker.sealing.keys import KeyPair
from broker.sealing.paths import Anchors
from broker.transport.fetch import http_fetch
from broker.web.listen import listening
from tests.scenario.pair import ORGANISATION, Keys, Revocation, Side
from tests.trust import pki
from tests.trust.pki import DAY, ENCRYPT, HOUR, SIGN, Held


@dataclass
class Authority:
    """Issues certificates, and answers for them while it is `up`."""

    clock: Now
    port: int = 0
    up: bool = True
    revoked: dict[Held, datetime] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # of what kind, in order
    issued: list[Held] = field(default_factory=list)
    only: str = "both"  # which service a new certificate names: "ocsp", "crl" or both
    root: Held = field(init=False)
    issuer: Held = field(init=False)

    def begin(self, port: int) -> None:
        self.port = port
        self.root = pki.root(**self._valid())
        self.issuer = pki.intermediate(self.root, **self._valid(), **self._services())
        self.issued.append(self.issuer)

    def _valid(self) -> dict[str, Any]:
        return {"begins": self.clock.now() - 100 * DAY, "ends": self.clock.now() + 400 * DAY}

    def _services(self) -> dict[str, Any]:
        base = f"http://127.0.0.1:{self.port}"
        return {
            "ocsp_at": f"{base}/ocsp" if self.only != "crl" else None,
            "crl_at": f"{base}/crl" if self.only != "ocsp" else None,
        }

    @property
    def anchors(self) -> Anchors:
        return Anchors(roots=(self.root.certificate,), intermediates=(self.issuer.certificate,))

    def issue(self, *, encrypts: bool = False, number: str = ORGANISATION, **faults: Any) -> Held:
        given = self._valid() | {"usage": ENCRYPT if encrypts else SIGN} | self._services() | faults
        use = "kryptering" if encrypts else "signering"
        made = pki.leaf(self.issuer, pki.name(f"Fjordvik {use}", number=number), **given)
        self.issued.append(made)
        return made

    def _issuer_of(self, held: Held) -> Held:
        return self.root if held is self.issuer else self.issuer

    async def answer(self, request: web.Request) -> web.Response:
        kind = request.path.strip("/")
        self.asked.append(kind)
        if not self.up:
            return web.Response(status=503)
        now = self.clock.now()
        if kind == "crl":
            listed = {held: at for held, at in self.revoked.items() if at <= now}
            return web.Response(body=pki.crl(self.issuer, listed, begins=now - HOUR, ends=now + DAY))
        serial = ocsp.load_der_ocsp_request(await request.read()).serial_number
        about = next(held for held in self.issued if held.certificate.serial_number == serial)
        at = self.revoked.get(about)
        answer = pki.ocsp_answer(
            about, self._issuer_of(about), revoked_at=at if at and at <= now else None, begins=now, ends=now + HOUR
        )
        return web.Response(body=answer, content_type="application/ocsp-response")


@asynccontextmanager
async def authority(clock: Now, *, only: str = "both") -> AsyncIterator[tuple[Authority, RevocationServices]]:
    """Give an authority on a port of its own, and what asks it."""
    made, app = Authority(clock=clock, only=only), web.Application()
    app.router.add_route("*", "/{kind:ocsp|crl}", made.answer)
    networks = (ip_network("127.0.0.0/8"),)
    async with (
        listening(app, host="127.0.0.1", port=0, tls=None, grace=1) as port,
        http_fetch(hosts=("127.0.0.1",), networks=networks, timeout=timedelta(seconds=5)) as fetch,
    ):
        made.begin(port)
        yield made, RevocationServices(fetch, clock=clock, longest=timedelta(days=1))


def pair_of(held: Held) -> KeyPair:
    return KeyPair(private_key=held.key, certificate=held.certificate)


def trusts_by_path(side: Side, her: int, made: Authority, revocation: RevocationServices, **record: Any) -> None:
    """Let a side trust the organisation of `her` by path, with these changes to its record."""
    directory = side.addresses.directory
    organisation = her // 100 * 100
    party = replace(directory.parties[organisation], trust=Trust.PATH, signing=(), **record)
    side.addresses.directory = Directory(
        parties={**directory.parties, organisation: party}, complete=directory.complete, anchors=made.anchors
    )
    assert isinstance(side.doors.revocation, Revocation)
    side.doors.revocation.services = revocation


def keys_of(side: Side) -> Keys:
    """Return a side's keys, to be changed in place."""
    assert isinstance(side.doors.keys, Keys)
    return side.doors.keys
