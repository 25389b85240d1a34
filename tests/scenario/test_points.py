"""The harness of every commit point, in its short form; and that it goes red with each fault planted."""

import os
import subprocess
import sys

import pytest

from tests.scenario.broken_brokers import SABOTAGES


def harness(*arguments: str, sabotage: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.scenario.points", *arguments],
        env=os.environ | {"SABOTAGE": sabotage},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(300)
def test_the_ledgers_balance_wherever_a_broker_is_killed() -> None:
    done = harness("--short")
    print(done.stdout[-4000:], done.stderr[-2000:])
    assert done.returncode == 0
    assert "green: every ledger balances" in done.stdout


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_broker_that_breaks_a_promise_is_seen(sabotage: str) -> None:
    done = harness("--journey", "no receipt owed, on its own", sabotage=sabotage)
    print(done.stdout[-4000:], done.stderr[-2000:])
    assert done.returncode == (1 if sabotage else 0)
    # It is the ledgers that give it away, and not the counts.
    assert ("complaints" in done.stdout and "TOO FEW" not in done.stdout) is bool(sabotage)
