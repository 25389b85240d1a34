"""Agreements are read anew with the records, and a file that goes bad never takes a good one with it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.lookup.address_files import AddressFiles
from broker.lookup.agreement_files import AgreementFiles, retire, take
from broker.routing.cpa import read_cpa
from broker.routing.party import Agreement
from tests.interop.cpa_files import A, B, cpa
from tests.scenario.pair import shipped_processes

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path: Path, clock: Clock) -> AddressFiles:
    (tmp_path / "addresses").mkdir()
    for her in (A, B):
        (tmp_path / "addresses" / f"{her}.toml").write_text(f'her_id = {her}\nname = "{her}"\nkind = "epj"\n')
    folder = tmp_path / "agreements"
    held = AgreementFiles(folder, hosted={A}, processes=lambda: shipped_processes(), clock=clock)
    return AddressFiles(tmp_path / "addresses", agreements=held)


def put(folder: Path, content: bytes, *, at: datetime = NOW) -> Path:
    taken = take(folder, content, read_cpa(content, source="x"), services={"DIALOG": "Interop"}, replaced=(), at=at)
    return folder.parent / taken.source


def agreed(files: AddressFiles) -> Agreement | None:
    return files.current().agreement(A, B)


def test_without_a_folder_there_are_no_imported_agreements(files: AddressFiles) -> None:
    assert (agreed(files), files.problems) == (None, ())


def test_an_agreement_counts_as_soon_as_it_stands_in_the_folder_and_ends_when_its_note_says(
    files: AddressFiles, tmp_path: Path, clock: Clock
) -> None:
    content = cpa()
    note = put(tmp_path / "agreements", content)
    assert files.look()
    found = agreed(files)
    assert found is not None
    assert found.cpa_id == "interop:1"
    assert not files.look()
    kept = [path for path in note.parent.iterdir() if path.suffix == ".xml"]
    assert [path.read_bytes() for path in kept] == [content]
    seen = AgreementFiles(note.parent, hosted={A}, processes=lambda: shipped_processes(), clock=clock)
    seen.laid_over(files.current())
    retire(note.parent, seen.taken()[0], at=NOW)
    assert files.look()
    assert agreed(files) is None


def test_time_alone_makes_another_version_count(files: AddressFiles, tmp_path: Path, clock: Clock) -> None:
    put(tmp_path / "agreements", cpa("--cpaid", "old"))
    put(
        tmp_path / "agreements", cpa("--cpaid", "new", "--start", "2026-11-23T12:00:00Z"), at=NOW + timedelta(seconds=1)
    )
    assert files.look()
    found = agreed(files)
    assert found is not None
    assert found.cpa_id == "old"
    clock.time += timedelta(days=1, seconds=1)
    assert files.look()
    found = agreed(files)
    assert found is not None
    assert found.cpa_id == "new"


@pytest.mark.parametrize("spoilt", ["the CPA changed", "the CPA gone", "the note cut", "not UTF-8", "the folder gone"])
def test_what_goes_bad_keeps_its_last_good_version_and_is_named(
    spoilt: str, files: AddressFiles, tmp_path: Path
) -> None:
    note = put(tmp_path / "agreements", cpa())
    assert files.look()
    match spoilt:
        case "the CPA changed":
            note.with_suffix(".xml").write_bytes(cpa("--retries", "9"))
        case "the CPA gone":
            note.with_suffix(".xml").unlink()
        case "the note cut":
            note.write_text(note.read_text()[:40])
        case "not UTF-8":
            note.write_bytes(b"\xff")
        case "the folder gone":
            note.parent.rename(tmp_path / "elsewhere")
    assert files.look()
    found = agreed(files)
    assert found is not None
    assert found.retries == 3
    assert len(files.problems) == 1


def test_an_agreement_that_can_not_be_kept_is_named_and_hurts_no_other(files: AddressFiles, tmp_path: Path) -> None:
    put(tmp_path / "agreements", cpa())
    put(tmp_path / "agreements", cpa("--cpaid", "other", "--a-id", "7", "--b-id", "8"))
    assert files.look()
    assert agreed(files) is not None
    assert ["is hosted here" in problem.why for problem in files.problems] == [True]


def test_a_folder_that_can_not_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "agreements").write_text("a file stands there")
    with pytest.raises(Misconfigured, match="can't be written to"):
        put(tmp_path / "agreements", cpa())
