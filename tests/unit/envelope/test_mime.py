"""MIME entities: what we build reads back exactly, and what is not exactly an entity is refused by name."""

import gzip
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from broker.envelope.mime import (
    CIPHERTEXT_TYPE,
    Entity,
    Limits,
    Part,
    build,
    ciphertext,
    gunzip,
    looks_like_gzip,
    read,
)
from broker.errors import MimeProblem
from tests.oracles.mime import SABOTAGES

BOUNDARY = "0123456789abcdef0123456789abcdef"
TYPE = f'multipart/related; boundary="{BOUNDARY}"; type="text/xml"; start="<root@fjordvik.example>"'
MARK = b"--" + BOUNDARY.encode()
ENVELOPE = "<Envelope>å</Envelope>".encode()

# What a careless reader or writer trips over: line ends, boundaries that are nearly one, base64 and header look-alikes.
TRAPS = [
    b"",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"--",
    b"\r\n--",
    b"\r\n--" + BOUNDARY[:-1].encode(),
    b"--" + BOUNDARY[1:].encode(),
    BOUNDARY.encode(),
    b"\r\n\r\n",
    b"Content-Type: text/plain\r\n\r\n",
    b".\r\n",
    b"From ",
    b"=3D=\r\n",
    b"\xff\xfe",
    "æøå".encode("latin-1"),
    bytes(range(256)),
]
hostile = st.lists(st.one_of(st.sampled_from(TRAPS), st.binary(max_size=40)), max_size=12).map(b"".join)


def lines(*parts: bytes) -> bytes:
    return b"\r\n".join(parts)


