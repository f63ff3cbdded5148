"""What a server is asked: one command per operation that does not block, and no KEYS."""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import conftest
import pytest
import redis
import servers
from calls import CALLS, Call, feed, job, queue, sorted_feed
from conftest import World

from thoonk import (
    BackendError,
    Claim,
    Collection,
    Empty,
    Feed,
    Job,
    Published,
    Queue,
    SortedFeed,
    Thoonk,
)
from thoonk.backends.redis import scripts
from thoonk.doctor import examine
from thoonk.serializers import TEXT
from thoonk.testing._sync.helpers import Background, until

MARK = "mark"


OTHERWISE = {
    "Thoonk.close": "sends nothing a server sees as a command",
    "Thoonk.register_handler": "listens, on a connection of its own",
    "Thoonk.remove_handler": "as register_handler",
    "Feed.subscribe": "listens, on a connection of its own",
    "SortedFeed.subscribe": "as Feed",
    "Queue.subscribe": "as Feed",
    "Job.subscribe": "as Feed",
    "Claim.set_result": "chooses what is sent later",
    "Claim.settle": "notes what is sent later",
    "Claim.working": "sends nothing",
}


class Watch:
    """The commands a server is sent, in our words."""

    def __init__(self, raw: redis.Redis, monitor: Any) -> None:
        self._raw = raw
        self._monitor = monitor
        self._scripts = {scripts.load(name).sha.decode(): name for name in scripts.names()}
        self._numbers = itertools.count()

    def so_far(self) -> tuple[list[str], set[str]]:
        """What clients sent since the last time, and every word that was run at all."""
        mark = f"{MARK} {next(self._numbers)}"
        self._raw.echo(mark)
        sent, words = [], set()
        while True:
            seen = self._monitor.next_command()
            if mark in seen["command"]:
                return sent, words
            word, *rest = seen["command"].split(maxsplit=2)
            words.add(word.upper())
            if seen["client_type"] == "lua":
                continue
            known = word.upper() == "EVALSHA" and self._scripts.get(rest[0])
            sent.append(known or word.upper())


@contextlib.contextmanager
def watching(raw: redis.Redis) -> Iterator[Watch]:
    with raw.monitor() as monitor:
        yield Watch(raw, monitor)


def load_all(raw: redis.Redis) -> None:
    for name in scripts.names():
        assert raw.script_load(scripts.load(name).text) == scripts.load(name).sha.decode()


def run(call: Call, prepared: Any) -> None:
    call.call(*prepared) if type(prepared) is tuple else call.call(prepared)


