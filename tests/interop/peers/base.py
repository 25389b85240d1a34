"""What all scripted peers share: an HTTP server a party, a client, a ledger, and the states of messages both ways.

An engine (core.py, nav.py ...) says by data and a few methods what differs. The peer never asks the broker's code
anything about signatures, ciphertexts or envelopes.
"""

import asyncio
import gzip
import hashlib
import os
import ssl
import traceback
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from lxml import etree

from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness
from tests.interop.peers import cms, documents, wire, xmldsig
from tests.interop.peers.envelope import EB, MSH, TO_PARTY_MSH, Builder, Error, Header, Seen, Style, instant, look, past
from tests.interop.peers.ledger import Entry, Ledger, tell
from tests.interop.peers.site import Site, Terms
from tests.interop.peers.wire import Broken, Message, Out, Part, Related
from tests.interop.peers.xmldsig import SOAP, Bad, Key, Shape

Answer = tuple[int, Out]
_REASONS = {200: "OK", 202: "Accepted", 204: "No Content", 500: "Server Error"}
SECOND = b"<Vedlegg>synthetic</Vedlegg>"  # what rides along where two payloads are wanted
# XML Encryption, as ebms-core writes it for a confidential agreement: never opened by us, so there is nothing in it.
_XML_ENCRYPTED = (
    b'<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" MimeType="application/xml">'
    b'<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/>'
    b'<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey>'
    b'<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-1_5"/>'
    b"<ds:KeyInfo><ds:KeyName>CN=ours</ds:KeyName></ds:KeyInfo>"
    b"<xenc:CipherData><xenc:CipherValue>AAAA</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>"
    b"<xenc:CipherData><xenc:CipherValue>AAAA</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
)
_NOTHING: Answer = (204, Out())


class Http(Exception):
    """The engine answers with a status of HTTP and perhaps a page, and keeps nothing."""

    def __init__(self, status: int, body: bytes = b"", content_type: str = "text/xml") -> None:
        super().__init__(status)
        self.status, self.body, self.content_type = status, body, content_type


class Cut(Exception):
    """The connection ends without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The engine's own names, or numbers, of its states."""

    received: str | int
    processed: str | int
    refused: str | int
    created: str | int
    failed: str | int
    delivered: str | int
    expired: str | int


