"""The SQL of claims and reads. Each reads by an index alone, whatever waits; a test looks at the plans."""
# ruff: noqa: S608 - what is put together here is column names and other constants of this package

from broker.message import Kind
from broker.store.rows import (
    ATTEMPT,
    DELIVERY,
    ENVELOPE,
    HOLD,
    MESSAGE,
    PAYLOAD,
    RECEIVED_DOCUMENT,
    SIGNAL,
    STATEMENT,
    STORED_EVENT,
    WORK,
)

_WORK_JOIN = "JOIN message AS m ON m.id = d.message_id LEFT JOIN envelope AS e ON e.eb_id = d.envelope"

# A body that is not erased.
BODY = "SELECT size, wrapped, sealed, file FROM body WHERE id = :id AND erased_at IS NULL"

# For each lane that waits for anything: the lane, and when its first is ready. One step of an index a lane.
_LANES = """
WITH RECURSIVE lane (her) AS (
    SELECT min({lane}) FROM {table} WHERE ready IS NOT NULL
    UNION ALL
    SELECT (SELECT min({lane}) FROM {table} WHERE ready IS NOT NULL AND {lane} > lane.her)
    FROM lane WHERE lane.her IS NOT NULL
)
SELECT her, (SELECT min(ready) FROM {table} WHERE {lane} = lane.her AND ready IS NOT NULL) AS first
FROM lane WHERE her IS NOT NULL"""
DELIVERY_LANES = _LANES.format(table="delivery", lane="receiver_her")
SIGNAL_LANES = _LANES.format(table="signal", lane="to_her")

# The first of one lane, from the index alone.
READY_DELIVERIES = "SELECT ready, id FROM delivery WHERE receiver_her = ? AND ready <= ? ORDER BY ready LIMIT ?"
READY_SIGNALS = "SELECT ready, id FROM signal WHERE to_her = ? AND ready <= ? ORDER BY ready LIMIT ?"

LEASE_DELIVERIES = """
UPDATE delivery SET leased_until = ?, version = version + 1 WHERE id IN (SELECT value FROM json_each(?))"""
LEASE_SIGNALS = "UPDATE signal SET leased_until = ? WHERE id IN (SELECT value FROM json_each(?))"

# What was leased, whole, in the order of the list of ids.
LEASED_WORK = f"""
SELECT {WORK} FROM json_each(?) AS chosen
CROSS JOIN delivery AS d ON d.id = chosen.value
JOIN message AS m ON m.id = d.message_id
LEFT JOIN envelope AS e ON e.eb_id = d.envelope
ORDER BY chosen.key"""
LEASED_SIGNALS = f"""
SELECT {SIGNAL.of("s")} FROM json_each(?) AS chosen CROSS JOIN signal AS s ON s.id = chosen.value
ORDER BY chosen.key"""

# At a start nobody works: what was leased is free.
FREE_DELIVERIES = "UPDATE delivery SET leased_until = NULL, version = version + 1 WHERE leased_until IS NOT NULL"
FREE_SIGNALS = "UPDATE signal SET leased_until = NULL WHERE ready IS NOT NULL AND leased_until IS NOT NULL"

# When the first of all lanes that are not closed is ready.
NEXT_DUE = f"""
SELECT min(first) FROM (SELECT * FROM ({DELIVERY_LANES}) UNION ALL SELECT * FROM ({SIGNAL_LANES}))
WHERE her NOT IN (SELECT value FROM json_each(:closed))"""

# What was taken under (sender HER-id, MsgId).
OUTBOUND = f"""
SELECT {MESSAGE.of("m")}, {DELIVERY.of("d")}
FROM message AS m LEFT JOIN delivery AS d ON d.message_id = m.id
WHERE m.direction = 'out' AND m.sender_her = :sender_her AND m.msg_id = :msg_id
ORDER BY d.seq"""

OUTBOUND_BY_KEY = f"""
SELECT {MESSAGE.of("m")}, {DELIVERY.of("d")}
FROM message AS m LEFT JOIN delivery AS d ON d.message_id = m.id
WHERE m.client = :client AND m.key_sha256 = :key_sha256
ORDER BY d.seq"""

