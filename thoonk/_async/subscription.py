"""A feed's notices, item by item decoded."""

from __future__ import annotations

import logging
from collections import deque
from types import TracebackType
from typing import Generic, Self, TypeVar

from thoonk.backends import AsyncBackend, AsyncSubscription
from thoonk.exceptions import Closed, FeedDoesNotExist, SerializerError
from thoonk.flows import Codec, Deadline
from thoonk.notices import AnyNotice, Deleted, Gap, Marker, Notice, log_fields
from thoonk.operations import ReadSnapshot
from thoonk.pictures import Picture

T = TypeVar("T")

logger = logging.getLogger("thoonk.notices")


class AsyncFeedSubscription(Generic[T]):
    """Iterate over it for notices; it ends when it is closed."""

    def __init__(self, backend: AsyncBackend, codec: Codec[T], kind: str, *, resync: bool) -> None:
        self._backend = backend
        self._codec = codec
        self._kind = kind
        self._picture = Picture(codec.feed, kind) if resync else None
        self._is_stale = resync
        self._pending: deque[Notice] = deque()
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
        """The next notice.

        A notice whose item the serializer does not understand is logged and passed over.

        Args:
            timeout: seconds to wait; None and 0: for ever.

        Raises:
            Empty: nothing came in time.
            Closed: the subscription is not open (any more).
        """
        deadline = Deadline(timeout)
        while self._subscription is not None:
            notice = await self._next(self._subscription, deadline)
            if notice is None:
                continue
            try:
                return self._codec.notice(notice)
            except SerializerError as error:
                logger.warning("notice passed over: %s", error, extra=log_fields(notice))
        raise Closed("the subscription is not open: use it in a with block")

    async def _next(self, subscription: AsyncSubscription, deadline: Deadline) -> Notice | None:
        if self._picture is not None and self._is_stale:
            self._pending.extend(await self._missed(self._picture, subscription, deadline))
            self._is_stale = False
        if self._pending:
            return self._pending.popleft()
        notice = await subscription.get(deadline.remaining())
        if self._picture is None:
            return notice
        if isinstance(notice, Gap):
            self._is_stale = True
            return None
        self._picture.apply(notice)
        return None if isinstance(notice, Marker) else notice

    async def _missed(
        self, picture: Picture, subscription: AsyncSubscription, deadline: Deadline
    ) -> list[Notice]:
        """What turns the picture into what is there."""
        feed, marker = self._codec.feed, subscription.marker
        while True:
            try:
                snapshot = await self._backend.execute(
                    ReadSnapshot(feed, self._kind, marker, picture.version)
                )
            except FeedDoesNotExist:
                deleted = Deleted(feed)
                picture.apply(deleted)
                return [deleted]
            # What arrives before the marker is in the snapshot already. A gap may have
            # swallowed the marker.
            notice = await subscription.get(deadline.remaining())
            while not isinstance(notice, Marker | Gap):
                notice = await subscription.get(deadline.remaining())
            if isinstance(notice, Marker):
                return picture.catch_up(snapshot)

    async def close(self) -> None:
        """End it; whoever iterates, also in another thread, comes to the end."""
        if self._subscription is not None:
            await self._subscription.close()
