"""The feed (contract: feed publish, feed retract)."""

# ruff: noqa: C416, RUF100 - the same text serves both worlds

from __future__ import annotations

from typing import Any

import pytest

from thoonk import AsyncThoonk, Edited, FeedDoesNotExist, Published, Retracted
from thoonk.operations import Entry, FeedPublish
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background


class AsyncFeedContract(AsyncContract):
    """What a feed does: order, edits, retraction, ``max_length``, and the notices of all that."""

    async def test_an_item_gets_an_id_and_is_read_back(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        id = await feed.publish("item")
        assert await feed.get_item(id) == "item"
        assert await feed.get_ids() == [id]

    async def test_publishing_to_a_deleted_feed_is_an_error(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        await thoonk.delete_feed("f")
        with pytest.raises(FeedDoesNotExist) as caught:
            await feed.publish("item")
        assert caught.value.feed == "f"

    async def test_an_item_is_stored_under_the_id_that_was_given(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        assert await feed.publish("item contents", id="optional id") == "optional id"
        assert await feed.get_all() == {"optional id": "item contents"}

    async def test_generated_ids_differ(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        assert len({await feed.publish("same") for _ in range(50)}) == 50

    async def test_names_ids_and_items_may_hold_what_separates_other_things(
        self,
        thoonk: AsyncThoonk,
    ) -> None:
        feed = await thoonk.feed("a:b {c} é\n")
        async with feed.subscribe() as notices:
            await feed.publish("x\0y\0", id="i:d \n😀")
            assert await notices.get(10) == Published("a:b {c} é\n", "i:d \n😀", "x\0y\0")
        assert await feed.get_all() == {"i:d \n😀": "x\0y\0"}

    async def test_an_empty_item_is_an_item(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        id = await feed.publish("")
        assert await feed.get_item(id) == ""
        assert await feed.get_all() == {id: ""}

    async def test_an_unknown_id_gives_none(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        assert await feed.get_item("nowhere") is None

    async def test_has_id_and_count_follow_what_is_there(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        assert await feed.count() == 0
        await feed.publish("one", id="1")
        await feed.publish("two", id="2")
        assert await feed.count() == 2
        assert await feed.has_id("1")
        await feed.retract("1")
        assert await feed.count() == 1
        assert not await feed.has_id("1")

    async def test_iterating_gives_the_ids_in_publish_order(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        for id in ("c", "a", "b"):
            await feed.publish("x", id=id)
        assert [id async for id in feed] == ["c", "a", "b"]

    async def test_retract_removes_and_says_whether_it_did(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        await feed.publish("x", id="1")
        assert await feed.retract("1") is True
        assert await feed.retract("1") is False
        assert await feed.get_ids() == []
        assert await feed.get_item("1") is None

    async def test_retracting_an_unknown_id_tells_nobody(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            await feed.retract("unknown")
            await feed.publish("x", id="1")
            await feed.retract("1")
            assert await notices.get(10) == Published("f", "1", "x")
            assert await notices.get(10) == Retracted("f", "1")

    async def test_publishing_an_id_again_edits_and_moves_to_the_end(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")
        async with feed.subscribe() as notices:
            await feed.publish("one", id="1")
            await feed.publish("two", id="2")
            await feed.publish("new one", id="1")
            assert [await notices.get(10) for _ in range(3)] == [
                Published("f", "1", "one"),
                Published("f", "2", "two"),
                Edited("f", "1", "new one"),
            ]
        assert await feed.get_ids() == ["2", "1"]
        assert await feed.get_all() == {"1": "new one", "2": "two"}

    async def test_edit_is_publish_with_an_id(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        await feed.publish("one", id="1")
        await feed.publish("two", id="2")
        await feed.edit("1", "new one")
        assert await feed.get_ids() == ["2", "1"]
        assert await feed.get_item("1") == "new one"

    # --- order ------------------------------------------------------------------------------

    async def test_order_is_publish_order_for_a_thousand_publishes(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")
        # Descending ids: where scores were equal, Redis would sort them the other way round.
        expected = [f"{9999 - number}" for number in range(1000)]
        for id in expected:
            await feed.publish("x", id=id)
        assert await feed.get_ids() == expected

    async def test_order_is_publish_order_for_thousands_within_one_millisecond(
        self,
        thoonk: AsyncThoonk,
    ) -> None:
        feed = await thoonk.feed("f")
        expected = [f"{9999 - number}" for number in range(5000)]
        entries = [Entry(id, b"x") for id in expected]
        for start in range(0, 5000, 1000):
            operation = FeedPublish("f", tuple(entries[start : start + 1000]))
            assert await thoonk.backend.execute(operation) == (True,) * 1000
        assert await feed.get_ids() == expected

    async def test_order_is_that_of_the_notices_with_two_clients_at_once(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")

        async def publish_all(client: AsyncThoonk, letter: str) -> None:
            own = await client.feed("f")
            for number in range(250, 0, -1):
                await own.publish("x", id=f"{letter}{number}")

        async with feed.subscribe() as notices:
            first = Background(publish_all, thoonk, "b")
            second = Background(publish_all, other, "a")
            await first.result(30)
            await second.result(30)
            told: list[Any] = [await notices.get(10) for _ in range(500)]
        ids = await feed.get_ids()
        assert ids == [notice.id for notice in told]
        for letter in "ab":
            assert [id for id in ids if id[0] == letter] == [
                f"{letter}{n}" for n in range(250, 0, -1)
            ]

    # --- max_length -------------------------------------------------------------------------

    async def test_max_length_keeps_exactly_the_newest(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f", {"max_length": 3})
        async with feed.subscribe() as notices:
            for number in range(5):
                await feed.publish(f"item {number}", id=f"{number}")
            told = [await notices.get(10) for _ in range(7)]
        assert told == [
            Published("f", "0", "item 0"),
            Published("f", "1", "item 1"),
            Published("f", "2", "item 2"),
            Retracted("f", "0"),
            Published("f", "3", "item 3"),
            Retracted("f", "1"),
            Published("f", "4", "item 4"),
        ]
        assert await feed.get_ids() == ["2", "3", "4"]
        assert await feed.get_all() == {f"{number}": f"item {number}" for number in (2, 3, 4)}

    async def test_editing_in_a_full_feed_drops_nothing(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f", {"max_length": 3})
        for id in ("1", "2", "3"):
            await feed.publish("x", id=id)
        async with feed.subscribe() as notices:
            for id in ("2", "1", "1"):
                await feed.publish("edited", id=id)
            told = [await notices.get(10) for _ in range(3)]
        assert told == [Edited("f", id, "edited") for id in ("2", "1", "1")]
        assert await feed.get_ids() == ["3", "2", "1"]
        assert await feed.count() == 3

    async def test_a_feed_of_one_item_can_be_edited(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f", {"max_length": 1})
        await feed.publish("x", id="1")
        await feed.publish("edited", id="1")
        assert await feed.get_all() == {"1": "edited"}
        await feed.publish("next", id="2")
        assert await feed.get_all() == {"2": "next"}

    async def test_lowering_max_length_trims_at_once(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        for number in range(6):
            await feed.publish("x", id=f"{number}")
        async with feed.subscribe() as notices:
            await thoonk.set_config("f", {"max_length": 2})
            told = [await notices.get(10) for _ in range(4)]
        assert told == [Retracted("f", f"{number}") for number in range(4)]
        assert await feed.get_ids() == ["4", "5"]
        assert await feed.count() == 2

    @pytest.mark.parametrize("unbounded", [0, None])
    async def test_max_length_0_or_none_is_unbounded(
        self, thoonk: AsyncThoonk, unbounded: int | None
    ) -> None:
        feed = await thoonk.feed("f", {"max_length": 2})
        await thoonk.set_config("f", {"max_length": unbounded})
        for number in range(5):
            await feed.publish("x", id=f"{number}")
        assert await feed.get_ids() == ["0", "1", "2", "3", "4"]

    async def test_a_feed_created_with_max_length_0_is_unbounded(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f", {"max_length": 0})
        for number in range(5):
            await feed.publish("x", id=f"{number}")
        assert await feed.count() == 5

    async def test_a_publish_that_is_refused_writes_nothing(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        await feed.publish("x", id="1")
        await thoonk.delete_feed("f")
        for attempt in (feed.publish, feed.retract):
            with pytest.raises(FeedDoesNotExist):
                await attempt("1")
        assert await self.stored(thoonk) == {}
