"""What the one parser takes, what it refuses, and that a refusal never quotes the document."""

import pytest

from broker.envelope import xml
from broker.errors import Inconsistent, MalformedXml, OtherXml

LIMIT = 1_000_000
SECRET = "05815912345"  # stands for what a document holds and an error must not repeat


def parse(data: bytes, charset: str | None = None) -> xml.Xml:
    return xml.parse(data, max_bytes=LIMIT, charset=charset)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("<a>æøå</a>".encode(), "æøå"),
        (b"\xef\xbb\xbf<a>b</a>", "b"),
        ('<?xml version="1.0" encoding="UTF-8"?><a>æøå</a>'.encode(), "æøå"),
        ("<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n<a>æøå</a>".encode(), "æøå"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>æøå</a>'.encode("latin-1"), "æøå"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><a>æøå</a>'.encode("latin-1"), "æøå"),
        (b'<?xml version="1.0" encoding="US-ASCII"?><a>b</a>', "b"),
        (b"<!-- one --><?xml-stylesheet href='x'?><!-- two --><a>b</a><!-- after -->", "b"),
        (b"<a>8140<!-- hidden? -->121</a>", "8140121"),
        (b"<a><![CDATA[<!DOCTYPE html><?php x ?>]]></a>", "<!DOCTYPE html><?php x ?>"),
        (b"<a>&lt;&amp;&#x41;</a>", "<&A"),
    ],
)
def test_plain_xml_is_read_in_the_encodings_of_the_sector(data: bytes, value: str) -> None:
    assert xml.text(parse(data).root) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"   ",
        b"no xml",
        b"<a>" + SECRET.encode(),
        b"<a>" + SECRET.encode() + b"</b>",
        b"<a>&" + SECRET.encode() + b";</a>",
        b"<a>&x" + SECRET.encode() + b";</a>",
        b'<a b="1" b="2"/>',
        b"<p:a/>",
        b"<a/><a/>",
        b"<a/>text",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<?xml version="1.0"?>\n<!-- c -->\n<?pi?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><a/>',
        b'<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b"<a><?pi inside?></a>",
        b"<a/><?pi after?>",
        b"<a/><!-- x --><?pi after?>",
        b'<?xml version="1.1"?><a/>',
        b'<?xml encoding="UTF-8"?><a/>',
        b'<?xml version="1.0" encoding="UTF-16"?><a/>',
        b'<?xml version="1.0" encoding="UTF-7"?><a>+AGE-</a>',
        b'<?xml version="1.0" encoding="windows-1252"?><a/>',
        b'<?xml version="1.0" encoding="IBM037"?><a/>',
        b'\xef\xbb\xbf<?xml version="1.0" encoding="ISO-8859-1"?><a/>',
        '<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"),
        "<a/>".encode("utf-16-le"),
        "<a/>".encode("utf-32"),
        "<a/>".encode("cp037"),
        b"<a>\x00</a>",
        b"<a>\xc0\x80</a>",
        b"<a>\xed\xa0\x80</a>",
        '<?xml version="1.0" encoding="UTF-8"?><a>æ</a>'.encode("latin-1"),
        '<?xml version="1.0" encoding="US-ASCII"?><a>æ</a>'.encode(),
        b"<a>" * 257 + b"</a>" * 257,
        b"<a>" + b"x" * LIMIT + b"</a>",
        b"<!-- never ended <a/>",
        b"<?pi never ended <a/>",
    ],
)
def test_anything_else_is_refused_and_never_quoted(data: bytes) -> None:
    with pytest.raises(MalformedXml) as refusal:
        parse(data)
    assert SECRET not in f"{refusal.value}{refusal.value.hint}{refusal.value.__cause__}{refusal.value.location}"
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize(
    "wrong",
    [
        "<p:b/>",
        '<b p:c=""/>',
        '<b xmlns:p="urn:x" xmlns:q="urn:x" p:c="1" q:c="2"/>',
        '<b xmlns="urn:}x"/>',
        '<b xmlns:p="urn:a b"/>',
        '<b xmlns:p=""/>',
        '<p:b:c xmlns:p="urn:x"/>',
    ],
)
def test_a_warning_that_follows_hides_no_fault_of_a_namespace(wrong: str) -> None:
    warned = '<d xml:space="neither"/>'
    parse(f"<a>{warned}</a>".encode())
    for data in (f"<a>{wrong}</a>", f"<a>{wrong}{warned}</a>", f"<a>{warned}{wrong}{warned}</a>"):
        with pytest.raises(MalformedXml) as refusal:
            parse(b"\n" + data.encode())
        assert refusal.value.line == 2


