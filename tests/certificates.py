"""Throw-away keys and certificates for tests: made when asked for, kept as long as the process lives."""

from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa

from broker.sealing.certificates import Use, new_certificate
from broker.sealing.keys import KeyPair

NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2029, 1, 1, tzinfo=UTC)


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the key of that name: the same one each time."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def key_pair(name: str, use: Use) -> KeyPair:
    """Return the key of that name with a self-signed certificate for `use`, valid from 2026 to 2029."""
    key = rsa_key(f"{name} {use}")
    serial = int.from_bytes(name.encode()) % 2**64 * 4 + (1 if use is Use.SIGN else 3)
    certificate = new_certificate(name, "314159265", use, NOT_BEFORE, NOT_AFTER, key, serial=serial)
    return KeyPair(private_key=key, certificate=certificate)
