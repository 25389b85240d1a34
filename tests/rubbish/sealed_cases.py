"""Ciphertexts and compressed contents made to be dear: ASN.1 without end, and gzip that unpacks to the disk's size."""

import gzip
import zlib
from collections.abc import Iterator
from functools import cache
from random import Random

from broker.sealing.certificates import Use
from broker.sealing.cms import Cipher, seal
from broker.sealing.keys import KeyPair
from tests.certificates import key_pair
from tests.rubbish.case import MB, WORD, Case, constant

CANNOT = frozenset({"CannotOpen"})
MIME = frozenset({"MimeProblem"})
READ: frozenset[str] = frozenset()
_ENVELOPED = bytes.fromhex("06092a864886f70d010703")


@cache
def ours() -> KeyPair:
    """Return the key that honest ciphertexts are sealed for."""
    return key_pair("Fjordvik kommune", Use.ENCRYPT)


def cases() -> tuple[Case, ...]:
    """Return them all."""
    return (*_gzip(), *_cms())


def sealed(content: bytes, cipher: Cipher = Cipher.AES256_CBC) -> bytes:
    """Return a ciphertext for us."""
    return seal(content, ours().certificate, random=Random(7).randbytes, cipher=cipher)


def _gzip() -> Iterator[Case]:
    deep = zlib.compress(b"")
    for _ in range(3):
        deep = gzip.compress(deep + b"\0" * (10 * MB), mtime=0)
    zeros = gzip.compress(b"\0" * (300 * MB), 9, mtime=0)
    bombs = {
        "300 MB of nothing": (zeros, "unpacks to more"),
        "one byte over 35 MB": (gzip.compress(Random(1).randbytes(MB) * 35 + b"x", 9, mtime=0), "unpacks to more"),
        "101 times its size": (gzip.compress(b"\0" * 200_000, 9, mtime=0), "unpacks to more"),
        "gzip in gzip in gzip": (deep, "unpacks to more"),
        "cut off": (gzip.compress(WORD.encode() * 99, mtime=0)[:-9], "cut off"),
        "a wrong sum": (gzip.compress(WORD.encode() * 9, mtime=0)[:-8] + b"\0" * 8, "looks like"),
        "two members": (gzip.compress(b"a", mtime=0) * 2, "cut off"),
        "a tail": (gzip.compress(b"a", mtime=0) + WORD.encode(), "cut off"),
        "a file name of 5 MB": (b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"n" * (5 * MB), "cut off"),
        "two bytes": (b"\x1f\x8b", "cut off"),
        "a strange method": (b"\x1f\x8b\x09" + b"\0" * 40, "looks like"),
    }
    for name, (data, why) in bombs.items():
        yield Case(name=name, group="gzip", reader="gzip", make=constant(data), refused=MIME, why=why)
    honest = gzip.compress(b"<a/>" * 50, mtime=0)
    yield Case(name="an honest content", group="gzip", reader="gzip", make=constant(honest), refused=READ)
    large = gzip.compress(Random(1).randbytes(MB) * 35, 9, mtime=0)
    yield Case(name="35 MB to the byte", group="gzip", reader="gzip", make=constant(large), refused=READ)


def _cms() -> Iterator[Case]:
    honest = sealed(b"<a/>" * 100)
    body = honest[4:]
    wrong = {
        "nothing": b"",
        "a length without its octets": b"\x30\x84\xff\xff\xff\xff" + _ENVELOPED,
        "a length of 127 octets": b"\x30\xff" + b"\xff" * 200,
        "a length beyond the end": b"\x30\x82\xff\xff" + body,
        "indefinite without end": b"\x30\x80" + _ENVELOPED + b"\xa0\x80" * 1000,
        "50,000 deep": b"\x30\x80" * 50_000,
        "a million elements": b"\x30\x84" + (2_000_000).to_bytes(4, "big") + b"\x05\x00" * 1_000_000,
        "5 MB of nothing": b"\0" * (5 * MB),
        "a tag without end": b"\x3f" + b"\xff" * MB,
        "cut in the middle": honest[: len(honest) // 2],
        "cut by one byte": honest[:-1],
        "a byte behind": honest + b"\0",
        "for someone else": seal(
            b"<a/>", key_pair("Dalbygda kommune", Use.ENCRYPT).certificate, random=Random(7).randbytes
        ),
        "a changed GCM tag": sealed(b"<a/>", Cipher.AES256_GCM)[:-1] + b"\xff",
        "signed and not enveloped": honest.replace(_ENVELOPED, bytes.fromhex("06092a864886f70d010702")),
        "XML under the label": f"<a>{WORD}</a>".encode(),
        "random bytes": Random(3).randbytes(100_000),
    }
    for name, data in wrong.items():
        yield Case(name=name, group="cms", reader="cms", make=constant(data), refused=CANNOT, why="cannot be opened")
    yield Case(name="an honest ciphertext", group="cms", reader="cms", make=constant(honest), refused=READ)
    yield Case(name="35 MB sealed", group="cms", reader="cms", make=lambda _: sealed(b"x" * (35 * MB)), refused=READ)
