"""Seals a document for one certificate and opens what was sealed for ours: CMS, RFC 5652 and 5083.

It alone decides what a ciphertext may look like. Written is one closed DER shape; read is DER and BER, since other
engines write indefinite lengths. What does not open gives one answer, whatever the cause: the sender would otherwise
learn from our answers what is inside (Bleichenbacher 1998, Vaudenay 2002).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from asn1crypto import cms as asn1
from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding

from broker.errors import CannotOpen, PartnerUnusable
from broker.sealing.ber import bound, octets
from broker.sealing.keys import KeyPair

DecryptionKey = KeyPair

# The one sentence. Nothing may be added to it that differs between causes.
CANNOT_OPEN: Final = "the ciphertext cannot be opened"
MAX_SMALL: Final = 64 * 1024  # bytes of recipients, or of attributes; the sector's messages have one recipient of 500

_GCM_TAG = 16  # bytes; the longest that RFC 5084 allows, and what everybody writes
_GCM_TAG_MIN = 12  # RFC 5084 section 3.2
_GCM_NONCE = 12


class Cipher(StrEnum):
    """Content encryption, by the names that agreements use."""

    AES256_CBC = "aes256-cbc"
    AES192_CBC = "aes192-cbc"
    AES128_CBC = "aes128-cbc"
    AES256_GCM = "aes256-gcm"
    AES192_GCM = "aes192-gcm"
    AES128_GCM = "aes128-gcm"
    TRIPLE_DES_CBC = "3des-cbc"

    @property
    def oid(self) -> str:
        return _CIPHERS[self].oid

    @property
    def key_size(self) -> int:
        """In bytes."""
        return _CIPHERS[self].key_size

    @property
    def authenticated(self) -> bool:
        """Whether the ciphertext proves that nobody changed it."""
        return self.name.endswith("_GCM")


class _CipherFacts(NamedTuple):
    oid: str
    key_size: int


_CIPHERS = {
    Cipher.AES256_CBC: _CipherFacts("2.16.840.1.101.3.4.1.42", 32),
    Cipher.AES192_CBC: _CipherFacts("2.16.840.1.101.3.4.1.22", 24),
    Cipher.AES128_CBC: _CipherFacts("2.16.840.1.101.3.4.1.2", 16),
    Cipher.AES256_GCM: _CipherFacts("2.16.840.1.101.3.4.1.46", 32),
    Cipher.AES192_GCM: _CipherFacts("2.16.840.1.101.3.4.1.26", 24),
    Cipher.AES128_GCM: _CipherFacts("2.16.840.1.101.3.4.1.6", 16),
    Cipher.TRIPLE_DES_CBC: _CipherFacts("1.2.840.113549.3.7", 24),
}
_BY_OID = {facts.oid: cipher for cipher, facts in _CIPHERS.items()}


class KeyTransport(StrEnum):
    """How the content key travels, by the names that agreements use. OAEP with SHA-1 is read and never written."""

    RSA_V15 = "rsa-v1.5"
    OAEP_SHA256 = "rsa-oaep"
    OAEP_SHA1 = "rsa-oaep-sha1"

    @property
    def oid(self) -> str:
        return _RSA_ENCRYPTION if self is KeyTransport.RSA_V15 else _RSAES_OAEP


_RSA_ENCRYPTION, _RSAES_OAEP = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A document as it was before it was sealed, and how it was sealed."""

    content: bytes
    cipher: Cipher
    key_transport: KeyTransport
    certificate: x509.Certificate  # our own: the one it was sealed for


# --- seal -----------------------------------------------------------------------------------------------------------


def _tlv(tag: int, *parts: bytes) -> bytes:
    """Return one DER element: tag, definite length, the parts."""
    size = sum(map(len, parts))
    if size < 0x80:
        head = bytes((tag, size))
    else:
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        head = bytes((tag, 0x80 | len(octets))) + octets
    return b"".join((head, *parts))


_SEQUENCE, _SET, _INTEGER, _OCTETS, _CONTEXT_0, _EXPLICIT_0 = 0x30, 0x31, 0x02, 0x04, 0x80, 0xA0
_VERSION_0 = _tlv(_INTEGER, b"\0")
_DATA = core.ObjectIdentifier("1.2.840.113549.1.7.1").dump()
_ENVELOPED = core.ObjectIdentifier("1.2.840.113549.1.7.3").dump()
_AUTH_ENVELOPED = core.ObjectIdentifier("1.2.840.113549.1.9.16.1.23").dump()
_SHA256 = _tlv(_SEQUENCE, core.ObjectIdentifier("2.16.840.1.101.3.4.2.1").dump(), core.Null().dump())
_MGF1 = core.ObjectIdentifier("1.2.840.113549.1.1.8").dump()

