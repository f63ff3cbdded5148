"""Handlers: what is called, with what, and what happens when one fails."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import World

from thoonk import AsyncThoonk, InvalidType, InvalidValue, NotListening
from thoonk.testing._async.handler import Calls, note
from thoonk.testing._async.helpers import until


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
    passed_over = [record for record in caplog.records if "passed over" in record.getMessage()]
    assert len(passed_over) == 11


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
