"""Every way in which a partner's server may fail us gives the right error id, and says whether it may have read us."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from broker.errors import TransportFailed
from broker.ports import Carrier, TransportReply
from broker.sealing.certificates import Use, new_certificate
from broker.transport.https import https_carrier, loopback_only
from tests.rig.peers import Peer, peer

SECOND = timedelta(seconds=1)
SHORT = timedelta(milliseconds=200)
BODY = b"<envelope>" * 1000
LARGE = b"x" * 20_000_000  # more than the sockets of both sides hold


async def _request(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return {"": head[0]} | headers, await reader.readexactly(int(headers["Content-Length"]))


def _answer(response: bytes) -> Peer:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(response)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return behave


async def _post(
    carrier: Carrier, endpoint: str, body: bytes = BODY, timeout: timedelta = SECOND, content_type: str = "text/xml"
) -> TransportReply:
    return await carrier.post(endpoint, content_type=content_type, body=body, timeout=timeout)


async def _fails(endpoint: str, *, body: bytes = BODY, timeout: timedelta = SECOND) -> tuple[str, bool]:
    async with https_carrier() as carrier:
        with pytest.raises(TransportFailed) as caught:
            await _post(carrier, endpoint, body, timeout)
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.error_id, caught.value.maybe_read


# --- what goes out ---


async def test_the_entity_goes_out_byte_for_byte_with_the_headers_of_the_binding() -> None:
    seen: list[tuple[dict[str, str], bytes]] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            seen.append(await _request(reader))
            writer.write(b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n")

    body = bytes(range(256)) * 1000
    multipart = 'multipart/related; type="text/xml"; boundary="-=b=-"'
    async with peer(behave) as endpoint, https_carrier() as carrier:
        first = await _post(carrier, endpoint, body, content_type=multipart)
        await _post(carrier, endpoint, b"<e/>", content_type="text/xml; charset=UTF-8")
    assert (first.status, first.body) == (204, b"")
    (headers, sent), (bare, _) = seen  # over one connection: the second found it alive
    assert headers[""] == "POST /ebms HTTP/1.1"
    assert headers["SOAPAction"] == '"ebXML"'
    assert headers["Content-Type"] == multipart
    assert headers["Accept-Encoding"] == "identity"
    assert "Transfer-Encoding" not in headers
    assert "Content-ID" not in headers
    assert sent == body
    assert bare["Content-ID"].startswith("<")
    assert "Cookie" not in bare


async def test_no_header_of_mail_stands_in_the_request() -> None:
    seen: list[dict[str, str]] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await _request(reader))[0])
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with peer(behave) as endpoint, https_carrier() as carrier:
        await _post(carrier, endpoint, content_type='multipart/related; boundary="b"')
    assert {name.lower() for name in seen[0]} & {"mime-version", "content-transfer-encoding"} == set()


# --- what comes back is not judged ---


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>It works</html>"), (302, b""), (400, b""), (500, b"<Fault/>"), (503, b"later")]
)
async def test_any_answer_is_brought_back_as_it_is(status: int, body: bytes) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nLocation: http://127.0.0.1:1/\r\n"
    response = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    async with peer(_answer(response)) as endpoint, https_carrier() as carrier:
        reply = await _post(carrier, endpoint)
    assert reply == TransportReply(status=status, content_type="text/html", body=body)


async def test_a_chunked_answer_is_put_together_and_a_coded_one_is_not_unpacked() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    async with peer(_answer(chunked + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) as endpoint, https_carrier() as carrier:
        assert (await _post(carrier, endpoint)).body == b"abcde"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("Sun, 22 Nov 2026 12:10:00 GMT", datetime(2026, 11, 22, 12, 10, tzinfo=UTC)),
        ("yesterday", None),
        ("Sun, 99 Nov 2026 12:10:00 GMT", None),
        ("", None),
    ],
)
async def test_the_partners_clock_is_read_where_it_is_told(said: str, read: datetime | None) -> None:
    response = f"HTTP/1.1 204 No Content\r\nDate: {said}\r\n\r\n".encode()
    async with peer(_answer(response)) as endpoint, https_carrier() as carrier:
        assert (await _post(carrier, endpoint)).date == read


async def test_an_endless_answer_is_cut_at_the_limit() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            writer.write(b"z" * 65536)
            await writer.drain()

    async with peer(behave) as endpoint, https_carrier(max_reply=100_000) as carrier:
        assert (await _post(carrier, endpoint)).body == b"z" * 100_000


# --- nothing can have been read ---


async def test_a_name_that_does_not_exist() -> None:
    async with https_carrier(allow_plain=lambda _: True) as carrier:
        with pytest.raises(TransportFailed) as caught:
            await _post(carrier, "http://no-such-host.invalid/ebms", timeout=timedelta(seconds=20))
    assert (caught.value.error_id, caught.value.maybe_read) == ("MB-3201", False)


async def test_a_port_that_nobody_listens_on() -> None:
    async with peer(_answer(b"")) as endpoint:
        pass
    assert await _fails(endpoint) == ("MB-3202", False)


async def test_a_peer_that_does_not_speak_tls() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with peer(behave) as endpoint:
        assert await _fails(endpoint.replace("http:", "https:")) == ("MB-3203", False)


async def test_a_certificate_that_we_do_not_trust_and_the_same_one_trusted(tmp_path: Path) -> None:
    server, client = contexts(tmp_path)
    async with peer(_answer(b"HTTP/1.1 204 No Content\r\n\r\n"), server) as endpoint:
        assert await _fails(endpoint) == ("MB-3221", False)
        async with https_carrier(tls=lambda _: client) as carrier:
            assert (await _post(carrier, endpoint)).status == 204


async def test_a_peer_that_never_finishes_the_handshake() -> None:
    async def behave(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass

    async with peer(behave) as endpoint:
        assert await _fails(endpoint.replace("http:", "https:"), timeout=SHORT) == ("MB-3204", False)


async def test_a_peer_that_stops_reading_in_the_middle_of_a_large_copy() -> None:
    gone = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket transport has it
        await gone.wait()

    async with peer(behave) as endpoint:
        assert await _fails(endpoint, body=LARGE, timeout=SHORT) == ("MB-3204", False)
        gone.set()


async def test_a_reset_in_the_middle_of_a_large_copy() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)
        writer.transport.abort()

    async with peer(behave) as endpoint:
        assert await _fails(endpoint, body=LARGE) == ("MB-3202", False)


# --- a whole copy may have been read ---


async def test_silence_after_the_whole_copy() -> None:
    gone = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        await gone.wait()

    async with peer(behave) as endpoint:
        assert await _fails(endpoint, timeout=SHORT) == ("MB-3205", True)
        gone.set()


async def test_a_reset_after_the_whole_copy() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.transport.abort()

    async with peer(behave) as endpoint:
        assert await _fails(endpoint) == ("MB-3205", True)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "another protocol", "cut short", "broken chunks", "endless header"],
)
async def test_an_answer_that_is_no_answer_after_the_whole_copy(response: bytes) -> None:
    async with peer(_answer(response)) as endpoint:
        assert await _fails(endpoint) == ("MB-3205", True)


async def test_an_answer_that_trickles_for_ever_ends_with_the_time_given() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        await writer.drain()
        await reader.read()

    async with peer(behave) as endpoint:
        assert await _fails(endpoint, timeout=SHORT) == ("MB-3205", True)


# --- where it may go ---


@pytest.mark.parametrize("endpoint", ["mailto:x@y.example", "ftp://h/x", "/ebms", "http://", "", "http://[::1"])
async def test_an_endpoint_that_is_no_http_address(endpoint: str) -> None:
    assert await _fails(endpoint) == ("MB-2008", False)


async def test_plain_http_beyond_this_machine_only_where_it_is_allowed() -> None:
    assert await _fails("http://partner.example/ebms") == ("MB-3217", False)
    assert loopback_only("http://127.8.9.1:80/x")
    assert loopback_only("http://[::1]/x")
    assert loopback_only("http://localhost/x")
    assert not loopback_only("http://localhost.partner.example/x")
    assert not loopback_only("http://10.0.0.1/x")


async def test_a_cancelled_post_is_cancelled_and_nothing_else() -> None:
    arrived = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        arrived.set()
        await reader.read()

    async with peer(behave) as endpoint, https_carrier() as carrier, asyncio.TaskGroup() as tasks:
        posting = tasks.create_task(_post(carrier, endpoint, timeout=timedelta(seconds=30)))
        await asyncio.wait_for(arrived.wait(), 5)
        posting.cancel()
    assert posting.cancelled()


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS contexts of a server on loopback, and of a client that trusts it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    begin, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
    certificate = new_certificate("127.0.0.1", "987654321", Use.SIGN, begin, end, key, serial=1)
    (folder / "c.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "k.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "c.pem", folder / "k.pem")
    client = ssl.create_default_context(cafile=str(folder / "c.pem"))
    client.check_hostname = False
    return server, client