class Engine:
    """What differs between engines. The defaults are those of a plain, correct one."""

    name = ""
    states: States
    style = Style()
    related = Related()
    shape = Shape()
    part_type = "application/pkcs7-mime; smime-type=enveloped-data"
    cipher = "aes-256-cbc"
    signs = frozenset({"Acknowledgment", "MessageError"})  # which of its signals
    same_answer = True  # a duplicate gets the recorded answer; else a new one
    late_errors = False  # MessageErrors come hours later too
    error_stops = True  # a MessageError ends its sending
    wants_actor = False
    wants_ref = False  # MessageData/RefToMessageId in an Acknowledgment
    wants_copied_references = True
    bare_content_ids = False  # of payloads
    roles_on_signals = False

    def headers(self, party: Terms, out: Out, *, service: str, action: str) -> Out:
        """Return a request with all its headers."""
        length = [] if out.chunks is not None else [("Content-Length", str(len(out.body)))]
        chunked = [("Transfer-Encoding", "chunked")] if out.chunks is not None else []
        host = party.url.split("/")[2]
        told = [("Host", host), *out.headers, ("SOAPAction", '"ebXML"'), *length, *chunked, ("Connection", "close")]
        return replace(out, headers=told)

    def answer_headers(self, status: int, out: Out) -> Out:
        """Return an answer with all its headers."""
        kind = list(out.headers) or ([("Content-Type", "text/xml; charset=UTF-8")] if out.body else [])
        action = [("SOAPAction", '"ebXML"')] if out.body and status == 200 else []
        length = [] if status == 204 else [("Content-Length", str(len(out.body)))]
        return replace(out, headers=[*kind, *action, *length])

    def demand(self, message: Message, parts: Sequence[Part]) -> None:
        """Refuse a request for how it is wrapped. Raises Http."""

    def malformed(self, why: str) -> Http:
        """Return the answer to what can't be read."""
        return Http(500)

    def unknown_agreement(self, party: Terms, seen: Seen) -> Exception:
        """Return what an agreement that it has not is answered with: Http or Error."""
        return Error(code="SecurityFailure", location="//Header/MessageHeader/CPAId")

    def check_signal(self, party: Terms, seen: Seen) -> None:
        """Refuse a signal for its header. Raises Http."""

    def check(self, peer: "Peer", party: Terms, seen: Seen, parts: Sequence[Part]) -> None:
        """Refuse a message for its header. Raises Error or Http."""
        if seen.ttl and past(seen.ttl, peer.now()):
            raise Error(code="TimeToLiveExpired", location="//Header/MessageHeader/MessageData/TimeToLive")
        there = {part.content_id for part in parts[1:]}
        if missing := [cid for cid in seen.manifest if cid not in there]:
            raise Error(code="MimeProblem", location=f"cid:{missing[0]}", text="MIME part not found.")

    def check_signature(self, party: Terms, seen: Seen) -> None:
        """Refuse a signature for its form. Raises Error."""

    def attempts(self, party: Terms) -> int:
        """Return how many copies it sends."""
        return party.retries + 1

    def schema(self, seen: Seen) -> None:
        """Refuse what its schema does not allow. Raises Http."""

    def before_its_certificate(self, when: str) -> Error | None:
        """Return the error for a message older than the certificate that it is signed with; None: taken."""
        return None

    def invalid(self, party: Terms, seen: Seen) -> Error:
        """Return the error for a signature that does not hold, or is not there."""
        return Error(code="SecurityFailure", location="//Header/Signature")

    def queued_again(self) -> Answer:
        """Answer a duplicate whose first answer is still waiting to be sent."""
        return _NOTHING

    def other_agreement(self) -> Answer | None:
        """Answer a MessageId that is known from another agreement; None: it is another message."""
        return None

    def unknown_reference(self) -> Answer:
        """Answer a signal about a message that it never sent."""
        return _NOTHING

    def again(self, status: int) -> bool:
        """Say whether a status of HTTP that is no success is worth another try."""
        return True

    def taken(self, party: Terms, status: int, body: bytes) -> bool | None:
        """Say what an answer without a signal means where none is awaited, or comes later: True: done."""
        return None


@dataclass
class Received:
    """A message that came."""

    id: str
    cpa: str
    state: str | int
    answer: str = ""  # the file that the answer lies in
    answered: bool = False
    file: str = ""
    opened: bool = False


@dataclass
class Sent:
    """A message that goes."""

    id: str
    state: str | int
    file: str
    digests: set[tuple[str, str]]
    expires: datetime
    action: str
    tries: int = 0
    change: asyncio.Event = field(default_factory=asyncio.Event)


