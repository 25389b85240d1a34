"""Our CMS against engines that others wrote: `python -m tests.oracles.cms` prints the table, and fails if a cell does.

Rows are key transport and cipher, columns oracle and direction. A number is how many sealings went through the cell,
one a size, each with a control that must not open. A letter is a reason, printed below, why the cell is empty.
SABOTAGE=name plants one of SABOTAGES; the table must then fail. CMS_SIZES=0,16 takes these sizes of content (bytes).
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from asn1crypto import cms as asn1
from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import pkcs7

from broker.errors import CannotOpen
from broker.sealing import cms
from broker.sealing.certificates import Use
from broker.sealing.cms import Cipher, KeyTransport, looks_like_cms, open_, seal
from tests.certificates import key_pair

SIZES = (0, 1, 15, 16, 10_000, 1_000_000)
FLOOR_CELLS = 80

OURS, OTHER = key_pair("Fjordvik kommune", Use.ENCRYPT), key_pair("Dalbygda kommune", Use.ENCRYPT)

# The transports of the table. The last is what Java's default OAEP with SHA-256 means: the mask is made with SHA-1.
V15, OAEP1, OAEP256, OAEP256_MASK1 = "v1.5", "OAEP SHA-1", "OAEP SHA-256", "OAEP SHA-256/MGF1 SHA-1"
TRANSPORTS = (V15, OAEP1, OAEP256, OAEP256_MASK1)
READ_AS = {
    V15: KeyTransport.RSA_V15,
    OAEP1: KeyTransport.OAEP_SHA1,
    OAEP256: KeyTransport.OAEP_SHA256,
    OAEP256_MASK1: KeyTransport.OAEP_SHA256,
}
CIPHERS = tuple(Cipher)
WRITTEN = {(t, c) for t in (V15, OAEP256) for c in (Cipher.AES256_CBC, Cipher.AES256_GCM)}

REASONS = {
    "a": "we read this and never write it (algorithms.py: out)",
    "b": "cryptography's PKCS7 has RSA v1.5 with AES-128-CBC and AES-256-CBC only",
    "c": "-stream is a way of writing; the same program reads in the column before",
    "d": "this openssl cannot stream AuthEnvelopedData (test_cms_open.py rewrites GCM as BER)",
}


@dataclass
class Table:
    """What was executed, cell by cell, and what went wrong."""

    cells: dict[tuple[str, Cipher, str, str], int | str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    controls: int = 0

    def executed(self) -> int:
        return sum(isinstance(cell, int) for cell in self.cells.values())


class Empty(Exception):
    """A cell that cannot be executed; carries the letter of the reason."""


class OpensslCms:
    """The `openssl cms` program, writing DER, or BER with -stream."""

    def __init__(self, folder: Path, *, stream: bool) -> None:
        self.name = "openssl -stream" if stream else "openssl cms"
        self._stream = stream
        self._certificate, self._key = folder / "certificate.pem", folder / "key.pem"
        self._certificate.write_bytes(OURS.certificate.public_bytes(serialization.Encoding.PEM))
        self._key.write_bytes(
            OURS.private_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    _CIPHER = {Cipher.TRIPLE_DES_CBC: "-des3"} | {
        cipher: f"-aes-{cipher.key_size * 8}-{cipher[-3:]}" for cipher in CIPHERS if cipher is not Cipher.TRIPLE_DES_CBC
    }
    _PADDING = {
        V15: (),
        OAEP1: ("rsa_padding_mode:oaep", "rsa_oaep_md:sha1"),
        OAEP256: ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256"),
        OAEP256_MASK1: ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha1"),
    }

    def seal(self, content: bytes, transport: str, cipher: Cipher) -> bytes:
        options = [argument for option in self._PADDING[transport] for argument in ("-keyopt", option)]
        stream = ["-stream"] if self._stream else []
        to: list[str | Path] = ["-recip", self._certificate, *options]
        try:
            sealed = self._run("-encrypt", *stream, self._CIPHER[cipher], *to, into=content)
        except subprocess.CalledProcessError:
            if self._stream and cipher.authenticated:  # fills up by itself where a newer openssl can
                raise Empty("d") from None
            raise
        assert not self._stream or not content or sealed[1] == 0x80, "openssl -stream was to write BER"
        return sealed

    def open(self, data: bytes) -> bytes:
        if self._stream:
            raise Empty("c")
        return self._run("-decrypt", "-recip", self._certificate, "-inkey", self._key, into=data)

    @staticmethod
    def _run(way: str, *options: str | Path, into: bytes) -> bytes:
        form = "-inform" if way == "-decrypt" else "-outform"
        command = ["openssl", "cms", way, "-binary", form, "DER", *map(str, options)]
        return subprocess.run(command, input=into, capture_output=True, check=True, timeout=60).stdout


class CryptographyPkcs7:
    """cryptography's own PKCS7, which we do not use: it has no OAEP, no GCM, and reads no BER."""

    name = "cryptography"
    _CIPHER: dict[Cipher, Any] = {Cipher.AES128_CBC: algorithms.AES128, Cipher.AES256_CBC: algorithms.AES256}

    def seal(self, content: bytes, transport: str, cipher: Cipher) -> bytes:
        if transport != V15 or cipher not in self._CIPHER:
            raise Empty("b")
        builder = pkcs7.PKCS7EnvelopeBuilder().set_data(content).add_recipient(OURS.certificate)
        builder = builder.set_content_encryption_algorithm(self._CIPHER[cipher])
        return builder.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])

    def open(self, data: bytes) -> bytes:
        kind = asn1.ContentInfo.load(data)
        transport = kind["content"]["recipient_infos"][0].chosen["key_encryption_algorithm"]["algorithm"].native
        if kind["content_type"].native != "enveloped_data" or transport != "rsaes_pkcs1v15":
            raise Empty("b")
        return pkcs7.pkcs7_decrypt_der(data, OURS.certificate, OURS.private_key, [])


