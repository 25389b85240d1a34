"""The catalogue of error ids: the cause in words, who has the ball, what to do. An id is never given a new meaning.

`name` is a phrase that can stand in the middle of a sentence or alone as a title; `act` is a whole sentence.
1xxx the door to the EPJ, 2xxx address and agreement, 32xx transport, 33xx the partner's MessageError, 34xx the
application receipt, 4xxx our own keys, 5xxx the EPJ, 6xxx what we keep, 9xxx ourselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.message import Ball, Text

MALFORMED_XML: Final = "MB-1001"
DOCUMENT_REFUSED: Final = "MB-1002"
UNSUPPORTED_TYPE: Final = "MB-1003"
TOO_LARGE: Final = "MB-1004"
WRONG_MEDIA_TYPE: Final = "MB-1006"
BAD_REQUEST: Final = "MB-1007"
NOT_FOUND: Final = "MB-1008"
METHOD_NOT_ALLOWED: Final = "MB-1009"
TOO_SLOW: Final = "MB-1010"
NOT_AUTHENTICATED: Final = "MB-1011"
MSG_ID_TAKEN: Final = "MB-1104"
OTHER_VERDICT: Final = "MB-1105"
VERDICT_REFUSED: Final = "MB-1106"
HER_ID_NOT_PERMITTED: Final = "MB-1201"

RECEIVER_UNKNOWN: Final = "MB-2001"
NO_AGREEMENT: Final = "MB-2002"
PARTNER_EXPIRED: Final = "MB-2003"
REGISTRY_UNAVAILABLE: Final = "MB-2004"
PARTNER_NOT_YET_VALID: Final = "MB-2005"
PARTNER_WRONG_USAGE: Final = "MB-2006"
PARTNER_NO_CERTIFICATE: Final = "MB-2007"
NO_ENDPOINT: Final = "MB-2008"
PARTY_CLOSED: Final = "MB-2009"
PROCESS_NOT_RECEIVED: Final = "MB-2010"
PROCESS_GONE: Final = "MB-2011"

DNS_FAILED: Final = "MB-3201"
NOT_REACHED: Final = "MB-3202"
TLS_FAILED: Final = "MB-3203"
TIMED_OUT_BEFORE: Final = "MB-3204"
TIMED_OUT_AFTER: Final = "MB-3205"
ACKNOWLEDGMENT_AWAITED: Final = "MB-3206"
SERVER_ERROR: Final = "MB-3210"
ASKED_TO_WAIT: Final = "MB-3211"
HTTP_REFUSED: Final = "MB-3212"
NO_SIGNAL: Final = "MB-3213"
ACKNOWLEDGMENT_NOT_TRUSTED: Final = "MB-3214"
LANE_CLOSED: Final = "MB-3215"
GAVE_UP: Final = "MB-3216"
PLAIN_HTTP: Final = "MB-3217"

MESSAGE_ERROR: Final = "MB-3301"
SOAP_FAULT: Final = "MB-3311"

RECEIPT_AWAITED: Final = "MB-3400"
RECEIPT_REJECTED: Final = "MB-3401"
RECEIPT_OVERDUE: Final = "MB-3402"
RECEIPT_WRONG_PARTY: Final = "MB-3403"
RECEIPT_SAYS_DUPLICATE: Final = "MB-3404"
RECEIPT_CONTRADICTS: Final = "MB-3405"
ASK_THE_RECEIVER: Final = "MB-3406"

OWN_EXPIRED: Final = "MB-4101"
OWN_NOT_YET_VALID: Final = "MB-4102"
OWN_WRONG_USAGE: Final = "MB-4103"
OWN_MISSING: Final = "MB-4104"

HELD_BY_PERSON: Final = "MB-5001"
EPJ_NOT_COLLECTING: Final = "MB-5102"
BODY_DAMAGED: Final = "MB-6001"
CONFIG_INVALID: Final = "MB-9001"
NOT_ACCEPTING: Final = "MB-9101"
UNEXPECTED: Final = "MB-9102"

# The errorCodes of ebMS 2.0 (4.2.3.4.1 and 4.2.3.4.2), each with an id of its own.
_MESSAGE_ERRORS: Final = {
    "SecurityFailure": "MB-3302",
    "TimeToLiveExpired": "MB-3303",
    "ValueNotRecognized": "MB-3304",
    "Inconsistent": "MB-3305",
    "NotSupported": "MB-3306",
    "OtherXml": "MB-3307",
    "MimeProblem": "MB-3308",
    "DeliveryFailure": "MB-3309",
    "Unknown": "MB-3310",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One error id: what it means, whose turn it is, and what to do."""

    id: str
    slug: str  # the last part of a problem's `type`
    ball: Ball
    name: Text
    act: Text


