"""The harness of broken ciphertexts is green, and red with every planted fault."""

from pathlib import Path

import pytest

from tests.scenario.oracle import SABOTAGES, green, main, run, sabotage, show

SEEN_AS = {
    "tell-the-cause": "TOLD APART",
    "another-code-for-what-opens": "TOLD APART inside",
    "open-before-verifying": "OPENED no signature",
    "never-hold": "HOLD: not so: one more gets 503",
    "hold-and-open": "HOLD: not so: nothing was decrypted",
}


THREAT_MODEL = (Path(__file__).parents[2] / "docs" / "threat-model.md").read_text("utf-8").replace("\n", " ")


async def test_every_answer_is_the_one_answer_and_the_document_says_how_many(tmp_path: Path) -> None:
    report = await run(tmp_path)
    assert green(report), show(report)
    assert f"{len(report.kinds)} kinds, {sum(report.kinds.values())} of them at the private key" in THREAT_MODEL
    assert f"| {len(set(report.unsigned))} kinds |" in THREAT_MODEL
    assert f"| {len(report.held)} steps |" in THREAT_MODEL
    assert all(f"`{name}`" in THREAT_MODEL for name in SABOTAGES)


@pytest.mark.parametrize("name", SABOTAGES)
async def test_a_planted_fault_is_seen(name: str, tmp_path: Path) -> None:
    with sabotage(name):
        report = await run(tmp_path, ways=(True,))
    assert not green(report)
    assert any(fault.startswith(SEEN_AS[name]) for fault in report.faults), show(report)


def test_the_command_is_red_with_a_planted_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SABOTAGE", "never-hold")
    assert main() == 1
    assert capsys.readouterr().out.endswith("\nred\n")


def test_the_command_knows_its_planted_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SABOTAGE", "no-such-thing")
    assert main() == 2
