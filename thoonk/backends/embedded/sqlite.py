"""A store in an SQLite file, which any number of processes of one machine share."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import attrs

from thoonk.backends.embedded.sqlite_file import SWEEP, SqliteFile, read_text, stored
from thoonk.backends.embedded.sqlite_notices import SqliteNotices
from thoonk.backends.embedded.store import EXPIRING, Feed, Hub, Record, Row, Shelf, State, Watch
from thoonk.notices import Notice

if TYPE_CHECKING:
    from thoonk.backends.embedded.watcher import Watcher

MOST_REMEMBERED = 1000
"""How many feeds are remembered."""

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


class SqliteStore(SqliteFile):
    """Feeds in a file."""

    def __init__(self, path: str, *, synchronous: str = "normal", retry_for: float = 30.0) -> None:
        """Open the file, or make it (see `SqliteFile`)."""
        # What is remembered of what was written, for as long as no other process writes.
        self._feeds: dict[str, _Feed] = {}
        self._watcher: Watcher | None = None
        self.notices = SqliteNotices(self)
        super().__init__(path, synchronous=synchronous, retry_for=retry_for)

    def close(self) -> None:
        """End the thread that watches, and close the file."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.close()
        self.notices.end()
        super().close()

    def before_fork(self) -> None:
        """As `SqliteFile.before_fork`; the thread that watches ends until after the fork."""
        if self._watcher is not None:
            self._watcher.suspend()
        super().before_fork()

    def after_fork(self, *, in_child: bool) -> None:
        """As `SqliteFile.after_fork`. A child begins without a thread that watches."""
        if in_child:
            self.notices.begin_in_child()
            self._watcher = None
        super().after_fork(in_child=in_child)
        if self._watcher is not None:
            self._watcher.resume()

    def _forget(self) -> None:
        self._feeds.clear()

    # --- feeds --------------------------------------------------------------------------

    def find(self, name: str) -> Feed | None:
        feed = self._feeds.get(name)
        if feed is None:
            found = self.execute(
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
        created = self.execute(
            "INSERT INTO feeds (name, config) VALUES (?, ?)", (stored(name), json.dumps(config))
        )
        feed = self._feeds[name] = _Feed(created.lastrowid or 0, name, config)
        self.execute(
            "INSERT INTO rows (key, feed, note) VALUES (?, ?, '')", (feed.first_key, feed.key)
        )
        self.save_feed(feed)
        return feed

    def save_feed(self, feed: Feed) -> None:
        feed = cast("_Feed", feed)
        self.execute("UPDATE rows SET note = ? WHERE key = ?", (_numbers(feed), feed.first_key))

    def save_config(self, feed: Feed) -> None:
        config = json.dumps(feed.config)
        self.execute("UPDATE feeds SET config = ? WHERE feed = ?", (config, feed.key))
        self.save_feed(feed)

    def drop(self, feed: Feed) -> None:
        """Its rows are removed step by step, so that a long feed blocks no other process."""
        self.execute("UPDATE feeds SET name = NULL WHERE feed = ?", (feed.key,))
        self._feeds.pop(feed.name, None)
        self._sweep()

    def _sweep(self) -> None:
        """Remove some rows of deleted feeds."""
        key = self.number("SELECT feed FROM feeds WHERE name IS NULL LIMIT 1")
        if key is None:
            return
        first, beyond = key << FEED_BITS, (key + 1) << FEED_BITS
        some = "SELECT key FROM rows WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
        self.execute(f"DELETE FROM items WHERE key IN ({some})", (first, beyond, SWEEP))
        rows = self.execute(f"DELETE FROM rows WHERE key IN ({some})", (first, beyond, SWEEP))
        left = rows.rowcount
        records = self.execute(
            "DELETE FROM records WHERE feed = ? AND (shelf, id) IN "
            "(SELECT shelf, id FROM records WHERE feed = ? LIMIT ?)",
            (key, key, SWEEP),
        )
        if left < SWEEP and records.rowcount < SWEEP:
            self.execute("DELETE FROM feeds WHERE feed = ?", (key,))

    # --- rows ---------------------------------------------------------------------------

    @staticmethod
    def _row(found: tuple[Any, ...]) -> _Row:
        key, id, state, place, put_at, since, token, failures, note, item = found
        return _Row(
            id if isinstance(id, str) else read_text(id),
            _STATES[state],
            place,
            put_at,
            key,
            since,
            token if isinstance(token, str) else read_text(token),
            failures,
            json.loads(note) if note else {},
            item,
        )

    def get(self, feed: Feed, ids: Iterable[str]) -> dict[str, Row]:
        wanted = [*map(stored, ids)]
        if len(wanted) == 1:
            one = self.execute(_OF_ID, (feed.key, wanted[0])).fetchone()
            if one is None:
                return {}
            row = self._row(one)
            return {row.id: row}
        found = []
        for start in range(0, len(wanted), IDS):
            some = wanted[start : start + IDS]
            some += some[-1:] * (IDS - len(some))
            found += self.execute(_OF_IDS, (feed.key, *some)).fetchall()
        rows = {row.id: row for row in map(self._row, found)}
        return {id: rows[id] for id in ids if id in rows}

    def held(self, feed: Feed, token: str) -> list[Row]:
        found = self.execute(_OF_TOKEN, (feed.key, stored(token)))
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
        found = self.execute(
            _IN_STATE[after is not None, reverse],
            (feed.key, STORED_STATES[state], *(after or ()), limit, skip),
        ).fetchall()
        return [*map(self._row, found)]

    def all_rows(self, feed: Feed, *, limit: int, after: int = 0, skip: int = 0) -> list[Row]:
        first = feed.key << FEED_BITS
        found = self.execute(
            f"SELECT {_ROW} FROM rows WHERE key > ? AND key < ? ORDER BY key LIMIT ? OFFSET ?",
            (max(after, first), (feed.key + 1) << FEED_BITS, limit, skip),
        )
        return [*map(self._row, found)]

    def oldest_put(self, feed: Feed) -> int | None:
        # Of those that came in order, the first one is the oldest.
        return self.number(
            "SELECT min(put_at) FROM (SELECT min(put_at) AS put_at FROM rows WHERE feed = ? "
            "AND late = 1 UNION ALL SELECT * FROM (SELECT put_at FROM rows WHERE feed = ? "
            "AND state = ? AND late = 0 AND place > 0 ORDER BY place LIMIT 1))",
            (feed.key, feed.key, STORED_STATES[State.WAITING]),
        )

    def oldest_claim(self, feed: Feed) -> int | None:
        # Of those that were not extended, the first one is the oldest. It comes first of all if it
        # is older than each that was extended: their places are later than that.
        return self.number(
            "SELECT min(since) FROM (SELECT min(since) AS since FROM rows WHERE feed = ? "
            "AND since > 0 AND place > since + 999 UNION ALL SELECT * FROM (SELECT since "
            "FROM rows WHERE feed = ? AND state = ? ORDER BY place LIMIT 1))",
            (feed.key, feed.key, STORED_STATES[State.CLAIMED]),
        )

    def items(self, feed: Feed, rows: Sequence[Row]) -> list[bytes]:
        return [getattr(row, "item", None) or self._item(row) for row in rows]

    def _item(self, row: Row) -> bytes:
        found = self.execute(
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
                self.execute("INSERT INTO items VALUES (?, ?)", (key, item))
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
                self.execute(f"DELETE FROM {table} WHERE key BETWEEN ? AND ?", added)
            feed.number, feed.placed, feed.latest = number, placed, latest
            return known
        return []

    def save(self, feed: Feed, rows: Sequence[Row]) -> None:
        feed = cast("_Feed", feed)
        self._each(_UPDATE, [_changing(feed, row) for row in rows])

    def set_item(self, feed: Feed, row: Row, item: bytes) -> None:
        is_long = len(item) > INLINE
        kept = None if is_long else item
        self.execute("UPDATE rows SET item = ? WHERE key = ?", (kept, row.key))
        if is_long:
            self.execute("INSERT OR REPLACE INTO items VALUES (?, ?)", (row.key, item))
        else:
            self.execute("DELETE FROM items WHERE key = ?", (row.key,))
        if isinstance(row, _Row):
            row.item = kept

    def remove(self, feed: Feed, rows: Sequence[Row]) -> None:
        self._each("DELETE FROM rows WHERE key = ?", [(row.key,) for row in rows])
        if long := [(row.key,) for row in rows if getattr(row, "item", None) is None]:
            self._each("DELETE FROM items WHERE key = ?", long)

    def _each(self, statement: str, values: Sequence[tuple[Any, ...]]) -> None:
        if len(values) == 1:
            self.execute(statement, values[0])
        elif values:
            self.cursor.executemany(statement, values)

    # --- records ------------------------------------------------------------------------

    def put_record(self, feed: Feed | None, shelf: Shelf, record: Record) -> None:
        self.execute(
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
        found = self.execute(
            "SELECT at, text, first, second FROM records WHERE feed = ? AND shelf = ? AND id = ?",
            (feed.key if feed else 0, int(shelf), stored(id)),
        ).fetchone()
        return None if found is None else Record(id, *found)

    def records(
        self, feed: Feed | None, shelf: Shelf, until: int | None = None, limit: int = 0
    ) -> list[Record]:
        found = self.execute(
            "SELECT id, at, text, first, second FROM records WHERE feed = ? AND shelf = ? "
            f"{'' if until is None else 'AND at <= ?'} ORDER BY at IS NULL, at LIMIT ?",
            (
                feed.key if feed else 0,
                int(shelf),
                *(() if until is None else (until,)),
                limit or -1,
            ),
        )
        return [Record(read_text(id), *rest) for id, *rest in found]

    def record_times(
        self, feed: Feed, shelf: Shelf, *, after: str, limit: int
    ) -> list[tuple[str, int | None]]:
        found = self.execute(
            "SELECT id, at FROM records WHERE feed = ? AND shelf = ? AND id > ? "
            "ORDER BY id LIMIT ?",
            (feed.key, int(shelf), stored(after), limit),
        )
        return [(read_text(id), at) for id, at in found]

    def remove_record(self, feed: Feed | None, shelf: Shelf, id: str) -> bool:
        removed = self.execute(
            "DELETE FROM records WHERE feed = ? AND shelf = ? AND id = ?",
            (feed.key if feed else 0, int(shelf), stored(id)),
        )
        return removed.rowcount > 0

    def clean(self, now: int) -> None:
        self.cursor.executemany(
            "DELETE FROM records WHERE (feed, shelf, id) IN (SELECT feed, shelf, id FROM records "
            "WHERE shelf = ? AND at <= ? AND at IS NOT NULL LIMIT ?)",
            [(int(shelf), now, SWEEP) for shelf in EXPIRING],
        )
        self._sweep()
        self.has_room = (self.number("PRAGMA freelist_count") or 0) > SWEEP

    # --- notices ------------------------------------------------------------------------

    def publish(self, notices: Sequence[Notice]) -> None:
        self.notices.publish(notices)

    def watch(self, hub: Hub) -> Watch:
        """Tell the hub what other processes do. The store closes it."""
        from thoonk.backends.embedded.watcher import Watcher  # noqa: PLC0415

        self._watcher = Watcher(self, hub)
        return self._watcher


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
