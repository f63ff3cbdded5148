"""A call has one effect, wherever its connection is cut and wherever its feed goes meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import attrs
import pytest
from clusters import Cluster, Node, becomes_true, slot_of
from either import entered, settle

from thoonk import AsyncThoonk, JobCounts, Outcome, Thoonk
from thoonk.backends.redis import scripts
from thoonk.testing.proxy import Cut, Proxy, between

TAG = "{cuts}"
"""All feeds are in the same slot, so they go together."""

State = dict[str, Any]


def pairs(flat: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def state_of(node: Node, feed: str) -> State:
    """All that the server has of a feed, but for the answers that it remembers."""
    read = {
        "string": lambda key: node.call("GET", key),
        "list": lambda key: node.call("LRANGE", key, 0, -1),
        "set": lambda key: sorted(node.call("SMEMBERS", key)),
        "zset": lambda key: node.call("ZRANGE", key, 0, -1, "WITHSCORES"),
        "hash": lambda key: sorted(pairs(node.call("HGETALL", key))),
    }
    state = {}
    for key in node.call("KEYS", f"*:{feed}*"):
        name = key.decode()
        if not name.startswith("feed.answers:"):
            state[name] = read[node.call("TYPE", key).decode()](key)
    return state


def counts(job: Any, waiting: int = 0, claimed: int = 0, finished: int = 0) -> bool:
    expected = JobCounts(waiting=waiting, claimed=claimed, stalled=0, finished=finished)
    return bool(job.get_counts() == expected)


async def _nothing(_: Any) -> None:
    pass


def _put(*items: str) -> Callable[[Any], Any]:
    async def put(feed: Any) -> None:
        await settle(feed.put_many(items))

    return put


async def _published(feed: Any) -> None:
    await settle(feed.publish("old", id="1"))


async def _three(feed: Any) -> None:
    for item in "abc":
        await settle(feed.append(item))


async def _claimed(feed: Any) -> Any:
    await settle(feed.put("work"))
    return await settle(feed.get(timeout=20))


@attrs.frozen
class Case:
    """A call, what is prepared before it, and what must be true after it.

    Attributes:
        check: is given the feed as another client sees it, what was prepared, and the answer.
        takes: it is a call that takes. It has its effect when something is claimed.
        waits: it waits for an item, which another client puts.
        confirms: it tells the server, with another call, that the item has arrived.
    """

    name: str
    kind: str
    call: Callable[[Any, Any], Any]
    check: Callable[[Any, Any, Any], bool]
    prepare: Callable[[Any], Any] = _nothing
    takes: bool = False
    waits: bool = False
    confirms: bool = False

    @property
    def feed(self) -> str:
        return f"{TAG} {self.name}."

    def is_done(self, before: State, now: State) -> bool:
        return f"feed.claimed:{self.feed}" in now if self.takes else before != now


CASES = [
    Case(
        "publish",
        "feed",
        lambda feed, _: feed.publish("x"),
        lambda feed, _, id: feed.get_all() == {id: "x"} and feed.stats().publishes == 1,
    ),
    Case(
        "retract",
        "feed",
        lambda feed, _: feed.retract("1"),
        lambda feed, _, was: was is True and feed.get_ids() == [],
        _published,
    ),
    Case(
        "publish_before",
        "sorted_feed",
        lambda feed, _: feed.publish_before("2", "d"),
        lambda feed, _, id: feed.get_ids() == ["1", id, "2", "3"],
        _three,
    ),
    Case(
        "queue put",
        "queue",
        lambda queue, _: queue.put("x"),
        lambda queue, _, id: queue.get_ids() == [id] and queue.stats().publishes == 1,
    ),
    Case(
        "put_many",
        "queue",
        lambda queue, _: queue.put_many(["a", "b", "c"]),
        lambda queue, _, ids: (
            len(ids) == 3 and queue.get_ids() == ids and queue.stats().publishes == 3
        ),
    ),
    Case(
        "queue get",
        "queue",
        lambda queue, _: queue.get(timeout=60),
        lambda queue, _, item: item == "a" and queue.get_nowait() == "b" and queue.count() == 0,
        _put("a", "b"),
        takes=True,
        confirms=True,
    ),
    Case(
        "blocked queue get",
        "queue",
        lambda queue, _: queue.get(timeout=60),
        lambda queue, _, item: item == "late" and queue.count() == 0,
        takes=True,
        waits=True,
        confirms=True,
    ),
    Case(
        "job put",
        "job",
        lambda job, _: job.put("x"),
        lambda job, _, id: (
            job.get_ids() == [id] and counts(job, waiting=1) and job.stats().publishes == 1
        ),
    ),
    Case(
        "put under an id of one's own",
        "job",
        lambda job, _: job.put("x", id="a", unique_for=600),
        lambda job, _, put: put.outcome is Outcome.ADDED and counts(job, waiting=1),
    ),
    Case(
        "job get",
        "job",
        lambda job, _: job.get(timeout=60),
        lambda job, _, claim: claim.item == "a" and counts(job, waiting=1, claimed=1),
        _put("a", "b"),
        takes=True,
    ),
    Case(
        "blocked job get",
        "job",
        lambda job, _: job.get(timeout=60),
        lambda job, _, claim: claim.item == "late" and counts(job, claimed=1),
        takes=True,
        waits=True,
    ),
    Case(
        "finish",
        "job",
        lambda _, claim: claim.finish("done"),
        lambda job, claim, _: (
            counts(job, finished=1) and job.get_result(claim.id, timeout=5) == ("work", "done")
        ),
        _claimed,
    ),
    Case(
        "cancel",
        "job",
        lambda _, claim: claim.cancel(),
        lambda job, claim, _: counts(job, waiting=1) and job.get_failure_count(claim.id) == 1,
        _claimed,
    ),
]


@attrs.define
class Running:
    """A case, the feed that it works on, and its call."""

    case: Case
    feed: Any
    prepared: Any
    before: State
    done: State = attrs.field(factory=dict)
    call: asyncio.Future[Any] | None = None

    def begin(self, pool: Executor) -> None:
        """Call, in a thread or in a task."""
        if inspect.iscoroutinefunction(self.feed.get_ids):
            self.call = asyncio.ensure_future(self.case.call(self.feed, self.prepared))
        else:
            work = functools.partial(self.case.call, self.feed, self.prepared)
            self.call = asyncio.get_running_loop().run_in_executor(pool, work)

    def has_its_effect(self, node: Node) -> bool:
        self.done = state_of(node, self.case.feed)
        is_whole = self.done == state_of(node, self.case.feed)  # it came between no two keys
        return is_whole and self.case.is_done(self.before, self.done)

    async def answer(self) -> Any:
        assert self.call is not None
        return await asyncio.wait_for(self.call, 60)

    def is_right(self, answer: Any, other: Thoonk) -> bool:
        feed = getattr(other, self.case.kind)(self.case.feed)
        return self.case.check(feed, self.prepared, answer)

    def check(self, answer: Any, owner: Node, other: Thoonk) -> None:
        """The first attempt alone did something, and the answer is that to it."""
        now = state_of(owner, self.case.feed)
        if not self.case.confirms:
            assert now == self.done, self.case.name
        assert self.is_right(answer, other), (self.case.name, answer, now)


async def prepared(case: Case, thoonk: Any, node: Node) -> Running:
    feed = await settle(getattr(thoonk, case.kind)(case.feed))
    before = await case.prepare(feed)
    return Running(case, feed, before, state_of(node, case.feed))


@pytest.fixture
def proxies(cluster: Cluster) -> Iterator[dict[int, Proxy]]:
    """A proxy before each node, by the node's port. Each node has all scripts."""
    with contextlib.ExitStack() as stack:
        for node in cluster.masters():
            for name in scripts.names():
                node.call("SCRIPT", "LOAD", scripts.load(name).text)
        yield {node.port: stack.enter_context(between(node)) for node in cluster.nodes}


