"""A backend that notes what is asked of it, to see that nothing was."""

from __future__ import annotations

from typing import Any

from thoonk.backends import AsyncBackend, AsyncSubscription
from thoonk.operations import Operation, Taken, TakeOperation


class AsyncRecording:
    """Passes everything on to another backend; ``sent`` has the operations."""

    def __init__(self, backend: AsyncBackend) -> None:
        self._backend = backend
        self.sent: list[Operation[Any]] = []
        self.closed = 0

    async def execute(self, operation: Operation[Any]) -> Any:
        self.sent.append(operation)
        return await self._backend.execute(operation)

    async def wait(self, operation: TakeOperation, timeout: float) -> Taken:
        self.sent.append(operation)
        return await self._backend.wait(operation, timeout)

    async def wake(self, operation: TakeOperation) -> None:
        await self._backend.wake(operation)

    async def listen(self, feed: str | None = None) -> AsyncSubscription:
        return await self._backend.listen(feed)

    async def close(self) -> None:
        self.closed += 1
