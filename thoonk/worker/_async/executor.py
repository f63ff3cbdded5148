"""Runs the jobs of one process: loops over claims, with a heartbeat next to them.

- The *executor*, one for each process, starts the loops, and ends them and the process.
- A *consumer* is a feed: its handler, and what it is configured with.
- A *slot* is one loop over claims: a thread or task that calls handlers.
- A *source* gives a slot its claims: those of one consumer, or of all that share a *pool*.
- A *running job* is a claim in a slot. Who moves it on, and ends it, is described in
  `thoonk.worker.running_job`; how it ends, in ``endings``; what runs next to it, in
  ``heartbeat``.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any

from thoonk import AsyncThoonk, __version__
from thoonk.concurrency._async import Background, Event, wait_event
from thoonk.exceptions import Closed, FeedDoesNotExist, ThoonkError, UnsupportedOperation
from thoonk.identity import process_name
from thoonk.names import new_token
from thoonk.operations import MOST, MOST_REPORTED, ReadJobs, ReportedJob, WorkerReport
from thoonk.worker._async.consumer import Consumer, log_failure, open_consumer, reopen
from thoonk.worker._async.endings import AsyncEndings, Job
from thoonk.worker._async.heartbeat import AsyncWorkerHeartbeat
from thoonk.worker._async.pool import AsyncPool
from thoonk.worker._async.presence import AsyncPresence
from thoonk.worker._async.slot import AsyncSlot, Standstill
from thoonk.worker._async.source import AsyncOneFeed, AsyncSource
from thoonk.worker.handlers import Handler
from thoonk.worker.notify import Notifier
from thoonk.worker.outcomes import TimeLimitExceeded
from thoonk.worker.report import Legacy, Report
from thoonk.worker.reporting import Group, Reporting
from thoonk.worker.retries import Retries
from thoonk.worker.running_job import RunningJob
from thoonk.worker.shutdown import Shutdown, StopReason

logger = logging.getLogger("thoonk.worker")

TICK = 0.1
"""Seconds between two looks: is it to stop, is a job over its time."""

BURST_WAIT = 0.1
"""Seconds without a job, after which there is none."""

OUTAGE_PAUSE = 1.0
"""Seconds until a loop that has failed tries again."""

LOOK_AT_RETRIES = 1.0
"""Seconds after which a burst that waits for jobs looks whether they are still there."""

GIVE_BACK_WITHIN = 5.0
"""Seconds to tell the backend of what has not ended in time."""


class AsyncExecutor:
    """Works on feeds until it is to stop."""

    def __init__(
        self,
        thoonk: AsyncThoonk,
        handlers: Sequence[Handler],
        concurrency: int,
        *,
        shared: bool = False,
        burst: bool = False,
        max_jobs: int | None = None,
        report: Report | None = None,
        legacy: Legacy | None = None,
        group: Group | None = None,
        reporting: Reporting | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        """Tell what to work on; it begins with `run`.

        Args:
            thoonk: the client.
            handlers: one for each feed.
            concurrency: how many jobs of each feed are done at once.
            shared: so many of all feeds together.
            burst: end when there is no job.
            max_jobs: end after that many.
            report: called for each slot (by its number) the job that it is at; None: there
                is no supervisor.
            legacy: what processes before this one have left.
            group: the processes that this one belongs to; None: it is alone.
            reporting: how often it reports that it is alive; None: as usual.
            notifier: the service manager; None: there is none, or a supervisor notifies it.
        """
        self._thoonk = thoonk
        self._handlers = handlers
        self._concurrency = concurrency
        self._shared = shared
        self._burst = burst
        self._max_jobs = max_jobs
        self._report = report
        self._legacy = legacy or Legacy()
        self._group = group or Group()
        self._reporting = reporting or Reporting()
        self._notifier = notifier or Notifier()
        self._began = time.monotonic()
        self._id = f"{process_name()}:{new_token()[:8]}"
        self._consumers: list[Consumer] = []
        self._pool: AsyncPool | None = None
        self._slots: list[AsyncSlot] = []
        self._loops: list[Background] = []
        self._working: set[AsyncSlot] = set()
        self._given_up: set[AsyncSlot] = set()
        self._begun = itertools.count(1)
        self._shutdown: Callable[[], Shutdown] = lambda: Shutdown.NONE
        self._stop_reason = StopReason.REQUESTED
        self._is_stopping = Event()
        self._is_over = Event()
        self._changed = Event()
        self._retries = Retries(self._legacy.retries_until) if burst else None
        self._looked_at_retries = time.monotonic()
        self._endings = AsyncEndings(thoonk, self._retries)

    @property
    def is_stuck(self) -> bool:
        """Whether there are handlers that have not ended."""
        return bool(self._working or self._given_up)

    async def open(self) -> None:
        """Open the feeds. Done by `run`; before, to see whether it can be done.

        Raises:
            ThoonkError: one cannot be opened.
        """
        self._consumers = [await open_consumer(self._thoonk, handler) for handler in self._handlers]

    async def run(self, shutdown: Callable[[], Shutdown], grace: float) -> StopReason:
        """Work until it is to stop, or there is another reason.

        Args:
            shutdown: is asked again and again how far to shut down.
            grace: seconds that jobs may take once it is to stop. What is not done by then, or
                at a cold shutdown, is given back.

        Raises:
            ThoonkError: a feed cannot be opened.
        """
        self._shutdown = shutdown
        await self.open()
        beats = AsyncWorkerHeartbeat(self._thoonk, self._consumers, self._stop_lost)
        heartbeat = Background(functools.partial(self._beat, beats), "thoonk-worker-heartbeat")
        for orphan in self._legacy.orphans:
            await self._endings.orphaned(orphan, self._handlers)
        self._report_retries()
        self._start()
        presence = AsyncPresence(self._thoonk, self._describe, self._reporting)
        reports = Background(presence.run, "thoonk-worker-presence")
        standstill = Standstill(TICK)
        self._tick()
        self._notifier.ready(f"Working on {', '.join(each.feed for each in self._consumers)}")
        try:
            while not await wait_event(self._is_over, TICK):
                self._tick()
                standstill.look(self._slots)
                if shutdown() is not Shutdown.NONE:
                    break
                overdue = [slot for slot in self._slots if self._is_to_end(slot)]
                if overdue and self._report is not None:
                    self._stop_reason = StopReason.RECYCLE
                    break
                for slot in overdue:
                    self._give_up(slot)
        finally:
            self._stop()
            self._notifier.stopping(f"Stopping; jobs have {grace:g} s")
            await self._wait_for_the_end(shutdown, grace)
            await self._clear()
            self._report_retries()
            if self._pool is not None:
                await self._pool.close()
            beats.close()
            presence.close()
            deadline = time.monotonic() + GIVE_BACK_WITHIN
            await heartbeat.join(GIVE_BACK_WITHIN)
            await reports.join(max(0.0, deadline - time.monotonic()))
        return self._stop_reason

    def _tick(self) -> None:
        """Show that this process does not hang."""
        self._notifier.alive()
        if self._report is not None:
            self._report.tick()

    def _describe(self) -> WorkerReport:
        """What there is to know of this worker now."""
        now = time.monotonic()
        held = [job for slot in [*self._slots] if (job := slot.held) is not None]
        jobs = (
            ReportedJob(job.feed, job.claim.id, job.attempt, now - job.began)
            for job in held
            if not job.is_lost
        )
        host, _, pid = process_name().rpartition(":")
        return WorkerReport(
            self._id,
            host,
            int(pid),
            __version__,
            tuple(consumer.feed for consumer in self._consumers),
            len(self._slots),
            self._group.processes,
            self._group.name,
            now - self._began,
            self._is_stopping.is_set(),
            len(held),
            tuple(itertools.islice(jobs, MOST_REPORTED)),
        )

    # --- beginning and end --------------------------------------------------------------

    def _start(self) -> None:
        if self._shared:
            wait = BURST_WAIT if self._burst else None
            self._pool = AsyncPool(
                self._thoonk, self._consumers, self._is_over.set, burst_wait=wait
            )
            self._pool.start()
            slots: list[AsyncSlot] = []
            for consumer in self._consumers:
                consumer.slots = slots
            for _ in range(self._concurrency):
                self._start_loop(self._pool.source(), slots)
            return
        for consumer in self._consumers:
            consumer.slots = []
            for _ in range(consumer.handler.concurrency or self._concurrency):
                source = AsyncOneFeed(consumer, BURST_WAIT if self._burst else None)
                self._start_loop(source, consumer.slots)

    def _start_loop(self, source: AsyncSource, fellows: list[AsyncSlot]) -> None:
        slot = AsyncSlot(source)
        fellows.append(slot)
        self._slots.append(slot)
        self._working.add(slot)
        loop = functools.partial(self._loop, slot)
        self._loops.append(Background(loop, f"thoonk-worker-{source.name}-{len(self._loops)}"))

    def _consumer_of(self, job: Job) -> Consumer:
        (consumer,) = [each for each in self._consumers if each.feed == job.feed]
        return consumer

    def _is_to_end(self, slot: AsyncSlot) -> bool:
        """Whether its handler has to end, and does not by itself."""
        job = slot.held
        # Where there is a supervisor, a process that ends takes the handler with it.
        is_lost = job is not None and job.is_lost and self._report is not None
        return slot.is_overdue or is_lost

    def _stop_lost(self, consumer: Consumer, job: Job) -> None:
        """Stop the handler of a job that is not this worker's any more, where that can be done."""
        slot = next((slot for slot in consumer.slots if slot.held is job), None)
        if slot is None or not slot.can_interrupt or slot.take() is not job:
            return  # a thread goes on; see `AsyncClaim.check`
        job.claim.outbox = None
        job.end()
        slot.interrupt()
        self._endings.tell(job, "stopped")
        job.log(logging.WARNING, "job_stopped", "Handler of job %s of %r is cancelled")

    def _give_up(self, slot: AsyncSlot) -> None:
        """Leave a slot to its handler, which does not end, and begin another in its place."""
        job = slot.take()
        if job is None:
            return
        consumer = self._consumer_of(job)
        where = self._tell_overdue(slot, job)
        self._given_up.add(slot)
        self._working.discard(slot)
        self._slots.remove(slot)
        consumer.slots.remove(slot)
        slot.interrupt()
        logger.error(
            "Handler of %r does not end: its job fails, and another handler starts in its place "
            "(%d so far)",
            consumer.feed,
            len(self._given_up),
            extra={**job.fields, "event": "handler_given_up"},
        )
        ending = functools.partial(self._end_overdue, consumer, slot, job, where)
        self._loops.append(Background(ending, "thoonk-worker-clear"))
        self._start_loop(slot.source.another(), consumer.slots)

    async def _end_overdue(self, consumer: Consumer, slot: AsyncSlot, job: Job, where: str) -> None:
        error = TimeLimitExceeded(consumer.handler.time_limit or 0.0)
        try:
            await self._endings.failed(consumer, job, error, where)
            await slot.clear()
        except ThoonkError as failure:
            text = "Job %s of %r is available again when its claim expires: %s"
            job.log(logging.WARNING, "job_not_given_back", text, failure)

    @staticmethod
    def _tell_overdue(slot: AsyncSlot, job: Job) -> str:
        """Log where its handler is, and return it. Its loop no longer handles the job."""
        slot.is_given_up = True
        job.claim.outbox = None
        where = slot.where()
        text = "Job %s of %r not done within the time limit of %g s; it is here:\n%s"
        job.log(logging.ERROR, "job_overdue", text, job.handler.time_limit, where)
        return where

    def _stop(self) -> None:
        """Take no more jobs."""
        self._is_stopping.set()
        for slot in self._slots:
            slot.source.stop()
        if self._pool is not None:
            self._pool.stop()

    async def _wait_for_the_end(self, shutdown: Callable[[], Shutdown], grace: float) -> None:
        deadline = time.monotonic() + grace
        while self._working and time.monotonic() < deadline and shutdown() is not Shutdown.COLD:
            if all(self._is_to_end(slot) for slot in [*self._working]):
                break  # there is nothing else to wait for
            if await wait_event(self._changed, TICK):
                self._changed.clear()
            self._tick()

    async def _clear(self) -> None:
        """Give back what has not ended."""
        left: set[AsyncSlot] = set()
        steps: list[Callable[[], Coroutine[Any, Any, None]]] = []
        for slot in self._slots:
            overdue = slot.is_overdue
            job = slot.take()
            if job is None:
                continue
            left.add(slot)
            if job.is_lost:
                job.end()
                self._endings.tell(job, "lost")
                steps.append(slot.clear)
            elif overdue:
                consumer, where = self._consumer_of(job), self._tell_overdue(slot, job)
                steps.append(functools.partial(self._end_overdue, consumer, slot, job, where))
            else:
                text = "Job %s of %r given back unfinished"
                job.log(logging.WARNING, "job_given_back", text)
                job.end()
                self._endings.tell(job, "released")
                steps.append(slot.clear)
            slot.interrupt()
        deadline = time.monotonic() + GIVE_BACK_WITHIN
        clearing = [Background(step, "thoonk-worker-clear") for step in steps]
        for background in clearing:
            await background.join(max(0.0, deadline - time.monotonic()))
        while self._working - left and time.monotonic() < deadline:
            # They have no job any more, and tell how the last ones ended.
            if await wait_event(self._changed, TICK):
                self._changed.clear()

    def _end(self, reason: StopReason) -> None:
        self._stop_reason = reason
        self._is_over.set()

    # --- the loops ----------------------------------------------------------------------

    async def _beat(self, beats: AsyncWorkerHeartbeat) -> None:
        try:
            await beats.run()
        except BaseException:
            # Without heartbeats claims expire, and their jobs run twice.
            self._is_over.set()
            raise

    async def _loop(self, slot: AsyncSlot) -> None:
        try:
            while not self._is_stopping.is_set() and not slot.is_given_up:
                try:
                    await self._work(slot)
                except Closed:
                    self._is_over.set()
                    return
                except Exception as error:  # noqa: BLE001 - a loop must survive any error
                    await self._recover(slot, error)
        except BaseException:
            # Better no worker than one that silently does only a part of its work.
            self._is_over.set()
            raise
        finally:
            self._working.discard(slot)
            self._given_up.discard(slot)
            self._changed.set()
            slot.leave()

    async def _recover(self, slot: AsyncSlot, error: Exception) -> None:
        consumer = slot.source.consumer
        log_failure(consumer.feed, error)
        if (job := slot.take()) is not None:
            job.end()
        await wait_event(self._is_stopping, OUTAGE_PAUSE)
        if isinstance(error, FeedDoesNotExist):
            await reopen(self._thoonk, consumer)

    async def _work(self, slot: AsyncSlot) -> None:
        """Do one job after another, until the loop is to end or to be restarted."""
        retries = self._retries
        began_in = retries.look()[1] if retries else 0
        async with slot.source as source:
            if self._is_stopping.is_set():
                return
            while (claim := await source.next()) is not None:
                consumer = source.consumer
                slot.idle_in = None
                if retries is not None:
                    retries.drop(consumer.feed, [claim.id])
                job = RunningJob(claim, consumer.handler, source.keeps_claims)
                if not await self._do(consumer, slot, job):
                    break
                if self._shutdown() is not Shutdown.NONE:
                    self._stop()
                if next(self._begun) == self._max_jobs:
                    self._end(StopReason.RECYCLE)
                    self._stop()
                source.after(time.monotonic() - job.began)
        if retries is not None and source.is_dry and not self._is_over.is_set():
            slot.idle_in = began_in
            await self._drop_lost(retries)
            is_one_to_come, round = retries.look()
            if not is_one_to_come and all(slot.idle_in == round for slot in self._slots):
                self._end(StopReason.DONE)

    async def _drop_lost(self, retries: Retries) -> None:
        """Do not wait for jobs that were retracted, or done elsewhere."""
        if time.monotonic() - self._looked_at_retries < LOOK_AT_RETRIES:
            return
        self._looked_at_retries = time.monotonic()
        for consumer in self._consumers:
            if ids := retries.of(consumer.feed)[:MOST]:
                with contextlib.suppress(UnsupportedOperation):
                    read = ReadJobs(consumer.feed, tuple(ids))
                    there = await self._thoonk.backend.execute(read)
                    retries.drop(consumer.feed, {*ids} - there.keys())

    async def _do(self, consumer: Consumer, slot: AsyncSlot, job: Job) -> bool:
        """Do one job; False when it was taken out of the slot meanwhile."""
        limit = consumer.handler.time_limit
        error: BaseException | None = None
        value = None
        slot.job = job
        report = self._report
        if report is not None:
            number, claim = self._slots.index(slot), job.claim
            report.begin(number, job.feed, claim.id, claim.token, job.attempt, limit)
        try:
            with self._in_trace(job):
                value = await slot.call(job)
        except BaseException as raised:  # whatever a job does
            if not slot.is_failure(raised):
                raise
            error = raised
        if not job.take():
            return False
        if report is not None:
            report.end(self._slots.index(slot))
        if error is not None:
            await self._endings.failed(consumer, job, error)
        else:
            await self._endings.returned(consumer, job, value)
        self._report_retries()
        if logger.isEnabledFor(logging.DEBUG):
            seconds = time.monotonic() - job.began
            text = "Job %s of %r took %.3f s"
            job.log(logging.DEBUG, "job_done", text, seconds, seconds=seconds)
        return True

    def _report_retries(self) -> None:
        """The process that replaces this one in a burst waits for them."""
        if self._report is not None and self._retries is not None:
            self._report.retries_until = self._retries.until

    def _in_trace(self, job: Job) -> AbstractContextManager[Any]:
        """A block to call the handler in: with the job's trace, and seen by observers."""
        observed = getattr(self._thoonk.backend, "working", None)
        if observed is None:
            return job.claim.working()
        blocks = contextlib.ExitStack()
        blocks.enter_context(job.claim.working())
        blocks.enter_context(observed(job.feed, job.claim.id, job.attempt))
        return blocks
