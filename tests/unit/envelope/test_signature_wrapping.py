"""Forgeries that leave the signed bytes alone: the signature still holds for what it signs, and more would be read."""

import re
import time

import pytest

from broker.envelope.names import DS, cid
from broker.envelope.signature import sign_envelope, sign_with_references
from broker.envelope.xml import MAX_CHILDREN
from broker.envelope.xmldsig import SHA256
from broker.errors import NotTrusted
from tests.oracles.xmldsig_engines import OURS, unsigned
from tests.unit.envelope.signed import (
    FIRST,
    NEXT,
    NEXT_MSH,
    ORIGINAL,
    PARTS,
    SECOND,
    SHAPE,
    Case,
    change,
    found,
    trace,
    verify,
)

SIGNATURE = found("<ds:Signature .*</ds:Signature>")
HEADER = found("<eb:MessageHeader.*</eb:MessageHeader>")
FORGED = HEADER.replace("8000202", "8000999")
MANIFEST = found("<eb:Manifest.*</eb:Manifest>")
ENVELOPE = found("<SOAP:Envelope.*</SOAP:Envelope>")
END = "</SOAP:Header>"


def for_(actor: str, element: str) -> str:
    """The same element, for that actor."""
    return re.sub("^<[a-zA-Z:]+", rf"\g<0> {actor}", element)


def around(outer: str) -> str:
    """The original as the last thing in the body of another envelope."""
    return outer.removesuffix("</SOAP:Body></SOAP:Envelope>") + ENVELOPE + "</SOAP:Body></SOAP:Envelope>"


UNSIGNED = ENVELOPE.replace(SIGNATURE, "").replace("8000202", "8000999")
LEFT_OUT = "left out of the signature"
SHAPE_OF_SOAP = "not a SOAP envelope of one header and one body"
PLACE = "not a child of the SOAP:Header"
SEVERAL = "more than one ds:Signature"

CASES = (
    Case("a second MessageHeader for next", END, for_(NEXT, FORGED) + END, LEFT_OUT),
    Case("a second MessageHeader for nextMSH", END, for_(NEXT_MSH, FORGED) + END, LEFT_OUT),
    Case("a MessageHeader in SyncReply", "(<eb:SyncReply[^>]*)/>", rf"\1>{FORGED}</eb:SyncReply>", LEFT_OUT),
    Case("a MessageHeader in an entry for next", END, trace(NEXT, FORGED) + END, LEFT_OUT),
    Case("a MessageHeader deep in an entry for next", END, trace(NEXT, f"<a><b>{FORGED}</b></a>") + END, LEFT_OUT),
    Case(
        "the MessageHeader wrapped, a forged one in its place",
        re.escape(HEADER),
        FORGED + trace(NEXT, HEADER),
        LEFT_OUT,
    ),
    Case("the MessageHeader itself for next", "<eb:MessageHeader ", rf"\g<0>{NEXT} ", LEFT_OUT),
    Case("AckRequested for nextMSH", "<eb:AckRequested ", rf"\g<0>{NEXT_MSH} ", LEFT_OUT),
    Case("an Acknowledgment for next", END, f'<eb:Acknowledgment {NEXT} eb:version="2.0"/>{END}', LEFT_OUT),
    Case("an ErrorList for next", END, f'<eb:ErrorList {NEXT} eb:version="2.0"/>{END}', LEFT_OUT),
    Case("a second Manifest for next", re.escape(MANIFEST), MANIFEST + for_(NEXT, MANIFEST), LEFT_OUT),
    Case("the Manifest for next", "<eb:Manifest ", rf"\g<0>{NEXT} ", LEFT_OUT),
    Case("an entry for next inside the MessageHeader", "<eb:CPAId>", trace(NEXT, "x") + r"\g<0>", LEFT_OUT),
    Case("an id for next inside the MessageHeader", "<eb:CPAId>", f"<eb:CPAId {NEXT}>", LEFT_OUT),
    Case("the header for next", "<SOAP:Header>", f"<SOAP:Header {NEXT}>", LEFT_OUT),
    Case("the envelope for next", "<SOAP:Envelope ", rf"\g<0>{NEXT} ", LEFT_OUT),
    Case("the body for next", "<SOAP:Body>", f"<SOAP:Body {NEXT}>", LEFT_OUT),
    Case("the signature for next", "<ds:Signature ", rf"\g<0>{NEXT} ", "attribute that is not of our profile"),
    Case("a second body", "</SOAP:Envelope>", rf"<SOAP:Body {NEXT}>{MANIFEST}</SOAP:Body>\g<0>", SHAPE_OF_SOAP),
    Case("a second header, first", "<SOAP:Header>", rf"<SOAP:Header {NEXT}>{FORGED}{END}\g<0>", SHAPE_OF_SOAP),
    Case("a second header, last", END, f"{END}<SOAP:Header {NEXT}>{FORGED}{END}", SHAPE_OF_SOAP),
    Case(
        "no header, the entries in the body",
        "<SOAP:Header>(.*)</SOAP:Header><SOAP:Body>",
        r"<SOAP:Body>\1",
        SHAPE_OF_SOAP,
    ),
    Case("the envelope in the body of another", ".+", around(ENVELOPE), SEVERAL),
    Case("the envelope in the body of an unsigned one", ".+", around(UNSIGNED), PLACE),
    Case("the signature in the body", f"{re.escape(SIGNATURE)}(.*<SOAP:Body>)", rf"\1{SIGNATURE}", PLACE),
    Case("the signature in an entry for next", re.escape(SIGNATURE), trace(NEXT, SIGNATURE), PLACE),
    Case(
        "the signature in the MessageHeader",
        f"(</eb:MessageHeader>.*?){re.escape(SIGNATURE)}",
        rf"{SIGNATURE}\1",
        PLACE,
    ),
    Case("the signature beside the header", re.escape(SIGNATURE) + END, END + SIGNATURE, SHAPE_OF_SOAP),
    Case("the signature twice", END, SIGNATURE + END, SEVERAL),
    Case("an empty signature first", "<SOAP:Header>", rf'\g<0><ds:Signature xmlns:ds="{DS}"/>', SEVERAL),
    Case("an empty signature hidden for next", END, trace(NEXT, f'<ds:Signature xmlns:ds="{DS}"/>') + END, SEVERAL),
    Case(
        "an Object in the signature",
        "</ds:Signature>",
        rf"<ds:Object>{FORGED}</ds:Object>\g<0>",
        "ds:Signature that is not",
    ),
    Case(
        "a Manifest of XMLDSig in KeyInfo",
        "</ds:KeyInfo>",
        rf'\g<0><ds:Manifest xmlns:ds="{DS}"/>',
        "ds:Signature that is not",
    ),
    Case("no signature", re.escape(SIGNATURE), "", "not signed"),
)