# What stands in the message for each key transport that we write (RFC 8017 A.1, A.2.1), and the padding that it means.
_TRANSPORT_OUT = {
    KeyTransport.RSA_V15: _tlv(_SEQUENCE, core.ObjectIdentifier(_RSA_ENCRYPTION).dump(), core.Null().dump()),
    KeyTransport.OAEP_SHA256: _tlv(
        _SEQUENCE,
        core.ObjectIdentifier(_RSAES_OAEP).dump(),
        _tlv(_SEQUENCE, _tlv(_EXPLICIT_0, _SHA256), _tlv(_EXPLICIT_0 | 1, _tlv(_SEQUENCE, _MGF1, _SHA256))),
    ),
}
# The ciphers that we write.
_CIPHERS_OUT = {cipher: core.ObjectIdentifier(cipher.oid).dump() for cipher in (Cipher.AES256_CBC, Cipher.AES256_GCM)}


def seal(
    content: bytes,
    recipient: x509.Certificate,
    *,
    random: Callable[[int], bytes],
    key_transport: KeyTransport = KeyTransport.RSA_V15,
    cipher: Cipher = Cipher.AES256_CBC,
) -> bytes:
    """Return `content` sealed for the owner of `recipient`, in DER.

    EnvelopedData (RFC 5652 section 6) for CBC, AuthEnvelopedData (RFC 5083) for GCM. Content key and nonce come from
    `random`, called with a number of bytes; the padding of the key transport is drawn by the cryptographic library.

    Raises PartnerUnusable for a certificate without an RSA key; ValueError for a cipher or key transport that we only
    read. Whether the certificate may be used at all is `certificates.usable`, which the caller asks first.
    """
    transport = _TRANSPORT_OUT.get(key_transport)
    if transport is None or cipher not in _CIPHERS_OUT:
        raise ValueError(f"{key_transport} with {cipher} is read, never written")
    public = recipient.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        raise PartnerUnusable(
            "the partner's certificate has no RSA key",
            error_id="MB-2006",
            hint="ask for an RSA certificate",
        )
    key = random(cipher.key_size)
    encrypted_key = _tlv(_OCTETS, public.encrypt(key, _padding(key_transport)))
    recipients = _tlv(_SET, _tlv(_SEQUENCE, _recipient(recipient), transport, encrypted_key))
    sealed, parameters, tag = (_encrypt_gcm if cipher.authenticated else _encrypt_cbc)(key, content, random)
    algorithm = _tlv(_SEQUENCE, _CIPHERS_OUT[cipher], parameters)
    info = _tlv(_SEQUENCE, _DATA, algorithm, _tlv(_CONTEXT_0, sealed))
    kind = _AUTH_ENVELOPED if cipher.authenticated else _ENVELOPED
    return _tlv(_SEQUENCE, kind, _tlv(_EXPLICIT_0, _tlv(_SEQUENCE, _VERSION_0, recipients, info, tag)))


def _encrypt_cbc(key: bytes, content: bytes, random: Callable[[int], bytes]) -> tuple[bytes, bytes, bytes]:
    """Return ciphertext, parameters (RFC 3565 section 4.1) and no tag."""
    vector, padder = random(16), PKCS7(128).padder()
    encryptor = BlockCipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    return sealed, _tlv(_OCTETS, vector), b""


def _encrypt_gcm(key: bytes, content: bytes, random: Callable[[int], bytes]) -> tuple[bytes, bytes, bytes]:
    """Return ciphertext, parameters (RFC 5084 section 3.2) and the tag as a field."""
    nonce = random(_GCM_NONCE)
    encryptor = BlockCipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    sealed = encryptor.update(content) + encryptor.finalize()
    parameters = _tlv(_SEQUENCE, _tlv(_OCTETS, nonce), _tlv(_INTEGER, bytes((_GCM_TAG,))))
    return sealed, parameters, _tlv(_OCTETS, encryptor.tag)


@lru_cache(maxsize=1024)
def _recipient(certificate: x509.Certificate) -> bytes:
    """Return version and issuerAndSerialNumber of a recipient. Built once a certificate: it costs more than RSA."""
    issuer, serial = _issuer_and_serial(certificate)
    return _VERSION_0 + _tlv(_SEQUENCE, issuer, core.Integer(serial).dump())