def entity(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    """Return a multipart body of these parts, headers and blank line included in each."""
    delimiter = b"--" + BOUNDARY.encode()
    return b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + end


ROOT = lines(b"Content-Type: text/xml; charset=UTF-8", b"Content-ID: <root@fjordvik.example>", b"", ENVELOPE)
PAYLOAD = lines(b"Content-Type: text/plain", b"Content-ID: <one>", b"", b"payload")


def part(*headers: bytes, body: bytes = b"payload") -> bytes:
    return lines(*headers, b"", body)


def refused(body: bytes, content_type: str = TYPE, limits: Limits | None = None) -> str:
    with pytest.raises(MimeProblem) as caught:
        read(content_type, body, limits=limits or Limits())
    assert "payload" not in caught.value.why.replace("a payload has", "")  # nothing of the body is told
    return caught.value.why


# --- there and back -------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None, print_blob=True)
@given(root=hostile, bodies=st.lists(hostile, min_size=1, max_size=3), encoding=st.sampled_from(["base64", "binary"]))
def test_what_is_built_reads_back_exactly(root: bytes, bodies: list[bytes], encoding: str) -> None:
    assume(not any(MARK in body for body in (root, *bodies)))  # build refuses it: a caller draws a new boundary
    parts = [
        Part(content_id=f"p{n}@fjordvik.example", content_type="text/plain", body=body, transfer_encoding=encoding)
        for n, body in enumerate(bodies)
    ]
    built = build(root, parts, boundary=BOUNDARY, root_id="root@fjordvik.example")
    result = read(built.content_type, built.body)
    assert result.root.body == root
    assert result.parts == tuple(parts)


def test_a_ciphertext_goes_as_base64_in_lines_of_76() -> None:
    content = bytes(range(256)) * 4
    built = build(ENVELOPE, [ciphertext("doc@fjordvik.example", content)], boundary=BOUNDARY, root_id="r")
    assert f"Content-Type: {CIPHERTEXT_TYPE}\r\n".encode() in built.body
    assert b"Content-Transfer-Encoding: base64\r\n" in built.body
    encoded = built.body.split(b"\r\n\r\n")[2].split(b"\r\n--")[0].split(b"\r\n")
    assert {len(line) for line in encoded[:-2]} == {76}
    read_back = read(built.content_type, built.body).parts[0]
    assert (read_back.body, read_back.media_type) == (content, "application/pkcs7-mime")


def test_the_root_comes_first_and_is_named_by_start() -> None:
    built = build(ENVELOPE, [ciphertext("doc", b"x")], boundary=BOUNDARY, root_id="root@fjordvik.example")
    assert built.content_type == TYPE
    assert built.body.index(b"<root@fjordvik.example>") < built.body.index(b"<doc>")
    assert b"Content-Transfer-Encoding: 8bit\r\n" in built.body.partition(ENVELOPE)[0]  # a peer refuses a root without


def test_an_envelope_without_payload_goes_alone() -> None:
    built = build(ENVELOPE, [], boundary=BOUNDARY, root_id="root@fjordvik.example")
    expected = Entity(content_type="text/xml; charset=UTF-8", content_id="root@fjordvik.example", body=ENVELOPE)
    assert built == expected
    assert read(built.content_type, built.body, content_id="<root@fjordvik.example>").root.body == ENVELOPE


def test_the_same_arguments_give_the_same_bytes() -> None:
    first, second = (build(ENVELOPE, [ciphertext("d", b"x")], boundary=BOUNDARY, root_id="r") for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("parts", "boundary", "root_id"),
    [
        ([ciphertext("d", b"x")], BOUNDARY, "r\r\nX-Injected: 1"),
        ([ciphertext("d\n", b"x")], BOUNDARY, "r"),
        ([ciphertext("d>", b"x")], BOUNDARY, "r"),
        ([ciphertext("", b"x")], BOUNDARY, "r"),
        ([ciphertext("å", b"x")], BOUNDARY, "r"),
        ([ciphertext("r", b"x")], BOUNDARY, "r"),
        ([ciphertext("d", b"x"), ciphertext("d", b"y")], BOUNDARY, "r"),
        ([Part(content_id="d", content_type="text/plain\r\nX: 1", body=b"")], BOUNDARY, "r"),
        ([Part(content_id="d", content_type="", body=b"")], BOUNDARY, "r"),
        ([Part(content_id="d", content_type="text/plain", body=b"", transfer_encoding="uuencode")], BOUNDARY, "r"),
        ([Part(content_id="d", content_type="text/plain", body=b"--" + BOUNDARY.encode())], BOUNDARY, "r"),
        ([ciphertext("d", b"x")], "", "r"),
        ([ciphertext("d", b"x")], "a b ", "r"),
        ([ciphertext("d", b"x")], 'a"b', "r"),
        ([ciphertext("d", b"x")], "a\r\nb", "r"),
        ([ciphertext("d", b"x")], "a" * 71, "r"),
        ([ciphertext("d", b"x")], "Content", "r"),
    ],
)
def test_what_would_be_another_entity_is_not_built(parts: list[Part], boundary: str, root_id: str) -> None:
    if boundary == "Content":  # occurs only as "--Content", so the envelope has to hold that
        parts = [Part(content_id="d", content_type="text/plain", body=b"x--Content")]
    with pytest.raises(ValueError, match=r"."):
        build(ENVELOPE, parts, boundary=boundary, root_id=root_id)


@pytest.mark.parametrize("fault", ["", *SABOTAGES])
def test_other_readers_and_writers_agree_and_a_planted_fault_is_seen(fault: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.oracles.mime"],
        env={**os.environ, "SABOTAGE": fault, "MIME_CASES": "150" if fault else "400"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    print(finished.stdout)
    assert finished.returncode == (1 if fault else 0), finished.stdout
    assert ("FAILED" in finished.stdout) is bool(fault)
    assert "400 we write, python-multipart reads" in finished.stdout or fault


# --- what peers write, and is read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ([b"Content-Transfer-Encoding: 7bit"], b"payload", b"payload"),
        ([b"Content-Transfer-Encoding: 8bit"], b"\xe5\r\n", b"\xe5\r\n"),
        ([b"Content-Transfer-Encoding: BINARY"], b"\0\r\r\n\n", b"\0\r\r\n\n"),
        ([b"content-transfer-encoding:base64"], b"cGF5\r\nbG9hZA==\r\n", b"payload"),
        ([b"Content-Transfer-Encoding: base64"], b"", b""),
        ([b"Content-Transfer-Encoding: quoted-printable"], b"p=C3=A5 =3d=\r\nload=20\r\n", b"p\xc3\xa5 =load \r\n"),
        ([], b"\xc3\xa5", b"\xc3\xa5"),
        ([b'Content-Disposition: attachment; filename="h\xc3\xa5.xml"'], b"payload", b"payload"),
        ([b"X-Folded: one;\r\n\ttwo"], b"payload", b"payload"),
    ],
)
def test_all_five_transfer_encodings_and_headers_of_no_interest(
    headers: list[bytes], body: bytes, expected: bytes
) -> None:
    payload = part(b"Content-Type: text/plain", b"Content-ID: <one>", *headers, body=body)
    assert read(TYPE, entity(ROOT, payload)).parts[0].body == expected


@pytest.mark.parametrize(
    "content_type",
    [
        TYPE,
        f"multipart/related; boundary={BOUNDARY}; type=text/xml; start=root@fjordvik.example",  # bare, as one peer does
        f'Multipart/Related;Type="TEXT/XML";BOUNDARY="{BOUNDARY}"',  # no start
        f'multipart/related; boundary="{BOUNDARY}"; start="<root@fjordvik.example>"; start-info="text/xml";',
        f'multipart/related;\tboundary="{BOUNDARY[:4]}\\{BOUNDARY[4:]}"',
    ],
)
def test_content_types_of_peers(content_type: str) -> None:
    result = read(content_type, entity(ROOT, PAYLOAD))
    assert (result.root.body, [p.content_id for p in result.parts]) == (ENVELOPE, ["one"])


@pytest.mark.parametrize("boundary", ["-=5f1c=-", "a b", "'()+_,-./:=?", "x" * 70, "----=_Part_0_1.2"])
def test_odd_boundaries(boundary: str) -> None:
    body = entity(ROOT, PAYLOAD).replace(BOUNDARY.encode(), boundary.encode())
    assert read(f'multipart/related; boundary="{boundary}"', body).parts[0].body == b"payload"


def test_start_may_name_a_later_part() -> None:
    result = read(TYPE, entity(PAYLOAD, ROOT))
    assert (result.root.body, result.parts[0].body) == (ENVELOPE, b"payload")


@pytest.mark.parametrize("name", [b"Content-Id", b"CONTENT-ID", b"content-id"])
@pytest.mark.parametrize("value", [b"<one>", b"one", b" <one> "])
def test_content_ids_in_any_letters_with_and_without_brackets(name: bytes, value: bytes) -> None:
    payload = part(b"Content-Type: text/plain", name + b": " + value)
    assert read(TYPE, entity(ROOT, payload)).parts[0].content_id == "one"


def test_a_folded_header_is_one_header() -> None:
    payload = part(b"Content-Type: application/pkcs7-mime;\r\n\tsmime-type=enveloped-data", b"Content-ID:\r\n <one>")
    result = read(TYPE, entity(ROOT, payload)).parts[0]
    assert (result.content_type, result.content_id) == ("application/pkcs7-mime;\tsmime-type=enveloped-data", "one")


@pytest.mark.parametrize("end", [b"--", b"--\r\n", b"-- \t\r\n\r\n", b"--\r\n\r\n"])
def test_ends_of_an_entity(end: bytes) -> None:
    assert len(read(TYPE, entity(ROOT, PAYLOAD, end=end)).parts) == 1


def test_blank_lines_before_and_blanks_behind_a_boundary() -> None:
    body = b"\r\n\r\n" + entity(ROOT, PAYLOAD).replace(
        b"\r\n--" + BOUNDARY.encode() + b"\r\n", b"\r\n--%b \t\r\n" % BOUNDARY.encode()
    )
    assert read(TYPE, body).parts[0].body == b"payload"


def test_an_empty_payload_is_a_payload() -> None:
    assert (
        read(TYPE, entity(ROOT, part(b"Content-Type: text/plain", b"Content-ID: <one>", body=b""))).parts[0].body == b""
    )


@pytest.mark.parametrize(
    ("encoding", "body"), [("", ENVELOPE), ("8bit", ENVELOPE), ("Base64", b"PEVudmVsb3BlPsOlPC9FbnZlbG9wZT4=\r\n")]
)
def test_an_envelope_alone_with_its_transfer_encoding(encoding: str, body: bytes) -> None:
    result = read("text/xml; charset=UTF-8", body, transfer_encoding=encoding)
    assert (result.root.body, result.root.content_id, result.parts) == (ENVELOPE, "", ())


def test_a_transfer_encoding_on_the_multipart_itself_says_nothing() -> None:
    assert read(TYPE, entity(ROOT, PAYLOAD), transfer_encoding="base64").parts[0].body == b"payload"


# --- what is refused ------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "an empty body": (lambda: b"", "does not begin"),
    "no boundary in it": (lambda: ROOT, "does not begin"),
    "a preamble": (lambda: b"This is a multi-part message.\r\n" + entity(ROOT), "does not begin"),
    "a preamble that is a part to others": (lambda: b"\n" + entity(ROOT), "does not begin"),
    "bare line feeds": (lambda: entity(ROOT).replace(b"\r\n", b"\n"), "where no part"),
    "cut off in a part": (lambda: entity(ROOT, PAYLOAD)[:-60], "cut off"),
    "cut off before the last dashes": (lambda: entity(ROOT, PAYLOAD, end=b""), "cut off|where no part"),
    "one of the last dashes": (lambda: entity(ROOT, PAYLOAD, end=b"-\r\n"), "where no part"),
    "no part at all": (lambda: MARK + b"--\r\n", "no part"),
    "an epilogue": (lambda: entity(ROOT, PAYLOAD) + b"behind", "behind the closing"),
    "a part behind the end": (lambda: entity(ROOT) + entity(PAYLOAD), "behind the closing"),
    "a boundary after a bare line feed": (lambda: entity(ROOT, PAYLOAD + b"\n" + MARK + b"\r\nx"), "where no part"),
    "a boundary inside a line": (lambda: entity(ROOT, PAYLOAD + b" " + MARK + b"\r\nx"), "where no part"),
    "a longer boundary": (lambda: entity(ROOT, PAYLOAD + b"\r\n" + MARK + b"0\r\nx"), "where no part"),
    "a boundary with one bare line feed": (lambda: entity(ROOT, PAYLOAD + b"\r\n" + MARK + b"\nx"), "where no part"),
    "a part without a line": (lambda: MARK + b"\r\n" + entity(ROOT), "where no part"),
    "no blank line after the headers": (lambda: entity(ROOT, b"Content-Type: text/plain"), "blank line"),
    "headers that never end": (lambda: entity(ROOT, part(b"X: " + b"a" * 9000)), "blank line"),
    "no headers": (lambda: entity(ROOT, b"\r\npayload"), "no Content-Type"),
    "no Content-Type": (lambda: entity(ROOT, part(b"Content-ID: <one>")), "no Content-Type"),
    "two Content-Types": (
        lambda: entity(ROOT, part(b"Content-Type: text/plain", b"content-type: text/xml", b"Content-ID: <one>")),
        "two content-type",
    ),
    "two Content-IDs": (
        lambda: entity(ROOT, part(b"Content-Type: text/plain", b"Content-ID: <one>", b"Content-Id: <two>")),
        "two content-id",
    ),
    "two transfer encodings": (
        lambda: entity(
            ROOT,
            part(
                b"Content-Type: text/plain",
                b"Content-ID: <one>",
                b"Content-Transfer-Encoding: base64",
                b"Content-Transfer-Encoding: 8bit",
            ),
        ),
        "two content-transfer-encoding",
    ),
    "any header twice": (lambda: entity(ROOT, part(b"Content-Type: text/plain", b"X: 1", b"x: 2")), "header twice"),
    "a blank before the colon": (lambda: entity(ROOT, part(b"Content-Type : text/plain")), "malformed header"),
    "a line without a colon": (lambda: entity(ROOT, part(b"Content-Type: text/plain", b"hello")), "malformed header"),
    "a folded first line": (lambda: entity(ROOT, part(b" Content-Type: text/plain")), "malformed header"),
    "a bare carriage return": (lambda: entity(ROOT, part(b"Content-Type: text/plain\rX: 1")), "malformed header"),
    "a bare line feed": (lambda: entity(ROOT, part(b"Content-Type: text/plain\nX: 1")), "malformed header"),
    "a NUL": (lambda: entity(ROOT, part(b"Content-Type: text/plain\0")), "malformed header"),
    "a payload without a Content-ID": (lambda: entity(ROOT, part(b"Content-Type: text/plain")), "no Content-ID"),
    "an empty Content-ID": (
        lambda: entity(ROOT, part(b"Content-Type: text/plain", b"Content-ID: <>")),
        "no Content-ID",
    ),
    "a Content-ID twice": (lambda: entity(ROOT, PAYLOAD, PAYLOAD), "same Content-ID"),
    "the root's Content-ID again": (
        lambda: entity(ROOT, part(b"Content-Type: text/plain", b"Content-ID: root@fjordvik.example")),
        "same Content-ID",
    ),
    "a Content-ID with a comment": (
        lambda: entity(ROOT, part(b"Content-Type: text/plain", b"Content-ID: (x) <one>")),
        "Content-ID is not",
    ),
    "two Content-IDs in one": (
        lambda: entity(ROOT, part(b"Content-Type: text/plain", b"Content-ID: <one> <two>")),
        "Content-ID is not",
    ),
    "a nested multipart": (
        lambda: entity(ROOT, part(b"Content-Type: multipart/mixed; boundary=x", b"Content-ID: <one>")),
        "itself a multipart",
    ),
    "a nested mail": (
        lambda: entity(ROOT, part(b"Content-Type: Message/RFC822", b"Content-ID: <one>")),
        "itself a multipart",
    ),
    "a Content-Type with a comment": (
        lambda: entity(ROOT, part(b"Content-Type: text/plain (x)", b"Content-ID: <one>")),
        "Content-Type is not",
    ),
    "a Content-Type with an open quote": (
        lambda: entity(ROOT, part(b'Content-Type: text/plain; name="x', b"Content-ID: <one>")),
        "Content-Type is not",
    ),
    "a Content-Type outside ASCII": (
        lambda: entity(ROOT, part(b"Content-Type: text/plain; name=\xe5", b"Content-ID: <one>")),
        "Content-Type is not",
    ),
    "an unknown transfer encoding": (
        lambda: entity(
            ROOT, part(b"Content-Type: text/plain", b"Content-ID: <one>", b"Content-Transfer-Encoding: x-uu")
        ),
        "unknown Content-Transfer-Encoding",
    ),
    "base64 with other letters": (lambda: entity(ROOT, encoded(b"base64", b"cGF5*bG9hZA==")), "not the base64"),
    "base64 without its end": (lambda: entity(ROOT, encoded(b"base64", b"cGF5bG9hZA")), "not the base64"),
    "base64 with something behind its end": (lambda: entity(ROOT, encoded(b"base64", b"cA==cA==")), "not the base64"),
    "quoted-printable with an open end": (
        lambda: entity(ROOT, encoded(b"quoted-printable", b"p=C3=A5=4")),
        "not the quoted-printable",
    ),
    "quoted-printable with other letters": (
        lambda: entity(ROOT, encoded(b"quoted-printable", b"p=ZZ")),
        "not the quoted-printable",
    ),
    "a root that is not XML": (lambda: entity(PAYLOAD.replace(b"<one>", b"<root@fjordvik.example>")), "root is not"),
    "start names no part": (lambda: entity(PAYLOAD), "start names no part"),
    "more than a hundred parts": (
        lambda: entity(ROOT, *(PAYLOAD.replace(b"<one>", b"<%d>" % n) for n in range(100))),
        "more than 100 parts",
    ),
}


