"""The operations that backends execute, and the values they take and return.

Each operation is one row of the contract. It takes effect atomically with its
notices, and its type says what it returns. Items are bytes here: the client
encodes them. Creating an operation validates it; a backend executes it.
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
from thoonk.values import Value

R_co = TypeVar("R_co", covariant=True)

KINDS = (FEED, SORTED_FEED, QUEUE, JOB)
"""The four kinds of feeds."""


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


@attrs.frozen(eq=False, repr=False)
class Position(Value):
    """A place in a sorted feed; ``neighbour`` is an id for BEFORE and AFTER, else empty."""

    where: Where
    neighbour: str = ""

    def __attrs_post_init__(self) -> None:
        if self.where in (Where.BEFORE, Where.AFTER):
            check_id(self.neighbour)

    @classmethod
    def parse(cls, text: object) -> Position:
        """Parse ``begin:``, ``:end``, ``:42`` (before 42) or ``42:`` (after 42).

        Raises:
            InvalidType: the position is not text.
            InvalidValue: the text has none of the four forms.
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
            "a position must be 'begin:', ':end', ':ID' (before) or 'ID:' (after), "
            f"not {text!r:.80}"
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
    check_name(id, "item id")


def _check_many(_: object, attribute: attrs.Attribute[Any], values: tuple[object, ...]) -> None:
    if not 0 < len(values) <= MOST:
        raise InvalidValue(f"{attribute.name} must have 1 to {MOST} elements, not {len(values)}")


def _check_most(_: object, attribute: attrs.Attribute[Any], values: tuple[object, ...]) -> None:
    if len(values) > MOST:
        raise InvalidValue(f"{attribute.name} must have at most {MOST} elements, not {len(values)}")


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
    """Return a count for one operation, 1 to 1000.

    Raises:
        InvalidType: the count is not a whole number.
        InvalidValue: the count is out of range.
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
        limit = f"at most {MOST_REPORTED} elements"
        raise InvalidValue(f"{attribute.name} must have {limit}, not {len(jobs)}")


def _check_keep(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 < value <= LONGEST_KEPT:
        limit = f"more than 0 and at most {LONGEST_KEPT:.0f}"
        raise InvalidValue(f"{attribute.name} must be {limit} seconds, not {value!r:.80}")


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
        raise InvalidValue("entries must have different ids, but one occurs twice")


def _check_state(_: object, __: attrs.Attribute[JobState], value: JobState) -> None:
    if value is JobState.FINISHED:
        raise InvalidValue(f"state must be one of unfinished jobs, not {value.value!r}")


def _check_seconds(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= LATEST:
        raise InvalidValue(f"{attribute.name} must be 0 to {LATEST:.0f}, not {value!r:.80}")


MOST = 1000
"""The most entries, ids or claims in one operation, so that it takes the server a few ms."""

MOST_REPORTED = 100
"""The most jobs that a worker lists in its report."""

LONGEST_KEPT = 3600.0
"""The longest time, in seconds, that a report is kept if the worker does not report again."""

CONFIRM_WITHIN = 10.0
"""Seconds after which an item that was taken from a queue returns unless it is confirmed."""


def digest_of(item: bytes) -> bytes:
    """Return a digest that shows whether an item has changed: 16 bytes of its SHA-1."""
    return hashlib.sha1(item, usedforsecurity=False).digest()[:16]


# --- what operations carry and return --------------------------------------------


@attrs.frozen(eq=False, repr=False)
class Entry(Value):
    """An item with its id."""

    id: str = attrs.field(validator=_check_id)
    item: bytes = attrs.field(validator=_check_item)


class IfExists(enum.Enum):
    """What to do when the id of a put is already taken."""

    KEEP = "keep"
    REPLACE = "replace"
    REFUSE = "refuse"


class Outcome(enum.IntEnum):
    """What a put with an id that the caller chose did."""

    KEPT = 0
    ADDED = 1
    REPLACED = 2


class Failed(enum.IntEnum):
    """The state of a job after it failed: it waits again, is stalled, or is scheduled."""

    WAITING = 0
    STALLED = 1
    SCHEDULED = 2


LATEST = 253_402_300_799.0
"""The latest time that is allowed, in seconds since 1970 (the end of the year 9999)."""


@attrs.frozen(eq=False, repr=False)
class Due(Value):
    """When a job becomes available, by the server's clock: either a delay or a time.

    Attributes:
        delay: seconds from when the operation is executed.
        at: seconds since 1970-01-01 00:00 UTC.
    """

    delay: float | None = None
    at: float | None = None

    def __attrs_post_init__(self) -> None:
        if (self.delay is None) == (self.at is None):
            raise InvalidValue("Due needs either delay or at: pass exactly one of them")
        seconds = self.delay or self.at or 0.0
        if not 0 <= seconds <= LATEST:
            raise InvalidValue(f"a time must be 0 to {LATEST:.0f} seconds, not {seconds!r:.80}")


@attrs.frozen(eq=False, repr=False)
class Failure(Value):
    """Why a job failed.

    Attributes:
        error: the class name of the exception; empty if there was none.
        message: the reason, as text.
        traceback: the traceback, as text.
        worker: the worker that reported the failure, such as ``host:pid``.
    """

    message: str
    error: str = ""
    traceback: str = ""
    worker: str = ""


class JobState(enum.Enum):
    """The state of a job."""

    SCHEDULED = "scheduled"
    WAITING = "waiting"
    CLAIMED = "claimed"
    STALLED = "stalled"
    FINISHED = "finished"


@attrs.frozen(eq=False, repr=False)
class JobInfo(Value):
    """The state and history of a job.

    Times are by the backend's clock. A time is None if it is unknown or the event has not
    happened.

    Attributes:
        id: the job's id.
        state: its state. FINISHED: its result is still stored.
        put: when it was put or retried; for a scheduled job, when it became available.
        due: the time for which it is or was scheduled.
        claimed: when it was claimed. Extending the claim does not change this.
        failed: when it last failed.
        stalled: when it was stalled.
        failures: how often it failed since it was put or retried.
        failure: why it last failed.
        has_result: whether a result is stored under its id.
        progress: the progress that its worker last reported, 0 to 1.
        doing: the step that its worker last reported.
        progressed: when its worker last reported progress.
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


