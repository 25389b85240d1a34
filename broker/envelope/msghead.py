"""The MsgHead 1.2 (HIS 80601) of a business document, read to a DocumentHead. It decides what is so broken that nobody
can say whose document it is, or what its id is; all else is for the schemas and the rules.

Only direct children are read, each at its own place: an element of the same name elsewhere is never taken for it.
Blanks inside a token are collapsed before it is compared (samples of the sector have V=" HER").
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lxml import etree

from broker.envelope.names import BASE64, DIALOG_10, DIALOG_11, ds, mh
from broker.envelope.xml import Xml, children, local, position
from broker.errors import Refused
from broker.message import DocumentHead, Owed, Part, PartyRef

MAX_PROBLEMS = 50  # nobody reads more, and each costs a walk along its siblings
MAX_MSG_ID = 128  # characters; a UUID in every profile seen, and a longer one than this is no id
_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")  # no control, line or direction
_BLANKS = re.compile("[ \t\r\n]+")  # those of XML: Python's own would take a no-break space for one
_HER = re.compile(r"[1-9][0-9]{0,9}")
_MAX_HER = 2**31 - 1


class HeadFault(StrEnum):
    """What can make a head unreadable."""

    ROOT = "root"  # the document element is not MsgHead
    MISSING = "missing"  # `element` is not there, or empty
    REPEATED = "repeated"  # `element` stands more than once
    MSG_ID = "msg-id"  # too long, or with control characters
    HER_MISSING = "her-missing"  # a party without HER-id on either level
    HER_FORM = "her-form"  # a HER-id that is no positive number below 2^31
    HER_AMBIGUOUS = "her-ambiguous"  # one unit with several HER-ids


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadProblem:
    """One thing wrong with a head: no value of the document stands in it."""

    fault: HeadFault
    line: int | None
    path: str  # element names, from the document element
    element: str  # the last name of it
    apprec: str = "T02"


class HeadRefused(Refused):
    """The head cannot be read. Holds the problems, MAX_PROBLEMS at most; `apprec` is that of the first."""

    code, apprec = "OtherXml", "T02"

    def __init__(self, problems: tuple[HeadProblem, ...]) -> None:
        super().__init__("the head of the document cannot be read", location=problems[0].path)
        self.problems = problems


def may_be_id(value: str) -> bool:
    """Say whether a MsgId, or an AppRec's Id, is one. It becomes a key and a part of URLs, and people read it in lists:
    it holds nothing that could break a line or a log, or turn it about.
    """
    return len(value) <= MAX_MSG_ID and _ID.fullmatch(value) is not None


def read_head(xml: Xml, *, documents: tuple[Part, ...] | None = None) -> DocumentHead:
    """Return what MsgInfo says, and the shape of the documents: `documents`, where `read_documents` was asked before.

    Raises HeadRefused with every problem, MAX_PROBLEMS at most: MsgId (E10), the receiver's HER-id (E21), the rest T02.
    """
    reader = _Reader()
    root = xml.root
    if root.tag != mh("MsgHead"):
        raise HeadRefused((reader.problem(HeadFault.ROOT, root, path="/*", element="MsgHead"),))
    info = reader.required(root, "MsgInfo")
    if info is None:
        raise HeadRefused(tuple(reader.problems))
    content, code = _dialogue(root)
    conversation = reader.child(info, "ConversationRef")
    ack = reader.code(info, "Ack")
    sender, receiver = reader.party(info, "Sender", "T02"), reader.party(info, "Receiver", "E21")
    head = DocumentHead(
        msg_id=reader.msg_id(info),
        type=reader.filled_code(info, "Type"),
        gen_date=reader.text(info, "GenDate"),
        sender=sender,
        receiver=receiver,
        other_receivers=tuple(reader.other_receivers(info)),
        ack=next((owed for owed in Owed if owed == ack), None),
        ref_to_parent=reader.text(conversation, "RefToParent") or None,
        ref_to_conversation=reader.text(conversation, "RefToConversation") or None,
        processing_status=reader.code(info, "ProcessingStatus") or None,
        parts=read_documents(xml) if documents is None else documents,
        content=content,
        code=code,
        signed=bool(children(root, ds("Signature"))),
    )
    if reader.problems:
        raise HeadRefused(tuple(reader.problems))
    return head


def read_documents(xml: Xml) -> tuple[Part, ...]:
    """Return the shape of each Document, in their order. The first is the business document."""
    return tuple(map(_part, children(xml.root, mh("Document"))))


def contents(root: etree._Element) -> Iterator[tuple[etree._Element, tuple[etree._Element, ...]]]:
    """Yield each Document of a MsgHead with the elements in its RefDoc/Content."""
    for document in children(root, mh("Document")):
        held = [
            element
            for reference in children(document, mh("RefDoc"))
            for content in children(reference, mh("Content"))
            for element in content
        ]
        yield document, tuple(held)


def token(value: str | None) -> str:
    """Return a token with its blanks collapsed, as xs:token compares it."""
    if not value or value.isalnum():  # nothing to collapse: so are nearly all codes
        return value or ""
    return _BLANKS.sub(" ", value).strip(" ")


def her_id(value: str | None) -> int | None:
    """Return a HER-id (a positive int32), or None where it is not one."""
    found = token(value)
    return int(found) if _HER.fullmatch(found) and int(found) <= _MAX_HER else None


def path(element: etree._Element) -> str:
    """Return where an element of ours stands: local names, with a position where siblings share the name.

    Only for elements that were looked up by their name: another's name is the sender's own text.
    """
    steps = []
    for step in (element, *element.iterancestors()):
        steps.append(local(step) + position(step))
    return "/" + "/".join(reversed(steps))


def line(element: etree._Element) -> int | None:
    """Return the line that an element starts on, from 1."""
    found: Any = element.sourceline  # its stub has no type
    return int(found) if found else None


class _Reader:
    """Looks direct children up, and notes what is wrong instead of stopping."""

    def __init__(self) -> None:
        self.problems: list[HeadProblem] = []

    def problem(
        self, fault: HeadFault, at: etree._Element, *, path: str, element: str, apprec: str = "T02"
    ) -> HeadProblem:
        found = HeadProblem(fault=fault, line=line(at), path=path, element=element, apprec=apprec)
        self.problems.append(found)
        if len(self.problems) == MAX_PROBLEMS:
            raise HeadRefused(tuple(self.problems))
        return found

    def child(self, parent: etree._Element | None, name: str) -> etree._Element | None:
        found = [] if parent is None else children(parent, mh(name))
        if len(found) > 1:
            self.problem(HeadFault.REPEATED, found[1], path=path(found[1]), element=name)
        return found[0] if found else None

    def required(self, parent: etree._Element, name: str, apprec: str = "T02") -> etree._Element | None:
        found = self.child(parent, name)
        if found is None:
            self._missing(parent, name, apprec)
        return found

    def text(self, parent: etree._Element | None, name: str) -> str:
        found = self.child(parent, name)
        return "" if found is None else (found.text or "").strip(" \t\r\n")

    def code(self, parent: etree._Element, name: str) -> str:
        found = self.child(parent, name)
        return "" if found is None else token(found.get("V"))

    def filled_code(self, parent: etree._Element, name: str) -> str:
        found = self.required(parent, name)
        value = "" if found is None else token(found.get("V"))
        if found is not None and not value:
            self._missing(found, "@V", "T02")
        return value

    def msg_id(self, info: etree._Element) -> str:
        """Return the MsgId."""
        value = self.text(info, "MsgId")
        if not value:
            self._missing(info, "MsgId", "E10")
        elif not may_be_id(value):
            at = children(info, mh("MsgId"))[0]
            self.problem(HeadFault.MSG_ID, at, path=path(at), element="MsgId", apprec="E10")
        return value

    def party(self, info: etree._Element, role: str, apprec: str) -> PartyRef:
        """Return a party on its two levels (HIS 1153); a made-up one where a problem was noted."""
        side = self.required(info, role, apprec)
        organisation = None if side is None else self.required(side, "Organisation", apprec)
        found = None if organisation is None else self._levels(organisation, apprec)
        if organisation is not None and found is None and not self._of(organisation):
            self.problem(
                HeadFault.HER_MISSING, organisation, path=path(organisation), element="Organisation", apprec=apprec
            )
        return found or PartyRef(her=0, organisation_her=None)

    def other_receivers(self, info: etree._Element) -> Iterator[PartyRef]:
        for receiver in children(info, mh("OtherReceiver")):
            organisation = self.child(receiver, "Organisation")
            found = None if organisation is None else self._levels(organisation, "E21")
            if found is not None:
                yield found

    def _levels(self, organisation: etree._Element, apprec: str) -> PartyRef | None:
        """Level 1 is the outer Organisation, level 2 the Organisation or HealthcareProfessional in it.

        Where both of these have a HER-id the unit is the party: the professional is then who answers for it.
        """
        first = self._her(organisation, apprec)
        for name in ("Organisation", "HealthcareProfessional"):
            inner = self.child(organisation, name)
            second = None if inner is None else self._her(inner, apprec)
            if second is not None:
                return PartyRef(her=second, organisation_her=first, person=name == "HealthcareProfessional")
        return None if first is None else PartyRef(her=first, organisation_her=first)

    def _her(self, unit: etree._Element, apprec: str) -> int | None:
        idents = her_idents(unit)
        values = [her_id(_child_text(ident, "Id")) for ident in idents]
        for ident, value in zip(idents, values, strict=True):
            if value is None:
                self.problem(HeadFault.HER_FORM, ident, path=f"{path(ident)}/Id", element="Id", apprec=apprec)
        if len(set(values)) > 1 and None not in values:
            self.problem(HeadFault.HER_AMBIGUOUS, idents[1], path=path(idents[1]), element="Ident", apprec=apprec)
        return values[0] if values else None

    def _of(self, organisation: etree._Element) -> bool:
        """Say whether a problem was noted inside `organisation`."""
        return any(problem.path.startswith(path(organisation)) for problem in self.problems)

    def _missing(self, parent: etree._Element, name: str, apprec: str) -> None:
        self.problem(HeadFault.MISSING, parent, path=f"{path(parent)}/{name}", element=name, apprec=apprec)


def her_idents(unit: etree._Element) -> list[etree._Element]:
    """Return the Ident elements of an organisation or professional that say HER, whatever code list they name."""
    return [
        ident
        for ident in children(unit, mh("Ident"))
        if any(token(kind.get("V")) == "HER" for kind in children(ident, mh("TypeId")))
    ]


def _child_text(parent: etree._Element, name: str) -> str | None:
    found = children(parent, mh(name))
    return found[0].text if len(found) == 1 else None


def _part(document: etree._Element) -> Part:
    references = children(document, mh("RefDoc"))
    reference = references[0] if references else document
    held = [element for content in children(reference, mh("Content")) for element in content]
    kinds = children(reference, mh("MsgType"))
    name = etree.QName(held[0]) if held else None
    return Part(
        namespace=(name.namespace or "") if name else "",
        name=name.localname if name else "",
        msg_type=token(kinds[0].get("V")) if kinds else "",
        mime_type=token(_child_text(reference, "MimeType")),
        size=_decoded_size(held[0]) if held and held[0].tag == f"{{{BASE64}}}Base64Container" else 0,
    )


def _decoded_size(container: etree._Element) -> int:
    """Return how many bytes a Base64Container holds, without decoding it: it may be 35 MB."""
    text = container.text or ""
    digits = len(text) - sum(map(text.count, " \t\r\n="))
    return digits * 3 // 4


def _dialogue(root: etree._Element) -> tuple[str, str]:
    """Return what the Dialogmelding in the first Document holds, and the code that says what for."""
    _, held = next(contents(root), (root, ()))
    if not held or etree.QName(held[0]).namespace not in (DIALOG_10, DIALOG_11):
        return "", ""
    for child in held[0]:
        name = etree.QName(child)
        if name.localname in _CODED:
            coded = children(child, f"{{{name.namespace}}}{_CODED[name.localname]}")
            return name.localname, token(coded[0].get("V")) if coded else ""
    return "", ""


_CODED = {"Foresporsel": "TypeForesp", "Notat": "TemaKodet"}  # what it holds, and the code of its kind
