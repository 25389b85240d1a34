"""Our bytes before the libraries of other engines, and theirs before us: `python -m tests.interop.java_cases`.

Apache Santuario, Bouncy Castle and Angus Mail verify, open and read every message that we write; we read every message
that they write, and what we refuse on purpose has its reason in the table. Every message comes with spoilt copies that
the reading side must refuse. SEED=n takes other messages; keys and nonces are new each time. SABOTAGE=name plants one
of SABOTAGES: the table must then fail.
"""

import hashlib
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from unittest import mock

from cryptography import x509

from broker.envelope import ebms_build, ebms_parse, mime, signature, xml, xmldsig
from broker.envelope.ebms import Envelope, Kind
from broker.envelope.mime import Part
from broker.envelope.names import cid
from broker.envelope.signature import STRICT, SignaturePolicy, Verified
from broker.envelope.xmldsig import ACTOR_NEXT_MSH, C14N, ENVELOPED, XPATH
from broker.errors import CannotOpen, NotTrusted
from broker.message import Envelope as Sent
from broker.receipts.acknowledgment import build_acknowledgment, check_acknowledgment, digests
from broker.sealing import cms
from broker.sealing.cms import Cipher
from broker.sealing.keys import KeyPair
from tests.interop import java_messages as made
from tests.interop.crossing import Options, Row, crossing, pairs_met
from tests.interop.java_engine import Covered, JavaEngine, Refused, missing
from tests.interop.java_messages import (
    AT,
    MAX_BYTES,
    OTHER_SEAL,
    OTHER_SIGN,
    OUR_SEAL,
    OUR_SIGN,
    THEIR_SEAL,
    THEIR_SIGN,
)
from tests.interop.java_refusals import REFUSALS

SEED = 20261122
MESSAGES = 110  # each way
FLOOR = 200  # messages with payload, both ways together
SPOILT = 2  # spoilt copies of a message that must have been refused, at least
MEDIUM, BIG = 100_000, 25_000_000  # bytes

OUT, IN = "we write, Java reads", "Java writes, we read"


