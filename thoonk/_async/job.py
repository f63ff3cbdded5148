"""The job feed: each job is claimed by one, who has to finish it."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from thoonk._async.collection import AsyncCollection
from thoonk._async.heartbeat import AsyncHeartbeat
from thoonk._async.taking import take
from thoonk.backends import AsyncSubscription
from thoonk.concurrency._async import to_the_end
from thoonk.config import JOB
from thoonk.exceptions import Empty, NotClaimed, SerializerError, ThoonkError
from thoonk.flows import Deadline, JobResult, check_priority
from thoonk.names import check_id, check_timeout, new_id, new_token
from thoonk.notices import Finished, Gap
from thoonk.operations import (
    CountJobs,
    Entry,
    Held,
    JobCancel,
    JobClaim,
    JobCounts,
    JobExtend,
    JobFailures,
    JobFinish,
    JobMaintain,
    JobPut,
    JobRetract,
    JobRetry,
    JobStall,
    MaintenanceReport,
    Priority,
    ReadItem,
    ReadResult,
    StoredResult,
    Taken,
    TakenEntry,
)

T = TypeVar("T")

logger = logging.getLogger("thoonk.job")


class AsyncClaim(tuple[str, T, int], Generic[T]):
    """A job that was claimed: unpacks into id, item and how often it was cancelled.

    In a ``with`` block it is finished at the end, or cancelled when the block raises,
    unless one of the methods below was called before. These act only while the claim
    holds: once it has run out and the job is another's, they raise `NotClaimed`.
    """

    _job: AsyncJob[T]
    _token: str
    _ended: bool

    def __new__(cls, job: AsyncJob[T], entry: TakenEntry, item: T, token: str) -> Self:
        """Made by `AsyncJob.get`."""
        self = super().__new__(cls, (entry.id, item, entry.cancelled))
        self._job = job
        self._token = token
        self._ended = False
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r} of {self._job.name!r}>"

    @property
    def id(self) -> str:
        """The job's id."""
        return self[0]

    @property
    def item(self) -> T:
        """What is to be done."""
        return self[1]

    @property
    def cancelled(self) -> int:
        """How often the job was cancelled before."""
        return self[2]

    async def finish(
        self, item: T | None = None, result: bool = False, timeout: float | None = None
    ) -> None:
        """As `AsyncJob.finish`, for this claim."""
        ending = self._job._codec.ending(  # noqa: SLF001 - a claim is a part of its job feed
            self.id, self._token, item, result=result, timeout=timeout
        )
        await self._end(JobFinish(self._job.name, (ending,)))

    async def cancel(self) -> None:
        """As `AsyncJob.cancel`, for this claim."""
        await self._end(JobCancel(self._job.name, self.id, self._token))

    async def stall(self) -> None:
        """As `AsyncJob.stall`, for this claim."""
        await self._end(JobStall(self._job.name, self.id, self._token))

    async def extend(self) -> None:
        """Start the claim's ``claim_timeout`` anew. (Contract: job extend)

        Raises:
            NotClaimed: the claim has been lost.
        """
        job = self._job
        held: tuple[bool, ...] = await job._execute(  # noqa: SLF001
            JobExtend(job.name, (Held(self.id, self._token),))
        )
        if not held[0]:
            raise NotClaimed(job.name, self.id)

    def heartbeat(self, interval: float | None = None) -> AsyncHeartbeat:
        """Extend the claim in the background for the length of a ``with`` block.

        Args:
            interval: seconds between two extensions; None: a third of ``claim_timeout``.
        """
        job = self._job
        seconds = check_timeout(interval, "interval")
        return AsyncHeartbeat(job._backend, job.name, self.extend, seconds)  # noqa: SLF001

    async def _end(self, operation: JobFinish | JobCancel | JobStall) -> None:
        await self._job._execute(operation)  # noqa: SLF001
        self._ended = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._ended:
            return
        if error is None:
            await self.finish()
            return
        try:
            await to_the_end(self.cancel)
        except ThoonkError as failure:
            # The error of the block matters more.
            logger.warning("claim on job %r was not cancelled: %s", self.id, failure)


