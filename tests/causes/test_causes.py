"""Every cause is produced and named rightly, and the harness sees the faults that are planted in what is told."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from broker.demo.cases import FJORDVIK
from broker.demo.children import stop_all
from broker.demo.questions import Questions
from broker.demo.start import start_broker, until_ready
from tests.causes.__main__ import CASES, FLOOR, FLOOR_OF_IDS, run
from tests.rig.sites import quick_sites


@pytest.mark.timeout(300)
def test_every_cause_is_produced_and_called_by_its_name() -> None:
    command = [sys.executable, "-m", "tests.causes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) causes produced, (\d+) error ids, 0 wrong", done.stdout)
    assert counted is not None
    assert int(counted[1]) >= FLOOR
    assert int(counted[2]) >= FLOOR_OF_IDS


@pytest.mark.timeout(60)
@pytest.mark.parametrize("sabotage", ["", "swap-causes", "all-unexpected", "operators-differ", "one-language"])
def test_the_harness_sees_a_planted_fault(sabotage: str, capsys: pytest.CaptureFixture[str]) -> None:
    few = [case for case in CASES if case.error_id in ("MB-2002", "MB-3202")]
    assert run(few, sabotage=sabotage) is (sabotage == "")
    assert ("WRONG" in capsys.readouterr().out) is (sabotage != "")


@pytest.mark.timeout(60)
async def test_the_running_broker_tells_the_alarms_that_belong_to_no_message(tmp_path: Path) -> None:
    reserve = shutil.disk_usage(tmp_path).free // 2
    site = quick_sites(tmp_path, settings=f"[limits]\nreserve = {reserve}\n")[FJORDVIK]
    (site.folder / "addresses" / "wrong.toml").write_text("her_id = 0\n", "utf-8")
    child = await start_broker(site)
    try:
        questions = Questions(site.api, site.token)
        await until_ready(child, questions)
        await questions.close()
        connector = aiohttp.UnixConnector(str(site.folder / "data" / "operator.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as operators,
            operators.get("http://broker/conditions") as answer,
        ):
            told = await answer.json()
    finally:
        await stop_all([child])
    assert {"MB-6005", "MB-9001"} <= {one["errorId"] for one in told}
    for one in told:
        assert one["sentence"]["nb"] != one["sentence"]["en"]
        assert one["ball"] == "person"
