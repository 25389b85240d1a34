"""The kill harness in its short form, and that it goes red with each fault planted."""

import os
import subprocess
import sys

import pytest

from tests.kill.__main__ import SABOTAGES


@pytest.mark.timeout(400)
@pytest.mark.parametrize("sabotage", ["", *SABOTAGES])
def test_every_202_ends_once_under_kills_and_a_broker_that_promises_too_early_is_seen(sabotage: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill", "--short", "--seed", "1"],
        env=os.environ | {"SABOTAGE": sabotage},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-4000:], done.stderr[-2000:])
    assert done.returncode == (1 if sabotage else 0)
    if sabotage:
        assert "RED: 0" in done.stdout  # a document that does not balance, and not only a count
