"""The demo's documents are what their schemas say, in both versions and both encodings."""

import os
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from broker.demo.documents import (
    Attachment,
    Code,
    Conversation,
    Dialogue,
    Head,
    Unit,
    Visit,
    calendar,
    document,
    note,
    on_behalf,
    question,
)
from broker.demo.pdf import padded_pdf
from broker.demo.people import AASE, DAUGHTER, NURSE

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
HERE = Unit(her=8000101, name="Hjemmetjenesten nord", organisation_her=8000100, organisation_name="Fjordvik kommune")
THERE = Unit(her=8000201, name="Hjemmetjenesten", organisation_her=8000200, organisation_name="Dalbygda kommune")
TYPE = Code(value="DIALOG_HELSEFAGLIG", text="Helsefaglig dialog")
THEME = Code(value="6", text="Henvendelse om pasient", listed="7322")
NAMES = {
    "h": "http://www.kith.no/xmlstds/msghead/2006-05-24",
    "b": "http://www.kith.no/xmlstds/base64container",
    "d": "http://www.kith.no/xmlstds/dialog/2013-01-23",
}


def head(conversation: Conversation | None = None) -> Head:
    return Head(
        type=TYPE,
        msg_id="5d2c9f1e-0000-4000-8000-000000000001",
        made_at=NOW,
        sender=HERE,
        receiver=THERE,
        patient=AASE,
        conversation=conversation,
    )


def tree(data: bytes) -> etree._Element:
    return etree.fromstring(data)  # noqa: TID251 - the test reads what we built, without the broker's own parser


DOCUMENTS = {
    "1.0 question": document(
        head(), question(Dialogue.V1_0, THEME, subject="Øye", text="Hva nå?", author=NURSE), title="Spørsmål"
    ),
    "1.0 note latin-1": document(
        head(),
        note(Dialogue.V1_0, THEME, subject="Sår", text="Større & <rødere>"),
        title="Notat",
        encoding="ISO-8859-1",
    ),
    "1.1 answer": document(
        head(Conversation(parent="a", first="b")),
        note(Dialogue.V1_1, THEME, subject="Svar", text="Ja", author=NURSE),
        title="Svar",
    ),
    "1.1 question latin-1": document(
        head(), question(Dialogue.V1_1, THEME, subject="Tåa", text="Åtte"), title="Æ", encoding="ISO-8859-1"
    ),
    "1.1 with a file": document(
        head(),
        note(Dialogue.V1_1, THEME, subject="Epikrise", text="Se vedlegg"),
        title="Notat",
        attachments=[Attachment(description="epikrise.pdf", mime_type="application/pdf", content=b"%PDF-1.4 ...")],
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_valid_by_the_official_schemas(name: str, tmp_path: Path) -> None:
    reference = os.environ.get("DIGIHELSE_REFERENCE")
    if reference is None:
        pytest.skip("DIGIHELSE_REFERENCE does not point to the official schemas")
    folder = Path(reference) / "schemas" / "kith"
    wrapper = tmp_path / "all.xsd"
    # MsgHead's Content is strict: one schema must know every namespace that stands in it.
    imports = "".join(
        f'<xs:import namespace="{namespace}" schemaLocation="{(folder / file).as_uri()}"/>'
        for namespace, file in (
            (NAMES["h"], "MsgHead-v1_2.xsd"),
            (Dialogue.V1_0, "dialogmelding-v1.0.xsd"),
            (Dialogue.V1_1, "dialogmelding-v1.1.xsd"),
            (NAMES["b"], "kith-base64.xsd"),
        )
    )
    wrapper.write_text(f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>', "utf-8")
    schema = etree.XMLSchema(file=str(wrapper))
    schema.assertValid(tree(DOCUMENTS[name]))


def test_norwegian_letters_are_one_byte_each_in_latin_1_and_two_in_utf_8() -> None:
    assert "Større &amp; &lt;rødere&gt;".encode("latin-1") in DOCUMENTS["1.0 note latin-1"]
    assert "Åse".encode() in DOCUMENTS["1.0 question"]
    assert "Åse".encode() not in DOCUMENTS["1.0 note latin-1"]


def test_a_text_that_the_encoding_cannot_hold_is_an_error_and_no_question_mark() -> None:
    with pytest.raises(UnicodeEncodeError):
        document(head(), note(Dialogue.V1_0, THEME, subject="€", text="€"), title="Notat", encoding="ISO-8859-1")


def test_a_first_message_has_no_conversation_reference_and_an_answer_has_both() -> None:
    assert tree(DOCUMENTS["1.0 question"]).find(".//h:ConversationRef", NAMES) is None
    answer = tree(DOCUMENTS["1.1 answer"])
    assert answer.findtext(".//h:RefToParent", namespaces=NAMES) == "a"
    assert answer.findtext(".//h:RefToConversation", namespaces=NAMES) == "b"


def test_an_attachment_comes_out_as_it_went_in() -> None:
    held = tree(DOCUMENTS["1.1 with a file"]).findtext(".//b:Base64Container", namespaces=NAMES)
    assert b64decode(held or "") == b"%PDF-1.4 ..."


def test_companions_stand_after_the_dialogue_each_in_a_document_of_its_own() -> None:
    visit = Visit(
        uid="besøk-1@fjordvik",
        start=NOW,
        end=NOW + timedelta(hours=1),
        made_at=NOW,
        summary="Sårstell",
        description="Skift av bandasje",
        place="Hjemme",
    )
    relation = on_behalf(Code(value="FU", text="Fullmakt", listed="7611"), DAUGHTER)
    made = document(
        head(),
        note(Dialogue.V1_1, THEME, subject="Avtale", text="Velkommen"),
        title="Avtale",
        companions=[calendar([visit], made_by="-//Fjordvik//EPJ//NO"), relation],
    )
    contents = tree(made).findall("h:Document/h:RefDoc/h:Content", NAMES)
    assert [content[0].tag for content in contents] == [
        "{http://www.kith.no/xmlstds/dialog/2013-01-23}Dialogmelding",
        "{urn:ietf:params:xml:ns:icalendar-2.0}icalendar",
        "{http://www.kith.no/xmlstds/pasientrelasjon/2014-03-28}Pasientrelasjon",
    ]
    assert contents[2].findtext(".//{*}Id") == DAUGHTER.number


def test_a_padded_pdf_has_the_size_asked_for_and_its_table_points_at_its_objects() -> None:
    made = padded_pdf("Epikrise (utkast)", size=2_000_000, seed="a")
    assert len(made) == 2_000_000
    assert made == padded_pdf("Epikrise (utkast)", size=2_000_000, seed="a")
    assert made != padded_pdf("Epikrise (utkast)", size=2_000_000, seed="b")
    table = int(made.rsplit(b"startxref\n", 1)[1].split()[0])
    lines = made[table:].splitlines()
    assert lines[:2] == [b"xref", b"0 7"]
    for number, line in enumerate(lines[3:9], start=1):
        place = int(line.split()[0])
        assert made[place:].startswith(b"%d 0 obj" % number)


def test_a_pdf_too_small_for_its_page_is_an_error() -> None:
    with pytest.raises(ValueError, match="asked for 100"):
        padded_pdf("Epikrise", size=100, seed="a")
