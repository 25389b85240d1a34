"""Signing and verifying. It decides whether a signature holds, over what, and by which certificate.

The rule is that nothing unsigned is read. The signature has one place to stand; its references must be exactly the
envelope and every part; what the XPath of ebMS leaves out of the digest is left out in code, and nothing that the
broker reads may stand there; the key is one of the authorised sender's, whatever the message says of keys. What was
verified is the tree that is read on: no one changes it in between.
"""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from broker.envelope.names import DS, EB, SOAP, cid, content_id, ds, eb, soap
from broker.envelope.xml import Xml, parse
from broker.envelope.xmldsig import (
    C14N,
    CANONICALIZATIONS,
    EBMS_XPATH,
    ENVELOPED,
    LEFT_OUT,
    RSA_SHA1,
    RSA_SHA256,
    SHA1,
    SHA256,
    XPATH,
    Reference,
    Signed,
    append_signature,
    canonical,
    read,
)
from broker.errors import NotTrusted
from broker.sealing.keys import SigningKey

_HASHES: Mapping[str, hashes.HashAlgorithm] = {RSA_SHA256: hashes.SHA256(), RSA_SHA1: hashes.SHA1()}  # noqa: S303 - by record
_DIGESTS = {SHA256: hashlib.sha256, SHA1: hashlib.sha1}

_ACTOR = soap("actor")
# An element of these that is left out of the digest would be read and not signed.
_READ = {EB, DS, SOAP}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturePolicy:
    """What an agreement lets a partner sign with, on the day of checking. The caller picks it; here it is only obeyed.

    `without_xpath` takes an ebMS signature that leaves nothing out (some engines write no XPath transform).
    """

    signature_methods: frozenset[str] = frozenset({RSA_SHA256})
    digest_methods: frozenset[str] = frozenset({SHA256})
    canonicalizations: frozenset[str] = frozenset(CANONICALIZATIONS)
    without_xpath: bool = False
    min_key_bits: int = 2048
    ended: str = ""  # what the operator is told beside a refused algorithm: which exception is over


