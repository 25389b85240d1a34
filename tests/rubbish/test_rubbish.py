"""The harness runs whole, and sees what is planted."""

import os
import subprocess
import sys

import pytest

from tests.again import red_only_if_it_repeats


def run(sabotage: str, *parts: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", "tests.rubbish", *parts]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.timeout(900)
def test_no_rubbish_is_read_and_none_is_dear() -> None:
    done = red_only_if_it_repeats(lambda: run("", "readers"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 wrong" in done.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("sabotage", "groups", "seen"),
    [
        ("allow-doctype", ["way out"], "external entity, file: the file of the canary was opened"),
        ("allow-doctype", ["bomb"], "a comment in the declarations: read"),
        ("no-limit", ["shape"], "35 MB of elements: took"),
        ("no-limit", ["gzip"], "300 MB of nothing: took"),
    ],
)
def test_the_readers_harness_sees_a_planted_fault(sabotage: str, groups: list[str], seen: str) -> None:
    done = run(sabotage, "readers", *groups)
    assert done.returncode == 1, done.stdout + done.stderr
    wrong = done.stdout.partition(" wrong\n")[2]
    assert seen in wrong


@pytest.mark.timeout(900)
def test_the_daemon_outlives_all_rubbish_and_nobody_else_notices() -> None:
    done = red_only_if_it_repeats(lambda: run("", "daemon"))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert "\n0 wrong\n" in done.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("sabotage", "group", "seen"),
    [
        ("stall", "partner", "p99 of healthy documents is"),
        ("patient", "http", "a body that stops: -1"),
    ],
)
def test_the_daemon_harness_sees_a_planted_fault(sabotage: str, group: str, seen: str) -> None:
    done = run(sabotage, "daemon", group)
    assert done.returncode == 1, done.stdout + done.stderr
    assert seen in done.stdout
