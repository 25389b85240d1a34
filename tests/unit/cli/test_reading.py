"""The commands that look: what they say in both languages, at 80 and at 200 columns, with a broker and without."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from broker.cli import common, exits
from broker.cli.main import main
from broker.diagnosis import CAUSES
from tests.store.values import OURS, PARTNER
from tests.unit.cli.conftest import Ids, Run
from tests.unit.cli.test_looking import running

PROBLEM = f"K2:MB-2002:{PARTNER}"
LOOKING = [
    ("status",), ("problems",), ("problem", PROBLEM), ("show", "parked"), ("trace", "parked"), ("attempts", "sent"),
    ("queue",), ("queue", "--shape"), ("partners",), ("explain", "MB-2002"), ("explain",), ("events",),
]  # fmt: skip
# Of each something that stands there in bokmål, and in English.
WORDS = {
    "status": ("trenger en person 1", "need a person 1"),
    "problems": ("ingen samhandlingsavtale med mottakeren", "no agreement with the receiver"),
    "problem": ("Legg avtalen med mottakeren inn", "Put the agreement with the receiver"),
    "show": ("Ballen er hos en person", "The ball is with a person"),
    "trace": ("Gjør dette", "What to do"),
    "attempts": ("utfall", "endpoint"),
    "queue": ("Gjør dette", "What to do"),
    "queue --shape": ("motpart", "counterpart"),
    "partners": ("sist kvittert", "last acknowledged"),
    "explain": ("samhandlingsavtale", "no agreement"),
}
AGES = re.compile(r"\d+ ?(?:min|[smhtd])\b|kl\. [\d.]+|at [\d:]+|\d{2}:\d{2}:\d{2}|\d+,?\.?\d* GB|\(\d+ %\)")


def named(command: tuple[str, ...], ids: Ids) -> tuple[str, ...]:
    return tuple(getattr(ids, part, part) for part in command)


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
@pytest.mark.parametrize(("language", "width"), [("nb", 80), ("en", 200)])
async def test_the_answer_is_the_same_with_a_broker_and_without(
    run: Run,
    site: Path,
    filled: Ids,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    language: str,
    width: int,
) -> None:
    monkeypatch.setattr(common, "PIPED", width)
    arguments = ("--lang", language, *named(command, filled))
    offline = await asyncio.to_thread(run, *arguments)
    async with running(site):
        online = await asyncio.to_thread(run, *arguments)
    assert offline.stdout
    assert offline.exit_code == online.exit_code
    bare = [AGES.sub("*", told.stdout).splitlines() for told in (offline, online)]
    start = 1 if command[0] == "status" else 0  # its first line says whether a broker runs
    assert bare[0][start:] == bare[1][start:]
    for line in offline.stdout.splitlines():
        assert len(line) <= width or command[0] in ("events", "show")


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_both_languages_are_spoken(run: Run, filled: Ids, command: tuple[str, ...]) -> None:
    nb, en = (run("--lang", each, *named(command, filled)).stdout for each in ("nb", "en"))
    if command == ("events",):
        assert nb == en  # names of events and ids, in no language
        return
    words = WORDS.get(" ".join(command)) or WORDS[command[0]]
    assert words[0] in nb
    assert words[0] not in en
    assert words[1] in en


def test_one_screen_says_what_is_open_and_what_needs_a_person(run: Run, site: Path, filled: Ids) -> None:
    told = run("status")
    assert told.exit_code == exits.PROBLEM
    assert "not running; read from the store" in told.stdout
    assert "open 2 " in told.stdout
    assert "Ball: us 1   partner 0   EPJ 0   person 1" in told.stdout
    assert f"1 in the inbox of {OURS} Hjemmetjenesten" in told.stdout
    assert PROBLEM in told.stdout
    found = json.loads(run("status", "--json").stdout)
    assert (found["open"], found["needPerson"], found["balls"]["person"]) == (2, 1, 1)
    assert found["problems"][0]["id"] == PROBLEM
    assert 0 < found["disk"]["free"] <= found["disk"]["total"]
    assert found["running"] is False


async def test_a_running_broker_says_so_and_which_lanes_are_closed(run: Run, site: Path, filled: Ids) -> None:
    async with running(site, closed=lambda: {PARTNER}):
        told = await asyncio.to_thread(run, "status")
        lanes = await asyncio.to_thread(run, "partners")
    assert "running" in told.stdout.splitlines()[0]
    assert "not running" not in told.stdout
    assert f"Closed lanes: {PARTNER} Legevakten [i] Dalbygda" in told.stdout
    assert re.search(rf"{PARTNER} .*closed", lanes.stdout)


def test_problems_are_groups_that_can_be_asked_for_by_their_id(run: Run, filled: Ids) -> None:
    told = run("problems", "--json")
    assert told.exit_code == exits.PROBLEM
    found = [json.loads(line) for line in told.stdout.splitlines()]
    assert (found[0]["id"], found[0]["count"], found[0]["ball"]) == (PROBLEM, 1, "person")
    one = run("problem", PROBLEM.lower(), "--json")
    assert one.exit_code == exits.PROBLEM
    assert [each["messageId"] for each in json.loads(one.stdout)["messages"]] == [filled.parked]
    assert filled.parked in run("problem", PROBLEM).stdout


def test_an_id_of_no_problem_is_told_from_a_word_that_is_none(run: Run, filled: Ids) -> None:
    assert run("problem", f"K4:MB-3202:{PARTNER}").exit_code == exits.NOT_FOUND
    wrong = run("problem", "SECRET")
    assert wrong.exit_code == exits.USAGE
    assert "such as K4:MB-3202:8000123" in wrong.stderr
    assert "SECRET" not in wrong.stderr


def test_a_message_names_the_group_it_stands_in(run: Run, filled: Ids) -> None:
    (found,) = map(json.loads, run("trace", filled.parked, "--json").stdout.splitlines())
    assert (found["receivers"][0]["problem"], found["receivers"][0]["alike"]) == (PROBLEM, 0)


def test_attempts_are_lines_with_the_message_they_belong_to(run: Run, filled: Ids) -> None:
    (one,) = map(json.loads, run("attempts", filled.sent_envelope, "--json").stdout.splitlines())
    assert (one["messageId"], one["httpStatus"], one["errorId"]) == (filled.sent, 503, "MB-3211")
    assert "1.0s" in run("attempts", filled.sent).stdout
    assert "No attempt was made." in run("attempts", filled.parked).stdout
    assert run("attempts", "nothing").exit_code == exits.NOT_FOUND


def test_ages_add_up(run: Run, filled: Ids) -> None:
    (row,) = map(json.loads, run("queue", "--shape", "--json").stdout.splitlines())
    assert (row["herId"], row["total"]) == (PARTNER, 2)
    assert sum(each["count"] for each in row["ages"]) == 2
    assert [each["within"] for each in row["ages"]] == [300, 900, 3600, 14400, 86400, 259200, None]
    assert "5m  15m  1h  4h  1d  3d  over 3d" in run("queue", "--shape").stdout


def test_partners_say_when_they_were_last_heard_of(run: Run, filled: Ids) -> None:
    (row,) = map(json.loads, run("partners", "--json").stdout.splitlines())
    assert (row["herId"], row["open"], row["troubled"], row["lastAcknowledgedAt"]) == (PARTNER, 2, 2, None)
    assert row["lastHeardAt"] == "2026-03-02T09:30:00.123Z"
    assert row["lane"] is None


@pytest.mark.parametrize("id", ["MB-3206", "mb-3206", "3206"])
def test_an_error_is_explained_without_asking_anybody(id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(main, ["--lang", "nb", "explain", id])
    assert told.exit_code == exits.OK
    assert CAUSES["MB-3206"].name.nb in told.stdout
    assert CAUSES["MB-3206"].act.nb in told.stdout


def test_the_whole_catalogue_is_listed_and_an_unknown_id_is_exit_code_3(run: Run) -> None:
    listed = [json.loads(line)["errorId"] for line in run("explain", "--json").stdout.splitlines()]
    assert listed == list(CAUSES)
    assert all(id in run("explain").stdout for id in listed)
    assert run("explain", "MB-0000").exit_code == exits.NOT_FOUND


def test_events_come_by_their_offsets(run: Run, filled: Ids) -> None:
    found = [json.loads(line) for line in run("events", "--json").stdout.splitlines()]
    assert [each["type"] for each in found] == ["message.accepted", "message.sent", "inbox.document"]
    after = run("events", "--after", str(found[0]["offset"]), "--json").stdout.splitlines()
    assert [json.loads(line)["offset"] for line in after] == [each["offset"] for each in found[1:]]
    assert len(run("events", "--last", "1").stdout.splitlines()) == 1


def test_events_are_followed_over_a_restart(run: Run, site: Path, filled: Ids, monkeypatch: pytest.MonkeyPatch) -> None:
    from broker.cli import ask, reading_commands
    from broker.cli.places import find_places

    asked: list[int] = []
    real = ask.ask

    def sometimes(where: ask.Where, what: str, **how: Any) -> Any:
        asked.append(how["after"])
        if len(asked) == 2:
            raise ask.Unreachable("it restarts")
        if len(asked) == 4:
            raise KeyboardInterrupt
        return real(where, what, **how)

    monkeypatch.setattr(ask, "ask", sometimes)
    monkeypatch.setattr(reading_commands, "_TURN", 0.001)
    followed = reading_commands._events(find_places(Path("broker.toml"), os.environ), -20, follow=True)
    told = [next(followed)["offset"] for _ in range(3)]
    with pytest.raises(KeyboardInterrupt):
        next(followed)
    assert len(told) == len(set(told)) == 3
    assert asked == [-20, told[-1], told[-1], told[-1]]


def test_ctrl_c_ends_following_as_it_should(run: Run, filled: Ids, monkeypatch: pytest.MonkeyPatch) -> None:
    from broker.cli import reading_commands

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(reading_commands, "_events", interrupted)
    assert run("events", "--follow").exit_code == exits.OK


def test_colours_are_for_terminals_and_no_color_is_kept(run: Run, filled: Ids, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in run("status").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run("status").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in run("status").stdout


@pytest.mark.parametrize("command", ["show", "trace", "attempts"])
def test_ids_are_completed(run: Run, filled: Ids, command: str) -> None:
    assert filled.parked in complete([command], filled.parked[:6])
    assert filled.parked in complete([command], "")
    assert filled.sent_envelope in complete([command], filled.sent_envelope[:9])
    assert complete([command], "zzz") == []


def test_problems_and_errors_are_completed(run: Run, filled: Ids) -> None:
    assert complete(["problem"], "k2:mb") == [PROBLEM]
    assert complete(["explain"], "MB-320") == [id for id in CAUSES if id.startswith("MB-320")]


def test_what_can_not_be_completed_is_no_error(run: Run, site: Path) -> None:
    assert complete(["show"], "a") == []
    assert complete(["problem"], "K") == []
    (site / "broker.toml").write_text("wrong wrong")
    assert complete(["show"], "a") == []
    assert complete(["problem"], "K") == []


def complete(arguments: list[str], typed: str) -> list[str]:
    return [
        each.value for each in ShellComplete(main, {}, "broker", "_BROKER_COMPLETE").get_completions(arguments, typed)
    ]


def test_completion_is_there_for_all_that_take_an_id() -> None:
    for name in ("show", "trace", "attempts", "problem", "explain"):
        (argument,) = [each for each in main.commands[name].params if isinstance(each, click.Argument)]
        assert argument._custom_shell_complete is not None
