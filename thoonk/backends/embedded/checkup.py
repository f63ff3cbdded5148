"""Examines a file as it lies there, without opening it as a store and without changing it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from thoonk.backends.checkups import Check, Checkup, Finding, Severity
from thoonk.backends.embedded import mounts
from thoonk.backends.embedded.sqlite_file import SCHEMA
from thoonk.exceptions import BackendUnavailable
from thoonk.names import decode_name

LARGE_LOG = 64 * 2**20
"""Bytes of a write-ahead log that is longer than it should be. SQLite starts it again at 4 MB."""

MUCH_FREE = 0.25
"""Which part of a file may be free."""

FREE_PAGES = 2500
"""How many pages may be free, whatever part that is: about 10 MB."""

LITTLE_ROOM = 100 * 2**20
"""Bytes that should be free on the disk."""

SHOWN = 3
"""How many messages of a damaged file are shown."""

_WAL = (2, 2)
"""Bytes 18 and 19 of a file that has a write-ahead log."""

NOT_A_DATABASE = Check(
    "not-a-database",
    Severity.ERROR,
    "Thoonk does not open it",
    "Check the URL, or restore the file from a backup",
)
FOREIGN = Check(
    "foreign", Severity.ERROR, "Thoonk does not write to it", "Check the URL; choose another file"
)
NEWER = Check("newer", Severity.ERROR, "this version cannot read them", "Upgrade Thoonk")
DAMAGED = Check(
    "damaged",
    Severity.ERROR,
    "items may be lost or wrong, and calls fail",
    "Stop all programs, copy the file and its -wal, and restore a backup, or save what can be "
    "read: sqlite3 FILE .recover | sqlite3 NEW. Check the disk",
)
UNREADABLE = Check(
    "unreadable", Severity.ERROR, "Thoonk cannot open it", "Grant the user access to the file"
)
READ_ONLY = Check(
    "read-only",
    Severity.ERROR,
    "calls that write raise AccessDenied; SQLite also writes files next to it",
    "Grant the user write access to the file and its directory",
)
NETWORK = Check(
    "network",
    Severity.ERROR,
    "SQLite's locks do not work reliably there: several machines or processes can damage the file",
    "Move the file to a local disk, or the feeds to a server: thoonk copy",
)
JOURNAL = Check(
    "journal",
    Severity.WARNING,
    "readers and writers block each other until Thoonk opens the file the next time",
    "Find the program that changed its journal mode",
)
LOG = Check(
    "wal",
    Severity.WARNING,
    "a program has read from the file for long without an end, or was stopped: the log grows",
    "Find programs that have the file open (fuser FILE), and restart those that hang",
)
FREE = Check(
    "free-pages",
    Severity.NOTE,
    "new items use them, and Thoonk gives them back to the disk in small steps",
    "To get all of it at once, run sqlite3 FILE VACUUM while no program has the file open",
)
DISK = Check(
    "disk",
    Severity.WARNING,
    "calls that write raise BackendFull once it is full",
    "Make room, or move the file",
)
CHECKS = (
    *(NOT_A_DATABASE, FOREIGN, NEWER, DAMAGED, UNREADABLE, READ_ONLY, NETWORK, JOURNAL, LOG),
    *(FREE, DISK),
)

BLOCKING = (NOT_A_DATABASE, FOREIGN, NEWER, DAMAGED, UNREADABLE, READ_ONLY)
"""With one of these the feeds are not looked at."""


def check_up(path: str) -> Checkup:
    """Examine a file.

    Raises:
        BackendUnavailable: there is none.
    """
    if not Path(path).is_file():
        raise BackendUnavailable(f"{path} does not exist, or is not a file")
    found = [*_around(path)]
    sizes: dict[str, int] = {}
    if not os.access(path, os.R_OK, effective_ids=True):
        found.append(Finding(UNREADABLE, "the file cannot be read"))
    else:
        with contextlib.closing(_opened(path)) as db:
            try:
                found += _inside(db, path)
                if not any(finding.check in BLOCKING for finding in found):
                    sizes = _sizes(db)
            except sqlite3.DatabaseError as error:
                found.append(_of_error(error))
    return Checkup(
        f"SQLite {sqlite3.sqlite_version}, {path}",
        tuple(found),
        sizes,
        can_be_opened=not any(finding.check in BLOCKING for finding in found),
    )


def _opened(path: str) -> sqlite3.Connection:
    """A connection that can only read; where SQLite could not write next to it, the file alone."""
    quoted = urllib.parse.quote(path)
    can_write = os.access(Path(path).parent, os.W_OK, effective_ids=True)
    mode = "mode=ro" if can_write else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quoted}?{mode}", uri=True, timeout=5, isolation_level=None)


def _of_error(error: sqlite3.DatabaseError) -> Finding:
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return Finding(NOT_A_DATABASE, "the file is not an SQLite database")
    if code == sqlite3.SQLITE_CORRUPT:
        return Finding(DAMAGED, f"the file is damaged: {error}")
    raise BackendUnavailable(f"the file cannot be examined: {error}") from error


def _around(path: str) -> Iterator[Finding]:
    """What can be seen from outside."""
    if kind := mounts.network_file_system_of(path):
        yield Finding(NETWORK, f"the file is on a network file system ({kind})")
    folder = Path(path).parent
    for what, place in (("file", path), ("directory", folder)):
        if not os.access(place, os.W_OK, effective_ids=True):
            yield Finding(READ_ONLY, f"the {what} cannot be written by this user")
    log = Path(f"{path}-wal")
    with contextlib.suppress(OSError):
        if (size := log.stat().st_size) > LARGE_LOG:
            yield Finding(LOG, f"the write-ahead log has {size / 2**20:.0f} MB")
    free = shutil.disk_usage(folder).free
    if free < LITTLE_ROOM:
        yield Finding(DISK, f"{free / 2**20:.0f} MB are free on the disk")


def _inside(db: sqlite3.Connection, path: str) -> Iterator[Finding]:
    """What the file says of itself."""
    # The first read: it fails if this is not a database.
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if not version and tables:
        yield Finding(FOREIGN, "it is a database of another program")
        return
    if version > SCHEMA:
        says = f"its tables have version {version}, and this version of Thoonk knows {SCHEMA}"
        yield Finding(NEWER, says)
        return
    messages = [row[0] for row in db.execute("PRAGMA quick_check(100)")]
    if messages != ["ok"]:
        shown = "; ".join(" ".join(str(message).split()) for message in messages[:SHOWN])
        yield Finding(DAMAGED, f"the file is damaged: {shown}", count=len(messages))
        return
    with Path(path).open("rb") as file:
        header = file.read(20)
    if version and tuple(header[18:20]) != _WAL:
        yield Finding(JOURNAL, "the file has no write-ahead log")
    pages, size, free = (
        db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "page_size", "freelist_count")
    )
    if free > FREE_PAGES and free > MUCH_FREE * pages:
        says = f"{free * size / 2**20:.0f} of {pages * size / 2**20:.0f} MB are not used"
        yield Finding(FREE, says)


def _sizes(db: sqlite3.Connection) -> dict[str, int]:
    """Bytes of the items of each feed."""
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        return {}
    found = db.execute(
        "SELECT f.name, sum(length(coalesce(r.item, i.item))) FROM rows r "
        "LEFT JOIN items i ON i.key = r.key JOIN feeds f ON f.feed = r.feed "
        "WHERE f.name IS NOT NULL GROUP BY r.feed"
    )
    return {name if isinstance(name, str) else decode_name(name): size or 0 for name, size in found}
