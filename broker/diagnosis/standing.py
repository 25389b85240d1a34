"""Where one delivery or inbox item stands, as a sentence that names stop-point, cause, next step and ball. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from broker.diagnosis import causes
from broker.diagnosis.catalogue import CAUSES
from broker.diagnosis.receipt_codes import receipt_act
from broker.lifecycle import ITEM_STOP_POINTS, ItemStage, Outcome, Receipt, State, StopPoint, Transport
from broker.message import Ball, Code, Delivery, Envelope, InboxItem, Kind, Message, Owed, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where it stands and why. Every open delivery has error id, cause and act; what has ended well has none."""

    stop_point: StopPoint
    error_id: str | None
    sentence: Text
    next_at: datetime | None  # when we act next by ourselves
    ball: Ball
    cause: Text | None = None
    act: Text | None = None


STOP_POINTS: Final = {
    StopPoint.K1: Text(nb="mottatt fra fagsystemet", en="taken from the EPJ"),
    StopPoint.K2: Text(nb="validert", en="validated"),
    StopPoint.K3: Text(nb="adressert", en="addressed"),
    StopPoint.K4: Text(nb="pakket og sikret", en="sealed"),
    StopPoint.K5: Text(nb="overlevert transport", en="handed to transport"),
    StopPoint.K6: Text(nb="transportkvittert", en="acknowledged"),
    StopPoint.K7: Text(nb="applikasjonskvittert", en="receipted"),
    StopPoint.K8: Text(nb="bekreftet av fagsystemet", en="confirmed by the EPJ"),
    StopPoint.M1: Text(nb="mottatt", en="received"),
    StopPoint.M2: Text(nb="signatur og sertifikat holder", en="signature and certificate hold"),
    StopPoint.M3: Text(nb="avsender autorisert", en="sender authorised"),
    StopPoint.M4: Text(nb="åpnet", en="opened"),
    StopPoint.M5: Text(nb="transportkvittert av oss", en="acknowledged by us"),
    StopPoint.M6: Text(nb="i innboksen", en="in the inbox"),
    StopPoint.M7: Text(nb="lagret av fagsystemet", en="stored by the EPJ"),
    StopPoint.M8: Text(nb="kvittert av fagsystemet", en="judged by the EPJ"),
    StopPoint.M9: Text(nb="kvittering levert", en="receipt delivered"),
}

_BALLS = {
    Ball.US: Text(nb="Ballen er hos oss.", en="The ball is with us."),
    Ball.PARTNER: Text(nb="Ballen er hos motparten.", en="The ball is with the partner."),
    Ball.EPJ: Text(nb="Ballen er hos fagsystemet.", en="The ball is with the EPJ."),
    Ball.PERSON: Text(nb="Ballen er hos en person hos oss.", en="The ball is with a person on our side."),
}

# How long what waits for the EPJ may wait before it is called a fault of the EPJ's.
NOT_COLLECTED: Final = timedelta(minutes=30)  # one that polls has been there many times
CANCELLATION: Final = timedelta(minutes=15)  # someone may drive to a visit that is cancelled
NOT_JUDGED: Final = timedelta(hours=4)
NOT_CONFIRMED: Final = timedelta(minutes=30)

_RECEIPT_MISSING = Text(nb="applikasjonskvittering er ikke gitt", en="no application receipt was given")
_KNOWN_CODE = re.compile(r"[A-Z]\d{2}")  # the shape of list 8221; anything else may be a partner's free text


def _oslo() -> tzinfo:
    try:
        return ZoneInfo("Europe/Oslo")
    except ZoneInfoNotFoundError:  # a system without tzdata: the sentence then says UTC
        return UTC


OSLO: Final = _oslo()


def stand(
    delivery: Delivery,
    message: Message,
    *,
    name: str,
    now: datetime,
    envelope: Envelope | None = None,
    tz: tzinfo = OSLO,
) -> Standing:
    """Return where a delivery stands. `name` is the receiver's, from its record ("" for none); times show in `tz`."""
    error_id = _error_id(delivery, message, now)
    cause, act = _words(error_id)
    to = _party(name, delivery.receiver_her)
    sentence = (
        _open(delivery, message, to, error_id, envelope, now, tz)
        if delivery.state.outcome is Outcome.OPEN
        else _final(delivery, to)
    )
    return Standing(
        stop_point=delivery.state.stop_point,
        error_id=error_id,
        sentence=sentence,
        next_at=delivery.due,
        ball=delivery.ball,
        cause=cause,
        act=(receipt_act(delivery.codes) if error_id in (None, causes.RECEIPT_REJECTED) else None) or act,
    )


