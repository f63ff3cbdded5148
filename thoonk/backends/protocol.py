"""The interface of backends: their methods and what they guarantee.

A backend stores feeds and delivers notices. It implements the operations of
`thoonk.operations` and does not depend on clients. Clients use only these few methods and
do not depend on storage. ``docs/writing-a-backend.md`` explains how to write one.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, runtime_checkable

from thoonk.notices import Notice
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")


class Subscription(Protocol):
    """Receives the notices that are sent after `Backend.listen` has returned."""

    @property
    def marker(self) -> str:
        """The token that a `ReadSnapshotPage` uses to reach this subscription."""

    def get(self, timeout: float | None = None) -> Notice:
        """Wait for the next notice and return it. Items are bytes.

        Returns a `Gap` after the connection was lost.

        Args:
            timeout: seconds to wait. None: forever.

        Raises:
            Empty: no notice arrived within the timeout.
            Closed: the subscription was closed, perhaps by another thread.
        """

    def close(self) -> None:
        """End the subscription. Can be called from any thread, and more than once."""


class Backend(Protocol):
    """Storage and notices for synchronous clients. All methods can be called from any thread."""

    def execute(self, operation: Operation[R]) -> R:
        """Execute one operation atomically, send its notices, and return its answer.

        If a `TakeOperation` is interrupted, its entries are given back.

        Raises:
            ThoonkError: the errors that the operation documents.
            UnsupportedOperation: the backend does not support the operation.
            BackendUnavailable: nothing was done.
            OutcomeUnknown: the answer was lost. The operation may have been executed.
        """

    def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Wait up to ``timeout`` seconds until there may be an entry, then execute the operation.

        The answer may be empty before the timeout has passed: the caller then tries again. If
        the wait is interrupted, its entries are given back.
        """

    def listen(self, feed: str | None = None) -> Subscription:
        """Subscribe to the notices of one feed, or of all feeds if ``feed`` is None.

        Delivers all changes that happen after this method has returned.
        """

    def close(self) -> None:
        """Release connections and threads, and end all subscriptions. Can be called twice."""


@runtime_checkable
class Interruptible(Protocol):
    """An optional part of a backend that stops a waiting loop over claims at once.

    Without it, a wait ends after at most ten seconds.
    """

    def interrupt(self, operation: TakeOperation) -> None:
        """End the `Backend.wait` of another thread for the operation with this token.

        The wait then returns as it does after its timeout.
        """


class AsyncSubscription(Protocol):
    """`Subscription` for asyncio."""

    @property
    def marker(self) -> str:
        """As `Subscription.marker`."""

    async def get(self, timeout: float | None = None) -> Notice:
        """As `Subscription.get`."""

    async def close(self) -> None:
        """As `Subscription.close`."""


class AsyncBackend(Protocol):
    """`Backend` for asyncio. It works only in the event loop that used it first."""

    async def execute(self, operation: Operation[R]) -> R:
        """As `Backend.execute`. If it is cancelled, the entries that it got are given back."""

    async def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """As `Backend.wait`."""

    async def listen(self, feed: str | None = None) -> AsyncSubscription:
        """As `Backend.listen`."""

    async def close(self) -> None:
        """As `Backend.close`."""


@runtime_checkable
class AsyncInterruptible(Protocol):
    """`Interruptible` for asyncio."""

    async def interrupt(self, operation: TakeOperation) -> None:
        """As `Interruptible.interrupt`, for a wait in another task."""


@runtime_checkable
class AsyncRestable(Protocol):
    """An optional part of a subscription for a reader that needs no notice at once.

    Notices that are read together cost a server less than each on its own. The notice log of the
    web page uses it; without it, the page only waits.
    """

    async def rest(self, seconds: float) -> None:
        """Return after a while, in which as little as possible is read."""


@runtime_checkable
class Opener(Protocol):
    """The object that an entry point in ``thoonk.backends`` refers to, for a URL scheme."""

    def open(self, url: str, **options: Any) -> Backend:
        """Open a backend for synchronous clients. ``url`` can be the scheme alone."""

    def open_async(self, url: str, **options: Any) -> AsyncBackend:
        """Open a backend for asyncio clients. ``url`` can be the scheme alone."""
