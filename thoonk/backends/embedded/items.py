"""Operations on the items of feeds and sorted feeds."""

from __future__ import annotations

from thoonk import operations as ops
from thoonk.backends.embedded.step import Step, does
from thoonk.backends.embedded.store import Feed, Row, State
from thoonk.backends.embedded.whole_feeds import trim
from thoonk.config import FEED, JOB, SORTED_FEED
from thoonk.exceptions import ItemDoesNotExist
from thoonk.notices import Edited, Moved, Published, Retracted

GAP = 1 << 20
"""How far apart items of a sorted feed are placed, so that others fit in between."""


@does(ops.FeedPublish)
def publish(step: Step, op: ops.FeedPublish) -> tuple[bool, ...]:
    """Add items at the end, or replace them and move them there."""
    feed = step.feed_for(op.feed, FEED, (entry.item for entry in op.entries))
    most = feed.settings.max_length if "max_length" in feed.config else None
    found = step.store.get(feed, [entry.id for entry in op.entries])
    fresh, new, items = list[bool](), list[Row](), list[bytes]()

    def store_new() -> None:
        step.add(feed, new, items)
        new.clear()
        items.clear()

    for entry in op.entries:
        row = found.get(entry.id)
        if row is not None and row in new:
            store_new()
        if row is None and most and (excess := feed.counts[0] + len(new) + 1 - most) > 0:
            store_new()
            for id in trim(step, feed, excess):
                found.pop(id, None)
        place = step.end_place(feed)
        if row is None:
            row = found[entry.id] = Row(entry.id, State.STORED, place, step.now)
            new.append(row)
            items.append(entry.item)
            step.notices.append(Published(op.feed, entry.id, entry.item))
            fresh.append(True)
            continue
        row.place, row.put_at = place, step.now
        feed.publishes += 1
        step.changes(feed)
        step.store.save(feed, (row,))
        step.store.set_item(feed, row, entry.item)
        step.notices.append(Edited(op.feed, entry.id, entry.item))
        fresh.append(False)
    store_new()
    return tuple(fresh)


@does(ops.FeedRetract, ops.SortedRetract)
def retract(step: Step, op: ops.FeedRetract | ops.SortedRetract) -> tuple[bool, ...]:
    """Remove items."""
    feed = step.feed(op.feed, FEED if isinstance(op, ops.FeedRetract) else SORTED_FEED)
    found = step.store.get(feed, op.ids)
    rows = [found.pop(id, None) for id in op.ids]
    gone = [row for row in rows if row is not None]
    step.remove(feed, gone)
    step.notices += [Retracted(op.feed, row.id) for row in gone]
    return tuple(row is not None for row in rows)


@does(ops.RetractSome)
def retract_some(step: Step, op: ops.RetractSome) -> ops.SomeRetracted:
    """Remove items; here they are found at once."""
    if op.kind == JOB:
        return ops.SomeRetracted(step.free(step.feed(op.feed, JOB), op.ids))
    return ops.SomeRetracted(retract(step, ops.SortedRetract(op.feed, op.ids)))


# --- sorted feeds -----------------------------------------------------------------------


def _neighbour(step: Step, feed: Feed, id: str) -> Row:
    row = step.row(feed, id)
    if row is None:
        raise ItemDoesNotExist(feed.name, id)
    return row


def places(step: Step, feed: Feed, position: ops.Position, count: int) -> list[int]:
    """Places for so many items, in order, at a position."""
    if position.where is ops.Where.END:
        feed.last += count * GAP
        return [feed.last - (count - 1 - index) * GAP for index in range(count)]
    if position.where is ops.Where.BEGIN:
        feed.first -= count * GAP
        return [feed.first + index * GAP for index in range(count)]
    is_before = position.where is ops.Where.BEFORE
    while True:
        row = _neighbour(step, feed, position.neighbour)
        beyond = step.store.rows(
            feed, State.STORED, limit=1, after=(row.place, row.key), reverse=is_before
        )
        if not beyond:
            where = ops.Where.BEGIN if is_before else ops.Where.END
            return places(step, feed, ops.Position(where), count)
        low, high = sorted((row.place, beyond[0].place))
        gap = (high - low) // (count + 1)
        if gap:
            return [low + gap * (index + 1) for index in range(count)]
        _spread(step, feed, row, count)


def _spread(step: Step, feed: Feed, row: Row, count: int) -> None:
    """Make room next to a row: space the rows around it evenly."""
    reach = 16
    while True:
        around = (row.place, row.key)
        before = step.store.rows(feed, State.STORED, limit=reach, after=around, reverse=True)
        behind = step.store.rows(feed, State.STORED, limit=reach, after=around)
        rows = [*reversed(before), row, *behind]
        low = rows.pop(0).place if len(before) == reach else rows[0].place - len(rows) * GAP
        high = rows.pop().place if len(behind) == reach else rows[-1].place + len(rows) * GAP
        # Room for as many again as there are, or the next insert would have to look further.
        gap = (high - low) // (len(rows) + 1)
        if gap > 2 * count + reach:
            break
        reach *= 4
    for index, each in enumerate(rows):
        each.place = low + gap * (index + 1)
    feed.first, feed.last = min(feed.first, rows[0].place), max(feed.last, rows[-1].place)
    step.changes(feed)
    step.store.save(feed, rows)


@does(ops.SortedInsert)
def insert(step: Step, op: ops.SortedInsert) -> tuple[str, ...]:
    """Add items at a position."""
    feed, position = step.feed_for(op.feed, SORTED_FEED, op.items), op.position
    rows = []
    for item, place in zip(op.items, places(step, feed, position, len(op.items)), strict=True):
        feed.given += 1
        id = str(feed.given)
        rows.append(Row(id, State.STORED, place, step.now))
        step.notices += [Published(op.feed, id, item), Moved(op.feed, id, str(position))]
        if position.where in (ops.Where.BEGIN, ops.Where.AFTER):
            position = ops.Position(ops.Where.AFTER, id)
    step.add(feed, rows, op.items)
    return tuple(row.id for row in rows)


@does(ops.SortedEdit)
def edit(step: Step, op: ops.SortedEdit) -> None:
    """Replace an item in its place."""
    feed = step.feed_for(op.feed, SORTED_FEED, (op.entry.item,))
    row = _neighbour(step, feed, op.entry.id)
    row.put_at = step.now
    feed.publishes += 1
    step.changes(feed)
    step.store.save(feed, (row,))
    step.store.set_item(feed, row, op.entry.item)
    step.notices.append(Edited(op.feed, op.entry.id, op.entry.item))


@does(ops.SortedMove)
def move(step: Step, op: ops.SortedMove) -> None:
    """Give an item another position."""
    feed = step.feed(op.feed, SORTED_FEED)
    _neighbour(step, feed, op.id)
    if op.position.neighbour:
        _neighbour(step, feed, op.position.neighbour)
    if op.id == op.position.neighbour:
        return
    (place,) = places(step, feed, op.position, 1)
    # Read after that: making room may have placed it elsewhere.
    row = _neighbour(step, feed, op.id)
    row.place = place
    step.changes(feed)
    step.store.save(feed, (row,))
    step.notices.append(Moved(op.feed, op.id, str(op.position)))
