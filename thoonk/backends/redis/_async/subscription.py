"""A subscription to the notices of a Redis server."""

from __future__ import annotations

from thoonk.backends._async.listening import AsyncMailboxSubscription
from thoonk.backends.redis._async.listener import AsyncListener
from thoonk.concurrency._async import Event


class AsyncRedisSubscription(AsyncMailboxSubscription):
    """Notices of one feed or of all. The connection is the listener's.

    Attributes:
        feed: None: all feeds.
        subscribed: set when the server has confirmed it, or has refused it.
        refusal: what the server refused it with.
    """

    def __init__(self, listener: AsyncListener, feed: str | None) -> None:
        """Not yet subscribed, until it is opened."""
        super().__init__(feed)
        self.subscribed = Event()
        self.refusal: BaseException | None = None
        self._listener = listener

    async def open(self) -> None:
        """Subscribe. What happens from now on is delivered.

        Raises:
            BackendUnavailable: there is no connection.
        """
        self._home.check()
        await self._listener.add(self)

    async def _begin_in_child(self) -> None:
        # Then it is as after a lost connection: a `Gap` tells when it is subscribed again.
        self.subscribed = Event()
        self.subscribed.set()
        await self._listener.add_when_possible(self)

    async def rest(self, seconds: float) -> None:
        """Read nothing for a while. What arrives meanwhile waits, and costs less.

        Five hundred notices that are read one by one as they arrive take twice as much of the
        server's processor as the same number read at once.
        """
        await self._listener.rest(seconds)

    async def _leave(self) -> None:
        await self._listener.remove(self)
