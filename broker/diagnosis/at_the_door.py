"""The words for what is refused at the EPJ's door, and for what stands in the address records (MB-1xxx, MB-2xxx)."""

from typing import Final

from broker.diagnosis.causes import (
    AGREEMENT_DIFFERS,
    AGREEMENT_NOT_IN_FORCE,
    BAD_REQUEST,
    DOCUMENT_REFUSED,
    HER_ID_NOT_PERMITTED,
    KEY_REUSED,
    MALFORMED_XML,
    METHOD_NOT_ALLOWED,
    MSG_ID_TAKEN,
    NO_AGREEMENT,
    NO_ENDPOINT,
    NOT_AUTHENTICATED,
    NOT_FOUND,
    OTHER_VERDICT,
    PARTNER_EXPIRED,
    PARTNER_EXPIRES_SOON,
    PARTNER_NO_CERTIFICATE,
    PARTNER_NOT_TRUSTED,
    PARTNER_NOT_YET_VALID,
    PARTNER_REVOKED,
    PARTNER_WRONG_USAGE,
    PARTY_CLOSED,
    PROCESS_GONE,
    PROCESS_NOT_RECEIVED,
    RECEIVER_UNKNOWN,
    REGISTRY_UNAVAILABLE,
    REVOCATION_UNKNOWN,
    TOO_LARGE,
    TOO_SLOW,
    UNSUPPORTED_TYPE,
    VERDICT_REFUSED,
    WRONG_MEDIA_TYPE,
    cause,
)
from broker.message import Ball

DOOR: Final = (
    cause(
        MALFORMED_XML,
        "malformed-xml",
        Ball.EPJ,
        "dokumentet er ikke lesbar XML",
        "the document is not readable XML",
        act=("Rett dokumentet og send det på nytt.", "Correct the document and post it again."),
    ),
    cause(
        DOCUMENT_REFUSED,
        "document-refused",
        Ball.EPJ,
        "dokumentet følger ikke standarden eller prosessen",
        "the document breaks the standard or the process",
        act=(
            "Rett alle feilene i listen og send dokumentet på nytt; samme MsgId kan brukes.",
            "Correct every fault in the list and post the document again; the MsgId may be used again.",
        ),
    ),
    cause(
        UNSUPPORTED_TYPE,
        "unsupported-message-type",
        Ball.EPJ,
        "meldingstypen støttes ikke",
        "the message type is not supported",
        act=(
            "Send en meldingstype som prosessene her dekker, eller be om at prosessen legges til.",
            "Send a message type that the processes here cover, or ask for the process to be added.",
        ),
    ),
    cause(
        TOO_LARGE,
        "too-large",
        Ball.EPJ,
        "dokumentet er for stort",
        "the document is too large",
        act=("Gjør vedleggene mindre og send på nytt.", "Make the attachments smaller and post again."),
    ),
    cause(
        WRONG_MEDIA_TYPE,
        "wrong-media-type",
        Ball.EPJ,
        "innholdstypen eller kodingen kan ikke tas imot",
        "the content type or coding cannot be taken",
        act=(
            "Send kroppen ukomprimert, med den Content-Type som ressursen krever.",
            "Send the body uncompressed, with the Content-Type that the resource requires.",
        ),
    ),
    cause(
        BAD_REQUEST,
        "bad-request",
        Ball.EPJ,
        "forespørselen kan ikke forstås",
        "the request cannot be understood",
        act=("Rett forespørselen etter API-beskrivelsen.", "Correct the request as the API description says."),
    ),
    cause(
        NOT_FOUND,
        "not-found",
        Ball.EPJ,
        "finnes ikke",
        "there is no such thing",
        act=(
            "Kontroller id-en, og at klientens token hører til riktig HER-id.",
            "Check the id, and that the client's token belongs to the right HER-id.",
        ),
    ),
    cause(
        METHOD_NOT_ALLOWED,
        "method-not-allowed",
        Ball.EPJ,
        "metoden er ikke tillatt her",
        "the method is not allowed here",
        act=("Bruk en av metodene i Allow.", "Use one of the methods in Allow."),
    ),
    cause(
        TOO_SLOW,
        "too-slow",
        Ball.EPJ,
        "forespørselen kom for langsomt",
        "the request came too slowly",
        act=("Send på nytt; ingenting er tatt imot.", "Post again; nothing was taken."),
    ),
    cause(
        NOT_AUTHENTICATED,
        "not-authenticated",
        Ball.EPJ,
        "gyldig token eller klientsertifikat mangler",
        "a valid token or client certificate is missing",
        act=(
            "Send et gyldig token i Authorization: Bearer, eller vis et klientsertifikat som er ført opp.",
            "Send a valid token in Authorization: Bearer, or show a client certificate that is listed.",
        ),
    ),
    cause(
        KEY_REUSED,
        "idempotency-key-reused",
        Ball.EPJ,
        "et annet dokument er allerede tatt imot under denne Idempotency-Key",
        "another document has already been taken under this Idempotency-Key",
        act=(
            "Gi hvert dokument sin egen Idempotency-Key; for å gjenta, send nøyaktig de samme bytene.",
            "Give each document an Idempotency-Key of its own; to repeat, post exactly the same bytes.",
        ),
    ),
    cause(
        MSG_ID_TAKEN,
        "msg-id-taken",
        Ball.EPJ,
        "et annet dokument er allerede tatt imot under denne MsgId",
        "another document has already been taken under this MsgId",
        act=(
            "Gi dokumentet en ny MsgId, eller send nøyaktig de samme bytene som første gang.",
            "Give the document a new MsgId, or post exactly the same bytes as the first time.",
        ),
    ),
    cause(
        OTHER_VERDICT,
        "other-verdict",
        Ball.EPJ,
        "meldingen kan ikke få denne kvitteringen nå",
        "the message cannot be given this receipt now",
        act=(
            "En kvittering er allerede gitt, eller ingen skal gis; den første står. Ring avsenderen om den var feil.",
            "A receipt was given already, or none is owed; the first stands. Call the sender if it was wrong.",
        ),
    ),
    cause(
        VERDICT_REFUSED,
        "verdict-refused",
        Ball.EPJ,
        "kvitteringen er ikke gyldig",
        "the receipt is not valid",
        act=(
            "Oppgi status og, for et avslag, minst én kode fra kodeverk 8221.",
            "Give a status and, for a rejection, at least one code of list 8221.",
        ),
    ),
    cause(
        HER_ID_NOT_PERMITTED,
        "her-id-not-permitted",
        Ball.EPJ,
        "tokenet er ikke knyttet til denne HER-id-en",
        "the token is not bound to this HER-id",
        act=(
            "Bruk tokenet til den parten, eller be om at HER-id-en knyttes til klienten.",
            "Use that party's token, or ask for the HER-id to be bound to the client.",
        ),
    ),
)