class GcmParameters(core.Sequence):  # type: ignore[misc] # asn1crypto has no types
    _fields = [("nonce", core.OctetString), ("tag_size", core.Integer, {"default": 12})]


class Asn1Structure:
    """The whole structure as asn1crypto objects, field by field, around primitives of cryptography."""

    name = "asn1crypto"
    _OAEP = {
        V15: None,
        OAEP1: ("sha1", hashes.SHA1(), "sha1", hashes.SHA1()),
        OAEP256: ("sha256", hashes.SHA256(), "sha256", hashes.SHA256()),
        OAEP256_MASK1: ("sha256", hashes.SHA256(), "sha1", hashes.SHA1()),
    }

    def seal(self, content: bytes, transport: str, cipher: Cipher) -> bytes:
        key = os.urandom(cipher.key_size)
        certificate = asn1_x509.Certificate.load(OURS.certificate.public_bytes(serialization.Encoding.DER))
        pad, algorithm = self._transport(transport)
        recipient = asn1.KeyTransRecipientInfo(
            {
                "version": "v0",
                "rid": asn1.RecipientIdentifier(
                    name="issuer_and_serial_number",
                    value={"issuer": certificate.issuer, "serial_number": certificate.serial_number},
                ),
                "key_encryption_algorithm": algorithm,
                "encrypted_key": OURS.certificate.public_key().encrypt(key, pad),  # type: ignore[union-attr] # RSA
            }
        )
        recipients = [asn1.RecipientInfo(name="ktri", value=recipient)]
        if cipher.authenticated:
            nonce = os.urandom(12)
            encryptor = BlockCipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
            parameters: Any = GcmParameters({"nonce": nonce, "tag_size": 16})
        else:
            nonce = os.urandom(8 if cipher is Cipher.TRIPLE_DES_CBC else 16)
            block = TripleDES(key) if cipher is Cipher.TRIPLE_DES_CBC else algorithms.AES(key)
            encryptor = BlockCipher(block, modes.CBC(nonce)).encryptor()  # type: ignore[assignment] # either
            padder = PKCS7(block.block_size).padder()
            content = padder.update(content) + padder.finalize()
            parameters = core.OctetString(nonce)
        info = {
            "content_type": "data",
            "content_encryption_algorithm": {"algorithm": cipher.oid, "parameters": parameters},
            "encrypted_content": encryptor.update(content) + encryptor.finalize(),
        }
        if cipher.authenticated:
            body = {"version": "v0", "recipient_infos": recipients, "auth_encrypted_content_info": info}
            kind, value = "authenticated_enveloped_data", asn1.AuthEnvelopedData(body | {"mac": encryptor.tag})
        else:
            body = {"version": "v0", "recipient_infos": recipients, "encrypted_content_info": info}
            kind, value = "enveloped_data", asn1.EnvelopedData(body)
        return bytes(asn1.ContentInfo({"content_type": kind, "content": value}).dump())

    def _transport(self, transport: str) -> tuple[rsa_padding.AsymmetricPadding, dict[str, Any]]:
        oaep = self._OAEP[transport]
        if oaep is None:
            return rsa_padding.PKCS1v15(), {"algorithm": "rsaes_pkcs1v15"}
        name, digest, mask_name, mask = oaep
        parameters = {
            "hash_algorithm": {"algorithm": name},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": mask_name}},
        }
        pad = rsa_padding.OAEP(mgf=rsa_padding.MGF1(mask), algorithm=digest, label=None)
        return pad, {"algorithm": "rsaes_oaep", "parameters": parameters}

    def open(self, data: bytes) -> bytes:
        message = asn1.ContentInfo.load(data, strict=True)
        assert message.dump(force=True) == data, "what we wrote is not what DER makes of it"
        envelope = message["content"]
        authenticated = message["content_type"].native == "authenticated_enveloped_data"
        info = envelope["auth_encrypted_content_info" if authenticated else "encrypted_content_info"]
        assert envelope["version"].native == "v0"
        assert len(envelope["recipient_infos"]) == 1
        recipient = envelope["recipient_infos"][0].chosen
        rid = recipient["rid"].chosen
        assert rid["serial_number"].native == OURS.certificate.serial_number
        assert rid["issuer"].dump() == OURS.certificate.issuer.public_bytes()
        transport = V15 if recipient["key_encryption_algorithm"]["algorithm"].native == "rsaes_pkcs1v15" else OAEP256
        key = OURS.private_key.decrypt(recipient["encrypted_key"].native, self._transport(transport)[0])
        algorithm, sealed = info["content_encryption_algorithm"], info["encrypted_content"].native
        if authenticated:
            gcm = algorithm["parameters"].parse(spec=GcmParameters)
            assert gcm["tag_size"].native == 16
            mode = modes.GCM(gcm["nonce"].native, envelope["mac"].native)
            opener = BlockCipher(algorithms.AES(key), mode).decryptor()
            return opener.update(sealed) + opener.finalize()
        decryptor = BlockCipher(algorithms.AES(key), modes.CBC(algorithm["parameters"].native)).decryptor()
        unpadder = PKCS7(128).unpadder()
        return unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()


