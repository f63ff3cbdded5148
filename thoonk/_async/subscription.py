"""A subscription: the notices of one feed, with their items decoded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from thoonk.backends import AsyncBackend, AsyncSubscription
from thoonk.codec import Codec
from thoonk.concurrency._async import sleep
from thoonk.exceptions import Closed, FeedDoesNotExist, SerializerError
from thoonk.notices import (
    AnyNotice,
    Configured,
    Created,
    Deleted,
    Gap,
    Marker,
    Moved,
    Notice,
    log_fields,
)
from thoonk.replicas import Replica, position_of
from thoonk.resyncing import Resync
from thoonk.waiting import Deadline

T = TypeVar("T")

logger = logging.getLogger("thoonk.notices")

HEARD_AT_ONCE = 200
"""After this many notices, a resync lets other tasks run, even if more have arrived."""


class AsyncFeedSubscription(Generic[T]):
    """A subscription to a feed's notices. Iterate over it; the loop ends when it is closed."""

    def __init__(self, backend: AsyncBackend, codec: Codec[T], kind: str, *, resync: bool) -> None:
        self._backend = backend
        self._codec = codec
        self._kind = kind
        self._replica = Replica(codec.feed, kind) if resync else None
        self._resync: Resync | None = None
        self._difference: Iterator[Notice | None] | None = None
        self._heard = 0
        self._begin_resync()
        self._subscription: AsyncSubscription | None = None

    async def __aenter__(self) -> Self:
        self._subscription = await self._backend.listen(self._codec.feed)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnyNotice[T]:
        try:
            return await self.get()
        except Closed:
            raise StopAsyncIteration from None

    async def get(self, timeout: float | None = None) -> AnyNotice[T]:
        """Return the next notice.

        Notices with an item that the serializer cannot decode are logged and skipped.

        Args:
            timeout: seconds to wait. None or 0: forever.

        Raises:
            Empty: no notice arrived within the timeout.
            Closed: the subscription is not open, or no longer.
        """
        deadline = Deadline(timeout)
        while self._subscription is not None:
            notice = await self._next(self._subscription, deadline)
            if notice is None:
                deadline.remaining()
                continue
            if isinstance(notice, Moved) and position_of(notice) is None:
                continue
            try:
                return self._codec.notice(notice)
            except SerializerError as error:
                extra = {"event": "notice_passed_over", **log_fields(notice)}
                logger.warning("Notice skipped: %s", error, extra=extra)
        raise Closed("the subscription is not open: use it in a with block")

    async def _next(self, subscription: AsyncSubscription, deadline: Deadline) -> Notice | None:
        """Do one step; return the notice that it gives."""
        if self._resync is not None:
            return await self._catch_up(self._resync, subscription, deadline)
        notice = await subscription.get(deadline.remaining())
        if self._replica is None:
            return notice
        if isinstance(notice, Gap):
            self._begin_resync()
        elif not self._replica.apply(notice):
            logger.warning(
                "Notice of feed %r contradicts earlier ones; reading the feed again: %r",
                notice.feed,
                notice,
                extra={"event": "notice_unexplained", **log_fields(notice)},
            )
            self._begin_resync()
        elif not isinstance(notice, Marker):
            return notice
        return None

    def _begin_resync(self) -> None:
        if self._replica is not None:
            self._resync, self._difference = Resync(self._replica), None

    async def _catch_up(
        self, resync: Resync, subscription: AsyncSubscription, deadline: Deadline
    ) -> Notice | None:
        """Read one step of the existing items. What has been read is kept between calls."""
        if self._difference is not None:
            return await self._next_difference(self._difference)
        if not resync.is_asking:
            return await self._hear(resync, await subscription.get(deadline.remaining()))
        try:
            page = await self._backend.execute(resync.ask(subscription.marker))
        except FeedDoesNotExist:
            self._resync = None
            return self._deleted(Deleted(self._codec.feed))
        resync.answered(page)
        return None

    async def _next_difference(self, difference: Iterator[Notice | None]) -> Notice | None:
        try:
            notice = next(difference)
        except StopIteration:
            self._resync = self._difference = None
            return None
        if notice is None:
            await sleep(0)  # others have their turn
        return notice

    async def _hear(self, resync: Resync, notice: Notice) -> Notice | None:
        """Process a notice that arrives while reading; return it if it is about the feed itself."""
        match notice:
            case Marker(_, _, mark):
                resync.marked(mark)
                if resync.is_complete:
                    self._difference = resync.difference()
            case Gap():
                self._begin_resync()
            case Deleted():
                self._begin_resync()
                return self._deleted(notice)
            case Created() | Configured():
                return notice
            case _:
                resync.hear(notice)
                self._heard += 1
                if self._heard % HEARD_AT_ONCE == 0:
                    await sleep(0)
        return None

    def _deleted(self, notice: Deleted) -> Notice:
        if self._replica is not None:
            self._replica.apply(notice)
        return notice

    async def close(self) -> None:
        """Close the subscription. Loops over it end, also in other threads."""
        if self._subscription is not None:
            await self._subscription.close()
