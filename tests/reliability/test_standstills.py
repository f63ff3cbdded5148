"""However much there is to do, no step of it holds up the others for long.

What a step takes here depends on the machine and on what else it does, so the limits have
much room: done in one go, each of these takes seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from conftest import World
from servers import Server

from thoonk import Job, Thoonk

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
    try:
        yield
        slow = [(each["duration"] / 1e6, each["command"][:60]) for each in raw.slowlog_get(10_000)]
    finally:
        raw.config_set("slowlog-log-slower-than", 10_000)
    assert max(slow, default=(0.0, b"")) < (longest, b"")


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
