"""Sessions: each numbers its calls, so that one can be repeated, and keeps a connection.

Written by hand, as is its twin in ``_async``: calls of an event loop share a connection, and
those of threads do not.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Any

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
from thoonk.names import new_token

SURE_FOR = 0.1
"""Seconds for which a connection that was in use is taken to be alive."""

IDLE_FOR = 60.0
"""Seconds after which a session that no call has used is dropped, and its connection closed."""


@attrs.define(eq=False)
class Session:
    """What tells a repeated call from a new one, and the connection that its calls use.

    One call at a time uses a session. The server keeps the answer to its last call.
    Between calls the session keeps the connection: the way through the driver's pool
    costs as much as a short script.

    Attributes:
        id: tells the server which session it is.
        sequence: the number of its last call; a repetition keeps it.
        connection: None: it has none yet, or another caller needed it.
        unread: whether a reply is outstanding. Then no other call can use the connection.
        used: when its last call ended, by the monotonic clock.
    """

    id: str = attrs.field(factory=lambda: new_token()[:12])
    sequence: int = 0
    connection: Connection | None = None
    unread: bool = False
    used: float = 0.0


class SessionPool:
    """The sessions of one backend: as many as it had calls under way at once of late."""

    def __init__(self, pool: Pool, *, keep: bool) -> None:
        """``keep``: sessions keep connections of this pool, which is ours alone."""
        self._pool = pool
        self._keep = keep
        self._pid = os.getpid()
        self._free: deque[Session] = deque()
        self._wanting: deque[None] = deque()
        self._closed = False

    def take(self) -> Session:
        """A session that no other call uses, for its next call."""
        if self._pid != os.getpid():
            # After a fork the parent goes on with the sessions it has.
            self._pid = os.getpid()
            self._free = deque()
            self._wanting = deque()
        try:
            session = self._free.pop()
        except IndexError:
            session = Session()
        session.sequence += 1
        return session

    def connect(self, session: Session, size: int) -> None:  # noqa: ARG002 - the twin uses it
        """Open the session's connection, or one from the pool. Raises what the driver raises.

        Args:
            size: bytes of the command, which make no difference here.
        """
        connection = session.connection
        if connection is None:
            self._wanting.append(None)
            try:
                # One may have become free since `take` looked.
                connection = self._spare() or take_connection(self._pool)
            finally:
                self._wanting.pop()
            session.connection = connection
        elif time.monotonic() - session.used > SURE_FOR and not is_usable(connection):
            disconnect(connection)
        # Here, and not as a part of sending: when it fails nothing was sent.
        connect(connection)

    def exchange(self, session: Session, data: bytes, timeout: float) -> Any:
        """Send a command, packed, and wait for its reply.

        Args:
            timeout: seconds for both.
        """
        session.unread = True
        try:
            reply = exchange(session.connection, timeout, data)
        except ResponseError:
            session.unread = False
            raise
        session.unread = False
        return reply

    def hang_up(self, session: Session) -> None:
        """Close its connection."""
        disconnect(session.connection)
        session.unread = False

    def settle(self, session: Session, timeout: float) -> None:
        """Wait until the server has done what an interrupted caller sent.

        Args:
            timeout: seconds, at most.
        """
        try:
            drain(session.connection, timeout)
        except CONNECTION_ERRORS:
            disconnect(session.connection)
        session.unread = False

    def give(self, session: Session) -> None:
        """The call is over."""
        connection = session.connection
        # What was opened after all were closed must not stay open.
        if connection is not None and (session.unread or self._closed):
            shielded(disconnect, connection)
            session.unread = False
        if connection is not None and not self._keep:
            session.connection = None
            shielded(give_connection, self._pool, connection)
        session.used = time.monotonic()
        self._free.append(session)
        # Callers that wait for the pool get connections that are not in use.
        while self._wanting and (connection := self._spare()) is not None:
            shielded(give_connection, self._pool, connection)
        self._drop_idle(session.used)

    def close(self) -> None:
        """Close the connections of calls that end from now on. Their pool closes the others."""
        self._closed = True

    def _drop_idle(self, now: float) -> None:
        """Drop the session that was used last by the earliest call, if that is long ago."""
        try:
            if now - self._free[0].used <= IDLE_FOR:
                return
            session = self._free.popleft()
        except IndexError:  # other threads use all of them
            return
        if session.connection is not None:
            disconnect(session.connection)
            shielded(give_connection, self._pool, session.connection)

    def _spare(self) -> Connection | None:
        """A connection that a free session keeps, taken from it."""
        try:
            session = self._free.pop()
        except IndexError:
            return None
        connection, session.connection = session.connection, None
        self._free.appendleft(session)
        return connection
