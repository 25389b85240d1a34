"""Bytes to XML: the only parser in the broker. It decides what markup we are willing to look at.

What it refuses it refuses before libxml2 sees it, where that can be done: DOCTYPE (and so every entity), encodings
that lie, processing instructions inside the document. Comments are dropped while reading: C14N does not see them, so
a comment put into a signed value would hide the rest of it from a reader that takes `.text`.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from broker.envelope.names import XML
from broker.errors import Inconsistent, MalformedXml, OtherXml

MB = 1_000_000

# libxml2 stops a text node at 10,000,000 bytes and depth at 256 unless told that the document is large (then 2,048).
# A small document never needs the larger allowance.
_HUGE_ABOVE = 8 * MB

# A node of libxml2 takes 120 bytes however little was written: 35 MB of `<a/>` were measured to take 1,050 MB. Tags and
# quoted values are counted instead, together; a document of the sector has hundreds, or thousands with a calendar.
MAX_MARKUP = 100_000
# libxml2 counts elder siblings for each fault that a schema finds: 100,000 faults side by side took it minutes.
MAX_CHILDREN = 10_000

# The sector writes UTF-8, and ISO-8859-1 in older systems. UTF-16, UTF-7 and EBCDIC only ever come from an attacker.
_ENCODINGS = {"utf-8": "utf-8", "utf8": "utf-8", "iso-8859-1": "iso-8859-1", "us-ascii": "us-ascii"}

_DECLARATION = re.compile(
    rb"""<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.0"|'1\.0')"""
    rb"""(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([A-Za-z0-9._-]+)"|'([A-Za-z0-9._-]+)'))?"""
    rb"""(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"yes"|"no"|'yes'|'no'))?[ \t\r\n]*\?>"""
)
_BLANKS = " \t\r\n"  # those of XML, and not the many of Unicode: an id followed by one of those is another id
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Xml:
    """A document that was read. Outside envelope, receipts, validation and routing it is passed on, never looked into.

    Whoever holds it must not change the tree: what was verified is what is read.
    """

    root: etree._Element


def parse(data: bytes, *, max_bytes: int, charset: str | None = None) -> Xml:
    """Return the document in `data`.

    `charset` is what the transport says of the encoding (MIME charset), if anything: it must agree with the document.
    Raises MalformedXml, with the line where libxml2 stopped, for anything that is not plain XML 1.0 in UTF-8,
    ISO-8859-1 or US-ASCII, is over `max_bytes`, has more than MAX_MARKUP tags and quoted values or MAX_CHILDREN
    in one element, is nested deeper than 256 elements (2,048 for documents over 8 MB), or holds a DOCTYPE or a
    processing instruction after the prolog.
    """
    if len(data) > max_bytes:
        raise MalformedXml(f"the document is over the limit of {max_bytes} bytes")
    encoding, start = _encoding(data, charset)
    _refuse_doctype(data, start)
    _refuse_markup(data)
    parser = _parser(encoding, huge=len(data) > _HUGE_ABOVE)
    try:
        root = etree.fromstring(data[start:], parser)  # noqa: TID251 - the one place where XML enters
    except etree.XMLSyntaxError as fault:
        # The message quotes the document: only the line and the name of the fault go on.
        logged = parser.error_log.last_error
        raise _malformed(logged.type_name if logged is not None else "no document", fault.lineno) from None
    # lxml looks at the last thing that libxml2 said. Where that was a warning (an xml:space of another value), it gives
    # out a document whose namespaces are wrong: an attribute twice under two prefixes, a name with an unbound prefix.
    if wrong := parser.error_log.filter_from_errors():
        raise _malformed(wrong[0].type_name, wrong[0].line)
    _refuse_instructions(data, root)
    _refuse_width(data, root)
    return Xml(root)


def c14n(node: etree._Element, *, exclusive: bool = False, with_comments: bool = False) -> bytes:
    """Return the canonical form of a subtree (C14N 1.0, or Exclusive C14N 1.0 without prefix list).

    For the document element it is the canonical form of the document, processing instructions in the prolog included.
    Raises MalformedXml where none exists (a relative namespace name).
    """
    parent = node.getparent()
    try:
        if parent is None:
            return etree.tostring(node.getroottree(), method="c14n", exclusive=exclusive, with_comments=with_comments)
        # lxml writes a subtree in a default namespace with stray xmlns="" on its children. Read as a document of its
        # own, with the namespaces in scope, it comes out right.
        alone = own(etree.tostring(node, encoding="utf-8", with_tail=False))
        if not exclusive:
            # C14N 1.0, 2.4: the apex takes the xml: attributes of its ancestors.
            for ancestor in node.iterancestors():
                for name, value in ancestor.attrib.items():
                    if str(name).startswith(f"{{{XML}}}") and name not in alone.attrib:
                        alone.set(name, value)
        return etree.tostring(alone, method="c14n", exclusive=exclusive, with_comments=with_comments)
    except etree.C14NError:
        raise MalformedXml("no canonical form exists (a namespace name that is not absolute)") from None


def own(written: str | bytes) -> etree._Element:
    """Return what we wrote ourselves as an element. Nothing that came from elsewhere enters by this way."""
    return etree.fromstring(written, _parser("utf-8", huge=True))  # noqa: TID251 - what we wrote ourselves


def children(parent: etree._Element, name: str) -> Sequence[etree._Element]:
    """Return the direct children of that qualified name; never a search below them."""
    return list(parent.iterchildren(name))


def only_child(parent: etree._Element, name: str) -> etree._Element | None:
    """Return the one direct child of that name, or None. Raises Inconsistent where there are several."""
    found = children(parent, name)
    if len(found) > 1:
        raise Inconsistent(f"more than one {local(found[0])}", location=location(found[0]))
    return found[0] if found else None


