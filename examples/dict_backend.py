"""A backend that keeps everything in dicts, for threads and for asyncio.

The worked example of docs/writing-a-backend.md. It has every operation, in one process
and until that ends, and passes the contract classes of `thoonk.testing`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import itertools
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import attrs

from thoonk import operations as ops
from thoonk.config import FEED, JOB, KIND_OF_TYPE, QUEUE, SORTED_FEED, FeedConfig
from thoonk.exceptions import (
    Closed,
    Empty,
    FeedDoesNotExist,
    InvalidValue,
    ItemDoesNotExist,
    ItemExists,
    ItemTooLarge,
    NotClaimed,
    NotScheduled,
    NotStalled,
    UnsupportedOperation,
    WrongFeedType,
)
from thoonk.names import new_token
from thoonk.notices import (
    Cancelled,
    Claimed,
    Configured,
    Created,
    Deleted,
    Edited,
    Ended,
    Finished,
    Marker,
    Moved,
    Notice,
    Progressed,
    Published,
    Put,
    Released,
    Retracted,
    Retried,
    Scheduled,
    Stalled,
)

R = TypeVar("R")

ONE_DAY = 86_400.0

MISSED = 60_000
"""Periodic jobs that are so many ms late were missed: nobody has looked."""

_STORED = tuple(what for what in ops.RestoreAs if what is not ops.RestoreAs.RESULT)
"""What `Restore` stores as items."""

# [world]


@attrs.define
class Claim:
    """Who has taken an item, when, and when that was extended last."""

    token: str
    since: float
    extended: float = attrs.field(default=attrs.Factory(lambda self: self.since, takes_self=True))


@attrs.define
class Note:
    """What is known of a job besides its state: times, and why it failed last."""

    due: float | None = None
    failed: float | None = None
    stalled: float | None = None
    failure: ops.Failure | None = None
    progress: float | None = None
    doing: str = ""
    progressed: float | None = None


@attrs.define
class Stored:
    """One feed.

    ``ids`` has the order; of queues and jobs it has those that wait, the next one first.
    ``stamps`` number the publishes of a feed, by ids; ``since`` has when an item was
    published, or put or retried. ``later`` has when scheduled jobs are due, and their
    priority; ``taken`` until when ids stay taken whatever becomes of their items. ``runs``
    has when schedules are due, in ms: the next time of each and, where they do not follow
    from it, those after it. ``events`` makes the notices of what the operation did to jobs,
    from the feed's name.
    """

    config: dict[str, str]
    items: dict[str, bytes] = attrs.field(factory=dict)
    ids: list[str] = attrs.field(factory=list)
    claims: dict[str, Claim] = attrs.field(factory=dict)
    stalled: set[str] = attrs.field(factory=set)
    failures: dict[str, int] = attrs.field(factory=dict)
    results: dict[str, tuple[ops.StoredResult, float]] = attrs.field(factory=dict)
    stamps: dict[str, int] = attrs.field(factory=dict)
    since: dict[str, float] = attrs.field(factory=dict)
    later: dict[str, tuple[float, ops.Priority]] = attrs.field(factory=dict)
    taken: dict[str, float] = attrs.field(factory=dict)
    notes: dict[str, Note] = attrs.field(factory=dict)
    schedules: dict[str, ops.Schedule] = attrs.field(factory=dict)
    runs: dict[str, list[int]] = attrs.field(factory=dict)
    events: list[Callable[[str], Notice]] = attrs.field(factory=list)
    last_id: int = 0
    publishes: int = 0
    finished: int = 0

    @property
    def settings(self) -> FeedConfig:
        """The configuration with its values as numbers."""
        return FeedConfig.from_fields(self.config)

    @property
    def is_paused(self) -> bool:
        """Whether nothing is taken from it."""
        return self.config.get("paused") == "1"

    def note(self, id: str) -> Note:
        """What is known of a job, to be added to."""
        return self.notes.setdefault(id, Note())

    def happened(self, event: Callable[..., Notice], id: str, *more: Any) -> None:
        """Note an event, to be told when the operation is done."""
        self.events.append(lambda feed: event(feed, id, *more))

    def held(self, token: str) -> list[str]:
        """The ids that were taken under the token, in their order."""
        return [id for id, claim in self.claims.items() if claim.token == token]

    def keep(self, id: str, item: bytes, now: float) -> None:
        """Store an item that has come."""
        self.items[id] = item
        self.since[id] = now
        self.publishes += 1

    def join(self, id: str, priority: ops.Priority) -> None:
        """Let an id wait: at the end, or before all others."""
        self.ids.insert(0 if priority is ops.Priority.HIGH else len(self.ids), id)

    def schedule(self, id: str, due: float, priority: ops.Priority, now: float) -> bool:
        """Let a job wait for its time, or join if that is past; whether it is scheduled."""
        self.note(id).due = max(due, now)
        if due > now:
            self.later[id] = due, priority
            self.happened(Scheduled, id, due)
            return True
        self.since[id] = now
        self.join(id, priority)
        self.happened(Put, id)
        return False

    def bring_due(self, now: float) -> None:
        """Let jobs whose time has come join, in the order of their times."""
        for id, (due, priority) in sorted(self.later.items(), key=lambda entry: entry[1][0]):
            if due <= now:
                del self.later[id]
                self.since[id] = due
                self.join(id, priority)
                self.happened(Put, id)

    def bring_runs(self, now: float) -> None:
        """Put the jobs of schedules that are due."""
        known = [(times[0], name) for name, times in self.runs.items() if times]
        for first, name in sorted(known):
            schedule, times, past = self.schedules[name], self.runs[name], list[int]()
            missed = first < now * 1000 - MISSED
            every = round((schedule.every or 0) * 1000)
            if every and missed:
                # Of many that were missed only the last one counts.
                times[0] += int(now * 1000 - first) // every * every
            while times and times[0] <= now * 1000:
                past.append(times.pop(0))
                if every:
                    times.append(past[-1] + every)
            if missed:
                past = [] if schedule.if_missed is ops.IfMissed.SKIP else past[-1:]
            for time_ms in past:
                id = f"{name}@{time_ms}"
                if id not in self.items:
                    self.keep(id, schedule.item, time_ms / 1000)
                    self.join(id, schedule.priority)
                    self.happened(Put, id)

    def next_due(self) -> float:
        """When the next job or schedule is due; infinite: never."""
        runs = (times[0] / 1000 for times in self.runs.values() if times)
        return min((*runs, *(due for due, _ in self.later.values())), default=math.inf)

    def put_back(self, ids: Iterable[str]) -> None:
        """Let ids that were taken be the next ones, in their order."""
        ids = list(ids)
        for id in ids:
            self.claims.pop(id, None)
        self.ids[:0] = ids

    def requeue_or_stall(self, id: str) -> bool:
        """Let a claimed job wait again, at the end, or stall it: then True."""
        del self.claims[id]
        self.failures[id] = self.failures.get(id, 0) + 1
        limit = self.settings.max_failures
        if limit and self.failures[id] >= limit:
            self.stall(id)
            return True
        self.ids.append(id)
        self.happened(Cancelled, id)
        return False

    def stall(self, id: str) -> None:
        """Take a job out of circulation."""
        self.claims.pop(id, None)
        self.stalled.add(id)
        self.happened(Stalled, id)

    def forget(self, id: str) -> bool:
        """Remove an item, in whatever state; whether it was there."""
        if id not in self.items:
            return False
        if id in self.ids:
            self.ids.remove(id)
        self.claims.pop(id, None)
        self.stalled.discard(id)
        self.failures.pop(id, None)
        self.stamps.pop(id, None)
        self.since.pop(id, None)
        self.later.pop(id, None)
        self.notes.pop(id, None)
        del self.items[id]
        return True

    def free(self, id: str) -> bool:
        """Remove an item, and let its id be put again."""
        self.taken.pop(id, None)
        if not self.forget(id):
            return False
        self.happened(Retracted, id)
        return True

    def trim(self, coming: int = 0) -> list[str]:
        """Drop the oldest items until ``coming`` more fit in; their ids."""
        limit = self.settings.max_length or len(self.ids) + coming
        dropped = self.ids[: max(0, len(self.ids) + coming - limit)]
        for id in dropped:
            self.forget(id)
        return dropped


def moment_of(due: ops.Due, now: float) -> float:
    """When that is."""
    return now + due.delay if due.delay is not None else due.at or 0.0


def _leaves_something(operation: ops.Operation[Any]) -> bool:
    """Whether who waits should look. (When a claim runs out they know themselves.)"""
    if isinstance(operation, ops.JobNext):
        return bool(operation.cancelled)
    return operation.wakes_waiters and not isinstance(operation, ops.TakeOperation)


def _moment(seconds: float) -> dt.datetime:
    """A time in seconds since 1970 as operations answer it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


