"""A pool: slots that do the jobs of several feeds.

A free slot *searches*: it asks one feed after another, in order. If it finds nothing, it is
*parked*, and one *claimer* for each feed waits for a job on behalf of all slots. A claimer holds
the job that it gets until a slot searches again, which happens at once. So each feed is in one of
these states:

=======  =================================================  ======================================
state    meaning                                            ends when
=======  =================================================  ======================================
OPEN     a slot that searches has to ask it                 a slot has found nothing and is parked:
                                                            WATCHED
WATCHED  it has no job, and its claimer waits               the claimer gets a job: HELD; no slot
                                                            is free: ENDING
HELD     its claimer has a job for a slot                   a slot takes it: OPEN; no slot is free:
                                                            SURPLUS
ENDING   its claimer is to stop waiting                     it has: OPEN, or SURPLUS if it got a
                                                            job; a slot is free again: WATCHED
SURPLUS  its claimer gives a job back                       it has: OPEN
FAILED   it cannot be asked; its claimer tries to repair    a second has passed: OPEN
         that
=======  =================================================  ======================================

While a slot is parked and none searches, each feed is WATCHED, is FAILED, or runs as many jobs as
it may: `AsyncPool._adjust` ensures that after every change.
"""

from __future__ import annotations

import enum
import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import attrs

from thoonk import AsyncClaim, AsyncClaims, AsyncThoonk
from thoonk._async.taking import give_back, wait_for
from thoonk.backends import AsyncInterruptible
from thoonk.concurrency._async import Background, Event, wait_event
from thoonk.exceptions import Closed, FeedDoesNotExist, ThoonkError
from thoonk.names import new_token
from thoonk.operations import Batch, JobClaim
from thoonk.waiting import LONGEST_WAIT, Deadline
from thoonk.worker._async.consumer import Consumer, log_failure, reopen
from thoonk.worker._async.source import AsyncSource
from thoonk.worker.adaptive_prefetch import AdaptivePrefetch, TimeBudget
from thoonk.worker.order import Order

logger = logging.getLogger("thoonk.worker")

OUTAGE_PAUSE = 1.0
"""Seconds until a feed that has failed is asked again."""

INTERRUPT_EVERY = 0.02
"""Seconds until a claimer is interrupted again: perhaps it had not begun to wait."""

ENDS_WITHIN = 5.0
"""Seconds that claimers get to end."""


class FeedState(enum.Enum):
    """What is known of a feed; the table above says what moves it on."""

    OPEN = enum.auto()
    WATCHED = enum.auto()
    HELD = enum.auto()
    ENDING = enum.auto()
    SURPLUS = enum.auto()
    FAILED = enum.auto()


@attrs.define(eq=False)
class PooledFeed:
    """A feed of a pool.

    Attributes:
        busy: how many slots are at it, or ask it just now.
        answer: the last answer to a slot that has found nothing.
        held: what its claimer has got, and the token.
        waiting: what its claimer waits for.
        error: why it is FAILED.
        changed: wakes its claimer.
    """

    consumer: Consumer
    state: FeedState = FeedState.OPEN
    busy: int = 0
    answer: Batch = attrs.field(factory=lambda: Batch(()))
    held: tuple[Batch, str] | None = None
    waiting: JobClaim | None = None
    error: Exception | None = None
    changed: Event = attrs.field(factory=Event)

    @property
    def is_full(self) -> bool:
        """Whether as many of its jobs are under way as may be."""
        most = self.consumer.handler.concurrency
        return most is not None and self.busy >= most


