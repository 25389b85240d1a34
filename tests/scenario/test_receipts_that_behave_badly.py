"""Receipts that come twice, change their mind, come late or too early, or say what nobody can act on."""

import base64
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from broker import effects, intake, telemetry
from broker.lifecycle import Outcome, Receipt, Transport
from broker.message import Ball, Delivery, EventKind, Verdict
from broker.ports import TransportReply
from broker.receipts.apprec import GivenError
from tests.scenario.pair import Pair
from tests.scenario.stubborn import Stubborn, api, asked, feed, stubborn
from tests.scenario.witness import events_after

OK, REJECTED, PARTIAL = Verdict.OK, Verdict.REJECTED, Verdict.PARTIAL
E35, E10 = GivenError(code="E35", details=""), GivenError(code="E10", details="")
OTHER_ID = "55555555-0000-4000-8000-000000000002"
FEED_WORDS = {Verdict.OK: "message.apprec_ok", Verdict.REJECTED: "message.apprec_rejected"}


def outcome(delivery: Delivery) -> tuple[Receipt, Outcome, Ball, str | None]:
    return delivery.state.receipt, delivery.state.outcome, delivery.ball, delivery.cause


async def sent(brokers: Pair) -> tuple[Stubborn, intake.Taken]:
    """Left has sent, and right has acknowledged."""
    receiver = await stubborn(brokers)
    taken = await brokers.left.post(receiver.raw)
    await brokers.run()
    assert (await brokers.left.delivery(taken)).state.transport is Transport.ACKNOWLEDGED
    return receiver, taken


# --- twice ---


async def test_the_same_receipt_twice_in_one_envelope_is_a_duplicate(brokers: Pair) -> None:
    receiver, taken = await sent(brokers)
    envelope = receiver.envelope(receiver.document(OK))
    first, second = await receiver.send(envelope), await receiver.send(envelope)
    assert (first.status, first.body) == (second.status, second.body)
    assert outcome(await brokers.left.delivery(taken)) == (Receipt.OK, Outcome.COMPLETED, Ball.EPJ, None)
    assert (await feed(brokers.left)).count("message.apprec_ok") == 1
    assert [stored.event.kind for stored in await events_after(brokers.left.store, 0)].count(EventKind.DUPLICATE) == 1


async def test_the_same_receipt_twice_in_two_envelopes_is_told_once(brokers: Pair) -> None:
    receiver, taken = await sent(brokers)
    await receiver.say(REJECTED, E35)
    before = await brokers.left.delivery(taken)
    await receiver.say(REJECTED, E35)
    assert await brokers.left.delivery(taken) == before
    assert (await feed(brokers.left)).count("message.apprec_rejected") == 1
    assert "message.apprec_repeated" in await brokers.left.kinds(taken.message.id)


async def test_the_same_verdict_under_another_id_is_told_once(brokers: Pair) -> None:
    receiver, taken = await sent(brokers)
    await receiver.say(OK)
    before = await brokers.left.delivery(taken)
    await receiver.say(OK, id=OTHER_ID)
    assert await brokers.left.delivery(taken) == before
    assert (await feed(brokers.left)).count("message.apprec_ok") == 1


# --- another verdict ---


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((OK,), (REJECTED, E35)),
        ((REJECTED, E35), (OK,)),
        ((OK,), (PARTIAL, E35)),
        ((REJECTED, E35), (REJECTED, E10)),
    ],
    ids=["1 then 2", "2 then 1", "1 then 3", "2 for another reason"],
)
async def test_the_first_verdict_stands_and_another_alarms(
    brokers: Pair, first: tuple[Verdict, GivenError], second: tuple[Verdict, GivenError]
) -> None:
    receiver, taken = await sent(brokers)
    await receiver.say(*first)
    stood = await brokers.left.delivery(taken)
    await receiver.say(*second, id=OTHER_ID)
    now = await brokers.left.delivery(taken)
    assert (now.state, now.codes, now.receipt_message) == (stood.state, stood.codes, stood.receipt_message)
    assert (now.ball, now.cause) == (Ball.PERSON, "MB-3405")
    assert (await feed(brokers.left))[-1] == "message.apprec_contradicts"
    shown = await api(brokers.left, f"/api/v1/messages/{taken.message.id}/apprec")
    (given,) = shown["appRecs"]
    assert given["status"] == first[0]
    assert base64.b64decode(given["document"]) == receiver.document(*first)