@attrs.frozen(eq=False, repr=False)
class JobPage(Value):
    """Answer of `ReadJobPage`.

    Attributes:
        jobs: the jobs. ``has_result`` is not looked up.
        items: their items.
        cursor: the cursor for the next page; empty after the last page.
    """

    jobs: tuple[JobInfo, ...]
    items: tuple[bytes, ...]
    cursor: str


@attrs.frozen(eq=False, repr=False)
class Step(Value):
    """Answer of an operation that does a long task in short steps.

    Attributes:
        count: how many elements this step processed.
        left: how many remain.
    """

    count: int
    left: int


@attrs.frozen(eq=False, repr=False)
class ReportedJob(Value):
    """A job that a worker is running, as part of its report.

    Attributes:
        feed: the name of the job's feed, one of the worker's.
        id: the job's id.
        attempt: the number of the attempt; the first is 1.
        running_for: seconds since the handler was called.
    """

    feed: str = attrs.field(validator=_check_feed)
    id: str = attrs.field(validator=_check_id)
    attempt: int = attrs.field(default=1, validator=_check_start)
    running_for: float = attrs.field(default=0.0, validator=_check_seconds)


@attrs.frozen(eq=False, repr=False)
class WorkerReport(Value):
    """What a worker reports about itself. It contains ages, not times: clocks can differ.

    Attributes:
        id: the worker's id, which is unique and never reused.
        host: the name of the machine or container.
        pid: the process id.
        version: the version of the worker program, such as that of this library.
        feeds: the names of the feeds that it works on.
        concurrency: how many jobs it runs at once, over all feeds.
        processes: how many processes its group has; 0 if it belongs to no group.
        group: a name that all processes of its group share, such as the ``host:pid`` of
            the process that started them; empty if it belongs to no group.
        running_for: seconds since it started.
        is_stopping: whether it has stopped taking jobs.
        busy: how many jobs it is running.
        jobs: the jobs that it is running, at most `MOST_REPORTED` of them.
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
            allowed = ", ".join(map(repr, self.feeds))
            raise InvalidValue(
                f"jobs must belong to the worker's feeds ({allowed:.80}), not {min(others)!r}"
            )


@attrs.frozen(eq=False, repr=False)
class WorkerJob(Value):
    """A job that a worker is running.

    Attributes:
        feed: the name of the job's feed.
        id: the job's id.
        since: when the handler was called.
        attempt: the number of the attempt; the first is 1.
    """

    feed: str
    id: str
    since: dt.datetime
    attempt: int = 1


@attrs.frozen(eq=False, repr=False)
class WorkerInfo(Value):
    """A worker, as of its last report. Times are by the backend's clock.

    Attributes:
        id: the worker's id, which is unique.
        host: the name of the machine or container.
        pid: the process id.
        version: the version of the library or of the worker program.
        feeds: the names of the feeds that it works on.
        concurrency: how many jobs it runs at once, over all feeds.
        processes: how many processes its group has; 0 if it belongs to no group.
        group: the ``host:pid`` of the process that started its group; empty if it belongs to
            no group.
        started: when it started.
        reported: when it last reported.
        is_stopping: whether it has stopped taking jobs.
        busy: how many jobs it was running.
        jobs: the jobs that it was running, at most one hundred of them.
        age: seconds between the last report and this answer.
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


@attrs.frozen(eq=False, repr=False)
class WorkerPage(Value):
    """Answer of `ReadWorkers`.

    Attributes:
        workers: some of the live workers, in no particular order. A worker may be on two pages.
        cursor: the cursor for the next page; empty after the last page.
    """

    workers: tuple[WorkerInfo, ...]
    cursor: str = ""


class IfMissed(enum.Enum):
    """What to do about periodic jobs that are more than a minute late, as no program ran."""

    ONCE = "once"
    SKIP = "skip"


@attrs.frozen(eq=False, repr=False)
class Schedule(Value):
    """A job that is put periodically.

    Attributes:
        name: the name of the schedule. Each job has the id NAME@MS, where MS is its time in
            milliseconds since 1970.
        item: the item of the jobs.
        every: seconds between two jobs, counted from when the schedule is created; None if
            ``cron`` is used.
        cron: a cron expression.
        tz: the name of the time zone of the cron expression.
        if_missed: what to do about missed times. ONCE: put one job, for the last of the
            missed times. SKIP: put none.
        priority: the priority of the jobs.
    """

    name: str = attrs.field(validator=_check_id)
    item: bytes = attrs.field(validator=_check_item)
    every: float | None = None
    cron: str = ""
    tz: str = ""
    if_missed: IfMissed = IfMissed.ONCE
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_check_priority)


@attrs.frozen(eq=False, repr=False)
class ScheduleStatus(Value):
    """A schedule and its next times.

    Attributes:
        schedule: the schedule.
        next: when it is next due, in seconds since 1970; None if unknown.
        later: the known times after that.
    """

    schedule: Schedule
    next: float | None
    later: tuple[float, ...]


class Times(enum.Enum):
    """Which times `ReadTimes` reads.

    PUBLISHED: when the items of a feed were published. SCHEDULED: when scheduled jobs are due.
    RESULTS: until when results are kept. TAKEN: until when ids stay taken.
    """

    PUBLISHED = "published"
    SCHEDULED = "scheduled"
    RESULTS = "results"
    TAKEN = "taken"


