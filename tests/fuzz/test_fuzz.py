"""The fuzzers run for a minute, find what is planted, and what they once found stays mended."""

import os
import subprocess
import sys

import pytest

from tests.fuzz.__main__ import FOUND
from tests.fuzz.fixed_key import fixed_key
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import GCM_CONTENT, TARGETS


def fuzz(sabotage: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SABOTAGE": sabotage}
    command = [sys.executable, "-m", "tests.fuzz", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


def test_what_was_found_stays_mended() -> None:
    kept = [path for path in sorted(FOUND.rglob("*")) if path.is_file()]
    print(f"{len(kept)} inputs that once showed a bug")
    for path in kept:
        TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_is_read(target: str) -> None:
    kept = seeds(target)
    assert kept
    for data in kept:
        TARGETS[target](data)


def test_the_key_is_the_same_in_every_run() -> None:
    from random import Random

    from broker.sealing import cms

    opened = [cms.open_(data, [fixed_key()], random=Random(1).randbytes) for data in seeds("cms")]
    assert {one.content for one in opened} == {GCM_CONTENT}
    assert len({(one.cipher, one.key_transport) for one in opened}) == 4


@pytest.mark.timeout(300)
def test_a_minute_of_fuzzing_finds_nothing() -> None:
    done = fuzz("", "--minutes", "1")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "executions, 0 wrong" in done.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("sabotage", "target", "seen"),
    [
        ("foreign-error", "mime", "Only base64 data is allowed"),
        ("endless", "msghead", "TooDear"),
        ("free-text", "apprec", "free text is shown as a code"),
    ],
)
def test_the_fuzzers_find_a_planted_fault(sabotage: str, target: str, seen: str) -> None:
    done = fuzz(sabotage, "--minutes", "0.25", "--targets", target, "--seed", "1")
    print(done.stdout)
    assert done.returncode == 1, done.stdout + done.stderr
    assert seen in done.stdout
