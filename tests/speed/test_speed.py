"""The commands that look are quick, and load little, over a smaller store; the whole is `make operator-speed`."""

import os
import subprocess
import sys

import pytest


def run(messages: int, *more: str, sabotage: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.speed", "--messages", str(messages), *more],
        env=os.environ | {"SABOTAGE": sabotage},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_all_is_answered_in_time_and_nothing_heavy_is_loaded() -> None:
    ran = run(10_000, "--times", "2", "--slack", "2")  # beside other work, half as fast will do
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "10000 messages, 500 open" in ran.stdout
    assert "21 figures (floor 21), 0 bad" in ran.stdout


@pytest.mark.parametrize(
    ("sabotage", "messages", "part", "said"),
    [("heavy", 1_000, "alone", "LOADS aiohttp"), ("one-by-one", 40_000, "daemon", "TOO SLOW")],
)
def test_a_planted_fault_turns_it_red(sabotage: str, messages: int, part: str, said: str) -> None:
    ran = run(messages, "--times", "1", "--part", part, sabotage=sabotage)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert said in ran.stdout
