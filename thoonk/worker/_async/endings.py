"""How a job ends that was taken out of its slot; `thoonk.worker.running_job` has the table."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable
from typing import Any, TypeAlias

import attrs

from thoonk import AsyncClaim, AsyncThoonk
from thoonk.exceptions import (
    FeedDoesNotExist,
    InvalidType,
    NotClaimed,
    SerializerError,
    ThoonkError,
    UnsupportedOperation,
)
from thoonk.failures import LONGEST_TRACEBACK, failure_of, users_part
from thoonk.names import shown
from thoonk.operations import Due, Failed, Failure, JobFail
from thoonk.worker._async.consumer import Consumer, refresh
from thoonk.worker.handlers import Handler
from thoonk.worker.outcomes import Discard, Outcome, Retry, Stall
from thoonk.worker.report import Orphan
from thoonk.worker.retries import Retries
from thoonk.worker.running_job import JobState, RunningJob

logger = logging.getLogger("thoonk.worker")

Job: TypeAlias = RunningJob[AsyncClaim[Any]]


def _trace(error: BaseException) -> Any:
    """What a logger takes as ``exc_info``, from the handler on."""
    return type(error), error, users_part(error.__traceback__) or error.__traceback__


def _said(error: BaseException) -> str:
    """An exception as a log shows it; its ``repr`` is a user's, and may raise, too."""
    try:
        return repr(error)
    except Exception:  # noqa: BLE001 - whatever it is
        return f"<{type(error).__name__} without a repr>"


def _failure(consumer: Consumer, error: BaseException, where: str = "") -> Failure | None:
    """What is kept with the job."""
    with_traceback = consumer.handler.store_traceback
    came_of = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if isinstance(error, Outcome) and came_of is None:
        with_traceback = False  # nothing has gone wrong
    failure = failure_of(error, with_traceback=with_traceback)
    if failure is not None and with_traceback and where:
        failure = attrs.evolve(failure, traceback=where[-LONGEST_TRACEBACK:])
    return failure


