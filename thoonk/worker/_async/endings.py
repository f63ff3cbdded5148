"""How a job ends that was taken out of its slot; `thoonk.worker.running_job` has the table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from thoonk import AsyncClaim, AsyncThoonk
from thoonk.concurrency._async import Event, wait_event
from thoonk.exceptions import InvalidType, NotClaimed, SerializerError, ThoonkError
from thoonk.worker._async.consumer import Consumer, refresh
from thoonk.worker.outcomes import Discard, Retry, Stall
from thoonk.worker.running_job import JobState, RunningJob

Job: TypeAlias = RunningJob[AsyncClaim[Any]]

MOST_PARKED = 10_000
"""So many failed jobs wait for their next attempt; with more, no further ones are begun."""

LOOK_AGAIN = 0.1
"""Seconds until it is looked again whether there are fewer."""

OURS = ("thoonk.worker.", "thoonk.concurrency.")
"""Modules that call handlers."""


def _trace(error: BaseException) -> Any:
    """What a logger takes as ``exc_info``, from the handler on."""
    trace = error.__traceback__
    # A program that is run as a script has no __package__, and one that is exec'd no __name__.
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith(OURS):
        trace = trace.tb_next
    return type(error), error, trace or error.__traceback__


def _said(error: BaseException) -> str:
    """An exception as a log shows it; its ``repr`` is a user's, and may raise, too."""
    try:
        return repr(error)
    except Exception:  # noqa: BLE001 - whatever it is
        return f"<{type(error).__name__} without a repr>"


class AsyncEndings:
    """Ends or parks jobs that were taken."""

    def __init__(
        self, thoonk: AsyncThoonk, is_stopping: Event, count_parked: Callable[[], int]
    ) -> None:
        self._thoonk = thoonk
        self._is_stopping = is_stopping
        self._count_parked = count_parked

    async def returned(self, consumer: Consumer, job: Job, value: Any) -> None:
        """The handler has returned: the loop over claims finishes the job."""
        handler = consumer.handler
        stored = value is not None if handler.result is None else handler.result
        if stored and not job.claim.ended:
            try:
                job.claim.set_result(value, handler.result_timeout)
            except (SerializerError, InvalidType) as error:
                # To do it again would come to the same.
                await self._stall(job, f"its result cannot be stored: {error}")
        job.end()

    async def failed(self, consumer: Consumer, job: Job, error: BaseException) -> None:
        """The handler has raised, or is over its time limit and does not end."""
        if job.claim.ended:
            job.log(
                logging.ERROR,
                "handler_failed_after_end",
                "Handler of job %s of %r failed after it had ended the job",
                exc_info=_trace(error),
            )
        elif isinstance(error, Discard):
            job.log(logging.INFO, "job_discarded", "Job %s of %r discarded: %s", error)
        elif isinstance(error, Stall):
            await self._stall(job, str(error))
        elif not (await self._is_last(consumer, job) and await self._fail_finally(job, error)):
            await self._try_again(consumer, job, error)
        if job.state is JobState.TAKEN:
            job.end()

    async def _stall(self, job: Job, reason: str) -> None:
        try:
            await job.claim.stall()
        except NotClaimed:
            job.log(
                logging.WARNING,
                "job_lost",
                "Job %s of %r was to be stalled (%s), but its claim was lost before",
                reason,
            )
        except ThoonkError as error:
            job.log(
                logging.WARNING,
                "job_not_given_back",
                "Job %s of %r was to be stalled (%s), and is not: %s",
                reason,
                error,
            )
            job.claim.settle(failed=True)
        else:
            job.log(logging.ERROR, "job_stalled", "Job %s of %r stalled: %s", reason)

    async def _is_last(self, consumer: Consumer, job: Job) -> bool:
        """Whether the backend stalls a job that has failed in this attempt."""
        if not job.attempt >= consumer.max_failures > 0:
            return False
        try:
            # What it has allowed before may not hold any more.
            await refresh(self._thoonk, consumer)
        except ThoonkError:
            return False  # it is asked again after the delay
        return job.attempt >= consumer.max_failures > 0

    async def _fail_finally(self, job: Job, error: BaseException) -> bool:
        """Cancel it, so that it is stalled; False: the backend was not to be reached."""
        event, becomes = "job_stalled", "it is stalled"
        try:
            # A backend that is older than this library does not tell.
            if await job.claim.cancel() is False:
                event, becomes = "job_failed", "it is available again: it was not stalled"
        except NotClaimed:
            event, becomes = "job_lost", "it was lost before"
        except ThoonkError as failure:
            text = "Job %s of %r not stalled yet: %s"
            job.log(logging.WARNING, "job_not_given_back", text, failure)
            return False
        text = "Job %s of %r failed on attempt %d; %s"
        job.log(logging.ERROR, event, text, job.attempt, becomes, exc_info=_trace(error))
        return True

    async def _try_again(self, consumer: Consumer, job: Job, error: BaseException) -> None:
        """At once, or park it until its time has come."""
        asked = isinstance(error, Retry)
        delay = error.delay if isinstance(error, Retry) else None
        if delay is None:
            delay = consumer.handler.delay(job.attempt)
        job.log(
            logging.WARNING,
            "job_failed",
            "Job %s of %r failed on attempt %d; retrying in %.1f s: %s",
            job.attempt,
            delay,
            error if asked else _said(error),
            exc_info=None if asked else _trace(error),
            delay=delay,
        )
        if not delay or self._is_stopping.is_set():
            job.claim.settle(failed=True)
            return
        # It stays claimed until it may be tried again. So nothing has to be stored about it,
        # and when this process dies it comes back.
        job.claim.outbox = None  # the loop has nothing to do with it any more
        job.park(delay)
        consumer.parked[job] = None
        while self._count_parked() > MOST_PARKED and not self._is_stopping.is_set():
            await wait_event(self._is_stopping, LOOK_AGAIN)
