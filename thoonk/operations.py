"""The vocabulary: everything a backend can be asked to do, as plain values.

Each operation is one row of the contract, takes effect atomically with its
notices, and says in its type what it returns. Items are bytes here: encoding
them is up to the client. Building an operation validates it; executing it is
a backend's.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import attrs

from thoonk.config import FEED, JOB, KIND_OF_TYPE, QUEUE, SORTED_FEED
from thoonk.exceptions import InvalidType, InvalidValue
from thoonk.names import check_id, check_name

R_co = TypeVar("R_co", covariant=True)

KINDS = (FEED, SORTED_FEED, QUEUE, JOB)
"""The four shapes of data."""


class Priority(enum.IntEnum):
    """Which end of a queue an item joins."""

    NORMAL = 0
    HIGH = 1


class Where(enum.Enum):
    """Where in a sorted feed an item is placed."""

    BEGIN = "begin"
    END = "end"
    BEFORE = "before"
    AFTER = "after"


@attrs.frozen
class Position:
    """A place in a sorted feed; ``neighbour`` is an id for BEFORE and AFTER, else empty."""

    where: Where
    neighbour: str = ""

    def __attrs_post_init__(self) -> None:
        if self.where in (Where.BEFORE, Where.AFTER):
            check_id(self.neighbour)

    @classmethod
    def parse(cls, text: object) -> Position:
        """Read ``begin:``, ``:end``, ``:42`` (before 42) or ``42:`` (after 42).

        Raises:
            InvalidType: not text.
            InvalidValue: none of the four forms.
        """
        if not isinstance(text, str):
            raise InvalidType(f"a position must be a str, not {type(text).__name__}")
        if text == "begin:":
            return cls(Where.BEGIN)
        if text == ":end":
            return cls(Where.END)
        if len(text) > 1 and text.startswith(":") and not text.endswith(":"):
            return cls(Where.BEFORE, text[1:])
        if len(text) > 1 and text.endswith(":") and not text.startswith(":"):
            return cls(Where.AFTER, text[:-1])
        raise InvalidValue(
            f"a position is 'begin:', ':end', ':ID' (before) or 'ID:' (after), not {text!r:.80}"
        )

    def __str__(self) -> str:
        match self.where:
            case Where.BEGIN:
                return "begin:"
            case Where.END:
                return ":end"
            case Where.BEFORE:
                return f":{self.neighbour}"
            case Where.AFTER:
                return f"{self.neighbour}:"


def _check_id(_: object, __: attrs.Attribute[str], id: str) -> None:
    check_id(id)


def _check_many(_: object, attribute: attrs.Attribute[Any], values: tuple[object, ...]) -> None:
    if not 0 < len(values) <= MOST:
        raise InvalidValue(f"{attribute.name} must be 1 to {MOST}, not {len(values)}")


def _check_most(_: object, attribute: attrs.Attribute[Any], values: tuple[object, ...]) -> None:
    if len(values) > MOST:
        raise InvalidValue(f"{attribute.name} must be {MOST} at most, not {len(values)}")


def _check_ids(_: object, attribute: attrs.Attribute[Any], ids: tuple[str, ...]) -> None:
    _check_many(_, attribute, ids)
    for id in ids:
        check_id(id)


def _check_feed(_: object, __: attrs.Attribute[str], feed: str) -> None:
    check_name(feed)


def _check_feeds(_: object, attribute: attrs.Attribute[Any], feeds: tuple[str, ...]) -> None:
    _check_many(_, attribute, feeds)
    for feed in feeds:
        check_name(feed)


def _check_item(_: object, attribute: attrs.Attribute[bytes], item: bytes) -> None:
    if not isinstance(item, bytes):
        raise InvalidType(f"{attribute.name} must be bytes, not {type(item).__name__}")


def _check_items(_: object, attribute: attrs.Attribute[Any], items: tuple[bytes, ...]) -> None:
    _check_many(_, attribute, items)
    for item in items:
        _check_item(_, attribute, item)


def check_count(name: str, value: object) -> int:
    """Return how many one operation may have, 1 to 1000.

    Raises:
        InvalidType: not a whole number.
        InvalidValue: less, or more.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{name} must be an int, not {type(value).__name__}")
    if not 0 < value <= MOST:
        raise InvalidValue(f"{name} must be 1 to {MOST}, not {value}")
    return value


