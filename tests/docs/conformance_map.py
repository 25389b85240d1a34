"""The map of ebMS 2.0: what docs/conformance/ebms says of each requirement, and whether it can be true.

    python -m tests.docs.conformance_map

checks it, prints the counts, and makes the table in docs/conformance.md. A test that is named must be there, with the
row that is named, and must not skip itself; the other answers must give a reason. SABOTAGE=name plants one of
SABOTAGES; it must then be red.
"""

import ast
import os
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "conformance" / "ebms"
PAGE = ROOT / "docs" / "conformance.md"
START, END = "<!-- made from docs/conformance/ebms -->", "<!-- end of what is made -->"
FLOOR = 216  # what the OASIS committee on conformance counted
FLOOR_MET = 200  # of which no more than a few may be talked away

# Files whose every test must be named by a requirement: they are here for nothing else.
OWN = (
    "unit/envelope/test_ebms_requirements.py",
    "scenario/test_ebms_sent.py",
    "scenario/test_ebms_faults.py",
)
# "forgery: a row": a row of a harness, and the test that executes them all.
HARNESSES = {
    "forgery": (
        "scenario/test_forgery.py::test_no_forgery_is_believed_every_original_is_and_the_document_says_how_many",
        ("scenario/forged_messages.py", "scenario/forged_signatures.py", "scenario/forged_receipts.py"),
    )
}


class Answer(StrEnum):
    """What is said of a requirement. The values are the keys of the files, and the words of the page."""

    MET = "met"
    DEVIATION = "deviation"
    OUTSIDE = "outside"
    NOT_BUILT = "not_built"


