"""The harness of forgeries is green, and red with every planted fault."""

from pathlib import Path

import pytest

from tests.scenario.forgery import SABOTAGES, green, run, sabotage, show


async def test_no_forgery_is_believed_and_every_original_is(tmp_path: Path) -> None:
    report = await run(tmp_path)
    assert green(report), show(report)


@pytest.mark.parametrize("name", SABOTAGES)
async def test_a_planted_fault_is_seen_as_a_forgery_that_was_believed(name: str, tmp_path: Path) -> None:
    with sabotage(name):
        report = await run(tmp_path)
    assert not green(report)
    assert [fault for fault in report.faults if fault.startswith(("ACCEPTED", "ACKNOWLEDGED"))], show(report)
