"""Reading a feed in parts (contract: pages)."""

from __future__ import annotations

from typing import Any

import pytest

from thoonk import AsyncThoonk, FeedDoesNotExist
from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.operations import ReadItems, ReadPage
from thoonk.testing._async.contract import AsyncContract


async def filled(thoonk: AsyncThoonk, kind: str, count: int) -> tuple[Any, list[str]]:
    """A feed called ``f``, and its ids."""
    feed: Any = await getattr(thoonk, kind)("f")
    put = feed.publish if kind in (FEED, SORTED_FEED) else feed.put
    return feed, [await put(f"item {number}") for number in range(count)]


async def walk(thoonk: AsyncThoonk, kind: str, **options: Any) -> list[str]:
    """All ids, page by page."""
    found: list[str] = []
    cursor = ""
    while True:
        page = await thoonk.backend.execute(ReadPage("f", kind, count=3, cursor=cursor, **options))
        found += page.ids
        cursor = page.cursor
        if not cursor:
            return found


class AsyncPageContract(AsyncContract):
    """That a feed can be read in parts, forwards and backwards, while it changes."""

    @pytest.mark.parametrize("with_items", [False, True])
    @pytest.mark.parametrize("kind", [FEED, SORTED_FEED, QUEUE, JOB])
    async def test_page_by_page_everything_is_read_once(
        self, thoonk: AsyncThoonk, kind: str, with_items: bool
    ) -> None:
        feed, ids = await filled(thoonk, kind, 10)
        found = await walk(thoonk, kind, with_items=with_items)
        assert (sorted(found) if kind == JOB else found) == (sorted(ids) if kind == JOB else ids)
        page = await thoonk.backend.execute(ReadPage("f", kind, with_items=with_items))
        assert page.cursor == ""
        items = await feed.get_all()
        expected = tuple(items[id].encode() for id in page.ids)
        assert page.items == (expected if with_items else ())

    @pytest.mark.parametrize("kind", [FEED, SORTED_FEED, QUEUE])
    async def test_backwards_and_from_a_place(self, thoonk: AsyncThoonk, kind: str) -> None:
        _, ids = await filled(thoonk, kind, 8)
        assert await walk(thoonk, kind, reverse=True) == ids[::-1]
        assert await walk(thoonk, kind, start=5) == ids[5:]
        assert await walk(thoonk, kind, start=2, reverse=True) == ids[-3::-1]
        assert await walk(thoonk, kind, start=8) == []

    @pytest.mark.parametrize("kind", [FEED, SORTED_FEED])
    @pytest.mark.parametrize("gone", [0, 1])
    async def test_what_is_removed_or_added_meanwhile_hides_nothing(
        self, thoonk: AsyncThoonk, kind: str, gone: int
    ) -> None:
        feed, ids = await filled(thoonk, kind, 8)
        first = await thoonk.backend.execute(ReadPage("f", kind, count=4))
        # The one that was read last, or the first of those to be read.
        await feed.retract(ids[3 + gone])
        ids.append(await feed.publish("new"))
        rest = await thoonk.backend.execute(ReadPage("f", kind, cursor=first.cursor))
        assert [*first.ids] == ids[:4]
        assert [*rest.ids] == ids[4 + gone :]

    async def test_some_items_are_read_by_their_ids(self, thoonk: AsyncThoonk) -> None:
        _, ids = await filled(thoonk, FEED, 3)
        read = await thoonk.backend.execute(ReadItems("f", (ids[2], "nowhere", ids[0])))
        assert read == {ids[2]: b"item 2", ids[0]: b"item 0"}

    async def test_a_feed_that_is_not_there_has_no_pages(self, thoonk: AsyncThoonk) -> None:
        with pytest.raises(FeedDoesNotExist):
            await thoonk.backend.execute(ReadPage("f", FEED))
