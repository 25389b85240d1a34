"""The loop that looks how it stands: it sets the gauges, tells people of problems, and measures the event loop.

It looks every 15 seconds, or more seldom where counting takes long. It writes nothing but what people were told;
whatever goes wrong in it stops no message.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from broker import alerts, gauges, telemetry
from broker.alerts import Alert, AlertFailed, Group, Notice
from broker.diagnosis import causes
from broker.diagnosis.conditions import Condition, Facts, conditions
from broker.diagnosis.problems import Tally, Uncollected, problems
from broker.errors import BrokerError, StoreBroken, Unaddressable
from broker.ports import Addresses, Clock
from broker.routing.party import Directory

_SHARE: Final = 20  # counting may take one part in so many of the time
_BEAT: Final = 0.5  # seconds between two looks at the event loop's lag
_NOTICES: Final = timedelta(minutes=1)  # between two to the same channel, whatever happens
# Alarms of no message that somebody must hear of. A closed lane is told by its deliveries, a bad file by the log.
_OF_ORGANISATIONS: Final = frozenset(
    {
        causes.OWN_EXPIRED,
        causes.OWN_NOT_YET_VALID,
        causes.OWN_WRONG_USAGE,
        causes.OWN_MISSING,
        causes.OWN_EXPIRES_SOON,
    }
)
_TOLD: Final = _OF_ORGANISATIONS | {
    causes.CANCELLATION_NOT_COLLECTED,
    causes.PARTNER_SILENT,
    causes.CLOCK_OFF,
    causes.SENDER_HELD,
    causes.DISK_FULL,
}


class Kept(Protocol):
    """What is asked of the store."""

    async def tallies(self, *, now: datetime) -> tuple[Tally, ...]:
        """Return what is open or waits for a person, counted."""

    async def uncollected(self) -> tuple[Uncollected, ...]:
        """Return what waits for our own EPJ systems, counted."""

    async def alerts(self) -> tuple[Alert, ...]:
        """Return what people were told of, or are to be told of."""

    async def keep_alerts(self, alerts: Sequence[Alert], *, forgotten: Sequence[str] = ()) -> None:
        """Write what people know of now."""


class Channel(Protocol):
    """One way to people."""

    @property
    def name(self) -> telemetry.Channel:
        """Return what it is called in the log."""

    async def send(self, notice: Notice) -> None:
        """Send it. Raises AlertFailed, and is then asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Whom to tell, and when."""

    channels: tuple[Channel, ...] = ()
    language: str = "nb"
    host: str = ""
    after: timedelta = timedelta(minutes=15)
    quiet: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What there is to look at besides the store."""

    addresses: Addresses
    clock: Clock
    facts: Callable[[], Awaitable[Facts]]  # what alarms that belong to no message are read from
    every: timedelta = timedelta(seconds=15)  # between two looks


class Watch:
    """One per process. `run` ends only by being cancelled."""

    def __init__(self, store: Kept, around: Around, telling: Telling) -> None:
        self._store, self._around, self._telling = store, around, telling
        self._kept: dict[str, Alert] | None = None
        self._told_at: dict[str, datetime] = {}
        self._counting = 0.0  # seconds that the store took to count, the last time

    async def run(self) -> None:
        """Look, for ever. Raises StoreBroken when the store can't be relied on any more."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beats(), name="loop lag")
            while True:
                try:
                    await self.look()
                except StoreBroken:
                    raise
                except BrokerError as why:
                    telemetry.store_busy(why=why.why)
                except Exception as fault:
                    telemetry.unexpected("watch", fault)
                telemetry.tell_folded()
                await asyncio.sleep(max(self._around.every.total_seconds(), _SHARE * self._counting))

    async def look(self) -> None:
        """Look once: set the gauges, and tell each channel what it does not know. Raises StoreBusy, StoreBroken."""
        now, loop = self._around.clock.now(), asyncio.get_running_loop()
        began = loop.time()
        tallies, uncollected = await self._store.tallies(now=now), await self._store.uncollected()
        facts = await self._around.facts()
        self._counting = loop.time() - began
        troubled = alerts.groups(problems(tallies, uncollected, now=now))
        gauges.show(tallies, uncollected, troubled, now=now)
        gauges.surroundings(facts)
        if self._telling.channels:
            await self._tell([*troubled, *_alarms(conditions(facts), now)], now)

    async def _tell(self, troubled: Sequence[Group], now: datetime) -> None:
        telling = self._telling
        channels = [channel.name for channel in telling.channels]
        if self._kept is None:
            self._kept = {alert.problem: alert for alert in await self._store.alerts()}
        changed = alerts.compare(
            self._kept.values(), troubled, channels=channels, after=telling.after, quiet=telling.quiet, now=now
        )
        await self._keep(changed)  # before anybody is told: who knows that it opened is told that it closed
        for channel in telling.channels:
            if now - self._told_at.get(channel.name, now - _NOTICES) >= _NOTICES:
                await self._tell_one(channel, now)

    async def _tell_one(self, channel: Channel, now: datetime) -> None:
        assert self._kept is not None
        notice = alerts.notice(
            self._kept.values(),
            channel.name,
            host=self._telling.host,
            language=self._telling.language,
            names=_names(self._directory()),
            now=now,
        )
        if notice is None:
            return
        self._told_at[channel.name] = now
        try:
            await channel.send(notice)
        except AlertFailed as why:
            telemetry.alert_failed(channel.name, why=why.why)
            return
        telemetry.alert_sent(channel.name, count=len(notice.opened) + len(notice.closed))
        await self._keep([alerts.heard(alert, channel.name) for alert in (*notice.opened, *notice.closed)])

    async def _keep(self, changed: Sequence[Alert]) -> None:
        """Write what has changed, and forget what everybody knows to be over."""
        if not changed:
            return
        assert self._kept is not None
        names = [channel.name for channel in self._telling.channels]
        over = [alert.problem for alert in changed if alerts.over(alert, names)]
        await self._store.keep_alerts(changed, forgotten=over)
        self._kept |= {alert.problem: alert for alert in changed}
        for problem in over:
            del self._kept[problem]

    def _directory(self) -> Directory:
        try:
            return self._around.addresses.current()
        except Unaddressable:
            return Directory(parties={})

    async def _beats(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BEAT
            await asyncio.sleep(_BEAT)
            telemetry.lagged(max(0.0, loop.time() - due))


def _alarms(conditions: Iterable[Condition], now: datetime) -> Iterable[Group]:
    """Return the conditions that people are told of, one for each error id and counterpart."""
    found: dict[str, Group] = {}
    for condition in conditions:
        if condition.error_id in _TOLD:
            whose = f"org-{condition.about}" if condition.error_id in _OF_ORGANISATIONS else condition.about
            group = alerts.own(condition.error_id, whose, condition.sentence, condition.since or now)
            found.setdefault(group.id, group)
    return found.values()


def _names(directory: Directory) -> Mapping[int, str]:
    """Return the names of organisations and units. A person's name goes to no channel."""
    return {her: party.name for her, party in directory.parties.items() if not party.person}
