"""The harness of forgeries is green, and red with every planted fault."""

from pathlib import Path

import pytest

from tests.scenario.forgery import SABOTAGES, green, run, sabotage, show


async def test_no_forgery_is_believed_and_every_original_is(tmp_path: Path) -> None:
    report = await run(tmp_path)
    assert green(report), show(report)


# The parts of the harness that see each: the whole run sees them all.
SEEN_IN = {
    "descendant-search": ("messages",),
    "skip-digests": ("messages",),
    "skip-sender-check": ("messages", "receipts"),
    "believe-any-certificate": ("acknowledgments", "message-errors"),
    "accept-unsigned-ack": ("acknowledgments", "answers"),
    "accept-any-digests": ("acknowledgments", "answers"),
    "believe-any-receipt": ("receipts",),
    "skip-duplicate-check": ("messages", "receipts"),
}


@pytest.mark.parametrize(("name", "part"), [(name, part) for name in SABOTAGES for part in SEEN_IN[name]])
async def test_a_planted_fault_is_seen_as_a_forgery_that_was_believed(name: str, part: str, tmp_path: Path) -> None:
    with sabotage(name):
        report = await run(tmp_path, (part,))
    assert [fault for fault in report.faults if fault.startswith(("ACCEPTED", "ACKNOWLEDGED"))], show(report)
