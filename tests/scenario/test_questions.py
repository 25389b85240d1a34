"""Ping and Message Status between two brokers, both ways of answering (ebMS 2.0, 7 and 8)."""

from dataclasses import replace

import pytest

from broker import acts, handover, inbound
from broker.acts import By
from broker.envelope import ebms, ebms_parse, mime, xml
from broker.envelope.ebms import Kind, MessageStatus
from broker.envelope.ebms_build import build
from broker.envelope.signature import sign_envelope, verify_envelope
from broker.errors import Conflict
from broker.message import Answer, EventKind, Verdict
from broker.ports import TransportReply
from broker.sealing.certificates import Use
from tests.scenario.agreed import UNSIGNED, agree
from tests.scenario.pair import DALBYGDA, FJORDVIK, NORDLI, START, Pair, dialogue, side_key

TO_LEFT = f"http://127.0.0.1/{FJORDVIK}"
BY = By(actor="kari", reason="the ward says that nothing came")
LEFT = side_key(FJORDVIK, Use.SIGN)


def question(kind: Kind, about: str | None = None, *, sender: int = FJORDVIK, cpa_id: str = "cpa-1") -> bytes:
    header = ebms.Header(
        from_=ebms.her_party(sender),
        to=ebms.her_party(DALBYGDA),
        cpa_id=cpa_id,
        conversation_id="a conversation",
        service=ebms.MSH_SERVICE,
        action=kind,
        message_id="question@test",
        timestamp=START,
    )
    asked = ebms.StatusRequest(ref_to_message_id=about) if about else None
    return build(ebms.Envelope(header=header, status_request=asked))


async def asked(brokers: Pair, raw: bytes) -> tuple[Answer, bytes]:
    """Ask the right broker; return its HTTP answer, and the signal it gives, whichever way."""
    answer = await inbound.receive("text/xml", raw, brokers.right.doors)
    if answer.body:
        return answer, answer.body
    before = len(brokers.wire.log)
    await brokers.run(only=brokers.right)
    sent = [body for endpoint, body in brokers.wire.log[before:] if endpoint == TO_LEFT]
    return answer, sent[0] if sent else b""


def read(body: bytes) -> ebms.Envelope:
    return ebms_parse.parse(xml.parse(mime.read("text/xml", body).root.body, max_bytes=10**6))


async def sent(brokers: Pair, msg_id: str = "33333333-0000-4000-8000-000000000001") -> tuple[str, str]:
    """Send a document; return its message's id and its eb:MessageId."""
    taken = await brokers.left.post(dialogue(msg_id))
    await brokers.run()
    eb_id = (await brokers.left.delivery(taken)).envelope
    assert eb_id is not None
    return taken.message.id, eb_id


# --- Ping ---


async def test_a_ping_is_answered_as_signals_are_agreed_to_go(brokers: Pair) -> None:
    answer, pong = await asked(brokers, question(Kind.PING))
    assert answer.status == (200 if brokers.sync else 204)
    assert bool(answer.body) is brokers.sync
    told = read(pong)
    assert told.kind is Kind.PONG
    assert told.header.ref_to_message_id == "question@test"
    assert (told.header.from_her, told.header.to_her) == (DALBYGDA, FJORDVIK)


async def test_a_ping_without_an_agreement_is_told_so_in_the_answer(brokers: Pair) -> None:
    answer, _ = await asked(brokers, question(Kind.PING, cpa_id="another"))
    errors = read(answer.body).error_list
    assert errors is not None
    assert [error.code for error in errors.errors] == ["Inconsistent"]
    answer, _ = await asked(brokers, question(Kind.PING, sender=NORDLI))
    assert read(answer.body).kind is Kind.MESSAGE_ERROR
    assert await brokers.right.store.next_due(closed=()) is None  # nothing goes to an address that nobody agreed on


# --- Message Status, asked of us ---


async def test_a_status_follows_the_document_from_received_to_processed(brokers: Pair) -> None:
    _, eb_id = await sent(brokers)
    _, told = await asked(brokers, question(Kind.STATUS_REQUEST, eb_id))
    status = read(told).status_response
    assert status == ebms.StatusResponse(ref_to_message_id=eb_id, status=MessageStatus.RECEIVED, timestamp=START)
    ((_, item),) = await brokers.right.inbox()
    await handover.stored(item.id, brokers.right.client, brokers.right.doors)
    _, told = await asked(brokers, question(Kind.STATUS_REQUEST, eb_id))
    stored = read(told).status_response
    assert stored is not None
    assert (stored.status, stored.timestamp) == (MessageStatus.PROCESSED, START)
    await handover.verdict(item.id, Verdict.OK, (), brokers.right.client, brokers.right.doors)
    await brokers.run()
    _, told = await asked(brokers, question(Kind.STATUS_REQUEST, eb_id))
    assert read(told).status_response == stored


async def test_a_status_of_an_unknown_message_or_of_anothers_is_not_recognized(brokers: Pair) -> None:
    await sent(brokers)
    for about in (
        "nobody@knows",
        (await brokers.right.store.events(kinds=list(EventKind), after=0, limit=1))[0].event.eb_id,
    ):
        status = read((await asked(brokers, question(Kind.STATUS_REQUEST, f"{about}x")))[1]).status_response
        assert status is not None
        assert (status.status, status.timestamp) == (MessageStatus.NOT_RECOGNIZED, None)