def required_child(parent: etree._Element, name: str) -> etree._Element:
    """Return the one direct child of that name. Raises OtherXml where it is missing, Inconsistent where repeated."""
    found = only_child(parent, name)
    if found is None:
        name = etree.QName(name).localname
        raise OtherXml(f"{name} is missing", location=f"{location(parent)}/{name}")
    return found


def text(element: etree._Element) -> str:
    """Return the text of an element without blanks round it. Raises OtherXml where it holds elements."""
    if len(element):
        raise OtherXml(f"{local(element)} must hold text only", location=location(element))
    return (element.text or "").strip(_BLANKS)


def decode_base64(value: str) -> bytes:
    """Return the octets of base64 as XML carries it: blanks, line ends and `&#13;` are no content.

    Raises ValueError for anything else that is not base64.
    """
    for blank in _BLANKS:
        value = value.replace(blank, "")
    return base64.b64decode(value, validate=True)


def local(element: etree._Element) -> str:
    """Return the name of an element without its namespace."""
    return etree.QName(element).localname


def location(element: etree._Element) -> str:
    """Return where an element stands, by local names below the document element: `//Header/MessageHeader/CPAId`."""
    names = [local(element), *(local(ancestor) for ancestor in element.iterancestors())]
    return "//" + "/".join(reversed(names[:-1] or names))


def position(element: etree._Element) -> str:
    """Return where an element stands among its siblings of the same name, `[2]` from 1; nothing where it is alone.

    Looks at the elder ones and at one younger: a hundred thousand siblings cost their first ones little.
    """
    elder = sum(1 for _ in element.itersiblings(str(element.tag), preceding=True))
    alone = not elder and next(element.itersiblings(str(element.tag)), None) is None
    return "" if alone else f"[{elder + 1}]"


def _parser(encoding: str, *, huge: bool) -> etree.XMLParser:
    # A new parser each time (16 us): a shared one holds a lock, and two threads are then slower than one.
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        remove_comments=True,
        remove_pis=False,
        huge_tree=huge,
        collect_ids=False,
    )


def _malformed(kind: str, line: int | None) -> MalformedXml:
    return MalformedXml(f"not well-formed XML ({kind})", line=line)


def _encoding(data: bytes, charset: str | None) -> tuple[str, int]:
    """Return the encoding to read with, and where the document starts after a byte order mark and its declaration."""
    marked = data.startswith(_UTF8_BOM)
    start = len(_UTF8_BOM) if marked else 0
    if data.startswith(_UTF8_BOM, start):
        raise MalformedXml("more than one byte order mark", line=1)
    if b"\0" in data:
        raise MalformedXml("a NUL byte: UTF-16 or UTF-32, or not XML at all")
    declared = None
    if data.startswith(b"<?xml", start) and data[start + 5 : start + 6] in b" \t\r\n":
        declaration = _DECLARATION.match(data, start)
        if declaration is None:
            raise MalformedXml("an XML declaration that is not of version 1.0, or is broken", line=1)
        named = declaration[1] or declaration[2]
        declared = named.decode("ascii").lower() if named else None
    names = [name for name in ("utf-8" if marked else None, declared, charset.lower() if charset else None) if name]
    unknown = [name for name in names if name not in _ENCODINGS]
    if unknown:
        raise MalformedXml("an encoding other than UTF-8, ISO-8859-1 and US-ASCII", line=1)
    agreed = {_ENCODINGS[name] for name in names} or {"utf-8"}
    if len(agreed) > 1:
        raise MalformedXml("byte order mark, XML declaration and MIME charset do not name one encoding", line=1)
    return agreed.pop(), start


def _refuse_doctype(data: bytes, start: int) -> None:
    """Walk the prolog and raise MalformedXml at a DOCTYPE, before libxml2 would read what it declares."""
    at = start
    while True:
        markup = _NOT_BLANK.search(data, at)
        if markup is None:
            return
        at = markup.start()
        if data.startswith(b"<!--", at):
            end, width = data.find(b"-->", at + 4), 3
        elif data.startswith(b"<?", at):
            end, width = data.find(b"?>", at + 2), 2
        elif data.startswith(b"<!", at):
            raise MalformedXml("a DOCTYPE is never accepted", line=data.count(b"\n", 0, at) + 1)
        else:
            return
        if end < 0:
            return  # unterminated: libxml2 says where
        at = end + width


def _refuse_markup(data: bytes) -> None:
    """Raise MalformedXml where reading would take much more memory than the document has bytes."""
    if len(data) <= MAX_MARKUP:  # not enough bytes to hold so much
        return
    if data.count(b"<") + data.count(b'"') // 2 + data.count(b"'") // 2 > MAX_MARKUP:
        raise MalformedXml(f"too much markup: more than {MAX_MARKUP} tags and quoted values")


def _refuse_width(data: bytes, root: etree._Element) -> None:
    if (
        len(data) > MAX_CHILDREN
        and data.count(b"<") > MAX_CHILDREN
        and any(len(element) > MAX_CHILDREN for element in root.iter())
    ):
        raise MalformedXml(f"too much markup: more than {MAX_CHILDREN} elements side by side")


def _refuse_instructions(data: bytes, root: etree._Element) -> None:
    info: Any = root.getroottree().docinfo  # its stubs lack `doctype`
    if info.doctype:  # the walk above came first; this holds should libxml2 see a prolog that we do not
        raise MalformedXml("a DOCTYPE is never accepted")
    if b"<?" not in data:
        return
    inside: Any = next(root.iter(etree.ProcessingInstruction), root.getnext())
    if inside is not None:
        raise MalformedXml("a processing instruction after the prolog is never accepted", line=inside.sourceline)
