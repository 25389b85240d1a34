"""The TLS of a door, from files: its own certificate, and whose client certificates are looked at.

A renewed certificate is taken up while running, for connections made from then on. One that can't be used leaves the
last good one in place, and is named.
"""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from broker import telemetry
from broker.errors import Misconfigured
from broker.lookup.files import others_may_read


class TlsFiles(ABC):
    """Files that TLS is made of."""

    def __init__(self, *paths: Path | None) -> None:
        self._paths = tuple(path for path in paths if path is not None)
        self._seen = self._marks()
        self.problems: tuple[Misconfigured, ...] = ()

    def look(self) -> bool:
        """Take up files that have changed, for connections made from then on, and say whether any has. Never raises."""
        seen = self._marks()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._take_up()
        except Misconfigured as problem:  # the last good ones stay
            self.problems = (problem,)
            telemetry.record_bad(problem.where, why=problem.why)
        else:
            self.problems = ()
            telemetry.records_reloaded("tls", count=1)
        return True

    async def watch(self, interval: timedelta) -> None:
        """Look every `interval` until cancelled."""
        while True:
            await asyncio.sleep(interval.total_seconds())
            self.look()  # on the loop: OpenSSL lets no other thread change a context that connections are made from

    @abstractmethod
    def _take_up(self) -> None:
        """Make it anew of the files. Raises Misconfigured, and changes nothing then."""

    def _marks(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_mark(path) for path in self._paths)


class DoorTls(TlsFiles):
    """The TLS context of a door, and its files."""

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        client_ca: Path | None = None,
        demanded: bool = False,
        passphrases: Sequence[bytes] = (),
    ) -> None:
        """Read the files, as `server_tls` does. Raises Misconfigured."""
        self._certificate, self._key, self._passphrases = certificate, key, tuple(passphrases)
        self.context = server_tls(certificate, key, client_ca=client_ca, demanded=demanded, passphrases=passphrases)
        super().__init__(certificate, key)

    def _take_up(self) -> None:
        # Tried apart first: a context that a bad pair was loaded into could serve nobody.
        server_tls(self._certificate, self._key, passphrases=self._passphrases)
        load_chain(self.context, self._certificate, self._key, self._passphrases)


def server_tls(
    certificate: Path,
    key: Path,
    *,
    client_ca: Path | None = None,
    demanded: bool = False,
    passphrases: Sequence[bytes] = (),
) -> ssl.SSLContext:
    """Return the server's TLS context (1.2 or newer). Raises Misconfigured.

    With `client_ca` (PEM: issuers, or the clients' own certificates) a client may show a certificate; one that does
    not hold ends the handshake, and one without goes on to the API, which wants a token then. `demanded`: one without
    gets no further either.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_chain(context, certificate, key, passphrases)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED if demanded else ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a client's own certificate may stand there by itself
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ssl.SSLError):
            hint = "certificates in PEM form: the issuers', or the clients' own"
            raise Misconfigured("holds no certificates that can be read", where=str(client_ca), hint=hint) from None
    return context


def load_chain(context: ssl.SSLContext, certificate: Path, key: Path, passphrases: Sequence[bytes]) -> None:
    """Let the context show this certificate. Raises Misconfigured."""
    try:
        if others_may_read(key):
            raise Misconfigured("every user of the machine may read it", where=str(key), hint=f"chmod 600 {key}")
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where=str(key)) from None
    # Without a passphrase OpenSSL would ask the terminal for one, and wait.
    if not any(_loads(context, certificate, key, passphrase) for passphrase in (*passphrases, b"")):
        why = "certificate and key can't be read, or do not belong together"
        raise Misconfigured(why, where=str(certificate), hint="PEM; a passphrase as for keys_passphrase")


def _loads(context: ssl.SSLContext, certificate: Path, key: Path, passphrase: bytes) -> bool:
    try:
        context.load_cert_chain(certificate, key, password=lambda: passphrase)
    except (OSError, ssl.SSLError):
        return False
    return True


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Return what changes with the file; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