@dataclass
class Table:
    """What was executed, by direction and name, and what went wrong."""

    seed: int
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    pairs: dict[str, tuple[int, int]] = field(default_factory=dict)
    refusals: list[tuple[str, str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def messages(self) -> int:
        return sum(count for (_, what), count in self.counts.items() if what == "messages")


def run(java: JavaEngine, *, seed: int = SEED, short: int | None = None, big: bool = True) -> Table:
    """Execute everything and return the table.

    `short` takes only so many messages each way. Without `big` none is larger than 100 KB, and there is none of 25 MB.
    """
    table, started = Table(seed=seed), time.monotonic()

    def rows_of(name: str, options: Options, at_least: int) -> list[Row]:
        rows = crossing(options, at_least=at_least, seed=f"{seed} {name}")[:short]
        table.pairs[name] = pairs_met(options, rows)
        return [{**row, "size": min(row["size"], MEDIUM)} if "size" in row and not big else row for row in rows]

    ours, javas = rows_of("our messages", made.OURS, MESSAGES), rows_of("Java's messages", made.JAVA, MESSAGES)
    answers = rows_of("Java's acknowledgments", made.SIGNATURES, len(ours))
    documents = rows_of("Java's documents", made.DOCUMENTS, 0)
    if big:
        ours.append({name: values[0] for name, values in made.OURS.items()} | {"size": BIG})
        javas.append({name: values[0] for name, values in made.JAVA.items()} | {"size": BIG})
        answers.append(answers[0])
    assert len(answers) == len(ours), "the acknowledgments need more rows than there are messages"
    sizes: list[Row] = [{"size": size} for size in (0, 1, 1_000, 10_000, 100_000)[:short]]
    for way, do, rows in (
        (OUT, _we_write, ours),
        (IN, _java_writes, javas),
        (OUT, _we_sign_a_document, sizes),
        (IN, _java_signs_a_document, documents),
    ):
        for n, row in enumerate(rows):
            chance, answer = random.Random(f"{seed} {do.__name__} {n}"), answers[n] if do is _we_write else {}
            _one(do, Case(java=java, table=table, way=way, n=n, row=row, chance=chance, answer=answer))
    for refusal in REFUSALS if short is None else ():
        try:
            table.refusals.append((refusal.name, *refusal.run(java)))
        except Exception as fault:  # as in _one
            table.faults.append(f"refusal of {refusal.name}: {_said(fault)}")
    table.seconds = time.monotonic() - started
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One message to make and to read: its number, its options, and its own chance."""

    java: JavaEngine
    table: Table
    way: str
    n: int
    row: Row
    chance: random.Random
    answer: Row = field(default_factory=dict)  # how Java signs the Acknowledgment of a message of ours

    def count(self, what: str, number: int = 1) -> None:
        self.table.counts[self.way, what] += number


def _one(do: Callable[[Case], None], case: Case) -> None:
    try:
        do(case)
    except Exception as fault:  # any fault of either side is one red case, not the end of the table
        options = ", ".join(f"{name}={value!s:.40}" for name, value in case.row.items())
        case.table.faults.append(f"{case.way}, case {case.n}: {_said(fault)} [{options}]")


def _said(fault: Exception) -> str:
    frames = [one for one in traceback.extract_tb(fault.__traceback__) if one.filename == __file__]
    line = frames[-1].lineno if frames else 0
    return f"{type(fault).__name__} at line {line}: {str(fault).partition(chr(10))[0]}"


# --- we write, Java reads -------------------------------------------------------------------------------------------


def _we_write(case: Case) -> None:
    """Our sealed, signed, packed message: Java finds the parts, the signature and the content; then it answers."""
    row, chance = case.row, case.chance
    boundary, root_id = f"{chance.getrandbits(128):032x}", f"root-{case.n}@fjordvik.example"
    to_seal, plain = made.document(row, chance)
    sealed = cms.seal(
        to_seal,
        THEIR_SEAL.certificate,
        random=chance.randbytes,
        key_transport=row["key transport"],
        cipher=row["cipher"],
    )
    first = mime.ciphertext(made.name_of_part(row, case.n, 0), sealed, authenticated=row["cipher"].authenticated)
    parts = [first, *made.our_parts(row, case.n, chance, boundary)]
    bodies = {part.content_id: part.body for part in parts}
    envelope = made.our_envelope(row, case.n, tuple(bodies))
    unsigned = ebms_build.build(envelope)
    if row["entry left out"]:
        unsigned = made.with_entry(unsigned, ACTOR_NEXT_MSH)
    root, references = signature.sign_with_references(unsigned, bodies, OUR_SIGN)
    entity = mime.build(root, parts, boundary=boundary, root_id=root_id)
    _count_message(case)

    read = _java_reads_parts(case, entity, root, parts, root_id)
    _java_verifies(case, read[0], dict(zip(bodies, read[1:], strict=True)), OUR_SIGN)
    _java_opens(case, read[1], to_seal, plain)
    _java_acknowledges(case, envelope, references)


def _count_message(case: Case) -> None:
    case.count("messages")
    if case.row["size"] == BIG:
        case.count("messages of 25 MB")


def _java_reads_parts(case: Case, entity: mime.Entity, root: bytes, parts: Sequence[Part], root_id: str) -> list[bytes]:
    found = case.java.read_mail(entity.content_type, entity.body)
    sent = [
        Part(content_id=root_id, content_type="text/xml; charset=UTF-8", body=root, transfer_encoding="8bit"),
        *parts,
    ]
    assert len(found) == len(sent), "other parts"
    for (headers, body), part in zip(found, sent, strict=True):
        assert body == part.body, "other bytes in a part"
        assert headers == {
            "Content-Type": part.content_type,
            "Content-ID": f"<{part.content_id}>",
            "Content-Transfer-Encoding": part.transfer_encoding,
        }, "other headers"
        case.count("parts read, with their headers")
    return [body for _, body in found]


def _java_verifies(case: Case, data: bytes, parts: Mapping[str, bytes], key: KeyPair) -> None:
    """Santuario must find that the signature holds, over exactly what we meant; and refuse every spoilt copy."""
    whole, *attached = case.java.verify(data, parts, key.certificate, octets=True)
    assert whole.uri == ""
    assert whole.transforms == (ENVELOPED, XPATH, C14N)
    assert b"SignatureValue" not in whole.octets
    for name in (b"SyncReply", b"Trace"):  # only an XPath that was evaluated leaves them out
        assert name not in whole.octets, "an entry that the XPath leaves out is under the digest"
        case.count("header entries that the XPath left out", data.count(b":" + name + b" "))
    assert [one.uri for one in attached] == [cid(name) for name in parts]
    assert [one.octets for one in attached] == list(parts.values())
    for one in (whole, *attached):
        assert hashlib.sha256(one.octets).digest() == one.digest_value, "another digest"
    case.count("signatures that hold")
    case.count("digests that agree", 1 + len(attached))
    case.count("spoilt signatures refused", _java_refuses(case, data, parts, key, SPOILT))
    if b"SyncReply" in data:
        case.java.verify(_changed(data, b"SyncReply ", b'SyncReply xml:lang="nb" '), parts, key.certificate)
        case.count("entries changed that the XPath leaves out: still hold")


def _java_refuses(case: Case, data: bytes, parts: Mapping[str, bytes], key: KeyPair, copies: int) -> int:
    """Try so many spoilt copies of those that there are, message by message others: Santuario takes 6 ms for each."""
    spoilt = [(one, bodies, key.certificate) for one, bodies in _spoilt(data, parts)]
    spoilt.append((data, dict(parts), OTHER_SIGN.certificate))
    chosen = [spoilt[(case.n + turn) % len(spoilt)] for turn in range(copies)]
    for one, bodies, certificate in chosen:
        try:
            case.java.verify(one, bodies, certificate)
        except Refused:
            continue
        raise AssertionError("Java takes a spoilt signature")
    return len(chosen)


def _java_opens(case: Case, sealed: bytes, to_seal: bytes, plain: bytes) -> None:
    opened = case.java.open(sealed, THEIR_SEAL)
    assert opened.content == to_seal, "other content"
    assert (opened.cipher, opened.transport) == (case.row["cipher"].oid, case.row["key transport"].oid)
    assert (mime.gunzip(opened.content) if case.row["gzip"] else opened.content) == plain
    case.count("ciphertexts opened to the same bytes")
    end = sealed[:-1] + bytes((sealed[-1] ^ 1,))  # the tag, or the last block: its padding
    for spoilt, key in ((end, THEIR_SEAL), (sealed, OTHER_SEAL)):
        try:
            assert case.java.open(spoilt, key).content != to_seal, "Java opens a spoilt ciphertext to the same bytes"
        except Refused:
            pass
        else:
            assert not case.row["cipher"].authenticated, "Java opens a spoilt ciphertext"
            assert key is THEIR_SEAL, "Java opens with another's key"
        case.count("spoilt ciphertexts refused")


def _java_acknowledges(case: Case, envelope: Envelope, references: Sequence[xmldsig.Reference]) -> None:
    """An Acknowledgment of our message, signed by Santuario in the shape of a row of its own, closes it."""
    way, row = IN, case.answer
    values = build_acknowledgment(envelope.header, references, message_id=f"a-{case.n}@dalbygda.example", timestamp=AT)
    data = _java_signs(case.java, made.written_their_way(values, row), {}, row)
    document = xml.parse(data, max_bytes=MAX_BYTES)
    verified = signature.verify_envelope(document, {}, trusted=[THEIR_SIGN.certificate], policy=made.policy(row))
    received = ebms_parse.parse(document)
    assert received.kind is Kind.ACKNOWLEDGMENT
    check_acknowledgment(received, verified, _sent(envelope, references))
    case.table.counts[way, "signed acknowledgments that close a message"] += 1
    try:
        check_acknowledgment(received, verified, _sent(envelope, [replace(references[0], digest_value=b"?" * 32)]))
    except NotTrusted:
        case.table.counts[way, "acknowledgments of other digests refused"] += 1
    else:
        raise AssertionError("an Acknowledgment of other digests closes the message")


def _sent(envelope: Envelope, references: Sequence[xmldsig.Reference]) -> Sent:
    return Sent(
        eb_id=envelope.header.message_id,
        delivery_id="d-1",
        cpa_id=envelope.header.cpa_id,
        from_her=made.OUR_HER,
        to_her=made.THEIR_HER,
        content_type="multipart/related",
        body="b-1",
        digests=digests(references),
        ack_signed=True,
        sync=False,
        retries=3,
        interval=timedelta(hours=1),
        timestamp=AT,
        persist_until=AT + timedelta(days=4),
    )


def _we_sign_a_document(case: Case) -> None:
    data = signature.sign_document(made.a_document(case.n, case.row["size"]), OUR_SIGN)
    (whole,) = case.java.verify(data, {}, OUR_SIGN.certificate, octets=True)
    assert whole.transforms == (ENVELOPED, C14N)
    assert hashlib.sha256(whole.octets).digest() == whole.digest_value
    case.count("signed documents that hold")
    spoilt = _changed(data, b'<Type V="DIALOG_', b'<Type V="OTHER_')
    for one, key in ((spoilt, OUR_SIGN), (data, OTHER_SIGN)):
        try:
            case.java.verify(one, {}, key.certificate)
        except Refused:
            case.count("spoilt signatures refused")
        else:
            raise AssertionError("Java takes a spoilt document")


# --- Java writes, we read -------------------------------------------------------------------------------------------


def _java_writes(case: Case) -> None:
    """Java's sealed, signed, packed message, read by our readers as they stand in the broker; then we acknowledge."""
    row, java = case.row, case.java
    to_seal, plain = made.document(row, case.chance)
    sealed = {made.name_of_part(row, case.n, 0): _java_seals(case, to_seal)}
    rest = made.plain_parts(row, case.n, case.chance)
    parts = {**sealed, **rest}
    values = made.their_envelope(row, case.n, tuple(parts))
    root = _java_signs(java, made.written_their_way(values, row), parts, row)
    content_type, body = java.write_mail(made.mail(row, root, sealed, rest), made.multipart(row))
    _count_message(case)

    entity = mime.read(content_type, body)
    # Angus writes every end of line as CR LF under quoted-printable; XML reads that as one LF again.
    same = (
        (lambda data: data.replace(b"\r\n", b"\n")) if row["encoding of the envelope"] == "quoted-printable" else bytes
    )
    assert same(entity.root.body) == same(root), "another envelope in the multipart"
    assert {part.content_id: part.body for part in entity.parts} == parts, "other parts"
    assert entity.root.content_id == "root@dalbygda.example"
    case.count("parts read", 1 + len(entity.parts))
    document = xml.parse(entity.root.body, max_bytes=MAX_BYTES)
    assert ebms_parse.parse(document) == values, "other values in the envelope"
    ebms_parse.match_parts(values.manifest, parts)
    verified = _we_verify(case, entity.root.body, parts)
    _we_open(case, entity.parts[0].body, to_seal, plain)
    _we_acknowledge(case, values, verified)


def _java_seals(case: Case, content: bytes) -> bytes:
    row = case.row
    ours, other = OUR_SEAL.certificate, OTHER_SEAL.certificate
    certificates = {"ours": [ours], "ours and another": [ours, other], "another and ours": [other, ours]}
    cipher = Cipher(row["cipher"].removesuffix(" with attributes"))
    options = [
        ("cipher", cipher.oid),
        ("transport", row["key transport"]),
        ("form", row["form"]),
        ("recipient", "issuer-and-serial"),
    ]
    options += [("authenticated", "")] if cipher.authenticated else []
    options += [("attributes", "")] if row["cipher"].endswith("attributes") else []
    return case.java.seal(content, certificates[row["recipients"]], options)


def _java_signs(java: JavaEngine, unsigned: bytes, parts: Mapping[str, bytes], row: Row) -> bytes:
    certificates = [THEIR_SIGN.certificate]
    if row["KeyInfo"] == "two certificates":  # some engines send their chain along
        certificates.append(OTHER_SIGN.certificate)
    data = java.sign(unsigned, parts, THEIR_SIGN, certificates, made.signing(row))
    found = {one for one in ("&#13;", "&#xD;") if one.encode() in data}
    assert found == {row["line ends"]} & {"&#13;", "&#xD;"}, "other ends of line"
    return data


def _we_verify(case: Case, data: bytes, parts: Mapping[str, bytes]) -> Verified:
    row, policy = case.row, made.policy(case.row)
    verified = signature.verify_envelope(
        xml.parse(data, max_bytes=MAX_BYTES),
        parts,
        trusted=[OTHER_SIGN.certificate, THEIR_SIGN.certificate],
        policy=policy,
    )
    assert verified.certificate == THEIR_SIGN.certificate
    assert [one.uri for one in verified.references] == ["", *map(cid, parts)]
    covered = case.java.verify(data, parts, THEIR_SIGN.certificate)
    assert [(one.uri, one.digest_value, one.transforms) for one in covered] == [
        (one.uri, one.digest_value, one.transforms) for one in verified.references
    ], "Java and we read other references"
    case.count("signatures that hold")
    for one, bodies in _spoilt(data, parts):
        assert _refused(one, bodies, THEIR_SIGN.certificate, policy), "we take a spoilt signature"
        case.count("spoilt signatures refused")
    assert _refused(data, parts, OTHER_SIGN.certificate, policy), "we take another's certificate"
    case.count("spoilt signatures refused")
    case.count("spoilt signatures refused by Java too", _java_refuses(case, data, parts, THEIR_SIGN, 1))
    if not made.by_the_strict_policy(row):
        assert _refused(data, parts, THEIR_SIGN.certificate, STRICT), "taken without leave of the agreement"
        case.count("SHA-1 or no XPath: refused where the agreement does not allow it")
    if row["left out"] != "nothing" and row["XPath"] != "none":
        changed = _changed(data, b"SyncReply ", b'SyncReply xml:lang="nb" ')
        signature.verify_envelope(
            xml.parse(changed, max_bytes=MAX_BYTES), parts, trusted=[THEIR_SIGN.certificate], policy=policy
        )
        case.java.verify(changed, parts, THEIR_SIGN.certificate)
        case.count("entries changed that the XPath leaves out: still hold")
    return verified


def _refused(data: bytes, parts: Mapping[str, bytes], trusted: x509.Certificate, policy: SignaturePolicy) -> bool:
    try:
        signature.verify_envelope(xml.parse(data, max_bytes=MAX_BYTES), parts, trusted=[trusted], policy=policy)
    except NotTrusted:
        return True
    return False


def _we_open(case: Case, sealed: bytes, to_seal: bytes, plain: bytes) -> None:
    cipher = Cipher(case.row["cipher"].removesuffix(" with attributes"))
    assert cms.looks_like_cms(sealed)
    opened = cms.open_(sealed, [OUR_SEAL], random=case.chance.randbytes, allow_3des=cipher is Cipher.TRIPLE_DES_CBC)
    assert opened.content == to_seal, "other content"
    assert (opened.cipher, opened.certificate) == (cipher, OUR_SEAL.certificate)
    assert (mime.gunzip(opened.content) if case.row["gzip"] else opened.content) == plain
    case.count("ciphertexts opened to the same bytes")
    for key, allow in ((THEIR_SEAL, True), (OUR_SEAL, False)):
        if key is THEIR_SEAL or cipher is Cipher.TRIPLE_DES_CBC:
            try:
                cms.open_(sealed, [key], random=case.chance.randbytes, allow_3des=allow)
            except CannotOpen:
                case.count("ciphertexts refused: another's key, or 3DES without leave")
            else:
                raise AssertionError("we open with another's key, or 3DES without leave")


def _we_acknowledge(case: Case, received: Envelope, verified: Verified) -> None:
    """Our signed Acknowledgment, with all digests of the message, must hold before Santuario."""
    answer = build_acknowledgment(
        received.header, verified.references, message_id=f"a-{case.n}@fjordvik.example", timestamp=AT
    )
    data = signature.sign_envelope(ebms_build.build(answer), {}, OUR_SIGN)
    (whole,) = case.java.verify(data, {}, OUR_SIGN.certificate, octets=True)
    assert whole.octets.count(b"<ds:Reference ") == len(verified.references), "an Acknowledgment without its digests"
    case.table.counts[OUT, "signed acknowledgments that hold"] += 1
    spoilt = _changed(
        data, received.header.message_id.encode() + b"</eb:RefToMessageId><eb:From>", b"x</eb:RefToMessageId><eb:From>"
    )
    try:
        case.java.verify(spoilt, {}, OUR_SIGN.certificate)
    except Refused:
        case.table.counts[OUT, "spoilt signatures refused"] += 1
    else:
        raise AssertionError("Java takes a spoilt Acknowledgment")


def _java_signs_a_document(case: Case) -> None:
    row, policy = case.row, made.policy(case.row)
    options = made.signing_document(row)
    data = case.java.sign(made.a_document(case.n, 100), {}, THEIR_SIGN, [THEIR_SIGN.certificate], options)

    def verify(document: bytes, certificate: x509.Certificate | None, policy: SignaturePolicy) -> Verified | None:
        trusted = None if certificate is None else [certificate]
        return signature.verify_document(xml.parse(document, max_bytes=MAX_BYTES), trusted=trusted, policy=policy)

    for trusted in (THEIR_SIGN.certificate, None):
        verified = verify(data, trusted, policy)
        assert verified is not None, "no signature seen"
        assert verified.certificate == THEIR_SIGN.certificate
    case.java.verify(data, {}, THEIR_SIGN.certificate)
    case.count("signed documents that hold")
    spoilt = [(_changed(data, b'<Type V="DIALOG_', b'<Type V="OTHER_'), THEIR_SIGN.certificate, policy)]
    spoilt.append((data, OTHER_SIGN.certificate, policy))
    if not made.by_the_strict_policy(row):
        spoilt.append((data, THEIR_SIGN.certificate, STRICT))
    for document, certificate, rules in spoilt:
        try:
            verify(document, certificate, rules)
        except NotTrusted:
            case.count("spoilt signatures refused")
        else:
            raise AssertionError("we take a spoilt document")


def _spoilt(data: bytes, parts: Mapping[str, bytes]) -> Iterator[tuple[bytes, dict[str, bytes]]]:
    """Yield copies of an envelope and its parts with one fault each."""
    yield _changed(data, b">Melding<", b">Annet<") if b">Melding<" in data else data, dict(parts)
    for name, body in parts.items():
        spoilt = bytes((body[0] ^ 1,)) + body[1:] if body else b"\0"
        yield data, {**parts, name: spoilt}


def _changed(data: bytes, before: bytes, after: bytes) -> bytes:
    assert data.count(before) == 1, f"{before!r} stands {data.count(before)} times"
    return data.replace(before, after)


# --- planted faults -------------------------------------------------------------------------------------------------

_SIGNED_BYTES, _APPEND_SIGNATURE = signature._signed_bytes, xmldsig.append_signature
_DECODE, _VERIFY, _CROSSING = mime._decode, JavaEngine.verify, crossing


def _nothing_left_out(root: Any, element: Any, method: str, actors: Any) -> bytes:
    return _SIGNED_BYTES(root, element, method, actors if element is not None else frozenset())


def _another_digest(parent: Any, references: Sequence[xmldsig.Reference], key: KeyPair) -> Any:
    *most, last = references
    spoilt = replace(last, digest_value=bytes((last.digest_value[0] ^ 1,)) + last.digest_value[1:])
    return _APPEND_SIGNATURE(parent, [*most, spoilt], key)


def _lax(java: JavaEngine, *question: Any, **options: Any) -> list[Covered]:
    try:
        return _VERIFY(java, *question, **options)
    except Refused:
        return []


SABOTAGES: dict[str, Callable[[], Any]] = {
    "skip-xpath": lambda: mock.patch.object(signature, "_signed_bytes", _nothing_left_out),
    "wrong-digest": lambda: mock.patch.object(signature, "append_signature", _another_digest),
    "lax-java": lambda: mock.patch.object(JavaEngine, "verify", _lax),
    "skip-digest-check": lambda: mock.patch.object(signature, "_check_digest", return_value=None),
    "obey-no-policy": lambda: mock.patch.object(signature, "_check_policy", return_value=None),
    "no-chunks": lambda: mock.patch.object(cms, "octets", lambda string: bytes(string.contents)),
    "strip-body": lambda: mock.patch.object(mime, "_decode", lambda body, how: _DECODE(body, how).strip(b"\r\n")),
    "few": lambda: mock.patch(f"{__name__}.crossing", lambda *what, **how: _CROSSING(*what, **how)[:5]),
}


@contextmanager
def sabotage(name: str) -> Iterator[None]:
    """Plant the fault of that name; none for an empty name."""
    if not name:
        yield
        return
    with SABOTAGES[name]():
        yield


# --- the printed table ----------------------------------------------------------------------------------------------


def failures(table: Table, *, short: bool = False) -> list[str]:
    """Return what is wrong: faults, too few messages, options that did not meet, messages that were not read whole."""
    faults = list(table.faults)
    for way in (OUT, IN):
        messages = table.counts[way, "messages"]
        for what, least in (
            ("signatures that hold", messages),
            ("ciphertexts opened to the same bytes", messages),
            ("spoilt signatures refused", SPOILT * messages),
        ):
            if table.counts[way, what] < max(least, 1):
                faults.append(f"{way}: {table.counts[way, what]} {what} for {messages} messages, {least} are expected")
    if short:
        return faults
    if table.messages() < FLOOR:
        faults.append(f"{table.messages()} messages, at least {FLOOR} are expected")
    return faults + [f"{name}: {met} of {all_} pairs met" for name, (met, all_) in table.pairs.items() if met < all_]


def show(table: Table, versions: str) -> str:
    """Return the table as text."""
    lines = [f"{versions}; seed {table.seed}"]
    for way in (OUT, IN):
        lines.append(way)
        lines += [f"{count:9} {what}" for (of, what), count in table.counts.items() if of == way]
    lines.append("every two values of different options, met in one message")
    lines += [f"{met:9} of {all_} in {name}" for name, (met, all_) in table.pairs.items()]
    lines.append("Java writes it, and we refuse it on purpose")
    lines += [f"{name:>44}: {said}\n{'':46}because {why}" for name, said, why in table.refusals]
    lines.append(f"executed: {table.messages()} messages, {len(table.refusals)} refusals, {table.seconds:.0f} s")
    return "\n".join(lines)


def main() -> int:
    """Print the table; return 0 when all was read, and enough was."""
    sentence = missing()
    if sentence:
        print(sentence)
        return 1
    with JavaEngine() as java, sabotage(os.environ.get("SABOTAGE", "")):
        table = run(java, seed=int(os.environ.get("SEED", SEED)))
        print(show(table, java.versions()))
    faults = failures(table)
    for fault in faults[:30]:
        print(f"FAILED {fault}")
    if len(faults) > 30:
        print(f"FAILED and {len(faults) - 30} more")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
