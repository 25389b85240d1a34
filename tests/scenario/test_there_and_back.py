"""One message, from an EPJ to its application receipt, over every mishap that the wire has."""

import json
import re
from dataclasses import replace
from datetime import timedelta

from broker import handover, intake
from broker.lifecycle import ItemStage, Outcome, Receipt, StopPoint, Transport
from broker.message import Verdict
from broker.receipts.apprec import GivenError
from tests.scenario.pair import Pair, dialogue


async def test_there_and_back(brokers: Pair) -> None:
    raw = dialogue("11111111-0000-4000-8000-000000000001")
    taken = await brokers.left.post(raw)
    await brokers.run()
    sent = await brokers.left.delivery(taken)
    assert (sent.state.transport, sent.state.receipt) == (Transport.ACKNOWLEDGED, Receipt.AWAITED)
    assert (sent.state.outcome, sent.state.stop_point) == (Outcome.OPEN, StopPoint.K6)
    ((message, item),) = await brokers.right.inbox()
    assert await brokers.right.store.body(message.body) == raw
    await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()
    done = await brokers.left.delivery(taken)
    assert (done.state.receipt, done.state.outcome, done.state.stop_point) == (
        Receipt.OK,
        Outcome.COMPLETED,
        StopPoint.K7,
    )
    answered = await brokers.right.store.item(item.id)
    assert answered is not None
    assert answered[1].stage is ItemStage.RECEIPTED
    assert await intake.confirm(brokers.left.client, 10_000, brokers.left.doors) == 1
    assert (await brokers.left.delivery(taken)).state.stop_point is StopPoint.K8


async def test_partners_are_told_which_epj_system_wrote_what_came(brokers: Pair) -> None:
    left = brokers.left
    known = replace(left.client, system="Fjordvik EPJ", system_version="4.2")
    left.doors = replace(left.doors, client=lambda name: known if name == left.client.name else None)
    await left.post(dialogue("11111111-0000-4000-8000-000000000012"))
    await brokers.run()
    sent = next(body for endpoint, body in brokers.wire.log if endpoint.endswith(str(brokers.right.her)))
    said = re.search(rb'<eb:Description xml:lang="NO">(.*?)</eb:Description>', sent)
    assert said is not None
    facts = json.loads(said[1])
    assert (facts["fagsystem"], facts["fagsystem-versjon"]) == ("Fjordvik EPJ", "4.2")
    assert facts["MSH-system"] == left.doors.site.software


async def test_a_rejection_comes_home_with_its_code(brokers: Pair) -> None:
    taken = await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000002"))
    await brokers.run()
    ((_, item),) = await brokers.right.inbox()
    errors = (GivenError(code="E35", details="Finnes ikke hos oss"),)
    await handover.verdict(item.id, Verdict.REJECTED, errors, brokers.right.client, brokers.right.doors)
    await brokers.run()
    done = await brokers.left.delivery(taken)
    assert done.state.outcome is Outcome.REJECTED
    assert [code.code for code in done.codes] == ["E35"]


async def test_a_partner_that_is_down_for_an_hour_spends_no_retry(brokers: Pair) -> None:
    endpoint = f"http://127.0.0.1/{brokers.right.her}"
    brokers.wire.down.add(endpoint)
    taken = await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000003"))
    await brokers.run()
    await brokers.pass_time(timedelta(hours=1), step=timedelta(minutes=1))
    waiting = await brokers.left.delivery(taken)
    assert waiting.state.transport is Transport.WAITING
    assert waiting.cause == "MB-3202"
    brokers.wire.down.clear()
    await brokers.pass_time(timedelta(minutes=16))
    assert (await brokers.left.delivery(taken)).state.transport is Transport.ACKNOWLEDGED


async def test_a_lost_answer_is_mended_by_the_same_bytes_and_the_document_arrives_once(brokers: Pair) -> None:
    brokers.wire.plan = ["lose answer", "pass"]
    taken = await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000004"))
    await brokers.run()
    await brokers.pass_time(timedelta(minutes=5))
    assert (await brokers.left.delivery(taken)).state.transport is Transport.ACKNOWLEDGED
    assert len(await brokers.right.inbox()) == 1
    to_right = f"http://127.0.0.1/{brokers.right.her}"
    copies = [body for endpoint, body in brokers.wire.log if endpoint == to_right and b"pkcs7" in body]
    # Where signals come as POSTs of their own, the Acknowledgment is home before a copy is due.
    assert len(copies) == (2 if brokers.sync else 1)
    assert len(set(copies)) == 1


async def test_a_partner_that_never_acknowledges_gets_four_copies_and_a_person_the_ball(brokers: Pair) -> None:
    brokers.wire.plan = ["lose"] * 10
    taken = await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000005"))
    await brokers.run()
    await brokers.pass_time(timedelta(minutes=25), step=timedelta(minutes=1))
    gone = await brokers.left.delivery(taken)
    assert gone.state.transport is Transport.ABANDONED
    assert gone.state.outcome is Outcome.OPEN
    assert len(brokers.wire.plan) == 6
    attempts = await brokers.left.store.attempts(taken.message.id)
    assert len(attempts) == 4


async def test_a_receipt_that_is_withheld_is_chased_and_the_receiver_is_told_so(brokers: Pair) -> None:
    taken = await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000006"))
    await brokers.run()
    await brokers.pass_time(timedelta(hours=24), step=timedelta(hours=1))
    chased = await brokers.left.delivery(taken)
    assert chased.chases == 1
    assert chased.state.transport is Transport.ACKNOWLEDGED
    feed = await brokers.right.store.feed({brokers.right.her}, after=0, limit=100)
    assert "inbox.receipt_requested" in [stored.event.kind for stored in feed]
    ((_, item),) = await brokers.right.inbox()
    await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()
    assert (await brokers.left.delivery(taken)).state.outcome is Outcome.COMPLETED


async def test_no_receipt_for_96_hours_is_overdue_and_a_late_one_completes(brokers: Pair) -> None:
    taken = await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000007"))
    await brokers.run()
    await brokers.pass_time(timedelta(hours=97), step=timedelta(hours=1))
    overdue = await brokers.left.delivery(taken)
    assert (overdue.state.receipt, overdue.state.outcome) == (Receipt.OVERDUE, Outcome.OPEN)
    assert overdue.chases == 3
    ((_, item),) = await brokers.right.inbox()
    await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()
    late = await brokers.left.delivery(taken)
    assert (late.state.outcome, late.late) == (Outcome.COMPLETED, True)


async def test_a_receipt_that_was_given_up_goes_again_when_the_document_is_repeated(brokers: Pair) -> None:
    taken = await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000008"))
    await brokers.run()
    ((_, item),) = await brokers.right.inbox()
    await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    brokers.wire.plan = ["lose"] * 4
    await brokers.pass_time(timedelta(hours=1), step=timedelta(minutes=5))
    assert brokers.wire.plan == []
    assert (await brokers.left.delivery(taken)).state.receipt is Receipt.AWAITED
    await brokers.pass_time(timedelta(hours=24), step=timedelta(hours=1))
    assert (await brokers.left.delivery(taken)).state.outcome is Outcome.COMPLETED
