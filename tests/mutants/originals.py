"""The signed messages that are mutated: ours, those of a real engine, those that peers write, and ill-signed ones.

An ill-signed original (it has a `flaw`) is well signed by XMLDSig and less than our profile demands: it is never
believed, and neither is any mutant of it. The keys are made from numbers, so that a seed gives the same mutants again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256, shake_256
from pathlib import Path

from cryptography import x509
from lxml import etree

from broker.envelope import mime
from broker.envelope.ebms import Envelope, Kind
from broker.envelope.ebms_build import build
from broker.envelope.names import cid
from broker.envelope.signature import STRICT, SignaturePolicy, sign_document, sign_envelope
from broker.envelope.xml import c14n, parse
from broker.envelope.xmldsig import (
    ACTOR_NEXT,
    C14N,
    EBMS_XPATH,
    ENVELOPED,
    SHA256,
    XPATH,
    Reference,
    append_signature,
)
from broker.sealing.certificates import Use
from broker.sealing.keys import KeyPair
from tests.fuzz.fixed_key import fixed_key
from tests.interop.capture import FOLDER, body_of, certificate
from tests.judging import DOCUMENTS
from tests.mutants.message import Message, take_apart
from tests.oracles.xmldsig_engines import (
    MAX_BYTES,
    SHAPES,
    XPATH_TEXT,
    PythonXmlsec,
    Shape,
    parts_of,
    template,
    unsigned,
)
from tests.unit.envelope.envelopes import ALL

SENDER, STRANGER = fixed_key(8000101, Use.SIGN), fixed_key(8000202, Use.SIGN)

CAPTURED = (
    "message-signed.request",
    "message-best-effort.request",
    "sync-message-signed.request",
    "message-signed-svar.request",
    "handmade-message-accepted.request",
    "acknowledgment-signed.request",
    "sync-message-signed.response",
    "handmade-acknowledgment-accepted.request",
    "handmade-message-accepted-acknowledgment.request",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A signed message, whose certificate is trusted, and by which rules. A document stands alone, without MIME."""

    name: str
    message: Message
    certificate: x509.Certificate
    policy: SignaturePolicy = STRICT
    document: bool = False
    flaw: str = ""


@cache
def originals() -> tuple[Original, ...]:
    """Return all of them, the same in every process."""
    return (*_ours(), *_captures(), *_of_peers(), *_documents(), *_ill_signed())


@cache
def of_same_signer(name: str) -> tuple[Original, ...]:
    """Return the other originals that the signer of the one of that name made."""
    signer = next(one.certificate for one in originals() if one.name == name)
    return tuple(one for one in originals() if one.certificate == signer and one.name != name)


def _octets(name: str, size: int = 400) -> bytes:
    return shake_256(name.encode()).digest(size)


def _multipart(root: bytes, parts: Mapping[str, bytes]) -> Message:
    pieces = [mime.ciphertext(name, data) for name, data in parts.items()]
    made = mime.build(root, pieces, boundary="0123456789abcdef", root_id="root@fjordvik.example")
    return take_apart(made.content_type, made.body)


# --- ours ---


def _ours() -> list[Original]:
    made = []
    for count in range(4):
        for sync in (False, True):
            name = f"ours: {count} parts{', sync' * sync}"
            parts = {f"p-{at}@fjordvik.example": _octets(f"{name} {at}") for at in range(count)}
            user = ALL[Kind.USER_MESSAGE]
            header = replace(user.header, message_id=f"m-{count}{sync}@fjordvik.example", conversation_id=f"c-{count}")
            made.append(_signed(name, replace(user, header=header, sync_reply=sync, manifest=tuple(parts)), parts))
    signals = {kind: envelope for kind, envelope in ALL.items() if kind is not Kind.USER_MESSAGE}
    return [*made, *(_signed(f"ours: {kind}", envelope, {}) for kind, envelope in signals.items())]


def _signed(name: str, envelope: Envelope, parts: Mapping[str, bytes]) -> Original:
    root = sign_envelope(build(envelope), parts, SENDER)
    return Original(name=name, message=_multipart(root, parts), certificate=SENDER.certificate)


# --- theirs ---


def _captures() -> list[Original]:
    made = []
    for name in CAPTURED:
        message = take_apart(*body_of(name))
        signer = "b" if "svar" in name or ("acknowledgment" in name and "handmade-acknow" not in name) else "a"
        signer = "b" if name.endswith(".response") else signer
        made.append(Original(name=f"capture: {name}", message=message, certificate=certificate(signer)))
    assert {f"capture: {path.name}" for path in Path(FOLDER).glob("*signed.request")} - {one.name for one in made} == {
        "capture: message-unsigned.request",
        "capture: acknowledgment-unsigned.request",
    }
    return made


def _small(shape: Shape) -> Shape:
    return replace(shape, part_bytes=300)


def _peer(shape: Shape, data: bytes | None = None, *, flaw: str = "") -> Original:
    """Return what an engine of others signs: the shape, or a template of it that was changed."""
    # Each says something of its own, or one's signature would be good for another.
    own = sha256(shape.name.encode()).hexdigest()[:8].encode()
    unfilled = (template(shape) if data is None else data).replace(b"m-1@", b"m-%s@" % own)
    root = PythonXmlsec().fill(unfilled.replace(b"DIALOG_HELSEFAGLIG", b"DIALOG_%s" % own), shape, SENDER)
    message = take_apart("text/xml", root) if shape.document else _multipart(root, parts_of(shape))
    return Original(
        name=f"{'ill-signed' if flaw else 'peer'}: {shape.name}",
        message=message,
        certificate=SENDER.certificate,
        policy=shape.policy,
        document=shape.document,
        flaw=flaw,
    )


