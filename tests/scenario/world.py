"""Two brokers that may be killed, the EPJs beside them, and a wire that a journey may make trouble on.

Time goes from one thing that is due to the next. A broker that is killed is opened again on its files at once; whoever
spoke to it goes on as a real one does: the EPJ asks again, the partner tries again when its own clock says so.
"""

import re
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

from broker import acts, inbound, outbound
from broker.envelope.ebms import MSH_SERVICE
from broker.errors import OwnKeyUnusable, TransportFailed, Unaddressable
from broker.message import Answer
from broker.ports import Doors, Store, TransportReply
from broker.retry import ReceiptPolicy
from broker.routing.party import Directory, ReceiptOn
from broker.routing.process import Processes
from broker.sealing.keys import KeyPair
from tests.scenario.epjs import Epj, Word
from tests.scenario.mortal import Killed, Knife, Life, MortalAddresses, MortalCarrier, MortalKeys, MortalStore
from tests.scenario.pair import (
    DALBYGDA,
    FJORDVIK,
    LEASE,
    START,
    Clock,
    Keys,
    Randomness,
    Side,
    dialogue,
    directory_of,
    open_side,
    shipped_processes,
)

LEFT, RIGHT = "left", "right"
HERS = {LEFT: FJORDVIK, RIGHT: DALBYGDA}
_ROUNDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One POST on the wire."""

    side: str  # who sends it
    eb_id: str
    about: str | None  # RefToMessageId of a signal
    copy: int  # 1: these bytes go for the first time
    after: timedelta  # since the start

    @property
    def signal(self) -> bool:
        return self.about is not None


Fate = str | int  # pass, lose, lose answer, down; a number is an HTTP status in its place; "deaf": it arrives, and 400


def passes(_: Parcel) -> Fate:
    """Let everything through."""
    return "pass"


Wrap = Callable[[Store, Life], Store]
Act = Callable[[str, acts.By, Doors], Awaitable[acts.Done]]  # acts.close and its like


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What happens to a document of the left EPJ, and how it may end."""

    name: str
    ends: frozenset[str]  # what the sender's EPJ may be told last; see balance
    sync: bool = True
    ack: str = "J"
    word: Word | None = field(default_factory=Word)  # of the right EPJ
    fate: Callable[[Parcel], Fate] = passes
    arrives: bool | None = True  # at the right EPJ; None: it may or may not
    posts: int = 1
    documents: int = 1
    horizon: timedelta = timedelta(hours=100)
    policy: ReceiptPolicy | None = None  # instead of the process's own
    receipt_on: ReceiptOn = ReceiptOn.WORD  # of the right party
    right_is: Literal["test", "production"] = "test"  # the right broker's environment
    left_without_key: timedelta = timedelta()  # since the start
    left_without_addresses: timedelta = timedelta()
    right_distrusts: timedelta = timedelta()  # the left's certificate
    asked_back: bool = False  # the right EPJ sends a document too
    person: tuple[tuple[timedelta, Act], ...] = ()  # what a person of the left does to its messages, and when
    restored: timedelta | None = None  # when the left goes back to its files as they were after its first 202


class Forbidden:
    """Keys that are not there for a while."""

    def __init__(self, inner: Keys, clock: Clock, until: datetime) -> None:
        self._inner, self._clock, self._until = inner, clock, until

    def signing(self, her_id: int, at: datetime) -> KeyPair:
        if self._clock.now() < self._until:
            raise OwnKeyUnusable("not there", error_id="MB-4104")
        return self._inner.signing(her_id, at)

    def opening(self, her_id: int) -> tuple[KeyPair, ...]:
        return self._inner.opening(her_id)


class Changing:
    """Address records that change with time, as the journey says."""

    def __init__(self, whole: Directory, spoiled: Directory | None, clock: Clock, until: datetime) -> None:
        self._whole, self._spoiled, self._clock, self._until = whole, spoiled, clock, until

    def current(self) -> Directory:
        if self._clock.now() >= self._until:
            return self._whole
        if self._spoiled is None:
            raise Unaddressable("no registry", error_id="MB-2004")
        return self._spoiled


