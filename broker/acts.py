"""What a person does: hold, release, try again, close. Each act has a reason and a name, and stands in the history.

An act on one message is one write, or none. One on a counterpart or on a group of problems may be about very many, and
is written a page at a time: what was not reached when the process died is reached by giving the same order again.
"""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from broker import effects, progress, questions, telemetry
from broker.diagnosis import causes
from broker.diagnosis.problems import ProblemKey, read_key, tally
from broker.errors import BrokerError, Conflict, Refused, StoreBusy, Unaddressable, Unknown
from broker.lifecycle import Outcome, Transport
from broker.message import Changes, Delivery, Direction, EventKind, Held, NewEvent, PartnerHold, Work
from broker.ports import Doors, Stale
from broker.routing.tables import MAX_INT32

RACES: Final = 8
PAGE: Final = 200  # deliveries in one write: about 10 ms of the writer's time
RATE: Final = 2.0  # deliveries a second, where very many are sent again
NAMED: Final = 20  # deliveries that an answer names; the rest is counted
MAX_REASON: Final = 200  # characters

_NUMBERS_OF_PEOPLE = re.compile(r"\d{11}|\d{6}[ .-]?\d{5}")


class Unreasonable(BrokerError):
    """What was asked for can't be understood, or has no reason that may be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who acts, and why. Raises Unreasonable where the reason is none."""

    actor: str
    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise Unreasonable("an act needs a reason", hint="give --reason with a few words")
        if len(self.reason) > MAX_REASON or not self.reason.isprintable():
            raise Unreasonable(f"a reason is one line of at most {MAX_REASON} characters", hint="shorten it")
        if _NUMBERS_OF_PEOPLE.search(self.reason):
            raise Unreasonable("the reason holds a number like a national identity number", hint="name no patients")


def group(text: str) -> ProblemKey:
    """Return the group of deliveries that a person names. Raises Unreasonable."""
    key = read_key(text)
    if key is None or key.counterpart > MAX_INT32:
        raise Unreasonable("a problem is named as in K4:MB-3202:8000123", hint="`broker problems` shows the names")
    if key.stop_point.startswith("M"):
        raise Unreasonable("these are documents that came in: nothing of ours goes out", hint="their EPJ must act")
    return key


@dataclass(slots=True, kw_only=True)
class Done:
    """What an act did; on a dry run, what it would do."""

    act: str
    dry_run: bool
    count: int = 0  # deliveries that it changed
    already: int = 0  # those that stood so before
    skipped: dict[str, int] = field(default_factory=dict)  # why, and how many
    deliveries: list[str] = field(default_factory=list)  # the first of those changed
    seconds: float = 0.0  # until the last of them goes out
    partner: int | None = None
    unchanged: bool = False  # the counterpart itself was held, or was not, before


class _Already(Exception):
    """It stands so before: there is nothing to do."""


class _Not(Exception):
    """It can't be done to this delivery. The text says why."""


# What an act makes of one delivery, the how-manieth of those that it changes, and what is told of it.
_Decide = Callable[[Work, int, datetime], tuple[Delivery, tuple[EventKind, ...]]]


async def hold(id: str, by: By, doors: Doors, *, dry_run: bool = False) -> Done:
    """Keep back what an id stands for. Raises Unknown, or Conflict where nothing of it goes out."""

    def decide(work: Work, _: int, now: datetime) -> tuple[Delivery, tuple[EventKind, ...]]:
        if work.delivery.held is not None:
            raise _Already
        delivery = progress.held_back(work.delivery, Held.DELIVERY, now=now)
        if delivery.held is None:
            raise _Not(_nothing_goes_out(work))
        return delivery, (EventKind.HELD,)

    done = Done(act="hold", dry_run=dry_run)
    await _write(await _named(id, doors), decide, by, doors, done)
    return _said(done)


async def release(id: str, by: By, doors: Doors, *, dry_run: bool = False) -> Done:
    """Let go what `hold` kept back: it goes out at once. Raises Unknown, or Conflict where its counterpart is held."""
    done = Done(act="release", dry_run=dry_run)
    await _write(await _named(id, doors), _release(Held.DELIVERY, doors, None), by, doors, done)
    return _said(done)


