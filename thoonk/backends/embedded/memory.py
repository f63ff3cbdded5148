"""A store in the memory of this process."""

from __future__ import annotations

import heapq
import itertools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeAlias

import attrs

from thoonk.backends.embedded.store import EXPIRING, Feed, Record, Row, Shelf, State, Store
from thoonk.exceptions import ThoonkError

CHUNK = 512
"""How many rows a part of a long list has at most: to insert moves those behind it."""

KEYS = 1024
"""How many keys a part of all rows has at most."""

Place = tuple[int, int]


class Ordered:
    """Rows by place and key, in parts: what is done at one spot moves no more than one part."""

    def __init__(self) -> None:
        self._parts: list[list[tuple[int, int, Row]]] = []
        self._lasts: list[Place] = []

    def add(self, row: Row) -> None:
        """Insert a row where it belongs."""
        place = row.place, row.key
        index = bisect_left(self._lasts, place)
        if index == len(self._lasts):
            if not index or len(self._parts[-1]) >= CHUNK:
                self._parts.append([])
                self._lasts.append(place)
            self._parts[-1].append((*place, row))
            self._lasts[-1] = place
            return
        part = self._parts[index]
        part.insert(bisect_left(part, place), (*place, row))
        if len(part) > CHUNK:
            half = len(part) // 2
            self._parts.insert(index, part[:half])
            self._lasts.insert(index, part[half - 1][:2])
            del part[:half]

    def remove(self, row: Row, place: int) -> None:
        """Take out a row that was added with that place."""
        at = place, row.key
        index = bisect_left(self._lasts, at)
        part = self._parts[index]
        del part[bisect_left(part, at)]
        if not part:
            del self._parts[index], self._lasts[index]
        elif self._lasts[index] == at:
            self._lasts[index] = part[-1][:2]

    def __iter__(self) -> Iterator[Row]:
        return self.after(None)

    def after(self, place: Place | None, skip: int = 0) -> Iterator[Row]:
        """The rows behind a place, ``skip`` left out."""
        first = 0 if place is None else bisect_right(self._lasts, place)
        for index in range(first, len(self._parts)):
            part = self._parts[index]
            start = bisect_left(part, (place[0], place[1] + 1)) if place and index == first else 0
            if skip >= len(part) - start:
                skip -= len(part) - start
                continue
            for entry in itertools.islice(part, start + skip, None):
                yield entry[2]
            skip = 0

    def before(self, place: Place | None, skip: int = 0) -> Iterator[Row]:
        """The rows in front of a place, the nearest one first, ``skip`` left out."""
        last = len(self._parts) - 1 if place is None else bisect_left(self._lasts, place)
        for index in range(min(last, len(self._parts) - 1), -1, -1):
            part = self._parts[index]
            end = bisect_left(part, place) if place and index == last else len(part)
            if skip >= end:
                skip -= end
                continue
            for position in range(end - 1 - skip, -1, -1):
                yield part[position][2]
            skip = 0

    def clear(self) -> None:
        """Take out all rows."""
        self._parts, self._lasts = [], []


@attrs.define(eq=False)
class _Contents:
    """What is in one feed. All but the rows and the shelves can be made from these.

    Attributes:
        rows: by id, each with its item and as it was saved.
        states: the rows in each state, in order.
        parts: the rows by the number of their key, in parts of `KEYS`.
        tokens: the rows that were claimed under each token.
        puts: when rows that wait were put, and some that do not wait any more.
        extended: when claims were made that were extended, and some that have ended.
        shelves: records by their names.
    """

    rows: dict[str, _Kept] = attrs.field(factory=dict)
    states: list[Ordered] = attrs.field(factory=lambda: [Ordered() for _ in State])
    parts: dict[int, dict[int, Row]] = attrs.field(factory=dict)
    tokens: dict[str, list[Row]] = attrs.field(factory=dict)
    puts: list[tuple[int, int, Row]] = attrs.field(factory=list)
    extended: list[tuple[int, int, Row]] = attrs.field(factory=list)
    shelves: defaultdict[Shelf, dict[str, Record]] = attrs.field(factory=lambda: defaultdict(dict))


