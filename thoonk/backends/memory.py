"""Feeds in this process's memory: the Redis scripts on fakeredis.

The semantics are those of the Redis backend because the scripts are the same. What
differs is the waiting: a blocked taker waits for a wake-up of this module, not
inside the fake server.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import lupa  # noqa: F401 - fakeredis loads it late; without it no script runs
from fakeredis import (
    FakeAsyncRedis,
    FakeAsyncRedisConnection,
    FakeRedis,
    FakeRedisConnection,
    FakeServer,
)
from redis.exceptions import ResponseError

from thoonk.backends.redis import AsyncRedisBackend, RedisBackend, errors
from thoonk.backends.redis._async.sessions import AsyncSessionPool
from thoonk.backends.redis._sync.sessions import SessionPool
from thoonk.backends.redis.commands import Command
from thoonk.backends.redis.scripts import load_for_fake
from thoonk.concurrency._async import wait_event
from thoonk.concurrency._sync import caller
from thoonk.exceptions import InvalidValue, ThoonkError
from thoonk.operations import (
    Batch,
    FeedOperation,
    JobNext,
    JobPut,
    Operation,
    QueuePut,
    TakeOperation,
)

__all__ = ["AsyncMemoryBackend", "MemoryBackend", "World", "opener"]

R = TypeVar("R")

# A pool that is exhausted would raise, and there are no sockets to be spared.
_SETTINGS: dict[str, Any] = {"protocol": 2, "socket_timeout": None, "max_connections": 2**31}


ENDS_WITHIN = 5.0
"""Seconds that closing waits for those who wait, at most."""

MOST_UNREAD = 32 * 2**20
"""Bytes of notices that wait for one subscriber, as on a server by default."""

OVERHEAD = 100
"""Bytes that a notice takes besides its texts, about."""


def _bound(socket: Any) -> Any:
    """Let a fake connection hang up on a subscriber who does not read, as a server does."""
    put = socket.put_response
    new = 0  # bytes since all that waits was last counted

    def put_within_bounds(message: Any) -> None:
        nonlocal new
        if isinstance(message, list) and message[:1] in ([b"message"], [b"pmessage"]):
            new += _size(message)
            if new > MOST_UNREAD:
                unread = socket.responses
                waiting: Any = unread.queue if hasattr(unread, "queue") else unread._queue  # noqa: SLF001
                new = sum(map(_size, tuple(waiting)))
                if new > MOST_UNREAD:
                    waiting.clear()
                    socket.put_response = lambda _: None
                    message = ResponseError("too many notices were not read")
        put(message)

    socket.put_response = put_within_bounds
    return socket


def _size(message: Any) -> int:
    parts = message if isinstance(message, list) else ()
    return OVERHEAD + sum(len(part) for part in parts if isinstance(part, bytes))


class _Connection(FakeRedisConnection):  # type: ignore[misc,unused-ignore]
    def _connect(self) -> Any:
        return _bound(super()._connect())


class _AsyncConnection(FakeAsyncRedisConnection):  # type: ignore[misc,unused-ignore]
    async def _connect(self) -> None:
        await super()._connect()
        _bound(self._sock)


class World:
    """One memory, shared by the backends that are given it."""

    _named: ClassVar[dict[str, World]] = {}
    _naming: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self.server = FakeServer(version=(7,))
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Callable[[], None]]] = {}

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

    def enter(self, feed: str, wake: Callable[[], None]) -> None:
        """Queue up for the next item of ``feed``: ``wake`` is called, from any thread."""
        with self._lock:
            self._waiting.setdefault(feed, deque()).append(wake)

    def leave(self, feed: str, wake: Callable[[], None]) -> bool:
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
        """Wake up to ``count`` of those who wait for ``feed``, the longest waiting first."""
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
        if isinstance(operation, QueuePut | JobPut):
            self.call(operation.feed, len(operation.entries))
        elif isinstance(operation, JobNext):
            self.call(operation.feed, len(operation.cancelled))
        elif not isinstance(operation, TakeOperation):
            # How many came back is not worth knowing: whoever finds nothing waits again.
            self.call(operation.feed, 1_000_000)


class MemoryBackend(RedisBackend):
    """Feeds in memory, for synchronous clients."""

    _load = staticmethod(load_for_fake)

    def __init__(self, world: World | None = None) -> None:
        """Use ``world``, or a new one of its own."""
        self.world = world or World()
        client = FakeRedis(server=self.world.server, **_SETTINGS)
        client.connection_pool.connection_class = _Connection
        super().__init__(client=client)
        self._sessions = SessionPool(self._pool, keep=True)
        self._wakes: dict[str, threading.Event] = {}
        self._callers: dict[str, object] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {id(self.world):#x}>"

    def execute(self, operation: Operation[R]) -> R:
        """Do one operation, then wake who waits for what it left."""
        result = super().execute(operation)
        self.world.call_for(operation)
        return result

    def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Wait for a wake-up, then take."""
        self._check_open()
        event = threading.Event()
        wake = event.set
        self._wakes[operation.token] = event
        self._callers[operation.token] = caller()
        called = False
        self.world.enter(operation.feed, wake)
        try:
            try:
                # Closing either sees the waiter or is seen here.
                self._check_open()
                # An item may have come between the caller's look and the queueing up.
                taken = self.execute(operation)
                if not taken.entries:
                    event.wait(timeout)
            finally:
                called = self.world.leave(operation.feed, wake)
            if not taken.entries:
                self._check_open()
                taken = self.execute(operation)
                called = False
        finally:
            del self._wakes[operation.token]
            del self._callers[operation.token]
            if called:
                self.world.call(operation.feed, 1)
        return taken

    def _cut_off(self, error: BaseException, _: Command[Any]) -> ThoonkError:
        return errors.not_sent(error)  # a fake server that is not connected does nothing

    def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        event = self._wakes.get(operation.token)
        if event is not None:
            event.set()

    def close(self) -> None:
        """Wake whoever is blocked, end subscriptions. The world stays."""
        super().close()
        for event in list(self._wakes.values()):
            event.set()
        # One that looks just now is waited for: afterwards nothing is taken.
        deadline = time.monotonic() + ENDS_WITHIN
        while self._waits_besides(caller()) and time.monotonic() < deadline:
            time.sleep(0.001)

    def _waits_besides(self, own: object) -> bool:
        return any(waiting != own for waiting in list(self._callers.values()))


