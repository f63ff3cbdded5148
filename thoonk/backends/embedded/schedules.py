"""Operations on the schedules of periodic jobs."""

from __future__ import annotations

import json
from typing import Any

from thoonk import operations as ops
from thoonk.backends.embedded.step import SECOND, Step, does
from thoonk.backends.embedded.store import Feed, Record, Row, Shelf, State
from thoonk.config import JOB
from thoonk.notices import Put

MISSED = 60_000
"""Milliseconds after which the time of a periodic job was missed: no consumer has looked."""

MILLISECOND = SECOND // 1000


def _record(schedule: ops.Schedule, times: list[int]) -> Record:
    """How a schedule is kept, with its next times in milliseconds."""
    text = {
        "every": schedule.every,
        "cron": schedule.cron,
        "tz": schedule.tz,
        "if_missed": schedule.if_missed.value,
        "priority": int(schedule.priority),
        "later": times[1:],
    }
    at = times[0] * MILLISECOND if times else None
    return Record(schedule.name, at, json.dumps(text), first=schedule.item)


def _read(record: Record) -> tuple[ops.Schedule, list[int]]:
    """A schedule as it was kept, and its next times."""
    text: dict[str, Any] = json.loads(record.text)
    schedule = ops.Schedule(
        record.id,
        record.first or b"",
        text["every"],
        text["cron"],
        text["tz"],
        ops.IfMissed(text["if_missed"]),
        ops.Priority(text["priority"]),
    )
    first = [] if record.at is None else [record.at // MILLISECOND]
    return schedule, [*first, *text["later"]]


def _find(step: Step, feed: Feed, name: str) -> tuple[ops.Schedule | None, list[int]]:
    record = step.store.record(feed, Shelf.SCHEDULE, name)
    return (None, []) if record is None else _read(record)


@does(ops.JobSchedule)
def job_schedule(step: Step, op: ops.JobSchedule) -> bool:
    """Keep a schedule."""
    feed = step.feed(op.feed, JOB)
    known, times = _find(step, feed, op.schedule.name)
    if known == op.schedule and times:
        return False
    times = [round(seconds * 1000) for seconds in op.times]
    if op.schedule.every is not None:
        times = [int(step.now / MILLISECOND + op.schedule.every * 1000)]
    step.store.put_record(feed, Shelf.SCHEDULE, _record(op.schedule, times))
    return True


@does(ops.JobSetRuns)
def job_set_runs(step: Step, op: ops.JobSetRuns) -> bool:
    """Keep the next times of a schedule."""
    feed = step.feed(op.feed, JOB)
    known, times = _find(step, feed, op.schedule.name)
    if known != op.schedule:
        return False
    after = times[0] if times else step.now / MILLISECOND
    more = [time for seconds in op.times if (time := round(seconds * 1000)) > after]
    step.store.put_record(feed, Shelf.SCHEDULE, _record(known, times[:1] + more))
    return True


@does(ops.JobUnschedule)
def job_unschedule(step: Step, op: ops.JobUnschedule) -> bool:
    """Remove a schedule."""
    return step.store.remove_record(step.feed(op.feed, JOB), Shelf.SCHEDULE, op.name)


@does(ops.ReadSchedules, writes=False)
def read_schedules(step: Step, op: ops.ReadSchedules) -> tuple[ops.ScheduleStatus, ...]:
    """The schedules of a feed."""
    feed = step.feed(op.feed, JOB)
    if op.names:
        named = [step.store.record(feed, Shelf.SCHEDULE, name) for name in op.names]
        records = [record for record in named if record is not None]
    else:
        records = step.store.records(feed, Shelf.SCHEDULE)
    found = []
    for schedule, times in map(_read, records):
        seconds = [time / 1000 for time in times]
        first = seconds[0] if seconds else None
        found.append(ops.ScheduleStatus(schedule, first, tuple(seconds[1:])))
    return tuple(found)


def restore_schedule(step: Step, feed: Feed, status: ops.ScheduleStatus) -> bool:
    """Keep a schedule with its next times, unless there is one of that name: then False."""
    name = status.schedule.name
    if step.store.record(feed, Shelf.SCHEDULE, name) is not None:
        return False
    first = [] if status.next is None else [status.next]
    times = [round(seconds * 1000) for seconds in (*first, *status.later)]
    step.store.put_record(feed, Shelf.SCHEDULE, _record(status.schedule, times))
    return True


def bring_runs(step: Step, feed: Feed) -> None:
    """Put the jobs of schedules that are due."""
    for record in step.store.records(feed, Shelf.SCHEDULE, until=step.now, limit=ops.MOST):
        schedule, times = _read(record)
        for time in _past(schedule, times, step.now // MILLISECOND):
            id = f"{schedule.name}@{time}"
            if not step.store.get(feed, (id,)):
                place = step.end_place(feed, schedule.priority)
                row = Row(id, State.WAITING, place, time * MILLISECOND)
                step.add(feed, [row], [schedule.item])
                step.event(feed, Put, id)
        step.store.put_record(feed, Shelf.SCHEDULE, _record(schedule, times))


def _past(schedule: ops.Schedule, times: list[int], now: int) -> list[int]:
    """Take the times that have passed out of ``times``; those of which a job is put."""
    first, past = times[0], list[int]()
    every = round((schedule.every or 0) * 1000)
    missed = first < now - MISSED
    if every and missed:
        # Of many that were missed only the last one counts.
        times[0] += (now - first) // every * every
    while times and times[0] <= now and len(past) < ops.MOST:
        past.append(times.pop(0))
        if every:
            times.append(past[-1] + every)
    if missed:
        return [] if schedule.if_missed is ops.IfMissed.SKIP else past[-1:]
    return past
