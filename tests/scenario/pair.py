"""Two brokers in one process: real stores, real cryptography, real documents; a chosen clock and a wire of our own.

The wire carries bytes between the two `inbound.receive`, and can lose a message before it is read, lose the answer
after, hold signals back, or be down. Nothing sleeps: `run` moves what is due, `pass_time` moves the clock.
"""

import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

from cryptography.x509 import Certificate

from broker import inbound, intake, outbound
from broker.demo.documents import Code, Conversation, Dialogue, Head, Unit, document, note
from broker.demo.people import AASE, NURSE
from broker.errors import TransportFailed
from broker.lookup.schemas import ThreadSchemas, schema_files
from broker.lookup.shipped import shipped
from broker.message import Client, Delivery, InboxItem, Message, Statement
from broker.ports import Carrier, Doors, Site, TransportReply
from broker.retry import BackOff
from broker.routing.party import Agreement, Directory, Party, PartyKind
from broker.routing.process import Processes
from broker.routing.process_files import processes, read_process
from broker.sealing.certificates import Use, new_certificate
from broker.sealing.keys import KeyPair
from broker.store.sqlite import SqliteStore, open_store
from broker.validation.codes import Codes, read_codes
from tests.certificates import key_pair

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FJORDVIK, DALBYGDA = 8000101, 8000201  # each side's unit
NORDLI = 8000301  # the third party's, where there is one: another organisation, and a partner of both
ORGANISATION = "314159265"  # what the test certificates name
ORGANISATIONS = {FJORDVIK: ORGANISATION, DALBYGDA: ORGANISATION, NORDLI: "271828182"}
LEASE = timedelta(minutes=5)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time


class Randomness:
    """A seeded source. Ids rise, as the real ones do."""

    def __init__(self, seed: int) -> None:
        self._random, self._count = random.Random(seed), 0

    def id(self) -> str:
        self._count += 1
        return f"{self._count:08x}-0000-7000-8000-{self._random.getrandbits(48):012x}"

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def jitter(self) -> float:
        return 0.0


class Addresses:
    """A directory that a test may change."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def current(self) -> Directory:
        return self.directory


@dataclass
class Keys:
    """The test's key pairs, by HER-id."""

    signing_pairs: dict[int, KeyPair]
    opening_pairs: dict[int, KeyPair]

    def signing(self, her_id: int, at: datetime) -> KeyPair:
        return self.signing_pairs[her_id]

    def opening(self, her_id: int) -> tuple[KeyPair, ...]:
        return (self.opening_pairs[her_id],)


