"""What a message service answers, as ebMS 2.0 asks of a receiver: docs/conformance/ebms names each test.

Each starts from a valid message of one broker, caught on its way to the other, and changes one thing in it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker import inbound, telemetry
from broker.envelope import ebms, mime, xml
from broker.envelope.ebms import Kind, Severity
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse
from broker.envelope.fault import FaultCode, parse_fault
from broker.errors import MimeProblem
from broker.message import Answer
from broker.receipts.acknowledgment import answer_header, build_acknowledgment
from broker.receipts.message_error import build_message_error
from tests.scenario.agreed import BEST_EFFORT, agree
from tests.scenario.forge import NEXT_MSH, Draft, take
from tests.scenario.pair import DALBYGDA, FJORDVIK, NORDLI, START, Pair, dialogue, pair
from tests.scenario.scenes import LEFT, MSG_ID, OTHER_MSG_ID, THIRD, THIRDS_MSG_ID, caught
from tests.scenario.witness import dump

MAX_BYTES = 1_000_000
Change = Callable[[Draft], Draft]
HEADER = "//Header/MessageHeader"


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two brokers whose signals go in the HTTP answer."""
    async with pair(tmp_path) as both:
        yield both


async def give(brokers: Pair, draft: Draft) -> Answer:
    """Give it to the broker that it is for."""
    entity = draft.entity()
    return await inbound.receive(entity.content_type, entity.body, brokers.right.doors)


def read(body: bytes) -> ebms.Envelope:
    return parse(xml.parse(body, max_bytes=MAX_BYTES))


def error_in(answer: Answer) -> ebms.EbError:
    """Return the one error that an answer tells."""
    envelope = read(answer.body)
    assert (answer.status, envelope.kind) == (200, Kind.MESSAGE_ERROR)
    assert envelope.error_list is not None
    (error,) = envelope.error_list.errors
    return error


def put(old: str, new: str) -> Change:
    return lambda draft: draft.put(old, new)


def edit(where: str, by: str) -> Change:
    return lambda draft: draft.edit(where, by)


FROM, TO = (
    f'<eb:{side}><eb:PartyId eb:type="HER">{her}</eb:PartyId>' for side, her in (("From", FJORDVIK), ("To", DALBYGDA))
)
ACK_REQUESTED = "<eb:AckRequested [^>]*/>"
SYNC_REPLY = "<eb:SyncReply [^>]*/>"

FAULTS: dict[str, tuple[str, str, Change]] = {
    "no agreement between the parties": (
        "ValueNotRecognized",
        f"{HEADER}/CPAId",
        put(FROM, FROM.replace(str(FJORDVIK), "8000999")),
    ),
    "another CPAId": ("Inconsistent", f"{HEADER}/CPAId", put("<eb:CPAId>cpa-1", "<eb:CPAId>cpa-2")),
    "two PartyIds": ("Inconsistent", f"{HEADER}/From", put(FROM, f'{FROM}<eb:PartyId eb:type="ENH">1</eb:PartyId>')),
    "To is not served here": (
        "ValueNotRecognized",
        f"{HEADER}/To/PartyId",
        put(TO, TO.replace(str(DALBYGDA), str(NORDLI))),
    ),
    "a Service that is not agreed": (
        "ValueNotRecognized",
        f"{HEADER}/Action",
        edit("(<eb:Service [^>]*>)[^<]*", r"\1X"),
    ),
    "an Action that is not agreed": (
        "ValueNotRecognized",
        f"{HEADER}/Action",
        edit("<eb:Action>[^<]*", "<eb:Action>X"),
    ),
    "a Role that is not agreed": (
        "ValueNotRecognized",
        f"{HEADER}/Action",
        edit("(<eb:From>.*?<eb:Role>)[^<]*", r"\1Lege"),
    ),
    "TimeToLive is over": (
        "TimeToLiveExpired",
        f"{HEADER}/MessageData/TimeToLive",
        edit("<eb:TimeToLive>[^<]*", "<eb:TimeToLive>2026-11-21T12:00:00Z"),
    ),
    "SyncReply is missing": ("Inconsistent", "//Header/SyncReply", edit(SYNC_REPLY, "")),
    "no Acknowledgment is asked for": ("Inconsistent", "//Header/AckRequested", edit(ACK_REQUESTED, "")),
    "an unsigned Acknowledgment is asked for": (
        "Inconsistent",
        "//Header/AckRequested/@signed",
        put('eb:signed="true"', 'eb:signed="false"'),
    ),
    "an Acknowledgment of the next handler is asked for": (
        "NotSupported",
        "//Header/AckRequested",
        edit('(<eb:AckRequested [^>]*?)SOAP:actor="[^"]*"', rf"\1{NEXT_MSH}"),
    ),
    "MessageOrder": (
        "NotSupported",
        "//Header/MessageOrder",
        lambda draft: draft.last_in_header(
            '<eb:MessageOrder eb:version="2.0" SOAP:mustUnderstand="1"><eb:SequenceNumber>0</eb:SequenceNumber>'
            "</eb:MessageOrder>"
        ),
    ),
    "an element that does not belong": ("OtherXml", "//Header/Via", lambda draft: draft.last_in_header("<eb:Via/>")),
    "the Manifest names a part that is not there": (
        "MimeProblem",
        "cid:absent@x",
        edit("(<eb:Reference [^>]*>)(?=</eb:Manifest>)", r'\1<eb:Reference xlink:href="cid:absent@x"/>'),
    ),
}


