-- The tables of a file, version 1. Texts that are not UTF-8 are stored as BLOB. Times are
-- microseconds since 1970.

CREATE TABLE feeds (
    feed INTEGER PRIMARY KEY,
    -- NULL: deleted, and its rows are being removed.
    name UNIQUE,
    config TEXT NOT NULL
);

-- Of each feed, the row with the number 0 has no id and keeps in `note` what is counted, as JSON: it
-- changes in each step, and so is on a page with rows that do.
CREATE TABLE rows (
    -- The feed, times 2 to the power of 40, and a number that is not used again.
    key INTEGER PRIMARY KEY,
    feed INTEGER NOT NULL,
    id,
    -- 0: stored, -1: waiting, -2: claimed, -3: stalled, -4: scheduled.
    state INTEGER,
    place INTEGER,
    put_at INTEGER,
    since INTEGER,
    token,
    failures INTEGER,
    -- JSON, or empty.
    note TEXT NOT NULL,
    -- Of those that wait: 0, if its place and its time are after those of all that came in order.
    late INTEGER,
    -- NULL: long, and kept apart, because rows are written again when a job changes.
    item BLOB
);
CREATE UNIQUE INDEX rows_by_id ON rows (feed, id);
CREATE INDEX rows_by_place ON rows (feed, state, place);
CREATE INDEX rows_by_token ON rows (feed, token) WHERE token <> '';
CREATE INDEX rows_by_put ON rows (feed, put_at) WHERE late = 1;
-- Claims that were extended. The others are in order of time in `rows_by_place`: those that were made
-- together are one microsecond apart there, a thousand at most. (With `state = -2` here, SQLite would
-- prepare statements with `state = ?` again for each value.)
CREATE INDEX rows_by_since ON rows (feed, since) WHERE since > 0 AND place > since + 999;

-- What is counted, for people and tests. The library does not use it.
CREATE VIEW numbers AS SELECT
    feeds.feed,
    name,
    json_extract(note, '$.publishes') AS publishes,
    json_extract(note, '$.finished') AS finished,
    json_extract(note, '$.counts[0]') AS stored,
    json_extract(note, '$.counts[1]') AS waiting,
    json_extract(note, '$.counts[2]') AS claimed,
    json_extract(note, '$.counts[3]') AS stalled,
    json_extract(note, '$.counts[4]') AS scheduled
FROM feeds JOIN rows ON key = feeds.feed << 40;

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