def _check_count(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    check_count(attribute.name, value)


def _check_count_or_none(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value != 0:
        _check_count(_, attribute, value)


def _check_jobs(_: object, attribute: attrs.Attribute[Any], jobs: tuple[object, ...]) -> None:
    if len(jobs) > MOST_REPORTED:
        raise InvalidValue(f"{attribute.name} must be {MOST_REPORTED} at most, not {len(jobs)}")


def _check_keep(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 < value <= LONGEST_KEPT:
        limit = f"above 0, and {LONGEST_KEPT:.0f} at most"
        raise InvalidValue(f"{attribute.name} must be {limit}, not {value!r:.80}")


def _check_start(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{attribute.name} must be an int, not {type(value).__name__}")
    if value < 0:
        raise InvalidValue(f"{attribute.name} must be 0 or more, not {value}")


def _check_priority(_: object, __: attrs.Attribute[Priority], value: Priority) -> None:
    if not isinstance(value, Priority):
        raise InvalidType(f"priority must be NORMAL or HIGH, not {value!r:.80}")


def _check_fraction(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(f"{attribute.name} must be a number, not {type(value).__name__}")
    if not 0 <= value <= 1:
        raise InvalidValue(f"{attribute.name} must be 0 to 1, not {value!r:.80}")


def _check_own(_: object, attribute: attrs.Attribute[Any], value: tuple[Entry, ...]) -> None:
    _check_many(_, attribute, value)
    if len({entry.id for entry in value}) < len(value):
        raise InvalidValue("an id can be put once in a step, and one is named twice")


def _check_state(_: object, __: attrs.Attribute[JobState], value: JobState) -> None:
    if value is JobState.FINISHED:
        raise InvalidValue(f"state must be one of jobs that are not finished, not {value!r:.80}")


def _check_seconds(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= LATEST:
        raise InvalidValue(f"{attribute.name} must be 0 to {LATEST:.0f}, not {value!r:.80}")


MOST = 1000
"""The most entries, ids or claims that one operation has. The server does it in a few ms."""

MOST_REPORTED = 100
"""The most jobs that a worker names in its record."""

LONGEST_KEPT = 3600.0
"""Seconds that a worker's record is kept at most, when the worker does not report again."""

CONFIRM_WITHIN = 10.0
"""Seconds within which what was taken from a queue is confirmed, or it is available again."""


def digest_of(item: bytes) -> bytes:
    """What tells whether an item has changed: the first 16 bytes of its SHA-1."""
    return hashlib.sha1(item, usedforsecurity=False).digest()[:16]


# --- what operations carry and return --------------------------------------------


@attrs.frozen
class Entry:
    """An item with its id."""

    id: str = attrs.field(validator=_check_id)
    item: bytes = attrs.field(validator=_check_item)


class IfExists(enum.Enum):
    """What becomes of a put under an id that is taken."""

    KEEP = "keep"
    REPLACE = "replace"
    REFUSE = "refuse"


class Outcome(enum.IntEnum):
    """What became of a put under an id of the caller's choice."""

    KEPT = 0
    ADDED = 1
    REPLACED = 2


class Failed(enum.IntEnum):
    """What became of a job that failed: it waits again, is stalled, or is scheduled."""

    WAITING = 0
    STALLED = 1
    SCHEDULED = 2


LATEST = 253_402_300_799.0
"""The last time that can be asked for, in seconds since 1970 (the end of the year 9999)."""


@attrs.frozen
class Due:
    """When a job is to be available, by the server's clock: one of the two.

    Attributes:
        delay: seconds from when the operation is done.
        at: seconds since 1970-01-01 00:00 UTC.
    """

    delay: float | None = None
    at: float | None = None

    def __attrs_post_init__(self) -> None:
        if (self.delay is None) == (self.at is None):
            raise InvalidValue("a job is due after a delay or at a time, one of the two")
        seconds = self.delay or self.at or 0.0
        if not 0 <= seconds <= LATEST:
            raise InvalidValue(f"a time must be 0 to {LATEST:.0f} seconds, not {seconds!r:.80}")


@attrs.frozen
class Failure:
    """Why a job failed.

    Attributes:
        error: the name of the error's class; empty where there was none.
        message: the reason, as text.
        traceback: where it happened, as text.
        worker: the worker that reports it, such as ``host:pid``.
    """

    message: str
    error: str = ""
    traceback: str = ""
    worker: str = ""


class JobState(enum.Enum):
    """Where a job is."""

    SCHEDULED = "scheduled"
    WAITING = "waiting"
    CLAIMED = "claimed"
    STALLED = "stalled"
    FINISHED = "finished"


@attrs.frozen
class JobInfo:
    """What is known of a job. Times are the backend's; None: it is not known, or has not been.

    Attributes:
        id: its id.
        state: where it is. FINISHED: its result is still there.
        put: when it was put or retried; of one that was scheduled, when it was available.
        due: until when it is or was scheduled.
        claimed: when its claim was made, however often it was extended since.
        failed: when it failed last.
        stalled: when it was stalled.
        failures: how often it failed since it was put or retried.
        failure: why it failed last.
        has_result: whether there is a result under its id.
        progress: how far it is or was, 0 to 1, as its worker reported.
        doing: what was done then.
        progressed: when that was said.
    """

    id: str
    state: JobState
    put: dt.datetime | None = None
    due: dt.datetime | None = None
    claimed: dt.datetime | None = None
    failed: dt.datetime | None = None
    stalled: dt.datetime | None = None
    failures: int = 0
    failure: Failure | None = None
    has_result: bool = False
    progress: float | None = None
    doing: str = ""
    progressed: dt.datetime | None = None


@attrs.frozen
class JobPage:
    """Answer of `ReadJobPage`.

    Attributes:
        jobs: what is known of each. Whether it has a result is not asked.
        items: their items.
        cursor: what to ask with for the next page; empty: this was the last one.
    """

    jobs: tuple[JobInfo, ...]
    items: tuple[bytes, ...]
    cursor: str


@attrs.frozen
class Step:
    """Answer of an operation that does much in short steps.

    Attributes:
        count: with how many it is done.
        left: how many there are still.
    """

    count: int
    left: int


@attrs.frozen
class ReportedJob:
    """A job that a worker is at, as it reports it.

    Attributes:
        feed: the name of its feed, one of the worker's.
        id: its id.
        attempt: the number of the attempt; the first is 1.
        running_for: seconds since its handler was called.
    """

    feed: str = attrs.field(validator=_check_feed)
    id: str = attrs.field(validator=_check_id)
    attempt: int = attrs.field(default=1, validator=_check_start)
    running_for: float = attrs.field(default=0.0, validator=_check_seconds)


@attrs.frozen
class WorkerReport:
    """What a worker says of itself. It knows its own clock alone, and so tells ages.

    Attributes:
        id: differs from that of every other worker, and is not used again.
        host: the name of the machine or container.
        pid: the number of the process.
        version: of the program that works, such as that of this library.
        feeds: the names of the feeds that it works on.
        concurrency: how many jobs it does at once, of all feeds together.
        processes: how many processes its group has; 0: it belongs to none.
        group: what all processes of its group have in common, such as the ``host:pid`` of
            the process that has started them; empty: it belongs to none.
        running_for: seconds since it began.
        is_stopping: whether it takes no more jobs.
        busy: how many jobs it is at.
        jobs: these, or some of them: `MOST_REPORTED` at most.
    """

    id: str = attrs.field(validator=_check_id)
    host: str
    pid: int = attrs.field(validator=_check_start)
    version: str
    feeds: tuple[str, ...] = attrs.field(validator=_check_feeds)
    concurrency: int = attrs.field(validator=_check_start)
    processes: int = attrs.field(default=0, validator=_check_start)
    group: str = ""
    running_for: float = attrs.field(default=0.0, validator=_check_seconds)
    is_stopping: bool = False
    busy: int = attrs.field(default=0, validator=_check_start)
    jobs: tuple[ReportedJob, ...] = attrs.field(default=(), validator=_check_jobs)

    def __attrs_post_init__(self) -> None:
        if others := {job.feed for job in self.jobs} - {*self.feeds}:
            raise InvalidValue(f"a job must be of one of the worker's feeds, not {min(others)!r}")


@attrs.frozen
class WorkerJob:
    """A job that a worker is at.

    Attributes:
        feed: the name of its feed.
        id: its id.
        since: when its handler was called.
        attempt: the number of the attempt; the first is 1.
    """

    feed: str
    id: str
    since: dt.datetime
    attempt: int = 1


@attrs.frozen
class WorkerInfo:
    """A worker that is alive, or was when it reported last. Times are the backend's.

    Attributes:
        id: differs from that of every other worker.
        host: the name of the machine or container.
        pid: the number of the process.
        version: of the library, or of the program that works.
        feeds: the names of the feeds that it works on.
        concurrency: how many jobs it does at once, of all feeds together.
        processes: how many processes its group has; 0: it belongs to none.
        group: the ``host:pid`` of the process that has started its group; empty: none.
        started: when it began.
        reported: when it reported last.
        is_stopping: whether it takes no more jobs.
        busy: how many jobs it was at then.
        jobs: these, or the first hundred of them.
        age: seconds since it reported, when this was read.
    """

    id: str
    host: str
    pid: int
    version: str
    feeds: tuple[str, ...]
    concurrency: int
    processes: int
    group: str
    started: dt.datetime
    reported: dt.datetime
    is_stopping: bool = False
    busy: int = 0
    jobs: tuple[WorkerJob, ...] = ()
    age: float = 0.0


@attrs.frozen
class WorkerPage:
    """Answer of `ReadWorkers`.

    Attributes:
        workers: some of those that are alive, in no order. One may be in two pages.
        cursor: what to ask with for the next page; empty: this was the last one.
    """

    workers: tuple[WorkerInfo, ...]
    cursor: str = ""


class IfMissed(enum.Enum):
    """What becomes of periodic jobs for whose times no program has asked for more than a minute."""

    ONCE = "once"
    SKIP = "skip"


@attrs.frozen
class Schedule:
    """A job that is put again and again, and when.

    Attributes:
        name: of the schedule; one job has the id NAME@MS, its time in ms since 1970.
        item: of the jobs.
        every: seconds between two of them, from when the schedule is made; None: ``cron`` says.
        cron: a cron expression.
        tz: the name of the time zone in which that is meant.
        if_missed: what becomes of jobs whose times are over. ONCE: of many, one is put, under
            the last of the times. SKIP: none is.
        priority: of the jobs.
    """

    name: str = attrs.field(validator=_check_id)
    item: bytes = attrs.field(validator=_check_item)
    every: float | None = None
    cron: str = ""
    tz: str = ""
    if_missed: IfMissed = IfMissed.ONCE
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_check_priority)


@attrs.frozen
class ScheduleStatus:
    """A schedule, and when it is due.

    Attributes:
        schedule: the schedule.
        next: when it is due next, in seconds since 1970; None: unknown.
        later: the times after that, as far as they are known.
    """

    schedule: Schedule
    next: float | None
    later: tuple[float, ...]


@attrs.frozen
class CreateResult:
    """Answer of `CreateFeed`: was it created by this call, and what is configured now."""

    created: bool
    config: Mapping[str, str]


@attrs.frozen
class Delivery:
    """An item that was taken; ``cancelled`` is how often its job was cancelled before."""

    id: str
    item: bytes
    cancelled: int = 0


@attrs.frozen
class Batch:
    """Answer of a take: what was taken, and when it is worth looking again.

    Attributes:
        entries: what was taken.
        retry_after: of an empty answer, seconds until a claim may expire and its job be
            available, or a job is due, or None when only a put can help.
        lost: of a `JobNext`, the jobs that were to be ended and are not claimed any more.
    """

    entries: tuple[Delivery, ...]
    retry_after: float | None = None
    lost: tuple[str, ...] = ()


@attrs.frozen
class ClaimRef:
    """A claim: a job's id, and the token that it was claimed under (empty: any holder)."""

    id: str = attrs.field(validator=_check_id)
    token: str = ""


@attrs.frozen
class Completion:
    """How one job is finished.

    Attributes:
        id: the job's id.
        token: the claim's token; empty: any claim.
        has_result: store and announce ``result``.
        result: the result; None is a result, too.
        timeout: seconds to keep it; None: as configured; 0: forever.
    """

    id: str = attrs.field(validator=_check_id)
    token: str = ""
    has_result: bool = False
    result: bytes | None = None
    timeout: float | None = None


@attrs.frozen
class StoredResult:
    """A job's stored result; None stands for «not known» (query) or the value None (result)."""

    query: bytes | None
    result: bytes | None


@attrs.frozen
class JobCounts:
    """How many jobs are in which state, and how many were finished so far."""

    waiting: int
    claimed: int
    stalled: int
    finished: int
    scheduled: int = 0


@attrs.frozen
class FeedStats:
    """How full and how busy a feed is. None: there is none, or its type has no such thing.

    Ages are by the backend's clock.

    Attributes:
        type: the type as it is stored.
        items: how many items are stored.
        publishes: publishes, puts and edits so far.
        waiting: items of a queue, or jobs, that wait to be taken.
        claimed: jobs that are claimed; items of a queue that are on their way.
        stalled: jobs out of circulation.
        failing: jobs, waiting, claimed or stalled, that were cancelled at least once.
        finished: jobs finished so far.
        oldest_waiting: seconds since the oldest waiting job was put or retried. (Where
            a thousand older ones are claimed: since the next job was.)
        oldest_claimed: seconds since the oldest claim was made, however often it was extended.
        oldest_item: seconds since the first item of a feed was published.
        newest_item: seconds since the last item of a feed was published.
        scheduled: jobs whose time has yet to come.
        next_due: seconds until the next of these, or of the feed's schedules, is due.
        paused: whether a queue or job feed is paused.
    """

    type: str
    items: int
    publishes: int
    waiting: int | None = None
    claimed: int | None = None
    stalled: int | None = None
    failing: int | None = None
    finished: int | None = None
    oldest_waiting: float | None = None
    oldest_claimed: float | None = None
    oldest_item: float | None = None
    newest_item: float | None = None
    scheduled: int | None = None
    next_due: float | None = None
    paused: bool | None = None

    @property
    def kind(self) -> str | None:
        """What its type means; None for a type that is not built in."""
        return KIND_OF_TYPE.get(self.type)

    @property
    def done(self) -> int | None:
        """How many items of a queue were taken, or jobs finished, so far; None for other feeds."""
        if self.kind == QUEUE:
            return self.publishes - self.items
        return self.finished if self.kind == JOB else None

    @property
    def oldest(self) -> float | None:
        """Seconds that the oldest job has waited, or since a feed's first item was published."""
        return self.oldest_item if self.oldest_waiting is None else self.oldest_waiting


@attrs.frozen
class MaintenanceReport:
    """What `JobMaintain` repaired.

    Attributes:
        expired: claims past their time that went back to waiting.
        stalled: claims past their time that were stalled, for ``max_failures``.
        recovered: ids that were in no state and are waiting again.
        discarded: items left behind by a retraction, removed.
    """

    expired: tuple[str, ...] = ()
    stalled: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    discarded: tuple[str, ...] = ()

    @classmethod
    def of_all(cls, reports: Iterable[MaintenanceReport]) -> MaintenanceReport:
        """What several steps repaired, as one report."""
        every = [*reports]
        return cls(
            *(
                tuple(itertools.chain.from_iterable(getattr(one, field.name) for one in every))
                for field in attrs.fields(cls)
            )
        )


@attrs.frozen
class Mended:
    """Answer of `JobMend`.

    Attributes:
        report: what this step repaired.
        cursor: what to ask with for the next step; empty: this was the last one.
        others: ids that are neither claimed nor stalled.
        waiting: ids that wait.
        looked_at: of ``suspects``, how many of them, from the first on; one at least.
    """

    report: MaintenanceReport
    cursor: str = ""
    others: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    looked_at: int = 0


@attrs.frozen
class SomeRetracted:
    """Answer of `RetractSome`.

    Attributes:
        removed: for each id whether it was there; None: ask again for it.
        cursor: what to ask again with.
    """

    removed: tuple[bool | None, ...]
    cursor: str = ""


@attrs.frozen
class Page:
    """Answer of `ReadPage`.

    Attributes:
        ids: ids, in the order that was asked for.
        items: their items, when these were asked for.
        cursor: what to ask with for the next page; empty: this was the last one.
    """

    ids: tuple[str, ...]
    items: tuple[bytes, ...]
    cursor: str


@attrs.frozen
class SnapshotPage:
    """Answer of `ReadSnapshotPage`.

    Attributes:
        mark: what the `Marker` of this very answer has.
        total: how many ids there are.
        ids: those from ``start`` on, in order. There may be fewer than ``count`` behind
            those that were to be skipped, but at least one if there is one.
        items: items by id.
    """

    mark: str
    total: int
    ids: tuple[str, ...]
    items: Mapping[str, bytes] = attrs.field(hash=False)


# --- operations ---------------------------------------------------------------------


@attrs.frozen
class Operation(Generic[R_co]):
    """One row of the contract. ``R_co`` is what executing it returns."""

    wakes_waiters: ClassVar[bool] = False
    """Whether it may leave something for a blocked taker."""


@attrs.frozen
class FeedNames(Operation[frozenset[str]]):
    """The names of all feeds."""


@attrs.frozen
class ReportWorker(Operation[None]):
    """Keep what a worker reports about itself, in place of its previous report.

    Attributes:
        worker: what it says.
        keep: seconds after which it is dropped, unless the worker reports again.
    """

    worker: WorkerReport
    keep: float = attrs.field(validator=_check_keep)


@attrs.frozen
class RemoveWorker(Operation[bool]):
    """Drop the report of a worker that has ended. Returns whether there was anything."""

    id: str = attrs.field(validator=_check_id)


@attrs.frozen
class ReadWorkers(Operation[WorkerPage]):
    """The workers that have reported and whose time is not over, in parts."""

    cursor: str = ""


@attrs.frozen
class FeedOperation(Operation[R_co]):
    """An operation on one feed. Raises `FeedDoesNotExist` where it needs one that is there."""

    feed: str = attrs.field(validator=_check_feed)


@attrs.frozen
class RegisterFeed(FeedOperation[bool]):
    """List the feed among the names; announce it when it was not. Returns whether it was new."""


@attrs.frozen
class UnregisterFeed(FeedOperation[bool]):
    """Take the feed off the list of names; announce its deletion. Returns whether it was on."""


@attrs.frozen
class FeedIsRegistered(FeedOperation[bool]):
    """Whether the feed is on the list of names."""


@attrs.frozen
class CreateFeed(FeedOperation[CreateResult]):
    """Store a configuration unless the feed has one. ``config`` includes ``type``."""

    config: Mapping[str, str] = attrs.field(hash=False)


@attrs.frozen
class DeleteFeed(FeedOperation[tuple[str, ...]]):
    """Remove every key of the feed.

    Stored results have keys of their own. Where some are left, nothing is
    deleted but the ``results`` named here, and ids of further ones are returned:
    ask again with these. An empty answer means that the feed was deleted. Raises
    `FeedDoesNotExist` when there was none.
    """

    results: tuple[str, ...] = ()


@attrs.frozen
class SetConfig(FeedOperation[tuple[str, ...]]):
    """Set (None: remove) fields. A lower ``max_length`` trims at once; returns trimmed ids."""

    config: Mapping[str, str | None] = attrs.field(hash=False)


@attrs.frozen
class FeedTrim(FeedOperation[tuple[str, ...]]):
    """Remove the oldest items of a feed but ``length``, 1000 of them at most; returns their ids.

    So a long feed is shortened in short steps before a lower ``max_length`` is set.
    """

    length: int = attrs.field(validator=_check_start)


@attrs.frozen
class GetConfig(FeedOperation[Mapping[str, str]]):
    """All fields as stored. Empty when the feed has none, that is: does not exist."""


@attrs.frozen
class ReadItem(FeedOperation[bytes | None]):
    """The item of an id, None when there is none. For every type of feed."""

    id: str = attrs.field(validator=_check_id)


@attrs.frozen
class ReadItems(FeedOperation[dict[str, bytes]]):
    """Items by id: those of ``ids`` that there are, or all. For every type of feed."""

    ids: tuple[str, ...] | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_ids)
    )


@attrs.frozen
class CountItems(FeedOperation[int]):
    """How many items are stored. For every type of feed."""


@attrs.frozen
class HasItem(FeedOperation[bool]):
    """Whether an item of that id is stored. For every type of feed."""

    id: str = attrs.field(validator=_check_id)


@attrs.frozen
class ReadStats(FeedOperation[FeedStats]):
    """How full and how busy a feed is, at a cost that does not grow with it.

    ``kind`` is the feed's; empty: what its stored type means. For every type of feed: of
    one that is not built in, with an empty ``kind``, items and publishes alone.
    """

    kind: str = attrs.field(default="", validator=attrs.validators.in_(("", *KINDS)))


@attrs.frozen
class ReadIds(FeedOperation[tuple[str, ...]]):
    """All ids. ``kind`` is the feed's (`thoonk.config`) and says which order they have.

    Feed: as published. Sorted feed: first to last. Queue: the next one first.
    Job: all that are not finished, in no particular order.
    """

    kind: str = attrs.field(validator=attrs.validators.in_(KINDS))


@attrs.frozen
class ReadPage(FeedOperation[Page]):
    """A part of the ids, in the order of `ReadIds` or in reverse, with their items if asked.

    Attributes:
        kind: as of `ReadIds`. A job feed has no order: it starts at 0, not in reverse.
        start: how many to leave out before the first one, where there is no cursor.
        count: how many at most. With large items a page has fewer.
        reverse: from the last one to the first.
        with_items: read the items, too.
        cursor: of the page before.
    """

    kind: str = attrs.field(validator=attrs.validators.in_(KINDS))
    start: int = attrs.field(default=0, validator=_check_start)
    count: int = attrs.field(default=MOST, validator=_check_count)
    reverse: bool = False
    with_items: bool = False
    cursor: str = ""


@attrs.frozen
class ReadSnapshotPage(FeedOperation[SnapshotPage]):
    """A part of a feed or sorted feed, at a point among its notices.

    A subscription that was given ``marker`` gets a `Marker` with it: what came before
    that is in the answer, what comes after is not. Asked twice, there are two, and each
    has a ``mark`` of its own.

    Attributes:
        kind: as of `ReadIds`.
        marker: of the subscription.
        tag: the caller's, another one with each page: a part of the mark.
        start: how many ids to leave out.
        skip: of how many ids, from there, the items are not wanted.
        count: how many ids at most behind these. With large items a page has fewer.
        wanted: ids whose items are wanted besides (as many as fit, one at least): empty of
            an id that there is not.
        known: ids, and the `digest_of` their items. An item that is still the same may be
            left out.
    """

    kind: str = attrs.field(validator=attrs.validators.in_((FEED, SORTED_FEED)))
    marker: str = attrs.field(validator=_check_id)
    tag: str = attrs.field(default="", kw_only=True)
    start: int = attrs.field(default=0, validator=_check_start, kw_only=True)
    skip: int = attrs.field(default=0, validator=_check_start, kw_only=True)
    count: int = attrs.field(default=MOST, validator=_check_count, kw_only=True)
    wanted: tuple[str, ...] = attrs.field(default=(), validator=_check_most, kw_only=True)
    known: tuple[tuple[str, bytes], ...] = attrs.field(
        default=(), validator=_check_most, kw_only=True
    )


@attrs.frozen
class FeedPublish(FeedOperation[tuple[bool, ...]]):
    """Publish entries at the end, in order. Returns for each whether its id was new."""

    entries: tuple[Entry, ...] = attrs.field(validator=_check_many)


@attrs.frozen
class FeedRetract(FeedOperation[tuple[bool, ...]]):
    """Remove items. Returns for each id whether it was there."""

    ids: tuple[str, ...] = attrs.field(validator=_check_ids)


@attrs.frozen
class SortedInsert(FeedOperation[tuple[str, ...]]):
    """Insert items at a position, in their order; returns the ids they got.

    `ItemDoesNotExist`: there is no such neighbor.
    """

    items: tuple[bytes, ...] = attrs.field(validator=_check_items)
    position: Position = attrs.field(default=Position(Where.END))


@attrs.frozen
class SortedEdit(FeedOperation[None]):
    """Replace an item in its place. `ItemDoesNotExist`: no such item."""

    entry: Entry


@attrs.frozen
class SortedMove(FeedOperation[None]):
    """Move an item. `ItemDoesNotExist`: no such item or neighbor. Onto itself: nothing."""

    id: str = attrs.field(validator=_check_id)
    position: Position


@attrs.frozen
class SortedRetract(FeedOperation[tuple[bool, ...]]):
    """Remove items. Returns for each id whether it was there."""

    ids: tuple[str, ...] = attrs.field(validator=_check_ids)


@attrs.frozen
class QueuePut(FeedOperation[None]):
    """Add entries, in order, at the end; with high priority they are taken first."""

    wakes_waiters: ClassVar[bool] = True

    entries: tuple[Entry, ...] = attrs.field(validator=_check_many)
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_check_priority)


@attrs.frozen
class QueueAdd(FeedOperation[tuple[Outcome, ...]]):
    """Add entries as `QueuePut` does, under ids that may be taken; returns what became of each.

    An id is taken while its item waits or is on its way, and for as long as the put under it
    said by ``unique_for``. What is replaced keeps its place. Otherwise as `JobAdd`.
    """

    wakes_waiters: ClassVar[bool] = True

    entries: tuple[Entry, ...] = attrs.field(validator=_check_own)
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_check_priority)
    if_exists: IfExists = IfExists.KEEP
    unique_for: float = attrs.field(default=0.0, validator=_check_seconds)


@attrs.frozen
class TakeOperation(FeedOperation[Batch]):
    """An operation for which a backend can wait until it has something to answer.

    It takes up to ``count`` entries under ``token``, which the taker makes. Executed
    again with the same token it answers the same, until what it took is ended,
    confirmed or released.

    Attributes:
        recover_expired: first bring back what has expired or was left on its way, before
            what waits; else only when nothing waits. Who takes many times a second need
            not do it each time.
    """

    token: str = attrs.field(validator=_check_id)
    count: int = attrs.field(default=1, validator=_check_count)
    recover_expired: bool = attrs.field(default=True, kw_only=True)


@attrs.frozen
class QueueTake(TakeOperation):
    """Take the next items. They are removed by `QueueConfirm`, else back after a while.

    The while is `CONFIRM_WITHIN`.
    """

    wakes_waiters: ClassVar[bool] = True


@attrs.frozen
class QueueConfirm(FeedOperation[None]):
    """Remove items that were taken: they have arrived. `NotClaimed`: taken too long ago."""

    ids: tuple[str, ...] = attrs.field(validator=_check_ids)
    token: str = attrs.field(validator=_check_id)


@attrs.frozen
class QueueReturn(FeedOperation[None]):
    """Put back items that were taken, perhaps even confirmed, and reached no program."""

    wakes_waiters: ClassVar[bool] = True

    entries: tuple[Entry, ...] = attrs.field(validator=_check_many)
    token: str = attrs.field(validator=_check_id)


@attrs.frozen
class Release(FeedOperation[tuple[str, ...]]):
    """Put back what was taken under a token: it is next, and no failure is counted.

    With ``ids`` only these of it. Returns the ids. For queues and job feeds.
    """

    wakes_waiters: ClassVar[bool] = True

    token: str = attrs.field(validator=_check_id)
    ids: tuple[str, ...] = attrs.field(default=(), validator=_check_most)


@attrs.frozen
class JobPut(FeedOperation[None]):
    """Add jobs, in order, at the end; with high priority they are claimed first."""

    wakes_waiters: ClassVar[bool] = True

    entries: tuple[Entry, ...] = attrs.field(validator=_check_many)
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_check_priority)


