"""The machine: every move that the table has is reached, every other is refused and changes nothing."""

import itertools
import os
from collections.abc import Mapping

import pytest

from broker.lifecycle import (
    ITEM_STOP_POINTS,
    ITEM_TRANSITIONS,
    TRANSITIONS,
    Event,
    IllegalMove,
    ItemEvent,
    ItemStage,
    Move,
    Outcome,
    Receipt,
    State,
    StopPoint,
    Transport,
    advance,
    advance_item,
    allows,
    first_state,
)

ALL_STATES = [
    State(transport=transport, receipt=receipt, outcome=outcome, stop_point=StopPoint.K2)
    for transport, receipt, outcome in itertools.product(Transport, Receipt, Outcome)
]


def table() -> Mapping[Event, Move]:
    """The table as it is, or with a planted fault that these tests must see."""
    if os.environ.get("SABOTAGE") == "receipt-without-receipt":
        # The classic lie: an acknowledgment taken for a receipt.
        honest = TRANSITIONS[Event.ACKNOWLEDGED]
        lie = Move(
            transport=honest.transport,
            receipt={**honest.receipt, Receipt.AWAITED: Receipt.OK},
            outcome=honest.outcome,
            reaches=honest.reaches,
        )
        return {**TRANSITIONS, Event.ACKNOWLEDGED: lie}
    return TRANSITIONS


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.lifecycle.TRANSITIONS", table())


@pytest.mark.parametrize("event", list(Event))
def test_every_move_of_the_table_is_made_and_every_other_is_refused(event: Event) -> None:
    made = refused = 0
    for state in ALL_STATES:
        move = table()[event]
        legal = state.transport in move.transport and state.receipt in move.receipt and state.outcome in move.outcome
        assert allows(state, event) is legal
        if legal:
            after = advance(state, event)
            assert after.transport is move.transport[state.transport]
            assert after.receipt is move.receipt[state.receipt]
            made += 1
        else:
            with pytest.raises(IllegalMove, match=event.value):
                advance(state, event)
            refused += 1
    assert made + refused == len(ALL_STATES) == 120
    assert made >= 1
    assert refused >= 1 or event is Event.SENT


def reachable() -> dict[State, tuple[Event, ...]]:
    """Every state that can be reached from the two first ones, with a shortest way to it."""
    found: dict[State, tuple[Event, ...]] = {first_state(receipt_awaited=owed): () for owed in (True, False)}
    edge = list(found)
    while edge:
        state = edge.pop(0)
        for event in Event:
            if allows(state, event) and (after := advance(state, event)) not in found:
                found[after] = (*found[state], event)
                edge.append(after)
    return found


def test_nothing_is_completed_without_a_receipt_unless_none_is_owed() -> None:
    states = reachable()
    for state in states:
        if state.outcome is Outcome.COMPLETED:
            receipted = state.receipt in (Receipt.OK, Receipt.PARTIAL)
            excused = state.receipt is Receipt.NOT_OWED and state.transport is Transport.ACKNOWLEDGED
            assert receipted or excused, states[state]
        if state.receipt in (Receipt.OK, Receipt.PARTIAL, Receipt.REJECTED):
            assert {Event.RECEIPT_OK, Event.RECEIPT_PARTIAL, Event.RECEIPT_REJECTED} & set(states[state]), states[state]
    assert len(states) >= 60


def test_every_event_is_used_from_a_reachable_state() -> None:
    used = {event for state in reachable() for event in Event if allows(state, event)}
    assert used == set(Event)


def test_a_stop_point_never_falls_back() -> None:
    for state in reachable():
        for event in Event:
            if allows(state, event):
                assert advance(state, event).stop_point >= state.stop_point


def test_what_a_person_closed_stays_closed_and_still_takes_note_of_a_late_receipt() -> None:
    closed = advance(first_state(receipt_awaited=True), Event.CLOSED)
    late = advance(closed, Event.RECEIPT_OK)
    assert (late.outcome, late.receipt) == (Outcome.CLOSED, Receipt.OK)


def test_a_replayed_acknowledgment_moves_nothing() -> None:
    state = advance(first_state(receipt_awaited=True), Event.ACKNOWLEDGED)
    with pytest.raises(IllegalMove):
        advance(state, Event.ACKNOWLEDGED)


@pytest.mark.parametrize("verdict", [Event.RECEIPT_OK, Event.RECEIPT_PARTIAL, Event.RECEIPT_REJECTED])
def test_all_orders_of_record_acknowledgment_receipt_and_duplicates_end_alike(verdict: Event) -> None:
    """Our own record of the copy, its Acknowledgment and the receipt may come in any order, and each twice."""
    happenings = [Event.SENT, Event.ACKNOWLEDGED, verdict, Event.SENT, Event.ACKNOWLEDGED, verdict]
    expected = Outcome.REJECTED if verdict is Event.RECEIPT_REJECTED else Outcome.COMPLETED
    orders = set(itertools.permutations(happenings))
    for order in orders:
        state = first_state(receipt_awaited=True)
        for event in order:
            before = state
            if allows(state, event):
                state = advance(state, event)
            if before.outcome is not Outcome.OPEN:
                assert state.outcome is before.outcome
            if verdict not in order[: order.index(verdict)] and state.receipt is Receipt.AWAITED:
                assert state.outcome is Outcome.OPEN
        assert (state.transport, state.outcome, state.stop_point) == (Transport.ACKNOWLEDGED, expected, StopPoint.K7)
    assert len(orders) == 90


def test_without_a_receipt_every_order_of_the_rest_stays_open() -> None:
    for count in range(5):
        for order in itertools.product([Event.SENT, Event.ACKNOWLEDGED, Event.ABANDONED, Event.OVERDUE], repeat=count):
            state = first_state(receipt_awaited=True)
            for event in order:
                if allows(state, event):
                    state = advance(state, event)
            assert state.outcome is Outcome.OPEN, order


@pytest.mark.parametrize("event", list(ItemEvent))
def test_every_stage_of_an_inbox_item_moves_as_the_table_says(event: ItemEvent) -> None:
    for stage in ItemStage:
        if stage in ITEM_TRANSITIONS[event]:
            assert advance_item(stage, event) is ITEM_TRANSITIONS[event][stage]
        else:
            with pytest.raises(IllegalMove, match=event.value):
                advance_item(stage, event)


def test_a_verdict_implies_stored() -> None:
    stage = advance_item(ItemStage.WAITING, ItemEvent.JUDGED)
    assert advance_item(stage, ItemEvent.STORED) is ItemStage.JUDGED
    assert ITEM_STOP_POINTS[stage] is StopPoint.M8