@attrs.frozen(eq=False, repr=False)
class IdTime(Value):
    """An id and a time that is stored for it.

    Attributes:
        id: the id.
        at: seconds since 1970; None: never.
        is_high: whether a scheduled job has high priority.
    """

    id: str
    at: float | None
    is_high: bool = False


@attrs.frozen(eq=False, repr=False)
class TimesPage(Value):
    """Answer of `ReadTimes`.

    Attributes:
        times: ids with their times. Times of results and taken ids may have passed.
        cursor: the cursor for the next page; empty after the last page.
    """

    times: tuple[IdTime, ...]
    cursor: str = ""


class RestoreAs(enum.Enum):
    """What a `Restored` is. See `Restore`."""

    ITEM = "item"
    WAITING = "waiting"
    SCHEDULED = "scheduled"
    STALLED = "stalled"
    RESULT = "result"
    TAKEN = "taken"


@attrs.frozen(eq=False, repr=False)
class Restored(Value):
    """Something to store under an id, as it was stored in another feed. See `Restore`.

    Times are seconds since 1970.

    Attributes:
        what: what it is.
        id: the id.
        item: the item. RESULT: the item of the job; None: unknown.
        at: ITEM: when it was published. SCHEDULED: when the job is due. WAITING, STALLED: for
            when it was scheduled. RESULT, TAKEN: until when; None: forever.
        put: when the job was put. None: now.
        is_high: whether a scheduled job has high priority.
        failures: how often the job failed.
        failed: when it last failed.
        stalled: when it was stalled.
        failure: why it last failed.
        result: the result, which can be None.
    """

    what: RestoreAs
    id: str = attrs.field(validator=_check_id)
    item: bytes | None = None
    at: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_seconds)
    )
    put: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_seconds)
    )
    is_high: bool = False
    failures: int = attrs.field(default=0, validator=_check_start)
    failed: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_seconds)
    )
    stalled: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_seconds)
    )
    failure: Failure | None = None
    result: bytes | None = None

    def __attrs_post_init__(self) -> None:
        if self.what in _ITEMS and not isinstance(self.item, bytes):
            raise InvalidType(f"item must be bytes, not {type(self.item).__name__}")
        if self.what is RestoreAs.SCHEDULED and self.at is None:
            raise InvalidValue("a scheduled job needs the time at which it is due")
        if self.what is RestoreAs.TAKEN and self.at is None:
            raise InvalidValue("an id that stays taken needs the time until when")


_ITEMS = (RestoreAs.ITEM, RestoreAs.WAITING, RestoreAs.SCHEDULED, RestoreAs.STALLED)

_RESTORED: Mapping[str, tuple[RestoreAs, ...]] = {
    FEED: (RestoreAs.ITEM,),
    SORTED_FEED: (RestoreAs.ITEM,),
    QUEUE: (RestoreAs.WAITING, RestoreAs.TAKEN),
    JOB: tuple(what for what in RestoreAs if what is not RestoreAs.ITEM),
}
"""By kind of feed, what can be restored there."""


@attrs.frozen(eq=False, repr=False)
class CreateResult(Value):
    """Answer of `CreateFeed`: whether the call created the feed, and its configuration."""

    created: bool
    config: Mapping[str, str]


@attrs.frozen(eq=False, repr=False)
class Delivery(Value):
    """An item that was taken. ``cancelled`` says how often its job was cancelled before."""

    id: str
    item: bytes
    cancelled: int = 0


@attrs.frozen(eq=False, repr=False)
class Batch(Value):
    """Answer of a take: the entries, and when to try again.

    Attributes:
        entries: the entries that were taken.
        retry_after: if there are none, seconds until a job is due or a claim may expire; None
            if only a put can make an entry available.
        lost: for `JobNext`, the jobs that it did not end because their claims no longer hold.
    """

    entries: tuple[Delivery, ...]
    retry_after: float | None = None
    lost: tuple[str, ...] = ()


@attrs.frozen(eq=False, repr=False)
class ClaimRef(Value):
    """A claim: a job's id and the token of the claim (empty: any claim)."""

    id: str = attrs.field(validator=_check_id)
    token: str = ""


@attrs.frozen(eq=False, repr=False)
class Completion(Value):
    """How one job is finished.

    Attributes:
        id: the job's id.
        token: the claim's token; empty: any claim.
        has_result: whether to store and announce ``result``.
        result: the result, which can be None.
        timeout: seconds to keep it. None: as configured. 0: forever.
    """

    id: str = attrs.field(validator=_check_id)
    token: str = ""
    has_result: bool = False
    result: bytes | None = None
    timeout: float | None = None


@attrs.frozen(eq=False, repr=False)
class StoredResult(Value):
    """A stored result. A ``query`` of None is unknown; a ``result`` of None is the value None."""

    query: bytes | None
    result: bytes | None


@attrs.frozen(eq=False, repr=False)
class JobCounts(Value):
    """The number of jobs in each state, and of jobs finished so far."""

    waiting: int
    claimed: int
    stalled: int
    finished: int
    scheduled: int = 0


