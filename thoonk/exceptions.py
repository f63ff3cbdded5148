"""All errors that Thoonk raises. Every one is a `ThoonkError`.

Invalid arguments are rejected before anything is sent, with an error that is also a
`ValueError` or a `TypeError`. Failures of the backend are raised as a `BackendError`
whose ``__cause__`` is the driver's exception.
"""

from __future__ import annotations

import queue


class ThoonkError(Exception):
    """The base class of all errors of this package.

    Attributes:
        done: the ids that a call for many items had already processed when it failed.
            These changes remain in effect.
    """

    done: tuple[str, ...] = ()


# --- what the caller passed in ------------------------------------------------


class InvalidValue(ThoonkError, ValueError):
    """A name, id, position, timeout or setting has a value that is not allowed."""


class InvalidType(ThoonkError, TypeError):
    """An argument has a type that is not allowed."""


class SerializerError(ThoonkError, ValueError):
    """The serializer cannot encode an item, or cannot decode the stored bytes.

    ``data`` holds the bytes that could not be decoded, so that they are not lost.
    """

    def __init__(self, message: str, data: bytes | None = None) -> None:
        super().__init__(message)
        self.data = data


# --- feeds and items ----------------------------------------------------------


class FeedError(ThoonkError):
    """The base class of errors about one feed. ``feed`` is its name."""

    def __init__(self, feed: str, message: str) -> None:
        super().__init__(message)
        self.feed = feed

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions travel between processes; the default would replay only the message.
        return (_rebuild, (type(self), self.args, self.__dict__))


class FeedExists(FeedError):
    """`create_feed` was called with a name that is already taken."""

    def __init__(self, feed: str) -> None:
        super().__init__(feed, f"feed {feed!r} already exists")


class FeedDoesNotExist(FeedError):
    """The feed was never created, or has been deleted."""

    def __init__(self, feed: str) -> None:
        super().__init__(feed, f"feed {feed!r} does not exist")


class WrongFeedType(FeedError, TypeError):
    """A feed with that name exists but has a different type.

    Attributes:
        feed: the feed's name.
        expected: the requested type; empty if several types support the operation.
        actual: the stored type; empty if it is unknown.
    """

    def __init__(self, feed: str, *, expected: str = "", actual: str = "") -> None:
        if actual and expected:
            message = f"feed {feed!r} is of type {actual!r}, not {expected!r}"
        else:
            message = (
                f"feed {feed!r} is not of type {expected!r}"
                if expected
                else f"feed {feed!r} has a type that does not support this operation"
            )
        super().__init__(feed, message)
        self.expected = expected
        self.actual = actual


class ItemTooLarge(FeedError, ValueError):
    """An item, or a job's result, is larger than the feed or the server allows.

    Nothing was changed. Repeating the call would fail in the same way.

    Attributes:
        size: the size of the item in bytes.
        allowed: the limit in bytes; None if the server does not report it.
        setting: the server setting that sets the limit; empty if the limit is the feed's
            ``max_item_size``.
    """

    def __init__(self, feed: str, *, size: int, allowed: int | None, setting: str = "") -> None:
        if setting:
            limit = "" if allowed is None else f" of {allowed} bytes"
            message = (
                f"{size} bytes for feed {feed!r} exceed the server's {setting}{limit}; "
                "nothing was done"
            )
        else:
            message = f"feed {feed!r} allows items of at most {allowed} bytes, not {size}"
        super().__init__(feed, message)
        self.size = size
        self.allowed = allowed
        self.setting = setting


class ItemError(FeedError):
    """The base class of errors about one item, which ``feed`` and ``id`` identify."""

    template = "item {id!r} of feed {feed!r}"

    def __init__(self, feed: str, id: str) -> None:
        super().__init__(feed, self.template.format(feed=feed, id=id))
        self.id = id


class ItemDoesNotExist(ItemError):
    """No item has that id. In a sorted feed, the id can also be that of the neighbor."""

    template = "feed {feed!r} has no item {id!r}"


class NotClaimed(ItemError):
    """The job is not claimed, or the claim that was used is no longer valid."""

    template = "job {id!r} of feed {feed!r} is not claimed, or is claimed by another worker"