def encoded(encoding: bytes, body: bytes) -> bytes:
    return part(b"Content-Type: text/plain", b"Content-ID: <one>", b"Content-Transfer-Encoding: " + encoding, body=body)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, reason = REFUSED[name]
    assert re.search(reason, refused(make())), name


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        ("", "not well-formed"),
        ("text/plain", "neither"),
        ("application/soap+xml", "neither"),
        ("multipart/form-data; boundary=x", "neither"),
        ("multipart/related", "boundary is missing"),
        ("multipart/related; boundary=", "not well-formed"),
        ('multipart/related; boundary=""', "boundary is missing"),
        ('multipart/related; boundary="x "', "boundary is missing"),
        (f'multipart/related; boundary="{"x" * 71}"', "boundary is missing"),
        ('multipart/related; boundary="x\r\ny"', "not well-formed"),
        (f"{TYPE}; boundary=other", "parameter twice"),
        (f"{TYPE}; START=other", "parameter twice"),
        (f'multipart/related; boundary="{BOUNDARY}"; type="text/html"', "not text/xml"),
        (f"multipart/related; boundary*={BOUNDARY}", "boundary is missing|not well-formed"),
        (f"multipart/related; boundary*0={BOUNDARY}", "boundary is missing|not well-formed"),
        (f'multipart/related; boundary="{BOUNDARY}" x', "not well-formed"),
        (f'multipart/related, text/xml; boundary="{BOUNDARY}"', "not well-formed"),
        ('multipart/related; boundary="å"', "not well-formed"),
    ],
)
def test_refused_content_types(content_type: str, reason: str) -> None:
    assert re.search(reason, refused(entity(ROOT, PAYLOAD), content_type))


