"""What sealing writes, and what it refuses to write. That others can read it is shown by tests/oracles/cms.py."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.errors import PartnerUnusable
from broker.sealing import cms
from broker.sealing.certificates import Use
from broker.sealing.cms import Cipher, KeyTransport, open_, seal
from tests.certificates import key_pair
from tests.oracles.cms import SABOTAGES, run, sabotage, show

OURS = key_pair("Fjordvik kommune", Use.ENCRYPT)


def test_the_content_key_and_the_vector_come_from_the_random_source_given() -> None:
    drawn: list[int] = []

    def random(size: int) -> bytes:
        drawn.append(size)
        return bytes(range(size))

    data = seal(b"x", OURS.certificate, random=random)
    assert drawn == [32, 16]
    assert bytes(range(16)) in data
    drawn.clear()
    seal(b"x", OURS.certificate, random=random, cipher=Cipher.AES256_GCM)
    assert drawn == [32, 12]


def test_the_defaults_are_what_the_sector_writes() -> None:
    opened = open_(seal(b"x", OURS.certificate, random=os.urandom), [OURS], random=os.urandom)
    assert (opened.cipher, opened.key_transport) == (Cipher.AES256_CBC, KeyTransport.RSA_V15)


@pytest.mark.parametrize("cipher", sorted(set(Cipher) - {Cipher.AES256_CBC, Cipher.AES256_GCM}))
def test_a_cipher_that_we_only_read_is_not_written(cipher: Cipher) -> None:
    with pytest.raises(ValueError, match="never written"):
        seal(b"x", OURS.certificate, random=os.urandom, cipher=cipher)


def test_oaep_with_sha1_is_not_written() -> None:
    with pytest.raises(ValueError, match="never written"):
        seal(b"x", OURS.certificate, random=os.urandom, key_transport=KeyTransport.OAEP_SHA1)


def test_a_certificate_without_an_rsa_key_waits_for_the_partner() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Dalbygda kommune")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, datetime(2026, 1, 1), datetime(2027, 1, 1))
    with pytest.raises(PartnerUnusable) as caught:
        seal(b"x", builder.sign(key, hashes.SHA256()), random=os.urandom)
    assert caught.value.error_id == "MB-2006"


def test_a_serial_number_with_its_highest_bit_set_stays_positive() -> None:
    certificate = x509.CertificateBuilder(
        OURS.certificate.issuer,
        OURS.certificate.subject,
        OURS.private_key.public_key(),
        2**159 - 1,
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    ).sign(OURS.private_key, hashes.SHA256())
    pair = cms.DecryptionKey(private_key=OURS.private_key, certificate=certificate)
    assert open_(seal(b"x", certificate, random=os.urandom), [pair], random=os.urandom).content == b"x"


# --- the harness ----------------------------------------------------------------------------------------------------


def test_every_cell_of_the_table_holds() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.oracles.cms"], capture_output=True, text=True, timeout=110, check=False
    )
    print(finished.stdout)
    assert finished.returncode == 0, finished.stdout
    assert "FAILED" not in finished.stdout


@pytest.mark.parametrize("name", SABOTAGES)
def test_the_table_sees_a_planted_fault(name: str) -> None:
    with sabotage(name):
        table = run(sizes=(16,))
    print(show(table))
    assert table.faults


def test_the_harness_goes_red_by_its_environment_variable() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.oracles.cms"],
        env={**os.environ, "SABOTAGE": "accept-any-tag", "CMS_SIZES": "16"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert finished.returncode == 1
    assert "FAILED v1.5 / aes256-gcm / openssl cms / reads" in finished.stdout
