"""The straight line: the work of an exchange in one thread, without network, queue, log or API; and its RSA alone.

    python -m tests.bench.straight SECONDS RSA_SECONDS

It imports the broker's envelope, sealing, receipts and validation, and nothing of web, worker or store: what is kept
goes into a plain SQLite table, durable (WAL, synchronous=FULL), twenty rows to a commit. It prints one line of JSON.
"""

import json
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from broker.envelope import ebms, mime
from broker.envelope.ebms_build import build
from broker.envelope.ebms_parse import match_parts
from broker.envelope.ebms_parse import parse as parse_envelope
from broker.envelope.signature import sign_envelope, sign_with_references, verify_envelope
from broker.envelope.xml import parse
from broker.lookup.clock import SystemClock
from broker.lookup.randomness import SystemRandomness
from broker.lookup.schemas import schema_files
from broker.lookup.shipped import shipped
from broker.message import DocumentHead, Envelope, Verdict
from broker.receipts import apprec
from broker.receipts.acknowledgment import build_acknowledgment, digests
from broker.receipts.signals import read_signal
from broker.routing.party import PartyKind
from broker.routing.process import Function, Process
from broker.routing.process_files import processes, read_process
from broker.sealing import cms
from broker.sealing.certificates import Use, new_certificate
from broker.sealing.keys import KeyPair
from broker.validation.codes import read_codes
from broker.validation.documents import Judged, judge
from broker.validation.xsd import SchemaSet
from tests.bench.documents import HERE, THERE, Documents

GROUP = 20  # rows in a commit
FORBIDDEN = ("broker.web", "broker.worker", "broker.store", "aiohttp", "aiosqlite")
_CPA_ID = "straight"
_RANDOM = SystemRandomness()

