"""Reads the list of workers that are alive, in pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from thoonk.operations import ReadWorkers, WorkerInfo, WorkerPage


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