class World:
    """All feeds, and what each operation does to them.

    Several backends can share one, each with a connection of its own as it were.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """``clock`` tells the time in seconds since 1970. Tests may have one of their own."""
        self.clock = clock
        self.listeners: list[Listener] = []
        self.wakers: list[Callable[[], None]] = []
        self._feeds: dict[str, Stored] = {}
        self._marks = itertools.count()
        self._names: set[str] = set()
        self._workers: dict[str, tuple[ops.WorkerInfo, float]] = {}
        self._lock = threading.Lock()

    def execute(self, operation: ops.Operation[R]) -> R:
        """Do one operation with its notices, and wake who waits for what it left."""
        with self._lock:
            answer: R = self._do(operation)
            if isinstance(operation, ops.FeedOperation):
                self._tell_events(operation.feed)
            if _leaves_something(operation):
                for wake in list(self.wakers):
                    wake()
            return answer

    def _tell(self, notice: Notice) -> None:
        for listener in list(self.listeners):
            listener.hear(notice)

    def _tell_events(self, name: str) -> None:
        """Tell what has happened to jobs, where that is configured."""
        if name in self._feeds:
            stored = self._feeds[name]
            events, stored.events = stored.events, []
            if stored.config.get("events") == "1" and self._is_job(stored):
                for event in events:
                    self._tell(event(name))

    def _is_job(self, stored: Stored) -> bool:
        return KIND_OF_TYPE.get(stored.config["type"], JOB) == JOB

    def _find(self, name: str, kind: str | None = None) -> Stored:
        if name not in self._feeds:
            raise FeedDoesNotExist(name)
        stored = self._feeds[name]
        actual = KIND_OF_TYPE.get(stored.config["type"])
        # A type of the program's own is left to the program.
        if kind and actual and actual != kind:
            raise WrongFeedType(name, expected=kind, actual=actual)
        return stored

    def _find_for(self, name: str, kind: str, items: Iterable[bytes]) -> Stored:
        """The feed, which items are brought to."""
        stored = self._find(name, kind)
        allowed = stored.settings.max_item_size or math.inf
        for item in items:
            if len(item) > allowed:
                raise ItemTooLarge(name, size=len(item), allowed=int(allowed))
        return stored

    def _is_held(self, stored: Stored, id: str, token: str) -> bool:
        """Whether the claim of the token holds; no token stands for any claim."""
        return id in stored.claims and token in ("", stored.claims[id].token)

    def _claimed(self, name: str, id: str, token: str) -> Stored:
        """The job feed, where the claim of the token holds."""
        stored = self._find(name, JOB)
        if not self._is_held(stored, id, token):
            raise NotClaimed(name, id)
        return stored

    @functools.singledispatchmethod
    def _do(self, operation: ops.Operation[Any]) -> Any:
        raise UnsupportedOperation(f"no {type(operation).__name__} here")

    # [all feeds]

    @_do.register
    def _create(self, op: ops.CreateFeed) -> ops.CreateResult:
        if op.feed in self._feeds:
            return ops.CreateResult(created=False, config=dict(self._feeds[op.feed].config))
        self._feeds[op.feed] = Stored(dict(op.config))
        return ops.CreateResult(created=True, config=dict(op.config))

    @_do.register
    def _register(self, op: ops.RegisterFeed) -> bool:
        if op.feed in self._names:
            return False
        self._names.add(op.feed)
        self._tell(Created(op.feed))
        self._tell(Configured(op.feed))
        return True

    @_do.register
    def _delete(self, op: ops.DeleteFeed) -> tuple[str, ...]:
        self._find(op.feed)
        del self._feeds[op.feed]
        return ()

    @_do.register
    def _unregister(self, op: ops.UnregisterFeed) -> bool:
        if op.feed not in self._names:
            return False
        self._names.remove(op.feed)
        self._tell(Deleted(op.feed))
        return True

    @_do.register
    def _feed_names(self, _: ops.FeedNames) -> frozenset[str]:
        return frozenset(self._names)

    @_do.register
    def _is_registered(self, op: ops.FeedIsRegistered) -> bool:
        return op.feed in self._names

    @_do.register
    def _report(self, op: ops.ReportWorker) -> None:
        now, said = self.clock(), op.worker
        jobs = tuple(
            ops.WorkerJob(job.feed, job.id, _moment(now - job.running_for), job.attempt)
            for job in said.jobs
        )
        info = ops.WorkerInfo(
            said.id,
            said.host,
            said.pid,
            said.version,
            said.feeds,
            said.concurrency,
            said.processes,
            said.group,
            started=_moment(now - said.running_for),
            reported=_moment(now),
            is_stopping=said.is_stopping,
            busy=said.busy,
            jobs=jobs,
        )
        self._workers = {id: kept for id, kept in self._workers.items() if kept[1] > now}
        self._workers[said.id] = info, now + op.keep

    @_do.register
    def _remove_worker(self, op: ops.RemoveWorker) -> bool:
        return self._workers.pop(op.id, None) is not None

    @_do.register
    def _read_workers(self, _: ops.ReadWorkers) -> ops.WorkerPage:
        now = self.clock()
        return ops.WorkerPage(
            tuple(
                attrs.evolve(info, age=now - info.reported.timestamp())
                for info, until in self._workers.values()
                if until > now
            )
        )

    @_do.register
    def _get_config(self, op: ops.GetConfig) -> dict[str, str]:
        return dict(self._feeds[op.feed].config) if op.feed in self._feeds else {}

    @_do.register
    def _set_config(self, op: ops.SetConfig) -> tuple[str, ...]:
        stored = self._find(op.feed)
        actual = stored.config["type"]
        wanted = op.config.get("type", actual)
        if wanted != actual:
            raise WrongFeedType(op.feed, expected=str(wanted), actual=actual)
        merged = {**stored.config, **op.config}
        stored.config = {key: value for key, value in merged.items() if value is not None}
        trimmed = stored.trim() if KIND_OF_TYPE.get(actual) == FEED else []
        for id in trimmed:
            self._tell(Retracted(op.feed, id))
        self._tell(Configured(op.feed))
        return tuple(trimmed)

    @_do.register
    def _trim(self, op: ops.FeedTrim) -> tuple[str, ...]:
        stored = self._find(op.feed, FEED)
        excess = max(0, len(stored.ids) - op.length)
        trimmed = tuple(stored.ids[:excess][: ops.MOST])
        for id in trimmed:
            stored.forget(id)
            self._tell(Retracted(op.feed, id))
        return trimmed

    def _ids(self, name: str, kind: str) -> list[str]:
        stored = self._find(name, kind)
        # Jobs of all states, in no promised order.
        return [*(stored.items if kind == JOB else stored.ids)]

    @_do.register
    def _read_ids(self, op: ops.ReadIds) -> tuple[str, ...]:
        return tuple(self._ids(op.feed, op.kind)) if op.feed in self._feeds else ()

    @_do.register
    def _read_page(self, op: ops.ReadPage) -> ops.Page:
        ids = self._ids(op.feed, op.kind)
        stored = self._feeds[op.feed]
        if op.reverse:
            ids.reverse()
        start = op.start
        if op.cursor:
            # Of the one that was read last: its place, or the number of its publish; how many
            # there were; and its id.
            number, length, last = op.cursor.split(" ", 2)
            if op.kind == FEED:
                reads = [stored.stamps[id] > int(number) for id in ids]
                start = sum(reads if op.reverse else (not later for later in reads))
                start += bool(op.reverse and stored.stamps.get(last) == int(number))
            elif last in ids:
                start = ids.index(last) + 1
            else:
                # As many as are missing count as having stood before it.
                start = max(0, int(number) + 1 - max(0, int(length) - len(ids)))
        page = ids[start : start + op.count]
        cursor = ""
        if start + op.count < len(ids):
            number_of_last = start + len(page) - 1
            if op.kind == FEED:
                number_of_last = stored.stamps[page[-1]]
            cursor = f"{number_of_last} {len(ids)} {page[-1]}"
        items = tuple(stored.items[id] for id in page) if op.with_items else ()
        return ops.Page(tuple(page), items, cursor)

    @_do.register
    def _read_item(self, op: ops.ReadItem) -> bytes | None:
        return self._feeds[op.feed].items.get(op.id) if op.feed in self._feeds else None

    @_do.register
    def _read_items(self, op: ops.ReadItems) -> dict[str, bytes]:
        items = self._feeds[op.feed].items if op.feed in self._feeds else {}
        return {id: items[id] for id in (items if op.ids is None else op.ids) if id in items}

    @_do.register
    def _count_items(self, op: ops.CountItems) -> int:
        return len(self._feeds[op.feed].items) if op.feed in self._feeds else 0

    @_do.register
    def _has_item(self, op: ops.HasItem) -> bool:
        return op.feed in self._feeds and op.id in self._feeds[op.feed].items

    @_do.register
    def _stats(self, op: ops.ReadStats) -> ops.FeedStats:
        stored = self._find(op.feed, op.kind or None)
        type = stored.config["type"]
        kind = op.kind or KIND_OF_TYPE.get(type)
        stats = ops.FeedStats(type, len(stored.items), stored.publishes)

        def age(times: Iterable[float]) -> float | None:
            oldest = min(times, default=None)
            return None if oldest is None else self.clock() - oldest

        if kind == FEED:
            return attrs.evolve(
                stats,
                oldest_item=age(stored.since[id] for id in stored.ids[:1]),
                newest_item=age(stored.since[id] for id in stored.ids[-1:]),
            )
        if kind in (QUEUE, JOB):
            stats = attrs.evolve(
                stats,
                waiting=len(stored.ids),
                claimed=len(stored.claims),
                paused=stored.is_paused,
            )
        if kind == JOB:
            return attrs.evolve(
                stats,
                stalled=len(stored.stalled),
                failing=len(stored.failures),
                finished=stored.finished,
                oldest_waiting=age(stored.since[id] for id in stored.ids),
                oldest_claimed=age(claim.since for claim in stored.claims.values()),
                scheduled=len(stored.later),
                next_due=None
                if stored.next_due() == math.inf
                else max(0.0, stored.next_due() - self.clock()),
            )
        return stats

    @_do.register
    def _snapshot_page(self, op: ops.ReadSnapshotPage) -> ops.SnapshotPage:
        stored = self._find(op.feed, op.kind)
        mark = f"{op.tag} {next(self._marks)}"
        for listener in self.listeners:
            if listener.marker == op.marker:
                listener.hear(Marker(op.feed, op.marker, mark))
        first = op.start + op.skip
        ids = stored.ids[op.start : first + op.count]
        # Items that are known may be left out, which saves nothing here.
        items = {id: stored.items[id] for id in ids[op.skip :]}
        items.update((id, stored.items.get(id, b"")) for id in op.wanted)
        return ops.SnapshotPage(mark, len(stored.ids), tuple(ids), items)

    # [feeds]

    @_do.register
    def _publish(self, op: ops.FeedPublish) -> tuple[bool, ...]:
        stored = self._find_for(op.feed, FEED, [entry.item for entry in op.entries])
        fresh = []
        for entry in op.entries:
            is_new = not stored.forget(entry.id)
            for id in stored.trim(coming=1) if is_new else ():
                self._tell(Retracted(op.feed, id))
            stored.last_id += 1
            stored.stamps[entry.id] = stored.last_id
            stored.ids.append(entry.id)
            stored.keep(entry.id, entry.item, self.clock())
            self._tell((Published if is_new else Edited)(op.feed, entry.id, entry.item))
            fresh.append(is_new)
        return tuple(fresh)

    @_do.register(ops.FeedRetract)
    @_do.register(ops.SortedRetract)
    def _retract(self, op: ops.FeedRetract | ops.SortedRetract) -> tuple[bool, ...]:
        kind = FEED if isinstance(op, ops.FeedRetract) else SORTED_FEED
        stored = self._find(op.feed, kind)
        removed = []
        for id in op.ids:
            removed.append(stored.forget(id))
            if removed[-1]:
                self._tell(Retracted(op.feed, id))
        return tuple(removed)

    # [sorted feeds]

    def _place(self, name: str, ids: list[str], id: str, position: ops.Position) -> None:
        """Put an id where it belongs, and tell."""
        match position.where:
            case ops.Where.BEGIN:
                index = 0
            case ops.Where.END:
                index = len(ids)
            case ops.Where.BEFORE:
                index = ids.index(position.neighbour)
            case ops.Where.AFTER:
                index = ids.index(position.neighbour) + 1
        ids.insert(index, id)
        self._tell(Moved(name, id, str(position)))

    @_do.register
    def _insert(self, op: ops.SortedInsert) -> tuple[str, ...]:
        stored = self._find_for(op.feed, SORTED_FEED, op.items)
        position = op.position
        if position.neighbour and position.neighbour not in stored.items:
            raise ItemDoesNotExist(op.feed, position.neighbour)
        new = []
        for item in op.items:
            stored.last_id += 1
            id = str(stored.last_id)
            stored.keep(id, item, self.clock())
            self._tell(Published(op.feed, id, item))
            self._place(op.feed, stored.ids, id, position)
            if position.where in (ops.Where.BEGIN, ops.Where.AFTER):
                position = ops.Position(ops.Where.AFTER, id)
            new.append(id)
        return tuple(new)

    @_do.register
    def _edit(self, op: ops.SortedEdit) -> None:
        stored = self._find_for(op.feed, SORTED_FEED, [op.entry.item])
        if op.entry.id not in stored.items:
            raise ItemDoesNotExist(op.feed, op.entry.id)
        stored.keep(op.entry.id, op.entry.item, self.clock())
        self._tell(Edited(op.feed, op.entry.id, op.entry.item))

    @_do.register
    def _move(self, op: ops.SortedMove) -> None:
        stored = self._find(op.feed, SORTED_FEED)
        for id in (op.id, op.position.neighbour):
            if id and id not in stored.items:
                raise ItemDoesNotExist(op.feed, id)
        if op.id != op.position.neighbour:
            stored.ids.remove(op.id)
            self._place(op.feed, stored.ids, op.id, op.position)

    # [taking]

    def _take(self, stored: Stored, op: ops.TakeOperation, time_left: float) -> ops.Batch:
        """What the token has taken already, else the next ones."""
        ids = stored.held(op.token)
        if not ids and stored.is_paused:
            # Nobody need look before the end of the pause, which wakes those who wait.
            return ops.Batch(())
        if not ids:
            ids, stored.ids = stored.ids[: op.count], stored.ids[op.count :]
            stored.claims |= {id: Claim(op.token, self.clock()) for id in ids}
            for id in ids:
                stored.happened(Claimed, id)
        failures = stored.failures
        entries = [ops.Delivery(id, stored.items[id], failures.get(id, 0)) for id in ids]
        oldest = min((claim.extended for claim in stored.claims.values()), default=self.clock())
        look_at = min(oldest + time_left, stored.next_due())
        retry_after = max(0.0, look_at - self.clock())
        return ops.Batch(tuple(entries), retry_after if look_at < math.inf else None)

    @_do.register
    def _release(self, op: ops.Release) -> tuple[str, ...]:
        stored = self._find(op.feed)
        ids = [id for id in stored.held(op.token) if id in op.ids or not op.ids]
        stored.put_back(ids)
        for id in ids:
            stored.happened(Released, id)
        return tuple(ids)

    # [queues]

    @_do.register(ops.QueuePut)
    @_do.register(ops.JobPut)
    def _put(self, op: ops.QueuePut | ops.JobPut) -> None:
        kind = QUEUE if isinstance(op, ops.QueuePut) else JOB
        stored = self._find_for(op.feed, kind, [entry.item for entry in op.entries])
        for entry in op.entries:
            stored.keep(entry.id, entry.item, self.clock())
            stored.join(entry.id, op.priority)
            stored.happened(Put, entry.id)

    def _outcome(self, stored: Stored, id: str, op: ops.QueueAdd | ops.JobAdd) -> ops.Outcome:
        """What becomes of a put under an id that may be taken."""
        is_there = id in stored.items
        if not is_there and stored.taken.get(id, 0.0) <= self.clock():
            return ops.Outcome.ADDED
        if op.if_exists is ops.IfExists.REFUSE:
            raise ItemExists(op.feed, id)
        is_replaced = op.if_exists is ops.IfExists.REPLACE and is_there and id not in stored.claims
        return ops.Outcome.REPLACED if is_replaced else ops.Outcome.KEPT

    @_do.register(ops.QueueAdd)
    @_do.register(ops.JobAdd)
    def _add(self, op: ops.QueueAdd | ops.JobAdd) -> tuple[ops.Outcome, ...]:
        kind = QUEUE if isinstance(op, ops.QueueAdd) else JOB
        stored, now = (
            self._find_for(op.feed, kind, [entry.item for entry in op.entries]),
            self.clock(),
        )
        # All are looked at before the first is put: one that is refused keeps out the others.
        outcomes = tuple(self._outcome(stored, entry.id, op) for entry in op.entries)
        due = moment_of(op.due, now) if isinstance(op, ops.JobAdd) and op.due else now
        for (id, item), outcome in zip(map(attrs.astuple, op.entries), outcomes, strict=True):
            if outcome is ops.Outcome.KEPT:
                continue
            place = stored.ids.index(id) if id in stored.ids else None
            stored.forget(id)
            stored.results.pop(id, None)
            stored.keep(id, item, now)
            if due > now:
                stored.schedule(id, due, op.priority, now)
            elif place is not None:
                stored.ids.insert(place, id)
                stored.happened(Put, id)
            else:
                stored.join(id, op.priority)
                stored.happened(Put, id)
            if op.unique_for:
                stored.taken[id] = now + op.unique_for
        return outcomes

    @_do.register
    def _queue_clear(self, op: ops.QueueClear) -> ops.Step:
        stored = self._find(op.feed, QUEUE)
        gone = [*stored.ids[: op.count], *[*stored.claims][: op.count]]
        for id in gone:
            stored.free(id)
        return ops.Step(len(gone), len(stored.items))

    # Copies.

    @_do.register
    def _read_times(self, op: ops.ReadTimes) -> ops.TimesPage:
        stored = self._find(op.feed, op.kind)
        times: dict[str, float] = {
            ops.Times.PUBLISHED: {id: stored.since[id] for id in stored.ids},
            ops.Times.SCHEDULED: {id: due for id, (due, _) in stored.later.items()},
            ops.Times.RESULTS: {id: until for id, (_, until) in stored.results.items()},
            ops.Times.TAKEN: stored.taken,
        }[op.of]
        start = int(op.cursor or 0)
        ids = [*times][start : start + op.count]
        high = {id for id, (_, priority) in stored.later.items() if priority}
        return ops.TimesPage(
            tuple(
                ops.IdTime(id, times[id] if times[id] < math.inf else None, id in high)
                for id in ids
            ),
            str(start + op.count) if start + op.count < len(times) else "",
        )

    @_do.register
    def _restore(self, op: ops.Restore) -> tuple[ops.Outcome, ...]:
        items = [entry.item or b"" for entry in op.entries if entry.what in _STORED]
        stored, now = self._find_for(op.feed, op.kind, items), self.clock()
        outcomes = []
        for entry in op.entries:
            match entry.what:
                case ops.RestoreAs.ITEM:
                    outcomes.append(self._restore_item(stored, op, entry))
                case ops.RestoreAs.RESULT:
                    outcomes.append(self._restore_result(stored, op, entry))
                case ops.RestoreAs.TAKEN:
                    until = entry.at or 0.0
                    is_longer = until > max(now, stored.taken.get(entry.id, 0.0))
                    if is_longer:
                        stored.taken[entry.id] = until
                    outcomes.append(ops.Outcome(is_longer))
                case _:
                    outcomes.append(self._restore_job(stored, entry))
        for status in op.schedules:
            name = status.schedule.name
            outcomes.append(ops.Outcome(name not in stored.schedules))
            if name not in stored.schedules:
                stored.schedules[name] = status.schedule
                first = () if status.next is None else (status.next,)
                stored.runs[name] = [round(time * 1000) for time in (*first, *status.later)]
        return tuple(outcomes)

    def _restore_item(self, stored: Stored, op: ops.Restore, entry: ops.Restored) -> ops.Outcome:
        id, item = entry.id, entry.item or b""
        before = stored.items.get(id)
        if before == item:
            return ops.Outcome.KEPT
        at = self.clock() if entry.at is None else entry.at
        if op.kind == FEED:
            last = stored.ids[-1:]
            stored.keep(id, item, max([at, *(stored.since[each] + 1e-6 for each in last)]))
            if before is not None:
                stored.ids.remove(id)
            stored.stamps[id] = stored.publishes
        else:
            stored.keep(id, item, at)
            stored.last_id = max(stored.last_id, int(id) if id.isdecimal() else 0)
        if before is None or op.kind == FEED:
            stored.ids.append(id)
        self._tell((Published if before is None else Edited)(op.feed, id, item))
        if before is None and op.kind == SORTED_FEED:
            self._tell(Moved(op.feed, id, ":end"))
        if op.kind == FEED:
            for dropped in stored.trim():
                self._tell(Retracted(op.feed, dropped))
        return ops.Outcome.ADDED if before is None else ops.Outcome.REPLACED

    def _restore_result(self, stored: Stored, op: ops.Restore, entry: ops.Restored) -> ops.Outcome:
        now, until = self.clock(), math.inf if entry.at is None else entry.at
        _, before = stored.results.get(entry.id, (None, 0.0))
        if until <= now or before > now:
            return ops.Outcome.KEPT
        stored.results[entry.id] = ops.StoredResult(entry.item, entry.result), until
        self._tell(Finished(op.feed, entry.id, entry.result or b""))
        return ops.Outcome.ADDED

    def _restore_job(self, stored: Stored, entry: ops.Restored) -> ops.Outcome:
        id = entry.id
        if id in stored.items:
            return ops.Outcome.KEPT
        stored.keep(id, entry.item or b"", self.clock() if entry.put is None else entry.put)
        if entry.failures:
            stored.failures[id] = entry.failures
        if entry.failed or entry.stalled or entry.at:
            stored.notes[id] = Note(entry.at, entry.failed, entry.stalled, entry.failure)
        match entry.what:
            case ops.RestoreAs.SCHEDULED:
                stored.later[id] = entry.at or 0.0, ops.Priority(entry.is_high)
                stored.happened(Scheduled, id, entry.at)
            case ops.RestoreAs.STALLED:
                stored.stall(id)
            case _:
                stored.join(id, ops.Priority.NORMAL)
                stored.happened(Put, id)
        return ops.Outcome.ADDED

    # Pauses, of queues and of jobs.

    def _takeable(self, name: str) -> Stored:
        actual = KIND_OF_TYPE.get(self._find(name).config["type"])
        return self._find(name, JOB if actual == JOB else QUEUE)

    @_do.register
    def _pause(self, op: ops.PauseFeed) -> bool:
        stored = self._takeable(op.feed)
        if stored.is_paused:
            return False
        stored.config["paused"] = "1"
        self._tell(Configured(op.feed))
        return True

    @_do.register
    def _resume(self, op: ops.ResumeFeed) -> bool:
        stored = self._takeable(op.feed)
        if not stored.is_paused:
            return False
        del stored.config["paused"]
        self._tell(Configured(op.feed))
        return True

    @_do.register
    def _queue_take(self, op: ops.QueueTake) -> ops.Batch:
        stored = self._find(op.feed, QUEUE)
        late = self.clock() - ops.CONFIRM_WITHIN
        stored.put_back([id for id, claim in stored.claims.items() if claim.extended <= late])
        return self._take(stored, op, ops.CONFIRM_WITHIN)

    @_do.register
    def _queue_confirm(self, op: ops.QueueConfirm) -> None:
        stored = self._find(op.feed, QUEUE)
        held = stored.held(op.token)
        for id in op.ids:
            if id not in held:
                raise NotClaimed(op.feed, id)
        for id in op.ids:
            stored.forget(id)

    @_do.register
    def _queue_return(self, op: ops.QueueReturn) -> None:
        stored = self._find(op.feed, QUEUE)
        held = stored.held(op.token)
        # What is there and not held any more has come back by itself.
        back = {e.id: e.item for e in op.entries if e.id in held or e.id not in stored.items}
        stored.items |= back
        stored.put_back(back)

    # [jobs]

    def _expire(self, stored: Stored) -> ops.MaintenanceReport:
        """Give claims back that have run out."""
        late = self.clock() - (stored.settings.claim_timeout or math.inf)
        old = [id for id, claim in stored.claims.items() if claim.extended <= late]
        stalled = [id for id in old if stored.requeue_or_stall(id)]
        expired = [id for id in old if id not in stalled]
        return ops.MaintenanceReport(expired=tuple(expired), stalled=tuple(stalled))

    @_do.register
    def _job_claim(self, op: ops.JobClaim) -> ops.Batch:
        return self._claim(self._find(op.feed, JOB), op)

    def _claim(self, stored: Stored, op: ops.TakeOperation) -> ops.Batch:
        """The next jobs, among them those whose claim has run out, and those that are due."""
        self._expire(stored)
        stored.bring_due(self.clock())
        stored.bring_runs(self.clock())
        return self._take(stored, op, stored.settings.claim_timeout or math.inf)

    @_do.register
    def _job_finish(self, op: ops.JobFinish) -> None:
        for completion in op.completions:
            self._claimed(op.feed, completion.id, completion.token)
        for completion in op.completions:
            self._end(op.feed, self._find(op.feed, JOB), completion)

    def _end(self, name: str, stored: Stored, completion: ops.Completion) -> None:
        """Finish one job."""
        if completion.has_result:
            keep = completion.timeout
            if keep is None:
                keep = stored.settings.result_timeout
            if keep is None:
                keep = ONE_DAY
            result = ops.StoredResult(stored.items[completion.id], completion.result)
            stored.results[completion.id] = result, self.clock() + (keep or math.inf)
            self._tell(Finished(name, completion.id, completion.result or b""))
        else:
            stored.happened(Ended, completion.id)
        stored.forget(completion.id)
        stored.finished += 1

    @_do.register
    def _job_next(self, op: ops.JobNext) -> ops.Batch:
        stored = self._find(op.feed, JOB)
        lost = []
        for completion in op.finished:
            if self._is_held(stored, completion.id, completion.token):
                self._end(op.feed, stored, completion)
            else:
                lost.append(completion.id)
        for held in op.cancelled:
            if self._is_held(stored, held.id, held.token):
                stored.requeue_or_stall(held.id)
            else:
                lost.append(held.id)
        return attrs.evolve(self._claim(stored, op), lost=tuple(lost))

    @_do.register
    def _job_extend(self, op: ops.JobExtend) -> tuple[bool, ...]:
        stored = self._find(op.feed, JOB)
        is_owner = [self._is_held(stored, held.id, held.token) for held in op.claims]
        for held in op.claims:
            if self._is_held(stored, held.id, held.token):
                stored.claims[held.id].extended = self.clock()
        return tuple(is_owner)

    @_do.register
    def _job_cancel(self, op: ops.JobCancel) -> bool:
        return self._claimed(op.feed, op.id, op.token).requeue_or_stall(op.id)

    @_do.register
    def _job_stall(self, op: ops.JobStall) -> None:
        self._claimed(op.feed, op.id, op.token).stall(op.id)

    @_do.register
    def _job_fail(self, op: ops.JobFail) -> ops.Failed:
        stored, now = self._claimed(op.feed, op.id, op.token), self.clock()
        note = stored.note(op.id)
        note.failed, note.failure = now, op.failure or ops.Failure("")
        if op.stall:
            stored.stall(op.id)
        if op.stall or stored.requeue_or_stall(op.id):
            note.stalled = now
            return ops.Failed.STALLED
        due = moment_of(op.due, now) if op.due else now
        if due <= now:
            return ops.Failed.WAITING
        stored.ids.remove(op.id)
        stored.schedule(op.id, due, ops.Priority.NORMAL, now)
        return ops.Failed.SCHEDULED

    @_do.register
    def _job_reschedule(self, op: ops.JobReschedule) -> bool:
        stored = self._find(op.feed, JOB)
        if op.id not in stored.later:
            raise NotScheduled(op.feed, op.id)
        (_, priority), now = stored.later.pop(op.id), self.clock()
        return stored.schedule(op.id, moment_of(op.due, now), priority, now)

    @_do.register
    def _job_progress(self, op: ops.JobProgress) -> None:
        note = self._claimed(op.feed, op.id, op.token).note(op.id)
        note.progress, note.doing, note.progressed = op.fraction, op.text, self.clock()
        self._find(op.feed, JOB).happened(Progressed, op.id, op.fraction, op.text)

    @_do.register
    def _job_holds(self, op: ops.JobHolds) -> tuple[bool, ...]:
        stored = self._find(op.feed, JOB)
        return tuple(self._is_held(stored, held.id, held.token) for held in op.claims)

    # Periodic jobs.

    @_do.register
    def _job_schedule(self, op: ops.JobSchedule) -> bool:
        stored, name = self._find(op.feed, JOB), op.schedule.name
        if stored.schedules.get(name) == op.schedule and stored.runs[name]:
            return False
        stored.schedules[name] = op.schedule
        stored.runs[name] = [round(seconds * 1000) for seconds in op.times]
        if op.schedule.every is not None:
            stored.runs[name] = [int((self.clock() + op.schedule.every) * 1000)]
        return True

    @_do.register
    def _job_set_runs(self, op: ops.JobSetRuns) -> bool:
        stored, name = self._find(op.feed, JOB), op.schedule.name
        if stored.schedules.get(name) != op.schedule:
            return False
        known = stored.runs[name][:1]
        after = known[0] if known else self.clock() * 1000
        times = [round(seconds * 1000) for seconds in op.times]
        stored.runs[name] = known + [time_ms for time_ms in times if time_ms > after]
        return True

    @_do.register
    def _job_unschedule(self, op: ops.JobUnschedule) -> bool:
        stored = self._find(op.feed, JOB)
        stored.runs.pop(op.name, None)
        return stored.schedules.pop(op.name, None) is not None

    @_do.register
    def _read_schedules(self, op: ops.ReadSchedules) -> tuple[ops.ScheduleStatus, ...]:
        stored = self._find(op.feed, JOB)
        found = []
        for name in op.names or stored.schedules:
            if name in stored.schedules:
                times = [time_ms / 1000 for time_ms in stored.runs[name]]
                first = times[0] if times else None
                found.append(ops.ScheduleStatus(stored.schedules[name], first, tuple(times[1:])))
        return tuple(found)

    @_do.register
    def _job_retry(self, op: ops.JobRetry) -> None:
        stored = self._find(op.feed, JOB)
        if op.id not in stored.stalled:
            raise NotStalled(op.feed, op.id)
        stored.stalled.remove(op.id)
        stored.failures.pop(op.id, None)
        stored.ids.append(op.id)
        stored.since[op.id] = self.clock()
        stored.happened(Retried, op.id)

    @_do.register
    def _job_retract(self, op: ops.JobRetract) -> tuple[bool, ...]:
        stored = self._find(op.feed, JOB)
        return tuple(stored.free(id) for id in op.ids)

    def _in_state(self, stored: Stored, state: ops.JobState) -> list[str]:
        """The ids of the jobs in a state, in the order in which they are listed."""
        match state:
            case ops.JobState.SCHEDULED:
                return sorted(stored.later, key=lambda id: stored.later[id][0])
            case ops.JobState.WAITING:
                return [*stored.ids]
            case ops.JobState.CLAIMED:
                return sorted(stored.claims, key=lambda id: stored.claims[id].extended)
            case _:
                return sorted(stored.stalled)

    @_do.register
    def _job_retry_all(self, op: ops.JobRetryAll) -> ops.Step:
        stored = self._find(op.feed, JOB)
        ids = [*stored.stalled][: op.count]
        for id in ids:
            self._job_retry(ops.JobRetry(op.feed, id))
        return ops.Step(len(ids), len(stored.stalled))

    @_do.register
    def _job_clear(self, op: ops.JobClear) -> ops.Step:
        stored = self._find(op.feed, JOB)
        ids = self._in_state(stored, op.state)
        for id in ids[: op.count]:
            stored.free(id)
        return ops.Step(len(ids[: op.count]), len(ids[op.count :]))

    def _info(self, stored: Stored, id: str) -> ops.JobInfo:
        """What is known of a job that is there."""

        def moment(seconds: float | None) -> dt.datetime | None:
            return None if seconds is None else _moment(seconds)

        note = stored.notes.get(id, Note())
        return ops.JobInfo(
            id,
            next(s for s in ops.JobState if id in self._in_state(stored, s)),
            put=moment(stored.since[id]),
            due=moment(note.due),
            claimed=moment(stored.claims[id].since) if id in stored.claims else None,
            failed=moment(note.failed),
            stalled=moment(note.stalled),
            failures=stored.failures.get(id, 0),
            failure=note.failure,
            progress=note.progress,
            doing=note.doing,
            progressed=moment(note.progressed),
        )

    @_do.register
    def _read_job(self, op: ops.ReadJob) -> ops.JobInfo | None:
        stored = self._find(op.feed, JOB)
        has_result = self._read_result(ops.ReadResult(op.feed, op.id)) is not None
        if op.id in stored.items:
            return attrs.evolve(self._info(stored, op.id), has_result=has_result)
        return ops.JobInfo(op.id, ops.JobState.FINISHED, has_result=True) if has_result else None

    @_do.register
    def _read_jobs(self, op: ops.ReadJobs) -> dict[str, bytes | None]:
        items = self._read_items(ops.ReadItems(op.feed, op.ids))
        return {id: item if op.with_items else None for id, item in items.items()}

    @_do.register
    def _read_job_page(self, op: ops.ReadJobPage) -> ops.JobPage:
        stored, start = self._find(op.feed, JOB), int(op.cursor or 0)
        ids, end = self._in_state(stored, op.state), start + op.count
        page = ids[start:end]
        return ops.JobPage(
            tuple(self._info(stored, id) for id in page),
            tuple(stored.items[id] for id in page),
            str(end) if end < len(ids) else "",
        )

    @_do.register
    def _retract_some(self, op: ops.RetractSome) -> ops.SomeRetracted:
        operation = ops.JobRetract if op.kind == JOB else ops.SortedRetract
        return ops.SomeRetracted(self._do(operation(op.feed, op.ids)))

    @_do.register
    def _job_failures(self, op: ops.JobFailures) -> int:
        return self._feeds[op.feed].failures.get(op.id, 0) if op.feed in self._feeds else 0

    @_do.register
    def _count_jobs(self, op: ops.CountJobs) -> ops.JobCounts:
        stored = self._find(op.feed, JOB)
        return ops.JobCounts(
            len(stored.ids),
            len(stored.claims),
            len(stored.stalled),
            stored.finished,
            len(stored.later),
        )

    @_do.register
    def _read_result(self, op: ops.ReadResult) -> ops.StoredResult | None:
        if op.feed not in self._feeds:
            return None
        result, until = self._feeds[op.feed].results.get(op.id, (None, math.inf))
        return result if self.clock() < until else None

    @_do.register
    def _maintain(self, op: ops.JobMaintain) -> ops.MaintenanceReport:
        return self._expire(self._find(op.feed, JOB))

    @_do.register
    def _mend(self, op: ops.JobMend) -> ops.Mended:
        # No jobs are lost here, so that there are no suspects to look at.
        report = self._expire(self._find(op.feed, JOB))
        return ops.Mended(report, looked_at=len(op.suspects))


# [threads]


class Listener(Protocol):
    """Who is told of notices, from whichever thread, while the world is locked."""

    marker: str

    def hear(self, notice: Notice) -> None:
        """Take note, and do not wait."""


class DictSubscription:
    """Notices of one feed, or of all."""

    def __init__(self, world: World, feed: str | None) -> None:
        self.marker = new_token()
        self._world = world
        self._feed = feed
        self._arrived: queue.Queue[Notice | None] = queue.Queue()
        world.listeners.append(self)

    def hear(self, notice: Notice) -> None:
        """Called by the world."""
        if self._feed in (None, notice.feed):
            self._arrived.put(notice)

    def get(self, timeout: float | None = None) -> Notice:
        """The next notice."""
        try:
            notice = self._arrived.get(timeout=timeout)
        except queue.Empty:
            raise Empty("no notice within the timeout") from None
        if notice is None:
            self._arrived.put(None)  # for whoever asks next
            raise Closed("the subscription has been closed")
        return notice

    def close(self) -> None:
        """End it, and wake whoever is in `get`."""
        if self in self._world.listeners:
            self._world.listeners.remove(self)
        self._arrived.put(None)


@attrs.define
class Waiter:
    """One who is in `wait`: until when, and what tells that something has changed."""

    end: float
    changed: threading.Event = attrs.field(factory=threading.Event)


class DictBackend:
    """Feeds in dicts, for threads."""

    def __init__(self, world: World | None = None) -> None:
        """Without ``world`` it has one of its own."""
        self.world = world or World()
        self._subscriptions: list[DictSubscription] = []
        self._waiters: dict[str, Waiter] = {}
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the backend has been closed")

    def execute(self, operation: ops.Operation[R]) -> R:
        """Do one operation."""
        self._check_open()
        return self.world.execute(operation)

    def wait(self, operation: ops.TakeOperation, timeout: float) -> ops.Batch:
        """Take, waiting until there is something."""
        waiter = self._waiters[operation.token] = Waiter(time.monotonic() + timeout)
        changed = waiter.changed
        self.world.wakers.append(changed.set)
        try:
            while True:
                # In this order: what comes after the look is not slept through.
                changed.clear()
                batch = self.execute(operation)
                left = waiter.end - time.monotonic()
                if batch.entries or left <= 0:
                    return batch
                # Whoever schedules a job wakes those who wait, so that they learn when it is due.
                changed.wait(left if batch.retry_after is None else min(left, batch.retry_after))
        finally:
            self.world.wakers.remove(changed.set)
            del self._waiters[operation.token]

    def interrupt(self, operation: ops.TakeOperation) -> None:
        """End a wait: its time is over."""
        waiter = self._waiters.get(operation.token)
        if waiter is not None:
            waiter.end = 0.0
            waiter.changed.set()

    def listen(self, feed: str | None = None) -> DictSubscription:
        """Subscribe."""
        self._check_open()
        subscription = DictSubscription(self.world, feed)
        self._subscriptions.append(subscription)
        return subscription

    def close(self) -> None:
        """End subscriptions and wake who waits. The world stays."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
        for waiter in list(self._waiters.values()):
            waiter.changed.set()


