"""`broker check`: the order in which an installation is looked through, and what is said of its own files.

Nothing is changed but for a probe in the data folder, which is gone again. Each check stands by itself: what one of
them meets never hides what the others have to say. What is wrong comes with what to do.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509 import Certificate

from broker import telemetry
from broker.cli.check import Checked
from broker.config import Settings, load, passphrase
from broker.errors import BrokerError, CannotOpen, Misconfigured
from broker.lookup.clients_file import ClientsFile
from broker.lookup.clock import SystemClock
from broker.lookup.key_files import KeyFiles
from broker.lookup.process_files import ProcessFiles
from broker.lookup.schemas import ThreadSchemas, schema_files
from broker.lookup.site_key import site_key
from broker.message import Text
from broker.routing.findings import SOON
from broker.sealing.certificates import Reason, Use, load_certificates, usable
from broker.sealing.cms import open_, seal
from broker.sealing.keys import KeyPair
from broker.store.schema import DATABASE

_TRIAL: Final = b"trial of a key by broker check"


class Mark(StrEnum):
    """What a finding means: `fault` stops messages, now or soon; `note` is worth knowing."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One finding of one check."""

    check: str  # the stable name of the check, for programs
    mark: Mark
    text: Text
    act: Text | None = None  # what to do

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "check": self.check,
            "mark": self.mark,
            "text": {"nb": self.text.nb, "en": self.text.en},
            "act": {"nb": self.act.nb, "en": self.act.en} if self.act else None,
        }


def ok(check: str, nb: str, en: str) -> Result:
    """Return that all is well."""
    return Result(check=check, mark=Mark.OK, text=Text(nb=nb, en=en))


def note(check: str, text: Text, act: Text | None = None) -> Result:
    """Return what is worth knowing."""
    return Result(check=check, mark=Mark.NOTE, text=text, act=act)


def fault(check: str, text: Text, act: Text | None = None) -> Result:
    """Return what stops messages."""
    return Result(check=check, mark=Mark.FAULT, text=text, act=act)


def told(check: str, error: BrokerError) -> Result:
    """Return the fault that one of our errors names. Its sentence is in English alone, as in the log."""
    return fault(check, Text(nb=error.why, en=error.why), Text(nb=error.hint, en=error.hint) if error.hint else None)


Check = Callable[[Settings, datetime], Iterable[Result]]


def examine(config: Path, *, partners: bool = True) -> list[Result]:
    """Look through an installation. `partners`: over the network too. Without settings there is no more."""
    from broker.cli.doctor_machine import MACHINE
    from broker.cli.doctor_partners import partners_answer
    from broker.cli.doctor_trust import path_trust, revocation_answers

    telemetry.configure("critical")  # what is wrong is said in the answer
    try:
        settings = load(config)
    except Misconfigured as wrong:
        return [told("settings", wrong)]
    now = SystemClock().now()
    found = [ok("settings", f"{config} er gyldig", f"{config} is valid")]
    for name, check in (OWN | MACHINE).items():
        found += _looked(name, partial(check, settings, now))
    found += _looked("trust", lambda: path_trust(settings))
    if partners:
        found += _looked("partners", lambda: asyncio.run(partners_answer(settings)))
        found += _looked("revocation", lambda: asyncio.run(revocation_answers(settings, now)))
    return found


def _looked(name: str, look: Callable[[], Iterable[Result]]) -> list[Result]:
    """Return what a check says; one that fails itself is a finding too."""
    found: list[Result] = []
    try:
        found.extend(look())
    except BrokerError as error:
        found.append(told(name, error))
    except Exception as error:
        kind = type(error).__name__
        found.append(fault(name, Text(nb=f"kunne ikke undersøkes ({kind})", en=f"could not be examined ({kind})")))
    return found


# --- our own files ---


def _site_key(settings: Settings, _now: datetime) -> Iterator[Result]:
    file = settings.site_key_file
    if not file.exists() and not (settings.data / DATABASE).exists():
        yield note(
            "site key",
            Text(nb=f"{file}: finnes ikke ennå", en=f"{file}: is not there yet"),
            Text(nb="den lages ved første start; ta vare på den", en="the first start makes it; keep a copy elsewhere"),
        )
        return
    if not file.exists():
        yield fault(
            "site key",
            Text(
                nb=f"{file}: mangler, og det som er lagret kan bare leses med den",
                en=f"{file}: is missing, and what is kept can only be read with it",
            ),
            Text(nb="legg filen tilbake", en="put the file back"),
        )
        return
    site_key(settings.data, file)
    yield from _for_service(settings, "site key", [file], handed=True)
    yield ok("site key", f"{file} er på plass", f"{file} is in place")


