"""The kill harness finds nothing lost, and finds the planted fault."""

import os
import subprocess
import sys

import pytest


def _run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.store.kill"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=110,
    )


def test_nothing_that_was_reported_is_lost_when_the_process_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    done = _run(SABOTAGE="")
    with capsys.disabled():
        print("\n " + done.stdout, end="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 lost" in done.stdout


def test_an_answer_before_the_commit_is_found() -> None:
    done = _run(SABOTAGE="reply-before-commit", KILLS="4")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "  lost: " in done.stdout, done.stderr