def test_the_mime_charset_and_the_document_must_agree() -> None:
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><a>å</a>'.encode("latin-1")
    assert xml.text(parse(latin, "iso-8859-1").root) == "å"
    assert xml.text(parse("<a>å</a>".encode("latin-1"), "ISO-8859-1").root) == "å"
    for data, charset in ((latin, "utf-8"), (b"<a/>", "utf-16"), (b"\xef\xbb\xbf<a/>", "iso-8859-1")):
        with pytest.raises(MalformedXml):
            parse(data, charset)


def test_a_refusal_names_the_line() -> None:
    for data in (b"<a>\n\n<b></a>", b"\n\n<!DOCTYPE a><a/>", b"<a>\n\n<?pi?></a>"):
        with pytest.raises(MalformedXml) as refusal:
            parse(data)
        assert refusal.value.line == 3


def test_depth_is_256_for_small_documents_and_2048_for_large() -> None:
    def nested(depth: int, padding: int) -> bytes:
        return b"<a>" * depth + b"x" * padding + b"</a>" * depth

    def depth_is_taken(depth: int, padding: int) -> bool:
        try:
            xml.parse(nested(depth, padding), max_bytes=35_000_000)
        except MalformedXml:
            return False
        return True

    large = 18_000_000  # the 18 MB message: over libxml2's ordinary limit for one text
    taken = [depth_is_taken(*case) for case in ((256, 0), (257, 0), (2_000, large), (2_049, large))]
    assert taken == [True, False, True, False]


def test_c14n_of_a_subtree_is_that_of_the_same_subtree_standing_alone() -> None:
    root = parse(b'<?p q?><a xmlns="urn:a" xmlns:z="urn:z" xml:lang="nb"><b c="1"><d/></b> tail</a>').root
    assert xml.c14n(root).startswith(b'<?p q?>\n<a xmlns="urn:a" xmlns:z="urn:z" xml:lang="nb">')
    assert xml.c14n(root[0]) == b'<b xmlns="urn:a" xmlns:z="urn:z" c="1" xml:lang="nb"><d></d></b>'
    assert xml.c14n(root[0], exclusive=True) == b'<b xmlns="urn:a" c="1"><d></d></b>'


def test_no_canonical_form_is_a_refusal() -> None:
    with pytest.raises(MalformedXml):
        xml.c14n(parse(b'<a xmlns="relative"><b/></a>').root)


def test_blanks_are_those_of_xml() -> None:
    assert xml.text(parse("<a> \t8140121\u00a0\r\n</a>".encode()).root) == "8140121\u00a0"
    assert xml.decode_base64(" QU\r\n\tI= ") == b"AB"
    for value in ("QUI", "QUI=\u00a0", "QU*I=", "QUI==="):
        with pytest.raises(ValueError):
            xml.decode_base64(value)


def test_helpers_see_direct_children_only_and_each_once() -> None:
    root = parse(b"<Envelope><Header><x><y/></x><z/><z/><t>1<u/></t></Header></Envelope>").root
    header = xml.required_child(root, "Header")
    assert xml.only_child(header, "y") is None
    assert xml.location(xml.required_child(header, "x")[0]) == "//Header/x/y"
    with pytest.raises(Inconsistent) as twice:
        xml.only_child(header, "z")
    assert twice.value.location == "//Header/z"
    with pytest.raises(OtherXml) as missing:
        xml.required_child(header, "y")
    assert missing.value.location == "//Header/y"
    with pytest.raises(OtherXml):
        xml.text(xml.required_child(header, "t"))