@attrs.frozen
class JobAdd(FeedOperation[tuple[Outcome, ...]]):
    """Add jobs as `JobPut` does, for later, or under ids that may be taken.

    An id is taken while its job waits, is scheduled, claimed or stalled, and for as long as
    the put under it said by ``unique_for``. Returns what became of each.

    Attributes:
        due: when they are available; None, or a time that is past: now.
        if_exists: what becomes of an id that is taken. KEEP: nothing is done. REPLACE: a job
            that is not claimed gets the new item and time, and starts again. REFUSE: nothing
            is done with any of the entries, and `ItemExists` is raised.
        unique_for: seconds for which the ids stay taken, whatever becomes of the jobs.
    """

    wakes_waiters: ClassVar[bool] = True

    entries: tuple[Entry, ...] = attrs.field(validator=_check_own)
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_check_priority)
    due: Due | None = None
    if_exists: IfExists = IfExists.KEEP
    unique_for: float = attrs.field(default=0.0, validator=_check_seconds)


@attrs.frozen
class JobFail(FeedOperation[Failed]):
    """Give a claimed job back as `JobCancel` does, or stall it as `JobStall`; keep the reason.

    `NotClaimed`: as `JobFinish`.

    Attributes:
        due: when it is available again; None: at once.
        stall: take it out of circulation instead.
        failure: why.
    """

    wakes_waiters: ClassVar[bool] = True

    id: str = attrs.field(validator=_check_id)
    token: str = ""
    due: Due | None = None
    stall: bool = False
    failure: Failure | None = None


