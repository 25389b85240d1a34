"""The tree of elements changed: nodes gone, doubled, moved, renamed, wrapped, added; actors; namespaces; xml: names."""

import copy
from collections.abc import Callable
from random import Random

from lxml import etree

from broker.envelope import xml
from broker.envelope.names import DS, EB, SOAP, XLINK, XML, ds, eb, soap
from broker.envelope.xmldsig import ACTOR_NEXT, ACTOR_NEXT_MSH
from tests.mutants.operator import MAX_BYTES, Operator, elements, on_tree, outside, signature_of

_ACTORS = (ACTOR_NEXT, ACTOR_NEXT_MSH, "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH", "urn:x", "")
_LEFT_OUT = (ACTOR_NEXT, ACTOR_NEXT_MSH)
_BOUND = f'xmlns:SOAP="{SOAP}" xmlns:eb="{EB}" xmlns:ds="{DS}" xmlns:xlink="{XLINK}"'

# One element of each name of ebMS, saying something else than any original does.
_ABOUT = "<eb:RefToMessageId>forged</eb:RefToMessageId>"
_STAMP = f"<eb:Timestamp>2026-11-22T09:00:00Z</eb:Timestamp>{_ABOUT}"
FORGED = {
    "MessageHeader": '<eb:MessageHeader eb:version="2.0"><eb:CPAId>forged</eb:CPAId></eb:MessageHeader>',
    "From": '<eb:From><eb:PartyId eb:type="HER">8000999</eb:PartyId></eb:From>',
    "To": '<eb:To><eb:PartyId eb:type="HER">8000999</eb:PartyId></eb:To>',
    "PartyId": '<eb:PartyId eb:type="HER">8000999</eb:PartyId>',
    "Role": "<eb:Role>Forged</eb:Role>",
    "CPAId": "<eb:CPAId>forged</eb:CPAId>",
    "ConversationId": "<eb:ConversationId>forged</eb:ConversationId>",
    "Service": '<eb:Service eb:type="string">Forged</eb:Service>',
    "Action": "<eb:Action>Forged</eb:Action>",
    "MessageData": f"<eb:MessageData><eb:MessageId>forged</eb:MessageId>{_STAMP}</eb:MessageData>",
    "MessageId": "<eb:MessageId>forged</eb:MessageId>",
    "Timestamp": "<eb:Timestamp>2026-11-22T09:00:00Z</eb:Timestamp>",
    "RefToMessageId": _ABOUT,
    "TimeToLive": "<eb:TimeToLive>2027-11-22T09:00:00Z</eb:TimeToLive>",
    "DuplicateElimination": "<eb:DuplicateElimination/>",
    "Description": '<eb:Description xml:lang="nb">forged</eb:Description>',
    "SyncReply": '<eb:SyncReply eb:version="2.0" SOAP:mustUnderstand="1"/>',
    "AckRequested": '<eb:AckRequested eb:version="2.0" eb:signed="false"/>',
    "Acknowledgment": f'<eb:Acknowledgment eb:version="2.0">{_STAMP}</eb:Acknowledgment>',
    "ErrorList": '<eb:ErrorList eb:version="2.0" eb:highestSeverity="Error"><eb:Error eb:errorCode="Unknown" '
    'eb:severity="Error"/></eb:ErrorList>',
    "Error": '<eb:Error eb:errorCode="Unknown" eb:severity="Error"/>',
    "Manifest": '<eb:Manifest eb:version="2.0"><eb:Reference xlink:href="cid:forged@x"/></eb:Manifest>',
    "Reference": '<eb:Reference xlink:type="simple" xlink:href="cid:forged@x"/>',
    "StatusRequest": f'<eb:StatusRequest eb:version="2.0">{_ABOUT}</eb:StatusRequest>',
    "StatusResponse": f'<eb:StatusResponse eb:version="2.0" eb:messageStatus="Received">{_ABOUT}</eb:StatusResponse>',
    "MessageOrder": '<eb:MessageOrder eb:version="2.0"><eb:SequenceNumber>1</eb:SequenceNumber></eb:MessageOrder>',
}
_ENTRIES = ("SyncReply", "AckRequested", "Acknowledgment", "ErrorList")  # of a header
_TRACE = '<t:Trace xmlns:t="urn:trace">way<t:Point/></t:Trace>'


def _made(text: str) -> etree._Element:
    """Return a new element; the prefixes of the field are bound."""
    inside = xml.parse(f"<r {_BOUND}>{text}</r>".encode(), max_bytes=MAX_BYTES).root[0]
    inside.tail = None
    return inside


def _forged(chance: Random) -> etree._Element:
    return _made(FORGED[chance.choice(list(FORGED))])


