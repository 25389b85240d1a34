"""Our schemas with one declaration changed: what a slip of the pen, or a misread standard, would look like."""

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

from lxml import etree

from broker.envelope.xml import parse

_XS = "{http://www.w3.org/2001/XMLSchema}"
_PARTICLES = frozenset(_XS + name for name in ("element", "any", "choice", "sequence", "group"))

# To a neighbour that some document tells apart. string and token are left alone between themselves: every string is
# a token once its blanks are collapsed, so no document could.
_NEIGHBOURS: Mapping[str, tuple[str, ...]] = {
    "xs:string": ("xs:anyType", "xs:NMTOKEN", "xs:integer"),
    "xs:token": ("xs:NMTOKEN", "xs:integer"),
    "xs:dateTime": ("xs:string", "xs:date"),
    "xs:date": ("xs:string", "xs:dateTime"),
    "xs:anyURI": ("xs:string", "xs:NCName"),
    "xs:base64Binary": ("xs:string", "xs:hexBinary"),
    "xs:integer": ("xs:string", "xs:nonNegativeInteger", "xs:decimal", "xs:long"),
    "xs:ID": ("xs:string", "xs:NCName"),
    "xs:anyType": ("xs:string",),
}
_PIECES: Mapping[str, tuple[str, ...]] = {
    "CS": ("CV", "URL"),
    "CV": ("CS",),
    "URL": ("CS",),
    "TS": ("CS",),
    "Ident": ("Address",),
}
_PATTERNS = (r"[\d.]+", r"\d+(\.\d+)+", r"\d+(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change: `name` is `file:line: what`; `around` are names near it, which cases likely to see it share.

    `equivalent` says that a rule below knows that no document could tell the mutant from the original.
    """

    name: str
    kind: str
    file: str
    around: frozenset[str]
    files: Mapping[str, bytes]
    equivalent: bool


def mutants(files: Mapping[str, bytes]) -> Iterator[Mutant]:
    """Yield every mutant of the schema files, in the order of the text."""
    for file in sorted(files):
        root = parse(files[file], max_bytes=1_000_000).root
        for at, node in enumerate(root.iter()):
            near = [one.get("name") or one.get("ref") or "" for one in (node, *node.iterancestors())]
            mark = "@" if node.tag == f"{_XS}attribute" else ""
            around = frozenset(mark * (up == 0) + one.rpartition(":")[2] for up, one in enumerate(near) if one)
            for change in _changes(node):
                copied = deepcopy(root)
                change.apply([*copied.iter()][at])
                yield Mutant(
                    name=f"{file}:{node.sourceline}: {_shown(node)}: {change.told}",
                    kind=change.kind,
                    file=file,
                    around=around,
                    files={**files, file: etree.tostring(copied, encoding="utf-8")},
                    equivalent=_equivalent(node, change),
                )


def reached(files: Mapping[str, bytes], driver: str) -> set[str]:
    """Return the files that a driver takes in, itself among them."""
    found, ahead = set[str](), [driver]
    while ahead:
        file = ahead.pop()
        found.add(file)
        for node in parse(files[file], max_bytes=1_000_000).root:
            if node.get("schemaLocation"):
                other = posixpath.normpath(posixpath.join(posixpath.dirname(file), node.get("schemaLocation", "")))
                ahead += [other] if other not in found else []
    return found


def _shown(node: etree._Element) -> str:
    return f"{etree.QName(node).localname} {node.get('name') or node.get('ref') or ''}".strip()


@dataclass(frozen=True, slots=True)
class _Change:
    kind: str
    told: str
    apply: Callable[[etree._Element], None]


def _changes(node: etree._Element) -> Iterator[_Change]:
    local = etree.QName(node).localname
    parent = node.getparent()
    if node.tag in _PARTICLES and parent is not None and parent.tag not in (f"{_XS}schema", f"{_XS}group"):
        yield from _occurs(node)
        yield _Change("presence", "left out", _remove)
        if node.getnext() is not None and parent.tag == f"{_XS}sequence":
            yield _Change("order", "after the next", _move_down)
    if local in ("sequence", "choice"):
        other = "choice" if local == "sequence" else "sequence"
        yield _Change("order", f"as {other}", partial(_retag, tag=_XS + other))
    if local == "attribute":
        yield from _each("use", node, "use", {"optional", "required", "prohibited"}, usual="optional")
        yield _Change("presence", "left out", _remove)
    if local == "element" and not node.get("ref"):
        yield from _each("nil", node, "nillable", {"true"}, usual="false")
    for name in ("type", "base"):
        yield from _each("type", node, name, _other_types(node.get(name, ""), local), usual="")
    if node.get("fixed"):
        yield _Change("fixed", "not fixed", partial(_set, name="fixed", value=None))
        yield from _each("fixed", node, "fixed", {f"{node.get('fixed')}x"}, usual="")
    members = node.get("memberTypes", "").split()
    fewer = {" ".join(one for one in members if one != member) for member in members}
    yield from _each("type", node, "memberTypes", fewer, usual="")
    if local == "pattern":
        yield _Change("facet", "left out", _remove)
        yield from _each("facet", node, "value", _PATTERNS, usual="")
    if local == "any":
        yield from _each("wildcard", node, "processContents", {"strict", "lax", "skip"}, usual="strict")
        yield from _each("wildcard", node, "namespace", {"##any", "##other", "##local"}, usual="##any")
    if local == "complexType" and node.find(f"{_XS}simpleContent") is None:
        yield from _each("mixed", node, "mixed", {"true", "false"}, usual="false")
    if local == "schema":
        if node.get("elementFormDefault"):
            yield from _each("form", node, "elementFormDefault", {"unqualified"}, usual="")
        if node.find(f".//{_XS}attribute") is not None:
            yield from _each("form", node, "attributeFormDefault", {"qualified"}, usual="")


def _occurs(node: etree._Element) -> Iterator[_Change]:
    least, most = node.get("minOccurs", "1"), node.get("maxOccurs", "1")
    room = {"0", "1"} if most == "1" else {"0", "1", "2"}
    yield from _each("occurs", node, "minOccurs", room, usual=least)
    yield from _each("occurs", node, "maxOccurs", {"1", "2", "unbounded"}, usual=most)


def _equivalent(node: etree._Element, change: _Change) -> bool:
    """Return whether the change is one that content models are known to absorb."""
    parent = node.getparent()
    assert parent is not None or change.kind == "form"
    least, most = node.get("minOccurs", "1"), node.get("maxOccurs", "1")
    if change.told == "minOccurs=0":
        # Nothing is mandatory in it; or: one of a choice that may be left out anyway.
        return _may_be_empty(node, inside_only=True) or (parent is not None and _is(parent, "choice", "minOccurs", "0"))
    if change.told.startswith("maxOccurs=") or change.told in ("minOccurs=1", "as choice"):
        endless = parent is not None and _is(parent, "choice", "maxOccurs", "unbounded")
        only = list(node)
        wraps = len(only) == 1 and only[0].get("maxOccurs") == "unbounded" and (least, most) == ("1", "1")
        # One of a choice that is repeated without end; or: a wrapper round one particle that is.
        return (endless and change.told.startswith("maxOccurs=")) or wraps
    return False


def _is(node: etree._Element, local: str, name: str, value: str) -> bool:
    return node.tag == _XS + local and node.get(name) == value


def _may_be_empty(node: etree._Element, *, inside_only: bool = False) -> bool:
    """Return whether a particle allows no element at all."""
    if not inside_only and node.get("minOccurs") == "0":
        return True
    if node.tag == f"{_XS}group" and node.get("ref"):
        name = node.get("ref", "").rpartition(":")[2]
        group = next(one for one in node.getroottree().getroot() if one.get("name") == name and one.tag == node.tag)
        return all(_may_be_empty(child) for child in group)
    if node.tag == f"{_XS}sequence":
        return all(_may_be_empty(child) for child in node)
    return node.tag == f"{_XS}choice" and any(_may_be_empty(child) for child in node)


def _each(kind: str, node: etree._Element, name: str, among: Collection[str], *, usual: str) -> Iterator[_Change]:
    for value in sorted(set(among) - {node.get(name, usual)}):
        yield _Change(kind, f"{name}={value}", partial(_set, name=name, value=value))


def _other_types(named: str, local: str) -> Collection[str]:
    if named.startswith("xs:"):
        if local == "restriction":
            return ["xs:string"]
        # An attribute, and a base of simple content, cannot take any content.
        return [one for one in _NEIGHBOURS[named] if local == "element" or one != "xs:anyType"]
    prefix, _, piece = named.rpartition(":")
    if piece == "oid":
        return ["xs:token"]
    pieces = [f"{prefix}:{other}" if prefix else other for other in _PIECES.get(piece, ())]
    return [*pieces, "xs:anyType"] if named and local == "element" else []


def _set(node: etree._Element, name: str, value: str | None) -> None:
    if value is None:
        del node.attrib[name]
    else:
        node.set(name, value)


def _remove(node: etree._Element) -> None:
    parent = node.getparent()
    assert parent is not None
    parent.remove(node)


def _move_down(node: etree._Element) -> None:
    following = node.getnext()
    assert following is not None
    following.addnext(node)


def _retag(node: etree._Element, tag: str) -> None:
    node.tag = tag
