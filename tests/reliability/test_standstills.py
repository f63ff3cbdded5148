"""However much there is to do, no step of it holds up the others for long.

What a step takes here depends on the machine and on what else it does, so the limits have
much room: done in one go, each of these takes seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from conftest import World
from servers import Server, processor_time

from thoonk import Job, Thoonk, WrongFeedType
from thoonk.backends import ForwardingBackend
from thoonk.operations import JobFinish, Operation

LONGEST = 1.0
"""Seconds that one step may take on a machine that is busy. On an idle one it is 0.01."""


@pytest.fixture(params=["redis-6.2", "redis-path"])
def server(request: pytest.FixtureRequest, running_server: object) -> World:
    running = running_server(request.param)  # type: ignore[operator]
    assert isinstance(running, Server)
    raw = running.client()
    raw.flushall()
    return World(request.param, running.url, raw, running)


@contextmanager
def no_step_is_long(raw: redis.Redis, longest: float = LONGEST) -> Iterator[None]:
    raw.config_set("slowlog-log-slower-than", 5_000)
    raw.config_set("slowlog-max-len", 10_000)
    raw.slowlog_reset()
    worked = processor_time(raw)
    try:
        yield
        worked = processor_time(raw) - worked
        slow = [(each["duration"] / 1e6, each["command"][:60]) for each in raw.slowlog_get(10_000)]
    finally:
        raw.config_set("slowlog-log-slower-than", 10_000)
    # Where all of it is less than that for the processor, a step was only held up by the machine.
    assert worked < longest or max(slow, default=(0.0, b"")) < (longest, b"")


def claimed_long_ago(raw: redis.Redis, job: Job[str], count: int) -> None:
    """So many claims, a thousand under a token, that have run out."""
    job.put_many("x" for _ in range(count))
    for _ in range(count // 1000):
        job.get_many(1000, timeout=60)
    claims = raw.zrange("feed.claimed:j", 0, -1)
    long_ago = time.time() * 1000 - 3_600_000
    for start in range(0, count, 1000):
        raw.zadd("feed.claimed:j", dict.fromkeys(claims[start : start + 1000], long_ago))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("max_failures", [0, 1])
def test_maintenance_of_20000_claims_that_have_run_out_holds_up_nobody(
    server: World, max_failures: int
) -> None:
    with Thoonk(backend=server.url) as thoonk:
        job = thoonk.job("j", {"claim_timeout": 60, "max_failures": max_failures})
        claimed_long_ago(server.raw, job, 20_000)
        with no_step_is_long(server.raw):
            report = job.maintenance()
        assert len({*report.expired, *report.stalled}) == 20_000
        assert len(report.stalled) == 20_000 * max_failures
        counts = job.get_counts()
        assert (counts.waiting, counts.claimed) == (20_000 * (1 - max_failures), 0)
        assert server.raw.exists("feed.holders:j", "feed.tokens:j") == 0


@pytest.mark.timeout(180)
def test_maintenance_finds_the_few_lost_among_very_many_and_holds_up_nobody(
    server: World,
) -> None:
    with Thoonk(backend=server.url) as thoonk:
        job = thoonk.job("j")
        ids = job.put_many("x" for _ in range(30_000))
        lost = {server.raw.rpop("feed.ids:j").decode() for _ in range(20)}  # type: ignore[union-attr]
        left_over = ids[15_000]
        server.raw.lrem("feed.ids:j", 1, left_over)
        server.raw.zrem("feed.published:j", left_over)
        # Taken, and ended by a peer that knows no holders.
        job.get_many(500, timeout=60)
        server.raw.delete("feed.claimed:j")
        with no_step_is_long(server.raw):
            report = job.maintenance()
        assert {*report.recovered} == {*ids[:520]} >= lost
        assert report.discarded == (left_over,)
        assert server.raw.exists("feed.holders:j", "feed.tokens:j") == 0
        assert job.get_counts().waiting == 29_999
        again = job.maintenance()
        assert (again.recovered, again.discarded) == ((), ())


@pytest.mark.timeout(180)
def test_jobs_that_come_and_go_while_maintenance_looks_are_not_taken_for_lost(
    server: World,
) -> None:
    with Thoonk(backend=server.url) as thoonk, Thoonk(backend=server.url) as other:
        job, busy = thoonk.job("j"), other.job("j")
        job.put_many("x" for _ in range(12_000))
        lost = server.raw.rpop("feed.ids:j").decode()  # type: ignore[union-attr]
        execute, steps = job._execute, []

        def beside(operation: object) -> object:
            # Between two steps others take, finish, cancel and put.
            steps.append(operation)
            claims = busy.get_many(300, timeout=60)
            busy.finish_many(claims[:100])
            for claim in claims[100:110]:
                claim.cancel()
            busy.put_many("x" for _ in range(50))
            return execute(operation)  # type: ignore[arg-type]

        job._execute = beside  # type: ignore[method-assign,assignment]
        report = job.maintenance()
        assert report.recovered == (lost,)
        assert report.discarded == ()
        assert len(steps) > 10
        waiting = server.raw.lrange("feed.ids:j", 0, -1)
        assert len(waiting) == len({*waiting})


def test_who_takes_does_not_wait_for_a_thousand_claims_that_have_run_out(server: World) -> None:
    with Thoonk(backend=server.url) as thoonk:
        job = thoonk.job("j", {"claim_timeout": 60})
        claimed_long_ago(server.raw, job, 2_000)
        with no_step_is_long(server.raw, longest=0.5):
            assert len(job.get_many(1000, timeout=60)) == 100


# --- retractions --------------------------------------------------------------------------------


@pytest.mark.timeout(180)
@pytest.mark.parametrize("which", ["oldest", "newest", "scattered"])
def test_retracting_many_of_100000_waiting_jobs_holds_up_nobody(server: World, which: str) -> None:
    with Thoonk(backend=server.url) as thoonk:
        job = thoonk.job("j")
        ids = job.put_many("x" for _ in range(100_000))
        gone = {"oldest": ids[:2000], "newest": ids[-2000:], "scattered": ids[::50]}[which]
        with no_step_is_long(server.raw, longest=0.5):
            assert job.retract_many(gone) == [True] * 2000
        left = {*ids} - {*gone}
        waiting = server.raw.lrange("feed.ids:j", 0, -1)
        assert [id.decode() for id in reversed(waiting)] == [id for id in ids if id in left]
        assert server.raw.hlen("feed.items:j") == server.raw.zcard("feed.published:j") == 98_000


@pytest.mark.timeout(180)
def test_retracting_many_of_a_long_sorted_feed_holds_up_nobody(server: World) -> None:
    with Thoonk(backend=server.url) as thoonk:
        feed = thoonk.sorted_feed("s")
        ids = feed.publish_many("x" for _ in range(100_000))
        middle = ids[49_000:51_000]
        with feed.subscribe() as told, no_step_is_long(server.raw, longest=0.5):
            assert feed.retract_many(middle) == [True] * 2000
            heard = [told.get(timeout=60).id for _ in middle]  # type: ignore[union-attr]
        assert {*heard} == {*middle}
        assert feed.get_ids() == ids[:49_000] + ids[51_000:]
        assert feed.count() == 98_000


def test_all_states_and_doubles_are_retracted_in_steps_as_in_one(server: World) -> None:
    with Thoonk(backend=server.url) as thoonk:
        job = thoonk.job("j", {"claim_timeout": 60})
        ids = job.put_many("x" for _ in range(40_000))
        claims = job.get_many(10)
        claims[0].stall()
        claims[1].cancel()
        server.raw.rpoplpush("feed.ids:j", "feed.reserved:j")  # of a taker that died
        lost = server.raw.rpop("feed.ids:j").decode()  # type: ignore[union-attr]
        gone = [*ids[:20], lost, "unknown", ids[0], *ids[20_000:20_100], ids[20_000]]
        flags = job.retract_many(gone)
        assert flags == [True] * 20 + [False] * 3 + [True] * 100 + [False]
        assert job.count() == 39_880
        counts = job.get_counts()
        assert (counts.waiting, counts.claimed, counts.stalled) == (39_880, 0, 0)
        for key in ("holders", "tokens", "cancelled", "reserved", "claimed", "stalled"):
            assert server.raw.exists(f"feed.{key}:j") == 0
        assert job.maintenance().recovered == ()


def test_a_full_server_still_retracts_many(server: World) -> None:
    with Thoonk(backend=server.url) as thoonk:
        job, feed = thoonk.job("j"), thoonk.sorted_feed("s")
        ids = job.put_many("x" for _ in range(20_000))
        numbers = feed.publish_many("x" for _ in range(20_000))
        try:
            server.raw.config_set("maxmemory", 1_000_000)
            assert all(job.retract_many(ids[9_000:9_500]))
            assert all(feed.retract_many(numbers[9_000:9_500]))
        finally:
            server.raw.config_set("maxmemory", 0)
        assert (job.count(), feed.count()) == (19_500, 19_500)


# --- feeds --------------------------------------------------------------------------------------


@pytest.mark.timeout(180)
def test_a_lower_max_length_takes_items_off_in_short_steps(server: World) -> None:
    with Thoonk(backend=server.url) as thoonk:
        feed = thoonk.feed("f")
        ids = feed.publish_many("x" for _ in range(5_000))
        server.raw.config_resetstat()
        with feed.subscribe() as told:
            thoonk.set_config("f", {"max_length": 100})
            assert [told.get(timeout=60).id for _ in range(4_900)] == ids[:4_900]  # type: ignore[union-attr]
        assert feed.get_ids() == ids[-100:]
        removals = server.raw.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert removals >= 5
        thoonk.feed("f", {"max_length": 50})
        assert feed.get_ids() == ids[-50:]


def test_a_type_that_is_refused_takes_nothing_off(server: World) -> None:
    with Thoonk(backend=server.url) as thoonk:
        feed = thoonk.feed("f")
        feed.publish_many([*"abc"])
        with pytest.raises(WrongFeedType):
            thoonk.set_config("f", {"type": "queue", "max_length": 1})
        assert feed.count() == 3


def test_after_a_peer_has_lowered_max_length_a_publish_takes_off_a_thousand_at_most(
    server: World,
) -> None:
    with Thoonk(backend=server.url) as thoonk:
        feed = thoonk.feed("f")
        ids = feed.publish_many("x" for _ in range(2_500))
        server.raw.hset("feed.config:f", "max_length", 10)
        left = []
        for _ in range(3):
            ids.append(feed.publish("x"))
            left.append(feed.count())
            assert feed.get_ids() == ids[-left[-1] :]
        assert left == [1_500, 500, 10]


def test_a_peers_times_in_seconds_are_rewritten_in_short_steps_and_in_order(
    server: World,
) -> None:
    with Thoonk(backend=server.url) as thoonk:
        feed = thoonk.feed("f")
        began = time.time() - 10_000
        ids = [f"old-{number}" for number in range(2_500)]
        server.raw.zadd("feed.ids:f", {id: began + number for number, id in enumerate(ids)})
        server.raw.hset("feed.items:f", mapping=dict.fromkeys(ids, "x"))
        for left in (1_500, 500, 0):
            ids.append(feed.publish("x"))
            assert feed.get_ids() == ids
            assert server.raw.zcount("feed.ids:f", "-inf", "(1e11") == left


def test_results_whose_time_is_past_leave_the_index_in_short_steps(server: World) -> None:
    with Thoonk(backend=server.url) as thoonk:
        job = thoonk.job("j")
        server.raw.zadd("feed.results:j", {f"gone-{number}": 1e12 for number in range(2_500)})
        left = []
        for _ in range(3):
            job.put("x")
            job.get().finish("done")
            left.append(server.raw.zcard("feed.results:j"))
        assert left == [1_500, 500, 3]


@pytest.mark.parametrize(("results", "steps"), [(False, [850]), (True, [400, 400, 50])])
def test_results_are_stored_in_shorter_steps(results: bool, steps: list[int]) -> None:
    class Noting(ForwardingBackend):
        def execute(self, operation: Operation[Any]) -> Any:
            if isinstance(operation, JobFinish):
                noted.append(len(operation.completions))
            return super().execute(operation)

    noted: list[int] = []
    with Thoonk(backend="memory") as owner, Thoonk(backend=Noting(owner.backend)) as thoonk:
        job = thoonk.job("j")
        job.put_many("x" for _ in range(850))
        claims = job.get_many(850)
        job.finish_many(claims, ["done"] * 850 if results else None)
        assert job.get_counts().finished == 850
    assert noted == steps
