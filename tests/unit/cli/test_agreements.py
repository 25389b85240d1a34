"""broker agreements: a file is shown and changes nothing; taken, it counts; compared, retired; exit codes."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.lookup.site_key import site_key
from broker.message import Changes, EventKind
from broker.store.sqlite import open_store
from tests.interop.cpa_cases import receipts
from tests.interop.cpa_files import cpa
from tests.store.values import OURS, PARTNER
from tests.store.values import event as an_event
from tests.unit.cli.conftest import Ids, Run

HERS = ("--a-id", str(OURS), "--b-id", str(PARTNER))
TABLE = f'\n[[agreement]]\nwith = {OURS}\ncpa_id = "table:1"\nretries = 5\n'


@pytest.fixture
def file(site: Path) -> Path:
    path = site / "partner.xml"
    path.write_bytes(receipts("Apprec")(cpa(*HERS)))
    return path


def imported(run: Run, file: Path, *more: str) -> Any:
    return run("agreements", "import", str(file), "--process", "DIALOG=Interop", *more)


def told(run: Run, file: Path, *more: str) -> Any:
    return json.loads(imported(run, file, "--json", *more).stdout)


def folder(site: Path) -> list[str]:
    return sorted(path.suffix for path in (site / "agreements").glob("*"))


def test_import_shows_in_words_and_changes_nothing(run: Run, site: Path, file: Path) -> None:
    shown = imported(run, file)
    assert shown.exit_code == 0, shown.output
    for words in (
        "Agreement interop:1 (partner.xml, CPA 2_0b, agreed)",
        f"party: Party B (HER {PARTNER})",
        "signature: every message is signed",
        "sending: sent up to 4 times, 5 seconds apart, and never later than 10 minutes after sealing",
        "we send: DIALOG/Foresporsel/epj: Service Interop, Action Foresporsel, Behandler -> Register",
        "we take: DIALOG/AppRec: Service Interop, Action Apprec, Register -> Behandler",
        "Neither a broker nor its store could be asked.",
        "Not taken into use.",
    ):
        assert words in shown.stdout
    assert folder(site) == []
    norwegian = run("--lang", "nb", "agreements", "import", str(file), "--process", "DIALOG=Interop")
    assert "alle meldinger er signert" in norwegian.stdout
    assert "Ikke tatt i bruk" in norwegian.stdout


def test_taken_into_use_it_is_listed_and_shown_by_its_id_and_by_the_partner(run: Run, site: Path, file: Path) -> None:
    assert imported(run, file, "--take").exit_code == 0
    assert folder(site) == [".toml", ".xml"]
    (line,) = [json.loads(each) for each in run("agreements", "list", "--json").stdout.splitlines()]
    assert (line["cpaId"], line["state"], line["ours"], line["theirs"]) == ("interop:1", "used", OURS, PARTNER)
    for what in ("interop:1", str(PARTNER)):
        shown = run("agreements", "show", what)
        assert shown.exit_code == 0
        assert shown.stdout.rstrip().endswith("in use")
    assert run("addresses", "check", "--json").exit_code == 1  # the partner has no encryption certificate
    assert "Is in use already." in imported(run, file, "--take").stdout
    assert folder(site) == [".toml", ".xml"]


def test_a_table_that_remains_is_a_conflict_until_it_is_removed(run: Run, site: Path, file: Path) -> None:
    record = site / "addresses" / f"{PARTNER}.toml"
    before = record.read_text()
    record.write_text(before + TABLE)
    shown = imported(run, file, "--take")
    assert shown.exit_code == 1
    assert 'CPAId: "table:1" in [[agreement]], "interop:1" in the agreement' in shown.stdout
    assert f"Now remove the [[agreement]] with = {OURS} from addresses/{PARTNER}.toml" in shown.stdout
    assert run("agreements", "list").stdout.startswith("conflict")
    assert run("agreements", "show", "interop:1").exit_code == 1
    (finding,) = [
        each
        for each in json.loads(run("addresses", "check", "--json").stdout)["findings"]
        if "table:1" in each["text"]["en"]
    ]
    assert finding["errorId"] == "MB-2013"
    record.write_text(before)
    assert run("agreements", "show", "interop:1").exit_code == 0
    (note,) = (site / "agreements").glob("*.toml")
    assert 'cpa_id = "table:1"' in note.read_text()  # to judge what was sent under it


async def _seal(data: Path, filled: Ids) -> None:
    """Let the delivery that has an envelope know of it, as sealing does."""
    store = await open_store(data, site_key=site_key(data), on_broken=lambda error: None, reserve=0)
    try:
        ((found, *_),) = [await store.find(filled.sent, hers=None)]
        sealed = replace(found.deliveries[0], envelope=filled.sent_envelope)
        event = an_event(kind=EventKind.SEALED, message_id=filled.sent)
        await store.record(Changes(events=(event,), advanced=(sealed,)))
    finally:
        await store.close()


def test_import_lists_what_waits_by_how_it_would_be_touched(run: Run, site: Path, file: Path, filled: Ids) -> None:
    asyncio.run(_seal(site / "data", filled))
    waiting = told(run, file)["waiting"]
    assert [each["messageId"] for each in waiting["unsealed"]] == [filled.parked]
    assert [(each["messageId"], each["cpaId"]) for each in waiting["sealed"]] == [(filled.sent, "cpa-1")]
    assert waiting["more"] is False
    assert "1 not sealed: get the new terms: " in imported(run, file).stdout


def test_the_next_version_is_compared_and_takes_the_place_of_the_one_before(run: Run, site: Path, file: Path) -> None:
    imported(run, file, "--take")
    newer = site / "newer.xml"
    newer.write_bytes(cpa(*HERS, "--cpaid", "interop:2", "--sync", "--retries", "7"))
    changes = {each["key"]: each for each in told(run, newer)["changes"]}
    assert {"cpa_id", "sync", "retries", "in:DIALOG:AppRec"} <= changes.keys()
    assert changes["retries"]["old"]["en"] == "3"
    assert changes["in:DIALOG:AppRec"]["new"] is None
    compared = run("agreements", "compare", "interop:1", str(newer))
    assert "sent again (Retries): 3 -> 7" in compared.stdout
    assert run("agreements", "compare", "interop:1", str(file)).stdout == "No differences.\n"
    imported(run, newer, "--take")
    states = [json.loads(each)["state"] for each in run("agreements", "list", "--json").stdout.splitlines()]
    assert states == ["used", "replaced"]
    retired = run("agreements", "retire", "interop:2")
    assert "what was sent under it is taken until" in retired.stdout
    assert run("agreements", "retire", "interop:2").exit_code == 3
    assert [each.split()[0] for each in run("agreements", "list").stdout.splitlines()] == ["retired", "in"]


def test_a_backup_holds_the_agreements(run: Run, site: Path, file: Path, filled: Ids) -> None:
    imported(run, file, "--take")
    (site / "keys").mkdir()
    saved = run("backup", str(site / "backup"))
    assert saved.exit_code == 0, saved.output
    assert folder(site / "backup") == folder(site) == [".toml", ".xml"]


def test_what_can_not_be_kept_is_shown_as_far_as_it_goes_and_refused(run: Run, site: Path, file: Path) -> None:
    file.write_bytes(cpa(*HERS, "--encrypted"))
    refused = imported(run, file, "--take")
    assert refused.exit_code == 2
    assert "channel B_Rm: HTTP http://127.0.0.1:8888/ebms" in refused.stdout
    assert "XML Encryption" in refused.stderr
    assert folder(site) == []
    file.write_bytes(cpa(*HERS, "--end", "2021-01-01T00:00:00Z"))
    over = imported(run, file, "--take")
    assert (over.exit_code, "ended on 2021-01-01" in over.stderr) == (6, True)
    unknown = run("agreements", "import", str(file), "--process", "SLIKT=Interop")
    assert (unknown.exit_code, "no process file has SLIKT" in unknown.stderr) == (2, True)


def test_a_bad_note_is_named_in_the_list(run: Run, site: Path, file: Path) -> None:
    imported(run, file, "--take")
    (kept,) = (site / "agreements").glob("*.xml")
    kept.write_bytes(b"changed")
    listed = run("agreements", "list")
    assert listed.exit_code == 1
    assert "not the file that was taken into use" in listed.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "none"), 3),
        (("retire", "none"), 3),
        (("compare", "none", "none"), 3),
        (("import", "none.xml"), 2),
        (("import", "partner.xml", "--process", "DIALOG"), 2),
        (("list",), 0),
    ],
)
def test_exit_codes(arguments: tuple[str, ...], code: int, run: Run, file: Path) -> None:
    assert file.exists()
    assert run("agreements", *arguments).exit_code == code


def test_an_agreement_of_a_record_is_found_there(run: Run, site: Path) -> None:
    record = site / "addresses" / f"{PARTNER}.toml"
    record.write_text(record.read_text() + TABLE)
    shown = run("agreements", "show", "table:1")
    assert (shown.exit_code, f"it stands in addresses/{PARTNER}.toml" in shown.stderr) == (3, True)


def test_rubbish_is_a_sentence(run: Run, file: Path) -> None:
    file.write_bytes(b"<a/>")
    refused = imported(run, file)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("broker: partner.xml, line 1: a is no CollaborationProtocolAgreement")
