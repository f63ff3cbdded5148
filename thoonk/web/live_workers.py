"""The workers that are alive, which all open pages share."""

from __future__ import annotations

import asyncio
import time

from thoonk._async.alive import holders, read_workers
from thoonk.exceptions import UnsupportedOperation
from thoonk.operations import WorkerInfo
from thoonk.web.source import Source

FRESH = 1.5
"""Seconds for which the list is not read again."""


class Workers:
    """The workers of one application."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._known: list[WorkerInfo] | None = []

    async def __call__(self) -> list[WorkerInfo] | None:
        """The workers by host and process; None: the backend keeps no list of them.

        Raises:
            BackendUnavailable: the backend is away.
        """
        async with self._lock:
            if time.monotonic() - self._read_at >= FRESH:
                self._known = await self._read()
                self._read_at = time.monotonic()
            return self._known

    async def _read(self) -> list[WorkerInfo] | None:
        try:
            return await read_workers(self._source.read)
        except UnsupportedOperation:
            return None

    async def at_jobs(self, feed: str) -> dict[str, WorkerInfo]:
        """The worker that is at each job of a feed, by the job's id, as far as it is known."""
        return {id: worker for id, (worker, _) in holders(await self() or (), feed).items()}