# Messages by id, with their deliveries: all of them, or those sent by or handed over to the given HER-ids.
_FOUND = f"""
SELECT {MESSAGE.of("m")}, {DELIVERY.of("d")}
FROM message AS m LEFT JOIN delivery AS d ON d.message_id = m.id
WHERE m.id IN (SELECT * FROM hit) AND (
    :hers IS NULL
    OR (m.direction = 'out' AND m.sender_her IN (SELECT value FROM json_each(:hers)))
    OR (m.direction = 'in' AND EXISTS (
        SELECT 1 FROM item WHERE message_id = m.id AND receiver_her IN (SELECT value FROM json_each(:hers))
    ))
)
ORDER BY m.seq, d.seq LIMIT 1000"""

# By whatever id a person has at hand.
FIND = f"""
WITH hit (id) AS (
    SELECT id FROM message WHERE id = :id
    UNION SELECT id FROM message WHERE msg_id = :id
    UNION SELECT id FROM message WHERE conversation_id = :id AND conversation_id <> msg_id
    UNION SELECT message_id FROM delivery WHERE id = :id
    UNION SELECT message_id FROM item WHERE id = :id
    UNION SELECT message_id FROM envelope JOIN delivery ON delivery.id = delivery_id WHERE eb_id = :id
    UNION SELECT message_id FROM received JOIN item ON item.id = item_id WHERE eb_id = :id
) {_FOUND}"""

# By the first characters of an id of ours.
FIND_PREFIX = f"""
WITH hit (id) AS (
    SELECT id FROM message WHERE id >= :id AND id < :id || char(0x10FFFF)
    UNION SELECT message_id FROM delivery WHERE id >= :id AND id < :id || char(0x10FFFF)
    UNION SELECT message_id FROM item WHERE id >= :id AND id < :id || char(0x10FFFF)
    LIMIT 1000
) {_FOUND}"""

WORK_BY_ID = f"SELECT {WORK} FROM delivery AS d {_WORK_JOIN} WHERE d.id = :id"

# The delivery that an envelope belongs to, its current envelope, and the one asked for.
WORK_BY_ENVELOPE = f"""
SELECT {WORK}, {ENVELOPE.of("asked")}
FROM envelope AS asked JOIN delivery AS d ON d.id = asked.delivery_id {_WORK_JOIN}
WHERE asked.eb_id = :eb_id"""

# The delivery of a document of ours to the party that receipts it.
WORK_BY_RECEIPT = f"""
SELECT {WORK}
FROM message AS m JOIN delivery AS d ON d.message_id = m.id LEFT JOIN envelope AS e ON e.eb_id = d.envelope
WHERE m.direction = 'out' AND m.kind = 'document' AND m.sender_her = :sender_her AND m.msg_id = :msg_id
    AND d.receiver_her = :receiver_her"""

RECEIVED = """
SELECT digests, received_at, evidence, status, content_type, answer, item_id FROM received
WHERE from_her = :from_her AND cpa_id = :cpa_id AND eb_id = :eb_id"""

# A body that retention has erased holds nothing any more.
STATEMENT_OF = """
SELECT s.body FROM statement AS s JOIN body AS b ON b.id = s.body
WHERE s.sha256 = :sha256 AND b.erased_at IS NULL LIMIT 1"""

# By the envelopes that a message came in: there is more than one where the sender asked again.
STATEMENTS = f"""
SELECT DISTINCT {STATEMENT.of("s")}
FROM event AS v
JOIN received AS r ON r.eb_id = v.eb_id AND r.from_her = v.counterpart
JOIN statement AS s ON s.evidence = r.evidence
WHERE v.message_id = :message_id ORDER BY s.fetched_at"""

# The kind is no parameter: an index of documents alone would then be chosen, and the query made ready, at every call.
_INBOUND = """
SELECT {columns} FROM message AS m LEFT JOIN item AS i ON i.message_id = m.id
WHERE m.direction = 'in' AND m.kind = '{kind}' AND m.sender_her = :sender_her AND m.msg_id = :msg_id
ORDER BY m.seq LIMIT 1"""
INBOUND_DOCUMENT = _INBOUND.format(columns=RECEIVED_DOCUMENT, kind=Kind.DOCUMENT)
INBOUND_APPREC = _INBOUND.format(columns=RECEIVED_DOCUMENT, kind=Kind.APPREC)

# What came beside a document, in the order of the Manifest.
PAYLOADS = f"SELECT {PAYLOAD.of('p')} FROM payload AS p WHERE p.message_id = :message_id ORDER BY p.number"

