"""What a backend is, and how one is opened.

A backend stores feeds and delivers notices. It knows the operations of
`thoonk.operations` and nothing of clients; clients know these few methods and
nothing of storage. ``docs/writing-a-backend.md`` tells how to write one.
"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from thoonk.exceptions import BackendNotInstalled, InvalidType, InvalidValue
from thoonk.notices import Notice
from thoonk.operations import Batch, Operation, TakeOperation

__all__ = [
    "AsyncBackend",
    "AsyncInterruptible",
    "AsyncSubscription",
    "Backend",
    "Interruptible",
    "Opener",
    "Subscription",
    "open_async_backend",
    "open_backend",
]

R = TypeVar("R")


class Subscription(Protocol):
    """Notices as they arrive, from the moment `Backend.listen` returned."""

    @property
    def marker(self) -> str:
        """The token by which a `ReadSnapshotPage` reaches this subscription."""

    def get(self, timeout: float | None = None) -> Notice:
        """The next notice; items in it are bytes.

        A connection that was lost and is back is told by a `Gap`.

        Args:
            timeout: seconds to wait; None: for ever.

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


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")

_REDIS = ("redis", "rediss", "unix", "valkey", "valkeys")
_SENTINEL = tuple(f"{scheme}+sentinel" for scheme in _REDIS if scheme != "unix")
_BUILT_IN = {
    "memory": ("thoonk.backends.memory", "pip install 'thoonk[memory]'"),
    **dict.fromkeys((*_REDIS, *_SENTINEL), ("thoonk.backends.redis", "pip install redis hiredis")),
}


def _opener_of(scheme: str) -> Opener:
    if scheme in _BUILT_IN:
        module, hint = _BUILT_IN[scheme]
        try:
            return cast("Opener", importlib.import_module(module).opener)
        except ImportError as error:
            raise BackendNotInstalled(
                f"the backend {scheme!r} needs packages that are missing ({error}): {hint}"
            ) from error
    # Slow to import, and needed by those alone who bring a backend of their own.
    from importlib.metadata import entry_points  # noqa: PLC0415

    found = entry_points(group="thoonk.backends", name=scheme)
    for entry_point in found:
        opener = entry_point.load()
        if not isinstance(opener, Opener):
            raise InvalidType(f"entry point {entry_point.value!r} has no open and open_async")
        return opener
    others = {e.name for e in entry_points(group="thoonk.backends")}
    raise InvalidValue(
        f"no backend for {scheme!r}; known: {', '.join(sorted({*_BUILT_IN, *others}))}"
    )


def _opener_for(target: object) -> Opener:
    if isinstance(target, str):
        # Only the scheme is shown in errors: the rest may hold a password. What has no
        # scheme may be a password to its first letter.
        scheme = target.partition("://")[0]
        if not _SCHEME.fullmatch(scheme):
            raise InvalidValue(
                "a backend's URL begins with a scheme and ://, as in redis://HOST:PORT/DB; "
                f"known schemes: {', '.join(_BUILT_IN)}"
            )
        return _opener_of(scheme.lower())
    if hasattr(target, "connection_pool"):
        return _opener_of("redis")
    raise InvalidType(
        f"a backend is a name, a URL, a redis-py client or an object with execute, wait, "
        f"listen and close, not {type(target).__name__}"
    )


def _is_backend(target: object) -> bool:
    methods = ("execute", "wait", "listen", "close")
    return all(callable(getattr(target, method, None)) for method in methods)


def _check_object(target: Any, options: dict[str, Any], *, asynchronous: bool) -> None:
    if options:
        raise InvalidValue(f"a backend object takes no options, so not {', '.join(options)}")
    # A backend of the other world would fail late and darkly.
    if inspect.iscoroutinefunction(target.execute) != asynchronous:
        wanted = "asyncio" if asynchronous else "synchronous"
        raise InvalidType(f"this client needs a backend that is {wanted}, not {target!r:.80}")


def open_backend(target: object, **options: Any) -> tuple[Backend, bool]:
    """The backend that ``target`` stands for, and whether it was opened here.

    What was opened here is the caller's to close; an object that was passed in is not.

    Args:
        target: a name (``"memory"``), a URL (``"redis://localhost/0"``), a redis-py
            client, or a `Backend`.
        options: passed on to what opens it.

    Raises:
        InvalidValue: no backend has that scheme, or an option makes no sense.
        InvalidType: not one of these.
        BackendNotInstalled: its packages are missing.
    """
    if _is_backend(target):
        _check_object(target, options, asynchronous=False)
        return cast("Backend", target), False
    return _opener_for(target).open(cast("str", target), **options), True


def open_async_backend(target: object, **options: Any) -> tuple[AsyncBackend, bool]:
    """`open_backend` for asyncio."""
    if _is_backend(target):
        _check_object(target, options, asynchronous=True)
        return cast("AsyncBackend", target), False
    return _opener_for(target).open_async(cast("str", target), **options), True
