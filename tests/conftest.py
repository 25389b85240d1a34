"""What a run as a whole must have done: nothing skipped in CI, and every comparison made that can be."""

import os
from collections import Counter
from pathlib import Path

import pytest

_COMPARING = "tests/schemas/test_differential.py"
# What measures time or takes every core runs one after the other, beside nothing else. Planted faults do not: what must
# go red goes red on a busy machine too.
_ALONE = {"bench", "fuzz", "kill", "partner", "rubbish", "soak", "speed"}


def pytest_configure(config: pytest.Config) -> None:
    os.environ.pop("COLUMNS", None)  # that of whoever runs the tests; what is started here finds its own
    config.addinivalue_line("markers", "alone: measures time, or takes every core; by the folder that it stands in")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what may not share the machine with another test."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in _ALONE and not _plants(item):
            item.add_marker("alone")


def _plants(item: pytest.Item) -> bool:
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return "planted" in item.name or bool(params.get("sabotage"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a run red that looks green only because it left something out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.option.collectonly:
        return
    everything = not session.config.args or session.config.args == session.config.getini("testpaths")
    whole = everything and session.config.option.markexpr in ("", "not alone")
    done = Counter({outcome: len(reports) for outcome, reports in reporter.stats.items()})
    compared = sum(1 for report in reporter.stats.get("passed", ()) if report.nodeid.startswith(_COMPARING))
    faults = []
    if os.environ.get("CI") and done["skipped"]:
        faults.append(f"{done['skipped']} tests were skipped, and CI skips none")
    if whole and os.environ.get("DIGIHELSE_REFERENCE") and not compared:
        faults.append("the official schemas are here, and no comparison with them ran")
    for fault in faults:
        reporter.write_line(f"RED: {fault}", red=True, bold=True)
    if faults and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
