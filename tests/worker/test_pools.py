"""Feeds that share a pool: in which order, how many at once, and who waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import threading
import time
from collections import Counter
from typing import Any

import pytest
from conftest import World

from thoonk import InvalidType, InvalidValue, Thoonk
from thoonk import waiting as waits
from thoonk.worker import Worker
from thoonk.worker.adaptive_prefetch import TimeBudget
from thoonk.worker.order import Order

from .conftest import Commands, Workers, becomes, poll, states

FEEDS = ("high", "middle", "low")


class Gate:
    """A handler's jobs say that they have begun, and wait until they may end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._may_end = threading.Semaphore(0)
        self._lock = threading.Lock()

    def let(self, count: int = 1) -> None:
        self._may_end.release(count)

    def handler(self, workers: Workers, feed: str) -> Any:
        def enter(item: str) -> None:
            with self._lock:
                self.begun.append(item)
                self.running[feed] += 1
                self.most[feed] = max(self.most[feed], self.running[feed])

        def leave() -> None:
            with self._lock:
                self.running[feed] -= 1

        def plain(item: str) -> None:
            enter(item)
            assert self._may_end.acquire(timeout=60)
            leave()

        async def coroutine(item: str) -> None:
            enter(item)
            while not self._may_end.acquire(blocking=False):
                await asyncio.sleep(0.005)
            leave()

        return plain if workers.kind == "threads" else coroutine


def recording(workers: Workers, worker: Any, done: list[str], **options: Any) -> None:
    for feed in FEEDS:
        workers.handle(worker, feed, done.append, **options)


def fill(thoonk: Thoonk, count: int, feeds: tuple[str, ...] = FEEDS) -> None:
    for feed in reversed(feeds):
        thoonk.job(feed).put_many([f"{feed}-{n}" for n in range(count)])


def of_feeds(done: list[str]) -> list[str]:
    return [item.partition("-")[0] for item in done]


# --- in which order --------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [None, ("low", "high", "middle")])
def test_a_later_feed_gets_nothing_as_long_as_an_earlier_one_has_jobs(
    workers: Workers, thoonk: Thoonk, chosen: tuple[str, ...] | None
) -> None:
    worker, done = workers(concurrency=1, shared=True), []
    recording(workers, worker, done)
    fill(thoonk, 100)  # so many, and so quick, that they are claimed several at a time
    worker.run(burst=True, feeds=chosen)
    assert [*dict.fromkeys(of_feeds(done))] == [*(chosen or FEEDS)]
    assert of_feeds(done) == sorted(of_feeds(done), key=(chosen or FEEDS).index)
    assert Counter(of_feeds(done)) == dict.fromkeys(FEEDS, 100)


def test_what_is_put_into_an_earlier_feed_is_next(workers: Workers, thoonk: Thoonk) -> None:
    worker, gate = workers(concurrency=1, shared=True), Gate()
    for feed in FEEDS:
        worker.handle(feed, gate.handler(workers, feed))
    fill(thoonk, 3, ("low",))
    with workers.working(worker):
        poll(lambda: gate.begun == ["low-0"])
        thoonk.job("middle").put("middle-0")
        thoonk.job("high").put("high-0")
        gate.let(5)
        poll(lambda: len(gate.begun) == 5)
    assert gate.begun == ["low-0", "high-0", "middle-0", "low-1", "low-2"]


def test_with_weights_each_feed_has_its_share_and_none_starves(
    workers: Workers, thoonk: Thoonk
) -> None:
    worker, done = workers(concurrency=1, shared=True), []
    workers.handle(worker, "high", done.append, weight=4, prefetch=1)
    workers.handle(worker, "low", done.append, prefetch=1)  # as with a weight of 1
    fill(thoonk, 150, ("high", "low"))
    worker.run(burst=True)
    assert len(done) == 300
    # Of a hundred 20 on average, give or take 4.
    assert 1 <= of_feeds(done[:100]).count("low") <= 50


def test_the_order_is_drawn_by_weight() -> None:
    chance = random.Random(11)
    order = Order([6, 3, 1], chance.expovariate)
    drawn = [tuple(order.of("abc")) for _ in range(6000)]
    first = Counter(each[0] for each in drawn)
    assert {name: round(count / 600) for name, count in first.items()} == {"a": 6, "b": 3, "c": 1}
    # And the second is drawn among the rest: after "a" three times of four "b".
    second = Counter(each[1] for each in drawn if each[0] == "a")
    assert 2.5 < second["b"] / second["c"] < 3.5
    assert [*Order(None).of("abc")] == ["a", "b", "c"]


def test_of_several_feeds_no_more_is_claimed_than_a_few_milliseconds_of_work() -> None:
    budget = TimeBudget(0.02)
    assert budget.most == 64
    budget.after(64, 0.064)
    assert budget.most == 20
    budget.after(10, 1.0)
    assert budget.most == 1
    budget.after(1, 0.0)
    assert budget.most == 64


