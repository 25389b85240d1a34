"""Alarms that belong to no message: clock, disk, certificates, records, and partners that fell silent. Pure.

Whoever shows or sends them (the status screen, metrics, alerts) asks `conditions` with what was found, and the time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from statistics import median
from typing import Final

from broker.diagnosis import causes
from broker.diagnosis.catalogue import CAUSES
from broker.diagnosis.standing import CANCELLATION, OSLO
from broker.message import Ball, Text

CLOCK_LIMIT: Final = timedelta(minutes=2)  # HTTP Date has whole seconds, and answers take some
LOW: Final = 4  # reserves of disk
OWN_ENDS_SOON: Final = timedelta(days=30)  # to order one takes weeks
PARTNERS_ENDS_SOON: Final = timedelta(days=14)
LOOKED_BACK: Final = timedelta(days=28)  # what a partner's habit is read from
_USED_TO: Final = 5  # weekdays on which a partner was heard: fewer are no habit
_TIMES: Final = 2  # its usual longest silence
_LEAST: Final = timedelta(days=1)  # of weekdays
_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One alarm. `about` tells it from others of its error id: an organisation number, a HER-id, a file, a host."""

    error_id: str
    about: str
    sentence: Text
    since: datetime | None = None

    @property
    def ball(self) -> Ball:
        """Return who must act."""
        return CAUSES[self.error_id].ball

    @property
    def cause(self) -> Text:
        """Return what it is, in the words of the catalogue."""
        return CAUSES[self.error_id].name

    @property
    def act(self) -> Text:
        """Return what to do."""
        return CAUSES[self.error_id].act


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Until when a certificate, the newest of its use, can be used. `error_id`: why it can't even now."""

    whose: str  # organisation number, or HER-id of a partner
    own: bool
    ends: datetime | None
    error_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found around us."""

    now: datetime
    free: int  # bytes of the store's disk
    reserve: int  # bytes below which nothing is taken
    offsets: Mapping[str, timedelta] = field(default_factory=dict)  # our clock less a partner's, by host
    terms: tuple[Term, ...] = ()
    bad_files: tuple[str, ...] = ()  # places in settings and data files that are wrong
    held: Mapping[int, datetime] = field(default_factory=dict)  # senders that are not opened, until when
    resting: Mapping[str, datetime] = field(default_factory=dict)  # hosts that are left alone, until when
    silent_services: Mapping[str, datetime] = field(default_factory=dict)  # hosts that ought to tell of revocation
    heard: Mapping[int, Sequence[datetime]] = field(default_factory=dict)  # when partners sent us anything
    cancelled: Mapping[int, Sequence[datetime]] = field(default_factory=dict)  # when uncollected cancellations came


def conditions(facts: Facts) -> tuple[Condition, ...]:
    """Return every alarm that holds now, by error id."""
    found = [
        *_disk(facts),
        *_clock(facts),
        *_certificates(facts),
        *silent(facts.heard, facts.now),
        *_cancelled(facts),
        *(_of(causes.CONFIG_INVALID, place) for place in facts.bad_files),
        *(_of(causes.SENDER_HELD, str(her), until=end) for her, end in facts.held.items()),
        *(_of(causes.REVOCATION_UNKNOWN, host, since=since) for host, since in facts.silent_services.items()),
        *(_of(causes.LANE_CLOSED, host, until=end) for host, end in facts.resting.items()),
    ]
    return tuple(sorted(found, key=lambda each: (each.error_id, each.about)))


def silent(heard: Mapping[int, Sequence[datetime]], now: datetime, *, tz: tzinfo = OSLO) -> tuple[Condition, ...]:
    """Return the partners that used to send on weekdays and have been silent twice as long as they usually are.

    Weekends do not count; public holidays do. The longest silence of all is left out: one outage teaches nothing.
    """
    found = []
    for her, times in sorted(heard.items()):
        lately = sorted(time for time in times if now - LOOKED_BACK <= time <= now)
        days = {day for time in lately if (day := time.astimezone(tz).date()).weekday() < _SATURDAY}
        gaps = sorted(weekday_time(one, next, tz) for one, next in pairwise(lately))
        if len(days) < _USED_TO or len(gaps) < _USED_TO - 1:
            continue
        since = weekday_time(lately[-1], now, tz)
        if since > max(_TIMES * gaps[-2], _LEAST):
            found.append(_of(causes.PARTNER_SILENT, str(her), since=lately[-1]))
    return tuple(found)


def weekday_time(begin: datetime, end: datetime, tz: tzinfo = OSLO) -> timedelta:
    """Return the time from `begin` to `end` without Saturdays and Sundays."""
    total, at, end = timedelta(), begin.astimezone(tz), end.astimezone(tz)
    while at < end:
        midnight = (at + _DAY).replace(hour=0, minute=0, second=0, microsecond=0)
        until = min(midnight, end)
        if at.weekday() < _SATURDAY:
            total += until - at
        at = until
    return total


def _cancelled(facts: Facts) -> Iterable[Condition]:
    for her, times in facts.cancelled.items():
        late = [time for time in times if facts.now - time >= CANCELLATION]
        if late:
            yield _of(causes.CANCELLATION_NOT_COLLECTED, str(her), detail=f"({len(late)})", since=min(late))


def _disk(facts: Facts) -> Iterable[Condition]:
    left = f"{facts.free // 1_000_000} MB"
    if facts.free < facts.reserve:
        yield _of(causes.DISK_FULL, "", detail=left)
    elif facts.free < LOW * facts.reserve:
        yield _of(causes.DISK_LOW, "", detail=left)


def _clock(facts: Facts) -> Iterable[Condition]:
    """Ours is compared with the middle one of theirs: one partner with a wrong clock is its own trouble."""
    if not facts.offsets:
        return
    off = median(offset.total_seconds() for offset in facts.offsets.values())
    if abs(off) > CLOCK_LIMIT.total_seconds():
        yield _of(causes.CLOCK_OFF, "", detail=f"{round(off):+d} s ({len(facts.offsets)})")


def _certificates(facts: Facts) -> Iterable[Condition]:
    for term in facts.terms:
        soon, expired, within = (
            (causes.OWN_EXPIRES_SOON, causes.OWN_EXPIRED, OWN_ENDS_SOON)
            if term.own
            else (causes.PARTNER_EXPIRES_SOON, causes.PARTNER_EXPIRED, PARTNERS_ENDS_SOON)
        )
        if term.error_id is not None:
            yield _of(term.error_id, term.whose)
        elif term.ends is not None and term.ends < facts.now:
            yield _of(expired, term.whose, since=term.ends)
        elif term.ends is not None and term.ends - facts.now < within:
            yield _of(soon, term.whose, until=term.ends)


def _of(
    error_id: str, about: str, *, detail: str = "", since: datetime | None = None, until: datetime | None = None
) -> Condition:
    name = CAUSES[error_id].name
    nb, en = (f"{phrase[:1].upper()}{phrase[1:]}" for phrase in (name.nb, name.en))
    said = ", ".join(part for part in (about, detail) if part)
    if said:
        nb, en = f"{nb}: {said}", f"{en}: {said}"
    if since is not None:
        nb, en = f"{nb} (siden {since:%d.%m.%Y %H.%M} UTC)", f"{en} (since {since:%Y-%m-%d %H:%M} UTC)"
    if until is not None:
        nb, en = f"{nb} (til {until:%d.%m.%Y %H.%M} UTC)", f"{en} (until {until:%Y-%m-%d %H:%M} UTC)"
    return Condition(error_id=error_id, about=about, sentence=Text(nb=f"{nb}.", en=f"{en}."), since=since)
