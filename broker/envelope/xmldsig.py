"""ds:Signature to values and back. It decides which forms of XMLDSig exist for us; signature.py decides which hold.

What is read here is data: no URI is fetched, no transform run, no key taken. A form that the field does not really
send is refused. The XPath of ebMS 2.0 (4.1.3) is compared with the known expressions, and never evaluated.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from broker.envelope.markup import attribute, text
from broker.envelope.names import DS, SOAP, ds
from broker.envelope.xml import c14n, decode_base64, own
from broker.errors import MalformedXml, NotTrusted
from broker.sealing.keys import SigningKey

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
OBJECT = "http://www.w3.org/2000/09/xmldsig#Object"  # a Type, of which nothing follows

# Algorithm: (exclusive, with comments).
CANONICALIZATIONS = {
    C14N: (False, False),
    C14N + "#WithComments": (False, True),
    EXC_C14N: (True, False),
    EXC_C14N + "WithComments": (True, True),
}

ACTOR_NEXT = "http://schemas.xmlsoap.org/soap/actor/next"
ACTOR_NEXT_MSH = "urn:oasis:names:tc:ebxml-msg:actor:nextMSH"
_SERVICE_NEXT_MSH = "urn:oasis:names:tc:ebxml-msg:service:nextMSH"  # so older engines name it, in the XPath only

_LEAVING_OUT = (
    'not(ancestor-or-self::node()[@SOAP:actor="{}"] | ancestor-or-self::node()[@SOAP:actor="' + ACTOR_NEXT + '"])'
)
EBMS_XPATH = _LEAVING_OUT.format(ACTOR_NEXT_MSH)
# Known expression: the actors whose elements it leaves out of the digest.
LEFT_OUT = {_LEAVING_OUT.format(actor): frozenset({actor, ACTOR_NEXT}) for actor in (ACTOR_NEXT_MSH, _SERVICE_NEXT_MSH)}

_TOKEN = re.compile(r"""("[^"]*"|'[^']*')|([A-Za-z_][\w.-]*):actor(?![\w.-])|[A-Za-z_][\w.-]*|::|\S""", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One ds:Reference: what was signed, and its digest. `xpath` is the known expression that it names, if any."""

    uri: str
    digest_method: str
    digest_value: bytes
    transforms: tuple[str, ...] = ()
    xpath: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a ds:Signature says. Its form is known; nothing of it is believed yet."""

    canonicalization: str
    signature_method: str
    references: tuple[Reference, ...]
    canonical: bytes  # of ds:SignedInfo: what the value signs
    value: bytes
    certificates: tuple[bytes, ...]  # DER, as they stand in KeyInfo


def read(signature: etree._Element) -> Signed:
    """Return what a ds:Signature says. Raises NotTrusted where its form is not of our profile."""
    _expect_attributes(signature, _ID)
    info, value, *key_info = _expect(
        signature, ("SignedInfo", "SignatureValue"), ("SignedInfo", "SignatureValue", "KeyInfo")
    )
    _expect_attributes(info, _ID)
    canonicalization, method, *references = _expect(
        info, ("CanonicalizationMethod", "SignatureMethod", *["Reference"] * max(1, len(info) - 2))
    )
    how = _algorithm(canonicalization)
    if how not in CANONICALIZATIONS:
        raise NotTrusted("a canonicalization that is not of our profile")
    return Signed(
        canonicalization=how,
        signature_method=_algorithm(method),
        references=tuple(_read_reference(reference) for reference in references),
        canonical=canonical(info, how),
        value=_base64(value),
        certificates=tuple(
            _base64(certificate)
            for data in (key_info[0] if key_info else ())
            if data.tag == ds("X509Data")
            for certificate in data
            if certificate.tag == ds("X509Certificate")
        ),
    )


def write_reference(reference: Reference, *, soap_prefix: str) -> str:
    """Return a ds:Reference of these values as XML. Where it stands, `soap_prefix` is that of SOAP, for the XPath."""
    expression = text(str(reference.xpath).replace("@SOAP:", f"@{soap_prefix}:"))
    transforms = "".join(
        f'<ds:Transform Algorithm="{XPATH}"><ds:XPath>{expression}</ds:XPath></ds:Transform>'
        if algorithm == XPATH
        else f'<ds:Transform Algorithm="{attribute(algorithm)}"/>'
        for algorithm in reference.transforms
    )
    return (
        f'<ds:Reference URI="{attribute(reference.uri)}">'
        f"{f'<ds:Transforms>{transforms}</ds:Transforms>' if transforms else ''}"
        f'<ds:DigestMethod Algorithm="{attribute(reference.digest_method)}"/>'
        f"<ds:DigestValue>{base64.b64encode(reference.digest_value).decode()}</ds:DigestValue></ds:Reference>"
    )


def append_signature(parent: etree._Element, references: Sequence[Reference], key: SigningKey) -> etree._Element:
    """Sign the references, write the ds:Signature as last child of `parent`, and return it.

    An envelope binds a prefix to SOAP: what its XPath names must be known where it stands.
    """
    prefix = next((prefix for prefix, uri in parent.nsmap.items() if uri == SOAP and prefix), "")
    named = "".join(write_reference(reference, soap_prefix=prefix) for reference in references)
    signature = own(_SIGNATURE.format(references=named, key_info=_key_info(key)))
    parent.append(signature)
    info, value, _ = signature
    # What stands in the tree is signed: the namespaces of whatever is above are part of it.
    value.text = base64.b64encode(key.private_key.sign(c14n(info), padding.PKCS1v15(), hashes.SHA256())).decode()
    return signature