# The last envelope that an item came in.
LAST_ENVELOPE = "SELECT eb_id FROM received WHERE item_id = :item_id ORDER BY received_at DESC LIMIT 1"

ITEM_BY_ID = f"SELECT {RECEIVED_DOCUMENT} FROM item AS i JOIN message AS m ON m.id = i.message_id WHERE i.id = :id"

# One page for many owners: of each no more than a page is read, up to the row that ends its own.
_INBOX = """
SELECT {columns}
FROM json_each(:hers) AS mine
CROSS JOIN item AS i ON i.receiver_her = mine.value {only}
    AND i.seq > coalesce((SELECT seq FROM item WHERE id = :after), 0)
    AND i.seq <= coalesce((
        SELECT i.seq FROM item AS i
        WHERE i.receiver_her = mine.value {only} AND i.seq > coalesce((SELECT seq FROM item WHERE id = :after), 0)
        ORDER BY i.seq LIMIT 1 OFFSET :limit - 1
    ), 9223372036854775807)
JOIN message AS m ON m.id = i.message_id
ORDER BY i.seq LIMIT :limit"""
INBOX = _INBOX.format(columns=RECEIVED_DOCUMENT, only="")
INBOX_UNREAD = _INBOX.format(columns=RECEIVED_DOCUMENT, only="AND i.stage = 'waiting'")

# A try is numbered within its delivery, in the order of recording.
ATTEMPTS = f"""
SELECT {ATTEMPT.of("a")}, row_number() OVER (PARTITION BY a.delivery_id ORDER BY a.seq)
FROM delivery AS d JOIN attempt AS a ON a.delivery_id = d.id
WHERE d.message_id = :message_id ORDER BY a.started_at, a.seq"""

HISTORY = f"SELECT {STORED_EVENT} FROM event AS v WHERE v.message_id = :message_id ORDER BY v.seq"

# As _INBOX: one page for many owners, or many kinds.
_EVENTS = """
SELECT {columns}
FROM json_each({owners}) AS mine
CROSS JOIN event AS v ON {owned} AND v.seq > :after
    AND v.seq <= coalesce((
        SELECT v.seq FROM event AS v WHERE {owned} AND v.seq > :after ORDER BY v.seq LIMIT 1 OFFSET :limit - 1
    ), 9223372036854775807)
ORDER BY v.seq LIMIT :limit"""
FEED = _EVENTS.format(columns=STORED_EVENT, owners=":hers", owned="v.her = mine.value AND v.feed = 1")
EVENTS = _EVENTS.format(columns=STORED_EVENT, owners=":kinds", owned="v.kind = mine.value")

# Outcomes of our documents that the EPJ may have read and has not confirmed, in the order in which they were told.
UNCONFIRMED = f"""
SELECT {WORK} FROM delivery AS d {_WORK_JOIN}
WHERE d.settled_seq <= :through AND d.confirmed_at IS NULL
    AND m.direction = 'out' AND m.kind = 'document' AND m.sender_her IN (SELECT value FROM json_each(:hers))
ORDER BY d.settled_seq"""

# In which hours each partner sent a document, of the newest documents that came.
HEARD = """
SELECT DISTINCT counterpart, at / 3600000000 * 3600000000 FROM (
    SELECT counterpart, at FROM event AS v WHERE v.kind = 'inbox.document' ORDER BY v.seq DESC LIMIT :limit
)
WHERE counterpart IS NOT NULL AND at >= :after"""

# What is not finished: what a person must see to, then what the EPJ must, then the rest; oldest first.
QUEUE = f"SELECT {WORK} FROM delivery AS d {_WORK_JOIN} WHERE d.outcome = 'open' ORDER BY d.urgency, d.seq LIMIT :limit"

# What a person holds.
PARTNER_HOLD = f"SELECT {HOLD.of('h')} FROM hold AS h WHERE h.her = :her"
PARTNER_HOLDS = f"SELECT {HOLD.of('h')} FROM hold AS h ORDER BY h.her"

# Open deliveries to one counterpart, a page at a time.
OPEN_TO = f"""
SELECT {WORK} FROM delivery AS d {_WORK_JOIN}
WHERE d.receiver_her = :her AND d.outcome = 'open'
    AND d.seq > coalesce((SELECT seq FROM delivery WHERE id = :after), 0)
ORDER BY d.seq LIMIT :limit"""

