"""Thoonk's public calls, for asyncio; one call after the other."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.contestants.countdown import THREADS, FullCountdown
from benchmarks.contestants.timing import ITEM, timed
from thoonk import AsyncThoonk
from thoonk.worker import AsyncWorker


class Feed:
    """A feed."""

    def __init__(self, url: str) -> None:
        self._url = url

    def async_publish(self, count: int) -> Any:
        """One call per item."""
        return asyncio.run(self._publish(count))

    async def _publish(self, count: int) -> Any:
        async with AsyncThoonk(backend=self._url) as thoonk:
            feed = await thoonk.feed("feed")
            await feed.retract(await feed.publish(ITEM))
            with timed(count) as measured:
                for _ in range(count):
                    await feed.publish(ITEM)
        return measured.result


class Job:
    """A job feed."""

    def __init__(self, url: str) -> None:
        self._url = url

    def async_put(self, count: int) -> Any:
        """One call per item."""
        return asyncio.run(self._put(count))

    async def _put(self, count: int) -> Any:
        async with AsyncThoonk(backend=self._url) as thoonk:
            job = await thoonk.job("job", {"claim_timeout": 60})
            await job.put(ITEM)
            await (await job.get()).finish()
            with timed(count) as measured:
                for _ in range(count):
                    await job.put(ITEM)
        return measured.result

    fill = async_put

    def drain(self, count: int) -> Any:
        """The worker, with tasks; it has told how all jobs went when the clock stops."""
        worker = AsyncWorker(self._url, concurrency=THREADS)
        countdown = FullCountdown(count, worker.stop)

        @worker.handles("job")
        async def work(item: str) -> None:
            del item
            countdown.tick()

        worker.run()
        countdown.end()
        return countdown.result