def message_error_id(code: str) -> str:
    """Return the error id of a partner's MessageError by its errorCode; a code of their own gets the common one."""
    return _MESSAGE_ERRORS.get(code, MESSAGE_ERROR)


def _cause(id: str, slug: str, ball: Ball, nb: str, en: str, *, act: tuple[str, str]) -> Cause:
    return Cause(id=id, slug=slug, ball=ball, name=Text(nb=nb, en=en), act=Text(nb=act[0], en=act[1]))


_US, _PARTNER, _EPJ, _PERSON = Ball.US, Ball.PARTNER, Ball.EPJ, Ball.PERSON

_DOOR = (
    _cause(
        MALFORMED_XML,
        "malformed-xml",
        _EPJ,
        "dokumentet er ikke lesbar XML",
        "the document is not readable XML",
        act=("Rett dokumentet og send det på nytt.", "Correct the document and post it again."),
    ),
    _cause(
        DOCUMENT_REFUSED,
        "document-refused",
        _EPJ,
        "dokumentet følger ikke standarden eller prosessen",
        "the document breaks the standard or the process",
        act=(
            "Rett alle feilene i listen og send dokumentet på nytt; samme MsgId kan brukes.",
            "Correct every fault in the list and post the document again; the MsgId may be used again.",
        ),
    ),
    _cause(
        UNSUPPORTED_TYPE,
        "unsupported-message-type",
        _EPJ,
        "meldingstypen støttes ikke",
        "the message type is not supported",
        act=(
            "Send en meldingstype som prosessene her dekker, eller be om at prosessen legges til.",
            "Send a message type that the processes here cover, or ask for the process to be added.",
        ),
    ),
    _cause(
        TOO_LARGE,
        "too-large",
        _EPJ,
        "dokumentet er for stort",
        "the document is too large",
        act=("Gjør vedleggene mindre og send på nytt.", "Make the attachments smaller and post again."),
    ),
    _cause(
        WRONG_MEDIA_TYPE,
        "wrong-media-type",
        _EPJ,
        "innholdstypen eller kodingen kan ikke tas imot",
        "the content type or coding cannot be taken",
        act=(
            "Send kroppen ukomprimert, med den Content-Type som ressursen krever.",
            "Send the body uncompressed, with the Content-Type that the resource requires.",
        ),
    ),
    _cause(
        BAD_REQUEST,
        "bad-request",
        _EPJ,
        "forespørselen kan ikke forstås",
        "the request cannot be understood",
        act=("Rett forespørselen etter API-beskrivelsen.", "Correct the request as the API description says."),
    ),
    _cause(
        NOT_FOUND,
        "not-found",
        _EPJ,
        "finnes ikke",
        "there is no such thing",
        act=(
            "Kontroller id-en, og at klientens token hører til riktig HER-id.",
            "Check the id, and that the client's token belongs to the right HER-id.",
        ),
    ),
    _cause(
        METHOD_NOT_ALLOWED,
        "method-not-allowed",
        _EPJ,
        "metoden er ikke tillatt her",
        "the method is not allowed here",
        act=("Bruk en av metodene i Allow.", "Use one of the methods in Allow."),
    ),
    _cause(
        TOO_SLOW,
        "too-slow",
        _EPJ,
        "forespørselen kom for langsomt",
        "the request came too slowly",
        act=("Send på nytt; ingenting er tatt imot.", "Post again; nothing was taken."),
    ),
    _cause(
        NOT_AUTHENTICATED,
        "not-authenticated",
        _EPJ,
        "gyldig token mangler",
        "a valid token is missing",
        act=(
            "Send et gyldig token i Authorization: Bearer.",
            "Send a valid token in Authorization: Bearer.",
        ),
    ),
    _cause(
        MSG_ID_TAKEN,
        "msg-id-taken",
        _EPJ,
        "et annet dokument er allerede tatt imot under denne MsgId",
        "another document has already been taken under this MsgId",
        act=(
            "Gi dokumentet en ny MsgId, eller send nøyaktig de samme bytene som første gang.",
            "Give the document a new MsgId, or post exactly the same bytes as the first time.",
        ),
    ),
    _cause(
        OTHER_VERDICT,
        "other-verdict",
        _EPJ,
        "meldingen kan ikke få denne kvitteringen nå",
        "the message cannot be given this receipt now",
        act=(
            "En kvittering er allerede gitt, eller ingen skal gis; den første står. Ring avsenderen om den var feil.",
            "A receipt was given already, or none is owed; the first stands. Call the sender if it was wrong.",
        ),
    ),
    _cause(
        VERDICT_REFUSED,
        "verdict-refused",
        _EPJ,
        "kvitteringen er ikke gyldig",
        "the receipt is not valid",
        act=(
            "Oppgi status og, for et avslag, minst én kode fra kodeverk 8221.",
            "Give a status and, for a rejection, at least one code of list 8221.",
        ),
    ),
    _cause(
        HER_ID_NOT_PERMITTED,
        "her-id-not-permitted",
        _EPJ,
        "tokenet er ikke knyttet til denne HER-id-en",
        "the token is not bound to this HER-id",
        act=(
            "Bruk tokenet til den parten, eller be om at HER-id-en knyttes til klienten.",
            "Use that party's token, or ask for the HER-id to be bound to the client.",
        ),
    ),
)

