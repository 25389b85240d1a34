"""The faults that can be planted in a reader, to show that the fuzzers find them."""

import binascii
import time
from typing import Any

from broker.envelope import mime, xml
from broker.receipts import apprec
from tests.fuzz.bounds import SLOWEST

NAMES = ("", "foreign-error", "endless", "free-text")


def plant(name: str) -> None:
    """Change this process so that it has the fault. Raises KeyError for a name that is none."""
    {"": lambda: None, "foreign-error": _foreign_error, "endless": _endless, "free-text": _free_text}[name]()


def _foreign_error() -> None:
    """Bad base64 is let out as binascii says it."""
    told: Any = mime
    honest = told._decode

    def decode(body: bytes, encoding: str) -> bytes:
        if encoding.strip().lower() == "base64":
            return binascii.a2b_base64(body.translate(None, b"\r\n \t"), strict_mode=True)
        decoded: bytes = honest(body, encoding)
        return decoded

    told._decode = decode


def _endless() -> None:
    """A document with a long run of one letter takes time without measure."""
    told: Any = xml
    honest = told.parse

    def parse(data: bytes, **given: Any) -> xml.Xml:
        if b"A" * 200 in data:
            until = time.thread_time() + 2 * SLOWEST
            while time.thread_time() < until:
                sum(range(1_000_000))
        document: xml.Xml = honest(data, **given)
        return document

    told.parse = parse


def _free_text() -> None:
    """Whatever stands in a receipt is shown as its code."""
    told: Any = apprec
    told._SHOWN_CODE = told.re.compile(r"(?s).*")
