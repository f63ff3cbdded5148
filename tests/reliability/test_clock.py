"""The server's clock steps: things are late or early by the step, never lost, never doubled."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import servers
from conftest import _binary
from servers import ServerWithClock

from thoonk import Empty, NotClaimed, Thoonk, operations
from thoonk.backends.redis.commands import Call, command_for
from thoonk.doctor import examine

HOUR = 3600
TIMEOUT = 30.0
"""Seconds in which what takes one or two must have come, on a machine that is busy."""


@pytest.fixture(scope="module")
def running() -> Iterator[ServerWithClock]:
    library = servers.fake_clock()
    if library is None:
        message = "no program faketime on this machine (Debian: apt-get install faketime)"
        if servers.servers_are_required():
            pytest.fail(message)
        pytest.skip(message)
    with servers.with_clock(_binary("valkey-8.1"), library) as server:
        yield server


@pytest.fixture
def server(running: ServerWithClock) -> ServerWithClock:
    running.turn(0)
    with contextlib.closing(running.client()) as raw:
        raw.flushall()
    return running


@pytest.fixture
def thoonk(server: ServerWithClock) -> Iterator[Thoonk]:
    with Thoonk(backend=server.url) as thoonk:
        yield thoonk


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + TIMEOUT
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


# --- claims -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["get", "maintenance", "loop", "another peer's seconds"])
def test_jobs_of_dead_workers_come_back_although_the_clock_was_an_hour_fast(
    server: ServerWithClock, thoonk: Thoonk, how: str
) -> None:
    job = thoonk.job("j", {"claim_timeout": 1})
    ids = job.put_many(["a", "b", "c"])
    server.turn(HOUR)
    with Thoonk(backend=server.url) as dead:
        dead.job("j").get_many(3, timeout=TIMEOUT)
    if how == "another peer's seconds":
        with contextlib.closing(server.client()) as raw:
            raw.zadd("feed.claimed:j", dict.fromkeys(ids, time.time() + HOUR))
    server.turn(0)
    if how == "maintenance":
        assert {*eventually(lambda: job.maintenance().expired)} <= {*ids}
        eventually(lambda: job.maintenance() and job.get_counts().waiting == 3)
    elif how == "loop":
        with job.claims(timeout=TIMEOUT) as claims:
            assert {claim.id for _, claim in zip(ids, claims, strict=False)} == {*ids}
    else:
        begin = time.monotonic()
        claims_again = [job.get(timeout=TIMEOUT) for _ in ids]
        assert {claim.id for claim in claims_again} == {*ids}
        assert [claim.cancelled for claim in claims_again] == [1, 1, 1]
        assert time.monotonic() - begin < TIMEOUT


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forwards", "back"])
def test_a_worker_is_listed_again_with_its_next_report_and_a_dead_one_is_not(
    server: ServerWithClock, thoonk: Thoonk, step: int
) -> None:
    report = operations.WorkerReport("alive", "web-1", 17, "2.0", ("j",), 8)
    for id in ("alive", "dead"):
        thoonk.backend.execute(operations.ReportWorker(attrs.evolve(report, id=id), 600))
    assert len(thoonk.get_workers()) == 2
    server.turn(step)
    eventually(lambda: thoonk.get_workers() == [])
    thoonk.backend.execute(operations.ReportWorker(report, 600))
    assert [worker.id for worker in thoonk.get_workers()] == ["alive"]


def test_an_item_whose_taker_died_comes_back_although_the_clock_was_an_hour_fast(
    server: ServerWithClock, thoonk: Thoonk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CONFIRM_WITHIN", 1.0)
    queue = thoonk.queue("q")
    queue.put("x")
    server.turn(HOUR)
    batch = thoonk.backend.execute(operations.QueueTake("q", "token of one that dies"))
    assert len(batch.entries) == 1
    server.turn(0)
    assert queue.get(timeout=TIMEOUT) == "x"


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
def test_a_job_is_finished_once_whatever_step_the_clock_makes(
    server: ServerWithClock, thoonk: Thoonk, step: int
) -> None:
    job = thoonk.job("j", {"claim_timeout": 60})
    job.put("x")
    claim = job.get()
    server.turn(step)
    finished = 0
    # Ahead, the claim has run out at once, and the job runs elsewhere; back, it holds.
    with Thoonk(backend=server.url) as elsewhere:
        try:
            other = elsewhere.job("j").get_nowait()
        except Empty:
            assert step < 0
        else:
            assert step > 0
            other.finish()
            finished += 1
    try:
        claim.finish()
        finished += 1
    except NotClaimed:
        assert step > 0
    assert finished == job.get_counts().finished == 1


def test_a_worker_that_lives_keeps_its_claim_when_the_clock_steps_back(
    server: ServerWithClock, thoonk: Thoonk
) -> None:
    job = thoonk.job("j", {"claim_timeout": 6})
    job.put("x")
    server.turn(HOUR)
    claim = job.get()
    server.turn(0)
    with claim.heartbeat(), Thoonk(backend=server.url) as elsewhere:
        # Seen, and dated anew; the worker's token still counts.
        with pytest.raises(Empty):
            elsewhere.job("j").get(timeout=8)
    claim.finish()
    assert job.get_counts().finished == 1


def test_a_get_ends_in_time_when_the_clock_steps_back_as_it_waits(
    server: ServerWithClock, thoonk: Thoonk
) -> None:
    queue = thoonk.queue("q")
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(Empty):
            queue.get(timeout=5)
        ended.set()

    waiting = threading.Thread(target=wait)
    with contextlib.closing(server.client()) as raw:
        waiting.start()
        eventually(lambda: raw.info("clients")["blocked_clients"])
        server.turn(-HOUR)
        assert ended.wait(TIMEOUT)
        waiting.join(TIMEOUT)
        # And one that comes to a waiting one arrives at once.
        queue.put("x")
        assert queue.get(timeout=TIMEOUT) == "x"


# --- jobs for later -------------------------------------------------------------------------


def test_a_job_is_due_by_the_servers_clock_whatever_step_that_makes(
    server: ServerWithClock, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    server.turn(-HOUR)
    id = job.put("x", delay=HOUR / 2)
    assert job.get_counts().scheduled == 1
    with pytest.raises(Empty):
        job.get_nowait()
    server.turn(-2 * HOUR)
    with pytest.raises(Empty):
        job.get(timeout=0.2)
    server.turn(0)
    assert job.get(timeout=TIMEOUT).id == id
    server.turn(-HOUR)
    with pytest.raises(Empty):
        job.get_nowait()  # it is not scheduled anew
    job.finish(id)
    assert job.get_counts().finished == 1


def test_who_waits_for_a_job_for_later_takes_it_though_the_clock_steps_forward(
    server: ServerWithClock, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    id = job.put("x", delay=HOUR / 2)
    taken: list[str] = []
    with contextlib.closing(server.client()) as raw:
        waiting = threading.Thread(target=lambda: taken.append(job.get(timeout=TIMEOUT).id))
        waiting.start()
        eventually(lambda: raw.info("clients")["blocked_clients"])
        server.turn(HOUR)
        # Nothing tells it; it looks every ten seconds.
        waiting.join(TIMEOUT)
    assert taken == [id]


def test_who_waits_for_a_job_for_later_does_not_take_it_early_when_the_clock_steps_back(
    server: ServerWithClock, thoonk: Thoonk
) -> None:
    job = thoonk.job("j")
    job.put("x", delay=4)
    found: list[object] = []

    def wait() -> None:
        try:
            found.append(job.get(timeout=5.5))
        except Empty as error:
            found.append(error)

    with contextlib.closing(server.client()) as raw:
        waiting = threading.Thread(target=wait)
        waiting.start()
        eventually(lambda: raw.info("clients")["blocked_clients"])
        server.turn(-HOUR)
        waiting.join(TIMEOUT)
    assert isinstance(found[0], Empty)
    assert job.get_counts().scheduled == 1
    stats = job.stats()
    assert stats.next_due is not None
    assert stats.next_due > HOUR - 60


def test_an_id_stays_taken_by_the_servers_clock(server: ServerWithClock, thoonk: Thoonk) -> None:
    job = thoonk.job("j")
    job.put("x", id="mine", unique_for=HOUR / 2)
    job.get().finish()
    server.turn(-HOUR)
    assert job.put("y", id="mine").outcome.name == "KEPT"
    server.turn(HOUR)
    assert job.put("y", id="mine").outcome.name == "ADDED"


# --- kept answers ---------------------------------------------------------------------------


def send(server: ServerWithClock, operation: Any, session: str, number: int) -> Any:
    """One call of a session; the same again when it is repeated."""
    command: Any = command_for(operation, Call(str(uuid.uuid4()), session, number))
    with contextlib.closing(server.client()) as raw:
        return raw.execute_command(*command.with_text())


def put(text: str) -> operations.QueuePut:
    return operations.QueuePut("q", (operations.Entry(text, text.encode()),))


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_call_that_is_repeated_after_the_clock_has_stepped_is_done_once(
    server: ServerWithClock, thoonk: Thoonk, step: int
) -> None:
    queue = thoonk.queue("q")
    callers = [f"caller {number}" for number in range(40)]
    for number, caller in enumerate(callers):
        send(server, put(f"item {number}"), caller, 1)
    server.turn(step)
    # Each of these looks at some of the kept answers.
    for number in range(60):
        send(server, put(f"later {number}"), f"later caller {number}", 1)
    for number, caller in enumerate(callers):
        send(server, put(f"item {number}"), caller, 1)
    assert len(queue.get_ids()) == 100


def test_kept_answers_of_callers_that_are_gone_go_also_after_a_clock_that_was_fast(
    server: ServerWithClock, thoonk: Thoonk
) -> None:
    thoonk.queue("q")
    server.turn(HOUR)
    for number in range(40):
        send(server, put(f"{number}"), f"gone {number}", 1)
    server.turn(0)
    with contextlib.closing(server.client()) as raw:
        for turns in range(1, 5):
            for number in range(30):
                send(server, put("x"), f"caller {turns} {number}", 1)
            server.turn(turns * 700)
        assert not all(raw.hexists("feed.answers:q", f"gone {number}") for number in range(40))
        assert raw.hlen("feed.answers:q") < 40 + 4 * 30


# --- results, order, the doctor -----------------------------------------------------------


def test_a_result_is_there_until_its_time_whatever_smaller_steps_the_clock_makes(
    server: ServerWithClock, thoonk: Thoonk
) -> None:
    job = thoonk.job("j", {"result_timeout": 2 * HOUR})

    def finish_one() -> str:
        id = job.put("x")
        job.get().finish("result")
        return id

    ids = []
    for step in (0, HOUR, 0, -HOUR, 0):
        server.turn(step)
        ids.append(finish_one())
        assert [job.get_result(id, timeout=TIMEOUT).result for id in ids] == ["result"] * len(ids)
    thoonk.delete_feed("j")
    with contextlib.closing(server.client()) as raw:
        assert not raw.keys("feed.*")


def test_a_feed_stays_in_the_order_of_its_publishes_whatever_step_the_clock_makes(
    server: ServerWithClock, thoonk: Thoonk
) -> None:
    feed = thoonk.feed("f", {"max_length": 4})
    published = []
    for step in (0, HOUR, -HOUR, 0, 2 * HOUR, 0):
        server.turn(step)
        published.append(feed.publish("x"))
    assert feed.get_ids() == published[-4:]


def test_the_doctor_tells_and_repairs_claims_of_a_time_to_come_once(
    server: ServerWithClock, thoonk: Thoonk
) -> None:
    job = thoonk.job("j", {"claim_timeout": 60})
    job.put("x")
    server.turn(HOUR)
    claim = job.get()
    server.turn(0)

    def told(*, repair: bool) -> list[tuple[str, int, int]]:
        report = examine(server.url, repair=repair, patience=0.06, ignore=("persistence",))
        return [(found.check.name, found.count, found.repaired) for found in report.findings]

    assert told(repair=False) == [("future", 1, 0)]
    assert told(repair=True) == [("future", 1, 1)]
    assert told(repair=True) == []
    claim.finish()
