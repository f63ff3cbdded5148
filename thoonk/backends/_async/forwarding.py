"""A backend around another one, for asyncio. The twin in ``_sync`` is generated."""

from __future__ import annotations

from typing import TypeVar

from thoonk.backends.protocol import AsyncBackend, AsyncInterruptible, AsyncSubscription
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")


class AsyncForwardingBackend:
    """Passes everything on to another backend. A subclass overrides what it does otherwise."""

    def __init__(self, backend: AsyncBackend) -> None:
        self._backend = backend

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._backend!r}>"

    async def execute(self, operation: Operation[R]) -> R:
        """As the backend's."""
        return await self._backend.execute(operation)

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """As the backend's."""
        return await self._backend.wait(operation, timeout)

    async def interrupt(self, operation: TakeOperation) -> None:
        """As the backend's, if it offers that; else nothing: a wait is not long."""
        if isinstance(self._backend, AsyncInterruptible):
            await self._backend.interrupt(operation)

    async def listen(self, feed: str | None = None) -> AsyncSubscription:
        """As the backend's."""
        return await self._backend.listen(feed)

    async def close(self) -> None:
        """Close the backend."""
        await self._backend.close()