def test_every_public_method_has_a_row() -> None:
    methods = {
        f"{kind.__name__}.{name}"
        for kind in (Thoonk, Feed, SortedFeed, Queue, Job, Claim)
        for name, value in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
    assert len(methods) > 50
    assert issubclass(Feed, Collection)
    rows = {call.method for call in CALLS}
    assert not rows & OTHERWISE.keys()
    assert rows | OTHERWISE.keys() == methods


def test_every_script_is_sent_by_some_method() -> None:
    assert {*scripts.names()} - {w for call in CALLS for w in call.sends} == {
        "queue_return",  # only interrupted takes send it
        "job_holds",  # workers, to stop jobs that are not theirs any more
        "read_snapshot_page",  # subscriptions that resync
        "report_worker",  # workers
        "read_times",  # thoonk copy and export
        "restore",  # thoonk copy and import
        "job_maintain",  # whoever executes the operation, to have all done in one step
    }


@pytest.mark.parametrize("call", CALLS, ids=[f"{c.method}-{n}" for n, c in enumerate(CALLS)])
def test_one_command_for_each_operation(real_world: World, call: Call) -> None:
    load_all(real_world.raw)
    with Thoonk(backend=real_world.url) as thoonk, watching(real_world.raw) as watch:
        prepared = call.prepare(thoonk)
        thoonk.feed_exists("x")  # the connection is up
        _, before = watch.so_far()
        run(call, prepared)
        sent, words = watch.so_far()
        assert sent == [*call.sends]
        assert not {"KEYS", "SCAN", "MULTI"} & (before | words)


@pytest.mark.parametrize("call", CALLS, ids=[f"{c.method}-{n}" for n, c in enumerate(CALLS)])
def test_a_server_that_has_forgotten_the_scripts_is_told_them(
    real_world: World, call: Call
) -> None:
    with Thoonk(backend=real_world.url) as thoonk, watching(real_world.raw) as watch:
        prepared = call.prepare(thoonk)
        thoonk.feed_exists("x")
        real_world.raw.script_flush()
        watch.so_far()
        run(call, prepared)
        sent, _ = watch.so_far()
        known = []
        for word in call.sends:
            known += [word, "EVAL"] if word in scripts.names() and word not in known else [word]
        assert sent == known
        # It does not have to be told again.
        if call.prepare in (feed, sorted_feed, queue, job) and not call.method.endswith(".get"):
            with contextlib.suppress(Empty):
                run(call, prepared)
            sent, _ = watch.so_far()
            assert sent[: len(call.sends)] == [*call.sends]


def test_a_blocked_get_works_on_a_server_that_has_forgotten_the_scripts(
    real_world: World,
) -> None:
    with Thoonk(backend=real_world.url) as thoonk, Thoonk(backend=real_world.url) as other:
        taken = Background(thoonk.queue("q").get, timeout=20)
        raw = real_world.raw
        until(lambda: any("b" in client["flags"] for client in raw.client_list()))
        raw.script_flush()
        other.queue("q").put("x")
        assert taken.result() == "x"
        assert not raw.exists("feed.reserved:q")


# --- cluster --------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[*servers.binaries()])
def cluster_server(request: pytest.FixtureRequest) -> Iterator[servers.Server]:
    """A server in cluster mode that has all slots."""
    server = servers.Server(conftest._binary(request.param), "--cluster-enabled", "yes")
    try:
        server.start()
        with contextlib.closing(server.client()) as raw:
            # ADDSLOTSRANGE came with 7.0.
            raw.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            until(lambda: b"cluster_state:ok" in raw.execute_command("CLUSTER", "INFO"))
        yield server
    finally:
        server.stop()


@pytest.fixture
def cluster(cluster_server: servers.Server) -> servers.Server:
    """It, empty."""
    with contextlib.closing(cluster_server.client()) as raw:
        raw.flushall()
    return cluster_server


def knows_all_slots(raw: redis.Redis) -> bool:
    info = raw.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_slots_ok:16384" in info


@pytest.fixture
def other_node(cluster_server: servers.Server) -> Iterator[servers.Server]:
    """A node of the same cluster, without slots."""
    node = servers.Server(cluster_server.binary, "--cluster-enabled", "yes")
    try:
        node.start()
        with contextlib.closing(node.client()) as raw:
            raw.execute_command("CLUSTER", "MEET", "127.0.0.1", cluster_server.port)
            until(lambda: knows_all_slots(raw), timeout=60)
        yield node
    finally:
        node.stop()


CLUSTER = "this server is part of a cluster: use a backend redis[+]cluster://HOST:PORT"


def told_of_a_cluster(url: str, name: str) -> None:
    with Thoonk(backend=url) as thoonk:
        queue = Queue(name, thoonk.backend, TEXT)
        attempts: list[Callable[[], object]] = [
            lambda: thoonk.feed(name),
            lambda: queue.put("x"),
            lambda: queue.get(timeout=1),
            queue.stats,
        ]
        for attempt in attempts:
            with pytest.raises(BackendError, match=f"^{CLUSTER}; nothing was done"):
                attempt()


def test_a_name_without_braces_on_a_cluster_is_told_as_what_it_is(cluster: servers.Server) -> None:
    told_of_a_cluster(cluster.url, "orders")


def test_a_node_that_has_not_the_slot_is_told_as_what_it_is(other_node: servers.Server) -> None:
    told_of_a_cluster(other_node.url, "{orders}")
    with pytest.raises(BackendError, match=CLUSTER):
        examine(other_node.url)


def test_feeds_of_every_type_live_in_one_slot_of_a_cluster(cluster: servers.Server) -> None:
    for call in CALLS:
        if "partitioned" in call.method:
            continue  # its feeds are to be in several slots
        with Thoonk(backend=cluster.url) as thoonk:
            run(call, call.prepare(Renamed(thoonk, "{orders}")))
        with contextlib.closing(cluster.client()) as raw:
            names = {key for key in raw.keys("*") if key != b"feeds"}
            assert all(b"{orders}" in name for name in names)
            slots = {raw.execute_command("CLUSTER", "KEYSLOT", name) for name in names}
            assert len(slots) <= 1
            raw.flushall()


class Renamed:
    """A client that uses another name for the feed "f"."""

    def __init__(self, thoonk: Thoonk, name: str) -> None:
        self._thoonk = thoonk
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._thoonk, attribute)

        def renamed(*arguments: Any, **more: Any) -> Any:
            arguments = tuple(self._name if a == "f" else a for a in arguments)
            return value(*arguments, **more)

        return renamed


def test_gets_that_block_results_and_notices_work_in_a_cluster(cluster: servers.Server) -> None:
    with Thoonk(backend=cluster.url) as thoonk, Thoonk(backend=cluster.url) as other:
        jobs = thoonk.job("{orders}", {"claim_timeout": 30})
        claim = Background(other.job("{orders}").get, timeout=20)
        with contextlib.closing(cluster.client()) as raw:
            until(lambda: any("b" in client["flags"] for client in raw.client_list()))
            id = jobs.put("x")
            result = Background(jobs.get_result, id, timeout=20)
            claim.result().finish("done")
            assert tuple(result.result()) == ("x", "done")
            thoonk.delete_feed("{orders}")
            assert raw.keys("*") == []
        feed = thoonk.feed("{orders}")
        with feed.subscribe() as notices:
            feed.publish("x", id="a")
            assert notices.get(timeout=5) == Published("{orders}", "a", "x")


def test_a_name_without_braces_spreads_over_slots_and_is_refused(cluster: servers.Server) -> None:
    # Shows that the server minds what the tests above rely on.
    with (
        Thoonk(backend=cluster.url) as thoonk,
        pytest.raises(BackendError, match="hash to the same slot"),
    ):
        thoonk.feed("orders")


def test_the_cost_of_stats_does_not_grow_with_the_feed(real_world: World) -> None:
    raw = real_world.raw

    def typical_cost() -> int:
        """Microseconds that the server needs for a job feed's stats."""
        durations = []
        for _ in range(20):
            raw.slowlog_reset()
            opened.stats()
            durations += [e["duration"] for e in raw.slowlog_get() if b"EVALSHA" in e["command"]]
        assert len(durations) == 20
        return sorted(durations)[10]

    with Thoonk(backend=real_world.url) as thoonk:
        opened = thoonk.job("f")
        opened.put("x")
        assert opened.stats().waiting == 1
        raw.config_set("slowlog-log-slower-than", 0)
        try:
            small = typical_cost()
            raw.rpush("feed.ids:f", *(f"{n}" for n in range(100_000)))
            raw.zadd("feed.published:f", {f"{n}": 1_700_000_000_000 + n for n in range(100_000)})
            assert opened.stats().waiting == 100_001
            large = typical_cost()
        finally:
            raw.config_set("slowlog-log-slower-than", 10_000)
    assert large < 3 * small + 200
