"""The notices that subscribers receive (contract: Channels).

A backend yields notices whose items are bytes. The client decodes the items with the
feed's serializer before it passes the notices to subscribers.
"""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import attrs

from thoonk.values import Value

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Notice(Value):
    """A change to the feed named ``feed``; the base class of all notices."""

    feed: str


@attrs.frozen(eq=False, repr=False)
class Published(Notice, Generic[T]):
    """A new item."""

    id: str
    item: T


@attrs.frozen(eq=False, repr=False)
class Edited(Notice, Generic[T]):
    """An existing item was replaced. In a feed, it also moved to the end."""

    id: str
    item: T


@attrs.frozen(eq=False, repr=False)
class Retracted(Notice):
    """An item was removed, either by a retraction or because of ``max_length``.

    In a job feed with ``events``: a job was removed.
    """

    id: str


@attrs.frozen(eq=False, repr=False)
class Moved(Notice):
    """An item of a sorted feed was inserted or moved.

    ``position`` is ``begin:``, ``:end``, ``:X`` (before X) or ``X:`` (after X).
    """

    id: str
    position: str


@attrs.frozen(eq=False, repr=False)
class Finished(Notice, Generic[T]):
    """A job was finished with a result."""

    id: str
    result: T


@attrs.frozen(eq=False, repr=False)
class JobEvent(Notice):
    """A change to the job ``id`` of a feed that is configured with ``events``."""

    id: str


class Put(JobEvent):
    """A job became available: it was put, or its scheduled time has come."""

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class Scheduled(JobEvent):
    """A job was scheduled for ``due``, in seconds since 1970 by the backend's clock."""

    due: float


class Claimed(JobEvent):
    """A job was claimed."""

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class Progressed(JobEvent):
    """A worker reported progress: ``fraction`` is 0 to 1, ``text`` the current step."""

    fraction: float
    text: str


class Ended(JobEvent):
    """A job was finished without a result. (With a result, the notice is `Finished`.)"""

    __slots__ = ()


class Cancelled(JobEvent):
    """A job failed, or its claim expired, and the job is not stalled."""

    __slots__ = ()


class Released(JobEvent):
    """A job was given back unfinished. This does not count as a failure."""

    __slots__ = ()


class Stalled(JobEvent):
    """A job was taken out of circulation."""

    __slots__ = ()


class Retried(JobEvent):
    """A stalled job is available again."""

    __slots__ = ()


class Created(Notice):
    """The feed was created."""

    __slots__ = ()


class Deleted(Notice):
    """The feed was deleted with everything in it."""

    __slots__ = ()


class Configured(Notice):
    """The feed's configuration was changed."""

    __slots__ = ()


class Gap(Notice):
    """The connection was interrupted, and notices may have been missed.

    ``feed`` is an empty string if the subscription is for all feeds.
    """

    __slots__ = ()


@attrs.frozen(eq=False, repr=False)
class Marker(Notice):
    """The point among the notices at which a `ReadSnapshotPage` took effect. Internal.

    ``token`` is the subscription's, ``mark`` that of the answer.
    """

    token: str
    mark: str


AnyNotice: TypeAlias = (
    Published[T]
    | Edited[T]
    | Retracted
    | Moved
    | Finished[T]
    | Put
    | Scheduled
    | Claimed
    | Progressed
    | Ended
    | Cancelled
    | Released
    | Stalled
    | Retried
    | Created
    | Deleted
    | Configured
    | Gap
)
"""Any notice of a feed whose items are of type T. Type checkers narrow it by class."""

EVENT_OF: dict[type[Notice], str] = {
    Published: "publish",
    Edited: "edit",
    Retracted: "retract",
    Moved: "position",
    Finished: "finish",
    Put: "put",
    Scheduled: "schedule",
    Claimed: "claim",
    Progressed: "progress",
    Ended: "end",
    Cancelled: "cancel",
    Released: "release",
    Stalled: "stall",
    Retried: "retry",
    Created: "create",
    Deleted: "delete",
    Configured: "config",
    Gap: "gap",
}
"""The name of the handler event for each class of notice."""


def log_fields(notice: Notice) -> dict[str, str]:
    """The ``extra`` fields of a log record about a notice."""
    fields = {"feed": notice.feed}
    if isinstance(notice, Published | Edited | Retracted | Moved | Finished | JobEvent):
        fields["id"] = notice.id
    return fields