_ADDRESS = (
    _cause(
        RECEIVER_UNKNOWN,
        "receiver-unknown",
        _EPJ,
        "mottakerens HER-id er ukjent",
        "the receiver's HER-id is not known",
        act=("Slå opp mottakeren på nytt i adresseregisteret.", "Look the receiver up again in the address registry."),
    ),
    _cause(
        NO_AGREEMENT,
        "no-agreement",
        _PERSON,
        "ingen samhandlingsavtale med mottakeren",
        "no agreement with the receiver",
        act=(
            "Legg avtalen med mottakeren inn i adresseposten; meldingen går da av seg selv.",
            "Put the agreement with the receiver into the address record; the message then goes by itself.",
        ),
    ),
    _cause(
        PARTNER_EXPIRED,
        "partner-certificate-expired",
        _PERSON,
        "mottakerens sertifikat er utløpt",
        "the receiver's certificate has expired",
        act=(
            "Hent mottakerens nye sertifikat, eller be dem om det.",
            "Fetch the receiver's new certificate, or ask them for it.",
        ),
    ),
    _cause(
        REGISTRY_UNAVAILABLE,
        "registry-unavailable",
        _US,
        "adresseregisteret svarer ikke",
        "the address registry does not answer",
        act=(
            "Se etter registeret eller adressefilene; meldingen går når de kan leses.",
            "Look to the registry or the address files; the message goes when they can be read.",
        ),
    ),
    _cause(
        PARTNER_NOT_YET_VALID,
        "partner-certificate-not-yet-valid",
        _PERSON,
        "mottakerens sertifikat gjelder ikke ennå",
        "the receiver's certificate is not valid yet",
        act=(
            "Kontroller klokken her, og be mottakeren om et sertifikat som gjelder nå.",
            "Check the clock here, and ask the receiver for a certificate that is valid now.",
        ),
    ),
    _cause(
        PARTNER_WRONG_USAGE,
        "partner-certificate-wrong-usage",
        _PERSON,
        "mottakerens sertifikat er ikke til kryptering",
        "the receiver's certificate is not for encryption",
        act=(
            "Legg inn mottakerens krypteringssertifikat; signeringssertifikatet kan ikke brukes til dette.",
            "Put in the receiver's encryption certificate; the signing one cannot be used for this.",
        ),
    ),
    _cause(
        PARTNER_NO_CERTIFICATE,
        "partner-certificate-missing",
        _PERSON,
        "mottakeren har ikke noe sertifikat i adresseposten",
        "the receiver has no certificate in the address record",
        act=(
            "Legg inn mottakerens krypteringssertifikat, hos parten selv eller hos virksomheten.",
            "Put in the receiver's encryption certificate, at the party itself or at its organisation.",
        ),
    ),
    _cause(
        NO_ENDPOINT,
        "no-endpoint",
        _PERSON,
        "mottakeren har ingen brukbar adresse for ebMS",
        "the receiver has no usable ebMS address",
        act=(
            "Legg inn endpoint (http- eller https-adresse) i mottakerens adressepost.",
            "Put endpoint (an http or https address) into the receiver's address record.",
        ),
    ),
    _cause(
        PARTY_CLOSED,
        "party-closed",
        _PERSON,
        "mottakeren er ikke lenger aktiv",
        "the receiver is no longer active",
        act=(
            "Finn ut hvem som har overtatt, og la fagsystemet sende dit.",
            "Find out who has taken over, and let the EPJ send there.",
        ),
    ),
    _cause(
        PROCESS_NOT_RECEIVED,
        "process-not-received",
        _PERSON,
        "mottakeren tar ikke imot denne meldingstypen",
        "the receiver does not take this kind of message",
        act=(
            "Kontroller hva mottakeren er satt opp til å ta imot; send ellers på en annen måte.",
            "Check what the receiver is set up to take; else send it another way.",
        ),
    ),
    _cause(
        PROCESS_GONE,
        "process-gone",
        _PERSON,
        "prosessfilen som meldingen gikk etter, finnes ikke lenger",
        "the process file that the message went by is there no more",
        act=(
            "Legg prosessfilen tilbake; leveringen går da videre av seg selv.",
            "Put the process file back; the delivery then goes on by itself.",
        ),
    ),
)