@attrs.define(eq=False)
class _Kept:
    """A row, and how it was saved: the engine changes the row itself."""

    row: Row
    item: bytes
    state: State
    place: int
    token: str
    put_at: int
    since: int
    failures: int
    note: dict[str, Any] | None


def _kept(row: Row, item: bytes) -> _Kept:
    note = {**row.note} if row.note else None
    return _Kept(
        row, item, row.state, row.place, row.token, row.put_at, row.since, row.failures, note
    )


def _is_extended(row: Row) -> bool:
    """Whether a claim was extended: its place is when it was made or extended last."""
    return row.place > row.since + 999


def _extended(states: Sequence[Ordered]) -> list[tuple[int, int, Row]]:
    extended = [(row.since, row.key, row) for row in states[State.CLAIMED] if _is_extended(row)]
    heapq.heapify(extended)
    return extended


Numbers: TypeAlias = tuple[dict[str, str], int, int, int, int, int, int, list[int]]
"""What changes of a feed."""


def _numbers(feed: Feed) -> Numbers:
    return (
        feed.config,
        feed.publishes,
        feed.finished,
        feed.given,
        feed.first,
        feed.last,
        feed.failing,
        feed.counts[:],
    )


def _restore(feed: Feed, numbers: Numbers) -> None:
    config, *counted, counts = numbers
    feed.configure(config)
    feed.publishes, feed.finished, feed.given, feed.first, feed.last, feed.failing = counted
    # Not the list itself, which is needed again when this is interrupted.
    feed.counts = counts[:]