_SIGNATURE = (
    f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{C14N}"/>'
    f'<ds:SignatureMethod Algorithm="{RSA_SHA256}"/>{{references}}</ds:SignedInfo><ds:SignatureValue/>'
    "{key_info}</ds:Signature>"
)


@lru_cache(maxsize=256)
def _key_info(key: SigningKey) -> str:
    """Return what is written of a key, once a key: it takes a third as long as RSA."""
    numbers = key.private_key.public_key().public_numbers()
    octets = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.n, numbers.e)]
    octets.append(key.certificate.public_bytes(Encoding.DER))
    modulus, exponent, certificate = (base64.b64encode(each).decode() for each in octets)
    # One certificate, and no chain: some engines demand exactly one.
    return (
        "<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue>"
        f"<ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>{exponent}</ds:Exponent>"
        "</ds:RSAKeyValue></ds:KeyValue>"
        f"<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    )


def canonical(element: etree._Element, method: str) -> bytes:
    """Return the canonical form by one of CANONICALIZATIONS. Raises NotTrusted where there is none."""
    exclusive, with_comments = CANONICALIZATIONS[method]
    try:
        return c14n(element, exclusive=exclusive, with_comments=with_comments)
    except MalformedXml as fault:
        raise NotTrusted(fault.why) from None


def _read_reference(element: etree._Element) -> Reference:
    _expect_attributes(element, _OF_REFERENCE)
    uri = element.get("URI")
    if uri is None:
        raise NotTrusted("a ds:Reference without URI")
    # A name for people, which ebMS 2.0 (4.1.3) lets the envelope's Reference have, with this one value.
    if element.get("Type") not in ({None, OBJECT} if uri == "" else {None}):
        raise NotTrusted("a ds:Reference of a Type that is not of our profile")
    *first, method, value = _expect(
        element, ("DigestMethod", "DigestValue"), ("Transforms", "DigestMethod", "DigestValue")
    )
    transforms: list[str] = []
    xpath = None
    for transform in first[0] if first else ():
        if transform.tag != ds("Transform"):
            raise NotTrusted("a ds:Transforms that is not of our profile")
        if transform.get("Algorithm") == XPATH:
            transforms.append(_algorithm(transform, children=("XPath",)))
            xpath = _known_xpath(transform[0])
        else:
            transforms.append(_algorithm(transform))
    return Reference(
        uri=uri,
        digest_method=_algorithm(method),
        digest_value=_base64(value),
        transforms=tuple(transforms),
        xpath=xpath,
    )


def _known_xpath(element: etree._Element) -> str:
    """Return which of the known expressions it is, white space and prefix aside. Raises NotTrusted for any other."""
    _expect_attributes(element, _NONE)
    _expect_empty(element)
    # An attribute has no default namespace: that one binds no prefix that the expression could use.
    prefixes = frozenset(prefix for prefix, uri in element.nsmap.items() if prefix and uri == SOAP)
    expression = element.text or ""
    # A partner writes it in one way, which comes again and again; a long one is hostile, and not worth keeping.
    tokens = _tokens(expression, prefixes) if len(expression) < 1000 else _tokens.__wrapped__(expression, prefixes)
    for known, its_tokens in _KNOWN_XPATHS.items():
        if tokens == its_tokens:
            return known
    raise NotTrusted("an XPath that is not the one of ebMS")


@lru_cache(maxsize=256)
def _tokens(expression: str, soap_prefixes: frozenset[str]) -> tuple[str, ...]:
    return tuple(
        f'"{found[1][1:-1]}"' if found[1] else "{soap}actor" if found[2] in soap_prefixes else found[0]
        for found in _TOKEN.finditer(expression)
    )


_KNOWN_XPATHS = {known: _tokens(known, frozenset({"SOAP"})) for known in LEFT_OUT}


def _algorithm(element: etree._Element, children: tuple[str, ...] = ()) -> str:
    """Return the Algorithm of an element that must say nothing else: a parameter would change what it means."""
    _expect_attributes(element, _ALGORITHM)
    if children:
        _expect(element, children)
    else:
        _expect_empty(element)
    if (element.text or "").strip():
        raise _not_of_profile(element)
    return element.get("Algorithm") or ""


def _expect(element: etree._Element, *shapes: tuple[str, ...]) -> list[etree._Element]:
    """Return the children of an element, whose names in ds: must be one of `shapes`."""
    # Short ones come again and again; a long one is a hostile SignedInfo, and not worth keeping.
    known = _qualified(shapes) if len(element) < 8 else _qualified.__wrapped__(shapes)
    found = list(element)
    if tuple([child.tag for child in found]) not in known:
        raise _not_of_profile(element)
    return found


@cache
def _qualified(shapes: tuple[tuple[str, ...], ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(map(ds, shape)) for shape in shapes)


def _expect_empty(element: etree._Element) -> None:
    if len(element):
        raise _not_of_profile(element)


_NONE: frozenset[str] = frozenset()
_ID = frozenset({"Id"})
_ALGORITHM = frozenset({"Algorithm"})
_OF_REFERENCE = frozenset({"URI", "Id", "Type"})


def _expect_attributes(element: etree._Element, allowed: frozenset[str]) -> None:
    if not allowed.issuperset(map(str, element.keys())):
        raise NotTrusted(f"a ds:{etree.QName(element).localname} with an attribute that is not of our profile")


def _base64(element: etree._Element) -> bytes:
    _expect_empty(element)
    try:
        return decode_base64(element.text or "")
    except ValueError:
        raise NotTrusted(f"a ds:{etree.QName(element).localname} that is not base64") from None


def _not_of_profile(element: etree._Element) -> NotTrusted:
    return NotTrusted(f"a ds:{etree.QName(element).localname} that is not of our profile")
