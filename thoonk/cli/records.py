"""Reads a feed as it is stored, piece by piece, and stores it elsewhere.

Export, import and copy share this. Everything is read and written with operations, so it works
between any two backends. A backend without `ReadTimes` or `Restore` reads and stores what it can.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

from thoonk.backends import Backend
from thoonk.chunks import CHUNK_BYTES, MOST_ADDED, chunked
from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.exceptions import UnsupportedOperation
from thoonk.operations import (
    Due,
    Entry,
    FeedPublish,
    IdTime,
    JobAdd,
    JobInfo,
    JobSchedule,
    JobState,
    Outcome,
    QueueAdd,
    ReadItems,
    ReadJobPage,
    ReadPage,
    ReadResult,
    ReadSchedules,
    ReadTimes,
    Restore,
    RestoreAs,
    Restored,
    ScheduleStatus,
    SortedInsert,
    Times,
)

OVERHEAD = 200
"""Bytes that an entry has besides its item, about."""


def size_of(entry: Restored) -> int:
    """Bytes of an entry, about."""
    trace = len(entry.failure.traceback) if entry.failure else 0
    return len(entry.item or b"") + len(entry.result or b"") + trace + OVERHEAD


class _Pace:
    """How many entries to read at once, so that a page has no more than about a megabyte."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = min(most, 50)

    def saw(self, items: Iterable[bytes]) -> None:
        """Learn from the sizes of a page."""
        sizes = [len(item) + OVERHEAD for item in items]
        if sizes:
            fitting = CHUNK_BYTES * len(sizes) // sum(sizes)
            self.count = max(1, min(self._most, fitting, 4 * self.count))


# --- reading -----------------------------------------------------------------------------


class Reader:
    """Reads one feed.

    Attributes:
        lacks: what the backend cannot tell, for people to read.
    """

    def __init__(self, backend: Backend, name: str, kind: str, most: int = MOST_ADDED) -> None:
        self._execute = backend.execute
        self._name = name
        self._kind = kind
        self._most = most
        self.lacks: set[str] = set()

    def entries(self) -> Iterator[Restored]:
        """What the feed has, in its order: items, jobs by state, results, ids that stay taken.

        A claimed job is read as one that waits: no other worker can have its claim.
        """
        if self._kind == FEED:
            yield from self._dated_items()
        elif self._kind in (SORTED_FEED, QUEUE):
            what = RestoreAs.ITEM if self._kind == SORTED_FEED else RestoreAs.WAITING
            for id, item in self._items():
                yield Restored(what, id, item)
        else:
            # In this order a job that moves on meanwhile is read twice rather than not at all.
            high = {each.id for each in self._times(Times.SCHEDULED) if each.is_high}
            for state in (
                JobState.SCHEDULED,
                JobState.WAITING,
                JobState.CLAIMED,
                JobState.STALLED,
            ):
                yield from self._jobs(state, high)
            yield from self._results()
        yield from self.taken()

    def taken(self) -> Iterator[Restored]:
        """The ids that stay taken."""
        for each in self._times(Times.TAKEN) if self._kind in (QUEUE, JOB) else ():
            if each.at is not None:
                yield Restored(RestoreAs.TAKEN, each.id, at=each.at)

    def schedules(self) -> tuple[ScheduleStatus, ...]:
        """The schedules of a job feed."""
        if self._kind != JOB:
            return ()
        try:
            return self._execute(ReadSchedules(self._name))
        except UnsupportedOperation:
            return ()

    def _times(self, of: Times) -> Iterator[IdTime]:
        cursor = ""
        while True:
            try:
                page = self._execute(ReadTimes(self._name, self._kind, of, self._most, cursor))
            except UnsupportedOperation:
                self.lacks.add("times, results and ids that stay taken")
                return
            yield from page.times
            cursor = page.cursor
            if not cursor:
                return

    def _items(self) -> Iterator[tuple[str, bytes]]:
        pace, cursor = _Pace(self._most), ""
        while True:
            page = self._execute(
                ReadPage(self._name, self._kind, count=pace.count, with_items=True, cursor=cursor)
            )
            yield from zip(page.ids, page.items, strict=True)
            pace.saw(page.items)
            cursor = page.cursor
            if not cursor:
                return

    def _dated_items(self) -> Iterator[Restored]:
        pace, cursor = _Pace(self._most), ""
        while True:
            try:
                page = self._execute(
                    ReadTimes(self._name, FEED, Times.PUBLISHED, pace.count, cursor)
                )
            except UnsupportedOperation:
                self.lacks.add("times")
                for id, item in self._items():
                    yield Restored(RestoreAs.ITEM, id, item)
                return
            if page.times:
                items = self._execute(ReadItems(self._name, tuple(e.id for e in page.times)))
                for each in page.times:
                    if each.id in items:
                        yield Restored(RestoreAs.ITEM, each.id, items[each.id], at=each.at)
                pace.saw(items.values())
            cursor = page.cursor
            if not cursor:
                return

    def _jobs(self, state: JobState, high: set[str]) -> Iterator[Restored]:
        pace, cursor = _Pace(self._most), ""
        while True:
            page = self._execute(ReadJobPage(self._name, state, pace.count, cursor))
            for info, item in zip(page.jobs, page.items, strict=True):
                yield _restored(info, item, is_high=info.id in high)
            pace.saw(page.items)
            cursor = page.cursor
            if not cursor:
                return

    def _results(self) -> Iterator[Restored]:
        for each in self._times(Times.RESULTS):
            found = self._execute(ReadResult(self._name, each.id))
            if found is not None:
                yield Restored(RestoreAs.RESULT, each.id, found.query, each.at, result=found.result)


