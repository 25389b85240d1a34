"""Whether a case ended as it should: the simulators' own ledgers held against the word of both brokers. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from broker.demo.cases import Case
from broker.demo.ledger import Entry, Heard, Judged, Posted, Received, Trouble
from broker.demo.questions import Arrival, Way
from broker.demo.simulator import RECEIPT_REQUESTED

_OUTCOME_OF = {"Ok": "completed", "OkErrorInMessagePart": "completed", "Rejected": "rejected"}
_EVENT_OF = {
    "Ok": "message.apprec_ok",
    "OkErrorInMessagePart": "message.apprec_partial",
    "Rejected": "message.apprec_rejected",
}
_DOOR_STATUS = 422
_TAKEN_STATUS = 202


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the two ledgers say of one case."""

    posted: tuple[Posted, ...]
    received: tuple[Received, ...]
    judged: tuple[Judged, ...]
    sender_heard: tuple[Heard, ...]
    receiver_heard: tuple[Heard, ...]

    @property
    def verdict_home(self) -> Heard | None:
        """Return the event by which the sender learned of the AppRec."""
        return next((heard for heard in self.sender_heard if heard.type in _EVENT_OF.values()), None)

    @property
    def took(self) -> timedelta | None:
        """Return the time from the answer to the POST until the AppRec stood in the sender's ledger."""
        if not self.posted or self.verdict_home is None:
            return None
        return datetime.fromisoformat(self.verdict_home.at) - datetime.fromisoformat(self.posted[0].at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the two brokers say of one case, and the bytes that they hold."""

    way: Way | None
    attempts: tuple[str, ...]
    arrival: Arrival | None
    posted_bytes: bytes | None
    arrived_bytes: bytes | None
    question_conversation: str | None = None  # of the message that this one answers


def told(case: Case, sender: Sequence[Entry], receiver: Sequence[Entry]) -> Told:
    """Return what belongs to `case` in the two ledgers."""

    def about(entries: Sequence[Entry]) -> tuple[Heard, ...]:
        return tuple(entry for entry in entries if isinstance(entry, Heard) and entry.msg_id == case.msg_id)

    return Told(
        posted=tuple(entry for entry in sender if isinstance(entry, Posted) and entry.case == case.name),
        received=tuple(entry for entry in receiver if isinstance(entry, Received) and entry.msg_id == case.msg_id),
        judged=tuple(entry for entry in receiver if isinstance(entry, Judged) and entry.msg_id == case.msg_id),
        sender_heard=about(sender),
        receiver_heard=about(receiver),
    )


def complaints(case: Case, told: Told, asked: Asked) -> tuple[str, ...]:
    """Return all that is not as it should be; nothing for a case that ended well."""
    found = _at_the_door(case, told, asked) if case.refused else _there_and_back(case, told, asked)
    return tuple(found)


def strays(cases: Iterable[Case], ledgers: Iterable[Sequence[Entry]]) -> tuple[str, ...]:
    """Return what stands in a ledger that no case accounts for: troubles, and documents that nobody sent."""
    known = {case.msg_id for case in cases if not case.refused}
    found = []
    for entry in (entry for ledger in ledgers for entry in ledger):
        match entry:
            case Trouble():
                found.append(f"{entry.where} was answered with {entry.status} ({entry.error_id or 'no error id'})")
            case Received() if entry.msg_id not in known:
                found.append(f"a document that nobody sent came to {entry.receiver_her}")
            case _:
                continue
    return tuple(found)


def _at_the_door(case: Case, told: Told, asked: Asked) -> Iterator[str]:
    if len(told.posted) != 1:
        yield f"posted {len(told.posted)} times, not once"
    for posted in told.posted:
        if posted.status != _DOOR_STATUS:
            yield f"answered with {posted.status}, not {_DOOR_STATUS}"
        if posted.accepted is not False:
            yield "the answer does not say accepted: false"
        if not posted.faults:
            yield "the answer names no fault"
    if asked.way is not None:
        yield "the broker kept it all the same"
    if told.received:
        yield "it reached the receiver"


def _there_and_back(case: Case, told: Told, asked: Asked) -> Iterator[str]:
    yield from _same_bytes(case, told, asked)
    yield from _same_verdict(case, told, asked)
    yield from _same_state(case, asked)
    yield from _own_point(case, told, asked)


def _same_bytes(case: Case, told: Told, asked: Asked) -> Iterator[str]:
    digest = sha256(case.content).hexdigest()
    taken = [posted for posted in told.posted if posted.status == _TAKEN_STATUS]
    if len(taken) != 1 or len(told.posted) != 1:
        yield f"posted {len(told.posted)} times and taken {len(taken)} times, not once"
    if any({posted.sha256, posted.told_sha256} != {digest} for posted in taken):
        yield "the broker took other bytes than were posted"
    if len(told.received) != 1:
        yield f"received {len(told.received)} times, not once"
    if any(received.sha256 != digest for received in told.received):
        yield "the receiver got other bytes than were posted"
    if asked.posted_bytes != case.content:
        yield "the sender's broker holds other bytes than were posted"
    if asked.arrived_bytes != case.content:
        yield "the receiver's broker holds other bytes than were posted"


def _same_verdict(case: Case, told: Told, asked: Asked) -> Iterator[str]:
    wanted = (case.rule.status, case.rule.codes)
    if [(judged.status, judged.codes) for judged in told.judged] != [wanted]:
        yield "the receiver's ledger does not hold this one verdict"
    home = told.verdict_home
    if home is None:
        yield "the sender's feed tells of no AppRec"
    elif (home.type, home.codes) != (_EVENT_OF[case.rule.status], case.rule.codes):
        yield "the sender's feed tells of another verdict than was given"
    if asked.way is not None and (asked.way.apprec, asked.way.codes) != wanted:
        yield "the sender's broker shows another verdict than was given"


def _same_state(case: Case, asked: Asked) -> Iterator[str]:
    way, arrival = asked.way, asked.arrival
    if way is None:
        yield "the sender's broker does not know the message"
    else:
        if way.outcome != _OUTCOME_OF[case.rule.status]:
            yield f"the outcome is {way.outcome}: {way.sentence.en}"
        if way.transport != "Acknowledged":
            yield f"the transport state is {way.transport}: {way.sentence.en}"
        if way.stop_point != "K8":
            yield f"the outcome is not confirmed, it stands at {way.stop_point}: {way.sentence.en}"
        if not asked.attempts:
            yield "no attempt is recorded"
    if arrival is None:
        yield "the receiver's broker does not know the document"
    elif arrival.state != "receipted":
        yield f"the receiver's inbox says {arrival.state}, not receipted"
    elif way is not None and arrival.conversation != way.conversation:
        yield "the two brokers name different conversations"


def _own_point(case: Case, told: Told, asked: Asked) -> Iterator[str]:
    """Say whether the case showed what it is there to show."""
    if case.while_down and "failed" not in asked.attempts:
        yield "no attempt failed, though the receiver's broker was down"
    if case.rule.withhold:
        asked_at = [heard.at for heard in told.receiver_heard if heard.type == RECEIPT_REQUESTED]
        if not asked_at or any(judged.at < min(asked_at) for judged in told.judged):
            yield "the verdict did not wait until the receiver's feed asked for it"
    if case.answers is not None and (asked.way is None or asked.way.conversation != asked.question_conversation):
        yield "the answer is not in its question's conversation"
