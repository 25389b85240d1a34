"""The rules beyond the schemas: what a document of a process must say, and may not. One function a rule or two.

What a process demands stands in its file; here stands how it is looked for. A finding names a rule and a place, never
what stood there. Rules that only warn are marked so beside their words.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Literal

from lxml import etree

from broker.envelope.msghead import contents, her_idents, line, token
from broker.envelope.names import BASE64, mh
from broker.envelope.xml import children, local, position
from broker.message import DocumentHead, Owed, Part
from broker.routing.process import Conversation, Function, Process
from broker.validation.codes import Codes, list_number
from broker.validation.faults import FaultKind
from broker.validation.numbers import look_at

MAX_FINDINGS = 100  # nobody reads more, and each costs a walk along its siblings

Environment = Literal["test", "production"]

XCAL = "urn:ietf:params:xml:ns:icalendar-2.0"  # RFC 6321
PASIENTRELASJON = "http://www.kith.no/xmlstds/pasientrelasjon/2014-03-28"

# Elements that may be named in a path. A companion's other names, which no schema of ours declares, are the sender's.
_SPOKEN = re.compile(
    "MsgHead|AppRec|MsgInfo|Type|Ack|ConversationRef|GenDate|ProcessingStatus|Sender|Receiver|OtherReceiver|Organisation"
    "|HealthcareProfessional|Patient|Person|Ident|Id|TypeId|Document|RefDoc|MsgType|MimeType|Content|Dialogmelding"
    "|Foresporsel|TypeForesp|Notat|TemaKodet|RollerRelatertNotat|TilknyttetEnhet|Kontaktenhet|Pasientrelasjon|Relasjon"
    "|icalendar|vcalendar|components|vevent"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found. `facts` fill the rule's sentences and hold nothing out of the document."""

    rule: str
    line: int | None
    path: str
    apprec: str | None = None  # None: the rule's own
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A document with what it is judged by. `process` and `function` are None where the type is unknown."""

    root: etree._Element
    info: etree._Element  # MsgInfo
    head: DocumentHead
    process: Process | None
    function: Function | None
    codes: Codes
    environment: Environment
    at: datetime


def findings(case: Case) -> tuple[Finding, ...]:
    """Return what the rules find, in the order of the rules.

    At most MAX_FINDINGS, then one that refuses the document whatever the others say: what was not looked at is not
    approved.
    """
    found = list(islice(_all(case), MAX_FINDINGS + 1))
    if len(found) > MAX_FINDINGS:
        more = Finding(
            rule=f"xsd.{FaultKind.MORE_FAULTS}", line=None, path="/MsgHead", facts={"limit": str(MAX_FINDINGS)}
        )
        found[MAX_FINDINGS:] = [more]
    return tuple(found)


def _all(case: Case) -> Iterator[Finding]:
    yield from _everywhere(case)
    if case.function is not None and case.process is not None:
        yield from _by_process(case, case.function)
        if not case.process.envelope_only:
            yield from _by_content(case, case.function)


def _everywhere(case: Case) -> Iterator[Finding]:
    yield from _parties(case)
    yield from _copies(case)
    yield from _environment(case)
    yield from _numbers(case)
    yield from _gen_date(case)


def _by_process(case: Case, function: Function) -> Iterator[Finding]:
    yield from _ack(case, function)
    yield from _conversation(case, function)


def _by_content(case: Case, function: Function) -> Iterator[Finding]:
    yield from _patient(case, function)
    documents = tuple(contents(case.root))
    yield from _coded(documents, case.codes, function)
    yield from _first_document(case)
    for number, (document, held) in enumerate(documents):
        yield from _held(document, held)
        if number:
            yield from _further_document(document, case.head.parts[number], function)
        for element in held:
            yield from _companion(element, case, function)
    present = {part.namespace for part in case.head.parts[1:]}
    for missing in sorted(function.required_companions - present):
        yield _at("companion.missing", case.root, companion=missing)


# --- parties ---


def _parties(case: Case) -> Iterator[Finding]:
    for role, apprec in (("Sender", "T02"), ("Receiver", "E21")):
        side = children(case.info, mh(role))[0]
        organisation = children(side, mh("Organisation"))[0]
        # Each unit of the party with its Idents that say HER, level 1 first.
        first, *second = [(unit, her_idents(unit)) for unit in (organisation, *_units(organisation))]
        if not first[1]:
            yield _at("party.level", organisation, apprec=apprec, element=role, level="1")
        if not any(idents for _, idents in second):
            yield _at("party.level", organisation, apprec=apprec, element=role, level="2")
        for unit, idents in (first, *second):
            yield from _her_code_list(unit, idents)
    if case.head.sender.her == case.head.receiver.her:
        yield _at("party.same", children(case.info, mh("Receiver"))[0])


def _units(organisation: etree._Element) -> list[etree._Element]:
    return [unit for name in ("Organisation", "HealthcareProfessional") for unit in children(organisation, mh(name))]


def _her_code_list(unit: etree._Element, idents: Iterable[etree._Element]) -> Iterator[Finding]:
    # Persons have HER-ids of list 8116; samples of the sector have 9051 there too.
    allowed = ("8116", "9051") if local(unit) == "HealthcareProfessional" else ("9051",)
    for ident in idents:
        kind = children(ident, mh("TypeId"))[0]
        if list_number(kind.get("S")) not in allowed:
            yield _at("party.code-list", kind, list=allowed[0])


def _copies(case: Case) -> Iterator[Finding]:
    for receiver in children(case.info, mh("OtherReceiver")):
        for organisation in children(receiver, mh("Organisation")):
            if not any(her_idents(unit) for unit in (organisation, *_units(organisation))):
                yield _at("party.copy", organisation)


# --- environment, persons, dates ---


def _environment(case: Case) -> Iterator[Finding]:
    """Keep test and production apart (list 8113: P production, D debugging, T training)."""
    status = case.head.processing_status
    if status is None:
        return
    element = children(case.info, mh("ProcessingStatus"))[0]
    if case.codes.unknown("8113", status):
        yield _at("code.unknown", element, element="ProcessingStatus", list="8113")
    elif case.environment == "production" and status != "P":
        yield _at("environment.test-marked", element)
    elif case.environment == "test" and status == "P":
        yield _at("environment.production-marked", element)


def _numbers(case: Case) -> Iterator[Finding]:
    """Look at every fødselsnummer and D-number of the document, whoever's it is."""
    for kind in case.root.iter("{*}TypeId"):
        ident = kind.getparent()
        if ident is None or token(kind.get("V")) not in ("FNR", "DNR"):
            continue
        for number in ident.iterchildren("{*}Id"):
            facts = look_at(token(number.text), on=case.at.date())
            if not facts.possible:
                yield _at("number.impossible", number, apprec=_whose(ident))
            elif facts.synthetic and case.environment == "production":
                yield _at("number.synthetic", number)
            elif not facts.synthetic and case.environment == "test":
                yield _at("number.real", number)


