"""The workers that are alive, and the jobs that each is processing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from thoonk.operations import ReadWorkers, WorkerInfo, WorkerJob, WorkerPage


async def read_workers(
    execute: Callable[[ReadWorkers], Coroutine[Any, Any, WorkerPage]],
) -> list[WorkerInfo]:
    """The workers by host and process. Raises what ``execute`` does."""
    found: dict[str, WorkerInfo] = {}
    page = await execute(ReadWorkers())
    found.update((worker.id, worker) for worker in page.workers)
    while page.cursor:
        page = await execute(ReadWorkers(page.cursor))
        found.update((worker.id, worker) for worker in page.workers)
    return sorted(found.values(), key=lambda worker: (worker.host, worker.pid, worker.id))


def holders(workers: Iterable[WorkerInfo], feed: str) -> dict[str, tuple[WorkerInfo, WorkerJob]]:
    """By the id of a job of the feed: the worker that is processing it, and what it reports.

    A worker names `thoonk.operations.MOST_REPORTED` jobs at most, and only those it has begun.
    """
    return {job.id: (worker, job) for worker in workers for job in worker.jobs if job.feed == feed}
