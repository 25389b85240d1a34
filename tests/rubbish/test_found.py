"""What rubbish has found, each bug by its name."""

import binascii
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.envelope import mime
from broker.envelope.msghead import MAX_PROBLEMS, HeadRefused, read_head
from broker.envelope.xml import MAX_CHILDREN, MAX_MARKUP, parse
from broker.errors import MalformedXml, MimeProblem
from broker.validation.rules import MAX_FINDINGS
from tests.judging import judged, sample
from tests.rubbish.mime_cases import TYPE, coded, entity

ROOT = b"Content-Type: text/xml\r\nContent-ID: <root@x>\r\n\r\n<a/>"
PIECES = [b"=41", b"=e6", b"=\r\n", b"= \t\r\n", b"x", b"=", b"\r\n", b" ", b"4", b"\r", b"\xe6"]
CODE = re.compile(rb"=(?:([0-9A-Fa-f]{2})|[ \t]*\r\n)|=")


def decoded(body: bytes) -> bytes:
    return mime.read(TYPE, entity(ROOT, coded("quoted-printable", body))).parts[0].body


def one_by_one(body: bytes) -> bytes:
    """Decode quoted-printable the slow way, as it was done before."""

    def code(found: re.Match[bytes]) -> bytes:
        if found[0] == b"=":
            raise MimeProblem("not quoted-printable")
        return bytes.fromhex(found[1].decode()) if found[1] else b""

    return CODE.sub(code, body)


def with_many(before: str, piece: str, count: int) -> bytes:
    document = sample("ekontakt-sporsmal.xml").decode()
    at = document.index(before)
    return (document[:at] + piece * count + document[at:]).encode()


def test_a_document_of_empty_elements_does_not_take_thirty_times_its_size() -> None:
    with pytest.raises(MalformedXml, match="too much markup"):
        parse(b"<a>" + b"<b/>" * MAX_MARKUP + b"</a>", max_bytes=35_000_000)


def test_a_document_of_attributes_does_not_either() -> None:
    attributes = " ".join(f"a{number}=''" for number in range(MAX_MARKUP + 1))
    with pytest.raises(MalformedXml, match="too much markup"):
        parse(f"<a {attributes}/>".encode(), max_bytes=35_000_000)


def test_a_hundred_thousand_faults_side_by_side_do_not_take_minutes() -> None:
    parse(b"<a>" + b"<b/>" * MAX_CHILDREN + b"</a>", max_bytes=1_000_000)
    with pytest.raises(MalformedXml, match="side by side"):
        parse(b"<a>" + b"<b/>" * (MAX_CHILDREN + 1) + b"</a>", max_bytes=1_000_000)


def test_a_second_byte_order_mark_is_not_read_over() -> None:
    with pytest.raises(MalformedXml, match="byte order mark"):
        parse(b"\xef\xbb\xbf\xef\xbb\xbf<a/>", max_bytes=100)


@given(st.lists(st.sampled_from(PIECES)))
def test_quoted_printable_reads_as_before(pieces: list[bytes]) -> None:
    for before in range(4):  # so that every piece falls on the border of what is decoded at a time, some time
        body = b"x" * (mime.PIECE - before) + b"".join(pieces)
        try:
            expected = one_by_one(body)
        except MimeProblem:
            with pytest.raises(MimeProblem):
                decoded(body)
        else:
            assert decoded(body) == expected


def test_quoted_printable_does_not_take_thirty_times_its_size() -> None:
    body = b"=41" * 700_000
    tracemalloc.start()
    try:
        assert decoded(body) == b"A" * 700_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(body)


@given(st.lists(st.sampled_from([b"QUFB", b"QUE=", b"QQ==", b"Q", b"=", b"\r\n", b" ", b"*", b"QU\r\nFB"])))
def test_base64_reads_as_the_standard_library_does(pieces: list[bytes]) -> None:
    for before in range(4):
        body = b"QUFB" * (mime.PIECE // 4 - 1) + b" " * before + b"".join(pieces)
        digits = body.translate(None, b"\r\n \t")
        try:
            if len(digits) % 4:  # the library lets a `=` too many pass
                raise binascii.Error
            expected = binascii.a2b_base64(digits, strict_mode=True)
        except binascii.Error:
            with pytest.raises(MimeProblem):
                mime.read(TYPE, entity(ROOT, coded("base64", body)))
        else:
            assert mime.read(TYPE, entity(ROOT, coded("base64", body))).parts[0].body == expected


def test_blanks_round_the_parts_are_bounded() -> None:
    whole = entity(ROOT, coded("binary", b"x"))
    assert len(mime.read(TYPE, b"\r\n" * 100 + whole + b"\r\n" * 100).parts) == 1
    for data in (b"\r\n" * 5_000 + whole, whole + b"\r\n" * 5_000):
        with pytest.raises(MimeProblem):
            mime.read(TYPE, data)


def test_a_blank_without_end_in_quoted_printable_is_refused() -> None:
    with pytest.raises(MimeProblem, match="quoted-printable"):
        decoded(b"=" + b" " * (3 * mime.PIECE) + b"\r\n")


def test_thousands_of_bad_her_ids_are_told_to_a_bound() -> None:
    xml = parse(with_many("<Ident>", '<Ident><Id>x</Id><TypeId V="HER"/></Ident>', 5_000), max_bytes=1_000_000)
    with pytest.raises(HeadRefused) as refused:
        read_head(xml)
    assert len(refused.value.problems) == MAX_PROBLEMS


def test_what_was_not_looked_at_for_its_number_is_refused() -> None:
    number = '<Ident><Id>1</Id><TypeId V="FNR"/></Ident>'
    found = judged(with_many("<Document>", number, 5_000))
    rules = [fault.rule for fault in found.faults]
    assert rules.count("number.impossible") == MAX_FINDINGS
    assert "xsd.more-faults" in rules
