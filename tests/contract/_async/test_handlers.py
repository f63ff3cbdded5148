"""Handlers: what is called, with what, and what happens when one fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import World

from thoonk import AsyncThoonk, Closed, InvalidType, InvalidValue, NotListening
from thoonk.testing._async.handler import Calls, note
from thoonk.testing._async.helpers import until
from thoonk.testing.proxy import between


async def test_handlers_need_a_client_that_listens(thoonk: AsyncThoonk) -> None:
    assert not thoonk.listening
    with pytest.raises(NotListening):
        await thoonk.register_handler("publish", print)


async def test_an_event_or_handler_that_makes_no_sense_is_refused(listening: AsyncThoonk) -> None:
    bad: list[tuple[Any, Any]] = [("nonsense", print), ("config", print), ("config:", print)]
    bad += [("", print), ("_notice", print), (5, print), ("publish", None), ("publish", "f")]
    for event, handler in bad:
        with pytest.raises((InvalidValue, InvalidType)):
            await listening.register_handler(event, handler)


async def test_a_payload_that_no_one_understands_is_logged_and_passed_over(
    world: World,
    listening: AsyncThoonk,
    thoonk: AsyncThoonk,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: Calls = []
    for event in ("publish", "edit", "retract", "position", "finish", "create"):
        await listening.register_handler(event, note(calls, event))
    feed = await thoonk.feed("f")
    for channel, payload in [
        (b"feed.publish:f", b"no separator"),
        (b"feed.publish:f", b""),
        (b"feed.publish:f", b"\0no id"),
        (b"feed.publish:f", b"1\0\xff not text"),
        (b"feed.publish:", b"1\0no name"),
        (b"feed.edit:f", b"no separator"),
        (b"feed.retract:f", b""),
        (b"feed.position:f", b"no separator"),
        (b"job.finish:f", b"no separator"),
        (b"newfeed", b"no separator"),
        (b"newfeed", b"\0no name"),
    ]:
        world.raw.publish(channel, payload)
    await feed.publish("x", id="good")
    await until(lambda: ("publish", "f", "x", "good") in calls)
    assert calls == [("create", "f"), ("publish", "f", "x", "good")]
    passed_over = [record for record in caplog.records if "skipped" in record.getMessage()]
    assert len(passed_over) == 11


class OddError(BaseException):
    """Such as those of test runners."""


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), asyncio.CancelledError(), OddError(), RecursionError(), Closed("its own")],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_handler_raises_the_listener_goes_on(
    listening: AsyncThoonk,
    thoonk: AsyncThoonk,
    error: BaseException,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: Calls = []

    def failing(*_: object) -> None:
        raise error

    await listening.register_handler("publish", failing)
    await listening.register_handler("publish", note(calls))
    feed = await thoonk.feed("f")
    for id in ("1", "2"):
        await feed.publish("x", id=id)
    await until(lambda: len(calls) == 2)
    failed = [record for record in caplog.records if "failed" in record.getMessage()]
    assert [record.__dict__["event"] for record in failed] == ["handler_failed"] * 2
    assert [record.__dict__["id"] for record in failed] == ["1", "2"]


async def test_a_serializer_that_raises_anything_does_not_end_the_listener(
    listening: AsyncThoonk, thoonk: AsyncThoonk
) -> None:
    class Odd:
        name = "odd"

        def encode(self, item: str) -> bytes:
            return item.encode()

        def decode(self, data: bytes) -> str:
            if data == b"bad":
                raise OddError
            return data.decode()

    calls: Calls = []
    for client in (listening, thoonk):
        client.register_serializer(Odd())
    await listening.register_handler("publish", note(calls))
    feed = await thoonk.feed("f", {"serializer": "odd"})
    await feed.publish("bad", id="1")
    await feed.publish("good", id="2")
    await until(lambda: calls == [("f", "good", "2")])


async def test_a_feed_made_anew_in_a_gap_is_decoded_as_it_is_now(
    real_world: World,
) -> None:
    assert real_world.server is not None
    calls: Calls = []
    with between(real_world.server) as proxy:
        async with (
            AsyncThoonk(backend=real_world.url) as thoonk,
            AsyncThoonk("127.0.0.1", proxy.port, listen=True) as listening,
        ):
            await listening.register_handler("publish", note(calls))
            await listening.register_handler("gap", note(calls, "gap"))
            await (await thoonk.feed("f")).publish("1", id="1")
            await until(lambda: calls == [("f", "1", "1")])
            proxy.freeze()
            await thoonk.delete_feed("f")
            fresh = await thoonk.feed("f", {"serializer": "json"})
            proxy.cut_all()
            proxy.thaw()
            await until(lambda: ("gap", None) in calls, timeout=30)
            await fresh.publish([1, 2], id="2")
            await until(lambda: ("f", [1, 2], "2") in calls)


async def test_a_feed_that_is_listed_without_configuration_does_not_stop_the_listener(
    world: World, thoonk: AsyncThoonk
) -> None:
    world.raw.sadd("feeds", "hollow")
    calls: Calls = []
    async with AsyncThoonk(backend=world.url, listen=True) as listening:
        await listening.register_handler("publish", note(calls))
        world.raw.publish("feed.publish:hollow", b"1\0x")
        await (await thoonk.feed("f")).publish("x", id="1")
        await until(lambda: len(calls) == 2)
    assert calls == [("hollow", "x", "1"), ("f", "x", "1")]


async def test_feeds_of_another_db_do_not_leak_in(real_world: World) -> None:
    calls: Calls = []
    elsewhere = real_world.url.removesuffix("/0") + "/1"
    async with (
        AsyncThoonk(backend=real_world.url, listen=True) as listening,
        AsyncThoonk(backend=real_world.url) as here,
        AsyncThoonk(backend=elsewhere) as there,
    ):
        for event in ("create", "delete", "publish", "edit", "retract"):
            await listening.register_handler(event, note(calls, event))
        feed = await there.feed("theirs")
        await feed.publish("x", id="1")
        await feed.publish("x", id="1")
        await feed.retract("1")
        await there.delete_feed("theirs")
        await here.feed("ours")
        await until(lambda: ("create", "ours") in calls)
    assert calls == [("create", "ours")]