@attrs.frozen(eq=False, repr=False)
class FeedStats(Value):
    """Statistics of a feed.

    A value is None if there is nothing to measure, or if it does not apply to the feed's
    type. Ages are by the backend's clock.

    Attributes:
        type: the stored type.
        items: the number of stored items, without scheduled jobs.
        publishes: publishes, puts and edits so far.
        waiting: items of a queue, or jobs, that wait to be taken.
        claimed: claimed jobs, or items of a queue that were taken but not yet confirmed.
        stalled: stalled jobs.
        failing: waiting, claimed or stalled jobs that were cancelled at least once.
        finished: jobs finished so far.
        oldest_waiting: seconds since the oldest waiting job was put or retried. (If the
            thousand oldest jobs are claimed: since the next job was put or retried.)
        oldest_claimed: seconds since the oldest claim was made. Extending it does not count.
        oldest_item: seconds since the first item of a feed was published.
        newest_item: seconds since the last item of a feed was published.
        scheduled: scheduled jobs whose time has not come yet.
        next_due: seconds until the next scheduled job, or the feed's next periodic job, is due.
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
        """The kind of feed that ``type`` means; None if it is not a built-in type."""
        return KIND_OF_TYPE.get(self.type)

    @property
    def done(self) -> int | None:
        """Items taken from a queue, or jobs finished, so far; None for other feeds."""
        if self.kind == QUEUE:
            return self.publishes - self.items
        return self.finished if self.kind == JOB else None

    @property
    def oldest(self) -> float | None:
        """The age of the oldest waiting job or, in a feed, of the first item, in seconds."""
        return self.oldest_item if self.oldest_waiting is None else self.oldest_waiting


@attrs.frozen(eq=False, repr=False)
class MaintenanceReport(Value):
    """What `JobMaintain` repaired.

    Attributes:
        expired: jobs whose claims had expired and that wait again.
        stalled: jobs whose claims had expired and that are stalled because of ``max_failures``.
        recovered: jobs that were in no state and wait again.
        discarded: items that a retraction left behind and that were removed.
    """

    expired: tuple[str, ...] = ()
    stalled: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    discarded: tuple[str, ...] = ()

    @classmethod
    def of_all(cls, reports: Iterable[MaintenanceReport]) -> MaintenanceReport:
        """Combine the reports of several steps."""
        every = [*reports]
        return cls(
            *(
                tuple(itertools.chain.from_iterable(getattr(one, field.name) for one in every))
                for field in attrs.fields(cls)
            )
        )


@attrs.frozen(eq=False, repr=False)
class Mended(Value):
    """Answer of `JobMend`.

    Attributes:
        report: what this step repaired.
        cursor: the cursor for the next step; empty after the last step.
        others: ids that are neither claimed nor stalled.
        waiting: ids that wait.
        looked_at: how many ``suspects``, starting with the first, were checked; at least one.
    """

    report: MaintenanceReport
    cursor: str = ""
    others: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    looked_at: int = 0


@attrs.frozen(eq=False, repr=False)
class SomeRetracted(Value):
    """Answer of `RetractSome`.

    Attributes:
        removed: for each id, whether it existed. None: repeat the request for this id.
        cursor: the cursor for the next request.
    """

    removed: tuple[bool | None, ...]
    cursor: str = ""


@attrs.frozen(eq=False, repr=False)
class Page(Value):
    """Answer of `ReadPage`.

    Attributes:
        ids: ids, in the requested order.
        items: their items, if requested.
        cursor: the cursor for the next page; empty after the last page.
    """

    ids: tuple[str, ...]
    items: tuple[bytes, ...]
    cursor: str


@attrs.frozen(eq=False, repr=False)
class SnapshotPage(Value):
    """Answer of `ReadSnapshotPage`.

    Attributes:
        mark: the ``mark`` of the `Marker` that belongs to this answer.
        total: the total number of ids.
        ids: the ids from ``start`` on, in order. Fewer than ``count`` may follow the skipped
            ones, but at least one if any exist.
        items: items by id.
    """

    mark: str
    total: int
    ids: tuple[str, ...]
    items: Mapping[str, bytes] = attrs.field(hash=False)


# --- operations ---------------------------------------------------------------------


@attrs.frozen(eq=False, repr=False)
class Operation(Value, Generic[R_co]):
    """One row of the contract. ``R_co`` is what executing it returns."""

    wakes_waiters: ClassVar[bool] = False
    """Whether the operation can make an entry available to a waiting consumer."""


class FeedNames(Operation[frozenset[str]]):
    """The names of all feeds."""

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class ReportWorker(Operation[None]):
    """Store a worker's report and replace its previous one.

    Attributes:
        worker: the report.
        keep: seconds after which the report is removed, unless the worker reports again.
    """

    worker: WorkerReport
    keep: float = attrs.field(validator=_check_keep)


@attrs.frozen(eq=False, repr=False)
class RemoveWorker(Operation[bool]):
    """Remove the report of a worker that has ended. Returns whether there was one."""

    id: str = attrs.field(validator=_check_id)


@attrs.frozen(eq=False, repr=False)
class ReadWorkers(Operation[WorkerPage]):
    """The workers whose reports have not expired, in pages."""

    cursor: str = ""


@attrs.frozen(eq=False, repr=False)
class FeedOperation(Operation[R_co]):
    """An operation on one feed. Raises `FeedDoesNotExist` if it needs the feed to exist."""

    feed: str = attrs.field(validator=_check_feed)


# attrs compiles an ``__init__`` for each of these, and their subclasses share it.


@attrs.frozen(eq=False, repr=False)
class ItemOperation(FeedOperation[R_co]):
    """An operation on one item or job."""

    id: str = attrs.field(validator=_check_id)


@attrs.frozen(eq=False, repr=False)
class ItemsOperation(FeedOperation[R_co]):
    """An operation on several items or jobs."""

    ids: tuple[str, ...] = attrs.field(validator=_check_ids)


@attrs.frozen(eq=False, repr=False)
class ClaimOperation(ItemOperation[R_co]):
    """An operation on one claim. An empty token means any claim."""

    token: str = ""


@attrs.frozen(eq=False, repr=False)
class ClaimsOperation(FeedOperation[R_co]):
    """An operation on several claims."""

    claims: tuple[ClaimRef, ...] = attrs.field(validator=_check_many)


@attrs.frozen(eq=False, repr=False)
class PutOperation(FeedOperation[None]):
    """Add entries at the end, in order."""

    entries: tuple[Entry, ...] = attrs.field(validator=_check_many)
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_check_priority)


class RegisterFeed(FeedOperation[bool]):
    """Add the feed to the list of names and announce it. Returns whether it was new."""

    __slots__ = ()


class UnregisterFeed(FeedOperation[bool]):
    """Remove the feed from the list of names and announce it. Returns whether it was listed."""

    __slots__ = ()


class FeedIsRegistered(FeedOperation[bool]):
    """Whether the feed is on the list of names."""

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class CreateFeed(FeedOperation[CreateResult]):
    """Store a configuration unless the feed already has one. ``config`` includes ``type``."""

    config: Mapping[str, str] = attrs.field(hash=False)


@attrs.frozen(eq=False, repr=False)
class DeleteFeed(FeedOperation[tuple[str, ...]]):
    """Remove every key of the feed.

    Stored results have separate keys. While some of them are left, the operation
    deletes only the ``results`` that are listed here and returns ids of others:
    repeat it with these. An empty answer means that the feed was deleted. Raises
    `FeedDoesNotExist` if there was no such feed.
    """

    results: tuple[str, ...] = ()


@attrs.frozen(eq=False, repr=False)
class SetConfig(FeedOperation[tuple[str, ...]]):
    """Set fields; None removes one. A lower ``max_length`` trims at once. Returns trimmed ids."""

    config: Mapping[str, str | None] = attrs.field(hash=False)


@attrs.frozen(eq=False, repr=False)
class FeedTrim(FeedOperation[tuple[str, ...]]):
    """Remove the oldest items until ``length`` are left, at most 1000. Returns their ids.

    Use it to shorten a long feed in short steps before setting a lower ``max_length``.
    """

    length: int = attrs.field(validator=_check_start)


class GetConfig(FeedOperation[Mapping[str, str]]):
    """All stored fields. Empty if the feed does not exist."""

    __slots__ = ()


class ReadItem(ItemOperation[bytes | None]):
    """The item with an id, or None. For every type of feed."""

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class ReadItems(FeedOperation[dict[str, bytes]]):
    """Items by id: those of ``ids`` that exist, or all. For every type of feed."""

    ids: tuple[str, ...] | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_ids)
    )


class CountItems(FeedOperation[int]):
    """How many items are stored. For every type of feed."""

    __slots__ = ()


class HasItem(ItemOperation[bool]):
    """Whether an item of that id is stored. For every type of feed."""

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class ReadStats(FeedOperation[FeedStats]):
    """Statistics of a feed, at a cost that does not grow with the feed.

    ``kind`` is the feed's kind; if it is empty, the stored type decides. Works for every
    type of feed. For a type that is not built in and an empty ``kind``, the answer has
    only items and publishes.
    """

    kind: str = attrs.field(default="", validator=attrs.validators.in_(("", *KINDS)))


@attrs.frozen(eq=False, repr=False)
class ReadIds(FeedOperation[tuple[str, ...]]):
    """All ids. ``kind`` is the feed's kind (`thoonk.config`) and determines their order.

    Feed: as published. Sorted feed: first to last. Queue: the next one first.
    Job: all unfinished jobs, in no particular order.
    """

    kind: str = attrs.field(validator=attrs.validators.in_(KINDS))


@attrs.frozen(eq=False, repr=False)
class ReadPage(FeedOperation[Page]):
    """A page of ids, in the order of `ReadIds` or in reverse, optionally with their items.

    Attributes:
        kind: as for `ReadIds`. A job feed is unordered, so ``start`` must be 0 and ``reverse``
            False.
        start: how many ids to skip, if there is no cursor.
        count: the largest number of ids. A page with large items has fewer.
        reverse: whether to read from the last one to the first.
        with_items: whether to read the items, too.
        cursor: the cursor of the previous page.
    """

    kind: str = attrs.field(validator=attrs.validators.in_(KINDS))
    start: int = attrs.field(default=0, validator=_check_start)
    count: int = attrs.field(default=MOST, validator=_check_count)
    reverse: bool = False
    with_items: bool = False
    cursor: str = ""


@attrs.frozen(eq=False, repr=False)
class ReadSnapshotPage(FeedOperation[SnapshotPage]):
    """A page of a feed or sorted feed, read at a known point among its notices.

    The subscription whose token is ``marker`` receives a `Marker` with that token. The answer
    includes the changes whose notices come before the marker and none of those after it.
    If the operation is executed twice, it sends two markers, each with a different ``mark``.

    Attributes:
        kind: as for `ReadIds`.
        marker: the subscription's token.
        tag: a text that the caller chooses, different for each page; part of the mark.
        start: how many ids to leave out.
        skip: how many ids from there on to return without their items.
        count: the largest number of ids after these. A page with large items has fewer.
        wanted: further ids whose items to return (as many as fit, at least one). For an id
            that does not exist, the item is empty.
        known: ids with the `digest_of` their items. An unchanged item may be left out.
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


