"""Santuario, Bouncy Castle and Angus Mail read what we write, and we read what they write."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from tests.interop import java_cases, java_engine
from tests.interop.crossing import crossing, pairs_met
from tests.interop.java_cases import IN, OUT, SABOTAGES, failures, run, sabotage, show
from tests.interop.java_engine import SOURCES, JavaEngine, missing

SHORT = 8  # messages each way, with which every planted fault is seen


def need_java() -> None:
    """Skip where there is no Java or no Maven, with the sentence that says so; in CI that is a failure."""
    sentence = missing()
    if sentence and os.environ.get("CI"):
        pytest.fail(sentence)
    if sentence:
        pytest.skip(sentence)


@pytest.fixture(scope="module")
def java() -> Iterator[JavaEngine]:
    need_java()
    with JavaEngine() as engine:
        yield engine


@pytest.mark.timeout(400)  # a first build downloads what it needs
def test_every_message_of_every_option_is_read_both_ways(java: JavaEngine) -> None:
    table = run(java, big=False)
    print(show(table, java.versions()))
    assert failures(table) == []
    assert len(table.refusals) >= 25
    assert table.counts[OUT, "header entries that the XPath left out"] >= 50
    assert table.counts[IN, "SHA-1 or no XPath: refused where the agreement does not allow it"] >= 50


def test_the_short_form_is_green(java: JavaEngine) -> None:
    assert failures(run(java, short=SHORT, big=False), short=True) == []


@pytest.mark.parametrize("name", sorted(SABOTAGES.keys() - {"few"}))
def test_a_planted_fault_turns_the_table_red(java: JavaEngine, name: str) -> None:
    with sabotage(name):
        assert failures(run(java, short=SHORT, big=False), short=True) != []


def test_too_few_messages_turn_the_table_red(java: JavaEngine) -> None:
    with sabotage("few"):
        table = run(java, big=False)
    assert table.faults == []
    assert [one for one in failures(table) if "at least 200 are expected" in one]
    assert [one for one in failures(table) if "pairs met" in one]


def test_without_java_it_says_so_and_is_red_in_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="NOT tried: no java, no javac, no mvn on the path"):
        need_java()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="NOT tried"):
        need_java()
    assert java_cases.main() == 1
    assert "Install a JDK" in capsys.readouterr().out


def test_a_fault_of_the_java_program_is_never_a_verdict(java: JavaEngine) -> None:
    with pytest.raises(AssertionError, match="no such question"):
        java._ask("guess", [])
    with pytest.raises(AssertionError, match="fields of the name xml"):
        java._ask("verify", [])
    assert java.versions()


def test_a_jvm_that_ends_is_a_fault_with_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    need_java()
    monkeypatch.setattr(java_engine, "ANSWER_SECONDS", 20)
    with JavaEngine() as engine:
        engine._process.kill()
        engine._process.wait()
        with pytest.raises(AssertionError, match="the JVM ended"):
            engine.versions()


def test_every_version_is_pinned_and_no_repository_is_named() -> None:
    text = (SOURCES / "pom.xml").read_text()
    assert "repositor" not in text.lower()
    assert re.findall(r"https?://[^\"<]+", text) == ["http://maven.apache.org/POM/4.0.0"]
    named = [
        element
        for element in parse(SOURCES / "pom.xml").iter()
        if element.tag.rpartition("}")[2] in {"dependency", "plugin"}
    ]
    assert len(named) == 6
    for element in named:
        assert re.fullmatch(r"\d+(\.\d+)*", element.findtext("{*}version") or "")


def test_a_crossing_lets_every_two_values_meet_and_is_the_same_again() -> None:
    options = {"a": (1, 2, 3), "b": ("x", "y"), "c": (None, True), "d": tuple("pqrst")}
    rows = crossing(options, at_least=0, seed="1")
    assert pairs_met(options, rows) == (6 + 6 + 15 + 4 + 10 + 10, 51)
    assert 15 <= len(rows) < 3 * 2 * 2 * 5
    assert rows == crossing(options, at_least=0, seed="1")
    assert rows != crossing(options, at_least=0, seed="2")
    assert len(crossing(options, at_least=40, seed="1")) == 40
    assert pairs_met(options, rows[:2]) < (51, 51)
