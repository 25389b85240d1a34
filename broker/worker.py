"""The loop that moves what is due: claim, one story, record. It decides how much runs at once, and for whom.

Bounded twice: a number of deliveries at once, and a number per counterpart, so that a dead partner cannot take the
window. An endpoint that keeps failing closes its lanes for a while (the breaker); a closed lane spends nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker import inbound, outbound, telemetry
from broker.diagnosis import causes
from broker.errors import BrokerError, StoreBroken, TransportFailed
from broker.message import Signal, Work
from broker.ports import Carrier, Clock, Doors, TransportReply

_FAILING = frozenset({500, 502, 503, 504})
_GATHER = 0.02  # seconds between two claims: what falls due or ends meanwhile shares the next one
_LULL = 0.05  # seconds without a word before the store is asked when the next is due


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """After so many failures in a row an endpoint's lanes close, for so long; then one try decides."""

    failures: int = 5
    closed_for: timedelta = timedelta(minutes=1)


@dataclass(slots=True)
class _Origin:
    failures: int = 0
    closed_until: datetime | None = None


@dataclass(slots=True)
class Breaker:
    """Which endpoint origins (scheme, host, port) are left alone for now."""

    policy: BreakerPolicy
    clock: Clock
    _origins: dict[str, _Origin] = field(default_factory=dict)

    def closed(self, endpoint: str) -> bool:
        """Say whether the endpoint's lanes are closed."""
        known = self._origins.get(telemetry.origin(endpoint))
        return known is not None and known.closed_until is not None and known.closed_until > self.clock.now()

    def opens(self) -> datetime | None:
        """Return when the next closed origin may be tried again."""
        now = self.clock.now()
        times = [known.closed_until for known in self._origins.values() if known.closed_until is not None]
        return min((time for time in times if time > now), default=None)

    def rests(self) -> Mapping[str, datetime]:
        """Return the origins that are left alone now, until when."""
        now = self.clock.now()
        times = ((origin, known.closed_until) for origin, known in self._origins.items())
        return {origin: until for origin, until in times if until is not None and until > now}

    def note(self, endpoint: str, *, failed: bool) -> None:
        """Count one try. After the wait a single failure closes again: the first try is the probe."""
        known = self._origins.setdefault(telemetry.origin(endpoint), _Origin())
        if not failed:
            known.failures, known.closed_until = 0, None
            return
        known.failures += 1
        if known.failures >= self.policy.failures:
            if known.closed_until is None:
                telemetry.lane_closed(endpoint, self.clock.now() + self.policy.closed_for)
            known.closed_until = self.clock.now() + self.policy.closed_for