def stand_item(item: InboxItem, message: Message, *, name: str, now: datetime, cancellation: bool = False) -> Standing:
    """Return where a received document stands on its way to the EPJ and back. `name` is the sender's.

    `cancellation`: its process says that it cancels a visit, so that it may not wait long.
    """
    point = ITEM_STOP_POINTS[item.stage]
    waits = message.owed is not Owed.NEVER
    what, ball = {
        ItemStage.WAITING: (
            Text(nb="fagsystemet har ikke lagret den ennå", en="the EPJ has not stored it yet"),
            Ball.EPJ,
        ),
        ItemStage.STORED: (
            Text(nb="venter på at fagsystemet kvitterer", en="waiting for the EPJ's verdict")
            if waits
            else Text(nb="ferdig, ingen kvittering skal gis", en="finished, no receipt is owed"),
            Ball.EPJ if waits else Ball.US,
        ),
        ItemStage.JUDGED: (
            Text(nb="applikasjonskvitteringen er på vei", en="the application receipt is on its way"),
            Ball.US,
        ),
        ItemStage.RECEIPTED: (
            Text(nb="ferdig, applikasjonskvitteringen er levert", en="finished, the application receipt is delivered"),
            Ball.US,
        ),
    }[item.stage]
    age = now - item.received_at
    finished = item.stage is ItemStage.RECEIPTED or (item.stage is ItemStage.STORED and not waits)
    error_id = None if finished else _late(item, cancellation=cancellation, now=now)
    cause, act = _words(error_id)
    what = cause or what
    where = _party(name, item.sender_her)
    label = STOP_POINTS[point]
    sentence = Text(
        nb=f"Står ved {point} ({label.nb}), fra {where}, {_span(age, 'nb')} etter mottak: {what.nb}.",
        en=f"Stands at {point} ({label.en}), from {where}, {_span(age, 'en')} after reception: {what.en}.",
    )
    return Standing(
        stop_point=point,
        error_id=error_id,
        sentence=sentence if finished else _join(sentence, _BALLS[ball]),
        next_at=None,
        ball=ball,
        cause=cause,
        act=act,
    )


def _late(item: InboxItem, *, cancellation: bool, now: datetime) -> str | None:
    """What is wrong with an item that waits for the EPJ longer than it should, or None while it is in time."""
    if item.stage is ItemStage.WAITING:
        waited = now - item.received_at
        if cancellation and waited >= CANCELLATION:
            return causes.CANCELLATION_NOT_COLLECTED
        return causes.EPJ_NOT_COLLECTING if waited >= NOT_COLLECTED else None
    if item.stage is ItemStage.STORED and now - (item.updated_at or item.received_at) >= NOT_JUDGED:
        return causes.EPJ_NOT_JUDGING
    return None


def _words(error_id: str | None) -> tuple[Text | None, Text | None]:
    """Return cause and act of an id; a later release's id is its own cause."""
    if error_id is None:
        return None, None
    known = CAUSES.get(error_id)
    return (known.name, known.act) if known else (_foreign(error_id), None)


def _party(name: str, her: int) -> str:
    return f"{name} (HER-id {her})" if name else f"HER-id {her}"


def _error_id(delivery: Delivery, message: Message, now: datetime) -> str | None:
    """The recorded cause, or what the state says; for an outcome that nobody reads, that."""
    state = delivery.state
    found = error_id_of(delivery.cause, state)
    if state.outcome is Outcome.OPEN:
        return found or causes.QUEUED
    settled = delivery.updated_at
    told = state.outcome is Outcome.COMPLETED and message.kind is Kind.DOCUMENT and delivery.confirmed_at is None
    unread = told and settled is not None and now - settled >= NOT_CONFIRMED
    return found or (causes.EPJ_NOT_CONFIRMING if unread else None)


def error_id_of(cause: str | None, state: State) -> str | None:
    """Return the recorded cause; where none is recorded, what the state itself says."""
    if cause is not None:
        return cause
    if state.outcome is not Outcome.OPEN:
        return causes.RECEIPT_REJECTED if state.outcome is Outcome.REJECTED else None
    if state.receipt is Receipt.OVERDUE:
        return causes.RECEIPT_OVERDUE
    return {
        Transport.WAITING: None,
        Transport.SENT: causes.ACKNOWLEDGMENT_AWAITED,
        Transport.ACKNOWLEDGED: causes.RECEIPT_AWAITED,
        Transport.REFUSED: causes.HTTP_REFUSED,
        Transport.ABANDONED: causes.GAVE_UP,
    }[state.transport]


def _open(
    delivery: Delivery,
    message: Message,
    to: str,
    error_id: str | None,
    envelope: Envelope | None,
    now: datetime,
    tz: tzinfo,
) -> Text:
    point = delivery.state.stop_point
    label = STOP_POINTS[point]
    what, _ = _words(error_id)
    assert what is not None  # every open delivery has a cause
    age = now - message.at
    first = Text(
        nb=f"Står ved {point} ({label.nb}), til {to}, {_span(age, 'nb')} etter at vi tok imot: {what.nb}.",
        en=f"Stands at {point} ({label.en}), to {to}, {_span(age, 'en')} after we took it: {what.en}.",
    )
    return _join(first, _next(delivery, envelope, now, tz), _BALLS[delivery.ball])


