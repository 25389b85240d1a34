"""The closed list of log events: the levels and fields of each, and what it means. docs/logs.md is made from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from broker.message import EventKind, Text

Level = Literal["info", "warning", "error"]

# What each field holds. A field that is not here is dropped from the line, and counted.
FIELDS: Final[Mapping[str, Text]] = {
    "ts": Text(nb="tidspunkt, UTC", en="the time, UTC"),
    "level": Text(nb="info, warning eller error", en="info, warning or error"),
    "event": Text(nb="hva som skjedde: et navn fra denne listen", en="what happened: a name of this list"),
    "msg": Text(nb="vår id på meldingen", en="our id of the message"),
    "delivery": Text(nb="vår id på leveringen til én mottaker", en="our id of the delivery to one receiver"),
    "item": Text(nb="vår id i innboksen", en="our id in the inbox"),
    "eb_id": Text(nb="eb:MessageId", en="eb:MessageId"),
    "party": Text(nb="motpartens HER-id", en="the counterpart's HER-id"),
    "ours": Text(nb="vår HER-id", en="our HER-id"),
    "client": Text(nb="fagsystemets navn i clients.toml", en="the EPJ's name in clients.toml"),
    "stage": Text(nb="sjekkpunkt, K1-K8 eller M1-M9", en="checkpoint, K1-K8 or M1-M9"),
    "error_id": Text(nb="fast feilnummer, som MB-3202", en="permanent error id, such as MB-3202"),
    "codes": Text(nb="koder fra applikasjonskvitteringen", en="codes of the application receipt"),
    "why": Text(nb="hvorfor, i våre egne ord", en="why, in our own words"),
    "attempt": Text(nb="forsøk nr.", en="number of the attempt"),
    "result": Text(nb="utfallet av et forsøk", en="how an attempt ended"),
    "http_status": Text(nb="HTTP-status", en="HTTP status"),
    "ms": Text(nb="varighet, millisekunder", en="duration, milliseconds"),
    "peer": Text(nb="skjema, maskin og port til motparten", en="scheme, host and port of the counterpart"),
    "door": Text(nb="hvilken dør: epj, partner eller http", en="which door: epj, partner or http"),
    "request": Text(nb="X-Request-Id", en="X-Request-Id"),
    "error": Text(nb="feilens type", en="type of the error"),
    "at": Text(nb="kodelinjer som feilen passerte", en="lines of code that the error passed"),
    "where": Text(nb="hvor i programmet", en="where in the program"),
    "source": Text(nb="hvilken fil eller mappe", en="which file or folder"),
    "count": Text(nb="antall", en="how many"),
    "version": Text(nb="versjon av programmet", en="version of the program"),
    "environment": Text(nb="test eller production", en="test or production"),
    "logger": Text(nb="navnet på biblioteket", en="name of the library"),
    "until": Text(nb="til når", en="until when"),
    "reason": Text(nb="grunnen", en="the reason"),
    "ebms_code": Text(nb="errorCode i ebMS 2.0", en="errorCode of ebMS 2.0"),
    "location": Text(nb="hvor i konvolutten", en="where in the envelope"),
    "algorithm": Text(nb="sha1 eller 3des", en="sha1 or 3des"),
    "of": Text(nb="hendelsen som ble foldet", en="the event that was folded"),
    "actor": Text(nb="hvem hos oss som gjorde det", en="who of our own people did it"),
    "channel": Text(nb="varslingskanal: mail eller webhook", en="channel of alerts: mail or webhook"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One kind of line: how bad it may be, what stands on it besides ts, level and event, and what it tells."""

    levels: tuple[Level, ...]
    fields: frozenset[str]
    means: Text


def _line(levels: str, fields: str, nb: str, en: str) -> Line:
    known: Mapping[str, Level] = {"info": "info", "warning": "warning", "error": "error"}
    return Line(
        levels=tuple(known[level] for level in levels.split()),
        fields=frozenset(fields.split()),
        means=Text(nb=nb, en=en),
    )


_STORY = "msg delivery item eb_id party ours client stage error_id codes why actor"


def _went(nb: str, en: str) -> Line:
    return _line("info", _STORY, nb, en)


def _stopped(nb: str, en: str) -> Line:
    return _line("warning", _STORY, nb, en)


