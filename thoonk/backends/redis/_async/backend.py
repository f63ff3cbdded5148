"""The Redis backend: sends the commands of the table and reads their replies."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from typing import Any, TypeVar
from weakref import WeakSet

import attrs
from redis.exceptions import NoScriptError, ResponseError

from thoonk.backends.redis import errors
from thoonk.backends.redis._async.connection import (
    Client,
    Connection,
    Pool,
    dedicated_connection,
    disconnect,
    give_connection,
    is_usable,
    open_pool,
    read_reply,
    send,
    take_connection,
)
from thoonk.backends.redis._async.subscription import AsyncRedisSubscription
from thoonk.backends.redis.commands import Command, command_for, wait_command
from thoonk.backends.redis.settings import check_no_decoding, with_defaults
from thoonk.backends.redis.wire import new_instance
from thoonk.concurrency._async import to_the_end
from thoonk.exceptions import Closed, InvalidValue, ThoonkError
from thoonk.operations import Operation, Taken, TakeOperation

R = TypeVar("R")

logger = logging.getLogger("thoonk.backends.redis")

REPLY_MARGIN = 5.0
"""Seconds that a reply may be late behind the time a blocking command was given."""


@attrs.define(eq=False)
class _Waiter:
    """A connection on which one caller at a time blocks.

    ``unread`` counts the replies that have not been read; ``client_id`` is by what
    the server can be told to unblock it.
    """

    connection: Connection
    pid: int = attrs.field(factory=os.getpid)
    client_id: int = 0
    unread: int = 0


class AsyncRedisBackend:
    """Feeds on a Redis or Valkey server."""

    def __init__(
        self, url: str | None = None, *, client: Client | None = None, **options: Any
    ) -> None:
        """Connections are opened when they are needed.

        Args:
            url: any URL that redis-py takes (``redis://``, ``rediss://``, ``unix://``).
            client: a redis-py client whose pool is used, and not closed. Its
                connection settings are its owner's affair; nothing is retried.
            options: settings of redis-py's connections (``host``, ``port``, ``db``,
                ``username``, ``password``, ``ssl`` …) and of its `BlockingConnectionPool`
                (``max_connections``, ``timeout``).

        Raises:
            InvalidValue: the URL or an option makes no sense, or ``decode_responses`` is
                set: it would destroy binary items.
        """
        self._owns_pool = client is None
        self._pool: Pool
        self._reply_timeout: float | None = None
        if client is None:
            self._pool, self._reply_timeout = open_pool(url, with_defaults(options))
        else:
            self._pool = client.connection_pool
        check_no_decoding(self._pool.connection_kwargs)
        try:
            # Makes an object and opens nothing: a misspelt option is told here.
            dedicated_connection(self._pool)
        except TypeError as error:
            raise InvalidValue(f"redis-py does not know an option: {error}") from error
        self._db = int(self._pool.connection_kwargs.get("db") or 0)
        self._instance = new_instance(self._db)
        self._idle: deque[_Waiter] = deque()
        self._blocked: set[_Waiter] = set()
        self._subscriptions: WeakSet[AsyncRedisSubscription] = WeakSet()
        self._closed = False

    def __repr__(self) -> str:
        settings = self._pool.connection_kwargs
        where = settings.get("path") or f"{settings.get('host')}:{settings.get('port')}"
        return f"<{type(self).__name__} {where} db {self._db}>"

    # --- one operation ----------------------------------------------------------------

    async def execute(self, operation: Operation[R]) -> R:
        """Do one operation: one command, one round trip."""
        command = command_for(operation, self._instance)
        connection = await self._take_connection()
        replies: list[Any] = []
        try:
            try:
                try:
                    await self._send(connection, command)
                    replies.append(await self._read(connection, command))
                except ThoonkError:
                    raise
                except BaseException:
                    # Cancelled or interrupted: what was taken must not vanish with the reply.
                    if isinstance(operation, TakeOperation):
                        await to_the_end(self._catch_up, connection, replies)
                    else:
                        await disconnect(connection)
                    raise
            finally:
                await to_the_end(give_connection, self._pool, connection)
        except ThoonkError:
            raise
        except BaseException:
            if isinstance(operation, TakeOperation) and any(replies):
                await to_the_end(self._undo, operation, replies[0])
            raise
        return command.parse(replies[0])

    async def _take_connection(self) -> Connection:
        self._check_open()
        try:
            return await take_connection(self._pool)
        except (*errors.CONNECTION_ERRORS, ResponseError) as error:
            raise errors.not_sent(error) from error

    async def _send(self, connection: Connection, command: Command[Any]) -> None:
        try:
            await send(connection, self._reply_timeout, command.arguments)
        except errors.CONNECTION_ERRORS as error:
            await disconnect(connection)
            raise errors.answer_lost(error, command) from error

    async def _read(self, connection: Connection, command: Command[Any]) -> Any:
        try:
            try:
                return await read_reply(connection, self._reply_timeout)
            except NoScriptError:
                # The server has not run it: it does not have the script (any more).
                await send(connection, self._reply_timeout, command.with_text())
                return await read_reply(connection, self._reply_timeout)
        except ResponseError as error:
            raise errors.refused(error, command) from error
        except errors.CONNECTION_ERRORS as error:
            await disconnect(connection)
            raise errors.answer_lost(error, command) from error

    async def _catch_up(self, connection: Connection, replies: list[Any]) -> None:
        # Into a list: a caller who is cancelled once more gets no return value.
        replies.append(await self._late_reply(connection, 1))

    async def _late_reply(self, connection: Connection, unread: int) -> Any:
        """The last of the replies that an interrupted caller left unread; None: no answer."""
        reply = None
        try:
            while unread:
                unread -= 1
                try:
                    reply = await read_reply(connection, REPLY_MARGIN)
                except ResponseError:
                    reply = None
        except errors.CONNECTION_ERRORS:
            await disconnect(connection)
            return None
        return reply

    async def _undo(self, operation: TakeOperation, reply: Any) -> None:
        """Put back what a take's reply brought and nobody received."""
        taken = command_for(operation, self._instance).parse(reply)
        if taken.entries:
            try:
                await self.execute(operation.undo(taken))
            except ThoonkError as error:
                logger.warning("what an interrupted get took was not put back: %s", error)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the backend has been closed")

    # --- waiting -------------------------------------------------------------------------

    async def wait(self, operation: TakeOperation, timeout: float) -> Taken:
        """Block on the feed's list of ids, then take.

        Both commands are sent at once, on a connection of the waiter's own: the
        server runs the second as soon as the first is done, so nothing comes
        between them and an item reaches its taker within one round trip.
        """
        self._check_open()
        command = command_for(operation, self._instance)
        waiter = await self._idle_waiter()
        self._blocked.add(waiter)
        try:
            try:
                await self._block(waiter, operation, command, timeout)
                return command.parse(await self._woken(waiter, timeout))
            except NoScriptError:
                pass
            except ResponseError as error:
                raise errors.refused(error, command) from error
            except errors.CONNECTION_ERRORS as error:
                waiter.unread = 0
                await disconnect(waiter.connection)
                raise errors.answer_lost(error, command) from error
        except ThoonkError:
            raise
        except BaseException:
            await to_the_end(self._abandon, waiter, operation)
            raise
        finally:
            self._blocked.discard(waiter)
            if waiter.unread or self._closed:
                await disconnect(waiter.connection)
            else:
                self._idle.append(waiter)
        # The server did not know the script, so it took nothing. Now it learns it.
        return await self.execute(operation)

    async def _idle_waiter(self) -> _Waiter:
        while self._idle:
            waiter = self._idle.pop()
            try:
                if waiter.pid == os.getpid() and await is_usable(waiter.connection):
                    return waiter
            except BaseException:
                await disconnect(waiter.connection)
                raise
            await disconnect(waiter.connection)
        return _Waiter(dedicated_connection(self._pool))

    async def _block(
        self, waiter: _Waiter, operation: TakeOperation, command: Command[Any], timeout: float
    ) -> None:
        try:
            if not waiter.client_id:
                await send(waiter.connection, REPLY_MARGIN, (b"CLIENT", b"ID"))
                waiter.client_id = await read_reply(waiter.connection, REPLY_MARGIN)
        except errors.CONNECTION_ERRORS as error:
            await disconnect(waiter.connection)
            raise errors.not_sent(error) from error
        waiter.unread = 2
        # BRPOPLPUSH would take 0 for "for ever".
        blocking = wait_command(operation.feed, max(timeout, 0.001))
        await send(waiter.connection, REPLY_MARGIN, blocking, command.arguments)

    async def _woken(self, waiter: _Waiter, timeout: float) -> Any:
        margin = timeout + REPLY_MARGIN
        while True:
            try:
                reply = await read_reply(waiter.connection, margin)
            except ResponseError:
                waiter.unread -= 1
                if waiter.unread == 0:
                    raise
            else:
                waiter.unread -= 1
                if waiter.unread == 0:
                    return reply
            margin = REPLY_MARGIN

    async def _abandon(self, waiter: _Waiter, operation: TakeOperation) -> None:
        """End a wait early, so that it takes nothing later and has lost nothing."""
        deadline = time.monotonic() + REPLY_MARGIN
        while waiter.unread > 1 and time.monotonic() < deadline:
            try:
                await self._unblock(waiter)
                await read_reply(waiter.connection, 0.05)
                waiter.unread = 1
            except ResponseError:
                waiter.unread = 1
            except TimeoutError:
                continue  # it was not blocked yet
            except (*errors.CONNECTION_ERRORS, ThoonkError):
                break
        reply = None
        if waiter.unread == 1:
            reply = await self._late_reply(waiter.connection, 1)
            waiter.unread = 0
        await disconnect(waiter.connection)
        waiter.client_id = 0
        if reply:
            await self._undo(operation, reply)

    async def _unblock(self, waiter: _Waiter) -> None:
        connection = await take_connection(self._pool)
        try:
            await send(connection, REPLY_MARGIN, (b"CLIENT", b"UNBLOCK", waiter.client_id))
            await read_reply(connection, REPLY_MARGIN)
        except BaseException:
            await disconnect(connection)
            raise
        finally:
            await give_connection(self._pool, connection)

    # --- notices and the end -----------------------------------------------------------------

    async def listen(self, feed: str | None = None) -> AsyncRedisSubscription:
        """Subscribe on a connection of its own."""
        self._check_open()
        subscription = AsyncRedisSubscription(
            dedicated_connection(self._pool), feed, self._db, self.execute
        )
        await subscription.open()
        self._subscriptions.add(subscription)
        return subscription

    async def close(self) -> None:
        """Close what was opened here; wake whoever is blocked."""
        if self._closed:
            return
        self._closed = True
        for subscription in list(self._subscriptions):
            await subscription.close()
        for waiter in list(self._blocked):
            try:
                await self._unblock(waiter)
            except (*errors.CONNECTION_ERRORS, ResponseError):
                await disconnect(waiter.connection)
        while self._idle:
            await disconnect(self._idle.pop().connection)
        if self._owns_pool:
            await self._pool.disconnect()
