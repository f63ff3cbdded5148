"""The Redis backend: sends the commands of the table and reads their replies."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from redis.exceptions import NoScriptError, RedisError, ResponseError

from thoonk.backends.redis import errors
from thoonk.backends.redis._async import limits
from thoonk.backends.redis._async.blocking import AsyncBlockingTakes
from thoonk.backends.redis._async.connection import (
    Client,
    Pool,
    close_pool,
    dedicated_connection,
    open_pool,
)
from thoonk.backends.redis._async.pubsub import AsyncPubSub
from thoonk.backends.redis._async.sessions import AsyncSessionPool, Session
from thoonk.backends.redis._async.subscription import AsyncRedisSubscription
from thoonk.backends.redis.address import Address
from thoonk.backends.redis.commands import Call, Command, command_for
from thoonk.backends.redis.packing import pack
from thoonk.backends.redis.scripts import Script, load
from thoonk.backends.redis.settings import (
    REPLY_MARGIN,
    check_db,
    check_no_decoding,
    check_retry_for,
    reply_timeout,
    with_defaults,
)
from thoonk.backends.redis.wire import new_instance
from thoonk.concurrency._async import Event, HomeLoop, shielded, wait_event
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
        self._to_feeds = AsyncPubSub(self._pool, self._db, self.execute)
        self._to_all = AsyncPubSub(self._pool, self._db, self.execute)
        self._sessions = AsyncSessionPool(self._pool, keep=self._owns_pool)
        self._blocking = AsyncBlockingTakes(
            self._pool, self._instance, self.execute, self._release, self._check_open
        )
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
        await self._blocking.close()
        self._sessions.close()
        if self._owns_pool:
            await close_pool(self._pool)
