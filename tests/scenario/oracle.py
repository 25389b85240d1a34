"""No oracle: `make oracle` prints, for each broken ciphertext, what the sender learned of it; it must learn nothing.

Under a valid outer signature every kind of broken ciphertext gets the same answer, but for ids and times: the very
bytes are compared, in the HTTP answer and as a POST of its own. Nothing is acknowledged, nothing in the store moves.
What is not signed by the sender never comes near the private key. A sender with too many is held: 503, nothing
decrypted. SABOTAGE=name plants one of SABOTAGES; the harness must then be red.
"""

import asyncio
import gzip
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import rsa

from broker import inbound, opening, telemetry
from broker.diagnosis import CAUSES, causes
from broker.envelope.signature import sign_document
from broker.errors import NotTrusted, Refused
from broker.holds import LIMIT, SPAN, Holds
from broker.message import Answer, EventKind
from broker.receipts import message_error
from broker.routing.process import Processes
from broker.sealing.keys import KeyPair
from tests.scenario.forge import Draft, sealed
from tests.scenario.pair import DALBYGDA, NORDLI, Pair, dialogue, pair, shipped_processes
from tests.scenario.scenes import LEFT, LEFT_OPENS, MSG_ID, THIRD, THIRDS_MSG_ID, caught
from tests.scenario.witness import differences, dump, events_after
from tests.unit.sealing.test_cms_open import BROKEN
from tests.unit.sealing.test_cms_open import OURS as RIGHT_OPENS

FLOOR_KINDS = 40
FLOOR_UNSIGNED = 10
FLOOR_HOLD = 18
FLOOR_OPENED = 25  # kinds that get as far as the private key: the others would be told apart by nothing

Make = Callable[[], bytes]


def _held(content: bytes) -> Make:
    return lambda: sealed(content, RIGHT_OPENS.certificate)


def _zipped(content: bytes) -> Make:
    return _held(gzip.compress(content, mtime=0))


DOCUMENT = dialogue(MSG_ID)
_SIGNED = sign_document(DOCUMENT, LEFT)

# The ciphertext opens, and what is in it still does not say who it is from.
INSIDE: dict[str, Make] = {
    "inside: nothing": _held(b""),
    "inside: noise": _held(bytes(range(256))),
    "inside: gzip that is cut off": _held(gzip.compress(DOCUMENT, mtime=0)[:-4]),
    "inside: gzip with something behind it": _held(gzip.compress(DOCUMENT, mtime=0) + b"x"),
    "inside: a bomb": _zipped(bytes(40_000_000)),
    "inside: gzip of noise": _zipped(bytes(range(256))),
    "inside: another ciphertext": lambda: sealed(sealed(DOCUMENT, LEFT_OPENS.certificate), RIGHT_OPENS.certificate),
    "inside: not well-formed": _held(DOCUMENT[:-3]),
    "inside: a DOCTYPE": _held(b"<!DOCTYPE x>" + DOCUMENT.partition(b"?>")[2]),
    "inside: another root": _held(b"<x/>"),
    "inside: no sender": _held(re.sub(b"<Sender>.*</Sender>", b"", DOCUMENT, flags=re.DOTALL)),
    "inside: another sender": _held(dialogue(MSG_ID, sender=NORDLI)),
    "inside: an inner signature that is broken": _held(_SIGNED.replace("Blåbær".encode(), "Tyttebær".encode())),
    "inside: an inner signature of someone else": _held(sign_document(DOCUMENT, THIRD)),
}
KINDS = BROKEN | INSIDE

