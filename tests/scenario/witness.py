"""What is seen of a refusal from outside its answer: the layer that refused, whether a signature was looked at, the
reasons that were written down, and what stands in the store before and after.
"""

import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from broker import inbound, telemetry
from broker.envelope import signature
from broker.errors import Refused
from broker.message import EventKind, StoredEvent
from broker.receipts import signals
from broker.store.sqlite import SqliteStore

# Module, and function where one module holds several layers: the layer that a refusal raised there belongs to.
LAYERS: Mapping[tuple[str, str], str] = {
    ("broker.envelope.mime", ""): "mime",
    ("broker.envelope.xml", "parse"): "xml",
    ("broker.envelope.xml", "_encoding"): "xml",
    ("broker.envelope.xml", "_refuse_doctype"): "xml",
    ("broker.envelope.xml", "_refuse_instructions"): "xml",
    ("broker.envelope.ebms_parse", ""): "envelope",
    ("broker.inbound", "_under_agreement"): "agreement",
    ("broker.inbound", "_as_agreed"): "agreement",
    ("broker.routing.choose", "agreement_of"): "agreement",
    ("broker.envelope.signature", ""): "signature",
    ("broker.envelope.xmldsig", ""): "signature",
    ("broker.routing.trust", ""): "certificate",
    ("broker.inbound", "_opened"): "duplicate",
    ("broker.opening", "require_sender"): "sender",
    ("broker.opening", "_decrypt"): "cms",
    ("broker.sealing.cms", ""): "cms",
    ("broker.sealing.ber", ""): "cms",
    ("broker.opening", "open_"): "document",
    ("broker.opening", "_document"): "document",
    ("broker.opening", "_own_signature"): "document",
    ("broker.receipts.acknowledgment", ""): "receipt matching",
    ("broker.receipts.message_error", ""): "receipt matching",
    ("broker.receipts.signals", ""): "receipt matching",
}
NOT_THE_SENDERS = "signed with a certificate that is not the sender's"
# Where nothing is raised, the event tells: by kind, or by its reason.
_BY_KIND = {
    EventKind.RECEIPT_UNMATCHED: "receipt matching",
    EventKind.RECEIPT_CONTRADICTS: "receipt matching",
    EventKind.INBOUND_REJECTED: "document",
}
_BY_REASON = {
    "another content under a known MsgId": "duplicate",
    "another AppRec under a known id": "duplicate",
    "a receipt from a party that the message was not sent to": "receipt matching",
    "a signal for a message that is not ours": "receipt matching",
}

TABLES = ("delivery", "item", "received", "message", "envelope")
# Not state: when, by which write, who has the ball, and how a row is scheduled.
_NO_STATE = {"seq", "version", "updated_at", "ball", "cause", "leased_until", "ready", "urgency", "settled_seq"}
_NO_STATE |= {"transport_due", "receipt_due", "failures", "alarms"}
Rows = dict[str, dict[str, Any]]


def dump(folder: Path) -> dict[str, Rows]:
    """Return the rows of TABLES by table and id, as another process would read them."""
    connection = sqlite3.connect(f"file:{folder / 'store.sqlite'}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return {table: dict(_rows(connection, table)) for table in TABLES}
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in connection.execute(f"SELECT * FROM {table}"):
        key = str(row["eb_id"] if table in ("received", "envelope") else row["id"])
        yield key, {name: row[name] for name in row.keys() if name not in _NO_STATE}  # noqa: SIM118 - not a dict


def differences(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> dict[str, str]:
    """Return what changed: table -> "changed" where a row that stood there did, else "new"."""
    found: dict[str, str] = {}
    for table in TABLES:
        if any(after[table].get(key) != row for key, row in before[table].items()):
            found[table] = "changed"
        elif after[table].keys() != before[table].keys():
            found[table] = "new"
    return found


@dataclass
class Witness:
    """What was seen since `reset`."""

    raised: list[tuple[str, Refused]] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    verifications: int = 0

    def reset(self) -> None:
        self.raised.clear()
        self.logged.clear()
        self.verifications = 0

    def layer(self, events: list[StoredEvent]) -> str:
        """Return the layer that refused, or "none"."""
        for stored in reversed(events):
            if (found := _BY_REASON.get(stored.event.why or "")) is not None:
                return found
            if stored.event.kind in _BY_KIND and stored.event.message_id is not None:
                return _BY_KIND[stored.event.kind]
        if not self.raised:
            return next((_BY_REASON[why] for why in self.logged if why in _BY_REASON), "none")
        layer, refused = self.raised[-1]
        return "certificate" if refused.why == NOT_THE_SENDERS else layer


@contextmanager
def watching() -> Iterator[Witness]:
    """Watch every refusal that is made, every signature that is looked at, and every refusal that is logged."""
    seen = Witness()
    made, logged, verify = Refused.__init__, telemetry.inbound_refused, signature.verify_envelope

    def noted(self: Refused, why: str, **more: str) -> None:
        made(self, why, **more)
        seen.raised.append((_layer_of_caller(), self))

    def told(*, code: str, why: str, location: str) -> None:
        seen.logged.append(why)
        logged(code=code, why=why, location=location)

    def verified(*args: Any, **more: Any) -> Any:
        seen.verifications += 1
        return verify(*args, **more)

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(Refused, "__init__", noted))
        patches.enter_context(mock.patch.object(telemetry, "inbound_refused", told))
        for module in (inbound, signals):
            patches.enter_context(mock.patch.object(module, "verify_envelope", verified))
        yield seen


def _layer_of_caller() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        found = LAYERS.get((module, frame.f_code.co_name)) or LAYERS.get((module, ""))
        if found is not None:
            return found
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "?"


async def events_after(store: SqliteStore, offset: int) -> list[StoredEvent]:
    """Return every event since `offset`."""
    return list(await store.events(kinds=tuple(EventKind), after=offset, limit=1000))
