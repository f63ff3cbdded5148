"""The queue: each item is taken by one."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from thoonk._async.collection import AsyncCollection
from thoonk._async.taking import take
from thoonk.concurrency._async import to_the_end
from thoonk.config import QUEUE
from thoonk.exceptions import Empty, NotClaimed, OutcomeUnknown, ThoonkError
from thoonk.flows import Deadline, check_priority
from thoonk.names import new_id, new_token
from thoonk.operations import Entry, Priority, QueueConfirm, QueuePut, QueueReturn, QueueTake, Taken

T = TypeVar("T")


class AsyncQueue(AsyncCollection[T]):
    """First in, first out, high priority before normal. `get_ids` has the next one first."""

    type: ClassVar[str] = QUEUE
    kind: ClassVar[str] = QUEUE

    NORMAL: ClassVar[Priority] = Priority.NORMAL
    HIGH: ClassVar[Priority] = Priority.HIGH

    async def put(self, item: T, priority: Priority | None = None) -> str:
        """Add an item; return its id. (Contract: queue put)

        Args:
            item: what the feed's serializer takes.
            priority: ``queue.HIGH`` is taken before all that waits; None: ``NORMAL``.
        """
        entry = Entry(new_id(), self._codec.encode(item))
        await self._execute(QueuePut(self.name, (entry,), check_priority(priority)))
        return entry.id

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
        deadline = Deadline(timeout)
        while True:
            operation = QueueTake(self.name, new_token())
            taken = await take(self._backend, operation, deadline)
            if await self._confirm(operation, taken):
                return self._codec.decode(taken.entries[0].item)

    async def get_nowait(self) -> T:
        """Take the next item if there is one; raises as `get`."""
        while True:
            operation = QueueTake(self.name, new_token())
            taken: Taken = await self._execute(operation)
            if not taken.entries:
                raise Empty(f"queue {self.name!r} is empty")
            if await self._confirm(operation, taken):
                return self._codec.decode(taken.entries[0].item)

    async def _confirm(self, operation: QueueTake, taken: Taken) -> bool:
        """Say that the items have arrived; False when that was too late."""
        entries = tuple(Entry(entry.id, entry.item) for entry in taken.entries)
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
            await to_the_end(confirm)
        except OutcomeUnknown as error:
            error.item = self._codec.decode(entries[0].item)
            raise
        except ThoonkError:
            raise
        except BaseException:
            # Cancelled or interrupted: they go back, unless they have already.
            if answers != [False]:
                back = QueueReturn(self.name, entries, operation.token)
                await to_the_end(self._execute, back)
            raise
        return answers[0]
