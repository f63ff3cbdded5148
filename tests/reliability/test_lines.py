"""Consumers of a client that wait for the same feed share a connection, whatever befalls one."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from conftest import World

from thoonk import AsyncThoonk, Empty, Thoonk
from thoonk.backends.redis._sync import links
from thoonk.backends.redis.lines import Lines, Place
from thoonk.worker import AsyncWorker

PATIENCE = 30.0


def poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def poll_async(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


def in_line(thoonk: Any, feed: str) -> int:
    return len(thoonk.backend._blocking._lines.places(feed))


def blocked(world: World) -> list[dict[str, str]]:
    clients: Any = world.raw.client_list()
    return [each for each in clients if each["cmd"] == "brpoplpush" and "b" in each["flags"]]


def scripts(world: World) -> int:
    stats: Any = world.raw.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


async def test_an_idle_worker_with_200_tasks_has_three_connections(real_world: World) -> None:
    before = len(real_world.raw.client_list())
    done: Counter[str] = Counter()
    worker = AsyncWorker(real_world.url, concurrency=200)

    @worker.handles("f")
    async def handle(item: str) -> None:
        done[item] += 1

    running = asyncio.create_task(worker.serve())
    async with AsyncThoonk(backend=real_world.url) as thoonk:
        job = await thoonk.job("f")
        await poll_async(lambda: len(blocked(real_world)) == 1)
        # Its calls, its waiting, and its subscription; and the calls of this client.
        assert len(real_world.raw.client_list()) - before <= 3 + 1
        for number in range(400):
            await job.put(f"{number}")
        await poll_async(lambda: done.total() == 400)
    assert set(done.values()) == {1}
    worker.stop()
    async with asyncio.timeout(PATIENCE):
        await running


@pytest.mark.parametrize("kind", ["queue", "job"])
async def test_items_that_come_at_once_reach_all_who_wait(real_world: World, kind: str) -> None:
    async with AsyncThoonk(backend=real_world.url) as thoonk:
        feed = await getattr(thoonk, kind)("f")
        waiting = [asyncio.create_task(feed.get(timeout=PATIENCE)) for _ in range(100)]
        await poll_async(lambda: in_line(thoonk, "f") == 100 and len(blocked(real_world)) == 1)
        before = scripts(real_world)
        await feed.put_many([f"{number}" for number in range(100)])
        async with asyncio.timeout(PATIENCE):
            got = await asyncio.gather(*waiting)
        items = got if kind == "queue" else [claim.item for claim in got]
        assert sorted(items, key=int) == [f"{number}" for number in range(100)]
        # A take for each, and for a queue a confirmation; few looked in vain.
        assert scripts(real_world) - before <= (260 if kind == "queue" else 160)


async def test_whoever_is_cancelled_in_line_takes_nothing_along(real_world: World) -> None:
    rng = random.Random(7)
    got: Counter[str] = Counter()
    async with AsyncThoonk(backend=real_world.url) as thoonk:
        queue = await thoonk.queue("f")

        async def consume() -> None:
            while True:
                got[await queue.get()] += 1

        consumers = [asyncio.create_task(consume()) for _ in range(20)]
        for number in range(300):
            await queue.put(f"{number}")
            if rng.random() < 0.5:
                await asyncio.sleep(rng.uniform(0, 0.002))
            victim = rng.randrange(len(consumers))
            consumers[victim].cancel()
            consumers[victim] = asyncio.create_task(consume())
        # What was given back reaches another without help.
        await poll_async(lambda: got.total() >= 300)
        for each in consumers:
            each.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
        assert got == Counter({f"{number}": 1 for number in range(300)})
        assert in_line(thoonk, "f") == 0


def test_the_others_wait_on_when_the_connection_is_lost(real_world: World) -> None:
    got: list[str] = []
    with Thoonk(backend=real_world.url) as thoonk:
        queue = thoonk.queue("f")
        threads = [
            threading.Thread(target=lambda: got.append(queue.get(timeout=PATIENCE)))
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for number in range(10):
            poll(lambda: len(blocked(real_world)) == 1)
            poll(lambda left=10 - number: in_line(thoonk, "f") == left)  # type: ignore[misc]
            real_world.raw.client_kill_filter(_id=blocked(real_world)[0]["id"])
            poll(lambda: len(blocked(real_world)) == 1)
            queue.put(f"{number}")
            poll(lambda seen=number + 1: len(got) == seen)  # type: ignore[misc]
        for thread in threads:
            thread.join(PATIENCE)
        assert got == [f"{number}" for number in range(10)]


def test_each_in_line_waits_for_as_long_as_it_said(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        queue = thoonk.queue("f")
        first = threading.Thread(target=lambda: queue.get(timeout=PATIENCE))
        first.start()
        poll(lambda: len(blocked(real_world)) == 1)
        begun = time.monotonic()
        with pytest.raises(Empty):
            queue.get(timeout=0.2)
        assert 0.2 <= time.monotonic() - begun < PATIENCE / 2
        queue.put("x")
        first.join(PATIENCE)


def test_who_is_called_and_does_not_look_passes_it_on() -> None:
    lines, woken = Lines(), list[str]()

    def place(name: str) -> Place:
        return Place("f", name, lambda: woken.append(name), None)

    places = [place(name) for name in "abcd"]
    for each in places:
        lines.enter(each)
    assert [lines.is_first(each) for each in places] == [True, False, False, False]
    lines.call("f", 1)
    assert woken == ["b"]
    lines.leave(places[1])
    assert woken == ["b", "c"]
    lines.leave(places[0])
    assert (woken, lines.is_first(places[2])) == (["b", "c", "c"], True)
    lines.leave(places[2])
    assert (woken, lines.is_first(places[3])) == (["b", "c", "c", "d"], True)
    lines.leave(places[3])
    lines.leave(places[3])
    assert lines.places() == []


def publish_at_once(feed: Any, count: int) -> None:
    """Publish from so many threads, 20 times from each."""
    barrier = threading.Barrier(count)

    def publish() -> None:
        for _ in range(20):
            barrier.wait(PATIENCE)
            feed.publish("x")

    threads = [threading.Thread(target=publish) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


def test_a_wait_ends_in_time_though_calls_keep_all_connections(real_world: World) -> None:
    with Thoonk(backend=real_world.url, max_connections=4) as thoonk:
        feed, queue = thoonk.feed("f"), thoonk.queue("q")
        publish_at_once(feed, 12)
        began = time.monotonic()
        with pytest.raises(Empty):
            queue.get(timeout=0.2)
        # The pool would be waited for for 20 seconds.
        assert time.monotonic() - began < 15


def test_connections_of_threads_that_became_idle_are_closed(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connections() -> int:
        clients: Any = real_world.raw.client_list()
        return sum(each["name"].endswith(f":{os.getpid()}") for each in clients)

    poll(lambda: connections() == 0)  # a test before this one may not be quite over
    with Thoonk(backend=real_world.url) as thoonk:
        feed = thoonk.feed("f")
        publish_at_once(feed, 20)
        opened = connections()
        assert opened > 1
        feed.publish("x")
        assert connections() == opened
        monkeypatch.setattr(links, "IDLE_FOR", 0.0)
        more = 0

        def publish_more() -> bool:
            # Each drops one link, which may have given its connection to another.
            nonlocal more
            feed.publish("x")
            more += 1
            return connections() == 1

        poll(publish_more)
        assert len(feed) == 400 + 1 + more
