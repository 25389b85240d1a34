"""A backup is whole, tells nothing, and is put back only where nothing is; damage to it is named."""

import asyncio
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli import exits
from broker.cli.backup import back_up, restore, verify
from broker.cli.main import main
from broker.errors import BrokerError, Misconfigured
from broker.lookup.shipped import shipped
from broker.lookup.site_key import site_key
from broker.store.backup import Damaged, copy_store, inspect_store
from broker.store.bodies import Vault
from broker.store.sqlite import open_reader, open_store
from tests.service.installation import Installation, make_installation, now
from tests.store import values

Breaker = Callable[[Path], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return make_installation(tmp_path_factory.mktemp("whole") / "site")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROKER_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def installation(whole: Installation, tmp_path: Path) -> Installation:
    return whole.copied(tmp_path / "site")


@pytest.fixture(scope="module")
def kept(whole: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with its keys inside."""
    return back_up(whole.config, tmp_path_factory.mktemp("kept") / "backup", with_keys=True).folder


@pytest.fixture
def backup(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "backup"))


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_backup_holds_no_key_unless_asked(installation: Installation, kept: Path, tmp_path: Path) -> None:
    bare = back_up(installation.config, tmp_path / "bare", with_keys=False).folder
    assert not any(name.endswith((".pem", ".key", ".p12")) for name in names(bare))
    assert {"broker.toml", "clients.toml", "addresses/ours.toml", "store/store.sqlite"} <= names(bare)
    assert {name for name in names(kept) - names(bare) if not name.startswith("store/")} == {
        "site.key",
        "keys/900000101/signing.pem",
        "keys/900000101/encryption.pem",
    }
    assert all(not path.stat().st_mode & 0o077 for path in (bare, bare / "store", bare / "store" / "bodies"))


def test_a_backup_of_a_running_store_has_all_that_was_taken_before_it(
    installation: Installation, tmp_path: Path
) -> None:
    """Writes go on while it is copied, with bodies in rows and in files; none of what was acknowledged before lacks."""
    data = installation.data
    (tmp_path / "copy").mkdir()

    async def run() -> tuple[int, int]:
        key, done = site_key(data), asyncio.Event()
        store = await open_store(data, site_key=key, on_broken=lambda error: None, reserve=0)
        taken, enough = list[str](), asyncio.Event()

        async def write() -> None:
            while not done.is_set():
                changes = values.taken(b"x" * (300_000 if len(taken) % 3 == 0 else 100))
                await store.accept(changes)
                taken.append(changes.messages[0].msg_id)
                if len(taken) >= 30:
                    enough.set()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            await enough.wait()
            before = list(taken)
            await asyncio.to_thread(copy_store, data, tmp_path / "copy", now=now())
            done.set()
        await store.close()
        reader = await open_reader(tmp_path / "copy", site_key=key)
        for msg_id in before:
            found = await reader.outbound(values.OURS, msg_id)
            assert found is not None
            assert len(await reader.body(found.message.body)) in (100, 300_000)
        await reader.close()
        return len(before), inspect_store(tmp_path / "copy", site_key=key).opened

    before, opened = asyncio.run(run())
    assert opened >= before >= 30


def test_what_is_erased_while_it_is_copied_is_erased_in_the_copy(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.store import backup as part

    copied = part.copy_file

    def erased_just_now(source: Path, to: Path) -> None:
        with closing(sqlite3.connect(installation.data / "store.sqlite")) as db:
            db.execute("DROP TRIGGER body_owed")  # it was settled after the snapshot, and its time was over
            db.execute(
                "UPDATE body SET wrapped = NULL, sealed = NULL, file = NULL, erased_at = 1 WHERE file = ?",
                (source.name,),
            )
            db.commit()
        source.unlink()
        copied(source, to)

    monkeypatch.setattr(part, "copy_file", erased_just_now)
    to = tmp_path / "copy"
    to.mkdir()
    copy_store(installation.data, to, now=now())
    contents = inspect_store(to, site_key=site_key(installation.data))
    assert contents.opened == contents.bodies > 0
    assert list((to / "bodies").iterdir()) == []


def test_a_body_that_is_lost_stops_a_backup_which_leaves_nothing_behind(
    installation: Installation, tmp_path: Path
) -> None:
    for path in (installation.data / "bodies").iterdir():
        path.unlink()
    with pytest.raises(Damaged, match=r"the file of body .* is missing"):
        back_up(installation.config, tmp_path / "backups" / "one", with_keys=False)
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_backup_replaces_nothing(installation: Installation, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="exists already"):
        back_up(installation.config, tmp_path, with_keys=False)


def test_manifest_and_names_hold_nothing_out_of_a_body(installation: Installation, tmp_path: Path) -> None:
    canaries = [f"KANARI-{number:04}" for number in range(1000)]

    async def fill() -> None:
        key = site_key(installation.data)
        store = await open_store(installation.data, site_key=key, on_broken=lambda error: None, reserve=0)
        await store.accept(values.taken(" ".join(canaries).encode()))
        await store.accept(values.taken(" ".join(canaries).encode() * 20))
        await store.close()

    asyncio.run(fill())
    folder = back_up(installation.config, tmp_path / "backup", with_keys=False).folder
    for path in (path for path in folder.rglob("*") if path.is_file()):
        told = path.read_bytes() + str(path.relative_to(folder)).encode()
        assert [canary for canary in canaries if canary.encode() in told] == []


def _change(name: str) -> Breaker:
    def breaks(backup: Path) -> None:
        path = backup / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return breaks


def _gone(name: str) -> Breaker:
    return lambda backup: (backup / name).unlink()


def _added(backup: Path) -> None:
    (backup / "addresses" / "another.toml").write_text("her_id = 1")


def _body(backup: Path) -> None:
    """A body that was damaged before the backup was made: all digests are right, and it does not open."""
    path = next((backup / "store" / "bodies").iterdir())
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    _sign(backup)


def _database(backup: Path) -> None:
    path = backup / "store" / "store.sqlite"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 12] = bytes(4096 * 9)
    path.write_bytes(content)
    _sign(backup)


def _newer(backup: Path) -> None:
    with closing(sqlite3.connect(backup / "store" / "store.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    _sign(backup)


def _sign(backup: Path) -> None:
    from hashlib import sha256

    manifest = json.loads((backup / "manifest.json").read_text())
    manifest["files"] = {name: sha256((backup / name).read_bytes()).hexdigest() for name in manifest["files"]}
    told = json.dumps(manifest).encode()
    (backup / "manifest.json").write_bytes(told)
    (backup / "manifest.json.sha256").write_text(f"{sha256(told).hexdigest()}  manifest.json\n")


DAMAGE: tuple[tuple[str, Breaker], ...] = (
    (r"manifest\.json: has changed", _change("manifest.json")),
    (r"is no backup of a broker", _gone("manifest.json")),
    (r"store/store\.sqlite: has changed", _change("store/store.sqlite")),
    (r"clients\.toml: is missing", _gone("clients.toml")),
    (r"addresses/another\.toml: does not belong", _added),
    (r"body .* can't be opened", _body),
    (r"the database (?:is damaged|can't be read)", _database),
    (r"written by a newer broker", _newer),
)


@pytest.mark.parametrize(("sentence", "breaks"), DAMAGE, ids=[sentence for sentence, _ in DAMAGE])
def test_damage_is_named_and_nothing_of_it_is_restored(
    sentence: str, breaks: Breaker, backup: Path, tmp_path: Path
) -> None:
    verify(backup, site_key=None)
    breaks(backup)
    with pytest.raises(BrokerError, match=sentence):
        verify(backup, site_key=None)
    with pytest.raises(BrokerError, match=sentence):
        restore(backup, tmp_path / "new" / "broker.toml")
    assert not (tmp_path / "new").exists()


def test_a_check_without_the_bodies_would_miss_a_rotten_one(backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: bodies are not opened. What the test above names must then pass unseen."""
    _body(backup)
    monkeypatch.setattr(Vault, "open", lambda *arguments, **named: b"")
    assert verify(backup, site_key=None).contents.opened > 0


def test_a_backup_is_restored_to_an_empty_machine_and_the_broker_opens_it(
    backup: Path, whole: Installation, tmp_path: Path
) -> None:
    config = tmp_path / "new" / "broker.toml"
    restored, told = restore(backup, config)
    assert restored.contents.opened == restored.contents.bodies > 3
    assert set(told) == {"broker.toml", "clients.toml", "site.key", "addresses", "keys", "store"}
    assert all(said.startswith("restored to") for said in told.values())
    new = Installation(folder=tmp_path / "new")
    assert names(new.folder) - {"data/lock"} == {
        name for name in names(whole.folder) if name != "data/lock" and "store.sqlite-" not in name
    }

    async def opened() -> int:
        key = site_key(new.data)
        store = await open_store(new.data, site_key=key, on_broken=lambda error: None, reserve=0)
        found = await store.queue(limit=9)
        await store.close()
        return len(found)

    assert asyncio.run(opened()) == 2
    assert new.keys.joinpath("signing.pem").stat().st_mode & 0o077 == 0


def test_a_restore_replaces_nothing(backup: Path, installation: Installation, tmp_path: Path) -> None:
    before = {name: (installation.folder / name).read_bytes() for name in names(installation.folder)}
    with pytest.raises(Misconfigured, match="there is a store already"):
        restore(backup, installation.config)
    assert {name: (installation.folder / name).read_bytes() for name in before} == before
    shutil.rmtree(installation.data)
    (installation.data / ".restoring").mkdir(parents=True)  # what a restore that was cut off leaves
    (installation.folder / "clients.toml").write_text("# mine\n")
    _, told = restore(backup, installation.config)
    assert told["clients.toml"].startswith("kept as it is")
    assert (installation.folder / "clients.toml").read_text() == "# mine\n"
    assert told["store"].startswith("restored")
    assert not (installation.data / ".restoring").exists()


def test_without_the_site_key_a_restore_says_where_to_put_it(installation: Installation, tmp_path: Path) -> None:
    bare = back_up(installation.config, tmp_path / "bare", with_keys=False).folder
    restored, told = restore(bare, tmp_path / "new" / "broker.toml")
    assert restored.contents.opened == 0
    assert "put it at" in told["site.key"]


def test_processes_of_ones_own_are_in_a_backup_and_the_shipped_ones_are_not(
    installation: Installation, tmp_path: Path
) -> None:
    assert not any(name.startswith("processes/") for name in names(_made(installation, tmp_path / "shipped")))
    shutil.copytree(shipped("processes"), installation.folder / "processes")
    installation.settings('environment = "test"', 'environment = "test"\nprocesses = "processes"')
    assert "processes/dialog.toml" in names(_made(installation, tmp_path / "own"))


def _made(installation: Installation, to: Path) -> Path:
    return back_up(installation.config, to, with_keys=False).folder


def test_the_commands_say_what_they_did(installation: Installation, tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        told = CliRunner().invoke(main, [*arguments, "--config", str(installation.config)])
        return told.exit_code, told.output

    to = str(tmp_path / "backup")
    code, output = run("backup", to, "--json")
    assert (code, json.loads(output)["bodiesOpened"]) == (exits.OK, json.loads(output)["bodies"])
    code, output = run("restore", "--verify", to)
    assert code == exits.OK
    assert "messages: 3" in output
    code, output = run("restore", to)
    assert code == exits.USAGE
    assert "there is a store already" in output
    os.truncate(tmp_path / "backup" / "broker.toml", 3)
    code, output = run("restore", "--verify", to)
    assert code == exits.PROBLEM
    assert "broker.toml: has changed since the backup was made" in output