def test_limits_hold_on_the_byte() -> None:
    body = entity(ROOT, PAYLOAD)
    assert read(TYPE, body, limits=Limits(body=len(body))).parts
    assert "larger than" in refused(body, limits=Limits(body=len(body) - 1))
    longest = part(b"Content-Type: text/plain", b"Content-ID: <one>", b"X: " + b"a" * (8192 - 48))
    assert longest.index(b"\r\n\r\n") == 8192
    assert read(TYPE, entity(ROOT, longest)).parts
    assert "8192 bytes" in refused(entity(ROOT, longest.replace(b"X: ", b"X: a")))
    many = [PAYLOAD.replace(b"<one>", b"<%d>" % n) for n in range(99)]
    assert len(read(TYPE, entity(ROOT, *many)).parts) == 99


def test_a_fault_in_a_part_names_the_part() -> None:
    with pytest.raises(MimeProblem) as caught:
        read(TYPE, entity(ROOT, encoded(b"base64", b"*")))
    assert caught.value.location == "cid:one"


@settings(max_examples=500, deadline=None, print_blob=True)
@given(data=st.data())
def test_a_body_changed_anywhere_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    body = bytearray(entity(ROOT, PAYLOAD, encoded(b"base64", b"cGF5bG9hZA==").replace(b"<one>", b"<two>")))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(TRAPS))
    try:
        result = read(TYPE, bytes(body))
    except MimeProblem:
        return
    assert result.root.body in bytes(body)
    assert len(result.parts) < bytes(body).count(MARK)


