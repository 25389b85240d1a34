"""Envelopes of ebMS 2.0: what we write stands in the schema, what peers write is read, and the rest gets its code."""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree

from broker.envelope import xml
from broker.envelope.ebms import (
    MSH_SERVICE,
    Description,
    Kind,
    PartyId,
    Severity,
    her_id,
    her_party,
)
from broker.envelope.ebms_build import build, stamp
from broker.envelope.ebms_parse import match_parts
from broker.envelope.fault import Fault, FaultCode, build_fault, parse_fault
from broker.envelope.names import cid, content_id
from broker.envelope.signature import sign_envelope
from broker.errors import (
    MimeProblem,
)
from tests.oracles.xmldsig_engines import OURS
from tests.unit.envelope.envelopes import ACKNOWLEDGMENT, ACTOR, ALL, AT, MESSAGE, PART, USER, changed, read


def test_there_is_an_example_of_every_kind() -> None:
    assert ALL.keys() == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_what_we_write_is_read_as_the_same(kind: Kind) -> None:
    envelope = ALL[kind]
    again = read(build(envelope))
    assert again.kind == kind
    if envelope.acknowledgment is not None:  # of references the values come back, and that is what counts
        values = tuple(replace(one, transforms=(), xpath=None) for one in envelope.acknowledgment.references)
        envelope = replace(envelope, acknowledgment=replace(envelope.acknowledgment, references=values))
    assert again == envelope


@pytest.mark.parametrize("kind", Kind)
def test_what_we_write_is_valid_by_the_schema_of_the_standard(kind: Kind) -> None:
    reference = os.environ.get("DIGIHELSE_REFERENCE")
    if not reference:
        pytest.skip("the official schemas are not at hand: DIGIHELSE_REFERENCE is unset")
    folder = Path(reference) / "schemas" / "ebxml"
    wrapper = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        f'<xs:import namespace="http://schemas.xmlsoap.org/soap/envelope/" schemaLocation="{folder}/envelope.xsd"/>'
        '<xs:import namespace="http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd" '
        f'schemaLocation="{folder}/msg-header-2_0.xsd"/></xs:schema>'
    )
    schema = etree.XMLSchema(etree.fromstring(wrapper))  # noqa: TID251 - a schema, not a message
    for data in (build(ALL[kind]), sign_envelope(build(ALL[kind]), {"p-1@x": b"1"}, OURS)):
        root = xml.parse(data, max_bytes=1_000_000).root
        assert schema.validate(root), schema.error_log
        # SOAP takes any header: each entry, and each child of the body, is checked by itself.
        for element in [*root[0], *root[1]]:
            assert schema.validate(etree.ElementTree(element)), f"{element.tag}: {schema.error_log}"
        root[0].find("{*}MessageHeader/{*}CPAId").tag = "Wrong"  # type: ignore[union-attr] # it is there
        assert not schema.validate(etree.ElementTree(root[0][0])), "the schema sees nothing"


def test_signals_have_a_service_without_type_and_no_roles() -> None:
    text = build(ALL[Kind.ACKNOWLEDGMENT]).decode()
    assert f"<eb:Service>{MSH_SERVICE}</eb:Service>" in text
    assert "eb:Role" not in text
    assert 'SOAP:actor="urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"' in text


def test_the_description_tells_the_software() -> None:
    assert MESSAGE.descriptions[0].text == '{"MSH-system": "DigiHelse", "MSH-versjon": "0.1.0", "fagsystem": "EPJ"}'
    assert MESSAGE.descriptions[0].lang == "NO"


# --- what peers write -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-22T01:00:00Z", AT),
        ("2026-11-22T02:00:00+01:00", AT),
        ("2026-11-21T20:30:00-04:30", AT),
        ("2026-11-22T01:00:00", AT),
        (" 2026-11-22T01:00:00.0Z ", AT),
        ("2026-11-22T01:00:00.1234567Z", AT.replace(microsecond=123456)),
        ("2026-11-22T01:00:00.123456789Z", AT.replace(microsecond=123456)),
        ("2026-11-22T01:00:00.5", AT.replace(microsecond=500000)),
    ],
)
def test_every_spelling_of_a_time_is_read(written: str, meant: datetime) -> None:
    spelt = changed("<eb:Timestamp>2026-11-22T01:00:00Z", f"<eb:Timestamp>{written}")
    assert read(spelt).header.timestamp == meant


def test_we_write_times_in_utc_with_milliseconds_where_there_are_any() -> None:
    assert stamp(AT) == "2026-11-22T01:00:00Z"
    assert stamp(AT.replace(microsecond=345678)) == "2026-11-22T01:00:00.345Z"
    assert stamp(datetime.fromisoformat("2026-11-22T02:00:00+01:00")) == "2026-11-22T01:00:00Z"


@pytest.mark.parametrize(
    "data",
    [
        build(USER).replace(b'mustUnderstand="1"', b'mustUnderstand="true"'),
        build(USER).replace(b' SOAP:mustUnderstand="1"', b""),
        changed(ACTOR, ""),
        changed('eb:signed="true"', 'eb:signed="1"'),
        build(USER).replace(b"SOAP:", b"soapenv:").replace(b"xmlns:SOAP", b"xmlns:soapenv"),
        build(USER).replace(b"><", b">\r\n\t<"),
        build(USER).replace(b"<eb:Action>", b"<!-- x --><eb:Action>\n  ").replace(b"</eb:Action>", b" </eb:Action>"),
        changed("</SOAP:Header>", '<w:Security xmlns:w="urn:w"/></SOAP:Header>'),
        changed(
            "</SOAP:Header>", '<w:Other xmlns:w="urn:w" SOAP:mustUnderstand="1" SOAP:actor="urn:w"/></SOAP:Header>'
        ),
        changed("</eb:MessageHeader>", '<w:More xmlns:w="urn:w"/></eb:MessageHeader>'),
        changed("<eb:DuplicateElimination/>", "<eb:DuplicateElimination></eb:DuplicateElimination>"),
        changed("<eb:DuplicateElimination/>", "").replace(
            b"<eb:MessageData>", b"<eb:DuplicateElimination/><eb:MessageData>"
        ),
        changed('href="cid:p-1@fjordvik.example"', 'href="cid:p%2D1%40fjordvik.example"'),
    ],
    ids=range(13),
)
def test_what_differs_in_writing_only_is_read_as_the_same(data: bytes) -> None:
    assert read(data) == USER