@attrs.frozen
class JobReschedule(FeedOperation[bool]):
    """Give a scheduled job another time; returns whether it is scheduled: else it is due now.

    `NotScheduled`: it is not scheduled (any more).
    """

    wakes_waiters: ClassVar[bool] = True

    id: str = attrs.field(validator=_check_id)
    due: Due


@attrs.frozen
class JobProgress(FeedOperation[None]):
    """Note how far a claimed job is. `NotClaimed`: as `JobFinish`.

    Attributes:
        fraction: 0 to 1.
        text: what is done just now.
    """

    id: str = attrs.field(validator=_check_id)
    token: str
    fraction: float = attrs.field(validator=_check_fraction)
    text: str = ""


@attrs.frozen
class JobHolds(FeedOperation[tuple[bool, ...]]):
    """Whether claims still hold. Nothing is changed."""

    claims: tuple[ClaimRef, ...] = attrs.field(validator=_check_many)


@attrs.frozen
class ReadJobs(FeedOperation[Mapping[str, bytes | None]]):
    """Jobs that are not finished, scheduled ones among them, by id.

    Attributes:
        ids: of those of these that there are; None: of all.
        with_items: with their items; else with None.
    """

    ids: tuple[str, ...] | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_ids)
    )
    with_items: bool = False


