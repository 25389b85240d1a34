"""Makes the tables of docs/logs.md from the list of log events: `python -m tests.docs.logs_page`."""

from pathlib import Path

from broker.folding import MOST, WINDOW
from broker.logbook import FIELDS, LINES
from broker.scrubbing import MAX_VALUE

PAGE = Path(__file__).parents[2] / "docs" / "logs.md"
START, END = "<!-- made from broker/logbook.py -->", "<!-- end of what is made -->"


def made() -> str:
    """Return the generated part of the page."""
    lines = [
        START,
        "",
        f"Folding starts after {MOST} lines in {WINDOW:.0f} seconds; a value is cut at {MAX_VALUE}.",
        "",
    ]
    lines += ["## Events", "", "| event | level | hva det betyr | what it means |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {' or '.join(line.levels)} | {line.means.nb} | {line.means.en} |" for name, line in LINES.items()
    ]
    lines += ["", "## Fields", "", "| field | innhold | holds | on |", "|---|---|---|---|"]
    for name, text in FIELDS.items():
        on = [event for event, line in LINES.items() if name in line.fields]
        where = "every line" if name in ("ts", "level", "event") else _few(on)
        lines.append(f"| `{name}` | {text.nb} | {text.en} | {where} |")
    return "\n".join([*lines, "", END])


def _few(events: list[str]) -> str:
    return ", ".join(f"`{event}`" for event in events) if len(events) <= 4 else f"{len(events)} events"


def renewed(page: str) -> str:
    """Return the page with its generated part made anew."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + made() + after


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
