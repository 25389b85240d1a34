"""The dated list: who may use what, until when, by whose exception."""

from datetime import date

import pytest

from broker.envelope.signature import WITH_SHA1
from broker.message import Direction
from broker.sealing.algorithms import ALGORITHMS, BY_ID, allowed
from broker.sealing.cms import Cipher, KeyTransport

TODAY = date(2026, 11, 22)
RSA_SHA1, RSA_SHA256 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"


def test_no_algorithm_stands_twice() -> None:
    assert len(BY_ID) == len(ALGORITHMS)
    assert len({algorithm.name for algorithm in ALGORITHMS}) == len(ALGORITHMS)


def test_what_ends_can_be_excepted_and_what_does_not_end_needs_no_switch() -> None:
    for algorithm in ALGORITHMS:
        assert (algorithm.in_until is None) == (algorithm.switch is None), algorithm.name


def test_we_send_nothing_that_ends() -> None:
    assert {a.name for a in ALGORITHMS if a.out} == {
        "rsa-sha256",
        "sha256",
        "aes256-cbc",
        "aes256-gcm",
        "rsaes-pkcs1-v1_5",
        "rsaes-oaep",
    }
    assert not [a for a in ALGORITHMS if a.out and a.in_until]


def test_the_list_promises_no_signature_that_we_can_not_read() -> None:
    listed = {algorithm.id for algorithm in ALGORITHMS if "://" in algorithm.id}
    assert listed == WITH_SHA1.signature_methods | WITH_SHA1.digest_methods


@pytest.mark.parametrize("name", [*Cipher, *KeyTransport])
def test_every_algorithm_of_cms_stands_in_the_list(name: Cipher | KeyTransport) -> None:
    assert name.oid in BY_ID
    if isinstance(name, Cipher):
        assert BY_ID[name.oid].name == name.value


@pytest.mark.parametrize(
    ("algorithm", "direction", "on", "exceptions", "expected"),
    [
        (RSA_SHA256, Direction.OUT, TODAY, (), True),
        (RSA_SHA256, Direction.IN, TODAY, (), True),
        (RSA_SHA1, Direction.IN, TODAY, (), False),
        (RSA_SHA1, Direction.IN, TODAY, ("sha1-in",), True),
        (RSA_SHA1, Direction.IN, TODAY, ("3des-in",), False),
        (RSA_SHA1, Direction.IN, date(2013, 12, 31), (), True),
        (RSA_SHA1, Direction.IN, date(2014, 1, 1), (), False),
        (RSA_SHA1, Direction.OUT, TODAY, ("sha1-in",), False),
        (Cipher.TRIPLE_DES_CBC.oid, Direction.IN, TODAY, ("3des-in",), True),
        (Cipher.TRIPLE_DES_CBC.oid, Direction.IN, TODAY, (), False),
        (Cipher.AES128_CBC.oid, Direction.IN, TODAY, (), True),
        (Cipher.AES128_CBC.oid, Direction.OUT, TODAY, (), False),
        ("http://www.w3.org/2000/09/xmldsig#dsa-sha1", Direction.IN, TODAY, ("sha1-in",), False),
        ("", Direction.IN, TODAY, (), False),
    ],
)
def test_allowed(algorithm: str, direction: Direction, on: date, exceptions: tuple[str, ...], expected: bool) -> None:
    assert allowed(algorithm, direction, on, exceptions) is expected