# --- the cells ------------------------------------------------------------------------------------------------------


def run(sizes: Sequence[int] = SIZES) -> Table:
    """Execute every cell and return the table."""
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        oracles: list[Any] = [
            OpensslCms(Path(folder), stream=False),
            OpensslCms(Path(folder), stream=True),
            CryptographyPkcs7(),
            Asn1Structure(),
        ]
        for transport in TRANSPORTS:
            for cipher in CIPHERS:
                for oracle in oracles:
                    for way, cell in (("reads", _they_seal), ("writes", _we_seal)):
                        key = (transport, cipher, oracle.name, way)
                        try:
                            table.cells[key] = sum(cell(table, oracle, transport, cipher, size) for size in sizes)
                        except Empty as empty:
                            table.cells[key] = str(empty)
                        except (
                            Exception
                        ) as fault:  # any failure of any engine is one red cell, not the end of the table
                            table.cells[key] = "FAILED"
                            table.faults.append(f"{' / '.join(key)}: {type(fault).__name__}: {_first_line(fault)}")
    return table


def _first_line(fault: Exception) -> str:
    detail = fault.stderr.decode() if isinstance(fault, subprocess.CalledProcessError) else str(fault)
    return detail.partition("\n")[0]


def _they_seal(table: Table, oracle: Any, transport: str, cipher: Cipher, size: int) -> int:
    content = os.urandom(size)
    data = oracle.seal(content, transport, cipher)
    assert looks_like_cms(data), "does not look like CMS"
    opened = open_(data, [OTHER, OURS], random=os.urandom, allow_3des=True)
    assert opened.content == content, "other content"
    assert (opened.cipher, opened.key_transport) == (cipher, READ_AS[transport]), "other algorithms"
    assert opened.certificate == OURS.certificate, "other recipient"
    _control(table, data, content, cipher)
    return 1


def _we_seal(table: Table, oracle: Any, transport: str, cipher: Cipher, size: int) -> int:
    if (transport, cipher) not in WRITTEN:
        raise Empty("a")
    content = os.urandom(size)
    data = seal(content, OURS.certificate, random=os.urandom, key_transport=READ_AS[transport], cipher=cipher)
    assert oracle.open(data) == content, "other content"
    _control(table, data, content, cipher)
    return 1