class AsyncPool:
    """What the slots of one process share. For asyncio. The twin in ``_sync`` is generated."""

    def __init__(
        self,
        thoonk: AsyncThoonk,
        consumers: Sequence[Consumer],
        is_over: Callable[[], None],
        *,
        burst_wait: float | None = None,
        order: Order | None = None,
    ) -> None:
        """Claimers begin with `start`.

        Args:
            thoonk: the client.
            consumers: the feeds, the most important one first.
            is_over: is called when a claimer cannot continue.
            burst_wait: seconds without a job, after which there is none; None: no end.
            order: None: as the handlers say.
        """
        self.burst_wait = burst_wait
        self.order = order or Order.by([each.handler for each in consumers])
        self.feeds = [PooledFeed(consumer) for consumer in consumers]
        self._thoonk = thoonk
        self._is_over = is_over
        # No lock of asyncio: it is held for a few steps, in which nothing is waited for.
        self._lock = threading.Lock()
        self._parked: dict[AsyncPooledSource, None] = {}
        self._searching: set[AsyncPooledSource] = set()
        self._is_stopping = False
        self._closed = Event()
        self._to_interrupt = Event()
        self._claimers: list[Background] = []
        self._interrupter: Background | None = None

    def start(self) -> None:
        """Start what takes for slots that are parked.

        A burst does without, for its slots soon look again: only feeds that failed are repaired.
        """
        for feed in self.feeds:
            serve = functools.partial(self._guarded, functools.partial(self._serve, feed))
            name = f"thoonk-worker-claimer-{feed.consumer.feed}"
            self._claimers.append(Background(serve, name))
        interrupt = functools.partial(self._guarded, self._interrupt)
        self._interrupter = Background(interrupt, "thoonk-worker-interrupter")

    def source(self) -> AsyncPooledSource:
        """What gives one slot its jobs."""
        return AsyncPooledSource(self, self._thoonk)

    def stop(self) -> None:
        """Take nothing more."""
        with self._lock:
            self._is_stopping = True
            self._adjust()

    async def close(self) -> None:
        """End the claimers, and give back what they hold."""
        self.stop()
        self._closed.set()
        patience = ENDS_WITHIN
        if not isinstance(self._thoonk.backend, AsyncInterruptible):
            patience += LONGEST_WAIT
        deadline = time.monotonic() + patience
        for feed in self.feeds:
            feed.changed.set()
        for claimer in self._claimers:
            await claimer.join(max(0.0, deadline - time.monotonic()))
        self._to_interrupt.set()
        if self._interrupter is not None:
            await self._interrupter.join(ENDS_WITHIN)

    # --- for the slots ------------------------------------------------------------------

    @property
    def has_failed(self) -> bool:
        """Whether there is a feed of which it is not known whether it has jobs."""
        return any(feed.state is FeedState.FAILED for feed in self.feeds)

    def begin_search(self, source: AsyncPooledSource) -> None:
        """Its slot is free."""
        with self._lock:
            self._parked.pop(source, None)
            self._searching.add(source)

    def end_search(self, source: AsyncPooledSource) -> None:
        """Its slot has got a job, or does not want one any more."""
        with self._lock:
            self._parked.pop(source, None)
            self._searching.discard(source)
            self._adjust()

    def enter(self, feed: PooledFeed, source: AsyncPooledSource) -> bool:
        """Take a place at a feed, to ask it; False: there is none, or no use in asking.

        What its claimer holds is the caller's then.
        """
        with self._lock:
            if feed.state in {FeedState.SURPLUS, FeedState.FAILED}:
                return False
            if feed.state is FeedState.WATCHED and self.burst_wait is None:
                return False
            if source.at is not feed:
                if feed.is_full:
                    return False
                feed.busy += 1
            if feed.state is FeedState.HELD:
                source.held, feed.held = feed.held, None
                feed.state = FeedState.OPEN
            return True

    def leave(self, feed: PooledFeed) -> None:
        """Give up a place."""
        with self._lock:
            feed.busy -= 1
            self._adjust()

    def park(self, source: AsyncPooledSource) -> None:
        """Its slot has found nothing: the feeds that it asked are watched from now on."""
        with self._lock:
            self._searching.discard(source)
            source.woken.clear()
            self._parked[source] = None
            if not self._is_stopping and self.burst_wait is None:
                for feed, answer in source.answers.items():
                    if feed.state in {FeedState.OPEN, FeedState.ENDING} and not feed.is_full:
                        feed.answer, feed.state = answer, FeedState.WATCHED
                        feed.changed.set()
            self._adjust()

    def found_by_asking(self) -> None:
        """There may be more: two search in the caller's place, so that a crowd is soon at work."""
        if self._parked:
            with self._lock:
                self._adjust(len(self._searching) + 1)

    def fail(self, feed: PooledFeed, error: Exception) -> None:
        """A feed could not be asked."""
        with self._lock:
            if feed.state in {FeedState.HELD, FeedState.SURPLUS}:
                return  # its claimer has something else to do first; the next one who asks sees it
            is_new = feed.state is not FeedState.FAILED
            feed.error, feed.state = error, FeedState.FAILED
            self._to_interrupt.set()
            feed.changed.set()
        if is_new:
            log_failure(feed.consumer.feed, error)

    # --- what follows from a change -----------------------------------------------------

    def _adjust(self, searchers: int = 1) -> None:
        """Move on feeds and slots as far as can be; with the lock held."""
        is_free = bool(self._parked or self._searching) and not self._is_stopping
        is_due = False
        for feed in self.feeds:
            # The place of a slot that searches is its own.
            is_wanted = is_free and not feed.is_full
            if feed.state is FeedState.WATCHED and not is_wanted:
                feed.state = FeedState.ENDING
                self._to_interrupt.set()
            elif feed.state is FeedState.HELD and not is_wanted:
                feed.state = FeedState.SURPLUS
                feed.changed.set()
            is_due = is_due or (
                feed.state in {FeedState.OPEN, FeedState.HELD, FeedState.ENDING} and is_wanted
            )
        if self._is_stopping:
            while self._parked:
                self._wake()
        elif is_due and self.burst_wait is None:
            while self._parked and len(self._searching) < searchers:
                self._wake()

    def _wake(self) -> None:
        source, _ = self._parked.popitem()
        self._searching.add(source)
        source.woken.set()

    # --- the claimers ---------------------------------------------------------------------

    async def _guarded(self, function: Callable[[], Any]) -> None:
        try:
            await function()
        except Closed:
            self._is_over()
        except BaseException:
            # A worker that hears of no jobs, and looks as if it did, is worse than none.
            self._is_over()
            raise

    async def _serve(self, feed: PooledFeed) -> None:
        while True:
            await wait_event(feed.changed, None)
            feed.changed.clear()
            if feed.state is FeedState.WATCHED:
                await self._watch(feed)
            if feed.state is FeedState.SURPLUS:
                await self._give_back(feed)
            elif feed.state is FeedState.FAILED and not self._closed.is_set():
                await self._repair(feed)
            if self._closed.is_set() and feed.state is not FeedState.SURPLUS:
                return

    async def _watch(self, feed: PooledFeed) -> None:
        """Wait for a job, and hold it for a slot."""
        feed.waiting = taking = JobClaim(feed.consumer.feed, new_token(), 1)
        try:
            batch = await wait_for(
                self._thoonk.backend,
                taking,
                Deadline(None),
                feed.answer,
                lambda: feed.state is not FeedState.WATCHED,
            )
        except Closed:
            raise
        except Exception as error:  # noqa: BLE001 - as of a slot's loop
            self.fail(feed, error)
            return
        finally:
            feed.waiting = None
        with self._lock:
            if batch.entries:
                # `_adjust` has it given back when no slot wants it.
                feed.held, feed.state = (batch, taking.token), FeedState.HELD
            elif feed.state is FeedState.ENDING:
                feed.state = FeedState.OPEN
            self._adjust()

    async def _give_back(self, feed: PooledFeed) -> None:
        """No slot is free to do the job: give it back, which counts as no failure."""
        if feed.held is not None:
            token = feed.held[1]
            await give_back(self._thoonk.backend.execute, feed.consumer.feed, token)
        with self._lock:
            feed.held, feed.state = None, FeedState.OPEN
            self._adjust()

    async def _repair(self, feed: PooledFeed) -> None:
        if not await wait_event(self._closed, OUTAGE_PAUSE) and isinstance(
            feed.error, FeedDoesNotExist
        ):
            await reopen(self._thoonk, feed.consumer)
        with self._lock:
            feed.error, feed.state = None, FeedState.OPEN
            self._adjust()

    async def _interrupt(self) -> None:
        """End the waiting of claimers that have no slot to take for."""
        backend = self._thoonk.backend
        while True:
            await wait_event(self._to_interrupt, None)
            self._to_interrupt.clear()
            while waits := [
                waiting
                for feed in self.feeds
                if feed.state in {FeedState.ENDING, FeedState.FAILED}
                if (waiting := feed.waiting) is not None
            ]:
                if not isinstance(backend, AsyncInterruptible):
                    break
                for waiting in waits:
                    try:
                        await backend.interrupt(waiting)
                    except ThoonkError as error:
                        extra = {"event": "consumer_not_interrupted", "feed": waiting.feed}
                        logger.debug(
                            "Could not wake the consumer of %r: %s",
                            waiting.feed,
                            error,
                            extra=extra,
                        )
                if await wait_event(self._to_interrupt, INTERRUPT_EVERY):
                    self._to_interrupt.clear()
            if self._closed.is_set():
                return


