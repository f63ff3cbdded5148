"""A backend that notes what is asked of it."""

from __future__ import annotations

from typing import Any, TypeVar

from thoonk.backends import AsyncBackend, AsyncInterruptible, AsyncSubscription
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")


class AsyncObserved:
    """Passes everything on to another backend.

    Attributes:
        sent: the operations, in order, also those that were waited for.
        closed: how often it was closed.
    """

    def __init__(self, backend: AsyncBackend) -> None:
        self._backend = backend
        self.sent: list[Operation[Any]] = []
        self.closed = 0
        self._inside: list[TakeOperation] = []

    @property
    def waiting(self) -> int:
        """How many takers are inside `wait` now."""
        return len(self._inside)

    async def execute(self, operation: Operation[R]) -> R:
        """As `AsyncBackend.execute`."""
        self.sent.append(operation)
        return await self._backend.execute(operation)

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """As `AsyncBackend.wait`."""
        self.sent.append(operation)
        self._inside.append(operation)
        try:
            return await self._backend.wait(operation, timeout)
        finally:
            self._inside.pop()

    async def interrupt(self, operation: TakeOperation) -> None:
        """As `AsyncInterruptible.wake`, where the backend offers that."""
        if isinstance(self._backend, AsyncInterruptible):
            await self._backend.interrupt(operation)

    async def listen(self, feed: str | None = None) -> AsyncSubscription:
        """As `AsyncBackend.listen`."""
        return await self._backend.listen(feed)

    async def close(self) -> None:
        """As `AsyncBackend.close`."""
        self.closed += 1
        await self._backend.close()
