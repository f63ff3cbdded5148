"""A subscription to the notices of an embedded engine."""

from __future__ import annotations

from thoonk.backends._async.listening import AsyncMailboxSubscription
from thoonk.backends.embedded.core import Core
from thoonk.concurrency._async import in_thread, setter_of
from thoonk.notices import Gap


class AsyncEmbeddedSubscription(AsyncMailboxSubscription):
    """Notices of one feed or of all, as they arrive."""

    def __init__(self, core: Core, feed: str | None) -> None:
        """Not yet subscribed, until it is opened."""
        super().__init__(feed, setter_of)
        self._core = core

    async def open(self) -> None:
        """Subscribe. What happens from now on is delivered."""
        try:
            # A file may be locked by another process.
            await in_thread(self._core.add_listener, self.mailbox)
        except BaseException:
            self._core.remove_listener(self.mailbox)
            raise

    async def _begin_in_child(self) -> None:
        self.mailbox.hear(Gap(self.feed or ""))
        await self.open()

    async def _leave(self) -> None:
        self._core.remove_listener(self.mailbox)
