"""What a claim hands out: lanes side by side, nothing twice, and never a look at what waits for a dead partner."""

import asyncio
import os
import sqlite3
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broker.message import Changes, EventKind
from broker.ports import Claimed, Stale
from broker.store import queries
from broker.store.claim import claim
from broker.store.rows import DELIVERY, MESSAGE
from broker.store.sqlite import SqliteStore, open_store
from tests.store import values
from tests.store.values import MINUTE, NOW, PARTNER, PARTNER_TOO, SITE_KEY

UNTIL = NOW + 2 * MINUTE


async def _claim(store: SqliteStore, **given: Any) -> Claimed:
    ways: dict[str, Any] = {"now": NOW, "until": UNTIL, "limit": 100, "per_lane": 8, "busy": {}, "closed": ()}
    return await store.claim(**ways | given)


async def _take(store: SqliteStore, to: int, *, due: datetime = NOW, name: str | None = None) -> str:
    """Accept one document and return its MsgId."""
    changes = values.taken(to=to, msg_id=name or values.new_id())
    one = replace(changes.deliveries[0], transport_due=due, receipt_due=None)
    await store.accept(replace(changes, deliveries=(one,)))
    return changes.messages[0].msg_id


def _names(claimed: Claimed) -> list[str]:
    return [work.message.msg_id for work in claimed.work]


