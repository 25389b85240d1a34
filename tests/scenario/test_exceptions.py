"""Outdated algorithms: taken where a record allows them, until its day and no longer, counted, and never written."""

import asyncio
import io
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console

from broker import telemetry
from broker.cli.order import give
from broker.cli.overview import Overview
from broker.envelope.xmldsig import RSA_SHA1, RSA_SHA256
from broker.errors import Misconfigured
from broker.message import EventKind
from broker.routing.findings import exceptions, findings
from broker.routing.party import Switch
from broker.routing.records import read_party
from broker.sealing.certificates import Use
from broker.web.operator import make_operator_app, operator_socket
from tests.scenario.forge import Draft, take
from tests.scenario.pair import DALBYGDA, FJORDVIK, START, Pair, dialogue, pair, side_key
from tests.unit.routing.test_records import FULL, load

TODAY = START.date()
LEFT = side_key(FJORDVIK, Use.SIGN)


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as made:
        yield made


async def caught(brokers: Pair) -> Draft:
    """Return an envelope of left, taken off the wire."""
    brokers.wire.plan = ["catch"]
    await brokers.left.post(dialogue("11111111-0000-4000-8000-000000000001"))
    await brokers.run()
    return take(brokers.wire.caught[0])


def by_sha1(draft: Draft, folder: Path) -> Draft:
    return draft.put(RSA_SHA256, RSA_SHA1).valued(LEFT, "sha1")


def by_3des(draft: Draft, folder: Path) -> Draft:
    """Seal a document with triple DES, by OpenSSL: we write none."""
    certificate = folder / "right.crt"
    certificate.write_bytes(side_key(DALBYGDA, Use.ENCRYPT).certificate.public_bytes(Encoding.PEM))
    made = subprocess.run(
        ["openssl", "cms", "-encrypt", "-des3", "-binary", "-outform", "DER", str(certificate)],
        input=dialogue("11111111-0000-4000-8000-000000000001"),
        capture_output=True,
        check=True,
    )
    return draft.carrying(made.stdout).signed(LEFT)


def allow(brokers: Pair, **changes: object) -> None:
    """Change right's record of left's organisation: its units share its engine."""
    directory = brokers.right.addresses.directory
    her = FJORDVIK // 100 * 100
    party = replace(directory.parties[her], **changes)  # type: ignore[arg-type] # by name
    brokers.right.addresses.directory = replace(directory, parties={**directory.parties, her: party})


async def sent(brokers: Pair, draft: Draft) -> int:
    """Send it, and return how many documents are in right's inbox."""
    entity = draft.entity()
    await brokers.wire.post(
        entity.endpoint, content_type=entity.content_type, body=entity.body, timeout=brokers.right.doors.site.timeout
    )
    return len(await brokers.right.inbox())


OUTDATED = pytest.mark.parametrize(
    ("switch", "make"), [(Switch.SHA1, by_sha1), (Switch.TRIPLE_DES, by_3des)], ids=["sha1", "3des"]
)


@OUTDATED
@pytest.mark.parametrize(
    ("until", "taken"),
    [({"days": 0}, True), ({"days": -1}, False), ({}, True)],
    ids=["its last day", "the day after", "no day given"],
)
async def test_an_exception_ends_with_its_day(
    switch: Switch, make: object, until: dict[str, int], taken: bool, brokers: Pair, tmp_path: Path
) -> None:
    assert callable(make)
    draft = make(await caught(brokers), tmp_path)
    days = {switch: date.fromordinal(TODAY.toordinal() + until["days"])} if until else {}
    allow(brokers, switches=frozenset({switch}), until=days)
    before = telemetry.uses(switch.removesuffix("-in"), FJORDVIK)
    assert await sent(brokers, draft) == int(taken)
    assert telemetry.uses(switch.removesuffix("-in"), FJORDVIK) - before == int(taken)
    told = await brokers.right.store.events(kinds=[EventKind.SECURITY], after=0, limit=10)
    assert len(told) == int(not taken)
    if not taken:
        why = told[0].event.why or ""
        assert why.endswith(f"; {switch} of its record ended with {days[switch]}")