async def _cpu(work: Callable[..., object], /, *args: object, **kwargs: object) -> object:
    return work(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class Caught:
    """A POST that was taken off the wire before anyone read it."""

    endpoint: str
    content_type: str
    body: bytes


Instead = Callable[[TransportReply], TransportReply]


@dataclass
class Wire:
    """Where a POST goes. `plan`: what happens to the next ones: "pass", "lose", "catch" (lose, and keep in `caught`),
    "lose answer", an HTTP status, or what is answered instead of the answer.
    """

    sides: dict[str, "Side"] = field(default_factory=dict)
    plan: list[str | int | Instead] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    log: list[tuple[str, bytes]] = field(default_factory=list)
    caught: list[Caught] = field(default_factory=list)

    async def post(self, endpoint: str, *, content_type: str, body: bytes, timeout: timedelta) -> TransportReply:
        if endpoint in self.down:
            raise TransportFailed("refused", error_id="MB-3202", maybe_read=False)
        fate = self.plan.pop(0) if self.plan else "pass"
        if fate == "catch":
            self.caught.append(Caught(endpoint, content_type, body))
        if fate in ("lose", "catch"):
            raise TransportFailed("reset", error_id="MB-3205", maybe_read=True)
        if isinstance(fate, int):
            return TransportReply(status=fate, content_type="text/html", body=b"<html>no</html>")
        self.log.append((endpoint, body))
        answer = await inbound.receive(content_type, body, self.sides[endpoint].doors)
        if fate == "lose answer":
            raise TransportFailed("reset", error_id="MB-3205", maybe_read=True)
        reply = TransportReply(status=answer.status, content_type=answer.content_type, body=answer.body)
        return fate(reply) if callable(fate) else reply


@dataclass
class Side:
    """One broker, and the EPJ that uses it."""

    her: int
    store: SqliteStore
    doors: Doors
    client: Client
    addresses: Addresses

    async def post(self, raw: bytes) -> intake.Taken:
        return await intake.accept(raw, self.client, self.doors)

    async def delivery(self, taken: intake.Taken) -> Delivery:
        work = await self.store.work(taken.deliveries[0].id)
        assert work is not None
        return work.delivery

    async def inbox(self, *, unread: bool = True) -> tuple[tuple[Message, InboxItem], ...]:
        return await self.store.inbox({self.her}, unread=unread, after=None, limit=100)

    async def kinds(self, message_id: str) -> list[str]:
        return [stored.event.kind for stored in await self.store.history(message_id)]


@dataclass
class Pair:
    """Both sides, their clock and the wire between them; and a third party, where it was asked for."""

    clock: Clock
    wire: Wire
    left: Side
    right: Side
    sync: bool
    others: tuple[Side, ...] = ()

    @property
    def third(self) -> Side:
        (third,) = self.others
        return third

    async def run(self, *, rounds: int = 60, only: Side | None = None) -> None:
        """Move everything that is due now, on all sides or one, until nothing is."""
        for _ in range(rounds):
            moved = False
            for side in (only,) if only else (self.left, self.right, *self.others):
                claimed = await side.store.claim(
                    now=self.clock.now(), until=self.clock.now() + LEASE, limit=20, per_lane=20, busy={}, closed=()
                )
                for work in claimed.work:
                    await outbound.proceed(work, side.doors)
                for signal in claimed.signals:
                    await inbound.send_signal(signal, side.doors)
                moved = moved or bool(claimed.work or claimed.signals)
            if not moved:
                return
        raise AssertionError(f"still moving after {rounds} rounds")

    async def pass_time(self, span: timedelta, *, step: timedelta | None = None) -> None:
        """Let time pass in steps, running what falls due."""
        end = self.clock.time + span
        while self.clock.time < end:
            self.clock.time = min(end, self.clock.time + (step or span))
            await self.run()


@cache
def shipped_processes() -> Processes:
    files = sorted(shipped("processes").glob("*.toml"))
    return processes(read_process(path.read_text("utf-8"), path.name) for path in files)


@cache
def shipped_codes() -> Codes:
    return read_codes({path.name: path.read_text("utf-8") for path in (shipped("schemas") / "codes").glob("*.toml")})


@cache
def shipped_schemas() -> ThreadSchemas:
    return ThreadSchemas(schema_files(shipped("schemas")))


def unit(her: int) -> Unit:
    """The unit as documents name it."""
    return Unit(
        her=her, name=f"Enhet {her}", organisation_her=her // 100 * 100, organisation_name=f"Kommune {her // 100}"
    )


def dialogue(
    msg_id: str,
    *,
    sender: int = FJORDVIK,
    receiver: int = DALBYGDA,
    text: str = "Blåbærtur på lørdag",
    answers: Conversation | None = None,
    ack: str = "J",
) -> bytes:
    """A clinical dialogue message, Dialogmelding 1.1."""
    head = Head(
        type=Code(value="DIALOG_HELSEFAGLIG", text="Helsefaglig dialog"),
        msg_id=msg_id,
        made_at=START,
        sender=unit(sender),
        receiver=unit(receiver),
        patient=AASE,
        conversation=answers,
    )
    theme = Code(value="6", text="Henvendelse om pasient", listed="7322")
    raw = document(head, note(Dialogue.V1_1, theme, subject="Samtale", text=text, author=NURSE), title="Samtale")
    wanted = b"" if ack == "" else f'<Ack V="{ack}" DN="x"/>'.encode()
    assert raw.count(b'<Ack V="J"') == 1
    start = raw.index(b"<Ack ")
    end = raw.index(b"/>", start) + 2
    return raw[:start] + wanted + raw[end:]


@cache
def side_key(her: int, use: Use) -> KeyPair:
    """Return a side's key, with a certificate of its organisation."""
    made = key_pair(f"side {her}", use)
    if ORGANISATIONS[her] == ORGANISATION:
        return made
    certificate = new_certificate(
        f"side {her}",
        ORGANISATIONS[her],
        use,
        made.certificate.not_valid_before_utc,
        made.certificate.not_valid_after_utc,
        made.private_key,
        serial=made.certificate.serial_number,
    )
    return KeyPair(private_key=made.private_key, certificate=certificate)


def _party(her: int, *, sync: bool, others: Mapping[int, str]) -> tuple[Party, ...]:
    """Return the records of a side and its organisation; `others` are those that it has agreements with: CPAId."""
    organisation = Party(
        her_id=her // 100 * 100,
        name=f"Kommune {her // 100}",
        kind=PartyKind.ORGANISATION,
        organisation_number=ORGANISATIONS[her],
        signing=(side_key(her, Use.SIGN).certificate,),
        encryption=(side_key(her, Use.ENCRYPT).certificate,),
        endpoint=f"http://127.0.0.1/{her}",
    )
    own = Party(
        her_id=her, name=f"Enhet {her}", kind=PartyKind.EPJ, organisation_number=None, parent=organisation.her_id
    )
    agreements = tuple(
        Agreement(
            cpa_id=cpa_id,
            ours=other,
            theirs=her,
            retries=3,
            retry_interval=timedelta(minutes=5),
            persist_duration=timedelta(days=2),
            sync=sync,
        )
        for other, cpa_id in others.items()
    )
    return organisation, replace(own, agreements=agreements)


def directory_of(hers: Collection[int], *, sync: bool) -> Directory:
    """Return the records of these parties, with an agreement between any two."""
    agreed = {
        FJORDVIK: {DALBYGDA: "cpa-1"},
        DALBYGDA: {FJORDVIK: "cpa-1"},
        NORDLI: {FJORDVIK: "cpa-2", DALBYGDA: "cpa-3"},
    }
    parties = [party for her in hers for party in _party(her, sync=sync, others=agreed[her])]
    return Directory(parties={party.her_id: party for party in parties})


class Revocation:
    """Who is asked for revocation; nobody until a test says whom."""

    services: Any = None

    async def require_good(self, path: tuple[Certificate, ...], at: datetime) -> tuple[Statement, ...]:
        return cast(tuple[Statement, ...], await self.services.require_good(path, at))


async def open_side(
    folder: Path,
    her: int,
    directory: Directory,
    clock: Clock,
    carrier: Carrier,
    randomness: Randomness,
    reserve: int = 0,
) -> Side:
    """Give one broker on the store in `folder`, made or as it was left."""

    def broken(error: BaseException) -> None:
        raise AssertionError("the store broke") from error

    store = await open_store(folder, site_key=her.to_bytes(4) * 8, on_broken=broken, reserve=reserve)
    addresses = Addresses(directory)
    doors = Doors(
        site=Site(
            environment="test",
            hosted={her: ORGANISATIONS[her]},
            host=f"b{her}.test",
            software="DigiHelse",
            version="test",
            back_off=BackOff(),
            timeout=timedelta(seconds=10),
            max_document=35_000_000,
            max_envelope=52_000_000,
        ),
        store=store,
        carrier=carrier,
        addresses=addresses,
        processes=shipped_processes,
        codes=shipped_codes(),
        schemas=shipped_schemas(),
        keys=Keys({her: side_key(her, Use.SIGN)}, {her: side_key(her, Use.ENCRYPT)}),
        clock=clock,
        randomness=randomness,
        revocation=Revocation(),
        cpu=_cpu,  # type: ignore[arg-type] # runs the work in place
        wake=lambda: None,
    )
    client = Client(name=f"epj {her}", hers=frozenset({her}))
    return Side(her=her, store=store, doors=doors, client=client, addresses=addresses)


@asynccontextmanager
async def pair(folder: Path, *, sync: bool = True, third: bool = False) -> AsyncIterator[Pair]:
    """Give two brokers that have an agreement, and a third that has one with each; close their stores in the end."""
    clock, wire = Clock(), Wire()
    hers = (FJORDVIK, DALBYGDA, NORDLI) if third else (FJORDVIK, DALBYGDA)
    directory = directory_of(hers, sync=sync)
    sides: list[Side] = []
    try:
        for seed, her in enumerate(hers, 1):
            sides.append(await open_side(folder / str(her), her, directory, clock, wire, Randomness(seed)))
        wire.sides = {f"http://127.0.0.1/{side.her}": side for side in sides}
        left, right, *others = sides
        yield Pair(clock=clock, wire=wire, left=left, right=right, sync=sync, others=tuple(others))
    finally:
        for side in sides:
            await side.store.close()
