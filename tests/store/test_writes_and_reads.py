"""Every method of the store, by what goes in and what comes out."""

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from broker.lifecycle import (
    Event,
    ItemStage,
    Outcome,
    Receipt,
    State,
    StopPoint,
    Transport,
    advance,
    allows,
    first_state,
)
from broker.message import Ball, Changes, Code, Delivery, EventKind, Message
from broker.ports import Delivered, Stale, Store
from broker.store.faults import Impossible
from broker.store.sqlite import SqliteStore
from tests.store import values
from tests.store.values import MINUTE, NOW, OURS, OURS_TOO, PARTNER, PARTNER_TOO


def test_the_sqlite_store_is_a_store(store: SqliteStore) -> None:
    as_port: Store = store  # mypy compares every signature
    assert as_port is store


async def _receipted(store: SqliteStore, changes: Changes) -> tuple[Message, Delivery, int]:
    """Complete the delivery that `changes` took. Returns its message, itself, and the offset that told of it."""
    (told,), (before,) = changes.messages, changes.deliveries
    kept = values.body(b"<AppRec/>")
    receipt = values.apprec(kept, told)
    after = replace(
        before,
        state=values.state(Transport.ACKNOWLEDGED, Receipt.OK, Outcome.COMPLETED, StopPoint.K7),
        receipt_message=receipt.id,
        transport_due=None,
        receipt_due=None,
        codes=(Code(code="E10", oid="2.16.578.1.12.4.1.1.8221", text="Ugyldig meldingsidentifikator"),),
    )
    done = values.about(EventKind.COMPLETED, told, before)
    await store.receive(Changes(events=(done,), bodies=(kept,), messages=(receipt,), advanced=(after,)))
    (*_, last) = await store.feed([told.sender_her], after=0, limit=1000)
    return told, replace(after, version=before.version + 1), last.offset


async def test_what_was_accepted_is_read_back_as_it_was(store: SqliteStore) -> None:
    changes = values.taken(b"<MsgHead>\xc3\xa6</MsgHead>", ref_to_parent="parent")
    await store.accept(changes)
    (told,), (one,) = changes.messages, changes.deliveries
    assert await store.outbound(OURS, told.msg_id) == Delivered(message=told, deliveries=(one,))
    assert await store.body(told.body) == b"<MsgHead>\xc3\xa6</MsgHead>"
    work = await store.work(one.id)
    assert work is not None
    assert (work.message, work.delivery, work.envelope) == (told, one, None)
    (accepted,) = await store.history(told.id)
    assert accepted.event == changes.events[0]
    assert await store.outbound(PARTNER, told.msg_id) is None
    assert await store.work("unknown") is None


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
async def test_a_body_of_any_size_comes_back_whole(store: SqliteStore, size: int) -> None:
    content = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    changes = values.taken(content[:size])
    await store.accept(changes)
    assert await store.body(changes.messages[0].body) == content[:size]


async def test_several_receivers_are_several_deliveries(store: SqliteStore) -> None:
    changes = values.taken()
    also = values.delivery(changes.messages[0], receiver_her=PARTNER_TOO, receiver_person=True)
    await store.accept(replace(changes, deliveries=(*changes.deliveries, also)))
    found = await store.outbound(OURS, changes.messages[0].msg_id)
    assert found is not None
    assert found.deliveries == (*changes.deliveries, also)


async def test_two_accepts_of_one_key_write_one(store: SqliteStore) -> None:
    rivals = [values.taken(msg_id="the same", content=f"{n}".encode()) for n in range(20)]
    told = await asyncio.gather(*(store.accept(rival) for rival in rivals), return_exceptions=True)
    assert Counter(type(one) for one in told) == {type(None): 1, Stale: 19}
    winner = rivals[told.index(None)]
    found = await store.outbound(OURS, "the same")
    assert found is not None
    assert found.message == winner.messages[0]
    assert [stored.event for stored in await store.feed([OURS], after=0, limit=99)] == list(winner.events)


