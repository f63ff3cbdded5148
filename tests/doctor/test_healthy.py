"""On a healthy server the doctor finds nothing, however busy it is, and does no harm."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

import pytest
import redis
import servers
from conftest import World
from peer import Peer

from thoonk import (
    Empty,
    FeedDoesNotExist,
    FeedExists,
    NotClaimed,
    NotScheduled,
    NotStalled,
    Thoonk,
    ThoonkError,
    WrongFeedType,
)
from thoonk.doctor import examine, probe
from thoonk.doctor.findings import Severity
from thoonk.operations import ReportWorker, WorkerReport
from thoonk.testing._sync.helpers import until

IGNORED = ("persistence", "endless")


@pytest.fixture
def server(real_world: World) -> servers.Server:
    assert real_world.server is not None
    return real_world.server


def everything(thoonk: Thoonk) -> None:
    """Each operation at least once, and much left in every state."""
    feed = thoonk.feed("feed", {"max_length": 3, "title": "x"})
    for number in range(6):
        feed.publish(str(number), id=str(number % 4))
    feed.retract("1")
    feed.edit("again", "2")
    thoonk.set_config("feed", {"max_length": 2})
    sorted_feed = thoonk.sorted_feed("sorted")
    ids = [sorted_feed.append(item) for item in "abc"] + [sorted_feed.prepend("d")]
    sorted_feed.move_before(ids[0], ids[2])
    sorted_feed.publish_before(ids[2], "e")
    sorted_feed.edit(ids[0], "A")
    sorted_feed.retract(ids[1])
    queue = thoonk.queue("queue")
    for item in "abc":
        queue.put(item, queue.HIGH if item == "b" else None)
    queue.get(timeout=5)
    queue.put_many(["x", "y", "z"])
    queue.get_many(2, timeout=5)
    feed.publish_many(["x", "y", "z"])
    feed.retract_many(feed.get_ids())
    sorted_feed.publish_many(["x", "y"])
    job = thoonk.job("job", {"claim_timeout": 60, "max_failures": 2})
    for number in range(12):
        job.put(str(number), job.HIGH if number % 3 else None)
    for _ in range(2):
        job.get(timeout=5).cancel()
    finished = job.get(timeout=5)
    finished.finish("result", timeout=0)
    job.get(timeout=5).finish("result", timeout=100)
    job.get(timeout=5).finish("result", timeout=0.001)
    job.get(timeout=5).finish()
    stalled = job.get(timeout=5)
    stalled.stall()
    again = job.get(timeout=5)
    again.stall()
    job.retry(again.id)
    job.retract(job.put("retracted"))
    job.get(timeout=5).extend()
    job.put_many(["x", "y", "z"])
    for number, claim in enumerate(job.claims(timeout=0.1, prefetch=3)):
        if number == 1:
            claim.set_result("result")
        if number == 3:
            break
    many = job.get_many(2, timeout=5)
    job.finish_many([claim.id for claim in many])
    job.get_result(finished.id, timeout=5)
    job.maintenance()
    job.put("later", delay=600)
    job.put("later", job.HIGH, delay=600, id="mine", unique_for=600)
    job.put("another", id="mine", if_exists="replace", delay=500)
    job.put("short", delay=0.01)
    job.reschedule("mine", delay=700)
    job.run_now(job.put("now", delay=600))
    claims = job.get_many(3, timeout=5)
    claims[0].cancel(reason="why", delay=600)
    claims[1].cancel(reason=ValueError("why"))
    claims[2].stall(reason="why")
    job.put("first of all", delay=100)  # perhaps with an empty id, which wakes a taker
    paused, held = thoonk.job("paused"), thoonk.queue("held")
    for line in (paused, held):
        line.put("x")
        line.pause()
        line.put("y")
    queue.pause()
    queue.put("z")
    report = WorkerReport("web-1:17:x", "web-1", 17, "2.0", ("job",), 8)
    thoonk.backend.execute(ReportWorker(report, 600))
    queue.resume()
    for name in ("gone", "here"):
        thoonk.create_feed(name, {"type": "job"})
    thoonk.delete_feed("gone")


def test_after_every_operation_there_is_nothing_to_be_found(server: servers.Server) -> None:
    with Thoonk(backend=server.url) as thoonk:
        everything(thoonk)
        report = examine(server.url, ignore=IGNORED)
        assert report.findings == ()
        assert {size.feed for size in report.sizes} == {
            *("feed", "sorted", "queue", "job", "here", "paused", "held"),
        }
        assert all(size.bytes > 0 for size in report.sizes)
        thoonk.delete_feed("job")
        assert examine(server.url, ignore=IGNORED).findings == ()


def test_what_peers_of_version_1_do_is_no_fault(server: servers.Server) -> None:
    """Their feeds have none of the keys that came since."""
    with server.client() as client:
        peer = Peer(client, stores_results=False)
        for kind in ("feed", "sorted_feed", "queue", "job"):
            peer.create(kind, {"type": kind})
        peer.publish("feed", "x")
        peer.insert("sorted_feed", "x")
        peer.queue_put("queue", "x")
        for _ in range(5):
            peer.job_put("job", "x")
        for end in (peer.job_finish, peer.job_cancel, peer.job_stall):
            got = peer.job_get("job")
            assert got is not None
            end("job", got[0])
        assert peer.job_get("job") is not None
        assert examine(server.url, ignore=IGNORED).findings == ()


# --- a busy server ------------------------------------------------------------------------


class Crowd:
    """Threads that do things as fast as they can until they are told to stop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stopping = threading.Event()
        self.done: dict[str, int] = {}
        self.failed: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, role: Callable[[Thoonk, redis.Redis], Iterator[None]], copies: int) -> None:
        for _ in range(copies):
            thread = threading.Thread(target=self._run, args=(role,))
            thread.start()
            self._threads.append(thread)

    def _run(self, role: Callable[[Thoonk, redis.Redis], Iterator[None]]) -> None:
        port = int(self.url.rpartition(":")[2].partition("/")[0])
        try:
            with Thoonk(backend=self.url) as thoonk, redis.Redis(port=port, protocol=2) as raw:
                for _ in role(thoonk, raw):
                    self.done[role.__name__] = self.done.get(role.__name__, 0) + 1
                    if self.stopping.is_set():
                        return
        except BaseException as error:
            self.failed.append(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(30)
        assert not [thread for thread in self._threads if thread.is_alive()]


def put_jobs(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    job = thoonk.job("job", {"claim_timeout": 0.2, "max_failures": 2})
    for number in itertools.count():
        if job.count() > 200:
            time.sleep(0.005)
        else:
            job.put(str(number), random.choice([None, job.HIGH]))
        yield


def put_jobs_for_later(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    job = thoonk.job("job", {"claim_timeout": 0.2, "max_failures": 2})
    for number in itertools.count():
        if job.count() > 200:
            time.sleep(0.005)
            yield
            continue
        id = random.choice(["one", "two", None])
        job.put(
            str(number),
            id=id,
            delay=random.random() / 10,
            if_exists=random.choice(["keep", "replace"]),
            unique_for=None if id is None else 0.05,
        )
        with contextlib.suppress(NotScheduled):
            job.reschedule("one", delay=random.random() / 10)
        yield


def pause_and_resume(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    job, queue = thoonk.job("job"), thoonk.queue("queue")
    while True:
        for line in (job, queue):
            line.pause()
            time.sleep(random.random() / 20)
            line.resume()
        time.sleep(random.random() / 5)
        yield


def work(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    job = thoonk.job("job", {"claim_timeout": 0.2, "max_failures": 2})
    while True:
        try:
            claim = job.get(timeout=0.5)
            match random.randrange(8):
                case 0:
                    claim.cancel(
                        reason=random.choice(["why", None]), delay=random.choice([None, 0.01, 0.1])
                    )
                case 1:
                    claim.stall(reason="why")
                case 2:
                    claim.extend()
                    claim.finish("result", timeout=random.choice([0, 0.05, 100]))
                case 3:
                    pass  # a worker that died: it runs out
                case 4:
                    job.retract(claim.id)
                case _:
                    claim.finish("result")
        except (Empty, NotClaimed):
            pass
        yield


def work_in_a_loop(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    job = thoonk.job("job", {"claim_timeout": 0.2, "max_failures": 2})
    while True:
        for claim in job.claims(timeout=0.2, prefetch=4):
            match random.randrange(10):
                case 0:
                    break
                case 1:
                    with contextlib.suppress(NotClaimed):
                        claim.cancel()
                case 2:
                    claim.set_result("result")
            yield
        yield


def retry_jobs(thoonk: Thoonk, raw: redis.Redis) -> Iterator[None]:
    job = thoonk.job("job", {"claim_timeout": 0.2, "max_failures": 2})
    while True:
        for id in raw.srandmember("feed.stalled:job", 5):
            with contextlib.suppress(NotStalled):
                job.retry(id.decode())
        job.maintenance()
        time.sleep(0.01)
        yield


def fill_queue(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    queue = thoonk.queue("queue")
    for number in itertools.count():
        if queue.count() > 200:
            time.sleep(0.005)
        else:
            queue.put(str(number))
        yield


def empty_queue(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    queue = thoonk.queue("queue")
    while True:
        with contextlib.suppress(Empty):
            queue.get(timeout=0.5)
        yield


def publish(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    feed = thoonk.feed("feed", {"max_length": 20})
    for number in itertools.count():
        feed.publish(str(number), id=str(random.randrange(40)))
        feed.retract(str(random.randrange(40)))
        yield


def arrange(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    feed = thoonk.sorted_feed("sorted")
    while True:
        ids = feed.get_ids()
        feed.append("x")
        try:
            if len(ids) > 20:
                feed.retract(random.choice(ids))
                feed.move_before(random.choice(ids), random.choice(ids))
                feed.edit(random.choice(ids), "y")
        except ThoonkError:
            pass
        yield


def come_and_go(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
    for number in itertools.count():
        name = f"fleeting {number % 2}"
        try:
            thoonk.create_feed(name, {"type": random.choice(["job", "feed", "sorted_feed"])})
            for open in (thoonk.job, thoonk.feed, thoonk.sorted_feed):
                with contextlib.suppress(WrongFeedType):
                    feed = open(name)
                    for _ in range(50):
                        feed.put("x") if open == thoonk.job else feed.publish("x")
        except (FeedExists, FeedDoesNotExist):
            pass
        with contextlib.suppress(FeedDoesNotExist):
            thoonk.delete_feed(name)
        yield


def put_as_a_peer(_: Thoonk, raw: redis.Redis) -> Iterator[None]:
    peer = Peer(raw, stores_results=False)
    while True:
        if raw.hlen("feed.items:peer") < 50:
            peer.job_put("peer", "x")
        if raw.hlen("feed.items:peer queue") < 50:
            peer.queue_put("peer queue", "x")
        yield


def work_as_a_peer(_: Thoonk, raw: redis.Redis) -> Iterator[None]:
    peer = Peer(raw, stores_results=False)
    while True:
        if (got := peer.job_get("peer", 0.5)) is not None:
            random.choice([peer.job_finish, peer.job_cancel])("peer", got[0])
        peer.queue_get("peer queue", 0.5)
        yield


ROLES = {
    put_jobs: 1,
    put_jobs_for_later: 1,
    pause_and_resume: 1,
    work: 3,
    work_in_a_loop: 2,
    retry_jobs: 1,
    fill_queue: 1,
    empty_queue: 2,
    publish: 2,
    arrange: 1,
    come_and_go: 2,
    put_as_a_peer: 1,
    work_as_a_peer: 2,
}


def test_on_a_busy_server_there_is_nothing_to_be_found(server: servers.Server) -> None:
    """While everybody works as fast as possible, also when it is allowed to repair."""
    with server.client() as raw:
        peer = Peer(raw)
        peer.create("peer", {"type": "job"})
        peer.create("peer queue", {"type": "queue"})
    with Crowd(server.url) as crowd:
        for role, copies in ROLES.items():
            crowd.start(role, copies)
        until(lambda: len(crowd.done) == len(ROLES))
        before = dict(crowd.done)
        for repair in (False, False, True):
            report = examine(server.url, repair=repair, patience=1.0, ignore=IGNORED)
            assert [f.line for f in report.findings if f.check.severity > Severity.NOTE] == []
        assert all(crowd.done[role] > before[role] for role in before)
    assert crowd.failed == []


def test_a_repair_of_a_busy_feed_loses_and_doubles_nothing(server: servers.Server) -> None:
    """Workers go on while jobs are planted in no state, twice, and with peers' leftovers."""
    finished: list[str] = []
    with Crowd(server.url) as crowd, Thoonk(backend=server.url) as thoonk:

        def finish_jobs(thoonk: Thoonk, _: redis.Redis) -> Iterator[None]:
            job = thoonk.job("job")
            while True:
                try:
                    claim = job.get(timeout=0.2)
                    claim.finish()
                    finished.append(claim.id)
                except (Empty, NotClaimed):
                    pass
                yield

        job = thoonk.job("job", {"claim_timeout": 30})
        raw = server.client()
        put = [job.put(str(number)) for number in range(300)]
        lost = put[::3]
        for id in lost:
            raw.lrem("feed.ids:job", 1, id)
        for id in put[1::30]:
            raw.lpush("feed.ids:job", id)
        for number in range(5):
            raw.rpush("feed.reserved:job", job.put(f"reserved {number}"))
        crowd.start(finish_jobs, 3)
        put += [job.put(str(number)) for number in range(300)]
        report = examine(server.url, repair=True, patience=0.3, ignore=IGNORED)
        assert report.is_healthy
        assert sum(f.repaired for f in report.findings if f.check.name == "lost") == len(lost)
        until(lambda: job.count() == 0, 30)
        raw.close()
    assert crowd.failed == []
    assert sorted(set(finished)) == sorted(finished)
    assert set(finished) >= set(put)


def test_what_moves_between_the_look_and_the_repair_is_left_alone(server: servers.Server) -> None:
    """The reads are done again in the script that writes; one different answer stops it."""
    with server.client() as raw:
        raw.rpush("feed.ids:job", "a", "b")
        raw.hset("feed.items:job", "a", "x")
        sure = probe.Probe(raw)
        reads = [probe.words("LPOS", "feed.ids:job", "a", "COUNT", 0)]
        reads.append(probe.words("HGET", "feed.items:job", "a"))
        (replies,) = sure.look([reads])
        writes = [probe.words("HDEL", "feed.items:job", "a")]
        for change, back in (
            (lambda: raw.lpush("feed.ids:job", "a"), lambda: raw.lpop("feed.ids:job")),
            (
                lambda: raw.hset("feed.items:job", "a", "y"),
                lambda: raw.hset("feed.items:job", "a", "x"),
            ),
        ):
            change()
            assert not sure.repair(reads, replies, writes)
            assert raw.hexists("feed.items:job", "a")
            back()
        assert sure.repair(reads, replies, writes)
        assert not raw.exists("feed.items:job")


def test_the_server_is_asked_for_little_at_a_time(server: servers.Server) -> None:
    """No command that answers a whole collection; of items not the values."""
    with Thoonk(backend=server.url) as thoonk, server.client() as raw:
        everything(thoonk)
        job = thoonk.job("many")
        with raw.pipeline() as pipeline:
            for number in range(30_000):
                pipeline.lpush("feed.ids:many", number)
                pipeline.hset("feed.items:many", number, b"x" * 100)
                pipeline.zadd("feed.published:many", {number: 1.7e12})
            pipeline.execute()
        assert job.count() == 30_000
        raw.config_resetstat()
        report = examine(server.url, ignore=IGNORED)
        assert report.findings == ()
        stats = raw.info("commandstats")
        used = {name.removeprefix("cmdstat_").lower() for name in stats}
        whole = {"keys", "smembers", "hkeys", "hvals", "hgetall", "zrange", "sort", "flushall"}
        assert not used & whole
        assert stats["cmdstat_lrange"]["calls"] >= 3
        # A look is of one instant.
        assert stats["cmdstat_exec"]["calls"] == stats["cmdstat_multi"]["calls"] > 0
        assert stats["cmdstat_hscan"]["calls"] > 25
        # Items alone are 3 MB.
        assert raw.info("stats")["total_net_output_bytes"] < 3_000_000
