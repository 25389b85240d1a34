"""One bit of a kept body turns: it is noticed at read, held for a person, and never sent on; the others go their way.

Two brokers in one process, with a chosen clock; the bit is turned in the files of the store, behind its back.
"""

import os
import random
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker import handover, outbound, telemetry
from broker.diagnosis import causes
from broker.message import Ball, EventKind, NewBody, Verdict
from broker.ports import BodyDamaged
from broker.store import bodies
from broker.store.bodies import Vault
from broker.store.schema import BODIES, DATABASE
from tests.scenario.pair import DALBYGDA, FJORDVIK, Pair, Side, dialogue, pair

LARGE = 300_000  # characters of text: such a body is a file
_TRIGGER = "SELECT sql FROM sqlite_master WHERE name = 'body_fixed'"


@dataclass
class Rotten:
    """What was turned, and what was wrong."""

    seed: int
    bits: int = 0  # of one body and its key, each of them alone
    turned: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Turns one bit of a body of a side's store: of its key, or of its bytes at a place between 0 and 1."""

    folder: Path
    place: float
    of_key: bool = False

    def __call__(self, side: int, body: str) -> None:
        with closing(sqlite3.connect(self.folder / str(side) / DATABASE, isolation_level=None)) as db:
            trigger = db.execute(_TRIGGER).fetchone()[0]
            wrapped, sealed, file = db.execute(
                "SELECT wrapped, sealed, file FROM body WHERE id = ?", (body,)
            ).fetchone()
            if file is not None and not self.of_key:
                path = self.folder / str(side) / BODIES / file
                path.write_bytes(self._turned(path.read_bytes()))
                return
            column, content = ("wrapped", wrapped) if self.of_key else ("sealed", sealed)
            db.execute("DROP TRIGGER body_fixed")  # the disk asks nobody
            db.execute(f"UPDATE body SET {column} = ? WHERE id = ?", (self._turned(content), body))
            db.execute(trigger)

    def _turned(self, content: bytes) -> bytes:
        at = min(int(self.place * len(content)), len(content) - 1)
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


Case = Callable[[Pair, Turn, int], Awaitable[list[str]]]


async def unsealed_document(both: Pair, turn: Turn, size: int) -> list[str]:
    taken = await both.left.post(_letter(both, "a", size))
    turn(FJORDVIK, taken.message.body)
    await both.run()
    return [*_on_wire(both, 0), *await _held(both.left, taken.deliveries[0].id)]


async def envelope(both: Pair, turn: Turn, size: int) -> list[str]:
    both.wire.plan = [503]
    taken = await both.left.post(_letter(both, "a", size))
    await both.run()
    work = await both.left.store.work(taken.deliveries[0].id)
    assert work is not None
    assert work.envelope is not None
    turn(FJORDVIK, work.envelope.body)
    await both.pass_time(timedelta(minutes=20))
    return [*_on_wire(both, 0), *await _held(both.left, taken.deliveries[0].id)]


async def document_to_be_sent_again(both: Pair, turn: Turn, size: int) -> list[str]:
    taken = await both.left.post(_letter(both, "a", size))
    await both.run()
    turn(FJORDVIK, taken.message.body)
    await both.pass_time(timedelta(hours=25), step=timedelta(hours=5))
    return [*_on_wire(both, 1), *await _held(both.left, taken.deliveries[0].id)]


async def received_document(both: Pair, turn: Turn, size: int) -> list[str]:
    await both.left.post(_letter(both, "a", size))
    await both.run()
    ((message, item),) = await both.right.inbox()
    turn(DALBYGDA, message.body)
    wrong = []
    for _ in range(2):
        try:
            await handover.content_of(message, item, both.right.doors)
            wrong.append("a damaged document was handed over")
        except BodyDamaged:
            pass
    try:
        await handover.verdict(item.id, Verdict.OK, (), both.right.client, both.right.doors)
        wrong.append("a damaged document was receipted")
    except BodyDamaged:
        pass
    await both.run()
    told = await _told(both.right)
    return [*wrong, *_on_wire(both, 1), *([] if told == 1 else [f"told {told} times, not once"])]


async def recorded_answer(both: Pair, turn: Turn, size: int) -> list[str]:
    both.wire.plan = ["lose answer"]
    await both.left.post(_letter(both, "a", size))
    await both.run()
    turn(DALBYGDA, _only(turn, DALBYGDA, "SELECT answer FROM received"))
    before = len(both.wire.log)
    await both.pass_time(timedelta(minutes=6))
    wrong = [] if len(both.wire.log) > before else ["the copy did not come again"]
    return [*wrong, *([] if await _told(both.right) else ["nobody was told"])]


async def signal(both: Pair, turn: Turn, size: int) -> list[str]:
    await both.left.post(_letter(both, "a", size))
    claimed = await both.left.store.claim(
        now=both.clock.now(), until=both.clock.now() + timedelta(minutes=5), limit=1, per_lane=1, busy={}, closed=()
    )
    await outbound.proceed(claimed.work[0], both.left.doors)
    turn(DALBYGDA, _only(turn, DALBYGDA, "SELECT body FROM signal"))
    await both.run()
    return [*_on_wire(both, 1), *([] if await _told(both.right) else ["nobody was told"])]


