"""Metrics of what a program does and of how full feeds are."""

from __future__ import annotations

import asyncio
import functools
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from conftest import World
from prometheus_client import CollectorRegistry, generate_latest

from thoonk import AsyncThoonk, Claim, Empty, NotClaimed, Thoonk
from thoonk import operations as ops
from thoonk.observe import AsyncObservedBackend, ObservedBackend
from thoonk.observe.observer import OUTCOMES
from thoonk.observe.prometheus import FeedCollector, Metrics
from thoonk.testing._sync.helpers import until
from thoonk.worker import AsyncWorker, Discard, Stall, Worker


@attrs.frozen
class Watched:
    thoonk: Thoonk
    registry: CollectorRegistry

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"thoonk_{name}", labels)


@pytest.fixture
def watched(world: World) -> Iterator[Watched]:
    registry = CollectorRegistry()
    with ObservedBackend(world.url, Metrics(registry)) as backend:
        with Thoonk(backend=backend) as thoonk:
            yield Watched(thoonk, registry)


def test_operations_are_timed_and_items_counted(watched: Watched) -> None:
    job = watched.thoonk.job("job")
    for _ in range(3):
        job.put("x")
    job.get(timeout=5).cancel()
    for _ in range(3):
        job.get(timeout=5).finish()
    assert watched("operation_seconds_count", operation="job_put") == 3
    assert watched("operation_seconds_count", operation="job_claim") == 4
    seconds = watched("operation_seconds_sum", operation="job_put")
    assert seconds is not None
    assert 0 < seconds < 30
    assert watched("items_put_total", feed="job") == 3
    assert watched("items_taken_total", feed="job") == 4
    assert watched("jobs_taken_again_total", feed="job") == 1


def test_a_put_that_did_nothing_is_not_counted(watched: Watched) -> None:
    job = watched.thoonk.job("job")
    job.put("x", id="mine", delay=60)
    job.put("y", id="mine", if_exists="replace")
    job.put("z", id="mine")
    assert watched("operation_seconds_count", operation="job_add") == 3
    assert watched("items_put_total", feed="job") == 2
    queue = watched.thoonk.queue("queue")
    queue.put("x", id="mine")
    queue.put("y", id="mine")
    assert watched("items_put_total", feed="queue") == 1


def test_errors_are_counted_by_their_class(watched: Watched) -> None:
    job = watched.thoonk.job("job")
    with pytest.raises(NotClaimed):
        job.finish("nothing")
    assert watched("operation_errors_total", operation="job_finish", error="NotClaimed") == 1
    assert watched("operation_seconds_count", operation="job_finish") == 1
    assert watched("claims_lost_total", feed="job") == 1


def test_claims_that_were_lost_or_expired_are_counted(watched: Watched) -> None:
    job = watched.thoonk.job("job")
    for _ in range(2):
        job.put("x")
    claims = [job.get(timeout=5), job.get(timeout=5)]
    # Only now: a `get` brings back what has run out, too.
    watched.thoonk.set_config("job", {"claim_timeout": 0.01})
    until(lambda: (job.maintenance(), job.get_counts().waiting)[1] == 2)
    assert watched("claims_expired_total", feed="job") == 2
    for end in (claims[0].extend, claims[0].finish):
        with pytest.raises(NotClaimed):
            end()
    assert watched("claims_lost_total", feed="job") == 2


def test_who_waits_is_gauged_and_not_timed(watched: Watched) -> None:
    queue = watched.thoonk.queue("queue")
    with pytest.raises(Empty):
        queue.get(timeout=0.3)
    assert watched("waiting_consumers", feed="queue") == 0
    taken: list[str] = []
    taker = threading.Thread(target=lambda: taken.append(queue.get(timeout=60)))
    taker.start()
    until(lambda: watched("waiting_consumers", feed="queue") == 1)
    queue.put("x")
    taker.join(60)
    assert taken == ["x"]
    assert watched("waiting_consumers", feed="queue") == 0
    # One look before each wait: the waits themselves are no operations.
    assert watched("operation_seconds_count", operation="queue_take") == 2


def test_notices_and_gaps_are_counted(real_world: World) -> None:
    registry = CollectorRegistry()
    with ObservedBackend(real_world.url, Metrics(registry)) as backend:
        with Thoonk(backend=backend) as thoonk:
            watched = Watched(thoonk, registry)
            feed = thoonk.feed("feed")
            with feed.subscribe() as notices:
                feed.publish("x", id="a")
                feed.retract("a")
                for _ in range(2):
                    notices.get(timeout=5)
                assert watched("notices_total", kind="publish") == 1
                assert watched("notices_total", kind="retract") == 1
                real_world.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                notices.get(timeout=20)
                assert watched("gaps_total", feed="feed") == 1