async def retry(id: str, by: By, doors: Doors, *, dry_run: bool = False) -> Done:
    """Send once more, now. Raises Unknown, or Conflict where it is held or decided."""
    done = Done(act="retry", dry_run=dry_run)
    works = await _named(id, doors)
    held = {her for her in {work.delivery.receiver_her for work in works} if await doors.store.partner_hold(her)}
    await _write(works, _retry(None, held), by, doors, done)
    return _said(done)


async def close(id: str, by: By, doors: Doors, *, dry_run: bool = False) -> Done:
    """End the duty by a person's decision; the EPJ's feed tells it with the reason. Raises Unknown, Conflict."""

    def decide(work: Work, _: int, now: datetime) -> tuple[Delivery, tuple[EventKind, ...]]:
        if work.delivery.state.outcome is Outcome.CLOSED:
            raise _Already
        if work.delivery.state.outcome is not Outcome.OPEN:
            raise _Not(_nothing_goes_out(work))
        return progress.closed(work.delivery, work.message, by.reason, now=now), (EventKind.CLOSED,)

    done = Done(act="close", dry_run=dry_run)
    await _write(await _named(id, doors), decide, by, doors, done)
    return _said(done)


async def message_status(id: str, by: By, doors: Doors) -> questions.Told:
    """Ask the partner how one envelope of ours stands. Raises Unknown, Conflict, or Postponed where it is down."""
    if (known := await doors.store.work_by_envelope(id)) is not None:
        work, envelope = known
    else:
        works = await _named(id, doors)
        if len(works) > 1:
            raise Conflict(f"that message goes to {len(works)} receivers", hint="name the delivery: `broker show`")
        (work,) = works
        if work.envelope is None:
            raise Conflict(
                "nothing of it has gone out in an envelope yet", hint="`broker show` tells what it waits for"
            )
        envelope = work.envelope
    try:
        return await questions.ask(work, envelope, by.actor, by.reason, doors)
    except Refused as no:
        raise Conflict(no.why, hint=no.hint) from None


async def retry_group(key: ProblemKey, by: By, doors: Doors, *, rate: float = RATE, dry_run: bool = False) -> Done:
    """Send once more all that stand so, `rate` of them a second. Raises Unknown where none does."""
    done = Done(act="retry", dry_run=dry_run, partner=key.counterpart)
    if await doors.store.partner_hold(key.counterpart) is not None:
        raise Conflict(f"HER-id {key.counterpart} is held by a person", hint="release it first")
    async for page in _open_to(key.counterpart, doors):
        alike = tuple(work for work in page if _stands_so(work, key, doors.clock.now()))
        await _write(alike, _retry(rate, set()), by, doors, done)
    if not (done.count or done.already or done.skipped):
        raise Unknown("nothing stands so", hint="`broker problems` shows what does")
    done.seconds = max(done.count - 1, 0) / rate
    return done


async def hold_partner(her: int, by: By, doors: Doors, *, dry_run: bool = False) -> Done:
    """Send nothing to a counterpart, neither what is open now nor what is posted later. Raises Unknown."""
    done = Done(act="hold", dry_run=dry_run, partner=her)
    done.unchanged = await doors.store.partner_hold(her) is not None
    if not done.unchanged:
        await _require_party(her, doors)
        if not dry_run:
            now = doors.clock.now()
            told = _of_partner(EventKind.PARTNER_HELD, her, by, now)
            hold = PartnerHold(her=her, at=now, actor=by.actor, why=by.reason)
            if not await _recorded(Changes(events=(told,), holds=(hold,)), doors):
                raise Conflict(f"HER-id {her} was held by another at the same time", hint="ask again")

    def decide(work: Work, _: int, now: datetime) -> tuple[Delivery, tuple[EventKind, ...]]:
        delivery = progress.held_back(work.delivery, Held.PARTNER, now=now)
        if work.delivery.held is not None:
            raise _Already
        if delivery.held is None:
            raise _Not(_nothing_goes_out(work))
        return delivery, (EventKind.HELD,)

    async for page in _open_to(her, doors):
        await _write(page, decide, by, doors, done)
    done.skipped.clear()  # what has arrived, or waits for a person as it is, goes nowhere
    return done