@OUTDATED
async def test_without_an_exception_there_is_none_to_end(
    switch: Switch, make: object, brokers: Pair, tmp_path: Path
) -> None:
    assert callable(make)
    draft = make(await caught(brokers), tmp_path)
    assert await sent(brokers, draft) == 0
    (told,) = await brokers.right.store.events(kinds=[EventKind.SECURITY], after=0, limit=10)
    assert "ended" not in (told.event.why or "")


# --- records ---


def test_a_day_switches_an_exception_on() -> None:
    read = read_party(
        FULL.replace('switches = ["sha1-in"]', 'switches_until = { "3des-in" = 2027-01-31 }'), source="d", load_pem=load
    )
    assert read.switches == {Switch.TRIPLE_DES}
    assert read.ends(Switch.TRIPLE_DES) == date(2027, 1, 31)


def test_an_exception_without_a_day_ends_with_the_programs() -> None:
    read = read_party(FULL, source="d", load_pem=load)
    assert read.ends(Switch.SHA1) == date(2027, 6, 30)


@pytest.mark.parametrize(
    ("line", "where", "words"),
    [
        ('switches_until = { "sha1-in" = "2027-01-31" }', "d: switches_until.sha1-in", "a day, without quotes"),
        ('switches_until = { "sha1-in" = 2027-01-31T00:00:00Z }', "d: switches_until.sha1-in", "a day"),
        ('switches_until = { "plain-http" = 2027-01-31 }', "d: switches_until", '"3des-in", "sha1-in"'),
        ('switches_until = ["sha1-in"]', "d: switches_until", "table"),
    ],
)
def test_a_day_that_is_none_is_refused(line: str, where: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words) as caught:
        read_party(FULL.replace('switches = ["sha1-in"]', line), source="d", load_pem=load)
    assert caught.value.where == where


@pytest.mark.parametrize("cipher", ["3des-cbc", "aes128-cbc", "aes192-gcm"])
def test_an_agreement_names_only_what_we_write(cipher: str) -> None:
    with pytest.raises(Misconfigured, match="only read"):
        read_party(FULL.replace("aes256-gcm", cipher), source="d", load_pem=load)


def test_what_is_left_of_an_exception_is_said(brokers: Pair) -> None:
    allow(brokers, switches=frozenset({Switch.SHA1, Switch.PLAIN_HTTP}), until={Switch.SHA1: date(2026, 12, 1)})
    directory = brokers.right.addresses.directory
    (left,) = exceptions(directory, FJORDVIK, TODAY)
    assert (left.switch, left.days_left) == (Switch.SHA1, 9)
    said = [each.text.en for each in findings(directory, ours=(DALBYGDA,), processes=(), at=START)]
    assert "allows sha1-in until 2026-12-01 (9 days left)" in said
    assert "allows what is otherwise refused: plain-http" in said
    allow(brokers, until={Switch.SHA1: date(2026, 11, 21)})
    said = [
        each.text.en for each in findings(brokers.right.addresses.directory, ours=(DALBYGDA,), processes=(), at=START)
    ]
    assert "sha1-in ended with 2026-11-21; what needs it is refused" in said


async def test_broker_partners_shows_the_days_left_and_the_uses(brokers: Pair, tmp_path: Path) -> None:
    draft = by_sha1(await caught(brokers), tmp_path)
    allow(brokers, switches=frozenset({Switch.SHA1}), until={Switch.SHA1: date(2026, 12, 1)})
    before = telemetry.uses("sha1", FJORDVIK)
    await sent(brokers, draft)
    path = tmp_path / "operator.sock"
    async with operator_socket(make_operator_app(brokers.right.doors, brokers.right.store), path):
        (row,) = await asyncio.to_thread(give, path, "partners", None)
    assert row["exceptions"][0].items() >= {"switch": "sha1-in", "until": "2026-12-01", "daysLeft": 9}.items()
    assert row["exceptions"][0]["uses"] == before + 1
    console = Console(record=True, width=200, file=io.StringIO())
    Overview(console, "en", START).partners([row])
    assert f"allows sha1-in until 2026-12-01 (9 days left), {before + 1} uses since the start" in console.export_text()
