"""Every rule speaks bokmål and English, and what it says is filled with facts of ours alone."""

from dataclasses import replace
from string import Formatter

import pytest

from broker.envelope.msghead import HeadFault
from broker.message import Text
from broker.routing.process import Mismatch
from broker.validation.faults import FaultKind, SchemaFault
from broker.validation.sentences import fault, schema_fault
from broker.validation.words import RULES, Words
from tests.judging import shipped_codes

ASKED = SchemaFault(
    kind=FaultKind.BAD_VALUE,
    line=7,
    path="/MsgHead/MsgInfo/GenDate",
    element="GenDate",
    expected=("Ack", "Sender"),
    type_name="dateTime",
    limit="3",
)


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_has_both_languages_with_the_same_facts(rule: str) -> None:
    words: Words = RULES[rule]
    for text in (words.reason, words.hint):
        assert text.nb.endswith(".")
        assert text.en.endswith(".")
        assert text.nb != text.en
        assert fields(text.nb) == fields(text.en)
    assert words.apprec in shipped_codes().texts("8221")


def test_every_kind_of_fault_has_words() -> None:
    for kind in FaultKind:
        assert f"xsd.{kind}" in RULES
    for head in set(HeadFault) - {HeadFault.ROOT}:  # another root is never judged as a MsgHead
        assert f"head.{head}" in RULES
    for mismatch in Mismatch:
        assert f"type.{mismatch}" in RULES


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_schema_fault_is_told_in_full(kind: FaultKind) -> None:
    told = schema_fault(replace(ASKED, kind=kind))
    assert (told.rule, told.line, told.path) == (f"xsd.{kind}", 7, "/MsgHead/MsgInfo/GenDate")
    for text in (told.reason, told.hint):
        assert "{" not in text.nb + text.en


def test_a_bad_value_is_told_by_what_it_must_be() -> None:
    assert schema_fault(ASKED).reason == Text(
        nb="Verdien i GenDate er ikke gyldig: den skal være dato og tid som 2026-11-21T09:30:00+01:00.",
        en="The value of GenDate is not valid: it must be date and time as 2026-11-21T09:30:00+01:00.",
    )
    length = replace(ASKED, attribute="V", facet="maxLength", limit="70", type_name="token")
    assert (
        schema_fault(length).reason.en
        == "The value of attribute V of GenDate is not valid: it must be at most 70 characters."
    )
    unnamed = replace(ASKED, type_name="NMTOKEN")
    assert schema_fault(unnamed).hint.nb == "Skriv en verdi som er av typen NMTOKEN."
    nothing = replace(ASKED, type_name="")
    assert schema_fault(nothing).hint.en == "Write a value that is valid."


def test_what_is_expected_is_listed_in_the_readers_language() -> None:
    missing = schema_fault(replace(ASKED, kind=FaultKind.MISSING_ELEMENT))
    assert missing.hint == Text(nb="Legg til Ack eller Sender.", en="Add Ack or Sender.")
    closed = schema_fault(replace(ASKED, kind=FaultKind.UNEXPECTED_ELEMENT, expected=()))
    assert closed.reason.nb == "GenDate kan ikke stå her. Her kan stå: ingenting."


def test_a_fault_may_bring_its_own_code() -> None:
    told = fault("party.level", line=1, path="/x", apprec="E21", element="Receiver", level="2")
    assert (told.apprec, told.reason.en) == ("E21", "Receiver has no HER-id on level 2.")
    assert fault("party.same", line=1, path="/x").apprec == "T02"


def test_a_rule_without_words_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        fault("party.nonsense", line=None, path="")
    with pytest.raises(KeyError):
        fault("party.level", line=None, path="")
