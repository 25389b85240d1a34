"""TLS between us and partners, with real servers on loopback: who is believed, who is refused, and by which cause."""

import asyncio
import ssl
import subprocess
import warnings
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from broker.cli.doctor import Mark, Result
from broker.cli.doctor_partners import partners_answer
from broker.config import load
from broker.daemon import client_tls
from broker.errors import Misconfigured, TransportFailed
from broker.lookup.client_tls import ClientTls, pin_of
from broker.lookup.door_tls import server_tls
from broker.ports import TransportReply
from broker.routing.party import Directory, Party, PartyKind
from broker.routing.records import read_party
from broker.transport.https import https_carrier
from broker.web.listen import listening
from tests.rig.peers import peer
from tests.rig.tls import ALWAYS, PAST, keep, made, openssl_server

PATIENCE = timedelta(seconds=1)


def pin(name: str) -> str:
    return pin_of(made(name).public_bytes(Encoding.DER))


def directory(endpoint: str, *pins: str) -> Directory:
    party = Party(
        her_id=8000200,
        name="Dalbygda",
        kind=PartyKind.ORGANISATION,
        organisation_number=None,
        endpoint=endpoint,
        tls_pins=frozenset(pins),
    )
    return Directory(parties={party.her_id: party})


class Counted:
    """A peer that answers 204 to every request of a connection, and counts both."""

    def __init__(self) -> None:
        self.connections = self.requests = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line[15:]) for line in head.split("\r\n") if line.startswith("Content-Length:"))
            await reader.readexactly(length)
            self.requests += 1
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def server(folder: Path, name: str = "server", **how: object) -> ssl.SSLContext:
    """Return the context of a partner's server; `how` goes to `made`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*keep(folder, name, made(name, **how)))  # type: ignore[arg-type]
    return context


async def posted(endpoint: str, tls: ClientTls, *pins: str, times: int = 1) -> list[TransportReply | str]:
    """Return the answer to each POST, or the error id that it ended with, and "?" if it may have been read."""
    records = directory(endpoint, *pins)
    found: list[TransportReply | str] = []
    async with https_carrier(tls=lambda url: tls.of(records, url)) as carrier:
        for _ in range(times):
            try:
                found.append(await carrier.post(endpoint, content_type="text/xml", body=b"<e/>", timeout=PATIENCE))
            except TransportFailed as why:
                found.append(why.error_id + ("?" if why.maybe_read else ""))
    return found


# --- whom we believe ---


async def test_a_pin_narrows_whom_we_believe_before_a_byte_is_sent_and_costs_no_handshake(tmp_path: Path) -> None:
    at = Counted()
    async with peer(at, server(tmp_path)) as endpoint:
        tls = ClientTls(ca=tmp_path / "server.crt")
        assert await posted(endpoint, tls, pin("other")) == ["MB-3223"]
        assert at.requests == 0
        for pins in ((pin("server"),), (pin("other"), pin("server")), ()):
            at.connections = 0
            first, second = await posted(endpoint, tls, *pins, times=2)
            assert isinstance(first, TransportReply)
            assert isinstance(second, TransportReply)
            assert at.connections == 1


async def test_a_pin_does_not_make_a_stranger_believed(tmp_path: Path) -> None:
    async with peer(Counted(), server(tmp_path)) as endpoint:
        assert await posted(endpoint, ClientTls(), pin("server")) == ["MB-3221"]


async def test_a_certificate_that_has_expired_is_not_mended_by_its_pin(tmp_path: Path) -> None:
    async with peer(Counted(), server(tmp_path, valid=PAST)) as endpoint:
        assert await posted(endpoint, ClientTls(ca=tmp_path / "server.crt"), pin("server")) == ["MB-3220"]


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_below_1_2_is_refused(newest: ssl.TLSVersion, tmp_path: Path) -> None:
    context = server(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    context.set_ciphers("ALL:@SECLEVEL=0")
    at = Counted()
    async with peer(at, context) as endpoint:
        (found,) = await posted(endpoint, ClientTls(ca=tmp_path / "server.crt"))
    if newest is ssl.TLSVersion.TLSv1_1:
        assert found in ("MB-3202", "MB-3203")  # OpenSSL says no, or the line is gone before its alert is read
        assert at.requests == 0
    else:
        assert isinstance(found, TransportReply)


def test_our_side_never_offers_less_than_1_2(tmp_path: Path) -> None:
    files = keep(tmp_path, "server", made("server"))
    assert ClientTls().of(directory("https://x.example/"), "").minimum_version is ssl.TLSVersion.TLSv1_2
    assert server_tls(*files).minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_pin_is_the_digest_that_openssl_makes(tmp_path: Path) -> None:
    certificate, _ = keep(tmp_path, "server", made("server"))
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=key.stdout, capture_output=True, check=True
    )
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der.stdout, capture_output=True, check=True)
    assert digest.stdout.decode().split()[0] == pin("server")


# --- what we show ---


# TLS 1.2 has no alert for a certificate that is missing: the handshake just fails (RFC 5246, 7.4.6).
@pytest.mark.parametrize(("version", "missing"), [("tls1_2", "MB-3203"), ("tls1_3", "MB-3224")])
async def test_a_server_that_demands_a_certificate_takes_ours_and_no_other(
    version: str, missing: str, tmp_path: Path
) -> None:
    ours = keep(tmp_path, "client", made("client", issuer="client-ca"))
    stranger = keep(tmp_path, "stranger", made("stranger"))
    async with openssl_server(tmp_path, version) as endpoint:
        ca = tmp_path / "server.crt"
        assert await posted(endpoint, ClientTls(ca=ca)) == [missing]
        assert await posted(endpoint, ClientTls(ca=ca, certificate=stranger[0], key=stranger[1])) == ["MB-3224"]
        (found,) = await posted(endpoint, ClientTls(ca=ca, certificate=ours[0], key=ours[1]))
        # Its page is no ebMS, nor does it read a POST; that it was reached at all is what counts.
        assert isinstance(found, TransportReply) or found == "MB-3205?"


async def test_renewed_files_are_taken_up_and_bad_ones_leave_the_last_good_in_place(tmp_path: Path) -> None:
    certificate, key = keep(tmp_path, "client", made("client"))
    tls = ClientTls(certificate=certificate, key=key)
    records = directory("https://x.example/ebms", pin("server"))
    first = tls.of(records, "https://x.example/ebms")
    assert tls.of(records, "https://x.example/ebms") is first
    assert not tls.look()
    certificate.write_text("nothing")
    assert tls.look()
    assert [problem.where for problem in tls.problems] == [str(certificate)]
    assert tls.of(records, "https://x.example/ebms") is first
    certificate.write_bytes(made("client", valid=(ALWAYS[0], ALWAYS[1] + timedelta(days=1))).public_bytes(Encoding.PEM))
    assert tls.look()
    assert tls.problems == ()
    assert tls.of(records, "https://x.example/ebms") is not first


@pytest.mark.parametrize("broken", ["ca", "key"])
def test_files_that_can_not_be_used_are_named_at_the_start(broken: str, tmp_path: Path) -> None:
    certificate, key = keep(tmp_path, "client", made("client"))
    (tmp_path / "ca.pem").write_text("nothing" if broken == "ca" else certificate.read_text())
    other = keep(tmp_path, "other", made("other"))[1]
    with pytest.raises(Misconfigured) as caught:
        ClientTls(certificate=certificate, key=other if broken == "key" else key, ca=tmp_path / "ca.pem")
    assert caught.value.where == str(tmp_path / "ca.pem" if broken == "ca" else certificate)


# --- our own door ---


@pytest.mark.parametrize(("shows", "taken"), [("client", True), (None, False), ("stranger", False), ("expired", False)])
async def test_the_partners_door_may_demand_a_certificate(shows: str | None, taken: bool, tmp_path: Path) -> None:
    files = keep(tmp_path, "server", made("server"))
    (tmp_path / "client-ca.crt").write_bytes(made("client-ca").public_bytes(Encoding.PEM))
    keep(tmp_path, "client", made("client", issuer="client-ca"))
    keep(tmp_path, "expired", made("expired", issuer="client-ca", valid=PAST))
    keep(tmp_path, "stranger", made("stranger"))
    asked = 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.post("/ebms", answer)])
    door = server_tls(*files, client_ca=tmp_path / "client-ca.crt", demanded=True)
    certificate, key = (tmp_path / f"{shows}.crt", tmp_path / f"{shows}.key") if shows else (None, None)
    async with listening(app, host="127.0.0.1", port=0, tls=door, grace=1) as port:
        tls = ClientTls(ca=files[0], certificate=certificate, key=key)
        (found,) = await posted(f"https://127.0.0.1:{port}/ebms", tls)
    assert isinstance(found, TransportReply) is taken
    assert asked == int(taken)


# --- records and settings ---

RECORD = """
her_id = 8000200
name = "Dalbygda"
kind = "organisation"
endpoint = "https://dalbygda.example/ebms"
tls_pins = ["{pin}"]
"""


def test_a_record_pins_keys_by_their_digest() -> None:
    party = read_party(RECORD.format(pin="AB" * 32), source="d.toml", load_pem=_no_pem)
    assert party.tls_pins == {"ab" * 32}


@pytest.mark.parametrize(
    "text",
    [
        RECORD.format(pin="ab:cd"),
        RECORD.format(pin="ab" * 32).replace("https://dalbygda.example", "http://127.0.0.1"),
        "\n".join(line for line in RECORD.format(pin="ab" * 32).splitlines() if "endpoint" not in line),
    ],
)
def test_a_pin_that_can_not_count_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read_party(text, source="d.toml", load_pem=_no_pem)
    assert caught.value.where == "d.toml: tls_pins"


def _no_pem(_name: str) -> bytes:
    raise FileNotFoundError


SETTINGS = """
environment = "test"
[[organisation]]
number = "900000101"
name = "Fjordvik"
hers = [8000101]
[partner]
port = 0
[epj]
port = 0
[tls]
"""


def test_settings_name_our_certificate_and_more_roots(tmp_path: Path) -> None:
    keep(tmp_path, "client", made("client"))
    file = tmp_path / "broker.toml"
    file.write_text(SETTINGS + 'certificate = "client.crt"\nkey = "client.key"\nca = "client.crt"\n')
    assert client_tls(load(file)).problems == ()
    file.write_text(SETTINGS + 'certificate = "client.crt"\n')
    with pytest.raises(Misconfigured, match="certificate and key together"):
        load(file)


# --- what broker check says ---


async def checked(folder: Path, *records: str) -> list[Result]:
    (folder / "addresses").mkdir(exist_ok=True)
    for number, record in enumerate(records):
        (folder / "addresses" / f"{number}.toml").write_text(record)
    (folder / "broker.toml").write_text(
        SETTINGS + 'certificate = "client.crt"\nkey = "client.key"\nca = "server.crt"\n'
    )
    return await partners_answer(load(folder / "broker.toml"))


def record(endpoint: str, more: str = "") -> str:
    return f'her_id = 8000200\nname = "D"\nkind = "organisation"\nendpoint = "{endpoint}"\n{more}\n'


async def test_check_names_what_is_between_us_and_a_partner(tmp_path: Path) -> None:
    keep(tmp_path, "client", made("client"))
    async with peer(Counted(), server(tmp_path)) as endpoint:
        (found,) = await checked(tmp_path, record(endpoint, f'tls_pins = ["{pin("server")}"]'))
        assert (found.mark, found.check) == (Mark.OK, "partners")
        assert found.text.en.endswith("TLSv1.3, pinned key, our client certificate is offered")
        (other,) = await checked(tmp_path, record(endpoint, f'tls_pins = ["{pin("other")}"]'))
        assert other.mark is Mark.FAULT
        assert "another key than tls_pins pins" in other.text.en
        (unpinned,) = await checked(tmp_path, record(endpoint))
        assert "pinned" not in unpinned.text.en
    async with peer(Counted()) as endpoint:
        (plain,) = await checked(tmp_path, record(endpoint))
        assert plain.mark is Mark.OK
        assert plain.text.en.endswith("plain HTTP")


async def test_check_names_plain_http_beyond_this_machine(tmp_path: Path) -> None:
    server(tmp_path)
    keep(tmp_path, "client", made("client"))
    # Another address of loopback stands for another machine: only 127.0.0.1 is taken for this one.
    async with peer(Counted(), at="127.0.0.2") as endpoint:
        found = await checked(tmp_path, record(endpoint, 'switches = ["plain-http"]'))
    assert [each.mark for each in found] == [Mark.OK, Mark.NOTE]
    assert "plain HTTP beyond this machine" in found[1].text.en
