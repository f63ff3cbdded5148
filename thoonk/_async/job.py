"""The job feed: each job is claimed by one worker, which has to finish it."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import ClassVar, TypeVar, overload

import attrs

from thoonk._async.claim import AsyncClaim
from thoonk._async.claims import AsyncClaims
from thoonk._async.failing import end_failed, fail
from thoonk._async.renewal import renew_after, renew_all
from thoonk._async.results import AsyncResults
from thoonk._async.takeable import AsyncTakeable
from thoonk._async.taking import take
from thoonk.arguments import (
    check_due,
    check_if_exists,
    check_items,
    check_many,
    check_priority,
    check_state,
    check_unique_for,
)
from thoonk.backends import AsyncBackend
from thoonk.chunks import MOST_RESULTS, chunked
from thoonk.codec import JobResult, PutResult
from thoonk.config import JOB
from thoonk.exceptions import (
    Empty,
    InvalidValue,
    JobFailed,
    NoResult,
    NotClaimed,
    SerializerError,
    ThoonkError,
    UnsupportedOperation,
)
from thoonk.failures import failure_of
from thoonk.names import check_id, new_id, new_token, shown
from thoonk.operations import (
    MOST,
    Batch,
    CountJobs,
    Due,
    Entry,
    Failed,
    JobAdd,
    JobClaim,
    JobClear,
    JobCounts,
    JobFail,
    JobFailures,
    JobFinish,
    JobInfo,
    JobMaintain,
    JobMend,
    JobPage,
    JobPut,
    JobReschedule,
    JobRetract,
    JobRetry,
    JobRetryAll,
    JobSchedule,
    JobState,
    JobUnschedule,
    MaintenanceReport,
    Mended,
    Priority,
    ReadItems,
    ReadJob,
    ReadJobPage,
    ReadJobs,
    ReadSchedules,
    ScheduleStatus,
    check_count,
)
from thoonk.schedules import PeriodicJob, make_schedule, next_times
from thoonk.serializers import Serializer
from thoonk.waiting import Deadline

T = TypeVar("T")

logger = logging.getLogger("thoonk.job")


class AsyncJob(AsyncTakeable[T]):
    """Jobs wait, are claimed, and are removed once they are finished.

    A claim that is cancelled, or not finished within the configured ``claim_timeout``,
    makes the job available again; cancelled ``max_failures`` times it is stalled.
    """

    type: ClassVar[str] = JOB
    kind: ClassVar[str] = JOB

    def __init__(self, name: str, backend: AsyncBackend, serializer: Serializer[T]) -> None:
        super().__init__(name, backend, serializer)
        self._results = AsyncResults(backend, self._codec)

    @overload
    async def put(
        self,
        item: T,
        priority: Priority | None = None,
        *,
        id: None = None,
        delay: float | None = None,
        at: dt.datetime | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> str: ...

    @overload
    async def put(
        self,
        item: T,
        priority: Priority | None = None,
        *,
        id: str,
        delay: float | None = None,
        at: dt.datetime | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> PutResult: ...

    @overload
    async def put(
        self,
        item: T,
        priority: Priority | None = None,
        *,
        id: str | None,
        delay: float | None = None,
        at: dt.datetime | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> PutResult | str: ...

    async def put(
        self,
        item: T,
        priority: Priority | None = None,
        *,
        id: str | None = None,
        delay: float | None = None,
        at: dt.datetime | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> PutResult | str:
        """Add a job; return its id. (Contract: job put, job add)

        An id that you choose is taken while its job is scheduled, waiting, claimed or
        stalled, and for ``unique_for`` seconds.

        Args:
            item: an item that the feed's serializer accepts.
            priority: ``job.HIGH``: before all waiting jobs. None: ``NORMAL``.
            id: the job's id. None: a new random id.
            delay: seconds until the job becomes available. None or 0: at once.
            at: the time at which it becomes available, by the server's clock: a datetime
                with a time zone. Not together with ``delay``.
            if_exists: what to do if the id is taken. ``"keep"``: nothing. ``"replace"``: give
                the job this item and time, and start it over, unless it is claimed.
                ``"refuse"``: raise `ItemExists`.
            unique_for: seconds for which the id stays taken, even after the job is finished.
                None: only while the job exists.

        Returns:
            The id. If you chose it, its ``outcome`` says what happened: ADDED, KEPT or
            REPLACED.

        Raises:
            ItemExists: the id is taken, and ``if_exists`` is ``"refuse"``.
            InvalidValue, InvalidType, SerializerError: nothing was sent.
            ItemTooLarge: it is larger than ``max_item_size``, or than the server accepts.
            FeedDoesNotExist: the feed was deleted.
            BackendUnavailable, AccessDenied, BackendFull: nothing was done.
            OutcomeUnknown: it may or may not have been done.
        """
        which = check_priority(priority)
        is_plain = delay is None and at is None and unique_for is None
        if id is None and is_plain and if_exists == "keep":
            # The usual case, which should not pay for the checks below.
            fresh = Entry(new_id(), self._codec.encode(item))
            await self._execute(JobPut(self.name, (fresh,), which))
            return fresh.id
        due, choice = check_due(delay, at), check_if_exists(if_exists)
        seconds = check_unique_for(unique_for, has_id=id is not None)
        if id is None and due is None:
            return await self.put(item, priority)
        entry = Entry(new_id() if id is None else check_id(id), self._codec.encode(item))
        put: PutResult = await self._add_one(
            entry, JobAdd(self.name, (entry,), which, due, choice, seconds)
        )
        return put

    @overload
    async def put_many(
        self,
        items: Mapping[str, T],
        priority: Priority | None = None,
        *,
        delay: float | None = None,
        at: dt.datetime | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> list[PutResult]: ...

    @overload
    async def put_many(
        self,
        items: Iterable[T],
        priority: Priority | None = None,
        *,
        delay: float | None = None,
        at: dt.datetime | None = None,
    ) -> list[str]: ...

    async def put_many(
        self,
        items: Iterable[T] | Mapping[str, T],
        priority: Priority | None = None,
        *,
        delay: float | None = None,
        at: dt.datetime | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> list[PutResult] | list[str]:
        """Add jobs in order, as `put` does; return their ids.

        Up to 1000 jobs are added in one atomic step, or up to 400 if you choose the ids or the
        time. If a later step fails, the earlier steps stay done (see the error's ``done``).

        Args:
            items: items that the feed's serializer accepts, or a mapping of ids to items.
            priority, delay, at, if_exists, unique_for: as for `put`.

        Raises:
            InvalidType, InvalidValue, SerializerError: nothing was sent.
            ItemExists: as for `put`. No job of the same step was added.
            FeedDoesNotExist: the feed was deleted.
        """
        which, due = check_priority(priority), check_due(delay, at)
        choice = check_if_exists(if_exists)
        given = isinstance(items, Mapping)
        seconds = check_unique_for(unique_for, has_id=given)
        if isinstance(items, Mapping):
            entries = self._codec.entries_by_id(items)
        else:
            entries = self._codec.entries(items)
        if not given and due is None:
            return await self._put_many(entries, lambda chunk: JobPut(self.name, chunk, which))
        return await self._add(
            entries, lambda chunk: JobAdd(self.name, chunk, which, due, choice, seconds)
        )

    async def schedule(
        self,
        name: str,
        item: T,
        *,
        every: float | None = None,
        cron: str | None = None,
        tz: str = "UTC",
        if_missed: str = "once",
        priority: Priority | None = None,
    ) -> bool:
        """Put a job periodically. (Contract: job schedule)

        The schedule is stored with the feed. Each job is put only once, however many workers
        and clients there are: the first one that asks for a job when it is due puts it. None
        of them has to run all the time. Programs can create the same schedule every time they
        start: an existing one continues unchanged.

        Args:
            name: the name of the schedule. Each job has the id NAME@MS, where MS is its time
                in milliseconds since 1970.
            item: the item of the jobs, which the feed's serializer accepts.
            every: seconds between two jobs, 0.1 or more. The first is due after this time.
            cron: a cron expression instead, such as ``"0 3 * * *"``. Needs the extra ``cron``.
            tz: the time zone of the cron expression, such as ``"Europe/Berlin"``.
            if_missed: what to do if no program has asked for jobs for more than a minute.
                ``"once"``: put only the last of the missed jobs. ``"skip"``: put none.
            priority: the priority of the jobs. None: ``NORMAL``.

        Returns:
            Whether the schedule is new or has changed. Jobs that it has already put remain.

        Raises:
            InvalidValue, InvalidType: an argument is not allowed; nothing was sent.
            BackendNotInstalled: a cron expression needs the extra ``cron``.
        """
        schedule = make_schedule(
            name,
            self._codec.encode_alone(item),
            every=every,
            cron=cron,
            tz=tz,
            if_missed=if_missed,
            priority=check_priority(priority),
        )
        times = next_times(schedule, dt.datetime.now(dt.UTC)) if cron is not None else ()
        is_new: bool = await self._execute(JobSchedule(self.name, schedule, times))
        return is_new

    async def unschedule(self, name: str) -> bool:
        """Remove a schedule; return whether there was one. (Contract: job unschedule)

        Jobs that it has put remain.
        """
        was_there: bool = await self._execute(JobUnschedule(self.name, check_id(name)))
        return was_there

    async def schedules(self) -> list[PeriodicJob[T]]:
        """The schedules of the feed, by name. (Contract: schedules)

        If a cron schedule has run out of times, because no program has asked for jobs for a long
        time, it first gets new ones. This needs the extra ``cron``.

        Raises:
            SerializerError: the serializer cannot decode an item.
        """
        found: tuple[ScheduleStatus, ...] = await self._execute(ReadSchedules(self.name))
        over = tuple(one for one in found if one.schedule.cron and one.next is None)
        if over:
            await renew_all(self._backend, self.name, over)
            found = await self._execute(ReadSchedules(self.name))
        return [
            PeriodicJob(
                status.schedule.name,
                self._codec.decode(status.schedule.item),
                status.schedule.every,
                status.schedule.cron,
                status.schedule.tz,
                status.schedule.if_missed.value,
                status.schedule.priority,
                None if status.next is None else dt.datetime.fromtimestamp(status.next, dt.UTC),
            )
            for status in sorted(found, key=lambda status: status.schedule.name)
        ]

    async def reschedule(
        self, id: str, delay: float | None = None, at: dt.datetime | None = None
    ) -> None:
        """Change the time of a scheduled job. (Contract: job reschedule)

        Args:
            id: the job's id.
            delay: seconds from now. None or 0, without ``at``: at once.
            at: the time at which it becomes available: a datetime with a time zone.

        Raises:
            NotScheduled: the job is not scheduled, or no longer.
        """
        due = check_due(delay, at) or Due(delay=0.0)
        await self._execute(JobReschedule(self.name, id, due))

    async def run_now(self, id: str) -> None:
        """Make a scheduled job available at once. (Contract: job reschedule)

        Raises:
            NotScheduled: the job is not scheduled, or no longer.
        """
        await self.reschedule(id)

    async def get_info(self, id: str) -> JobInfo | None:
        """Return a job's state, its times, and why it failed. (Contract: job info)

        None if there is no such job, or if it is finished and no result is stored.
        """
        info: JobInfo | None = await self._execute(ReadJob(self.name, id))
        return info

    async def get_ids(self, state: JobState | str | None = None) -> list[str]:
        """Return the ids of unfinished jobs. (Contract: get_ids, job pages)

        Args:
            state: only jobs in this state, in the order of `jobs`: ``"scheduled"``,
                ``"waiting"``, ``"claimed"`` or ``"stalled"``. None: all, in no particular order.

        Raises:
            InvalidValue: there is no such state.
        """
        if state is not None:
            return [info.id async for info in self.jobs(state)]
        return [*await self._read(None, with_items=False)]

    def jobs(self, state: JobState | str) -> AsyncIterator[JobInfo]:
        """Iterate over the jobs in a state, read in pages. (Contract: job pages)

        Scheduled jobs are ordered by their times, claimed jobs by their last heartbeats, and
        waiting jobs as they will be claimed. Stalled jobs are in no particular order. Jobs that
        change their state during the iteration may be missing or appear twice. ``has_result`` is
        not looked up.

        Args:
            state: as for `get_ids`.

        Raises:
            InvalidValue: there is no such state.
        """
        return self._jobs(check_state(state))

    async def _jobs(self, state: JobState) -> AsyncIterator[JobInfo]:
        operation = ReadJobPage(self.name, state)
        while True:
            page: JobPage = await self._execute(operation)
            for info in page.jobs:
                yield info
            if not page.cursor:
                break
            operation = attrs.evolve(operation, cursor=page.cursor)

    async def get_item(self, id: str) -> T | None:
        """Return a job's item, or None if there is no such job. (Contract: get_item)

        Raises:
            SerializerError: the serializer cannot decode the item.
        """
        return (await self.get_items([id])).get(id)

    async def get_items(self, ids: Iterable[str] | None = None) -> dict[str, T]:
        """Return items by id. Ids without a job are left out.

        Args:
            ids: the ids. None: all, as `get_all`.

        Raises:
            SerializerError: the serializer cannot decode an item.
        """
        if ids is None:
            return await self.get_all()
        wanted = [check_id(id) for id in check_many(ids, "ids")]
        found: dict[str, T] = {}
        for chunk in chunked(wanted, len):
            items = await self._read(chunk, with_items=True)
            found.update((id, self._codec.decode(data or b"")) for id, data in items.items())
        return found

    async def get_all(self) -> dict[str, T]:
        """Return the items of all jobs by id, in no particular order. (Contract: get_all)

        Raises:
            SerializerError: the serializer cannot decode an item.
        """
        items = await self._read(None, with_items=True)
        return {id: self._codec.decode(data or b"") for id, data in items.items()}

    async def has_id(self, id: str) -> bool:
        """Whether there is an unfinished job with this id."""
        return bool(await self._read((id,), with_items=False))

    async def count(self) -> int:
        """Return the number of unfinished jobs."""
        counts = await self.get_counts()
        return counts.waiting + counts.claimed + counts.stalled + counts.scheduled

    async def _read(
        self, ids: tuple[str, ...] | None, *, with_items: bool
    ) -> Mapping[str, bytes | None]:
        try:
            jobs: Mapping[str, bytes | None] = await self._execute(
                ReadJobs(self.name, ids, with_items)
            )
        except UnsupportedOperation:  # of a backend that schedules nothing
            jobs = await self._execute(ReadItems(self.name, ids))
        return jobs

    async def get(self, timeout: float | None = None) -> AsyncClaim[T]:
        """Claim the next job, waiting until there is one. (Contract: job get)

        This also makes jobs available again whose claims have timed out. If the call is
        cancelled or interrupted while it waits, no job is lost.

        Args:
            timeout: seconds to wait. None or 0: forever.

        Raises:
            Empty: no job became available within the timeout.
            SerializerError: the serializer cannot decode the job. The job was cancelled, and
                is stalled after ``max_failures`` such attempts.
        """
        return (await self.get_many(1, timeout))[0]

    async def get_nowait(self) -> AsyncClaim[T]:
        """Claim the next job if one is available. Raises as `get` does."""
        operation = self._taking(1)
        batch: Batch = await self._execute(operation)
        if not batch.entries:
            raise Empty(f"no job is available in {self.name!r}")
        return (await self._received(operation, batch))[0]

    async def get_many(self, n: int, timeout: float | None = None) -> list[AsyncClaim[T]]:
        """Claim up to ``n`` available jobs, waiting until there is at least one.

        Args:
            n: 1 to 1000.
            timeout: seconds to wait for the first job. None or 0: forever.

        Raises:
            Empty: no job became available within the timeout.
            SerializerError: the serializer cannot decode any of the jobs. Jobs that it cannot
                decode are cancelled, and stalled after ``max_failures`` such attempts.
        """
        operation = self._taking(check_count("n", n))
        batch = await take(self._backend, operation, Deadline(timeout))
        return await self._received(operation, batch)

    def _taking(self, count: int) -> JobClaim:
        recover_expired = self._recovery.is_due()
        return JobClaim(self.name, new_token(), count, recover_expired=recover_expired)

    async def _received(self, operation: JobClaim, batch: Batch) -> list[AsyncClaim[T]]:
        await renew_after(self._backend, self.name, batch.entries)
        claims: list[AsyncClaim[T]] = []
        failure: SerializerError | None = None
        for entry in batch.entries:
            try:
                item = self._codec.decode(entry.item)
            except SerializerError as error:
                failure = error
                extra = {"event": "job_unreadable", "feed": self.name, "id": entry.id}
                try:
                    why = failure_of(error, with_traceback=False)
                    await fail(
                        self._backend, JobFail(self.name, entry.id, operation.token, failure=why)
                    )
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
        """Loop over the jobs of the feed, one claim after another. (Contract: job next)

        Asking for the next job finishes the previous one, in the same round trip. This does not
        apply if you have ended it yourself, with one of its methods or with a ``with`` block,
        which cancels the job if it raises. To store a result, call the claim's `set_result`. If
        you leave the loop in the middle of a job, that job is available again at once.

        The loop logs a lost claim (its ``claim_timeout`` has passed) and a job that the
        serializer cannot decode (it is stalled), and continues.

        Args:
            timeout: seconds to wait for a job before the loop ends. None or 0: forever.
            prefetch: how many jobs to claim at once, 1 to 1000. The loop keeps their claims;
                jobs that have waited behind another one for a second are given back for other
                workers. Ends of jobs are reported together, after at most a tenth of a second.

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
        """Finish a claimed job. (Contract: job finish)

        Args:
            id: the job's id.
            item: its result, to store and announce. None: no result, unless ``result`` is
                true.
            result: whether ``item`` is the result even if it is None.
            timeout: seconds to keep the result. 0: forever. None: the configured
                ``result_timeout``, or one day.
            token: the token of the current claim (`AsyncClaim.token`), which may come from
                another process. Empty: any claim.

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
        """Finish claimed jobs: up to 1000 in one atomic step, or up to 400 with results.

        Args:
            claims: claims, or the ids of claimed jobs.
            items: their results, one for each, to store and announce. None: no results.
            timeout: seconds to keep the results, as for `finish`.

        Raises:
            NotClaimed: a job is not claimed, or another worker has claimed it. No job of its
                step was finished; the error's ``done`` has the ids of the earlier steps.
            InvalidValue: there are more or fewer results than jobs, or a job is named twice.
                Nothing was sent.
        """
        given = check_many(claims, "claims")
        results: list[T | None] = [None] * len(given)
        if items is not None:
            results = [*check_items(items)]
            if len(results) != len(given):
                raise InvalidValue(f"items must have {len(given)} elements, not {len(results)}")
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
            # The job would be counted and announced twice.
            raise InvalidValue("claims must be of different jobs, but one job occurs twice")
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
        """Wait for a job's result; return it with the job's item. (Contract: get_result)

        The result can be read again for as long as it is kept.

        Args:
            id: the job's id.
            timeout: seconds to wait. None or 0: forever.

        Raises:
            JobFailed: the job is stalled. The error says why, if that is known.
            JobRetracted: the job was retracted during the wait, and the feed has ``events``.
            NoResult: the job was finished without a result, was retracted, or never existed.
            Empty: there was no result within the timeout.
        """
        return await self._results.get(check_id(id), Deadline(timeout))

    async def get_result_nowait(self, id: str) -> JobResult[T]:
        """Return a job's item and result if there is one. Raises as `get_result` does."""
        result = await self._results.look(check_id(id))
        if result is None:
            raise Empty(f"job {id!r} has no result yet")
        return result

    def wait(
        self, ids: Iterable[str], timeout: float | None = None
    ) -> AsyncIterator[tuple[str, JobResult[T] | JobFailed | NoResult]]:
        """Iterate over ids and results as jobs end. (Contract: get_result)

        For a job that will have no result, the result is the error that `get_result` would
        raise.

        Args:
            ids: the jobs' ids.
            timeout: seconds to wait for all of them. None or 0: forever.

        Raises:
            Empty: not all jobs ended within the timeout.
        """
        checked = [check_id(id) for id in check_many(ids, "ids")]
        return self._results.of_all(checked, Deadline(timeout))

    async def cancel(
        self,
        id: str,
        *,
        token: str = "",
        delay: float | None = None,
        at: dt.datetime | None = None,
        reason: str | BaseException | None = None,
    ) -> bool:
        """Give a claimed job back, as failed: it waits again. (Contract: job cancel, job fail)

        It goes to the end of the queue. If it has been cancelled ``max_failures`` times, it is
        stalled.

        Args:
            id: the job's id.
            token: as for `finish`.
            delay: seconds until the job is available again. None or 0: at once.
            at: the time at which it is available again: a datetime with a time zone.
            reason: why, for `get_info`: a text, or the exception that was raised.

        Returns:
            Whether the job was stalled, because it has reached ``max_failures``.

        Raises:
            NotClaimed: the job is not claimed, or not under that token.
        """
        due, failure = check_due(delay, at), failure_of(reason)
        operation = JobFail(self.name, id, token, due, failure=failure)
        return await end_failed(self._backend, operation) is Failed.STALLED

    async def stall(
        self, id: str, *, token: str = "", reason: str | BaseException | None = None
    ) -> None:
        """Stall a claimed job: no worker gets it until `retry`. (Contract: job stall, job fail)

        Args:
            id: the job's id.
            token: as for `finish`.
            reason: why, as for `cancel`.

        Raises:
            NotClaimed: the job is not claimed, or not under that token.
        """
        operation = JobFail(self.name, id, token, stall=True, failure=failure_of(reason))
        await end_failed(self._backend, operation)

    async def stop(self, id: str, *, reason: str | BaseException | None = "stopped") -> bool:
        """Stop a running job and keep it, stalled until `retry`. (Contract: job fail)

        Its worker stops it, as it stops a job that was retracted. A backend that cannot store
        reasons stops the job without one.

        Args:
            id: the job's id.
            reason: why, as for `cancel`.

        Returns:
            Whether the job was claimed. If it was not, nothing changes.
        """
        operation = JobFail(self.name, id, stall=True, failure=failure_of(reason))
        try:
            await fail(self._backend, operation)
        except NotClaimed:
            return False
        return True

    async def retry(self, id: str) -> None:
        """Make a stalled job available again. (Contract: job retry)

        Raises:
            NotStalled: the job is not stalled.
        """
        await self._execute(JobRetry(self.name, id))

    async def retry_all(self) -> int:
        """Make all stalled jobs available again; return how many. (Contract: job retry all)

        This is done in short atomic steps, in no particular order.
        """
        return await self._until_done(JobRetryAll(self.name))

    async def retract_all(self, state: JobState | str) -> int:
        """Remove all jobs in a state; return how many. (Contract: job clear)

        This is done in short atomic steps. A job that leaves the state before its step is not
        removed.

        Args:
            state: as for `get_ids`.

        Raises:
            InvalidValue: there is no such state.
        """
        return await self._until_done(JobClear(self.name, check_state(state)))

    async def purge(self) -> int:
        """Remove all jobs; return how many. (Contract: job clear)

        The configuration, the counters and stored results remain. This is done in short atomic
        steps. A job that is put or changes its state during the purge may remain.
        """
        removed = 0
        for state in (JobState.SCHEDULED, JobState.WAITING, JobState.CLAIMED, JobState.STALLED):
            removed += await self.retract_all(state)
        return removed

    async def retract(self, id: str) -> bool:
        """Remove a job in any state; return whether it existed. (Contract: job retract)"""
        removed: tuple[bool, ...] = await self._execute(JobRetract(self.name, (id,)))
        return removed[0]

    async def retract_many(self, ids: Iterable[str]) -> list[bool]:
        """Remove jobs in any state; return for each whether it existed.

        Up to 1000 jobs are removed in one atomic step. If more than 15,000 jobs wait, it takes
        more steps to find them, each of which is short. If a step fails, the earlier steps stay
        done (see the error's ``done``).
        """
        return await self._retract_some(ids, lambda chunk: JobRetract(self.name, chunk))

    async def get_failure_count(self, id: str) -> int:
        """Return how often a job was cancelled since it was put or retried."""
        failures: int = await self._execute(JobFailures(self.name, id))
        return failures

    async def get_counts(self) -> JobCounts:
        """Return how many jobs wait, are claimed or stalled, and have been finished."""
        counts: JobCounts = await self._execute(CountJobs(self.name))
        return counts

    async def maintenance(self) -> MaintenanceReport:
        """Repair what dead workers and peers left behind. (Contract: job maintenance)

        Jobs whose claims have expired become available again, as in every `get`, and so do jobs
        that are in no state. This is done in short steps, so that other clients do not wait.
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
