"""Retention: what has ended and was kept long enough is erased, on record; what is owed or uncollected never is."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from broker import acts, handover, retention
from broker.acts import By
from broker.diagnosis import causes
from broker.lifecycle import Outcome
from broker.message import Ball, Changes, EventKind, Verdict
from broker.ports import Keeping, Kept
from broker.progress import confirmed
from broker.store.faults import Impossible
from tests.scenario.pair import Pair, Side, dialogue, pair

DAY = timedelta(days=1)
POLICY = retention.Policy(
    times={
        Keeping.SENT: 30 * DAY,
        Keeping.RECEIVED: 30 * DAY,
        Keeping.RECEIPTS: 60 * DAY,
        Keeping.ENVELOPES: 10 * DAY,
        Keeping.EVIDENCE: 90 * DAY,
    }
)
NO_TIME = retention.Policy(times=dict.fromkeys(POLICY.times, timedelta()))


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as both:
        yield both


async def exchange(brokers: Pair, msg_id: str) -> str:
    """Send a document, have it receipted and confirmed, and return its message's id."""
    taken = await brokers.left.post(dialogue(msg_id))
    await brokers.run()
    for message, item in await brokers.right.inbox():
        if message.msg_id == msg_id:
            await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()
    work = await brokers.left.store.work(taken.deliveries[0].id)
    assert work is not None
    told = acts._event(EventKind.CONFIRMED, work, By(actor="epj", reason="read"), brokers.clock.now())
    done = confirmed(work.delivery, now=brokers.clock.now())
    await brokers.left.store.record(Changes(events=(told,), advanced=(done,)))
    return taken.message.id


async def kept(side: Side) -> list[Kept]:
    return list(await side.store.kept(after=0, limit=1000))


async def erase(side: Side, policy: retention.Policy = POLICY) -> Mapping[Keeping, int]:
    return await retention.erase_due(side.store, side.doors.clock, policy)


async def require_nothing_owed_is_gone(side: Side) -> int:
    """Fail unless every body that somebody is owed is still there. Returns how many were looked at."""
    looked = 0
    for work in await side.store.queue(limit=1000):
        bodies = {work.message.body, *({work.envelope.body} if work.envelope else set())}
        for body in bodies:
            await side.store.body(body)  # KeyError where it is erased
            looked += 1
    for message, _ in await side.inbox():
        await side.store.body(message.body)
        looked += 1
    return looked


async def test_each_kind_goes_when_its_time_is_over_and_the_history_stays(brokers: Pair) -> None:
    id = await exchange(brokers, "11111111-0000-4000-8000-000000000000")
    left, right = brokers.left, brokers.right
    kinds = {side.her: sorted(each.keeping for each in await kept(side)) for side in (left, right)}
    assert kinds[left.her] == ["answers", "envelopes", "evidence", "receipts", "sent"]
    assert kinds[right.her] == ["answers", "envelopes", "evidence", "receipts", "received"]
    ended, gone = brokers.clock.now(), []
    for days in (9, 11, 29, 31, 61, 91):
        brokers.clock.time = ended + days * DAY
        gone.append((await erase(left), await erase(right)))
    one: dict[Keeping, Mapping[Keeping, int]] = {keeping: {keeping: 1} for keeping in Keeping}
    assert gone == [
        ({}, {}),
        (one[Keeping.ENVELOPES], one[Keeping.ENVELOPES]),
        ({}, {}),
        (one[Keeping.SENT], one[Keeping.RECEIVED]),
        (one[Keeping.RECEIPTS], one[Keeping.RECEIPTS]),
        (one[Keeping.EVIDENCE], one[Keeping.EVIDENCE]),
    ]
    assert [each.keeping for each in await kept(left)] == [Keeping.ANSWERS]
    (found,) = await left.store.find(id, hers=None)
    assert found.deliveries[0].state.outcome is Outcome.COMPLETED
    with pytest.raises(KeyError):
        await left.store.body(found.message.body)
    told = [stored.event for stored in await left.store.history(id) if stored.event.kind is EventKind.ERASED]
    assert [(one.codes, one.actor, one.why) for one in told] == [
        (("envelopes",), "broker", "kept 10 days after its end"),
        (("sent",), "broker", "kept 30 days after its end"),
    ]