def _keys(settings: Settings, now: datetime) -> Iterator[Result]:
    keys = KeyFiles(settings.keys, settings.hosted, passphrase=passphrase(settings))
    for problem in keys.problems:
        yield told("keys", problem)
    private = [path for path in settings.keys.glob("*/*") if path.suffix != ".crt" and path.is_file()]
    yield from _for_service(settings, "keys", private)
    if settings.keys_passphrase is not None:
        yield from _for_service(settings, "keys", [settings.keys_passphrase], handed=True)
    for organisation in settings.organisation:
        her = organisation.hers[0]
        try:
            pair = keys.signing(her, now)
        except BrokerError as error:
            yield told("keys", error)
        else:
            yield _signs(pair, organisation.number)
            yield from _certificate("certificates", pair.certificate, Use.SIGN, organisation.number, settings, now)
        opening = keys.opening(her)
        if not opening:
            yield fault(
                "keys",
                Text(
                    nb=f"virksomhet {organisation.number} har ingen krypteringsnøkkel som kan leses",
                    en=f"organisation {organisation.number} has no encryption key that can be read",
                ),
                Text(nb="kjør: broker keys new", en="run: broker keys new"),
            )
            continue
        for pair in opening:
            yield _opens(pair, organisation.number)
        yield from _certificate("certificates", opening[0].certificate, Use.ENCRYPT, organisation.number, settings, now)


def _signs(pair: KeyPair, number: str) -> Result:
    how = padding.PKCS1v15(), hashes.SHA256()
    public = pair.private_key.public_key()
    try:
        public.verify(pair.private_key.sign(_TRIAL, *how), _TRIAL, *how)
    except (InvalidSignature, ValueError):
        return fault(
            "keys",
            Text(nb=f"prøvesignatur feilet for {number}", en=f"the trial signature of {number} failed"),
            Text(nb="skaff en ny nøkkel", en="get another key"),
        )
    return ok("keys", f"prøvesignatur for {number} holder", f"the trial signature of {number} holds")


def _opens(pair: KeyPair, number: str) -> Result:
    try:
        opened = open_(seal(_TRIAL, pair.certificate, random=os.urandom), [pair], random=os.urandom).content
    except CannotOpen:
        opened = b""
    if opened != _TRIAL:
        return fault(
            "keys",
            Text(nb=f"prøvedekryptering feilet for {number}", en=f"the trial decryption of {number} failed"),
            Text(nb="skaff en ny nøkkel", en="get another key"),
        )
    return ok("keys", f"prøvedekryptering for {number} holder", f"the trial decryption of {number} holds")


_REASONS: Final = {
    Reason.NOT_YET_VALID: Text(nb="er ikke gyldig ennå", en="is not valid yet"),
    Reason.EXPIRED: Text(nb="er utløpt", en="has expired"),
    Reason.WRONG_USAGE: Text(nb="er til annen bruk", en="is for another use"),
    Reason.WEAK_KEY: Text(nb="har for kort nøkkel", en="has too short a key"),
    Reason.NOT_RSA: Text(nb="har ingen RSA-nøkkel", en="has no RSA key"),
}
_USES: Final = {Use.SIGN: Text(nb="signering", en="signing"), Use.ENCRYPT: Text(nb="kryptering", en="encryption")}
_RENEW: Final = Text(nb="bestill nytt sertifikat nå", en="order a new certificate now")


def _certificate(
    check: str, certificate: Certificate, use: Use, number: str, settings: Settings, now: datetime
) -> Iterator[Result]:
    verdict, of = usable(certificate, use, now), _USES[use]
    nb, en = f"sertifikatet for {of.nb} til {number}", f"the {of.en} certificate of {number}"
    if verdict.reason is not None:
        why = _REASONS[verdict.reason]
        yield fault(check, Text(nb=f"{nb} {why.nb}", en=f"{en} {why.en}"), _RENEW)
    elif verdict.days_left < SOON:
        left = verdict.days_left
        yield note(check, Text(nb=f"{nb} går ut om {left} dager", en=f"{en} ends in {left} days"), _RENEW)
    else:
        yield ok(check, f"{nb} har {verdict.days_left} dager igjen", f"{en} has {verdict.days_left} days left")
    if settings.environment == "production" and certificate.issuer == certificate.subject:
        yield note(
            check,
            Text(nb=f"{nb} er signert av seg selv", en=f"{en} is self-signed"),
            Text(nb="bruk et virksomhetssertifikat", en="use an organisation certificate of a public issuer"),
        )


