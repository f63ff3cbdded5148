"""A feed's notices (contract: Channels)."""

# ruff: noqa: C416, RUF100, SIM117 - the same text serves both worlds

from __future__ import annotations

import time
from typing import Any

import pytest
from conftest import World

from contract._async.helpers import Background, pause
from thoonk import (
    AsyncFeedSubscription,
    AsyncThoonk,
    BackendUnavailable,
    Closed,
    Configured,
    Created,
    Deleted,
    Edited,
    Empty,
    Finished,
    Gap,
    Published,
    Retracted,
)


async def test_notices_have_types_and_attributes(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    async with feed.subscribe() as notices:
        await feed.publish("x", id="1")
        await feed.publish("y", id="1")
        await feed.retract("1")
        published, edited, retracted = [await notices.get(10) for _ in range(3)]
    assert isinstance(published, Published)
    assert (published.feed, published.id, published.item) == ("f", "1", "x")
    assert isinstance(edited, Edited)
    assert (edited.feed, edited.id, edited.item) == ("f", "1", "y")
    assert isinstance(retracted, Retracted)
    assert (retracted.feed, retracted.id) == ("f", "1")


async def test_notices_of_jobs_are_their_results(thoonk: AsyncThoonk) -> None:
    job = await thoonk.job("j")
    async with job.subscribe() as notices:
        await job.put("a")
        id = await job.put("b")
        await (await job.get()).finish()
        await (await job.get()).finish("result")
        assert await notices.get(10) == Finished("j", id, "result")


async def test_a_feed_tells_of_its_configuration_and_its_end(
    thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    feed = await thoonk.feed("f")
    async with feed.subscribe() as notices:
        await other.set_config("f", {"title": "x"})
        await other.delete_feed("f")
        await other.feed("f")
        assert [await notices.get(10) for _ in range(4)] == [
            Configured("f"),
            Deleted("f"),
            Created("f"),
            Configured("f"),
        ]


async def test_iterating_gives_one_notice_after_the_other(
    thoonk: AsyncThoonk, other: AsyncThoonk
) -> None:
    feed = await thoonk.feed("f")
    elsewhere = await other.feed("f")
    seen: list[Any] = []
    async with feed.subscribe() as notices:
        for number in range(5):
            await elsewhere.publish("x", id=f"{number}")
        async for notice in notices:
            seen.append(notice)
            if len(seen) == 5:
                break
    assert seen == [Published("f", f"{number}", "x") for number in range(5)]


async def test_what_happened_before_is_not_told(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    await feed.publish("x", id="before")
    async with feed.subscribe() as notices:
        await feed.publish("x", id="after")
        assert await notices.get(10) == Published("f", "after", "x")


async def test_other_feeds_are_not_told_of(thoonk: AsyncThoonk) -> None:
    feed, similar = await thoonk.feed("f"), await thoonk.feed("f:f")
    pattern = await thoonk.feed("*")
    async with feed.subscribe() as notices, pattern.subscribe() as pattern_notices:
        await similar.publish("x")
        await thoonk.set_config("f:f", {"title": "x"})
        await thoonk.delete_feed("f:f")
        await feed.publish("x", id="1")
        await pattern.publish("x", id="2")
        assert await notices.get(10) == Published("f", "1", "x")
        assert await pattern_notices.get(10) == Published("*", "2", "x")


async def test_every_subscriber_is_told(thoonk: AsyncThoonk, other: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    elsewhere = await other.feed("f")
    async with (
        feed.subscribe() as first,
        feed.subscribe() as second,
        elsewhere.subscribe() as third,
    ):
        await feed.publish("x", id="1")
        for notices in (first, second, third):
            assert await notices.get(10) == Published("f", "1", "x")


async def test_get_raises_empty_when_the_time_is_over(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    async with feed.subscribe() as notices:
        began = time.monotonic()
        with pytest.raises(Empty):
            await notices.get(timeout=0.2)
        assert 0.19 < time.monotonic() - began < 2
        await feed.publish("x", id="1")
        assert await notices.get(timeout=5) == Published("f", "1", "x")


async def test_many_notices_wait_until_they_are_fetched(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    async with feed.subscribe() as notices:
        for number in range(500):
            await feed.publish("x" * 100, id=f"{number}")
        told = [(await notices.get(10)) for _ in range(500)]
    assert told == [Published("f", f"{number}", "x" * 100) for number in range(500)]


async def test_a_subscription_that_is_closed_elsewhere_ends_the_loop(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")

    async def iterate(notices: AsyncFeedSubscription[str]) -> list[Any]:
        return [notice async for notice in notices]

    async with feed.subscribe() as notices:
        loop = Background(iterate, notices)
        await feed.publish("x", id="1")
        await pause(0.1)
        assert not loop.is_done()
        await notices.close()
        assert await loop.result(5) == [Published("f", "1", "x")]
        with pytest.raises(Closed):
            await notices.get(1)
        await notices.close()


async def test_closing_the_client_ends_its_subscriptions(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        feed = await client.feed("f")
        notices = feed.subscribe()
        await notices.__aenter__()
        waiting = Background(notices.get)
        await pause(0.1)
    with pytest.raises(Closed):
        await waiting.result(5)


async def test_a_subscription_that_was_not_entered_is_closed(thoonk: AsyncThoonk) -> None:
    feed = await thoonk.feed("f")
    with pytest.raises(Closed):
        await feed.subscribe().get(1)


async def test_a_payload_that_no_one_understands_is_logged_and_passed_over(
    world: World, thoonk: AsyncThoonk, caplog: pytest.LogCaptureFixture
) -> None:
    feed = await thoonk.feed("f")
    async with feed.subscribe() as notices:
        for channel, payload in [
            (b"feed.publish:f", b"no separator"),
            (b"feed.publish:f", b"1\0\xff not text"),
            (b"feed.edit:f", b"\0no id"),
            (b"feed.retract:f", b"a\0b"),
            (b"feed.position:f", b"no separator"),
            (b"job.finish:f", b""),
            (b"conffeed", b"no separator"),
        ]:
            world.raw.publish(channel, payload)
        await feed.publish("x", id="1")
        assert await notices.get(10) == Published("f", "1", "x")
    passed_over = [record for record in caplog.records if "passed over" in record.getMessage()]
    assert len(passed_over) == 7


async def test_a_subscriber_is_told_of_a_gap(real_world: World) -> None:
    async with AsyncThoonk(backend=real_world.url) as client:
        feed = await client.feed("f")
        async with feed.subscribe() as notices:
            assert real_world.raw.client_kill_filter(_type="pubsub") == 1
            assert await notices.get(10) == Gap("f")
            await feed.publish("x", id="1")
            assert await notices.get(10) == Published("f", "1", "x")


async def test_subscribing_without_a_server_is_an_error() -> None:
    async with AsyncThoonk(backend="redis://127.0.0.1:1/0") as client:
        with pytest.raises(BackendUnavailable):
            await client.backend.listen("f")
