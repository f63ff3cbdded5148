"""RQ with its SimpleWorker, which does not fork for each job."""

from __future__ import annotations

from typing import Any

import redis
from rq import Queue as RqQueue
from rq import SimpleWorker

from benchmarks.contestants.countdown import Countdown
from benchmarks.contestants.timing import ITEM, timed

CHUNK = 1000

countdown = Countdown(1)


def work(item: str) -> None:
    """The job, found by its name."""
    del item
    countdown.tick()


class Queue:
    """Calls of a function."""

    def __init__(self, url: str) -> None:
        self._connection = redis.Redis.from_url(url)
        self._queue = RqQueue(connection=self._connection)

    def put(self, count: int) -> Any:
        """One enqueue per item."""
        with timed(count) as measured:
            for _ in range(count):
                self._queue.enqueue(work, ITEM)
        return measured.result

    fill = put

    def put_many(self, count: int) -> Any:
        """A thousand items per call."""
        with timed(count) as measured:
            for _ in range(0, count, CHUNK):
                data = [RqQueue.prepare_data(work, (ITEM,)) for _ in range(CHUNK)]
                self._queue.enqueue_many(data)
        return measured.result

    def drain(self, count: int) -> Any:
        """The worker: one job at a time."""
        global countdown  # noqa: PLW0603
        countdown = Countdown(count)
        worker = SimpleWorker([self._queue], connection=self._connection)
        worker.work(burst=True, logging_level="ERROR")
        return countdown.result
