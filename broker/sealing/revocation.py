"""What a CRL or an OCSP response says of one certificate, and whether it may be believed: RFC 5280 6.3 and RFC 6960.

Evidence is given as bytes, and nothing here asks the network or the clock. A response that can't be believed raises
NoAnswer and proves nothing, neither way: a certificate is revoked only where its issuer says so.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from broker.sealing.certificates import MIN_RSA_BITS

SKEW: Final = timedelta(minutes=5)  # that two clocks may differ
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
T = TypeVar("T", bound=x509.ExtensionType)


class Source(StrEnum):
    """How a revocation service answers."""

    OCSP = "ocsp"
    CRL = "crl"


class NoAnswer(Exception):
    """A response that says nothing that may be believed; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a certificate says that its revocation can be asked for."""

    source: Source
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a believed response says of one certificate. `until` None: newer information is always there (OCSP)."""

    revoked_at: datetime | None
    since: datetime  # thisUpdate
    until: datetime | None  # nextUpdate

    def require_fresh(self, at: datetime) -> None:
        """Raise NoAnswer where this is not what is known at the time `at`."""
        if self.since > at + SKEW:
            raise NoAnswer("the answer is of the future (thisUpdate)")
        if (self.until or self.since) + SKEW < at:
            raise NoAnswer("the answer is out of date (nextUpdate)")

    def revoked(self, at: datetime) -> bool:
        """Say whether the certificate was revoked, or on hold, at the time `at`."""
        return self.revoked_at is not None and self.revoked_at <= at


def places(certificate: Certificate) -> tuple[Place, ...]:
    """Return where its revocation can be asked for over HTTP, OCSP first: it is small and says it of this one."""
    found = [
        Place(source=Source.OCSP, url=each.access_location.value)
        for each in _extension(certificate, x509.AuthorityInformationAccess) or ()
        if each.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    ]
    found += (Place(source=Source.CRL, url=url) for url in _crl_addresses(certificate))
    return tuple(dict.fromkeys(each for each in found if each.url.lower().startswith(("http://", "https://"))))


