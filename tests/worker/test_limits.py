"""Limits that are changed, or gone, while workers run; and delays of many jobs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from conftest import World

from thoonk import Job, JobCounts, Thoonk, waiting
from thoonk.worker import Retry
from thoonk.worker._async import heartbeat as async_heartbeat
from thoonk.worker._sync import heartbeat as sync_heartbeat

from .conftest import Workers, becomes, poll, states


def wipe(world: World, thoonk: Thoonk) -> None:
    world.raw.flushall()
    Thoonk(backend=world.url).job("j")


def delete(world: World, thoonk: Thoonk) -> None:
    thoonk.delete_feed("j")
    thoonk.job("j")


ANEW = pytest.mark.parametrize("make_anew", [wipe, delete])


@ANEW
def test_a_failing_job_of_a_feed_that_was_made_anew_is_delayed_and_stalled_as_before(
    workers: Workers,
    world: World,
    thoonk: Thoonk,
    make_anew: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = workers(concurrency=2)
    times: list[float] = []

    def handler(item: str) -> None:
        if item == "bad":
            times.append(time.monotonic())
            raise OSError("always")

    workers.handle(worker, "j", handler, backoff=0.4, retries=2)
    jobs = thoonk.job("j")
    with workers.working(worker):
        jobs.put("good")
        becomes(jobs, 0, 0, 0, 1)
        make_anew(world, thoonk)
        jobs.put("bad")
        becomes(jobs, 0, 0, 1, 0)
    assert len(times) == 3
    assert times[1] - times[0] >= 0.2
    assert times[2] - times[1] >= 0.4
    assert caplog.text.count("it is stalled") == 1


@ANEW
def test_jobs_of_dead_workers_come_back_in_a_feed_that_was_made_anew(
    workers: Workers,
    world: World,
    thoonk: Thoonk,
    make_anew: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nobody tells a worker of what is put there so: it has to look.
    assert waiting.LONGEST_WAIT == 10
    monkeypatch.setattr(waiting, "LONGEST_WAIT", 0.5)
    for heartbeat in (sync_heartbeat, async_heartbeat):
        assert heartbeat.LOOK_IDLE == 5
        monkeypatch.setattr(heartbeat, "LOOK_IDLE", 0.5)
    worker = workers(concurrency=1)
    workers.handle(worker, "first", lambda item: None)
    workers.handle(worker, "j", lambda item: None, claim_timeout=0.5)
    jobs = thoonk.job("j")
    with workers.working(worker):
        jobs.put("good")
        becomes(jobs, 0, 0, 0, 1)
        make_anew(world, thoonk)
        # What a worker has claimed that died at once.
        world.raw.execute_command(
            "EVAL",
            """redis.call('HSET', KEYS[1], 'x', 'lost'); redis.call('ZADD', KEYS[2], 1000, 'x')
            redis.call('ZADD', KEYS[3], 1000, 'x')""",
            3,
            *("feed.items:j", "feed.claimed:j", "feed.published:j"),
        )
        becomes(jobs, 0, 0, 0, 1)


def test_a_change_of_max_failures_holds_for_jobs_that_fail_afterwards(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers(concurrency=1)
    tries: Counter[str] = Counter()

    def handler(item: str) -> None:
        tries[item] += 1
        if tries[item] == 2:
            thoonk.set_config("j", {"max_failures": 4 if item == "more" else 1})
        raise Retry(1) if item == "waits" else OSError

    workers.handle(worker, "j", handler, backoff=0.2, retries=1)
    jobs = thoonk.job("j")
    with workers.working(worker):
        jobs.put("more")
        becomes(jobs, 0, 0, 1, 0)
        assert tries["more"] == 4
        jobs.put("less")
        becomes(jobs, 0, 0, 2, 0)
        assert tries["less"] == 2
        thoonk.set_config("j", {"max_failures": 9})
        jobs.put("waits")
        poll(lambda: jobs.get_counts().scheduled == 1)
        thoonk.set_config("j", {"max_failures": 1})
        becomes(jobs, 0, 0, 3, 0)
    assert tries["waits"] == 2
    assert caplog.text.count("stalled") == 3


@pytest.mark.parametrize("how", ["worker", "prefetch", "heartbeat"])
def test_a_claim_timeout_that_is_lowered_meanwhile_is_noticed(
    workers: Workers, thoonk: Thoonk, how: str
) -> None:
    worker = workers(concurrency=1)
    started = threading.Event()
    tries: list[str] = []

    def plain(item: str, claim: Any) -> None:
        if item == "before":
            time.sleep(0.5)
            return
        tries.append(item)
        started.set()
        if how == "heartbeat":
            with claim.heartbeat():
                time.sleep(8)
        else:
            time.sleep(8)

    async def coroutine(item: str, claim: Any) -> None:
        if item == "before":
            await asyncio.sleep(0.5)
            return
        tries.append(item)
        started.set()
        if how == "heartbeat":
            async with claim.heartbeat():
                await asyncio.sleep(8)
        else:
            await asyncio.sleep(8)

    workers.handle(
        worker,
        "j",
        plain if workers.kind == "threads" else coroutine,
        claim_timeout=60,
        heartbeat=how != "heartbeat",
        prefetch=4 if how == "prefetch" else 1,
    )
    jobs = thoonk.job("j")
    jobs.put_many(["before", "x"])
    with workers.working(worker):
        assert started.wait(60)
        thoonk.set_config("j", {"claim_timeout": 6})
        end = time.monotonic() + 60
        while states(jobs)[3] < 2 and time.monotonic() < end:
            jobs.maintenance()
            time.sleep(0.02)
    assert states(jobs) == (0, 0, 0, 2)
    assert tries == ["x"]


def failures(jobs: Job[Any]) -> int:
    return sum(map(jobs.get_failure_count, jobs.get_ids()))


def test_jobs_keep_their_delay_when_more_are_claimed_at_once(
    workers: Workers, thoonk: Thoonk
) -> None:
    worker = workers(concurrency=1)
    tries: Counter[str] = Counter()

    def handler(item: str) -> None:
        tries[item] += 1
        if int(item) % 4 == 0:
            raise OSError

    workers.handle(worker, "j", handler, backoff=600)
    jobs = thoonk.job("j")
    jobs.put_many(map(str, range(400)))
    with workers.working(worker):
        becomes(jobs, 0, 0, 0, 300)
        poll(lambda: jobs.get_counts().scheduled == 100)
        assert failures(jobs) == 100
    assert set(tries.values()) == {1}
    assert jobs.get_counts() == JobCounts(0, 0, 0, 300, 100)


def test_a_stop_counts_the_failures_of_jobs_that_wait_for_their_next_attempt(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers(concurrency=1)
    failed = threading.Event()

    def plain(item: str) -> None:
        if item == "bad":
            failed.set()
            raise OSError
        time.sleep(0.02)

    async def coroutine(item: str) -> None:
        if item == "bad":
            failed.set()
            raise OSError
        await asyncio.sleep(0.02)

    function = plain if workers.kind == "threads" else coroutine
    workers.handle(worker, "j", function, backoff=600, prefetch=900)
    jobs = thoonk.job("j")
    bad = jobs.put("bad")
    jobs.put_many(["good"] * 800)
    with workers.working(worker):
        assert failed.wait(60)
        poll(lambda: "failed on attempt 1" in caplog.text)
    assert jobs.get_failure_count(bad) == 1
    assert failures(jobs) == 1
    counts = jobs.get_counts()
    assert (counts.waiting + counts.finished, counts.claimed, counts.stalled) == (800, 0, 0)
    assert counts.scheduled == 1
