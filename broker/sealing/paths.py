"""Whether a certificate leads to a root that we trust: the rules of RFC 5280, section 6, over evidence that is given.

The verdict is `cryptography`'s own path building; what it refuses is looked through once more, link by link, only to
say why in words that help. Which roots are trusted, and at what time, the caller says. Nothing here asks the network or
the clock; revocation is `revocation`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import Certificate, verification
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from broker.errors import NotTrusted
from broker.sealing.certificates import MIN_RSA_BITS, Reason, Use, usable

MAX_PRESENTED: Final = 10  # certificates in one KeyInfo: a chain of the sector has three
_DEPTH: Final = 4  # intermediates between leaf and root; the sector has one
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
# What a certificate that is for these alone says nothing about who speaks for an organisation: a web server's key.
_OTHER_PURPOSES: Final = frozenset(
    {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CODE_SIGNING,
        ExtendedKeyUsageOID.TIME_STAMPING,
        ExtendedKeyUsageOID.OCSP_SIGNING,
    }
)
_USABLE: Final = {
    Reason.EXPIRED: "the certificate has expired",
    Reason.NOT_YET_VALID: "the certificate is not valid yet",
    Reason.WRONG_USAGE: "the certificate's key usage does not permit what it is used for",
    Reason.WEAK_KEY: f"the certificate's key has fewer than {MIN_RSA_BITS} bits",
    Reason.NOT_RSA: "the certificate has no RSA key",
}
_KNOWN_CRITICAL: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """What the operator trusts (`roots`), and what helps to get there and proves nothing by itself."""

    roots: tuple[Certificate, ...] = ()
    intermediates: tuple[Certificate, ...] = ()


def is_ca(certificate: Certificate) -> bool:
    """Say whether the certificate is of one who issues certificates (BasicConstraints, RFC 5280, 4.2.1.9)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def load_presented(ders: Sequence[bytes]) -> tuple[Certificate, ...]:
    """Return the certificates that a message brings. Raises NotTrusted where one can't be read, or there are many."""
    if len(ders) > MAX_PRESENTED:
        raise NotTrusted(f"the message brings more than {MAX_PRESENTED} certificates")
    try:
        return tuple(x509.load_der_x509_certificate(der) for der in ders)
    except ValueError:
        raise NotTrusted("a certificate in the message can't be read") from None


def path(
    certificate: Certificate, use: Use, anchors: Anchors, *, helping: Sequence[Certificate] = (), at: datetime
) -> tuple[Certificate, ...]:
    """Return the certificates from this one to a root, both included, if all of them hold at `at` (with a zone).

    `helping` are intermediates from elsewhere, which need no trust. Raises NotTrusted with the reason.
    """
    if not anchors.roots:
        raise NotTrusted("no roots are configured", hint="name them in [trust] roots")
    _require_readable(certificate)
    if is_ca(certificate):
        raise NotTrusted("the certificate is an issuer's, not an organisation's own")
    if (reason := usable(certificate, use, at).reason) is not None:
        raise NotTrusted(_USABLE[reason])
    if certificate in anchors.roots:
        raise NotTrusted("the certificate is itself a root")
    _require_purpose(certificate)
    pool = tuple(one for one in dict.fromkeys((*anchors.intermediates, *helping)) if one != certificate)
    try:
        return tuple(_verifier(anchors, at).verify(certificate, list(pool)).chain)
    except verification.VerificationError:
        raise NotTrusted(_why(certificate, anchors, pool, at)) from None
    except (ValueError, UnsupportedAlgorithm):
        raise NotTrusted("a certificate on the way to a root can't be read") from None


def _verifier(anchors: Anchors, at: datetime) -> verification.ClientVerifier:
    # Not the rules of the web, which ask for names of hosts: those of RFC 5280 that a certificate of an organisation
    # has to keep. Critical extensions that nobody looked at are refused by the library.
    ca = (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, _require_cert_sign)
    )
    builder = verification.PolicyBuilder().store(verification.Store(list(anchors.roots))).time(at)
    builder = builder.max_chain_depth(_DEPTH)
    return builder.extension_policies(
        ca_policy=ca, ee_policy=verification.ExtensionPolicy.permit_all()
    ).build_client_verifier()


