"""What a backend is: its methods, and what they promise.

A backend stores feeds and delivers notices. It knows the operations of
`thoonk.operations` and nothing of clients; clients know these few methods and
nothing of storage. ``docs/writing-a-backend.md`` tells how to write one.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, runtime_checkable

from thoonk.notices import Notice
from thoonk.operations import Batch, Operation, TakeOperation

R = TypeVar("R")


class Subscription(Protocol):
    """Notices as they arrive, from the moment `Backend.listen` returned."""

    @property
    def marker(self) -> str:
        """The token by which a `ReadSnapshotPage` reaches this subscription."""

    def get(self, timeout: float | None = None) -> Notice:
        """The next notice; items in it are bytes.

        After a lost connection, a `Gap` follows.

        Args:
            timeout: seconds to wait; None: forever.

        Raises:
            Empty: nothing came in time.
            Closed: the subscription was closed, perhaps by another thread.
        """

    def close(self) -> None:
        """End it. May be called from any thread, and twice."""


class Backend(Protocol):
    """Storage and notices for synchronous clients. All methods may be called from any thread."""

    def execute(self, operation: Operation[R]) -> R:
        """Do one operation, atomically and with its notices, and return its answer.

        When it is interrupted while it takes items (a `TakeOperation`), what was
        taken goes back.

        Raises:
            ThoonkError: what the operation documents.
            UnsupportedOperation: this backend does not know it.
            BackendUnavailable: nothing was done.
            OutcomeUnknown: the answer was lost; it may have been done.
        """

    def wait(self, operation: TakeOperation, timeout: float) -> Batch:
        """Block until something may be there to take, or ``timeout`` seconds; then execute.

        The answer may be empty before the time is over: the caller asks again. What
        was taken by a wait that is interrupted goes back.
        """

    def listen(self, feed: str | None = None) -> Subscription:
        """Subscribe to one feed's notices (None: those of all feeds).

        Whatever happens after it has returned is delivered.
        """

    def close(self) -> None:
        """Release connections and threads. Subscriptions end. May be called twice."""


@runtime_checkable
class Interruptible(Protocol):
    """What a backend may offer besides: a loop over claims that waits can be stopped at once.

    Without it a wait ends by itself, after ten seconds at most.
    """

    def interrupt(self, operation: TakeOperation) -> None:
        """End the `Backend.wait` for the operation of that token, which another thread does.

        It answers as at the end of its time.
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
    """`Backend` for asyncio. It belongs to the event loop that uses it first."""

    async def execute(self, operation: Operation[R]) -> R:
        """As `Backend.execute`; cancelled while it takes items, it puts them back."""

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
class Opener(Protocol):
    """What the entry-point group ``thoonk.backends`` names for a URL scheme."""

    def open(self, url: str, **options: Any) -> Backend:
        """A backend for synchronous clients. ``url`` may be the bare scheme."""

    def open_async(self, url: str, **options: Any) -> AsyncBackend:
        """A backend for asyncio clients. ``url`` may be the bare scheme."""
