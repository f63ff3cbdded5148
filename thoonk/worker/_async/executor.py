"""Runs the jobs of one process: loops over claims, with a heartbeat beside them."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from thoonk import AsyncClaim, AsyncThoonk
from thoonk._async.lost import WHY, reason_of
from thoonk.concurrency._async import Background, Event, wait_event
from thoonk.exceptions import (
    Closed,
    FeedDoesNotExist,
    InvalidType,
    NotClaimed,
    SerializerError,
    ThoonkError,
)
from thoonk.names import new_token, shown
from thoonk.operations import MOST, ClaimRef, JobExtend, JobNext
from thoonk.worker._async.consumer import Consumer, open_consumer, refresh
from thoonk.worker._async.slot import AsyncSlot, Standstill
from thoonk.worker.handlers import Handler
from thoonk.worker.outcomes import Discard, Retry, Stall, TimeLimitExceeded
from thoonk.worker.running_job import RunningJob
from thoonk.worker.shutdown import Shutdown, StopReason

logger = logging.getLogger("thoonk.worker")

_Running: TypeAlias = RunningJob[AsyncClaim[Any]]

TICK = 0.1
"""Seconds between two looks: is it to stop, is a job over its time, is a claim to be extended."""

PER_TIMEOUT = 3
"""How often a claim is extended within its ``claim_timeout``."""

LOOK_EVERY = 1.0
"""Seconds after which a feed's configuration is read again while its jobs are done."""

LOOK_IDLE = 5.0
"""The same while there is none."""

STEP = 50
"""So many jobs are given back between two looks at the claims to be extended."""

MOST_DELAYED = 10_000
"""So many failed jobs wait for their next attempt; with more, no further ones are begun."""

BURST_WAIT = 0.1
"""Seconds without a job, after which there is none."""

OUTAGE_PAUSE = 1.0
"""Seconds until a loop that has failed tries again."""

OURS = ("thoonk.worker.", "thoonk.concurrency.")
"""Modules that call handlers."""

GIVE_BACK_WITHIN = 5.0
"""Seconds to tell the backend of what has not ended in time."""


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


def _fields(consumer: Consumer, claim: AsyncClaim[Any]) -> dict[str, Any]:
    return {"feed": consumer.feed, "id": claim.id, "attempt": claim.cancelled + 1}