@pytest.mark.parametrize(("sender", "cpa_id"), [(NORDLI, "cpa-1"), (FJORDVIK, "another")])
async def test_a_party_without_an_agreement_is_told_nothing_else(brokers: Pair, sender: int, cpa_id: str) -> None:
    _, eb_id = await sent(brokers)
    answers = []
    for about in (eb_id, "nobody@knows"):
        answer, _ = await asked(brokers, question(Kind.STATUS_REQUEST, about, sender=sender, cpa_id=cpa_id))
        status = read(answer.body).status_response
        assert status is not None
        assert (status.ref_to_message_id, status.status, status.timestamp) == (about, MessageStatus.UNAUTHORIZED, None)
        answers.append(len(answer.body.replace(about.encode(), b"")))
    assert len(set(answers)) == 1  # nor is it told by the length of the answer


async def test_a_signed_question_gets_a_signed_answer_and_a_forged_one_none(brokers: Pair) -> None:
    _, eb_id = await sent(brokers)
    raw = question(Kind.STATUS_REQUEST, eb_id)
    _, told = await asked(brokers, sign_envelope(raw, {}, LEFT))
    verify_envelope(xml.parse(told, max_bytes=10**6), {}, trusted=[side_key(DALBYGDA, Use.SIGN).certificate])
    _, told = await asked(brokers, sign_envelope(raw, {}, side_key(NORDLI, Use.SIGN)))
    status = read(told).status_response
    assert status is not None
    assert status.status is MessageStatus.UNAUTHORIZED


# --- Message Status, asked by us ---


async def test_we_ask_and_write_down_who_asked_and_what_was_said(brokers: Pair) -> None:
    message, eb_id = await sent(brokers)
    before = await brokers.left.store.work_by_envelope(eb_id)
    told = await acts.message_status(message, BY, brokers.left.doors)
    assert (told.eb_id, told.partner) == (eb_id, DALBYGDA)
    assert told.status == (MessageStatus.RECEIVED if brokers.sync else None)
    await brokers.run()
    events = [stored.event for stored in await brokers.left.store.history(message)]
    (asking,) = [event for event in events if event.kind is EventKind.STATUS_ASKED]
    assert (asking.actor, asking.why, asking.eb_id) == ("kari", BY.reason, eb_id)
    (telling,) = [event for event in events if event.kind is EventKind.STATUS_TOLD]
    assert (telling.codes, telling.why, telling.eb_id) == (("Received",), "signed", eb_id)
    assert await brokers.left.store.work_by_envelope(eb_id) == before  # it moves nothing


async def test_an_answer_that_is_not_signed_is_written_down_as_such(brokers: Pair) -> None:
    agree(brokers, UNSIGNED | {"encrypted": True})
    message, _ = await sent(brokers)
    agree(brokers, {"sync": True, "signed": False})
    told = await acts.message_status(message, BY, brokers.left.doors)
    assert not told.signed
    events = [stored.event for stored in await brokers.left.store.history(message)]
    assert [event.why for event in events if event.kind is EventKind.STATUS_TOLD] == ["not signed: it proves nothing"]


@pytest.mark.parametrize("why", ["another message", "another party", "no status", "a page", "not found"])
async def test_an_answer_about_something_else_is_none(brokers: Pair, why: str) -> None:
    message, eb_id = await sent(brokers)

    def instead(_: TransportReply) -> TransportReply:
        header = ebms.Header(
            from_=ebms.her_party(NORDLI if why == "another party" else DALBYGDA),
            to=ebms.her_party(FJORDVIK),
            cpa_id="cpa-1",
            conversation_id="c",
            service=ebms.MSH_SERVICE,
            action=Kind.PONG if why == "no status" else Kind.STATUS_RESPONSE,
            message_id="a@b",
            timestamp=START,
        )
        about = "other@b" if why == "another message" else eb_id
        status = ebms.StatusResponse(ref_to_message_id=about, status=MessageStatus.PROCESSED)
        body = build(ebms.Envelope(header=header, status_response=None if why == "no status" else status))
        if why == "a page":
            return TransportReply(status=200, content_type="text/html", body=b"<html/>")
        return TransportReply(status=404 if why == "not found" else 200, content_type="text/xml", body=body)

    brokers.wire.plan = [instead]
    with pytest.raises(Conflict):
        await acts.message_status(message, BY, brokers.left.doors)
    assert "message.status_told" not in await brokers.left.kinds(message)


async def test_what_has_no_envelope_yet_cannot_be_asked_about(brokers: Pair) -> None:
    taken = await brokers.left.post(dialogue("33333333-0000-4000-8000-000000000002"))
    with pytest.raises(Conflict, match="nothing of it has gone out"):
        await acts.message_status(taken.message.id, BY, brokers.left.doors)


async def test_a_status_response_about_nothing_of_ours_leaves_no_trace(brokers: Pair) -> None:
    message, eb_id = await sent(brokers)
    header = ebms.Header(
        from_=ebms.her_party(DALBYGDA),
        to=ebms.her_party(FJORDVIK),
        cpa_id="cpa-1",
        conversation_id="c",
        service=ebms.MSH_SERVICE,
        action=Kind.STATUS_RESPONSE,
        message_id="a@b",
        timestamp=START,
    )
    status = ebms.StatusResponse(ref_to_message_id="nobody@knows", status=MessageStatus.PROCESSED)
    known = replace(status, ref_to_message_id=eb_id)
    forged = sign_envelope(build(ebms.Envelope(header=header, status_response=known)), {}, LEFT)
    for raw in (build(ebms.Envelope(header=header, status_response=status)), forged):
        answer = await inbound.receive("text/xml", raw, brokers.left.doors)
        assert (answer.status, answer.body) == (204, b"")
    assert "message.status_told" not in await brokers.left.kinds(message)
