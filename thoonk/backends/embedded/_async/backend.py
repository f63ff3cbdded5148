"""The embedded engine as a backend."""

from __future__ import annotations

import contextlib
import time
from typing import TypeVar
from weakref import WeakSet

from thoonk.backends.embedded._async.subscription import AsyncEmbeddedSubscription
from thoonk.backends.embedded.core import Core
from thoonk.backends.embedded.store import Store
from thoonk.concurrency._async import (
    Event,
    HomeLoop,
    caller,
    in_thread,
    setter_of,
    shielded,
    sleep,
    wait_event,
)
from thoonk.exceptions import Closed, ThoonkError
from thoonk.operations import Batch, Operation, Release, TakeOperation

R = TypeVar("R")

ENDS_WITHIN = 5.0
"""Seconds for which closing waits for blocked callers, at most."""


class AsyncEmbeddedBackend:
    """Feeds in this process or in a file. Backends that are given the same store share its feeds.

    The last one to be closed closes the store.
    """

    def __init__(self, store: Store | Core) -> None:
        """``store``: where feeds are kept, or the engine on it."""
        self.core = store if isinstance(store, Core) else Core.of(store)
        self.core.open()
        self._home = HomeLoop()
        self._subscriptions: WeakSet[AsyncEmbeddedSubscription] = WeakSet()
        self._wakes: dict[str, Event] = {}
        self._callers: dict[str, object] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.core}>"

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the backend has been closed")

    async def execute(self, operation: Operation[R]) -> R:
        """Do one operation."""
        self._check_open()
        self._home.check()
        try:
            if self.core.store.is_quick:
                return self.core.execute(operation)
            return await shielded(in_thread, self.core.execute, operation)
        except ThoonkError:
            raise
        except BaseException:
            if isinstance(operation, TakeOperation):
                release = Release(operation.feed, operation.token)
                with contextlib.suppress(ThoonkError):
                    await shielded(in_thread, self.core.execute, release)
            raise

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Take, waiting until there is something."""
        self._check_open()
        event = Event()
        wake = setter_of(event)
        self._wakes[operation.token] = event
        self._callers[operation.token] = caller()
        called = False
        waiters = self.core.waiters
        self.core.watch()
        waiters.enter(operation.feed, wake)
        try:
            try:
                # Closing either sees the waiter or is seen here.
                self._check_open()
                # An item may have come between the caller's look and the queueing up.
                batch = await self.execute(operation)
                if not batch.entries:
                    if batch.retry_after is not None:
                        timeout = min(timeout, batch.retry_after)
                    await wait_event(event, timeout)
            finally:
                called = waiters.leave(operation.feed, wake)
            if not batch.entries:
                batch = await self.execute(operation)
                called = False
        finally:
            del self._wakes[operation.token]
            del self._callers[operation.token]
            if called:
                waiters.call(operation.feed, 1)
        return batch

    async def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        event = self._wakes.get(operation.token)
        if event is not None:
            event.set()

    async def listen(self, feed: str | None = None) -> AsyncEmbeddedSubscription:
        """Subscribe."""
        self._check_open()
        subscription = AsyncEmbeddedSubscription(self.core, feed)
        self._subscriptions.add(subscription)
        if self._closed:
            # Closing may not have seen it.
            await subscription.close()
            self._check_open()
        return subscription

    async def close(self) -> None:
        """End subscriptions, and wake blocked callers."""
        if self._closed:
            return
        self._home.check()
        self._closed = True
        for subscription in list(self._subscriptions):
            await subscription.close()
        for event in list(self._wakes.values()):
            event.set()
        # One that looks just now is waited for: afterwards nothing is taken.
        deadline = time.monotonic() + ENDS_WITHIN
        while self._waits_besides(caller()) and time.monotonic() < deadline:
            await sleep(0.001)
        self.core.close()

    def _waits_besides(self, own: object) -> bool:
        return any(waiting != own for waiting in list(self._callers.values()))