# --- how many at once ------------------------------------------------------------------------


def test_there_are_as_many_slots_for_all_feeds_together(workers: Workers, thoonk: Thoonk) -> None:
    worker, gate = workers(concurrency=3, shared=True), Gate()
    for feed in FEEDS:
        worker.handle(feed, gate.handler(workers, feed))
    fill(thoonk, 2)
    with workers.working(worker):
        poll(lambda: len(gate.begun) == 3)
        poll(lambda: sum(thoonk.job(feed).get_counts().waiting for feed in FEEDS) == 3)
        assert sorted(of_feeds(gate.begun)) == ["high", "high", "middle"]
        gate.let(6)
        poll(lambda: sum(thoonk.job(feed).get_counts().finished for feed in FEEDS) == 6)
    assert len(gate.begun) == 6


def test_a_handlers_own_concurrency_holds_within_the_pool(workers: Workers, thoonk: Thoonk) -> None:
    worker, gate = workers(concurrency=4, shared=True), Gate()
    worker.handle("high", gate.handler(workers, "high"), concurrency=1)
    worker.handle("low", gate.handler(workers, "low"))
    fill(thoonk, 6, ("high", "low"))
    with workers.working(worker):
        # What it may not do of the first feed it does of the next one.
        poll(lambda: Counter(of_feeds(gate.begun)) == {"high": 1, "low": 3})
        gate.let(12)
        becomes(thoonk.job("high"), 0, 0, 0, 6)
        becomes(thoonk.job("low"), 0, 0, 0, 6)
        # And when it is at its limit, and free again, it hears of the next one.
        fill(thoonk, 2, ("high",))
        gate.let(2)
        becomes(thoonk.job("high"), 0, 0, 0, 8)
    assert gate.most["high"] == 1
    assert gate.most["low"] > 1


# --- who waits -------------------------------------------------------------------------------


def blocked(world: World) -> list[dict[str, str]]:
    clients: Any = world.raw.client_list()
    return [
        client for client in clients if client["cmd"] == "brpoplpush" and "b" in client["flags"]
    ]


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_one_connection_waits_for_each_feed(one_server: World, kind: str) -> None:
    workers = Workers(kind, one_server.url)
    worker, done = workers(concurrency=30, shared=True), []
    recording(workers, worker, done)
    with Thoonk(backend=one_server.url) as thoonk, workers.working(worker):
        poll(lambda: len(blocked(one_server)) == 3)
        fill(thoonk, 100)
        poll(lambda: len(done) == 300)
        # After the work they wait as before, and nobody asks again and again.
        poll(lambda: [int(client["idle"]) >= 1 for client in blocked(one_server)] == [True] * 3)
    poll(lambda: blocked(one_server) == [])  # the server sees that they are closed


@pytest.mark.parametrize("concurrency", [1, 8])
def test_it_wakes_for_a_job_in_any_feed(workers: Workers, thoonk: Thoonk, concurrency: int) -> None:
    worker, done = workers(concurrency=concurrency, shared=True), []
    recording(workers, worker, done)
    with workers.working(worker):
        for round in range(10):
            for feed in random.Random(round).sample(FEEDS, 3):
                before = len(done)
                thoonk.job(feed).put(f"{feed}-{round}")
                poll(lambda: len(done) > before)  # noqa: B023
    for feed in FEEDS:
        assert states(thoonk.job(feed)) == (0, 0, 0, 10)


def test_without_a_free_slot_nothing_is_taken(workers: Workers, thoonk: Thoonk) -> None:
    worker, gate = workers(concurrency=1, shared=True), Gate()
    for feed in FEEDS:
        worker.handle(feed, gate.handler(workers, feed))
    with workers.working(worker):
        thoonk.job("low").put("low-0")
        poll(lambda: gate.begun == ["low-0"])
        thoonk.job("high").put("high-0")
        # It is there for others, also where a taker of the pool had it for a moment.
        claim = thoonk.job("high").get(timeout=20)
        assert claim.cancelled == 0
        claim.finish()
        gate.let()
        becomes(thoonk.job("low"), 0, 0, 0, 1)
        thoonk.job("middle").put("middle-0")
        gate.let()
        becomes(thoonk.job("middle"), 0, 0, 0, 1)


