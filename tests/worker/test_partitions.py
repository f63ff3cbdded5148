"""Workers for partitioned job feeds."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter

import pytest

from thoonk import InvalidType, InvalidValue, Thoonk
from thoonk.worker import Worker
from thoonk.worker.handlers import make_handler
from thoonk.worker.order import Order

from .conftest import Commands, Workers, poll


def test_a_worker_serves_all_partitions(workers: Workers, thoonk: Thoonk) -> None:
    worker, done = workers(concurrency=2, shared=True), []
    workers.handle(worker, "j", done.append, partitions=4)
    jobs = thoonk.partitioned_job("j", partitions=4)
    items = [str(number) for number in range(100)]
    jobs.put_many(items)
    worker.run(burst=True)
    assert Counter(done) == Counter(items)
    assert jobs.get_counts().finished == 100


def test_a_waiting_worker_hears_of_each_partition(workers: Workers, thoonk: Thoonk) -> None:
    worker, done = workers(concurrency=2, shared=True), []
    workers.handle(worker, "j", done.append, partitions=3)
    workers.handle(worker, "plain", done.append)
    with workers.working(worker):
        poll(lambda: thoonk.feed_exists("{j:2}"))
        jobs = thoonk.partitioned_job("j", partitions=3)
        for partition in jobs.partitions * 2:
            partition.put(partition.name)
            poll(lambda: partition.name in done)  # noqa: B023
            done.clear()
        thoonk.job("plain").put("x")
        poll(lambda: done == ["x"])


def test_partitions_take_turns(workers: Workers, thoonk: Thoonk) -> None:
    worker, done = workers(concurrency=1, shared=True), []
    workers.handle(worker, "j", done.append, partitions=2, prefetch=1)
    jobs = thoonk.partitioned_job("j", partitions=2)
    for partition in jobs.partitions:
        partition.put_many([partition.name] * 100)
    worker.run(burst=True)
    # Half and half, give or take 5.
    assert 20 < Counter(done[:100])["{j:0}"] < 80


def test_a_new_number_of_partitions_is_logged_once(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if getattr(record, "event", None) == "partitions_changed"
        ]

    worker, done = workers(concurrency=1, shared=True), []
    workers.handle(worker, "j", done.append, partitions=1)
    with workers.working(worker):
        poll(lambda: thoonk.feed_exists("{j:0}"))
        thoonk.set_config("{j:0}", {"partitions": 3})
        assert poll(told, 60) == [
            "Feed '{j:0}' is one of 3 partitions now, not of 1: start the worker again with 3"
        ]
        thoonk.job("{j:0}").put("x")
        poll(lambda: done == ["x"])
    assert len(told()) == 1


def order_of(*handlers: tuple[str, dict[str, int]]) -> Counter[str]:
    made = [make_handler(feed, str, asynchronous=False, **options) for feed, options in handlers]
    parts = [part for handler in made for part in handler.of_each_partition()]
    order = Order.by(parts)
    return Counter(order.of(parts)[0].feed for _ in range(3000))


def test_the_order_of_feeds_holds_and_that_of_partitions_is_drawn() -> None:
    random.seed(5)
    assert order_of(("a", {}), ("b", {"partitions": 3})) == {"a": 3000}
    first = order_of(("b", {"partitions": 3}), ("a", {}))
    assert {*first} == {"{b:0}", "{b:1}", "{b:2}"}
    assert min(first.values()) > 800


def test_partitions_share_the_weight_of_their_feed() -> None:
    random.seed(5)
    first = order_of(("a", {"weight": 3}), ("b", {"partitions": 10, "weight": 1}))
    assert 2100 < first["a"] < 2400
    assert len(first) == 11


@pytest.mark.timeout(180)
def test_killed_processes_lose_nothing_of_any_partition(commands: Commands, client: Thoonk) -> None:
    commands.write("""
        import time
        from thoonk.worker import Worker

        worker = Worker(processes=2, concurrency=2, shared=True)

        @worker.handles("j", partitions=3, claim_timeout=1, retries=50, backoff=0)
        def handle(item):
            time.sleep(0.002)
            return f"did {item}"
    """)
    jobs = client.partitioned_job("j", partitions=3)
    items = [str(number) for number in range(300)]
    ids = jobs.put_many(items)
    command = commands.start("app:worker")
    for share in (50, 150):
        poll(lambda: jobs.get_counts().finished >= share)  # noqa: B023
        os.kill(poll(command.children)[0], signal.SIGKILL)
    poll(lambda: jobs.get_counts().finished == 300)
    for item, id in zip(items, ids, strict=True):
        assert jobs.get_result(id, timeout=5) == (item, f"did {item}")
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log


@pytest.mark.parametrize("names", [("j", "{j:1}"), ("{j:1}", "j")])
def test_a_partition_has_no_second_handler(names: tuple[str, str]) -> None:
    worker = Worker("memory", shared=True)
    options = {"j": {"partitions": 2}, "{j:1}": {}}
    worker.handle(names[0], str, **options[names[0]])
    with pytest.raises(InvalidValue, match=r"'{j:1}' already has a handler: .* of 'j'"):
        worker.handle(names[1], str, **options[names[1]])


def test_what_cannot_be_is_refused(thoonk: Thoonk) -> None:
    worker = Worker(thoonk)
    worker.handle("j", str, partitions=2)
    with pytest.raises(InvalidValue, match=r"partitions=2 of 'j' need a shared pool"):
        worker.run(burst=True)
    with pytest.raises(InvalidValue, match="partitions must be 1 to 1000, not 0"):
        worker.handle("k", str, partitions=0)
    with pytest.raises(InvalidType, match="partitions must be an int"):
        worker.handle("k", str, partitions="2")
    with pytest.raises(InvalidValue, match="braces"):
        worker.handle("{k}", str, partitions=2)
    with pytest.raises(InvalidValue, match="unknown option family"):
        worker.handle("k", str, family="x")
    assert thoonk.get_feed_names() == set()
    thoonk.partitioned_job("j", partitions=3)
    worker = Worker(thoonk, shared=True)
    worker.handle("j", str, partitions=2)
    with pytest.raises(InvalidValue, match="one of 3 partitions, not of 2"):
        worker.run(burst=True)
