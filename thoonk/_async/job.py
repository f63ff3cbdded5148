"""The job feed: each job is claimed by one, who has to finish it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import ClassVar, TypeVar

from thoonk._async.claim import AsyncClaim
from thoonk._async.claims import AsyncClaims
from thoonk._async.collection import AsyncCollection
from thoonk._async.taking import take
from thoonk.arguments import check_items, check_many, check_priority
from thoonk.backends import AsyncBackend, AsyncSubscription
from thoonk.chunks import MOST_RESULTS, chunked
from thoonk.codec import JobResult
from thoonk.config import JOB
from thoonk.exceptions import (
    Empty,
    InvalidValue,
    SerializerError,
    ThoonkError,
    UnsupportedOperation,
)
from thoonk.names import check_id, new_id, new_token, shown
from thoonk.notices import Finished, Gap
from thoonk.operations import (
    MOST,
    Batch,
    CountJobs,
    Entry,
    JobCancel,
    JobClaim,
    JobCounts,
    JobFailures,
    JobFinish,
    JobMaintain,
    JobMend,
    JobPut,
    JobRetract,
    JobRetry,
    JobStall,
    MaintenanceReport,
    Mended,
    Priority,
    ReadItem,
    ReadResult,
    StoredResult,
    check_count,
)
from thoonk.serializers import Serializer
from thoonk.waiting import Deadline, Throttle

T = TypeVar("T")

logger = logging.getLogger("thoonk.job")


class AsyncJob(AsyncCollection[T]):
    """Jobs wait, are claimed, and are gone once they are finished.

    A claim that is cancelled, or not finished within the configured ``claim_timeout``,
    makes the job available again; cancelled ``max_failures`` times it is stalled.
    """

    type: ClassVar[str] = JOB
    kind: ClassVar[str] = JOB

    NORMAL: ClassVar[Priority] = Priority.NORMAL
    HIGH: ClassVar[Priority] = Priority.HIGH

    def __init__(self, name: str, backend: AsyncBackend, serializer: Serializer[T]) -> None:
        super().__init__(name, backend, serializer)
        self._recovery = Throttle()

    async def put(self, item: T, priority: Priority | None = None) -> str:
        """Add a job; return its id. (Contract: job put)

        Args:
            item: what the feed's serializer takes.
            priority: ``job.HIGH`` is claimed before all that waits; None: ``NORMAL``.
        """
        entry = Entry(new_id(), self._codec.encode(item))
        await self._execute(JobPut(self.name, (entry,), check_priority(priority)))
        return entry.id

    async def put_many(self, items: Iterable[T], priority: Priority | None = None) -> list[str]:
        """Add jobs, one after another as by `put`; return their ids.

        Up to 1000 are one atomic step; of more, the steps before one that fails are done
        (``done`` of the error).

        Raises:
            InvalidType, SerializerError: nothing was sent.
            FeedDoesNotExist: it was deleted.
        """
        which = check_priority(priority)
        entries = self._codec.entries(items)
        return await self._put_many(entries, lambda chunk: JobPut(self.name, chunk, which))

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
        return (await self.get_many(1, timeout))[0]

    async def get_nowait(self) -> AsyncClaim[T]:
        """Claim the next job if one is available; raises as `get`."""
        operation = self._taking(1)
        batch: Batch = await self._execute(operation)
        if not batch.entries:
            raise Empty(f"no job is available in {self.name!r}")
        return (await self._claims(operation, batch))[0]

    async def get_many(self, n: int, timeout: float | None = None) -> list[AsyncClaim[T]]:
        """Claim what is there, ``n`` jobs at most, waiting until there is one.

        Args:
            n: 1 to 1000.
            timeout: seconds to wait for the first; None and 0: for ever.

        Raises:
            Empty: nothing came in time.
            SerializerError: none is what the serializer writes. A job that is not was
                cancelled, so it is stalled after ``max_failures`` such attempts.
        """
        operation = self._taking(check_count("n", n))
        batch = await take(self._backend, operation, Deadline(timeout))
        return await self._claims(operation, batch)

    def _taking(self, count: int) -> JobClaim:
        recover_expired = self._recovery.is_due()
        return JobClaim(self.name, new_token(), count, recover_expired=recover_expired)

    async def _claims(self, operation: JobClaim, batch: Batch) -> list[AsyncClaim[T]]:
        claims: list[AsyncClaim[T]] = []
        failure: SerializerError | None = None
        for entry in batch.entries:
            try:
                item = self._codec.decode(entry.item)
            except SerializerError as error:
                failure = error
                extra = {"event": "job_unreadable", "feed": self.name, "id": entry.id}
                try:
                    await self._execute(JobCancel(self.name, entry.id, operation.token))
                except ThoonkError as refusal:
                    # The others are claimed all the same, and the caller's.
                    logger.warning(
                        "Job %s unreadable and not cancelled (%s): %s",
                        shown(entry.id),
                        refusal,
                        error,
                        extra=extra,
                    )
                else:
                    logger.warning(
                        "Job %s unreadable and cancelled: %s", shown(entry.id), error, extra=extra
                    )
            else:
                claims.append(AsyncClaim(self._backend, self._codec, entry, item, operation.token))
        if failure is not None and not claims:
            raise failure
        return claims

    def claims(self, timeout: float | None = None, *, prefetch: int = 1) -> AsyncClaims[T]:
        """The jobs of the feed, one claim after another, to be looped over.

        Asking for the next one finishes the last one, in the same round trip, unless it
        was ended before by one of its methods, or by the end of a ``with`` block (which
        cancels it when it raises). A claim's `set_result` chooses what is stored. Where
        the loop is left in the middle of a job, that job is available again at once; only
        asking for the next one finishes it. (Contract: job next)

        A job that was lost meanwhile (its ``claim_timeout`` has passed) and a job that the
        serializer does not understand (it is stalled) are logged, and the loop goes on.

        Args:
            timeout: seconds to wait for a job, after which the loop ends; None and 0: for
                ever.
            prefetch: how many jobs are claimed at once, 1 to 1000. Those in hand keep
                their claims; when they have waited behind another for a second, they are
                given back for others to do. How jobs ended is told together, after a
                tenth of a second at most.

        Raises:
            InvalidValue, InvalidType: an argument is not allowed.
        """
        return AsyncClaims(self._backend, self._codec, timeout, prefetch)

    async def finish(
        self,
        id: str,
        item: T | None = None,
        result: bool = False,
        timeout: float | None = None,
        *,
        token: str = "",
    ) -> None:
        """Say that a claimed job is done. (Contract: job finish)

        Args:
            id: the job's id.
            item: its result, to be stored and announced. None: no result, unless
                ``result`` is true.
            result: None in ``item`` is the result.
            timeout: seconds to keep the result; 0: for ever; None: the configured
                ``result_timeout``, or one day.
            token: that of a claim (`AsyncClaim.token`), perhaps from another process; then
                it has to be the one that holds. Empty: whoever holds it.

        Raises:
            NotClaimed: the job is not claimed, or not under that token.
        """
        completion = self._codec.completion(id, token, item, result=result, timeout=timeout)
        await self._execute(JobFinish(self.name, (completion,)))

    async def finish_many(
        self,
        claims: Iterable[AsyncClaim[T] | str],
        items: Iterable[T] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Say that claimed jobs are done, up to 1000 in one atomic step, 400 with results.

        Args:
            claims: claims, or the ids of jobs that somebody has claimed.
            items: their results, as many, which are stored and announced; None: no results.
            timeout: seconds to keep the results, as of `finish`.

        Raises:
            NotClaimed: one is not claimed, or by someone else. No job of its step was
                finished; ``done`` of the error has the ids of those before.
            InvalidValue: as many results as jobs are needed, or a job is named twice.
                Nothing was sent.
        """
        given = check_many(claims, "claims")
        results: list[T | None] = [None] * len(given)
        if items is not None:
            results = [*check_items(items)]
            if len(results) != len(given):
                raise InvalidValue(f"{len(given)} claims need as many items, not {len(results)}")
        pairs = [
            (claim.id, claim.token) if isinstance(claim, AsyncClaim) else (claim, "")
            for claim in given
        ]
        completions = [
            self._codec.completion(id, token, result, result=items is not None, timeout=timeout)
            for (id, token), result in zip(pairs, results, strict=True)
        ]
        done = {id for id, _ in pairs}
        if len(done) < len(pairs):
            # It would be counted and announced as often.
            raise InvalidValue("a job can be finished only once, and one is named twice")
        try:
            await self._execute_many(
                chunked(
                    completions,
                    lambda completion: len(completion.result or b""),
                    MOST if items is None else MOST_RESULTS,
                ),
                lambda chunk: JobFinish(self.name, chunk),
                lambda chunk, _: [completion.id for completion in chunk],
            )
        except ThoonkError as error:
            done = {*error.done}
            raise
        finally:
            for claim in given:
                if isinstance(claim, AsyncClaim) and claim.id in done:
                    claim.ended = True

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

    async def cancel(self, id: str, *, token: str = "") -> bool:
        """Give a claimed job back: it waits again, at the end. (Contract: job cancel)

        Args:
            id: the job's id.
            token: as of `finish`.

        Returns:
            Whether it was stalled instead, for ``max_failures``.

        Raises:
            NotClaimed: the job is not claimed, or not under that token.
        """
        stalled: bool = await self._execute(JobCancel(self.name, id, token))
        return stalled

    async def stall(self, id: str, *, token: str = "") -> None:
        """Take a claimed job out of circulation until `retry`. (Contract: job stall)

        Args:
            id: the job's id.
            token: as of `finish`.

        Raises:
            NotClaimed: the job is not claimed, or not under that token.
        """
        await self._execute(JobStall(self.name, id, token))

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

    async def retract_many(self, ids: Iterable[str]) -> list[bool]:
        """Remove jobs in whatever state; return for each whether it was there.

        Up to 1000 are one atomic step, unless more than 15,000 jobs wait: where it takes
        long to find them there are more steps, of which each is short. The steps before one
        that fails are done (``done`` of the error).
        """
        return await self._retract_some(ids, lambda chunk: JobRetract(self.name, chunk))

    async def get_failure_count(self, id: str) -> int:
        """How often a job was cancelled since it was put or retried, also of a stalled one."""
        failures: int = await self._execute(JobFailures(self.name, id))
        return failures

    async def get_counts(self) -> JobCounts:
        """How many jobs wait, are claimed, are stalled, and have been finished."""
        counts: JobCounts = await self._execute(CountJobs(self.name))
        return counts

    async def maintenance(self) -> MaintenanceReport:
        """Mend what a dying worker or peer left behind. (Contract: job maintenance)

        Claims that have run out are brought back by `get` anyway; jobs that are in no
        state at all only by this. It is done in short steps, between which the backend
        serves others.
        """
        try:
            return await self._mend()
        except UnsupportedOperation:  # of a backend that does it in one step
            report: MaintenanceReport = await self._execute(JobMaintain(self.name))
            return report

    async def _mend(self) -> MaintenanceReport:
        reports: list[MaintenanceReport] = []
        suspects: set[str] = set()
        cursor = ""
        while True:
            step: Mended = await self._execute(JobMend(self.name, cursor))
            reports.append(step.report)
            suspects.update(step.others)
            suspects.difference_update(step.waiting)
            cursor = step.cursor
            if not cursor:
                break
        for chunk in chunked(suspects, len):
            rest = chunk
            while rest:
                step = await self._execute(JobMend(self.name, suspects=rest))
                reports.append(step.report)
                rest = rest[max(1, step.looked_at) :]
        return MaintenanceReport.of_all(reports)