async def test_a_fault_of_the_header_is_told_with_code_and_place(brokers: Pair) -> None:
    original = await caught(brokers, brokers.left, dialogue(MSG_ID))
    told = {}
    for name, (_, _, change) in FAULTS.items():
        answer = await give(brokers, change(original))
        error, envelope = error_in(answer), read(answer.body)
        told[name] = (error.code, error.location)
        assert error.severity is Severity.ERROR
        assert error.description
        assert envelope.header.ref_to_message_id == original.value("eb:MessageId")
        assert envelope.header.conversation_id == original.value("eb:ConversationId")
        assert envelope.acknowledgment is None
    assert told == {name: (code, location) for name, (code, location, _) in FAULTS.items()}
    assert await brokers.right.inbox() == ()
    assert read((await give(brokers, original)).body).kind is Kind.ACKNOWLEDGMENT  # the change was the reason


SECURITY: dict[str, Change] = {
    "no signature": lambda draft: draft.unsigned(),
    "another key": lambda draft: draft.signed(THIRD),
    "a changed header": put("<eb:ConversationId>", "<eb:ConversationId>0"),
    "a changed payload": lambda draft: draft.carrying(draft.payload + b"0"),
}


async def test_a_fault_of_security_is_told_as_such_and_no_more(brokers: Pair) -> None:
    original = await caught(brokers, brokers.left, dialogue(MSG_ID))
    for name, change in SECURITY.items():
        error = error_in(await give(brokers, change(original)))
        assert error == ebms.EbError(code="SecurityFailure", severity=Severity.ERROR), name
    assert await brokers.right.inbox() == ()


def _broken(entity: tuple[str, bytes]) -> tuple[str, bytes]:
    return entity[0], entity[1][:-6]


UNREADABLE: dict[str, tuple[FaultCode, Callable[[Draft], tuple[str, bytes]]]] = {
    "broken MIME": (FaultCode.CLIENT, lambda draft: _broken(_entity(draft))),
    "no XML": (FaultCode.CLIENT, lambda draft: ("text/xml", b"Hei")),
    "a DOCTYPE": (FaultCode.CLIENT, lambda draft: ("text/xml", b"<!DOCTYPE a><a/>")),
    "another version of SOAP": (
        FaultCode.CLIENT,
        lambda draft: _entity(
            draft.put("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope", times=1)
        ),
    ),
    "no MessageHeader": (
        FaultCode.CLIENT,
        lambda draft: _entity(draft.edit("<eb:MessageHeader.*</eb:MessageHeader>", "")),
    ),
    "an unknown entry that must be understood": (
        FaultCode.MUST_UNDERSTAND,
        lambda draft: _entity(draft.last_in_header('<w:Security xmlns:w="urn:w" SOAP:mustUnderstand="1"/>')),
    ),
}


def _entity(draft: Draft) -> tuple[str, bytes]:
    made = draft.entity()
    return made.content_type, made.body


async def test_what_cannot_be_read_as_far_as_its_header_gets_a_soap_fault(brokers: Pair) -> None:
    original = await caught(brokers, brokers.left, dialogue(MSG_ID))
    for name, (code, make) in UNREADABLE.items():
        answer = await inbound.receive(*make(original), brokers.right.doors)
        assert (answer.status, answer.content_type) == (400, "text/xml; charset=UTF-8"), name
        fault = parse_fault(xml.parse(answer.body, max_bytes=MAX_BYTES))
        assert fault is not None
        assert (fault.code, fault.text != "") == (code, True), name
    assert await brokers.right.inbox() == ()