async def test_tasks_are_counted_alike(world: World) -> None:
    registry = CollectorRegistry()
    async with AsyncObservedBackend(world.url, Metrics(registry)) as backend:
        async with AsyncThoonk(backend=backend) as thoonk:
            queue = await thoonk.queue("queue")
            await queue.put("x")
            await queue.get(timeout=5)
    for name in ("items_put_total", "items_taken_total"):
        assert registry.get_sample_value(f"thoonk_{name}", {"feed": "queue"}) == 1


# --- how full feeds are -----------------------------------------------------------------------


@pytest.fixture
def collected(world: World) -> Iterator[Watched]:
    registry = CollectorRegistry()
    collector = FeedCollector(world.url)
    registry.register(collector)
    with Thoonk(backend=world.url) as thoonk:
        yield Watched(thoonk, registry)
    collector.close()


def test_feeds_are_read_when_they_are_asked_for(collected: Watched) -> None:
    job = collected.thoonk.job("job", {"max_failures": 1})
    assert collected("feed_waiting", feed="job", type="job") == 0
    for _ in range(5):
        job.put("x")
    job.get(timeout=5).finish()
    job.get(timeout=5).cancel()
    job.get(timeout=5)
    queue = collected.thoonk.queue("queue")
    queue.put("x")
    feed = collected.thoonk.feed("feed")
    feed.publish("x")
    labels = {"feed": "job", "type": "job"}
    assert collected("feed_items", **labels) == 4
    assert collected("feed_waiting", **labels) == 2
    assert collected("feed_claimed", **labels) == 1
    assert collected("feed_stalled", **labels) == 1
    assert collected("feed_finished_total", **labels) == 1
    assert collected("feed_publishes_total", **labels) == 5
    for age in ("oldest_waiting", "oldest_claimed"):
        seconds = collected(f"feed_{age}_seconds", **labels)
        assert seconds is not None
        assert 0 <= seconds < 60
    assert collected("feed_waiting", feed="queue", type="queue") == 1
    assert collected("feed_stalled", feed="queue", type="queue") is None
    assert collected("feed_newest_item_seconds", feed="feed", type="feed") is not None
    assert collected("up") == 1
    collected.thoonk.delete_feed("job")
    assert collected("feed_items", **labels) is None


def test_workers_are_counted_by_feed(collected: Watched) -> None:
    thoonk = collected.thoonk
    for name in ("a", "b"):
        thoonk.job(name)
    thoonk.queue("q")
    assert collected("workers", feed="a") == 0
    for id, feeds, stopping in (
        ("1", ("a", "b"), False),
        ("2", ("a",), False),
        ("3", ("b",), True),
    ):
        report = ops.WorkerReport(id, "web-1", 17, "2.0", feeds, 8, is_stopping=stopping)
        thoonk.backend.execute(ops.ReportWorker(report, 60))
    assert collected("workers", feed="a") == 2
    assert collected("workers", feed="b") == 1
    assert collected("workers", feed="q") is None
    thoonk.backend.execute(ops.RemoveWorker("2"))
    assert collected("workers", feed="a") == 1


def test_what_is_scheduled_and_paused_is_told(collected: Watched) -> None:
    job, queue = collected.thoonk.job("job"), collected.thoonk.queue("queue")
    labels = {"feed": "job", "type": "job"}
    assert collected("feed_scheduled", **labels) == 0
    assert collected("feed_next_due_seconds", **labels) is None
    assert collected("feed_paused", **labels) == 0
    job.put("x", delay=600)
    assert collected("feed_scheduled", **labels) == 1
    until = collected("feed_next_due_seconds", **labels)
    assert until is not None
    assert 500 < until <= 600
    queue.pause()
    assert collected("feed_paused", feed="queue", type="queue") == 1
    assert collected("feed_scheduled", feed="queue", type="queue") is None
    collected.thoonk.feed("feed")
    assert collected("feed_paused", feed="feed", type="feed") is None


def test_all_of_it_can_be_exposed(collected: Watched) -> None:
    collected.thoonk.feed("feed\n").publish("x")
    text = generate_latest(collected.registry).decode()
    assert 'thoonk_feed_items{feed="feed\\n",type="feed"} 1.0' in text
    assert "# HELP thoonk_feed_publishes_total Publishes, puts and edits so far." in text


def test_only_some_feeds_may_be_asked_for(world: World) -> None:
    registry = CollectorRegistry()
    with Thoonk(backend=world.url) as thoonk:
        for name in ("a", "b"):
            thoonk.feed(name)
        collector = FeedCollector(thoonk.backend, ["a", "gone"])
        registry.register(collector)
        assert registry.get_sample_value("thoonk_feed_items", {"feed": "a", "type": "feed"}) == 0
        assert registry.get_sample_value("thoonk_feed_items", {"feed": "b", "type": "feed"}) is None
        collector.close()
        assert thoonk.backend.execute(ops.FeedNames()) == {"a", "b"}


