"""No-op jobs that know when the first of them ran, and the last."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from benchmarks.contestants.timing import timed

THREADS = 8
"""Threads or tasks of a worker, where it has them."""


class Countdown:
    """What a worker runs instead of work."""

    def __init__(self, count: int, done: Callable[[], object] = lambda: None) -> None:
        """Call ``done`` in the job that is the last of ``count``; the clock stops before."""
        self._count = count
        self._done = done
        self._numbers = itertools.count(1)  # next() of it is atomic
        self._timed = timed(count)
        self._measured: Any = None

    def tick(self) -> None:
        """One job runs."""
        number = next(self._numbers)
        if number == 1:
            self._measured = self._timed.__enter__()
        if number == self._count:
            self._last()

    def _last(self) -> None:
        self.end()
        self._done()

    def end(self) -> None:
        """Stop the clock."""
        self._timed.__exit__(None, None, None)

    @property
    def result(self) -> Any:
        """What came of it, once all have run."""
        return self._measured.result


class FullCountdown(Countdown):
    """The clock goes on until `end`: for who still has to tell how the last jobs went."""

    def _last(self) -> None:
        self._done()