def test_a_bare_id_a_lost_language_and_the_type_of_a_signal_are_taken() -> None:
    bare = changed("m-1@fjordvik.example", "5e8764cb-3a11-4378-ae96-e3310500cf5b")
    assert read(bare).header.message_id == "5e8764cb-3a11-4378-ae96-e3310500cf5b"
    lost = changed(' xml:lang="NO"', "")
    assert read(lost).header.descriptions == (Description(text=MESSAGE.descriptions[0].text, lang=None),)
    typed = changed("<eb:Service>", '<eb:Service eb:type="string">', ALL[Kind.ACKNOWLEDGMENT])
    assert read(typed).kind == Kind.ACKNOWLEDGMENT


def test_description_may_stand_before_message_data() -> None:
    text = build(USER).decode()
    description = text[text.index("<eb:Description") : text.index("</eb:MessageHeader>")]
    moved = text.replace(description, "").replace("<eb:MessageData>", description + "<eb:MessageData>")
    assert read(moved.encode()) == USER


def test_an_acknowledgment_may_come_with_a_business_answer() -> None:
    both = replace(USER, acknowledgment=replace(ACKNOWLEDGMENT, references=(PART,)))
    assert read(build(both)) == both
    assert both.kind == Kind.USER_MESSAGE


def test_references_of_an_acknowledgment_are_read_by_value_however_they_are_indented() -> None:
    text = (
        build(ALL[Kind.ACKNOWLEDGMENT])
        .decode()
        .replace("<ds:", "\n\n  <ds:")
        .replace("</ds:Transform", "\n</ds:Transform")
    )
    found = read(text.encode()).acknowledgment
    assert found is not None
    assert [(one.uri, one.digest_value) for one in found.references] == [("", b"w" * 32), ("cid:p-1@x", b"p" * 32)]


def test_the_severity_is_found_from_the_errors_and_not_believed() -> None:
    wrong = changed('highestSeverity="Error"', 'highestSeverity="Warning"', ALL[Kind.MESSAGE_ERROR])
    found = read(wrong).error_list
    assert found is not None
    assert found.highest_severity == Severity.ERROR


@pytest.mark.parametrize(
    ("ids", "her"),
    [
        (her_party(8000101), 8000101),
        ((), None),
        ((*her_party(8000101), *her_party(8000202)), None),
        ((*her_party(8000101), PartyId(value="314159265", type="ENH")), None),
        ((PartyId(value="8000101", type="ENH"),), None),
        ((PartyId(value="8000101"),), None),
        ((PartyId(value="08000101", type="HER"),), None),
        ((PartyId(value="8000101x", type="HER"),), None),
        ((PartyId(value="٨", type="HER"),), None),
        ((PartyId(value="1" * 10, type="HER"),), None),
    ],
)
def test_a_her_id_is_the_one_name_of_a_party(ids: tuple[PartyId, ...], her: int | None) -> None:
    assert her_id(ids) == her


# --- parts and faults -------------------------------------------------------------------------------------------------


def test_manifest_and_parts_name_each_other() -> None:
    match_parts((), ())
    match_parts(("a@x", "b@x"), ("b@x", "a@x"))
    for manifest, parts, place in (
        (("a@x",), (), "cid:a@x"),
        ((), ("a@x",), "cid:a@x"),
        (("a@x", "a@x"), ("a@x",), "cid:a@x"),
        (("a@x",), ("a@x", "b@x"), "cid:b@x"),
    ):
        with pytest.raises(MimeProblem) as refusal:
            match_parts(manifest, parts)
        assert refusal.value.location == place


@pytest.mark.parametrize("name", ["a@x", "a b@x", "å%41@x", "a/b?c#d"])
def test_a_content_id_comes_back_from_its_uri(name: str) -> None:
    assert content_id(cid(name)) == name
    assert cid(name).isascii()


def test_other_uris_name_no_part() -> None:
    assert [content_id(uri) for uri in ("", "cid:", "mid:a@x", "http://x", "a@x")] == [None] * 5
    assert content_id("CID:a@x") == "a@x"


@pytest.mark.parametrize("code", FaultCode)
def test_a_fault_is_read_as_it_was_written(code: FaultCode) -> None:
    document = xml.parse(build_fault(code, "no <such> agreement"), max_bytes=1_000_000)
    assert parse_fault(document) == Fault(code=code, text="no <such> agreement")


@pytest.mark.parametrize(
    ("written", "code"), [("Client.Authentication", "Client"), ("x:Odd", "Server"), ("", "Server")]
)
def test_a_dotted_or_unknown_fault_code_is_put_where_it_belongs(written: str, code: str) -> None:
    data = build_fault(FaultCode.CLIENT, "x").replace(b"SOAP:Client", written.encode())
    found = parse_fault(xml.parse(data, max_bytes=1_000_000))
    assert found is not None
    assert found.code == code
