"""A signed envelope, a signed document, and a way to change one thing in them: where the signature tests start."""

import base64
import re
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from broker.envelope import xml
from broker.envelope.signature import STRICT, SignaturePolicy, Verified, sign_document, sign_envelope, verify_envelope
from broker.envelope.xmldsig import ACTOR_NEXT, ACTOR_NEXT_MSH
from broker.sealing.certificates import Use, new_certificate
from broker.sealing.keys import KeyPair
from tests.certificates import NOT_AFTER, NOT_BEFORE, rsa_key
from tests.oracles.xmldsig_engines import MAX_BYTES, OURS, SHAPES, PythonXmlsec, Shape, parts_of, template, unsigned

SHAPE = Shape(
    name="two small parts and a SyncReply",
    parts=2,
    part_bytes=100,
    left_out='<{eb}SyncReply {eb}version="2.0" {soap}:mustUnderstand="1" {soap}:actor="' + ACTOR_NEXT + '"/>',
)
PARTS = parts_of(SHAPE)
FIRST, SECOND = PARTS
ORIGINAL = sign_envelope(unsigned(SHAPE), PARTS, OURS)
DOCUMENT = next(shape for shape in SHAPES if shape.name == "document")
SIGNED_DOCUMENT = sign_document(unsigned(DOCUMENT), OURS)

NEXT = f'SOAP:actor="{ACTOR_NEXT}"'
NEXT_MSH = f'SOAP:actor="{ACTOR_NEXT_MSH}"'

WEAK = KeyPair(
    private_key=rsa_key("weak", 1024),
    certificate=new_certificate(
        "Weak", "314159265", Use.SIGN, NOT_BEFORE, NOT_AFTER, rsa_key("weak", 1024), serial=1024
    ),
)


@dataclass(frozen=True)
class Case:
    """One change of a valid original, by regular expression, and the reason that the refusal must give."""

    name: str
    where: str
    by: str
    why: str

    def __str__(self) -> str:
        return self.name


def change(where: str, by: str, data: bytes = ORIGINAL) -> bytes:
    """Return `data` with the one place that the pattern finds replaced."""
    text, count = re.subn(where, by, data.decode(), flags=re.DOTALL)
    assert count == 1, f"the pattern finds {count} places"
    return text.encode()


def found(where: str) -> str:
    """Return the text of the original that the pattern finds."""
    match = re.search(where, ORIGINAL.decode(), flags=re.DOTALL)
    assert match is not None
    return match[0]


def signed_by_sender(where: str, by: str, **shape: Any) -> bytes:
    """Return the envelope signed by the sender's own key after its template was changed in one place."""
    changed = replace(SHAPE, **shape)
    return PythonXmlsec().fill(change(where, by, template(changed)), changed, OURS)


def verify(data: bytes, parts: dict[str, bytes] = PARTS, *, policy: SignaturePolicy = STRICT) -> Verified:
    """Return what holds of an envelope by the sender's certificate."""
    document = xml.parse(data, max_bytes=MAX_BYTES)
    return verify_envelope(document, parts, trusted=[OURS.certificate], policy=policy)


def der(key: KeyPair) -> str:
    """Return a certificate as it stands in KeyInfo."""
    return base64.b64encode(key.certificate.public_bytes(Encoding.DER)).decode()


def trace(actor: str, inside: str) -> str:
    """Return a header entry of someone else."""
    return f'<t:Trace xmlns:t="urn:trace" {actor}>{inside}</t:Trace>'
