"""Creating, configuring and deleting feeds (contract: create, set config, delete)."""

# ruff: noqa: PERF401, PLR0912, RUF100 - the same text serves both worlds

from __future__ import annotations

import json
import logging
import math
from typing import Any

import pytest
from conftest import World

from contract._async.recording import AsyncRecording
from contract.peek import everything
from thoonk import (
    AsyncFeed,
    AsyncThoonk,
    Configured,
    FeedConfig,
    FeedDoesNotExist,
    FeedExists,
    Retracted,
    ThoonkError,
    WrongFeedType,
)

# --- create -----------------------------------------------------------------------------


async def test_a_feed_is_created_with_a_configuration(thoonk: AsyncThoonk) -> None:
    await thoonk.create_feed("f", {"max_length": 50, "title": "Füße"})
    config = await thoonk.get_config("f")
    assert isinstance(config, FeedConfig)
    assert (config.type, config.max_length, config.title) == ("feed", 50, "Füße")
    assert dict(config) == {"type": "feed", "max_length": 50, "title": "Füße"}


async def test_a_configuration_may_be_json_text(thoonk: AsyncThoonk) -> None:
    await thoonk.create_feed("f", json.dumps({"max_length": 50, "type": "feed"}))
    assert (await thoonk.get_config("f"))["max_length"] == 50
    await thoonk.set_config("f", '{"max_length": 7}')
    assert (await thoonk.get_config("f"))["max_length"] == 7
    feed = await thoonk.feed("f", '{"max_length": 8}')
    assert (await thoonk.get_config(feed.name)).max_length == 8


async def test_a_feed_is_created_without_a_configuration(thoonk: AsyncThoonk) -> None:
    await thoonk.create_feed("f")
    assert dict(await thoonk.get_config("f")) == {"type": "feed"}


@pytest.mark.parametrize("type", ["feed", "sorted_feed", "queue", "job"])
async def test_create_feed_makes_every_type(thoonk: AsyncThoonk, type: str) -> None:
    await thoonk.create_feed("f", {"type": type})
    feed = await getattr(thoonk, type)("f")
    assert (feed.name, feed.type) == ("f", type)


