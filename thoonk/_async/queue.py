"""The queue: each item is taken by one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import ClassVar, TypeVar

from thoonk._async.collection import AsyncCollection
from thoonk._async.taking import take
from thoonk.arguments import check_priority
from thoonk.backends import AsyncBackend
from thoonk.concurrency._async import shielded
from thoonk.config import QUEUE
from thoonk.exceptions import Empty, NotClaimed, OutcomeUnknown, SerializerError, ThoonkError
from thoonk.names import new_id, new_token
from thoonk.operations import (
    Batch,
    Delivery,
    Entry,
    Priority,
    QueueConfirm,
    QueuePut,
    QueueReturn,
    QueueTake,
    Release,
    check_count,
)
from thoonk.serializers import Serializer
from thoonk.waiting import Deadline, Throttle

T = TypeVar("T")

logger = logging.getLogger("thoonk.queue")


class AsyncQueue(AsyncCollection[T]):
    """First in, first out, high priority before normal. `get_ids` has the next one first."""

    type: ClassVar[str] = QUEUE
    kind: ClassVar[str] = QUEUE

    NORMAL: ClassVar[Priority] = Priority.NORMAL
    HIGH: ClassVar[Priority] = Priority.HIGH

    def __init__(self, name: str, backend: AsyncBackend, serializer: Serializer[T]) -> None:
        super().__init__(name, backend, serializer)
        self._recovery = Throttle()

    async def put(self, item: T, priority: Priority | None = None) -> str:
        """Add an item; return its id. (Contract: queue put)

        Args:
            item: what the feed's serializer takes.
            priority: ``queue.HIGH`` is taken before all that waits; None: ``NORMAL``.
        """
        entry = Entry(new_id(), self._codec.encode(item))
        await self._execute(QueuePut(self.name, (entry,), check_priority(priority)))
        return entry.id

    async def put_many(self, items: Iterable[T], priority: Priority | None = None) -> list[str]:
        """Add items, one after another as by `put`; return their ids.

        Up to 1000 are one atomic step; of more, the steps before one that fails are done
        (``done`` of the error).

        Raises:
            InvalidType, SerializerError: nothing was sent.
            FeedDoesNotExist: it was deleted.
        """
        which = check_priority(priority)
        entries = self._codec.entries(items)
        return await self._put_many(entries, lambda chunk: QueuePut(self.name, chunk, which))

    async def get(self, timeout: float | None = None) -> T:
        """Take the next item, waiting until there is one. (Contract: queue get)

        Cancelled or interrupted while it waits, it loses nothing.

        Args:
            timeout: seconds to wait; None and 0: for ever.

        Raises:
            Empty: nothing came in time.
            SerializerError: the bytes taken are not what the serializer writes; they
                are the error's ``data``.
        """
        return (await self.get_many(1, timeout))[0]

    async def get_nowait(self) -> T:
        """Take the next item if there is one; raises as `get`."""
        while True:
            operation = self._taking(1)
            batch: Batch = await self._execute(operation)
            if not batch.entries:
                raise Empty(f"queue {self.name!r} is empty")
            items = await self._received(operation, batch)
            if items:
                return items[0]

    async def get_many(self, n: int, timeout: float | None = None) -> list[T]:
        """Take what is there, ``n`` items at most, waiting until there is one.

        Args:
            n: 1 to 1000.
            timeout: seconds to wait for the first; None and 0: for ever.

        Raises:
            Empty: nothing came in time.
            SerializerError: the first one's bytes are not what the serializer writes.
                They are the error's ``data``, and nothing else was taken. Before a later
                one of that kind the list ends.
        """
        deadline = Deadline(timeout)
        check_count("n", n)
        while True:
            operation = self._taking(n)
            items = await self._received(operation, await take(self._backend, operation, deadline))
            if items:
                return items

    def _taking(self, count: int) -> QueueTake:
        recover_expired = self._recovery.is_due()
        return QueueTake(self.name, new_token(), count, recover_expired=recover_expired)

    async def _received(self, operation: QueueTake, batch: Batch) -> list[T]:
        """The items that were taken, confirmed; none when that was too late."""
        items: list[T] = []
        failure: SerializerError | None = None
        for entry in batch.entries:
            try:
                items.append(self._codec.decode(entry.item))
            except SerializerError as error:
                failure = error
                break
        kept = batch.entries[: len(items) or 1]
        if not await self._confirm(operation, kept, items):
            return []
        if len(kept) < len(batch.entries):
            try:
                await self._execute(Release(self.name, operation.token))
            except ThoonkError as error:
                # What has arrived matters more; the rest comes back by itself.
                extra = {"event": "items_not_returned", "feed": self.name}
                logger.warning(
                    "Items of %r not returned, they are back in ten seconds: %s",
                    self.name,
                    error,
                    extra=extra,
                )
        if failure is not None and not items:
            raise failure
        return items

    async def _confirm(
        self, operation: QueueTake, taken: Sequence[Delivery], items: list[T]
    ) -> bool:
        """Say that the items have arrived; False when that was too late."""
        entries = tuple(Entry(entry.id, entry.item) for entry in taken)
        ids = tuple(entry.id for entry in entries)
        answers: list[bool] = []

        async def confirm() -> None:
            try:
                await self._execute(QueueConfirm(self.name, ids, operation.token))
            except NotClaimed:
                answers.append(False)
            else:
                answers.append(True)

        try:
            # To the end: what becomes of the items has to be known.
            await shielded(confirm)
        except OutcomeUnknown as error:
            error.items = tuple(items)
            raise
        except ThoonkError:
            raise
        except BaseException:
            # Cancelled or interrupted: they go back, unless they have already.
            if answers != [False]:
                back = QueueReturn(self.name, entries, operation.token)
                await shielded(self._execute, back)
            raise
        return answers[0]