_WRONG_NUMBER = {"Patient": "E31", "Pasientrelasjon": "E36"}  # by whose number it is; others' is a fault of the profile


def _whose(ident: etree._Element) -> str:
    return next((code for above in ident.iterancestors() if (code := _WRONG_NUMBER.get(local(above)))), "T02")


def _patient(case: Case, function: Function) -> Iterator[Finding]:
    if not function.patient_required:
        return
    patient = _first(case.info, "Patient")
    if patient is None:
        yield _at("patient.missing", case.info)
        return
    kinds = [kind for ident in children(patient, mh("Ident")) for kind in children(ident, mh("TypeId"))]
    if not any(list_number(kind.get("S")) == "8116" for kind in kinds):
        yield _at("patient.no-id", patient)


_AHEAD = timedelta(days=1)  # more than any zone that a time without offset may have been meant in


def _gen_date(case: Case) -> Iterator[Finding]:
    try:
        made = datetime.fromisoformat(case.head.gen_date)
    except ValueError:
        return  # the schema says so
    aware = made if made.tzinfo else made.replace(tzinfo=UTC)
    if aware > case.at + _AHEAD:
        yield _at("date.future", children(case.info, mh("GenDate"))[0])


# --- what the process says of the head ---


def _ack(case: Case, function: Function) -> Iterator[Finding]:
    ack = _first(case.info, "Ack")
    value = "" if ack is None else token(ack.get("V"))
    where = case.info if ack is None else ack
    if value not in function.ack:
        allowed = ", ".join(f"Ack {choice}" if choice else "–" for choice in sorted(function.ack, reverse=True))
        yield _at("ack.value", where, allowed=allowed)
    elif ack is None and "J" in function.ack and function.owes(None) is Owed.NEVER:
        yield _at("ack.absent", where)


def _conversation(case: Case, function: Function) -> Iterator[Finding]:
    reference = _first(case.info, "ConversationRef")
    refers = (case.head.ref_to_parent, case.head.ref_to_conversation)
    if function.conversation is Conversation.REQUIRED and None in refers:
        yield _at("conversation.required", case.info if reference is None else reference)
    if reference is None:
        return
    if function.conversation is Conversation.NONE:
        yield _at("conversation.first", reference)
    if case.head.msg_id in refers:
        yield _at("conversation.own", reference)


# --- what the process says of the documents ---


