"""Operations that put and take: queues, and what jobs have in common with them."""

from __future__ import annotations

from thoonk import operations as ops
from thoonk.backends.embedded.step import NEVER, SECOND, Step, does, microseconds
from thoonk.backends.embedded.store import Feed, Record, Row, Shelf, State
from thoonk.config import JOB, QUEUE
from thoonk.exceptions import ItemExists, NotClaimed
from thoonk.notices import Claimed, Put, Released, Scheduled

CONFIRM_WITHIN = microseconds(ops.CONFIRM_WITHIN)


@does(ops.QueuePut, ops.JobPut)
def put(step: Step, op: ops.QueuePut | ops.JobPut) -> None:
    """Add entries."""
    kind = QUEUE if isinstance(op, ops.QueuePut) else JOB
    feed = step.feed_for(op.feed, kind, (entry.item for entry in op.entries))
    # Of an id that is named twice the last item counts.
    items = {entry.id: entry.item for entry in op.entries}
    rows = [Row(id, State.WAITING, step.end_place(feed, op.priority), step.now) for id in items]
    step.put(feed, rows, [*items.values()])
    if step.has_events(feed):
        step.notices += [Put(feed.name, row.id) for row in rows]


def _outcome(
    step: Step, feed: Feed, row: Row | None, id: str, op: ops.QueueAdd | ops.JobAdd
) -> ops.Outcome:
    """What becomes of a put under an id that may be taken."""
    if row is None:
        taken = step.store.record(feed, Shelf.TAKEN, id)
        if taken is None or (taken.at or 0) <= step.now:
            return ops.Outcome.ADDED
    if op.if_exists is ops.IfExists.REFUSE:
        raise ItemExists(op.feed, id)
    is_free = row is not None and row.state is not State.CLAIMED
    is_replaced = op.if_exists is ops.IfExists.REPLACE and is_free
    return ops.Outcome.REPLACED if is_replaced else ops.Outcome.KEPT


@does(ops.QueueAdd, ops.JobAdd)
def add(step: Step, op: ops.QueueAdd | ops.JobAdd) -> tuple[ops.Outcome, ...]:
    """Add entries under ids that may be taken, perhaps for later."""
    kind = QUEUE if isinstance(op, ops.QueueAdd) else JOB
    feed = step.feed_for(op.feed, kind, (entry.item for entry in op.entries))
    known = step.store.get(feed, [entry.id for entry in op.entries])
    # All are looked at before the first is put: one that is refused keeps out the others.
    outcomes = [_outcome(step, feed, known.get(entry.id), entry.id, op) for entry in op.entries]
    due = due_time(step, op.due) if isinstance(op, ops.JobAdd) and op.due else step.now
    replaced, rows, items = list[Row](), list[Row](), list[bytes]()
    for entry, outcome in zip(op.entries, outcomes, strict=True):
        if outcome is ops.Outcome.KEPT:
            continue
        before = known.get(entry.id)
        if before is not None:
            replaced.append(before)
        if kind == JOB:
            step.store.remove_record(feed, Shelf.RESULT, entry.id)
        row = Row(entry.id, State.WAITING, 0, step.now)
        if due > step.now:
            schedule(step, feed, row, due, op.priority)
        else:
            keeps_place = before is not None and before.state is State.WAITING
            row.place = (
                before.place if keeps_place and before else step.end_place(feed, op.priority)
            )
            step.event(feed, Put, entry.id)
        rows.append(row)
        items.append(entry.item)
        if op.unique_for:
            taken_until = step.now + microseconds(op.unique_for)
            step.store.put_record(feed, Shelf.TAKEN, Record(entry.id, at=taken_until))
    step.remove(feed, replaced)
    step.add(feed, rows, items)
    return tuple(outcomes)


def due_time(step: Step, due: ops.Due) -> int:
    """When that is."""
    if due.delay is not None:
        return step.now + microseconds(due.delay)
    return microseconds(due.at or 0.0)


def schedule(step: Step, feed: Feed, row: Row, due: int, priority: ops.Priority) -> None:
    """Let a row that is not in the store wait for its time, which is to come."""
    row.state, row.place = State.SCHEDULED, due
    row.note["due"] = due
    if priority is ops.Priority.HIGH:
        row.note["high"] = 1
    step.event(feed, Scheduled, row.id, due / SECOND)