async def release_partner(her: int, by: By, doors: Doors, *, rate: float = RATE, dry_run: bool = False) -> Done:
    """Let a counterpart go: what was held with it goes out, `rate` a second. Held by themselves, deliveries stay so."""
    done = Done(act="release", dry_run=dry_run, partner=her)
    done.unchanged = await doors.store.partner_hold(her) is None
    if done.unchanged:
        await _require_party(her, doors)
    elif not dry_run:
        told = _of_partner(EventKind.PARTNER_RELEASED, her, by, doors.clock.now())
        if not await _recorded(Changes(events=(told,), unheld=(her,)), doors):
            raise Conflict(f"HER-id {her} was released by another at the same time", hint="ask again")
    async for page in _open_to(her, doors):
        held = tuple(work for work in page if work.delivery.held is Held.PARTNER)
        await _write(held, _release(Held.PARTNER, doors, rate), by, doors, done)
    done.seconds = max(done.count - 1, 0) / rate
    return done


async def finish_releases(doors: Doors) -> int:
    """Let go what a release did not reach before its process ended. Returns how many; for the start of a process."""
    done = Done(act="release", dry_run=False)
    by = By(actor="broker", reason="the release of the counterpart was cut off")
    while left := await doors.store.left_held(limit=PAGE):
        before = done.count
        await _write(left, _release(Held.PARTNER, doors, RATE), by, doors, done)
        if done.count == before:
            break
    return done.count


# --- what is decided of one delivery ---


def _stands_so(work: Work, key: ProblemKey, now: datetime) -> bool:
    """Say whether `broker problems` counts a delivery to that group."""
    one = tally(work.delivery, work.message, now=now)
    return one.key == key and one.troubled


def _release(on: Held, doors: Doors, rate: float | None) -> _Decide:
    def decide(work: Work, number: int, now: datetime) -> tuple[Delivery, tuple[EventKind, ...]]:
        if work.delivery.held is None:
            raise _Already
        if work.delivery.held is not on:
            raise _Not(f"all of HER-id {work.delivery.receiver_her} is held: release --partner")
        _require_idle(work, now)
        at = _at(now, number, rate)
        return progress.released(work.delivery, work.envelope, at=at, now=now), (EventKind.RELEASED,)

    return decide


def _retry(rate: float | None, held: set[int]) -> _Decide:
    def decide(work: Work, number: int, now: datetime) -> tuple[Delivery, tuple[EventKind, ...]]:
        delivery = work.delivery
        if delivery.held is not None or delivery.receiver_her in held:
            raise _Not("it is held by a person: release it first")
        if delivery.state.outcome is not Outcome.OPEN:
            raise _Not(_nothing_goes_out(work))
        _require_idle(work, now)
        after = progress.retried(delivery, work.envelope, at=_at(now, number, rate), now=now)
        anew = after.renewals > delivery.renewals
        return after, (EventKind.RETRIED, EventKind.RENEWED) if anew else (EventKind.RETRIED,)

    return decide


def _at(now: datetime, number: int, rate: float | None) -> datetime:
    return now if rate is None else now + timedelta(seconds=number / rate)


def _require_idle(work: Work, now: datetime) -> None:
    """A step under way still needs the envelope that it sends."""
    leased = work.delivery.leased_until
    if leased is not None and leased > now:
        raise _Not("it is being worked on at this moment: ask again shortly")


def _nothing_goes_out(work: Work) -> str:
    state = work.delivery.state
    if state.outcome is not Outcome.OPEN:
        return f"it has ended ({state.outcome})"
    if state.transport is Transport.ACKNOWLEDGED:
        return "the partner has acknowledged it, and nothing is being sent"
    return f"it has stopped already ({state.transport}), and nothing is being sent"


# --- finding and writing ---