# Whoever sends these has not the sender's key: the ciphertext is good, and must not be looked at.
UNSIGNED: dict[str, Callable[[Draft], Draft]] = {
    "no signature": lambda good: good.unsigned(),
    "signed by the third party": lambda good: good.signed(THIRD),
    "the third party's key, the sender's certificate": lambda good: good.signed(
        KeyPair(private_key=THIRD.private_key, certificate=LEFT.certificate)
    ),
    "one bit of the ciphertext": lambda good: good.carrying(good.payload[:-1] + bytes((good.payload[-1] ^ 1,))),
    "another ciphertext": lambda good: good.carrying(sealed(b"x", RIGHT_OPENS.certificate)),
    "another MessageId": lambda good: good.edit("<eb:MessageId>.", "<eb:MessageId>f"),
    "another digest": lambda good: good.edit('(URI="".*?<ds:DigestValue>)....', r"\1AAAA"),
    "another value": lambda good: good.edit("<ds:SignatureValue>....", "<ds:SignatureValue>AAAA"),
    "the payload not referred to": lambda good: good.edit('<ds:Reference URI="cid:.*?</ds:Reference>', ""),
    "the signature in the body": lambda good: good.put(sig := good.found("<ds:Signature>.*</ds:Signature>"), "").put(
        "</SOAP:Body>", f"{sig}</SOAP:Body>"
    ),
}


class _Spied:
    """A private key that counts what it is asked to decrypt."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key, self.decrypted = key, 0

    def decrypt(self, *args: Any) -> bytes:
        self.decrypted += 1
        return self._key.decrypt(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._key, name)


class SpiedKeys:
    """The receiver's keys, watched: who asks for those that open, and what they are used on."""

    def __init__(self, keys: Any, pair_: KeyPair) -> None:
        self._keys, self.asked, self.spied = keys, 0, _Spied(pair_.private_key)
        self._opening = KeyPair(private_key=cast(rsa.RSAPrivateKey, self.spied), certificate=pair_.certificate)

    def signing(self, her_id: int, at: Any) -> KeyPair:
        key: KeyPair = self._keys.signing(her_id, at)
        return key

    def opening(self, her_id: int) -> tuple[KeyPair, ...]:
        self.asked += 1
        return (self._opening,)

    @property
    def used(self) -> tuple[int, int]:
        """Return how often a key was asked for, and how often one decrypted."""
        return self.asked, self.spied.decrypted


@dataclass
class Report:
    """What was executed, and what went wrong."""

    kinds: dict[str, bool] = field(default_factory=dict)  # kind -> whether the private key was used on it
    unsigned: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)  # each that is new; the first of a way is the one to get
    held: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


async def run(folder: Path, *, ways: tuple[bool, ...] = (True, False)) -> Report:
    """Execute everything, with signals in the HTTP answer and without."""
    report = Report()
    for sync in ways:
        async with pair(folder / f"sync-{sync}", sync=sync, third=True) as brokers:
            await _Bench(brokers, folder / f"sync-{sync}", report).all()
    return report