class NotStalled(ItemError):
    """The job is not stalled, so it cannot be retried."""

    template = "job {id!r} of feed {feed!r} is not stalled"


class NotScheduled(ItemError):
    """The job is not scheduled: it is already available, or does not exist."""

    template = "job {id!r} of feed {feed!r} is not scheduled"


class JobFailed(ItemError):
    """The job will have no result because it is stalled.

    Attributes:
        reason: why the job failed; empty if no reason was given.
        error: the class name of the exception that the handler raised; empty if there was none.
    """

    template = "job {id!r} of feed {feed!r} has failed and is stalled"

    def __init__(self, feed: str, id: str, *, reason: str = "", error: str = "") -> None:
        super().__init__(feed, id)
        why = ": ".join(filter(None, (error, reason)))
        if why:
            self.args = (f"{self.args[0]}: {why}",)
        self.reason = reason
        self.error = error


class NoResult(ItemError):
    """The job has no result: it was finished without one, was retracted, or never existed."""

    template = "job {id!r} of feed {feed!r} has no result: it ended without one or does not exist"


class JobRetracted(NoResult):
    """The job was retracted while a program waited for its result."""

    template = "job {id!r} of feed {feed!r} was retracted"


class ItemExists(ItemError):
    """The id of a put is already taken, and the put was made with ``if_exists="refuse"``."""

    template = "feed {feed!r} already has an item {id!r}, or its id is still reserved"


class Empty(ThoonkError, queue.Empty):
    """Nothing arrived within the timeout. Also a `queue.Empty`."""


# --- the client ---------------------------------------------------------------


class NotListening(ThoonkError):
    """A handler was registered on a client that was not created with ``listen=True``."""


class Closed(ThoonkError):
    """The client, backend or subscription has been closed."""


class WrongEventLoop(ThoonkError, RuntimeError):
    """An asyncio client was used in a second event loop, or outside asyncio.

    Nothing was done. A client works only in the event loop that used it first.
    """


# --- the backend --------------------------------------------------------------


class BackendError(ThoonkError):
    """The backend rejected the operation or failed. ``__cause__`` is the driver's error."""


class BackendUnavailable(BackendError):
    """The backend cannot be reached. Nothing was done."""


class AccessDenied(BackendError):
    """The credentials are wrong, or an ACL does not allow the operation. Nothing was done."""


class BackendFull(BackendError):
    """The backend is out of memory. Nothing was done."""


class OutcomeUnknown(BackendError):
    """The connection was lost after the operation was sent.

    The operation may or may not have taken effect: check before you repeat it.

    Attributes:
        items: the items that `Queue.get` or `Queue.get_many` had taken. If the operation took
            effect, only the caller has them. Otherwise they return to the queue after ten
            seconds.
    """

    items: tuple[object, ...] = ()

    @property
    def item(self) -> object:
        """The item that `Queue.get` had taken, or None."""
        return self.items[0] if self.items else None


class NotReplicated(BackendError):
    """The operation was done, but too few replicas confirmed it in time (``wait_replicas``).

    Do not repeat it. If the server that did it is lost before a replica has the change, the change
    is lost, too.

    Attributes:
        confirmed: how many replicas confirmed it.
        wanted: how many were wanted.
    """

    def __init__(self, message: str, confirmed: int = 0, wanted: int = 0) -> None:
        super().__init__(message)
        self.confirmed = confirmed
        self.wanted = wanted


class BackendNotInstalled(BackendError, ImportError):
    """A package that the backend needs is missing. The message says what to install."""


class UnsupportedOperation(BackendError, NotImplementedError):
    """The backend does not support the operation. It may be older than the client."""


def _rebuild(
    kind: type[FeedError], arguments: tuple[object, ...], state: dict[str, object]
) -> FeedError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(state)
    return error


def is_refusal(error: ThoonkError) -> bool:
    """Whether the backend rejected the operation and would do so again. Nothing was done."""
    passing = (BackendUnavailable, BackendFull, OutcomeUnknown, UnsupportedOperation)
    return isinstance(error, BackendError | ItemTooLarge) and not isinstance(error, passing)
