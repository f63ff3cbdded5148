"""A subscription to the notices of a Redis server."""

from __future__ import annotations

from thoonk.backends._async.listening import AsyncMailboxSubscription
from thoonk.backends.redis._async.pubsub import AsyncPubSub
from thoonk.concurrency._async import Event


class AsyncRedisSubscription(AsyncMailboxSubscription):
    """Notices of one feed or of all. The connection is that of `AsyncPubSub`.

    Attributes:
        feed: None: all feeds.
        subscribed: set when the server has confirmed it, or has refused it.
        refusal: what the server refused it with.
    """

    def __init__(self, pubsub: AsyncPubSub, feed: str | None) -> None:
        """Not yet subscribed, until it is opened."""
        super().__init__(feed)
        self.subscribed = Event()
        self.refusal: BaseException | None = None
        self._pubsub = pubsub

    async def open(self) -> None:
        """Subscribe. What happens from now on is delivered.

        Raises:
            BackendUnavailable: there is no connection.
        """
        self._home.check()
        await self._pubsub.add(self)

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
