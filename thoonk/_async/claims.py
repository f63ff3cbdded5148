"""Claims one after another: ending the last and claiming the next in one round trip.

A claim of the loop is in one of these places:

========  ================  ====================================================  ==============
state     place             what moves it on                                      at the backend
========  ================  ====================================================  ==============
waiting   ``_hand``         the loop's next turn; after `SHARE_AFTER` it is       claimed
                            released; when it is lost it is dropped
current   ``_current``      the end of the turn or of the block, or a method of   claimed
                            the claim, which tells the backend at once
ended     ``_outbox``       the next claim, or after ``FLUSH_AFTER``              still claimed
removed   nowhere           nothing                                               ended, released
========  ================  ====================================================  ==============
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from thoonk._async.claim import AsyncClaim
from thoonk._async.failing import fail
from thoonk._async.outbox import FLUSH_AFTER, AsyncOutbox
from thoonk._async.renewal import renew_after
from thoonk._async.taking import OUTAGE_PAUSE, wait_for
from thoonk.backends import AsyncBackend, AsyncInterruptible
from thoonk.codec import Codec
from thoonk.concurrency._async import Background, Event, shielded, sleep, wait_event
from thoonk.config import FeedConfig
from thoonk.exceptions import (
    BackendUnavailable,
    Empty,
    NotClaimed,
    OutcomeUnknown,
    SerializerError,
    ThoonkError,
)
from thoonk.failures import failure_of
from thoonk.names import check_timeout, new_token, shown
from thoonk.operations import (
    MOST,
    Batch,
    ClaimRef,
    GetConfig,
    JobClaim,
    JobExtend,
    JobFail,
    Release,
    check_count,
)
from thoonk.waiting import Deadline

T = TypeVar("T")

logger = logging.getLogger("thoonk.job")

SHARE_AFTER = 1.0
"""Seconds that jobs in hand wait behind another, until they are given back for others to do."""

LOOK_EVERY = 1.0
"""Seconds after which it is looked again how long claims hold."""

PER_TIMEOUT = 3
"""How often the claims in hand are extended within the ``claim_timeout``."""


class AsyncClaims(Generic[T]):
    """Made by `AsyncJob.claims`: iterate over it, in a ``with`` block or without one.

    When a ``with`` block raises, the job in hand is cancelled, which counts as a failure;
    else a job that is left in the middle is only given back. Where the block or the loop
    ends, what is not reported yet is sent to the backend at once. For asyncio the block is
    the only sure way: a plain loop that is left is tidied up a little later.
    """

    def __init__(
        self, backend: AsyncBackend, codec: Codec[T], timeout: float | None, prefetch: int
    ) -> None:
        self._backend = backend
        self._codec = codec
        self._timeout = check_timeout(timeout)
        self._prefetch = check_count("prefetch", prefetch)
        self._pid = os.getpid()
        self._in_block = False
        self._hand: deque[AsyncClaim[T]] = deque()
        self._current: AsyncClaim[T] | None = None
        self._handed_at = 0.0
        self._token = ""
        self._outbox = AsyncOutbox(backend, codec.feed)
        self._waiting: JobClaim | None = None
        self._is_stopped = False
        self._closed = Event()
        self._heartbeat: Background | None = None
        self._interrupted: Event | None = None

    # --- for the loop -----------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._in_block = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self.close()
            return
        if self._current is not None:
            self._current.settle(failed=True)
        await self._close_quietly()

    async def __aiter__(self) -> AsyncIterator[AsyncClaim[T]]:
        try:
            while (claim := await self._next()) is not None:
                yield claim
        finally:
            # A loop that is left, by whatever way, has nobody to tell of an error.
            if not self._in_block:
                await self._close_quietly()

    def stop(self) -> None:
        """End the loop after the job in hand; one that waits for a job ends at once.

        To be called by others than the loop itself, also from a signal handler.
        """
        self._is_stopped = True
        if self._waiting is not None and self._interrupted is None:
            self._interrupted = Event()
            Background(self._interrupt, f"thoonk-stop-{self._codec.feed}")

    async def close(self) -> None:
        """Tell the backend how jobs ended, and give back those that did not.

        In a process that was forked meanwhile it does nothing: the claims are the parent's.
        """
        if os.getpid() != self._pid:
            return
        self._closed.set()
        if self._heartbeat is not None:
            await self._heartbeat.join(5.0)
            self._heartbeat = None
        if self._interrupted is not None:
            # Whoever interrupts the wait uses the backend, which may be closed after this.
            await wait_event(self._interrupted, 5.0)
        await self._outbox.flush()
        # Not the whole of the token: of what has been ended the backend has been told.
        left = [claim for claim in self._hand if not claim.ended]
        current = self._current
        if current is not None and current.outbox is self._outbox and not current.ended:
            left.append(current)
        self._dismiss()
        self._hand.clear()
        if left:
            ids = tuple(claim.id for claim in left)
            await self._backend.execute(Release(self._codec.feed, left[0].token, ids))

    async def _close_quietly(self) -> None:
        try:
            await shielded(self.close)
        except ThoonkError as failure:
            extra = {"event": "claims_not_released", "feed": self._codec.feed}
            logger.warning("Claims of %r not released: %s", self._codec.feed, failure, extra=extra)

    # --- the next one -----------------------------------------------------------------

    def _dismiss(self) -> None:
        """The job in hand is no longer handled by the loop."""
        if self._current is not None:
            self._current.outbox = None
            self._current = None

    async def _next(self) -> AsyncClaim[T] | None:
        if self._current is not None:
            self._current.settle(failed=False)
            self._dismiss()
        while not self._is_stopped:
            if self._hand:
                if self._outbox.is_due:
                    await self._outbox.flush()
                try:
                    claim = self._hand.popleft()
                except IndexError:  # in the background the last one was let go of
                    continue
                claim.outbox = self._outbox
                self._codec.hand_over(claim.origin)
                self._handed_at = time.monotonic()
                self._current = claim
                return claim
            if not await self._take():
                break
        return None

    async def _take(self) -> bool:
        """Fill the hand, which is empty, and flush the outbox; False when the time is over."""
        feed, token = self._codec.feed, new_token()
        batch = await self._flush_and_claim(token)
        self._token = token
        if not batch.entries:
            self._waiting = taking = JobClaim(feed, token, self._prefetch)
            try:
                batch = await wait_for(
                    self._backend,
                    taking,
                    Deadline(self._timeout),
                    batch,
                    lambda: self._is_stopped,
                )
            except Empty:
                return False
            finally:
                self._waiting = None
        await renew_after(self._backend, feed, batch.entries)
        for entry in batch.entries:
            try:
                item = self._codec.decode(entry.item)
            except SerializerError as error:
                becomes = "stalled"
                failure = failure_of(error, with_traceback=False)
                operation = JobFail(feed, entry.id, token, stall=True, failure=failure)
                try:
                    await fail(self._backend, operation)
                except NotClaimed:
                    becomes = "lost before it could be stalled"
                logger.error(  # noqa: TRY400
                    "Job %s unreadable and %s: %s",
                    shown(entry.id),
                    becomes,
                    error,
                    extra={"event": "job_unreadable", "feed": feed, "id": entry.id},
                )
            else:
                claim = AsyncClaim(self._backend, self._codec, entry, item, token)
                self._hand.append(claim)
        if self._prefetch > 1 and self._heartbeat is None:
            self._closed.clear()  # where the loop is begun again
            self._heartbeat = Background(self._beat, f"thoonk-claims-{feed}")
        return True

    async def _flush_and_claim(self, token: str) -> Batch:
        """Flush the outbox, and claim. Once it runs, a loop survives an outage."""
        deadline: Deadline | None = None
        while True:
            try:
                return await self._outbox.flush_and_claim(token, self._prefetch)
            except (BackendUnavailable, OutcomeUnknown) as error:
                if not self._token or self._is_stopped:
                    raise
                deadline = deadline or Deadline(self._timeout)
                try:
                    deadline.remaining()
                except Empty:
                    raise error from None
                feed = self._codec.feed
                extra = {"event": "taker_waits_for_backend", "feed": feed}
                logger.warning("Claims of %r wait for the backend: %s", feed, error, extra=extra)
            await sleep(OUTAGE_PAUSE)

    # --- in the background ------------------------------------------------------------

    async def _beat(self) -> None:
        """While a job takes its time: extend the claims, flush the outbox, share what waits."""
        every = 0.0
        last = time.monotonic()
        looked = -LOOK_EVERY
        while not await wait_event(self._closed, min(FLUSH_AFTER, every or FLUSH_AFTER)):
            try:
                if time.monotonic() - looked >= LOOK_EVERY and (self._hand or self._current):
                    # Somebody may have changed it.
                    fields = await self._backend.execute(GetConfig(self._codec.feed))
                    config = FeedConfig.from_fields(fields, self._codec.feed)
                    every = (config.claim_timeout or 0.0) / PER_TIMEOUT
                    looked = time.monotonic()
                if self._outbox.is_due:
                    await self._outbox.flush()
                if self._hand and time.monotonic() - self._handed_at > SHARE_AFTER:
                    await self._share()
                if every and time.monotonic() - last >= every:
                    last = time.monotonic()
                    await self._extend()
            except ThoonkError as error:
                # The next time may still be soon enough.
                extra = {"event": "claims_not_extended", "feed": self._codec.feed}
                logger.warning(
                    "Claims of %r not extended: %s", self._codec.feed, error, extra=extra
                )

    async def _share(self) -> None:
        """Give back what waits in hand while a job takes its time: others may be idle."""
        waiting: deque[AsyncClaim[T]] = deque()
        with contextlib.suppress(IndexError):  # the loop may come for one, too
            while True:
                waiting.appendleft(self._hand.pop())
        if not waiting:
            return
        ids = tuple(claim.id for claim in waiting)
        try:
            await self._backend.execute(Release(self._codec.feed, waiting[0].token, ids))
        except ThoonkError:
            self._hand.extendleft(reversed(waiting))
            raise

    async def _extend(self) -> None:
        claims = [claim for claim in (self._current, *self._hand) if claim is not None]
        if not claims:
            return
        held = tuple(ClaimRef(claim.id, claim.token) for claim in claims)
        answers = await self._backend.execute(JobExtend(self._codec.feed, held[:MOST]))
        lost = []
        for claim, is_owner in zip(claims, answers, strict=False):
            if not is_owner:
                # Another has it: it must not be begun here as well.
                with contextlib.suppress(ValueError):
                    self._hand.remove(claim)
                    lost.append(claim.id)
        await self._outbox.log_lost(lost, "Job %s was lost before it was begun: %s")

    async def _interrupt(self) -> None:
        """End the waiting, which may not have begun when it is asked to end."""
        backend = self._backend
        try:
            while (
                isinstance(backend, AsyncInterruptible) and (waiting := self._waiting) is not None
            ):
                try:
                    await backend.interrupt(waiting)
                except ThoonkError as error:
                    extra = {"event": "taker_not_interrupted", "feed": self._codec.feed}
                    logger.debug("Waiting loop not woken: %s", error, extra=extra)
                await wait_event(self._closed, 0.05)
        finally:
            if self._interrupted is not None:
                self._interrupted.set()
