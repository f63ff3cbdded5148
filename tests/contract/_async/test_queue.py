"""The queue (contract: queue put, queue get)."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from conftest import World

from contract._async.helpers import Background, pause, until
from contract.peek import blocked, everything
from thoonk import AsyncThoonk, Closed, Empty, FeedDoesNotExist, SerializerError
from thoonk.operations import QueueTake


async def test_items_come_out_as_they_went_in(thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    ids = [await queue.put(item) for item in ("a", "b", "c")]
    assert await queue.get_ids() == ids
    assert await queue.count() == 3
    assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]
    assert await queue.count() == 0


async def test_high_priority_is_taken_before_all_that_waits(thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    await queue.put("normal")
    await queue.put("also normal", priority=queue.NORMAL)
    high = await queue.put("high", priority=queue.HIGH)
    assert (await queue.get_ids())[0] == high
    assert [await queue.get() for _ in range(3)] == ["high", "normal", "also normal"]


async def test_what_was_taken_is_deleted(world: World, thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    before = everything(world)
    id = await queue.put("x")
    assert await queue.get_item(id) == "x"
    await queue.get()
    assert await queue.get_item(id) is None
    after = everything(world)
    assert after.pop(b"feed.publishes:q") == b"1"
    assert after == before


async def test_get_raises_empty_when_the_time_is_over(thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    began = time.monotonic()
    with pytest.raises(Empty):
        await queue.get(timeout=0.25)
    assert 0.24 < time.monotonic() - began < 2


async def test_get_nowait_does_not_wait(thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    with pytest.raises(Empty):
        await queue.get_nowait()
    await queue.put("x")
    assert await queue.get_nowait() == "x"


@pytest.mark.parametrize("timeout", [None, 0, 30])
async def test_a_blocked_get_wakes_for_a_put(
    world: World, thoonk: AsyncThoonk, other: AsyncThoonk, timeout: int | None
) -> None:
    queue = await thoonk.queue("q")
    waiting = Background(queue.get, timeout)
    await until(lambda: blocked(world) == 1)
    assert not waiting.is_done()
    began = time.monotonic()
    await (await other.queue("q")).put("x")
    assert await waiting.result() == "x"
    assert time.monotonic() - began < 1


async def test_timeout_0_blocks(world: World, thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    waiting = Background(queue.get, timeout=0)
    await until(lambda: blocked(world) == 1)
    await pause(0.3)
    assert not waiting.is_done()
    await queue.put("x")
    assert await waiting.result() == "x"


async def test_nothing_is_taken_after_the_time_is_over(world: World, thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    for number in range(5):
        with pytest.raises(Empty):
            await queue.get(timeout=0.02)
        await queue.put(f"{number}")
        assert await queue.count() == 1
        assert await queue.get(timeout=5) == f"{number}"
    assert blocked(world) == 0


async def test_every_item_reaches_exactly_one_of_many_takers(
    world: World, thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    queues = [await thoonk.queue("q"), await other.queue("q")]

    async def take_all(number: int) -> list[str]:
        taken = []
        while (item := await queues[number % 2].get(timeout=20)) != "end":
            taken.append(item)
        return taken

    takers = [Background(take_all, number) for number in range(8)]
    await until(lambda: blocked(world) == 8)
    for number in range(200):
        await queues[number % 2].put(f"{number}")
    for _ in takers:
        await queues[0].put("end")
    taken = [await taker.result(30) for taker in takers]
    count = Counter(item for items in taken for item in items)
    assert count == Counter(f"{number}" for number in range(200))
    for items in taken:
        assert items == sorted(items, key=int)


async def test_many_puts_at_once_serve_all_who_are_blocked(
    world: World, thoonk: AsyncThoonk
) -> None:
    queue = await thoonk.queue("q")
    takers = [Background(queue.get, timeout=20) for _ in range(5)]
    await until(lambda: blocked(world) == 5)
    putters = [Background(queue.put, f"{number}") for number in range(5)]
    for putter in putters:
        await putter.result()
    assert sorted([await taker.result() for taker in takers]) == ["0", "1", "2", "3", "4"]


async def test_queues_do_not_serve_each_other(world: World, thoonk: AsyncThoonk) -> None:
    first, second = await thoonk.queue("q1"), await thoonk.queue("q2")
    waiting = Background(first.get, timeout=20)
    await until(lambda: blocked(world) == 1)
    await second.put("second")
    assert await second.get(timeout=5) == "second"
    assert not waiting.is_done()
    await first.put("first")
    assert await waiting.result() == "first"


async def test_what_a_taker_left_reserved_when_it_died_is_taken_next(
    world: World, thoonk: AsyncThoonk
) -> None:
    queue = await thoonk.queue("q")
    await queue.put("first")
    await queue.put("second")
    world.raw.rpoplpush("feed.ids:q", "feed.reserved:q")
    assert [await queue.get(timeout=5) for _ in range(2)] == ["first", "second"]


async def test_an_id_without_item_is_passed_over(world: World, thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    world.raw.rpush("feed.ids:q", "no item")
    await queue.put("x")
    assert await queue.get(timeout=5) == "x"


async def test_a_peers_plain_push_wakes_a_blocked_get(world: World, thoonk: AsyncThoonk) -> None:
    if world.server is None:
        pytest.skip("memory worlds have no peers: their takers are woken by this library")
    queue = await thoonk.queue("q")
    waiting = Background(queue.get)
    await until(lambda: blocked(world) == 1)
    with world.raw.pipeline() as pipe:
        pipe.hset("feed.items:q", "id", "x").lpush("feed.ids:q", "id").execute()
    assert await waiting.result() == "x"


async def test_an_item_that_cannot_be_read_is_handed_out_in_the_error(
    world: World, thoonk: AsyncThoonk
) -> None:
    queue = await thoonk.queue("q")
    await (await thoonk.queue("q", serializer="binary")).put(b"\xff\xfe")
    with pytest.raises(SerializerError) as caught:
        await queue.get(timeout=5)
    assert caught.value.data == b"\xff\xfe"


async def test_pyqueue_carries_python_objects(thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
    queue = await thoonk.pyqueue("q")
    item: Any = {"a": (1, 2.5, None), "b": {3, 4}, b"c": Counter("xx")}
    await queue.put(item)
    assert await (await other.pyqueue("q")).get(timeout=5) == item


async def test_a_deleted_queue_is_an_error(world: World, thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q")
    await thoonk.delete_feed("q")
    with pytest.raises(FeedDoesNotExist):
        await queue.get(timeout=1)
    with pytest.raises(FeedDoesNotExist):
        await queue.put("x")
    assert everything(world) == {}


async def test_closing_the_client_wakes_a_blocked_get(
    world: World, thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    queue = await other.queue("q")
    waiting = Background(queue.get)
    await until(lambda: blocked(world) == 1)
    await other.close()
    with pytest.raises(Closed):
        await waiting.result(5)
    mine = await thoonk.queue("q")
    await mine.put("x")
    assert await mine.get(timeout=5) == "x"


async def test_the_shortest_wait_ends(thoonk: AsyncThoonk) -> None:
    await thoonk.queue("q")
    started = time.monotonic()
    for seconds in (0.0, 0.0004, 0.001, 0.0015):
        taken = await thoonk.backend.wait(QueueTake("q", "token"), seconds)
        assert taken.entries == ()
    assert time.monotonic() - started < 3
