"""AsyncLines to the server: who calls, and over which connection."""

from __future__ import annotations

import os
import time
from collections import deque

import attrs

from thoonk.backends.redis._async.connection import (
    Connection,
    Pool,
    connect,
    disconnect,
    give_connection,
    is_usable,
    take_connection,
)
from thoonk.concurrency._async import to_the_end
from thoonk.names import new_token

SURE_FOR = 0.1
"""Seconds for which a connection that was in use is taken to be alive."""


@attrs.define(eq=False)
class Line:
    """A slot, by which the server tells a repeated call from a new one, and a connection.

    It is used by one call at a time; ``number`` is that of its last call. Between calls
    it keeps the connection: the way through the driver's pool costs as much as a short
    script. While a reply on it is ``unread`` it cannot be used for another call.
    """

    slot: str = attrs.field(factory=lambda: new_token()[:12])
    number: int = 0
    connection: Connection | None = None
    unread: bool = False
    used: float = 0.0


class AsyncLines:
    """The lines of one backend. As many come to be as calls are under way at once."""

    def __init__(self, pool: Pool, *, keep: bool) -> None:
        """``keep``: lines keep connections of this pool, which is ours alone."""
        self._pool = pool
        self._keep = keep
        self._pid = os.getpid()
        self._free: deque[Line] = deque()
        self._wanting: deque[None] = deque()

    def take(self) -> Line:
        """A line that no other call uses, for its next call."""
        if self._pid != os.getpid():
            # After a fork the parent goes on with the lines it has.
            self._pid = os.getpid()
            self._free = deque()
            self._wanting = deque()
        try:
            line = self._free.pop()
        except IndexError:
            line = Line()
        line.number += 1
        return line

    async def connect(self, line: Line) -> Connection:
        """The line's connection, or one from the pool, open. Raises what the driver raises."""
        connection = line.connection
        if connection is None:
            self._wanting.append(None)
            try:
                # One may have become free since `take` looked.
                connection = self._spare() or await take_connection(self._pool)
            finally:
                self._wanting.pop()
            line.connection = connection
        elif time.monotonic() - line.used > SURE_FOR and not await is_usable(connection):
            await disconnect(connection)
        # Here, and not as a part of sending: when it fails nothing was sent.
        await connect(connection)
        return connection

    async def give(self, line: Line) -> None:
        """The call is over."""
        connection = line.connection
        if connection is not None and line.unread:
            await to_the_end(disconnect, connection)
            line.unread = False
        if connection is not None and not self._keep:
            line.connection = None
            await to_the_end(give_connection, self._pool, connection)
        line.used = time.monotonic()
        self._free.append(line)
        # Who waits for the pool must not wait for connections that nobody uses.
        while self._wanting and (connection := self._spare()) is not None:
            await to_the_end(give_connection, self._pool, connection)

    def _spare(self) -> Connection | None:
        """A connection that a free line keeps, taken from it."""
        try:
            line = self._free.pop()
        except IndexError:
            return None
        connection, line.connection = line.connection, None
        self._free.appendleft(line)
        return connection
