"""BullMQ's Python half, on asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

import bullmq

from benchmarks.contestants.countdown import THREADS, Countdown
from benchmarks.contestants.timing import ITEM, timed

CHUNK = 1000


class Queue:
    """A queue's jobs."""

    def __init__(self, url: str) -> None:
        self._options = {"connection": url}

    def put(self, count: int) -> Any:
        """One add per item."""
        return asyncio.run(self._put(count))

    fill = put

    async def _put(self, count: int) -> Any:
        queue = bullmq.Queue("benchmark", self._options)
        with timed(count) as measured:
            for _ in range(count):
                await queue.add("work", {"item": ITEM}, {})
        await queue.close()
        return measured.result

    def put_many(self, count: int) -> Any:
        """A thousand items per call."""
        return asyncio.run(self._put_many(count))

    async def _put_many(self, count: int) -> Any:
        queue = bullmq.Queue("benchmark", self._options)
        items = [{"name": "work", "data": {"item": ITEM}, "opts": {}} for _ in range(CHUNK)]
        with timed(count) as measured:
            for _ in range(0, count, CHUNK):
                await queue.addBulk(items)
        await queue.close()
        return measured.result

    def drain(self, count: int) -> Any:
        """The worker, with tasks."""
        return asyncio.run(self._drain(count))

    async def _drain(self, count: int) -> Any:
        done = asyncio.Event()
        countdown = Countdown(count, done.set)

        async def work(job: Any, token: str) -> None:
            del job, token
            countdown.tick()

        worker = bullmq.Worker("benchmark", work, {**self._options, "concurrency": THREADS})
        await done.wait()
        await worker.close()
        return countdown.result
