"""The commands: what they print, and with which exit code they end."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from broker.cli import exits
from broker.cli.main import main
from broker.cli.words import WORDS, WORDS_OF_ALL, language
from broker.lookup.clients_file import ClientsFile
from broker.lookup.key_files import KeyFiles
from broker.lookup.shipped import shipped
from tests.store.values import OURS, PARTNER
from tests.unit.cli.conftest import Run


def every_command(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found += every_command(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]
    return found


COMMANDS = every_command(main)


def test_all_commands_are_there() -> None:
    assert set(COMMANDS) == {
        ("serve",),
        ("demo",),
        *[(name,) for name in ("status", "problems", "problem", "show", "trace", "attempts", "queue", "partners")],
        ("explain",),
        ("events",),
        ("alerts", "test"),
        ("addresses", "check"),
        *[("agreements", name) for name in ("import", "list", "show", "compare", "retire")],
        ("keys", "new"),
        ("clients", "add"),
        ("certificates",),
        ("check",),
        ("backup",),
        ("restore",),
        *((name,) for name in ("hold", "release", "retry", "close", "message-status", "retention")),
        ("webhooks",),
        ("ping",),
        ("algorithms",),
    }


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_that_names_it(command: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, [*command, "--help"])
    assert told.exit_code == exits.OK
    assert f"Example: broker {' '.join(command)}" in told.output


def test_help_loads_nothing_that_it_does_not_need() -> None:
    ask = (
        "import sys; from broker.cli.main import main; main(['--help'], standalone_mode=False);"
        "print(sorted({'aiohttp', 'lxml', 'cryptography', 'rich', 'pydantic', 'structlog'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.splitlines()[-1] == "[]"


def test_python_m_broker_is_broker() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "broker", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert re.fullmatch(r"broker, version \d+\.\d+\.\d+\n", told.stdout)


def test_each_language_has_every_word_and_the_system_chooses() -> None:
    assert all(nb and en for nb, en in (*WORDS.values(), *WORDS_OF_ALL.values()))
    assert language({"LANG": "nb_NO.UTF-8"}) == "nb"
    assert language({"LANG": "nn_NO.UTF-8", "LC_ALL": "C"}) == "en"
    assert language({}) == "en"
    assert language({"LANG": "nb_NO.UTF-8"}, "en") == "en"
    assert language({}, "nb") == "nb"


# --- settings ---


@pytest.mark.parametrize("command", [("serve",), ("keys", "new"), ("addresses", "check")])
def test_a_wrong_setting_is_one_sentence_and_exit_code_2(run: Run, site: Path, command: tuple[str, ...]) -> None:
    (site / "broker.toml").write_text('environment = "SECRET"')
    told = run(*command)
    assert told.exit_code == exits.USAGE
    assert told.stdout == ""
    assert told.stderr.startswith("broker: broker.toml: environment: must be one of")
    assert told.stderr.count("\n") == 1
    assert "SECRET" not in told.stderr


@pytest.mark.parametrize("command", [("status",), ("queue",), ("show", "x"), ("events",)])
def test_who_only_looks_reads_no_setting_but_where_to_look(run: Run, site: Path, command: tuple[str, ...]) -> None:
    (site / "broker.toml").write_text('data = 5\nenvironment = "SECRET"')
    told = run(*command)
    assert told.exit_code == exits.USAGE
    assert told.stderr == "broker: broker.toml: data: must be a path in quotes\n"


def test_without_settings_the_file_is_named(run: Run, site: Path) -> None:
    (site / "broker.toml").unlink()
    told = run("queue")
    assert told.exit_code == exits.USAGE
    assert "broker.toml" in told.stderr
    assert "--config" in told.stderr


# --- serve ---


def test_a_port_that_is_taken_is_one_sentence_and_exit_code_2(run: Run, site: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = (site / "broker.toml").read_text().replace("port = 0", f"port = {taken.getsockname()[1]}", 1)
        (site / "broker.toml").write_text(settings)
        told = run("serve")
    assert told.exit_code == exits.USAGE
    assert told.stderr.startswith("broker: 127.0.0.1:")
    assert "Traceback" not in told.output


def test_a_running_broker_answers_its_operators_and_stops_when_told(run: Run, site: Path) -> None:
    command = [sys.executable, "-m", "broker", "serve", "--config", str(site / "broker.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        try:
            events = (json.loads(line)["event"] for line in broker.stdout)
            assert "process.started" in events  # reads until it is there; pytest's timeout ends the wait
            assert (site / "data" / "operator.sock").is_socket()
            told = run("queue", "--json")
            assert (told.stdout, told.exit_code) == ("", exits.OK)
            screen = run("status")
            assert screen.exit_code == exits.OK
            assert re.match(r"DigiHelse [\d.]+   running   ", screen.stdout)
            assert "No problems." in screen.stdout
        finally:
            broker.terminate()
        assert broker.wait(timeout=30) == 0
    assert not (site / "data" / "operator.sock").exists()


# --- keys and clients ---


def test_new_keys_stand_where_the_broker_reads_them(run: Run, site: Path) -> None:
    told = run("keys", "new", "--bits", "2048", "--json")
    assert told.exit_code == exits.OK
    made = json.loads(told.stdout)
    assert Path(made[1]["signing certificate"]) == site / "keys" / "900000101" / "signing.crt"
    assert (site / "data" / "site.key").stat().st_size == 32
    keys = KeyFiles(site / "keys", {OURS: "900000101"})
    assert keys.problems == ()
    assert len(keys.opening(OURS)) == 1
    assert "PRIVATE KEY" not in told.output


def test_keys_are_for_organisations_of_the_settings(run: Run) -> None:
    told = run("keys", "new", "--organisation", "900000202")
    assert told.exit_code == exits.USAGE
    assert "900000101" in told.stderr


def test_a_token_is_printed_once_and_alone_on_standard_output(run: Run, site: Path) -> None:
    told = run("clients", "add", "EPJ", "--her", str(OURS))
    assert told.exit_code == exits.OK
    token = told.stdout.removesuffix("\n")
    found = ClientsFile(site / "clients.toml").by_token(token)
    assert found is not None
    assert (found.name, found.hers) == ("EPJ", frozenset({OURS}))
    assert token not in (site / "clients.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("EPJ", "--her", str(PARTNER)), "not hosted"),
        (("EPJ",), "--her"),
        (("EPJ", "--her", "x"), "integer"),
        ((), "NAME"),
    ],
)
def test_a_client_is_added_only_for_what_is_hosted(
    run: Run, site: Path, arguments: tuple[str, ...], words: str
) -> None:
    told = run("clients", "add", *arguments)
    assert told.exit_code == exits.USAGE
    assert words in told.stderr
    assert not (site / "clients.toml").exists()


# --- addresses check ---


def test_the_sample_addresses_are_read_and_their_missing_certificates_named(run: Run) -> None:
    told = run("addresses", "check", str(shipped("addresses")), "--json")
    assert told.exit_code == exits.PROBLEM
    checked = json.loads(told.stdout)
    assert checked["files"] == []
    assert {each["herId"] for each in checked["records"]} == {
        8000100,
        8000101,
        8000102,
        8000200,
        8000201,
        8000202,
        8000300,
        8000301,
    }
    # Ours lack nothing; each partner's certificates are left out.
    assert {(each["herId"], each["errorId"]) for each in checked["findings"]} == {
        (her, error) for her in (8000201, 8000202, 8000301) for error in ("MB-2007", None)
    }


def test_a_bad_file_is_named_with_its_line_and_the_others_are_checked(run: Run, site: Path) -> None:
    (site / "addresses" / "bad.toml").write_text("her_id = 1\nname = ")
    told = run("addresses", "check")
    assert told.exit_code == exits.PROBLEM
    assert "addresses/bad.toml, line 2" in told.stdout
    assert "Legevakten [i] Dalbygda" in told.stdout
    assert "MB-2007" in told.stdout


def test_a_folder_without_fault_is_said_so(run: Run, site: Path) -> None:
    (site / "addresses" / f"{PARTNER}.toml").unlink()
    told = run("addresses", "check")
    assert told.exit_code == exits.OK
    assert "Nothing found." in told.stdout


def test_a_hosted_her_id_without_a_record_is_a_fault(run: Run, site: Path) -> None:
    (site / "addresses" / f"{OURS}.toml").unlink()
    told = run("addresses", "check")
    assert told.exit_code == exits.PROBLEM
    assert f"{OURS}" in told.stdout
    assert "hosted" in told.stdout


def test_a_folder_that_is_not_there_is_a_fault(run: Run, site: Path) -> None:
    told = run("addresses", "check", "nowhere")
    assert told.exit_code == exits.PROBLEM
    assert "nowhere" in told.stdout
