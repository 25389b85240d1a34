"""The words for what may hold a message on its way, and for what is wrong on our own side (MB-3xxx to MB-9xxx)."""

from typing import Final

from broker.diagnosis.causes import (
    ACKNOWLEDGMENT_AWAITED,
    ACKNOWLEDGMENT_NOT_TRUSTED,
    ASK_THE_RECEIVER,
    ASKED_TO_WAIT,
    BODY_DAMAGED,
    BODY_ERASED,
    CONFIG_INVALID,
    DNS_FAILED,
    EPJ_NOT_COLLECTING,
    GAVE_UP,
    HELD_BY_PERSON,
    HTTP_REFUSED,
    LANE_CLOSED,
    MESSAGE_ERROR,
    MESSAGE_ERRORS,
    NO_SIGNAL,
    NOT_ACCEPTING,
    NOT_REACHED,
    OWN_EXPIRED,
    OWN_MISSING,
    OWN_NOT_YET_VALID,
    OWN_WRONG_USAGE,
    PLAIN_HTTP,
    RECEIPT_AWAITED,
    RECEIPT_CONTRADICTS,
    RECEIPT_OVERDUE,
    RECEIPT_REJECTED,
    RECEIPT_SAYS_DUPLICATE,
    RECEIPT_WRONG_PARTY,
    SENDER_HELD,
    SERVER_ERROR,
    SOAP_FAULT,
    TIMED_OUT_AFTER,
    TIMED_OUT_BEFORE,
    TLS_FAILED,
    UNEXPECTED,
    Cause,
    cause,
)
from broker.message import Ball