class _Writes:
    """A block that changes the store as a whole, or not at all."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __enter__(self) -> None:
        self._store.begin(writes=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self._store.commit()
        else:
            self._store.roll_back(error)


class _Reads:
    """A block that changes nothing."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __enter__(self) -> None:
        self._store.begin(writes=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Nothing has changed."""


class MemoryStore(Store):
    """Feeds in memory.

    A step may be interrupted anywhere, for a signal handler may raise `KeyboardInterrupt`. So what
    a step changes is noted before: feeds as they were, the rows and records that it replaces. What
    else there is of a feed is made again then.
    """

    is_quick = True

    def __init__(self) -> None:
        super().__init__()
        self._feeds: dict[str, Feed] = {}
        self._contents: dict[int, _Contents] = {0: _Contents()}
        self._keys = itertools.count(1)
        self._expiries: defaultdict[Shelf, list[tuple[int, int, str]]] = defaultdict(list)
        self._reading, self._writing = _Reads(self), _Writes(self)
        # Of the step under way. None: it changes nothing.
        self._before: dict[int, tuple[Feed, Numbers]] | None = None
        self._replaced: list[tuple[dict[Any, Any], Any, Any]] = []

    def __str__(self) -> str:
        return "in memory"

    # --- steps --------------------------------------------------------------------------

    def transaction(self, *, writes: bool) -> AbstractContextManager[None]:
        """A block that happens as a whole or not at all."""
        return self._writing if writes else self._reading

    def begin(self, *, writes: bool) -> None:
        """Begin a step."""
        if self._before is not None:
            # The last one was interrupted while it was ended.
            self._undo()
        if writes:
            # In this order: what is noted is undone for as long as there is something before.
            self._replaced = []
            self._before = {}

    def commit(self) -> None:
        """End a step."""
        self._before = None

    def roll_back(self, error: BaseException | None) -> None:
        """Undo a step."""
        if isinstance(error, ThoonkError) and not self._replaced:
            # It was refused before it changed rows, and quickly undone.
            for feed, numbers in (self._before or {}).values():
                _restore(feed, numbers)
            self._before = None
        else:
            self._undo()

    def _undo(self) -> None:
        """Bring back what was before the step. May be interrupted, and called again."""
        for kept, key, before in reversed(self._replaced):
            if before is None:
                kept.pop(key, None)
            else:
                kept[key] = before
        for key, (feed, numbers) in (self._before or {}).items():
            _restore(feed, numbers)
            if key in self._contents:
                self._make(self._contents[key])
        self.commit()

    @staticmethod
    def _make(contents: _Contents) -> None:
        """Make everything from the rows as they were saved."""
        states = [Ordered() for _ in State]
        parts: dict[int, dict[int, Row]] = {}
        tokens: dict[str, list[Row]] = {}
        for kept in sorted(contents.rows.values(), key=lambda kept: (kept.place, kept.row.key)):
            row = kept.row
            row.state, row.place, row.token = kept.state, kept.place, kept.token
            row.put_at, row.since, row.failures = kept.put_at, kept.since, kept.failures
            row.note = {**kept.note} if kept.note else {}
            states[row.state].add(row)
            if row.token:
                tokens.setdefault(row.token, []).append(row)
        for row in sorted((kept.row for kept in contents.rows.values()), key=lambda row: row.key):
            parts.setdefault(row.key // KEYS, {})[row.key] = row
        puts = [(row.put_at, row.key, row) for row in states[State.WAITING]]
        heapq.heapify(puts)
        contents.states, contents.parts = states, parts
        contents.tokens, contents.puts = tokens, puts
        contents.extended = _extended(states)

    def _replace(self, kept: dict[Any, Any], key: Any) -> None:
        """Note what is there before it is replaced or removed."""
        self._replaced.append((kept, key, kept.get(key)))

    # --- feeds --------------------------------------------------------------------------

    def find(self, name: str) -> Feed | None:
        feed = self._feeds.get(name)
        before = self._before
        if before is not None and feed is not None and feed.key not in before:
            before[feed.key] = feed, _numbers(feed)
        return feed

    def create(self, name: str, config: dict[str, str]) -> Feed:
        feed = Feed(next(self._keys), name, config)
        self._replace(self._feeds, name)
        self._replace(self._contents, feed.key)
        self._contents[feed.key] = _Contents()
        self._feeds[name] = feed
        return feed

    def save_feed(self, feed: Feed) -> None:
        """The feed is the one that is kept."""

    def drop(self, feed: Feed) -> None:
        self._replace(self._feeds, feed.name)
        self._replace(self._contents, feed.key)
        del self._feeds[feed.name], self._contents[feed.key]

    # --- rows ---------------------------------------------------------------------------

    def get(self, feed: Feed, ids: Iterable[str]) -> dict[str, Row]:
        rows = self._contents[feed.key].rows
        return {id: rows[id].row for id in ids if id in rows}

    def held(self, feed: Feed, token: str) -> list[Row]:
        rows = self._contents[feed.key].tokens.get(token, ())
        return sorted(rows, key=lambda row: (row.place, row.key))

    def rows(
        self,
        feed: Feed,
        state: State,
        *,
        limit: int,
        after: Place | None = None,
        reverse: bool = False,
        skip: int = 0,
    ) -> list[Row]:
        ordered = self._contents[feed.key].states[state]
        rows = ordered.before(after, skip) if reverse else ordered.after(after, skip)
        return [*itertools.islice(rows, limit)]

    def all_rows(self, feed: Feed, *, limit: int, after: int = 0, skip: int = 0) -> list[Row]:
        parts, first = self._contents[feed.key].parts, (after + 1) // KEYS
        behind = (
            row
            for number in [number for number in parts if number >= first]
            for key, row in parts[number].items()
            if key > after
        )
        return [*itertools.islice(behind, skip, skip + limit)]

    def oldest_put(self, feed: Feed) -> int | None:
        contents = self._contents[feed.key]
        puts, rows = contents.puts, contents.rows
        while puts:
            put_at, _, row = puts[0]
            kept = rows.get(row.id)
            if kept and kept.row is row and row.state is State.WAITING and row.put_at == put_at:
                return put_at
            heapq.heappop(puts)
        return None

    def oldest_claim(self, feed: Feed) -> int | None:
        # Of those that were not extended, the first one is the oldest. It comes first of all if it
        # is older than each that was extended: their places are later than that.
        contents = self._contents[feed.key]
        first = next(iter(contents.states[State.CLAIMED]), None)
        if first is None:
            return None
        extended, rows = contents.extended, contents.rows
        while extended:
            since, _, row = extended[0]
            kept = rows.get(row.id)
            if kept and kept.row is row and row.state is State.CLAIMED and row.since == since:
                return min(since, first.since)
            heapq.heappop(extended)
        return first.since

    def items(self, feed: Feed, rows: Sequence[Row]) -> list[bytes]:
        kept = self._contents[feed.key].rows
        return [kept[row.id].item for row in rows]

    def add(self, feed: Feed, rows: Sequence[Row], items: Sequence[bytes]) -> None:
        contents = self._contents[feed.key]
        for row, item in zip(rows, items, strict=True):
            row.key = next(self._keys)
            self._replaced.append((contents.rows, row.id, None))
            kept = contents.rows[row.id] = _kept(row, item)
            contents.parts.setdefault(row.key // KEYS, {})[row.key] = row
            self._enter(contents, kept)

    def save(self, feed: Feed, rows: Sequence[Row]) -> None:
        contents = self._contents[feed.key]
        for row in rows:
            before = contents.rows[row.id]
            self._replaced.append((contents.rows, row.id, before))
            self._leave(contents, before)
            kept = contents.rows[row.id] = _kept(row, before.item)
            self._enter(contents, kept)

    def set_item(self, feed: Feed, row: Row, item: bytes) -> None:
        rows = self._contents[feed.key].rows
        before = rows[row.id]
        self._replaced.append((rows, row.id, before))
        rows[row.id] = attrs.evolve(before, item=item)

    def remove(self, feed: Feed, rows: Sequence[Row]) -> None:
        contents = self._contents[feed.key]
        for row in rows:
            before = contents.rows[row.id]
            self._replaced.append((contents.rows, row.id, before))
            del contents.rows[row.id]
            self._leave(contents, before)
            part = contents.parts[row.key // KEYS]
            del part[row.key]
            if not part:
                del contents.parts[row.key // KEYS]

    @staticmethod
    def _enter(contents: _Contents, kept: _Kept) -> None:
        row = kept.row
        contents.states[kept.state].add(row)
        if kept.token:
            contents.tokens.setdefault(kept.token, []).append(row)
        if kept.state is State.WAITING:
            puts = contents.puts
            if len(puts) > 2 * len(contents.rows) + KEYS:
                puts[:] = [(r.put_at, r.key, r) for r in contents.states[State.WAITING]]
                heapq.heapify(puts)
            else:
                heapq.heappush(puts, (row.put_at, row.key, row))
        elif kept.state is State.CLAIMED and _is_extended(row):
            if len(contents.extended) > 2 * len(contents.rows) + KEYS:
                contents.extended = _extended(contents.states)
            else:
                heapq.heappush(contents.extended, (row.since, row.key, row))

    @staticmethod
    def _leave(contents: _Contents, kept: _Kept) -> None:
        contents.states[kept.state].remove(kept.row, kept.place)
        if kept.token:
            rows = contents.tokens[kept.token]
            rows.remove(kept.row)
            if not rows:
                del contents.tokens[kept.token]

    # --- records ------------------------------------------------------------------------

    def _shelf(self, feed: Feed | None, shelf: Shelf) -> dict[str, Record]:
        return self._contents[feed.key if feed else 0].shelves[shelf]

    def put_record(self, feed: Feed | None, shelf: Shelf, record: Record) -> None:
        records = self._shelf(feed, shelf)
        self._replace(records, record.id)
        records[record.id] = record
        if record.at is not None and shelf is not Shelf.SCHEDULE:
            expiry = record.at, feed.key if feed else 0, record.id
            heapq.heappush(self._expiries[shelf], expiry)

    def record(self, feed: Feed | None, shelf: Shelf, id: str) -> Record | None:
        return self._shelf(feed, shelf).get(id)

    def records(
        self, feed: Feed | None, shelf: Shelf, until: int | None = None, limit: int = 0
    ) -> list[Record]:
        found = [
            record
            for record in self._shelf(feed, shelf).values()
            if until is None or (record.at is not None and record.at <= until)
        ]
        found.sort(key=lambda record: math.inf if record.at is None else record.at)
        return found[: limit or None]

    def remove_record(self, feed: Feed | None, shelf: Shelf, id: str) -> bool:
        records = self._shelf(feed, shelf)
        if id not in records:
            return False
        self._replace(records, id)
        del records[id]
        return True

    def clean(self, now: int) -> None:
        for shelf in EXPIRING:
            expiries = self._expiries[shelf]
            while expiries and expiries[0][0] <= now:
                _, key, id = heapq.heappop(expiries)
                records = self._contents[key].shelves[shelf] if key in self._contents else {}
                # Not undone when the step is: it has expired all the same.
                if id in records and (records[id].at or now + 1) <= now:
                    del records[id]
