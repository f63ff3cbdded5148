"""Feeds in LMDB, an ordered key-value store on disk: a store for Thoonk's embedded engine.

    from lmdb_store import LmdbStore
    from thoonk import Thoonk
    from thoonk.backends.embedded import EmbeddedBackend

    thoonk = Thoonk(backend=EmbeddedBackend(LmdbStore("feeds.lmdb")))

It needs `pip install lmdb`. It is for one process at a time: another one would not get its
notices. `Store.publish` and `Store.watch` are for stores that processes share.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, takewhile
from typing import Any

import attrs
import lmdb

from thoonk.backends.embedded import EXPIRING, Feed, Record, Row, Shelf, State, Store, StoreOpener
from thoonk.exceptions import BackendError, BackendFull

# [keys]
# Keys begin with the number of their feed, so that what belongs to a feed is one range:
#
#   0     feed    NAME                what is known of a feed
#   FEED  row     ID                  a row
#   FEED  place   STATE  PLACE  KEY   the key of the row at that place
#   FEED  item    KEY                 an item
#   FEED  record  SHELF  ID           a record
#   FEED  time    SHELF  AT  ID       the key of the record of that time
ALL = 9  # stands for a state: all rows, each with place 0
NEVER = 2**62
LAST_KEY = b"last"


def key_of(feed: Feed | None, kind: str, *parts: int | str) -> bytes:
    """A key. Numbers are in order, also below zero; keys have 511 bytes at most, texts any."""
    texts = (
        hashlib.sha256(p.encode("utf-8", "surrogatepass")).digest()
        if isinstance(p, str)
        else (p + 2**63).to_bytes(8, "big")
        for p in (feed.key if feed else 0, *parts)
    )
    return next(texts) + kind.encode() + b"".join(texts)


def read_row(data: bytes) -> Row:
    id, state, *rest = json.loads(data)
    return Row(id, State(state), *rest)


def read_record(data: bytes) -> Record:
    id, at, text, *more = json.loads(data)
    return Record(id, at, text, *(None if b is None else b.encode("latin-1") for b in more))


# [store]
class LmdbStore(Store):
    """Feeds in a folder."""

    def __init__(self, path: str, *, size: int = 2**30, sync: bool = True) -> None:
        """Without ``sync``, a power failure may lose what was written last."""
        super().__init__()
        self.path = path
        self._db = lmdb.open(path, map_size=size, sync=sync)
        self._now: lmdb.Transaction

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[None]:
        try:
            with self._db.begin(write=writes) as self._now:
                yield
        except lmdb.MapFullError as error:
            raise BackendFull(f"{self.path} is full; nothing was done") from error
        except lmdb.Error as error:
            raise BackendError(f"{self.path}: {error}") from error

    def close(self) -> None:
        with self.lock:  # another thread may be in a transaction
            self._db.close()

    def _read(self, key: bytes) -> bytes:
        return bytes(self._now.get(key, b""))

    def _write(self, key: bytes, *values: Any) -> None:
        text = json.dumps(values, default=lambda data: data.decode("latin-1"))
        self._now.put(key, text.encode())

    def _scan(self, prefix: bytes, start: bytes = b"", *, reverse: bool = False) -> Iterator[bytes]:
        """The keys that begin with ``prefix``, from behind ``start`` on."""
        cursor = self._now.cursor()
        if reverse:
            found = cursor.set_range(start or prefix + b"\xff")
            found = cursor.prev() if found else cursor.last()
        else:
            found = cursor.set_range(start + b"\0" if start else prefix)
        while found and (key := bytes(cursor.key())).startswith(prefix):
            yield key
            found = cursor.prev() if reverse else cursor.next()

    def _new_key(self) -> int:
        key = int(self._read(LAST_KEY) or 0) + 1
        self._now.put(LAST_KEY, b"%d" % key)
        return key

    # [feeds]
    def find(self, name: str) -> Feed | None:
        found = self._read(key_of(None, "feed", name))
        return Feed(*json.loads(found)) if found else None

    def create(self, name: str, config: dict[str, str]) -> Feed:
        feed = Feed(self._new_key(), name, config)
        self.save_feed(feed)
        return feed

    def save_feed(self, feed: Feed) -> None:
        *fields, _ = attrs.astuple(feed, recurse=False)
        self._write(key_of(None, "feed", feed.name), *fields)

    def drop(self, feed: Feed) -> None:
        for key in (key_of(None, "feed", feed.name), *self._scan(key_of(feed, ""))):
            self._now.delete(key)

    # [rows]
    def get(self, feed: Feed, ids: Iterable[str]) -> dict[str, Row]:
        found = {id: self._read(key_of(feed, "row", id)) for id in ids}
        return {id: read_row(data) for id, data in found.items() if data}

    def rows(
        self,
        feed: Feed,
        state: int,
        *,
        limit: int,
        after: tuple[int, int] | None = None,
        reverse: bool = False,
        skip: int = 0,
    ) -> list[Row]:
        start = key_of(feed, "place", state, *after) if after else b""
        keys = self._scan(key_of(feed, "place", state), start, reverse=reverse)
        return [read_row(self._read(self._read(key))) for key in islice(keys, skip, skip + limit)]

    def all_rows(self, feed: Feed, *, limit: int, after: int = 0, skip: int = 0) -> list[Row]:
        return self.rows(feed, ALL, limit=limit, after=(0, after), skip=skip)

    def items(self, feed: Feed, rows: Sequence[Row]) -> list[bytes]:
        return [self._read(key_of(feed, "item", row.key)) for row in rows]

    def add(self, feed: Feed, rows: Sequence[Row], items: Sequence[bytes]) -> None:
        for row, item in zip(rows, items, strict=True):
            row.key = self._new_key()
            self.set_item(feed, row, item)
            self._now.put(key_of(feed, "place", ALL, 0, row.key), key_of(feed, "row", row.id))
            self._enter(feed, row)

    def save(self, feed: Feed, rows: Sequence[Row]) -> None:
        for row in rows:
            self._leave(feed, row)
            self._enter(feed, row)

    def set_item(self, feed: Feed, row: Row, item: bytes) -> None:
        self._now.put(key_of(feed, "item", row.key), item)

    def remove(self, feed: Feed, rows: Sequence[Row]) -> None:
        for row in rows:
            self._leave(feed, row)
            self._now.delete(key_of(feed, "item", row.key))
            self._now.delete(key_of(feed, "place", ALL, 0, row.key))

    def _enter(self, feed: Feed, row: Row) -> None:
        key = key_of(feed, "row", row.id)
        self._write(key, *attrs.astuple(row, recurse=False))
        self._now.put(key_of(feed, "place", row.state, row.place, row.key), key)

    def _leave(self, feed: Feed, row: Row) -> None:
        """Remove a row from where it was kept: the engine may have given it another place."""
        key = key_of(feed, "row", row.id)
        kept = read_row(bytes(self._now.pop(key) or b""))
        self._now.delete(key_of(feed, "place", kept.state, kept.place, kept.key))

    # [records]
    def put_record(self, feed: Feed | None, shelf: Shelf, record: Record) -> None:
        self.remove_record(feed, shelf, record.id)
        key = key_of(feed, "record", shelf, record.id)
        self._write(key, *attrs.astuple(record))
        self._now.put(self._time(feed, shelf, record), key)

    def record(self, feed: Feed | None, shelf: Shelf, id: str) -> Record | None:
        found = self._read(key_of(feed, "record", shelf, id))
        return read_record(found) if found else None

    def records(
        self, feed: Feed | None, shelf: Shelf, until: int | None = None, limit: int = 0
    ) -> list[Record]:
        keys = self._scan(key_of(feed, "time", shelf))
        if until is not None:
            end = key_of(feed, "time", shelf, until + 1)
            keys = takewhile(lambda key: key < end, keys)
        return [read_record(self._read(self._read(key))) for key in islice(keys, limit or None)]

    def remove_record(self, feed: Feed | None, shelf: Shelf, id: str) -> bool:
        record = self.record(feed, shelf, id)
        if record is not None:
            self._now.delete(self._time(feed, shelf, record))
            self._now.delete(key_of(feed, "record", shelf, id))
        return record is not None

    @staticmethod
    def _time(feed: Feed | None, shelf: Shelf, record: Record) -> bytes:
        return key_of(feed, "time", shelf, NEVER if record.at is None else record.at, record.id)

    def clean(self, now: int) -> None:
        feeds = [Feed(*json.loads(self._read(key))) for key in self._scan(key_of(None, "feed"))]
        for feed in (None, *feeds):
            for shelf in EXPIRING:
                for record in self.records(feed, shelf, until=now, limit=100):
                    self.remove_record(feed, shelf, record.id)


# [opener]
opener = StoreOpener(lambda url: LmdbStore(url.partition("://")[2]))