@attrs.frozen
class ReadJob(FeedOperation[JobInfo | None]):
    """What is known of a job; None where there is none, or one that is finished without result."""

    id: str = attrs.field(validator=_check_id)


@attrs.frozen
class ReadJobPage(FeedOperation[JobPage]):
    """A part of the jobs in one state.

    Scheduled ones come in the order of their times, claimed ones in that of their last heartbeats,
    waiting ones as they will be taken, stalled ones in no order.

    Attributes:
        state: which jobs; not FINISHED.
        count: how many at most. With large items a page has fewer.
        cursor: of the page before.
    """

    state: JobState = attrs.field(validator=_check_state)
    count: int = attrs.field(default=MOST, validator=_check_count)
    cursor: str = ""


@attrs.frozen
class JobRetryAll(FeedOperation[Step]):
    """Put stalled jobs back, ``count`` at most, as `JobRetry` does."""

    wakes_waiters: ClassVar[bool] = True

    count: int = attrs.field(default=MOST, validator=_check_count)


@attrs.frozen
class JobClear(FeedOperation[Step]):
    """Remove jobs that are in a state, ``count`` at most, as `JobRetract` does."""

    state: JobState = attrs.field(validator=_check_state)
    count: int = attrs.field(default=MOST, validator=_check_count)


