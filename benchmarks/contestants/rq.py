"""RQ with its SimpleWorker, which does not fork for each job, and with its Worker, which does."""

from __future__ import annotations

from typing import Any

import redis
from rq import Queue as RqQueue
from rq import SimpleWorker, Worker

from benchmarks.contestants.countdown import Countdown
from benchmarks.contestants.timing import ITEM, timed

CHUNK = 1000

countdown = Countdown(1)


def work(item: str) -> None:
    """The job, found by its name."""
    del item
    countdown.tick()


def nothing(item: str) -> None:
    """The job of the worker that forks: a clock of this process cannot count in its children."""
    del item


class Queue:
    """Calls of a function."""

    work = staticmethod(work)

    def __init__(self, url: str) -> None:
        self._connection = redis.Redis.from_url(url)
        self._queue = RqQueue(connection=self._connection)

    def put(self, count: int) -> Any:
        """One enqueue per item."""
        with timed(count) as measured:
            for _ in range(count):
                self._queue.enqueue(self.work, ITEM)
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


class Forking(Queue):
    """The same, with the worker that `rq worker` starts: each job has a process of its own."""

    work = staticmethod(nothing)
    fill = Queue.put

    def drain(self, count: int) -> Any:
        """From its start until it finds no more jobs."""
        worker = Worker([self._queue], connection=self._connection)
        with timed(count) as measured:
            worker.work(burst=True, logging_level="ERROR")
        return measured.result
