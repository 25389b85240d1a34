"""Client certificates as an alternative to tokens, over real TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from broker.config import load
from broker.daemon import _tls
from broker.errors import Misconfigured
from broker.lookup.clients_file import ClientsFile, add_certificate_client, add_client
from broker.lookup.door_tls import DoorTls, server_tls
from broker.sealing.certificates import Use, new_certificate
from broker.web.app import make_epj_app
from broker.web.bodies import Pace, Room
from broker.web.listen import listening
from tests.certificates import rsa_key
from tests.unit.web.rig import Rig
from tests.unit.web.values import OURS

BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
INBOX = "/api/v1/inbox"


def own(name: str) -> x509.Certificate:
    """Return a certificate that its holder has signed."""
    serial = int.from_bytes(name.encode()) % 2**64
    return new_certificate(name, "987654321", Use.SIGN, BEGIN, END, rsa_key(f"tls {name}"), serial=serial)


def issued(name: str, *, issuer: str = "issuer", key: str | None = None) -> x509.Certificate:
    """Return a certificate that an issuer has signed, or the issuer's own."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "NO"),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, "NTRNO-987654321"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    by = x509.Name([*list(subject)[:2], x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    public = rsa_key(f"tls {key or name}").public_key()
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=by, public_key=public, serial_number=len(key or name))
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .sign(rsa_key(f"tls {issuer}"), hashes.SHA256())
    )


def keep(folder: Path, name: str, certificate: x509.Certificate, passphrase: bytes | None = None) -> tuple[Path, Path]:
    """Write a certificate and its key, and return where."""
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    closed = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(rsa_key(f"tls {name}").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed))
    paths[1].chmod(0o600)
    return paths


@dataclass
class Door:
    """The EPJ's door with TLS, its file of clients, and what a caller gets there."""

    folder: Path
    doors: Rig
    clients: ClientsFile
    file: Path
    token: str
    address: str = ""

    async def ask(
        self, shows: str | None = None, *, token: str | None = None, path: str = INBOX
    ) -> tuple[int, dict[str, Any]]:
        """Ask as one who shows the certificate of that name."""
        context = ssl.create_default_context(cafile=str(self.folder / "server.crt"))
        context.check_hostname = False
        if shows is not None:
            context.load_cert_chain(self.folder / f"{shows}.crt", self.folder / f"{shows}.key")
        headers = {"Accept-Language": "en"} | ({"Authorization": f"Bearer {token}"} if token else {})
        async with self.doors.session.get(self.address + path, headers=headers, ssl=context) as response:
            return response.status, await response.json()


Opens = Callable[..., Any]