# --- compression ----------------------------------------------------------------------------------------------------


def test_gzip_comes_out_as_it_went_in() -> None:
    content = ENVELOPE * 20
    assert looks_like_gzip(gzip.compress(content))
    assert not looks_like_gzip(content)
    assert gunzip(gzip.compress(content)) == content
    assert gunzip(gzip.compress(b"")) == b""


def test_the_limits_of_gunzip_hold_on_the_byte() -> None:
    content = bytes(range(256)) * 4
    packed = gzip.compress(content)
    assert gunzip(packed, max_bytes=1024) == content
    with pytest.raises(MimeProblem, match="unpacks to more"):
        gunzip(packed, max_bytes=1023)
    zeros = gzip.compress(bytes(100_000))
    ratio = -(-100_000 // len(zeros))
    assert gunzip(zeros, max_ratio=ratio) == bytes(100_000)
    with pytest.raises(MimeProblem, match="unpacks to more"):
        gunzip(zeros, max_ratio=ratio - 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f\x8b",
        b"\x1f\x8b" + b"x" * 50,
        ENVELOPE,
        gzip.compress(ENVELOPE, mtime=0)[:-1],
        gzip.compress(ENVELOPE, mtime=0)[:-5] + b"\0" + gzip.compress(ENVELOPE, mtime=0)[-4:],
        gzip.compress(ENVELOPE, mtime=0) + b"x",
        gzip.compress(ENVELOPE, mtime=0) + gzip.compress(ENVELOPE, mtime=0),
        zlib.compress(ENVELOPE),
    ],
)
def test_what_is_not_one_whole_gzip_member_is_refused(data: bytes) -> None:
    with pytest.raises(MimeProblem, match="gzip"):
        gunzip(data)


def test_a_bomb_is_never_unpacked() -> None:
    bomb = zlib.compressobj(9, wbits=31)
    packed = b"".join(bomb.compress(bytes(1_000_000)) for _ in range(200)) + bomb.flush()
    assert len(packed) < 1_000_000
    with pytest.raises(MimeProblem, match="unpacks to more"):
        gunzip(packed)
