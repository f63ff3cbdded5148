"""Single operations on a feed that may be large, with items that may be."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from benchmarks.contestants.timing import ITEM, timed
from thoonk import Thoonk

CHUNK = 10_000


class Growth:
    """One of each type; all operations leave the size as it is, or nearly."""

    def __init__(self, url: str) -> None:
        thoonk = Thoonk(backend=url)
        self._feed = thoonk.feed("feed")
        self._sorted = thoonk.sorted_feed("sorted")
        self._queue = thoonk.queue("queue")
        self._job = thoonk.job("job", {"claim_timeout": 600})
        self._sizes = dict.fromkeys(("feed", "sorted", "queue", "job"), 0)

    def grow(self, kind: str, size: int) -> None:
        """Add items until there are ``size``."""
        add = {
            "feed": self._feed.publish_many,
            "sorted": self._sorted.publish_many,
            "queue": self._queue.put_many,
            "job": self._job.put_many,
        }[kind]
        for start in range(self._sizes[kind], size, CHUNK):
            add([ITEM] * min(CHUNK, size - start))
        self._sizes[kind] = size

    def operate(self, operation: str, count: int, size: int = len(ITEM)) -> Any:
        """An operation over and over, on items of ``size`` bytes where it makes any."""
        act = getattr(self, f"_{operation}")("x" * size)
        act()
        with timed(count) as measured:
            for _ in range(count):
                act()
        return measured.result

    # Each of these prepares, and returns what is to be measured.

    def _publish(self, item: str) -> Callable[[], object]:
        return lambda: self._feed.publish(item)

    def _edit(self, item: str) -> Callable[[], object]:
        ids = itertools.cycle([self._feed.publish(item) for _ in range(10)])
        return lambda: self._feed.edit(next(ids), item)

    def _get_item(self, item: str) -> Callable[[], object]:
        id = self._feed.publish(item)
        return lambda: self._feed.get_item(id)

    def _publish_and_retract(self, item: str) -> Callable[[], object]:
        return lambda: self._feed.retract(self._feed.publish(item))

    def _queue_put_and_get(self, item: str) -> Callable[[], object]:
        return lambda: (self._queue.put(item), self._queue.get())

    def _job_put_and_finish(self, item: str) -> Callable[[], object]:
        return lambda: (self._job.put(item), self._job.get().finish())

    def _sorted_append(self, item: str) -> Callable[[], object]:
        return lambda: self._sorted.append(item)

    def _sorted_insert_and_retract(self, item: str) -> Callable[[], object]:
        self._sorted.append(item)
        middle = self._sorted.get_ids()[self._sizes["sorted"] // 2]
        return lambda: self._sorted.retract(self._sorted.publish_after(middle, item))
