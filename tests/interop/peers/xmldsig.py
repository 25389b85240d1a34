"""Signatures as engines write them, made and checked by libxmlsec1, which evaluates the XPath for real."""

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
DS = "http://www.w3.org/2000/09/xmldsig#"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_NEXT = "http://schemas.xmlsoap.org/soap/actor/next"
_NEXT_MSH = "urn:oasis:names:tc:ebxml-msg:actor:nextMSH"
_HUGE = etree.XMLParser(huge_tree=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A private key with its certificate, both PEM files."""

    key: Path
    certificate: Path

    def x509(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How an engine writes ds:Signature. `returns` puts &#13; at the line ends of base64, as Java does."""

    method: str = RSA_SHA256
    digest: str = SHA256
    prefix: str = "ds"  # "": default namespace
    xpath: bool = True
    xpath_prefix: str = ""  # one that the XPath element declares itself; "": the envelope's
    blanks: bool = True  # round the bar of the XPath
    key_value: bool = True
    certificate: bool = True
    certificate_first: bool = False
    returns: bool = False


class Bad(Exception):
    """A signature that does not hold; the words are the engine's own business."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What was signed, as it stands in SignedInfo; `element` is the ds:Reference itself."""

    uri: str
    digest: str
    method: str
    element: etree._Element


def signature_of(envelope: etree._Element) -> etree._Element | None:
    """Return the first ds:Signature in document order."""
    return next(envelope.iter(f"{{{DS}}}Signature"), None)


def references(parent: etree._Element) -> list[Reference]:
    """Return the ds:Reference elements right below `parent`."""
    return [
        Reference(
            uri=one.get("URI") or "",
            digest="".join((one.findtext(f"{{{DS}}}DigestValue") or "").split()),
            method=(found.get("Algorithm") or "") if (found := one.find(f"{{{DS}}}DigestMethod")) is not None else "",
            element=one,
        )
        for one in parent.findall(f"{{{DS}}}Reference")
    ]


def sign(envelope: bytes, parts: Mapping[str, bytes], key: Key, shape: Shape) -> bytes:
    """Return the envelope with a ds:Signature last in its SOAP header, over it and all `parts` (by Content-ID)."""
    bare = etree.fromstring(envelope)  # noqa: TID251 - a peer has a parser of its own
    soap = next(prefix for prefix, uri in bare.nsmap.items() if uri == SOAP)
    end = f"</{soap}:Header>".encode()
    assert envelope.count(end) == 1
    template = _template(bare, soap or "", parts, key, shape)
    root = etree.fromstring(envelope.replace(end, template.encode() + end), _HUGE)  # noqa: TID251
    signature = signature_of(root)
    assert signature is not None
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(str(key.key), xmlsec.constants.KeyDataFormatPem)
    with _reading(parts):
        context.sign(signature)
    if shape.returns:
        for name in ("SignatureValue", "Modulus", "X509Certificate"):
            for element in signature.iter(f"{{{DS}}}{name}"):
                text = _wrapped(base64.b64decode(element.text or ""))
                element.text = text if name == "Modulus" else f"\n{text}\n"
    return etree.tostring(root)


def verify(envelope: etree._Element, parts: Mapping[str, bytes], certificate: Path) -> list[Reference]:
    """Return what the first signature covers. Raises Bad where it does not hold by that certificate's key."""
    signature = signature_of(envelope)
    if signature is None:
        raise Bad("not signed")
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(str(certificate), xmlsec.constants.KeyDataFormatCertPem)
    with _reading(parts):
        try:
            context.verify(signature)
        except xmlsec.Error as why:
            raise Bad(str(why)) from None
    info = signature.find(f"{{{DS}}}SignedInfo")
    assert info is not None
    return references(info)


def digest(data: bytes, method: str) -> str:
    """Return a digest in base64."""
    return base64.b64encode((hashlib.sha1 if method == SHA1 else hashlib.sha256)(data).digest()).decode()


def _template(bare: etree._Element, soap: str, parts: Mapping[str, bytes], key: Key, shape: Shape) -> str:
    p = f"{shape.prefix}:" if shape.prefix else ""
    known = bare.nsmap.get(shape.prefix or None) == DS
    declared = "" if known else f' xmlns{":" if shape.prefix else ""}{shape.prefix}="{DS}"'
    prefix = shape.xpath_prefix or soap
    own = f' xmlns:{prefix}="{SOAP}"' if shape.xpath_prefix else ""
    bar = " | " if shape.blanks else "|"
    left_out = [f'ancestor-or-self::node()[@{prefix}:actor="{actor}"]' for actor in (_NEXT_MSH, _NEXT)]
    test = f"not({bar.join(left_out)})"
    xpath = (
        f'<{p}Transform Algorithm="{XPATH}">\n<{p}XPath{own}>{test}</{p}XPath>\n</{p}Transform>\n'
        if shape.xpath
        else ""
    )
    digest_method = f'<{p}DigestMethod Algorithm="{shape.digest}"/>'
    whole = (
        f'<{p}Reference URI="">\n<{p}Transforms>\n<{p}Transform Algorithm="{ENVELOPED}"/>\n{xpath}'
        f'<{p}Transform Algorithm="{C14N}"/>\n</{p}Transforms>\n{digest_method}\n<{p}DigestValue/>\n</{p}Reference>\n'
    )
    attached = "".join(
        f'<{p}Reference URI="cid:{cid}">\n{digest_method}\n<{p}DigestValue/>\n</{p}Reference>\n' for cid in parts
    )
    return (
        f"<{p}Signature{declared}>\n<{p}SignedInfo>\n"
        f'<{p}CanonicalizationMethod Algorithm="{C14N}"/>\n<{p}SignatureMethod Algorithm="{shape.method}"/>\n'
        f"{whole}{attached}</{p}SignedInfo>\n<{p}SignatureValue/>\n{_key_info(key, shape, p)}</{p}Signature>"
    )


def _key_info(key: Key, shape: Shape, p: str) -> str:
    certificate = key.x509()
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    numbers = public.public_numbers()
    told = []
    if shape.key_value:
        modulus = base64.b64encode(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)).decode()
        told.append(
            f"<{p}KeyValue>\n<{p}RSAKeyValue>\n<{p}Modulus>{modulus}</{p}Modulus>\n<{p}Exponent>AQAB</{p}Exponent>\n"
            f"</{p}RSAKeyValue>\n</{p}KeyValue>\n"
        )
    if shape.certificate:
        der = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
        told.append(f"<{p}X509Data>\n<{p}X509Certificate>{der}</{p}X509Certificate>\n</{p}X509Data>\n")
    if shape.certificate_first:
        told.reverse()
    return f"<{p}KeyInfo>\n{''.join(told)}</{p}KeyInfo>\n" if told else ""


def _wrapped(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))


@contextmanager
def _reading(parts: Mapping[str, bytes]) -> Iterator[None]:
    """Let `cid:` URIs, and nothing else, be read from `parts`. The callbacks are those of the whole process."""
    by_uri = {f"cid:{name}".encode(): data for name, data in parts.items()}

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
