"""What a run as a whole must have done: nothing skipped in CI, and every comparison made that can be."""

import os
from collections import Counter

import pytest

_COMPARING = "tests/schemas/test_differential.py"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a run red that looks green only because it left something out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.option.collectonly:
        return
    whole = not session.config.args or session.config.args == session.config.getini("testpaths")
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
