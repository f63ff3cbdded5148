"""A store in an SQLite file, which any number of processes of one machine share."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import attrs

from thoonk import notices as all_notices
from thoonk.backends.at_fork import forget_at_fork, prepare_at_fork
from thoonk.backends.embedded import sqlite_errors
from thoonk.backends.embedded.mounts import network_file_system_of
from thoonk.backends.embedded.store import (
    EXPIRING,
    Feed,
    Hub,
    Record,
    Row,
    Shelf,
    State,
    Store,
    Watch,
)
from thoonk.backends.embedded.turns import Turns, turns_of
from thoonk.exceptions import BackendError, BackendUnavailable
from thoonk.names import decode_name, encode_name, new_token
from thoonk.notices import Notice

if TYPE_CHECKING:
    from thoonk.backends.embedded.watcher import Watcher

logger = logging.getLogger("thoonk.backends.sqlite")

IN_MEMORY = ":memory:"
"""What SQLite calls a database without a file."""

SCHEMA = 1
"""The version of the tables."""

LOOK_AT_FILE = 0.5
"""Seconds after which it is checked that the file is still the one that was opened."""

CLOSES_WITHIN = 1.0
"""Seconds for which closing tries to say that this process listens no more."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.0002, 0.002
"""Seconds between two attempts to write while another process does."""

SWEEP = 1000
"""How many rows of deleted feeds, or records, or pages, are removed at once."""

CLEAN_AFTER = 1000
"""After so many notices old ones are removed."""

MOST_REMEMBERED = 1000
"""How many feeds are remembered."""

KEEP = 600 * 1_000_000
"""Microseconds that a notice is kept, and that a process which listens may be stopped."""

KEEP_AT_MOST = 100_000
"""How many notices are kept."""

INLINE = 1000
"""Items of more bytes are not in the rows, which are written again when a job changes."""

IDS = 200
"""How many ids are looked for with one statement."""

FEED_BITS = 40
"""The key of a row is that of its feed, shifted by so many bits, and its number in the feed."""

_ROW = "key, id, state, place, put_at, since, token, failures, note, item"
_OF_ID = f"SELECT {_ROW} FROM rows WHERE feed = ? AND id = ?"
_OF_IDS = f"SELECT {_ROW} FROM rows WHERE feed = ? AND id IN ({', '.join('?' * IDS)})"
_OF_TOKEN = (
    f"SELECT {_ROW} FROM rows WHERE feed = ? AND token = ? AND token <> '' ORDER BY place, key"
)
_IN_STATE = {
    (has_after, reverse): f"SELECT {_ROW} FROM rows WHERE feed = ? AND state = ? "
    + (f"AND (place, key) {'<' if reverse else '>'} (?, ?) " if has_after else "")
    + ("ORDER BY place DESC, key DESC " if reverse else "ORDER BY place, key ")
    + "LIMIT ? OFFSET ?"
    for has_after in (False, True)
    for reverse in (False, True)
}
_INSERT = (
    "INSERT INTO rows (feed, id, item, state, place, put_at, since, token, failures, note, late, "
    "key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "UPDATE rows SET state = ?, place = ?, put_at = ?, since = ?, token = ?, failures = ?, "
    "note = ?, late = ? WHERE key = ?"
)
_NUMBERS = (
    '{"publishes": %d, "finished": %d, "given": %d, "first": %d, "last": %d, "failing": %d, '
    '"number": %d, "placed": %d, "latest": %d, "counts": [%d, %d, %d, %d, %d]}'
)

STORED_STATES = {state: -int(state) for state in State}
"""How states are stored: the latest claims are next to those that are claimed next."""
_STATES = {-int(state): state for state in State}
_KINDS: dict[str, type[Notice]] = {
    name: kind
    for name, kind in vars(all_notices).items()
    if isinstance(kind, type) and issubclass(kind, Notice)
}