FREE: dict[str, Change] = {
    "no Role": edit("<eb:Role>[^<]*</eb:Role></eb:From>", "</eb:From>"),
    "no TimeToLive": edit("<eb:TimeToLive>.*?</eb:TimeToLive>", ""),
    "no Description": edit("<eb:Description .*?</eb:Description>", ""),
    "a RefToMessageId": put("<eb:TimeToLive>", "<eb:RefToMessageId>m-0@x</eb:RefToMessageId><eb:TimeToLive>"),
    "a bare MessageId": edit("<eb:MessageId>[^<]*", "<eb:MessageId>5e8764cb-3a11-4378-ae96-e3310500cf5b"),
    "an AckRequested without actor": edit('(<eb:AckRequested [^>]*?) SOAP:actor="[^"]*"', r"\1"),
}


async def test_what_the_standard_leaves_free_is_taken(brokers: Pair) -> None:
    for number, (name, change) in enumerate(FREE.items()):
        original = await caught(brokers, brokers.left, dialogue(f"22222222-0000-4000-8000-0000000001{number:02}"))
        answer = await give(brokers, change(original).signed(LEFT))
        assert read(answer.body).kind is Kind.ACKNOWLEDGMENT, name
        assert len(await brokers.right.inbox()) == number + 1, name


async def test_a_message_is_too_late_from_its_time_to_live_on(brokers: Pair) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    ends = brokers.clock.time + timedelta(minutes=1)
    draft = draft.edit("<eb:TimeToLive>[^<]*", f"<eb:TimeToLive>{ends:%Y-%m-%dT%H:%M:%SZ}").signed(LEFT)
    brokers.clock.time = ends
    assert error_in(await give(brokers, draft)).code == "TimeToLiveExpired"
    assert await brokers.right.inbox() == ()
    brokers.clock.time = ends - timedelta(seconds=1)
    assert read((await give(brokers, draft)).body).kind is Kind.ACKNOWLEDGMENT
    assert len(await brokers.right.inbox()) == 1


# --- where an answer goes ---------------------------------------------------------------------------------------------


async def signal_after(brokers: Pair) -> Draft:
    """Return the signal that the receiver sends as a message of its own."""
    brokers.wire.plan = ["catch"]
    await brokers.run(only=brokers.right)
    return take(brokers.wire.caught.pop())


async def test_a_sync_reply_that_is_not_agreed_is_inconsistent(tmp_path: Path) -> None:
    async with pair(tmp_path, sync=False) as brokers:
        draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
        wish = (
            '<eb:SyncReply SOAP:mustUnderstand="1" eb:version="2.0" '
            'SOAP:actor="http://schemas.xmlsoap.org/soap/actor/next"/>'
        )
        assert (await give(brokers, draft.last_in_header(wish))).status == 204
        error = read((await signal_after(brokers)).root.encode()).error_list
        assert error is not None
        assert [(one.code, one.location) for one in error.errors] == [("Inconsistent", "//Header/SyncReply")]


async def test_where_signals_go_by_themselves_a_refusal_goes_so_too(tmp_path: Path) -> None:
    async with pair(tmp_path, sync=False) as brokers:
        draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
        answer = await give(brokers, draft.unsigned())
        assert (answer.status, answer.body) == (204, b"")
        signal = await signal_after(brokers)
        assert signal.endpoint == f"http://127.0.0.1/{FJORDVIK}"  # of the address record, whatever the message says
        assert read(signal.root.encode()).kind is Kind.MESSAGE_ERROR


async def test_without_an_agreement_the_refusal_goes_back_in_the_answer(tmp_path: Path) -> None:
    async with pair(tmp_path, sync=False) as brokers:
        draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
        answer = await give(brokers, draft.put(FROM, FROM.replace(str(FJORDVIK), "8000999")))
        assert error_in(answer).code == "ValueNotRecognized"
        await brokers.run(only=brokers.right)
        assert all(endpoint != f"http://127.0.0.1/{FJORDVIK}" for endpoint, _ in brokers.wire.log)


# --- a signal is never answered by a signal ---------------------------------------------------------------------------


