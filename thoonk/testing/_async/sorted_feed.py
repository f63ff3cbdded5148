"""The sorted feed (contract: sorted append, sorted edit, sorted move, sorted retract)."""

# ruff: noqa: C416, RUF100 - the same text serves both worlds

from __future__ import annotations

from typing import Any

import pytest

from thoonk import (
    AsyncSortedFeed,
    AsyncThoonk,
    Edited,
    FeedDoesNotExist,
    InvalidType,
    InvalidValue,
    ItemDoesNotExist,
    Moved,
    Published,
    Retracted,
)
from thoonk.operations import Position, SortedInsert, Where
from thoonk.testing._async.contract import AsyncContract
from thoonk.testing._async.helpers import Background


async def filled(thoonk: AsyncThoonk, count: int) -> AsyncSortedFeed[str]:
    """A sorted feed with the ids 1 to ``count``."""
    feed = await thoonk.sorted_feed("s")
    for number in range(1, count + 1):
        assert await feed.append(f"item {number}") == str(number)
    return feed


class AsyncSortedFeedContract(AsyncContract):
    """What a sorted feed does: the four places, moving, and the notices of all that."""

    async def test_items_are_inserted_in_four_places(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.sorted_feed("s")
        assert await feed.append("a") == "1"
        assert await feed.publish("b") == "2"
        assert await feed.prepend("c") == "3"
        assert await feed.publish_before("2", "d") == "4"
        assert await feed.publish_after("1", "e") == "5"
        assert await feed.get_ids() == ["3", "1", "5", "4", "2"]
        items = await feed.get_items()
        assert [items[id] for id in await feed.get_ids()] == ["c", "a", "e", "d", "b"]
        assert await feed.get_all() == items

    async def test_list_is_another_name_of_sorted_feed(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.list("s")
        await feed.append("x")
        assert isinstance(feed, AsyncSortedFeed)
        assert await (await thoonk.sorted_feed("s")).get_ids() == ["1"]

    async def test_reading_single_items(self, thoonk: AsyncThoonk) -> None:
        feed = await filled(thoonk, 2)
        assert await feed.get_item("2") == "item 2"
        assert await feed.get_item("3") is None
        assert await feed.has_id("1")
        assert not await feed.has_id("3")
        assert await feed.count() == 2
        assert [id async for id in feed] == ["1", "2"]

    async def test_inserting_announces_the_item_and_then_its_place(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.sorted_feed("s")
        async with feed.subscribe() as notices:
            await feed.append("a")
            await feed.prepend("b")
            await feed.publish_before("1", "c")
            await feed.publish_after("1", "d")
            told = [await notices.get(10) for _ in range(8)]
        assert told == [
            Published("s", "1", "a"),
            Moved("s", "1", ":end"),
            Published("s", "2", "b"),
            Moved("s", "2", "begin:"),
            Published("s", "3", "c"),
            Moved("s", "3", ":1"),
            Published("s", "4", "d"),
            Moved("s", "4", "1:"),
        ]

    async def test_ids_are_not_used_again(self, thoonk: AsyncThoonk) -> None:
        feed = await filled(thoonk, 2)
        await feed.retract("2")
        assert await feed.append("x") == "3"

    @pytest.mark.parametrize("how", ["publish_before", "publish_after"])
    async def test_a_missing_neighbour_writes_nothing_and_uses_up_no_id(
        self, thoonk: AsyncThoonk, how: str
    ) -> None:
        feed = await filled(thoonk, 2)
        before = await self.stored(thoonk)
        async with feed.subscribe() as notices:
            with pytest.raises(ItemDoesNotExist) as caught:
                await getattr(feed, how)("42", "x")
            assert (caught.value.feed, caught.value.id) == ("s", "42")
            assert await self.stored(thoonk) == before
            assert await feed.append("x") == "3"
            assert await notices.get(10) == Published("s", "3", "x")

    async def test_edit_replaces_in_place(self, thoonk: AsyncThoonk) -> None:
        feed = await filled(thoonk, 3)
        async with feed.subscribe() as notices:
            await feed.edit("2", "edited")
            assert await notices.get(10) == Edited("s", "2", "edited")
        assert await feed.get_ids() == ["1", "2", "3"]
        assert await feed.get_item("2") == "edited"

    async def test_editing_an_unknown_item_is_an_error(self, thoonk: AsyncThoonk) -> None:
        feed = await filled(thoonk, 1)
        before = await self.stored(thoonk)
        with pytest.raises(ItemDoesNotExist) as caught:
            await feed.edit("7", "x")
        assert caught.value.id == "7"
        assert await self.stored(thoonk) == before

    @pytest.mark.parametrize(
        ("position", "id", "expected"),
        [
            (":2", "4", ["1", "4", "2", "3"]),
            ("2:", "4", ["1", "2", "4", "3"]),
            (":1", "4", ["4", "1", "2", "3"]),
            ("4:", "1", ["2", "3", "4", "1"]),
            ("begin:", "3", ["3", "1", "2", "4"]),
            (":end", "2", ["1", "3", "4", "2"]),
            ("begin:", "1", ["1", "2", "3", "4"]),
            (":end", "4", ["1", "2", "3", "4"]),
            (":2", "1", ["1", "2", "3", "4"]),
            ("1:", "2", ["1", "2", "3", "4"]),
        ],
    )
    async def test_move_takes_four_forms(
        self, thoonk: AsyncThoonk, position: str, id: str, expected: list[str]
    ) -> None:
        feed = await filled(thoonk, 4)
        async with feed.subscribe() as notices:
            await feed.move(position, id)
            assert await notices.get(10) == Moved("s", id, position)
        assert await feed.get_ids() == expected
        assert await feed.count() == 4

    @pytest.mark.parametrize(
        ("how", "arguments", "expected", "position"),
        [
            ("move_first", ("3",), ["3", "1", "2"], "begin:"),
            ("move_last", ("1",), ["2", "3", "1"], ":end"),
            ("move_before", ("1", "3"), ["3", "1", "2"], ":1"),
            ("move_after", ("3", "1"), ["2", "3", "1"], "3:"),
        ],
    )
    async def test_the_four_move_methods(
        self,
        thoonk: AsyncThoonk,
        how: str,
        arguments: tuple[str, ...],
        expected: list[str],
        position: str,
    ) -> None:
        feed = await filled(thoonk, 3)
        async with feed.subscribe() as notices:
            await getattr(feed, how)(*arguments)
            assert await notices.get(10) == Moved("s", arguments[-1], position)
        assert await feed.get_ids() == expected

    @pytest.mark.parametrize("position", [":2", "2:"])
    async def test_moving_an_item_next_to_itself_does_nothing(
        self, thoonk: AsyncThoonk, position: str
    ) -> None:
        feed = await filled(thoonk, 3)
        before = await self.stored(thoonk)
        async with feed.subscribe() as notices:
            await feed.move(position, "2")
            assert await self.stored(thoonk) == before
            await feed.retract("1")
            assert await notices.get(10) == Retracted("s", "1")

    @pytest.mark.parametrize(
        ("position", "id", "missing"),
        [
            (":9", "1", "9"),
            ("9:", "1", "9"),
            (":1", "9", "9"),
            ("begin:", "9", "9"),
            (":9", "9", "9"),
        ],
    )
    async def test_moving_without_item_or_neighbour_is_an_error(
        self, thoonk: AsyncThoonk, position: str, id: str, missing: str
    ) -> None:
        feed = await filled(thoonk, 2)
        before = await self.stored(thoonk)
        with pytest.raises(ItemDoesNotExist) as caught:
            await feed.move(position, id)
        assert caught.value.id == missing
        assert await self.stored(thoonk) == before

    @pytest.mark.parametrize(
        "position", ["", ":", "42", "1:2", ":1:", "begin", "end", None, 1, b":1"]
    )
    async def test_a_position_of_no_known_form_is_refused(
        self, thoonk: AsyncThoonk, position: Any
    ) -> None:
        feed = await filled(thoonk, 2)
        before = await self.stored(thoonk)
        with pytest.raises((InvalidValue, InvalidType)):
            await feed.move(position, "1")
        assert await self.stored(thoonk) == before

    async def test_retract_removes_and_says_whether_it_did(self, thoonk: AsyncThoonk) -> None:
        feed = await filled(thoonk, 3)
        async with feed.subscribe() as notices:
            assert await feed.retract("2") is True
            assert await feed.retract("2") is False
            await feed.edit("3", "x")
            assert await notices.get(10) == Retracted("s", "2")
            assert await notices.get(10) == Edited("s", "3", "x")
        assert await feed.get_ids() == ["1", "3"]
        assert await feed.get_item("2") is None

    async def test_a_sorted_feed_is_unbounded_whatever_is_configured(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.sorted_feed("s", {"max_length": 2})
        for _ in range(4):
            await feed.append("x")
        assert await feed.count() == 4

    async def test_two_clients_at_once_get_different_ids(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        async def append_all(client: AsyncThoonk) -> list[str]:
            own = await client.sorted_feed("s")
            return [await own.append("x") for _ in range(100)]

        first = Background(append_all, thoonk)
        second = Background(append_all, other)
        ids = [*(await first.result(30)), *(await second.result(30))]
        feed = await thoonk.sorted_feed("s")
        assert sorted(ids, key=int) == [str(number) for number in range(1, 201)]
        assert await feed.get_ids() == sorted(ids, key=int)

    async def test_every_change_of_a_deleted_feed_is_an_error(self, thoonk: AsyncThoonk) -> None:
        feed = await filled(thoonk, 1)
        await thoonk.delete_feed("s")
        attempts: list[tuple[Any, tuple[str, ...]]] = [
            (feed.append, ("x",)),
            (feed.prepend, ("x",)),
            (feed.publish_before, ("1", "x")),
            (feed.edit, ("1", "x")),
            (feed.move, (":end", "1")),
            (feed.retract, ("1",)),
        ]
        for attempt, arguments in attempts:
            with pytest.raises(FeedDoesNotExist):
                await attempt(*arguments)
        assert await self.stored(thoonk) == {}

    @pytest.mark.parametrize(
        ("position", "expected"),
        [
            (":end", ["1", "2", "3", "4", "5"]),
            ("begin:", ["3", "4", "5", "1", "2"]),
            (":2", ["1", "3", "4", "5", "2"]),
            ("1:", ["1", "3", "4", "5", "2"]),
        ],
    )
    async def test_several_that_are_inserted_stand_in_their_order(
        self, thoonk: AsyncThoonk, position: str, expected: list[str]
    ) -> None:
        feed = await filled(thoonk, 2)
        mirror = ["1", "2"]
        insert = SortedInsert("s", (b"a", b"b", b"c"), Position.parse(position))
        async with feed.subscribe() as notices:
            assert await thoonk.backend.execute(insert) == ("3", "4", "5")
            for id, item in zip("345", "abc", strict=True):
                assert await notices.get(10) == Published("s", id, item)
                moved: Any = await notices.get(10)
                place = Position.parse(moved.position)
                at = mirror.index(place.neighbour) if place.neighbour else 0
                at += place.where is Where.AFTER
                mirror.insert(len(mirror) if place.where is Where.END else at, moved.id)
        assert await feed.get_ids() == mirror == expected
        assert await feed.get_all() == {
            "1": "item 1",
            "2": "item 2",
            "3": "a",
            "4": "b",
            "5": "c",
        }
