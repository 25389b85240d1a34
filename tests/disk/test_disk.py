"""The harness of the disk runs in its short form, and sees each planted fault."""

import os
import subprocess
import sys

import pytest


def run(*arguments: str, sabotage: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", "tests.disk", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=220, check=False)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("part", ["faults", "full", "rot"])
def test_a_disk_that_fails_is_full_or_rots_breaks_no_promise(part: str) -> None:
    done = run("--only", part)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "green" in done.stdout


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("part", "sabotage", "seen"),
    [
        ("faults", "ack-before-commit", "Acknowledgment of Notat: given before its commit"),
        ("faults", "reply-before-fsync", "given before its commit was on disk"),
        ("faults", "skip-dir-fsync", "given before its file, name and all, was on disk"),
        ("rot", "trust-damaged", "turned bits of one body were not noticed"),
    ],
)
def test_the_harness_sees_a_planted_fault(part: str, sabotage: str, seen: str) -> None:
    done = run("--only", part, sabotage=sabotage)
    assert done.returncode == 1, done.stdout + done.stderr
    assert seen in done.stdout
