"""No mutant of a signed envelope is believed as something else than the original; one that is would be seen."""

import pytest

from tests.oracles import mutants


def test_no_forgery_comes_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.main(3_000) == 0, capsys.readouterr().out


def test_a_planted_fault_lets_one_through(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SABOTAGE", "leave-out-anything")
    assert mutants.main(1_000) == 1
    assert "FAILED mutant" in capsys.readouterr().out
