"""Our TLS towards partners: whom we believe their servers to be, and the certificate that we show to one that asks.

A server must show a chain to a root of the system, or of `[tls] ca`. Where the partner's record pins keys (`tls_pins`),
the key of its certificate must be one of them too: a pin narrows and never widens. The pin is looked at when the
handshake ends, before a byte of ours is sent.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker import telemetry
from broker.errors import Misconfigured
from broker.lookup.door_tls import load_chain, mark
from broker.routing.choose import tls_pins
from broker.routing.party import Directory

PIN_FAULT: Final = 0x5A1  # our own, beside the verify codes of OpenSSL (X509_V_ERR_*), which end below 200


def pin_of(certificate: bytes) -> str:
    """Return the pin of a certificate (DER): SHA-256 of its SubjectPublicKeyInfo, in lower-case hex."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class ClientTls:
    """The TLS contexts of the partners: one for all that pin nothing, one more for each set of pins."""

    def __init__(
        self,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        ca: Path | None = None,
        passphrases: Sequence[bytes] = (),
    ) -> None:
        """Read the files. Raises Misconfigured."""
        self._certificate, self._key, self._ca, self._passphrases = certificate, key, ca, tuple(passphrases)
        self._contexts: dict[frozenset[str], ssl.SSLContext] = {frozenset(): self._made()}
        self._seen = self._marks()
        self._directory: Directory | None = None
        self._pins: Mapping[str, frozenset[str]] = {}
        self.problems: tuple[Misconfigured, ...] = ()

    def of(self, directory: Directory, endpoint: str) -> ssl.SSLContext:
        """Return the context for an endpoint, by the records that name it."""
        if directory is not self._directory:  # once for each change of the records, not for each POST
            self._directory, self._pins = directory, tls_pins(directory)
        pins = self._pins.get(endpoint, frozenset())
        if pins not in self._contexts:
            self._contexts[pins] = _pinned(self._made(), pins)
        return self._contexts[pins]

    def look(self) -> bool:
        """Take up files that have changed, for connections made from then on, and say whether any has. Never raises."""
        seen = self._marks()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._contexts = {frozenset(): self._made()}
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
            self.look()

    def _made(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._ca is not None:
            try:
                context.load_verify_locations(self._ca)
            except (OSError, ssl.SSLError):
                why, hint = "holds no certificates that can be read", "certificates in PEM form"
                raise Misconfigured(why, where=str(self._ca), hint=hint) from None
        if self._certificate is not None and self._key is not None:
            load_chain(context, self._certificate, self._key, self._passphrases)
        return context

    def _marks(self) -> tuple[object, ...]:
        return tuple(mark(path) for path in (self._certificate, self._key, self._ca) if path is not None)


def _pinned(context: ssl.SSLContext, pins: frozenset[str]) -> ssl.SSLContext:
    """Return the context, which from now on ends a handshake with any other key."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            shown = self.getpeercert(binary_form=True)
            if shown is None or pin_of(shown) not in pins:
                fault = ssl.SSLCertVerificationError(1, "the key is not one of those that the record pins")
                fault.verify_code, fault.verify_message = PIN_FAULT, "another key than the record pins"
                raise fault

    context.sslobject_class = Pinned
    return context
