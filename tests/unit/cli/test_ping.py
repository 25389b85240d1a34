"""`broker ping`: each thing that may come for a Ping is told in words, with what to do, and by its exit code."""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.doctor_partners import partners_answer
from broker.cli.main import main
from broker.cli.pinging import Answer, Heard, in_words
from broker.config import load
from broker.diagnosis import CAUSES
from broker.envelope.ebms import Description, Envelope, Kind
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import parse
from broker.envelope.fault import FaultCode, build_fault
from broker.envelope.xml import parse as parse_xml
from broker.errors import ValueNotRecognized
from broker.receipts.acknowledgment import SignalForm, answer_header
from broker.receipts.message_error import build_message_error
from tests.rig.peers import Peer, peer
from tests.rig.tls import keep, made

SETTINGS = """
environment = "test"
addresses = "addresses"
[[organisation]]
number = "900000101"
name = "Fjordvik"
hers = [8000101, 8000102]
[partner]
port = 0
[epj]
port = 0
"""
RECORD = """
her_id = 8000201
name = "Hjemmetjenesten i Dalbygda"
kind = "epj"
{endpoint}
[[agreement]]
with = 8000101
cpa_id = "cpa-1"
sync = {sync}
"""
WHO = Description(text='{"MSH-system":"Prøve"}', lang="NO")


def seen(body: bytes) -> Envelope:
    return parse(parse_xml(body, max_bytes=100_000))


def pong(body: bytes) -> tuple[str, bytes]:
    form = SignalForm(descriptions=(WHO,))
    ping = seen(body).header
    header = answer_header(
        ping, Kind.PONG, message_id="p-1", timestamp=ping.timestamp, ref_to_message_id=ping.message_id, form=form
    )
    return "200 OK", build(Envelope(header=header))


def other_pong(body: bytes) -> tuple[str, bytes]:
    status, answer = pong(body)
    return status, answer.replace(seen(body).header.message_id.encode(), b"another-id@x")


def error(body: bytes) -> tuple[str, bytes]:
    ping = seen(body).header
    why = ValueNotRecognized("no such agreement", location="//Header/MessageHeader/CPAId")
    return "200 OK", build(build_message_error(ping, why, message_id="e-1", timestamp=ping.timestamp))


def soap_fault(body: bytes) -> tuple[str, bytes]:
    return "500 Internal Server Error", build_fault(FaultCode.CLIENT, "CPA cpa-1 not found!")


def answering(answer: Callable[[bytes], tuple[str, bytes]], asked: list[bytes]) -> Peer:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line[15:]) for line in head.split("\r\n") if line.startswith("Content-Length:"))
        asked.append(await reader.readexactly(length))
        status, body = answer(asked[-1])
        about = f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(about.encode() + body)
        await writer.drain()

    return behave


@contextmanager
def serving(behave: Peer, **how: object) -> Iterator[str]:
    """Serve a peer beside the command, which has a loop of its own."""
    ready, over = threading.Event(), asyncio.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with peer(behave, **how) as endpoint:  # type: ignore[arg-type]
            found.append(endpoint)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(5)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
        loop.close()


def run(folder: Path, endpoint: str | None, *arguments: str, sync: bool = True, record: str = "") -> Result:
    (folder / "addresses").mkdir(exist_ok=True)
    line = f'endpoint = "{endpoint}"\n{record}' if endpoint else ""
    (folder / "addresses" / "d.toml").write_text(RECORD.format(endpoint=line, sync=str(sync).lower()))
    if not (folder / "broker.toml").exists():
        (folder / "broker.toml").write_text(SETTINGS)
    arguments = arguments or ("8000201",)
    return CliRunner().invoke(main, ["--lang", "en", "ping", *arguments, "--config", str(folder / "broker.toml")])


@pytest.mark.parametrize(
    ("answer", "sync", "code", "words"),
    [
        (pong, True, 0, "answered with a Pong, HTTP 200"),
        (lambda _: ("204 No Content", b""), False, 0, "took it (HTTP 204); the Pong comes by itself"),
        (lambda _: ("204 No Content", b""), True, 1, "took it (HTTP 204) and said nothing"),
        (error, True, 1, "refused it with ValueNotRecognized"),
        (soap_fault, True, 1, "answered with a SOAP Fault (HTTP 500)"),
        (other_pong, True, 1, "answered HTTP 200 without a Pong"),
        (lambda _: ("200 OK", b"<html>It works</html>"), True, 1, "answered HTTP 200 without a Pong"),
        (lambda _: ("404 Not Found", b""), True, 1, "answered HTTP 404 without a Pong"),
    ],
)
def test_what_comes_is_told(
    answer: Callable[[bytes], tuple[str, bytes]], sync: bool, code: int, words: str, tmp_path: Path
) -> None:
    asked: list[bytes] = []
    with serving(answering(answer, asked)) as endpoint:
        told = run(tmp_path, endpoint, sync=sync)
    assert told.exit_code == code, told.output
    assert words in told.output
    (ping,) = asked
    envelope = seen(ping)
    assert (envelope.kind, envelope.sync_reply) == (Kind.PING, sync)
    assert (envelope.header.from_her, envelope.header.to_her, envelope.header.cpa_id) == (8000101, 8000201, "cpa-1")


