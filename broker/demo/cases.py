"""What is sent in the demo, by whom, and how each must end. The texts are ours and the persons synthetic."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.demo import people
from broker.demo.documents import (
    Attachment,
    Code,
    Conversation,
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
from broker.demo.people import Person
from broker.demo.simulator import AT_ONCE, Rule
from broker.message import Text

FJORDVIK, DALBYGDA, PORTAL = "fjordvik", "dalbygda", "portal"
UNITS = {
    FJORDVIK: Unit(
        her=8000101, name="Hjemmetjenesten nord", organisation_her=8000100, organisation_name="Fjordvik kommune"
    ),
    DALBYGDA: Unit(her=8000201, name="Hjemmetjenesten", organisation_her=8000200, organisation_name="Dalbygda kommune"),
    PORTAL: Unit(her=8000301, name="Digital dialog", organisation_her=8000300, organisation_name="Innbyggerportalen"),
}
PDF_SIZE = 2 * 1024 * 1024

_REQUEST = Code(value="DIALOG_FORESPORSEL", text="Forespørsel")
_NOTE = Code(value="DIALOG_NOTAT", text="Notat")
_CLINICAL = Code(value="DIALOG_HELSEFAGLIG", text="Helsefaglig dialog")
_EKONTAKT = Code(value="DIALOG_INNBYGGER_EKONTAKT", text="Dialog med innbygger - eKontakt")
_APPOINTMENT = Code(value="DIALOG_INNBYGGER_AVTALEUTSENDING", text="Dialog med innbygger - avtaleutsending")

_ANY_REQUEST = Code(value="99", text="Annen henvendelse", listed="9152")
_ABOUT_PATIENT = Code(value="6", text="Henvendelse om pasient", listed="7322")
_FROM_CITIZEN = Code(value="HE", text="Henvendelse", listed="7601")
_ANSWER = Code(value="19", text="Svar på henvendelse", listed="7602")
_VISIT_NOTICE = Code(value="MOA", text="Melding om avtale", listed="7601")
_POWER_OF_ATTORNEY = Code(value="FU", text="Fullmakt", listed="7611")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One message of the demo, and the end it must come to."""

    name: str  # of the file in the outbox, and in the ledger
    title: Text
    sender: str  # which site
    receiver: str
    msg_id: str
    content: bytes
    rule: Rule = AT_ONCE  # what the receiver says to it
    answers: str | None = None  # MsgId of the question: posted when that is judged, not before
    while_down: bool = False  # posted while the receiver's broker is stopped
    refused: bool = False  # by our own checks, at the door


def make_cases(new_id: Callable[[], str], now: datetime) -> tuple[Case, ...]:
    """Return the cases of one run, with MsgIds of its own."""
    return _between_epjs(new_id, now) + _with_citizens(new_id, now) + _with_obstacles(new_id, now)


