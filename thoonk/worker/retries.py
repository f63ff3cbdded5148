"""The attempts that a burst has scheduled, and waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection


class Retries:
    """Jobs that failed here and are to be tried again later, until their time has come.

    Only of a burst: a worker without an end need not remember them, because the server does.
    """

    def __init__(self, until: float = 0.0) -> None:
        """``until``: when those that a process before this one has scheduled are due.

        By the monotonic clock, as all times here.
        """
        self._lock = threading.Lock()
        self._due: dict[tuple[str, str], float] = {("", ""): until} if until else {}
        self._until = until
        self._became_due = 0

    @property
    def until(self) -> float:
        """When the last one so far is due."""
        return self._until

    def add(self, feed: str, id: str, delay: float) -> None:
        """A job has been scheduled, for this many seconds from now."""
        with self._lock:
            due = self._due[feed, id] = time.monotonic() + delay
            self._until = max(self._until, due)

    def drop(self, feed: str, ids: Collection[str]) -> None:
        """These are not waited for any more: they are under way, or ended."""
        if not self._due:
            return
        with self._lock:
            for id in ids:
                self._due.pop((feed, id), None)

    def of(self, feed: str) -> list[str]:
        """The ids of those of a feed."""
        with self._lock:
            return [id for name, id in self._due if name == feed]

    def look(self) -> tuple[bool, int]:
        """Whether one is still to come, and how many have become due so far.

        A worker that has found nothing to do since the last one became due has nothing to do.
        """
        now = time.monotonic()
        with self._lock:
            for key in [key for key, due in self._due.items() if due <= now]:
                del self._due[key]
                self._became_due += 1
            return bool(self._due), self._became_due
