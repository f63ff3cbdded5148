"""What errors of SQLite mean, in the words of this library."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from thoonk.exceptions import AccessDenied, BackendError, BackendFull, BackendUnavailable

_PRIMARY = 0xFF
"""The part of an error code that names its kind."""


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0) or 0
    return code & _PRIMARY


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process has locked the file."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
"""The disk is full: for the file or its log, and for the index of the log."""


def translated(error: sqlite3.Error, path: str) -> BackendError:
    """The error that users see."""
    if getattr(error, "sqlite_errorcode", 0) in _NO_ROOM:
        return BackendFull(f"there is no room to write {path}; nothing was done")
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return BackendUnavailable(f"{path} stayed locked by another process; nothing was done")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return AccessDenied(f"{path} cannot be written: {error}")
        case sqlite3.SQLITE_CANTOPEN:
            return BackendUnavailable(f"{path} cannot be opened: {error}")
        case sqlite3.SQLITE_NOTADB:
            return BackendError(f"{path} is not an SQLite database")
        case sqlite3.SQLITE_CORRUPT:
            return BackendError(f"{path} is damaged: {error}; restore it from a backup")
        case sqlite3.SQLITE_IOERR:
            return BackendUnavailable(f"{path} could not be read or written: {error}")
        case _:
            return BackendError(f"SQLite refused an operation on {path}: {error}")


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Raise errors of this library in place of SQLite's."""
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error, path) from error