def _between_epjs(new_id: Callable[[], str], now: datetime) -> tuple[Case, ...]:
    return (
        _case(
            "epj-1-0-utf-8",
            Text(nb="Forespørsel, Dialogmelding 1.0, UTF-8", en="Request, Dialogmelding 1.0, UTF-8"),
            _head(_REQUEST, FJORDVIK, DALBYGDA, people.AASE, new_id(), now),
            _asked(Dialogue.V1_0, "Overtakelse av pleie", "Åse flytter til dere mandag. Kan dere ta sårstellet?"),
        ),
        _case(
            "epj-1-0-latin-1",
            Text(nb="Notat, Dialogmelding 1.0, ISO-8859-1", en="Note, Dialogmelding 1.0, ISO-8859-1"),
            _head(_NOTE, DALBYGDA, FJORDVIK, people.KARE, new_id(), now),
            _told(
                Dialogue.V1_0, "Nøkkelboks", "Kåre har fått nøkkelboks på døra. Ærend utført, øverste lås går trått."
            ),
            encoding="ISO-8859-1",
        ),
        _case(
            "epj-1-1-utf-8",
            Text(nb="Helsefaglig dialog, Dialogmelding 1.1, UTF-8", en="Clinical dialogue, Dialogmelding 1.1, UTF-8"),
            _head(_CLINICAL, DALBYGDA, FJORDVIK, people.KARE, new_id(), now),
            _told(Dialogue.V1_1, "Blodtrykk", "Målt 128/78 i dag. Følger opp på fredag – ingen endring i medisinene."),
        ),
        _case(
            "epj-1-1-latin-1",
            Text(
                nb="Helsefaglig dialog, Dialogmelding 1.1, ISO-8859-1",
                en="Clinical dialogue, Dialogmelding 1.1, ISO-8859-1",
            ),
            _head(_CLINICAL, FJORDVIK, DALBYGDA, people.AASE, new_id(), now),
            _told(
                Dialogue.V1_1, "Sårstell", "Såret på venstre hæl er nå 2 × 1 cm, rødt, uten væske. Bør ses på onsdag."
            ),
            encoding="ISO-8859-1",
        ),
        _case(
            "epj-pdf",
            Text(nb="Epikrise som PDF på 2 MB", en="Discharge summary as a PDF of 2 MB"),
            _head(_CLINICAL, DALBYGDA, FJORDVIK, people.KARE, new_id(), now),
            _told(Dialogue.V1_1, "Epikrise", "Epikrisen fra korttidsoppholdet følger vedlagt."),
            attachments=(
                Attachment(
                    description="epikrise.pdf",
                    mime_type="application/pdf",
                    content=padded_pdf("Epikrise, oppdiktet", size=PDF_SIZE, seed="epikrise"),
                ),
            ),
        ),
    )


def _with_citizens(new_id: Callable[[], str], now: datetime) -> tuple[Case, ...]:
    asked, answered = new_id(), new_id()
    visit = Visit(
        uid=new_id(),
        start=now + timedelta(days=3),
        end=now + timedelta(days=3, minutes=45),
        made_at=now,
        summary="Besøk av hjemmesykepleien",
        description="Vi kommer for å stelle såret. Si fra om det ikke passer.",
        place="Hjemme hos deg",
    )
    return (
        _case(
            "citizen-question",
            Text(nb="Innbygger spør (eKontakt)", en="A citizen asks (eKontakt)"),
            _head(_EKONTAKT, PORTAL, FJORDVIK, people.AASE, asked, now),
            question(
                Dialogue.V1_1,
                _FROM_CITIZEN,
                subject="Tid for besøk",
                text="Hei! Kan dere komme før klokka ti på torsdag?",
            ),
            rule=Rule(reply="citizen-answer.xml"),
        ),
        _case(
            "citizen-answer",
            Text(nb="Svaret, i samme samtale", en="The answer, in the same conversation"),
            _head(_EKONTAKT, FJORDVIK, PORTAL, people.AASE, answered, now, Conversation(parent=asked, first=asked)),
            note(Dialogue.V1_1, _ANSWER, subject="Tid for besøk", text="Ja, vi kommer kvart over ni. Hilsen Guro"),
            answers=asked,
        ),
        _case(
            "citizen-on-behalf",
            Text(nb="På vegne av en annen, med fullmakt", en="On behalf of another, by power of attorney"),
            _head(_EKONTAKT, PORTAL, DALBYGDA, people.AASE, new_id(), now),
            question(
                Dialogue.V1_1,
                _FROM_CITIZEN,
                subject="Mors medisiner",
                text="Mamma har sluttet å ta den hvite. Er det rett?",
            ),
            companions=(on_behalf(_POWER_OF_ATTORNEY, people.DAUGHTER),),
        ),
        _case(
            "appointment",
            Text(nb="Avtale med iCalendar (avtaleutsending)", en="An appointment with iCalendar"),
            _head(_APPOINTMENT, FJORDVIK, PORTAL, people.AASE, new_id(), now),
            question(Dialogue.V1_1, _VISIT_NOTICE, subject="Besøk", text="Du har fått en avtale."),
            companions=(calendar((visit,), made_by="-//Fjordvik kommune//Oppdiktet EPJ//NB"),),
        ),
    )


