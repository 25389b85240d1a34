"""Forged envelopes: the signature or what it covers is moved, doubled, hidden or weakened, by one change each."""

import base64
import hashlib
import re

from broker.envelope.names import DS
from broker.envelope.xmldsig import EXC_C14N, RSA_SHA1, RSA_SHA256, SHA1
from tests.scenario.forge import NEXT, NEXT_MSH, SIGNATURE, Draft, public_der, trace
from tests.scenario.scenes import FORGED_CONVERSATION, LEFT, Case, Forge, Scene, edit, put

HEADER = "<eb:MessageHeader.*?</eb:MessageHeader>"
MANIFEST = "<eb:Manifest.*?</eb:Manifest>"


def valued_after(where: str, by: str, hash_name: str = "sha256") -> Forge:
    """Change one thing inside ds:SignedInfo, and let the sender's key sign that."""
    return lambda scene: scene.original.edit(where, by).valued(LEFT, hash_name)


def _forged(scene: Scene) -> str:
    return scene.original.put(*FORGED_CONVERSATION).found(HEADER)


def _for(actor: str, element: str) -> str:
    return re.sub("^<[a-zA-Z:]+", rf"\g<0> {actor}", element)


# --- wrapping: the signed bytes stand, and more would be read ---


def _moved(entry: str, place: str) -> Forge:
    """Take an entry out of the header and put it elsewhere."""

    def forge(scene: Scene) -> Draft:
        element = scene.original.found(entry)
        return scene.original.put(element, "").put(place, element + place)

    return forge


def _around(outer: Draft, inner: Draft) -> Draft:
    return outer.put("</SOAP:Body>", inner.root + "</SOAP:Body>")


WRAPPING = (
    Case("a second MessageHeader for next", "envelope", lambda s: s.original.last_in_header(_for(NEXT, _forged(s)))),
    Case(
        "a second MessageHeader for nextMSH",
        "envelope",
        lambda s: s.original.first_in_header(_for(NEXT_MSH, _forged(s))),
    ),
    Case("the MessageHeader itself for next", "envelope", edit("<eb:MessageHeader ", rf"\g<0>{NEXT} ")),
    Case(
        "the MessageHeader wrapped for next, a forged one in its place",
        "signature",
        lambda s: s.original.put(s.original.found(HEADER), _forged(s) + trace(NEXT, s.original.found(HEADER))),
    ),
    Case(
        "a forged MessageHeader in an entry for next",
        "signature",
        lambda s: s.original.first_in_header(trace(NEXT, _forged(s))),
    ),
    Case(
        "a forged MessageHeader deep in an entry for nextMSH",
        "signature",
        lambda s: s.original.first_in_header(trace(NEXT_MSH, f"<a><b>{_forged(s)}</b></a>")),
    ),
    Case(
        "a forged MessageHeader in SyncReply",
        "signature",
        lambda s: s.original.edit("(<eb:SyncReply[^>]*)/>", rf"\1>{_forged(s)}</eb:SyncReply>"),
    ),
    Case("AckRequested for nextMSH", "envelope", edit('(<eb:AckRequested [^>]*?)SOAP:actor="[^"]*"', rf"\1{NEXT_MSH}")),
    Case(
        "an Acknowledgment rides along for next",
        "envelope",
        lambda s: s.original.last_in_header(f'<eb:Acknowledgment {NEXT} eb:version="2.0"/>'),
    ),
    Case(
        "a second Manifest for next",
        "envelope",
        lambda s: s.original.put(
            s.original.found(MANIFEST), s.original.found(MANIFEST) + _for(NEXT, s.original.found(MANIFEST))
        ),
    ),
    Case("the Manifest for next", "signature", edit("<eb:Manifest ", rf"\g<0>{NEXT} ")),
    Case("the ConversationId for next", "signature", put("<eb:ConversationId>", f"<eb:ConversationId {NEXT}>")),
    Case(
        "a second body",
        "envelope",
        lambda s: s.original.put("</SOAP:Envelope>", f"<SOAP:Body {NEXT}/></SOAP:Envelope>"),
    ),
    Case(
        "a second header",
        "envelope",
        lambda s: s.original.put("<SOAP:Header>", f"<SOAP:Header {NEXT}>{_forged(s)}</SOAP:Header><SOAP:Header>"),
    ),
    Case("the whole header for next", "signature", put("<SOAP:Header>", f"<SOAP:Header {NEXT}>")),
    Case("the body for next", "signature", put("<SOAP:Body>", f"<SOAP:Body {NEXT}>")),
    Case(
        "the envelope in the body of an unsigned one",
        "signature",
        lambda s: _around(s.original.unsigned().put(*FORGED_CONVERSATION), s.original),
    ),
    Case(
        "the envelope in an entry of an unsigned one",
        "signature",
        lambda s: s.original.unsigned().put(*FORGED_CONVERSATION).last_in_header(trace(NEXT, s.original.root)),
    ),
    Case("the signature moved into the body", "signature", _moved(SIGNATURE, "</SOAP:Body>")),
    Case("the signature moved into the MessageHeader", "signature", _moved(SIGNATURE, "</eb:MessageHeader>")),
    Case(
        "the signature in an entry for next",
        "signature",
        lambda s: s.original.put(s.original.found(SIGNATURE), trace(NEXT, s.original.found(SIGNATURE))),
    ),
    Case("the signature twice", "signature", lambda s: s.original.last_in_header(s.original.found(SIGNATURE))),
    Case(
        "an empty signature hidden for next",
        "signature",
        lambda s: s.original.last_in_header(trace(NEXT, f'<ds:Signature xmlns:ds="{DS}"/>')),
    ),
    Case(
        "a forged MessageHeader as Object of the signature",
        "signature",
        lambda s: s.original.put("</ds:Signature>", f"<ds:Object>{_forged(s)}</ds:Object></ds:Signature>"),
    ),
    Case("no signature", "signature", lambda s: s.original.unsigned()),
)

