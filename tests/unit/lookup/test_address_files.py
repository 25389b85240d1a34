"""Records are read anew while running; a bad file is named, and never takes a good one with it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from broker.errors import Unaddressable
from broker.lookup.address_files import AddressFiles
from broker.sealing.certificates import Use
from tests.unit.routing.samples import certificate, pem


def write(folder: Path, her: int, *, name: str = "", more: str = "", file: str = "") -> Path:
    path = folder / (file or f"{her}.toml")
    path.write_text(f'her_id = {her}\nname = "{name or her}"\nkind = "epj"\n{more}', "utf-8")
    return path


def names(files: AddressFiles) -> dict[int, str]:
    return {her: party.name for her, party in files.current().parties.items()}


def test_a_folder_of_records_is_a_directory(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2, more="parent = 1\n")
    (tmp_path / "README.md").write_text("not a record")
    (tmp_path / ".3.toml").write_text("an editor's draft")
    files = AddressFiles(tmp_path)
    assert names(files) == {1: "1", 2: "2"}
    assert files.current().complete
    assert files.problems == ()


def test_an_empty_folder_is_a_registry_that_answers(tmp_path: Path) -> None:
    assert AddressFiles(tmp_path).current().parties == {}


def test_a_folder_that_is_not_there_is_a_registry_that_can_not_answer(tmp_path: Path) -> None:
    folder = tmp_path / "addresses"
    files = AddressFiles(folder)
    with pytest.raises(Unaddressable) as caught:
        files.current()
    assert caught.value.error_id == "MB-2004"
    assert [problem.where for problem in files.problems] != []
    folder.mkdir()
    write(folder, 1)
    assert files.look()
    assert names(files) == {1: "1"}
    assert files.problems == ()


def test_a_change_is_seen_by_its_content_alone(tmp_path: Path) -> None:
    path = write(tmp_path, 1, name="old")
    files = AddressFiles(tmp_path)
    before = files.current()
    path.touch()
    assert not files.look()
    assert files.current() is before
    write(tmp_path, 1, name="new")
    assert files.look()
    assert names(files) == {1: "new"}


def test_a_certificate_beside_the_record_counts_as_its_content(tmp_path: Path) -> None:
    beside = tmp_path / "one.crt"
    beside.write_text(pem(certificate(Use.SIGN)))
    write(tmp_path, 1, more='signing = ["one.crt"]\n')
    files = AddressFiles(tmp_path)
    beside.write_text(pem(certificate(Use.SIGN, number=1)))
    assert files.look()
    assert files.current().signing(1) == (certificate(Use.SIGN, number=1),)
    beside.unlink()
    assert files.look()
    assert "No such file" in files.problems[0].why
    assert files.current().signing(1) == (certificate(Use.SIGN, number=1),)
    beside.write_text(pem(certificate(Use.SIGN)))
    assert files.look()
    assert files.problems == ()
    assert files.current().signing(1) == (certificate(Use.SIGN),)


@pytest.mark.parametrize("content", [b"her_id = ", b"\xff\xfe", b"", b"her_id = 1\nname = 1\n", b"x = " + b"[" * 5000])
def test_a_file_that_goes_bad_keeps_its_last_good_version_and_is_named(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, 1, name="good")
    write(tmp_path, 2)
    files = AddressFiles(tmp_path)
    path.write_bytes(content)
    write(tmp_path, 2, name="changed")
    assert files.look()
    assert names(files) == {1: "good", 2: "changed"}
    assert files.current().complete  # what stands is old, but nobody is missing
    (problem,) = files.problems
    assert problem.where.startswith(f"{tmp_path.name}/1.toml")
    assert not files.look()
    write(tmp_path, 1, name="mended")
    assert files.look()
    assert names(files) == {1: "mended", 2: "changed"}
    assert files.problems == ()


def test_a_file_that_was_never_good_is_named_and_the_directory_says_that_it_is_not_complete(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "2.toml").write_text("her_id = ")
    files = AddressFiles(tmp_path)
    assert names(files) == {1: "1"}
    assert not files.current().complete
    assert [problem.where for problem in files.problems] != []
    write(tmp_path, 2)
    assert files.look()
    assert files.current().complete


def test_a_record_that_is_removed_is_gone(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    files = AddressFiles(tmp_path)
    path.unlink()
    assert files.look()
    assert names(files) == {}


def test_the_folder_may_vanish_and_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "addresses"
    folder.mkdir()
    write(folder, 1)
    files = AddressFiles(folder)
    folder.rename(tmp_path / "away")
    assert files.look()
    assert names(files) == {1: "1"}
    assert "can't be read" in files.problems[0].why
    (tmp_path / "away").rename(folder)
    assert files.look()
    assert files.problems == ()


def test_who_has_held_a_her_id_goes_before_a_newcomer_that_claims_it(tmp_path: Path) -> None:
    write(tmp_path, 1, name="first", file="z.toml")
    files = AddressFiles(tmp_path)
    write(tmp_path, 1, name="newcomer", file="a.toml")
    assert files.look()
    assert names(files) == {1: "first"}
    assert files.problems[0].where.endswith("a.toml")


def test_a_new_version_whose_parent_is_missing_does_not_replace_the_last_good_one(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2, more="parent = 1\n")
    files = AddressFiles(tmp_path)
    write(tmp_path, 2, name="changed", more="parent = 11\n")
    assert files.look()
    assert names(files)[2] == "2"
    assert files.current().parties[2].parent == 1
    assert "parent 11 has no record" in files.problems[0].why


def test_a_record_whose_parent_was_never_there_is_named_and_works_by_itself(tmp_path: Path) -> None:
    write(tmp_path, 2, more='parent = 1\nendpoint = "https://two.example/"\n')
    files = AddressFiles(tmp_path)
    assert files.current().endpoint(2) == "https://two.example/"
    assert "parent 1 has no record" in files.problems[0].why


async def test_the_watch_sees_a_change_and_tells_of_it(tmp_path: Path) -> None:
    write(tmp_path, 1, name="old")
    files = AddressFiles(tmp_path)
    seen = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(files.watch(timedelta(milliseconds=5), seen.set))
        write(tmp_path, 1, name="new")
        await seen.wait()
        watching.cancel()
    assert names(files) == {1: "new"}
