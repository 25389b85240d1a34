"""Why a document is not valid: turns the findings of xmlschema, and of lxml's log, into SchemaFaults.

Both libraries quote the document in their messages. Nothing of a message is passed on but names that the schemas
declare; everything else is read from the schema component that complains, and from the tree.
"""

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.request import OpenerDirector

import xmlschema
from lxml import etree
from xmlschema import XMLSchemaChildrenValidationError, XMLSchemaException, XMLSchemaValidationError
from xmlschema.validators import XsdAnyElement, XsdAttribute, XsdAttributeGroup, XsdElement, XsdFacet, XsdGroup

from broker.envelope.names import XSI
from broker.envelope.xml import parse, position
from broker.validation.faults import UNKNOWN, FaultKind, SchemaFault

_XS = "{http://www.w3.org/2001/XMLSchema}"
_MAX_SCHEMA = 1_000_000  # bytes; the largest published one we know has 60,000
_XSI_NAMES = frozenset(f"{{{XSI}}}{name}" for name in ("type", "nil", "schemaLocation", "noNamespaceSchemaLocation"))
_ATTRIBUTE_OF_REASON = re.compile(r"attribute ([^=\s]+)=")  # how xmlschema says that a value was an attribute's


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The names that the schemas declare: what may be repeated to people. `targets`: namespace by file."""

    names: frozenset[str]
    targets: Mapping[str, str]

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> "Vocabulary":
        """Read the names out of the schema files. Raises MalformedXml where one is not plain XML."""
        roots = {file: parse(data, max_bytes=_MAX_SCHEMA).root for file, data in files.items()}
        declared = (element.get("name") for root in roots.values() for element in root.iter())
        return cls(
            names=frozenset(str(name) for name in declared if name),
            targets={file: str(root.get("targetNamespace", "")) for file, root in roots.items()},
        )

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces that have a schema."""
        return frozenset(self.targets.values())

    def name(self, qualified: str) -> str:
        """Return the local name if a schema declares such a name, or XML Schema itself does; else `*`."""
        if qualified in _XSI_NAMES:
            return f"xsi:{qualified.rpartition('}')[2]}"
        local = qualified.rpartition("}")[2]
        return local if local in self.names else UNKNOWN

    def path(self, element: etree._Element) -> str:
        """Return where an element stands: local names, with a position where siblings share the name."""
        steps = []
        for step in (element, *element.iterancestors()):
            steps.append(self.name(str(step.tag)) + position(step))
        return "/" + "/".join(reversed(steps))


