"""The Redis backend: sends the commands of the table and reads their replies."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from redis.exceptions import NoScriptError, RedisError, ResponseError

from thoonk.backends.redis import errors
from thoonk.backends.redis._async import limits
from thoonk.backends.redis._async.connection import (
    Client,
    Connection,
    Pool,
    close_pool,
    dedicated_connection,
    disconnect,
    give_connection,
    is_usable,
    open_pool,
    read_reply,
    send,
    take_connection,
)
from thoonk.backends.redis._async.pubsub import AsyncPubSub
from thoonk.backends.redis._async.sessions import AsyncSessionPool, Session
from thoonk.backends.redis._async.subscription import AsyncRedisSubscription
from thoonk.backends.redis.address import Address
from thoonk.backends.redis.commands import Call, Command, command_for, wait_command
from thoonk.backends.redis.packing import pack
from thoonk.backends.redis.scripts import Script, load
from thoonk.backends.redis.settings import (
    check_db,
    check_no_decoding,
    check_retry_for,
    reply_timeout,
    with_defaults,
)
from thoonk.backends.redis.wire import new_instance
from thoonk.concurrency._async import Event, HomeLoop, caller, shielded, sleep, wait_event
from thoonk.exceptions import (
    BackendUnavailable,
    Closed,
    InvalidValue,
    ItemTooLarge,
    OutcomeUnknown,
    ThoonkError,
)
from thoonk.operations import Batch, Operation, Release, TakeOperation

R = TypeVar("R")

logger = logging.getLogger("thoonk.backends.redis")

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
"""Seconds between one attempt of a call and the next, the first and the longest."""

SHORTEST_READ = 0.05
"""Seconds that a reply is given when its time is over, but it may just have come."""

REPLY_MARGIN = 5.0
"""Seconds that a reply may be late behind the time a blocking command was given."""


@attrs.define(eq=False)
class _Waiter:
    """A connection on which one caller at a time blocks.

    ``unread`` counts the replies that have not been read; ``client_id`` is by what
    the server can be asked to unblock it; ``token`` is that of the take it waits for, and
    ``caller`` the thread or task that does.
    """

    connection: Connection
    token: str = ""
    caller: object = None
    pid: int = attrs.field(factory=os.getpid)
    client_id: int = 0
    unread: int = 0


class AsyncRedisBackend:
    """Feeds on a Redis or Valkey server."""

    _load: Callable[[str], Script] = staticmethod(load)

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Client | None = None,
        retry_for: float = 10.0,
        **options: Any,
    ) -> None:
        """Connections are opened when they are needed.

        Args:
            url: ``redis://``, ``rediss://`` (TLS), ``unix://``, ``redis+sentinel://``; also
                ``valkey://`` and ``valkeys://``. Its query holds options.
            client: a redis-py client whose pool is used, and not closed. Its
                its owner decides on connection settings.
            retry_for: seconds for which a call whose connection was lost is repeated; it
                still takes effect once. A server that was never reached is not
                waited for.
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
            address = Address.parse(url)
            settings = {**options, **address.options}
            retry_for = settings.pop("retry_for", retry_for)
            self._pool, self._reply_timeout = open_pool(address, with_defaults(settings))
        else:
            self._pool = client.connection_pool
            self._reply_timeout = self._pool.connection_kwargs.get("socket_timeout")
        self._retry_for = check_retry_for(retry_for)
        check_no_decoding(self._pool.connection_kwargs)
        try:
            # Creates an object and does not connect: a misspelled option is found here.
            dedicated_connection(self._pool)
        except (TypeError, ValueError, RedisError) as error:
            raise InvalidValue(f"redis-py does not accept an option: {error}") from error
        self._db = check_db(self._pool.connection_kwargs.get("db"))
        self._instance = new_instance(self._db)
        self._idle: deque[_Waiter] = deque()
        self._blocked: set[_Waiter] = set()
        self._to_feeds = AsyncPubSub(self._pool, self._db, self.execute)
        self._to_all = AsyncPubSub(self._pool, self._db, self.execute)
        self._sessions = AsyncSessionPool(self._pool, keep=self._owns_pool)
        self._reached = False
        self._closing = Event()
        self._home = HomeLoop()
        self._pid = os.getpid()

    def __repr__(self) -> str:
        settings = self._pool.connection_kwargs
        host, port = settings.get("host", "localhost"), settings.get("port", 6379)
        service = getattr(self._pool, "service_name", None)
        where = service or settings.get("path") or f"{host}:{port}"
        return f"<{type(self).__name__} {where} db {self._db}>"

    # --- one operation ----------------------------------------------------------------

    async def execute(self, operation: Operation[R]) -> R:
        """Do one operation: one command, one round trip, one effect.

        When the connection is lost the command is sent again, for as long as
        ``retry_for`` says. The server knows a call that it has answered before.
        """
        session = self._sessions.take()
        try:
            try:
                call = Call(self._instance, session.id, session.sequence, self._load)
                command = command_for(operation, call)
                reply, attempts = await self._until_answered(session, operation, command)
            finally:
                await self._sessions.give(session)
        except ThoonkError:
            raise
        except BaseException:
            if isinstance(operation, TakeOperation):
                await shielded(self._release, operation)
            raise
        answer = command.parse(reply)
        if attempts > 1 and isinstance(answer, Batch) and answer.lost:
            # An earlier attempt may have ended them.
            return attrs.evolve(answer, lost=())
        return answer

    async def _until_answered(
        self, session: Session, operation: Operation[Any], command: Command[Any]
    ) -> tuple[Any, int]:
        """The reply, and how many attempts it took."""
        deadline = time.monotonic() + self._retry_for
        pause = FIRST_PAUSE
        may_be_done = False
        attempt = 0
        while True:
            attempt += 1
            try:
                reply = await self._attempt(session, operation, command, attempt)
            except (BackendUnavailable, OutcomeUnknown) as error:
                may_be_done = may_be_done or isinstance(error, OutcomeUnknown)
                if not may_be_done and self._closing.is_set():
                    # Its connection was closed by ourselves.
                    raise Closed("the backend has been closed") from error
                is_over = attempt > 1 and time.monotonic() >= deadline
                # What was never reached is more likely to be a wrong address.
                if not (self._reached and self._retry_for) or self._closing.is_set() or is_over:
                    if may_be_done and isinstance(error, BackendUnavailable):
                        raise errors.answer_lost(error, command) from error.__cause__
                    raise
            else:
                self._reached = True
                return reply, attempt
            await wait_event(self._closing, pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _attempt(
        self, session: Session, operation: Operation[Any], command: Command[Any], attempt: int
    ) -> Any:
        self._check_open()
        data = command.packed()
        try:
            await self._sessions.connect(session, len(data))
        except (*errors.CONNECTION_ERRORS, ResponseError) as error:
            raise errors.not_sent(error) from error
        try:
            try:
                return await self._exchange(session, data, attempt)
            except NoScriptError:
                # The server has not run it: it does not have the script (any more).
                if command.script is not None and command.script.before:
                    before = pack(b"EVAL", command.script.before, 0)
                    await self._exchange(session, before, attempt)
                return await self._exchange(session, pack(*command.with_text()), attempt)
        except ResponseError as error:
            raise await self._refusal(session, error, command) from error
        except errors.CONNECTION_ERRORS as error:
            await self._sessions.hang_up(session)
            too_large = await limits.exceeded(self._pool, command)
            raise too_large or self._cut_off(error, command) from error
        except BaseException:
            # Cancelled or interrupted: a take must not go on behind our back. What is
            # unread after that, perhaps for another interrupt, closes the connection.
            if isinstance(operation, TakeOperation):
                await shielded(self._sessions.settle, session, REPLY_MARGIN)
            raise

    async def _exchange(self, session: Session, data: bytes, attempt: int) -> Any:
        """Send a command and read its reply."""
        repeats = self._reached and self._retry_for > 0
        seconds = reply_timeout(self._reply_timeout, attempt, len(data), repeats=repeats)
        return await self._sessions.exchange(session, data, seconds)

    async def _refusal(
        self, session: Session, error: ResponseError, command: Command[Any]
    ) -> ThoonkError:
        """What an error reply means."""
        refusal = errors.refused(error, command)
        if isinstance(refusal, BackendUnavailable):
            # It may no longer be the master: let the next attempt look it up again.
            await self._sessions.hang_up(session)
        elif isinstance(refusal, ItemTooLarge) and refusal.setting:
            await self._sessions.hang_up(session)  # which the server does, too
            refusal = await limits.exceeded(self._pool, command) or refusal
        return refusal

    def _cut_off(self, error: BaseException, command: Command[Any]) -> ThoonkError:
        """What it means that the connection failed during a command."""
        return errors.answer_lost(error, command)

    async def _release(self, operation: TakeOperation) -> None:
        """Put back what an interrupted take may have taken."""
        try:
            await self.execute(Release(operation.feed, operation.token))
        except ThoonkError as error:
            extra = {"event": "take_not_released", "feed": operation.feed}
            logger.warning(
                "Items of an interrupted get not released; they may stay claimed: %s",
                error,
                extra=extra,
            )

    def _check_open(self) -> None:
        self._home.check()
        if self._closing.is_set():
            raise Closed("the backend has been closed")

    def _unless_closed(self, batch: Batch) -> Batch:
        """What was taken; callers without an item learn of closing."""
        if not batch.entries:
            self._check_open()
        return batch

    # --- waiting -------------------------------------------------------------------------

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Block on the feed's list of ids, then take.

        Both commands are sent at once, on a connection of the waiter's own: the
        server runs the second as soon as the first is done, so nothing comes
        between them and an item reaches its consumer within one round trip.
        """
        self._check_open()
        command = command_for(operation, Call(self._instance))
        waiter = await self._idle_waiter()
        waiter.token, waiter.caller = operation.token, caller()
        self._blocked.add(waiter)
        try:
            try:
                # Closing either sees this waiter or is seen here.
                self._check_open()
                await self._block(waiter, operation, command, timeout)
                return self._unless_closed(
                    command.parse(await self._woken(waiter, command, timeout))
                )
            except NoScriptError:
                pass
            except ResponseError as error:
                refusal = errors.refused(error, command)
                if not isinstance(refusal, BackendUnavailable):
                    raise refusal from error
                waiter.client_id = waiter.unread = 0
                await disconnect(waiter.connection)
            except errors.CONNECTION_ERRORS:
                waiter.client_id = waiter.unread = 0
                await disconnect(waiter.connection)
        except ThoonkError:
            raise
        except BaseException:
            await shielded(self._abandon, waiter, operation)
            raise
        finally:
            self._blocked.discard(waiter)
            if waiter.unread or self._closing.is_set():
                await disconnect(waiter.connection)
            else:
                self._idle.append(waiter)
        # The script is not known to the server, or the connection was lost. Asked again
        # with the same token, the server answers what it may have answered already.
        return await self.execute(operation)

    async def interrupt(self, operation: TakeOperation) -> None:
        """Tell the server to end the wait for an operation."""
        for waiter in list(self._blocked):
            if waiter.token == operation.token and waiter.client_id and waiter.pid == os.getpid():
                try:
                    await self._unblock(waiter)
                except (*errors.CONNECTION_ERRORS, ResponseError) as error:
                    raise errors.not_sent(error) from error

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
                waiter.unread = 1
                await send(waiter.connection, REPLY_MARGIN, pack(b"CLIENT", b"ID"))
                waiter.client_id = await read_reply(waiter.connection, REPLY_MARGIN)
                waiter.unread = 0
        except errors.CONNECTION_ERRORS as error:
            await disconnect(waiter.connection)
            raise errors.not_sent(error) from error
        waiter.unread = 2
        blocking = wait_command(operation.feed, timeout)
        await send(waiter.connection, REPLY_MARGIN, blocking + command.packed())

    async def _woken(self, waiter: _Waiter, command: Command[Batch], timeout: float) -> Any:
        blocking_refused: ResponseError | None = None
        latest = time.monotonic() + timeout + REPLY_MARGIN
        try:
            try:
                await read_reply(waiter.connection, timeout)
            except TimeoutError:
                # By itself the server ends it up to a tenth of a second later.
                with contextlib.suppress(ResponseError, *errors.CONNECTION_ERRORS):
                    await self._unblock(waiter)
                left = latest - time.monotonic()
                await read_reply(waiter.connection, max(SHORTEST_READ, left))
        except ResponseError as error:
            blocking_refused = error
        waiter.unread = 1
        try:
            reply = await read_reply(waiter.connection, REPLY_MARGIN)
        except ResponseError:
            waiter.unread = 0
            raise
        waiter.unread = 0
        if blocking_refused is not None and not command.parse(reply).entries:
            # It did not wait: asking again would be a busy loop.
            raise blocking_refused
        return reply

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
            except errors.CONNECTION_ERRORS:
                break
        if waiter.unread == 1:
            with contextlib.suppress(ResponseError, *errors.CONNECTION_ERRORS):
                await read_reply(waiter.connection, REPLY_MARGIN)
        await disconnect(waiter.connection)
        waiter.client_id = waiter.unread = 0
        await self._release(operation)

    async def _unblock(self, waiter: _Waiter) -> None:
        connection = await take_connection(self._pool)
        try:
            unblock = pack(b"CLIENT", b"UNBLOCK", waiter.client_id)
            await send(connection, REPLY_MARGIN, unblock)
            await read_reply(connection, REPLY_MARGIN)
        except BaseException:
            await disconnect(connection)
            raise
        finally:
            await give_connection(self._pool, connection)

    # --- notices and the end -----------------------------------------------------------------

    async def listen(self, feed: str | None = None) -> AsyncRedisSubscription:
        """Subscribe. Those to one feed share a connection, and those to all feeds another."""
        self._check_open()
        pubsub = self._to_all if feed is None else self._to_feeds
        subscription = AsyncRedisSubscription(pubsub, feed)
        try:
            await subscription.open()
        except BackendUnavailable:
            self._check_open()
            raise
        if self._closing.is_set():
            # Closing may not have seen it.
            await subscription.close()
            self._check_open()
        return subscription

    async def close(self) -> None:
        """Close what was opened here; wake blocked callers."""
        if self._closing.is_set():
            return
        if self._pid == os.getpid():
            self._home.check()
        self._closing.set()
        await self._to_feeds.close()
        await self._to_all.close()
        await self._end_waits()
        while self._idle:
            await disconnect(self._idle.pop().connection)
        self._sessions.close()
        if self._owns_pool:
            await close_pool(self._pool)

    async def _end_waits(self) -> None:
        """Unblock who waits, until all are out: one that has not quite begun blocks after that."""
        deadline = time.monotonic() + REPLY_MARGIN
        pause = 0.0
        while time.monotonic() < deadline:
            # In a child, the others wait in the process that this one was forked from. Who
            # closes from a signal handler may have interrupted a wait of its own.
            waiting = [waiter for waiter in list(self._blocked) if waiter.pid == os.getpid()]
            for waiter in waiting:
                try:
                    if waiter.client_id:
                        await self._unblock(waiter)
                except (*errors.CONNECTION_ERRORS, ResponseError):
                    await disconnect(waiter.connection)
            if all(waiter.caller == caller() for waiter in waiting):
                return
            await sleep(pause)
            pause = min(0.02, pause + 0.002)
