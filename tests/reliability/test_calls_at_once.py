"""Calls of one event loop share a connection: no answer reaches another's call."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter

import attrs
import pytest
from conftest import World

from thoonk import AsyncThoonk, BackendUnavailable, Empty
from thoonk._async.feed import AsyncFeed
from thoonk._async.queue import AsyncQueue
from thoonk.backends.redis import settings
from thoonk.backends.redis._async.connection import dedicated_connection
from thoonk.backends.redis._async.shared import SharedConnection
from thoonk.backends.redis.packing import pack
from thoonk.testing.proxy import Cut, Proxy, between

CALLERS = 200
STEPS = 25
PING = pack(b"PING")


@attrs.define
class Seen:
    """What callers were told. ``unsure`` holds what was cancelled on the way."""

    put: set[str] = attrs.Factory(set)
    got: Counter[str] = attrs.Factory(Counter)
    unsure: set[str] = attrs.Factory(set)
    cancelled: int = 0


async def call(
    number: int, feed: AsyncFeed[str], queue: AsyncQueue[str], seen: Seen, rng: random.Random
) -> None:
    for step in range(STEPS):
        name = f"{number}-{step}"
        size = rng.choice([10, 100, 1000, 100_000])
        try:
            async with asyncio.timeout(rng.uniform(0, 0.2) if rng.random() < 0.3 else None):
                match rng.choice(["feed", "ids", "put", "get"]):
                    case "feed":
                        item = name.ljust(size)
                        assert await feed.publish(item, id=name) == name
                        assert await feed.get_item(name) == item
                        await feed.retract(name)
                    case "ids":
                        assert await feed.has_id(f"none-{name}") is False
                        assert await feed.has_id("always") is True
                        assert await feed.get_item("always") == "here"
                    case "put":
                        seen.unsure.add(name)
                        await queue.put(name)
                        seen.put.add(name)
                        seen.unsure.remove(name)
                    case _:
                        with contextlib.suppress(Empty):
                            seen.got[await queue.get_nowait()] += 1
        except TimeoutError:
            seen.cancelled += 1


async def disturb(proxy: Proxy, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.uniform(0, 0.1))
        match rng.choice(["cut", "all", "forget", "hold"]):
            case "cut":
                proxy.armed += [rng.choice([None, *Cut])]
            case "all":
                proxy.cut_all()
            case "forget" if rng.random() < 0.2:
                proxy.forget_connections()
            case "hold":
                proxy.hold_replies()
                await asyncio.sleep(rng.uniform(0, 0.3))
                proxy.thaw()


@pytest.mark.parametrize("seed", [1, 2])
async def test_calls_through_cuts_cancellations_and_silence_get_their_own_answers(
    real_world: World, seed: int
) -> None:
    assert real_world.server is not None
    rng = random.Random(seed)
    seen = Seen()
    with between(real_world.server) as proxy:
        async with AsyncThoonk(backend=proxy.url, socket_timeout=1, retry_for=120) as thoonk:
            feed, queue = await thoonk.feed("f"), await thoonk.queue("q")
            await feed.publish("here", id="always")
            disturbing = asyncio.create_task(disturb(proxy, rng))
            async with asyncio.TaskGroup() as tasks:
                for number in range(CALLERS):
                    own = random.Random(f"{seed}-{number}")
                    tasks.create_task(call(number, feed, queue, seen, own))
            disturbing.cancel()
            await asyncio.wait([disturbing])
            proxy.thaw()
            proxy.armed.clear()
            # What was cancelled while it took an item has been put back.
            with contextlib.suppress(Empty):
                while True:
                    seen.got[await queue.get_nowait()] += 1
    assert [item for item, times in seen.got.items() if times > 1] == []
    assert seen.put - set(seen.got) == set()
    assert set(seen.got) - seen.put <= seen.unsure
    assert seen.cancelled > 0
    assert proxy.done


async def test_hundred_calls_at_once_need_one_connection(real_world: World) -> None:
    async with AsyncThoonk(backend=real_world.url) as thoonk:
        feed = await thoonk.feed("f")
        before = int(real_world.raw.info("clients")["connected_clients"])
        ids = await asyncio.gather(*(feed.publish(str(n), id=str(n)) for n in range(100)))
        assert ids == [str(n) for n in range(100)]
        # Fewer, if one of a test before this one was not quite gone.
        assert int(real_world.raw.info("clients")["connected_clients"]) <= before


async def test_a_large_item_does_not_hold_up_small_calls(real_world: World) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy:
        async with AsyncThoonk(backend=proxy.url) as thoonk:
            feed = await thoonk.feed("f")
            await feed.publish("small", id="1")
            large = asyncio.create_task(feed.publish("x" * 30_000_000, id="large"))
            calls = 0
            while not large.done():
                await feed.get_item("1")
                calls += 1
            await large
        assert calls > 3


async def test_a_late_reply_ends_its_own_call_only(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After that it would be repeated.
    monkeypatch.setattr(settings, "FIRST_REPLY_TIMEOUT", 60.0)
    assert real_world.server is not None
    with between(real_world.server) as proxy:
        async with AsyncThoonk(backend=proxy.url, retry_for=60, socket_timeout=60) as thoonk:
            feed = await thoonk.feed("f")
            await feed.publish("a", id="a")
            proxy.hold_replies()
            hasty = asyncio.create_task(asyncio.wait_for(feed.get_item("a"), 0.2))
            patient = asyncio.create_task(feed.publish("b", id="b"))
            with pytest.raises(TimeoutError):
                await hasty
            began = time.monotonic()
            proxy.thaw()
            # It is not repeated, for its own reply arrives in its own time.
            assert await patient == "b"
            assert time.monotonic() - began < 30
            assert await feed.get_item("b") == "b"


async def test_a_connection_that_gets_no_more_replies_is_closed(real_world: World) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy:
        async with AsyncThoonk(backend=proxy.url) as thoonk:
            pool = thoonk.backend._pool
            shared = SharedConnection(dedicated_connection(pool))
            await shared.open()
            proxy.hold_replies()
            late, cancelled = shared.send(PING, 0.1), shared.send(PING, 0.3)
            with pytest.raises(TimeoutError):
                await late
            assert not shared.is_open
            cancelled.cancel()
            deadline = time.monotonic() + 20
            while shared._is_connected:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)


async def test_nothing_was_done_over_a_connection_that_is_closed_at_once(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def opened(shared: SharedConnection) -> None:
        await real_open(shared)
        shared.close()

    real_open = SharedConnection.open
    async with AsyncThoonk(backend=real_world.url, retry_for=0) as thoonk:
        queue = await thoonk.queue("q")
        thoonk.backend._server.close()
        monkeypatch.setattr(SharedConnection, "open", opened)
        with pytest.raises(BackendUnavailable):
            await queue.put("x")
        monkeypatch.undo()
    assert real_world.raw.hlen("feed.items:q") == 0
