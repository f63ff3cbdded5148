"""What goes on beside the loops: claims are extended, and parked jobs given back in time."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence

from thoonk import AsyncThoonk
from thoonk._async.lost import WHY, reason_of
from thoonk.concurrency._async import Event, wait_event
from thoonk.exceptions import FeedDoesNotExist, NotClaimed, ThoonkError
from thoonk.names import new_token
from thoonk.operations import MOST, ClaimRef, JobExtend, JobNext
from thoonk.worker._async.consumer import Consumer, refresh
from thoonk.worker._async.endings import Job
from thoonk.worker.running_job import JobState

logger = logging.getLogger("thoonk.worker")

TICK = 0.1
"""Seconds between two beats."""

PER_TIMEOUT = 3
"""How often a claim is extended within its ``claim_timeout``."""

LOOK_EVERY = 1.0
"""Seconds after which a feed's configuration is read again while its jobs are done."""

LOOK_IDLE = 5.0
"""The same while there is none."""

STEP = 50
"""So many jobs are given back between two looks at the claims to be extended."""


class AsyncWorkerHeartbeat:
    """Extends the claims of running and parked jobs, and ends those that are parked."""

    def __init__(
        self, thoonk: AsyncThoonk, consumers: Sequence[Consumer], is_stopping: Event
    ) -> None:
        self._thoonk = thoonk
        self._consumers = consumers
        self._is_stopping = is_stopping
        self._is_closed = Event()

    def close(self) -> None:
        """End `run`."""
        self._is_closed.set()

    async def run(self) -> None:
        """Beat until it is closed."""
        while not await wait_event(self._is_closed, TICK):
            for consumer in self._consumers:
                try:
                    await self._beat(consumer)
                except FeedDoesNotExist:
                    pass  # its loops make it anew
                except ThoonkError as error:
                    # The next time may still be soon enough.
                    extra = {"event": "claims_not_extended", "feed": consumer.feed}
                    logger.warning(
                        "Claims of %r not extended: %s", consumer.feed, error, extra=extra
                    )
                except Exception:
                    extra = {"event": "claims_not_extended", "feed": consumer.feed}
                    logger.exception("Claims of %r not extended", consumer.feed, extra=extra)

    async def _beat(self, consumer: Consumer) -> None:
        parked = [*consumer.parked]
        if parked and self._is_stopping.is_set():
            await self._give_back_together(consumer, parked[:MOST])
        else:
            now = time.monotonic()
            # With more of them, claims would be extended too late.
            await self._give_back(consumer, [job for job in parked if job.due <= now][:STEP])
        busy = parked or any(slot.held for slot in consumer.slots)
        if time.monotonic() - consumer.looked >= (LOOK_EVERY if busy else LOOK_IDLE):
            await refresh(self._thoonk, consumer)
        await self._extend(consumer)

    async def _give_back(self, consumer: Consumer, jobs: Sequence[Job]) -> None:
        """Let jobs that have failed be available again."""
        for job in jobs:
            try:
                stalled = await job.claim.cancel()
            except (NotClaimed, FeedDoesNotExist):
                text = "Job %s of %r was lost while it waited for its next attempt"
                job.log(logging.DEBUG, "job_lost", text)
            except ThoonkError as error:
                text = "Job %s of %r not given back yet: %s"
                job.log(logging.WARNING, "job_not_given_back", text, error)
                return
            else:
                if stalled:
                    job.log(
                        logging.ERROR,
                        "job_stalled",
                        "Job %s of %r stalled after attempt %d: the feed's max_failures is less "
                        "than it was",
                        job.attempt,
                    )
            consumer.end_parked(job)

    async def _give_back_together(self, consumer: Consumer, jobs: Sequence[Job]) -> None:
        """The same for all at once, when there is no time for one after another."""
        refs = tuple(ClaimRef(job.claim.id, job.claim.token) for job in jobs)
        operation = JobNext(consumer.feed, new_token(), 0, recover_expired=False, cancelled=refs)
        with contextlib.suppress(FeedDoesNotExist):
            await self._thoonk.backend.execute(operation)
        for job in jobs:
            consumer.end_parked(job)

    async def _extend(self, consumer: Consumer) -> None:
        if not consumer.claim_timeout:
            return
        old = time.monotonic() - consumer.claim_timeout / PER_TIMEOUT
        jobs = [*consumer.parked]
        if consumer.handler.heartbeat:
            # Claims that were taken several at a time are extended by those who took them.
            jobs += [job for slot in consumer.slots if slot.prefetch == 1 and (job := slot.held)]
        jobs = [
            job for job in jobs if job.extended <= old and not job.is_lost and not job.claim.ended
        ]
        for start in range(0, len(jobs), MOST):
            several = jobs[start : start + MOST]
            now = time.monotonic()
            refs = tuple(ClaimRef(job.claim.id, job.claim.token) for job in several)
            answers = await self._thoonk.backend.execute(JobExtend(consumer.feed, refs))
            for job, holds in zip(several, answers, strict=True):
                job.extended = now
                job.is_lost = not holds
                if not holds:
                    await self._lost(consumer, job)

    async def _lost(self, consumer: Consumer, job: Job) -> None:
        if job.state is JobState.PARKED:
            consumer.end_parked(job)
        elif not job.claim.ended:
            reason = await reason_of(self._thoonk.backend, consumer.feed, job.claim.id)
            text = "Job %s of %r was lost while it ran: %s"
            job.log(logging.WARNING, "job_lost", text, WHY[reason], reason=reason)