class AsyncEndings:
    """Ends jobs that were taken."""

    def __init__(self, thoonk: AsyncThoonk, retries: Retries | None) -> None:
        """``retries`` learns what is to be done again; None: no burst waits for it."""
        self._thoonk = thoonk
        self._retries = retries

    def tell(self, job: Job, outcome: str) -> None:
        """Tell observers how a job ended (`thoonk.observe.observer.OUTCOMES`)."""
        observed = getattr(self._thoonk.backend, "ended", None)
        if observed is not None:
            observed(job.feed, job.claim.id, outcome, time.monotonic() - job.began)

    async def returned(self, consumer: Consumer, job: Job, value: Any) -> None:
        """The handler has returned: the loop over claims finishes the job."""
        handler = consumer.handler
        stored = value is not None if handler.result is None else handler.result
        outcome = "settled" if job.claim.ended else "finished"
        if stored and not job.claim.ended:
            try:
                job.claim.set_result(value, handler.result_timeout)
            except (SerializerError, InvalidType) as error:
                # To do it again would come to the same.
                reason = f"its result cannot be stored: {error}"
                outcome = await self._stall(job, reason, failure_of(reason))
        job.end()
        self.tell(job, outcome)

    async def failed(
        self, consumer: Consumer, job: Job, error: BaseException, where: str = ""
    ) -> None:
        """The handler has raised, or is over its time limit and does not end.

        ``where`` it is then, as a traceback.
        """
        if job.claim.ended:
            outcome = "settled"
            job.log(
                logging.ERROR,
                "handler_failed_after_end",
                "Handler of job %s of %r failed after it had ended the job",
                exc_info=_trace(error),
            )
        elif isinstance(error, Discard):
            outcome = "discarded"
            job.log(logging.INFO, "job_discarded", "Job %s of %r discarded: %s", error)
        elif isinstance(error, Stall):
            outcome = await self._stall(job, str(error), _failure(consumer, error))
        else:
            outcome = await self._fail(consumer, job, error, _failure(consumer, error, where))
        if job.state is JobState.TAKEN:
            job.end()
        self.tell(job, outcome)

    async def _stall(self, job: Job, reason: str, failure: Failure | None) -> str:
        """Returns the outcome."""
        try:
            try:
                await job.claim.fail(None, failure, stall=True)
            except UnsupportedOperation:  # of a backend that keeps no reasons
                await job.claim.fail(None, None, stall=True)
        except NotClaimed:
            job.claim.ended = True
            job.log(
                logging.WARNING,
                "job_lost",
                "Job %s of %r was to be stalled (%s), but its claim was lost before",
                reason,
            )
            return "lost"
        except ThoonkError as error:
            job.log(
                logging.WARNING,
                "job_not_given_back",
                "Job %s of %r was to be stalled (%s), and is not: %s",
                reason,
                error,
            )
            job.claim.settle(failed=True)
            return "failed"
        job.log(logging.ERROR, "job_stalled", "Job %s of %r stalled: %s", reason)
        return "stalled"

    async def _fail(
        self, consumer: Consumer, job: Job, error: BaseException, failure: Failure | None
    ) -> str:
        """Give it back, to be tried again after a delay unless it has failed too often.

        Returns the outcome.
        """
        delay = error.delay if isinstance(error, Retry) else None
        if delay is None:
            delay = consumer.handler.delay(job.attempt)
        if job.attempt >= consumer.max_failures > 0:
            # The backend should stall the job now. A feed that was recreated may lack the setting.
            with contextlib.suppress(ThoonkError):
                await refresh(self._thoonk, consumer)
        try:
            failed = await self._give_back(job, delay, failure)
        except (NotClaimed, FeedDoesNotExist):
            job.claim.ended = True
            event, becomes = "job_lost", "it was lost before"
        except ThoonkError as refusal:
            event, becomes = "job_not_given_back", self._settle(job, refusal)
        else:
            event, becomes = "job_failed", self._becomes(job.feed, job.claim.id, failed, delay)
            if failed is Failed.STALLED:
                event = "job_stalled"
        asked = isinstance(error, Retry)
        job.log(
            logging.ERROR if event in {"job_stalled", "job_lost"} else logging.WARNING,
            event,
            "Job %s of %r failed on attempt %d; %s: %s",
            job.attempt,
            becomes,
            error if asked else _said(error),
            exc_info=None if asked else _trace(error),
            **({"delay": delay} if event == "job_failed" else {}),
        )
        return {"job_stalled": "stalled", "job_lost": "lost"}.get(event, "failed")

    def _becomes(self, feed: str, id: str, failed: Failed | None, delay: float) -> str:
        """What becomes of a job that was given back, for the log."""
        if failed is Failed.SCHEDULED and self._retries is not None:
            self._retries.add(feed, id, delay)
        return {
            Failed.STALLED: "it is stalled",
            Failed.SCHEDULED: f"retrying in {delay:.1f} s",
            Failed.WAITING: "it is available again",
            None: "it is available again; the backend knows no delays",
        }[failed]

    @staticmethod
    def _settle(job: Job, refusal: ThoonkError) -> str:
        """Leave it to the loop, where it is still the loop's, to tell the backend."""
        becomes = "it is given back with the next claim, without a delay"
        if job.claim.outbox is None:
            becomes = "it is available again when its claim expires"
        job.claim.settle(failed=True)
        return f"{becomes} ({refusal})"

    @staticmethod
    async def _give_back(job: Job, delay: float, failure: Failure | None) -> Failed | None:
        """What became of it; None: a backend that is older does not say."""
        try:
            return await job.claim.fail(Due(delay=delay) if delay else None, failure)
        except UnsupportedOperation:
            failed = await job.claim.fail(None, None)
            return failed if failed is Failed.STALLED else None

    async def orphaned(self, orphan: Orphan, handlers: Iterable[Handler]) -> None:
        """Fail a job whose process has died, in its place."""
        (handler,) = [each for each in handlers if each.feed == orphan.feed]
        delay = handler.delay(orphan.attempt)
        failure = Failure(orphan.reason, orphan.error, worker=orphan.worker)
        operation = JobFail(
            orphan.feed,
            orphan.id,
            orphan.token,
            Due(delay=delay) if delay else None,
            failure=failure,
        )
        level, event = logging.WARNING, "job_failed"
        try:
            failed = await self._thoonk.backend.execute(operation)
        except (NotClaimed, FeedDoesNotExist):
            return  # it had ended before, or its claim had
        except ThoonkError as error:
            event, becomes = "job_not_given_back", f"it is available again later ({error})"
        else:
            becomes = self._becomes(orphan.feed, orphan.id, failed, delay)
            if failed is Failed.STALLED:
                level, event = logging.ERROR, "job_stalled"
        observed = getattr(self._thoonk.backend, "ended", None)
        if observed is not None:
            outcome = "stalled" if event == "job_stalled" else "failed"
            observed(orphan.feed, orphan.id, outcome, None)
        fields = {"feed": orphan.feed, "id": orphan.id, "attempt": orphan.attempt}
        logger.log(
            level,
            "Job %s of %r failed on attempt %d; %s: %s",
            shown(orphan.id),
            orphan.feed,
            orphan.attempt,
            becomes,
            orphan.reason,
            extra={**fields, "event": event},
        )