class AsyncExecutor:
    """Works on feeds until it is to stop."""

    def __init__(
        self,
        thoonk: AsyncThoonk,
        handlers: Sequence[Handler],
        concurrency: int,
        *,
        burst: bool = False,
        max_jobs: int | None = None,
        tell_deadline: Callable[[int, float], None] | None = None,
    ) -> None:
        """Tell what to work on; it begins with `run`.

        Args:
            thoonk: the client.
            handlers: one for each feed.
            concurrency: how many jobs of each feed are done at once.
            burst: end when there is no job.
            max_jobs: end after that many.
            tell_deadline: is told for each slot (by its number) until when its job has to
                be done, 0 when there is no such time.
        """
        self._thoonk = thoonk
        self._handlers = handlers
        self._concurrency = concurrency
        self._burst = burst
        self._max_jobs = max_jobs
        self._tell_deadline = tell_deadline
        self._consumers: list[Consumer] = []
        self._slots: list[AsyncSlot] = []
        self._loops: list[Background] = []
        self._working: set[AsyncSlot] = set()
        self._given_up: set[AsyncSlot] = set()
        self._parked: dict[_Running, Consumer] = {}
        # Counts how often there was more to do again than what waited.
        self._round = 0
        self._begun = itertools.count(1)
        self._shutdown: Callable[[], Shutdown] = lambda: Shutdown.NONE
        self._stop_reason = StopReason.REQUESTED
        self._is_stopping = Event()
        self._is_over = Event()
        self._changed = Event()
        self._is_closed = Event()

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
        heartbeat = Background(self._heartbeat, "thoonk-worker-heartbeat")
        self._start()
        standstill = Standstill(TICK)
        try:
            while not await wait_event(self._is_over, TICK):
                standstill.look(self._slots)
                if shutdown() is not Shutdown.NONE:
                    break
                overdue = [slot for slot in self._slots if slot.is_overdue]
                if overdue and self._tell_deadline is not None:
                    self._stop_reason = StopReason.RECYCLE
                    break
                for slot in overdue:
                    self._give_up(slot)
        finally:
            self._stop()
            await self._wait_for_the_end(shutdown, grace)
            await self._clear()
            self._is_closed.set()
            await heartbeat.join(GIVE_BACK_WITHIN)
        return self._stop_reason

    # --- beginning and end --------------------------------------------------------------

    def _start(self) -> None:
        for consumer in self._consumers:
            for _ in range(consumer.handler.concurrency or self._concurrency):
                self._start_loop(consumer)

    def _start_loop(self, consumer: Consumer) -> None:
        slot = AsyncSlot(consumer.handler)
        consumer.slots.append(slot)
        self._slots.append(slot)
        self._working.add(slot)
        loop = functools.partial(self._loop, consumer, slot)
        self._loops.append(Background(loop, f"thoonk-worker-{consumer.feed}-{len(self._loops)}"))

    def _give_up(self, slot: AsyncSlot) -> None:
        """Leave a slot to its handler, which does not end, and begin another in its place."""
        running = slot.take()
        if running is None:
            return
        (consumer,) = [consumer for consumer in self._consumers if slot in consumer.slots]
        self._tell_overdue(consumer, slot, running)
        self._given_up.add(slot)
        self._working.discard(slot)
        self._slots.remove(slot)
        consumer.slots.remove(slot)
        slot.interrupt()
        logger.error(
            "Handler of %r that does not end left alone: its job failed, another takes its place; "
            "so far %d",
            consumer.feed,
            len(self._given_up),
            extra={**_fields(consumer, running.claim), "event": "handler_given_up"},
        )
        ending = functools.partial(self._end_given_up, consumer, slot, running)
        self._loops.append(Background(ending, "thoonk-worker-clear"))
        self._start_loop(consumer)

    async def _end_given_up(self, consumer: Consumer, slot: AsyncSlot, running: _Running) -> None:
        try:
            await self._failed(
                consumer, running, TimeLimitExceeded(consumer.handler.time_limit or 0.0)
            )
            await slot.clear()
        except ThoonkError as error:
            logger.warning(
                "Job %s of %r comes back when its claim has run out: %s",
                shown(running.claim.id),
                consumer.feed,
                error,
                extra={**_fields(consumer, running.claim), "event": "job_not_given_back"},
            )

    def _tell_overdue(self, consumer: Consumer, slot: AsyncSlot, running: _Running) -> None:
        slot.is_given_up = True
        logger.error(
            "Job %s of %r not done within the time limit of %g s; it is here:\n%s",
            shown(running.claim.id),
            consumer.feed,
            consumer.handler.time_limit,
            slot.where(),
            extra={**_fields(consumer, running.claim), "event": "job_overdue"},
        )

    def _stop(self) -> None:
        """Take no more jobs. The heartbeat gives back those that wait for their next attempt."""
        self._is_stopping.set()
        for slot in self._slots:
            if slot.claims is not None:
                slot.claims.stop()

    async def _wait_for_the_end(self, shutdown: Callable[[], Shutdown], grace: float) -> None:
        deadline = time.monotonic() + grace
        while self._working and time.monotonic() < deadline and shutdown() is not Shutdown.COLD:
            if all(slot.is_overdue for slot in [*self._working]):
                break  # nobody else is waited for
            if await wait_event(self._changed, TICK):
                self._changed.clear()

    async def _clear(self) -> None:
        """Give back what has not ended."""
        left: set[AsyncSlot] = set()
        for consumer in self._consumers:
            for slot in consumer.slots:
                overdue = slot.is_overdue
                running = slot.take()
                if running is None:
                    continue
                left.add(slot)
                slot.interrupt()
                claim = running.claim
                extra = _fields(consumer, claim)
                if overdue:
                    # Counts as an attempt, which is told when the slot is cleared.
                    claim.settle(failed=True)
                    self._tell_overdue(consumer, slot, running)
                else:
                    logger.warning(
                        "Job %s of %r given back unfinished",
                        shown(claim.id),
                        consumer.feed,
                        extra={**extra, "event": "job_given_back"},
                    )
        deadline = time.monotonic() + GIVE_BACK_WITHIN
        clearing = [Background(slot.clear, "thoonk-worker-clear") for slot in left]
        for background in clearing:
            await background.join(max(0.0, deadline - time.monotonic()))
        while (self._working - left or self._parked) and time.monotonic() < deadline:
            # They have no job any more, and tell how the last ones ended.
            if await wait_event(self._changed, TICK):
                self._changed.clear()

    def _end(self, reason: StopReason) -> None:
        self._stop_reason = reason
        self._is_over.set()

    # --- the loops ----------------------------------------------------------------------

    async def _loop(self, consumer: Consumer, slot: AsyncSlot) -> None:
        try:
            while not self._is_stopping.is_set() and not slot.is_given_up:
                try:
                    await self._work(consumer, slot)
                except Closed:
                    self._is_over.set()
                    return
                except FeedDoesNotExist:
                    await self._recover(slot, functools.partial(self._reopen, consumer))
                except ThoonkError as error:
                    logger.warning(
                        "Loop over %r failed, and tries again: %s",
                        consumer.feed,
                        error,
                        extra={"event": "loop_failed", "feed": consumer.feed},
                    )
                    await self._recover(slot)
                except Exception:
                    # Whatever it is: a worker that goes on is better than one that hangs.
                    logger.exception(
                        "Loop over %r failed, and tries again",
                        consumer.feed,
                        extra={"event": "loop_failed", "feed": consumer.feed},
                    )
                    await self._recover(slot)
        except BaseException:
            # A worker that does some of its work, and looks as if it did all, is worse than none.
            self._is_over.set()
            raise
        finally:
            self._working.discard(slot)
            self._given_up.discard(slot)
            self._changed.set()
            slot.leave()

    async def _recover(
        self, slot: AsyncSlot, step: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        slot.take()
        await wait_event(self._is_stopping, OUTAGE_PAUSE)
        if step is not None:
            await step()

    async def _reopen(self, consumer: Consumer) -> None:
        """The feed was deleted: make it anew."""
        try:
            fresh = await open_consumer(self._thoonk, consumer.handler)
        except ThoonkError as error:
            logger.warning(
                "Feed %r cannot be opened: %s",
                consumer.feed,
                error,
                extra={"event": "feed_not_opened", "feed": consumer.feed},
            )
        else:
            consumer.job, consumer.serializer = fresh.job, fresh.serializer
            consumer.claim_timeout, consumer.max_failures = fresh.claim_timeout, fresh.max_failures
            consumer.looked = fresh.looked

    async def _work(self, consumer: Consumer, slot: AsyncSlot) -> None:
        """Do one job after another, until the loop is to end or to be begun anew."""
        began_in, generation = self._round, consumer.generation
        slot.prefetch = slot.tuner.prefetch
        claims = consumer.job.claims(BURST_WAIT if self._burst else None, prefetch=slot.prefetch)
        slot.claims = claims
        begins_anew = False  # with another number of jobs at once
        if self._is_stopping.is_set():
            return
        async with claims:
            async for claim in claims:
                slot.idle_in = None
                running = RunningJob(claim)
                if not await self._do(consumer, slot, running):
                    break
                if self._shutdown() is not Shutdown.NONE:
                    self._stop()
                if next(self._begun) == self._max_jobs:
                    self._end(StopReason.RECYCLE)
                begins_anew = slot.tuner.after(time.monotonic() - running.began)
                if begins_anew:
                    claims.stop()
        begins_anew = begins_anew or consumer.generation != generation
        if self._burst and not begins_anew and not self._is_over.is_set():
            slot.idle_in = began_in
            if not self._parked and all(slot.idle_in == self._round for slot in self._slots):
                self._end(StopReason.DONE)

    async def _do(self, consumer: Consumer, slot: AsyncSlot, running: _Running) -> bool:
        """Do one job; False when it was taken out of the slot meanwhile."""
        handler, claim = consumer.handler, running.claim
        error: BaseException | None = None
        value = None
        slot.held.append(running)
        if handler.time_limit is not None and self._tell_deadline is not None:
            self._tell_deadline(self._slots.index(slot), running.began + handler.time_limit)
        try:
            with self._in_trace(consumer, claim):
                value = await slot.call(running)
        except BaseException as raised:  # whatever a job does
            if not slot.is_failure(raised):
                raise
            error = raised
        if slot.take() is None:
            return False
        if handler.time_limit is not None and self._tell_deadline is not None:
            self._tell_deadline(self._slots.index(slot), 0.0)
        if error is not None:
            await self._failed(consumer, running, error)
        elif not claim.ended:
            await self._succeeded(consumer, running, value)
        if logger.isEnabledFor(logging.DEBUG):
            seconds = time.monotonic() - running.began
            logger.debug(
                "Job %s of %r took %.3f s",
                shown(claim.id),
                consumer.feed,
                seconds,
                extra={**_fields(consumer, claim), "event": "job_done", "seconds": seconds},
            )
        return True

    def _in_trace(self, consumer: Consumer, claim: AsyncClaim[Any]) -> AbstractContextManager[Any]:
        """A block to call the handler in: with the job's trace, and seen by observers."""
        observed = getattr(self._thoonk.backend, "working", None)
        if observed is None:
            return claim.working()
        blocks = contextlib.ExitStack()
        blocks.enter_context(claim.working())
        blocks.enter_context(observed(consumer.feed, claim.id, claim.cancelled + 1))
        return blocks

    # --- how jobs end ---------------------------------------------------------------------

    async def _succeeded(self, consumer: Consumer, running: _Running, value: Any) -> None:
        handler, claim = consumer.handler, running.claim
        stored = value is not None if handler.result is None else handler.result
        if not stored:
            return
        try:
            claim.set_result(value, handler.result_timeout)
        except (SerializerError, InvalidType) as error:
            # To do it again would come to the same.
            await self._stall(consumer, running, f"its result cannot be stored: {error}")

    async def _failed(self, consumer: Consumer, running: _Running, error: BaseException) -> None:
        claim = running.claim
        extra = _fields(consumer, claim)
        if claim.ended:
            logger.error(
                "Handler of job %s of %r failed after it had ended the job",
                shown(claim.id),
                consumer.feed,
                exc_info=_trace(error),
                extra={**extra, "event": "handler_failed_after_end"},
            )
        elif isinstance(error, Discard):
            logger.info(
                "Job %s of %r discarded: %s",
                shown(claim.id),
                consumer.feed,
                error,
                extra={**extra, "event": "job_discarded"},
            )
        elif isinstance(error, Stall):
            await self._stall(consumer, running, str(error))
        elif await self._is_last(consumer, running):
            await self._failed_finally(consumer, running, error)
        else:
            await self._failed_for_now(consumer, running, error)

    async def _is_last(self, consumer: Consumer, running: _Running) -> bool:
        """Whether the backend stalls a job that has failed in this attempt."""
        attempt = running.claim.cancelled + 1
        if not attempt >= consumer.max_failures > 0:
            return False
        try:
            # What it has allowed before may not hold any more.
            await refresh(self._thoonk, consumer)
        except ThoonkError:
            return False  # it is asked again after the delay
        return attempt >= consumer.max_failures > 0

    async def _failed_finally(
        self, consumer: Consumer, running: _Running, error: BaseException
    ) -> None:
        claim = running.claim
        extra = _fields(consumer, claim)
        event, becomes = "job_stalled", "it is stalled"
        try:
            # A backend that is older than this library does not tell.
            if await claim.cancel() is False:
                event, becomes = "job_failed", "it is available again: it was not stalled"
        except NotClaimed:
            event, becomes = "job_lost", "it was lost before"
        except ThoonkError as failure:
            logger.warning(
                "Job %s of %r not stalled yet: %s",
                shown(claim.id),
                consumer.feed,
                failure,
                extra={**extra, "event": "job_not_given_back"},
            )
            await self._failed_for_now(consumer, running, error)
            return
        logger.error(
            "Job %s of %r failed on attempt %d; %s",
            shown(claim.id),
            consumer.feed,
            claim.cancelled + 1,
            becomes,
            exc_info=_trace(error),
            extra={**extra, "event": event},
        )

    async def _failed_for_now(
        self, consumer: Consumer, running: _Running, error: BaseException
    ) -> None:
        claim = running.claim
        attempt = claim.cancelled + 1
        asked = isinstance(error, Retry)
        delay = error.delay if isinstance(error, Retry) else None
        if delay is None:
            delay = consumer.handler.delay(attempt)
        logger.warning(
            "Job %s of %r failed on attempt %d; retrying in %.1f s: %s",
            shown(claim.id),
            consumer.feed,
            attempt,
            delay,
            error if asked else _said(error),
            exc_info=None if asked else _trace(error),
            extra={**_fields(consumer, claim), "event": "job_failed", "delay": delay},
        )
        if not delay or self._is_stopping.is_set():
            claim.settle(failed=True)
            return
        # It stays claimed until it may be tried again. So nothing has to be stored about it,
        # and when this process dies it comes back.
        claim.outbox = None  # the loop has nothing to do with it any more
        running.due = time.monotonic() + delay
        self._parked[running] = consumer
        while len(self._parked) > MOST_DELAYED and not self._is_stopping.is_set():
            await wait_event(self._is_stopping, TICK)

    async def _stall(self, consumer: Consumer, running: _Running, reason: str) -> None:
        claim = running.claim
        extra = _fields(consumer, claim)
        try:
            await claim.stall()
        except NotClaimed:
            logger.warning(
                "Job %s of %r was to be stalled (%s), but its claim was lost before",
                shown(claim.id),
                consumer.feed,
                reason,
                extra={**extra, "event": "job_lost"},
            )
        except ThoonkError as error:
            logger.warning(
                "Job %s of %r was to be stalled (%s), and is not: %s",
                shown(claim.id),
                consumer.feed,
                reason,
                error,
                extra={**extra, "event": "job_not_given_back"},
            )
            claim.settle(failed=True)
        else:
            logger.error(
                "Job %s of %r stalled: %s",
                shown(claim.id),
                consumer.feed,
                reason,
                extra={**extra, "event": "job_stalled"},
            )

    async def _give_back(self, consumer: Consumer, jobs: Sequence[_Running]) -> None:
        """Let jobs that have failed be available again."""
        for running in jobs:
            claim = running.claim
            try:
                stalled = await claim.cancel()
            except (NotClaimed, FeedDoesNotExist):
                logger.debug(
                    "Job %s of %r was lost while it waited for its next attempt",
                    shown(claim.id),
                    consumer.feed,
                    extra={**_fields(consumer, claim), "event": "job_lost"},
                )
            except ThoonkError as error:
                logger.warning(
                    "Job %s of %r not given back yet: %s",
                    shown(claim.id),
                    consumer.feed,
                    error,
                    extra={**_fields(consumer, claim), "event": "job_not_given_back"},
                )
                return
            else:
                if stalled:
                    logger.error(
                        "Job %s of %r stalled after attempt %d: the feed's max_failures is less "
                        "than it was",
                        shown(claim.id),
                        consumer.feed,
                        claim.cancelled + 1,
                        extra={**_fields(consumer, claim), "event": "job_stalled"},
                    )
            self._round += 1
            self._parked.pop(running, None)

    async def _give_back_together(self, consumer: Consumer, jobs: Sequence[_Running]) -> None:
        """The same for all at once, when there is no time for one after another."""
        refs = tuple(ClaimRef(running.claim.id, running.claim.token) for running in jobs)
        operation = JobNext(consumer.feed, new_token(), 0, recover_expired=False, cancelled=refs)
        with contextlib.suppress(FeedDoesNotExist):
            await self._thoonk.backend.execute(operation)
        for running in jobs:
            self._round += 1
            self._parked.pop(running, None)

    # --- the heartbeat -----------------------------------------------------------------------

    async def _heartbeat(self) -> None:
        while not await wait_event(self._is_closed, TICK):
            for consumer in self._consumers:
                try:
                    await self._beat(consumer)
                except FeedDoesNotExist:
                    pass  # its loops make it anew
                except ThoonkError as error:
                    # The next time may still be soon enough.
                    logger.warning(
                        "Claims of %r not extended: %s",
                        consumer.feed,
                        error,
                        extra={"event": "claims_not_extended", "feed": consumer.feed},
                    )
                except Exception:
                    logger.exception(
                        "Claims of %r not extended",
                        consumer.feed,
                        extra={"event": "claims_not_extended", "feed": consumer.feed},
                    )

    async def _beat(self, consumer: Consumer) -> None:
        parked = [
            running for running, its_consumer in [*self._parked.items()] if its_consumer is consumer
        ]
        if parked and self._is_stopping.is_set():
            await self._give_back_together(consumer, parked[:MOST])
        else:
            now = time.monotonic()
            # With more of them, claims would be extended too late.
            await self._give_back(consumer, [each for each in parked if each.due <= now][:STEP])
        busy = parked or any(slot.held for slot in consumer.slots)
        if time.monotonic() - consumer.looked >= (LOOK_EVERY if busy else LOOK_IDLE):
            await refresh(self._thoonk, consumer)
        await self._extend(consumer)

    async def _extend(self, consumer: Consumer) -> None:
        if not consumer.claim_timeout:
            return
        old = time.monotonic() - consumer.claim_timeout / PER_TIMEOUT
        jobs = [
            running for running, its_consumer in [*self._parked.items()] if its_consumer is consumer
        ]
        if consumer.handler.heartbeat:
            # Claims that were taken several at a time are kept by those who took them.
            single = [slot for slot in consumer.slots if slot.prefetch == 1]
            jobs += [running for slot in single for running in [*slot.held]]
        jobs = [
            running
            for running in jobs
            if running.beaten <= old and not running.is_lost and not running.claim.ended
        ]
        for start in range(0, len(jobs), MOST):
            several = jobs[start : start + MOST]
            now = time.monotonic()
            refs = tuple(ClaimRef(running.claim.id, running.claim.token) for running in several)
            answers = await self._thoonk.backend.execute(JobExtend(consumer.feed, refs))
            for running, holds in zip(several, answers, strict=True):
                running.beaten = now
                running.is_lost = not holds
                if (
                    not holds
                    and self._parked.pop(running, None) is None
                    and not running.claim.ended
                ):
                    reason = await reason_of(self._thoonk.backend, consumer.feed, running.claim.id)
                    logger.warning(
                        "Job %s of %r was lost while it ran: %s",
                        shown(running.claim.id),
                        consumer.feed,
                        WHY[reason],
                        extra={
                            **_fields(consumer, running.claim),
                            "event": "job_lost",
                            "reason": reason,
                        },
                    )
