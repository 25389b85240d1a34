"""The commands that look and change nothing: over the running broker's socket, or by the store where none runs."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.cli import complete, exits
from broker.cli.common import CONFIG, JSON_LINES, Said, console, fail, print_lines
from broker.cli.places import Places, find_places

if TYPE_CHECKING:
    from broker.cli.overview import Overview

_TURN = 1.0  # seconds between two questions of `events --follow`
_PAGE = 1000


@click.command()
@CONFIG
@JSON_LINES
@click.pass_obj
def status(said: Said, config: Path, as_json: bool) -> None:
    """Show on one screen what is open, who has the ball, what needs a person, and when anything last moved.

    Exits with 1 where anything needs a person, so that a monitor may run it as it is.

    \b
    Example: broker status
    """
    from broker.cli.ask import status as ask

    told = ask(_places(config))
    print_lines([told]) if as_json else _overview(said).status(told)
    sys.exit(exits.PROBLEM if told["needPerson"] else exits.OK)


@click.command()
@CONFIG
@JSON_LINES
@click.pass_obj
def problems(said: Said, config: Path, as_json: bool) -> None:
    """Show what stands still, as groups: the same stop-point, cause and counterpart are one problem.

    Exits with 1 where there is any.

    \b
    Example: broker problems --json
    """
    from broker.cli.ask import ask

    found = ask(_places(config), "problems")
    print_lines(found) if as_json else _overview(said).problems(found)
    sys.exit(exits.PROBLEM if found else exits.OK)


@click.command()
@click.argument("id", shell_complete=complete.problem_ids)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Messages at most.")
@CONFIG
@JSON_LINES
@click.pass_obj
def problem(said: Said, id: str, limit: int, config: Path, as_json: bool) -> None:
    """Show one problem by its ID, as `problems` prints it: its cause, what to do, and its messages, oldest first.

    Exits with 1 where it needs a person.

    \b
    Example: broker problem K4:MB-3202:8000123
    """
    from broker.cli.ask import ask
    from broker.diagnosis.problems import read_key

    if read_key(id) is None:
        fail("a problem's id is stop-point, error id and HER-id, such as K4:MB-3202:8000123", exits.USAGE)
    told = ask(_places(config), "problem", id=id, limit=limit)
    if told is None:
        fail("nothing stands there now", exits.NOT_FOUND)
    print_lines([told]) if as_json else _overview(said).problem(told)
    sys.exit(exits.PROBLEM if told["ball"] == "person" else exits.OK)


@click.command()
@click.argument("id", shell_complete=complete.ids)
@CONFIG
@JSON_LINES
@click.pass_obj
def show(said: Said, id: str, config: Path, as_json: bool) -> None:
    """Show a message by any ID: ours, its MsgId, a delivery, an inbox item, an eb:MessageId, a conversation.

    With its journey, its events and its attempts. Exits with 1 where it waits for a person.

    \b
    Example: broker show 0199f3a2-7c11
    """
    found = _journey(id, config, as_json=as_json)
    from broker.cli.show import Show

    if not as_json:
        Show(console(), said.language).journeys(found)
    sys.exit(_waits_for_a_person(found))


@click.command()
@click.argument("id", shell_complete=complete.ids)
@CONFIG
@JSON_LINES
@click.pass_obj
def trace(said: Said, id: str, config: Path, as_json: bool) -> None:
    """Show the journey of a message by any ID: which stop-points it has passed, when, and where it stands.

    Exits with 1 where it waits for a person.

    \b
    Example: broker trace 0199f3a2-7c11
    """
    found = _journey(id, config, as_json=as_json)
    from broker.cli.show import Show

    if not as_json:
        Show(console(), said.language).traces(found)
    sys.exit(_waits_for_a_person(found))


@click.command()
@click.argument("id", shell_complete=complete.ids)
@CONFIG
@JSON_LINES
@click.pass_obj
def attempts(said: Said, id: str, config: Path, as_json: bool) -> None:
    """Show every try to send a message, by any ID: when, how long, where, and what came of it.

    \b
    Example: broker attempts 0199f3a2-7c11
    """
    found = _journey(id, config, as_json=False)
    if as_json:
        print_lines({"messageId": one["id"], **each} for one in found for each in one["attempts"])
    else:
        _overview(said).attempts(found)


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
@click.option("--shape", is_flag=True, help="Instead, how many by counterpart and age.")
@CONFIG
@JSON_LINES
@click.pass_obj
def queue(said: Said, limit: int, shape: bool, config: Path, as_json: bool) -> None:
    """Show what is not finished, that which waits for a person first.

    Exits with 1 where anything does (not with --shape).

    \b
    Example: broker queue --json
    Example: broker queue --shape
    """
    from broker.cli import ask

    where = _places(config)
    if shape:
        rows = ask.ask(where, "shape")
        print_lines(rows) if as_json else _overview(said).shape(rows)
        return
    waiting = ask.queue(where, limit)
    from broker.cli.show import Show, is_problem

    print_lines(waiting) if as_json else Show(console(), said.language).queue(waiting)
    sys.exit(exits.PROBLEM if any(is_problem(each) for each in waiting) else exits.OK)


@click.command()
@CONFIG
@JSON_LINES
@click.pass_obj
def partners(said: Said, config: Path, as_json: bool) -> None:
    """Show every counterpart: what is open, how old it is, when it last acknowledged and was last heard of, its lane.

    \b
    Example: broker partners
    """
    from broker.cli.ask import ask

    rows = ask(_places(config), "partners")
    print_lines(rows) if as_json else _overview(said).partners(rows)


@click.command()
@click.argument("id", required=False, shell_complete=complete.error_ids)
@JSON_LINES
@click.pass_obj
def explain(said: Said, id: str | None, as_json: bool) -> None:
    """Explain an error ID: what it means, who has the ball, what to do; without one, list them all. Asks no broker.

    \b
    Example: broker explain MB-3206
    """
    from broker.diagnosis import CAUSES

    wanted = id.upper() if id else ""
    found = [cause for cause in CAUSES.values() if not wanted or cause.id in (wanted, f"MB-{wanted}")]
    if not found:
        fail("no error has this id; `broker explain` lists them", exits.NOT_FOUND)
    if as_json:
        print_lines(
            {
                "errorId": each.id,
                "slug": each.slug,
                "ball": each.ball,
                "cause": {"nb": each.name.nb, "en": each.name.en},
                "act": {"nb": each.act.nb, "en": each.act.en},
            }
            for each in found
        )
    else:
        _overview(said).explain(found)


@click.command()
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C, also over a restart of the broker.")
@click.option("--after", type=click.IntRange(0), help="Only those with a higher offset.")
@click.option("--last", type=click.IntRange(1, 1000), default=20, show_default=True, help="Else so many of the last.")
@CONFIG
@JSON_LINES
@click.pass_obj
def events(said: Said, follow: bool, after: int | None, last: int, config: Path, as_json: bool) -> None:
    """Show what is written down, in the order of its offsets.

    \b
    Example: broker events --follow --json
    """
    overview = None if as_json else _overview(said)
    try:
        for event in _events(_places(config), -last if after is None else after, follow=follow):
            if overview is None:
                print_lines([event])
            else:
                overview.event(event)
    except KeyboardInterrupt:
        sys.exit(exits.OK)  # which is how one ends it


COMMANDS = (status, problems, problem, show, trace, attempts, queue, partners, explain, events)


def _events(where: Places, after: int, *, follow: bool) -> Iterator[Any]:
    from threading import Event

    from broker.cli.ask import Unreachable, ask

    first, ended = True, Event()  # never set: Ctrl-C ends the wait
    while True:
        try:
            page = ask(where, "events", after=after, limit=_PAGE)
        except Unreachable:
            if first or not follow:
                raise
            page = []  # it is being restarted: what it writes meanwhile has offsets, and is told afterwards
        first = False
        for event in page:
            after = event["offset"]
            yield event
        if len(page) < _PAGE:
            if not follow:
                return
            sys.stdout.flush()
            ended.wait(_TURN)
            after = max(after, 0)


def _journey(id: str, config: Path, *, as_json: bool) -> list[Any]:
    from broker.cli.ask import journey

    found = journey(_places(config), id)
    if as_json:
        print_lines(found)
    if not found:
        fail("no message carries that id", exits.NOT_FOUND)
    return found


def _waits_for_a_person(found: list[Any]) -> int:
    from broker.cli.show import is_problem

    return exits.PROBLEM if any(is_problem(each) for one in found for each in one["receivers"]) else exits.OK


def _places(config: Path) -> Places:
    return find_places(config, os.environ)


def _overview(said: Said) -> "Overview":
    from broker.cli.overview import Overview
    from broker.lookup.clock import SystemClock

    return Overview(console(), said.language, SystemClock().now())