def through(proxies: dict[int, Proxy], thoonk: Any) -> Any:
    """The client, which goes through the proxies. The nodes do not know of them."""
    nodes = thoonk.backend._nodes
    open_node = nodes._open_node

    def open_behind(place: tuple[str, int]) -> Any:
        host, port = place
        return attrs.evolve(open_node((host, proxies[port].port)), place=place)

    nodes._open_node = open_behind
    return thoonk


def _connect(thoonk: Any, count: int) -> None:
    """Connect as often as there will be calls of threads at once. Tasks share a connection."""
    if isinstance(thoonk, Thoonk):
        nodes: Any = thoonk.backend
        links = nodes._nodes.owner(slot_of(TAG)).server._links
        taken = [links.take() for _ in range(count)]
        for link in taken:
            links.connect(link, 0)
        for link in taken:
            links.give(link)


def _nothing_more(cluster: Cluster, master: Node) -> None:
    assert cluster.owner(TAG) is master


def _moved(cluster: Cluster, master: Node) -> None:
    cluster.move(slot_of(TAG), cluster.other_master(master))
    assert cluster.owner(TAG) is not master


def _killed(cluster: Cluster, master: Node) -> None:
    cluster.replicate(master)
    cluster.kill(master)


async def becomes(condition: Callable[[], Any], timeout: float = 30.0) -> None:
    """Wait in a thread until the condition is true: tasks go on."""
    await asyncio.to_thread(becomes_true, condition, timeout)