@attrs.frozen(eq=False, repr=False)
class ReadTimes(FeedOperation[TimesPage]):
    """A page of ids with the times that are stored for them, to copy a feed.

    Attributes:
        kind: the feed's kind.
        of: which times. PUBLISHED is for feeds, in their order; SCHEDULED and RESULTS are for
            job feeds, TAKEN also for queues, each in any order.
        count: the largest number of ids.
        cursor: the cursor of the previous page.
    """

    kind: str = attrs.field(validator=attrs.validators.in_(KINDS))
    of: Times
    count: int = attrs.field(default=MOST, validator=_check_count)
    cursor: str = ""

    def __attrs_post_init__(self) -> None:
        if self.kind not in _TIMED[self.of]:
            allowed = " or ".join(_TIMED[self.of])
            raise InvalidValue(f"of {self.of.value!r} needs the kind {allowed}, not {self.kind!r}")


_TIMED: Mapping[Times, tuple[str, ...]] = {
    Times.PUBLISHED: (FEED,),
    Times.SCHEDULED: (JOB,),
    Times.RESULTS: (JOB,),
    Times.TAKEN: (QUEUE, JOB),
}


@attrs.frozen(eq=False, repr=False)
class Restore(FeedOperation[tuple[Outcome, ...]]):
    """Store what was read from another feed, with its ids, times, failures and results.

    Returns the outcome for each of ``entries``, then for each of ``schedules``. Executed again,
    it adds nothing twice: except for an ITEM that differs, what exists is KEPT.

    - ITEM joins the end of a feed or sorted feed. Its time is ``at``, or just after that of the
      last item if it would be earlier. If the id exists with another item, it is REPLACED, as
      `FeedPublish` and `SortedEdit` do.
    - WAITING joins the end of a queue or job feed, SCHEDULED and STALLED are jobs in these
      states. If the id exists in any state, it is KEPT.
    - RESULT is a stored result. One whose time has passed is not stored: KEPT.
    - TAKEN keeps an id taken, as the ``unique_for`` of a put does.

    Attributes:
        kind: the feed's kind.
        entries: what to store, at most 1000.
        schedules: schedules of periodic jobs, with their next times.
    """

    wakes_waiters: ClassVar[bool] = True

    kind: str = attrs.field(validator=attrs.validators.in_(KINDS))
    entries: tuple[Restored, ...] = attrs.field(default=(), validator=_check_most)
    schedules: tuple[ScheduleStatus, ...] = attrs.field(default=(), validator=_check_most)

    def __attrs_post_init__(self) -> None:
        if not self.entries and not self.schedules:
            raise InvalidValue("entries or schedules must have an element")
        if self.schedules and self.kind != JOB:
            raise InvalidValue(f"schedules need the kind job, not {self.kind!r}")
        allowed = _RESTORED[self.kind]
        for entry in self.entries:
            if entry.what not in allowed:
                words = ", ".join(what.value for what in allowed)
                raise InvalidValue(f"a {self.kind} restores {words}, not {entry.what.value!r}")
            if self.kind == QUEUE and (entry.failures or entry.failure):
                raise InvalidValue(
                    f"an item of a queue cannot have failed: {entry.id!r:.80} has "
                    f"{entry.failures} failures"
                )


