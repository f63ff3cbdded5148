"""Feeds that move from node to node while they are in use, and nodes that go."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clusters import FAILOVER_WITHIN, Cluster, Node, becomes_true, slot_of
from loads import traffic
from redis.exceptions import ConnectionError as Cut

from thoonk import AsyncThoonk, Thoonk
from thoonk.backends.redis._async.links import AsyncLinks
from thoonk.backends.redis._sync.links import Links
from thoonk.exceptions import BackendUnavailable, NotReplicated
from thoonk.operations import ReadItems


def test_a_slot_that_moves_there_and_back_costs_nothing(cluster: Cluster) -> None:
    source = cluster.owner("{q}")
    target = cluster.other_master(source)
    with traffic(cluster, "{q}") as seen:
        for goal in (target, source, target, source):
            cluster.move(slot_of("{q}"), goal)
            count = len(seen.got)
            becomes_true(lambda c=count: len(seen.got) > c)
    seen.check()


def test_a_failover_in_good_order_costs_nothing(cluster: Cluster) -> None:
    with traffic(cluster, "{q}") as seen:
        cluster.fail_over(cluster.owner("{q}"))
        cluster.settle()
    seen.check()


def test_a_master_that_is_killed_is_replaced_without_an_error(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url) as thoonk:
        queue = thoonk.queue("{q}")
        queue.put("before")
        master = cluster.owner("{q}")
        replica = cluster.replica_of(master)
        cluster.replicate(master)
        cluster.kill(master)
        try:
            with ThreadPoolExecutor(1) as pool:
                call = pool.submit(queue.put, "after")
                becomes_true(replica.is_master, FAILOVER_WITHIN)
                call.result(30)  # test_first_calls.py says how soon
            assert [queue.get(timeout=5), queue.get(timeout=5)] == ["before", "after"]
        finally:
            cluster.restart(master)
            cluster.settle()


def test_what_a_replica_has_confirmed_survives_its_master(cluster: Cluster) -> None:
    before = [f"{number}" for number in range(50)]
    with Thoonk(backend=cluster.url, wait_replicas=1, wait_timeout=4.0) as thoonk:
        queue = thoonk.queue("{q}")
        master = cluster.owner("{q}")
        replica = cluster.replica_of(master)
        queue.put_many(before)
        cluster.kill(replica, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as pool:
            try:
                # It is at the master alone, and so it is not acknowledged.
                call = pool.submit(queue.put, "last")
                becomes_true(lambda: master.call("LLEN", "feed.ids:{q}") == 51)
                assert not call.done()
                cluster.kill(master)
            finally:
                replica.server.kill(signal.SIGCONT)
            try:
                # The new master does it, and has no replica now.
                with pytest.raises(NotReplicated):
                    call.result(60)
                assert queue.get_many(100, timeout=30) == [*before, "last"]
            finally:
                cluster.restart(master)
                cluster.settle()


@contextlib.contextmanager
def on_its_way(cluster: Cluster, name: str, count: int = 0) -> Iterator[tuple[Node, Node]]:
    """The feed's slot is on its way while a block runs, with some of its keys gone ahead."""
    slot = slot_of(name)
    target = cluster.other_master(cluster.owner(name))
    source = cluster.begin_to_move(slot, target)
    try:
        cluster.move_keys(slot, source, target, count)
        yield source, target
    finally:
        cluster.move_keys(slot, source, target)
        cluster.end_move(slot, source, target)


def test_what_is_on_its_way_for_long_is_unavailable_and_nothing_is_done(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url, retry_for=0.5) as thoonk:
        queue = thoonk.queue("{q}")
        id = queue.put("x")
        with on_its_way(cluster, "{q}", 1):
            began = time.monotonic()
            with pytest.raises(BackendUnavailable, match="nothing was done"):
                queue.put("y")
            assert time.monotonic() - began >= 0.5
            with pytest.raises(BackendUnavailable, match="nothing was done"):
                queue.get(timeout=5)
        assert queue.get_ids() == [id]
        queue.put("z")
        assert [queue.get(), queue.get()] == ["x", "z"]


def test_an_item_on_its_way_can_be_read(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url) as thoonk:
        feed = thoonk.feed("{f}")
        feed.publish("x", id="1")
        with on_its_way(cluster, "{f}"):
            assert feed.get_item("1") == "x"
        assert feed.get_item("1") == "x"


async def test_large_and_small_calls_of_asyncio_are_answered_where_the_slot_goes(
    cluster: Cluster,
) -> None:
    large = "x" * 100_000
    async with AsyncThoonk(backend=cluster.url) as thoonk:
        feed = await thoonk.feed("{f}")
        for _ in range(2):
            target = cluster.other_master(cluster.owner("{f}"))
            await feed.publish("small", id="1")
            await feed.publish(large, id="2")
            with on_its_way(cluster, "{f}"):
                assert await feed.get_item("1") == "small"
                assert await feed.get_item("2") == large
                ids = ("1", *(f"{'x' * 100} {number}" for number in range(900)))
                found = await thoonk.backend.execute(ReadItems("{f}", ids))
                assert found == {"1": b"small"}
            assert cluster.owner("{f}") is target
            await feed.publish(large, id="3")
            assert await feed.get_item("3") == large


def test_a_taker_that_waits_goes_with_the_slot(cluster: Cluster) -> None:
    with Thoonk(backend=cluster.url) as thoonk, ThreadPoolExecutor(1) as pool:
        queue = thoonk.queue("{q}")
        taking = pool.submit(queue.get, timeout=60)
        source = cluster.owner("{q}")
        becomes_true(lambda: source.info("clients")["blocked_clients"] == "1")
        target = cluster.other_master(source)
        cluster.move(slot_of("{q}"), target)
        becomes_true(lambda: target.info("clients")["blocked_clients"] == "1")
        assert source.info("clients")["blocked_clients"] == "0"
        queue.put("x")
        assert taking.result(10) == "x"


def cut_after(cluster: Cluster, name: str, left: list[int]) -> Callable[[bytes], None]:
    """Moves the slot when a call on it has been answered, and loses the answer, so many times."""

    def lose(data: bytes) -> None:
        if left and b"EVAL" in data and f"feed.answers:{name}".encode() in data:
            left.pop()
            cluster.move(slot_of(name), cluster.other_master(cluster.owner(name)))
            raise Cut("cut")

    return lose


def test_a_call_that_was_cut_has_one_effect_though_the_slot_moves(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = Links.exchange
    left: list[int] = []
    lose = cut_after(cluster, "{q}", left)

    def exchange_and_lose(self: Any, link: Any, data: bytes, *more: Any) -> Any:
        reply = exchange(self, link, data, *more)
        lose(data)
        return reply

    monkeypatch.setattr(Links, "exchange", exchange_and_lose)
    with Thoonk(backend=cluster.url) as thoonk:
        queue = thoonk.queue("{q}")
        left += [1, 2]
        id = queue.put("x")
        assert not left
        assert queue.get_ids() == [id]


async def test_the_same_for_asyncio(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = AsyncLinks.exchange
    left: list[int] = []
    lose = cut_after(cluster, "{q}", left)

    async def exchange_and_lose(self: Any, link: Any, data: bytes, *more: Any) -> Any:
        reply = await exchange(self, link, data, *more)
        lose(data)
        return reply

    monkeypatch.setattr(AsyncLinks, "exchange", exchange_and_lose)
    async with AsyncThoonk(backend=cluster.url) as thoonk:
        queue = await thoonk.queue("{q}")
        left += [1, 2]
        id = await queue.put("x")
        assert not left
        assert await queue.get_ids() == [id]