_STATES = {
    JobState.SCHEDULED: RestoreAs.SCHEDULED,
    JobState.WAITING: RestoreAs.WAITING,
    JobState.CLAIMED: RestoreAs.WAITING,
    JobState.STALLED: RestoreAs.STALLED,
}


def _restored(info: JobInfo, item: bytes, *, is_high: bool) -> Restored:
    def seconds(time: dt.datetime | None) -> float | None:
        return None if time is None else time.timestamp()

    what = _STATES[info.state]
    return Restored(
        what,
        info.id,
        item,
        at=seconds(info.due) or (0.0 if what is RestoreAs.SCHEDULED else None),
        put=seconds(info.put),
        is_high=is_high,
        failures=info.failures,
        failed=seconds(info.failed),
        stalled=seconds(info.stalled),
        failure=info.failure,
    )


# --- writing -----------------------------------------------------------------------------


class Writer:
    """Stores in one feed what was read from another.

    Attributes:
        counts: how many were kept (they were there), added and replaced.
        lost: how many could not be stored, as the backend lacks `Restore`.
        is_plain: whether the backend lacks it.
    """

    def __init__(self, backend: Backend, name: str, kind: str, most: int = MOST_ADDED) -> None:
        self._execute = backend.execute
        self._name = name
        self._kind = kind
        self._most = most
        self.counts = dict.fromkeys(Outcome, 0)
        self.lost = 0
        self.is_plain = False

    def write(self, entries: Iterable[Restored]) -> None:
        """Store entries, in their order."""
        for chunk in chunked(entries, size_of, self._most):
            self.send(chunk)

    def send(self, chunk: tuple[Restored, ...]) -> None:
        """Store some entries, in one step where the backend can."""
        if not self.is_plain:
            try:
                self._count(self._execute(Restore(self._name, self._kind, chunk)))
            except UnsupportedOperation:
                self.is_plain = True
        if self.is_plain:
            for entry in chunk:
                self._put(entry)

    def write_schedules(self, statuses: tuple[ScheduleStatus, ...]) -> None:
        """Store schedules."""
        if not statuses:
            return
        if not self.is_plain:
            try:
                for start in range(0, len(statuses), self._most):
                    some = statuses[start : start + self._most]
                    self._count(self._execute(Restore(self._name, JOB, schedules=some)))
            except UnsupportedOperation:
                self.is_plain = True
        if self.is_plain:
            for status in statuses:
                times = () if status.next is None else (status.next, *status.later)
                try:
                    self._execute(JobSchedule(self._name, status.schedule, times))
                except UnsupportedOperation:
                    self.lost += 1

    def _count(self, outcomes: tuple[Outcome, ...]) -> None:
        for outcome in outcomes:
            self.counts[outcome] += 1

    def _put(self, entry: Restored) -> None:
        """Store an entry with the operations of older backends: without its history."""
        if entry.what in (RestoreAs.RESULT, RestoreAs.TAKEN):
            self.lost += 1
            return
        plain = (Entry(entry.id, entry.item or b""),)
        outcome = Outcome.ADDED
        if self._kind == FEED:
            is_new = self._execute(FeedPublish(self._name, plain))[0]
            outcome = Outcome.ADDED if is_new else Outcome.REPLACED
        elif self._kind == SORTED_FEED:
            self._execute(SortedInsert(self._name, (entry.item or b"",)))
        else:
            due = Due(at=entry.at) if entry.what is RestoreAs.SCHEDULED else None
            operation: Any = QueueAdd(self._name, plain)
            if self._kind == JOB:
                operation = JobAdd(self._name, plain, due=due)
            (outcome,) = self._execute(operation)
        self.counts[outcome] += 1
