"""HotQueue: a list, pickled, without acknowledgement. It has no worker."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from hotqueue import HotQueue

from benchmarks.contestants.timing import ITEM, timed

CHUNK = 1000


class Queue:
    """As its README has it."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._queue = HotQueue("benchmark", host=address.hostname, port=address.port, db=0)

    def put(self, count: int) -> Any:
        """One call per item."""
        self._queue.put(ITEM)
        self._queue.get()
        with timed(count) as measured:
            for _ in range(count):
                self._queue.put(ITEM)
        return measured.result

    def claim(self, count: int) -> Any:
        """One call per item: it is popped."""
        with timed(count) as measured:
            for _ in range(count):
                assert self._queue.get() is not None
        return measured.result

    def put_many(self, count: int) -> Any:
        """A thousand items per call."""
        items = [ITEM] * CHUNK
        with timed(count) as measured:
            for _ in range(0, count, CHUNK):
                self._queue.put(*items)
        return measured.result