class _Lane:
    """The jobs of one feed that one slot has claimed."""

    def __init__(self, feed: PooledFeed, timeout: float | None, *, alone: bool) -> None:
        handler = feed.consumer.handler
        self.feed = feed
        self.job_feed = feed.consumer.job_feed
        self.claims: AsyncClaims[Any] = self.job_feed.claims(timeout)
        self._tuner = AdaptivePrefetch(handler.prefetch if handler.heartbeat else 1)
        # An earlier feed waits for what has been claimed of a later one.
        self._budget = None if alone or handler.prefetch else TimeBudget()
        self._count = 0
        self._asked_at = 0.0

    async def ask(self, source: AsyncPooledSource) -> AsyncClaim[Any] | None:
        """The first of the jobs that the feed has now."""
        self._took()
        held, source.held = source.held, None
        if held is not None:
            batch, token = held
        else:
            token, most = new_token(), self._tuner.prefetch
            if self._budget is not None:
                most = min(most, self._budget.most)
            self._asked_at = time.monotonic()
            batch = await self.claims.ask(token, most)
            if not batch.entries:
                source.answers[self.feed] = batch
                return None
            self._count = len(batch.entries)
        await self.claims.receive(batch, token, heartbeat=len(batch.entries) > 1)
        if held is None:
            source.pool.found_by_asking()
        return await self.claims.pop()

    def _took(self) -> None:
        if self._budget is not None and self._count:
            self._budget.after(self._count, time.monotonic() - self._asked_at)
        self._count = 0

    def after(self, seconds: float) -> None:
        """A job took so long."""
        self._tuner.after(seconds)


