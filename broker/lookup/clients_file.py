"""The EPJ systems that may call the API, from one file. It decides whose a token or certificate is, and holds no token.

A token is 256 random bits, so its plain SHA-256 tells nothing: there is no dictionary to try. A certificate is named by
its SHA-256, or by its subject, which stays when it is renewed; whether it holds is decided by TLS.
"""

import hmac
import re
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from broker import telemetry
from broker.errors import Misconfigured
from broker.lookup.files import PRIVATE, replace_file
from broker.lookup.folder import keep_looking
from broker.message import Client
from broker.routing.tables import Table, read_toml
from broker.sealing.certificates import fingerprint

TOKEN_PREFIX = "dhb_"  # noqa: S105 - not a secret: it lets scanners of leaked secrets know ours
_HEX = re.compile(r"[0-9a-f]{64}")
# What OpenSSL prints by name and RFC 4514 does not list.
_NAMES = {
    "organizationIdentifier": NameOID.ORGANIZATION_IDENTIFIER,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
_NAME = re.compile(r"[^\x00-\x1f\x7f\"\\]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    client: Client
    token_sha256: bytes | None
    certificates: frozenset[str] = frozenset()  # SHA-256 in lower-case hex
    subject: x509.Name | None = None


class ClientsFile:
    """The port Clients over one TOML file. A file that is not there yet has no clients."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises Misconfigured."""
        self._path = path
        self._digest, self._entries = _read(path)
        self.problems: tuple[Misconfigured, ...] = ()

    def by_token(self, token: str) -> Client | None:
        """Return the client of a bearer token, or None. The time taken tells nothing about any token."""
        given = sha256(token.encode("utf-8", "surrogateescape")).digest()
        found = None
        for entry in self._entries:  # all of them, whether found or not
            if entry.token_sha256 is not None and hmac.compare_digest(entry.token_sha256, given):
                found = entry.client
        return found

    def by_certificate(self, der: bytes, at: datetime) -> Client | None:
        """Return the client of a certificate that TLS has verified, or None; also None where it is over at `at`."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            subject = certificate.subject
        except ValueError:  # TLS reads more than x509 does; such a certificate is nobody's
            return None
        # A connection may outlive what it began with.
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            return None
        print_ = sha256(der).hexdigest()
        by_print = [entry.client for entry in self._entries if print_ in entry.certificates]
        by_subject = [entry.client for entry in self._entries if entry.subject == subject]
        return next(iter((*by_print, *by_subject)), None)

    def clients(self) -> tuple[Client, ...]:
        """Return all clients."""
        return tuple(entry.client for entry in self._entries)

    def by_name(self, name: str) -> Client | None:
        """Return the client of this name, or None."""
        return next((each.client for each in self._entries if each.client.name == name), None)

    def hers(self, name: str) -> frozenset[int]:
        """Return the HER-ids of the client of this name, none where there is no such client."""
        found = self.by_name(name)
        return found.hers if found is not None else frozenset()

    def look(self) -> bool:
        """Read the file if its bytes have changed. Never raises; a bad file leaves the last good one in use."""
        before = [str(problem) for problem in self.problems]
        try:
            digest, entries = _read(self._path)
        except Misconfigured as problem:
            self.problems = (problem,)
            if [str(problem)] != before:
                telemetry.record_bad(problem.where, why=problem.why)
                return True
            return False
        self.problems = ()
        changed = digest != self._digest or bool(before)
        self._digest, self._entries = digest, entries
        if changed:
            telemetry.records_reloaded("clients", count=len(entries))
        return changed

    async def watch(self, interval: timedelta, changed: Callable[[], None] = lambda: None) -> None:
        """Look every `interval` until cancelled, and call `changed` after each change."""
        await keep_looking(self.look, interval=interval, changed=changed)


def add_client(path: Path, *, name: str, hers: Collection[int]) -> str:
    """Add a client to the file and return its token, which stands nowhere else and can't be shown again.

    Raises Misconfigured for a name that is taken or can't be written, for no HER-id, and where the file can't be read
    or written.
    """
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    _add(path, name=name, hers=hers, by=f'token_sha256 = "{sha256(token.encode()).hexdigest()}"')
    return token


def add_certificate_client(path: Path, *, name: str, hers: Collection[int], certificate: x509.Certificate) -> str:
    """Add a client that shows `certificate` instead of a token, and return its SHA-256. Raises as `add_client` does."""
    found = fingerprint(certificate)
    _, entries = _read(path)
    if any(found in entry.certificates for entry in entries):
        raise Misconfigured("there is a client with that certificate", where=path.name, hint="each has its own")
    _add(path, name=name, hers=hers, by=f'certificate_sha256 = ["{found}"]')
    return found


def _add(path: Path, *, name: str, hers: Collection[int], by: str) -> None:
    if not _NAME.fullmatch(name):
        hint = "up to 100 characters, without quotes, backslashes and control characters"
        raise Misconfigured("the name can't be used", where=path.name, hint=hint)
    if not hers:
        raise Misconfigured("a client is bound to at least one HER-id", where=path.name, hint="--her 8000102")
    _, entries = _read(path)
    if any(entry.client.name == name for entry in entries):
        raise Misconfigured("there is a client of that name", where=path.name, hint="choose another, or remove it")
    lines = ["[[client]]", f'name = "{name}"', by, f"hers = [{', '.join(str(her) for her in sorted(hers))}]"]
    try:
        old = path.read_text("utf-8") if path.exists() else ""
        gap = "\n" if old and not old.endswith("\n\n") else ""
        replace_file(path, (old + gap + "\n".join(lines) + "\n").encode(), mode=PRIVATE)
    except OSError as error:
        raise Misconfigured(f"can't be written ({error.strerror})", where=path.name) from None


def _read(path: Path) -> tuple[bytes, tuple[_Entry, ...]]:
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except FileNotFoundError:
        return b"", ()
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where=path.name) from None
    except UnicodeDecodeError as error:
        raise Misconfigured(f"not UTF-8 at byte {error.start}", where=path.name) from None
    table = read_toml(text, source=path.name)
    entries: dict[str, _Entry] = {}
    taken: set[object] = set()
    for each in table.tables("client"):
        entry = _entry(each)
        for key, value in _marks(entry):
            if (key, value) in taken:
                each.wrong(key, "its own for each client")
            taken.add((key, value))
        entries[entry.client.name] = entry
    table.done()
    return sha256(data).digest(), tuple(entries.values())


def _marks(entry: _Entry) -> Iterator[tuple[str, object]]:
    """Give what no two clients may share."""
    yield "name", entry.client.name
    if entry.token_sha256 is not None:
        yield "token_sha256", entry.token_sha256
    yield from (("certificate_sha256", each) for each in entry.certificates)
    if entry.subject is not None:
        yield "certificate_subject", entry.subject


def _entry(table: Table) -> _Entry:
    name, digest = table.text("name"), table.text("token_sha256", default="")
    certificates, subject = table.texts("certificate_sha256", default=()), table.text("certificate_subject", default="")
    hers = table.wholes("hers", least=1)
    told = {key: table.text(key, default="") for key in ("system", "system_version")}
    for key, said in told.items():
        if said and not _NAME.fullmatch(said):
            table.wrong(key, "up to 100 characters, without quotes, backslashes and control characters")
    if digest and not _HEX.fullmatch(digest):
        table.wrong("token_sha256", "the SHA-256 of the token as 64 hex digits; `broker clients add` writes it")
    if not all(_HEX.fullmatch(each) for each in certificates):
        table.wrong("certificate_sha256", "a list of SHA-256 of certificates (DER), each 64 lower-case hex digits")
    if not (digest or certificates or subject):
        table.wrong("token_sha256", "there, or certificate_sha256 or certificate_subject")
    if not hers:
        table.wrong("hers", "a list of HER-ids, such as [8000102]")
    table.done()
    return _Entry(
        client=Client(
            name=name,
            hers=frozenset(hers),
            system=told["system"] or None,
            system_version=told["system_version"] or None,
        ),
        token_sha256=bytes.fromhex(digest) if digest else None,
        certificates=frozenset(certificates),
        subject=_subject(table, subject) if subject else None,
    )


def _subject(table: Table, text: str) -> x509.Name:
    try:
        return x509.Name.from_rfc4514_string(text, _NAMES)
    except ValueError:
        table.wrong("certificate_subject", 'a name as in RFC 4514, such as "CN=epj.fjordvik.example,O=Fjordvik,C=NO"')