_TABLE = """
CREATE TABLE kept (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, due INTEGER NOT NULL, body BLOB NOT NULL
) STRICT"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One side: its HER-id and keys."""

    her: int
    signing: KeyPair
    encryption: KeyPair


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An envelope on its way, and its bytes."""

    envelope: Envelope
    body: bytes


class Straight:
    """Both sides and what they keep."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {_TABLE}")
        db.execute("CREATE INDEX due ON kept (state, due)")
        self.now = SystemClock().now().replace(microsecond=0)
        self.here, self.there = _party(HERE.her, self.now), _party(THERE.her, self.now)
        self.documents = Documents(self.now)
        folder = shipped("schemas")
        self._schemas = SchemaSet.from_bytes(schema_files(folder))
        self._processes = processes(
            read_process(path.read_text("utf-8"), path.name) for path in sorted(shipped("processes").glob("*.toml"))
        )
        self._codes = read_codes({path.name: path.read_text("utf-8") for path in (folder / "codes").glob("*.toml")})

    def exchanges(self, count: int) -> None:
        """Do `count` exchanges, step by step: message, acknowledgment, receipt, acknowledgment."""
        raw = [self.documents.with_id(_RANDOM.id()) for _ in range(count)]
        accepted = [self._judge(document) for document in raw]
        self._keep("accepted", raw)
        ways = [(judged.process, judged.function) for judged in accepted]
        sent = [self._seal(document, self.here, self.there, way) for document, way in zip(raw, ways, strict=True)]
        self._keep("sealed", [one.body for one in sent])
        received = [self._receive(one, self.here, self.there) for one in sent]
        self._keep("received", [judged[1] for judged in received], [judged[2] for judged in received])
        for one, (_, _, acknowledgment) in zip(sent, received, strict=True):
            self._acknowledged(one, acknowledgment, self.there)
        self._advance("sealed", "acknowledged")
        receipts = [self._apprec(judged.head) for judged, _, _ in received if judged.head is not None]
        self._keep("judged", receipts)
        back = [self._seal(receipt, self.there, self.here, way) for receipt, way in zip(receipts, ways, strict=True)]
        self._keep("sealed", [one.body for one in back])
        home = [self._receive(one, self.there, self.here) for one in back]
        assert all(judged.apprec and judged.apprec.status is Verdict.OK for judged, _, _ in home)
        self._keep("receipted", [judged[1] for judged in home], [judged[2] for judged in home])
        for one, (_, _, acknowledgment) in zip(back, home, strict=True):
            self._acknowledged(one, acknowledgment, self.here)
        self._advance("sealed", "receipt delivered")

    def _judge(self, raw: bytes) -> Judged:
        judged = judge(
            raw,
            schemas=self._schemas,
            processes=self._processes,
            codes=self._codes,
            environment="test",
            kind_of=lambda her: PartyKind.EPJ,
            at=self.now,
        )
        assert not judged.faults, judged.faults
        return judged

    def _seal(self, raw: bytes, ours: Party, theirs: Party, way: tuple[Process | None, Function | None]) -> Sent:
        process, function = way
        assert process is not None
        assert function is not None
        back = ours is self.there
        content_id, eb_id = f"{_RANDOM.id()}@bench.example", f"{_RANDOM.id()}@bench.example"
        sealed = cms.seal(raw, theirs.encryption.certificate, random=_RANDOM.bytes)
        persist_until = self.now + timedelta(days=2)
        unsigned = build(
            ebms.Envelope(
                header=ebms.Header(
                    from_=ebms.her_party(ours.her),
                    to=ebms.her_party(theirs.her),
                    from_role=function.to_role if back else function.from_role,
                    to_role=function.from_role if back else function.to_role,
                    cpa_id=_CPA_ID,
                    conversation_id=eb_id,
                    service=function.service,
                    service_type=function.service_type,
                    action=process.apprec_action if back else function.action,
                    message_id=eb_id,
                    timestamp=self.now,
                    time_to_live=persist_until,
                    duplicate_elimination=True,
                    descriptions=(ebms.system_description(msh="bench", msh_version="1"),),
                ),
                ack_requested=ebms.AckRequested(signed=True),
                sync_reply=True,
                manifest=(content_id,),
            )
        )
        signed, references = sign_with_references(unsigned, {content_id: sealed}, ours.signing)
        part = mime.ciphertext(content_id, sealed)
        entity = mime.build(signed, (part,), boundary=_RANDOM.bytes(16).hex(), root_id=eb_id)
        envelope = Envelope(
            eb_id=eb_id,
            delivery_id=eb_id,
            cpa_id=_CPA_ID,
            from_her=ours.her,
            to_her=theirs.her,
            content_type=entity.content_type,
            body=eb_id,
            digests=digests(references),
            ack_signed=True,
            sync=True,
            retries=3,
            interval=timedelta(minutes=5),
            timestamp=self.now,
            persist_until=persist_until,
        )
        return Sent(envelope=envelope, body=entity.body)

    def _receive(self, sent: Sent, sender: Party, receiver: Party) -> tuple[Judged, bytes, bytes]:
        """Return what came, its bytes, and the signed Acknowledgment."""
        entity = mime.read(sent.envelope.content_type, sent.body)
        xml = parse(entity.root.body, max_bytes=len(sent.body))
        envelope = parse_envelope(xml)
        match_parts(envelope.manifest, [part.content_id for part in entity.parts])
        parts = {part.content_id: part.body for part in entity.parts}
        verified = verify_envelope(xml, parts, trusted=[sender.signing.certificate])
        opened = cms.open_(entity.parts[0].body, [receiver.encryption], random=_RANDOM.bytes)
        judged = self._judge(opened.content)
        acknowledgment = build_acknowledgment(
            envelope.header, verified.references, message_id=f"{_RANDOM.id()}@bench.example", timestamp=self.now
        )
        sha256(opened.content).digest()
        return judged, opened.content, sign_envelope(build(acknowledgment), {}, receiver.signing)

    def _acknowledged(self, sent: Sent, acknowledgment: bytes, by: Party) -> None:
        signal = read_signal(
            "text/xml", acknowledgment, sent=sent.envelope, trusted=[by.signing.certificate], channel_trusted=False
        )
        assert signal.acknowledges

    def _apprec(self, head: DocumentHead) -> bytes:
        return apprec.build(
            head,
            version="1.1",
            id=_RANDOM.id(),
            now=self.now,
            sender=head.receiver,
            verdict=Verdict.OK,
            errors=(),
            texts=self._codes.texts("8221"),
            names={},
            software="bench",
            software_version="1",
        )

    def _keep(self, state: str, *bodies: Sequence[bytes]) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        for more in bodies:
            rows = ((_RANDOM.id(), state, time.time_ns(), body) for body in more)
            self.db.executemany("INSERT INTO kept (id, state, due, body) VALUES (?, ?, ?, ?)", rows)
        self.db.execute("COMMIT")

    def _advance(self, before: str, after: str) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("UPDATE kept SET state = ? WHERE state = ?", (after, before))
        self.db.execute("COMMIT")