@attrs.frozen(eq=False, repr=False)
class FeedPublish(FeedOperation[tuple[bool, ...]]):
    """Publish entries at the end, in order. Returns for each one whether its id was new."""

    entries: tuple[Entry, ...] = attrs.field(validator=_check_many)


class FeedRetract(ItemsOperation[tuple[bool, ...]]):
    """Remove items. Returns for each id whether it existed."""

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class SortedInsert(FeedOperation[tuple[str, ...]]):
    """Insert items at a position, in order. Returns their new ids.

    Raises `ItemDoesNotExist` if there is no such neighbor.
    """

    items: tuple[bytes, ...] = attrs.field(validator=_check_items)
    position: Position = attrs.field(default=Position(Where.END))


@attrs.frozen(eq=False, repr=False)
class SortedEdit(FeedOperation[None]):
    """Replace an item without moving it. Raises `ItemDoesNotExist` if there is no such item."""

    entry: Entry


@attrs.frozen(eq=False, repr=False)
class SortedMove(FeedOperation[None]):
    """Move an item. Moving it next to itself changes nothing.

    Raises `ItemDoesNotExist` if there is no such item or neighbor.
    """

    id: str = attrs.field(validator=_check_id)
    position: Position


class SortedRetract(ItemsOperation[tuple[bool, ...]]):
    """Remove items. Returns for each id whether it existed."""

    __slots__ = ()


class QueuePut(PutOperation):
    """Add entries at the end, in order. Entries with high priority are taken first."""

    __slots__ = ()

    wakes_waiters: ClassVar[bool] = True


@attrs.frozen(eq=False, repr=False)
class QueueAdd(FeedOperation[tuple[Outcome, ...]]):
    """Add entries as `QueuePut` does, with ids that may already be taken.

    An id is taken while its item waits or is not yet confirmed, and for the ``unique_for``
    of its put. A replaced item keeps its place. Otherwise like `JobAdd`. Returns the outcome
    for each entry.
    """

    wakes_waiters: ClassVar[bool] = True

    entries: tuple[Entry, ...] = attrs.field(validator=_check_own)
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_check_priority)
    if_exists: IfExists = IfExists.KEEP
    unique_for: float = attrs.field(default=0.0, validator=_check_seconds)


@attrs.frozen(eq=False, repr=False)
class TakeOperation(FeedOperation[Batch]):
    """An operation for which a backend can wait until an entry is available.

    It takes up to ``count`` entries under ``token``, which the consumer creates. Executed
    again with the same token, it returns the same answer until the entries are ended,
    confirmed or released.

    Attributes:
        recover_expired: whether to recover expired claims and unconfirmed items first. If
            False, this happens only when nothing waits. A caller that takes many times a
            second need not do it every time.
    """

    token: str = attrs.field(validator=_check_id)
    count: int = attrs.field(default=1, validator=_check_count)
    recover_expired: bool = attrs.field(default=True, kw_only=True)


class QueueTake(TakeOperation):
    """Take the next items. `QueueConfirm` removes them.

    Items that are not confirmed within `CONFIRM_WITHIN` return to the queue.
    """

    __slots__ = ()

    wakes_waiters: ClassVar[bool] = True


