"""Process files: what one may say, how a mistake is named, and what the shipped ones say."""

import tomllib
from datetime import timedelta
from typing import Any

import pytest

from broker.errors import Misconfigured
from broker.message import DocumentHead, Owed, Part, PartyRef
from broker.retry import Chase, ReceiptPolicy
from broker.routing.party import PartyKind
from broker.routing.process import Conversation, Mismatch, NoFunction
from broker.routing.process_files import processes, read_process
from tests.judging import ROOT, shipped_processes

DIALOGUE = "urn:dialogue"
MINIMAL = """
name = "PROSESS"
version = "1.0"
title = "Prøve"
source = "egen"
[apprec]
version = "1.1"
action = "Apprec"
[defaults]
types = ["TYPE"]
service = "Tjeneste"
[[function]]
name = "Spor"
action = "Spor"
conversation = "none"
ack = ["J"]
"""


def test_a_small_file_gets_the_usual_clocks_and_takes_any_document() -> None:
    process = read_process(MINIMAL, "a.toml")
    assert process.receipt == ReceiptPolicy()
    (function,) = process.functions
    assert (function.types, function.service) == (frozenset({"TYPE"}), "Tjeneste")
    assert (function.sent_by, function.owed, function.dialogue) == (None, None, "")
    assert function.conversation is Conversation.NONE
    assert (process.sign_document, process.envelope_only, function.synchronous) == (False, False, False)


def test_a_function_says_otherwise_than_the_defaults() -> None:
    (function,) = read_process(f'{MINIMAL}service = "Annen"\n', "a.toml").functions
    assert function.service == "Annen"