@attrs.frozen
class QueueClear(FeedOperation[Step]):
    """Remove items of a queue, ``count`` at most, and as many that are on their way to takers."""

    count: int = attrs.field(default=MOST, validator=_check_count)


@attrs.frozen
class JobSchedule(FeedOperation[bool]):
    """Put a job again and again; returns whether that is new, or another than before.

    Where just this schedule exists under its name, it continues unchanged.

    Attributes:
        schedule: what to put, and when.
        times: for a schedule without ``every`` when it is due, in seconds since 1970: the
            first times, in order. `JobSetRuns` adds more.
    """

    wakes_waiters: ClassVar[bool] = True

    schedule: Schedule
    times: tuple[float, ...] = attrs.field(default=(), validator=_check_most)


@attrs.frozen
class JobSetRuns(FeedOperation[bool]):
    """Tell when a schedule is due; returns False when it is another by now: nothing is done.

    Attributes:
        schedule: as it was read.
        times: the next times, in order. Those up to the next one that is known are passed over.
    """

    wakes_waiters: ClassVar[bool] = True

    schedule: Schedule
    times: tuple[float, ...] = attrs.field(validator=_check_many)


@attrs.frozen
class JobUnschedule(FeedOperation[bool]):
    """Remove a schedule; returns whether there was one. Jobs that it has put stay."""

    name: str = attrs.field(validator=_check_id)