class Peer:
    """One process: all parties of an engine."""

    def __init__(self, engine: Engine, site: Site, ledger: Ledger) -> None:
        self.engine, self.site, self.ledger = engine, site, ledger
        self.parties = {party.her: party for party in site.parties}
        self.agreements = {party.cpa for party in site.parties}
        self._ins: dict[tuple[int, str], Received] = {}
        self._outs: dict[tuple[int, str], Sent] = {}
        self._left = {party.her: list(party.plan.answers) for party in site.parties}
        self._lost = {party.her: party.plan.lose_acks for party in site.parties}
        self._go = {party.her: asyncio.Event() for party in site.parties}
        self._servers: dict[int, asyncio.Server] = {}
        self.ready = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._lax = os.environ.get("SABOTAGE") == "lax-peer"

    def now(self) -> datetime:
        return SystemClock().now()

    def new_id(self) -> str:
        return SystemRandomness().id()

    def knows(self, party: Terms, id: str) -> bool:
        """Say whether a message is in its database."""
        return (party.her, id) in self._ins or (party.her, id) in self._outs

    # --- life ---

    async def run(self, stopped: asyncio.Event) -> None:
        """Remember, listen, go on with what was under way; end when told to."""
        for entry in self.ledger.entries():
            self._remember(entry)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for party in self.parties.values():
                    if not party.plan.closed:
                        await self.open(party.her)
                self._go_on()
                self.ready.set()
                tell({"what": "ready"})
                await stopped.wait()
                for task in self._running:
                    task.cancel()
        finally:
            for her in list(self._servers):
                self.close(her)
            self.ledger.close()

    def _go_on(self) -> None:
        """Do what an earlier life has left undone."""
        for (her, _), received in list(self._ins.items()):
            if not received.answered and received.answer and not self.parties[her].plan.mute:
                self.spawn(self._send_answer(self.parties[her], received))
            elif not received.opened and received.state != self.engine.states.refused:
                self.spawn(self._process(self.parties[her], received))
        for (her, _), sent in list(self._outs.items()):
            if sent.state == self.engine.states.created:
                self.spawn(self._deliver(self.parties[her], sent))

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Do a job beside all others."""
        assert self._tasks is not None
        task = self._tasks.create_task(self._job(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _job(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except Exception as why:  # a script that breaks is to be seen as itself, and not as rows that hang
            traceback.print_exc()
            tell({"what": "broke", "why": f"{type(why).__name__}: {why}"})

    async def open(self, her: int) -> None:
        """Listen for a party."""
        party, tls = self.parties[her], None
        if party.tls:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(self.site.tls.certificate, self.site.tls.key)
        if her not in self._servers:
            self._servers[her] = await asyncio.start_server(
                lambda reader, writer: self._serve(party, reader, writer), "127.0.0.1", party.port, limit=2**20, ssl=tls
            )

    def close(self, her: int) -> None:
        """Listen no more: connections are refused."""
        self._servers.pop(her).close()

    def go(self, her: int) -> None:
        """Let what is held be answered."""
        self._go[her].set()

    def _remember(self, entry: Entry) -> None:
        her, id = entry.get("party", 0), entry.get("id", "")
        match entry["what"]:
            case "in":
                self._ins[her, id] = Received(
                    id=id, cpa=entry["cpa"], state=entry["state"], answer=entry["answer"], file=entry["file"]
                )
            case "answered":
                self._ins[her, id].answered = True
            case "processed":
                self._ins[her, id].opened, self._ins[her, id].state = True, entry["state"]
            case "copy":
                if self._left[her]:
                    del self._left[her][0]
            case "out":
                self._outs[her, id] = Sent(
                    id=id,
                    state=entry["state"],
                    file=entry["file"],
                    digests={(uri, value) for uri, value in entry["digests"]},
                    expires=datetime.fromisoformat(entry["expires"]),
                    action=entry["action"],
                )
            case "try":
                self._outs[her, id].tries = entry["n"]
            case "state":
                self._outs[her, id].state = entry["state"]

    # --- the server ---

    async def _serve(self, party: Terms, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (message := await wire.read_message(reader)) is not None:
                try:
                    status, out = await self.answer(party, message)
                except Http as fault:
                    kind = [("Content-Type", fault.content_type)] if fault.body else []
                    status, out = fault.status, Out(body=fault.body, headers=kind)
                start = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}"
                writer.write(wire.written(start, self.engine.answer_headers(status, out)))
                await writer.drain()
        except (Broken, Cut, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()

    async def answer(self, party: Terms, message: Message) -> Answer:
        """Answer one request. Raises Http or Cut."""
        try:
            parts = wire.read_parts(message.headers.get("content-type", ""), message.body)
            self.engine.demand(message, parts)
            seen = look(parts[0].body)
        except Broken as why:
            raise self.engine.malformed(str(why)) from None
        if seen.kind in {"Acknowledgment", "MessageError", "Pong", "StatusResponse"}:
            self._require_agreement(party, seen)
            self.engine.check_signal(party, seen)
            await self._held(party, seen)
            return self._signal(party, seen, parts[0].body)
        if seen.kind in {"Ping", "StatusRequest"}:
            self._require_agreement(party, seen)
            self.engine.check_signal(party, seen)
            return self._question(party, seen)
        return await self._message(party, seen, parts, message.body)

    def _require_agreement(self, party: Terms, seen: Seen) -> None:
        if seen.cpa != party.cpa:
            fault = self.engine.unknown_agreement(party, seen)
            raise fault if isinstance(fault, Http) else Http(500)

    # --- a message comes ---

    async def _message(self, party: Terms, seen: Seen, parts: Sequence[Part], body: bytes) -> Answer:
        self.engine.schema(seen)
        digest = hashlib.sha256(b"".join(part.body for part in parts)).hexdigest()
        wanted = self._left[party.her].pop(0) if self._left[party.her] else None
        self.ledger.write("copy", party=party.her, id=seen.id, sha256=digest, answer=wanted)
        if wanted:
            raise Http(wanted)
        if seen.cpa not in self.agreements and isinstance(fault := self.engine.unknown_agreement(party, seen), Http):
            raise fault
        received = self._ins.get((party.her, seen.id))
        if received is None:
            received = self._judge(party, seen, parts)
        elif received.cpa != seen.cpa:
            if (told := self.engine.other_agreement()) is not None:
                return told
        else:
            return self._again(party, seen, received, cut=wanted == 0)
        if party.plan.hold == "messages":
            await self._go[party.her].wait()
        if wanted == 0:
            raise Cut
        return self._told(party, seen, received)

    def _judge(self, party: Terms, seen: Seen, parts: Sequence[Part]) -> Received:
        """Look at a message that is new, and write down what it is and what it will be answered."""
        engine = self.engine
        try:
            if not self._lax:
                if seen.cpa != party.cpa:
                    raise engine.unknown_agreement(party, seen)
                engine.check(self, party, seen, parts)
            copied = [] if not party.signed else self._verified(party, seen, parts)
            state = engine.states.received
            answer = self.acknowledgment(party, seen, copied) if seen.ack_requested is not None else b""
            why = ""
        except Error as error:
            state, answer, why = engine.states.refused, self.message_error(party, seen, error), error.code
        number = f"{party.her}-{len(self._ins)}"
        file = f"in-{number}"
        self.ledger.keep(file, parts[1].body if len(parts) > 1 else b"")
        name = f"answer-{number}" if answer else ""
        if answer:
            self.ledger.keep(name, answer)
        self.ledger.write(
            "in",
            party=party.her,
            id=seen.id,
            cpa=seen.cpa,
            state=state,
            why=why,
            answer=name,
            file=file,
            conversation=seen.conversation,
            ref=seen.ref,
            wrapping=self._wrapping(seen, parts),
        )
        received = Received(id=seen.id, cpa=seen.cpa, state=state, answer=name, file=file)
        self._ins[party.her, seen.id] = received
        return received

    def _wrapping(self, seen: Seen, parts: Sequence[Part]) -> dict[str, Any]:
        """Return what rows ask of how the broker writes to this engine."""
        wanted = seen.ack_requested
        return {
            "signed": seen.signed,
            "sync": seen.sync_reply,
            "ack": None if wanted is None else wanted.get(f"{{{EB}}}signed"),
            "encodings": [part.headers.get("content-transfer-encoding", "") for part in parts],
            "types": [part.headers.get("content-type", "") for part in parts],
            "parts": len(parts) - 1,
        }

    def _verified(self, party: Terms, seen: Seen, parts: Sequence[Part]) -> list[xmldsig.Reference]:
        certificate = self.site.other.certificate if party.plan.distrusts else self.site.our_signing
        try:
            if not self._lax:
                if not seen.signed:
                    raise Bad("not signed")
                self.engine.check_signature(party, seen)
                self._in_time(seen, certificate)
            return xmldsig.verify(seen.root, {part.content_id: part.body for part in parts[1:]}, certificate)
        except (Bad, KeyError):
            if not self._lax:
                raise self.engine.invalid(party, seen) from None
            signature = xmldsig.signature_of(seen.root)
            return [] if signature is None else xmldsig.references(signature[0])

    def _in_time(self, seen: Seen, certificate: Path) -> None:
        """Refuse a Timestamp before the signer's certificate, where the engine looks. Raises Error."""
        begins = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_before_utc
        told = datetime.fromisoformat(seen.timestamp[:19] + "+00:00")
        if told < begins and (error := self.engine.before_its_certificate(f"{begins:%a %b %d %H:%M:%S UTC %Y}")):
            raise error

    def _told(self, party: Terms, seen: Seen, received: Received) -> Answer:
        """Give the answer in the answer, or later."""
        if not received.answer:
            self.spawn(self._process(party, received))
            return self.accepted()
        in_answer = party.sync or (received.state == self.engine.states.refused and not self.agreed(party, seen))
        if in_answer and not party.plan.mute:
            self._answered(party, received)
            return 200, Out(body=self.ledger.kept(received.answer))
        if not party.plan.mute:
            self.spawn(self._send_answer(party, received))
        return self.accepted()

    def agreed(self, party: Terms, seen: Seen) -> bool:
        """Say whether there is a channel to answer on."""
        return seen.cpa == party.cpa

    def accepted(self) -> Answer:
        return _NOTHING

    def _again(self, party: Terms, seen: Seen, received: Received, *, cut: bool) -> Answer:
        """Answer what is here already."""
        if cut:
            raise Cut
        if party.plan.mute or not received.answer:
            return self.accepted()
        if not party.sync and not received.answered:
            return self.engine.queued_again()
        if not self.engine.same_answer and received.state != self.engine.states.refused:
            copied = []
            if (signature := xmldsig.signature_of(seen.root)) is not None:
                copied = xmldsig.references(signature[0])
            self.ledger.keep(received.answer, self.acknowledgment(party, seen, copied))
        if party.sync:
            return 200, Out(body=self.ledger.kept(received.answer))
        self.spawn(self._send_answer(party, received))
        return self.accepted()

    async def _send_answer(self, party: Terms, received: Received) -> None:
        """POST the answer, once; what could not be delivered is fetched by the next copy."""
        refused = received.state == self.engine.states.refused
        if party.plan.hold == "answers":
            await self._go[party.her].wait()
        if not received.answered and (not refused or self.engine.late_errors):
            await asyncio.sleep(party.plan.ack_hours * self.site.hour)
        if self._lost[party.her]:
            self._lost[party.her] -= 1
            self.ledger.write("lost", party=party.her, id=received.id)
        else:
            content = self.ledger.kept(received.answer)
            status = await self.post(party, Out(body=content, headers=[("Content-Type", "text/xml; charset=UTF-8")]))
            self.ledger.write("told", party=party.her, id=received.id, status=status, sha256=_sha(content))
            if party.plan.ack_twice and not received.answered:
                second = self._second(party, content)
                status = await self.post(party, Out(body=second, headers=[("Content-Type", "text/xml; charset=UTF-8")]))
                self.ledger.write("told", party=party.her, id=received.id, status=status, sha256=_sha(second))
        self._answered(party, received)

    def _second(self, party: Terms, first: bytes) -> bytes:
        """Return another Acknowledgment of the same message: another MessageId and time, the same digests."""
        seen = look(first)
        ack = seen.acknowledgment
        assert ack is not None
        builder = Builder(self.engine.style, self._signal_header(party, seen.conversation, "Acknowledgment", seen.ref))
        builder.acknowledgment(
            at=instant(self.engine.style, self.now() + timedelta(seconds=1)),
            ref=seen.acknowledged,
            sender=str(party.her),
            copied=seen.acknowledged_references,
        )
        return self._signed(party, builder.bytes(), "Acknowledgment")

    def _answered(self, party: Terms, received: Received) -> None:
        if not received.answered:
            received.answered = True
            self.ledger.write("answered", party=party.her, id=received.id)
            if received.state != self.engine.states.refused:
                self.spawn(self._process(party, received))

    async def _process(self, party: Terms, received: Received) -> None:
        """Do what stands behind the engine: open the document, and answer it by an AppRec."""
        if received.opened:
            return
        received.opened = True
        content = self.ledger.kept(received.file)
        try:
            opened = await self._open(content) if party.encrypted else content
            document = documents.read(opened)
        except cms.Closed:
            opened, document = b"", None
        received.state = self.engine.states.processed
        self.ledger.write(
            "processed",
            party=party.her,
            id=received.id,
            state=received.state,
            kind=document.kind if document else "unreadable",
            msg_id=document.msg_id if document else "",
            status=document.status if document else "",
            sha256=_sha(opened),
        )
        if document is not None and document.kind == "document" and party.plan.receipts:
            receipt = documents.apprec(
                document,
                id=self.new_id(),
                at=self.now().strftime("%Y-%m-%dT%H:%M:%S+00:00"),
                sender=party.her,
                sender_org=party.organisation,
                receiver=party.ours,
                receiver_org=party.our_organisation,
            )
            await self.send(party, receipt, action="Apprec")

    async def _open(self, content: bytes) -> bytes:
        return await cms.open_(content, self.site.encryption.key, self.site.encryption.certificate)

    # --- signals out ---

    def _signal_header(self, party: Terms, conversation: str, action: str, ref: str) -> Header:
        engine = self.engine
        return Header(
            sender=str(party.her),
            receiver=str(party.ours),
            from_role=party.role if engine.roles_on_signals else "",
            to_role=party.role if engine.roles_on_signals else "",
            cpa=party.cpa,
            conversation=conversation,
            service=MSH,
            service_type=engine.style.signal_service_type,
            action=action,
            id=engine.style.id.format(id=self.new_id()),
            timestamp=instant(engine.style, self.now()),
            ref="" if action == "Acknowledgment" and not engine.style.ref_in_acknowledgment else ref,
        )

    def _signed(self, party: Terms, envelope: bytes, action: str, key: Key | None = None) -> bytes:
        if not party.signed or action not in self.engine.signs:
            return envelope
        return xmldsig.sign(envelope, {}, key or self.site.signing, self.engine.shape)

    def acknowledgment(self, party: Terms, seen: Seen, copied: Sequence[xmldsig.Reference]) -> bytes:
        """Return the Acknowledgment of a message; wrong, where the plan says how."""
        wrong, header = party.plan.ack, self._signal_header(party, seen.conversation, "Acknowledgment", seen.id)
        if wrong == "other-message":
            header = replace(header, ref=f"other-{seen.id}" if header.ref else "")
        builder = Builder(self.engine.style, header)
        builder.acknowledgment(
            at=header.timestamp,
            ref=f"other-{seen.id}" if wrong == "other-message" else seen.id,
            sender=str(party.her),
            copied=copied,
        )
        envelope = builder.bytes()
        if wrong == "digests":
            for one in copied:
                envelope = envelope.replace(one.digest.encode(), xmldsig.digest(b"other", xmldsig.SHA256).encode())
        if wrong == "unsigned":
            return envelope
        return self._signed(party, envelope, "Acknowledgment", self.site.other if wrong == "other-key" else None)

    def message_error(self, party: Terms, seen: Seen, error: Error) -> bytes:
        """Return the MessageError to a message."""
        header = replace(self._signal_header(party, seen.conversation, "MessageError", seen.id), cpa=seen.cpa)
        builder = Builder(self.engine.style, header)
        builder.errors(error)
        return self._signed(party, builder.bytes(), "MessageError")

    def _question(self, party: Terms, seen: Seen) -> Answer:
        """Answer a Ping or a StatusRequest."""
        action = "Pong" if seen.kind == "Ping" else "StatusResponse"
        builder = Builder(self.engine.style, self._signal_header(party, seen.conversation, action, seen.id))
        if action == "StatusResponse":
            known = self._ins.get((party.her, seen.status_request))
            status, at = (
                ("NotRecognized", "") if known is None else ("Received", instant(self.engine.style, self.now()))
            )
            builder.status_response(seen.status_request, status, at)
        content = self._signed(party, builder.bytes(), action)
        self.ledger.write("asked", party=party.her, kind=seen.kind, signed=seen.signed)
        if party.sync:
            return 200, Out(body=content)
        self.spawn(self._post_signal(party, content))
        return self.accepted()

    async def _post_signal(self, party: Terms, content: bytes) -> None:
        await self.post(party, Out(body=content, headers=[("Content-Type", "text/xml; charset=UTF-8")]))

    async def post(self, party: Terms, out: Out) -> int:
        """POST a signal. Returns the status, 0 for none."""
        try:
            full = self.engine.headers(party, out, service=MSH, action="signal")
            return (await wire.post(party.url, full)).status
        except (OSError, TimeoutError, Broken):
            return 0

    # --- signals in ---

    async def _held(self, party: Terms, seen: Seen) -> None:
        if party.plan.hold == "signals":
            self.ledger.write("holding", party=party.her, id=seen.id, kind=seen.kind)
            await self._go[party.her].wait()

    def _signal(self, party: Terms, seen: Seen, content: bytes) -> Answer:
        """Take a signal that came as a POST, or in an answer."""
        about = seen.acknowledged or seen.ref
        sent = self._outs.get((party.her, about))
        why, answer = "", self.accepted()
        if seen.kind in {"Pong", "StatusResponse"}:
            self.ledger.write("told-back", party=party.her, kind=seen.kind, ref=seen.ref, status=seen.status)
            return answer
        if sent is None:
            why, answer = "of no message of ours", self.engine.unknown_reference()
        elif seen.kind == "Acknowledgment":
            if self.engine.wants_ref and not seen.ref:
                why, answer = "no RefToMessageId in MessageData", (500, Out())
            elif not self._lax:
                why = self._amiss(party, sent, seen)
            if not why and sent.state == self.engine.states.created:
                self._moved(party, sent, self.engine.states.delivered)
        elif self.engine.error_stops and sent.state == self.engine.states.created:
            self._moved(party, sent, self.engine.states.failed)
        self.ledger.write(
            "signal",
            party=party.her,
            kind=seen.kind,
            about=about,
            why=why,
            codes=list(seen.errors),
            ref=bool(seen.ref),
            actor=seen.actor == TO_PARTY_MSH,
            service_type=seen.service_type,
            role=seen.from_role,
            signed=seen.signed,
            sha256=_sha(content),
        )
        return answer

    def _amiss(self, party: Terms, sent: Sent, seen: Seen) -> str:
        """Say what is wrong with an Acknowledgment; "" where it counts."""
        if self.engine.wants_actor and seen.actor != TO_PARTY_MSH:
            return "no actor"
        if not party.signed:
            return ""
        if not seen.signed:
            return "not signed"
        try:
            xmldsig.verify(seen.root, {}, self.site.our_signing)
        except Bad:
            return "the signature does not hold"
        told = {(one.uri, one.digest) for one in seen.acknowledged_references}
        if self.engine.wants_copied_references and told != sent.digests:
            return "other digests"
        return ""

    def _moved(self, party: Terms, sent: Sent, state: str | int) -> None:
        sent.state = state
        self.ledger.write("state", party=party.her, id=sent.id, state=state, action=sent.action)
        sent.change.set()

    # --- a message goes ---

    async def send(self, party: Terms, content: bytes, *, action: str = "Notat", twist: str = "") -> str:
        """Seal, sign and wrap a document, and begin to send it. Returns its MessageId."""
        engine, style, now, sha256 = self.engine, self.engine.style, self.now(), _sha(content)
        if twist == "gzip":
            content = gzip.compress(content)
        sealed, kind = content, "application/xml"
        if (party.encrypted or twist == "ciphertext") and twist not in {"plaintext", "xenc"}:
            cipher = "des-ede3-cbc" if twist == "3des" else engine.cipher
            sealed = await cms.seal(content, self.site.our_encryption, cipher=cipher, stream=twist == "ber")
            kind = engine.part_type
        elif twist == "plaintext":
            kind = engine.part_type
        elif twist == "xenc":
            sealed = _XML_ENCRYPTED
        id = style.id.format(id=self.new_id())
        cid = self.new_id() if engine.bare_content_ids else style.id.format(id=self.new_id())
        expires = now + timedelta(seconds=party.live)
        builder = Builder(
            style,
            Header(
                sender=str(party.her),
                receiver=str(party.ours),
                from_role=party.role,
                to_role=party.role,
                cpa=f"{party.cpa}-other" if twist == "wrong-cpa" else party.cpa,
                conversation=self.new_id(),
                service=party.service,
                service_type=party.service_type,
                action=action,
                id=id,
                timestamp=instant(style, now),
                ttl=instant(style, now - timedelta(seconds=5) if twist == "expired" else expires),
                duplicate_elimination=party.ack,
            ),
        )
        if party.sync:
            builder.sync_reply()
        if twist == "order":
            order = builder.entry(builder.header, "MessageOrder")
            etree.SubElement(order, f"{{{EB}}}SequenceNumber").text = "1"
        if twist == "must-understand":
            unknown = etree.SubElement(builder.header, "{urn:peer:unknown}Trace", nsmap={"t": "urn:peer:unknown"})
            unknown.set(f"{{{SOAP}}}mustUnderstand", "1")
        if party.ack and twist != "no-ack-requested":
            builder.ack_requested(signed=party.signed)
        parts = {cid: sealed}
        if twist == "two":
            parts[f"2-{cid}"] = await cms.seal(SECOND, self.site.our_encryption, cipher=engine.cipher)
        builder.manifest(list(parts))
        envelope = builder.bytes()
        if party.signed and twist != "unsigned":
            key = self.site.other if twist == "other-key" else self.site.signing
            shape = replace(engine.shape, xpath=False) if twist == "no-xpath" else engine.shape
            envelope = xmldsig.sign(envelope, {} if twist == "uncovered" else parts, key, shape)
        digests = self._digests(envelope)
        if twist == "payload-changed":
            parts[cid] = sealed[:-1] + bytes((sealed[-1] ^ 1,))
        if twist == "header-changed":
            changed = envelope.replace(b"ConversationId>", b"ConversationId>x", 1)
            assert changed != envelope
            envelope = changed
        bodies = [(name, kind, body) for name, body in parts.items()]
        out = wire.related(engine.related, new_id=self.new_id(), root_id=id, root=envelope, parts=bodies)
        out = engine.headers(party, out, service=party.service, action=action)
        file = f"out-{party.her}-{len(self._outs)}"
        self.ledger.keep(file, wire.written("POST /ebms HTTP/1.1", out))
        sent = Sent(id=id, state=engine.states.created, file=file, digests=digests, expires=expires, action=action)
        self._outs[party.her, id] = sent
        self.ledger.write(
            "out",
            party=party.her,
            id=id,
            state=sent.state,
            file=file,
            action=action,
            digests=sorted(digests),
            expires=expires.isoformat(),
            sha256=sha256,
        )
        self.spawn(self._deliver(party, sent))
        return id

    @staticmethod
    def _digests(envelope: bytes) -> set[tuple[str, str]]:
        signature = xmldsig.signature_of(look(envelope).root)
        return set() if signature is None else {(one.uri, one.digest) for one in xmldsig.references(signature[0])}

    async def _deliver(self, party: Terms, sent: Sent) -> None:
        """Send copies until the message is delivered, refused, or expired."""
        created = self.engine.states.created
        while sent.state == created:
            if sent.tries <= self.engine.attempts(party) - 1 and self.now() < sent.expires:
                sent.tries += 1
                await self._try(party, sent)
                wait = party.interval
            elif self.now() >= sent.expires:
                self._moved(party, sent, self.engine.states.expired)
                return
            else:
                wait = (sent.expires - self.now()).total_seconds()
            if sent.state == created:
                try:
                    await asyncio.wait_for(sent.change.wait(), min(wait, (sent.expires - self.now()).total_seconds()))
                except TimeoutError:
                    continue

    async def _try(self, party: Terms, sent: Sent) -> None:
        status, body = await self.repeat(party, sent.id)
        self.ledger.write("try", party=party.her, id=sent.id, n=sent.tries, status=status)
        if sent.state != self.engine.states.created:
            return
        if status == 0:
            return
        if status >= 300:
            if not self.engine.again(status):
                self._moved(party, sent, self.engine.states.failed)
            return
        if body and party.sync:
            try:
                seen = look(wire.read_parts("text/xml", body)[0].body)
            except Broken:
                return
            await self._held(party, seen)
            self._signal(party, seen, body)
        elif not party.ack or self.engine.taken(party, status, body):
            self._moved(party, sent, self.engine.states.delivered)

    async def repeat(self, party: Terms, id: str) -> tuple[int, bytes]:
        """POST the bytes of a message once more. Returns the status (0 for none) and what came."""
        head, _, body = self.ledger.kept(self._outs[party.her, id].file).partition(b"\r\n\r\n")
        names = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:]]
        try:
            answer = await wire.post(party.url, Out(headers=[(name, value) for name, _, value in names], body=body))
        except (OSError, TimeoutError, Broken):
            return 0, b""
        return answer.status, answer.body

    async def ask(self, party: Terms, *, kind: str, ref: str = "") -> str:
        """Send a Ping or a StatusRequest; what comes back in the answer is taken like what comes later."""
        builder = Builder(self.engine.style, self._signal_header(party, self.new_id(), kind, ""))
        if party.sync:
            builder.sync_reply()
        if ref:
            builder.status_request(ref)
        content = self._signed(party, builder.bytes(), kind)
        out = Out(body=content, headers=[("Content-Type", "text/xml; charset=UTF-8")])
        answer = await wire.post(party.url, self.engine.headers(party, out, service=MSH, action=kind))
        if answer.body and answer.status == 200:
            self._signal(party, look(answer.body), answer.body)
        return f"{answer.status}"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
