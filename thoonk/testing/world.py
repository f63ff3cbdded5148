"""The world that a test's clients live in."""

from __future__ import annotations

import math
import time
import uuid
from abc import ABC, abstractmethod
from typing import Any

from redis import Redis

from thoonk import AsyncClaim, AsyncJob, AsyncThoonk, Claim, Job, Thoonk
from thoonk.backends import AsyncBackend, Backend, open_async_backend, open_backend
from thoonk.backends.embedded import EmbeddedBackend
from thoonk.backends.embedded.memory import MemoryStore
from thoonk.backends.embedded.opening import NAMED
from thoonk.backends.embedded.step import microseconds
from thoonk.backends.embedded.store import State
from thoonk.backends.redis import open_client
from thoonk.backends.waiters import ALL
from thoonk.config import JOB, KIND_OF_TYPE, QUEUE
from thoonk.exceptions import InvalidValue, NotClaimed
from thoonk.names import check_timeout, new_token
from thoonk.testing._async.faulty import AsyncFaulty
from thoonk.testing._async.owner import AsyncOwner
from thoonk.testing._async.prefixed import AsyncPrefixed
from thoonk.testing._sync.faulty import Faulty
from thoonk.testing._sync.owner import Owner
from thoonk.testing._sync.prefixed import Prefixed
from thoonk.testing.clock import rewind, rewind_workers
from thoonk.testing.faults import Faults
from thoonk.testing.naming import Naming, without_password
from thoonk.testing.servers import ANY, FINDERS, Servers

MEMORY, EMBEDDED = "memory", "embedded"


class World(ABC):
    """A place for the feeds of a test, empty when the test starts.

    Attributes:
        name: the requested world: ``memory``, ``embedded``, the name of a server, or a URL.
        url: a URL with which a program under test can open its own client.
        prefix: the prefix of the names of feeds on the server, which clients of the fixtures
            do not see. Empty if the server is private.
    """

    def __init__(
        self, name: str, url: str, *, prefix: str = "", faults: Faults | None = None
    ) -> None:
        """Made by the fixture ``thoonk_world``."""
        self.name = name
        self.url = url
        self.prefix = prefix
        self._faults = faults
        self._clients: list[Thoonk] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def client(self, *, listen: bool = False, **options: Any) -> Thoonk:
        """Create another client, which is closed at the end of the test.

        Args:
            listen: as for `Thoonk`.
            options: options of the backend, as for `Thoonk`. Memory has none.
        """
        backend: Backend = open_backend(self.url, **options)[0]
        if self.prefix:
            backend = Prefixed(backend, self.prefix)
        if self._faults is not None:
            backend = Faulty(backend, self._faults)
        client = Owner(backend=backend, listen=listen)
        self._clients.append(client)
        return client

    def async_client(self, *, listen: bool = False, **options: Any) -> AsyncThoonk:
        """Create another asyncio client. It is not open yet: use it in ``async with``."""
        backend: AsyncBackend = open_async_backend(self.url, **options)[0]
        if self.prefix:
            backend = AsyncPrefixed(backend, self.prefix)
        if self._faults is not None:
            backend = AsyncFaulty(backend, self._faults)
        return AsyncOwner(backend=backend, listen=listen)

    @abstractmethod
    def advance(self, seconds: float) -> None:
        """Let time pass for all stored data, without waiting.

        Claims and results become older and may expire, scheduled jobs become due, taken ids
        become free, and workers that do not report are no longer listed. A blocked ``get`` checks
        again. Timeouts of calls (``get(timeout=5)``) and heartbeats use the real clock.

        Args:
            seconds: how many seconds pass.
        """

    @abstractmethod
    def expire(self, job: Job[Any] | AsyncJob[Any], claim: Claim[Any] | AsyncClaim[Any]) -> None:
        """Make a claim expire, as if its worker had been frozen for ``claim_timeout``.

        Args:
            job: the job feed.
            claim: a valid claim.

        Raises:
            InvalidValue: the feed has no ``claim_timeout``, so claims never expire.
            NotClaimed: the claim is not valid.
        """

    def close(self) -> None:
        """Close the clients, and delete what is left of the test."""
        for client in self._clients:
            client.close()


