"""AppRec: what we build is valid and reads back; what others write is read as they meant it."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from broker.envelope.xml import parse as parse_xml
from broker.errors import Inconsistent, OtherXml
from broker.message import Code, DocumentHead, PartyRef, Verdict
from broker.receipts.apprec import ERROR_CODES, AppRec, ApprecError, GivenError, build, codes, parse

NOW = datetime(2026, 11, 22, 9, 30, 47, tzinfo=UTC)
TEXTS = {"E21": "Mottaker finnes ikke", "E31": "Pasientens fødselsnummer er feil", "X99": "Annen feil"}
NAMES = {8000101: "Fjordvik kommune", 8000102: "Fjordvik hjemmetjeneste & omsorg", 8000201: "Dalbygda kommune"}
SERVICE = PartyRef(her=8000102, organisation_her=8000101)
PERSON = PartyRef(her=8000203, organisation_her=8000201, person=True)
ALONE = PartyRef(her=8000301, organisation_her=None, person=True)
ONE_LEVEL = PartyRef(her=8000201, organisation_her=8000201)
E31 = GivenError(code="E31", details="Nummeret <01> & «æøå»\tpå\nto linjer")


def read(data: bytes) -> AppRec:
    return parse(parse_xml(data, max_bytes=1_000_000))


def answered(sender: PartyRef = SERVICE) -> DocumentHead:
    return DocumentHead(
        msg_id="5d79bd68-a58c-4599-a4e7-9db28ea20099",
        type="DIALOG_HELSEFAGLIG",
        gen_date="2026-11-22T08:00:00.1234567+01:00",
        sender=sender,
        receiver=PERSON,
    )


def built(
    version: str = "1.1",
    verdict: Verdict = Verdict.OK,
    errors: tuple[GivenError, ...] = (),
    *,
    sender: PartyRef = PERSON,
    to: PartyRef = SERVICE,
) -> bytes:
    return build(
        answered(to),
        version=version,
        id="8d018d60-336b-41de-8bd7-0002a5d5c51b",
        now=NOW,
        sender=sender,
        verdict=verdict,
        errors=errors,
        texts=TEXTS,
        names=NAMES,
        software="broker",
        software_version="0.1.0",
    )


VERDICTS = [
    (Verdict.OK, ()),
    (Verdict.REJECTED, (E31,)),
    (Verdict.REJECTED, (E31, GivenError(code="X99"))),
    (Verdict.PARTIAL, (GivenError(code="X99", details="vedlegg 2"),)),
    (Verdict.PARTIAL, ()),
]


# --- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(("verdict", "errors"), VERDICTS)
def test_what_is_built_reads_back(version: str, verdict: Verdict, errors: tuple[GivenError, ...]) -> None:
    assert read(built(version, verdict, errors)) == AppRec(
        version=version,
        id="8d018d60-336b-41de-8bd7-0002a5d5c51b",
        gen_date="2026-11-22T09:30:47+00:00",
        sender=PERSON,
        receiver=SERVICE,
        status=verdict,
        errors=tuple(ApprecError(code=e.code, oid=ERROR_CODES, text=TEXTS[e.code], detail=e.details) for e in errors),
        original_id="5d79bd68-a58c-4599-a4e7-9db28ea20099",
        original_type="DIALOG_HELSEFAGLIG",
        original_issue_date="2026-11-22T08:00:00.1234567+01:00",
    )


@pytest.mark.parametrize("party", [SERVICE, PERSON, ALONE, ONE_LEVEL])
def test_both_levels_of_both_parties_read_back(party: PartyRef) -> None:
    assert read(built(sender=party)).sender == party
    assert read(built(to=party)).receiver == party


def test_a_party_that_is_only_its_her_id_becomes_an_institution() -> None:
    assert read(built(sender=PartyRef(her=8000201, organisation_her=None))).sender == ONE_LEVEL


@settings(max_examples=200, deadline=None)
@given(
    details=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))
)
def test_free_text_survives_as_it_is(details: str) -> None:
    document = built(verdict=Verdict.REJECTED, errors=(GivenError(code="X99", details=details),))
    assert read(document).errors[0].detail == details


def test_it_is_utf_8_in_the_namespace_of_its_version() -> None:
    for version, namespace, mig in (
        ("1.0", b"http://www.kith.no/xmlstds/apprec/2004-11-21", b"<MIGversion>1.0 2004-11-21</MIGversion>"),
        ("1.1", b"http://www.kith.no/xmlstds/apprec/2012-02-15", b"<MIGversion>v1.1 2012-02-15</MIGversion>"),
    ):
        data = built(version, Verdict.REJECTED, (E31,))
        assert data.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<AppRec xmlns="' + namespace + b'"')
        assert mig in data
        assert "Pasientens fødselsnummer er feil".encode() in data


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert built() == built()


@pytest.mark.parametrize(
    ("verdict", "errors"),
    [
        (Verdict.REJECTED, ()),
        (Verdict.OK, (E31,)),
        (Verdict.REJECTED, (GivenError(code="E99"),)),
        (Verdict.REJECTED, (GivenError(code="X99", details="\0"),)),
    ],
)
def test_what_no_apprec_can_say_is_not_built(verdict: Verdict, errors: tuple[GivenError, ...]) -> None:
    with pytest.raises(ValueError) as caught:  # the reason differs; that no details stand in it is what counts
        built(verdict=verdict, errors=errors)
    assert all(error.code not in str(caught.value) for error in errors)


# --- official schemas and samples -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> Path:
    folder = os.environ.get("DIGIHELSE_REFERENCE")
    if folder is None:
        pytest.skip("DIGIHELSE_REFERENCE does not point to the official schemas and samples")
    return Path(folder)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(("verdict", "errors"), VERDICTS)
@pytest.mark.parametrize("party", [SERVICE, PERSON, ALONE, ONE_LEVEL])
def test_it_is_valid_by_the_official_schema(
    reference: Path, version: str, verdict: Verdict, errors: tuple[GivenError, ...], party: PartyRef
) -> None:
    schema = etree.XMLSchema(file=str(reference / "schemas" / "kith" / f"apprec-v{version}.xsd"))
    document = parse_xml(built(version, verdict, errors, sender=party, to=party), max_bytes=100_000).root
    schema.assertValid(document)
    document.remove(document[-1])
    assert not schema.validate(document), "the schema refuses nothing"


SAMPLES = {
    "ks-1.0-example-avvist.xml": (Verdict.REJECTED, ["E21"], (258521, 56704, True), (91126, 123459, False)),
    "ks-1.0-example-ok-feil-i-delmelding.xml": (Verdict.PARTIAL, ["07", "16"], None, None),  # no HER-id in it
    "ks-1.0-example-ok.xml": (Verdict.OK, [], (258521, 56704, True), (91126, 123459, False)),
    "ks-1.1-all-data.xml": (Verdict.OK, [], (8143060, 8142987, False), (555111, 998877, False)),
    "ks-1.1-example-avvist.xml": (Verdict.REJECTED, ["E21"], (258521, 56704, True), (89583, 69, False)),
    "ks-1.1-example-ok.xml": (Verdict.OK, [], (369767, 56704, True), (89583, 69, False)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_public_samples_are_read(reference: Path, name: str) -> None:
    result = read((reference / "examples" / "apprec" / name).read_bytes())
    verdict, error_codes, *parties = SAMPLES[name]
    assert (result.status, [error.code for error in result.errors]) == (verdict, error_codes)
    for party, expected in zip((result.sender, result.receiver), parties, strict=True):
        assert (party and (party.her, party.organisation_her, party.person)) == expected
    assert result.version in name


def test_every_public_sample_is_put_to_the_test(reference: Path) -> None:
    assert {path.name for path in (reference / "examples" / "apprec").glob("*.xml")} == SAMPLES.keys()


# --- what others write ----------------------------------------------------------------------------------------------


def changed(*pairs: tuple[str, str], verdict: Verdict = Verdict.REJECTED) -> bytes:
    """Return an AppRec with these pieces of text exchanged; each must be there."""
    data = built(verdict=verdict, errors=(E31,) if verdict is Verdict.REJECTED else ()).decode()
    for old, new in pairs:
        assert old in data
        data = data.replace(old, new)
    return data.encode()


@pytest.mark.parametrize(
    ("v", "s", "expected"),
    [
        ("E31", ERROR_CODES, ("E31", ERROR_CODES)),
        (ERROR_CODES, "X99", ("X99", ERROR_CODES)),
        (ERROR_CODES, "", ("", ERROR_CODES)),
        ("  E31 ", f" {ERROR_CODES}", ("E31", ERROR_CODES)),
        ("E31", "", ("E31", "")),
        ("07", "2.16.578.1.12.4.1.1.8223", ("07", "2.16.578.1.12.4.1.1.8223")),
        ("noe  helt   annet", "8221", ("noe helt annet", "8221")),
        ("", "", ("", "")),
    ],
)
def test_errors_as_senders_write_them(v: str, s: str, expected: tuple[str, str]) -> None:
    error = read(changed((f'V="E31" S="{ERROR_CODES}"', f'V="{v}" S="{s}"'))).errors[0]
    assert (error.code, error.oid) == expected


def test_an_error_without_any_attribute_is_still_an_error() -> None:
    data = changed((f'V="E31" S="{ERROR_CODES}" DN="{TEXTS["E31"]}"', "")).decode()
    error = read(data.replace(data[data.index(' OT="') : data.index('"/><OriginalMsgId>') + 1], "").encode()).errors[0]
    assert error == ApprecError(code="", oid="")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('TypeId V="HER"', 'TypeId V=" HER"'),
        ("<Id>8000203</Id>", "<Id>\n  8000203\n</Id>"),
        ("<HCPerson>", "<!-- hvem --><HCPerson>"),
    ],
)
def test_blanks_and_comments_do_not_matter(old: str, new: str) -> None:
    assert read(changed((old, new))).sender == PERSON


@pytest.mark.parametrize("her", ["0", "-1", "2147483648", "8000203x", "", "１２３", "12345678901234567890"])
def test_what_is_no_her_id_names_no_party_at_that_level(her: str) -> None:
    assert read(changed(("<Id>8000203</Id>", f"<Id>{her}</Id>"))).sender == ONE_LEVEL


def test_a_her_id_among_the_additional_ids_counts() -> None:
    other = '<Id>9144900</Id><TypeId V="HPR"/><AdditionalId><Id>8000203</Id><Type V="HER"/></AdditionalId>'
    assert read(changed(('<Id>8000203</Id><TypeId V="HER" DN="HER-id"/>', other))).sender == PERSON


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ('Status V="2"', 'Status V="4"', OtherXml),
        ('Status V="2"', "Status", OtherXml),
        ("<OriginalMsgId>", "<OriginalId>", OtherXml),
        ("<Id>5d79bd68-a58c-4599-a4e7-9db28ea20099</Id>", "<Id> </Id>", OtherXml),
        ("<Id>5d79bd68-a58c-4599-a4e7-9db28ea20099</Id>", "", OtherXml),
        ("<Id>8d018d60-336b-41de-8bd7-0002a5d5c51b</Id>", "", OtherXml),
        ('<Status V="2" DN="Avvist"/>', '<Status V="2"/><Status V="1"/>', Inconsistent),
        ("<IssueDate>", "<Id>another</Id><IssueDate>", Inconsistent),
        ("apprec/2012-02-15", "apprec/2020-01-01", OtherXml),
    ],
)
def test_what_it_cannot_do_without(old: str, new: str, kind: type[Exception]) -> None:
    data = changed((old, new))
    if new == "<OriginalId>":
        data = data.replace(b"</OriginalMsgId>", b"</OriginalId>")
    with pytest.raises(kind) as caught:
        read(data)
    assert "5d79bd68" not in str(caught.value)
    assert "another" not in str(caught.value)


def test_another_root_is_no_apprec() -> None:
    with pytest.raises(OtherXml):
        read(b'<MsgHead xmlns="http://www.kith.no/xmlstds/apprec/2012-02-15"/>')
    with pytest.raises(OtherXml):
        read(b"<AppRec/>")


def test_a_status_inside_another_element_is_not_the_status() -> None:
    hidden = '<MsgType V="APPREC"/><Extra xmlns="urn:x"><Status V="1"/></Extra>'
    assert read(changed(('<MsgType V="APPREC" DN="Applikasjonskvittering"/>', hidden))).status is Verdict.REJECTED


# --- what may be shown ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (("E31", ERROR_CODES), Code(code="E31", oid=ERROR_CODES, text=TEXTS["E31"])),
        (("E31", ""), Code(code="E31", oid="", text=TEXTS["E31"])),
        (("E31", "2.16.578.1.12.4.1.1.8223"), Code(code="E31", oid="2.16.578.1.12.4.1.1.8223", text="")),
        (("07", "2.16.578.1.12.4.1.1.8223"), Code(code="07", oid="2.16.578.1.12.4.1.1.8223", text="")),
        (("Z1", ERROR_CODES), Code(code="Z1", oid=ERROR_CODES, text="")),
        (("15820250068", ERROR_CODES), Code(code="", oid=ERROR_CODES, text="")),
        (("Nordmann", ERROR_CODES), Code(code="", oid=ERROR_CODES, text="")),
        (("Kari har feber", "Ola"), Code(code="", oid="", text="")),
        (("E31", "15820250068"), Code(code="E31", oid="", text="")),
        (("E31", "1.2.3.15820250068"), Code(code="E31", oid="", text="")),
    ],
)
def test_codes_that_leave_the_body_hold_nothing_that_a_sender_made_up(error: tuple[str, str], expected: Code) -> None:
    code, oid = error
    document = changed((f'V="E31" S="{ERROR_CODES}"', f'V="{code}" S="{oid}"'))
    assert codes(read(document), TEXTS) == (expected,)


def test_free_text_does_not_show_in_a_repr() -> None:
    result = read(built(verdict=Verdict.REJECTED, errors=(E31,)))
    assert result.errors[0].detail == E31.details
    assert "Nummeret" not in repr(result)
    assert "Nummeret" not in repr(E31)
