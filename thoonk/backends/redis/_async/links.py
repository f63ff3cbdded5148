"""Links: what calls go over to one server.

Written by hand, as is its twin in ``_sync``: calls of an event loop share a connection, and
those of threads do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
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


def _forget(reply: asyncio.Future[Any]) -> None:
    """Look at a reply that is not used: asyncio complains of errors that were not looked at."""
    if not reply.cancelled():
        reply.exception()


@attrs.define(eq=False)
class Link:
    """What one call at a time goes over.

    Attributes:
        links: those of its server.
        shared: the connection that the present attempt shares with others.
        own: one from the pool, for a large command: small ones do not wait behind it.
        unread: whether a reply is outstanding on ``own``.
    """

    links: AsyncLinks
    shared: SharedConnection | None = None
    own: Connection | None = None
    unread: bool = False

    @property
    def is_worth_giving(self) -> bool:
        """Whether it has something that another call could use. The session keeps it if not."""
        return self.own is not None


class AsyncLinks:
    """The links to one server."""

    def __init__(self, pool: Pool, *, keep: bool) -> None:  # noqa: ARG002 - the twin uses it
        """``keep``: for threads, whose links may keep connections of the pool."""
        self._pool = pool
        self._pid = os.getpid()
        self._shared: SharedConnection | None = None
        self._opening: asyncio.Task[SharedConnection] | None = None
        self._wait: tuple[SharedConnection, asyncio.Future[Any]] | None = None
        self._closed = False

    def take(self) -> Link:
        """A link that no other call uses."""
        if self._pid != os.getpid():
            # After a fork the parent goes on with what it has.
            self._pid = os.getpid()
            self._shared = self._opening = None
        return Link(self)

    async def connect(self, link: Link, size: float) -> None:
        """Open what a command of ``size`` bytes goes over. Raises what the driver raises."""
        if size > LARGE:
            if link.own is None:
                link.own = await take_connection(self._pool)
            await connect(link.own)  # again, after it was lost
            return
        shared = self._shared
        if shared is None or not shared.is_open:
            shared = await self._open()
            if not shared.is_open:
                raise ConnectionError("the connection was closed at once")
        link.shared = shared

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

    async def exchange(self, link: Link, data: bytes, timeout: float, ahead: bytes = b"") -> Any:
        """Send a command, packed, and wait for its reply.

        Args:
            timeout: seconds for both.
            ahead: another command, packed, that is to come right before it. Its reply is dropped.
        """
        if link.own is None:
            assert link.shared is not None  # noqa: S101 - it was connected before
            if ahead:
                link.shared.send(ahead, timeout).add_done_callback(_forget)
            return await link.shared.send(data, timeout)
        link.unread = True
        if ahead:
            with contextlib.suppress(ResponseError):
                await exchange(link.own, timeout, ahead)
        try:
            reply = await exchange(link.own, timeout, data)
        except ResponseError:
            link.unread = False
            raise
        link.unread = False
        return reply

    async def wait(self, link: Link, data: bytes, timeout: float) -> Any:
        """Send a WAIT, packed, behind what the link has sent. Calls of one turn share it.

        Args:
            timeout: seconds.
        """
        if link.shared is None:
            return await self.exchange(link, data, timeout)
        if self._wait is None or self._wait[0] is not link.shared:
            # While it blocks, what is sent behind it waits as well, and is confirmed together.
            self._wait = link.shared, link.shared.send(data, timeout)
            asyncio.get_running_loop().call_soon(self._end_turn)
        return await asyncio.shield(self._wait[1])

    def _end_turn(self) -> None:
        self._wait = None

    async def hang_up(self, link: Link) -> None:
        """Use its connection for no other call."""
        if link.own is not None:
            await disconnect(link.own)
            link.unread = False
        elif link.shared is not None:
            link.shared.retire()

    async def settle(self, link: Link, timeout: float) -> None:
        """Wait until the server has done what an interrupted caller sent.

        Args:
            timeout: seconds, at most.
        """
        try:
            if link.own is not None:
                await drain(link.own, timeout)
                link.unread = False
            elif link.shared is not None:
                # The reply to this comes behind the other, which nobody waits for any more.
                await link.shared.send(pack(b"PING"), timeout)
        except CONNECTION_ERRORS:
            await self.hang_up(link)

    async def give(self, link: Link) -> None:
        """The call is over."""
        own, link.own = link.own, None
        if link.unread or self._closed:
            await shielded(disconnect, own)
            link.unread = False
        await shielded(give_connection, self._pool, own)

    def close(self) -> None:
        """Close the shared connection, now or when it is open. Calls without a reply fail."""
        self._closed = True
        if self._shared is not None and self._pid == os.getpid():
            self._shared.close()
