"""Is a document valid against our schemas? lxml alone decides; only after a no does `explain` say why.

Schemas are given as bytes. No URL is opened, no path read, and what an instance says of schemas (xsi:schemaLocation)
is never followed.

A SchemaSet belongs to one thread: libxml2 keeps its error log on the schema object. Each thread takes a `clone()`.
Building one (`from_bytes`, `clone`) races in libxml2: callers hold one lock round it. `check` builds the explaining
half at the first document that is not valid, and shares it with all clones: callers that use several threads call
`accepts` freely, and `check` under that same lock, one at a time.
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from lxml import etree

from broker.envelope.names import APPREC_10, APPREC_11, BASE64, MSGHEAD
from broker.envelope.xml import Xml
from broker.errors import Misconfigured
from broker.validation.explain import Explainer, Vocabulary, faults_in_log, line_of
from broker.validation.faults import FaultKind, SchemaFault

MAX_EXPLAINED = 256 * 1024  # bytes; xmlschema takes about 1.5 s per MB (design, decision 12)
MAX_FAULTS = 50
_CONTENT = f"{{{MSGHEAD}}}RefDoc/{{{MSGHEAD}}}Content/"
_CONTENTS = tuple(f"{way}{{{MSGHEAD}}}Document/{_CONTENT}" for way in ("", f"{{{MSGHEAD}}}PatientReport/"))
_ATTACHMENT = f"{{{BASE64}}}Base64Container"
_BASE = "schemas://set/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """The schema file that imports what one kind of document needs, and the names that such a document starts with."""

    file: str
    roots: frozenset[str]


MSGHEAD_DRIVER = Driver(file="msghead.xsd", roots=frozenset({f"{{{MSGHEAD}}}MsgHead"}))
APPREC_DRIVER = Driver(file="apprec.xsd", roots=frozenset({f"{{{APPREC_10}}}AppRec", f"{{{APPREC_11}}}AppRec"}))
DOCUMENT_DRIVER = Driver(file="documents.xsd", roots=MSGHEAD_DRIVER.roots | APPREC_DRIVER.roots)


class SchemaSet:
    """The compiled schemas for one kind of document. Belongs to one thread; see the module."""

    def __init__(self, *, files: Mapping[str, bytes], driver: Driver, explainer: Explainer, top: bytes) -> None:
        """Use `from_bytes` or `clone`."""
        self._files, self._driver, self._explainer, self._top = files, driver, explainer, top
        self._schema = _compile(files, top, driver.file)

    @classmethod
    def from_bytes(
        cls, files: Mapping[str, bytes], *, driver: Driver = DOCUMENT_DRIVER, also: Collection[str] = ()
    ) -> "SchemaSet":
        """Compile the driver out of `files`: names relative to the schema folder (`kith/types.xsd`) to their bytes.

        `also` names further files to import, each with a target namespace: an operator's schema for a companion.
        Takes about 4 ms. Raises Misconfigured where a file is missing or is not a schema.
        """
        vocabulary = Vocabulary.of(files)
        for name in (driver.file, *also):
            if name not in files:
                raise Misconfigured("the schema file is missing", where=name)
        top = _top_schema(driver.file, {name: vocabulary.targets[name] for name in also})
        explainer = Explainer(files=files, top=top, base=_BASE, vocabulary=vocabulary)
        return cls(files=files, driver=driver, explainer=explainer, top=top)

    def clone(self) -> "SchemaSet":
        """Return the same schemas compiled anew, for another thread. Takes about 2 ms."""
        return SchemaSet(files=self._files, driver=self._driver, explainer=self._explainer, top=self._top)

    def accepts(self, xml: Xml, *, carried: frozenset[str] = frozenset()) -> bool:
        """Return whether the document is valid (0.1 ms for 10 KB).

        `carried` are namespaces whose elements are carried without a schema directly under RefDoc/Content: validation
        looks past them. One for which these schemas have declarations is validated all the same.
        """
        return xml.root.tag in self._driver.roots and self._valid(self._looked_at(xml.root, carried))

    def check(self, xml: Xml, *, carried: frozenset[str] = frozenset()) -> tuple[SchemaFault, ...]:
        """Return every fault of the document, in its order; nothing if and only if `accepts`.

        Fifty at most, then MORE_FAULTS. A document over 256 KB, attachments not counted, is not gone through whole:
        the faults that lxml saw are followed by TOO_LARGE_TO_EXPLAIN.
        """
        if xml.root.tag not in self._driver.roots:
            return (self._unknown_root(xml.root),)
        seen = self._looked_at(xml.root, carried)
        if self._valid(seen):
            return ()
        logged: Any = self._schema.error_log  # its stub is not iterable
        at_once = faults_in_log(seen, list(logged), self._explainer.vocabulary)
        return self._explained(seen, at_once)

    def _explained(self, seen: etree._Element, at_once: list[SchemaFault]) -> tuple[SchemaFault, ...]:
        # Attachments would use up the bytes that we may explain; lxml's word on them is enough.
        slim = deepcopy(seen)
        for child in _contents(slim):
            if child.tag == _ATTACHMENT and not len(child):
                child.text = None
        if len(etree.tostring(slim, encoding="utf-8")) > MAX_EXPLAINED:
            return (*_in_order(at_once)[:MAX_FAULTS], _stopped(seen, FaultKind.TOO_LARGE_TO_EXPLAIN, MAX_EXPLAINED))
        explained, whole = self._explainer.explain(slim, at_most=MAX_FAULTS)
        # What lxml saw where xmlschema saw nothing stands too: lxml's verdict is the one that counts.
        paths = {fault.path for fault in explained}
        found = _in_order([*explained, *(fault for fault in at_once if fault.path not in paths)])
        told = found[:MAX_FAULTS]
        if whole and len(found) == len(told):
            return tuple(told)
        return (*told, _stopped(seen, FaultKind.MORE_FAULTS, len(told)))

    def _valid(self, root: etree._Element) -> bool:
        return bool(self._schema.validate(root))

    def _looked_at(self, root: etree._Element, carried: frozenset[str]) -> etree._Element:
        """Return the tree to validate: the document's own, or a copy without what is carried."""
        without = carried - self._explainer.vocabulary.namespaces
        if not without or not any(_namespace(child) in without for child in _contents(root)):
            return root
        copied = deepcopy(root)
        for child in list(_contents(copied)):
            if _namespace(child) in without:
                _cut(child)
        return copied

    def _unknown_root(self, root: etree._Element) -> SchemaFault:
        name = self._explainer.vocabulary.name(str(root.tag))
        expected = tuple(sorted({etree.QName(known).localname for known in self._driver.roots}))
        return SchemaFault(
            kind=FaultKind.UNKNOWN_ROOT, line=line_of(root), path=f"/{name}", element=name, expected=expected
        )


