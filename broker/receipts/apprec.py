"""The application receipt, AppRec 1.0 (HIS 80415:2004) and 1.1 (HIS 80415:2012): bytes from a verdict, and back.

It decides what an AppRec says, never what follows from it. Reading is as lenient as the sector's writers require:
blanks inside attributes, S and V of an error exchanged, codes of foreign lists. What it cannot do without are the
status and the id of the message that is answered.

Free text (OT), and DN too, which nobody checks, are health data: they stay in the AppRec's own body.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lxml import etree

from broker.envelope import markup
from broker.envelope.msghead import may_be_id
from broker.envelope.names import APPREC_10, APPREC_11
from broker.envelope.xml import Xml, children, location, only_child, required_child, text
from broker.errors import OtherXml
from broker.message import Code, DocumentHead, PartyRef, Verdict

ERROR_CODES: Final = "2.16.578.1.12.4.1.1.8221"  # code list 8221, whose texts the caller passes in


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprecError:
    """One Error as it was read: V, S, DN and OT, exchanged back where the sender had exchanged V and S."""

    code: str
    oid: str
    text: str = field(default="", repr=False)
    detail: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRec:
    """An AppRec as it was read. Dates as they stand; a party is None where it has no HER-id."""

    version: str  # "1.0" or "1.1", by its namespace
    id: str
    gen_date: str
    sender: PartyRef | None
    receiver: PartyRef | None
    status: Verdict
    errors: tuple[ApprecError, ...]
    original_id: str
    original_type: str
    original_issue_date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenError:
    """One error that a verdict names: a code of list 8221, and free text for people (health data)."""

    code: str
    details: str = field(default="", repr=False)


_VERSIONS = {"1.0": APPREC_10, "1.1": APPREC_11}
_MIG_VERSIONS = {"1.0": "1.0 2004-11-21", "1.1": "v1.1 2012-02-15"}
# Code list 8258: the value on the wire, and its text.
_STATUS = {
    Verdict.OK: ("1", "OK"),
    Verdict.REJECTED: ("2", "Avvist"),
    Verdict.PARTIAL: ("3", "OK, feil i delmelding"),
}
_VERDICTS = {value: verdict for verdict, (value, _) in _STATUS.items()}


# --- read -----------------------------------------------------------------------------------------------------------


def parse(xml: Xml) -> AppRec:
    """Return what an AppRec says.

    Raises OtherXml where the document is no AppRec 1.0 or 1.1, or lacks its Id, Status or the id of the original;
    Inconsistent where one of these stands twice. Neither quotes a value.
    """
    read = _Reader(xml.root)
    original = read.required(xml.root, "OriginalMsgId")
    status = read.required(xml.root, "Status")
    verdict = _VERDICTS.get(_token(status.get("V")))
    if verdict is None:
        raise OtherXml("Status is not a code of list 8258", location=location(status))
    return AppRec(
        version=read.version,
        id=read.id(xml.root, "Id"),
        gen_date=read.text(xml.root, "GenDate"),
        sender=read.party(xml.root, "Sender"),
        receiver=read.party(xml.root, "Receiver"),
        status=verdict,
        errors=tuple(map(_error, read.children(xml.root, "Error"))),
        original_id=read.id(original, "Id"),
        original_type=read.code(original, "MsgType"),
        original_issue_date=read.text(original, "IssueDate"),
    )


class _Reader:
    """Looks up direct children in the namespace of this AppRec."""

    def __init__(self, root: etree._Element) -> None:
        name = etree.QName(root)
        versions = [version for version, namespace in _VERSIONS.items() if namespace == name.namespace]
        if name.localname != "AppRec" or not versions:
            raise OtherXml("the document is not an AppRec 1.0 or 1.1")
        self.version, self._namespace = versions[0], name.namespace

    def children(self, parent: etree._Element, name: str) -> Sequence[etree._Element]:
        return children(parent, f"{{{self._namespace}}}{name}")

    def required(self, parent: etree._Element, name: str) -> etree._Element:
        return required_child(parent, f"{{{self._namespace}}}{name}")

    def child(self, parent: etree._Element | None, name: str) -> etree._Element | None:
        return None if parent is None else only_child(parent, f"{{{self._namespace}}}{name}")

    def text(self, parent: etree._Element, name: str) -> str:
        found = self.child(parent, name)
        return "" if found is None else text(found)

    def id(self, parent: etree._Element, name: str) -> str:
        value = text(self.required(parent, name))
        if not may_be_id(value):
            raise OtherXml(f"{name} is empty, or is no id", location=f"{location(parent)}/{name}")
        return value

    def code(self, parent: etree._Element, name: str) -> str:
        found = self.child(parent, name)
        return "" if found is None else _token(found.get("V"))

    def party(self, root: etree._Element, name: str) -> PartyRef | None:
        """Return the two levels (HIS 1153): Inst is the organisation, Dept or HCPerson in it the party."""
        hcp = self.child(self.child(root, name), "HCP")
        if hcp is None:
            return None
        inst, alone = self.child(hcp, "Inst"), self.child(hcp, "HCProf")
        if inst is None:
            her = None if alone is None else self._her(alone)
            return None if her is None else PartyRef(her=her, organisation_her=None, person=True)
        organisation = self._her(inst)
        # Where both stand, the department is the party: the person is then who answered for it.
        for kind in ("Dept", "HCPerson"):
            for unit in self.children(inst, kind):
                her = self._her(unit)
                if her is not None:
                    return PartyRef(her=her, organisation_her=organisation, person=kind == "HCPerson")
        return None if organisation is None else PartyRef(her=organisation, organisation_her=organisation)

    def _her(self, unit: etree._Element) -> int | None:
        """Return the HER-id of an Inst, Dept or person, from Id or AdditionalId."""
        if self.code(unit, "TypeId") == "HER":
            return _her_id(self.text(unit, "Id"))
        for other in self.children(unit, "AdditionalId"):
            if self.code(other, "Type") == "HER":
                return _her_id(self.text(other, "Id"))
        return None


def _her_id(value: str) -> int | None:
    return int(value) if re.fullmatch(r"[0-9]{1,10}", value) and 0 < int(value) < 2**31 else None


def _token(value: str | None) -> str:
    return " ".join((value or "").split())


_OID = re.compile(r"[0-9]+(\.[0-9]+){3,}")


def _error(element: etree._Element) -> ApprecError:
    code, oid = _token(element.get("V")), _token(element.get("S"))
    if _OID.fullmatch(code) and not _OID.fullmatch(oid):  # seen from a large sender: the list in V, the code in S
        code, oid = oid, code
    return ApprecError(code=code, oid=oid, text=_token(element.get("DN")), detail=element.get("OT") or "")


_SHOWN_CODE = re.compile(r"(?=.*[0-9])[0-9A-Za-z._-]{1,10}")  # no room for a fødselsnummer; a name has no digit
_SHOWN_OID = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10}){3,20}")


def codes(apprec: AppRec, texts: Mapping[str, str]) -> tuple[Code, ...]:
    """Return the errors as they may be shown outside the AppRec's body.

    The text is ours (`texts`: list 8221, code to text), never the sender's. What does not look like a code, or a list,
    is left empty: senders have been seen to write sentences there.
    """
    return tuple(
        Code(
            code=error.code if _SHOWN_CODE.fullmatch(error.code) else "",
            oid=error.oid if _SHOWN_OID.fullmatch(error.oid) else "",
            text=texts.get(error.code, "") if error.oid in (ERROR_CODES, "") else "",
        )
        for error in apprec.errors
    )


# --- build ----------------------------------------------------------------------------------------------------------


def build(
    answered: DocumentHead,
    *,
    version: str,
    id: str,
    now: datetime,
    sender: PartyRef,
    verdict: Verdict,
    errors: Sequence[GivenError],
    texts: Mapping[str, str],
    names: Mapping[int, str],
    software: str,
    software_version: str,
) -> bytes:
    """Return the AppRec of `version` ("1.0", "1.1") that answers a document, in UTF-8.

    `sender` is the one of the document's receivers that answers; the document's sender becomes the receiver. `texts`
    is code list 8221, `names` are parties' names by HER-id, used where they are known. `now` has a zone.

    Raises ValueError for a rejection without errors, an approval with errors, a code that is not in `texts`, and for
    characters that XML does not have.
    """
    if (verdict is Verdict.REJECTED and not errors) or (verdict is Verdict.OK and errors):
        raise ValueError("a rejection names its errors, and an approval has none")
    if unknown := [error for error in errors if error.code not in texts]:
        raise ValueError(f"{len(unknown)} of the error codes are not in code list 8221")
    value, meaning = _STATUS[verdict]
    said = (
        _coded("MsgType", V="APPREC", DN="Applikasjonskvittering"),
        _element("MIGversion", _MIG_VERSIONS[version]),
        _element("SoftwareName", software),
        _element("SoftwareVersion", software_version),
        _element("GenDate", now.isoformat(timespec="seconds")),
        _element("Id", id),
        _party("Sender", sender, names),
        _party("Receiver", answered.sender, names),
        _coded("Status", V=value, DN=meaning),
        *(_given(error, texts) for error in errors),
        "<OriginalMsgId>",
        _coded("MsgType", V=answered.type),
        _element("IssueDate", answered.gen_date),
        _element("Id", answered.msg_id),
        "</OriginalMsgId>",
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f'{head}<AppRec xmlns="{_VERSIONS[version]}">{"".join(said)}</AppRec>'.encode()


def _element(name: str, value: str) -> str:
    return f"<{name}>{markup.text(value)}</{name}>"


def _coded(name: str, **attributes: str) -> str:
    said = "".join(f' {key}="{markup.attribute(value)}"' for key, value in attributes.items())
    return f"<{name}{said}/>"


def _given(error: GivenError, texts: Mapping[str, str]) -> str:
    details = {"OT": error.details} if error.details else {}
    return _coded("Error", V=error.code, S=ERROR_CODES, DN=texts[error.code], **details)


def _party(name: str, party: PartyRef, names: Mapping[int, str]) -> str:
    """Return a party on its two levels (HIS 1153)."""
    if party.organisation_her is None and party.person:
        return f"<{name}><HCP>{_unit('HCProf', party.her, names)}</HCP></{name}>"
    inner = ""
    if party.organisation_her not in (None, party.her):
        inner = _unit("HCPerson" if party.person else "Dept", party.her, names)
    return f"<{name}><HCP>{_unit('Inst', party.organisation_her or party.her, names, inner)}</HCP></{name}>"


def _unit(kind: str, her: int, names: Mapping[int, str], inner: str = "") -> str:
    named = _element("Name", names[her]) if her in names else ""
    return f"<{kind}>{named}{_element('Id', str(her))}{_coded('TypeId', V='HER', DN='HER-id')}{inner}</{kind}>"
