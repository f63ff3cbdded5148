"""Clients of a fake server."""

from __future__ import annotations

from typing import Any

import lupa  # noqa: F401 - fakeredis loads it late; without it no script runs
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer

# A pool that is exhausted would raise, and there are no sockets to be spared.
_SETTINGS: dict[str, Any] = {"protocol": 2, "socket_timeout": None, "max_connections": 2**31}


class Client(FakeRedis):  # type: ignore[misc,unused-ignore]
    """A client for threads."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server=server, **_SETTINGS)


class AsyncClient(FakeAsyncRedis):  # type: ignore[misc,unused-ignore]
    """A client for asyncio."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server=server, **_SETTINGS)
