"""Clients of a fake server, whose subscribers may leave so much unread as on a real one."""

from __future__ import annotations

from typing import Any

import lupa  # noqa: F401 - fakeredis loads it late; without it no script runs
from fakeredis import (
    FakeAsyncRedis,
    FakeAsyncRedisConnection,
    FakeRedis,
    FakeRedisConnection,
    FakeServer,
)
from redis.exceptions import ResponseError

# A pool that is exhausted would raise, and there are no sockets to be spared.
_SETTINGS: dict[str, Any] = {"protocol": 2, "socket_timeout": None, "max_connections": 2**31}

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


class Client(FakeRedis):  # type: ignore[misc,unused-ignore]
    """A client for threads."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server=server, **_SETTINGS)
        self.connection_pool.connection_class = _Connection


class AsyncClient(FakeAsyncRedis):  # type: ignore[misc,unused-ignore]
    """A client for asyncio."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server=server, **_SETTINGS)
        self.connection_pool.connection_class = _AsyncConnection
