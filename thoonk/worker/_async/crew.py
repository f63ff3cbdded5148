"""The crew of one process: its loops over claims, and the keeper of what they have in hand."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any

from thoonk import AsyncClaim, AsyncThoonk
from thoonk._async.lost import WHY, reason_of
from thoonk.concurrency._async import Background, Event, event_within
from thoonk.exceptions import (
    Closed,
    FeedDoesNotExist,
    InvalidType,
    NotClaimed,
    SerializerError,
    ThoonkError,
)
from thoonk.names import new_token, shown
from thoonk.operations import MOST, Held, JobExtend, JobNext
from thoonk.worker._async.post import Post, open_post, refresh
from thoonk.worker._async.slot import AsyncSlot, Standstill
from thoonk.worker.charge import Charge
from thoonk.worker.handlers import Handler
from thoonk.worker.orders import Finale, Order
from thoonk.worker.outcomes import Discard, Retry, Stall, TimeLimitExceeded

logger = logging.getLogger("thoonk.worker")

TICK = 0.1
"""Seconds between two looks at orders, time limits, and claims to be extended or given back."""

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

PATIENCE = 5.0
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


def _fields(post: Post, claim: AsyncClaim[Any]) -> dict[str, Any]:
    return {"feed": post.feed, "id": claim.id, "attempt": claim.cancelled + 1}


class AsyncCrew:
    """Works on feeds until it is ordered to stop."""

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
        self._posts: list[Post] = []
        self._slots: list[AsyncSlot] = []
        self._loops: list[Background] = []
        self._working: set[AsyncSlot] = set()
        self._given_up: set[AsyncSlot] = set()
        self._parked: dict[Charge[AsyncClaim[Any]], Post] = {}
        # Counts how often there was more to do again than what waited.
        self._round = 0
        self._begun = itertools.count(1)
        self._orders: Callable[[], Order] = lambda: Order.WORK
        self._finale = Finale.ORDERED
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
        self._posts = [await open_post(self._thoonk, handler) for handler in self._handlers]

    async def run(self, orders: Callable[[], Order], grace: float) -> Finale:
        """Work until ordered to stop, or there is another reason.

        Args:
            orders: is asked again and again what to do.
            grace: seconds that jobs may take after the order to stop. What is not done by
                then, or when ordered to hurry, is given back.

        Raises:
            ThoonkError: a feed cannot be opened.
        """
        self._orders = orders
        await self.open()
        keeper = Background(self._keep, "thoonk-worker-keeper")
        self._start()
        standstill = Standstill(TICK)
        try:
            while not await event_within(self._is_over, TICK):
                standstill.look(self._slots)
                if orders() is not Order.WORK:
                    break
                overdue = [slot for slot in self._slots if slot.is_overdue]
                if overdue and self._tell_deadline is not None:
                    self._finale = Finale.RENEW
                    break
                for slot in overdue:
                    self._give_up(slot)
        finally:
            self._stop()
            await self._wait_for_the_end(orders, grace)
            await self._clear()
            self._is_closed.set()
            await keeper.join(PATIENCE)
        return self._finale

    # --- beginning and end --------------------------------------------------------------

    def _start(self) -> None:
        for post in self._posts:
            for _ in range(post.handler.concurrency or self._concurrency):
                self._start_loop(post)

    def _start_loop(self, post: Post) -> None:
        slot = AsyncSlot(post.handler)
        post.slots.append(slot)
        self._slots.append(slot)
        self._working.add(slot)
        loop = functools.partial(self._loop, post, slot)
        self._loops.append(Background(loop, f"thoonk-worker-{post.feed}-{len(self._loops)}"))

    def _give_up(self, slot: AsyncSlot) -> None:
        """Leave a slot to its handler, which does not end, and begin another in its place."""
        charge = slot.take()
        if charge is None:
            return
        (post,) = [post for post in self._posts if slot in post.slots]
        self._tell_overdue(post, slot, charge)
        self._given_up.add(slot)
        self._working.discard(slot)
        self._slots.remove(slot)
        post.slots.remove(slot)
        slot.interrupt()
        logger.error(
            "Handler of %r that does not end left alone: its job failed, another takes its place; "
            "so far %d",
            post.feed,
            len(self._given_up),
            extra={**_fields(post, charge.claim), "event": "handler_given_up"},
        )
        ending = functools.partial(self._end_given_up, post, slot, charge)
        self._loops.append(Background(ending, "thoonk-worker-clear"))
        self._start_loop(post)

    async def _end_given_up(
        self, post: Post, slot: AsyncSlot, charge: Charge[AsyncClaim[Any]]
    ) -> None:
        try:
            await self._failed(post, charge, TimeLimitExceeded(post.handler.time_limit or 0.0))
            await slot.clear()
        except ThoonkError as error:
            logger.warning(
                "Job %s of %r comes back when its claim has run out: %s",
                shown(charge.claim.id),
                post.feed,
                error,
                extra={**_fields(post, charge.claim), "event": "job_not_given_back"},
            )

    def _tell_overdue(self, post: Post, slot: AsyncSlot, charge: Charge[AsyncClaim[Any]]) -> None:
        slot.is_given_up = True
        logger.error(
            "Job %s of %r not done within the time limit of %g s; it is here:\n%s",
            shown(charge.claim.id),
            post.feed,
            post.handler.time_limit,
            slot.where(),
            extra={**_fields(post, charge.claim), "event": "job_overdue"},
        )

    def _stop(self) -> None:
        """Take no more jobs. The keeper gives those back that wait for their next attempt."""
        self._is_stopping.set()
        for slot in self._slots:
            if slot.claims is not None:
                slot.claims.stop()

    async def _wait_for_the_end(self, orders: Callable[[], Order], grace: float) -> None:
        deadline = time.monotonic() + grace
        while self._working and time.monotonic() < deadline and orders() is not Order.HURRY:
            if all(slot.is_overdue for slot in [*self._working]):
                break  # nobody else is waited for
            if await event_within(self._changed, TICK):
                self._changed.clear()

    async def _clear(self) -> None:
        """Give back what has not ended."""
        left: set[AsyncSlot] = set()
        for post in self._posts:
            for slot in post.slots:
                overdue = slot.is_overdue
                charge = slot.take()
                if charge is None:
                    continue
                left.add(slot)
                slot.interrupt()
                claim = charge.claim
                extra = _fields(post, claim)
                if overdue:
                    # Counts as an attempt, which is told when the slot is cleared.
                    claim.settle(failed=True)
                    self._tell_overdue(post, slot, charge)
                else:
                    logger.warning(
                        "Job %s of %r given back unfinished",
                        shown(claim.id),
                        post.feed,
                        extra={**extra, "event": "job_given_back"},
                    )
        deadline = time.monotonic() + PATIENCE
        clearing = [Background(slot.clear, "thoonk-worker-clear") for slot in left]
        for background in clearing:
            await background.join(max(0.0, deadline - time.monotonic()))
        while (self._working - left or self._parked) and time.monotonic() < deadline:
            # They have no job any more, and tell how the last ones ended.
            if await event_within(self._changed, TICK):
                self._changed.clear()

    def _end(self, finale: Finale) -> None:
        self._finale = finale
        self._is_over.set()

    # --- the loops ----------------------------------------------------------------------

    async def _loop(self, post: Post, slot: AsyncSlot) -> None:
        try:
            while not self._is_stopping.is_set() and not slot.is_given_up:
                try:
                    await self._work(post, slot)
                except Closed:
                    self._is_over.set()
                    return
                except FeedDoesNotExist:
                    await self._recover(slot, functools.partial(self._reopen, post))
                except ThoonkError as error:
                    logger.warning(
                        "Loop over %r failed, and tries again: %s",
                        post.feed,
                        error,
                        extra={"event": "loop_failed", "feed": post.feed},
                    )
                    await self._recover(slot)
                except Exception:
                    # Whatever it is: a worker that goes on is better than one that hangs.
                    logger.exception(
                        "Loop over %r failed, and tries again",
                        post.feed,
                        extra={"event": "loop_failed", "feed": post.feed},
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
        await event_within(self._is_stopping, OUTAGE_PAUSE)
        if step is not None:
            await step()

    async def _reopen(self, post: Post) -> None:
        """The feed was deleted: make it anew."""
        try:
            fresh = await open_post(self._thoonk, post.handler)
        except ThoonkError as error:
            logger.warning(
                "Feed %r cannot be opened: %s",
                post.feed,
                error,
                extra={"event": "feed_not_opened", "feed": post.feed},
            )
        else:
            post.job, post.serializer = fresh.job, fresh.serializer
            post.claim_timeout, post.max_failures = fresh.claim_timeout, fresh.max_failures
            post.looked = fresh.looked

    async def _work(self, post: Post, slot: AsyncSlot) -> None:
        """Do one job after another, until the loop is to end or to be begun anew."""
        began_in, generation = self._round, post.generation
        slot.prefetch = slot.pace.prefetch
        claims = post.job.claims(BURST_WAIT if self._burst else None, prefetch=slot.prefetch)
        slot.claims = claims
        paced = False  # whether the loop has ended for another number of jobs at once
        if self._is_stopping.is_set():
            return
        async with claims:
            async for claim in claims:
                slot.idle_in = None
                charge = Charge(claim)
                if not await self._do(post, slot, charge):
                    break
                if self._orders() is not Order.WORK:
                    self._stop()
                if next(self._begun) == self._max_jobs:
                    self._end(Finale.RENEW)
                paced = slot.pace.after(time.monotonic() - charge.began)
                if paced:
                    claims.stop()
        paced = paced or post.generation != generation
        if self._burst and not paced and not self._is_over.is_set():
            slot.idle_in = began_in
            if not self._parked and all(slot.idle_in == self._round for slot in self._slots):
                self._end(Finale.DONE)

    async def _do(self, post: Post, slot: AsyncSlot, charge: Charge[AsyncClaim[Any]]) -> bool:
        """Do one job; False when it was taken out of the slot meanwhile."""
        handler, claim = post.handler, charge.claim
        error: BaseException | None = None
        value = None
        slot.held.append(charge)
        if handler.time_limit is not None and self._tell_deadline is not None:
            self._tell_deadline(self._slots.index(slot), charge.began + handler.time_limit)
        try:
            with self._in_trace(post, claim):
                value = await slot.call(charge)
        except BaseException as raised:  # whatever a job does
            if not slot.is_failure(raised):
                raise
            error = raised
        if slot.take() is None:
            return False
        if handler.time_limit is not None and self._tell_deadline is not None:
            self._tell_deadline(self._slots.index(slot), 0.0)
        if error is not None:
            await self._failed(post, charge, error)
        elif not claim.ended:
            await self._succeeded(post, charge, value)
        if logger.isEnabledFor(logging.DEBUG):
            seconds = time.monotonic() - charge.began
            logger.debug(
                "Job %s of %r took %.3f s",
                shown(claim.id),
                post.feed,
                seconds,
                extra={**_fields(post, claim), "event": "job_done", "seconds": seconds},
            )
        return True

    def _in_trace(self, post: Post, claim: AsyncClaim[Any]) -> AbstractContextManager[Any]:
        """A block to call the handler in: with the job's trace, and seen by observers."""
        observed = getattr(self._thoonk.backend, "working", None)
        if observed is None:
            return claim.working()
        blocks = contextlib.ExitStack()
        blocks.enter_context(claim.working())
        blocks.enter_context(observed(post.feed, claim.id, claim.cancelled + 1))
        return blocks

    # --- how jobs end ---------------------------------------------------------------------

    async def _succeeded(self, post: Post, charge: Charge[AsyncClaim[Any]], value: Any) -> None:
        handler, claim = post.handler, charge.claim
        stored = value is not None if handler.result is None else handler.result
        if not stored:
            return
        try:
            claim.set_result(value, handler.result_timeout)
        except (SerializerError, InvalidType) as error:
            # To do it again would come to the same.
            await self._stall(post, charge, f"its result cannot be stored: {error}")

    async def _failed(
        self, post: Post, charge: Charge[AsyncClaim[Any]], error: BaseException
    ) -> None:
        claim = charge.claim
        extra = _fields(post, claim)
        if claim.ended:
            logger.error(
                "Handler of job %s of %r failed after it had ended the job",
                shown(claim.id),
                post.feed,
                exc_info=_trace(error),
                extra={**extra, "event": "handler_failed_after_end"},
            )
        elif isinstance(error, Discard):
            logger.info(
                "Job %s of %r discarded: %s",
                shown(claim.id),
                post.feed,
                error,
                extra={**extra, "event": "job_discarded"},
            )
        elif isinstance(error, Stall):
            await self._stall(post, charge, str(error))
        elif await self._is_last(post, charge):
            await self._failed_finally(post, charge, error)
        else:
            await self._failed_for_now(post, charge, error)

    async def _is_last(self, post: Post, charge: Charge[AsyncClaim[Any]]) -> bool:
        """Whether the backend stalls a job that has failed in this attempt."""
        attempt = charge.claim.cancelled + 1
        if not attempt >= post.max_failures > 0:
            return False
        try:
            # What it has allowed before may not hold any more.
            await refresh(self._thoonk, post)
        except ThoonkError:
            return False  # it is asked again after the delay
        return attempt >= post.max_failures > 0

    async def _failed_finally(
        self, post: Post, charge: Charge[AsyncClaim[Any]], error: BaseException
    ) -> None:
        claim = charge.claim
        extra = _fields(post, claim)
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
                post.feed,
                failure,
                extra={**extra, "event": "job_not_given_back"},
            )
            await self._failed_for_now(post, charge, error)
            return
        logger.error(
            "Job %s of %r failed on attempt %d; %s",
            shown(claim.id),
            post.feed,
            claim.cancelled + 1,
            becomes,
            exc_info=_trace(error),
            extra={**extra, "event": event},
        )

    async def _failed_for_now(
        self, post: Post, charge: Charge[AsyncClaim[Any]], error: BaseException
    ) -> None:
        claim = charge.claim
        attempt = claim.cancelled + 1
        asked = isinstance(error, Retry)
        delay = error.delay if isinstance(error, Retry) else None
        if delay is None:
            delay = post.handler.delay(attempt)
        logger.warning(
            "Job %s of %r failed on attempt %d; retrying in %.1f s: %s",
            shown(claim.id),
            post.feed,
            attempt,
            delay,
            error if asked else _said(error),
            exc_info=None if asked else _trace(error),
            extra={**_fields(post, claim), "event": "job_failed", "delay": delay},
        )
        if not delay or self._is_stopping.is_set():
            claim.settle(failed=True)
            return
        # It stays claimed until it may be tried again. So nothing has to be stored about it,
        # and when this process dies it comes back.
        claim.later = None  # the loop has nothing to do with it any more
        charge.due = time.monotonic() + delay
        self._parked[charge] = post
        while len(self._parked) > MOST_DELAYED and not self._is_stopping.is_set():
            await event_within(self._is_stopping, TICK)

    async def _stall(self, post: Post, charge: Charge[AsyncClaim[Any]], reason: str) -> None:
        claim = charge.claim
        extra = _fields(post, claim)
        try:
            await claim.stall()
        except NotClaimed:
            logger.warning(
                "Job %s of %r was to be stalled (%s), but its claim was lost before",
                shown(claim.id),
                post.feed,
                reason,
                extra={**extra, "event": "job_lost"},
            )
        except ThoonkError as error:
            logger.warning(
                "Job %s of %r was to be stalled (%s), and is not: %s",
                shown(claim.id),
                post.feed,
                reason,
                error,
                extra={**extra, "event": "job_not_given_back"},
            )
            claim.settle(failed=True)
        else:
            logger.error(
                "Job %s of %r stalled: %s",
                shown(claim.id),
                post.feed,
                reason,
                extra={**extra, "event": "job_stalled"},
            )

    async def _give_back(self, post: Post, charges: Sequence[Charge[AsyncClaim[Any]]]) -> None:
        """Let jobs that have failed be available again."""
        for charge in charges:
            claim = charge.claim
            try:
                stalled = await claim.cancel()
            except (NotClaimed, FeedDoesNotExist):
                logger.debug(
                    "Job %s of %r was lost while it waited for its next attempt",
                    shown(claim.id),
                    post.feed,
                    extra={**_fields(post, claim), "event": "job_lost"},
                )
            except ThoonkError as error:
                logger.warning(
                    "Job %s of %r not given back yet: %s",
                    shown(claim.id),
                    post.feed,
                    error,
                    extra={**_fields(post, claim), "event": "job_not_given_back"},
                )
                return
            else:
                if stalled:
                    logger.error(
                        "Job %s of %r stalled after attempt %d: the feed's max_failures is less "
                        "than it was",
                        shown(claim.id),
                        post.feed,
                        claim.cancelled + 1,
                        extra={**_fields(post, claim), "event": "job_stalled"},
                    )
            self._round += 1
            self._parked.pop(charge, None)

    async def _give_back_together(
        self, post: Post, charges: Sequence[Charge[AsyncClaim[Any]]]
    ) -> None:
        """The same for all at once, when there is no time for one after another."""
        held = tuple(Held(charge.claim.id, charge.claim.token) for charge in charges)
        operation = JobNext(post.feed, new_token(), 0, thorough=False, cancelled=held)
        with contextlib.suppress(FeedDoesNotExist):
            await self._thoonk.backend.execute(operation)
        for charge in charges:
            self._round += 1
            self._parked.pop(charge, None)

    # --- the keeper -----------------------------------------------------------------------

    async def _keep(self) -> None:
        while not await event_within(self._is_closed, TICK):
            for post in self._posts:
                try:
                    await self._keep_post(post)
                except FeedDoesNotExist:
                    pass  # its loops make it anew
                except ThoonkError as error:
                    # The next time may still be soon enough.
                    logger.warning(
                        "Claims of %r not extended: %s",
                        post.feed,
                        error,
                        extra={"event": "claims_not_extended", "feed": post.feed},
                    )
                except Exception:
                    logger.exception(
                        "Claims of %r not extended",
                        post.feed,
                        extra={"event": "claims_not_extended", "feed": post.feed},
                    )

    async def _keep_post(self, post: Post) -> None:
        parked = [charge for charge, its_post in [*self._parked.items()] if its_post is post]
        if parked and self._is_stopping.is_set():
            await self._give_back_together(post, parked[:MOST])
        else:
            now = time.monotonic()
            # With more of them, claims would be extended too late.
            await self._give_back(post, [each for each in parked if each.due <= now][:STEP])
        busy = parked or any(slot.held for slot in post.slots)
        if time.monotonic() - post.looked >= (LOOK_EVERY if busy else LOOK_IDLE):
            await refresh(self._thoonk, post)
        await self._extend(post)

    async def _extend(self, post: Post) -> None:
        if not post.claim_timeout:
            return
        old = time.monotonic() - post.claim_timeout / PER_TIMEOUT
        charges = [charge for charge, its_post in [*self._parked.items()] if its_post is post]
        if post.handler.heartbeat:
            # Claims that were taken several at a time are kept by those who took them.
            single = [slot for slot in post.slots if slot.prefetch == 1]
            charges += [charge for slot in single for charge in [*slot.held]]
        charges = [
            charge
            for charge in charges
            if charge.beaten <= old and not charge.is_lost and not charge.claim.ended
        ]
        for start in range(0, len(charges), MOST):
            several = charges[start : start + MOST]
            now = time.monotonic()
            held = tuple(Held(charge.claim.id, charge.claim.token) for charge in several)
            answers = await self._thoonk.backend.execute(JobExtend(post.feed, held))
            for charge, holds in zip(several, answers, strict=True):
                charge.beaten = now
                charge.is_lost = not holds
                if not holds and self._parked.pop(charge, None) is None and not charge.claim.ended:
                    reason = await reason_of(self._thoonk.backend, post.feed, charge.claim.id)
                    logger.warning(
                        "Job %s of %r was lost while it ran: %s",
                        shown(charge.claim.id),
                        post.feed,
                        WHY[reason],
                        extra={
                            **_fields(post, charge.claim),
                            "event": "job_lost",
                            "reason": reason,
                        },
                    )
