"""A subscription to the notices of a Redis server."""

from __future__ import annotations

from redis.exceptions import ResponseError

from thoonk.backends._async.listening import AsyncMailboxSubscription
from thoonk.backends.redis import wire
from thoonk.backends.redis._async.listener import AsyncListener
from thoonk.backends.redis._async.pubsub import AsyncPubSub
from thoonk.concurrency._async import Event
from thoonk.notices import Gap, Notice


class AsyncRedisSubscription(AsyncMailboxSubscription, AsyncListener):
    """Notices of one feed or of all. The connection is that of `AsyncPubSub`."""

    def __init__(self, pubsub: AsyncPubSub, feed: str | None) -> None:
        """Not yet subscribed, until it is opened."""
        super().__init__(feed)
        self.channels = () if feed is None else tuple(wire.channels_of(feed))
        self.catalogue = wire.CATALOGUE_CHANNELS
        self.patterns = tuple(wire.patterns()) if feed is None else ()
        self.alarm = None
        self.subscribed = Event()
        self.refusal = None
        self._pubsub = pubsub

    async def open(self) -> None:
        """Subscribe. What happens from now on is delivered.

        Raises:
            BackendUnavailable: there is no connection.
        """
        self._home.check()
        await self._pubsub.add(self)

    def hear(self, notice: Notice) -> None:
        """Deliver it, unless it is from before the subscription."""
        if self.subscribed.is_set():
            self.mailbox.hear(notice)

    def confirmed(self) -> None:
        """Subscribed, or subscribed again: then something may have been missed."""
        if self.subscribed.is_set():
            self.hear(Gap(self.feed or ""))

    def refused(self, error: ResponseError) -> bool:  # noqa: ARG002
        """A single server may allow it later."""
        return False

    def alarmed(self) -> None:
        """A single server has no alarms."""

    async def _begin_in_child(self) -> None:
        # Then it is as after a lost connection: a `Gap` tells when it is subscribed again.
        self.subscribed = Event()
        self.subscribed.set()
        await self._pubsub.add_when_possible(self)

    async def rest(self, seconds: float) -> None:
        """Read nothing for a while. What arrives meanwhile waits, and costs less.

        Five hundred notices that are read one by one as they arrive take twice as much of the
        server's processor as the same number read at once.
        """
        await self._pubsub.rest(seconds)

    async def _leave(self) -> None:
        await self._pubsub.remove(self)