# Held with a counterpart that is held no longer.
LEFT_HELD = f"""
SELECT {WORK} FROM delivery AS d {_WORK_JOIN}
WHERE d.held = 'partner' AND d.receiver_her NOT IN (SELECT her FROM hold) ORDER BY d.seq LIMIT :limit"""

# A message out has ended when all its deliveries have; the outcome of a document when the EPJ has confirmed it too.
_OUT_ENDED = """
CASE WHEN EXISTS (
    SELECT 1 FROM delivery WHERE message_id = m.id
        AND (outcome = 'open' OR (m.kind = 'document' AND confirmed_at IS NULL))
) THEN NULL ELSE (SELECT max(updated_at) FROM delivery WHERE message_id = m.id) END"""

# A document that came in, when it was stored and, where a receipt is owed, the receipt has ended. One that we rejected
# ourselves has no item.
_DOCUMENT_ENDED = """
CASE i.stage
    WHEN 'receipted' THEN i.updated_at
    WHEN 'judged' THEN CASE WHEN EXISTS (
        SELECT 1 FROM delivery WHERE message_id = i.apprec_message AND outcome = 'open'
    ) THEN NULL ELSE i.updated_at END
    WHEN 'stored' THEN CASE WHEN m.owed = 'J' THEN NULL ELSE i.updated_at END
    WHEN 'waiting' THEN NULL
    ELSE m.at END"""

# An AppRec that came in, when the outcome that it decided is confirmed; one that decided nothing, at once.
_APPREC_ENDED = """
CASE WHEN EXISTS (
    SELECT 1 FROM message AS o JOIN delivery AS d ON d.message_id = o.id
    WHERE o.msg_id = m.original_msg_id AND d.receipt_message = m.id AND d.confirmed_at IS NULL
) THEN NULL ELSE m.at END"""

# When the last envelope came that a response of a revocation service stands behind; none for any other body.
_JUDGED_LAST = """(
    SELECT max(judged.received_at) FROM statement AS said JOIN received AS judged ON judged.evidence = said.evidence
    WHERE said.body = b.id
)"""

# Bodies that are not erased, what they are kept for, and since when nobody is owed them.
KEPT = f"""
SELECT b.seq, b.id, b.size,
    CASE
        WHEN e.eb_id IS NOT NULL THEN 'envelopes' WHEN r.eb_id IS NOT NULL THEN 'evidence'
        WHEN m.id IS NULL THEN CASE WHEN {_JUDGED_LAST} IS NULL THEN 'answers' ELSE 'evidence' END
        WHEN m.kind = 'apprec' THEN 'receipts'
        WHEN m.direction = 'out' THEN 'sent' ELSE 'received' END,
    coalesce(m.at, e.timestamp, r.received_at, {_JUDGED_LAST}),
    CASE
        WHEN e.eb_id IS NOT NULL THEN CASE WHEN d.outcome = 'open' THEN NULL ELSE d.updated_at END
        WHEN r.eb_id IS NOT NULL THEN r.received_at
        WHEN m.id IS NULL THEN {_JUDGED_LAST}
        WHEN m.direction = 'out' THEN {_OUT_ENDED}
        WHEN m.kind = 'document' THEN {_DOCUMENT_ENDED}
        ELSE {_APPREC_ENDED} END,
    coalesce(m.id, d.message_id, ri.message_id), coalesce(m.msg_id, dm.msg_id, rm.msg_id), d.id,
    CASE WHEN m.direction = 'out' THEN m.sender_her ELSE coalesce(i.receiver_her, e.from_her, ri.receiver_her) END
FROM body AS b INDEXED BY body_kept
LEFT JOIN message AS bm ON bm.body = b.id
LEFT JOIN payload AS p ON p.body = b.id
LEFT JOIN message AS m ON m.id = coalesce(bm.id, p.message_id)
LEFT JOIN item AS i ON i.message_id = m.id
LEFT JOIN envelope AS e ON e.body = b.id
LEFT JOIN delivery AS d ON d.id = e.delivery_id
LEFT JOIN message AS dm ON dm.id = d.message_id
LEFT JOIN received AS r ON r.evidence = b.id
LEFT JOIN item AS ri ON ri.id = r.item_id
LEFT JOIN message AS rm ON rm.id = ri.message_id
WHERE b.erased_at IS NULL AND b.seq > :after ORDER BY b.seq LIMIT :limit"""