def test_the_partners_own_words_are_shown(tmp_path: Path) -> None:
    with serving(answering(pong, [])) as endpoint:
        assert '{"MSH-system":"Prøve' in run(tmp_path, endpoint).output
    with serving(answering(error, [])) as endpoint:
        assert "//Header/MessageHeader/CPAId no such agreement" in run(tmp_path, endpoint).output
    with serving(answering(soap_fault, [])) as endpoint:
        assert "CPA cpa-1 not found!" in run(tmp_path, endpoint).output


def test_for_programs_it_is_one_line_of_json(tmp_path: Path) -> None:
    with serving(answering(pong, [])) as endpoint:
        told = json.loads(run(tmp_path, endpoint, "8000201", "--json").output)
    assert (told["answer"], told["ok"], told["status"], told["tls"]) == ("pong", True, 200, None)
    assert told["text"].keys() == {"nb", "en"}


def test_the_profile_of_the_partner_is_obeyed(tmp_path: Path) -> None:
    asked: list[bytes] = []
    with serving(answering(pong, asked)) as endpoint:
        assert run(tmp_path, endpoint, record='profile = "nav"').exit_code == 0
        assert run(tmp_path, endpoint, record='profile = "nhs"').exit_code == 0
    nav, nhs = (seen(each).header for each in asked)
    assert (nav.service_type, len(nav.descriptions)) == ("string", 1)
    assert (nhs.service_type, nhs.descriptions) == (None, ())


def test_over_tls_it_shows_the_key_to_pin(tmp_path: Path) -> None:

    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*keep(tmp_path, "server", made("server")))
    (tmp_path / "broker.toml").write_text(SETTINGS + '[tls]\nca = "server.crt"\n')
    with serving(answering(pong, []), tls=server) as endpoint:
        told = json.loads(run(tmp_path, endpoint, "8000201", "--json").output)
        assert told["tls"]["version"] == "TLSv1.3"
        shown = run(tmp_path, endpoint, record=f'tls_pins = ["{told["tls"]["pin"]}"]')
        assert shown.exit_code == 0
        assert f"{told['tls']['pin']} (pinned)" in shown.output
        wrong = run(tmp_path, endpoint, record=f'tls_pins = ["{"ab" * 32}"]')
        assert wrong.exit_code == 1
        assert "the server has another key than tls_pins pins" in wrong.output


@pytest.mark.parametrize(
    ("endpoint", "arguments", "code", "words"),
    [
        ("https://d.example/ebms", ("8000999",), 3, "no address record"),
        ("https://d.example/ebms", ("8000201", "--from", "8000777"), 2, "not hosted here"),
        ("https://d.example/ebms", ("8000201", "--from", "8000102"), 6, "no agreement with 8000102"),
        (None, ("8000201",), 6, "no endpoint"),
    ],
)
def test_what_can_not_be_asked_is_named(
    endpoint: str | None, arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    told = run(tmp_path, endpoint, *arguments)
    assert told.exit_code == code
    assert words in told.output


def test_a_port_that_nobody_listens_on(tmp_path: Path) -> None:
    told = run(tmp_path, "https://127.0.0.1:9/ebms")
    assert told.exit_code == 1
    assert "nobody answers at the port" in told.output


def test_every_failure_of_the_transport_has_words() -> None:
    for error_id in CAUSES:
        text, act = in_words(Answer(heard=Heard.NOTHING, id="x", took=0.0, error_id=error_id), sync=True)
        assert text.nb
        assert text.en
        assert act is not None


@pytest.mark.parametrize(
    ("answer", "sync", "words"),
    [
        (pong, True, "answers, and answers an ebMS Ping; plain HTTP"),
        (lambda _: ("204 No Content", b""), False, "and took an ebMS Ping; the Pong comes by itself"),
        (lambda _: ("204 No Content", b""), True, "answers, but not an ebMS Ping"),
        (error, False, "answers, but not an ebMS Ping"),
    ],
)
def test_check_tells_a_pong_from_one_that_comes_by_itself(
    answer: Callable[[bytes], tuple[str, bytes]], sync: bool, words: str, tmp_path: Path
) -> None:
    asked: list[bytes] = []
    with serving(answering(answer, asked)) as endpoint:
        run(tmp_path, endpoint, sync=sync)
        asked.clear()
        (found,) = asyncio.run(partners_answer(load(tmp_path / "broker.toml")))
    assert words in found.text.en
    assert len(asked) == 1