class World:
    """One journey under one knife."""

    def __init__(
        self, folder: Path, journey: Journey, knife: Knife, *, wrap: Wrap | None = None, seed: int = 1
    ) -> None:
        self._folder, self.journey, self.knife, self._wrap = folder, journey, knife, wrap
        self.clock = Clock()
        self.sides: dict[str, Side] = {}
        self.epjs = {LEFT: Epj(Word() if journey.asked_back else None), RIGHT: Epj(journey.word)}
        self.envelopes: dict[str, set[bytes]] = {}  # eb:MessageId -> what went out under it
        self.acknowledgments: dict[str, set[bytes]] = {}  # eb:MessageId -> what was answered to it
        self.posted: dict[str, tuple[str, str, bytes]] = {}  # eb:MessageId -> to whom, Content-Type, bytes
        self._folders: dict[str, Path] = {}
        self._copies: dict[bytes, int] = {}
        self._random = {LEFT: Randomness(2 * seed), RIGHT: Randomness(2 * seed + 1)}
        self._generation = 0
        self._to_do = list(journey.person)
        self._backup: Path | None = None

    async def __aenter__(self) -> Self:
        for side in (LEFT, RIGHT):
            await self._open(side, self._folder / side)
        journey = self.journey
        for number in range(journey.documents):
            self._hand_over(LEFT, RIGHT, f"{number:08x}-0000-4000-8000-0000000000{journey.posts:02x}")
        if journey.asked_back:
            self._hand_over(RIGHT, LEFT, "ffffffff-0000-4000-8000-000000000000")
        return self

    async def __aexit__(self, *_: object) -> None:
        for side in self.sides.values():
            await side.store.close()

    def _hand_over(self, sender: str, receiver: str, msg_id: str) -> None:
        content = dialogue(msg_id, sender=HERS[sender], receiver=HERS[receiver], ack=self.journey.ack)
        self.epjs[sender].hand_over(msg_id, content, posts=self.journey.posts)

    # --- living and dying ---

    async def _open(self, name: str, folder: Path) -> None:
        journey, life = self.journey, Life(name, self.knife)
        whole = directory_of((FJORDVIK, DALBYGDA), sync=journey.sync)
        party = replace(whole.parties[DALBYGDA], receipt_on=journey.receipt_on)
        whole = Directory(parties={**whole.parties, DALBYGDA: party})
        carrier = MortalCarrier(self._post, life)
        side = await open_side(folder, HERS[name], whole, self.clock, carrier, self._random[name])
        doors, keys = side.doors, side.doors.keys
        assert isinstance(keys, Keys)
        left = name == LEFT
        spoiled, until = (
            (None, journey.left_without_addresses) if left else (_distrusting(whole), journey.right_distrusts)
        )
        without_key = journey.left_without_key if left else timedelta()
        store = self._wrap(side.store, life) if self._wrap else side.store
        side.doors = replace(
            doors,
            store=MortalStore(store, life),
            addresses=MortalAddresses(Changing(whole, spoiled, self.clock, START + until), life),
            keys=MortalKeys(Forbidden(keys, self.clock, START + without_key), life),
            processes=lambda: _processes(journey.policy),
            site=replace(doors.site, environment="test" if left else journey.right_is),
        )
        self.sides[name] = side
        self._folders[name] = folder

    async def restart(self, name: str) -> None:
        """Open the side again on its files as they lie now."""
        self._generation += 1
        copy = self._folder / f"{name}-{self._generation}"
        shutil.copytree(self._folders[name], copy)
        await self.sides[name].store.close()
        await self._open(name, copy)

    def folder_of(self, name: str) -> Path:
        """Return where the side's store lies."""
        return self._folders[name]

    async def attempt(self, story: Callable[[], Awaitable[bool]]) -> bool:
        """Run a story; where a broker dies in it, open it again: something has happened then."""
        try:
            return await story()
        except Killed as killed:
            await self.restart(killed.side)
            return True

    # --- time ---

    async def live(self) -> None:
        """Let time pass until nothing is due any more, or the journey's horizon is reached."""
        with self.knife.watching():
            await self.live_on()

    async def live_on(self) -> None:
        """Do the same, within a watch that is kept already."""
        while True:
            await self._until_quiet()
            await self._restore()
            due = await self._next()
            if due is None or due > START + self.journey.horizon:
                return
            self.clock.time = due

    async def _until_quiet(self) -> None:
        for _ in range(_ROUNDS):
            moved = False
            for name in self.sides:
                moved |= await self.attempt(lambda name=name: self.epjs[name].act(self.sides[name]))  # type: ignore[misc] # mypy can't infer a lambda with a default
                self._back_up()
                moved |= name == LEFT and await self.attempt(self._person)
                moved |= await self.attempt(lambda name=name: self.work(name))  # type: ignore[misc] # as above
            if not moved:
                return
        raise AssertionError(f"{self.journey.name}: still moving after {_ROUNDS} rounds")

    async def _person(self) -> bool:
        """Do what a person wants by now. Where the broker dies they ask again."""
        if not self._to_do or self._to_do[0][0] > self.clock.now() - START:
            return False
        _, act = self._to_do[0]
        for ids in self.epjs[LEFT].ledger.taken.values():
            for message, *_ in ids:
                await act(message, acts.By(actor="kari", reason="agreed by telephone"), self.sides[LEFT].doors)
        del self._to_do[0]
        return True

    async def work(self, name: str) -> bool:
        """Claim what is due on one side, and do it."""
        now, doors = self.clock.now(), self.sides[name].doors
        claimed = await doors.store.claim(now=now, until=now + LEASE, limit=20, per_lane=20, busy={}, closed=())
        for work in claimed.work:
            await outbound.proceed(work, doors)
        for signal in claimed.signals:
            await inbound.send_signal(signal, doors)
        return bool(claimed.work or claimed.signals)

    async def _next(self) -> datetime | None:
        now = self.clock.now()
        times = [await side.store.next_due(closed=()) for side in self.sides.values()]
        times += [epj.wakes(now) for epj in self.epjs.values()]
        times += [START + after for after, _ in self._to_do[:1]]
        times += [START + self.journey.restored] if self._backup and self.journey.restored else []
        return min((max(time, now + timedelta(seconds=1)) for time in times if time is not None), default=None)

    def _back_up(self) -> None:
        place = self._folder / "backup"
        if self.journey.restored and not place.exists() and self.epjs[LEFT].ledger.taken:
            shutil.copytree(self._folders[LEFT], place)
            self._backup = place

    async def _restore(self) -> None:
        """Put the left back to its backup, when it is time; its EPJ reads its feed anew."""
        journey = self.journey
        if self._backup is None or journey.restored is None or self.clock.now() < START + journey.restored:
            return
        await self.sides[LEFT].store.close()
        await self._open(LEFT, self._backup)
        self._backup = None
        self.epjs[LEFT].ledger.told.clear()
        self.epjs[LEFT].ledger.confirmed = 0
        # What it acknowledged since, it knows no more.
        for eb_id in [eb_id for eb_id, (to, *_) in self.posted.items() if to == LEFT]:
            self.acknowledgments.pop(eb_id, None)
        await self._until_quiet()

    # --- the wire ---

    async def _post(self, side: str, endpoint: str, content_type: str, body: bytes) -> TransportReply:
        parcel = self._parcel(side, body)
        if not parcel.signal:
            self.envelopes.setdefault(parcel.eb_id, set()).add(sha256(body).digest())
        fate = self.journey.fate(parcel)
        if fate == "down":
            raise TransportFailed("refused", error_id="MB-3202", maybe_read=False)
        if fate == "lose":
            raise TransportFailed("reset", error_id="MB-3205", maybe_read=True)
        if isinstance(fate, int):
            return TransportReply(status=fate, content_type="text/html", body=b"<html>no</html>")
        to = LEFT if side == RIGHT else RIGHT
        self._note(parcel.about, body)
        if not parcel.signal:
            self.posted[parcel.eb_id] = (to, content_type, body)
        answer = await self._read(to, content_type, body)
        if fate == "lose answer":
            raise TransportFailed("reset", error_id="MB-3205", maybe_read=True)
        if fate == "deaf":
            return TransportReply(status=400, content_type="text/html", body=b"<html>no</html>")
        return TransportReply(status=answer.status, content_type=answer.content_type, body=answer.body)

    async def _read(self, to: str, content_type: str, body: bytes) -> Answer:
        """Let the other side read a POST. Raises TransportFailed where it dies over it."""
        try:
            answer = await inbound.receive(content_type, body, self.sides[to].doors)
        except Killed as killed:
            await self.restart(killed.side)
            raise TransportFailed("reset", error_id="MB-3205", maybe_read=True) from None
        if answer.body:
            self._note(_ref_to(answer.body), answer.body)
        return answer

    def _parcel(self, side: str, body: bytes) -> Parcel:
        digest = sha256(body).digest()
        copy = self._copies[digest] = self._copies.get(digest, 0) + 1
        found = re.search(rb"[:<]MessageId>([^<]+)<", body)
        assert found is not None
        return Parcel(
            side=side,
            eb_id=found[1].decode(),
            about=_ref_to(body),  # only a signal has it
            copy=copy,
            after=self.clock.now() - START,
        )

    def _note(self, about: str | None, signal: bytes) -> None:
        if about is not None and b"Acknowledgment" in signal:
            self.acknowledgments.setdefault(about, set()).add(signal)

    async def again(self, eb_id: str) -> None:
        """Send an envelope once more that was sent before, as a partner may at any time."""
        to, content_type, body = self.posted[eb_id]
        await self._read(to, content_type, body)


def _ref_to(body: bytes) -> str | None:
    """Return which envelope a signal is about; None for a message, which may refer to another too."""
    if MSH_SERVICE.encode() not in body:
        return None
    found = re.search(rb"RefToMessageId>([^<]+)<", body)
    return found[1].decode() if found else None


def _distrusting(whole: Directory) -> Directory:
    """Return the records with the left's signing certificate taken for another's."""
    organisation = whole.parties[FJORDVIK // 100 * 100]
    other = whole.parties[DALBYGDA // 100 * 100]
    spoiled = replace(organisation, signing=other.signing)
    return Directory(parties={**whole.parties, organisation.her_id: spoiled})


def _processes(policy: ReceiptPolicy | None) -> Processes:
    shipped = shipped_processes()
    if policy is None:
        return shipped
    return replace(
        shipped, by_name={name: replace(process, receipt=policy) for name, process in shipped.by_name.items()}
    )
