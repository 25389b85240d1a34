"""The soak runs in its short form, and sees what is not let go; its judgement is tried on made-up samples too."""

import os
import subprocess
import sys
from xml.etree.ElementTree import fromstring

import pytest

from tests.again import red_only_if_it_repeats
from tests.soak.__main__ import SHORT, _long, judge
from tests.soak.plot import picture
from tests.soak.run import Run
from tests.soak.watch import MB, Sample, slope


def run(sabotage: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", "tests.soak", "--short"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.timeout(900)
def test_nothing_grows_through_kills_and_full_disks() -> None:
    done = red_only_if_it_repeats(lambda: run(""))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "green" in done.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("sabotage", "seen"), [("leak-handles", "handles more or less, at most")])
def test_the_harness_sees_a_planted_fault(sabotage: str, seen: str) -> None:
    done = run(sabotage)
    assert done.returncode == 1, done.stdout + done.stderr
    assert seen in done.stdout


def _samples(
    seconds: float, *, a_minute: float = 0.0, handles: float = 0.0, log: int = MB, pids: int = 1
) -> list[Sample]:
    """Return a sample a second: memory grows by MB, handles by a number, in each minute."""
    return [
        Sample(
            at=float(at),
            pid=1 + at * pids // int(seconds),
            memory=int((80 + a_minute * at / 60) * MB),
            handles=30 + int(handles * at / 60),
            threads=20,
            log=log,
        )
        for at in range(int(seconds))
    ]


def test_memory_that_grows_by_six_megabytes_in_ten_minutes_is_too_much_and_four_are_not() -> None:
    plan, bars = _long(30)
    full = {"faults": [(0.0, "x")] * 60, "letters": 10_000}
    assert judge(Run(samples=_samples(1800, a_minute=0.4), **full), plan, bars)[1] == []  # type: ignore[arg-type]
    (wrong,) = judge(Run(samples=_samples(1800, a_minute=0.6), **full), plan, bars)[1]  # type: ignore[arg-type]
    assert "MB of memory in 10 minutes" in wrong
    assert slope(_samples(60, a_minute=60)) == pytest.approx(MB, rel=0.01)


@pytest.mark.parametrize(
    ("samples", "seen"),
    [
        (_samples(70, handles=60), "handles more or less"),
        (_samples(70, log=65 * MB), "MB of log"),
        (_samples(70, pids=4), "not one process"),
        (_samples(30), "samples"),
    ],
)
def test_each_bar_can_be_missed(samples: list[Sample], seen: str) -> None:
    plan, bars = SHORT
    wrong = judge(Run(samples=samples, faults=[(0.0, "x")] * 9, letters=300), plan, bars)[1]
    assert any(seen in one for one in wrong), wrong


def test_the_picture_breaks_its_lines_where_the_process_was_another() -> None:
    drawn = fromstring(picture("a & b", _samples(70, pids=2), [(7.0, "kill ours")]))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 2 * 4
