"""The harness of the bad partners runs in its short form, and sees a claim that knows no lanes."""

import os
import subprocess
import sys

import pytest

from tests.again import red_only_if_it_repeats


def run(sabotage: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", "tests.partner", "--short"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.timeout(900)
def test_bad_partners_cost_a_healthy_one_nothing() -> None:
    done = red_only_if_it_repeats(lambda: run(""))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "green" in done.stdout


@pytest.mark.timeout(300)
def test_the_harness_sees_a_planted_fault() -> None:
    done = run("no-lanes")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "bad partners cost a healthy one" in done.stdout
