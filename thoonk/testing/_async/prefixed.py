"""A separate world on a shared server: all names get a prefix."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import attrs

from thoonk.backends import AsyncBackend, AsyncForwardingBackend, AsyncSubscription
from thoonk.exceptions import Empty, FeedError
from thoonk.notices import Gap, Notice
from thoonk.operations import (
    Batch,
    FeedNames,
    FeedOperation,
    Operation,
    ReadWorkers,
    ReportWorker,
    TakeOperation,
)
from thoonk.testing.naming import forget_prefix, own_name, own_workers, with_prefix

R = TypeVar("R")


class AsyncPrefixed(AsyncForwardingBackend):
    """Passes operations on with a prefix before their feed's name, and takes it off again."""

    def __init__(self, backend: AsyncBackend, prefix: str) -> None:
        super().__init__(backend)
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"<{self._prefix!r} on {self._backend!r}>"

    async def execute(self, operation: Operation[R]) -> R:
        prefixed: Any = operation
        if isinstance(operation, FeedOperation):
            prefixed = attrs.evolve(operation, feed=self._prefix + operation.feed)
        if isinstance(operation, ReportWorker):
            report = with_prefix(operation.worker, self._prefix)
            prefixed = attrs.evolve(operation, worker=report)
        try:
            answer: Any = await super().execute(prefixed)
        except FeedError as error:
            forget_prefix(error, self._prefix)
            raise
        if isinstance(operation, FeedNames):
            own = [own_name(name, self._prefix) for name in answer]
            answer = frozenset(name for name in own if name is not None)
        if isinstance(operation, ReadWorkers):
            workers = own_workers(answer.workers, self._prefix)
            answer = attrs.evolve(answer, workers=workers)
        result: R = answer
        return result

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        prefixed = attrs.evolve(operation, feed=self._prefix + operation.feed)
        try:
            return await super().wait(prefixed, timeout)
        except FeedError as error:
            forget_prefix(error, self._prefix)
            raise

    async def interrupt(self, operation: TakeOperation) -> None:
        await super().interrupt(attrs.evolve(operation, feed=self._prefix + operation.feed))

    async def listen(self, feed: str | None = None) -> AsyncPrefixedSubscription:
        prefixed = None if feed is None else self._prefix + feed
        return AsyncPrefixedSubscription(await super().listen(prefixed), self._prefix)


class AsyncPrefixedSubscription:
    """The notices of feeds with the prefix, without it."""

    def __init__(self, subscription: AsyncSubscription, prefix: str) -> None:
        self._subscription = subscription
        self._prefix = prefix

    @property
    def marker(self) -> str:
        return self._subscription.marker

    async def get(self, timeout: float | None = None) -> Notice:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left < 0:
                raise Empty("no notice within the timeout")
            notice = await self._subscription.get(left)
            name = own_name(notice.feed, self._prefix)
            if name is not None:
                return attrs.evolve(notice, feed=name)
            if isinstance(notice, Gap):
                return notice

    async def close(self) -> None:
        await self._subscription.close()