async def apprec(both: Pair, turn: Turn, size: int) -> list[str]:
    await both.left.post(_letter(both, "a", size))
    await both.run()
    ((_, item),) = await both.right.inbox()
    answered = await handover.verdict(item.id, Verdict.OK, (), both.right.client, both.right.doors)
    assert answered.apprec_message is not None
    (found,) = await both.right.store.find(answered.apprec_message, hers=None)
    turn(DALBYGDA, found.message.body)
    await both.run()
    return [*_on_wire(both, 1), *await _held(both.right, found.deliveries[0].id)]


CASES: tuple[tuple[Case, bool], ...] = (  # and whether signals come in the HTTP answer
    (unsealed_document, True),
    (envelope, True),
    (document_to_be_sent_again, True),
    (received_document, True),
    (recorded_answer, True),
    (signal, False),
    (apprec, True),
)


async def rotten(folder: Path, *, seed: int, places: int) -> Rotten:
    """Go through all cases, small and large, at `places` places of the bytes each, and once in the key."""
    if os.environ.get("SABOTAGE") == "trust-damaged":
        vars(bodies)["AESGCM"] = _WithoutTag
    telemetry.configure("error")
    seen, chance = Rotten(seed=seed), random.Random(seed)
    seen.bits, undetected = every_bit(folder / "vault")
    if undetected:
        seen.wrong.append(f"{undetected} of {seen.bits} turned bits of one body were not noticed")
        return seen
    for number, (case, sync) in enumerate(CASES):
        for size in (0, LARGE):
            for place in (*(chance.random() for _ in range(places)), None):
                at = folder / f"{number}-{size}-{len(seen.turned)}"
                turn = Turn(folder=at, place=place or chance.random(), of_key=place is None)
                name = f"{case.__name__}, {size} characters, {'key' if place is None else f'bytes at {place:.3f}'}"
                seen.turned.append(name)
                async with pair(at, sync=sync) as both:
                    try:
                        wrong = await case(both, turn, size)
                    except Exception as fault:
                        wrong = [f"{type(fault).__name__} came out of it"]
                    wrong += await _others_go(both)
                seen.wrong += [f"{name}: {one}" for one in wrong]
    return seen


def every_bit(folder: Path) -> tuple[int, int]:
    """Turn each bit of a small body and of its key, one at a time. Returns how many, and how many went unnoticed."""
    folder.mkdir(parents=True)
    safe = Vault(folder, bytes(32))
    (kept,) = safe.seal([NewBody(id="one", content=b"<MsgHead>Blodtrykk 128/78</MsgHead>")])
    assert kept.sealed is not None
    count = unnoticed = 0
    for name in ("wrapped", "sealed"):
        content = getattr(kept, name)
        for bit in range(len(content) * 8):
            turned = bytearray(content)
            turned[bit // 8] ^= 1 << bit % 8
            both = {"wrapped": kept.wrapped, "sealed": kept.sealed} | {name: bytes(turned)}
            count += 1
            try:
                safe.open("one", wrapped=both["wrapped"], sealed=both["sealed"], file=None)
                unnoticed += 1
            except BodyDamaged:
                pass
    return count, unnoticed


async def _others_go(both: Pair) -> list[str]:
    """A message beside the damaged one comes to its end."""
    both.wire.plan = []
    taken = await both.left.post(_letter(both, "beside", 0))
    await both.run()
    item = next(item for message, item in await both.right.inbox() if message.msg_id == taken.message.msg_id)
    await handover.verdict(item.id, Verdict.OK, (), both.right.client, both.right.doors)
    await both.run()
    delivery = await both.left.delivery(taken)
    return [] if delivery.state.outcome == "completed" else ["the message beside it did not complete"]


async def _held(side: Side, delivery: str) -> list[str]:
    work = await side.store.work(delivery)
    assert work is not None
    found, wrong = work.delivery, []
    if (found.cause, found.ball, found.transport_due) != (causes.BODY_DAMAGED, Ball.PERSON, None):
        wrong.append(f"cause {found.cause}, ball {found.ball}, next try {found.transport_due}")
    told = [stored.event.error_id for stored in await side.store.history(work.message.id)]
    return [*wrong, *([] if causes.BODY_DAMAGED in told else ["no event says so"])]


def _on_wire(both: Pair, most: int) -> list[str]:
    sent = len(both.wire.log)
    return [] if sent <= most else [f"{sent} POSTs on the wire, {most} at most"]


async def _told(side: Side) -> int:
    events = await side.store.events(kinds=list(EventKind), after=0, limit=1000)
    return sum(stored.event.error_id == causes.BODY_DAMAGED for stored in events)


def _only(turn: Turn, side: int, query: str) -> str:
    with closing(sqlite3.connect(turn.folder / str(side) / DATABASE)) as db:
        ((found,),) = db.execute(query).fetchall()
    return str(found)


def _letter(both: Pair, name: str, size: int) -> bytes:
    return dialogue(f"{name}-{size}", text="Såret gror. " + "å" * size)


class _WithoutTag:
    """The planted fault: the bytes of AES-GCM without a look at the tag."""

    generate_key = staticmethod(AESGCM.generate_key)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, content: bytes, bound_to: bytes) -> bytes:
        return AESGCM(self._key).encrypt(nonce, content, bound_to)

    def decrypt(self, nonce: bytes, sealed: bytes, _bound_to: bytes) -> bytes:
        cipher = Cipher(algorithms.AES(self._key), modes.CTR(nonce + (2).to_bytes(4))).decryptor()
        return cipher.update(sealed[:-16]) + cipher.finalize()
