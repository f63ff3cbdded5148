"""The embedded engine as a backend."""

from __future__ import annotations

import contextlib
import os
from typing import TypeVar
from weakref import WeakSet

from thoonk.backends._async.taking import AsyncBlockedTakes
from thoonk.backends.embedded._async.subscription import AsyncEmbeddedSubscription
from thoonk.backends.embedded.core import Core
from thoonk.backends.embedded.store import Store
from thoonk.concurrency._async import HomeLoop, in_thread
from thoonk.exceptions import Closed, ThoonkError
from thoonk.operations import Batch, Operation, Release, TakeOperation

R = TypeVar("R")


class AsyncEmbeddedBackend:
    """Feeds in this process or in a file. Backends that are given the same store share its feeds.

    The last one to be closed closes the store.
    """

    def __init__(self, store: Store | Core) -> None:
        """``store``: where feeds are kept, or the engine on it."""
        self.core = store if isinstance(store, Core) else Core.of(store)
        self.core.open()
        self._home = HomeLoop()
        self._pid = os.getpid()
        self._subscriptions: WeakSet[AsyncEmbeddedSubscription] = WeakSet()
        self._takes = AsyncBlockedTakes(self.core.waiters, self.execute)
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
            return await in_thread(self.core.execute, operation)
        except ThoonkError:
            raise
        except BaseException:
            if isinstance(operation, TakeOperation):
                release = Release(operation.feed, operation.token)
                with contextlib.suppress(ThoonkError):
                    await in_thread(self.core.execute, release)
            raise

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Take, waiting until there is something."""
        self._check_open()
        if not self.core.is_watched:
            await in_thread(self.core.watch)
        return await self._takes.wait(operation, timeout)

    async def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        self._takes.interrupt(operation)

    async def listen(self, feed: str | None = None) -> AsyncEmbeddedSubscription:
        """Subscribe."""
        self._check_open()
        self._home.check()
        subscription = AsyncEmbeddedSubscription(self.core, feed)
        self._subscriptions.add(subscription)
        await subscription.open()
        if self._closed:
            # Closing may not have seen it.
            await subscription.close()
            self._check_open()
        return subscription

    async def close(self) -> None:
        """End subscriptions, and wake blocked callers."""
        if self._closed:
            return
        is_child = self._pid != os.getpid()
        if not is_child:
            self._home.check()
        self._closed = True
        for subscription in list(self._subscriptions):
            await subscription.close()
        await self._takes.end()
        if is_child:
            # Whose event loop does not run, and has no threads.
            self.core.close()
        else:
            await in_thread(self.core.close)
