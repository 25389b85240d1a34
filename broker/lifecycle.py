"""The life of one delivery, and of one inbox item: the only place where a state is decided.

The machine is data. TRANSITIONS says for each event from which states it may come and where it leads; `advance`
applies it. An illegal move raises and changes nothing. The diagram in docs/path-of-a-message.md and the CHECK lists
of the store are compared with this file by tests.

A delivery has three states at once. *Transport* is what we know of the envelope, *receipt* what we know of the
application receipt, *outcome* follows from the two: a message without an application receipt is not sent.
Transport only climbs (waiting < sent < refused, abandoned < acknowledged), so a replayed signal moves nothing;
only RENEWED, a new envelope for the same document, takes it back to waiting.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from broker.errors import BrokerError


class Transport(StrEnum):
    """What is known of the current envelope."""

    WAITING = "waiting"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    ABANDONED = "abandoned"


class Receipt(StrEnum):
    """What is known of the application receipt (AppRec status: 1 ok, 2 rejected, 3 partial)."""

    NOT_OWED = "not owed"
    AWAITED = "awaited"
    OVERDUE = "overdue"
    OK = "ok"
    PARTIAL = "partial"
    REJECTED = "rejected"


class Outcome(StrEnum):
    """How it ended. Overdue and abandoned are open: somebody has the ball, and a late receipt completes them."""

    OPEN = "open"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CLOSED = "closed"


class StopPoint(StrEnum):
    """The last checkpoint passed. Outbound K1-K8 (K1 and K2 pass together), inbound M1-M9 (M1-M6 pass together)."""

    K1 = "K1"  # taken
    K2 = "K2"  # validated
    K3 = "K3"  # addressed
    K4 = "K4"  # sealed
    K5 = "K5"  # handed to transport
    K6 = "K6"  # acknowledged
    K7 = "K7"  # receipted
    K8 = "K8"  # receipt confirmed by the EPJ
    M1 = "M1"  # received
    M2 = "M2"  # signature and certificate hold
    M3 = "M3"  # sender authorised
    M4 = "M4"  # opened
    M5 = "M5"  # acknowledged
    M6 = "M6"  # in the inbox
    M7 = "M7"  # stored by the EPJ
    M8 = "M8"  # EPJ's verdict
    M9 = "M9"  # receipt delivered


class Event(StrEnum):
    """What can happen to a delivery."""

    ADDRESSED = "addressed"  # party, agreement, endpoint and certificate found
    SEALED = "sealed"  # an envelope stands on disk
    SENT = "sent"  # a copy went out that the partner may have read
    ACKNOWLEDGED = "acknowledged"  # an Acknowledgment of one of its envelopes verifies
    REFUSED = "refused"  # MessageError of severity Error, or an HTTP answer that means never
    ABANDONED = "abandoned"  # Retries or PersistDuration used up
    RECEIPT_OK = "receipt ok"
    RECEIPT_PARTIAL = "receipt partial"
    RECEIPT_REJECTED = "receipt rejected"
    OVERDUE = "overdue"  # the receipt's deadline passed
    LAPSED = "lapsed"  # Ack=F: the deadline passed without a negative receipt
    RENEWED = "renewed"  # chase, or a person's retry: a new envelope is to be made
    CLOSED = "closed"  # by a person, with a reason
    CONFIRMED = "confirmed"  # the EPJ has confirmed the outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that the machine knows of one delivery."""

    transport: Transport
    receipt: Receipt
    outcome: Outcome
    stop_point: StopPoint


class IllegalMove(BrokerError):
    """The event is not possible in this state. Nothing has changed."""

    def __init__(self, state: "State | ItemStage", event: "Event | ItemEvent") -> None:
        super().__init__(f"'{event}' is not possible in state {state}")