_TRANSPORT = (
    _cause(
        DNS_FAILED,
        "dns-failed",
        _PARTNER,
        "mottakerens maskinnavn finnes ikke i DNS",
        "the receiver's host name is not found in DNS",
        act=(
            "Kontroller adressen i adresseposten og navneoppslaget her.",
            "Check the address in the record and name resolution here.",
        ),
    ),
    _cause(
        NOT_REACHED,
        "not-reached",
        _PARTNER,
        "mottakeren tar ikke imot forbindelsen",
        "the receiver does not take the connection",
        act=(
            "Vi prøver igjen av oss selv; ring mottakerens drift om det varer.",
            "We try again by ourselves; call the receiver's operations if it lasts.",
        ),
    ),
    _cause(
        TLS_FAILED,
        "tls-failed",
        _PARTNER,
        "sikker forbindelse (TLS) kunne ikke opprettes",
        "a secure connection (TLS) could not be made",
        act=(
            "Kontroller TLS-sertifikatet til mottakeren og hvilke rotsertifikater vi stoler på.",
            "Check the receiver's TLS certificate and which roots we trust.",
        ),
    ),
    _cause(
        TIMED_OUT_BEFORE,
        "timed-out-before-sending",
        _PARTNER,
        "mottakeren svarte ikke før meldingen var overført",
        "the receiver did not answer before the message was handed over",
        act=(
            "Vi prøver igjen av oss selv; se etter brannmur om det varer.",
            "We try again by ourselves; look for a firewall if it lasts.",
        ),
    ),
    _cause(
        TIMED_OUT_AFTER,
        "timed-out-after-sending",
        _PARTNER,
        "forbindelsen ble brutt etter at meldingen var overført",
        "the connection ended after the message was handed over",
        act=(
            "Mottakeren kan ha lest meldingen; vi sender den samme konvolutten igjen til den er kvittert.",
            "The receiver may have read the message; we send the same envelope again until it is acknowledged.",
        ),
    ),
    _cause(
        ACKNOWLEDGMENT_AWAITED,
        "acknowledgment-awaited",
        _PARTNER,
        "venter på transportkvittering",
        "waiting for the acknowledgment",
        act=(
            "Vi sender igjen av oss selv; ring mottakerens drift om det varer.",
            "We send again by ourselves; call the receiver's operations if it lasts.",
        ),
    ),
    _cause(
        SERVER_ERROR,
        "server-error",
        _PARTNER,
        "mottakerens tjeneste svarer med feil (HTTP 5xx)",
        "the receiver's service answers with an error (HTTP 5xx)",
        act=(
            "Vi prøver igjen av oss selv; ring mottakerens drift om det varer.",
            "We try again by ourselves; call the receiver's operations if it lasts.",
        ),
    ),
    _cause(
        ASKED_TO_WAIT,
        "asked-to-wait",
        _PARTNER,
        "mottakeren ber oss vente",
        "the receiver asks us to wait",
        act=("Vi prøver igjen av oss selv.", "We try again by ourselves."),
    ),
    _cause(
        HTTP_REFUSED,
        "http-refused",
        _PERSON,
        "mottakerens tjeneste avviste overføringen (HTTP 3xx eller 4xx)",
        "the receiver's service refused the transfer (HTTP 3xx or 4xx)",
        act=(
            "Kontroller adressen med mottakeren; prøv deretter på nytt.",
            "Check the address with the receiver; then try again.",
        ),
    ),
    _cause(
        NO_SIGNAL,
        "no-signal",
        _PARTNER,
        "mottakerens svar inneholdt ingen transportkvittering",
        "the receiver's answer held no acknowledgment",
        act=(
            "En mellomtjener kan ha svart i mottakerens sted; kontroller adressen om det varer.",
            "A proxy may have answered in the receiver's place; check the address if it lasts.",
        ),
    ),
    _cause(
        ACKNOWLEDGMENT_NOT_TRUSTED,
        "acknowledgment-not-trusted",
        _PERSON,
        "transportkvitteringen kunne ikke stoles på",
        "the acknowledgment could not be trusted",
        act=(
            "Kontroller mottakerens signeringssertifikat; se sikkerhetshendelsen for årsaken.",
            "Check the receiver's signing certificate; the security event tells the reason.",
        ),
    ),
    _cause(
        LANE_CLOSED,
        "lane-closed",
        _PARTNER,
        "mottakerens tjeneste er nede, og køen dit er stanset en stund",
        "the receiver's service is down, and the lane to it is closed for a while",
        act=("Vi prøver med én melding om litt.", "We try with one message shortly."),
    ),
    _cause(
        GAVE_UP,
        "gave-up",
        _PERSON,
        "ingen transportkvittering etter alle forsøk",
        "no acknowledgment after every try",
        act=(
            "Avklar med mottakeren, og prøv deretter på nytt eller lukk.",
            "Settle it with the receiver, then try again or close.",
        ),
    ),
    _cause(
        PLAIN_HTTP,
        "plain-http",
        _PERSON,
        "adressen er ukryptert http, og det er ikke tillatt for denne mottakeren",
        "the address is plain http, which is not allowed for this receiver",
        act=(
            "Legg inn en https-adresse, eller tillat plain-http i adresseposten.",
            "Put in an https address, or allow plain-http in the address record.",
        ),
    ),
)

