"""`redis-cli --cluster reshard`, as operators use it, while feeds of these slots are in use."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable

import pytest
from clusters import Cluster, Node, becomes_true, slot_of
from loads import Publisher, heard, traffic, work
from servers import servers_are_required

from thoonk import Thoonk

COUNT = 300
"""How many slots it moves."""


@pytest.fixture
def redis_cli() -> str:
    found = shutil.which("redis-cli")
    if found is None and servers_are_required():
        pytest.fail("no redis-cli on this machine")
    return found or pytest.skip("no redis-cli on this machine")


def reshard(redis_cli: str, source: Node, target: Node) -> None:
    """Move the first slots of a node to another."""
    options = {"from": source.id, "to": target.id, "slots": f"{COUNT}"}
    words = [word for name, value in options.items() for word in (f"--cluster-{name}", value)]
    place = f"127.0.0.1:{source.port}"
    done = subprocess.run(
        [redis_cli, "--cluster", "reshard", place, *words, "--cluster-yes"],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr)


def first_slots(cluster: Cluster, source: Node, target: Node) -> list[int]:
    """Those that it moves there, and moves back as well: the first that either node has."""
    ports = {source.port, target.port}
    slots = [(start, end, port) for start, end, _, port in cluster._slots(source) if port in ports]
    each = [(slot, port) for start, end, port in sorted(slots) for slot in range(start, end + 1)]
    return [slot for slot, port in each[:COUNT] if port == source.port]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cluster", ["redis-path"], indirect=True)
def test_redis_cli_reshards_under_load_there_and_back(
    cluster: Cluster, redis_cli: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = cluster.masters()[:2]
    moving = {*first_slots(cluster, source, target)}
    names = (name for number in range(10**6) if slot_of(name := f"{{{number}}}") in moving)
    queue, job, feed = next(names), next(names), next(names)
    with contextlib.ExitStack() as stack:
        thoonk = stack.enter_context(Thoonk(backend=cluster.url))
        listener = stack.enter_context(Thoonk(backend=cluster.url))
        publisher = Publisher(thoonk, feed)
        one, all = stack.enter_context(heard(listener, feed)), stack.enter_context(heard(listener))
        with publisher.running(), traffic(cluster, queue) as seen, work(cluster, job) as worked:
            for before, after in ((source, target), (target, source)):
                reshard(redis_cli, before, after)
                assert all_are_at(cluster, after, queue, job, feed)
                each_gets_more(
                    lambda: publisher.count, lambda: len(seen.got), lambda: len(worked.done)
                )
        seen.check()
        becomes_true(lambda: one.items[-1] == publisher.count - 1)
        becomes_true(lambda: all.items[-1] == publisher.count - 1)
        one.check(publisher.count)
        all.check(publisher.count)
        assert one.gaps <= 2
    # A worker tells of errors there alone.
    assert [each.getMessage() for each in caplog.records if each.name.startswith("thoonk")] == []
    cluster.settle()


def each_gets_more(*counts: Callable[[], int]) -> None:
    before = [count() for count in counts]
    for count, was in zip(counts, before, strict=True):
        becomes_true(lambda c=count, w=was: c() > w + 5)


def all_are_at(cluster: Cluster, node: Node, *names: str) -> bool:
    return {cluster.owner(name).port for name in names} == {node.port}