def test_the_receipt_clock_is_read_in_full() -> None:
    clock = """[receipt]
alarms = ["PT1.5S", "P1DT1M"]
chase = "ask"
chase_at = []
overdue = "P1W"
duplicate_codes = []
"""
    policy = read_process(MINIMAL + clock, "a.toml").receipt
    assert policy.alarms == (timedelta(seconds=1.5), timedelta(days=1, minutes=1))
    assert (policy.chase, policy.chase_at, policy.overdue) == (Chase.ASK, (), timedelta(days=7))
    assert policy.duplicate_codes == frozenset()


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("[apprec]", "[apprec", "a.toml, line 6", "not TOML"),
        ('title = "Prøve"', "", "a.toml: title", "is missing"),
        ('title = "Prøve"', "title = 1", "a.toml: title", "a text"),
        ('title = "Prøve"', 'title = "Prøve"\ntittel = "x"', "a.toml: tittel", "no such key"),
        ('"PROSESS"', '"prosess"', "a.toml: name", "capital letters"),
        ('version = "1.1"', 'version = "2"', "a.toml: apprec.version", '"1.0" or "1.1"'),
        ("[apprec]", "[apprec]\nrole = 1", "a.toml: apprec.role", "no such key"),
        ('types = ["TYPE"]', "types = []", "a.toml: defaults.types", "MsgInfo/Type"),
        ('types = ["TYPE"]', 'types = ["A", "A"]', "a.toml: defaults.types", "different texts"),
        ('types = ["TYPE"]', 'types = ["A"]\nsend_by = "epj"', "a.toml: defaults.send_by", "no such key"),
        ('conversation = "none"', 'conversation = "never"', "a.toml: function[1].conversation", '"required"'),
        ('ack = ["J"]', "ack = []", "a.toml: function[1].ack", "at least one"),
        ('ack = ["J"]', 'ack = ["X"]', "a.toml: function[1].ack", '"J"'),
        ('ack = ["J"]', 'ack = ["J"]\ncontent = ["Tekst"]', "a.toml: function[1].content", '"Notat"'),
        ('ack = ["J"]', 'ack = ["J"]\nowed = "X"', "a.toml: function[1].owed", '"J"'),
        ('ack = ["J"]', 'ack = ["J"]\nsent_by = "lege"', "a.toml: function[1].sent_by", '"citizen"'),
        ('ack = ["J"]', 'ack = ["J"]\nsynchronous = 1', "a.toml: function[1].synchronous", "true or false"),
        (
            'ack = ["J"]',
            'ack = ["J"]\nrequired_companions = ["urn:x"]',
            "a.toml: function[1].required_companions",
            "part of companions",
        ),
        (
            'ack = ["J"]',
            'ack = ["J"]\ncode_systems = { TypeForesp = ["2.16.578"] }',
            "a.toml: function[1].code_systems.TypeForesp",
            "numbers of code lists",
        ),
        ("[defaults]", '[receipt]\noverdue = "96H"\n[defaults]', "a.toml: receipt.overdue", "ISO 8601"),
        ("[defaults]", '[receipt]\noverdue = "PT1H"\n[defaults]', "a.toml: receipt.overdue", "longer than every one"),
        ("[defaults]", '[receipt]\nalarms = ["PT4H", "PT1H"]\n[defaults]', "a.toml: receipt.alarms", "rising"),
        ("[defaults]", '[receipt]\nalarms = ["PT0S"]\n[defaults]', "a.toml: receipt.alarms", "rising"),
        ("[defaults]", '[receipt]\nchase = "often"\n[defaults]', "a.toml: receipt.chase", '"repeat"'),
        ("[[function]]", "[function]", "a.toml: function", "[[function]]"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_right_form(old: str, new: str, where: str, says: str) -> None:
    assert old in MINIMAL
    with pytest.raises(Misconfigured) as refused:
        read_process(MINIMAL.replace(old, new, 1), "a.toml")
    assert refused.value.where == where
    assert says in f"{refused.value.why} {refused.value.hint}"
    assert refused.value.hint


def test_a_process_needs_a_function_and_a_name_of_its_own() -> None:
    with pytest.raises(Misconfigured, match="at least one table"):
        read_process(MINIMAL[: MINIMAL.index("[[function]]")], "a.toml")
    one = read_process(MINIMAL, "a.toml")
    with pytest.raises(Misconfigured, match="PROSESS: two process files"):
        processes([one, one])


# --- which function a document is ---


def head(**said: Any) -> DocumentHead:
    part = Part(namespace=said.pop("dialogue"), name="Dialogmelding", msg_type="XML", mime_type="", size=0)
    return DocumentHead(
        msg_id="1",
        gen_date="",
        sender=PartyRef(her=1, organisation_her=1),
        receiver=PartyRef(her=2, organisation_her=2),
        parts=(part,),
        **said,
    )


D11 = "http://www.kith.no/xmlstds/dialog/2013-01-23"
D10 = "http://www.kith.no/xmlstds/dialog/2006-10-11"
EKONTAKT, BOOKING = "DIALOG_INNBYGGER_EKONTAKT", "DIALOG_INNBYGGER_TIMERESERVASJON"
CITIZEN, EPJ = PartyKind.CITIZEN, PartyKind.EPJ


@pytest.mark.parametrize(
    ("type_", "sender", "content", "code", "function", "from_role"),
    [
        (EKONTAKT, CITIZEN, "Foresporsel", "HE", "Foresporsel", "Innbygger"),
        (EKONTAKT, EPJ, "Foresporsel", "HE", "Foresporsel", "Helsepersonell"),
        (EKONTAKT, EPJ, "Foresporsel", "VUS", "UlestVarsel", "Helsepersonell"),
        (EKONTAKT, CITIZEN, "Notat", "22", "Svar", "Innbygger"),
        (EKONTAKT, EPJ, "Notat", "19", "Svar", "Helsepersonell"),
        (EKONTAKT, None, "Foresporsel", "HE", "Foresporsel", "Innbygger"),
        (BOOKING, CITIZEN, "Foresporsel", "RT", "ReserverAvtale", "Innbygger"),
        (BOOKING, CITIZEN, "Foresporsel", "ART", "AvbestillAvtale", "Innbygger"),
        (BOOKING, EPJ, "Notat", "05", "SvarTimeReservasjon", "Helsepersonell"),
        (BOOKING, EPJ, "Foresporsel", "MOA", "Avtale", "Helsepersonell"),
        ("DIALOG_INNBYGGER_TIMEONSKE", CITIZEN, "Foresporsel", "OET", "OnskeEndring", "Innbygger"),
        ("DIALOG_HELSEFAGLIG", EPJ, "Notat", "8", "Notat", "Helsepersonell"),
    ],
)
def test_a_document_is_known_by_type_sender_content_and_code(
    type_: str, sender: PartyKind | None, content: str, code: str, function: str, from_role: str
) -> None:
    asked = head(type=type_, dialogue=D11, content=content, code=code)
    _, found = shipped_processes().function_for(asked, sender)
    assert (found.name, found.from_role) == (function, from_role)


@pytest.mark.parametrize(
    ("type_", "dialogue", "sender", "content", "code", "mismatch"),
    [
        ("DIALOG_INNBYGGER_DIGITALDIALOG", D11, CITIZEN, "Notat", "", Mismatch.TYPE),
        (EKONTAKT, D10, CITIZEN, "Foresporsel", "HE", Mismatch.DIALOGUE),
        (EKONTAKT, D11, PartyKind.ORGANISATION, "Foresporsel", "HE", Mismatch.SENDER),
        (EKONTAKT, D11, CITIZEN, "", "", Mismatch.CONTENT),
        ("DIALOG_SVAR", D10, EPJ, "Foresporsel", "99", Mismatch.CONTENT),
        (BOOKING, D11, CITIZEN, "Foresporsel", "ERT", Mismatch.CODE),
        (BOOKING, D11, CITIZEN, "Foresporsel", "HLT", Mismatch.SYNCHRONOUS),
        (BOOKING, D11, CITIZEN, "Foresporsel", "HBT", Mismatch.SYNCHRONOUS),
        (BOOKING, D11, EPJ, "Notat", "02", Mismatch.SYNCHRONOUS),
    ],
)
def test_what_no_function_takes_is_refused_with_the_reason(
    type_: str, dialogue: str, sender: PartyKind, content: str, code: str, mismatch: Mismatch
) -> None:
    asked = head(type=type_, dialogue=dialogue, content=content, code=code)
    with pytest.raises(NoFunction) as refused:
        shipped_processes().function_for(asked, sender)
    assert (refused.value.mismatch, refused.value.apprec) == (mismatch, "T10")


def test_a_receipt_goes_by_the_process_of_receipts() -> None:
    for version in ("2004-11-21", "2012-02-15"):
        found = shipped_processes().receipt_function(f"http://www.kith.no/xmlstds/apprec/{version}")
        assert found is not None
        process, function = found
        assert (process.name, function.owed, process.receipt.chase) == ("APPREC", Owed.NEVER, Chase.NONE)
    assert shipped_processes().receipt_function("http://www.kith.no/xmlstds/apprec/2020-01-01") is None


# --- the shipped files ---


def test_the_shipped_processes_say_where_they_come_from_and_keep_the_sectors_clocks() -> None:
    shipped = shipped_processes().by_name
    assert set(shipped) == {
        "APPREC",
        "AVTALEAVBESTILLING",
        "AVTALEUTSENDING",
        "AVVIK",
        "DIALOG",
        "EKONTAKT",
        "HELSEFAGLIG",
        "TIMEONSKE",
        "TIMERESERVASJON",
    }
    for name, process in shipped.items():
        assert len(process.source) > 50, name
        if name == "APPREC":
            continue
        assert process.receipt == ReceiptPolicy()
        assert process.apprec_version == ("1.0" if name in ("DIALOG", "AVVIK") else "1.1")


def test_no_function_that_is_carried_hides_another() -> None:
    for process in shipped_processes().by_name.values():
        keys = [
            (kind, sender, dialogue, content, code)
            for function in process.functions
            for kind in function.types
            for sender in [function.sent_by]
            for dialogue in [function.dialogue]
            for content in function.content or {"Foresporsel", "Notat"}
            for code in function.codes or {""}
        ]
        assert len(keys) == len(set(keys)), process.name


def test_the_readme_explains_every_key() -> None:
    readme = (ROOT / "processes" / "README.md").read_text("utf-8")
    used: set[str] = set()

    def collect(table: dict[str, Any]) -> None:
        for key, value in table.items():
            used.add(key)
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, dict) and key != "code_systems":
                    collect(inner)

    for file in (ROOT / "processes").glob("*.toml"):
        collect(tomllib.loads(file.read_text("utf-8")))
    used |= {"sign_document", "envelope_only", "service_type"}
    assert {key for key in used if f"`{key}`" not in readme and f"[{key}]" not in readme} == set()