@attrs.frozen(eq=False, repr=False)
class QueueConfirm(FeedOperation[None]):
    """Confirm that items have arrived, and remove them.

    Raises `NotClaimed` if they were taken too long ago.
    """

    ids: tuple[str, ...] = attrs.field(validator=_check_ids)
    token: str = attrs.field(validator=_check_id)


@attrs.frozen(eq=False, repr=False)
class QueueReturn(FeedOperation[None]):
    """Put back items that were taken, and possibly confirmed, but that no program received."""

    wakes_waiters: ClassVar[bool] = True

    entries: tuple[Entry, ...] = attrs.field(validator=_check_many)
    token: str = attrs.field(validator=_check_id)


@attrs.frozen(eq=False, repr=False)
class Release(FeedOperation[tuple[str, ...]]):
    """Put back, at the front, entries that were taken under a token. Counts no failure.

    With ``ids``, only these are put back. Returns the ids. For queues and job feeds.
    """

    wakes_waiters: ClassVar[bool] = True

    token: str = attrs.field(validator=_check_id)
    ids: tuple[str, ...] = attrs.field(default=(), validator=_check_most)


class JobPut(PutOperation):
    """Add jobs at the end, in order. Jobs with high priority are claimed first."""

    __slots__ = ()

    wakes_waiters: ClassVar[bool] = True


@attrs.frozen(eq=False, repr=False)
class JobAdd(FeedOperation[tuple[Outcome, ...]]):
    """Add jobs as `JobPut` does, for a later time, or with ids that may already be taken.

    An id is taken while its job waits, is scheduled, claimed or stalled, and for the
    ``unique_for`` of its put. Returns the outcome for each job.

    Attributes:
        due: when the jobs become available. None or a time in the past: now.
        if_exists: what to do when an id is taken. KEEP: nothing. REPLACE: unless the job is
            claimed, it gets the new item and time and starts over. REFUSE: raise `ItemExists`
            and add none of the entries.
        unique_for: seconds for which the ids stay taken, even after the jobs have ended.
    """

    wakes_waiters: ClassVar[bool] = True

    entries: tuple[Entry, ...] = attrs.field(validator=_check_own)
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_check_priority)
    due: Due | None = None
    if_exists: IfExists = IfExists.KEEP
    unique_for: float = attrs.field(default=0.0, validator=_check_seconds)


@attrs.frozen(eq=False, repr=False)
class JobFail(FeedOperation[Failed]):
    """Give a claimed job back as `JobCancel` does, or stall it as `JobStall` does, with a reason.

    Raises `NotClaimed` as `JobFinish` does.

    Attributes:
        due: when the job becomes available again. None: at once.
        stall: whether to stall the job instead.
        failure: why the job failed.
    """

    wakes_waiters: ClassVar[bool] = True

    id: str = attrs.field(validator=_check_id)
    token: str = ""
    due: Due | None = None
    stall: bool = False
    failure: Failure | None = None


@attrs.frozen(eq=False, repr=False)
class JobReschedule(FeedOperation[bool]):
    """Change the time of a scheduled job.

    Returns True if the job is still scheduled, False if it is now available. Raises
    `NotScheduled` if the job is not scheduled.
    """

    wakes_waiters: ClassVar[bool] = True

    id: str = attrs.field(validator=_check_id)
    due: Due


@attrs.frozen(eq=False, repr=False)
class JobProgress(FeedOperation[None]):
    """Record the progress of a claimed job. Raises `NotClaimed` as `JobFinish` does.

    Attributes:
        fraction: 0 to 1.
        text: the current step.
    """

    id: str = attrs.field(validator=_check_id)
    token: str
    fraction: float = attrs.field(validator=_check_fraction)
    text: str = ""


class JobHolds(ClaimsOperation[tuple[bool, ...]]):
    """Whether claims still hold. Changes nothing."""

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class ReadJobs(FeedOperation[Mapping[str, bytes | None]]):
    """Unfinished jobs by id, including scheduled ones.

    Attributes:
        ids: the ids to read, of which those that exist are returned. None: all.
        with_items: whether to read the items. If False, the values are None.
    """

    ids: tuple[str, ...] | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_ids)
    )
    with_items: bool = False


class ReadJob(ItemOperation[JobInfo | None]):
    """The state and history of a job. None if there is no such job and no result of it."""

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class ReadJobPage(FeedOperation[JobPage]):
    """A page of the jobs in one state.

    Scheduled jobs are ordered by their times, claimed jobs by their last heartbeats, and
    waiting jobs as they will be taken. Stalled jobs are in no particular order.

    Attributes:
        state: the state; not FINISHED.
        count: the largest number of jobs. A page with large items has fewer.
        cursor: the cursor of the previous page.
    """

    state: JobState = attrs.field(validator=_check_state)
    count: int = attrs.field(default=MOST, validator=_check_count)
    cursor: str = ""


@attrs.frozen(eq=False, repr=False)
class JobRetryAll(FeedOperation[Step]):
    """Put back at most ``count`` stalled jobs, as `JobRetry` does."""

    wakes_waiters: ClassVar[bool] = True

    count: int = attrs.field(default=MOST, validator=_check_count)


@attrs.frozen(eq=False, repr=False)
class JobClear(FeedOperation[Step]):
    """Remove at most ``count`` jobs in one state, as `JobRetract` does."""

    state: JobState = attrs.field(validator=_check_state)
    count: int = attrs.field(default=MOST, validator=_check_count)


@attrs.frozen(eq=False, repr=False)
class QueueClear(FeedOperation[Step]):
    """Remove at most ``count`` waiting items of a queue, and as many that are unconfirmed."""

    count: int = attrs.field(default=MOST, validator=_check_count)


