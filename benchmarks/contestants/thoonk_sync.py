"""Thoonk's public calls, for threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from benchmarks.contestants.countdown import THREADS, FullCountdown
from benchmarks.contestants.timing import ITEM, timed
from thoonk import Thoonk
from thoonk.worker import Worker

PREFETCH = 16
"""Jobs that a loop has in hand, where it has more than one."""

CHUNK = 1000
"""Jobs that are claimed at once, where there are many."""


def at_once(count: int, calls: int, call: Callable[[str], object]) -> Any:
    """``count`` calls by ``calls`` threads."""
    left = iter(range(count))  # next() of it is atomic

    def lane() -> None:
        for _ in left:
            call(ITEM)

    threads = [threading.Thread(target=lane) for _ in range(calls)]
    with timed(count) as measured:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return measured.result


class Feed:
    """A feed."""

    def __init__(self, url: str) -> None:
        self._thoonk = Thoonk(backend=url)

    def publish(self, count: int) -> Any:
        """One call per item."""
        feed = self._thoonk.feed("feed")
        feed.retract(feed.publish(ITEM))
        with timed(count) as measured:
            for _ in range(count):
                feed.publish(ITEM)
        return measured.result

    def publish_at_once(self, count: int, calls: int) -> Any:
        """Many threads."""
        feed = self._thoonk.feed("feed")
        feed.retract(feed.publish(ITEM))
        return at_once(count, calls, feed.publish)

    def publish_many(self, count: int) -> Any:
        """As many items as there are, in one call."""
        feed = self._thoonk.feed("feed")
        items = [ITEM] * count
        with timed(count) as measured:
            feed.publish_many(items)
        return measured.result


class Queue:
    """A queue."""

    def __init__(self, url: str) -> None:
        self._thoonk = Thoonk(backend=url)

    def put(self, count: int) -> Any:
        """One call per item."""
        queue = self._thoonk.queue("queue")
        queue.put(ITEM)
        queue.get()
        with timed(count) as measured:
            for _ in range(count):
                queue.put(ITEM)
        return measured.result

    def claim(self, count: int) -> Any:
        """One call per item: it takes and confirms."""
        queue = self._thoonk.queue("queue")
        with timed(count) as measured:
            for _ in range(count):
                queue.get()
        return measured.result

    def put_many(self, count: int) -> Any:
        """As many items as there are, in one call."""
        queue = self._thoonk.queue("queue")
        items = [ITEM] * count
        with timed(count) as measured:
            queue.put_many(items)
        return measured.result

    def claim_many(self, count: int) -> Any:
        """A thousand at a time: it takes and confirms."""
        queue = self._thoonk.queue("queue")
        left = count
        with timed(count) as measured:
            while left:
                left -= len(queue.get_many(min(left, CHUNK)))
        return measured.result


class Job:
    """A job feed."""

    threads = THREADS

    def __init__(self, url: str) -> None:
        self._thoonk = Thoonk(backend=url)

    def _open(self) -> Any:
        return self._thoonk.job("job", {"claim_timeout": 60})

    def put(self, count: int) -> Any:
        """One call per item."""
        job = self._open()
        job.put(ITEM)
        job.get().finish()
        with timed(count) as measured:
            for _ in range(count):
                job.put(ITEM)
        return measured.result

    fill = put

    def put_at_once(self, count: int, calls: int) -> Any:
        """Many threads."""
        job = self._open()
        job.put(ITEM)
        job.get().finish()
        return at_once(count, calls, job.put)

    def claim(self, count: int) -> Any:
        """Two calls per job."""
        job = self._open()
        with timed(count) as measured:
            for _ in range(count):
                job.get().finish()
        return measured.result

    def loop(self, count: int) -> Any:
        """Finishing the last and claiming the next in one round trip."""
        return self._loop(count)

    def prefetch(self, count: int) -> Any:
        """Claiming 16 at a time."""
        return self._loop(count, prefetch=PREFETCH)

    def _loop(self, count: int, **options: Any) -> Any:
        job = self._open()
        left = count
        with timed(count) as measured:
            for claim in job.claims(timeout=5, **options):
                left -= 1
                if not left:
                    claim.finish()  # no other is asked for
                    break
        return measured.result

    def drain(self, count: int) -> Any:
        """The worker, with threads; it has told how all jobs went when the clock stops."""
        worker = Worker(self._thoonk, concurrency=self.threads)
        countdown = FullCountdown(count, worker.stop)

        @worker.handles("job")
        def work(item: str) -> None:
            del item
            countdown.tick()

        worker.run()
        countdown.end()
        return countdown.result

    def put_many(self, count: int) -> Any:
        """As many items as there are, in one call."""
        job = self._open()
        items = [ITEM] * count
        with timed(count) as measured:
            job.put_many(items)
        return measured.result

    def claim_many(self, count: int) -> Any:
        """Claiming a thousand at a time, and finishing them."""
        job = self._open()
        left = count
        with timed(count) as measured:
            while left:
                claims = job.get_many(min(left, CHUNK))
                job.finish_many(claims)
                left -= len(claims)
        return measured.result


class OneThread(Job):
    """A job feed whose worker does one job at a time, as RQ's do."""

    threads = 1


class Memory(Job):
    """A job feed in memory."""

    def __init__(self, url: str) -> None:
        del url
        super().__init__("memory")

    memory_put = Job.put
