"""Many subscriptions share a connection, and none is at the mercy of another."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import pytest
from conftest import World

from thoonk import AccessDenied, AsyncThoonk, Empty, Thoonk
from thoonk.backends import mailbox
from thoonk.backends.redis import wire
from thoonk.notices import Gap, Notice, Published
from thoonk.testing.proxy import between

MANY = 300


def listening(world: World) -> int:
    """Connections that are subscribed to something."""
    return sum("P" in client["flags"] for client in world.raw.client_list())


def poll(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def items(notices: list[Notice]) -> list[bytes]:
    return [notice.item for notice in notices if isinstance(notice, Published)]


def test_many_subscriptions_need_one_connection(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        feeds = [thoonk.feed(f"f{number % 3}") for number in range(MANY)]
        subscriptions = [thoonk.backend.listen(feed.name) for feed in feeds]
        # Those of a test before this one may not be quite gone.
        poll(lambda: listening(real_world) == 1)
        for number in range(3):
            feeds[number].publish(f"item {number}")
        for number, subscription in enumerate(subscriptions):
            notice = subscription.get(20)
            assert isinstance(notice, Published)
            assert notice.item == b"item %d" % (number % 3)
            with pytest.raises(Empty):
                subscription.get(0)
        for subscription in subscriptions[1:]:
            subscription.close()
        feeds[0].publish("still")
        assert items([subscriptions[0].get(20)]) == [b"still"]
        subscriptions[0].close()
        poll(lambda: listening(real_world) == 0)


def test_one_that_is_dropped_without_being_closed_is_unsubscribed(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        kept = thoonk.backend.listen("kept")
        twin, first, second = (thoonk.backend.listen(name) for name in ("twin", "twin", "dropped"))
        poll(lambda: listening(real_world) == 1)
        channels = {b"feed.publish:kept", b"feed.publish:twin", b"feed.publish:dropped"}

        def subscribed() -> set[bytes]:
            return channels & {*real_world.raw.pubsub_channels("feed.publish:*")}

        assert subscribed() == channels
        markers = len(real_world.raw.pubsub_channels("feed.marker:*"))
        del first, second
        gc.collect()
        # Whatever is heard makes the reader look.
        thoonk.feed("kept").publish("x")
        poll(lambda: subscribed() == channels - {b"feed.publish:dropped"})
        assert len(real_world.raw.pubsub_channels("feed.marker:*")) == markers - 2
        with thoonk.feed("dropped").subscribe() as notices:
            thoonk.feed("dropped").publish("y")
            assert notices.get(20).item == "y"
        thoonk.feed("twin").publish("z")
        while not isinstance(twin.get(20), Published):
            pass
        kept.close()
        twin.close()


def test_nothing_from_before_a_subscription_is_heard(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk, thoonk.feed("first").subscribe():
        for number in range(200):
            # The connection hears of all feeds that are created.
            feed = thoonk.feed(f"f{number}")
            with feed.subscribe() as notices:
                feed.publish("x")
                assert isinstance(notices.get(20), Published)


async def test_one_that_begins_while_the_last_one_ends_goes_on(real_world: World) -> None:
    async with AsyncThoonk(backend=real_world.url) as thoonk:
        feed = await thoonk.feed("f")
        for number in range(30):
            last = await thoonk.backend.listen("f")

            async def begin(later: float) -> Any:
                await asyncio.sleep(later)
                return await thoonk.backend.listen("f")

            _, subscription = await asyncio.gather(last.close(), begin(number % 5 * 0.0002))
            await feed.publish("x")
            assert items([await subscription.get(20)]) == [b"x"]
            await subscription.close()


async def test_many_async_subscriptions_need_two_connections(real_world: World) -> None:
    async with AsyncThoonk(backend=real_world.url) as thoonk:
        feed = await thoonk.feed("f")
        of_one = [await thoonk.backend.listen("f") for _ in range(MANY)]
        of_all = [await thoonk.backend.listen() for _ in range(MANY)]
        poll(lambda: listening(real_world) == 2)
        await feed.publish("item")
        for subscription in of_one + of_all:
            notice = await subscription.get(20)
            assert isinstance(notice, Published)
        await asyncio.gather(*(each.close() for each in of_one))
        poll(lambda: listening(real_world) == 1)


def test_one_that_does_not_read_gets_a_gap_and_costs_the_others_nothing(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "MOST_UNREAD", 10_000)
    with Thoonk(backend=real_world.url) as thoonk:
        feed = thoonk.feed("f")
        slow, quick = thoonk.backend.listen("f"), thoonk.backend.listen("f")
        sent = [f"{number:0500}".encode() for number in range(60)]
        heard: list[Notice] = []
        for item in sent:
            feed.publish(item.decode())
            heard.append(quick.get(20))
        assert items(heard) == sent
        assert slow.get(20) == Gap("f")
        with pytest.raises(Empty):
            while True:
                heard.append(slow.get(0.2))
        # Behind the gap it goes on with the latest.
        assert items(heard)[-1] == sent[-1]


def test_a_lost_connection_is_one_gap_for_each(real_world: World) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk(backend=proxy.url) as thoonk,
        Thoonk(backend=real_world.url) as other,
    ):
        feed = other.feed("f")
        names = ["f", "f", "g", None]
        subscriptions = [thoonk.backend.listen(name) for name in names]
        proxy.cut_all()
        assert [each.get(20) for each in subscriptions] == [Gap(name or "") for name in names]
        feed.publish("later")
        for number in (0, 1, 3):
            assert items([subscriptions[number].get(20)]) == [b"later"]
        for subscription in subscriptions:
            with pytest.raises(Empty):
                subscription.get(0.1)


def test_a_subscription_that_is_refused_leaves_the_others_alone(real_world: World) -> None:
    assert real_world.server is not None
    real_world.raw.execute_command(
        *("ACL", "SETUSER", "some", "on", ">secret", "~*", "+@all", "resetchannels"),
        *("&newfeed", "&delfeed", "&conffeed", "&feed.*:f", "&job.*:f", "&feed.marker:*"),
    )
    try:
        url = f"redis://some:secret@127.0.0.1:{real_world.server.port}/0"
        with Thoonk(backend=url) as thoonk:
            feed = thoonk.feed("f")
            first = thoonk.backend.listen("f")
            with pytest.raises(AccessDenied):
                thoonk.backend.listen("g")
            second = thoonk.backend.listen("f")
            feed.publish("item")
            assert items([first.get(20), second.get(20)]) == [b"item", b"item"]
    finally:
        real_world.raw.execute_command("ACL", "DELUSER", "some")


def test_one_that_nobody_refers_to_is_forgotten(real_world: World) -> None:
    with Thoonk(backend=real_world.url) as thoonk:
        feed = thoonk.feed("f")
        kept = thoonk.backend.listen("f")
        thoonk.backend.listen("f")
        feed.publish("item")
        assert items([kept.get(20)]) == [b"item"]
        pubsub = thoonk.backend._to_feeds
        poll(lambda: len(pubsub._all) == 1)


def test_subscribing_while_others_leave_misses_nothing(real_world: World) -> None:
    failures: list[BaseException] = []
    with Thoonk(backend=real_world.url) as thoonk:
        feed = thoonk.feed("f")

        def come_and_go(number: int) -> None:
            try:
                for step in range(60):
                    subscription = thoonk.backend.listen("f")
                    id = feed.publish(f"{number}-{step}")
                    while getattr(subscription.get(20), "id", "") != id:
                        pass
                    subscription.close()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_connection_that_a_balancer_forgot_costs_a_new_subscription_seconds_only(
    real_world: World,
) -> None:
    assert real_world.server is not None
    with (
        between(real_world.server) as proxy,
        Thoonk(backend=proxy.url) as thoonk,
        Thoonk(backend=real_world.url) as other,
    ):
        feed = other.feed("f")
        first = thoonk.backend.listen("f")
        proxy.forget_connections()
        second = thoonk.backend.listen("f")
        feed.publish("item")
        assert items([second.get(20)]) == [b"item"]
        assert first.get(20) == Gap("f")
        assert items([first.get(20)]) == [b"item"]


def test_one_that_is_refused_is_tried_again_however_busy_the_others_are(
    real_world: World,
) -> None:
    assert real_world.server is not None
    channels = ("&newfeed", "&delfeed", "&conffeed", "&feed.marker:*", "&*:f")
    rights = ("on", ">secret", "~*", "+@all", "resetchannels", *channels)
    change = real_world.raw.execute_command
    change("ACL", "SETUSER", "some", *rights, "&*:g")
    over = threading.Event()
    try:
        url = f"redis://some:secret@127.0.0.1:{real_world.server.port}/0"
        with Thoonk(backend=url) as thoonk:
            busy, other = thoonk.feed("f"), thoonk.feed("g")
            of_busy, of_other = thoonk.backend.listen("f"), thoonk.backend.listen("g")

            def publish() -> None:
                while not over.wait(0.02):
                    busy.publish("item")

            publishing = threading.Thread(target=publish)
            publishing.start()
            # The server hangs up on a subscriber that loses a channel.
            change("ACL", "SETUSER", "some", *rights)
            assert of_busy.get(20) is not None
            with pytest.raises(Empty):
                of_other.get(1)
            change("ACL", "SETUSER", "some", *rights, "&*:g")
            assert of_other.get(20) == Gap("g")
            other.publish("heard")
            assert items([of_other.get(20)]) == [b"heard"]
            over.set()
            publishing.join()
    finally:
        over.set()
        change("ACL", "DELUSER", "some")


def test_a_fault_in_reading_is_a_gap_and_ends_no_subscription(
    real_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = wire.read_notice
    faults = [RuntimeError("planted")]

    def faulty(channel: bytes, payload: bytes) -> Any:
        if faults:
            raise faults.pop()
        return read(channel, payload)

    with Thoonk(backend=real_world.url) as thoonk:
        feed = thoonk.feed("f")
        subscription = thoonk.backend.listen("f")
        monkeypatch.setattr(wire, "read_notice", faulty)
        feed.publish("lost")
        assert subscription.get(20) == Gap("f")
        feed.publish("heard")
        assert items([subscription.get(20)]) == [b"heard"]
    assert [each.__dict__["event"] for each in caplog.records if each.levelname == "ERROR"] == [
        "notices_not_read"
    ]
