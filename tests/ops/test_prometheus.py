"""The alert rules see what they say that they see, and name no metric that the program does not have."""

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from broker import gauges
from broker.diagnosis.conditions import Facts, Term
from broker.telemetry import REGISTRY
from tests.unit.web.values import NOW

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "ops" / "prometheus"
PAGE = ROOT / "docs" / "operating" / "monitoring.md"
ABOUT = ("BrokerStalled ", "BrokerDiskFull ")
NAME = re.compile(r"\bbroker_[a-z0-9_]+")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def _samples(metric: Metric) -> list[str]:
    return [metric.name + suffix for suffix in SUFFIXES[metric.type]]


def _known() -> set[str]:
    return {name for metric in REGISTRY.collect() for name in _samples(metric)}


def _expressions(rules: str) -> str:
    return "\n".join(line for line in rules.splitlines() if line.lstrip().startswith("expr:"))


@pytest.fixture(scope="session")
def promtool() -> str:
    found = subprocess.run([ROOT / "scripts" / "promtool"], capture_output=True, text=True, timeout=100, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def _check(promtool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [promtool, "test", "rules", "alerts_test.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def _copy(folder: Path, change: tuple[str, str]) -> None:
    for path in FOLDER.glob("*.yml"):
        text = path.read_text("utf-8")
        if path.name == "alerts.yml":
            assert change[0] in text
            text = text.replace(*change)
        else:  # the cases that the change is about; all of them take seconds
            first, *cases = text.split("  - name: ")
            text = "  - name: ".join([first, *(case for case in cases if case.startswith(ABOUT))])
        (folder / path.name).write_text(text, "utf-8")


def test_every_metric_of_a_rule_is_one_that_the_program_has() -> None:
    named = set(NAME.findall(_expressions((FOLDER / "alerts.yml").read_text("utf-8"))))
    assert len(named) >= 12
    assert named - _known() == set()


def test_the_check_of_names_sees_a_renamed_metric() -> None:
    renamed = (FOLDER / "alerts.yml").read_text("utf-8").replace("broker_disk_free_bytes", "broker_disk_bytes")
    assert set(NAME.findall(_expressions(renamed))) - _known() == {"broker_disk_bytes"}


def test_every_label_of_a_rule_is_one_of_the_metric() -> None:
    gauges.show((), (), (), now=NOW)
    terms = tuple(Term(whose="1", own=own, ends=None) for own in (True, False))
    gauges.surroundings(Facts(now=NOW, free=1, reserve=0, terms=terms))
    text = (FOLDER / "alerts.yml").read_text("utf-8")
    labels = {
        name: {label for sample in metric.samples for label in sample.labels}
        for metric in REGISTRY.collect()
        for name in _samples(metric)
    }
    used = re.findall(r"\b(broker_[a-z0-9_]+)\{([^}]*)\}", text)
    assert len(used) >= 10
    for name, inside in used:
        assert set(re.findall(r"(\w+)=", inside)) <= labels[name], name


def test_the_rules_hold_by_promtool_and_each_is_tested_both_ways(promtool: str) -> None:
    done = _check(promtool, FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text("utf-8"))
    cases = re.findall(r"- name: (\w+) (fires|is silent)", (FOLDER / "alerts_test.yml").read_text("utf-8"))
    assert len(rules) >= 20
    assert sorted(cases) == sorted((rule, how) for rule in rules for how in ("fires", "is silent"))


@pytest.mark.parametrize(
    "change",
    [
        ("broker_disk_free_bytes <", "broker_disk_bytes <"),
        ('stage=~"K[1-5]"} > 900', 'stage=~"K[1-5]"} > 9000'),
    ],
)
def test_promtool_sees_a_rule_that_has_gone_wrong(promtool: str, tmp_path: Path, change: tuple[str, str]) -> None:
    _copy(tmp_path, ("", ""))
    assert _check(promtool, tmp_path).returncode == 0
    _copy(tmp_path, change)
    assert _check(promtool, tmp_path).returncode != 0


def test_every_metric_stands_in_the_page_and_every_metric_of_the_page_is_there() -> None:
    page = set(NAME.findall(PAGE.read_text("utf-8")))
    first = {_samples(metric)[0].removesuffix("_bucket") for metric in REGISTRY.collect()}
    assert page == first
