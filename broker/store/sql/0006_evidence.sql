-- On whose word the signer of an incoming envelope was not revoked when we received it: the responses of OCSP and CRL.
--
-- One body may stand behind many envelopes: a list holds for a day. It is kept as long as the last of them needs it.
CREATE TABLE statement (
    evidence    TEXT NOT NULL REFERENCES body (id), -- of the envelope: what retention keeps and erases
    certificate TEXT NOT NULL CHECK (length(certificate) = 64), -- SHA-256
    source      TEXT NOT NULL CHECK (source IN ('ocsp', 'crl')),
    fetched_at  INTEGER NOT NULL,
    sha256      BLOB NOT NULL CHECK (length(sha256) = 32), -- of the response
    body        TEXT NOT NULL REFERENCES body (id),
    PRIMARY KEY (evidence, certificate)
) STRICT, WITHOUT ROWID;
CREATE INDEX statement_body ON statement (body);
CREATE INDEX statement_sha256 ON statement (sha256);
CREATE TRIGGER statement_fixed BEFORE UPDATE ON statement
BEGIN SELECT RAISE(ABORT, 'what a service said never changes'); END;
CREATE TRIGGER statement_kept BEFORE DELETE ON statement
BEGIN SELECT RAISE(ABORT, 'what a service said is never forgotten'); END;
