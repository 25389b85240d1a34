"""What people are told of without having to look: one problem, once when it opens and once when it is over. Pure.

A problem is a group (stop-point, error id, counterpart), whether one delivery stands there or ten thousand. It opens
when a person is needed or when it has lasted, and closes when nothing has stood there for a while, so that what comes
and goes is not told each time. All that opened and closed between two looks goes in one notice.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from broker.diagnosis import CAUSES, causes
from broker.diagnosis.problems import Problem, ProblemKey
from broker.errors import BrokerError
from broker.message import Ball, Text
from broker.scrubbing import blank

_OWN: Final = "own"  # where the stop-point of a problem would stand that holds no message yet


class AlertFailed(BrokerError):
    """A channel did not take a notice. It is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What stands alike and should not: a problem of `broker.diagnosis`, or one of our own."""

    id: str  # as operators type it
    her: int  # the counterpart; of ours where our own EPJ is waited for
    error_id: str | None
    name: Text
    ball: Ball
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One problem that people know of, or are to be told of."""

    problem: str
    name: Text
    ball: Ball
    count: int  # the most that stood there
    oldest: datetime
    opened_at: datetime
    gone_at: datetime | None = None
    closed_at: datetime | None = None
    told: frozenset[str] = frozenset()  # channels that know of the present phase

    @property
    def her(self) -> int:
        """Return the counterpart's HER-id; 0 for a problem of our own that is about none."""
        whose = self.problem.rpartition(":")[2]
        return int(whose) if whose.isdecimal() else 0

    @property
    def error_id(self) -> str:
        """Return the error id, or "-"."""
        return self.problem.split(":")[1]

    @property
    def own(self) -> bool:
        """Say whether it is about ourselves, and no message stands there."""
        return self.problem.startswith(f"{_OWN}:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one channel is told at one time. The same notice has the same id, also when it is tried again."""

    at: datetime
    opened: tuple[Alert, ...]
    closed: tuple[Alert, ...]
    subject: str
    text: str

    @property
    def id(self) -> str:
        """Return an id of 32 characters."""
        about = [f"{alert.problem} {alert.opened_at} {alert.closed_at}" for alert in (*self.opened, *self.closed)]
        return sha256("\n".join(about or [str(self.at)]).encode()).hexdigest()[:32]


def own(error_id: str, whose: str, name: Text, since: datetime) -> Group:
    """Return a problem of our own: a certificate that ends soon, a disk that fills. `whose`: a HER-id, or a word."""
    id, her = f"{_OWN}:{error_id}:{whose or '-'}", int(whose) if whose.isdecimal() else 0
    return Group(id=id, her=her, error_id=None, name=name, ball=Ball.PERSON, count=1, oldest=since)


def groups(problems: Iterable[Problem]) -> tuple[Group, ...]:
    """Return the problems that people may be told of: what a person holds is known to whoever holds it.

    That a lane is closed is no cause: its deliveries stand with those that show what closed it, where there are any.
    """
    told = [problem for problem in problems if problem.key.error_id != causes.HELD_BY_PERSON]
    found: dict[ProblemKey, Problem] = {}
    for problem in sorted(told, key=lambda one: one.key.error_id == causes.LANE_CLOSED):
        key = problem.key if problem.key.error_id != causes.LANE_CLOSED else _behind(problem, found.values())
        found[key] = _one(found[key], problem) if key in found else problem
    return tuple(
        Group(
            id=str(key),
            her=key.counterpart,
            error_id=key.error_id,
            name=problem.name,
            ball=problem.ball,
            count=problem.count,
            oldest=problem.oldest,
        )
        for key, problem in found.items()
    )


def _behind(closed: Problem, found: Iterable[Problem]) -> ProblemKey:
    place = (closed.key.stop_point, closed.key.counterpart)
    same = [problem for problem in found if (problem.key.stop_point, problem.key.counterpart) == place]
    return max(same, key=lambda problem: problem.count, default=closed).key


def _one(first: Problem, other: Problem) -> Problem:
    return replace(first, count=first.count + other.count, oldest=min(first.oldest, other.oldest))


def compare(
    kept: Iterable[Alert],
    groups: Iterable[Group],
    *,
    channels: Collection[str],
    after: timedelta,
    quiet: timedelta,
    now: datetime,
) -> tuple[Alert, ...]:
    """Return the alerts that are new or have changed. `groups` are all that stand now.

    A group opens at once where a person is needed, else when its oldest is `after` old. It closes when it has been
    gone for `quiet`.
    """
    standing, known = {group.id: group for group in groups}, {alert.problem: alert for alert in kept}
    changed = [then for alert in known.values() if (then := _then(alert, standing, channels, quiet, now)) != alert]
    return (
        *changed,
        *(
            _opened(group, now)
            for id, group in standing.items()
            if id not in known and (group.ball is Ball.PERSON or now - group.oldest >= after)
        ),
    )


def _opened(group: Group, now: datetime) -> Alert:
    return Alert(
        problem=group.id,
        name=group.name,
        ball=group.ball,
        count=group.count,
        oldest=group.oldest,
        opened_at=now,
    )


def _then(
    alert: Alert, standing: Mapping[str, Group], channels: Collection[str], quiet: timedelta, now: datetime
) -> Alert:
    if alert.closed_at is not None:
        return alert
    if (group := standing.get(alert.problem)) is not None:
        return replace(alert, gone_at=None, count=max(alert.count, group.count))
    if alert.gone_at is None:
        return replace(alert, gone_at=now)
    if now - alert.gone_at < quiet:
        return alert
    # Who never heard that it opened need not hear that it closed.
    return replace(alert, closed_at=now, told=frozenset(channels) - alert.told)


def heard(alert: Alert, channel: str) -> Alert:
    """Return the alert, now that the channel knows of its phase."""
    return replace(alert, told=alert.told | {channel})


def over(alert: Alert, channels: Collection[str]) -> bool:
    """Say whether nobody is left to be told that it closed."""
    return alert.closed_at is not None and alert.told >= frozenset(channels)


def notice(
    kept: Iterable[Alert], channel: str, *, host: str, language: str, names: Mapping[int, str], now: datetime
) -> Notice | None:
    """Return what the channel does not know yet, in words; or None. `names` are those of organisations and units."""
    waiting = [alert for alert in kept if channel not in alert.told]
    opened = tuple(alert for alert in waiting if alert.closed_at is None)
    closed = tuple(alert for alert in waiting if alert.closed_at is not None)
    if not waiting:
        return None
    names = {her: blank(name) for her, name in names.items()}  # each by itself: a secret may have more than one line
    said = [_said(alert, names, now) for alert in (*opened, *closed)]
    subject = _subject(opened, closed, names)
    return Notice(
        at=now,
        opened=opened,
        closed=closed,
        subject=f"[{host}] {_in(subject, language)}",
        text="\n\n".join(_in(one, language) for one in said) + "\n",
    )


# --- words ---

_BALLS: Final = {
    Ball.US: Text(nb="Ballen er hos oss.", en="The ball is with us."),
    Ball.PARTNER: Text(nb="Ballen er hos motparten.", en="The ball is with the partner."),
    Ball.EPJ: Text(nb="Ballen er hos fagsystemet.", en="The ball is with the EPJ."),
    Ball.PERSON: Text(nb="Ballen er hos en person hos oss.", en="The ball is with a person on our side."),
}


def _in(text: Text, language: str) -> str:
    return text.nb if language == "nb" else text.en


def _subject(opened: tuple[Alert, ...], closed: tuple[Alert, ...], names: Mapping[int, str]) -> Text:
    if len(opened) + len(closed) > 1:
        return Text(
            nb=f"{len(opened)} problemer åpnet, {len(closed)} lukket",
            en=f"{len(opened)} problems opened, {len(closed)} closed",
        )
    (alert,) = (*opened, *closed)
    what = _what(alert, names)
    return what if opened else Text(nb=f"Løst: {what.nb}", en=f"Solved: {what.en}")


def _what(alert: Alert, names: Mapping[int, str]) -> Text:
    name = Text(nb=blank(alert.name.nb), en=blank(alert.name.en))
    if alert.own:
        return name
    party = f"{names[alert.her]} (HER-id {alert.her})" if alert.her in names else f"HER-id {alert.her}"
    one = alert.count == 1
    return Text(
        nb=f"{alert.count} {'melding' if one else 'meldinger'}, {party}: {name.nb} ({alert.error_id})",
        en=f"{alert.count} {'message' if one else 'messages'}, {party}: {name.en} ({alert.error_id})",
    )


def _said(alert: Alert, names: Mapping[int, str], now: datetime) -> Text:
    what = _what(alert, names)
    if alert.closed_at is not None:
        lasted = _span((alert.gone_at or alert.closed_at) - alert.opened_at)
        return Text(
            nb=f"LØST  {alert.problem}\n{what.nb}. Det varte {lasted.nb} etter at det ble varslet.",
            en=f"SOLVED  {alert.problem}\n{what.en}. It lasted {lasted.en} after it was told.",
        )
    if alert.own:
        return Text(nb=f"NYTT  {alert.problem}\n{what.nb}.", en=f"NEW  {alert.problem}\n{what.en}.")
    cause, age, ball = CAUSES.get(alert.error_id), _span(now - alert.oldest), _BALLS[alert.ball]
    act = cause.act if cause else Text(nb="", en="")
    return Text(
        nb=f"NYTT  {alert.problem}\n{what.nb}. Den eldste har ventet {age.nb}. {ball.nb}\n{act.nb}\n"
        f"Se: broker problem {alert.problem}",
        en=f"NEW  {alert.problem}\n{what.en}. The oldest has waited {age.en}. {ball.en}\n{act.en}\n"
        f"See: broker problem {alert.problem}",
    )


def _span(span: timedelta) -> Text:
    minutes = max(0, int(span.total_seconds())) // 60
    if minutes < 60:
        return Text(nb=f"{minutes} min", en=f"{minutes} min")
    hours, days = minutes // 60, minutes // 1440
    if days:
        return Text(nb=f"{days} d {hours % 24} t", en=f"{days} d {hours % 24} h")
    return Text(nb=f"{hours} t {minutes % 60} min", en=f"{hours} h {minutes % 60} min")
