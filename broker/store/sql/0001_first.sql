-- The first schema: what is kept, and what may never be written, whatever the program thinks.
--
-- Instants and spans are integer microseconds, instants since 1970-01-01 UTC. `seq` is the order of commits.
-- Nothing here may hold health data: bodies are sealed before they come, all else is metadata.
-- Lists of states are compared with broker/lifecycle.py and broker/message.py by a test.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Encrypted bytes, in the row or in a file, under a key of their own that the site key wraps.
CREATE TABLE body (
    seq       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    size      INTEGER NOT NULL CHECK (size >= 0), -- before encryption
    wrapped   BLOB,
    sealed    BLOB,
    file      TEXT UNIQUE,
    erased_at INTEGER,
    CONSTRAINT "a body stands in its row or in a file, or is erased with its key" CHECK (
        CASE WHEN erased_at IS NULL THEN wrapped IS NOT NULL AND (sealed IS NULL) <> (file IS NULL)
        ELSE wrapped IS NULL AND sealed IS NULL AND file IS NULL END
    )
) STRICT;
CREATE TRIGGER body_fixed BEFORE UPDATE ON body
WHEN NEW.erased_at IS NULL OR OLD.erased_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.size <> OLD.size
BEGIN SELECT RAISE(ABORT, 'a body is erased once, never changed'); END;

CREATE TABLE message (
    seq                     INTEGER PRIMARY KEY,
    id                      TEXT NOT NULL UNIQUE,
    direction               TEXT NOT NULL CHECK (direction IN ('out', 'in')),
    kind                    TEXT NOT NULL CHECK (kind IN ('document', 'apprec')),
    sender_her              INTEGER NOT NULL CHECK (sender_her > 0),
    sender_organisation_her INTEGER CHECK (sender_organisation_her > 0),
    msg_id                  TEXT NOT NULL CHECK (msg_id <> ''),
    type                    TEXT NOT NULL,
    gen_date                TEXT NOT NULL,
    process                 TEXT NOT NULL,
    function                TEXT NOT NULL,
    conversation_id         TEXT NOT NULL,
    ref_to_parent           TEXT,
    owed                    TEXT NOT NULL CHECK (owed IN ('J', 'F', 'N')),
    sha256                  BLOB NOT NULL CHECK (length(sha256) = 32),
    size                    INTEGER NOT NULL CHECK (size >= 0),
    body                    TEXT NOT NULL REFERENCES body (id),
    at                      INTEGER NOT NULL,
    client                  TEXT,
    answers_item            TEXT, -- an item; no foreign key, for item and AppRec may name each other in one commit
    original_msg_id         TEXT,
    CONSTRAINT "an AppRec is never receipted" CHECK (kind = 'document' OR owed = 'N'),
    CONSTRAINT "an AppRec, and nothing else, answers a message" CHECK ((kind = 'apprec') = (original_msg_id IS NOT NULL)),
    CONSTRAINT "only an AppRec of ours answers an item" CHECK (
        answers_item IS NULL OR (kind = 'apprec' AND direction = 'out')
    )
) STRICT;
CREATE UNIQUE INDEX message_taken ON message (sender_her, msg_id) WHERE direction = 'out';
CREATE UNIQUE INDEX message_received ON message (sender_her, msg_id) WHERE direction = 'in' AND kind = 'document';
CREATE INDEX message_msg_id ON message (msg_id);
CREATE INDEX message_conversation ON message (conversation_id);
CREATE TRIGGER message_fixed BEFORE UPDATE ON message BEGIN SELECT RAISE(ABORT, 'a message never changes'); END;
CREATE TRIGGER message_kept BEFORE DELETE ON message BEGIN SELECT RAISE(ABORT, 'a message is never deleted'); END;