TRANSPORT: Final = (
    cause(
        DNS_FAILED,
        "dns-failed",
        Ball.PARTNER,
        "mottakerens maskinnavn finnes ikke i DNS",
        "the receiver's host name is not found in DNS",
        act=(
            "Kontroller adressen i adresseposten og navneoppslaget her.",
            "Check the address in the record and name resolution here.",
        ),
    ),
    cause(
        NOT_REACHED,
        "not-reached",
        Ball.PARTNER,
        "mottakeren tar ikke imot forbindelsen",
        "the receiver does not take the connection",
        act=(
            "Vi prøver igjen av oss selv; ring mottakerens drift om det varer.",
            "We try again by ourselves; call the receiver's operations if it lasts.",
        ),
    ),
    cause(
        TLS_FAILED,
        "tls-failed",
        Ball.PARTNER,
        "sikker forbindelse (TLS) kunne ikke opprettes",
        "a secure connection (TLS) could not be made",
        act=(
            "Kontroller TLS-sertifikatet til mottakeren og hvilke rotsertifikater vi stoler på.",
            "Check the receiver's TLS certificate and which roots we trust.",
        ),
    ),
    cause(
        TIMED_OUT_BEFORE,
        "timed-out-before-sending",
        Ball.PARTNER,
        "mottakeren svarte ikke før meldingen var overført",
        "the receiver did not answer before the message was handed over",
        act=(
            "Vi prøver igjen av oss selv; se etter brannmur om det varer.",
            "We try again by ourselves; look for a firewall if it lasts.",
        ),
    ),
    cause(
        TIMED_OUT_AFTER,
        "timed-out-after-sending",
        Ball.PARTNER,
        "forbindelsen ble brutt etter at meldingen var overført",
        "the connection ended after the message was handed over",
        act=(
            "Mottakeren kan ha lest meldingen; vi sender den samme konvolutten igjen til den er kvittert.",
            "The receiver may have read the message; we send the same envelope again until it is acknowledged.",
        ),
    ),
    cause(
        ACKNOWLEDGMENT_AWAITED,
        "acknowledgment-awaited",
        Ball.PARTNER,
        "venter på transportkvittering",
        "waiting for the acknowledgment",
        act=(
            "Vi sender igjen av oss selv; ring mottakerens drift om det varer.",
            "We send again by ourselves; call the receiver's operations if it lasts.",
        ),
    ),
    cause(
        SERVER_ERROR,
        "server-error",
        Ball.PARTNER,
        "mottakerens tjeneste svarer med feil (HTTP 5xx)",
        "the receiver's service answers with an error (HTTP 5xx)",
        act=(
            "Vi prøver igjen av oss selv; ring mottakerens drift om det varer.",
            "We try again by ourselves; call the receiver's operations if it lasts.",
        ),
    ),
    cause(
        ASKED_TO_WAIT,
        "asked-to-wait",
        Ball.PARTNER,
        "mottakeren ber oss vente",
        "the receiver asks us to wait",
        act=("Vi prøver igjen av oss selv.", "We try again by ourselves."),
    ),
    cause(
        HTTP_REFUSED,
        "http-refused",
        Ball.PERSON,
        "mottakerens tjeneste avviste overføringen (HTTP 3xx eller 4xx)",
        "the receiver's service refused the transfer (HTTP 3xx or 4xx)",
        act=(
            "Kontroller adressen med mottakeren; prøv deretter på nytt.",
            "Check the address with the receiver; then try again.",
        ),
    ),
    cause(
        NO_SIGNAL,
        "no-signal",
        Ball.PARTNER,
        "mottakerens svar inneholdt ingen transportkvittering",
        "the receiver's answer held no acknowledgment",
        act=(
            "En mellomtjener kan ha svart i mottakerens sted; kontroller adressen om det varer.",
            "A proxy may have answered in the receiver's place; check the address if it lasts.",
        ),
    ),
    cause(
        ACKNOWLEDGMENT_NOT_TRUSTED,
        "acknowledgment-not-trusted",
        Ball.PERSON,
        "transportkvitteringen kunne ikke stoles på",
        "the acknowledgment could not be trusted",
        act=(
            "Kontroller mottakerens signeringssertifikat; se sikkerhetshendelsen for årsaken.",
            "Check the receiver's signing certificate; the security event tells the reason.",
        ),
    ),
    cause(
        LANE_CLOSED,
        "lane-closed",
        Ball.PARTNER,
        "mottakerens tjeneste er nede, og køen dit er stanset en stund",
        "the receiver's service is down, and the lane to it is closed for a while",
        act=("Vi prøver med én melding om litt.", "We try with one message shortly."),
    ),
    cause(
        GAVE_UP,
        "gave-up",
        Ball.PERSON,
        "ingen transportkvittering etter alle forsøk",
        "no acknowledgment after every try",
        act=(
            "Avklar med mottakeren, og prøv deretter på nytt eller lukk.",
            "Settle it with the receiver, then try again or close.",
        ),
    ),
    cause(
        PLAIN_HTTP,
        "plain-http",
        Ball.PERSON,
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
    return cause(
        id,
        slug,
        Ball.PERSON,
        f"mottakerens meldingstjener avviste konvolutten ({code})",
        f"the receiver's message service refused the envelope ({code})",
        act=_MESSAGE_ERROR_ACT,
    )


SIGNALS: Final = (
    _message_error(MESSAGE_ERROR, "message-error", "MessageError"),
    *(_message_error(id, f"message-error-{code.lower()}", code) for code, id in MESSAGE_ERRORS.items()),
    _message_error(SOAP_FAULT, "soap-fault", "SOAP Fault"),
)

RECEIPT: Final = (
    cause(
        RECEIPT_AWAITED,
        "receipt-awaited",
        Ball.PARTNER,
        "venter på applikasjonskvittering",
        "waiting for the application receipt",
        act=(
            "Vi følger med; mottakerens fagsystem skal kvittere.",
            "We keep watch; the receiver's EPJ is to answer with a receipt.",
        ),
    ),
    cause(
        RECEIPT_REJECTED,
        "receipt-rejected",
        Ball.EPJ,
        "mottakeren avviste meldingen",
        "the receiver rejected the message",
        act=(
            "Rett det som kodene sier og send en ny melding, eller ta saken på en annen måte.",
            "Correct what the codes say and send a new message, or take the matter another way.",
        ),
    ),
    cause(
        RECEIPT_OVERDUE,
        "receipt-overdue",
        Ball.EPJ,
        "applikasjonskvitteringen er ikke kommet innen fristen",
        "the application receipt has not come within its time",
        act=(
            "Regn meldingen som ikke levert og kontakt mottakeren; en sen kvittering tas fortsatt imot.",
            "Take the message for not delivered and contact the receiver; a late receipt is still taken.",
        ),
    ),
    cause(
        RECEIPT_WRONG_PARTY,
        "receipt-wrong-party",
        Ball.PERSON,
        "en applikasjonskvittering kom fra feil part og er ikke tatt hensyn til",
        "an application receipt came from the wrong party and was left aside",
        act=(
            "Ring den som sendte kvitteringen; meldingens tilstand er uendret.",
            "Call who sent the receipt; the state of the message is unchanged.",
        ),
    ),
    cause(
        RECEIPT_SAYS_DUPLICATE,
        "receipt-says-duplicate",
        Ball.PERSON,
        "mottakeren svarer på purringen at meldingen allerede er mottatt",
        "the receiver answers the chase that it has the message already",
        act=(
            "Spør mottakeren hva som ble av den første meldingen, og lukk eller send på nytt.",
            "Ask the receiver what became of the first one, and close or send again.",
        ),
    ),
    cause(
        RECEIPT_CONTRADICTS,
        "receipt-contradicts",
        Ball.PERSON,
        "en ny applikasjonskvittering sier noe annet enn den første, som står",
        "another application receipt says something else than the first, which stands",
        act=(
            "Ring mottakeren og avklar hvilken som gjelder.",
            "Call the receiver and settle which one holds.",
        ),
    ),
    cause(
        ASK_THE_RECEIVER,
        "ask-the-receiver",
        Ball.PERSON,
        "applikasjonskvitteringen mangler, og avtalen sier at en person spør",
        "the application receipt is missing, and the agreement says that a person asks",
        act=("Spør mottakeren om meldingen er behandlet.", "Ask the receiver whether the message was processed."),
    ),
)

INWARDS: Final = (
    cause(
        SENDER_HELD,
        "sender-held",
        Ball.PERSON,
        "for mange krypterte meldinger fra avsenderen lot seg ikke åpne; den holdes igjen i en time",
        "too many ciphertexts from the sender did not open; it is held for an hour",
        act=(
            "Ring avsenderens drift: feil krypteringssertifikat hos dem, eller noen misbruker nøkkelen deres.",
            "Call the sender's operations: a wrong encryption certificate there, or someone misuses their key.",
        ),
    ),
)

OWN: Final = (
    cause(
        OWN_EXPIRED,
        "own-certificate-expired",
        Ball.PERSON,
        "vårt eget sertifikat er utløpt",
        "our own certificate has expired",
        act=(
            "Legg inn det nye virksomhetssertifikatet; meldingen går da av seg selv.",
            "Put in the new enterprise certificate; the message then goes by itself.",
        ),
    ),
    cause(
        OWN_NOT_YET_VALID,
        "own-certificate-not-yet-valid",
        Ball.PERSON,
        "vårt eget sertifikat gjelder ikke ennå",
        "our own certificate is not valid yet",
        act=(
            "Kontroller klokken, eller bruk det forrige sertifikatet så lenge.",
            "Check the clock, or use the former certificate meanwhile.",
        ),
    ),
    cause(
        OWN_WRONG_USAGE,
        "own-certificate-wrong-usage",
        Ball.PERSON,
        "vårt eget sertifikat er ikke til signering",
        "our own certificate is not for signing",
        act=(
            "Legg inn signeringssertifikatet; krypteringssertifikatet kan ikke brukes til dette.",
            "Put in the signing certificate; the encryption one cannot be used for this.",
        ),
    ),
    cause(
        OWN_MISSING,
        "own-key-missing",
        Ball.PERSON,
        "vår egen nøkkel eller vårt sertifikat mangler",
        "our own key or certificate is missing",
        act=(
            "Legg nøkkel og sertifikat i organisasjonens nøkkelmappe.",
            "Put key and certificate into the organisation's key folder.",
        ),
    ),
    cause(
        HELD_BY_PERSON,
        "held",
        Ball.PERSON,
        "holdt tilbake av en person",
        "held back by a person",
        act=("Slipp, prøv på nytt eller lukk.", "Release, try again or close."),
    ),
    cause(
        EPJ_NOT_COLLECTING,
        "epj-not-collecting",
        Ball.EPJ,
        "fagsystemet har ikke hentet meldingen",
        "the EPJ has not collected the message",
        act=("Kontroller at fagsystemet er oppe og spør innboksen.", "Check that the EPJ is up and polls its inbox."),
    ),
    cause(
        BODY_DAMAGED,
        "body-damaged",
        Ball.PERSON,
        "den lagrede meldingen er skadet og blir ikke sendt",
        "the stored message is damaged and is not sent",
        act=(
            "Hent den fra sikkerhetskopi, eller la fagsystemet sende den på nytt; undersøk disken.",
            "Restore it from backup, or let the EPJ send it anew; examine the disk.",
        ),
    ),
    cause(
        BODY_ERASED,
        "body-erased",
        Ball.PERSON,
        "den lagrede meldingen er slettet etter oppbevaringstiden",
        "the stored message was erased when its time was over",
        act=(
            "Motparten ber om en kvittering som er slettet her; ring dem, og lukk deretter.",
            "The partner asks for a receipt that is erased here; call them, then close it.",
        ),
    ),
    cause(
        CONFIG_INVALID,
        "config-invalid",
        Ball.PERSON,
        "en innstilling eller datafil er feil",
        "a setting or data file is wrong",
        act=(
            "Rett stedet som er nevnt; den forrige gode brukes.",
            "Correct the place named; the last good one is used.",
        ),
    ),
    cause(
        NOT_ACCEPTING,
        "not-accepting",
        Ball.US,
        "megleren kan ikke ta imot nå",
        "the broker cannot take more now",
        act=(
            "Ingenting er tatt imot; send det samme igjen etter tiden i Retry-After.",
            "Nothing was taken; post the same again after the time in Retry-After.",
        ),
    ),
    cause(
        UNEXPECTED,
        "unexpected",
        Ball.US,
        "en uventet feil hos oss",
        "an unexpected fault on our side",
        act=(
            "Send det samme igjen; ingenting blir dobbelt. Oppgi requestId til driften om det gjentar seg.",
            "Post the same again; nothing doubles. Give operations the requestId if it comes again.",
        ),
    ),
)
