"""Reading a feed in parts (contract: pages)."""

from __future__ import annotations

from typing import Any

import pytest

from thoonk import AsyncThoonk, FeedDoesNotExist
from thoonk.config import FEED, JOB, QUEUE, SORTED_FEED
from thoonk.operations import ReadItems, ReadPage
from thoonk.testing._async.contract import AsyncContract

KINDS = ("feed", "sorted_feed", "queue", "job")


async def filled(thoonk: AsyncThoonk, kind: str, count: int) -> tuple[Any, list[str]]:
    """A feed with so many items; its ids in their order."""
    feed = await getattr(thoonk, kind)("f")
    items = [f"item {number}" for number in range(count)]
    many = feed.publish_many if "feed" in kind else feed.put_many
    return feed, await many(items)


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

    @pytest.mark.parametrize("gone", [0, 1])
    async def test_what_is_removed_and_added_meanwhile_hides_nothing_of_a_feed(
        self, thoonk: AsyncThoonk, gone: int
    ) -> None:
        feed, ids = await filled(thoonk, FEED, 8)
        first = await thoonk.backend.execute(ReadPage("f", FEED, count=4))
        # The one that was read last, or the first of those to be read.
        await feed.retract(ids[3 + gone])
        ids.append(await feed.publish("new"))
        rest = await thoonk.backend.execute(ReadPage("f", FEED, cursor=first.cursor))
        assert [*first.ids] == ids[:4]
        assert [*rest.ids] == ids[4 + gone :]

    async def test_some_items_are_read_by_their_ids(self, thoonk: AsyncThoonk) -> None:
        _, ids = await filled(thoonk, "feed", 3)
        read = await thoonk.backend.execute(ReadItems("f", (ids[2], "nowhere", ids[0])))
        assert read == {ids[2]: b"item 2", ids[0]: b"item 0"}

    async def test_a_feed_that_is_not_there_has_no_pages(self, thoonk: AsyncThoonk) -> None:
        with pytest.raises(FeedDoesNotExist):
            await thoonk.backend.execute(ReadPage("f", FEED))

    @pytest.mark.parametrize("kind", KINDS)
    async def test_all_ids_come_once_and_in_order(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed, ids = await filled(thoonk, kind, 2300)
        found = [id async for id in feed.ids()]
        assert (sorted(found) if kind == "job" else found) == (
            sorted(ids) if kind == "job" else ids
        )
        assert [id async for id in feed] == found

    @pytest.mark.parametrize("kind", KINDS)
    async def test_items_come_with_their_ids(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed, ids = await filled(thoonk, kind, 1200)
        expected = [(id, f"item {number}") for number, id in enumerate(ids)]
        found = [pair async for pair in feed.items()]
        assert (sorted(found) if kind == "job" else found) == (
            sorted(expected) if kind == "job" else expected
        )

    @pytest.mark.parametrize("kind", KINDS)
    async def test_an_empty_feed_has_none(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed, _ = await filled(thoonk, kind, 0)
        assert [id async for id in feed.ids()] == []
        assert [pair async for pair in feed.items()] == []

    @pytest.mark.parametrize("kind", KINDS[:3])
    @pytest.mark.parametrize(
        ("start", "stop"),
        [(0, 3), (2, 5), (5, None), (8, 99), (20, None), (4, 4), (5, 2), (0, 0)],
    )
    async def test_a_range_is_as_that_of_a_list(
        self, thoonk: AsyncThoonk, kind: str, start: int, stop: int | None
    ) -> None:
        feed, ids = await filled(thoonk, kind, 10)
        assert [id async for id in feed.ids(start, stop)] == ids[start:stop]
        backwards = ids[::-1]
        assert [id async for id in feed.ids(start, stop, reverse=True)] == backwards[start:stop]
        items = [pair async for pair in feed.items(start, stop, reverse=True)]
        assert [id for id, _ in items] == backwards[start:stop]

    @pytest.mark.parametrize("kind", KINDS[:3])
    async def test_a_range_goes_over_pages(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed, ids = await filled(thoonk, kind, 2500)
        assert [id async for id in feed.ids(100, 2400)] == ids[100:2400]
        assert [id async for id in feed.ids(100, 2400, reverse=True)] == ids[::-1][100:2400]

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("kind", ["feed", "sorted_feed"])
    async def test_what_is_removed_meanwhile_moves_no_other_out_of_sight(
        self, thoonk: AsyncThoonk, kind: str, reverse: bool
    ) -> None:
        feed, ids = await filled(thoonk, kind, 2500)
        expected = ids[::-1] if reverse else ids
        seen = []
        async for id in feed.ids(reverse=reverse):
            seen.append(id)
            if len(seen) == 700:
                # Some that were read, and the one after which reading is to go on.
                await feed.retract_many(expected[:500])
                await feed.retract(expected[1999])
        assert seen == expected

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_loop_may_remove_what_it_reads(self, thoonk: AsyncThoonk, kind: str) -> None:
        feed, _ = await filled(thoonk, kind, 1200)
        async for id in feed.ids():
            if kind == "queue":
                await feed.get_nowait()
            else:
                await feed.retract(id)
        assert await feed.count() == 0

    @pytest.mark.parametrize("reverse", [False, True])
    async def test_a_page_goes_on_where_its_last_item_is_now(
        self, thoonk: AsyncThoonk, reverse: bool
    ) -> None:
        feed, ids = await filled(thoonk, "sorted_feed", 2500)
        expected = ids[::-1] if reverse else ids
        seen = []
        async for id in feed.ids(reverse=reverse):
            seen.append(id)
            if len(seen) == 700:
                await feed.retract_many(expected[:3])
                move = feed.move_last if reverse else feed.move_first
                await move(expected[500])
        assert seen == expected

    async def test_a_queue_that_is_taken_from_meanwhile(self, thoonk: AsyncThoonk) -> None:
        queue, ids = await filled(thoonk, "queue", 2500)
        seen = []
        async for id in queue.ids():
            seen.append(id)
            if len(seen) == 700:
                await queue.get_many(200)
        assert seen == ids
