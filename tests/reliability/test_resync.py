"""A mirror built from notices equals the feed, whatever was missed (resync=True)."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import World
from mirror import Mirror

from thoonk import AsyncThoonk, Empty, Gap, InvalidValue, Published, Thoonk
from thoonk.testing.proxy import between

KINDS = ("feed", "sorted_feed")


def change(feed: Any, chance: random.Random) -> None:
    """One random change by the public calls."""
    ids = feed.get_ids()
    item = str(chance.randrange(5))
    what = chance.randrange(6 if ids else 1)
    if what == 0 or len(ids) < 3:
        feed.publish(item)
    elif what == 1:
        feed.edit(chance.choice(ids), item)
    elif what == 2:
        feed.retract(chance.choice(ids))
    elif feed.kind == "sorted_feed":
        [feed.move_first, feed.move_last, feed.prepend][what - 3](
            item if what == 5 else chance.choice(ids)
        )
    else:
        # Published again as it was: nothing but the order changes.
        id = chance.choice(ids)
        feed.publish(feed.get_item(id), id=id)


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_with_what_is_there(world: World, kind: str) -> None:
    with Thoonk(backend=world.url) as thoonk:
        feed = getattr(thoonk, kind)("f")
        for item in "abc":
            feed.publish(item)
        mirror = Mirror(kind)
        with feed.subscribe(resync=True) as notices:
            feed.publish("d")
            while len(mirror.ids) < 4 or (kind == "sorted_feed" and mirror.ids != feed.get_ids()):
                mirror.apply(notices.get(timeout=5))
        assert (mirror.ids, mirror.items) == (feed.get_ids(), feed.get_all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_mirror_equals_the_feed_though_connections_are_cut(
    real_world: World, kind: str, seed: int
) -> None:
    assert real_world.server is not None
    chance = random.Random(seed)
    with between(real_world.server) as proxy, Thoonk(backend=real_world.url) as writer:
        feed = getattr(writer, kind)("f", {"max_length": 12} if kind == "feed" else None)
        done = threading.Event()

        def write() -> None:
            for number in range(300):
                change(feed, chance)
                if number % 40 == 20:
                    # While it is away, things change.
                    proxy.refuse = True
                    proxy.cut_all()
                    for _ in range(chance.randrange(10)):
                        change(feed, chance)
                    proxy.refuse = False
            done.set()

        mirror = Mirror(kind)
        with Thoonk(backend=proxy.url) as reader:
            thread = threading.Thread(target=write)
            with getattr(reader, kind)("f").subscribe(resync=True) as notices:
                thread.start()
                deadline = time.monotonic() + 60
                while True:
                    try:
                        notice = notices.get(timeout=0.3)
                    except Empty:
                        if done.is_set() and mirror.ids == feed.get_ids():
                            break
                        assert time.monotonic() < deadline, (mirror.ids, feed.get_ids())
                    else:
                        assert not isinstance(notice, Gap)
                        mirror.apply(notice)
            thread.join()
        assert (mirror.ids, mirror.items) == (feed.get_ids(), feed.get_all())


def test_without_resync_the_gap_is_told(real_world: World) -> None:
    assert real_world.server is not None
    with between(real_world.server) as proxy, Thoonk(backend=proxy.url) as thoonk:
        with thoonk.feed("f").subscribe() as notices:
            proxy.cut_all()
            assert notices.get(timeout=10) == Gap("f")


def test_queues_and_jobs_cannot_be_resynced(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        for feed in (thoonk.queue("q"), thoonk.job("j")):
            with pytest.raises(InvalidValue):
                feed.subscribe(resync=True)


# --- short timeouts, interruptions ------------------------------------------------------------


def scripts_run(world: World) -> int:
    stats = world.raw.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))


def follow(notices: Any, mirror: Mirror, timeout: float, until: Any) -> None:
    """Apply notices until ``until()`` is true when nothing more comes."""
    deadline = time.monotonic() + 60
    while True:
        try:
            mirror.apply(notices.get(timeout=timeout))
        except Empty:
            if until():
                return
            assert time.monotonic() < deadline, "it gets no further"


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_feed_is_read_once_however_short_the_timeouts_are(
    real_world: World, kind: str
) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        feed = getattr(thoonk, kind)("f")
        for _ in range(4):
            feed.publish_many(["x" * 1000] * 1000)
        mirror = Mirror(kind)
        with feed.subscribe(resync=True) as notices:
            before = scripts_run(real_world)
            follow(notices, mirror, 0.0001, lambda: len(mirror.items) == 4000)
            asked = scripts_run(real_world) - before
        assert (mirror.ids, mirror.items) == (feed.get_ids(), feed.get_all())
        assert asked <= 2 * 4_000_000 / 250_000


@contextlib.contextmanager
def changed_meanwhile(world: World, kind: str, seed: int) -> Iterator[threading.Event]:
    """Somebody else changes the feed until the event is set, which it is at the end."""
    done = threading.Event()

    def write() -> None:
        chance = random.Random(seed)
        with Thoonk(backend=world.url) as writer:
            feed = getattr(writer, kind)("f")
            for _ in range(300):
                change(feed, chance)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield done
    finally:
        thread.join()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_a_mirror_equals_the_feed_though_each_call_ends_in_the_middle(
    real_world: World, kind: str, seed: int
) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        feed = getattr(thoonk, kind)("f")
        feed.publish_many(["x"] * 1000)
        feed.publish_many(["y"] * 1000)
        mirror = Mirror(kind)
        with (
            feed.subscribe(resync=True) as notices,
            changed_meanwhile(real_world, kind, seed) as done,
        ):
            follow(
                notices,
                mirror,
                0.0001,
                lambda: done.is_set() and (mirror.ids, mirror.items) == contents(feed),
            )


def contents(feed: Any) -> tuple[list[str], dict[str, Any]]:
    return feed.get_ids(), feed.get_all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_mirror_equals_the_feed_though_the_reader_is_cancelled_all_the_time(
    real_world: World, kind: str
) -> None:
    async def main() -> None:
        chance = random.Random(1)
        mirror = Mirror(kind)
        async with AsyncThoonk(backend=real_world.url) as thoonk:
            feed = await getattr(thoonk, kind)("f")
            await feed.publish_many(["x"] * 1000)
            async with feed.subscribe(resync=True) as notices:
                with changed_meanwhile(real_world, kind, 5) as done:
                    deadline = time.monotonic() + 60
                    while True:
                        was_done = done.is_set()
                        task = asyncio.ensure_future(notices.get(timeout=1))
                        for _ in range(chance.randrange(40)):
                            await asyncio.sleep(0)
                        if chance.randrange(3) == 0 and not was_done:
                            task.cancel()
                        try:
                            mirror.apply(await task)
                        except asyncio.CancelledError:
                            assert time.monotonic() < deadline
                        except Empty:
                            if was_done and mirror.ids == await feed.get_ids():
                                break
                            assert time.monotonic() < deadline
            assert mirror.ids == await feed.get_ids()
            assert mirror.items == await feed.get_all()

    asyncio.run(main())


# --- clocks, and what peers write ----------------------------------------------------------------


def test_what_a_peer_whose_clock_is_behind_published_meanwhile_is_told(real_world: World) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk(backend=proxy.url) as reader,
        Thoonk(backend=real_world.url) as writer,
    ):
        feed = writer.feed("f")
        feed.publish("old", id="a")
        feed.publish("new", id="b")
        mirror = Mirror("feed")
        with reader.feed("f").subscribe(resync=True) as notices:
            follow(notices, mirror, 0.3, lambda: len(mirror.ids) == 2)
            proxy.refuse = True
            proxy.cut_all()
            # As a peer does it, by a clock that is a second behind.
            score = real_world.raw.zscore("feed.ids:f", "a")
            assert score is not None
            real_world.raw.hset("feed.items:f", "late", "from the past")
            real_world.raw.zadd("feed.ids:f", {"late": score - 1000})
            real_world.raw.hset("feed.items:f", "b", "edited in the past")
            real_world.raw.zadd("feed.ids:f", {"b": score - 500})
            proxy.refuse = False
            follow(notices, mirror, 0.3, lambda: mirror.ids == ["late", "b", "a"])
        assert (mirror.ids, mirror.items) == contents(feed)


def test_what_a_peer_whose_clock_is_behind_publishes_during_a_resync_is_told(
    real_world: World,
) -> None:
    raw = real_world.raw
    with Thoonk(backend=real_world.url) as thoonk:
        feed = thoonk.feed("f")
        feed.publish_many(["x"] * 1000)
        feed.publish_many(["x"] * 1000)
        (first,) = raw.zrange("feed.ids:f", 0, 0, withscores=True)
        mirror = Mirror("feed")
        with feed.subscribe(resync=True) as notices:
            for number in range(30):
                with raw.pipeline() as step:
                    step.zadd("feed.ids:f", {f"late-{number}": first[1] - 1000 + number})
                    step.hset("feed.items:f", f"late-{number}", "x")
                    step.publish("feed.publish:f", f"late-{number}\0x")
                    step.execute()
                with contextlib.suppress(Empty):
                    mirror.apply(notices.get(timeout=0.0001))
            follow(notices, mirror, 0.3, lambda: len(mirror.ids) == 2030)
        assert sorted(mirror.ids) == sorted(feed.get_ids())
        assert mirror.items == feed.get_all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_feed_that_is_deleted_and_made_anew_meanwhile_is_told_as_it_is_then(
    real_world: World, kind: str
) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        feed = getattr(thoonk, kind)("f")
        feed.publish_many(["x"] * 1000)
        mirror = Mirror(kind)
        with feed.subscribe(resync=True) as notices:
            with contextlib.suppress(Empty):
                mirror.apply(notices.get(timeout=0.0001))
            thoonk.delete_feed("f")
            feed = getattr(thoonk, kind)("f")
            feed.publish_many(["y"] * 10)
            follow(notices, mirror, 0.3, lambda: len(mirror.ids) == 10)
        assert (mirror.ids, mirror.items) == contents(feed)


def test_an_id_that_is_twice_in_a_sorted_feed_ends_no_subscription(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        feed = thoonk.sorted_feed("f")
        ids = feed.publish_many(["a", "b", "c"])
        world.raw.rpush("feed.ids:f", ids[0], ids[1])
        mirror = Mirror("sorted_feed")
        with feed.subscribe(resync=True) as notices:
            follow(notices, mirror, 0.3, lambda: mirror.ids == ids)
            # It is moved, and the other place is left.
            feed.move_last(ids[2])
            feed.retract(ids[0])
            later = feed.publish("d")
            follow(notices, mirror, 0.3, lambda: later in mirror.ids)


@pytest.mark.parametrize("resync", [False, True])
@pytest.mark.parametrize("payload", [b"1\0nowhere", b"1\0", b"1\x00:7:", b"\0:end", b"1"])
def test_a_position_that_cannot_be_read_ends_no_loop(
    world: World, payload: bytes, *, resync: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with Thoonk(backend=world.url) as thoonk:
        feed = thoonk.sorted_feed("f")
        feed.publish("a")
        mirror = Mirror("sorted_feed")
        with feed.subscribe(resync=resync) as notices:
            if resync:
                follow(notices, mirror, 0.3, lambda: mirror.ids == ["1"])
            world.raw.publish("feed.position:f", payload)
            later = feed.publish("b")
            for notice in notices:
                mirror.apply(notice)
                if mirror.ids[-1:] == [later] and notice.id == later:
                    break
        assert "skipped" in caplog.text


def test_a_handler_is_not_called_with_a_position_that_cannot_be_read(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    told, done = [], threading.Event()

    def moved(feed: str, id: str, position: str) -> None:
        told.append((id, position))
        if len(told) == 2:
            done.set()

    with Thoonk(backend=world.url, listen=True) as thoonk:
        thoonk.register_handler("position", moved)
        feed = thoonk.sorted_feed("f")
        feed.publish("a")
        world.raw.publish("feed.position:f", b"1\0nowhere")
        feed.move_first("1")
        assert done.wait(30)
    assert told == [("1", ":end"), ("1", "begin:")]
    assert "notice_passed_over" in {getattr(record, "event", "") for record in caplog.records}


def test_what_a_peer_says_of_ids_that_are_not_there_leads_to_what_is_there(world: World) -> None:
    with Thoonk(backend=world.url) as thoonk:
        feed = thoonk.sorted_feed("f")
        ids = feed.publish_many(["a", "b", "c"])
        mirror = Mirror("sorted_feed")
        with feed.subscribe(resync=True) as notices:
            follow(notices, mirror, 0.3, lambda: mirror.ids == ids)
            for payload in (
                b"1\0:99",
                b"1\x0099:",
                b"99\0:end",
                b"1\0:1",
                b"1\0\xff:",
                b"\xff\0:end",
            ):
                world.raw.publish("feed.position:f", payload)
                ids.append(feed.publish("d"))
                follow(notices, mirror, 0.1, lambda: mirror.ids == ids)


# --- others on the event loop --------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_event_loop_goes_on_while_a_long_feed_is_caught_up_with(
    real_world: World, kind: str
) -> None:
    async def main() -> None:
        longest, last = 0.0, time.thread_time()

        async def tick() -> None:
            # Processor time of this thread: what else the machine does is not counted.
            nonlocal longest, last
            while True:
                now = time.thread_time()
                longest, last = max(longest, now - last), now
                await asyncio.sleep(0)

        async with AsyncThoonk(backend=real_world.url) as thoonk:
            feed = await getattr(thoonk, kind)("f")
            for _ in range(16):
                await feed.publish_many(["x"] * 1000)
            ids = []
            async with feed.subscribe(resync=True) as notices:
                ticking = asyncio.ensure_future(tick())
                async for notice in notices:
                    if isinstance(notice, Published):
                        ids.append(notice.id)
                        if len(ids) == 16_000:
                            break
                ticking.cancel()
            assert ids == await feed.get_ids()
        assert longest < 0.4

    asyncio.run(main())
