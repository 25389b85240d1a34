"""`broker algorithms`: the dated list of what we sign and encrypt with, and of what we take."""

from typing import Any

import click

from broker.cli.common import JSON_LINES, Said, console, print_lines


@click.command()
@click.option("--markdown", is_flag=True, help="Print the table of docs/partners.md.")
@JSON_LINES
@click.pass_obj
def algorithms(said: Said, markdown: bool, as_json: bool) -> None:
    """Show every algorithm of signatures and encryption: whether we write it, until when we take it, by which switch.

    The list is part of the program. An address record may let in what has ended, until a day of its own.

    \b
    Example: broker algorithms
    """
    if as_json:
        print_lines(rows())
    elif markdown:
        click.echo(as_markdown(), nl=False)
    else:
        _show(said.language)


def rows() -> list[dict[str, Any]]:
    """Return the list, for programs."""
    from broker.sealing.algorithms import ALGORITHMS

    return [
        {
            "name": each.name,
            "id": each.id,
            "out": each.out,
            "inUntil": each.in_until.isoformat() if each.in_until else None,
            "switch": each.switch,
        }
        for each in ALGORITHMS
    ]


def as_markdown() -> str:
    """Return the list as the table of docs/partners.md."""
    lines = ["| Algorithm | We write it | We take it | After that, by a record's |", "|---|---|---|---|"]
    lines += [
        f"| `{row['name']}` | {'yes' if row['out'] else 'no'} | {_taken(row)} | {_switch(row)} |" for row in rows()
    ]
    return "\n".join(lines) + "\n"


def _taken(row: dict[str, Any]) -> str:
    return f"until {row['inUntil']}" if row["inUntil"] else "yes"


def _switch(row: dict[str, Any]) -> str:
    return f"`{row['switch']}`" if row["switch"] else ""


def _show(language: str) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    heads = ("algoritme", "ut", "inn", "unntak") if language == "nb" else ("algorithm", "out", "in", "exception")
    for head in heads:
        table.add_column(head)
    yes, no, until = ("ja", "nei", "til") if language == "nb" else ("yes", "no", "until")
    for row in rows():
        taken = f"{until} {row['inUntil']}" if row["inUntil"] else yes
        table.add_row(row["name"], yes if row["out"] else no, taken, row["switch"] or "")
    console().print(table)
