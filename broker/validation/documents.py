"""Is a document one that we take, and what does it owe? It decides 422 at the door, and the negative AppRec inwards.

Reading, schemas and rules all have their say before the answer: every fault at once, and no value of the document in
any of them. Bad documents do not raise; they are judged.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from lxml import etree

from broker.envelope.msghead import MAX_MSG_ID, HeadRefused, contents, line, read_documents, read_head
from broker.envelope.names import APPREC_10, APPREC_11, MSGHEAD, mh
from broker.envelope.xml import Xml, children, parse
from broker.errors import MalformedXml, Refused
from broker.message import DocumentHead, Fault, Kind, Owed, Verdict
from broker.receipts.apprec import ERROR_CODES, AppRec
from broker.receipts.apprec import parse as read_apprec
from broker.routing.party import PartyKind
from broker.routing.process import Function, Mismatch, NoFunction, Process, Processes
from broker.validation.codes import Codes
from broker.validation.rules import MAX_FINDINGS, Case, Environment, Finding, findings, where
from broker.validation.sentences import fault, schema_fault
from broker.validation.words import RULES
from broker.validation.xsd import SchemaSet

MAX_DOCUMENT = 35_000_000  # bytes (design, decision 17)

_EPJ_JUDGES = ("E3", "E5")  # codes about the patient


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was found out about a document. Without faults it is one that we take; warnings stop nothing."""

    kind: Kind
    head: DocumentHead | None = None  # None: an AppRec, or a head that cannot be read
    apprec: AppRec | None = None
    process: Process | None = None  # None: no process takes it
    function: Function | None = None
    owed: Owed = Owed.NEVER
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()

    @property
    def rejected_for(self) -> tuple[Fault, ...]:
        """Return the faults that count against what a partner sent (design, decision 9).

        Of a document those that a machine decides: the patient is the EPJ's to judge. Of a receipt none, as long as
        it can be read: large senders write S and V the wrong way round, and their word is a verdict all the same.
        """
        if self.apprec is not None:
            return ()
        return tuple(found for found in self.faults if not found.apprec.startswith(_EPJ_JUDGES))


class DocumentRefused(Refused):
    """The document is not one that we take. `faults` says all that is wrong, `codes` the AppRec codes for it."""

    code, apprec = "OtherXml", "T02"

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(f"the document has {len(faults)} faults", hint=faults[0].hint.en, location=faults[0].path)
        self.faults = faults
        self.codes = tuple(dict.fromkeys(found.apprec for found in faults))


def judge(
    data: bytes,
    *,
    schemas: SchemaSet,
    processes: Processes,
    codes: Codes,
    environment: Environment,
    kind_of: Callable[[int], PartyKind | None],
    at: datetime,
    max_bytes: int = MAX_DOCUMENT,
) -> Judged:
    """Return what `data` is and everything that is wrong with it. Never raises for what stands in the document.

    `kind_of` says what kind of party a HER-id is registered as (None: unknown); `at` is now, aware. Not to be called
    by two threads at once with one `schemas`.
    """
    try:
        xml = parse(data, max_bytes=max_bytes)
    except MalformedXml as refused:
        unread = fault("document.not-xml", line=refused.line, path="", why=refused.why)
        return Judged(kind=Kind.DOCUMENT, faults=(unread,))
    namespace, _, name = str(xml.root.tag).removeprefix("{").rpartition("}")
    if (namespace, name) == (MSGHEAD, "MsgHead"):
        return _judge_document(xml, schemas, processes, codes, environment, kind_of, at)
    if name == "AppRec" and namespace in (APPREC_10, APPREC_11):
        return _judge_apprec(xml, namespace, schemas, processes, codes)
    return Judged(kind=Kind.DOCUMENT, faults=(fault("document.root", line=1, path="/*"),))


