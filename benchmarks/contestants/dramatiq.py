"""dramatiq with its Redis broker and its usual middleware."""

from __future__ import annotations

import threading
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker

from benchmarks.contestants.countdown import THREADS, Countdown
from benchmarks.contestants.timing import ITEM, timed

countdown = Countdown(1)


def work(item: str) -> None:
    """The job."""
    del item
    countdown.tick()


class Queue:
    """An actor's messages."""

    def __init__(self, url: str) -> None:
        self._broker = self._open(url)
        self._actor = dramatiq.actor(work, broker=self._broker)

    def _open(self, url: str) -> Any:
        return RedisBroker(url=url)

    def put(self, count: int) -> Any:
        """One send per item."""
        with timed(count) as measured:
            for _ in range(count):
                self._actor.send(ITEM)
        return measured.result

    fill = put

    def claim(self, count: int) -> Any:
        """Fetching one, acknowledging it."""
        return self._consume(count, prefetch=1)

    def prefetch(self, count: int) -> Any:
        """Fetching 16 at a time, acknowledging each."""
        return self._consume(count, prefetch=16)

    def _consume(self, count: int, prefetch: int) -> Any:
        consumer = self._broker.consume("default", prefetch=prefetch)
        with timed(count) as measured:
            for _ in range(count):
                consumer.ack(next(consumer))
        return measured.result

    def drain(self, count: int) -> Any:
        """The worker, with threads."""
        global countdown  # noqa: PLW0603
        done = threading.Event()
        countdown = Countdown(count, done.set)
        worker = dramatiq.Worker(self._broker, worker_threads=THREADS)
        worker.start()
        done.wait()
        worker.stop()
        return countdown.result


class Memory(Queue):
    """Its broker for tests."""

    def _open(self, url: str) -> Any:
        del url
        return StubBroker()

    memory_put = Queue.put