async def test_another_verdict_after_the_epj_confirmed_the_first_alarms_too(brokers: Pair) -> None:
    receiver, taken = await sent(brokers)
    await receiver.say(OK)
    assert await intake.confirm(brokers.left.client, 10_000, brokers.left.doors) == 1
    await receiver.say(REJECTED, E35, id=OTHER_ID)
    now = await brokers.left.delivery(taken)
    assert outcome(now) == (Receipt.OK, Outcome.COMPLETED, Ball.PERSON, "MB-3405")
    assert now.confirmed_at is not None


# --- the answer to a chase ---


async def chased(brokers: Pair) -> tuple[Stubborn, intake.Taken]:
    receiver, taken = await sent(brokers)
    await brokers.pass_time(timedelta(hours=24), step=timedelta(hours=12))
    assert (await brokers.left.delivery(taken)).chases == 1
    return receiver, taken


async def test_a_rejection_as_duplicate_before_any_chase_is_a_verdict(brokers: Pair) -> None:
    receiver, taken = await sent(brokers)
    await receiver.say(REJECTED, E10)
    assert outcome(await brokers.left.delivery(taken)) == (Receipt.REJECTED, Outcome.REJECTED, Ball.EPJ, "MB-3401")


async def test_a_rejection_as_duplicate_after_a_chase_is_no_verdict_and_a_person_looks(brokers: Pair) -> None:
    receiver, taken = await chased(brokers)
    await receiver.say(REJECTED, E10)
    waiting = await brokers.left.delivery(taken)
    assert outcome(waiting) == (Receipt.AWAITED, Outcome.OPEN, Ball.PERSON, "MB-3404")
    assert waiting.due is None
    assert waiting.receipt_message is None
    assert (await feed(brokers.left))[-1] == "message.apprec_says_duplicate"
    assert await api(brokers.left, f"/api/v1/messages/{taken.message.id}/apprec") == {"appRecs": []}
    await brokers.pass_time(timedelta(hours=96), step=timedelta(hours=24))
    assert await brokers.left.delivery(taken) == waiting


async def test_the_word_of_a_duplicate_said_again_is_not_taken_for_a_verdict(brokers: Pair) -> None:
    receiver, taken = await chased(brokers)
    await receiver.say(REJECTED, E10)
    waiting = await brokers.left.delivery(taken)
    await receiver.say(REJECTED, E10)
    assert await brokers.left.delivery(taken) == waiting
    assert (await brokers.left.kinds(taken.message.id))[-1] == "message.apprec_repeated"


async def test_a_late_acknowledgment_does_not_take_the_ball_from_the_person_who_looks(brokers: Pair) -> None:
    receiver, taken = await sent(brokers)
    brokers.wire.plan = ["lose"] * 9
    await brokers.pass_time(timedelta(hours=24), step=timedelta(hours=12))
    assert (await brokers.left.delivery(taken)).state.transport is Transport.SENT
    await receiver.say(REJECTED, E10)
    assert (await brokers.left.delivery(taken)).cause == "MB-3404"
    brokers.wire.plan.clear()
    # What was sent before the word came is acknowledged after it.
    work = await brokers.left.store.work((await brokers.left.delivery(taken)).id)
    assert work is not None
    assert work.envelope is not None
    policy = brokers.left.doors.processes().by_name[work.message.process].receipt
    await brokers.left.store.record(effects.acknowledged(work, work.envelope, None, policy, brokers.clock.now()))
    now = await brokers.left.delivery(taken)
    assert now.state.transport is Transport.ACKNOWLEDGED
    assert outcome(now) == (Receipt.AWAITED, Outcome.OPEN, Ball.PERSON, "MB-3404")
    assert now.due is None


@pytest.mark.parametrize(
    ("verdict", "receipt", "ended"),
    [((OK,), Receipt.OK, Outcome.COMPLETED), ((REJECTED, E35), Receipt.REJECTED, Outcome.REJECTED)],
)
async def test_after_the_word_of_a_duplicate_a_verdict_still_decides(
    brokers: Pair, verdict: tuple[Verdict, GivenError], receipt: Receipt, ended: Outcome
) -> None:
    receiver, taken = await chased(brokers)
    await receiver.say(REJECTED, E10)
    await receiver.say(*verdict, id=OTHER_ID)
    now = await brokers.left.delivery(taken)
    assert (now.state.receipt, now.state.outcome) == (receipt, ended)
    assert (await feed(brokers.left))[-1] == FEED_WORDS[verdict[0]]


