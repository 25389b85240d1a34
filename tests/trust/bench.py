"""Judges a scene with the broker's own code; only the network is ours. And the faults that can be planted."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from unittest import mock

from cryptography.x509 import Certificate, ocsp
from cryptography.x509.oid import NameOID

from broker.errors import NotTrusted, RevocationUnknown
from broker.lookup.revocation import RevocationServices
from broker.routing import choose
from broker.routing.party import Directory, Party, PartyKind, Trust
from broker.routing.trust import require_organisation
from broker.sealing.certificates import organisation_number
from broker.sealing.paths import Anchors
from broker.sealing.revocation import Standing
from tests.trust.cases import POSTPONED, REFUSED, TRUSTED, Scene
from tests.trust.pki import CRL, OCSP, Held, ocsp_answer

HER = 8000301
SABOTAGES = ("ignore-revocation", "trust-by-name", "clock-of-the-message")


@dataclass
class Clock:
    time: datetime

    def now(self) -> datetime:
        return self.time


class Services:
    """What the issuers' services answer in a scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.asked: list[str] = []

    def allowed(self, url: str) -> bool:
        return url in (OCSP, CRL)

    async def __call__(self, url: str, *, question: bytes | None) -> bytes:
        self.asked.append(url)
        if question is None:
            answer = self._scene.lists.get(url, OSError("no such list"))
        else:
            about = self._about(ocsp.load_der_ocsp_request(question).serial_number)
            answer = self._scene.ocsp.get(about) or ocsp_answer(about, self._issuer(about), begins=self._scene.asked)
        if isinstance(answer, OSError):
            raise answer
        return answer

    def _about(self, serial: int) -> Held:
        known = (self._scene.leaf, *self._scene.brought, *self._scene.configured)
        return next(one for one in known if one.certificate.serial_number == serial)

    def _issuer(self, about: Held) -> Held:
        known = (*self._scene.brought, *self._scene.configured, *self._scene.roots)
        return next(one for one in known if one.subject == about.certificate.issuer)


def judge(scene: Scene, *, at: datetime | None = None) -> tuple[str, str]:
    """Return the verdict on a scene, and the sentence that goes with it. `at`: when we received it."""
    at = at or scene.received
    party = Party(
        her_id=HER,
        name="Vaadal",
        kind=PartyKind.EPJ,
        organisation_number=scene.number,
        signing=tuple(held.certificate for held in scene.pinned),
        trust=scene.trust,
    )
    anchors = Anchors(
        roots=tuple(held.certificate for held in scene.roots),
        intermediates=tuple(held.certificate for held in scene.configured),
    )
    directory = Directory(parties={HER: party}, anchors=anchors)
    services = RevocationServices(Services(scene), clock=Clock(scene.asked), longest=timedelta(days=1))
    leaf = scene.leaf.certificate
    try:
        if directory.trust(HER) is Trust.PINNED:
            if leaf not in choose.signers(directory, HER, at):
                return REFUSED, "not one of the record's"
            require_organisation(directory, leaf, HER)
            return TRUSTED, ""
        brought = tuple(held.certificate for held in scene.brought)
        path = choose.path(directory, HER, leaf, scene.use, at, brought=brought)
        asyncio.run(services.require_good(path, at))
    except NotTrusted as why:
        return REFUSED, why.why
    except RevocationUnknown as why:
        return POSTPONED, why.why
    return TRUSTED, ""


def _number_by_name(certificate: Certificate) -> str | None:
    (named, *_) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    known = "".join(str(named.value).casefold().split()) in ("vaadalkommune", "v\u0430adalkommune")
    return "314159265" if known else organisation_number(certificate)


@contextmanager
def planted(sabotage: str) -> Iterator[None]:
    """Plant a fault in the broker."""
    if sabotage == "ignore-revocation":
        with mock.patch.object(Standing, "revoked", return_value=False):
            yield
    elif sabotage == "trust-by-name":
        with mock.patch.object(choose, "organisation_number", _number_by_name):
            yield
    elif sabotage in ("", "clock-of-the-message"):  # the latter is planted where a case is run
        yield
    else:
        raise SystemExit(f"no such sabotage; there are: {', '.join(SABOTAGES)}")