@pytest.fixture
def door(doors: Rig, tmp_path: Path) -> Opens:
    @asynccontextmanager
    async def opened(*, ask: bool = True, subject: str = "") -> AsyncIterator[Door]:
        server = keep(tmp_path, "server", own("server"))
        for name in ("pinned", "unlisted", "stranger"):
            keep(tmp_path, name, own(name))
        for name, key in (("named", None), ("renewed", "renewed")):
            keep(tmp_path, name, issued("named", key=key))
        trusted = (own("pinned"), own("unlisted"), issued("issuer"))
        (tmp_path / "ca.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in trusted))
        file = tmp_path / "clients.toml"
        token = add_client(file, name="by token", hers=[OURS])
        add_certificate_client(file, name="by certificate", hers=[OURS], certificate=own("pinned"))
        name = subject or "CN=named,organizationIdentifier=NTRNO-987654321,C=NO"
        file.write_text(
            f'{file.read_text()}\n[[client]]\nname = "by subject"\ncertificate_subject = "{name}"\nhers = [1]\n'
        )
        clients = ClientsFile(file)
        app = make_epj_app(doors.doors, clients, room=Room(), pace=Pace())
        tls = server_tls(*server, client_ca=tmp_path / "ca.pem" if ask else None)
        async with listening(app, host="127.0.0.1", port=0, tls=tls, grace=1) as port:
            made = Door(tmp_path, doors, clients, file, token, f"https://127.0.0.1:{port}")
            yield made

    return opened


async def test_a_certificate_is_as_good_as_a_token(door: Opens) -> None:
    async with door() as at:
        assert (await at.ask("pinned"))[0] == 200
        assert (await at.ask(token=at.token))[0] == 200
        assert (await at.ask("pinned", path=f"{INBOX}?her={OURS}"))[0] == 200
        assert (await at.ask("named", path=f"{INBOX}?her={OURS}"))[0] == 403  # bound to another


@pytest.mark.parametrize("subject", ["", "CN=named,2.5.4.97=NTRNO-987654321,C=NO"])
async def test_a_renewed_certificate_of_the_same_subject_is_the_same_client(door: Opens, subject: str) -> None:
    async with door(subject=subject) as at:
        assert (await at.ask("named"))[0] == 200
        assert (await at.ask("renewed"))[0] == 200


@pytest.mark.parametrize(
    ("shows", "with_token", "words"),
    [
        (None, False, "token or client certificate is missing"),
        ("unlisted", False, "no client of ours has it"),
        ("pinned", True, "not of the same client"),
        ("unlisted", True, "not of the same client"),
    ],
)
async def test_who_is_nobody_or_two_is_refused(door: Opens, shows: str | None, with_token: bool, words: str) -> None:
    async with door() as at:
        status, problem = await at.ask(shows, token=at.token if with_token else None)
        assert (status, problem["errorId"]) == (401, "MB-1011")
        assert words in problem["detail"]


async def test_a_wrong_token_is_not_mended_by_a_certificate(door: Opens) -> None:
    async with door() as at:
        assert (await at.ask("pinned", token="dhb_wrong"))[0] == 401


async def test_token_and_certificate_of_one_client_agree(door: Opens) -> None:
    async with door() as at:
        text = at.file.read_text()
        hashed = next(line for line in text.splitlines() if line.startswith("token_sha256"))
        at.file.write_text(text.replace(f"{hashed}\n", "").replace('name = "by token"\nhers', 'name = "x"\nhers'))
        both = text.replace('[[client]]\nname = "by token"\n' + hashed + f"\nhers = [{OURS}]\n", "")
        at.file.write_text(both.replace('name = "by certificate"\n', f'name = "by certificate"\n{hashed}\n'))
        assert at.clients.look()
        assert at.clients.problems == ()
        assert (await at.ask("pinned", token=at.token))[0] == 200
        assert (await at.ask("pinned"))[0] == 200
        assert (await at.ask(token=at.token))[0] == 200


async def test_a_certificate_that_nobody_here_trusts_ends_the_handshake(door: Opens) -> None:
    async with door() as at:
        with pytest.raises(aiohttp.ClientError):
            await at.ask("stranger")
        assert (await at.ask("pinned"))[0] == 200


async def test_a_certificate_that_is_over_or_struck_out_is_nobodys(door: Opens) -> None:
    async with door() as at:
        now = at.doors.clock.time
        at.doors.clock.time = datetime(2061, 1, 1, tzinfo=UTC)
        assert (await at.ask("pinned"))[0] == 401
        at.doors.clock.time = now
        assert (await at.ask("pinned"))[0] == 200
        at.file.write_text("")
        assert at.clients.look()
        assert (await at.ask("pinned"))[0] == 401


async def test_without_client_ca_no_certificate_counts(door: Opens) -> None:
    async with door(ask=False) as at:
        assert (await at.ask("pinned"))[0] == 401
        assert (await at.ask("pinned", token=at.token))[0] == 200


async def test_health_is_told_to_who_shows_nothing(door: Opens) -> None:
    async with door() as at:
        assert (await at.ask(path="/healthz"))[0] == 200


def test_a_doors_key_may_have_a_passphrase_and_is_for_its_owner(tmp_path: Path) -> None:
    certificate, key = keep(tmp_path, "server", own("server"), b"sesam")
    assert server_tls(certificate, key, passphrases=(b"other", b"sesam")).verify_mode is ssl.CERT_NONE
    with pytest.raises(Misconfigured, match="can't be read, or do not belong"):
        server_tls(certificate, key)
    key.chmod(0o644)
    with pytest.raises(Misconfigured, match="every user"):
        server_tls(certificate, key, passphrases=(b"sesam",))
    with pytest.raises(Misconfigured, match="can't be read"):
        server_tls(certificate, tmp_path / "absent")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_client_ca_that_holds_no_certificate_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    certificate, key = keep(tmp_path, "server", own("server"))
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(Misconfigured, match="holds no certificates"):
        server_tls(certificate, key, client_ca=tmp_path / "ca.pem")


async def test_a_doors_renewed_certificate_is_taken_up_while_it_serves(doors: Rig, tmp_path: Path) -> None:
    files = keep(tmp_path, "server", own("server"))
    tls = DoorTls(*files)
    app = make_epj_app(doors.doors, ClientsFile(tmp_path / "none"), room=Room(), pace=Pace())

    async def shown(port: int) -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))

    async with listening(app, host="127.0.0.1", port=0, tls=tls.context, grace=1) as port:
        first = await shown(port)
        assert not tls.look()
        files[0].write_bytes(own("other").public_bytes(Encoding.PEM))  # without its key yet
        assert tls.look()
        assert "do not belong together" in tls.problems[0].why
        assert await shown(port) == first
        files[1].write_bytes(rsa_key("tls other").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        assert tls.look()
        assert tls.problems == ()
        assert await shown(port) == own("other").public_bytes(Encoding.PEM).decode()
        files[0].unlink()
        assert tls.look()
        assert await shown(port) == own("other").public_bytes(Encoding.PEM).decode()


def test_the_settings_lead_to_the_tls_of_each_door(tmp_path: Path) -> None:
    keep(tmp_path, "server", own("server"))
    (tmp_path / "ca.pem").write_bytes(own("pinned").public_bytes(Encoding.PEM))
    door = 'port = 0\ncertificate = "server.crt"\nkey = "server.key"\n'
    (tmp_path / "broker.toml").write_text(
        f'environment = "test"\n[partner]\n{door}[epj]\n{door}client_ca = "ca.pem"\n'
        f'[[organisation]]\nnumber = "987654321"\nname = "Fjordvik"\nhers = [{OURS}]\n'
    )
    settings = load(tmp_path / "broker.toml")
    epj, partner = _tls(settings, settings.epj), _tls(settings, settings.partner)
    assert epj is not None
    assert partner is not None
    assert (epj.context.verify_mode, partner.context.verify_mode) == (ssl.CERT_OPTIONAL, ssl.CERT_NONE)
