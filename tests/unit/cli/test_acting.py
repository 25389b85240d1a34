"""`hold`, `release`, `retry`, `close` and `retention` as a person types them, at a running broker and without one."""

import asyncio
import json
import os
import pwd
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from broker import telemetry
from broker.cli import exits
from broker.lookup.site_key import site_key
from broker.ports import Keeping
from broker.retention import Policy
from broker.store.sqlite import open_store
from broker.web.operator import make_operator_app, operator_socket
from broker.web.operator_acts import add_acts
from tests.scenario.pair import DALBYGDA, Pair, dialogue, pair
from tests.store import values
from tests.unit.cli.conftest import Ids, Run

WHO = pwd.getpwuid(os.getuid()).pw_name


@asynccontextmanager
async def running(site: Path, folder: Path) -> AsyncIterator[Pair]:
    """Give a broker that answers at the socket of the folder with settings."""
    telemetry.configure("critical")  # the broker's log goes elsewhere than what a command prints
    async with pair(folder) as brokers:
        app = make_operator_app(brokers.left.doors, brokers.left.store)
        add_acts(app, brokers.left.doors, Policy(times={Keeping.ENVELOPES: timedelta(days=10)}))
        (site / "data").mkdir(exist_ok=True)
        async with operator_socket(app, site / "data" / "operator.sock"):
            yield brokers


def parsed(shown: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown.stdout.splitlines()]


async def told(run: Run, *arguments: str) -> Result:
    return await asyncio.to_thread(run, *arguments)


