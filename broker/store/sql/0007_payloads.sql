-- Agreements without Acknowledgments, envelopes with more than one payload, and what partners ask of each other's MSH.

-- Best effort: nothing is asked for, and the HTTP answer is all that comes.
ALTER TABLE envelope ADD COLUMN ack_requested INTEGER NOT NULL DEFAULT 1
    CONSTRAINT "only what is asked for is asked to be signed" CHECK (
        ack_requested IN (0, 1) AND (ack_requested = 1 OR ack_signed = 0)
    );
CREATE TRIGGER envelope_wish_fixed BEFORE UPDATE OF ack_requested ON envelope
BEGIN SELECT RAISE(ABORT, 'a sealed envelope never changes'); END;

-- What came in one envelope beside the document, in the order of the Manifest. Bodies as all bodies.
CREATE TABLE payload (
    message_id   TEXT NOT NULL REFERENCES message (id),
    number       INTEGER NOT NULL CHECK (number > 0),
    content_id   TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size         INTEGER NOT NULL CHECK (size >= 0), -- bytes, opened
    sha256       BLOB NOT NULL CHECK (length(sha256) = 32),
    body         TEXT NOT NULL REFERENCES body (id),
    PRIMARY KEY (message_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX payload_body ON payload (body);
-- By which envelopes an item came: its receipt, and a business answer, refer to the last of them.
CREATE INDEX received_item ON received (item_id) WHERE item_id IS NOT NULL;
CREATE TRIGGER payload_fixed BEFORE UPDATE ON payload BEGIN SELECT RAISE(ABORT, 'a payload never changes'); END;
CREATE TRIGGER payload_kept BEFORE DELETE ON payload BEGIN SELECT RAISE(ABORT, 'a payload is never deleted'); END;

INSERT INTO event_kind VALUES ('partner.pinged'), ('partner.asked_status'), ('message.asked_status'), ('message.status_told');

-- As before, and with what came beside a document.
DROP VIEW owed;
CREATE VIEW owed (body) AS
SELECT m.body FROM message AS m JOIN delivery AS d ON d.message_id = m.id WHERE d.outcome = 'open'
UNION ALL
SELECT e.body FROM envelope AS e JOIN delivery AS d ON d.id = e.delivery_id WHERE d.outcome = 'open'
UNION ALL
SELECT m.body FROM message AS m JOIN item AS i ON i.message_id = m.id
WHERE i.stage = 'waiting' OR (i.stage = 'stored' AND m.owed = 'J')
UNION ALL
SELECT p.body FROM payload AS p JOIN message AS m ON m.id = p.message_id JOIN item AS i ON i.message_id = m.id
WHERE i.stage = 'waiting' OR (i.stage = 'stored' AND m.owed = 'J');
