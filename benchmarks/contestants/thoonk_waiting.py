"""Those who wait for Thoonk: subscribers and blocked takers."""

from __future__ import annotations

import threading
import time
from typing import Any

from benchmarks.contestants.timing import ITEM, PACE, age, stamped, timed
from thoonk import Thoonk


class Notices:
    """A feed and its subscriptions."""

    def __init__(self, url: str) -> None:
        self._feed = Thoonk(backend=url).feed("feed")
        self._subscriptions: list[Any] = []

    def send_stamped(self, count: int) -> None:
        """Items that say when they were published, one by one."""
        for _ in range(count):
            self._feed.publish(stamped())
            time.sleep(PACE)

    def send_many(self, count: int) -> Any:
        """Items as fast as it goes."""
        with timed(count) as measured:
            for _ in range(count):
                self._feed.publish(ITEM)
        return measured.result

    def subscribe(self, count: int = 1) -> None:
        """From now on, notices arrive."""
        for _ in range(count):
            subscription = self._feed.subscribe()
            subscription.__enter__()
            self._subscriptions.append(subscription)

    def latencies(self, count: int) -> list[float]:
        """Microseconds from before each was published until its notice was here."""
        subscription = self._subscriptions[0]
        return [age(subscription.get().item) for _ in range(count)]

    def drain(self, count: int) -> Any:
        """Read what has been published before."""
        subscription = self._subscriptions[0]
        with timed(count) as measured:
            for _ in range(count):
                subscription.get()
        return measured.result


class QueueTakers:
    """A queue, and blocked takers."""

    def __init__(self, url: str) -> None:
        self._feed = self._open(Thoonk(backend=url))
        self._ages: list[float] = []

    def _open(self, thoonk: Thoonk) -> Any:
        return thoonk.queue("queue")

    def send_stamped(self, count: int) -> Any:
        """Items that say when they were put, one by one."""
        with timed(count) as measured:
            for _ in range(count):
                self._feed.put(stamped())
                time.sleep(PACE)
        return measured.result

    def block(self, count: int) -> None:
        """Threads that take for ever."""
        for _ in range(count):
            threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            self._ages.append(age(self._feed.get()))

    def ages(self) -> list[float]:
        """Microseconds from before each was put until it was here; forgotten then."""
        # Takers add to this very list at any time.
        ages = [*self._ages]
        del self._ages[: len(ages)]
        return ages


class JobTakers(QueueTakers):
    """A job feed, and blocked workers."""

    def _open(self, thoonk: Thoonk) -> Any:
        return thoonk.job("job", {"claim_timeout": 60})

    def _take(self) -> None:
        while True:
            with self._feed.get() as claim:
                self._ages.append(age(claim.item))