async def test_creating_a_feed_that_exists_changes_nothing(
    world: World, thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    await thoonk.create_feed("f", {"max_length": 50})
    before = everything(world)
    with pytest.raises(FeedExists) as caught:
        await other.create_feed("f", {"max_length": 1, "title": "x"})
    assert caught.value.feed == "f"
    assert everything(world) == before


async def test_opening_a_feed_creates_it_with_its_configuration(
    thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    await thoonk.feed("f", {"max_length": 2})
    assert await other.feed_exists("f")
    assert dict(await other.get_config("f")) == {"type": "feed", "max_length": 2}


async def test_opening_a_feed_again_keeps_its_configuration_and_items(
    thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    feed = await thoonk.feed("f", {"max_length": 2})
    await feed.publish("x", id="1")
    again = await other.feed("f")
    assert await again.get_all() == {"1": "x"}
    assert (await other.get_config("f")).max_length == 2


async def test_opening_a_feed_with_a_configuration_reconfigures_it(thoonk: AsyncThoonk) -> None:
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
    assert dict(await thoonk.get_config("f")) == {"type": "feed", "title": "old", "max_length": 1}


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
    world: World, thoonk: AsyncThoonk, first: str, second: str
) -> None:
    await getattr(thoonk, first)("f")
    before = everything(world)
    with pytest.raises(WrongFeedType) as caught:
        await getattr(thoonk, second)("f", {"title": "x"})
    assert (caught.value.feed, caught.value.actual) == ("f", first)
    assert everything(world) == before


async def test_an_object_of_a_feed_that_became_another_type_is_refused(
    thoonk: AsyncThoonk, other: AsyncThoonk
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


async def test_a_configured_type_has_to_fit_the_method(thoonk: AsyncThoonk) -> None:
    with pytest.raises(WrongFeedType):
        await thoonk.feed("f", {"type": "queue"})
    assert not await thoonk.feed_exists("f")
    await thoonk.queue("f", {"type": "queue"})


@pytest.mark.parametrize(
    ("stored", "method"),
    [("list", "sorted_feed"), ("sorted feed", "sorted_feed"), ("pyqueue", "queue")],
)
async def test_type_names_of_peers_open(
    world: World, thoonk: AsyncThoonk, stored: str, method: str
) -> None:
    world.raw.sadd("feeds", "f")
    world.raw.hset("feed.config:f", "type", stored)
    feed = await getattr(thoonk, method)("f")
    assert feed.type == method
    assert (await thoonk.get_config("f")).type == stored


async def test_a_registered_feed_type_gets_a_method(thoonk: AsyncThoonk) -> None:
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


async def test_a_feed_type_that_makes_no_sense_is_refused(thoonk: AsyncThoonk) -> None:
    bad: list[tuple[Any, Any]] = [("feed", AsyncFeed), ("a b", AsyncFeed), ("x", str), ("y", 1)]
    for name, feed_class in bad:
        with pytest.raises(ThoonkError):
            thoonk.register_feedtype(name, feed_class)


# --- get and set ------------------------------------------------------------------------


async def test_values_are_typed(thoonk: AsyncThoonk) -> None:
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


async def test_whole_seconds_are_written_as_peers_read_them(
    world: World, thoonk: AsyncThoonk
) -> None:
    await thoonk.create_feed("f", {"claim_timeout": 30.0})
    assert world.raw.hget("feed.config:f", "claim_timeout") == b"30"


async def test_unknown_keys_are_kept_as_text(world: World, thoonk: AsyncThoonk) -> None:
    await thoonk.create_feed("f", {"colour": "blue", "weight": 5, "deliver": True})
    world.raw.hset("feed.config:f", "theirs", "1.0")
    config = await thoonk.get_config("f")
    assert config.extra == {"colour": "blue", "weight": "5", "deliver": "true", "theirs": "1.0"}
    assert config["theirs"] == "1.0"
    await thoonk.set_config("f", {"title": "t"})
    assert (await thoonk.get_config("f")).extra == config.extra


async def test_set_config_changes_what_it_names_and_nothing_else(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f", {"max_length": 5, "title": "t"})
    async with feed.subscribe() as notices:
        await thoonk.set_config("f", {"max_length": 6})
        assert await notices.get(10) == Configured("f")
    assert dict(await thoonk.get_config("f")) == {"type": "feed", "max_length": 6, "title": "t"}


async def test_none_removes_a_field(thoonk: AsyncThoonk) -> None:
    await thoonk.create_feed("f", {"max_length": 5, "title": "t", "own": "x"})
    await thoonk.set_config("f", {"max_length": None, "own": None})
    assert dict(await thoonk.get_config("f")) == {"type": "feed", "title": "t"}


@pytest.mark.parametrize("type", ["sorted_feed", "queue", "job", "nonsense"])
async def test_the_type_of_a_feed_never_changes(
    world: World, thoonk: AsyncThoonk, type: str
) -> None:
    await thoonk.create_feed("f", {"type": "feed"})
    before = everything(world)
    with pytest.raises(WrongFeedType):
        await thoonk.set_config("f", {"title": "x", "type": type})
    assert everything(world) == before
    await thoonk.set_config("f", {"title": "x", "type": "feed"})
    assert (await thoonk.get_config("f")).title == "x"


async def test_a_stored_value_that_makes_no_sense_is_logged_and_passed_over(
    world: World, thoonk: AsyncThoonk, caplog: pytest.LogCaptureFixture
) -> None:
    feed = await thoonk.feed("f", {"title": "t"})
    world.raw.hset("feed.config:f", "max_length", "lots")
    with caplog.at_level(logging.WARNING, "thoonk.config"):
        config = await thoonk.get_config("f")
    assert (config.max_length, config.title) == (None, "t")
    assert "lots" in caplog.text
    for number in range(3):
        await feed.publish("x", id=f"{number}")
    assert await feed.count() == 3


async def test_a_feed_that_does_not_exist_has_no_configuration(
    world: World, thoonk: AsyncThoonk
) -> None:
    for call, arguments in [
        (thoonk.get_config, ("f",)),
        (thoonk.set_config, ("f", {"title": "x"})),
        (thoonk.delete_feed, ("f",)),
    ]:
        with pytest.raises(FeedDoesNotExist) as caught:
            await call(*arguments)
        assert caught.value.feed == "f"
    assert everything(world) == {}


# --- names and the end ------------------------------------------------------------------


async def test_feeds_of_all_types_are_listed(thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
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


async def test_deleting_a_feed_leaves_no_key_behind(world: World, thoonk: AsyncThoonk) -> None:
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
    await (await job.get()).finish("kept for ever", timeout=0)
    await (await job.get()).stall()
    await (await job.get()).cancel()
    await job.get()
    for name in "fsqj":
        await thoonk.delete_feed(name)
    assert everything(world) == {}


async def test_a_feed_that_is_created_anew_is_empty(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.sorted_feed("s", {"title": "old"})
    await feed.append("x")
    await thoonk.delete_feed("s")
    feed = await thoonk.sorted_feed("s")
    assert dict(await thoonk.get_config("s")) == {"type": "sorted_feed"}
    assert await feed.get_ids() == []
    assert await feed.append("x") == "1"


# --- what is refused before anything is sent ----------------------------------------------

BAD_NAMES: list[Any] = ["", "a\0b", "\0", None, 5, b"bytes", ["f"], "\ud800", "x" * 65_537]
BAD_CONFIGS: list[Any] = [
    {"max_length": -1},
    {"max_length": "many"},
    {"max_length": 1.5},
    {"max_length": True},
    {"max_length": [1]},
    {"max_failures": -1},
    {"claim_timeout": -1},
    {"claim_timeout": "soon"},
    {"claim_timeout": math.nan},
    {"claim_timeout": math.inf},
    {"claim_timeout": True},
    {"result_timeout": -0.5},
    {"result_timeout": {}},
    {"title": 5},
    {"title": "\ud800"},
    {"serializer": ""},
    {"serializer": 1},
    {"type": None},
    {"type": ""},
    {"type": 3},
    {"own": ["list"]},
    {"own": object()},
    {"": "x"},
    {5: "x"},
    {"a\0b": "x"},
    "not json",
    "[1, 2]",
    '"text"',
    "5",
    ["max_length", 5],
    7,
]


def check_refused(caught: pytest.ExceptionInfo[BaseException]) -> None:
    assert isinstance(caught.value, ThoonkError)
    assert isinstance(caught.value, ValueError | TypeError)


async def test_bad_names_are_refused_before_anything_is_sent(
    thoonk: AsyncThoonk,
) -> None:
    recording = AsyncRecording(thoonk.backend)
    client = AsyncThoonk(backend=recording)
    calls: list[Any] = [client.feed, client.sorted_feed, client.queue, client.job, client.pyqueue]
    calls += [client.create_feed, client.delete_feed, client.feed_exists, client.get_config]
    for name in BAD_NAMES:
        for call in calls:
            with pytest.raises(ThoonkError) as caught:
                await call(name)
            check_refused(caught)
        with pytest.raises(ThoonkError) as caught:
            await client.set_config(name, {"title": "x"})
        check_refused(caught)
    assert recording.sent == []
    await client.close()


async def test_bad_configurations_are_refused_before_anything_is_sent(
    thoonk: AsyncThoonk,
) -> None:
    recording = AsyncRecording(thoonk.backend)
    client = AsyncThoonk(backend=recording)
    for config in BAD_CONFIGS:
        for call in (client.feed, client.job, client.create_feed, client.set_config):
            with pytest.raises(ThoonkError) as caught:
                await call("f", config)
            check_refused(caught)
    with pytest.raises(ThoonkError) as caught:
        await client.create_feed("f", {"type": "nonsense"})
    check_refused(caught)
    assert recording.sent == []
    await client.close()


async def test_bad_ids_items_and_arguments_are_refused_before_anything_is_sent(
    thoonk: AsyncThoonk,
) -> None:
    recording = AsyncRecording(thoonk.backend)
    client = AsyncThoonk(backend=recording)
    feed = await client.feed("f")
    sorted_feed = await client.sorted_feed("s")
    queue = await client.queue("q")
    job = await client.job("j")
    recording.sent.clear()
    attempts: list[tuple[Any, tuple[Any, ...]]] = []
    for id in BAD_NAMES:
        if id is not None:
            attempts.append((feed.publish, ("x", id)))
        for one_id in (feed.retract, feed.get_item, feed.has_id, sorted_feed.retract):
            attempts.append((one_id, (id,)))
        attempts += [(feed.edit, (id, "x")), (sorted_feed.edit, (id, "x"))]
        attempts += [(sorted_feed.publish_before, (id, "x")), (sorted_feed.move_first, (id,))]
        attempts += [(sorted_feed.publish_after, (id, "x")), (sorted_feed.move_last, (id,))]
        attempts += [(sorted_feed.move_before, (id, "1")), (sorted_feed.move_after, ("1", id))]
        for job_call in (job.finish, job.cancel, job.stall, job.retry, job.retract):
            attempts.append((job_call, (id,)))
        attempts += [(job.get_result, (id, 1)), (job.get_failure_count, (id,))]
    for item in (None, 5, b"bytes", ["x"]):
        for put in (feed.publish, sorted_feed.append, sorted_feed.prepend, queue.put, job.put):
            attempts.append((put, (item,)))
        if item is not None:
            attempts.append((job.finish, ("1", item, True)))
    for position in ("", "1", ":", "a:b", None, 5):
        attempts.append((sorted_feed.move, (position, "1")))
    for timeout in (-1, math.nan, math.inf, "5", True, [1]):
        attempts += [(queue.get, (timeout,)), (job.get, (timeout,))]
        attempts += [(job.get_result, ("1", timeout)), (job.finish, ("1", "x", True, timeout))]
    for priority in (1, 0, "high", [True]):
        attempts += [(queue.put, ("x", priority)), (job.put, ("x", priority))]
    for attempt, arguments in attempts:
        try:
            await attempt(*arguments)
        except ThoonkError as error:
            assert isinstance(error, ValueError | TypeError)  # noqa: PT017
        else:
            pytest.fail(f"{attempt} took {arguments!r:.80}")
    assert recording.sent == []
    await client.close()