@lru_cache(maxsize=1024)
def _issuer_and_serial(certificate: x509.Certificate) -> tuple[bytes, int]:
    """Return the issuer as its own bytes say it (string types and all), and the serial number."""
    parsed = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    return parsed["tbs_certificate"]["issuer"].dump(), certificate.serial_number


def _padding(transport: KeyTransport, mask: KeyTransport | None = None) -> padding.AsymmetricPadding:
    """Return the RSA padding; `mask` is the OAEP variant whose digest the mask is made with, where it is another."""
    if transport is KeyTransport.RSA_V15:
        return padding.PKCS1v15()
    return padding.OAEP(mgf=padding.MGF1(_digest(mask or transport)), algorithm=_digest(transport), label=None)


def _digest(oaep: KeyTransport) -> hashes.HashAlgorithm:
    # SHA-1 is no weakness in OAEP, which needs no resistance to collisions (RFC 8017 B.1).
    return hashes.SHA256() if oaep is KeyTransport.OAEP_SHA256 else hashes.SHA1()  # noqa: S303


# --- open -----------------------------------------------------------------------------------------------------------


def looks_like_cms(data: bytes) -> bool:
    """Return whether `data` begins as CMS EnvelopedData or AuthEnvelopedData does. No key is used for it.

    Some senders put plain XML under the label of a ciphertext: that is a fault of its own, seen before any key is.
    """
    if data[:1] != b"\x30" or len(data) < 2:
        return False
    # Short and indefinite lengths take one byte, long ones say how many follow (X.690 8.1.3).
    start = 2 + (data[1] & 0x7F if data[1] > 0x80 else 0)
    return data.startswith((_ENVELOPED, _AUTH_ENVELOPED), start)


def open_(
    data: bytes, keys: Sequence[DecryptionKey], *, random: Callable[[int], bytes], allow_3des: bool = False
) -> Opened:
    """Return what `data` holds, opened with the one of `keys` that it was sealed for.

    `random` (called with a number of bytes) gives the key that stands in for one that does not come out of the
    RSA step, so that a bad key fails where a bad content fails (RFC 3218 section 2.3.2). About one ciphertext in 256
    with such a key ends in right CBC padding and gives noise instead of an error: CBC proves nothing, the caller
    must take only what verifies or validates. GCM gives nothing before its tag has held.

    Raises CannotOpen for every fault there is, with the same sentence and no cause.
    """
    try:
        return _open(data, keys, random, allow_3des)
    except MemoryError:
        raise  # our fault, not the sender's
    except Exception:  # whatever the parser raises at hostile bytes: another answer to it would be an oracle
        refusal = CannotOpen(CANNOT_OPEN)
    raise refusal  # out here, so that no cause hangs on it


class _GcmParameters(core.Sequence):  # type: ignore[misc] # asn1crypto has no types
    """RFC 5084 section 3.2; asn1crypto does not know it."""

    _fields = [("nonce", core.OctetString), ("tag_size", core.Integer, {"default": 12})]


def _open(data: bytes, keys: Sequence[DecryptionKey], random: Callable[[int], bytes], allow_3des: bool) -> Opened:
    bound(data)
    message = asn1.ContentInfo.load(data, strict=True)
    envelope, authenticated = message["content"], _AUTHENTICATED[message["content_type"].native]
    info = envelope["auth_encrypted_content_info" if authenticated else "encrypted_content_info"]
    algorithm = info["content_encryption_algorithm"]
    cipher = _BY_OID[algorithm["algorithm"].dotted]
    if cipher.authenticated != authenticated or info["content_type"].native != "data":
        raise CannotOpen(CANNOT_OPEN)
    if cipher is Cipher.TRIPLE_DES_CBC and not allow_3des:
        raise CannotOpen(CANNOT_OPEN)
    recipient, ours = _ours(envelope["recipient_infos"], keys)
    transport, pad = _transport(recipient["key_encryption_algorithm"])
    decrypt = _gcm(envelope, algorithm["parameters"]) if authenticated else _cbc(cipher, algorithm["parameters"])
    sealed = octets(info["encrypted_content"])
    # Nothing above has used a key, and what follows fails late and alike whether the content key is right or not.
    key = _content_key(ours, octets(recipient["encrypted_key"]), pad, cipher.key_size, random)
    return Opened(content=decrypt(key, sealed), cipher=cipher, key_transport=transport, certificate=ours.certificate)


_AUTHENTICATED = {"enveloped_data": False, "authenticated_enveloped_data": True}


