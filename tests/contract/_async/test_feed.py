"""The feed (contract: feed publish, feed retract)."""

# ruff: noqa: C416, RUF100 - the same text serves both worlds

from __future__ import annotations

import time

from conftest import World

from thoonk import AsyncThoonk


async def test_an_item_from_a_clock_that_is_ahead_stays_before_what_follows(
    world: World, thoonk: AsyncThoonk
) -> None:
    feed = await thoonk.feed("f")
    tomorrow = (time.time() + 86_400) * 1000
    world.raw.zadd("feed.ids:f", {"ahead": tomorrow})
    world.raw.hset("feed.items:f", "ahead", "x")
    expected = [f"{99 - number}" for number in range(50)]
    for id in expected:
        await feed.publish("x", id=id)
    assert await feed.get_ids() == ["ahead", *expected]


async def test_items_of_a_peer_that_counts_seconds_keep_their_place(
    world: World, thoonk: AsyncThoonk
) -> None:
    feed = await thoonk.feed("f", {"max_length": 3})
    await feed.publish("x", id="ours")
    await feed.publish("x", id="ours too")
    # A later publish of a peer in seconds sorts as if it were the oldest, until we write.
    world.raw.zadd("feed.ids:f", {"theirs": time.time() + 60})
    world.raw.hset("feed.items:f", "theirs", "x")
    await feed.publish("x", id="last")
    assert await feed.get_ids() == ["ours too", "theirs", "last"]