def _place(root: etree._Element, chance: Random) -> tuple[etree._Element, int]:
    one = root[0] if chance.random() < 0.3 else chance.choice([root, *elements(root)])
    return one, chance.randint(0, len(one))


def _parent(element: etree._Element) -> etree._Element:
    parent = element.getparent()
    assert parent is not None
    return parent


# --- nodes ---


def _delete(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(elements(root))
    _parent(one).remove(one)
    return True


def _double(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(elements(root))
    one.addnext(copy.deepcopy(one))
    return True


def _double_changed(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(outside(root))
    twin = copy.deepcopy(one)
    for element in twin.iter("*"):
        if (element.text or "").strip():
            element.text = f"{element.text}0"
    if chance.random() < 0.5:
        one.addnext(twin)
    else:
        one.addprevious(twin)
    return True


def _move(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(elements(root))
    place, at = _place(root, chance)
    if one in [place, *place.iterancestors()]:
        return False
    place.insert(at, one)
    return True


def _rename(root: etree._Element, chance: Random) -> bool:
    one, other = chance.sample([root, *elements(root)], 2)
    one.tag = other.tag if chance.random() < 0.7 else f"{one.tag}x"
    return True


def _rename_namespace(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(outside(root) or elements(root))
    one.tag = f"{{{chance.choice((SOAP, EB, DS, 'urn:x', EB + '/'))}}}{xml.local(one)}"
    return True


def _swap(root: etree._Element, chance: Random) -> bool:
    pairs = [one for one in elements(root) if one.getnext() is not None]
    one = chance.choice(pairs)
    following = one.getnext()
    assert following is not None
    one.addprevious(following)
    return True


def _wrap(actor: str | None) -> Callable[[etree._Element, Random], bool]:
    def change(root: etree._Element, chance: Random) -> bool:
        one = chance.choice([*root[0], *elements(root)])
        wrapper = _made('<t:Wrap xmlns:t="urn:wrap"/>')
        if actor is not None:
            wrapper.set(soap("actor"), actor)
        _parent(one).replace(one, wrapper)
        wrapper.append(one)
        return True

    return change


def _unwrap(root: etree._Element, chance: Random) -> bool:
    holding = [one for one in elements(root) if len(one)]
    one = chance.choice(holding)
    for child in list(one):
        one.addprevious(child)
    _parent(one).remove(one)
    return True


def _into_trace(root: etree._Element, chance: Random) -> bool:
    """Hide a copy of an element where the XPath of ebMS leaves it out."""
    trace = _made(_TRACE)
    trace.set(soap("actor"), chance.choice(_LEFT_OUT))
    trace.append(copy.deepcopy(chance.choice(elements(root))))
    root[0].insert(chance.randint(0, len(root[0])), trace)
    return True


# --- texts and attributes ---


def _texts(root: etree._Element) -> list[etree._Element]:
    return [one for one in elements(root) if (one.text or "").strip() and not len(one)]


def _change_text(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(_texts(root) or elements(root))
    text = one.text or ""
    one.text = chance.choice((f"{text}0", text[:-1], text.upper(), text.swapcase(), "", "8000999", f"{text} {text}"))
    return True


def _change_text_outside(root: etree._Element, chance: Random) -> bool:
    found = [one for one in outside(root) if (one.text or "").strip() and not len(one)]
    if not found:
        return False
    one = chance.choice(found)
    one.text = f"{one.text}{chance.choice('0aZ.')}"
    return True


def _blank(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(_texts(root) or elements(root))
    blank = chance.choice((" ", "\n", "\t", "\xa0", "\u2003", "\u200b", "\r"))
    one.text = f"{blank}{one.text or ''}" if chance.random() < 0.5 else f"{one.text or ''}{blank}"
    return True


def _tail(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(elements(root))
    one.tail = (one.tail or "") + chance.choice((" ", "\n", "text"))
    return True


def _swap_texts(root: etree._Element, chance: Random) -> bool:
    texts = _texts(root)
    if len(texts) < 2:
        return False
    one, other = chance.sample(texts, 2)
    one.text, other.text = other.text, one.text
    return True


def _with_attributes(root: etree._Element) -> list[etree._Element]:
    return [one for one in elements(root) if one.attrib]


def _drop_attribute(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(_with_attributes(root))
    del one.attrib[chance.choice(list(one.attrib))]
    return True


def _change_attribute(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(_with_attributes(root))
    name = chance.choice(list(one.attrib))
    value = str(one.attrib[name])
    new = chance.choice((f"{value}0", value[:-1], value.upper(), f" {value}", "", "1", "0", "true", "false", "urn:x"))
    one.set(str(name), new)
    return True


def _copy_attribute(root: etree._Element, chance: Random) -> bool:
    one = chance.choice(_with_attributes(root))
    name = chance.choice(list(one.attrib))
    chance.choice(elements(root)).set(str(name), str(one.attrib[name]))
    return True


def _attribute_prefix(root: etree._Element, chance: Random) -> bool:
    """Give an attribute a namespace, take it away, or give it another; the value stays."""
    one = chance.choice(_with_attributes(root))
    name = etree.QName(chance.choice(list(one.attrib)))
    namespace = chance.choice(["", *sorted({EB, SOAP, XLINK, "urn:x"} - {name.namespace or ""})])
    value = one.attrib.pop(name.text)
    one.set(f"{{{namespace}}}{name.localname}" if namespace else name.localname, str(value))
    return True


def _twin_attribute(root: etree._Element, chance: Random) -> bool:
    """Beside an attribute, one of the same local name in another namespace, with another value."""
    one = chance.choice(_with_attributes(root))
    name = etree.QName(chance.choice(list(one.attrib)))
    namespace = chance.choice(sorted({"", EB, SOAP, XLINK, "urn:x"} - {name.namespace or ""}))
    one.set(f"{{{namespace}}}{name.localname}" if namespace else name.localname, chance.choice(("0", "1", "urn:x")))
    return True


def _xml_attribute(name: str, values: tuple[str, ...]) -> Callable[[etree._Element, Random], bool]:
    def change(root: etree._Element, chance: Random) -> bool:
        chance.choice([root, *elements(root)]).set(f"{{{XML}}}{name}", chance.choice(values))
        return True

    return change


# --- actors ---


def _actor_on(root: etree._Element, chance: Random) -> bool:
    chance.choice([root, *elements(root)]).set(soap("actor"), chance.choice(_ACTORS))
    return True


def _actor_on_entry(root: etree._Element, chance: Random) -> bool:
    chance.choice([*root[0], *root[-1], root[0], root[-1]]).set(soap("actor"), chance.choice(_LEFT_OUT))
    return True


def _actor_off(root: etree._Element, chance: Random) -> bool:
    having = [one for one in elements(root) if one.get(soap("actor")) is not None]
    if not having:
        return False
    del chance.choice(having).attrib[soap("actor")]
    return True


def _actor_other(root: etree._Element, chance: Random) -> bool:
    """An attribute that is named actor and is none of SOAP's."""
    name = chance.choice(("actor", f"{{{EB}}}actor", "{urn:x}actor", "{http://www.w3.org/2003/05/soap-envelope}actor"))
    chance.choice(elements(root)).set(name, chance.choice(_LEFT_OUT))
    return True


def _must_understand(root: etree._Element, chance: Random) -> bool:
    one = chance.choice([*root[0], *elements(root)])
    one.set(soap("mustUnderstand"), chance.choice(("0", "1", "true", "2", "")))
    return True


# --- added ---


def _add_forged(root: etree._Element, chance: Random) -> bool:
    place, at = _place(root, chance)
    place.insert(at, _forged(chance))
    return True


def _add_forged_for_next(root: etree._Element, chance: Random) -> bool:
    new = _forged(chance)
    new.set(soap("actor"), chance.choice(_LEFT_OUT))
    place = chance.choice((root[0], root[0], root[-1], chance.choice(elements(root))))
    place.insert(chance.randint(0, len(place)), new)
    return True


def _add_entry_for_next(root: etree._Element, chance: Random) -> bool:
    """An entry of ebMS that is not there yet, where it belongs, and left out by the XPath of ebMS."""
    home, names = chance.choice((
        (root[0], _ENTRIES),
        (root[-1], ("Manifest", "StatusRequest", "StatusResponse")),
    ))  # fmt: skip
    missing = [name for name in names if home.find(eb(name)) is None]
    if not missing:
        return False
    new = _made(FORGED[chance.choice(missing)])
    new.set(soap("actor"), chance.choice(_LEFT_OUT))
    home.append(new)
    return True


def _add_forged_in_trace(root: etree._Element, chance: Random) -> bool:
    trace = _made(_TRACE)
    trace.set(soap("actor"), chance.choice(_LEFT_OUT))
    trace.append(_forged(chance))
    root[0].insert(chance.randint(0, len(root[0])), trace)
    return True


def _add_forged_in_key_info(root: etree._Element, chance: Random) -> bool:
    """ds:KeyInfo is not signed: what stands there must be seen by no one."""
    homes = list(root.iter(ds("KeyInfo")))
    if not homes:
        return False
    inside = chance.choice([homes[0], *homes[0].iter(ds("X509Data"), ds("KeyValue"))])
    new = _made(FORGED[chance.choice(_ENTRIES)]) if chance.random() < 0.5 else _forged(chance)
    inside.insert(chance.randint(0, len(inside)), new)
    return True


def _add_sync_reply(root: etree._Element, chance: Random) -> bool:
    new = _made(FORGED["SyncReply"])
    new.set(soap("actor"), chance.choice(_LEFT_OUT))
    root[0].insert(chance.randint(0, len(root[0])), new)
    return True


def _drop_for_next(root: etree._Element, chance: Random) -> bool:
    gone = [one for one in root[0] if one.get(soap("actor")) in _LEFT_OUT]
    if not gone:
        return False
    one = chance.choice(gone)
    before, tail = one.getprevious(), one.tail or ""
    _parent(one).remove(one)
    if before is not None:
        before.tail = (before.tail or "") + tail
    return True


def _add_trace(actors: tuple[str, ...]) -> Callable[[etree._Element, Random], bool]:
    def change(root: etree._Element, chance: Random) -> bool:
        trace = _made(_TRACE)
        trace.set(soap("actor"), chance.choice(actors))
        home = root[0] if signature_of(root) is None or root.tag == soap("Envelope") else root
        home.insert(chance.randint(0, len(home)), trace)
        return True

    return change


def _all_for_next(root: etree._Element, chance: Random) -> bool:
    """An actor on several elements at once."""
    for one in chance.sample(elements(root), min(len(elements(root)), chance.randint(2, 5))):
        one.set(soap("actor"), chance.choice(_LEFT_OUT))
    return True


_OF_TREE: dict[str, Callable[[etree._Element, Random], bool]] = {
    "element deleted": _delete,
    "element doubled": _double,
    "element doubled and changed": _double_changed,
    "element moved": _move,
    "element renamed": _rename,
    "element in another namespace": _rename_namespace,
    "siblings swapped": _swap,
    "element wrapped": _wrap(None),
    "element wrapped for next": _wrap(ACTOR_NEXT),
    "element wrapped for nextMSH": _wrap(ACTOR_NEXT_MSH),
    "element unwrapped": _unwrap,
    "element copied into an entry for next": _into_trace,
    "text changed": _change_text,
    "text outside the signature changed": _change_text_outside,
    "blank at a text": _blank,
    "text between elements": _tail,
    "two texts swapped": _swap_texts,
    "attribute deleted": _drop_attribute,
    "attribute changed": _change_attribute,
    "attribute copied elsewhere": _copy_attribute,
    "attribute in another namespace": _attribute_prefix,
    "attribute's twin in another namespace": _twin_attribute,
    "xml:id": _xml_attribute("id", ("x", "SignedInfo")),
    "xml:base": _xml_attribute("base", ("urn:x", "http://x.example/")),
    "xml:lang": _xml_attribute("lang", ("nb", "", "en")),
    "xml:space": _xml_attribute("space", ("preserve", "default")),
    "actor added anywhere": _actor_on,
    "actor of next added to an entry": _actor_on_entry,
    "actors added": _all_for_next,
    "actor removed": _actor_off,
    "actor of another namespace": _actor_other,
    "mustUnderstand set": _must_understand,
    "forged element of ebMS anywhere": _add_forged,
    "forged element of ebMS for next": _add_forged_for_next,
    "forged entry of ebMS for next, in its place": _add_entry_for_next,
    "forged element of ebMS in an entry for next": _add_forged_in_trace,
    "entry of others, signed for": _add_trace(("urn:x", "", "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH")),
    "entry for next removed": _drop_for_next,
}
_HARMLESS: dict[str, Callable[[etree._Element, Random], bool]] = {
    "forged element of ebMS in KeyInfo": _add_forged_in_key_info,
}

OPERATORS = (
    *(Operator(name=f"tree: {name}", apply=on_tree(change)) for name, change in _OF_TREE.items()),
    *(Operator(name=f"tree: {name}", apply=on_tree(change), harmless=True) for name, change in _HARMLESS.items()),
    Operator(name="tree: entry of others for next", apply=on_tree(_add_trace(_LEFT_OUT)), harmless=True),
    Operator(name="tree: SyncReply added", apply=on_tree(_add_sync_reply)),
    Operator(name="ill-signed, XPath: SyncReply added", apply=on_tree(_add_sync_reply), flaw="xpath"),
    Operator(name="ill-signed, XPath: entry for next added", apply=on_tree(_add_trace(_LEFT_OUT)), flaw="xpath"),
    Operator(name="ill-signed, XPath: text changed", apply=on_tree(_change_text_outside), flaw="xpath"),
    Operator(name="ill-signed, left out: text or actor changed", apply=on_tree(_actor_on_entry), flaw="left out"),
    Operator(name="ill-signed, left out: attribute changed", apply=on_tree(_change_attribute), flaw="left out"),
)
