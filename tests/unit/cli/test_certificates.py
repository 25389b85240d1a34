"""`broker certificates`: what it prints in both languages, and the exit codes that monitors read."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding

from broker.cli.certificate_commands import _WORDS
from broker.cli.main import main
from broker.lookup.clients_file import ClientsFile
from broker.lookup.clock import SystemClock
from broker.lookup.new_keys import new_keys
from broker.sealing.certificates import Use
from tests.certificates import key_pair
from tests.store.values import OURS, PARTNER
from tests.unit.cli.conftest import Run

NUMBER = "900000101"


@pytest.fixture
def partner(site: Path) -> Path:
    """Give the partner certificates for some years, and an agreement."""
    folder = site / "addresses"
    for use, name in ((Use.SIGN, "signing"), (Use.ENCRYPT, "encryption")):
        certificate = key_pair("legevakten", use).certificate
        (folder / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    record = folder / f"{PARTNER}.toml"
    record.write_text(
        record.read_text()
        + f'signing = ["signing.crt"]\nencryption = ["encryption.crt"]\n[[agreement]]\nwith = {OURS}\ncpa_id = "c"\n'
    )
    return record


def ours(site: Path, days: int, *, since: int = 1) -> None:
    now = SystemClock().now() - timedelta(days=since)
    new_keys(site / "keys", organisation=NUMBER, name="Fjordvik", now=now, bits=2048, days=days + since)


@pytest.mark.parametrize(("days", "code"), [(90, 0), (45, 0), (20, 1), (3, 2)])
def test_the_exit_code_is_what_a_monitor_reads(run: Run, site: Path, partner: Path, days: int, code: int) -> None:
    ours(site, days)
    told = run("certificates")
    assert told.exit_code == code, told.output
    assert ("order" in told.output) == (days == 45)


def test_the_thresholds_can_be_chosen(run: Run, site: Path, partner: Path) -> None:
    ours(site, 90)
    assert run("certificates", "--warning", "100").exit_code == 1
    assert run("certificates", "--warning", "100", "--critical", "95").exit_code == 2
    assert run("certificates", "--warning", "5", "--critical", "9").exit_code == 2
    assert "no more days" in run("certificates", "--warning", "5", "--critical", "9").output


def test_a_next_one_in_place_silences_it(run: Run, site: Path, partner: Path) -> None:
    ours(site, 3, since=400)
    assert run("certificates").exit_code == 2
    ours(site, 700)
    assert run("certificates").exit_code == 0


def test_what_fails_and_what_to_do_is_said_in_both_languages(site: Path, partner: Path) -> None:
    ours(site, 3)
    for language, words in (
        ("nb", ("HASTER", "signering", "ingenting sendes", "Gjør dette: Bestill nytt innen", "varer i")),
        ("en", ("URGENT", "signing", "nothing is sent", "Do this: Order a new one by", "lasts")),
    ):
        told = CliRunner().invoke(main, ["--lang", language, "certificates", "--config", str(site / "broker.toml")])
        assert [word for word in words if word not in told.output] == []
    assert all(nb and en for nb, en in _WORDS.values())


def test_a_partner_without_certificates_is_critical(run: Run, site: Path) -> None:
    record = site / "addresses" / f"{PARTNER}.toml"
    record.write_text(record.read_text() + f'[[agreement]]\nwith = {OURS}\ncpa_id = "c"\n')
    ours(site, 90)
    told = run("certificates")
    assert told.exit_code == 2
    assert "messages to HER-id" in told.output
    assert "Legevakten [i] Dalbygda" in told.output


def test_a_key_that_can_not_be_read_is_named_and_worth_a_warning(run: Run, site: Path, partner: Path) -> None:
    ours(site, 90)
    bad = site / "keys" / NUMBER / "signing-2027-01-15.p12"
    bad.write_bytes(b"no key")
    bad.chmod(0o600)
    told = run("certificates")
    assert told.exit_code == 1
    assert "signing-2027-01-15.p12: is not a PKCS#12 file" in told.output


def test_programs_get_all_of_it(run: Run, site: Path, partner: Path) -> None:
    ours(site, 90)
    told = [json.loads(line) for line in run("certificates", "--json").output.splitlines()]
    assert {(each["own"], each["use"]) for each in told} == {
        (own, use) for own in (True, False) for use in ("signing", "encryption")
    }
    signing = next(each for each in told if each["own"] and each["use"] == "signing")
    (held,) = signing["certificates"]
    assert (held["organisationNumber"], held["state"], held["daysLeft"]) == (NUMBER, "used", signing["daysLeft"])
    assert len(held["sha256"]) == 64
    assert "PRIVATE" not in json.dumps(told)


def test_the_table_fits_eighty_columns(site: Path, partner: Path) -> None:
    from io import StringIO

    from rich.console import Console

    from broker.cli.certificate_commands import Seen
    from broker.config import load

    ours(site, 20)
    out = StringIO()
    seen = Seen.of(load(site / "broker.toml"), warning=30, critical=7)
    seen.show(Console(file=out, width=80), "nb")
    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert any("Fjordvik" in line and "signering" in line for line in lines)
    assert os.linesep.join(lines).count("…") == 0


def test_a_roll_over_as_an_operator_does_it(run: Run, site: Path, partner: Path) -> None:
    ours(site, 40, since=400)
    day = (SystemClock().now() + timedelta(days=20)).date()
    assert run("certificates").exit_code == 0
    assert "order" in run("certificates").output
    assert run("keys", "new", "--bits", "2048", "--from", day.isoformat()).exit_code == 0
    told = run("certificates")
    assert told.exit_code == 0
    assert f"from {day}" in told.output
    assert "order" not in told.output
    late = (SystemClock().now() + timedelta(days=39)).date()
    (site / "keys" / NUMBER / f"signing-{day}.pem").rename(site / "keys" / NUMBER / f"signing-{late}.pem")
    (site / "keys" / NUMBER / f"signing-{day}.crt").rename(site / "keys" / NUMBER / f"signing-{late}.crt")
    told = run("certificates")
    assert told.exit_code == 1
    assert "Let the next one sign from" in told.output


def test_a_client_that_shows_a_certificate_is_added(run: Run, site: Path) -> None:
    certificate = key_pair("an EPJ", Use.SIGN).certificate
    (site / "epj.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    told = run("clients", "add", "EPJ", "--her", str(OURS), "--certificate", "epj.crt")
    assert told.exit_code == 0, told.output
    found = ClientsFile(site / "clients.toml").by_certificate(
        certificate.public_bytes(Encoding.DER), datetime(2026, 11, 22, tzinfo=UTC)
    )
    assert found is not None
    assert (found.name, found.hers) == ("EPJ", frozenset({OURS}))
    again = run("clients", "add", "Other", "--her", str(OURS), "--certificate", "epj.crt")
    assert (again.exit_code, "with that certificate" in again.output) == (2, True)
    assert run("clients", "add", "New", "--her", str(OURS), "--certificate", "absent.crt").exit_code == 2
