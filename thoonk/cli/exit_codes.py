"""Exit codes, for scripts: which error leads to which."""

from __future__ import annotations

import enum

from thoonk.exceptions import (
    AccessDenied,
    BackendFull,
    BackendNotInstalled,
    BackendUnavailable,
    Empty,
    FeedDoesNotExist,
    FeedExists,
    InvalidType,
    InvalidValue,
    ItemDoesNotExist,
    ItemExists,
    ItemTooLarge,
    JobFailed,
    NoResult,
    NotClaimed,
    NotScheduled,
    NotStalled,
    OutcomeUnknown,
    SerializerError,
    ThoonkError,
    WrongFeedType,
)


class Exit(enum.IntEnum):
    """What the process ends with. Documented in docs/cli.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    EMPTY = 3
    MISSING = 4
    CONFLICT = 5
    UNAVAILABLE = 69
    UNKNOWN = 75
    DENIED = 77
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


_CODES: tuple[tuple[type[ThoonkError], Exit], ...] = (
    (Empty, Exit.EMPTY),
    (FeedDoesNotExist, Exit.MISSING),
    (ItemDoesNotExist, Exit.MISSING),
    (NoResult, Exit.MISSING),
    (JobFailed, Exit.FAILED),
    (FeedExists, Exit.CONFLICT),
    (ItemExists, Exit.CONFLICT),
    (WrongFeedType, Exit.CONFLICT),
    (NotClaimed, Exit.CONFLICT),
    (NotScheduled, Exit.CONFLICT),
    (NotStalled, Exit.CONFLICT),
    (InvalidValue, Exit.USAGE),
    (InvalidType, Exit.USAGE),
    (SerializerError, Exit.USAGE),
    (ItemTooLarge, Exit.USAGE),
    (BackendNotInstalled, Exit.FAILED),
    (BackendUnavailable, Exit.UNAVAILABLE),
    (BackendFull, Exit.UNAVAILABLE),
    (OutcomeUnknown, Exit.UNKNOWN),
    (AccessDenied, Exit.DENIED),
)


def exit_of(error: ThoonkError) -> Exit:
    """The exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)