async def _named(id: str, doors: Doors) -> tuple[Work, ...]:
    """Return the deliveries that an id stands for. Raises Unknown, or Conflict where it does not say which."""
    if (known := await doors.store.work_by_envelope(id)) is not None:
        return (known[0],)
    if (one := await doors.store.work(id)) is not None:
        return (one,)
    found = await doors.store.find(id, hers=None)
    if not found:
        raise Unknown("no message carries that id", hint="`broker queue` shows what is open")
    if len(found) > 1:
        raise Conflict(f"{len(found)} messages carry that id", hint="`broker show` names each: take one")
    (message,) = found
    if message.message.direction is Direction.IN:
        raise Conflict("that message came in: nothing of it goes out", hint="its receipt is a message of its own")
    begun = [delivery for delivery in message.deliveries if delivery.id.startswith(id)] if len(id) >= 8 else []
    works = [await doors.store.work(delivery.id) for delivery in begun or message.deliveries]
    return tuple(work for work in works if work is not None)


async def _open_to(her: int, doors: Doors) -> AsyncIterator[tuple[Work, ...]]:
    after: str | None = None
    while page := await doors.store.open_to(her, after=after, limit=PAGE):
        yield page
        after = page[-1].delivery.id


async def _require_party(her: int, doors: Doors) -> None:
    """Raise Unknown where a HER-id is a slip of the pen: no record, and nothing on its way there."""
    try:
        party = doors.addresses.current().party(her)
    except Unaddressable:
        party = None
    if party is None and not await doors.store.open_to(her, after=None, limit=1):
        raise Unknown(f"no address record has HER-id {her}, and nothing goes there", hint="check the number")


async def _write(works: tuple[Work, ...], decide: _Decide, by: By, doors: Doors, done: Done) -> None:
    """Do it to all of these in one write, and count it. A lost race is decided anew. Raises StoreBusy."""
    for _ in range(RACES):
        now, told, advanced, already = doors.clock.now(), list[NewEvent](), list[Delivery](), 0
        skipped: dict[str, int] = {}
        for work in works:
            try:
                delivery, kinds = decide(work, done.count + len(advanced), now)
            except _Already:
                already += 1
                continue
            except _Not as impossible:
                skipped[str(impossible)] = skipped.get(str(impossible), 0) + 1
                continue
            advanced.append(delivery)
            told += [_event(kind, replace(work, delivery=delivery), by, now) for kind in kinds]
        changes = Changes(events=tuple(told), advanced=tuple(advanced))
        if done.dry_run or not advanced or await _recorded(changes, doors):
            break
        works = await _afresh(works, doors)
    else:
        raise StoreBusy("what was asked for kept changing", error_id=causes.UNEXPECTED, hint="ask again")
    done.count += len(advanced)
    done.already += already
    for why, count in skipped.items():
        done.skipped[why] = done.skipped.get(why, 0) + count
    done.deliveries += [delivery.id for delivery in advanced][: NAMED - len(done.deliveries)]


async def _recorded(changes: Changes, doors: Doors) -> bool:
    """Write. Says False where another came first, and nothing was written."""
    try:
        await doors.store.record(changes)
    except Stale:
        return False
    telemetry.recorded(changes.events)
    doors.wake()
    return True


async def _afresh(works: tuple[Work, ...], doors: Doors) -> tuple[Work, ...]:
    found = [await doors.store.work(work.delivery.id) for work in works]
    return tuple(work for work in found if work is not None)


def _event(kind: EventKind, work: Work, by: By, now: datetime) -> NewEvent:
    error_id = progress.HELD if kind is EventKind.HELD else None
    told = effects.event(kind, work, now, feed=kind is EventKind.CLOSED, error_id=error_id, why=by.reason)
    return replace(told, actor=by.actor)


def _of_partner(kind: EventKind, her: int, by: By, now: datetime) -> NewEvent:
    return NewEvent(kind=kind, at=now, her=None, counterpart=her, why=by.reason, actor=by.actor)


def _said(done: Done) -> Done:
    """Return what was done to one message. Raises Conflict where nothing could be."""
    if not done.count and not done.already and done.skipped:
        raise Conflict("; ".join(done.skipped), hint="`broker show` tells how it stands")
    return done
