"""The canary harness runs, and sees a planted fault."""

import os
import subprocess
import sys

import pytest


def run(sabotage: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", "tests.canaries.faults"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110, check=False)


def test_no_word_of_a_document_comes_out_of_a_fault() -> None:
    done = run("")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "; 0 with a word come out" in done.stdout


@pytest.mark.parametrize("sabotage", ["echo-value"])
def test_the_harness_sees_a_planted_fault(sabotage: str) -> None:
    done = run(sabotage)
    assert done.returncode == 1
    assert "; 0 with a word come out" not in done.stdout
    assert "documents, " in done.stdout
