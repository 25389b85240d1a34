"""What is in a file of our keys: PEM or PKCS#12, with or without a passphrase, one key in it or several.

It decides which certificate belongs to which key (by the public key, never by order), and says in one sentence why a
file can't be used. Certificates of no key, such as those of the issuer, are left alone.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from asn1crypto import pkcs12 as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key, pkcs12

from broker.errors import Misconfigured
from broker.lookup.files import others_may_read
from broker.sealing.certificates import load_certificates
from broker.sealing.keys import KeyPair

PEM, PKCS12 = frozenset({".pem"}), frozenset({".p12", ".pfx"})
CERTIFICATE = ".crt"

_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")
_SET_IT = "put it on a line of its own in the file of the setting keys_passphrase"


def load_key_file(path: Path, passphrases: Sequence[bytes]) -> tuple[KeyPair, ...]:
    """Return the key pairs of a file. Raises Misconfigured, naming the file and never a passphrase.

    Each of `passphrases` (UTF-8) is tried, and none as well. The certificate of a PEM key stands in the same file, or
    beside it with the ending .crt.
    """
    try:
        if others_may_read(path):
            raise Misconfigured("every user of the machine may read it", where=_name(path), hint=f"chmod 600 {path}")
        data = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where=_name(path)) from None
    if path.suffix in PKCS12:
        keys, certificates = _from_pkcs12(data, passphrases, where=_name(path))
        beside = path
    else:
        keys = _from_pem(data, passphrases, where=_name(path))
        certificates, beside = _certificates_of(path, data)
    return tuple(_paired(key, certificates, path=path, beside=beside) for key in keys)


def _from_pem(data: bytes, passphrases: Sequence[bytes], *, where: str) -> list[Any]:
    blocks = [match[0] for match in _KEY.finditer(data)]
    if not blocks:
        raise Misconfigured("holds no private key in PEM form", where=where, hint="-----BEGIN PRIVATE KEY-----")
    keys = []
    for block in blocks:
        closed = any(mark in block for mark in _ENCRYPTED)
        if closed and not passphrases:
            raise Misconfigured("has a passphrase, and none is set", where=where, hint=_SET_IT)
        key = _first(partial(load_pem_private_key, block), passphrases if closed else (None,))
        if key is None and closed:
            raise Misconfigured("is not opened by the passphrase that is set", where=where, hint=_SET_IT)
        if key is None:
            raise _unreadable("is not a private key that can be opened", where)
        keys.append(key)
    return keys


def _from_pkcs12(
    data: bytes, passphrases: Sequence[bytes], *, where: str
) -> tuple[list[Any], tuple[x509.Certificate, ...]]:
    if not _is_pkcs12(data):
        raise _unreadable("is not a PKCS#12 file", where)
    opened = _first(lambda each: (pkcs12.load_pkcs12(data, each), each), (*passphrases, None))
    if opened is None:
        why = "is not opened by the passphrase that is set" if passphrases else "has a passphrase, and none is set"
        raise Misconfigured(why, where=where, hint=_SET_IT)
    read, passphrase = opened
    keys = _keys_of_bags(data, passphrase) or ([read.key] if read.key is not None else [])
    if not keys:
        raise _unreadable("holds no private key", where)
    found = [read.cert, *read.additional_certs]
    return keys, tuple(each.certificate for each in found if each is not None)


def _first(load: Callable[[bytes | None], Any], passphrases: Sequence[bytes | None]) -> Any:
    """Return what the first fitting passphrase opens, or None."""
    for passphrase in passphrases:
        with suppress(ValueError, TypeError, UnsupportedAlgorithm):  # the next one; None says that there was none
            return load(passphrase)
    return None


def _is_pkcs12(data: bytes) -> bool:
    try:
        return bool(asn1.Pfx.load(data)["version"].native == "v3")
    except (ValueError, TypeError, KeyError):
        return False


def _keys_of_bags(data: bytes, passphrase: bytes | None) -> list[Any]:
    # cryptography gives the first key of a file alone; some issuers put both of an organisation into one.
    keys = []
    try:
        for content in asn1.Pfx.load(data).authenticated_safe:
            if content["content_type"].native != "data":
                continue  # keys stand in the open part, each closed by itself (RFC 7292, 4.2)
            for bag in asn1.SafeContents.load(content["content"].native):
                if bag["bag_id"].native in ("pkcs8_shrouded_key_bag", "key_bag"):
                    closed = bag["bag_id"].native == "pkcs8_shrouded_key_bag"
                    keys.append(load_der_private_key(bag["bag_value"].untag().dump(), passphrase if closed else None))
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return []  # what cryptography itself found in the file then counts
    return keys


def _certificates_of(path: Path, data: bytes) -> tuple[tuple[x509.Certificate, ...], Path]:
    beside = path.with_suffix(CERTIFICATE)
    if b"BEGIN CERTIFICATE" in data and not beside.exists():
        beside = path
    try:
        return load_certificates(data if beside == path else beside.read_bytes()), beside
    except OSError as error:
        raise Misconfigured(f"can't be read ({error.strerror})", where=_name(beside), hint=f"of {path.name}") from None
    except ValueError:
        raise Misconfigured("holds no certificate in PEM form", where=_name(beside)) from None


def _paired(key: Any, certificates: Sequence[x509.Certificate], *, path: Path, beside: Path) -> KeyPair:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Misconfigured("is not an RSA key", where=_name(path), hint="the sector uses RSA")
    public = key.public_key()
    for certificate in certificates:
        try:
            if certificate.public_key() == public:
                return KeyPair(private_key=key, certificate=certificate)
        except (UnsupportedAlgorithm, ValueError):
            continue  # an issuer's curve that the library does not know is not our key's
    why = "holds no certificate of its key" if beside == path else f"is the certificate of another key than {path.name}"
    raise Misconfigured(why, where=_name(beside), hint="the certificate that was issued for this very key")


def _unreadable(why: str, where: str) -> Misconfigured:
    return Misconfigured(why, where=where, hint="a PEM or PKCS#12 file with a private key, as the issuer gave it")


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
