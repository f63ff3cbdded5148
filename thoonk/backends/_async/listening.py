"""A subscription whose notices are brought to it by another task or thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from thoonk.backends.mailbox import Mailbox
from thoonk.concurrency._async import Event, HomeLoop, wait_event
from thoonk.exceptions import Closed, Empty
from thoonk.notices import Notice


def _setter(event: Event) -> Callable[[], object]:
    return event.set


class AsyncMailboxSubscription:
    """Notices of one feed or of all, as they arrive.

    Backends derive from it, and say how it begins and ends.
    """

    def __init__(
        self, feed: str | None, waker: Callable[[Event], Callable[[], object]] = _setter
    ) -> None:
        """``waker`` makes what sets the event, for what brings notices."""
        self.feed = feed
        self._waker = waker
        self._closed = False
        self._home = HomeLoop()
        self._empty()

    def _empty(self) -> None:
        """Begin without notices, in this process."""
        self._pid = os.getpid()
        self._arrived = Event()
        self._wake = self._waker(self._arrived)
        self.mailbox = Mailbox(self.feed, self._wake)

    @property
    def marker(self) -> str:
        """Which `Marker` notices are for this subscription."""
        return self.mailbox.marker

    async def get(self, timeout: float | None = None) -> Notice:
        """The next notice (see `thoonk.backends.Subscription.get`)."""
        self._home.check()
        if self._pid != os.getpid():
            # A forked child. What its parent hears is the parent's.
            self._empty()
            if not self._closed:
                await self._begin_in_child()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            # In this order: what arrives after the look is not slept through.
            self._arrived.clear()
            if self._closed:
                break
            notice = self.mailbox.take()
            if notice is not None:
                # Another reader may wait for the same event.
                self._arrived.set()
                return notice
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise Empty("no notice within the timeout")
            await wait_event(self._arrived, left)
        self._arrived.set()
        raise Closed("the subscription has been closed")

    async def open(self) -> None:
        """Subscribe. What happens from now on is delivered."""
        raise NotImplementedError

    async def close(self) -> None:
        """End it; a reader in another thread or task is woken."""
        self.end()
        if self._pid == os.getpid():  # else it is a copy in a forked child
            await self._leave()

    def end(self) -> None:
        """Deliver nothing more; wake readers."""
        self._closed = True
        self._wake()

    async def _begin_in_child(self) -> None:
        """Subscribe in a forked child. There, a `Gap` comes first."""
        raise NotImplementedError

    async def _leave(self) -> None:
        """Bring no more notices."""
        raise NotImplementedError