class AsyncJob(AsyncCollection[T]):
    """Jobs wait, are claimed, and are gone once they are finished.

    A claim that is cancelled, or not finished within the configured ``claim_timeout``,
    makes the job available again; cancelled ``max_failures`` times it is stalled.
    """

    type: ClassVar[str] = JOB
    kind: ClassVar[str] = JOB

    NORMAL: ClassVar[Priority] = Priority.NORMAL
    HIGH: ClassVar[Priority] = Priority.HIGH

    async def put(self, item: T, priority: Priority | None = None) -> str:
        """Add a job; return its id. (Contract: job put)

        Args:
            item: what the feed's serializer takes.
            priority: ``job.HIGH`` is claimed before all that waits; None: ``NORMAL``.
        """
        entry = Entry(new_id(), self._codec.encode(item))
        await self._execute(JobPut(self.name, (entry,), check_priority(priority)))
        return entry.id

    async def get(self, timeout: float | None = None) -> AsyncClaim[T]:
        """Claim the next job, waiting until there is one. (Contract: job get)

        Whoever is here first brings back claims that have run out. Cancelled or
        interrupted while it waits, it loses nothing.

        Args:
            timeout: seconds to wait; None and 0: for ever.

        Raises:
            Empty: nothing came in time.
            SerializerError: the job is not what the serializer writes. It was
                cancelled, so it is stalled after ``max_failures`` such attempts.
        """
        deadline = Deadline(timeout)
        operation = JobClaim(self.name, new_token())
        taken = await take(self._backend, operation, deadline)
        return await self._claim(taken.entries[0], operation.token)

    async def get_nowait(self) -> AsyncClaim[T]:
        """Claim the next job if one is available; raises as `get`."""
        operation = JobClaim(self.name, new_token())
        taken: Taken = await self._execute(operation)
        if not taken.entries:
            raise Empty(f"no job is available in {self.name!r}")
        return await self._claim(taken.entries[0], operation.token)

    async def _claim(self, entry: TakenEntry, token: str) -> AsyncClaim[T]:
        try:
            return AsyncClaim(self, entry, self._codec.decode(entry.item), token)
        except SerializerError:
            await self._execute(JobCancel(self.name, entry.id, token))
            raise

    async def finish(
        self,
        id: str,
        item: T | None = None,
        result: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Say that a claimed job is done. (Contract: job finish)

        Args:
            id: the job's id.
            item: its result, to be stored and announced. None: no result, unless
                ``result`` is true.
            result: None in ``item`` is the result.
            timeout: seconds to keep the result; 0: for ever; None: the configured
                ``result_timeout``, or one day.

        Raises:
            NotClaimed: the job is not claimed.
        """
        ending = self._codec.ending(id, "", item, result=result, timeout=timeout)
        await self._execute(JobFinish(self.name, (ending,)))

    async def get_result(self, id: str, timeout: float | None = None) -> JobResult[T]:
        """What was asked of a job and its result, waiting until it is there.

        The result stays: it can be asked for again while it is kept. (Contract: get_result)

        Args:
            id: the job's id.
            timeout: seconds to wait; None and 0: for ever.

        Raises:
            Empty: there was no result in time.
        """
        deadline = Deadline(timeout)
        stored: StoredResult | None = await self._execute(ReadResult(self.name, check_id(id)))
        if stored is not None:
            return self._codec.result(stored)
        query: bytes | None = await self._execute(ReadItem(self.name, id))
        subscription = await self._backend.listen(self.name)
        try:
            announced: bytes | None = None
            while True:
                # Looked up after subscribing, and again after whatever hid a notice.
                stored = await self._execute(ReadResult(self.name, id))
                if stored is None and announced is not None:
                    stored = StoredResult(query, announced)  # a peer that stores none
                if stored is not None:
                    return self._codec.result(stored)
                announced = await self._announced_result(subscription, id, deadline)
        finally:
            await subscription.close()

    async def _announced_result(
        self, subscription: AsyncSubscription, id: str, deadline: Deadline
    ) -> bytes | None:
        """The result in the notice of a job's end; None when notices may have been missed."""
        while True:
            try:
                notice = await subscription.get(deadline.remaining())
            except Empty:
                raise Empty(f"job {id!r} has no result within the timeout") from None
            if isinstance(notice, Finished) and notice.id == id:
                result: bytes = notice.result
                return result
            if isinstance(notice, Gap):
                return None

    async def cancel(self, id: str) -> None:
        """Give a claimed job back: it waits again, at the end. (Contract: job cancel)

        Raises:
            NotClaimed: the job is not claimed.
        """
        await self._execute(JobCancel(self.name, id))

    async def stall(self, id: str) -> None:
        """Take a claimed job out of circulation until `retry`. (Contract: job stall)

        Raises:
            NotClaimed: the job is not claimed.
        """
        await self._execute(JobStall(self.name, id))

    async def retry(self, id: str) -> None:
        """Make a stalled job available again. (Contract: job retry)

        Raises:
            NotStalled: the job is not stalled.
        """
        await self._execute(JobRetry(self.name, id))

    async def retract(self, id: str) -> bool:
        """Remove a job in whatever state; return whether it was there. (Contract: job retract)"""
        removed: tuple[bool, ...] = await self._execute(JobRetract(self.name, (id,)))
        return removed[0]

    async def get_failure_count(self, id: str) -> int:
        """How often a job was cancelled since it was put or retried."""
        failures: int = await self._execute(JobFailures(self.name, id))
        return failures

    async def get_counts(self) -> JobCounts:
        """How many jobs wait, are claimed, are stalled, and have been finished."""
        counts: JobCounts = await self._execute(CountJobs(self.name))
        return counts

    async def maintenance(self) -> MaintenanceReport:
        """Mend what a dying worker or peer left behind. (Contract: job maintenance)

        Claims that have run out are brought back by `get` anyway; jobs that are in no
        state at all only by this.
        """
        report: MaintenanceReport = await self._execute(JobMaintain(self.name))
        return report
