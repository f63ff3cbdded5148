"""Many takers, many threads, large items, large feeds."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from conftest import World
from servers import Server, processor_time

from thoonk import Empty, Gap, ItemTooLarge, Outcome, Published, Thoonk, waiting


def calls(world: World) -> int:
    stats = world.raw.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


def blocked(world: World) -> int:
    return int(world.raw.info("clients")["blocked_clients"])


@pytest.mark.parametrize("kind", ["queue", "job"])
def test_200_consumers_wait_on_one_connection_and_an_item_wakes_one(
    real_world: World, kind: str
) -> None:
    got: list[object] = []
    with Thoonk(backend=real_world.url) as thoonk:
        backend: Any = thoonk.backend
        feed = getattr(thoonk, kind)("f")

        def get() -> None:
            got.append(feed.get(timeout=60))

        threads = [threading.Thread(target=get) for _ in range(200)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while blocked(real_world) != 1 or len(backend._blocking._lines.places("f")) < 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        before = calls(real_world)
        feed.put("item")
        while not got:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        # The put, the take of the one that woke, and for a queue its confirmation.
        assert calls(real_world) - before <= 5
        assert blocked(real_world) <= 1
        for _ in range(199):
            feed.put("item")
        for thread in threads:
            thread.join(30)
        assert len(got) == 200


def test_hundreds_of_threads_share_one_client(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        feed, queue = thoonk.feed("f"), thoonk.queue("q")
        errors: list[Exception] = []

        def work(number: int) -> None:
            try:
                for step in range(5):
                    feed.publish("x", id=f"{number}-{step}")
                    queue.put("x")
                    queue.get(timeout=30)
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(300)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []
        assert (len(feed), len(queue)) == (1500, 0)
        assert int(real_world.raw.info("clients")["connected_clients"]) < 400


@pytest.fixture
def one_world(running_server: object) -> World:
    """One server is enough for what takes long."""
    server = running_server("redis-6.2")  # type: ignore[operator]
    assert isinstance(server, Server)
    raw = server.client()
    raw.flushall()
    return World("redis-6.2", server.url, raw, server)


@pytest.mark.timeout(120)
def test_items_of_50_megabytes(one_world: World) -> None:
    item = b"\0\xff" * 25_000_000
    with Thoonk(backend=one_world.url) as thoonk:
        feed = thoonk.feed("f", serializer="binary")
        with feed.subscribe() as told, feed.subscribe(resync=True) as caught_up:
            id = feed.publish(item)
            # The server hangs up on a subscriber who has more than 32 MB to read.
            assert told.get(timeout=60) == Gap("f")
            assert caught_up.get(timeout=60) == Published("f", id, item)
        assert feed.get_item(id) == item
        job = thoonk.job("j", serializer="binary")
        job.put(item)
        with job.get(timeout=30) as claim:
            assert claim.item == item
            claim.finish(item)
        assert job.get_result(claim.id, timeout=30).result == item
        thoonk.delete_feed("f")
        thoonk.delete_feed("j")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_feed_of_a_million_items(one_world: World) -> None:
    number = 1_000_000
    with Thoonk(backend=one_world.url) as thoonk:
        feed = thoonk.feed("f")
        pipe = one_world.raw.pipeline(transaction=False)
        for start in range(0, number, 20_000):
            ids = [f"{n:07}" for n in range(start, start + 20_000)]
            pipe.zadd("feed.ids:f", {id: 1.6e12 + int(id) for id in ids})
            pipe.hset("feed.items:f", mapping=dict.fromkeys(ids, "x"))
        pipe.execute()
        started = processor_time(one_world.raw) + time.process_time()
        assert len(feed) == number
        feed.publish("new", id="new")
        feed.edit("0000000", "edited")
        assert feed.retract("0500000")
        assert feed.get_item("0999999") == "x"
        # What does not ask for all takes no longer than in a small feed.
        assert processor_time(one_world.raw) + time.process_time() - started < 1
        ids = feed.get_ids()
        assert len(ids) == number
        assert ids[-2:] == ["new", "0000000"]
        thoonk.delete_feed("f")


def test_max_item_size_refuses_what_is_larger(world: World) -> None:
    config = {"max_item_size": 10}
    with Thoonk(backend=world.url) as thoonk:
        feed, queue = thoonk.feed("f", config), thoonk.queue("q", config)
        job, sorted_feed = thoonk.job("j", config), thoonk.sorted_feed("s", config)
        fits, large = "é" * 5, "é" * 5 + "x"
        id, place = feed.publish(fits), sorted_feed.append(fits)
        for call in (
            lambda: feed.publish(large),
            lambda: feed.edit(id, large),
            lambda: sorted_feed.prepend(large),
            lambda: sorted_feed.edit(place, large),
            lambda: queue.put(large),
            lambda: job.put(large),
        ):
            with pytest.raises(ItemTooLarge) as caught:
                call()
            assert (caught.value.size, caught.value.allowed) == (11, 10)
        assert feed.get_all() == {id: fits}
        assert sorted_feed.get_all() == {place: fits}
        assert (len(queue), len(job)) == (0, 0)
        thoonk.set_config("q", {"max_item_size": 0})
        queue.put(large)
        assert queue.get(timeout=1) == large


def test_an_idle_taker_sends_three_commands_each_time_it_looks(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert waiting.LONGEST_WAIT == 10
    monkeypatch.setattr(waiting, "LONGEST_WAIT", 0.2)

    def commands() -> int:
        stats = real_world.raw.info("commandstats")
        # What a script calls counts as a command, too; only that of scripts is no client's.
        sent = ("evalsha", "eval", "brpoplpush", "client", "client|id", "client|unblock", "ping")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in sent)

    with Thoonk(backend=real_world.url) as thoonk:
        queue = thoonk.queue("q")
        with pytest.raises(Empty):
            queue.get(timeout=0.1)
        before = commands()
        with pytest.raises(Empty):
            queue.get(timeout=3)
        sent = commands() - before
    looks = 3 / 0.2
    # It blocks, ends that itself when its time has come, and takes.
    # Fewer where it stands still for a part of the time.
    assert looks / 3 <= sent <= 3 * looks + 8


def test_many_jobs_that_wait_are_put_off_without_a_search_for_each(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        job = thoonk.job("j")
        job.put_many("x" for _ in range(10_000))
        job.put_many({f"{n}": "x" for n in range(200)})
        job.put_many("x" for _ in range(10_000))

        def searches() -> int:
            stats = real_world.raw.info("commandstats")
            return int(stats.get("cmdstat_lrem", {"calls": 0})["calls"])

        before = searches()
        put = job.put_many({f"{n}": "y" for n in range(200)}, if_exists="replace", delay=600)
        assert {one.outcome for one in put} == {Outcome.REPLACED}
        assert searches() - before < 10
        counts = job.get_counts()
        assert (counts.waiting, counts.scheduled) == (20_000, 200)
