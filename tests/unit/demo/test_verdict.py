"""The demo's own judgement: what is right passes, and every wrong end has its complaint."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from broker.demo.cases import Case, make_cases
from broker.demo.ledger import Entry, Heard, Judged, Posted, Received, Trouble
from broker.demo.questions import Arrival, Way
from broker.demo.simulator import RECEIPT_REQUESTED
from broker.demo.verdict import Asked, Told, complaints, strays, told
from broker.message import Text

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
CASES = {case.name: case for case in make_cases(iter(f"id-{n}" for n in range(99)).__next__, NOW)}
PLAIN = CASES["epj-1-0-utf-8"]


def at(second: int) -> str:
    return (NOW + timedelta(seconds=second)).isoformat()


def good(case: Case) -> tuple[Told, Asked]:
    """Return ledgers and answers of a case that ended as it should."""
    digest, size = sha256(case.content).hexdigest(), len(case.content)
    status, codes = case.rule.status, case.rule.codes
    events = {"Ok": "message.apprec_ok", "Rejected": "message.apprec_rejected"}
    kept = Told(
        posted=(Posted(at=at(0), case=case.name, sha256=digest, size=size, status=202, id="m", told_sha256=digest),),
        received=(
            Received(
                at=at(1),
                item="i",
                msg_id=case.msg_id,
                sender_her=1,
                receiver_her=2,
                sha256=digest,
                size=size,
                owed=True,
            ),
        ),
        judged=(Judged(at=at(3), item="i", msg_id=case.msg_id, status=status, codes=codes),),
        sender_heard=(Heard(at=at(4), offset=2, type=events[status], msg_id=case.msg_id, codes=codes),),
        receiver_heard=(Heard(at=at(2), offset=1, type=RECEIPT_REQUESTED, msg_id=case.msg_id),),
    )
    way = Way(
        id="m",
        stop_point="K8",
        sentence=Text(nb="Ferdig.", en="Done."),
        transport="Acknowledged",
        apprec=status,
        outcome="rejected" if status == "Rejected" else "completed",
        codes=codes,
        error_id=None,
        conversation="c",
        sha256=digest,
    )
    asked = Asked(
        way=way,
        attempts=("failed", "acknowledged"),
        arrival=Arrival(item="i", state="receipted", conversation="c", sha256=digest),
        posted_bytes=case.content,
        arrived_bytes=case.content,
        question_conversation="c",
    )
    return kept, asked


def good_at_the_door(case: Case) -> tuple[Told, Asked]:
    posted = Posted(
        at=at(0), case=case.name, sha256="", size=1, status=422, accepted=False, faults=("number.impossible",)
    )
    kept = Told(posted=(posted,), received=(), judged=(), sender_heard=(), receiver_heard=())
    return kept, Asked(way=None, attempts=(), arrival=None, posted_bytes=None, arrived_bytes=None)


def of(case: Case) -> tuple[Told, Asked]:
    return good_at_the_door(case) if case.refused else good(case)


@pytest.mark.parametrize("name", CASES)
def test_a_case_that_ended_well_has_no_complaint(name: str) -> None:
    assert complaints(CASES[name], *of(CASES[name])) == ()


def test_the_time_runs_from_the_post_to_the_receipt() -> None:
    assert good(PLAIN)[0].took == timedelta(seconds=4)


Change = Callable[[Told, Asked], tuple[Told, Asked]]


def kept(**changed: object) -> Change:
    return lambda told, asked: (replace(told, **changed), asked)  # type: ignore[arg-type] # the table names the fields


def answered(**changed: object) -> Change:
    return lambda told, asked: (told, replace(asked, **changed))  # type: ignore[arg-type] # the table names the fields


def way(**changed: object) -> Change:
    def change(told: Told, asked: Asked) -> tuple[Told, Asked]:
        assert asked.way is not None
        return told, replace(asked, way=replace(asked.way, **changed))  # type: ignore[arg-type] # as above

    return change


def twice(part: str) -> Change:
    return lambda told, asked: (replace(told, **{part: getattr(told, part) * 2}), asked)


def first(part: str, **changed: object) -> Change:
    def change(told: Told, asked: Asked) -> tuple[Told, Asked]:
        return replace(told, **{part: (replace(getattr(told, part)[0], **changed),)}), asked

    return change


WRONG: dict[str, tuple[str, Change, str]] = {
    "never posted": (PLAIN.name, kept(posted=()), "taken 0 times"),
    "posted twice": (PLAIN.name, twice("posted"), "posted 2 times"),
    "taken otherwise": (PLAIN.name, first("posted", told_sha256="x"), "took other bytes"),
    "never received": (PLAIN.name, kept(received=()), "received 0 times"),
    "received twice": (PLAIN.name, twice("received"), "received 2 times"),
    "received otherwise": (PLAIN.name, first("received", sha256="x"), "receiver got other bytes"),
    "sender holds otherwise": (PLAIN.name, answered(posted_bytes=b"x"), "sender's broker holds other"),
    "receiver holds otherwise": (PLAIN.name, answered(arrived_bytes=b"x"), "receiver's broker holds other"),
    "never judged": (PLAIN.name, kept(judged=()), "does not hold this one verdict"),
    "judged twice": (PLAIN.name, twice("judged"), "does not hold this one verdict"),
    "never heard of": (PLAIN.name, kept(sender_heard=()), "feed tells of no AppRec"),
    "wrong code home": ("epj-rejects", first("sender_heard", codes=("E31",)), "feed tells of another verdict"),
    "wrong code shown": ("epj-rejects", way(codes=("E31",)), "broker shows another verdict"),
    "ok shown as rejected": (PLAIN.name, way(apprec="Rejected"), "broker shows another verdict"),
    "still open": (PLAIN.name, way(outcome="open"), "outcome is open: Done."),
    "not acknowledged": (PLAIN.name, way(transport="Unconfirmed"), "transport state is Unconfirmed"),
    "not confirmed": (PLAIN.name, way(stop_point="K7"), "stands at K7"),
    "no attempts": (PLAIN.name, answered(attempts=()), "no attempt"),
    "unknown to the sender": (PLAIN.name, answered(way=None), "sender's broker does not know"),
    "unknown to the receiver": (PLAIN.name, answered(arrival=None), "receiver's broker does not know"),
    "receipt not home": (
        PLAIN.name,
        answered(arrival=Arrival(item="i", state="judged", conversation="c", sha256="")),
        "inbox says judged",
    ),
    "two conversations": (PLAIN.name, way(conversation="d"), "different conversations"),
    "answer elsewhere": ("citizen-answer", answered(question_conversation="d"), "not in its question's conversation"),
    "no outage felt": ("partner-down", answered(attempts=("acknowledged",)), "no attempt failed"),
    "never chased": ("receipt-withheld", kept(receiver_heard=()), "did not wait"),
    "judged too early": ("receipt-withheld", first("judged", at=at(1)), "did not wait"),
    "door let it in": ("refused-at-the-door", first("posted", status=202), "answered with 202"),
    "door took it": ("refused-at-the-door", first("posted", accepted=True), "accepted: false"),
    "door does not say why": ("refused-at-the-door", first("posted", faults=()), "names no fault"),
    "door kept it": (
        "refused-at-the-door",
        lambda told, asked: (told, replace(asked, way=good(PLAIN)[1].way)),
        "kept it all the same",
    ),
    "door passed it on": (
        "refused-at-the-door",
        lambda told, asked: (replace(told, received=good(PLAIN)[0].received), asked),
        "it reached the receiver",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_case_that_ended_wrong_has_its_complaint(what: str) -> None:
    name, change, complaint = WRONG[what]
    found = complaints(CASES[name], *change(*of(CASES[name])))
    assert any(complaint in line for line in found), found


def test_what_belongs_to_a_case_is_found_in_the_ledgers() -> None:
    there, _ = good(PLAIN)
    other, _ = good(CASES["appointment"])
    sender: list[Entry] = [*there.posted, *other.posted, *other.sender_heard, *there.sender_heard]
    receiver: list[Entry] = [*other.received, *there.received, *there.judged, *other.judged, *there.receiver_heard]
    assert told(PLAIN, sender, receiver) == there


def test_trouble_and_documents_that_nobody_sent_are_strays() -> None:
    there, _ = good(PLAIN)
    stranger = replace(there.received[0], msg_id="nobody's")
    trouble = Trouble(at=at(1), where="POST /x", status=409, error_id="MB-1009")
    assert strays(CASES.values(), [there.received, there.posted]) == ()
    found = strays(CASES.values(), [[stranger], [trouble]])
    assert len(found) == 2
    assert "nobody sent" in found[0]
    assert "409 (MB-1009)" in found[1]


def test_what_was_refused_at_the_door_is_a_stray_if_it_arrives() -> None:
    there, _ = good(CASES["refused-at-the-door"])
    assert len(strays(CASES.values(), [there.received])) == 1