CREATE TABLE delivery (
    seq                       INTEGER PRIMARY KEY,
    id                        TEXT NOT NULL UNIQUE,
    message_id                TEXT NOT NULL REFERENCES message (id),
    receiver_her              INTEGER NOT NULL CHECK (receiver_her > 0),
    receiver_organisation_her INTEGER CHECK (receiver_organisation_her > 0),
    receiver_person           INTEGER NOT NULL CHECK (receiver_person IN (0, 1)),
    transport                 TEXT NOT NULL
        CHECK (transport IN ('waiting', 'sent', 'acknowledged', 'refused', 'abandoned')),
    receipt                   TEXT NOT NULL
        CHECK (receipt IN ('not owed', 'awaited', 'overdue', 'ok', 'partial', 'rejected')),
    outcome                   TEXT NOT NULL CHECK (outcome IN ('open', 'completed', 'rejected', 'closed')),
    stop_point                TEXT NOT NULL
        CHECK (stop_point IN ('K1', 'K2', 'K3', 'K4', 'K5', 'K6', 'K7', 'K8')),
    version                   INTEGER NOT NULL,
    ball                      TEXT NOT NULL CHECK (ball IN ('us', 'partner', 'epj', 'person')),
    cause                     TEXT,
    transport_due             INTEGER,
    receipt_due               INTEGER,
    alarms                    INTEGER NOT NULL CHECK (alarms >= 0),
    chases                    INTEGER NOT NULL CHECK (chases >= 0),
    renewals                  INTEGER NOT NULL CHECK (renewals >= 0),
    failures                  INTEGER NOT NULL CHECK (failures >= 0),
    envelope                  TEXT,
    codes                     TEXT NOT NULL CHECK (json_type(codes) = 'array'),
    late                      INTEGER NOT NULL CHECK (late IN (0, 1)),
    receipt_message           TEXT REFERENCES message (id),
    confirmed_at              INTEGER,
    closed_because            TEXT,
    leased_until              INTEGER,
    updated_at                INTEGER,
    settled_seq               INTEGER, -- the feed event that told the outcome
    -- when anything is due; a leased one not before its lease ends
    ready INTEGER AS (
        max(coalesce(min(transport_due, receipt_due), transport_due, receipt_due), coalesce(leased_until, 0))
    ) VIRTUAL,
    urgency INTEGER AS (CASE ball WHEN 'person' THEN 0 WHEN 'epj' THEN 1 ELSE 2 END) VIRTUAL,
    -- the bytes that go out are those that were sealed for this delivery, and for no other
    FOREIGN KEY (envelope, id) REFERENCES envelope (eb_id, delivery_id),
    CONSTRAINT "the outcome follows from transport and receipt" CHECK (
        outcome = 'closed' OR outcome = CASE
            WHEN receipt IN ('ok', 'partial') THEN 'completed'
            WHEN receipt = 'rejected' THEN 'rejected'
            WHEN receipt = 'not owed' AND transport = 'acknowledged' THEN 'completed'
            ELSE 'open' END
    ),
    CONSTRAINT "an open delivery has a next step with a time, or someone it waits for" CHECK (
        outcome <> 'open' OR ball <> 'us' OR transport_due IS NOT NULL OR receipt_due IS NOT NULL
    ),
    CONSTRAINT "nothing is receipted without a receipt" CHECK (
        receipt NOT IN ('ok', 'partial', 'rejected') OR receipt_message IS NOT NULL
    ),
    CONSTRAINT "a person closes with a reason" CHECK (outcome <> 'closed' OR closed_because IS NOT NULL),
    CONSTRAINT "only an outcome is confirmed" CHECK (outcome <> 'open' OR confirmed_at IS NULL)
) STRICT;
-- An AppRec may be delivered again later, for a document that came again; but never twice at once.
CREATE UNIQUE INDEX delivery_once ON delivery (message_id, receiver_her) WHERE outcome = 'open';
CREATE INDEX delivery_message ON delivery (message_id);
CREATE INDEX delivery_lane ON delivery (receiver_her, ready) WHERE ready IS NOT NULL;
CREATE INDEX delivery_leased ON delivery (leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX delivery_open ON delivery (urgency) WHERE outcome = 'open';
CREATE INDEX delivery_unconfirmed ON delivery (settled_seq) WHERE settled_seq IS NOT NULL AND confirmed_at IS NULL;
CREATE TRIGGER delivery_fixed
BEFORE UPDATE OF id, message_id, receiver_her, receiver_organisation_her, receiver_person ON delivery
BEGIN SELECT RAISE(ABORT, 'a delivery never changes its message or receiver'); END;
CREATE TRIGGER delivery_kept BEFORE DELETE ON delivery
BEGIN SELECT RAISE(ABORT, 'a delivery is never deleted'); END;
CREATE TRIGGER delivery_version BEFORE UPDATE ON delivery WHEN NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'every change takes the next version'); END;
CREATE TRIGGER delivery_first_verdict BEFORE UPDATE OF receipt ON delivery
WHEN OLD.receipt IN ('ok', 'partial', 'rejected') AND NEW.receipt <> OLD.receipt
BEGIN SELECT RAISE(ABORT, 'the first verdict decides'); END;
CREATE TRIGGER delivery_closed BEFORE UPDATE OF outcome ON delivery
WHEN OLD.outcome = 'closed' AND NEW.outcome <> 'closed'
BEGIN SELECT RAISE(ABORT, 'what a person closed stays closed'); END;
CREATE TRIGGER delivery_receipt BEFORE UPDATE OF receipt_message ON delivery
WHEN NEW.receipt_message IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM message WHERE id = NEW.receipt_message AND direction = 'in' AND kind = 'apprec'
)
BEGIN SELECT RAISE(ABORT, 'only an AppRec that came in is a receipt'); END;
CREATE TRIGGER delivery_new BEFORE INSERT ON delivery
WHEN NEW.receipt_message IS NOT NULL OR NEW.confirmed_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a new delivery is neither receipted nor confirmed'); END;

