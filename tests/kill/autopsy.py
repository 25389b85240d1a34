"""What stood on a dead broker's disk: at which stop-points it was killed. It counts kills; it judges nothing."""

import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from broker.store.schema import DATABASE

# The stop-points that are committed on their own, by the event that stands in the same commit. K1 passes with K2, and
# M1 to M5 with M6; K3 is on its own only where a key of ours is missing, and every commit point has that.
STOP_POINTS: Mapping[str, str] = {
    "message.accepted": "K2",
    "message.sealed": "K4",
    "message.sent": "K5",
    "message.transport_acked": "K6",
    "message.apprec_ok": "K7",
    "message.apprec_partial": "K7",
    "message.apprec_rejected": "K7",
    "message.confirmed": "K8",
    "inbox.document": "M6",
    "inbox.stored": "M7",
    "inbox.judged": "M8",
    "inbox.receipt_delivered": "M9",
}
# The last event of each commit names the stop-point of what was written last.
_LAST = "SELECT kind FROM event ORDER BY seq DESC LIMIT 3"
# Where documents stand; what answers them is told of by the item.
_OPEN = """
SELECT DISTINCT stop_point FROM delivery JOIN message ON message.id = delivery.message_id
WHERE kind = 'document' AND confirmed_at IS NULL"""
_ITEMS = {"waiting": "M6", "stored": "M7", "judged": "M8"}
_WAITING = "SELECT DISTINCT stage FROM item JOIN message ON message.id = item.message_id WHERE owed <> 'N'"


def stop_points(data: Path) -> tuple[str, frozenset[str]]:
    """Return the stop-point of the last commit ("" for another), and those at which something stood unfinished."""
    with tempfile.TemporaryDirectory() as folder:
        for path in data.glob(f"{DATABASE}*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / DATABASE)) as db:
            kinds = [row[0] for row in db.execute(_LAST)]
            last = next((STOP_POINTS[kind] for kind in kinds if kind in STOP_POINTS), "")
            standing = {row[0] for row in db.execute(_OPEN)}
            standing |= {_ITEMS[row[0]] for row in db.execute(_WAITING) if row[0] in _ITEMS}
    return last, frozenset(standing)
