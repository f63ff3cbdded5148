"""A backend that records its calls."""

from __future__ import annotations

from typing import Any, TypeVar

from thoonk.backends import AsyncBackend, AsyncForwardingBackend
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")


class AsyncObserved(AsyncForwardingBackend):
    """Passes all calls on, and records them.

    Attributes:
        sent: the operations, in order, also those that were waited for.
        closed: how often it was closed.
    """

    def __init__(self, backend: AsyncBackend) -> None:
        super().__init__(backend)
        self.sent: list[Operation[Any]] = []
        self.closed = 0
        self._inside: list[TakeOperation] = []

    @property
    def waiting(self) -> int:
        """How many consumers are inside `wait` now."""
        return len(self._inside)

    @property
    def awaited(self) -> set[str]:
        """The feeds for which consumers are inside `wait` now."""
        return {operation.feed for operation in self._inside}

    async def execute(self, operation: Operation[R]) -> R:
        self.sent.append(operation)
        return await super().execute(operation)

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        self.sent.append(operation)
        self._inside.append(operation)
        try:
            return await super().wait(operation, timeout)
        finally:
            self._inside.remove(operation)

    async def close(self) -> None:
        self.closed += 1
        await super().close()