def test_a_server_that_is_away_is_told_by_up() -> None:
    registry = CollectorRegistry()
    collector = FeedCollector("redis://127.0.0.1:1", retry_for=0)
    registry.register(collector)
    assert registry.get_sample_value("thoonk_up") == 0
    assert b"thoonk_feed" not in generate_latest(registry)
    collector.close()


def is_up(text: bytes) -> bytes:
    return text if b"thoonk_up 1.0" in text else b""


def test_a_server_that_hangs_makes_no_scrape_long(any_server: Any) -> None:
    """And what it says in the end of a time that is over is not shown."""
    registry = CollectorRegistry()
    labels = {"feed": "queue", "type": "queue"}
    with any_server() as server:
        collector = FeedCollector(server.url, timeout=1)
        registry.register(collector)
        with Thoonk(backend=server.url) as thoonk:
            queue = thoonk.queue("queue")
            queue.put("x")
            until(lambda: registry.get_sample_value("thoonk_feed_waiting", labels) == 1, timeout=60)
            server.kill(signal.SIGSTOP)
            threads = threading.active_count()
            for _ in range(2):
                began = time.monotonic()
                text = generate_latest(registry)
                # Not the ten seconds of other calls.
                assert time.monotonic() - began < 9
                assert b"thoonk_up 0.0" in text
                assert b"thoonk_feed" not in text
            assert threading.active_count() <= threads + 1
            server.kill(signal.SIGCONT)
            queue.put("x")
            # In one look: the next may take too long again, on a busy machine.
            text = until(lambda: is_up(generate_latest(registry)), timeout=60)
            assert b'thoonk_feed_waiting{feed="queue",type="queue"} 2.0' in text
        collector.close()


# --- what became of jobs ----------------------------------------------------------------------


def test_how_jobs_ended_is_counted_and_their_time_measured(world: World) -> None:
    registry = CollectorRegistry()
    with ObservedBackend(world.url, Metrics(registry)) as backend:
        with Thoonk(backend=backend) as thoonk:
            watched = Watched(thoonk, registry)
            worker = Worker(thoonk, concurrency=1)

            @worker.handles("jobs", retries=1, backoff=0)
            def work(item: str, claim: Claim[str]) -> object:
                match item:
                    case "fails":
                        raise ValueError(item)
                    case "stalls":
                        raise Stall
                    case "is discarded":
                        raise Discard
                    case "ends itself":
                        claim.finish()
                    case "cannot be stored":
                        return b"\xff"
                return None

            job = thoonk.job("jobs")
            for item in (
                *("is done", "is done", "fails", "stalls"),
                *("is discarded", "ends itself", "cannot be stored"),
            ):
                job.put(item)
            worker.run(burst=True)
            ended = {
                sample.labels["outcome"]: sample.value
                for metric in registry.collect()
                for sample in metric.samples
                if sample.name == "thoonk_jobs_ended_total"
            }
            assert ended == {
                "finished": 2,
                "failed": 1,
                "stalled": 3,
                "discarded": 1,
                "settled": 1,
            }
            assert {*ended} <= {*OUTCOMES}
            assert watched("job_duration_seconds_count", feed="jobs") == 8
            seconds = watched("job_duration_seconds_sum", feed="jobs")
            assert seconds is not None
            assert 0 < seconds < 30


async def test_how_jobs_of_tasks_ended_that_were_lost_or_released(world: World) -> None:
    registry = CollectorRegistry()
    async with AsyncObservedBackend(world.url, Metrics(registry)) as backend:
        async with AsyncThoonk(backend=backend) as thoonk:
            # With no slot free nothing else looks for claims that have run out.
            worker = AsyncWorker(thoonk, concurrency=2, grace=0.1)
            started: list[str] = []

            @worker.handles("jobs", claim_timeout=3)
            async def work(item: str) -> None:
                started.append(item)
                await asyncio.sleep(600)

            job = await thoonk.job("jobs")
            await job.put("is lost", id="is lost")
            await job.put("is released")
            serving = asyncio.create_task(worker.serve())
            async with asyncio.timeout(60):
                while len(started) < 2:
                    await asyncio.sleep(0.01)
                await job.retract("is lost")
                value = functools.partial(registry.get_sample_value, "thoonk_jobs_ended_total")
                while not value({"feed": "jobs", "outcome": "stopped"}):
                    await asyncio.sleep(0.01)
                assert value({"feed": "jobs", "outcome": "stopped"}) == 1
                worker.stop()
                await serving
            assert value({"feed": "jobs", "outcome": "released"}) == 1