def _require_cert_sign(_policy: verification.Policy, _cert: Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the issuer may not sign certificates")  # the library makes it a VerificationError


def _require_readable(certificate: Certificate) -> None:
    try:
        certificate.public_key()
        list(certificate.extensions)
    except x509.DuplicateExtension:
        raise NotTrusted("the certificate has an extension twice") from None
    except (ValueError, UnsupportedAlgorithm):
        raise NotTrusted("the certificate can't be read") from None


def _require_purpose(certificate: Certificate) -> None:
    try:
        purposes = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if purposes <= _OTHER_PURPOSES:
        raise NotTrusted("the certificate is for another purpose, such as a web server")


# --- why not: for people ---


def _why(leaf: Certificate, anchors: Anchors, pool: Sequence[Certificate], at: datetime) -> str:
    """Return what stands in the way of the path that comes nearest to a root."""
    if (fault := _own_fault(leaf, "the certificate", at)) is not None:
        return fault
    below, seen = leaf, {leaf}
    for depth in range(_DEPTH + 1):
        named = [one for one in (*anchors.roots, *pool) if one.subject == below.issuer]
        what = "the certificate" if depth == 0 else "an intermediate certificate"
        if not named:
            if below.issuer == below.subject:
                return f"{what} is self-signed, and no root of ours"
            return "an intermediate certificate is missing, or the issuer is none of our roots"
        issuers = [one for one in named if _issued(below, one)]
        if not issuers:
            if isinstance(below.signature_hash_algorithm, _HASHES):
                return f"{what} is not signed by the issuer that it names"
            return f"{what} is signed by an algorithm that is not taken any more"
        issuer = issuers[0]
        if (fault := _issuer_fault(issuer, depth, at, root=issuer in anchors.roots)) is not None:
            return fault
        if issuer in anchors.roots or issuer in seen:
            break
        below = issuer
        seen.add(issuer)
    else:
        return "too many intermediate certificates"
    if any(_has(one, x509.NameConstraints) for one in (*anchors.roots, *pool)):
        return "the name constraints of an issuer do not permit the certificate, or can't be judged"
    return "the certificate does not lead to one of our roots"


def _issuer_fault(issuer: Certificate, depth: int, at: datetime, *, root: bool) -> str | None:
    what = "the root certificate" if root else "an intermediate certificate"
    if (fault := _own_fault(issuer, what, at)) is not None:
        return fault
    key = issuer.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return f"the key of {what} has fewer than {MIN_RSA_BITS} bits"
    if not is_ca(issuer):
        return f"{what} is not one that may issue others"
    usage = _has(issuer, x509.KeyUsage)
    if isinstance(usage, x509.KeyUsage) and not usage.key_cert_sign:
        return f"the key usage of {what} does not permit to sign certificates"
    basic = _has(issuer, x509.BasicConstraints)
    if isinstance(basic, x509.BasicConstraints) and basic.path_length is not None and basic.path_length < depth:
        return "more certificates stand between root and certificate than an issuer allows (path length)"
    return None


def _own_fault(certificate: Certificate, what: str, at: datetime) -> str | None:
    try:
        extensions = certificate.extensions
        certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return f"{what} can't be read, or has an extension twice"
    if any(each.critical and each.oid not in _KNOWN_CRITICAL for each in extensions):
        return f"{what} has a critical extension that is not known here"
    if at < certificate.not_valid_before_utc:
        return f"{what} is not valid yet"
    if at > certificate.not_valid_after_utc:
        return f"{what} has expired"
    return None


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _has(certificate: Certificate, kind: type[x509.ExtensionType]) -> x509.ExtensionType | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None
