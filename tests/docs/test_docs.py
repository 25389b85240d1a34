"""The docs are true: what is made from the code is made from today's code, and every link leads somewhere."""

import ast
import re
from pathlib import Path

import pytest

from broker.cli.algorithms_command import as_markdown
from broker.diagnosis.causes import MESSAGE_ERRORS
from broker.lookup.profile_files import shipped_profiles
from tests.docs import errors_page, logs_page
from tests.docs.lifecycle_page import PAGE, renewed

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#([^)\s]+))?\)")
FUNCTION = re.compile(r"\[`([\w.]+)`\]\(\.\./(broker/[\w/]+\.py)\)")


def test_the_lifecycle_page_is_made_from_the_lifecycle() -> None:
    page = PAGE.read_text("utf-8")
    assert renewed(page) == page, "run: python -m tests.docs.lifecycle_page"


def test_the_page_of_error_ids_is_made_from_the_catalogue() -> None:
    assert errors_page.made() == errors_page.PAGE.read_text("utf-8"), "run: python -m tests.docs.errors_page"


def test_the_log_page_is_made_from_the_list_of_events() -> None:
    page = logs_page.PAGE.read_text("utf-8")
    assert logs_page.renewed(page) == page, "run: python -m tests.docs.logs_page"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [target for target, _ in LINK.findall(page.read_text("utf-8")) if "://" not in target]
    assert [target for target in links if not (page.parent / target).exists()] == []


def test_each_step_of_the_path_names_a_function_that_is_there() -> None:
    found = FUNCTION.findall(PAGE.read_text("utf-8"))
    assert len(found) >= 25
    for name, file in found:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        defined = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        assert name.rpartition(".")[2] in defined, f"{name} is not in {file}"


def test_the_list_of_algorithms_is_todays() -> None:
    page = (ROOT / "docs" / "partners.md").read_text("utf-8")
    shown = page.partition("<!-- broker algorithms --markdown -->\n\n")[2].partition("\n<!-- end -->")[0]
    assert shown == as_markdown(), "run: broker algorithms --markdown"


def test_the_page_on_partners_has_a_section_for_every_profile() -> None:
    page = (ROOT / "docs" / "partners.md").read_text("utf-8")
    assert set(re.findall(r'^`profile = "([\w-]+)"`', page, re.MULTILINE)) == set(shipped_profiles())


def test_the_page_on_partners_gives_every_code_its_error_id() -> None:
    page = (ROOT / "docs" / "partners.md").read_text("utf-8")
    rows = re.findall(r"^\| (`\w+`.*?) \| (MB-[^|]*) \|", page, re.MULTILINE)
    told = dict(
        pair for codes, ids in rows for pair in zip(re.findall(r"`(\w+)`", codes), ids.split(", "), strict=False)
    )
    assert told == dict(MESSAGE_ERRORS)
