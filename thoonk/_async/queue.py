"""The queue: each item goes to one consumer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, TypeVar, overload

from thoonk._async.takeable import AsyncTakeable
from thoonk._async.taking import give_back, take
from thoonk.arguments import check_if_exists, check_priority, check_unique_for
from thoonk.codec import PutResult
from thoonk.concurrency._async import shielded, uninterrupted
from thoonk.config import QUEUE
from thoonk.exceptions import Empty, NotClaimed, OutcomeUnknown, SerializerError, ThoonkError
from thoonk.names import check_id, new_id, new_token
from thoonk.operations import (
    Batch,
    Delivery,
    Entry,
    Priority,
    QueueAdd,
    QueueClear,
    QueueConfirm,
    QueuePut,
    QueueReturn,
    QueueTake,
    check_count,
)
from thoonk.waiting import Deadline

T = TypeVar("T")


class AsyncQueue(AsyncTakeable[T]):
    """First in, first out, high priority before normal. `get_ids` lists the next item first."""

    type: ClassVar[str] = QUEUE
    kind: ClassVar[str] = QUEUE

    @overload
    async def put(
        self,
        item: T,
        priority: Priority | None = None,
        *,
        id: None = None,
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
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> PutResult | str: ...

    async def put(
        self,
        item: T,
        priority: Priority | None = None,
        *,
        id: str | None = None,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> PutResult | str:
        """Add an item; return its id. (Contract: queue put, queue add)

        An id that you choose is taken while its item waits or is on its way to a consumer, and
        for ``unique_for`` seconds.

        Args:
            item: an item that the feed's serializer accepts.
            priority: ``queue.HIGH``: before all waiting items. None: ``NORMAL``.
            id: the item's id. None: a new random id.
            if_exists: what to do if the id is taken. ``"keep"``: nothing. ``"replace"``: put
                this item in the place of the waiting one. ``"refuse"``: raise `ItemExists`.
            unique_for: seconds for which the id stays taken, even after the item was delivered.
                None: only while the item exists.

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
        if id is None and unique_for is None and if_exists == "keep":
            # The usual case, which should not pay for the checks below.
            fresh = Entry(new_id(), self._codec.encode(item))
            await self._execute(QueuePut(self.name, (fresh,), which))
            return fresh.id
        choice = check_if_exists(if_exists)
        seconds = check_unique_for(unique_for, has_id=id is not None)
        if id is None:
            return await self.put(item, priority)
        entry = Entry(check_id(id), self._codec.encode(item))
        put: PutResult = await self._add_one(
            entry, QueueAdd(self.name, (entry,), which, choice, seconds)
        )
        return put

    @overload
    async def put_many(
        self,
        items: Mapping[str, T],
        priority: Priority | None = None,
        *,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> list[PutResult]: ...

    @overload
    async def put_many(self, items: Iterable[T], priority: Priority | None = None) -> list[str]: ...

    async def put_many(
        self,
        items: Iterable[T] | Mapping[str, T],
        priority: Priority | None = None,
        *,
        if_exists: str = "keep",
        unique_for: float | None = None,
    ) -> list[PutResult] | list[str]:
        """Add items in order, as `put` does; return their ids.

        Up to 1000 items are added in one atomic step, or up to 400 if you choose the ids. If a
        later step fails, the earlier steps stay done (see the error's ``done``).

        Args:
            items: items that the feed's serializer accepts, or a mapping of ids to items.
            priority, if_exists, unique_for: as for `put`.

        Raises:
            InvalidType, InvalidValue, SerializerError: nothing was sent.
            ItemExists: as for `put`. No item of the same step was added.
            FeedDoesNotExist: the feed was deleted.
        """
        which, choice = check_priority(priority), check_if_exists(if_exists)
        seconds = check_unique_for(unique_for, has_id=isinstance(items, Mapping))
        if isinstance(items, Mapping):
            return await self._add(
                self._codec.entries_by_id(items),
                lambda chunk: QueueAdd(self.name, chunk, which, choice, seconds),
            )
        entries = self._codec.entries(items)
        return await self._put_many(entries, lambda chunk: QueuePut(self.name, chunk, which))

    async def purge(self) -> int:
        """Remove all items; return how many. The configuration stays. (Contract: queue clear)

        This is done in short atomic steps. Items that are put during the purge may remain.
        """
        return await self._until_done(QueueClear(self.name))

    async def get(self, timeout: float | None = None) -> T:
        """Get the next item, waiting until there is one. (Contract: queue get)

        If the call is cancelled or interrupted while it waits, no item is lost.

        Args:
            timeout: seconds to wait. None or 0: forever.

        Raises:
            Empty: no item arrived within the timeout.
            SerializerError: the serializer cannot decode the item. Its bytes are the error's
                ``data``.
        """
        return (await self.get_many(1, timeout))[0]

    async def get_nowait(self) -> T:
        """Get the next item if there is one. Raises as `get` does."""
        while True:
            operation = self._taking(1)
            batch: Batch = await self._execute(operation)
            if not batch.entries:
                raise Empty(f"queue {self.name!r} is empty")
            items = await self._received(operation, batch)
            if items:
                return items[0]

    async def get_many(self, n: int, timeout: float | None = None) -> list[T]:
        """Get up to ``n`` available items, waiting until there is at least one.

        Args:
            n: 1 to 1000.
            timeout: seconds to wait for the first item. None or 0: forever.

        Raises:
            Empty: no item arrived within the timeout.
            SerializerError: the serializer cannot decode the first item. Its bytes are the
                error's ``data``, and no other item was removed from the queue. If it cannot
                decode a later item, the list ends before that item.
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
        """Confirm the items and return them; return none if the confirmation was too late."""
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
            # What has arrived matters more.
            await give_back(self._execute, self.name, operation.token)
        if failure is not None and not items:
            raise failure
        return items

    async def _confirm(
        self, operation: QueueTake, taken: Sequence[Delivery], items: list[T]
    ) -> bool:
        """Confirm that the items have arrived; return False if that was too late."""
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
                await uninterrupted(self._execute, back)
            raise
        return answers[0]