@attrs.frozen(eq=False, repr=False)
class JobSchedule(FeedOperation[bool]):
    """Create or replace a schedule. Returns whether it is new or has changed.

    If the same schedule already exists, it continues unchanged.

    Attributes:
        schedule: what to put, and when.
        times: for a schedule without ``every``, the first times at which it is due, in order,
            in seconds since 1970. `JobSetRuns` adds more.
    """

    wakes_waiters: ClassVar[bool] = True

    schedule: Schedule
    times: tuple[float, ...] = attrs.field(default=(), validator=_check_most)


@attrs.frozen(eq=False, repr=False)
class JobSetRuns(FeedOperation[bool]):
    """Set when a schedule is next due. Returns False, and does nothing, if it has changed.

    Attributes:
        schedule: the schedule as it was read.
        times: the next times, in order. Times up to the known next one are ignored.
    """

    wakes_waiters: ClassVar[bool] = True

    schedule: Schedule
    times: tuple[float, ...] = attrs.field(validator=_check_many)


@attrs.frozen(eq=False, repr=False)
class JobUnschedule(FeedOperation[bool]):
    """Remove a schedule. Returns whether there was one. Jobs that it has put remain."""

    name: str = attrs.field(validator=_check_id)


@attrs.frozen(eq=False, repr=False)
class ReadSchedules(FeedOperation[tuple[ScheduleStatus, ...]]):
    """The schedules of a feed: those of ``names`` that exist, or all."""

    names: tuple[str, ...] = attrs.field(default=(), validator=_check_most)


class PauseFeed(FeedOperation[bool | None]):
    """Pause a queue or job feed. Returns whether it was running; None: repeat the operation.

    Puts still work, and claims can be finished. Waiting callers keep waiting.
    """

    __slots__ = ()


class ResumeFeed(FeedOperation[bool | None]):
    """End a pause. Returns whether the feed was paused; None: repeat the operation."""

    __slots__ = ()

    wakes_waiters: ClassVar[bool] = True


class JobClaim(TakeOperation):
    """Claim jobs. Also recovers expired claims, and makes jobs available that are due."""

    __slots__ = ()

    wakes_waiters: ClassVar[bool] = True


@attrs.frozen(eq=False, repr=False)
class JobFinish(FeedOperation[None]):
    """Finish jobs, all or none. Raises `NotClaimed` if one is not claimed under its token."""

    completions: tuple[Completion, ...] = attrs.field(validator=_check_many)


@attrs.frozen(eq=False, repr=False)
class JobNext(TakeOperation):
    """End jobs and claim the next ones, as `JobFinish`, `JobCancel` and `JobClaim` do.

    A job that is not claimed under its token is skipped and reported as lost. Executed again
    with the same token, the operation ends no further jobs and reports as lost those that it
    has already ended. A ``count`` of 0 claims none.
    """

    wakes_waiters: ClassVar[bool] = True

    count: int = attrs.field(default=1, validator=_check_count_or_none)
    finished: tuple[Completion, ...] = attrs.field(default=(), validator=_check_most)
    cancelled: tuple[ClaimRef, ...] = attrs.field(default=(), validator=_check_most)


class JobExtend(ClaimsOperation[tuple[bool, ...]]):
    """Restart the timeout of claims. Returns for each one whether it still holds."""

    __slots__ = ()


class JobCancel(ClaimOperation[bool]):
    """Give a claimed job back. Raises `NotClaimed` as `JobFinish` does.

    A job that has failed too often is stalled. Returns whether it was.
    """

    __slots__ = ()

    wakes_waiters: ClassVar[bool] = True


class JobStall(ClaimOperation[None]):
    """Stall a claimed job. Raises `NotClaimed` as `JobFinish` does."""

    __slots__ = ()


class JobRetry(ItemOperation[None]):
    """Put a stalled job back. Raises `NotStalled` if it is not stalled."""

    __slots__ = ()

    wakes_waiters: ClassVar[bool] = True


class JobRetract(ItemsOperation[tuple[bool, ...]]):
    """Remove jobs in any state. Returns for each id whether it existed."""

    __slots__ = ()


class JobFailures(ItemOperation[int]):
    """How often a job was cancelled since it was put or retried."""

    __slots__ = ()


class CountJobs(FeedOperation[JobCounts]):
    """The number of jobs in each state."""

    __slots__ = ()


class ReadResult(ItemOperation[StoredResult | None]):
    """The stored result of a job, or None if there is none."""

    __slots__ = ()


class JobMaintain(FeedOperation[MaintenanceReport]):
    """Recover expired claims, and jobs that a crashed peer left in no state."""

    __slots__ = ()

    wakes_waiters: ClassVar[bool] = True


@attrs.frozen(eq=False, repr=False)
class JobMend(FeedOperation[Mended]):
    """One short step of `JobMaintain`, so that the backend can serve others in between.

    The first step has no ``cursor``. A backend with little to do does everything in the first
    step. A backend that has to search for lost jobs first reports the ids that are neither
    claimed nor stalled, then the ids that wait. After the last step, pass as ``suspects`` the
    ids of the first group that are not in the second: those that are still in no state are
    recovered or discarded.
    """

    wakes_waiters: ClassVar[bool] = True

    cursor: str = ""
    suspects: tuple[str, ...] = attrs.field(default=(), validator=_check_most)


@attrs.frozen(eq=False, repr=False)
class RetractSome(FeedOperation[SomeRetracted]):
    """Remove jobs, or items of a sorted feed, as many as one short step can.

    Finding them in a long list takes time. Repeat the operation with the answer's cursor for
    the ids whose ``removed`` is None, until none is left. Otherwise like `JobRetract` and
    `SortedRetract`.
    """

    kind: str = attrs.field(validator=attrs.validators.in_((SORTED_FEED, JOB)))
    ids: tuple[str, ...] = attrs.field(validator=_check_ids)
    cursor: str = ""
