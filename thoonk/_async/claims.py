"""Claims one after another: ending the last and claiming the next in one round trip."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, TypeVar

from thoonk._async.claim import AsyncClaim
from thoonk._async.hand import AsyncHand
from thoonk._async.taking import wait_for
from thoonk.backends import AsyncBackend, AsyncInterruptible
from thoonk.codec import Codec
from thoonk.concurrency._async import Background, Event, wait_event
from thoonk.exceptions import Empty, ThoonkError
from thoonk.names import new_token
from thoonk.operations import JobClaim, check_count
from thoonk.waiting import Deadline

T = TypeVar("T")

logger = logging.getLogger("thoonk.job")


class AsyncClaims(AsyncHand[T]):
    """A loop over claims, made by `AsyncJob.claims`. Use it preferably in a ``with`` block.

    If the ``with`` block raises, the current job is cancelled, which counts as a failure. If you
    leave the loop in any other way, the current job is given back. At the end of the block or
    loop, outstanding reports are sent to the backend at once. With asyncio, only the block
    ensures this: a plain loop that you leave is cleaned up a little later.
    """

    def __init__(
        self, backend: AsyncBackend, codec: Codec[T], timeout: float | None, prefetch: int
    ) -> None:
        super().__init__(backend, codec, timeout)
        self._prefetch = check_count("prefetch", prefetch)
        self._in_block = False
        self._waiting: JobClaim | None = None
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
        self.settle(failed=True)
        await self.close_quietly()

    async def __aiter__(self) -> AsyncIterator[AsyncClaim[T]]:
        try:
            while (claim := await self.next()) is not None:
                yield claim
        finally:
            # When a loop is left, there is no caller to raise an error to.
            if not self._in_block:
                await self.close_quietly()

    def stop(self) -> None:
        """End the loop after the current job, or at once if it waits for a job.

        Any thread or task can call this, and signal handlers, too.
        """
        self.is_stopped = True
        if self._waiting is not None and self._interrupted is None:
            self._interrupted = Event()
            Background(self._interrupt, f"thoonk-stop-{self._codec.feed}")

    async def close(self) -> None:
        """Report how jobs ended, and give back those that did not.

        In a forked child process it does nothing: the claims belong to the parent.
        """
        if os.getpid() != self._pid:
            return
        if self._interrupted is not None:
            # Whoever interrupts the wait uses the backend, which may be closed after this.
            self._closed.set()
            await wait_event(self._interrupted, 5.0)
        await super().close()

    # --- the next one -----------------------------------------------------------------

    async def next(self) -> AsyncClaim[T] | None:
        """Return the next claim, or None at the end of the loop. For workers."""
        self.settle()
        while not self.is_stopped:
            if (claim := await self.pop()) is not None:
                return claim
            if not await self._take():
                break
        return None

    async def _take(self) -> bool:
        """Fill the hand, which is empty, and flush the outbox; False when the time is over."""
        feed, token = self._codec.feed, new_token()
        batch = await self.ask(token, self._prefetch)
        if not batch.entries:
            self._waiting = taking = JobClaim(feed, token, self._prefetch)
            try:
                batch = await wait_for(
                    self._backend,
                    taking,
                    Deadline(self._timeout),
                    batch,
                    lambda: self.is_stopped,
                )
            except Empty:
                return False
            finally:
                self._waiting = None
        await self.receive(batch, token, heartbeat=self._prefetch > 1)
        return True

    # --- in the background ------------------------------------------------------------

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
                    extra = {"event": "consumer_not_interrupted", "feed": self._codec.feed}
                    logger.debug(
                        "Could not wake the consumer of %r: %s",
                        self._codec.feed,
                        error,
                        extra=extra,
                    )
                await wait_event(self._closed, 0.05)
        finally:
            if self._interrupted is not None:
                self._interrupted.set()
