"""Our keys as their issuers give them: PKCS#12 and PEM, closed and open, one key in a file or two."""

import hashlib
import hmac
import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from asn1crypto import pkcs12 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from broker.errors import Misconfigured, OwnKeyUnusable
from broker.lookup.key_containers import load_key_file
from broker.lookup.key_files import KeyFiles
from broker.sealing.certificates import Use
from broker.sealing.keys import KeyPair
from tests.certificates import key_pair

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NUMBER, HER = "900000101", 8000102
HOSTED = {HER: NUMBER}
SECRET = "blåbær".encode()
SIGN, ENCRYPT = key_pair("container", Use.SIGN), key_pair("container", Use.ENCRYPT)


def closed(passphrase: bytes | None) -> KeySerializationEncryption:
    return BestAvailableEncryption(passphrase) if passphrase else NoEncryption()


def p12(pair: KeyPair, passphrase: bytes | None = SECRET, *, chain: tuple[x509.Certificate, ...] = ()) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"virksomhet", pair.private_key, pair.certificate, chain, closed(passphrase)
    )


def pem(pair: KeyPair, passphrase: bytes | None = None, *, certificate: bool = True) -> bytes:
    key = pair.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed(passphrase))
    return key + (pair.certificate.public_bytes(Encoding.PEM) if certificate else b"")


@cache
def two_keys(passphrase: bytes = SECRET) -> bytes:
    """Return one PKCS#12 file with both keys, which cryptography reads and does not write (RFC 7292, appendix B)."""
    pfx = asn1.Pfx.load(p12(SIGN, passphrase, chain=(ENCRYPT.certificate,)))
    second = ENCRYPT.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, closed(passphrase))
    bag = {"bag_id": "pkcs8_shrouded_key_bag", "bag_value": asn1.EncryptedPrivateKeyInfo.load(second)}
    content = asn1.ContentInfo(
        {"content_type": "data", "content": asn1.OctetString(asn1.SafeContents([asn1.SafeBag(bag)]).dump())}
    )
    safe = asn1.AuthenticatedSafe([*pfx.authenticated_safe, content]).dump()
    mac = pfx["mac_data"]
    digest = hashlib.new(mac["mac"]["digest_algorithm"]["algorithm"].native).name
    word = passphrase.decode().encode("utf-16-be") + b"\0\0"
    salt = mac["mac_salt"].native
    size = hashlib.new(digest).block_size
    key = b"\3" * size + (salt * size)[: -(-len(salt) // size) * size] + (word * size)[: -(-len(word) // size) * size]
    for _ in range(mac["iterations"].native):
        key = hashlib.new(digest, key).digest()
    mac["mac"]["digest"] = hmac.digest(key, safe, digest)
    made = {"version": "v3", "auth_safe": {"content_type": "data", "content": asn1.OctetString(safe)}, "mac_data": mac}
    return bytes(asn1.Pfx(made).dump())


def put(folder: Path, name: str, content: bytes, mode: int = 0o600) -> Path:
    path = folder / NUMBER / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


CONTAINERS = {
    "p12": ("signing.p12", p12(SIGN)),
    "pfx": ("signing.pfx", p12(SIGN)),
    "p12 with the issuer's certificates": ("signing.p12", p12(SIGN, chain=(ENCRYPT.certificate,))),
    "p12 without a passphrase": ("signing.p12", p12(SIGN, None)),
    "p12 of older software": (
        "signing.p12",
        pkcs12.serialize_key_and_certificates(
            None,
            SIGN.private_key,
            SIGN.certificate,
            None,
            PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(2000)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA1())
            .build(SECRET),
        ),
    ),
    "PEM, key and certificate in one": ("signing.pem", pem(SIGN)),
    "PEM with a passphrase": ("signing.pem", pem(SIGN, SECRET)),
    "PEM, the certificate first": (
        "signing.pem",
        SIGN.certificate.public_bytes(Encoding.PEM) + pem(SIGN, certificate=False),
    ),
    "PEM, PKCS#1": (
        "signing.pem",
        SIGN.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(SECRET))
        + SIGN.certificate.public_bytes(Encoding.PEM),
    ),
    "a file with both keys": ("both.p12", two_keys()),
    "a PEM file with both keys": ("both.pem", pem(ENCRYPT, SECRET) + pem(SIGN)),
    "both keys, named for one": ("signing.p12", two_keys()),
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_a_key_signs_from_every_container_that_issuers_give(tmp_path: Path, container: tuple[str, bytes]) -> None:
    put(tmp_path, *container)
    keys = KeyFiles(tmp_path, HOSTED, passphrase=b"of another file\n" + SECRET)
    assert keys.problems == ()
    pair = keys.signing(HER, NOW)
    assert pair.certificate == SIGN.certificate
    assert pair.private_key.private_numbers() == SIGN.private_key.private_numbers()


@pytest.mark.parametrize("name", ["both.p12", "both-2.pfx", "both-2026-01-01.p12"])
def test_one_file_holds_both_and_key_usage_says_which_is_which(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, two_keys())
    keys = KeyFiles(tmp_path, HOSTED, passphrase=SECRET)
    assert keys.problems == ()
    assert keys.signing(HER, NOW).certificate == SIGN.certificate
    (opening,) = keys.opening(HER)
    assert opening.certificate == ENCRYPT.certificate
    assert opening.private_key.private_numbers() == ENCRYPT.private_key.private_numbers()
    assert [each.source for each in keys.generations(NUMBER, Use.ENCRYPT)] == [f"{NUMBER}/{name}"]


def test_a_file_of_openssl_is_read(tmp_path: Path) -> None:
    source, target = put(tmp_path, "source", pem(ENCRYPT)), put(tmp_path, "encryption.p12", b"")
    made = [
        "openssl",
        "pkcs12",
        "-export",
        "-in",
        str(source),
        "-out",
        str(target),
        "-passout",
        f"pass:{SECRET.decode()}",
    ]
    subprocess.run(made, check=True, timeout=60)
    keys = KeyFiles(tmp_path, HOSTED, passphrase=SECRET)
    assert keys.problems == ()
    assert keys.opening(HER)[0].certificate == ENCRYPT.certificate


FAULTS = {
    "wrong passphrase, p12": ("signing.p12", p12(SIGN, b"other"), SECRET, "not opened by the passphrase"),
    "wrong passphrase, PEM": ("signing.pem", pem(SIGN, b"other"), SECRET, "not opened by the passphrase"),
    "no passphrase, p12": ("signing.p12", p12(SIGN), None, "has a passphrase, and none is set"),
    "no passphrase, PEM": ("signing.pem", pem(SIGN, SECRET), None, "has a passphrase, and none is set"),
    "a passphrase that is no text": ("signing.p12", p12(SIGN), b"\xe6\xf8", "not opened by the passphrase"),
    "not PKCS#12": ("signing.p12", pem(SIGN), SECRET, "is not a PKCS#12 file"),
    "empty": ("signing.p12", b"", SECRET, "is not a PKCS#12 file"),
    "cut off": ("signing.p12", p12(SIGN)[:500], SECRET, "is not a PKCS#12 file"),
    "PKCS#12 called PEM": ("signing.pem", p12(SIGN), SECRET, "holds no private key in PEM form"),
    "no key": (
        "signing.p12",
        pkcs12.serialize_key_and_certificates(None, None, SIGN.certificate, None, closed(SECRET)),
        SECRET,
        "holds no private key",
    ),
    "no certificate": (
        "signing.p12",
        pkcs12.serialize_key_and_certificates(None, SIGN.private_key, None, None, closed(SECRET)),
        SECRET,
        "holds no certificate of its key",
    ),
    "another's certificate": (
        "signing.p12",
        pkcs12.serialize_key_and_certificates(None, SIGN.private_key, None, (ENCRYPT.certificate,), closed(SECRET)),
        SECRET,
        "holds no certificate of its key",
    ),
    "no use in the name": ("virksomhet.p12", p12(SIGN), SECRET, "does not say what it is for"),
    "no such day": ("signing-2027-02-30.p12", p12(SIGN), SECRET, "a day that there is not"),
}


@pytest.mark.parametrize(("name", "content", "passphrase", "words"), FAULTS.values(), ids=FAULTS)
def test_a_file_that_can_not_be_used_is_named_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, passphrase: bytes | None, words: str
) -> None:
    put(tmp_path, name, content)
    put(tmp_path, "encryption.pem", pem(ENCRYPT))
    keys = KeyFiles(tmp_path, HOSTED, passphrase=passphrase)
    (problem,) = keys.problems
    assert (problem.where, words in problem.why) == (f"{NUMBER}/{name}", True)
    assert problem.hint
    told = f"{problem}{problem.hint}"
    assert "\n" not in told
    assert SECRET.decode() not in told
    assert len(keys.opening(HER)) == 1
    with pytest.raises(OwnKeyUnusable):
        keys.signing(HER, NOW)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601])
