"""Several payloads in one envelope: which is the document, what becomes of the others, and what refuses them all."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker import handover, retention
from broker.demo.documents import Conversation
from broker.envelope import ebms, ebms_parse, mime, xml
from broker.envelope.ebms import Kind
from broker.message import EventKind, Verdict
from broker.ports import Keeping
from broker.sealing.certificates import Use
from tests.scenario.agreed import PLAIN, UNSIGNED, agree
from tests.scenario.forge import SIGNATURE, Draft, sealed
from tests.scenario.pair import DALBYGDA, Pair, dialogue, pair, side_key
from tests.scenario.test_agreements import LEFT, draft, error_of, given, read, whys

PICTURE, LETTER = b"\x89PNG not really", b"<brev>Hei</brev>"
OPENS = side_key(DALBYGDA, Use.ENCRYPT).certificate


def beside(original: Draft, *others: bytes, first: bool = False, seal: bool = True) -> Draft:
    """Put other payloads beside the document, or before it, in Manifest and MIME, and sign the whole."""
    parts = tuple(
        mime.ciphertext(f"other-{n}@test", sealed(other, OPENS) if seal else other) for n, other in enumerate(others)
    )
    reference = '<eb:Reference xlink:type="simple" xlink:href="cid:{}"/>'
    named = "".join(reference.format(part.content_id) for part in parts)
    where, by = ("(<eb:Manifest [^>]*>)", rf"\1{named}") if first else ("</eb:Manifest>", f"{named}</eb:Manifest>")
    # MIME in another order than the Manifest: the Manifest decides.
    return replace(original.edit(where, by), parts=(*original.parts, *reversed(parts))).signed(LEFT)


@pytest.fixture(name="both")
async def fixture_both(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as both:
        yield both


@pytest.mark.parametrize("first", [False, True], ids=["after the document", "before it"])
async def test_what_comes_beside_the_document_is_kept_with_it_and_handed_over(both: Pair, first: bool) -> None:
    original = await draft(both)
    agree(both, {"payloads": 3})
    assert read(await given(both, beside(original, PICTURE, LETTER, first=first))).kind is Kind.ACKNOWLEDGMENT
    ((message, item),) = await both.right.inbox()
    assert await both.right.store.body(message.body) == dialogue("22222222-0000-4000-8000-000000000001")
    payloads = await both.right.store.payloads(message.id)
    assert [(one.number, one.content_id, one.size) for one in payloads] == [
        (1, "other-0@test", len(PICTURE)),
        (2, "other-1@test", len(LETTER)),
    ]
    assert [await both.right.store.body(one.body) for one in payloads] == [PICTURE, LETTER]
    assert await both.right.store.last_envelope(item.id) == original.value("eb:MessageId")


async def test_more_than_is_agreed_is_refused_and_the_refusal_says_how_many(both: Pair) -> None:
    forged = beside(await draft(both), PICTURE, LETTER)
    assert error_of(await given(both, forged)) == ("Inconsistent", "//Body/Manifest")
    agree(both, {"payloads": 2})
    assert error_of(await given(both, forged)) == ("Inconsistent", "//Body/Manifest")
    assert await whys(both) == [
        "exactly one payload is agreed",
        "one payload at least and 2 at most are agreed",
    ]


async def test_one_payload_that_does_not_open_refuses_all(both: Pair) -> None:
    original = await draft(both)
    agree(both, {"payloads": 3})
    sealed_for_another = sealed(PICTURE, side_key(both.left.her, Use.ENCRYPT).certificate)
    for broken in (beside(original, PICTURE, seal=False), beside(original, sealed_for_another, seal=False)):
        assert error_of(await given(both, broken)) == ("SecurityFailure", None)
    assert await both.right.inbox() == ()


async def test_one_payload_that_is_not_signed_for_refuses_all(both: Pair) -> None:
    original = await draft(both)
    agree(both, {"payloads": 3})
    good = beside(original, PICTURE)
    changed = replace(good, parts=(good.parts[0], replace(good.parts[1], body=sealed(LETTER, OPENS))))
    assert error_of(await given(both, changed)) == ("SecurityFailure", None)
    alone = original.signed(LEFT)
    uncovered = good.put(good.found(SIGNATURE), alone.found(SIGNATURE))
    assert error_of(await given(both, uncovered)) == ("SecurityFailure", None)
    assert await both.right.inbox() == ()


async def test_payloads_without_a_document_are_refused(both: Pair) -> None:
    original = (await draft(both)).carrying(sealed(LETTER, OPENS))
    agree(both, {"payloads": 2})
    assert error_of(await given(both, beside(original, PICTURE))) == ("SecurityFailure", None)


async def test_the_same_document_with_another_payload_beside_it_is_another_content(both: Pair) -> None:
    original = await draft(both)
    agree(both, {"payloads": 2})
    assert read(await given(both, beside(original, PICTURE))).kind is Kind.ACKNOWLEDGMENT
    again = beside(original.put("<eb:MessageId>", "<eb:MessageId>again-"), PICTURE)
    assert read(await given(both, again)).kind is Kind.ACKNOWLEDGMENT
    other = beside(original.put("<eb:MessageId>", "<eb:MessageId>other-"), LETTER)
    assert read(await given(both, other)).kind is Kind.ACKNOWLEDGMENT
    assert await whys(both) == ["another content under a known MsgId"]
    ((message, item),) = await both.right.inbox()
    assert len(await both.right.store.payloads(message.id)) == 1
    assert await both.right.store.last_envelope(item.id) is not None


async def test_payloads_in_plaintext_under_an_unsigned_agreement(both: Pair) -> None:
    agree(both, UNSIGNED | {"payloads": 2}, switches=PLAIN)
    original = await draft(both)
    unsigned = beside(original, PICTURE, seal=False).unsigned()
    assert read(await given(both, unsigned)).kind is Kind.ACKNOWLEDGMENT
    ((message, _),) = await both.right.inbox()
    (payload,) = await both.right.store.payloads(message.id)
    assert await both.right.store.body(payload.body) == PICTURE


async def test_payloads_are_erased_with_their_document_and_not_before(both: Pair) -> None:
    original = await draft(both)
    agree(both, {"payloads": 2})
    await given(both, beside(original, PICTURE))
    ((message, item),) = await both.right.inbox()
    (payload,) = await both.right.store.payloads(message.id)
    policy = retention.Policy(times={Keeping.RECEIVED: timedelta(days=1)})
    both.clock.time += timedelta(days=3)
    store = both.right.store
    assert Keeping.RECEIVED not in await retention.erase_due(store, both.clock, policy)  # its EPJ has not collected it
    await handover.verdict(item.id, Verdict.OK, (), both.right.client, both.right.doors)
    await both.run()
    both.clock.time += timedelta(days=3)
    assert (await retention.erase_due(store, both.clock, policy))[Keeping.RECEIVED] == 2
    for body in (message.body, payload.body):
        with pytest.raises(KeyError):
            await store.body(body)
    erased = [event.event.message_id for event in await store.events(kinds=[EventKind.ERASED], after=0, limit=9)]
    assert erased == [message.id, message.id]


# --- RefToMessageId ---


def header_to_left(both: Pair, before: int) -> ebms.Header:
    sent = [body for endpoint, body in both.wire.log[before:] if endpoint.endswith(str(both.left.her))]
    boundary = sent[0].split(b"\r\n", 1)[0][2:].decode()
    root = mime.read(f'multipart/related; boundary="{boundary}"; type="text/xml"', sent[0]).root
    return ebms_parse.parse_header(xml.parse(root.body, max_bytes=10**6))


async def test_an_apprec_and_an_answer_refer_to_the_envelope_that_they_answer(both: Pair) -> None:
    first = "22222222-0000-4000-8000-0000000000f1"
    taken = await both.left.post(dialogue(first))
    await both.run()
    eb_id = (await both.left.delivery(taken)).envelope
    ((_, item),) = await both.right.inbox()
    before = len(both.wire.log)
    await handover.verdict(item.id, Verdict.OK, (), both.right.client, both.right.doors)
    await both.run()
    receipt = header_to_left(both, before)
    assert receipt.ref_to_message_id == eb_id
    before = len(both.wire.log)
    conversation = Conversation(parent=first, first=first)
    answer = dialogue(
        "22222222-0000-4000-8000-0000000000f2", sender=DALBYGDA, receiver=both.left.her, answers=conversation
    )
    await both.right.post(answer)
    await both.run()
    told = header_to_left(both, before)
    assert (told.ref_to_message_id, told.conversation_id) == (eb_id, receipt.conversation_id)


async def test_an_answer_to_what_never_came_refers_to_nothing(both: Pair) -> None:
    conversation = Conversation(parent="never-came", first="never-came")
    before = len(both.wire.log)
    await both.right.post(
        dialogue("22222222-0000-4000-8000-0000000000f3", sender=DALBYGDA, receiver=both.left.her, answers=conversation)
    )
    await both.run()
    assert header_to_left(both, before).ref_to_message_id is None