WORDS = {
    Answer.MET: "met",
    Answer.DEVIATION: "deviation",
    Answer.OUTSIDE: "not in the Norwegian profile",
    Answer.NOT_BUILT: "not built",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One line of the map."""

    id: str
    clause: str
    title: str
    binds: str  # sender, receiver or both
    says: str
    answer: Answer
    why: str  # of every answer but met
    tests: tuple[str, ...]  # of met, and of a deviation


class Wrong(ValueError):
    """A file of the map is not of its form; names the file and the place."""


def read(folder: Path = FOLDER) -> tuple[Requirement, ...]:
    """Return all requirements, in the order of the files. Raises Wrong."""
    found: list[Requirement] = []
    for path in sorted(folder.glob("*.toml")):
        for clause in tomllib.loads(path.read_text("utf-8"))["clause"]:
            found += [_requirement(path.name, clause, one) for one in clause["requirement"]]
            if unknown := clause.keys() - {"number", "title", "requirement"}:
                raise Wrong(f"{path.name}: clause {clause['number']}: no such key: {sorted(unknown)}")
    return tuple(found)


def _requirement(file: str, clause: Mapping[str, Any], one: Mapping[str, Any]) -> Requirement:
    where = f"{file}: {one.get('id', clause['number'])}"
    answers = [answer for answer in Answer if answer in one]
    if len(answers) != 1:
        raise Wrong(f"{where}: exactly one of {', '.join(Answer)} is needed")
    (answer,) = answers
    if unknown := one.keys() - {"id", "binds", "says", answer, *(["tests"] if answer is Answer.DEVIATION else [])}:
        raise Wrong(f"{where}: no such key beside {answer}: {sorted(unknown)}")
    met = answer is Answer.MET
    return Requirement(
        id=one["id"],
        clause=clause["number"],
        title=clause["title"],
        binds=one["binds"],
        says=one["says"],
        answer=answer,
        why="" if met else one[answer],
        tests=tuple(one[answer] if met else one.get("tests", ())),
    )


# --- whether it can be true ---


@dataclass(frozen=True, slots=True)
class File:
    """What a file of tests has: its test functions, those that may skip themselves, and every text in it."""

    tests: frozenset[str]
    skipping: frozenset[str]
    texts: tuple[str, ...]


Look = Callable[[str], File | None]


@cache
def look(path: str) -> File | None:
    """Return what a file below tests/ has; None where there is none."""
    file = ROOT / "tests" / path
    return examine(file.read_text("utf-8")) if file.is_file() else None


def examine(source: str) -> File:
    """Return what a source has."""
    tree = ast.parse(source)
    functions = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    texts = [
        node.value.decode("utf-8", "replace") if isinstance(node.value, bytes) else node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    ]
    skipping = [function.name for function in functions if re.search(r"\b(skip|skipif|xfail)\b", ast.unparse(function))]
    return File(frozenset(one.name for one in functions), frozenset(skipping), tuple(texts))


_ID = re.compile(r"E([0-9A-C](?:[0-9.]*[0-9])?)-(\d\d)")
_REFERS = re.compile(r"\b(E[0-9A-C][0-9.]*-\d\d)")
_NAMED = re.compile(r"([\w/]+\.py)::(test_\w+)(?:\[(.+)\])?")


def faults(requirements: Sequence[Requirement], look: Look = look) -> list[str]:
    """Return what cannot be true of the map, one sentence each."""
    found = [f"{id} stands twice" for id, count in Counter(one.id for one in requirements).items() if count > 1]
    if len(requirements) < FLOOR:
        found.append(f"only {len(requirements)} requirements; at least {FLOOR}")
    if (met := sum(one.answer is Answer.MET for one in requirements)) < FLOOR_MET:
        found.append(f"only {met} are met; at least {FLOOR_MET}")
    for one in requirements:
        found += [
            f"{one.id}: {fault}" for fault in (*_form(one), *(f for test in one.tests for f in _test(test, look)))
        ]
    named = {test.partition("[")[0] for one in requirements for test in one.tests}
    for path in OWN:
        there = look(path)
        if there is None:
            found.append(f"{path} is not there")
            continue
        found += [
            f"{path}::{test} is named by no requirement"
            for test in sorted(there.tests)
            if f"{path}::{test}" not in named
        ]
    return found


def _form(one: Requirement) -> list[str]:
    found = []
    match = _ID.fullmatch(one.id)
    # A clause has the requirements of those below it that have no heading of their own.
    if match is None or not (match[1] == one.clause or match[1].startswith(f"{one.clause}.")):
        found.append(f"is no id of clause {one.clause}")
    if one.binds not in {"sender", "receiver", "both"}:
        found.append(f"binds {one.binds}")
    if len(one.says) < 20 or not one.says.endswith("."):
        found.append("is no sentence")
    if one.answer is Answer.MET and not one.tests:
        found.append("is met, and no test says so")
    if one.answer is not Answer.MET and len(one.why) < 15 and not _REFERS.search(one.why):
        found.append(f"is {WORDS[one.answer]}, without a reason")
    return found


def _test(named: str, look: Look) -> list[str]:
    harness, _, row = named.partition(": ")
    if harness in HARNESSES:
        test, files = HARNESSES[harness]
        texts = {text for path in files if (file := look(path)) for text in file.texts}
        # Rows of receipts are named with what they are about, which stands elsewhere in the file.
        if row not in texts and row.partition(": ")[2] not in texts - {""}:
            return [f"no row {row!r} in {harness}"]
        return _test(test, look)
    match = _NAMED.fullmatch(named)
    if match is None:
        return [f"{named} is no test"]
    path, function, row = match.groups()
    file = look(path)
    if file is None:
        return [f"{path} is not there"]
    if function not in file.tests:
        return [f"{path} has no {function}"]
    if function in file.skipping:
        return [f"{path}::{function} may skip itself"]
    if row and not any(row in text for text in file.texts):
        return [f"{path} has no row {row!r}"]
    return []


# --- the page ---


def counts(requirements: Sequence[Requirement]) -> str:
    """Return how many there are of each answer, in one line."""
    by_answer = Counter(one.answer for one in requirements)
    told = ", ".join(f"{by_answer[answer]} {WORDS[answer]}" for answer in Answer)
    tests = {test for one in requirements for test in one.tests}
    return f"{len(requirements)} requirements: {told}; {len(tests)} tests and rows named"


def made(requirements: Sequence[Requirement]) -> str:
    """Return the generated part of the page."""
    lines = [START, "", f"{counts(requirements)}.", "", "| requirement | binds | | answer |", "|---|---|---|---|"]
    clause = ""
    for one in requirements:
        if one.clause != clause:
            clause = one.clause
            lines.append(f"| **{clause}** | | **{one.title}** | |")
        lines.append(f"| {one.id} | {one.binds} | {_cell(one.says)} | {_answer(one)} |")
    return "\n".join([*lines, "", END])


def _answer(one: Requirement) -> str:
    tests = "<br>".join(f"`{_cell(test)}`" for test in one.tests)
    if one.answer is Answer.MET:
        return tests
    return f"**{WORDS[one.answer]}**: {_cell(one.why)}" + (f"<br>{tests}" if tests else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def renewed(page: str, requirements: Sequence[Requirement]) -> str:
    """Return the page with its generated part made anew."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + made(requirements) + after


# --- planted faults ---


def _renamed(requirements: Sequence[Requirement]) -> tuple[Sequence[Requirement], Look]:
    """A test that is named has got another name."""
    path, _, function = next(test for one in requirements for test in one.tests if "::" in test).partition("::")
    function = function.partition("[")[0]
    source = (ROOT / "tests" / path).read_text("utf-8").replace(f"def {function}(", f"def {function}_now(")
    return requirements, lambda asked: examine(source) if asked == path else look(asked)


def _changed(id_of: Callable[[Requirement], bool], **values: Any) -> Callable[[Sequence[Requirement]], Any]:
    def plant(requirements: Sequence[Requirement]) -> tuple[Sequence[Requirement], Look]:
        first = next(one for one in requirements if id_of(one))
        return [replace(one, **values) if one is first else one for one in requirements], look

    return plant


SABOTAGES: Mapping[str, Callable[[Sequence[Requirement]], tuple[Sequence[Requirement], Look]]] = {
    "rename-a-test": _renamed,
    "lose-a-row": _changed(
        lambda one: one.answer is Answer.MET, tests=("unit/envelope/test_mime.py::test_refused[xyzzy]",)
    ),
    "lose-a-harness-row": _changed(lambda one: one.answer is Answer.MET, tests=("forgery: xyzzy",)),
    "met-without-a-test": _changed(lambda one: one.answer is Answer.MET, tests=()),
    "deviate-without-a-reason": _changed(lambda one: one.answer is Answer.DEVIATION, why=""),
    "one-id-twice": _changed(lambda one: one.id.endswith("-02"), id="E1.3-01"),
    "too-few": lambda requirements: (requirements[: FLOOR - 1], look),
    "name-a-test-that-skips": _changed(
        lambda one: one.answer is Answer.MET,
        tests=("unit/envelope/test_ebms.py::test_what_we_write_is_valid_by_the_schema_of_the_standard",),
    ),
}


def main() -> int:
    """Check, print, and make the page; return 0 when nothing is wrong."""
    name = os.environ.get("SABOTAGE", "")
    if name and name not in SABOTAGES:
        print(f"SABOTAGE must be one of {', '.join(SABOTAGES)}")
        return 2
    requirements: Sequence[Requirement] = read()
    asked = look
    if name:
        requirements, asked = SABOTAGES[name](requirements)  # type: ignore[assignment] # a cached function is a Look
    found = faults(requirements, asked)
    print(*found, counts(requirements), sep="\n")
    if not name:
        PAGE.write_text(renewed(PAGE.read_text("utf-8"), requirements), "utf-8")
    print("red" if found else "green: every answer can be true")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