def _with_obstacles(new_id: Callable[[], str], now: datetime) -> tuple[Case, ...]:
    slip = replace(people.AASE, number=people.spoiled(people.AASE.number))
    return (
        _case(
            "epj-rejects",
            Text(
                nb="Mottakers EPJ avviser: ukjent pasient (E35)", en="The receiver's EPJ rejects: no such patient (E35)"
            ),
            _head(_REQUEST, FJORDVIK, DALBYGDA, people.STRANGER, new_id(), now),
            _asked(Dialogue.V1_0, "Hjelpemidler", "Har Øystein fått rullator hos dere?"),
            rule=Rule(status="Rejected", codes=("E35",), details="Øystein Fjærvik er ikke i journalen vår"),
        ),
        _case(
            "receipt-withheld",
            Text(nb="Kvitteringen kommer først når den etterlyses", en="The receipt comes only when it is asked for"),
            _head(_CLINICAL, DALBYGDA, FJORDVIK, people.KARE, new_id(), now),
            _told(Dialogue.V1_1, "Avlastning", "Kåre har fått plass på avlastning fra uke 49."),
            rule=Rule(withhold=True),
        ),
        _case(
            "partner-down",
            Text(nb="Mottakers megler er nede en stund", en="The receiver's broker is down for a while"),
            _head(_CLINICAL, FJORDVIK, DALBYGDA, people.AASE, new_id(), now),
            _told(Dialogue.V1_1, "Utstyr", "Bandasjene er sendt med bud i dag."),
            while_down=True,
        ),
        _case(
            "refused-at-the-door",
            Text(nb="Egen kontroll avviser: feil i fødselsnummer", en="Our own checks refuse it: a slip in the number"),
            _head(_REQUEST, FJORDVIK, DALBYGDA, slip, new_id(), now),
            _asked(Dialogue.V1_0, "Overtakelse av pleie", "Samme spørsmål, men med tastefeil i nummeret."),
            refused=True,
        ),
    )


def _case(
    name: str,
    title: Text,
    head: Head,
    business: str,
    *,
    companions: tuple[str, ...] = (),
    attachments: tuple[Attachment, ...] = (),
    encoding: str = "UTF-8",
    rule: Rule = AT_ONCE,
    answers: str | None = None,
    while_down: bool = False,
    refused: bool = False,
) -> Case:
    content = document(
        head, business, title=title.nb, companions=companions, attachments=attachments, encoding=encoding
    )
    sites = {unit.her: site for site, unit in UNITS.items()}
    return Case(
        name=name,
        title=title,
        sender=sites[head.sender.her],
        receiver=sites[head.receiver.her],
        msg_id=head.msg_id,
        content=content,
        rule=rule,
        answers=answers,
        while_down=while_down,
        refused=refused,
    )


def _head(
    kind: Code,
    sender: str,
    receiver: str,
    patient: Person,
    msg_id: str,
    now: datetime,
    conversation: Conversation | None = None,
) -> Head:
    return Head(
        type=kind,
        msg_id=msg_id,
        made_at=now,
        sender=UNITS[sender],
        receiver=UNITS[receiver],
        patient=patient,
        conversation=conversation,
    )


def _asked(dialogue: Dialogue, subject: str, text: str) -> str:
    return question(dialogue, _ANY_REQUEST, subject=subject, text=text, author=people.NURSE)


def _told(dialogue: Dialogue, subject: str, text: str) -> str:
    return note(dialogue, _ABOUT_PATIENT, subject=subject, text=text, author=people.NURSE)
