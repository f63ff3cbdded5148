"""Feeds on Redis or Valkey, the primary backend."""

from __future__ import annotations

from typing import Any

from thoonk.backends.redis._async.backend import AsyncRedisBackend
from thoonk.backends.redis._sync.backend import RedisBackend
from thoonk.exceptions import InvalidType

__all__ = ["AsyncRedisBackend", "RedisBackend", "opener"]


class _Opener:
    """Opens ``redis``, ``redis://…``, ``rediss://…``, ``unix://…`` and redis-py clients."""

    def open(self, target: Any, **options: Any) -> RedisBackend:
        if isinstance(target, str):
            return RedisBackend(target if "://" in target else None, **options)
        _check_client(target, asynchronous=False)
        return RedisBackend(client=target, **options)

    def open_async(self, target: Any, **options: Any) -> AsyncRedisBackend:
        if isinstance(target, str):
            return AsyncRedisBackend(target if "://" in target else None, **options)
        _check_client(target, asynchronous=True)
        return AsyncRedisBackend(client=target, **options)


def _check_client(client: object, *, asynchronous: bool) -> None:
    is_async = "asyncio" in type(client.connection_pool).__module__  # type: ignore[attr-defined]
    if is_async != asynchronous:
        wanted = "redis.asyncio.Redis" if asynchronous else "redis.Redis"
        raise InvalidType(f"this client needs a {wanted}, not {type(client).__name__} as it is")


opener = _Opener()
