"""Many subscriptions share a connection, and none is at the mercy of another."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from conftest import World

from thoonk import AccessDenied, AsyncThoonk, Empty, Thoonk
from thoonk.backends import mailbox
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
        assert listening(real_world) == 1
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


async def test_many_async_subscriptions_need_two_connections(real_world: World) -> None:
    async with AsyncThoonk(backend=real_world.url) as thoonk:
        feed = await thoonk.feed("f")
        of_one = [await thoonk.backend.listen("f") for _ in range(MANY)]
        of_all = [await thoonk.backend.listen() for _ in range(MANY)]
        assert listening(real_world) == 2
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
        listener = thoonk.backend._to_feeds
        poll(lambda: len(listener._all) == 1)