async def test_each_act_says_what_it_did(run: Run, site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    async with running(site, tmp_path_factory.mktemp("pair")) as brokers:
        taken = await brokers.left.post(dialogue("1"))
        id, delivery = taken.message.id, taken.deliveries[0].id
        held = await told(run, "hold", id, "--reason", "wait")
        assert (held.exit_code, held.stdout) == (exits.OK, f"1 delivery held back\n  {delivery}\n")
        again = await told(run, "--lang", "nb", "hold", id, "--reason", "vent")
        assert again.stdout == "0 leveringer holdt tilbake\n  1 var det fra før\n"
        refused = await told(run, "retry", id, "--reason", "now")
        assert refused.exit_code == exits.REFUSED
        assert "release it first" in refused.stderr
        released = await told(run, "release", id, "--reason", "go", "--json")
        assert json.loads(released.stdout)["count"] == 1
        brokers.clock.time += timedelta(minutes=16)  # what waits its turn for so long is a problem
        tried = await told(run, "retry", "--problem", f"K2:-:{DALBYGDA}", "--reason", "go", "--dry-run")
        assert tried.stdout.startswith(f"Nothing was done. It would be: counterpart {DALBYGDA}: 1 delivery to be sent")
        partner = await told(run, "hold", "--partner", str(DALBYGDA), "--reason", "backup")
        assert "and what comes later" in partner.stdout
        assert "held by a person" in (await told(run, "partners")).stdout
        assert f"wait ({WHO})" in (await told(run, "show", id)).stdout
        assert f"backup  ({WHO})" in (await told(run, "events")).stdout
        await told(run, "release", "--partner", str(DALBYGDA), "--reason", "up", "--rate", "5")
        closed = await told(run, "close", id, "--reason", "by telephone")
        assert closed.stdout.startswith("1 delivery closed")
        missing = await told(run, "close", "nobody-knows-it", "--reason", "r")
        assert missing.exit_code == exits.NOT_FOUND
        kinds = await brokers.left.kinds(id)
        assert [kind for kind in kinds if kind.split(".")[1] in ("held", "released", "retried", "closed")] == [
            "message.held",
            "message.released",
            "message.held",
            "message.released",
            "message.closed",
        ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("hold", "some-id"),
        ("hold", "--reason", "r"),
        ("hold", "some-id", "--partner", "1", "--reason", "r"),
        ("retry", "--reason", "r"),
        ("close", "--reason", "r"),
        ("retry", "some-id", "--reason", "r", "--rate", "0"),
        ("retention", "--run"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == exits.USAGE


@pytest.mark.parametrize("act", ["hold", "release", "retry", "close"])
def test_without_a_broker_nobody_acts(run: Run, filled: Ids, act: str) -> None:
    refused = run(act, filled.parked, "--reason", "r")
    assert refused.exit_code == exits.UNREACHABLE
    assert refused.stderr.count("\n") == 1
    assert "only a running one can act" in refused.stderr


async def test_sudo_is_noted_as_a_claim(
    run: Run, site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "kari")
    async with running(site, tmp_path_factory.mktemp("pair")) as brokers:
        taken = await brokers.left.post(dialogue("1"))
        await told(run, "hold", taken.message.id, "--reason", "wait")
        history = await brokers.left.store.history(taken.message.id)
        assert str(history[-1].event.actor).endswith(" (says kari)")


async def test_retention_shows_the_same_by_the_socket_and_by_the_store(
    run: Run, site: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with running(site, tmp_path_factory.mktemp("pair")) as brokers:
        taken = await brokers.left.post(dialogue("1"))
        await brokers.run()
        await told(run, "close", taken.message.id, "--reason", "by telephone")
        brokers.clock.time += timedelta(days=11)
        shown = await told(run, "retention")
        assert "documents out" in shown.stdout
        lines = {line["kind"]: line for line in parsed(await told(run, "retention", "--json"))}
        assert lines["envelopes"]["due"] == 1
        only_looked = await told(run, "retention", "--run", "--dry-run", "--json")
        assert parsed(only_looked) == list(lines.values())
        erased = await told(run, "retention", "--run", "--reason", "small disk")
        assert erased.stdout == "Erased: 1 envelopes\n"
        assert (await told(run, "retention", "--run", "--reason", "small disk")).stdout == "Erased: nothing\n"


def test_retention_is_shown_without_a_broker(run: Run, filled: Ids) -> None:
    lines = {line["kind"]: line for line in parsed(run("retention", "--json"))}
    assert (lines["sent"]["bodies"], lines["received"]["bodies"]) == (2, 1)
    assert (lines["sent"]["owed"], lines["received"]["owed"]) == (2, 1)


async def _ended(data: Path) -> str:
    """Put a message into the store whose delivery ended long ago, and return its id."""
    store = await open_store(data, site_key=site_key(data), on_broken=lambda error: None, reserve=0)
    try:
        changes = values.taken()
        await store.accept(changes)
        wrapped, delivery, _ = values.sealed(changes.deliveries[0])
        await store.record(wrapped)
        ended = values.closing(delivery)
        (closed,) = ended.advanced
        await store.record(replace(ended, advanced=(replace(closed, updated_at=datetime(2020, 1, 1, tzinfo=UTC)),)))
    finally:
        await store.close()
    return changes.messages[0].id


def test_the_running_daemon_takes_orders_and_erases_what_is_due(run: Run, site: Path, filled: Ids) -> None:
    ended = asyncio.run(_ended(site / "data"))
    command = [sys.executable, "-m", "broker", "serve", "--config", str(site / "broker.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        try:
            lines = (json.loads(line) for line in broker.stdout)
            waited = {"process.started", "message.erased"}
            while waited:  # reads until both are there; pytest's timeout ends the wait
                line = next(lines)
                waited.discard(line["event"])
                assert line["event"] != "message.erased" or (line["msg"], line["codes"]) == (ended, ["envelopes"])
            held = run("hold", filled.parked, "--reason", "wait for the ward")
            assert (held.exit_code, held.stdout.splitlines()[0]) == (exits.OK, "1 delivery held back")
            line = next(line for line in lines if line["event"] == "message.held")
            assert (line["msg"], line["why"]) == (filled.parked, "wait for the ward")
            assert line["actor"]
            shown = parsed(run("retention", "--json"))
            assert {each["kind"]: each["owed"] for each in shown}["sent"] == 3
        finally:
            broker.terminate()
        assert broker.wait(timeout=30) == 0
