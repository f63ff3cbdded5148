"""The backend in memory: runs the scripts on a fake server, and waits by itself."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from thoonk.backends.memory.client import AsyncClient
from thoonk.backends.memory.world import World
from thoonk.backends.redis import AsyncRedisBackend, errors
from thoonk.backends.redis._async.sessions import AsyncSessionPool
from thoonk.backends.redis.commands import Command
from thoonk.backends.redis.scripts import load_for_fake
from thoonk.concurrency._async import Event, caller, setter_of, sleep, wait_event
from thoonk.exceptions import ThoonkError
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")

ENDS_WITHIN = 5.0
"""Seconds for which closing waits for blocked callers, at most."""


class AsyncMemoryBackend(AsyncRedisBackend):
    """Feeds in memory. Backends that are given one `World` share what is in it."""

    _load = staticmethod(load_for_fake)

    def __init__(self, world: World | None = None) -> None:
        """Use ``world``, or a new one of its own."""
        self.world = world or World()
        super().__init__(client=AsyncClient(self.world.server))
        self._sessions = AsyncSessionPool(self._pool, keep=True)
        self._wakes: dict[str, Event] = {}
        self._callers: dict[str, object] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {id(self.world):#x}>"

    async def execute(self, operation: Operation[R]) -> R:
        """Do one operation, then wake who waits for what it left."""
        result = await super().execute(operation)
        self.world.call_for(operation)
        return result

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Wait for a wake-up, then take."""
        self._check_open()
        event = Event()
        wake = setter_of(event)
        self._wakes[operation.token] = event
        self._callers[operation.token] = caller()
        called = False
        self.world.enter(operation.feed, wake)
        try:
            try:
                # Closing either sees the waiter or is seen here.
                self._check_open()
                # An item may have come between the caller's look and the queueing up.
                batch = await self.execute(operation)
                if not batch.entries:
                    if batch.retry_after is not None:
                        # So may have a job for later, of which the caller does not know.
                        timeout = min(timeout, batch.retry_after)
                    await wait_event(event, timeout)
            finally:
                called = self.world.leave(operation.feed, wake)
            if not batch.entries:
                self._check_open()
                batch = await self.execute(operation)
                called = False
        finally:
            del self._wakes[operation.token]
            del self._callers[operation.token]
            if called:
                self.world.call(operation.feed, 1)
        return batch

    def _cut_off(self, error: BaseException, _: Command[Any]) -> ThoonkError:
        return errors.not_sent(error)  # a fake server that is not connected does nothing

    async def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        event = self._wakes.get(operation.token)
        if event is not None:
            event.set()

    async def close(self) -> None:
        """Wake blocked callers, end subscriptions. The world stays."""
        await super().close()
        for event in list(self._wakes.values()):
            event.set()
        # One that looks just now is waited for: afterwards nothing is taken.
        deadline = time.monotonic() + ENDS_WITHIN
        while self._waits_besides(caller()) and time.monotonic() < deadline:
            await sleep(0.001)

    def _waits_besides(self, own: object) -> bool:
        return any(waiting != own for waiting in list(self._callers.values()))
