"""The unit for systemd, the image's steps and the sample settings are what the documentation says of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from broker.config import load
from tests.service.image import Step, steps

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "ops" / "systemd" / "digihelse-broker.service"
EXPOSED = 20  # tenths of systemd's own measure, of a hundred


def settings() -> list[tuple[str, str]]:
    return re.findall(r"^(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


def test_the_unit_notifies_is_watched_and_hands_the_secrets_over() -> None:
    found = dict(settings())
    assert (found["Type"], found["StateDirectory"], found["StateDirectoryMode"]) == (
        "notify",
        "digihelse-broker",
        "0700",
    )
    assert found["RestartPreventExitStatus"] == "2"
    names = {value.partition(":")[0] for key, value in settings() if key == "LoadCredential"}
    assert names == {"site.key", "keys.passphrase"}
    # The broker needs timeouts.stop to end, and no watchdog may bite meanwhile.
    assert 25 < int(found["TimeoutStopSec"]) < int(found["WatchdogSec"])


def verified(unit: Path) -> list[str]:
    """Return what systemd has against a unit; what it says of this machine's other units is left out."""
    told = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    return [line for line in told.stderr.splitlines() if unit.name in line]


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """Where systemd is installed; elsewhere each line is at least a setting, in a section that there is."""
    text = UNIT.read_text("utf-8")
    assert re.findall(r"^\[(\w+)\]$", text, re.MULTILINE) == ["Unit", "Service", "Install"]
    assert [line for line in text.splitlines() if not re.fullmatch(r"|#.*|\[\w+\]|\w+=.*", line)] == []
    if shutil.which("systemd-analyze") is None:
        print("systemd-analyze is not installed: the unit was only parsed")
        return
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    assert verified(unit) == []
    exposed = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSED}", "--no-pager", str(unit)]
    told = subprocess.run(exposed, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout[-500:]
    print(told.stdout.splitlines()[-1])
    # The planted fault: what verifies must be able to refuse.
    unit.write_text(unit.read_text().replace("Type=notify", "Type=notifies"))
    assert verified(unit) != []


def test_the_sample_settings_of_the_documentation_are_valid(tmp_path: Path) -> None:
    sample = re.search(r"```toml\n(.*?)```", (ROOT / "docs/operating/install.md").read_text("utf-8"), re.DOTALL)
    assert sample is not None
    (tmp_path / "broker.toml").write_text(sample[1], "utf-8")
    assert load(tmp_path / "broker.toml").site_key == tmp_path / "secrets" / "site.key"


def test_the_image_is_for_no_root_writes_to_its_volume_alone_and_asks_for_its_health() -> None:
    image = steps((ROOT / "Dockerfile").read_text("utf-8"))
    last = image[max(number for number, step in enumerate(image) if step.word == "FROM") :]
    by_word = {step.word: step.rest for step in last}
    assert by_word["USER"] == "broker"
    assert by_word["VOLUME"] == "/var/lib/broker"
    assert '["/opt/broker/bin/broker", "check", "--health"]' in by_word["HEALTHCHECK"]
    assert [step for step in last[[step.word for step in last].index("USER") :] if step.word in ("RUN", "COPY")] == []
    for step in image:
        if step.word == "COPY" and "--from" not in step.rest:
            assert all((ROOT / name).exists() for name in step.rest.split()[:-1]), step
    assert any("--require-hashes" in step.rest for step in image if step.word == "RUN")


def test_a_step_that_nobody_knows_is_refused() -> None:
    assert steps("# why\nRUN a && \\\n  b\n") == [Step(word="RUN", rest="a && b")]
    with pytest.raises(ValueError, match="ADD"):
        steps("ADD https://example.org/x /x\n")
