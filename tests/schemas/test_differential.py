"""The short form of the differential harness: all cases, every fifth mutant; and each planted fault turns it red."""

from pathlib import Path

import pytest

from broker.envelope.xml import parse
from broker.validation.faults import FaultKind
from broker.validation.xsd import MSGHEAD_DRIVER, SchemaSet
from tests.schemas import differential
from tests.schemas.official import Official, reference_or_skip


@pytest.fixture
def folder() -> Path:
    return reference_or_skip()


def test_our_verdict_is_the_published_one_and_our_mutants_are_seen(folder: Path) -> None:
    assert differential.run(folder, print, every=5) == []


@pytest.mark.parametrize("sabotage", ["loosen-occurs", "drop-required", "change-type"])
def test_a_planted_fault_in_a_schema_turns_it_red(folder: Path, sabotage: str) -> None:
    wrong = differential.run(folder, print, every=5, sabotage=sabotage)
    assert any("ours the opposite" in line for line in wrong)


def test_too_few_cases_turn_it_red(folder: Path) -> None:
    wrong = differential.run(folder, print, every=60, sabotage="few-cases")
    assert wrong
    assert any("the floor is" in line or "no reason is listed" in line for line in wrong)


def _documents(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / "examples" / kind).glob("*.xml"))


def test_published_receipts_are_valid(folder: Path) -> None:
    ours = SchemaSet.from_bytes(differential.our_files())
    receipts = _documents(folder, "apprec")
    assert len(receipts) >= 6
    for file in receipts:
        assert ours.check(parse(file.read_bytes(), max_bytes=1_000_000)) == (), file.name


def test_published_dialogues_are_valid_but_for_documents_that_have_no_schema_here(folder: Path) -> None:
    ours = SchemaSet.from_bytes(differential.our_files())
    official = Official(folder, MSGHEAD_DRIVER.file)
    dialogues = _documents(folder, "dialogue")
    assert len(dialogues) >= 5
    for file in dialogues:
        xml = parse(file.read_bytes(), max_bytes=1_000_000)
        faults = ours.check(xml)
        assert official.accepts(xml) == (not faults), file.name
        assert {fault.kind for fault in faults} <= {FaultKind.NO_SCHEMA}, file.name
        prescriptions = frozenset({"http://www.kith.no/xmlstds/eresept/m1/2010-05-01"})
        assert ours.check(xml, carried=prescriptions) == (), file.name
