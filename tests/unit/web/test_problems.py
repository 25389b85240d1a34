"""The language of an answer, and that every problem stands in the catalogue."""

import ast
from pathlib import Path

import pytest

import broker.web
from broker.diagnosis import CAUSES, causes
from broker.web.problems import language_of


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "nb"),
        ("en", "en"),
        ("EN-us", "en"),
        ("nb-NO, nb;q=0.9, en;q=0.8", "nb"),
        ("en;q=0.4, nn;q=0.5", "nb"),
        ("no;q=0.1, en;q=0.2", "en"),
        ("de, fr;q=0.9", "nb"),
        ("de, en;q=0.1", "en"),
        ("en;q=0", "nb"),
        ("en;q=x, nb;q=0.1", "nb"),
        ("*", "nb"),
        (";;,,q=1", "nb"),
    ],
)
def test_the_language_is_the_callers_best_of_ours_and_bokmal_otherwise(accept: str, language: str) -> None:
    assert language_of(accept) == language


def test_every_cause_that_the_doors_name_is_in_the_catalogue() -> None:
    named = {
        node.attr
        for file in Path(broker.web.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "causes"
    }
    assert len(named) >= 12
    assert {getattr(causes, name) for name in named} <= set(CAUSES)
