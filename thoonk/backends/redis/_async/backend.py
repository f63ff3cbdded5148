"""The Redis backend: sends the commands of the table and reads their replies."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from redis.exceptions import RedisError

from thoonk.backends.redis._async.blocking import AsyncBlockingTakes
from thoonk.backends.redis._async.calls import AsyncCalls
from thoonk.backends.redis._async.connection import (
    Client,
    Pool,
    close_pool,
    dedicated_connection,
    open_pool,
)
from thoonk.backends.redis._async.pubsub import AsyncPubSub
from thoonk.backends.redis._async.server import AsyncServer
from thoonk.backends.redis._async.subscription import AsyncRedisSubscription
from thoonk.backends.redis.address import Address
from thoonk.backends.redis.commands import Command
from thoonk.backends.redis.replication import Replication
from thoonk.backends.redis.sessions import Session
from thoonk.backends.redis.settings import (
    check_db,
    check_no_decoding,
    with_defaults,
)
from thoonk.exceptions import (
    InvalidValue,
)
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")


class AsyncRedisBackend(AsyncCalls):
    """Feeds on a Redis or Valkey server."""

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Client | None = None,
        retry_for: float = 10.0,
        wait_replicas: int = 0,
        wait_timeout: float = 1.0,
        **options: Any,
    ) -> None:
        """Connections are opened when they are needed.

        Args:
            url: ``redis://``, ``rediss://`` (TLS), ``unix://``, ``redis+sentinel://``; also
                ``valkey://`` and ``valkeys://``. Its query holds options.
            client: a redis-py client whose pool is used, and not closed. Its
                owner decides on connection settings.
            retry_for: seconds for which a call whose connection was lost is repeated; it
                still takes effect once. A server that was never reached is not
                waited for.
            wait_replicas: how many replicas must have a change before its call returns.
            wait_timeout: seconds for them to get it. Then the call raises `NotReplicated`.
            options: settings of redis-py's connections (``host``, ``port``, ``db``,
                ``username``, ``password``, ``ssl`` …) and of its `BlockingConnectionPool`
                (``max_connections``, ``timeout``).

        Raises:
            InvalidValue: the URL or an option makes no sense, or ``decode_responses`` is
                set: it would destroy binary items.
        """
        self._owns_pool = client is None
        self._pool: Pool
        reply_timeout: float | None = None
        if client is None:
            address = Address.parse(url)
            settings = {**options, **address.options}
            retry_for = settings.pop("retry_for", retry_for)
            wait_replicas = settings.pop("wait_replicas", wait_replicas)
            wait_timeout = settings.pop("wait_timeout", wait_timeout)
            self._pool, reply_timeout = open_pool(address, with_defaults(settings))
        else:
            self._pool = client.connection_pool
            reply_timeout = self._pool.connection_kwargs.get("socket_timeout")
        self._replication = Replication.check(wait_replicas, wait_timeout)
        check_no_decoding(self._pool.connection_kwargs)
        try:
            # Creates an object and does not connect: a misspelled option is found here.
            dedicated_connection(self._pool)
        except (TypeError, ValueError, RedisError) as error:
            raise InvalidValue(f"redis-py does not accept an option: {error}") from error
        super().__init__(check_db(self._pool.connection_kwargs.get("db")), retry_for)
        self._server = self._server_of(self._pool, reply_timeout)
        self._to_feeds = AsyncPubSub(self._pool, self._db, self.execute)
        self._to_all = AsyncPubSub(self._pool, self._db, self.execute)
        self._blocking = AsyncBlockingTakes(
            self._server, self._instance, self.execute, self._release, self._check_open
        )
        self._pid = os.getpid()

    def _server_of(self, pool: Pool, longest: float | None) -> AsyncServer:
        return AsyncServer(pool, longest, keep=self._owns_pool, replication=self._replication)

    def __repr__(self) -> str:
        settings = self._pool.connection_kwargs
        host, port = settings.get("host", "localhost"), settings.get("port", 6379)
        service = getattr(self._pool, "service_name", None)
        where = service or settings.get("path") or f"{host}:{port}"
        return f"<{type(self).__name__} {where} db {self._db}>"

    async def _attempt(
        self, session: Session, operation: Operation[Any], command: Command[Any], number: int
    ) -> Any:
        return await self._server.attempt(
            session, operation, command, number, repeats=self._repeats
        )

    # --- waiting -------------------------------------------------------------------------

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Wait until there may be an entry, then take. Consumers of a feed share a connection."""
        self._check_open()
        return await self._blocking.wait(operation, timeout)

    async def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        await self._blocking.interrupt(operation)

    # --- notices and the end -----------------------------------------------------------------

    async def listen(self, feed: str | None = None) -> AsyncRedisSubscription:
        """Subscribe. Those to one feed share a connection, and those to all feeds another."""
        self._check_open()
        pubsub = self._to_all if feed is None else self._to_feeds
        return await self._opened(AsyncRedisSubscription(pubsub, feed))

    async def close(self) -> None:
        """Close what was opened here; wake blocked callers."""
        if self._closing.is_set():
            return
        if self._pid == os.getpid():
            self._home.check()
        self._closing.set()
        await self._to_feeds.close()
        await self._to_all.close()
        await self._blocking.close()
        self._server.close()
        if self._owns_pool:
            await close_pool(self._pool)
