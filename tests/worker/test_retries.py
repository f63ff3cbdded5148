"""Jobs that fail: the server keeps their delay and why; the log says what becomes of them."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import signal
import socket
import threading
import time
from typing import Any

import pytest
from conftest import World

from thoonk import AsyncThoonk, Job, JobCounts, JobInfo, JobState, Thoonk
from thoonk.backends import (
    AsyncForwardingBackend,
    ForwardingBackend,
    open_async_backend,
    open_backend,
)
from thoonk.exceptions import BackendUnavailable, UnsupportedOperation
from thoonk.operations import JobFail, Operation
from thoonk.worker import AsyncWorker, Retry, Stall, Worker

from .conftest import Commands, Workers, becomes, poll


def info_of(jobs: Job[Any], id: str) -> JobInfo:
    info = jobs.get_info(id)
    assert info is not None
    return info


def scheduled(jobs: Job[Any], id: str) -> JobInfo:
    poll(lambda: info_of(jobs, id).state is JobState.SCHEDULED)
    return info_of(jobs, id)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("kind", ["threads", "tasks", "processes"])
def test_a_worker_that_stops_or_is_killed_loses_no_delay(
    commands: Commands, client: Thoonk, kind: str, number: int
) -> None:
    is_async = kind == "tasks"
    commands.write(f"""
        from thoonk.worker import {"AsyncWorker" if is_async else "Worker"} as Kind

        worker = Kind({"processes=1" if kind == "processes" else "concurrency=2"})

        @worker.handles("j", backoff=8, max_backoff=8)
        {"async " * is_async}def handler(item, claim):
            if claim.cancelled == 0:
                raise OSError("the first time")
            return "done"
    """)
    jobs = client.job("j")
    id = jobs.put("x")
    command = commands.start("app:worker")
    info = scheduled(jobs, id)
    assert info.due is not None
    assert info.failed is not None
    assert 3.9 <= (info.due - info.failed).total_seconds() <= 8
    command.signal(number)
    assert command.ends() == (-number if number == signal.SIGKILL else 0), command.log
    assert info_of(jobs, id) == info
    # Another one does it when its time has come, and not before.
    commands.start("app:worker")
    assert jobs.get_result(id, timeout=60).result == "done"
    # The wait is as long by the server's clock as by ours.
    assert dt.datetime.now(dt.UTC) >= info.due - dt.timedelta(milliseconds=5)


def test_why_a_job_failed_is_kept_with_it(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()

    def handler(item: str) -> object:
        if item == "retry":
            raise Retry(60)
        if item == "retry, for a reason":
            try:
                raise LookupError("no such bucket")
            except LookupError as error:
                raise Retry(60) from error
        if item == "stall":
            raise Stall("nobody knows this address")
        if item == "result":
            return object()
        raise OSError(f"disk of {item} is full")

    workers.handle(worker, "j", handler, backoff=600)
    jobs = thoonk.job("j")
    names = ["fails", "retry", "retry, for a reason", "stall", "result"]
    ids = dict(zip(names, jobs.put_many(names), strict=True))
    with workers.working(worker):
        poll(lambda: jobs.get_counts() == JobCounts(0, 0, 2, 0, 3))
    infos = {name: info_of(jobs, id) for name, id in ids.items()}
    failures = {name: info.failure for name, info in infos.items() if info.failure}
    assert {
        name: (each.error, each.message.partition(";")[0]) for name, each in failures.items()
    } == {
        "fails": ("OSError", "disk of fails is full"),
        "retry": ("Retry", "asked for in 60 s"),
        "retry, for a reason": ("Retry", "asked for in 60 s"),
        "stall": ("Stall", "nobody knows this address"),
        "result": ("", "its result cannot be stored: a text feed takes str, not object"),
    }
    assert {each.worker for each in failures.values()} == {f"{socket.gethostname()}:{os.getpid()}"}
    assert [info.failures for info in infos.values()] == [1, 1, 1, 0, 0]
    # The traceback begins in the handler: no frames of ours.
    trace = failures["fails"].traceback
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith("OSError: disk of fails is full\n")
    assert "test_retries.py" in trace
    for each in failures.values():
        for folder in ("worker", "concurrency"):
            assert f"{os.sep}thoonk{os.sep}{folder}{os.sep}" not in each.traceback
    assert failures["retry"].traceback == failures["stall"].traceback == ""
    assert "no such bucket" in failures["retry, for a reason"].traceback


@pytest.mark.parametrize(
    ("of_worker", "of_handler", "is_kept"),
    [(True, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
def test_tracebacks_are_kept_unless_they_are_not_wanted(
    workers: Workers, thoonk: Thoonk, of_worker: bool, of_handler: bool | None, is_kept: bool
) -> None:
    worker = workers(store_traceback=of_worker)

    def handler(item: str) -> None:
        raise OSError("seen")

    workers.handle(worker, "j", handler, retries=0, store_traceback=of_handler)
    jobs = thoonk.job("j")
    id = jobs.put("x")
    worker.run(burst=True)
    failure = info_of(jobs, id).failure
    assert failure is not None
    assert (failure.error, failure.message) == ("OSError", "seen")
    assert bool(failure.traceback) == is_kept


def test_a_task_that_is_over_its_time_limit_says_where_it_was(world: World, thoonk: Thoonk) -> None:
    worker = AsyncWorker(world.url)

    @worker.handles("j", time_limit=0.2, retries=0)
    async def handler(item: str) -> None:
        await asyncio.sleep(30)  # here it was

    jobs = thoonk.job("j")
    id = jobs.put("x")
    worker.run(burst=True)
    failure = info_of(jobs, id).failure
    assert failure is not None
    assert failure.error == "TimeLimitExceeded"
    assert failure.message == "not done within the time limit of 0.2 s"
    assert "# here it was" in failure.traceback
    assert "slot.py" not in failure.traceback


def test_the_log_says_what_became_of_a_job(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers(concurrency=1)

    def handler(item: str) -> None:
        if item == "lost":
            jobs.retract(ids["lost"])
        if item == "last":
            thoonk.set_config("j", {"max_failures": 1})
        raise Retry(0 if item == "now" else 60)

    workers.handle(worker, "j", handler, prefetch=1)
    jobs = thoonk.job("j", {"max_failures": 2})
    names = ["later", "now", "lost", "last"]
    ids = dict(zip(names, jobs.put_many(names), strict=True))
    with workers.working(worker):
        poll(lambda: jobs.get_counts() == JobCounts(0, 0, 2, 0, 1))
    told = [
        (record.id, record.levelname, record.event, record.message.partition("; ")[2])  # type: ignore[attr-defined]
        for record in caplog.records
        if record.name == "thoonk.worker" and "failed on attempt" in record.message
    ]
    later, now, lost, last = ids.values()
    assert told == [
        (later, "WARNING", "job_failed", "retrying in 60.0 s: asked for in 60 s"),
        (now, "WARNING", "job_failed", "it is available again: asked for in 0 s"),
        (lost, "ERROR", "job_lost", "it was lost before: asked for in 60 s"),
        (last, "ERROR", "job_stalled", "it is stalled: asked for in 60 s"),
        (now, "ERROR", "job_stalled", "it is stalled: asked for in 0 s"),
    ]
    assert "was not wanted" not in caplog.text


class Refusing:
    """What the two backends below have in common."""

    error: Exception
    refused = 0

    def refuse(self, operation: Operation[Any]) -> None:
        if isinstance(operation, JobFail):
            self.refused += 1
            raise self.error


class RefusingBackend(Refusing, ForwardingBackend):
    def execute(self, operation: Any) -> Any:
        self.refuse(operation)
        return super().execute(operation)


class AsyncRefusingBackend(Refusing, AsyncForwardingBackend):
    async def execute(self, operation: Any) -> Any:
        self.refuse(operation)
        return await super().execute(operation)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BackendUnavailable("away"), "given back with the next claim, without a delay (away)"),
        (UnsupportedOperation("older"), "available again; the backend knows no delays"),
    ],
)
@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_a_backend_that_does_not_take_a_delay_gets_the_job_back_all_the_same(
    world: World,
    thoonk: Thoonk,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    error: Exception,
    told: str,
) -> None:
    tries: list[str] = []

    def plain(item: str) -> None:
        tries.append(item)
        raise Stall("it stalls") if item == "stall" else OSError

    async def coroutine(item: str) -> None:
        plain(item)

    jobs = thoonk.job("j")
    jobs.put_many(["x", "stall"])
    if kind == "threads":
        backend = RefusingBackend(open_backend(world.url)[0])
        backend.error = error
        with Thoonk(backend=backend) as client:
            worker = Worker(client, concurrency=1)
            worker.handle("j", plain, backoff=600, retries=1)
            worker.run(burst=True)
        backend.close()
    else:

        async def run() -> None:
            backend = AsyncRefusingBackend(open_async_backend(world.url)[0])
            backend.error = error
            async with AsyncThoonk(backend=backend) as client:
                worker = AsyncWorker(client, concurrency=1)
                worker.handle("j", coroutine, backoff=600, retries=1)
                await worker.serve(burst=True)
            await backend.close()

        asyncio.run(run())
    is_older = isinstance(error, UnsupportedOperation)
    assert jobs.get_counts() == JobCounts(0, 0, 2, 0, 0)
    # A stall that the backend was not to be reached for is a failure like others.
    assert sorted(tries) == (["stall", "x", "x"] if is_older else ["stall", "stall", "x", "x"])
    assert told in caplog.text


def test_a_burst_does_not_wait_for_what_others_have_scheduled_or_what_is_gone(
    workers: Workers, thoonk: Thoonk
) -> None:
    worker = workers(concurrency=2)
    failed = threading.Event()

    def handler(item: str) -> None:
        failed.set()
        raise OSError

    workers.handle(worker, "j", handler, backoff=600)
    jobs = thoonk.job("j")
    later = jobs.put("later", delay=600)
    assert worker.run(burst=True) == 0
    id = jobs.put("x")
    with workers.working(worker, burst=True) as thread:
        assert failed.wait(60)
        scheduled(jobs, id)
        time.sleep(0.3)
        assert thread.is_alive()
        jobs.retract(id)
        thread.join(60)
        assert not thread.is_alive()
    assert jobs.get_ids() == [later]


def test_a_burst_does_what_it_has_scheduled_also_when_it_becomes_available_early(
    workers: Workers, thoonk: Thoonk
) -> None:
    worker = workers(concurrency=2)
    tries: list[int] = []

    def handler(item: str, claim: Any) -> None:
        tries.append(claim.cancelled)
        if not claim.cancelled:
            raise OSError

    workers.handle(worker, "j", handler, backoff=600)
    jobs = thoonk.job("j")
    id = jobs.put("x")
    with workers.working(worker, burst=True) as thread:
        scheduled(jobs, id)
        jobs.run_now(id)
        thread.join(60)
        assert not thread.is_alive()
    assert tries == [0, 1]
    becomes(jobs, 0, 0, 0, 1)


def test_the_reason_of_an_exception_is_kept_with_it(workers: Workers, thoonk: Thoonk) -> None:
    worker = workers()

    def handler(item: str) -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error

    workers.handle(worker, "j", handler, retries=0)
    jobs = thoonk.job("j")
    id = jobs.put("x")
    worker.run(burst=True)
    failure = info_of(jobs, id).failure
    assert failure is not None
    assert "KeyError: 'inner'" in failure.traceback
    assert "direct cause" in failure.traceback


def test_the_log_of_a_lost_job_that_is_scheduled_meanwhile_says_so(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture
) -> None:
    worker = workers(concurrency=1)

    def handler(item: str, claim: Any) -> str:
        jobs.cancel(claim.id, delay=600)
        return "late"

    caplog.set_level(logging.WARNING)
    workers.handle(worker, "j", handler)
    jobs = thoonk.job("j")
    jobs.put("x")
    with workers.working(worker):
        poll(lambda: "was not wanted" in caplog.text)
    (record,) = [each for each in caplog.records if hasattr(each, "reason")]
    assert record.reason == "claim_lost"
