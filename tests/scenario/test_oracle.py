"""The harness of broken ciphertexts is green, and red with every planted fault."""

from pathlib import Path

import pytest

from tests.scenario.oracle import SABOTAGES, green, run, sabotage, show

SEEN_AS = {
    "tell-the-cause": "TOLD APART",
    "another-code-for-what-opens": "TOLD APART inside",
    "open-before-verifying": "OPENED no signature",
    "never-hold": "HOLD: not so: one more gets 503",
    "hold-and-open": "HOLD: not so: nothing was decrypted",
}


async def test_every_answer_is_the_one_answer(tmp_path: Path) -> None:
    report = await run(tmp_path)
    assert green(report), show(report)


@pytest.mark.parametrize("name", SABOTAGES)
async def test_a_planted_fault_is_seen(name: str, tmp_path: Path) -> None:
    with sabotage(name):
        report = await run(tmp_path, ways=(True,))
    assert not green(report)
    assert any(fault.startswith(SEEN_AS[name]) for fault in report.faults), show(report)
