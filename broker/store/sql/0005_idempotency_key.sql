-- The second natural key of what an EPJ posts, which it may choose freely. Only its digest is kept: a client may have
-- put anything into it.
ALTER TABLE message ADD COLUMN key_sha256 BLOB CHECK (length(key_sha256) = 32);
CREATE UNIQUE INDEX message_key ON message (client, key_sha256) WHERE key_sha256 IS NOT NULL;
