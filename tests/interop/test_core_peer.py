"""The ebms-core peer answers each case that the real engine was asked, as the real engine did, and in its bytes.

Party a is made by hand here; the peer is b, under the agreement that the real one ran under. Times are shorter.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from broker.lookup.clock import SystemClock
from broker.lookup.new_keys import new_keys
from broker.lookup.randomness import SystemRandomness
from tests.interop.capture import FOLDER, body_of
from tests.interop.peers import wire, xmldsig
from tests.interop.peers.base import Peer
from tests.interop.peers.core import EbmsCore
from tests.interop.peers.envelope import NEXT, TO_PARTY_MSH, Builder, Header, Seen, Style, eb, instant, look
from tests.interop.peers.ledger import Ledger
from tests.interop.peers.site import Plan, Site, Terms
from tests.interop.peers.wire import Message, Out, Related
from tests.interop.peers.xmldsig import RSA_SHA1, SHA1, SOAP, Key, Shape

A, B, SYNC, BEST, UNSIGNED = 8141253, 79768, 79769, 79770, 79771
PAYLOAD = '<?xml version="1.0" encoding="UTF-8"?>\n<Rapport xmlns="urn:example:interop">æøå</Rapport>\n'.encode()
STYLE = Style(soap="soap", id="{id}@handmade.invalid")
RELATED = Related(boundary="part-{id}", part_headers=(("Content-Type", "{type}"), ("Content-ID", "<{cid}>")))
_WITHIN = 15.0


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Key]:
    folder, found = tmp_path_factory.mktemp("keys"), {}
    for number, name in enumerate(("a", "b", "other")):
        made = new_keys(folder, organisation=f"90000000{number}", name=name, now=SystemClock().now(), bits=2048)
        found[name] = Key(key=made.signing_key, certificate=made.signing_certificate)
    return found


@dataclass
class Bench:
    """The peer, and what party a hears."""

    peer: Peer
    keys: dict[str, Key]
    heard: asyncio.Queue[tuple[Message, bytes]]
    statuses: list[tuple[int, bytes]] = field(default_factory=list)  # what a answers; 204 when they are used up

    async def say(self, out: Out, *, her: int = B, start: str = "POST /ebms HTTP/1.1", **headers: str) -> Message:
        """Send a request to the peer as party a, and return its answer."""
        port = self.peer.parties[her].port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        action = [] if "SOAPAction" in headers else [("SOAPAction", '"ebXML"')]
        told = [*out.headers, *action, *headers.items(), ("Content-Length", str(len(out.body)))]
        writer.write(wire.written(start, replace(out, headers=told)))
        answer = await asyncio.wait_for(wire.read_message(reader, answer=True), _WITHIN)
        writer.close()
        assert answer is not None
        return answer

    async def hears(self) -> Seen:
        """Return the next envelope that comes to party a."""
        message, _ = await asyncio.wait_for(self.heard.get(), _WITHIN)
        return look(wire.read_parts(message.headers["content-type"], message.body)[0].body)

    def state(self, id: str, her: int = B) -> str | int:
        known = self.peer._ins.get((her, id)) or self.peer._outs[her, id]
        return known.state

    async def reaches(self, id: str, state: int, her: int = B) -> None:
        written = self.peer.ledger.written
        while self.state(id, her) != state:
            written.clear()
            await asyncio.wait_for(written.wait(), _WITHIN)

    def draft(self, **how: Any) -> "Draft":
        return Draft(key=self.keys["a"], **how)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A message of party a, and how it is amiss."""

    key: Key
    id: str = field(default_factory=lambda: f"{SystemRandomness().id()}@handmade.invalid")
    cpa: str = f"interop:{B}"
    to: int = B
    role: str = "Behandler"
    action: str = "Foresporsel"
    service_type: str = "string"
    duplicate: bool = True
    ack: str | None = "true"
    actor: bool = True
    sync: bool = False
    ref: str = ""
    live: timedelta | None = timedelta(minutes=5)
    at: str = ""
    payloads: int = 1
    sign: bool = True
    covered: bool = True
    shape: Shape = field(default_factory=Shape)
    edit: Callable[[bytes], bytes] = lambda envelope: envelope  # after signing
    before: Callable[[etree._Element], None] = lambda root: None
    payload: bytes = PAYLOAD
    sent: bytes | None = None  # another payload than was signed
    named: bool = True  # in the Manifest there is nothing that is not there
    related: Related = RELATED
    style: Style = STYLE

    def out(self) -> Out:
        now = SystemClock().now()
        header = Header(
            sender=str(A), receiver=str(self.to), from_role=self.role, to_role="Register", cpa=self.cpa,
            conversation="samtale", service="Interop", service_type=self.service_type, action=self.action, id=self.id,
            timestamp=self.at or instant(self.style, now), ref=self.ref,
            ttl="" if self.live is None else instant(self.style, now + self.live), duplicate_elimination=self.duplicate,
        )  # fmt: skip
        builder = Builder(self.style, header)
        if self.ack is not None:
            wish = builder.entry(builder.header, "AckRequested", actor=TO_PARTY_MSH if self.actor else "")
            wish.set(eb("signed"), self.ack)
        if self.sync:
            builder.sync_reply()
        cids = [f"del-{number}@handmade.invalid" for number in range(self.payloads)]
        if cids or not self.named:
            builder.manifest(cids if self.named else [*cids, "mangler@handmade.invalid"])
        self.before(builder.root)
        envelope, parts = builder.bytes(), dict.fromkeys(cids, self.payload)
        if self.sign:
            envelope = xmldsig.sign(envelope, parts if self.covered else {}, self.key, self.shape)
        body = self.payload if self.sent is None else self.sent
        return wire.related(
            self.related, new_id="x", root_id=self.id, root=self.edit(envelope),
            parts=[(cid, "application/xml", body) for cid in cids],
        )  # fmt: skip


