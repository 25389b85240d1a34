"""Documents made out of the published declarations: for each way from a root to an element, that element at its edges.

Everything around the one edge is minimal. Whether a case is valid is never stated here: the published schemas say so.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lxml import etree
from xmlschema.validators import XsdAnyElement, XsdElement, XsdGroup

from broker.envelope import names
from broker.envelope.xml import Xml, parse
from tests.schemas import values
from tests.schemas.official import Official

Way = tuple[Any, ...]  # declarations from the root down
Particle = Any  # XsdElement | XsdGroup | XsdAnyElement: their common base says nothing of occurrence
_FOREIGN = "urn:example:foreign"
_MORE = 3  # what stands for "unbounded"
_ROOTS = {"msghead.xsd": (names.MSGHEAD, "MsgHead"), "apprec.xsd": ("", "AppRec")}
_VERSIONS = {
    names.DIALOG_10: "1.0", names.DIALOG_11: "1.1", names.APPREC_10: "1.0", names.APPREC_11: "1.1",
}  # fmt: skip
_IN_CONTENT = (
    f"{{{names.DIALOG_10}}}Dialogmelding",
    f"{{{names.DIALOG_11}}}Dialogmelding",
    f"{{{names.BASE64}}}Base64Container",
)
_IN_OBJECT = (f"{{{names.DS}}}Manifest", f"{{{names.DS}}}SignatureProperties")
XSI_TYPE, XSI_NIL = f"{{{names.XSI}}}type", f"{{{names.XSI}}}nil"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One document. `name` is `way:edit`, `schema` the namespace whose declaration it is about.

    `around` are the names at whose declarations it pulls.

    `first` says that no case before did the same to the same element under the same parent.
    """

    name: str
    schema: str
    around: frozenset[str]
    first: bool
    data: bytes

    def xml(self) -> Xml:
        """Return the document, read."""
        return parse(self.data, max_bytes=100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is special about the last element of the way. `counts` is occurrence by id of a particle."""

    counts: Mapping[int, int] = field(default_factory=dict)
    attributes: Mapping[str, str | None] = field(default_factory=dict)
    text: str | None = None
    any_child: Callable[[], etree._Element] | None = None
    after: Callable[[etree._Element], None] = lambda element: None
    id_above: str = ""


def cases_for(official: Official, driver: str) -> Iterator[Case]:
    """Yield every case, each document once."""
    seen = set[bytes]()
    done = set[tuple[str, int, str]]()
    for way in _ways(official, driver):
        label = "/".join(_label(step) for step in way)
        end = (way[-2].name if len(way) > 1 else "", id(way[-1]))
        around = frozenset(step.local_name for step in way[-2:])
        shell = _Shell(way)
        for edited, edit in _edits(way[-1], official):
            data = shell.with_edit(edit)
            if data in seen:
                continue
            seen.add(data)
            touched = around | {edited.partition("=")[0].rpartition(" ")[2]}
            yield Case(
                name=f"{label}:{edited}",
                schema=_namespace(way[-1]),
                around=touched,
                first=(*end, edited) not in done,
                data=data,
            )
            done.add((*end, edited))
    yield from _pieces_as_roots(official, driver)


def _pieces_as_roots(official: Official, driver: str) -> Iterator[Case]:
    for declaration in _globals(official):
        if declaration.name.startswith(f"{{{_ROOTS[driver][0]}") and declaration.local_name != _ROOTS[driver][1]:
            local, schema = declaration.local_name, _namespace(declaration)
            data = etree.tostring(_minimal(declaration))
            yield Case(name=f"{local}:as root", schema=schema, around=frozenset({local}), first=True, data=data)


def _globals(official: Official) -> list[Any]:
    elements = official.declarations.maps.elements
    return [elements[name] for name in elements if not name.startswith("{http://www.w3.org/2001/XMLSchema}")]


def _ways(official: Official, driver: str) -> Iterator[Way]:
    elements = official.declarations.maps.elements
    namespace, name = _ROOTS[driver]
    roots = [element for element in _globals(official) if element.local_name == name and namespace in element.name]

    def below(way: Way) -> Iterator[Way]:
        yield way
        # Twice the same type on the way shows recursion; a third time would show nothing new.
        for child in _elements(way[-1]):
            if sum(step.type is child.type for step in way) < 2:
                yield from below((*way, child))
        for target in {"Content": _IN_CONTENT, "Object": _IN_OBJECT}.get(way[-1].local_name, ()):
            yield from below((*way, elements[target]))

    for root in roots:
        yield from below((root,))


def _elements(declaration: Any) -> list[Any]:
    if not _has_children(declaration):
        return []
    return [one for one in declaration.type.content.iter_elements() if isinstance(one, XsdElement)]


def _has_children(declaration: Any) -> bool:
    return isinstance(getattr(declaration.type, "content", None), XsdGroup) and not _takes_anything(declaration)


def _takes_anything(declaration: Any) -> bool:
    return str(declaration.type.name).endswith("}anyType")


def _label(declaration: Any) -> str:
    version = _VERSIONS.get(declaration.target_namespace, "")
    top = declaration.local_name in {"Dialogmelding", "AppRec"}
    return f"{declaration.local_name}-{version}" if top else str(declaration.local_name)


# Building


class _Shell:
    """The minimal document round the last element of a way; that element is put in anew for each edit."""

    def __init__(self, way: Way) -> None:
        self.declaration = way[-1]
        self._now = _minimal(way[-1])
        self._root = self._now
        for above, below in zip(reversed(way[:-1]), reversed(way[1:]), strict=True):
            self._root = _around(above, below, self._root)

    def with_edit(self, edit: Edit) -> bytes:
        """Return the document with the edited element in its place."""
        element = _element(self.declaration, edit)
        parent = self._now.getparent()
        if parent is None:
            return etree.tostring(element, encoding="utf-8")
        parent.replace(self._now, element)
        self._now = element
        signature = next(element.iterancestors(f"{{{names.DS}}}Signature"), None) if edit.id_above else None
        if signature is None:
            return etree.tostring(self._root, encoding="utf-8")
        signature.set("Id", edit.id_above)
        data = etree.tostring(self._root, encoding="utf-8")
        del signature.attrib["Id"]
        return data


def _around(declaration: Any, inner: Any, built: etree._Element) -> etree._Element:
    particles = list(declaration.type.content.iter_elements())
    target = next((one for one in particles if one is inner), None)
    if target is None:  # a document of its own, behind a wildcard
        wildcard = next(one for one in particles if isinstance(one, XsdAnyElement))
        return _element(declaration, Edit(counts={id(wildcard): 1}, any_child=lambda: built))
    outer = _element(declaration, Edit(counts={id(target): 1}))
    outer.replace(next(child for child in outer if child.tag == inner.name), built)
    return outer


_MINIMAL: dict[int, tuple[Any, etree._Element]] = {}  # by id of the declaration, which is kept so that it stays its own


def _minimal(declaration: Any) -> etree._Element:
    known = _MINIMAL.get(id(declaration))
    if known is None:
        known = _MINIMAL[id(declaration)] = (declaration, _element(declaration, Edit()))
    return deepcopy(known[1])


def _element(declaration: Any, edit: Edit) -> etree._Element:
    element = etree.Element(declaration.name)
    for name, attribute in declaration.attributes.items():
        if name is not None and attribute.use == "required":
            element.set(name, values.sample(attribute.type))
    if _has_children(declaration):
        for child in _children(declaration.type.content, edit):
            element.append(child)
        element.text = edit.text
    elif _takes_anything(declaration):
        element.text = edit.text
    else:
        fixed = declaration.fixed
        usual = fixed if fixed is not None else values.sample(declaration.type)
        element.text = usual if edit.text is None else edit.text
    for key, value in edit.attributes.items():
        if value is not None:
            element.set(key, value)
        elif key in element.attrib:
            del element.attrib[key]
    edit.after(element)
    return element


def _children(particle: Particle, edit: Edit) -> Iterator[etree._Element]:
    mentioned = isinstance(particle, XsdGroup) and any(id(inner) in edit.counts for inner in _inside(particle))
    count = edit.counts.get(id(particle), max(particle.min_occurs, 1) if mentioned else particle.min_occurs)
    for _ in range(count):
        if isinstance(particle, XsdElement):
            yield _minimal(particle)
        elif isinstance(particle, XsdAnyElement):
            yield edit.any_child() if edit.any_child is not None else _allowed_by(particle)
        elif particle.model == "choice":
            alternatives = [one for one in particle if {id(one), *map(id, _inside(one))} & edit.counts.keys()]
            for one in alternatives or list(particle)[:1]:
                yield from _children(one, edit)
        else:
            for one in particle:
                yield from _children(one, edit)


def _allowed_by(wildcard: Any) -> etree._Element:
    """Return something that the wildcard takes: what has a schema where one is demanded, else what has none."""
    if wildcard.process_contents != "strict":
        return etree.Element(f"{{{_FOREIGN}}}any")
    attachment = etree.Element(f"{{{names.BASE64}}}Base64Container")
    attachment.text = "QUJD"
    return attachment


def _inside(particle: Particle) -> Iterator[Particle]:
    if isinstance(particle, XsdGroup):
        for one in particle:
            yield one
            yield from _inside(one)


# Edges


def _edits(declaration: Any, official: Official) -> Iterator[tuple[str, Edit]]:
    yield "minimal", Edit()
    yield from _attribute_edits(declaration)
    yield from _xsi_edits(declaration)
    if _takes_anything(declaration):
        yield from _anything_edits(official)
    elif _has_children(declaration):
        yield from _child_edits(declaration, official)
    else:
        for value in values.candidates(declaration.type, declaration.fixed):
            yield f"value={value!r}", Edit(text=value)
        yield "element inside", Edit(after=partial(_append, name=declaration.name))
        yield "element inside, foreign", Edit(after=partial(_append, name=f"{{{_FOREIGN}}}x"))


def _attribute_edits(declaration: Any) -> Iterator[tuple[str, Edit]]:
    for name, attribute in declaration.attributes.items():
        if name is None:
            continue
        yield f"without @{name}", Edit(attributes={name: None})
        for value in values.candidates(attribute.type, attribute.fixed):
            yield f"with @{name}={value!r}", Edit(attributes={name: value})
        namespace = declaration.target_namespace
        yield (
            f"qualified @{name}",
            Edit(attributes={name: None, f"{{{namespace}}}{name}": values.sample(attribute.type)}),
        )
        if attribute.type.local_name == "ID":
            yield f"another id above @{name}", Edit(attributes={name: "a"}, id_above="b")
            yield f"the same id above @{name}", Edit(attributes={name: "a"}, id_above="a")
    everything = {name: values.sample(one.type) for name, one in declaration.attributes.items() if name is not None}
    yield "all attributes", Edit(attributes=everything)
    for name in ("undeclared", "S", "Id"):
        if name not in everything and (everything or name == "undeclared"):
            yield f"stray @{name}", Edit(attributes={name: "1"})


def _xsi_edits(declaration: Any) -> Iterator[tuple[str, Edit]]:
    yield "xsi:nil", Edit(attributes={XSI_NIL: "true"}, after=_empty)
    yield "xsi:schemaLocation", Edit(attributes={f"{{{names.XSI}}}schemaLocation": "urn:x urn:y"})
    if declaration.type.name and not _takes_anything(declaration):
        yield f"xsi:type own, {_namespace(declaration.type)}", Edit(after=partial(_retype, name=declaration.type.name))
    other = "date" if declaration.type.local_name == "string" else "string"
    yield f"xsi:type {other}", Edit(after=partial(_retype, name=f"{{http://www.w3.org/2001/XMLSchema}}{other}"))


def _anything_edits(official: Official) -> Iterator[tuple[str, Edit]]:
    yield "text", Edit(text="tekst")
    yield "any attribute", Edit(attributes={"a": "1", f"{{{_FOREIGN}}}b": "2"})
    for name in (f"{{{names.XHTML}}}p", "bare", f"{{{_FOREIGN}}}x"):
        yield f"text with {name}", Edit(text="tekst", after=partial(_append, name=name))
    for declaration in _globals(official):
        yield f"holds {declaration.local_name}", Edit(after=partial(_take_in, declaration=declaration))
        yield f"holds bad {declaration.local_name}", Edit(after=partial(_take_in, declaration=declaration, stray="bad"))
    types = official.declarations.maps.types
    for name, one in types.items():
        if not name.startswith("{http://www.w3.org/2001/XMLSchema}") and not getattr(one, "abstract", False):
            yield f"xsi:type {_namespace(one)} {one.local_name}", Edit(after=partial(_become, of_type=one))


def _child_edits(declaration: Any, official: Official) -> Iterator[tuple[str, Edit]]:
    content = declaration.type.content
    for particle in (content, *_inside(content)):
        label = _particle_label(particle)
        most = particle.max_occurs
        edges = {
            particle.min_occurs - 1,
            particle.min_occurs,
            0,
            1,
            2,
            *((_MORE,) if most is None else (most, most + 1)),
        }
        for count in sorted(edge for edge in edges if edge >= 0):
            yield f"count {label}={count}", Edit(counts={id(particle): count})
        if isinstance(particle, XsdGroup) and particle.model == "choice":
            for first, second in zip(list(particle), list(particle)[1:], strict=False):
                both = f"{_particle_label(first)} and {_particle_label(second)}"
                yield f"both {both}", Edit(counts={id(first): 1, id(second): 1})
                mixed = Edit(counts={id(particle): 2, id(first): 1, id(second): 1})
                yield f"twice {both}", mixed
        if isinstance(particle, XsdAnyElement):
            yield from _wildcard_edits(particle, declaration, official)
        if isinstance(particle, XsdElement):
            for namespace in ("", names.FK1):
                name = f"{{{namespace}}}{particle.local_name}" if namespace else particle.local_name
                if name != particle.name:
                    after = partial(_rename, old=particle.name, new=name)
                    yield f"{label} in namespace {namespace!r}", Edit(counts={id(particle): 1}, after=after)
    yield from _order_edits(content)
    inside = [one for one in content.iter_elements() if isinstance(one, XsdElement)]
    for place in (0, len(inside)):
        for name in (f"{{{declaration.target_namespace}}}Ukjent", f"{{{_FOREIGN}}}Ukjent"):
            yield f"unknown {name} at {place}", Edit(after=partial(_insert, name=name, place=place))
    yield "text", Edit(text="tekst")
    yield "text after the first child", Edit(counts=_each_once(content), after=_add_tail)
    yield "blanks", Edit(text=" \n\t")


def _order_edits(content: Any) -> Iterator[tuple[str, Edit]]:
    once = _each_once(content)
    full = list(_children(content, Edit(counts=once)))
    yield "each once", Edit(counts=once)
    twice = {key: 2 if key in _unbounded(content) else 1 for key in once}
    yield "each once, or twice where it may", Edit(counts=twice)
    for at in range(len(full) - 1):
        if full[at].tag != full[at + 1].tag:
            label = f"{etree.QName(full[at]).localname} after {etree.QName(full[at + 1]).localname}"
            yield f"order {label}", Edit(counts=once, after=partial(_swap, at=at))
    for at, child in enumerate(full):
        label = etree.QName(child).localname
        yield f"each once but {label}", Edit(counts=once, after=partial(_drop, at=at))
        yield f"each once, again at the end {label}", Edit(counts=once, after=partial(_repeat, at=at))


def _each_once(content: Any) -> dict[int, int]:
    """Return counts that put every particle of a sequence there once; of a choice, the first alternative."""
    counts = {}

    def visit(particle: Particle) -> None:
        if isinstance(particle, XsdGroup):
            for one in list(particle)[: 1 if particle.model == "choice" else None]:
                visit(one)
        else:
            counts[id(particle)] = 1

    visit(content)
    return counts


def _unbounded(content: Any) -> set[int]:
    return {id(one) for one in content.iter_elements() if one.max_occurs is None and isinstance(one, XsdElement)}


def _wildcard_edits(particle: Any, declaration: Any, official: Official) -> Iterator[tuple[str, Edit]]:
    own = declaration.target_namespace
    for name in (f"{{{own}}}Ukjent", f"{{{_FOREIGN}}}Ukjent", "Ukjent", f"{{{names.XHTML}}}p"):
        yield f"any {name}", Edit(counts={id(particle): 1}, any_child=partial(etree.Element, name))
    for known in _globals(official):
        child = partial(_minimal, known)
        yield f"any known {known.local_name}", Edit(counts={id(particle): 1}, any_child=child)
        bad = partial(_element, known, Edit(attributes={"bad": "1"}))
        yield f"any bad {known.local_name}", Edit(counts={id(particle): 1}, any_child=bad)


def _particle_label(particle: Particle) -> str:
    if isinstance(particle, XsdElement):
        return str(particle.local_name)
    if isinstance(particle, XsdAnyElement):
        return "any"
    return f"{particle.model}({', '.join(_particle_label(one) for one in particle)})"


def _namespace(declared: Any) -> str:
    return str(declared.target_namespace)


# Edits on the tree


def _append(element: etree._Element, name: str) -> None:
    etree.SubElement(element, name)


def _insert(element: etree._Element, name: str, place: int) -> None:
    element.insert(place, etree.Element(name))


def _take_in(element: etree._Element, declaration: Any, stray: str = "") -> None:
    element.append(_element(declaration, Edit(attributes={stray: "1"} if stray else {})))


def _rename(element: etree._Element, old: str, new: str) -> None:
    next(child for child in element if child.tag == old).tag = new


def _empty(element: etree._Element) -> None:
    element[:], element.text = [], None


def _swap(element: etree._Element, at: int) -> None:
    element.insert(at, element[at + 1])


def _drop(element: etree._Element, at: int) -> None:
    element.remove(element[at])


def _repeat(element: etree._Element, at: int) -> None:
    element.append(deepcopy(element[at]))


def _add_tail(element: etree._Element) -> None:
    if len(element):
        element[0].tail = "tekst"


def _retype(element: etree._Element, name: str) -> None:
    qualified = etree.QName(name)
    # The prefix must be declared where it is used; lxml only does so for names of elements and attributes.
    element.attrib[f"{{{qualified.namespace}}}declare"] = ""
    prefix = next(key for key, value in element.nsmap.items() if value == qualified.namespace and key)
    del element.attrib[f"{{{qualified.namespace}}}declare"]
    element.set(XSI_TYPE, f"{prefix}:{qualified.localname}")


def _become(element: etree._Element, of_type: Any) -> None:
    content = getattr(of_type, "content", None)
    if isinstance(content, XsdGroup):
        element.extend(_children(content, Edit()))
        for name, attribute in of_type.attributes.items():
            if name is not None and attribute.use == "required":
                element.set(name, values.sample(attribute.type))
    else:
        element.text = values.sample(of_type)
    _retype(element, of_type.name)
