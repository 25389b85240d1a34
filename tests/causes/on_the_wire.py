"""What can go wrong between two message services: names, connections, TLS, HTTP, signals. All over real sockets."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from broker.diagnosis.causes import MESSAGE_ERRORS
from broker.envelope.fault import FaultCode, build_fault
from broker.lookup.client_tls import ClientTls
from broker.sealing.certificates import Use
from broker.transport.https import https_carrier
from broker.worker import Breaker, BreakerPolicy, BrokenCircuit
from tests.causes.bench import Bench, answering, bench, refusing, request
from tests.causes.told import Case, Told
from tests.certificates import key_pair, rsa_key
from tests.rig.peers import Peer, peer
from tests.rig.tls import openssl_server
from tests.scenario.pair import DALBYGDA, FJORDVIK, Keys, dialogue

PAGE: Final = b"<!DOCTYPE html>\n<html><body><h1>Welcome to nginx!</h1></body></html>"
SILENCE: Final = 0.3  # seconds until left loses patience
_ALWAYS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)


async def _to(behave: Peer, folder: Path, *, seconds: float | None = None, raw: bytes | None = None) -> Told:
    async with bench(folder) as at, peer(behave) as endpoint:
        at.towards(endpoint)
        if seconds is not None:
            at.patience(seconds)
        return await at.sent(raw)


async def _no_such_name(folder: Path) -> Told:
    async with bench(folder, plain=True) as at:
        at.towards("https://meldingstjener.invalid/ebms")
        return await at.sent()


async def _dead_port(folder: Path) -> Told:
    with closing(socket.socket()) as kept:
        kept.bind(("127.0.0.1", 0))  # bound, and not listening: every connection is refused
        async with bench(folder) as at:
            at.towards(f"http://127.0.0.1:{kept.getsockname()[1]}/ebms")
            return await at.sent()


async def _breaker(folder: Path) -> Told:
    """A dead port, found dead so often that its lane is closed."""
    with closing(socket.socket()) as kept:
        kept.bind(("127.0.0.1", 0))
        async with bench(folder) as at:
            at.towards(f"http://127.0.0.1:{kept.getsockname()[1]}/ebms")
            breaker = Breaker(policy=BreakerPolicy(failures=1), clock=at.brokers.clock)
            at.line.carrier = BrokenCircuit(at.line.carrier, breaker)
            await at.sent()
            return await at.sent(dialogue("66666666-0000-4000-8000-000000000002"))


async def _plain_http(folder: Path) -> Told:
    async with bench(folder, plain=False) as at:
        return await at.sent()


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)
    writer.transport.abort()


async def _mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await request(reader)
    await reader.read()  # until the other side has lost its patience


async def _deaf(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the connection, and not one byte."""
    await asyncio.sleep(60)


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def _no_handshake(folder: Path) -> Told:
    async with bench(folder) as at, peer(_deaf) as endpoint:
        at.towards(endpoint.replace("http:", "https:"))
        at.patience(SILENCE)
        return await at.sent()


async def _no_tls(folder: Path) -> Told:
    async with bench(folder) as at, peer(_garbage) as endpoint:
        at.towards(endpoint.replace("http:", "https:"))
        return await at.sent()


@cache
def _tls_pem(valid: tuple[datetime, datetime], host: str) -> bytes:
    """Return key and certificate of a web server."""
    key, name = rsa_key("web server"), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    made = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key(), serial_number=7)
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


@asynccontextmanager
async def _tls_server(folder: Path, valid: tuple[datetime, datetime], host: str) -> AsyncIterator[tuple[str, str]]:
    server, certificate = _server_tls(folder, valid, host)
    async with peer(answering("204 No Content"), server) as endpoint:
        yield endpoint, certificate


