"""A feed's notices, item by item decoded."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Generic, Self, TypeVar

from thoonk.backends import AsyncBackend, AsyncSubscription
from thoonk.exceptions import Closed, SerializerError
from thoonk.flows import Codec, Deadline
from thoonk.notices import AnyNotice

T = TypeVar("T")

logger = logging.getLogger("thoonk.notices")


class AsyncFeedSubscription(Generic[T]):
    """Iterate over it for notices; it ends when it is closed."""

    def __init__(self, backend: AsyncBackend, codec: Codec[T]) -> None:
        self._backend = backend
        self._codec = codec
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
            notice = await self._subscription.get(deadline.remaining())
            try:
                return self._codec.notice(notice)
            except SerializerError as error:
                logger.warning("notice passed over: %s", error)
        raise Closed("the subscription is not open: use it in a with block")

    async def close(self) -> None:
        """End it; whoever iterates, also in another thread, comes to the end."""
        if self._subscription is not None:
            await self._subscription.close()
