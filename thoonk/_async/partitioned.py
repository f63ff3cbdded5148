"""Partitioned queues and job feeds: one name, and several feeds that share the load."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from thoonk._async.claim import AsyncClaim
from thoonk._async.job import AsyncJob
from thoonk._async.queue import AsyncQueue
from thoonk._async.takeable import AsyncTakeable
from thoonk._async.taking_any import take_any
from thoonk.arguments import (
    check_due,
    check_if_exists,
    check_many,
    check_priority,
    check_state,
    check_unique_for,
)
from thoonk.backends import AsyncBackend
from thoonk.codec import JobResult, PutResult
from thoonk.exceptions import Empty, InvalidValue, ThoonkError
from thoonk.names import check_id, new_id
from thoonk.operations import (
    Batch,
    Entry,
    JobAdd,
    JobCounts,
    JobState,
    MaintenanceReport,
    Priority,
    QueueAdd,
    TakeOperation,
)
from thoonk.partitions import keyed_id, partition_of
from thoonk.waiting import Deadline

F = TypeVar("F", bound=AsyncTakeable[Any])
R = TypeVar("R")
T = TypeVar("T")


class AsyncPartitioned(Generic[F]):
    """A common base of `AsyncPartitionedQueue` and `AsyncPartitionedJob`.

    Each partition is a feed of its own. There is no order between them.

    Attributes:
        name: the name that they have in common.
        partitions: the feeds.
    """

    def __init__(self, name: str, backend: AsyncBackend, partitions: Sequence[F]) -> None:
        self.name = name
        self.partitions = tuple(partitions)
        self._backend = backend

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {len(self.partitions)}>"

    def of(self, id: str) -> F:
        """The partition that an item with this id is in. It has all methods by id.

        If a part of the id is in braces, only that part counts, so that you can keep items
        together.

        Raises:
            InvalidValue, InvalidType: it is no id.
        """
        return self.partitions[partition_of(check_id(id), len(self.partitions))]

    async def count(self) -> int:
        """Return the number of items in all partitions."""
        return sum(await self._of_each(lambda partition: partition.count()))

    async def get_ids(self) -> list[str]:
        """Return the ids of all items, one partition after the other."""
        each = await self._of_each(lambda partition: partition.get_ids())
        return [id for ids in each for id in ids]

    async def purge(self) -> int:
        """Remove all items; return how many."""
        return sum(await self._of_each(lambda partition: partition.purge()))

    async def pause(self) -> bool:
        """Pause all partitions until `resume`; return whether one was not paused before."""
        return any(await self._of_each(lambda partition: partition.pause()))

    async def resume(self) -> bool:
        """End a pause; return whether one of the partitions was paused."""
        return any(await self._of_each(lambda partition: partition.resume()))

    async def _of_each(self, call: Callable[[F], Coroutine[Any, Any, R]]) -> list[R]:
        return [await call(partition) for partition in self.partitions]

    async def _take(self, deadline: Deadline | None) -> Any:
        """The next item of any partition. ``deadline``: None: do not wait.

        Raises:
            Empty: there is none, or none arrived in time.
        """
        while True:
            empty: list[tuple[TakeOperation, Batch]] = []
            # In another order each time, so that no partition always comes last.
            for partition in random.sample(self.partitions, len(self.partitions)):
                operation = partition._taking(1)
                batch = await self._backend.execute(operation)
                if batch.entries:
                    break
                empty.append((operation, batch))
            else:
                if deadline is None:
                    raise Empty(f"nothing is available in {self.name!r}")
                operation, batch = await take_any(self._backend, empty, deadline)
                (partition,) = (one for one in self.partitions if one.name == operation.feed)
            received = await partition._received(operation, batch)
            if received:
                return received[0]

    def _id(self, id: str | None, key: str | None) -> str:
        if key is None:
            return new_id() if id is None else check_id(id)
        if id is not None:
            raise InvalidValue(
                "pass a key or an id, not both; an id decides by its part in braces, if it has one"
            )
        return keyed_id(key)

    def _entries(self, items: Iterable[Any] | Mapping[str, Any], key: str | None) -> list[Entry]:
        """Items as they are put. All are encoded before one is sent."""
        if isinstance(items, Mapping):
            if key is not None:
                raise InvalidValue("pass a key or ids, not both")
            return [Entry(check_id(id), self._encode(item)) for id, item in items.items()]
        return [Entry(self._id(None, key), self._encode(one)) for one in check_many(items, "items")]

    def _encode(self, item: Any) -> bytes:
        return self.partitions[0]._codec.encode(item)

    async def _put_entries(
        self,
        entries: Sequence[Entry],
        put: Callable[[F, list[Entry]], Coroutine[Any, Any, list[PutResult]]],
    ) -> list[PutResult]:
        """Put entries where they belong; the ids in their order."""
        shares: dict[F, list[Entry]] = {}
        for entry in entries:
            shares.setdefault(self.of(entry.id), []).append(entry)
        done: dict[str, PutResult] = {}
        for partition, share in shares.items():
            try:
                results = await put(partition, share)
            except ThoonkError as error:
                error.done = (*done, *error.done)
                raise
            done.update((str(result), result) for result in results)
        return [done[entry.id] for entry in entries]


class AsyncPartitionedQueue(AsyncPartitioned[AsyncQueue[T]], Generic[T]):
    """A queue of several partitions: what one server cannot carry, several share.

    Items of one key are in one partition, in their order.
    """

    async def put(
        self,
        item: T,
        priority: Priority | None = None,
        *,
        key: str | None = None,
        id: str | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> PutResult:
        """Add an item; return its id.

        Args:
            key: items of one key go to one partition. None: any.
            item, priority, id, if_exists, unique_for: as for `AsyncQueue.put`. Not both a key
                and an id.

        Raises:
            InvalidValue, InvalidType, SerializerError: nothing was sent.
            ThoonkError: as for `AsyncQueue.put`.
        """
        which = self._id(id, key)
        seconds = check_unique_for(unique_for, has_id=id is not None)
        queue = self.of(which)
        return await queue.put(item, priority, id=which, if_exists=if_exists, unique_for=seconds)

    async def put_many(
        self,
        items: Iterable[T] | Mapping[str, T],
        priority: Priority | None = None,
        *,
        key: str | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> list[PutResult]:
        """Add items as `put` does; return their ids.

        If a step fails, the earlier steps stay done (see the error's ``done``).
        """
        which, choice = check_priority(priority), check_if_exists(if_exists)
        seconds = check_unique_for(unique_for, has_id=isinstance(items, Mapping))

        async def put(queue: AsyncQueue[T], share: list[Entry]) -> list[PutResult]:
            return await queue._add(
                share, lambda chunk: QueueAdd(queue.name, chunk, which, choice, seconds)
            )

        return await self._put_entries(self._entries(items, key), put)

    async def get(self, timeout: float | None = None) -> T:
        """Get the next item of any partition, waiting until there is one.

        While it waits, it has a connection for each partition.

        Args:
            timeout: seconds to wait. None or 0: forever.

        Raises:
            Empty: no item arrived within the timeout.
            SerializerError: the serializer cannot decode the item.
        """
        item: T = await self._take(Deadline(timeout))
        return item

    async def get_nowait(self) -> T:
        """Get the next item if there is one. Raises as `get` does."""
        item: T = await self._take(None)
        return item


class AsyncPartitionedJob(AsyncPartitioned[AsyncJob[T]], Generic[T]):
    """A job feed of several partitions: what one server cannot carry, several share.

    Jobs of one key are in one partition. A worker serves all of them: give its handler the
    number of ``partitions``.
    """

    async def put(
        self,
        item: T,
        priority: Priority | None = None,
        *,
        key: str | None = None,
        id: str | None = None,
        delay: float | None = None,
        at: dt.datetime | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> PutResult:
        """Add a job; return its id.

        Args:
            key: jobs of one key go to one partition. None: any.
            item, priority, id, delay, at, if_exists, unique_for: as for `AsyncJob.put`. Not
                both a key and an id.

        Raises:
            InvalidValue, InvalidType, SerializerError: nothing was sent.
            ThoonkError: as for `AsyncJob.put`.
        """
        which = self._id(id, key)
        seconds = check_unique_for(unique_for, has_id=id is not None)
        job = self.of(which)
        return await job.put(
            item,
            priority,
            id=which,
            delay=delay,
            at=at,
            if_exists=if_exists,
            unique_for=seconds,
        )

    async def put_many(
        self,
        items: Iterable[T] | Mapping[str, T],
        priority: Priority | None = None,
        *,
        key: str | None = None,
        delay: float | None = None,
        at: dt.datetime | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> list[PutResult]:
        """Add jobs as `put` does; return their ids.

        If a step fails, the earlier steps stay done (see the error's ``done``).
        """
        which, due = check_priority(priority), check_due(delay, at)
        choice = check_if_exists(if_exists)
        seconds = check_unique_for(unique_for, has_id=isinstance(items, Mapping))

        async def put(job: AsyncJob[T], share: list[Entry]) -> list[PutResult]:
            return await job._add(
                share, lambda chunk: JobAdd(job.name, chunk, which, due, choice, seconds)
            )

        return await self._put_entries(self._entries(items, key), put)

    async def get(self, timeout: float | None = None) -> AsyncClaim[T]:
        """Claim the next job of any partition, waiting until there is one.

        While it waits, it has a connection for each partition.

        Args:
            timeout: seconds to wait. None or 0: forever.

        Raises:
            Empty: no job became available within the timeout.
            SerializerError: the serializer cannot decode the job.
        """
        claim: AsyncClaim[T] = await self._take(Deadline(timeout))
        return claim

    async def get_nowait(self) -> AsyncClaim[T]:
        """Claim the next job if one is available. Raises as `get` does."""
        claim: AsyncClaim[T] = await self._take(None)
        return claim

    async def get_result(self, id: str, timeout: float | None = None) -> JobResult[T]:
        """Return the result of a job, waiting until it is there, as `AsyncJob.get_result`."""
        return await self.of(id).get_result(id, timeout)

    async def get_counts(self) -> JobCounts:
        """Return how many jobs wait, are claimed or stalled, and have been finished, in all."""
        each = await self._of_each(lambda job: job.get_counts())
        return JobCounts(
            sum(counts.waiting for counts in each),
            sum(counts.claimed for counts in each),
            sum(counts.stalled for counts in each),
            sum(counts.finished for counts in each),
            sum(counts.scheduled for counts in each),
        )

    async def retry_all(self) -> int:
        """Make all stalled jobs available again; return how many."""
        return sum(await self._of_each(lambda job: job.retry_all()))

    async def retract_all(self, state: JobState | str) -> int:
        """Remove all jobs in a state; return how many, as `AsyncJob.retract_all`."""
        which = check_state(state)
        return sum(await self._of_each(lambda job: job.retract_all(which)))

    async def maintenance(self) -> MaintenanceReport:
        """Repair what dead workers and peers left behind, as `AsyncJob.maintenance`."""
        return MaintenanceReport.of_all(await self._of_each(lambda job: job.maintenance()))
