"""Where the machine plays: a world with two clients in it, sync or async, and its time."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import redis
from conftest import World
from fakeredis._socket import _base
from fakeredis.commands_mixins import server_mixin

from thoonk import AsyncThoonk, Thoonk, waiting
from thoonk.backends.redis.wire import keys_of


class SyncDriver:
    """Calls the sync clients."""

    client: type[Any] = Thoonk

    def run(self, call: Callable[[], Any]) -> Any:
        return call()

    def collected(self, iterable: Any) -> list[Any]:
        return list(iterable)

    def enter(self, block: Any) -> Any:
        return block.__enter__()

    def close(self) -> None:
        """Nothing is left."""


class AsyncDriver:
    """Calls the async clients, on an event loop of its own that runs for each call."""

    client: type[Any] = AsyncThoonk

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, call: Callable[[], Any]) -> Any:
        async def awaited() -> Any:
            answer = call()
            return await answer if inspect.isawaitable(answer) else answer

        return self._loop.run_until_complete(awaited())

    def collected(self, iterable: Any) -> list[Any]:
        async def collect() -> list[Any]:
            return [value async for value in iterable]

        return self.run(collect)

    def enter(self, block: Any) -> Any:
        return self.run(block.__aenter__)

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


Driver = SyncDriver | AsyncDriver


# --- time -------------------------------------------------------------------------------


class StoppedClock:
    """The time of fakeredis: it stands still but for what is asked of it here.

    Stands in for the module ``time`` where fakeredis reads it.
    """

    def __init__(self) -> None:
        self._ms = time.time_ns() // 1_000_000

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time(self) -> float:
        return self._ms / 1000

    def tick(self) -> int:
        """One millisecond."""
        self._ms += 1
        return 1

    def since_tick(self) -> int:
        """It stands still."""
        return 0

    def go_on(self, seconds: float, _: Iterable[str]) -> int:
        self._ms += int(seconds * 1000)
        return 0


class ServerClock:
    """The time of a real server, which nobody can set: what it stored is made older."""

    def __init__(self, raw: redis.Redis) -> None:
        self._raw = raw
        self._last = self._now()

    def tick(self) -> int:
        """Wait until the server's clock shows another millisecond.

        Returns how many have gone by since the last tick: on a busy machine that may be
        seconds, and then claims run out before the game says so.
        """
        # Not the next after the last tick: what came after that one had a later time, perhaps.
        started = max(self._last, self._now())
        while (now := self._now()) <= started:
            pass
        passed, self._last = now - self._last, now
        return passed

    def since_tick(self) -> int:
        """Milliseconds since the last tick."""
        return self._now() - self._last

    def _now(self) -> int:
        seconds, microseconds = self._raw.time()
        return seconds * 1000 + microseconds // 1000

    def go_on(self, seconds: float, feeds: Iterable[str]) -> int:
        """Returns by how many ms the times of schedules, of which ids are made, are set back."""
        # One more each time, so that no time becomes that of an earlier job.
        set_back = int(seconds * 1000) + 1
        for feed in feeds:
            self._make_older(feed, int(seconds * 1000))
            keys = keys_of(feed)
            for name, due in self._raw.zrange(keys.runs, 0, -1, withscores=True):
                self._raw.zadd(keys.runs, {name: int(due) - set_back})
            for name, times in self._raw.hgetall(keys.runtimes).items():
                later = " ".join(str(int(time) - set_back) for time in times.split())
                self._raw.hset(keys.runtimes, name, later)
        return set_back

    def _make_older(self, feed: str, ms: int) -> None:
        raw, keys = self._raw, keys_of(feed)
        holders = raw.hgetall(keys.holders)
        for id, since in raw.zrange(keys.claimed, 0, -1, withscores=True):
            raw.zadd(keys.claimed, {id: int(since) - ms})
            if id in holders:
                token = holders[id].rpartition(b" ")[0]
                raw.hset(keys.holders, id, b"%b %d" % (token, int(since) - ms))
        for key in (keys.scheduled, keys.unique):
            for id, time_to_come in raw.zrange(key, 0, -1, withscores=True):
                raw.zadd(key, {id: time_to_come - ms})
        for id, until in raw.zrange(keys.results, 0, -1, withscores=True):
            result = keys.result(id.decode())
            if until != float("inf") and raw.exists(result):
                raw.zadd(keys.results, {id: until - ms})
                raw.pexpire(result, raw.pttl(result) - ms)


# --- the place -----------------------------------------------------------------------------


@attrs.frozen
class Arena:
    """What one run of the machine uses, example after example.

    Attributes:
        world: the world of the test.
        driver: calls the clients.
        clients: two clients in that world.
        clock: its time.
        catalogue: a subscription to all feeds.
    """

    world: World
    driver: Driver
    clients: tuple[Any, Any]
    clock: StoppedClock | ServerClock
    catalogue: Any

    @property
    def raw(self) -> redis.Redis:
        return self.world.raw

    @property
    def takers_reserve(self) -> bool:
        """Whether a blocked taker reserves on the server what it is about to take."""
        return self.world.server is not None


@contextlib.contextmanager
def arena(world: World, driver: Driver) -> Iterator[Arena]:
    """A place to play in for the length of a block."""
    clock: StoppedClock | ServerClock
    with contextlib.ExitStack() as stack:
        stack.callback(driver.close)
        if world.server is None:
            clock = StoppedClock()
            for module in (_base, server_mixin):
                stack.callback(setattr, module, "time", module.time)
                module.time = clock
        else:
            clock = ServerClock(world.raw)
        # By the clock of the game, not by this machine's, claims run out.
        stack.callback(setattr, waiting, "RECOVER_EVERY", waiting.RECOVER_EVERY)
        waiting.RECOVER_EVERY = 0.0
        first, second = (driver.client(backend=world.url) for _ in range(2))
        for client in (first, second):
            stack.callback(driver.run, client.close)
        catalogue = driver.run(first.backend.listen)
        stack.callback(driver.run, catalogue.close)
        yield Arena(world, driver, (first, second), clock, catalogue)
