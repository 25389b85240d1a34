"""The words for what may hold a message on its way, and for what is wrong on our own side (MB-3xxx to MB-9xxx)."""

from collections.abc import Mapping
from typing import Final

from broker.diagnosis.causes import (
    ACKNOWLEDGMENT_AWAITED,
    ACKNOWLEDGMENT_NOT_TRUSTED,
    ASK_THE_RECEIVER,
    ASKED_TO_WAIT,
    CONFIG_INVALID,
    DNS_FAILED,
    GAVE_UP,
    HELD_BY_PERSON,
    HTML_ANSWERED,
    HTML_REFUSED,
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
    QUEUED,
    RECEIPT_AWAITED,
    RECEIPT_CONTRADICTS,
    RECEIPT_OVERDUE,
    RECEIPT_REJECTED,
    RECEIPT_SAYS_DUPLICATE,
    RECEIPT_WRONG_PARTY,
    SERVER_ERROR,
    SOAP_FAULT,
    TIMED_OUT_AFTER,
    TIMED_OUT_BEFORE,
    TLS_EXPIRED,
    TLS_FAILED,
    TLS_NOT_TRUSTED,
    TLS_OTHER_KEY,
    TLS_OURS_REFUSED,
    TLS_WRONG_NAME,
    UNEXPECTED,
    Cause,
    cause,
)
from broker.message import Ball

TRANSPORT: Final = (
    cause(
        QUEUED,
        "queued",
        Ball.US,
        "i kø",
        "queued",
        act=("Ingenting å gjøre: vi sender av oss selv.", "Nothing to do: we send by ourselves."),
    ),
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
    cause(
        HTML_ANSWERED,
        "html-answered",
        Ball.PARTNER,
        "svaret var en nettside (HTML), ikke fra mottakerens meldingstjener",
        "the answer was a web page (HTML), not from the receiver's message service",
        act=(
            "En mellomtjener eller nettjener svarte. Kontroller adressen og veien dit; vi prøver igjen av oss selv.",
            "A proxy or web server answered. Check the address and the way there; we try again by ourselves.",
        ),
    ),
    cause(
        HTML_REFUSED,
        "html-refused",
        Ball.PERSON,
        "en nettside (HTML) avviste overføringen (HTTP 3xx eller 4xx)",
        "a web page (HTML) refused the transfer (HTTP 3xx or 4xx)",
        act=(
            "Se etter en mellomtjener eller brannmur på veien, og kontroller adressen; prøv deretter på nytt.",
            "Look for a proxy or firewall on the way, and check the address; then try again.",
        ),
    ),
    cause(
        TLS_EXPIRED,
        "tls-certificate-expired",
        Ball.PARTNER,
        "TLS-sertifikatet til mottakerens tjener er utløpt eller gjelder ikke ennå",
        "the TLS certificate of the receiver's server has expired or is not valid yet",
        act=(
            "Ring mottakerens drift: de må fornye sertifikatet. Kontroller også klokken her.",
            "Call the receiver's operations: they must renew it. Check the clock here, too.",
        ),
    ),
    cause(
        TLS_NOT_TRUSTED,
        "tls-certificate-not-trusted",
        Ball.PARTNER,
        "TLS-sertifikatet til mottakerens tjener er fra en utsteder vi ikke stoler på",
        "the TLS certificate of the receiver's server is from an issuer that we do not trust",
        act=(
            "Avklar kjeden med mottakerens drift; legg inn rotsertifikatet her hvis det er riktig.",
            "Settle the chain with the receiver's operations; put the root in here if it is the right one.",
        ),
    ),
    cause(
        TLS_WRONG_NAME,
        "tls-certificate-wrong-name",
        Ball.PARTNER,
        "TLS-sertifikatet til mottakerens tjener gjelder et annet maskinnavn",
        "the TLS certificate of the receiver's server is for another host name",
        act=(
            "Kontroller maskinnavnet i adresseposten, og spør mottakerens drift.",
            "Check the host name in the address record, and ask the receiver's operations.",
        ),
    ),
    cause(
        TLS_OTHER_KEY,
        "tls-other-key",
        Ball.PERSON,
        "mottakerens tjener har en annen TLS-nøkkel enn adresseoppføringen fester (tls_pins)",
        "the receiver's server has another TLS key than its address record pins (tls_pins)",
        act=(
            "Ring mottakerens drift. Bekrefter de nøkkelen, legg den til i tls_pins; ellers kan noen sitte imellom.",
            "Call the receiver's operations. If the key is theirs, add it to tls_pins; else someone may stand between.",
        ),
    ),
    cause(
        TLS_OURS_REFUSED,
        "tls-ours-refused",
        Ball.PERSON,
        "mottakerens tjener krever et klientsertifikat og godtar ikke vårt",
        "the receiver's server demands a client certificate, and does not take ours",
        act=(
            "Sett certificate og key under [tls], og gi mottakeren sertifikatet eller utstederen.",
            "Set certificate and key under [tls], and give the receiver the certificate or its issuer.",
        ),
    ),
)

# What to do about a refusal, by the errorCode of ebMS 2.0 (4.2.3.4): each a pair of bokmål and English.
_SEEK = ("Finn feilen sammen med mottakerens drift", "Find the fault together with the receiver's operations")
_ACTS: Final[Mapping[str, tuple[str, str]]] = {
    "SecurityFailure": (
        "Kontroller at mottakeren har vårt nye signeringssertifikat, og at vi krypterer til riktig sertifikat",
        "Check that the receiver has our present signing certificate, and that we encrypt to the right one",
    ),
    "TimeToLiveExpired": (
        "Kontroller klokken her og hos mottakeren",
        "Check the clock here and at the receiver",
    ),
    "ValueNotRecognized": (
        "Sammenlign CPA-id, tjeneste, handling og roller i avtalen med mottakerens",
        "Compare CPA id, service, action and roles in the agreement with the receiver's",
    ),
    "Inconsistent": (
        "Sammenlign avtalen med mottakerens: HER-id-er, roller og krav til kvittering",
        "Compare the agreement with the receiver's: HER-ids, roles and what is asked of receipts",
    ),
    "NotSupported": (
        "Avklar med mottakeren hvilke meldinger den er satt opp for",
        "Settle with the receiver which messages it is set up for",
    ),
    "DeliveryFailure": (
        "Mottakerens meldingstjener nådde ikke sitt fagsystem: ring mottakerens drift",
        "The receiver's message service did not reach its EPJ: call the receiver's operations",
    ),
}
_THEN = ("; prøv deretter på nytt eller lukk.", "; then try again or close.")


def _message_error(id: str, slug: str, code: str) -> Cause:
    nb, en = _ACTS.get(code, _SEEK)
    return cause(
        id,
        slug,
        Ball.PERSON,
        f"mottakerens meldingstjener avviste konvolutten ({code})",
        f"the receiver's message service refused the envelope ({code})",
        act=(nb + _THEN[0], en + _THEN[1]),
    )


SIGNALS: Final = (
    _message_error(MESSAGE_ERROR, "message-error", "MessageError"),
    *(_message_error(id, f"message-error-{code.lower()}", code) for code, id in MESSAGE_ERRORS.items()),
    cause(
        SOAP_FAULT,
        "soap-fault",
        Ball.PARTNER,
        "mottakerens meldingstjener svarte med en SOAP-feil",
        "the receiver's message service answered with a SOAP Fault",
        act=(
            "Vi prøver igjen av oss selv; finn feilen sammen med mottakerens drift om det varer.",
            "We try again by ourselves; find the fault together with the receiver's operations if it lasts.",
        ),
    ),
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
