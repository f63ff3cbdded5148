"""What is the memory backend's own affair: waiting, waking, and what it keeps."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from thoonk import AsyncThoonk, Gap, Published, Thoonk
from thoonk.backends.mailbox import MOST_UNREAD
from thoonk.backends.memory import AsyncMemoryBackend, MemoryBackend, World
from thoonk.operations import Batch, Operation, QueueTake
from thoonk.testing._sync.helpers import until

LONG = 60.0
"""Seconds that a taker would wait if nobody woke it."""


def waiting(world: World) -> int:
    return len(world._waiting.get("q", ()))


def items(batch: Batch) -> list[bytes]:
    return [entry.item for entry in batch.entries]


def test_an_item_put_while_another_taker_looks_wakes_who_waits() -> None:
    world = World()
    looked = threading.Event()
    second: list[Batch] = []

    class Second(MemoryBackend):
        def execute(self, operation: Operation[Any]) -> Any:
            answer = super().execute(operation)
            looked.set()
            return answer

    def wait() -> None:
        second.append(Second(world).wait(QueueTake("q", "second", 1), LONG))

    class First(MemoryBackend):
        def execute(self, operation: Operation[Any]) -> Any:
            answer = super().execute(operation)
            other.start()
            looked.wait(LONG)
            queue.put("later")
            return answer

    other = threading.Thread(target=wait)
    with Thoonk(backend=MemoryBackend(world)) as thoonk:
        queue = thoonk.queue("q")
        queue.put("there")
        first = First(world).wait(QueueTake("q", "first", 1), LONG)
        other.join(LONG / 2)
        assert items(first) == [b"there"]
        assert [items(batch) for batch in second] == [[b"later"]]


async def test_an_item_put_while_another_task_looks_wakes_who_waits() -> None:
    world = World()

    looked = asyncio.Event()

    class Second(AsyncMemoryBackend):
        async def execute(self, operation: Operation[Any]) -> Any:
            answer = await super().execute(operation)
            looked.set()
            return answer

    class First(AsyncMemoryBackend):
        async def execute(self, operation: Operation[Any]) -> Any:
            answer = await super().execute(operation)
            self.other = asyncio.create_task(Second(world).wait(QueueTake("q", "second", 1), LONG))
            await looked.wait()
            await queue.put("later")
            return answer

    async with AsyncThoonk(backend=AsyncMemoryBackend(world)) as thoonk:
        queue = await thoonk.queue("q")
        await queue.put("there")
        backend = First(world)
        first = await backend.wait(QueueTake("q", "first", 1), LONG)
        async with asyncio.timeout(LONG / 2):
            second = await backend.other
        assert (items(first), items(second)) == ([b"there"], [b"later"])


def test_a_world_in_which_nobody_waits_remembers_no_feeds() -> None:
    world = World()
    with Thoonk(backend=MemoryBackend(world)) as thoonk:
        queue = thoonk.queue("q")
        getting = threading.Thread(target=queue.get)
        getting.start()
        until(lambda: waiting(world) == 1)
        queue.put("x")
        getting.join(LONG / 2)
        assert world._waiting == {}


ITEM = "x" * 100_000


def held(notices: Any) -> int:
    """Bytes of notices that wait for a subscriber."""
    size: int = notices._subscription.mailbox._size
    return size


def test_a_subscriber_who_does_not_read_is_told_of_a_gap_and_takes_bounded_memory() -> None:
    with Thoonk(backend="memory") as thoonk:
        feed = thoonk.feed("f", {"max_length": 1})
        with feed.subscribe() as notices, feed.subscribe() as reads:
            published = []
            for _ in range(2 * MOST_UNREAD // len(ITEM)):
                published.append(feed.publish(ITEM))
                # One who reads misses nothing, however much it was in all.
                notice = reads.get(timeout=5)
                while not isinstance(notice, Published):
                    notice = reads.get(timeout=5)
                assert notice.id == published[-1]
                assert held(notices) <= MOST_UNREAD
            assert notices.get(timeout=5) == Gap("f")
            last = feed.publish("last")
            notice = notices.get(timeout=5)
            while notice != Published("f", last, "last"):
                assert notice != Gap("f")
                notice = notices.get(timeout=5)


async def test_an_async_subscriber_who_does_not_read_is_told_of_a_gap() -> None:
    async with AsyncThoonk(backend="memory") as thoonk:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            for number in range(MOST_UNREAD // len(ITEM) + 10):
                await feed.publish(ITEM, id=f"{number % 2}")
                assert held(notices) <= MOST_UNREAD
            last = await feed.publish("last")
            assert await notices.get(timeout=5) == Gap("f")
            notice = await notices.get(timeout=5)
            while notice != Published("f", last, "last"):
                assert notice != Gap("f")
                notice = await notices.get(timeout=5)