@attrs.frozen
class ReadSchedules(FeedOperation[tuple[ScheduleStatus, ...]]):
    """The schedules of a feed: of ``names`` those that there are, or all."""

    names: tuple[str, ...] = attrs.field(default=(), validator=_check_most)


@attrs.frozen
class PauseFeed(FeedOperation[bool | None]):
    """Pause a queue or job feed; returns whether that is new, None to be asked again.

    Puts still work, and claims can be finished. Callers that wait keep waiting.
    """


@attrs.frozen
class ResumeFeed(FeedOperation[bool | None]):
    """End a pause; returns whether there was one, or None to be asked again."""

    wakes_waiters: ClassVar[bool] = True


@attrs.frozen
class JobClaim(TakeOperation):
    """Claim jobs; claims past their time come back, and jobs that are due become available."""

    wakes_waiters: ClassVar[bool] = True


@attrs.frozen
class JobFinish(FeedOperation[None]):
    """Finish jobs, all or none. `NotClaimed`: one is not claimed (under its token)."""

    completions: tuple[Completion, ...] = attrs.field(validator=_check_many)


@attrs.frozen
class JobNext(TakeOperation):
    """End jobs and claim the next ones, as `JobFinish`, `JobCancel` and `JobClaim` do.

    A job that is not claimed (any more) under its token is skipped, and reported in the
    answer. Executed again with the same token it ends nothing more, and tells all those it
    has ended. A ``count`` of 0 claims none.
    """

    wakes_waiters: ClassVar[bool] = True

    count: int = attrs.field(default=1, validator=_check_count_or_none)
    finished: tuple[Completion, ...] = attrs.field(default=(), validator=_check_most)
    cancelled: tuple[ClaimRef, ...] = attrs.field(default=(), validator=_check_most)