def test_the_original_holds() -> None:
    verified = verify(ORIGINAL)
    assert verified.certificate == OURS.certificate
    assert not verified.uses_sha1
    assert [one.uri for one in verified.references] == ["", cid(FIRST), cid(SECOND)]
    assert {one.digest_method for one in verified.references} == {SHA256}


def test_what_was_signed_is_told_as_the_receiver_reads_it() -> None:
    signed, references = sign_with_references(unsigned(SHAPE), PARTS, OURS)
    assert references == verify(signed).references


@pytest.mark.parametrize("case", CASES, ids=str)
def test_wrapping_is_refused(case: Case) -> None:
    with pytest.raises(NotTrusted, match=case.why) as refusal:
        verify(change(case.where, case.by))
    assert not re.search("8000|payload-|fjordvik", f"{refusal.value.why} {refusal.value.hint}")


@pytest.mark.parametrize("entry", [trace(NEXT, "on the <b>way</b>"), trace(NEXT_MSH, "")])
def test_an_entry_of_others_for_the_next_may_come_on_the_way(entry: str) -> None:
    assert verify(change(END, entry + END)).certificate == OURS.certificate


def test_many_entries_on_the_way_take_no_more_time_than_their_number() -> None:
    few, many = (_seconds(change(END, trace(NEXT, "") * entries + END)) for entries in (1000, MAX_CHILDREN - 10))
    assert many < 25 * few  # ten times as long; each looked for among its siblings: fifty times


def _seconds(envelope: bytes) -> float:
    """Return the CPU time of verifying, the least of three."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        verify(envelope)
        taken.append(time.process_time() - began)
    return min(taken)


def test_text_after_an_entry_that_is_left_out_is_signed() -> None:
    with pytest.raises(NotTrusted, match="digest differs"):
        verify(change(END, trace(NEXT, "") + "tail" + END))


def test_an_entry_of_others_for_no_one_in_particular_is_signed() -> None:
    with pytest.raises(NotTrusted, match="digest differs"):
        verify(change(END, trace("", "x") + END))


def test_we_sign_no_envelope_that_we_would_refuse() -> None:
    hidden = change(END, trace(NEXT, '<eb:Acknowledgment eb:version="2.0"/>') + END, unsigned(SHAPE))
    with pytest.raises(NotTrusted, match=LEFT_OUT):
        sign_envelope(hidden, PARTS, OURS)
