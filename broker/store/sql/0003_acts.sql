-- What a person does: holds, and who did it. And what retention may take: nothing that is still owed.

ALTER TABLE delivery ADD COLUMN held TEXT
    CONSTRAINT "what is held is open, and not due to go out" CHECK (
        held IS NULL OR (held IN ('delivery', 'partner') AND outcome = 'open' AND transport_due IS NULL)
    );
ALTER TABLE event ADD COLUMN actor TEXT;

-- A counterpart to whom nothing goes, until a person releases it.
CREATE TABLE hold (
    her   INTEGER PRIMARY KEY CHECK (her > 0),
    at    INTEGER NOT NULL,
    actor TEXT NOT NULL,
    why   TEXT NOT NULL CHECK (why <> '')
) STRICT;

INSERT INTO event_kind VALUES
    ('message.held'), ('message.released'), ('message.retried'), ('message.erased'), ('partner.held'),
    ('partner.released');

CREATE INDEX delivery_counterpart ON delivery (receiver_her, seq) WHERE outcome = 'open';
CREATE INDEX delivery_held ON delivery (seq) WHERE held = 'partner';
CREATE INDEX message_body ON message (body);
CREATE INDEX envelope_body ON envelope (body);
CREATE INDEX received_evidence ON received (evidence);
CREATE INDEX body_kept ON body (seq) WHERE erased_at IS NULL;

-- Bodies that somebody is still owed: of what is on its way, and of what its EPJ has not stored or not yet judged.
CREATE VIEW owed (body) AS
SELECT m.body FROM message AS m JOIN delivery AS d ON d.message_id = m.id WHERE d.outcome = 'open'
UNION ALL
SELECT e.body FROM envelope AS e JOIN delivery AS d ON d.id = e.delivery_id WHERE d.outcome = 'open'
UNION ALL
SELECT m.body FROM message AS m JOIN item AS i ON i.message_id = m.id
WHERE i.stage = 'waiting' OR (i.stage = 'stored' AND m.owed = 'J');

CREATE TRIGGER body_owed BEFORE UPDATE OF erased_at ON body
WHEN NEW.erased_at IS NOT NULL AND EXISTS (SELECT 1 FROM owed WHERE body = OLD.id)
BEGIN SELECT RAISE(ABORT, 'a body that is still owed is not erased'); END;
