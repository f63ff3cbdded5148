"""What a worker says of a job that is not its own any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from thoonk import Job, Thoonk

from .conftest import Workers, poll


def retract(jobs: Job[Any], thoonk: Thoonk, id: str) -> None:
    assert jobs.retract(id)


def finish(jobs: Job[Any], thoonk: Thoonk, id: str) -> None:
    jobs.finish(id, "another's")


def cancel(jobs: Job[Any], thoonk: Thoonk, id: str) -> None:
    thoonk.set_config("j", {"max_failures": 1})  # it is not begun again here
    jobs.cancel(id)


@pytest.mark.parametrize("when", ["while it runs", "before it ends"])
@pytest.mark.parametrize(
    ("happens", "reason", "text"),
    [
        (retract, "retracted", "it was retracted, or finished elsewhere"),
        (finish, "finished", "it was finished elsewhere"),
        (cancel, "claim_lost", "it may run elsewhere"),
    ],
)
def test_a_job_that_is_not_the_workers_any_more_is_reported_as_what_it_is(
    workers: Workers,
    thoonk: Thoonk,
    caplog: pytest.LogCaptureFixture,
    happens: Callable[..., None],
    reason: str,
    text: str,
    when: str,
) -> None:
    worker = workers(concurrency=1)
    started, released = threading.Event(), threading.Event()

    def plain(item: str) -> None:
        started.set()
        released.wait(30)

    async def coroutine(item: str) -> None:
        started.set()
        while not released.is_set():
            await asyncio.sleep(0.01)

    function = plain if workers.kind == "threads" else coroutine
    workers.handle(worker, "j", function, claim_timeout=1 if when == "while it runs" else 600)
    jobs = thoonk.job("j")
    id = jobs.put("x")

    def told() -> list[Any]:
        return [each for each in caplog.records if getattr(each, "reason", None) is not None]

    with workers.working(worker):
        assert started.wait(60)
        happens(jobs, thoonk, id)
        if when == "while it runs":
            poll(told)
        released.set()
        poll(told)
    record = told()[0]
    assert (record.event, record.feed, record.id, record.reason) == ("job_lost", "j", id, reason)
    assert text in record.message
    assert ("was lost while it ran" in record.message) == (when == "while it runs")