# What is written down about a message, by kind: one line a checkpoint, and one for whatever holds it up.
STORY: Final[Mapping[EventKind, Line]] = {
    EventKind.ACCEPTED: _went("tatt imot fra fagsystemet (K1, K2)", "taken from the EPJ (K1, K2)"),
    EventKind.ADDRESSED: _went(
        "mottaker, avtale og sertifikat funnet (K3)", "party, agreement, certificate found (K3)"
    ),
    EventKind.SEALED: _went("signert, kryptert og lagret (K4)", "signed, encrypted and on disk (K4)"),
    EventKind.PARKED: _stopped("venter: kan ikke pakkes eller åpnes nå", "waits: can't be sealed or opened now"),
    EventKind.SENT: _went("overlevert transport (K5)", "handed to transport (K5)"),
    EventKind.FAILED: _went("et forsøk nådde ikke fram; vi prøver igjen", "a try did not get through; we try again"),
    EventKind.ACKNOWLEDGED: _went("transportkvittert av motparten (K6)", "acknowledged by the counterpart (K6)"),
    EventKind.REFUSED: _stopped("motparten avviste konvolutten", "the counterpart refused the envelope"),
    EventKind.ABANDONED: _stopped(
        "vi ga opp å sende; en person må se på det", "we gave up sending; a person must look"
    ),
    EventKind.RENEWED: _went("sendes i ny konvolutt", "goes into a new envelope"),
    EventKind.ALARM: _stopped("applikasjonskvitteringen er sen", "the application receipt is late"),
    EventKind.CHASED: _went("purret: dokumentet sendes igjen", "chased: the document is sent again"),
    EventKind.OVERDUE: _stopped("fristen for applikasjonskvittering gikk ut", "the receipt's deadline passed"),
    EventKind.LAPSED: _went("fristen gikk uten avvisning; regnet som godt", "the deadline passed without a rejection"),
    EventKind.RECEIPT_OK: _went("applikasjonskvittering OK (K7)", "application receipt OK (K7)"),
    EventKind.RECEIPT_PARTIAL: _went("kvittert, med feil i en del (K7)", "receipted, with faults in a part (K7)"),
    EventKind.RECEIPT_REJECTED: _went("avvist av mottakeren (K7)", "rejected by the receiver (K7)"),
    EventKind.RECEIPT_REPEATED: _went("samme kvittering kom igjen", "the same receipt came again"),
    EventKind.RECEIPT_CONTRADICTS: _stopped("en ny kvittering sier noe annet", "another receipt says otherwise"),
    EventKind.RECEIPT_DUPLICATE_WORD: _stopped("mottakeren sier duplikat", "the receiver says duplicate"),
    EventKind.RECEIPT_UNMATCHED: _stopped(
        "en kvittering passer ikke til noe", "a receipt that answers nothing of ours"
    ),
    EventKind.COMPLETED: _went("fullført", "completed"),
    EventKind.CLOSED: _went("lukket av en person", "closed by a person"),
    EventKind.CONFIRMED: _went("fagsystemet har bekreftet utfallet (K8)", "the EPJ has confirmed the outcome (K8)"),
    EventKind.HELD: _went("holdt av en person", "held by a person"),
    EventKind.RELEASED: _went("sluppet av en person", "released by a person"),
    EventKind.RETRIED: _went("sendes igjen etter ordre fra en person", "sent again by a person's order"),
    EventKind.ERASED: _went("innholdet er slettet etter oppbevaringstiden", "the body is erased, its time being over"),
    EventKind.PARTNER_HELD: _went("en motpart er holdt av en person", "a counterpart is held by a person"),
    EventKind.PARTNER_RELEASED: _went("en motpart er sluppet av en person", "a counterpart is released by a person"),
    EventKind.INBOX_DOCUMENT: _went("et dokument ligger i innboksen (M1-M6)", "a document is in the inbox (M1-M6)"),
    EventKind.RECEIPT_REQUESTED: _went("avsenderen ber om kvittering igjen", "the sender asks for the receipt again"),
    EventKind.STORED: _went("lagret av fagsystemet (M7)", "stored by the EPJ (M7)"),
    EventKind.JUDGED: _went("fagsystemet har kvittert (M8)", "the EPJ has given its verdict (M8)"),
    EventKind.RECEIPT_DELIVERED: _went("kvitteringen er levert (M9)", "the receipt is delivered (M9)"),
    EventKind.INBOUND_REJECTED: _stopped("et innkommet dokument ble avvist", "a document that came in was rejected"),
    EventKind.REFUSED_AT_DOOR: _went("fagsystemets dokument ble ikke tatt imot", "the EPJ's document was not taken"),
    EventKind.DUPLICATE: _went("samme konvolutt kom igjen; samme svar", "the same envelope again; the same answer"),
    EventKind.SIGNAL_SENT: _went("transportkvittering levert for seg", "an acknowledgment delivered by itself"),
    EventKind.SIGNAL_DROPPED: _stopped("transportkvitteringen ble ikke levert", "the acknowledgment was not delivered"),
    EventKind.SECURITY: _stopped("sikkerhetshendelse; se why", "a security event; see why"),
    EventKind.PINGED: _went("en motpart pinget; svaret går for seg", "a counterpart pinged; the Pong goes by itself"),
    EventKind.PARTNER_ASKED: _went(
        "en motpart spurte om status for en konvolutt", "a counterpart asked how an envelope of its own stands"
    ),
    EventKind.STATUS_ASKED: _went("vi spurte motparten om status", "we asked the counterpart how a message stands"),
    EventKind.STATUS_TOLD: _went("motparten svarte om status; se codes", "the counterpart said how; see codes"),
}

