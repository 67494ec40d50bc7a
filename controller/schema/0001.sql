-- The controller's database. Times are seconds since 1970, UTC. Secrets are kept as SHA-256 only.

CREATE TABLE users (
    name    TEXT PRIMARY KEY,
    role    TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;

CREATE TABLE user_tokens (
    hash    BLOB PRIMARY KEY,
    user    TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created REAL NOT NULL
) STRICT;

-- One-time secrets with which a vantage point enrols. `vp` pins the name, NULL leaves it open.
CREATE TABLE enrolments (
    hash    BLOB PRIMARY KEY,
    vp      TEXT,
    expires REAL NOT NULL,
    used    REAL
) STRICT;

-- `acked` is the number of the last event that is in `events`: both change in one transaction.
CREATE TABLE vps (
    name     TEXT PRIMARY KEY,
    token    BLOB NOT NULL UNIQUE,
    enrolled REAL NOT NULL,
    acked    INTEGER NOT NULL DEFAULT 0,
    hello    BLOB,
    seen     REAL
) STRICT;

CREATE TABLE runs (
    id           TEXT PRIMARY KEY,
    user         TEXT NOT NULL,
    role         TEXT NOT NULL,
    filename     TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    args         BLOB NOT NULL,
    limits       BLOB NOT NULL,
    submitted    REAL NOT NULL,
    ended        REAL,
    cancelled_by TEXT,
    source       BLOB NOT NULL,
    inputs       BLOB NOT NULL
) STRICT;
-- A run without its bulk, in the order of store.RunRow.
CREATE VIEW run_heads AS
    SELECT id, user, role, filename, sha256, args, limits, submitted, ended, cancelled_by FROM runs;
CREATE INDEX runs_by_user ON runs (user, submitted);

-- One run on one vantage point; columns in the order of store.PlacementRow. `outcome` is NULL as long as it is alive.
CREATE TABLE placements (
    run     TEXT NOT NULL REFERENCES runs (id),
    vp      TEXT NOT NULL,
    state   TEXT NOT NULL,
    outcome TEXT,
    started REAL,
    ended   REAL,
    bytes   INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    results INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, vp)
) STRICT;
CREATE INDEX placements_alive ON placements (vp) WHERE outcome IS NULL;

-- What happened. Append-only, and the only copy: files are read out of it. `vp` is '' and `seq` NULL for
-- the controller's own events. `part` is the connection of a measurement or the name of an artifact;
-- `fresh` marks a piece that empties its artifact first. `body` stands last, so that reading a row
-- without it does not touch its overflow pages.
CREATE TABLE events (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    run   TEXT NOT NULL,
    vp    TEXT NOT NULL,
    seq   INTEGER,
    time  REAL NOT NULL,
    type  TEXT NOT NULL,
    part  TEXT NOT NULL,
    fresh INTEGER NOT NULL,
    size  INTEGER NOT NULL,
    body  BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_run ON events (run, id);
-- Holds what adding up files needs, so that rows with large bodies are not visited for it.
CREATE INDEX events_by_file ON events (run, vp, type, part, id, fresh, size);
