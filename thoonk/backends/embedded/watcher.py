"""Follows what other processes do to a file, with one thread for the whole process."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from typing import Any

from thoonk.backends.embedded import sqlite_errors
from thoonk.backends.embedded.changes import changes_of
from thoonk.backends.embedded.sqlite import FEED_BITS, STORED_STATES, SqliteStore, waiting_of
from thoonk.backends.embedded.sqlite_file import stored
from thoonk.backends.embedded.sqlite_notices import read_notice
from thoonk.backends.embedded.store import Hub, Shelf, State
from thoonk.config import PAUSED
from thoonk.exceptions import BackendError

logger = logging.getLogger("thoonk.notices")

SETTLES = 0.05
"""Seconds within which a write that has begun is visible, as a rule."""

FIRST_LOOK, LATER_LOOK = 0.0002, 0.005
"""Seconds between two looks for a write that has begun."""

AT_LEAST_EVERY = 0.5
"""Seconds after which it is looked in any case."""

RENEW_EVERY = 60.0
"""Seconds after which a process renews its registration as a listener."""

LOCKED_FOR = 1.0
"""Seconds for which reading is tried again while the file is locked."""

PART = 500
"""How many notices are read at once."""

_NEWER = (
    "SELECT number, feed, kind, text, data FROM notices WHERE number > ? ORDER BY number LIMIT ?"
)

_OF_FEED = (
    "SELECT note, config, "
    "(SELECT min(place) FROM rows WHERE rows.feed = feeds.feed AND state = ?), "
    "(SELECT min(at) FROM records WHERE records.feed = feeds.feed AND shelf = ?) "
    "FROM feeds JOIN rows ON key = feeds.feed << ? WHERE name = ?"
)


class Watcher:
    """A thread that delivers notices and wakes consumers, until it is closed."""

    def __init__(self, store: SqliteStore, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._closed = False
        self._number: int | None = None
        self._renewed = time.monotonic()
        self._due: dict[str, tuple[int | None, bool]] = {}
        self._begin()
        self._start()

    def listen(self) -> int:
        """Deliver notices from now on. Returns the number of the last one before these."""
        number = self._store.notices.register()
        if self._number is None:
            self._number = number
        return number

    def close(self) -> None:
        """End it. May be called twice."""
        if not self._closed:
            self.suspend()

    def suspend(self) -> None:
        """End the thread and close what it has opened."""
        self._closed = True
        self._changes.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._changes.close()

    def resume(self) -> None:
        """Continue where it ended."""
        self._closed = False
        # Else it is the thread that meets the error, again and again, and says so.
        with contextlib.suppress(BackendError):
            self._begin()
        self._start()

    def _begin(self) -> None:
        """Let the store make the file that is watched, which its first transaction does."""
        with self._store.lock, self._store.transaction(writes=False):
            pass

    def _start(self) -> None:
        self._changes = changes_of(self._store.log)
        self._thread = threading.Thread(target=self._run, name="thoonk-sqlite", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            try:
                self._follow()
            except Exception:  # whatever it is: consumers and subscribers still need this thread
                logger.exception(
                    "Cannot follow changes of %s; trying again",
                    self._store.path,
                    extra={"event": "notices_ended"},
                )
                self._changes.wait(AT_LEAST_EVERY)

    def _follow(self) -> None:
        """Deliver and wake until it is closed."""
        with contextlib.closing(self._store.connect(create=False)) as db:
            version = self._version(db)
            self._look(db)
            while not self._closed:
                has_begun = self._changes.wait(AT_LEAST_EVERY)
                self._renew()
                until = time.monotonic() + SETTLES
                pause = FIRST_LOOK
                while not self._closed:
                    newer = self._version(db)
                    if newer != version:
                        version = newer
                        self._look(db)
                        until = time.monotonic()
                    # What is written is visible a little later.
                    if not has_begun or time.monotonic() >= until:
                        break
                    time.sleep(pause)
                    pause = min(LATER_LOOK, 2 * pause)

    @staticmethod
    def _version(db: sqlite3.Connection) -> int:
        ((version,),) = _patiently(db, "PRAGMA data_version")
        return int(version)

    def _look(self, db: sqlite3.Connection) -> None:
        """Deliver what is new, and wake consumers for what is available."""
        if self._number is not None:
            self._deliver(db, self._number)
        for name in self._hub.waiters.feeds():
            self._wake(db, name)

    def _deliver(self, db: sqlite3.Connection, number: int) -> None:
        while True:
            rows = _patiently(db, _NEWER, number, PART)
            for row in rows:
                if row[0] != number + 1:
                    self._hub.miss()
                number = row[0]
                self._hub.hear(number, read_notice(*row[1:]))
            self._number = number
            if len(rows) < PART:
                break

    def _renew(self) -> None:
        """Say again that this process listens."""
        if self._number is not None and time.monotonic() - self._renewed > RENEW_EVERY:
            self._renewed = time.monotonic()
            if not self._store.notices.renew():
                # This process was stopped for so long that nothing was kept for it.
                self._store.notices.register()
                self._hub.miss()

    def _wake(self, db: sqlite3.Connection, name: str) -> None:
        values = (STORED_STATES[State.SCHEDULED], int(Shelf.SCHEDULE), FEED_BITS, stored(name))
        found = next(iter(_patiently(db, _OF_FEED, *values)), None)
        numbers, config, scheduled, periodic = found or ("", "", None, None)
        waiting = waiting_of(numbers) if found else 1
        due = min((time for time in (scheduled, periodic) if time is not None), default=None)
        is_paused = f'"{PAUSED}"' in config
        if waiting and not is_paused:
            self._hub.waiters.call(name, waiting)
        elif (due, is_paused) != self._due.get(name, (None, is_paused)):
            # One of them learns when it is due, which it could not during a pause.
            self._hub.waiters.call(name, 1)
        self._due[name] = due, is_paused


def _patiently(db: sqlite3.Connection, statement: str, *values: object) -> list[Any]:
    """What a statement finds. It is tried again while the file is locked, which is seldom."""
    deadline = time.monotonic() + LOCKED_FOR
    while True:
        try:
            return db.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if not sqlite_errors.is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(FIRST_LOOK)
