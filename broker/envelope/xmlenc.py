"""XML Encryption: recognised, so that an operator reads what came, and never decrypted.

Some engines encrypt a payload so, and sign the plaintext. Our agreements have CMS (HIS 1037), and a second way to have
a key used by whoever can write a message is not worth its risk.
"""

import re

from lxml import etree

from broker.envelope.names import ds
from broker.envelope.xml import MB, parse
from broker.errors import Refused

_XENC = "http://www.w3.org/2001/04/xmlenc#"
_SNIFFED = 4096  # bytes: where the root's name stands
_FRAGMENT = re.compile(r"[A-Za-z0-9._-]{1,40}")


def described(payload: bytes) -> str | None:
    """Return what an xenc:EncryptedData says of itself: algorithm, and the name of the key that it is for.

    None where the payload is something else. What it says is cut to a few harmless characters.
    """
    if b"EncryptedData" not in payload[:_SNIFFED]:
        return None
    try:
        root = parse(payload, max_bytes=52 * MB).root
    except Refused:
        return None
    if root.tag != f"{{{_XENC}}}EncryptedData":
        return None
    names = [*root.iter(ds("KeyName")), *root.iter(ds("X509SubjectName"))]
    key = next((_harmless(name.text or "") for name in names), "a key without a name")
    return f"XML Encryption with {_algorithm(root)}, for {key}"


def _algorithm(root: etree._Element) -> str:
    method = root.find(f"{{{_XENC}}}EncryptionMethod")
    named = (method.get("Algorithm") or "") if method is not None else ""
    fragment = re.split(r"[#/]", named)[-1]
    return fragment if _FRAGMENT.fullmatch(fragment) else "an algorithm that we do not know"


def _harmless(name: str) -> str:
    text = " ".join(name.split())[:80]
    return f'"{text}"' if text and text.isprintable() else "a key without a name"
