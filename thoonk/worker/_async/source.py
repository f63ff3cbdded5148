"""Where a slot gets its jobs from. Most have a feed: `AsyncOneFeed`; others share a pool."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from thoonk import AsyncClaim, AsyncClaims
from thoonk.worker.adaptive_prefetch import AdaptivePrefetch

if TYPE_CHECKING:
    from thoonk.worker._async.consumer import Consumer


class AsyncSource(abc.ABC):
    """Gives one slot its jobs, in a ``with`` block, at whose end they are all done or given back.

    Attributes:
        name: what it gives jobs of.
        consumer: the feed of the job that it has given last.
        keeps_claims: whether it extends the claims that it has given.
        is_dry: whether `next` has ended because there was nothing to do.
    """

    name: str
    consumer: Consumer
    keeps_claims: bool = False
    is_dry: bool = False

    @abc.abstractmethod
    async def __aenter__(self) -> Self:
        """Begin, perhaps not for the first time."""

    @abc.abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End. After an error of the slot's own, the job in hand has failed."""

    @abc.abstractmethod
    async def next(self) -> AsyncClaim[Any] | None:
        """The last job has ended: the claim of the next one, or None to end the block."""

    @abc.abstractmethod
    def after(self, seconds: float) -> None:
        """A job took so long."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Give no more jobs, also where one is being waited for."""

    @abc.abstractmethod
    def begin_anew(self) -> None:
        """The feed has another serializer: what was read with the one before is not valid."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Give back what it holds, though the slot's handler has not ended."""

    @abc.abstractmethod
    def another(self) -> AsyncSource:
        """One of its kind for another slot, which takes this one's place."""


class AsyncOneFeed(AsyncSource):
    """The jobs of one feed, which a slot waits for by itself."""

    def __init__(self, consumer: Consumer, timeout: float | None) -> None:
        """``timeout``: seconds without a job, after which there is none; None: no end."""
        handler = consumer.handler
        self.name = consumer.feed
        self.consumer = consumer
        self._timeout = timeout
        self._tuner = AdaptivePrefetch(handler.prefetch if handler.heartbeat else 1)
        self._claims: AsyncClaims[Any] | None = None
        self._begins_anew = False

    async def __aenter__(self) -> Self:
        self.is_dry = self._begins_anew = False
        prefetch = self._tuner.prefetch
        self.keeps_claims = prefetch > 1
        claims = self.consumer.job_feed.claims(self._timeout, prefetch=prefetch)
        self._claims = await claims.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._claims is not None:
            await self._claims.__aexit__(kind, error, traceback)

    async def next(self) -> AsyncClaim[Any] | None:
        claim = None if self._claims is None else await self._claims.next()
        self.is_dry = claim is None and not self._begins_anew
        return claim

    def after(self, seconds: float) -> None:
        if self._tuner.after(seconds):
            self.begin_anew()

    def stop(self) -> None:
        if self._claims is not None:
            self._claims.stop()

    def begin_anew(self) -> None:
        self._begins_anew = True
        self.stop()

    async def close(self) -> None:
        if self._claims is not None:
            await self._claims.close()

    def another(self) -> AsyncOneFeed:
        return AsyncOneFeed(self.consumer, self._timeout)
