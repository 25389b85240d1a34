"""The whole path between real processes: the demo, the guide for EPJ vendors, and the search for canaries."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.demo.cases import make_cases
from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness
from tests.scenario import canary_run, whole_path
from tests.scenario.guide import script, steps

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "integrating.md"
OPERATING = ROOT / "docs" / "operating.md"
PARTNERS = ROOT / "docs" / "partners.md"
CASES = make_cases(SystemRandomness().id, SystemClock().now())


@dataclass(frozen=True, slots=True)
class Staying:
    """A demo that has come to its end and stays."""

    process: subprocess.Popen[str]
    folder: Path
    said: str


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", **more}


@pytest.fixture(scope="module")
def staying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staying]:
    folder = tmp_path_factory.mktemp("stay")
    process = subprocess.Popen(
        [sys.executable, "-m", "broker", "demo", "--stay"],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    # Should it hang, its end is what ends the reading.
    watchdog = threading.Timer(200, process.kill)
    watchdog.start()
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "/api/v1/messages/" in line and line.startswith("curl"):
                break
        yield Staying(process, folder, said)
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        process.wait(30)


def test_every_case_of_the_demo_goes_there_and_back(staying: Staying) -> None:
    print(staying.said)
    assert f"{len(CASES)} of {len(CASES)} ended as they should" in staying.said
    for case in CASES:
        assert re.search(rf"{re.escape(case.title.en)} .* yes *$", staying.said, re.MULTILINE)


def test_the_demo_takes_less_than_two_minutes(staying: Staying) -> None:
    spent = re.search(r"should, in (\d+) s", staying.said)
    assert spent is not None
    assert int(spent[1]) < 120


def test_the_lines_to_try_work_when_pasted(staying: Staying) -> None:
    lines = [line for line in staying.said.splitlines() if line.startswith(("curl", ". "))]
    assert len(lines) == 3
    pasted = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60)
    assert pasted.returncode == 0, pasted.stderr
    assert '"replayed": false' in pasted.stdout
    assert '"stopPoint"' in pasted.stdout


@pytest.mark.parametrize(
    ("guide", "least", "shown"),
    [(GUIDE, 12, 10), (OPERATING, 12, 10), (PARTNERS, 14, 12)],
    ids=["epj", "operator", "partners"],
)
def test_every_command_of_the_guide_runs_and_says_what_the_guide_shows(
    staying: Staying, guide: Path, least: int, shown: int
) -> None:
    found = steps(guide)
    assert len(found) >= least
    assert sum(bool(step.answer) for step in found) >= shown
    mark = "@@step@@"
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", script(found, mark)],
        cwd=staying.folder,
        env=environment(PYTHONPATH=str(ROOT), PATH=commands),
        capture_output=True,
        text=True,
        timeout=90,
    )
    rest = ran.stdout
    for number, step in enumerate(found):
        said, end, rest = rest.partition(f"\n{mark} {number}\n")
        assert end, f"{guide.name}, line {step.line}, did not get through: {said}{ran.stderr}"
        assert step.fits(said), f"{guide.name}, line {step.line}, says: {said}"
    assert ran.returncode == 0


def test_a_guide_that_shows_another_answer_is_noticed() -> None:
    shown = next(step for step in steps(GUIDE) if "K8" in step.answer)
    assert shown.fits('{"confirmed": 1}\nK8\n')
    assert not shown.fits('{"confirmed": 1}\nK7\n')
    assert not shown.fits("")


# After the tests that talk to it.
def test_a_demo_that_is_told_to_stop_leaves_no_process_behind(staying: Staying) -> None:
    children = _processes_of(staying.folder)
    assert len(children) == 6
    staying.process.send_signal(signal.SIGINT)
    staying.process.send_signal(signal.SIGTERM)  # and an impatient second
    assert staying.process.wait(60) == 0
    assert _processes_of(staying.folder) == []
    assert (staying.folder / ".demo" / "fjordvik" / "broker.log").stat().st_size > 0


def test_a_demo_that_is_stopped_in_the_middle_leaves_no_process_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "broker", "demo"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    watchdog = threading.Timer(100, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            if "K6" in line:
                break
        assert len(_processes_of(tmp_path)) == 6
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(60) == 130
    finally:
        watchdog.cancel()
        process.stdout.close()
    assert "Traceback" not in rest
    assert _processes_of(tmp_path) == []


def test_a_demo_whose_folder_is_not_its_own_says_so_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("Kjære dagbok")
    ran = run_harness("broker", "demo", "--dir", str(tmp_path))
    assert ran.returncode == 1
    assert "not empty" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


def _processes_of(folder: Path) -> list[int]:
    """Return the processes that were started with a file of `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue  # it has ended meanwhile
        if str(folder).encode() in arguments:
            found.append(int(entry.name))
    return found


def run_harness(module: str, *arguments: str, sabotage: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(SABOTAGE=sabotage, COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.mark.parametrize("sabotage", whole_path.SABOTAGES)
def test_the_demo_goes_red_when_something_is_planted(sabotage: str, tmp_path: Path) -> None:
    complaints = {
        "careless-epj": [
            "epj-rejects: the receiver's ledger does not hold",
            "receipt-withheld: the verdict did not wait",
        ],
        "other-bytes": ["epj-1-1-utf-8: the receiver got other bytes"],
    }
    ran = run_harness("tests.scenario.whole_path", str(tmp_path / "demo"), sabotage=sabotage)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert all(complaint in ran.stdout for complaint in complaints[sabotage]), ran.stdout


def test_no_canary_gets_out_of_the_documents(tmp_path: Path) -> None:
    ran = run_harness("tests.scenario.canary_run", str(tmp_path / "canaries"))
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("sabotage", canary_run.SABOTAGES)
def test_a_planted_leak_is_seen(sabotage: str, tmp_path: Path) -> None:
    ran = run_harness("tests.scenario.canary_run", str(tmp_path / "canaries"), "--short", sabotage=sabotage)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "SEEN: " in ran.stdout
