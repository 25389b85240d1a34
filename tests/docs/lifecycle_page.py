"""Makes the diagram and tables of docs/path-of-a-message.md: `python -m tests.docs.lifecycle_page`."""

from pathlib import Path

from broker.lifecycle import ITEM_TRANSITIONS, TRANSITIONS, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "path-of-a-message.md"
START, END = "<!-- made from broker/lifecycle.py -->", "<!-- end of what is made -->"


def made() -> str:
    """Return the generated part of the page."""
    lines = [START, "", "```mermaid", "stateDiagram-v2", "    [*] --> waiting"]
    for event, move in TRANSITIONS.items():
        lines += [f"    {before} --> {after}: {event}" for before, after in move.transport.items() if before != after]
    lines += ["```", "", "| event | transport | receipt | outcome before | reaches |", "|---|---|---|---|---|"]
    for event, move in TRANSITIONS.items():
        lines.append(
            f"| {event} | {_moves(move.transport)} | {_moves(move.receipt)} "
            f"| {', '.join(sorted(move.outcome)) if move.outcome != set(Outcome) else 'any'} "
            f"| {move.reaches or ''} |"
        )
    lines += ["", "| inbox item: event | stage |", "|---|---|"]
    lines += [f"| {event} | {_moves(moves)} |" for event, moves in ITEM_TRANSITIONS.items()]
    return "\n".join([*lines, "", END])


def _moves(moves: object) -> str:
    assert isinstance(moves, dict)
    changed = [f"{before} → {after}" for before, after in moves.items() if before != after]
    kept = [str(before) for before, after in moves.items() if before == after]
    return "; ".join([*changed, *([f"stays {', '.join(kept)}"] if kept else [])])


def renewed(page: str) -> str:
    """Return the page with its generated part made anew."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + made() + after


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