# [asyncio]


class AsyncDictSubscription:
    """`DictSubscription` for asyncio."""

    def __init__(self, world: World, feed: str | None) -> None:
        self.marker = new_token()
        self._world = world
        self._feed = feed
        self._arrived: asyncio.Queue[Notice | None] = asyncio.Queue()
        world.listeners.append(self)

    def hear(self, notice: Notice) -> None:
        """Called by the world."""
        if self._feed in (None, notice.feed):
            self._arrived.put_nowait(notice)

    async def get(self, timeout: float | None = None) -> Notice:
        """The next notice."""
        try:
            async with asyncio.timeout(timeout):
                notice = await self._arrived.get()
        except TimeoutError:
            raise Empty("no notice within the timeout") from None
        if notice is None:
            self._arrived.put_nowait(None)
            raise Closed("the subscription has been closed")
        return notice

    async def close(self) -> None:
        """End it, and wake whoever is in `get`."""
        if self in self._world.listeners:
            self._world.listeners.remove(self)
        self._arrived.put_nowait(None)


@attrs.define
class AsyncWaiter:
    """`Waiter` for asyncio."""

    end: float
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)


class AsyncDictBackend:
    """`DictBackend` for asyncio. All that share a world run on one loop."""

    def __init__(self, world: World | None = None) -> None:
        """Without ``world`` it has one of its own."""
        self.world = world or World()
        self._subscriptions: list[AsyncDictSubscription] = []
        self._waiters: dict[str, AsyncWaiter] = {}
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the backend has been closed")

    async def execute(self, operation: ops.Operation[R]) -> R:
        """Do one operation."""
        self._check_open()
        return self.world.execute(operation)

    async def wait(self, operation: ops.TakeOperation, timeout: float) -> ops.Batch:
        """Take, waiting until there is something."""
        waiter = AsyncWaiter(asyncio.get_running_loop().time() + timeout)
        self._waiters[operation.token] = waiter
        changed = waiter.changed
        self.world.wakers.append(changed.set)
        try:
            while True:
                changed.clear()
                # Nothing is awaited between the taking and the return, so who is
                # cancelled has taken nothing.
                batch = await self.execute(operation)
                left = waiter.end - asyncio.get_running_loop().time()
                if batch.entries or left <= 0:
                    return batch
                with contextlib.suppress(TimeoutError):
                    retry_after = batch.retry_after
                    async with asyncio.timeout(
                        left if retry_after is None else min(left, retry_after)
                    ):
                        await changed.wait()
        finally:
            self.world.wakers.remove(changed.set)
            del self._waiters[operation.token]

    async def interrupt(self, operation: ops.TakeOperation) -> None:
        """End a wait: its time is over."""
        waiter = self._waiters.get(operation.token)
        if waiter is not None:
            waiter.end = 0.0
            waiter.changed.set()

    async def listen(self, feed: str | None = None) -> AsyncDictSubscription:
        """Subscribe."""
        self._check_open()
        subscription = AsyncDictSubscription(self.world, feed)
        self._subscriptions.append(subscription)
        return subscription

    async def close(self) -> None:
        """End subscriptions and wake who waits. The world stays."""
        self._closed = True
        for subscription in self._subscriptions:
            await subscription.close()
        for waiter in list(self._waiters.values()):
            waiter.changed.set()


# [opener]


class DictOpener:
    """Opens ``dicts://NAME``; who gives the same name is in the same world."""

    def __init__(self) -> None:
        self._worlds: dict[str, World] = {}

    def _world(self, url: str, options: dict[str, Any]) -> World:
        if options:
            raise InvalidValue(f"there are no options, so not {', '.join(options)}")
        return self._worlds.setdefault(url, World())

    def open(self, url: str, **options: Any) -> DictBackend:
        """For `Thoonk`."""
        return DictBackend(self._world(url, options))

    def open_async(self, url: str, **options: Any) -> AsyncDictBackend:
        """For `AsyncThoonk`."""
        return AsyncDictBackend(self._world(url, options))


opener = DictOpener()
