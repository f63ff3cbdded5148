"""What backends in memory share: a fake server, and the callers that wait for something on it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from fakeredis import FakeServer

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


class World:
    """One memory, shared by the backends that are given it."""

    _named: ClassVar[dict[str, World]] = {}
    _naming: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self.server = FakeServer(version=(7,))
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Callable[[], object]]] = {}

    @classmethod
    def named(cls, name: str) -> World:
        """The world of that name. It lives as long as the process, or until `forget`."""
        with cls._naming:
            if name not in cls._named:
                cls._named[name] = cls()
            return cls._named[name]

    @classmethod
    def forget(cls, name: str) -> None:
        """Let go of the world of that name. Backends that have it keep it while they live."""
        with cls._naming:
            cls._named.pop(name, None)

    def enter(self, feed: str, wake: Callable[[], object]) -> None:
        """Queue up for the next item of ``feed``: ``wake`` is called, from any thread."""
        with self._lock:
            self._waiting.setdefault(feed, deque()).append(wake)

    def leave(self, feed: str, wake: Callable[[], object]) -> bool:
        """Leave the queue. Whether ``wake`` was called: who does not look then passes it on."""
        with self._lock:
            waiting = self._waiting.get(feed)
            if waiting is None or wake not in waiting:
                return True
            waiting.remove(wake)
            if not waiting:
                del self._waiting[feed]
            return False

    def call(self, feed: str, count: int) -> None:
        """Wake up to ``count`` callers that wait for ``feed``, the longest waiting first."""
        with self._lock:
            waiting = self._waiting.get(feed, deque())
            called = [waiting.popleft() for _ in range(min(count, len(waiting)))]
            if not waiting:
                self._waiting.pop(feed, None)
        for wake in called:
            wake()

    def call_for(self, operation: Operation[Any]) -> None:
        """Wake as many takers as the operation may have left items for."""
        if not operation.wakes_waiters or not isinstance(operation, FeedOperation):
            return
        if isinstance(operation, QueuePut | QueueAdd | JobPut | JobAdd):
            self.call(operation.feed, len(operation.entries))
        elif isinstance(operation, JobNext):
            self.call(operation.feed, len(operation.cancelled))
        elif not isinstance(operation, TakeOperation):
            # How many came back is not worth knowing: whoever finds nothing waits again.
            self.call(operation.feed, 1_000_000)