@asynccontextmanager
async def bench(folder: Path, keys: dict[str, Key], *, plan: Plan | None = None, **terms: Any) -> AsyncIterator[Bench]:
    heard: asyncio.Queue[tuple[Message, bytes]] = asyncio.Queue()
    statuses: list[tuple[int, bytes]] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = _Raw(reader)
        if (message := await wire.read_message(raw)) is not None:  # type: ignore[arg-type]
            status, body = statuses.pop(0) if statuses else (204, b"")
            length = [] if status == 204 else [("Content-Length", str(len(body)))]
            writer.write(wire.written(f"HTTP/1.1 {status} X", Out(headers=length, body=body)))
            await writer.drain()
            heard.put_nowait((message, raw.read_so_far))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, limit=2**20)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ebms"
    base = Terms(
        her=B, organisation=B, ours=A, our_organisation=A, cpa=f"interop:{B}", port=0, url=url, retries=3,
        interval=0.3, live=1.2, encrypted=False, service="Interop", actions=("Foresporsel", "Svar"), role="Register",
        plan=replace(plan or Plan(), receipts=False),
    )  # fmt: skip
    base = replace(base, **terms)
    parties = (
        base,
        replace(base, her=SYNC, cpa=f"interop:{SYNC}", sync=True),
        replace(base, her=BEST, cpa=f"interop:{BEST}", ack=False),
        replace(base, her=UNSIGNED, cpa=f"interop:{UNSIGNED}", signed=False),
    )
    site = Site(
        engine="ebms-core", folder=str(folder), signing=keys["b"], encryption=keys["b"], other=keys["other"],
        tls=keys["b"], our_signing=keys["a"].certificate, our_encryption=keys["a"].certificate, parties=parties,
    )  # fmt: skip
    peer, stopped = Peer(EbmsCore(), site, Ledger(folder)), asyncio.Event()
    async with server, asyncio.TaskGroup() as tasks:
        tasks.create_task(peer.run(stopped))
        try:
            await asyncio.wait_for(peer.ready.wait(), _WITHIN)
            for her, party in list(peer.parties.items()):
                port = peer._servers[her].sockets[0].getsockname()[1]
                peer.parties[her] = replace(party, port=port)
            yield Bench(peer=peer, keys=keys, heard=heard, statuses=statuses)
        finally:
            stopped.set()


