"""Notices from Redis' pub/sub channels, over a connection of their own."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from redis.exceptions import ResponseError

from thoonk.backends.redis import errors, wire
from thoonk.backends.redis._async.connection import (
    Connection,
    disconnect,
    is_connected,
    read_reply,
    send,
    unread,
)
from thoonk.backends.redis.known_feeds import KnownFeeds
from thoonk.backends.redis.packing import pack
from thoonk.concurrency._async import Event, HomeLoop, Lock, shielded, wait_event
from thoonk.exceptions import AccessDenied, Closed, Empty, ThoonkError
from thoonk.names import new_token
from thoonk.notices import Created, Deleted, Gap, Notice
from thoonk.operations import FeedIsRegistered, FeedNames, Operation

logger = logging.getLogger("thoonk.notices")

PING_AFTER = 10.0
"""Seconds of silence after which the connection is tried with a PING."""

PING_DEADLINE = 5.0
"""Seconds without an answer to it after which the connection counts as dead."""

DENIED_EVERY = 60.0
"""Seconds from one warning that the server does not let us in to the next."""

LONGEST_PAUSE = 2.0
"""Most seconds between two attempts to connect again."""


class AsyncRedisSubscription:
    """Notices of one feed or of all, one reader at a time."""

    def __init__(
        self,
        connection: Connection,
        feed: str | None,
        db: int,
        execute: Callable[[Operation[Any]], Coroutine[Any, Any, Any]],
    ) -> None:
        self._connection = connection
        self.marker = new_token()
        self._feed = feed
        self._fields = {"feed": feed or ""}
        self._db = db
        self._execute = execute
        self._known = KnownFeeds()
        self._early: deque[list[Any]] = deque()
        self._connected = False
        self._pause = 0.0
        self._tell_after = 0.0
        self._pid = os.getpid()
        self._home = HomeLoop()
        self._reading = Lock()
        self._closed = Event()

    async def open(self) -> None:
        """Connect and subscribe. What happens from now on is delivered.

        Raises:
            BackendUnavailable: there is no connection.
        """
        self._home.check()
        try:
            await self._subscribe()
            await self._learn_names()
        except BaseException as error:
            # Also when the caller is cancelled: nothing else closes this connection.
            await shielded(disconnect, self._connection)
            if isinstance(error, (*errors.CONNECTION_ERRORS, ResponseError)):
                raise errors.not_sent(error) from error
            raise

    async def get(self, timeout: float | None = None) -> Notice:
        """The next notice (see `thoonk.backends.Subscription.get`)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        self._home.check()
        if self._pid != os.getpid():
            # After a fork the connection is the parent's.
            self._pid = os.getpid()
            self._reading = Lock()
            await self._lose()
        async with self._reading:
            try:
                while not self._closed.is_set():
                    if not self._connected:
                        if await self._reconnect(deadline):
                            return Gap(self._feed or "")
                        continue
                    message = await self._message(deadline)
                    received = message and self._understand(message)
                    if received and await self._is_ours(received):
                        return received.notice
            finally:
                if self._closed.is_set():
                    await disconnect(self._connection)
        raise Closed("the subscription has been closed")

    async def rest(self, seconds: float) -> None:
        """Read nothing for a while. What arrives meanwhile waits, and costs less.

        Five hundred notices that are read one by one as they arrive take twice as much of the
        server's processor as the same number read at once.
        """
        with unread(self._connection):
            await wait_event(self._closed, seconds)

    async def close(self) -> None:
        """End it; a reader in another thread or task is woken."""
        self._closed.set()
        if self._pid != os.getpid():
            return  # a copy in a forked child: connection and reader are the parent's
        if not self._reading.locked():
            await disconnect(self._connection)
        elif is_connected(self._connection):
            # Its confirmation wakes the reader, who then hangs up; or an error does.
            with contextlib.suppress(*errors.CONNECTION_ERRORS):
                await send(self._connection, PING_DEADLINE, pack(b"UNSUBSCRIBE"))

    # --- the connection -----------------------------------------------------------------

    async def _subscribe(self) -> None:
        if self._feed is None:
            patterns = tuple(wire.patterns())
            commands = [(b"SUBSCRIBE", *wire.CATALOGUE_CHANNELS), (b"PSUBSCRIBE", *patterns)]
        else:
            commands = [(b"SUBSCRIBE", *wire.channels_of(self._feed, self.marker))]
        await send(
            self._connection, PING_DEADLINE, b"".join(pack(*command) for command in commands)
        )
        self._early.clear()
        unconfirmed = sum(len(command) - 1 for command in commands)
        while unconfirmed:
            message = await read_reply(self._connection, PING_DEADLINE)
            if message[0] in (b"subscribe", b"psubscribe"):
                unconfirmed -= 1
            else:
                self._early.append(message)
        self._connected = True

    async def _learn_names(self) -> None:
        if self._feed is not None:
            self._known = KnownFeeds([self._feed])
            return
        self._known = KnownFeeds(await self._execute(FeedNames()))

    async def _reconnect(self, deadline: float | None) -> bool:
        """One attempt, after a pause that grows with each."""
        pause = self._pause
        if deadline is not None:
            pause = max(0.0, min(pause, deadline - time.monotonic()))
        await wait_event(self._closed, pause)
        try:
            await self._subscribe()
            await self._learn_names()
        except (*errors.CONNECTION_ERRORS, ResponseError, ThoonkError) as error:
            self._tell(error)
            await self._lose()
            self._pause = min(max(0.05, self._pause * 2), LONGEST_PAUSE)
            if deadline is not None and time.monotonic() >= deadline:
                raise Empty("no notice within the timeout") from error
            return False
        self._pause = self._tell_after = 0.0
        extra = {"event": "notices_reconnected", **self._fields}
        logger.info("Connection for notices restored; some may have been missed", extra=extra)
        return True

    def _tell(self, error: Exception) -> None:
        """Log why there is no connection: aloud where waiting alone will not help."""
        cause = error if isinstance(error, ThoonkError) else errors.not_sent(error)
        now = time.monotonic()
        if not isinstance(cause, AccessDenied) or now < self._tell_after:
            extra = {"event": "notices_not_reconnected", **self._fields}
            logger.debug("Still no connection for notices: %s", error, extra=extra)
            return
        self._tell_after = now + DENIED_EVERY
        logger.warning(
            "Cannot subscribe to notices; trying again: %s",
            cause,
            extra={"event": "notices_denied", **self._fields},
        )

    async def _lose(self) -> None:
        self._connected = False
        await disconnect(self._connection)

    async def _message(self, deadline: float | None) -> list[Any] | None:
        """What comes next on the connection; None when it is lost."""
        if self._early:
            return self._early.popleft()
        pinged = False
        while True:
            patience = PING_DEADLINE if pinged else PING_AFTER
            if deadline is not None:
                patience = max(0.0, min(patience, deadline - time.monotonic()))
            try:
                message: list[Any] = await read_reply(self._connection, patience)
            except TimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise Empty("no notice within the timeout") from None
                if not pinged and await self._ping():
                    pinged = True
                    continue
                extra = {"event": "notices_connection_lost", **self._fields}
                logger.warning("Connection for notices is dead; connecting again", extra=extra)
            except (*errors.CONNECTION_ERRORS, ResponseError) as error:
                if not self._closed.is_set():
                    extra = {"event": "notices_connection_lost", **self._fields}
                    logger.warning("Connection for notices lost: %s", error, extra=extra)
            else:
                return message
            await self._lose()
            return None

    async def _ping(self) -> bool:
        try:
            await send(self._connection, PING_DEADLINE, pack(b"PING"))
        except errors.CONNECTION_ERRORS:
            return False
        return True

    # --- what it says -------------------------------------------------------------------

    def _understand(self, message: list[Any]) -> wire.Received | None:
        match message:
            case [b"message", channel, payload] | [b"pmessage", _, channel, payload]:
                return wire.read_notice(channel, payload)
            case _:
                return None  # a confirmation, or the answer to a PING

    async def _is_ours(self, received: wire.Received) -> bool:
        """Whether the notice is of this db: channels are shared by all dbs of a server."""
        notice = received.notice
        feed = notice.feed
        if self._feed is not None and feed != self._feed:
            return False
        if received.db is not None:
            own = received.db == self._db
            if own:
                self._known.remember(feed, own=not isinstance(notice, Deleted))
            return own
        known = self._known.is_own(feed)
        if isinstance(notice, Deleted):
            if not known:
                return False
            own = await self._look_up(feed)
            self._known.remember(feed, own=own)
            return not own
        if isinstance(notice, Created) or known is None:
            known = await self._look_up(feed)
            self._known.remember(feed, own=known)
        return known

    async def _look_up(self, feed: str) -> bool:
        try:
            registered: bool = await self._execute(FeedIsRegistered(feed))
        except ThoonkError as error:
            # Delivering a notice of another db does less harm than losing one.
            extra = {"event": "feed_not_looked_up", "feed": feed}
            logger.warning(
                "Cannot determine whether feed %r is in this db: %s", feed, error, extra=extra
            )
            return True
        return registered
