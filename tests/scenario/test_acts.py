"""What a person does, between two brokers: hold, release, try again, close. And that each act is on record."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker import acts, handover
from broker.acts import By, Done, Unreasonable
from broker.diagnosis.problems import key_of
from broker.errors import BrokerError, Conflict, Unknown
from broker.lifecycle import Outcome, StopPoint, Transport
from broker.message import Ball, Changes, Delivery, EventKind, Held, Verdict
from broker.ports import Doors
from broker.store.sqlite import SqliteStore
from tests.scenario.pair import DALBYGDA, NORDLI, Pair, Side, dialogue, pair

BY = By(actor="kari", reason="they restore from backup")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as both:
        yield both


async def posted(side: Side, count: int) -> list[Delivery]:
    taken = [await side.post(dialogue(f"{number:08x}-0000-4000-8000-000000000000")) for number in range(count)]
    return [one.deliveries[0] for one in taken]


async def now_of(side: Side, delivery: Delivery) -> Delivery:
    work = await side.store.work(delivery.id)
    assert work is not None
    return work.delivery


async def require_on_record(side: Side, done: Done, kind: EventKind) -> None:
    """Fail unless the history says of each delivery that the act changed what was done, who did it, and why."""
    assert done.count > 0
    for id in done.deliveries:
        work = await side.store.work(id)
        assert work is not None
        told = [stored.event for stored in await side.store.history(work.message.id) if stored.event.kind is kind]
        assert [(one.delivery_id, one.actor, one.why) for one in told[-1:]] == [(id, BY.actor, BY.reason)]


async def test_what_is_held_stays_until_it_is_released(brokers: Pair) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)
    done = await acts.hold(delivery.message_id, BY, left.doors)
    await require_on_record(left, done, EventKind.HELD)
    await brokers.pass_time(timedelta(hours=1), step=10 * MINUTE)
    held = await now_of(left, delivery)
    assert (held.cause, held.ball, held.held, held.transport_due) == ("MB-5001", Ball.PERSON, Held.DELIVERY, None)
    assert brokers.wire.log == []
    assert held.alarms == 1  # its receipt is owed all the same
    done = await acts.release(delivery.message_id, BY, left.doors)
    await require_on_record(left, done, EventKind.RELEASED)
    await brokers.run()
    assert (await now_of(left, delivery)).state.transport is Transport.ACKNOWLEDGED
    assert len(await brokers.right.inbox()) == 1


async def test_an_act_is_known_by_any_id_and_changes_nothing_the_second_time(brokers: Pair) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)
    brokers.wire.plan = [503]
    await brokers.run()
    waiting = await now_of(left, delivery)
    assert waiting.envelope is not None
    message = (await left.store.find(delivery.message_id, hers=None))[0].message
    ids = (waiting.envelope, message.msg_id, delivery.id, message.id, message.id[:12])
    done = [await acts.hold(id, BY, left.doors) for id in ids]
    assert [(one.count, one.already) for one in done] == [(1, 0), *[(0, 1)] * 4]
    assert (await left.kinds(message.id)).count(EventKind.HELD) == 1
    done = [await acts.release(id, BY, left.doors) for id in ids]
    assert [(one.count, one.already) for one in done] == [(1, 0), *[(0, 1)] * 4]


async def test_a_hold_survives_what_was_on_its_way_when_it_came(brokers: Pair) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)

    class Holding:
        """A wire on which the message is held while its copy is under way; the copy is lost."""

        async def post(self, endpoint: str, **how: object) -> object:
            await acts.hold(delivery.id, BY, left.doors)
            brokers.wire.plan = ["lose"]
            return await brokers.wire.post(endpoint, **how)  # type: ignore[arg-type]

    plain, left.doors = left.doors, replace(left.doors, carrier=Holding())  # type: ignore[arg-type]
    await brokers.run(only=left)
    left.doors = plain
    held = await now_of(left, delivery)
    assert (held.state.transport, held.held, held.transport_due) == (Transport.SENT, Held.DELIVERY, None)
    await brokers.pass_time(timedelta(hours=1), step=10 * MINUTE)
    assert brokers.wire.log == []


async def test_an_acknowledgment_or_a_receipt_ends_a_hold(brokers: Pair) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)
    brokers.wire.plan = ["lose answer"]
    await brokers.run(only=left)
    await acts.hold(delivery.id, BY, left.doors)
    ((_, item),) = await brokers.right.inbox()
    await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()
    done = await now_of(left, delivery)
    assert (done.state.outcome, done.held, done.ball) == (Outcome.COMPLETED, None, Ball.EPJ)


async def test_a_held_counterpart_gets_nothing_and_the_others_all(tmp_path: Path) -> None:
    async with pair(tmp_path, third=True) as brokers:
        left = brokers.left
        before = await posted(left, 3)
        done = await acts.hold_partner(DALBYGDA, BY, left.doors)
        assert done.count == 3
        await require_on_record(left, done, EventKind.HELD)
        (later,) = (await left.post(dialogue("later"))).deliveries
        (other,) = (await left.post(dialogue("other", receiver=NORDLI))).deliveries
        await brokers.pass_time(timedelta(hours=1), step=10 * MINUTE)
        stood = [await now_of(left, each) for each in (*before, later)]
        assert {(each.cause, each.held) for each in stood} == {("MB-5001", Held.PARTNER)}
        assert (await now_of(left, other)).state.transport is Transport.ACKNOWLEDGED
        assert {endpoint for endpoint, _ in brokers.wire.log} == {f"http://127.0.0.1/{NORDLI}"}
        (event,) = await left.store.events(kinds={EventKind.PARTNER_HELD}, after=0, limit=9)
        assert (event.event.counterpart, event.event.actor, event.event.why) == (DALBYGDA, BY.actor, BY.reason)
        with pytest.raises(Conflict, match="held by a person"):
            await acts.retry_group(acts.group(f"K2:MB-5001:{DALBYGDA}"), BY, left.doors)
        with pytest.raises(Conflict, match="release --partner"):
            await acts.release(later.id, BY, left.doors)
        again = await acts.hold_partner(DALBYGDA, BY, left.doors)
        assert (again.count, again.already, again.unchanged) == (0, 4, True)
        done = await acts.release_partner(DALBYGDA, BY, left.doors, rate=1)
        assert (done.count, done.seconds) == (4, 3.0)
        await brokers.run()
        assert len(await brokers.right.inbox()) == 1  # one a second
        await brokers.pass_time(timedelta(seconds=3), step=timedelta(seconds=1))
        assert len(await brokers.right.inbox()) == 4
        assert await left.store.partner_holds() == ()
        assert (await acts.release_partner(DALBYGDA, BY, left.doors)).unchanged


async def test_a_release_that_was_cut_off_is_finished_at_the_next_start(brokers: Pair) -> None:
    left = brokers.left
    await posted(left, 2)
    await acts.hold_partner(DALBYGDA, BY, left.doors)
    told = acts._of_partner(EventKind.PARTNER_RELEASED, DALBYGDA, BY, brokers.clock.now())
    await left.store.record(Changes(events=(told,), unheld=(DALBYGDA,)))  # and then the process died
    assert await acts.finish_releases(left.doors) == 2
    await brokers.pass_time(MINUTE)
    assert len(await brokers.right.inbox()) == 2
    assert await acts.finish_releases(left.doors) == 0


async def test_a_group_is_tried_again_at_its_pace_and_a_dry_run_only_says_so(brokers: Pair) -> None:
    left = brokers.left
    deliveries = await posted(left, 5)
    brokers.wire.down = {f"http://127.0.0.1/{DALBYGDA}"}
    await brokers.run()
    work = await left.store.work(deliveries[0].id)
    assert work is not None
    group = key_of(work.delivery)
    assert (group.error_id, acts.group(str(group))) == ("MB-3202", group)
    brokers.wire.down.clear()
    before = [await left.store.history(each.message_id) for each in deliveries]
    planned = await acts.retry_group(group, BY, left.doors, rate=2, dry_run=True)
    assert (planned.count, planned.seconds, planned.dry_run) == (5, 2.0, True)
    assert [await left.store.history(each.message_id) for each in deliveries] == before
    done = await acts.retry_group(group, BY, left.doors, rate=2)
    assert replace(done, dry_run=True) == planned
    await require_on_record(left, done, EventKind.RETRIED)
    arrived = []
    for _ in range(5):
        await brokers.run()
        arrived.append(len(await brokers.right.inbox()))
        brokers.clock.time += timedelta(seconds=0.5)
    assert arrived == [1, 2, 3, 4, 5]
    with pytest.raises(Unknown, match="nothing stands so"):
        await acts.retry_group(group, BY, left.doors)


async def test_what_was_refused_goes_anew_when_a_person_says_so(brokers: Pair) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)
    brokers.wire.plan = [404]
    await brokers.run()
    stopped = await now_of(left, delivery)
    assert stopped.state.transport is Transport.REFUSED
    with pytest.raises(Conflict, match="stopped already"):
        await acts.hold(delivery.id, BY, left.doors)
    done = await acts.retry(delivery.id, BY, left.doors)
    await require_on_record(left, done, EventKind.RENEWED)
    await brokers.run()
    sent = await now_of(left, delivery)
    assert (sent.state.transport, sent.renewals) == (Transport.ACKNOWLEDGED, 1)
    assert sent.envelope != stopped.envelope


async def test_a_copy_whose_time_ran_out_while_it_was_held_is_followed_by_a_new_envelope(brokers: Pair) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)
    brokers.wire.plan = ["lose"]
    await brokers.run()
    first = (await now_of(left, delivery)).envelope
    await acts.hold(delivery.id, BY, left.doors)
    await brokers.pass_time(timedelta(days=3), step=timedelta(hours=6))
    await acts.release(delivery.id, BY, left.doors)
    await brokers.run()
    sent = await now_of(left, delivery)
    assert sent.state.transport is Transport.ACKNOWLEDGED
    assert sent.envelope != first


async def test_a_closed_message_is_told_to_its_epj_with_the_reason_and_never_goes_out(brokers: Pair) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)
    done = await acts.close(delivery.message_id, BY, left.doors)
    await require_on_record(left, done, EventKind.CLOSED)
    await brokers.pass_time(timedelta(days=5), step=timedelta(hours=6))
    closed = await now_of(left, delivery)
    assert (closed.state.outcome, closed.closed_because, closed.due) == (Outcome.CLOSED, BY.reason, None)
    assert brokers.wire.log == []
    told = [stored.event for stored in await left.store.feed({left.her}, after=0, limit=99)]
    assert [(one.kind, one.why) for one in told][-1] == (EventKind.CLOSED, BY.reason)
    assert len(await left.store.unconfirmed({left.her}, through=999)) == 1
    again = await acts.close(delivery.id, BY, left.doors)
    assert (again.count, again.already) == (0, 1)
    with pytest.raises(Conflict, match="it has ended"):
        await acts.retry(delivery.id, BY, left.doors)


async def test_a_message_that_is_closed_while_it_is_sealed_is_not_sent(
    brokers: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.ports.SMALL", 0)  # as a large one, which a thread seals
    left = brokers.left
    (delivery,) = await posted(left, 1)

    async def closing(work: Callable[..., object], *args: object, **kwargs: object) -> object:
        await acts.close(delivery.id, BY, left.doors)
        return work(*args, **kwargs)

    plain, left.doors = left.doors, replace(left.doors, cpu=closing)  # type: ignore[arg-type]
    await brokers.run(only=left)
    left.doors = plain
    await brokers.pass_time(timedelta(hours=1))
    assert (await now_of(left, delivery)).state.outcome is Outcome.CLOSED
    assert brokers.wire.log == []


async def test_a_receipt_after_the_end_of_a_hold_by_closing_is_still_written_down(brokers: Pair) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)
    await brokers.run()
    await acts.close(delivery.id, BY, left.doors)
    ((_, item),) = await brokers.right.inbox()
    await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()
    assert (await now_of(left, delivery)).state.outcome is Outcome.CLOSED
    assert EventKind.RECEIPT_OK in await left.kinds(delivery.message_id)


async def test_what_came_in_and_what_nobody_knows_can_not_be_acted_on(brokers: Pair) -> None:
    left, right = brokers.left, brokers.right
    await posted(left, 1)
    await brokers.run()
    ((message, _),) = await right.inbox()
    for act in (acts.hold, acts.release, acts.retry, acts.close):
        with pytest.raises(Conflict, match="came in"):
            await act(message.id, BY, right.doors)
        with pytest.raises(Unknown):
            await act("nobody-knows-this", BY, left.doors)
    with pytest.raises(Unknown):
        await acts.hold_partner(8999999, BY, left.doors)


async def test_a_delivery_that_is_worked_on_is_not_given_a_new_envelope(brokers: Pair) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)
    now = brokers.clock.now()
    await left.store.claim(now=now, until=now + MINUTE, limit=1, per_lane=1, busy={}, closed=())
    with pytest.raises(Conflict, match="worked on"):
        await acts.retry(delivery.id, BY, left.doors)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, "two\nlines", "01017012345 has died", "010170 12345"])
def test_a_reason_is_a_few_words_without_a_persons_number(reason: str) -> None:
    with pytest.raises(Unreasonable):
        By(actor="kari", reason=reason)


@pytest.mark.parametrize(
    "name", ["", "K4", "K9:MB-3202:1", "K4:MB-3202:99999999999", "K4:MB-3202:x", "M6:MB-5102:8000101"]
)
def test_a_group_has_one_form_of_name(name: str) -> None:
    with pytest.raises(Unreasonable):
        acts.group(name)
    assert acts.group("K4:MB-3202:8000123").stop_point is StopPoint.K4


# --- the check on the record can go red ---


class Forgetful:
    """A store that writes what an act did, and forgets who did it."""

    def __init__(self, inner: SqliteStore) -> None:
        self._inner = inner

    async def record(self, changes: Changes) -> None:
        events = tuple(replace(event, actor=None) for event in changes.events)
        await self._inner.record(replace(changes, events=events))

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


_Act = Callable[[str, By, Doors], Awaitable[Done]]


@pytest.mark.parametrize(("act", "kind"), [(acts.hold, EventKind.HELD), (acts.close, EventKind.CLOSED)])
async def test_an_act_without_a_record_of_who_did_it_is_seen(brokers: Pair, act: _Act, kind: EventKind) -> None:
    left = brokers.left
    (delivery,) = await posted(left, 1)
    done = await act(delivery.id, BY, replace(left.doors, store=Forgetful(left.store)))  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        await require_on_record(left, done, kind)


def test_every_refusal_of_an_act_has_a_sentence_and_a_hint() -> None:
    for reason in ("", "x" * 300):
        with pytest.raises(BrokerError) as told:
            By(actor="kari", reason=reason)
        assert told.value.why
        assert told.value.hint
