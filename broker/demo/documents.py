"""Builds dialogue messages as bytes: MsgHead 1.2 around Dialogmelding 1.0 or 1.1, and what rides along with it.

This is what an EPJ or a portal would have made itself; the broker is not asked. Every text and name is an argument,
so that a test can plant its own words in each. Instants are aware datetimes, sizes bytes.
"""

from base64 import encodebytes
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from xml.sax.saxutils import escape, quoteattr

from broker.demo.people import Person

_CODE_LISTS = "2.16.578.1.12.4.1.1"
_MSGHEAD = "http://www.kith.no/xmlstds/msghead/2006-05-24"
_COMMON = "http://www.kith.no/xmlstds/felleskomponent1"
_CONTAINER = "http://www.kith.no/xmlstds/base64container"
_CALENDAR = "urn:ietf:params:xml:ns:icalendar-2.0"
_RELATION = "http://www.kith.no/xmlstds/pasientrelasjon/2014-03-28"


class Dialogue(StrEnum):
    """The two versions of Dialogmelding, by namespace."""

    V1_0 = "http://www.kith.no/xmlstds/dialog/2006-10-11"
    V1_1 = "http://www.kith.no/xmlstds/dialog/2013-01-23"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded value: `listed` is the number of its code list, or "" where the element carries no code system."""

    value: str
    text: str
    listed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A communication party on its two levels: the service, and the enterprise that it belongs to."""

    her: int
    name: str
    organisation_her: int
    organisation_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Where an answer belongs: the MsgId that it answers, and that of the conversation's first message."""

    parent: str
    first: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What MsgInfo says."""

    type: Code
    msg_id: str
    made_at: datetime
    sender: Unit
    receiver: Unit
    patient: Person
    conversation: Conversation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """An appointment, as iCalendar in XML (RFC 6321) carries it."""

    uid: str
    start: datetime
    end: datetime
    made_at: datetime
    summary: str
    description: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that rides along, base64 in the document."""

    description: str
    mime_type: str
    content: bytes


def question(dialogue: Dialogue, kind: Code, *, subject: str, text: str, author: Person | None = None) -> str:
    """Return a Dialogmelding that asks. Version 1.0 has no element for the subject: there it opens the text."""
    subject_element = _element("EmneSporsmal", subject) if dialogue is Dialogue.V1_1 else ""
    asked = text if dialogue is Dialogue.V1_1 else f"{subject}: {text}"
    inner = _coded("TypeForesp", kind) + subject_element + _element("Sporsmal", asked) + _author(author)
    return _dialogue(dialogue, f"<Foresporsel>{inner}</Foresporsel>")


def note(dialogue: Dialogue, theme: Code, *, subject: str, text: str, author: Person | None = None) -> str:
    """Return a Dialogmelding that tells or answers."""
    inner = _coded("TemaKodet", theme) + _element("Tema", subject) + _element("TekstNotatInnhold", text)
    return _dialogue(dialogue, f"<Notat>{inner}{_author(author)}</Notat>")


def calendar(visits: Sequence[Visit], *, made_by: str) -> str:
    """Return an xCal document with one vevent a visit."""
    events = "".join(_event(visit) for visit in visits)
    properties = f"<prodid><text>{escape(made_by)}</text></prodid><version><text>2.0</text></version>"
    return (
        f'<icalendar xmlns="{_CALENDAR}"><vcalendar><properties>{properties}</properties>'
        f"<components>{events}</components></vcalendar></icalendar>"
    )


def on_behalf(relation: Code, person: Person) -> str:
    """Return the Pasientrelasjon that says who acts for the patient, and by what right (code list 7611)."""
    return (
        f'<Pasientrelasjon xmlns="{_RELATION}" xmlns:fk1="{_COMMON}">{_coded("Relasjon", relation)}'
        f"<Person>{_names(person, given_first=True)}{_person_ident(person, prefix='fk1:')}</Person></Pasientrelasjon>"
    )


def document(
    head: Head,
    business: str,
    *,
    title: str,
    companions: Sequence[str] = (),
    attachments: Sequence[Attachment] = (),
    encoding: str = "UTF-8",
) -> bytes:
    """Return the whole MsgHead as bytes in `encoding`. Raises UnicodeEncodeError where a text does not fit in it."""
    made = _stamp(head.made_at)
    parts = [_xml_part(business, made, title=title)]
    parts += [_xml_part(companion, made) for companion in companions]
    parts += [_attached(attachment, made) for attachment in attachments]
    whole = (
        f'<?xml version="1.0" encoding="{encoding}"?>\n'
        f'<MsgHead xmlns="{_MSGHEAD}" xmlns:fk1="{_COMMON}">\n{_msg_info(head, made)}\n'
        + "\n".join(parts)
        + "\n</MsgHead>\n"
    )
    return whole.encode(encoding)


