"""Every error Thoonk raises, under one root.

Whatever a caller did wrong is refused before anything is sent, and is also a
`ValueError` or a `TypeError`. Whatever the backend did wrong arrives as a
`BackendError` with the driver's exception as its ``__cause__``.
"""

from __future__ import annotations

import queue


class ThoonkError(Exception):
    """The root of all errors of this package.

    Attributes:
        done: of a call for many, the ids that earlier steps of it have dealt with: they are
            done, whatever the error says of the rest.
    """

    done: tuple[str, ...] = ()


# --- what the caller passed in ------------------------------------------------


class InvalidValue(ThoonkError, ValueError):
    """A name, id, position, timeout or setting has a value that is not allowed."""


class InvalidType(ThoonkError, TypeError):
    """An argument has a type that is not allowed."""


class SerializerError(ThoonkError, ValueError):
    """An item cannot be encoded, or stored bytes cannot be decoded, by the serializer in use.

    ``data`` has the bytes that could not be decoded, so that they are not lost.
    """

    def __init__(self, message: str, data: bytes | None = None) -> None:
        super().__init__(message)
        self.data = data


# --- feeds and items ----------------------------------------------------------


class FeedError(ThoonkError):
    """Something about one feed. ``feed`` is its name."""

    def __init__(self, feed: str, message: str) -> None:
        super().__init__(message)
        self.feed = feed

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions travel between processes; the default would replay only the message.
        return (_rebuild, (type(self), self.args, self.__dict__))


class FeedExists(FeedError):
    """`create_feed` was asked for a name that is taken."""

    def __init__(self, feed: str) -> None:
        super().__init__(feed, f"feed {feed!r} exists already")


class FeedDoesNotExist(FeedError):
    """The feed was never created, or has been deleted."""

    def __init__(self, feed: str) -> None:
        super().__init__(feed, f"feed {feed!r} does not exist")


class WrongFeedType(FeedError, TypeError):
    """A feed exists under that name, but of another type.

    Attributes:
        feed: the feed's name.
        expected: the type that was asked for; empty: any that can do this.
        actual: the type that is stored; empty: not known.
    """

    def __init__(self, feed: str, *, expected: str = "", actual: str = "") -> None:
        if actual and expected:
            message = f"feed {feed!r} is of type {actual!r}, not {expected!r}"
        else:
            message = (
                f"feed {feed!r} is not of type {expected!r}"
                if expected
                else (f"feed {feed!r} is of a type that cannot do this")
            )
        super().__init__(feed, message)
        self.expected = expected
        self.actual = actual


class ItemTooLarge(FeedError, ValueError):
    """An item, or a job's result, is larger than the feed or the server allows.

    Nothing was done, and repeating the call would have the same effect.

    Attributes:
        size: bytes of the item.
        allowed: bytes that are allowed; None: the server does not tell.
        setting: the setting of the server that does not allow it; empty: it is the feed's
            ``max_item_size``.
    """

    def __init__(self, feed: str, *, size: int, allowed: int | None, setting: str = "") -> None:
        if setting:
            limit = "" if allowed is None else f" of {allowed} bytes"
            message = (
                f"the server refuses {size} bytes for feed {feed!r}, for they are more than its "
                f"{setting}{limit}; nothing was done"
            )
        else:
            message = f"feed {feed!r} takes items of {allowed} bytes at most, not {size}"
        super().__init__(feed, message)
        self.size = size
        self.allowed = allowed
        self.setting = setting


class ItemError(FeedError):
    """Something about one item. ``feed`` and ``id`` name it."""

    template = "item {id!r} of feed {feed!r}"

    def __init__(self, feed: str, id: str) -> None:
        super().__init__(feed, self.template.format(feed=feed, id=id))
        self.id = id


class ItemDoesNotExist(ItemError):
    """No item has that id (for a sorted feed also: no such neighbor)."""

    template = "feed {feed!r} has no item {id!r}"


class NotClaimed(ItemError):
    """The job is not claimed, or no longer by the claim that was used."""

    template = "job {id!r} of feed {feed!r} is not claimed, or is claimed by another worker"


class NotStalled(ItemError):
    """The job is not stalled, so it cannot be retried."""

    template = "job {id!r} of feed {feed!r} is not stalled"


class NotScheduled(ItemError):
    """The job is not scheduled: it is available already, or there is none."""

    template = "job {id!r} of feed {feed!r} is not scheduled"


class JobFailed(ItemError):
    """There will be no result, because the job is stalled.

    Attributes:
        reason: the text that was given as the reason; empty: none was.
        error: the name of the class of the exception that was raised; empty: none was.
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
    """The job has no result: it was finished without one, or retracted, or there was none."""

    template = "job {id!r} of feed {feed!r} has no result: it ended without one, or is not there"


class JobRetracted(NoResult):
    """The job was retracted while a program waited for its result."""

    template = "job {id!r} of feed {feed!r} was retracted"


class ItemExists(ItemError):
    """The id of a put is taken, and the put was to be refused then."""

    template = "feed {feed!r} has an item {id!r}, or had one whose id stays taken"


class Empty(ThoonkError, queue.Empty):
    """Nothing arrived within the timeout. Also a `queue.Empty`."""


# --- the client ---------------------------------------------------------------


class NotListening(ThoonkError):
    """Handlers need ``listen=True``."""


class Closed(ThoonkError):
    """The client, backend or subscription has been closed."""


class WrongEventLoop(ThoonkError, RuntimeError):
    """An asyncio client is used in a second event loop, or outside of asyncio.

    Nothing was done. Its connections work in the event loop that used it first.
    """


# --- the backend --------------------------------------------------------------


class BackendError(ThoonkError):
    """The backend refused or failed; ``__cause__`` has the driver's own error."""


class BackendUnavailable(BackendError):
    """The backend cannot be reached. Nothing was done."""


class AccessDenied(BackendError):
    """Wrong credentials, or an ACL that does not allow it. Nothing was done."""


class BackendFull(BackendError):
    """The backend has no memory left for this. Nothing was done."""


class OutcomeUnknown(BackendError):
    """The connection was lost after the operation was sent.

    It may or may not have taken effect: look before repeating it.

    Attributes:
        items: what `Queue.get` or `Queue.get_many` had in its hands. They are the caller's
            alone if the operation took effect; if not, they are back in the queue after
            ten seconds.
    """

    items: tuple[object, ...] = ()

    @property
    def item(self) -> object:
        """The one of `Queue.get`, None when there is none."""
        return self.items[0] if self.items else None


class BackendNotInstalled(BackendError, ImportError):
    """The chosen backend's packages are missing. The message says what to install."""


class UnsupportedOperation(BackendError, NotImplementedError):
    """This backend does not know the operation (it may be older than the client)."""


def _rebuild(
    kind: type[FeedError], arguments: tuple[object, ...], state: dict[str, object]
) -> FeedError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(state)
    return error


def is_refusal(error: ThoonkError) -> bool:
    """Whether the backend refused an operation, and would again: nothing was done."""
    passing = (BackendUnavailable, BackendFull, OutcomeUnknown, UnsupportedOperation)
    return isinstance(error, BackendError | ItemTooLarge) and not isinstance(error, passing)
