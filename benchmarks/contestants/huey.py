"""huey with its Redis storage: a list, without acknowledgement."""

from __future__ import annotations

import threading
from typing import Any

from huey import RedisHuey

from benchmarks.contestants.countdown import THREADS, Countdown
from benchmarks.contestants.timing import ITEM, timed

countdown = Countdown(1)


class Queue:
    """A task's calls."""

    def __init__(self, url: str) -> None:
        self._huey = RedisHuey("benchmark", url=url)

        @self._huey.task()
        def work(item: str) -> None:
            del item
            countdown.tick()

        self._work = work

    def put(self, count: int) -> Any:
        """One call per item."""
        with timed(count) as measured:
            for _ in range(count):
                self._work(ITEM)
        return measured.result

    fill = put

    def claim(self, count: int) -> Any:
        """Dequeuing and executing each."""
        with timed(count) as measured:
            for _ in range(count):
                self._huey.execute(self._huey.dequeue())
        return measured.result

    def drain(self, count: int) -> Any:
        """The consumer, with threads."""
        global countdown  # noqa: PLW0603
        done = threading.Event()
        countdown = Countdown(count, done.set)
        consumer = self._huey.create_consumer(workers=THREADS, periodic=False)
        consumer.start()
        done.wait()
        consumer.stop(graceful=True)
        return countdown.result