async def test_a_rejection_for_another_reason_too_is_a_verdict_after_a_chase(brokers: Pair) -> None:
    receiver, taken = await chased(brokers)
    await receiver.say(REJECTED, E10, E35)
    assert (await brokers.left.delivery(taken)).state.outcome is Outcome.REJECTED


# --- late, and early ---


@pytest.mark.parametrize(
    ("verdict", "ended"), [((OK,), Outcome.COMPLETED), ((REJECTED, E35), Outcome.REJECTED)], ids=["1", "2"]
)
async def test_a_receipt_after_96_hours_settles_what_was_overdue_and_says_late(
    brokers: Pair, verdict: tuple[Verdict, GivenError], ended: Outcome
) -> None:
    receiver, taken = await sent(brokers)
    await brokers.pass_time(timedelta(hours=97), step=timedelta(hours=12))
    assert outcome(await brokers.left.delivery(taken)) == (Receipt.OVERDUE, Outcome.OPEN, Ball.EPJ, "MB-3402")
    await receiver.say(*verdict)
    late = await brokers.left.delivery(taken)
    assert (late.state.outcome, late.late, late.due) == (ended, True, None)
    assert [kind for kind in await feed(brokers.left) if "apprec" in kind or "overdue" in kind] == [
        "message.overdue",
        FEED_WORDS[verdict[0]],
    ]
    shown = await api(brokers.left, f"/api/v1/messages/{taken.message.id}")
    assert shown["receivers"][0]["late"] is True


async def test_a_receipt_before_the_acknowledgment_completes_and_no_copy_follows(brokers: Pair) -> None:
    receiver = await stubborn(brokers)
    brokers.wire.plan = ["lose"]
    taken = await brokers.left.post(receiver.raw)
    await brokers.run()
    await receiver.say(OK)
    early = await brokers.left.delivery(taken)
    assert (early.state.transport, early.state.outcome, early.due) == (Transport.SENT, Outcome.COMPLETED, None)
    before = len(await brokers.left.store.attempts(taken.message.id))
    await brokers.pass_time(timedelta(hours=1), step=timedelta(minutes=5))
    assert len(await brokers.left.store.attempts(taken.message.id)) == before


async def test_a_receipt_that_overtakes_our_own_record_of_sending_is_kept(brokers: Pair) -> None:
    receiver = await stubborn(brokers)
    left, wire = brokers.left, brokers.wire

    class Overtaken:
        """The AppRec is here before the answer to the POST that it answers."""

        async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
            reply = await wire.post(endpoint, content_type=content_type, body=body, timeout=timeout)
            if not receiver.said:
                await receiver.say(OK)
            return reply

    left.doors = replace(left.doors, carrier=Overtaken())
    taken = await left.post(receiver.raw)
    await brokers.run()
    done = await left.delivery(taken)
    assert outcome(done) == (Receipt.OK, Outcome.COMPLETED, Ball.EPJ, None)
    assert done.state.transport is Transport.ACKNOWLEDGED
    assert done.due is None
    assert {"message.apprec_ok", "message.transport_acked"} <= set(await feed(left))


# --- what it says ---


async def test_a_receipt_for_an_unknown_id_goes_to_the_work_list_and_settles_nothing(brokers: Pair) -> None:
    receiver, taken = await sent(brokers)
    before = await brokers.left.delivery(taken)
    told = await receiver.say(OK, about="99999999-0000-4000-8000-000000000009")
    assert told.status == (200 if brokers.sync else 204)
    assert await brokers.left.delivery(taken) == before
    (listed,) = await brokers.left.store.events(kinds=[EventKind.RECEIPT_UNMATCHED], after=0, limit=10)
    assert listed.event.why == "nothing of ours waits for it"
    assert "message.apprec_ok" not in await feed(brokers.left)


