"""Operations that read feeds of any type."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from thoonk import operations as ops
from thoonk.backends.embedded.step import NEVER, SECOND, Step, does
from thoonk.backends.embedded.store import Feed, Row, State
from thoonk.config import FEED, JOB, QUEUE
from thoonk.notices import Marker

PAGE = 1000
"""How many rows are read at once where all are."""


def _state_of(kind: str) -> State:
    """Where those are that are listed in order."""
    return State.WAITING if kind == QUEUE else State.STORED


def _all(step: Step, feed: Feed) -> Iterator[list[Row]]:
    """All rows, in parts."""
    after = 0
    while rows := step.store.all_rows(feed, limit=PAGE, after=after):
        yield rows
        after = rows[-1].key


@does(ops.ReadIds, writes=False)
def read_ids(step: Step, op: ops.ReadIds) -> tuple[str, ...]:
    """All ids."""
    if step.store.find(op.feed) is None:
        return ()
    feed = step.feed(op.feed, op.kind)
    if op.kind == JOB:
        return tuple(row.id for rows in _all(step, feed) for row in rows)
    ids: list[str] = []
    after = None
    while rows := step.store.rows(feed, _state_of(op.kind), limit=PAGE, after=after):
        ids += [row.id for row in rows]
        after = rows[-1].place, rows[-1].key
    return tuple(ids)


@does(ops.ReadPage, writes=False)
def read_page(step: Step, op: ops.ReadPage) -> ops.Page:
    """A part of the ids."""
    feed = step.feed(op.feed, op.kind)
    place, key, last = 0, 0, ""
    if op.cursor:
        # Of the one that was read last: its place, its key and its id.
        words = op.cursor.split(" ", 2)
        place, key, last = int(words[0]), int(words[1]), words[2]
    if op.kind == JOB:
        skip = 0 if op.cursor else op.start
        rows = step.store.all_rows(feed, limit=op.count + 1, after=key, skip=skip)
    else:
        if op.kind != FEED and last and (row := step.row(feed, last)):
            place, key = row.place, row.key
        rows = step.store.rows(
            feed,
            _state_of(op.kind),
            limit=op.count + 1,
            after=(place, key) if op.cursor else None,
            reverse=op.reverse,
            skip=0 if op.cursor else op.start,
        )
    page, more = rows[: op.count], rows[op.count :]
    cursor = f"{page[-1].cursor} {page[-1].id}" if more else ""
    items = tuple(step.store.items(feed, page)) if op.with_items else ()
    return ops.Page(tuple(row.id for row in page), items, cursor)


def _items(step: Step, name: str, ids: tuple[str, ...] | None) -> dict[str, bytes]:
    feed = step.store.find(name)
    if feed is None:
        return {}
    some = () if ids is None else ([*step.store.get(feed, ids).values()],)
    return {
        row.id: item
        for rows in some or _all(step, feed)
        for row, item in zip(rows, step.store.items(feed, rows), strict=True)
    }


@does(ops.ReadItem, writes=False)
def read_item(step: Step, op: ops.ReadItem) -> bytes | None:
    """One item."""
    return _items(step, op.feed, (op.id,)).get(op.id)


@does(ops.ReadItems, writes=False)
def read_items(step: Step, op: ops.ReadItems) -> dict[str, bytes]:
    """Items by id."""
    found = _items(step, op.feed, op.ids)
    return {id: found[id] for id in op.ids if id in found} if op.ids is not None else found


@does(ops.ReadJobs, writes=False)
def read_jobs(step: Step, op: ops.ReadJobs) -> dict[str, bytes | None]:
    """Jobs by id."""
    if op.with_items:
        return {**_items(step, op.feed, op.ids)}
    feed = step.store.find(op.feed)
    if feed is None:
        return {}
    if op.ids is not None:
        return dict.fromkeys(step.store.get(feed, op.ids))
    return {row.id: None for rows in _all(step, feed) for row in rows}


@does(ops.CountItems, writes=False)
def count_items(step: Step, op: ops.CountItems) -> int:
    """How many items there are."""
    feed = step.store.find(op.feed)
    return 0 if feed is None else sum(feed.counts)


@does(ops.HasItem, writes=False)
def has_item(step: Step, op: ops.HasItem) -> bool:
    """Whether an item is there."""
    feed = step.store.find(op.feed)
    return feed is not None and op.id in step.store.get(feed, (op.id,))


@does(ops.ReadStats, writes=False)
def read_stats(step: Step, op: ops.ReadStats) -> ops.FeedStats:
    """How full and how busy a feed is."""
    feed = step.feed(op.feed, op.kind or None)
    kind = op.kind or feed.kind
    stored = sum(feed.counts) - feed.counts[State.SCHEDULED]
    stats = ops.FeedStats(feed.config["type"], stored, feed.publishes)

    def age(time: int | None) -> float | None:
        return None if time is None else max(0.0, (step.now - time) / SECOND)

    def put_at(*, reverse: bool) -> int | None:
        ends = step.store.rows(feed, State.STORED, limit=1, reverse=reverse)
        return ends[0].put_at if ends else None

    if kind == FEED:
        oldest, newest = age(put_at(reverse=False)), age(put_at(reverse=True))
        return attrs.evolve(stats, oldest_item=oldest, newest_item=newest)
    if kind in (QUEUE, JOB):
        stats = attrs.evolve(
            stats,
            waiting=feed.counts[State.WAITING],
            claimed=feed.counts[State.CLAIMED],
            paused=feed.is_paused,
        )
    if kind == JOB:
        due = step.next_due(feed)
        return attrs.evolve(
            stats,
            stalled=feed.counts[State.STALLED],
            failing=feed.failing,
            finished=feed.finished,
            oldest_waiting=age(step.store.oldest_put(feed)),
            oldest_claimed=age(step.store.oldest_claim(feed)),
            scheduled=feed.counts[State.SCHEDULED],
            next_due=None if due == NEVER else max(0.0, (due - step.now) / SECOND),
        )
    return stats


@does(ops.ReadSnapshotPage)
def read_snapshot_page(step: Step, op: ops.ReadSnapshotPage) -> ops.SnapshotPage:
    """A part of a feed, and a marker for where that is among the notices."""
    feed = step.feed(op.feed, op.kind)
    mark = f"{op.tag} {step.new_mark()}"
    step.notices.append(Marker(op.feed, op.marker, mark))
    rows = step.store.rows(feed, State.STORED, limit=op.skip + op.count, skip=op.start)
    wanted = step.store.get(feed, op.wanted)
    shown = [*rows[op.skip :], *wanted.values()]
    # Items that are known may be left out, which saves nothing here.
    items = dict.fromkeys(op.wanted, b"")
    items |= dict(zip([row.id for row in shown], step.store.items(feed, shown), strict=True))
    return ops.SnapshotPage(mark, sum(feed.counts), tuple(row.id for row in rows), items)
