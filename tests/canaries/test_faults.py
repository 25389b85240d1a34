"""The canary harness runs, and sees a planted fault."""

import os
import subprocess
import sys

import pytest


def run(sabotage: str, harness: str = "faults") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", f"tests.canaries.{harness}"]
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


def test_no_secret_comes_out_of_a_log_line_a_metric_or_an_alert() -> None:
    done = run("", "lines")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n0 came out" in done.stdout


def test_the_search_for_secrets_sees_a_scrubber_that_is_off() -> None:
    done = run("scrubber-off", "lines")
    assert done.returncode == 1, done.stdout + done.stderr
    for place in ("log", "mail", "webhook"):
        assert f" in {place}\n" in done.stdout
