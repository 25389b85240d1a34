"""An Acknowledgment closes nothing unless it is by the right party, of the right envelope, with what was agreed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.envelope import xml
from broker.envelope.ebms import Acknowledgment, Envelope, Kind, PartyId, her_party
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse
from broker.envelope.signature import Verified, sign_envelope, verify_envelope
from broker.errors import Inconsistent, NotTrusted, Refused
from broker.message import Digest
from broker.message import Envelope as Sent
from broker.receipts.acknowledgment import SignalForm, build_acknowledgment, check_acknowledgment, digests
from tests.oracles.xmldsig_engines import OTHER, OURS
from tests.unit.envelope.envelopes import USER

AT = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
OURS_HER, THEIRS_HER = 8000101, 8000202
PARTS = {"p-1@fjordvik.example": b"ciphertext", "p 2@x": b"more"}

# The envelope as we sign and send it, and what the receiver finds: the whole way, with real signatures.
SENT_BYTES = sign_envelope(build(USER), PARTS, OURS)
RECEIVED = verify_envelope(xml.parse(SENT_BYTES, max_bytes=1_000_000), PARTS, trusted=[OURS.certificate])
SENT = Sent(
    eb_id=USER.header.message_id,
    delivery_id="d-1",
    cpa_id=USER.header.cpa_id,
    from_her=OURS_HER,
    to_her=THEIRS_HER,
    content_type="multipart/related",
    body="b-1",
    digests=digests(RECEIVED.references),
    ack_signed=True,
    sync=False,
    retries=3,
    interval=timedelta(hours=1),
    timestamp=AT,
    persist_until=AT + timedelta(days=4),
)
ANSWER = build_acknowledgment(USER.header, RECEIVED.references, message_id="a-1@dalbygda.example", timestamp=AT)
ACKNOWLEDGMENT = ANSWER.acknowledgment
assert ACKNOWLEDGMENT is not None


def arrived(envelope: Envelope, *, signed: bool = True) -> tuple[Envelope, Verified | None]:
    """Return an answer of theirs as it comes to us: signed by them, sent, read and verified."""
    data = sign_envelope(build(envelope), {}, OTHER) if signed else build(envelope)
    document = xml.parse(data, max_bytes=1_000_000)
    verified = verify_envelope(document, {}, trusted=[OTHER.certificate]) if signed else None
    return parse(document), verified


def with_header(**values: Any) -> Envelope:
    return replace(ANSWER, header=replace(ANSWER.header, **values))


def with_acknowledgment(**values: Any) -> Envelope:
    assert ACKNOWLEDGMENT is not None
    return replace(ANSWER, acknowledgment=replace(ACKNOWLEDGMENT, **values))


def test_our_answer_says_what_it_must() -> None:
    header, acknowledgment = ANSWER.header, ANSWER.acknowledgment
    assert ANSWER.kind == Kind.ACKNOWLEDGMENT
    assert (header.from_her, header.to_her) == (THEIRS_HER, OURS_HER)
    assert (header.cpa_id, header.conversation_id) == (USER.header.cpa_id, USER.header.conversation_id)
    assert header.service_type is None
    assert (header.from_role, header.to_role) == (None, None)
    assert header.ref_to_message_id == USER.header.message_id
    assert acknowledgment == Acknowledgment(
        timestamp=AT, ref_to_message_id=USER.header.message_id, from_=USER.header.to, references=RECEIVED.references
    )


def test_the_form_of_his_1037_has_no_reference_in_message_data() -> None:
    bare = build_acknowledgment(
        USER.header, RECEIVED.references, message_id="a-1", timestamp=AT, form=SignalForm(reference=False)
    )
    assert bare.header.ref_to_message_id is None
    check_acknowledgment(*arrived(bare), SENT)


def test_a_signed_acknowledgment_with_our_digests_counts() -> None:
    check_acknowledgment(*arrived(ANSWER), SENT)


def test_an_unsigned_one_counts_where_that_was_agreed() -> None:
    plain = replace(SENT, ack_signed=False)
    check_acknowledgment(*arrived(ANSWER, signed=False), plain)
    check_acknowledgment(*arrived(with_acknowledgment(references=()), signed=False), plain)
    unsigned_both_ways = replace(plain, digests=())
    check_acknowledgment(*arrived(with_acknowledgment(references=()), signed=False), unsigned_both_ways)


def test_an_acknowledgment_without_from_is_by_the_sender_of_its_header() -> None:
    check_acknowledgment(*arrived(with_acknowledgment(from_=())), SENT)
    by_another = replace(with_acknowledgment(from_=()), header=replace(ANSWER.header, from_=her_party(8000303)))
    with pytest.raises(Inconsistent):
        check_acknowledgment(*arrived(by_another), SENT)


def test_one_that_comes_with_a_business_answer_counts() -> None:
    business = replace(
        USER.header, from_=USER.header.to, to=USER.header.from_, ref_to_message_id=USER.header.message_id
    )
    check_acknowledgment(*arrived(replace(ANSWER, header=business)), SENT)


def test_order_of_references_and_their_method_do_not_matter_but_their_digests() -> None:
    check_acknowledgment(*arrived(with_acknowledgment(references=RECEIVED.references[::-1])), SENT)


FIRST, SECOND, THIRD = RECEIVED.references
FORGED = replace(SECOND, digest_value=b"x" * 32)
HEADER = "//Header/MessageHeader"
WRONG: dict[str, tuple[type[Refused], str, Envelope]] = {
    "of another message": (
        Inconsistent,
        "//Header/Acknowledgment/RefToMessageId",
        with_acknowledgment(ref_to_message_id="m-2@x"),
    ),
    "of another message by MessageData": (
        Inconsistent,
        f"{HEADER}/MessageData/RefToMessageId",
        with_header(ref_to_message_id="m-2@x"),
    ),
    "in another agreement": (Inconsistent, f"{HEADER}/CPAId", with_header(cpa_id="other:1")),
    "parties not swapped": (Inconsistent, f"{HEADER}/From", with_header(from_=USER.header.from_, to=USER.header.to)),
    "by a third party": (Inconsistent, f"{HEADER}/From", with_header(from_=her_party(8000303))),
    "to a third party": (Inconsistent, f"{HEADER}/From", with_header(to=her_party(8000303))),
    "by a party of two names": (
        Inconsistent,
        f"{HEADER}/From",
        with_header(from_=(*her_party(8000202), *her_party(8000303))),
    ),
    "by an organisation number": (
        Inconsistent,
        f"{HEADER}/From",
        with_header(from_=(PartyId(value="8000202", type="ENH"),)),
    ),
    "on behalf of another inside": (
        Inconsistent,
        "//Header/Acknowledgment/From",
        with_acknowledgment(from_=her_party(8000303)),
    ),
    "without references": (NotTrusted, "", with_acknowledgment(references=())),
    "without the envelope": (NotTrusted, "", with_acknowledgment(references=(SECOND, THIRD))),
    "without a part": (NotTrusted, "", with_acknowledgment(references=(FIRST, SECOND))),
    "with a part twice": (NotTrusted, "", with_acknowledgment(references=(FIRST, SECOND, SECOND))),
    "with all, and one twice": (NotTrusted, "", with_acknowledgment(references=(*RECEIVED.references, SECOND))),
    "with one more": (
        NotTrusted,
        "",
        with_acknowledgment(references=(*RECEIVED.references, replace(SECOND, uri="cid:x@x"))),
    ),
    "with another digest": (NotTrusted, "", with_acknowledgment(references=(FIRST, FORGED, THIRD))),
    "with the digest of another part": (
        NotTrusted,
        "",
        with_acknowledgment(references=(FIRST, replace(SECOND, uri=THIRD.uri), replace(THIRD, uri=SECOND.uri))),
    ),
    "no Acknowledgment at all": (
        Inconsistent,
        "//Header/Acknowledgment",
        replace(ANSWER, acknowledgment=None, header=replace(ANSWER.header, action="Ping")),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_any_other_acknowledgment_does_not_count(name: str) -> None:
    error, location, envelope = WRONG[name]
    with pytest.raises(Refused) as refusal:
        check_acknowledgment(*arrived(envelope), SENT)
    assert (type(refusal.value), refusal.value.location) == (error, location)


def test_an_unsigned_one_does_not_count_where_a_signed_one_was_agreed() -> None:
    with pytest.raises(NotTrusted, match="not signed"):
        check_acknowledgment(*arrived(ANSWER, signed=False), SENT)


def test_digests_that_are_there_must_be_ours_even_where_none_were_agreed() -> None:
    with pytest.raises(NotTrusted, match="other digests"):
        check_acknowledgment(
            *arrived(with_acknowledgment(references=(FORGED,)), signed=False), replace(SENT, ack_signed=False)
        )


def test_digests_are_kept_by_value() -> None:
    assert digests((SECOND,)) == (Digest(uri=SECOND.uri, method=SECOND.digest_method, value=SECOND.digest_value),)
