"""`show` and `queue`: by the running broker's socket, or by the store where none runs; the same either way."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from broker.cli import exits
from broker.cli.show import Show
from broker.lookup.address_files import AddressFiles
from broker.lookup.clock import SystemClock
from broker.lookup.site_key import site_key
from broker.store.sqlite import open_reader
from broker.web.looking import Operators
from broker.web.operator import operator_app, operator_socket
from broker.web.unix import connected
from tests.judging import shipped_processes
from tests.store.values import OURS, PARTNER
from tests.unit.cli.conftest import Ids, Run


@asynccontextmanager
async def running(site: Path, closed: Callable[[], Collection[int]] | None = None) -> AsyncIterator[None]:
    """Answer at the socket as the daemon does."""
    store = await open_reader(site / "data", site_key=site_key(site / "data"))
    try:
        operators = Operators(
            store,
            addresses=AddressFiles(site / "addresses"),
            clock=SystemClock(),
            cancels=shipped_processes().cancels,
            closed=closed,
        )
        async with operator_socket(operator_app(operators), site / "data" / "operator.sock"):
            yield
    finally:
        await store.close()


def without_ages(told: str) -> Any:
    """Return the answer without its sentences: they tell how long ago, which is another second by now."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(each) for key, each in value.items() if key != "sentence"}
        return [bare(each) for each in value] if isinstance(value, list) else value

    return [bare(json.loads(line)) for line in told.splitlines()]


@pytest.mark.parametrize("what", ["parked", "parked_delivery", "sent", "sent_envelope", "came"])
async def test_any_id_finds_its_message_by_the_socket_as_by_the_store(
    run: Run, site: Path, filled: Ids, what: str
) -> None:
    id = getattr(filled, what)
    offline = await asyncio.to_thread(run, "show", id, "--json")
    async with running(site):
        online = await asyncio.to_thread(run, "show", id, "--json")
    assert without_ages(online.stdout) == without_ages(offline.stdout)
    assert online.exit_code == offline.exit_code
    found = json.loads(online.stdout)
    assert found["id"] == {"parked_delivery": filled.parked, "sent_envelope": filled.sent}.get(what, id)


def test_a_message_that_waits_for_a_person_is_exit_code_1_with_the_reason(run: Run, filled: Ids) -> None:
    told = run("show", filled.parked)
    assert told.exit_code == exits.PROBLEM
    assert "● K2" in told.stdout
    assert "○ K3" in told.stdout
    assert "Legevakten [i] Dalbygda" in told.stdout
    assert "transport Unconfirmed   receipt awaited   outcome open" in told.stdout
    assert "What to do" in told.stdout
    assert "message.accepted" in told.stdout


def test_a_message_on_its_way_shows_its_attempts(run: Run, filled: Ids) -> None:
    told = run("show", filled.sent)
    assert told.exit_code == exits.OK
    assert "https://partner.example.invalid/ebms" in told.stdout
    assert "MB-3211" in told.stdout


def test_many_tries_that_are_alike_are_the_first_the_last_and_a_count(run: Run, filled: Ids) -> None:
    (message,) = map(json.loads, run("show", filled.sent, "--json").stdout.splitlines())
    (tried,) = message["attempts"]
    times = [f"2026-11-22T10:{minute:02}:00+00:00" for minute in range(40)]
    message["attempts"] = [tried | {"startedAt": time, "result": "failed"} for time in times]
    message["attempts"].append(tried | {"result": "acknowledged"})
    out = StringIO()
    Show(Console(file=out, width=160), "en").journeys([message])
    told = out.getvalue().partition("Attempts")[2]
    assert "… 38 more of the same" in told
    assert told.count("failed") == 2
    assert told.count("acknowledged") == 1


def test_a_received_message_shows_its_way_to_the_epj(run: Run, filled: Ids) -> None:
    told = run("show", filled.came)
    assert told.exit_code == exits.OK
    assert "● M6" in told.stdout
    assert "○ M7" in told.stdout
    assert f"from {PARTNER}" in told.stdout
    assert f"to {OURS}" in told.stdout


def test_both_languages_are_spoken(run: Run, filled: Ids) -> None:
    assert "Hva nå" not in run("show", filled.parked).stdout
    norwegian = run("--lang", "nb", "show", filled.parked).stdout
    assert "Gjør dette" in norwegian
    assert "validert" in norwegian


def test_an_unknown_id_is_exit_code_3(run: Run, filled: Ids) -> None:
    told = run("show", "nothing-has-this-id")
    assert told.exit_code == exits.NOT_FOUND
    assert "nothing-has-this-id" not in told.output
    assert run("show", "nothing-has-this-id", "--json").stdout == ""


def test_the_queue_names_what_waits_for_a_person_first(run: Run, filled: Ids) -> None:
    told = run("queue", "--json")
    assert told.exit_code == exits.PROBLEM
    assert [json.loads(line)["messageId"] for line in told.stdout.splitlines()] == [filled.parked, filled.sent]
    shown = run("queue")
    assert shown.exit_code == exits.PROBLEM
    assert filled.parked in shown.stdout
    assert "What to do" in shown.stdout


def test_piped_output_has_no_colours_and_whole_ids(run: Run, filled: Ids) -> None:
    told = run("queue").stdout
    assert "\x1b" not in told
    assert filled.sent in told


@pytest.mark.parametrize("command", [("queue",), ("show", "some-id")])
def test_without_broker_and_store_it_is_exit_code_5(run: Run, site: Path, command: tuple[str, ...]) -> None:
    told = run(*command)
    assert told.exit_code == exits.UNREACHABLE
    assert "no broker runs" in told.stderr
    assert not (site / "data").exists()


def test_a_socket_that_a_broker_left_behind_is_passed_by(run: Run, site: Path, filled: Ids) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(site / "data" / "operator.sock"))
    left.close()
    assert run("show", filled.sent).exit_code == exits.OK


async def test_a_broker_that_can_not_answer_is_exit_code_5(run: Run, site: Path) -> None:
    async def fail(_: web.Request) -> web.Response:
        return web.Response(status=503)

    (site / "data").mkdir()
    app = web.Application()
    app.router.add_get("/queue", fail)
    async with operator_socket(app, site / "data" / "operator.sock"):
        told = await asyncio.to_thread(run, "queue")
    assert told.exit_code == exits.UNREACHABLE


async def test_the_socket_is_for_its_owner_alone_and_gone_in_the_end(site: Path, filled: Ids) -> None:
    path = site / "data" / "operator.sock"
    async with running(site):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


async def test_a_folder_with_a_long_name_has_a_socket_too(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    path = folder / "operator.sock"

    def ask() -> bytes:
        with connected(path, 5.0) as made:
            made.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: made.recv(4096), b""))

    async with operator_socket(web.Application(), path):
        assert (await asyncio.to_thread(ask)).startswith(b"HTTP/1.0 404")
    assert not path.exists()