class AsyncMemoryBackend(AsyncRedisBackend):
    """Feeds in memory, for asyncio clients."""

    _load = staticmethod(load_for_fake)

    def __init__(self, world: World | None = None) -> None:
        """Use ``world``, or a new one of its own."""
        self.world = world or World()
        client = FakeAsyncRedis(server=self.world.server, **_SETTINGS)
        client.connection_pool.connection_class = _AsyncConnection
        super().__init__(client=client)
        self._sessions = AsyncSessionPool(self._pool, keep=True)
        self._wakes: dict[str, asyncio.Event] = {}
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
        event = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(event.set)

        self._wakes[operation.token] = event
        self._callers[operation.token] = caller()
        called = False
        self.world.enter(operation.feed, wake)
        try:
            try:
                self._check_open()
                taken = await self.execute(operation)
                if not taken.entries:
                    await wait_event(event, timeout)
            finally:
                called = self.world.leave(operation.feed, wake)
            if not taken.entries:
                self._check_open()
                taken = await self.execute(operation)
                called = False
        finally:
            del self._wakes[operation.token]
            del self._callers[operation.token]
            if called:
                self.world.call(operation.feed, 1)
        return taken

    def _cut_off(self, error: BaseException, _: Command[Any]) -> ThoonkError:
        return errors.not_sent(error)

    async def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        event = self._wakes.get(operation.token)
        if event is not None:
            event.set()

    async def close(self) -> None:
        """Wake whoever is blocked, end subscriptions. The world stays."""
        await super().close()
        for event in list(self._wakes.values()):
            event.set()
        # One that looks just now is waited for: afterwards nothing is taken.
        deadline = time.monotonic() + ENDS_WITHIN
        while self._callers and time.monotonic() < deadline:  # noqa: ASYNC110 - for a moment
            await asyncio.sleep(0.001)


class _Opener:
    """Opens ``memory`` (a world of its own) and ``memory://NAME`` (the world of that name)."""

    def open(self, url: str, **options: Any) -> MemoryBackend:
        return MemoryBackend(_world_of(url, options))

    def open_async(self, url: str, **options: Any) -> AsyncMemoryBackend:
        return AsyncMemoryBackend(_world_of(url, options))


def _world_of(url: str, options: dict[str, Any]) -> World | None:
    if options:
        raise InvalidValue(f"the memory backend has no options, so not {', '.join(options)}")
    name = url.partition("://")[2]
    return World.named(name) if name else None


opener = _Opener()
