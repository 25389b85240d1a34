"""The signature changed: what it covers, by which rules, by whom; and signatures of other messages and other keys."""

import base64
import copy
import re
from collections.abc import Callable
from hashlib import sha1, sha256
from random import Random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from broker.envelope import xml
from broker.envelope.names import DS, ds
from broker.envelope.xml import c14n
from broker.envelope.xmldsig import C14N, ENVELOPED, EXC_C14N, RSA_SHA1, RSA_SHA256, SHA1, SHA256, XPATH
from broker.sealing.keys import KeyPair
from tests.mutants.judge import covered
from tests.mutants.message import Message
from tests.mutants.operator import MAX_BYTES, Change, Operator, elements, on_tree, outside, signature_of
from tests.mutants.originals import SENDER, STRANGER, Original, of_same_signer
from tests.oracles.xmldsig_engines import XPATH_TEXT

_METHODS = (RSA_SHA256, RSA_SHA1, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", f"{DS}hmac-sha1", "urn:x", "")
_DIGESTS = (SHA256, SHA1, "http://www.w3.org/2001/04/xmlenc#sha512", "urn:x", "")
_FORMS = (C14N, EXC_C14N, f"{C14N}#WithComments", f"{EXC_C14N}WithComments", "http://www.w3.org/2006/12/xml-c14n11")
_TRANSFORMS = (*_FORMS, ENVELOPED, XPATH, f"{DS}base64", "http://www.w3.org/TR/1999/REC-xslt-19991116")
_URIS = ("", "#", "#xpointer(/)", "#Body", "cid:", "cid:forged@x", "http://x.example/", " ", "#x")

Step = Callable[[etree._Element, Random], bool]


def _signed(change: Callable[[etree._Element, Random], bool]) -> Change:
    """Return the operator that changes the ds:Signature."""

    def apply(root: etree._Element, chance: Random) -> bool:
        signature = signature_of(root)
        return signature is not None and change(signature, chance)

    return on_tree(apply)


def _all(signature: etree._Element, *names: str) -> list[etree._Element]:
    return list(signature.iter(*(ds(name) for name in names)))


def _one(signature: etree._Element, chance: Random, *names: str) -> etree._Element | None:
    found = _all(signature, *names)
    return chance.choice(found) if found else None


def _drop(*names: str) -> Step:
    def change(signature: etree._Element, chance: Random) -> bool:
        one = _one(signature, chance, *names)
        parent = None if one is None else one.getparent()
        if one is None or parent is None:
            return False
        parent.remove(one)
        return True

    return change


def _double(*names: str) -> Step:
    def change(signature: etree._Element, chance: Random) -> bool:
        one = _one(signature, chance, *names)
        if one is None:
            return False
        one.addnext(copy.deepcopy(one))
        return True

    return change


def _reorder(name: str) -> Step:
    def change(signature: etree._Element, chance: Random) -> bool:
        firsts = [one for one in _all(signature, name) if one.getnext() is not None]
        if not firsts:
            return False
        one = chance.choice(firsts)
        following = one.getnext()
        assert following is not None
        one.addprevious(following)
        return True

    return change


def _algorithm(name: str, among: tuple[str, ...]) -> Step:
    def change(signature: etree._Element, chance: Random) -> bool:
        one = _one(signature, chance, name)
        if one is None:
            return False
        new = chance.choice(among)
        differs = new != one.get("Algorithm")
        one.set("Algorithm", new)
        return differs

    return change


def _add_reference(signature: etree._Element, chance: Random) -> bool:
    first = _all(signature, "Reference")[0]
    new = copy.deepcopy(first)
    new.set("URI", chance.choice(_URIS[1:]))
    if chance.random() < 0.5:
        first.addprevious(new)
    else:
        first.addnext(new)
    return True


def _uri(signature: etree._Element, chance: Random) -> bool:
    one = _one(signature, chance, "Reference")
    assert one is not None
    uri = one.get("URI") or ""
    forms = (*_URIS, uri.upper(), uri.replace("cid:", "CID:"), uri.replace("@", "%40"), f"{uri} ", f"{uri}#x")
    one.set("URI", chance.choice(forms))
    return one.get("URI") != uri


def _uri_gone(signature: etree._Element, chance: Random) -> bool:
    one = _one(signature, chance, "Reference")
    assert one is not None
    del one.attrib["URI"]
    return True


def _add_transform(signature: etree._Element, chance: Random) -> bool:
    one = _one(signature, chance, "Reference")
    assert one is not None
    home = one.find(ds("Transforms"))
    if home is None:
        home = etree.Element(ds("Transforms"))
        one.insert(0, home)
    new = etree.Element(ds("Transform"), Algorithm=chance.choice(_TRANSFORMS))
    if new.get("Algorithm") == XPATH:
        etree.SubElement(new, ds("XPath")).text = chance.choice(("true()", XPATH_TEXT))
    home.insert(chance.randint(0, len(home)), new)
    return True


def _swap_digests(signature: etree._Element, chance: Random) -> bool:
    values = _all(signature, "DigestValue")
    if len(values) < 2:
        return False
    one, other = chance.sample(values, 2)
    one.text, other.text = other.text, one.text
    return True


def _xpath(signature: etree._Element, chance: Random) -> bool:
    one = _one(signature, chance, "XPath")
    if one is None:
        return False
    text = one.text or ""
    forms = (
        text.upper(),
        text.replace(" ", ""),
        text.replace("actor/next", "actor/ next"),
        text.replace("@", "@x:", 1),
        re.sub(r"@[\w-]+:", "@", text),
        text.replace("not(", "(").replace("not (", "("),
        text.replace("-or-self", ""),
        text.replace("ancestor-or-self", "self"),
        f"{text} or true()",
        f"({text})",
        text.replace("=", "!="),
        text.replace("soap/actor", "soap/ACTOR"),
        text.replace("|", "or"),
        "true()",
        "false()",
        "",
        f"{text} ",
        text.replace("node()", "*"),
    )
    one.text = chance.choice(forms)
    return one.text != text


def _xpath_prefix(signature: etree._Element, chance: Random) -> bool:
    """The prefix in the XPath means another namespace there; the text stays."""
    one = _one(signature, chance, "XPath")
    parent = None if one is None else one.getparent()
    if one is None or parent is None:
        return False
    used = re.search(r"@([\w-]+):", one.text or "")
    new = etree.Element(ds("XPath"), nsmap={used[1] if used else "x": chance.choice(("urn:other", DS))})
    new.text = one.text
    parent.replace(one, new)
    return True


def _object(signature: etree._Element, chance: Random) -> bool:
    new = etree.SubElement(signature, ds("Object"))
    inside = etree.SubElement(new, ds(chance.choice(("Manifest", "SignatureProperties", "Reference"))))
    inside.append(copy.deepcopy(_all(signature, "Reference")[-1]))
    return True


def _length(signature: etree._Element, chance: Random) -> bool:
    one = _one(signature, chance, "SignatureMethod")
    assert one is not None
    etree.SubElement(one, ds("HMACOutputLength")).text = chance.choice(("0", "1", "8"))
    return True


def _value(signature: etree._Element, chance: Random) -> bool:
    (value,) = _all(signature, "SignatureValue")
    octets = xml.decode_base64(value.text or "")
    new = chance.choice((octets[:-1], b"\0" + octets, octets[::-1], bytes(len(octets)), b"\1", octets + b"\0"))
    value.text = base64.b64encode(new).decode()
    return True


def _blanks_of_value(signature: etree._Element, chance: Random) -> bool:
    value = chance.choice(_all(signature, "SignatureValue", "X509Certificate", "Modulus"))
    at = chance.randint(0, len(value.text or ""))
    value.text = (
        f"{(value.text or '')[:at]}{chance.choice((chr(10), ' ', chr(13) + chr(10), chr(9)))}{(value.text or '')[at:]}"
    )
    return True


def _base64_of_value(signature: etree._Element, chance: Random) -> bool:
    """Base64 that a lax reader takes: other letters, no padding, letters behind the padding."""
    value = chance.choice(_all(signature, "SignatureValue", "DigestValue"))
    text = value.text or ""
    forms = (text.replace("=", ""), f"{text}=", f"{text}AAAA", f"-{text}", text.replace("+", "-").replace("/", "_"))
    value.text = chance.choice(forms)
    return value.text != text


def _id(signature: etree._Element, chance: Random) -> bool:
    chance.choice([signature, *elements(signature)]).set(chance.choice(("Id", "ID", "id", "Type")), "x")
    return True


def _place(signature: etree._Element, chance: Random) -> bool:
    """The whole signature stands elsewhere."""
    root = signature.getroottree().getroot()
    home = chance.choice([root, *outside(root)])
    home.insert(chance.randint(0, len(home)), signature)
    return True


def _second(signature: etree._Element, chance: Random) -> bool:
    root = signature.getroottree().getroot()
    twin = copy.deepcopy(signature)
    if chance.random() < 0.5:
        _all(twin, "DigestValue")[0].text = base64.b64encode(bytes(32)).decode()
    home = chance.choice([root[0], root[-1], *outside(root)])
    home.insert(chance.randint(0, len(home)), twin)
    return True


# --- keys ---


def _certificate_of(pair: KeyPair) -> str:
    return base64.b64encode(pair.certificate.public_bytes(Encoding.DER)).decode()


def _key_info(signature: etree._Element, chance: Random) -> bool:
    """Another's certificate: instead, before, behind, alone."""
    found = _all(signature, "X509Certificate")
    if not found:
        return False
    new = etree.Element(ds("X509Certificate"))
    new.text = _certificate_of(STRANGER)
    match chance.randrange(3):
        case 0:
            found[0].text = new.text
        case 1:
            found[0].addprevious(new)
        case _:
            found[0].addnext(new)
    return True


def _reorder_key_info(signature: etree._Element, _: Random) -> bool:
    homes = _all(signature, "KeyInfo")
    if not homes or len(homes[0]) < 2:
        return False
    for child in reversed(list(homes[0])):
        homes[0].append(child)
    return True


def _key_name(signature: etree._Element, chance: Random) -> bool:
    """What else may stand in ds:KeyInfo, that no one should look at."""
    homes = _all(signature, "KeyInfo")
    if not homes:
        return False
    new = etree.Element(
        ds(chance.choice(("KeyName", "RetrievalMethod", "MgmtData", "X509Data"))), URI="http://x.example/"
    )
    new.text = "anyone"
    homes[0].insert(chance.randint(0, len(homes[0])), new)
    return True


def _key_value(signature: etree._Element, chance: Random) -> bool:
    found = _all(signature, "Modulus", "Exponent")
    if not found:
        return False
    chance.choice(found).text = chance.choice(("AQAB", "AAAA", _certificate_of(STRANGER)))
    return True


# --- signed anew by a stranger, and signatures of other messages ---


def _redigested(root: etree._Element, original: Original) -> None:
    """Put the right digest of the changed envelope in its place."""
    signature = signature_of(root)
    assert signature is not None
    whole = next(one for one in _all(signature, "Reference") if not one.get("URI"))
    octets = covered(xml.Xml(root), original)
    (method,), (value,) = _all(whole, "DigestMethod"), _all(whole, "DigestValue")
    digest = sha1(octets) if method.get("Algorithm") == SHA1 else sha256(octets)
    value.text = base64.b64encode(digest.digest()).decode()


def _changed_text(root: etree._Element, chance: Random) -> bool:
    texts = [one for one in outside(root) if (one.text or "").strip() and not len(one)]
    if not texts:
        return False
    one = chance.choice(texts)
    one.text = f"{one.text}{chance.choice('0a')}"
    return True


def _canonical(signature: etree._Element) -> bytes:
    """Return the canonical form of ds:SignedInfo, by the method that it names."""
    (info,) = _all(signature, "SignedInfo")
    return c14n(info, exclusive="exc" in (_all(info, "CanonicalizationMethod")[0].get("Algorithm") or ""))


def _by_stranger(*, whose: KeyPair | None, sign: bool = True) -> Change:
    """Change a text, put the right digest, sign with a stranger's key; `whose` certificate stands in KeyInfo."""

    def apply(original: Original, chance: Random) -> Message | None:
        root = xml.parse(original.message.root, max_bytes=MAX_BYTES).root
        signature = signature_of(root)
        if signature is None or not _changed_text(root, chance):
            return None
        _redigested(root, original)
        canonical = _canonical(signature)
        if sign:
            (info,), (value,) = _all(signature, "SignedInfo"), _all(signature, "SignatureValue")
            method = _all(info, "SignatureMethod")[0].get("Algorithm")
            hash_ = hashes.SHA1() if method == RSA_SHA1 else hashes.SHA256()
            value.text = base64.b64encode(STRANGER.private_key.sign(canonical, padding.PKCS1v15(), hash_)).decode()
            for gone in _all(signature, "KeyInfo"):
                signature.remove(gone)
            if whose is not None:
                data = etree.SubElement(etree.SubElement(signature, ds("KeyInfo")), ds("X509Data"))
                etree.SubElement(data, ds("X509Certificate")).text = _certificate_of(whose)
        return original.message.rooted(etree.tostring(root.getroottree(), encoding="utf-8"))

    return apply


def _transplant(take: Callable[[etree._Element, etree._Element, Random], bool]) -> Change:
    """Return the operator that brings something over from another message of the same signer."""

    def apply(original: Original, chance: Random) -> Message | None:
        others = [one for one in of_same_signer(original.name) if one.document == original.document]
        if not others:
            return None
        root = xml.parse(original.message.root, max_bytes=MAX_BYTES).root
        other = xml.parse(chance.choice(others).message.root, max_bytes=MAX_BYTES).root
        if not take(root, other, chance):
            return None
        return original.message.rooted(etree.tostring(root.getroottree(), encoding="utf-8"))

    return apply


def _their_signature(root: etree._Element, other: etree._Element, _: Random) -> bool:
    mine, theirs = signature_of(root), signature_of(other)
    assert mine is not None
    assert theirs is not None
    mine.addprevious(theirs)
    theirs.tail = mine.tail
    home = mine.getparent()
    assert home is not None
    home.remove(mine)
    return True


def _their_signature_beside(root: etree._Element, other: etree._Element, chance: Random) -> bool:
    mine, theirs = signature_of(root), signature_of(other)
    assert mine is not None
    assert theirs is not None
    if chance.random() < 0.5:
        mine.addprevious(theirs)
    else:
        mine.addnext(theirs)
    return True


def _piece_of_signature(root: etree._Element, other: etree._Element, chance: Random) -> bool:
    mine, theirs = signature_of(root), signature_of(other)
    assert mine is not None
    assert theirs is not None
    name = chance.choice(("SignedInfo", "SignatureValue", "Reference", "DigestValue", "KeyInfo"))
    here, there = _one(mine, chance, name), _one(theirs, chance, name)
    home = None if here is None else here.getparent()
    if here is None or there is None or home is None:
        return False
    home.replace(here, there)
    return True


def _entry(root: etree._Element, other: etree._Element, chance: Random) -> bool:
    """An entry of header or body, or one inside, in place of the one of that name."""
    pairs = [
        (mine, theirs)
        for mine in outside(root)
        for theirs in outside(other)
        if mine.tag == theirs.tag and etree.tostring(mine) != etree.tostring(theirs)
    ]
    if not pairs:
        return False
    mine, theirs = chance.choice(pairs)
    home = mine.getparent()
    assert home is not None
    home.replace(mine, theirs)
    return True


def _entry_beside(root: etree._Element, other: etree._Element, chance: Random) -> bool:
    at = chance.choice((0, -1))
    entries = [one for one in other[at] if one.tag != ds("Signature")]
    if not entries:
        return False
    root[at].insert(chance.randint(0, len(root[at])), chance.choice(entries))
    return True


_OF_SIGNATURE: dict[str, Step] = {
    "dropped": _drop("Signature"),
    "Reference dropped": _drop("Reference"),
    "Reference doubled": _double("Reference"),
    "References in another order": _reorder("Reference"),
    "Reference to something else added": _add_reference,
    "URI in another form": _uri,
    "URI gone": _uri_gone,
    "Transform dropped": _drop("Transform"),
    "Transforms dropped": _drop("Transforms"),
    "Transform doubled": _double("Transform"),
    "Transforms in another order": _reorder("Transform"),
    "Transform added": _add_transform,
    "Transform's algorithm": _algorithm("Transform", _TRANSFORMS),
    "DigestMethod": _algorithm("DigestMethod", _DIGESTS),
    "SignatureMethod": _algorithm("SignatureMethod", _METHODS),
    "CanonicalizationMethod": _algorithm("CanonicalizationMethod", _FORMS),
    "HMACOutputLength": _length,
    "digests swapped": _swap_digests,
    "XPath's text": _xpath,
    "XPath's prefix bound elsewhere": _xpath_prefix,
    "Object or Manifest added": _object,
    "another value": _value,
    "base64 that is none": _base64_of_value,
    "Id": _id,
    "in another place": _place,
    "a second one": _second,
    "a stranger's certificate in KeyInfo": _key_info,
    "something dropped": _drop("SignedInfo", "SignatureValue", "KeyInfo", "DigestValue", "X509Data"),
}
_HARMLESS: dict[str, Step] = {
    "blanks in base64": _blanks_of_value,
    "KeyInfo in another order": _reorder_key_info,
    "KeyInfo with more in it": _key_name,
    "KeyValue of another key": _key_value,
    "KeyInfo dropped": _drop("KeyInfo"),
}
_TRANSPLANTED = {
    "another message's signature": _their_signature,
    "another message's signature beside": _their_signature_beside,
    "a piece of another's signature": _piece_of_signature,
    "an element of another message": _entry,
    "an entry of another message beside": _entry_beside,
}

OPERATORS = (
    *(Operator(name=f"signature: {name}", apply=_signed(change)) for name, change in _OF_SIGNATURE.items()),
    *(Operator(name=f"signature: {name}", apply=_signed(change), harmless=True) for name, change in _HARMLESS.items()),
    *(Operator(name=f"transplant: {name}", apply=_transplant(take)) for name, take in _TRANSPLANTED.items()),
    Operator(name="forged: right digest, old value", apply=_by_stranger(whose=None, sign=False)),
    Operator(name="forged: by a stranger, who says so", apply=_by_stranger(whose=STRANGER)),
    Operator(name="forged: by a stranger as the sender", apply=_by_stranger(whose=SENDER)),
    Operator(name="forged: by a stranger without KeyInfo", apply=_by_stranger(whose=None)),
)
