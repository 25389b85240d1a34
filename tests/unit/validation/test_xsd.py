"""Validity by our schemas: what is told of a fault, what is never told, and what is never opened."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from lxml import etree

from broker.envelope.names import APPREC_10, APPREC_11
from broker.envelope.xml import Xml, parse
from broker.errors import Misconfigured
from broker.validation.faults import FaultKind, SchemaFault
from broker.validation.xsd import APPREC_DRIVER, MAX_EXPLAINED, MAX_FAULTS, SchemaSet

SCHEMAS = Path(__file__).parents[3] / "schemas"
FILES = {file.relative_to(SCHEMAS).as_posix(): file.read_bytes() for file in SCHEMAS.rglob("*.xsd")}
RELATION = "http://www.kith.no/xmlstds/pasientrelasjon/2014-03-28"
CALENDAR = "urn:ietf:params:xml:ns:icalendar-2.0"

NOTE = """<dia:Dialogmelding xmlns:dia="http://www.kith.no/xmlstds/dialog/2013-01-23">
<dia:Notat><dia:TemaKodet V="1" S="2.16.578.1.12.4.1.1.7322"/><dia:TekstNotatInnhold>Ring meg</dia:TekstNotatInnhold>
<dia:DatoNotat>2026-03-01</dia:DatoNotat></dia:Notat></dia:Dialogmelding>"""

MESSAGE = f"""<MsgHead xmlns="http://www.kith.no/xmlstds/msghead/2006-05-24">
<MsgInfo>
<Type V="DIALOG_HELSEFAGLIG" DN="Helsefaglig dialog"/>
<MIGversion>v1.2 2006-05-24</MIGversion>
<GenDate>2026-03-01T10:00:00+01:00</GenDate>
<MsgId>0a6f4e3c-5f0f-4b5b-9b57-0d7c2d0a3a10</MsgId>
<Sender><Organisation><OrganisationName>Synsvik</OrganisationName>
<Ident><Id>8000101</Id><TypeId V="HER" S="2.16.578.1.12.4.1.1.9051"/></Ident></Organisation></Sender>
<Receiver><Organisation><OrganisationName>Prøvedal</OrganisationName>
<Ident><Id>8000102</Id><TypeId V="HER" S="2.16.578.1.12.4.1.1.9051"/></Ident></Organisation></Receiver>
</MsgInfo>
<Document><RefDoc><MsgType V="XML"/><Content>
{NOTE}
</Content></RefDoc></Document>
</MsgHead>"""

APPREC = """<AppRec xmlns="http://www.kith.no/xmlstds/apprec/{version}"><MsgType V="APPREC"/>
<MIGversion>{version}</MIGversion><GenDate>2026-03-01T10:00:00</GenDate><Id>1</Id>
<Sender><HCP><Inst/></HCP></Sender><Receiver><HCP><Inst/></HCP></Receiver><Status V="1"/>
<OriginalMsgId><MsgType V="A"/><IssueDate>2026-03-01T10:00:00</IssueDate><Id>2</Id></OriginalMsgId></AppRec>"""


@pytest.fixture(scope="module")
def schemas() -> SchemaSet:
    return SchemaSet.from_bytes(FILES)


def document(text: str) -> Xml:
    return parse(text.encode(), max_bytes=10_000_000)


def changed(old: str, new: str, text: str = MESSAGE) -> Xml:
    assert text.count(old) >= 1
    return document(text.replace(old, new, 1))


def only(faults: tuple[SchemaFault, ...]) -> SchemaFault:
    assert len(faults) == 1, faults
    return faults[0]


def test_a_valid_message_has_no_fault_however_often_it_is_asked(schemas: SchemaSet) -> None:
    xml = document(MESSAGE)
    assert schemas.accepts(xml)
    assert [schemas.check(xml) for _ in range(2)] == [(), ()]


def test_a_receipt_of_either_version_is_valid_but_never_inside_a_message(schemas: SchemaSet) -> None:
    for version in (APPREC_10, APPREC_11):
        receipt = APPREC.format(version=version.rpartition("/")[2])
        assert schemas.check(document(receipt)) == ()
        assert only(schemas.check(with_content(receipt))).kind is FaultKind.NO_SCHEMA


def test_a_set_for_one_kind_of_document_refuses_the_other() -> None:
    receipts = SchemaSet.from_bytes(FILES, drivers=[APPREC_DRIVER])
    assert only(receipts.check(document(MESSAGE))).expected == ("AppRec",)


def test_a_piece_of_a_message_is_not_a_message(schemas: SchemaSet) -> None:
    assert only(schemas.check(document(NOTE))) == SchemaFault(
        kind=FaultKind.UNKNOWN_ROOT,
        line=1,
        path="/Dialogmelding",
        element="Dialogmelding",
        expected=("AppRec", "MsgHead"),
    )


@pytest.mark.parametrize(
    ("old", "new", "kind", "path", "line", "facts"),
    [
        ("<MsgId>", "<Ack/><MsgId>", FaultKind.UNEXPECTED_ELEMENT, "/MsgHead/MsgInfo/Ack", 6, {"expected": ("MsgId",)}),
        ("<MsgType V=", "<Id/><MsgType V=", FaultKind.UNEXPECTED_ELEMENT, "/MsgHead/Document/RefDoc/Id", 12, {}),
        (
            "</MsgInfo>",
            "<Patient/><Patient/></MsgInfo>",
            FaultKind.TOO_MANY_ELEMENTS,
            "/MsgHead/MsgInfo/Patient[2]",
            11,
            {"limit": "1"},
        ),
        (
            "<Id>8000102</Id>",
            "",
            FaultKind.UNEXPECTED_ELEMENT,
            "/MsgHead/MsgInfo/Receiver/Organisation/Ident/TypeId",
            10,
            {"expected": ("Id",)},
        ),
        (
            '<TypeId V="HER" S="2.16.578.1.12.4.1.1.9051"/>',
            "",
            FaultKind.MISSING_ELEMENT,
            "/MsgHead/MsgInfo/Sender/Organisation/Ident",
            8,
            {"expected": ("TypeId",)},
        ),
        (
            "2026-03-01T10:00:00+01:00",
            "01.03.2026",
            FaultKind.BAD_VALUE,
            "/MsgHead/MsgInfo/GenDate",
            5,
            {"type_name": "dateTime"},
        ),
        (
            'S="2.16.578.1.12.4.1.1.9051"',
            'S="HER"',
            FaultKind.BAD_VALUE,
            "/MsgHead/MsgInfo/Sender/Organisation/Ident/TypeId",
            8,
            {"attribute": "S", "type_name": "oid", "facet": "pattern", "limit": r"\d+(\.\d+)*"},
        ),
        (
            "v1.2 2006-05-24",
            "v1.1 2006-02-15",
            FaultKind.FIXED_VALUE,
            "/MsgHead/MsgInfo/MIGversion",
            4,
            {"limit": "v1.2 2006-05-24"},
        ),
        (
            '<Type V="DIALOG_HELSEFAGLIG"',
            '<Type S="1"',
            FaultKind.UNEXPECTED_ATTRIBUTE,
            "/MsgHead/MsgInfo/Type",
            3,
            {"attribute": "S"},
        ),
        ("<Sender>", "<Sender>Synsvik", FaultKind.UNEXPECTED_TEXT, "/MsgHead/MsgInfo/Sender", 7, {}),
        (
            "Synsvik",
            "<b/>",
            FaultKind.UNEXPECTED_ELEMENT,
            "/MsgHead/MsgInfo/Sender/Organisation/OrganisationName/*",
            7,
            {},
        ),
        (NOTE, "<other/>", FaultKind.NO_SCHEMA, "/MsgHead/Document/RefDoc/Content/*", 13, {}),
        (NOTE, "<Sender/>", FaultKind.NO_SCHEMA, "/MsgHead/Document/RefDoc/Content/Sender", 13, {}),
        (
            "</MsgHead>",
            '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><CanonicalizationMethod/>'
            '<SignatureMethod Algorithm=""/><Reference><DigestMethod Algorithm=""/><DigestValue/></Reference>'
            "</SignedInfo><SignatureValue/></Signature></MsgHead>",
            FaultKind.MISSING_ATTRIBUTE,
            "/MsgHead/Signature/SignedInfo/CanonicalizationMethod",
            17,
            {"attribute": "Algorithm"},
        ),
    ],
)
def test_each_kind_of_fault_names_its_place_and_what_was_wanted(
    schemas: SchemaSet, old: str, new: str, kind: FaultKind, path: str, line: int, facts: dict[str, object]
) -> None:
    xml = changed(old, new)
    assert not schemas.accepts(xml)
    fault = next(fault for fault in schemas.check(xml) if fault.path == path and fault.kind is kind)
    assert fault.line == line
    assert {name: getattr(fault, name) for name in facts} == facts


def test_every_fault_is_told_in_the_order_of_the_document(schemas: SchemaSet) -> None:
    text = MESSAGE.replace("10:00:00+01:00", "kl. ti").replace("<MsgType V=", "<MsgType X=").replace("03-01<", "13-01<")
    faults = schemas.check(document(text.replace("<Id>8000102</Id>", "")))
    assert [fault.kind for fault in faults] == [
        FaultKind.BAD_VALUE,
        FaultKind.UNEXPECTED_ELEMENT,
        FaultKind.UNEXPECTED_ATTRIBUTE,
        FaultKind.BAD_VALUE,
    ]


CANARY = "Kanarifugl"


def test_no_fault_ever_holds_a_word_of_the_document(schemas: SchemaSet) -> None:
    """A canary stands in turn in every value, attribute, tail and name of a message, alone and with other faults."""
    values = [match.span(1) for match in re.finditer(r">([^<>]*)(?=<)", MESSAGE)]
    values += [match.span(1) for match in re.finditer(r'="([^"]*)"', MESSAGE)]
    texts = [f"{MESSAGE[:start]}{CANARY}{MESSAGE[end:]}" for start, end in values]
    names = sorted(set(re.findall(r"<([A-Z][A-Za-z]*)", MESSAGE)))
    texts += [re.sub(rf"(</?){name}\b", rf"\g<1>{CANARY}", MESSAGE) for name in names]
    told = 0
    for text in texts:
        for also in ("<MsgId>", f'<MsgId {CANARY}="{CANARY}">{CANARY}<{CANARY} {CANARY}="{CANARY}"/>'):
            faults = schemas.check(document(text.replace("<MsgId>", also)))
            told += len(faults)
            assert CANARY not in repr(faults)
    assert told > len(texts) > 60


def test_a_name_that_no_schema_declares_is_not_repeated(schemas: SchemaSet) -> None:
    fault = only(schemas.check(changed("</MsgInfo>", f"<{CANARY}/></MsgInfo>")))
    assert (fault.path, fault.element) == ("/MsgHead/MsgInfo/*", "*")


def with_content(*contents: str) -> Xml:
    rest = "".join(
        f'<Document><RefDoc><MsgType V="XML"/><Content>{one}</Content></RefDoc></Document>' for one in contents
    )
    return changed("</MsgHead>", f"{rest}</MsgHead>")


def test_a_companion_without_schema_is_carried_where_the_process_says_so(schemas: SchemaSet) -> None:
    relation = f'<Pasientrelasjon xmlns="{RELATION}"><Relasjon V="FU"/></Pasientrelasjon>'
    calendar = f'<icalendar xmlns="{CALENDAR}"/>'
    xml = with_content(relation, calendar)
    before = etree.tostring(xml.root)
    carried = frozenset({RELATION, CALENDAR})
    assert schemas.check(xml, carried=carried) == ()
    assert schemas.accepts(xml, carried=carried)
    assert etree.tostring(xml.root) == before
    assert only(schemas.check(xml, carried=frozenset({RELATION}))).path == "/MsgHead/Document[3]/RefDoc/Content/*"
    assert len(schemas.check(xml)) == 2


def test_carried_is_direct_content_only_and_hides_nothing_beside_it(schemas: SchemaSet) -> None:
    carried = frozenset({RELATION})
    relation = f'<Pasientrelasjon xmlns="{RELATION}"/>'
    assert only(schemas.check(changed("<Sender>", f"{relation}<Sender>"), carried=carried)).kind is (
        FaultKind.UNEXPECTED_ELEMENT
    )
    assert only(schemas.check(with_content(relation + "tekst"), carried=carried)).kind is FaultKind.UNEXPECTED_TEXT
    assert only(schemas.check(with_content(relation + "<Sender/>"), carried=carried)).kind is FaultKind.NO_SCHEMA


def test_a_namespace_with_a_schema_is_validated_even_when_it_is_named_as_carried(schemas: SchemaSet) -> None:
    dialogue = "http://www.kith.no/xmlstds/dialog/2013-01-23"
    assert not schemas.accepts(changed("2026-03-01<", "i dag<"), carried=frozenset({dialogue}))


def test_a_schema_given_for_a_companion_is_used(schemas: SchemaSet) -> None:
    given = (
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{RELATION}">'
        '<xs:element name="Pasientrelasjon" type="xs:date"/></xs:schema>'
    )
    more = SchemaSet.from_bytes({**FILES, "more/relation.xsd": given.encode()}, also=["more/relation.xsd"])
    assert more.accepts(with_content(f'<Pasientrelasjon xmlns="{RELATION}">2026-03-01</Pasientrelasjon>'))
    wrong = with_content(f'<Pasientrelasjon xmlns="{RELATION}">venn</Pasientrelasjon>')
    assert only(more.check(wrong, carried=frozenset({RELATION}))).type_name == "date"


def test_what_an_instance_says_of_schemas_is_not_followed(tmp_path: Path, schemas: SchemaSet) -> None:
    loose = tmp_path / "loose.xsd"
    loose.write_text(
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{RELATION}">'
        '<xs:element name="Pasientrelasjon"/></xs:schema>'
    )
    xml = with_content(
        f'<Pasientrelasjon xmlns="{RELATION}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{RELATION} {loose.as_uri()}"/>'
    )
    assert only(schemas.check(xml)).kind is FaultKind.NO_SCHEMA


def test_a_schema_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    without = {name: data for name, data in FILES.items() if name != "kith/types.xsd"}
    with pytest.raises(Misconfigured, match=r"kith/types\.xsd"):
        SchemaSet.from_bytes(without)
    with pytest.raises(Misconfigured, match=r"nowhere\.xsd"):
        SchemaSet.from_bytes(FILES, also=["nowhere.xsd"])
    outside = tmp_path / "types.xsd"
    outside.write_bytes(FILES["kith/types.xsd"])
    pointing = FILES["kith/felleskomponent1.xsd"].replace(b'"types.xsd"', f'"{outside.as_uri()}"'.encode())
    with pytest.raises(Misconfigured, match=r"types\.xsd"):
        SchemaSet.from_bytes({**FILES, "kith/felleskomponent1.xsd": pointing, "kith/types.xsd": b"<no/>"})


def test_faults_stop_at_fifty_and_say_so(schemas: SchemaSet) -> None:
    bad = '<Document><FromDate V="x"/><RefDoc><MsgType/></RefDoc></Document>' * (MAX_FAULTS + 10)
    faults = schemas.check(changed("</MsgHead>", f"{bad}</MsgHead>"))
    assert [fault.kind for fault in faults] == [FaultKind.BAD_VALUE] * MAX_FAULTS + [FaultKind.MORE_FAULTS]
    assert faults[-1].limit == str(MAX_FAULTS)


def test_fifty_faults_are_not_said_to_be_more(schemas: SchemaSet) -> None:
    bad = '<Document><FromDate V="x"/><RefDoc><MsgType/></RefDoc></Document>' * MAX_FAULTS
    faults = schemas.check(changed("</MsgHead>", f"{bad}</MsgHead>"))
    assert [fault.kind for fault in faults] == [FaultKind.BAD_VALUE] * MAX_FAULTS


def attachment(text: str) -> str:
    return f'<Base64Container xmlns="http://www.kith.no/xmlstds/base64container">{text}</Base64Container>'


def test_a_message_with_a_large_attachment_is_explained_whole(schemas: SchemaSet) -> None:
    large = "QUJD" * (MAX_EXPLAINED // 2)
    xml = with_content(attachment(large), attachment(large + "Q"), "<Sender/>")
    assert [(fault.kind, fault.path) for fault in schemas.check(xml)] == [
        (FaultKind.NO_SCHEMA, "/MsgHead/Document[4]/RefDoc/Content/Sender"),
        (FaultKind.BAD_VALUE, "/MsgHead/Document[3]/RefDoc/Content/Base64Container"),
    ]


def test_a_message_that_is_large_in_itself_gets_what_lxml_saw_and_is_told_so(schemas: SchemaSet) -> None:
    text = MESSAGE.replace("Ring meg", "Ring meg " * (MAX_EXPLAINED // 9)).replace("10:00:00+01:00", "kl. ti")
    faults = schemas.check(
        document(text.replace("<Id>8000102</Id>", "").replace('S="2.16.578.1.12.4.1.1.9051"', "X=''"))
    )
    assert [(fault.kind, fault.path, fault.line) for fault in faults] == [
        (FaultKind.BAD_VALUE, "/MsgHead/MsgInfo/GenDate", 5),
        (FaultKind.UNEXPECTED_ATTRIBUTE, "/MsgHead/MsgInfo/Sender/Organisation/Ident/TypeId", 8),
        (FaultKind.UNEXPECTED_ELEMENT, "/MsgHead/MsgInfo/Receiver/Organisation/Ident/TypeId", 10),
        (FaultKind.TOO_LARGE_TO_EXPLAIN, "/MsgHead", None),
    ]
    assert (faults[0].type_name, faults[2].expected) == ("dateTime", ("Id",))


def test_the_same_id_twice_is_a_fault_each_time_it_is_looked_at(schemas: SchemaSet) -> None:
    signed = '<SignedInfo><CanonicalizationMethod Algorithm=""/><SignatureMethod Algorithm=""/><Reference>'
    signed += '<DigestMethod Algorithm=""/><DigestValue/></Reference></SignedInfo>'
    signature = f'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#" Id="a">{signed}<SignatureValue Id="{{}}"/>'
    signature += "</Signature></MsgHead>"
    once = changed("</MsgHead>", signature.format("b"))
    assert [schemas.accepts(once), schemas.accepts(once)] == [True, True]
    twice = changed("</MsgHead>", signature.format("a"))
    assert [only(schemas.check(twice)).kind for _ in range(2)] == [FaultKind.DUPLICATE_ID] * 2


def test_an_object_identifier_made_to_backtrack_is_answered_at_once(schemas: SchemaSet) -> None:
    hostile = "1" * 5000 + "x"
    assert only(schemas.check(changed("2.16.578.1.12.4.1.1.9051", hostile))).facet == "pattern"


def test_threads_with_a_clone_each_may_all_be_refused_at_once(schemas: SchemaSet) -> None:
    bad = [MESSAGE.replace("10:00:00+01:00", f"kl. {hour}").replace("<MsgType V=", "<MsgType X=") for hour in range(8)]
    clones = [schemas.clone() for _ in range(4)]
    together = Barrier(4)

    def refused(clone: SchemaSet) -> list[tuple[SchemaFault, ...]]:
        together.wait(timeout=20)
        return [clone.check(document(text)) for text in bad]

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(refused, clones))
    expected = [schemas.check(document(text)) for text in bad]
    assert told == [expected] * 4


def test_a_clone_answers_as_the_first(schemas: SchemaSet) -> None:
    clone = schemas.clone()
    bad = changed("10:00:00+01:00", "kl. ti")
    assert clone.check(bad) == schemas.check(bad) != ()
    assert clone.accepts(document(MESSAGE))


@pytest.mark.parametrize("value", ["dia:Nothing", "nobody:knows", "", "a:b:c", "xs:nothing", "mh:CS"])
@pytest.mark.parametrize("name", ["type", "nil", "schemaLocation", "other"])
def test_hostile_xsi_attributes_are_refused_or_ignored_and_never_stop_us(
    schemas: SchemaSet, name: str, value: str
) -> None:
    declared = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    xml = changed("<MsgId>", f'<MsgId {declared} xsi:{name}="{value}">')
    faults = schemas.check(xml)
    assert bool(faults) is not schemas.accepts(xml)
    assert all(fault.path in ("/MsgHead/MsgInfo/MsgId", "/MsgHead") for fault in faults)
    assert name == "schemaLocation" or faults


def test_nesting_as_deep_as_the_parser_allows_is_explained_as_far_as_it_goes(schemas: SchemaSet) -> None:
    deep = "<Organisation>" * 240 + "</Organisation>" * 240
    faults = schemas.check(changed("<Sender>", f"<Sender>{deep}"))
    assert faults[0].kind is not FaultKind.MORE_FAULTS
