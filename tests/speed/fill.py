"""A store with many messages, made in seconds: rows by SQL from a counter, in one transaction. All of it is made up.

Of N messages six in ten went out and four came in, over thirty days, to and from 200 partners. One in twenty is open:
of the newest quarter of them, in the mixture of stop-points, causes and balls that a bad week gives, one a partner.
"""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from broker.lookup.site_key import site_key
from broker.store.bodies import Vault
from broker.store.rows import micros
from broker.store.schema import check_store_key, connect, migrate
from tests.store.values import body

PARTNERS, OURS = 200, 5
FIRST_PARTNER, FIRST_OURS = 8_100_000, 8_000_201
_SPREAD = timedelta(days=30)

SETTINGS = f"""
environment = "test"
[partner]
port = 0
[epj]
port = 0
[[organisation]]
number = "900000101"
name = "Fjordvik kommune"
hers = {list(range(FIRST_OURS, FIRST_OURS + OURS))}
"""

# Each of the counter: which way, who, when, and for an open one its kind. Multiplying by odd numbers scatters the ids.
_PLAN = f"""
CREATE TEMP TABLE plan AS
WITH RECURSIVE counter (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < :messages)
SELECT n,
    printf('%08x-%04x-7000-8000-%012x', n * 2654435761 % 4294967296, n % 65536, n) AS id,
    printf('d%07x-%04x-7000-8000-%012x', n * 2654435761 % 268435456, n % 65536, n) AS delivery_id,
    printf('%08x@fjordvik.example', n * 2246822519 % 4294967296) || n AS eb_id,
    n % 5 < 3 AS out,
    {FIRST_OURS} + n % {OURS} AS ours,
    {FIRST_PARTNER} + n * 2654435761 / 65536 % {PARTNERS} AS partner,
    :now - (:messages - n + 1) * (:spread / :messages) AS at,
    CASE WHEN n % 5 = 0 AND n > 3 * :messages / 4 THEN n * 2654435761 / 65536 % 10 END AS open
FROM counter"""

# By kind of the open ones: stop-point, transport, receipt, cause, ball. 10 is what is finished.
_KINDS = """
CREATE TEMP TABLE kind (open, stop_point, transport, receipt, outcome, cause, ball);
INSERT INTO kind VALUES
    (0, 'K5', 'sent', 'awaited', 'open', 'MB-3206', 'partner'),
    (1, 'K5', 'sent', 'awaited', 'open', 'MB-3206', 'partner'),
    (2, 'K5', 'sent', 'awaited', 'open', 'MB-3210', 'partner'),
    (3, 'K6', 'acknowledged', 'awaited', 'open', NULL, 'partner'),
    (4, 'K6', 'acknowledged', 'awaited', 'open', NULL, 'partner'),
    (5, 'K6', 'acknowledged', 'awaited', 'open', NULL, 'partner'),
    (6, 'K4', 'waiting', 'awaited', 'open', 'MB-3202', 'partner'),
    (7, 'K2', 'waiting', 'awaited', 'open', 'MB-2002', 'person'),
    (8, 'K6', 'acknowledged', 'overdue', 'open', 'MB-3402', 'epj'),
    (9, 'K5', 'refused', 'awaited', 'open', 'MB-3302', 'person'),
    (10, 'K7', 'acknowledged', 'not owed', 'completed', NULL, 'epj')"""

