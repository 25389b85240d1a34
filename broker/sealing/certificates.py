"""When a certificate may be used, and whose it is: trust rules over evidence that is given to them.

Nothing here asks the network or the clock. Whether a certificate is the right one is decided by the party's record,
which pins it; this file says whether it can bear the use that it is put to.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

MIN_RSA_BITS = 2048  # SEID 2.0 issues 3072; older certificates of the sector have 2048


class Use(StrEnum):
    """What a certificate is for. The sector has one for each."""

    SIGN = "sign"
    ENCRYPT = "encrypt"


class Reason(StrEnum):
    """Why a certificate can't be used."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    WRONG_USAGE = "wrong usage"
    WEAK_KEY = "weak key"
    NOT_RSA = "not RSA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usability:
    """The verdict on a certificate for one use at one time.

    `reason` is None when it may be used. `days_left` counts whole days until its end, negative once it has passed.
    """

    reason: Reason | None
    days_left: int

    @property
    def ok(self) -> bool:
        return self.reason is None


def usable(certificate: x509.Certificate, use: Use, at: datetime) -> Usability:
    """Return whether the certificate bears `use` at the time `at` (with a zone). The lasting faults come first."""
    return Usability(
        reason=_reason(certificate, use, at),
        days_left=(certificate.not_valid_after_utc - at).days,
    )


def _reason(certificate: x509.Certificate, use: Use, at: datetime) -> Reason | None:
    try:
        public = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):  # a curve or key that the library does not know
        return Reason.NOT_RSA
    if not isinstance(public, rsa.RSAPublicKey):
        return Reason.NOT_RSA
    if public.key_size < MIN_RSA_BITS:
        return Reason.WEAK_KEY
    if not has_usage(certificate, use):
        return Reason.WRONG_USAGE
    if at < certificate.not_valid_before_utc:
        return Reason.NOT_YET_VALID
    if at > certificate.not_valid_after_utc:  # RFC 5280 4.1.2.5: the end is still inside
        return Reason.EXPIRED
    return None


@lru_cache(maxsize=4096)
def has_usage(certificate: x509.Certificate, use: Use) -> bool:
    """Say whether the certificate's KeyUsage (RFC 5280, 4.2.1.3) permits `use`."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True  # RFC 5280 4.2.1.3: absent means not restricted
    except (x509.DuplicateExtension, ValueError):
        return False  # a usage that can't be read permits nothing
    if use is Use.ENCRYPT:
        return usage.key_encipherment
    return usage.content_commitment or usage.digital_signature  # content commitment is nonRepudiation, renamed


# ETSI EN 319 412-1, 5.1.4: the kind of register, the country, a hyphen, the number. SEID 1.0 has the bare number.
_NTRNO = re.compile(r"NTRNO-([0-9]{9})")
_BARE = re.compile(r"[0-9]{9}")


def organisation_number(certificate: x509.Certificate) -> str | None:
    """Return the nine digits of the owner's organisation number, or None where the subject has none, or several.

    organizationIdentifier (SEID 2.0) comes before serialNumber (SEID 1.0), which may then be something else.
    """
    identifiers = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)
    if identifiers:
        return _the_one(_NTRNO.fullmatch(str(a.value)) for a in identifiers)
    return _the_one(
        _BARE.fullmatch(str(a.value)) for a in certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    )


def _the_one(matches: Iterable[re.Match[str] | None]) -> str | None:
    numbers = {match[match.lastindex or 0] if match else None for match in matches}
    return numbers.pop() if len(numbers) == 1 else None


def load_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates in `pem`, in their order. Raises ValueError when there is none, or one is damaged."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        raise ValueError("no readable certificate in PEM form (-----BEGIN CERTIFICATE-----)") from None


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate in lower-case hex, 64 characters."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def new_certificate(
    name: str,
    organisation_number: str,
    use: Use,
    not_before: datetime,
    not_after: datetime,
    key: rsa.RSAPrivateKey,
    *,
    serial: int,
) -> x509.Certificate:
    """Return a self-signed certificate for one use, shaped as the sector's are: usage critical, NTRNO in the subject.

    `name` becomes organizationName and commonName; `serial` is a random positive number of at most 159 bits.
    Raises ValueError for an organisation number that is not nine digits, and for a period that ends before it begins.
    """
    if not _BARE.fullmatch(organisation_number):
        raise ValueError("an organisation number has nine digits")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "NO"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, f"NTRNO-{organisation_number}"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=use is Use.SIGN,
        content_commitment=use is Use.SIGN,
        key_encipherment=use is Use.ENCRYPT,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject, public_key=public, serial_number=serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