async def test_what_is_open_uncollected_or_unconfirmed_is_kept_for_ever(brokers: Pair) -> None:
    left, right = brokers.left, brokers.right
    await left.post(dialogue("22222222-0000-4000-8000-000000000000"))  # not receipted: its EPJ has not collected it
    await brokers.run()
    closed = await left.post(dialogue("33333333-0000-4000-8000-000000000000"))
    await acts.close(closed.message.id, By(actor="kari", reason="by telephone"), left.doors)  # not confirmed
    brokers.wire.down = {f"http://127.0.0.1/{right.her}"}
    await left.post(dialogue("44444444-0000-4000-8000-000000000000"))  # not delivered
    await brokers.run()
    brokers.clock.time += 400 * DAY
    assert await erase(left, NO_TIME) == {}
    assert set(await erase(right, NO_TIME)) == {Keeping.EVIDENCE}
    assert await require_nothing_owed_is_gone(left) == 4
    assert await require_nothing_owed_is_gone(right) == 1
    await left.store.body(closed.message.body)


async def test_the_report_counts_what_the_next_run_erases(brokers: Pair) -> None:
    for number in range(3):
        await exchange(brokers, f"{number:08x}-0000-4000-8000-000000000000")
    brokers.clock.time += 15 * DAY
    await brokers.left.post(dialogue("55555555-0000-4000-8000-000000000000"))
    left, now = brokers.left, brokers.clock.now()
    lines = {line.keeping: line for line in await retention.report(left.store, POLICY, now)}
    assert {keeping: line.due for keeping, line in lines.items() if line.due} == {Keeping.ENVELOPES: 3}
    assert (lines[Keeping.SENT].bodies, lines[Keeping.SENT].owed) == (4, 1)
    assert lines[Keeping.SENT].ages == [1, 0, 3, 0, 0]
    assert await erase(left) == {Keeping.ENVELOPES: 3}
    lines = {line.keeping: line for line in await retention.report(left.store, POLICY, now)}
    assert lines[Keeping.ENVELOPES].bodies == 0


async def test_a_receipt_that_is_asked_for_after_its_time_waits_for_a_person(brokers: Pair) -> None:
    left, right, by = brokers.left, brokers.right, By(actor="kari", reason="by telephone")
    taken = await left.post(dialogue("66666666-0000-4000-8000-000000000000"))
    await brokers.run()
    ((_, item),) = await right.inbox()
    answered = await handover.verdict(item.id, Verdict.OK, (), right.client, right.doors)
    assert answered.apprec_message is not None
    await acts.close(answered.apprec_message, by, right.doors)
    brokers.clock.time += 10 * DAY
    assert (await erase(right, NO_TIME))[Keeping.RECEIPTS] == 1
    await acts.retry(taken.message.id, by, left.doors)
    await brokers.run()
    (waits,) = await right.store.queue(limit=9)
    assert (waits.message.id, waits.delivery.cause, waits.delivery.ball) == (
        answered.apprec_message,
        causes.BODY_ERASED,
        Ball.PERSON,
    )


# --- it can go red ---


class Greedy(retention.Policy):
    """The planted fault: what has not ended counts as ended long ago."""

    def due(self, kept: Kept, now: object) -> bool:
        return True


async def test_the_database_keeps_what_is_owed_from_a_retention_that_takes_everything(brokers: Pair) -> None:
    left = brokers.left
    brokers.wire.down = {f"http://127.0.0.1/{brokers.right.her}"}
    await left.post(dialogue("77777777-0000-4000-8000-000000000000"))
    await brokers.run()
    greedy = Greedy(times=POLICY.times)
    assert await erase(left, greedy) == {}
    assert await require_nothing_owed_is_gone(left) == 2
    with pytest.raises(Impossible, match="still owed"):
        await left.store._writer.run(
            lambda db: db.execute("UPDATE body SET wrapped = NULL, sealed = NULL, erased_at = 1").close()
        )


async def test_the_check_sees_a_body_that_was_taken_while_it_was_owed(brokers: Pair) -> None:
    left = brokers.left
    brokers.wire.down = {f"http://127.0.0.1/{brokers.right.her}"}
    await left.post(dialogue("88888888-0000-4000-8000-000000000000"))
    await brokers.run()
    await left.store._writer.run(lambda db: db.execute("DROP TRIGGER body_owed").close())
    await left.store._writer.run(
        lambda db: db.execute(
            "UPDATE body SET wrapped = NULL, sealed = NULL, erased_at = 1 WHERE id IN (SELECT body FROM owed)"
        ).close()
    )
    with pytest.raises(KeyError):
        await require_nothing_owed_is_gone(left)
