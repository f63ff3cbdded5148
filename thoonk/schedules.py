"""Periodic jobs: what a program says of them, and when cron expressions are due."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import zoneinfo
from typing import Any, Generic, TypeVar

import attrs

from thoonk.exceptions import BackendNotInstalled, InvalidType, InvalidValue
from thoonk.extras import how_to_install
from thoonk.names import check_id, check_timeout
from thoonk.operations import IfMissed, Priority, Schedule

T = TypeVar("T")

TOLD = 100
"""How many times the backend gets in advance, for consumers that do not know cron."""

RENEW_BELOW = 50
"""With fewer times left than these, it gets more."""

SHORTEST = 0.1
"""Seconds between two jobs of a schedule, at least."""

RUN = re.compile(r"(.+)@\d{12,15}", re.DOTALL)
"""What the id of a periodic job looks like."""


@attrs.frozen
class PeriodicJob(Generic[T]):
    """A schedule, as `Job.schedules` shows it.

    Attributes:
        name: its name; the jobs have the ids NAME@MS, their times in ms since 1970.
        item: of the jobs.
        every: seconds between two jobs; None: ``cron`` says.
        cron: the cron expression; empty: ``every`` says.
        tz: the name of the time zone in which it is meant.
        if_missed: ``"once"`` or ``"skip"``.
        priority: of the jobs.
        next: when the next job is due; None: unknown to the backend.
    """

    name: str
    item: T
    every: float | None
    cron: str
    tz: str
    if_missed: str
    priority: Priority
    next: dt.datetime | None


def make_schedule(
    name: str, item: bytes, *, every: Any, cron: Any, tz: Any, if_missed: Any, priority: Priority
) -> Schedule:
    """The schedule that the arguments of ``Job.schedule`` mean.

    Raises:
        InvalidType, InvalidValue: an argument is not allowed, or two do not go together.
        BackendNotInstalled: a cron expression needs the extra ``cron``.
    """
    if (every is None) == (cron is None):
        raise InvalidValue("a schedule needs either every or cron")
    try:
        missed = IfMissed(if_missed)
    except ValueError:
        raise InvalidValue(f"if_missed must be 'once' or 'skip', not {if_missed!r:.80}") from None
    if every is not None:
        seconds = check_timeout(every, "every")
        if seconds is None or seconds < SHORTEST:
            raise InvalidValue(f"every must be {SHORTEST} seconds or more, not {every!r}")
        return Schedule(check_id(name), item, every=seconds, if_missed=missed, priority=priority)
    for what, text in (("cron", cron), ("tz", tz)):
        if not isinstance(text, str):
            raise InvalidType(f"{what} must be a str, not {type(text).__name__}")
        if "\0" in text:
            raise InvalidValue(f"{what} must not contain a NUL: {text!r:.80}")
    schedule = Schedule(check_id(name), item, cron=cron, tz=tz, if_missed=missed, priority=priority)
    next_times(schedule, dt.datetime.now(dt.UTC), 1)
    return schedule


def next_times(schedule: Schedule, after: dt.datetime, count: int = TOLD) -> tuple[float, ...]:
    """When a schedule with a cron expression is due after a time, in seconds since 1970.

    A time that summer time leaves out moves to the end of the gap; one that comes twice counts
    once, unless the expression is due every hour.

    Raises:
        InvalidValue: it is no cron expression, or there is no such time zone.
        BackendNotInstalled: this needs the extra ``cron``.
    """
    try:
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - in an extra
    except ImportError as error:
        raise BackendNotInstalled(
            f"cron expressions need a package that is missing: {how_to_install('cron')}"
        ) from error
    try:
        zone = zoneinfo.ZoneInfo(schedule.tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidValue(f"there is no time zone {schedule.tz!r:.80}") from error
    try:
        times = CronSim(schedule.cron, after.astimezone(zone))
        return tuple(time.timestamp() for time in itertools.islice(times, count))
    except (CronSimError, StopIteration) as error:
        raise InvalidValue(f"{schedule.cron!r:.80} is not a cron expression: {error}") from error