async def test_a_msg_id_is_taken_for_its_sender_alone(store: SqliteStore) -> None:
    await store.accept(values.taken(msg_id="the same"))
    await store.accept(values.taken(msg_id="the same", sender_her=OURS_TOO))
    with pytest.raises(Stale):
        await store.accept(values.taken(msg_id="the same"))


async def test_a_failing_closure_undoes_nothing_of_its_group(store: SqliteStore) -> None:
    await store.accept(values.taken(msg_id="taken"))
    group = [values.taken(msg_id="taken" if n % 3 == 0 else f"free {n}") for n in range(150)]
    told = await asyncio.gather(*(store.accept(one) for one in group), return_exceptions=True)
    assert [type(one) for one in told] == [Stale if n % 3 == 0 else type(None) for n in range(150)]
    for n, one in enumerate(group):
        found = await store.outbound(OURS, one.messages[0].msg_id)
        assert (found is not None and found.message == one.messages[0]) is (n % 3 != 0)


async def _in_one_group(
    store: SqliteStore, works: Sequence[Callable[[sqlite3.Connection], None]]
) -> list[BaseException | None]:
    """Have the writer run these as one group: it is held up until all of them wait."""
    held, go = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        held.set()
        go.wait(10)

    async def let_go() -> None:
        go.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store._writer.run(hold))
        await asyncio.to_thread(held.wait, 10)
        *told, _ = await asyncio.gather(*map(store._writer.run, works), let_go(), return_exceptions=True)
    return told


async def test_a_group_is_run_once_and_again_only_where_one_of_it_fails(store: SqliteStore) -> None:
    ran: Counter[str] = Counter()

    def noted(name: str, db: sqlite3.Connection) -> None:
        ran[name] += 1
        if name == "bad":
            raise Stale

    good = ["one", "two", "three"]
    assert await _in_one_group(store, [partial(noted, name) for name in good]) == [None] * 3
    assert ran == dict.fromkeys(good, 1)
    ran.clear()
    told = await _in_one_group(store, [partial(noted, name) for name in ("one", "bad", "two")])
    assert [type(one) for one in told] == [type(None), Stale, type(None)]
    assert ran == {"one": 2, "bad": 2, "two": 1}  # the first time it was not come to what stands behind the bad one


