"""The map of ebMS 2.0 is whole, names tests that are there, and stands in the page as it is."""

import pytest

from tests.docs.conformance_map import (
    PAGE,
    SABOTAGES,
    Answer,
    counts,
    faults,
    main,
    read,
    renewed,
)

REQUIREMENTS = read()


def test_every_answer_can_be_true() -> None:
    print(counts(REQUIREMENTS))
    assert faults(REQUIREMENTS) == []
    assert {one.answer for one in REQUIREMENTS} == set(Answer)


def test_the_page_is_made_from_the_map() -> None:
    page = PAGE.read_text("utf-8")
    assert renewed(page, REQUIREMENTS) == page, "run: python -m tests.docs.conformance_map"


SEEN_AS = {
    "rename-a-test": "has no test_",
    "lose-a-row": "has no row 'xyzzy'",
    "lose-a-harness-row": "no row 'xyzzy' in forgery",
    "met-without-a-test": "no test says so",
    "deviate-without-a-reason": "without a reason",
    "one-id-twice": "E1.3-01 stands twice",
    "too-few": "at least 216",
    "name-a-test-that-skips": "may skip itself",
}


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_planted_fault_is_seen(name: str) -> None:
    found = faults(*SABOTAGES[name](REQUIREMENTS))
    assert any(SEEN_AS[name] in fault for fault in found), found


def test_the_command_is_red_with_a_planted_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = PAGE.read_text("utf-8")
    monkeypatch.setenv("SABOTAGE", "rename-a-test")
    assert main() == 1
    assert capsys.readouterr().out.endswith("\nred\n")
    assert PAGE.read_text("utf-8") == before
    monkeypatch.setenv("SABOTAGE", "no-such-thing")
    assert main() == 2
