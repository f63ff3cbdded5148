"""Who has which slot: what nodes say, and whom a client believes."""

from __future__ import annotations

import contextlib
from typing import Any

import attrs
import pytest
import redis
import redis.asyncio
from clusters import Cluster, slot_of
from conftest import World

from thoonk import AsyncThoonk, Thoonk
from thoonk.backends.redis._sync.nodes import Nodes
from thoonk.backends.redis.slots import Layout, Place, Shard
from thoonk.exceptions import BackendError, BackendUnavailable, InvalidType, InvalidValue

INFO = b"cluster_state:ok\r\ncluster_current_epoch:7\r\ncluster_my_epoch:3\r\n"


def test_a_node_without_a_name_is_where_it_was_asked() -> None:
    slots = [
        [0, 9, [b"", 7001, b"id"], [b"h2", 7002, b"id", [b"ip", b"::1"]]],
        [10, 16383, [b"?", 7003, b"id"]],
    ]
    assert Layout.read(INFO, slots, "h") == Layout(
        7, (Shard(0, 9, ("h", 7001), (("h2", 7002),)), Shard(10, 16383, ("h", 7003)))
    )


@attrs.frozen(eq=False)
class Node:
    """As much of a node as `Nodes` needs."""

    place: Place


def all_at(port: int, epoch: int) -> Layout:
    return Layout(epoch, (Shard(0, 16383, ("h", port), (("h", 1), ("h", 2), ("h", 3))),))


def nodes_that_say(
    monkeypatch: pytest.MonkeyPatch, said: dict[int, Layout | BaseException]
) -> tuple[Any, list[int]]:
    asked: list[int] = []

    def layout(_: Nodes, node: Node) -> Layout:
        port = node.place[1]
        asked.append(port)
        answer = said[port]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(Nodes, "_layout", layout)
    make: Any = Node
    return Nodes([("h", port) for port in said], make), asked


def test_of_nodes_that_differ_the_one_with_the_higher_epoch_is_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: dict[int, Layout | BaseException] = {1: all_at(1, 5)}
    nodes, _ = nodes_that_say(monkeypatch, said)
    assert nodes.owner(0).place == ("h", 1)
    said.update({1: all_at(1, 4), 2: all_at(2, 4), 3: all_at(3, 6)})
    nodes.doubt(nodes.owner(0))
    assert nodes.owner(0).place == ("h", 3)


def test_if_none_knows_as_much_as_before_who_knows_most_is_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: dict[int, Layout | BaseException] = {1: all_at(1, 5)}
    nodes, _ = nodes_that_say(monkeypatch, said)
    nodes.owner(0)
    said.update({1: all_at(1, 3), 2: all_at(2, 4), 3: all_at(3, 2)})
    nodes.doubt(nodes.owner(0))
    assert nodes.owner(0).place == ("h", 2)


def test_a_node_that_does_not_answer_is_asked_last_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = redis.ConnectionError("gone")
    said: dict[int, Layout | BaseException] = {1: gone, 2: gone, 3: all_at(3, 1)}
    nodes, asked = nodes_that_say(monkeypatch, said)
    for _ in range(5):
        nodes.doubt(nodes.at(("h", 2), nodes.owner(0)))
    assert asked[-4:] == [3] * 4


def test_a_slot_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[int, Layout | BaseException] = {1: Layout(1, (Shard(0, 5, ("h", 1)),))}
    nodes, _ = nodes_that_say(monkeypatch, said)
    assert nodes.owner(5).place == ("h", 1)
    with pytest.raises(BackendUnavailable, match="no node of the cluster has slot 6"):
        nodes.owner(6)
    said[1] = all_at(1, 1)
    assert nodes.owner(6).place == ("h", 1)


def test_a_server_that_is_no_cluster_is_told_as_what_it_is(real_world: World) -> None:
    assert real_world.server is not None
    url = real_world.server.url.replace("redis://", "redis+cluster://")
    with (
        Thoonk(backend=url) as thoonk,
        pytest.raises(BackendError, match="not part of a cluster: use a backend redis://"),
    ):
        thoonk.queue("{q}")


def test_nodes_that_are_not_there_are_an_error_at_once() -> None:
    url = "redis+cluster://127.0.0.1:1,127.0.0.1:2"
    with (
        Thoonk(backend=url) as thoonk,
        pytest.raises(BackendUnavailable, match="nothing was done"),
    ):
        thoonk.queue("{q}")


def test_a_client_of_the_cluster_can_be_handed_over(cluster: Cluster) -> None:
    with contextlib.closing(cluster.client()) as client:
        with Thoonk(backend=client) as thoonk:
            thoonk.queue("{q}").put("x")
            assert thoonk.queue("{q}").get() == "x"
        assert client.exists("feed.config:{q}")
        with pytest.raises(InvalidType, match=r"redis\.asyncio\.RedisCluster"):
            AsyncThoonk(backend=client)
        with pytest.raises(InvalidValue, match="max_connections"):
            Thoonk(backend=client, max_connections=3)


async def test_one_for_asyncio_can(cluster: Cluster) -> None:
    async with redis.asyncio.RedisCluster("127.0.0.1", cluster.nodes[0].port) as client:
        async with AsyncThoonk(backend=client) as thoonk:
            queue = await thoonk.queue("{q}")
            await queue.put("x")
            assert await queue.get() == "x"
        with pytest.raises(InvalidType, match=r"redis\.RedisCluster"):
            Thoonk(backend=client)


def test_one_that_decodes_replies_is_refused(cluster: Cluster) -> None:
    port = cluster.nodes[0].port
    client = redis.RedisCluster("127.0.0.1", port, decode_responses=True, protocol=2)
    with contextlib.closing(client), pytest.raises(InvalidValue, match="decode_responses"):
        Thoonk(backend=client)


def test_what_a_node_is_asked_for_it_may_not_have_the_script_of(cluster: Cluster) -> None:
    slot = slot_of("feed.workers")
    with Thoonk(backend=cluster.url) as thoonk:
        assert list(thoonk.get_workers()) == []
        source = cluster.owner("feed.workers")
        target = cluster.other_master(source)
        cluster.begin_to_move(slot, target)
        target.call("SCRIPT", "FLUSH")
        try:
            # It has one key, which is not there: the node says ASK, and the other NOSCRIPT.
            assert list(thoonk.get_workers()) == []
        finally:
            cluster.end_move(slot, source, target)
        assert list(thoonk.get_workers()) == []
