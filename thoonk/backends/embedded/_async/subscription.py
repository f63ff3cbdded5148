"""A subscription to the notices of an embedded engine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from thoonk.backends.embedded.core import Core
from thoonk.backends.embedded.mailbox import Mailbox
from thoonk.concurrency._async import Event, HomeLoop, in_thread, setter_of, shielded, wait_event
from thoonk.exceptions import Closed, Empty
from thoonk.notices import Gap, Notice


class AsyncEmbeddedSubscription:
    """Notices of one feed or of all, as they arrive."""

    def __init__(self, core: Core, feed: str | None) -> None:
        """Not yet subscribed, until it is opened."""
        self._core = core
        self._arrived = Event()
        self._wake: Callable[[], object] = setter_of(self._arrived)
        self._feed = feed
        self._mailbox = Mailbox(feed, self._wake)
        self._closed = False
        self._home = HomeLoop()
        self._pid = os.getpid()

    @property
    def marker(self) -> str:
        return self._mailbox.marker

    async def open(self) -> None:
        """Subscribe. What happens from now on is delivered."""
        try:
            # A file may be locked by another process.
            await shielded(in_thread, self._core.add_listener, self._mailbox)
        except BaseException:
            self._core.remove_listener(self._mailbox)
            raise

    async def get(self, timeout: float | None = None) -> Notice:
        """The next notice (see `thoonk.backends.Subscription.get`)."""
        self._home.check()
        if self._pid != os.getpid():
            # A forked child. What its parent hears is the parent's.
            self._pid = os.getpid()
            self._arrived = Event()
            self._wake = setter_of(self._arrived)
            self._mailbox = Mailbox(self._feed, self._wake)
            if not self._closed:
                await self.open()
                return Gap(self._feed or "")
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            # In this order: what arrives after the look is not slept through.
            self._arrived.clear()
            if self._closed:
                break
            notice = self._mailbox.take()
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

    async def close(self) -> None:
        """End it; a reader in another thread or task is woken."""
        self._closed = True
        self._core.remove_listener(self._mailbox)
        self._wake()
