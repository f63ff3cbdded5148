"""Notices as rows of an SQLite file, kept for a while for the processes that listen."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence

import attrs

from thoonk import notices as all_notices
from thoonk.backends.embedded.sqlite_file import SqliteFile, read_text, stored
from thoonk.exceptions import BackendError
from thoonk.names import new_token
from thoonk.notices import Notice

CLOSES_WITHIN = 1.0
"""Seconds for which closing tries to say that this process listens no more."""

CLEAN_AFTER = 1000
"""After so many notices old ones are removed."""

KEEP = 600 * 1_000_000
"""Microseconds that a notice is kept, and that a process which listens may be stopped."""

KEEP_AT_MOST = 100_000
"""How many notices are kept."""

_KINDS: dict[str, type[Notice]] = {
    name: kind
    for name, kind in vars(all_notices).items()
    if isinstance(kind, type) and issubclass(kind, Notice)
}


class SqliteNotices:
    """The notices in a file, and this process as one that listens."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._process = new_token()
        self._published = 0
        self._listens = False

    def publish(self, notices: Sequence[Notice]) -> None:
        """Store notices, if any process listens, and remove old ones. In a transaction."""
        if not notices:
            return
        now = _now()
        # A time too far ahead is of a process that ran before the machine was started again.
        listens = "SELECT 1 FROM listeners WHERE until > ? AND until <= ? LIMIT 1"
        if self._file.number(listens, (now, now + KEEP)) is None:
            return
        self._file.cursor.executemany(
            "INSERT INTO notices (at, feed, kind, text, data) VALUES (?, ?, ?, ?, ?)",
            [(now, stored(notice.feed), *_written(notice)) for notice in notices],
        )
        self._published += len(notices)
        if self._published >= CLEAN_AFTER:
            self._published = 0
            # More than come meanwhile, and a step that many wait for stays short.
            most = 2 * CLEAN_AFTER
            newest = self._newest()
            self._file.execute(
                "DELETE FROM notices WHERE number IN "
                "(SELECT number FROM notices WHERE number <= ? ORDER BY number LIMIT ?) "
                "OR number IN (SELECT number FROM notices WHERE at < ? OR at > ? LIMIT ?)",
                (newest - KEEP_AT_MOST, most, now - KEEP, now, most),
            )
            dead = "DELETE FROM listeners WHERE until <= ? OR until > ?"
            self._file.execute(dead, (now, now + KEEP))

    def _newest(self) -> int:
        """The number of the last notice that was kept."""
        return self._file.number("SELECT seq FROM sqlite_sequence WHERE name = 'notices'") or 0

    def register(self) -> int:
        """Register this process as a listener. Returns the number of the last notice so far."""
        self._listens = True
        with self._file.lock, self._file.transaction(writes=True):
            insert = "INSERT OR REPLACE INTO listeners VALUES (?, ?)"
            self._file.execute(insert, (self._process, _now() + KEEP))
            return self._newest()

    def renew(self) -> bool:
        """Stay registered. False: the time was over, and notices may not have been kept."""
        with self._file.lock, self._file.transaction(writes=True):
            renewed = self._file.execute(
                "UPDATE listeners SET until = ? WHERE process = ? AND until > ?",
                (_now() + KEEP, self._process, _now()),
            )
            return renewed.rowcount > 0

    def end(self) -> None:
        """Listen no more."""
        if self._listens and not self._file.is_suspended:
            # Where that fails, it is forgotten by itself.
            self._file.retry_for = min(self._file.retry_for, CLOSES_WITHIN)
            forget = "DELETE FROM listeners WHERE process = ?"
            ignored = contextlib.suppress(BackendError)
            with ignored, self._file.lock, self._file.transaction(writes=True):
                self._file.execute(forget, (self._process,))

    def begin_in_child(self) -> None:
        """Be another process, in a forked child."""
        self._process = new_token()
        self._listens = False


def _now() -> int:
    """Microseconds since the machine was started, which are the same for all its processes."""
    return time.monotonic_ns() // 1000


def _written(notice: Notice) -> tuple[str, str, bytes | None]:
    """A notice as it is stored, without its feed."""
    _, *words = attrs.astuple(notice, recurse=False)
    data = next((word for word in words if isinstance(word, bytes)), None)
    text = json.dumps([None if isinstance(word, bytes) else word for word in words])
    return type(notice).__name__, text, data


def read_notice(feed: str | bytes, kind: str, text: str, data: bytes | None) -> Notice:
    """A notice as it was stored."""
    words = [data if word is None else word for word in json.loads(text)]
    return _KINDS[kind](read_text(feed), *words)
