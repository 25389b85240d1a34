"""What the store counts for operators: the same as counting every message, and without reading them all."""

import random
import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.diagnosis.problems import AGES, PATIENCE, Tally, tally
from broker.lifecycle import Outcome, Receipt, StopPoint, Transport
from broker.message import Ball, Changes, EventKind
from broker.store import overview
from broker.store.sqlite import SqliteStore
from tests.store import values
from tests.store.values import MINUTE, NOW, OURS, PARTNER, PARTNER_TOO

_CAUSES = (None, "MB-3202", "MB-3206", "MB-2002")
_PLANNED = {
    name: text
    for name, text in vars(overview).items()
    if not name.startswith("_") and isinstance(text, str) and text.split()[0] in ("SELECT", "WITH")
}


async def _many(store: SqliteStore, count: int) -> list[Tally]:
    """Put open deliveries of all sorts into the store, and return the tally of each."""
    chance, told = random.Random(5), []
    for _ in range(count):
        kept = values.body()
        one = values.message(kept, at=NOW - chance.random() * timedelta(days=5))
        delivery = values.delivery(
            one,
            receiver_her=chance.choice((PARTNER, PARTNER_TOO)),
            state=values.state(
                chance.choice(list(Transport)),
                chance.choice((Receipt.AWAITED, Receipt.OVERDUE)),
                stop_point=chance.choice((StopPoint.K2, StopPoint.K4, StopPoint.K5, StopPoint.K6)),
            ),
            ball=chance.choice(list(Ball)),
            cause=chance.choice(_CAUSES),
            transport_due=chance.choice((None, NOW + MINUTE)),
            receipt_due=NOW + chance.randint(1, 9) * MINUTE,
            alarms=chance.randint(0, 1),
        )
        await store.accept(
            Changes(
                events=(values.about(EventKind.ACCEPTED, one),), bodies=(kept,), messages=(one,), deliveries=(delivery,)
            )
        )
        told.append(tally(delivery, one, now=NOW))
    return told


def _merged(tallies: list[Tally]) -> dict[Any, tuple[int, Any, Any]]:
    """Return tallies of one each as the store gives them: together, with the oldest and the next."""
    found: dict[Any, tuple[int, Any, Any]] = {}
    for each in tallies:
        key = (each.state, each.cause, each.ball, each.counterpart, each.old, each.alarmed)
        count, oldest, due = found.get(key, (0, each.oldest, each.next_at))
        found[key] = (count + each.count, min(oldest, each.oldest), min(due, each.next_at))
    return found


async def test_the_store_counts_as_one_would_by_hand(store: SqliteStore) -> None:
    by_hand = await _many(store, 150)
    counted = await store.tallies(now=NOW)
    assert _merged(list(counted)) == _merged(by_hand)
    assert sum(each.count for each in counted) == 150
    assert len({each.key for each in counted}) > 20


async def test_the_members_of_all_groups_together_are_all_that_is_open(store: SqliteStore) -> None:
    await _many(store, 60)
    tallies = await store.tallies(now=NOW)
    found: Counter[str] = Counter()
    for key in {each.key for each in tallies}:
        members = await store.members(key, tallies, limit=1000)
        assert {tally(work.delivery, work.message, now=NOW).key for work in members} == {key}
        assert len(members) == sum(each.count for each in tallies if each.key == key)
        found.update(work.delivery.id for work in members)
    assert len(found) == 60
    assert set(found.values()) == {1}


async def test_ages_are_counted_by_counterpart(store: SqliteStore) -> None:
    for age in (MINUTE, 10 * MINUTE, 10 * MINUTE, timedelta(days=9)):
        await store.accept(values.taken(at=NOW - age))
    assert await store.shape(now=NOW) == {PARTNER: (1, 2, 0, 0, 0, 0, 1)}
    assert len(AGES) == 6


async def test_what_an_epj_has_not_collected_is_counted(store: SqliteStore) -> None:
    await store.receive(values.arrived())
    await store.receive(values.arrived())
    (waiting,) = await store.uncollected()
    assert (waiting.her, waiting.stop_point, waiting.count, waiting.oldest) == (OURS, StopPoint.M6, 2, NOW)