class _Raw:
    """A stream that keeps what was read of it."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader, self.read_so_far = reader, b""

    async def _kept(self, reading: Awaitable[bytes]) -> bytes:
        data = await reading
        self.read_so_far += data
        return data

    async def readuntil(self, end: bytes) -> bytes:
        return await self._kept(self._reader.readuntil(end))

    async def readexactly(self, count: int) -> bytes:
        return await self._kept(self._reader.readexactly(count))

    async def readline(self) -> bytes:
        return await self._kept(self._reader.readline())

    async def read(self) -> bytes:
        return await self._kept(self._reader.read())


def signal(keys: dict[str, Key], action: str, *, ref: str, her: int = B, **how: Any) -> Out:
    """Return a signal of party a: an Acknowledgment, a MessageError, a Ping or a StatusRequest."""
    now = instant(STYLE, SystemClock().now())
    header = Header(
        sender=str(A), receiver=str(her), cpa=f"interop:{her}", conversation="samtale",
        service="urn:oasis:names:tc:ebxml-msg:service", service_type=how.get("service_type", ""), action=action,
        id=f"{SystemRandomness().id()}@handmade.invalid", timestamp=now,
        ref=ref if how.get("ref_in_data", True) else "",
    )  # fmt: skip
    builder = Builder(STYLE, header)
    if action == "Acknowledgment":
        copied = how.get("copied", [])
        builder.acknowledgment(at=now, ref=ref, sender=str(A), copied=copied, actor=how.get("actor", True))
    if action == "StatusRequest":
        builder.status_request(ref)
    if action == "MessageError":
        element = builder.entry(builder.header, "ErrorList", highestSeverity="Error")
        error = etree.SubElement(element, eb("Error"))
        error.set(eb("errorCode"), "Unknown")
        error.set(eb("severity"), "Error")
    if how.get("description"):
        data = next(builder.root.iter(eb("MessageData")))
        description = etree.Element(eb("Description"))
        description.set("{http://www.w3.org/XML/1998/namespace}lang", "NO")
        data.addnext(description)
    envelope = builder.bytes()
    if how.get("sign", action == "Acknowledgment"):
        envelope = xmldsig.sign(envelope, {}, keys["a"], Shape())
    if how.get("multipart"):
        return wire.related(RELATED, new_id="x", root_id="rot@handmade.invalid", root=envelope, parts=[])
    return Out(headers=[("Content-Type", "text/xml; charset=UTF-8")], body=envelope)


def shown(seen: Seen) -> tuple[str, str, str | None]:
    """Return code, location and text of the one error."""
    error = next(seen.root.iter(eb("Error")))
    return error.get(eb("errorCode")) or "", error.get(eb("location")) or "", error.findtext(eb("Description"))


# --- messages that it refuses by a MessageError: state 5, 204 before ---

_HEADER = "//Header/MessageHeader"
_SIGNED = "//Header/Signature"
_NOT_FOUND = "Value not found."


def _add_order(root: etree._Element) -> None:
    element = etree.SubElement(root[0], eb("MessageOrder"))
    element.set(eb("version"), "2.0")
    element.set(f"{{{SOAP}}}mustUnderstand", "1")
    etree.SubElement(element, eb("SequenceNumber")).text = "1"


def _changed(envelope: bytes) -> bytes:
    assert envelope.count(b">samtale<") == 1
    return envelope.replace(b">samtale<", b">annen<")


REFUSED: dict[str, tuple[dict[str, Any], tuple[str, str, str | None]]] = {
    "05 payload changed": ({"sent": PAYLOAD + b" "}, ("SecurityFailure", _SIGNED, "Invalid Signature!")),
    "05 header changed": ({"edit": _changed}, ("SecurityFailure", _SIGNED, "Invalid Signature!")),
    "05 other key": ({"key": "other"}, ("SecurityFailure", _SIGNED, "Invalid Signature!")),
    "05d unsigned": ({"sign": False}, ("SecurityFailure", _SIGNED, "Signature not found.")),
    "06 rsa-sha1": (
        {"shape": Shape(method=RSA_SHA1, digest=SHA1)},
        (
            "SecurityFailure",
            "//Header/Signature/SignedInfo/Reference[@URI='']/DigestMethod/@Algorithm",
            "Invalid DigestMethod.",
        ),
    ),
    "13 MessageOrder": (
        {"before": _add_order},
        ("NotSupported", "//Header/MessageOrder", "MessageOrder not supported."),
    ),
    "14 no DuplicateElimination": (
        {"duplicate": False},
        ("Inconsistent", f"{_HEADER}/DuplicateElimination", "Wrong value."),
    ),
    "14 no AckRequested": ({"ack": None}, ("Inconsistent", "//Header/AckRequested", "Wrong value.")),
    "14 signed=false": ({"ack": "false"}, ("Inconsistent", "//Header/AckRequested/@signed", "Wrong value.")),
    "14 SyncReply": ({"sync": True}, ("Inconsistent", "//Header/SyncReply", "Wrong value.")),
    "15 TimeToLive past": (
        {"live": timedelta(seconds=-5)},
        ("TimeToLiveExpired", f"{_HEADER}/MessageData/TimeToLive", None),
    ),
    "17f absent part": ({"named": False}, ("MimeProblem", "cid:mangler@handmade.invalid", "MIME part not found.")),
    "18b no Role": ({"role": ""}, ("Inconsistent", f"{_HEADER}/From/Role", "Invalid value.")),
    "18c action": ({"action": "Annet"}, ("ValueNotRecognized", f"{_HEADER}/Action", _NOT_FOUND)),
    "18e reference": (
        {"ref": "ukjent@handmade.invalid"},
        ("ValueNotRecognized", f"{_HEADER}/MessageData/RefToMessageId", _NOT_FOUND),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_it_refuses(name: str, tmp_path: Path, keys: dict[str, Key]) -> None:
    how, told = REFUSED[name]
    how = {**how, "key": keys[how["key"]]} if "key" in how else how
    async with bench(tmp_path, keys) as at:
        draft = replace(at.draft(), **how)
        assert (await at.say(draft.out())).status == 204
        error = await at.hears()
        assert error.kind == "MessageError"
        assert not error.signed
        assert error.ref == draft.id
        assert shown(error) == told
        assert at.state(draft.id) == 5


async def test_it_refuses_what_is_older_than_the_certificate(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        await at.say(at.draft(at="2020-01-01T00:00:00Z").out())
        code, location, text = shown(await at.hears())
        assert (code, location) == ("SecurityFailure", _SIGNED)
        assert str(text).startswith("java.security.cert.CertificateNotYetValidException: NotBefore: ")


# --- messages that it takes: 204, then a signed Acknowledgment with the references of the message ---

_BINARY = replace(RELATED, part_headers=(*RELATED.part_headers, ("Content-Transfer-Encoding", "binary")))
_BASE64 = replace(RELATED, part_headers=(*RELATED.part_headers, ("Content-Transfer-Encoding", "base64")))
_8BIT = replace(RELATED, part_headers=(*RELATED.part_headers, ("Content-Transfer-Encoding", "8bit")))
_NO_START = replace(RELATED, content_type='multipart/related; boundary="{boundary}"; type="text/xml"')

TAKEN: dict[str, tuple[dict[str, Any], int]] = {
    "02 signed, with payload": ({}, 2),
    "05e payload not covered": ({"covered": False}, 1),
    "06b no XPath": ({"shape": Shape(xpath=False)}, 2),
    "14d no actor": ({"actor": False}, 2),
    "15 no TimeToLive": ({"live": None}, 2),
    "15 a year ahead": ({"at": "2027-11-22T00:00:00Z"}, 2),
    "15 with an offset": ({"at": "2027-11-22T00:00:00+01:00"}, 2),
    "15 seven decimals": ({"at": "2027-11-22T00:00:00.1234567Z"}, 2),
    "15 no zone": ({"at": "2027-11-22T00:00:00"}, 2),
    "17 base64": ({"related": _BASE64}, 2),
    "17 8bit": ({"related": _8BIT}, 2),
    "17 binary": ({"related": _BINARY}, 2),
    "17 two payloads": ({"payloads": 2}, 3),
    "17 no payload": ({"payloads": 0}, 1),
    "17 no start": ({"related": _NO_START}, 2),
    "18 Description": ({"style": replace(STYLE, description='{"MSH-system":"X"}')}, 2),
    "18 bare MessageId": ({"id": "01a202cd-bbf9-7000-be03-94a002d4a0b0"}, 2),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_it_takes(name: str, tmp_path: Path, keys: dict[str, Key]) -> None:
    how, references = TAKEN[name]
    async with bench(tmp_path, keys) as at:
        draft = replace(at.draft(), **how)
        assert (await at.say(draft.out())).status == 204
        acknowledgment = await at.hears()
        assert acknowledgment.kind == "Acknowledgment"
        assert acknowledgment.acknowledged == acknowledgment.ref == draft.id
        assert acknowledgment.actor == TO_PARTY_MSH
        assert len(acknowledgment.acknowledged_references) == references
        assert xmldsig.verify(acknowledgment.root, {}, keys["b"].certificate)
        await at.reaches(draft.id, 3)


async def test_under_a_sync_agreement_the_acknowledgment_is_in_the_answer(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        draft = at.draft(sync=True, cpa=f"interop:{SYNC}", to=SYNC)
        answer = await at.say(draft.out(), her=SYNC)
        assert answer.status == 200
        assert look(answer.body).acknowledged == draft.id
        again = await at.say(draft.out(), her=SYNC)
        assert again.body == answer.body


# --- duplicates ---


async def test_03_the_same_bytes_get_the_identical_acknowledgment(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        out = at.draft().out()
        await at.say(out)
        first, _ = await asyncio.wait_for(at.heard.get(), _WITHIN)
        assert (await at.say(out)).status == 204
        second, _ = await asyncio.wait_for(at.heard.get(), _WITHIN)
        assert first.body == second.body


async def test_03b_a_copy_while_the_acknowledgment_waits_is_answered_with_500(
    tmp_path: Path, keys: dict[str, Key]
) -> None:
    async with bench(tmp_path, keys, plan=Plan(ack_hours=0.6)) as at:
        out = at.draft().out()
        assert (await at.say(out)).status == 204
        answer = await at.say(out)
        assert (answer.status, answer.body) == (500, b"")
        await at.hears()


@pytest.mark.parametrize("how", [{"payload": b"<annet/>"}, {"edit": _changed}], ids=["03c content", "03d signature"])
async def test_03cd_the_same_id_with_anything_else_is_taken_for_a_duplicate(
    how: dict[str, Any], tmp_path: Path, keys: dict[str, Key]
) -> None:
    async with bench(tmp_path, keys) as at:
        draft = at.draft()
        await at.say(draft.out())
        first, _ = await asyncio.wait_for(at.heard.get(), _WITHIN)
        assert (await at.say(replace(draft, **how).out())).status == 204
        second, _ = await asyncio.wait_for(at.heard.get(), _WITHIN)
        assert first.body == second.body


# --- what gets 500 ---


async def test_04_another_agreement(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        draft = at.draft()
        await at.say(draft.out())
        await at.hears()
        other = await at.say(replace(draft, cpa=f"interop:{SYNC}").out())
        assert (other.status, other.body) == (500, b"")
        unknown = await at.say(replace(draft, cpa="interop:none").out())
        assert unknown.status == 500
        _, body = body_of("fault-unknown-cpa.response")
        assert unknown.body == body


def _second_header(root: etree._Element) -> None:
    carrier = etree.SubElement(root[0], eb("SyncReply"))
    carrier.set(f"{{{SOAP}}}actor", NEXT)
    etree.SubElement(carrier, eb("MessageHeader"))


def _reordered(root: etree._Element) -> None:
    header = next(root.iter(eb("MessageHeader")))
    header.append(header[0])


EMPTY_500: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "05f second MessageHeader": ({"before": _second_header}, {}),
    "17c root not first": ({"edit": lambda envelope: b"not the root"}, {}),
    "19 GET": ({}, {"start": "GET /ebms HTTP/1.1"}),
    "19 not XML": ({"edit": lambda envelope: b"ingen xml"}, {}),
    "19 DOCTYPE": ({"edit": lambda envelope: b"<!DOCTYPE soap:Envelope>" + envelope}, {}),
    "19 other order": ({"before": _reordered}, {}),
}


@pytest.mark.parametrize("name", EMPTY_500)
async def test_it_answers_500_and_nothing(name: str, tmp_path: Path, keys: dict[str, Key]) -> None:
    how, request = EMPTY_500[name]
    request_: dict[str, Any] = dict(request)
    async with bench(tmp_path, keys) as at:
        answer = await at.say(replace(at.draft(), **how).out(), **request_)
        assert (answer.status, answer.body) == (500, b"")


async def test_19_soapaction_without_quotes_and_18f_a_typed_service(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        unquoted = await at.say(at.draft().out(), SOAPAction="ebXML")
        assert (unquoted.status, unquoted.body) == (500, body_of("fault-soapaction.response")[1])
        typed = await at.say(signal(keys, "Ping", ref="", service_type="string"))
        assert (typed.status, typed.body) == (500, body_of("fault-no-channel.response")[1])


# --- Ping, StatusRequest ---


async def test_01_ping_and_20_status(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        assert (await at.say(signal(keys, "Ping", ref=""))).status == 204
        pong = await at.hears()
        assert (pong.kind, pong.signed) == ("Pong", False)
        answer = await at.say(signal(keys, "Ping", ref="", her=SYNC), her=SYNC)
        assert (answer.status, look(answer.body).kind) == (200, "Pong")
        draft = at.draft()
        await at.say(draft.out())
        await at.hears()
        for ref, status in ((draft.id, "Received"), ("ukjent@handmade.invalid", "NotRecognized")):
            await at.say(signal(keys, "StatusRequest", ref=ref))
            response = await at.hears()
            assert (response.kind, response.status, response.signed) == ("StatusResponse", status, False)


# --- Acknowledgments to what it sent ---

_GOOD = {"multipart": {"multipart": True}, "plain": {}, "Description": {"description": True}}
_IGNORED: dict[str, dict[str, Any]] = {
    "07c no actor": {"actor": False},
    "08 unsigned": {"sign": False},
    "08 no references": {"copied": []},
}


@asynccontextmanager
async def sent(
    tmp_path: Path, keys: dict[str, Key], her: int = B, **terms: Any
) -> AsyncIterator[tuple[Bench, str, Seen]]:
    async with bench(tmp_path, keys, **terms) as at:
        id = await at.peer.send(at.peer.parties[her], PAYLOAD, action="Svar")
        yield at, id, await at.hears()


def _copied(seen: Seen) -> list[xmldsig.Reference]:
    signature = xmldsig.signature_of(seen.root)
    assert signature is not None
    return xmldsig.references(signature[0])


@pytest.mark.parametrize("name", _GOOD)
async def test_07_a_good_acknowledgment_delivers_and_again_changes_nothing(
    name: str, tmp_path: Path, keys: dict[str, Key]
) -> None:
    async with sent(tmp_path, keys) as (at, id, seen):
        for _ in range(2):
            good = signal(keys, "Acknowledgment", ref=id, copied=_copied(seen), **_GOOD[name])
            assert (await at.say(good)).status == 204
            assert at.state(id) == 12


@pytest.mark.parametrize("name", _IGNORED)
async def test_0708_a_lacking_acknowledgment_is_swallowed_and_it_sends_on(
    name: str, tmp_path: Path, keys: dict[str, Key]
) -> None:
    async with sent(tmp_path, keys) as (at, id, seen):
        lacking = signal(keys, "Acknowledgment", ref=id, **{"copied": _copied(seen), **_IGNORED[name]})
        assert (await at.say(lacking)).status == 204
        assert at.state(id) == 10
        assert (await at.hears()).id == id
        await at.reaches(id, 13)


async def test_0709_what_it_answers_with_500(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with sent(tmp_path, keys) as (at, id, seen):
        unknown = await at.say(signal(keys, "Acknowledgment", ref="ukjent", copied=_copied(seen)))
        his1037 = await at.say(signal(keys, "Acknowledgment", ref=id, copied=_copied(seen), ref_in_data=False))
        assert [(one.status, one.body) for one in (unknown, his1037)] == [(500, b""), (500, b"")]
        assert at.state(id) == 10
        await at.reaches(id, 13)


async def test_10_the_same_bytes_until_it_is_taken(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys, live=20.0) as at:
        at.statuses[:] = [(503, b""), (500, b""), (408, b"")]
        id = await at.peer.send(at.peer.parties[B], PAYLOAD, action="Svar")
        bodies = [(await asyncio.wait_for(at.heard.get(), _WITHIN))[0].body for _ in range(4)]
        assert len(set(bodies)) == 1
        assert at.state(id) == 10


async def test_10bc_four_copies_then_expired_and_a_late_acknowledgment_changes_nothing(
    tmp_path: Path, keys: dict[str, Key]
) -> None:
    async with sent(tmp_path, keys) as (at, id, seen):
        for _ in range(3):
            assert (await at.hears()).id == id
        await at.reaches(id, 13)
        late = signal(keys, "Acknowledgment", ref=id, copied=_copied(seen))
        assert (await at.say(late)).status == 204
        assert at.state(id) == 13
        assert at.heard.empty()


async def test_11_a_down_throughout(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys, url="http://127.0.0.1:1/ebms") as at:
        id = await at.peer.send(at.peer.parties[B], PAYLOAD, action="Svar")
        await at.reaches(id, 13)
        assert at.peer._outs[B, id].tries == 4


@pytest.mark.parametrize("status", [400, 404, 501, 301])
async def test_12_a_status_that_means_never(status: int, tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        at.statuses[:] = [(status, b"")]
        id = await at.peer.send(at.peer.parties[B], PAYLOAD, action="Svar")
        await at.reaches(id, 11)
        assert at.peer._outs[B, id].tries == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_12_a_status_that_means_again(status: int, tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        at.statuses[:] = [(status, b"")]
        id = await at.peer.send(at.peer.parties[B], PAYLOAD, action="Svar")
        assert [(await at.hears()).id for _ in range(2)] == [id, id]


@pytest.mark.parametrize("status", [200, 202])
async def test_12bc_an_empty_answer_is_waited_on(status: int, tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        at.statuses[:] = [(status, b"")]
        id = await at.peer.send(at.peer.parties[B], PAYLOAD, action="Svar")
        seen = await at.hears()
        assert at.state(id) == 10
        await at.say(signal(keys, "Acknowledgment", ref=id, copied=_copied(seen)))
        assert at.state(id) == 12


async def test_12d_an_acknowledgment_in_the_answer_is_not_taken_where_async_was_agreed(
    tmp_path: Path, keys: dict[str, Key]
) -> None:
    async with bench(tmp_path, keys) as at:
        at.statuses[:] = [(200, signal(keys, "Acknowledgment", ref="x").body)]
        id = await at.peer.send(at.peer.parties[B], PAYLOAD, action="Svar")
        assert [(await at.hears()).id for _ in range(2)] == [id, id]


async def test_12f_a_message_error_ends_it(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with sent(tmp_path, keys) as (at, id, _):
        assert (await at.say(signal(keys, "MessageError", ref=id))).status == 204
        assert at.state(id) == 11


async def test_16_killed_between_204_and_acknowledgment_it_acknowledges_after_the_restart(
    tmp_path: Path, keys: dict[str, Key]
) -> None:
    async with bench(tmp_path, keys, plan=Plan(ack_hours=1000)) as at:
        draft = at.draft()
        assert (await at.say(draft.out())).status == 204
        await at.reaches(draft.id, 2)
    async with bench(tmp_path, keys) as at:
        assert (await at.hears()).acknowledged == draft.id


# --- the shape of its bytes ---


_DIFFERS = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME"),
    (r"127\.0\.0\.1:\d+", "HOST"),
    (r"Content-Length: \d+", "Content-Length: N"),
    (r"(?:[A-Za-z0-9+/]{76}&#13;\n)+[A-Za-z0-9+/]{1,76}={0,2}", "BASE64 with returns"),
    (r"(DigestValue|CPAId|ConversationId|Role|eb:Action)>[^<]+", r"\1>VALUE"),
    (r'(PartyId eb:type="HER">)\d+', r"\1HER"),
    (r"UUID@[a-z.]+invalid|ukjent@[a-z.]+invalid", "UUID@127.0.0.1"),
    (r"cid:[^\"]+", "cid:ID"),
    (r"^[0-9a-f]+$", "SIZE"),
)


def _shape(raw: bytes) -> list[str]:
    """Return a request line by line, with all that differs from time to time left out."""
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n")
    for pattern, by in _DIFFERS:
        text = re.sub(pattern, by, text, flags=re.MULTILINE)
    return text.split("\n")


def _like(raw: bytes, capture: str, *, until: str | None = None) -> None:
    ours, theirs = (_shape(one) for one in (raw, (FOLDER / capture).read_bytes()))
    if until is not None:
        ours, theirs = (lines[: next(i for i, line in enumerate(lines) if until in line)] for lines in (ours, theirs))
    assert ours == theirs


async def test_a_message_has_the_shape_of_the_capture(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys, role="Behandler") as at:
        await at.peer.send(at.peer.parties[B], PAYLOAD, action="Svar")
        message, raw = await asyncio.wait_for(at.heard.get(), _WITHIN)
        _like(raw, "message-signed.request", until="<Rapport")
        assert raw.endswith(b"\r\n2e\r\n" + _last(raw) + b"\r\n\r\n0\r\n\r\n")
        assert b"&#13;\n" in message.body
        await at.peer.send(at.peer.parties[UNSIGNED], PAYLOAD, action="Svar")
        unsigned = await asyncio.wait_for(at.heard.get(), _WITHIN)
        _like(unsigned[1], "message-unsigned.request", until="<Rapport")


def _last(raw: bytes) -> bytes:
    found = re.search(rb"\r\n(---=[0-9a-f-]{36}=-)--\r\n", raw)
    assert found is not None
    return found[1] + b"--"


async def test_signals_have_the_shape_of_the_captures(tmp_path: Path, keys: dict[str, Key]) -> None:
    async with bench(tmp_path, keys) as at:
        core = replace(at.draft(), style=EbmsCore.style, shape=EbmsCore.shape, related=EbmsCore.related)
        out = core.out()
        await at.say(replace(out, body=b"".join(out.chunks or ()), chunks=None))
        _like((await asyncio.wait_for(at.heard.get(), _WITHIN))[1], "acknowledgment-signed.request")
        await at.say(signal(keys, "Ping", ref=""))
        _like((await asyncio.wait_for(at.heard.get(), _WITHIN))[1], "pong.request")
        await at.say(signal(keys, "StatusRequest", ref="ukjent@handmade.invalid"))
        _like((await asyncio.wait_for(at.heard.get(), _WITHIN))[1], "statusresponse-notrecognized.request")
        await at.say(replace(at.draft(), sent=PAYLOAD + b" ").out())
        _like((await asyncio.wait_for(at.heard.get(), _WITHIN))[1], "messageerror-securityfailure.request")
        await at.say(replace(at.draft(), live=timedelta(seconds=-5)).out())
        _like((await asyncio.wait_for(at.heard.get(), _WITHIN))[1], "messageerror-timetoliveexpired.request")


def test_the_cases_of_the_table_are_asked() -> None:
    assert len(REFUSED) + len(TAKEN) + len(EMPTY_500) + len(_IGNORED) + len(_GOOD) >= 40