ADDRESS: Final = (
    cause(
        RECEIVER_UNKNOWN,
        "receiver-unknown",
        Ball.EPJ,
        "mottakerens HER-id er ukjent",
        "the receiver's HER-id is not known",
        act=("Slå opp mottakeren på nytt i adresseregisteret.", "Look the receiver up again in the address registry."),
    ),
    cause(
        NO_AGREEMENT,
        "no-agreement",
        Ball.PERSON,
        "ingen samhandlingsavtale med mottakeren",
        "no agreement with the receiver",
        act=(
            "Legg avtalen med mottakeren inn i adresseposten; meldingen går da av seg selv.",
            "Put the agreement with the receiver into the address record; the message then goes by itself.",
        ),
    ),
    cause(
        PARTNER_EXPIRED,
        "partner-certificate-expired",
        Ball.PERSON,
        "mottakerens sertifikat er utløpt",
        "the receiver's certificate has expired",
        act=(
            "Hent mottakerens nye sertifikat, eller be dem om det.",
            "Fetch the receiver's new certificate, or ask them for it.",
        ),
    ),
    cause(
        REGISTRY_UNAVAILABLE,
        "registry-unavailable",
        Ball.US,
        "adresseregisteret svarer ikke",
        "the address registry does not answer",
        act=(
            "Se etter registeret eller adressefilene; meldingen går når de kan leses.",
            "Look to the registry or the address files; the message goes when they can be read.",
        ),
    ),
    cause(
        PARTNER_NOT_YET_VALID,
        "partner-certificate-not-yet-valid",
        Ball.PERSON,
        "mottakerens sertifikat gjelder ikke ennå",
        "the receiver's certificate is not valid yet",
        act=(
            "Kontroller klokken her, og be mottakeren om et sertifikat som gjelder nå.",
            "Check the clock here, and ask the receiver for a certificate that is valid now.",
        ),
    ),
    cause(
        PARTNER_WRONG_USAGE,
        "partner-certificate-wrong-usage",
        Ball.PERSON,
        "mottakerens sertifikat er ikke til kryptering",
        "the receiver's certificate is not for encryption",
        act=(
            "Legg inn mottakerens krypteringssertifikat; signeringssertifikatet kan ikke brukes til dette.",
            "Put in the receiver's encryption certificate; the signing one cannot be used for this.",
        ),
    ),
    cause(
        PARTNER_NO_CERTIFICATE,
        "partner-certificate-missing",
        Ball.PERSON,
        "mottakeren har ikke noe sertifikat i adresseposten",
        "the receiver has no certificate in the address record",
        act=(
            "Legg inn mottakerens krypteringssertifikat, hos parten selv eller hos virksomheten.",
            "Put in the receiver's encryption certificate, at the party itself or at its organisation.",
        ),
    ),
    cause(
        NO_ENDPOINT,
        "no-endpoint",
        Ball.PERSON,
        "mottakeren har ingen brukbar adresse for ebMS",
        "the receiver has no usable ebMS address",
        act=(
            "Legg inn endpoint (http- eller https-adresse) i mottakerens adressepost.",
            "Put endpoint (an http or https address) into the receiver's address record.",
        ),
    ),
    cause(
        PARTY_CLOSED,
        "party-closed",
        Ball.PERSON,
        "mottakeren er ikke lenger aktiv",
        "the receiver is no longer active",
        act=(
            "Finn ut hvem som har overtatt, og la fagsystemet sende dit.",
            "Find out who has taken over, and let the EPJ send there.",
        ),
    ),
    cause(
        PROCESS_NOT_RECEIVED,
        "process-not-received",
        Ball.PERSON,
        "mottakeren tar ikke imot denne meldingstypen",
        "the receiver does not take this kind of message",
        act=(
            "Kontroller hva mottakeren er satt opp til å ta imot; send ellers på en annen måte.",
            "Check what the receiver is set up to take; else send it another way.",
        ),
    ),
    cause(
        PROCESS_GONE,
        "process-gone",
        Ball.PERSON,
        "prosessfilen som meldingen gikk etter, finnes ikke lenger",
        "the process file that the message went by is there no more",
        act=(
            "Legg prosessfilen tilbake; leveringen går da videre av seg selv.",
            "Put the process file back; the delivery then goes on by itself.",
        ),
    ),
    cause(
        PARTNER_EXPIRES_SOON,
        "partner-certificate-expires-soon",
        Ball.PERSON,
        "en motparts sertifikat utløper snart",
        "a partner's certificate expires soon",
        act=(
            "Be motparten om det nye sertifikatet, og legg det inn ved siden av det gamle.",
            "Ask the partner for the new certificate, and put it in beside the old one.",
        ),
    ),
    cause(
        PARTNER_NOT_TRUSTED,
        "partner-certificate-not-trusted",
        Ball.PERSON,
        "motpartens sertifikat fører ikke til noen rot vi stoler på, eller nevner ikke virksomheten",
        "the partner's certificate leads to no root that we trust, or does not name the organisation",
        act=(
            "Kjør broker addresses check: den sier hva som mangler; legg inn roten, mellomsertifikatet eller riktig "
            "organisasjonsnummer.",
            "Run broker addresses check: it says what is missing; put in the root, the intermediate certificate or the "
            "right organisation number.",
        ),
    ),
    cause(
        PARTNER_REVOKED,
        "partner-certificate-revoked",
        Ball.PERSON,
        "motpartens krypteringssertifikat er trukket tilbake",
        "the partner's encryption certificate is revoked",
        act=(
            "Ring motparten: nøkkelen kan være på avveie. Legg det nye sertifikatet deres inn i adresseposten, og ta "
            "det gamle ut.",
            "Call the partner: the key may be in wrong hands. Put their new certificate into the record, and take the "
            "old one out.",
        ),
    ),
    cause(
        REVOCATION_UNKNOWN,
        "revocation-unknown",
        Ball.PERSON,
        "tjenesten som sier om sertifikater er trukket tilbake, svarer ikke",
        "the service that says whether certificates are revoked does not answer",
        act=(
            "Ingenting er tapt: det går videre av seg selv når tjenesten svarer. Varer det, kjør broker check, og se "
            "på brannmuren og trust.revocation_hosts.",
            "Nothing is lost: it goes on by itself when the service answers. If it lasts, run broker check, and look "
            "at the firewall and trust.revocation_hosts.",
        ),
    ),
    cause(
        AGREEMENT_DIFFERS,
        "agreement-differs",
        Ball.PERSON,
        "den importerte avtalen og adressepostene sier ikke det samme",
        "the imported agreement and the address records do not say the same",
        act=(
            "Se forskjellene med broker agreements show, og rett adresseposten eller avtalen; "
            "meldingen går da av seg selv.",
            "See the differences by broker agreements show, and mend the record or the agreement; "
            "the message then goes by itself.",
        ),
    ),
    cause(
        AGREEMENT_NOT_IN_FORCE,
        "agreement-not-in-force",
        Ball.PERSON,
        "avtalen med mottakeren gjelder ikke nå",
        "the agreement with the receiver is not in force now",
        act=(
            "Be mottakeren om en ny avtale, og ta den i bruk med broker agreements import FIL --take.",
            "Ask the receiver for a new agreement, and take it into use by broker agreements import FILE --take.",
        ),
    ),
)