@dataclass(frozen=True, slots=True)
class BrokenCircuit:
    """A carrier that counts failures, and refuses to try an endpoint whose lanes are closed."""

    carrier: Carrier
    breaker: Breaker

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        """POST as the carrier does. Raises TransportFailed at once where the endpoint's lanes are closed."""
        if self.breaker.closed(endpoint):
            raise TransportFailed(
                "the endpoint kept failing and is left alone", error_id=causes.LANE_CLOSED, maybe_read=False
            )
        try:
            reply = await self.carrier.post(endpoint, content_type=content_type, body=body, timeout=timeout)
        except TransportFailed:
            self.breaker.note(endpoint, failed=True)
            raise
        self.breaker.note(endpoint, failed=reply.status in _FAILING)
        return reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much at once."""

    deliveries: int = 32
    per_lane: int = 8
    lease: timedelta = timedelta(minutes=5)  # longer than any timeout within a step; a restart frees all at once
    idle: timedelta = timedelta(seconds=30)  # the longest wait between two looks


class Worker:
    """One per process. `run` ends when `stop` was called and every story under way has recorded its outcome."""

    def __init__(self, doors: Doors, breaker: Breaker, limits: Limits, wake: asyncio.Event) -> None:
        """`wake` is set by whoever knows of something due: the doors, and records that were read anew."""
        self._doors, self._breaker, self._limits, self._wake = doors, breaker, limits, wake
        self._busy: Counter[int] = Counter()
        self._stopping = False
        self._asked: list[asyncio.Event] = []  # who waits for the loop to come round

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._wake.set()

    def limit(self, limits: Limits) -> None:
        """Do so much at once from the next claim on. What runs is not cut off."""
        self._limits = limits

    async def turn(self) -> None:
        """Return when the loop has asked the store once more, from now; never, where it hangs."""
        turned = asyncio.Event()
        self._asked.append(turned)
        self._wake.set()
        await turned.wait()

    @property
    def busy(self) -> Mapping[int, int]:
        """Return how many stories run, by counterpart."""
        return self._busy

    async def run(self) -> None:
        """Claim and run stories until stopped. Raises StoreBroken when the store can't be relied on any more."""
        async with asyncio.TaskGroup() as tasks:
            while not self._stopping:
                self._wake.clear()
                now = self._doors.clock.now()
                asked, self._asked = self._asked, []
                await self._claim(tasks, now)
                for turned in asked:
                    turned.set()
                await asyncio.sleep(_GATHER)
                await self._wait(now)

    async def _claim(self, tasks: asyncio.TaskGroup, now: datetime) -> None:
        free = self._limits.deliveries - self._busy.total()
        if free <= 0:
            return
        try:
            claimed = await self._doors.store.claim(
                now=now,
                until=now + self._limits.lease,
                limit=free,
                per_lane=self._limits.per_lane,
                busy=dict(self._busy),
                closed=self.closed(),
            )
        except BrokerError as why:
            if isinstance(why, StoreBroken):
                raise
            telemetry.store_busy(why=why.why)
            return
        for work in claimed.work:
            lane = work.delivery.receiver_her
            self._start(tasks, lane, f"delivery {work.delivery.id}", self._delivery(work))
        for signal in claimed.signals:
            self._start(tasks, signal.to_her, f"signal {signal.id}", self._signal(signal))

    def closed(self) -> set[int]:
        """Return the counterparts whose lanes are closed for now."""
        if self._breaker.opens() is None:  # no lane is, and there may be thousands to ask
            return set()
        try:
            directory = self._doors.addresses.current()
        except BrokerError:
            return set()
        return {
            her
            for her in directory.parties
            if (endpoint := directory.endpoint(her)) is not None and self._breaker.closed(endpoint)
        }

    def _start(self, tasks: asyncio.TaskGroup, lane: int, name: str, story: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await story
            finally:
                self._busy[lane] -= 1
                if self._busy[lane] <= 0:
                    del self._busy[lane]
                self._wake.set()

        self._busy[lane] += 1
        tasks.create_task(run(), name=name)

    async def _delivery(self, work: Work) -> None:
        try:
            await outbound.proceed(work, self._doors)
        except StoreBroken:
            raise
        except Exception as fault:
            # Whatever it was, this delivery must neither be lost nor spin: it is looked at again, later and visibly.
            telemetry.unexpected("delivery", fault, message=work.message.id)
            await self._after_a_fault(lambda: outbound.postpone(work, self._doors))

    async def _signal(self, signal: Signal) -> None:
        try:
            await inbound.send_signal(signal, self._doors)
        except StoreBroken:
            raise
        except Exception as fault:
            telemetry.unexpected("signal", fault)  # its lease ends, and it is tried again

    async def _after_a_fault(self, postpone: Callable[[], Awaitable[None]]) -> None:
        try:
            await postpone()
        except StoreBroken:
            raise
        except Exception as fault:
            telemetry.unexpected("postponing", fault)  # its lease ends, and it is tried again

    async def _wait(self, claimed_at: datetime) -> None:
        """Sleep until something is due, the breaker opens, a story ends or somebody wakes us."""
        if await self._woken(_LULL):
            return
        times = [claimed_at + self._limits.idle]
        if self._busy.total() < self._limits.deliveries:
            # A full lane is left out: the end of one of its stories wakes us for it.
            full = {lane for lane, stories in self._busy.items() if stories >= self._limits.per_lane}
            due = await self._doors.store.next_due(closed=self.closed() | full)
            times += [time for time in (due, self._breaker.opens()) if time is not None and time > claimed_at]
        await self._woken(max((min(times) - self._doors.clock.now()).total_seconds(), 0.0))

    async def _woken(self, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                return await self._wake.wait()
        except TimeoutError:
            return False
