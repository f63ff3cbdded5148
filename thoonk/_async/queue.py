"""The queue: each item is taken by one."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from thoonk._async.collection import AsyncCollection
from thoonk.config import QUEUE
from thoonk.exceptions import Empty
from thoonk.flows import Deadline, check_priority
from thoonk.names import new_id
from thoonk.operations import Entry, Priority, QueuePut, QueueTake, Taken

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
        operation = QueueTake(self.name)
        taken: Taken = await self._execute(operation)
        while not taken.entries:
            taken = await self._backend.wait(operation, deadline.next_wait(taken))
        return self._codec.decode(taken.entries[0].item)

    async def get_nowait(self) -> T:
        """Take the next item if there is one; raises as `get`."""
        taken: Taken = await self._execute(QueueTake(self.name))
        if not taken.entries:
            raise Empty(f"queue {self.name!r} is empty")
        return self._codec.decode(taken.entries[0].item)
