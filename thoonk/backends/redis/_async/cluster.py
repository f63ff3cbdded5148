"""The backend on a cluster: each call goes to the node that has the feed."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from redis.exceptions import RedisError, TryAgainError

from thoonk.backends.redis import errors
from thoonk.backends.redis._async.blocking import AsyncBlockingTakes
from thoonk.backends.redis._async.calls import FIRST_PAUSE, AsyncCalls
from thoonk.backends.redis._async.cluster_notices import AsyncClusterNotices
from thoonk.backends.redis._async.cluster_subscription import AsyncClusterSubscription
from thoonk.backends.redis._async.connection import (
    Client,
    close_pool,
    dedicated_connection,
    open_pool,
)
from thoonk.backends.redis._async.nodes import MOST_REDIRECTIONS, AsyncNode, AsyncNodes
from thoonk.backends.redis._async.server import AsyncServer
from thoonk.backends.redis.address import Address
from thoonk.backends.redis.commands import Command
from thoonk.backends.redis.handed_over import address_of
from thoonk.backends.redis.replication import Replication
from thoonk.backends.redis.sessions import Session
from thoonk.backends.redis.settings import check_db, with_defaults
from thoonk.backends.redis.slots import Place, check_tagged, slot_of
from thoonk.backends.redis.wire import keys_of
from thoonk.concurrency._async import wait_event
from thoonk.exceptions import BackendUnavailable, InvalidValue, OutcomeUnknown
from thoonk.operations import Batch, FeedOperation, Operation, TakeOperation

R = TypeVar("R")

CONNECT_TIMEOUT = 2.0
"""Seconds to connect to a node. Another can answer for one that is down."""


class AsyncClusterBackend(AsyncCalls):
    """Feeds on a cluster of Redis or Valkey servers."""

    _longest_pause = 0.3  # the other nodes are there, and one of them takes over

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Client | None = None,
        retry_for: float = 30.0,
        wait_replicas: int = 0,
        wait_timeout: float = 1.0,
        **options: Any,
    ) -> None:
        """Connections are opened when they are needed.

        Args:
            url: ``redis+cluster://``, ``rediss+cluster://`` (TLS), also with ``valkey``.
            client: a redis-py client of the cluster. Its nodes and its settings of connections
                are used; its connections are not.
            retry_for: seconds for which a call is repeated whose connection was lost, or whose
                feed is on its way to another node. It still takes effect once.
            wait_replicas: how many replicas must have a change before its call returns.
            wait_timeout: seconds for them to get it. Then the call raises `NotReplicated`.
            options: as of `AsyncRedisBackend`. Each node has its own pool.

        Raises:
            InvalidValue: the URL or an option makes no sense.
        """
        address = Address.parse(url) if client is None else address_of(client)
        if places := {"host", "path", "port", "unix_socket_path"}.intersection(options):
            raise InvalidValue(
                f"{', '.join(sorted(places))} cannot be used on a cluster, whose nodes are in its "
                "URL (redis+cluster://HOST:PORT,HOST:PORT)"
            )
        settings = {"socket_connect_timeout": CONNECT_TIMEOUT, **options, **address.options}
        retry_for = settings.pop("retry_for", retry_for)
        wait_replicas = settings.pop("wait_replicas", wait_replicas)
        wait_timeout = settings.pop("wait_timeout", wait_timeout)
        self._replication = Replication.check(wait_replicas, wait_timeout)
        self._settings = with_defaults(settings)
        super().__init__(check_db(settings.get("db")), retry_for)
        self._nodes = AsyncNodes(address.nodes, self._open_node)
        try:
            # Creates an object and does not connect: a misspelled option is found here.
            dedicated_connection(self._open_node(address.nodes[0]).server.pool)
        except (TypeError, ValueError, RedisError) as error:
            raise InvalidValue(f"redis-py does not accept an option: {error}") from error
        self._notices = AsyncClusterNotices(self._nodes, self._db, self.execute, self._retry_for)
        self._pid = os.getpid()

    def _open_node(self, place: Place) -> AsyncNode:
        host, port = place
        pool, longest = open_pool(Address(), {**self._settings, "host": host, "port": port})
        server = AsyncServer(pool, longest, keep=True, replication=self._replication)
        blocking = AsyncBlockingTakes(
            server, self._instance, self.execute, self._release, self._check_open
        )
        return AsyncNode(place, server, blocking)

    def __repr__(self) -> str:
        nodes = ",".join(f"{host}:{port}" for host, port in self._nodes.seeds)
        return f"<{type(self).__name__} {nodes} db {self._db}>"

    async def execute(self, operation: Operation[R]) -> R:
        """Do one operation: one command, one effect.

        It is sent to the node that has the feed, and again when that has changed, or when the
        connection is lost, for as long as ``retry_for`` says. A node that a feed has come to knows
        the calls that the other has answered.

        Raises:
            InvalidValue: the feed's name has no part in braces.
        """
        if isinstance(operation, FeedOperation):
            check_tagged(operation.feed)
        return await super().execute(operation)

    async def _attempt(
        self, session: Session, operation: Operation[Any], command: Command[Any], number: int
    ) -> Any:
        slot = slot_of(command.key)
        node = await self._nodes.owner(slot)
        self._reached = True
        asking = False
        for _ in range(MOST_REDIRECTIONS):
            try:
                return await node.server.attempt(
                    session, operation, command, number, repeats=self._repeats, asking=asking
                )
            except errors.Elsewhere as error:
                elsewhere = error
                node, asking = self._follow(error, node)
            except (BackendUnavailable, OutcomeUnknown) as error:
                # A slot that is on its way can only be waited for.
                if not isinstance(error.__cause__, TryAgainError):
                    self._nodes.doubt(node)
                raise
        self._nodes.doubt(node)
        raise BackendUnavailable(
            f"the nodes of the cluster do not agree on who has slot {slot}, nothing was done"
        ) from elsewhere

    def _follow(self, elsewhere: errors.Elsewhere, node: AsyncNode) -> tuple[AsyncNode, bool]:
        """The node to go to from another, and whether to say ASKING there."""
        target = self._nodes.at(elsewhere.place, node)
        if not elsewhere.asking:
            self._nodes.moved(elsewhere.slot, target)
        return target, elsewhere.asking

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Wait at the node that has the feed, then take.

        When the feed goes to another node the wait ends, and the next is there.
        """
        self._check_open()
        check_tagged(operation.feed)
        try:
            node = await self._nodes.owner(slot_of(keys_of(operation.feed).ids))
        except BackendUnavailable:
            return await self.execute(operation)
        try:
            return await node.blocking.wait(operation, timeout)
        except errors.Elsewhere as error:
            self._follow(error, node)
        except errors.NotBegun:
            self._nodes.doubt(node)
            # Where nothing but waiting fails, asking again at once would be a busy loop.
            await wait_event(self._closing, min(FIRST_PAUSE * 5, timeout))
        return await self.execute(operation)

    async def interrupt(self, operation: TakeOperation) -> None:
        """End the wait for an operation."""
        for node in self._nodes:
            await node.blocking.interrupt(operation)

    async def listen(self, feed: str | None = None) -> AsyncClusterSubscription:
        """Subscribe at the node that has the feed, or at each master.

        Between feeds of different nodes, notices have no order.

        Raises:
            InvalidValue: the feed's name has no part in braces.
        """
        self._check_open()
        if feed is not None:
            check_tagged(feed)
        return await self._opened(AsyncClusterSubscription(self._notices, feed))

    async def close(self) -> None:
        """Close what was opened here; wake blocked callers."""
        if self._closing.is_set():
            return
        if self._pid == os.getpid():
            self._home.check()
        self._closing.set()
        await self._notices.close()
        for node in self._nodes:
            await node.blocking.close()
            node.server.close()
            await close_pool(node.server.pool)
