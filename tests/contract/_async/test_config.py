"""Creating, configuring and deleting feeds (contract: create, set config, delete)."""

# ruff: noqa: PERF401, PLR0912, RUF100 - the same text serves both worlds

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from conftest import World

from thoonk import (
    AsyncFeed,
    AsyncThoonk,
    InvalidValue,
    ThoonkError,
)
from thoonk.testing._async.observed import AsyncObserved


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


async def test_a_feed_type_that_makes_no_sense_is_refused(thoonk: AsyncThoonk) -> None:
    bad: list[tuple[Any, Any]] = [("feed", AsyncFeed), ("a b", AsyncFeed), ("x", str), ("y", 1)]
    for name, feed_class in bad:
        with pytest.raises(ThoonkError):
            thoonk.register_feedtype(name, feed_class)


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


async def test_a_pause_cannot_be_configured(thoonk: AsyncThoonk) -> None:
    job = await thoonk.job("j")
    for config in ({"paused": "1"}, {"paused": None}, '{"paused": true}'):
        with pytest.raises(InvalidValue, match=r"use pause\(\) and resume\(\)"):
            await thoonk.set_config("j", config)
    with pytest.raises(InvalidValue, match="pause"):
        await thoonk.create_feed("k", {"paused": "1"})
    assert not (await thoonk.get_config("j")).paused
    await job.pause()
    config = await thoonk.get_config("j")
    assert config.paused
    # So a configuration can be copied.
    await thoonk.create_feed("k", config)
    assert not (await thoonk.get_config("k")).paused
    await job.resume()
    assert not (await thoonk.get_config("j")).paused


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
    recording = AsyncObserved(thoonk.backend)
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
    recording = AsyncObserved(thoonk.backend)
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
    recording = AsyncObserved(thoonk.backend)
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
