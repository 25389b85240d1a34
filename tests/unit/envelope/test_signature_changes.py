"""Changed, swapped, lost and added: whatever differs from what the sender signed is refused, and for that reason."""

import re

import pytest

from broker.envelope import xml
from broker.envelope.names import cid
from broker.envelope.signature import sign_envelope, verify_envelope
from broker.envelope.xmldsig import OBJECT
from broker.errors import NotTrusted
from tests.oracles.xmldsig_engines import MAX_BYTES, OTHER, OURS, unsigned
from tests.unit.envelope.signed import FIRST, ORIGINAL, PARTS, SECOND, SHAPE, WEAK, Case, change, der, verify

REFERENCE = f'<ds:Reference URI="{cid(SECOND)}"'
WHOLE = '<ds:Reference URI="">'
VALUE = "<ds:SignatureValue>"

DIGEST = "the digest differs"
PARTS_DIFFER = "exactly the parts"
WHOLE_ONCE = "the whole exactly once"
VALUE_FAILS = "signature value does not hold"
FORM = "not of our profile"

CASES = (
    Case("receiver", "8000202", "8000999", DIGEST),
    Case("type of an id", 'eb:type="HER">8000202', 'eb:type="ENH">8000202', DIGEST),
    Case("attribute added", "<eb:CPAId>", '<eb:CPAId x="1">', DIGEST),
    Case("white space added", "<eb:DuplicateElimination/>", r"\g<0> ", DIGEST),
    Case("element removed", "<eb:DuplicateElimination/>", "", DIGEST),
    Case("namespace declared", "<eb:CPAId>", '<eb:CPAId xmlns:n="urn:n">', DIGEST),
    Case("href of the Manifest", f'href="{cid(FIRST)}"', 'href="cid:other@x"', DIGEST),
    Case("instruction before the envelope", "<SOAP:Envelope ", r"<?x y?>\g<0>", DIGEST),
    Case("digest", '(<ds:Reference URI="">.*?<ds:DigestValue>).{4}', r"\1AAAA", VALUE_FAILS),
    Case(
        "digest of nothing",
        f"({REFERENCE}.*?<ds:DigestValue>)[^<]*",
        r"\g<1>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        VALUE_FAILS,
    ),
    Case(
        "digests swapped",
        "(DigestValue>)([^<]{44})(.{80,160}DigestValue>)([^<]{44})(</ds:DigestValue></ds:Reference>\n?</ds:SignedInfo>)",
        r"\1\4\3\2\5",
        VALUE_FAILS,
    ),
    Case("reference removed", f"{REFERENCE}.*?</ds:Reference>", "", PARTS_DIFFER),
    Case("reference twice", f"{REFERENCE}.*?</ds:Reference>", r"\g<0>\g<0>", PARTS_DIFFER),
    Case("reference to the envelope removed", f"{WHOLE}.*?</ds:Reference>", "", WHOLE_ONCE),
    Case("reference to the envelope twice", f"{WHOLE}.*?</ds:Reference>", r"\g<0>\g<0>", WHOLE_ONCE),
    Case("reference to a file", REFERENCE, '<ds:Reference URI="file:///etc/passwd"', PARTS_DIFFER),
    Case("reference to the web", REFERENCE, '<ds:Reference URI="http://127.0.0.1/x"', PARTS_DIFFER),
    Case(
        "reference to a part of the same name, spelt otherwise",
        REFERENCE,
        REFERENCE.replace(SECOND, FIRST.replace("p", "%70", 1)),
        PARTS_DIFFER,
    ),
    Case("reference by Id", WHOLE, '<ds:Reference URI="#x">', WHOLE_ONCE),
    Case("reference without URI", WHOLE, "<ds:Reference>", "without URI"),
    Case("reference with a type", WHOLE, '<ds:Reference URI="" Type="urn:x">', "Type that is not of our profile"),
    Case("part with a type", REFERENCE, f'{REFERENCE} Type="{OBJECT}"', "Type that is not of our profile"),
    Case("value", f"{VALUE}.{{4}}", f"{VALUE}AAAA", VALUE_FAILS),
    Case("value empty", f"{VALUE}[^<]*", VALUE, VALUE_FAILS),
    Case("value not base64", f"{VALUE}.{{4}}", f"{VALUE}*AAA", "not base64"),
    Case("value with an element", VALUE, rf"{VALUE}<x/>", FORM),
    Case(
        "certificate of another", "<ds:X509Certificate>[^<]*", f"<ds:X509Certificate>{der(OTHER)}", "not the sender's"
    ),
    Case("certificate that is none", "<ds:X509Certificate>[^<]*", "<ds:X509Certificate>AAAA", "not the sender's"),
    Case("SignedInfo twice", "<ds:SignedInfo>.*</ds:SignedInfo>", r"\g<0>\g<0>", FORM),
    Case("SignedInfo without references", "<ds:Reference .*</ds:Reference>", "", FORM),
    Case("SignedInfo empty", "<ds:SignedInfo>.*</ds:SignedInfo>", "<ds:SignedInfo/>", FORM),
    Case("SignedInfo in another order", "(<ds:CanonicalizationMethod[^>]*>)(<ds:SignatureMethod[^>]*>)", r"\2\1", FORM),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_change_is_refused(case: Case) -> None:
    with pytest.raises(NotTrusted, match=case.why) as refusal:
        verify(change(case.where, case.by))
    assert not re.search("8000|payload-|fjordvik|etc/passwd", f"{refusal.value.why} {refusal.value.hint}")


def test_prefixes_are_part_of_what_is_signed() -> None:
    with pytest.raises(NotTrusted, match=VALUE_FAILS):  # ds:SignedInfo is canonical with the prefixes in scope
        verify(ORIGINAL.replace(b"eb:", b"ebm:").replace(b"xmlns:eb=", b"xmlns:ebm="))


def test_the_value_of_another_key_beside_our_certificate_is_refused() -> None:
    theirs = sign_envelope(unsigned(SHAPE), PARTS, OTHER).decode()
    value = re.search(f"{VALUE}[^<]*", theirs)
    assert value is not None
    with pytest.raises(NotTrusted, match=VALUE_FAILS):
        verify(change(f"{VALUE}[^<]*", value[0]))


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({}, PARTS_DIFFER),
        ({FIRST: PARTS[FIRST]}, PARTS_DIFFER),
        ({**PARTS, "third@x": b"x"}, PARTS_DIFFER),
        ({FIRST: PARTS[FIRST], "other@x": PARTS[SECOND]}, PARTS_DIFFER),
        ({FIRST: PARTS[SECOND], SECOND: PARTS[FIRST]}, "a part was changed"),
        ({**PARTS, FIRST: PARTS[FIRST] + b"\r\n"}, "a part was changed"),
        ({**PARTS, SECOND: b""}, "a part was changed"),
    ],
)
def test_other_parts_than_those_signed_are_refused(parts: dict[str, bytes], why: str) -> None:
    with pytest.raises(NotTrusted, match=why):
        verify(ORIGINAL, parts)