STRICT = SignaturePolicy()
# Inbound only, for a partner whose record says so.
WITH_SHA1 = SignaturePolicy(
    signature_methods=frozenset(_HASHES), digest_methods=frozenset(_DIGESTS), without_xpath=True
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A signature that holds: by whom, and over what. What `references` name, and nothing else, may be believed."""

    certificate: x509.Certificate
    references: tuple[Reference, ...]
    signature_method: str
    presented: tuple[bytes, ...] = ()  # the certificates of KeyInfo, in DER: they help to a path and prove nothing

    @property
    def uses_sha1(self) -> bool:
        """Whether any part of it rests on SHA-1: to be counted, and ended."""
        return self.signature_method == RSA_SHA1 or any(r.digest_method == SHA1 for r in self.references)


def is_signed(document: Xml) -> bool:
    """Say whether an envelope has a ds:Signature where it belongs, in its SOAP:Header. Nothing is believed yet."""
    return any(
        child.tag == ds("Signature") for header in document.root if header.tag == soap("Header") for child in header
    )


def sign_envelope(envelope: bytes, parts: Mapping[str, bytes], key: SigningKey) -> bytes:
    """Return the envelope, in UTF-8, with a ds:Signature as last child of its SOAP:Header (ebMS 2.0, 4.1.3).

    `parts` maps Content-ID, without angle brackets, to the decoded bytes of each MIME part, in the order they are sent.
    """
    return sign_with_references(envelope, parts, key)[0]


def sign_with_references(
    envelope: bytes, parts: Mapping[str, bytes], key: SigningKey
) -> tuple[bytes, tuple[Reference, ...]]:
    """Return what `sign_envelope` does, and what was signed, which the Acknowledgment must repeat."""
    root = parse(envelope, max_bytes=len(envelope)).root
    left_out = _left_out(root, LEFT_OUT[EBMS_XPATH])
    _refuse_unsigned_content(root, left_out)
    whole = Reference(
        uri="",
        digest_method=SHA256,
        digest_value=hashlib.sha256(_signed_bytes(root, None, C14N, left_out)).digest(),
        transforms=(ENVELOPED, XPATH, C14N),
        xpath=EBMS_XPATH,
    )
    attached = [
        Reference(uri=cid(name), digest_method=SHA256, digest_value=hashlib.sha256(data).digest())
        for name, data in parts.items()
    ]
    append_signature(root[0], [whole, *attached], key)
    return etree.tostring(root, encoding="utf-8"), (whole, *attached)


def sign_document(document: bytes, key: SigningKey) -> bytes:
    """Return the document with an enveloped ds:Signature before its last end tag, every other byte as it was.

    A document whose root already holds a ds:Signature comes back as it is: that one is its author's.
    """
    root = parse(document, max_bytes=len(document)).root
    if any(child.tag == ds("Signature") for child in root):
        return document
    digest = hashlib.sha256(_signed_bytes(root, None, C14N, ())).digest()
    whole = Reference(uri="", digest_method=SHA256, digest_value=digest, transforms=(ENVELOPED, C14N))
    signature = etree.tostring(append_signature(root, [whole], key), with_tail=False)
    end = _end_tag(document)
    return document[:end] + signature + document[end:]


def verify_envelope(
    envelope: Xml, parts: Mapping[str, bytes], *, trusted: Sequence[x509.Certificate], policy: SignaturePolicy = STRICT
) -> Verified:
    """Return what holds, where the envelope's one signature covers the whole envelope and every part, and no more.

    `parts` maps Content-ID, without angle brackets, to the decoded bytes of each MIME part; `trusted` are the signing
    certificates of the authorised sender, and nothing in the message can add to them. Raises NotTrusted, always and
    only, with a reason for the operator; the answer to the partner must not show it.
    """
    root = envelope.root
    signature = _envelope_signature(root)
    signed = read(signature)
    _check_policy(signed, policy)
    whole, attached = _sort_references(signed, parts)
    certificate = _check_value(signed, trusted, policy)
    left_out = _left_out(root, _actors_left_out(whole, policy))
    _refuse_unsigned_content(root, left_out)
    _check_digest(whole, _signed_bytes(root, signature, whole.transforms[-1], left_out))
    for name, reference in attached.items():
        _check_digest(reference, parts[name])
    return Verified(
        certificate=certificate,
        references=signed.references,
        signature_method=signed.signature_method,
        presented=signed.certificates,
    )


def presented(envelope: Xml) -> tuple[bytes, ...]:
    """Return the certificates, in DER, that the envelope's signature brings; () where it is not signed, or brings none.

    They are the message's own word, and prove nothing. Raises NotTrusted for a signature that can't be read.
    """
    if next(envelope.root.iter(ds("Signature")), None) is None:
        return ()
    return read(_envelope_signature(envelope.root)).certificates


def verify_document(
    document: Xml, *, trusted: Sequence[x509.Certificate] | None, policy: SignaturePolicy = STRICT
) -> Verified | None:
    """Return what holds of the enveloped signature that is a child of the root, or None where the root has none.

    With `trusted` None the one certificate inside the signature is used, and the caller has to judge it: the result
    then says only that its holder signed this. Signatures deeper inside are content like any other.
    Raises NotTrusted, always and only, where there is a signature and it does not hold.
    """
    found = [child for child in document.root if child.tag == ds("Signature")]
    if not found:
        return None
    if len(found) > 1:
        raise NotTrusted("more than one ds:Signature")
    signed = read(found[0])
    _check_policy(signed, policy)
    whole, _ = _sort_references(signed, {})
    # Without a transform that says otherwise, nodes become octets by C14N 1.0 (XMLDSig 4.3.3.2).
    transforms = whole.transforms if len(whole.transforms) > 1 else (*whole.transforms, C14N)
    if len(transforms) != 2 or transforms[0] != ENVELOPED or transforms[1] not in CANONICALIZATIONS:
        raise NotTrusted("a list of transforms that is not of our profile")
    certificate = _check_value(signed, trusted, policy)
    _check_digest(whole, _signed_bytes(document.root, found[0], transforms[1], ()))
    return Verified(certificate=certificate, references=signed.references, signature_method=signed.signature_method)


def _envelope_signature(root: etree._Element) -> etree._Element:
    """Return the one ds:Signature, which stands as child of the one SOAP:Header. Counted everywhere, found in place."""
    everywhere = list(root.iter(ds("Signature")))
    if not everywhere:
        raise NotTrusted("the envelope is not signed")
    if len(everywhere) > 1:
        raise NotTrusted("more than one ds:Signature")
    if [root.tag, *(child.tag for child in root)] != [soap("Envelope"), soap("Header"), soap("Body")]:
        raise NotTrusted("not a SOAP envelope of one header and one body")
    if everywhere[0].getparent() is not root[0]:
        raise NotTrusted("the ds:Signature is not a child of the SOAP:Header")
    return everywhere[0]


def _check_policy(signed: Signed, policy: SignaturePolicy) -> None:
    if signed.signature_method not in policy.signature_methods & _HASHES.keys():
        raise NotTrusted(f"a signature method that the agreement does not allow{policy.ended}")
    if not {reference.digest_method for reference in signed.references} <= policy.digest_methods & _DIGESTS.keys():
        raise NotTrusted(f"a digest method that the agreement does not allow{policy.ended}")
    used = {algorithm for reference in signed.references for algorithm in reference.transforms}
    if not (used & CANONICALIZATIONS.keys()) | {signed.canonicalization} <= policy.canonicalizations:
        raise NotTrusted("a canonicalization that the agreement does not allow")


def _sort_references(signed: Signed, parts: Mapping[str, bytes]) -> tuple[Reference, dict[str, Reference]]:
    """Return the reference to the whole, and those to the parts by Content-ID: each once, all parts, nothing else."""
    whole = [reference for reference in signed.references if reference.uri == ""]
    attached = [reference for reference in signed.references if reference.uri != ""]
    if len(whole) != 1:
        raise NotTrusted("the signature does not cover the whole exactly once")
    by_name = {name: reference for reference in attached if (name := content_id(reference.uri)) is not None}
    if len(by_name) != len(attached) or by_name.keys() != parts.keys():
        raise NotTrusted("the signature does not cover exactly the parts of the message, each once")
    if any(reference.transforms for reference in attached):
        raise NotTrusted("the signature transforms a part before its digest")
    return whole[0], by_name


def _check_value(
    signed: Signed, trusted: Sequence[x509.Certificate] | None, policy: SignaturePolicy
) -> x509.Certificate:
    """Return the trusted certificate whose key made the signature. KeyInfo can narrow the choice and never widen it."""
    if trusted is None:
        candidates = [_load(data) for data in signed.certificates if len(signed.certificates) == 1]
    elif signed.certificates:
        candidates = [one for one in trusted if _der(one) in signed.certificates]
    else:
        candidates = list(trusted)
    if not candidates:
        presented = ", ".join(hashlib.sha256(data).hexdigest() for data in signed.certificates) or "none"
        raise NotTrusted("signed with a certificate that is not the sender's", hint=f"SHA-256 presented: {presented}")
    for certificate in candidates:
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size < policy.min_key_bits:
            continue
        try:
            key.verify(signed.value, signed.canonical, padding.PKCS1v15(), _HASHES[signed.signature_method])
        except InvalidSignature:
            continue
        return certificate
    raise NotTrusted("the signature value does not hold for the sender's certificate, or its key is too weak")


@lru_cache(maxsize=4096)
def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _load(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise NotTrusted("the certificate inside the signature cannot be read") from None
    return certificate


def _actors_left_out(whole: Reference, policy: SignaturePolicy) -> frozenset[str]:
    """Return whose elements the signature leaves out. Raises NotTrusted for a list of transforms we do not know."""
    *first, last = whole.transforms or ("",)
    if last in CANONICALIZATIONS and first == [ENVELOPED, XPATH]:
        return LEFT_OUT[str(whole.xpath)]
    if last in CANONICALIZATIONS and first == [ENVELOPED] and policy.without_xpath:
        return frozenset()
    raise NotTrusted("a list of transforms that the agreement does not allow")


def _left_out(root: etree._Element, actors: frozenset[str]) -> list[etree._Element]:
    """Return the elements, wherever they stand, that a signature leaves out of the digest by their actor."""
    return [element for element in root.iter("*") if element.get(_ACTOR) in actors]


def _refuse_unsigned_content(root: etree._Element, left_out: Sequence[etree._Element]) -> None:
    """Raise NotTrusted where an element that is left out of the digest is, or holds, something that the broker reads.

    Only whole header entries of others may be left out, and eb:SyncReply, whose actor the standard fixes.
    """
    for element in left_out:
        if element.getparent() is not root[0]:
            raise NotTrusted("something inside a signed element is left out of the signature")
        held = list(element.iterdescendants("*")) if element.tag == eb("SyncReply") else list(element.iter("*"))
        if any(etree.QName(one).namespace in _READ for one in held):
            raise NotTrusted("an element of ebMS, SOAP or XMLDSig is left out of the signature")


def _signed_bytes(
    root: etree._Element, signature: etree._Element | None, method: str, left_out: Sequence[etree._Element]
) -> bytes:
    """Return the octets under the digest: the document without its signature and without what is left out."""
    without = [*left_out, *(() if signature is None else (signature,))]
    if not without:
        return canonical(root, method)
    whole = copy.deepcopy(root.getroottree()).getroot()
    twins: dict[etree._Element, etree._Element] = {}
    # By parents, and not each by its place among its siblings: a header may have ten thousand entries.
    for parent in {element.getparent() for element in without}:
        if parent is None:
            raise NotTrusted("nothing would be left to sign")
        twins.update(zip(parent, _twin(parent, whole), strict=True))
    for element in without:
        _remove(twins[element])
    return canonical(whole, method)


def _twin(element: etree._Element, copied_root: etree._Element) -> etree._Element:
    """Return the element of the copy that stands where `element` stands."""
    parent = element.getparent()
    return copied_root if parent is None else _twin(parent, copied_root)[parent.index(element)]


def _remove(element: etree._Element) -> None:
    """Take an element out, and leave the text after it, which lxml would take along."""
    parent, before, tail = element.getparent(), element.getprevious(), element.tail or ""
    if parent is None:
        raise NotTrusted("nothing would be left to sign")
    if before is None:
        parent.text = (parent.text or "") + tail
    else:
        before.tail = (before.tail or "") + tail
    parent.remove(element)


def _check_digest(reference: Reference, data: bytes) -> None:
    if _DIGESTS[reference.digest_method](data).digest() != reference.digest_value:
        what = "a part" if reference.uri else "the envelope or document"
        raise NotTrusted(f"{what} was changed after signing: the digest differs", location=reference.uri)


def _end_tag(document: bytes) -> int:
    """Return where the root's end tag begins. The document is known to be well-formed."""
    end = document.rstrip()
    while end.endswith(b"-->"):
        end = end[: end.rindex(b"<!--")].rstrip()
    at = end.rfind(b"</")
    if at < 0 or b">" in end[at:-1]:
        raise ValueError("a document without content cannot be signed")
    return at
