"""What the operator writes, what `check` says of it, and what `show` says of a message that came by path."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console

from broker.cli.check import Checked
from broker.cli.doctor import Mark
from broker.cli.doctor_trust import path_trust, revocation_answers
from broker.cli.show import Show
from broker.config import Settings, load
from broker.errors import Misconfigured
from broker.lookup.anchors import read_anchors
from broker.lookup.clock import SystemClock
from broker.routing.choose import CERTIFICATE_NOT_TRUSTED
from broker.routing.findings import findings
from broker.routing.party import Agreement, Directory, Party, PartyKind, Trust
from broker.routing.records import read_party
from broker.sealing.paths import Anchors
from broker.web.looking import Operators
from tests.scenario.pair import DALBYGDA, FJORDVIK
from tests.trust.authority import Authority, authority
from tests.trust.cases import GOOD, MID, ROOT
from tests.trust.pki import ENCRYPT, NOW, NUMBER, Held, leaf, name
from tests.trust.test_end_to_end import scene

RECORD = f"""
her_id = {DALBYGDA}
name = "Dalbygda"
kind = "epj"
organisation_number = "{NUMBER}"
endpoint = "http://127.0.0.1:9/ebms"
trust = "path"
encryption = ["encryption.crt"]
[[agreement]]
with = {FJORDVIK}
cpa_id = "cpa-1"
"""
SETTINGS = f"""
environment = "test"
[partner]
port = 0
[epj]
port = 0
[[organisation]]
number = "{NUMBER}"
name = "Fjordvik kommune"
hers = [{FJORDVIK}]
[trust]
roots = ["roots"]
intermediates = ["issuer.pem"]
networks = ["127.0.0.0/8"]
"""


def _pem(held: Held) -> bytes:
    return held.certificate.public_bytes(Encoding.PEM)


def _site(folder: Path, root: Held, issuer: Held, theirs: Held) -> Settings:
    for made in ("roots", "addresses"):
        (folder / made).mkdir()
    (folder / "roots" / "root.pem").write_bytes(_pem(root))
    (folder / "issuer.pem").write_bytes(_pem(issuer))
    (folder / "addresses" / "dalbygda.toml").write_text(RECORD, "utf-8")
    (folder / "addresses" / "encryption.crt").write_bytes(_pem(theirs))
    own = f'her_id = {FJORDVIK}\nname = "Fjordvik"\nkind = "epj"\norganisation_number = "{NUMBER}"\n'
    (folder / "addresses" / "fjordvik.toml").write_text(own, "utf-8")
    (folder / "broker.toml").write_text(SETTINGS, "utf-8")
    return load(folder / "broker.toml")


def test_a_record_says_how_it_is_trusted_and_its_units_follow() -> None:
    organisation = read_party(
        'her_id = 1\nname = "n"\nkind = "organisation"\ntrust = "path"', source="r", load_pem=lambda _: b""
    )
    unit = read_party('her_id = 2\nname = "n"\nkind = "epj"\nparent = 1', source="r", load_pem=lambda _: b"")
    alone = replace(unit, her_id=3, parent=None)
    pinned = replace(unit, her_id=4, trust=Trust.PINNED)
    directory = Directory(parties={party.her_id: party for party in (organisation, unit, alone, pinned)})
    assert [directory.trust(her) for her in (1, 2, 3, 4)] == [Trust.PATH, Trust.PATH, Trust.PINNED, Trust.PINNED]
    with pytest.raises(Misconfigured, match='"pinned"'):
        read_party('her_id = 1\nname = "n"\nkind = "epj"\ntrust = "name"', source="r", load_pem=lambda _: b"")


def test_roots_are_files_or_folders_beside_the_settings(tmp_path: Path) -> None:
    settings = _site(tmp_path, ROOT, MID, GOOD)
    found = read_anchors(settings.trust.roots, settings.trust.intermediates)
    assert found == Anchors(roots=(ROOT.certificate,), intermediates=(MID.certificate,))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "roots" / "root.pem").unlink(), "empty folder"),
        (lambda folder: (folder / "roots" / "more.crt").write_bytes(b"\x30\x82"), "no certificate in PEM form"),
        (lambda folder: (folder / "roots" / "more.crt").write_bytes(_pem(GOOD)), "no issuer's"),
        (lambda folder: (folder / "issuer.pem").unlink(), "can't be read"),
    ],
)
def test_a_root_that_is_none_stops_the_start_and_is_named(
    tmp_path: Path, spoil: Callable[[Path], Any], why: str
) -> None:
    settings = _site(tmp_path, ROOT, MID, GOOD)
    spoil(tmp_path)
    with pytest.raises(Misconfigured, match=why) as told:
        read_anchors(settings.trust.roots, settings.trust.intermediates)
    assert told.value.where.startswith("trust.")
    assert told.value.hint


def _found(party: dict[str, Any], anchors: Anchors) -> list[tuple[bool, str | None, str]]:
    given: dict[str, Any] = {
        "her_id": DALBYGDA,
        "name": "Dalbygda",
        "kind": PartyKind.EPJ,
        "organisation_number": NUMBER,
        "endpoint": "https://ebms.dalbygda.example",
        "encryption": (leaf(MID, usage=ENCRYPT).certificate,),
        "trust": Trust.PATH,
        "agreements": (Agreement(cpa_id="c", ours=FJORDVIK, theirs=DALBYGDA),),
        **party,
    }
    own = Party(her_id=FJORDVIK, name="Fjordvik", kind=PartyKind.EPJ, organisation_number=NUMBER)
    directory = Directory(parties={DALBYGDA: Party(**given), FJORDVIK: own}, anchors=anchors)
    return [
        (each.problem, each.error_id, each.text.en)
        for each in findings(directory, ours={FJORDVIK}, processes=(), at=NOW)
    ]


def test_what_a_path_lacks_is_said_of_the_record() -> None:
    anchors = Anchors(roots=(ROOT.certificate,), intermediates=(MID.certificate,))
    strange = leaf(MID, name("Fremmed", number="271828183"), usage=ENCRYPT).certificate
    assert _found({}, anchors) == []  # it needs no signing certificate in its record
    for party, held, said in (
        ({}, Anchors(), "no roots are configured"),
        ({"organisation_number": None}, anchors, "no organisation_number"),
        ({}, Anchors(roots=(ROOT.certificate,)), "an intermediate certificate is missing"),
        ({"encryption": (strange,)}, anchors, "does not name the organisation"),
    ):
        found = _found(party, held)
        assert (True, CERTIFICATE_NOT_TRUSTED) in {(problem, id) for problem, id, _ in found}, found
        assert any(said in text for _, _, text in found), found


async def test_check_reads_the_roots_asks_the_services_and_says_who_does_not_answer(tmp_path: Path) -> None:
    now = SystemClock().now()
    async with authority(SystemClock()) as (ca, _):
        theirs = ca.issue(encrypts=True, number=NUMBER)
        settings = _site(tmp_path, ca.root, ca.issuer, theirs)
        checked = await asyncio.to_thread(Checked.of_settings, settings)
        assert [each.text.en for each in checked.findings if each.error_id == CERTIFICATE_NOT_TRUSTED] == []
        alone = await asyncio.to_thread(Checked.of_folder, tmp_path / "addresses")  # knows no roots
        assert [each for each in alone.findings if each.error_id == CERTIFICATE_NOT_TRUSTED] == []
        assert (await asyncio.to_thread(path_trust, settings))[0].text.en.endswith("is asked of 127.0.0.1")
        assert await _asked(settings, ca) == [(Mark.OK, f"HER-id {DALBYGDA}: not revoked")]
        ca.up = False
        ((mark, text),) = await _asked(settings, ca)
        assert (mark, "it answered HTTP 503" in text) == (Mark.FAULT, True)
        ca.up, ca.revoked = True, {theirs: now}
        assert await _asked(settings, ca) == [(Mark.FAULT, f"HER-id {DALBYGDA}: the certificate is revoked")]


async def _asked(settings: Settings, ca: Authority) -> list[tuple[Mark, str]]:
    assert ca.port
    return [(each.mark, each.text.en) for each in await revocation_answers(settings, SystemClock().now())]


async def test_show_names_the_words_of_the_services_in_one_line(tmp_path: Path) -> None:
    async with scene(tmp_path) as run:
        await run.send()
        ((message, _),) = await run.at.right.inbox()
        right = run.at.right
        operators = Operators(
            right.store, addresses=right.addresses, clock=right.doors.clock, cancels=lambda _process, _function: False
        )
        told = await operators.journey(message.id)
        assert [said["source"] for said in told[0]["revocation"]] == ["ocsp", "ocsp"]
        out = StringIO()
        Show(Console(file=out, width=100), "en").journeys(told)
        (line,) = [line for line in out.getvalue().splitlines() if line.startswith("Not revoked")]
        assert line.count("OCSP 20") == 2
