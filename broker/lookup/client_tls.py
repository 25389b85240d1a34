"""Our TLS towards partners: whom we believe their servers to be, and the certificate that we show to one that asks.

A server must show a chain to a root of the system, or of `[tls] ca`. Where the partner's record pins keys (`tls_pins`),
the key of its certificate must be one of them too: a pin narrows and never widens. The pin is looked at when the
handshake ends, before a byte of ours is sent.
"""

import ssl
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.errors import Misconfigured
from broker.lookup.door_tls import TlsFiles, load_chain
from broker.routing.choose import tls_pins
from broker.routing.party import Directory

PIN_FAULT: Final = 0x5A1  # our own, beside the verify codes of OpenSSL (X509_V_ERR_*), which end below 200


def pin_of(certificate: bytes) -> str:
    """Return the pin of a certificate (DER): SHA-256 of its SubjectPublicKeyInfo, in lower-case hex."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class ClientTls(TlsFiles):
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
        self._directory: Directory | None = None
        self._pins: Mapping[str, frozenset[str]] = {}
        super().__init__(certificate, key, ca)

    def of(self, directory: Directory, endpoint: str) -> ssl.SSLContext:
        """Return the context for an endpoint, by the records that name it."""
        if directory is not self._directory:  # once for each change of the records, not for each POST
            self._directory, self._pins = directory, tls_pins(directory)
        pins = self._pins.get(endpoint, frozenset())
        if pins not in self._contexts:
            self._contexts[pins] = _pinned(self._made(), pins)
        return self._contexts[pins]

    def _take_up(self) -> None:
        self._contexts = {frozenset(): self._made()}

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
