"""Bodies at rest: rot is seen, a stolen disk tells nothing, and what is erased is gone."""

import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from broker.message import Answer, Changes, EventKind
from broker.ports import BodyDamaged
from broker.store import writer
from broker.store.sqlite import SqliteStore
from tests.store import values
from tests.store.values import NOW

LARGE = 300_000  # bytes: a body of its own file


# --- rotten ---


async def _damage(store: SqliteStore, statement: str) -> None:
    def work(db: sqlite3.Connection) -> None:
        db.execute("DROP TRIGGER IF EXISTS body_fixed")  # rot asks no trigger
        db.execute(statement)

    await store._writer.run(work)


@pytest.mark.parametrize("part", ["wrapped", "sealed"])
@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole[:20] + bytes([whole[20] ^ 1]) + whole[21:],
        lambda whole: bytes([whole[0] ^ 0x80]) + whole[1:],
        lambda whole: whole[:-1],
        lambda _: b"",
    ],
    ids=["a bit", "the first bit", "cut off", "nothing"],
)
async def test_rot_in_a_row_is_seen(store: SqliteStore, part: str, change: Callable[[bytes], bytes]) -> None:
    changes = values.taken(b"content that must come back as it was or not at all")
    await store.accept(changes)

    def rot(db: sqlite3.Connection) -> None:
        db.execute("DROP TRIGGER IF EXISTS body_fixed")  # rot asks no trigger
        (whole,) = db.execute(f"SELECT {part} FROM body").fetchone()
        db.execute(f"UPDATE body SET {part} = ?", (change(whole),))

    await store._writer.run(rot)
    with pytest.raises(BodyDamaged):
        await store.body(changes.messages[0].body)


async def test_rot_in_a_file_is_seen(store: SqliteStore, tmp_path: Path) -> None:
    changes = values.taken(bytes(LARGE))
    await store.accept(changes)
    (file,) = (tmp_path / "store" / "bodies").iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-1], b"", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]):
        file.write_bytes(damaged)
        with pytest.raises(BodyDamaged):
            await store.body(changes.messages[0].body)
    file.write_bytes(whole)
    assert await store.body(changes.messages[0].body) == bytes(LARGE)
    file.unlink()
    with pytest.raises(BodyDamaged, match="gone"):
        await store.body(changes.messages[0].body)


async def test_one_body_does_not_pass_for_another(store: SqliteStore) -> None:
    first, second = values.taken(b"first"), values.taken(b"other")
    await store.accept(first)
    await store.accept(second)
    (here,), (there,) = first.bodies, second.bodies
    await _damage(
        store,
        "UPDATE body SET (wrapped, sealed) ="
        f" (SELECT wrapped, sealed FROM body WHERE id = '{there.id}') WHERE id = '{here.id}'",
    )
    with pytest.raises(BodyDamaged):
        await store.body(here.id)


# --- stolen ---

CANARY = "Kanarifugl Blåbærsyltetøy 13876599999"
_FORMS = {
    "utf-8": CANARY.encode(),
    "latin-1": CANARY.encode("latin-1"),
    **{f"base64 {n}": base64.b64encode(bytes(n) + CANARY.encode())[8:-8] for n in range(3)},
    "utf-16": CANARY.encode("utf-16-le"),
}


def _found(folder: Path) -> set[str]:
    """Return the forms of the canary that stand in any file below `folder`."""
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert sum(map(len, texts)) > 10_000
    return {form for form, word in _FORMS.items() if any(word in text for text in texts)}


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
async def planted(store: SqliteStore) -> SqliteStore:
    """A store that has the canary in every body, small and large."""
    words = b"\n".join([*_FORMS.values(), *(base64.b64encode(bytes(n) + CANARY.encode()) for n in range(3))])
    for filling in (b"", bytes(LARGE), bytes(100_000)):
        content = filling + words + filling
        changes = values.taken(content)
        await store.accept(changes)
        sealed, _, _ = values.sealed(changes.deliveries[0], content)
        await store.record(sealed)
        came = values.arrived(content)
        received = came.received
        assert received is not None
        evidence = values.body(content)
        answer = Answer(status=200, content_type="text/xml", body=content)
        await store.receive(
            replace(
                came,
                bodies=(came.bodies[0], evidence),
                received=replace(received, evidence=evidence.id, answer=answer),
            )
        )
        kept = values.body(content)
        await store.record(
            Changes(events=(values.event(EventKind.DUPLICATE),), bodies=(kept,), signals=(values.signal(kept),))
        )
    return store


async def test_no_word_of_a_body_stands_in_any_file(planted: SqliteStore, tmp_path: Path) -> None:
    assert _found(tmp_path) == set()
    await planted.close()
    assert _found(tmp_path) == set()


async def test_the_search_for_words_would_find_them(planted: SqliteStore, tmp_path: Path) -> None:
    for form, word in _FORMS.items():
        (tmp_path / "planted").write_bytes(bytes(10) + word)
        assert _found(tmp_path) == {form}
    (tmp_path / "planted").unlink()
    await planted.record(Changes(events=(values.event(EventKind.PARKED, why=CANARY),)))
    assert _found(tmp_path) == {"utf-8"}


def _holds(folder: Path, secret: bytes) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()}


@pytest.mark.parametrize("checkpointed", [False, True])
async def test_an_erased_key_stands_in_no_file_any_more(
    store: SqliteStore, tmp_path: Path, checkpointed: bool, broken: list[BaseException]
) -> None:
    changes, other = values.taken(b"x" * 5000), values.taken(b"y" * LARGE)
    await store.accept(changes)
    await store.accept(other)
    rows = "SELECT wrapped FROM body ORDER BY seq"
    secrets = [row[0] for row in await store._readers.rows(rows, {})]
    if checkpointed:
        await store._writer.run(lambda db: None, scrub=True)
    assert all(_holds(tmp_path, secret) for secret in secrets)
    assert len(_names(tmp_path / "store" / "bodies")) == 1
    for each in (changes, other):
        await store.record(values.closing(each.deliveries[0]))
    await store.erase(bodies=values.erasing(changes.messages[0].body, other.messages[0].body), now=NOW)
    assert [_holds(tmp_path, secret) for secret in secrets] == [set(), set()]
    assert _names(tmp_path / "store" / "bodies") == set()
    assert broken == []


async def test_a_reader_in_the_way_delays_the_end_of_a_key_and_nothing_else(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SCRUB_WAIT", 20)
    monkeypatch.setattr(writer, "SCRUB_AGAIN", 0.0)
    changes = values.taken(b"x" * 5000)
    await store.accept(changes)
    await store.record(values.closing(changes.deliveries[0]))
    (secret,) = [row[0] for row in await store._readers.rows("SELECT wrapped FROM body", {})]
    with closing(sqlite3.connect(tmp_path / "store" / "store.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM body").fetchone()
        await store.erase(bodies=values.erasing(changes.messages[0].body), now=NOW)
        assert _holds(tmp_path, secret) == {"store.sqlite-wal"}
        await store.accept(values.taken())
        reader.execute("COMMIT")
    await store.ready()
    await store.ready()  # the first may have been told before its log was truncated
    assert _holds(tmp_path, secret) == set()