def _control(table: Table, data: bytes, content: bytes, cipher: Cipher) -> None:
    """The same bytes with the last one of content or tag changed, or for another key, must not open to the content."""
    message = asn1.ContentInfo.load(data)
    if cipher.authenticated:
        tag = message["content"]["mac"].native
        changed = data.replace(tag, tag[:-1] + bytes((tag[-1] ^ 1,)))
        assert _content(changed, OURS) is None, "a changed tag went unseen"
    else:
        end = message["content"]["encrypted_content_info"]["encrypted_content"].native[-8:]  # within the last chunk
        assert data.count(end) == 1
        assert _content(data.replace(end, end[:-1] + bytes((end[-1] ^ 1,))), OURS) != content, "a change went unseen"
    assert _content(data, OTHER) is None, "opened with another's key"
    table.controls += 2


def _content(data: bytes, key: cms.DecryptionKey) -> bytes | None:
    """Return what `data` opens to, or None where it does not."""
    try:
        return open_(data, [key], random=os.urandom, allow_3des=True).content
    except CannotOpen:
        return None


# --- planted faults -------------------------------------------------------------------------------------------------


def _wrong_padding() -> Any:
    class Zeros(PKCS7):
        def padder(self) -> Any:
            size = -1

            class Padder:
                def update(self, data: bytes) -> bytes:
                    nonlocal size
                    size = len(data)
                    return data

                def finalize(self) -> bytes:
                    return bytes(16 - size % 16)

            return Padder()

    return mock.patch.object(cms, "PKCS7", Zeros)


def _accept_any_tag() -> Any:
    def unauthenticated(envelope: Any, parameters: Any) -> Callable[[bytes, bytes], bytes]:
        nonce = parameters.parse(spec=GcmParameters)["nonce"].native

        def decrypt(key: bytes, sealed: bytes) -> bytes:
            counter = modes.CTR(nonce + (2).to_bytes(4, "big"))
            return BlockCipher(algorithms.AES(key), counter).decryptor().update(sealed)

        return decrypt

    return mock.patch.object(cms, "_gcm", unauthenticated)


def _any_recipient() -> Any:
    real = cms._ours
    return mock.patch.object(cms, "_ours", lambda infos, keys: (real(infos, [OURS])[0], keys[0]))


def _wrong_serial() -> Any:
    return mock.patch.object(cms, "_issuer_and_serial", lambda certificate: (certificate.issuer.public_bytes(), 42))


def _no_chunks() -> Any:
    return mock.patch.object(cms, "octets", lambda string: bytes(string.contents))


SABOTAGES: dict[str, Callable[[], Any]] = {
    "wrong-padding": _wrong_padding,
    "accept-any-tag": _accept_any_tag,
    "any-recipient": _any_recipient,
    "wrong-serial": _wrong_serial,
    "no-chunks": _no_chunks,
}


@contextmanager
def sabotage(name: str) -> Iterator[None]:
    """Plant the fault of that name; none for an empty name."""
    if not name:
        yield
        return
    cms._recipient.cache_clear()
    with SABOTAGES[name]():
        yield
    cms._recipient.cache_clear()


# --- the printed table ----------------------------------------------------------------------------------------------


def show(table: Table) -> str:
    """Return the table as text."""
    columns = list(dict.fromkeys((oracle, way) for _, _, oracle, way in table.cells))
    lines = [f"{'':36}" + "".join(f"{oracle:>17}" for oracle, _ in columns)]
    lines.append(f"{'':36}" + "".join(f"{'we ' + way[:-1]:>17}" for _, way in columns))
    for transport in TRANSPORTS:
        for cipher in CIPHERS:
            cells = "".join(f"{table.cells[transport, cipher, *column]!s:>17}" for column in columns)
            lines.append(f"{transport:24}{cipher:12}{cells}")
    lines += [f"  {letter}: {reason}" for letter, reason in REASONS.items()]
    sealings = sum(cell for cell in table.cells.values() if isinstance(cell, int))
    lines.append(f"executed: {table.executed()} cells, {sealings} sealings, {table.controls} controls")
    return "\n".join([*lines, *(f"FAILED {fault}" for fault in table.faults)])


def main() -> int:
    """Print the table; return 0 when every cell that can be executed passed, and enough were executed."""
    sizes = os.environ.get("CMS_SIZES")
    with sabotage(os.environ.get("SABOTAGE", "")):
        table = run([int(size) for size in sizes.split(",")] if sizes else SIZES)
    print(show(table))
    if table.executed() < FLOOR_CELLS:
        print(f"FAILED: {table.executed()} cells executed, at least {FLOOR_CELLS} are expected")
        return 1
    return 1 if table.faults else 0


if __name__ == "__main__":
    sys.exit(main())
