"""The least that waiting costs: redis-py's `listen()`, BRPOP, and PING."""

from __future__ import annotations

import threading
import time
from typing import Any

import redis

from benchmarks.contestants.floors import FEED_KEYS, PUBLISH, new_id
from benchmarks.contestants.timing import ITEM, PACE, age, stamped, timed


class Listener:
    """PUBLISH, and `listen()`."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._subscriptions: list[Any] = []

    def send(self, item: str) -> None:
        """A bare PUBLISH."""
        self._client.publish("floor:channel", item)

    def send_stamped(self, count: int) -> None:
        """Items that say when they were sent, one by one."""
        for _ in range(count):
            self.send(stamped())
            time.sleep(PACE)

    def send_many(self, count: int) -> Any:
        """Items as fast as it goes."""
        with timed(count) as measured:
            for _ in range(count):
                self.send(ITEM)
        return measured.result

    def subscribe(self, count: int = 1) -> None:
        """From now on, messages arrive."""
        for _ in range(count):
            subscription = self._client.pubsub()
            subscription.subscribe("floor:channel")
            messages = subscription.listen()
            next(messages)
            self._subscriptions.append(messages)

    def latencies(self, count: int) -> list[float]:
        """Microseconds from before each was sent until it was here."""
        messages = self._subscriptions[0]
        return [age(next(messages)["data"].rpartition(b"\0")[2]) for _ in range(count)]

    def drain(self, count: int) -> Any:
        """Read what has been sent before."""
        messages = self._subscriptions[0]
        with timed(count) as measured:
            for _ in range(count):
                next(messages)
        return measured.result


class ScriptListener(Listener):
    """The script that publishes an item, and `listen()`."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._sha = self._client.script_load(PUBLISH)

    def send(self, item: str) -> None:
        """Three writes and a PUBLISH."""
        self._client.evalsha(self._sha, 4, *FEED_KEYS, new_id(), item, time.time())


class Pops:
    """LPUSH, and BRPOP."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=None, max_connections=1000)
        self._ages: list[float] = []

    def send_stamped(self, count: int) -> Any:
        """Items that say when they were pushed, one by one."""
        with timed(count) as measured:
            for _ in range(count):
                self._client.lpush("floor:list", stamped())
                time.sleep(PACE)
        return measured.result

    def block(self, count: int) -> None:
        """Threads that pop for ever, each on a connection of its own."""
        for _ in range(count):
            threading.Thread(target=self._pop, daemon=True).start()

    def _pop(self) -> None:
        while True:
            popped: Any = self._client.brpop(["floor:list"])
            self._ages.append(age(popped[1]))

    def ages(self) -> list[float]:
        """Microseconds from before each was pushed until it was here; forgotten then."""
        # Takers add to this very list at any time.
        ages = [*self._ages]
        del self._ages[: len(ages)]
        return ages


class Pinger:
    """PING all the time: how long is the server away?"""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._stop = threading.Event()
        self._longest = 0.0

    def start(self) -> None:
        """Begin."""
        self._client.ping()
        self._stop.clear()
        self._longest = 0.0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            start = time.perf_counter()
            self._client.ping()
            self._longest = max(self._longest, time.perf_counter() - start)

    def stop(self) -> float:
        """Milliseconds of the PING that took longest."""
        self._stop.set()
        self._thread.join()
        return self._longest * 1000
