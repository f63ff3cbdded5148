"""Sessions: each numbers its calls, so that one can be repeated.

Written by hand, as is its twin in ``_sync``: calls of an event loop share a connection, and
those of threads do not.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import Any

import attrs
from redis.exceptions import ResponseError

from thoonk.backends.redis._async.connection import (
    Connection,
    Pool,
    connect,
    dedicated_connection,
    disconnect,
    drain,
    exchange,
    give_connection,
    take_connection,
)
from thoonk.backends.redis._async.shared import SharedConnection
from thoonk.backends.redis.errors import CONNECTION_ERRORS
from thoonk.backends.redis.packing import pack
from thoonk.backends.redis.settings import LARGE
from thoonk.concurrency._async import shielded
from thoonk.names import new_token


@attrs.define(eq=False)
class Session:
    """What tells a repeated call from a new one, and the connection that its call uses.

    One call at a time uses a session. The server keeps the answer to its last call.

    Attributes:
        id: tells the server which session it is.
        sequence: the number of its last call; a repetition keeps it.
        shared: the connection that the present attempt shares with others.
        own: one from the pool, for a large command: small ones do not wait behind it.
        unread: whether a reply is outstanding on ``own``.
    """

    id: str = attrs.field(factory=lambda: new_token()[:12])
    sequence: int = 0
    shared: SharedConnection | None = None
    own: Connection | None = None
    unread: bool = False


class AsyncSessionPool:
    """The sessions of one backend: as many as it ever had calls under way at once."""

    def __init__(self, pool: Pool, *, keep: bool) -> None:  # noqa: ARG002 - the twin uses it
        """``keep``: for threads, whose sessions may keep connections of the pool."""
        self._pool = pool
        self._pid = os.getpid()
        self._free: deque[Session] = deque()
        self._shared: SharedConnection | None = None
        self._opening: asyncio.Task[SharedConnection] | None = None
        self._closed = False

    def take(self) -> Session:
        """A session that no other call uses, for its next call."""
        if self._pid != os.getpid():
            # After a fork the parent goes on with what it has.
            self._pid = os.getpid()
            self._free = deque()
            self._shared = self._opening = None
        try:
            session = self._free.pop()
        except IndexError:
            session = Session()
        session.sequence += 1
        return session

    async def connect(self, session: Session, size: int) -> None:
        """Open what a command of ``size`` bytes goes over. Raises what the driver raises."""
        if size > LARGE:
            if session.own is None:
                session.own = await take_connection(self._pool)
            await connect(session.own)  # again, after it was lost
            return
        shared = self._shared
        if shared is None or not shared.is_open:
            shared = await self._open()
            if not shared.is_open:
                raise ConnectionError("the connection was closed at once")
        session.shared = shared

    async def _open(self) -> SharedConnection:
        """One attempt to open the shared connection, for all who want it now."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._opened())
            self._opening.add_done_callback(self._open_ended)
        return await asyncio.shield(self._opening)

    async def _opened(self) -> SharedConnection:
        shared = SharedConnection(dedicated_connection(self._pool))
        await shared.open()
        if self._closed:
            shared.close()
        self._shared = shared
        return shared

    def _open_ended(self, task: asyncio.Task[SharedConnection]) -> None:
        if self._opening is task:
            self._opening = None
        if not task.cancelled():
            task.exception()  # perhaps all who waited for it were cancelled

    async def exchange(self, session: Session, data: bytes, timeout: float) -> Any:
        """Send a command, packed, and wait for its reply.

        Args:
            timeout: seconds for both.
        """
        if session.own is None:
            assert session.shared is not None  # noqa: S101 - it was connected before
            return await session.shared.send(data, timeout)
        session.unread = True
        try:
            reply = await exchange(session.own, timeout, data)
        except ResponseError:
            session.unread = False
            raise
        session.unread = False
        return reply

    async def hang_up(self, session: Session) -> None:
        """Use its connection for no other call."""
        if session.own is not None:
            await disconnect(session.own)
            session.unread = False
        elif session.shared is not None:
            session.shared.retire()

    async def settle(self, session: Session, timeout: float) -> None:
        """Wait until the server has done what an interrupted caller sent.

        Args:
            timeout: seconds, at most.
        """
        try:
            if session.own is not None:
                await drain(session.own, timeout)
                session.unread = False
            elif session.shared is not None:
                # The reply to this comes behind the other, which nobody waits for any more.
                await session.shared.send(pack(b"PING"), timeout)
        except CONNECTION_ERRORS:
            await self.hang_up(session)

    async def give(self, session: Session) -> None:
        """The call is over."""
        if session.own is not None:
            own, session.own = session.own, None
            if session.unread or self._closed:
                await shielded(disconnect, own)
                session.unread = False
            await shielded(give_connection, self._pool, own)
        session.shared = None
        self._free.append(session)

    def close(self) -> None:
        """Close the shared connection, now or when it is open. Calls without a reply fail."""
        self._closed = True
        if self._shared is not None and self._pid == os.getpid():
            self._shared.close()
