"""The queue (contract: queue put, queue get)."""

from __future__ import annotations

import pytest
from conftest import World

from contract.peek import blocked, everything
from thoonk import AsyncThoonk, Closed
from thoonk.testing._async.helpers import Background, until


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


async def test_closing_the_client_wakes_a_blocked_get(
    world: World, thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    queue = await other.queue("q")
    waiting = Background(queue.get)
    await until(lambda: blocked(world) == 1)
    await other.close()
    with pytest.raises(Closed):
        await waiting.result()
    mine = await thoonk.queue("q")
    await mine.put("x")
    assert await mine.get(timeout=5) == "x"


async def test_what_was_taken_leaves_no_key_but_the_counter(
    world: World, thoonk: AsyncThoonk
) -> None:
    queue = await thoonk.queue("q")
    before = everything(world)
    await queue.put("x")
    await queue.get()
    after = everything(world)
    assert after.pop(b"feed.publishes:q") == b"1"
    assert after == before
