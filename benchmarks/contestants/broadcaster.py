"""broadcaster, on asyncio: publish and subscribe."""

from __future__ import annotations

import asyncio
from typing import Any

from broadcaster import Broadcast

from benchmarks.contestants.timing import ITEM, PACE, age, stamped, timed


class Notices:
    """A channel."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._broadcast = Broadcast(url)
        self._runner.run(self._broadcast.connect())
        self._events: Any = None

    def send_stamped(self, count: int) -> None:
        """Items that say when they were sent, one by one."""
        self._runner.run(self._send_stamped(count))

    async def _send_stamped(self, count: int) -> None:
        for _ in range(count):
            await self._broadcast.publish("channel", stamped())
            await asyncio.sleep(PACE)

    def send_many(self, count: int) -> None:
        """Items as fast as it goes."""
        self._runner.run(self._send_many(count))

    async def _send_many(self, count: int) -> None:
        for _ in range(count):
            await self._broadcast.publish("channel", ITEM)

    def subscribe(self) -> None:
        """From now on, events arrive."""
        self._runner.run(self._subscribe())

    async def _subscribe(self) -> None:
        # With redis-py 8 its reader looks before the first subscription is there, and goes
        # to sleep; the second wakes it.
        self._subscriptions = [self._broadcast.subscribe(name) for name in ("first", "channel")]
        for subscription in self._subscriptions:
            self._events = await subscription.__aenter__()

    def latencies(self, count: int) -> list[float]:
        """Microseconds from before each was sent until it was here."""
        return self._runner.run(self._latencies(count))

    async def _latencies(self, count: int) -> list[float]:
        return [age((await self._events.get()).message) for _ in range(count)]

    def drain(self, count: int) -> Any:
        """Read what has been sent before."""
        return self._runner.run(self._drain(count))

    async def _drain(self, count: int) -> Any:
        with timed(count) as measured:
            for _ in range(count):
                await self._events.get()
        return measured.result
