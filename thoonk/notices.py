"""What subscribers are told, as values (contract: Channels).

A backend yields notices whose items are bytes; the client decodes them with the
feed's serializer before anyone sees them.
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
    """An item was removed, also one that was pushed out by ``max_length``."""

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
    Created: "create",
    Deleted: "delete",
    Configured: "config",
    Gap: "gap",
}
"""The name of the handler event for each notice."""


def log_fields(notice: Notice) -> dict[str, str]:
    """What a line in the log about a notice has as ``extra``."""
    fields = {"feed": notice.feed}
    if isinstance(notice, Published | Edited | Retracted | Moved | Finished):
        fields["id"] = notice.id
    return fields
