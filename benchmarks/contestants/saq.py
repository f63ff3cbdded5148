"""saq, on asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

import saq

from benchmarks.contestants.countdown import THREADS, Countdown
from benchmarks.contestants.timing import ITEM, timed

countdown = Countdown(1)


async def work(context: Any, *, item: str) -> None:
    """The job."""
    del context, item
    countdown.tick()


class Queue:
    """Calls of a coroutine function."""

    def __init__(self, url: str) -> None:
        self._url = url

    def put(self, count: int) -> Any:
        """One enqueue per item."""
        return asyncio.run(self._put(count))

    fill = put

    async def _put(self, count: int) -> Any:
        queue = saq.Queue.from_url(self._url)
        await queue.connect()
        with timed(count) as measured:
            for _ in range(count):
                await queue.enqueue("work", item=ITEM)
        await queue.disconnect()
        return measured.result

    def claim(self, count: int) -> Any:
        """What its worker does with one job after the other."""
        return asyncio.run(self._claim(count))

    async def _claim(self, count: int) -> Any:
        global countdown  # noqa: PLW0603
        countdown = Countdown(count + 1)
        queue = saq.Queue.from_url(self._url)
        await queue.connect()
        worker = saq.Worker(queue, functions=[work], concurrency=1)
        with timed(count) as measured:
            for _ in range(count):
                await worker.process()
        await queue.disconnect()
        return measured.result

    def drain(self, count: int) -> Any:
        """The worker, with tasks."""
        return asyncio.run(self._drain(count))

    async def _drain(self, count: int) -> Any:
        global countdown  # noqa: PLW0603
        queue = saq.Queue.from_url(self._url)
        await queue.connect()
        worker = saq.Worker(queue, functions=[work], concurrency=THREADS)
        countdown = Countdown(count, lambda: worker.event.set())  # noqa: PLW0108 - start() makes a new event
        await worker.start()
        await queue.disconnect()
        return countdown.result
