-- What people have been told of: one row a problem, from when it opened until they know that it closed.
--
-- A restart must neither tell it again nor forget to tell. `told` names the channels that know of the present phase:
-- that it is open, or, with `closed_at`, that it is over. A row is deleted when all of them know that.
CREATE TABLE alert (
    problem   TEXT PRIMARY KEY, -- stop-point:error id:HER-id
    name_nb   TEXT NOT NULL,
    name_en   TEXT NOT NULL,
    ball      TEXT NOT NULL CHECK (ball IN ('us', 'partner', 'epj', 'person')),
    count     INTEGER NOT NULL CHECK (count > 0), -- the most that stood there
    oldest    INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    gone_at   INTEGER, -- nothing has stood there since
    closed_at INTEGER,
    told      TEXT NOT NULL CHECK (json_type(told) = 'array'),
    CONSTRAINT "only what is gone is closed" CHECK (closed_at IS NULL OR gone_at IS NOT NULL)
) STRICT, WITHOUT ROWID;
