"""What uses a cluster while something happens to it, and checks that nothing went wrong."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
from clusters import Cluster, Node, becomes_true

from thoonk import Closed, JobCounts, Thoonk
from thoonk.exceptions import Empty, ThoonkError
from thoonk.notices import Gap, Notice, Published
from thoonk.worker import Worker


@attrs.define
class Traffic:
    """What came of putting and taking."""

    put: list[str] = attrs.field(factory=list)
    got: list[str] = attrs.field(factory=list)
    errors: list[BaseException] = attrs.field(factory=list)

    def check(self) -> None:
        assert self.errors == []
        assert Counter(self.got) == Counter(self.put)
        assert max(Counter(self.got).values()) == 1
        assert len(self.put) > 10


@contextlib.contextmanager
def traffic(cluster: Cluster, name: str) -> Iterator[Traffic]:
    """Two producers and two takers while a block runs. Behind it all has been taken."""
    seen = Traffic()
    ended, all_put = threading.Event(), threading.Event()

    def produce(thoonk: Thoonk, number: int) -> None:
        queue = thoonk.queue(name)
        count = 0
        while not ended.is_set():
            item = f"{number} {count}"
            queue.put(item)
            seen.put.append(item)
            count += 1
            ended.wait(0.002)

    def take(thoonk: Thoonk) -> None:
        queue = thoonk.queue(name)
        while True:
            try:
                seen.got.append(queue.get(timeout=0.5))
            except Empty:
                if all_put.is_set():
                    return

    def watched(function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except ThoonkError as error:
            seen.errors.append(error)

    with (
        Thoonk(backend=cluster.url) as one,
        Thoonk(backend=cluster.url) as other,
        ThreadPoolExecutor(4) as pool,
    ):
        producers = [pool.submit(watched, produce, one, number) for number in range(2)]
        takers = [pool.submit(watched, take, other) for _ in range(2)]
        try:
            becomes_true(lambda: len(seen.got) > 5 or seen.errors)
            yield seen
            count = len(seen.got)
            becomes_true(lambda: len(seen.got) > count + 5 or seen.errors)
        finally:
            ended.set()
            for producer in producers:
                producer.result(60)
            all_put.set()
            for taker in takers:
                taker.result(60)


def feed_at(cluster: Cluster, node: Node) -> str:
    """The name of a feed that the node has."""
    names = (f"{{feed {number}}}" for number in range(1000))
    return next(name for name in names if cluster.owner(name) is node)


@attrs.define
class Heard:
    """What a subscription has brought so far."""

    notices: list[Notice] = attrs.field(factory=list)

    @property
    def items(self) -> list[int]:
        return [int(each.item[:10]) for each in self.notices if isinstance(each, Published)]

    @property
    def gaps(self) -> int:
        return sum(isinstance(each, Gap) for each in self.notices)

    def check(self, count: int, *, thawed: bool = False) -> None:
        """All numbers below ``count``, each once and in order. Some may be missing at a gap.

        ``thawed``: a node that stood still goes on with the calls that wait for it before it
        learns that it has been replaced, and so repeats notices.
        """
        expected = 0
        is_told = False
        for notice in self.notices:
            if isinstance(notice, Gap):
                is_told = True
            elif isinstance(notice, Published):
                number = int(notice.item[:10])
                if thawed and number < expected:
                    continue
                assert number == expected or (is_told and number > expected), (number, expected)
                expected = number + 1
                is_told = False
        assert expected == count


@contextlib.contextmanager
def heard(thoonk: Thoonk, feed: str | None = None) -> Iterator[Heard]:
    """Listens in a thread while a block runs."""
    subscription = thoonk.backend.listen(feed)
    heard = Heard()

    def listen() -> None:
        with contextlib.suppress(Closed):
            while True:
                heard.notices.append(subscription.get())

    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(listen)
        try:
            yield heard
        finally:
            subscription.close()
            listening.result(30)


class Publisher:
    """Publishes numbers, one after the other, until it is stopped."""

    def __init__(self, thoonk: Thoonk, name: str, size: int = 0) -> None:
        self.count = 0
        self._feed = thoonk.feed(name)
        self._size = size
        self._over = threading.Event()

    def publish(self) -> None:
        self._feed.publish(f"{self.count:010d}".ljust(self._size, "x"), id=f"{self.count}")
        self.count += 1

    def run(self) -> None:
        while not self._over.is_set():
            self.publish()
            self._over.wait(0.002)

    @contextlib.contextmanager
    def running(self) -> Iterator[Publisher]:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self.run)
            try:
                yield self
            finally:
                self._over.set()
                running.result(60)


@attrs.define
class Work:
    """What came of jobs that workers did."""

    put: list[str] = attrs.field(factory=list)
    done: list[int] = attrs.field(factory=list)
    errors: list[BaseException] = attrs.field(factory=list)


@contextlib.contextmanager
def work(cluster: Cluster, name: str) -> Iterator[Work]:
    """Puts jobs, and lets a worker do them, while a block runs. Behind it each was done once."""
    seen = Work()
    ended = threading.Event()
    worker = Worker(cluster.url, concurrency=3)
    worker.handle(name, lambda number: (seen.done.append(number), 2 * number)[1])

    def produce(thoonk: Thoonk) -> None:
        job = thoonk.job(name)
        while not ended.is_set():
            seen.put.append(job.put(len(seen.put)))
            ended.wait(0.002)

    def watched(function: Callable[..., Any], *arguments: Any) -> None:
        try:
            function(*arguments)
        except ThoonkError as error:
            seen.errors.append(error)

    with Thoonk(backend=cluster.url) as thoonk, ThreadPoolExecutor(2) as pool:
        job = thoonk.job(name, {"serializer": "json"})
        producing, working = pool.submit(watched, produce, thoonk), pool.submit(watched, worker.run)
        try:
            becomes_true(lambda: len(seen.done) > 5 or seen.errors)
            yield seen
        finally:
            ended.set()
            producing.result(60)
            try:
                becomes_true(lambda: job.get_counts().finished == len(seen.put) or seen.errors)
            finally:
                worker.stop()
                working.result(60)
        assert seen.errors == []
        assert sorted(seen.done) == list(range(len(seen.put)))
        expected = JobCounts(waiting=0, claimed=0, stalled=0, finished=len(seen.put))
        assert job.get_counts() == expected
        for number, id in enumerate(seen.put):
            assert job.get_result(id, timeout=5).result == 2 * number