@pytest.mark.parametrize("name", ["signing.p12", "signing.pem"])
def test_a_key_that_others_may_read_is_refused_even_with_a_passphrase(tmp_path: Path, name: str, mode: int) -> None:
    path = put(tmp_path, name, p12(SIGN) if name.endswith("p12") else pem(SIGN, SECRET), mode)
    with pytest.raises(Misconfigured, match="every user of the machine"):
        load_key_file(path, (SECRET,))
    path.chmod(0o640)  # the group may: that is how services share a key
    assert load_key_file(path, (SECRET,))[0].certificate == SIGN.certificate


def test_a_certificate_beside_the_key_goes_before_the_one_in_it(tmp_path: Path) -> None:
    renewed = x509.load_pem_x509_certificate(SIGN.certificate.public_bytes(Encoding.PEM))
    put(tmp_path, "signing.pem", pem(SIGN))
    put(tmp_path, "signing.crt", ENCRYPT.certificate.public_bytes(Encoding.PEM))
    (problem,) = KeyFiles(tmp_path, HOSTED).problems
    assert problem.where == f"{NUMBER}/signing.crt"
    put(tmp_path, "signing.crt", renewed.public_bytes(Encoding.PEM))
    assert KeyFiles(tmp_path, HOSTED).problems == ()


def test_a_dated_key_is_loaded_today_and_signs_from_its_day(tmp_path: Path) -> None:
    later = key_pair("container, next", Use.SIGN)
    put(tmp_path, "signing.p12", p12(SIGN))
    put(tmp_path, "signing-2026-12-01.p12", p12(later))
    keys = KeyFiles(tmp_path, HOSTED, passphrase=SECRET)
    day = datetime(2026, 12, 1, tzinfo=UTC)
    assert keys.signing(HER, day - timedelta(seconds=1)).certificate == SIGN.certificate
    assert keys.signing(HER, day).certificate == later.certificate


def test_the_key_never_shows_in_a_repr(tmp_path: Path) -> None:
    (pair,) = load_key_file(put(tmp_path, "signing.p12", p12(SIGN)), (SECRET,))
    assert "rsa" not in repr(pair).lower()
