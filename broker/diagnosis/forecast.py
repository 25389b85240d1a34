"""How long the certificates last, ours and our partners', and what fails when they end. Pure.

What counts is not the end of a certificate, but how long somebody has one that can be used: a next one that is loaded
takes its place without a gap. Certificates are forecast where they stand: one of a municipality serves all its units.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final

from cryptography.x509 import Certificate

from broker.message import Text
from broker.routing.party import Agreement, Directory, Party, PartyKind, Trust
from broker.sealing.certificates import Reason, Use, usable
from broker.sealing.keys import Generation, signing_at

_DELIVERY = timedelta(days=30)  # from the order of a certificate of the sector to the day it is in use everywhere


class Level(IntEnum):
    """How near the end is."""

    FINE = 0
    ORDER = 1  # time to order the next one
    SOON = 2
    URGENT = 3  # or over


class Purpose(StrEnum):
    """What a certificate does for us."""

    SIGN = "signing"
    ENCRYPT = "encryption"
    TLS = "tls"


class State(StrEnum):
    """What a certificate is good for at the moment."""

    USED = "used"
    NEXT = "next"  # valid later, or dated by the operator
    KEPT = "kept"  # an old one of ours that still opens; one of a partner's that is valid beside the newest
    ENDED = "ended"
    UNUSABLE = "unusable"  # for another use, or a key that is too short


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Whole days left from which on a level holds."""

    order: int = 60
    soon: int = 30
    urgent: int = 7

    def level(self, days: int | None) -> Level:
        """Return the level of so many days left; None: nothing can be used now."""
        if days is None or days < self.urgent:
            return Level.URGENT
        return Level.SOON if days < self.soon else Level.ORDER if days < self.order else Level.FINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One certificate, and what it does now. `begins`: from when it is to serve; `days_left`: negative when over."""

    certificate: Certificate
    state: State
    begins: datetime
    days_left: int
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The certificates of one holder for one purpose. `lasts_until` None: none can be used now."""

    own: bool
    holder: str
    her_id: int | None  # of the record that holds them; None: our own
    organisation: str | None
    purpose: Purpose
    serves: tuple[int, ...]  # the HER-ids that depend on it
    held: tuple[Held, ...]
    lasts_until: datetime | None
    level: Level
    fails: Text  # what does when it ends, or does now
    act: Text | None  # None: nothing is to be done yet

    def days_left(self, at: datetime) -> int | None:
        """Return whole days until nothing can be used any more; None where that is so already."""
        return (self.lasts_until - at).days if self.lasts_until is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What one organisation hosted here has."""

    number: str
    name: str
    hers: tuple[int, ...]
    signing: tuple[Generation, ...]
    encryption: tuple[Generation, ...]


def forecast(
    own: Iterable[Own],
    directory: Directory,
    *,
    doors: Mapping[str, tuple[str, Certificate]],
    at: datetime,
    thresholds: Thresholds | None = None,
) -> tuple[Forecast, ...]:
    """Return what there is to say of every holder at `at`, that which ends first before the others.

    `doors` gives the file and the TLS certificate of each door that has one, "partner" and "epj", and of "tls":
    what we show to partners' servers.
    """
    limits, organisations = thresholds or Thresholds(), tuple(own)
    ours = frozenset(her for each in organisations for her in each.hers)
    found = [
        *(each for organisation in organisations for each in _of_own(organisation, directory, at, limits)),
        *(_of_door(door, *held, at, limits) for door, held in doors.items()),
        *_of_partners(directory, ours, at, limits),
    ]
    return tuple(sorted(found, key=lambda each: (-each.level, each.lasts_until or at, not each.own, each.holder)))


# --- ours ---


def _of_own(own: Own, directory: Directory, at: datetime, limits: Thresholds) -> Iterator[Forecast]:
    agreed = _agreements(directory, own.hers)
    partners = sorted({theirs for theirs, _ in agreed})
    hers, many = _hers(own.hers), len(partners)
    chosen = signing_at(own.signing, at)
    late = _begins_late(own.signing, agreed, at)
    yield _forecast(
        own=own,
        purpose=Purpose.SIGN,
        held=[_held_own(each, Use.SIGN, at, used=each is chosen, old=State.ENDED) for each in own.signing],
        spans=_spans(own.signing, Use.SIGN, at),
        at=at,
        limits=limits,
        fails=Text(
            nb=f"ingenting sendes og ingenting kvitteres for {hers}: {many} motparter, alle prosesser",
            en=f"nothing is sent and nothing acknowledged for {hers}: {many} partners, all processes",
        ),
        missing="signing",
        late=late,
    )
    newest = next((each for each in own.encryption if _ok(each.pair.certificate, Use.ENCRYPT, at)), None)
    yield _forecast(
        own=own,
        purpose=Purpose.ENCRYPT,
        held=[_held_own(each, Use.ENCRYPT, at, used=each is newest, old=State.KEPT) for each in own.encryption],
        spans=_spans(own.encryption, Use.ENCRYPT, at),
        at=at,
        limits=limits,
        fails=Text(
            nb=f"motparter kan ikke kryptere til {hers}: det {many} motparter sender, stopper hos dem",
            en=f"partners cannot encrypt to {hers}: what {many} partners send stops with them",
        ),
        missing="encryption",
        late=None,
    )


def _forecast(
    *,
    own: Own,
    purpose: Purpose,
    held: Sequence[Held],
    spans: Sequence[tuple[datetime, datetime]],
    at: datetime,
    limits: Thresholds,
    fails: Text,
    missing: str,
    late: datetime | None,
) -> Forecast:
    until = _lasts(spans, at)
    level = limits.level((until - at).days if until else None)
    day = _order_by(until, at)
    act: Text | None = None
    if late is not None and level < Level.SOON:
        level = Level.SOON
    if late is not None:
        act = Text(
            nb=f"La det neste signere senest fra {late:%F}: det som det gamle har signert, må rekke å komme fram",
            en=f"Let the next one sign from {late:%F} at the latest: what the old one signed must have time to arrive",
        )
    elif level > Level.FINE:
        file = f"keys/{own.number}/{missing}-{'YYYY-MM-DD' if purpose is Purpose.SIGN else '2'}.p12"
        act = Text(
            nb=f"Bestill nytt innen {day}, legg det ved siden av ({file}), og gi motpartene sertifikatet",
            en=f"Order a new one by {day}, put it beside the old one ({file}), and give partners the certificate",
        )
    return Forecast(
        own=True,
        holder=own.name,
        her_id=None,
        organisation=own.number,
        purpose=purpose,
        serves=own.hers,
        held=_in_order(held),
        lasts_until=until,
        level=level,
        fails=fails,
        act=act,
    )


def _held_own(each: Generation, use: Use, at: datetime, *, used: bool, old: State) -> Held:
    verdict = usable(each.pair.certificate, use, at)
    if used:
        state = State.USED
    elif verdict.reason in (Reason.WRONG_USAGE, Reason.WEAK_KEY, Reason.NOT_RSA):
        state = State.UNUSABLE
    elif each.begins > at:
        state = State.NEXT
    else:
        state = old if verdict.reason is Reason.EXPIRED else State.KEPT
    return Held(
        certificate=each.pair.certificate,
        state=state,
        begins=each.begins,
        days_left=verdict.days_left,
        source=each.source,
    )


def _begins_late(
    generations: Sequence[Generation], agreed: Collection[tuple[int, Agreement]], at: datetime
) -> datetime | None:
    """Return by when the next generation must sign, where it is dated later than that.

    A copy sent again is signed by the certificate that sealed it: that must hold as long as the copies may go out.
    """
    now = signing_at(generations, at)
    following = [each for each in generations if now is not None and each.begins > max(at, now.begins)]
    if now is None or not following:
        return None
    longest = max((agreement.persist_duration for _, agreement in agreed), default=timedelta(days=2))
    by = now.ends - longest
    return by if min(each.begins for each in following) > by else None


_DOORS: Final = {
    "partner": Text(nb="motpartene når oss ikke (TLS)", en="partners do not reach us (TLS)"),
    "epj": Text(nb="fagsystemene når oss ikke (TLS)", en="EPJ systems do not reach us (TLS)"),
    "tls": Text(
        nb="motparter som krever klientsertifikat, slipper oss ikke inn",
        en="partners that demand a client certificate do not let us in",
    ),
}


def _of_door(door: str, source: str, certificate: Certificate, at: datetime, limits: Thresholds) -> Forecast:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    until = _lasts([(begins, ends)], at)
    state = State.USED if until else State.NEXT if begins > at else State.ENDED
    level = limits.level((until - at).days if until else None)
    held = Held(certificate=certificate, state=state, begins=begins, days_left=(ends - at).days, source=source)
    return Forecast(
        own=True,
        holder=f"[{door}]",
        her_id=None,
        organisation=None,
        purpose=Purpose.TLS,
        serves=(),
        held=(held,),
        lasts_until=until,
        level=level,
        fails=_DOORS[door],
        act=Text(nb=f"Forny {source}", en=f"Renew {source}") if level else None,
    )


# --- partners' ---


def _of_partners(directory: Directory, ours: frozenset[int], at: datetime, limits: Thresholds) -> Iterator[Forecast]:
    units = [
        party
        for her, party in sorted(directory.parties.items())
        if her not in ours and party.active and party.kind is not PartyKind.ORGANISATION
        if any(directory.agreement(our, her) for our in ours)
    ]
    for use in (Use.ENCRYPT, Use.SIGN):
        served: dict[int, list[Party]] = {}
        for unit in units:
            if use is Use.SIGN and directory.trust(unit.her_id) is Trust.PATH:
                continue  # what it signs with comes with the message
            lineage = directory.lineage(unit.her_id)
            holder = next((party for party in lineage if _pinned(party, use)), lineage[-1])
            served.setdefault(holder.her_id, []).append(unit)
        for her, dependants in served.items():
            yield _of_partner(directory, directory.parties[her], dependants, use, at, limits)


def _of_partner(
    directory: Directory, holder: Party, units: Sequence[Party], use: Use, at: datetime, limits: Thresholds
) -> Forecast:
    pinned = _pinned(holder, use)
    valid = [each for each in pinned if _ok(each, use, at)]
    # As `routing.choose` does: one is sealed for, and each of them is trusted.
    newest = max(valid, key=lambda each: (each.not_valid_before_utc, each.not_valid_after_utc), default=None)
    until = _lasts([(each.not_valid_before_utc, each.not_valid_after_utc) for each in _fit(pinned, use, at)], at)
    level = limits.level((until - at).days if until else None)
    hers = _hers([unit.her_id for unit in units])
    if use is Use.ENCRYPT:
        every = any(unit.receives is None for unit in units)
        named = ", ".join(sorted({name for unit in units for name in unit.receives or ()}))
        fails = Text(
            nb=f"meldinger til {hers} stopper ({'alle prosesser' if every else named})",
            en=f"messages to {hers} stop ({'all processes' if every else named})",
        )
    else:
        fails = Text(
            nb=f"ingenting fra {hers} godtas, heller ikke kvitteringer på det vi har sendt",
            en=f"nothing from {hers} is accepted, receipts for what we have sent included",
        )
    act = Text(
        nb=f"Be {holder.name} om {'neste sertifikat' if pinned else 'sertifikatet'}, og før det opp i {holder.source}",
        en=f"Ask {holder.name} for its {'next ' if pinned else ''}certificate, and add it to {holder.source}",
    )
    number = next((p.organisation_number for p in directory.lineage(holder.her_id) if p.organisation_number), None)
    return Forecast(
        own=False,
        holder=holder.name,
        her_id=holder.her_id,
        organisation=number,
        purpose=Purpose.SIGN if use is Use.SIGN else Purpose.ENCRYPT,
        serves=tuple(unit.her_id for unit in units),
        held=_in_order(
            _held_partner(each, use, at, used=each is newest or use is Use.SIGN, source=holder.source)
            for each in pinned
        ),
        lasts_until=until,
        level=level,
        fails=fails,
        act=act if level else None,
    )


def _held_partner(certificate: Certificate, use: Use, at: datetime, *, used: bool, source: str) -> Held:
    verdict = usable(certificate, use, at)
    states = {None: State.USED if used else State.KEPT, Reason.NOT_YET_VALID: State.NEXT, Reason.EXPIRED: State.ENDED}
    return Held(
        certificate=certificate,
        state=states.get(verdict.reason, State.UNUSABLE),
        begins=certificate.not_valid_before_utc,
        days_left=verdict.days_left,
        source=source,
    )


# --- what both share ---


def _in_order(held: Iterable[Held]) -> tuple[Held, ...]:
    """Return what is used now first, then what is next."""
    order = list(State)
    return tuple(sorted(held, key=lambda each: (order.index(each.state), each.begins)))


def _pinned(party: Party, use: Use) -> tuple[Certificate, ...]:
    return party.signing if use is Use.SIGN else party.encryption


def _ok(certificate: Certificate, use: Use, at: datetime) -> bool:
    return usable(certificate, use, at).ok


def _fit(certificates: Iterable[Certificate], use: Use, at: datetime) -> list[Certificate]:
    """Return those that only time keeps from being used."""
    in_time = (None, Reason.NOT_YET_VALID, Reason.EXPIRED)
    return [each for each in certificates if usable(each, use, at).reason in in_time]


def _spans(generations: Sequence[Generation], use: Use, at: datetime) -> list[tuple[datetime, datetime]]:
    fit = _fit((each.pair.certificate for each in generations), use, at)
    return [(each.not_valid_before_utc, each.not_valid_after_utc) for each in fit]


def _lasts(spans: Iterable[tuple[datetime, datetime]], at: datetime) -> datetime | None:
    """Return until when there is something valid without a gap; None where there is nothing at `at`."""
    until: datetime | None = None
    for begin, end in sorted(spans):
        if begin <= (until or at) and end >= (until or at):
            until = end
    return until


def _order_by(until: datetime | None, at: datetime) -> date:
    return max((until or at) - _DELIVERY, at).date()


def _agreements(directory: Directory, hers: Collection[int]) -> list[tuple[int, Agreement]]:
    return [
        (theirs, agreement)
        for theirs in directory.parties
        if theirs not in hers
        for ours in hers
        if (agreement := directory.agreement(ours, theirs)) is not None
    ]


def _hers(hers: Sequence[int]) -> str:
    shown = ", ".join(str(her) for her in hers[:4])
    return f"HER-id {shown}" + (f" (+{len(hers) - 4})" if len(hers) > 4 else "")
