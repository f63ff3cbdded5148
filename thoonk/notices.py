"""What subscribers receive, as values (contract: Channels).

A backend yields notices whose items are bytes; the client decodes them with the
feed's serializer before a subscriber sees them.
"""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Notice:
    """Something happened to the feed named ``feed``."""

    feed: str


@attrs.frozen
class Published(Notice, Generic[T]):
    """A new item."""

    id: str
    item: T


@attrs.frozen
class Edited(Notice, Generic[T]):
    """An existing item was replaced. In a feed it has also moved to the end."""

    id: str
    item: T


@attrs.frozen
class Retracted(Notice):
    """An item was removed, also one that was pushed out by ``max_length``.

    Of a job feed: a job was removed (with ``events``).
    """

    id: str


@attrs.frozen
class Moved(Notice):
    """An item of a sorted feed was placed, at its insertion or by a move.

    ``position`` is ``begin:``, ``:end``, ``:X`` (before X) or ``X:`` (after X).
    """

    id: str
    position: str


@attrs.frozen
class Finished(Notice, Generic[T]):
    """A job was finished with a result."""

    id: str
    result: T


@attrs.frozen
class JobEvent(Notice):
    """Something happened to the job ``id`` of a feed that is configured with ``events``."""

    id: str


@attrs.frozen
class Put(JobEvent):
    """A job is available: it was put, or was scheduled and is due."""


@attrs.frozen
class Scheduled(JobEvent):
    """A job is scheduled, until ``due``: seconds since 1970, by the backend's clock."""

    due: float


@attrs.frozen
class Claimed(JobEvent):
    """A job was claimed."""


@attrs.frozen
class Progressed(JobEvent):
    """A job is so far: ``fraction`` is 0 to 1, ``text`` what is done just now."""

    fraction: float
    text: str


@attrs.frozen
class Ended(JobEvent):
    """A job was finished without a result. (With one: `Finished`.)"""


@attrs.frozen
class Cancelled(JobEvent):
    """A job has failed, or its claim has run out, and it is not stalled."""


@attrs.frozen
class Released(JobEvent):
    """A job was given back unfinished; that is no failure."""


@attrs.frozen
class Stalled(JobEvent):
    """A job was taken out of circulation."""


@attrs.frozen
class Retried(JobEvent):
    """A job that was stalled is available again."""


@attrs.frozen
class Created(Notice):
    """The feed was created."""


@attrs.frozen
class Deleted(Notice):
    """The feed was deleted, with all that was in it."""


@attrs.frozen
class Configured(Notice):
    """The feed's configuration was set."""


@attrs.frozen
class Gap(Notice):
    """The connection was lost for a while: notices may have been missed.

    ``feed`` is the empty text when the subscription is for all feeds.
    """


@attrs.frozen
class Marker(Notice):
    """Where among the notices a `ReadSnapshotPage` was done; handed to no user.

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
"""Every notice there is, for a feed whose items are T. Type checkers narrow it by class."""

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
"""The name of the handler event for each notice."""


def log_fields(notice: Notice) -> dict[str, str]:
    """What a line in the log about a notice has as ``extra``."""
    fields = {"feed": notice.feed}
    if isinstance(notice, Published | Edited | Retracted | Moved | Finished | JobEvent):
        fields["id"] = notice.id
    return fields
