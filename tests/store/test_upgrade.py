"""What the first release kept is there after every later one has opened it, and there is no way back."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.store import schema
from broker.store.sqlite import open_store
from tests.store.first_release import _FLOOR, FOLDER, copied, losses


def version(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "store.sqlite")) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


async def test_the_data_of_the_first_release_is_whole_after_an_upgrade(tmp_path: Path) -> None:
    folder = copied(tmp_path / "data")
    assert version(folder) == 1
    lost, compared = await losses(folder)
    print(f"{compared} facts compared")
    assert lost == []
    assert compared >= _FLOOR
    assert version(folder) == schema.newest_version()


@pytest.mark.parametrize(
    ("step", "seen"),
    [
        ("DROP TRIGGER body_fixed; UPDATE body SET sealed = X'00' WHERE sealed IS NOT NULL;", "body"),
        ("DELETE FROM attempt;", "rows of attempt"),
        ("DROP TRIGGER delivery_version; UPDATE delivery SET cause = NULL;", "the envelope's delivery"),
    ],
)
async def test_a_migration_that_loses_something_is_seen(
    step: str, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted faults: one more step of the schema that does harm."""
    known = schema._migrations()
    monkeypatch.setattr(schema, "_migrations", lambda: known | {len(known) + 1: step})
    lost, _ = await losses(copied(tmp_path / "data"))
    assert any(each.startswith(seen) for each in lost), lost


async def test_an_older_broker_refuses_what_a_newer_one_has_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, known = copied(tmp_path / "data"), schema._migrations()
    key = (folder / "site.key").read_bytes()
    with monkeypatch.context() as newer:
        newer.setattr(schema, "_migrations", lambda: known | {len(known) + 1: "CREATE TABLE more (id) ;"})
        await (await open_store(folder, site_key=key, on_broken=print, reserve=0)).close()
    before = (folder / "store.sqlite").read_bytes()
    with pytest.raises(Misconfigured, match="written by a newer broker") as told:
        await open_store(folder, site_key=key, on_broken=print, reserve=0)
    assert "restore a backup" in told.value.hint
    assert (folder / "store.sqlite").read_bytes() == before


def test_the_fixture_is_small_and_of_the_first_schema() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 800_000
