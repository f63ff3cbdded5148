"""Thoonk's public calls, for asyncio; one call after the other."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.contestants.countdown import THREADS, FullCountdown
from benchmarks.contestants.timing import ITEM, timed
from thoonk import AsyncThoonk

PREFETCH = 16
"""Jobs that a loop has in hand."""


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
        """Tasks that share a client, each with a loop of its own."""
        return asyncio.run(self._drain(count))

    async def _drain(self, count: int) -> Any:
        async with AsyncThoonk(backend=self._url) as thoonk:
            job = await thoonk.job("job", {"claim_timeout": 60})
            loops = [job.claims(timeout=5, prefetch=PREFETCH) for _ in range(THREADS)]
            countdown = FullCountdown(count, lambda: [loop.stop() for loop in loops])

            async def work(loop: Any) -> None:
                async with loop as claims:
                    async for _ in claims:
                        countdown.tick()

            await asyncio.gather(*map(work, loops))
            countdown.end()
        return countdown.result
