"""arq, on asyncio: with its defaults, and polling as often as it can."""

from __future__ import annotations

import asyncio
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

from benchmarks.contestants.countdown import THREADS, Countdown
from benchmarks.contestants.timing import ITEM, timed

countdown = Countdown(1)


async def work(context: Any, item: str) -> None:
    """The job."""
    del context, item
    countdown.tick()


class Queue:
    """Calls of a coroutine function."""

    tuning: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, url: str) -> None:
        self._settings = RedisSettings.from_dsn(url)

    def put(self, count: int) -> Any:
        """One enqueue_job per item."""
        return asyncio.run(self._put(count))

    fill = put

    async def _put(self, count: int) -> Any:
        pool = await create_pool(self._settings)
        with timed(count) as measured:
            for _ in range(count):
                await pool.enqueue_job("work", ITEM)
        await pool.aclose()
        return measured.result

    def drain(self, count: int) -> Any:
        """The worker, with tasks."""
        return asyncio.run(self._drain(count))

    async def _drain(self, count: int) -> Any:
        global countdown  # noqa: PLW0603
        countdown = Countdown(count)
        worker = Worker(
            functions=[work],
            redis_settings=self._settings,
            burst=True,
            handle_signals=False,
            max_jobs=THREADS,
            **self.tuning,
        )
        await worker.async_run()
        await worker.close()
        return countdown.result


class Tuned(Queue):
    """It looks again at once, and keeps no results."""

    tuning = {"poll_delay": 0.001, "keep_result": 0}  # noqa: RUF012
