"""The feed (contract: feed publish, feed retract)."""

from __future__ import annotations

import pytest

from thoonk import AsyncThoonk, FeedDoesNotExist


async def test_an_item_gets_an_id_and_is_read_back(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    id = await feed.publish("item")
    assert await feed.get_item(id) == "item"
    assert await feed.get_ids() == [id]


async def test_publishing_to_a_deleted_feed_is_an_error(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    await thoonk.delete_feed("f")
    with pytest.raises(FeedDoesNotExist) as caught:
        await feed.publish("item")
    assert caught.value.feed == "f"
