"""What became of a mutant: which layer refused it; or, where it was believed, whether it still means the same.

The meaning is what the broker reads (the envelope's values, the parts by Content-ID), and the octets under the digest
of the envelope. Those octets are found here by other code than the broker's, and two engines of others are asked
whether the signature holds as it is written: the broker must not be the judge of itself.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import TracebackType

from lxml import etree

from broker.envelope import ebms_parse, mime, msghead, xml
from broker.envelope.ebms import Envelope
from broker.envelope.names import ds, soap
from broker.envelope.signature import Verified, verify_document, verify_envelope
from broker.errors import MalformedXml, MimeProblem, NotTrusted, Refused
from broker.receipts import apprec
from tests.mutants.message import Wire
from tests.mutants.originals import Original, key_of, of_same_signer
from tests.oracles.xmldsig_engines import SHAPES, PythonXmlsec, Xmlsec1

MAX_BYTES = 1_000_000
REFUSED_ELSEWHERE = "the signature: another engine refuses it as it is written"
LAYERS = ("reader", "structure", "form", "policy", "references", "certificate", "value", "left out", "digest")
ACCEPTED = "accepted"

# Which function of the broker refused: the layer.
_BY_FUNCTION = {
    "_envelope_signature": "form",
    "_first_found": "form",
    "read": "form",
    "verify_document": "form",
    "_check_policy": "policy",
    "_sort_references": "references",
    "_any_parts": "references",
    "_check_value": "value",
    "_believe_key_info": "value",
    "_actors_left_out": "left out",
    "_refuse_unsigned_content": "left out",
    "_signed_bytes": "digest",
    "_check_digest": "digest",
}
_ACTORS = {
    "http://schemas.xmlsoap.org/soap/actor/next",
    "urn:oasis:names:tc:ebxml-msg:actor:nextMSH",
    "urn:oasis:names:tc:ebxml-msg:service:nextMSH",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """What was read of a message whose signature holds, as the broker says."""

    root: bytes
    document: xml.Xml
    said: object  # the envelope's values; of a document those of its head, or of the receipt
    parts: Mapping[str, bytes]
    verified: Verified


def judge(original: Original, wire: Wire) -> str | Believed:
    """Return the layer that refused, or what is believed, by the rules that hold for the original."""
    try:
        believed = _read_document(original, wire) if original.document else _read_message(original, wire)
    except NotTrusted as refusal:
        return _layer(refusal)
    except Refused as refusal:
        read = isinstance(refusal, MalformedXml) or (isinstance(refusal, MimeProblem) and not _of_manifest(refusal))
        return "reader" if read else "structure"
    return believed


def _read_message(original: Original, wire: Wire) -> Believed:
    entity = mime.read(wire.content_type, wire.body)
    document = xml.parse(entity.root.body, max_bytes=MAX_BYTES)
    envelope = ebms_parse.parse(document)
    ebms_parse.match_parts(envelope.manifest, [part.content_id for part in entity.parts])
    parts = {part.content_id: part.body for part in entity.parts}
    verified = verify_envelope(document, parts, trusted=[original.certificate], policy=original.policy)
    return Believed(root=entity.root.body, document=document, said=envelope, parts=parts, verified=verified)


def _read_document(original: Original, wire: Wire) -> Believed:
    document = xml.parse(wire.body, max_bytes=MAX_BYTES)
    verified = verify_document(document, trusted=[original.certificate], policy=original.policy)
    if verified is None:
        raise NotTrusted("the document is not signed")
    said: object = None
    if original.name.startswith("document: apprec"):
        said = apprec.parse(document)
    elif original.name.startswith("document: "):
        said = msghead.read_head(document)
    return Believed(root=wire.body, document=document, said=said, parts={}, verified=verified)


def _of_manifest(refusal: Refused) -> bool:
    frame: TracebackType | None = refusal.__traceback__
    names = []
    while frame is not None:
        names.append(frame.tb_frame.f_code.co_name)
        frame = frame.tb_next
    return bool({"match_parts", "_manifest"} & set(names))


def _layer(refusal: NotTrusted) -> str:
    if refusal.why == "the document is not signed":
        return "form"
    if refusal.why.startswith("signed with a certificate"):
        return "certificate"
    frame: TracebackType | None = refusal.__traceback__
    found = ""
    while frame is not None:
        found = _BY_FUNCTION.get(frame.tb_frame.f_code.co_name, found)
        frame = frame.tb_next
    return found or "form"


# --- meaning --------------------------------------------------------------------------------------------------------


@cache
def meaning(original: Original) -> Believed:
    """Return what the sender signed, as the broker reads it. Of an ill-signed one: without what it leaves out."""
    wire = original.message.wire()
    if original.document:
        return _read_document(original, wire)
    if not original.flaw:
        return _read_message(original, wire)
    entity = mime.read(wire.content_type, wire.body)
    document = xml.parse(entity.root.body, max_bytes=MAX_BYTES)
    for element in [one for one in document.root[0] if one.get(soap("actor")) in _ACTORS]:
        _cut(element)
    parts = {part.content_id: part.body for part in entity.parts}
    verified = Verified(certificate=original.certificate, references=(), signature_method="")
    return Believed(
        root=entity.root.body, document=document, said=ebms_parse.parse(document), parts=parts, verified=verified
    )


def changes(original: Original, believed: Believed) -> list[str]:
    """Return in what the believed mutant differs from what the sender signed: nothing, if all is well.

    eb:SyncReply alone may come and go where the sender's own XPath leaves it out (ebMS 2.0, 4.1.3): the engine that
    evaluates the XPath says whether it does, and the agreement says how a message is answered.
    """
    sent = meaning(original)
    found = []
    if _without_sync(believed.said) != _without_sync(sent.said):
        found.append("the values that are read")
    if dict(believed.parts) != dict(sent.parts):
        found.append("the parts")
    if covered(believed.document, original) != covered(sent.document, original):
        found.append("the octets under the digest")
    if believed.verified.certificate != original.certificate:
        found.append("the signer")
    if not original.flaw and believed.verified.references != sent.verified.references:
        found.append("the references")
    if not holds_by_library(original, believed):
        found.append(REFUSED_ELSEWHERE)
    return found


def excuse(original: Original, believed: Believed, found: list[str]) -> str:
    """Return why what `changes` found is no fault of the broker, or nothing.

    A message of the same sender that was put together again whole is a replay, which the message id tells. libxml2
    gives no canonical form to a document with a relative namespace name anywhere; the broker first takes out what
    is not signed (ds:KeyInfo, ds:SignatureValue, entries for next), and the octets that are signed are the same.
    """
    for other in of_same_signer(original.name):
        sound = other.document == original.document and not other.flaw
        if sound and believed.said == meaning(other).said and not changes(other, believed):
            return "another message of the sender, whole"
    if found == [REFUSED_ELSEWHERE] and _has_relative_namespace(believed.document.root):
        return "a relative namespace name where nothing is signed"
    return ""


def _has_relative_namespace(root: etree._Element) -> bool:
    return any(":" not in uri for one in root.iter("*") for uri in one.nsmap.values())


def comment_counts(believed: Believed) -> bool:
    """Say whether a comment stands where the signature says that comments count. Our reader drops every comment before
    anything is looked at, so that none can mean anything; an engine that keeps them refuses such a message.
    """
    return b"WithComments" in believed.root and b"<!--" in believed.root


def sync_reply_changed(original: Original, believed: Believed) -> bool:
    """Return whether eb:SyncReply came or went."""
    return believed.said != meaning(original).said


def _without_sync(said: object) -> object:
    return replace(said, sync_reply=False) if isinstance(said, Envelope) else said


def covered(document: xml.Xml, original: Original) -> bytes:
    """Return the octets under the digest: without the signature, and without what the XPath of ebMS leaves out."""
    root = copy.deepcopy(document.root.getroottree()).getroot()
    home = root if original.document else root[0]
    gone = [child for child in home if child.tag == ds("Signature")]
    transforms = {one.get("Algorithm") or "" for one in _signed_info(original).iter(ds("Transform"))}
    if any("xpath" in one for one in transforms):
        gone += [element for element in root.iter("*") if element.get(soap("actor")) in _ACTORS]
    for element in gone:
        _cut(element)
    exclusive = any("xml-exc-c14n" in one for one in transforms)
    return etree.tostring(root.getroottree(), method="c14n", exclusive=exclusive, with_comments=False)


@cache
def _signed_info(original: Original) -> etree._Element:
    """Return the ds:SignedInfo of an original: its rules, by which its mutants are measured."""
    return next(xml.parse(original.message.root, max_bytes=MAX_BYTES).root.iter(ds("SignedInfo")))


def _cut(element: etree._Element) -> None:
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        return
    if before is not None:
        before.tail = (before.tail or "") + (element.tail or "")
    else:
        parent.text = (parent.text or "") + (element.tail or "")
    parent.remove(element)


# --- engines of others ----------------------------------------------------------------------------------------------


def holds_by_library(original: Original, believed: Believed) -> bool:
    """Ask libxmlsec1 as a library, which evaluates the XPath; it is given the broker's tree, without comments."""
    return PythonXmlsec().verify(SHAPES[0], believed.root, believed.parts, key_of(original))


def holds_by_program(original: Original, believed: Believed) -> bool:
    """Ask the xmlsec1 program, which reads the octets by itself."""
    return Xmlsec1().verify(SHAPES[0], believed.root, believed.parts, key_of(original))
