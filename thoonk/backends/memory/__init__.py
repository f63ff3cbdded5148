"""Feeds in this process's memory: the Redis scripts on fakeredis.

The semantics are those of the Redis backend because the scripts are the same. What
differs is the waiting: a blocked consumer waits for a wake-up of this package, not
inside the fake server.
"""

from __future__ import annotations

from typing import Any

from thoonk.backends.memory._async.backend import AsyncMemoryBackend
from thoonk.backends.memory._sync.backend import MemoryBackend
from thoonk.backends.memory.world import World
from thoonk.exceptions import InvalidValue

__all__ = ["AsyncMemoryBackend", "MemoryBackend", "World", "opener"]


class _Opener:
    """Opens ``memory`` (a world of its own) and ``memory://NAME`` (the world of that name)."""

    def open(self, url: str, **options: Any) -> MemoryBackend:
        return MemoryBackend(_world_of(url, options))

    def open_async(self, url: str, **options: Any) -> AsyncMemoryBackend:
        return AsyncMemoryBackend(_world_of(url, options))


def _world_of(url: str, options: dict[str, Any]) -> World | None:
    if options:
        raise InvalidValue(f"the memory backend takes no options: remove {', '.join(options)}")
    name = url.partition("://")[2]
    return World.named(name) if name else None


opener = _Opener()
