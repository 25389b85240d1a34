"""A key that is the same in every run, so that ciphertexts can be kept. It is made from a number, and kept nowhere."""

from functools import cache
from random import Random

from cryptography.hazmat.primitives.asymmetric import rsa

from broker.sealing.certificates import Use, new_certificate
from broker.sealing.keys import KeyPair
from tests.certificates import NOT_AFTER, NOT_BEFORE

_EXPONENT = 65537
_SMALL = [number for number in range(3, 2_000, 2) if all(number % divisor for divisor in range(3, number, 2))]


@cache
def fixed_key(number: int = 8000101, use: Use = Use.ENCRYPT) -> KeyPair:
    """Return the key pair of that number. It protects nothing: anybody can make it."""
    chance = Random(number)
    p, q = _prime(chance), _prime(chance)
    private = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=private,
        dmp1=rsa.rsa_crt_dmp1(private, p),
        dmq1=rsa.rsa_crt_dmq1(private, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(_EXPONENT, p * q),
    )
    key = numbers.private_key()
    certificate = new_certificate("Fuzz", "314159265", use, NOT_BEFORE, NOT_AFTER, key, serial=number)
    return KeyPair(private_key=key, certificate=certificate)


def _prime(chance: Random) -> int:
    """Return a number of 1,024 bits that is prime beyond doubt (Fermat to ten bases, on random numbers)."""
    while True:
        number = chance.getrandbits(1024) | 3 << 1022 | 1
        if (number - 1) % _EXPONENT == 0 or not all(number % small for small in _SMALL):
            continue
        if all(pow(base, number - 1, number) == 1 for base in _SMALL[:10]):
            return number
