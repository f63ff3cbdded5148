"""Feeds on Redis or Valkey, the primary backend."""

from __future__ import annotations

from typing import Any

from thoonk.backends.redis._async.backend import AsyncRedisBackend
from thoonk.backends.redis._sync.backend import RedisBackend
from thoonk.exceptions import InvalidType, InvalidValue

__all__ = ["AsyncRedisBackend", "RedisBackend", "opener"]


class _Opener:
    """Opens ``redis``, ``redis://…``, ``rediss://…``, ``unix://…`` and redis-py clients."""

    def open(self, url: Any, **options: Any) -> RedisBackend:
        if isinstance(url, str):
            return RedisBackend(url if "://" in url else None, **options)
        _check_client(url, options, asynchronous=False)
        return RedisBackend(client=url, **options)

    def open_async(self, url: Any, **options: Any) -> AsyncRedisBackend:
        if isinstance(url, str):
            return AsyncRedisBackend(url if "://" in url else None, **options)
        _check_client(url, options, asynchronous=True)
        return AsyncRedisBackend(client=url, **options)


def _check_client(client: object, options: dict[str, Any], *, asynchronous: bool) -> None:
    if ignored := options.keys() - {"retry_for"}:
        raise InvalidValue(f"a client has its own settings, so not {', '.join(ignored)} beside it")
    is_async = "asyncio" in type(client.connection_pool).__module__  # type: ignore[attr-defined]
    if is_async != asynchronous:
        wanted = "redis.asyncio.Redis" if asynchronous else "redis.Redis"
        raise InvalidType(f"this client needs a {wanted}, not {type(client).__name__} as it is")


opener = _Opener()