def first_state(*, receipt_awaited: bool) -> State:
    """Return the state of a delivery just taken: K1 and K2 pass together."""
    receipt = Receipt.AWAITED if receipt_awaited else Receipt.NOT_OWED
    return State(transport=Transport.WAITING, receipt=receipt, outcome=Outcome.OPEN, stop_point=StopPoint.K2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where one event may come from and where it leads; a state that is not a key refuses the event."""

    transport: Mapping[Transport, Transport]
    receipt: Mapping[Receipt, Receipt]
    outcome: frozenset[Outcome]
    reaches: StopPoint | None = None


_S = TypeVar("_S")


def _stay(*states: _S) -> dict[_S, _S]:
    return {state: state for state in states}


def _to(target: _S, *states: _S) -> dict[_S, _S]:
    return dict.fromkeys(states, target)


_T, _R, _O = Transport, Receipt, Outcome
_UNDECIDED = (_R.NOT_OWED, _R.AWAITED, _R.OVERDUE)
_ANY_OUTCOME = frozenset(_O)
_OPEN = frozenset({_O.OPEN})


def _receipt(verdict: Receipt) -> Move:
    # A receipt may come in any transport state: it may overtake our own record of having sent, and a late one still
    # completes what was refused or abandoned. Only the first verdict decides.
    return Move(transport=_stay(*_T), receipt=_to(verdict, *_UNDECIDED), outcome=_ANY_OUTCOME, reaches=StopPoint.K7)


TRANSITIONS: Mapping[Event, Move] = {
    Event.ADDRESSED: Move(transport=_stay(_T.WAITING), receipt=_stay(*_UNDECIDED), outcome=_OPEN, reaches=StopPoint.K3),
    Event.SEALED: Move(transport=_stay(_T.WAITING), receipt=_stay(*_UNDECIDED), outcome=_OPEN, reaches=StopPoint.K4),
    # Acknowledgment, refusal and receipt may all overtake our own record of the copy that they answer.
    Event.SENT: Move(
        transport=_to(_T.SENT, _T.WAITING, _T.SENT) | _stay(_T.ACKNOWLEDGED, _T.REFUSED, _T.ABANDONED),
        receipt=_stay(*_R),
        outcome=_ANY_OUTCOME,
        reaches=StopPoint.K5,
    ),
    # An acknowledgment proves arrival, also after a refusal or after we gave up.
    Event.ACKNOWLEDGED: Move(
        transport=_to(_T.ACKNOWLEDGED, _T.WAITING, _T.SENT, _T.REFUSED, _T.ABANDONED),
        receipt=_stay(*_R),
        outcome=_ANY_OUTCOME,
        reaches=StopPoint.K6,
    ),
    Event.REFUSED: Move(
        transport=_to(_T.REFUSED, _T.WAITING, _T.SENT, _T.ABANDONED), receipt=_stay(*_UNDECIDED), outcome=_OPEN
    ),
    Event.ABANDONED: Move(transport=_to(_T.ABANDONED, _T.WAITING, _T.SENT), receipt=_stay(*_UNDECIDED), outcome=_OPEN),
    Event.RECEIPT_OK: _receipt(_R.OK),
    Event.RECEIPT_PARTIAL: _receipt(_R.PARTIAL),
    Event.RECEIPT_REJECTED: _receipt(_R.REJECTED),
    # A refusal stops the receipt clock: nothing was delivered that a receipt could answer.
    Event.OVERDUE: Move(
        transport=_stay(_T.WAITING, _T.SENT, _T.ACKNOWLEDGED, _T.ABANDONED),
        receipt=_to(_R.OVERDUE, _R.AWAITED),
        outcome=_OPEN,
    ),
    Event.LAPSED: Move(
        transport=_stay(_T.WAITING, _T.SENT, _T.ACKNOWLEDGED, _T.ABANDONED),
        receipt=_to(_R.NOT_OWED, _R.AWAITED),
        outcome=_OPEN,
    ),
    Event.RENEWED: Move(
        transport=_to(_T.WAITING, _T.ACKNOWLEDGED, _T.REFUSED, _T.ABANDONED),
        receipt=_stay(*_UNDECIDED),
        outcome=_OPEN,
    ),
    Event.CLOSED: Move(transport=_stay(*_T), receipt=_stay(*_UNDECIDED), outcome=_OPEN),
    Event.CONFIRMED: Move(
        transport=_stay(*_T),
        receipt=_stay(*_R),
        outcome=frozenset({_O.COMPLETED, _O.REJECTED, _O.CLOSED}),
        reaches=StopPoint.K8,
    ),
}


def advance(state: State, event: Event) -> State:
    """Return the state after `event`. Raises IllegalMove, having changed nothing, where the table has no such move."""
    move = TRANSITIONS[event]
    if state.outcome not in move.outcome or state.transport not in move.transport or state.receipt not in move.receipt:
        raise IllegalMove(state, event)
    transport, receipt = move.transport[state.transport], move.receipt[state.receipt]
    closed = event is Event.CLOSED or state.outcome is Outcome.CLOSED
    stop_point = max(state.stop_point, move.reaches) if move.reaches else state.stop_point
    return State(
        transport=transport,
        receipt=receipt,
        outcome=Outcome.CLOSED if closed else _settle(transport, receipt),
        stop_point=stop_point,
    )


def allows(state: State, event: Event) -> bool:
    """Say whether `advance(state, event)` would move."""
    move = TRANSITIONS[event]
    return state.outcome in move.outcome and state.transport in move.transport and state.receipt in move.receipt


def _settle(transport: Transport, receipt: Receipt) -> Outcome:
    """The rule of the trade, as one function."""
    if receipt in (Receipt.OK, Receipt.PARTIAL):
        return Outcome.COMPLETED
    if receipt is Receipt.REJECTED:
        return Outcome.REJECTED
    if receipt is Receipt.NOT_OWED and transport is Transport.ACKNOWLEDGED:
        return Outcome.COMPLETED
    return Outcome.OPEN


# --- the inbox item: a document on its way from us to an EPJ, and the EPJ's word on its way back ---


class ItemStage(StrEnum):
    """How far a received document has come."""

    WAITING = "waiting"  # M6: in the inbox
    STORED = "stored"  # M7: the EPJ says that it is stored
    JUDGED = "judged"  # M8: the EPJ's verdict is recorded, and the AppRec with it
    RECEIPTED = "receipted"  # M9: the AppRec is acknowledged by the sender's side


class ItemEvent(StrEnum):
    """What can happen to an inbox item."""

    STORED = "stored"
    JUDGED = "judged"
    RECEIPT_DELIVERED = "receipt delivered"


ITEM_STOP_POINTS: Mapping[ItemStage, StopPoint] = {
    ItemStage.WAITING: StopPoint.M6,
    ItemStage.STORED: StopPoint.M7,
    ItemStage.JUDGED: StopPoint.M8,
    ItemStage.RECEIPTED: StopPoint.M9,
}

ITEM_TRANSITIONS: Mapping[ItemEvent, Mapping[ItemStage, ItemStage]] = {
    # A verdict implies stored, so a repeated or late "stored" moves nothing.
    ItemEvent.STORED: _to(ItemStage.STORED, ItemStage.WAITING, ItemStage.STORED)
    | _stay(ItemStage.JUDGED, ItemStage.RECEIPTED),
    ItemEvent.JUDGED: _to(ItemStage.JUDGED, ItemStage.WAITING, ItemStage.STORED),
    ItemEvent.RECEIPT_DELIVERED: _to(ItemStage.RECEIPTED, ItemStage.JUDGED, ItemStage.RECEIPTED),
}


def advance_item(stage: ItemStage, event: ItemEvent) -> ItemStage:
    """Return the item's stage after `event`. Raises IllegalMove, having changed nothing."""
    moves = ITEM_TRANSITIONS[event]
    if stage not in moves:
        raise IllegalMove(stage, event)
    return moves[stage]
