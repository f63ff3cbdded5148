"""Thoonk's public calls, for asyncio; one call after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.contestants.countdown import THREADS, FullCountdown
from benchmarks.contestants.timing import ITEM, timed
from thoonk import AsyncThoonk
from thoonk.worker import AsyncWorker


async def at_once(count: int, calls: int, call: Callable[[str], Awaitable[object]]) -> Any:
    """``count`` calls, of which ``calls`` are on their way at any time."""
    left = iter(range(count))

    async def lane() -> None:
        for _ in left:
            await call(ITEM)

    with timed(count) as measured:
        await asyncio.gather(*(lane() for _ in range(calls)))
    return measured.result


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

    def publish_at_once(self, count: int, calls: int) -> Any:
        """Many calls at a time."""
        return asyncio.run(self._publish_at_once(count, calls))

    async def _publish_at_once(self, count: int, calls: int) -> Any:
        async with AsyncThoonk(backend=self._url) as thoonk:
            feed = await thoonk.feed("feed")
            await feed.retract(await feed.publish(ITEM))
            return await at_once(count, calls, feed.publish)


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

    def put_at_once(self, count: int, calls: int) -> Any:
        """Many calls at a time."""
        return asyncio.run(self._put_at_once(count, calls))

    async def _put_at_once(self, count: int, calls: int) -> Any:
        async with AsyncThoonk(backend=self._url) as thoonk:
            job = await thoonk.job("job", {"claim_timeout": 60})
            await job.put(ITEM)
            await (await job.get()).finish()
            return await at_once(count, calls, job.put)

    def put_many(self, count: int) -> Any:
        """As many items as there are, in one call."""
        return asyncio.run(self._put_many(count))

    async def _put_many(self, count: int) -> Any:
        async with AsyncThoonk(backend=self._url) as thoonk:
            job = await thoonk.job("job", {"claim_timeout": 60})
            items = [ITEM] * count
            with timed(count) as measured:
                await job.put_many(items)
        return measured.result

    def drain(self, count: int, tasks: int = THREADS) -> Any:
        """The worker, with tasks; it has told how all jobs went when the clock stops."""
        worker = AsyncWorker(self._url, concurrency=tasks)
        countdown = FullCountdown(count, worker.stop)

        @worker.handles("job")
        async def work(item: str) -> None:
            del item
            countdown.tick()

        worker.run()
        countdown.end()
        return countdown.result
