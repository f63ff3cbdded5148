"""How items are written (contract: Items)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from conftest import World

from contract.peek import everything
from thoonk import (
    JSON,
    PICKLE,
    AsyncThoonk,
    InvalidType,
    InvalidValue,
    Published,
    SerializerError,
)


class Numbers:
    """A serializer of the program's own."""

    name = "numbers"

    def encode(self, item: int) -> bytes:
        return b"%d" % item

    def decode(self, data: bytes) -> int:
        return int(data)


async def test_text_is_the_default_and_utf_8(world: World, thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    await feed.publish("Grüße\0\n😀", id="1")
    assert world.raw.hget("feed.items:f", "1") == "Grüße\0\n😀".encode()
    assert await feed.get_item("1") == "Grüße\0\n😀"


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


async def test_binary_is_kept_byte_for_byte(world: World, thoonk: AsyncThoonk) -> None:
    item = bytes(range(256)) * 3
    feed = await thoonk.feed("f", {"serializer": "binary"})
    async with feed.subscribe() as notices:
        await feed.publish(item, id="1")  # type: ignore[arg-type]
        assert await notices.get(10) == Published("f", "1", item)
    assert await feed.get_item("1") == item
    assert world.raw.hget("feed.items:f", "1") == item
    queue = await thoonk.queue("q", serializer="binary")
    await queue.put(bytearray(item))
    assert await queue.get(timeout=5) == item
    with pytest.raises(InvalidType):
        await queue.put("text")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "item", [None, True, 0, 1.5, "", "Grüße", [], {}, {"a": [1, {"b": None}]}, 2**70]
)
async def test_json_carries_values(thoonk: AsyncThoonk, item: Any) -> None:
    job = await thoonk.job("j", {"serializer": "json"})
    id = await job.put(item)
    assert await job.get_all() == {id: item}
    assert (await job.get(timeout=5)).item == item


async def test_json_that_cannot_be_written_is_refused(world: World, thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f", serializer=JSON)
    before = everything(world)
    for item in (math.nan, math.inf, {1, 2}, b"x", object()):
        with pytest.raises(SerializerError):
            await feed.publish(item)
    assert everything(world) == before


async def test_the_configuration_tells_others_the_serializer(
    thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    feed = await thoonk.feed("f", serializer="json")
    await feed.publish({"a": 1}, id="1")
    assert (await other.get_config("f")).serializer == "json"
    assert await (await other.feed("f")).get_item("1") == {"a": 1}


async def test_an_argument_is_for_the_object_and_changes_no_configuration(
    thoonk: AsyncThoonk,
) -> None:
    feed = await thoonk.feed("f")
    await feed.publish("1", id="1")
    assert await (await thoonk.feed("f", serializer="json")).get_item("1") == 1
    assert (await thoonk.get_config("f")).serializer is None
    assert await (await thoonk.feed("f")).get_item("1") == "1"


async def test_a_serializer_given_twice_has_to_be_the_same(thoonk: AsyncThoonk) -> None:
    with pytest.raises(InvalidValue):
        await thoonk.feed("f", {"serializer": "json"}, serializer="text")
    assert not await thoonk.feed_exists("f")


async def test_a_registered_serializer_can_be_configured(
    thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    thoonk.register_serializer(Numbers())
    thoonk.register_serializer(Numbers(), name="also")
    feed: Any = await thoonk.feed("f", {"serializer": "numbers"})
    async with feed.subscribe() as notices:
        await feed.publish(5, id="1")
        assert await notices.get(10) == Published("f", "1", 5)
    assert await feed.get_item("1") == 5
    await thoonk.feed("g", {"serializer": "also"})
    with pytest.raises(SerializerError, match="numbers"):
        await other.feed("f")
    other.register_serializer(Numbers())
    assert await (await other.feed("f")).get_item("1") == 5


async def test_a_serializer_object_needs_no_registration(thoonk: AsyncThoonk) -> None:
    queue = await thoonk.queue("q", serializer=Numbers())
    await queue.put(7)
    assert await queue.get(timeout=5) == 7


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


async def test_pickle_is_there_for_the_program_that_asks(
    thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    queue = await thoonk.pyqueue("q")
    await queue.put((1, {2}))
    assert await (await other.pyqueue("q")).get(timeout=5) == (1, {2})
    await queue.put((3, {4}))
    assert await (await other.queue("q", serializer=PICKLE)).get(timeout=5) == (3, {4})
    with pytest.raises(SerializerError):
        await other.queue("q")