async def test_what_is_claimed_is_leased_whole_and_takes_a_version(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    sealed, after, made = values.sealed(changes.deliveries[0])
    await store.record(sealed)
    (work,) = (await _claim(store)).work
    assert work.message == changes.messages[0]
    assert work.envelope == made
    assert work.delivery == replace(after, version=after.version + 1, leased_until=UNTIL)
    again = await store.work(work.delivery.id)
    assert again == work


async def test_what_is_leased_is_not_claimed_again_until_the_lease_ends(store: SqliteStore) -> None:
    await _take(store, PARTNER)
    assert len((await _claim(store)).work) == 1
    assert (await _claim(store)).work == ()
    assert (await _claim(store, now=UNTIL - timedelta(microseconds=1))).work == ()
    assert len((await _claim(store, now=UNTIL, until=UNTIL + MINUTE)).work) == 1


async def test_many_claims_at_once_hand_out_each_delivery_once(store: SqliteStore) -> None:
    names = [await _take(store, PARTNER + n % 5) for n in range(60)]
    claims = await asyncio.gather(*(_claim(store, limit=7) for _ in range(20)))
    claimed = [name for one in claims for name in _names(one)]
    assert sorted(claimed) == sorted(names)


async def test_a_claim_makes_what_was_read_before_it_stale(store: SqliteStore) -> None:
    changes = values.taken()
    await store.accept(changes)
    await _claim(store)
    late, _, _ = values.sealed(changes.deliveries[0])
    with pytest.raises(Stale):
        await store.record(late)


async def test_a_word_that_comes_meanwhile_keeps_the_lease_and_makes_the_worker_look_again(store: SqliteStore) -> None:
    await store.accept(values.taken())
    (work,) = (await _claim(store)).work
    marked = replace(work.delivery, alarms=1)  # the lease as it was read
    await store.receive(Changes(events=(values.event(EventKind.ALARM),), advanced=(marked,)))
    assert (await _claim(store)).work == ()
    mine, _, _ = values.sealed(work.delivery)
    with pytest.raises(Stale):
        await store.record(mine)


async def test_recording_with_the_lease_given_back_frees_it(store: SqliteStore) -> None:
    await _take(store, PARTNER)
    (work,) = (await _claim(store)).work
    mine, _, _ = values.sealed(work.delivery)
    await store.record(mine)
    assert len((await _claim(store)).work) == 1


async def test_what_is_not_yet_due_waits(store: SqliteStore) -> None:
    await _take(store, PARTNER, due=NOW + timedelta(microseconds=1))
    assert (await _claim(store)).work == ()
    assert await store.next_due(closed=()) == NOW + timedelta(microseconds=1)
    assert len((await _claim(store, now=NOW + timedelta(microseconds=1))).work) == 1


async def test_either_clock_makes_a_delivery_due(store: SqliteStore) -> None:
    changes = values.taken()
    one = replace(changes.deliveries[0], transport_due=NOW + MINUTE, receipt_due=NOW)
    await store.accept(replace(changes, deliveries=(one,)))
    assert len((await _claim(store)).work) == 1


async def test_a_lane_gets_its_free_slots_and_no_more(store: SqliteStore) -> None:
    for n in range(6):
        await _take(store, PARTNER, due=NOW - n * MINUTE, name=f"{n}")
    assert _names(await _claim(store, per_lane=4, busy={PARTNER: 2})) == ["5", "4"]
    assert _names(await _claim(store, per_lane=4, busy={PARTNER: 4})) == []
    assert _names(await _claim(store, per_lane=4, busy={PARTNER: 9})) == []
    assert _names(await _claim(store, per_lane=4)) == ["3", "2", "1", "0"]


async def test_a_closed_lane_is_left_alone(store: SqliteStore) -> None:
    await _take(store, PARTNER, name="closed")
    await _take(store, PARTNER_TOO, name="open", due=NOW + MINUTE)
    assert await store.next_due(closed=()) == NOW
    assert await store.next_due(closed=[PARTNER]) == NOW + MINUTE
    assert await store.next_due(closed=[PARTNER, PARTNER_TOO]) is None
    assert _names(await _claim(store, closed={PARTNER}, now=NOW + MINUTE)) == ["open"]
    assert _names(await _claim(store)) == ["closed"]


async def test_lanes_take_turns_and_the_idle_come_first(store: SqliteStore) -> None:
    for n in range(5):
        await _take(store, PARTNER, due=NOW - timedelta(hours=1) + n * MINUTE, name=f"backlog {n}")
    await _take(store, PARTNER_TOO, due=NOW, name="fresh")
    assert _names(await _claim(store, limit=2, busy={PARTNER: 1})) == ["fresh", "backlog 0"]
    assert _names(await _claim(store, limit=2)) == ["backlog 1", "backlog 2"]


async def test_more_lanes_than_slots_are_served_in_turn(store: SqliteStore) -> None:
    """A first lane of every kind comes before any second: the order of the HER-ids gives nobody an advantage."""
    for lane in range(30):
        for n in range(3):
            await _take(store, 8000400 + lane, due=NOW - timedelta(seconds=lane * 10 + n), name=f"{lane} {n}")
    seen: list[str] = []
    busy: dict[int, int] = {}
    for _ in range(9):
        for work in (await _claim(store, limit=10, per_lane=3, busy=busy)).work:
            seen.append(work.message.msg_id)
            busy[work.delivery.receiver_her] = busy.get(work.delivery.receiver_her, 0) + 1
    assert [len({name.split()[0] for name in seen[start : start + 30]}) for start in (0, 30, 60)] == [30, 30, 30]


async def test_signals_are_claimed_like_deliveries(store: SqliteStore) -> None:
    kept = [values.body(b"<Acknowledgment/>") for _ in range(3)]
    signals = [values.signal(one, due=NOW - (3 - n) * MINUTE) for n, one in enumerate(kept)]
    await store.receive(
        Changes(events=(values.event(EventKind.DUPLICATE),), bodies=tuple(kept), signals=tuple(signals))
    )
    await _take(store, PARTNER, due=NOW - timedelta(seconds=90), name="between")
    claimed = await _claim(store, per_lane=3)
    assert (claimed.signals, _names(claimed)) == ((signals[0], signals[1]), ["between"])
    claimed = await _claim(store)
    assert (claimed.signals, claimed.work) == ((signals[2],), ())
    assert (await _claim(store)).signals == ()
    assert len((await _claim(store, now=UNTIL)).signals) == 3
    # one is done with, one is to be tried again
    done, later = replace(signals[0], due=None, tries=1), replace(signals[1], due=NOW + MINUTE, tries=1)
    await store.record(Changes(events=(values.event(EventKind.SIGNAL_SENT),), signalled=(done, later)))
    assert await store.next_due(closed=()) == NOW + MINUTE
    assert (await _claim(store, now=NOW + MINUTE)).signals == (later,)
    assert await store.body(later.body) == b"<Acknowledgment/>"
    with pytest.raises(Stale):
        await store.record(
            Changes(events=(values.event(EventKind.SIGNAL_SENT),), signalled=(replace(done, id="unknown"),))
        )


async def test_all_leases_are_free_when_the_store_opens(tmp_path: Path) -> None:
    store = await open_store(tmp_path, site_key=SITE_KEY, on_broken=lambda error: None)
    kept = values.body()
    await store.accept(replace(values.taken(), signals=()))
    await store.receive(
        Changes(events=(values.event(EventKind.DUPLICATE),), bodies=(kept,), signals=(values.signal(kept),))
    )
    before = await _claim(store)
    await store.close()
    store = await open_store(tmp_path, site_key=SITE_KEY, on_broken=lambda error: None)
    after = await _claim(store)
    await store.close()
    assert after.signals == before.signals
    assert [work.delivery.id for work in after.work] == [work.delivery.id for work in before.work]
    assert after.work[0].delivery.version > before.work[0].delivery.version  # who held it before is stale


# --- a dead partner with a backlog ---


def _backlog(db: sqlite3.Connection, waiting: int) -> None:
    """Write `waiting` deliveries to PARTNER, all long due."""
    kept = values.body()
    db.execute("INSERT INTO body (id, size, wrapped, sealed) VALUES (?, 0, x'00', x'00')", (kept.id,))
    message = values.message(kept)
    delivery = values.delivery(message, transport_due=NOW - timedelta(days=1))
    numbered = f"WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {waiting})"
    for table, row in (("message", values.row(MESSAGE, message)), ("delivery", values.row(DELIVERY, delivery))):
        own = {"id": f"'{table} ' || i", "msg_id": "'msg ' || i", "message_id": "'message ' || i"}
        shown = ", ".join(own.get(column, f":{column}") for column in row)
        db.execute(f"{numbered} INSERT INTO {table} ({', '.join(row)}) SELECT {shown} FROM n", row)


@dataclass
class _Cost:
    """What claims cost: instructions of SQLite's machine, which no other process disturbs, and milliseconds."""

    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def of(self, db: sqlite3.Connection, **ways: Any) -> Claimed:
        count = [0]
        db.set_progress_handler(lambda: count.append(count.pop() + 10), 10)
        start = time.perf_counter()
        claimed = claim(db, **ways)
        self.times.append((time.perf_counter() - start) * 1000)
        db.set_progress_handler(None, 0)
        self.steps += count
        return claimed

    def middle(self) -> tuple[int, float]:
        return sorted(self.steps)[len(self.steps) // 2], sorted(self.times)[len(self.times) // 2]


async def test_a_backlog_for_a_dead_partner_costs_a_healthy_one_nothing(
    store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = int(os.environ.get("BACKLOG", "100000"))
    for lane in range(200):
        await _take(store, 8001000 + lane, due=NOW + timedelta(days=1000))  # healthy partners, nothing due
    name = await _take(store, PARTNER_TOO)
    turns = iter(range(100))

    async def cost() -> tuple[int, float]:
        counted = _Cost()
        for _ in range(20):
            at = NOW + next(turns) * timedelta(hours=1)
            ways: dict[str, Any] = {"now": at, "until": at + MINUTE, "limit": 32, "per_lane": 8, "busy": {}}
            claimed = await store._writer.run(partial(counted.of, closed={PARTNER}, **ways))
            assert _names(claimed) == [name]
        return counted.middle()

    steps_before, _ = await cost()
    await store._writer.run(partial(_backlog, waiting=waiting))
    steps, time_taken = await cost()
    with capsys.disabled():
        print(
            f"\n  claim past {waiting} waiting for a closed lane, 201 others: {time_taken:.2f} ms, {steps} steps",
            end="",
        )
        print(f" ({steps_before} without them)")
    assert steps < steps_before * 1.1
    assert time_taken < 5
    assert len((await _claim(store, per_lane=8)).work) == 8


# --- plans ---

_PLANNED = {
    name: text
    for name, text in vars(queries).items()
    if not name.startswith("_") and isinstance(text, str) and text.split()[0] in ("SELECT", "WITH", "UPDATE")
}
# What may be read from one end to the other: what was handed in, and what was just found.
_SCANNED = {"chosen", "mine", "json_each", "lane", "hit", "h", "hold"}  # h: a table of a few rows


@pytest.mark.parametrize("name", sorted(_PLANNED))
async def test_no_query_reads_a_table_from_end_to_end(store: SqliteStore, name: str) -> None:
    def plan(db: sqlite3.Connection) -> list[str]:
        parameters = dict.fromkeys(("id", "hers", "kinds", "closed", "after", "limit", "through", "kind"))
        parameters |= dict.fromkeys(("sender_her", "receiver_her", "msg_id", "eb_id", "from_her", "cpa_id", "her"))
        parameters |= dict.fromkeys(("client", "key_sha256", "item_id", "sha256"))
        given: Any = [None] * _PLANNED[name].count("?") or parameters | {"message_id": None}
        return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {_PLANNED[name]}", given)]

    steps = await store._writer.run(plan)
    scans = [step for step in steps if step.startswith("SCAN") and not _harmless(step)]
    assert scans == []


def _harmless(step: str) -> bool:
    what = step.split()[1]
    # an index of nothing but what is asked for may be read from end to end
    own = any(index in step for index in ("delivery_open", "delivery_leased", "delivery_held", "signal_lane"))
    return own or what in _SCANNED or what.startswith(("(", "CONSTANT"))


_GIVEN: dict[str, Any] = {
    **dict.fromkeys(("hers", "closed"), "[8000201]"),
    **dict.fromkeys(("id", "msg_id", "eb_id", "cpa_id", "client", "item_id", "message_id"), "any"),
    **dict.fromkeys(("sender_her", "receiver_her", "from_her", "her", "limit", "through", "after"), 1),
    "kinds": '["inbox.document"]',
    "kind": "document",
    "key_sha256": bytes(32),
    "sha256": bytes(32),
}


@pytest.mark.parametrize("name", sorted(_PLANNED))
async def test_no_query_is_compiled_again_for_what_it_is_given(store: SqliteStore, name: str) -> None:
    """A parameter that decides about an index of some rows alone has its query compiled at every call."""

    def compiled(db: sqlite3.Connection) -> list[bool]:
        asked: list[int] = []
        each: list[bool] = []

        def leave(action: int, *_: object) -> int:  # which the compiler asks for, whenever it compiles
            asked.append(action)
            return sqlite3.SQLITE_OK

        db.set_authorizer(leave)
        for _ in range(3):
            asked.clear()
            db.execute(_PLANNED[name], [1] * _PLANNED[name].count("?") or _GIVEN).fetchall()
            each.append(bool(asked))
        db.set_authorizer(None)
        return each

    assert await store._writer.run(compiled) == [True, False, False]


def test_the_plans_are_looked_at() -> None:
    assert len(_PLANNED) >= 28