@attrs.frozen
class JobExtend(FeedOperation[tuple[bool, ...]]):
    """Restart the time of claims. Returns for each whether it still holds."""

    claims: tuple[ClaimRef, ...] = attrs.field(validator=_check_many)


@attrs.frozen
class JobCancel(FeedOperation[bool]):
    """Give a claimed job back. `NotClaimed`: as `JobFinish`.

    Too many failures stall it; returns whether they did.
    """

    wakes_waiters: ClassVar[bool] = True

    id: str = attrs.field(validator=_check_id)
    token: str = ""


@attrs.frozen
class JobStall(FeedOperation[None]):
    """Take a claimed job out of circulation. `NotClaimed`: as `JobFinish`."""

    id: str = attrs.field(validator=_check_id)
    token: str = ""


@attrs.frozen
class JobRetry(FeedOperation[None]):
    """Put a stalled job back. `NotStalled`: it is not stalled."""

    wakes_waiters: ClassVar[bool] = True

    id: str = attrs.field(validator=_check_id)


@attrs.frozen
class JobRetract(FeedOperation[tuple[bool, ...]]):
    """Remove jobs, in whatever state. Returns for each id whether it was there."""

    ids: tuple[str, ...] = attrs.field(validator=_check_ids)


@attrs.frozen
class JobFailures(FeedOperation[int]):
    """How often a job was cancelled since it was put or retried."""

    id: str = attrs.field(validator=_check_id)


@attrs.frozen
class CountJobs(FeedOperation[JobCounts]):
    """How many jobs are in which state."""


@attrs.frozen
class ReadResult(FeedOperation[StoredResult | None]):
    """The stored result of a job, None when there is none (yet, or any more)."""

    id: str = attrs.field(validator=_check_id)


@attrs.frozen
class JobMaintain(FeedOperation[MaintenanceReport]):
    """Bring back claims past their time and jobs that a dying peer left in no state."""

    wakes_waiters: ClassVar[bool] = True


@attrs.frozen
class JobMend(FeedOperation[Mended]):
    """A short step of what `JobMaintain` does, so that the others are served in between.

    Without ``cursor`` it is the first step. A backend that has little to do does all in the
    first one. One that has to look for lost jobs tells in its steps which ids are neither
    claimed nor stalled, and then which ids wait. Those of the first that are not among the
    second are named as ``suspects`` after the last step: what is in no state then, too, is
    recovered or discarded.
    """

    wakes_waiters: ClassVar[bool] = True

    cursor: str = ""
    suspects: tuple[str, ...] = attrs.field(default=(), validator=_check_most)


@attrs.frozen
class RetractSome(FeedOperation[SomeRetracted]):
    """Remove jobs, or items of a sorted feed: as many of them as a short step can.

    To find them in a long list takes time. Ask again for those of which the answer says
    nothing, with its cursor, until there are none. Otherwise as `JobRetract` and
    `SortedRetract`.
    """

    kind: str = attrs.field(validator=attrs.validators.in_((SORTED_FEED, JOB)))
    ids: tuple[str, ...] = attrs.field(validator=_check_ids)
    cursor: str = ""
