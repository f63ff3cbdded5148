"""Notices on a cluster: all of them, or a gap, wherever a feed goes."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clusters import Cluster, becomes_true, slot_of
from either import entered, settle
from loads import Publisher, feed_at, heard

from thoonk import AsyncThoonk, Closed, Thoonk
from thoonk.backends.redis.slots import CATALOGUE_SLOT
from thoonk.exceptions import InvalidValue
from thoonk.notices import Configured, Created, Deleted, Gap, Notice, Published


async def next_of(subscription: Any) -> Notice:
    """The next notice but those of configurations.

    The one of a new feed is published where the names of all feeds are, together with the one of
    its creation. How long it takes to the node of the feed, nobody knows.
    """
    while isinstance(notice := await settle(subscription.get(20)), Configured):
        pass
    return notice


async def test_what_was_published_before_is_not_heard(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url) as thoonk, Thoonk(backend=cluster.url) as listener:
        for name in (feed_at(cluster, node) for node in cluster.masters()):
            publisher = Publisher(thoonk, name)
            for _ in range(6):
                for _ in range(10):
                    publisher.publish()
                one, all = listener.backend.listen(name), listener.backend.listen()
                publisher.publish()
                for subscription in (one, all):
                    notice = await next_of(subscription)
                    assert isinstance(notice, Published)
                    assert int(notice.item) == publisher.count - 1
                    subscription.close()


@pytest.mark.parametrize("client", [Thoonk, AsyncThoonk])
async def test_what_happens_is_heard_where_it_happens(
    cluster: Cluster, client: Callable[..., Any]
) -> None:
    names = [feed_at(cluster, node) for node in cluster.masters()]
    async with (
        entered(client(backend=cluster.url)) as thoonk,
        entered(client(backend=cluster.url)) as listener,
    ):
        to_all = await settle(listener.backend.listen())
        ones = [await settle(listener.backend.listen(name)) for name in names]
        happened = []
        for name in names:
            feed = await settle(thoonk.feed(name))
            await settle(feed.publish(name, id="1"))
            await settle(thoonk.delete_feed(name))
            published = Published(name, "1", name.encode())
            happened.append([Created(name), published, Deleted(name)])
        for expected, one in zip(happened, ones, strict=True):
            assert Counter([await next_of(one) for _ in expected]) == Counter(expected)
        found = [await next_of(to_all) for _ in range(3 * len(names))]
        assert Counter(found) == Counter(itertools.chain(*happened))
        for one in (to_all, *ones):
            await settle(one.close())


def test_a_slot_that_moves_costs_a_gap_at_most(cluster: Cluster) -> None:
    source = cluster.owner("{f}")
    target = cluster.other_master(source)
    with (
        Thoonk(backend=cluster.url) as thoonk,
        Thoonk(backend=cluster.url) as listener,
    ):
        publisher = Publisher(thoonk, "{f}")
        with heard(listener, "{f}") as one, heard(listener) as all, publisher.running():
            for number, goal in enumerate((target, source)):
                cluster.move(slot_of("{f}"), goal)
                becomes_true(lambda n=number: one.gaps > n and all.gaps > n, 60)
                count = publisher.count
                becomes_true(lambda c=count: publisher.count > c + 5)
            publisher._over.set()
            becomes_true(lambda: one.items[-1] == all.items[-1] == publisher.count - 1)
            one.check(publisher.count)
            all.check(publisher.count)
            assert (one.gaps, all.gaps) == (2, 2)


async def until(subscription: Any, kind: type[Notice]) -> Notice:
    """The next notice of that kind."""
    while not isinstance(notice := await subscription.get(60), kind):
        pass
    return notice


async def test_subscriptions_of_asyncio_follow_their_feed(cluster: Cluster) -> None:
    source = cluster.owner("{f}")
    async with (
        AsyncThoonk(backend=cluster.url) as thoonk,
        AsyncThoonk(backend=cluster.url) as listener,
    ):
        feed = await thoonk.feed("{f}")
        subscriptions = [await listener.backend.listen(name) for name in ("{f}", None, "{f}")]

        async def all_hear(id: str) -> None:
            await feed.publish("x", id=id)
            for subscription in subscriptions:
                assert await until(subscription, Published) == Published("{f}", id, b"x")

        async def all_have_a_gap() -> None:
            for subscription in subscriptions:
                await until(subscription, Gap)

        await all_hear("1")
        await asyncio.to_thread(cluster.move, slot_of("{f}"), cluster.other_master(source))
        await all_have_a_gap()
        await all_hear("2")
        cluster.owner("{f}").call("CLIENT", "KILL", "TYPE", "pubsub")
        await all_have_a_gap()
        await all_hear("3")
        await asyncio.to_thread(cluster.fail_over, cluster.owner("{f}"))
        await all_have_a_gap()
        await asyncio.to_thread(cluster.settle)
        closing = subscriptions.pop()
        await closing.close()
        with pytest.raises(Closed):
            await closing.get(1)
        catalogue = cluster.owner("feeds")
        catalogue.call("SREM", "feeds", "{f}")
        catalogue.call("CLIENT", "KILL", "TYPE", "pubsub")
        assert await until(subscriptions[0], Deleted) == Deleted("{f}")
        for subscription in subscriptions:
            await subscription.close()


def test_a_failover_in_good_order_costs_a_gap_at_most(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url) as thoonk, Thoonk(backend=cluster.url) as listener:
        publisher = Publisher(thoonk, "{f}")
        with heard(listener, "{f}") as one, heard(listener) as all, publisher.running():
            cluster.fail_over(cluster.owner("{f}"))
            becomes_true(lambda: one.gaps and all.gaps, 60)
            cluster.settle()
            publisher._over.set()
            becomes_true(lambda: one.items[-1] == all.items[-1] == publisher.count - 1)
            one.check(publisher.count)
            all.check(publisher.count)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_node_is_one_gap_for_those_who_listened_there(
    cluster: Cluster, how: signal.Signals
) -> None:
    masters = cluster.masters()
    lost = next(node for node in masters if node is not cluster.owner("feeds"))
    kept = next(node for node in masters if node is not lost)
    here, there = feed_at(cluster, lost), feed_at(cluster, kept)
    with (
        Thoonk(backend=cluster.url) as thoonk,
        Thoonk(backend=cluster.url) as listener,
    ):
        publisher, other = Publisher(thoonk, here, 10_000), Publisher(thoonk, there)
        with (
            heard(listener, here) as one,
            heard(listener) as all,
            heard(listener, there) as elsewhere,
        ):
            publisher.publish()
            other.publish()
            cluster.replicate(lost)
            cluster.kill(lost, how)
            try:
                for _ in range(1000):  # 10 MB
                    publisher.publish()
                    other.publish()
                becomes_true(lambda: one.gaps and all.gaps, 60)
                publisher.publish()
                other.publish()
                becomes_true(lambda: one.items[-1] == publisher.count - 1)
                becomes_true(lambda: elsewhere.items[-1:] == [other.count - 1])
                one.check(publisher.count)
                elsewhere.check(other.count)
                assert (one.gaps, all.gaps, elsewhere.gaps) == (1, 1, 0)
            finally:
                if how is signal.SIGKILL:
                    cluster.restart(lost)
                else:
                    lost.server.kill(signal.SIGCONT)
                cluster.settle()
            publisher.publish()
            becomes_true(lambda: publisher.count - 1 in one.items)
            one.check(publisher.count, thawed=how is signal.SIGSTOP)


def test_a_feed_that_is_deleted_while_nobody_passes_it_on_is_told(cluster: Cluster) -> None:
    catalogue = cluster.owner("feeds")
    kept = cluster.other_master(catalogue)
    second = feed_at(cluster, kept)
    first = f"first {second}"
    with (
        Thoonk(backend=cluster.url) as thoonk,
        Thoonk(backend=cluster.url) as listener,
    ):
        for name in (first, second):
            thoonk.feed(name)
        with heard(listener, first) as gone, heard(listener, second) as stays:
            # Nobody hears it, as when the node is lost right after the deletion.
            catalogue.call("SREM", "feeds", first)
            catalogue.call("CLIENT", "KILL", "TYPE", "pubsub")
            becomes_true(lambda: gone.notices == [Deleted(first)])
            thoonk.feed(second).publish("0")
            becomes_true(lambda: stays.items)
            assert stays.gaps == 0


def test_who_begins_to_listen_during_a_failover_waits_for_it(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url) as thoonk, Thoonk(backend=cluster.url) as listener:
        feed = thoonk.feed("{f}")
        master = cluster.owner("{f}")
        cluster.replicate(master)
        cluster.kill(master)
        try:
            subscription = listener.backend.listen("{f}")  # its first call
            feed.publish("x", id="1")
            assert subscription.get(20) == Published("{f}", "1", b"x")
        finally:
            cluster.restart(master)
            cluster.settle()


def test_a_user_who_may_not_use_alarms_hears_by_looking(cluster: Cluster) -> None:
    source = cluster.owner("{f}")
    target = cluster.other_master(source)
    for node in cluster.nodes:
        node.call(
            "ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-ssubscribe", "resetchannels",
            "&feed.*", "&job.*", "&newfeed", "&delfeed", "&conffeed",
        ) if node.call("COMMAND", "INFO", "SSUBSCRIBE") != [None] else node.call(
            "ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "allchannels"
        )  # fmt: skip
    url = cluster.url.replace("://", "://u:p@")
    with Thoonk(backend=url) as thoonk, heard(thoonk, "{f}") as one:
        publisher = Publisher(thoonk, "{f}")
        publisher.publish()
        cluster.move(slot_of("{f}"), target)
        becomes_true(lambda: one.gaps, 60)
        publisher.publish()
        becomes_true(lambda: one.items[-1:] == [1])
        assert one.gaps == 1
    cluster.move(slot_of("{f}"), source)


def test_subscriptions_that_come_and_go_at_once_hear_what_they_should(cluster: Cluster) -> None:
    names = [feed_at(cluster, node) for node in cluster.masters()]
    with Thoonk(backend=cluster.url) as thoonk, Thoonk(backend=cluster.url) as listener:
        for name in names:
            thoonk.feed(name)

        def come_and_go(number: int) -> None:
            name = names[number % len(names)]
            for turn in range(15):
                subscription = listener.backend.listen(name)
                id = f"{number} {turn}"
                thoonk.feed(name).publish("x", id=id)
                while getattr(subscription.get(20), "id", "") != id:
                    pass
                subscription.close()

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(come_and_go, number) for number in range(8)]:
                done.result(120)
        # Nothing is left of them.
        becomes_true(
            lambda: (
                not any(
                    node.call("PUBSUB", "NUMSUB", f"feed.publish:{name}")[1]
                    for node in cluster.masters()
                    for name in names
                )
            )
        )


def test_names_without_braces_are_refused(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url) as thoonk, pytest.raises(InvalidValue, match="in braces"):
        thoonk.backend.listen("f")


def test_handlers_follow_their_feed(cluster: Cluster) -> None:
    """The catalogue and the feed may be at the same node, or not."""
    done: list[str] = []
    with Thoonk(backend=cluster.url, listen=True) as thoonk:
        feed = thoonk.feed("{f}")
        thoonk.register_handler("publish_notice", lambda feed, item, id: done.append(item))
        becomes_true(lambda: (feed.publish("x"), done)[1])
        source = cluster.owner("{f}")
        cluster.move(slot_of("{f}"), cluster.other_master(source))
        done.clear()
        becomes_true(lambda: (feed.publish("y"), "y" in done)[1])
        cluster.move(slot_of("{f}"), source)
        assert source.port == cluster.owner("{f}").port
        assert slot_of("feeds") == CATALOGUE_SLOT