_MESSAGE_ERROR_ACT = (
    "Finn feilen sammen med mottakerens drift; prøv deretter på nytt eller lukk.",
    "Find the fault together with the receiver's operations; then try again or close.",
)


def _message_error(id: str, slug: str, code: str) -> Cause:
    return _cause(
        id,
        slug,
        _PERSON,
        f"mottakerens meldingstjener avviste konvolutten ({code})",
        f"the receiver's message service refused the envelope ({code})",
        act=_MESSAGE_ERROR_ACT,
    )


_SIGNALS = (
    _message_error(MESSAGE_ERROR, "message-error", "MessageError"),
    *(_message_error(id, f"message-error-{code.lower()}", code) for code, id in _MESSAGE_ERRORS.items()),
    _message_error(SOAP_FAULT, "soap-fault", "SOAP Fault"),
)

_RECEIPT = (
    _cause(
        RECEIPT_AWAITED,
        "receipt-awaited",
        _PARTNER,
        "venter på applikasjonskvittering",
        "waiting for the application receipt",
        act=(
            "Vi følger med; mottakerens fagsystem skal kvittere.",
            "We keep watch; the receiver's EPJ is to answer with a receipt.",
        ),
    ),
    _cause(
        RECEIPT_REJECTED,
        "receipt-rejected",
        _EPJ,
        "mottakeren avviste meldingen",
        "the receiver rejected the message",
        act=(
            "Rett det som kodene sier og send en ny melding, eller ta saken på en annen måte.",
            "Correct what the codes say and send a new message, or take the matter another way.",
        ),
    ),
    _cause(
        RECEIPT_OVERDUE,
        "receipt-overdue",
        _EPJ,
        "applikasjonskvitteringen er ikke kommet innen fristen",
        "the application receipt has not come within its time",
        act=(
            "Regn meldingen som ikke levert og kontakt mottakeren; en sen kvittering tas fortsatt imot.",
            "Take the message for not delivered and contact the receiver; a late receipt is still taken.",
        ),
    ),
    _cause(
        RECEIPT_WRONG_PARTY,
        "receipt-wrong-party",
        _PERSON,
        "en applikasjonskvittering kom fra feil part og er ikke tatt hensyn til",
        "an application receipt came from the wrong party and was left aside",
        act=(
            "Ring den som sendte kvitteringen; meldingens tilstand er uendret.",
            "Call who sent the receipt; the state of the message is unchanged.",
        ),
    ),
    _cause(
        RECEIPT_SAYS_DUPLICATE,
        "receipt-says-duplicate",
        _PERSON,
        "mottakeren svarer på purringen at meldingen allerede er mottatt",
        "the receiver answers the chase that it has the message already",
        act=(
            "Spør mottakeren hva som ble av den første meldingen, og lukk eller send på nytt.",
            "Ask the receiver what became of the first one, and close or send again.",
        ),
    ),
    _cause(
        RECEIPT_CONTRADICTS,
        "receipt-contradicts",
        _PERSON,
        "en ny applikasjonskvittering sier noe annet enn den første, som står",
        "another application receipt says something else than the first, which stands",
        act=(
            "Ring mottakeren og avklar hvilken som gjelder.",
            "Call the receiver and settle which one holds.",
        ),
    ),
    _cause(
        ASK_THE_RECEIVER,
        "ask-the-receiver",
        _PERSON,
        "applikasjonskvitteringen mangler, og avtalen sier at en person spør",
        "the application receipt is missing, and the agreement says that a person asks",
        act=("Spør mottakeren om meldingen er behandlet.", "Ask the receiver whether the message was processed."),
    ),
)