class ServerWorld(World):
    """A server, or one of fakeredis."""

    def __init__(
        self, name: str, url: str, server: Redis, *, prefix: str = "", faults: Faults | None = None
    ) -> None:
        """``server`` is a plain client of it."""
        super().__init__(name, url, prefix=prefix, faults=faults)
        self._server = server

    def advance(self, seconds: float) -> None:
        """Make older what is stored."""
        seconds = check_timeout(seconds) or 0.0
        for name in self._names():
            rewind(self._server, self.prefix + name, seconds)
            self._wake(self.prefix + name)
        rewind_workers(self._server, seconds, self.prefix)

    def expire(self, job: Job[Any] | AsyncJob[Any], claim: Claim[Any] | AsyncClaim[Any]) -> None:
        """Make the claim older."""
        name = self.prefix + job.name
        configured: Any = self._server.hget(f"feed.config:{name}", "claim_timeout")
        seconds = float(configured or 0)
        if not seconds:
            raise InvalidValue(f"{job.name!r} has no claim_timeout: its claims never expire")
        if not rewind(self._server, name, math.ceil(seconds * 1000 + 1) / 1000, claim.id):
            raise NotClaimed(job.name, claim.id)
        self._wake(name)

    def _names(self) -> set[str]:
        found: Any = self._server.smembers("feeds")
        own = (Naming(self.prefix).inner(name.decode()) for name in found)
        return {name for name in own if name is not None}

    def _wake(self, name: str) -> None:
        """Make blocked consumers of the feed check again."""
        if self.name == MEMORY:
            from thoonk.backends.memory import World as Memory  # noqa: PLC0415

            Memory.named(self.url.partition("://")[2]).call(name, 1_000_000)
            return
        stored: Any = self._server.hget(f"feed.config:{name}", "type") or b""
        if KIND_OF_TYPE.get(stored.decode()) not in (QUEUE, JOB):
            return
        ids = f"feed.ids:{name}"
        # An id without an item is passed over by every consumer, who looks at claims first.
        nothing = f"nothing-{new_token()}"
        self._server.rpush(ids, nothing)
        self._server.lrem(ids, 0, nothing)

    def close(self) -> None:
        """Close the clients, and delete what is left of the test."""
        super().close()
        if self.name == MEMORY:
            from thoonk.backends.memory import World as Memory  # noqa: PLC0415

            Memory.forget(self.url.partition("://")[2])
        else:
            # Not one of ours: no faults, and the names as they are.
            with Thoonk(backend=self.url) as cleaner:
                for name in self._names():
                    cleaner.delete_feed(self.prefix + name)
        self._server.close()


class EmbeddedWorld(World):
    """The embedded engine, in memory, whose clock is the test's."""

    def __init__(self, url: str, faults: Faults | None) -> None:
        """``url`` has a name that no other world has."""
        super().__init__(EMBEDDED, url, faults=faults)
        self._keeper = EmbeddedBackend(NAMED.setdefault(url.partition("://")[2], MemoryStore()))
        self._core = self._keeper.core
        self._ahead = 0.0
        self._core.clock = lambda: time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Turn the clock."""
        self._ahead += check_timeout(seconds) or 0.0
        for name in self._core.waiters.feeds():
            self._wake(name)

    def expire(self, job: Job[Any] | AsyncJob[Any], claim: Claim[Any] | AsyncClaim[Any]) -> None:
        """Make the claim older."""
        store = self._core.store
        with store.lock, store.transaction(writes=True):
            feed = store.find(job.name)
            is_set = feed is not None and "claim_timeout" in feed.config
            seconds = feed.settings.claim_timeout if feed and is_set else None
            if feed is None or not seconds:
                raise InvalidValue(f"{job.name!r} has no claim_timeout: its claims never expire")
            row = store.get(feed, (claim.id,)).get(claim.id)
            if row is None or row.state is not State.CLAIMED:
                raise NotClaimed(job.name, claim.id)
            row.place -= microseconds(seconds) + 1
            store.save(feed, (row,))
        self._wake(job.name)

    def _wake(self, name: str) -> None:
        self._core.waiters.call(name, ALL)

    def close(self) -> None:
        """Close the clients, and forget what is left of the test."""
        super().close()
        self._keeper.close()
        NAMED.pop(self.url.partition("://")[2], None)


def open_world(name: str, servers: Servers, faults: Faults | None) -> World:
    """Open an empty world by its name.

    Args:
        name: ``memory``, ``embedded``, the name of a server to start, or the URL of a running
            one.
        servers: the servers that were started.
        faults: faults for the test to switch on. None: none.

    Raises:
        InvalidValue: there is no such world.
        LookupError: the server is not installed on this machine.
        BackendNotInstalled: packages of the memory backend are missing.
    """
    fresh = uuid.uuid4().hex
    if name == MEMORY:
        open_backend(MEMORY)[0].close()  # tells what is missing, if something is
        from fakeredis import FakeRedis  # noqa: PLC0415

        from thoonk.backends.memory import World as Memory  # noqa: PLC0415

        plain = FakeRedis(server=Memory.named(fresh).server, protocol=2)
        return ServerWorld(name, f"memory://{fresh}", plain, faults=faults)
    if name == EMBEDDED:
        return EmbeddedWorld(f"embedded://{fresh}", faults)
    if name in {*FINDERS, ANY}:
        server = servers.get(name)
        plain = server.client()
        # The server is ours, and earlier tests no longer use it.
        plain.flushall()
        return ServerWorld(name, server.url, plain, faults=faults)
    if "://" in name and name.partition(":")[0] not in ("sqlite", EMBEDDED):
        plain = open_client(name)
        shown, prefix = without_password(name), f"test-{fresh}:"
        return ServerWorld(shown, name, plain, prefix=prefix, faults=faults)
    known = ", ".join((MEMORY, EMBEDDED, ANY, *FINDERS))
    raise InvalidValue(f"a world for tests is the URL of a server or one of {known}, not {name!r}")
