"""What workers make of jobs, in threads and in tasks, in each world."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from typing import Any

import pytest
from conftest import World

from thoonk import AsyncThoonk, Claim, Empty, FeedConfig, JobCounts, NoResult, Thoonk
from thoonk import waiting as waits
from thoonk.worker import AsyncWorker, Discard, Retry, Stall, Worker

from .conftest import Workers, becomes, poll, states


def test_what_a_handler_returns_is_the_result(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()
    workers.handle(worker, "resize", lambda item: f"small {item}")
    jobs = thoonk.job("resize")
    ids = jobs.put_many(["a", "b"])
    assert worker.run(burst=True) == 0
    assert [jobs.get_result(id, timeout=5).result for id in ids] == ["small a", "small b"]
    assert states(jobs) == (0, 0, 0, 2)


def test_it_creates_and_configures_feeds(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()
    workers.handle(worker, "new", lambda item: None, serializer="json")
    workers.handle(worker, "chosen", lambda item: None, claim_timeout=5, retries=0)
    workers.handle(worker, "there", lambda item: None)
    workers.handle(worker, "never", lambda item: None)
    thoonk.job("there", {"claim_timeout": 7, "max_failures": 9})
    thoonk.job("never", {"claim_timeout": 0, "max_failures": 0})
    worker.run(burst=True)
    config = {name: thoonk.get_config(name) for name in worker.handlers}
    assert {name: (c.claim_timeout, c.max_failures) for name, c in config.items()} == {
        "new": (30, 4),
        "chosen": (5, 1),
        "there": (7, 9),
        "never": (0, 0),
    }
    assert config["new"].serializer == "json"


@pytest.mark.parametrize(
    ("option", "stored"), [(None, ["0", "x"]), (True, ["0", "x", "None"]), (False, [])]
)
def test_which_results_are_stored(
    workers: Workers, thoonk: Thoonk, option: bool | None, stored: list[str]
) -> None:
    worker = workers()
    values = {"0": 0, "x": "x", "None": None}
    workers.handle(worker, "j", values.get, serializer="json", result=option)
    jobs = thoonk.job("j", serializer="json")
    ids = dict(zip(values, jobs.put_many([*values]), strict=True))
    worker.run(burst=True)
    found = []
    for name, id in ids.items():
        try:
            assert jobs.get_result(id, timeout=0.05).result == values[name]
        except NoResult:
            continue
        found.append(name)
    assert found == stored
    assert states(jobs) == (0, 0, 0, 3)


def test_results_are_kept_as_long_as_it_says(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()
    workers.handle(worker, "j", str, result_timeout=0.2)
    jobs = thoonk.job("j")
    id = jobs.put("x")
    worker.run(burst=True)
    poll(lambda: is_gone(jobs, id))


def is_gone(jobs: Any, id: str) -> bool:
    try:
        jobs.get_result(id, timeout=0.01)
    except NoResult:
        return True
    return False


def test_a_handler_can_use_its_claim(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()
    seen = []

    def handler(item: str, claim: Any) -> str:
        seen.append((claim.id, item, claim.cancelled))
        claim.set_result("chosen", 60)
        return "returned"

    workers.handle(worker, "j", handler, result=False)
    jobs = thoonk.job("j")
    id = jobs.put("x")
    worker.run(burst=True)
    assert seen == [(id, "x", 0)]
    assert jobs.get_result(id, timeout=5).result == "chosen"


def test_a_handler_can_end_its_claim(workers: Workers, thoonk: Thoonk, caplog: Any) -> None:
    worker = workers()

    def plain(item: str, claim: Claim[str]) -> str:
        claim.finish("its own", result=True)
        if item == "fails":
            raise OSError("too late")
        return "another"

    async def coroutine(item: str, claim: Any) -> str:
        await claim.finish("its own", result=True)
        if item == "fails":
            raise OSError("too late")
        return "another"

    workers.handle(worker, "j", plain if workers.kind == "threads" else coroutine)
    jobs = thoonk.job("j")
    ids = jobs.put_many(["works", "fails"])
    worker.run(burst=True)
    assert [jobs.get_result(id, timeout=5).result for id in ids] == ["its own"] * 2
    assert states(jobs) == (0, 0, 0, 2)
    assert "failed after it had ended the job" in caplog.text


def test_what_fails_is_tried_again_with_growing_delays_and_then_stalled(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers()
    times: list[float] = []

    def handler(item: str, claim: Any) -> None:
        times.append(time.monotonic())
        raise OSError("disk full")

    workers.handle(worker, "j", handler, retries=2, backoff=0.4)
    jobs = thoonk.job("j")
    id = jobs.put("x")
    worker.run(burst=True)
    assert len(times) == 3
    first, second = [r.delay for r in caplog.records if hasattr(r, "delay")]
    assert 0.2 <= first <= 0.4
    assert 0.4 <= second <= 0.8
    # They are kept, and a busy machine adds to them.
    assert first <= times[1] - times[0] < first + 30
    assert second <= times[2] - times[1] < second + 30
    assert states(jobs) == (0, 0, 1, 0)
    records = [record for record in caplog.records if hasattr(record, "attempt")]
    assert [(r.levelno, r.feed, r.id, r.attempt) for r in records if r.exc_info] == [  # type: ignore[attr-defined]
        (logging.WARNING, "j", id, 1),
        (logging.WARNING, "j", id, 2),
        (logging.ERROR, "j", id, 3),
    ]
    # The traceback begins in the handler: no frames of ours.
    assert "disk full" in caplog.text
    assert 'executor.py", line' not in caplog.text


def test_a_job_that_waits_for_its_next_attempt_holds_nobody_up(
    workers: Workers, thoonk: Thoonk
) -> None:
    worker = workers(concurrency=1)
    done: list[str] = []

    def handler(item: str) -> None:
        done.append(item)
        if item == "bad":
            raise OSError

    workers.handle(worker, "j", handler, backoff=60)
    jobs = thoonk.job("j")
    bad, _ = jobs.put_many(["bad", "good"])
    with workers.working(worker):
        becomes(jobs, 0, 0, 0, 1)
        # Longer than claim_timeout: it is not claimed, so nobody has to keep it.
        thoonk.set_config("j", {"claim_timeout": 0.5})
        end = time.monotonic() + 1
        while time.monotonic() < end:
            jobs.maintenance()
            assert jobs.get_counts() == JobCounts(0, 0, 0, 1, 1)
            time.sleep(0.05)
        assert done == ["bad", "good"]
    # Who stops leaves it to the server, with its delay.
    assert jobs.get_counts() == JobCounts(0, 0, 0, 1, 1)
    jobs.run_now(bad)
    assert jobs.get(timeout=5).cancelled == 1


def test_retry_stall_and_discard(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers()
    tries: Counter[str] = Counter()

    def handler(item: str) -> str | None:
        tries[item] += 1
        if item == "discard":
            raise Discard("no longer wanted")
        if item == "stall":
            raise Stall("no such picture")
        if item == "retry" and tries[item] == 1:
            raise Retry(0.2)
        if item == "now" and tries[item] < 3:
            raise Retry(0)
        return item

    caplog.set_level(logging.INFO)
    workers.handle(worker, "j", handler, backoff=60)
    jobs = thoonk.job("j")
    discard, _, retry, now = jobs.put_many(["discard", "stall", "retry", "now"])
    worker.run(burst=True)
    assert tries == {"discard": 1, "stall": 1, "retry": 2, "now": 3}
    assert states(jobs) == (0, 0, 1, 3)
    assert is_gone(jobs, discard)
    assert jobs.get_result(retry, timeout=5).result == "retry"
    assert jobs.get_result(now, timeout=5).result == "now"
    assert "no longer wanted" in caplog.text
    assert "no such picture" in caplog.text


def test_a_result_that_cannot_be_stored_stalls_the_job(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers()
    results = {"bytes": b"bytes", "object": object(), "fine": "fine"}
    workers.handle(worker, "text", results.get)
    workers.handle(worker, "json", results.get, serializer="json")
    thoonk.job("text").put_many(["bytes", "fine"])
    thoonk.job("json", serializer="json").put_many(["object", "fine"])
    worker.run(burst=True)
    for name in ("text", "json"):
        assert states(thoonk.job(name, serializer="text")) == (0, 0, 1, 1)
    assert caplog.text.count("its result cannot be stored") == 2


def test_an_item_that_cannot_be_read_is_stalled(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()
    workers.handle(worker, "j", lambda item: None, serializer="json")
    raw = thoonk.job("j", serializer="binary")
    _, unreadable, _ = raw.put_many([b"1", b"{", b"2"])
    worker.run(burst=True)
    assert states(raw) == (0, 0, 1, 2)
    info = raw.get_info(unreadable)
    assert info is not None
    assert info.failure is not None
    assert info.failure.error == "SerializerError"


class OddError(BaseException):
    """Such as those of test runners and of other kinds of concurrency."""


def test_whatever_a_handler_raises_the_worker_goes_on(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers(concurrency=1)
    errors: dict[str, BaseException] = {
        "exit": SystemExit(3),
        "recursion": RecursionError(),
        "memory": MemoryError(),
        "empty": Empty("its own"),
        "cancelled": asyncio.CancelledError(),
        "odd": OddError(),
    }

    def handler(item: str) -> None:
        if item in errors:
            raise errors[item]

    workers.handle(worker, "j", handler, retries=0)
    jobs = thoonk.job("j")
    jobs.put_many([*errors, "fine"])
    worker.run(burst=True)
    assert states(jobs) == (0, 0, len(errors), 1)


def test_a_long_job_keeps_its_claim(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()
    tries: list[str] = []

    def plain(item: str) -> None:
        tries.append(item)
        time.sleep(8)

    async def coroutine(item: str) -> None:
        tries.append(item)
        await asyncio.sleep(8)

    workers.handle(worker, "j", plain if workers.kind == "threads" else coroutine, claim_timeout=6)
    jobs = thoonk.job("j")
    jobs.put("x")
    with workers.working(worker):
        end = time.monotonic() + 60
        while states(jobs)[3] == 0 and time.monotonic() < end:
            jobs.maintenance()
            time.sleep(0.02)
    assert states(jobs) == (0, 0, 0, 1)
    assert tries == ["x"]


def test_without_a_heartbeat_a_job_that_hangs_is_anothers(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers(concurrency=2)
    released = threading.Event()
    tries: list[int] = []

    def plain(item: str, claim: Any) -> str:
        tries.append(claim.cancelled)
        if claim.cancelled == 0:
            released.wait(60)
            return "too late"
        return "in time"

    async def coroutine(item: str, claim: Any) -> str:
        tries.append(claim.cancelled)
        if claim.cancelled == 0:
            while not released.is_set():
                await asyncio.sleep(0.02)
            return "too late"
        return "in time"

    workers.handle(
        worker,
        "j",
        plain if workers.kind == "threads" else coroutine,
        claim_timeout=2,
        heartbeat=False,
    )
    jobs = thoonk.job("j")
    id = jobs.put("x")
    with workers.working(worker):
        assert jobs.get_result(id, timeout=60).result == "in time"
        released.set()
    assert tries == [0, 1]
    assert states(jobs) == (0, 0, 0, 1)
    assert jobs.get_result(id, timeout=5).result == "in time"
    # When the first one ends, or before, if the worker has looked for what it has lost; or both,
    # in the same moment.
    lost = [each for each in caplog.records if getattr(each, "event", "") == "job_lost"]
    assert {(each.id, each.reason) for each in lost} == {(id, "finished")}  # type: ignore[attr-defined]


def test_a_lost_claim_is_told_once_and_the_result_refused(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers(concurrency=1)
    released = threading.Event()
    started = threading.Event()

    async def coroutine(item: str) -> str:
        started.set()
        while not released.is_set():
            await asyncio.sleep(0.02)
        return "the worker's"

    def plain(item: str) -> str:
        started.set()
        released.wait(20)
        return "the worker's"

    workers.handle(
        worker, "j", plain if workers.kind == "threads" else coroutine, claim_timeout=0.6
    )
    jobs = thoonk.job("j")
    id = jobs.put("x")
    with workers.working(worker):
        started.wait(60)
        # As when somebody else was given the job.
        jobs.finish(id, "another's")
        poll(lambda: "was lost" in caplog.text)
        time.sleep(0.5)
        released.set()
        # A task is cancelled; what a thread has returned is refused.
        told = "was not wanted" if workers.kind == "threads" else "is cancelled"
        poll(lambda: told in caplog.text)
    assert jobs.get_result(id, timeout=5).result == "another's"
    assert caplog.text.count("was lost") == 1


def test_several_feeds_and_jobs_that_make_jobs(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers(concurrency=2)
    second = thoonk.job("second")
    done: list[str] = []

    def first(item: str) -> None:
        time.sleep(0.3)  # longer than the other one has to find nothing
        second.put(f"of {item}")

    workers.handle(worker, "first", first)
    workers.handle(worker, "second", done.append)
    thoonk.job("first").put_many(["a", "b", "c"])
    worker.run(burst=True)
    assert sorted(done) == ["of a", "of b", "of c"]


def test_only_the_feeds_that_are_asked_for(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()
    workers.handle(worker, "a", lambda item: None)
    workers.handle(worker, "b", lambda item: None)
    for name in "ab":
        thoonk.job(name).put("x")
    worker.run(burst=True, feeds=["b"])
    assert states(thoonk.job("a")) == (1, 0, 0, 0)
    assert states(thoonk.job("b")) == (0, 0, 0, 1)


def test_so_many_at_once_and_no_more(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers(concurrency=4)
    lock = threading.Lock()
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()

    def begin(feed: str) -> None:
        with lock:
            now[feed] += 1
            most[feed] = max(most[feed], now[feed])

    limits = {"many": 4, "few": 2}
    # So long that the others can come, too, and a moment for one too many.
    end = time.monotonic() + 60

    def plain(item: str) -> None:
        begin(item)
        while most[item] < limits[item] and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)
        with lock:
            now[item] -= 1

    async def coroutine(item: str) -> None:
        begin(item)
        while most[item] < limits[item] and time.monotonic() < end:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        now[item] -= 1

    function = plain if workers.kind == "threads" else coroutine
    workers.handle(worker, "many", function)
    workers.handle(worker, "few", function, concurrency=2)
    for name in ("many", "few"):
        thoonk.job(name).put_many([name] * 12)
    worker.run(burst=True)
    assert most == limits


def test_thousands_of_quick_jobs_each_once(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()
    done: Counter[str] = Counter()
    workers.handle(worker, "j", lambda item: done.update([item]))
    jobs = thoonk.job("j")
    jobs.put_many(map(str, range(2000)))
    worker.run(burst=True)
    assert states(jobs) == (0, 0, 0, 2000)
    assert set(done.values()) == {1}
    assert len(done) == 2000


def test_stop_lets_running_jobs_end_and_takes_no_more(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers(concurrency=2)
    started, released = threading.Semaphore(0), threading.Event()

    def plain(item: str) -> None:
        started.release()
        assert released.wait(60)

    async def coroutine(item: str) -> None:
        started.release()
        while not released.is_set():
            await asyncio.sleep(0.02)

    workers.handle(worker, "j", plain if workers.kind == "threads" else coroutine)
    jobs = thoonk.job("j")
    jobs.put_many([*"abcde"])
    with workers.working(worker):
        assert started.acquire(timeout=60)
        assert started.acquire(timeout=60)
        worker.stop()
        released.set()
    assert states(jobs) == (3, 0, 0, 2)


@pytest.mark.parametrize("hurry", [True, False])
def test_what_does_not_end_in_time_is_given_back_and_counts_no_failure(
    workers: Workers, thoonk: Thoonk, hurry: bool, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers(concurrency=2, grace=90 if hurry else 0.3)
    released = threading.Event()
    cleaned_up = threading.Event()
    started = threading.Semaphore(0)

    def plain(item: str) -> str:
        started.release()
        released.wait(90)
        return "late"

    async def coroutine(item: str) -> None:
        started.release()
        try:
            await asyncio.sleep(90)
        finally:
            cleaned_up.set()

    workers.handle(worker, "j", plain if workers.kind == "threads" else coroutine, prefetch=2)
    jobs = thoonk.job("j")
    ids = jobs.put_many([*"abcde"])
    began = time.monotonic()
    with workers.working(worker) as thread:
        assert started.acquire(timeout=60)
        assert started.acquire(timeout=60)
        worker.stop(hurry=hurry)
        thread.join(45)
        assert not thread.is_alive()
    assert time.monotonic() - began < 45
    assert states(jobs) == (5, 0, 0, 0)
    assert caplog.text.count("given back unfinished") == 2
    assert cleaned_up.is_set() is (workers.kind == "tasks")
    # A thread that comes to its end after all finishes nothing.
    released.set()
    claims = jobs.get_many(5, timeout=5)
    assert sorted(claim.id for claim in claims) == sorted(ids)
    assert {claim.cancelled for claim in claims} == {0}
    jobs.finish_many(claims)


def test_stop_wakes_a_worker_that_waits_and_may_come_first(
    workers: Workers, thoonk: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "LONGEST_WAIT", 90)
    worker = workers()
    workers.handle(worker, "j", lambda item: None)
    worker.stop()
    worker.run()
    thoonk.job("j").put("x")
    with workers.working(worker) as thread:
        becomes(thoonk.job("j"), 0, 0, 0, 1)
        began = time.monotonic()
        worker.stop()
        thread.join(45)
    assert time.monotonic() - began < 45


def test_a_handler_may_stop_its_worker(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers(concurrency=1)
    workers.handle(worker, "j", lambda item: worker.stop())
    jobs = thoonk.job("j")
    jobs.put_many(["a", "b", "c"])
    worker.run()
    waiting, claimed, stalled, finished = states(jobs)
    assert (claimed, stalled) == (0, 0)
    assert finished >= 1
    assert waiting + finished == 3


def test_a_feed_that_is_deleted_is_made_anew(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()
    done: list[str] = []
    workers.handle(worker, "j", done.append)
    with workers.working(worker):
        poll(lambda: thoonk.feed_exists("j"))
        thoonk.delete_feed("j")
        thoonk.job("j").put("x")
        poll(lambda: done == ["x"])


def test_a_worker_starts_though_its_feed_is_deleted_while_it_opens(
    world: World, thoonk: Thoonk
) -> None:
    deleted: list[str] = []

    class Unlucky(Thoonk):
        def get_config(self, name: str) -> FeedConfig:
            if len(deleted) < 3:
                deleted.append(name)
                thoonk.delete_feed(name)
            return super().get_config(name)

    with Unlucky(backend=world.url) as client:
        worker = Worker(client)
        worker.handle("j", str.upper)
        worker.run(burst=True)
    assert deleted == ["j"] * 3
    assert thoonk.get_config("j").claim_timeout == 30


async def test_an_async_worker_starts_though_its_feed_is_deleted_while_it_opens(
    world: World, thoonk: Thoonk
) -> None:
    deleted: list[str] = []

    class Unlucky(AsyncThoonk):
        async def set_config(self, name: str, config: Any) -> None:
            if len(deleted) < 3:
                deleted.append(name)
                await asyncio.to_thread(thoonk.delete_feed, name)
            await super().set_config(name, config)

    async with Unlucky(backend=world.url) as client:
        worker = AsyncWorker(client)

        @worker.handles("j")
        async def handler(item: str) -> None: ...

        await worker.serve(burst=True)
    assert deleted == ["j"] * 3
    assert thoonk.get_config("j").claim_timeout == 30


def test_it_works_with_a_client_of_the_programs_own(world: World, thoonk: Thoonk) -> None:
    worker = Worker(thoonk)
    worker.handle("j", str.upper)
    jobs = thoonk.job("j")
    id = jobs.put("x")
    worker.run(burst=True)
    # It was not closed.
    assert jobs.get_result(id, timeout=5).result == "X"


async def test_serve_works_in_a_running_loop(world: World, thoonk: Thoonk) -> None:
    worker = AsyncWorker(world.url)

    @worker.handles("j")
    async def handler(item: str) -> str:
        return item.upper()

    jobs = thoonk.job("j")
    id = jobs.put("x")
    serving = asyncio.create_task(worker.serve())
    result = await asyncio.to_thread(jobs.get_result, id, 10)
    assert result.result == "X"
    worker.stop()
    await asyncio.wait_for(serving, 10)
    jobs.put("y")
    await worker.serve(burst=True)
    assert states(jobs) == (0, 0, 0, 2)


async def test_serve_that_is_cancelled_gives_back(world: World, thoonk: Thoonk) -> None:
    worker = AsyncWorker(world.url, grace=0)
    started = asyncio.Event()

    @worker.handles("j")
    async def handler(item: str) -> None:
        started.set()
        await asyncio.sleep(30)

    jobs = thoonk.job("j")
    jobs.put("x")
    serving = asyncio.create_task(worker.serve())
    await asyncio.wait_for(started.wait(), 10)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert states(jobs) == (1, 0, 0, 0)
    assert jobs.get(timeout=5).cancelled == 0


def test_a_task_is_cancelled_at_its_time_limit(world: World, thoonk: Thoonk, caplog: Any) -> None:
    worker = AsyncWorker(world.url)
    tries: list[int] = []

    @worker.handles("j", time_limit=0.2, retries=1, backoff=0.1)
    async def handler(item: str, claim: Any) -> None:
        if item == "own":
            raise TimeoutError("of its own")
        tries.append(claim.cancelled)
        await asyncio.sleep(30)

    jobs = thoonk.job("j")
    jobs.put_many(["slow", "own"])
    worker.run(burst=True)
    assert tries == [0, 1]
    assert states(jobs) == (0, 0, 2, 0)
    assert "not done within the time limit of 0.2 s" in caplog.text
    assert "of its own" in caplog.text
