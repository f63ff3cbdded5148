"""Sends the backend the times of cron expressions, as long as a program takes their jobs."""

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
    names = {
        match[1] for entry in entries if "@" in entry.id and (match := RUN.fullmatch(entry.id))
    }
    if not names:
        return
    try:
        found = await backend.execute(ReadSchedules(feed, tuple(names)))
    except ThoonkError as error:
        # The job matters more, and the next one of the schedule is another chance.
        _log(feed, ", ".join(map(shown, sorted(names))), error)
    else:
        await renew_all(backend, feed, found)


async def renew_all(backend: AsyncBackend, feed: str, found: Iterable[ScheduleStatus]) -> None:
    """Renew each of these schedules, if that is needed; log if it fails.

    A schedule has no more times when no program has taken its jobs for as long as it had times
    times. Where those that were missed are skipped, no job of it comes then, after which it
    could be renewed. So programs that read schedules do it, and workers look now and then.
    """
    for status in found:
        try:
            await renew(backend, feed, status)
        except ThoonkError as error:
            _log(feed, shown(status.schedule.name), error)


def _log(feed: str, names: str, error: ThoonkError) -> None:
    extra = {"event": "schedule_not_renewed", "feed": feed}
    logger.warning("Schedules %s of %r not renewed: %s", names, feed, error, extra=extra)


async def renew(backend: AsyncBackend, feed: str, status: ScheduleStatus) -> None:
    """Send more times when few are left."""
    schedule = status.schedule
    if schedule.cron and (status.next is None or len(status.later) < RENEW_BELOW):
        after = dt.datetime.now(dt.UTC)
        if status.next is not None:
            after = max(after, dt.datetime.fromtimestamp(status.next, dt.UTC))
        times = next_times(schedule, after)
        if times:
            await backend.execute(JobSetRuns(feed, schedule, times))