def recovers(step: Step, feed: Feed, op: ops.TakeOperation) -> bool:
    """Whether a take recovers first what has expired."""
    if op.recover_expired:
        return True
    if feed.counts[State.WAITING] and not feed.is_paused:
        return False
    # What the token has taken already is the answer again, however old.
    return not feed.counts[State.CLAIMED] or not step.store.held(feed, op.token)


def take(step: Step, feed: Feed, op: ops.TakeOperation, time_left: int) -> ops.Batch:
    """What the token has taken already, else the next ones.

    ``time_left``: how long a claim lasts.
    """
    rows = step.store.held(feed, op.token) if feed.counts[State.CLAIMED] else []
    if not rows and feed.is_paused:
        # Nobody need look before the end of the pause, which wakes those who wait.
        return ops.Batch(())
    if not rows and op.count and feed.counts[State.WAITING]:
        rows = step.store.rows(feed, State.WAITING, limit=op.count)
        for index, row in enumerate(rows):
            # One microsecond apart, which keeps their order.
            step.shift(feed, row, State.CLAIMED, step.now + index)
            row.since, row.token = step.now, op.token
            step.event(feed, Claimed, row.id)
        step.store.save(feed, rows)
    if rows:
        items = step.store.items(feed, rows)
        entries = [
            ops.Delivery(row.id, item, row.failures) for row, item in zip(rows, items, strict=True)
        ]
        return ops.Batch(tuple(entries))
    oldest = step.earliest(feed, State.CLAIMED)
    # Without a claim, one that is made now.
    look_at = min((step.now if oldest is None else oldest) + time_left, step.next_due(feed))
    return ops.Batch((), None if look_at >= NEVER else max(0, look_at - step.now) / SECOND)


@does(ops.Release)
def release(step: Step, op: ops.Release) -> tuple[str, ...]:
    """Give back what was taken under a token."""
    feed = step.feed(op.feed)
    rows = [row for row in step.store.held(feed, op.token) if row.id in op.ids or not op.ids]
    step.put_back(feed, rows)
    for row in rows:
        step.event(feed, Released, row.id)
    return tuple(row.id for row in rows)


# --- queues -----------------------------------------------------------------------------


@does(ops.QueueTake)
def queue_take(step: Step, op: ops.QueueTake) -> ops.Batch:
    """Take items, and first bring back those that were not confirmed."""
    feed = step.feed(op.feed, QUEUE)
    if feed.counts[State.CLAIMED] and recovers(step, feed, op):
        late = step.now - CONFIRM_WITHIN
        claimed = step.store.rows(feed, State.CLAIMED, limit=ops.MOST)
        step.put_back(feed, [row for row in claimed if not late < row.place <= step.now + ops.MOST])
    return take(step, feed, op, CONFIRM_WITHIN)


@does(ops.QueueConfirm)
def queue_confirm(step: Step, op: ops.QueueConfirm) -> None:
    """Remove what has arrived."""
    feed = step.feed(op.feed, QUEUE)
    held = {row.id: row for row in step.store.held(feed, op.token)}
    for id in op.ids:
        if id not in held:
            raise NotClaimed(op.feed, id)
    step.remove(feed, [held[id] for id in dict.fromkeys(op.ids)])


@does(ops.QueueReturn)
def queue_return(step: Step, op: ops.QueueReturn) -> None:
    """Put back what reached no program."""
    feed = step.feed(op.feed, QUEUE)
    known = step.store.get(feed, [entry.id for entry in op.entries])
    rows, items = list[Row](), list[bytes]()
    back = list[Row]()
    for entry in op.entries:
        row = known.get(entry.id)
        if row is None:
            row = Row(entry.id, State.CLAIMED, step.now, step.now)
            rows.append(row)
            items.append(entry.item)
        # What is there and not held any more has come back by itself.
        if row in rows or (row.state is State.CLAIMED and row.token == op.token):
            back.append(row)
    step.add(feed, rows, items, publishes=False)
    step.put_back(feed, back)


@does(ops.QueueClear)
def queue_clear(step: Step, op: ops.QueueClear) -> ops.Step:
    """Remove items, also such as are on their way."""
    feed = step.feed(op.feed, QUEUE)
    gone = [
        row.id
        for state in (State.WAITING, State.CLAIMED)
        for row in step.store.rows(feed, state, limit=op.count)
    ]
    step.free(feed, gone)
    return ops.Step(len(gone), sum(feed.counts))
