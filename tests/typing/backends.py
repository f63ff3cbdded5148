"""The backends are what the protocol asks for. Checked, never run."""

from __future__ import annotations

from typing import Any, assert_type

from thoonk import AsyncThoonk, Notice, Thoonk
from thoonk.backends import (
    AsyncBackend,
    AsyncSubscription,
    Backend,
    Opener,
    Subscription,
    memory,
    open_async_backend,
    open_backend,
    redis,
)
from thoonk.backends.memory import AsyncMemoryBackend, MemoryBackend
from thoonk.backends.redis import AsyncRedisBackend, RedisBackend
from thoonk.operations import (
    Batch,
    CountItems,
    FeedPublish,
    Operation,
    QueueTake,
    ReadItem,
    ReadItems,
)

on_redis: Backend = RedisBackend("redis://localhost")
in_memory: Backend = MemoryBackend()
on_redis_async: AsyncBackend = AsyncRedisBackend("redis://localhost")
in_memory_async: AsyncBackend = AsyncMemoryBackend()

subscription: Subscription = RedisBackend().listen()
redis_opener: Opener = redis.opener
memory_opener: Opener = memory.opener

Thoonk(backend=on_redis)
AsyncThoonk(backend=on_redis_async)

assert_type(open_backend("memory"), tuple[Backend, bool])
assert_type(open_async_backend("memory"), tuple[AsyncBackend, bool])


def answers(backend: Backend) -> None:
    """An operation's type says what executing it returns."""
    assert_type(backend.execute(ReadItem("f", "i")), bytes | None)
    assert_type(backend.execute(ReadItems("f")), dict[str, bytes])
    assert_type(backend.execute(CountItems("f")), int)
    assert_type(backend.execute(FeedPublish("f", ())), tuple[bool, ...])
    assert_type(backend.wait(QueueTake("q", "token"), 5.0), Batch)
    assert_type(backend.listen("f").get(5), Notice)


async def async_answers(backend: AsyncBackend) -> None:
    assert_type(await backend.execute(ReadItem("f", "i")), bytes | None)
    assert_type(await backend.wait(QueueTake("q", "token"), 5.0), Batch)
    listening: AsyncSubscription = await backend.listen()
    assert_type(await listening.get(), Notice)


class OwnBackend:
    """A backend of one's own, which inherits from nothing."""

    def execute(self, operation: Operation[Any]) -> Any:
        return None

    def wait(self, operation: Operation[Any], timeout: float) -> Batch:
        return Batch(())

    def listen(self, feed: str | None = None) -> Subscription:
        raise NotImplementedError

    def close(self) -> None: ...


own: Backend = OwnBackend()