LINES: Final[Mapping[str, Line]] = {
    **{str(kind): line for kind, line in STORY.items()},
    "attempt": _line(
        "info",
        "msg delivery eb_id attempt result http_status error_id peer ms",
        "ett forsøk mot motpartens adresse",
        "one try at the counterpart's endpoint",
    ),
    "door.turned_away": _line(
        "info warning",
        "door http_status error_id request client ours",
        "en forespørsel ble avvist før noe ble lagret",
        "a request was refused before anything was kept",
    ),
    "webhook.state": _line(
        "info warning",
        "client peer result http_status why",
        "et fagsystems webhook går, svikter eller er slått av",
        "the webhook of an EPJ is ok, failing or disabled",
    ),
    "inbound.refused": _line(
        "warning",
        "ebms_code why location",
        "en konvolutt ble avvist på hodet",
        "an envelope was refused by its headers",
    ),
    "inbound.postponed": _line(
        "warning", "error_id why", "motparten fikk 503: feilen er vår", "a partner got 503: the fault is ours"
    ),
    "inbound.pong": _line(
        "info", "party eb_id", "motparten svarte på et Ping fra oss", "a partner answered a Ping of ours"
    ),
    "lane.closed": _line(
        "warning",
        "peer until",
        "adressen feiler stadig og får hvile; vi prøver igjen av oss selv",
        "the endpoint keeps failing and rests; we try again by ourselves",
    ),
    "transport.signal_refused": _line(
        "warning", "msg eb_id why", "svaret var ikke en gyldig kvittering", "the answer was no valid signal"
    ),
    "algorithm.outdated": _line(
        "warning",
        "algorithm party",
        "en gammel algoritme ble brukt, som adresseposten tillater",
        "an outdated algorithm was used, as the record allows",
    ),
    "process.started": _line("info", "version environment", "i drift", "running"),
    "process.stopping": _line("info", "reason", "tar ikke nytt arbeid", "takes no new work"),
    "process.stopped": _line("info", "", "alt er lagret; stoppet", "all is on disk; stopped"),
    "records.reloaded": _line("info", "source count", "filene er lest på nytt", "the files were read anew"),
    "records.bad": _line(
        "error",
        "source why error_id",
        "filen kan ikke leses; den siste gode gjelder",
        "the file can't be read; the last good one stays",
    ),
    "store.busy": _line(
        "error", "why error_id", "lageret tok ikke imot: full disk?", "the store took nothing: disk full?"
    ),
    "store.broken": _line(
        "error", "error why error_id", "skriving feilet; prosessen stopper", "a write failed; the process ends"
    ),
    "alert.sent": _line("info", "channel count", "et varsel er sendt", "an alert was sent"),
    "alert.failed": _line(
        "warning", "channel why", "varselet ble ikke sendt; vi prøver igjen", "the alert was not sent; we try again"
    ),
    "log.repeated": _line(
        "warning",
        "of error_id party peer where count",
        "samme linje kom så mange ganger til det siste minuttet",
        "the same line came so many times more within the minute",
    ),
    "unexpected": _line(
        "error",
        "error error_id where at msg request",
        "en feil i programmet; meld den",
        "a fault of the program; report it",
    ),
    "library": _line(
        "warning error",
        "logger error where",
        "et bibliotek advarte; ordene utelates",
        "a library warned; its words stay",
    ),
}

KEYS: Final = frozenset(FIELDS)

# Lines of level info that are folded where they tell of an error; all others of that level are checkpoints.
FOLDING: Final = frozenset({"attempt", EventKind.FAILED, EventKind.REFUSED_AT_DOOR, "door.turned_away"})
