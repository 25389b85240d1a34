"""When a certificate may be used, and whose it is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from broker.sealing.certificates import (
    Reason,
    Use,
    fingerprint,
    load_certificates,
    new_certificate,
    organisation_number,
    usable,
)
from tests.certificates import NOT_AFTER, NOT_BEFORE, key_pair, rsa_key

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def certificate(
    *subject: tuple[x509.ObjectIdentifier, str],
    usage: Sequence[str] | None = None,
    key: CertificateIssuerPrivateKeyTypes | None = None,
) -> x509.Certificate:
    """Return a certificate with this subject and key usage; no KeyUsage extension for None."""
    signer = key or rsa_key("certificates")
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    builder = x509.CertificateBuilder(name, name, signer.public_key(), 7, NOT_BEFORE, NOT_AFTER)
    if usage is not None:
        bits = {name: name in usage for name in USAGES}
        builder = builder.add_extension(x509.KeyUsage(**bits), critical=True)
    return builder.sign(signer, hashes.SHA256())


@pytest.mark.parametrize(
    ("usage", "use", "reason"),
    [
        (None, Use.SIGN, None),
        (None, Use.ENCRYPT, None),
        (["content_commitment"], Use.SIGN, None),
        (["digital_signature"], Use.SIGN, None),
        (["key_encipherment"], Use.ENCRYPT, None),
        (["digital_signature", "key_encipherment"], Use.ENCRYPT, None),
        (["key_encipherment"], Use.SIGN, Reason.WRONG_USAGE),
        (["digital_signature", "content_commitment"], Use.ENCRYPT, Reason.WRONG_USAGE),
        (["data_encipherment"], Use.ENCRYPT, Reason.WRONG_USAGE),
        (["key_cert_sign"], Use.SIGN, Reason.WRONG_USAGE),
    ],
)
def test_key_usage(usage: Sequence[str] | None, use: Use, reason: Reason | None) -> None:
    verdict = usable(certificate((NameOID.COMMON_NAME, "x"), usage=usage), use, NOW)
    assert verdict.reason is reason
    assert verdict.ok is (reason is None)


@pytest.mark.parametrize(
    ("at", "reason", "days_left"),
    [
        (NOT_BEFORE - SECOND, Reason.NOT_YET_VALID, 1096),
        (NOT_BEFORE, None, 1096),
        (NOT_AFTER - timedelta(days=30), None, 30),
        (NOT_AFTER, None, 0),
        (NOT_AFTER + SECOND, Reason.EXPIRED, -1),
        (NOT_AFTER + timedelta(days=3), Reason.EXPIRED, -3),
    ],
)
def test_both_ends_of_the_period_are_inside(at: datetime, reason: Reason | None, days_left: int) -> None:
    verdict = usable(key_pair("period", Use.SIGN).certificate, Use.SIGN, at)
    assert (verdict.reason, verdict.days_left) == (reason, days_left)


def test_a_key_of_1024_bits_is_weak_and_one_of_2048_is_not() -> None:
    weak = certificate((NameOID.COMMON_NAME, "x"), key=rsa_key("weak", 1024))
    assert usable(weak, Use.SIGN, NOW).reason is Reason.WEAK_KEY
    assert usable(certificate((NameOID.COMMON_NAME, "x")), Use.SIGN, NOW).ok


def test_an_elliptic_key_is_not_rsa() -> None:
    elliptic = certificate((NameOID.COMMON_NAME, "x"), key=ec.generate_private_key(ec.SECP256R1()))
    assert usable(elliptic, Use.ENCRYPT, NOW).reason is Reason.NOT_RSA


def test_a_lasting_fault_is_told_before_a_passing_one() -> None:
    wrong = certificate((NameOID.COMMON_NAME, "x"), usage=["key_encipherment"])
    assert usable(wrong, Use.SIGN, NOT_AFTER + SECOND).reason is Reason.WRONG_USAGE


def test_a_usage_extension_that_cannot_be_read_permits_nothing() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    key = rsa_key("certificates")
    damaged = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.15"), b"\x04\x00")
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, NOT_BEFORE, NOT_AFTER)
    made = builder.add_extension(damaged, critical=True).sign(key, hashes.SHA256())
    assert usable(made, Use.SIGN, NOW).reason is Reason.WRONG_USAGE


IDENTIFIER, SERIAL = NameOID.ORGANIZATION_IDENTIFIER, NameOID.SERIAL_NUMBER


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ([(IDENTIFIER, "NTRNO-314159265")], "314159265"),  # SEID 2.0
        ([(SERIAL, "314159265")], "314159265"),  # SEID 1.0
        ([(IDENTIFIER, "NTRNO-314159265"), (SERIAL, "271828182")], "314159265"),
        ([(IDENTIFIER, "NTRNO-314159265"), (IDENTIFIER, "NTRNO-314159265")], "314159265"),
        ([(IDENTIFIER, "NTRNO-314159265"), (IDENTIFIER, "NTRNO-271828182")], None),
        ([(SERIAL, "314159265"), (SERIAL, "271828182")], None),
        ([(IDENTIFIER, "NTRSE-314159265")], None),
        ([(IDENTIFIER, "NTRSE-314159265"), (SERIAL, "314159265")], None),
        ([(IDENTIFIER, "NTRNO-31415926")], None),
        ([(IDENTIFIER, "NTRNO-3141592655")], None),
        ([(IDENTIFIER, "xNTRNO-314159265")], None),
        ([(SERIAL, "UN:NO-314159265")], None),
        ([(IDENTIFIER, "NTRNO-٣١٤١٥٩٢٦٥")], None),
        ([(NameOID.COMMON_NAME, "314159265")], None),
    ],
)
def test_whose_certificate_it_is(subject: list[tuple[x509.ObjectIdentifier, str]], expected: str | None) -> None:
    assert organisation_number(certificate(*subject)) == expected


def test_certificates_come_in_the_order_of_the_file_with_text_between() -> None:
    one, two = key_pair("one", Use.SIGN).certificate, key_pair("two", Use.SIGN).certificate
    pem = b"subject=one\n" + one.public_bytes(Encoding.PEM) + b"\nsubject=two\n" + two.public_bytes(Encoding.PEM)
    assert load_certificates(pem) == (one, two)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_a_file_without_a_whole_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError, match="no readable certificate"):
        load_certificates(pem)


def test_a_fingerprint_is_the_sha256_in_lower_case_hex() -> None:
    print_ = fingerprint(key_pair("one", Use.SIGN).certificate)
    assert len(print_) == 64
    assert print_ == print_.lower()
    assert print_ != fingerprint(key_pair("two", Use.SIGN).certificate)


@pytest.mark.parametrize("use", Use)
def test_a_new_certificate_bears_its_own_use_and_no_other(use: Use) -> None:
    made = key_pair("Fjordvik kommune", use).certificate
    other = Use.ENCRYPT if use is Use.SIGN else Use.SIGN
    assert usable(made, use, NOW).ok
    assert usable(made, other, NOW).reason is Reason.WRONG_USAGE
    assert organisation_number(made) == "314159265"
    made.verify_directly_issued_by(made)


def test_a_new_certificate_with_the_same_arguments_is_the_same() -> None:
    key = rsa_key("certificates")
    one, two = (
        new_certificate("Å kommune", "314159265", Use.SIGN, NOT_BEFORE, NOT_AFTER, key, serial=11) for _ in range(2)
    )
    assert one == two


def test_a_new_certificate_needs_nine_digits_and_a_period() -> None:
    key = rsa_key("certificates")
    with pytest.raises(ValueError, match="nine digits"):
        new_certificate("x", "31415926", Use.SIGN, NOT_BEFORE, NOT_AFTER, key, serial=1)
    with pytest.raises(ValueError, match="before"):
        new_certificate("x", "314159265", Use.SIGN, NOT_AFTER, NOT_BEFORE, key, serial=1)
