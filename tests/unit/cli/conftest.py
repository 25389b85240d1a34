"""A broker's folder with settings, records and a store that holds a few messages; and a way to run commands in it."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker import telemetry
from broker.cli.main import main
from broker.lookup.site_key import site_key
from broker.message import Ball, Changes, Direction, EventKind
from broker.store.sqlite import open_store
from tests.store.values import NOW, OURS, PARTNER, delivery, envelope, item, message, received
from tests.store.values import attempt as an_attempt
from tests.store.values import body as a_body
from tests.store.values import event as an_event

SETTINGS = f"""
environment = "test"
[partner]
port = 0
[epj]
port = 0
[[organisation]]
number = "900000101"
name = "Fjordvik kommune"
hers = [{OURS}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """What the store of the tests holds."""

    parked: str  # a message that waits for a person
    parked_delivery: str
    sent: str  # a message on its way, with an attempt
    sent_envelope: str
    came: str  # a received message


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The commands quieten the log of their process, which here is the tests' too."""
    log, handlers, level = telemetry._log, logging.getLogger().handlers[:], logging.getLogger().level
    yield
    telemetry._log = log
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "broker.toml").write_text(SETTINGS)
    (tmp_path / "addresses").mkdir()
    for her, name in ((OURS, "Hjemmetjenesten"), (PARTNER, "Legevakten [i] Dalbygda")):
        (tmp_path / "addresses" / f"{her}.toml").write_text(f'her_id = {her}\nname = "{name}"\nkind = "epj"\n')
    return tmp_path


@pytest.fixture
def filled(site: Path) -> Ids:
    return asyncio.run(_fill(site / "data"))


async def _fill(data: Path) -> Ids:
    store = await open_store(data, site_key=site_key(data), on_broken=lambda error: None, reserve=0)
    try:
        kept, sealed, came_body, evidence = a_body(), a_body(b"--sealed"), a_body(b"<a/>"), a_body(b"<soap/>")
        parked, sent = message(kept), message(kept)
        held = delivery(parked, cause="MB-2002", ball=Ball.PERSON, transport_due=NOW + timedelta(hours=1))
        away = delivery(sent)
        letter = envelope(away, sealed)
        await store.accept(
            Changes(
                events=(an_event(kind=EventKind.ACCEPTED, message_id=parked.id, stop_point="K2"),),
                bodies=(kept,),
                messages=(parked,),
                deliveries=(held,),
            )
        )
        await store.accept(
            Changes(
                events=(an_event(kind=EventKind.SENT, message_id=sent.id, delivery_id=away.id, stop_point="K5"),),
                bodies=(sealed,),
                messages=(sent,),
                deliveries=(away,),
                envelopes=(letter,),
                attempts=(an_attempt(letter),),
            )
        )
        got = message(came_body, direction=Direction.IN, sender_her=PARTNER, client=None)
        waiting = item(got)
        await store.receive(
            Changes(
                events=(
                    an_event(kind=EventKind.INBOX_DOCUMENT, message_id=got.id, item_id=waiting.id, stop_point="M6"),
                ),
                bodies=(came_body, evidence),
                messages=(got,),
                new_items=(waiting,),
                received=received(evidence, waiting),
            )
        )
    finally:
        await store.close()
    return Ids(parked=parked.id, parked_delivery=held.id, sent=sent.id, sent_envelope=letter.eb_id, came=got.id)


Run = Callable[..., Result]


@pytest.fixture
def run(site: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(site)
    monkeypatch.delenv("BROKER_CONFIG", raising=False)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["--lang", "en", *arguments], catch_exceptions=False)

    return invoke