def _foreign(error_id: str) -> Text:
    return Text(nb=f"årsak {error_id}", en=f"cause {error_id}")


def _next(delivery: Delivery, envelope: Envelope | None, now: datetime, tz: tzinfo) -> Text:
    due = delivery.due
    if due is None:
        return Text(nb="", en="")
    when = _when(due, now, tz)
    if due == delivery.transport_due:
        if envelope is None:
            return Text(nb=f"Neste forsøk {when.nb}.", en=f"Next try {when.en}.")
        if envelope.copies > envelope.retries:
            return Text(nb=f"Vi gir opp {when.nb}.", en=f"We give up {when.en}.")
        copy, of = envelope.copies + 1, envelope.retries + 1
        return Text(
            nb=f"Neste forsøk {when.nb} (nr. {copy} av {of}).",
            en=f"Next try {when.en} (no. {copy} of {of}).",
        )
    return Text(nb=f"Vi ser etter kvitteringen {when.nb}.", en=f"We look for the receipt {when.en}.")


def _final(delivery: Delivery, to: str) -> Text:
    receipt, given = delivery.state.receipt, _codes(delivery.codes)
    late = Text(nb=", etter fristen", en=", after its time") if delivery.late else Text(nb="", en="")
    if delivery.state.outcome is Outcome.CLOSED:
        first = Text(nb=f"Lukket av en person, til {to}.", en=f"Closed by a person, to {to}.")
    elif receipt is Receipt.REJECTED:
        first = Text(
            nb=f"Avvist av {to}{late.nb}: {given or 'ingen kode oppgitt'}.",
            en=f"Rejected by {to}{late.en}: {given or 'no code was given'}.",
        )
    elif receipt is Receipt.PARTIAL:
        first = Text(
            nb=f"Fullført: {to} kvitterte{late.nb}, med feil i en del av meldingen: {given or 'ingen kode oppgitt'}.",
            en=f"Completed: {to} receipted it{late.en}, with faults in a part: {given or 'no code was given'}.",
        )
    elif receipt is Receipt.OK:
        first = Text(nb=f"Fullført: {to} kvitterte med OK{late.nb}.", en=f"Completed: {to} receipted it OK{late.en}.")
    else:
        first = Text(
            nb=f"Fullført: transportkvittert av {to}; {_RECEIPT_MISSING.nb}.",
            en=f"Completed: acknowledged by {to}; {_RECEIPT_MISSING.en}.",
        )
    return _join(first, _alarm(delivery), _after(delivery))


def _alarm(delivery: Delivery) -> Text:
    if delivery.cause != causes.RECEIPT_CONTRADICTS:
        return Text(nb="", en="")
    name = CAUSES[causes.RECEIPT_CONTRADICTS].name
    return Text(nb=f"Men {name.nb}.", en=f"But {name.en}.")


def _after(delivery: Delivery) -> Text:
    if delivery.ball is Ball.PERSON and delivery.state.outcome is not Outcome.CLOSED:
        return _BALLS[Ball.PERSON]
    if delivery.confirmed_at is not None:
        return Text(nb="Fagsystemet har bekreftet utfallet.", en="The EPJ has confirmed the outcome.")
    return Text(nb="Fagsystemet har ikke bekreftet utfallet ennå.", en="The EPJ has not confirmed the outcome yet.")


def _codes(codes: tuple[Code, ...]) -> str:
    """Codes with the texts of our own list; a foreign code shows only when it has the shape of one."""
    shown = [
        f"{code.code} {code.text}" if code.text else code.code if _KNOWN_CODE.fullmatch(code.code) else "?"
        for code in codes
    ]
    return ", ".join(shown)


def _when(at: datetime, now: datetime, tz: tzinfo) -> Text:
    if at <= now:
        return Text(nb="nå", en="now")
    local, today = at.astimezone(tz), now.astimezone(tz).date()
    zone = " UTC" if tz is UTC else ""
    left = at - now
    day = "" if local.date() == today else f"{local.day}.{local.month}. "
    en_day = "" if local.date() == today else f"{local:%d %b} "
    return Text(
        nb=f"om {_span(left, 'nb')} ({day}kl. {local:%H.%M}{zone})",
        en=f"in {_span(left, 'en')} ({en_day}at {local:%H:%M}{zone})",
    )


def _span(span: timedelta, language: str) -> str:
    seconds = max(0, int(span.total_seconds()))
    hours = "t" if language == "nb" else "h"
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86400:
        return f"{seconds // 3600} {hours} {seconds % 3600 // 60} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600} {hours}"


def _join(*texts: Text) -> Text:
    return Text(
        nb=" ".join(text.nb for text in texts if text.nb),
        en=" ".join(text.en for text in texts if text.en),
    )
