"""The claims that a loop over jobs has in hand, and what runs besides the job under way.

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
from typing import Generic, TypeVar

from thoonk._async.claim import AsyncClaim
from thoonk._async.failing import fail
from thoonk._async.outbox import FLUSH_AFTER, AsyncOutbox
from thoonk._async.renewal import renew_after
from thoonk._async.taking import OUTAGE_PAUSE
from thoonk.backends import AsyncBackend
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
from thoonk.operations import MOST, Batch, ClaimRef, GetConfig, JobExtend, JobFail, Release
from thoonk.waiting import Deadline

T = TypeVar("T")

logger = logging.getLogger("thoonk.job")

SHARE_AFTER = 1.0
"""Seconds that jobs in hand wait behind another, until they are given back for others to do."""

LOOK_EVERY = 1.0
"""Seconds after which it is looked again how long claims hold."""

PER_TIMEOUT = 3
"""How often the claims in hand are extended within the ``claim_timeout``."""


class AsyncHand(Generic[T]):
    """Claims of one feed in the hands of one loop. For asyncio. The twin in ``_sync`` is generated.

    Attributes:
        is_stopped: whether nothing more is to be claimed.
    """

    def __init__(self, backend: AsyncBackend, codec: Codec[T], timeout: float | None) -> None:
        """``timeout``: seconds for which an outage of the backend is waited out."""
        self._backend = backend
        self._codec = codec
        self._timeout = check_timeout(timeout)
        self._pid = os.getpid()
        self._hand: deque[AsyncClaim[T]] = deque()
        self._current: AsyncClaim[T] | None = None
        self._handed_at = 0.0
        self._token = ""
        self._outbox = AsyncOutbox(backend, codec.feed)
        self._closed = Event()
        self._heartbeat: Background | None = None
        self.is_stopped = False

    @property
    def has_heartbeat(self) -> bool:
        """Whether the claims are extended from here."""
        return self._heartbeat is not None

    def settle(self, *, failed: bool = False) -> None:
        """The turn of the job in hand is over; it has ended, if it has not ended before."""
        if self._current is not None:
            self._current.settle(failed=failed)
            self._dismiss()

    def _dismiss(self) -> None:
        """The job in hand is no longer handled by the loop."""
        if self._current is not None:
            self._current.outbox = None
            self._current = None

    async def pop(self) -> AsyncClaim[T] | None:
        """The next of those that were claimed; None when there are none."""
        while self._hand:
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
        return None

    async def ask(self, token: str, count: int) -> Batch:
        """Flush the outbox, and claim so many. Once it runs, a loop survives an outage."""
        deadline: Deadline | None = None
        while True:
            try:
                batch = await self._outbox.flush_and_claim(token, count)
            except (BackendUnavailable, OutcomeUnknown) as error:
                if not self._token or self.is_stopped:
                    raise
                deadline = deadline or Deadline(self._timeout)
                try:
                    deadline.remaining()
                except Empty:
                    raise error from None
                feed = self._codec.feed
                extra = {"event": "consumer_waits_for_backend", "feed": feed}
                logger.warning("Claims of %r wait for the backend: %s", feed, error, extra=extra)
            else:
                self._token = token
                return batch
            await sleep(OUTAGE_PAUSE)

    async def flush(self) -> None:
        """Tell the backend how jobs ended, and survive an outage as `ask` does."""
        while not self._outbox.is_empty:
            await self.ask(new_token(), 0)

    async def receive(self, batch: Batch, token: str, *, heartbeat: bool) -> None:
        """Take into the hand, which is empty, what was claimed under a token.

        ``heartbeat``: whether the claims are to be extended from here.
        """
        feed = self._codec.feed
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
        if heartbeat and self._heartbeat is None:
            self._closed.clear()  # where the loop is begun again
            self._heartbeat = Background(self._beat, f"thoonk-claims-{feed}")

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
        await self._outbox.flush()
        # Release single claims, not the whole token: the backend knows which ones have ended.
        left = [claim for claim in self._hand if not claim.ended]
        current = self._current
        if current is not None and current.outbox is self._outbox and not current.ended:
            left.append(current)
        self._dismiss()
        self._hand.clear()
        if left:
            ids = tuple(claim.id for claim in left)
            await self._backend.execute(Release(self._codec.feed, left[0].token, ids))

    async def close_quietly(self) -> None:
        """As `close`, where no caller is left to get an error: it is logged."""
        try:
            await shielded(self.close)
        except ThoonkError as failure:
            extra = {"event": "claims_not_released", "feed": self._codec.feed}
            logger.warning("Claims of %r not released: %s", self._codec.feed, failure, extra=extra)

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
