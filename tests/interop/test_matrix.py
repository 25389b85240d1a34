"""The matrix of engines and cases runs, and sees a fault on either side."""

import os
import subprocess
import sys

import pytest

from tests.interop.matrix import ALL, FLOOR, TURNS, rows


def begin(*arguments: str, sabotage: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", "tests.interop", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


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
    done = begin()
    said, _ = done.communicate(timeout=400)
    print(said)
    assert done.returncode == 0
    assert "green" in said


PLANTED = [
    ("ack-without-actor", ("--engine", "ebms-core", "--case", "same bytes later"), "the peer told 0 of 1 state"),
    ("deaf-to-5xx", ("--case", "500, then well"), "ours is Rejected"),
    ("lax-peer", ("--case", "our certificate unknown"), "ours is Acknowledged"),
]


@pytest.mark.timeout(300)
def test_planted_faults_are_seen() -> None:
    runs = [(begin(*what, sabotage=sabotage), word) for sabotage, what, word in PLANTED]
    for run, word in runs:
        said, _ = run.communicate(timeout=250)
        print(said)
        assert run.returncode == 1
        assert word in said
        assert said.endswith("red\n")