class Stubborn:
    """A backend whose waits cannot be interrupted: takers go on when no slot is free any more."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.released: list[str] = []
        self.waits: set[str] = set()
        self.is_over = False

    def execute(self, operation: Any) -> Any:
        answer = self._backend.execute(operation)
        if type(operation).__name__ == "Release":
            self.released.append(operation.feed)
        return answer

    def wait(self, operation: Any, timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        self.waits.add(operation.feed)
        while True:
            batch = self._backend.wait(operation, 0.1)
            if batch.entries or self.is_over or time.monotonic() > deadline:
                return batch

    def listen(self, feed: str | None = None) -> Any:
        return self._backend.listen(feed)

    def close(self) -> None:
        self._backend.close()


def test_a_surplus_job_is_given_back_and_has_not_failed(world: World, thoonk: Thoonk) -> None:
    workers, gate = Workers("threads", world.url), Gate()
    attempts = []
    with Thoonk(backend=world.url) as plain:
        stubborn = Stubborn(plain.backend)
        client = Thoonk(backend=stubborn)
        worker = Worker(client, concurrency=1, shared=True)
        worker.handle("low", gate.handler(workers, "low"))
        worker.handle("high", lambda item, claim: attempts.append((item, claim.cancelled)))
        with workers.working(worker):
            poll(lambda: stubborn.waits == {"low", "high"})
            thoonk.job("low").put("low-0")
            poll(lambda: gate.begun == ["low-0"])
            thoonk.job("high").put("high-0")
            poll(lambda: "high" in stubborn.released)
            becomes(thoonk.job("high"), 1, 0, 0, 0)
            gate.let()
            becomes(thoonk.job("high"), 0, 0, 0, 1)
            stubborn.is_over = True
    assert attempts == [("high-0", 0)]


def test_jobs_that_come_to_all_feeds_at_once_are_all_done_once(
    workers: Workers, thoonk: Thoonk
) -> None:
    worker, done = workers(concurrency=2, shared=True), []

    def handler(item: str, claim: Any) -> None:
        done.append((item, claim.cancelled))

    for feed in FEEDS:
        workers.handle(worker, feed, handler)
    jobs = {feed: thoonk.job(feed) for feed in FEEDS}
    with workers.working(worker):
        for round in range(30):
            for feed in FEEDS:
                jobs[feed].put(f"{feed}-{round}")
            poll(lambda: len(done) == 3 * (round + 1))  # noqa: B023
    assert Counter(done) == {(f"{feed}-{n}", 0): 1 for feed in FEEDS for n in range(30)}


# --- what else may happen --------------------------------------------------------------------


def test_what_fails_is_tried_again(workers: Workers, thoonk: Thoonk) -> None:
    worker, attempts = workers(concurrency=2, shared=True), []

    def handler(item: str, claim: Any) -> None:
        attempts.append((item, claim.cancelled))
        if claim.cancelled < 2:
            raise OSError("out of paper")

    for feed in FEEDS:
        workers.handle(worker, feed, handler, retries=2, backoff=0.1)
    fill(thoonk, 1)
    assert worker.run(burst=True) == 0
    assert sorted(attempts) == sorted((f"{feed}-0", n) for feed in FEEDS for n in range(3))
    assert [states(thoonk.job(feed)) for feed in FEEDS] == [(0, 0, 0, 1)] * 3


def test_it_stops_at_once_when_idle_and_after_its_jobs_when_not(
    workers: Workers, thoonk: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "LONGEST_WAIT", 90)
    worker, gate = workers(concurrency=2, shared=True), Gate()
    for feed in FEEDS:
        worker.handle(feed, gate.handler(workers, feed))
    with workers.working(worker) as thread:
        thoonk.job("low").put("low-0")
        poll(lambda: gate.begun == ["low-0"])
        worker.stop()
        thoonk.job("high").put("high-0")
        gate.let(2)  # it may have begun that one, too
        began = time.monotonic()
        thread.join(45)
        assert not thread.is_alive()
        assert time.monotonic() - began < 45  # not after the 90 seconds of a wait
    assert states(thoonk.job("low")) == (0, 0, 0, 1)
    waiting, claimed, stalled, finished = states(thoonk.job("high"))
    assert (waiting + finished, claimed, stalled) == (1, 0, 0)


def test_a_paused_feed_is_passed_over(workers: Workers, thoonk: Thoonk) -> None:
    worker, done = workers(concurrency=1, shared=True), []
    recording(workers, worker, done)
    thoonk.job("high").pause()
    with workers.working(worker):
        fill(thoonk, 1)
        poll(lambda: of_feeds(done) == ["low", "middle"] or of_feeds(done) == ["middle", "low"])
        thoonk.job("high").resume()
        poll(lambda: len(done) == 3)
        assert done[-1] == "high-0"


def test_a_job_for_later_is_done_in_time(
    workers: Workers, thoonk: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "LONGEST_WAIT", 90)
    worker, done = workers(concurrency=1, shared=True), []
    recording(workers, worker, done)
    with workers.working(worker):
        thoonk.job("middle").put("middle-now")
        poll(lambda: done == ["middle-now"])
        began = time.monotonic()
        thoonk.job("low").put("low-later", delay=0.5)
        poll(lambda: len(done) == 2)
        assert 0.4 < time.monotonic() - began < 45


def test_a_feed_that_is_deleted_comes_back_and_does_not_hold_up_the_others(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    worker, done = workers(concurrency=1, shared=True), []
    recording(workers, worker, done)
    with workers.working(worker):
        thoonk.job("high").put("high-0")
        poll(lambda: done == ["high-0"])
        thoonk.delete_feed("high")
        thoonk.job("low").put("low-0")
        poll(lambda: done == ["high-0", "low-0"])
        # The worker has made it again.
        poll(lambda: thoonk.feed_exists("high") and thoonk.get_config("high").claim_timeout == 30)
        thoonk.job("high").put("high-1")
        poll(lambda: done == ["high-0", "low-0", "high-1"])


def test_a_feed_with_another_serializer_is_read_by_it(workers: Workers, thoonk: Thoonk) -> None:
    worker, done = workers(concurrency=2, shared=True), []
    recording(workers, worker, done)
    with workers.working(worker):
        fill(thoonk, 1)
        poll(lambda: len(done) == 3)
        thoonk.delete_feed("middle")
        job = thoonk.job("middle", serializer="json")
        # A worker sees that within some seconds.
        poll(lambda: job.put({"a": 1}) and {"a": 1} in done)


def test_a_coroutine_that_does_not_end_has_its_place_taken(world: World, thoonk: Thoonk) -> None:
    workers = Workers("tasks", world.url)
    worker, done = workers(concurrency=1, shared=True, grace=0), []
    is_over = threading.Event()

    async def hang(item: str) -> None:
        while not is_over.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                done.append("cancelled")
        done.append("ended")

    worker.handle("high", hang, time_limit=0.1, retries=0, concurrency=1)
    workers.handle(worker, "low", done.append)
    fill(thoonk, 1, ("high", "low"))
    with workers.working(worker):
        poll(lambda: "low-0" in done)
        becomes(thoonk.job("high"), 0, 0, 1, 0)
        is_over.set()
        poll(lambda: "ended" in done)
        thoonk.job("low").put("low-1")
        poll(lambda: "low-1" in done)


PROGRAM = """
    import time
    from thoonk.worker import Worker

    worker = Worker(processes=3, concurrency=2)

    @worker.handles("high", claim_timeout=1, retries=50, backoff=0, concurrency=1)
    def high(item):
        time.sleep(0.002)
        return f"did {item}"

    @worker.handles("low", claim_timeout=1, retries=50, backoff=0)
    def low(item):
        time.sleep(0.002)
        return f"did {item}"