-- Sealed bytes: what they are never changes, how often they went and whether they arrived does.
CREATE TABLE envelope (
    eb_id           TEXT PRIMARY KEY,
    delivery_id     TEXT NOT NULL REFERENCES delivery (id),
    cpa_id          TEXT NOT NULL,
    from_her        INTEGER NOT NULL CHECK (from_her > 0),
    to_her          INTEGER NOT NULL CHECK (to_her > 0),
    content_type    TEXT NOT NULL,
    body            TEXT NOT NULL REFERENCES body (id),
    digests         TEXT NOT NULL CHECK (json_type(digests) = 'array'),
    ack_signed      INTEGER NOT NULL CHECK (ack_signed IN (0, 1)),
    sync            INTEGER NOT NULL CHECK (sync IN (0, 1)),
    retries         INTEGER NOT NULL CHECK (retries >= 0),
    interval        INTEGER NOT NULL CHECK (interval >= 0),
    timestamp       INTEGER NOT NULL,
    persist_until   INTEGER NOT NULL,
    copies          INTEGER NOT NULL CHECK (copies >= 0),
    acknowledged_at INTEGER,
    UNIQUE (eb_id, delivery_id)
) STRICT;
CREATE INDEX envelope_delivery ON envelope (delivery_id);
CREATE TRIGGER envelope_fixed BEFORE UPDATE OF
    eb_id, delivery_id, cpa_id, from_her, to_her, content_type, body, digests, ack_signed, sync, retries, interval,
    timestamp, persist_until
ON envelope BEGIN SELECT RAISE(ABORT, 'a sealed envelope never changes'); END;
CREATE TRIGGER envelope_used BEFORE UPDATE ON envelope
WHEN NEW.copies < OLD.copies OR (NEW.acknowledged_at IS NULL AND OLD.acknowledged_at IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'a copy is not unsent, an acknowledgment not taken back'); END;

CREATE TABLE attempt (
    seq         INTEGER PRIMARY KEY,
    delivery_id TEXT NOT NULL,
    eb_id       TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    endpoint    TEXT NOT NULL,
    http_status INTEGER,
    result      TEXT NOT NULL CHECK (result IN ('acknowledged', 'sent', 'refused', 'failed')),
    error_id    TEXT,
    FOREIGN KEY (eb_id, delivery_id) REFERENCES envelope (eb_id, delivery_id)
) STRICT;
CREATE INDEX attempt_delivery ON attempt (delivery_id);

CREATE TABLE item (
    seq            INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,
    message_id     TEXT NOT NULL REFERENCES message (id),
    receiver_her   INTEGER NOT NULL CHECK (receiver_her > 0),
    sender_her     INTEGER NOT NULL CHECK (sender_her > 0),
    cpa_id         TEXT NOT NULL,
    stage          TEXT NOT NULL CHECK (stage IN ('waiting', 'stored', 'judged', 'receipted')),
    version        INTEGER NOT NULL,
    received_at    INTEGER NOT NULL,
    verdict        TEXT CHECK (verdict IN ('Ok', 'Rejected', 'OkErrorInMessagePart')),
    codes_sha256   BLOB CHECK (length(codes_sha256) = 32),
    apprec_message TEXT REFERENCES message (id),
    updated_at     INTEGER,
    UNIQUE (message_id, receiver_her),
    CONSTRAINT "judged means a verdict, and a verdict judged" CHECK (
        (stage IN ('judged', 'receipted')) = (verdict IS NOT NULL)
    ),
    CONSTRAINT "a receipt is delivered only where there is one" CHECK (
        stage <> 'receipted' OR apprec_message IS NOT NULL
    )
) STRICT;
CREATE INDEX item_receiver ON item (receiver_her, seq);
CREATE INDEX item_unread ON item (receiver_her, seq) WHERE stage = 'waiting';
CREATE TRIGGER item_fixed BEFORE UPDATE OF id, message_id, receiver_her, sender_her, cpa_id, received_at ON item
BEGIN SELECT RAISE(ABORT, 'an item never changes its message or receiver'); END;
CREATE TRIGGER item_version BEFORE UPDATE ON item WHEN NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'every change takes the next version'); END;
CREATE TRIGGER item_verdict BEFORE UPDATE OF verdict, codes_sha256 ON item
WHEN OLD.verdict IS NOT NULL
    AND (NEW.verdict IS NOT OLD.verdict OR NEW.codes_sha256 IS NOT OLD.codes_sha256)
