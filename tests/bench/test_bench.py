"""The benchmark runs, and sees a broker that loads its key for every message."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LAST_LINE = re.compile(r"ratio=[0-9.]+ rsa=[0-9.]+")


def run(sabotage: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", "--short"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"SABOTAGE": sabotage},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.mark.timeout(300)
def test_two_brokers_keep_pace_with_the_straight_line() -> None:
    said = run("")
    print(said.stdout)
    assert said.returncode == 0, said.stdout + said.stderr
    assert LAST_LINE.fullmatch(said.stdout.splitlines()[-1])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sabotage", ["slow-key-load"])
def test_a_planted_fault_is_seen(sabotage: str) -> None:
    said = run(sabotage)
    assert said.returncode == 1, said.stdout + said.stderr
    assert "is below" in said.stdout
    assert LAST_LINE.fullmatch(said.stdout.splitlines()[-1])
