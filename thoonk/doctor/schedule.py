"""Rules about jobs that are available later, ids that stay taken, and feeds that are paused."""

from __future__ import annotations

from collections.abc import Iterator

from thoonk.backends.redis.wire import count_of
from thoonk.doctor.findings import Check, Severity
from thoonk.doctor.item_state import NO_TIME_BELOW, Fault, Feed, ItemState, Rule, text_of_time
from thoonk.doctor.probe import words
from thoonk.operations import LATEST

NO_DUE = Check(
    "no-due",
    Severity.ERROR,
    "these jobs have an item in feed.scheduleditems and no time in feed.scheduled: they never run",
    "Repair",
    "they are due now",
)
NOT_SCHEDULED = Check(
    "not-scheduled",
    Severity.WARNING,
    "an id in feed.scheduled without an item in feed.scheduleditems: it is skipped when it is "
    "due, and taken until then",
    "Repair, and put the job again: the item cannot be restored",
    "the ids are removed",
)
SCHEDULED_TOO = Check(
    "scheduled-too",
    Severity.ERROR,
    "a job is both scheduled and available: it may run twice, or early",
    "Compare both items, in feed.items and feed.scheduleditems, and remove one of them",
    "if the available one is in no state, it is removed",
)
WRONG_DUE = Check(
    "wrong-due",
    Severity.WARNING,
    "a value in feed.scheduled is not a time: the job would run early, or never",
    "Repair, and find its writer",
    "they are due now",
)
WRONG_UNIQUE = Check(
    "wrong-unique",
    Severity.WARNING,
    "a value in feed.unique is not a time: the id would stay taken forever, or not at all",
    "Repair, and find its writer",
    "the ids are free",
)
LEFT_PAUSED = Check(
    "left-paused",
    Severity.ERROR,
    "the feed is not paused, but these are in feed.paused, where no worker takes them",
    "Pause the feed and resume it, which is quick for any number; or repair",
    "they wait again, as the next ones",
)
NOT_PAUSED = Check(
    "not-paused",
    Severity.WARNING,
    "the feed is paused, but these are in feed.ids, where older peers take them",
    "Start a worker of this library, which moves them; or repair",
    "they wait for the end of the pause",
)

STALE_RUN = Check(
    "stale-run",
    Severity.WARNING,
    "times in feed.runs or feed.runtimes of schedules that do not exist; they have no effect",
    "Repair",
    "the times are removed",
)
WRONG_RUN = Check(
    "wrong-run",
    Severity.WARNING,
    "a value in feed.runs is not a time: the schedule puts jobs too early, or none",
    "Remove the schedule and set it again, and find its writer",
)

NO_RUN = Check(
    "no-run",
    Severity.WARNING,
    "schedules without a next time: they put no jobs",
    "Those with a cron expression get times from a worker of this library within a minute, or from "
    "thoonk job schedules, both with the extra cron; repair those with every",
    "those with every are due after that interval",
)
NO_SCHEDULE = Check(
    "no-schedule",
    Severity.WARNING,
    "a value in feed.schedules is not a schedule: its times or its item are unknown",
    "Set it again under its name, or remove it: thoonk job unschedule; find its writer",
)
WRONG_TIMES = Check(
    "wrong-times",
    Severity.WARNING,
    "values in feed.runtimes are not times: the schedule ends there, or puts jobs early",
    "Remove the schedule and set it again, and find its writer",
)

_LATEST_DUE = LATEST * 1000 + 1000
"""Ms since 1970: a greater number cannot be a time that a program asked for."""

_LATEST_UNIQUE = 2 * _LATEST_DUE
"""The same of an id that stays taken for as long as can be asked for, from now on."""


def no_due(state: ItemState, feed: Feed) -> Fault | None:
    """An item that waits for a time which is not there."""
    if not state.later or state.due is not None or state.item or state.is_known:
        return None
    write = words("ZADD", feed.keys.scheduled, "NX", text_of_time(feed.now), state.id)
    return Fault(NO_DUE, "jobs that are due at no time", (write,))


def not_scheduled(state: ItemState, feed: Feed) -> Fault | None:
    """A time at which nothing is due."""
    if state.due is None or state.later:
        return None
    write = words("ZREM", feed.keys.scheduled, state.id)
    return Fault(NOT_SCHEDULED, "scheduled ids without item", (write,))


