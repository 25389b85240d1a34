"""Is a document valid against our schemas? lxml alone decides; only after a no does `explain` say why.

Schemas are given as bytes. No URL is opened, no path read, and what an instance says of schemas (xsi:schemaLocation)
is never followed.

A SchemaSet belongs to one thread: libxml2 keeps its error log on the schema object. Each thread takes a `clone()`,
which shares nothing that changes. While one is built (`from_bytes`, `clone`) no other thread may build one or parse
anything: where libxml2 looks for an imported schema is one setting of the process, and what it does not find there it
leaves out without an error.
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
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
DRIVERS = (MSGHEAD_DRIVER, APPREC_DRIVER)  # every document that the broker takes


class SchemaSet:
    """Our schemas, compiled: for each kind of document its own. Belongs to one thread; see the module."""

    def __init__(self, *, files: Mapping[str, bytes], tops: Mapping[Driver, bytes], vocabulary: Vocabulary) -> None:
        """Use `from_bytes` or `clone`."""
        self._files, self._tops, self._vocabulary = files, tops, vocabulary
        kinds = {driver: _Kind(files, top, driver.file, vocabulary) for driver, top in tops.items()}
        self._kinds = {root: kind for driver, kind in kinds.items() for root in driver.roots}

    @classmethod
    def from_bytes(
        cls, files: Mapping[str, bytes], *, drivers: Collection[Driver] = DRIVERS, also: Collection[str] = ()
    ) -> "SchemaSet":
        """Compile the drivers out of `files`: names relative to the schema folder (`kith/types.xsd`) to their bytes.

        `also` names further files to import, each with a target namespace: an operator's schema for a companion.
        Takes about 4 ms. Raises Misconfigured where a file is missing or is not a schema.
        """
        for name in (*(driver.file for driver in drivers), *also):
            if name not in files:
                raise Misconfigured("the schema file is missing", where=name)
        vocabulary = Vocabulary.of(files)
        imports = {name: vocabulary.targets[name] for name in also}
        tops = {driver: _top_schema(driver.file, imports) for driver in drivers}
        return cls(files=files, tops=tops, vocabulary=vocabulary)

    def clone(self) -> "SchemaSet":
        """Return the same schemas compiled anew, for another thread. Takes about 2 ms."""
        return SchemaSet(files=self._files, tops=self._tops, vocabulary=self._vocabulary)

    def accepts(self, xml: Xml, *, carried: frozenset[str] = frozenset()) -> bool:
        """Return whether the document is valid (0.1 ms for 10 KB).

        `carried` are namespaces whose elements are carried without a schema directly under RefDoc/Content: validation
        looks past them. One for which these schemas have declarations is validated all the same.
        """
        kind = self._kinds.get(str(xml.root.tag))
        return kind is not None and kind.accepts(self._looked_at(xml.root, carried))

    def check(self, xml: Xml, *, carried: frozenset[str] = frozenset()) -> tuple[SchemaFault, ...]:
        """Return every fault of the document, in its order; nothing if and only if `accepts`.

        Fifty at most, then MORE_FAULTS. A document over 256 KB, attachments not counted, is not gone through whole:
        the faults that lxml saw are followed by TOO_LARGE_TO_EXPLAIN.
        """
        kind = self._kinds.get(str(xml.root.tag))
        if kind is None:
            return (self._unknown_root(xml.root),)
        seen = self._looked_at(xml.root, carried)
        return () if kind.accepts(seen) else kind.refusal(seen)

    def _looked_at(self, root: etree._Element, carried: frozenset[str]) -> etree._Element:
        """Return the tree to validate: the document's own, or a copy without what is carried."""
        without = carried - self._vocabulary.namespaces
        if not without or not any(_namespace(child) in without for child in _contents(root)):
            return root
        copied = deepcopy(root)
        for child in list(_contents(copied)):
            if _namespace(child) in without:
                _cut(child)
        return copied

    def _unknown_root(self, root: etree._Element) -> SchemaFault:
        name = self._vocabulary.name(str(root.tag))
        expected = tuple(sorted({etree.QName(known).localname for known in self._kinds}))
        return SchemaFault(
            kind=FaultKind.UNKNOWN_ROOT, line=line_of(root), path=f"/{name}", element=name, expected=expected
        )


class _Kind:
    """The schemas for one kind of document: what decides, and what explains."""

    def __init__(self, files: Mapping[str, bytes], top: bytes, name: str, vocabulary: Vocabulary) -> None:
        self._schema = _compile(files, top, name)
        self._explainer = Explainer(files=files, top=top, base=_BASE, vocabulary=vocabulary)

    def accepts(self, root: etree._Element) -> bool:
        return bool(self._schema.validate(root))

    def refusal(self, root: etree._Element) -> tuple[SchemaFault, ...]:
        """Return the faults of the tree that was refused last."""
        log: Any = self._schema.error_log  # its stub is not iterable
        # Each is looked up by its place: a hundred thousand of them took minutes.
        at_once = faults_in_log(root, list(islice(log, 2 * MAX_FAULTS)), self._explainer.vocabulary)
        # Attachments would use up the bytes that we may explain; lxml's word on them is enough.
        slim = deepcopy(root)
        for child in _contents(slim):
            if child.tag == _ATTACHMENT and not len(child):
                child.text = None
        if len(etree.tostring(slim, encoding="utf-8")) > MAX_EXPLAINED:
            return (*_in_order(at_once)[:MAX_FAULTS], _stopped(root, FaultKind.TOO_LARGE_TO_EXPLAIN, MAX_EXPLAINED))
        explained = self._explainer.explain(slim, at_most=MAX_FAULTS + 1)
        # What lxml saw where xmlschema saw nothing stands too: lxml's verdict is the one that counts.
        paths = {fault.path for fault in explained}
        found = _in_order([*explained, *(fault for fault in at_once if fault.path not in paths)])
        if len(found) > MAX_FAULTS or len(log) > 2 * MAX_FAULTS:
            return (*found[:MAX_FAULTS], _stopped(root, FaultKind.MORE_FAULTS, MAX_FAULTS))
        return tuple(found)


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
