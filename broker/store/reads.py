"""What is asked of the store: each question one named query, each in a snapshot of its own."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiosqlite

from broker.alerts import Alert
from broker.errors import BrokerError
from broker.message import (
    Answer,
    Attempt,
    Envelope,
    EventKind,
    InboxItem,
    KeptStatement,
    Kind,
    Message,
    PartnerHold,
    Payload,
    ReceivedEnvelope,
    StoredEvent,
    Work,
)
from broker.ports import BodyDamaged, Delivered, Kept
from broker.store import queries
from broker.store.bodies import SMALL, Vault
from broker.store.faults import Fate, broken, busy, fate, stopping
from broker.store.overview import Overview
from broker.store.rows import (
    DELIVERY,
    ENVELOPE,
    HOLD,
    MESSAGE,
    PAYLOAD,
    STATEMENT,
    instant,
    micros,
    read_attempt,
    read_digests,
    read_kept,
    read_received_document,
    read_stored_events,
    read_work,
)
from broker.store.schema import BUSY_TIMEOUT
from broker.store.told import ALERTS, read_alert

READERS = 3  # connections with a thread each, for what reads more than one row
_HEARD = 100_000  # documents: weeks of a large site, read in a tenth of a second
PREFIX = 8  # characters: what is shorter names nothing

Rows = Sequence[Sequence[Any]]


class Readers:
    """A few read-only connections, handed out one question at a time, and one for what stands under a key.

    A row under a key is read on the event loop itself: that takes 20 us, and to hand it to a thread takes 150. It never
    waits for a lock: where one is in the way, a thread asks again.
    """

    def __init__(self, on_broken: Callable[[BaseException], None]) -> None:
        self._on_broken = on_broken
        self._keyed: sqlite3.Connection | None = None
        self._all: list[aiosqlite.Connection] = []
        self._free: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        self._closed = False

    async def open(self, uri: str, count: int) -> None:
        """Open `count` connections to `uri` (mode=ro). Raises sqlite3.Error; what was opened is closed by `close`."""
        # A reader makes no checkpoint: only one connection may (see writer.py).
        settings = ("query_only = ON", "wal_autocheckpoint = 0")
        self._keyed = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)
        for setting in settings:
            self._keyed.execute(f"PRAGMA {setting}")
        for _ in range(count):
            db = aiosqlite.connect(uri, uri=True, isolation_level=None)
            # A process that ends by an error must end: its threads would keep one alive that never came to `close`.
            db._thread.daemon = True
            self._all.append(await db)
            for setting in (*settings, f"busy_timeout = {BUSY_TIMEOUT}"):
                await db.execute_fetchall(f"PRAGMA {setting}")
            self._free.put_nowait(db)

    async def close(self) -> None:
        """Close all; a question under way is answered first."""
        self._closed = True
        if self._keyed is not None:
            self._keyed.close()
            self._keyed = None
        for db in self._all:
            await db.close()
        self._all.clear()

    async def rows(self, query: str, parameters: dict[str, Any]) -> Rows:
        """Return the rows. Raises StoreBroken where the database can't be read, StoreBusy where another holds it."""
        async with self._reader() as db:
            try:
                return list(await db.execute_fetchall(query, parameters))
            except sqlite3.Error as error:
                if fate(error) is Fate.PROGRAM:
                    raise
                raise self._told(error) from error

    async def under_key(self, query: str, parameters: dict[str, Any]) -> Rows:
        """Return the few rows that stand under a unique key. Raises as `rows` does."""
        if self._keyed is None:
            raise stopping()
        try:
            return self._keyed.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            match fate(error):
                case Fate.PROGRAM:
                    raise
                case Fate.LOCKED:
                    return await self.rows(query, parameters)
                case _:
                    raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> BrokerError:
        if fate(error) is Fate.LOCKED:
            return busy(Fate.LOCKED)
        self._on_broken(error)
        return broken(error)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[aiosqlite.Connection]:
        if self._closed:
            raise stopping()
        db = await self._free.get()
        try:
            yield db
        finally:
            self._free.put_nowait(db)