def _of_peers() -> list[Original]:
    return [_peer(_small(shape)) for shape in SHAPES if shape.part_bytes < 1_000_000]


# --- documents ---


def _documents() -> list[Original]:
    files = ("dialog-1.0-foresporsel.xml", "dialog-1.0-svar-latin1.xml", "apprec-1.1-ok.xml", "apprec-1.0-avvist.xml")
    return [
        Original(
            name=f"document: {name}",
            message=take_apart("text/xml", sign_document((DOCUMENTS / name).read_bytes(), SENDER)),
            certificate=SENDER.certificate,
            document=True,
        )
        for name in files
    ]


# --- ill-signed ---

# Nearly the XPath of ebMS, and other in what it leaves out.
NEARLY = {
    "capitals in an actor": XPATH_TEXT.replace("schemas.xmlsoap", "Schemas.XMLsoap"),
    "a blank in an actor": XPATH_TEXT.replace("actor/next", "actor/ next"),
    "a blank behind both actors": XPATH_TEXT.replace('next"]', 'next "]').replace('MSH"]', 'MSH "]'),
    "capitals in the path of an actor": XPATH_TEXT.replace("schemas.xmlsoap.org/soap", "schemas.xmlsoap.org/SOAP"),
    "prefix bound elsewhere": XPATH_TEXT.replace("@SOAP:", "@other:"),
    "no prefix": XPATH_TEXT.replace("@SOAP:", "@"),
    "self only": XPATH_TEXT.replace("ancestor-or-self::", "self::"),
    "one half": XPATH_TEXT.partition(" | ")[0] + ")",
    "more left out": XPATH_TEXT.removesuffix(")") + ' | ancestor-or-self::node()[local-name()="Description"])',
    "everything": "true()",
}
_TRACE = '<t:Trace xmlns:t="urn:trace" {soap}:actor="' + ACTOR_NEXT + '">way</t:Trace>'
_FOR_NEXT = '<{eb}ErrorList {eb}version="2.0" {eb}highestSeverity="Error" {soap}:actor="' + ACTOR_NEXT + '"><{eb}Error '
_FOR_NEXT += '{eb}errorCode="Unknown" {eb}severity="Warning" {eb}location="here"/></{eb}ErrorList>'


def _ill_signed() -> list[Original]:
    made = []
    for name, xpath in NEARLY.items():
        # What stands there for next is signed by some of these XPaths, and by others is not.
        shape = Shape(name=f"XPath, {name}", parts=1, part_bytes=300, xpath=xpath)
        bound = template(shape).replace(b"<ds:XPath ", b'<ds:XPath xmlns:other="urn:other" ')
        made.append(_peer(shape, bound, flaw="xpath"))
    two = Shape(name="second part without Reference", parts=2, part_bytes=300)
    made.append(_peer(two, _without_reference(template(two), 1), flaw="parts"))
    one = Shape(name="no part with Reference", parts=1, part_bytes=300)
    made.append(_peer(one, _without_reference(template(one), 0), flaw="parts"))
    made.append(_peer(Shape(name="an ErrorList for next", part_bytes=300, left_out=_FOR_NEXT), flaw="left out"))
    made.append(_peer(Shape(name="no XPath, not agreed", part_bytes=300, xpath=None), flaw="policy"))
    sha1 = next(shape for shape in SHAPES if shape.name == "ebms, rsa-sha1")
    made.append(_peer(replace(_small(sha1), name="rsa-sha1, not agreed", policy=STRICT), flaw="policy"))
    return [*made, _transformed()]


def _without_reference(data: bytes, part: int) -> bytes:
    start = data.index(f'<ds:Reference URI="cid:payload-{part}'.encode())
    end = data.index(b"</ds:Reference>", start) + len(b"</ds:Reference>")
    return data[:start] + data[end:]


def _transformed() -> Original:
    """A part whose canonical form is signed, and not its bytes."""
    shape = Shape(name="a part signed in canonical form", part_bytes=300)
    (name,) = parts_of(shape)
    content = b'<a b="1"><!-- c -->text</a>'
    root = parse(unsigned(shape), max_bytes=MAX_BYTES).root
    part = parse(content, max_bytes=MAX_BYTES).root
    references = [
        Reference(uri=uri, digest_method=SHA256, digest_value=sha256(c14n(node)).digest(), transforms=how, xpath=xpath)
        for uri, node, how, xpath in (
            ("", root, (ENVELOPED, XPATH, C14N), EBMS_XPATH),
            (cid(name), part, (C14N,), None),
        )
    ]
    append_signature(root[0], references, SENDER)
    message = _multipart(etree.tostring(root, encoding="utf-8"), {name: b""})
    (empty,) = message.parts
    return Original(
        name=f"ill-signed: {shape.name}",
        message=message.parted(empty.carrying(content, "8bit")),
        certificate=SENDER.certificate,
        flaw="transform",
    )


def key_of(original: Original) -> KeyPair:
    """Return the certificate of an original as the engines want it: the private key beside it is not looked at."""
    return KeyPair(private_key=SENDER.private_key, certificate=original.certificate)
