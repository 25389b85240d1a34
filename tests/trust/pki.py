"""A certification authority of our own for tests, which issues good certificates, and bad ones where asked to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tests.certificates import rsa_key

NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
NUMBER: Final = "314159265"  # a synthetic organisation number
OCSP: Final = "http://ocsp.ca.test/"
CRL: Final = "http://crl.ca.test/"
_serials = count(1000)
Name = x509.Name


def name(common: str, *, organisation: str = "Vaadal kommune", number: str | None = None, **also: str) -> Name:
    """Return a subject. `number` becomes organizationIdentifier; `serial` and `identifier` are taken as they are."""
    parts = [(NameOID.COUNTRY_NAME, "NO"), (NameOID.ORGANIZATION_NAME, organisation), (NameOID.COMMON_NAME, common)]
    if number is not None:
        parts.append((NameOID.ORGANIZATION_IDENTIFIER, f"NTRNO-{number}"))
    oids = {"serial": NameOID.SERIAL_NUMBER, "identifier": NameOID.ORGANIZATION_IDENTIFIER}
    parts += [(oids[key], value) for key, value in also.items()]
    return Name([x509.NameAttribute(oid, value) for oid, value in parts])


def usage(*permitted: str) -> x509.KeyUsage:
    words = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return x509.KeyUsage(
        **{word: word in permitted for word in (*words, "key_cert_sign", "crl_sign")},
        encipher_only=False,
        decipher_only=False,
    )


SIGN: Final = usage("digital_signature", "content_commitment")
ENCRYPT: Final = usage("key_encipherment")
ISSUE: Final = usage("key_cert_sign", "crl_sign")


@dataclass(frozen=True)
class Held:
    """A certificate with its key."""

    certificate: Certificate
    key: Any

    @property
    def subject(self) -> Name:
        return self.certificate.subject


def certificate(
    subject: Name,
    issuer: Held | None = None,
    *,
    key: Any = None,
    ca: bool | None = False,
    path_length: int | None = None,
    usage: x509.KeyUsage | None = SIGN,
    begins: datetime = NOW - 100 * DAY,
    ends: datetime = NOW + 100 * DAY,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ocsp_at: str | None = OCSP,
    crl_at: str | None = CRL,
    named_issuer: Name | None = None,
    purposes: Sequence[x509.ObjectIdentifier] = (),
) -> Held:
    """Return a certificate, self-signed without `issuer`. Every fault is one argument; `ca` None: basicConstraints
    are missing; `named_issuer`: it says that another issued it.
    """
    key = key or rsa_key(f"trust {subject.rfc4514_string()}")
    signer, name_of_issuer = (issuer.key, issuer.subject) if issuer else (key, subject)
    builder = x509.CertificateBuilder(
        named_issuer or name_of_issuer, subject, key.public_key(), next(_serials), begins, ends
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    if ocsp_at is not None and issuer is not None:
        service = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp_at))
        builder = builder.add_extension(x509.AuthorityInformationAccess([service]), critical=False)
    if crl_at is not None and issuer is not None:
        builder = builder.add_extension(_crl_point(crl_at), critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    return Held(builder.sign(signer, hashes.SHA256()), key)


def _crl_point(url: str) -> x509.CRLDistributionPoints:
    return x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)])


def root(common: str = "Rot CA", **faults: Any) -> Held:
    return certificate(name(common, organisation="Tillit AS"), **{"ca": True, "usage": ISSUE, **faults})


def intermediate(issuer: Held, common: str = "Utsteder CA", **faults: Any) -> Held:
    return certificate(name(common, organisation="Tillit AS"), issuer, **{"ca": True, "usage": ISSUE, **faults})


def leaf(issuer: Held | None, subject: Name | None = None, **faults: Any) -> Held:
    return certificate(subject or name("Vaadal kommune", number=NUMBER), issuer, **faults)


def resigned(held: Held, signer: Held, change: Callable[[Any], None], *, algorithm: str = "sha256_rsa") -> Held:
    """Return the certificate with its inside changed, signed anew: what the library itself would not write."""
    parsed = asn1.Certificate.load(held.certificate.public_bytes(Encoding.DER))
    inside = parsed["tbs_certificate"]
    change(inside)
    inside["signature"] = {"algorithm": algorithm}
    digest: hashes.HashAlgorithm = hashes.SHA1() if algorithm.startswith("sha1") else hashes.SHA256()
    made = asn1.Certificate(
        {
            "tbs_certificate": inside,
            "signature_algorithm": {"algorithm": algorithm},
            "signature_value": signer.key.sign(inside.dump(force=True), padding.PKCS1v15(), digest),
        }
    )
    return Held(x509.load_der_x509_certificate(made.dump(force=True)), held.key)


# --- what issuers say of revocation ---


def crl(
    issuer: Held,
    revoked: Mapping[Held, datetime] | None = None,
    *,
    reason: x509.ReasonFlags | None = None,
    begins: datetime = NOW - HOUR,
    ends: datetime | None = NOW + DAY,
    named_issuer: Name | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    spoilt: bool = False,
) -> bytes:
    """Return a CRL in DER. `ends` None: without nextUpdate; `spoilt`: its signature is of other bytes."""
    builder = x509.CertificateRevocationListBuilder(named_issuer or issuer.subject, begins, ends or begins + DAY)
    for held, at in (revoked or {}).items():
        entry = x509.RevokedCertificateBuilder(held.certificate.serial_number, at)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    made = builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)
    if not spoilt and ends is not None:
        return made
    parsed = asn1_crl.CertificateList.load(made)
    inside = parsed["tbs_cert_list"]
    if ends is None:
        kept = ("version", "signature", "issuer", "this_update", "revoked_certificates")
        inside = asn1_crl.TbsCertList({field: inside[field] for field in kept if inside[field].native is not None})
    signed = inside.dump(force=True) if not spoilt else b"something else"
    parsed["tbs_cert_list"] = inside
    parsed["signature"] = issuer.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return bytes(parsed.dump(force=True))


def ocsp_answer(
    about: Held,
    issuer: Held,
    *,
    revoked_at: datetime | None = None,
    reason: x509.ReasonFlags | None = None,
    unknown: bool = False,
    signer: Held | None = None,
    with_certificate: bool = True,
    begins: datetime = NOW - HOUR,
    ends: datetime | None = NOW + HOUR,
    spoilt: bool = False,
) -> bytes:
    """Return an OCSP response in DER, signed by `signer`, else the issuer."""
    by = signer or issuer
    status = ocsp.OCSPCertStatus.GOOD
    if unknown:
        status = ocsp.OCSPCertStatus.UNKNOWN
    elif revoked_at is not None:
        status = ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(about.certificate, issuer.certificate, hashes.SHA1(), status, begins, ends, revoked_at, reason)
        .responder_id(ocsp.OCSPResponderEncoding.NAME, by.certificate)
    )
    if with_certificate and signer is not None:
        builder = builder.certificates([signer.certificate])
    made = builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)
    if not spoilt:
        return made
    return made[:-1] + bytes([made[-1] ^ 1]) if signer is None else made


def ocsp_busy() -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER)


def responder(issuer: Held, common: str = "OCSP", **faults: Any) -> Held:
    """Return one whom the issuer lets sign its OCSP answers."""
    given = {"usage": usage("digital_signature"), "purposes": (ExtendedKeyUsageOID.OCSP_SIGNING,), **faults}
    return certificate(name(common, organisation="Tillit AS"), issuer, **given)
