"""Operations that read and write a feed as it is stored, to copy it."""

from __future__ import annotations

import attrs

from thoonk import operations as ops
from thoonk.backends.embedded.items import places
from thoonk.backends.embedded.schedules import restore_schedule
from thoonk.backends.embedded.step import NEVER, SECOND, Step, does, microseconds
from thoonk.backends.embedded.store import Feed, Record, Row, Shelf, State
from thoonk.backends.embedded.whole_feeds import trim
from thoonk.config import FEED, SORTED_FEED
from thoonk.notices import Edited, Finished, Moved, Published, Put, Scheduled, Stalled

STATES = {ops.Times.PUBLISHED: State.STORED, ops.Times.SCHEDULED: State.SCHEDULED}
SHELVES = {ops.Times.RESULTS: Shelf.RESULT, ops.Times.TAKEN: Shelf.TAKEN}
END = ops.Position(ops.Where.END)


@does(ops.ReadTimes, writes=False)
def read_times(step: Step, op: ops.ReadTimes) -> ops.TimesPage:
    """A part of the ids, with their times."""
    feed = step.feed(op.feed, op.kind)
    if op.of in SHELVES:
        found = step.store.record_times(feed, SHELVES[op.of], after=op.cursor, limit=op.count)
        page = tuple(ops.IdTime(id, None if at is None else at / SECOND) for id, at in found)
        return ops.TimesPage(page, page[-1].id if len(page) == op.count else "")
    rows = step.page(feed, STATES[op.of], op.cursor, op.count)
    is_scheduled = op.of is ops.Times.SCHEDULED
    page = tuple(
        ops.IdTime(row.id, (row.place if is_scheduled else row.put_at) / SECOND, "high" in row.note)
        for row in rows
    )
    return ops.TimesPage(page, rows[-1].cursor if len(rows) == op.count else "")


@does(ops.Restore)
def restore(step: Step, op: ops.Restore) -> tuple[ops.Outcome, ...]:
    """Store what was read from another feed."""
    items = [e.item or b"" for e in op.entries if e.what is not ops.RestoreAs.RESULT]
    feed = step.feed_for(op.feed, op.kind, items)
    known = step.store.get(feed, [entry.id for entry in op.entries])
    outcomes = []
    for entry in op.entries:
        match entry.what:
            case ops.RestoreAs.ITEM:
                outcome = _item(step, feed, op.kind, entry, known)
            case ops.RestoreAs.RESULT:
                outcome = _result(step, feed, entry)
            case ops.RestoreAs.TAKEN:
                outcome = _taken(step, feed, entry)
            case _:
                outcome = _job(step, feed, entry, known)
        outcomes.append(outcome)
    if op.kind == FEED and "max_length" in feed.config and (most := feed.settings.max_length):
        excess = feed.counts[State.STORED] - most
        if excess > 0:
            trim(step, feed, excess)
    outcomes += [ops.Outcome(restore_schedule(step, feed, each)) for each in op.schedules]
    return tuple(outcomes)


def _item(
    step: Step, feed: Feed, kind: str, entry: ops.Restored, known: dict[str, Row]
) -> ops.Outcome:
    item, row = entry.item or b"", known.get(entry.id)
    if row is not None and step.store.items(feed, (row,)) == [item]:
        return ops.Outcome.KEPT
    time = step.now if entry.at is None else microseconds(entry.at)
    if kind == FEED:
        last = step.store.rows(feed, State.STORED, limit=1, reverse=True)
        time = max([time, *(each.put_at + 1 for each in last)])
    if row is not None:
        row.put_at = time
        if kind == FEED:
            row.place = step.end_place(feed)
        feed.publishes += 1
        step.changes(feed)
        step.store.save(feed, (row,))
        step.store.set_item(feed, row, item)
        step.notices.append(Edited(feed.name, entry.id, item))
        return ops.Outcome.REPLACED
    place = step.end_place(feed) if kind == FEED else places(step, feed, END, 1)[0]
    row = known[entry.id] = Row(entry.id, State.STORED, place, time)
    step.add(feed, [row], [item])
    step.notices.append(Published(feed.name, entry.id, item))
    if kind == SORTED_FEED:
        if entry.id.isdecimal():
            feed.given = max(feed.given, int(entry.id))
        step.notices.append(Moved(feed.name, entry.id, str(END)))
    return ops.Outcome.ADDED


def _job(step: Step, feed: Feed, entry: ops.Restored, known: dict[str, Row]) -> ops.Outcome:
    if entry.id in known:
        return ops.Outcome.KEPT
    put_at = step.now if entry.put is None else microseconds(entry.put)
    row = Row(entry.id, State.WAITING, 0, put_at, failures=entry.failures)
    times = {"failed": entry.failed, "stalled": entry.stalled, "due": entry.at}
    row.note |= {name: microseconds(at) for name, at in times.items() if at is not None}
    if entry.failure is not None:
        row.note["failure"] = [*attrs.astuple(entry.failure)]
    if entry.what is ops.RestoreAs.SCHEDULED:
        row.state, row.place = State.SCHEDULED, microseconds(entry.at or 0.0)
        if entry.is_high:
            row.note["high"] = 1
        step.event(feed, Scheduled, entry.id, row.place / SECOND)
    else:
        is_stalled = entry.what is ops.RestoreAs.STALLED
        row.state = State.STALLED if is_stalled else State.WAITING
        row.place = step.end_place(feed)
        step.event(feed, Stalled if is_stalled else Put, entry.id)
    feed.failing += row.failures > 0
    step.add(feed, [row], [entry.item or b""])
    known[entry.id] = row
    return ops.Outcome.ADDED


def _result(step: Step, feed: Feed, entry: ops.Restored) -> ops.Outcome:
    until = None if entry.at is None else microseconds(entry.at)
    before = step.store.record(feed, Shelf.RESULT, entry.id)
    is_there = before is not None and (before.at or NEVER) > step.now
    if is_there or (until or NEVER) <= step.now:
        return ops.Outcome.KEPT
    record = Record(entry.id, at=until, first=entry.item, second=entry.result)
    step.store.put_record(feed, Shelf.RESULT, record)
    step.notices.append(Finished(feed.name, entry.id, entry.result or b""))
    return ops.Outcome.ADDED


def _taken(step: Step, feed: Feed, entry: ops.Restored) -> ops.Outcome:
    until = microseconds(entry.at or 0.0)
    before = step.store.record(feed, Shelf.TAKEN, entry.id)
    if until <= step.now or (before is not None and (before.at or 0) >= until):
        return ops.Outcome.KEPT
    step.store.put_record(feed, Shelf.TAKEN, Record(entry.id, at=until))
    return ops.Outcome.ADDED