"""


@pytest.mark.timeout(180)
def test_processes_that_are_killed_lose_nothing(commands: Commands, client: Thoonk) -> None:
    commands.write(PROGRAM)
    jobs = {feed: client.job(feed) for feed in ("high", "low")}
    ids = {feed: job.put_many([f"{feed}-{n}" for n in range(300)]) for feed, job in jobs.items()}
    command = commands.start("app:worker", "--shared", "--feed", "low", "--feed", "high")
    kills = 0
    for share in (50, 150, 250, 400):
        poll(lambda: sum(j.get_counts().finished for j in jobs.values()) >= share)  # noqa: B023
        for pid in poll(command.children)[:2]:
            # One that was killed before may be among them, and gone by now.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                kills += 1
    for feed, job in jobs.items():
        becomes(job, 0, 0, 0, 300)
        for n, id in enumerate(ids[feed]):
            assert job.get_result(id, timeout=5) == (f"{feed}-{n}", f"did {feed}-{n}")
    command.signal(signal.SIGTERM)
    assert command.ends() == 0, command.log
    assert kills >= 4


# --- what is refused -------------------------------------------------------------------------


def test_weights_need_a_pool(thoonk: Thoonk) -> None:
    worker = Worker(thoonk)
    worker.handle("high", str, weight=5)
    worker.handle("low", str)
    with pytest.raises(InvalidValue, match="weight=5 of 'high' needs a shared pool"):
        worker.run(burst=True)
    assert not thoonk.feed_exists("high")
    # Where that feed is not among those that are worked on, nothing is wrong.
    worker.run(burst=True, feeds=["low"])


def test_what_is_no_flag_and_no_weight_is_refused() -> None:
    with pytest.raises(InvalidType, match="shared must be True or False, not int"):
        Worker("memory", shared=1)  # type: ignore[arg-type]
    worker = Worker("memory", shared=True)
    with pytest.raises(InvalidValue, match="weight must be 1 to 1000, not 0"):
        worker.handle("high", str, weight=0)
    with pytest.raises(InvalidType, match="weight must be an int, not float"):
        worker.handle("high", str, weight=0.5)