class _SchemaResolver(etree.Resolver):
    """Answers every request of libxml2 for a schema out of the given bytes; notes the names it could not."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__()
        self.files = files
        self.missing: list[str] = []

    def resolve(self, system_url: str, public_id: str, *context: Any) -> Any:
        name = system_url.removeprefix(_BASE)
        if name not in self.files:
            self.missing.append(name)
        return self.resolve_string(self.files.get(name, b""), *context, base_url=system_url)


def _compile(files: Mapping[str, bytes], top: bytes, name: str) -> etree.XMLSchema:
    given = _SchemaResolver(files)
    parser = etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False)
    parser.resolvers.add(given)
    try:
        document = etree.fromstring(top, parser, base_url=f"{_BASE}top.xsd")  # noqa: TID251 - ours, not a message
        return etree.XMLSchema(document)
    except (etree.XMLSchemaParseError, etree.XMLSyntaxError) as fault:
        where = given.missing[0] if given.missing else name
        raise Misconfigured(f"the schema cannot be built: {fault}", where=where) from None


def _top_schema(driver: str, also: Mapping[str, str]) -> bytes:
    """Return a schema without namespace that takes in the driver and imports the rest."""
    imports = "".join(
        f"<xs:import namespace={quoteattr(target)} schemaLocation={quoteattr(name)}/>" for name, target in also.items()
    )
    return (
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:include schemaLocation={quoteattr(driver)}/>'
        f"{imports}</xs:schema>"
    ).encode()


def _contents(root: etree._Element) -> list[etree._Element]:
    """Return what stands directly under RefDoc/Content, in every document of the message."""
    return [child for way in _CONTENTS for child in root.iterfind(f"{way}*")]


def _cut(element: etree._Element) -> None:
    """Take an element out and leave the text after it, which may be a fault."""
    parent, before, tail = element.getparent(), element.getprevious(), element.tail
    assert parent is not None
    parent.remove(element)
    if tail and tail.strip():
        if before is None:
            parent.text = (parent.text or "") + tail
        else:
            before.tail = (before.tail or "") + tail


def _namespace(element: etree._Element) -> str:
    return etree.QName(element).namespace or ""


def _in_order(faults: list[SchemaFault]) -> list[SchemaFault]:
    return sorted(dict.fromkeys(faults), key=lambda fault: fault.line or 0)


def _stopped(root: etree._Element, kind: FaultKind, limit: int) -> SchemaFault:
    name = etree.QName(root).localname
    return SchemaFault(kind=kind, line=None, path=f"/{name}", element=name, limit=str(limit))
