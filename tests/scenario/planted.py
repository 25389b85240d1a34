"""Documents with a canary in every text: those that the broker takes, and those that it refuses."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from broker.demo.documents import (
    Attachment,
    Code,
    Dialogue,
    Head,
    Unit,
    Visit,
    calendar,
    document,
    note,
    on_behalf,
    question,
)
from broker.demo.pdf import padded_pdf
from broker.demo.people import Person, spoiled, synthetic_number
from tests.scenario.canaries import Cage

_BORN = date(1930, 1, 1)  # of all persons here: a number that begins alike is found faster


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One document with canaries, and its MsgId."""

    name: str
    msg_id: str
    content: bytes


class Planter:
    """Makes documents whose every text, name and number is a canary."""

    def __init__(self, cage: Cage, new_id: Callable[[], str], now: datetime) -> None:
        self._cage, self._new_id, self._now = cage, new_id, now
        self._serial = 0

    def clinical(self, sender: Unit, receiver: Unit, *, encoding: str = "UTF-8", size: int = 0) -> Planted:
        """Return a clinical note on Dialogmelding 1.1; with a PDF of `size` bytes where that is not 0."""
        name = f"clinical {encoding}{' with a file' if size else ''}"
        head = self._head("DIALOG_HELSEFAGLIG", sender, receiver, name)
        business = note(
            Dialogue.V1_1,
            Code(value="6", text=self._mint(name, "TemaKodet/@DN"), listed="7322"),
            subject=self._mint(name, "Tema"),
            text=self._mint(name, "TekstNotatInnhold"),
            author=self._person(name, "HealthcareProfessional"),
        )
        line = self._mint(name, "in the PDF")
        attached = Attachment(
            description=self._mint(name, "Description"),
            mime_type="application/pdf",
            content=padded_pdf(line, size=max(size, 2000), seed=line),
        )
        attachments = [attached] if size else []
        title = self._mint(name, "ContentDescription")
        content = document(head, business, title=title, attachments=attachments, encoding=encoding)
        return Planted(name=name, msg_id=head.msg_id, content=self._commented(name, content, encoding))

    def old(self, sender: Unit, receiver: Unit) -> Planted:
        """Return a request on Dialogmelding 1.0, in ISO-8859-1."""
        name = "request 1.0"
        head = self._head("DIALOG_FORESPORSEL", sender, receiver, name)
        business = question(
            Dialogue.V1_0,
            Code(value="99", text=self._mint(name, "TypeForesp/@DN"), listed="9152"),
            subject=self._mint(name, "subject in Sporsmal"),
            text=self._mint(name, "Sporsmal"),
            author=self._person(name, "HealthcareProfessional"),
        )
        content = document(head, business, title=self._mint(name, "ContentDescription"), encoding="ISO-8859-1")
        return Planted(name=name, msg_id=head.msg_id, content=content)

    def on_behalf(self, sender: Unit, receiver: Unit) -> Planted:
        """Return a citizen's question, asked by somebody else."""
        name = "on behalf"
        head = self._head("DIALOG_INNBYGGER_EKONTAKT", sender, receiver, name)
        business = question(
            Dialogue.V1_1,
            Code(value="HE", text=self._mint(name, "TypeForesp/@DN"), listed="7601"),
            subject=self._mint(name, "EmneSporsmal"),
            text=self._mint(name, "Sporsmal"),
        )
        relation = Code(value="FU", text=self._mint(name, "Relasjon/@DN"), listed="7611")
        companion = on_behalf(relation, self._person(name, "Pasientrelasjon"))
        content = document(head, business, title=self._mint(name, "ContentDescription"), companions=[companion])
        return Planted(name=name, msg_id=head.msg_id, content=content)

    def appointment(self, sender: Unit, receiver: Unit) -> Planted:
        """Return an appointment with iCalendar."""
        name = "appointment"
        head = self._head("DIALOG_INNBYGGER_AVTALEUTSENDING", sender, receiver, name)
        visit = Visit(
            uid=self._mint(name, "vevent/uid"),
            start=self._now + timedelta(days=1),
            end=self._now + timedelta(days=1, hours=1),
            made_at=self._now,
            summary=self._mint(name, "vevent/summary"),
            description=self._mint(name, "vevent/description"),
            place=self._mint(name, "vevent/location"),
        )
        business = question(
            Dialogue.V1_1,
            Code(value="MOA", text=self._mint(name, "TypeForesp/@DN"), listed="7601"),
            subject=self._mint(name, "EmneSporsmal"),
            text=self._mint(name, "Sporsmal"),
        )
        companion = calendar([visit], made_by=self._mint(name, "prodid"))
        content = document(head, business, title=self._mint(name, "ContentDescription"), companions=[companion])
        return Planted(name=name, msg_id=head.msg_id, content=content)

    def broken(self, sender: Unit, receiver: Unit) -> Iterator[Planted]:
        """Yield documents that are to be refused, each for a reason of its own and with canaries of its own."""
        breaks: dict[str, tuple[bytes, Callable[[], bytes]]] = {
            "no number": (rb"<Id>\d{11}</Id>", lambda: b"<Id>" + self._word("Id, not a number") + b"</Id>"),
            "no date": (rb"<GenDate>[^<]*", lambda: b"<GenDate>" + self._word("GenDate")),
            "no day": (rb"<DateOfBirth>[^<]*", lambda: b"<DateOfBirth>" + self._word("DateOfBirth")),
            "no type": (rb'<Type V="[^"]*"', lambda: b'<Type V="' + self._word("Type/@V") + b'"'),
            "no ack": (rb'<Ack V="J"', lambda: b'<Ack V="' + self._word("Ack/@V") + b'"'),
            "no HER-id": (rb"<Id>80\d{5}</Id>", lambda: b"<Id>" + self._word("HER-id") + b"</Id>"),
            "no code system": (rb'S="2.16[^"]*7322"', lambda: b'S="' + self._word("TemaKodet/@S") + b'"'),
            "wrong version": (rb"v1.2 2006-05-24", lambda: self._word("MIGversion")),
            "text where none may be": (rb"<MsgInfo>", lambda: b"<MsgInfo>" + self._word("text in MsgInfo")),
            "an attribute too many": (rb"<MsgInfo>", lambda: b'<MsgInfo extra="' + self._word("attribute") + b'">'),
            "an element too many": (
                rb"</MsgInfo>",
                lambda: b"<Extra>" + self._word("Extra") + b"</Extra></MsgInfo>",
            ),
            "no namespace known": (rb"dialog/2013-01-23", lambda: self._word("namespace of the Dialogmelding")),
            "an instruction": (rb"<Document>", lambda: b"<?note " + self._word("instruction") + b"?><Document>"),
            "cut short": (rb"</Document>\s*</MsgHead>\s*$", lambda: self._word("cut off")),
            "an entity": (
                rb"<MsgHead ",
                lambda: b'<!DOCTYPE MsgHead [<!ENTITY a "' + self._word("ENTITY") + b'">]><MsgHead ',
            ),
            "bytes that are no UTF-8": (rb"<Tema>", lambda: b"<Tema>\xe6\xf8" + self._word("after bad bytes")),
            "an unknown encoding": (rb'encoding="UTF-8"', lambda: b'encoding="' + self._word("encoding") + b'"'),
        }
        for reason, (pattern, put) in breaks.items():
            whole = self.clinical(sender, receiver)
            content, count = re.subn(pattern, lambda _, put=put: put(), whole.content, count=1)  # type: ignore[misc] # mypy can't infer a lambda with a default
            if count != 1:
                raise AssertionError(f"nothing to break for {reason}")
            yield replace(whole, name=reason, content=content)
        whole = self.clinical(sender, receiver)
        yield replace(whole, name="a slip in the number", content=self._slipped(whole.content))
        nobody = replace(receiver, her=8999999)
        yield replace(self.clinical(sender, nobody), name="a receiver that nobody knows")

    def details(self, about: str) -> str:
        """Return free text for an AppRec's error."""
        return self._mint(about, "AppRec Error/@OT")

    def _head(self, kind: str, sender: Unit, receiver: Unit, about: str) -> Head:
        return Head(
            type=Code(value=kind, text=self._mint(about, "Type/@DN")),
            msg_id=self._new_id(),
            made_at=self._now,
            sender=self._named(sender, about, "Sender"),
            receiver=self._named(receiver, about, "Receiver"),
            patient=self._person(about, "Patient"),
        )

    def _named(self, unit: Unit, about: str, role: str) -> Unit:
        return replace(
            unit,
            name=self._mint(about, f"{role} inner OrganisationName"),
            organisation_name=self._mint(about, f"{role} OrganisationName"),
        )

    def _person(self, about: str, role: str) -> Person:
        number = synthetic_number(_BORN, self._serial)
        self._serial = int(number[6:9]) + 1
        return Person(
            given=self._mint(about, f"{role} GivenName"),
            family=self._mint(about, f"{role} FamilyName"),
            born=_BORN,
            number=self._cage.adopt(number, f"{about}: {role} Ident"),
            phone=self._mint(about, f"{role} TeleAddress"),
        )

    def _commented(self, about: str, content: bytes, encoding: str) -> bytes:
        """Put a comment in too: not text by the schema, but text all the same."""
        comment = f"<!-- {self._mint(about, 'comment')} -->"
        return content.replace(b"</MsgInfo>", b"</MsgInfo>" + comment.encode(encoding), 1)

    def _slipped(self, content: bytes) -> bytes:
        number = re.search(rb"<Id>(\d{11})</Id>", content)
        if number is None:
            raise AssertionError("no number to spoil")
        wrong = self._cage.adopt(spoiled(number[1].decode()), "a slip in the number: Patient Ident")
        return content.replace(number[1], wrong.encode(), 1)

    def _word(self, where: str) -> bytes:
        return self._mint("broken", where).encode()

    def _mint(self, about: str, where: str) -> str:
        return self._cage.mint(f"{about}: {where}")
