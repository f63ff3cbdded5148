-- The tables of a file, version 1. Texts that are not UTF-8 are stored as BLOB. Times are
-- microseconds since 1970.

CREATE TABLE feeds (
    feed INTEGER PRIMARY KEY,
    -- NULL: deleted, and its rows are being removed.
    name UNIQUE,
    config TEXT NOT NULL,
    publishes INTEGER NOT NULL DEFAULT 0,
    finished INTEGER NOT NULL DEFAULT 0,
    given INTEGER NOT NULL DEFAULT 0,
    first INTEGER NOT NULL DEFAULT 0,
    last INTEGER NOT NULL DEFAULT 0,
    failing INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    claimed INTEGER NOT NULL DEFAULT 0,
    stalled INTEGER NOT NULL DEFAULT 0,
    scheduled INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE rows (
    key INTEGER PRIMARY KEY,
    feed INTEGER NOT NULL,
    id NOT NULL,
    state INTEGER NOT NULL,
    place INTEGER NOT NULL,
    put_at INTEGER NOT NULL,
    since INTEGER NOT NULL,
    token NOT NULL,
    failures INTEGER NOT NULL,
    -- JSON, or empty.
    note TEXT NOT NULL
);
CREATE UNIQUE INDEX rows_by_id ON rows (feed, id);
CREATE INDEX rows_by_place ON rows (feed, state, place);
CREATE INDEX rows_by_token ON rows (feed, token) WHERE token <> '';
CREATE INDEX rows_by_put ON rows (feed, put_at) WHERE state = 1;

-- Apart from the rows, which change more often.
CREATE TABLE items (key INTEGER PRIMARY KEY, item BLOB NOT NULL);

CREATE TABLE records (
    feed INTEGER NOT NULL,
    shelf INTEGER NOT NULL,
    id NOT NULL,
    at INTEGER,
    text TEXT NOT NULL,
    first BLOB,
    second BLOB,
    PRIMARY KEY (feed, shelf, id)
) WITHOUT ROWID;
CREATE INDEX records_by_time ON records (shelf, at) WHERE at IS NOT NULL;

-- Numbers are never used again: a hole means that notices were removed.
CREATE TABLE notices (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Microseconds since the machine was started, as is `until` below.
    at INTEGER NOT NULL,
    feed NOT NULL,
    kind TEXT NOT NULL,
    -- JSON: what else it says, None in the place of the bytes.
    text TEXT NOT NULL,
    data BLOB
);
CREATE INDEX notices_by_time ON notices (at);

-- The processes in which somebody listens. Without one no notices are kept.
CREATE TABLE listeners (process TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