def _judge_document(
    xml: Xml,
    schemas: SchemaSet,
    processes: Processes,
    codes: Codes,
    environment: Environment,
    kind_of: Callable[[int], PartyKind | None],
    at: datetime,
) -> Judged:
    # What no schema of ours describes is carried; whether the process allows it, the rules say.
    documents = read_documents(xml)
    carried = frozenset(part.namespace for part in documents if part.namespace)
    by_schema = tuple(_schema_faults(xml, schemas, carried))
    try:
        head = read_head(xml, documents=documents)
    except HeadRefused as refused:
        return Judged(kind=Kind.DOCUMENT, faults=(*_head_faults(refused), *by_schema))
    process: Process | None = None
    function: Function | None = None
    found: list[Fault] = []
    try:
        process, function = processes.function_for(head, kind_of(head.sender.her))
    except NoFunction as refused:
        found.append(_no_function(refused.mismatch, xml, processes))
    found += by_schema
    case = Case(
        root=xml.root,
        info=children(xml.root, mh("MsgInfo"))[0],
        head=head,
        process=process,
        function=function,
        codes=codes,
        environment=environment,
        at=at,
    )
    found += map(_sentence, findings(case))
    return Judged(
        kind=Kind.DOCUMENT,
        head=head,
        process=process,
        function=function,
        owed=Owed.NEVER if function is None else function.owes(head.ack),
        faults=tuple(stop for stop in found if not RULES[stop.rule].warning),
        warnings=tuple(word for word in found if RULES[word.rule].warning),
    )


def _judge_apprec(xml: Xml, namespace: str, schemas: SchemaSet, processes: Processes, codes: Codes) -> Judged:
    found = list(_schema_faults(xml, schemas, frozenset()))
    taken = processes.receipt_function(namespace)
    if taken is None:
        found.append(_no_function(Mismatch.TYPE, xml, processes))
    process, function = taken or (None, None)
    try:
        apprec = read_apprec(xml)
    except Refused as refused:
        found.append(fault("apprec.unreadable", line=None, path=refused.location))
        return Judged(kind=Kind.APPREC, process=process, function=function, faults=tuple(found))
    # What refuses is yielded first; of codes that only warn, nobody reads more than these.
    found += map(_sentence, islice(_apprec_findings(apprec, codes), MAX_FINDINGS))
    return Judged(
        kind=Kind.APPREC,
        apprec=apprec,
        process=process,
        function=function,
        faults=tuple(stop for stop in found if not RULES[stop.rule].warning),
        warnings=tuple(word for word in found if RULES[word.rule].warning),
    )


def _apprec_findings(apprec: AppRec, codes: Codes) -> Iterator[Finding]:
    for name, party in (("Sender", apprec.sender), ("Receiver", apprec.receiver)):
        if party is None:
            yield Finding(rule="apprec.party", line=None, path=f"/AppRec/{name}", facts={"element": name})
    if apprec.status is Verdict.REJECTED and not apprec.errors:
        yield Finding(rule="apprec.no-error", line=None, path="/AppRec")
    for error in apprec.errors:
        if error.oid in (ERROR_CODES, "") and codes.unknown("8221", error.code):
            facts = {"element": "Error", "list": "8221"}
            yield Finding(rule="code.unknown", line=None, path="/AppRec/Error", facts=facts)


def _schema_faults(xml: Xml, schemas: SchemaSet, carried: frozenset[str]) -> Iterator[Fault]:
    return map(schema_fault, schemas.check(xml, carried=carried))


def _head_faults(refused: HeadRefused) -> Iterator[Fault]:
    for problem in refused.problems:
        yield fault(
            f"head.{problem.fault}",
            line=problem.line,
            path=problem.path,
            apprec=problem.apprec,
            element=problem.element,
            limit=str(MAX_MSG_ID),
        )


def _no_function(mismatch: Mismatch, xml: Xml, processes: Processes) -> Fault:
    known = {
        name
        for process in processes.by_name.values()
        for function in process.functions
        if not function.synchronous
        for name in function.types
    }
    at = _blamed(mismatch, xml)
    return fault(f"type.{mismatch}", line=line(at), path=where(at), known=", ".join(sorted(known)))


def _blamed(mismatch: Mismatch, xml: Xml) -> etree._Element:
    """Return the element that decided against every function."""
    if mismatch in (Mismatch.DIALOGUE, Mismatch.CONTENT, Mismatch.CODE):
        for document, held in contents(xml.root):
            return held[0] if held and mismatch is not Mismatch.DIALOGUE else document
    return next(xml.root.iterfind(f"{mh('MsgInfo')}/{mh('Type')}"), xml.root)


def _sentence(found: Finding) -> Fault:
    return fault(found.rule, line=found.line, path=found.path, apprec=found.apprec, **found.facts)