def ocsp_question(certificate: Certificate, issuer: Certificate) -> bytes:
    """Return the request about one certificate, in DER. CertID by SHA-1, which every responder knows: it is a name."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303 - names a key
    return builder.build().public_bytes(Encoding.DER)


def standing(source: Source, response: bytes, certificate: Certificate, issuer: Certificate, at: datetime) -> Standing:
    """Return what a response says of `certificate`, if it may be believed and is fresh at `at`. Raises NoAnswer.

    `at` (with a zone) is when we received what the certificate signed; no clock of the sender's comes into it.
    """
    read = _by_ocsp if source is Source.OCSP else _by_crl
    try:
        found = read(response, certificate, issuer, at)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
        raise NoAnswer("the answer can't be read") from None
    found.require_fresh(at)
    return found


# --- OCSP ---


def _by_ocsp(response: bytes, certificate: Certificate, issuer: Certificate, at: datetime) -> Standing:
    answer = ocsp.load_der_ocsp_response(response)
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise NoAnswer("the OCSP service can't answer now")
    _check_ocsp_signature(answer, issuer, at)
    responses = list(answer.responses)
    alone = answer.single_extensions if len(responses) == 1 else ()
    if any(each.critical for each in (*answer.extensions, *alone)):
        raise NoAnswer("the OCSP answer has a critical extension that is not known here")
    about = [each for each in responses if _is_about(each, certificate, issuer)]
    if len(about) != 1:
        raise NoAnswer("the OCSP answer is about another certificate")
    (one,) = about
    if one.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        raise NoAnswer("the OCSP service does not know the certificate")
    return Standing(
        revoked_at=one.revocation_time_utc if one.certificate_status is ocsp.OCSPCertStatus.REVOKED else None,
        since=one.this_update_utc,
        until=one.next_update_utc,
    )


def _is_about(one: ocsp.OCSPSingleResponse, certificate: Certificate, issuer: Certificate) -> bool:
    if one.serial_number != certificate.serial_number or not isinstance(one.hash_algorithm, (hashes.SHA1, *_HASHES)):
        return False
    # The CertID that we would write for this certificate, by the same digest.
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, one.hash_algorithm).build()
    return (one.issuer_name_hash, one.issuer_key_hash) == (request.issuer_name_hash, request.issuer_key_hash)


def _check_ocsp_signature(answer: ocsp.OCSPResponse, issuer: Certificate, at: datetime) -> None:
    """RFC 6960, 4.2.2.2: the issuer itself, or one whom it made a certificate for OCSP signing."""
    candidates = [one for one in (issuer, *answer.certificates) if _is_responder(answer, one)]
    if not candidates:
        raise NoAnswer("the OCSP answer is signed by someone else")
    signer = candidates[0]
    if signer != issuer:
        _check_delegate(signer, issuer, at)
    _check_signature(signer, answer.signature, answer.tbs_response_bytes, answer.signature_hash_algorithm)


def _is_responder(answer: ocsp.OCSPResponse, one: Certificate) -> bool:
    if answer.responder_name is not None:
        return one.subject == answer.responder_name
    return x509.SubjectKeyIdentifier.from_public_key(one.public_key()).digest == answer.responder_key_hash


def _check_delegate(signer: Certificate, issuer: Certificate, at: datetime) -> None:
    try:
        signer.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        raise NoAnswer("the OCSP answer is signed by someone else") from None
    purposes = _extension(signer, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.OCSP_SIGNING not in list(purposes):
        raise NoAnswer("the signer of the OCSP answer may not sign such answers")
    usage = _extension(signer, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise NoAnswer("the signer of the OCSP answer may not sign such answers")
    if not signer.not_valid_before_utc <= at <= signer.not_valid_after_utc:
        raise NoAnswer("the certificate of the OCSP answer's signer is out of its time")


# --- CRL ---


def _by_crl(response: bytes, certificate: Certificate, issuer: Certificate, _at: datetime) -> Standing:
    crl = _verified_crl(response, issuer)
    _check_scope(crl, certificate)
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    return Standing(
        revoked_at=entry.revocation_date_utc if entry is not None else None,
        since=crl.last_update_utc,
        until=crl.next_update_utc,
    )


@lru_cache(maxsize=8)
def _verified_crl(response: bytes, issuer: Certificate) -> x509.CertificateRevocationList:
    """Read and verify a list: once for all certificates that it stands for, for it may be long."""
    if response.lstrip().startswith(b"-----BEGIN"):
        crl = x509.load_pem_x509_crl(response)
    else:
        crl = x509.load_der_x509_crl(response)
    if crl.issuer != issuer.subject:
        raise NoAnswer("the CRL is of another issuer")
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        raise NoAnswer("the issuer may not sign CRLs")
    _check_signature(issuer, crl.signature, crl.tbs_certlist_bytes, crl.signature_hash_algorithm)
    if crl.next_update_utc is None:
        raise NoAnswer("the CRL does not say until when it holds (nextUpdate)")
    for each in crl.extensions:
        if each.critical and each.oid != ExtensionOID.ISSUING_DISTRIBUTION_POINT:
            raise NoAnswer("the CRL has a critical extension that is not known here")
    return crl


def _check_scope(crl: x509.CertificateRevocationList, certificate: Certificate) -> None:
    """RFC 5280, 5.2.5 and 6.3.3: the list must be for certificates such as this one, and for all reasons."""
    try:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return
    basic = _extension(certificate, x509.BasicConstraints)
    ca = basic is not None and basic.ca
    if point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs or point.relative_name:
        raise NoAnswer("the CRL is not one for all reasons and of its issuer's own certificates")
    if (point.only_contains_user_certs and ca) or (point.only_contains_ca_certs and not ca):
        raise NoAnswer("the CRL is not for certificates such as this one")
    named = {each.value for each in point.full_name or () if isinstance(each, x509.UniformResourceIdentifier)}
    if point.full_name and not named & set(_crl_addresses(certificate)):
        raise NoAnswer("the CRL is not for certificates such as this one")


# --- both ---


def _check_signature(signer: Certificate, signature: bytes, signed: bytes, hashed: hashes.HashAlgorithm | None) -> None:
    key = signer.public_key()
    if not isinstance(hashed, _HASHES):
        raise NoAnswer("the answer is signed by an algorithm that is not taken")
    try:
        if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
            key.verify(signature, signed, padding.PKCS1v15(), hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(hashed))
        else:
            raise NoAnswer("the answer is signed by an algorithm that is not taken")
    except InvalidSignature:
        raise NoAnswer("the answer's signature does not hold") from None


def _crl_addresses(certificate: Certificate) -> tuple[str, ...]:
    points = _extension(certificate, x509.CRLDistributionPoints)
    return tuple(
        name.value
        for point in points or ()
        if point.crl_issuer is None and point.reasons is None
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )


def _extension(certificate: Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
