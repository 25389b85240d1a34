"""Our own keys: the newest usable one signs, every one opens, and a reason is given where none can."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.errors import Misconfigured, OwnKeyUnusable
from broker.lookup.key_files import KeyFiles
from broker.lookup.new_keys import NewKeys, new_keys
from broker.lookup.site_key import site_key
from broker.sealing.certificates import organisation_number

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NUMBER = "900000101"
HOSTED = {8000102: NUMBER, 8000103: NUMBER, 8000301: "900000303"}


def made(folder: Path, *, now: datetime = NOW, days: int = 730, passphrase: bytes | None = None) -> NewKeys:
    return new_keys(folder, organisation=NUMBER, name="Fjordvik", now=now, bits=2048, days=days, passphrase=passphrase)


def test_new_keys_sign_and_open_for_every_her_id_of_the_organisation(tmp_path: Path) -> None:
    files = made(tmp_path)
    keys = KeyFiles(tmp_path, HOSTED)
    assert keys.problems == ()
    assert keys.signing(8000102, NOW) is keys.signing(8000103, NOW)
    assert organisation_number(keys.signing(8000102, NOW).certificate) == NUMBER
    assert len(keys.opening(8000102)) == 1
    for path in (files.signing_key, files.encryption_key):
        assert path.stat().st_mode & 0o777 == 0o600
    assert files.signing_certificate.name == "signing.crt"


def test_a_wide_umask_does_not_open_a_key_to_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files = made(tmp_path)
    finally:
        os.umask(before)
    assert files.signing_key.stat().st_mode & 0o777 == 0o600


def test_a_new_generation_stands_beside_the_old_one(tmp_path: Path) -> None:
    made(tmp_path, now=NOW - timedelta(days=100))
    second = made(tmp_path)
    assert second.signing_key.name == "signing-2.pem"
    assert made(tmp_path, now=NOW + timedelta(days=100)).encryption_key.name == "encryption-3.pem"
    keys = KeyFiles(tmp_path, HOSTED)
    begins = [pair.certificate.not_valid_before_utc for pair in keys.opening(8000102)]
    assert begins == sorted(begins, reverse=True)
    assert len(begins) == 3
    # The third is not valid yet, the first is older.
    assert keys.signing(8000102, NOW).certificate.not_valid_before_utc == NOW - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("at", "error_id"), [(NOW + timedelta(days=31), "MB-4101"), (NOW - timedelta(days=1), "MB-4102")]
)
def test_a_certificate_out_of_its_time_is_not_used(tmp_path: Path, at: datetime, error_id: str) -> None:
    made(tmp_path, days=30)
    keys = KeyFiles(tmp_path, HOSTED)
    with pytest.raises(OwnKeyUnusable) as caught:
        keys.signing(8000102, at)
    assert caught.value.error_id == error_id
    assert len(keys.opening(8000102)) == 1  # what was sealed for it may still come


def test_an_encryption_certificate_does_not_sign(tmp_path: Path) -> None:
    files = made(tmp_path)
    files.encryption_key.replace(files.signing_key)
    files.encryption_certificate.replace(files.signing_certificate)
    with pytest.raises(OwnKeyUnusable) as caught:
        KeyFiles(tmp_path, HOSTED).signing(8000102, NOW)
    assert caught.value.error_id == "MB-4103"


@pytest.mark.parametrize("her", [8000301, 8000999])
def test_no_key_is_said_so(tmp_path: Path, her: int) -> None:
    made(tmp_path)
    keys = KeyFiles(tmp_path, HOSTED)
    with pytest.raises(OwnKeyUnusable) as caught:
        keys.signing(her, NOW)
    assert caught.value.error_id == "MB-4104"
    assert keys.opening(her) == ()


def test_a_key_with_a_passphrase_opens_with_it_alone(tmp_path: Path) -> None:
    made(tmp_path, passphrase=b"horse")
    assert KeyFiles(tmp_path, HOSTED, passphrase=b"horse").problems == ()
    for wrong in (None, b"donkey"):
        keys = KeyFiles(tmp_path, HOSTED, passphrase=wrong)
        assert len(keys.problems) == 2
        assert not any("horse" in str(problem) + problem.hint for problem in keys.problems)


def spoil(files: NewKeys, way: str) -> None:
    key, certificate = files.signing_key, files.signing_certificate
    if way == "readable by all":
        key.chmod(0o644)
    elif way == "not a key":
        key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    elif way == "no certificate":
        certificate.unlink()
    elif way == "empty certificate":
        certificate.write_text("")
    elif way == "another key's certificate":
        certificate.write_bytes(files.encryption_certificate.read_bytes())
    elif way == "not RSA":
        curve = ec.generate_private_key(ec.SECP256R1())
        key.write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    elif way == "a link to nowhere":
        key.unlink()
        key.symlink_to("absent")


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("readable by all", "every user"),
        ("not a key", "not a private key"),
        ("no certificate", "can't be read"),
        ("empty certificate", "no certificate"),
        ("another key's certificate", "another key"),
        ("not RSA", "not an RSA key"),
        ("a link to nowhere", "can't be read"),
    ],
)
def test_a_bad_key_is_named_and_the_others_work(tmp_path: Path, way: str, words: str) -> None:
    spoil(made(tmp_path), way)
    keys = KeyFiles(tmp_path, HOSTED)
    (problem,) = keys.problems
    assert words in problem.why
    assert len(keys.opening(8000102)) == 1
    with pytest.raises(OwnKeyUnusable):
        keys.signing(8000102, NOW)


def test_keys_are_loaded_when_they_change_and_not_otherwise(tmp_path: Path) -> None:
    made(tmp_path)
    keys = KeyFiles(tmp_path, HOSTED)
    first = keys.signing(8000102, NOW)
    assert not keys.look()
    newer = made(tmp_path, now=NOW + timedelta(seconds=1))
    assert keys.look()
    second = keys.signing(8000102, NOW)
    assert second != first
    spoil(newer, "not a key")
    assert keys.look()
    assert [problem.where for problem in keys.problems] == [f"{NUMBER}/signing-2.pem"]
    assert keys.signing(8000102, NOW) == second  # the last good one stays
    newer.signing_key.unlink()
    assert keys.look()
    assert keys.signing(8000102, NOW).certificate == first.certificate


def test_the_site_key_is_made_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    key = site_key(data)
    assert len(key) == 32
    assert site_key(data) == key
    assert (data / "site.key").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700
    assert site_key(tmp_path / "other") != key


def test_no_new_site_key_is_made_beside_what_only_the_lost_one_opens(tmp_path: Path) -> None:
    site_key(tmp_path)
    (tmp_path / "site.key").unlink()
    (tmp_path / "store.sqlite").touch()
    with pytest.raises(Misconfigured, match="is missing"):
        site_key(tmp_path)
    assert not (tmp_path / "site.key").exists()


def test_a_site_key_of_another_length_or_for_all_to_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="32 bytes"):
        site_key(tmp_path)
    path.write_bytes(b"x" * 32)
    path.chmod(0o604)
    with pytest.raises(Misconfigured, match="every user"):
        site_key(tmp_path)
