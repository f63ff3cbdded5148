"""What runs next to the loops.

Claims are extended and looked at, configurations read again, and schedules get more times.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence

from thoonk import AsyncThoonk
from thoonk._async.lost import WHY, reason_of
from thoonk._async.renewal import renew_all
from thoonk.concurrency._async import Event, wait_event
from thoonk.exceptions import FeedDoesNotExist, ThoonkError, UnsupportedOperation
from thoonk.operations import MOST, ClaimRef, JobExtend, JobHolds, ReadSchedules
from thoonk.worker._async.consumer import Consumer, refresh
from thoonk.worker._async.endings import Job
from thoonk.worker.running_job import JobState

logger = logging.getLogger("thoonk.worker")

TICK = 0.1
"""Seconds between two beats."""

PER_TIMEOUT = 3
"""How often a claim is extended within its ``claim_timeout``."""

ASK_EVERY = 1.0
"""Seconds between two looks whether the claim of a running job holds."""

LOOK_EVERY = 1.0
"""Seconds after which a feed's configuration is read again while its jobs are done."""

LOOK_IDLE = 5.0
"""The same while there is none."""

RENEW_EVERY = 60.0
"""Seconds between two looks whether schedules need more times."""


class AsyncWorkerHeartbeat:
    """Extends the claims of running jobs, and looks whether feeds are configured otherwise."""

    def __init__(
        self,
        thoonk: AsyncThoonk,
        consumers: Sequence[Consumer],
        stop: Callable[[Consumer, Job], None],
    ) -> None:
        """``stop`` is called for a job that is lost while it runs."""
        self._thoonk = thoonk
        self._consumers = consumers
        self._stop = stop
        self._can_ask = True
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
                    pass  # its loops create it again
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
        if time.monotonic() - consumer.looked >= (LOOK_EVERY if consumer.jobs() else LOOK_IDLE):
            await refresh(self._thoonk, consumer)
        await self._extend(consumer)
        if self._can_ask:
            await self._look_for_lost(consumer)
        if time.monotonic() - consumer.renewed >= RENEW_EVERY:
            consumer.renewed = time.monotonic()
            await self._renew(consumer.feed)

    async def _renew(self, feed: str) -> None:
        """Tell schedules of more times: one that has none puts no job that would do it."""
        backend = self._thoonk.backend
        with contextlib.suppress(UnsupportedOperation):  # of a backend without schedules
            await renew_all(backend, feed, await backend.execute(ReadSchedules(feed)))

    async def _look_for_lost(self, consumer: Consumer) -> None:
        """See within a second when a job is retracted or stalled while it runs."""
        old = time.monotonic() - ASK_EVERY
        jobs = [
            job
            for job in consumer.jobs()
            if job.asked <= old and not job.is_lost and not job.claim.ended
        ]
        for start in range(0, len(jobs), MOST):
            several = jobs[start : start + MOST]
            refs = tuple(ClaimRef(job.claim.id, job.claim.token) for job in several)
            try:
                answers = await self._thoonk.backend.execute(JobHolds(consumer.feed, refs))
            except UnsupportedOperation:  # of a backend that tells only when claims are extended
                self._can_ask = False
                return
            for job, holds in zip(several, answers, strict=True):
                job.asked = time.monotonic()
                if not holds:
                    await self._lost(consumer, job)

    async def _extend(self, consumer: Consumer) -> None:
        if not consumer.claim_timeout or not consumer.handler.heartbeat:
            return
        old = time.monotonic() - consumer.claim_timeout / PER_TIMEOUT
        # Claims that were taken several at a time are extended by those who took them.
        jobs = [
            job
            for job in consumer.jobs()
            if not job.is_kept and job.extended <= old and not job.is_lost and not job.claim.ended
        ]
        for start in range(0, len(jobs), MOST):
            several = jobs[start : start + MOST]
            now = time.monotonic()
            refs = tuple(ClaimRef(job.claim.id, job.claim.token) for job in several)
            answers = await self._thoonk.backend.execute(JobExtend(consumer.feed, refs))
            for job, holds in zip(several, answers, strict=True):
                job.extended = now
                if not holds:
                    await self._lost(consumer, job)

    async def _lost(self, consumer: Consumer, job: Job) -> None:
        if job.state is JobState.RUNNING and not job.claim.ended:
            job.is_lost = job.claim.lost = True
            reason = await reason_of(self._thoonk.backend, consumer.feed, job.claim.id)
            text = "Job %s of %r was lost while it ran: %s"
            job.log(logging.WARNING, "job_lost", text, WHY[reason], reason=reason)
            self._stop(consumer, job)
