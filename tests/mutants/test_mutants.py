"""No mutant of a signed message is believed as something else; planted faults let some through, and they are seen."""

import os
import re
import subprocess
import sys

import pytest

from tests.mutants.__main__ import SHORT, controls
from tests.mutants.run import OPERATORS, mutant, run
from tests.mutants.sabotage import SABOTAGES


def mutants(*arguments: str, sabotage: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", "tests.mutants", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.timeout(300)
def test_no_mutant_is_believed_that_means_something_else() -> None:
    done = mutants("--short")
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) mutants, (\d+) as far as the signature, (\d+) believed", done.stdout)
    assert counted is not None, done.stdout
    assert int(counted[1]) >= SHORT * 0.98
    assert int(counted[2]) >= SHORT * 0.49
    assert int(counted[3]) >= SHORT * 0.1
    assert "0 believed that mean something else" in done.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SABOTAGES)
def test_a_planted_fault_is_found_among_as_many_mutants(name: str) -> None:
    tally = run(range(SHORT), 1, name, stop=True)
    print(*tally.findings)
    (found,) = tally.findings
    assert found.what.startswith("believed, and changed")


def test_a_planted_fault_turns_the_command_red() -> None:
    done = mutants("--count", "400", "--seed", "1", sabotage="skip-digest-check")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED believed, and changed" in done.stdout
    assert run(range(400), 1).digest in done.stdout, "another process makes other mutants of the same seed"


def test_the_originals_are_what_they_are_meant_to_be() -> None:
    assert controls() == []


def test_a_seed_and_a_number_give_the_same_mutant_again() -> None:
    for number in range(0, len(OPERATORS), 7):
        assert mutant(7, number) == mutant(7, number)
    assert run(range(40), 7).digest == run(range(40), 7).digest != run(range(40), 8).digest
