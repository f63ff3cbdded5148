"""Consumers of this process that wait for something, by feed, the longest waiting first."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from thoonk.backends.at_fork import prepare_at_fork
from thoonk.operations import (
    FeedOperation,
    JobAdd,
    JobNext,
    JobPut,
    Operation,
    QueueAdd,
    QueuePut,
    TakeOperation,
)

ALL = 1_000_000
"""As many as there are: how many items came back is not worth knowing."""

# Not as a union, which would be made in each call.
_PUTS = (QueuePut, QueueAdd, JobPut, JobAdd)


class Waiters:
    """Blocked consumers, and what wakes each. Any thread may call."""

    def __init__(self) -> None:
        self._forget()
        prepare_at_fork(self)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Callable[[], object]]] = {}

    def before_fork(self) -> None:
        """Nothing has to be done before."""

    def after_fork(self, *, in_child: bool) -> None:
        """Forget them in a child: they are threads of its parent, one of which may be in here."""
        if in_child:
            self._forget()

    def enter(self, feed: str, wake: Callable[[], object]) -> None:
        """Queue up for the next item of ``feed``: ``wake`` is called, from any thread."""
        with self._lock:
            self._waiting.setdefault(feed, deque()).append(wake)

    def leave(self, feed: str, wake: Callable[[], object]) -> bool:
        """Leave the queue. Returns whether ``wake`` was called.

        A consumer that was called and does not look passes the call on.
        """
        with self._lock:
            waiting = self._waiting.get(feed)
            if waiting is None or wake not in waiting:
                return True
            waiting.remove(wake)
            if not waiting:
                del self._waiting[feed]
            return False

    def feeds(self) -> list[str]:
        """The feeds that consumers wait for."""
        with self._lock:
            return [*self._waiting]

    def call(self, feed: str, count: int) -> None:
        """Wake up to ``count`` consumers that wait for ``feed``, the longest waiting first."""
        if feed not in self._waiting:
            return
        with self._lock:
            waiting = self._waiting.get(feed, deque())
            called = [waiting.popleft() for _ in range(min(count, len(waiting)))]
            if not waiting:
                self._waiting.pop(feed, None)
        for wake in called:
            wake()

    def call_for(self, operation: Operation[Any]) -> None:
        """Wake as many consumers as the operation may have left items for."""
        if not self._waiting or not operation.wakes_waiters:
            return
        if not isinstance(operation, FeedOperation):
            return
        if isinstance(operation, _PUTS):
            self.call(operation.feed, len(operation.entries))
        elif isinstance(operation, JobNext):
            self.call(operation.feed, len(operation.cancelled))
        elif not isinstance(operation, TakeOperation):
            self.call(operation.feed, ALL)
