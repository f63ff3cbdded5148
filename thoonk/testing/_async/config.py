"""Creating, configuring and deleting feeds (contract: create, set config, delete)."""

# ruff: noqa: PERF401, PLR0912, RUF100 - the same text serves both worlds

from __future__ import annotations

import json
from typing import Any

import pytest

from thoonk import (
    AsyncFeed,
    AsyncThoonk,
    Configured,
    FeedConfig,
    FeedDoesNotExist,
    FeedExists,
    ItemTooLarge,
    Retracted,
    WrongFeedType,
)
from thoonk.testing._async.contract import AsyncContract


class AsyncConfigContract(AsyncContract):
    """Creating, opening, configuring, listing and deleting feeds of all types."""

    # --- create -----------------------------------------------------------------------------

    async def test_a_feed_is_created_with_a_configuration(self, thoonk: AsyncThoonk) -> None:
        await thoonk.create_feed("f", {"max_length": 50, "title": "Füße"})
        config = await thoonk.get_config("f")
        assert isinstance(config, FeedConfig)
        assert (config.type, config.max_length, config.title) == ("feed", 50, "Füße")
        assert dict(config) == {"type": "feed", "max_length": 50, "title": "Füße"}

    async def test_a_configuration_may_be_json_text(self, thoonk: AsyncThoonk) -> None:
        await thoonk.create_feed("f", json.dumps({"max_length": 50, "type": "feed"}))
        assert (await thoonk.get_config("f"))["max_length"] == 50
        await thoonk.set_config("f", '{"max_length": 7}')
        assert (await thoonk.get_config("f"))["max_length"] == 7
        feed = await thoonk.feed("f", '{"max_length": 8}')
        assert (await thoonk.get_config(feed.name)).max_length == 8

    async def test_a_feed_is_created_without_a_configuration(self, thoonk: AsyncThoonk) -> None:
        await thoonk.create_feed("f")
        assert dict(await thoonk.get_config("f")) == {"type": "feed"}

    @pytest.mark.parametrize("type", ["feed", "sorted_feed", "queue", "job"])
    async def test_create_feed_makes_every_type(self, thoonk: AsyncThoonk, type: str) -> None:
        await thoonk.create_feed("f", {"type": type})
        feed = await getattr(thoonk, type)("f")
        assert (feed.name, feed.type) == ("f", type)

    async def test_creating_a_feed_that_exists_changes_nothing(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        await thoonk.create_feed("f", {"max_length": 50})
        before = await self.stored(thoonk)
        with pytest.raises(FeedExists) as caught:
            await other.create_feed("f", {"max_length": 1, "title": "x"})
        assert caught.value.feed == "f"
        assert await self.stored(thoonk) == before

    async def test_opening_a_feed_creates_it_with_its_configuration(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        await thoonk.feed("f", {"max_length": 2})
        assert await other.feed_exists("f")
        assert dict(await other.get_config("f")) == {"type": "feed", "max_length": 2}

    async def test_opening_a_feed_again_keeps_its_configuration_and_items(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f", {"max_length": 2})
        await feed.publish("x", id="1")
        again = await other.feed("f")
        assert await again.get_all() == {"1": "x"}
        assert (await other.get_config("f")).max_length == 2

    async def test_opening_a_feed_with_a_configuration_reconfigures_it(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f", {"title": "old"})
        for number in range(3):
            await feed.publish("x", id=f"{number}")
        async with feed.subscribe() as notices:
            await thoonk.feed("f", {"max_length": 1})
            assert [await notices.get(10) for _ in range(3)] == [
                Retracted("f", "0"),
                Retracted("f", "1"),
                Configured("f"),
            ]
        assert dict(await thoonk.get_config("f")) == {
            "type": "feed",
            "title": "old",
            "max_length": 1,
        }

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("feed", "sorted_feed"),
            ("feed", "queue"),
            ("queue", "job"),
            ("job", "queue"),
            ("sorted_feed", "feed"),
            ("job", "pyqueue"),
        ],
    )
    async def test_opening_a_feed_as_another_type_is_an_error(
        self, thoonk: AsyncThoonk, first: str, second: str
    ) -> None:
        await getattr(thoonk, first)("f")
        before = await self.stored(thoonk)
        with pytest.raises(WrongFeedType) as caught:
            await getattr(thoonk, second)("f", {"title": "x"})
        assert (caught.value.feed, caught.value.actual) == ("f", first)
        assert await self.stored(thoonk) == before

    async def test_an_object_of_a_feed_that_became_another_type_is_refused(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f")
        await other.delete_feed("f")
        queue = await other.queue("f")
        await queue.put("x")
        with pytest.raises(WrongFeedType):
            await feed.publish("x")
        with pytest.raises(WrongFeedType):
            await feed.get_ids()
        assert await queue.get(timeout=5) == "x"

    async def test_a_configured_type_has_to_fit_the_method(self, thoonk: AsyncThoonk) -> None:
        with pytest.raises(WrongFeedType):
            await thoonk.feed("f", {"type": "queue"})
        assert not await thoonk.feed_exists("f")
        await thoonk.queue("f", {"type": "queue"})

    async def test_a_registered_feed_type_gets_a_method(self, thoonk: AsyncThoonk) -> None:
        class Log(AsyncFeed[str]):
            async def log(self, line: str) -> str:
                return await self.publish(line.upper())

        thoonk.register_feedtype("log", Log)
        log = await thoonk.log("f", {"max_length": 1})  # type: ignore[attr-defined]
        await log.log("a")
        id = await log.log("b")
        assert isinstance(log, Log)
        assert await log.get_all() == {id: "B"}
        assert (await thoonk.get_config("f")).type == "log"
        with pytest.raises(WrongFeedType):
            await thoonk.feed("f")
        await thoonk.create_feed("g", {"type": "log"})

    # --- get and set ------------------------------------------------------------------------

    async def test_values_are_typed(self, thoonk: AsyncThoonk) -> None:
        await thoonk.create_feed(
            "f",
            {
                "type": "job",
                "max_length": "5",
                "title": "t",
                "serializer": "json",
                "claim_timeout": 1.5,
                "max_failures": 3,
                "result_timeout": "60",
            },
        )
        assert await thoonk.get_config("f") == FeedConfig(
            type="job",
            max_length=5,
            title="t",
            serializer="json",
            claim_timeout=1.5,
            max_failures=3,
            result_timeout=60.0,
        )

    async def test_set_config_changes_what_it_names_and_nothing_else(
        self, thoonk: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f", {"max_length": 5, "title": "t"})
        async with feed.subscribe() as notices:
            await thoonk.set_config("f", {"max_length": 6})
            assert await notices.get(10) == Configured("f")
        assert dict(await thoonk.get_config("f")) == {"type": "feed", "max_length": 6, "title": "t"}

    async def test_none_removes_a_field(self, thoonk: AsyncThoonk) -> None:
        await thoonk.create_feed("f", {"max_length": 5, "title": "t", "own": "x"})
        await thoonk.set_config("f", {"max_length": None, "own": None})
        assert dict(await thoonk.get_config("f")) == {"type": "feed", "title": "t"}

    @pytest.mark.parametrize("type", ["sorted_feed", "queue", "job", "nonsense"])
    async def test_the_type_of_a_feed_never_changes(self, thoonk: AsyncThoonk, type: str) -> None:
        await thoonk.create_feed("f", {"type": "feed"})
        before = await self.stored(thoonk)
        with pytest.raises(WrongFeedType):
            await thoonk.set_config("f", {"title": "x", "type": type})
        assert await self.stored(thoonk) == before
        await thoonk.set_config("f", {"title": "x", "type": "feed"})
        assert (await thoonk.get_config("f")).title == "x"

    async def test_a_feed_that_does_not_exist_has_no_configuration(
        self, thoonk: AsyncThoonk
    ) -> None:
        calls: list[tuple[Any, tuple[Any, ...]]] = [
            (thoonk.get_config, ("f",)),
            (thoonk.set_config, ("f", {"title": "x"})),
            (thoonk.delete_feed, ("f",)),
        ]
        for call, arguments in calls:
            with pytest.raises(FeedDoesNotExist) as caught:
                await call(*arguments)
            assert caught.value.feed == "f"
        assert await self.stored(thoonk) == {}

    # --- names and the end ------------------------------------------------------------------

    async def test_feeds_of_all_types_are_listed(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        assert await thoonk.get_feed_names() == set()
        await thoonk.feed("a:b")
        await thoonk.sorted_feed("ü")
        await thoonk.queue("q")
        await thoonk.job("j")
        assert await other.get_feed_names() == {"a:b", "ü", "q", "j"}
        assert await other.feed_exists("ü")
        assert not await other.feed_exists("nowhere")
        await other.delete_feed("q")
        assert await thoonk.get_feed_names() == {"a:b", "ü", "j"}
        assert not await thoonk.feed_exists("q")

    async def test_deleting_a_feed_leaves_no_key_behind(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f", {"max_length": 5})
        await feed.publish("x")
        sorted_feed = await thoonk.sorted_feed("s")
        await sorted_feed.append("x")
        queue = await thoonk.queue("q")
        await queue.put("x")
        job = await thoonk.job("j")
        for _ in range(5):
            await job.put("x")
        await (await job.get()).finish("result")
        await (await job.get()).finish("kept forever", timeout=0)
        await (await job.get()).stall()
        await (await job.get()).cancel()
        await job.get()
        for name in "fsqj":
            await thoonk.delete_feed(name)
        assert await self.stored(thoonk) == {}

    async def test_a_feed_that_is_created_anew_is_empty(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.sorted_feed("s", {"title": "old"})
        await feed.append("x")
        await thoonk.delete_feed("s")
        feed = await thoonk.sorted_feed("s")
        assert dict(await thoonk.get_config("s")) == {"type": "sorted_feed"}
        assert await feed.get_ids() == []
        assert await feed.append("x") == "1"

    # --- max_item_size ------------------------------------------------------------------------

    async def test_an_item_larger_than_max_item_size_is_refused_and_changes_nothing(
        self, thoonk: AsyncThoonk
    ) -> None:
        config = {"max_item_size": 4}
        feed, sorted_feed = await thoonk.feed("f", config), await thoonk.sorted_feed("s", config)
        queue, job = await thoonk.queue("q", config), await thoonk.job("j", config)
        await feed.publish("four", id="1")
        await sorted_feed.append("four")
        before = await self.stored(thoonk)
        attempts: list[tuple[Any, tuple[str, ...]]] = [
            (feed.publish, ("fives", "1")),
            (feed.publish, ("fives", "2")),
            (sorted_feed.append, ("fives",)),
            (sorted_feed.edit, ("1", "fives")),
            (queue.put, ("fives",)),
            (job.put, ("fives",)),
        ]
        for attempt, arguments in attempts:
            with pytest.raises(ItemTooLarge):
                await attempt(*arguments)
        assert await self.stored(thoonk) == before
        await queue.put("four")
        assert await queue.get(timeout=5) == "four"