# --- downgrading: the sender's own key, and a weaker promise ---

PART_REFERENCE = '<ds:Reference URI="cid:[^>]*>.*?</ds:Reference>'
SIGNATURE_METHOD = f'SignatureMethod Algorithm="{RSA_SHA256}"'
HMAC = "http://www.w3.org/2000/09/xmldsig#hmac-sha1"


def _method(algorithm: str) -> tuple[str, str]:
    return SIGNATURE_METHOD, SIGNATURE_METHOD.replace(RSA_SHA256, algorithm)


def _by_hmac(scene: Scene) -> Draft:
    """The public key as the secret of a MAC: a verifier that believes the method would accept it."""
    changed = scene.original.put(*_method(HMAC))
    return changed.valued_by_hmac(public_der(LEFT.certificate))


def _sha1_digest(scene: Scene) -> Draft:
    digest = base64.b64encode(hashlib.sha1(scene.original.payload).digest()).decode()
    where = '(URI="cid:[^>]*><ds:DigestMethod Algorithm=")[^"]*("/><ds:DigestValue>)[^<]*'
    return scene.original.edit(where, rf"\g<1>{SHA1}\g<2>{digest}").valued(LEFT)


DOWNGRADES = (
    Case("RSA with SHA-1", "signature", lambda s: s.original.put(*_method(RSA_SHA1)).valued(LEFT, "sha1")),
    Case("the digest of the payload by SHA-1", "signature", _sha1_digest),
    Case("HMAC with the public key", "signature", _by_hmac),
    Case("no signature method", "signature", lambda s: s.original.put(*_method("")).valued(LEFT)),
    Case(
        "a shorter output of the method",
        "signature",
        valued_after(
            f"<ds:{SIGNATURE_METHOD}/>",
            f"<ds:{SIGNATURE_METHOD}><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>",
        ),
    ),
    Case("the payload is not referred to", "signature", valued_after(PART_REFERENCE, "")),
    Case("the payload by a URL", "signature", valued_after('URI="cid:[^"]*', 'URI="http://127.0.0.1/payload')),
    Case(
        "the payload through XSLT",
        "signature",
        valued_after(
            '(URI="cid:[^>]*>)',
            r'\1<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/></ds:Transforms>',
        ),
    ),
    Case("another XPath", "signature", valued_after(r"\]\)</ds:XPath>", r"] | self::eb:ConversationId)</ds:XPath>")),
    Case("no XPath", "signature", valued_after('<ds:Transform Algorithm="[^"]*xpath[^"]*">.*?</ds:Transform>', "")),
    Case("the envelope is not referred to", "signature", valued_after('<ds:Reference URI="">.*?</ds:Reference>', "")),
    Case("the envelope by an Id", "signature", valued_after('<ds:Reference URI="">', '<ds:Reference URI="#x">')),
    Case(
        "exclusive, with prefixes that are left alone",
        "signature",
        valued_after(
            '<ds:CanonicalizationMethod Algorithm="[^"]*"/>',
            f'<ds:CanonicalizationMethod Algorithm="{EXC_C14N}">'
            f'<e:InclusiveNamespaces xmlns:e="{EXC_C14N}" PrefixList="eb"/></ds:CanonicalizationMethod>',
        ),
    ),
)

CASES = (*WRAPPING, *DOWNGRADES)
