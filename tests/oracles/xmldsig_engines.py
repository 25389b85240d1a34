"""Signatures of any shape, and the engines of others that make and check them: for the table, and for unit tests.

A shape is data: one way in which someone signs. `original` gives what is to be signed, `template` the same with an
empty ds:Signature of that shape in its place, for an engine to fill in.
"""

import io
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import xmlsec
from cryptography.hazmat.primitives import serialization
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.exceptions import InvalidDigest, InvalidSignature
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from broker.envelope import names, xml
from broker.envelope.signature import STRICT, WITH_SHA1, SignaturePolicy
from broker.envelope.xmldsig import ACTOR_NEXT, ACTOR_NEXT_MSH, C14N, EXC_C14N, RSA_SHA1, RSA_SHA256, SHA1, SHA256
from broker.sealing.certificates import Use
from broker.sealing.keys import KeyPair
from tests.certificates import key_pair

MAX_BYTES = 50_000_000
OURS = key_pair("Fjordvik kommune", Use.SIGN)
OTHER = key_pair("Dalbygda kommune", Use.SIGN)

XPATH_TEXT = (
    f'not(ancestor-or-self::node()[@SOAP:actor="{ACTOR_NEXT_MSH}"] | '
    f'ancestor-or-self::node()[@SOAP:actor="{ACTOR_NEXT}"])'
)
PART = "payload-{}@fjordvik.example"
PLACE = "<!--signature-->"  # replaced by the template; no signature covers a comment


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One way to sign. `ours`: a shape that we write ourselves, of this original."""

    name: str
    ours: bool = False
    document: bool = False
    parts: int = 1
    part_bytes: int = 12_000
    soap: str = "SOAP"
    eb: str | None = "eb"
    ds: str | None = "ds"
    xpath: str | None = XPATH_TEXT
    c14n: str = C14N
    reference_c14n: str | None = C14N
    method: str = RSA_SHA256
    digest: str = SHA256
    left_out: str = ""  # header entries that the XPath leaves out
    key_info: bool = True
    encoding: str = "utf-8"
    more: str = ""  # attributes of the document element
    prolog: str = ""
    policy: SignaturePolicy = STRICT


_LEFT_OUT = (
    '<{eb}SyncReply {eb}version="2.0" {soap}:mustUnderstand="1" {soap}:actor="' + ACTOR_NEXT + '"/>\n'
    '<t:Trace xmlns:t="urn:trace" {soap}:actor="' + ACTOR_NEXT_MSH + '">way<t:Point/></t:Trace> tail of it'
)
_SERVICE = '<t:Trace xmlns:t="urn:trace" {soap}:actor="urn:oasis:names:tc:ebxml-msg:service:nextMSH">way</t:Trace>'

SHAPES = (
    Shape(name="ebms, one part", ours=True),
    Shape(name="ebms, no part: a signal", ours=True, parts=0),
    Shape(name="ebms, two parts", ours=True, parts=2),
    Shape(name="ebms, part of 2 MB", ours=True, part_bytes=2_000_000),
    Shape(name="ebms, entries for next and nextMSH", ours=True, left_out=_LEFT_OUT),
    Shape(
        name="ebms, prefix soap, xml:lang, unused prefix", ours=True, soap="soap", more='xml:lang="nb" xmlns:u="urn:u"'
    ),
    Shape(name="ebms, xml:lang, exclusive", c14n=EXC_C14N, more='xml:lang="nb" xmlns:u="urn:u"'),
    Shape(name="ebms, XPath without blanks, SOAP-ENV", soap="SOAP-ENV", xpath=XPATH_TEXT.replace(" | ", "|")),
    Shape(name="ebms, XPath over lines, apostrophes", xpath=XPATH_TEXT.replace(" ", "\n\t ").replace('"', "'")),
    Shape(
        name="ebms, XPath of service:nextMSH",
        xpath=XPATH_TEXT.replace("actor:nextMSH", "service:nextMSH"),
        left_out=_SERVICE,
    ),
    Shape(name="ebms, Signature in the default namespace", ds=None),
    Shape(name="ebms, C14N with comments", c14n=f"{C14N}#WithComments", reference_c14n=f"{C14N}#WithComments"),
    Shape(name="ebms, exclusive C14N", c14n=EXC_C14N, reference_c14n=EXC_C14N, left_out=_LEFT_OUT),
    Shape(
        name="ebms, exclusive with comments", c14n=f"{EXC_C14N}WithComments", reference_c14n=f"{EXC_C14N}WithComments"
    ),
    Shape(name="ebms, no XPath", xpath=None, policy=SignaturePolicy(without_xpath=True)),
    Shape(
        name="ebms, no XPath, rsa-sha1, default ns", xpath=None, method=RSA_SHA1, digest=SHA1, ds=None, policy=WITH_SHA1
    ),
    Shape(name="ebms, rsa-sha1", method=RSA_SHA1, digest=SHA1, policy=WITH_SHA1),
    Shape(name="ebms, no KeyInfo", key_info=False),
    Shape(name="ebms, SOAP is the default namespace too", more=f'xmlns="{names.SOAP}"'),
    Shape(name="document", ours=True, document=True, xpath=None, parts=0),
    Shape(name="document, ISO-8859-1", ours=True, document=True, xpath=None, parts=0, encoding="iso-8859-1"),
    Shape(
        name="document, instruction in prolog", ours=True, document=True, xpath=None, parts=0, prolog="<?keep this?>\n"
    ),
    Shape(name="document, enveloped only", document=True, xpath=None, parts=0, reference_c14n=None),
    Shape(name="document, exclusive C14N", document=True, xpath=None, parts=0, c14n=EXC_C14N, reference_c14n=EXC_C14N),
    Shape(name="document, default ns Signature", document=True, xpath=None, parts=0, ds=None),
    Shape(
        name="document, rsa-sha1", document=True, xpath=None, parts=0, method=RSA_SHA1, digest=SHA1, policy=WITH_SHA1
    ),
)


def parts_of(shape: Shape) -> dict[str, bytes]:
    """Return the MIME parts of an envelope, by Content-ID: bytes of every value."""
    return {PART.format(i): bytes((i + j * 7) % 256 for j in range(shape.part_bytes)) for i in range(shape.parts)}


def original(shape: Shape) -> bytes:
    """Return what is to be signed, with PLACE where a signature goes."""
    if shape.document:
        text = (
            f'<?xml version="1.0" encoding="{shape.encoding}"?>\n{shape.prolog}<!-- not signed -->\n'
            f'<MsgHead xmlns="{names.MSGHEAD}" xmlns:xsi="{names.XSI}">\n\t<MsgInfo>\r\n<Type V="DIALOG_HELSEFAGLIG"/>'
            '<Name a="1 &amp; 2">Åse Ærlig Ødegård &lt;&#13;<![CDATA[<x>]]><!-- gone --></Name></MsgInfo>\n'
            f'<Document><d:X xmlns:d="urn:d" xmlns=""><y/></d:X></Document>\n{PLACE}</MsgHead>\n<!-- </end> -->\n'
        )
        return text.encode(shape.encoding)
    eb = f"{shape.eb}:" if shape.eb else ""
    declared = f'xmlns:{shape.eb}="{names.EB}"' if shape.eb else f'xmlns="{names.EB}"'
    manifest = "".join(
        f'<{eb}Reference xlink:type="simple" xlink:href="{names.cid(name)}"/>' for name in parts_of(shape)
    )
    body = f'<{eb}Manifest {eb}version="2.0">{manifest}</{eb}Manifest>' if manifest else ""
    declared += f' xmlns:xlink="{names.XLINK}" {shape.more}'
    return f"""<{shape.soap}:Envelope xmlns:{shape.soap}="{names.SOAP}" {declared}>
 <{shape.soap}:Header><{eb}MessageHeader {shape.soap}:mustUnderstand="1" {eb}version="2.0">
  <{eb}From><{eb}PartyId {eb}type="HER">8000101</{eb}PartyId><{eb}Role>Kommune</{eb}Role></{eb}From>
  <{eb}To><{eb}PartyId {eb}type="HER">8000202</{eb}PartyId><{eb}Role>Kommune</{eb}Role></{eb}To>
  <{eb}CPAId>fjordvik:dalbygda:1</{eb}CPAId><{eb}ConversationId>c-1</{eb}ConversationId>
  <{eb}Service {eb}type="string">Dialog</{eb}Service><{eb}Action>Møte &amp; svar</{eb}Action>
  <{eb}MessageData><{eb}MessageId>m-1@fjordvik.example</{eb}MessageId><{eb}Timestamp>2026-11-22T01:00:00Z</{eb}Timestamp></{eb}MessageData>
  <{eb}DuplicateElimination/>
 </{eb}MessageHeader>
 <{eb}AckRequested {shape.soap}:mustUnderstand="1" {eb}version="2.0" {eb}signed="true"/>
 {shape.left_out.format(soap=shape.soap, eb=eb)}
 {PLACE}</{shape.soap}:Header><{shape.soap}:Body>{body}</{shape.soap}:Body></{shape.soap}:Envelope>""".encode(
        shape.encoding
    )


def unsigned(shape: Shape) -> bytes:
    """Return what is to be signed, for an engine that puts its signature in place itself."""
    return original(shape).replace(PLACE.encode(), b"")


def template(shape: Shape) -> bytes:
    """Return what is to be signed, with an empty ds:Signature of this shape in its place."""
    p = f"{shape.ds}:" if shape.ds else ""
    declared = f'xmlns:{shape.ds}="{names.DS}"' if shape.ds else f'xmlns="{names.DS}"'
    transforms = f'<{p}Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>'
    if shape.xpath:
        expression = shape.xpath.replace("SOAP:", f"{shape.soap}:")
        transforms += (
            f'<{p}Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">\n<{p}XPath '
            f'xmlns:{shape.soap}="{names.SOAP}">{expression}</{p}XPath></{p}Transform>'
        )
    if shape.reference_c14n:
        transforms += f'<{p}Transform Algorithm="{shape.reference_c14n}"/>'
    references = "".join(
        f'<{p}Reference URI="{uri}">{inside}<{p}DigestMethod Algorithm="{shape.digest}"/>'
        f"<{p}DigestValue></{p}DigestValue></{p}Reference>\n"
        for uri, inside in [
            ("", f"<{p}Transforms>{transforms}</{p}Transforms>"),
            *((names.cid(name), "") for name in parts_of(shape)),
        ]
    )
    key_info = f"<{p}KeyInfo><{p}X509Data/></{p}KeyInfo>" if shape.key_info else ""
    signature = (
        f'<{p}Signature {declared}><{p}SignedInfo>\n<{p}CanonicalizationMethod Algorithm="{shape.c14n}"/>'
        f'<{p}SignatureMethod Algorithm="{shape.method}"/>{references}</{p}SignedInfo>'
        f"<{p}SignatureValue/>{key_info}</{p}Signature>"
    )
    return original(shape).replace(PLACE.encode(), signature.encode())


class Cannot(Exception):
    """The engine cannot do this shape; carries the letter of the reason."""


class Engine(Protocol):
    """An implementation of XMLDSig by others."""

    name: str

    def sign(self, shape: Shape, key: KeyPair) -> bytes:
        """Return the original of that shape, signed. Raises Cannot."""

    def verify(self, shape: Shape, data: bytes, parts: Mapping[str, bytes], key: KeyPair) -> bool:
        """Return whether the signature holds by that certificate. Raises Cannot."""


def _pem(key: KeyPair) -> bytes:
    return key.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(key: KeyPair) -> bytes:
    return key.certificate.public_bytes(serialization.Encoding.PEM)


def _read(data: bytes) -> etree._Element:
    return xml.parse(data, max_bytes=MAX_BYTES).root


def _written(root: etree._Element, shape: Shape) -> bytes:
    out = io.BytesIO()
    root.getroottree().write(out, encoding=shape.encoding)
    return out.getvalue()


def _signature(root: etree._Element) -> etree._Element:
    return next(root.iter(names.ds("Signature")))


class PythonXmlsec:
    """libxmlsec1 as bundled with python-xmlsec: it evaluates the XPath."""

    name = "python-xmlsec"

    def sign(self, shape: Shape, key: KeyPair) -> bytes:
        return self.fill(template(shape), shape, key)

    def fill(self, data: bytes, shape: Shape, key: KeyPair) -> bytes:
        """Return `data` with its empty ds:Signature filled in."""
        root = _read(data)
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(_pem(key), xmlsec.constants.KeyDataFormatPem)
        context.key.load_cert_from_memory(_certificate(key), xmlsec.constants.KeyDataFormatPem)
        with self._parts(parts_of(shape)):
            context.sign(_signature(root))
        return _written(root, shape)

    def verify(self, shape: Shape, data: bytes, parts: Mapping[str, bytes], key: KeyPair) -> bool:
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(_certificate(key), xmlsec.constants.KeyDataFormatCertPem)
        with self._parts(parts):
            try:
                context.verify(_signature(_read(data)))
            except xmlsec.Error:
                return False
        return True

    @staticmethod
    @contextmanager
    def _parts(parts: Mapping[str, bytes]) -> Iterator[None]:
        """Let `cid:` URIs, and nothing else, be read from `parts`. The callbacks are those of the whole process."""
        by_uri = {names.cid(name).encode(): data for name, data in parts.items()}

        def opened(uri: bytes) -> Any:
            return io.BytesIO(by_uri[uri])

        xmlsec.cleanup_callbacks()
        xmlsec.register_callbacks(
            lambda uri: uri in by_uri,
            opened,
            lambda stream, buffer: stream.readinto(buffer),
            lambda stream: stream.close(),
        )
        try:
            yield
        finally:
            xmlsec.cleanup_callbacks()


class Xmlsec1:
    """The `xmlsec1` program of the system, an older libxmlsec1 on another libxml2."""

    name = "xmlsec1"

    def sign(self, shape: Shape, key: KeyPair) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "key.pem").write_bytes(_pem(key))
            (place / "cert.pem").write_bytes(_certificate(key))
            options = ["--privkey-pem", f"{place}/key.pem,{place}/cert.pem"]
            done = self._run("--sign", options, place, template(shape), parts_of(shape))
            if done.returncode:
                raise AssertionError(done.stderr.decode().partition("\n")[0])
            return done.stdout

    def verify(self, shape: Shape, data: bytes, parts: Mapping[str, bytes], key: KeyPair) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "cert.pem").write_bytes(_certificate(key))
            # Without the second option it would use the KeyValue inside the signature, whatever key we name.
            options = ["--pubkey-cert-pem", f"{place}/cert.pem", "--enabled-key-data", "key-name"]
            return not self._run("--verify", options, place, data, parts).returncode

    @staticmethod
    def _run(
        way: str, options: list[str], place: Path, data: bytes, parts: Mapping[str, bytes]
    ) -> subprocess.CompletedProcess[bytes]:
        (place / "in.xml").write_bytes(data)
        maps: list[str] = []
        for number, (name, part) in enumerate(parts.items()):
            (place / str(number)).write_bytes(part)
            maps += [f"--url-map:{names.cid(name)}", f"{place}/{number}"]
        command = ["xmlsec1", way, *options, *maps, str(place / "in.xml")]
        return subprocess.run(command, capture_output=True, check=False, timeout=60)


class Signxml:
    """signxml, in Python: it knows no XPath transform and no reference to a part when it signs."""

    name = "signxml"
    _SHORT = {RSA_SHA256: "rsa-sha256", SHA256: "sha256"}

    def sign(self, shape: Shape, key: KeyPair) -> bytes:
        if not shape.document:
            raise Cannot("b")
        if shape.method == RSA_SHA1:
            raise Cannot("d")
        if shape.reference_c14n != shape.c14n or shape.ds is None:
            raise Cannot("e")
        if shape.prolog:
            raise Cannot("f")
        signer = XMLSigner(
            method=SignatureConstructionMethod.enveloped,
            signature_algorithm=self._SHORT[shape.method],
            digest_algorithm=self._SHORT[shape.digest],
            c14n_algorithm=shape.c14n,
        )
        root = signer.sign(_read(unsigned(shape)), key=_pem(key), cert=_certificate(key).decode())
        return _written(root, shape)

    def verify(self, shape: Shape, data: bytes, parts: Mapping[str, bytes], key: KeyPair) -> bool:
        if shape.left_out:
            raise Cannot("c")
        if shape.prolog:
            raise Cannot("f")
        if "xml:lang" in shape.more and shape.c14n == C14N:
            raise Cannot("g")
        by_uri = {names.cid(name): part for name, part in parts.items()}
        try:
            XMLVerifier().verify(
                _read(data),
                x509_cert=_certificate(key).decode(),
                uri_resolver=by_uri.__getitem__,
                expect_config=SignatureConfiguration(
                    require_x509=False,
                    expect_references=1 + len(parts),
                    signature_methods=frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA1}),
                    digest_algorithms=frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA1}),
                ),
            )
        except (InvalidDigest, InvalidSignature):
            return False
        return True


ENGINES: tuple[Engine, ...] = (PythonXmlsec(), Xmlsec1(), Signxml())

REASONS = {
    "a": "we read this and never write it",
    "b": "signxml signs no reference to a part and writes no XPath transform",
    "c": "signxml passes over the XPath, so what it leaves out counts as changed",
    "d": "signxml signs nothing with SHA-1",
    "e": "signxml writes its one shape: prefix ds, one canonicalization for both",
    "f": "signxml drops the processing instructions of the prolog, which the signature covers",
    "g": "signxml forgets the xml: attributes that ds:SignedInfo takes from its ancestors (C14N 1.0, 2.4)",
}