HOWS = {"cut": _nothing_more, "moved": _moved, "killed": _killed}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("client", [Thoonk, AsyncThoonk])
async def test_calls_whose_answers_are_lost_have_one_effect(
    cluster: Cluster, proxies: dict[int, Proxy], client: Callable[..., Any], how: str
) -> None:
    """All cases at once: failovers take long."""
    master = cluster.owner(TAG)
    proxy = proxies[master.port]
    with ThreadPoolExecutor(len(CASES)) as pool, Thoonk(backend=cluster.url) as other:
        made = through(proxies, client(backend=cluster.url, retry_for=90))
        async with entered(made) as thoonk:
            all = [await prepared(case, thoonk, master) for case in CASES]
            late = [getattr(other, case.kind)(case.feed) for case in CASES if case.waits]
            _connect(thoonk, len(CASES))
            try:
                for running in all:
                    if running.case.waits:
                        running.begin(pool)
                await becomes(lambda: master.info("clients")["blocked_clients"] == f"{len(late)}")
                proxy.hold_replies()
                for running in all:
                    if not running.case.waits:
                        running.begin(pool)
                for feed in late:
                    feed.put("late")
                for running in all:
                    await becomes(functools.partial(running.has_its_effect, master))
                # None is repeated too early, even where this takes long.
                proxy.refuse = True
                assert not any(running.call.done() for running in all if running.call)
                await asyncio.to_thread(HOWS[how], cluster, master)
                proxy.refuse = False
                proxy.cut_all()
                proxy.thaw()
                answers = [await running.answer() for running in all]
                owner = cluster.owner(TAG)
                assert (owner is master) == (how == "cut")
                for running, answer in zip(all, answers, strict=True):
                    running.check(answer, owner, other)
            finally:
                proxy.refuse = False
                proxy.thaw()
                if master.server.process.poll() is not None:
                    await asyncio.to_thread(cluster.restart, master)
                    await asyncio.to_thread(cluster.settle)


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("client", [Thoonk, AsyncThoonk])
async def test_a_call_has_one_effect_wherever_its_connection_is_cut(
    cluster: Cluster, proxies: dict[int, Proxy], client: Callable[..., Any], cut: Cut
) -> None:
    master = cluster.owner(TAG)
    proxy = proxies[master.port]
    made = through(proxies, client(backend=cluster.url))
    with Thoonk(backend=cluster.url) as other:
        async with entered(made) as thoonk:
            for number, case in enumerate(case for case in CASES if not case.waits):
                running = await prepared(case, thoonk, master)
                proxy.armed = [cut]
                answer = await settle(case.call(running.feed, running.prepared))
                assert proxy.done == [cut] * (number + 1)
                assert running.is_right(answer, other), (case.name, answer)