class Explainer:
    """xmlschema over the same bytes. Built at its first use (0.2 s). Not for two threads at once."""

    def __init__(self, *, files: Mapping[str, bytes], top: bytes, base: str, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._opener = _SchemaOpener({base + name: data for name, data in {**files, "top.xsd": top}.items()})
        self._url = f"{base}top.xsd"
        self._schema: xmlschema.XMLSchema10 | None = None

    def explain(self, root: etree._Element, *, at_most: int) -> list[SchemaFault]:
        """Return up to `at_most` faults of the tree, as they were found."""
        if self._schema is None:
            # The opener answers every URL, so nothing is read or fetched; `use_fallback` would find files of its own.
            self._schema = xmlschema.XMLSchema10(self._url, opener=self._opener, use_fallback=False)
        found: dict[SchemaFault, None] = {}  # xmlschema tells some faults twice
        try:
            for error in self._schema.iter_errors(root):
                found.update(dict.fromkeys(self._faults(error)))
                if len(found) >= at_most:
                    break
        except (XMLSchemaException, RecursionError):
            # It gives up at an xsi:type that it does not know, and at deep nesting. What it had found stands, and
            # what lxml saw is put beside it.
            return list(found)
        return list(found)[:at_most]

    def _faults(self, error: XMLSchemaValidationError) -> Iterator[SchemaFault]:
        element: Any = error.elem
        validator: Any = error.validator
        if element is None:
            return
        match validator:
            case _ if isinstance(error, XMLSchemaChildrenValidationError):
                yield self._wrong_child(error, element)
            case XsdAttributeGroup():
                yield from self._wrong_attributes(validator, element)
            case XsdAnyElement():
                yield self._fault(FaultKind.NO_SCHEMA, element)
            case XsdGroup():
                yield self._fault(FaultKind.UNEXPECTED_TEXT, element)
            case XsdElement():
                yield self._wrong_element(validator, element)
            case XsdAttribute():
                yield self._wrong_value(error, element, validator.type)
            case _:
                yield self._wrong_value(error, element, validator)

    def _wrong_child(self, error: XMLSchemaChildrenValidationError, element: etree._Element) -> SchemaFault:
        expected = tuple(dict.fromkeys(_expected(error)))
        if error.index >= len(element):
            return self._fault(FaultKind.MISSING_ELEMENT, element, expected=expected)
        child = element[error.index]
        most = _most(error.validator, child.tag)
        if most is not None and sum(one.tag == child.tag for one in list(element)[: error.index]) >= most:
            return self._fault(FaultKind.TOO_MANY_ELEMENTS, child, expected=expected, limit=str(most))
        return self._fault(FaultKind.UNEXPECTED_ELEMENT, child, expected=expected)

    def _wrong_attributes(self, group: XsdAttributeGroup, element: etree._Element) -> Iterator[SchemaFault]:
        # xmlschema names the attribute in prose only. The same is seen by comparing, for all of them at once.
        declared = {name for name in group if name is not None}
        required = {name for name in declared if getattr(group[name], "use", "") == "required"}
        for name in sorted(required - set(element.attrib)):
            yield self._fault(FaultKind.MISSING_ATTRIBUTE, element, attribute=self.vocabulary.name(str(name)))
        for name in sorted(str(name) for name in element.attrib if name not in declared | _XSI_NAMES):
            yield self._fault(FaultKind.UNEXPECTED_ATTRIBUTE, element, attribute=self.vocabulary.name(name))

    def _wrong_element(self, declaration: XsdElement, element: etree._Element) -> SchemaFault:
        if len(element) and declaration.type.has_simple_content():
            return self._fault(FaultKind.UNEXPECTED_ELEMENT, element[0])
        if declaration.fixed is not None and element.text != declaration.fixed:
            return self._fault(FaultKind.FIXED_VALUE, element, limit=declaration.fixed)
        if declaration.type.is_empty() and element.text:  # blanks too: this content is empty, not elements only
            return self._fault(FaultKind.UNEXPECTED_TEXT, element)
        unusable = next((name for name in sorted(_XSI_NAMES) if name in element.attrib), None)
        if unusable is not None:
            return self._fault(FaultKind.UNEXPECTED_ATTRIBUTE, element, attribute=self.vocabulary.name(unusable))
        return self._fault(FaultKind.OTHER, element)

    def _wrong_value(self, error: XMLSchemaValidationError, element: etree._Element, validator: Any) -> SchemaFault:
        named = _ATTRIBUTE_OF_REASON.match(error.reason or "")
        attribute = self.vocabulary.name(named[1]) if named and named[1] in element.attrib else ""
        if not isinstance(validator, XsdFacet):
            kind = FaultKind.DUPLICATE_ID if "duplicated" in (error.reason or "") else FaultKind.BAD_VALUE
            return self._fault(kind, element, attribute=attribute, type_name=_type_name(validator))
        facet = etree.QName(validator.elem.tag).localname
        limit = getattr(validator, "regexps", None) or getattr(validator, "enumeration", None) or [validator.value]
        return self._fault(
            FaultKind.BAD_VALUE,
            element,
            attribute=attribute,
            type_name=_type_name(validator.parent or validator.base_type),
            facet=facet,
            limit=" | ".join(str(part) for part in limit if part is not None),
        )

    def _fault(self, kind: FaultKind, element: etree._Element, **facts: Any) -> SchemaFault:
        return SchemaFault(
            kind=kind,
            line=line_of(element),
            path=self.vocabulary.path(element),
            element=self.vocabulary.name(str(element.tag)),
            **facts,
        )


class _SchemaOpener(OpenerDirector):
    """Opens the given bytes by URL, and nothing else."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__()
        self._given = files

    def open(self, fullurl: Any, data: Any = None, timeout: float | None = None) -> Any:
        """Return the file of that URL. Raises FileNotFoundError for any other."""
        if fullurl not in self._given:
            raise FileNotFoundError(f"not among the given schemas: {fullurl}")
        return io.BytesIO(self._given[fullurl])


def line_of(element: etree._Element) -> int | None:
    """Return the line, from 1, that an element starts in; None where it was not read from bytes."""
    line: Any = element.sourceline  # its stub says `...`
    return int(line) if line else None


def _expected(error: XMLSchemaChildrenValidationError) -> Iterator[str]:
    for particle in error.expected or ():
        yield particle.local_name or UNKNOWN


def _most(group: Any, tag: object) -> int | None:
    """Return how often the content model lets the element stand; None where without limit, or not at all."""
    return next((particle.max_occurs for particle in group.iter_elements() if particle.name == tag), None)


def _type_name(validator: Any) -> str:
    """Return the local name of a type; of a union without name those of its members."""
    named = getattr(validator, "local_name", None)
    if named:
        return str(named)
    members = getattr(validator, "member_types", None)
    if members:
        return " | ".join(_type_name(member) for member in members)
    base = getattr(validator, "base_type", None)
    return _type_name(base) if base is not None else ""


# How libxml2 names its findings (xmlerror.h), and what we call them.
_KIND_OF_LOGGED = {
    "SCHEMAV_ELEMENT_CONTENT": FaultKind.UNEXPECTED_ELEMENT,
    "SCHEMAV_CVC_ELT_1": FaultKind.NO_SCHEMA,
    "SCHEMAV_CVC_ELT_3_1": FaultKind.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_ELT_3_2_1": FaultKind.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_ELT_3_2_2": FaultKind.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_ELT_4_1": FaultKind.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_ELT_4_2": FaultKind.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_ELT_4_3": FaultKind.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_ELT_5_2_2_2_2": FaultKind.FIXED_VALUE,
    "SCHEMAV_CVC_AU": FaultKind.FIXED_VALUE,
    "SCHEMAV_CVC_COMPLEX_TYPE_2_1": FaultKind.UNEXPECTED_TEXT,
    "SCHEMAV_CVC_COMPLEX_TYPE_2_2": FaultKind.UNEXPECTED_ELEMENT,
    "SCHEMAV_CVC_COMPLEX_TYPE_2_3": FaultKind.UNEXPECTED_TEXT,
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1": FaultKind.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_2": FaultKind.UNEXPECTED_ATTRIBUTE,
    "SCHEMAV_CVC_COMPLEX_TYPE_4": FaultKind.MISSING_ATTRIBUTE,
    "SCHEMAV_CVC_DATATYPE_VALID_1_2_1": FaultKind.BAD_VALUE,
    "SCHEMAV_CVC_DATATYPE_VALID_1_2_3": FaultKind.BAD_VALUE,
    "SCHEMAV_CVC_PATTERN_VALID": FaultKind.BAD_VALUE,
    "SCHEMAV_CVC_ENUMERATION_VALID": FaultKind.BAD_VALUE,
    "SCHEMAV_CVC_TYPE_3_1_2": FaultKind.UNEXPECTED_ELEMENT,
}
_ABOUT_A_CHILD = frozenset({"SCHEMAV_CVC_TYPE_3_1_2", "SCHEMAV_CVC_COMPLEX_TYPE_2_2"})  # said of the parent
_LOGGED_ATTRIBUTE = re.compile(r"Element '[^']*', attribute '([^']*)'")
_LOGGED_NAMES = re.compile(r"(?:\{[^}]*\})?([^\s{}(),]+)")
_LOGGED_TYPE = re.compile(r" type '([^']*)'\.\s*$")


def faults_in_log(root: etree._Element, log: Sequence[Any], vocabulary: Vocabulary) -> list[SchemaFault]:
    """Return the faults that lxml logged for the tree: fewer and poorer than xmlschema's."""
    return [_of_log(entry, _at(root, entry.path), vocabulary) for entry in log]


def _of_log(entry: Any, element: etree._Element | None, vocabulary: Vocabulary) -> SchemaFault:
    kind = _KIND_OF_LOGGED.get(entry.type_name, FaultKind.OTHER)
    message: str = entry.message
    if entry.type_name in _ABOUT_A_CHILD and element is not None and len(element):
        element = element[0]
    expected: tuple[str, ...] = ()
    if kind is FaultKind.UNEXPECTED_ELEMENT:
        if ": Missing child element(s)." in message:
            kind = FaultKind.MISSING_ELEMENT
        listed = message.rpartition("( ")[2].rpartition(" )")[0]
        names = (vocabulary.name(name) for name in _LOGGED_NAMES.findall(listed))
        expected = tuple(dict.fromkeys(names))
    attribute = _LOGGED_ATTRIBUTE.match(message)
    typed = _LOGGED_TYPE.search(message) if kind is FaultKind.BAD_VALUE else None
    type_name = typed[1].removeprefix("xs:") if typed else ""
    known_type = typed is not None and (typed[1].startswith("xs:") or vocabulary.name(type_name) != UNKNOWN)
    return SchemaFault(
        kind=kind,
        line=entry.line or None,
        path=vocabulary.path(element) if element is not None else "/",
        element=vocabulary.name(str(element.tag)) if element is not None else UNKNOWN,
        attribute=vocabulary.name(attribute[1]) if attribute else "",
        expected=expected,
        type_name=type_name if known_type else "",
    )


def _at(root: etree._Element, path: str | None) -> etree._Element | None:
    """Return the element that a path of libxml2 leads to: `*` counts all siblings, a name those that share it."""
    at: etree._Element | None = None
    for step in (path or "").strip("/").split("/"):
        name, _, place = step.rstrip("]").partition("[")
        prefix, _, local = name.rpartition(":")
        siblings: Iterable[etree._Element] = [root] if at is None else at
        same = (
            one
            for one in siblings
            if name == "*" or (etree.QName(one).localname == local and (one.prefix or "") == prefix)
        )
        index = int(place) - 1 if place.isdigit() else 0
        at = next(islice(same, index, None), None)  # no further than there: siblings may be a hundred thousand
        if at is None:
            return None
    return at
