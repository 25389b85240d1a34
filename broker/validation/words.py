"""What we say of each rule, in bokmål and English: the only place where a rule gets its words and its AppRec code.

`{names}` in the sentences are filled by `sentences`. A rule that only warns stops nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.message import Text
from broker.validation.faults import FaultKind


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of one rule: why, and what to do."""

    reason: Text
    hint: Text
    apprec: str  # of list 8221; a fault may bring its own
    warning: bool


def _words(nb: str, en: str, hint_nb: str, hint_en: str, apprec: str = "T02", *, warning: bool = False) -> Words:
    return Words(Text(nb=nb, en=en), Text(nb=hint_nb, en=hint_en), apprec, warning)


_BY_SCHEMA = (
    "Rett dokumentet etter skjemaet og send det på nytt.",
    "Make the document follow the schema and post it again.",
)

RULES: Mapping[str, Words] = {
    # --- the schemas ---
    f"xsd.{FaultKind.UNKNOWN_ROOT}": _words(
        "Dokumentet starter ikke med {expected}.",
        "The document does not start with {expected}.",
        "Send en MsgHead 1.2 eller en AppRec 1.0 eller 1.1, med riktig navnerom.",
        "Send a MsgHead 1.2 or an AppRec 1.0 or 1.1, in its namespace.",
        "T10",
    ),
    f"xsd.{FaultKind.NO_SCHEMA}": _words(
        "Her står et element som vi ikke har skjema for.",
        "An element stands here that we have no schema for.",
        "Se etter skrivefeil i navn og navnerom; et følgedokument må være tillatt av prosessen.",
        "Look for a misspelt name or namespace; a companion document must be allowed by the process.",
    ),
    f"xsd.{FaultKind.MISSING_ELEMENT}": _words(
        "{element} mangler {expected}.", "{element} lacks {expected}.", "Legg til {expected}.", "Add {expected}."
    ),
    f"xsd.{FaultKind.UNEXPECTED_ELEMENT}": _words(
        "{element} kan ikke stå her. Her kan stå: {expected}.",
        "{element} may not stand here. Here may stand: {expected}.",
        "Se på rekkefølgen og navnerommet.",
        "Look at the order and the namespace.",
    ),
    f"xsd.{FaultKind.TOO_MANY_ELEMENTS}": _words(
        "{element} står mer enn {limit} gang(er).",
        "{element} stands more than {limit} time(s).",
        "Fjern de overflødige.",
        "Remove what is too much.",
    ),
    f"xsd.{FaultKind.UNEXPECTED_TEXT}": _words(
        "Det står tekst i {element}, der bare elementer kan stå.",
        "There is text in {element}, where only elements may stand.",
        "Flytt eller fjern teksten.",
        "Move or remove the text.",
    ),
    f"xsd.{FaultKind.MISSING_ATTRIBUTE}": _words(
        "{element} mangler attributtet {attribute}.",
        "{element} lacks the attribute {attribute}.",
        "Legg til {attribute}.",
        "Add {attribute}.",
    ),
    f"xsd.{FaultKind.UNEXPECTED_ATTRIBUTE}": _words(
        "{element} har et attributt som ikke kan stå der.",
        "{element} has an attribute that may not stand there.",
        "Fjern attributtet, eller se etter skrivefeil i navnet.",
        "Remove the attribute, or look for a misspelt name.",
    ),
    f"xsd.{FaultKind.BAD_VALUE}": _words(
        "Verdien i {where} er ikke gyldig: den skal være {form}.",
        "The value of {where} is not valid: it must be {form}.",
        "Skriv en verdi som er {form}.",
        "Write a value that is {form}.",
    ),
    f"xsd.{FaultKind.FIXED_VALUE}": _words(
        "Verdien i {where} skal være nøyaktig «{limit}».",
        "The value of {where} must be exactly “{limit}”.",
        "Skriv «{limit}».",
        "Write “{limit}”.",
    ),
    f"xsd.{FaultKind.DUPLICATE_ID}": _words(
        "Verdien i {where} er brukt som id et annet sted i dokumentet.",
        "The value of {where} is used as an id elsewhere in the document.",
        "Gi hvert element sin egen id.",
        "Give each element an id of its own.",
    ),
    f"xsd.{FaultKind.OTHER}": _words(
        "{element} følger ikke skjemaet.", "{element} does not follow the schema.", *_BY_SCHEMA
    ),
    f"xsd.{FaultKind.MORE_FAULTS}": _words(
        "Det er flere feil enn de {limit} som står her.",
        "There are more faults than the {limit} that are listed.",
        "Rett disse først; resten kommer ved neste forsøk.",
        "Mend these first; the rest will show at the next try.",
    ),
    f"xsd.{FaultKind.TOO_LARGE_TO_EXPLAIN}": _words(
        "Dokumentet er større enn {limit} byte uten vedlegg: bare de første feilene er forklart.",
        "The document is larger than {limit} bytes without attachments: only the first faults are explained.",
        "Rett disse først; resten kommer ved neste forsøk.",
        "Mend these first; the rest will show at the next try.",
    ),
    # --- what it is ---
    "document.not-xml": _words(
        "Dokumentet kan ikke leses som XML ({why}).",
        "The document cannot be read as XML ({why}).",
        "Send velformet XML 1.0 i UTF-8 eller ISO-8859-1, uten DOCTYPE.",
        "Send well-formed XML 1.0 in UTF-8 or ISO-8859-1, without a DOCTYPE.",
        "T01",
    ),
    "document.signature": _words(
        "Dokumentets egen signatur holder ikke.",
        "The document's own signature does not hold.",
        "Signer på nytt etter siste endring, eller send dokumentet uten egen signatur.",
        "Sign again after the last change, or send the document without a signature of its own.",
        "S01",
    ),
    "document.root": _words(
        "Dokumentet er verken MsgHead 1.2 eller AppRec 1.0 eller 1.1.",
        "The document is neither MsgHead 1.2 nor AppRec 1.0 or 1.1.",
        "Se på navnet og navnerommet til rotelementet.",
        "Look at the name and the namespace of the document element.",
        "T10",
    ),
    "type.type": _words(
        "Meldingstypen (MsgInfo/Type) er ikke blant dem vi tar imot.",
        "The message type (MsgInfo/Type) is none that we take.",
        "Vi tar imot {known}.",
        "We take {known}.",
        "T10",
    ),
    "type.dialogue": _words(
        "Det første dokumentet er ikke av den versjonen som hører til meldingstypen.",
        "The first document is not of the version that goes with the message type.",
        "Legg dialogmeldingen i første Document, i versjonen som prosessen sier.",
        "Put the Dialogmelding into the first Document, in the version that the process says.",
        "T10",
    ),
    "type.sender": _words(
        "Denne meldingen sendes ikke av en slik avsender.",
        "Such a party does not send this message.",
        "Se på meldingstypen, og på hva avsenderen er registrert som i adressene.",
        "Look at the message type, and at what the sender is registered as in the addresses.",
        "T10",
    ),
    "type.content": _words(
        "Dialogmeldingen har ikke innholdet som prosessen vil ha: Foresporsel eller Notat.",
        "The Dialogmelding lacks the content that the process wants: Foresporsel or Notat.",
        "Et spørsmål er Foresporsel, et svar er Notat.",
        "A question is a Foresporsel, an answer a Notat.",
        "T10",
    ),
    "type.code": _words(
        "Koden i TypeForesp eller TemaKodet hører ikke til noen funksjon i prosessen.",
        "The code in TypeForesp or TemaKodet belongs to no function of the process.",
        "Bruk en av kodene som prosessen nevner.",
        "Use one of the codes that the process names.",
        "T10",
    ),
    "type.synchronous": _words(
        "Dette er et synkront oppslag, som vi ikke formidler.",
        "This is a synchronous lookup, which we do not carry.",
        "Bruk den synkrone forbindelsen til mottakeren.",
        "Use the synchronous connection to the receiver.",
        "T10",
    ),
    # --- the head ---
    "head.missing": _words(
        "{element} mangler eller er tomt.", "{element} is missing or empty.", "Fyll ut {element}.", "Fill in {element}."
    ),
    "head.repeated": _words(
        "{element} står mer enn én gang.", "{element} stands more than once.", "Behold ett.", "Keep one of them."
    ),
    "head.msg-id": _words(
        "MsgId er for lang eller har kontrolltegn.",
        "MsgId is too long or holds control characters.",
        "Bruk en ny UUID for hvert dokument; høyst {limit} tegn.",
        "Use a new UUID for each document; at most {limit} characters.",
        "E10",
    ),
    "head.her-missing": _words(
        "Parten har ingen HER-id.",
        "The party has no HER-id.",
        'Sett Ident med TypeId V="HER" på virksomheten og på tjenesten eller helsepersonellet i den.',
        'Put an Ident with TypeId V="HER" on the organisation and on the service or professional within it.',
    ),
    "head.her-form": _words(
        "HER-id er ikke et positivt heltall under 2147483648.",
        "The HER-id is not a positive integer below 2147483648.",
        "Slå opp HER-id i Adresseregisteret.",
        "Look the HER-id up in the address registry.",
    ),
    "head.her-ambiguous": _words(
        "Enheten har flere ulike HER-id-er.",
        "The unit has several different HER-ids.",
        "La hver enhet ha én Ident av typen HER.",
        "Let each unit have one Ident of type HER.",
    ),
    # --- the rules ---
    "party.level": _words(
        "{element} mangler HER-id på nivå {level}.",
        "{element} has no HER-id on level {level}.",
        "Nivå 1 er virksomheten (ytre Organisation), nivå 2 enheten eller helsepersonellet i den; begge skal ha den.",
        "Level 1 is the enterprise (outer Organisation), level 2 the unit or professional in it; both need one.",
    ),
    "party.code-list": _words(
        "TypeId for HER-id viser ikke til riktig kodeverk.",
        "The TypeId of a HER-id does not name the right code list.",
        "Sett S til 2.16.578.1.12.4.1.1.{list}.",
        "Set S to 2.16.578.1.12.4.1.1.{list}.",
    ),
    "party.same": _words(
        "Avsender og mottaker er samme part.",
        "Sender and receiver are the same party.",
        "Se på HER-id i Receiver.",
        "Look at the HER-id in Receiver.",
    ),
    "party.copy": _words(
        "En kopimottaker (OtherReceiver) har ingen HER-id og får ikke meldingen fra oss.",
        "A copy receiver (OtherReceiver) has no HER-id and does not get the message from us.",
        "Sett HER-id på kopimottakeren om den skal ha meldingen elektronisk.",
        "Put a HER-id on the copy receiver if it shall have the message electronically.",
        warning=True,
    ),
    "receiver.unknown": _words(
        "Mottakerens HER-id finnes ikke i adresseregisteret.",
        "The receiver's HER-id is not in the address registry.",
        "Slå opp mottakeren i Adresseregisteret; tjenesten kan ha fått ny HER-id.",
        "Look the receiver up in the address registry; the service may have got a new HER-id.",
        "E21",
    ),
    "code.list": _words(
        "{element} bruker et kodeverk som ikke hører til her.",
        "{element} uses a code list that does not belong here.",
        "S skal være 2.16.578.1.12.4.1.1. og så en av: {lists}.",
        "S must be 2.16.578.1.12.4.1.1. and then one of: {lists}.",
    ),
    "code.unknown": _words(
        "Koden i {element} finnes ikke i kodeverk {list}, så vidt vi kjenner det.",
        "The code in {element} is not in code list {list} as we know it.",
        "Se etter skrivefeil; meldingen stanses ikke av dette.",
        "Look for a misspelt code; the message is not stopped by this.",
        warning=True,
    ),
    "patient.missing": _words(
        "MsgInfo/Patient mangler.",
        "MsgInfo/Patient is missing.",
        "Prosessen krever at meldingen sier hvem den gjelder.",
        "The process demands that the message says whom it concerns.",
        "E36",
    ),
    "patient.no-id": _words(
        "Pasienten har ingen id fra kodeverk 8116.",
        "The patient has no id of code list 8116.",
        "Sett Ident med fødselsnummer (FNR), D-nummer (DNR) eller annen id fra 8116.",
        "Put an Ident with fødselsnummer (FNR), D-number (DNR) or another id of 8116.",
        "E30",
    ),
    "number.impossible": _words(
        "Et fødselsnummer eller D-nummer har feil kontrollsiffer eller en umulig dato.",
        "A fødselsnummer or D-number has wrong check digits or an impossible date.",
        "Se etter tastefeil.",
        "Look for a typing error.",
    ),
    "number.synthetic": _words(
        "Et fødselsnummer eller D-nummer er syntetisk, og dette er produksjon.",
        "A fødselsnummer or D-number is synthetic, and this is production.",
        "Send testmeldinger til testmiljøet.",
        "Send test messages to the test environment.",
        "T10",
    ),
    "number.real": _words(
        "Et fødselsnummer eller D-nummer er ikke syntetisk, og dette er test.",
        "A fødselsnummer or D-number is not synthetic, and this is a test environment.",
        "Bruk syntetiske personer i test (80, 65 eller 40 lagt til måneden).",
        "Use synthetic persons in tests (80, 65 or 40 added to the month).",
        "T10",
    ),
    "environment.test-marked": _words(
        "Meldingen er merket som test (ProcessingStatus), og dette er produksjon.",
        "The message is marked as a test (ProcessingStatus), and this is production.",
        "Send testmeldinger til testmiljøet.",
        "Send test messages to the test environment.",
        "T10",
    ),
    "environment.production-marked": _words(
        "Meldingen er merket som produksjon (ProcessingStatus), og dette er test.",
        "The message is marked as production (ProcessingStatus), and this is a test environment.",
        "Send den til produksjon, eller merk den som test.",
        "Send it to production, or mark it as a test.",
        "T10",
    ),
    "ack.value": _words(
        "Prosessen tillater ikke denne verdien, eller fraværet, av Ack.",
        "The process does not allow this value, or absence, of Ack.",
        "Prosessen tillater: {allowed}.",
        "The process allows: {allowed}.",
    ),
    "ack.absent": _words(
        "Ack mangler: ingen applikasjonskvittering ventes, og ingen vil merke om den uteblir.",
        "Ack is missing: no application receipt will be awaited, and nobody will notice that none comes.",
        'Sett Ack V="J" om du vil ha kvittering.',
        'Set Ack V="J" if you want a receipt.',
        warning=True,
    ),
    "conversation.first": _words(
        "ConversationRef kan ikke stå i den første meldingen i en samtale.",
        "ConversationRef may not stand in the first message of a conversation.",
        "Fjern ConversationRef.",
        "Remove ConversationRef.",
    ),
    "conversation.own": _words(
        "ConversationRef viser til meldingen selv.",
        "ConversationRef names the message itself.",
        "Den første meldingen i en samtale har ingen ConversationRef; et svar viser til meldingen det svarer på.",
        "The first message of a conversation has no ConversationRef; an answer names the message that it answers.",
    ),
    "conversation.required": _words(
        "Et svar må ha ConversationRef.",
        "An answer must have ConversationRef.",
        "RefToParent er MsgId for meldingen det svares på, RefToConversation MsgId for den første i samtalen.",
        "RefToParent is the MsgId of the message answered, RefToConversation that of the first in the conversation.",
    ),
    "content.single": _words(
        "Content skal ha nøyaktig ett element.",
        "Content must hold exactly one element.",
        "Legg hvert dokument i sitt eget Document.",
        "Put each document into a Document of its own.",
    ),
    "content.first": _words(
        "Det første dokumentet er ikke merket som XML i MsgType.",
        "The first document is not marked XML in MsgType.",
        'Sett MsgType V="XML" på dialogmeldingen, og legg vedlegg etter den.',
        'Set MsgType V="XML" on the Dialogmelding, and put attachments after it.',
    ),
    "companion.unlisted": _words(
        "Et følgedokument er ikke blant dem som prosessen tar med.",
        "A companion document is none that the process carries.",
        "Funksjonen {function} tar: {allowed}.",
        "The function {function} takes: {allowed}.",
    ),
    "companion.missing": _words(
        "Følgedokumentet {companion} mangler.",
        "The companion document {companion} is missing.",
        "Legg det i et Document etter dialogmeldingen.",
        "Put it into a Document after the Dialogmelding.",
    ),
    "attachment.type": _words(
        "Vedlegget mangler MimeType, eller har en som prosessen ikke tillater.",
        "The attachment has no MimeType, or one that the process does not allow.",
        "Tillatt er: {allowed}.",
        "Allowed are: {allowed}.",
    ),
    "attachment.none": _words(
        "Denne meldingen kan ikke ha vedlegg.",
        "This message may have no attachment.",
        "Send vedlegget i en melding som tillater det.",
        "Send the attachment in a message that allows it.",
    ),
    "representation.person": _words(
        "Pasientrelasjon sier ikke hvem som opptrer på vegne av pasienten.",
        "Pasientrelasjon does not say who acts on behalf of the patient.",
        "Sett Person med Ident i Pasientrelasjon.",
        "Put a Person with an Ident into Pasientrelasjon.",
        "E36",
    ),
    "representation.relation": _words(
        "Pasientrelasjon har ingen Relasjon.",
        "Pasientrelasjon has no Relasjon.",
        "Sett Relasjon med kode fra 7611.",
        "Put a Relasjon with a code of list 7611.",
        "E36",
    ),
    "appointment.none": _words(
        "Kalenderen har ingen avtale (vevent).",
        "The calendar has no appointment (vevent).",
        "Legg inn minst én vevent.",
        "Put in at least one vevent.",
    ),
    "appointment.incomplete": _words(
        "En avtale (vevent) mangler {missing}.",
        "An appointment (vevent) lacks {missing}.",
        "uid, dtstart og dtend må stå i properties.",
        "uid, dtstart and dtend must stand in properties.",
    ),
    "date.future": _words(
        "GenDate er mer enn et døgn fram i tid.",
        "GenDate is more than a day ahead.",
        "Se på klokken i systemet som laget meldingen.",
        "Look at the clock of the system that made the message.",
        warning=True,
    ),
    # --- AppRec ---
    "apprec.unreadable": _words(
        "Applikasjonskvitteringen mangler Id, Status eller OriginalMsgId, eller har ukjent Status.",
        "The application receipt lacks its Id, Status or OriginalMsgId, or has an unknown Status.",
        "Status er 1, 2 eller 3; OriginalMsgId/Id er MsgId for meldingen det kvitteres for.",
        "Status is 1, 2 or 3; OriginalMsgId/Id is the MsgId of the message that is receipted.",
    ),
    "apprec.party": _words(
        "{element} har ingen HER-id.",
        "{element} has no HER-id.",
        'Sett Id med TypeId V="HER" på Inst, og på Dept eller HCPerson.',
        'Put an Id with TypeId V="HER" on Inst, and on Dept or HCPerson.',
    ),
    "apprec.no-error": _words(
        "Kvitteringen avviser uten å si hvorfor: Error mangler.",
        "The receipt rejects without saying why: Error is missing.",
        "Legg inn minst én Error med kode fra 8221.",
        "Put in at least one Error with a code of list 8221.",
        warning=True,
    ),
    "apprec.unmatched": _words(
        "Ingen mottatt melding venter på denne kvitteringen.",
        "No message that came in waits for this receipt.",
        "OriginalMsgId/Id skal være MsgId for en melding i innboksen, og avsenderen den som mottok den.",
        "OriginalMsgId/Id must be the MsgId of a message in the inbox, and the sender its receiver.",
        "E10",
    ),
    # --- the EPJ's verdict ---
    "verdict.no-error": _words(
        "En avvisning må si hvorfor: appRecErrorList er tom.",
        "A rejection must say why: appRecErrorList is empty.",
        "Oppgi minst én errorCode fra kodeverk 8221.",
        "Give at least one errorCode of code list 8221.",
    ),
    "verdict.error-on-approval": _words(
        "En godkjenning kan ikke ha feil.",
        "An approval cannot carry errors.",
        "Bruk Rejected eller OkErrorInMessagePart, eller la appRecErrorList være tom.",
        "Use Rejected or OkErrorInMessagePart, or leave appRecErrorList empty.",
    ),
    "verdict.unknown-code": _words(
        "En errorCode står ikke i kodeverk 8221.",
        "An errorCode is not in code list 8221.",
        "Bruk en kode fra kodeverk 8221, og legg fritekst i details.",
        "Use a code of list 8221, and put free text into details.",
    ),
}