class _Bench:
    """One receiver, with its keys watched."""

    def __init__(self, brokers: Pair, folder: Path, report: Report) -> None:
        self._brokers, self._right, self._report = brokers, brokers.right, report
        self._store_folder = folder / str(DALBYGDA)
        self._keys = SpiedKeys(self._right.doors.keys, RIGHT_OPENS)
        self._right.doors = replace(self._right.doors, keys=self._keys, processes=_with_document_signatures)
        self._way = "in the HTTP answer" if brokers.sync else "as a POST of its own"

    async def all(self) -> None:
        template = await caught(self._brokers, self._brokers.left, DOCUMENT)
        thirds = await caught(self._brokers, self._brokers.third, dialogue(THIRDS_MSG_ID, sender=NORDLI))
        good = template.carrying(sealed(DOCUMENT, RIGHT_OPENS.certificate)).signed(LEFT)
        for name, forge in UNSIGNED.items():
            await self._unsigned(name, forge(good))
        for name, make in KINDS.items():
            await self._broken(name, template.carrying(make()).signed(LEFT))
        others = thirds.carrying(sealed(dialogue(THIRDS_MSG_ID, sender=NORDLI), RIGHT_OPENS.certificate))
        await self._hold(template, good, others.signed(THIRD))

    async def _told(self, draft: Draft) -> Answer:
        """Send it; return what the sender was told, whichever way that went."""
        sent, wire = draft.entity(), self._brokers.wire
        answer = await inbound.receive(sent.content_type, sent.body, self._right.doors)
        if self._brokers.sync or answer.status != 204:
            return answer
        wire.plan = ["catch"]
        await self._brokers.run(only=self._right)
        later = wire.caught.pop()
        return Answer(status=204, content_type=later.content_type, body=later.body)

    async def _unsigned(self, name: str, draft: Draft) -> None:
        before = self._keys.used
        answer = await self._told(draft)
        self._report.unsigned.append(name)
        self._same(name, answer)
        if self._keys.used != before:
            self._fault(f"OPENED {name}: a ciphertext that the sender did not sign came to the private key")

    async def _broken(self, name: str, draft: Draft) -> None:
        # A hold would be another answer, and has its own turn.
        self._right.doors = replace(self._right.doors, holds=Holds())
        stood, used = dump(self._store_folder), self._keys.spied.decrypted
        answer = await self._told(draft)
        self._report.kinds[name] = self._keys.spied.decrypted > used
        self._same(name, answer)
        if b">Acknowledgment<" in answer.body:
            self._fault(f"ACKNOWLEDGED {name}")
        if moved := differences(stood, dump(self._store_folder)):
            self._fault(f"MOVED {name}: {', '.join(moved)}")

    def _same(self, name: str, answer: Answer) -> None:
        told = f"{answer.status} {answer.content_type} {len(answer.body)}\n".encode() + normal(answer.body)
        # The two ways have the same bytes in another status; they are compared each with its own kind.
        mine = [one for one in self._report.answers if one[:3] == told[:3]]
        if mine and told != mine[0]:
            self._fault(f"TOLD APART {name}: another answer than the rest got")
        if told not in mine:
            self._report.answers.append(told)

    def _fault(self, text: str) -> None:
        self._report.faults.append(f"{text} ({self._way})")

    # --- the hold ---

    async def _hold(self, template: Draft, good: Draft, others: Draft) -> None:
        """LIMIT and one more do not open: then nothing of that sender is opened for SPAN, and of others all."""
        self._right.doors = replace(self._right.doors, holds=Holds())
        for _ in range(LIMIT + 5):
            await self._told(good.unsigned())
        broken = template.carrying(sealed(b"x", RIGHT_OPENS.certificate)).signed(LEFT)
        offset = (await events_after(self._right.store, 0))[-1].offset
        for number in range(LIMIT + 1):
            if (await self._told(broken)).status == 503:
                self._fault(f"HELD TOO EARLY: after {number} that did not open, and some that nobody signed")
                return
        events = await events_after(self._right.store, offset)
        self._step("an alarm with its error id stands in the events", _alarms(events) == 1)
        self._step("the error id is in the catalogue", causes.SENDER_HELD in CAUSES)
        used = self._keys.used
        self._step("one more gets 503", await self._is_503(broken))
        self._step("a good one gets 503 too", await self._is_503(good))
        self._step("nothing was decrypted", self._keys.used == used)
        self._step("another sender is not held", b">Acknowledgment<" in (await self._told(others)).body)
        self._brokers.clock.time += SPAN - timedelta(seconds=1)
        self._step("held still, a second before the hour", await self._is_503(good))
        self._brokers.clock.time += timedelta(seconds=1)
        self._step("after the hour a good one is taken", b">Acknowledgment<" in (await self._told(good)).body)
        for _ in range(LIMIT + 1):
            await self._told(broken.put("<eb:MessageId>", "<eb:MessageId>again-").signed(LEFT))
        again = await self._told(good)
        self._step("who is held still gets the recorded answer", b">Acknowledgment<" in again.body)

    async def _is_503(self, draft: Draft) -> bool:
        answer = await self._told(draft)
        return (answer.status, answer.body) == (503, b"")

    def _step(self, what: str, holds: bool) -> None:
        self._report.held.append(what)
        if not holds:
            self._fault(f"HOLD: not so: {what}")


def _alarms(events: list[Any]) -> int:
    return sum(
        stored.event.kind is EventKind.SECURITY and stored.event.error_id == causes.SENDER_HELD for stored in events
    )


def _with_document_signatures() -> Processes:
    """The shipped processes, all with an agreed signature in the document."""
    known = shipped_processes()
    return Processes(by_name={name: replace(one, sign_document=True) for name, one in known.by_name.items()})


_IDS_AND_TIMES = re.compile(
    rb"(?<=<eb:MessageId>)[^<]*|(?<=<eb:Timestamp>)[^<]*|(?<=<ds:DigestValue>)[^<]*|(?<=<ds:SignatureValue>)[^<]*"
    rb"|(?<=<eb:RefToMessageId>)[^<]*"
)


