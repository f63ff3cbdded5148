"""Tells the backend when cron expressions are due, as long as somebody takes their jobs."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable

from thoonk.backends import AsyncBackend
from thoonk.exceptions import ThoonkError
from thoonk.names import shown
from thoonk.operations import Delivery, JobSetRuns, ReadSchedules, ScheduleStatus
from thoonk.schedules import RENEW_BELOW, RUN, next_times

logger = logging.getLogger("thoonk.job")


async def renew_after(backend: AsyncBackend, feed: str, entries: Iterable[Delivery]) -> None:
    """Renew the schedules of jobs that were just taken, if that is needed; log if it fails."""
    names = {match[1] for entry in entries if (match := RUN.fullmatch(entry.id))}
    if not names:
        return
    try:
        for status in await backend.execute(ReadSchedules(feed, tuple(names))):
            await renew(backend, feed, status)
    except ThoonkError as error:
        # The job matters more, and the next one of the schedule is another chance.
        logger.warning(
            "Schedules %s of %r not renewed: %s",
            ", ".join(map(shown, sorted(names))),
            feed,
            error,
            extra={"event": "schedule_not_renewed", "feed": feed},
        )


async def renew(backend: AsyncBackend, feed: str, status: ScheduleStatus) -> None:
    """Tell of more times when few are left."""
    schedule = status.schedule
    if schedule.cron and (status.next is None or len(status.later) < RENEW_BELOW):
        after = dt.datetime.now(dt.UTC)
        if status.next is not None:
            after = max(after, dt.datetime.fromtimestamp(status.next, dt.UTC))
        times = next_times(schedule, after)
        if times:
            await backend.execute(JobSetRuns(feed, schedule, times))
