"""The list of log events is closed: nothing else in the package logs, and each line carries what the list says."""

import ast
from collections.abc import Iterator
from pathlib import Path

from broker.logbook import FIELDS, KEYS, LINES, STORY
from broker.message import EventKind

BROKER = Path(__file__).parents[3] / "broker"
TELEMETRY = BROKER / "telemetry.py"
# Where words for a person at a terminal are printed.
SCREENS = ("cli", "demo")


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _written() -> list[tuple[str, ast.Call]]:
    """Return every line that telemetry can write: its event (or what stands there), and the call."""
    found = []
    for name, call in _calls(TELEMETRY):
        if name == "_emit":
            found.append((ast.unparse(call.args[1]), call))
        if name == "_write" and isinstance(call.args[1], ast.Constant):
            found.append((ast.unparse(call.args[1]), call))
    return found


def test_every_kind_of_event_has_a_line() -> None:
    assert set(STORY) == set(EventKind), "give the new kind a line in broker/logbook.py"


def test_every_line_that_is_written_is_on_the_list_and_every_line_of_the_list_is_written() -> None:
    written = {event.strip("'\"") for event, _ in _written()} - {"event.kind"}
    assert written == set(LINES) - set(STORY)
    assert len(written) >= 15


def test_a_line_carries_only_the_fields_that_the_list_gives_it() -> None:
    for event, call in _written():
        line = STORY[EventKind.ACCEPTED] if event == "event.kind" else LINES[event.strip("'\"")]
        named = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
        for fields in call.args[2:]:
            assert isinstance(fields, ast.Dict)
            named |= {ast.literal_eval(key) for key in fields.keys if key is not None}
        assert named <= line.fields, event
        if isinstance(call.args[0], ast.Constant) and len(call.args) > 1:
            assert call.args[0].value in line.levels, event


def test_all_fields_are_described_and_none_is_idle() -> None:
    used = {"ts", "level", "event"}.union(*(line.fields for line in LINES.values()))
    assert used == KEYS == set(FIELDS)


def test_every_line_says_what_it_means_in_both_languages() -> None:
    for text in (*FIELDS.values(), *(line.means for line in LINES.values())):
        assert text.nb
        assert text.en
        assert "|" not in text.nb + text.en  # they stand in tables


def test_nothing_else_in_the_package_logs_or_prints() -> None:
    loggers = []
    for path in sorted(BROKER.rglob("*.py")):
        if path == TELEMETRY:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        imported = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        screen = path.relative_to(BROKER).parts[0] in SCREENS
        printed = {name for name, _ in _calls(path)} & {"print", "sys.stdout.write", "sys.stderr.write"}
        if imported & {"logging", "structlog", "syslog", "warnings"} or (printed and not screen):
            loggers.append(str(path.relative_to(BROKER)))
    assert loggers == []
