"""Looks around for alarms that belong to no message: disk, clock, certificates, records, silence. What counts as one
is decided in `diagnosis.conditions`.
"""

import asyncio
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from broker.diagnosis import causes
from broker.diagnosis.conditions import LOOKED_BACK, Condition, Facts, Term, conditions
from broker.errors import Misconfigured, OwnKeyUnusable, Unaddressable
from broker.holds import Holds
from broker.message import InboxItem, Message
from broker.ports import Addresses, Clock, Keys
from broker.routing.process import Processes

_WAITING: Final = 1000  # documents that an EPJ has left lying, oldest first
_HEARD_FOR: Final = timedelta(minutes=10)  # silence is counted in days: it is asked for so seldom


class Kept(Protocol):
    """What is asked of the store."""

    async def heard(self, *, since: datetime) -> Mapping[int, tuple[datetime, ...]]:
        """Return in which hours each counterpart sent a document since then. Raises StoreBusy, StoreBroken."""

    async def inbox(
        self, hers: Collection[int], *, unread: bool, after: str | None, limit: int
    ) -> tuple[tuple[Message, InboxItem], ...]:
        """See `ports.Store`."""


class Watched(Protocol):
    """Files that are read anew, and what is wrong with them now."""

    problems: tuple[Misconfigured, ...]


@dataclass(kw_only=True)
class Surroundings:
    """What there is to look at."""

    store: Kept
    addresses: Addresses
    processes: Callable[[], Processes]
    keys: Keys
    holds: Holds
    clock: Clock
    hosted: Mapping[int, str]  # organisation number by HER-id of ours
    data: Path
    reserve: int  # bytes of the disk that are left alone
    files: Collection[Watched] = ()
    offsets: Callable[[], Mapping[str, timedelta]]
    rests: Callable[[], Mapping[str, datetime]]
    silent_services: Callable[[], Mapping[str, datetime]] = dict  # of revocation, since when
    _heard: Mapping[int, tuple[datetime, ...]] | None = None
    _heard_at: datetime | None = None

    async def conditions(self) -> tuple[Condition, ...]:
        """Return every alarm that holds now. Raises StoreBusy, StoreBroken."""
        return conditions(await self.facts())

    async def facts(self) -> Facts:
        """Return what there is to read alarms from. Raises StoreBusy, StoreBroken."""
        now = self.clock.now()
        disk = await asyncio.to_thread(os.statvfs, self.data)
        return Facts(
            now=now,
            free=disk.f_bavail * disk.f_frsize,
            reserve=self.reserve,
            offsets=self.offsets(),
            terms=(*self._own(now), *self._partners()),
            bad_files=tuple(problem.where for file in self.files for problem in file.problems),
            held=self.holds.all(now),
            resting=self.rests(),
            silent_services=self.silent_services(),
            heard=await self._who_was_heard(now),
            cancelled=await self._uncollected_cancellations(),
        )

    async def _who_was_heard(self, now: datetime) -> Mapping[int, tuple[datetime, ...]]:
        if self._heard is None or self._heard_at is None or now - self._heard_at >= _HEARD_FOR:
            self._heard = await self.store.heard(since=now - LOOKED_BACK)
            self._heard_at = now
        return self._heard

    async def _uncollected_cancellations(self) -> Mapping[int, list[datetime]]:
        """Return when they came, by the HER-id of ours; of the oldest documents that wait."""
        found: dict[int, list[datetime]] = {}
        processes = self.processes()
        for message, item in await self.store.inbox(self.hosted.keys(), unread=True, after=None, limit=_WAITING):
            if processes.cancels(message.process, message.function):
                found.setdefault(item.receiver_her, []).append(item.received_at)
        return found

    def _own(self, now: datetime) -> Iterator[Term]:
        """Yield one term for each organisation of ours: the key that signs, and the newest that opens."""
        for number, her in {number: her for her, number in self.hosted.items()}.items():
            try:
                signing = self.keys.signing(her, now)
            except OwnKeyUnusable as why:
                yield Term(whose=number, own=True, ends=None, error_id=why.error_id)
                continue
            if not (opening := self.keys.opening(her)):
                yield Term(whose=number, own=True, ends=None, error_id=causes.OWN_MISSING)
                continue
            pairs = (signing, opening[0])
            yield Term(whose=number, own=True, ends=min(pair.certificate.not_valid_after_utc for pair in pairs))

    def _partners(self) -> Iterator[Term]:
        """Yield one term for each record that holds encryption certificates which an agreement makes us use."""
        try:
            directory = self.addresses.current()
        except Unaddressable:
            return
        told = set[int]()
        for her, party in directory.parties.items():
            if her in self.hosted or not party.active or not party.agreements:
                continue
            holder = next((each for each in directory.lineage(her) if each.encryption), None)
            if holder is not None and holder.her_id not in told:
                told.add(holder.her_id)
                ends = max(certificate.not_valid_after_utc for certificate in holder.encryption)
                yield Term(whose=str(holder.her_id), own=False, ends=ends)
