"""Ways to look behind the library's back, the same for both twins."""

from __future__ import annotations

from typing import Any

from conftest import World

from thoonk.backends.memory import World as Memory


def everything(world: World) -> dict[bytes, Any]:
    """All keys with what they hold, but for the answers that the server remembers."""
    raw = world.raw
    read: dict[bytes, Any] = {
        b"string": raw.get,
        b"hash": raw.hgetall,
        b"set": raw.smembers,
        b"list": lambda key: raw.lrange(key, 0, -1),
        b"zset": lambda key: raw.zrange(key, 0, -1, withscores=True),
    }
    keys = [key for key in raw.keys() if not key.startswith(b"feed.answers:")]  # noqa: SIM118
    return {key: read[raw.type(key)](key) for key in keys}


def blocked(world: World) -> int:
    """How many consumers are blocked: on a server, one for each client and feed."""
    if world.server is None:
        memory = Memory.named(world.url.partition("://")[2])
        return sum(map(len, list(memory._waiting.values())))
    return int(world.raw.info("clients")["blocked_clients"])
