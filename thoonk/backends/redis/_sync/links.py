"""Links: what calls go over to one server. Each keeps a connection.

Written by hand, as is its twin in ``_async``: calls of an event loop share a connection, and
those of threads do not.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from typing import Any, ClassVar

import attrs
from redis.exceptions import ResponseError

from thoonk.backends.redis._sync.connection import (
    Connection,
    Pool,
    connect,
    disconnect,
    drain,
    exchange,
    give_connection,
    is_usable,
    take_connection,
)
from thoonk.backends.redis.errors import CONNECTION_ERRORS
from thoonk.concurrency._sync import shielded

SURE_FOR = 0.1
"""Seconds for which a connection that was in use is taken to be alive."""

IDLE_FOR = 60.0
"""Seconds after which a link that no call has used is dropped, and its connection closed."""


@attrs.define(eq=False)
class Link:
    """What one call at a time goes over.

    Between calls it keeps the connection: the way through the driver's pool costs as much as a
    short script.

    Attributes:
        links: those of its server.
        connection: None: it has none yet, or another caller needed it.
        unread: whether a reply is outstanding. Then no other call can use the connection.
        used: when its last call ended, by the monotonic clock.
    """

    links: Links
    connection: Connection | None = None
    unread: bool = False
    used: float = 0.0
    is_worth_giving: ClassVar[bool] = True


class Links:
    """The links to one server: as many as were in use at once of late."""

    def __init__(self, pool: Pool, *, keep: bool) -> None:
        """``keep``: they keep connections of this pool, which is ours alone."""
        self._pool = pool
        self._keep = keep
        self._pid = os.getpid()
        self._free: deque[Link] = deque()
        self._wanting: deque[None] = deque()
        # As many as links have of the pool's connections: a deque counts without a lock.
        self._taken: deque[None] = deque()
        self._closed = False

    def take(self) -> Link:
        """A link that no other call uses."""
        if self._pid != os.getpid():
            # After a fork the parent goes on with the links it has.
            self._pid = os.getpid()
            self._free = deque()
            self._wanting = deque()
            self._taken = deque()
        try:
            return self._free.pop()
        except IndexError:
            return Link(self)

    def connect(self, link: Link, size: float) -> None:  # noqa: ARG002 - the twin uses it
        """Open the link's connection, or one from the pool. Raises what the driver raises.

        Args:
            size: bytes of the command, which make no difference here.
        """
        connection = link.connection
        if connection is None:
            self._wanting.append(None)
            try:
                # One may have become free since `take` looked.
                connection = self._spare() or self._take_connection()
            finally:
                self._wanting.pop()
            link.connection = connection
        elif time.monotonic() - link.used > SURE_FOR and not is_usable(connection):
            disconnect(connection)
        # Here, and not as a part of sending: when it fails nothing was sent.
        connect(connection)

    def exchange(self, link: Link, data: bytes, timeout: float, ahead: bytes = b"") -> Any:
        """Send a command, packed, and wait for its reply.

        Args:
            timeout: seconds for both.
            ahead: another command, packed, that is to come right before it. Its reply is dropped.
        """
        link.unread = True
        if ahead:
            with contextlib.suppress(ResponseError):
                exchange(link.connection, timeout, ahead)
        try:
            reply = exchange(link.connection, timeout, data)
        except ResponseError:
            link.unread = False
            raise
        link.unread = False
        return reply

    def wait(self, link: Link, data: bytes, timeout: float) -> Any:
        """Send a WAIT, packed, behind what the link has sent.

        Args:
            timeout: seconds.
        """
        return self.exchange(link, data, timeout)

    def hang_up(self, link: Link) -> None:
        """Close its connection."""
        disconnect(link.connection)
        link.unread = False

    def settle(self, link: Link, timeout: float) -> None:
        """Wait until the server has done what an interrupted caller sent.

        Args:
            timeout: seconds, at most.
        """
        try:
            drain(link.connection, timeout)
        except CONNECTION_ERRORS:
            disconnect(link.connection)
        link.unread = False

    def give(self, link: Link) -> None:
        """The call is over."""
        connection = link.connection
        # What was opened after all were closed must not stay open.
        if connection is not None and (link.unread or self._closed):
            shielded(disconnect, connection)
            link.unread = False
        if connection is not None and not self._keep:
            link.connection = None
            self._give_connection(connection)
        link.used = time.monotonic()
        self._free.append(link)
        # Callers that wait for the pool get connections that are not in use. While it has some
        # left they do not wait, and what is given back to it stays open.
        while (
            self._wanting
            and len(self._taken) >= self._pool.max_connections
            and (connection := self._spare()) is not None
        ):
            self._give_connection(connection)
        self._drop_idle(link.used)

    def close(self) -> None:
        """Close the connections of calls that end from now on. Their pool closes the others."""
        self._closed = True

    def _drop_idle(self, now: float) -> None:
        """Drop the link that has been idle for longest, if that is longer than `IDLE_FOR`."""
        try:
            if now - self._free[0].used <= IDLE_FOR:
                return
            link = self._free.popleft()
        except IndexError:  # other threads use all of them
            return
        if link.connection is not None:
            disconnect(link.connection)
            self._give_connection(link.connection)

    def _take_connection(self) -> Connection:
        connection = take_connection(self._pool)
        self._taken.append(None)
        return connection

    def _give_connection(self, connection: Connection) -> None:
        with contextlib.suppress(IndexError):  # it was forked in between
            self._taken.pop()
        shielded(give_connection, self._pool, connection)

    def _spare(self) -> Connection | None:
        """A connection that a free link keeps, taken from it."""
        try:
            link = self._free.pop()
        except IndexError:
            return None
        connection, link.connection = link.connection, None
        self._free.appendleft(link)
        return connection