def normal(body: bytes) -> bytes:
    """Return an answer without its ids and times, and what is computed from them."""
    return _IDS_AND_TIMES.sub(b"*", body)


# --- planted faults ---


def _by_cause(received: Any, refused: Refused, **more: Any) -> Any:
    """A friendly answer: what could not be read is said not to be XML."""
    built = message_error.build_message_error(received, refused, **more)
    if "say who" not in refused.why or built.error_list is None:
        return built
    (error,) = built.error_list.errors
    return replace(built, error_list=replace(built.error_list, errors=(replace(error, code="OtherXml"),)))


def _open_first(came: Any) -> Any:
    """Decrypt before the signature is looked at."""
    doors = _open_first.doors  # type: ignore[attr-defined] # set below
    try:
        opening._decrypt_all(came, doors)
    except Refused as why:
        raise NotTrusted(why.why) from None
    return _VERIFY(came)


async def _remember_doors(content_type: str, body: bytes, transfer_encoding: str, doors: Any) -> Answer:
    _open_first.doors = doors  # type: ignore[attr-defined] # read above
    return await _RECEIVE(content_type, body, transfer_encoding, doors)


_VERIFY, _RECEIVE = inbound._verify, inbound._receive

SABOTAGES: dict[str, Callable[[], list[Any]]] = {
    "tell-the-cause": lambda: [mock.patch.object(NotTrusted, "code", "NoSecret")],
    "another-code-for-what-opens": lambda: [mock.patch.object(inbound, "build_message_error", _by_cause)],
    "open-before-verifying": lambda: [
        mock.patch.object(inbound, "_verify", _open_first),
        mock.patch.object(inbound, "_receive", _remember_doors),
    ],
    "never-hold": lambda: [mock.patch.object(Holds, "failed", return_value=None)],
    "hold-and-open": lambda: [mock.patch.object(Holds, "until", return_value=None)],
}


@contextmanager
def sabotage(name: str) -> Iterator[None]:
    """Plant the fault of that name; none for an empty name."""
    patches = SABOTAGES[name]() if name else []
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


# --- the printed report ---


def show(report: Report) -> str:
    """Return the report as text."""
    opened = sum(report.kinds.values())
    width = max(map(len, report.kinds))
    lines = [f"{name:{width}}  {'private key used' if used else 'no key used'}" for name, used in report.kinds.items()]
    lines += [f"not signed by the sender, no key: {name}" for name in dict.fromkeys(report.unsigned)]
    lines += [f"hold: {step}" for step in dict.fromkeys(report.held)]
    lines.append(
        f"executed: {len(report.kinds)} kinds of broken ciphertext (at least {FLOOR_KINDS}), both ways of signalling; "
        f"{opened} of them at the private key (at least {FLOOR_OPENED}); {len(set(report.unsigned))} not signed by the "
        f"sender (at least {FLOOR_UNSIGNED}); {len(report.held)} steps of the hold (at least {FLOOR_HOLD}); different "
        f"answers: {len(report.answers)}, one a way"
    )
    return "\n".join([*lines, *report.faults])


def green(report: Report) -> bool:
    """Say whether nothing went wrong and enough was tried."""
    enough = (
        len(report.kinds) >= FLOOR_KINDS
        and sum(report.kinds.values()) >= FLOOR_OPENED
        and len(set(report.unsigned)) >= FLOOR_UNSIGNED
        and len(report.held) >= FLOOR_HOLD
        and len(report.answers) == 2
    )
    return enough and not report.faults


def main() -> int:
    """Print the report; return 0 when nobody could learn anything, and enough was tried."""
    name = os.environ.get("SABOTAGE", "")
    if name and name not in SABOTAGES:
        print(f"SABOTAGE must be one of {', '.join(SABOTAGES)}")
        return 2
    with tempfile.TemporaryDirectory() as folder, sabotage(name):
        report = asyncio.run(run(Path(folder)))
    print(show(report))
    print("green: every answer is the one answer" if green(report) else "red")
    return 0 if green(report) else 1


if __name__ == "__main__":
    telemetry.configure("critical")  # what is refused is shown in the report
    sys.exit(main())