def _signals(about: ebms.Header, at: Pair) -> dict[str, ebms.Envelope]:
    now = at.clock.time
    return {
        "Acknowledgment": build_acknowledgment(about, (), message_id="a@x", timestamp=now),
        "MessageError": build_message_error(about, MimeProblem("x"), message_id="e@x", timestamp=now),
        "Pong": ebms.Envelope(
            header=answer_header(about, Kind.PONG, message_id="p@x", timestamp=now, ref_to_message_id=about.message_id)
        ),
    }


SPOILT: dict[str, Callable[[str], str]] = {
    "another CPAId": lambda text: re.sub("<eb:CPAId>[^<]*", "<eb:CPAId>none", text),
    "an unknown party": lambda text: text.replace(str(DALBYGDA), "8000999"),
    "an element that does not belong": lambda text: text.replace("</SOAP:Header>", "<eb:Via/></SOAP:Header>"),
    "of an unknown message": lambda text: re.sub("<eb:RefToMessageId>[^<]*", "<eb:RefToMessageId>none", text),
    "asking for an Acknowledgment": lambda text: text.replace(
        "</SOAP:Header>", '<eb:AckRequested eb:version="2.0" eb:signed="true"/></SOAP:Header>'
    ),
}


async def test_a_signal_that_is_wrong_is_not_answered(brokers: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    signals = _signals(read(draft.root.encode()).header, brokers)
    told: list[str] = []
    monkeypatch.setattr(telemetry, "inbound_refused", lambda *, code, why, location: told.append(why))
    for kind in ("Acknowledgment", "MessageError"):
        for name, spoil in SPOILT.items():
            signal = build(signals[kind]).decode()
            assert spoil(signal) != signal
            await _is_not_answered(brokers, spoil(signal).encode())
            assert told, f"{name} is not written down"
            told.clear()


async def test_a_signal_is_not_answered(brokers: Pair) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    for signal in _signals(read(draft.root.encode()).header, brokers).values():
        await _is_not_answered(brokers, build(signal))


async def _is_not_answered(brokers: Pair, body: bytes) -> None:
    answer = await inbound.receive("text/xml", body, brokers.left.doors)
    assert (answer.status, answer.body) == (204, b"")
    sent = len(brokers.wire.log)
    await brokers.run(only=brokers.left)
    assert len(brokers.wire.log) == sent


# --- duplicates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_a_second_copy_gets_the_recorded_answer_and_reaches_the_inbox_once(sync: bool, tmp_path: Path) -> None:
    async with pair(tmp_path, sync=sync) as brokers:
        draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
        answers = []
        for _ in range(3):
            answer = await give(brokers, draft)
            assert answer.status == (200 if sync else 204)
            answers.append(answer.body if sync else (await signal_after(brokers)).root.encode())
            brokers.clock.time += timedelta(minutes=7)
        assert read(answers[0]).kind is Kind.ACKNOWLEDGMENT
        assert len(set(answers)) == 1
        assert len(await brokers.right.inbox()) == 1


async def test_two_copies_at_once_are_one_message_with_one_answer(brokers: Pair) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    answers = await asyncio.gather(*(give(brokers, draft) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert read(answers[0].body).kind is Kind.ACKNOWLEDGMENT
    assert len(await brokers.right.inbox()) == 1


async def test_a_copy_under_best_effort_is_a_duplicate_too(brokers: Pair) -> None:
    agree(brokers, BEST_EFFORT)
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    assert "DuplicateElimination" not in draft.root
    first = await give(brokers, draft)
    assert await give(brokers, draft) == first
    assert len(await brokers.right.inbox()) == 1


async def test_a_copy_without_duplicate_elimination_is_a_duplicate_too(brokers: Pair) -> None:
    draft = (await caught(brokers, brokers.left, dialogue(MSG_ID))).put("<eb:DuplicateElimination/>", "").signed(LEFT)
    first = await give(brokers, draft)
    assert read(first.body).kind is Kind.ACKNOWLEDGMENT
    assert await give(brokers, draft) == first
    assert len(await brokers.right.inbox()) == 1


async def test_a_copy_is_known_for_a_duplicate_after_the_persist_duration_too(brokers: Pair) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    draft = draft.edit("<eb:TimeToLive>.*?</eb:TimeToLive>", "").signed(LEFT)
    first = await give(brokers, draft)
    brokers.clock.time += timedelta(days=3)
    assert await give(brokers, draft) == first
    assert len(await brokers.right.inbox()) == 1


async def test_an_acknowledgment_that_was_lost_comes_with_the_next_copy(tmp_path: Path) -> None:
    async with pair(tmp_path, sync=False) as brokers:
        draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
        await give(brokers, draft)
        lost = await signal_after(brokers)
        brokers.clock.time += timedelta(hours=1)
        sent = len(brokers.wire.log)
        await brokers.run(only=brokers.right)
        assert len(brokers.wire.log) == sent  # not by itself
        await give(brokers, draft)
        assert (await signal_after(brokers)).root == lost.root


async def test_the_same_id_from_another_party_is_another_message(tmp_path: Path) -> None:
    async with pair(tmp_path, third=True) as brokers:
        draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
        theirs = await caught(brokers, brokers.third, dialogue(THIRDS_MSG_ID, sender=NORDLI))
        same = theirs.edit("<eb:MessageId>[^<]*", f"<eb:MessageId>{draft.value('eb:MessageId')}").signed(THIRD)
        for one in (draft, same):
            assert read((await give(brokers, one)).body).kind is Kind.ACKNOWLEDGMENT
        assert len(await brokers.right.inbox()) == 2


async def test_a_refused_message_that_comes_mended_is_taken(brokers: Pair) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    assert error_in(await give(brokers, draft.unsigned())).code == "SecurityFailure"
    assert read((await give(brokers, draft)).body).kind is Kind.ACKNOWLEDGMENT
    assert len(await brokers.right.inbox()) == 1


# --- ping -------------------------------------------------------------------------------------------------------------


async def ping(brokers: Pair, **values: object) -> tuple[ebms.Header, Answer]:
    draft = await caught(brokers, brokers.left, dialogue(OTHER_MSG_ID))
    about = read(draft.root.encode()).header
    header = replace(
        about,
        service="urn:oasis:names:tc:ebxml-msg:service",
        service_type=None,
        action="Ping",
        from_role=None,
        to_role=None,
        message_id="ping-1@x",
        conversation_id="ping-1",
        time_to_live=None,
        duplicate_elimination=False,
        **values,  # type: ignore[arg-type] # fields of a header
    )
    envelope = ebms.Envelope(header=header, sync_reply=True)
    return header, await inbound.receive("text/xml", build(envelope), brokers.right.doors)


async def test_a_ping_is_answered_by_a_pong_about_it(brokers: Pair, tmp_path: Path) -> None:
    stood = dump(tmp_path / str(DALBYGDA))
    header, answer = await ping(brokers)
    assert answer.status == 200
    assert mime.read(answer.content_type, answer.body).parts == ()
    pong = read(answer.body)
    assert pong == ebms.Envelope(
        header=replace(
            header,
            from_=header.to,
            to=header.from_,
            action="Pong",
            message_id=pong.header.message_id,
            ref_to_message_id="ping-1@x",
            timestamp=brokers.clock.time,
            descriptions=pong.header.descriptions,
        )
    )
    assert pong.header.message_id != header.message_id
    assert dump(tmp_path / str(DALBYGDA)) == stood


async def test_a_ping_without_an_agreement_gets_no_pong(brokers: Pair) -> None:
    _, answer = await ping(brokers, from_=ebms.her_party(8000999))
    assert error_in(answer).code == "ValueNotRecognized"


async def test_a_status_response_is_about_its_request(brokers: Pair) -> None:
    draft = await caught(brokers, brokers.left, dialogue(MSG_ID))
    await give(brokers, draft)
    about = read(draft.root.encode()).header
    header = answer_header(about, Kind.STATUS_REQUEST, message_id="q@x", timestamp=START, ref_to_message_id=None)
    request = ebms.Envelope(
        header=replace(header, from_=about.from_, to=about.to, conversation_id="q"),
        sync_reply=True,
        status_request=ebms.StatusRequest(ref_to_message_id=about.message_id),
    )
    told = read((await inbound.receive("text/xml", build(request), brokers.right.doors)).body)
    assert (told.header.service, told.header.action) == ("urn:oasis:names:tc:ebxml-msg:service", "StatusResponse")
    assert (told.header.ref_to_message_id, told.header.conversation_id) == ("q@x", "q")
    assert (told.header.from_, told.header.to, told.header.cpa_id) == (about.to, about.from_, about.cpa_id)
    assert told.header.message_id not in {"q@x", about.message_id}
    assert told.status_response == ebms.StatusResponse(
        ref_to_message_id=about.message_id, status=ebms.MessageStatus.RECEIVED, timestamp=START
    )