def stored(text: str) -> str | bytes:
    """How a name or id is stored: text that is not UTF-8 as bytes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return encode_name(text)
    return text


def _read(value: str | bytes) -> str:
    return value if isinstance(value, str) else decode_name(value)


@attrs.define(eq=False)
class _Feed(Feed):
    """A feed in a file.

    Attributes:
        first_key: the key of the row that has its numbers, before those of its rows.
        number: the highest number that was given to a row.
        placed, latest: the highest place and time of rows that came to wait in order.
    """

    number: int = 0
    placed: int = 0
    latest: int = 0
    first_key: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.first_key = self.key << FEED_BITS


@attrs.define(eq=False)
class _Row(Row):
    """A row that was read, with its item, if that is in the row."""

    item: bytes | None = None


class _Transaction:
    """A block that is written as a whole, or not at all."""

    def __init__(self, store: SqliteStore, begin: str) -> None:
        self._store = store
        self._begin = begin

    def __enter__(self) -> None:
        try:
            self._store.begin(self._begin)
        except BaseException:
            # Ctrl-C may have come when it had begun already.
            self._store.roll_back()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self._store.commit()
        else:
            self._store.roll_back()
            if isinstance(error, sqlite3.Error):
                raise sqlite_errors.translated(error, self._store.path) from error


class SqliteStore(Store):
    """Feeds in a file."""

    def __init__(self, path: str, *, synchronous: str = "normal", retry_for: float = 30.0) -> None:
        """Open the file, or make it.

        Args:
            path: of the file; ``:memory:``: none, and what is stored ends with the store.
            synchronous: ``normal`` or ``full``, as SQLite means it.
            retry_for: seconds for which a file that another process writes is tried again.

        Raises:
            BackendUnavailable: it cannot be opened, or stays locked.
            AccessDenied: it cannot be written.
            BackendError: it is no file of this library's, or of a later version.
        """
        super().__init__()
        self.path = path
        # Which is beside the file itself, not beside a link to it.
        self.log = os.path.realpath(path) + "-wal"
        self.is_quick = path == IN_MEMORY
        self.shares_notices = not self.is_quick
        self.retry_for = retry_for
        self._synchronous = synchronous
        self.process = new_token()
        self._published = 0
        self._listens = False
        self._has_room = False
        # What is remembered of what was written, for as long as no other process writes.
        self._feeds: dict[str, _Feed] = {}
        self._version = -1
        self._forget()
        self._reads = _Transaction(self, "BEGIN")
        self._writes = _Transaction(self, _WRITE)
        self._turns = turns_of(self.log) if self.shares_notices else Turns()
        self._ticket, self._has_asked = threading.Lock(), False
        self._watcher: Watcher | None = None
        self._open()
        if self.shares_notices:
            prepare_at_fork(self)
            self._warn_of_network()

    def __str__(self) -> str:
        return self.path

    def _warn_of_network(self) -> None:
        if kind := network_file_system_of(self.path):
            logger.warning(
                "The file %s is on a network file system (%s): SQLite's locks are not safe there",
                self.path,
                kind,
                extra={"event": "file_on_network", "path": self.path},
            )

    # --- connections --------------------------------------------------------------------

    def _open(self) -> None:
        with sqlite_errors.told(self.path):
            self._db = self.connect()
            # One cursor for all: what a statement finds is read before the next one.
            self._cursor = self._db.cursor()
            self._execute = self._cursor.execute
            self._is_suspended = False
            self._retried(self._prepare)
        if self.shares_notices:
            self._files = {path: _identity(path) for path in (self.path, self.log)}
        self._look_at = time.monotonic() + LOOK_AT_FILE

    def connect(self, *, create: bool = True) -> sqlite3.Connection:
        """A connection to the file, which may have to be there."""
        return sqlite3.connect(
            self.path if create else f"{Path(self.path).as_uri()}?mode=rw",
            uri=not create,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

    def _prepare(self) -> None:
        db = self._db
        # Even this reads the file, which another process may have locked.
        db.execute("PRAGMA cache_size = -16000")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if not version:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise BackendError(f"{self.path} is a database of another program")
            # Before the first table, or they have no effect. A step changes a few rows in each of
            # some pages, and all of these are written.
            db.execute("PRAGMA page_size = 2048")
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if version > SCHEMA:
            raise BackendError(
                f"{self.path} was written by a later version of Thoonk: its tables have version "
                f"{version}, but this one supports {SCHEMA}"
            )
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if self.shares_notices and mode != "wal":
            raise BackendUnavailable(
                f"SQLite cannot use a write-ahead log at {self.path}: journal_mode is {mode}"
            )
        db.execute(f"PRAGMA synchronous = {self._synchronous}")
        db.execute("PRAGMA wal_autocheckpoint = 2000")
        if not version:
            db.execute("BEGIN IMMEDIATE")
            try:
                if not db.execute("PRAGMA user_version").fetchone()[0]:
                    for statement in _statements():
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {SCHEMA}")
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise
        # In a file that had no log, the first read makes it.
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def _check_file(self) -> None:
        if self._is_suspended:
            # The log is removed by whichever process closes the file last.
            self._check_identity(self.path)
            self._open()
        self._look_at = 0.0
        for path in self._files:
            self._check_identity(path)
        self._look_at = time.monotonic() + LOOK_AT_FILE

    def _check_identity(self, path: str) -> None:
        """Check that the file is the one that was opened."""
        with contextlib.suppress(OSError):
            if _identity(path) == self._files[path]:
                return
        raise BackendUnavailable(f"{path} was removed or replaced while it was open")

    def close(self) -> None:
        """Close the file."""
        forget_at_fork(self)
        if self._watcher is not None:
            self._watcher.close()
        if self._listens and not self._is_suspended:
            # Where that fails, it is forgotten by itself.
            self.retry_for = min(self.retry_for, CLOSES_WITHIN)
            with contextlib.suppress(BackendError), self.lock, self.transaction(writes=True):
                self._execute("DELETE FROM listeners WHERE process = ?", (self.process,))
        # Another thread may be in the middle of something.
        with self.lock:
            self._db.close()

    def before_fork(self) -> None:
        """Close the file before this process forks, and lock the store.

        SQLite cannot share with a child what it knows of the locks that its parent holds.
        """
        if self._watcher is not None:
            self._watcher.suspend()
        self.lock.acquire()
        self._db.close()
        self._is_suspended = True
        self._forget()

    def after_fork(self, *, in_child: bool) -> None:
        """Open the file again when it is needed."""
        if in_child:
            self.process = new_token()
            self._watcher = None
            self._listens = False
        self.lock.release()
        if self._watcher is not None:
            self._watcher.resume()

    def _retried(self, function: Callable[[], Any], deadline: float | None = None) -> Any:
        """Call it again while another process has locked the file."""
        if deadline is None:
            deadline = time.monotonic() + self.retry_for
        while True:
            try:
                return function()
            except sqlite3.OperationalError as error:
                if not sqlite_errors.is_busy(error) or time.monotonic() > deadline:
                    raise
            # By chance, or processes that write all the time would keep one from it.
            time.sleep(random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))  # noqa: S311

    # --- transactions -------------------------------------------------------------------

    def transaction(self, *, writes: bool) -> AbstractContextManager[None]:
        """A block that happens as a whole or not at all."""
        return self._writes if writes else self._reads

    def begin(self, statement: str) -> None:
        """Begin a transaction."""
        try:
            if self.shares_notices and (self._is_suspended or time.monotonic() >= self._look_at):
                self._check_file()
            if self._db.in_transaction:
                # A second Ctrl-C may have come in the way of rolling back.
                self.roll_back()
            deadline = None
            if statement is _WRITE:
                # The threads of one process take turns, instead of all trying again and again.
                if self._has_asked:
                    self._end_turn()
                self._has_asked = True
                if not self._turns.wait(self._ticket, self.retry_for):
                    # Else there is time to use a turn, however late it comes.
                    deadline = time.monotonic()
            try:
                version = self._begun(statement)
            except sqlite3.OperationalError as error:
                if not sqlite_errors.is_busy(error):
                    raise
                version = self._retried(lambda: self._begun(statement), deadline)
        except sqlite3.Error as error:
            raise sqlite_errors.translated(error, self.path) from error
        if version != self._version:
            # Another process has written: what is remembered may be old.
            self._version = version
            self._forget()

    def _begun(self, statement: str) -> int:
        """Begin, and look what there is: without BEGIN IMMEDIATE only that needs the file."""
        self._execute(statement)
        try:
            version: int = self._execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            self._execute("ROLLBACK")
            raise
        return version

    def commit(self) -> None:
        """Make the transaction last."""
        try:
            self._execute("COMMIT")
            self._end_turn()
        except BaseException as error:
            self.roll_back()
            if isinstance(error, sqlite3.Error):
                raise sqlite_errors.translated(error, self.path) from error
            raise
        if self._has_room:
            self._has_room = False
            self._give_back()

    def _give_back(self) -> None:
        """Give some room that is free back to the disk."""
        # Of `execute`, Python does one step of it, which is one page.
        with contextlib.suppress(sqlite3.Error):
            self._db.executescript(f"PRAGMA incremental_vacuum({SWEEP})")

    def roll_back(self) -> None:
        """Undo the transaction."""
        self._forget()
        # It may have been undone by what went wrong, such as a full disk.
        with contextlib.suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._execute("ROLLBACK")
        self._end_turn()

    def _end_turn(self) -> None:
        if self._has_asked:
            self._turns.end(self._ticket)
            self._has_asked = False

    def _forget(self) -> None:
        self._feeds.clear()

    # --- feeds --------------------------------------------------------------------------

    def find(self, name: str) -> Feed | None:
        feed = self._feeds.get(name)
        if feed is None:
            found = self._execute(
                "SELECT feeds.feed, config, note FROM feeds JOIN rows ON key = feeds.feed << ? "
                "WHERE name = ?",
                (FEED_BITS, stored(name)),
            ).fetchone()
            if found is None:
                return None
            if len(self._feeds) >= MOST_REMEMBERED:
                self._feeds.clear()
            key, config, numbers = found
            feed = _Feed(key, name, json.loads(config), **json.loads(numbers))
            self._feeds[name] = feed
        return feed

    def create(self, name: str, config: dict[str, str]) -> Feed:
        created = self._execute(
            "INSERT INTO feeds (name, config) VALUES (?, ?)", (stored(name), json.dumps(config))
        )
        feed = self._feeds[name] = _Feed(created.lastrowid or 0, name, config)
        self._execute(
            "INSERT INTO rows (key, feed, note) VALUES (?, ?, '')", (feed.first_key, feed.key)
        )
        self.save_feed(feed)
        return feed

    def save_feed(self, feed: Feed) -> None:
        feed = cast("_Feed", feed)
        self._execute("UPDATE rows SET note = ? WHERE key = ?", (_numbers(feed), feed.first_key))

    def save_config(self, feed: Feed) -> None:
        config = json.dumps(feed.config)
        self._execute("UPDATE feeds SET config = ? WHERE feed = ?", (config, feed.key))
        self.save_feed(feed)

    def drop(self, feed: Feed) -> None:
        """Its rows are removed step by step, so that a long feed blocks no other process."""
        self._execute("UPDATE feeds SET name = NULL WHERE feed = ?", (feed.key,))
        self._feeds.pop(feed.name, None)
        self._sweep()

    def _sweep(self) -> None:
        """Remove some rows of deleted feeds."""
        key = self._number("SELECT feed FROM feeds WHERE name IS NULL LIMIT 1")
        if key is None:
            return
        first, beyond = key << FEED_BITS, (key + 1) << FEED_BITS
        some = "SELECT key FROM rows WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
        self._execute(f"DELETE FROM items WHERE key IN ({some})", (first, beyond, SWEEP))
        rows = self._execute(f"DELETE FROM rows WHERE key IN ({some})", (first, beyond, SWEEP))
        left = rows.rowcount
        records = self._execute(
            "DELETE FROM records WHERE feed = ? AND (shelf, id) IN "
            "(SELECT shelf, id FROM records WHERE feed = ? LIMIT ?)",
            (key, key, SWEEP),
        )
        if left < SWEEP and records.rowcount < SWEEP:
            self._execute("DELETE FROM feeds WHERE feed = ?", (key,))

    # --- rows ---------------------------------------------------------------------------

    @staticmethod
    def _row(found: tuple[Any, ...]) -> _Row:
        key, id, state, place, put_at, since, token, failures, note, item = found
        return _Row(
            id if isinstance(id, str) else _read(id),
            _STATES[state],
            place,
            put_at,
            key,
            since,
            token if isinstance(token, str) else _read(token),
            failures,
            json.loads(note) if note else {},
            item,
        )

    def get(self, feed: Feed, ids: Iterable[str]) -> dict[str, Row]:
        wanted = [*map(stored, ids)]
        if len(wanted) == 1:
            one = self._execute(_OF_ID, (feed.key, wanted[0])).fetchone()
            if one is None:
                return {}
            row = self._row(one)
            return {row.id: row}
        found = []
        for start in range(0, len(wanted), IDS):
            some = wanted[start : start + IDS]
            some += some[-1:] * (IDS - len(some))
            found += self._execute(_OF_IDS, (feed.key, *some)).fetchall()
        rows = {row.id: row for row in map(self._row, found)}
        return {id: rows[id] for id in ids if id in rows}

    def held(self, feed: Feed, token: str) -> list[Row]:
        found = self._execute(_OF_TOKEN, (feed.key, stored(token)))
        return [*map(self._row, found)]

    def rows(
        self,
        feed: Feed,
        state: State,
        *,
        limit: int,
        after: tuple[int, int] | None = None,
        reverse: bool = False,
        skip: int = 0,
    ) -> list[Row]:
        found = self._execute(
            _IN_STATE[after is not None, reverse],
            (feed.key, STORED_STATES[state], *(after or ()), limit, skip),
        ).fetchall()
        return [*map(self._row, found)]

    def all_rows(self, feed: Feed, *, limit: int, after: int = 0, skip: int = 0) -> list[Row]:
        first = feed.key << FEED_BITS
        found = self._execute(
            f"SELECT {_ROW} FROM rows WHERE key > ? AND key < ? ORDER BY key LIMIT ? OFFSET ?",
            (max(after, first), (feed.key + 1) << FEED_BITS, limit, skip),
        )
        return [*map(self._row, found)]

    def oldest_put(self, feed: Feed) -> int | None:
        # Of those that came in order, the first one is the oldest.
        return self._number(
            "SELECT min(put_at) FROM (SELECT min(put_at) AS put_at FROM rows WHERE feed = ? "
            "AND late = 1 UNION ALL SELECT * FROM (SELECT put_at FROM rows WHERE feed = ? "
            "AND state = ? AND late = 0 AND place > 0 ORDER BY place LIMIT 1))",
            (feed.key, feed.key, STORED_STATES[State.WAITING]),
        )

    def oldest_claim(self, feed: Feed) -> int | None:
        # Of those that were not extended, the first one is the oldest. It comes first of all if it
        # is older than each that was extended: their places are later than that.
        return self._number(
            "SELECT min(since) FROM (SELECT min(since) AS since FROM rows WHERE feed = ? "
            "AND since > 0 AND place > since + 999 UNION ALL SELECT * FROM (SELECT since "
            "FROM rows WHERE feed = ? AND state = ? ORDER BY place LIMIT 1))",
            (feed.key, feed.key, STORED_STATES[State.CLAIMED]),
        )

    def _number(self, sql: str, values: tuple[Any, ...] = ()) -> int | None:
        found = self._execute(sql, values).fetchone()
        number: int | None = found[0] if found else None
        return number

    def items(self, feed: Feed, rows: Sequence[Row]) -> list[bytes]:
        return [getattr(row, "item", None) or self._item(row) for row in rows]

    def _item(self, row: Row) -> bytes:
        found = self._execute(
            "SELECT coalesce(rows.item, items.item) FROM rows LEFT JOIN items USING (key) "
            "WHERE key = ?",
            (row.key,),
        )
        item: bytes = found.fetchone()[0]
        return item

    def add(self, feed: Feed, rows: Sequence[Row], items: Sequence[bytes]) -> None:
        feed = cast("_Feed", feed)
        values = []
        key = feed.first_key + feed.number
        feed.number += len(rows)
        for row, item in zip(rows, items, strict=True):
            key += 1
            row.key = key
            kept: bytes | None = item
            if len(item) > INLINE:
                self._execute("INSERT INTO items VALUES (?, ?)", (key, item))
                kept = None
            values.append((feed.key, stored(row.id), kept, *_changing(feed, row)))
        self._each(_INSERT, values)

    def add_new(self, feed: Feed, rows: Sequence[Row], items: Sequence[bytes]) -> list[Row]:
        # Ids are hardly ever taken, and the index by id looks for them anyway.
        feed = cast("_Feed", feed)
        number, placed, latest = feed.number, feed.placed, feed.latest
        try:
            self.add(feed, rows, items)
        except sqlite3.IntegrityError:
            known = [*self.get(feed, [row.id for row in rows]).values()]
            added = (feed.first_key + number + 1, feed.first_key + feed.number)
            known = [row for row in known if row.key < added[0]]
            if not known:
                raise
            for table in ("rows", "items"):
                self._execute(f"DELETE FROM {table} WHERE key BETWEEN ? AND ?", added)
            feed.number, feed.placed, feed.latest = number, placed, latest
            return known
        return []

    def save(self, feed: Feed, rows: Sequence[Row]) -> None:
        feed = cast("_Feed", feed)
        self._each(_UPDATE, [_changing(feed, row) for row in rows])

    def set_item(self, feed: Feed, row: Row, item: bytes) -> None:
        is_long = len(item) > INLINE
        kept = None if is_long else item
        self._execute("UPDATE rows SET item = ? WHERE key = ?", (kept, row.key))
        if is_long:
            self._execute("INSERT OR REPLACE INTO items VALUES (?, ?)", (row.key, item))
        else:
            self._execute("DELETE FROM items WHERE key = ?", (row.key,))
        if isinstance(row, _Row):
            row.item = kept

    def remove(self, feed: Feed, rows: Sequence[Row]) -> None:
        self._each("DELETE FROM rows WHERE key = ?", [(row.key,) for row in rows])
        if long := [(row.key,) for row in rows if getattr(row, "item", None) is None]:
            self._each("DELETE FROM items WHERE key = ?", long)

    def _each(self, statement: str, values: Sequence[tuple[Any, ...]]) -> None:
        if len(values) == 1:
            self._execute(statement, values[0])
        elif values:
            self._cursor.executemany(statement, values)

    # --- records ------------------------------------------------------------------------

    def put_record(self, feed: Feed | None, shelf: Shelf, record: Record) -> None:
        self._execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                feed.key if feed else 0,
                int(shelf),
                stored(record.id),
                record.at,
                record.text,
                record.first,
                record.second,
            ),
        )

    def record(self, feed: Feed | None, shelf: Shelf, id: str) -> Record | None:
        found = self._execute(
            "SELECT at, text, first, second FROM records WHERE feed = ? AND shelf = ? AND id = ?",
            (feed.key if feed else 0, int(shelf), stored(id)),
        ).fetchone()
        return None if found is None else Record(id, *found)

    def records(
        self, feed: Feed | None, shelf: Shelf, until: int | None = None, limit: int = 0
    ) -> list[Record]:
        found = self._execute(
            "SELECT id, at, text, first, second FROM records WHERE feed = ? AND shelf = ? "
            f"{'' if until is None else 'AND at <= ?'} ORDER BY at IS NULL, at LIMIT ?",
            (
                feed.key if feed else 0,
                int(shelf),
                *(() if until is None else (until,)),
                limit or -1,
            ),
        )
        return [Record(_read(id), *rest) for id, *rest in found]

    def record_times(
        self, feed: Feed, shelf: Shelf, *, after: str, limit: int
    ) -> list[tuple[str, int | None]]:
        found = self._execute(
            "SELECT id, at FROM records WHERE feed = ? AND shelf = ? AND id > ? "
            "ORDER BY id LIMIT ?",
            (feed.key, int(shelf), stored(after), limit),
        )
        return [(_read(id), at) for id, at in found]

    def remove_record(self, feed: Feed | None, shelf: Shelf, id: str) -> bool:
        removed = self._execute(
            "DELETE FROM records WHERE feed = ? AND shelf = ? AND id = ?",
            (feed.key if feed else 0, int(shelf), stored(id)),
        )
        return removed.rowcount > 0

    def clean(self, now: int) -> None:
        self._cursor.executemany(
            "DELETE FROM records WHERE (feed, shelf, id) IN (SELECT feed, shelf, id FROM records "
            "WHERE shelf = ? AND at <= ? AND at IS NOT NULL LIMIT ?)",
            [(int(shelf), now, SWEEP) for shelf in EXPIRING],
        )
        self._sweep()
        self._has_room = (self._number("PRAGMA freelist_count") or 0) > SWEEP

    # --- notices ------------------------------------------------------------------------

    def publish(self, notices: Sequence[Notice]) -> None:
        if not notices:
            return
        now = _now()
        # A time too far ahead is of a process that ran before the machine was started again.
        listens = "SELECT 1 FROM listeners WHERE until > ? AND until <= ? LIMIT 1"
        if self._number(listens, (now, now + KEEP)) is None:
            return
        self._cursor.executemany(
            "INSERT INTO notices (at, feed, kind, text, data) VALUES (?, ?, ?, ?, ?)",
            [(now, stored(notice.feed), *_written(notice)) for notice in notices],
        )
        self._published += len(notices)
        if self._published >= CLEAN_AFTER:
            self._published = 0
            # More than come meanwhile, and a step that many wait for stays short.
            most = 2 * CLEAN_AFTER
            newest = self.newest_notice(self._db)
            self._execute(
                "DELETE FROM notices WHERE number IN "
                "(SELECT number FROM notices WHERE number <= ? ORDER BY number LIMIT ?) "
                "OR number IN (SELECT number FROM notices WHERE at < ? OR at > ? LIMIT ?)",
                (newest - KEEP_AT_MOST, most, now - KEEP, now, most),
            )
            dead = "DELETE FROM listeners WHERE until <= ? OR until > ?"
            self._execute(dead, (now, now + KEEP))

    @staticmethod
    def newest_notice(db: sqlite3.Connection) -> int:
        """The number of the last notice that was kept."""
        found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'notices'").fetchone()
        return found[0] if found else 0

    def register(self) -> int:
        """Register this process as a listener. Returns the number of the last notice so far."""
        self._listens = True
        with self.lock, self.transaction(writes=True):
            insert = "INSERT OR REPLACE INTO listeners VALUES (?, ?)"
            self._execute(insert, (self.process, _now() + KEEP))
            return self.newest_notice(self._db)

    def renew(self) -> bool:
        """Stay registered. False: the time was over, and notices may not have been kept."""
        with self.lock, self.transaction(writes=True):
            renewed = self._execute(
                "UPDATE listeners SET until = ? WHERE process = ? AND until > ?",
                (_now() + KEEP, self.process, _now()),
            )
            return renewed.rowcount > 0

    def watch(self, hub: Hub) -> Watch:
        """Tell the hub what other processes do. The store closes it."""
        from thoonk.backends.embedded.watcher import Watcher  # noqa: PLC0415

        self._watcher = Watcher(self, hub)
        return self._watcher


_WRITE = "BEGIN IMMEDIATE"


def _identity(path: str) -> tuple[int, int]:
    """What a file has in common with no other."""
    found = Path(path).stat()
    return found.st_dev, found.st_ino


def _now() -> int:
    """Microseconds since the machine was started, which are the same for all its processes."""
    return time.monotonic_ns() // 1000


def _numbers(feed: _Feed) -> str:
    """How the numbers of a feed are stored."""
    return _NUMBERS % (
        feed.publishes,
        feed.finished,
        feed.given,
        feed.first,
        feed.last,
        feed.failing,
        feed.number,
        feed.placed,
        feed.latest,
        *feed.counts,
    )


def waiting_of(numbers: str) -> int:
    """How many wait, of the numbers of a feed."""
    count: int = json.loads(numbers)["counts"][State.WAITING]
    return count


def _changing(feed: _Feed, row: Row) -> tuple[Any, ...]:
    late = None
    if row.state is State.WAITING:
        late = row.place <= feed.placed or row.put_at < feed.latest
        if not late:
            feed.placed, feed.latest = row.place, row.put_at
    return (
        STORED_STATES[row.state],
        row.place,
        row.put_at,
        row.since,
        stored(row.token) if row.token else "",
        row.failures,
        json.dumps(row.note) if row.note else "",
        late,
        row.key,
    )


def _statements() -> Iterator[str]:
    """The statements of the schema."""
    text = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
    lines = (line.partition("--")[0] for line in text.splitlines())
    for statement in "\n".join(lines).split(";"):
        if statement.strip():
            yield statement


def _written(notice: Notice) -> tuple[str, str, bytes | None]:
    """A notice as it is stored, without its feed."""
    _, *words = attrs.astuple(notice, recurse=False)
    data = next((word for word in words if isinstance(word, bytes)), None)
    text = json.dumps([None if isinstance(word, bytes) else word for word in words])
    return type(notice).__name__, text, data


def read_notice(feed: str | bytes, kind: str, text: str, data: bytes | None) -> Notice:
    """A notice as it was stored."""
    words = [data if word is None else word for word in json.loads(text)]
    return _KINDS[kind](_read(feed), *words)


def path_of(url: str) -> str:
    """The path in ``sqlite:///relative``, ``sqlite:////absolute`` or ``sqlite://`` (in memory)."""
    path = url.partition("://")[2].removeprefix("/")
    # From here on it stays the same file wherever the program goes.
    return str(Path(path).absolute()) if path else IN_MEMORY
