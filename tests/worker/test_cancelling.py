"""A job that is retracted or stopped while it runs: its handler stops, where that can be done."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from thoonk import Claim, Job, NotClaimed, Thoonk

from .conftest import Commands, Workers, becomes, poll, states


def retract(jobs: Job[Any], id: str) -> None:
    assert jobs.retract(id)


def stop(jobs: Job[Any], id: str) -> None:
    assert jobs.stop(id, reason="stopped by hand")


END = pytest.mark.parametrize(
    ("end", "left"), [(retract, (0, 0, 0, 1)), (stop, (0, 0, 1, 1))], ids=["retract", "stop"]
)


@END
def test_a_task_is_cancelled_and_its_slot_goes_on(
    workers: Workers, thoonk: Thoonk, caplog: pytest.LogCaptureFixture, end: Any, left: Any
) -> None:
    if workers.kind != "tasks":
        pytest.skip("a thread cannot be cancelled")
    worker = workers(concurrency=1)
    started, cancelled = threading.Event(), threading.Event()

    async def handler(item: str) -> None:
        if item == "long":
            started.set()
            try:
                await asyncio.sleep(600)
            finally:
                cancelled.set()

    # Signs of life alone would come after 200 seconds.
    workers.handle(worker, "j", handler, claim_timeout=600)
    jobs = thoonk.job("j")
    id = jobs.put("long")
    with workers.working(worker):
        assert started.wait(60)
        end(jobs, id)
        assert cancelled.wait(60)
        jobs.put("short")
        poll(lambda: states(jobs) == left)
    events = [getattr(record, "event", "") for record in caplog.records]
    assert events.count("job_lost") == events.count("job_stopped") == 1


@END
def test_a_thread_sees_that_its_claim_is_lost(
    workers: Workers, thoonk: Thoonk, end: Any, left: Any
) -> None:
    if workers.kind != "threads":
        pytest.skip("tasks are cancelled")
    worker = workers(concurrency=1)
    started = threading.Event()
    seen: list[type[BaseException]] = []

    def handler(item: str, claim: Claim[str]) -> None:
        if item != "long":
            return
        started.set()
        deadline = time.monotonic() + 30
        try:
            while time.monotonic() < deadline:
                claim.check()
                time.sleep(0.01)
        except NotClaimed as error:
            seen.append(type(error))
            raise

    workers.handle(worker, "j", handler, claim_timeout=600)
    jobs = thoonk.job("j")
    id = jobs.put("long")
    with workers.working(worker):
        assert started.wait(60)
        end(jobs, id)
        poll(lambda: seen == [NotClaimed])
        jobs.put("short")
        poll(lambda: states(jobs) == left)


PROCESSES = """
    import time
    from thoonk.worker import Worker

    worker = Worker(processes=1)

    @worker.handles("j", claim_timeout=600)
    def handler(item):
        if item == "long":
            print("began", flush=True)
            time.sleep(600)
"""


@END
def test_a_process_is_replaced(commands: Commands, client: Thoonk, end: Any, left: Any) -> None:
    commands.write(PROCESSES)
    jobs = client.job("j")
    id = jobs.put("long")
    command = commands.start("app:worker")
    command.told("began")
    (before,) = command.children()
    end(jobs, id)
    jobs.put("short")
    becomes(jobs, *left)
    assert before not in command.children()
