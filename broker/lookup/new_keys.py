"""New keys with self-signed certificates, written where `key_files` reads them: for tests, and until real ones come."""

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from broker.lookup.files import PRIVATE, PUBLIC, write_new
from broker.lookup.key_files import ENCRYPTION, SIGNING
from broker.sealing.certificates import Use, new_certificate

_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKeys:
    """Where the new files stand. The certificates are for the partners, the keys for nobody."""

    signing_key: Path
    signing_certificate: Path
    encryption_key: Path
    encryption_certificate: Path


def new_keys(
    folder: Path,
    *,
    organisation: str,
    name: str,
    now: datetime,
    bits: int = 3072,
    days: int = 730,
    passphrase: bytes | None = None,
    starts: date | None = None,
) -> NewKeys:
    """Make a signing and an encryption key of `bits` for an organisation, each with a certificate for `days` days.

    They stand in `folder`/`organisation`; a generation that is there already stays, and the new one gets the next
    number, or `starts`: the day from which it is to sign. Key files are for their owner alone (0600). Raises OSError,
    and ValueError for a wrong organisation number.
    """
    own = folder / organisation
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    suffix = _next_generation(own) if starts is None else f"-{starts:%Y-%m-%d}"
    signing = _pair(own / f"{SIGNING}{suffix}", Use.SIGN, organisation, name, now, bits, days, passphrase)
    encryption = _pair(own / f"{ENCRYPTION}{suffix}", Use.ENCRYPT, organisation, name, now, bits, days, passphrase)
    return NewKeys(
        signing_key=signing[0],
        signing_certificate=signing[1],
        encryption_key=encryption[0],
        encryption_certificate=encryption[1],
    )


def _next_generation(own: Path) -> str:
    taken = {path.stem for path in own.iterdir()}
    suffixes = ["", *(f"-{number}" for number in range(2, len(taken) + 3))]
    return next(suffix for suffix in suffixes if not {SIGNING + suffix, ENCRYPTION + suffix} & taken)


def _pair(
    stem: Path, use: Use, organisation: str, name: str, now: datetime, bits: int, days: int, passphrase: bytes | None
) -> tuple[Path, Path]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    begin = now - _CLOCKS_DIFFER
    certificate = new_certificate(
        name, organisation, use, begin, now + timedelta(days=days), key, serial=secrets.randbits(158) + 1
    )
    closed: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    key_file, certificate_file = stem.with_suffix(".pem"), stem.with_suffix(".crt")
    # The certificate first: a key without one is named as a fault, a certificate alone is nothing yet.
    write_new(certificate_file, certificate.public_bytes(Encoding.PEM), mode=PUBLIC)
    write_new(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed), mode=PRIVATE)
    return key_file, certificate_file
