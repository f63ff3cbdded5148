"""Waits for the results of jobs, and hears when none will come."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Generic, TypeAlias, TypeVar

from thoonk.backends import AsyncBackend, AsyncSubscription
from thoonk.chunks import chunked
from thoonk.codec import Codec, JobResult
from thoonk.exceptions import (
    Empty,
    JobFailed,
    JobRetracted,
    NoResult,
    ThoonkError,
    UnsupportedOperation,
)
from thoonk.notices import Ended, Finished, Gap, Retracted, Stalled
from thoonk.operations import (
    Failure,
    JobInfo,
    JobState,
    ReadItems,
    ReadJob,
    ReadResult,
    StoredResult,
)
from thoonk.waiting import Deadline

T = TypeVar("T")

Outcome: TypeAlias = JobResult[T] | JobFailed | NoResult
End: TypeAlias = Finished[bytes] | Retracted | Ended | Stalled

LOOK_EVERY = 0.5
"""Seconds between checks whether a job has failed: without events there is no notice."""

LOOKS_AT_ONCE = 50
"""With more jobs than these it is looked less often."""


class AsyncResults(Generic[T]):
    """The results of one feed's jobs."""

    def __init__(self, backend: AsyncBackend, codec: Codec[T]) -> None:
        self._backend = backend
        self._codec = codec

    async def look(self, id: str) -> JobResult[T] | None:
        """The result of a job; None: not yet.

        Raises:
            JobFailed, NoResult: none will come.
        """
        feed = self._codec.feed
        stored: StoredResult | None = await self._backend.execute(ReadResult(feed, id))
        if stored is not None:
            return self._codec.result(stored)
        try:
            info: JobInfo | None = await self._backend.execute(ReadJob(feed, id))
        except UnsupportedOperation:  # of a backend that does not tell
            return None
        if info is None:
            raise NoResult(feed, id)
        if info.state is JobState.STALLED:
            failure = info.failure or Failure("")
            raise JobFailed(feed, id, reason=failure.message, error=failure.error)
        return None

    async def get(self, id: str, deadline: Deadline) -> JobResult[T]:
        """The result of a job, waiting until it is there.

        Raises:
            JobFailed, NoResult: none will come.
            Empty: there was none in time.
        """
        async with aclosing(self.of_all([id], deadline)) as outcomes:
            async for _, outcome in outcomes:
                if isinstance(outcome, ThoonkError):
                    raise outcome
                return outcome
        raise AssertionError("the call has neither returned nor raised")

    async def of_all(
        self, ids: Sequence[str], deadline: Deadline
    ) -> AsyncGenerator[tuple[str, Outcome[T]], None]:
        """Each id with its result, or with the error that says that none will come.

        Raises:
            Empty: not all have ended in time.
        """
        left = dict.fromkeys(ids)
        for id in ids:
            outcome = await self._outcome(id)
            if outcome is not None:
                del left[id]
                yield id, outcome
        if not left:
            return
        queries = await self._queries(left)
        subscription = await self._backend.listen(self._codec.feed)
        try:
            # Looked up after subscribing, and again after whatever hid a notice.
            notice, gone = None, set[str]()
            while left:
                for id in [] if notice else [*left]:
                    outcome = await self._outcome(id)
                    if type(outcome) is NoResult and id not in gone:
                        gone.add(id)  # what a peer stored nowhere is in a notice that comes
                    elif outcome is not None:
                        del left[id]
                        yield id, outcome
                notice = await self._next_end(subscription, left, deadline) if left else None
                if notice and (outcome := await self._told(notice, queries)) is not None:
                    del left[notice.id]
                    yield notice.id, outcome
        finally:
            await subscription.close()

    async def _queries(self, ids: Iterable[str]) -> dict[str, bytes]:
        """What was asked of jobs, for those of which a peer will store no result."""
        queries: dict[str, bytes] = {}
        for chunk in chunked(ids, len):
            queries.update(await self._backend.execute(ReadItems(self._codec.feed, chunk)))
        return queries

    async def _told(self, notice: End, queries: Mapping[str, bytes]) -> Outcome[T] | None:
        """What the notice of a job's end means; None: that it is worth waiting on."""
        if isinstance(notice, Retracted):
            return JobRetracted(notice.feed, notice.id)
        outcome = await self._outcome(notice.id)
        if isinstance(notice, Finished) and not isinstance(outcome, JobResult):
            # A peer has stored none.
            return self._codec.result(StoredResult(queries.get(notice.id), notice.result))
        return outcome

    async def _outcome(self, id: str) -> Outcome[T] | None:
        try:
            return await self.look(id)
        except (JobFailed, NoResult) as error:
            return error

    async def _next_end(
        self, subscription: AsyncSubscription, ids: dict[str, None], deadline: Deadline
    ) -> End | None:
        """The next notice of the end of one of the jobs; None when it is time to look at all."""
        look_at = time.monotonic() + LOOK_EVERY * max(1.0, len(ids) / LOOKS_AT_ONCE)
        while (seconds := look_at - time.monotonic()) > 0:
            try:
                left = deadline.remaining()
            except Empty:
                one = next(iter(ids))
                raise Empty(f"job {one!r} has no result within the timeout") from None
            try:
                notice = await subscription.get(seconds if left is None else min(left, seconds))
            except Empty:
                continue
            if isinstance(notice, Gap):
                break
            if isinstance(notice, Finished | Retracted | Ended | Stalled) and notice.id in ids:
                return notice
        return None
