"""`broker check` names what is wrong with each broken installation, and finds nothing where nothing is."""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker import telemetry
from broker.cli import doctor, exits
from broker.cli.doctor import Mark, Result, examine
from broker.cli.doctor_machine import MACHINE, _rate, _room
from broker.cli.main import main
from broker.config import load
from tests.service.broken import BROKEN, Broken
from tests.service.installation import Installation, make_installation
from tests.store.values import NOW

FLOOR = 35
named: list[str] = []


@pytest.fixture(autouse=True)
def _own_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The doctor quietens the log of its process, which here is the tests' too."""
    for name in ("BROKER_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    log, handlers, level = telemetry._log, logging.getLogger().handlers[:], logging.getLogger().level
    yield
    telemetry._log = log
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return make_installation(tmp_path_factory.mktemp("whole") / "site")


@pytest.fixture
def installation(whole: Installation, tmp_path: Path) -> Installation:
    return whole.copied(tmp_path / "site")


def faults(found: list[Result]) -> list[Result]:
    return [each for each in found if each.mark is Mark.FAULT]


def names_it(broken: Broken, installation: Installation) -> bool:
    """Break the installation and say whether the doctor names that, in a fault of the right check."""
    with ExitStack() as stack:
        broken.breaks(installation, stack)
        said = examine(installation.config)
    assert all(text.nb and text.en for each in said for text in (each.text, each.act) if text)
    found = faults(said)
    return any(each.check == broken.check and re.search(broken.sentence, each.text.en) for each in found)


def test_a_whole_installation_has_no_fault(installation: Installation) -> None:
    found = examine(installation.config)
    assert faults(found) == []
    assert {each.check for each in found} >= {"settings", *doctor.OWN, *MACHINE} - {"certificates"}
    before = {path for path in installation.folder.rglob("*") if "store.sqlite-" not in path.name}
    examine(installation.config)
    assert {path for path in installation.folder.rglob("*") if "store.sqlite-" not in path.name} == before


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name.replace(" ", "-"))
def test_each_broken_installation_is_named(broken: Broken, installation: Installation) -> None:
    assert names_it(broken, installation)
    named.append(broken.name)


def test_as_many_installations_were_broken_as_the_floor_says() -> None:
    print(f"{len(BROKEN)} broken installations, {len(named)} named in this run")
    assert len({broken.name for broken in BROKEN}) >= FLOOR


@pytest.mark.parametrize("blind", ["keys", "addresses", "store"])
def test_a_doctor_that_is_blind_in_one_eye_is_seen(
    blind: str, installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The planted fault: a check that finds nothing. Its broken installations must no longer be named."""
    for checks in (doctor.OWN, MACHINE):
        if blind in checks:
            monkeypatch.setitem(checks, blind, lambda settings, now: ())
    looked = [broken for broken in BROKEN if broken.check == blind]
    assert len(looked) >= 3
    for number, broken in enumerate(looked):
        assert not names_it(broken, installation.copied(tmp_path / str(number))), broken.name


def test_the_hours_that_the_disk_lasts_follow_from_the_last_day(installation: Installation) -> None:
    settings = load(installation.config)
    quiet = _room(settings, settings.data, NOW + timedelta(days=30))
    assert (quiet.mark, "hours" in quiet.text.en) == (Mark.OK, False)
    busy = _room(settings, settings.data, NOW + timedelta(hours=1))
    assert (busy.mark, "hours left at the last day's rate" in busy.text.en) == (Mark.OK, True)
    hour = _rate(settings, NOW + timedelta(hours=1))
    assert 300_000 / 24 < hour < 3_000_000 / 24
    disk = os.statvfs(settings.data)
    spare = round(disk.f_bavail * disk.f_frsize - 30 * hour)
    installation.settings("reserve = 0", f"reserve = {spare}")
    soon = _room(load(installation.config), settings.data, NOW + timedelta(hours=1))
    assert soon.mark is Mark.FAULT


def test_a_secret_that_systemd_hands_over_may_be_root_s_alone(installation: Installation) -> None:
    if os.geteuid() != 0:
        return  # only root can give files away
    installation.settings('environment = "test"', 'environment = "test"\nsite_key = "site.key"')
    (installation.data / "site.key").rename(installation.folder / "site.key")
    os.chown(installation.data, 12_345, 12_345)
    for path in (installation.keys, installation.keys / "signing.pem", installation.keys / "encryption.pem"):
        os.chown(path, 0, 12_345)
        path.chmod(path.stat().st_mode | 0o050)
    found = examine(installation.config, partners=False)
    assert faults(found) == []
    assert [each.act.en for each in found if each.check == "site key" and each.act] == [
        "let the unit hand it over: LoadCredential="
    ]
    installation.keys.chmod(0o700)  # the file may be read, and its folder not entered
    assert [each.check for each in faults(examine(installation.config, partners=False))] == ["keys", "keys"]


def test_one_check_that_fails_itself_hides_no_other(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(settings: object, now: object) -> list[Result]:
        raise RuntimeError("secret words")

    monkeypatch.setitem(doctor.OWN, "keys", fails)
    found = examine(installation.config)
    assert [(each.check, each.text.en) for each in faults(found)] == [("keys", "could not be examined (RuntimeError)")]
    assert len(found) > 8


def run(installation: Installation, *arguments: str) -> tuple[int, str]:
    told = CliRunner().invoke(main, ["--lang", "en", *arguments, "--config", str(installation.config)])
    return told.exit_code, told.output


def test_the_command_prints_json_and_exits_as_its_help_says(installation: Installation) -> None:
    code, output = run(installation, "check", "--json")
    assert code == exits.OK
    assert {json.loads(line)["mark"] for line in output.splitlines()} <= {"ok", "note"}
    (installation.folder / "clients.toml").write_text("[[client")
    code, output = run(installation, "check")
    assert code == exits.PROBLEM
    assert re.search(r"^FAULT clients ", output, re.MULTILINE)
    installation.config.write_text("environment")
    assert run(installation, "check")[0] == exits.USAGE
    assert run(installation, "check", "--health")[0] == exits.USAGE


def test_no_broker_is_no_health(installation: Installation) -> None:
    assert run(installation, "check", "--health") == (exits.UNREACHABLE, "")


def test_settings_are_shown_with_where_each_comes_from(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_WORKERS__PER_LANE", "3")
    monkeypatch.setenv("BROKER_CONFIG", str(installation.config))
    for arguments in (["check", "--config", "--json"], ["check", "--settings", "--json"]):
        told = CliRunner().invoke(main, arguments)
        assert told.exit_code == exits.OK
        shown = {each["key"]: (each["value"], each["source"]) for each in map(json.loads, told.output.splitlines())}
        assert shown["workers.per_lane"] == ("3", "BROKER_WORKERS__PER_LANE")
        assert shown["environment"] == ("test", str(installation.config))
        assert shown["log"] == ("info", "default")
    assert "workers.per_lane" in CliRunner().invoke(main, ["check", "--settings"]).output


def test_what_may_be_a_secret_is_not_shown() -> None:
    from broker.cli.origins import _shown

    assert _shown("alerts.secret", "hunter2") == "***"
    assert _shown("alerts.url", "https://user:hunter2@hooks.example/x") == "***"
    assert _shown("alerts.url", "https://hooks.example/x") == "https://hooks.example/x"
    assert _shown("keys_passphrase", Path("/etc/broker/passphrase")) == "/etc/broker/passphrase"