async def test_a_receipt_that_was_set_aside_does_not_block_the_true_one_of_its_id(brokers: Pair) -> None:
    receiver, taken = await sent(brokers)
    spoilt = receiver.document(OK).replace(b"<MIGversion>", b"<Ukjent/><MIGversion>")
    await receiver.send(receiver.envelope(spoilt))
    assert (await brokers.left.delivery(taken)).state.receipt is Receipt.AWAITED
    await receiver.say(OK)
    assert (await brokers.left.delivery(taken)).state.outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("code", "oid", "shown"),
    [
        ("Q77", "2.16.578.1.12.4.1.1.8221", ("Q77", "")),
        ("A12", "2.16.578.1.12.4.1.1.9999", ("A12", "")),
        ("Pasienten Kari Nordmann er død", "2.16.578.1.12.4.1.1.8221", ("", "")),
        ("01815012345", "2.16.578.1.12.4.1.1.8221", ("", "")),
        ("E35", "2.16.578.1.12.4.1.1.9999", ("E35", "")),
    ],
    ids=["unknown", "of a foreign list", "a sentence", "a number of a person", "known, of a foreign list"],
)
async def test_an_unknown_code_rejects_and_nothing_of_the_senders_words_is_shown(
    brokers: Pair, code: str, oid: str, shown: tuple[str, str]
) -> None:
    receiver, taken = await sent(brokers)
    known = b'V="E35" S="2.16.578.1.12.4.1.1.8221"'
    document = receiver.document(REJECTED, GivenError(code="E35", details="fritekst"))
    assert known in document
    await receiver.send(receiver.envelope(document.replace(known, f'V="{code}" S="{oid}"'.encode())))
    now = await brokers.left.delivery(taken)
    assert outcome(now) == (Receipt.REJECTED, Outcome.REJECTED, Ball.EPJ, "MB-3401")
    assert [(found.code, found.text) for found in now.codes] == [shown]
    message, events, receipts = await asked(
        brokers.left, *(f"/api/v1/messages/{taken.message.id}{part}" for part in ("", "/events", "/apprec"))
    )
    if not shown[0]:
        assert code.encode() not in message + events
    assert b"fritekst" not in message + events
    assert json.loads(receipts)["appRecs"][0]["errors"][0]["details"] == "fritekst"


# Direction marks, line separators, C1 controls, a terminal's escape as its C1 twin, and what HTML would take for more.
NASTY = (
    "\x85\x9b31m\u2028\u2029\u202e\u2066\u200f\ufeff <script>alert(1)</script> &#x1b;[2J ]]> \\u0000 " + "å" * 50_000
)
RAW = ("\x85", "\x9b", "\u2028", "\u2029", "\u202e", "\u2066", "\u200f")


async def test_free_text_of_control_characters_stays_in_its_place_and_is_escaped_there(
    brokers: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(telemetry, "_log", None)  # and back again
    telemetry.configure(stream=log)
    receiver, taken = await sent(brokers)
    document = receiver.document(REJECTED, GivenError(code="E35", details=NASTY))
    await receiver.send(receiver.envelope(document))
    message, events, listed, receipts = await asked(
        brokers.left,
        *(f"/api/v1/messages/{taken.message.id}{part}" for part in ("", "/events", "/attempts", "/apprec")),
    )
    (given,) = json.loads(receipts)["appRecs"]
    assert given["errors"] == [
        {
            "errorCode": "E35",
            "oid": "2.16.578.1.12.4.1.1.8221",
            "text": "Pasienten finnes ikke i mottakersystemet",
            "details": NASTY,
        }
    ]
    assert base64.b64decode(given["document"]) == document
    for text in RAW:
        assert text.encode() not in receipts
    told = log.getvalue()
    assert "apprec_rejected" in told
    for text in ("script", "åååå", *RAW):
        assert text not in told
        assert text.encode() not in message + events + listed


@pytest.mark.parametrize("id", ["x" * 200, "a\u202eb", "a\u2028b"], ids=["long", "direction", "line"])
async def test_an_id_that_could_break_a_line_is_no_id(brokers: Pair, id: str) -> None:
    receiver, taken = await sent(brokers)
    before = await brokers.left.delivery(taken)
    await receiver.say(OK, id=id)
    assert await brokers.left.delivery(taken) == before
    assert await brokers.left.store.inbound(sender_her=brokers.right.her, msg_id=id) is None
    (alarm,) = await brokers.left.store.events(kinds=[EventKind.SECURITY], after=0, limit=10)
    assert alarm.event.why == "what was opened does not say who it is from"
