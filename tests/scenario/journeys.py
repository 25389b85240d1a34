"""The journeys whose every point is killed at: each leads through another part of the lifecycle."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from broker import acts
from broker.message import Verdict
from broker.retry import Chase, ReceiptPolicy
from broker.routing.party import ReceiptOn
from tests.scenario.balance import (
    CLOSED,
    COMPLETED,
    GAVE_UP,
    LAPSED,
    OK,
    OVERDUE,
    PARTIAL,
    REFUSED,
    REJECTED,
    SAYS_DUPLICATE,
)
from tests.scenario.epjs import Word
from tests.scenario.world import LEFT, Fate, Journey, Parcel

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_NO = Word(verdict=Verdict.REJECTED, codes=("E35",))
_IN_PART = Word(verdict=Verdict.PARTIAL, codes=("E35",))
SOON = ReceiptPolicy(alarms=(_MINUTE,), chase=Chase.NONE, chase_at=(), overdue=10 * _MINUTE)
_WORDS = {OK: Word(), REJECTED: _NO, PARTIAL: _IN_PART}

Fates = Callable[[Parcel], Fate]


def documents(fate: Fate, *, until: timedelta = timedelta(hours=1000)) -> Fates:
    """Do this with what the left sends but its signals."""
    return lambda parcel: fate if parcel.side == LEFT and not parcel.signal and parcel.after < until else "pass"


def receipts(fate: Fate, *, until: timedelta) -> Fates:
    """Do this with what the right sends but its signals."""
    return lambda parcel: fate if parcel.side != LEFT and not parcel.signal and parcel.after < until else "pass"


def signals(fate: Fate, *, until: timedelta) -> Fates:
    """Do this with the signals of both."""
    return lambda parcel: fate if parcel.signal and parcel.after < until else "pass"


def first_copies(fate: Fate) -> Fates:
    """Do this with the first copy of everything."""
    return lambda parcel: fate if parcel.copy == 1 else "pass"


def both(*fates: Fates) -> Fates:
    """The first that does anything decides."""
    return lambda parcel: next((fate for one in fates if (fate := one(parcel)) != "pass"), "pass")


def _ways(journey: Journey) -> Iterator[Journey]:
    """Both ways of signalling."""
    for sync in (True, False):
        yield replace(journey, sync=sync, name=f"{journey.name}, {'in the answer' if sync else 'on its own'}")


def _plain() -> Iterator[Journey]:
    yield from _ways(Journey(name="there and back", ends=frozenset({OK})))
    yield from _ways(Journey(name="rejected by the EPJ", ends=frozenset({REJECTED}), word=_NO))
    yield Journey(name="taken in part", ends=frozenset({PARTIAL}), word=_IN_PART)
    yield Journey(name="judged unstored", ends=frozenset({OK}), word=Word(stored=False))
    yield Journey(name="an AppRec of the EPJ's making", ends=frozenset({OK}), word=Word(ready_made=True))
    yield Journey(
        name="receipted when stored", ends=frozenset({OK}), word=Word(verdict=None), receipt_on=ReceiptOn.STORED
    )
    yield from _ways(Journey(name="no receipt owed", ends=frozenset({COMPLETED}), ack="N", word=Word(verdict=None)))
    yield Journey(name="posted three times", ends=frozenset({OK}), posts=3)
    yield Journey(name="both send", ends=frozenset({OK}), documents=2, asked_back=True, sync=False)
    yield from _ways(
        Journey(name="rejected by the broker", ends=frozenset({REJECTED}), right_is="production", arrives=False)
    )


def _with_mishaps() -> Iterator[Journey]:
    yield from _ways(Journey(name="every first answer lost", ends=frozenset({OK}), fate=first_copies("lose answer")))
    yield from _ways(Journey(name="every first copy lost", ends=frozenset({OK}), fate=first_copies("lose")))
    yield Journey(name="busy at first", ends=frozenset({OK}), fate=first_copies(503))
    yield Journey(name="broken at first", ends=frozenset({OK}), fate=first_copies(500))
    yield Journey(name="down for an hour", ends=frozenset({OK}), fate=lambda p: "down" if p.after < _HOUR else "pass")
    yield Journey(name="no key of ours", ends=frozenset({OK}), left_without_key=20 * _MINUTE)
    yield Journey(name="no registry", ends=frozenset({OK}), left_without_addresses=20 * _MINUTE)
    yield Journey(name="no key till overdue", ends=frozenset({OK}), left_without_key=20 * _MINUTE, policy=SOON)
    yield Journey(name="receipt held up", ends=frozenset({OK}), fate=receipts("down", until=2 * _HOUR))
    # The AppRec is given up, or refused: the document, when it is repeated, fetches it.
    yield Journey(name="receipt lost", ends=frozenset({OK}), fate=receipts("lose", until=3 * _HOUR))
    yield Journey(name="receipt refused", ends=frozenset({OK}), fate=receipts(400, until=3 * _HOUR))
    yield Journey(name="the sender is restored from a backup", ends=frozenset({OK}), restored=_HOUR)


def _with_clocks() -> Iterator[Journey]:
    yield from _ways(Journey(name="chased", ends=frozenset({OK}), word=Word(when_asked=True)))
    says = Word(verdict=Verdict.REJECTED, codes=("E10",), when_asked=True)
    yield Journey(name="the receiver says duplicate", ends=frozenset({SAYS_DUPLICATE, REJECTED}), word=says)
    for kind, word in _WORDS.items():
        yield Journey(name=f"late, {kind}", ends=frozenset({kind}), word=replace(word, after=20 * _MINUTE), policy=SOON)
    yield Journey(name="never answered", ends=frozenset({OVERDUE}), word=Word(verdict=None))
    yield Journey(name="not acknowledged in time", ends=frozenset({OK, OVERDUE}), policy=SOON,
                  word=replace(_WORDS[OK], after=_HOUR), fate=documents("lose answer", until=12 * _MINUTE))  # fmt: skip
    yield Journey(name="down past the deadline", ends=frozenset({OK}), policy=SOON,
                  fate=documents("down", until=20 * _MINUTE))  # fmt: skip
    for ack in ("F",):
        yield Journey(name="no news is good news", ends=frozenset({LAPSED}), ack=ack, word=Word(verdict=None))
        yield Journey(name="bad news", ends=frozenset({REJECTED}), ack=ack, word=_NO)
        for kind, word in _WORDS.items():
            yield Journey(name=f"news after the deadline, {kind}", ends=frozenset({kind}), ack=ack, policy=SOON,
                          word=replace(word, after=20 * _MINUTE))  # fmt: skip
        yield Journey(name="no news, down", ends=frozenset({COMPLETED}), ack=ack, policy=SOON,
                      word=Word(verdict=None), fate=documents("down", until=20 * _MINUTE))  # fmt: skip
        # Only the last copy can be answered: who dies over that one leaves it given up, and the EPJ is told so.
        yield Journey(name="no news, unacknowledged", ends=frozenset({COMPLETED, GAVE_UP}), ack=ack, policy=SOON,
                      word=Word(verdict=None), fate=documents("lose answer", until=12 * _MINUTE))  # fmt: skip
        yield Journey(name="no news, given up", ends=frozenset({LAPSED, GAVE_UP}), ack=ack, arrives=None,
                      word=Word(verdict=None), fate=documents("lose"))  # fmt: skip


def _refused_and_abandoned() -> Iterator[Journey]:
    yield Journey(name="given up", ends=frozenset({OVERDUE}), arrives=False, fate=documents("lose"))
    yield Journey(name="never reached", ends=frozenset({OVERDUE}), arrives=False, fate=documents("down"))
    yield Journey(name="given up, none owed", ends=frozenset({GAVE_UP}), arrives=False, ack="N",
                  fate=documents("lose"))  # fmt: skip
    yield Journey(name="given up, overdue", ends=frozenset({GAVE_UP}), arrives=False, policy=SOON,
                  fate=documents("lose"))  # fmt: skip
    yield Journey(name="refused", ends=frozenset({REFUSED}), arrives=False, fate=documents(400))
    yield Journey(name="refused, none owed", ends=frozenset({REFUSED}), arrives=False, ack="N", fate=documents(400))
    yield Journey(name="refused, overdue", ends=frozenset({REFUSED}), arrives=False, policy=SOON,
                  fate=both(documents("down", until=12 * _MINUTE), documents(400)))  # fmt: skip
    for kind, word in _WORDS.items():
        later = replace(word, after=2 * _HOUR)
        yield Journey(name=f"refused, then {kind}", ends=frozenset({kind}), sync=False, word=later,
                      fate=both(documents("deaf"), signals("down", until=_HOUR)))  # fmt: skip
        # Its own refusal is in the way, and no acknowledgment comes after it.
        yield Journey(name=f"refused for good, then {kind}", ends=frozenset({kind}), sync=False, word=later,
                      fate=both(documents("deaf"), signals("lose", until=100 * _HOUR)))  # fmt: skip
        yield Journey(name=f"given up, then {kind}", ends=frozenset({kind}), word=later,
                      fate=documents("lose answer", until=100 * _HOUR))  # fmt: skip
    yield Journey(name="acknowledged after giving up", ends=frozenset({OK}), sync=False,
                  word=Word(after=2 * _HOUR), fate=signals("down", until=_HOUR))  # fmt: skip
    yield from _ways(Journey(name="not trusted", ends=frozenset({REFUSED}), arrives=False,
                             right_distrusts=1000 * _HOUR))  # fmt: skip
    yield Journey(name="not trusted, told after giving up", ends=frozenset({REFUSED}), arrives=False, sync=False,
                  right_distrusts=1000 * _HOUR, fate=signals("down", until=_HOUR))  # fmt: skip


def _with_a_person() -> Iterator[Journey]:
    def closed(name: str, **how: Any) -> Journey:
        return Journey(**{"name": name, "ends": frozenset({CLOSED}), "person": ((_HOUR, acts.close),)} | how)

    yield closed("closed while it waits", fate=documents("down"), arrives=False)
    yield closed("closed while it waits, none owed", fate=documents("down"), arrives=False, ack="N")
    yield closed("closed unacknowledged", fate=documents("lose"), arrives=False, person=((_MINUTE, acts.close),))
    yield closed("closed after a refusal", fate=documents(400), arrives=False)
    yield closed("closed after giving up", fate=documents("lose"), arrives=False)
    yield closed("closed unanswered", word=Word(verdict=None))
    yield closed("closed overdue", word=Word(verdict=None), policy=SOON)
    yield closed("closed, then answered", ends=frozenset({OK}), word=Word(after=2 * _HOUR))
    yield Journey(name="tried again when overdue", ends=frozenset({OK}), word=Word(when_asked=True), policy=SOON,
                  person=((_HOUR, acts.retry),))  # fmt: skip
    # Held while the other side is down. Whatever went out later, and before it is let go, would be refused.
    yield Journey(name="held for an hour", ends=frozenset({OK}), person=((_MINUTE, acts.hold), (_HOUR, acts.release)),
                  fate=both(documents("down", until=5 * _MINUTE), documents(400, until=_HOUR)))  # fmt: skip


def journeys() -> tuple[Journey, ...]:
    """Return them all."""
    found = (*_plain(), *_with_mishaps(), *_with_clocks(), *_refused_and_abandoned(), *_with_a_person())
    assert len({journey.name for journey in found}) == len(found)
    return found
