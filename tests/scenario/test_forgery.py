"""The harness of forgeries is green, and red with every planted fault."""

from pathlib import Path

import pytest

from tests.scenario.forgery import SABOTAGES, by_layer, green, main, run, sabotage, show

THREAT_MODEL = (Path(__file__).parents[2] / "docs" / "threat-model.md").read_text("utf-8").replace("\n", " ")


async def test_no_forgery_is_believed_every_original_is_and_the_document_says_how_many(tmp_path: Path) -> None:
    report = await run(tmp_path)
    assert green(report), show(report)
    assert f"{len(report.rows)} forgeries, {report.verified()} of them at signature verification" in THREAT_MODEL
    assert f"{len(report.controls)} controls" in THREAT_MODEL
    assert by_layer(report) in THREAT_MODEL
    assert all(f"`{name}`" in THREAT_MODEL for name in SABOTAGES)


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


def test_the_command_is_red_with_a_planted_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SABOTAGE", "believe-any-receipt")
    assert main() == 1
    assert capsys.readouterr().out.endswith("\nred\n")


def test_the_command_knows_its_planted_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SABOTAGE", "no-such-thing")
    assert main() == 2
