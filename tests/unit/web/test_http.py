"""What the doors bear of HTTP itself, sent as raw bytes: nothing broken, slow or too large reaches a story."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from broker import inbound, intake, telemetry
from broker.errors import Misconfigured
from broker.intake import Taken
from broker.message import Answer
from broker.web import listen
from broker.web.app import make_partner_app
from broker.web.bodies import Pace, Room
from broker.web.listen import listening
from tests.unit.transport.test_https import contexts
from tests.unit.web.rig import TOKEN, XML, Rig, rig, story
from tests.unit.web.values import message

POST = "/api/v1/messages"
AUTH = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n"


@pytest.fixture
def accept(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Return the calls of a story that takes everything."""
    told = story(Taken(message=message(), deliveries=(), replayed=False))
    monkeypatch.setattr(intake, "accept", told)
    return told.calls  # type: ignore[attr-defined,no-any-return]  # see story()


@pytest.fixture
def receive(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Return the calls of a story that has nothing to say."""
    told = story(Answer(status=204, content_type="", body=b""))
    monkeypatch.setattr(inbound, "receive", told)
    return told.calls  # type: ignore[attr-defined,no-any-return]  # see story()


@asynccontextmanager
async def _line(base: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(base)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _raw(base: str, *pieces: bytes) -> bytes:
    """Send the pieces as they are, and return all that comes back until the connection ends."""
    async with _line(base) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 10)


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


# --- bodies in every shape that a peer may send ---


async def test_a_chunked_body_in_many_small_pieces_arrives_whole(doors: Rig, receive: list[tuple[object, ...]]) -> None:
    head = (
        b"POST /ebms HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        b"SOAPAction: urn:nhs:names:services:x/y\r\nTransfer-Encoding: chunked\r\n"
        b'Content-Type: multipart/related; boundary="-=b=-"; type="text/xml"\r\n\r\n'
    )
    async with _line(doors.partner) as (reader, writer):
        writer.write(head)
        for letter in b"abcdefgh":
            writer.write(b"1\r\n%c\r\n" % letter)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert _status(answer) == 204
    ((content_type, body, _),) = receive
    assert content_type == 'multipart/related; boundary="-=b=-"; type="text/xml"'
    assert body == b"abcdefgh"


async def test_an_h2c_offer_with_a_plain_body_is_answered_in_http_1(
    doors: Rig, receive: list[tuple[object, ...]]
) -> None:
    head = (
        b"POST /ebms HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABk\r\nContent-Type: text/xml\r\nContent-Length: 4\r\n\r\n<e/>"
    )
    async with _line(doors.partner) as (reader, writer):
        for _ in range(2):  # and the connection goes on
            writer.write(head)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert answer.startswith(b"HTTP/1.1 204 ")
    assert [call[1] for call in receive] == [b"<e/>", b"<e/>"]


async def test_a_client_that_waits_for_100_continue_is_told_to_go_on(
    doors: Rig, accept: list[tuple[object, ...]]
) -> None:
    reply = await doors.ask("POST", POST, data=b"<e/>", headers=XML, expect100=True)
    assert reply.status == 202
    assert len(accept) == 1


async def test_a_body_that_ends_too_soon_never_reaches_the_story(doors: Rig, accept: list[tuple[object, ...]]) -> None:
    for framing, body in (
        (b"Content-Length: 100\r\n\r\n", b"<half"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n<half\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n<half\r\nzz\r\n"),
    ):
        async with _line(doors.epj) as (reader, writer):
            writer.write(f"POST {POST} HTTP/1.1\r\n{AUTH}Content-Type: text/xml\r\n".encode() + framing + body)
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 10)
        assert answer == b"" or _status(answer) == 400
    assert accept == []


async def test_a_request_with_two_lengths_or_two_types_is_refused(doors: Rig, accept: list[tuple[object, ...]]) -> None:
    start = f"POST {POST} HTTP/1.1\r\n{AUTH}"
    for headers in (
        "Content-Type: text/xml\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Content-Type: text/xml\r\nContent-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Type: text/xml\r\nContent-Type: application/xml\r\nContent-Length: 4\r\n",
        "Content-Type: text/xml\r\nTransfer-Encoding: gzip\r\nContent-Length: 4\r\n",
    ):
        assert _status(await _raw(doors.epj, f"{start}{headers}\r\n<e/>".encode())) == 400
    assert accept == []


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03Canary",
        b"Canary / HTTP/9.9\r\n\r\n",
        b"GET /Canary HTTP/1.1\r\nHost: x\r\nCan ary: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00Canary\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"Canary" * 2000 + b"\r\n\r\n",
    ],
    ids=["tls", "version", "header name", "nul", "http/2", "long header"],
)
async def test_what_is_no_http_is_answered_without_quoting_it(
    rubbish: bytes, doors: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await _raw(doors.epj, rubbish)
    assert _status(answer) == 400
    assert b"application/problem+json" in answer
    assert b"Canary" not in answer
    assert b"aiohttp" not in answer
    assert "Canary" not in caplog.text


async def test_headers_that_are_large_together_are_refused(doors: Rig) -> None:
    reply = await doors.ask("GET", "/healthz", headers={f"X-{n}": "y" * 1000 for n in range(9)})
    assert reply.status == 431
    assert reply.json()["accepted"] is False


async def test_a_packed_body_is_not_unpacked(doors: Rig, accept: list[tuple[object, ...]]) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    reply = await doors.ask("POST", POST, data=bomb, headers=XML | {"Content-Encoding": "gzip"})
    assert reply.status == 415
    assert "ukomprimert" in reply.json()["detail"]
    assert accept == []


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/xml-dtd", ""])
async def test_another_content_type_is_415_and_says_which_are_taken(
    content_type: str, doors: Rig, accept: list[tuple[object, ...]]
) -> None:
    reply = await doors.ask("POST", POST, data=b"<e/>", headers={"Content-Type": content_type})
    assert reply.status == 415
    assert "application/xml, text/xml" in reply.json()["detail"]
    assert reply.json()["errorId"] == "MB-1006"
    assert accept == []


async def test_a_body_over_the_limit_is_413_whether_its_length_is_told_or_not(
    tmp_path: Path, accept: list[tuple[object, ...]]
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 1024

    async with rig(tmp_path, max_document=10 * 1024) as doors:
        for data in (b"x" * 10 * 1024 + b"x", pieces()):
            reply = await doors.ask("POST", POST, data=data, headers=XML)
            assert reply.status == 413
            assert (reply.json()["errorId"], reply.json()["accepted"]) == ("MB-1004", False)
        assert (await doors.ask("POST", POST, data=b"x" * 10 * 1024, headers=XML)).status == 202
        assert doors.room.taken == 0
    assert len(accept) == 1


async def test_a_length_over_the_limit_is_refused_before_any_of_it_comes(doors: Rig) -> None:
    head = f"POST {POST} HTTP/1.1\r\n{AUTH}Content-Type: text/xml\r\nContent-Length: {35 * 1024 * 1024 + 1}\r\n\r\n"
    async with _line(doors.epj) as (reader, writer):
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert _status(answer) == 413
    assert b"Connection: close" in answer


# --- time and memory ---


@pytest.mark.parametrize("pace", [Pace(idle=0.05, whole=10), Pace(idle=10, whole=0.05)], ids=["idle", "whole"])
async def test_a_body_that_comes_too_slowly_is_408_and_nothing_is_taken(
    pace: Pace, tmp_path: Path, accept: list[tuple[object, ...]]
) -> None:
    async with rig(tmp_path, pace=pace) as doors:
        head = f"POST {POST} HTTP/1.1\r\n{AUTH}Content-Type: text/xml\r\nContent-Length: 100\r\n\r\n<half"
        async with _line(doors.epj) as (reader, writer):
            writer.write(head.encode())
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert _status(answer) == 408
        assert doors.room.taken == 0
    assert accept == []


async def test_a_connection_that_never_ends_its_headers_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(listen._LIMITS, "keepalive_timeout", 0.1)
    async with rig(tmp_path) as doors, _line(doors.epj) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_bodies_together_have_a_bound_and_their_memory_comes_back(
    tmp_path: Path, accept: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: asyncio.Queue[int] = asyncio.Queue()
    monkeypatch.setattr(telemetry, "holding", held.put_nowait)

    async def holds(count: int) -> None:
        async with asyncio.timeout(10):
            while await held.get() != count:
                continue

    room = Room(total=100_000)
    async with rig(tmp_path, room=room) as doors:
        head = f"POST {POST} HTTP/1.1\r\n{AUTH}Content-Type: text/xml\r\nContent-Length: 90000\r\n\r\n"
        async with _line(doors.epj) as (reader, writer):
            writer.write(head.encode() + b"x" * 80_000)
            await holds(80_000)
            refused = await doors.ask("POST", POST, data=b"y" * 30_000, headers=XML)
            assert (refused.status, refused.json()["errorId"]) == (503, "MB-9101")
            assert refused.headers["Retry-After"] == "10"
            assert (await doors.ask("POST", POST, data=b"z" * 10_000, headers=XML)).status == 202
            writer.write(b"x" * 10_000)
            assert _status(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)) == 202
        await holds(0)
    assert room.taken == 0
    assert len(accept) == 2


async def test_more_connections_than_the_limit_are_dropped_and_the_others_live(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(listen, "MOST_CONNECTIONS", 2)
    async with rig(tmp_path) as doors, _line(doors.epj) as one, _line(doors.epj) as two:
        for reader, writer in (one, two):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert _status(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)) == 200
        with pytest.raises((aiohttp.ClientError, OSError)):
            await doors.session.get(doors.epj + "/healthz")


async def test_a_client_that_leaves_does_not_stop_what_was_begun(doors: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def accept(*_: object) -> Taken:
        begun.set()
        await go.wait()
        done.set()
        return Taken(message=message(), deliveries=(), replayed=False)

    monkeypatch.setattr(intake, "accept", accept)
    async with _line(doors.epj) as (_, writer):
        writer.write(f"POST {POST} HTTP/1.1\r\n{AUTH}Content-Type: text/xml\r\nContent-Length: 4\r\n\r\n<e/>".encode())
        await asyncio.wait_for(begun.wait(), 10)
        writer.transport.abort()
    go.set()
    await asyncio.wait_for(done.wait(), 10)


# --- routes and listeners ---


async def test_another_method_is_405_and_names_those_allowed(doors: Rig) -> None:
    reply = await doors.ask("DELETE", POST)
    assert (reply.status, reply.headers["Allow"], reply.json()["errorId"]) == (405, "POST", "MB-1009")
    get = await doors.ask("GET", "/ebms", door="partner")
    assert (get.status, get.headers["Content-Type"]) == (405, "application/problem+json")


async def test_an_unknown_path_is_404_without_repeating_it(doors: Rig) -> None:
    reply = await doors.ask("GET", "/canary-words")
    assert (reply.status, reply.json()["errorId"]) == (404, "MB-1008")
    assert b"canary" not in reply.body
    assert 'route="unknown"' in telemetry.exposition().decode()
    assert "canary-words" not in telemetry.exposition().decode()


async def test_a_port_that_is_taken_is_a_wrong_setting(doors: Rig) -> None:
    port = urlsplit(doors.epj).port or 0
    with pytest.raises(Misconfigured, match=r"127\.0\.0\.1"):
        async with listening(make_partner_app(doors.doors), host="127.0.0.1", port=port):
            raise AssertionError


async def test_a_request_under_way_ends_before_the_listener_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def accept(*_: object) -> Taken:
        begun.set()
        await go.wait()
        return Taken(message=message(), deliveries=(), replayed=False)

    monkeypatch.setattr(intake, "accept", accept)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        async with rig(tmp_path) as doors:
            headers = XML | {"Authorization": f"Bearer {TOKEN}"}
            posting = tasks.create_task(_post(session, doors.epj + POST, headers))
            await asyncio.wait_for(begun.wait(), 10)
            asyncio.get_running_loop().call_soon(go.set)  # once the listener is closing
        assert await posting == 202


async def _post(session: aiohttp.ClientSession, address: str, headers: dict[str, str]) -> int:
    async with session.post(address, data=b"<e/>", headers=headers) as response:
        return response.status


async def test_tls_is_spoken_where_a_context_is_given(doors: Rig, tmp_path: Path) -> None:
    server, client = contexts(tmp_path)
    async with listening(make_partner_app(doors.doors), host="127.0.0.1", port=0, tls=server) as port:
        address = f"https://127.0.0.1:{port}/healthz"
        async with doors.session.get(address, ssl=client) as response:
            assert response.status == 200


def test_without_the_compiled_parser_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    listen.require_c_parser()
    monkeypatch.delattr("aiohttp.http_parser.HttpRequestParserC")
    with pytest.raises(Misconfigured, match="compiled HTTP parser"):
        listen.require_c_parser()
