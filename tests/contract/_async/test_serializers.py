"""How items are written (contract: Items)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from conftest import World

from contract.peek import everything
from thoonk import (
    JSON,
    AsyncThoonk,
    InvalidType,
    InvalidValue,
    SerializerError,
)
from thoonk.testing._async.serializer import Numbers


async def test_text_feeds_take_only_text(world: World, thoonk: AsyncThoonk) -> None:
    feed: Any = await thoonk.feed("f")
    before = everything(world)
    for item in (b"x", 5, None, {"a": 1}):
        with pytest.raises(InvalidType):
            await feed.publish(item)
    with pytest.raises(SerializerError):
        await feed.publish("\ud800")
    assert everything(world) == before


async def test_text_that_is_not_utf_8_is_an_error_with_the_bytes(
    world: World, thoonk: AsyncThoonk
) -> None:
    feed = await thoonk.feed("f")
    world.raw.hset("feed.items:f", "1", b"\xff\xfe")
    with pytest.raises(SerializerError) as caught:
        await feed.get_item("1")
    assert caught.value.data == b"\xff\xfe"
    with pytest.raises(SerializerError):
        await feed.get_all()


async def test_json_that_cannot_be_written_is_refused(world: World, thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f", serializer=JSON)
    before = everything(world)
    for item in (math.nan, math.inf, {1, 2}, b"x", object()):
        with pytest.raises(SerializerError):
            await feed.publish(item)
    assert everything(world) == before


async def test_a_serializer_given_twice_has_to_be_the_same(thoonk: AsyncThoonk) -> None:
    with pytest.raises(InvalidValue):
        await thoonk.feed("f", {"serializer": "json"}, serializer="text")
    assert not await thoonk.feed_exists("f")


async def test_a_serializer_object_needs_no_registration(thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q", serializer=Numbers())
    await queue.put(7)
    assert await queue.get(timeout=5) == 7


@pytest.mark.parametrize("bad", [object(), 7, b"json", str])
async def test_what_is_no_serializer_is_refused(thoonk: AsyncThoonk, bad: Any) -> None:
    with pytest.raises(InvalidType, match="serializer"):
        await thoonk.feed("f", serializer=bad)
    assert not await thoonk.feed_exists("f")


async def test_built_in_serializers_cannot_be_replaced(thoonk: AsyncThoonk) -> None:
    for name in ("text", "binary", "json"):
        with pytest.raises(InvalidValue):
            thoonk.register_serializer(Numbers(), name=name)
    bad: Any = object()
    with pytest.raises(InvalidType):
        thoonk.register_serializer(bad, name="x")


async def test_a_serializer_that_raises_sends_nothing(world: World, thoonk: AsyncThoonk) -> None:
    feed: Any = await thoonk.feed("f", serializer=Numbers())
    before = everything(world)
    with pytest.raises(SerializerError) as caught:
        await feed.publish("not a number")
    assert isinstance(caught.value.__cause__, TypeError)
    assert everything(world) == before


async def test_an_unknown_serializer_is_refused(thoonk: AsyncThoonk) -> None:
    with pytest.raises(SerializerError, match="nonsense"):
        await thoonk.feed("f", {"serializer": "nonsense"})
    assert not await thoonk.feed_exists("f")


async def test_pickle_is_never_chosen_by_what_is_stored(
    world: World, thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    await thoonk.queue("q")
    world.raw.hset("feed.config:q", "serializer", "pickle")
    for queue in (thoonk.queue, other.queue):
        with pytest.raises(SerializerError, match="pyqueue"):
            await queue("q")
    with pytest.raises(SerializerError):
        await thoonk.queue("p", {"serializer": "pickle"})
    with pytest.raises(SerializerError):
        await thoonk.queue("p", serializer="pickle")
    assert not await thoonk.feed_exists("p")