class AsyncPooledSource(AsyncSource):
    """Gives one slot the jobs of a pool's feeds.

    Attributes:
        pool: the pool.
        at: the feed at which it has a place.
        held: what the claimer of the feed that it asks had for it.
        answers: of the feeds where it has found nothing, since it was woken last.
        woken: is set when it is to search again.
    """

    name = "pool"

    def __init__(self, pool: AsyncPool, thoonk: AsyncThoonk) -> None:
        self.pool = pool
        self.at: PooledFeed | None = None
        self.held: tuple[Batch, str] | None = None
        self.answers: dict[PooledFeed, Batch] = {}
        self.woken = Event()
        self.consumer = pool.feeds[0].consumer
        self._thoonk = thoonk
        self._lanes: dict[PooledFeed, _Lane] = {}
        self._lane: _Lane | None = None
        self._is_stopped = False

    async def __aenter__(self) -> Self:
        self.is_dry = False
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self._lane is not None:
            self._lane.claims.settle(failed=True)
        await self.close()

    async def next(self) -> AsyncClaim[Any] | None:
        lane, claim = self._lane, None
        if lane is not None:
            lane.claims.settle()
            if lane.job_feed is not lane.feed.consumer.job_feed:
                await self._put_away()
            elif not self._is_stopped:
                claim = await lane.claims.pop()
        return claim or await self._search()

    async def _search(self) -> AsyncClaim[Any] | None:
        self.pool.begin_search(self)
        try:
            was_woken = True
            while not self._is_stopped:
                if (claim := await self._sweep()) is not None:
                    return claim
                await self._put_away()
                if not (was_woken or self.pool.has_failed):
                    self.is_dry = True
                    return None
                self.pool.park(self)
                was_woken = await wait_event(self.woken, self.pool.burst_wait)
                self.pool.begin_search(self)
            return None
        finally:
            self.pool.end_search(self)

    async def _sweep(self) -> AsyncClaim[Any] | None:
        """Ask one feed after the other, until one has a job."""
        self.answers.clear()
        for feed in self.pool.order.of(self.pool.feeds):
            if not self.pool.enter(feed, self):
                continue
            claim = None
            try:
                claim = await self._ask(feed)
            except Closed:
                raise
            except Exception as error:  # noqa: BLE001 - the other feeds continue
                self.pool.fail(feed, error)
            finally:
                if claim is None and self.at is not feed:
                    self.pool.leave(feed)
            if claim is not None:
                return claim
        return None

    async def _ask(self, feed: PooledFeed) -> AsyncClaim[Any] | None:
        lane = self._lanes.get(feed)
        if lane is None or lane.job_feed is not feed.consumer.job_feed:
            lane = _Lane(feed, self.pool.burst_wait, alone=len(self.pool.feeds) == 1)
            self._lanes[feed] = lane
            lane.claims.is_stopped = self._is_stopped
        claim = await lane.ask(self)
        if claim is None:
            return None
        if self._lane is not lane:
            await self._put_away()
            self._lane, self.at = lane, feed
        self.consumer = feed.consumer
        self.keeps_claims = lane.claims.has_heartbeat
        return claim

    async def _put_away(self) -> None:
        """Be done with the feed whose jobs were done last: tell how they ended."""
        lane, self._lane = self._lane, None
        if lane is not None:
            try:
                await lane.claims.flush()
            except Closed:
                raise
            except Exception as error:  # noqa: BLE001 - the other feeds continue
                self.pool.fail(lane.feed, error)
            await lane.claims.close_quietly()
        self._leave()

    def _leave(self) -> None:
        feed, self.at = self.at, None
        if feed is not None:
            self.pool.leave(feed)

    def after(self, seconds: float) -> None:
        if self._lane is not None:
            self._lane.after(seconds)

    def stop(self) -> None:
        self._is_stopped = True
        for lane in [*self._lanes.values()]:
            lane.claims.is_stopped = True

    def begin_anew(self) -> None:
        """Each turn looks for that."""

    async def close(self) -> None:
        self._lane = None
        for lane in [*self._lanes.values()]:
            await lane.claims.close_quietly()
        self._leave()

    def another(self) -> AsyncPooledSource:
        self._leave()
        return self.pool.source()
