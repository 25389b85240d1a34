"""What the demo shows, in both languages and without a terminal."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from broker.demo.screen import Ended, Screen
from tests.unit.demo.test_verdict import CASES, PLAIN, of


def screen(language: str) -> tuple[Screen, StringIO]:
    out = StringIO()
    return Screen(Console(file=out, width=132), {"LANG": language}), out


@pytest.mark.parametrize(
    ("language", "words"), [("nb_NO.UTF-8", ("avvist i døra", "NEI")), ("C", ("refused at the door", "NO"))]
)
def test_the_table_speaks_the_readers_language_and_names_what_went_wrong(language: str, words: tuple[str, str]) -> None:
    shown, out = screen(language)
    ended = [Ended(case=case, told=of(case)[0], asked=of(case)[1], complaints=()) for case in CASES.values()]
    shown.end([replace(ended[0], complaints=("received 2 times, not once",)), *ended[1:]])
    assert all(word in out.getvalue() for word in words)
    assert f"{PLAIN.name}: received 2 times, not once" in out.getvalue()
    assert "4.0 s" in out.getvalue()


def test_without_a_terminal_only_what_has_changed_is_said() -> None:
    shown, out = screen("C")
    way = of(PLAIN)[1].way
    assert way is not None
    with shown:
        shown.show([PLAIN], {})
        shown.show([PLAIN], {PLAIN.name: replace(way, stop_point="K6")})
        shown.show([PLAIN], {PLAIN.name: replace(way, stop_point="K6")})
        shown.show([PLAIN], {PLAIN.name: way})
    assert [line.split()[1] for line in out.getvalue().splitlines()] == ["K6", "K8"]


def test_on_a_terminal_the_table_is_live() -> None:
    out = StringIO()
    shown = Screen(Console(file=out, width=132, force_terminal=True), {"LANG": "C"})
    with shown:
        shown.show(list(CASES.values()), {PLAIN.name: of(PLAIN)[1].way, "refused-at-the-door": None})
    assert "Done." in out.getvalue()
    assert "refused at the door" in out.getvalue()
    assert "not posted yet" in out.getvalue()
