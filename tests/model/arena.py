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
from model.behind import Behind, Engine, Wire

from thoonk import AsyncThoonk, Thoonk, waiting
from thoonk.backends.embedded import AsyncEmbeddedBackend, Core, EmbeddedBackend
from thoonk.backends.embedded.store import Store
from thoonk.backends.redis.wire import keys_of


class SyncDriver:
    """Calls the sync clients."""

    client: type[Any] = Thoonk
    embedded: type[Any] = EmbeddedBackend

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
    embedded: type[Any] = AsyncEmbeddedBackend

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
    """A time that stands still but for what is asked of it here: of fakeredis or of an engine.

    Stands in for the module ``time`` where fakeredis reads it.
    """

    def __init__(self) -> None:
        self._ms = time.time_ns() // 1_000_000

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time(self) -> float:
        return self._ms / 1000

    def now(self) -> int:
        return self._ms

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
        self._last = self.now()

    def tick(self) -> int:
        """Wait until the server's clock shows another millisecond.

        Returns how many have gone by since the last tick: on a busy machine that may be
        seconds, and then claims run out before the game says so.
        """
        # Not the next after the last tick: what came after that one had a later time, perhaps.
        started = max(self._last, self.now())
        while (now := self.now()) <= started:
            pass
        passed, self._last = now - self._last, now
        return passed

    def since_tick(self) -> int:
        """Milliseconds since the last tick."""
        return self.now() - self._last

    def now(self) -> int:
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
        driver: calls the clients.
        clients: two clients in one world.
        clock: its time.
        behind: what is stored there.
        catalogue: a subscription to all feeds.
    """

    driver: Driver
    clients: tuple[Any, Any]
    clock: StoppedClock | ServerClock
    behind: Behind
    catalogue: Any


@contextlib.contextmanager
def arena(world: World, driver: Driver) -> Iterator[Arena]:
    """A place to play in for the length of a block: a server, or fakeredis."""
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
        behind = Wire(world.raw, takers_reserve=world.server is not None)
        yield stack.enter_context(_played(driver, [world.url] * 2, clock, behind))


@contextlib.contextmanager
def embedded_arena(open_store: Callable[[], Store], driver: Driver) -> Iterator[Arena]:
    """The same on the embedded engine. Each client opens the store."""
    clock = StoppedClock()
    with contextlib.ExitStack() as stack:
        stack.callback(driver.close)
        cores = [Core(open_store(), clock.time) for _ in range(2)]
        if not cores[0].store.shares_notices:
            # In memory, what they share is the engine.
            cores[1] = cores[0]
        backends = [driver.embedded(core) for core in cores]
        for backend in backends:
            stack.callback(driver.run, backend.close)
        yield stack.enter_context(_played(driver, backends, clock, Engine(cores[0])))


@contextlib.contextmanager
def _played(
    driver: Driver, backends: list[Any], clock: StoppedClock | ServerClock, behind: Behind
) -> Iterator[Arena]:
    with contextlib.ExitStack() as stack:
        # By the clock of the game, not by this machine's, claims run out.
        stack.callback(setattr, waiting, "RECOVER_EVERY", waiting.RECOVER_EVERY)
        waiting.RECOVER_EVERY = 0.0
        first, second = (driver.client(backend=backend) for backend in backends)
        for client in (first, second):
            stack.callback(driver.run, client.close)
        catalogue = driver.run(first.backend.listen)
        stack.callback(driver.run, catalogue.close)
        yield Arena(driver, (first, second), clock, behind, catalogue)
