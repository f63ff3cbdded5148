"""Notices from Redis' pub/sub channels: the listeners of a backend share a connection."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from redis.exceptions import ResponseError

from thoonk.backends.redis import errors, wire
from thoonk.backends.redis._async.connection import (
    Connection,
    Pool,
    dedicated_connection,
    disconnect,
    hang_up,
    next_message,
    send,
    unread,
)
from thoonk.backends.redis._async.listener import AsyncListener
from thoonk.backends.redis.known_feeds import KnownFeeds
from thoonk.backends.redis.packing import pack
from thoonk.backends.redis.settings import FIRST_REPLY_TIMEOUT
from thoonk.concurrency._async import Background, Event, Lock, shielded, sleep, wait_event
from thoonk.exceptions import AccessDenied, ThoonkError
from thoonk.notices import Created, Deleted, Marker
from thoonk.operations import FeedIsRegistered, FeedNames, Operation

logger = logging.getLogger("thoonk.notices")

PING_AFTER = 10.0
"""Seconds of silence after which the connection is tried with a PING."""

PING_DEADLINE = 5.0
"""Seconds without an answer to it after which the connection counts as dead."""

DENIED_EVERY = 60.0
"""Seconds from one warning that the server does not let us in to the next."""

LONGEST_PAUSE = 2.0
"""Most seconds between two attempts to connect or to subscribe again."""

ENDS_WITHIN = 1.0
"""Seconds for the connection to end in good order."""

_CONFIRMATIONS = (b"subscribe", b"psubscribe", b"ssubscribe")


class AsyncPubSub:
    """One connection to pub/sub, what reads it, and the listeners that get what it reads.

    It exists while there is a listener. One that is no longer referenced is forgotten.
    """

    def __init__(
        self,
        pool: Pool,
        db: int,
        execute: Callable[[Operation[Any]], Coroutine[Any, Any, Any]],
        on_loss: Callable[[], object] = lambda: None,
        *,
        has_dbs: bool = True,
    ) -> None:
        """It connects when there is a listener.

        Args:
            pool: settings of the connection.
            db: which notices are for the listeners.
            execute: asks the backend which feeds there are.
            on_loss: called when the connection is lost, and when another cannot be had.
            has_dbs: whether the server has other dbs, which use the same channels.
        """
        self._has_dbs = has_dbs
        self._on_loss = on_loss
        self._pool = pool
        self._db = db
        self._execute = execute
        self._begin()

    def _begin(self) -> None:
        """Without a connection and without subscriptions."""
        self._pid = os.getpid()
        self._changing = Lock()
        self._sending = Lock()
        # By feed ("": all) and marker; and all of them by marker. They change only while nothing is
        # sent, so what the server is told last is what holds.
        self._of_feed: dict[str, dict[str, weakref.ref[AsyncListener]]] = {}
        self._all: dict[str, weakref.ref[AsyncListener]] = {}
        # Feeds and channels of those that were not closed, but are no longer referenced.
        self._forgotten: deque[tuple[str, str, tuple[bytes, ...]]] = deque()
        # What the server has yet to confirm: the last channel of each command.
        self._unconfirmed: deque[tuple[bytes, AsyncListener]] = deque()
        self._connection: Connection = None
        self._is_connected = False
        self._reading: Background | None = None
        self._changed = Event()
        self._early: deque[list[Any]] = deque()
        self._known = KnownFeeds()
        self._resting = 0
        self._try_again_at = math.inf
        self._pause = 0.0
        self._tell_after = 0.0
        self._is_closed = False

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            # After a fork connection, locks and reader are the parent's.
            self._begin()

    # --- subscriptions --------------------------------------------------------------------

    async def add(self, subscription: AsyncListener) -> None:
        """Subscribe. What happens after it has returned is delivered.

        Raises:
            BackendUnavailable: there is no connection.
        """
        self._check_process()
        try:
            await self._begin_to_deliver(subscription)
        except BaseException as error:
            # Also when the caller is cancelled: nobody else will close it.
            await shielded(self.remove, subscription)
            if isinstance(error, (*errors.CONNECTION_ERRORS, ResponseError)):
                raise errors.not_sent(error) from error
            raise

    async def _begin_to_deliver(self, subscription: AsyncListener) -> None:
        async with self._changing:
            await self._remember(subscription)
            if self._is_connected:
                await self._subscribe([subscription])
            else:
                await self._connect()
            connection = self._connection
            self._read_on()
        if not await wait_event(subscription.subscribed, FIRST_REPLY_TIMEOUT):
            # A balancer may have forgotten the connection. A new one subscribes to all.
            if connection is not None and connection is self._connection:
                hang_up(connection)
            if not await wait_event(subscription.subscribed, PING_DEADLINE):
                raise TimeoutError("the server did not confirm the subscription")
        if subscription.refusal is not None:
            raise subscription.refusal

    async def add_when_possible(self, subscription: AsyncListener) -> None:
        """Subscribe, now or later: it gets a `Gap` when it is done."""
        self._check_process()
        async with self._changing:
            await self._remember(subscription)
            if self._is_connected:
                # If it fails, what reads subscribes on the next connection.
                with contextlib.suppress(*errors.CONNECTION_ERRORS):
                    await self._subscribe([subscription])
            self._read_on()

    async def remove(self, subscription: AsyncListener) -> None:
        """Unsubscribe. The last one ends the connection."""
        self._check_process()
        async with self._sending:
            if self._all.pop(subscription.marker, None) is None:
                return
            channels = [wire.marker_channel(subscription.marker)]
            members = self._of_feed[subscription.feed or ""]
            members.pop(subscription.marker, None)
            if not members:
                del self._of_feed[subscription.feed or ""]
                # Not the alarm: if the slot leaves in this moment, the server tells that twice,
                # the second time by an error. It ends with the connection.
                channels += subscription.channels
            self._changed.set()
            if self._is_connected and self._connection is not None:
                # Its confirmation wakes what reads.
                with contextlib.suppress(*errors.CONNECTION_ERRORS):
                    await send(self._connection, PING_DEADLINE, pack(b"UNSUBSCRIBE", *channels))
        # It may be closed while another caller begins it.
        self._give_up([subscription])
        reading = self._reading
        if not self._all and reading is not None:
            await reading.join(ENDS_WITHIN, lambda: self._all)

    async def _remember(self, subscription: AsyncListener) -> None:
        marker, feed = subscription.marker, subscription.feed or ""
        channels = subscription.channels

        def forget(dead: object) -> None:
            # Another listener of the same subscription may have its place by now.
            if self._all.get(marker) is dead:
                self._all.pop(marker, None)
                self._of_feed.get(feed, {}).pop(marker, None)
                self._forgotten.append((feed, marker, channels))

        reference = weakref.ref(subscription, forget)
        async with self._sending:
            self._of_feed.setdefault(feed, {})[marker] = reference
            self._all[marker] = reference
        if feed:
            self._known.remember(feed, own=True)

    async def _unsubscribe_forgotten(self) -> None:
        async with self._sending:
            channels: list[bytes] = []
            while self._forgotten:
                feed, marker, own = self._forgotten.popleft()
                if marker not in self._all:
                    channels.append(wire.marker_channel(marker))
                if not self._of_feed.get(feed):
                    self._of_feed.pop(feed, None)
                    channels += own
            if not channels:
                return  # without channels, it would mean all of them
            with contextlib.suppress(*errors.CONNECTION_ERRORS):
                data = pack(b"UNSUBSCRIBE", *channels)
                await send(self._open_connection(), PING_DEADLINE, data)

    def _alive(self, references: Iterable[weakref.ref[AsyncListener]]) -> list[AsyncListener]:
        found = [reference() for reference in tuple(references)]
        return [subscription for subscription in found if subscription is not None]

    async def rest(self, seconds: float) -> None:
        """Let one read nothing for a while; the connection rests while all do."""
        self._resting += 1
        try:
            if self._resting < len(self._all) or not self._is_connected:
                await sleep(seconds)
                return
            with unread(self._connection):
                await sleep(seconds)
        finally:
            self._resting -= 1

    async def close(self) -> None:
        """End all subscriptions."""
        if self._pid != os.getpid():
            return
        self._is_closed = True
        for subscription in self._alive(self._all.values()):
            await subscription.close()
        if self._reading is not None:
            await self._reading.join(ENDS_WITHIN)
        connection = self._connection
        if connection is not None:
            hang_up(connection)

    # --- the connection -------------------------------------------------------------------

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            await send(self._open_connection(), PING_DEADLINE, data)

    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise ConnectionError("the connection has been closed")
        return self._connection

    async def _connect(self) -> None:
        """Connect, and subscribe to all that is wanted."""
        self._connection = dedicated_connection(self._pool)
        try:
            self._early.clear()
            self._unconfirmed.clear()
            self._forgotten.clear()
            self._try_again_at = math.inf
            subscriptions = self._alive(self._all.values())
            await self._subscribe(subscriptions)
            deadline = time.monotonic() + PING_DEADLINE
            while self._unconfirmed:
                left = max(0.001, deadline - time.monotonic())
                message = await self._next_message(left)
                if message is not None and not self._confirms(message):
                    self._early.append(message)
            feeds = tuple(self._of_feed)
            self._known = KnownFeeds(filter(None, feeds))
            if "" in feeds and self._has_dbs:
                for feed in await self._execute(FeedNames()):
                    self._known.remember(feed, own=True)
        except BaseException:
            await shielded(self._drop)
            raise
        self._is_connected = True
        self._changed.set()

    async def _subscribe(self, subscriptions: Iterable[AsyncListener]) -> None:
        commands = []
        unconfirmed: list[tuple[bytes, AsyncListener]] = []
        for subscription in subscriptions:
            subscription.refusal = None
            marker = wire.marker_channel(subscription.marker)
            if subscription.alarm is not None:
                unconfirmed.append((subscription.alarm, subscription))
                commands.append(pack(b"SSUBSCRIBE", subscription.alarm))
            if subscription.patterns:
                unconfirmed.append((subscription.patterns[-1], subscription))
                commands.append(pack(b"PSUBSCRIBE", *subscription.patterns))
            unconfirmed.append((marker, subscription))
            channels = [*subscription.catalogue, *subscription.channels, marker]
            commands.append(pack(b"SUBSCRIBE", *channels))
        async with self._sending:
            # In the order in which they are sent.
            self._unconfirmed.extend(unconfirmed)
            await send(self._open_connection(), PING_DEADLINE, b"".join(commands))

    async def _next_message(self, timeout: float) -> list[Any] | None:
        """What comes next. None: it was the refusal of a subscription, which now knows."""
        try:
            message: list[Any] = await next_message(self._open_connection(), self._sending, timeout)
        except ResponseError as error:
            if not self._unconfirmed:
                raise
            channel, subscription = self._unconfirmed.popleft()
            self._refused(channel, subscription, error)
            return None
        return message

    def _refused(self, channel: bytes, subscription: AsyncListener, error: ResponseError) -> None:
        if channel == subscription.alarm and not errors.is_passing(error):
            subscription.alarm = None  # the server has no such thing, or not for this user
            return
        subscription.refusal = error
        if subscription.refused(error):
            pass
        elif subscription.subscribed.is_set():
            self._try_again_at = time.monotonic() + LONGEST_PAUSE
            self._tell(error)
        subscription.subscribed.set()

    def _confirms(self, message: list[Any]) -> bool:
        """Whether it is a confirmation, of which a subscription learns if it was the last."""
        if message[0] not in _CONFIRMATIONS:
            return False
        if not self._unconfirmed or message[1] != self._unconfirmed[0][0]:
            return True
        channel, subscription = self._unconfirmed.popleft()
        is_last = channel == wire.marker_channel(subscription.marker)
        if is_last and subscription.refusal is None:
            subscription.confirmed()
            subscription.subscribed.set()
        return True

    # --- reading --------------------------------------------------------------------------

    def _read_on(self) -> None:
        if self._reading is None:
            self._reading = Background(self._read, "thoonk-notices")

    async def _read(self) -> None:
        """Deliver what arrives, for as long as there is a subscription."""
        pid = self._pid
        try:
            while await self._step_or_lose():
                pass
        except BaseException:
            # Somebody cancels whatever runs. No subscription waits for a reader that is gone.
            if pid == os.getpid():
                self._reading = None
                # Before anything else is awaited: who comes now gets a reader of its own.
                ended, connection = self._alive(self._all.values()), self._connection
                await shielded(self._drop, connection)
                self._give_up(ended)
                for subscription in ended:
                    subscription.end()
            raise

    def _give_up(self, subscriptions: Iterable[AsyncListener]) -> None:
        """Let none wait for a confirmation that will not be read."""
        for subscription in subscriptions:
            if not subscription.subscribed.is_set():
                subscription.refusal = ConnectionError("the subscription was ended")
                subscription.subscribed.set()

    async def _step_or_lose(self) -> bool:
        """`_step`. An unexpected error costs the connection, but ends no subscription."""
        try:
            return await self._step()
        except Exception:
            logger.exception(
                "Reading notices failed; connecting again",
                extra={"event": "notices_not_read", "feed": self._feed},
            )
            await self._drop()
            self._pause = self._longer_pause()
            return True

    async def _step(self) -> bool:
        """Deliver what comes next, or connect again. False: it was the end."""
        if self._is_closed or not self._all:
            async with self._changing:
                if self._is_closed or not self._all:
                    self._reading = None
                    await self._drop()
                    self._give_up(self._alive(self._all.values()))
                    return False
        if not self._is_connected:
            await self._reconnect()
            return True
        if time.monotonic() >= self._try_again_at:
            await self._subscribe_again()
        if self._forgotten:
            await self._unsubscribe_forgotten()
        message = self._early.popleft() if self._early else await self._message()
        if message is not None and not self._confirms(message):
            received = self._understand(message)
            if received is not None:
                await self._deliver(received)
            elif message[0] == b"sunsubscribe":
                self._alarmed(message[1])
        return True

    def _alarmed(self, alarm: bytes) -> None:
        """The node is not the one to listen to any more, for some of the listeners."""
        alarmed = [each for each in self._alive(self._all.values()) if each.alarm == alarm]
        for listener in alarmed:
            listener.alarmed()
        if alarmed:
            self._on_loss()

    async def _drop(self, only: Connection = None) -> None:
        """Close the connection. ``only``: unless there is another by now."""
        if only is None:
            self._is_connected = False
        # Not while somebody sends, who would open it again.
        async with self._sending:
            if only is not None and only is not self._connection:
                return
            self._is_connected = False
            connection, self._connection = self._connection, None
            if connection is not None:
                await disconnect(connection)

    async def _reconnect(self) -> None:
        """One attempt, after a pause that grows with each."""
        await wait_event(self._changed, self._pause)
        self._changed.clear()
        async with self._changing:
            if self._is_connected or not self._all:
                return
            try:
                await self._connect()
            except (*errors.CONNECTION_ERRORS, ResponseError, ThoonkError) as error:
                self._tell(error)
                self._pause = self._longer_pause()
                self._on_loss()
                return
        self._pause = 0.0
        if self._try_again_at == math.inf:
            self._tell_after = 0.0
        logger.info(
            "Connection for notices restored; some may have been missed",
            extra={"event": "notices_reconnected", "feed": self._feed},
        )

    def _longer_pause(self) -> float:
        return min(max(0.05, self._pause * 2), LONGEST_PAUSE)

    @property
    def _feed(self) -> str:
        """For log lines: the feed; empty: several."""
        feeds = tuple(self._of_feed)
        return feeds[0] if len(feeds) == 1 else ""

    def _tell(self, error: BaseException) -> None:
        """Log why there is no connection: aloud where waiting alone will not help."""
        cause = error if isinstance(error, ThoonkError) else errors.not_sent(error)
        now = time.monotonic()
        if not isinstance(cause, AccessDenied) or now < self._tell_after:
            extra = {"event": "notices_not_reconnected", "feed": self._feed}
            logger.debug("Still no connection for notices: %s", error, extra=extra)
            return
        self._tell_after = now + DENIED_EVERY
        logger.warning(
            "Cannot subscribe to notices; trying again: %s",
            cause,
            extra={"event": "notices_denied", "feed": self._feed},
        )

    async def _message(self) -> list[Any] | None:
        """What comes next on the connection; None: it is lost, or was a refusal."""
        pinged = looked_again = False
        while True:
            patience = PING_DEADLINE / 2 if pinged else PING_AFTER
            again = max(0.0, self._try_again_at - time.monotonic())
            try:
                return await self._next_message(min(patience, again))
            except TimeoutError:
                if again < patience:
                    await self._subscribe_again()
                    continue
                if not pinged and await self._ping():
                    pinged = True
                    continue
                # The deadline is in two halves: after an event loop stood still, a wait ends before
                # it has read what came meanwhile.
                if pinged and not looked_again:
                    looked_again = True
                    continue
                logger.warning(
                    "Connection for notices is dead; connecting again",
                    extra={"event": "notices_connection_lost", "feed": self._feed},
                )
            except (*errors.CONNECTION_ERRORS, ResponseError) as error:
                if self._all and not self._is_closed:
                    logger.warning(
                        "Connection for notices lost: %s",
                        error,
                        extra={"event": "notices_connection_lost", "feed": self._feed},
                    )
            await self._drop()
            if self._all and not self._is_closed:
                self._on_loss()
            return None

    async def _ping(self) -> bool:
        try:
            await self._send(pack(b"PING"))
        except errors.CONNECTION_ERRORS:
            return False
        return True

    async def _subscribe_again(self) -> None:
        """Subscribe again what the server has refused to renew."""
        self._try_again_at = math.inf
        alive = self._alive(self._all.values())
        with contextlib.suppress(*errors.CONNECTION_ERRORS):
            await self._subscribe(each for each in alive if each.refusal is not None)

    # --- what it says -------------------------------------------------------------------

    def _understand(self, message: list[Any]) -> wire.Received | None:
        match message:
            case [b"message", channel, payload] | [b"pmessage", _, channel, payload]:
                return wire.read_notice(channel, payload)
            case _:
                return None  # of an end, or the answer to a PING

    async def _deliver(self, received: wire.Received) -> None:
        notice = received.notice
        if isinstance(notice, Marker):
            own = self._all.get(notice.token)
            references = [] if own is None else [own]
        else:
            members = self._of_feed.get(notice.feed, {}), self._of_feed.get("", {})
            if not any(members) or not await self._is_ours(received):
                return
            references = [reference for some in members for reference in tuple(some.values())]
        for subscription in self._alive(references):
            subscription.hear(notice)

    async def _is_ours(self, received: wire.Received) -> bool:
        """Whether the notice is of this db: channels are shared by all dbs of a server."""
        if not self._has_dbs:
            return True
        notice = received.notice
        feed = notice.feed
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