def _msg_info(head: Head, made: str) -> str:
    lines = [
        _coded("Type", head.type),
        _element("MIGversion", "v1.2 2006-05-24"),
        _element("GenDate", made),
        _element("MsgId", head.msg_id),
        # Everything here is synthetic, and says so to whoever receives it.
        _coded("ProcessingStatus", Code(value="D", text="Debugging")),
        _coded("Ack", Code(value="J", text="Ja")),
        _conversation(head.conversation),
        f"<Sender>{_organisation(head.sender)}</Sender>",
        f"<Receiver>{_organisation(head.receiver)}</Receiver>",
        _patient(head.patient),
    ]
    return "<MsgInfo>\n" + "\n".join(line for line in lines if line) + "\n</MsgInfo>"


def _conversation(conversation: Conversation | None) -> str:
    # A first message must not have the element at all (annotation in MsgHead 1.2).
    if conversation is None:
        return ""
    refs = _element("RefToParent", conversation.parent) + _element("RefToConversation", conversation.first)
    return f"<ConversationRef>{refs}</ConversationRef>"


def _organisation(unit: Unit) -> str:
    inner = f"<Organisation>{_element('OrganisationName', unit.name)}{_her(unit.her)}</Organisation>"
    name = _element("OrganisationName", unit.organisation_name)
    return f"<Organisation>{name}{_her(unit.organisation_her)}{inner}</Organisation>"


def _her(her: int) -> str:
    return _ident(str(her), Code(value="HER", text="HER-id", listed="9051"))


def _patient(person: Person) -> str:
    phone = f"<TeleCom><TeleAddress V={quoteattr('mob:' + person.phone)}/></TeleCom>"
    born = _element("DateOfBirth", person.born.isoformat())
    return f"<Patient>{_names(person)}{born}{_person_ident(person)}{phone}</Patient>"


def _author(person: Person | None) -> str:
    """Return the health professional behind the text. There, what Ident and TeleCom hold is of felleskomponent1."""
    if person is None:
        return ""
    role = _coded("RoleToPatient", Code(value="9", text="Primærkontakt", listed="9034"))
    phone = f"<TeleCom><fk1:TeleAddress V={quoteattr('tel:' + person.phone)}/></TeleCom>"
    inner = f"{_names(person)}{_person_ident(person, prefix='fk1:')}{phone}"
    return f"<RollerRelatertNotat>{role}<HealthcareProfessional>{inner}</HealthcareProfessional></RollerRelatertNotat>"


def _names(person: Person, *, given_first: bool = False) -> str:
    family, given = _element("FamilyName", person.family), _element("GivenName", person.given)
    return given + family if given_first else family + given


def _person_ident(person: Person, *, prefix: str = "") -> str:
    return _ident(person.number, Code(value="FNR", text="Fødselsnummer", listed="8116"), prefix=prefix)


def _ident(value: str, kind: Code, *, prefix: str = "") -> str:
    return f"<Ident>{_element(prefix + 'Id', value)}{_coded(prefix + 'TypeId', kind)}</Ident>"


def _dialogue(dialogue: Dialogue, inner: str) -> str:
    return f'<Dialogmelding xmlns="{dialogue}">{inner}</Dialogmelding>'


def _event(visit: Visit) -> str:
    properties = (
        ("uid", "text", visit.uid),
        ("dtstamp", "date-time", _stamp(visit.made_at)),
        ("dtstart", "date-time", _stamp(visit.start)),
        ("dtend", "date-time", _stamp(visit.end)),
        ("summary", "text", visit.summary),
        ("description", "text", visit.description),
        ("location", "text", visit.place),
        ("status", "text", "CONFIRMED"),
    )
    inner = "".join(f"<{name}><{kind}>{escape(value)}</{kind}></{name}>" for name, kind, value in properties)
    return f"<vevent><properties>{inner}</properties></vevent>"


def _xml_part(content: str, made: str, *, title: str = "") -> str:
    described = _element("ContentDescription", title) if title else ""
    reference = _issued(made) + _coded("MsgType", Code(value="XML", text="XML-instans"))
    return f"<Document>{described}<RefDoc>{reference}<Content>{content}</Content></RefDoc></Document>"


def _attached(attachment: Attachment, made: str) -> str:
    reference = (
        _issued(made)
        + _coded("MsgType", Code(value="A", text="Vedlegg"))
        + _element("MimeType", attachment.mime_type)
        + _element("Description", attachment.description)
    )
    content = encodebytes(attachment.content).decode("ascii")
    container = f'<Base64Container xmlns="{_CONTAINER}">{content}</Base64Container>'
    return f"<Document><RefDoc>{reference}<Content>{container}</Content></RefDoc></Document>"


def _issued(made: str) -> str:
    return f"<IssueDate V={quoteattr(made)}/>"


def _coded(name: str, code: Code) -> str:
    system = f' S="{_CODE_LISTS}.{code.listed}"' if code.listed else ""
    return f"<{name} V={quoteattr(code.value)}{system} DN={quoteattr(code.text)}/>"


def _element(name: str, value: str) -> str:
    return f"<{name}>{escape(value)}</{name}>"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
