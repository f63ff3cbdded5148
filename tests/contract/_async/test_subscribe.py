"""A feed's notices (contract: Channels)."""

# ruff: noqa: C416, RUF100, SIM117 - the same text serves both worlds

from __future__ import annotations

import pytest
from conftest import World

from thoonk import (
    AsyncThoonk,
    BackendUnavailable,
    Closed,
    Gap,
    Published,
)
from thoonk.testing._async.helpers import Background, pause


async def test_closing_the_client_ends_its_subscriptions(world: World) -> None:
    async with AsyncThoonk(backend=world.url) as client:
        feed = await client.feed("f")
        notices = feed.subscribe()
        await notices.__aenter__()
        waiting = Background(notices.get)
        await pause(0.1)
    with pytest.raises(Closed):
        await waiting.result()


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
    passed_over = [record for record in caplog.records if "skipped" in record.getMessage()]
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