class SqliteReads(Overview):
    """The reads of `ports.Store`; their contracts stand there."""

    def __init__(self, readers: Readers, vault: Vault) -> None:
        self._readers: Readers = readers
        self._vault = vault

    async def close(self) -> None:
        """End all reading."""
        await self._readers.close()

    async def body(self, body: str) -> bytes:
        found = await self._readers.under_key(queries.BODY, {"id": body})
        if not found:
            raise KeyError(body)
        size, wrapped, sealed, file = found[0]
        try:
            if size <= SMALL:
                return self._vault.open(body, wrapped=wrapped, sealed=sealed, file=file)
            return await asyncio.to_thread(self._vault.open, body, wrapped=wrapped, sealed=sealed, file=file)
        except FileNotFoundError as error:
            if not await self._readers.under_key(queries.BODY, {"id": body}):  # erased since the row was read
                raise KeyError(body) from error
            raise BodyDamaged(f"the file of body {body} is gone") from error

    async def next_due(self, *, closed: Collection[int]) -> datetime | None:
        ((due,),) = await self._readers.rows(queries.NEXT_DUE, {"closed": json.dumps(list(closed))})
        return None if due is None else instant(due)

    async def outbound(self, sender_her: int, msg_id: str) -> Delivered | None:
        found = await self._readers.under_key(queries.OUTBOUND, {"sender_her": sender_her, "msg_id": msg_id})
        return next(iter(_delivered(found)), None)

    async def outbound_by_key(self, client: str, key_sha256: bytes) -> Delivered | None:
        found = await self._readers.under_key(queries.OUTBOUND_BY_KEY, {"client": client, "key_sha256": key_sha256})
        return next(iter(_delivered(found)), None)

    async def find(self, id: str, *, hers: Collection[int] | None) -> tuple[Delivered, ...]:
        scope = None if hers is None else json.dumps(list(hers))
        found = _delivered(await self._readers.rows(queries.FIND, {"id": id, "hers": scope}))
        if not found and len(id) >= PREFIX:
            found = _delivered(await self._readers.rows(queries.FIND_PREFIX, {"id": id, "hers": scope}))
            return found if len(found) == 1 else ()
        return found

    async def work(self, delivery_id: str) -> Work | None:
        found = await self._readers.under_key(queries.WORK_BY_ID, {"id": delivery_id})
        return read_work(found[0])[0] if found else None

    async def work_by_envelope(self, eb_id: str) -> tuple[Work, Envelope] | None:
        found = await self._readers.under_key(queries.WORK_BY_ENVELOPE, {"eb_id": eb_id})
        if not found:
            return None
        work, end = read_work(found[0])
        envelope, _ = ENVELOPE.take(found[0], end)
        assert envelope is not None
        return work, envelope

    async def work_by_receipt(self, *, sender_her: int, msg_id: str, receiver_her: int) -> Work | None:
        key = {"sender_her": sender_her, "msg_id": msg_id, "receiver_her": receiver_her}
        found = await self._readers.under_key(queries.WORK_BY_RECEIPT, key)
        return read_work(found[0])[0] if found else None

    async def received(self, *, from_her: int, cpa_id: str, eb_id: str) -> ReceivedEnvelope | None:
        key = {"from_her": from_her, "cpa_id": cpa_id, "eb_id": eb_id}
        found = await self._readers.under_key(queries.RECEIVED, key)
        if not found:
            return None
        digests, received_at, evidence, status, content_type, answer, item_id = found[0]
        return ReceivedEnvelope(
            from_her=from_her,
            cpa_id=cpa_id,
            eb_id=eb_id,
            digests=read_digests(digests),
            received_at=instant(received_at),
            evidence=evidence,
            answer=Answer(status=status, content_type=content_type, body=await self.body(answer)),
            item_id=item_id,
        )

    async def statement(self, sha256: bytes) -> str | None:
        found = await self._readers.under_key(queries.STATEMENT_OF, {"sha256": sha256})
        return str(found[0][0]) if found else None

    async def statements(self, message_id: str) -> tuple[KeptStatement, ...]:
        return STATEMENT.all(await self._readers.rows(queries.STATEMENTS, {"message_id": message_id}))

    async def inbound(
        self, *, sender_her: int, msg_id: str, kind: Kind = Kind.DOCUMENT
    ) -> tuple[Message, InboxItem | None] | None:
        query = queries.INBOUND_DOCUMENT if kind is Kind.DOCUMENT else queries.INBOUND_APPREC
        found = await self._readers.under_key(query, {"sender_her": sender_her, "msg_id": msg_id})
        return read_received_document(found[0]) if found else None

    async def item(self, item_id: str) -> tuple[Message, InboxItem] | None:
        found = _items(await self._readers.under_key(queries.ITEM_BY_ID, {"id": item_id}))
        return found[0] if found else None

    async def payloads(self, message_id: str) -> tuple[Payload, ...]:
        return PAYLOAD.all(await self._readers.under_key(queries.PAYLOADS, {"message_id": message_id}))

    async def last_envelope(self, item_id: str) -> str | None:
        found = await self._readers.under_key(queries.LAST_ENVELOPE, {"item_id": item_id})
        return str(found[0][0]) if found else None

    async def inbox(
        self, hers: Collection[int], *, unread: bool, after: str | None, limit: int
    ) -> tuple[tuple[Message, InboxItem], ...]:
        query = queries.INBOX_UNREAD if unread else queries.INBOX
        return _items(await self._readers.rows(query, {"hers": json.dumps(list(hers)), "after": after, "limit": limit}))

    async def attempts(self, message_id: str) -> tuple[Attempt, ...]:
        found = await self._readers.rows(queries.ATTEMPTS, {"message_id": message_id})
        return tuple(read_attempt(row) for row in found)

    async def history(self, message_id: str) -> tuple[StoredEvent, ...]:
        return read_stored_events(await self._readers.rows(queries.HISTORY, {"message_id": message_id}))

    async def feed(self, hers: Collection[int], *, after: int, limit: int) -> tuple[StoredEvent, ...]:
        key = {"hers": json.dumps(list(hers)), "after": after, "limit": limit}
        return read_stored_events(await self._readers.rows(queries.FEED, key))

    async def unconfirmed(self, hers: Collection[int], *, through: int) -> tuple[Work, ...]:
        key = {"hers": json.dumps(list(hers)), "through": through}
        return tuple(read_work(row)[0] for row in await self._readers.rows(queries.UNCONFIRMED, key))

    async def partner_hold(self, her: int) -> PartnerHold | None:
        return next(iter(HOLD.all(await self._readers.under_key(queries.PARTNER_HOLD, {"her": her}))), None)

    async def partner_holds(self) -> tuple[PartnerHold, ...]:
        return HOLD.all(await self._readers.rows(queries.PARTNER_HOLDS, {}))

    async def open_to(self, her: int, *, after: str | None, limit: int) -> tuple[Work, ...]:
        key = {"her": her, "after": after, "limit": limit}
        return tuple(read_work(row)[0] for row in await self._readers.rows(queries.OPEN_TO, key))

    async def left_held(self, *, limit: int) -> tuple[Work, ...]:
        return tuple(read_work(row)[0] for row in await self._readers.rows(queries.LEFT_HELD, {"limit": limit}))

    async def kept(self, *, after: int, limit: int) -> tuple[Kept, ...]:
        found = await self._readers.rows(queries.KEPT, {"after": after, "limit": limit})
        return tuple(read_kept(row) for row in found)

    async def queue(self, *, limit: int) -> tuple[Work, ...]:
        return tuple(read_work(row)[0] for row in await self._readers.rows(queries.QUEUE, {"limit": limit}))

    async def heard(self, *, since: datetime) -> Mapping[int, tuple[datetime, ...]]:
        """Return the hours in which each counterpart sent a document since then, as far back as 100,000 documents."""
        found: dict[int, list[datetime]] = {}
        key = {"after": micros(since), "limit": _HEARD}
        for her, hour in await self._readers.rows(queries.HEARD, key):
            found.setdefault(her, []).append(instant(hour))
        return {her: tuple(sorted(hours)) for her, hours in found.items()}

    async def events(self, *, kinds: Collection[EventKind], after: int, limit: int) -> tuple[StoredEvent, ...]:
        key = {"kinds": json.dumps(list(kinds)), "after": after, "limit": limit}
        return read_stored_events(await self._readers.rows(queries.EVENTS, key))

    async def alerts(self) -> tuple[Alert, ...]:
        """Return what people were told of, or are to be told of. Raises StoreBusy, StoreBroken."""
        return tuple(map(read_alert, await self._readers.rows(ALERTS, {})))


def _delivered(rows: Rows) -> tuple[Delivered, ...]:
    """Return messages with their deliveries, from rows that stand together by message."""
    found: dict[str, Delivered] = {}
    for row in rows:
        message, end = MESSAGE.take(row, 0)
        delivery, _ = DELIVERY.take(row, end)
        assert message is not None
        before = found[message.id].deliveries if message.id in found else ()
        found[message.id] = Delivered(message=message, deliveries=(*before, delivery) if delivery else before)
    return tuple(found.values())


def _items(rows: Rows) -> tuple[tuple[Message, InboxItem], ...]:
    found = (read_received_document(row) for row in rows)
    return tuple((message, item) for message, item in found if item is not None)
