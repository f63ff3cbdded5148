"""A separate world on a shared server: all names get a prefix, and perhaps a suffix."""

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
from thoonk.testing.naming import Naming

R = TypeVar("R")


class AsyncPrefixed(AsyncForwardingBackend):
    """Passes operations on with a prefix before their feed's name, and takes it off again.

    On a cluster, where names need a part in braces, the prefix ends in one and the suffix is the
    other.
    """

    def __init__(self, backend: AsyncBackend, prefix: str, suffix: str = "") -> None:
        super().__init__(backend)
        self._naming = Naming(prefix, suffix)

    def __repr__(self) -> str:
        return f"<{self._naming.outer('…')!r} on {self._backend!r}>"

    async def execute(self, operation: Operation[R]) -> R:
        prefixed: Any = operation
        if isinstance(operation, FeedOperation):
            prefixed = attrs.evolve(operation, feed=self._naming.outer(operation.feed))
        if isinstance(operation, ReportWorker):
            report = self._naming.of_report(operation.worker)
            prefixed = attrs.evolve(operation, worker=report)
        try:
            answer: Any = await super().execute(prefixed)
        except FeedError as error:
            self._naming.forget(error)
            raise
        if isinstance(operation, FeedNames):
            own = [self._naming.inner(name) for name in answer]
            answer = frozenset(name for name in own if name is not None)
        if isinstance(operation, ReadWorkers):
            workers = self._naming.own_workers(answer.workers)
            answer = attrs.evolve(answer, workers=workers)
        result: R = answer
        return result

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        prefixed = attrs.evolve(operation, feed=self._naming.outer(operation.feed))
        try:
            return await super().wait(prefixed, timeout)
        except FeedError as error:
            self._naming.forget(error)
            raise

    async def interrupt(self, operation: TakeOperation) -> None:
        await super().interrupt(attrs.evolve(operation, feed=self._naming.outer(operation.feed)))

    async def listen(self, feed: str | None = None) -> AsyncPrefixedSubscription:
        prefixed = None if feed is None else self._naming.outer(feed)
        return AsyncPrefixedSubscription(await super().listen(prefixed), self._naming)


class AsyncPrefixedSubscription:
    """The notices of feeds whose names have that form, without it."""

    def __init__(self, subscription: AsyncSubscription, naming: Naming) -> None:
        self._subscription = subscription
        self._naming = naming

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
            name = self._naming.inner(notice.feed)
            if name is not None:
                return attrs.evolve(notice, feed=name)
            if isinstance(notice, Gap):
                return notice

    async def close(self) -> None:
        await self._subscription.close()
