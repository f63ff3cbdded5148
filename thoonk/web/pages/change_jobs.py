"""What can be done with jobs, with schedules, and with job feeds and queues as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from thoonk import AsyncJob, AsyncQueue
from thoonk.config import JOB, QUEUE, FeedConfig
from thoonk.exceptions import InvalidValue, WrongFeedType
from thoonk.operations import IfMissed, JobState, Outcome, Priority
from thoonk.raw_items import printable
from thoonk.serializers import BINARY
from thoonk.web.changes import Change, Question
from thoonk.web.items import number_text
from thoonk.web.pages.edit import bytes_in
from thoonk.web.pages.feed import config_of
from thoonk.web.pages.jobs import job_feed
from thoonk.web.urls import id_in, name_in


def _seconds(change: Change, field: str) -> float | None:
    text = change.form.get(field, "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidValue(f"{field} must be a number of seconds, not {text!r}") from None


async def _config(change: Change) -> tuple[str, FeedConfig]:
    name = name_in(change.query)
    config = await config_of(change.site, name)
    if config.kind not in (JOB, QUEUE):
        raise WrongFeedType(name, expected="queue or job feed", actual=config.type)
    return name, config


def _jobs_said(count: int) -> str:
    return "1 job" if count == 1 else f"{number_text(count)} jobs"


# --- one job ------------------------------------------------------------------------------


async def retry(change: Change) -> str:
    """Make a stalled job available again."""
    id = id_in(change.query)
    await job_feed(change.site, name_in(change.query)).retry(id)
    return f"{printable(id)} is available again."


async def run_now(change: Change) -> str:
    """Make a scheduled job available."""
    id = id_in(change.query)
    await job_feed(change.site, name_in(change.query)).run_now(id)
    return f"{printable(id)} is available now."


async def reschedule(change: Change) -> str:
    """Give a scheduled job another time."""
    id = id_in(change.query)
    delay = _seconds(change, "delay")
    await job_feed(change.site, name_in(change.query)).reschedule(id, delay)
    return f"{printable(id)} is due in {delay or 0:g} s."


async def cancel(change: Change) -> str:
    """Take a claimed job from its worker, for another attempt."""
    id = id_in(change.query)
    jobs = job_feed(change.site, name_in(change.query))
    is_stalled = await jobs.cancel(id, reason="cancelled on the web page")
    return f"{printable(id)} {'is stalled' if is_stalled else 'is available again'}."


def ask_cancel(change: Change) -> Question:
    """Ask before a worker loses a job."""
    return Question(
        f"Cancel {printable(id_in(change.query))}?",
        "Its worker is stopped where that is possible. This counts as a failed attempt, and "
        "the job is available again.",
        "Cancel the attempt",
        back="Keep it running",
    )


async def stall(change: Change) -> str:
    """Take a claimed job out of circulation."""
    id = id_in(change.query)
    jobs = job_feed(change.site, name_in(change.query))
    await jobs.stall(id, reason="stalled on the web page")
    return f"{printable(id)} is stalled."


def ask_stall(change: Change) -> Question:
    """Ask before a job is stopped."""
    return Question(
        f"Stall {printable(id_in(change.query))}?",
        "Its worker is stopped where that is possible. No worker gets the job until it is retried.",
        "Stall",
    )


async def retract(change: Change) -> str:
    """Remove a job."""
    id = id_in(change.query)
    if not await job_feed(change.site, name_in(change.query)).retract(id):
        raise InvalidValue(f"job {id!r} no longer exists")
    return f"Retracted {printable(id)}."


def ask_retract(change: Change) -> Question:
    """Ask before a job is removed."""
    id, name = printable(id_in(change.query)), printable(name_in(change.query))
    return Question(
        f"Retract job {id}?",
        f"It is removed from {name}. Its worker, if it has one, is stopped where that is "
        "possible. This cannot be undone.",
        "Retract",
    )


# --- many jobs ----------------------------------------------------------------------------


def _state(change: Change) -> JobState:
    try:
        return JobState(change.query.get("state", ""))
    except ValueError:
        raise InvalidValue(f"{change.query.get('state', '')!r} is not a state") from None


async def retry_all(change: Change) -> str:
    """Make all stalled jobs available again."""
    count = await job_feed(change.site, name_in(change.query)).retry_all()
    return f"{_jobs_said(count)} available again."


def ask_retry_all(change: Change) -> Question:
    """Ask before all stalled jobs run."""
    return Question(
        "Retry all stalled jobs?",
        f"All stalled jobs of {printable(name_in(change.query))} become available again.",
        "Retry all",
    )


async def retract_all(change: Change) -> str:
    """Remove all jobs in a state."""
    state = _state(change)
    count = await job_feed(change.site, name_in(change.query)).retract_all(state)
    return f"Retracted {_jobs_said(count)}."


def ask_retract_all(change: Change) -> Question:
    """Ask before all jobs in a state are removed."""
    state = _state(change).value
    return Question(
        f"Retract all {state} jobs?",
        f"All {state} jobs are removed from {printable(name_in(change.query))}. "
        "This cannot be undone.",
        "Retract all",
    )


# --- the feed -----------------------------------------------------------------------------


async def put(change: Change) -> str:
    """Put a job, or an item into a queue."""
    name, config = await _config(change)
    item = bytes_in(change, config, name)
    priority = Priority.HIGH if change.form.get("high") == "yes" else Priority.NORMAL
    id = change.form.get("id", "").strip() or None
    unique_for = _seconds(change, "unique_for")
    if config.kind == QUEUE:
        queue = AsyncQueue(name, change.site.source.backend, BINARY)
        put = await queue.put(item, priority, id=id, unique_for=unique_for)
    else:
        jobs = job_feed(change.site, name)
        delay = _seconds(change, "delay")
        put = await jobs.put(item, priority, id=id, delay=delay, unique_for=unique_for)
    if getattr(put, "outcome", Outcome.ADDED) is Outcome.KEPT:
        return f"{printable(put)} is there already; nothing was put."
    return f"Put {printable(put)}."


async def pause(change: Change) -> str:
    """Give nothing to consumers until `resume`."""
    name, config = await _config(change)
    await _takeable(change, name, config).pause()
    return f"{printable(name)} is paused."


async def resume(change: Change) -> str:
    """End a pause."""
    name, config = await _config(change)
    await _takeable(change, name, config).resume()
    return f"{printable(name)} is resumed."


async def purge(change: Change) -> str:
    """Remove all jobs or items."""
    name, config = await _config(change)
    count = await _takeable(change, name, config).purge()
    return f"Removed {number_text(count)} from {printable(name)}."


def ask_purge(change: Change) -> Question:
    """Ask before a feed is emptied."""
    name = printable(name_in(change.query))
    return Question(
        f"Purge {name}?",
        f"This removes everything in {name}: what is waiting, scheduled, claimed or stalled. "
        "Configuration, schedules and results stay. This cannot be undone.",
        "Purge",
    )


def _takeable(change: Change, name: str, config: FeedConfig) -> AsyncQueue[bytes] | AsyncJob[bytes]:
    if config.kind == QUEUE:
        return AsyncQueue(name, change.site.source.backend, BINARY)
    return job_feed(change.site, name)


# --- schedules ----------------------------------------------------------------------------


async def schedule(change: Change) -> str:
    """Make a schedule, or change it."""
    name, config = await _config(change)
    cron = change.form.get("cron", "").strip() or None
    is_new = await job_feed(change.site, name).schedule(
        change.form.get("schedule", "").strip(),
        bytes_in(change, config, name),
        every=_seconds(change, "every"),
        cron=cron,
        tz=change.form.get("tz", "").strip() or "UTC",
        if_missed=change.form.get("if_missed") or IfMissed.ONCE.value,
    )
    return "The schedule is set." if is_new else "The schedule was like that already."


async def unschedule(change: Change) -> str:
    """Remove a schedule."""
    schedule = change.query.get("schedule", "")
    if not await job_feed(change.site, name_in(change.query)).unschedule(schedule):
        raise InvalidValue(f"schedule {schedule!r} no longer exists")
    return f"Removed the schedule {printable(schedule)}."


def ask_unschedule(change: Change) -> Question:
    """Ask before a schedule is removed."""
    return Question(
        f"Remove the schedule {printable(change.query.get('schedule', ''))}?",
        "No more jobs are put by it. Jobs that it has put stay.",
        "Remove",
    )


Doing = Callable[[Change], Awaitable[str]]
Asking = Callable[[Change], Question]

ADDRESSES: dict[str, tuple[Doing, Asking | None]] = {
    "/job/retry": (retry, None),
    "/job/run-now": (run_now, None),
    "/job/reschedule": (reschedule, None),
    "/job/cancel": (cancel, ask_cancel),
    "/job/stall": (stall, ask_stall),
    "/job/retract": (retract, ask_retract),
    "/jobs/retry-all": (retry_all, ask_retry_all),
    "/jobs/retract-all": (retract_all, ask_retract_all),
    "/put": (put, None),
    "/pause": (pause, None),
    "/resume": (resume, None),
    "/purge": (purge, ask_purge),
    "/schedule": (schedule, None),
    "/unschedule": (unschedule, ask_unschedule),
}
"""What does it at which address, and what is asked before."""