async def test_a_changed_version_is_stale_and_nothing_of_the_write_stays(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    (before,) = changes.deliveries
    first, _, made = values.sealed(before)
    await store.record(first)
    second, _, other = values.sealed(before)
    with pytest.raises(Stale):
        await store.record(second)
    assert await store.work_by_envelope(other.eb_id) is None
    with pytest.raises(KeyError):
        await store.body(other.body)
    assert await store.work_by_envelope(made.eb_id) is not None


async def test_many_rivals_for_one_version_write_one(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    rivals = [values.sealed(changes.deliveries[0]) for _ in range(20)]
    told = await asyncio.gather(*(store.record(rival) for rival, _, _ in rivals), return_exceptions=True)
    assert Counter(type(one) for one in told) == {type(None): 1, Stale: 19}
    work = await store.work(changes.deliveries[0].id)
    assert work is not None
    _, after, made = rivals[told.index(None)]
    assert (work.delivery, work.envelope) == (after, made)


async def test_an_earlier_envelope_is_still_known_by_its_id(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    first, after, earlier = values.sealed(changes.deliveries[0])
    await store.record(first)
    second, after, current = values.sealed(after)
    used = replace(earlier, copies=2, acknowledged_at=NOW)
    await store.record(replace(second, used=(used,)))
    found = await store.work_by_envelope(earlier.eb_id)
    assert found is not None
    assert (found[0].delivery, found[0].envelope, found[1]) == (after, current, used)


async def test_an_envelope_id_is_used_once(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    first, after, made = values.sealed(changes.deliveries[0])
    await store.record(first)
    again, _, _ = values.sealed(after)
    with pytest.raises(Stale):
        await store.record(replace(again, envelopes=(replace(again.envelopes[0], eb_id=made.eb_id),)))


async def test_attempts_are_told_oldest_first(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    sealed, _, made = values.sealed(changes.deliveries[0])
    await store.record(sealed)
    tries = [values.attempt(made, number) for number in (1, 2, 3)]
    for one in tries:
        await store.record(Changes(events=(values.event(EventKind.FAILED),), attempts=(one,)))
    assert await store.attempts(changes.messages[0].id) == tuple(tries)
    assert await store.attempts("unknown") == ()


async def test_a_receipt_finds_its_delivery_by_sender_id_and_receiver(store: SqliteStore) -> None:
    changes = values.taken(msg_id="mine")
    await store.accept(changes)
    await store.accept(values.taken(msg_id="mine", sender_her=OURS_TOO))
    work = await store.work_by_receipt(sender_her=OURS, msg_id="mine", receiver_her=PARTNER)
    assert work is not None
    assert work.delivery == changes.deliveries[0]
    assert await store.work_by_receipt(sender_her=OURS, msg_id="mine", receiver_her=PARTNER_TOO) is None
    assert await store.work_by_receipt(sender_her=OURS, msg_id="other", receiver_her=PARTNER) is None


async def test_a_receipt_completes_and_its_codes_stay(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    _, after, _ = await _receipted(store, changes)
    work = await store.work(after.id)
    assert work is not None
    assert work.delivery == after


# --- inbound ---


async def test_what_was_received_is_known_by_both_keys(store: SqliteStore) -> None:
    changes = values.arrived()
    await store.receive(changes)
    (told,), (one,), kept = changes.messages, changes.new_items, changes.received
    assert kept is not None
    assert await store.received(from_her=PARTNER, cpa_id="cpa-1", eb_id=kept.eb_id) == kept
    assert await store.inbound(sender_her=PARTNER, msg_id=told.msg_id) == (told, one)
    assert await store.item(one.id) == (told, one)
    assert await store.received(from_her=PARTNER_TOO, cpa_id="cpa-1", eb_id=kept.eb_id) is None
    assert await store.inbound(sender_her=PARTNER_TOO, msg_id=told.msg_id) is None
    assert await store.item("unknown") is None


async def test_a_document_that_was_rejected_has_no_item_and_is_known(store: SqliteStore) -> None:
    changes = values.arrived()
    kept = changes.received
    assert kept is not None
    await store.receive(replace(changes, new_items=(), received=replace(kept, item_id=None)))
    assert await store.inbound(sender_her=PARTNER, msg_id=changes.messages[0].msg_id) == (changes.messages[0], None)


async def test_one_envelope_is_received_once(store: SqliteStore) -> None:
    changes = values.arrived()
    rivals = [replace(values.arrived(), received=None) for _ in range(10)]
    kept = changes.received
    assert kept is not None
    rivals = [
        replace(rival, received=replace(kept, evidence=rival.bodies[1].id, item_id=rival.new_items[0].id))
        for rival in rivals
    ]
    told = await asyncio.gather(*(store.receive(rival) for rival in rivals), return_exceptions=True)
    assert Counter(type(one) for one in told) == {type(None): 1, Stale: 9}
    assert len(await store.inbox([OURS], unread=True, after=None, limit=99)) == 1


async def test_one_document_in_two_envelopes_is_received_once(store: SqliteStore) -> None:
    await store.receive(values.arrived(msg_id="the same"))
    with pytest.raises(Stale):
        await store.receive(values.arrived(msg_id="the same"))
    await store.receive(values.arrived(msg_id="the same", sender_her=PARTNER_TOO))


async def test_a_message_between_two_of_ours_stands_on_both_sides(store: SqliteStore) -> None:
    sent = values.taken(msg_id="internal", to=OURS_TOO)
    came = values.arrived(msg_id="internal", sender_her=OURS, to=OURS_TOO)
    await store.accept(sent)
    await store.receive(came)
    assert [one.message for one in await store.find("internal", hers=[OURS])] == [sent.messages[0]]
    assert [one.message for one in await store.find("internal", hers=[OURS_TOO])] == [came.messages[0]]
    assert len(await store.find("internal", hers=None)) == 2


async def test_the_inbox_pages_in_order_and_unread_leaves_out_the_stored(store: SqliteStore) -> None:
    came = [values.arrived(to=(OURS, OURS_TOO, 8000203)[n % 3]) for n in range(12)]
    for one in came:
        await store.receive(one)
    mine = [one.new_items[0] for n, one in enumerate(came) if n % 3 != 2]
    pages, after = [], None
    while page := await store.inbox([OURS, OURS_TOO], unread=False, after=after, limit=3):
        pages.append([item for _, item in page])
        after = pages[-1][-1].id
    assert pages == [mine[0:3], mine[3:6], mine[6:8]]
    stored = replace(mine[0], stage=ItemStage.STORED)
    verdict = values.judged(mine[3])
    await store.record(Changes(events=(values.event(EventKind.STORED),), items=(stored, verdict)))
    unread = await store.inbox([OURS, OURS_TOO], unread=True, after=None, limit=99)
    assert [item for _, item in unread] == [one for one in mine if one.id not in (stored.id, verdict.id)]
    whole = await store.inbox([OURS], unread=False, after=None, limit=99)
    assert [item.version for _, item in whole] == [2, 1, 1, 1]
    with pytest.raises(Stale):
        await store.record(Changes(events=(values.event(EventKind.STORED),), items=(stored,)))


# --- events ---


async def test_the_feed_holds_ones_own_in_order_and_pages(store: SqliteStore) -> None:
    for n in range(30):
        her = (OURS, OURS_TOO, 8000203)[n % 3]
        await store.record(Changes(events=(values.event(EventKind.PARKED, her=her, feed=n % 5 != 0, why=f"{n}"),)))
    expected = [f"{n}" for n in range(30) if n % 3 != 2 and n % 5 != 0]
    seen, after = [], 0
    while page := await store.feed([OURS, OURS_TOO], after=after, limit=4):
        assert len(page) <= 4
        assert [stored.offset for stored in page] == sorted(stored.offset for stored in page)
        seen += [stored.event.why for stored in page]
        after = page[-1].offset
    assert seen == expected
    assert await store.feed([PARTNER], after=0, limit=9) == ()
    assert await store.feed([], after=0, limit=9) == ()


async def test_no_event_is_skipped_by_a_reader_that_reads_while_others_write(store: SqliteStore) -> None:
    async def write(writer: int) -> None:
        for n in range(25):
            await store.record(Changes(events=(values.event(EventKind.PARKED, feed=True, why=f"{writer} {n}"),)))

    seen: list[str | None] = []

    async def read() -> None:
        after = 0
        while len(seen) < 200:
            for stored in await store.feed([OURS], after=after, limit=7):
                seen.append(stored.event.why)
                after = stored.offset

    await asyncio.wait_for(asyncio.gather(read(), *(write(writer) for writer in range(8))), 30)
    assert sorted(map(str, seen)) == sorted(f"{writer} {n}" for writer in range(8) for n in range(25))


async def test_operators_read_events_by_kind(store: SqliteStore) -> None:
    kinds = [EventKind.SECURITY, EventKind.PARKED, EventKind.RECEIPT_UNMATCHED] * 3
    for n, kind in enumerate(kinds):
        await store.record(Changes(events=(values.event(kind, her=None, why=f"{n}", codes=("E10", "T99")),)))
    wanted = [EventKind.SECURITY, EventKind.RECEIPT_UNMATCHED]
    found = await store.events(kinds=wanted, after=0, limit=4)
    assert [stored.event.why for stored in found] == ["0", "2", "3", "5"]
    rest = await store.events(kinds=wanted, after=found[-1].offset, limit=4)
    assert [stored.event.why for stored in rest] == ["6", "8"]
    assert rest[0].event.codes == ("E10", "T99")


async def test_an_outcome_is_unconfirmed_from_the_event_that_told_it_until_it_is_confirmed(store: SqliteStore) -> None:
    changes, other = values.taken(), values.taken(sender_her=OURS_TOO)
    await store.accept(changes)
    await store.accept(other)
    assert await store.unconfirmed([OURS], through=10**9) == ()
    told, after, offset = await _receipted(store, changes)
    await _receipted(store, other)
    assert await store.unconfirmed([OURS], through=offset - 1) == ()
    (found,) = await store.unconfirmed([OURS], through=offset)
    assert found.delivery == after
    assert len(await store.unconfirmed([OURS, OURS_TOO], through=10**9)) == 2
    # what is written later of a settled delivery tells its outcome no anew
    seen = replace(after, updated_at=NOW)
    await store.record(Changes(events=(values.about(EventKind.RECEIPT_REPEATED, told, after),), advanced=(seen,)))
    seen = replace(seen, version=after.version + 1)
    assert len(await store.unconfirmed([OURS], through=offset)) == 1
    done = replace(seen, confirmed_at=NOW, state=replace(after.state, stop_point=StopPoint.K8))
    await store.record(Changes(events=(values.about(EventKind.CONFIRMED, told, after),), advanced=(done,)))
    assert await store.unconfirmed([OURS], through=10**9) == ()


async def test_each_of_many_outcomes_in_one_write_is_unconfirmed_from_its_own_event(store: SqliteStore) -> None:
    taken = [values.taken() for _ in range(20)]
    for changes in taken:
        await store.accept(changes)
    closed = [
        replace(
            changes.deliveries[0],
            state=values.state(Transport.WAITING, Receipt.AWAITED, Outcome.CLOSED),
            closed_because="handled by telephone",
        )
        for changes in taken
    ]
    told = [values.about(EventKind.CLOSED, changes.messages[0], changes.deliveries[0]) for changes in taken]
    await store.record(Changes(events=tuple(told), advanced=tuple(closed)))
    feed = await store.feed([OURS], after=0, limit=1000)
    places = {one.event.delivery_id: one.offset for one in feed if one.event.kind is EventKind.CLOSED}
    assert len(places) == 20
    for number, delivery in enumerate(closed):
        found = await store.unconfirmed([OURS], through=places[delivery.id])
        assert [work.delivery.id for work in found] == [one.id for one in closed[: number + 1]]


def test_no_event_opens_again_what_is_settled() -> None:
    """So an open delivery is advanced without its outcome's columns: it had none before."""
    waiting = [first_state(receipt_awaited=awaited) for awaited in (True, False)]
    known: set[State] = set()
    while waiting:
        state = waiting.pop()
        known.add(state)
        for after in (advance(state, event) for event in Event if allows(state, event)):
            assert after.outcome is not Outcome.OPEN or state.outcome is Outcome.OPEN
            if after not in known:
                waiting.append(after)
    assert {state.outcome for state in known} == set(Outcome)


async def test_an_outcome_that_no_feed_told_cannot_be_confirmed(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    closed = replace(
        changes.deliveries[0],
        state=values.state(Transport.WAITING, Receipt.AWAITED, Outcome.CLOSED),
        closed_because="handled by telephone",
    )
    await store.record(Changes(events=(values.event(EventKind.CLOSED),), advanced=(closed,)))
    assert await store.unconfirmed([OURS], through=10**9) == ()


async def test_a_write_without_an_event_is_refused(store: SqliteStore) -> None:
    with pytest.raises(Impossible, match="without an event"):
        await store.record(replace(values.taken(), events=()))


# --- looking things up ---


async def test_a_message_is_found_by_any_id(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    sealed, _, made = values.sealed(changes.deliveries[0])
    await store.record(sealed)
    came = values.arrived()
    await store.receive(came)
    (told,), (one,), kept = changes.messages, changes.deliveries, came.received
    assert kept is not None
    for id in (told.id, told.msg_id, told.conversation_id, one.id, made.eb_id, told.id[:8], one.id[:13]):
        assert [found.message for found in await store.find(id, hers=None)] == [told], id
        assert [found.message for found in await store.find(id, hers=[OURS])] == [told], id
        assert await store.find(id, hers=[OURS_TOO, PARTNER]) == (), id
    (inbound,), (item,) = came.messages, came.new_items
    for id in (inbound.id, inbound.msg_id, item.id, kept.eb_id, item.id[:8]):
        assert await store.find(id, hers=[OURS]) == (Delivered(message=inbound, deliveries=()),), id
        assert await store.find(id, hers=[OURS_TOO]) == (), id
    for id in (told.id[:7], "", "%", "_" * 36, told.msg_id[:12], "unknown-unknown"):
        assert await store.find(id, hers=None) == (), id


async def test_a_prefix_that_two_messages_share_names_neither(store: SqliteStore) -> None:
    first, second = values.taken(id="aaaaaaaa-1"), values.taken(id="aaaaaaaa-2")
    await store.accept(first)
    await store.accept(second)
    assert await store.find("aaaaaaaa-", hers=None) == ()
    assert [found.message for found in await store.find("aaaaaaaa-2", hers=None)] == [second.messages[0]]


async def test_a_conversation_is_found_whole(store: SqliteStore) -> None:
    # the first message of a conversation gives it its own MsgId
    question = values.taken(msg_id="talk", conversation_id="talk")
    answer = values.arrived(conversation_id="talk")
    more = values.taken(conversation_id="talk")
    await store.accept(question)
    await store.receive(answer)
    await store.accept(more)
    found = await store.find("talk", hers=[OURS])
    assert [one.message for one in found] == [question.messages[0], answer.messages[0], more.messages[0]]


async def test_the_queue_shows_what_a_person_must_see_first_and_nothing_finished(store: SqliteStore) -> None:
    balls = [Ball.US, Ball.EPJ, Ball.PERSON, Ball.PARTNER, Ball.PERSON, Ball.EPJ]
    taken = []
    for n, ball in enumerate(balls):
        changes = values.taken(msg_id=f"{n}")
        one = replace(changes.deliveries[0], ball=ball)
        taken.append(replace(changes, deliveries=(one,)))
        await store.accept(taken[-1])
    done = values.taken(msg_id="done")
    await store.accept(done)
    await _receipted(store, done)
    assert [work.message.msg_id for work in await store.queue(limit=99)] == ["2", "4", "1", "5", "0", "3"]
    assert [work.message.msg_id for work in await store.queue(limit=3)] == ["2", "4", "1"]


# --- bodies that are erased ---


@pytest.mark.parametrize("size", [10, 300_000])
async def test_an_erased_body_is_gone_and_the_message_is_not(store: SqliteStore, size: int) -> None:
    changes, other = values.taken(b"x" * size), values.taken(b"y" * size)
    await store.accept(changes)
    await store.accept(other)
    (told,) = changes.messages
    assert await store.erase(bodies=values.erasing(told.body), now=NOW) == ()  # it is owed
    await store.record(values.closing(changes.deliveries[0]))
    (event,) = await store.erase(bodies=values.erasing(told.body, told.body, "unknown"), now=NOW)
    assert [stored.event for stored in await store.history(f"of {told.body}")] == [event]
    assert await store.erase(bodies=values.erasing(told.body), now=NOW) == ()
    with pytest.raises(KeyError):
        await store.body(told.body)
    assert await store.outbound(OURS, told.msg_id) is not None
    assert await store.body(other.messages[0].body) == b"y" * size


async def test_times_survive_to_the_microsecond(store: SqliteStore) -> None:
    at = NOW + timedelta(microseconds=1)
    await store.accept(values.taken(msg_id="fine", at=at))
    found = await store.outbound(OURS, "fine")
    assert found is not None
    assert found.message.at == at
    with pytest.raises(TypeError):
        await store.accept(values.taken(at=at.replace(tzinfo=None)))
    assert (await store.next_due(closed=[])) == NOW
    assert timedelta(seconds=60) == MINUTE


# --- who was heard ---


async def test_each_partner_was_heard_in_the_hours_in_which_its_documents_came(store: SqliteStore) -> None:
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    for minutes in (-200, 1, 2, 61):
        came = values.arrived()
        told = values.about(EventKind.INBOX_DOCUMENT, came.messages[0], at=hour + minutes * MINUTE, counterpart=PARTNER)
        await store.receive(replace(came, events=(told,)))
    await store.accept(values.taken())
    assert await store.heard(since=hour) == {PARTNER: (hour, hour + 60 * MINUTE)}
    assert await store.heard(since=hour + 120 * MINUTE) == {}
