"""The demo's cases are what the broker takes: judged by its own rules, before any process is started."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import pytest

from broker.demo.cases import PDF_SIZE, PORTAL, UNITS, make_cases
from broker.lookup.process_files import ProcessFiles
from broker.lookup.schemas import schema_files
from broker.lookup.shipped import shipped
from broker.message import Owed
from broker.routing.party import PartyKind
from broker.validation.codes import read_codes
from broker.validation.documents import Judged, judge
from broker.validation.xsd import SchemaSet

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
NUMBERS = count()
CASES = {case.name: case for case in make_cases(lambda: f"5d2c9f1e-0000-7000-8000-{next(NUMBERS):012}", NOW)}
Judge = Callable[[bytes], Judged]


@pytest.fixture(scope="module")
def judged() -> Judge:
    schemas = SchemaSet.from_bytes(schema_files(shipped("schemas")))
    codes = read_codes({path.name: path.read_text("utf-8") for path in (shipped("schemas") / "codes").glob("*.toml")})
    processes = ProcessFiles(shipped("processes")).current()
    portal = UNITS[PORTAL].her
    return lambda content: judge(
        content,
        schemas=schemas,
        processes=processes,
        codes=codes,
        environment="test",
        kind_of=lambda her: PartyKind.CITIZEN if her == portal else PartyKind.EPJ,
        at=NOW,
    )


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.refused])
def test_a_case_is_taken_without_a_word_and_owes_a_receipt(name: str, judged: Judge) -> None:
    found = judged(CASES[name].content)
    assert (found.faults, found.warnings) == ((), ())
    assert found.owed is Owed.ALWAYS
    assert found.head is not None
    assert found.head.msg_id == CASES[name].msg_id
    assert found.head.receiver.her == UNITS[CASES[name].receiver].her


def test_the_case_for_the_door_is_refused_for_its_check_digits_alone(judged: Judge) -> None:
    found = judged(CASES["refused-at-the-door"].content)
    assert [fault.rule for fault in found.faults] == ["number.impossible"]


def test_every_case_that_the_demo_promises_is_there() -> None:
    functions = {case.name for case in CASES.values()}
    assert len(functions) == 13
    assert sum(case.refused for case in CASES.values()) == 1
    assert sum(case.while_down for case in CASES.values()) == 1
    assert sum(case.rule.withhold for case in CASES.values()) == 1
    assert [case.rule.codes for case in CASES.values() if case.rule.status == "Rejected"] == [("E35",)]
    assert sum(len(case.content) > PDF_SIZE for case in CASES.values()) == 1
    latin = [case for case in CASES.values() if b'encoding="ISO-8859-1"' in case.content]
    assert len(latin) == 2
    assert all(case.content.decode("latin-1").encode("latin-1") == case.content for case in latin)
    (answer,) = (case for case in CASES.values() if case.answers)
    (question,) = (case for case in CASES.values() if case.msg_id == answer.answers)
    assert question.rule.reply == f"{answer.name}.xml"
