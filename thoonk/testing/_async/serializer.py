"""How items are written (contract: Configuration)."""

from __future__ import annotations

from typing import Any

import pytest

from thoonk import (
    PICKLE,
    AsyncThoonk,
    InvalidType,
    Published,
    SerializerError,
)
from thoonk.operations import ReadItem
from thoonk.testing._async.contract import AsyncContract


class Numbers:
    """A serializer of the program's own."""

    name = "numbers"

    def encode(self, item: int) -> bytes:
        """In decimal."""
        return b"%d" % item

    def decode(self, data: bytes) -> int:
        """From decimal."""
        return int(data)


class AsyncSerializerContract(AsyncContract):
    """That items come back as they went in, byte for byte, and in which form they are stored."""

    async def test_text_is_the_default_and_utf_8(self, thoonk: AsyncThoonk) -> None:
        feed = await thoonk.feed("f")
        await feed.publish("Grüße\0\n😀", id="1")
        assert await thoonk.backend.execute(ReadItem("f", "1")) == "Grüße\0\n😀".encode()
        assert await feed.get_item("1") == "Grüße\0\n😀"

    async def test_binary_is_kept_byte_for_byte(self, thoonk: AsyncThoonk) -> None:
        item = bytes(range(256)) * 3
        feed: Any = await thoonk.feed("f", {"serializer": "binary"})
        async with feed.subscribe() as notices:
            await feed.publish(item, id="1")
            assert await notices.get(10) == Published("f", "1", item)
        assert await feed.get_item("1") == item
        assert await thoonk.backend.execute(ReadItem("f", "1")) == item
        queue: Any = await thoonk.queue("q", serializer="binary")
        await queue.put(bytearray(item))
        assert await queue.get(timeout=5) == item
        with pytest.raises(InvalidType):
            await queue.put("text")

    @pytest.mark.parametrize(
        "item", [None, True, 0, 1.5, "", "Grüße", [], {}, {"a": [1, {"b": None}]}, 2**70]
    )
    async def test_json_carries_values(self, thoonk: AsyncThoonk, item: Any) -> None:
        job = await thoonk.job("j", {"serializer": "json"})
        id = await job.put(item)
        assert await job.get_all() == {id: item}
        assert (await job.get(timeout=5)).item == item

    async def test_the_configuration_tells_others_the_serializer(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        feed = await thoonk.feed("f", serializer="json")
        await feed.publish({"a": 1}, id="1")
        assert (await other.get_config("f")).serializer == "json"
        elsewhere: Any = await other.feed("f")
        assert await elsewhere.get_item("1") == {"a": 1}

    async def test_an_argument_is_for_the_object_and_changes_no_configuration(
        self,
        thoonk: AsyncThoonk,
    ) -> None:
        feed = await thoonk.feed("f")
        await feed.publish("1", id="1")
        assert await (await thoonk.feed("f", serializer="json")).get_item("1") == 1
        assert (await thoonk.get_config("f")).serializer is None
        assert await (await thoonk.feed("f")).get_item("1") == "1"

    async def test_a_registered_serializer_can_be_configured(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
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
        elsewhere: Any = await other.feed("f")
        assert await elsewhere.get_item("1") == 5

    async def test_pickle_is_there_for_the_program_that_asks(
        self, thoonk: AsyncThoonk, other: AsyncThoonk
    ) -> None:
        queue = await thoonk.pyqueue("q")
        await queue.put((1, {2}))
        assert await (await other.pyqueue("q")).get(timeout=5) == (1, {2})
        await queue.put((3, {4}))
        assert await (await other.queue("q", serializer=PICKLE)).get(timeout=5) == (3, {4})
        with pytest.raises(SerializerError):
            await other.queue("q")
