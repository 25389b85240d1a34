"""The matrix of engines and cases runs, and sees a fault on either side."""

import os
import subprocess
import sys

import pytest

from tests.interop.matrix import ALL, FLOOR, TURNS, rows


def run(*arguments: str, sabotage: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", "tests.interop", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)


def test_the_table_has_every_engine_in_every_turn() -> None:
    table = rows()
    assert len(table) >= FLOOR
    assert {row.place.engine for row in table} == set(ALL)
    for turn in TURNS:
        assert {row.place.engine for row in table if row.turn == turn} >= (
            {"ebms-core"} if turn == "large" else set(ALL)
        )


@pytest.mark.timeout(450)
def test_every_engine_and_case_holds_on_both_sides() -> None:
    done = run()
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "green" in done.stdout


@pytest.mark.timeout(450)
@pytest.mark.parametrize(
    ("sabotage", "engine", "case", "word"),
    [
        ("ack-without-actor", "ebms-core", "same bytes later", "the peer told 0 of 1 state"),
        ("deaf-to-5xx", "", "500, then well", "ours is Rejected"),
        ("lax-peer", "", "our certificate unknown", "ours is Acknowledged"),
    ],
)
def test_a_planted_fault_is_seen(sabotage: str, engine: str, case: str, word: str) -> None:
    done = run("--engine", engine, "--case", case, sabotage=sabotage)
    assert done.returncode == 1, done.stdout + done.stderr
    assert word in done.stdout
    assert "red" in done.stdout