def _server_tls(folder: Path, valid: tuple[datetime, datetime], host: str) -> tuple[ssl.SSLContext, str]:
    """Return the context of a web server, and its certificate in PEM."""
    pem, file = _tls_pem(valid, host), folder / "server.pem"
    file.write_bytes(pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, pem[pem.index(b"-----BEGIN CERT") :].decode()


@asynccontextmanager
async def _over_tls(folder: Path) -> AsyncIterator[Bench]:
    """Give two brokers, of which right is reached by TLS: then it is believed without a signature, too."""
    server, certificate = _server_tls(folder, _ALWAYS, "127.0.0.1")
    async with bench(folder, tls=ssl.create_default_context(cadata=certificate), door=server) as at:
        yield at


async def _tls(folder: Path, valid: tuple[datetime, datetime], host: str, *, trusted: bool) -> Told:
    async with _tls_server(folder, valid, host) as (endpoint, certificate):
        client = ssl.create_default_context()
        if trusted:
            client.load_verify_locations(cadata=certificate)
        async with bench(folder, tls=client) as at:
            at.towards(endpoint)
            return await at.sent()


async def _other_key(folder: Path) -> Told:
    """Right's server has another TLS key than the record pins."""
    async with _tls_server(folder, _ALWAYS, "127.0.0.1") as (endpoint, certificate):
        (folder / "ca.pem").write_text(certificate)
        tls = ClientTls(ca=folder / "ca.pem")
        async with bench(folder) as at:
            at.organisation(endpoint=endpoint, tls_pins=frozenset({"ab" * 32}))
            directory = at.left.addresses.current()
            async with https_carrier(tls=lambda url: tls.of(directory, url)) as carrier:
                at.line.carrier = carrier
                return await at.sent()


async def _ours_not_taken(folder: Path) -> Told:
    """Right's server demands a certificate, and left has none."""
    async with openssl_server(folder, "tls1_3") as endpoint:
        client = ssl.create_default_context(cafile=str(folder / "server.crt"))
        async with bench(folder, tls=client) as at:
            at.towards(endpoint)
            return await at.sent()


async def _later(folder: Path) -> Told:
    """Right agreed to answer later, and does not."""
    async with bench(folder, sync=False) as at:
        id = await at.views.post(dialogue("66666666-0000-4000-8000-000000000004"))
        await at.brokers.run(only=at.left)
        return await at.views.message(id)


async def _strangers_signature(folder: Path) -> Told:
    """Right signs with a key whose certificate left does not have."""
    async with bench(folder) as at:
        keys = at.right.doors.keys
        assert isinstance(keys, Keys)
        keys.signing_pairs[DALBYGDA] = key_pair("a stranger", Use.SIGN)
        return await at.sent()


async def _gave_up(folder: Path) -> Told:
    async with bench(folder) as at, peer(answering("500 Internal Server Error", b"no")) as endpoint:
        at.towards(endpoint)
        id = await at.views.post(dialogue("66666666-0000-4000-8000-000000000005"))
        await at.brokers.run()
        await at.brokers.pass_time(timedelta(minutes=30), step=timedelta(minutes=5))
        return await at.views.message(id)


async def _unknown_key(folder: Path) -> Told:
    """Right's own refusal: left signs with a key that right does not know."""
    async with bench(folder) as at:
        keys = at.left.doors.keys
        assert isinstance(keys, Keys)
        keys.signing_pairs[FJORDVIK] = key_pair("another generation", Use.SIGN)
        return await at.sent()


async def _other_cpa(folder: Path) -> Told:
    """Right's own refusal: the two have different agreements on file."""
    async with _over_tls(folder) as at:
        at.agreement(cpa_id="cpa-of-yesterday")
        return await at.sent()


async def _no_agreement_there(folder: Path) -> Told:
    """Right's own refusal: right has no agreement with left."""
    async with _over_tls(folder) as at:
        directory = at.right.addresses.directory
        bare = {her: replace(party, agreements=()) for her, party in directory.parties.items()}
        at.right.addresses.directory = replace(directory, parties=bare)
        return await at.sent()


def _error(code: str) -> Case:
    return Case(
        name=f"a signed MessageError: {code}",
        error_id=MESSAGE_ERRORS.get(code, "MB-3301"),
        ball="person",
        produce=partial(_to, refusing(code)),
    )


def _plain(name: str, error_id: str, ball: str, behave: Peer, seconds: float | None = None) -> Case:
    return Case(name=name, error_id=error_id, ball=ball, produce=partial(_to, behave, seconds=seconds))


CASES: Final = (
    Case(name="no such host name", error_id="MB-3201", ball="partner", produce=_no_such_name),
    Case(name="a dead port", error_id="MB-3202", ball="partner", produce=_dead_port),
    Case(name="a server that does not speak TLS", error_id="MB-3203", ball="partner", produce=_no_tls),
    Case(name="a TLS handshake that never comes", error_id="MB-3204", ball="partner", produce=_no_handshake),
    _plain("read, and never answered", "MB-3205", "partner", _mute, SILENCE),
    _plain("read, and the connection reset", "MB-3205", "partner", _reset),
    Case(name="no acknowledgment yet", error_id="MB-3206", ball="partner", produce=_later),
    _plain("HTTP 500", "MB-3210", "partner", answering("500 Internal Server Error", b"no")),
    _plain("HTTP 503", "MB-3211", "partner", answering("503 Service Unavailable", b"later")),
    _plain("HTTP 429", "MB-3211", "partner", answering("429 Too Many Requests", b"later")),
    _plain("HTTP 404", "MB-3212", "person", answering("404 Not Found", b"no such path")),
    _plain("HTTP 302", "MB-3212", "person", answering("302 Found")),
    _plain("200 and nothing", "MB-3213", "partner", answering("200 OK")),
    _plain("200 and XML that is no signal", "MB-3213", "partner", answering("200 OK", b"<ok/>", "text/xml")),
    Case(
        name="an Acknowledgment under a stranger's key", error_id="MB-3214", ball="person", produce=_strangers_signature
    ),
    Case(name="a lane closed after failures", error_id="MB-3215", ball="partner", produce=_breaker),
    Case(name="no acknowledgment after every try", error_id="MB-3216", ball="person", produce=_gave_up),
    Case(name="plain http that no record allows", error_id="MB-3217", ball="person", produce=_plain_http),
    _plain("200 and a web page", "MB-3218", "partner", answering("200 OK", PAGE, "text/html")),
    _plain("200 and a web page that says it is XML", "MB-3218", "partner", answering("200 OK", PAGE, "text/xml")),
    _plain("a proxy's 502 page", "MB-3218", "partner", answering("502 Bad Gateway", PAGE, "text/html; charset=utf-8")),
    _plain("a proxy's 403 page", "MB-3219", "person", answering("403 Forbidden", PAGE, "text/html")),
    Case(
        name="a TLS certificate that has expired",
        error_id="MB-3220",
        ball="partner",
        produce=partial(_tls, valid=_LONG_AGO, host="127.0.0.1", trusted=True),
    ),
    Case(
        name="a TLS certificate that nobody vouches for",
        error_id="MB-3221",
        ball="partner",
        produce=partial(_tls, valid=_ALWAYS, host="127.0.0.1", trusted=False),
    ),
    Case(
        name="a TLS certificate of another host",
        error_id="MB-3222",
        ball="partner",
        produce=partial(_tls, valid=_ALWAYS, host="other.example", trusted=True),
    ),
    Case(name="a TLS key that the record does not pin", error_id="MB-3223", ball="person", produce=_other_key),
    Case(name="our TLS certificate is not taken", error_id="MB-3224", ball="person", produce=_ours_not_taken),
    Case(name="right does not know our new key", error_id="MB-3302", ball="person", produce=_unknown_key),
    Case(name="right has no agreement with us", error_id="MB-3304", ball="person", produce=_no_agreement_there),
    Case(name="right has another agreement", error_id="MB-3305", ball="person", produce=_other_cpa),
    *(_error(code) for code in MESSAGE_ERRORS),
    _error("TheirOwnCode"),
    _plain(
        "a SOAP Fault",
        "MB-3311",
        "partner",
        answering("500 Internal Server Error", build_fault(FaultCode.SERVER, "no"), "text/xml"),
    ),
)