async def test_a_settled_delivery_waits_for_the_epj_or_for_a_person_until_it_is_confirmed(store: SqliteStore) -> None:
    changes = values.taken(at=NOW - 2 * PATIENCE)
    await store.accept(changes)
    (delivery,) = changes.deliveries
    settled = replace(
        delivery,
        state=values.state(Transport.ACKNOWLEDGED, Receipt.NOT_OWED, Outcome.COMPLETED, StopPoint.K7),
        ball=Ball.EPJ,
        updated_at=NOW,
    )
    told = (values.about(EventKind.COMPLETED, changes.messages[0], delivery),)
    await store.record(Changes(events=told, advanced=(settled,)))
    (waiting,) = await store.uncollected()
    assert (waiting.her, waiting.stop_point, waiting.count) == (OURS, StopPoint.K7, 1)
    assert await store.tallies(now=NOW) == ()
    doubted = replace(settled, version=2, ball=Ball.PERSON, cause="MB-3405")
    await store.record(Changes(events=told, advanced=(doubted,)))
    assert await store.uncollected() == ()
    (one,) = await store.tallies(now=NOW)
    assert (str(one.key), one.troubled) == (f"K7:MB-3405:{PARTNER}", True)
    assert len(await store.members(one.key, (one,), limit=9)) == 1
    await store.record(Changes(events=told, advanced=(replace(doubted, version=3, confirmed_at=NOW),)))
    assert await store.tallies(now=NOW) == ()


async def test_contacts_are_the_last_of_each_counterpart(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    sealed, _, envelope = values.sealed(changes.deliveries[0])
    await store.record(sealed)
    assert await store.contacts() == {}
    used = replace(envelope, acknowledged_at=NOW + MINUTE)
    await store.record(Changes(events=(values.event(EventKind.ACKNOWLEDGED),), used=(used,)))
    await store.receive(values.arrived(sender_her=PARTNER_TOO, at=NOW))
    await store.receive(values.arrived(sender_her=PARTNER_TOO, at=NOW + 2 * MINUTE))
    contacts = await store.contacts()
    assert contacts[PARTNER].acknowledged_at == NOW + MINUTE
    assert contacts[PARTNER].heard_at is None
    assert contacts[PARTNER_TOO].heard_at == NOW + 2 * MINUTE


async def test_events_are_counted_from_an_instant_on_and_told_by_offset(store: SqliteStore) -> None:
    for minute in range(6):
        event = values.event(EventKind.SECURITY, at=NOW + minute * MINUTE)
        await store.record(Changes(events=(event,)))
    assert await store.since(NOW + 2 * MINUTE) == {EventKind.SECURITY: 4}
    assert await store.since(NOW - MINUTE) == {EventKind.SECURITY: 6}
    assert await store.latest([EventKind.SECURITY, EventKind.CLOSED]) == {EventKind.SECURITY: NOW + 5 * MINUTE}
    last = await store.all_events(after=-2, limit=10)
    assert [each.event.at for each in last] == [NOW + 4 * MINUTE, NOW + 5 * MINUTE]
    assert await store.all_events(after=last[-1].offset, limit=10) == ()
    assert len(await store.all_events(after=-100, limit=10)) == 6


@pytest.mark.parametrize("name", sorted(_PLANNED))
async def test_no_question_reads_a_table_from_end_to_end(store: SqliteStore, name: str) -> None:
    given = dict.fromkeys(("patience", "most", "her", "stop_point", "raw", "limit", "kinds", "since", "after", "count"))
    given |= {f"edge{number}": None for number in range(len(AGES))}

    def plan(db: sqlite3.Connection) -> list[str]:
        return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {_PLANNED[name]}", given)]

    steps = await store._writer.run(plan)
    # Of these an index holds nothing but what is asked for; the newest of all are read until one is old enough.
    fine = (
        "delivery_open",
        "delivery_unconfirmed",
        "delivery_counterpart",
        "item_unread",
        "SCAN json_each",
        "SCAN kind ",
        "SCAN lane",
        "SCAN (",
    )
    newest = ["SCAN event"] if name in ("SINCE", "BEFORE_LAST") else []
    scans = [step for step in steps if step.startswith("SCAN") and not any(each in step for each in fine)]
    assert [step for step in scans if step not in ("SCAN d", "SCAN CONSTANT ROW")] == newest


def test_the_questions_are_looked_at() -> None:
    assert len(_PLANNED) >= 12