def _coded(
    documents: Iterable[tuple[etree._Element, tuple[etree._Element, ...]]], codes: Codes, function: Function
) -> Iterator[Finding]:
    """Check the code lists of the Dialogmelding's elements, and of MsgType; a code that is not in them warns."""
    for document, held in documents:
        for kind in document.iterfind(f"{mh('RefDoc')}/{mh('MsgType')}"):
            if codes.unknown("8114", token(kind.get("V"))):
                yield _at("code.unknown", kind, element="MsgType", list="8114")
        for dialogue in held:
            if etree.QName(dialogue).namespace != function.dialogue:
                continue
            for name, lists in function.code_systems.items():
                for element in dialogue.iter(f"{{{function.dialogue}}}{name}"):
                    number = list_number(element.get("S"))
                    if number not in lists:
                        yield _at("code.list", element, element=name, lists=", ".join(sorted(lists)))
                    elif codes.unknown(number, token(element.get("V"))):
                        yield _at("code.unknown", element, element=name, list=number)


def _first_document(case: Case) -> Iterator[Finding]:
    if case.head.parts and case.head.parts[0].msg_type != "XML":
        yield _at("content.first", children(case.root, mh("Document"))[0])


def _held(document: etree._Element, held: tuple[etree._Element, ...]) -> Iterator[Finding]:
    referred = document.find(f"{mh('RefDoc')}/{mh('FileReference')}") is not None
    if len(held) != 1 and not (referred and not held):
        yield _at("content.single", document)


def _further_document(document: etree._Element, part: Part, function: Function) -> Iterator[Finding]:
    """An attachment must be of an allowed type; any other document one that the process carries."""
    if part.namespace == BASE64 or not part.name:
        if not function.attachments:
            yield _at("attachment.none", document)
        elif part.mime_type.partition(";")[0].strip().lower() not in function.attachments:
            yield _at("attachment.type", document, allowed=", ".join(sorted(function.attachments)))
    elif part.namespace not in function.companions:
        allowed = ", ".join(sorted(function.companions)) or "–"
        yield _at("companion.unlisted", document, function=function.name, allowed=allowed)


def _companion(element: etree._Element, case: Case, function: Function) -> Iterator[Finding]:
    namespace = etree.QName(element).namespace
    if namespace not in function.companions:
        return
    if namespace == PASIENTRELASJON:
        yield from _representation(element, case.codes)
    elif namespace == XCAL:
        yield from _appointments(element, needed=XCAL in function.required_companions)


def _representation(relation: etree._Element, codes: Codes) -> Iterator[Finding]:
    """Who acts for the patient, and by what right (list 7611). No public schema exists: names count, not namespaces."""
    roles = list(relation.iterchildren("{*}Relasjon"))
    if not roles:
        yield _at("representation.relation", relation)
    for role in roles:
        if codes.unknown("7611", token(role.get("V"))):
            yield _at("code.unknown", role, element="Relasjon", list="7611")
    persons = list(relation.iterchildren("{*}Person"))
    identified = [
        number
        for person in persons
        for ident in person.iterchildren("{*}Ident")
        for number in ident.iterchildren("{*}Id")
        if token(number.text)
    ]
    if not identified:
        yield _at("representation.person", persons[0] if persons else relation)


_NEEDED = ("uid", "dtstart", "dtend")


def _appointments(calendar: etree._Element, *, needed: bool) -> Iterator[Finding]:
    """Each appointment says which it is, from when and until when (RFC 6321, 3.3: component, properties, property)."""
    events = list(calendar.iter(f"{{{XCAL}}}vevent"))
    if needed and not events:
        yield _at("appointment.none", calendar)
    for event in events:
        said = {
            etree.QName(found).localname
            for properties in children(event, f"{{{XCAL}}}properties")
            for found in properties
            if any(token(value.text) for value in found)
        }
        missing = [name for name in _NEEDED if name not in said]
        if missing:
            yield _at("appointment.incomplete", event, missing=", ".join(missing))


# --- where ---


def _at(rule: str, element: etree._Element, /, *, apprec: str | None = None, **facts: str) -> Finding:
    return Finding(rule=rule, line=line(element), path=where(element), apprec=apprec, facts=facts)


def where(element: etree._Element) -> str:
    """Return where an element stands: local names that we know, `*` for others, with a position among its like."""
    steps = []
    for step in (element, *element.iterancestors()):
        name = local(step) if _SPOKEN.fullmatch(local(step)) else "*"
        steps.append(name + position(step))
    return "/" + "/".join(reversed(steps))


def _first(parent: etree._Element, local_name: str) -> etree._Element | None:
    """Return the first child of that name. Whether it may stand more than once, the schema says."""
    return next(iter(children(parent, mh(local_name))), None)