def _party(her: int, now: datetime) -> Party:
    return Party(her=her, signing=_pair(her, Use.SIGN, now), encryption=_pair(her, Use.ENCRYPT, now))


def _pair(her: int, use: Use, now: datetime) -> KeyPair:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    year = timedelta(days=365)
    return KeyPair(
        private_key=key, certificate=new_certificate("Bench", "900000101", use, now, now + year, key, serial=her)
    )


# --- the RSA alone ---


def count_rsa(work: Callable[[], object]) -> Counter[str]:
    """Return how often `work` signs, verifies, encrypts and decrypts with RSA, counted as it calls the library."""
    counted: Counter[str] = Counter()

    def note(_frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        on, name = getattr(called, "__self__", None), called.__name__
        if isinstance(on, rsa.RSAPrivateKey | rsa.RSAPublicKey) and name in ("sign", "verify", "encrypt", "decrypt"):
            counted[name] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def rsa_only(counted: Counter[str], party: Party, seconds: float) -> tuple[float, float]:
    """Return how many exchanges' RSA operations one core does in a second, and the CPU milliseconds of one."""
    private, public = party.signing.private_key, party.signing.private_key.public_key()
    data, key, digest, pad = b"x" * 1000, b"k" * 32, hashes.SHA256(), padding.PKCS1v15()
    signature, sealed = private.sign(data, pad, digest), public.encrypt(key, pad)
    operations: dict[str, Callable[[], object]] = {
        "sign": lambda: private.sign(data, pad, digest),
        "verify": lambda: public.verify(signature, data, pad, digest),
        "encrypt": lambda: public.encrypt(key, pad),
        "decrypt": lambda: private.decrypt(sealed, pad),
    }
    done, cpu, begun = 0, time.process_time(), time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        for name, count in counted.items():
            for _ in range(count):
                operations[name]()
        done += 1
    return done / spent, (time.process_time() - cpu) / done * 1000


def measure(seconds: float, rsa_seconds: float) -> dict[str, Any]:
    """Return the rates of the straight line and of its RSA, per core and second."""
    with tempfile.TemporaryDirectory(dir=Path.cwd() / ".bench") as folder:
        db = sqlite3.connect(Path(folder) / "straight.db", isolation_level=None)
        line = Straight(db)
        line.exchanges(GROUP)  # what is built once is built now
        counted = count_rsa(lambda: line.exchanges(1))
        done, cpu, begun = 0, time.process_time(), time.perf_counter()
        while (spent := time.perf_counter() - begun) < seconds:
            line.exchanges(GROUP)
            done += GROUP
        cpu = time.process_time() - cpu
        db.close()
        rsa_rate, rsa_cpu = rsa_only(counted, line.here, rsa_seconds)
    imported = sorted(name for name in sys.modules if name.startswith(FORBIDDEN))
    return {
        "exchanges": done,
        "rate": done / spent,
        "cpu_ms": cpu / done * 1000,
        "rsa_rate": rsa_rate,
        "rsa_cpu_ms": rsa_cpu,
        "rsa_operations": dict(counted),
        "imported": imported,
    }


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]), float(sys.argv[2]))))