def _chains(settings: Settings, _now: datetime) -> Iterator[Result]:
    """Where a certificate's file brings its chain, each must have issued the one before it."""
    for path in sorted(settings.keys.glob("*/*.crt")):
        try:
            chain = load_certificates(path.read_bytes())
        except (OSError, ValueError):
            continue  # the check of the keys has named it
        for below, above in pairwise(chain):
            try:
                below.verify_directly_issued_by(above)
            except (InvalidSignature, ValueError, TypeError):
                yield fault(
                    "certificates",
                    Text(
                        nb=f"{path.parent.name}/{path.name}: kjeden henger ikke sammen",
                        en=f"{path.parent.name}/{path.name}: the chain does not hold together",
                    ),
                    Text(nb="legg utstederne etter hverandre", en="put each issuer after what it issued"),
                )
                break


def _for_service(settings: Settings, check: str, files: Iterable[Path], *, handed: bool = False) -> Iterator[Result]:
    """Name what the owner of the data folder, who is the broker's user, may not read.

    `handed`: systemd reads it as root, and hands it to the broker as a credential.
    """
    try:
        service = settings.data.stat()
    except OSError:
        return
    for path in files:
        if service.st_uid == 0 or (_may(path, service, 4) and _may(path.parent, service, 1)):
            continue
        text = Text(nb=f"{path}: brokerens bruker kan ikke lese den", en=f"{path}: the broker's user can't read it")
        if handed:
            act = Text(nb="la enheten gi den: LoadCredential=", en="let the unit hand it over: LoadCredential=")
            yield note(check, text, act)
        else:
            command = f"chgrp {service.st_gid} {path} {path.parent}; chmod g+rX {path} {path.parent}"
            yield fault(check, text, Text(nb=command, en=command))


def _may(path: Path, service: os.stat_result, bit: int) -> bool:
    """Say whether the service's user may read (4) the file, or enter (1) the folder."""
    seen = path.stat()
    if seen.st_uid == service.st_uid:
        return bool(seen.st_mode & bit << 6)
    if seen.st_gid == service.st_gid:
        return bool(seen.st_mode & bit << 3)
    return bool(seen.st_mode & bit)


def _processes(settings: Settings, _now: datetime) -> Iterator[Result]:
    count = len(ProcessFiles(settings.processes).current().by_name)
    yield ok("processes", f"{count} prosesser", f"{count} processes")


def _schemas(settings: Settings, _now: datetime) -> Iterator[Result]:
    files = schema_files(settings.schemas)
    ThreadSchemas(files)
    yield ok("schemas", f"{len(files)} skjemafiler", f"{len(files)} schema files")


def _addresses(settings: Settings, _now: datetime) -> Iterator[Result]:
    checked = Checked.of_settings(settings)
    for problem in checked.problems:
        yield told("addresses", problem)
    for finding in checked.findings:
        text = Text(nb=f"{finding.her_id} {finding.text.nb}", en=f"{finding.her_id} {finding.text.en}")
        yield fault("addresses", text) if finding.problem else note("addresses", text)
    if not checked.bad:
        count = len(checked.directory.parties)
        yield ok("addresses", f"{count} adresseoppføringer", f"{count} address records")


def _clients(settings: Settings, _now: datetime) -> Iterator[Result]:
    clients = ClientsFile(settings.clients).clients()
    for client in clients:
        for her in sorted(client.hers - settings.hosted.keys()):
            yield fault(
                "clients",
                Text(
                    nb=f"{client.name} taler for {her}, som ikke driftes her",
                    en=f"{client.name} speaks for {her}, which is not hosted here",
                ),
                Text(nb=f"rett {settings.clients}", en=f"mend {settings.clients}"),
            )
    if not clients:
        yield note(
            "clients",
            Text(nb="ingen fagsystemer kan bruke grensesnittet", en="no EPJ system may call the API"),
            Text(nb="kjør: broker clients add", en="run: broker clients add"),
        )
    else:
        yield ok("clients", f"{len(clients)} fagsystemer", f"{len(clients)} EPJ systems")


OWN: Final[dict[str, Check]] = {
    "site key": _site_key,
    "keys": _keys,
    "certificates": _chains,
    "processes": _processes,
    "schemas": _schemas,
    "addresses": _addresses,
    "clients": _clients,
}