def scheduled_too(state: ItemState, feed: Feed) -> Fault | None:
    """A scheduled job that is among the available ones, too."""
    if not state.later or not (state.item or state.is_known):
        return None
    if state.is_known or state.due is None:
        return Fault(SCHEDULED_TOO, "scheduled and available")  # which one is meant?
    writes = (
        words("HDEL", feed.keys.items, state.id),
        words("ZREM", feed.keys.published, state.id),
    )
    return Fault(SCHEDULED_TOO, "scheduled, with a second item", writes)


def wrong_due(state: ItemState, feed: Feed) -> Fault | None:
    """A number that is no time at which a job can be due."""
    if not state.later or state.due is None or NO_TIME_BELOW <= state.due <= _LATEST_DUE:
        return None
    write = words("ZADD", feed.keys.scheduled, "XX", text_of_time(feed.now), state.id)
    return Fault(WRONG_DUE, "due at what is no time", (write,))


def wrong_unique(state: ItemState, feed: Feed) -> Fault | None:
    """A number that is no time until which an id can be taken."""
    if state.unique is None or NO_TIME_BELOW <= state.unique <= _LATEST_UNIQUE:
        return None
    write = words("ZREM", feed.keys.unique, state.id)
    return Fault(WRONG_UNIQUE, "taken until what is no time", (write,))


def left_paused(state: ItemState, feed: Feed) -> Fault | None:
    """What waits for the end of a pause that is over."""
    if feed.is_paused or not state.item or state.paused != 1:
        return None
    if state.in_lists > 1 or state.claimed is not None or state.stalled:
        return None  # first it has to be in one state, once
    writes = (
        words("LREM", feed.keys.paused, 1, state.id),
        words("RPUSH", feed.keys.ids, state.id),
    )
    return Fault(LEFT_PAUSED, "left in feed.paused", writes)


def not_paused(state: ItemState, feed: Feed) -> Fault | None:
    """What waits at the wrong place during a pause."""
    if not feed.is_paused or not state.item or state.waiting != 1:
        return None
    if state.in_lists > 1 or state.claimed is not None or state.stalled:
        return None  # first it has to be in one state, once
    writes = (
        words("LREM", feed.keys.ids, 1, state.id),
        words("LPUSH", feed.keys.paused, state.id),
    )
    return Fault(NOT_PAUSED, "in feed.ids although it is paused", writes)


def run_rules(
    feed: Feed, name: bytes, stored: bytes | None, run: bytes | None, times: bytes | None
) -> Iterator[Fault]:
    """What a schedule says, when it is due, and what is left of one that is not there."""
    if stored is None:
        if run is not None or times is not None:
            writes = (words("ZREM", feed.keys.runs, name), words("HDEL", feed.keys.runtimes, name))
            yield Fault(STALE_RUN, "times of no schedule", writes)
        return
    every = _every_of(stored)
    if every is None:
        yield Fault(NO_SCHEDULE, "schedules that say nothing")
    elif run is None:
        due = text_of_time(feed.now + every)
        write = words("ZADD", feed.keys.runs, "NX", due, name)
        yield Fault(NO_RUN, "schedules that have no next time", (write,) if every else ())
    if run is not None and not _is_due(float(run)):
        yield Fault(WRONG_RUN, "schedules that are due at no time")
    if not all(word.isdigit() and _is_due(float(word)) for word in (times or b"").split()):
        yield Fault(WRONG_TIMES, "schedules with later times that are none")


def _is_due(time: float) -> bool:
    return NO_TIME_BELOW <= time <= _LATEST_DUE


def _every_of(stored: bytes) -> int | None:
    """The ms between two jobs of a schedule; 0: cron says; None: it is no schedule."""
    head, separator, _ = (b"\0" + stored).partition(b"\0item=")
    texts = dict(text.partition(b"=")[::2] for text in head.split(b"\0"))
    every, missed = texts.get(b"every"), texts.get(b"missed", b"once")
    if not separator or missed not in (b"once", b"skip"):
        return None
    if every is None:
        return 0 if texts.get(b"cron") else None
    return count_of(every) or None


RULES: tuple[Rule, ...] = (
    no_due,
    not_scheduled,
    scheduled_too,
    wrong_due,
    wrong_unique,
    left_paused,
    not_paused,
)
