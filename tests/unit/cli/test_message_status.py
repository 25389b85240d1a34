"""`message-status` as a person types it, at a running broker."""

import json
from pathlib import Path

import pytest

from broker.cli import exits
from broker.message import EventKind
from tests.scenario.pair import DALBYGDA, dialogue
from tests.unit.cli.conftest import Run
from tests.unit.cli.test_acting import WHO, running, told


async def test_the_partners_word_is_printed_in_both_languages_and_stands_in_the_history(
    run: Run, site: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with running(site, tmp_path_factory.mktemp("pair")) as brokers:
        taken = await brokers.left.post(dialogue("1"))
        early = await told(run, "message-status", taken.message.id, "--reason", "is it there?")
        assert early.exit_code == exits.REFUSED
        assert "nothing of it has gone out" in early.stderr
        await brokers.run()
        eb_id = (await brokers.left.delivery(taken)).envelope
        said = await told(run, "message-status", taken.message.id, "--reason", "is it there?")
        assert said.exit_code == exits.OK
        assert said.stdout == (
            f"Counterpart {DALBYGDA} has received {eb_id}, and does not say that it was processed.\n"
            "  Received there: 2026-11-22T12:00:00.000Z\n"
        )
        norsk = await told(run, "--lang", "nb", "message-status", str(eb_id), "--reason", "er den der?")
        assert norsk.stdout.startswith(f"Motpart {DALBYGDA} har mottatt {eb_id}, men sier ikke at den er behandlet.")
        asked = await told(run, "message-status", taken.message.id, "--reason", "is it there?", "--json")
        assert json.loads(asked.stdout) == {
            "ebMessageId": eb_id,
            "partner": DALBYGDA,
            "status": "Received",
            "receivedAt": "2026-11-22T12:00:00.000Z",
            "signed": True,
        }
        history = [stored.event for stored in await brokers.left.store.history(taken.message.id)]
        asking = [event for event in history if event.kind is EventKind.STATUS_ASKED]
        assert [(event.actor, event.why) for event in asking] == [
            (WHO, "is it there?"),
            (WHO, "er den der?"),
            (WHO, "is it there?"),
        ]
        nobody = await told(run, "message-status", "nobody-knows-it", "--reason", "r")
        assert nobody.exit_code == exits.NOT_FOUND


async def test_without_a_broker_nobody_can_be_asked(run: Run, site: Path) -> None:
    alone = await told(run, "message-status", "1", "--reason", "r")
    assert alone.exit_code == exits.UNREACHABLE
