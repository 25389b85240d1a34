"""A simulated EPJ with a ledger of its own, which no broker writes: what it posted, got, judged and was told.

It does as an EPJ should: without an answer it asks again; it stores a document before it says so; and it says the same
again rather than something else. Every word of it may meet a broker that dies.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from broker import handover, intake
from broker.message import InboxItem, Message, Verdict
from broker.receipts.apprec import GivenError
from broker.replies import apprec_of
from tests.scenario.pair import START, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What an EPJ says to a document, and when."""

    verdict: Verdict | None = Verdict.OK  # None: nothing but that it is stored
    codes: tuple[str, ...] = ()
    after: timedelta = timedelta()  # since the start of the scenario
    when_asked: bool = False  # only when the feed says that the receipt is asked for
    ready_made: bool = False  # by an AppRec of the EPJ's own making
    stored: bool = True  # says that the document is stored, before its verdict

    @property
    def errors(self) -> tuple[GivenError, ...]:
        return tuple(GivenError(code=code, details="") for code in self.codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A document as it lies in the EPJ."""

    item: str
    msg_id: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of the feed."""

    offset: int
    kind: str
    msg_id: str | None
    item: str | None
    codes: tuple[str, ...]


@dataclass
class Ledger:
    """What this EPJ knows for certain. It outlives every broker."""

    to_post: dict[str, bytes] = field(default_factory=dict)  # by MsgId
    posts_left: dict[str, int] = field(default_factory=dict)  # an EPJ may post more than once
    taken: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)  # MsgId -> ids in each 202
    arrived: list[Arrived] = field(default_factory=list)
    said_stored: set[str] = field(default_factory=set)
    judging: dict[str, bytes] = field(default_factory=dict)  # item -> an AppRec of its own making
    judged: dict[str, tuple[Verdict, tuple[str, ...]]] = field(default_factory=dict)  # item -> as answered with 202
    told: list[Told] = field(default_factory=list)
    confirmed: int = 0

    @property
    def offset(self) -> int:
        return self.told[-1].offset if self.told else 0

    def about(self, msg_id: str) -> list[str]:
        """Return the kinds of all that was told of one document, in order."""
        return [told.kind for told in self.told if told.msg_id == msg_id]


class Epj:
    """The system beside one broker."""

    def __init__(self, word: Word | None) -> None:
        self.ledger = Ledger()
        self._word = word

    def hand_over(self, msg_id: str, content: bytes, *, posts: int = 1) -> None:
        """Let the EPJ post a document, this many times over."""
        self.ledger.to_post[msg_id] = content
        self.ledger.posts_left[msg_id] = posts

    def wakes(self, now: datetime) -> datetime | None:
        """Return when it next does something by itself."""
        if self._word is None or START + self._word.after <= now:
            return None
        return START + self._word.after

    async def act(self, side: Side) -> bool:
        """Do whatever is to be done now; say whether anything was. Raises Killed where the broker dies."""
        posted = await self._post(side)
        stored = await self._store(side)
        judged = await self._judge(side)
        return await self._follow(side) or posted or stored or judged

    async def _post(self, side: Side) -> bool:
        due = [msg_id for msg_id, left in self.ledger.posts_left.items() if left]
        for msg_id in due:
            taken = await side.post(self.ledger.to_post[msg_id])
            ids = (taken.message.id, *(delivery.id for delivery in taken.deliveries))
            self.ledger.taken.setdefault(msg_id, set()).add(ids)
            self.ledger.posts_left[msg_id] -= 1
        return bool(due)

    async def _store(self, side: Side) -> bool:
        known = {arrived.item for arrived in self.ledger.arrived}
        new = [(message, item) for message, item in await side.doors.store.inbox(
            {side.her}, unread=True, after=None, limit=100
        ) if item.id not in known]  # fmt: skip
        for message, item in new:
            digest = sha256(await side.doors.store.body(message.body)).digest()
            self.ledger.arrived.append(Arrived(item=item.id, msg_id=message.msg_id, digest=digest))
        silent = self._word is None or not self._word.stored
        todo = [one.item for one in self.ledger.arrived if one.item not in self.ledger.said_stored and not silent]
        for item_id in todo:
            await handover.stored(item_id, side.client, side.doors)
            self.ledger.said_stored.add(item_id)
        return bool(new or todo)

    async def _judge(self, side: Side) -> bool:
        word = self._word
        if word is None or word.verdict is None or side.doors.clock.now() < START + word.after:
            return False
        asked = {told.item for told in self.ledger.told if told.kind == "inbox.receipt_requested"}
        due = [
            arrived.item
            for arrived in self.ledger.arrived
            if arrived.item not in self.ledger.judged and (arrived.item in asked or not word.when_asked)
        ]
        for item_id in due:
            if word.ready_made:
                await intake.accept(await self._own_apprec(item_id, word, side), side.client, side.doors)
            else:
                await handover.verdict(item_id, word.verdict, word.errors, side.client, side.doors)
            self.ledger.judged[item_id] = (word.verdict, word.codes)
        return bool(due)

    async def _own_apprec(self, item_id: str, word: Word, side: Side) -> bytes:
        """Make an AppRec once, and keep it: what is posted again is the same."""
        if item_id not in self.ledger.judging:
            found = await side.doors.store.item(item_id)
            assert found is not None
            assert word.verdict is not None
            self.ledger.judging[item_id] = await make_apprec(*found, word, side)
        return self.ledger.judging[item_id]

    async def _follow(self, side: Side) -> bool:
        events = await side.doors.store.feed({side.her}, after=self.ledger.offset, limit=100)
        for stored in events:
            event = stored.event
            self.ledger.told.append(
                Told(
                    offset=stored.offset,
                    kind=event.kind,
                    msg_id=event.msg_id,
                    item=event.item_id,
                    codes=event.codes,
                )
            )
        if self.ledger.offset > self.ledger.confirmed:
            through = self.ledger.offset
            await intake.confirm(side.client, through, side.doors)
            self.ledger.confirmed = through
        return bool(events)


async def make_apprec(message: Message, item: InboxItem, word: Word, side: Side) -> bytes:
    """Return an AppRec as an EPJ itself would build it."""
    assert word.verdict is not None
    doors = side.doors
    content = await doors.store.body(message.body)
    made = apprec_of(
        message, item, content, word.verdict, word.errors, side.addresses.current(), doors, doors.clock.now()
    )
    return made.bodies[0].content