def _ours(infos: asn1.RecipientInfos, keys: Sequence[DecryptionKey]) -> tuple[asn1.KeyTransRecipientInfo, KeyPair]:
    """Return the first recipient that is one of ours. Names are compared by their bytes first: it is 500 us cheaper."""
    if len(infos.contents) > MAX_SMALL:
        raise CannotOpen(CANNOT_OPEN)
    named = []
    for info in infos:
        if info.name == "ktri" and info.chosen["rid"].name == "issuer_and_serial_number":
            rid = info.chosen["rid"].chosen
            named.append((info.chosen, rid["issuer"], rid["serial_number"].native))
    ours = [(key, *_issuer_and_serial(key.certificate)) for key in keys]
    same_serial = [
        (recipient, name, key, issuer)
        for recipient, name, serial in named
        for key, issuer, our_serial in ours
        if serial == our_serial
    ]
    for recipient, name, key, issuer in same_serial:
        if name.dump() == issuer:
            return recipient, key
    for recipient, name, key, issuer in same_serial:
        if name == asn1_x509.Name.load(issuer):  # RFC 5280 section 7.1: case, blanks and string types do not matter
            return recipient, key
    raise CannotOpen(CANNOT_OPEN)


def _transport(algorithm: asn1.KeyEncryptionAlgorithm) -> tuple[KeyTransport, padding.AsymmetricPadding]:
    """Return the key transport that the message names. OAEP may have another digest in its mask (Java's habit)."""
    if algorithm["algorithm"].dotted == _RSA_ENCRYPTION:
        return KeyTransport.RSA_V15, _padding(KeyTransport.RSA_V15)
    parameters = algorithm["parameters"]
    mask = parameters["mask_gen_algorithm"]
    if (
        algorithm["algorithm"].dotted != _RSAES_OAEP
        or mask["algorithm"].native != "mgf1"
        or parameters["p_source_algorithm"]["parameters"].native != b""
    ):
        raise CannotOpen(CANNOT_OPEN)
    transport = _OAEP[parameters["hash_algorithm"]["algorithm"].native]
    return transport, _padding(transport, _OAEP[mask["parameters"]["algorithm"].native])


_OAEP = {"sha256": KeyTransport.OAEP_SHA256, "sha1": KeyTransport.OAEP_SHA1}


def _content_key(
    ours: KeyPair, encrypted: bytes, pad: padding.AsymmetricPadding, size: int, random: Callable[[int], bytes]
) -> bytes:
    """Return the content key, or a random one of the same size where the RSA step gives none of that size."""
    instead = random(size)  # drawn always, so that the right way and the wrong way take the same steps
    try:
        key = ours.private_key.decrypt(encrypted, pad)
    except ValueError:
        return instead
    return key if len(key) == size else instead


def _cbc(cipher: Cipher, parameters: core.OctetString) -> Callable[[bytes, bytes], bytes]:
    algorithm = TripleDES if cipher is Cipher.TRIPLE_DES_CBC else algorithms.AES
    mode = modes.CBC(octets(parameters))

    def decrypt(key: bytes, sealed: bytes) -> bytes:
        decryptor = BlockCipher(algorithm(key), mode).decryptor()
        unpadder = PKCS7(algorithm.block_size).unpadder()
        padded = decryptor.update(sealed) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()

    return decrypt


def _gcm(envelope: asn1.AuthEnvelopedData, parameters: core.Any) -> Callable[[bytes, bytes], bytes]:
    gcm, tag = parameters.parse(spec=_GcmParameters), octets(envelope["mac"])
    if len(tag) != gcm["tag_size"].native:
        raise CannotOpen(CANNOT_OPEN)
    mode = modes.GCM(octets(gcm["nonce"]), tag, min_tag_length=_GCM_TAG_MIN)
    associated = _associated(envelope["auth_attrs"])

    def decrypt(key: bytes, sealed: bytes) -> bytes:
        decryptor = BlockCipher(algorithms.AES(key), mode).decryptor()
        decryptor.authenticate_additional_data(associated)
        return decryptor.update(sealed) + decryptor.finalize()  # finalize raises before anything is returned

    return decrypt


def _associated(attributes: asn1.CMSAttributes | core.Void) -> bytes:
    """Return what a tag covers besides the content: the attributes in DER, as a SET OF (RFC 5083 section 2.2)."""
    if isinstance(attributes, core.Void):
        return b""
    if len(attributes.contents) > MAX_SMALL:
        raise CannotOpen(CANNOT_OPEN)
    return bytes(attributes.untag().dump(force=True))
