"""Celery with Redis as its broker, without results, and kombu's memory transport."""

from __future__ import annotations

from typing import Any

import kombu
from celery import Celery
from celery.worker import state

from benchmarks.contestants.countdown import THREADS, Countdown
from benchmarks.contestants.timing import ITEM, timed

countdown = Countdown(1)


class Queue:
    """A task's messages."""

    def __init__(self, url: str) -> None:
        self._app = Celery("benchmark", broker=url)
        self._app.conf.broker_connection_retry_on_startup = True

        @self._app.task(name="work", ignore_result=True)
        def work(item: str) -> None:
            del item
            countdown.tick()

        self._work = work

    def put(self, count: int) -> Any:
        """One delay per item."""
        with timed(count) as measured:
            for _ in range(count):
                self._work.delay(ITEM)
        return measured.result

    fill = put

    def drain(self, count: int) -> Any:
        """The worker, with a pool of threads."""
        global countdown  # noqa: PLW0603
        state.should_stop = None
        countdown = Countdown(count, lambda: setattr(state, "should_stop", 0))
        self._app.Worker(pool="threads", concurrency=THREADS, loglevel="ERROR").start()
        return countdown.result


class Memory:
    """What Celery uses where there is no broker."""

    def __init__(self, url: str) -> None:
        del url
        self._queue = kombu.Connection("memory://").SimpleQueue("benchmark")

    def memory_put(self, count: int) -> Any:
        """One put per item."""
        with timed(count) as measured:
            for _ in range(count):
                self._queue.put(ITEM)
        return measured.result
