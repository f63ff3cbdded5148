"""A claim: a worker's right to do a job and to end it."""

from __future__ import annotations

import datetime as dt
import logging
import os
import time
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from thoonk._async.failing import end_failed
from thoonk._async.heartbeat import AsyncHeartbeat
from thoonk._async.outbox import AsyncOutbox
from thoonk.arguments import check_due
from thoonk.backends import AsyncBackend
from thoonk.codec import Codec
from thoonk.concurrency._async import shielded
from thoonk.exceptions import InvalidType, NotClaimed, ThoonkError, UnsupportedOperation
from thoonk.failures import LONGEST_MESSAGE, failure_of
from thoonk.names import check_timeout, shown
from thoonk.operations import (
    ClaimRef,
    Completion,
    Delivery,
    Due,
    Failed,
    Failure,
    JobExtend,
    JobFail,
    JobFinish,
    JobProgress,
)

T = TypeVar("T")

logger = logging.getLogger("thoonk.job")

PROGRESS_EVERY = 0.5
"""Seconds between two progress reports of a job."""


class AsyncClaim(tuple[str, T, int], Generic[T]):
    """A claimed job. It unpacks into id, item and the number of times it was cancelled.

    A ``with`` block finishes the job at its end, or cancels it if the block raises, unless you
    have called one of the methods below. These need a valid claim: if it has expired and another
    worker has claimed the job, they raise `NotClaimed`.

    Attributes:
        token: the secret that allows this claim to be ended, also from another process.
        ended: whether the claim was ended through this object.
        lost: whether a worker has found that the claim is no longer valid. See `check`.
        origin: what the serializer has received together with the item, such as the producer's
            trace context (see `thoonk.observe.opentelemetry.received`). None: nothing.
        outbox: the outbox of the loop that the claim belongs to, which reports how it ended.
            None: it does not belong to a loop.
    """

    _feed: str
    _backend: AsyncBackend
    _codec: Codec[T]
    ended = False
    lost = False
    outbox: AsyncOutbox | None = None
    token: str
    origin: Any
    _completion: Completion | None = None
    _pid: int
    _progressed = -PROGRESS_EVERY

    def __new__(
        cls,
        backend: AsyncBackend,
        codec: Codec[T],
        entry: Delivery,
        item: T,
        token: str,
    ) -> Self:
        """Made by `AsyncJob.get`, as soon as the item has been decoded."""
        self = super().__new__(cls, (entry.id, item, entry.cancelled))
        self._feed = codec.feed
        self._backend = backend
        self._codec = codec
        self.token = token
        self.origin = codec.origin()
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r} of {self._feed!r}>"

    @property
    def id(self) -> str:
        """The job's id."""
        return self[0]

    @property
    def item(self) -> T:
        """The job's item."""
        return self[1]

    @property
    def cancelled(self) -> int:
        """How often the job was cancelled before."""
        return self[2]

    def set_result(self, item: T, timeout: float | None = None) -> None:
        """Set the result to store when the block or the loop finishes the job.

        Args:
            item: the result. It can be None.
            timeout: seconds to keep it. 0: forever. None: the configured
                ``result_timeout``, or one day.

        Raises:
            SerializerError, InvalidType: the serializer cannot encode the result.
        """
        self._completion = self._codec.completion(
            self.id, self.token, item, result=True, timeout=timeout
        )

    async def finish(
        self, item: T | None = None, result: bool = False, timeout: float | None = None
    ) -> None:
        """As `AsyncJob.finish`, for this claim."""
        completion = self._codec.completion(
            self.id, self.token, item, result=result, timeout=timeout
        )
        await self._end(JobFinish(self._feed, (completion,)))

    async def cancel(
        self,
        *,
        delay: float | None = None,
        at: dt.datetime | None = None,
        reason: str | BaseException | None = None,
    ) -> bool:
        """As `AsyncJob.cancel`, for this claim."""
        failed = await self.fail(check_due(delay, at), failure_of(reason))
        return failed is Failed.STALLED

    async def stall(self, *, reason: str | BaseException | None = None) -> None:
        """As `AsyncJob.stall`, for this claim."""
        await self.fail(None, failure_of(reason), stall=True)

    async def fail(
        self, due: Due | None, failure: Failure | None, *, stall: bool = False
    ) -> Failed:
        """End the claim as `cancel` or `stall` does; return what became of the job. For workers.

        Raises:
            NotClaimed: the claim is lost.
            UnsupportedOperation: the backend supports neither delays nor reasons. End the claim
                without them.
        """
        operation = JobFail(self._feed, self.id, self.token, due, stall, failure)
        failed = await end_failed(self._backend, operation)
        self.ended = True
        return failed

    async def progress(self, fraction: float, text: str = "") -> None:
        """Report the job's progress, for `AsyncJob.get_info`. (Contract: job progress)

        At most two reports a second are sent; others are dropped, except the last one (1.0).

        Args:
            fraction: 0 to 1.
            text: the current step.

        Raises:
            NotClaimed: the claim is lost. Stop the work.
            InvalidValue, InvalidType: an argument is not allowed.
        """
        self.check()
        if not isinstance(text, str):
            raise InvalidType(f"text must be a str, not {type(text).__name__}")
        operation = JobProgress(self._feed, self.id, self.token, fraction, text[:LONGEST_MESSAGE])
        now = time.monotonic()
        if fraction == 1 or now - self._progressed >= PROGRESS_EVERY:
            self._progressed = now
            await self._backend.execute(operation)

    def check(self) -> None:
        """Raise if the claim is known to be lost, so that you can stop the work.

        Sends nothing. A worker checks every second, and sets ``lost``.

        Raises:
            NotClaimed: the job was retracted, is stalled, or another worker has it.
        """
        if self.lost:
            raise NotClaimed(self._feed, self.id)

    async def extend(self) -> None:
        """Restart the claim's ``claim_timeout``. (Contract: job extend)

        Raises:
            NotClaimed: the claim is lost.
        """
        held = ClaimRef(self.id, self.token)
        if not (await self._backend.execute(JobExtend(self._feed, (held,))))[0]:
            raise NotClaimed(self._feed, self.id)

    def heartbeat(self, interval: float | None = None) -> AsyncHeartbeat:
        """Extend the claim in the background while a ``with`` block runs.

        Args:
            interval: seconds between two extensions. None: a third of ``claim_timeout``.
        """
        seconds = check_timeout(interval, "interval")
        return AsyncHeartbeat(self._backend, self._feed, self.extend, seconds)

    def working(self) -> AbstractContextManager[None]:
        """A block in which the job's trace context is current. For workers."""
        return self._codec.working_on(self.origin)

    def _chosen_completion(self) -> Completion:
        return self._completion or Completion(self.id, self.token)

    async def _end(self, operation: JobFinish) -> None:
        await self._backend.execute(operation)
        self.ended = True

    def settle(self, *, failed: bool) -> None:
        """Note how the job ended, unless it has ended already. For the claim's loop."""
        if not self.ended and self.outbox is not None:
            self.ended = True
            self.outbox.add(self._chosen_completion(), failed=failed)

    async def _give_back(self, failure: Failure | None) -> None:
        try:
            await shielded(partial(self.fail, None, failure))
        except UnsupportedOperation:  # of a backend that keeps no reasons
            if self.outbox is not None:
                self.settle(failed=True)
            else:
                await shielded(self.cancel)

    async def __aenter__(self) -> Self:
        self._pid = os.getpid()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.ended or self._pid != os.getpid():
            return  # in a forked child the block, and the claim, are its parent's
        if error is None:
            if self.outbox is not None:
                self.settle(failed=False)
            else:
                await self._end(JobFinish(self._feed, (self._chosen_completion(),)))
            return
        try:
            await self._give_back(failure_of(error))
        except ThoonkError as failure:
            # The error of the block matters more.
            if self.outbox is not None:
                self.settle(failed=True)
                return
            extra = {"event": "job_not_given_back", "feed": self._feed, "id": self.id}
            logger.warning("Job %s not given back: %s", shown(self.id), failure, extra=extra)