_OWN = (
    _cause(
        OWN_EXPIRED,
        "own-certificate-expired",
        _PERSON,
        "vårt eget sertifikat er utløpt",
        "our own certificate has expired",
        act=(
            "Legg inn det nye virksomhetssertifikatet; meldingen går da av seg selv.",
            "Put in the new enterprise certificate; the message then goes by itself.",
        ),
    ),
    _cause(
        OWN_NOT_YET_VALID,
        "own-certificate-not-yet-valid",
        _PERSON,
        "vårt eget sertifikat gjelder ikke ennå",
        "our own certificate is not valid yet",
        act=(
            "Kontroller klokken, eller bruk det forrige sertifikatet så lenge.",
            "Check the clock, or use the former certificate meanwhile.",
        ),
    ),
    _cause(
        OWN_WRONG_USAGE,
        "own-certificate-wrong-usage",
        _PERSON,
        "vårt eget sertifikat er ikke til signering",
        "our own certificate is not for signing",
        act=(
            "Legg inn signeringssertifikatet; krypteringssertifikatet kan ikke brukes til dette.",
            "Put in the signing certificate; the encryption one cannot be used for this.",
        ),
    ),
    _cause(
        OWN_MISSING,
        "own-key-missing",
        _PERSON,
        "vår egen nøkkel eller vårt sertifikat mangler",
        "our own key or certificate is missing",
        act=(
            "Legg nøkkel og sertifikat i organisasjonens nøkkelmappe.",
            "Put key and certificate into the organisation's key folder.",
        ),
    ),
    _cause(
        HELD_BY_PERSON,
        "held",
        _PERSON,
        "holdt tilbake av en person",
        "held back by a person",
        act=("Slipp, prøv på nytt eller lukk.", "Release, try again or close."),
    ),
    _cause(
        EPJ_NOT_COLLECTING,
        "epj-not-collecting",
        _EPJ,
        "fagsystemet har ikke hentet meldingen",
        "the EPJ has not collected the message",
        act=("Kontroller at fagsystemet er oppe og spør innboksen.", "Check that the EPJ is up and polls its inbox."),
    ),
    _cause(
        BODY_DAMAGED,
        "body-damaged",
        _PERSON,
        "den lagrede meldingen er skadet og blir ikke sendt",
        "the stored message is damaged and is not sent",
        act=(
            "Hent den fra sikkerhetskopi, eller la fagsystemet sende den på nytt; undersøk disken.",
            "Restore it from backup, or let the EPJ send it anew; examine the disk.",
        ),
    ),
    _cause(
        CONFIG_INVALID,
        "config-invalid",
        _PERSON,
        "en innstilling eller datafil er feil",
        "a setting or data file is wrong",
        act=(
            "Rett stedet som er nevnt; den forrige gode brukes.",
            "Correct the place named; the last good one is used.",
        ),
    ),
    _cause(
        NOT_ACCEPTING,
        "not-accepting",
        _US,
        "megleren kan ikke ta imot nå",
        "the broker cannot take more now",
        act=(
            "Ingenting er tatt imot; send det samme igjen etter tiden i Retry-After.",
            "Nothing was taken; post the same again after the time in Retry-After.",
        ),
    ),
    _cause(
        UNEXPECTED,
        "unexpected",
        _US,
        "en uventet feil hos oss",
        "an unexpected fault on our side",
        act=(
            "Send det samme igjen; ingenting blir dobbelt. Oppgi requestId til driften om det gjentar seg.",
            "Post the same again; nothing doubles. Give operations the requestId if it comes again.",
        ),
    ),
)

CAUSES: Final[Mapping[str, Cause]] = {
    cause.id: cause for cause in (*_DOOR, *_ADDRESS, *_TRANSPORT, *_SIGNALS, *_RECEIPT, *_OWN)
}