BEGIN SELECT RAISE(ABORT, 'a verdict never changes'); END;

CREATE TABLE received (
    from_her     INTEGER NOT NULL CHECK (from_her > 0),
    cpa_id       TEXT NOT NULL,
    eb_id        TEXT NOT NULL,
    digests      TEXT NOT NULL CHECK (json_type(digests) = 'array'),
    received_at  INTEGER NOT NULL,
    evidence     TEXT NOT NULL REFERENCES body (id),
    status       INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    answer       TEXT NOT NULL REFERENCES body (id),
    item_id      TEXT REFERENCES item (id),
    PRIMARY KEY (from_her, cpa_id, eb_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX received_eb_id ON received (eb_id);
CREATE TRIGGER received_fixed BEFORE UPDATE ON received
BEGIN SELECT RAISE(ABORT, 'what was answered never changes'); END;
CREATE TRIGGER received_kept BEFORE DELETE ON received
BEGIN SELECT RAISE(ABORT, 'what was answered is never forgotten'); END;

-- An Acknowledgment or MessageError that is due as a POST of its own.
CREATE TABLE signal (
    id           TEXT PRIMARY KEY,
    to_her       INTEGER NOT NULL CHECK (to_her > 0),
    ref_eb_id    TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body         TEXT NOT NULL REFERENCES body (id),
    due          INTEGER,
    tries        INTEGER NOT NULL CHECK (tries >= 0),
    leased_until INTEGER,
    ready INTEGER AS (max(due, coalesce(leased_until, 0))) VIRTUAL
) STRICT;
CREATE INDEX signal_lane ON signal (to_her, ready) WHERE ready IS NOT NULL;
CREATE TRIGGER signal_fixed BEFORE UPDATE OF id, to_her, ref_eb_id, content_type, body ON signal
BEGIN SELECT RAISE(ABORT, 'a signal never changes its bytes'); END;

-- A table and not a CHECK: this list grows, and a CHECK can only be changed by copying every event.
CREATE TABLE event_kind (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO event_kind VALUES
    ('message.accepted'), ('message.addressed'), ('message.sealed'), ('message.parked'), ('message.sent'),
    ('message.attempt_failed'), ('message.transport_acked'), ('message.transport_rejected'), ('message.gave_up'),
    ('message.renewed'), ('message.receipt_late'), ('message.chased'), ('message.overdue'), ('message.lapsed'),
    ('message.apprec_ok'), ('message.apprec_partial'), ('message.apprec_rejected'), ('message.apprec_repeated'),
    ('message.apprec_contradicts'), ('message.apprec_says_duplicate'), ('worklist.apprec_unmatched'),
    ('message.completed'), ('message.closed'), ('message.confirmed'), ('inbox.document'),
    ('inbox.receipt_requested'), ('inbox.stored'), ('inbox.judged'), ('inbox.receipt_delivered'),
    ('inbound.rejected'), ('door.refused'), ('inbound.duplicate'), ('inbound.signal_sent'),
    ('inbound.signal_dropped'), ('security');

CREATE TABLE event (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT, -- the feed's offset: never used twice
    kind        TEXT NOT NULL REFERENCES event_kind (name),
    at          INTEGER NOT NULL,
    her         INTEGER CHECK (her > 0),
    feed        INTEGER NOT NULL CHECK (feed IN (0, 1)),
    message_id  TEXT,
    delivery_id TEXT,
    item_id     TEXT,
    msg_id      TEXT,
    counterpart INTEGER,
    stop_point  TEXT,
    error_id    TEXT,
    codes       TEXT NOT NULL CHECK (json_type(codes) = 'array'),
    eb_id       TEXT,
    client      TEXT,
    why         TEXT,
    CONSTRAINT "what stands in a feed stands in somebody's" CHECK (feed = 0 OR her IS NOT NULL)
) STRICT;
CREATE INDEX event_feed ON event (her, seq) WHERE feed = 1;
CREATE INDEX event_message ON event (message_id, seq) WHERE message_id IS NOT NULL;
CREATE INDEX event_kinds ON event (kind, seq);
CREATE TRIGGER event_fixed BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'history never changes'); END;
CREATE TRIGGER event_kept BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'history is never deleted'); END;
