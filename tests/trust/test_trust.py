"""The table of chains, with the faults that it must see."""

import pytest

from tests.trust.__main__ import run
from tests.trust.bench import SABOTAGES
from tests.trust.cases import CASES


def test_every_chain_gets_its_verdict_and_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    right = run(CASES, sabotage="")
    told = capsys.readouterr().out
    assert right, "\n".join(line for line in told.splitlines() if "WRONG" in line)
    assert len(CASES) >= 100


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_planted_fault_is_seen(sabotage: str, capsys: pytest.CaptureFixture[str]) -> None:
    few = [case for case in CASES if "after the Timestamp" in case.name or case.name == "name in capitals"]
    assert len(few) == 3
    assert run(few, sabotage="")
    assert not run(few, sabotage=sabotage)
    assert "WRONG" in capsys.readouterr().out