@pytest.mark.parametrize(
    "key_info",
    [
        "",
        "<ds:KeyInfo/>",
        "<ds:KeyInfo><ds:KeyName>anyone</ds:KeyName></ds:KeyInfo>",
        '<ds:KeyInfo><ds:RetrievalMethod URI="file:///etc/passwd"/></ds:KeyInfo>',
        f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{der(OURS)}</ds:X509Certificate><ds:X509Certificate>{der(OTHER)}"
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
    ],
)
def test_key_info_only_selects_among_the_trusted(key_info: str) -> None:
    document = xml.parse(change("<ds:KeyInfo>.*</ds:KeyInfo>", key_info), max_bytes=MAX_BYTES)
    trusted = [WEAK.certificate, OTHER.certificate, OURS.certificate]
    assert verify_envelope(document, PARTS, trusted=trusted).certificate == OURS.certificate
    for others in ([OTHER.certificate], []):
        with pytest.raises(NotTrusted):
            verify_envelope(document, PARTS, trusted=others)


def test_base64_with_line_ends_of_any_kind_is_read() -> None:
    def broken(match: re.Match[str]) -> str:
        return "\n&#13;\n ".join(re.findall(".{1,60}", match[0]))

    data = re.sub(r"(?<=>)[A-Za-z0-9+/=]{100,}(?=<)", broken, ORIGINAL.decode())
    assert data.count("&#13;") > 5
    assert verify(data.encode()).certificate == OURS.certificate