_ROWS = (
    """
INSERT INTO message (id, direction, kind, sender_her, msg_id, type, gen_date, process, function, conversation_id, owed,
    sha256, size, body, at, client)
SELECT id, iif(out, 'out', 'in'), 'document', iif(out, ours, partner), 'msg-' || id, 'DIALOG_NOTAT',
    '2026-03-02T10:30:00', 'KLINISK', 'Svar', 'conversation-' || id, iif(open IS NULL, 'N', 'J'), zeroblob(32), 11,
    :body, at, iif(out, 'EPJ', NULL)
FROM plan ORDER BY n""",
    """
INSERT INTO delivery (id, message_id, receiver_her, receiver_person, transport, receipt, outcome, stop_point, version,
    ball, cause, transport_due, receipt_due, alarms, chases, renewals, failures, codes, late, updated_at, settled_seq)
SELECT delivery_id, id, partner, 0, kind.transport, kind.receipt, kind.outcome, kind.stop_point, 1, kind.ball,
    kind.cause,
    iif(kind.outcome = 'open' AND kind.transport IN ('waiting', 'sent'), :now + n % 3600 * 1000000, NULL),
    iif(kind.outcome = 'open' AND kind.receipt = 'awaited', :now + n % 86400 * 1000000, NULL),
    iif(kind.open = 4, 1, 0), 0, 0, 0, '[]', 0, at, iif(kind.outcome = 'open', NULL, n)
FROM plan JOIN kind ON kind.open = coalesce(plan.open, 10) WHERE out ORDER BY n""",
    "UPDATE delivery SET confirmed_at = updated_at, version = version + 1 WHERE outcome = 'completed'",
    """
INSERT INTO envelope (eb_id, delivery_id, cpa_id, from_her, to_her, content_type, body, digests, ack_signed, sync,
    retries, interval, timestamp, persist_until, copies, acknowledged_at)
SELECT eb_id, delivery_id, 'cpa-' || partner, ours, partner, 'multipart/related', :body,
    '[["", "http://www.w3.org/2001/04/xmlenc#sha256", "' || hex(zeroblob(32)) || '"]]', 1, 0, 3, 300000000, at,
    at + 172800000000, 1, iif(kind.transport = 'acknowledged', at + 1000000, NULL)
FROM plan JOIN kind ON kind.open = coalesce(plan.open, 10) WHERE out AND kind.transport <> 'waiting' ORDER BY n""",
    """
UPDATE delivery SET version = version + 1,
    envelope = (SELECT eb_id FROM envelope WHERE delivery_id = delivery.id) WHERE transport <> 'waiting'""",
    """
INSERT INTO attempt (delivery_id, eb_id, started_at, ended_at, endpoint, http_status, result)
SELECT delivery_id, eb_id, timestamp, timestamp + 250000, 'https://partner.example.invalid/ebms', 200, 'sent'
FROM envelope""",
    """
INSERT INTO item (id, message_id, receiver_her, sender_her, cpa_id, stage, version, received_at)
SELECT 'i' || substr(id, 2), id, ours, partner, 'cpa-' || partner, iif(n > 99 * :messages / 100, 'waiting', 'stored'),
    1, at
FROM plan WHERE NOT out ORDER BY n""",
    """
INSERT INTO event (kind, at, her, feed, message_id, delivery_id, msg_id, counterpart, stop_point, codes)
SELECT told.kind, at + told.step * 100000, ours, told.feed, id, iif(out, delivery_id, NULL), 'msg-' || id, partner,
    told.stop_point, '[]'
FROM plan JOIN (
    SELECT 1 AS goes, 'message.accepted' AS kind, 0 AS feed, 1 AS step, 'K2' AS stop_point
    UNION ALL SELECT 1, 'message.sealed', 0, 2, 'K4' UNION ALL SELECT 1, 'message.sent', 1, 3, 'K5'
    UNION ALL SELECT 1, 'message.transport_acked', 1, 4, 'K6'
    UNION ALL SELECT 0, 'inbox.document', 1, 1, 'M6' UNION ALL SELECT 0, 'inbox.stored', 0, 2, 'M7'
) AS told ON told.goes = plan.out
ORDER BY n, told.step""",
)


def fill(folder: Path, *, messages: int, now: datetime) -> int:
    """Make a site in `folder` with a store of so many messages; return how many deliveries are open."""
    data, records = folder / "data", folder / "addresses"
    (folder / "broker.toml").write_text(SETTINGS)
    records.mkdir()
    for her in (*range(FIRST_OURS, FIRST_OURS + OURS), *range(FIRST_PARTNER, FIRST_PARTNER + PARTNERS)):
        (records / f"{her}.toml").write_text(f'her_id = {her}\nname = "Enhet {her}"\nkind = "epj"\n')
    key = site_key(data)
    (data / "bodies").mkdir()
    kept = body()
    (sealed,) = Vault(data / "bodies", key).seal([kept])
    path = data / "store.sqlite"
    with closing(connect(path)) as db:
        migrate(db)
        check_store_key(db, key, path, make=True)
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        db.execute(
            "INSERT INTO body (id, size, wrapped, sealed) VALUES (?, ?, ?, ?)",
            (sealed.id, sealed.size, sealed.wrapped, sealed.sealed),
        )
        given = {"messages": messages, "now": micros(now), "spread": _SPREAD // timedelta(microseconds=1)}
        db.execute(_PLAN, given)
        for statement in _KINDS.split(";"):
            db.execute(statement)
        for statement in _ROWS:
            _ = db.execute(statement, given | {"body": kept.id})
        db.execute("COMMIT")
        (found,) = db.execute("SELECT count(*) FROM delivery WHERE outcome = 'open'").fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return int(found)


def first_open(folder: Path) -> tuple[str, str]:
    """Return the id of an open message, and of its envelope."""
    with closing(sqlite3.connect(folder / "data" / "store.sqlite")) as db:
        row = db.execute("SELECT message_id, envelope FROM delivery WHERE outcome = 'open' AND envelope IS NOT NULL")
        message, envelope = row.fetchone()
        return str(message), str(envelope)
