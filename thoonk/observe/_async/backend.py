"""A backend around a backend, that tells observers what goes through it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeVar

from thoonk.backends import AsyncForwardingBackend, AsyncSubscription, open_async_backend
from thoonk.notices import Notice
from thoonk.observe.observer import Observer, ended, watched, worked
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")


class AsyncObservedBackend(AsyncForwardingBackend):
    """A backend that is watched. It closes what it has opened itself."""

    def __init__(self, backend: object, *observers: Observer, **options: Any) -> None:
        """Open a backend, to be given to ``AsyncThoonk(backend=…)``.

        Args:
            backend: what `AsyncThoonk` takes: a name, a URL, a redis-py client, a backend.
            observers: what watches; the first is called first.
            options: for the backend.

        Raises:
            InvalidValue, InvalidType, BackendNotInstalled: as `AsyncThoonk`.
        """
        opened, self._owns_backend = open_async_backend(backend, **options)
        super().__init__(opened)
        self._observers = observers

    async def execute(self, operation: Operation[R]) -> R:
        """As the backend's, watched."""
        with watched(self._observers, operation, waiting=False) as answered:
            answer = await super().execute(operation)
            answered(answer)
        return answer

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """As the backend's, watched."""
        with watched(self._observers, operation, waiting=True) as answered:
            answer = await super().wait(operation, timeout)
            answered(answer)
        return answer

    def working(self, feed: str, id: str, attempt: int) -> AbstractContextManager[None]:
        """A block in which a worker does a job; observers that have a method ``work`` see it."""
        return worked(self._observers, feed, id, attempt)

    def ended(self, feed: str, id: str, outcome: str, seconds: float | None) -> None:
        """Tell observers that have a method ``ended`` that a worker's job has ended."""
        ended(self._observers, feed, id, outcome, seconds)

    async def listen(self, feed: str | None = None) -> AsyncSubscription:
        """As the backend's; its notices are watched."""
        return AsyncObservedSubscription(await super().listen(feed), self._observers)

    async def close(self) -> None:
        """Close the backend, if it was opened here."""
        if self._owns_backend:
            await super().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncObservedSubscription:
    """A subscription whose notices are watched."""

    def __init__(self, subscription: AsyncSubscription, observers: tuple[Observer, ...]) -> None:
        self._subscription = subscription
        self._observers = observers

    @property
    def marker(self) -> str:
        """As the subscription's."""
        return self._subscription.marker

    async def get(self, timeout: float | None = None) -> Notice:
        """As the subscription's, watched."""
        notice = await self._subscription.get(timeout)
        for observer in self._observers:
            observer.notice(notice)
        return notice

    async def close(self) -> None:
        """As the subscription's."""
        await self._subscription.close()
